package service

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/notary/notarytest"
	"github.com/muniment/muniment/proofs"
)

const helloSHA256 = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824" // of "hello"

func digestOnly(members string) string {
	return `{"record":{"content.sha256":"` + helloSHA256 + `"` + members + `}}`
}

func TestDepositDigest(t *testing.T) {
	h := newHouse(t)
	a := h.postJSON(t, digestOnly(`,"contract.number":"贷-1","terms.term":9007199254740991,"label.x":"<&>"`))
	d, receipt := a.deposit(t, h, 201)
	if got := a.Header.Get("Location"); got != "/v1/deposits/"+d.Id {
		t.Errorf("Location %q", got)
	}
	if d.Kind != "deposit" || d.Index != 1 {
		t.Errorf("deposit %+v", d)
	}
	record, err := proofs.ParseMembers(string(d.Record))
	must(t, err)
	for name, want := range map[string]string{
		"content.sha256": `"` + helloSHA256 + `"`, "content.held": "false", "contract.number": `"贷-1"`, "case.seq": "1",
		"terms.term": "9007199254740991", "label.x": `"<&>"`, "id": `"` + d.Id + `"`, "tenant.name": `"First Bank"`,
	} {
		if v, _ := record.Get(name); v.JSON() != want {
			t.Errorf("%s = %s, want %s", name, v.JSON(), want)
		}
	}
	if len(record) != len(receipt.Disclosures) {
		t.Error("record and receipt differ")
	}
	again, _ := h.do(t, "GET", "/v1/deposits/"+d.Id, nil).deposit(t, h, 200)
	if again.Id != d.Id || again.Leaf != d.Leaf || string(again.Record) != string(d.Record) {
		t.Errorf("read again: %+v", again)
	}
}

func TestDepositDocument(t *testing.T) {
	h := newHouse(t)
	for name, test := range map[string]struct {
		record, content string
		header          []string
		want            map[string]string
	}{
		"names from the part": {"{}", "hello", nil, map[string]string{
			"content.name": `"loan.pdf"`, "content.type": `"application/pdf"`, "content.size": "5", "content.held": "true", "content.sha256": `"` + helloSHA256 + `"`}},
		"names from the record": {`{"content.name":"a","content.type":"b/c"}`, "hello", nil,
			map[string]string{"content.name": `"a"`, "content.type": `"b/c"`}},
		"no names": {"{}", "hello", []string{"Content-Disposition", `form-data; name="document"`},
			map[string]string{"content.name": "", "content.type": ""}},
		"empty":   {`{"content.size":0}`, "", nil, map[string]string{"content.size": "0"}},
		"largest": {`{"label.a":"b"}`, strings.Repeat("x", 1<<20), nil, map[string]string{"content.size": "1048576"}},
		"a boundary within": {`{}`, "a\r\n--" + boundary + "x\r\nb\r\n--", nil,
			map[string]string{"content.size": "35"}},
	} {
		document := documentPart(test.content)
		if test.header != nil {
			document.header = test.header
		}
		d, _ := h.postForm(t, form(recordPart(test.record), document)).deposit(t, h, 201)
		record, err := proofs.ParseMembers(string(d.Record))
		must(t, err)
		for member, want := range test.want {
			if v, _ := record.Get(member); v.JSON() != want {
				t.Errorf("%s: %s = %s, want %s", name, member, v.JSON(), want)
			}
		}
		got := h.do(t, "GET", "/v1/deposits/"+d.Id+"/document", nil)
		if string(got.body) != test.content {
			t.Errorf("%s: the document came back as %d bytes", name, len(got.body))
		}
	}
}

