package service

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/notary/certificate"
	"github.com/muniment/muniment/notary/notarytest"
	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/proofs/bundle"
	"github.com/muniment/muniment/proofs/rfc3161"
	"github.com/muniment/muniment/service/auth"
)

// checked opens a bundle and judges it by the policy, nil for the one in it.
func checked(t *testing.T, data []byte, policy *proofs.Policy, timestamps ...proofs.Option) bundle.Report {
	t.Helper()
	b, err := bundle.OpenZip(bytes.NewReader(data), int64(len(data)))
	must(t, err)
	r, err := b.Check(bundle.Judge{Policy: policy, Now: time.Now(), Certificate: certificate.InBundle(nil), Options: func([]byte) ([]proofs.Option, bool) { return timestamps, len(timestamps) > 0 }})
	must(t, err)
	return r
}

// TestCaseBundle: a whole case goes out as one ZIP that verifies, to its own tenant alone,
// and as the same bytes each time.
func TestCaseBundle(t *testing.T) {
	c := newCourt(t)
	h := c.house
	h.postForm(t, form(recordPart(`{"contract.number":"HT/1"}`), documentPart("first"))).deposit(t, h, 201)
	h.postJSON(t, digestOnly(`,"contract.number":"HT/1","content.name":"../../etc/passwd"`)).deposit(t, h, 201)
	h.postForm(t, form(recordPart(`{"contract.number":"HT/1","content.name":"..\\..\\x"}`), documentPart("third"))).deposit(t, h, 201)
	h.postJSON(t, digestOnly(`,"contract.number":"HT/1"`), "Authorization", "Bearer "+h.stranger).deposit(t, h, 201)
	h.postJSON(t, digestOnly(`,"contract.number":"HT/1/bundle"`)).deposit(t, h, 201)
	_, err := h.notary.Stamp(t.Context())
	must(t, err)
	const path = "/v1/cases/HT%2F1/bundle"
	a := h.do(t, "GET", path, nil)
	if a.StatusCode != 200 || a.Header.Get("Content-Type") != "application/zip" || a.Header.Get("Content-Disposition") != "attachment; filename=\"HT_1.zip\"" {
		t.Fatalf("%d %v", a.StatusCode, a.Header)
	}
	bare := h.do(t, "GET", path+"?certificates=none", nil)
	if again := h.do(t, "GET", path+"?certificates=none", nil, "Authorization", "Bearer "+h.reader); !bytes.Equal(bare.body, again.body) {
		t.Error("the same case in other bytes")
	}
	r := checked(t, a.body, &h.policy)
	if r.Outcome() != proofs.Verified || len(r.Deposits) != 3 || r.Count != 3 || r.Contract != "HT/1" || len(r.Findings)+len(r.Missing)+len(r.Unchecked) > 0 {
		t.Fatalf("%v %+v", r.Outcome(), r.Findings)
	}
	for i, want := range []string{"documents/0001-loan.pdf", "", "documents/0003-.__.__x"} {
		if got := r.Deposits[i].Line.Document; got != want {
			t.Errorf("document %d is %q", i+1, got)
		}
	}
	roots, err := rfc3161.ParseRoots(c.roots)
	must(t, err)
	dated := checked(t, a.body, &h.policy, proofs.WithTimestamps(rfc3161.NewAuthorities(roots)))
	if e := dated.Deposits[0].Evidence; dated.Outcome() != proofs.Verified || e.Level != proofs.Stamped || e.Until.IsZero() {
		t.Errorf("%v %s: the evidence record is not there, or not used", dated.Outcome(), e.Level)
	}
	if found := checked(t, a.body, nil); found.Outcome() != proofs.Undecided || found.Policy != h.policy.Fingerprint() {
		t.Errorf("by the policy in it: %v", found.Outcome())
	}
	head := h.do(t, "HEAD", path, nil)
	if head.StatusCode != 200 || len(head.body) > 0 || head.Header.Get("Content-Type") != "application/zip" {
		t.Errorf("HEAD: %d %v", head.StatusCode, head.Header)
	}
	if r := checked(t, h.do(t, "GET", path, nil, "Authorization", "Bearer "+h.stranger).body, &h.policy); len(r.Deposits) != 1 || r.Outcome() != proofs.Verified {
		t.Errorf("another tenant's case of that number has %d deposits", len(r.Deposits))
	}
	if r := checked(t, h.do(t, "GET", "/v1/cases/HT%2F1%2Fbundle/bundle", nil).body, &h.policy); r.Contract != "HT/1/bundle" {
		t.Errorf("contract %q", r.Contract)
	}
	h.do(t, "GET", path, nil, "Authorization", "").problem(t, unauthorized)
	foreign := h.do(t, "GET", "/v1/cases/HT%2F1%2Fbundle/bundle", nil, "Authorization", "Bearer "+h.stranger)
	foreign.problem(t, notFound)
	if unknown := h.do(t, "GET", "/v1/cases/none/bundle", nil, "Authorization", "Bearer "+h.stranger); string(unknown.body) != string(foreign.body) {
		t.Errorf("%s", unknown.body)
	}
	h.do(t, "POST", path, nil).problem(t, methodNotAllowed)
}

