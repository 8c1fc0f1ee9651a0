package service

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/service/api"
)

// TestUsage: a tenant reads what it used and what it may, and no other's; beyond the quota
// it is told so, and nothing is kept.
func TestUsage(t *testing.T) {
	h := newHouse(t, func(c *Config) {})
	of := func(key string) (u api.Usage) {
		t.Helper()
		a := h.do(t, "GET", "/v1/usage", nil, "Authorization", "Bearer "+key)
		if a.StatusCode != http.StatusOK {
			t.Fatalf("%d %s", a.StatusCode, a.body)
		}
		must(t, json.Unmarshal(a.body, &u))
		return u
	}
	h.postJSON(t, digestOnly(""), "Idempotency-Key", "1").deposit(t, h, 201)
	if u := of(h.depositor); u.Deposits != 1 || u.Bytes != 0 || u.MostDeposits != 0 || len(u.Month) != len("2026-11") {
		t.Errorf("%+v", u)
	}
	if u := of(h.stranger); u.Deposits != 0 {
		t.Errorf("a stranger reads %+v", u)
	}
	h.do(t, "GET", "/v1/usage?month=2026-13", nil).problem(t, invalidSearch)
	h.do(t, "GET", "/v1/usage", nil, "Authorization", "Bearer none").problem(t, unauthorized)
	if u := (api.Usage{}); json.Unmarshal(h.do(t, "GET", "/v1/usage?month=2001-01", nil).body, &u) != nil || u.Deposits != 0 || u.Month != "2001-01" {
		t.Errorf("%+v", u)
	}
	p, told := judge(&notary.QuotaError{Quota: notary.Quota{Deposits: 5}, Used: notary.Usage{Month: 202611, Deposits: 5}})
	want := "In 2026-11 your tenant has made 5 of 5 deposits, with documents of 0 bytes. What it asks for is beyond its quota, which begins anew with the month (UTC). Nothing was kept."
	if p != quotaExceeded || told.Detail != want {
		t.Errorf("%s: %s", p.name, told.Detail)
	}
}
