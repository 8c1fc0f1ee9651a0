package notary

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// readiness is what the notary knows of its own health.
type readiness struct {
	mu        sync.Mutex
	committed uint64
	sealed    uint64 // at every anchor
	cosigned  uint64 // by the witnesses' quorum
	published uint64
	required  bool      // nothing is published without that quorum
	lost      time.Time // since when the quorum is missing; zero: it stands, or none is asked for
	waiting   time.Time // since when something committed is not published; zero: nothing is
	sequencer fault     // how it fared last
	sealer    fault
	damage    []error // what the scrubber or a reader found damaged; each is an ErrDamaged
	probed    error   // what the last probe found; nil: all is well

	// Since when each of these is under way; zero: it is not. What takes longer than
	// stuckAfter hangs: storage may never answer, and would not be asked again.
	committing, sealing, probing time.Time
	// waits makes of the error that a seal hangs that of what it waits for; nil: the seal
	// waits for nothing in particular.
	waits func(error) error
}

// fault is the last failure of something that tries again; its error is nil after a
// success of its own. What else succeeds meanwhile says nothing of it.
type fault struct {
	err error
	at  time.Time
}

// recent is the failure, while it speaks against the notary.
func (f fault) recent() error {
	if time.Since(f.at) < faultAge {
		return f.err
	}
	return nil
}

const (
	maxDamage  = 100
	stuckAfter = 2500 * time.Millisecond
)

// begin notes that something begins that must not hang, and returns what notes its end.
func (r *readiness) begin(since *time.Time) (end func()) {
	set := func(t time.Time) {
		r.mu.Lock()
		defer r.mu.Unlock()
		*since = t
	}
	set(time.Now())
	return func() { set(time.Time{}) }
}

// waitFor notes what a seal waits for, and returns what notes that it has come.
func (r *readiness) waitFor(waits func(error) error) (end func()) {
	set := func(w func(error) error) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.waits = w
	}
	set(waits)
	return func() { set(nil) }
}

// stuck names what hangs.
func (r *readiness) stuck() error {
	for _, w := range []struct {
		what  string
		since time.Time
		waits func(error) error
	}{{"a commit", r.committing, nil}, {"a seal", r.sealing, r.waits}, {"a probe of the stores", r.probing, nil}} {
		if w.since.IsZero() || time.Since(w.since) <= stuckAfter {
			continue
		}
		err := fmt.Errorf("%w: %s hangs since %v", ErrUnavailable, w.what, time.Since(w.since).Round(time.Second))
		if w.waits != nil {
			return w.waits(err)
		}
		return err
	}
	return nil
}

func (r *readiness) commit(size uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.committed = max(r.committed, size)
	if r.waiting.IsZero() && r.committed > r.published {
		r.waiting = time.Now()
	}
}

func (r *readiness) publish(size uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.published = max(r.published, size)
	r.committed = max(r.committed, size)
	r.waiting = time.Time{}
	if r.committed > r.published {
		r.waiting = time.Now()
	}
}

func (r *readiness) seal(size uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sealed = max(r.sealed, size)
}

// witness notes whether the quorum stood for a checkpoint of that size, and returns
// whether it did before.
func (r *readiness) witness(size uint64, stands bool) (before bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	before = r.lost.IsZero()
	switch {
	case stands:
		r.cosigned, r.lost = max(r.cosigned, size), time.Time{}
	case before:
		r.lost = time.Now()
	}
	return before
}

// missing reports whether the quorum is missing for so long that callers are told.
func (r *readiness) missing() bool {
	return !r.lost.IsZero() && time.Since(r.lost) >= quorumPatience
}

// quorumMissing reports whether a missing quorum keeps things from being published.
func (r *readiness) quorumMissing() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.required && r.missing()
}

// reading is what metrics tell of readiness.
type reading struct {
	committed, sealed, cosigned, published uint64
	quorum                                 bool // it stands
	oldest                                 time.Duration
	damage                                 int
}

func (r *readiness) look() reading {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := reading{
		committed: r.committed, sealed: r.sealed, cosigned: r.cosigned, published: r.published,
		quorum: r.lost.IsZero(), damage: len(r.damage),
	}
	if !r.waiting.IsZero() {
		out.oldest = time.Since(r.waiting)
	}
	return out
}

// accept refuses intake while the sealer is behind, or could not publish.
func (r *readiness) accept() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.required && r.missing() {
		return ErrQuorum
	}
	if r.committed-r.published > maxBacklog || !r.waiting.IsZero() && time.Since(r.waiting) > maxAge {
		return ErrBacklog
	}
	return nil
}

// report notes how the sequencer or the sealer fared.
func (r *readiness) report(of *fault, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	*of = fault{err, time.Now()}
}

// failure is the sealer's last failure.
func (r *readiness) failure() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.sealer.err
}

// probe takes the finding of a probe and returns the one before.
func (r *readiness) probe(err error) (before error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	before, r.probed = r.probed, err
	return before
}

func (r *readiness) damaged(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	known := slices.ContainsFunc(r.damage, func(e error) bool { return e.Error() == err.Error() })
	if len(r.damage) < maxDamage && !known {
		r.damage = append(r.damage, err)
	}
}

// unavailable keeps the errors of a store that mean something to a caller, calls the
// rest ErrUnavailable, and remembers damage.
func (n *Notary) unavailable(err error) error {
	switch {
	case errors.Is(err, ErrDamaged):
		n.ready.damaged(err)
		return err
	case errors.Is(err, ErrClock), errors.Is(err, ErrNoRoom), errors.Is(err, ErrStopped):
		return err
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}

// Status is the notary's word on its own health.
type Status struct {
	Committed  uint64    // entries in the ledger
	Published  uint64    // entries under the published checkpoint
	Checkpoint time.Time // when this process published that, by the ledger's clock
	// Unwitnessed: the newest checkpoints are published without the witnesses' quorum.
	Unwitnessed bool
	// Opinion is what is wrong with a second tree whose word is not waited for; nil: nothing,
	// or there is none, or it is among the problems.
	Opinion  error
	Problems []error // why it is not ready; empty when it is
	// Lagging are the places of anchors that hold less than what is published: they were
	// restored to an older state. The next seal advances them, or ends the process.
	Lagging []int
}

// faultAge is how long a failure speaks against the notary. If it lasts, the next
// deposit finds out; if nothing came since, nobody can know, and a load balancer
// that sent nothing would never see it ready again.
const faultAge = 10 * time.Second

// Status reports whether deposits would be accepted now, and if not, why. It asks
// the ledger, so it tells of one that does not answer within ctx.
func (n *Notary) Status(ctx context.Context) Status {
	asked := time.Now()
	now, err := n.config.Ledger.Now(ctx)
	if err != nil {
		err = n.unavailable(err)
	} else {
		_, err = n.clock.measure(now, asked)
	}
	found := []error{err, n.config.Room(), n.ready.accept(), n.run.Err()}
	advice := n.opinion.fault()
	if n.opinionRequired() {
		found, advice = append(found, advice), nil
	}
	r := &n.ready
	r.mu.Lock()
	defer r.mu.Unlock()
	found = append(found, r.sequencer.recent(), r.sealer.recent(), r.probed, r.stuck())
	found = append(found, r.damage...)
	return Status{
		Committed:   r.committed,
		Published:   r.published,
		Checkpoint:  n.view.Load().at,
		Unwitnessed: !r.required && r.missing(),
		Opinion:     advice,
		Problems:    slices.DeleteFunc(found, func(err error) bool { return err == nil }),
		Lagging:     n.lagging(),
	}
}
