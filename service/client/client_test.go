package client

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/service/api"
)

const (
	origin = "client.test/dev/1"
	anID   = "0195fe54-6c51-7a3e-8d8c-3f1f2a9b4c01"
)

var private = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize))

func logKey() proofs.VerifierKey {
	k, err := proofs.NewVerifierKey(origin, proofs.TypeEd25519, private.Public().(ed25519.PublicKey))
	if err != nil {
		panic(err)
	}
	return k
}

func verifier() *proofs.Verifier {
	p, err := proofs.ParsePolicy([]byte("log " + logKey().String() + "\nquorum none\n"))
	if err != nil {
		panic(err)
	}
	return proofs.NewVerifier(p)
}

func members(json string) proofs.Record {
	r, err := proofs.ParseMembers(json)
	if err != nil {
		panic(err)
	}
	return r
}

// issue makes the receipt of a record, as the second entry of a log of two.
func issue(record proofs.Record) proofs.Receipt {
	disclosures := record.Disclose(proofs.Seed{1})
	r := proofs.Receipt{
		Entry: proofs.Entry{Kind: proofs.KindDeposit, Time: time.UnixMilli(1e12), Record: proofs.Commitment(disclosures)},
		Index: 1, Path: []proofs.Hash{{}}, Disclosures: disclosures,
	}
	root := proofs.NodeHash(proofs.Hash{}, r.Entry.LeafHash())
	note := proofs.Note{Text: proofs.Checkpoint{Origin: origin, Size: 2, Root: root}.String()}
	s, err := logKey().Sign(note.Text, private)
	if err != nil {
		panic(err)
	}
	note.Signatures = []proofs.Signature{s}
	r.Checkpoint = note.Marshal()
	return r
}

// with is the record with the members of more in the place of its own.
func with(record proofs.Record, more string) proofs.Record {
	out := members(more)
	for _, m := range record {
		if _, there := out.Get(m.Name); !there {
			out = append(out, m)
		}
		slices.SortFunc(out, func(a, b proofs.Member) int { return strings.Compare(a.Name, b.Name) })
	}
	return out
}

// depository answers deposits as the real one does, and remembers what it got.
type depository struct {
	t        *testing.T
	got      []byte // the document
	keys     []string
	header   http.Header // of the last request
	record   proofs.Record
	alter    func(proofs.Record) proofs.Record // of the receipt
	attempts atomic.Int32
}

func (d *depository) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	d.attempts.Add(1)
	d.keys, d.header = append(d.keys, r.Header.Get("Idempotency-Key")), r.Header
	held, err := d.read(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	record := with(d.record, fmt.Sprintf(`{"id":%q,"content.held":%v,"tenant.name":"t"}`, anID, held))
	if d.alter != nil {
		record = d.alter(record)
	}
	answer(w, issue(record))
}

func answer(w http.ResponseWriter, r proofs.Receipt) {
	w.WriteHeader(http.StatusCreated)
	json.NewEncoder(w).Encode(api.Deposit{Receipt: string(r.Marshal()), Record: []byte(`{}`)})
}

func (d *depository) read(r *http.Request) (held bool, err error) {
	kind, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		return false, err
	}
	if kind == "application/json" {
		var body api.DepositRequest
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			return false, err
		}
		d.record, err = proofs.ParseMembers(string(body.Record))
		return false, err
	}
	parts := multipart.NewReader(r.Body, params["boundary"])
	p, err := parts.NextRawPart()
	if err != nil || p.FormName() != "record" || p.Header.Get("Content-Type") != "application/json" {
		return false, fmt.Errorf("record: %v", err)
	}
	data, err := io.ReadAll(p)
	if err != nil {
		return false, err
	}
	if d.record, err = proofs.ParseMembers(string(data)); err != nil {
		return false, err
	}
	p, err = parts.NextRawPart()
	if err != nil || p.FormName() != "document" {
		return false, fmt.Errorf("document: %v", err)
	}
	if d.got, err = io.ReadAll(p); err != nil {
		return false, err
	}
	_, err = parts.NextRawPart()
	if err != io.EOF {
		return false, fmt.Errorf("more: %w", err)
	}
	return true, nil
}

