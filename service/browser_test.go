package service

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/notary/certificate"
	"github.com/muniment/muniment/notary/cosign"
	"github.com/muniment/muniment/notary/notarytest"
	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/proofs/rfc3161"
	"github.com/muniment/muniment/proofs/rfc3161/rfc3161test"
	"github.com/muniment/muniment/service/verifypage"
)

// court is a house with a witness and a time-stamp authority, whose files lie in a folder for
// a browser to choose.
type court struct {
	*house
	dir   string
	roots []byte
}

func newCourt(t *testing.T) *court { return newCourtWith(t) }

func newCourtWith(t *testing.T, change ...func(*Config)) *court {
	t.Helper()
	a := rfc3161test.New("Time Authority", time.Now, 20*365*24*time.Hour, 5*365*24*time.Hour)
	c := &court{dir: t.TempDir(), roots: rfc3161test.RootsPEM(a)}
	roots, err := rfc3161.ParseRoots(c.roots)
	must(t, err)
	c.house = newHouseOn(t, func(n *notary.Config) {
		w := notarytest.NewWitness("court", n.Policy.Logs[0], time.Now)
		policy, err := proofs.ParsePolicy([]byte("log " + n.Policy.Logs[0].String() + "\n" + w.Line() + "quorum court\n"))
		must(t, err)
		client, err := cosign.New(cosign.Config{Policy: policy, Transport: notarytest.Transport{w}, Logger: slog.New(slog.DiscardHandler)})
		must(t, err)
		t.Cleanup(client.Close)
		n.Policy, n.Witnesses = policy, client
		n.Timestamps = &notary.Timestamps{Authorities: []notary.TimestampAuthority{timed{a}}, Checker: rfc3161.NewAuthorities(roots)}
	}, append([]func(*Config){func(s *Config) {
		s.TimestampRoots = c.roots
		s.Certificates = Certificates{
			Signer: signingKey(t, 1000*time.Hour, timed{a}), Language: certificate.Chinese, Roots: c.roots, VerifyURL: "https://depository.example/verify",
		}
	}}, change...)...)
	return c
}

// file writes a file of the court and returns its path.
func (c *court) file(t *testing.T, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(c.dir, name)
	must(t, os.MkdirAll(filepath.Dir(path), 0o777))
	must(t, os.WriteFile(path, data, 0o666))
	return path
}

// flipped is data with one bit in its middle changed.
func flipped(data []byte) []byte {
	out := bytes.Clone(data)
	out[len(out)/2] ^= 1
	return out
}

// receipt fetches the receipt of a deposit.
func (c *court) receipt(t *testing.T, id string) []byte {
	t.Helper()
	a := c.do(t, "GET", "/v1/deposits/"+id+"/receipt", nil)
	if a.StatusCode != 200 {
		t.Fatalf("%d %s", a.StatusCode, a.body)
	}
	return a.body
}

// largeDocument is the size of the document that must not freeze the page.
const largeDocument = 200 << 20

// large makes a document of holes, and a receipt of its digest.
func (c *court) large(t *testing.T) {
	t.Helper()
	path := c.file(t, "large.bin", nil)
	must(t, os.Truncate(path, largeDocument))
	f, err := os.Open(path)
	must(t, err)
	defer f.Close()
	digest := sha256.New()
	_, err = io.Copy(digest, f)
	must(t, err)
	d, _ := c.postJSON(t, fmt.Sprintf(`{"record":{"content.sha256":"%x","content.size":%d}}`, digest.Sum(nil), largeDocument)).deposit(t, c.house, 201)
	c.file(t, "large.bin.tlog-proof", c.receipt(t, d.Id))
}

// browse runs a script of testdata in a real browser. It must call every check by a name, and
// tell how each went; what it shows is kept where MUNIMENT_SCREENSHOTS says, or nowhere.
func browse(t *testing.T, script string, config map[string]any) {
	t.Helper()
	cache, err := os.UserCacheDir()
	must(t, err)
	modules := filepath.Join(cache, "muniment", "playwright-core-1.64.1-axe-core-4.11.1", "node_modules")
	if _, err := os.Stat(modules); err != nil {
		t.Fatalf("`make deps` fetches the browser's driver: %v", err)
	}
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatalf("`make deps` installs the browser: %v", err)
	}
	config["modules"], config["chromium"] = modules, chromium
	config["screenshots"] = os.Getenv("MUNIMENT_SCREENSHOTS")
	if config["screenshots"] == "" {
		config["screenshots"] = t.TempDir()
	}
	data, err := json.Marshal(config)
	must(t, err)
	cmd := exec.CommandContext(t.Context(), "node", filepath.Join("testdata", script))
	cmd.Stdin = bytes.NewReader(data)
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	err = cmd.Run()
	checks := 0
	for in := json.NewDecoder(&out); ; checks++ {
		var check struct {
			Name, Error string
			Notes       []string
		}
		if err := in.Decode(&check); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("%v\n%s%s", err, out.String(), said.String())
		}
		t.Run(check.Name, func(t *testing.T) {
			for _, n := range check.Notes {
				t.Log(n)
			}
			if check.Error != "" {
				t.Error(check.Error)
			}
		})
	}
	if err != nil || checks == 0 {
		t.Fatalf("%d checks, %v\n%s", checks, err, said.String())
	}
}

