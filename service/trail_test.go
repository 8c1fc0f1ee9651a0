package service

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/notary/notarytest"
	"github.com/muniment/muniment/service/api"
	"github.com/muniment/muniment/service/auth"
)

// trail asks for events as a key's owner.
func (h *house) trail(t *testing.T, key, query string) api.TrailList {
	t.Helper()
	got := h.do(t, "GET", "/v1/trail"+query, nil, "Authorization", "Bearer "+key)
	if got.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s: %s", query, got.Status, got.body)
	}
	var list api.TrailList
	must(t, json.Unmarshal(got.body, &list))
	return list
}

// document deposits a document and returns its id.
func (h *house) document(t *testing.T, content, number string) string {
	t.Helper()
	got := h.postForm(t, form(recordPart(`{"contract.number":"`+number+`"}`), documentPart(content)))
	d, _ := got.deposit(t, h, http.StatusCreated)
	return d.Id
}

// TestTrail: whatever is given out stands in the trail of whose it is, with who, what, when,
// from where and how it ended; refusals too. Nobody else finds any of it, and nothing of it
// is content.
func TestTrail(t *testing.T) {
	h := newHouse(t)
	begun := time.Now()
	id := h.document(t, "the contract", "HT-2026-1")
	did := map[string]int{}
	for _, do := range []struct {
		action, method, path, key string
		status                    int
	}{
		{"receipt", "GET", "/v1/deposits/" + id, h.depositor, 200},
		{"receipt", "GET", "/v1/deposits/" + id + "/receipt", h.reader, 200},
		{"receipt", "GET", "/v1/deposits/" + id + "/evidence", h.reader, 404},
		{"document", "GET", "/v1/deposits/" + id + "/document", h.reader, 200},
		{"document", "HEAD", "/v1/deposits/" + id + "/document", h.reader, 200},
		{"search", "GET", "/v1/deposits?contract=HT-2026-1", h.reader, 200},
		{"case", "GET", "/v1/cases/HT-2026-1", h.depositor, 200},
		{"read", "GET", "/v1/deposits/" + id + "/notices", h.reader, 200},
		{"hold", "POST", "/v1/deposits/" + id + "/hold", h.depositor, 403},
		{"document", "GET", "/v1/deposits/" + id + "/document", h.stranger, 404},
		{"trail", "GET", "/v1/trail", h.depositor, 403},
	} {
		got := h.do(t, do.method, do.path, nil, "Authorization", "Bearer "+do.key, "Idempotency-Key", "k", "Content-Type", "application/json")
		if got.StatusCode != do.status {
			t.Errorf("%s %s: %s", do.method, do.path, got.Status)
		}
		if do.key != h.stranger {
			did[fmt.Sprintf("%s %d", do.action, do.status)]++
		}
	}
	held := h.do(t, "POST", "/v1/deposits/"+id+"/hold", strings.NewReader(`{"matter":"(2026) No. 7","reason":"secret reason"}`), "Authorization", "Bearer "+h.reader, "Idempotency-Key", "hold", "Content-Type", "application/json")
	if held.StatusCode != http.StatusCreated {
		t.Fatalf("%s %s", held.Status, held.body)
	}
	did["hold 201"]++
	h.do(t, "GET", "/v1/deposits/"+id, nil, "Authorization", "Bearer mnt_"+strings.Repeat("A", 43))
	time.Sleep(1100 * time.Millisecond) // for what nobody waits for
	events := h.trail(t, h.reader, "").Events
	got := map[string]int{}
	requestID := regexp.MustCompile(`^[0-9a-f]{16}$`)
	for _, e := range events {
		got[fmt.Sprintf("%s %d", e.Action, e.Status)]++
		at, err := time.Parse(time.RFC3339, e.Time)
		if err != nil || at.Before(begun.Add(-time.Second)) || at.After(time.Now().Add(time.Second)) || !requestID.MatchString(e.Request) || e.Address != "127.0.0.1" || !strings.HasPrefix(e.Caller, "key:") {
			t.Errorf("%+v", e)
		}
		if named := e.Deposit == id; named == (e.Action == "search" || e.Action == "case" || e.Action == "trail") {
			t.Errorf("%s is said to be of %q", e.Action, e.Deposit)
		}
	}
	if fmt.Sprint(got) != fmt.Sprint(did) {
		t.Errorf("events %v, done %v", got, did)
	}
	for query, want := range map[string]int{
		"?deposit=" + id: 8, "?contract=HT-2026-1": 2, "?contract=HT-2026-2": 0, "?action=document": 2, "?action=hold&deposit=" + id: 2,
		"?caller=" + events[0].Caller: 4, "?from=" + time.Now().Add(time.Hour).UTC().Format("2006-01-02T15:04:05.000Z"): 0,
	} {
		if got := h.trail(t, h.reader, query).Events; len(got) != want {
			t.Errorf("%s: %d events, want %d", query, len(got), want)
		}
	}
	h.pages(t, id)
	h.secretsOfTrail(t, "HT-2026-1", "the contract", "secret reason", h.reader)
}