func TestReplay(t *testing.T) {
	h := newHouse(t)
	key := []string{"Idempotency-Key", "contract 17 ~"}
	upload := form(recordPart(`{"contract.number":"17"}`), documentPart("hello"))
	first, _ := h.postForm(t, upload, key...).deposit(t, h, 201)
	again, _ := h.postForm(t, upload, key...).deposit(t, h, 201)
	if again.Id != first.Id || again.Index != first.Index || again.Leaf != first.Leaf || again.Time != first.Time {
		t.Errorf("replay %+v, first %+v", again, first)
	}
	for name, body := range map[string]string{
		"other document": form(recordPart(`{"contract.number":"17"}`), documentPart("hallo")),
		"other record":   form(recordPart(`{"contract.number":"18"}`), documentPart("hello")),
	} {
		t.Log(name)
		h.postForm(t, body, key...).problem(t, idempotencyKeyReused)
	}
	h.postJSON(t, digestOnly(`,"contract.number":"17"`), key...).problem(t, idempotencyKeyReused)
	// The key is each tenant's own.
	other, _ := h.postForm(t, upload, append(key, "Authorization", "Bearer "+h.stranger)...).deposit(t, h, 201)
	if other.Id == first.Id {
		t.Error("one tenant's key answered with another's deposit")
	}
	h.nothingKept(t, 3, 2)
}

