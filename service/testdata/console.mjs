// Compliance staff at the console, in both languages, at a desk and on a phone.
import { readFileSync } from "node:fs";
import { accessible, browser, check, config, expect, file, fits, note, shot, sizes } from "./browser.mjs";

const says = {
  zh: { wrong: "密钥或链接无效", held: "保全中", asked: "待确认删除", erased: "已删除", done: "已存证", gone: "案卷", kept: "保存中" },
  en: { wrong: "not valid", held: "held", asked: "erasure asked for", erased: "erased", done: "deposited", gone: "Case", kept: "kept" },
};
const han = /\p{Script=Han}/u;

// person is somebody at a browser of their own: everything that it asks for, and each error
// and breach of the pages' policy, is watched.
async function person(lang, size, key) {
  const context = await browser.newContext({
    viewport: sizes[size], isMobile: size === "phone", hasTouch: size === "phone", locale: lang === "zh" ? "zh-CN" : "en-GB", timezoneId: "Asia/Shanghai",
  });
  const page = await context.newPage(), requests = [], troubles = [];
  context.on("request", (r) => requests.push(r.url()));
  page.on("console", (m) => { if (["error", "warning"].includes(m.type()) && !/status of 4\d\d/.test(m.text())) troubles.push(m.text()); });
  page.on("pageerror", (e) => troubles.push(String(e)));
  page.setDefaultTimeout(15_000);
  page.on("dialog", (d) => d.accept());
  await context.addInitScript(() => {
    globalThis.breaches = [];
    document.addEventListener("securitypolicyviolation", (e) => globalThis.breaches.push(e.violatedDirective + " " + e.blockedURI));
  });
  const fine = async (name) => {
    await fits(page);
    await accessible(page);
    const breaches = await page.evaluate(() => globalThis.breaches);
    expect(breaches.length === 0, "breaches of the policy: " + breaches);
    expect(troubles.length === 0, "the console says " + troubles.join("; "));
    for (const r of requests) expect(["data:", "blob:"].includes(new URL(r).protocol) || new URL(r).origin === config.url, "a request left for " + r);
    expect((await page.evaluate(() => document.cookie)) === "", "a script can read a cookie");
    await said(page, lang);
    if (name) await shot(page, `console-${lang}-${size}-${name}`);
  };
  const go = (path) => page.goto(config.url + "/console" + path + (path.includes("?") ? "&" : "?") + "lang=" + lang);
  await go("/sign-in");
  if (key) await signIn(page, key);
  return { context, page, fine, go };
}

async function signIn(page, key) {
  await page.fill("input[name=key]", key);
  await page.click("main form button");
}

// said looks for words of the other language, and for the names of words, among those that
// are the page's own.
async function said(page, lang) {
  const own = await page.evaluate((data) => {
    const skip = new Set(["SCRIPT", "STYLE"]), out = [];
    const walk = (n) => {
      if (n.nodeType === 3) { const t = n.textContent.trim(); if (t) out.push(t); return; }
      if (n.nodeType !== 1 || skip.has(n.tagName) || n.closest("nav.languages, .who .name, option[value=zh], [data-copy]")) return;
      for (const a of ["placeholder", "aria-label", "title", "alt"]) if (n.hasAttribute(a) && n.tagName !== "DT") out.push(n.getAttribute(a));
      n.childNodes.forEach(walk);
    };
    walk(document.body);
    return out.map((t) => data.reduce((s, d) => s.replaceAll(d, ""), t));
  }, config.data);
  for (const t of own) {
    if (lang === "en") expect(!han.test(t), "Chinese on an English page: " + t);
    if (lang === "zh") expect(!/[a-z]{3,} [a-z]{2,} [a-z]{2,}/.test(t), "English on a Chinese page: " + t);
  }
}

const lists = (page) => page.locator("main table.list tbody tr").count();

