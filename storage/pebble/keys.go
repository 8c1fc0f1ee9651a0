package pebble

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	engine "github.com/cockroachdb/pebble/v2"

	"github.com/muniment/muniment/notary"
)

// KeyStates implements notary.Keys.
func (l *Ledger) KeyStates(ctx context.Context) (states []notary.KeyState, err error) {
	err = l.eachAccount(ctx, tableKeyStates, idKeySize, func(_ engine.Reader, key, fields []byte) error {
		s := notary.KeyState{Tenant: notary.ID(key)}
		d := decoder{rest: fields}
		s.Version, s.State = d.uint64(), d.counted()
		states = append(states, s)
		return d.finish()
	})
	return states, err
}

// SaveKeyState implements notary.Keys.
func (l *Ledger) SaveKeyState(ctx context.Context, s notary.KeyState) error {
	if err := l.lock(ctx); err != nil {
		return err
	}
	defer l.unlock()
	key, version := idKey(nil, tableKeyStates, s.Tenant), uint64(0)
	stored, err := l.get(l.db, key)
	switch {
	case err == nil:
		d := decoder{rest: stored}
		version = d.uint64()
	case !errors.Is(err, notary.ErrNotFound):
		return fmt.Errorf("rotation: %w", err)
	}
	if version != s.Version {
		return fmt.Errorf("rotation of the key of tenant %v: %w", s.Tenant, notary.ErrConflict)
	}
	changed := appendCounted(appendUint64(nil, version+1), s.State)
	if err := l.room(uint64(len(key) + len(changed))); err != nil {
		return err
	}
	return l.write(key, changed)
}

// Reseal implements notary.Keys. All of it is one commit.
func (l *Ledger) Reseal(ctx context.Context, tenant notary.ID, rows []notary.Resealed) (int, error) {
	if len(rows) < 1 || len(rows) > notary.MaxResealed {
		return 0, fmt.Errorf("%d rows to be sealed anew; 1 to %d are allowed", len(rows), notary.MaxResealed)
	}
	if err := l.lock(ctx); err != nil {
		return 0, err
	}
	defer l.unlock()
	b, count := l.db.NewBatch(), 0
	err := func() error {
		for _, r := range rows {
			if theirs, err := l.has(tenantKey(nil, tenant, r.Index)); err != nil || !theirs {
				if err == nil {
					err = fmt.Errorf("row %d: %w", r.Index, notary.ErrNotFound)
				}
				return err
			}
			key := indexKey(nil, tableSecrets, r.Index)
			stored, err := l.get(l.db, key)
			if errors.Is(err, notary.ErrNotFound) || err == nil && !bytes.Equal(stored, r.Old) {
				continue
			}
			if err != nil {
				return fmt.Errorf("secrets of row %d: %w", r.Index, err)
			}
			if err := b.Set(key, sealed(key, r.New), nil); err != nil {
				return err
			}
			count++
		}
		return l.room(uint64(b.Len()))
	}()
	if err != nil || count == 0 {
		return 0, errors.Join(err, b.Close())
	}
	return count, l.commit(b)
}

// ResealWebhook implements notary.Keys.
func (l *Ledger) ResealWebhook(ctx context.Context, tenant, id notary.ID, old, fresh []byte) error {
	if err := l.lock(ctx); err != nil {
		return err
	}
	defer l.unlock()
	key := webhookKey(tenant, id)
	fields, err := l.get(l.db, key)
	if errors.Is(err, notary.ErrNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("webhook: %w", err)
	}
	stored, err := webhookFields(fields)
	if err != nil {
		return corrupt("webhook %v: %v", id, err)
	}
	if !bytes.Equal(stored.Sealed, old) {
		return nil
	}
	stored.Sealed = fresh
	changed := appendWebhook(&stored)
	if err := l.room(uint64(len(key) + len(changed))); err != nil {
		return err
	}
	return l.write(key, changed)
}

// attendants are the processes that run on this ledger: there is one, and it goes with it.
type attendants map[notary.ID]attendant

type attendant struct {
	holds []byte
	until time.Time
}

// Attend implements notary.Keys.
func (l *Ledger) Attend(ctx context.Context, a notary.Attendant, lease time.Duration) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.attending == nil {
		l.attending = attendants{}
	}
	l.attending[a.ID] = attendant{bytes.Clone(a.Holds), l.now().Add(lease)}
	return errors.Join(ctx.Err(), l.failed)
}

// Attending implements notary.Keys.
func (l *Ledger) Attending(ctx context.Context) (all []notary.Attendant, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, a := range l.attending {
		if l.now().Before(a.until) {
			all = append(all, notary.Attendant{ID: id, Holds: bytes.Clone(a.holds)})
		}
	}
	slices.SortFunc(all, func(a, b notary.Attendant) int { return bytes.Compare(a.ID[:], b.ID[:]) })
	return all, errors.Join(ctx.Err(), l.failed)
}

// Leave implements notary.Keys.
func (l *Ledger) Leave(ctx context.Context, id notary.ID) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.attending, id)
	return errors.Join(ctx.Err(), l.failed)
}
