package notary_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/notary/notarytest"
)

// retained is since when the only document is retained.
func (d *depository) retained() time.Time {
	d.t.Helper()
	objects := d.blobs.Snapshot()
	if len(objects) != 1 {
		d.t.Fatalf("%d documents", len(objects))
	}
	for _, o := range objects {
		return o.Retained
	}
	return time.Time{}
}

// TestRetainedBeforeReceipt: no receipt of a document leaves before it is retained, from
// the time of its entry on; and a document that belongs to no entry never is.
func TestRetainedBeforeReceipt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDepository(t)
		n := d.open()
		d.blobs.Faults.Set(notarytest.Fault{Call: "Retain", Kind: notarytest.Fails})
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		_, err := n.Deposit(ctx, d.principal(), original(t, "a", "document"))
		cancel()
		if delayed := new(notary.SealingDelayedError); !errors.As(err, &delayed) {
			t.Fatalf("answered with %v though nothing is retained", err)
		}
		if !d.retained().IsZero() {
			t.Fatal("retained in spite of the fault")
		}
		d.blobs.Faults.Reset()
		r, err := n.Deposit(t.Context(), d.principal(), original(t, "a", "document"))
		if err != nil {
			t.Fatal(err)
		}
		if got := d.retained(); !got.Equal(r.Entry.Time) {
			t.Errorf("retained since %v, the entry is of %v", got, r.Entry.Time)
		}
		if calls := d.blobs.Faults.Calls()["Retain"]; calls != 1 {
			t.Errorf("asked %d times to retain", calls)
		}
		if _, err := n.Deposit(t.Context(), d.principal(), digestOnly(t, "b", "x")); err != nil || d.blobs.Faults.Calls()["Retain"] != 1 {
			t.Errorf("a digest has no document to retain: %v", err)
		}
		closeNotary(t, n)
		d.check(r)
	})
}

// TestScrubberRetains: a document whose depositor never came back is retained all the
// same.
func TestScrubberRetains(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDepository(t)
		n := d.open()
		d.blobs.Faults.Set(notarytest.Fault{Call: "Retain", Kind: notarytest.Fails})
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		_, _ = n.Deposit(ctx, d.principal(), original(t, "a", "document"))
		cancel()
		d.blobs.Faults.Reset()
		time.Sleep(25 * time.Hour)
		if d.retained().IsZero() {
			t.Error("not retained within a day")
		}
		closeNotary(t, n)
	})
}
