package service

import (
	"encoding/json"
	"fmt"
	"net/url"
	"testing"

	"github.com/muniment/muniment/service/api"
)

func (h *house) getCase(t testing.TB, escaped string, headers ...string) api.Case {
	t.Helper()
	a := h.do(t, "GET", "/v1/cases/"+escaped, nil, headers...)
	if a.StatusCode != 200 {
		t.Fatalf("%s: %d %s", escaped, a.StatusCode, a.body)
	}
	var c api.Case
	must(t, json.Unmarshal(a.body, &c))
	return c
}

func TestCase(t *testing.T) {
	h := newHouse(t)
	var last api.Deposit
	for range 5 {
		last, _ = h.postJSON(t, digestOnly(`,"contract.number":"HT-1"`)).deposit(t, h, 201)
		h.postJSON(t, digestOnly(`,"contract.number":"HT-2"`)).deposit(t, h, 201)
	}
	c := h.getCase(t, "HT-1")
	if c.Contract != "HT-1" || c.Count != 5 || c.Leaf != last.Leaf || len(c.Deposits) != 5 || c.Next != "" || c.Deposits[4].Leaf != last.Leaf {
		t.Errorf("%+v", c)
	}
	var indexes []uint64
	for page := h.getCase(t, "HT-1?limit=2"); ; page = h.getCase(t, "HT-1?limit=2&cursor="+page.Next) {
		for _, d := range page.Deposits {
			indexes = append(indexes, d.Index)
		}
		if page.Next == "" {
			break
		}
	}
	if fmt.Sprint(indexes) != "[1 3 5 7 9]" {
		t.Errorf("pages of two give %v", indexes)
	}
	h.getCase(t, "HT-1", "Authorization", "Bearer "+h.reader)
	h.do(t, "GET", "/v1/cases/HT-1", nil, "Authorization", "Bearer "+h.stranger).problem(t, notFound)
	h.do(t, "GET", "/v1/cases/HT-1", nil, "Authorization", "").problem(t, unauthorized)
	h.do(t, "POST", "/v1/cases/HT-1", nil).problem(t, methodNotAllowed)
	for _, path := range []string{"HT-3", "", "HT-1/", "HT-3/bundle", "bundle", "HT-1/bundle/", "a/b", "%ff", "HT%2D1%00"} {
		h.do(t, "GET", "/v1/cases/"+path, nil).problem(t, notFound)
	}
	for _, query := range []string{"limit=0", "limit=x", "limit=1&limit=2", "cursor=01", "cursor=", "limit="} {
		h.do(t, "GET", "/v1/cases/HT-1?"+query, nil).problem(t, invalidSearch)
	}
}

// TestCaseNumbers: a contract number is decoded once, whatever it holds.
func TestCaseNumbers(t *testing.T) {
	h := newHouse(t)
	for i, number := range []string{
		"100%41", "100A", "a%2Fb", "a/b", "a%252Fb", "..", ".", "../x", "/", "//", "a+b", "a b", "a%20b", "贷款 2026/117 号", "%", "a?b#c", "a;b=c", "*", "{x}", `a\b`, "a&b", "~",
	} {
		quoted, _ := json.Marshal(number)
		d, _ := h.postJSON(t, digestOnly(`,"contract.number":`+string(quoted))).deposit(t, h, 201)
		for _, escaped := range []string{url.PathEscape(number), everyByte(number)} {
			c := h.getCase(t, escaped)
			if c.Contract != number || c.Count != 1 || c.Leaf != d.Leaf || len(c.Deposits) != 1 {
				t.Errorf("%d %q as %s: %+v", i, number, escaped, c)
			}
		}
	}
}

func everyByte(s string) string {
	var out string
	for _, c := range []byte(s) {
		out += fmt.Sprintf("%%%02x", c)
	}
	return out
}