func TestDepositRefused(t *testing.T) {
	h := newHouse(t)
	const multi = "multipart/form-data; boundary=" + boundary
	ok := form(recordPart("{}"), documentPart("hello"))
	headed := func(name, value string) part {
		p := documentPart("hello")
		p.header = append(p.header, name, value)
		return p
	}
	for name, test := range map[string]struct {
		kind, body string
		headers    []string
		want       *problem
		detail     string // part of it
	}{
		"no key":             {multi, ok, []string{"Idempotency-Key", ""}, idempotencyKeyRequired, ""},
		"long key":           {multi, ok, []string{"Idempotency-Key", strings.Repeat("k", 256)}, idempotencyKeyRequired, ""},
		"key not ASCII":      {multi, ok, []string{"Idempotency-Key", "schlüssel"}, idempotencyKeyRequired, ""},
		"gzip":               {multi, ok, []string{"Content-Encoding", "gzip"}, unsupportedMediaType, "Content-Encoding"},
		"no content type":    {"", ok, nil, unsupportedMediaType, ""},
		"other content type": {"application/x-www-form-urlencoded", "a=b", nil, unsupportedMediaType, ""},
		"no boundary":        {"multipart/form-data", ok, nil, unsupportedMediaType, ""},
		"multipart/mixed":    {"multipart/mixed; boundary=" + boundary, ok, nil, unsupportedMediaType, ""},

		"empty JSON":         {"application/json", "", nil, malformedJSON, ""},
		"not JSON":           {"application/json", `{"record":{"a":`, nil, malformedJSON, ""},
		"JSON array":         {"application/json", `[]`, nil, malformedJSON, ""},
		"no record":          {"application/json", `{}`, nil, malformedJSON, "missing"},
		"unknown field":      {"application/json", `{"record":{"label.a":"b"},"kind":1}`, nil, malformedJSON, `"kind"`},
		"other case":         {"application/json", `{"Record":{"label.a":"b"}}`, nil, malformedJSON, `"Record"`},
		"field twice":        {"application/json", `{"record":{"label.a":"b"},"record":{"label.a":"c"}}`, nil, malformedJSON, "twice"},
		"more after":         {"application/json", digestOnly("") + "{}", nil, malformedJSON, "more"},
		"record is null":     {"application/json", `{"record":null}`, nil, invalidRecord, ""},
		"record is a list":   {"application/json", `{"record":[]}`, nil, invalidRecord, ""},
		"member twice":       {"application/json", digestOnly(`,"label.a":"b","label.a":"c"`), nil, invalidRecord, "twice"},
		"nested name twice":  {"application/json", digestOnly(`,"terms.x":{"a":1,"a":2}`), nil, invalidRecord, "twice"},
		"fraction":           {"application/json", digestOnly(`,"terms.x":1.5`), nil, invalidRecord, "amounts as strings"},
		"too large a number": {"application/json", digestOnly(`,"terms.x":9007199254740992`), nil, invalidRecord, ""},
		"null within":        {"application/json", digestOnly(`,"terms.x":null`), nil, invalidRecord, ""},
		"bad UTF-8":          {"application/json", digestOnly(",\"label.x\":\"\xff\""), nil, invalidRecord, "UTF-8"},
		"no digest":          {"application/json", `{"record":{"label.a":"b"}}`, nil, invalidRecord, "content.sha256"},
		"unknown member":     {"application/json", digestOnly(`,"contrakt.number":"1"`), nil, invalidRecord, "contract.number"},
		"our member":         {"application/json", digestOnly(`,"tenant.name":"Other Bank"`), nil, invalidRecord, "tenant.name"},
		"record too long":    {"application/json", digestOnly(`,"label.x":"` + strings.Repeat("x", 20000) + `"`), nil, invalidRecord, "bytes"},
		"JSON too large":     {"application/json", digestOnly(`,"label.x":"` + strings.Repeat("x", maxRecord) + `"`), nil, tooLarge, ""},

		"wrong digest":              {multi, form(recordPart(`{"content.sha256":"`+strings.Repeat("0", 64)+`"}`), documentPart("hello")), nil, digestMismatch, helloSHA256},
		"wrong size":                {multi, form(recordPart(`{"content.size":6}`), documentPart("hello")), nil, digestMismatch, "5 bytes"},
		"document first":            {multi, form(documentPart("hello"), recordPart("{}")), nil, malformedMultipart, "order"},
		"two records":               {multi, form(recordPart("{}"), recordPart("{}"), documentPart("hello")), nil, malformedMultipart, "order"},
		"no parts":                  {multi, "--" + boundary + "--\r\n", nil, malformedMultipart, "record is missing"},
		"record alone":              {multi, form(recordPart("{}")), nil, malformedMultipart, "document is missing"},
		"document alone":            {multi, form(documentPart("hello")), nil, malformedMultipart, "order"},
		"two documents":             {multi, form(recordPart("{}"), documentPart("hello"), documentPart("hello")), nil, malformedMultipart, "follow"},
		"an extra part":             {multi, form(recordPart("{}"), documentPart("hello"), part{name: "more"}), nil, malformedMultipart, "follow"},
		"record not JSON":           {multi, form(part{"record", "{}", []string{"Content-Type", "text/plain"}}, documentPart("hello")), nil, unsupportedMediaType, "application/json"},
		"record broken":             {multi, form(recordPart("{"), documentPart("hello")), nil, malformedJSON, ""},
		"record 65 KiB":             {multi, form(recordPart(`{"label.x":"`+strings.Repeat("x", maxRecord)+`"}`), documentPart("hello")), nil, tooLarge, ""},
		"record 10 MB":              {multi, form(recordPart(`{"label.x":"`+strings.Repeat("x", 10<<20)+`"}`), documentPart("hello")), nil, tooLarge, ""},
		"document 1 MiB and a byte": {multi, form(recordPart("{}"), documentPart(strings.Repeat("x", 1<<20+1))), nil, tooLarge, "1048576"},
		"base64 part":               {multi, form(recordPart("{}"), headed("Content-Transfer-Encoding", "base64")), nil, unsupportedMediaType, "Content-Transfer-Encoding"},
		"gzip part":                 {multi, form(recordPart("{}"), headed("Content-Encoding", "gzip")), nil, unsupportedMediaType, "Content-Encoding"},
		"name with zero":            {multi, form(recordPart("{}"), headed("Content-Type", "a/\xff")), nil, invalidRecord, "UTF-8"},
		"header too long":           {multi, form(recordPart("{}"), headed("X-Long", strings.Repeat("x", 200<<10))), nil, tooLarge, ""},
		"no last boundary":          {multi, strings.TrimSuffix(ok, "--\r\n"), nil, truncatedUpload, ""},
		"no boundary at all":        {multi, "hello", nil, truncatedUpload, ""},
		"cut in the document":       {multi, ok[:len(ok)-len(boundary)-8], nil, truncatedUpload, ""},
		"cut in the record":         {multi, ok[:len(boundary)+100], nil, truncatedUpload, ""},
		"broken part header":        {multi, "--" + boundary + "\r\nno colon\r\n\r\n", nil, malformedMultipart, ""},
	} {
		t.Run(name, func(t *testing.T) {
			p := h.post(t, test.kind, test.body, test.headers...).problem(t, test.want)
			if !strings.Contains(p.Detail, test.detail) {
				t.Errorf("detail %q does not say %q", p.Detail, test.detail)
			}
		})
	}
	h.nothingKept(t, 1, 0)
}

