package webhook_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/notary/notarytest"
	"github.com/muniment/muniment/notary/webhook"
	"github.com/muniment/muniment/proofs"
)

var bank = notary.Principal{Tenant: notary.Tenant{ID: notary.ID{1}, Name: "First Bank"}, Role: notary.Depositor}

// house is a depository on fakes, and who makes its calls.
type house struct {
	t       *testing.T
	ledger  *notarytest.Ledger
	notary  *notary.Notary
	metrics *prometheus.Registry
	deposit int
	stop    func()
}

func newHouse(t *testing.T) *house {
	t.Helper()
	h := &house{t: t, ledger: notarytest.NewLedger(nil), metrics: prometheus.NewRegistry()}
	public, private, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	vkey, err := proofs.NewVerifierKey("localhost/test/0123456789abcdef", proofs.TypeEd25519, public)
	must(t, err)
	policy, err := proofs.ParsePolicy([]byte("log " + vkey.String() + "\nquorum none\n"))
	must(t, err)
	key, err := notary.NewTenantKey(rand.Reader)
	must(t, err)
	c := notary.Config{
		Policy: policy, Signer: private, Ledger: h.ledger, Blobs: notarytest.NewBlobs(nil),
		Anchors:   []notary.Anchor{notarytest.NewAnchor(notary.Unsealed(vkey.Name))},
		TenantKey: func(notary.ID) (notary.TenantKey, error) { return key, nil },
		Logger:    slog.New(slog.DiscardHandler),
	}
	must(t, notary.Init(t.Context(), c))
	h.notary, err = notary.Open(t.Context(), c)
	must(t, err)
	t.Cleanup(func() { _ = h.notary.Close(context.Background()) })
	return h
}

// calls begins to make calls; stop ends that.
func (h *house) calls() {
	h.t.Helper()
	ctx, cancel := context.WithCancel(h.t.Context())
	d := webhook.Dispatcher{
		Notary: h.notary, Store: h.ledger, Metrics: h.metrics, Logger: slog.New(slog.DiscardHandler),
		Caller: webhook.NewCaller([]netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}),
	}
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	h.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			h.t.Error(err)
		}
	})
	h.t.Cleanup(h.stop)
}

// subscribe makes a webhook.
func (h *house) subscribe(s notary.Subscription) (notary.Webhook, []byte) {
	h.t.Helper()
	w, from, err := h.notary.NewWebhook(h.t.Context(), bank, &s)
	must(h.t, err)
	w.State = webhook.State{Next: from}.Marshal()
	must(h.t, h.ledger.CreateWebhook(h.t.Context(), w))
	return w, s.Secret
}

// add makes a deposit and returns its id.
func (h *house) add(members ...string) string {
	h.t.Helper()
	h.deposit++
	text := fmt.Sprintf(`{"content.sha256":"%064x"`, h.deposit)
	for i := 0; i < len(members); i += 2 {
		text += fmt.Sprintf(",%q:%q", members[i], members[i+1])
	}
	record, err := proofs.ParseMembers(text + "}")
	must(h.t, err)
	r, err := h.notary.Deposit(h.t.Context(), bank, notary.Deposit{Key: "key " + strconv.Itoa(h.deposit), Claims: record})
	must(h.t, err)
	id, _ := r.Member("id")
	s, _ := id.Text()
	return s
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// receiver is the other side.
type receiver struct {
	*httptest.Server
	mu     sync.Mutex
	secret []byte
	fail   func(webhook.Message) bool // under mu
	got    []webhook.Message          // in the order in which they were taken
	tried  []string                   // webhook-id of each attempt
	faults []string
}

func newReceiver(t *testing.T) *receiver {
	r := &receiver{fail: func(webhook.Message) bool { return false }}
	r.Server = httptest.NewServer(http.HandlerFunc(r.take))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) take(w http.ResponseWriter, q *http.Request) {
	body, _ := io.ReadAll(q.Body)
	r.mu.Lock()
	defer r.mu.Unlock()
	id, stamp := q.Header.Get("webhook-id"), q.Header.Get("webhook-timestamp")
	seconds, _ := strconv.ParseInt(stamp, 10, 64)
	if want := webhook.Sign(r.secret, id, time.Unix(seconds, 0), body); q.Header.Get("webhook-signature") != want {
		r.faults = append(r.faults, "the signature is "+q.Header.Get("webhook-signature"))
	}
	var m webhook.Message
	if err := json.Unmarshal(body, &m); err != nil {
		r.faults = append(r.faults, err.Error())
	}
	r.tried = append(r.tried, id)
	if r.fail(m) {
		http.Error(w, "a secret word", http.StatusInternalServerError)
		return
	}
	r.got = append(r.got, m)
}

// taken waits until n messages were taken.
func (r *receiver) taken(t *testing.T, n int) []webhook.Message {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		r.mu.Lock()
		if len(r.got) >= n {
			got := slices.Clone(r.got)
			for _, f := range r.faults {
				t.Error(f)
			}
			r.mu.Unlock()
			return got
		}
		r.mu.Unlock()
	}
	t.Fatalf("%d messages did not come", n)
	return nil
}

