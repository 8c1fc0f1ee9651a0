// A judge at the public verify page.
import os from "node:os";

import { accessible, browser, check, config, expect, file, fits, note, outcome, ready, shot, sizes, visit } from "./browser.mjs";

const document = "loan-contract-zh.pdf", receipt = document + ".tlog-proof";
const says = {
  zh: { verified: "验证通过", refused: "验证不通过", undecided: "无法判定", fault: "尚未核验", zone: "GMT+8", year: "2026年" },
  en: { verified: "VERIFIED", refused: "REFUSED", undecided: "UNDECIDED", fault: "Not verified yet", zone: "GMT+8", year: "2026" },
};

async function judge(page, ...names) {
  await page.setInputFiles("#files", names.map(file));
  return outcome(page);
}

// quiet waits until half of the machine's time is idle, not beyond late.
async function quiet(late) {
  const now = () => os.cpus().map((c) => c.times).reduce(([idle, all], t) => [idle + t.idle, all + t.user + t.nice + t.sys + t.irq + t.idle], [0, 0]);
  for (let share = 0; share < 0.5 && Date.now() < late; ) {
    const before = now();
    await new Promise((next) => setTimeout(next, 500));
    const after = now();
    share = (after[0] - before[0]) / (after[1] - before[1]);
  }
}

for (const lang of ["zh", "en"]) {
  for (const size of Object.keys(sizes)) {
    const w = says[lang], named = (what) => `${lang}-${size}-${what}`;
    const open = () => visit(`${config.url}/verify?lang=${lang}`, { lang, size });

    await check(named("opens"), async () => {
      // The first of five that is soon enough, each begun when others leave half of the machine,
      // which they may not for a while.
      let took, visited;
      const late = Date.now() + 120_000;
      for (let i = 0; i < 5; i++) {
        await quiet(late);
        visited = await open();
        took = await ready(visited.page);
        note(`ready in ${Math.round(took)} ms`);
        if (took < 2000) break;
        await visited.context.close();
      }
      expect(took < 2000, `ready after ${took} ms`);
      const { page, fine, context } = visited;
      expect((await page.getAttribute("html", "lang")).startsWith(lang), "the page's language");
      await fits(page);
      await accessible(page);
      await shot(page, named("1-open"));
      await page.click("#own summary");
      await accessible(page);
      await fits(page);
      await shot(page, named("2-own"));
      await fine();
      await context.close();
    });

    await check(named("site-policy"), async () => {
      const { page, fine, context } = await open();
      const r = await judge(page, document, receipt);
      expect(r.kind === "undecided" && r.head === w.undecided, `${r.kind} ${r.head}`);
      const shown = (await page.textContent("#shown")).replaceAll(" ", "");
      expect(shown === config.fingerprint, `the fingerprint shown is ${shown}`);
      expect(!r.text.includes(w.verified), "it says verified");
      await page.waitForTimeout(400);
      await accessible(page);
      await fits(page);
      await shot(page, named("3-undecided"));
      // Whoever knows the fingerprint from elsewhere compares it here.
      await page.fill("#known", config.fingerprint.slice(0, 32).toUpperCase() + "  " + config.fingerprint.slice(32));
      await page.click(".compare button");
      await page.waitForSelector(".verdict.verified", { timeout: 60_000 });
      const after = await outcome(page);
      expect(after.head === w.verified, after.head);
      await fine();
      await context.close();
    });

    await check(named("own-policy"), async () => {
      const { page, fine, context } = await open();
      const r = await judge(page, document, receipt, "policy", "roots.pem");
      expect(r.kind === "verified" && r.head === w.verified, `${r.kind} ${r.head}: ${r.text}`);
      for (const part of ["court", "Time Authority", "HT-2026-000117", w.zone, w.year]) expect(r.text.includes(part), `it does not say ${part}: ${r.text}`);
      expect(r.focused === "outcome", "the focus is on " + r.focused);
      for (const d of await page.$$("#result details")) await d.evaluate((e) => { e.open = true; });
      await accessible(page);
      await fits(page);
      await shot(page, named("4-verified"));
      for (const id of (await page.getAttribute(".picture svg", "aria-labelledby")).split(" ")) expect((await page.textContent("#" + id)).length > 5, "the picture has no words");
      await fine();
      await context.close();
    });

    await check(named("tampered"), async () => {
      const { page, fine, context } = await open();
      let r = await judge(page, "tampered/" + document, receipt, "policy");
      expect(r.kind === "refused" && r.head === w.refused, `document: ${r.kind} ${r.head}`);
      expect((await page.$$(".differs")).length === 2, "the digests are not shown");
      await page.waitForTimeout(400);
      await accessible(page);
      await fits(page);
      await shot(page, named("5-refused"));
      r = await judge(page, document, "tampered/" + receipt);
      expect(r.kind === "refused", `receipt: ${r.kind} ${r.text}`);
      r = await judge(page, document, receipt, "stranger/policy");
      expect(r.kind === "refused", `another log's policy: ${r.kind} ${r.text}`);
      r = await judge(page, document, receipt, "tampered/policy");
      expect(r.head === w.fault && /[3３]/.test(r.text), `tampered policy: ${r.head} ${r.text}`);
      await accessible(page);
      await shot(page, named("6-fault"));
      await fine();
      await context.close();
    });
  }
}

