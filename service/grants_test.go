package service

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/service/api"
	"github.com/muniment/muniment/service/auth"
)

// bearer is the header of a key or a link.
func bearer(key string) []string { return []string{"Authorization", "Bearer " + key} }

// tenantOf is whose a key is.
func (h *house) tenantOf(t testing.TB, key string) notary.ID {
	k, err := h.ledger.APIKey(t.Context(), auth.Hash(key))
	must(t, err)
	return k.Tenant
}

// supervisor makes a key of the role auditor.
func (h *house) supervisor(t testing.TB, of ...notary.ID) string {
	text, hash := auth.NewKey()
	must(t, h.ledger.CreateAPIKey(t.Context(), notary.APIKey{Hash: hash, Tenant: h.tenant(t, "Supervisor"), Role: notary.Auditor, Supervises: of}))
	return text
}

func (h *house) operator(t testing.TB) string {
	text, hash := auth.NewKey()
	must(t, h.ledger.CreateAPIKey(t.Context(), notary.APIKey{Hash: hash, Role: notary.Operator}))
	return text
}

func in(d time.Duration) string { return proofs.FormatTime(time.Now().Add(d)) }

// parts are the ways to read of a deposit, each with the status that it has for one of which
// only the digest is there.
var parts = map[string]int{"": 200, "/receipt": 200, "/notices": 200, "/document": 404, "/evidence": 404, "/certificate": 200}

