package postgres

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/muniment/muniment/notary"
)

// Anchor is notary.Anchor in the table anchor. In the ledger's own database it falls back
// together with the ledger when that is restored, so another must stand elsewhere.
type Anchor struct{ pool *pgxpool.Pool }

// OpenAnchor opens the register of a schema that Migrate has laid out.
func OpenAnchor(ctx context.Context, c Config) (*Anchor, error) {
	schema, err := c.schema()
	if err != nil {
		return nil, err
	}
	pool, err := c.pool(ctx, schema, roleAppend, 2)
	if err != nil {
		return nil, err
	}
	a := &Anchor{pool}
	if _, err := a.Load(ctx); err != nil {
		return nil, errors.Join(err, a.Close())
	}
	return a, nil
}

// CreateAnchor makes a register that holds body, durable on return. ErrExists if there is
// one.
func CreateAnchor(ctx context.Context, c Config, body []byte) error {
	schema, err := c.schema()
	if err != nil {
		return err
	}
	pool, err := c.pool(ctx, schema, roleAppend, 2)
	if err != nil {
		return err
	}
	defer pool.Close()
	err = durably(ctx, pool, func(conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, "INSERT INTO anchor (body) VALUES ($1)", body)
		return err
	})
	if told := new(pgconn.PgError); errors.As(err, &told) && told.Code == "23505" {
		return fmt.Errorf("anchor: %w", notary.ErrExists)
	}
	return err
}

// Close gives its connections back.
func (a *Anchor) Close() error {
	a.pool.Close()
	return nil
}

// Load implements notary.Anchor. What it returns is on the standby too: after an Advance
// without an answer it decides what may be signed.
func (a *Anchor) Load(ctx context.Context) (body []byte, err error) {
	err = durably(ctx, a.pool, func(conn *pgx.Conn) error {
		return conn.QueryRow(ctx, "SELECT body, "+settled+" FROM anchor").Scan(&body, nil)
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, fmt.Errorf("there is no anchor in the database: %w", notary.ErrNotFound)
	}
	if err != nil {
		return nil, fmt.Errorf("anchor in the database: %w", err)
	}
	return body, nil
}

// Advance implements notary.Anchor.
func (a *Anchor) Advance(ctx context.Context, prev, next []byte) error {
	if len(next) == 0 || len(next) > 4000 {
		return fmt.Errorf("an anchor holds 1 to 4,000 bytes, not %d", len(next))
	}
	var advanced bool
	err := durably(ctx, a.pool, func(conn *pgx.Conn) error {
		tag, err := conn.Exec(ctx, "UPDATE anchor SET body = $2 WHERE body = $1", notNull(prev), next)
		advanced = tag.RowsAffected() == 1
		return err
	})
	if err != nil {
		return fmt.Errorf("anchor in the database: %w", err)
	}
	if advanced {
		return nil
	}
	held, err := a.Load(ctx)
	if err != nil {
		return err
	}
	if bytes.Equal(held, prev) {
		return errors.New("the anchor in the database did not take what it was given")
	}
	return notary.ErrConflict
}
