package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/muniment/muniment/notary"
)

// Erase implements notary.Ledger. The server keeps what was destroyed for a while where no
// query reads it: in pages until they are vacuumed and used again, in its write-ahead log
// until that is, and for as long as anyone keeps them in archived logs and backups. VACUUM
// FULL of secrets, terms and the partition, and a checkpoint, end the first two.
func (l *Ledger) Erase(ctx context.Context, e notary.Erasure) error {
	terms := make([][]byte, len(e.Terms))
	for i := range e.Terms {
		terms[i] = e.Terms[i][:]
	}
	var found bool
	err := durably(ctx, l.work, func(conn *pgx.Conn) error {
		return conn.QueryRow(ctx, "SELECT erase_deposit($1, $2, $3)", uuid(e.Tenant), int64(e.Index), terms).Scan(&found)
	})
	if err == nil && !found {
		err = fmt.Errorf("row %d: %w", e.Index, notary.ErrNotFound)
	}
	return err
}
