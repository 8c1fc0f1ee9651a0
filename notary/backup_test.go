package notary_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/proofs"
)

// TestHeldDocuments: a copy brings along the documents that the depository holds, each
// once, and learns of a row that it cannot read.
func TestHeldDocuments(t *testing.T) {
	d := newDepository(t)
	n := d.opened()
	var want []string
	for i := range 5 {
		r, err := n.Deposit(t.Context(), d.principal(), original(t, fmt.Sprint("document-", i), fmt.Sprint("contract ", i), "contract.number", "LC-1"))
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, fmt.Sprintf("%d %s/%s", r.Index, d.tenant.ID, text(r, "id")))
		if _, err := n.Deposit(t.Context(), d.principal(), digestOnly(t, fmt.Sprint("digest-", i), "loan")); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	last := uint64(0)
	err := notary.HeldDocuments(t.Context(), d.ledger, d.config().TenantKey, func(done, total uint64) {
		if done != last+1 || total != 11 {
			t.Errorf("%d of %d after %d", done, total, last)
		}
		last = done
	}, func(index uint64, blob string) error {
		got = append(got, fmt.Sprint(index, " ", blob))
		return nil
	})
	if err != nil || !slices.Equal(got, want) || last != 11 {
		t.Errorf("%q after %d entries, %v; want %q", got, last, err, want)
	}
	enough := errors.New("enough")
	if err := notary.HeldDocuments(t.Context(), d.ledger, d.config().TenantKey, nil, func(uint64, string) error { return enough }); !errors.Is(err, enough) {
		t.Errorf("fn's error: %v", err)
	}
	delete(d.keys, d.tenant.ID)
	err = notary.HeldDocuments(t.Context(), d.ledger, d.config().TenantKey, nil, func(uint64, string) error { return nil })
	if err == nil || !strings.Contains(err.Error(), d.tenant.ID.String()) {
		t.Errorf("without the tenant's key: %v", err)
	}
	d.keys[d.tenant.ID] = notary.TenantKey{Wrap: [32]byte{9}}
	err = notary.HeldDocuments(t.Context(), d.ledger, d.config().TenantKey, nil, func(uint64, string) error { return nil })
	if !errors.Is(err, notary.ErrDamaged) {
		t.Errorf("under another key: %v", err)
	}
}

// TestContinues: a ledger continues every state that its log has had, and no other.
func TestContinues(t *testing.T) {
	d := newDepository(t)
	n := d.opened()
	for i := range 9 {
		if _, err := n.Deposit(t.Context(), d.principal(), digestOnly(t, fmt.Sprint("digest-", i), "loan")); err != nil {
			t.Fatal(err)
		}
	}
	for size := range uint64(12) {
		root := proofs.Hash{1}
		if size <= 10 {
			var err error
			if root, err = proofs.RootAt(size, tileReader{d.ledger}); err != nil {
				t.Fatal(err)
			}
		}
		err := notary.Continues(t.Context(), d.ledger, proofs.Checkpoint{Origin: origin, Size: size, Root: root})
		if size <= 10 && err != nil {
			t.Errorf("size %d: %v", size, err)
		}
		if size > 10 && (err == nil || !strings.Contains(err.Error(), "10 entries") || !strings.Contains(err.Error(), "11 of")) {
			t.Errorf("size %d: %v", size, err)
		}
		root[0] ^= 1
		if err := notary.Continues(t.Context(), d.ledger, proofs.Checkpoint{Origin: origin, Size: size, Root: root}); err == nil {
			t.Errorf("size %d: another history", size)
		}
	}
}