for (const lang of ["zh", "en"]) {
  for (const size of Object.keys(sizes)) {
    const w = says[lang], named = (what) => `${lang}-${size}-${what}`, contract = `HT-${lang}-${size}${config.mark ?? ""}`;
    let p, broken = false;
    // What follows a check that failed would fail with it.
    const step = async (name, work) => { if (!broken) broken = !(await check(named(name), work)); };

    await step("signs in", async () => {
      p = await person(lang, size);
      await p.fine("01-sign-in");
      await signIn(p.page, "mnt_" + "A".repeat(43));
      expect((await p.page.innerText("main")).includes(w.wrong), "a wrong key is not refused");
      await p.fine("02-wrong");
      await signIn(p.page, config.keys.first);
      await p.page.waitForSelector("h1");
      expect(new URL(p.page.url()).pathname === "/console/", "not signed in: " + p.page.url());
      await p.fine("03-home");
      const cookie = (await p.context.cookies()).find((c) => c.name === "__Host-muniment-session");
      expect(cookie && cookie.httpOnly && cookie.secure && cookie.sameSite === "Lax" && cookie.path === "/", "the cookie is " + JSON.stringify(cookie));
      expect(!JSON.stringify(await p.context.cookies()).includes(config.keys.first), "the key is in a cookie");
    });

    await step("deposits", async () => {
      await p.go("/deposit");
      await p.fine("04-deposit");
      await p.page.fill("[name='contract.number']", contract);
      await p.page.fill("[name='contract.title']", lang === "zh" ? "个人消费借款合同" : "Consumer loan agreement");
      await p.page.fill("[name=labels]", lang === "zh" ? "branch：深圳" : "branch:Shenzhen");
      await p.page.setInputFiles("#files", config.documents.map(file));
      for (const name of config.documents) await p.page.waitForSelector(`#uploads li.done:has-text("${name}")`, { timeout: 30_000 });
      await p.fine("05-deposited");
      const href = await p.page.getAttribute("#uploads li.done a", "href");
      expect(href.startsWith("/console/deposits/"), "no way to what was deposited");
    });

    await step("finds", async () => {
      for (const [by, what, rows] of [["contract", contract, config.documents.length], ["sha256", config.sha256, -1], ["label", lang === "zh" ? "branch:深圳" : "branch:Shenzhen", -1], ["contract", "none", 0], ["sha256", "zz", 0]]) {
        await p.go("/");
        await p.page.selectOption("[name=by]", by);
        await p.page.fill("[name=what]", what);
        await p.page.click(".search button");
        await p.page.waitForSelector("h1");
        const n = await lists(p.page);
        expect(rows < 0 ? n > 0 : n === rows, `by ${by} ${what}: ${n} rows`);
      }
      await p.fine("06-bad-search");
      await p.go("/");
      await p.page.setInputFiles("[data-digest]", file(config.documents[0]));
      await p.page.waitForURL(/what=/);
      expect(new URL(p.page.url()).searchParams.get("what") === config.sha256, "the digest was not computed");
      await p.go(`/?by=contract&what=${contract}`);
      await p.fine("07-found");
    });

    await step("exports", async () => {
      await p.page.click("[data-some]");
      await p.page.check("[data-all]");
      const download = p.page.waitForEvent("download");
      await p.page.click("[data-some]");
      const got = await download;
      await got.saveAs(file(named("certificates.zip")));
      await p.fine("08-exported");
      const said = await p.page.innerText(".export output");
      expect(said.includes(String(config.documents.length)), "it says " + said);
    });

    await step("reads a case", async () => {
      await p.page.click(`main table.list a:has-text("${contract}")`);
      await p.page.waitForSelector("ol.line");
      expect(await p.page.locator("ol.line > li.deposit").count() === config.documents.length, "the line is not whole");
      await p.fine("09-case");
      const download = p.page.waitForEvent("download");
      await p.page.click(".actions a.button");
      await (await download).saveAs(file(named("bundle.zip")));
    });

    await step("reads a deposit", async () => {
      await p.page.click("ol.line li.deposit a");
      await p.page.waitForSelector(".proof");
      for (const d of await p.page.locator("details").all()) await d.evaluate((e) => { e.open = true; });
      await p.fine("10-deposit");
      const take = async (name, act) => {
        const download = p.page.waitForEvent("download");
        await act();
        await (await download).saveAs(file(named(name)));
      };
      await take("receipt", () => p.page.click("a[href$='/receipt']"));
      await take("document", () => p.page.click("a[href$='/document']"));
      await take("certificate.pdf", () => p.page.click("form[action$='/certificate'] button"));
      for (const box of await p.page.locator("[name=show]").all()) {
        if ((await box.getAttribute("value")).startsWith("contract.")) await box.uncheck();
      }
      await take("disclosed", () => p.page.click(".ticks + button"));
    });

    const open = async (who, action) => {
      for (const d of await who.page.locator("details").all()) await d.evaluate((e) => { e.open = true; });
      return who.page.locator(`form[action$='/${action}']`).first();
    };
    const fill = async (who, action, fields) => {
      const form = await open(who, action);
      for (const [name, value] of Object.entries(fields)) await form.locator(`[name=${name}]`).fill(value);
      await form.locator("button").click();
      await who.page.waitForSelector("h1");
    };
    const state = (who) => who.page.locator(".facts .state").innerText();

    await step("holds and releases", async () => {
      await fill(p, "hold", { matter: config.matter, reason: config.reason });
      expect(await state(p) === w.held, "it is " + await state(p));
      await p.fine("11-held");
      const at = new URL(p.page.url()).pathname.replace("/console", "");
      await p.go("/keeping");
      expect((await p.page.innerText("main")).includes(config.matter), "what is held is not listed");
      await p.fine("12-keeping");
      await p.go(at);
      await fill(p, "erasure", { reason: config.reason });
      expect((await p.page.innerText("main")).length > 0 && await p.page.locator(".notice.bad").count() === 1, "a held deposit can be erased");
      await p.fine("13-kept");
      await p.go(at);
      await fill(p, "release", { reason: config.reason });
      expect(await state(p) === w.kept, "it is " + await state(p));
    });

    await step("opens to a court", async () => {
      await fill(p, "grants", { until: new Date(Date.now() + 14 * 86400e3).toISOString().slice(0, 10), matter: config.matter, reason: config.reason });
      const link = (await p.page.inputValue("[data-copy]")).replace(/^.*#/, "");
      expect(link.startsWith("mnl_"), "no link");
      await p.fine("14-link");
      expect(!p.page.url().includes(link), "the link stands in the address");
      await p.page.reload().catch(() => {});
      const at = new URL(p.page.url()).pathname.replace("/console", "").replace(/\/grants$/, "");
      await p.go(at);
      expect(!(await p.page.content()).includes(link), "the link is shown twice");
      // The court opens the link, whose secret stands behind the #.
      const judge = await person(lang, size);
      await judge.page.goto(`${config.url}/console/sign-in?lang=${lang}#${link}`);
      await judge.page.reload(); // a change of the fragment alone loads nothing
      await judge.page.goto(`${config.url}/console/sign-in?lang=${lang}&again=1#${link}`);
      expect(await judge.page.inputValue("input[name=key]") === link && !judge.page.url().includes(link), "the link is not taken up");
      await judge.page.click("main form button");
      await judge.page.click(".choices a");
      await judge.page.waitForSelector(".proof");
      expect(await judge.page.locator("form[action*='/hold'], form[action*='/erasure'], form[action*='/grants']").count() === 0, "a court is offered to erase");
      await judge.fine("14b-court");
      await p.page.locator("form[action$='/revocation'] button").first().click();
      await p.page.waitForSelector("#grants .state.revoked");
      await judge.page.reload();
      expect(await judge.page.locator(".proof").count() === 0, "what was shut is still read");
      await judge.context.close();
    });

    await step("two erase", async () => {
      const at = new URL(p.page.url()).pathname.replace("/console", "");
      await p.go(at);
      await fill(p, "erasure", { matter: config.matter, reason: config.reason });
      expect(await state(p) === w.asked, "it is " + await state(p));
      await p.fine("15-asked");
      await fill(p, "erasure", { matter: config.matter, reason: config.reason });
      await p.go(at);
      expect(await state(p) === w.asked, "one person erased alone");
      const other = await person(lang, size, config.keys.second);
      await other.go("/keeping");
      await other.fine("16-waiting");
      await other.page.locator("section:first-of-type table a").last().click();
      await other.page.waitForSelector("#standing");
      expect(new URL(other.page.url()).pathname === "/console" + at, "another deposit waits: " + other.page.url());
      await fill(other, "erasure", { matter: config.matter, reason: config.reason });
      expect(await state(other) === w.erased, "it is " + await state(other));
      await other.fine("17-erased");
      await other.go("/cases/" + contract);
      expect(await other.page.locator("ol.line > li.gap").count() === 1, "no gap on the line");
      await other.fine("18-gap");
      await other.context.close();
    });

    await step("trail and log", async () => {
      await p.go("/trail");
      await p.fine("19-trail");
      await p.go("/log");
      expect(await p.page.locator("svg.steps g").count() === 5 && await p.page.locator("svg.growth rect").count() === 30, "no pictures");
      await p.fine("20-log");
    });

    await step("is reached by keyboard", async () => {
      await p.go("/");
      await p.page.keyboard.press("Tab");
      expect(await p.page.evaluate(() => document.activeElement.className) === "skip", "the first stop is not the skip link");
      for (let i = 0; i < 25 && await p.page.evaluate(() => document.activeElement.name) !== "what"; i++) await p.page.keyboard.press("Tab");
      await p.page.keyboard.type(contract);
      await p.page.keyboard.press("Enter");
      await p.page.waitForURL(/what=/);
      expect(await lists(p.page) === config.documents.length - 1, "no search by keyboard");
    });

    await step("signs out", async () => {
      const [cookie] = (await p.context.cookies()).filter((c) => c.name === "__Host-muniment-session");
      await p.page.click(".who form button");
      await p.page.waitForSelector("input[name=key]");
      await p.context.addCookies([cookie]);
      await p.go("/");
      expect(new URL(p.page.url()).pathname === "/console/sign-in", "a session that was signed out goes on");
      await p.fine();
      await p.context.close();
    });
  }
}

for (const role of ["auditor", "court", "operator", "depositor"]) {
  await check("as " + role, async () => {
    const p = await person("en", "desk", config.keys[role]);
    await p.fine("30-" + role);
    expect(await p.page.locator("form[action*='/hold']").count() === 0, "it may hold");
    if (role === "auditor") {
      await p.page.click(".choices a");
      await p.page.waitForSelector("main table.list");
      await p.page.click("main table.list a");
      await p.page.waitForSelector(".proof");
      expect(await p.page.locator("#standing form").count() === 0, "an auditor is offered to erase");
      await p.fine("31-auditor-deposit");
    }
    if (role === "operator") {
      await p.go("/?by=contract&what=x");
      expect(new URL(p.page.url()).pathname === "/console/log", "an operator searches");
    }
    await p.context.close();
  });
}
await browser.close();