// serve runs h, and returns a client of it that waits no real time. The waits it
// would have made are in the slice.
func serve(t *testing.T, h http.Handler) (*Client, *[]time.Duration) {
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	waits := &[]time.Duration{}
	return &Client{Server: s.URL + "/", APIKey: "k", Verifier: verifier(), sleep: func(ctx context.Context, d time.Duration) error {
		*waits = append(*waits, d)
		return ctx.Err()
	}}, waits
}

func opener(document string) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(document)), nil }
}

func digest(document string) string {
	sum := sha256.Sum256([]byte(document))
	return hex.EncodeToString(sum[:])
}

func loan() Deposit {
	return Deposit{
		Key: "key 1", Claims: members(`{"contract.number":"借 1","content.name":"借款.pdf"}`),
		Document: opener("loan"), Size: 4, Name: "ignored", Type: "application/pdf",
	}
}

func TestDeposit(t *testing.T) {
	d := &depository{t: t}
	c, _ := serve(t, d)
	for _, document := range []string{"loan", "", strings.Repeat("\r\n--x\r\n", 1<<20)} {
		in := loan()
		in.Document, in.Size = opener(document), int64(len(document))
		r, err := c.Deposit(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		if string(d.got) != document || d.keys[0] != "key 1" {
			t.Errorf("%d bytes arrived under %q", len(d.got), d.keys)
		}
		want := `{"content.name":"借款.pdf","content.sha256":"` + digest(document) + `","content.type":"application/pdf","contract.number":"借 1"}`
		if d.record.JSON() != want {
			t.Errorf("record %s, want %s", d.record.JSON(), want)
		}
		if v, _ := r.Member("content.held"); v != proofs.Boolean(true) {
			t.Error("not held")
		}
	}
}

func TestDepositOfADigest(t *testing.T) {
	d := &depository{t: t}
	c, _ := serve(t, d)
	in := Deposit{Claims: members(`{"content.sha256":"` + digest("loan") + `"}`)}
	if _, err := c.Deposit(t.Context(), in); err != nil || d.got != nil {
		t.Errorf("%v", err)
	}
	body, _ := json.Marshal(api.DepositRequest{Record: []byte(d.record.JSON())})
	sum := sha256.Sum256(body)
	if want := "sha-256=:" + base64.StdEncoding.EncodeToString(sum[:]) + ":"; d.header.Get("Content-Digest") != want {
		t.Errorf("Content-Digest %q instead of %q", d.header.Get("Content-Digest"), want)
	}
	if len(d.keys[0]) < 20 {
		t.Errorf("random key %q", d.keys[0])
	}
	for _, json := range []string{`{"contract.number":"1"}`, `{"content.sha256":"AB"}`, `{"content.sha256":7}`} {
		if _, err := c.Deposit(t.Context(), Deposit{Claims: members(json)}); err == nil {
			t.Errorf("%s accepted", json)
		}
	}
}

// TestReceiptOfSomethingElseIsNotBelieved: the log's own signature is on all of these.
func TestReceiptOfSomethingElseIsNotBelieved(t *testing.T) {
	for what, alter := range map[string]func(proofs.Record) proofs.Record{
		"another digest": func(r proofs.Record) proofs.Record { return with(r, `{"content.sha256":"`+digest("other")+`"}`) },
		"another claim":  func(r proofs.Record) proofs.Record { return with(r, `{"contract.number":"2"}`) },
		"a claim less": func(r proofs.Record) proofs.Record {
			return slices.DeleteFunc(r, func(m proofs.Member) bool { return m.Name == "contract.number" })
		},
		"a claim more":      func(r proofs.Record) proofs.Record { return with(r, `{"party.0.name":"x"}`) },
		"a label more":      func(r proofs.Record) proofs.Record { return with(r, `{"label.x":"x"}`) },
		"a system more":     func(r proofs.Record) proofs.Record { return with(r, `{"provenance.system":"x"}`) },
		"not held":          func(r proofs.Record) proofs.Record { return with(r, `{"content.held":false}`) },
		"held says nothing": func(r proofs.Record) proofs.Record { return with(r, `{"content.held":"true"}`) },
		"no id":             func(r proofs.Record) proofs.Record { return with(r, `{"id":"../../etc"}`) },
	} {
		d := &depository{t: t, alter: alter}
		c, _ := serve(t, d)
		for _, c.Verifier = range []*proofs.Verifier{nil, verifier()} {
			d.attempts.Store(0)
			if r, err := c.Deposit(t.Context(), loan()); !errors.Is(err, ErrReceipt) || r.Checkpoint != nil {
				t.Errorf("%s: %v", what, err)
			}
			if n := d.attempts.Load(); n != 1 {
				t.Errorf("%s: %d attempts", what, n)
			}
		}
	}
}

// TestReceiptThatDoesNotHold: with and without a policy, what is not a proof is
// refused; without one, another log's signature cannot be told.
func TestReceiptThatDoesNotHold(t *testing.T) {
	base := with(members(`{"contract.number":"借 1","content.name":"借款.pdf","content.type":"application/pdf","content.sha256":"`+digest("loan")+`"}`),
		`{"id":"`+anID+`","content.held":true}`)
	for what, c := range map[string]struct {
		alter  func(*proofs.Receipt)
		keyish bool // seen only with a policy
	}{
		"signature": {func(r *proofs.Receipt) {
			k, _ := proofs.NewVerifierKey("other.test/dev/1", proofs.TypeEd25519, private.Public().(ed25519.PublicKey))
			n, _ := proofs.ParseNote(r.Checkpoint)
			n.Text = strings.Replace(n.Text, origin, k.Name, 1)
			s, _ := k.Sign(n.Text, private)
			n.Signatures = []proofs.Signature{s}
			r.Checkpoint = n.Marshal()
		}, true},
		"path":  {func(r *proofs.Receipt) { r.Path = []proofs.Hash{{1}} }, false},
		"entry": {func(r *proofs.Receipt) { r.Entry.Record = proofs.Hash{} }, false},
		"note":  {func(r *proofs.Receipt) { r.Checkpoint = []byte("x\n\n— a AAAAAAAA\n") }, false},
		"kind":  {func(r *proofs.Receipt) { r.Entry.Kind = proofs.KindNotice }, false},
	} {
		r := issue(base)
		c.alter(&r)
		client, _ := serve(t, http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
			io.Copy(io.Discard, q.Body)
			answer(w, r)
		}))
		if _, err := client.Deposit(t.Context(), loan()); !errors.Is(err, ErrReceipt) {
			t.Errorf("%s: %v", what, err)
		}
		client.Verifier = nil
		if _, err := client.Deposit(t.Context(), loan()); errors.Is(err, ErrReceipt) == c.keyish {
			t.Errorf("%s, without a policy: %v", what, err)
		}
	}
}

