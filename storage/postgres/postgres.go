// Package postgres keeps the ledger, and a register for an anchor, in PostgreSQL 15 or
// newer. Any number of processes share one.
package postgres

import "log/slog"

// Config says which database, and how to use it.
type Config struct {
	// URL is a libpq connection URI or keyword string of a login that may take the roles
	// of append and read. Several hosts may be named; the one that takes writes is used.
	URL string
	// Schema holds one depository's tables. Empty: muniment.
	Schema string
	// Connections bounds those that this process opens. 0: 16.
	Connections int
	Logger      *slog.Logger // nil: slog.Default
}
