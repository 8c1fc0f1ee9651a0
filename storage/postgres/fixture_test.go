package postgres

import (
	"context"
	"crypto/sha256"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/storage/storagetest/servers"
)

var (
	alice = notary.ID{15: 1}
	bob   = notary.ID{15: 2}
)

// newDatabase starts a cluster of its own for a test that harms it, with a depository
// laid out whose login is app.
func newDatabase(t *testing.T) *servers.Postgres {
	t.Helper()
	p, _ := newCluster(t)
	layOut(t, p)
	return p
}

func newCluster(t *testing.T) (p *servers.Postgres, dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "postgres")
	p, err := servers.StartPostgres(dir, servers.PostgresOptions{})
	must(t, err)
	t.Cleanup(p.Close)
	return p, dir
}

func layOut(t *testing.T, p *servers.Postgres) {
	t.Helper()
	must(t, Migrate(t.Context(), Config{URL: p.URL()}))
	run(t, p.URL(), "GRANT muniment_append, muniment_read TO app")
}

// openAs opens the depository as one more process would.
func openAs(t *testing.T, url string) *Ledger {
	t.Helper()
	return mustOpen(t, Config{URL: url})
}

// run executes statements in the depository's schema.
func run(t *testing.T, url string, statements ...string) {
	t.Helper()
	// Its schema is named, and need not be there yet.
	c := superuser(t, Config{URL: url, Schema: defaultSchema})
	defer c.Close(t.Context())
	for _, s := range statements {
		if _, err := c.Exec(t.Context(), s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}

// eventually asks again until something is so, as long as a test can wait.
func eventually(t *testing.T, what string, so func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !so(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not in 30 s: %s", what)
		}
	}
}

func within(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func term(s string) notary.Term {
	sum := sha256.Sum256([]byte(s))
	return notary.Term(sum[:len(notary.Term{})])
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantErr(t *testing.T, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: error is %v, want %v", what, err, want)
	}
}
