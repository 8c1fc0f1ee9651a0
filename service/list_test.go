package service

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/muniment/muniment/service/api"
)

func (h *house) list(t *testing.T, query string, headers ...string) api.DepositList {
	t.Helper()
	a := h.do(t, "GET", "/v1/deposits"+query, nil, headers...)
	if a.StatusCode != 200 {
		t.Fatalf("%s: %d %s", query, a.StatusCode, a.body)
	}
	var list api.DepositList
	must(t, json.Unmarshal(a.body, &list))
	return list
}

func TestList(t *testing.T) {
	h := newHouse(t)
	digest := strings.Repeat("ab", 32)
	for i := range 5 {
		contract := fmt.Sprintf("HT/%d", i%2)
		body := fmt.Sprintf(`{"record":{"content.sha256":%q,"contract.number":%q}}`, digest, contract)
		a := h.do(t, "POST", "/v1/deposits", strings.NewReader(body), "Content-Type", "application/json", "Idempotency-Key", fmt.Sprint(i))
		if a.StatusCode != 201 {
			t.Fatalf("%d %s", a.StatusCode, a.body)
		}
	}
	if got := len(h.list(t, "").Deposits); got != 5 {
		t.Errorf("%d of 5 deposits listed", got)
	}
	if got := len(h.list(t, "?sha256="+digest).Deposits); got != 5 {
		t.Errorf("%d of 5 deposits found by digest", got)
	}
	if got := len(h.list(t, "?contract=HT%2F0").Deposits); got != 3 {
		t.Errorf("%d of 3 deposits found by contract", got)
	}
	if got := h.list(t, "?contract=HT%2F9").Deposits; got == nil || len(got) != 0 {
		t.Errorf("an unknown contract lists %v, not []", got)
	}
	var indexes []uint64
	page := h.list(t, "?limit=2")
	for ; ; page = h.list(t, "?limit=2&cursor="+page.Next) {
		for _, d := range page.Deposits {
			indexes = append(indexes, d.Index)
		}
		if page.Next == "" {
			break
		}
	}
	if fmt.Sprint(indexes) != "[1 2 3 4 5]" {
		t.Errorf("pages of two give %v", indexes)
	}
	third := h.list(t, "?limit=3").Deposits[2]
	if got := h.list(t, "?since="+third.Time).Deposits; len(got) < 3 || got[len(got)-1].Index != 5 {
		t.Errorf("since %s: %v", third.Time, got)
	}
	if got := h.list(t, "?until=2000-01-01T00:00:00.000Z").Deposits; len(got) != 0 {
		t.Errorf("%d deposits before there were any", len(got))
	}
	if got := h.list(t, "", "Authorization", "Bearer "+h.stranger).Deposits; len(got) != 0 {
		t.Errorf("a stranger sees %d deposits", len(got))
	}
	if got := h.list(t, "", "Authorization", "Bearer "+h.reader).Deposits; len(got) != 5 {
		t.Errorf("a reader sees %d deposits", len(got))
	}
}

func TestListByLabel(t *testing.T) {
	h := newHouse(t)
	for _, members := range []string{`,"label.branch":"Shenzhen"`, `,"label.branch":"深圳:1"`, `,"label.branch":"Shenzhen","label.x":"Shenzhen"`, ""} {
		h.postJSON(t, digestOnly(members)).deposit(t, h, 201)
	}
	for query, want := range map[string]int{
		"branch:Shenzhen": 2, "branch:%E6%B7%B1%E5%9C%B3:1": 1, "branch:shenzhen": 0, "branch:Shenzhen:": 0, "x:Shenzhen": 1, "y:Shenzhen": 0,
	} {
		if got := len(h.list(t, "?label="+query).Deposits); got != want {
			t.Errorf("label=%s finds %d, want %d", query, got, want)
		}
	}
	if got := len(h.list(t, "?label=branch:Shenzhen", "Authorization", "Bearer "+h.stranger).Deposits); got != 0 {
		t.Errorf("a stranger finds %d", got)
	}
}

func TestListRefused(t *testing.T) {
	h := newHouse(t)
	for query, member := range map[string]string{
		"?contract=":               "contract",
		"?sha256=AB":               "sha256",
		"?since=yesterday":         "since",
		"?until=2026-11-23":        "until",
		"?cursor=-1":               "cursor",
		"?cursor=01":               "cursor",
		"?limit=0":                 "limit",
		"?limit=1001":              "limit",
		"?limit=x":                 "limit",
		"?depositor=":              "depositor",
		"?depositor=a%0Ab":         "depositor",
		"?depositor=a&depositor=b": "depositor",
		"?depositor=a&sm3=" + strings.Repeat("ab", 32): "",
		"?order=":               "order",
		"?order=DESC":           "order",
		"?order=asc&order=desc": "order",
		"?label=":               "label",
		"?label=branch":         "label",
		"?label=branch:":        "label",
		"?label=:x":             "label",
		"?label=Branch:x":       "label",
		"?label=a:b&label=c:d":  "label",
		"?limit=1&limit=2":      "limit",
		"?contract=a&label=b:c": "",
		"?contract=a&sha256=" + strings.Repeat("ab", 32): "",
	} {
		a := h.do(t, "GET", "/v1/deposits"+query, nil)
		var p api.Problem
		must(t, json.Unmarshal(a.body, &p))
		if a.StatusCode != 422 || p.Type != "/problems/invalid-search" || p.Member != member {
			t.Errorf("%s: %d %s", query, a.StatusCode, a.body)
		}
	}
}

// TestListBackward: the newest first, with and without a term, is the same list the other way,
// page by page and within bounds of time.
func TestListBackward(t *testing.T) {
	h := newHouse(t)
	for i := range 7 {
		h.postJSON(t, digestOnly(fmt.Sprintf(`,"contract.number":"HT-%d"`, i%2))).deposit(t, h, 201)
	}
	all := h.list(t, "?order=asc")
	name := decodedRecord(t, all.Deposits[0].Record)["depositor.name"]
	since, until := all.Deposits[2].Time, all.Deposits[5].Time
	for _, query := range []string{"", "&contract=HT-1", "&depositor=" + url.QueryEscape(name), "&since=" + since, "&until=" + until, "&since=" + since + "&until=" + until + "&contract=HT-0"} {
		var forth, back []uint64
		for _, d := range h.list(t, "?limit=1000"+query).Deposits {
			forth = append(forth, d.Index)
		}
		for cursor := ""; ; {
			page := h.list(t, "?order=desc&limit=2"+query+cursor)
			for _, d := range page.Deposits {
				back = append(back, d.Index)
			}
			if page.Next == "" {
				break
			}
			cursor = "&cursor=" + page.Next
		}
		slices.Reverse(back)
		if !slices.Equal(forth, back) || query == "" && len(forth) != 7 {
			t.Errorf("%s: %v forth, %v back", query, forth, back)
		}
	}
}

func decodedRecord(t *testing.T, record []byte) map[string]string {
	t.Helper()
	var all map[string]any
	must(t, json.Unmarshal(record, &all))
	texts := map[string]string{}
	for name, v := range all {
		texts[name], _ = v.(string)
	}
	return texts
}
