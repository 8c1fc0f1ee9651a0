package notary

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/muniment/muniment/proofs"
)

const (
	// orphanAge is how old a blob without an entry must be before it is swept: far
	// beyond the longest time a deposit can take.
	orphanAge  = 24 * time.Hour
	sweepEvery = time.Hour
	// scrubEvery is how long one pass of the scrubber over everything takes, and how
	// soon a shorter one may begin again. Between two steps it pauses; a step is of
	// scrubStep entries at least.
	scrubEvery = 24 * time.Hour
	scrubPause = time.Second
	scrubStep  = 16
	// Of the newest entries, as many are looked at when the notary opens until as many
	// documents were found, or found to be missing.
	edgeEntries   = 4096
	edgeDocuments = 64
)

// eachOrphan calls fn with every blob stored before a time that no entry refers to.
func (n *Notary) eachOrphan(ctx context.Context, before time.Time, fn func(name string) error) error {
	return n.config.Blobs.List(ctx, before, func(name string) error {
		tenant, id, _ := strings.Cut(name, "/")
		t, err := ParseID(tenant)
		if err != nil {
			return nil // not ours to judge
		}
		i, err := ParseID(id)
		if err != nil {
			return nil
		}
		row, err := n.config.Ledger.Deposit(ctx, t, i)
		if errors.Is(err, ErrNotFound) || err == nil && len(row.Secrets) == 0 { // or erased
			return fn(name)
		}
		return err
	})
}

// sweep deletes the blobs of deposits that never came to be, or were erased. One that
// cannot be deleted, such as a document that the store locks, keeps no other.
func (n *Notary) sweep(ctx context.Context) error {
	var failed error
	err := n.eachOrphan(ctx, n.clock.now().Add(-orphanAge), func(name string) error {
		if err := n.config.Blobs.Delete(ctx, name); err != nil {
			failed = fmt.Errorf("deleting %s: %w", name, err)
		}
		return ctx.Err()
	})
	return errors.Join(err, failed)
}

// runUpkeep sweeps every hour, and scrubs without end: a slow fsck that is through
// everything within a day and reports what it finds to Status.
func (n *Notary) runUpkeep() {
	defer n.workers.Done()
	swept, begun := time.Now(), time.Now()
	n.findLost(n.run)
	pass := n.newScrub()
	for {
		t := time.NewTimer(scrubPause)
		select {
		case <-t.C:
		case <-n.run.Done():
			t.Stop()
			return
		}
		if time.Since(swept) > sweepEvery {
			swept = time.Now()
			if err := n.sweep(n.run); err != nil {
				n.config.Logger.Warn("sweeping unused blobs", "error", err)
			}
		}
		if pass.step(n.run) && time.Since(begun) > scrubEvery {
			pass, begun = n.newScrub(), time.Now()
		}
	}
}

// findLost looks for the newest documents. Blobs that were lost, or restored to an older
// state, lack what came last, which the scrubber would come to within a day.
func (n *Notary) findLost(ctx context.Context) {
	head, err := n.config.Ledger.Head(ctx)
	if err != nil {
		return // readiness says that the ledger does not answer; the scrubber is left
	}
	documents := 0
	for i := head.Size; i > head.Size-min(head.Size, edgeEntries) && documents < edgeDocuments && ctx.Err() == nil; i-- {
		row, err := n.config.Ledger.Row(ctx, i-1)
		if err != nil {
			return
		}
		o, err := n.unseal(row)
		if err != nil {
			continue // the scrubber judges it
		}
		if left, err := n.finishErasure(ctx, o); err != nil {
			n.config.Logger.Warn("an erasure is not carried out yet; the scrubber tries again", "notice", row.Index, "error", err)
		} else if left {
			n.config.Logger.Info("an erasure that was interrupted is carried out", "notice", row.Index)
		}
		if held, _ := o.record.Get("content.held"); held != proofs.Boolean(true) {
			continue
		}
		documents++
		d, err := n.openDocument(ctx, o)
		switch {
		case err == nil:
			d.Close()
		case errors.Is(err, ErrDamaged):
			n.config.Logger.Error("a document is lost", "error", err)
			n.ready.damaged(err)
		default:
			return // the store does not answer, and readiness says so
		}
	}
}

// scrub is one pass of the scrubber.
type scrub struct {
	checker
	next uint64
}

func (n *Notary) newScrub() *scrub {
	n.metrics.scrubBegan.SetToCurrentTime()
	return &scrub{checker: checker{n: n, retain: true, progress: func(uint64, uint64) {}, cases: map[caseKey]*Case{}, erased: map[proofs.Hash]uint64{}}}
}

// step checks the next few entries, as many as the pace asks for, and reports whether
// the pass is over.
func (s *scrub) step(ctx context.Context) (over bool) {
	head, err := s.n.config.Ledger.Head(ctx)
	if err != nil {
		return false // readiness says so already
	}
	s.head = head
	end := min(s.next+max(scrubStep, head.Size/uint64(scrubEvery/scrubPause)+1), head.Size)
	found, err := s.damage(ctx, end)
	if err != nil {
		// A store that does not answer, and not what is in it. The pass begins anew.
		*s = *s.n.newScrub()
		return false
	}
	for _, what := range found {
		s.n.config.Logger.Error("the scrubber found damage", "what", what)
		s.n.ready.damaged(fmt.Errorf("%w: %s", ErrDamaged, what))
	}
	s.next = end
	if s.next >= head.Size {
		s.n.metrics.due.Set(float64(s.due))
	}
	s.n.metrics.scrubbed.Set(float64(s.next))
	return s.next >= head.Size
}

// damage checks the entries up to end, and returns what is found there each time: what
// fails once may be a store that was away for a moment.
func (s *scrub) damage(ctx context.Context, end uint64) ([]string, error) {
	begun := s.checker
	found, err := s.check(ctx, end)
	if err != nil || len(found) == 0 {
		return nil, err
	}
	for k, was := range s.moved {
		s.cases[k] = was
	}
	begun.forgot = s.forgot
	s.checker = begun
	again, err := s.check(ctx, end)
	if err == nil && len(again) > 0 {
		err = s.n.probeStores(ctx)
	}
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(found, func(what string) bool { return !slices.Contains(again, what) }), nil
}

func (s *scrub) check(ctx context.Context, end uint64) (found []string, err error) {
	s.report, s.moved = &Report{}, map[caseKey]*Case{}
	for lo := s.next; lo < end; {
		hi := min((lo/proofs.TileWidth+1)*proofs.TileWidth, end)
		if err := s.tile(ctx, lo, hi); err != nil {
			return nil, err
		}
		lo = hi
	}
	return s.report.Named, ctx.Err()
}
