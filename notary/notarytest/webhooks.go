package notarytest

import (
	"bytes"
	"context"
	"slices"

	"github.com/muniment/muniment/notary"
)

func cloneWebhook(w notary.Webhook) notary.Webhook {
	w.Sealed, w.State = bytes.Clone(w.Sealed), bytes.Clone(w.State)
	return w
}

// CreateWebhook implements notary.Webhooks.
func (l *Ledger) CreateWebhook(ctx context.Context, w notary.Webhook) error {
	return l.call(ctx, "CreateWebhook", func(s *LedgerState) error {
		if _, taken := s.Webhooks[w.ID]; taken {
			return notary.ErrExists
		}
		w.Version = 0
		s.Webhooks[w.ID] = cloneWebhook(w)
		return nil
	})
}

// Webhooks implements notary.Webhooks.
func (l *Ledger) Webhooks(ctx context.Context, tenant notary.ID) ([]notary.Webhook, error) {
	return read(ctx, l, "Webhooks", func(s *LedgerState) ([]notary.Webhook, error) {
		var all []notary.Webhook
		for _, w := range s.Webhooks {
			if tenant == (notary.ID{}) || w.Tenant == tenant {
				all = append(all, cloneWebhook(w))
			}
		}
		slices.SortFunc(all, func(a, b notary.Webhook) int { return bytes.Compare(a.ID[:], b.ID[:]) })
		return all, nil
	})
}

// SaveWebhook implements notary.Webhooks.
func (l *Ledger) SaveWebhook(ctx context.Context, w notary.Webhook) error {
	return l.call(ctx, "SaveWebhook", func(s *LedgerState) error {
		stored, ok := s.Webhooks[w.ID]
		switch {
		case !ok || stored.Tenant != w.Tenant:
			return notary.ErrNotFound
		case stored.Version != w.Version:
			return notary.ErrConflict
		}
		stored.State, stored.Version = bytes.Clone(w.State), w.Version+1
		s.Webhooks[w.ID] = stored
		return nil
	})
}

// DeleteWebhook implements notary.Webhooks.
func (l *Ledger) DeleteWebhook(ctx context.Context, tenant, id notary.ID) error {
	return l.call(ctx, "DeleteWebhook", func(s *LedgerState) error {
		if w, ok := s.Webhooks[id]; !ok || w.Tenant != tenant {
			return notary.ErrNotFound
		}
		delete(s.Webhooks, id)
		return nil
	})
}
