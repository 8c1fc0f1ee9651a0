// A judge with a case bundle: from a disk, without a network, and at the public page.
import { accessible, browser, check, config, expect, file, fits, note, outcome, ready, shot, sizes, visit } from "./browser.mjs";

const says = {
  zh: { verified: "验证通过", refused: "验证不通过", undecided: "无法判定", gap: "缺少第 2 次存证" },
  en: { verified: "VERIFIED", refused: "REFUSED", undecided: "UNDECIDED", gap: "deposit 2 is not here" },
};

async function judge(page, ...names) {
  await page.setInputFiles("#files", names.map(file));
  return outcome(page);
}

// Nothing of the page in a bundle leaves it: of all requests only its own file is one.
const offline = (options) => visit(`${config.page}?lang=${options.lang}`, { ...options, origin: "null" });
const online = (options) => visit(`${config.url}/verify?lang=${options.lang}`, options);

for (const lang of ["zh", "en"]) {
  for (const size of Object.keys(sizes)) {
    const w = says[lang], named = (what) => `${lang}-${size}-bundle-${what}`;
    await check(named("from a disk"), async () => {
      const { page, fine, context } = await offline({ lang, size });
      await context.setOffline(true);
      note(`ready in ${Math.round(await ready(page))} ms`);
      expect((await page.getAttribute("html", "lang")).startsWith(lang), "the page's language");
      await accessible(page);
      await fits(page);
      await shot(page, named("1-open"));
      let r = await judge(page, "case.zip");
      expect(r.kind === "undecided" && r.head === w.undecided, `${r.kind} ${r.text}`);
      expect((await page.textContent("#shown")).replaceAll(" ", "") === config.fingerprint, "another fingerprint is shown");
      await page.waitForTimeout(400);
      await accessible(page);
      await fits(page);
      await shot(page, named("2-undecided"));
      await page.fill("#known", config.fingerprint);
      await page.click(".compare button");
      await page.waitForSelector(".verdict.verified", { timeout: 60_000 });
      r = await outcome(page);
      expect(r.head === w.verified && (await page.$$(".chain > li")).length === 5, r.text);
      await page.click(".chain > li:first-child summary");
      await page.waitForSelector(".chain .picture svg");
      await accessible(page);
      await fits(page);
      await shot(page, named("3-verified"));
      await fine();
      await context.close();
    });

    await check(named("gap"), async () => {
      const { page, fine, context } = await online({ lang, size });
      const r = await judge(page, "gap.zip", "policy", "roots.pem");
      expect(r.kind === "undecided" && r.text.includes(w.gap), r.text);
      expect((await page.$$("#shown")).length === 0, "a fingerprint to compare, of a policy of one's own");
      await page.waitForTimeout(400);
      await accessible(page);
      await fits(page);
      await shot(page, named("4-gap"));
      await fine();
      await context.close();
    });

    if (size === "desk") await check(named("altered"), async () => {
      for (const [what, open] of [["disk", offline], ["site", online]]) {
        const { page, fine, context } = await open({ lang, size });
        for (const [i, name] of config.altered.entries()) {
          for (const policy of [[], ["policy"]]) {
            const r = await judge(page, `altered-${i}.zip`, ...policy);
            expect(r.kind === "refused" && r.head === w.refused && r.text.includes(name), `${what}, ${name}: ${r.kind} ${r.text}`);
            if (policy.length) await page.click("#chosen li:last-child button");
          }
        }
        await judge(page, "altered-0.zip", "policy");
        await page.waitForTimeout(400);
        await accessible(page);
        await shot(page, named("5-refused"));
        const r = await judge(page, "case.zip", "stranger/policy");
        expect(r.kind === "refused", "by another log's policy: " + r.kind);
        await fine();
        await context.close();
      }
    });
  }
}

await check("the public page takes a bundle", async () => {
  const { page, fine, context } = await online({ lang: "en" });
  let r = await judge(page, "case.zip", "policy", "roots.pem");
  expect(r.kind === "verified", r.text);
  await page.click("#chosen li:nth-child(3) button");
  await page.click("#chosen li:nth-child(2) button");
  await page.click("#verify");
  r = await outcome(page);
  expect(r.kind === "undecided" && r.text.includes("consistent, signer unknown") && !r.text.includes("VERIFIED"), r.text);
  r = await judge(page, "cut.zip");
  expect(r.text.includes("cut short"), r.text);
  await fine();
  await context.close();
});

await check("a bundle that was unpacked", async () => {
  const { page, fine, context } = await offline({ lang: "en" });
  await page.setInputFiles("#folder", file("case"));
  let r = await outcome(page);
  expect(r.kind === "undecided" && (await page.$$("#chosen li")).length === 1, r.text);
  await page.click("#own summary");
  await page.fill("#fingerprint", config.fingerprint);
  await page.click("#verify");
  r = await outcome(page);
  expect(r.kind === "verified", r.text);
  await fine();
  await context.close();
});

await check("the page in a bundle takes a single document too", async () => {
  const { page, fine, context } = await offline({ lang: "en" });
  let r = await judge(page, "case/documents/0001-loan-contract-zh.pdf", "case/receipts/0001.tlog-proof", "policy");
  expect(r.kind === "verified", r.text);
  r = await judge(page, "loose/loan.pdf");
  expect(r.kind === "refused", r.text);
  await fine();
  await context.close();
});

await browser.close();
