package postgres

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/muniment/muniment/notary"
)

// TestLostCommits is I11: the connection fails in every way while a commit is under way.
// Committed says what became of it, whatever another process has appended since, and
// whoever tries again under the same key finds the same index.
func TestLostCommits(t *testing.T) {
	p := newDatabase(t)
	w := newWire(t, p.Addr())
	c := newChain()
	l, other := openAs(t, w.through(p.AppURL())), openAs(t, p.AppURL())
	tries := 24
	if torture {
		tries = 500
	}
	there := 0
	for i := range tries {
		key := term(fmt.Sprint("key ", i))
		// A new connection prepares its statements first: a commit of one that has is sent whole.
		c.mustAppend(t, l, fmt.Sprint("warm ", i))
		b := c.lose(t, l, w, key, 1+i%70, []string{cutAnswer, cutAnswer, fmt.Sprintf(cutRequest, 1+i*i%800), silentAnswer}[i%4])
		if i%2 == 0 { // another process comes in between
			c.mustAppend(t, other, fmt.Sprint("other ", i))
		}
		committed, err := ask(t.Context(), l, b.Head.Batch)
		must(t, err)
		must(t, c.settle(b, committed))
		if committed {
			there++
		}
		c.findOrAppend(t, l, key, b, committed)
	}
	must(t, c.log.Check(t.Context(), other))
	// An answer that is cut off is that of a COMMIT done: half of all.
	if there < tries/2 || there == tries {
		t.Errorf("of %d commits whose answer was lost, %d were there", tries, there)
	}
	t.Logf("%d of %d were there", there, tries)
}

// lose appends a batch and lets the wire fail between the look-ups and the commit.
func (c *chain) lose(t *testing.T, l *Ledger, w *wire, key notary.Term, rows int, toxic string) *notary.Batch {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var b *notary.Batch
	err := l.Append(ctx, notary.Lookups{Operations: []notary.Operation{{Tenant: alice, Key: key}}}, func(s notary.State) (built *notary.Batch, err error) {
		if b, err = c.build(s, key, rows); err != nil {
			return nil, err
		}
		if toxic == silentAnswer { // which the caller gives up
			time.AfterFunc(500*time.Millisecond, cancel)
		}
		return b, w.spoil(toxic)
	})
	if b == nil {
		t.Fatalf("no batch was asked for: %v", err)
	}
	if err == nil {
		t.Fatalf("acknowledged over a wire with %s", toxic)
	}
	w.mend(t)
	return b
}

// findOrAppend tries again under the key, as a client does that was not answered.
func (c *chain) findOrAppend(t *testing.T, l *Ledger, key notary.Term, b *notary.Batch, committed bool) {
	t.Helper()
	if !committed {
		// The wire that was cut may have had other connections of the pool on it.
		eventually(t, "appended again", func() bool {
			done, err := c.append(t.Context(), l, key, len(b.Rows))
			must(t, err)
			return done
		})
		return
	}
	lookups := notary.Lookups{Operations: []notary.Operation{{Tenant: alice, Key: key}}}
	eventually(t, "the lock is had again", func() bool { // on a connection that is not cut
		return nil == l.Append(t.Context(), lookups, func(s notary.State) (*notary.Batch, error) {
			if s.Operations[0] != b.Operations[0] {
				t.Errorf("trying again finds %+v, want %+v", s.Operations[0], b.Operations[0])
			}
			return nil, nil
		})
	})
}

// TestFrozenWriter: a process that holds the lock of the head and says nothing more, be
// it stopped or cut off, holds up the others for six seconds at most, and does not come
// back with what it had.
func TestFrozenWriter(t *testing.T) {
	for name, freeze := range map[string]func(w *wire, woken <-chan struct{}) error{
		"stopped": func(_ *wire, woken <-chan struct{}) error { <-woken; return nil },
		"cut off": func(w *wire, woken <-chan struct{}) error {
			err := w.spoil(silentWay, silentAnswer)
			<-woken
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			frozenWriter(t, freeze)
		})
	}
}

func frozenWriter(t *testing.T, freeze func(*wire, <-chan struct{}) error) {
	p := newDatabase(t)
	w := newWire(t, p.Addr())
	c := newChain()
	l, other := openAs(t, w.through(p.AppURL())), openAs(t, p.AppURL())
	frozen, woken := make(chan *notary.Batch), make(chan struct{})
	result := make(chan error, 1)
	go func() {
		key := term("frozen")
		result <- l.Append(within(t, 20*time.Second), notary.Lookups{Operations: []notary.Operation{{Tenant: alice, Key: key}}}, func(s notary.State) (*notary.Batch, error) {
			b, err := c.build(s, key, 3)
			frozen <- b
			return b, errors.Join(err, freeze(w, woken))
		})
	}()
	b, began := <-frozen, time.Now()
	c.mustAppend(t, other, "other")
	if waited := time.Since(began); waited > 6*time.Second || waited < time.Second {
		t.Errorf("a frozen writer held the others up for %v", waited)
	}
	close(woken)
	if err := <-result; err == nil {
		t.Error("a writer that had lost its lock was acknowledged")
	}
	w.mend(t)
	committed, err := ask(t.Context(), l, b.Head.Batch)
	must(t, err)
	must(t, c.settle(b, committed))
	must(t, c.log.Check(t.Context(), other))
}
