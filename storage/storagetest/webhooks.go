package storagetest

import (
	"bytes"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/muniment/muniment/notary"
)

// testWebhooks: a webhook is its tenant's alone, its state is replaced by whoever knows the
// one before, and all of it survives.
func testWebhooks(t *testing.T, h Harness) {
	ctx := t.Context()
	if all, err := h.Ledger.Webhooks(ctx, notary.ID{}); err != nil || len(all) != 0 {
		t.Errorf("webhooks of a fresh ledger: %v, %v", all, err)
	}
	created := time.Date(2026, 11, 26, 1, 2, 3, 456e6, time.UTC)
	first := notary.Webhook{ID: notary.ID{15: 1}, Tenant: alice, Created: created, Sealed: []byte{0, 1, 0xff}, Version: 9}
	last := notary.Webhook{ID: notary.ID{0: 0xff}, Tenant: alice, Created: created, Sealed: []byte("x"), State: []byte("state")}
	others := notary.Webhook{ID: notary.ID{15: 2}, Tenant: bob, Created: created.Add(time.Hour), Sealed: []byte("y")}
	for _, w := range []notary.Webhook{last, others, first} {
		must(t, h.Ledger.CreateWebhook(ctx, w))
	}
	first.Version = 0
	wantErr(t, "a second webhook of one id", h.Ledger.CreateWebhook(ctx, first), notary.ErrExists)

	first.State = bytes.Repeat([]byte("s"), notary.MaxWebhookState)
	must(t, h.Ledger.SaveWebhook(ctx, first))
	wantErr(t, "an old version", h.Ledger.SaveWebhook(ctx, first), notary.ErrConflict)
	first.Version = 1
	stranger := others
	stranger.Tenant = alice
	wantErr(t, "another's state", h.Ledger.SaveWebhook(ctx, stranger), notary.ErrNotFound)
	wantErr(t, "another's deletion", h.Ledger.DeleteWebhook(ctx, alice, others.ID), notary.ErrNotFound)

	// Of many that know the same state one may replace it.
	var group sync.WaitGroup
	var saved atomic.Int32
	for range 10 {
		group.Go(func() {
			if h.Ledger.SaveWebhook(ctx, last) == nil {
				saved.Add(1)
			}
		})
	}
	group.Wait()
	if saved.Load() != 1 {
		t.Errorf("%d replaced the same state", saved.Load())
	}
	last.Version = 1

	checkWebhooks(t, h.Ledger, notary.ID{}, first, others, last)
	checkWebhooks(t, h.Ledger, alice, first, last)
	checkWebhooks(t, h.Ledger, notary.ID{1})
	reopened := h.Reopen()
	checkWebhooks(t, reopened, notary.ID{}, first, others, last)
	must(t, reopened.DeleteWebhook(ctx, alice, first.ID))
	wantErr(t, "a second deletion", reopened.DeleteWebhook(ctx, alice, first.ID), notary.ErrNotFound)
	wantErr(t, "the state of a deleted one", reopened.SaveWebhook(ctx, first), notary.ErrNotFound)
	checkWebhooks(t, reopened, alice, last)
}

func checkWebhooks(t *testing.T, store notary.Webhooks, tenant notary.ID, want ...notary.Webhook) {
	t.Helper()
	got, err := store.Webhooks(t.Context(), tenant)
	same := func(a, b notary.Webhook) bool {
		return a.ID == b.ID && a.Tenant == b.Tenant && a.Created.Equal(b.Created) && bytes.Equal(a.Sealed, b.Sealed) &&
			bytes.Equal(a.State, b.State) && a.Version == b.Version
	}
	if err != nil || !slices.EqualFunc(got, want, same) {
		t.Errorf("webhooks of %v: %d, %v; want %d", tenant, len(got), err, len(want))
	}
}
