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

const webhookKeySize = 1 + 16 + 16

func webhookKey(tenant, id notary.ID) []byte {
	return append(idKey(nil, tableWebhooks, tenant), id[:]...)
}

// CreateWebhook implements notary.Webhooks.
func (l *Ledger) CreateWebhook(ctx context.Context, w notary.Webhook) error {
	w.Version = 0
	if err := l.insert(ctx, value{webhookKey(w.Tenant, w.ID), appendWebhook(&w)}); err != nil {
		return fmt.Errorf("create webhook: %w", err)
	}
	return nil
}

// Webhooks implements notary.Webhooks.
func (l *Ledger) Webhooks(ctx context.Context, tenant notary.ID) (webhooks []notary.Webhook, err error) {
	v, err := l.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer l.end(v)
	bounds := &engine.IterOptions{LowerBound: []byte{tableWebhooks}, UpperBound: []byte{tableWebhooks + 1}}
	if tenant != (notary.ID{}) {
		bounds.LowerBound = webhookKey(tenant, notary.ID{})
		bounds.UpperBound = append(webhookKey(tenant, notary.ID(bytes.Repeat([]byte{0xff}, 16))), 0)
	}
	it, err := v.snapshot.NewIterWithContext(ctx, bounds)
	if err != nil {
		return nil, damage(err)
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	for ok := it.First(); ok; ok = it.Next() {
		w, err := decodeWebhook(it)
		if err != nil {
			return nil, err
		}
		webhooks = append(webhooks, w)
	}
	slices.SortFunc(webhooks, func(a, b notary.Webhook) int { return bytes.Compare(a.ID[:], b.ID[:]) })
	return webhooks, damage(it.Error())
}

// SaveWebhook implements notary.Webhooks.
func (l *Ledger) SaveWebhook(ctx context.Context, w notary.Webhook) error {
	if err := l.lock(ctx); err != nil {
		return err
	}
	defer l.unlock()
	key := webhookKey(w.Tenant, w.ID)
	fields, err := l.get(l.db, key)
	if err != nil {
		return fmt.Errorf("webhook: %w", err)
	}
	stored, err := webhookFields(fields)
	if err != nil {
		return corrupt("webhook %v: %v", w.ID, err)
	}
	if stored.Version != w.Version {
		return fmt.Errorf("webhook %v: %w", w.ID, notary.ErrConflict)
	}
	stored.State, stored.Version = w.State, w.Version+1
	changed := appendWebhook(&stored)
	if err := l.room(uint64(len(key) + len(changed))); err != nil {
		return err
	}
	return l.write(key, changed)
}

// DeleteWebhook implements notary.Webhooks.
func (l *Ledger) DeleteWebhook(ctx context.Context, tenant, id notary.ID) error {
	if err := l.lock(ctx); err != nil {
		return err
	}
	defer l.unlock()
	key := webhookKey(tenant, id)
	there, err := l.has(key)
	if err != nil {
		return err
	}
	if !there {
		return fmt.Errorf("webhook: %w", notary.ErrNotFound)
	}
	return l.remove(key)
}

func appendWebhook(w *notary.Webhook) []byte {
	dst := appendUint64(nil, uint64(w.Created.UnixMicro()))
	dst = appendUint64(dst, w.Version)
	dst = appendCounted(dst, w.Sealed)
	return appendCounted(dst, w.State)
}

// webhookFields reads what stands under a webhook's key.
func webhookFields(fields []byte) (w notary.Webhook, err error) {
	d := decoder{rest: fields}
	w.Created = time.UnixMicro(int64(d.uint64())).UTC()
	w.Version = d.uint64()
	w.Sealed, w.State = bytes.Clone(d.counted()), bytes.Clone(d.counted())
	return w, d.finish()
}

func decodeWebhook(it *engine.Iterator) (notary.Webhook, error) {
	value, err := it.ValueAndErr()
	if err != nil {
		return notary.Webhook{}, damage(err)
	}
	fields, err := unseal(it.Key(), value)
	if err != nil || len(it.Key()) != webhookKeySize {
		return notary.Webhook{}, corrupt("webhook %x: %v", it.Key(), err)
	}
	w, err := webhookFields(fields)
	if err != nil {
		return w, corrupt("webhook %x: %v", it.Key(), err)
	}
	w.Tenant, w.ID = notary.ID(it.Key()[1:17]), notary.ID(it.Key()[17:])
	return w, nil
}
