package postgres

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/storage/storagetest"
	"github.com/muniment/muniment/storage/storagetest/servers"
)

// cluster is the server that the tests of this package share, each in a schema of its own.
var cluster *servers.Postgres

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "muniment-postgres-")
	if err != nil {
		panic(err)
	}
	if cluster, err = servers.StartPostgres(filepath.Join(dir, "cluster"), servers.PostgresOptions{}); err != nil {
		fmt.Fprintln(os.Stderr, "PostgreSQL did not start:", err)
		os.RemoveAll(dir)
		os.Exit(1)
	}
	code := m.Run()
	cluster.Close()
	os.RemoveAll(dir)
	os.Exit(code)
}

var schemas atomic.Int64

// fresh lays out a new schema on the shared server.
func fresh(t testing.TB) Config {
	t.Helper()
	c := Config{URL: cluster.URL(), Schema: fmt.Sprint("depository_", schemas.Add(1))}
	if err := Migrate(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		conn := superuser(t, c)
		if _, err := conn.Exec(context.Background(), "DROP SCHEMA "+c.Schema+" CASCADE"); err != nil {
			t.Error(err)
		}
	})
	return c
}

// superuser connects as one whom nothing is refused, with the schema's tables in reach.
func superuser(t testing.TB, c Config) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(context.Background(), c.URL)
	if err == nil {
		_, err = conn.Exec(context.Background(), "SET search_path TO "+c.Schema)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}

// mustOpen opens a ledger, and closes it when the test ends.
func mustOpen(t testing.TB, c Config) *Ledger {
	t.Helper()
	l, err := Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func TestLedger(t *testing.T) {
	storagetest.Ledger(t, func(t *testing.T) storagetest.Harness {
		c := fresh(t)
		l := mustOpen(t, c)
		return storagetest.Harness{Ledger: l, Reopen: func() storagetest.LedgerDriver {
			l.Close()
			l = mustOpen(t, c)
			return l
		}}
	})
}

func TestPeers(t *testing.T) {
	storagetest.Peers(t, storagetest.PeersHarness{New: func(t testing.TB) (a, b notary.Peers) {
		c := fresh(t)
		return mustOpen(t, c), mustOpen(t, c)
	}})
}

func TestAnchor(t *testing.T) {
	configs := map[notary.Anchor]Config{}
	open := func(t testing.TB, c Config) notary.Anchor {
		a, err := OpenAnchor(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { a.Close() })
		configs[a] = c
		return a
	}
	storagetest.Anchor(t, storagetest.AnchorHarness{
		New: func(t testing.TB, body []byte) notary.Anchor {
			c := fresh(t)
			if err := CreateAnchor(t.Context(), c, body); err != nil {
				t.Fatal(err)
			}
			return open(t, c)
		},
		Reopen: func(t testing.TB, a notary.Anchor) notary.Anchor {
			a.(*Anchor).Close()
			return open(t, configs[a])
		},
		Second:  func(t testing.TB, a notary.Anchor) notary.Anchor { return open(t, configs[a]) },
		Missing: func(t testing.TB) (notary.Anchor, error) { return OpenAnchor(t.Context(), fresh(t)) },
	})
}
