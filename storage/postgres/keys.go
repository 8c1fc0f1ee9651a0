package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/muniment/muniment/notary"
)

// KeyStates implements notary.Keys.
func (l *Ledger) KeyStates(ctx context.Context) ([]notary.KeyState, error) {
	rows, err := l.work.Query(ctx, "SELECT tenant, state, version FROM key_states ORDER BY tenant")
	if err != nil {
		return nil, failed(err)
	}
	states, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (s notary.KeyState, err error) {
		var tenant pgtype.UUID
		var version int64
		err = row.Scan(&tenant, &s.State, &version)
		s.Tenant, s.Version = tenant.Bytes, uint64(version)
		return s, err
	})
	return states, failed(err)
}

// SaveKeyState implements notary.Keys.
func (l *Ledger) SaveKeyState(ctx context.Context, s notary.KeyState) error {
	sql := "UPDATE key_states SET state = $2, version = version + 1 WHERE tenant = $1 AND version = $3"
	if s.Version == 0 {
		sql = "INSERT INTO key_states (tenant, state, version) VALUES ($1, $2, $3 + 1) ON CONFLICT DO NOTHING"
	}
	var changed int64
	err := durably(ctx, l.work, func(conn *pgx.Conn) error {
		done, err := conn.Exec(ctx, sql, uuid(s.Tenant), present(s.State), int64(s.Version))
		changed = done.RowsAffected()
		return err
	})
	if err == nil && changed == 0 {
		err = fmt.Errorf("rotation of the key of tenant %v: %w", s.Tenant, notary.ErrConflict)
	}
	return err
}

// Reseal implements notary.Keys. All of it is one transaction.
func (l *Ledger) Reseal(ctx context.Context, tenant notary.ID, rows []notary.Resealed) (int, error) {
	if len(rows) < 1 || len(rows) > notary.MaxResealed {
		return 0, fmt.Errorf("%d rows to be sealed anew; 1 to %d are allowed", len(rows), notary.MaxResealed)
	}
	indexes, old, fresh := make([]int64, len(rows)), make([][]byte, len(rows)), make([][]byte, len(rows))
	for i, r := range rows {
		indexes[i], old[i], fresh[i] = int64(r.Index), present(r.Old), present(r.New)
	}
	var changed, strange int
	err := durably(ctx, l.work, func(conn *pgx.Conn) error {
		return conn.QueryRow(ctx, "SELECT changed, strange FROM reseal_secrets($1, $2, $3, $4)", uuid(tenant), indexes, old, fresh).Scan(&changed, &strange)
	})
	if err == nil && strange > 0 {
		err = fmt.Errorf("%d rows: %w", strange, notary.ErrNotFound)
	}
	return changed, err
}

// ResealWebhook implements notary.Keys.
func (l *Ledger) ResealWebhook(ctx context.Context, tenant, id notary.ID, old, sealed []byte) error {
	return durably(ctx, l.work, func(conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, "UPDATE webhooks SET sealed = $4 WHERE id = $1 AND tenant = $2 AND sealed = $3", uuid(id), uuid(tenant), old, sealed)
		return err
	})
}

// Scour implements notary.Keys, and does nothing: the server keeps dead rows in its pages
// until they are vacuumed and used again, and in its write-ahead log. VACUUM FULL of secrets
// and webhooks, and a checkpoint, which are the operator's, end that.
func (l *Ledger) Scour(ctx context.Context) error { return ctx.Err() }

// Attend implements notary.Keys. Those who were not heard of for a day are forgotten.
func (l *Ledger) Attend(ctx context.Context, a notary.Attendant, lease time.Duration) error {
	return durably(ctx, l.work, func(conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, `WITH gone AS (DELETE FROM attendants WHERE until < clock_timestamp() - interval '1 day' AND id <> $1)
			INSERT INTO attendants (id, holds, until) VALUES ($1, $2, clock_timestamp() + $3)
			ON CONFLICT (id) DO UPDATE SET holds = excluded.holds, until = excluded.until`, uuid(a.ID), present(a.Holds), lease)
		return err
	})
}

// Attending implements notary.Keys.
func (l *Ledger) Attending(ctx context.Context) ([]notary.Attendant, error) {
	rows, err := l.work.Query(ctx, "SELECT id, holds FROM attendants WHERE until > clock_timestamp() ORDER BY id")
	if err != nil {
		return nil, failed(err)
	}
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (a notary.Attendant, err error) {
		var id pgtype.UUID
		err = row.Scan(&id, &a.Holds)
		a.ID = id.Bytes
		return a, err
	})
	return all, failed(err)
}

// Leave implements notary.Keys.
func (l *Ledger) Leave(ctx context.Context, id notary.ID) error {
	_, err := l.work.Exec(ctx, "DELETE FROM attendants WHERE id = $1", uuid(id))
	return failed(err)
}
