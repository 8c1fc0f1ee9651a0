package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"sync"

	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/proofs/mldsa"
	"github.com/muniment/muniment/service/api"
)

// errLie is wrapped when an answer of the depository is not true. Figures of a
// depository that lies are void.
var errLie = errors.New("the depository's answer does not hold")

// An auditor verifies every answer that the depository gave, after the measured time.
// It is safe for concurrent use.
type auditor struct {
	*workload
	policy   proofs.Policy
	verifier *proofs.Verifier // remembers the notes whose signatures it has checked

	mu    sync.Mutex
	taken map[uint64]*[pageBits / 64]uint64 // which indexes were answered, by page
	roots map[uint64]proofs.Hash            // of each size that a checkpoint stated
	notes map[string]proofs.Checkpoint      // of batches; their signatures hold
	found audited
}

// audited is what an audit found.
type audited struct {
	Receipts    int64 `json:"receipts"`    // verified: record, entry, inclusion, signature
	Lines       int64 `json:"batch_lines"` // of minimal batch answers: entry, inclusion, signature
	Checkpoints int64 `json:"checkpoints"` // distinct, each a prefix of the newest
	Entries     int64 `json:"entries"`     // distinct indexes, each in the public log with its leaf
}

func (a audited) plus(o audited) audited {
	return audited{a.Receipts + o.Receipts, a.Lines + o.Lines, a.Checkpoints + o.Checkpoints, a.Entries + o.Entries}
}

const pageBits = 1 << 16

func newAuditor(w *workload, policy proofs.Policy) *auditor {
	return &auditor{
		workload: w, policy: policy, verifier: proofs.NewVerifier(policy, mldsa.Plugged()),
		taken: map[uint64]*[pageBits / 64]uint64{}, roots: map[uint64]proofs.Hash{}, notes: map[string]proofs.Checkpoint{},
	}
}

// audit verifies all that is in the spool, holds it against the public log at addr,
// and empties the spool.
func (a *auditor) audit(ctx context.Context, s *spool, addr string) error {
	log := newPublicLog(addr, a.policy)
	defer log.wire.close()
	newest, err := log.checkpoint()
	if err != nil {
		return err
	}
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	frames := make(chan frame) // an answer to a batch has up to 20 MiB
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for f := range frames {
				if err := a.frame(f, log, newest); err != nil {
					fail(fmt.Errorf("%s request %d: %w", f.kind, f.first, err))
				}
			}
		})
	}
	err = s.each(func(f frame) error {
		select {
		case frames <- f:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	})
	close(frames)
	workers.Wait()
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	if err != nil {
		return err
	}
	return a.consistent(log, newest)
}

// frame verifies one answer.
func (a *auditor) frame(f frame, log *publicLog, newest proofs.Checkpoint) error {
	switch f.kind {
	case read:
		return a.read(f)
	case batch:
		return a.batch(f, log, newest)
	}
	return a.deposit(f, log, newest)
}

// deposit verifies the answer to a deposit.
func (a *auditor) deposit(f frame, log *publicLog, newest proofs.Checkpoint) error {
	var d api.Deposit
	if err := json.Unmarshal(f.body, &d); err != nil {
		return fmt.Errorf("%w: %w", errLie, err)
	}
	r, e, err := a.receipt([]byte(d.Receipt), f.document(a.workload))
	if err != nil {
		return err
	}
	if id := idOf(r); id != d.Id || r.Index != d.Index || e.Leaf.String() != d.Leaf || r.Record().JSON() != string(d.Record) {
		return fmt.Errorf("%w: answer and receipt disagree", errLie)
	}
	if err := a.about(r, f.first, f.kind == single); err != nil {
		return err
	}
	a.count(&a.found.Receipts)
	return a.settle(log, newest, r.Index, e.Leaf)
}

// receipt verifies a receipt as a court does, with the policy alone.
func (a *auditor) receipt(file, document []byte) (proofs.Receipt, proofs.Evidence, error) {
	r, err := proofs.ParseReceipt(file)
	if err != nil {
		return r, proofs.Evidence{}, fmt.Errorf("%w: %w", errLie, err)
	}
	e, err := a.verify(r, document)
	if err != nil {
		return r, e, err
	}
	return r, e, a.stated(proofs.Checkpoint{Origin: e.Origin, Size: e.Size, Root: e.Root})
}