func TestInvalidMemberIsNamed(t *testing.T) {
	h := newHouse(t)
	if p := h.postJSON(t, digestOnly(`,"tenant.name":"x"`)).problem(t, invalidRecord); p.Member != "tenant.name" {
		t.Errorf("member %q", p.Member)
	}
	if p := h.postForm(t, form(recordPart("{}"), part{"document", "x", []string{"Content-Type", "a\xff/b"}})).problem(t, invalidRecord); p.Member != "content.type" {
		t.Errorf("member %q", p.Member)
	}
}

// TestFaults: what storage does wrong reaches the caller as the right problem, and
// nothing of its words does.
func TestFaults(t *testing.T) {
	ok := form(recordPart("{}"), documentPart("hello"))
	for name, test := range map[string]struct {
		fault func(h *house)
		want  *problem
	}{
		"put": {func(h *house) { h.blobs.Faults.Set(notarytest.Fault{Call: "Put", Kind: notarytest.Fails}) }, unavailable},
		"no room": {func(h *house) {
			h.blobs.Faults.Set(notarytest.Fault{Call: "Put", Kind: notarytest.Fails, Err: notary.ErrNoRoom})
		}, insufficientStorage},
		"append": {func(h *house) { h.ledger.Faults.Set(notarytest.Fault{Call: "Append", Kind: notarytest.Fails}) }, unavailable},
		"keys":   {func(h *house) { h.ledger.Faults.Set(notarytest.Fault{Call: "APIKey", Kind: notarytest.Fails}) }, unavailable},
		"tenant": {func(h *house) {
			h.ledger.Faults.Set(notarytest.Fault{Call: "Tenant", Kind: notarytest.Fails, Err: notary.ErrNotFound})
		}, unavailable},
	} {
		h := newHouse(t)
		test.fault(h)
		a := h.postForm(t, ok)
		t.Log(name)
		a.problem(t, test.want)
		if a.Header.Get("Retry-After") == "" {
			t.Errorf("%s: no Retry-After", name)
		}
		if strings.Contains(string(a.body), "injected") {
			t.Errorf("%s: %s", name, a.body)
		}
		if test.want.logged != strings.Contains(h.log.String(), "injected") && name != "tenant" {
			t.Errorf("%s: logged: %s", name, h.log)
		}
	}
}

// TestSealingDelayed: the deposit is committed and says so, and the key brings the
// receipt when the seal is there.
func TestSealingDelayed(t *testing.T) {
	h := newHouse(t, func(c *Config) { c.Wait = 300e6 })
	h.ledger.Faults.Choose(func(call string, nth int) notarytest.Fault {
		if call == "Publish" {
			return notarytest.Fault{Kind: notarytest.Fails}
		}
		return notarytest.Fault{}
	})
	key := []string{"Idempotency-Key", "1"}
	p := h.postJSON(t, digestOnly(""), key...).problem(t, sealingDelayed)
	if !p.Committed || p.Id == "" {
		t.Errorf("problem %+v", p)
	}
	h.do(t, "GET", "/v1/deposits/"+p.Id, nil).problem(t, sealingDelayed)
	ready := h.do(t, "GET", "/readyz", nil)
	if ready.StatusCode != 503 || strings.Contains(string(ready.body), "injected") {
		t.Errorf("readyz: %d %s", ready.StatusCode, ready.body)
	}
	h.ledger.Faults.Choose(nil)
	d, _ := h.postJSON(t, digestOnly(""), key...).deposit(t, h, 201)
	if d.Id != p.Id || d.Index != 1 {
		t.Errorf("%+v, was promised %s", d, p.Id)
	}
}

