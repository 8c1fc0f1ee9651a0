package certificate

import (
	"bytes"
	"encoding/pem"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/muniment/muniment/proofs"
)

// tool runs a stranger's program.
func tool(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	c := exec.CommandContext(t.Context(), name, args...)
	c.Dir = dir
	c.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "TZ=UTC", "HOME="+dir)
	out, err := c.CombinedOutput()
	if err != nil {
		t.Errorf("%s %s: %v (make deps installs it)\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

func write(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestStrangersReadCertificates: the tools of Debian read each kind of certificate, find its
// signature valid and over the whole file, take the files out, read the text and the code.
func TestStrangersReadCertificates(t *testing.T) {
	a, client := authority(t, soon)
	for n, lang := range languages {
		for m, profile := range profiles {
			t.Run(string(lang)+" "+string(profile), func(t *testing.T) {
				t.Parallel()
				dir := t.TempDir()
				h := newHouse(origin, "court.example/witness")
				h.stamps = a
				in := input(h, 300)
				in.Language, in.Profile, in.Document, in.Logo = lang, profile, []byte(contract), logoPNG(90, 30)
				key, certs := chain(t, (n+m)%2 == 0)
				signer := must(NewSigner(key, certs, client))
				in.Signer = signer.Signed()
				made := must(Make(in))
				pdf := must(signer.Sign(t.Context(), made, in.Issued))
				write(t, filepath.Join(dir, "c.pdf"), pdf)

				if said := tool(t, dir, "qpdf", "--check", "c.pdf"); !strings.Contains(said, "No syntax or stream encoding errors found") {
					t.Error(said)
				}
				said := tool(t, dir, "pdfsig", "c.pdf")
				for _, want := range []string{"Signature is Valid.", "Total document signed", "ETSI.CAdES.detached", "SHA-256", "Nov 26 2026 08:30:00"} {
					if !strings.Contains(said, want) {
						t.Errorf("pdfsig does not say %q:\n%s", want, said)
					}
				}
				extracted(t, dir, in)
				printed(t, dir, in, made)
				codes(t, dir, in, made)
				cms(t, dir, pdf, a.Root.Raw, certs[len(certs)-1].Raw)
			})
		}
	}
}

// extracted: pdfdetach finds every file, and what it saves verifies.
func extracted(t *testing.T, dir string, in Input) {
	t.Helper()
	out := filepath.Join(dir, "files")
	if err := os.Mkdir(out, 0o700); err != nil {
		t.Fatal(err)
	}
	tool(t, dir, "pdfdetach", "-saveall", "-o", out, "c.pdf")
	for name, want := range map[string][]byte{receiptName: in.Receipt, policyName: in.Policy, factsName: in.Facts, rootsName: in.Roots, logoName: in.Logo, "document.txt": []byte(contract)} {
		if got, err := os.ReadFile(filepath.Join(out, name)); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s comes out as another: %v", name, err)
		}
	}
	receipt := must(proofs.ParseReceipt(must(os.ReadFile(filepath.Join(out, receiptName)))))
	document := must(os.Open(filepath.Join(out, "document.txt")))
	defer document.Close()
	e, err := proofs.NewVerifier(must(proofs.ParsePolicy(in.Policy))).Verify(receipt, document)
	if err != nil || e.Outcome() != proofs.Verified || e.Document != proofs.DocumentMatches {
		t.Errorf("what pdfdetach saved: %v %v", e.Reason, err)
	}
	if said := tool(t, out, "openssl", "ts", "-verify", "-in", "timestamp-1.tst", "-token_in", "-data", checkpointName, "-CAfile", rootsName); !strings.Contains(said, "Verification: OK") {
		t.Error(said)
	}
}

// printed: the text can be read out of the pages, in both scripts.
func printed(t *testing.T, dir string, in Input, made *Certificate) {
	t.Helper()
	text := tool(t, dir, "pdftotext", "-layout", "c.pdf", "-")
	flat := strings.Join(strings.Fields(text), "")
	want := []string{made.Number, in.Standing.Deposit, "示范银行股份有限公司", digest(contract), "HT-2026-000117", "1101**********1234"}
	if in.Language != Chinese {
		want = append(want, "CertificateofDeposit", "Whatisproved", "Whatisnotproved", "23November2026,10:08:44.713UTC")
	}
	if in.Language != English {
		want = append(want, "电子存证证书", "已证明的事项", "未证明的事项", "2026年11月23日18:08:44.713（北京时间UTC+08:00）")
	}
	if in.Profile == PRC && in.Language != English {
		at := -1
		for _, article := range []string{"第十六条上链后", "第十七条存证", "第十八条上链前", "第十九条技术"} {
			next := strings.Index(flat, article)
			if next <= at {
				t.Errorf("%s is not in its place", article)
			}
			at = next
		}
	}
	if in.Profile == FRE && in.Language != Chinese {
		want = append(want, "DraftcertificationunderFed.R.Evid.902(13)and902(14)")
	}
	for _, w := range want {
		if !strings.Contains(flat, w) {
			t.Errorf("pdftotext does not find %q", w)
		}
	}
	fonts := tool(t, dir, "pdffonts", "c.pdf")
	if !regexp.MustCompile(`[A-Z]{6}\+WenQuanYiMicroHei +CID TrueType +Identity-H +yes yes yes`).MatchString(fonts) || strings.Count(fonts, "\n") != 3 {
		t.Errorf("the one font is not embedded as a subset with its characters:\n%s", fonts)
	}
}

// codes: the code on the first page, as printed, opens the verify page.
func codes(t *testing.T, dir string, in Input, made *Certificate) {
	t.Helper()
	tool(t, dir, "pdftoppm", "-r", "100", "-f", "1", "-l", "1", "-png", "c.pdf", "page")
	pages, _ := filepath.Glob(filepath.Join(dir, "page*.png"))
	if len(pages) != 1 {
		t.Fatalf("%d pages are drawn", len(pages))
	}
	if said := tool(t, dir, "zbarimg", "--nodbus", "--quiet", "--raw", pages[0]); strings.TrimSpace(said) != in.VerifyURL+"#certificate="+made.Number {
		t.Errorf("the code says %q", said)
	}
}

// cms: openssl finds signature and time-stamp valid by themselves.
func cms(t *testing.T, dir string, pdf, tsaRoot, root []byte) {
	t.Helper()
	m := regexp.MustCompile(`/ByteRange\[0 (\d+) (\d+) (\d+) *\]`).FindSubmatch(pdf)
	var from, to int
	if _, err := fmt.Sscan(string(m[1])+" "+string(m[2]), &from, &to); err != nil {
		t.Fatal(err)
	}
	der := must2(element(mustHex(pdf[from+1 : to-1])))
	write(t, filepath.Join(dir, "sig.der"), der)
	write(t, filepath.Join(dir, "content"), append(bytes.Clone(pdf[:from]), pdf[to:]...))
	write(t, filepath.Join(dir, "root.pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: root}))
	write(t, filepath.Join(dir, "tsa.pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: tsaRoot}))
	at := fmt.Sprint(soon().Unix())
	if said := tool(t, dir, "openssl", "cms", "-verify", "-binary", "-inform", "DER", "-in", "sig.der", "-content", "content", "-CAfile", "root.pem", "-purpose", "any", "-attime", at, "-cades", "-out", "/dev/null"); !strings.Contains(said, "Verification successful") {
		t.Error(said)
	}
	m2 := must(parseMessage(der, [32]byte(sum(append(bytes.Clone(pdf[:from]), pdf[to:]...)))))
	write(t, filepath.Join(dir, "value"), m2.signature)
	write(t, filepath.Join(dir, "token"), m2.token)
	if said := tool(t, dir, "openssl", "ts", "-verify", "-in", "token", "-token_in", "-data", "value", "-CAfile", "tsa.pem", "-attime", at); !strings.Contains(said, "Verification: OK") {
		t.Error(said)
	}
}

// TestArchival holds the file against what ISO 19005-3 level B asks, as far as it can be seen
// without a validator.
func TestArchival(t *testing.T) {
	pdf, _, _ := signed(t, true)
	dir := t.TempDir()
	write(t, filepath.Join(dir, "c.pdf"), pdf)
	// Every object as JSON, as another program reads it.
	objects := tool(t, dir, "qpdf", "--json", "c.pdf")
	for what, form := range map[string]string{
		"an output intent of PDF/A":  `"/S": "/GTS_PDFA1"`,
		"its profile":                `"/DestOutputProfile"`,
		"associated files":           `"/AF": \[`,
		"the document as source":     `"/AFRelationship": "/Source"`,
		"the receipt as data":        `"/AFRelationship": "/Data"`,
		"a trailer ID":               `"/ID": \[`,
		"a media type for each file": `"/Subtype": "/text/plain"`,
		"a printed, locked field":    `"/F": 132`,
		"no appearance for no room":  `"/Rect": \[\s+0,\s+0,\s+0,\s+0\s+\]`,
	} {
		if !regexp.MustCompile(form).MatchString(objects) {
			t.Errorf("there is not %s", what)
		}
	}
	for what, form := range map[string]string{
		"encryption": `"/Encrypt"`, "transparency": `"/SMask"|"/CA"|"/ca"|"/BM"|"/ExtGState"`, "scripts or actions": `"/JavaScript"|"/JS"|"/OpenAction"|"/AA"|"/A":`,
		"compression that changes": `"/Filter": "/(Flate|LZW)`, "fonts from elsewhere": `"/Type1"|"/FontFile3"`, "external streams": `"/FFilter"`,
	} {
		if m := regexp.MustCompile(form).FindString(objects); m != "" && !strings.Contains(m, "Contents") {
			t.Errorf("there is %s: %s", what, m)
		}
	}
	for _, want := range []string{"<pdfaid:part>3</pdfaid:part>", "<pdfaid:conformance>B</pdfaid:conformance>", "<xmp:CreateDate>2026-11-26T08:30:00+00:00"} {
		if !bytes.Contains(pdf, []byte(want)) {
			t.Errorf("the metadata do not say %s", want)
		}
	}
	if said := tool(t, dir, "pdfinfo", "c.pdf"); !strings.Contains(said, "A4") || !strings.Contains(said, "PDF version:     1.7") {
		t.Error(said)
	}
	if string(sRGB[12:20]) != "mntrRGB " || string(sRGB[36:40]) != "acsp" || int(be.Uint32(sRGB)) != len(sRGB) {
		t.Error("the profile is no ICC profile of a monitor")
	}
}