// TestOpenedCases: compliance opens a case to a court and shuts it; the court reads it in
// every way, and whatever else it asks for is answered as what never was.
func TestOpenedCases(t *testing.T) {
	h := newHouse(t)
	first := decoded[api.Deposit](t, h.postJSON(t, `{"record":{"content.sha256":"`+helloSHA256+`","contract.number":"HT/1"}}`), 201)
	solo := decoded[api.Deposit](t, h.postJSON(t, `{"record":{"content.sha256":"`+helloSHA256+`"}}`), 201)
	lender, court := h.tenantOf(t, h.depositor), h.tenant(t, "Court")
	judge, colleague, stranger := bearer(h.key(t, court, notary.Court)), bearer(h.key(t, court, notary.Court)), bearer(h.key(t, h.tenant(t, "Other Court"), notary.Court))
	compliance := bearer(h.reader)
	at := "tenant=" + lender.String()
	path := "/v1/cases/HT%2F1/grants"
	open := func(path, body, key string) answer {
		return h.sendJSON(t, path, body, append([]string{"Idempotency-Key", key}, compliance...)...)
	}
	body := fmt.Sprintf(`{"to":%q,"until":%q,"matter":"(2026)京01号","reason":"审理"}`, court, in(time.Hour))
	reads := func(what string, who []string, open bool) {
		t.Helper()
		for part, status := range parts {
			if a := h.do(t, "GET", "/v1/deposits/"+first.Id+part+"?"+at, nil, who...); open && a.StatusCode != status {
				t.Errorf("%s: %s: %d %s", what, part, a.StatusCode, a.body)
			} else if never := h.do(t, "GET", "/v1/deposits/"+neverWas+part+"?"+at, nil, who...); !open && (a.StatusCode != 404 || string(a.body) != string(never.body)) {
				t.Errorf("%s: %s: %d %s", what, part, a.StatusCode, a.body)
			}
			h.do(t, "GET", "/v1/deposits/"+solo.Id+part+"?"+at, nil, who...).problem(t, notFound)
		}
		a, never := h.do(t, "GET", "/v1/cases/HT%2F1?"+at, nil, who...), h.do(t, "GET", "/v1/cases/no?"+at, nil, who...)
		if open && a.StatusCode != 200 || !open && (a.StatusCode != 404 || string(a.body) != string(never.body)) {
			t.Errorf("%s: case: %d %s", what, a.StatusCode, a.body)
		}
		list := decoded[api.DepositList](t, h.do(t, "GET", "/v1/deposits?contract=HT%2F1&"+at, nil, who...), 200)
		if (len(list.Deposits) == 1) != open {
			t.Errorf("%s: search: %+v", what, list)
		}
	}
	reads("before", judge, false)
	made := open(path, body, "g1")
	g := decoded[api.GrantAnswer](t, made, 201)
	if g.Grant.Contract != "HT/1" || g.Grant.To != court.String() || g.Grant.State != "open" || g.Grant.Scope != "case" || g.Link != "" || made.Header.Get("Location") != "/v1/grants/"+g.Grant.Id {
		t.Errorf("%+v", g)
	}
	receipt, err := proofs.ParseReceipt([]byte(g.Receipt))
	must(t, err)
	if e, err := proofs.NewVerifier(h.policy).Verify(receipt, nil); err != nil || e.Outcome() != proofs.Verified {
		t.Errorf("its receipt: %v %v", e.Reason, err)
	}
	if again := decoded[api.GrantAnswer](t, open(path, body, "g1"), 201); again.Grant != g.Grant {
		t.Errorf("a retry: %+v", again)
	}
	open(path, strings.Replace(body, "审理", "other", 1), "g1").problem(t, idempotencyKeyReused)
	reads("open", judge, true)
	reads("open, a colleague", colleague, true)
	reads("open, another court", stranger, false)
	list := decoded[api.GrantList](t, h.do(t, "GET", "/v1/grants?"+at, nil, judge...), 200)
	if len(list.Grants) != 1 || list.Grants[0].Id != g.Grant.Id {
		t.Errorf("the court's grants: %+v", list)
	}
	h.do(t, "GET", "/v1/grants/"+g.Grant.Id+"?"+at, nil, stranger...).problem(t, notFound)
	if list := decoded[api.GrantList](t, h.do(t, "GET", path, nil, compliance...), 200); len(list.Grants) != 1 {
		t.Errorf("the case's grants: %+v", list)
	}
	// Who may not, and what cannot be.
	for _, who := range [][]string{judge, bearer(h.depositor), bearer(h.supervisor(t, lender)), bearer(h.operator(t))} {
		h.sendJSON(t, path, body, append([]string{"Idempotency-Key", "x"}, who...)...).problem(t, forbidden)
		h.sendJSON(t, "/v1/deposits/"+solo.Id+"/grants", body, append([]string{"Idempotency-Key", "x"}, who...)...).problem(t, forbidden)
		h.do(t, "GET", path+"?"+at, nil, who...).problem(t, forbidden)
		h.do(t, "DELETE", "/v1/grants/"+g.Grant.Id, nil, who...).problem(t, forbidden)
	}
	for bad, want := range map[string]*problem{
		`{"until":"` + in(time.Hour) + `","reason":"r"}`:                                             invalidGrant,
		`{"link":false,"until":"` + in(time.Hour) + `","reason":"r"}`:                                invalidGrant,
		fmt.Sprintf(`{"to":%q,"link":true,"until":%q,"reason":"r"}`, court, in(time.Hour)):           invalidGrant,
		`{"to":"x","until":"` + in(time.Hour) + `","reason":"r"}`:                                    invalidGrant,
		`{"to":"00000000-0000-0000-0000-000000000000","until":"` + in(time.Hour) + `","reason":"r"}`: invalidGrant,
		`{"link":true,"until":"tomorrow","reason":"r"}`:                                              invalidGrant,
		`{"link":true,"reason":"r"}`:                                                                 invalidGrant,
		`{"link":true,"until":"` + in(-time.Hour) + `","reason":"r"}`:                                invalidGrant,
		`{"link":true,"until":"` + in(notary.MaxLink+time.Hour) + `","reason":"r"}`:                  invalidGrant,
		`{"link":true,"until":"` + in(time.Hour) + `"}`:                                              invalidGrant,
		`{"link":"yes","until":"` + in(time.Hour) + `","reason":"r"}`:                                malformedJSON,
		`{"link":true,"until":"` + in(time.Hour) + `","reason":"r","more":1}`:                        malformedJSON,
	} {
		open(path, bad, "bad").problem(t, want)
	}
	open("/v1/cases/no/grants", body, "g2").problem(t, notFound)
	open("/v1/deposits/"+neverWas+"/grants", body, "g3").problem(t, notFound)
	h.sendJSON(t, path, body, compliance...).problem(t, idempotencyKeyRequired)
	h.do(t, "PUT", path, nil, compliance...).problem(t, methodNotAllowed)
	h.do(t, "POST", "/v1/cases/HT%2F1", nil, compliance...).problem(t, methodNotAllowed)
	h.do(t, "GET", "/v1/deposits/"+first.Id, nil, judge...).problem(t, invalidSearch) // names no tenant

	revoked := decoded[api.GrantAnswer](t, h.do(t, "DELETE", "/v1/grants/"+g.Grant.Id, nil, compliance...), 200)
	if revoked.Grant.State != "revoked" || revoked.Grant.Revoked == nil || revoked.Receipt == g.Receipt {
		t.Errorf("%+v", revoked)
	}
	if again := decoded[api.GrantAnswer](t, h.do(t, "DELETE", "/v1/grants/"+g.Grant.Id, nil, compliance...), 200); *again.Grant.Revoked != *revoked.Grant.Revoked {
		t.Errorf("again: %+v", again)
	}
	reads("revoked", judge, false)
	other := bearer(h.key(t, h.tenantOf(t, h.stranger), notary.Compliance))
	for _, method := range []string{"GET", "DELETE"} {
		h.do(t, method, "/v1/grants/"+g.Grant.Id, nil, other...).problem(t, notFound)
	}
	if s := h.log.String(); strings.Contains(s, "审理") || strings.Contains(s, "HT/1") {
		t.Error("the log says what callers wrote")
	}
}