// pages walks the trail in small steps: nothing is left out, and nothing comes twice.
func (h *house) pages(t *testing.T, id string) {
	t.Helper()
	whole := h.trail(t, h.reader, "?limit=1000&deposit="+id).Events
	var walked []api.TrailEvent
	for cursor := ""; ; {
		list := h.trail(t, h.reader, "?limit=2&deposit="+id+cursor)
		walked = append(walked, list.Events...)
		if list.Next == "" {
			break
		}
		cursor = "&cursor=" + list.Next
	}
	if fmt.Sprint(walked) != fmt.Sprint(whole) {
		t.Errorf("walked %v, whole %v", walked, whole)
	}
}

// secretsOfTrail looks for what must not stand in the ledger's pages.
func (h *house) secretsOfTrail(t *testing.T, secrets ...string) {
	t.Helper()
	for _, p := range h.ledger.Snapshot().Trail.Pages {
		for _, s := range secrets {
			if bytes.Contains(p.Text, []byte(s)) {
				t.Errorf("a page of the trail holds %q", s)
			}
		}
	}
}

// TestTrailRefused: where the trail cannot be written nothing private is given out, not a
// byte of it, while deposits and the public log go on; and it comes back by itself.
func TestTrailRefused(t *testing.T) {
	h := newHouse(t)
	id := h.document(t, "the contract", "HT-2026-1")
	h.ledger.Faults.Choose(func(call string, _ int) notarytest.Fault {
		if call == "WriteTrail" {
			return notarytest.Fault{Kind: notarytest.Fails}
		}
		return notarytest.Fault{}
	})
	for _, path := range []string{"/v1/deposits/" + id, "/v1/deposits/" + id + "/receipt", "/v1/deposits/" + id + "/document", "/v1/deposits", "/v1/cases/HT-2026-1", "/v1/trail", "/v1/deposits/" + id + "/notices"} {
		got := h.do(t, "GET", path, nil, "Authorization", "Bearer "+h.reader)
		if got.StatusCode != http.StatusServiceUnavailable || !bytes.Contains(got.body, []byte("/problems/trail-unavailable")) || bytes.Contains(got.body, []byte("the contract")) {
			t.Errorf("%s: %s %.200s", path, got.Status, got.body)
		}
		for _, name := range []string{"Etag", "Repr-Digest", "Content-Disposition"} {
			if v := got.Header.Get(name); v != "" {
				t.Errorf("%s: %s: %s", path, name, v)
			}
		}
	}
	h.document(t, "another", "HT-2026-2")
	if got := h.do(t, "GET", "/log/checkpoint", nil); got.StatusCode != http.StatusOK {
		t.Errorf("the public log: %s", got.Status)
	}
	h.ledger.Faults.Choose(nil)
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		got := h.do(t, "GET", "/v1/deposits/"+id+"/document", nil, "Authorization", "Bearer "+h.reader)
		if got.StatusCode == http.StatusOK && string(got.body) == "the contract" {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("not back: %s", got.Status)
		}
	}
}

// TestEveryPrivateRouteIsInTheTrail: a route under /v1 makes an event, or is one of those of
// which another record tells.
func TestEveryPrivateRouteIsInTheTrail(t *testing.T) {
	elsewhere := map[string]bool{ // the log is their trail; and what keeps nothing and asks for no account
		"POST /v1/deposits": true, "POST /v1/deposits:batch": true, "POST /v1/verify": true,
	}
	c, err := contract()
	must(t, err)
	seen := 0
	for _, route := range c.Routes() {
		if strings.HasSuffix(route, "/v1/cases/{contract}") {
			route = strings.Replace(route, "{contract}", "*", 1)
		}
		if _, path, _ := strings.Cut(route, " "); !strings.HasPrefix(path, "/v1/") {
			continue
		}
		seen++
		if _, there := trails[route]; there == elsewhere[route] {
			t.Errorf("%s: in the trail %v", route, there)
		}
	}
	if seen < len(trails) {
		t.Errorf("%d routes, %d in the trail", seen, len(trails))
	}
}

