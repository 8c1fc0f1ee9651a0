package service

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/service/api"
)

// batchOf is a batch of n lines, each with its number as a label.
func batchOf(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `{"record":{"content.sha256":"%064x","label.line":"%d"}}`+"\n", i, i)
	}
	return b.String()
}

func (h *house) postBatch(t testing.TB, body string, headers ...string) answer {
	t.Helper()
	return h.do(t, "POST", "/v1/deposits:batch", strings.NewReader(body),
		append([]string{"Content-Type", ndjson, "Idempotency-Key", rand.Text()}, headers...)...)
}

// batch checks that the answer is a batch each of whose lines is a receipt that
// verifies, and returns the receipts.
func (a answer) batch(t testing.TB, h *house, count int) []proofs.Receipt {
	t.Helper()
	if a.StatusCode != 201 {
		t.Fatalf("status %d: %s", a.StatusCode, a.body)
	}
	head, rest, _ := strings.Cut(string(a.body), "\n")
	var top api.BatchHead
	must(t, json.Unmarshal([]byte(head), &top))
	lines := strings.SplitAfter(rest, "\n")
	if lines = lines[:len(lines)-1]; top.Count != count || len(lines) != count {
		t.Fatalf("%d lines, announced %d, want %d", len(lines), top.Count, count)
	}
	verifier := proofs.NewVerifier(h.policy)
	var out []proofs.Receipt
	for _, line := range lines {
		var l api.BatchLine
		must(t, json.Unmarshal([]byte(line), &l))
		r, err := proofs.ParseReceipt([]byte(receiptText(top.Checkpoint, l)))
		must(t, err)
		e, err := verifier.Verify(r, nil)
		must(t, err)
		if id, _ := r.Member("id"); e.Outcome() != proofs.Verified || id.JSON() != `"`+l.Id+`"` {
			t.Fatalf("line %s is %v: %s", line, e.Outcome(), e.Reason)
		}
		out = append(out, r)
	}
	return out
}

// receiptText makes a receipt of a line and the checkpoint, as any caller may.
func receiptText(checkpoint string, l api.BatchLine) string {
	entry, _ := json.Marshal(l.Entry)
	extra := `{"disclosures":` + string(l.Disclosures) + `,"entry":` + string(entry) + `,"timestamps":[]}`
	out := "c2sp.org/tlog-proof@v1\nextra " + base64Of(extra) + fmt.Sprintf("\nindex %d\n", l.Index)
	for _, h := range l.Path {
		out += h + "\n"
	}
	return out + "\n" + checkpoint
}

func TestBatch(t *testing.T) {
	h := newHouse(t)
	key := []string{"Idempotency-Key", "batch 1"}
	a := h.postBatch(t, batchOf(300), key...)
	receipts := a.batch(t, h, 300)
	for i, r := range receipts {
		line, _ := r.Member("label.line")
		if r.Index != uint64(i+1) || line.JSON() != fmt.Sprintf(`"%d"`, i) || string(r.Checkpoint) != string(receipts[0].Checkpoint) {
			t.Fatalf("line %d is entry %d, %s", i, r.Index, line.JSON())
		}
		if i%100 == 0 { // and each stands where a deposit stands
			id, _ := r.Member("id")
			text, _ := id.Text()
			d, _ := h.do(t, "GET", "/v1/deposits/"+text, nil).deposit(t, h, 200)
			if d.Index != r.Index || d.Leaf != r.Entry.LeafHash().String() {
				t.Errorf("read again: %+v", d)
			}
		}
	}
	h.postJSON(t, digestOnly("")).deposit(t, h, 201)
	again := h.postBatch(t, batchOf(300), key...).batch(t, h, 300)
	for i := range again {
		if again[i].Entry != receipts[i].Entry || again[i].Index != receipts[i].Index {
			t.Fatalf("replay: line %d is another entry", i)
		}
	}
	h.postBatch(t, batchOf(299), key...).problem(t, idempotencyKeyReused)
	h.postBatch(t, strings.Replace(batchOf(300), `"label.line":"7"`, `"label.line":"8"`, 1), key...).problem(t, idempotencyKeyReused)
	h.postJSON(t, digestOnly(""), key...).problem(t, idempotencyKeyReused)
	h.nothingKept(t, 302, 0)
}