// TestOpenedByLink: who has the link reads what it opens without an account, in every way and
// nothing else, until it is revoked; and it stands in no log.
func TestOpenedByLink(t *testing.T) {
	h := newHouse(t)
	first := decoded[api.Deposit](t, h.postJSON(t, `{"record":{"content.sha256":"`+helloSHA256+`","contract.number":"HT-1"}}`), 201)
	second := decoded[api.Deposit](t, h.postJSON(t, `{"record":{"content.sha256":"`+helloSHA256+`","contract.number":"HT-1"}}`), 201)
	lender := h.tenantOf(t, h.depositor)
	compliance := append(bearer(h.reader), "Idempotency-Key")
	body := fmt.Sprintf(`{"link":true,"until":%q,"reason":"审理"}`, in(time.Hour))
	ofCase := decoded[api.GrantAnswer](t, h.sendJSON(t, "/v1/cases/HT-1/grants", body, append(compliance, "l1")...), 201)
	if again := decoded[api.GrantAnswer](t, h.sendJSON(t, "/v1/cases/HT-1/grants", body, append(compliance, "l1")...), 201); again.Link != ofCase.Link || ofCase.Link == "" {
		t.Error("a retry is answered with another link")
	}
	ofOne := decoded[api.GrantAnswer](t, h.sendJSON(t, "/v1/deposits/"+first.Id+"/grants", body, append(compliance, "l2")...), 201)
	reads := func(what, link, id string, open bool) {
		t.Helper()
		for _, at := range []string{"", "?tenant=" + lender.String()} {
			for part, status := range parts {
				a := h.do(t, "GET", "/v1/deposits/"+id+part+at, nil, bearer(link)...)
				if open && a.StatusCode != status || !open && a.StatusCode != 404 {
					t.Errorf("%s: %s: %d %s", what, part, a.StatusCode, a.body)
				}
			}
		}
	}
	for _, id := range []string{first.Id, second.Id} {
		reads("by the case's link", ofCase.Link, id, true)
		reads("by the deposit's link", ofOne.Link, id, id == first.Id)
	}
	if c := decoded[api.Case](t, h.do(t, "GET", "/v1/cases/HT-1", nil, bearer(ofCase.Link)...), 200); c.Count != 2 {
		t.Errorf("%+v", c)
	}
	h.do(t, "GET", "/v1/cases/HT-1", nil, bearer(ofOne.Link)...).problem(t, notFound)
	for link, g := range map[string]api.GrantAnswer{ofCase.Link: ofCase, ofOne.Link: ofOne} {
		list := decoded[api.GrantList](t, h.do(t, "GET", "/v1/grants", nil, bearer(link)...), 200)
		if len(list.Grants) != 1 || list.Grants[0] != g.Grant {
			t.Errorf("what a link says of itself: %+v, want %+v", list, g.Grant)
		}
		for _, forbiddenTo := range []string{"/v1/deposits", "/v1/deposits?sha256=" + helloSHA256, "/v1/webhooks", "/v1/keys", "/v1/tenants"} {
			h.do(t, "GET", forbiddenTo, nil, bearer(link)...).problem(t, forbidden)
		}
		h.postJSON(t, `{"record":{"content.sha256":"`+helloSHA256+`"}}`, bearer(link)...).problem(t, forbidden)
		h.do(t, "GET", "/v1/deposits/"+first.Id+"?tenant="+h.tenantOf(t, h.stranger).String(), nil, bearer(link)...).problem(t, notFound)
	}
	// What is no link is no key either, and nobody says what is wrong with it.
	none := h.do(t, "GET", "/v1/grants", nil, bearer("mnt_"+strings.Repeat("A", 43))...)
	swapped := auth.LinkText(func() notary.Link {
		l, _, err := auth.Link(&http.Request{Header: http.Header{"Authorization": {"Bearer " + ofCase.Link}}})
		must(t, err)
		l.Tenant = h.tenantOf(t, h.stranger)
		return l
	}())
	flipped := []byte(ofCase.Link)
	flipped[60] ^= 1
	for _, wrong := range []string{swapped, string(flipped), ofCase.Link[:60], ofCase.Link + "=", "mnl_", "mnl_" + strings.Repeat("A", 86), "mnl_" + ofCase.Link[4:46] + ofOne.Link[46:]} {
		if a := h.do(t, "GET", "/v1/grants", nil, bearer(wrong)...); a.StatusCode != 401 || string(a.body) != string(none.body) {
			t.Errorf("%q: %d %s", wrong, a.StatusCode, a.body)
		}
	}
	h.do(t, "GET", "/v1/grants?link="+url.QueryEscape(ofCase.Link), nil, "Authorization", "").problem(t, unauthorized)
	decoded[api.GrantAnswer](t, h.do(t, "DELETE", "/v1/grants/"+ofCase.Grant.Id, nil, bearer(h.reader)...), 200)
	if a := h.do(t, "GET", "/v1/deposits/"+first.Id, nil, bearer(ofCase.Link)...); a.StatusCode != 401 || string(a.body) != string(none.body) {
		t.Errorf("a revoked link: %d %s", a.StatusCode, a.body)
	}
	reads("the other link", ofOne.Link, first.Id, true)
	if s := h.log.String(); strings.Contains(s, "mnl_") || strings.Contains(s, ofCase.Link[50:]) {
		t.Error("a link stands in the log")
	}
}
