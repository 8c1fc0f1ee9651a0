package postgres

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/storage/storagetest/servers"
)

// TestCommitOnOneMachine: the standby is gone, and who waits for it is cancelled. The
// server then answers COMMIT with success and a warning. That is no acknowledgement, and
// Committed gives none either until the standby has the batch.
func TestCommitOnOneMachine(t *testing.T) {
	p := newDatabase(t)
	s, err := p.Standby(filepath.Join(t.TempDir(), "standby"))
	must(t, err)
	t.Cleanup(s.Close)
	c, l := newChain(), openAs(t, p.AppURL())
	c.mustAppend(t, l, "before")
	must(t, s.Stop("immediate"))

	key, result := term("alone"), make(chan error, 1)
	var b *notary.Batch
	go func() {
		lookups := notary.Lookups{Operations: []notary.Operation{{Tenant: alice, Key: key}}}
		result <- l.Append(t.Context(), lookups, func(s notary.State) (built *notary.Batch, err error) {
			b, err = c.build(s, key, 3)
			return b, err
		})
	}()
	if err := cancelWaiting(t, p, result); err == nil {
		t.Fatal("a batch on one machine was acknowledged")
	}
	if committed, err := l.Committed(within(t, 2*time.Second), b.Head.Batch); committed || err == nil {
		t.Errorf("of a batch on one machine the ledger says: committed %v, %v", committed, err)
	}
	asked := make(chan error, 1)
	go func() {
		_, err := l.Committed(t.Context(), b.Head.Batch)
		asked <- err
	}()
	if err := cancelWaiting(t, p, asked); err == nil {
		t.Error("of a batch on one machine the ledger says whether it is committed")
	}

	must(t, s.Start())
	committed, err := ask(t.Context(), l, b.Head.Batch)
	must(t, err)
	if !committed {
		t.Error("a batch that is there is said not to be")
	}
	must(t, c.settle(b, committed))
	must(t, p.Stop("immediate"))
	must(t, s.Promote())
	must(t, c.log.Check(t.Context(), openAs(t, s.AppURL())))
}

// cancelWaiting cancels whoever waits for the standby, as an administrator may who wonders
// why nothing moves, until the call has come to its end.
func cancelWaiting(t *testing.T, p *servers.Postgres, call <-chan error) (err error) {
	t.Helper()
	conn := superuser(t, Config{URL: p.URL(), Schema: defaultSchema})
	eventually(t, "a commit that waits for the standby is cancelled", func() bool {
		_, e := conn.Exec(t.Context(), "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'")
		must(t, e)
		select {
		case err = <-call:
			return true
		default:
			return false
		}
	})
	return err
}
