package notary_test

import (
	"context"
	"errors"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/proofs"
)

// grow deposits until the log has that size.
func (d *depository) grow(n *notary.Notary, size uint64) {
	d.t.Helper()
	for d.size() < size {
		lines := int(min(size-d.size(), notary.MaxLines))
		if _, err := n.DepositBatch(d.t.Context(), d.principal(), batchOf(d.t, "grow to "+string(rune('a'+size%26))+time.Now().String(), lines)); err != nil {
			d.t.Fatal(err)
		}
	}
}

// checkInclusion compares a proof with the entries as they are stored.
func (d *depository) checkInclusion(n *notary.Notary, index, size uint64) {
	d.t.Helper()
	p, err := n.InclusionProof(d.t.Context(), index, size)
	if err != nil {
		d.t.Errorf("entry %d of %d: %v", index, size, err)
		return
	}
	entries, err := d.ledger.Entries(d.t.Context(), index, index+1)
	if err != nil {
		d.t.Fatal(err)
	}
	root, err := proofs.RootAt(size, tileReader{d.ledger})
	if err != nil {
		d.t.Fatal(err)
	}
	if p.Leaf != proofs.LeafHash(entries[0]) || p.Root != root {
		d.t.Errorf("entry %d of %d: leaf or root is another", index, size)
	}
	if err := proofs.VerifyInclusion(p.Path, index, size, p.Leaf, p.Root); err != nil {
		d.t.Errorf("entry %d of %d: %v", index, size, err)
	}
}

func (d *depository) checkConsistency(n *notary.Notary, from, size uint64) {
	d.t.Helper()
	p, err := n.ConsistencyProof(d.t.Context(), from, size)
	if err != nil {
		d.t.Errorf("%d to %d: %v", from, size, err)
		return
	}
	older, err := proofs.RootAt(from, tileReader{d.ledger})
	if err != nil {
		d.t.Fatal(err)
	}
	newer, err := proofs.RootAt(size, tileReader{d.ledger})
	if err != nil {
		d.t.Fatal(err)
	}
	if p.From != older || p.Root != newer {
		d.t.Errorf("%d to %d: a root is another", from, size)
	}
	if err := proofs.VerifyConsistency(p.Path, from, size, p.From, p.Root); err != nil {
		d.t.Errorf("%d to %d: %v", from, size, err)
	}
}

// TestProofsByIndex: every entry of every small tree, and every pair of sizes; around
// the edges of tiles, some of them. What is out of range is not found.
func TestProofsByIndex(t *testing.T) {
	d := newDepository(t)
	n := d.opened()
	d.grow(n, 40)
	for size := uint64(1); size <= 40; size++ {
		for i := range size {
			d.checkInclusion(n, i, size)
			d.checkConsistency(n, i+1, size)
		}
	}
	d.grow(n, 600)
	edges := []uint64{1, 2, 255, 256, 257, 511, 512, 513, 600}
	for _, size := range edges {
		for _, i := range edges {
			if i <= size {
				d.checkInclusion(n, i-1, size)
				d.checkConsistency(n, i, size)
			}
		}
	}
	for _, c := range []struct{ index, size uint64 }{
		{0, 0}, {1, 1}, {40, 40}, {600, 600}, {0, 601}, {600, 601}, {0, math.MaxUint64}, {math.MaxUint64, math.MaxUint64}, {math.MaxUint64, 600}, {0, math.MaxInt64},
	} {
		if _, err := n.InclusionProof(t.Context(), c.index, c.size); !errors.Is(err, notary.ErrNotFound) {
			t.Errorf("entry %d of %d: %v", c.index, c.size, err)
		}
	}
	for _, c := range []struct{ from, size uint64 }{
		{0, 0}, {0, 1}, {0, 600}, {2, 1}, {600, 599}, {1, 601}, {601, 601}, {1, math.MaxUint64}, {math.MaxUint64, math.MaxUint64}, {math.MaxUint64, 600},
	} {
		if _, err := n.ConsistencyProof(t.Context(), c.from, c.size); !errors.Is(err, notary.ErrNotFound) {
			t.Errorf("%d to %d: %v", c.from, c.size, err)
		}
	}
	if len(n.Status(t.Context()).Problems) > 0 {
		t.Error("asking for what is not there was taken for damage")
	}
}

