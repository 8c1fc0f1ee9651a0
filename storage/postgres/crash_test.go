package postgres

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/muniment/muniment/storage/storagetest/servers"
)

// torture is whether the attacks run at full size.
var torture = os.Getenv("MUNIMENT_TORTURE") != ""

// TestServerDies is I10 below the notary: three processes append while connections are
// ended, backends killed and the server crashes. No acknowledged batch is lost, none is
// there twice, and none that was said not to be there appears.
func TestServerDies(t *testing.T) {
	p := newDatabase(t)
	c := newChain()
	ledgers := []*Ledger{openAs(t, p.AppURL()), openAs(t, p.AppURL()), openAs(t, p.AppURL())}
	stop := c.writers(t, ledgers...)
	rounds := 2
	if torture {
		rounds = 100
	}
	for range rounds {
		for _, disturb := range []func(*testing.T, *servers.Postgres){endConnections, killBackend, crash} {
			c.goesOn(t, 20*time.Second)
			disturb(t, p)
			c.goesOn(t, 3*time.Second)
		}
	}
	stop()
	must(t, c.log.Check(t.Context(), openAs(t, p.AppURL())))
	t.Logf("%d batches, %d rows", c.acknowledged(), c.log.Head.Size)
}

func endConnections(t *testing.T, p *servers.Postgres) {
	for range 5 {
		run(t, p.URL(), "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'app'")
		time.Sleep(20 * time.Millisecond)
	}
}

// killBackend kills one as the kernel does when memory is short: PostgreSQL then ends
// all others and recovers.
func killBackend(t *testing.T, p *servers.Postgres) {
	c := superuser(t, Config{URL: p.URL(), Schema: defaultSchema})
	var pid int
	must(t, c.QueryRow(t.Context(), `SELECT pid FROM pg_stat_activity WHERE usename = 'app'
		ORDER BY (state = 'active') DESC, query_start DESC LIMIT 1`).Scan(&pid))
	must(t, syscall.Kill(pid, syscall.SIGKILL))
	eventually(t, "the server takes connections again", func() bool {
		if c.Ping(t.Context()) == nil {
			return false // it has not heard yet
		}
		again, err := pgx.Connect(t.Context(), p.URL())
		if err == nil {
			again.Close(t.Context())
		}
		return err == nil
	})
}

func crash(t *testing.T, p *servers.Postgres) {
	must(t, p.Stop("immediate"))
	must(t, p.Start())
}

// TestFailover: the primary is lost with its disk, its synchronous standby takes over,
// and the same processes find it by themselves.
func TestFailover(t *testing.T) {
	p := newDatabase(t)
	s, err := p.Standby(filepath.Join(t.TempDir(), "standby"))
	must(t, err)
	t.Cleanup(s.Close)
	c := newChain()
	both := strings.Replace(p.AppURL(), p.Addr(), p.Addr()+","+s.Addr(), 1)
	ledgers := []*Ledger{openAs(t, both), openAs(t, both), openAs(t, both)}
	for _, l := range ledgers {
		if single, err := l.SingleCopy(t.Context()); err != nil || single {
			t.Errorf("beside a synchronous standby: single copy %v, %v", single, err)
		}
	}
	stop := c.writers(t, ledgers...)
	c.goesOn(t, 20*time.Second)
	must(t, p.Stop("immediate"))
	must(t, s.Promote())
	c.goesOn(t, 10*time.Second)
	stop()
	l := openAs(t, both)
	if single, err := l.SingleCopy(t.Context()); err != nil || !single {
		t.Errorf("alone: single copy %v, %v", single, err)
	}
	must(t, c.log.Check(t.Context(), l))
}