// TestHostileAnswers: whatever a server says, the client ends, and with an error.
func TestHostileAnswers(t *testing.T) {
	endless := func(w http.ResponseWriter, status int, kind string) {
		w.Header().Set("Content-Type", kind)
		w.WriteHeader(status)
		for {
			if _, err := w.Write(bytes.Repeat([]byte(" "), 1<<16)); err != nil {
				return
			}
		}
	}
	for what, h := range map[string]http.HandlerFunc{
		"endless success": func(w http.ResponseWriter, _ *http.Request) { endless(w, 201, "application/json") },
		"endless problem": func(w http.ResponseWriter, _ *http.Request) { endless(w, 422, "application/problem+json") },
		"no JSON":         func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(201); w.Write([]byte("<html>")) },
		"empty":           func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(201) },
		"null":            func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(201); w.Write([]byte("null")) },
		"no receipt":      func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(201); w.Write([]byte(`{"receipt":"x"}`)) },
		"200":             func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte(`{}`)) },
		"redirect": func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/v1/deposits" {
				t.Error("the redirect was followed")
			}
			http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
		},
	} {
		var n atomic.Int32
		c, _ := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			n.Add(1)
			io.Copy(io.Discard, r.Body)
			h(w, r)
		}))
		c.HTTP = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return nil }}
		if _, err := c.Deposit(t.Context(), loan()); err == nil {
			t.Errorf("%s: no error", what)
		}
		if n.Load() != 1 {
			t.Errorf("%s: %d attempts", what, n.Load())
		}
	}
}

