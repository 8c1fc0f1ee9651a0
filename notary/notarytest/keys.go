package notarytest

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/muniment/muniment/notary"
)

// Attended is a process that a Ledger knows to run.
type Attended struct {
	Holds []byte
	Until time.Time
}

// KeyStates implements notary.Keys.
func (l *Ledger) KeyStates(ctx context.Context) ([]notary.KeyState, error) {
	return read(ctx, l, "KeyStates", func(s *LedgerState) ([]notary.KeyState, error) {
		var all []notary.KeyState
		for _, k := range s.KeyStates {
			k.State = bytes.Clone(k.State)
			all = append(all, k)
		}
		slices.SortFunc(all, func(a, b notary.KeyState) int { return bytes.Compare(a.Tenant[:], b.Tenant[:]) })
		return all, nil
	})
}

// SaveKeyState implements notary.Keys.
func (l *Ledger) SaveKeyState(ctx context.Context, k notary.KeyState) error {
	return l.call(ctx, "SaveKeyState", func(s *LedgerState) error {
		if s.KeyStates[k.Tenant].Version != k.Version {
			return notary.ErrConflict
		}
		k.State, k.Version = bytes.Clone(k.State), k.Version+1
		s.KeyStates[k.Tenant] = k
		return nil
	})
}

// Reseal implements notary.Keys.
func (l *Ledger) Reseal(ctx context.Context, tenant notary.ID, rows []notary.Resealed) (count int, err error) {
	err = l.call(ctx, "Reseal", func(s *LedgerState) error {
		if len(rows) < 1 || len(rows) > notary.MaxResealed {
			return fmt.Errorf("%d rows", len(rows))
		}
		count = 0
		for _, r := range rows {
			if r.Index >= uint64(len(s.Rows)) || s.Rows[r.Index].Tenant != tenant {
				return notary.ErrNotFound
			}
		}
		for _, r := range rows {
			if row := &s.Rows[r.Index]; len(row.Secrets) > 0 && bytes.Equal(row.Secrets, r.Old) {
				row.Secrets = bytes.Clone(r.New)
				count++
			}
		}
		return nil
	})
	return count, err
}

// ResealWebhook implements notary.Keys.
func (l *Ledger) ResealWebhook(ctx context.Context, tenant, id notary.ID, old, sealed []byte) error {
	return l.call(ctx, "ResealWebhook", func(s *LedgerState) error {
		if w, ok := s.Webhooks[id]; ok && w.Tenant == tenant && bytes.Equal(w.Sealed, old) {
			w.Sealed = bytes.Clone(sealed)
			s.Webhooks[id] = w
		}
		return nil
	})
}

// Scour implements notary.Keys: it has no files.
func (l *Ledger) Scour(ctx context.Context) error {
	return l.call(ctx, "Scour", func(*LedgerState) error { return nil })
}

// Attend implements notary.Keys.
func (l *Ledger) Attend(ctx context.Context, a notary.Attendant, lease time.Duration) error {
	return l.call(ctx, "Attend", func(s *LedgerState) error {
		s.Attendants[a.ID] = Attended{bytes.Clone(a.Holds), l.now().Add(lease)}
		return nil
	})
}

// Attending implements notary.Keys.
func (l *Ledger) Attending(ctx context.Context) ([]notary.Attendant, error) {
	return read(ctx, l, "Attending", func(s *LedgerState) ([]notary.Attendant, error) {
		var all []notary.Attendant
		for id, a := range s.Attendants {
			if l.now().Before(a.Until) {
				all = append(all, notary.Attendant{ID: id, Holds: bytes.Clone(a.Holds)})
			}
		}
		slices.SortFunc(all, func(a, b notary.Attendant) int { return bytes.Compare(a.ID[:], b.ID[:]) })
		return all, nil
	})
}

// Leave implements notary.Keys.
func (l *Ledger) Leave(ctx context.Context, id notary.ID) error {
	return l.call(ctx, "Leave", func(s *LedgerState) error {
		delete(s.Attendants, id)
		return nil
	})
}
