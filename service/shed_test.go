package service

import (
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
	who := notary.Principal{Tenant: notary.Tenant{ID: h.tenant(t, "Third Bank"), Name: "Third Bank"}, Role: notary.Depositor}
	claims, err := proofs.ParseMembers(`{"content.sha256":"` + helloSHA256 + `"}`)
	must(t, err)
	var wg sync.WaitGroup
	var answered int
	var mu sync.Mutex
	for i := 0; !h.notary.Full(); i++ {
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
	if answered < 2048 {
		t.Errorf("%d of the deposits under way were answered", answered)
	}
	h.postJSON(t, digestOnly("")).deposit(t, h, 201)
}
