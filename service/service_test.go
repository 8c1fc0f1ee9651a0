package service

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"io"
	"log/slog"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/textproto"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/notary/notarytest"
	"github.com/muniment/muniment/notary/webhook"
	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/service/api"
	"github.com/muniment/muniment/service/auth"
	"github.com/muniment/muniment/service/servicetest"
)

// house is a depository on fakes behind a real HTTP server, with two tenants.
type house struct {
	ledger *notarytest.Ledger
	blobs  *notarytest.Blobs
	anchor *notarytest.Anchor
	notary *notary.Notary
	policy proofs.Policy
	log    *record
	url    string
	// handler is what is served at url.
	handler http.Handler
	// Keys of one tenant's depositor and reader, and of another's depositor.
	depositor, reader, stranger string
}

// record is a log that several goroutines write.
type record struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (r *record) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.b.Write(p)
}

func (r *record) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.b.String()
}

func newHouse(t testing.TB, change ...func(*Config)) *house {
	t.Helper()
	return newHouseOn(t, func(*notary.Config) {}, change...)
}

// newHouseOn is newHouse on a notary with settings of its own.
func newHouseOn(t testing.TB, settle func(*notary.Config), change ...func(*Config)) *house {
	t.Helper()
	h := &house{ledger: notarytest.NewLedger(nil), blobs: notarytest.NewBlobs(nil), log: &record{}}
	public, private, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	vkey, err := proofs.NewVerifierKey("localhost/test/0123456789abcdef", proofs.TypeEd25519, public)
	must(t, err)
	h.policy, err = proofs.ParsePolicy([]byte("log " + vkey.String() + "\nquorum none\n"))
	must(t, err)
	tenantKey, err := notary.NewTenantKey(rand.Reader)
	must(t, err)
	h.anchor = notarytest.NewAnchor(notary.Unsealed(vkey.Name))
	c := notary.Config{
		Policy: h.policy, Signer: private, Ledger: h.ledger, Blobs: h.blobs,
		Anchors:   []notary.Anchor{h.anchor},
		TenantKey: func(notary.ID) (notary.TenantKey, error) { return tenantKey, nil },
		Trail:     h.ledger,
		Logger:    slog.New(slog.DiscardHandler),
	}
	settle(&c)
	must(t, notary.Init(t.Context(), c))
	h.policy = c.Policy
	h.notary, err = notary.Open(t.Context(), c)
	must(t, err)
	t.Cleanup(func() { _ = h.notary.Close(t.Context()) })
	first, second := h.tenant(t, "First Bank"), h.tenant(t, "Second Bank")
	h.depositor, h.reader, h.stranger = h.key(t, first, notary.Depositor), h.key(t, first, notary.Compliance), h.key(t, second, notary.Depositor)
	config := Config{
		Notary: h.notary, Accounts: h.ledger, Policy: h.policy, MaxDocument: 1 << 20,
		Webhooks: h.ledger, Caller: webhook.NewCaller([]netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}),
		NewTenantKey: func(context.Context, notary.ID) error { return nil }, // they share one
		Logger:       slog.New(slog.NewTextHandler(h.log, nil)),
	}
	for _, f := range change {
		f(&config)
	}
	h.handler = New(config)
	server := httptest.NewServer(promised(t, h.handler))
	t.Cleanup(server.Close)
	h.url = server.URL
	return h
}

var contract = sync.OnceValues(func() (*servicetest.Contract, error) { return servicetest.Read("../openapi.yaml") })

// promised fails the test for each answer that openapi.yaml does not promise.
func promised(t testing.TB, h http.Handler) http.Handler {
	t.Helper()
	c, err := contract()
	must(t, err)
	return c.Handler(h, func(err error) { t.Error(err) })
}

func (h *house) tenant(t testing.TB, name string) notary.ID {
	id, err := notary.NewID(time.Now(), rand.Reader)
	must(t, err)
	must(t, h.ledger.CreateTenant(t.Context(), notary.Tenant{ID: id, Name: name}))
	return id
}

func (h *house) key(t testing.TB, tenant notary.ID, role notary.Role) string {
	text, hash := auth.NewKey()
	must(t, h.ledger.CreateAPIKey(t.Context(), notary.APIKey{Hash: hash, Tenant: tenant, Role: role}))
	return text
}

// answer is a response, read to its end.
type answer struct {
	*http.Response
	body []byte
}