// TestScriptsParse: of a script that does not parse a browser's tests tell nothing but that
// they waited in vain.
func TestScriptsParse(t *testing.T) {
	scripts, err := filepath.Glob("*/page/*.js")
	must(t, err)
	if len(scripts) < 3 {
		t.Fatalf("only %q", scripts)
	}
	for _, script := range scripts {
		if out, err := exec.CommandContext(t.Context(), "node", "--check", script).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", script, err, out)
		}
	}
}

// TestVerifyPageInBrowser: a judge at the page, in both languages, at a desk and on a phone.
func TestVerifyPageInBrowser(t *testing.T) {
	c := newCourt(t)
	document, err := os.ReadFile("../cmd/muniment/testdata/case/loan-contract-zh.pdf")
	must(t, err)
	if a := c.do(t, "POST", "/v1/deposits:batch", strings.NewReader(batchOf(37)), "Content-Type", ndjson, "Idempotency-Key", "before"); a.StatusCode != 201 {
		t.Fatalf("%d %s", a.StatusCode, a.body)
	}
	d, _ := c.postForm(t, form(recordPart(`{"contract.number":"HT-2026-000117"}`), documentPart(string(document)))).deposit(t, c.house, 201)
	hostile := "<img src=x onerror=alert(1)>\u202egpj.exe"
	quoted, _ := json.Marshal(hostile)
	other, _ := c.postJSON(t, digestOnly(`,"contract.number":`+string(quoted))).deposit(t, c.house, 201)
	if a := c.do(t, "POST", "/v1/deposits:batch", strings.NewReader(batchOf(50)), "Content-Type", ndjson, "Idempotency-Key", "after"); a.StatusCode != 201 {
		t.Fatalf("%d %s", a.StatusCode, a.body)
	}
	c.large(t)
	_, err = c.notary.Stamp(t.Context())
	must(t, err)
	receipt := c.receipt(t, d.Id)
	stranger := newHouse(t)

	c.file(t, "loan-contract-zh.pdf", document)
	c.file(t, "loan-contract-zh.pdf.tlog-proof", receipt)
	c.file(t, "hello.txt", []byte("hello"))
	c.file(t, "hello.txt.tlog-proof", c.receipt(t, other.Id))
	c.file(t, "policy", []byte(c.policy.String()))
	c.file(t, "roots.pem", c.roots)
	c.file(t, "tampered/loan-contract-zh.pdf", flipped(document))
	c.file(t, "tampered/loan-contract-zh.pdf.tlog-proof", bytes.Replace(receipt, []byte("\nindex 38\n"), []byte("\nindex 39\n"), 1))
	c.file(t, "tampered/policy", bytes.Replace([]byte(c.policy.String()), []byte("quorum"), []byte("qourum"), 1))
	c.file(t, "stranger/policy", []byte(stranger.policy.String()))
	browse(t, "verifypage.mjs", map[string]any{
		"url": c.url, "dir": c.dir, "fingerprint": c.policy.Fingerprint(), "large": largeDocument,
	})
}

// unzip lays a bundle out in a folder of the court, as a judge's computer does.
func (c *court) unzip(t *testing.T, name string, data []byte) {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	must(t, err)
	for _, f := range z.File {
		r, err := f.Open()
		must(t, err)
		content, err := io.ReadAll(r)
		must(t, err)
		c.file(t, filepath.Join(name, f.Name), content)
	}
}

// altered is a bundle with one bit of one of its files changed, and packed anew.
func altered(t *testing.T, data []byte, name string) []byte {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	must(t, err)
	var b bytes.Buffer
	out, found := zip.NewWriter(&b), false
	for _, f := range z.File {
		r, err := f.Open()
		must(t, err)
		content, err := io.ReadAll(r)
		must(t, err)
		if f.Name == name {
			content, found = flipped(content), true
		}
		w, err := out.Create(f.Name)
		must(t, err)
		_, err = w.Write(content)
		must(t, err)
	}
	must(t, out.Close())
	if !found {
		t.Fatalf("there is no %s", name)
	}
	return b.Bytes()
}

