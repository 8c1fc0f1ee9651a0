package service

import (
	"net/http"
	"strings"
	"testing"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/service/api"
	"github.com/muniment/muniment/service/auth"
)

// TestKeeping: a deposit is held, released and erased by the tenant's compliance staff, two
// of them for an erasure, and everything afterwards says that it was.
func TestKeeping(t *testing.T) {
	h := newHouse(t)
	made := decoded[api.Deposit](t, h.postJSON(t, `{"record":{"content.sha256":"`+strings.Repeat("ab", 32)+`","contract.number":"HT-1"}}`, "Idempotency-Key", "k1"), 201)
	key, err := h.ledger.APIKey(t.Context(), auth.Hash(h.reader))
	must(t, err)
	ann, bob := []string{"Authorization", "Bearer " + h.reader}, []string{"Authorization", "Bearer " + h.key(t, key.Tenant, notary.Compliance)}
	path := "/v1/deposits/" + made.Id
	post := func(act, idempotency, body string, who []string) answer {
		return h.sendJSON(t, path+"/"+act, body, append([]string{"Idempotency-Key", idempotency}, who...)...)
	}
	hold := decoded[api.NoticeAnswer](t, post("hold", "h1", `{"matter":"(2026)京01号","reason":"保全"}`, ann), 201)
	if hold.Standing.State != "held" || hold.Standing.Matters[0] != "(2026)京01号" || hold.Notice.Act != "hold" || !strings.HasPrefix(hold.Notice.By, "key:") || hold.Remains != nil {
		t.Errorf("held: %+v", hold)
	}
	receipt, err := proofs.ParseReceipt([]byte(hold.Receipt))
	must(t, err)
	if e, err := proofs.NewVerifier(h.policy).Verify(receipt, nil); err != nil || e.Outcome() != proofs.Verified {
		t.Errorf("the receipt of a hold: %v %v", e.Reason, err)
	}
	post("erasure", "e0", `{"reason":"r"}`, ann).problem(t, kept)
	post("release", "r0", `{"matter":"another","reason":"r"}`, ann).problem(t, notHeldUnderMatter)
	post("hold", "h1", `{"matter":"(2026)京01号","reason":"other"}`, ann).problem(t, idempotencyKeyReused)
	post("hold", "h2", `{"reason":"no matter"}`, ann).problem(t, invalidRecord)
	post("hold", "h3", `{"matter":7,"reason":"r"}`, ann).problem(t, malformedJSON)
	post("hold", "h4", `{"matter":"m","reason":"r","more":1}`, ann).problem(t, malformedJSON)
	h.sendJSON(t, path+"/hold", `{"matter":"m","reason":"r"}`, ann...).problem(t, idempotencyKeyRequired)
	post("hold", "h5", `{"matter":"m","reason":"r"}`, nil).problem(t, forbidden) // the depositor
	post("hold", "h6", `{"matter":"m","reason":"r"}`, []string{"Authorization", "Bearer " + h.stranger}).problem(t, forbidden)
	stranger, err := h.ledger.APIKey(t.Context(), auth.Hash(h.stranger))
	must(t, err)
	other := []string{"Authorization", "Bearer " + h.key(t, stranger.Tenant, notary.Compliance)}
	for _, act := range []string{"hold", "release", "erasure"} {
		post(act, "h7"+act, `{"matter":"m","reason":"r"}`, other).problem(t, notFound)
	}
	h.do(t, "GET", path+"/notices", nil, other...).problem(t, notFound)

	listed := decoded[api.NoticeList](t, h.do(t, "GET", "/v1/notices?act=hold&state=open&order=desc&limit=5", nil, ann...), 200)
	if len(listed.Notices) != 1 || listed.Notices[0].Id != hold.Notice.Id || listed.Notices[0].Deposit != made.Id || listed.Notices[0].State != "open" || listed.Notices[0].Reason != "保全" || listed.Next != "" {
		t.Errorf("listed: %+v", listed)
	}
	for query, member := range map[string]string{"act=grant": "act", "act=": "act", "act=hold&act=hold": "act", "state=shut": "state", "state=": "state", "order=x": "order", "limit=0": "limit", "cursor=x": "cursor"} {
		if p := h.do(t, "GET", "/v1/notices?"+query, nil, ann...).problem(t, invalidSearch); p.Member != member {
			t.Errorf("%s: %+v", query, p)
		}
	}

	decoded[api.NoticeAnswer](t, post("release", "r1", `{"matter":"(2026)京01号","reason":"结案"}`, bob), 201)
	asked := decoded[api.NoticeAnswer](t, post("erasure", "e1", `{"reason":"retention is over"}`, ann), 202)
	if asked.Standing.State != "erasure-asked" || len(asked.Remains) == 0 {
		t.Errorf("asked: %+v", asked)
	}
	decoded[api.NoticeAnswer](t, post("erasure", "e1", `{"reason":"retention is over"}`, ann), 202)
	done := decoded[api.NoticeAnswer](t, post("erasure", "e2", `{"reason":"confirmed"}`, bob), 201)
	if done.Standing.State != "erased" || len(done.Remains) == 0 || done.Notice.Act != "erasure" {
		t.Errorf("erased: %+v", done)
	}
	for _, gone := range []string{path, path + "/receipt", path + "/document", path + "/evidence"} {
		h.do(t, "GET", gone, nil).problem(t, erased)
	}
	h.postJSON(t, `{"record":{"content.sha256":"`+strings.Repeat("ab", 32)+`","contract.number":"HT-1"}}`, "Idempotency-Key", "k1").problem(t, erased)
	post("hold", "h8", `{"matter":"m","reason":"r"}`, ann).problem(t, erased)
	standing := decoded[api.Standing](t, h.do(t, "GET", path+"/notices", nil), http.StatusOK)
	var acts []string
	for _, n := range standing.Notices {
		acts = append(acts, n.Act)
		// Each has a receipt of its own, which the tenant reads as it reads a deposit's.
		decoded[api.Deposit](t, h.do(t, "GET", "/v1/deposits/"+n.Id, nil), http.StatusOK)
	}
	if standing.State != "erased" || strings.Join(acts, " ") != "hold release erasure-asked erasure" {
		t.Errorf("%+v", standing)
	}
	if list := h.list(t, "?sha256="+strings.Repeat("ab", 32)); len(list.Deposits) != 0 {
		t.Errorf("still found: %+v", list)
	}
	if s := h.log.String(); strings.Contains(s, "保全") || strings.Contains(s, "retention is over") {
		t.Error("the log holds what a caller wrote")
	}
}
