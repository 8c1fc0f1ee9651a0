package notary

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/muniment/muniment/proofs"
)

// Replicas on one ledger all take deposits, and one of them seals. The lease by which
// they agree on it is politeness: a sealer that has lost it without knowing is stopped
// by the anchor.
const (
	// lease is how long the others wait for a sealer that says nothing. With leaseAsk it
	// bounds a hand-over.
	lease    = 1200 * time.Millisecond
	leaseAsk = 250 * time.Millisecond
	// followEvery is how soon a replica looks at the ledger by itself, should it hear
	// nothing.
	followEvery = 100 * time.Millisecond
)

// errDeposed: another replica seals now. What was begun is dropped.
var errDeposed = errors.New("another replica seals")

// replica is this process's place among its peers.
type replica struct {
	id ID
	// until is the end of the lease by this process's monotonic clock, counted from
	// before it was asked for; nil: it has none.
	until atomic.Pointer[time.Time]
	// term counts how often the lease became this process's after it had run out.
	term atomic.Uint64
	// led holds a token when the lease was had a moment ago. It is left there each time, since
	// the sealer may have seen the old lease run out while the new one came.
	led chan struct{}
	// tell holds a token when peers are to be told what untold holds, News.
	tell   chan struct{}
	untold atomic.Uint32
}

func newReplica(random io.Reader) (*replica, error) {
	r := &replica{led: make(chan struct{}, 1), tell: make(chan struct{}, 1)}
	_, err := io.ReadFull(random, r.id[:])
	return r, err
}

// signal leaves a token, unless there is one.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// leading reports whether this process seals.
func (n *Notary) leading() bool {
	if n.config.Peers == nil {
		return true
	}
	until := n.replica.until.Load()
	return until != nil && time.Now().Before(*until)
}

// sealing reports whether this process still seals in the term that its sealer began: what
// it knows of the anchors is from then.
func (n *Notary) sealing() bool {
	return n.leading() && (n.replica == nil || n.term == n.replica.term.Load())
}

// sleep waits that long, unless the notary stops.
func (n *Notary) sleep(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-n.run.Done():
		return false
	}
}

// runLease asks for the sealer's lease without end, so that it is this process's soon
// after nobody else holds it.
func (n *Notary) runLease() {
	defer n.workers.Done()
	for {
		asked := time.Now()
		ctx, cancel := context.WithTimeout(n.run, lease)
		leads, err := n.config.Peers.Lead(ctx, n.replica.id, lease)
		cancel()
		switch was := n.leading(); {
		case err == nil && leads:
			until := asked.Add(lease)
			if !was {
				n.replica.term.Add(1)
			}
			n.replica.until.Store(&until)
			signal(n.replica.led)
		case err == nil:
			n.replica.until.Store(nil)
		} // after an error the lease runs on to its end, and not beyond
		if n.config.Witnesses != nil && !n.leading() {
			n.config.Witnesses.Rest()
		}
		if !n.sleep(leaseAsk) {
			return
		}
	}
}

// runAnnouncer tells the peers what there is to tell, since neither who commits nor who
// publishes should wait for it.
func (n *Notary) runAnnouncer() {
	defer n.workers.Done()
	for {
		select {
		case <-n.replica.tell:
		case <-n.run.Done():
			return
		}
		ctx, cancel := context.WithTimeout(n.run, lease)
		_ = n.config.Peers.Announce(ctx, News(n.replica.untold.Swap(0))) // who does not hear it looks by itself
		cancel()
	}
}

// announce has the peers told, soon.
func (n *Notary) announce(news News) {
	if n.config.Peers != nil {
		n.replica.untold.Or(uint32(news))
		signal(n.replica.tell)
	}
}

// runFollower takes over what other replicas committed and published: at once what it
// hears of, and every followEvery all that there is.
func (n *Notary) runFollower() {
	defer n.workers.Done()
	looked := time.Now()
	for n.run.Err() == nil {
		ctx, cancel := context.WithDeadline(n.run, looked.Add(followEvery))
		news, err := n.config.Peers.Listen(ctx)
		early := err != nil && ctx.Err() == nil
		cancel()
		if early && !n.pause(n.run) {
			return // peers that cannot be heard must not be asked without end
		}
		ctx, cancel = context.WithTimeout(n.run, callTimeout)
		if err != nil || time.Since(looked) >= followEvery {
			looked = time.Now()
			err = n.follow(ctx)
		} else {
			err = n.heed(ctx, news)
		}
		cancel()
		if err != nil && n.run.Err() == nil {
			n.deadly(err) // what is passing, the probe tells of
		}
	}
}

