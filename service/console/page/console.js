"use strict";
// The console's pages work without this, but for dropping documents: what it adds is
// progress, and a question before what cannot be undone.
const text = JSON.parse(document.body.dataset.text);
const say = (name, ...args) => args.reduce((t, a, i) => t.replaceAll(`{${i}}`, a), text[name]);
const token = document.body.dataset.form;
const bytes = (n) => { let u = 0; while (n >= 1000 && u < 4) { n /= 1000; u++; } return `${u && n < 100 ? n.toFixed(1) : Math.round(n)} ${["B", "KB", "MB", "GB", "TB"][u]}`; };
const make = (tag, name, content) => { const e = document.createElement(tag); if (name) e.className = name; if (content) e.textContent = content; return e; };

// A link to what was opened stands behind the #, which no browser sends.
const key = document.querySelector("input[name=key]");
if (key && location.hash.startsWith("#mnl_")) {
  key.value = location.hash.slice(1);
  history.replaceState(null, "", location.pathname + location.search);
}
for (const button of document.querySelectorAll("[data-sure]")) {
  button.addEventListener("click", (e) => { if (!confirm(button.dataset.sure)) e.preventDefault(); });
}
for (const field of document.querySelectorAll("[data-copy]")) field.addEventListener("focus", () => field.select());
for (const all of document.querySelectorAll("[data-all]")) {
  all.closest("p").hidden = false;
  const ticks = () => all.form.querySelectorAll("input[name=id]");
  all.addEventListener("change", () => { for (const t of ticks()) t.checked = all.checked; });
}

// A document's digest is computed here: nothing is sent but its 64 digits.
const digest = document.querySelector("[data-digest]");
if (digest && crypto.subtle) {
  const most = 500e6, row = digest.closest("p"), said = row.querySelector("output");
  row.hidden = false;
  digest.addEventListener("change", async () => {
    const file = digest.files[0];
    if (!file) return;
    if (file.size > most) { said.textContent = say("digest-large"); return; }
    said.textContent = say("digest-working");
    try {
      const sum = new Uint8Array(await crypto.subtle.digest("SHA-256", await file.arrayBuffer()));
      digest.form.elements.by.value = "sha256";
      digest.form.elements.what.value = [...sum].map((b) => b.toString(16).padStart(2, "0")).join("");
      said.textContent = "";
      digest.value = "";
      digest.form.requestSubmit();
    } catch { said.textContent = say("digest-failed"); }
  });
}

// Certificates come as a ZIP of stored files, each with its length before it: by these the
// page tells how many have come.
class Files {
  constructor() { this.head = new Uint8Array(0); this.skip = 0; this.count = 0; this.ended = false; }
  take(chunk) {
    let at = 0;
    while (at < chunk.length && !this.ended) {
      if (this.skip > 0) { const n = Math.min(this.skip, chunk.length - at); this.skip -= n; at += n; continue; }
      const want = 30 - this.head.length, part = chunk.subarray(at, at + want), joined = new Uint8Array(this.head.length + part.length);
      joined.set(this.head); joined.set(part, this.head.length);
      this.head = joined; at += part.length;
      if (this.head.length < 30) return;
      const view = new DataView(this.head.buffer);
      if (view.getUint32(0, true) !== 0x04034b50) { this.ended = true; return; }
      this.skip = view.getUint32(18, true) + view.getUint16(26, true) + view.getUint16(28, true);
      this.count++; this.head = new Uint8Array(0);
    }
  }
}
for (const set of document.querySelectorAll("[data-export]")) {
  const form = set.closest("form"), working = set.querySelector(".working"), bar = working.querySelector("progress"), said = working.querySelector("output");
  form.addEventListener("submit", async (e) => {
    if (!e.submitter || !set.contains(e.submitter)) return;
    e.preventDefault();
    const body = new URLSearchParams(new FormData(form, e.submitter));
    if (e.submitter.name === "some" && !body.has("id")) { working.hidden = false; bar.hidden = true; said.textContent = say("export-nothing"); return; }
    for (const b of set.querySelectorAll("button")) b.disabled = true;
    working.hidden = false; bar.hidden = false; bar.removeAttribute("value"); said.textContent = "";
    try {
      const answer = await fetch(form.action, { method: "POST", body, headers: { Accept: "application/json", "X-Form-Token": token } });
      if (!answer.ok) throw new Error((await answer.json()).Title);
      const total = Number(answer.headers.get("X-Certificates")), files = new Files(), parts = [];
      bar.max = total + 1;
      for (const reader = answer.body.getReader(); ;) {
        const { done, value } = await reader.read();
        if (done) break;
        parts.push(value); files.take(value);
        bar.value = files.count; said.textContent = say("export-count", Math.min(files.count, total), total);
      }
      const name = /filename=([^;]+)/.exec(answer.headers.get("Content-Disposition"))[1];
      const link = make("a"); link.href = URL.createObjectURL(new Blob(parts, { type: "application/zip" })); link.download = name;
      document.body.append(link); link.click(); link.remove();
      setTimeout(() => URL.revokeObjectURL(link.href), 60000);
      bar.value = bar.max; said.textContent = say("export-done", total, name);
    } catch (err) { bar.hidden = true; said.textContent = err instanceof TypeError ? say("network") : err.message; }
    for (const b of set.querySelectorAll("button")) b.disabled = false;
  });
}

