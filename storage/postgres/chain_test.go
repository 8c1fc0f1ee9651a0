package postgres

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/storage/storagetest"
)

// errBroken: a promise of the ledger, not the weather.
var errBroken = errors.New("the ledger broke its word")

// A chain is what several processes append to one log while answers get lost. It learns
// from the heads they find under the lock which of their batches are there, and holds
// the ledger's answers against it.
type chain struct {
	mu   sync.Mutex
	log  *storagetest.Log
	open map[notary.ID]*notary.Batch // built on log.Head, and not known to have come to nothing
	kept map[notary.ID]bool          // in log
	said int                         // acknowledged, by Append or by Committed
}

func newChain() *chain {
	return &chain{log: storagetest.NewLog(), open: make(map[notary.ID]*notary.Batch), kept: make(map[notary.ID]bool)}
}

// build makes the batch that one key pays for, under the lock of the head.
func (c *chain) build(s notary.State, key notary.Term, rows int) (*notary.Batch, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s.Head.Batch != c.log.Head.Batch {
		b := c.open[s.Head.Batch]
		if b == nil {
			return nil, fmt.Errorf("%w: size %d under the lock, after %d, is of no batch that could follow", errBroken, s.Head.Size, c.log.Head.Size)
		}
		c.took(b)
	}
	if s.Operations[0].Count != 0 {
		return nil, fmt.Errorf("%w: a key that paid for nothing is taken by %+v", errBroken, s.Operations[0])
	}
	specs := make([]storagetest.Spec, rows)
	for i := range specs {
		specs[i] = storagetest.Spec{Tenant: alice, Contract: &key, Terms: []notary.Term{key}}
	}
	b := c.log.Batch(specs...)
	b.Operations = []notary.Operation{{Tenant: alice, Key: key, First: b.Rows[0].Index, Count: uint32(rows)}}
	c.open[b.Head.Batch] = b
	return b, nil
}

func (c *chain) took(b *notary.Batch) {
	c.log.Took(b)
	c.kept[b.Head.Batch] = true
	clear(c.open) // what else was built on the head before
}

// settle holds against the chain what the ledger says of a batch.
func (c *chain) settle(b *notary.Batch, committed bool) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	id := b.Head.Batch
	switch {
	case committed && c.open[id] != nil:
		c.took(b)
	case committed != c.kept[id]:
		return fmt.Errorf("%w: batch %v is there: %v; the ledger says %v", errBroken, id, c.kept[id], committed)
	}
	delete(c.open, id) // if it was not committed, it never will be
	if committed {
		c.said++
	}
	return nil
}

func (c *chain) acknowledged() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.said
}

// append tries once to append rows under a key, settles what became of them, and
// reports whether they are there. Only a broken promise is an error.
func (c *chain) append(ctx context.Context, l *Ledger, key notary.Term, rows int) (bool, error) {
	lookups := notary.Lookups{Operations: []notary.Operation{{Tenant: alice, Key: key}}}
	var b *notary.Batch
	try, cancel := context.WithTimeout(ctx, 10*time.Second)
	err := l.Append(try, lookups, func(s notary.State) (built *notary.Batch, err error) {
		b, err = c.build(s, key, rows)
		return b, err
	})
	cancel()
	if err == nil {
		return true, c.settle(b, true)
	}
	if errors.Is(err, errBroken) || errors.Is(err, notary.ErrDamaged) {
		return false, err
	}
	if b == nil {
		return false, nil // the lock was not to be had
	}
	committed, err := ask(ctx, l, b.Head.Batch)
	if err != nil {
		return false, err
	}
	return committed, c.settle(b, committed)
}

// mustAppend appends two rows where nothing is in the way but connections that were cut.
func (c *chain) mustAppend(t *testing.T, l *Ledger, key string) {
	t.Helper()
	eventually(t, "appended", func() bool {
		done, err := c.append(t.Context(), l, term(key), 2)
		must(t, err)
		return done
	})
}

// ask asks until there is an answer.
func ask(ctx context.Context, l *Ledger, batch notary.ID) (bool, error) {
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		try, cancel := context.WithTimeout(ctx, 5*time.Second)
		committed, err := l.Committed(try, batch)
		cancel()
		if err == nil {
			return committed, nil
		}
		if errors.Is(err, notary.ErrDamaged) || time.Now().After(deadline) {
			return false, fmt.Errorf("%w: no word of a batch: %w", errBroken, err)
		}
	}
}

// writers append on each ledger until the test tells them to stop, and then they are
// waited for.
func (c *chain) writers(t *testing.T, ledgers ...*Ledger) (stop func()) {
	stopped := make(chan struct{})
	var wg sync.WaitGroup
	for w, l := range ledgers {
		wg.Go(func() {
			for n := 0; ; n++ {
				key := term(fmt.Sprint(w, " ", n))
				for done := false; !done; {
					select {
					case <-stopped:
						return
					default:
					}
					var err error
					if done, err = c.append(context.Background(), l, key, 1+n%70); err != nil {
						t.Error(err)
						return
					}
				}
			}
		})
	}
	var once sync.Once
	stop = func() { once.Do(func() { close(stopped); wg.Wait() }) }
	t.Cleanup(stop)
	return stop
}

// goesOn demands that more is acknowledged soon after the server is back.
func (c *chain) goesOn(t *testing.T, soon time.Duration) {
	t.Helper()
	before, began := c.acknowledged(), time.Now()
	for c.acknowledged() < before+6 {
		if time.Since(began) > soon {
			t.Fatalf("%d batches are acknowledged in %v after a disturbance", c.acknowledged()-before, soon)
		}
		time.Sleep(time.Millisecond)
	}
}