// TestBundleInBrowser: a case bundle opened from a disk, without a network, and dropped onto
// the public page.
func TestBundleInBrowser(t *testing.T) {
	c := newCourt(t)
	var ids []string
	for i, name := range []string{"loan-contract-zh.pdf", "disbursement-voucher-zh.pdf", "repayments-HT-2026-000117.csv", "loan-agreement-en.pdf"} {
		content, err := os.ReadFile(filepath.Join("../cmd/muniment/testdata/case", name))
		must(t, err)
		d, _ := c.postForm(t, form(recordPart(`{"contract.number":"HT-2026-000117","content.name":"`+name+`"}`), documentPart(string(content)))).deposit(t, c.house, 201)
		ids = append(ids, d.Id)
		if a := c.do(t, "POST", "/v1/deposits:batch", strings.NewReader(batchOf(9+i)), "Content-Type", ndjson, "Idempotency-Key", name); a.StatusCode != 201 {
			t.Fatalf("%d %s", a.StatusCode, a.body)
		}
	}
	c.postJSON(t, digestOnly(`,"contract.number":"HT-2026-000117","content.name":"催收记录.mp3"`)).deposit(t, c.house, 201)
	_, err := c.notary.Stamp(t.Context())
	must(t, err)
	fetch := func() []byte {
		a := c.do(t, "GET", "/v1/cases/HT-2026-000117/bundle", nil)
		if a.StatusCode != 200 {
			t.Fatalf("%d %s", a.StatusCode, a.body)
		}
		return a.body
	}
	whole := fetch()
	c.erase(t, ids[1])
	gap := fetch()
	stranger := newHouse(t)
	c.file(t, "policy", []byte(c.policy.String()))
	c.file(t, "stranger/policy", []byte(stranger.policy.String()))
	c.file(t, "roots.pem", c.roots)
	c.file(t, "case.zip", whole)
	c.file(t, "gap.zip", gap)
	c.file(t, "cut.zip", whole[:len(whole)-100])
	names := []string{"documents/0001-loan-contract-zh.pdf", "receipts/0003.tlog-proof", "certificates/0004.pdf", "manifest.json", "policy"}
	for i, name := range names {
		c.file(t, fmt.Sprintf("altered-%d.zip", i), altered(t, whole, name))
	}
	c.unzip(t, "case", whole)
	c.file(t, "loose/loan.pdf", []byte("x"))
	t.Logf("the page in the bundle has %d bytes, the bundle %d", len(verifypage.Bundle()), len(whole))
	browse(t, "bundle.mjs", map[string]any{
		"url": c.url, "dir": c.dir, "page": "file://" + filepath.Join(c.dir, "case/verify.html"), "fingerprint": c.policy.Fingerprint(), "altered": names,
	})
}

// certificate fetches a certificate of a deposit, and its number.
func (c *court) certificate(t *testing.T, id, query string) (number string, pdf []byte) {
	t.Helper()
	a := c.do(t, "GET", "/v1/deposits/"+id+"/certificate"+query, nil)
	return certified(t, a).Number, a.body
}

// TestCertificateInBrowser: a certificate at the public page, to which its code has led, and at
// the page in a bundle.
func TestCertificateInBrowser(t *testing.T) {
	c := newCourt(t)
	document, err := os.ReadFile("../cmd/muniment/testdata/case/loan-contract-zh.pdf")
	must(t, err)
	const record = `{"contract.number":"HT-2026-000117","content.name":"loan-contract-zh.pdf"}`
	d, _ := c.postForm(t, form(recordPart(record), documentPart(string(document)))).deposit(t, c.house, 201)
	if a := c.do(t, "POST", "/v1/deposits:batch", strings.NewReader(batchOf(37)), "Content-Type", ndjson, "Idempotency-Key", "others"); a.StatusCode != 201 {
		t.Fatalf("%d %s", a.StatusCode, a.body)
	}
	_, err = c.notary.Stamp(t.Context())
	must(t, err)
	number, plain := c.certificate(t, d.Id, "")
	other, with := c.certificate(t, d.Id, "?document=embed&lang=both&profile=prc")
	stranger := newHouse(t)
	c.file(t, "certificate.pdf", plain)
	c.file(t, "with-document.pdf", with)
	c.file(t, "loan-contract-zh.pdf", document)
	c.file(t, "loan-contract-zh.pdf.tlog-proof", c.receipt(t, d.Id))
	c.file(t, "tampered/loan-contract-zh.pdf", flipped(document))
	c.file(t, "tampered/printed.pdf", bytes.Replace(plain, []byte("BT /F 25 Tf"), []byte("BT /F 24 Tf"), 1))
	c.file(t, "tampered/header.pdf", bytes.Replace(plain, []byte("%muniment/certificate"), []byte("%muniment/certificatf"), 1))
	c.file(t, "tampered/cut.pdf", plain[:len(plain)-1])
	c.file(t, "newer.pdf", bytes.Replace(plain, []byte(`"template": 1`), []byte(`"template": 2`), 1))
	c.file(t, "policy", []byte(c.policy.String()))
	c.file(t, "stranger/policy", []byte(stranger.policy.String()))
	c.file(t, "roots.pem", c.roots)
	a := c.do(t, "GET", "/v1/cases/HT-2026-000117/bundle", nil)
	if a.StatusCode != 200 {
		t.Fatalf("%d %s", a.StatusCode, a.body)
	}
	c.unzip(t, "case", a.body)
	browse(t, "certificate.mjs", map[string]any{
		"url": c.url, "dir": c.dir, "page": "file://" + filepath.Join(c.dir, "case/verify.html"), "fingerprint": c.policy.Fingerprint(), "number": number, "other": other,
	})
}
