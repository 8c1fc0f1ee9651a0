package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/muniment/muniment/notary"
)

// CreateWebhook implements notary.Webhooks.
func (l *Ledger) CreateWebhook(ctx context.Context, w notary.Webhook) error {
	err := l.insert(ctx, "INSERT INTO webhooks (id, tenant, created, sealed, state, version) VALUES ($1, $2, $3, $4, $5, 0)",
		uuid(w.ID), uuid(w.Tenant), w.Created, w.Sealed, present(w.State))
	if err != nil {
		return fmt.Errorf("create webhook: %w", err)
	}
	return nil
}

// present is b, never NULL.
func present(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

// Webhooks implements notary.Webhooks.
func (l *Ledger) Webhooks(ctx context.Context, tenant notary.ID) ([]notary.Webhook, error) {
	const all = "SELECT id, tenant, created, sealed, state, version FROM webhooks"
	sql, args := all+" ORDER BY id", []any(nil)
	if tenant != (notary.ID{}) {
		sql, args = all+" WHERE tenant = $1 ORDER BY id", []any{uuid(tenant)}
	}
	rows, err := l.work.Query(ctx, sql, args...)
	if err != nil {
		return nil, failed(err)
	}
	webhooks, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (w notary.Webhook, err error) {
		var id, tenant pgtype.UUID
		var version int64
		err = row.Scan(&id, &tenant, &w.Created, &w.Sealed, &w.State, &version)
		w.ID, w.Tenant, w.Created, w.Version = id.Bytes, tenant.Bytes, w.Created.UTC(), uint64(version)
		return w, err
	})
	return webhooks, failed(err)
}

// SaveWebhook implements notary.Webhooks.
func (l *Ledger) SaveWebhook(ctx context.Context, w notary.Webhook) error {
	var changed int64
	err := durably(ctx, l.work, func(conn *pgx.Conn) error {
		done, err := conn.Exec(ctx, "UPDATE webhooks SET state = $4, version = version + 1 WHERE id = $1 AND tenant = $2 AND version = $3",
			uuid(w.ID), uuid(w.Tenant), int64(w.Version), present(w.State))
		changed = done.RowsAffected()
		return err
	})
	if err != nil || changed == 1 {
		return err
	}
	var there bool
	err = l.work.QueryRow(ctx, "SELECT EXISTS (SELECT FROM webhooks WHERE id = $1 AND tenant = $2)", uuid(w.ID), uuid(w.Tenant)).Scan(&there)
	switch {
	case err != nil:
		return failed(err)
	case there:
		return fmt.Errorf("webhook %v: %w", w.ID, notary.ErrConflict)
	}
	return fmt.Errorf("webhook: %w", notary.ErrNotFound)
}

// DeleteWebhook implements notary.Webhooks.
func (l *Ledger) DeleteWebhook(ctx context.Context, tenant, id notary.ID) error {
	var changed int64
	err := durably(ctx, l.work, func(conn *pgx.Conn) error {
		done, err := conn.Exec(ctx, "DELETE FROM webhooks WHERE id = $1 AND tenant = $2", uuid(id), uuid(tenant))
		changed = done.RowsAffected()
		return err
	})
	if err == nil && changed == 0 {
		err = fmt.Errorf("webhook: %w", notary.ErrNotFound)
	}
	return err
}