func ids(messages []webhook.Message) (all []string) {
	for _, m := range messages {
		all = append(all, m.Data.ID)
	}
	return all
}

// TestCalls: what is published after a webhook was made is told, signed, once, and in the
// order of each case; what was before is not, nor what it is not subscribed to.
func TestCalls(t *testing.T) {
	h, r := newHouse(t), newReceiver(t)
	h.add("contract.number", "HT-1")
	_, secret := h.subscribe(notary.Subscription{URL: r.URL + "/hook", Labels: []string{"product=home"}})
	r.secret = secret
	h.calls()
	var want []string
	for i := range 30 {
		id := h.add("contract.number", "HT-"+strconv.Itoa(i%3), "label.product", []string{"home", "car"}[i%2])
		if i%2 == 0 {
			want = append(want, id)
		}
	}
	r.taken(t, len(want))
	time.Sleep(1500 * time.Millisecond) // one look more
	got := r.taken(t, len(want))
	if len(got) != len(want) {
		t.Errorf("%d were told, not %d", len(got), len(want))
	}
	last := map[string]uint64{}
	for _, m := range got {
		if m.Type != "deposit.published" || m.Data.Place <= last[m.Data.Contract] || len(m.Data.SHA256) != 64 || m.Data.Leaf == "" {
			t.Errorf("out of order, or not what it is: %+v", m)
		}
		last[m.Data.Contract] = m.Data.Place
	}
	told := ids(got)
	slices.Sort(told)
	slices.Sort(want)
	if !slices.Equal(told, want) {
		t.Errorf("told %v, not %v", told, want)
	}
}

// TestFailedCalls: what fails is tried again; what comes after it in its case waits, other
// cases do not. Nothing of the other side's answer is kept.
func TestFailedCalls(t *testing.T) {
	h, r := newHouse(t), newReceiver(t)
	w, secret := h.subscribe(notary.Subscription{URL: r.URL})
	r.secret = secret
	failures := 2
	r.fail = func(m webhook.Message) bool {
		if m.Data.Contract != "HT-1" || m.Data.Place != 1 || failures == 0 {
			return false
		}
		failures--
		return true
	}
	first, second := h.add("contract.number", "HT-1"), h.add("contract.number", "HT-1")
	other, alone := h.add("contract.number", "HT-2"), h.add()
	h.calls() // which finds all of them, however long it took to make them
	got := r.taken(t, 2)
	free, others := ids(got[:2]), []string{other, alone} // made in one millisecond, in either order
	slices.Sort(free)
	slices.Sort(others)
	if !slices.Equal(free, others) {
		t.Errorf("told first: %v", free)
	}
	all, err := h.ledger.Webhooks(t.Context(), bank.Tenant.ID)
	must(t, err)
	if s := string(all[0].State); strings.Contains(s, "secret word") || strings.Contains(s, "HT-1") || !strings.Contains(s, "status 500") {
		t.Errorf("the state is %s", s)
	}
	if got = r.taken(t, 4); !slices.Equal(ids(got[2:]), []string{first, second}) {
		t.Errorf("told then: %v", ids(got[2:]))
	}
	if name := fmt.Sprintf("%s_%d", w.ID, got[2].Data.Index); r.tried[0] != name && r.tried[1] != name && r.tried[2] != name || len(r.tried) != 6 {
		t.Errorf("attempts: %v", r.tried)
	}
}

