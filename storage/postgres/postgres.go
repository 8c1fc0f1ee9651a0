// Package postgres keeps the ledger, and a register for an anchor, in PostgreSQL 15 or
// newer. Any number of processes share one.
//
// The row of the table head is the lock of the log: whoever appends holds it from before
// the look-ups until the commit, at READ COMMITTED, so that each statement under it sees
// all that was committed before. Two round trips make a batch: lock and look-ups, then
// rows, tiles, head and COMMIT.
//
// Three roles keep mistakes apart: the login owns nothing, muniment_append adds and never
// deletes, and muniment_read sees the rows of one tenant, which it names for each
// transaction; row-level security is forced. PostgreSQL's work is counted in rows, so
// entries and hashes are stored many to a row.
package postgres

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/muniment/muniment/notary"
)

// Config says which database, and how to use it.
type Config struct {
	// URL is a libpq connection URI or keyword string of a login that may take the roles
	// of append and read. Several hosts may be named; the one that takes writes is used.
	URL string
	// Schema holds one depository's tables. Empty: muniment.
	Schema string
	// Connections bounds those that this process opens, 5 at least. 0: 16.
	Connections int
	Logger      *slog.Logger // nil: slog.Default
}

const (
	defaultSchema      = "muniment"
	defaultConnections = 16
	oldestServer       = 150000
	// idleAfter is how soon the server takes the lock of the head from a client that holds
	// it and says nothing: one that is frozen, or gone without a word. It says something
	// again within milliseconds otherwise.
	idleAfter = "2000" // ms
	// deadAfter is how soon the server gives up a client that acknowledges nothing.
	deadAfter      = "5000" // ms
	connectTimeout = 5 * time.Second
)

const (
	roleAppend = "muniment_append"
	roleRead   = "muniment_read"
)

var schemaName = regexp.MustCompile(`^[a-z_][a-z0-9_]{0,47}$`)

func (c Config) schema() (string, error) {
	if c.Schema == "" {
		return defaultSchema, nil
	}
	if !schemaName.MatchString(c.Schema) {
		return "", errors.New("the schema's name must be 1 to 48 of a-z, 0-9 and _, and begin with no digit")
	}
	return c.Schema, nil
}

// OneDatabase reports whether two configurations name the same database of the same
// server, as far as their URLs tell: who restores one to an older state, restores both.
func OneDatabase(a, b Config) bool {
	ca, errA := pgx.ParseConfig(a.URL)
	cb, errB := pgx.ParseConfig(b.URL)
	if errA != nil || errB != nil {
		return a.URL == b.URL
	}
	return ca.Host == cb.Host && ca.Port == cb.Port && ca.Database == cb.Database
}

// Ledger is notary.Ledger, notary.Accounts and notary.Peers on one schema.
type Ledger struct {
	schema string
	logger *slog.Logger

	// Three pools, so that who appends can read meanwhile, however many others do.
	appends *pgxpool.Pool // held under the lock of the head
	work    *pgxpool.Pool // the role of append, for everything else
	reads   *pgxpool.Pool // the role of read

	extended atomic.Int64  // where the partitions of deposits end
	durable  atomic.Uint64 // a size at which the log is known to be on the standby too
	peers    listener
}

// Open opens a ledger that Migrate has laid out. It refuses a server that would lose what
// it has acknowledged.
func Open(ctx context.Context, c Config) (*Ledger, error) {
	schema, err := c.schema()
	if err != nil {
		return nil, err
	}
	l := &Ledger{schema: schema, logger: c.Logger}
	if l.logger == nil {
		l.logger = slog.Default()
	}
	most := c.Connections
	if most == 0 {
		most = defaultConnections
	}
	if most < 5 {
		return nil, fmt.Errorf("%d connections are too few: it takes 5", most)
	}
	for _, p := range []struct {
		pool **pgxpool.Pool
		role string
		most int
	}{{&l.appends, roleAppend, 2}, {&l.work, roleAppend, (most - 2) / 2}, {&l.reads, roleRead, (most - 1) / 2}} {
		if *p.pool, err = c.pool(ctx, schema, p.role, p.most); err != nil {
			return nil, errors.Join(err, l.Close())
		}
	}
	if err := l.begin(ctx); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// begin checks what is there before it is used.
func (l *Ledger) begin(ctx context.Context) error {
	conn, err := l.work.Acquire(ctx)
	if err != nil {
		return fmt.Errorf("PostgreSQL: %w", err)
	}
	defer conn.Release()
	if err := checkSchema(ctx, conn.Conn(), l.schema); err != nil {
		return err
	}
	head, _, err := readHead(conn.QueryRow(ctx, selectHead))
	if err != nil {
		return err
	}
	return l.extend(ctx, head.Size)
}

// errURL says nothing of the URL, which may hold a password.
var errURL = errors.New("the database's URL cannot be read as a libpq connection string; it looks like postgres://user:password@host:5432/database")

// pool returns a pool whose connections have taken a role.
func (c Config) pool(ctx context.Context, schema, role string, most int) (*pgxpool.Pool, error) {
	pc, err := c.poolConfig(schema, role, most)
	if err != nil {
		return nil, err
	}
	return pgxpool.NewWithConfig(ctx, pc)
}

func (c Config) poolConfig(schema, role string, most int) (*pgxpool.Config, error) {
	pc, err := pgxpool.ParseConfig(c.URL)
	if err != nil {
		return nil, errURL
	}
	pc.MaxConns, pc.MinConns = int32(most), 1
	pc.MaxConnIdleTime = 5 * time.Minute
	pc.HealthCheckPeriod = 5 * time.Second
	configure(pc.ConnConfig, schema)
	forPoints(pc.ConnConfig)
	pc.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
		if err := checkServer(ctx, conn); err != nil {
			return err
		}
		_, err := conn.Exec(ctx, "SET ROLE "+role)
		if told := new(pgconn.PgError); errors.As(err, &told) && (told.Code == "22023" || told.Code == "42501") {
			return fmt.Errorf("this login may not take the role %s, or there is none; munimentd migrate creates it, and GRANT %s TO the login gives it", role, role)
		}
		return err
	}
	return pc, nil
}