await check("one fingerprint is another", async () => {
  const { page, fine, context } = await visit(`${config.url}/verify?lang=en`);
  await judge(page, document, receipt);
  await page.click("#own summary");
  for (const [typed, words] of [["0".repeat(64), "differ"], ["abc", "64 hex digits"], [config.fingerprint.replace(/./, (c) => (c === "0" ? "1" : "0")), "differ"]]) {
    await page.fill("#fingerprint", typed);
    await page.click("#verify");
    const r = await outcome(page);
    expect(r.kind === "undecided" && r.text.includes(words), typed + ": " + r.text);
  }
  await fine();
  await context.close();
});

await check("a pasted policy", async () => {
  const { page, fine, context } = await visit(`${config.url}/verify?lang=en`);
  const text = (await (await fetch(config.url + "/log/policy")).text());
  await page.click("#own summary");
  await page.fill("#policy", text.trimEnd());
  const r = await judge(page, document, receipt);
  expect(r.kind === "verified", r.text);
  await fine();
  await context.close();
});

await check("a receipt alone compares no document", async () => {
  const { page, fine, context } = await visit(`${config.url}/verify?lang=en`);
  await page.setInputFiles("#files", [file(receipt), file("policy")]);
  await page.waitForSelector("#chosen li");
  expect(await page.isHidden("#result"), "it is judged without being asked");
  await page.click("#verify");
  const r = await outcome(page);
  expect(r.kind === "verified" && r.text.includes("none was compared"), r.text);
  await page.click(`#chosen li:first-child button`);
  expect(await page.isHidden("#result"), "a result of files that are gone");
  await page.click("#verify");
  expect((await outcome(page)).text.includes("receipt is missing"), "without a receipt");
  await fine();
  await context.close();
});

await check("a name that would mislead is spelled out", async () => {
  const { page, fine, context } = await visit(`${config.url}/verify?lang=en`);
  const r = await judge(page, "hello.txt", "hello.txt.tlog-proof", "policy");
  expect(r.kind === "verified", r.text);
  expect(r.text.includes("<img src=x onerror=alert(1)>\\u202egpj.exe") && (await page.$$("#result img")).length === 0, r.text);
  await fine();
  await context.close();
});

await check("the language changes under a result", async () => {
  const { page, fine, context } = await visit(`${config.url}/verify?lang=en`);
  await judge(page, document, receipt, "policy");
  await page.click("nav a[data-lang=zh]");
  const r = await outcome(page);
  expect(r.head === says.zh.verified && page.url().endsWith("?lang=zh"), r.head);
  const left = await page.evaluate(() => [...document.querySelectorAll("main *, footer *, header a")].filter((e) => e.children.length === 0 && !e.closest("[hidden], noscript, dd, .mono, svg, .name") && /[A-Za-z]{3,} [A-Za-z]{3,} [A-Za-z]{3,}/.test(e.textContent)).map((e) => e.textContent));
  expect(left.length === 0, "left in English: " + left);
  await fine();
  await context.close();
});

