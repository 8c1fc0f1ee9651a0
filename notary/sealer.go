package notary

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/muniment/muniment/proofs"
)

// sealer is the state of the one goroutine that signs.
type sealer struct {
	sealed   proofs.Checkpoint // the newest that an anchor holds
	anchored [][]byte          // what each anchor holds, as last seen
	doubt    [][]byte          // what each was last asked to hold, while the answer is unknown
	// keys must sign the next checkpoint: one, or two while the log's key is rotated.
	keys []proofs.VerifierKey
}

// errForeign: an anchor holds what this process neither put there nor expected.
var errForeign = errors.New("another process moved the anchor")

// runSealer seals while this process is the sealer: always, unless it has peers.
func (n *Notary) runSealer() {
	defer n.workers.Done()
	if n.config.Peers == nil {
		n.sealTerm()
		return
	}
	for {
		select {
		case <-n.replica.led:
		case <-n.run.Done():
			return
		}
		n.term = n.replica.term.Load()
		if !n.sealing() {
			continue // the token was from before
		}
		n.config.Logger.Info("this replica seals now")
		if n.persist(n.takeOver) {
			signal(n.wake) // what others committed waits
			n.sealTerm()
		}
		if n.opinionRequired() {
			n.opinion.rest() // another feeds the second tree now
		}
		if n.run.Err() == nil {
			n.config.Logger.Info("this replica seals no more")
		}
	}
}

// sealTerm seals whenever something was committed, always the newest head, one round at
// a time, until the notary stops or is not the sealer any more.
func (n *Notary) sealTerm() {
	for {
		select {
		case <-n.wake:
			signal(n.taken)
		case <-n.unwitnessed():
		case <-n.run.Done():
			return
		}
		if !n.persist(n.sealRound) {
			return
		}
	}
}

// persist does a sealer's work until it is done, and reports whether it is: not if the
// notary stops meanwhile, or is deposed.
func (n *Notary) persist(work func(context.Context) error) bool {
	for n.sealing() {
		ctx, cancel := context.WithTimeout(n.run, callTimeout)
		end := n.ready.begin(&n.ready.sealing)
		err := work(ctx)
		end()
		cancel()
		if err == nil {
			n.ready.report(&n.ready.sealer, nil)
			return true
		}
		switch {
		case errors.Is(err, errDeposed): // and what it could not do is another's to do
			n.ready.report(&n.ready.sealer, nil)
			return false
		case errors.Is(err, ErrTreeBehind), errors.Is(err, errMoved): // there is more to do, at once
			n.ready.report(&n.ready.sealer, nil)
			continue
		case errors.Is(err, ErrOpinion): // it is told of by itself too
			n.ready.report(&n.ready.sealer, nil)
			if !n.sleep(opinionAgain) {
				return false
			}
			continue
		case errors.Is(err, errQuorum): // it is told of by itself, and goes on for as long as it takes
			n.ready.report(&n.ready.sealer, nil)
			if !n.pause(n.run) {
				return false
			}
			continue
		}
		n.ready.report(&n.ready.sealer, err)
		if n.deadly(err); n.run.Err() != nil {
			return false
		}
		n.config.Logger.Error("sealing failed; trying again", "error", err)
		if !n.pause(n.run) {
			return false
		}
	}
	return false
}

// sealRound takes the newest head through sealed to published. An error means that
// the round may be tried again; a state that must not be signed ends the process.
func (n *Notary) sealRound(ctx context.Context) error {
	head, err := n.config.Ledger.Head(ctx)
	if err != nil {
		return err
	}
	s := &n.sealer
	next := proofs.Checkpoint{Origin: n.key.Name, Size: head.Size, Root: head.Root}
	if v := n.view.Load(); next == s.sealed && next.Size == v.size && v.witnessed && s.everywhere(next) && (!n.opinionRequired() || n.opinion.settled()) {
		return nil
	}
	if n.opinionRequired() {
		come := n.ready.waitFor(waitsForOpinion)
		err := n.catchUpTree(ctx, next, n.sealing)
		if come(); err != nil {
			return err
		}
	}
	signatures, stored, err := n.judgeAndSign(ctx, next)
	if err != nil {
		return err
	}
	note := proofs.Note{Text: next.String(), Signatures: signatures}
	// While the anchors write, our own verifier learns the note that every receipt of
	// the round is verified with.
	learnt := make(chan struct{})
	go func() {
		defer close(learnt)
		n.logAlone.Checkpoint(note.Marshal())
	}()
	defer func() { <-learnt }()
	// The signature exists in memory only. It leaves this function, let alone the
	// process, after every anchor holds the checkpoint durably.
	for i := range n.config.Anchors {
		if !n.sealing() {
			return errDeposed
		}
		if err := n.advance(ctx, i, []byte(next.String())); err != nil {
			return err
		}
		n.moved(i, next.Size)
	}
	s.sealed = next
	n.ready.seal(next.Size)
	v, err := n.cosign(ctx, head, next, note)
	if err != nil {
		return err
	}
	return n.publish(stored, v)
}

