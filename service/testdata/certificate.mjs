// A judge with a certificate: led to the public page by the code on it, and at the page in a bundle.
import { accessible, browser, check, config, expect, file, fits, outcome, ready, shot, sizes, visit } from "./browser.mjs";

const says = {
  zh: {
    verified: "验证通过", refused: "验证不通过", undecided: "无法判定", fault: "尚未核验", other: "这是另一份证书", altered: "第 1 页的印刷内容", zone: "GMT+8",
    same: "与您所扫描二维码的编号一致", unknown: "不认识", receipt: "已内嵌自己的回执",
  },
  en: {
    verified: "VERIFIED", refused: "REFUSED", undecided: "UNDECIDED", fault: "Not verified yet", other: "This is another certificate", altered: "what is printed on page 1",
    zone: "GMT+8", same: "the number of the code that you followed", unknown: "does not know the version", receipt: "has its own receipt inside",
  },
};

async function judge(page, ...names) {
  await page.setInputFiles("#files", names.map(file));
  return outcome(page);
}

const online = (options, hash = "") => visit(`${config.url}/verify?lang=${options.lang}${hash}`, options);
const offline = (options, hash = "") => visit(`${config.page}?lang=${options.lang}${hash}`, { ...options, origin: "null" });

for (const lang of ["zh", "en"]) {
  for (const size of Object.keys(sizes)) {
    const w = says[lang], named = (what) => `${lang}-${size}-certificate-${what}`;
    const looked = async (page, what) => {
      await page.waitForTimeout(400);
      await accessible(page);
      await fits(page);
      await shot(page, named(what));
    };

    await check(named("by its code"), async () => {
      const { page, fine, context } = await online({ lang, size }, "#certificate=" + config.number);
      await ready(page);
      const banner = await page.innerText("#came");
      expect(banner.includes(config.number) && banner.includes("PDF"), banner);
      await looked(page, "1-came");
      let r = await judge(page, "certificate.pdf");
      expect(r.kind === "undecided" && r.head === w.undecided, `${r.kind} ${r.text}`);
      expect((await page.textContent("#shown")).replaceAll(" ", "") === config.fingerprint, "another fingerprint is shown");
      expect(r.text.includes(config.number) && r.text.includes(w.same) && r.text.includes("Example Evidence Centre") && !r.text.includes(w.other) && !r.text.includes(w.verified), r.text);
      expect((await page.$$("ul.held")).length === 0, "something is proved by a policy that nobody chose");
      await looked(page, "2-undecided");
      await page.fill("#known", config.fingerprint);
      await page.click(".compare button");
      await page.waitForSelector(".verdict.verified", { timeout: 60_000 });
      r = await outcome(page);
      expect(r.head === w.verified && r.text.includes(w.zone), r.text);
      // The language changes, and the number stays.
      await page.click(`nav a[data-lang=${lang === "zh" ? "en" : "zh"}]`);
      expect(page.url().endsWith("#certificate=" + config.number) && (await page.innerText("#came")).includes(config.number), page.url());
      await fine();
      await context.close();
    });

    await check(named("another number"), async () => {
      const { page, fine, context } = await online({ lang, size }, "#certificate=" + config.number);
      const r = await judge(page, "with-document.pdf", "policy", "roots.pem");
      expect(r.kind === "verified" && r.text.includes(w.other) && r.text.includes(config.other) && r.text.includes(config.number), r.text);
      expect((await page.textContent("#status")).includes(w.other), "it is not said aloud");
      await looked(page, "3-another");
      await fine();
      await context.close();
    });

    await check(named("own policy"), async () => {
      const { page, fine, context } = await online({ lang, size });
      expect(await page.isHidden("#came"), "a banner for nothing");
      let r = await judge(page, "certificate.pdf", "loan-contract-zh.pdf", "policy", "roots.pem");
      expect(r.kind === "verified" && r.focused === "outcome", r.text);
      for (const part of [config.number, "Example Evidence Centre", "Time Authority", "HT-2026-000117", "loan-contract-zh.pdf", "court"]) expect(r.text.includes(part), `it does not say ${part}: ${r.text}`);
      for (const d of await page.$$("#result details")) await d.evaluate((e) => { e.open = true; });
      await looked(page, "4-verified");
      r = await judge(page, "tampered/loan-contract-zh.pdf");
      expect(r.kind === "refused" && (await page.$$(".differs")).length === 2, r.text);
      await fine();
      await context.close();
    });

    await check(named("tampered"), async () => {
      const { page, fine, context } = await online({ lang, size });
      for (const name of ["printed", "header", "cut"]) {
        for (const policy of [[], ["policy"]]) {
          const r = await judge(page, `tampered/${name}.pdf`, ...policy);
          expect(r.kind === "refused" && r.head === w.refused && (name !== "printed" || r.text.includes(w.altered)), `${name}: ${r.kind} ${r.text}`);
          if (policy.length) await page.click("#chosen li:last-child button");
          else if (name === "printed") await looked(page, "5-refused");
        }
      }
      let r = await judge(page, "certificate.pdf", "stranger/policy");
      expect(r.kind === "refused", "by another log's policy: " + r.kind);
      r = await judge(page, "newer.pdf");
      expect(r.kind === "undecided" && r.head === w.fault && r.text.includes(w.unknown), r.text);
      r = await judge(page, "certificate.pdf", "loan-contract-zh.pdf.tlog-proof");
      expect(r.head === w.fault && r.text.includes(w.receipt), r.text);
      await fine();
      await context.close();
    });

    if (size === "desk") await check(named("in a bundle"), async () => {
      const { page, fine, context } = await offline({ lang, size }, "#certificate=" + config.number);
      await context.setOffline(true);
      await ready(page);
      expect((await page.innerText("#came")).includes(config.number), "no banner");
      let r = await judge(page, "certificate.pdf");
      expect(r.kind === "undecided" && r.head === w.undecided, r.text); // by the policy in it
      expect((await page.textContent("#shown")).replaceAll(" ", "") === config.fingerprint, "another fingerprint is shown");
      await page.fill("#known", config.fingerprint);
      await page.click(".compare button");
      await page.waitForSelector(".verdict.verified", { timeout: 60_000 });
      r = await judge(page, "tampered/printed.pdf");
      expect(r.kind === "refused" && r.text.includes(w.altered), r.text);
      await page.setInputFiles("#folder", file("case"));
      r = await outcome(page);
      expect(r.kind === "verified", r.text);
      await page.click(".chain > li:first-child summary");
      await page.waitForSelector(".chain .picture svg");
      expect((await page.innerText(".chain")).includes("Example Evidence Centre"), "the certificate of the deposit is not told");
      await looked(page, "6-bundle");
      await fine();
      await context.close();
    });
  }
}

await check("a number that is none", async () => {
  for (const hash of ["#certificate=<img src=x onerror=alert(1)>", "#certificate=1", "#x"]) {
    const { page, fine, context } = await online({ lang: "en" }, hash);
    expect(await page.isHidden("#came"), hash);
    await fine();
    await context.close();
  }
  const { page, fine, context } = await online({ lang: "en" });
  await page.evaluate((n) => { location.hash = "certificate=" + n; }, config.number);
  await page.waitForSelector("#came:visible");
  await fine();
  await context.close();
});

await browser.close();