// trillianConnections are as many as one feeder and its readers use.
const trillianConnections = 4

// TrillianPool returns connections for Trillian's tables, which stand in the ledger's
// schema. They are at REPEATABLE READ: below it two sequencers at a time, as when one was
// deposed a moment ago, destroy the tree. None is opened before it is asked for.
func (c Config) TrillianPool(ctx context.Context) (*pgxpool.Pool, error) {
	schema, err := c.schema()
	if err != nil {
		return nil, err
	}
	pc, err := c.poolConfig(schema, roleAppend, trillianConnections)
	if err != nil {
		return nil, err
	}
	pc.MinConns = 0
	pc.ConnConfig.RuntimeParams["application_name"] = "munimentd trillian"
	pc.ConnConfig.RuntimeParams["default_transaction_isolation"] = "repeatable read"
	return pgxpool.NewWithConfig(ctx, pc)
}

// configure sets what every connection is opened with.
func configure(c *pgx.ConnConfig, schema string) {
	if c.ConnectTimeout == 0 {
		c.ConnectTimeout = connectTimeout
	}
	c.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsReadWrite
	set := c.RuntimeParams
	set["search_path"] = schema
	set["application_name"] = "munimentd"
	set["idle_in_transaction_session_timeout"] = idleAfter
	set["tcp_user_timeout"] = deadAfter
	set["tcp_keepalives_idle"], set["tcp_keepalives_interval"], set["tcp_keepalives_count"] = "3", "1", "3"
	set["default_transaction_isolation"] = "read committed"
	c.OnNotice = func(conn *pgconn.PgConn, n *pgconn.Notice) {
		if n.SeverityUnlocalized == "WARNING" {
			conn.CustomData()[warned] = true
		}
	}
}

// forPoints keeps the planner to what every query here is: a walk down one index. What it
// makes of a table that was empty when it looked must not be kept for one that has
// millions of rows.
func forPoints(c *pgx.ConnConfig) {
	for _, name := range []string{"enable_seqscan", "enable_hashjoin", "enable_mergejoin", "enable_bitmapscan", "jit"} {
		c.RuntimeParams[name] = "off"
	}
	c.RuntimeParams["plan_cache_mode"] = "force_generic_plan"
	// What is switched off only looks dear to the planner, dear enough for helpers: starting two
	// processes takes longer than such a walk.
	c.RuntimeParams["max_parallel_workers_per_gather"] = "0"
}

// checkServer refuses a server that does not keep what it acknowledges. It is asked on
// every connection, since another server may have taken over.
func checkServer(ctx context.Context, conn *pgx.Conn) error {
	var version int
	var fsync, pages, commit string
	err := conn.QueryRow(ctx, `SELECT current_setting('server_version_num')::int, current_setting('fsync'),
		current_setting('full_page_writes'), current_setting('synchronous_commit')`).Scan(&version, &fsync, &pages, &commit)
	switch {
	case err != nil:
		return err
	case version < oldestServer:
		return fmt.Errorf("the server is PostgreSQL %d; 15 is the oldest that will do", version/10000)
	case fsync != "on":
		return errors.New("the server runs with fsync=off: it would lose deposits it has acknowledged; set fsync=on")
	case pages != "on":
		return errors.New("the server runs with full_page_writes=off: a crash could tear pages; set full_page_writes=on")
	case commit == "off":
		return errors.New("synchronous_commit is off for this login: it would lose deposits it has acknowledged; set synchronous_commit=on")
	}
	return nil
}

// SingleCopy reports whether what is acknowledged is on one machine only: no synchronous
// standby is configured, or commits do not wait for it.
func (l *Ledger) SingleCopy(ctx context.Context) (bool, error) {
	var standbys, commit string
	err := l.work.QueryRow(ctx, "SELECT current_setting('synchronous_standby_names'), current_setting('synchronous_commit')").Scan(&standbys, &commit)
	return standbys == "" || commit == "local" || commit == "remote_write", failed(err)
}

// Close gives all connections back. Nothing may use the ledger afterwards.
func (l *Ledger) Close() error {
	l.peers.close()
	for _, p := range []*pgxpool.Pool{l.appends, l.work, l.reads} {
		if p != nil {
			p.Close()
		}
	}
	return nil
}

// failed puts the server's words for a full disk and for damage into the contract's.
func failed(err error) error {
	var told *pgconn.PgError
	if errors.As(err, &told) {
		switch told.Code {
		case "53100": // disk_full
			return fmt.Errorf("%w: %w", notary.ErrNoRoom, err)
		case "XX001", "XX002": // data_corrupted, index_corrupted
			return fmt.Errorf("%w: %w", notary.ErrDamaged, err)
		}
	}
	return err
}

// corrupt is every error that says: what stands in the tables is not what this package
// wrote. It is never answered with a zero value or ErrNotFound.
func corrupt(format string, args ...any) error {
	return fmt.Errorf("ledger: %w: %s", notary.ErrDamaged, fmt.Sprintf(format, args...))
}