func (a *auditor) verify(r proofs.Receipt, document []byte) (proofs.Evidence, error) {
	e, err := a.verifier.Verify(r, reader(document))
	if err != nil {
		return e, err
	}
	if e.Outcome() != proofs.Verified {
		return e, fmt.Errorf("%w: its receipt is %s (%s)", errLie, e.Outcome(), e.Reason)
	}
	return e, nil
}

// about checks that a receipt is of loan n as it was sent.
func (a *auditor) about(r proofs.Receipt, n uint64, digest bool) error {
	claims, err := a.claims(n, digest)
	if err != nil {
		return err
	}
	for _, m := range claims {
		if v, ok := r.Member(m.Name); !ok || v != m.Value {
			return fmt.Errorf("%w: its receipt does not say the %s that was sent", errLie, m.Name)
		}
	}
	if held, ok := r.Member("content.held"); !ok || held != proofs.Boolean(!digest) {
		return fmt.Errorf("%w: its receipt does not say rightly whether the document was sent", errLie)
	}
	return nil
}

// stated notes a checkpoint whose signature holds. A second root of one size is a fork.
func (a *auditor) stated(cp proofs.Checkpoint) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if root, ok := a.roots[cp.Size]; ok && root != cp.Root {
		return fmt.Errorf("%w: two roots of size %d", errLie, cp.Size)
	}
	a.roots[cp.Size] = cp.Root
	return nil
}

// settle checks that the entry of a deposit stands in the log at its index, and that
// no other deposit was given it.
func (a *auditor) settle(log *publicLog, newest proofs.Checkpoint, index uint64, leaf proofs.Hash) error {
	got, err := log.leaf(index, newest.Size)
	if err != nil {
		return fmt.Errorf("%w: entry %d is lost: %w", errLie, index, err)
	}
	if got != leaf {
		return fmt.Errorf("%w: entry %d is lost: the log has another in its place", errLie, index)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	page := a.taken[index/pageBits]
	if page == nil {
		page = new([pageBits / 64]uint64)
		a.taken[index/pageBits] = page
	}
	word, bit := &page[index%pageBits/64], uint64(1)<<(index%64)
	if *word&bit != 0 {
		return fmt.Errorf("%w: index %d was given to two deposits", errLie, index)
	}
	*word |= bit
	a.found.Entries++
	return nil
}

func (a *auditor) count(of *int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	*of++
}

// read verifies the receipt of a deposit that was asked for by its id.
func (a *auditor) read(f frame) error {
	r, _, err := a.receipt(f.body, nil)
	if err != nil {
		return err
	}
	if idOf(r) != a.id(f.first) {
		return fmt.Errorf("%w: it is the receipt of another deposit", errLie)
	}
	a.count(&a.found.Receipts)
	return nil
}

// consistent proves, over the public tiles, that the log at each checkpoint that was
// stated is a prefix of the newest.
func (a *auditor) consistent(log *publicLog, newest proofs.Checkpoint) error {
	for size, root := range a.roots {
		if size > newest.Size {
			return fmt.Errorf("%w: a checkpoint of size %d, and now the log has %d", errLie, size, newest.Size)
		}
		path, err := proofs.ConsistencyProof(size, newest.Size, log)
		if err != nil {
			return err
		}
		if err := proofs.VerifyConsistency(path, size, newest.Size, root, newest.Root); err != nil {
			return fmt.Errorf("%w: the log of size %d is not the beginning of the newest, of size %d: %w", errLie, size, newest.Size, err)
		}
	}
	// What is consistent with the newest is consistent with all that follow, once the
	// newest itself is: so only that one is kept.
	a.found.Checkpoints += int64(len(a.roots))
	a.roots = map[uint64]proofs.Hash{newest.Size: newest.Root}
	a.notes = map[string]proofs.Checkpoint{}
	return nil
}

func idOf(r proofs.Receipt) string {
	v, _ := r.Member("id")
	id, _ := v.Text()
	return id
}