// TestIsolation: what is another's cannot be told from what is not.
func TestIsolation(t *testing.T) {
	h := newHouse(t)
	d, _ := h.postForm(t, form(recordPart("{}"), documentPart("hello"))).deposit(t, h, 201)
	unknown, err := notary.NewID(d0, rand.Reader)
	must(t, err)
	for _, suffix := range []string{"", "/receipt", "/document"} {
		foreign := h.do(t, "GET", "/v1/deposits/"+d.Id+suffix, nil, "Authorization", "Bearer "+h.stranger)
		foreign.problem(t, notFound)
		for _, id := range []string{unknown.String(), "x", strings.ToUpper(d.Id), "%20", d.Id + "%00"} {
			missing := h.do(t, "GET", "/v1/deposits/"+id+suffix, nil, "Authorization", "Bearer "+h.stranger)
			if string(missing.body) != string(foreign.body) || missing.StatusCode != foreign.StatusCode {
				t.Errorf("%s%s: %s\nforeign: %s", id, suffix, missing.body, foreign.body)
			}
			for _, a := range []answer{missing, foreign} {
				a.Header.Del("Date")
				a.Header.Del("X-Request-Id")
			}
			if len(missing.Header) != len(foreign.Header) {
				t.Errorf("%s%s: headers %v, foreign %v", id, suffix, missing.Header, foreign.Header)
			}
		}
		if a := h.do(t, "GET", "/v1/deposits/"+d.Id+suffix, nil, "Authorization", "Bearer "+h.reader); a.StatusCode != 200 {
			t.Errorf("%q: the tenant's reader: %d", suffix, a.StatusCode)
		}
	}
}

func TestRoles(t *testing.T) {
	h := newHouse(t)
	for _, role := range []notary.Role{notary.Auditor, notary.Court} {
		key := h.key(t, h.tenant(t, string(role)), role)
		h.postJSON(t, digestOnly(""), "Authorization", "Bearer "+key).problem(t, forbidden)
		h.postForm(t, form(recordPart("{}"), documentPart("hello")), "Authorization", "Bearer "+key).problem(t, forbidden)
	}
	h.nothingKept(t, 1, 0)
	h.postJSON(t, digestOnly(""), "Authorization", "Bearer "+h.reader).deposit(t, h, 201)
}

func TestUnauthorized(t *testing.T) {
	h := newHouse(t)
	unknown := "mnt_" + strings.Repeat("A", 43)
	var first string
	for _, header := range []string{"", "Bearer", "Bearer ", "Bearer " + unknown, "Basic " + h.depositor, h.depositor, "Bearer " + h.depositor + "x",
		"Bearer  " + h.depositor, "Bearer " + h.depositor[4:], "Bearer " + strings.ToUpper(h.depositor), "Bearer " + unknown[:46] + "B"} {
		for _, path := range []string{"/v1/deposits", "/v1/deposits/x", "/v1/nothing", "/v1/"} {
			a := h.do(t, "GET", path, nil, "Authorization", header)
			a.problem(t, unauthorized)
			if a.Header.Get("WWW-Authenticate") != "Bearer" {
				t.Error("no WWW-Authenticate")
			}
			if first == "" {
				first = string(a.body)
			}
			if string(a.body) != first {
				t.Errorf("%q: another body: %s", header, a.body)
			}
		}
	}
	r, _ := http.NewRequestWithContext(t.Context(), "GET", h.url+"/v1/deposits/x", nil)
	r.Header["Authorization"] = []string{"Bearer " + h.depositor, "Bearer " + h.depositor}
	send(t, r).problem(t, unauthorized)
	if a := h.do(t, "GET", "/v1/deposits/x", nil, "Authorization", "bearer "+h.depositor); a.StatusCode != 404 {
		t.Errorf("the scheme in lower case: %d", a.StatusCode)
	}
}

