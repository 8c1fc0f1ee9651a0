package service

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"io"
	"strings"
	"testing"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/service/api"
	"github.com/muniment/muniment/service/client"
)

// TestSignedDeposits: signed documents, digests and batches over HTTP, what POST /v1/verify
// says of them whole and with members hidden, and what is refused.
func TestSignedDeposits(t *testing.T) {
	signer, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	key, err := proofs.NewDepositorKey(signer.Public())
	must(t, err)
	checks := map[notary.ID]notary.Checks{}
	h := newHouseOn(t, func(c *notary.Config) { c.Checks = checks })
	c := &client.Client{Server: h.url, APIKey: h.depositor, Verifier: proofs.NewVerifier(h.policy)}
	claims, err := proofs.ParseMembers(`{"contract.number":"HT-1","terms.amount":"1.00","party.0.name":"张三"}`)
	must(t, err)
	request := client.Deposit{
		Key: "document", Claims: claims, Size: 4, Name: "loan.pdf", Type: "application/pdf", Signer: signer,
		Document: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("loan")), nil },
	}
	document, err := c.Deposit(t.Context(), request)
	must(t, err)
	again, err := c.Deposit(t.Context(), request) // signed anew
	must(t, err)
	if again.Index != document.Index {
		t.Error("a retry that was signed anew is another deposit")
	}
	request.Key, request.Document = "digest", nil
	request.Claims, err = proofs.ParseMembers(`{"content.sha256":"` + strings.Repeat("ab", 32) + `","label.a":"b"}`)
	must(t, err)
	digest, err := c.Deposit(t.Context(), request)
	must(t, err)
	batch, err := c.DepositBatch(t.Context(), client.Batch{Key: "batch", Lines: []proofs.Record{request.Claims, request.Claims}, Signer: signer})
	must(t, err)

	told := func(r proofs.Receipt) api.Verification {
		t.Helper()
		body, err := json.Marshal(map[string]string{"receipt": string(r.Marshal()), "policy": h.policy.String()})
		must(t, err)
		return decoded[api.Verification](t, h.do(t, "POST", "/v1/verify", strings.NewReader(string(body)), "Content-Type", "application/json"), 200)
	}
	for _, r := range append(batch, document, digest) {
		v := told(r)
		if v.Outcome != "verified" || v.Depositor.Check != "valid" || v.Depositor.Key != key.Fingerprint() || v.Depositor.Algorithm != "ECDSA P-256" {
			t.Errorf("%+v", v)
		}
		if !strings.Contains(strings.Join(v.Explanations.Zh.Proved, ""), key.Fingerprint()) {
			t.Errorf("%v", v.Explanations.Zh.Proved)
		}
	}
	id, _ := document.Member("id")
	name, _ := id.Text()
	hidden, err := proofs.ParseReceipt(h.do(t, "GET", "/v1/deposits/"+name+"/receipt?hide=party.*", nil).body)
	must(t, err)
	if v := told(hidden); v.Outcome != "verified" || v.Depositor.Check != "unchecked" || strings.Join(v.Depositor.Hidden, ",") != "party.0.name" {
		t.Errorf("hidden: %+v", v.Depositor)
	}
	plain := decoded[api.Deposit](t, h.postJSON(t, digestOnly(""), "Idempotency-Key", "plain"), 201)
	r, err := proofs.ParseReceipt([]byte(plain.Receipt))
	must(t, err)
	if v := told(r); v.Depositor.Check != "unsigned" {
		t.Errorf("unsigned: %+v", v.Depositor)
	}

	signed, err := proofs.SignDeposit(request.Claims, signer)
	must(t, err)
	altered := strings.Replace(signed.JSON(), `"label.a":"b"`, `"label.a":"c"`, 1)
	if p := h.postJSON(t, `{"record":`+altered+`}`, "Idempotency-Key", "altered").problem(t, invalidRecord); p.Member != "depositor.signature" || !strings.Contains(p.Detail, "content.sha256, depositor.key, label.a") {
		t.Errorf("altered: %+v", p)
	}
	p := h.postBatch(t, `{"record":`+signed.JSON()+"}\n"+`{"record":`+altered+"}\n", "Idempotency-Key", "altered").problem(t, invalidBatch)
	if len(p.Lines) != 1 || p.Lines[0].Line != 2 || p.Lines[0].Member != "depositor.signature" {
		t.Errorf("altered line: %+v", p)
	}
	// A tenant whose keys are registered; which one it is, is known only now.
	checks[first(t, h)] = notary.Checks{SigningKeys: []string{key.Fingerprint()}}
	request.Key = "registered"
	r, err = c.Deposit(t.Context(), request)
	must(t, err)
	if v := told(r); !v.Depositor.Registered {
		t.Errorf("registered: %+v", v.Depositor)
	}
	_, request.Signer, err = ed25519.GenerateKey(rand.Reader)
	must(t, err)
	request.Key = "unregistered"
	_, err = c.Deposit(t.Context(), request)
	if p, ok := err.(*client.Problem); !ok || !p.Named("pre-check") || p.Member != "depositor.key" {
		t.Errorf("another key: %v", err)
	}
}

// first is the tenant of the house's depositor.
func first(t *testing.T, h *house) notary.ID {
	t.Helper()
	for id := range h.ledger.Snapshot().Tenants {
		if h.ledger.Snapshot().Tenants[id].Name == "First Bank" {
			return id
		}
	}
	t.Fatal("no such tenant")
	return notary.ID{}
}
