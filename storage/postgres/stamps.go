package postgres

import (
	"context"
	"fmt"
	"math"

	"github.com/jackc/pgx/v5"

	"github.com/muniment/muniment/notary"
)

// Stamp implements notary.Ledger.
func (l *Ledger) Stamp(ctx context.Context, s notary.Stamp) error {
	if err := l.insert(ctx, "INSERT INTO stamps (size, record) VALUES ($1, $2)", int64(s.Size), s.Record); err != nil {
		return fmt.Errorf("stamp at size %d: %w", s.Size, err)
	}
	return nil
}

// Stamps implements notary.Ledger.
func (l *Ledger) Stamps(ctx context.Context, from uint64, limit int) ([]notary.Stamp, error) {
	if limit < 1 || limit > 1000 {
		return nil, fmt.Errorf("a limit of %d is not 1 to 1,000", limit)
	}
	if from > math.MaxInt64 {
		return nil, ctx.Err()
	}
	rows, err := l.work.Query(ctx, "SELECT size, record FROM stamps WHERE size >= $1 ORDER BY size LIMIT $2", int64(from), limit)
	if err != nil {
		return nil, failed(err)
	}
	stamps, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (s notary.Stamp, err error) {
		var size int64
		err = row.Scan(&size, &s.Record)
		s.Size = uint64(size)
		return s, err
	})
	return stamps, failed(err)
}

// Renew implements notary.Ledger.
func (l *Ledger) Renew(ctx context.Context, r notary.Renewal) error {
	err := l.insert(ctx, "INSERT INTO renewals (number, first, last, data) VALUES ($1, $2, $3, $4)", int64(r.Number), int64(r.First), int64(r.Last), r.Data)
	if err != nil {
		return fmt.Errorf("renewal %d: %w", r.Number, err)
	}
	return nil
}

// Renewals implements notary.Ledger.
func (l *Ledger) Renewals(ctx context.Context, size uint64) ([]notary.Renewal, error) {
	if size > math.MaxInt64 {
		return nil, ctx.Err()
	}
	rows, err := l.work.Query(ctx, "SELECT number, first, last, data FROM renewals WHERE first <= $1 AND last >= $1 ORDER BY number", int64(size))
	if err != nil {
		return nil, failed(err)
	}
	renewals, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (r notary.Renewal, err error) {
		var number, first, last int64
		err = row.Scan(&number, &first, &last, &r.Data)
		r.Number, r.First, r.Last = uint64(number), uint64(first), uint64(last)
		return r, err
	})
	return renewals, failed(err)
}

// Renewed implements notary.Ledger.
func (l *Ledger) Renewed(ctx context.Context) (uint64, error) {
	var number int64
	err := l.work.QueryRow(ctx, "SELECT coalesce(max(number), 0) FROM renewals").Scan(&number)
	if err != nil {
		return 0, failed(err)
	}
	return uint64(number), nil
}