// everywhere reports whether every anchor holds a checkpoint, as far as is known.
func (s *sealer) everywhere(cp proofs.Checkpoint) bool {
	body := []byte(cp.String())
	return !slices.ContainsFunc(s.anchored, func(held []byte) bool { return !bytes.Equal(held, body) })
}

// judgeAndSign signs next once three who work side by side have come to their ends: our own
// audit, the second copy of what is new, and the second tree.
func (n *Notary) judgeAndSign(ctx context.Context, next proofs.Checkpoint) ([]proofs.Signature, *storedTiles, error) {
	stored := n.storedTiles(ctx)
	segmented := n.segment(ctx, next)
	agreed := n.consult(ctx, next)
	begun := time.Now()
	err := n.audit(stored, next)
	audited := time.Since(begun)
	err = errors.Join(err, segmented())
	if opinion := agreed(err == nil); err == nil {
		err = opinion
	}
	defer n.metrics.since(stageSeal, time.Now().Add(-audited))
	if err != nil {
		return nil, nil, err
	}
	signatures, err := n.signAll(next.String())
	return signatures, stored, err
}

// audit checks how the log grew to next since it was last sealed, and finds the keys that
// sign it.
func (n *Notary) audit(stored *storedTiles, next proofs.Checkpoint) (err error) {
	sealed := n.sealer.sealed
	if next.Size > sealed.Size {
		if err := n.auditGrowth(stored, sealed, next); err != nil {
			return err
		}
	} else if next != sealed {
		return contradiction("the ledger's head %d %s is not the sealed %d %s", next.Size, next.Root, sealed.Size, sealed.Root)
	}
	if stored.keys { // the log's keys have changed
		n.sealer.keys, err = n.keysAt(stored.ctx, next.Size)
	}
	return err
}

// deadly ends the process for errors that trying again cannot mend.
func (n *Notary) deadly(err error) {
	var c *contradictionError
	if errors.As(err, &c) || errors.Is(err, errForeign) || errors.Is(err, ErrFrozen) {
		n.tiles.drop()
		n.die(err)
	}
}

// advance moves one anchor from what it held to next. While an answer is unknown,
// nothing more is asked of the anchor before it has been read.
func (n *Notary) advance(ctx context.Context, i int, next []byte) error {
	s := &n.sealer
	if err := n.settleAnchor(ctx, i); err != nil {
		return err
	}
	if bytes.Equal(s.anchored[i], next) {
		return nil
	}
	s.doubt[i] = next
	defer n.metrics.since(stageAnchor, time.Now())
	defer n.ready.waitFor(func(hangs error) error { return &AnchorError{i, n.anchorName(i), hangs} })()
	if err := n.config.Anchors[i].Advance(ctx, s.anchored[i], next); err != nil {
		if settled := n.settleAnchor(ctx, i); settled != nil {
			return errors.Join(n.anchorError(i, err), settled)
		}
		if !bytes.Equal(s.anchored[i], next) {
			return n.anchorError(i, fmt.Errorf("it did not move: %w", err))
		}
	}
	s.anchored[i], s.doubt[i] = next, nil
	return nil
}

// settleAnchor reads an anchor whose answer is unknown: it holds what it was asked
// to, or what it held before; anything else means that someone else seals this log.
func (n *Notary) settleAnchor(ctx context.Context, i int) error {
	s := &n.sealer
	if s.doubt[i] == nil {
		return nil
	}
	held, err := n.config.Anchors[i].Load(ctx)
	switch {
	case err != nil:
		return n.anchorError(i, fmt.Errorf("reading it: %w", err))
	case bytes.Equal(held, s.doubt[i]):
		s.anchored[i], s.doubt[i] = held, nil
	case bytes.Equal(held, s.anchored[i]):
		s.doubt[i] = nil
	default:
		return n.anchorError(i, errForeign)
	}
	return nil
}

// publish makes the note visible to every replica, and then to the depositors that
// wait here.
func (n *Notary) publish(stored *storedTiles, v *view) error {
	if !v.newer(n.view.Load()) {
		return nil
	}
	defer n.metrics.since(stagePublish, time.Now())
	if err := n.config.Ledger.Publish(stored.ctx, v.size, v.note); err != nil {
		return fmt.Errorf("publishing: %w", err)
	}
	for id, tile := range stored.read {
		n.tiles.keep(id, tile)
	}
	v.edge = stored.read
	n.show(v)
	n.announce(NewsPublished)
	return nil
}

// until gives a context an end of its own, unless that is zero.
func until(ctx context.Context, end time.Time) (context.Context, context.CancelFunc) {
	if end.IsZero() {
		return ctx, func() {}
	}
	return context.WithDeadline(ctx, end)
}

// published waits until the log is published beyond index; witnessed: under a
// checkpoint for which the policy's quorum stands.
func (n *Notary) published(ctx context.Context, index uint64, witnessed bool) (*view, error) {
	for {
		v := n.view.Load()
		next := v.next
		if witnessed {
			v = n.cosigned.Load()
		}
		if v.size > index {
			return v, nil
		}
		select {
		case <-next:
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-n.run.Done():
			return nil, ErrStopped
		}
	}
}