// TestBundleBounds: one bundle at a time for each caller, and no case that is too long.
func TestBundleBounds(t *testing.T) {
	h := newHouse(t, func(c *Config) { c.MaxDocument = 64 << 20 })
	large := strings.Repeat("x", 32<<20) // more than sockets hold
	h.postForm(t, form(recordPart(`{"contract.number":"HT-1"}`), documentPart(large))).deposit(t, h, 201)
	begin := func(key string) *http.Response {
		r, err := http.NewRequestWithContext(t.Context(), "GET", h.url+"/v1/cases/HT-1/bundle", nil)
		must(t, err)
		r.Header.Set("Authorization", "Bearer "+key)
		resp, err := http.DefaultTransport.RoundTrip(r)
		must(t, err)
		return resp
	}
	slow := begin(h.depositor)
	if slow.StatusCode != 200 {
		t.Fatal(slow.Status)
	}
	again := h.do(t, "GET", "/v1/cases/HT-1/bundle", nil)
	again.problem(t, bundleUnderWay)
	if again.Header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	other := begin(h.reader)
	if other.StatusCode != 200 {
		t.Errorf("another caller: %s", other.Status)
	}
	other.Body.Close()
	data, err := io.ReadAll(slow.Body)
	must(t, err)
	slow.Body.Close()
	if r := checked(t, data, &h.policy); r.Outcome() != proofs.Verified {
		t.Errorf("%v %+v", r.Outcome(), r.Findings)
	}
	for range 100 { // the handler ends a moment after the answer
		if a := h.do(t, "GET", "/v1/cases/HT-1/bundle", nil); a.StatusCode == 200 {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	if a := h.do(t, "GET", "/v1/cases/HT-1/bundle", nil); a.StatusCode != 200 {
		t.Errorf("after the first: %d", a.StatusCode)
	}
	var lines strings.Builder
	for i := range bundle.MaxDeposits + 1 {
		fmt.Fprintf(&lines, `{"record":{"content.sha256":"%064x","contract.number":"HT-2"}}`+"\n", i)
	}
	if a := h.do(t, "POST", "/v1/deposits:batch", strings.NewReader(lines.String()), "Content-Type", ndjson, "Idempotency-Key", "long"); a.StatusCode != 201 {
		t.Fatalf("%d %.300s", a.StatusCode, a.body)
	}
	h.do(t, "GET", "/v1/cases/HT-2/bundle", nil).problem(t, caseTooLarge)
}

// TestBundleOfDamage: where a document cannot be read whole the bundle breaks off, and is no
// ZIP.
func TestBundleOfDamage(t *testing.T) {
	h := newHouse(t, func(c *Config) { c.MaxDocument = 4 << 20 })
	h.postForm(t, form(recordPart(`{"contract.number":"HT-1"}`), documentPart(strings.Repeat("x", 3<<20)))).deposit(t, h, 201)
	h.blobs.Corrupt(func(objects map[string]notarytest.Object) {
		for _, o := range objects {
			o.Content[2<<20] ^= 1
		}
	})
	r, err := http.NewRequestWithContext(t.Context(), "GET", h.url+"/v1/cases/HT-1/bundle", nil)
	must(t, err)
	r.Header.Set("Authorization", "Bearer "+h.depositor)
	resp, err := http.DefaultTransport.RoundTrip(r)
	must(t, err)
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err == nil {
		t.Errorf("%d bytes come to a good end", len(data))
	}
	if _, err := bundle.OpenZip(bytes.NewReader(data), int64(len(data))); err == nil {
		t.Error("what broke off is a bundle")
	}
	if !strings.Contains(h.log.String(), "problem=damaged") {
		t.Error("nobody is told of the damage")
	}
}

// TestBundleOfGaps: what was erased is a gap in the bundle, and the rest goes on.
func TestBundleOfGaps(t *testing.T) {
	h := newHouse(t)
	var second string
	for i := range 3 {
		d, _ := h.postForm(t, form(recordPart(`{"contract.number":"HT-1"}`), documentPart(fmt.Sprint("document ", i)))).deposit(t, h, 201)
		if i == 1 {
			second = d.Id
		}
	}
	h.erase(t, second)
	r := checked(t, h.do(t, "GET", "/v1/cases/HT-1/bundle", nil).body, &h.policy)
	if r.Outcome() != proofs.Undecided || len(r.Findings) > 0 || fmt.Sprint(r.Missing) != "[[2 2]]" || len(r.Deposits) != 2 {
		t.Errorf("%v %+v %v", r.Outcome(), r.Findings, r.Missing)
	}
}

// erase has two of the tenant's staff erase a deposit.
func (h *house) erase(t *testing.T, id string) {
	t.Helper()
	reader, err := h.ledger.APIKey(t.Context(), auth.Hash(h.reader))
	must(t, err)
	for _, key := range []string{h.reader, h.key(t, reader.Tenant, notary.Compliance)} {
		a := h.do(t, "POST", "/v1/deposits/"+id+"/erasure", strings.NewReader(`{"reason":"retention is over"}`), "Content-Type", "application/json", "Idempotency-Key", key, "Authorization", "Bearer "+key)
		if a.StatusCode/100 != 2 {
			t.Fatalf("%d %s", a.StatusCode, a.body)
		}
	}
}

// TestBundleForCourts: a court to which a case was opened, and an auditor of the tenant, fetch
// its bundle; everyone else is told what is told of a case that never was.
func TestBundleForCourts(t *testing.T) {
	h := newHouse(t)
	h.postForm(t, form(recordPart(`{"contract.number":"HT-1"}`), documentPart("first"))).deposit(t, h, 201)
	lender, court := h.tenantOf(t, h.depositor), h.tenant(t, "Court")
	judge, auditor := bearer(h.key(t, court, notary.Court)), bearer(h.supervisor(t, lender))
	at := "?tenant=" + lender.String()
	never := h.do(t, "GET", "/v1/cases/none/bundle"+at, nil, judge...)
	if a := h.do(t, "GET", "/v1/cases/HT-1/bundle"+at, nil, judge...); a.StatusCode != 404 || string(a.body) != string(never.body) {
		t.Errorf("before it is opened: %d %s", a.StatusCode, a.body)
	}
	body := fmt.Sprintf(`{"to":%q,"until":%q,"reason":"trial"}`, court, in(time.Hour))
	if a := h.sendJSON(t, "/v1/cases/HT-1/grants", body, append([]string{"Idempotency-Key", "g"}, bearer(h.reader)...)...); a.StatusCode != 201 {
		t.Fatalf("%d %s", a.StatusCode, a.body)
	}
	for what, who := range map[string][]string{"court": judge, "auditor": auditor} {
		a := h.do(t, "GET", "/v1/cases/HT-1/bundle"+at, nil, who...)
		if a.StatusCode != 200 {
			t.Errorf("%s: %d %s", what, a.StatusCode, a.body)
			continue
		}
		if r := checked(t, a.body, &h.policy); r.Outcome() != proofs.Verified || len(r.Deposits) != 1 || r.Deposits[0].Line.Document == "" {
			t.Errorf("%s: %v %+v", what, r.Outcome(), r.Findings)
		}
	}
	h.do(t, "GET", "/v1/cases/HT-1/bundle", nil, bearer(h.operator(t))...).problem(t, forbidden)
}

// TestBundleUnsignedCertificates: a depository without a key for them puts in certificates that
// say that nobody signed them.
func TestBundleUnsignedCertificates(t *testing.T) {
	h := newHouse(t)
	h.postForm(t, form(recordPart(`{"contract.number":"HT-1"}`), documentPart("first"))).deposit(t, h, 201)
	whole := h.do(t, "GET", "/v1/cases/HT-1/bundle", nil).body
	r := checked(t, whole, &h.policy)
	if r.Outcome() != proofs.Verified || len(r.Deposits) != 1 || r.Deposits[0].Paper == nil || r.Deposits[0].Paper.Signer != "" {
		t.Fatalf("%v %+v", r.Outcome(), r)
	}
	c, err := certificate.Check(inZip(t, whole, "certificates/0001.pdf"), nil)
	if err != nil || c.Signature != nil {
		t.Errorf("%+v, %v", c, err)
	}
	if r := checked(t, altered(t, whole, "certificates/0001.pdf"), &h.policy); r.Outcome() != proofs.Refused {
		t.Errorf("altered: %v", r.Outcome())
	}
}

// TestBundleCertificates: where the depository has a key for certificates a bundle has one of each
// deposit, in the language and profile that was asked for, of the very receipt beside it; it is
// whole or none.
func TestBundleCertificates(t *testing.T) {
	h := newHouse(t, func(c *Config) {
		c.Certificates = Certificates{Signer: signingKey(t, 1000*time.Hour), Language: certificate.Chinese, VerifyURL: "https://depository.example/verify"}
	})
	h.postForm(t, form(recordPart(`{"contract.number":"HT-1"}`), documentPart("first"))).deposit(t, h, 201)
	second, _ := h.postForm(t, form(recordPart(`{"contract.number":"HT-1"}`), documentPart("second"))).deposit(t, h, 201)
	h.postJSON(t, digestOnly(`,"contract.number":"HT-1"`)).deposit(t, h, 201)
	const path = "/v1/cases/HT-1/bundle"
	for query, want := range map[string]certificate.Issue{
		"": {Language: certificate.Chinese, Profile: certificate.Plain}, "?lang=both": {Language: certificate.Both, Profile: certificate.Plain},
		"?lang=en&profile=prc": {Language: certificate.English, Profile: certificate.PRC},
	} {
		a := h.do(t, "GET", path+query, nil)
		if a.StatusCode != 200 {
			t.Fatalf("%s: %d %s", query, a.StatusCode, a.body)
		}
		r := checked(t, a.body, &h.policy)
		if r.Outcome() != proofs.Verified || len(r.Deposits) != 3 || len(r.Unchecked) > 0 {
			t.Fatalf("%s: %v %+v", query, r.Outcome(), r.Findings)
		}
		for i, d := range r.Deposits {
			if d.Paper == nil || d.Paper.Signer != "Example Evidence Centre" || string(d.Paper.Receipt.Marshal()) != string(d.Receipt.Marshal()) {
				t.Errorf("%s: certificate %d is %+v", query, i+1, d.Paper)
			}
		}
		c, err := certificate.Check(inZip(t, a.body, "certificates/0002.pdf"), nil)
		must(t, err)
		if c.Language != want.Language || c.Profile != want.Profile || c.Document != nil || c.Standing.Deposit != second.Id {
			t.Errorf("%s: %+v", query, c.Issue)
		}
	}
	none := h.do(t, "GET", path+"?certificates=none", nil).body
	if r := checked(t, none, &h.policy); r.Outcome() != proofs.Verified || r.Deposits[0].Paper != nil || !strings.Contains(string(inZip(t, none, "manifest.json")), `"certificates": "none"`) {
		t.Errorf("without: %v %+v", r.Outcome(), r.Findings)
	}
	for _, query := range []string{"?lang=fr", "?profile=", "?certificates=all"} {
		h.do(t, "GET", path+query, nil).problem(t, invalidSearch)
	}
	bad := altered(t, h.do(t, "GET", path, nil).body, "certificates/0001.pdf")
	if r := checked(t, bad, &h.policy); r.Outcome() != proofs.Refused {
		t.Errorf("altered: %v", r.Outcome())
	}
	h.erase(t, second.Id)
	if r := checked(t, h.do(t, "GET", path, nil).body, &h.policy); r.Outcome() != proofs.Undecided || len(r.Findings) > 0 || len(r.Deposits) != 2 || r.Deposits[1].Paper == nil {
		t.Errorf("with a gap: %v %+v", r.Outcome(), r.Findings)
	}
}

// TestBundleCannotBeSigned: who cannot have certificates is told before anything is sent, and may
// have the bundle without.
func TestBundleCannotBeSigned(t *testing.T) {
	h := newHouse(t, func(c *Config) { c.Certificates = Certificates{Signer: signingKey(t, time.Minute)} })
	h.postForm(t, form(recordPart(`{"contract.number":"HT-1"}`), documentPart("first"))).deposit(t, h, 201)
	a := h.do(t, "GET", "/v1/cases/HT-1/bundle", nil)
	a.problem(t, signing)
	if a.Header.Get("Content-Disposition") != "" {
		t.Errorf("%v", a.Header)
	}
	if r := checked(t, h.do(t, "GET", "/v1/cases/HT-1/bundle?certificates=none", nil).body, &h.policy); r.Outcome() != proofs.Verified {
		t.Errorf("%v %+v", r.Outcome(), r.Findings)
	}
}

// inZip is a file of a bundle.
func inZip(t *testing.T, data []byte, name string) []byte {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	must(t, err)
	f, err := z.Open(name)
	must(t, err)
	defer f.Close()
	content, err := io.ReadAll(f)
	must(t, err)
	return content
}

// TestBundleOfManyCertificates: of a long case one certificate at a time is in memory, and the
// answer goes on while they are made.
func TestBundleOfManyCertificates(t *testing.T) {
	h := newHouse(t, func(c *Config) { c.Certificates = Certificates{Signer: signingKey(t, 1000*time.Hour)} })
	const deposits = 300
	var lines strings.Builder
	for i := range deposits {
		fmt.Fprintf(&lines, `{"record":{"content.sha256":"%064x","contract.number":"HT-1"}}`+"\n", i)
	}
	if a := h.do(t, "POST", "/v1/deposits:batch", strings.NewReader(lines.String()), "Content-Type", ndjson, "Idempotency-Key", "long"); a.StatusCode != 201 {
		t.Fatalf("%d %.300s", a.StatusCode, a.body)
	}
	r, err := http.NewRequestWithContext(t.Context(), "GET", h.url+"/v1/cases/HT-1/bundle", nil)
	must(t, err)
	r.Header.Set("Authorization", "Bearer "+h.depositor)
	resp, err := http.DefaultTransport.RoundTrip(r)
	must(t, err)
	defer resp.Body.Close()
	f, err := os.Create(filepath.Join(t.TempDir(), "case.zip"))
	must(t, err)
	defer f.Close()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	before, most, longest, last := m.HeapInuse, uint64(0), time.Duration(0), time.Now()
	begun, buffer, size := time.Now(), make([]byte, 256<<10), int64(0)
	for err == nil {
		var n int
		n, err = resp.Body.Read(buffer)
		_, _ = f.Write(buffer[:n])
		size += int64(n)
		longest, last = max(longest, time.Since(last)), time.Now()
		runtime.ReadMemStats(&m)
		most = max(most, m.HeapInuse-min(before, m.HeapInuse))
	}
	t.Logf("%d certificates in %s, %d KiB; %d MiB of heap; the longest pause %s", deposits, time.Since(begun), size>>10, most>>20, longest)
	if !errors.Is(err, io.EOF) || most > 64<<20 || longest > 5*time.Second {
		t.Errorf("%v, %d MiB of heap, a pause of %s", err, most>>20, longest)
	}
	b, err := bundle.OpenZip(f, size)
	must(t, err)
	report, err := b.Check(bundle.Judge{Policy: &h.policy, Now: time.Now(), Options: func([]byte) ([]proofs.Option, bool) { return nil, false }})
	must(t, err)
	if report.Outcome() != proofs.Verified || len(report.Deposits) != deposits || len(report.Unchecked) != deposits {
		t.Errorf("%v %d deposits, %d certificates: %+v", report.Outcome(), len(report.Deposits), len(report.Unchecked), report.Findings)
	}
}
