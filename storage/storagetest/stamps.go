package storagetest

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/muniment/muniment/notary"
)

// stampsOf are the sizes of stamps, or the numbers of renewals.
func stampsOf(stamps []notary.Stamp) (sizes []uint64) {
	for _, s := range stamps {
		sizes = append(sizes, s.Size)
	}
	return sizes
}

// testStamps: a stamp is there once, in its place, and never changes, however the ledger is
// opened again.
func testStamps(t *testing.T, h Harness) {
	ctx := t.Context()
	if stamps, err := h.Ledger.Stamps(ctx, 0, 1000); err != nil || len(stamps) != 0 {
		t.Errorf("stamps of an empty ledger: %v, %v", stamps, err)
	}
	records := map[uint64][]byte{300: []byte("three hundred"), 1: {0, 255, 10}, 70000: bytes.Repeat([]byte("large"), 10000), math.MaxInt64: {1}}
	for size, record := range records {
		given := bytes.Clone(record)
		must(t, h.Ledger.Stamp(ctx, notary.Stamp{Size: size, Record: given}))
		clear(given)
		wantErr(t, "a second stamp", h.Ledger.Stamp(ctx, notary.Stamp{Size: size, Record: []byte("another")}), notary.ErrExists)
	}
	check := func() {
		t.Helper()
		for _, c := range []struct {
			from  uint64
			limit int
			want  []uint64
		}{
			{0, 1000, []uint64{1, 300, 70000, math.MaxInt64}}, {0, 1, []uint64{1}}, {1, 2, []uint64{1, 300}}, {2, 1, []uint64{300}},
			{300, 1, []uint64{300}}, {301, 10, []uint64{70000, math.MaxInt64}}, {math.MaxInt64, 2, []uint64{math.MaxInt64}},
			{math.MaxUint64, 1, nil},
		} {
			got, err := h.Ledger.Stamps(ctx, c.from, c.limit)
			if err != nil || !slices.Equal(stampsOf(got), c.want) {
				t.Errorf("%d stamps from %d: %v, %v; want %v", c.limit, c.from, stampsOf(got), err, c.want)
			}
			for _, s := range got {
				if !bytes.Equal(s.Record, records[s.Size]) {
					t.Errorf("the stamp at %d is not the one given", s.Size)
				}
				clear(s.Record)
			}
		}
	}
	check()
	for _, limit := range []int{-1, 0, 1001} {
		if _, err := h.Ledger.Stamps(ctx, 0, limit); err == nil {
			t.Errorf("a limit of %d is taken", limit)
		}
	}
	var group sync.WaitGroup
	var kept atomic.Int32
	for i := range 20 {
		group.Go(func() {
			if h.Ledger.Stamp(ctx, notary.Stamp{Size: 5, Record: fmt.Append(nil, i)}) == nil {
				kept.Add(1)
			}
		})
	}
	group.Wait()
	if kept.Load() != 1 {
		t.Errorf("%d stamps of one size were kept", kept.Load())
	}
	five, err := h.Ledger.Stamps(ctx, 5, 1)
	must(t, err)
	h.Ledger = h.Reopen()
	if again, err := h.Ledger.Stamps(ctx, 5, 1); err != nil || len(again) != 1 || again[0].Size != 5 || !bytes.Equal(again[0].Record, five[0].Record) {
		t.Errorf("after opening again: %v, %v, before: %v", again, err, five)
	}
	if head, err := h.Ledger.Head(ctx); err != nil || head.Size != 0 {
		t.Errorf("stamping moved the head: %+v, %v", head, err)
	}
}

// testRenewals: a renewal is found by each size it covers, in the order of numbers.
func testRenewals(t *testing.T, h Harness) {
	ctx := t.Context()
	if n, err := h.Ledger.Renewed(ctx); n != 0 || err != nil {
		t.Errorf("renewed: %d, %v", n, err)
	}
	all := []notary.Renewal{
		{Number: 1, First: 5, Last: 10, Data: []byte("one")}, {Number: 2, First: 11, Last: 20, Data: bytes.Repeat([]byte{0, 255}, 30000)},
		{Number: 3, First: 5, Last: 15, Data: []byte("three")}, {Number: 300, First: 0, Last: math.MaxInt64, Data: []byte("four")},
	}
	for _, r := range []notary.Renewal{all[2], all[0], all[3], all[1]} {
		given := r
		given.Data = bytes.Clone(r.Data)
		must(t, h.Ledger.Renew(ctx, given))
		clear(given.Data)
		r.Data = []byte("another")
		wantErr(t, "a second renewal", h.Ledger.Renew(ctx, r), notary.ErrExists)
	}
	for range 2 {
		for size, want := range map[uint64][]int{0: {3}, 4: {3}, 5: {0, 2, 3}, 10: {0, 2, 3}, 11: {1, 2, 3}, 15: {1, 2, 3}, 16: {1, 3}, 21: {3}, math.MaxInt64: {3}, math.MaxUint64: {}} {
			got, err := h.Ledger.Renewals(ctx, size)
			ok := err == nil && len(got) == len(want)
			for i := range want {
				ok = ok && got[i].Number == all[want[i]].Number && got[i].First == all[want[i]].First && got[i].Last == all[want[i]].Last && bytes.Equal(got[i].Data, all[want[i]].Data)
			}
			if !ok {
				t.Errorf("renewals of %d: %d, %v; want %v", size, len(got), err, want)
			}
			for i := range got {
				clear(got[i].Data)
			}
		}
		if n, err := h.Ledger.Renewed(ctx); n != 300 || err != nil {
			t.Errorf("renewed: %d, %v", n, err)
		}
		h.Ledger = h.Reopen()
	}
}
