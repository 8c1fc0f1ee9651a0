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

// TestNothingSeenOnOneMachine: what waits for a standby that is gone becomes visible when
// who waits gives up, and when the server is started again. No sealer may see it until the
// standby has it: the signature, and the receipts that follow, would be on one machine.
func TestNothingSeenOnOneMachine(t *testing.T) {
	p := newDatabase(t)
	s, err := p.Standby(filepath.Join(t.TempDir(), "standby"))
	must(t, err)
	t.Cleanup(s.Close)
	must(t, CreateAnchor(t.Context(), Config{URL: p.AppURL()}, []byte("prev")))
	a, err := OpenAnchor(t.Context(), Config{URL: p.AppURL()})
	must(t, err)
	t.Cleanup(func() { a.Close() })
	c, l, other := newChain(), openAs(t, p.AppURL()), openAs(t, p.AppURL())
	c.mustAppend(t, l, "before")
	before := c.log.Head
	must(t, s.Stop("immediate"))

	if err := a.Advance(within(t, time.Second), []byte("prev"), []byte("next")); err == nil {
		t.Error("an anchor on one machine was acknowledged")
	}
	if err := l.CreateTenant(within(t, time.Second), notary.Tenant{ID: alice}); err == nil {
		t.Error("a tenant on one machine was acknowledged")
	}
	key := term("alone")
	var b *notary.Batch
	err = l.Append(within(t, time.Second), notary.Lookups{Operations: []notary.Operation{{Tenant: alice, Key: key}}}, func(s notary.State) (built *notary.Batch, err error) {
		b, err = c.build(s, key, 3)
		return b, err
	})
	if err == nil {
		t.Fatal("a batch on one machine was acknowledged")
	}
	conn := superuser(t, Config{URL: p.URL(), Schema: defaultSchema})
	eventually(t, "who gave up has made it visible", func() (visible bool) {
		must(t, conn.QueryRow(t.Context(), "SELECT size > 2 FROM head").Scan(&visible))
		return visible
	})
	unseen(t, a, before, l, other, openAs(t, p.AppURL()))
	must(t, p.Stop("immediate"))
	must(t, p.Start())
	unseen(t, a, before, l, other, openAs(t, p.AppURL()))

	must(t, s.Start())
	committed, err := ask(t.Context(), l, b.Head.Batch)
	must(t, err)
	must(t, c.settle(b, committed))
	eventually(t, "all of it is seen", func() bool {
		head, headErr := other.Head(t.Context())
		body, bodyErr := a.Load(t.Context())
		return headErr == nil && head == b.Head && bodyErr == nil && string(body) == "next"
	})
	must(t, p.Stop("immediate"))
	must(t, s.Promote())
	must(t, c.log.Check(t.Context(), openAs(t, s.AppURL())))
}

func unseen(t *testing.T, a *Anchor, before notary.Head, ledgers ...*Ledger) {
	t.Helper()
	for i, l := range ledgers {
		if head, err := l.Head(within(t, time.Second)); err == nil && head != before {
			t.Errorf("process %d sees a head of size %d that is on one machine", i, head.Size)
		}
	}
	if body, err := a.Load(within(t, time.Second)); err == nil && string(body) != "prev" {
		t.Errorf("the anchor holds %q on one machine", body)
	}
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