func TestReceiptFile(t *testing.T) {
	h := newHouse(t)
	d, old := h.postJSON(t, digestOnly("")).deposit(t, h, 201)
	h.postJSON(t, digestOnly("")).deposit(t, h, 201)
	a := h.do(t, "GET", "/v1/deposits/"+d.Id+"/receipt", nil)
	receipt, err := proofs.ParseReceipt(a.body)
	must(t, err)
	if receipt.Entry != old.Entry || string(receipt.Checkpoint) == string(old.Checkpoint) {
		t.Error("not the same entry under a newer checkpoint")
	}
	if got := a.Header.Get("Content-Disposition"); got != "attachment; filename="+d.Id+".tlog-proof" {
		t.Errorf("Content-Disposition %q", got)
	}
	if got := a.Header.Get("Content-Type"); got != "text/plain; charset=utf-8" {
		t.Errorf("Content-Type %q", got)
	}
	if got := a.Header.Get("Cache-Control"); got != "private, no-store" {
		t.Errorf("Cache-Control %q", got)
	}
	h.do(t, "GET", "/v1/deposits/"+d.Id+"/document", nil).problem(t, notHeld)
}

// FuzzUpload: what is taken for a whole upload is one when it is read all at once,
// with the same document.
func FuzzUpload(f *testing.F) {
	whole := form(recordPart(`{"label.a":"b"}`), documentPart("hello"))
	for _, s := range []string{whole, whole[:len(whole)-4], whole + whole, form(documentPart("hello"), recordPart("{}")), strings.ReplaceAll(whole, "\r", "")} {
		f.Add(s)
	}
	s := &server{Config: Config{MaxDocument: 1 << 20, Wait: time.Minute, Stall: time.Minute, Logger: discard}, metrics: newMetrics(prometheus.NewRegistry())}
	f.Fuzz(func(t *testing.T, data string) {
		routed(s.exchange(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			_, u, err := s.decodeUpload(r, boundary)
			if err != nil {
				return
			}
			document, err := io.ReadAll(u)
			if err != nil {
				return
			}
			parts := multipart.NewReader(strings.NewReader(data), boundary)
			for _, name := range []string{"record", "document"} {
				p, err := parts.NextRawPart()
				if err != nil || p.FormName() != name {
					t.Fatalf("%q: part %s: %v", data, name, err)
				}
				if content, err := io.ReadAll(p); err != nil || name == "document" && string(content) != string(document) {
					t.Fatalf("%q: %s is %q: %v", data, name, content, err)
				}
			}
			if _, err := parts.NextRawPart(); err != io.EOF || !strings.Contains(data, "\n--"+boundary+"--") {
				t.Fatalf("%q: no end: %v", data, err)
			}
		}))).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("POST", "/", strings.NewReader(data)))
	})
}

func BenchmarkDepositDigest(b *testing.B) {
	h := newHouse(b)
	handler := New(Config{Notary: h.notary, Accounts: h.ledger, Policy: h.policy, Logger: discard})
	b.SetParallelism(32)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			sum := sha256.Sum256([]byte(rand.Text()))
			r := httptest.NewRequest("POST", "/v1/deposits", strings.NewReader(
				`{"record":{"content.sha256":"`+hex.EncodeToString(sum[:])+`","contract.number":"`+rand.Text()+`"}}`))
			r.Header.Set("Authorization", "Bearer "+h.depositor)
			r.Header.Set("Content-Type", "application/json")
			r.Header.Set("Idempotency-Key", rand.Text())
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, r)
			if w.Code != 201 {
				b.Fatalf("%d: %s", w.Code, w.Body)
			}
		}
	})
}
