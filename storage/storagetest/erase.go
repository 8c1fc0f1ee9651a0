package storagetest

import (
	"slices"
	"testing"

	"github.com/muniment/muniment/notary"
)

// testErase: what is erased is gone for every reader and after every reopening, and nothing
// else is.
func testErase(t *testing.T, h Harness) {
	ctx, log := t.Context(), NewLog()
	contract, digest, other := notary.Term{1}, notary.Term{2}, notary.Term{3}
	must(t, log.Append(ctx, h.Ledger,
		Spec{Tenant: alice, Terms: []notary.Term{contract, digest}, Contract: &contract},
		Spec{Tenant: alice, Terms: []notary.Term{contract, other}, Contract: &contract},
		Spec{Tenant: bob, Terms: []notary.Term{contract}},
	))
	before, err := h.Ledger.Rows(ctx, 0, 3)
	must(t, err)

	wantErr(t, "erasing another's row", h.Ledger.Erase(ctx, notary.Erasure{Tenant: bob, Index: 0, Terms: []notary.Term{contract}}), notary.ErrNotFound)
	wantErr(t, "erasing beyond the head", h.Ledger.Erase(ctx, notary.Erasure{Tenant: alice, Index: 3}), notary.ErrNotFound)
	erasure := notary.Erasure{Tenant: alice, Index: 0, Terms: []notary.Term{contract, digest, {9}}}
	for range 2 {
		must(t, h.Ledger.Erase(ctx, erasure))
	}
	check := func(l LedgerDriver) {
		t.Helper()
		for _, found := range []func() (notary.Row, error){
			func() (notary.Row, error) { return l.Row(ctx, 0) },
			func() (notary.Row, error) { return l.Deposit(ctx, alice, before[0].ID) },
			func() (notary.Row, error) {
				rows, err := l.Rows(ctx, 0, 3)
				return append(rows, notary.Row{})[0], err
			},
			func() (notary.Row, error) {
				rows, err := l.Deposits(ctx, notary.Query{Tenant: alice, Limit: 1})
				return append(rows, notary.Row{})[0], err
			},
		} {
			r, err := found()
			if err != nil || len(r.Secrets) > 0 || len(r.Body) > 0 || string(r.Entry) != string(before[0].Entry) || r.ID != before[0].ID || r.CaseSeq != before[0].CaseSeq {
				t.Errorf("the erased row reads as %+v, %v", r, err)
			}
		}
		rows, err := l.Rows(ctx, 1, 3)
		if err != nil || !sameRows(rows, before[1:]) {
			t.Errorf("the other rows read as %+v, %v", rows, err)
		}
		for _, q := range []struct {
			tenant notary.ID
			term   notary.Term
			want   []uint64
		}{{alice, contract, []uint64{1}}, {alice, digest, nil}, {alice, other, []uint64{1}}, {bob, contract, []uint64{2}}} {
			rows, err := l.Deposits(ctx, notary.Query{Tenant: q.tenant, Term: &q.term, Limit: 9})
			var got []uint64
			for _, r := range rows {
				got = append(got, r.Index)
			}
			if err != nil || !slices.Equal(got, q.want) {
				t.Errorf("term %x finds %d, want %d: %v", q.term[:1], got, q.want, err)
			}
		}
		if c, err := l.Case(ctx, alice, contract); err != nil || c.Seq != 2 {
			t.Errorf("the case is %+v, %v", c, err)
		}
	}
	check(h.Ledger)
	must(t, log.Append(ctx, h.Ledger, Spec{Tenant: alice, Terms: []notary.Term{contract}, Contract: &contract}))
	must(t, h.Ledger.Erase(ctx, notary.Erasure{Tenant: alice, Index: 3})) // of a term that is not named a row is still found
	if rows, err := h.Ledger.Deposits(ctx, notary.Query{Tenant: alice, Term: &contract, From: 2, Limit: 9}); err != nil || len(rows) != 1 {
		t.Errorf("%d rows, %v", len(rows), err)
	}
	reopened := h.Reopen()
	if r, err := reopened.Row(ctx, 0); err != nil || len(r.Secrets) > 0 || len(r.Body) > 0 {
		t.Errorf("after a reopening the erased row reads as %+v, %v", r, err)
	}
}