func TestBatchMinimal(t *testing.T) {
	h := newHouse(t)
	a := h.postBatch(t, batchOf(2), "Prefer", "return=minimal")
	if a.StatusCode != 201 || strings.Contains(string(a.body), "disclosures") || a.Header.Get("Preference-Applied") != "return=minimal" {
		t.Errorf("%d %v %s", a.StatusCode, a.Header, a.body)
	}
}

// TestBatchForms: the spellings of a batch that are one.
func TestBatchForms(t *testing.T) {
	h := newHouse(t)
	line := digestOnly("")
	for name, body := range map[string]string{
		"no last LF":      line,
		"CRLF":            line + "\r\n" + line + "\r\n",
		"spaces":          " { \"record\" : {\t\"content.sha256\":\"" + helloSHA256 + "\" } } \n",
		"a long line":     `{"record":{"content.sha256":"` + helloSHA256 + `"}}` + strings.Repeat(" ", maxLine-len(line)) + "\n",
		"an escaped name": `{"\u0072ecord":{"content.sha256":"` + helloSHA256 + `"}}`,
	} {
		t.Run(name, func(t *testing.T) { h.postBatch(t, body).batch(t, h, max(1, strings.Count(body, "\r\n"))) })
	}
}

func TestBatchRefused(t *testing.T) {
	h := newHouse(t)
	line := digestOnly("") + "\n"
	for name, test := range map[string]struct {
		body    string
		headers []string
		want    *problem
		detail  string
	}{
		"no key":            {line, []string{"Idempotency-Key", ""}, idempotencyKeyRequired, ""},
		"long key":          {line, []string{"Idempotency-Key", strings.Repeat("k", 256)}, idempotencyKeyRequired, ""},
		"gzip":              {line, []string{"Content-Encoding", "gzip"}, unsupportedMediaType, "Content-Encoding"},
		"JSON":              {line, []string{"Content-Type", "application/json"}, unsupportedMediaType, ndjson},
		"empty":             {"", nil, malformedBatch, "no line"},
		"too many":          {strings.Repeat(line, notary.MaxLines) + "x", nil, malformedBatch, "10000"},
		"a line too long":   {line + `{"record":{` + strings.Repeat(" ", maxLine) + "\n", nil, tooLarge, "Line 2"},
		"the last too long": {line + strings.Repeat(" ", maxLine+1), nil, tooLarge, "Line 2"},
		"too large":         {strings.Repeat(strings.Repeat(" ", maxLine-1)+"\n", maxBatch/maxLine+1), nil, tooLarge, "33554432"},
		"an empty line":     {line + "\n" + line, nil, invalidBatch, ""},
		"two LF at the end": {line + "\n", nil, invalidBatch, ""},
		"one LF":            {"\n", nil, invalidBatch, ""},
	} {
		t.Run(name, func(t *testing.T) {
			p := h.postBatch(t, test.body, test.headers...).problem(t, test.want)
			if !strings.Contains(p.Detail, test.detail) {
				t.Errorf("detail %q does not say %q", p.Detail, test.detail)
			}
		})
	}
	h.postBatch(t, line, "Authorization", "Bearer "+h.key(t, h.tenant(t, "Supervision"), notary.Auditor)).problem(t, forbidden)
	h.postBatch(t, line, "Authorization", "").problem(t, unauthorized)
	h.nothingKept(t, 1, 0)
}

