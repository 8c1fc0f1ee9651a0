package service

import (
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/notary/cosign"
	"github.com/muniment/muniment/notary/notarytest"
	"github.com/muniment/muniment/proofs"
)

// TestAssurance: where the witnesses are advisory, who asks for their quorum waits for it
// on every way in, and is told of the deposit if it does not come; where there are none,
// nobody is promised any.
func TestAssurance(t *testing.T) {
	h := newHouse(t)
	digest := digestOnly("")
	for path, what := range map[string]string{
		"/v1/deposits?assurance=gold": "unknown", "/v1/deposits?assurance=": "empty",
		"/v1/deposits?assurance=sealed&assurance=witnessed": "two", "/v1/deposits?assurance=witnessed": "no witnesses",
	} {
		a := h.do(t, http.MethodPost, path, strings.NewReader(digest), "Content-Type", "application/json", "Idempotency-Key", what)
		a.problem(t, invalidAssurance)
	}
	h.nothingKept(t, 1, 0)
	d, _ := h.postJSON(t, digest, "Idempotency-Key", "plain").deposit(t, h, 201)
	h.do(t, http.MethodGet, "/v1/deposits/"+d.Id+"?assurance=witnessed", nil).problem(t, invalidAssurance)
	h.do(t, http.MethodGet, "/v1/deposits/"+d.Id+"/receipt?assurance=gold", nil).problem(t, invalidAssurance)
	if a := h.do(t, http.MethodGet, "/v1/deposits/"+d.Id+"/receipt?assurance=sealed", nil); a.StatusCode != http.StatusOK {
		t.Errorf("sealed: %d %s", a.StatusCode, a.body)
	}
}

// TestAdvisoryAssurance: with a witness that is away, and back.
func TestAdvisoryAssurance(t *testing.T) {
	h, w := newWitnessedHouse(t)
	w.Set(notarytest.Down, 0)
	digest, batch, document := digestOnly(""), batchOf(3), form(recordPart("{}"), documentPart("hello"))
	if a := h.postJSON(t, digest, "Idempotency-Key", "sealed"); a.StatusCode != http.StatusCreated { // nobody waits for it
		t.Fatalf("%d %s", a.StatusCode, a.body)
	}
	ask := func() map[string]answer {
		return map[string]answer{
			"digest":   h.do(t, http.MethodPost, "/v1/deposits?assurance=witnessed", strings.NewReader(digest), "Content-Type", "application/json", "Idempotency-Key", "digest", "Prefer", "wait=1"),
			"batch":    h.do(t, http.MethodPost, "/v1/deposits:batch?assurance=witnessed", strings.NewReader(batch), "Content-Type", ndjson, "Idempotency-Key", "batch", "Prefer", "wait=1"),
			"document": h.do(t, http.MethodPost, "/v1/deposits?assurance=witnessed", strings.NewReader(document), "Content-Type", "multipart/form-data; boundary="+boundary, "Idempotency-Key", "document", "Prefer", "wait=1"),
		}
	}
	ids := map[string]string{}
	for name, a := range ask() {
		p := a.problem(t, witnessQuorum)
		if !p.Committed || p.Id == "" {
			t.Errorf("%s: %+v", name, p)
		}
		ids[name] = p.Id
	}
	w.Set(notarytest.Well, 0)
	deadline := time.Now().Add(20 * time.Second)
	for a := range ids {
		for {
			got := h.do(t, http.MethodGet, "/v1/deposits/"+ids[a]+"/receipt?assurance=witnessed", nil)
			if got.StatusCode == http.StatusOK {
				r, err := proofs.ParseReceipt(got.body)
				must(t, err)
				if e, err := proofs.NewVerifier(h.policy).Verify(r, nil); err != nil || e.Level != proofs.Witnessed {
					t.Errorf("%s: %v %s", a, err, e.Reason)
				}
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s: %d %s", a, got.StatusCode, got.body)
			}
		}
	}
	for name, a := range ask() {
		if a.StatusCode != http.StatusCreated {
			t.Errorf("%s: %d %s", name, a.StatusCode, a.body)
		}
	}
}

// TestEarlierPolicies: a receipt that was given before there were witnesses is judged by
// the policy of then, which is named; one of now by that of now.
func TestEarlierPolicies(t *testing.T) {
	h, _ := newWitnessedHouse(t, func(c *Config) { c.Earlier = []proofs.Policy{c.Policy.LogAlone()} })
	for _, p := range []proofs.Policy{h.policy, h.policy.LogAlone()} {
		if a := h.do(t, http.MethodGet, "/log/policy/"+p.Fingerprint(), nil, "Authorization", ""); string(a.body) != p.String() {
			t.Errorf("%d %s", a.StatusCode, a.body)
		}
	}
	now, _ := h.postJSON(t, digestOnly(""), "Idempotency-Key", "now").deposit(t, h, 201)
	r, err := proofs.ParseReceipt([]byte(now.Receipt))
	must(t, err)
	note, err := proofs.ParseNote(r.Checkpoint)
	must(t, err)
	note.Signatures = note.Signatures[:1]
	then := r
	then.Checkpoint = note.Marshal()
	for want, r := range map[string]proofs.Receipt{h.policy.Fingerprint(): r, h.policy.LogAlone().Fingerprint(): then} {
		v := h.postVerify(t, multi, form(textPart("receipt", string(r.Marshal())))).verification(t)
		if v.Outcome != "undecided" || v.Policy != want {
			t.Errorf("%s under %s, want %s", v.Outcome, v.Policy, want)
		}
	}
}

// newWitnessedHouse is a house whose log has one witness, which is advisory.
func newWitnessedHouse(t *testing.T, change ...func(*Config)) (*house, *notarytest.Witness) {
	t.Helper()
	var w *notarytest.Witness
	h := newHouseOn(t, func(c *notary.Config) {
		w = notarytest.NewWitness("w", c.Policy.Logs[0], time.Now)
		policy, err := proofs.ParsePolicy([]byte("log " + c.Policy.Logs[0].String() + "\n" + w.Line() + "quorum w\n"))
		must(t, err)
		client, err := cosign.New(cosign.Config{Policy: policy, Transport: notarytest.Transport{w}, Logger: slog.New(slog.DiscardHandler)})
		must(t, err)
		t.Cleanup(client.Close)
		c.Policy, c.Witnesses, c.Advisory = policy, client, true
	}, change...)
	return h, w
}
