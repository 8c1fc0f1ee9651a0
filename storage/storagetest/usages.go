package storagetest

import (
	"testing"

	"github.com/muniment/muniment/notary"
)

// testUsages: what tenants use is written with the batch and read under the lock, each
// tenant and month by itself; a batch that is refused counts nothing.
func testUsages(t *testing.T, h Harness) {
	ctx, log := t.Context(), NewLog()
	const now, next = notary.Month(202611), notary.Month(202612)
	asked := []notary.Usage{{Tenant: bob, Month: now}, {Tenant: alice, Month: now}, {Tenant: alice, Month: next}, {Tenant: bob, Month: now}}
	add := func(found []notary.Usage, write ...notary.Usage) {
		t.Helper()
		b := log.Batch(many(alice, 2)...)
		b.Usages = write
		must(t, h.Ledger.Append(ctx, notary.Lookups{Usages: asked}, func(s notary.State) (*notary.Batch, error) {
			if len(s.Usages) != len(asked) {
				t.Fatalf("usages are not parallel to the lookups: %+v", s.Usages)
			}
			for i, u := range s.Usages {
				if u != found[i] {
					t.Errorf("usage %d is %+v, want %+v", i, u, found[i])
				}
			}
			return b, nil
		}))
		log.Took(b)
	}
	a1 := notary.Usage{Tenant: alice, Month: now, Deposits: 2, Bytes: 1 << 40}
	a2 := notary.Usage{Tenant: alice, Month: now, Deposits: 4, Bytes: 1<<40 + 1}
	a3 := notary.Usage{Tenant: alice, Month: next, Deposits: 1}
	b1 := notary.Usage{Tenant: bob, Month: now, Deposits: 1}
	add(asked, a1)
	add([]notary.Usage{asked[0], a1, asked[2], asked[3]}, a2, b1)
	add([]notary.Usage{b1, a2, asked[2], b1}, a3)

	refused := log.Batch(many(alice, 1)...)
	refused.Head.Size++
	refused.Usages = []notary.Usage{{Tenant: alice, Month: now, Deposits: 99}}
	if h.Ledger.Append(ctx, notary.Lookups{}, func(notary.State) (*notary.Batch, error) { return refused, nil }) == nil {
		t.Error("a batch that does not continue the head was taken")
	}
	for _, want := range []notary.Usage{a2, a3, b1, {Tenant: bob, Month: next}, {Tenant: notary.ID{15: 9}, Month: now}} {
		got, err := h.Ledger.Usage(ctx, want.Tenant, want.Month)
		if err != nil || got != want {
			t.Errorf("usage is %+v, %v, want %+v", got, err, want)
		}
	}
}
