package postgres

import (
	"context"
	"errors"
	"sync/atomic"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// warned is set in a connection's custom data when the server warned: a COMMIT with a
// warning is durable on one machine only, or not known to be.
const warned = "warned"

func withoutWarning(conn *pgx.Conn) error {
	if conn.PgConn().CustomData()[warned] != nil {
		return errors.New("COMMIT was answered with a warning: it may be on one machine only")
	}
	return nil
}

// durably runs one statement, which is a transaction of its own. On a nil return what it
// wrote is durable, on the synchronous standby too.
func durably(ctx context.Context, pool *pgxpool.Pool, statement func(*pgx.Conn) error) error {
	conn, err := pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	delete(conn.Conn().PgConn().CustomData(), warned)
	if err := statement(conn.Conn()); err != nil {
		return failed(err)
	}
	return withoutWarning(conn.Conn())
}

// settled is an expression that writes a word to the log of a server with a synchronous
// standby. Who has waited for its commit knows all that its statement saw, and all that
// was seen before, to be on both. Without it one sees what is on one machine: a commit
// that waits for a standby that is gone becomes visible when its client gives up, when the
// session is cancelled, and when the server is started again.
const settled = "CASE WHEN current_setting('synchronous_standby_names') <> '' THEN pg_logical_emit_message(true, 'muniment', '') END"

// raise makes n of what is less.
func raise(to *atomic.Uint64, n uint64) {
	for old := to.Load(); old < n && !to.CompareAndSwap(old, n); old = to.Load() {
	}
}
