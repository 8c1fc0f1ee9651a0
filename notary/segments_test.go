package notary_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/muniment/muniment/notary/notarytest"
)

// TestSlowSegments: more rows than the store takes in one round are sealed all the same,
// since the next round goes on where that one ended.
func TestSlowSegments(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDepository(t)
		n := d.open()
		d.segments.Faults.Set(notarytest.Fault{Call: "Put", Do: func() { time.Sleep(4 * time.Second) }})
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		if _, err := n.DepositBatch(ctx, d.principal(), batchOf(t, "k", 10_000)); err != nil {
			t.Error(err)
		}
		if puts := d.segments.Faults.Calls()["Put"]; puts < 3 {
			t.Errorf("%d segments", puts)
		}
		d.segments.Faults.Reset()
		closeNotary(t, n)
	})
}
