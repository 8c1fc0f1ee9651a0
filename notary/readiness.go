package notary

import (
	"slices"
	"sync"
	"time"
)

// readiness is what the notary knows of its own health.
type readiness struct {
	mu        sync.Mutex
	committed uint64
	published uint64
	waiting   time.Time // since when something committed is not published; zero: nothing is
	fault     error     // the last failure of sequencer or sealer; nil after a success
	damage    []error   // what the scrubber or a reader found damaged; each is an ErrDamaged
}

const maxDamage = 100

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

// backlog returns how many entries are committed and not published.
func (r *readiness) backlog() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.committed - r.published
}

// accept refuses intake while the sealer is behind.
func (r *readiness) accept() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.committed-r.published > maxBacklog || !r.waiting.IsZero() && time.Since(r.waiting) > maxAge {
		return ErrBacklog
	}
	return nil
}

func (r *readiness) report(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fault = err
}

func (r *readiness) damaged(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.damage) < maxDamage {
		r.damage = append(r.damage, err)
	}
}

// Status is the notary's word on its own health.
type Status struct {
	Committed uint64  // entries in the ledger
	Published uint64  // entries under the published checkpoint
	Problems  []error // why it is not ready; empty when it is
}

// Status reports whether deposits would be accepted now, and if not, why.
func (n *Notary) Status() Status {
	roomErr := n.Room()
	backlogErr := n.ready.accept()
	r := &n.ready
	r.mu.Lock()
	defer r.mu.Unlock()
	s := Status{Committed: r.committed, Published: r.published, Problems: slices.Clone(r.damage)}
	for _, err := range []error{r.fault, roomErr, backlogErr, n.run.Err()} {
		if err != nil {
			s.Problems = append(s.Problems, err)
		}
	}
	return s
}
