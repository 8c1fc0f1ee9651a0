// The verify page. It shows; what is so is judged in the worker. Before this file stands
// munimentWords: each key of the page's words, in each language.
"use strict";

(() => {
  const $ = (id) => document.getElementById(id);
  const page = document.body.dataset;
  const bundled = page.page === "bundle";
  const state = { lang: document.documentElement.lang.startsWith("zh") ? "zh" : "en", chosen: [], site: { policies: [], roots: "" }, answer: null, fault: null, asked: "" };

  // Words.

  function say(key, ...args) {
    return munimentWords[key][state.lang].replace(/\{(\d)\}/g, (_, i) => args[i] ?? "");
  }

  const locale = () => (state.lang === "zh" ? "zh-CN" : "en-GB");
  const number = (n) => new Intl.NumberFormat(locale()).format(n);

  function moment(iso) {
    return new Intl.DateTimeFormat(locale(), { dateStyle: "long", timeStyle: "long" }).format(new Date(iso));
  }

  function bytes(n) {
    if (n < 1000) return say("bytes", number(n));
    const units = ["byte", "kilobyte", "megabyte", "gigabyte", "terabyte"];
    let unit = 0;
    for (; n >= 999.5 && unit < units.length - 1; unit++) n /= 1000;
    return new Intl.NumberFormat(locale(), { style: "unit", unit: units[unit], maximumFractionDigits: unit ? 1 : 0 }).format(n);
  }

  const between = (first, last) => (first === last ? say("entry", number(first)) : say("entries", number(first), number(last)));

  // Elements. Text is only ever text.

  function el(tag, attributes, ...children) {
    const svg = ["svg", "rect", "path", "text", "circle", "title", "desc"].includes(tag);
    const e = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
    for (const [name, value] of Object.entries(attributes || {})) {
      if (name.startsWith("on")) e.addEventListener(name.slice(2), value);
      else if (value !== false && value != null) e.setAttribute(name, value === true ? "" : value);
    }
    e.append(...children.flat().filter((c) => c != null && c !== false && c !== ""));
    return e;
  }

  // dated is text with each time in it in the reader's form and zone.
  function dated(text) {
    return text.split(/(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z)/).map((part, i) => {
      if (i % 2 === 0 || Number.isNaN(Date.parse(part))) return part;
      return el("time", { datetime: part, title: part }, moment(part));
    });
  }

  function speak(lang) {
    state.lang = lang;
    document.documentElement.lang = lang === "zh" ? "zh-CN" : "en";
    for (const e of document.querySelectorAll("[data-say]")) e.textContent = say(e.dataset.say);
    for (const e of document.querySelectorAll("[data-say-label]")) e.setAttribute("aria-label", say(e.dataset.sayLabel));
    for (const a of document.querySelectorAll("nav a")) {
      if (a.dataset.lang === lang) a.setAttribute("aria-current", "true");
      else a.removeAttribute("aria-current");
    }
    came();
    list();
    if (state.fault) broken(state.fault);
    if (state.answer) show(state.answer, false);
  }

  const numbers = /(\d{8}(?:-[0-9A-HJKMNP-TV-Z]{4}){4})/;

  // numbered is text with each certificate's number in it kept on one line.
  const numbered = (text) => text.split(numbers).map((part, i) => (i % 2 ? el("span", { class: "whole" }, part) : part));

  // came reads the certificate's number from the code that was followed, and says what to do.
  function came() {
    const asked = location.hash.match(new RegExp("^#certificate=" + numbers.source + "$"));
    state.asked = asked ? asked[1] : "";
    $("came").replaceChildren(...(asked ? [el("h2", {}, numbered(say("came", state.asked))), el("p", {}, say("came-drop")), el("p", {}, say("came-number"))] : []));
    $("came").hidden = !asked;
  }

  // The worker.

  let worker, ready, calls, last = 0;

  // Only this page's own worker is ever made from a URL.
  const trusted = self.trustedTypes ? trustedTypes.createPolicy("muniment", { createScriptURL: (u) => u }) : { createScriptURL: (u) => u };

  function launch() {
    calls = new Map();
    ready = new Promise((resolve, reject) => {
      begin().then((start) => {
        worker = new Worker(trusted.createScriptURL(start.script));
        worker.onmessage = ({ data }) => {
          if (data.ready) resolve();
          else if (data.failed) fail(data.failed, reject);
          else if ("done" in data) calls.get(data.id)?.progress(data.done);
          else {
            calls.get(data.id)?.resolve(data);
            calls.delete(data.id);
          }
        };
        worker.onerror = (e) => fail(e.message, reject);
        worker.postMessage({ start: start.with }, start.with.bytes ? [start.with.bytes] : []);
      }).catch((e) => fail(String(e), reject));
    });
    ready.then(() => {
      performance.mark("ready"); // since the visitor asked for the page
      document.documentElement.dataset.ready = "true";
    }, () => {});
  }

  function fail(why, reject) {
    console.error(why);
    broken("broken");
    for (const c of calls.values()) c.reject(new Error(why));
    reject(new Error(why));
  }

  // begin says where the worker's script and the verifier are: beside the page, or in it.
  async function begin() {
    if (!bundled) return { script: page.worker, with: { url: new URL(page.wasm, location.href).href } };
    const packed = Uint8Array.from(atob($("wasm").textContent.trim()), (c) => c.charCodeAt(0));
    const unpacked = await new Response(new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer();
    const script = URL.createObjectURL(new Blob([$("worker").textContent], { type: "text/javascript" }));
    return { script, with: { bytes: unpacked } };
  }

  async function call(message, progress = () => {}) {
    await ready;
    const id = ++last;
    return new Promise((resolve, reject) => {
      calls.set(id, { resolve, reject, progress });
      worker.postMessage({ id, ...message });
    });
  }

  function broken(key) {
    state.fault = key;
    $("broken").textContent = say(key);
    $("broken").hidden = false;
  }

  // Files.

  async function choose(files) {
    const named = files.map((f) => ({ name: f.path || f.webkitRelativePath || f.name, blob: f }));
    if (!named.length) return;
    clear();
    let fresh = named;
    const contents = named.find((f) => f.name.split("/").pop() === "manifest.json");
    if (contents) { // a bundle that was unpacked: all its files are one thing
      const folder = contents.name.split("/").slice(-2, -1)[0] || contents.name;
      fresh = [{ name: folder, kind: "bundle", parts: named, size: named.reduce((sum, f) => sum + f.blob.size, 0) }];
    } else {
      const { kinds } = await call({ identify: named });
      fresh.forEach((f, i) => Object.assign(f, { kind: kinds[i], size: f.blob.size }));
    }
    // What was chosen before of the same kind goes, and so does a document before a bundle, or
    // a bundle before a document: it was of the question before.
    const of = (kind) => ({
      document: "bundle", evidence: "bundle", receipt: "bundle certificate", certificate: "bundle receipt", bundle: "document receipt evidence certificate",
    }[kind] || "");
    state.chosen = state.chosen.filter((old) => !fresh.some((f) => f.kind === old.kind || of(f.kind).split(" ").includes(old.kind))).concat(fresh);
    list();
    const has = (kind) => state.chosen.some((f) => f.kind === kind);
    // A ZIP without a receipt was meant to be a bundle.
    const broken = !has("receipt") && fresh.some((f) => f.kind === "document" && /\.zip$/i.test(f.name));
    if (has("bundle") || has("certificate") || has("receipt") && has("document") || broken) examine();
    else $("status").textContent = say("chosen-count", number(state.chosen.length));
  }

  const kinds = ["document", "receipt", "certificate", "bundle", "policy", "roots", "evidence"];

  function list() {
    $("chosen").replaceChildren(...state.chosen.map((f, i) => {
      const id = "kind-" + i;
      return el("li", {},
        el("span", { class: "name" }, f.name, el("small", {}, bytes(f.size))),
        el("span", {},
          el("label", { class: "unseen", for: id }, say("kind-of", f.name)),
          el("select", { id, onchange: (e) => { f.kind = e.target.value; clear(); } },
            (f.parts ? ["bundle"] : kinds).map((k) => el("option", { value: k, selected: k === f.kind }, say("kind-" + k))))),
        el("button", {
          type: "button", class: "button plain", "aria-label": say("remove-name", f.name),
          onclick: () => { state.chosen.splice(i, 1); list(); clear(); $("files").focus(); },
        }, say("remove")));
    }));
  }

  // entered are the files of what was dropped, folders walked through.
  async function entered(transfer) {
    const entries = [...transfer.items].map((i) => i.webkitGetAsEntry && i.webkitGetAsEntry()).filter(Boolean);
    if (!entries.some((e) => e.isDirectory)) return [...transfer.files];
    const files = [];
    const walk = async (entry) => {
      if (entry.isFile) {
        const f = await new Promise((resolve, reject) => entry.file(resolve, reject));
        f.path = entry.fullPath.slice(1);
        files.push(f);
        return;
      }
      const reader = entry.createReader();
      for (;;) {
        const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
        if (!some.length) return;
        for (const e of some) await walk(e);
      }
    };
    for (const e of entries) await walk(e);
    return files;
  }

  // The question.

  let running = 0;

  async function examine() {
    const mine = ++running;
    clear();
    const files = state.chosen.flatMap((f) => (f.parts ? f.parts.map((p) => ({ ...p, kind: "part" })) : [f]));
    const question = {
      kinds: files.map((f) => f.kind), policy: $("policy").value, fingerprint: $("fingerprint").value, site: state.site, now: Date.now(),
    };
    const large = state.chosen.reduce((sum, f) => sum + f.size, 0);
    $("progress-label").textContent = say("working");
    $("progress").value = 0;
    $("working").hidden = false;
    $("status").textContent = say("working");
    try {
      const { answer } = await call({ question, files: files.map(({ name, blob }) => ({ name, blob })) }, (done) => {
        if (mine !== running) return;
        $("progress").value = done / large;
        $("progress-label").textContent = say("working-of", bytes(done), bytes(large));
      });
      if (mine === running) show(answer, true);
    } catch (e) {
      console.error(e);
      if (mine === running) broken("broken");
    } finally {
      if (mine === running) $("working").hidden = true;
    }
  }

  function cancel() {
    running++;
    worker.terminate();
    launch();
    $("working").hidden = true;
    $("status").textContent = say("cancelled");
    $("verify").focus();
  }

  function clear() {
    state.answer = null;
    $("result").hidden = true;
    $("result").replaceChildren();
    $("status").textContent = "";
  }

  // The answer.

  function show(answer, focus) {
    state.answer = answer;
    const result = $("result");
    result.replaceChildren(...(answer.fault ? faulty(answer) : answer.bundle ? bundle(answer.bundle) : judged(answer)));
    result.hidden = false;
    const head = $("outcome");
    if (focus) {
      $("status").textContent = [head.textContent, another(answer)].filter(Boolean).join(" ");
      head.focus({ preventScroll: true });
      result.scrollIntoView({ block: "start" });
    }
  }

  function faulty(answer) {
    return [el("div", { class: "verdict undecided" }, mark("undecided"), el("h2", { id: "outcome", tabindex: "-1" }, say("fault-heading")),
      el("p", { class: "says" }, say(answer.fault, ...(answer.about || []))))];
  }

  // mark is a sign that tells outcomes apart without colour.
  function mark(outcome) {
    const sign = { verified: "M18 33 L28 43 L47 22", refused: "M21 21 L43 43 M43 21 L21 43", undecided: "M23 25 C23 14 41 14 41 25 C41 33 32 32 32 40 M32 47 L32 48" }[outcome];
    return el("svg", { viewBox: "0 0 64 64", "aria-hidden": "true", focusable: "false" },
      el("circle", { cx: 32, cy: 32, r: 29, fill: "none", stroke: "currentColor", "stroke-width": 4 }),
      el("path", { d: sign, fill: "none", stroke: "currentColor", "stroke-width": 5, "stroke-linecap": "round", "stroke-linejoin": "round" }));
  }

  // verdict is the outcome in large letters, and what it says further.
  function verdict(a, unknown) {
    const lines = a.words[state.lang].verdict.split("\n");
    const [, head, rest] = lines.pop().match(/^([^.：]+)[.：]\s*(.*)$/s);
    return [
      lines.map((l) => el("p", { class: "test" }, l)),
      el("div", { class: "verdict " + a.outcome }, mark(a.outcome), el("h2", { id: "outcome", tabindex: "-1" }, head),
        el("p", { class: "says" }, unknown ? say("unknown-signer") : rest, unknown && a.deposits?.some((d) => d.last) && " " + say("not-whole"))),
      unknown && fingerprint(a, rest),
    ];
  }

  const printed = () => el("p", { class: "after" }, el("button", { type: "button", class: "button plain", onclick: () => print() }, say("print")));

  // another says that a certificate is not the one whose code was followed; empty: it is.
  const another = (a) => (state.asked && a.certificate && a.certificate.number !== state.asked ? say("came-other", a.certificate.number, state.asked) : "");

  function judged(a) {
    const other = another(a);
    return [other && el("p", { class: "notice other" }, numbered(other)), verdict(a, a.reason === "policy-found"), evidence(a), printed()].flat(2).filter(Boolean);
  }

  // evidence is all about one receipt but the outcome.
  function evidence(a) {
    const words = a.words[state.lang], unknown = a.reason === "policy-found";
    return [
      a.digests && differs(a),
      a.time && el("div", { class: "card" }, el("h3", {}, say(a.outcome === "refused" ? "what-receipt-is" : unknown ? "what-it-claims" : "what-it-is")), summary(a, unknown)),
      points("proved", words.proved, "held"),
      points("not-proved", words.not_proved, "open"),
      a.picture && pictured(a, unknown),
      facts(words.facts),
      a.record && el("details", { class: "card" }, el("summary", {}, say("record")), el("dl", {}, a.record.flatMap((f) => [el("dt", { class: "mono" }, f.name), el("dd", {}, f.value)]))),
    ].flat().filter(Boolean);
  }

  // bundle is a whole case: the outcome, what differs, and the chain of its deposits.
  function bundle(b) {
    const words = b.words[state.lang];
    const rows = [];
    const row = (key, value) => value && rows.push(el("dt", {}, say(key)), el("dd", {}, value));
    row("sum-contract", b.contract);
    row("sum-depositor", b.deposits.find((d) => d.verdict?.depositor)?.verdict.depositor);
    row("sum-deposits", number(b.count));
    row("sum-origin", b.origin);
    return [
      verdict(b, b.unknown),
      words.findings.length > 0 && el("div", { class: "card" }, el("h3", {}, say("differs")), el("ul", { class: "broken" }, words.findings.map((f) => el("li", {}, f)))),
      b.contract && el("div", { class: "card" }, el("h3", {}, say(b.unknown ? "what-it-claims" : "what-case-is")), el("dl", {}, rows)),
      points("proved", words.proved, "held"),
      points("not-proved", words.not_proved, "open"),
      b.deposits.length > 0 && el("section", { "aria-labelledby": "chain" }, el("h3", { id: "chain" }, say("chain")), el("ol", { class: "chain" }, b.deposits.map(deposit))),
      printed(),
    ].flat(2).filter(Boolean);
  }

  // chip is the outcome of a deposit in few words. That no document was compared must not be
  // overlooked.
  function chip(a, word) {
    if (a.reason === "policy-found") return say("consistent");
    return a.outcome === "verified" && !a.compared ? say("no-document") : word;
  }

  // deposit is a link of the chain. What is to be said of it is laid out when it is opened: a
  // case may have many.
  function deposit(d) {
    if (d.last) {
      return el("li", { class: "gap" }, el("p", {}, d.number === d.last ? say("gap", number(d.number)) : say("gaps", number(d.number), number(d.last))));
    }
    const a = d.verdict;
    const [, word, rest] = a.words[state.lang].verdict.split("\n").pop().match(/^([^.：]+)[.：]\s*(.*)$/s);
    const fold = el("details", {
      ontoggle: (e) => {
        if (e.target === fold && fold.open && fold.children.length === 1) fold.append(...(a.reason === "policy-found" ? [] : [el("p", {}, rest)]), ...evidence(a));
      },
    }, el("summary", {}, el("span", { class: "deposit" }, el("span", { class: "seq" }, number(d.number)), el("span", { class: "name" }, d.name,
      el("small", {}, a.time ? moment(a.time) : "")), el("span", { class: "word " + a.outcome }, chip(a, word)))));
    return el("li", {}, fold);
  }

  function differs(a) {
    return el("div", { class: "card" }, el("h3", {}, say("differs")), el("dl", {},
      el("dt", {}, say("digest-document", a.hash)), el("dd", { class: "differs" }, a.digests[0]),
      el("dt", {}, say("digest-receipt", a.hash)), el("dd", { class: "differs" }, a.digests[1])));
  }

  // fingerprint is what to compare before anything is believed.
  function fingerprint(a, sentence) {
    const groups = a.fingerprint.match(/.{4}/g);
    const field = el("input", { type: "text", id: "known", class: "mono", autocomplete: "off", autocapitalize: "none", spellcheck: "false", maxlength: "200" });
    const compare = (e) => {
      e.preventDefault();
      $("fingerprint").value = field.value;
      $("own").open = true;
      examine();
    };
    return el("div", { class: "card" },
      el("h3", {}, say("fingerprint")),
      el("p", { class: "fingerprint", id: "shown" }, groups.map((g) => el("span", {}, g + " "))),
      el("p", {}, sentence),
      el("h3", {}, say("compare-how")),
      el("ol", {}, ["compare-1", "compare-2", "compare-3"].map((k) => el("li", {}, say(k)))),
      el("form", { class: "compare", onsubmit: compare },
        el("div", {}, el("label", { for: "known" }, say("compare-field")), field),
        el("button", { class: "button" }, say("compare"))));
  }

  function summary(a, unknown) {
    const rows = [];
    const row = (key, ...value) => rows.push(el("dt", {}, say(key)), el("dd", {}, value));
    // A document that was refused is not what the rest is about.
    if (a.outcome !== "refused") row("sum-document", !a.compared ? say("none-compared") : a.certificate?.embedded && a.document === a.receipt ? say("embedded") : a.document);
    if (a.certificate) papers(a.certificate, row);
    if (a.contract) row("sum-contract", a.contract);
    if (a.depositor) row("sum-depositor", a.depositor);
    row("sum-time", el("time", { datetime: a.time }, moment(a.time)), el("small", {}, a.time + " (UTC)"));
    if (unknown) row("sum-signed", say("signer-unknown"));
    for (const s of (unknown ? [] : a.signed || [])) row("sum-" + s.role, s.name, s.time && el("small", {}, dated(s.time)));
    for (const s of (unknown ? [] : a.stamps || [])) row("sum-authority", s.name, el("small", {}, dated(s.time)));
    return el("dl", {}, rows);
  }

  // papers tells of the certificate itself. Its signature is shown, and makes nobody trusted.
  function papers(c, row) {
    row("sum-certificate", ...numbered(c.number), state.asked === c.number && el("small", {}, say("came-same")));
    if (c.issued) row("sum-issued", el("time", { datetime: c.issued }, moment(c.issued)), el("small", {}, say("issuers-word")));
    row("sum-paper-signed", c.signer || say("paper-unsigned"), c.issuer && el("small", {}, say("paper-issuer", c.issuer)),
      c.dated && el("small", {}, dated(say("paper-dated", c.dated, c.authority))));
  }

  function points(key, sentences, kind) {
    if (!sentences || !sentences.length) return null;
    return el("div", { class: "card" }, el("h3", {}, say(key)), el("ul", { class: kind }, sentences.map((s) => el("li", {}, dated(s)))));
  }

  function facts(list) {
    if (!list.length) return null;
    const value = (f) => {
      if (f.kind === "time") return [f.value, el("small", {}, moment(f.value))];
      return f.kind === "number" ? number(Number(f.value)) : f.value;
    };
    return el("details", { class: "card" }, el("summary", {}, say("facts")),
      el("dl", {}, list.flatMap((f) => [el("dt", {}, f.name), el("dd", { class: f.kind === "digest" ? "mono" : null }, value(f))])));
  }

  // The picture of the path.

  const half = 180; // the middle of a picture that is 360 wide, so that a phone shows it whole

  // clip shortens text to about width units of the picture.
  function clip(text, width) {
    let used = 0, out = "";
    for (const c of text) {
      used += c > "\u2e7f" ? 13 : 7.2;
      if (used > width - 10) return out + "…";
      out += c;
    }
    return out;
  }

  function box(kind, x, y, width, first, second) {
    return [
      el("rect", { class: kind, x: x - width / 2, y, width, height: 42, rx: 6 }),
      el("text", { x, y: y + 18, "text-anchor": "middle" }, clip(first, width)),
      el("text", { class: "hash", x, y: y + 33, "text-anchor": "middle" }, clip(second, width)),
    ];
  }

  const line = (x1, y1, x2, y2, side) => el("path", { class: side ? "side" : null, d: `M${x1} ${y1} L${x2} ${y2}` });

  let pictures = 0;

  function pictured(a, unknown) {
    const id = "picture-" + ++pictures;
    const p = a.picture, shapes = [], gap = 72;
    let y = 4;
    const signers = (a.signed || []).concat(a.stamps || []);
    for (const s of signers) {
      shapes.push(box(unknown ? "unknown" : "signed", half, y, 330, say((unknown ? "pic-unknown-" : "pic-") + s.role), s.name));
      y += 50;
    }
    shapes.push(line(half, y - 8, half, y + 18), box("way", half, y + 18, 330, say("pic-checkpoint", number(p.size)), p.root), line(half, y + 60, half, y + 78));
    y += 78;
    // Rows from the root down; of a long path the middle is left out.
    const nodes = [p.leaf, ...p.steps.map((s) => s.node)];
    const rows = p.steps.map((s, i) => ({ step: s, below: nodes[i] })).reverse();
    const cut = rows.length > 10 ? rows.length - 8 : 0;
    if (rows.length) {
      const top = nodes[nodes.length - 1];
      shapes.push(box("way", half, y, 112, between(top.first, top.last), top.hash));
    }
    rows.forEach(({ step, below }, i) => {
      if (cut && i >= 4 && i < 4 + cut) {
        if (i === 4) {
          shapes.push(line(half, y + 42, half, y + 54), el("text", { class: "dots", x: half, y: y + 76, "text-anchor": "middle" }, say("pic-more", number(cut))), line(half, y + 86, half, y + 96));
          y += 54;
        }
        return;
      }
      const x = step.left ? 60 : 300;
      shapes.push(line(half, y + 42, half, y + gap), line(half, y + 42, x, y + gap, true),
        box("beside", x, y + gap, 112, between(step.sibling.first, step.sibling.last), step.sibling.hash));
      y += gap;
      if (i < rows.length - 1) shapes.push(box("way", half, y, 112, between(below.first, below.last), below.hash));
    });
    shapes.push(box("leaf", half, y, rows.length ? 112 : 330, between(p.leaf.first, p.leaf.last), p.leaf.hash));
    shapes.push(line(half, y + 42, half, y + 58), box("leaf", half, y + 58, 330, say("pic-record"), a.contract || a.depositor || a.receipt));
    y += 100;
    if (a.digests) {
      shapes.push(el("path", { class: "cut", d: `M${half} ${y} L${half} ${y + 24}` }), box("broken", half, y + 24, 330, say("pic-other", a.hash), a.document));
      y += 66;
    } else if (a.compared) {
      shapes.push(line(half, y, half, y + 16), box("leaf", half, y + 16, 330, say("pic-document"), a.document));
      y += 58;
    }
    const names = signers.map((s) => s.name).join(say("comma"));
    const text = say(a.digests ? "pic-text-other" : unknown ? "pic-text-unknown" : "pic-text", number(p.leaf.first), number(p.steps.length), number(p.size), names);
    return el("div", { class: "card picture" },
      el("h3", {}, say("pic-heading")),
      el("p", {}, text),
      el("svg", { viewBox: `0 0 360 ${y + 4}`, width: 420, role: "img", "aria-labelledby": `${id}-title ${id}-desc` },
        el("title", { id: id + "-title" }, say("pic-heading")), el("desc", { id: id + "-desc" }, text), shapes.flat(2)),
      p.steps.length > 0 && el("details", {}, el("summary", {}, say("pic-table")), steps(p)));
  }

  function steps(p) {
    const cell = (s) => [between(s.first, s.last), el("br"), el("span", { class: "mono" }, s.hash)];
    return el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": say("pic-table") }, el("table", {},
      el("caption", {}, say("pic-caption")),
      el("thead", {}, el("tr", {}, ["pic-step", "pic-side", "pic-sibling", "pic-makes"].map((k) => el("th", { scope: "col" }, say(k))))),
      el("tbody", {}, p.steps.map((s, i) => el("tr", {},
        el("td", {}, number(i + 1)), el("td", {}, say(s.left ? "pic-left" : "pic-right")), el("td", {}, cell(s.sibling)), el("td", {}, cell(s.node)))))));
  }

  // What the visitor does.

  $("files").addEventListener("change", (e) => { choose([...e.target.files]); e.target.value = ""; });
  if (bundled) $("folder").addEventListener("change", (e) => { choose([...e.target.files]); e.target.value = ""; });
  $("ask").addEventListener("submit", (e) => { e.preventDefault(); examine(); });
  $("cancel").addEventListener("click", cancel);
  for (const type of ["dragenter", "dragover"]) {
    document.addEventListener(type, (e) => { e.preventDefault(); $("drop").classList.add("over"); });
  }
  document.addEventListener("dragleave", (e) => { if (!e.relatedTarget) $("drop").classList.remove("over"); });
  document.addEventListener("drop", async (e) => {
    e.preventDefault();
    $("drop").classList.remove("over");
    choose(await entered(e.dataTransfer));
  });
  document.querySelector("nav").addEventListener("click", (e) => {
    if (!e.target.dataset.lang || e.ctrlKey || e.metaKey || e.shiftKey) return;
    e.preventDefault();
    speak(e.target.dataset.lang);
    if (!bundled) history.replaceState(null, "", "?lang=" + state.lang + location.hash);
  });

  addEventListener("hashchange", () => { came(); clear(); });

  // The start.

  async function own() {
    const response = await fetch("/verify/site.json", { credentials: "omit" });
    if (!response.ok) throw new Error("site.json: " + response.status);
    state.site = await response.json();
  }

  if (bundled) {
    const asked = new URLSearchParams(location.search).get("lang") || navigator.languages.map((l) => l.slice(0, 2)).find((l) => l === "zh" || l === "en");
    speak(asked === "en" ? "en" : "zh");
  } else {
    own().catch((e) => { console.error(e); broken("no-site"); });
  }
  came();
  if (self.WebAssembly && self.Worker) launch();
  else {
    ready = Promise.reject(new Error("no WebAssembly"));
    ready.catch(() => {});
    broken("unsupported");
  }
})();
