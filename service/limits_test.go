package service

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/muniment/muniment/notary"
)

// TestLimits: a tenant that makes more deposits than it may is told when to come back, by
// single deposits as by batches, and another tenant is not concerned; a retry with the same
// key is then the deposit that it was to be.
func TestLimits(t *testing.T) {
	free := notary.ID{9}
	h := newHouse(t, func(c *Config) { c.Limits = Limits{Rate: 2, Burst: 5, Tenants: map[notary.ID]int{free: 0}} })
	post := func(key string, headers ...string) answer {
		return h.postJSON(t, digestOnly(""), append([]string{"Idempotency-Key", key}, headers...)...)
	}
	var refused answer
	taken := 0
	for i := range 50 {
		if refused = post(fmt.Sprint("k", i)); refused.StatusCode != http.StatusCreated {
			break
		}
		taken++
	}
	refused.problem(t, rateLimited)
	if after := refused.Header.Get("Retry-After"); after != "1" || taken < 5 {
		t.Errorf("Retry-After %q after %d", after, taken)
	}
	// What is refused is not even read, nor logged: it must cost the others nothing.
	logged := strings.Count(h.log.String(), "\n")
	for range 20 {
		h.postJSON(t, `{"record`, "Idempotency-Key", "none").problem(t, rateLimited)
	}
	if more := strings.Count(h.log.String(), "\n") - logged; more > 0 {
		t.Errorf("%d lines in the log", more)
	}
	if a := h.do(t, "GET", "/metrics", nil); !strings.Contains(string(a.body), `muniment_http_problems_total{problem="rate-limited"} 2`) {
		t.Error("refusals are not counted")
	}
	post("of nobody", "Authorization", "Bearer mnt_"+strings.Repeat("A", 43)).problem(t, unauthorized)
	post("of another", "Authorization", "Bearer "+h.stranger).deposit(t, h, 201)
	size := h.ledger.Snapshot().Head.Size
	lines := strings.Repeat(`{"record":{"content.sha256":"`+helloSHA256+`"}}`+"\n", 4)
	h.postBatch(t, lines, "Idempotency-Key", "batch").problem(t, rateLimited)
	h.nothingKept(t, size, 0)
	must(t, h.ledger.CreateTenant(t.Context(), notary.Tenant{ID: free, Name: "Free Bank"}))
	without := h.key(t, free, notary.Depositor)
	for i := range 20 {
		post(fmt.Sprint("f", i), "Authorization", "Bearer "+without).deposit(t, h, 201)
	}
}