// TestEachBadLineIsNamed: whatever is wrong with a line, and in one answer.
func TestEachBadLineIsNamed(t *testing.T) {
	h := newHouse(t)
	lines := strings.SplitAfter(batchOf(9), "\n")
	wrong := map[int]struct{ line, member, detail string }{
		2: {"\n", "", "JSON"},
		3: {`{"record":{"content.sha256":"` + helloSHA256 + `"},"kind":1}` + "\n", "", `"kind"`},
		5: {digestOnly(`,"contrakt.number":"1"`) + "\n", "contrakt.number", "contract.number"},
		6: {"{\"record\":{\"label.x\":\"\xff\"}}\n", "", "UTF-8"},
		7: {`{"record":{}}` + "\n", "content.sha256", "required"},
		9: {digestOnly(`,"label.x":"`+strings.Repeat("x", 20_000)+`"`) + "\n", "", "fit"},
		4: {digestOnly(many(60)) + "\n", "", "members"},
		8: {digestOnly(`,"`+strings.Repeat("x", 50_000)+`":"1"`) + "\n", "", ""},
	}
	for n, w := range wrong {
		lines[n-1] = w.line
	}
	p := h.postBatch(t, strings.Join(lines, "")).problem(t, invalidBatch)
	if len(p.Lines) != len(wrong) {
		t.Fatalf("%+v", p.Lines)
	}
	for i, l := range p.Lines {
		w, ok := wrong[l.Line]
		if !ok || l.Member != w.member || !strings.Contains(l.Detail, w.detail) || len(l.Detail) > maxDetail+3 || i > 0 && p.Lines[i-1].Line >= l.Line {
			t.Errorf("%+v", l)
		}
	}
	// And where each line can be read, the notary's own word.
	p = h.postBatch(t, batchOf(1)+digestOnly(`,"case.seq":1`)).problem(t, invalidBatch)
	if len(p.Lines) != 1 || p.Lines[0].Line != 2 || p.Lines[0].Member != "case.seq" {
		t.Errorf("%+v", p.Lines)
	}
	h.nothingKept(t, 1, 0)
}

// many are so many more members.
func many(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `,"label.n%d":""`, i)
	}
	return b.String()
}

// TestBudget: bodies that together would take too much memory are refused, and what
// is refused is given back.
func TestBudget(t *testing.T) {
	b := budget{most: 10 << 10}
	held := share{of: &b}
	must(t, held.take(4<<10))
	one := share{of: &b}
	if _, err := decodeBatch(strings.NewReader(batchOf(100)), notary.Principal{}, &one); err == nil || !strings.HasPrefix(err.Error(), busy.name) {
		t.Errorf("%v", err)
	}
	one.release()
	long := share{of: &b}
	if _, err := decodeBatch(io.MultiReader(strings.NewReader(strings.Repeat(" ", 20<<10)), neverEnds{}), notary.Principal{}, &long); err == nil || !strings.HasPrefix(err.Error(), busy.name) {
		t.Errorf("%v", err)
	}
	long.release()
	if got := b.used; got != 4<<10 {
		t.Errorf("%d bytes stay taken", got)
	}
	held.release()
	last := share{of: &b}
	if got, err := decodeBatch(strings.NewReader(batchOf(20)), notary.Principal{}, &last); err != nil || len(got) != 20 {
		t.Errorf("%d %v", len(got), err)
	}
}

// TestBudgetIsShared: whatever one tenant holds, another finds a quarter left.
func TestBudgetIsShared(t *testing.T) {
	b := budget{most: 1000}
	none := share{of: &b, tenant: notary.ID{1}}
	none.release()
	var greedy []*share
	for range 10 {
		greedy = append(greedy, &share{of: &b, tenant: notary.ID{1}})
	}
	for i := range 1000 {
		_ = greedy[i%len(greedy)].take(10)
	}
	if b.used != 750 {
		t.Errorf("one tenant holds %d of 1000 bytes", b.used)
	}
	other := share{of: &b, tenant: notary.ID{2}}
	must(t, other.take(250))
	nobody := share{of: &b}
	if nobody.take(1) == nil {
		t.Error("more than there is was taken")
	}
	other.release()
	for _, s := range greedy {
		s.release()
	}
	if b.used != 0 || len(b.by) != 0 {
		t.Errorf("%d bytes of %d tenants stay taken", b.used, len(b.by))
	}
	must(t, nobody.take(1000)) // who has no account is no tenant
	nobody.release()
}

