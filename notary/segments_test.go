package notary_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/notary/notarytest"
	"github.com/muniment/muniment/proofs"
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

// FuzzSegmentName: a name has one spelling, and nothing else is read as one.
func FuzzSegmentName(f *testing.F) {
	name := notary.SegmentName{Origin: "log.example", From: 1, To: 1 << 63, Begin: proofs.LeafHash([]byte("a")), End: proofs.LeafHash([]byte("b"))}
	if read, ok := notary.ParseSegmentName(name.Origin, name.String()); !ok || read != name {
		f.Fatalf("%s is read as %s", name, read)
	}
	for _, text := range []string{"", name.String(), strings.ToUpper(name.String()), "+" + name.String()[1:], name.String() + "\n", " " + name.String(), name.String()[1:]} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if read, ok := notary.ParseSegmentName("o", text); ok && read.String() != text {
			t.Fatalf("%q is read as %s", text, read)
		}
	})
}