// TestNothingUnpublishedIsShown: neither proofs nor tiles nor a case tell of an entry
// before its checkpoint is out; a case waits for that.
func TestNothingUnpublishedIsShown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDepository(t)
		n := d.open()
		defer closeNotary(t, n)
		first, err := n.Deposit(t.Context(), d.principal(), digestOnly(t, "1", "x", "contract.number", "HT-1"))
		if err != nil {
			t.Fatal(err)
		}
		release := d.stuck()
		late := batchOf(t, "2", 3, "HT-1")
		late.Until = time.Now().Add(time.Second)
		if _, err := n.DepositBatch(t.Context(), d.principal(), late); !errors.As(err, new(*notary.SealingDelayedError)) {
			t.Fatal(err)
		}
		if d.size() != 5 {
			t.Fatalf("%d entries are committed", d.size())
		}
		for size := uint64(3); size <= 5; size++ {
			if _, err := n.InclusionProof(t.Context(), 0, size); !errors.Is(err, notary.ErrNotFound) {
				t.Errorf("inclusion at size %d: %v", size, err)
			}
			if _, err := n.ConsistencyProof(t.Context(), 1, size); !errors.Is(err, notary.ErrNotFound) {
				t.Errorf("consistency to size %d: %v", size, err)
			}
			if _, err := n.Tile(t.Context(), 0, 0, int(size)); !errors.Is(err, notary.ErrNotFound) {
				t.Errorf("tile of %d: %v", size, err)
			}
		}
		d.checkInclusion(n, 1, 2)
		d.checkConsistency(n, 1, 2)
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		if c, err := n.Case(ctx, d.principal(), "HT-1"); !errors.Is(err, notary.ErrUnavailable) {
			t.Errorf("a case that counts what is not published: %+v %v", c, err)
		}
		answer := make(chan notary.Case)
		go func() {
			c, err := n.Case(t.Context(), d.principal(), "HT-1")
			if err != nil {
				t.Error(err)
			}
			answer <- c
		}()
		synctest.Wait()
		select {
		case c := <-answer:
			t.Errorf("answered before the seal: %+v", c)
		default:
		}
		release()
		c := <-answer
		receipts, err := n.DepositBatch(t.Context(), d.principal(), late)
		if err != nil {
			t.Fatal(err)
		}
		if c.Seq != 4 || c.Leaf != receipts[2].Entry.LeafHash() {
			t.Errorf("case: %+v", c)
		}
		d.check(append(receipts, first)...)
	})
}

func TestCaseOfOneTenant(t *testing.T) {
	d := newDepository(t)
	n := d.opened()
	if _, err := n.Deposit(t.Context(), d.principal(), digestOnly(t, "1", "x", "contract.number", "HT-1")); err != nil {
		t.Fatal(err)
	}
	other := notary.Principal{Tenant: notary.Tenant{ID: notary.ID{2}, Name: "2"}, Role: notary.Depositor}
	for what, c := range map[string]struct {
		who      notary.Principal
		contract string
		want     error
	}{
		"another contract": {d.principal(), "HT-2", notary.ErrNotFound},
		"a part of it":     {d.principal(), "HT", notary.ErrNotFound},
		"none":             {d.principal(), "", notary.ErrNotFound},
		"another tenant":   {other, "HT-1", notary.ErrNotFound},
		"no role":          {notary.Principal{Tenant: d.tenant}, "HT-1", notary.ErrForbidden},
	} {
		if got, err := n.Case(t.Context(), c.who, c.contract); !errors.Is(err, c.want) || got != (notary.Case{}) {
			t.Errorf("%s: %+v %v", what, got, err)
		}
	}
	c, err := n.Case(t.Context(), notary.Principal{Tenant: d.tenant, Role: notary.Compliance}, "HT-1")
	if err != nil || c.Seq != 1 {
		t.Errorf("%+v %v", c, err)
	}
}
