package notarytest

import (
	"context"
	"slices"

	"github.com/muniment/muniment/notary"
)

// Erase implements notary.Ledger.
func (l *Ledger) Erase(ctx context.Context, e notary.Erasure) error {
	return l.call(ctx, "Erase", func(s *LedgerState) error {
		if e.Index >= uint64(len(s.Rows)) || s.Rows[e.Index].Tenant != e.Tenant {
			return notary.ErrNotFound
		}
		s.Rows[e.Index].Secrets, s.Rows[e.Index].Body = nil, nil
		s.Terms[e.Index] = slices.DeleteFunc(s.Terms[e.Index], func(t notary.Term) bool { return slices.Contains(e.Terms, t) })
		return nil
	})
}
