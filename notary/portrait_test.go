package notary_test

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/proofs"
)

// TestSizeAt: how many entries there were at a time, for every moment between two.
func TestSizeAt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDepository(t)
		n := d.open()
		defer closeNotary(t, n)
		begun := time.Now()
		for i := range 20 {
			time.Sleep(time.Hour)
			for j := range i % 3 {
				deposited(t, d, n, fmt.Sprint(i, "-", j))
			}
		}
		rows := d.ledger.Snapshot().Rows
		for at := begun.Add(-time.Hour); at.Before(begun.Add(22 * time.Hour)); at = at.Add(30 * time.Minute) {
			want := uint64(0)
			for _, r := range rows {
				e, err := proofs.ParseEntry(string(r.Entry))
				if err != nil {
					t.Fatal(err)
				}
				if e.Time.Before(at) {
					want++
				}
			}
			if got, err := n.SizeAt(t.Context(), at); err != nil || got != want {
				t.Fatalf("%v after: %d, %v, want %d", at.Sub(begun), got, err, want)
			}
		}
	})
}

// TestPortrait: what is shown of the log is what was published and dated, the newest first,
// however many states were dated and however far apart they are.
func TestPortrait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDepository(t)
		d.dated(0, authority("one", 20*year, 5*year), authority("two", 20*year, 5*year))
		n := d.open()
		defer closeNotary(t, n)
		p, err := n.Portray(t.Context())
		if err != nil || len(p.Dated) != 0 || len(p.Authority) != 2 || p.Tree != nil || p.Published != 1 || len(p.Checkpoint) == 0 {
			t.Fatalf("%+v, %v", p, err)
		}
		var sizes []uint64
		for i, gap := range []int{1, 1, 40, 1, 3, 1, 1, 9, 1, 1, 1, 1, 70} {
			for j := range gap {
				deposited(t, d, n, fmt.Sprint(i, "-", j))
			}
			size, err := n.Stamp(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			sizes = append(sizes, size)
			p, err := n.Portray(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			var got []uint64
			for _, s := range p.Dated {
				got = append(got, s.Size)
				if len(s.Stamps) != 2 || s.Stamps[0].Authority == s.Stamps[1].Authority {
					t.Errorf("dated by %+v", s.Stamps)
				}
			}
			want := slices.Clone(sizes[max(0, len(sizes)-10):])
			slices.Reverse(want)
			if !slices.Equal(got, want) {
				t.Fatalf("dated %v, want %v", got, want)
			}
		}
	})
}

func deposited(t *testing.T, d *depository, n *notary.Notary, key string) {
	t.Helper()
	if _, err := n.Deposit(t.Context(), d.principal(), digestOnly(t, key, key)); err != nil {
		t.Fatal(err)
	}
}
