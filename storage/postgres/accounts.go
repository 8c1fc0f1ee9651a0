package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/muniment/muniment/notary"
)

// insert adds a row with a name of its own, or is ErrExists.
func (l *Ledger) insert(ctx context.Context, sql string, args ...any) error {
	err := durably(ctx, l.work, func(conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, sql, args...)
		return err
	})
	if told := new(pgconn.PgError); errors.As(err, &told) && told.Code == "23505" {
		return notary.ErrExists
	}
	return err
}

// CreateTenant implements notary.Accounts.
func (l *Ledger) CreateTenant(ctx context.Context, t notary.Tenant) error {
	err := l.insert(ctx, "INSERT INTO tenants (id, name, registration, created, verified, verified_by, request) VALUES ($1, $2, $3, $4, $5, $6, $7)",
		uuid(t.ID), t.Name, t.Registration, t.Created, t.Verified, t.VerifiedBy, requested(t.Request))
	if err != nil {
		return fmt.Errorf("create tenant %v: %w", t.ID, err)
	}
	return nil
}

// requested is the digest of an idempotency key, NULL without one.
func requested(digest [32]byte) []byte {
	if digest == ([32]byte{}) {
		return nil
	}
	return digest[:]
}

// timeOrNull is a time, NULL where it is zero.
func timeOrNull(t time.Time) pgtype.Timestamptz {
	return pgtype.Timestamptz{Time: t, Valid: !t.IsZero()}
}

func timeOrZero(t pgtype.Timestamptz) time.Time {
	if !t.Valid {
		return time.Time{}
	}
	return t.Time.UTC()
}

const selectTenant = "SELECT id, name, registration, created, verified, verified_by, request FROM tenants"

func scanTenant(row pgx.Row) (t notary.Tenant, err error) {
	var id pgtype.UUID
	var request []byte
	if err := row.Scan(&id, &t.Name, &t.Registration, &t.Created, &t.Verified, &t.VerifiedBy, &request); err != nil {
		return notary.Tenant{}, err
	}
	copy(t.Request[:], request)
	t.ID, t.Created = id.Bytes, t.Created.UTC()
	return t, nil
}

// Tenant implements notary.Accounts.
func (l *Ledger) Tenant(ctx context.Context, id notary.ID) (notary.Tenant, error) {
	t, err := scanTenant(l.work.QueryRow(ctx, selectTenant+" WHERE id = $1", uuid(id)))
	if errors.Is(err, pgx.ErrNoRows) {
		return notary.Tenant{}, fmt.Errorf("tenant: %w", notary.ErrNotFound)
	}
	return t, failed(err)
}

// Tenants implements notary.Accounts.
func (l *Ledger) Tenants(ctx context.Context) ([]notary.Tenant, error) {
	rows, err := l.work.Query(ctx, selectTenant+" ORDER BY id")
	if err != nil {
		return nil, failed(err)
	}
	tenants, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (notary.Tenant, error) { return scanTenant(row) })
	return tenants, failed(err)
}

// CreateAPIKey implements notary.Accounts.
func (l *Ledger) CreateAPIKey(ctx context.Context, k notary.APIKey) error {
	supervises := make([]pgtype.UUID, len(k.Supervises))
	for i, id := range k.Supervises {
		supervises[i] = uuid(id)
	}
	expires := timeOrNull(k.Expires)
	if k.Pending() {
		expires = timeOrNull(time.Unix(0, 0))
	}
	err := l.insert(ctx, `INSERT INTO api_keys (hash, tenant, role, created, name, expires, supervises, request, asked_by, confirmed_by, confirmed, ends)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`,
		k.Hash[:], uuid(k.Tenant), string(k.Role), k.Created, k.Name, expires, supervises, requested(k.Request), k.AskedBy, k.ConfirmedBy, timeOrNull(k.Confirmed), timeOrNull(k.Expires))
	if err != nil {
		return fmt.Errorf("create API key: %w", err)
	}
	return nil
}

// ConfirmAPIKey implements notary.Accounts.
func (l *Ledger) ConfirmAPIKey(ctx context.Context, hash [32]byte, by string, at time.Time) error {
	k, err := l.APIKey(ctx, hash)
	if err == nil && !k.Pending() {
		err = fmt.Errorf("API key: %w", notary.ErrConflict)
	}
	if err != nil {
		return err
	}
	var changed int64
	err = durably(ctx, l.work, func(conn *pgx.Conn) error {
		done, err := conn.Exec(ctx, "UPDATE api_keys SET expires = ends, confirmed_by = $2, confirmed = $3 WHERE hash = $1 AND confirmed_by = ''", hash[:], by, at)
		changed = done.RowsAffected()
		return err
	})
	if err == nil && changed == 0 { // confirmed, or taken away, meanwhile
		if _, err = l.APIKey(ctx, hash); err == nil {
			err = fmt.Errorf("API key: %w", notary.ErrConflict)
		}
	}
	return err
}

// DeleteAPIKey implements notary.Accounts.
func (l *Ledger) DeleteAPIKey(ctx context.Context, hash [32]byte) error {
	var changed int64
	err := durably(ctx, l.work, func(conn *pgx.Conn) error {
		done, err := conn.Exec(ctx, "DELETE FROM api_keys WHERE hash = $1", hash[:])
		changed = done.RowsAffected()
		return err
	})
	if err == nil && changed == 0 {
		err = fmt.Errorf("API key: %w", notary.ErrNotFound)
	}
	return err
}

const selectAPIKey = "SELECT hash, tenant, role, created, name, expires, supervises, request, asked_by, confirmed_by, confirmed, ends FROM api_keys"

func scanAPIKey(row pgx.Row) (k notary.APIKey, err error) {
	var hash, request []byte
	var tenant pgtype.UUID
	var role string
	var supervises []pgtype.UUID
	var expires, confirmed, ends pgtype.Timestamptz
	err = row.Scan(&hash, &tenant, &role, &k.Created, &k.Name, &expires, &supervises, &request, &k.AskedBy, &k.ConfirmedBy, &confirmed, &ends)
	copy(k.Hash[:], hash)
	copy(k.Request[:], request)
	k.Tenant, k.Role, k.Created = tenant.Bytes, notary.Role(role), k.Created.UTC()
	k.Expires, k.Confirmed = timeOrZero(expires), timeOrZero(confirmed)
	if k.Pending() {
		k.Expires = timeOrZero(ends)
	}
	for _, id := range supervises {
		k.Supervises = append(k.Supervises, id.Bytes)
	}
	return k, err
}

// APIKey implements notary.Accounts.
func (l *Ledger) APIKey(ctx context.Context, hash [32]byte) (notary.APIKey, error) {
	k, err := scanAPIKey(l.work.QueryRow(ctx, selectAPIKey+" WHERE hash = $1", hash[:]))
	if errors.Is(err, pgx.ErrNoRows) {
		return notary.APIKey{}, fmt.Errorf("API key: %w", notary.ErrNotFound)
	}
	return k, failed(err)
}

// APIKeys implements notary.Accounts.
func (l *Ledger) APIKeys(ctx context.Context) ([]notary.APIKey, error) {
	rows, err := l.work.Query(ctx, selectAPIKey+" ORDER BY hash")
	if err != nil {
		return nil, failed(err)
	}
	keys, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (notary.APIKey, error) { return scanAPIKey(row) })
	return keys, failed(err)
}