const upload = document.getElementById("upload");
if (upload) {
  upload.hidden = false;
  const list = document.getElementById("uploads"), drop = document.getElementById("drop"), choose = document.getElementById("files");
  const waiting = [];
  let busy = 0;
  const next = () => { while (busy < 2 && waiting.length) { busy++; waiting.shift()().finally(() => { busy--; next(); }); } };
  const record = () => {
    const out = {}, fields = upload.elements;
    for (const name of ["contract.number", "contract.title", "contract.date"]) { const v = fields[name].value.trim(); if (v) out[name] = v; }
    for (const label of fields.labels.value.split(/[,，;；]/)) {
      const [name, ...rest] = label.replace("：", ":").split(":");
      if (rest.length) out[`label.${name.trim()}`] = rest.join(":").trim();
    }
    return out;
  };
  const send = (file, members, key, line) => new Promise((resolve) => {
    const bar = line.querySelector("progress"), said = line.querySelector(".says"), form = new FormData(), request = new XMLHttpRequest();
    form.append("record", new Blob([JSON.stringify(members)], { type: "application/json" }));
    form.append("document", file, file.name);
    request.open("POST", upload.dataset.to);
    request.setRequestHeader("Accept", "application/json");
    request.setRequestHeader("X-Form-Token", token);
    request.setRequestHeader("Idempotency-Key", key);
    request.upload.addEventListener("progress", (e) => {
      if (!e.lengthComputable) return;
      bar.max = e.total; bar.value = e.loaded;
      said.textContent = e.loaded < e.total ? say("upload-sent", bytes(e.loaded), bytes(e.total)) : say("upload-sealing");
    });
    const over = (ok, words) => { line.classList.toggle("done", ok); line.classList.toggle("bad", !ok); said.textContent = words; bar.hidden = true; resolve(); };
    request.addEventListener("load", () => {
      let answer = {};
      try { answer = JSON.parse(request.responseText); } catch { /* a proxy's words */ }
      if (request.status !== 201) {
        over(false, [answer.Title || say("upload-failed"), answer.Member, answer.Detail].filter(Boolean).join(" · "));
        if (answer.Retry || request.status >= 500) again(file, members, key, line);
        return;
      }
      over(true, say("upload-done"));
      const link = make("a", "", file.name);
      link.href = upload.dataset.see.replace("/deposits/", `/deposits/${encodeURIComponent(answer.id)}`);
      line.querySelector("b").replaceChildren(link);
    });
    request.addEventListener("error", () => { over(false, say("network")); again(file, members, key, line); });
    request.send(form);
  });
  // The same key again: if the document did arrive, there is still one deposit.
  const again = (file, members, key, line) => {
    if (line.querySelector("button")) return;
    const button = make("button", "plain small", say("upload-again"));
    button.type = "button";
    button.addEventListener("click", () => {
      button.remove(); line.classList.remove("bad"); line.querySelector("progress").hidden = false;
      waiting.push(() => send(file, members, key, line)); next();
    });
    line.append(button);
  };
  const add = (files) => {
    const members = record();
    for (const file of files) {
      const line = make("li", "card"), bar = make("progress"), name = make("b", "", file.name);
      bar.setAttribute("aria-label", file.name);
      line.append(name, make("span", "says", say("upload-waiting")), bar);
      list.prepend(line);
      waiting.push(() => send(file, members, `console-${crypto.randomUUID()}`, line));
    }
    next();
  };
  choose.addEventListener("change", () => { add(choose.files); choose.value = ""; });
  for (const kind of ["dragenter", "dragover"]) drop.addEventListener(kind, (e) => { e.preventDefault(); drop.classList.add("over"); });
  for (const kind of ["dragleave", "drop"]) drop.addEventListener(kind, () => drop.classList.remove("over"));
  drop.addEventListener("drop", (e) => { e.preventDefault(); add(e.dataTransfer.files); });
  upload.addEventListener("submit", (e) => e.preventDefault());
  addEventListener("beforeunload", (e) => { if (busy || waiting.length) e.preventDefault(); });
}
