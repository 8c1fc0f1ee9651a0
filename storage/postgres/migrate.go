package postgres

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

//go:embed migrations/*.sql
var migrations embed.FS

// schemaVersion is that of the newest migration.
const schemaVersion = 12

// Migrate lays out the schema, or brings an older one up to date. Its login must be
// allowed to create the schema, and the roles where they are missing. Several may run at
// a time.
func Migrate(ctx context.Context, c Config) error { return MigrateTo(ctx, c, schemaVersion) }

// oldestVersion is the schema to which a ledger can be taken back.
const oldestVersion = 2

// MigrateTo is Migrate to an older version of the schema, for an older program: what only
// newer ones keep is dropped with its tables, and what the log is made of stays. Replicas
// that run go on meanwhile; none of the newer program can be started afterwards.
func MigrateTo(ctx context.Context, c Config, version int64) (err error) {
	if version < oldestVersion || version > schemaVersion {
		return fmt.Errorf("this program knows the versions %d to %d of the schema, not %d", oldestVersion, schemaVersion, version)
	}
	schema, err := c.schema()
	if err != nil {
		return err
	}
	cc, err := pgx.ParseConfig(c.URL)
	if err != nil {
		return errURL
	}
	configure(cc, schema)
	db := stdlib.OpenDB(*cc)
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := makeSchema(ctx, db, schema); err != nil {
		return err
	}
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	locker, err := lock.NewPostgresSessionLocker()
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(goose.DialectPostgres, db, files, goose.WithSessionLocker(locker))
	if err != nil {
		return err
	}
	if _, err := p.UpTo(ctx, version); err != nil {
		return fmt.Errorf("migrating schema %s: %w", schema, err)
	}
	if _, err := p.DownTo(ctx, version); err != nil {
		return fmt.Errorf("taking schema %s back to version %d: %w", schema, version, err)
	}
	return nil
}

// makeSchema creates the schema unless it is there: who may not create one may still
// migrate one that was created for it.
func makeSchema(ctx context.Context, db *sql.DB, schema string) error {
	var there bool
	if err := db.QueryRowContext(ctx, "SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = $1)", schema).Scan(&there); err != nil {
		return fmt.Errorf("PostgreSQL: %w", err)
	}
	if there {
		return nil
	}
	if _, err := db.ExecContext(ctx, "CREATE SCHEMA IF NOT EXISTS "+pgx.Identifier{schema}.Sanitize()); err != nil {
		if raced := new(pgconn.PgError); errors.As(err, &raced) && raced.Code == "23505" {
			return nil // another was faster
		}
		return fmt.Errorf("creating schema %s: %w", schema, err)
	}
	return nil
}

// checkSchema refuses a schema of another version.
func checkSchema(ctx context.Context, conn *pgx.Conn, schema string) error {
	var version int64
	err := conn.QueryRow(ctx, "SELECT ledger_version()").Scan(&version)
	var told *pgconn.PgError
	switch {
	case errors.As(err, &told) && (told.Code == "42883" || told.Code == "42501"): // no such function, or not for this login
		return fmt.Errorf("schema %s holds no depository, or this login may not use it; munimentd migrate lays one out", schema)
	case err != nil:
		return failed(err)
	case version < schemaVersion:
		return fmt.Errorf("schema %s has version %d, this program needs %d; run munimentd migrate", schema, version, schemaVersion)
	case version > schemaVersion:
		return fmt.Errorf("schema %s has version %d, newer than this program's %d; use the program that migrated it", schema, version, schemaVersion)
	}
	return nil
}
