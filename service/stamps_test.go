package service

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/proofs/rfc3161"
	"github.com/muniment/muniment/proofs/rfc3161/rfc3161test"
)

// timed is a time-stamp authority without a network.
type timed struct{ *rfc3161test.Authority }

// Name implements notary.TimestampAuthority.
func (a timed) Name() string { return "timed" }

// Timestamp implements notary.TimestampAuthority.
func (a timed) Timestamp(_ context.Context, message []byte) ([]byte, error) {
	return a.Token(rfc3161test.Statement{Message: message}), nil
}

// TestStampedAnswers: the receipt file is the stamped one once there is one, unless the
// plain one is asked for; the evidence record stands beside it, for its tenant alone.
func TestStampedAnswers(t *testing.T) {
	a := rfc3161test.New("Time Authority", time.Now, 20*365*24*time.Hour, 5*365*24*time.Hour)
	roots, err := rfc3161.ParseRoots(rfc3161test.RootsPEM(a))
	must(t, err)
	trusted := rfc3161.NewAuthorities(roots)
	h := newHouseOn(t, func(c *notary.Config) {
		c.Timestamps = &notary.Timestamps{Authorities: []notary.TimestampAuthority{timed{a}}, Checker: trusted}
	})
	d, first := h.postJSON(t, digestOnly("")).deposit(t, h, 201)
	if len(first.Timestamps) != 0 {
		t.Error("the first answer has time-stamps")
	}
	path := "/v1/deposits/" + d.Id
	h.do(t, "GET", path+"/evidence", nil).problem(t, notStamped)
	h.do(t, "GET", path+"/receipt?timestamps=all", nil).problem(t, invalidSearch)
	_, err = h.notary.Stamp(t.Context())
	must(t, err)
	later, _ := h.postJSON(t, digestOnly("")).deposit(t, h, 201)

	stamped, err := proofs.ParseReceipt(h.do(t, "GET", path+"/receipt", nil).body)
	must(t, err)
	plain, err := proofs.ParseReceipt(h.do(t, "GET", path+"/receipt?timestamps=none", nil).body)
	must(t, err)
	v := proofs.NewVerifier(h.policy, proofs.WithTimestamps(trusted))
	e, _ := v.Verify(stamped, nil)
	f, _ := v.Verify(plain, nil)
	if e.Level != proofs.Stamped || e.Size != 2 || f.Level != proofs.Sealed || f.Size != 3 {
		t.Errorf("%s under %d, plain %s under %d", e.Level, e.Size, f.Level, f.Size)
	}
	answer := h.do(t, "GET", path+"/evidence", nil)
	record, err := proofs.ParseEvidenceRecord(answer.body)
	must(t, err)
	if e, _ := v.VerifyRecord(stamped, record, time.Now(), nil); e.Outcome() != proofs.Verified {
		t.Error(e.Reason)
	}
	if got := answer.Header.Get("Content-Disposition"); got != "attachment; filename="+d.Id+".evidence" {
		t.Errorf("Content-Disposition %q", got)
	}
	h.do(t, "GET", "/v1/deposits/"+later.Id+"/evidence", nil).problem(t, notStamped)
	if a := h.do(t, "GET", path+"/evidence", nil, "Authorization", "Bearer "+h.reader); a.StatusCode != 200 {
		t.Errorf("the tenant's reader: %d", a.StatusCode)
	}
	foreign := h.do(t, "GET", path+"/evidence", nil, "Authorization", "Bearer "+h.stranger)
	foreign.problem(t, notFound)
	for _, id := range []string{"x", strings.ToUpper(d.Id), "01a20719-4eff-7849-afb4-ed408e0d354e"} {
		if missing := h.do(t, "GET", "/v1/deposits/"+id+"/evidence", nil, "Authorization", "Bearer "+h.stranger); string(missing.body) != string(foreign.body) {
			t.Errorf("%s: %s", id, missing.body)
		}
	}
}