// TestHostileTrail: nothing that a caller chose makes a page longer than its bounds, breaks
// its lines, or stands in it as it was sent.
func TestHostileTrail(t *testing.T) {
	h := newHouse(t)
	evil := strings.Repeat("evil%0A", 100)
	for _, path := range []string{"/v1/deposits/" + evil + "/document", "/v1/cases/" + evil, "/v1/deposits?contract=" + evil, "/v1/trail?caller=" + strings.Repeat("x", 150), "/v1/trail?cursor=9999999.9999999999999999999.9999", "/v1/trail/9999-99-99", "/v1/trail/" + evil} {
		h.do(t, "GET", path, nil, "Authorization", "Bearer "+h.reader, "X-Forwarded-For", "6.6.6.6", "X-Request-Id", "evil", "Forwarded", "for=6.6.6.6")
	}
	time.Sleep(1100 * time.Millisecond)
	pages := h.ledger.Snapshot().Trail.Pages
	if len(pages) < 5 {
		t.Errorf("%d pages", len(pages))
	}
	for _, p := range pages {
		events, err := notary.ParseTrailPage(p.Text)
		if err != nil || len(events) != int(p.Events) || len(p.Text) > 100+200*len(events) || bytes.Contains(p.Text, []byte("evil")) || bytes.Contains(p.Text, []byte("6.6.6.6")) {
			t.Errorf("%v: %s", err, p.Text)
		}
	}
}

// TestTrailOfOthers: what an auditor, a court and the bearer of a link read stands in the
// trail of the tenant whose it is, what opened it beside it, and an operator's key and tenant
// in the trail of whom they are about; of the others' own tenants' trails it is none.
func TestTrailOfOthers(t *testing.T) {
	h := newHouse(t)
	id := h.document(t, "the contract", "HT-1")
	lender := h.tenantOf(t, h.depositor)
	court, supervisor, operator := h.tenant(t, "Court"), h.supervisor(t, lender), h.key(t, notary.ID{}, notary.Operator)
	keyed := append(bearer(h.reader), "Idempotency-Key")
	h.sendJSON(t, "/v1/cases/HT-1/grants", fmt.Sprintf(`{"to":%q,"until":%q,"reason":"审理"}`, court, in(time.Hour)), append(keyed, "g1")...)
	link := decoded[api.GrantAnswer](t, h.sendJSON(t, "/v1/deposits/"+id+"/grants", fmt.Sprintf(`{"link":true,"until":%q,"reason":"审理"}`, in(time.Hour)), append(keyed, "g2")...), 201)
	for _, key := range []string{supervisor, h.key(t, court, notary.Court), link.Link} {
		if a := h.do(t, "GET", "/v1/deposits/"+id+"/document?tenant="+lender.String(), nil, bearer(key)...); a.StatusCode != http.StatusOK {
			t.Errorf("%s %s", a.Status, a.body)
		}
	}
	h.do(t, "DELETE", "/v1/grants/"+link.Grant.Id, nil, append(keyed, "g3")...)
	h.do(t, "GET", "/v1/deposits/"+id+"/certificate?document=embed&tenant="+lender.String(), nil, bearer(supervisor)...)
	h.sendJSON(t, "/v1/keys", fmt.Sprintf(`{"tenant":%q,"role":"depositor"}`, lender), append(bearer(operator), "Idempotency-Key", "k1")...)
	unwanted := notary.APIKey{Hash: auth.Hash(h.key(t, lender, notary.Depositor))}.Caller()
	h.do(t, "DELETE", "/v1/keys/"+unwanted, nil, bearer(operator)...)
	hook := decoded[api.Webhook](t, h.sendJSON(t, "/v1/webhooks", `{"url":"https://bank.example/hook"}`, bearer(h.depositor)...), 201)
	h.do(t, "DELETE", "/v1/webhooks/"+hook.Id, nil, bearer(h.depositor)...)

	got := map[string]int{}
	for _, e := range h.trail(t, h.reader, "").Events {
		kind, _, _ := strings.Cut(e.Caller, ":")
		got[e.Action+" "+e.Role+" "+kind]++
		if e.Action == "document" && e.Deposit != id {
			t.Errorf("%+v", e)
		}
	}
	for what, times := range map[string]int{"grant compliance key": 2, "grant-revoked compliance key": 1, "key-revoked operator key": 1, "webhook-deleted depositor key": 1, "webhook depositor key": 1, "document auditor key": 2, "document court key": 1, "document court link": 1, "key operator key": 1} {
		if got[what] != times {
			t.Errorf("%s: %d times, want %d: %v", what, got[what], times, got)
		}
	}
	if events := h.trail(t, h.key(t, court, notary.Compliance), "").Events; len(events) > 1 { // this request
		t.Errorf("the court's own trail has %+v", events)
	}
}