await check("by keyboard alone", async () => {
  const { page, fine, context } = await visit(`${config.url}/verify?lang=en`);
  await ready(page);
  const choosers = [];
  page.on("filechooser", (c) => choosers.push(c));
  const at = () => page.evaluate(() => document.activeElement.id || document.activeElement.className || document.activeElement.dataset.lang);
  const order = [];
  for (let i = 0; i < 40; i++) {
    await page.keyboard.press("Tab");
    order.push(await at());
    if (order.at(-1) === "files") break;
  }
  expect(order[0] === "skip" && order.at(-1) === "files", "Tab goes " + order);
  await page.keyboard.press("Enter");
  for (let i = 0; i < 100 && choosers.length === 0; i++) await page.waitForTimeout(50);
  expect(choosers.length === 1, "Enter opens no chooser of files");
  await choosers[0].setFiles([file(receipt), file("policy")]);
  await page.waitForSelector("#chosen li");
  for (let i = 0; i < 40 && (await at()) !== "verify"; i++) await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  const r = await outcome(page);
  expect(r.kind === "verified" && r.focused === "outcome", r.text + r.focused);
  for (let i = 0; i < 10 && !(await page.evaluate(() => document.activeElement.tagName === "SUMMARY" && document.activeElement.closest("#result"))); i++) await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  expect(await page.evaluate(() => document.activeElement.parentElement.open), "details do not open");
  await fine();
  await context.close();
});

await check("drag and drop", async () => {
  const { page, fine, context } = await visit(`${config.url}/verify?lang=en`);
  const { readFileSync } = await import("node:fs");
  const files = [document, receipt, "policy"].map((n) => ({ name: n, data: [...readFileSync(file(n))] }));
  const transfer = await page.evaluateHandle((list) => {
    const t = new DataTransfer();
    for (const f of list) t.items.add(new File([new Uint8Array(f.data)], f.name));
    return t;
  }, files);
  await page.dispatchEvent("#drop", "dragenter", { dataTransfer: transfer });
  expect((await page.getAttribute("#drop", "class")).includes("over"), "nothing shows where to drop");
  await page.dispatchEvent("#drop", "drop", { dataTransfer: transfer });
  const r = await outcome(page);
  expect(r.kind === "verified", r.text);
  await fine();
  await context.close();
});

await check("a large document does not freeze the page", async () => {
  const { page, fine, context } = await visit(`${config.url}/verify?lang=en`);
  await ready(page);
  await page.evaluate(() => {
    globalThis.gaps = [];
    globalThis.progress = new Set();
    let last = performance.now();
    const tick = (now) => {
      globalThis.gaps.push(now - last);
      last = now;
      globalThis.progress.add(document.querySelector("#progress").value);
      requestAnimationFrame(tick);
    };
    requestAnimationFrame(tick);
  });
  const begun = performance.now();
  await page.setInputFiles("#files", [file("large.bin"), file("large.bin.tlog-proof"), file("policy")]);
  const r = await outcome(page, 120_000);
  const took = performance.now() - begun;
  const [gap, steps] = await page.evaluate(() => [Math.max(...globalThis.gaps.slice(2)), globalThis.progress.size]);
  note(`${config.large >> 20} MiB in ${Math.round(took)} ms; the longest gap between frames ${Math.round(gap)} ms; progress in ${steps} steps`);
  expect(r.kind === "verified", r.text);
  expect(gap < 300, `no frame for ${gap} ms`);
  expect(steps > 10, `progress in ${steps} steps`);
  // Once more, and cancelled: the verifier starts anew.
  await page.click("#verify");
  await page.waitForSelector("#cancel:visible");
  await page.click("#cancel");
  expect(await page.isHidden("#result"), "a result of what was cancelled");
  const again = await judge(page, document, receipt, "policy");
  expect(again.kind === "verified", again.text);
  await fine();
  await context.close();
});

await check("without JavaScript it says so", async () => {
  const { page, context } = await visit(`${config.url}/verify`, { javaScriptEnabled: false, lang: "zh" });
  const text = await page.textContent("noscript, body");
  expect(text.includes("muniment verify"), text);
  await context.close();
});

await browser.close();