// TestDocumentThatChanges: the server never sees the end of a body that is not the
// document announced, and it is not sent again.
func TestDocumentThatChanges(t *testing.T) {
	for what, now := range map[string]string{"grew": "loan!", "shrank": "lo", "became another": "l0an", "vanished": ""} {
		d := &depository{t: t}
		c, _ := serve(t, d)
		in := loan()
		in.Claims = with(in.Claims, `{"content.sha256":"`+digest("loan")+`"}`)
		in.Document = opener(now)
		if _, err := c.Deposit(t.Context(), in); !errors.Is(err, ErrChanged) {
			t.Errorf("%s: %v", what, err)
		}
		if n := d.attempts.Load(); n > 1 {
			t.Errorf("%s: %d attempts", what, n)
		}
	}
	c, _ := serve(t, &depository{t: t})
	in := loan()
	in.Claims = with(in.Claims, `{"content.sha256":"`+digest("loan")+`"}`)
	in.Document = func() (io.ReadCloser, error) {
		return io.NopCloser(readerFunc(func(p []byte) (int, error) { return len(p), nil })), nil
	}
	if _, err := c.Deposit(t.Context(), in); !errors.Is(err, ErrChanged) {
		t.Errorf("without end: %v", err)
	}
	in.Document = func() (io.ReadCloser, error) { return nil, os.ErrPermission }
	if _, err := c.Deposit(t.Context(), in); !errors.Is(err, os.ErrPermission) {
		t.Errorf("%v", err)
	}
}

func TestReceipt(t *testing.T) {
	good := issue(members(`{"id":"` + anID + `","content.sha256":"` + digest("") + `"}`))
	other := issue(members(`{"id":"0195fe54-6c51-7a3e-8d8c-3f1f2a9b4c02","content.sha256":"` + digest("") + `"}`))
	send := good.Marshal()
	c, _ := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v1/deposits/"+anID+"/receipt" || r.Header.Get("Authorization") != "Bearer k" {
			t.Errorf("%s", r.URL)
		}
		w.Write(send)
	}))
	if r, err := c.Receipt(t.Context(), anID); err != nil || !bytes.Equal(r.Marshal(), send) {
		t.Errorf("%v", err)
	}
	for _, send = range [][]byte{other.Marshal(), nil, bytes.Repeat(send, 1000)} {
		if _, err := c.Receipt(t.Context(), anID); !errors.Is(err, ErrReceipt) && !errors.Is(err, ErrAnswer) {
			t.Errorf("%v", err)
		}
	}
	for _, id := range []string{"", "../../log/policy", strings.ToUpper(anID), anID + "\n"} {
		if _, err := c.Receipt(t.Context(), id); err == nil {
			t.Errorf("%q is no id", id)
		}
	}
}

func TestEvidence(t *testing.T) {
	r := issue(members(`{"id":"` + anID + `","content.sha256":"` + digest("") + `"}`))
	record := proofs.EvidenceRecord{Note: r.Checkpoint, Tokens: [][]byte{{1}}}
	send := record.Marshal()
	c, _ := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v1/deposits/"+anID+"/evidence" {
			t.Errorf("%s", r.URL)
		}
		w.Write(send)
	}))
	if got, err := c.Evidence(t.Context(), anID); err != nil || !bytes.Equal(got.Marshal(), send) {
		t.Errorf("%v", err)
	}
	for _, send = range [][]byte{nil, r.Marshal(), send[:len(send)-1], bytes.Repeat(send, 100_000)} {
		if _, err := c.Evidence(t.Context(), anID); !errors.Is(err, ErrAnswer) {
			t.Errorf("%v", err)
		}
	}
	if _, err := c.Evidence(t.Context(), "../x"); err == nil {
		t.Error("that is no id")
	}
}

