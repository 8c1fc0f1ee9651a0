package client

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/service/api"
)

const someID, otherID = "01936f5e-4a00-7c3e-8d2a-5b6f7a8c9d0e", "01936f5e-4a00-7c3e-8d2a-5b6f7a8c9d0f"

// noticed puts a notice into the log and returns its receipt.
func (l *testLog) noticed(texts map[string]string) proofs.Receipt {
	var members []proofs.Member
	for name, text := range texts {
		v, err := proofs.Text(text)
		if err != nil {
			l.t.Fatal(err)
		}
		members = append(members, proofs.Member{Name: name, Value: v})
	}
	record, err := proofs.NewRecord(members...)
	if err != nil {
		l.t.Fatal(err)
	}
	disclosures := record.Disclose(proofs.Seed{1})
	entry := proofs.Entry{Kind: proofs.KindNotice, Time: time.UnixMilli(1e12), Record: proofs.Commitment(disclosures)}
	index := l.append(entry)
	path, err := proofs.InclusionProof(index, l.tree.Size(), l)
	if err != nil {
		l.t.Fatal(err)
	}
	return proofs.Receipt{Entry: entry, Disclosures: disclosures, Index: index, Path: path, Checkpoint: signed(l.t, l.checkpoint(l.tree.Size()))}
}

// TestGrantsOfLiars: a grant is believed when its receipt says what was asked for, and a
// revocation when it is of that grant.
func TestGrantsOfLiars(t *testing.T) {
	until := time.UnixMilli(2e12)
	right := map[string]string{
		"id": someID, "notice.act": "grant", "notice.reason": "trial", "grant.to": otherID, "grant.until": proofs.FormatTime(until),
		"grant.case": strings.Repeat("ab", 12), "grant.deposit": otherID, "grant.leaf": strings.Repeat("0", 64),
	}
	revocation := map[string]string{"id": otherID, "notice.act": "revocation", "grant.revokes": someID, "grant.deposit": otherID}
	answer := right
	link := ""
	l := newTestLog(t)
	c, _ := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost && (r.URL.EscapedPath() != "/v1/cases/HT%2F1/grants" || r.Header.Get("Idempotency-Key") == "" || r.URL.RawQuery != "") {
			t.Errorf("%s %s", r.Method, r.URL)
		}
		_, _ = io.Copy(io.Discard, r.Body)
		if r.Method == http.MethodPost {
			w.WriteHeader(http.StatusCreated)
		}
		_ = json.NewEncoder(w).Encode(api.GrantAnswer{Grant: api.Grant{Id: someID}, Receipt: string(l.noticed(answer).Marshal()), Link: link})
	}))
	c.Tenant = otherID // which writes do not name
	want := Opening{Contract: "HT/1", To: otherID, Until: until, Reason: "trial"}
	if g, err := c.Grant(t.Context(), want); err != nil || g.Grant.Id != someID {
		t.Fatalf("%+v, %v", g, err)
	}
	for name, value := range map[string]string{
		"notice.act": "hold", "notice.reason": "other", "grant.to": someID, "grant.until": proofs.FormatTime(until.Add(time.Hour)), "grant.case": "", "id": otherID, "notice.matter": "m",
	} {
		answer = map[string]string{}
		for n, v := range right {
			answer[n] = v
		}
		if answer[name] = value; value == "" {
			delete(answer, name)
		}
		if _, err := c.Grant(t.Context(), want); !errors.Is(err, ErrReceipt) {
			t.Errorf("%s as %q: %v", name, value, err)
		}
	}
	answer, link = right, "mnl_x"
	if _, err := c.Grant(t.Context(), want); !errors.Is(err, ErrReceipt) {
		t.Errorf("a link that nobody asked for: %v", err)
	}
	answer, link = revocation, ""
	if _, err := c.Revoke(t.Context(), someID); err != nil {
		t.Error(err)
	}
	if _, err := c.Revoke(t.Context(), otherID); !errors.Is(err, ErrReceipt) {
		t.Errorf("another's revocation: %v", err)
	}
	if _, err := c.Revoke(t.Context(), "x"); err == nil {
		t.Error("no id")
	}
}
