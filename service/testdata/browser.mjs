// What the scripts beside this one share: a browser that is watched, and checks that are told
// to the Go test as lines of JSON.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { join } from "node:path";

export const config = JSON.parse(readFileSync(0, "utf8"));
const require = createRequire(join(config.modules, "x.js"));
const { chromium } = require("playwright-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

export const browser = await chromium.launch({ executablePath: config.chromium, args: ["--no-sandbox"], timeout: 60_000 });

let notes = [];
export const note = (text) => notes.push(text);

// check runs one check, and tells what it came to.
export async function check(name, work) {
  notes = [];
  let error = "";
  try {
    await work();
  } catch (e) {
    error = String(e.stack || e);
  }
  process.stdout.write(JSON.stringify({ name, error, notes }) + "\n");
  return error === "";
}

export function expect(ok, what) {
  if (!ok) throw new Error(what);
}

export const sizes = { desk: { width: 1280, height: 900 }, phone: { width: 390, height: 844 } };

// visit opens a page that is watched: each request it makes, each breach of its policy, and
// each error. `fine` of the result looks at all of it.
export async function visit(url, { size = "desk", lang = "en", javaScriptEnabled = true, origin = new URL(url).origin } = {}) {
  const context = await browser.newContext({
    viewport: sizes[size], isMobile: size === "phone", hasTouch: size === "phone", javaScriptEnabled,
    locale: lang === "zh" ? "zh-CN" : "en-GB", timezoneId: "Asia/Shanghai",
  });
  const page = await context.newPage();
  const requests = [], troubles = [];
  context.on("request", (r) => requests.push(r.url()));
  page.on("console", (m) => { if (["error", "warning"].includes(m.type())) troubles.push(m.text()); });
  page.on("pageerror", (e) => troubles.push(String(e)));
  await context.addInitScript(() => {
    globalThis.breaches = [];
    document.addEventListener("securitypolicyviolation", (e) => globalThis.breaches.push(e.violatedDirective + " " + e.blockedURI));
  });
  await page.goto(url);
  const fine = async () => {
    for (const r of requests) {
      expect(["data:", "blob:"].includes(new URL(r).protocol) || new URL(r).origin === origin && (origin !== "null" || r === url.split("#")[0]), "a request left for " + r);
    }
    expect(troubles.length === 0, "the console says " + troubles.join("; "));
    const breaches = await page.evaluate(() => globalThis.breaches);
    expect(breaches.length === 0, "breaches of the policy: " + breaches);
    const kept = await page.evaluate(async () => {
      const out = [document.cookie];
      try { out.push(localStorage.length || "", sessionStorage.length || ""); } catch { /* a file has no storage */ }
      return out.join("");
    });
    expect(kept === "" && (await context.cookies()).length === 0, "the page remembers " + kept);
  };
  return { page, context, requests, fine };
}

// accessible runs axe-core's rules of WCAG 2.2 AA and its good practice.
export async function accessible(page) {
  // axe-core comes from outside the page, so the page's own policy does not hold for it.
  const session = await page.context().newCDPSession(page);
  await session.send("Runtime.evaluate", { expression: axe });
  const { result, exceptionDetails } = await session.send("Runtime.evaluate", {
    expression: `axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] }).then((r) => JSON.stringify(r.violations))`,
    awaitPromise: true, returnByValue: true,
  });
  expect(!exceptionDetails, JSON.stringify(exceptionDetails));
  const found = JSON.parse(result.value).map((v) => `${v.impact} ${v.id}: ${v.nodes.map((n) => n.target.join(" ") + " " + n.failureSummary).join(" | ")}`);
  expect(found.length === 0, "axe-core finds " + found.join("\n"));
}

// fits checks that nothing is wider than the screen.
export async function fits(page) {
  const [wide, screen] = await page.evaluate(() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]);
  expect(wide <= screen, `the page is ${wide} wide on a screen of ${screen}`);
}

export async function shot(page, name) {
  await page.screenshot({ path: join(config.screenshots, name + ".png"), fullPage: true });
}

export const file = (name) => join(config.dir, name);

// ready waits until the page can verify, and returns how many milliseconds that took since it
// was asked for.
export async function ready(page) {
  await page.waitForSelector("html[data-ready]", { state: "attached", timeout: 30_000 });
  return page.evaluate(() => performance.getEntriesByName("ready")[0].startTime);
}

// outcome waits for the result, and returns its class, heading and text.
export async function outcome(page, timeout = 60_000) {
  await page.waitForSelector("#result:not([hidden]) #outcome", { timeout });
  return page.evaluate(() => ({
    kind: document.querySelector(".verdict").className.replace("verdict ", ""),
    head: document.querySelector("#outcome").textContent,
    text: document.querySelector("#result").innerText,
    focused: document.activeElement.id,
  }));
}
