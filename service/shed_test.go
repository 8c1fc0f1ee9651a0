package service

import (
	"errors"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/notary/notarytest"
	"github.com/muniment/muniment/proofs"
)

// TestFull: while as many deposits are under way as may be, others are told so at once,
// whoever they are; everything else goes on; and what was under way is answered.
func TestFull(t *testing.T) {
	h := newHouse(t)
	held := make(chan struct{})
	release := sync.OnceFunc(func() { close(held) })
	defer release()
	h.ledger.Faults.Set(notarytest.Fault{Call: "Append", Do: func() { <-held }})
	claims, err := proofs.ParseMembers(`{"content.sha256":"` + helloSHA256 + `"}`)
	must(t, err)
	var wg sync.WaitGroup
	var answered int
	var mu sync.Mutex
	fill := func(tenant notary.ID, until func() bool) {
		who := notary.Principal{Tenant: notary.Tenant{ID: tenant, Name: "A Bank"}, Role: notary.Depositor}
		for i := 0; !until(); i++ {
			wg.Go(func() {
				_, err := h.notary.Deposit(t.Context(), who, notary.Deposit{Key: strconv.Itoa(i), Claims: claims})
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					answered++
				}
			})
			if i%64 == 0 {
				time.Sleep(time.Millisecond)
			}
		}
	}
	// One tenant takes three quarters of the places, and no more: another still finds one.
	noisy := h.tenant(t, "Noisy Bank")
	key := h.key(t, noisy, notary.Depositor)
	h.do(t, "GET", "/v1/deposits", nil, "Authorization", "Bearer "+key)
	fill(noisy, func() bool { return h.notary.Full(noisy) })
	h.postJSON(t, digestOnly(""), "Authorization", "Bearer "+key).problem(t, busy)
	if _, err := h.notary.Deposit(t.Context(), notary.Principal{Tenant: notary.Tenant{ID: noisy}, Role: notary.Depositor}, notary.Deposit{Key: "more", Claims: claims}); !errors.Is(err, notary.ErrBusy) {
		t.Errorf("beyond its share: %v", err)
	}
	wg.Go(func() { h.postJSON(t, digestOnly(""), "Idempotency-Key", "another tenant").deposit(t, h, 201) })
	fill(h.tenant(t, "Third Bank"), func() bool { return h.notary.Full(notary.ID{}) })
	size := h.ledger.Snapshot().Head.Size
	for range 3 {
		a := h.postJSON(t, digestOnly(""))
		a.problem(t, busy)
		if a.Header.Get("Retry-After") != "1" {
			t.Errorf("Retry-After %q", a.Header.Get("Retry-After"))
		}
	}
	h.postJSON(t, digestOnly(""), "Authorization", "").problem(t, busy)
	h.nothingKept(t, size, 0)
	for _, path := range []string{"/healthz", "/log/checkpoint", "/v1/deposits"} {
		if a := h.do(t, "GET", path, nil); a.StatusCode != 200 {
			t.Errorf("%s: %s", path, a.Status)
		}
	}
	release()
	wg.Wait()
	if answered < 2047 {
		t.Errorf("%d of the deposits under way were answered", answered)
	}
	h.postJSON(t, digestOnly("")).deposit(t, h, 201)
}