// do sends a request; headers are pairs, and an empty value takes one away.
func (h *house) do(t testing.TB, method, path string, body io.Reader, headers ...string) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, h.url+path, body)
	must(t, err)
	r.Header.Set("Authorization", "Bearer "+h.depositor)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
		if headers[i+1] == "" {
			r.Header.Del(headers[i])
		}
	}
	return send(t, r)
}

func send(t testing.TB, r *http.Request) answer {
	t.Helper()
	resp, err := http.DefaultTransport.RoundTrip(r)
	must(t, err)
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	must(t, err)
	return answer{resp, data}
}

// problem checks that the answer is that problem, and returns it.
func (a answer) problem(t testing.TB, want *problem) api.Problem {
	t.Helper()
	var p api.Problem
	d := json.NewDecoder(bytes.NewReader(a.body))
	d.DisallowUnknownFields()
	if err := d.Decode(&p); err != nil {
		t.Fatalf("status %d, no problem: %v\n%s", a.StatusCode, err, a.body)
	}
	if p.Type != "/problems/"+want.name || p.Status != want.status || a.StatusCode != want.status || p.Retry != want.retry {
		t.Fatalf("status %d %+v, want %s", a.StatusCode, p, want.name)
	}
	if got := a.Header.Get("Content-Type"); got != "application/problem+json" {
		t.Errorf("Content-Type %q", got)
	}
	if p.Detail == "" || p.Title == "" {
		t.Errorf("problem without words: %+v", p)
	}
	if a.Header.Get("Cache-Control") != "no-store" {
		t.Error("a problem that may be cached")
	}
	return p
}

// deposit checks that the answer is a deposit whose receipt verifies.
func (a answer) deposit(t testing.TB, h *house, status int) (api.Deposit, proofs.Receipt) {
	t.Helper()
	if a.StatusCode != status {
		t.Fatalf("status %d, want %d: %s", a.StatusCode, status, a.body)
	}
	var d api.Deposit
	must(t, json.Unmarshal(a.body, &d))
	receipt, err := proofs.ParseReceipt([]byte(d.Receipt))
	must(t, err)
	evidence, err := proofs.NewVerifier(h.policy).Verify(receipt, nil)
	must(t, err)
	if evidence.Outcome() != proofs.Verified {
		t.Fatalf("the receipt is %v: %s", evidence.Outcome(), evidence.Reason)
	}
	if receipt.Index != d.Index || receipt.Entry.LeafHash().String() != d.Leaf || string(receipt.Entry.Kind) != d.Kind {
		t.Fatalf("deposit and receipt differ: %+v", d)
	}
	return d, receipt
}

// part is one part of a form; header pairs follow the name.
type part struct {
	name    string
	content string
	header  []string
}

func recordPart(json string) part {
	return part{name: "record", content: json, header: []string{"Content-Type", "application/json"}}
}

func documentPart(content string) part {
	return part{name: "document", content: content, header: []string{
		"Content-Disposition", `form-data; name="document"; filename="loan.pdf"`, "Content-Type", "application/pdf"}}
}

const boundary = "muniment-test-boundary"

func form(parts ...part) string {
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	_ = w.SetBoundary(boundary)
	for _, p := range parts {
		h := textproto.MIMEHeader{"Content-Disposition": {`form-data; name="` + p.name + `"`}}
		for i := 0; i < len(p.header); i += 2 {
			h.Set(p.header[i], p.header[i+1])
		}
		pw, _ := w.CreatePart(h)
		_, _ = io.WriteString(pw, p.content)
	}
	_ = w.Close()
	return b.String()
}

// post deposits a body under a new key, unless headers say otherwise.
func (h *house) post(t testing.TB, kind, body string, headers ...string) answer {
	t.Helper()
	return h.do(t, "POST", "/v1/deposits", strings.NewReader(body), append([]string{"Content-Type", kind, "Idempotency-Key", rand.Text()}, headers...)...)
}

func (h *house) postForm(t testing.TB, body string, headers ...string) answer {
	t.Helper()
	return h.post(t, "multipart/form-data; boundary="+boundary, body, headers...)
}

func (h *house) postJSON(t testing.TB, body string, headers ...string) answer {
	t.Helper()
	return h.post(t, "application/json", body, headers...)
}

// nothingKept checks that no deposit and no blob was added to what there was.
func (h *house) nothingKept(t testing.TB, size uint64, blobs int) {
	t.Helper()
	if s := h.ledger.Snapshot(); s.Head.Size != size {
		t.Errorf("the log has %d entries, had %d", s.Head.Size, size)
	}
	if n := len(h.blobs.Snapshot()); n != blobs {
		t.Errorf("there are %d blobs, were %d", n, blobs)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func base64Of(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
