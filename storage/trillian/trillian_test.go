package trillian_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/storage/postgres"
	"github.com/muniment/muniment/storage/storagetest"
	"github.com/muniment/muniment/storage/storagetest/servers"
	"github.com/muniment/muniment/storage/trillian"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// database starts a cluster with a ledger's schema.
func database(t testing.TB) *servers.Postgres {
	t.Helper()
	p, err := servers.StartPostgres(filepath.Join(t.TempDir(), "postgres"), servers.PostgresOptions{})
	must(t, err)
	t.Cleanup(p.Close)
	must(t, postgres.Migrate(t.Context(), postgres.Config{URL: p.URL()}))
	run(t, p.URL(), "GRANT muniment_append, muniment_read TO app")
	return p
}

// run executes a statement in the ledger's schema and returns how many rows it changed.
func run(t testing.TB, url, sql string, args ...any) int64 {
	t.Helper()
	c, err := pgx.Connect(t.Context(), url)
	must(t, err)
	defer c.Close(context.Background())
	_, err = c.Exec(t.Context(), "SET search_path = muniment, public")
	must(t, err)
	done, err := c.Exec(t.Context(), sql, args...)
	must(t, err)
	return done.RowsAffected()
}

func embedded(t testing.TB, p *servers.Postgres, origin string) *trillian.Log {
	t.Helper()
	l, err := trillian.OpenEmbedded(t.Context(), origin, postgres.Config{URL: p.AppURL(), Logger: slog.New(slog.DiscardHandler)})
	must(t, err)
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// begin makes an empty tree and puts it in force.
func begin(t testing.TB, l *trillian.Log) {
	t.Helper()
	c, err := l.Beside(t.Context())
	must(t, err)
	must(t, c.Swap(t.Context()))
}

// stock starts the servers that a supervisor runs.
func stock(t testing.TB) *servers.Trillian {
	t.Helper()
	p, err := servers.StartPostgres(filepath.Join(t.TempDir(), "postgres"), servers.PostgresOptions{})
	must(t, err)
	t.Cleanup(p.Close)
	s, err := servers.StartTrillian(filepath.Join(t.TempDir(), "trillian"), p)
	must(t, err)
	t.Cleanup(s.Close)
	return s
}

func remote(t testing.TB, s *servers.Trillian, origin string) *trillian.Log {
	t.Helper()
	l, err := trillian.OpenRemote(origin, trillian.RemoteConfig{Address: s.Address, CA: s.CA})
	must(t, err)
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// ways are the two ways to Trillian.
func ways(t *testing.T, test func(t *testing.T, open func(t testing.TB, origin string) *trillian.Log, databaseURL, tables string)) {
	t.Run("embedded", func(t *testing.T) {
		p := database(t)
		test(t, func(t testing.TB, origin string) *trillian.Log { return embedded(t, p, origin) }, p.URL(), "muniment")
	})
	t.Run("remote", func(t *testing.T) {
		s := stock(t)
		test(t, func(t testing.TB, origin string) *trillian.Log { return remote(t, s, origin) }, s.Database(), "public")
	})
}

var number atomic.Int32

// newOrigin is of a log of its own.
func newOrigin() string { return fmt.Sprintf("log.example/test/%d", number.Add(1)) }

func entries(from, to int) (all [][]byte) {
	for i := from; i < to; i++ {
		all = append(all, fmt.Appendf(nil, "muniment/entry@v1\ndeposit\ntime 2026-11-26T08:00:00.000Z\nrecord %044d\n", i))
	}
	return all
}

// rooted is the root over entries.
func rooted(entries [][]byte) notary.Tree {
	r := proofs.RangeOf(0, nil)
	for _, e := range entries {
		r.Append(proofs.LeafHash(e), nil)
	}
	return notary.Tree{Size: r.Size(), Root: r.Root()}
}

func TestSecondTree(t *testing.T) {
	ways(t, func(t *testing.T, open func(testing.TB, string) *trillian.Log, _, _ string) {
		var mu sync.Mutex
		origins := map[notary.SecondTree]string{}
		storagetest.SecondTree(t, storagetest.SecondTreeHarness{
			New: func(t testing.TB) notary.SecondTree {
				origin := newOrigin()
				l := open(t, origin)
				begin(t, l)
				mu.Lock()
				defer mu.Unlock()
				origins[l] = origin
				return l
			},
			Reopen: func(t testing.TB, s notary.SecondTree) notary.SecondTree {
				mu.Lock()
				defer mu.Unlock()
				return open(t, origins[s])
			},
		})
	})
}

// TestNoTree: a tree is made on purpose, and never in passing.
func TestNoTree(t *testing.T) {
	ways(t, func(t *testing.T, open func(testing.TB, string) *trillian.Log, _, _ string) {
		l := open(t, newOrigin())
		_, err := l.Head(t.Context())
		if !errors.Is(err, notary.ErrNotFound) {
			t.Errorf("head: %v", err)
		}
		if _, err := l.Extend(t.Context(), 0, entries(0, 1)); !errors.Is(err, notary.ErrNotFound) {
			t.Errorf("extend: %v", err)
		}
	})
}

// TestDown: a server that is down shows when it is asked, and answers again later.
func TestDown(t *testing.T) {
	s := stock(t)
	l := remote(t, s, newOrigin())
	begin(t, l)
	s.KillServer()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	if _, err := l.Head(ctx); err == nil || errors.Is(err, notary.ErrNotFound) {
		t.Errorf("head of a server that is down: %v", err)
	}
	must(t, s.StartServer())
	again(t, time.Minute, "Head", func() error { _, err := l.Head(t.Context()); return err })
	other, err := trillian.OpenRemote("x/test/1", trillian.RemoteConfig{Address: s.Address}) // by the system's certificates
	must(t, err)
	defer other.Close()
	ctx, cancel = context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	if _, err := other.Head(ctx); err == nil {
		t.Error("a server whose certificate leads nowhere was believed")
	}
}

// again tries until there is no error.
func again(t *testing.T, limit time.Duration, what string, f func() error) {
	t.Helper()
	for end := time.Now().Add(limit); ; time.Sleep(50 * time.Millisecond) {
		err := f()
		if err == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%s: %v", what, err)
		}
	}
}

// TestDamagedLeaves: what is changed in Trillian's own tables is found when it is read, and
// named.
func TestDamagedLeaves(t *testing.T) {
	ways(t, func(t *testing.T, open func(testing.TB, string) *trillian.Log, url, schema string) {
		for name, harm := range map[string]string{
			"value":    "UPDATE %s.leafdata SET leafvalue = set_byte(leafvalue, 40, 1) WHERE leafidentityhash = (SELECT leafidentityhash FROM %[1]s.sequencedleafdata WHERE sequencenumber = 17 AND treeid = $1)",
			"hash":     "UPDATE %s.sequencedleafdata SET merkleleafhash = set_byte(merkleleafhash, 5, 1) WHERE sequencenumber = 17 AND treeid = $1",
			"identity": "UPDATE %s.leafdata SET leafidentityhash = set_byte(leafidentityhash, 5, 1) WHERE leafidentityhash = (SELECT leafidentityhash FROM %[1]s.sequencedleafdata WHERE sequencenumber = 17 AND treeid = $1)",
		} {
			t.Run(name, func(t *testing.T) {
				origin := newOrigin()
				l := open(t, origin)
				begin(t, l)
				_, err := l.Extend(t.Context(), 0, entries(0, 40))
				must(t, err)
				if schema == "public" {
					harm = strings.Replace(harm, "UPDATE", "SET session_replication_role = replica; UPDATE", 1)
				}
				harmTree(t, url, schema, origin, harm)
				if _, err := l.Leaves(t.Context(), 0, 17); err != nil {
					t.Errorf("leaves before: %v", err)
				}
				if _, err := l.Leaves(t.Context(), 0, 40); !errors.Is(err, notary.ErrDamaged) {
					t.Errorf("leaves: %v", err)
				} else if name != "identity" && !strings.Contains(err.Error(), "17") {
					t.Errorf("the leaf is not named: %v", err)
				}
				if _, err := l.Extend(t.Context(), 0, entries(0, 41)); err == nil {
					t.Error("extended over it")
				}
			})
		}
	})
}

// harmTree runs a statement on the tree of an origin.
func harmTree(t *testing.T, url, schema, origin, sql string) {
	t.Helper()
	c, err := pgx.Connect(t.Context(), url)
	must(t, err)
	defer c.Close(context.Background())
	var id int64
	must(t, c.QueryRow(t.Context(), fmt.Sprintf("SELECT treeid FROM %s.trees WHERE description = $1", schema), origin).Scan(&id))
	if before, after, ok := strings.Cut(sql, "; "); ok {
		_, err := c.Exec(t.Context(), before)
		must(t, err)
		sql = after
	}
	done, err := c.Exec(t.Context(), fmt.Sprintf(sql, schema), id)
	must(t, err)
	if done.RowsAffected() == 0 {
		t.Fatal("nothing was harmed")
	}
}

// TestShortRoot: Trillian hides that it could not read its tree heads behind an empty root.
// Nothing is believed of it.
func TestShortRoot(t *testing.T) {
	p := database(t)
	origin := newOrigin()
	l := embedded(t, p, origin)
	begin(t, l)
	_, err := l.Extend(t.Context(), 0, entries(0, 3))
	must(t, err)
	run(t, p.URL(), "ALTER TABLE treehead RENAME COLUMN roothash TO moved")
	if tree, err := l.Head(t.Context()); err == nil {
		t.Errorf("a head that cannot be read: %+v", tree)
	}
	if tree, err := l.Extend(t.Context(), 0, entries(0, 3)); err == nil {
		t.Errorf("extended: %+v", tree)
	}
	run(t, p.URL(), "ALTER TABLE treehead RENAME COLUMN moved TO roothash")
	if tree, err := l.Head(t.Context()); err != nil || tree != rooted(entries(0, 3)) {
		t.Errorf("mended: %+v, %v", tree, err)
	}
}

// TestClock: a tree whose newest root is of a time to come is integrated no more, and the
// error says so.
func TestClock(t *testing.T) {
	ways(t, func(t *testing.T, open func(testing.TB, string) *trillian.Log, url, schema string) {
		origin := newOrigin()
		l := open(t, origin)
		begin(t, l)
		_, err := l.Extend(t.Context(), 0, entries(0, 3))
		must(t, err)
		harmTree(t, url, schema, origin, "UPDATE %s.treehead SET treeheadtimestamp = treeheadtimestamp + 3600000000000 WHERE treeid = $1 AND treesize = 3")
		if _, err := l.Extend(t.Context(), 3, entries(3, 5)); !errors.Is(err, notary.ErrTreeClock) {
			t.Errorf("extend: %v", err)
		}
	})
}

// TestHole: a leaf whose name is taken by another is not added, and Trillian stops before it
// without a word. The error names it.
func TestHole(t *testing.T) {
	p := database(t)
	origin := newOrigin()
	l := embedded(t, p, origin)
	begin(t, l)
	_, err := l.Extend(t.Context(), 0, entries(0, 3))
	must(t, err)
	harmTree(t, p.URL(), "muniment", origin,
		fmt.Sprintf(`INSERT INTO %%s.leafdata SELECT $1::bigint, sha256('%s'::bytea || '\x0a'::bytea || '5'::bytea), 'x', NULL, 1`, origin))
	_, err = l.Extend(t.Context(), 3, entries(3, 10))
	if err == nil || !strings.Contains(err.Error(), "lacks leaf 5") {
		t.Errorf("extend: %v", err)
	}
	if tree, err := l.Head(t.Context()); err != nil || tree != rooted(entries(0, 5)) {
		t.Errorf("head: %+v, %v", tree, err)
	}
}

// TestAddedBefore: leaves that were added, and not integrated, by a call that died are taken
// if they are the same, and found out if they are not.
func TestAddedBefore(t *testing.T) {
	p := database(t)
	for name, same := range map[string]bool{"same": true, "other": false} {
		t.Run(name, func(t *testing.T) {
			origin := newOrigin()
			l := embedded(t, p, origin)
			begin(t, l)
			_, err := l.Extend(t.Context(), 0, entries(0, 6))
			must(t, err)
			// As if only three had been integrated.
			harmTree(t, p.URL(), "muniment", origin, "DELETE FROM %s.treehead WHERE treeid = $1 AND treesize > 0")
			harmTree(t, p.URL(), "muniment", origin, "DELETE FROM %s.subtree WHERE treeid = $1")
			given := entries(0, 10)
			if !same {
				given[4] = []byte("another")
			}
			tree, err := l.Extend(t.Context(), 0, given)
			if same && (err != nil || tree != rooted(given)) {
				t.Errorf("extend: %+v, %v", tree, err)
			}
			if !same && (!errors.Is(err, notary.ErrDisagree) || !strings.Contains(err.Error(), "entry 4")) {
				t.Errorf("extend: %+v, %v", tree, err)
			}
		})
	}
}

// TestRebuild: a tree is built beside the one in force, which goes on meanwhile, and takes
// its place in one step; who has the log open goes on with it.
func TestRebuild(t *testing.T) {
	ways(t, func(t *testing.T, open func(testing.TB, string) *trillian.Log, url, schema string) {
		origin := newOrigin()
		l := open(t, origin)
		begin(t, l)
		_, err := l.Extend(t.Context(), 0, entries(0, 30))
		must(t, err)
		forgotten, err := l.Beside(t.Context()) // of a rebuild that died
		must(t, err)
		_, err = forgotten.Extend(t.Context(), 0, entries(0, 5))
		must(t, err)
		c, err := open(t, origin).Beside(t.Context())
		must(t, err)
		_, err = c.Extend(t.Context(), 0, entries(0, 50))
		must(t, err)
		if tree, err := l.Head(t.Context()); err != nil || tree != rooted(entries(0, 30)) {
			t.Errorf("in force meanwhile: %+v, %v", tree, err)
		}
		must(t, c.Swap(t.Context()))
		if _, err := l.Extend(t.Context(), 30, entries(30, 31)); !errors.Is(err, notary.ErrNotFound) {
			t.Errorf("the tree that was: %v", err)
		}
		if tree, err := l.Head(t.Context()); err != nil || tree != rooted(entries(0, 50)) {
			t.Errorf("in force: %+v, %v", tree, err)
		}
		if tree, err := l.Extend(t.Context(), 50, entries(50, 60)); err != nil || tree != rooted(entries(0, 60)) {
			t.Errorf("extended: %+v, %v", tree, err)
		}
		if schema == "public" {
			return // its own garbage collection removes rows
		}
		c2, err := pgx.Connect(t.Context(), url)
		must(t, err)
		defer c2.Close(context.Background())
		for _, table := range []string{"trees", "treecontrol", "subtree", "treehead", "leafdata", "sequencedleafdata"} {
			var trees int
			must(t, c2.QueryRow(t.Context(), "SELECT count(DISTINCT treeid) FROM muniment."+table).Scan(&trees))
			if trees != 1 {
				t.Errorf("%s has rows of %d trees", table, trees)
			}
		}
	})
}

// TestKilledServers: the stock server and signer are killed at random under load, and
// PostgreSQL under the embedded one: what was said to be integrated is there, and all goes
// on.
func TestKilledServers(t *testing.T) {
	t.Run("stock", func(t *testing.T) {
		s := stock(t)
		l := remote(t, s, newOrigin())
		begin(t, l)
		kill := []func() error{
			func() error { s.KillServer(); return s.StartServer() },
			func() error { s.KillSigner(); return s.StartSigner() },
		}
		grow(t, l, func(i int) error { return kill[i%2]() })
	})
	t.Run("embedded", func(t *testing.T) {
		p := database(t)
		l := embedded(t, p, newOrigin())
		begin(t, l)
		grow(t, l, func(int) error { return errors.Join(p.Stop("immediate"), p.Start()) })
	})
}

// grow extends a tree while something is killed again and again.
func grow(t *testing.T, l *trillian.Log, kill func(int) error) {
	t.Helper()
	all := entries(0, 6000)
	stop := make(chan struct{})
	var killer sync.WaitGroup
	killer.Go(func() {
		for i := range 4 {
			select {
			case <-stop:
				return
			case <-time.After(time.Duration(400+137*i) * time.Millisecond):
				if err := kill(i); err != nil {
					t.Error(err)
				}
			}
		}
	})
	size := 0
	for size < len(all) {
		to := min(size+97, len(all))
		again(t, time.Minute, fmt.Sprintf("extend from %d", size), func() error {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			tree, err := l.Extend(ctx, uint64(size), all[size:to])
			if err == nil && tree != rooted(all[:to]) {
				t.Fatalf("at %d: %+v", to, tree)
			}
			return err
		})
		size = to
	}
	close(stop)
	killer.Wait()
	again(t, time.Minute, "Head", func() error {
		tree, err := l.Head(t.Context())
		if err == nil && tree != rooted(all) {
			t.Fatalf("at the end: %+v", tree)
		}
		return err
	})
}
