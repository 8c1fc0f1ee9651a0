package notarytest

import (
	"bytes"
	"context"
	"slices"
	"time"

	"github.com/muniment/muniment/notary"
)

// CreateTenant implements notary.Accounts.
func (l *Ledger) CreateTenant(ctx context.Context, t notary.Tenant) error {
	return l.call(ctx, "CreateTenant", func(s *LedgerState) error {
		if _, taken := s.Tenants[t.ID]; taken {
			return notary.ErrExists
		}
		for _, other := range s.Tenants {
			if t.Request != ([32]byte{}) && other.Request == t.Request {
				return notary.ErrExists
			}
		}
		s.Tenants[t.ID] = t
		return nil
	})
}

// Tenant implements notary.Accounts.
func (l *Ledger) Tenant(ctx context.Context, id notary.ID) (notary.Tenant, error) {
	return read(ctx, l, "Tenant", func(s *LedgerState) (notary.Tenant, error) { return found(s.Tenants, id) })
}

// Tenants implements notary.Accounts.
func (l *Ledger) Tenants(ctx context.Context) ([]notary.Tenant, error) {
	return read(ctx, l, "Tenants", func(s *LedgerState) ([]notary.Tenant, error) {
		var tenants []notary.Tenant
		for _, t := range s.Tenants {
			tenants = append(tenants, t)
		}
		slices.SortFunc(tenants, func(a, b notary.Tenant) int { return bytes.Compare(a.ID[:], b.ID[:]) })
		return tenants, nil
	})
}

// CreateAPIKey implements notary.Accounts.
func (l *Ledger) CreateAPIKey(ctx context.Context, k notary.APIKey) error {
	return l.call(ctx, "CreateAPIKey", func(s *LedgerState) error {
		if _, taken := s.APIKeys[k.Hash]; taken {
			return notary.ErrExists
		}
		for _, other := range s.APIKeys {
			if k.Request != ([32]byte{}) && other.Request == k.Request {
				return notary.ErrExists
			}
		}
		s.APIKeys[k.Hash] = cloneAPIKey(k)
		return nil
	})
}

func cloneAPIKey(k notary.APIKey) notary.APIKey {
	k.Supervises = slices.Clone(k.Supervises)
	return k
}

// ConfirmAPIKey implements notary.Accounts.
func (l *Ledger) ConfirmAPIKey(ctx context.Context, hash [32]byte, by string, at time.Time) error {
	return l.call(ctx, "ConfirmAPIKey", func(s *LedgerState) error {
		k, err := found(s.APIKeys, hash)
		if err == nil && !k.Pending() {
			err = notary.ErrConflict
		}
		if err != nil {
			return err
		}
		k.ConfirmedBy, k.Confirmed = by, at
		s.APIKeys[hash] = k
		return nil
	})
}

// DeleteAPIKey implements notary.Accounts.
func (l *Ledger) DeleteAPIKey(ctx context.Context, hash [32]byte) error {
	return l.call(ctx, "DeleteAPIKey", func(s *LedgerState) error {
		if _, there := s.APIKeys[hash]; !there {
			return notary.ErrNotFound
		}
		delete(s.APIKeys, hash)
		return nil
	})
}

// APIKey implements notary.Accounts.
func (l *Ledger) APIKey(ctx context.Context, hash [32]byte) (notary.APIKey, error) {
	return read(ctx, l, "APIKey", func(s *LedgerState) (notary.APIKey, error) { return found(s.APIKeys, hash) })
}

// APIKeys implements notary.Accounts.
func (l *Ledger) APIKeys(ctx context.Context) ([]notary.APIKey, error) {
	return read(ctx, l, "APIKeys", func(s *LedgerState) ([]notary.APIKey, error) {
		var keys []notary.APIKey
		for _, k := range s.APIKeys {
			keys = append(keys, cloneAPIKey(k))
		}
		slices.SortFunc(keys, func(a, b notary.APIKey) int { return bytes.Compare(a.Hash[:], b.Hash[:]) })
		return keys, nil
	})
}
