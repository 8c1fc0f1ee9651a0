package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/muniment/muniment/notary"
)

// maxSwept bounds what one statement of a sweep takes away.
const maxSwept = 1000

// BeginSession implements notary.Sessions.
func (l *Ledger) BeginSession(ctx context.Context, s notary.Session) error {
	supervises := make([]pgtype.UUID, len(s.Supervises))
	for i, id := range s.Supervises {
		supervises[i] = uuid(id)
	}
	err := l.insert(ctx, `INSERT INTO sessions (hash, key, tenant, role, caller, supervises, name, begun, seen, ends)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
		s.Hash[:], requested(s.Key), uuid(s.Tenant), string(s.Role), s.Caller, supervises, s.Name, s.Begun, s.Seen, s.Ends)
	if err != nil {
		return fmt.Errorf("begin session: %w", err)
	}
	return nil
}

// Session implements notary.Sessions.
func (l *Ledger) Session(ctx context.Context, hash [32]byte) (s notary.Session, err error) {
	var key []byte
	var tenant pgtype.UUID
	var role string
	var supervises []pgtype.UUID
	err = l.work.QueryRow(ctx, "SELECT key, tenant, role, caller, supervises, name, begun, seen, ends FROM sessions WHERE hash = $1", hash[:]).
		Scan(&key, &tenant, &role, &s.Caller, &supervises, &s.Name, &s.Begun, &s.Seen, &s.Ends)
	if errors.Is(err, pgx.ErrNoRows) {
		return s, fmt.Errorf("session: %w", notary.ErrNotFound)
	}
	s.Hash, s.Tenant, s.Role = hash, tenant.Bytes, notary.Role(role)
	copy(s.Key[:], key)
	s.Begun, s.Seen, s.Ends = s.Begun.UTC(), s.Seen.UTC(), s.Ends.UTC()
	for _, id := range supervises {
		s.Supervises = append(s.Supervises, id.Bytes)
	}
	return s, failed(err)
}

// SeeSession implements notary.Sessions.
func (l *Ledger) SeeSession(ctx context.Context, hash [32]byte, at time.Time) error {
	_, err := l.work.Exec(ctx, "UPDATE sessions SET seen = $2 WHERE hash = $1", hash[:], at)
	return failed(err)
}

// EndSession implements notary.Sessions.
func (l *Ledger) EndSession(ctx context.Context, hash [32]byte) error {
	return durably(ctx, l.work, func(conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, "DELETE FROM sessions WHERE hash = $1", hash[:])
		return err
	})
}

// SweepSessions implements notary.Sessions.
func (l *Ledger) SweepSessions(ctx context.Context, before time.Time) error {
	for {
		done, err := l.work.Exec(ctx, "DELETE FROM sessions WHERE hash IN (SELECT hash FROM sessions WHERE ends < $1 ORDER BY ends LIMIT $2)", before, maxSwept)
		if err != nil || done.RowsAffected() < maxSwept {
			return failed(err)
		}
	}
}