func TestPolicy(t *testing.T) {
	send := "log " + logKey().String() + "\nquorum none\n"
	c, _ := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, send) }))
	if p, err := c.Policy(t.Context()); err != nil || p.String() != send {
		t.Errorf("%v", err)
	}
	for _, send = range []string{"", "<html>", strings.Repeat("#\n", maxPolicy)} {
		if _, err := c.Policy(t.Context()); !errors.Is(err, ErrAnswer) {
			t.Errorf("%v", err)
		}
	}
}

func TestDeposits(t *testing.T) {
	since := time.Date(2026, 1, 2, 3, 4, 5, 6e6, time.UTC)
	item := func(index int) string {
		return fmt.Sprintf(`{"id":%q,"index":%d,"kind":"deposit","time":"2026-11-23T05:14:07.123Z","leaf":%q,"record":{"case.seq":%d},"new":1}`,
			anID, index, proofs.Hash{}, index)
	}
	c, _ := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		if q.Get("contract") != "借/ 1&x" || q.Get("label") != "branch:深:圳" || q.Get("since") != "2026-01-02T03:04:05.006Z" || q.Has("until") || q.Has("sha256") || q.Get("limit") == "" {
			t.Errorf("%s", r.URL)
		}
		switch q.Get("cursor") {
		case "":
			fmt.Fprintf(w, `{"deposits":[%s,%s],"next":"two+/="}`, item(1), item(2))
		case "two+/=":
			fmt.Fprintf(w, `{"deposits":[%s],"next":""}`, item(3))
		default:
			t.Errorf("%s", r.URL)
		}
	}))
	var got []uint64
	for l, err := range c.Deposits(t.Context(), Query{Contract: "借/ 1&x", Label: "branch:深:圳", Since: since}) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, l.Index)
	}
	if !slices.Equal(got, []uint64{1, 2, 3}) {
		t.Errorf("%v", got)
	}
}

func TestHostileLists(t *testing.T) {
	item := `{"id":"x","index":1,"kind":"deposit","time":"2026-11-23T05:14:07.123Z","leaf":"` + proofs.Hash{}.String() + `","record":{"a":1}}`
	for what, send := range map[string]string{
		"the same page":  `{"deposits":[` + item + `],"next":"a"}`,
		"an empty page":  `{"deposits":[],"next":"a"}`,
		"a bad time":     `{"deposits":[{"time":"now"}]}`,
		"a bad record":   strings.Replace(`{"deposits":[`+item+`]}`, `{"a":1}`, `{"a":1.5}`, 1),
		"a bad leaf":     `{"deposits":[{"time":"2026-11-23T05:14:07.123Z","leaf":"x"}]}`,
		"no JSON":        `<html>`,
		"a long page":    `{"deposits":[],"x":"` + strings.Repeat("x", maxPage) + `"}`,
		"a bad index":    `{"deposits":[{"index":-1}]}`,
		"other deposits": `{"deposits":7}`,
	} {
		c, _ := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, send) }))
		n, failed := 0, false
		for _, err := range c.Deposits(t.Context(), Query{}) {
			n++
			failed = failed || errors.Is(err, ErrAnswer)
		}
		if !failed || n > 3 {
			t.Errorf("%s: %d deposits, failed: %v", what, n, failed)
		}
	}
}

func TestServerAddress(t *testing.T) {
	for _, s := range []string{"", "example.com", "ftp://example.com", "https://", "https://user:secret@example.com", "https://example.com?x", "http://a\x7f"} {
		c := &Client{Server: s}
		if _, err := c.Policy(t.Context()); !errors.Is(err, ErrServer) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v", s, err)
		}
	}
}