// TestCallsAfterStop: a stop loses nothing, wherever it comes, and repeats little.
func TestCallsAfterStop(t *testing.T) {
	h, r := newHouse(t), newReceiver(t)
	_, secret := h.subscribe(notary.Subscription{URL: r.URL})
	r.secret = secret
	var want []string
	for range 5 {
		h.calls()
		for range 4 {
			want = append(want, h.add("contract.number", "HT-1"))
		}
		time.Sleep(time.Duration(200+h.deposit*13) * time.Millisecond)
		h.stop()
	}
	h.calls()
	seen := map[string]bool{}
	var order []string
	for end := time.Now().Add(30 * time.Second); len(order) < len(want) && time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		for _, id := range ids(r.taken(t, 1)) {
			if !seen[id] {
				seen[id], order = true, append(order, id)
			}
		}
	}
	if !slices.Equal(order, want) {
		t.Errorf("told %d of %d, or in another order", len(order), len(want))
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.got) > 2*len(want) {
		t.Errorf("%d calls for %d deposits", len(r.got), len(want))
	}
}

// TestDeadAndReplay: what is given up is listed, and told anew on demand.
func TestDeadAndReplay(t *testing.T) {
	h, r := newHouse(t), newReceiver(t)
	w, secret := h.subscribe(notary.Subscription{URL: r.URL})
	r.secret = secret
	first, second := h.add("contract.number", "HT-1"), h.add("contract.number", "HT-1")
	begin, err := webhook.ParseState(w)
	must(t, err)
	// As after two days and a half of failures.
	w.State = webhook.State{Next: begin.Next + 2, Dead: []webhook.Dead{{Index: begin.Next, Attempts: 11, Line: "x"}}}.Marshal()
	must(t, h.ledger.SaveWebhook(t.Context(), w))
	h.calls()
	change := func(f func(webhook.State) webhook.State) {
		t.Helper()
		for {
			all, err := h.ledger.Webhooks(t.Context(), bank.Tenant.ID)
			must(t, err)
			s, err := webhook.ParseState(all[0])
			must(t, err)
			all[0].State = f(s).Marshal()
			if h.ledger.SaveWebhook(t.Context(), all[0]) == nil {
				return
			}
		}
	}
	change(webhook.State.Revive)
	h.add() // whose note of delivery finds the other state
	got := r.taken(t, 2)
	if !slices.Contains(ids(got), first) {
		t.Errorf("told after the revival: %v", ids(got))
	}
	change(func(s webhook.State) webhook.State { return s.Replay(begin.Next) })
	for end := time.Now().Add(30 * time.Second); !slices.Contains(ids(r.taken(t, 1)), second); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the replay does not come")
		}
	}
}

// TestAddresses: a tenant's webhook reaches nothing that is not public, by whatever name or
// form of an address.
func TestAddresses(t *testing.T) {
	public, inside := webhook.NewCaller(nil), webhook.NewCaller([]netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")})
	for _, url := range []string{
		"http://example.org/", "https://127.0.0.1/", "https://[::1]/", "https://[::ffff:127.0.0.1]/", "https://10.0.0.1/", "https://169.254.169.254/latest/meta-data/",
		"https://192.168.1.1/", "https://172.16.0.1/", "https://100.64.0.1/", "https://0.0.0.0/", "https://[fe80::1]/", "https://[fd00::1]/", "https://[64:ff9b::7f00:1]/",
		"https://224.0.0.1/", "https://user:secret@example.org/", "ftp://example.org/", "https:///x", "/x", "", "https://example.org/#x", "file:///etc/passwd",
	} {
		if err := public.CheckURL(url); err == nil {
			t.Errorf("%s is taken", url)
		}
	}
	for _, url := range []string{"https://example.org/hook?x=1", "https://1.1.1.1/", "https://[2606:4700::1111]:8443/"} {
		must(t, public.CheckURL(url))
	}
	must(t, inside.CheckURL("http://127.0.0.1:8080/"))
	if inside.CheckURL("http://10.0.0.1/") == nil {
		t.Error("a network that is not named is reached")
	}
	// A name that leads inside passes the first look, and is refused when it is called.
	r := newReceiver(t)
	url := strings.Replace(r.URL, "http://127.0.0.1", "https://localhost", 1)
	must(t, public.CheckURL(url))
	err := public.Call(t.Context(), notary.Webhook{}, notary.Subscription{URL: url}, notary.Event{}, time.Now())
	if err == nil || !strings.Contains(err.Error(), "not a public one") {
		t.Errorf("localhost was called: %v", err)
	}
}
