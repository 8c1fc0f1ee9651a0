package notary

import (
	"context"
	"errors"
	"fmt"

	"github.com/muniment/muniment/proofs"
)

// A ledger that was lost, or is behind an anchor, is built again from segments, and where
// those are not to be had from anyone's copy of the public entries. First a way is found
// and proved, entry by entry, from what the ledger has to the state that the anchors hold;
// nothing is written before that, and nothing that is not on it. An anchor is only read.

// Recovery is what a ledger is rebuilt from. The Config is as for Open.
type Recovery struct {
	Config
	Accounts Accounts
	// Sources are asked, one after the other, for entries that no segment has.
	Sources []EntrySource
	// Known are further states that the log's key signed: what is rebuilt must have
	// them in its past, and reach the newest.
	Known []proofs.Checkpoint
	// Progress, unless nil, is called with entries done and in all.
	Progress func(what string, done, total uint64)
}

// EntrySource is a copy of public entries, or of some of them. It is not trusted.
type EntrySource interface {
	// Entry returns the bytes of the entry at index, or ErrNotFound.
	Entry(ctx context.Context, index uint64) ([]byte, error)
	// String names the source for the operator.
	String() string
}

// ErrUnreachable: nothing that is left leads to the state that an anchor holds.
var ErrUnreachable = errors.New("the sealed root cannot be reached")

// Rebuild is a proved way from what a ledger has to what is sealed.
type Rebuild struct {
	Origin   string            `json:"origin"`
	Had      uint64            `json:"had"` // entries in the ledger before
	Sealed   proofs.Checkpoint `json:"-"`   // where the way leads
	Segments int               `json:"segments"`
	// Alone are entries that were found without their rows: they stand in the log again,
	// but record, document and idempotency key of each are out of reach.
	Alone []LostRange `json:"alone,omitempty"`
	// Lost are rows whose wrapped keys are gone or do not open; the id and the tenant are
	// known, the record is not.
	Lost []LostRange `json:"lost,omitempty"`
	// Tenants that were made anew, from what records say of them.
	Tenants []Tenant `json:"-"`

	n     *Notary
	from  Recovery
	must  map[uint64]proofs.Hash // states that must be passed
	edge  *proofs.Range          // of the ledger
	parts []wayPart
}

// LostRange is a run of entries whose private part is lost, and what is left of them.
type LostRange struct {
	From uint64 `json:"from"`
	To   uint64 `json:"to"` // exclusive
	Why  string `json:"why"`
}

// maxLostRanges bounds how many are told one by one; the last then stands for all
// that follow.
const maxLostRanges = 10_000

func addLost(list []LostRange, index uint64, why string) []LostRange {
	if n := len(list); n > 0 && (list[n-1].To == index && list[n-1].Why == why || n == maxLostRanges) {
		list[n-1].To = index + 1
		return list
	}
	return append(list, LostRange{index, index + 1, why})
}

// Clean reports whether nothing private was lost.
func (r *Rebuild) Clean() bool { return len(r.Alone) == 0 && len(r.Lost) == 0 }

// wayPart is one piece of the way: entries of a segment, or of a source.
type wayPart struct {
	name   SegmentName // zero: of source
	source int
	// The entries taken are from <= i < to.
	from, to uint64
}

// PlanRebuild finds and proves the way, and writes nothing. ErrUnreachable, wrapped, says
// that there is none.
func PlanRebuild(ctx context.Context, from Recovery) (*Rebuild, error) {
	n, err := prepare(from.Config)
	if err != nil {
		return nil, err
	}
	if from.Progress == nil {
		from.Progress = func(string, uint64, uint64) {}
	}
	if from.Segments != nil {
		if err := n.thawed(ctx); err != nil {
			return nil, err
		}
	}
	r := &Rebuild{Origin: n.key.Name, n: n, from: from, must: map[uint64]proofs.Hash{}}
	if err := r.aim(ctx); err != nil {
		return nil, err
	}
	head, err := from.Ledger.Head(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading the head: %w", err)
	}
	r.Had = head.Size
	if err := r.fits(ctx, head); err != nil {
		return nil, err
	}
	if head.Size >= r.Sealed.Size {
		return r, nil
	}
	return r, r.findWay(ctx)
}

// aim learns where the way must lead: to the newest state that an anchor holds or that
// is known, past all others.
func (r *Rebuild) aim(ctx context.Context) error {
	all := append([]proofs.Checkpoint(nil), r.from.Known...)
	for i, a := range r.from.Anchors {
		held, err := a.Load(ctx)
		if err != nil {
			return fmt.Errorf("reading anchor %d: %w", i, err)
		}
		cp, err := proofs.ParseCheckpoint(string(held))
		if err != nil || cp.Origin != r.Origin {
			return contradiction("anchor %d holds no checkpoint of %s", i, r.Origin)
		}
		all = append(all, cp)
	}
	for _, cp := range all {
		if root, ok := r.must[cp.Size]; ok && root != cp.Root {
			return contradiction("two states of %d entries are sealed, with the roots %s and %s: the log has forked", cp.Size, root, cp.Root)
		}
		r.must[cp.Size] = cp.Root
		if r.Sealed.Origin == "" || cp.Size > r.Sealed.Size {
			r.Sealed = cp
		}
	}
	return nil
}

// fits holds what the ledger has against what is sealed.
func (r *Rebuild) fits(ctx context.Context, head Head) error {
	edge, err := proofs.RangeAt(head.Size, r.n.storedTiles(ctx))
	if err != nil {
		return fmt.Errorf("the ledger's own tiles: %w; empty it (a fresh directory, or another schema and munimentd migrate), and begin again", err)
	}
	if edge.Root() != head.Root {
		return contradiction("stored tiles give root %s at size %d, the head says %s; empty the ledger and begin again", edge.Root(), head.Size, head.Root)
	}
	r.edge = edge
	for size, root := range r.must {
		if size > head.Size {
			continue
		}
		got, err := proofs.RootAt(size, r.n.storedTiles(ctx))
		if err != nil {
			return fmt.Errorf("root at size %d: %w", size, err)
		}
		if got != root {
			return contradiction("the ledger's root at size %d is %s, sealed is %s: it is another history; empty it and begin again", size, got, root)
		}
	}
	return nil
}

// thawed refuses a log that was ended.
func (n *Notary) thawed(ctx context.Context) error {
	why, err := n.config.Segments.Frozen(ctx, n.key.Name)
	switch {
	case errors.Is(err, ErrNotFound):
		return nil
	case err != nil:
		return fmt.Errorf("whether the log has ended: %w", err)
	}
	return fmt.Errorf("%w: %.500s", ErrFrozen, why)
}

// ErrFrozen: the log was ended for ever, and another one goes on in its place.
var ErrFrozen = errors.New("this log is frozen")