// heed acts on news. Most concerns others, or is this replica's own; a look at the ledger
// for each would be half of what it does under load.
func (n *Notary) heed(ctx context.Context, news News) error {
	switch leading := n.leading(); {
	case leading && news&NewsCommitted != 0:
		signal(n.wake)
	case !leading && news&NewsPublished != 0:
		return n.refresh(ctx)
	}
	return nil
}

// follow looks at the ledger once.
func (n *Notary) follow(ctx context.Context) error {
	before := n.view.Load()
	if err := n.refresh(ctx); err != nil {
		return err
	}
	head, err := n.config.Ledger.Head(ctx)
	if err != nil {
		return err
	}
	if head.Size < before.size {
		return contradiction("the ledger has %d entries, but a checkpoint of %d was published: the ledger was rolled back", head.Size, before.size)
	}
	n.ready.commit(head.Size)
	if head.Size > n.view.Load().size && n.leading() {
		signal(n.wake)
	}
	return nil
}

// refresh takes over the newest published checkpoint. One that the ledger lost in a
// crash is given back to it.
func (n *Notary) refresh(ctx context.Context) error {
	note, err := n.config.Ledger.Published(ctx)
	if errors.Is(err, ErrNotFound) {
		note, err = nil, nil
	}
	if err != nil {
		return err
	}
	shown, stored := n.view.Load(), &view{}
	if note != nil && string(note) != string(shown.note) {
		if stored, err = n.judge(note); err != nil {
			return err
		}
	} else if note != nil {
		stored = shown
	}
	if shown.newer(stored) {
		return n.config.Ledger.Publish(ctx, shown.size, shown.note)
	}
	// What an earlier policy let be published waits for its quorum.
	if stored.witnessed || !n.required() {
		n.show(stored)
	}
	return nil
}

// judge checks a checkpoint that another replica published as everyone else would.
func (n *Notary) judge(note []byte) (*view, error) {
	cp, outcome, _ := n.verifier.Checkpoint(note)
	if outcome == proofs.Verified {
		return &view{size: cp.Size, note: note, witnessed: true}, nil
	}
	cp, outcome, reason := n.logAlone.Checkpoint(note)
	if outcome != proofs.Verified {
		return nil, fmt.Errorf("%w: the published checkpoint: %s", ErrDamaged, reason)
	}
	return &view{size: cp.Size, note: note}, nil
}

// show makes a view the current one, if it is newer, and wakes who waits for it.
func (n *Notary) show(v *view) {
	n.showing.Lock()
	defer n.showing.Unlock()
	old := n.view.Load()
	if !v.newer(old) {
		return
	}
	shown := &view{size: v.size, note: v.note, witnessed: v.witnessed, edge: v.edge, at: n.clock.now(), next: make(chan struct{})}
	if v.witnessed {
		n.cosigned.Store(shown)
	}
	n.view.Store(shown)
	n.ready.publish(v.size)
	close(old.next)
	if !n.leading() {
		signal(n.taken) // the sequencer waited for the publication of its last batch
	}
}

// current is the newest published checkpoint, which another replica may have
// published a moment ago: no reader may be shown an older one after a newer.
func (n *Notary) current(ctx context.Context) (*view, error) {
	if n.config.Peers != nil {
		if err := n.refresh(ctx); err != nil {
			return nil, n.unavailable(err)
		}
	}
	return n.view.Load(), nil
}

// reaching is the view, refreshed if it does not cover size entries yet: who was told of
// them by another replica must find them here too.
func (n *Notary) reaching(ctx context.Context, size uint64) (*view, error) {
	if v := n.view.Load(); v.size >= size {
		return v, nil
	}
	return n.current(ctx)
}

// takeOver learns anew what a sealer must know, at the beginning of its term: nothing of
// an earlier one is trusted.
func (n *Notary) takeOver(ctx context.Context) error {
	n.tiles.drop()
	if n.config.Segments != nil {
		if err := n.thawed(ctx); err != nil {
			return err
		}
	}
	_, err := n.auditAnchors(ctx)
	return err
}

// resign gives the lease up, so that another replica need not wait for its end.
func (n *Notary) resign() {
	ctx, cancel := context.WithTimeout(context.Background(), lease)
	defer cancel()
	if err := n.config.Peers.Resign(ctx, n.replica.id); err != nil {
		n.config.Logger.Warn("the lease could not be given up; it runs out by itself", "error", err)
	}
}