// neverEnds would be read for ever.
type neverEnds struct{}

func (neverEnds) Read(p []byte) (int, error) { return copy(p, " "), nil }

func BenchmarkDecodeBatch(b *testing.B) {
	body := strings.Repeat(loanLine+"\n", 1000)
	all := budget{most: maxDecoding}
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		held := share{of: &all}
		if _, err := decodeBatch(strings.NewReader(body), notary.Principal{}, &held); err != nil {
			b.Fatal(err)
		}
		held.release()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/line")
}

func BenchmarkWriteBatch(b *testing.B) {
	h := newHouse(b)
	receipts := h.postBatch(b, strings.Repeat(loanLine+"\n", 1000)).batch(b, h, 1000)
	for name, disclosures := range map[string]bool{"minimal": false, "disclosures": true} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				writeBatch(bufio.NewWriter(io.Discard), receipts, disclosures)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/line")
		})
	}
}

// TestBatchLineIsJSON: what is written by hand is what encoding/json would read, and
// write again.
func TestBatchLineIsJSON(t *testing.T) {
	h := newHouse(t)
	receipts := h.postBatch(t, digestOnly(`,"label.x":"\"\\\u0001<>&\u2028é\n"`)).batch(t, h, 1)
	var out bytes.Buffer
	writeBatch(&out, receipts, true)
	for line := range strings.Lines(out.String()) {
		if !json.Valid([]byte(line)) {
			t.Errorf("%s", line)
		}
	}
	_, line, _ := strings.Cut(out.String(), "\n")
	var l api.BatchLine
	must(t, json.Unmarshal([]byte(line), &l))
	var again bytes.Buffer
	e := json.NewEncoder(&again)
	e.SetEscapeHTML(false)
	must(t, e.Encode(struct {
		ID          string          `json:"id"`
		Index       uint64          `json:"index"`
		Entry       string          `json:"entry"`
		Path        []string        `json:"path"`
		Disclosures json.RawMessage `json:"disclosures"`
	}{l.Id, l.Index, l.Entry, l.Path, l.Disclosures}))
	if got := strings.ReplaceAll(again.String(), `\u2028`, "\u2028"); got != line {
		t.Errorf("written\n%sread and written again\n%s", line, got)
	}
}

// FuzzBatch: what is taken for a batch is as many lines, and each is what it is by
// itself; what is not names the lines that are not.
func FuzzBatch(f *testing.F) {
	for _, s := range []string{batchOf(3), "\n", digestOnly(""), digestOnly("") + "\n\n", digestOnly("") + "\r\n{}", strings.Repeat(" ", 5000) + digestOnly("") + "\nx"} {
		f.Add(s)
	}
	all := budget{most: maxDecoding}
	f.Fuzz(func(t *testing.T, body string) {
		held := share{of: &all}
		defer held.release()
		records, err := decodeBatch(strings.NewReader(body), notary.Principal{}, &held)
		lines := strings.Split(strings.TrimSuffix(body, "\n"), "\n")
		bad := new(notary.BatchError)
		if errors.As(err, &bad) {
			for _, l := range bad.Lines {
				if l.Line < 1 || l.Line > len(lines) || l.Reason == "" {
					t.Fatalf("%q: %+v", body, l)
				}
				if record, err := parseDigest([]byte(lines[l.Line-1])); err == nil && notary.CheckDigest(notary.Principal{}, record) == nil {
					t.Fatalf("%q: line %d is right, %+v", body, l.Line, l)
				}
			}
			return
		}
		if err != nil {
			return
		}
		if len(records) != len(lines) {
			t.Fatalf("%q has %d lines, and not %d", body, len(lines), len(records))
		}
		for i, line := range lines {
			if record, err := parseDigest([]byte(line)); err != nil || record.JSON() != records[i].JSON() {
				t.Fatalf("%q: line %d is %s: %v", body, i+1, records[i].JSON(), err)
			}
		}
	})
}
