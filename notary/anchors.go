package notary

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/muniment/muniment/proofs"
)

// register is what is known of one anchor while the notary runs.
type register struct {
	size atomic.Uint64 // that it held when it was last read or moved
	lags atomic.Bool   // it was found behind what is published
}

// anchorName is how messages name an anchor: its place in the list, and what the operator
// calls it.
func (n *Notary) anchorName(i int) string {
	if i < len(n.config.AnchorNames) {
		return fmt.Sprintf("anchor %d (%s)", i, n.config.AnchorNames[i])
	}
	return fmt.Sprintf("anchor %d", i)
}

// AnchorError is the failure of one anchor. Nothing is sealed before it answers.
type AnchorError struct {
	Anchor int // its place in Config.Anchors
	name   string
	err    error
}

func (e *AnchorError) Error() string { return e.name + ": " + e.err.Error() }
func (e *AnchorError) Unwrap() error { return e.err }

func (n *Notary) anchorError(i int, err error) error {
	return &AnchorError{i, n.anchorName(i), err}
}

// reportLag tells of anchors that hold less than they must: they were restored to an older
// state, or are new. That is safe, since the ledger was held against each: they are
// advanced before the next seal. published is the size of the newest checkpoint that ever
// left, 0 if none is known.
func (n *Notary) reportLag(published uint64) {
	most := max(published, n.sealer.sealed.Size)
	for i, held := range n.sealer.anchored {
		cp, err := proofs.ParseCheckpoint(string(held))
		if err != nil || cp.Size >= most {
			continue
		}
		n.registers[i].lags.Store(true)
		n.config.Logger.Warn("an anchor lags: it is older than the log, and is advanced before the next seal",
			"anchor", n.anchorName(i), "anchor_size", cp.Size, "sealed_size", most)
	}
}

// moved takes note of what an anchor holds.
func (n *Notary) moved(i int, size uint64) {
	n.registers[i].size.Store(size)
	if size >= n.view.Load().size {
		n.registers[i].lags.Store(false)
	}
}

// probeAnchor asks an anchor what it holds: never less than was published before.
func (n *Notary) probeAnchor(ctx context.Context, i int) error {
	published := n.view.Load().size
	held, err := n.config.Anchors[i].Load(ctx)
	if err != nil {
		return n.anchorError(i, err)
	}
	cp, err := proofs.ParseCheckpoint(string(held))
	if err != nil {
		return n.anchorError(i, fmt.Errorf("it holds no checkpoint: %w", err))
	}
	r := &n.registers[i]
	r.size.Store(cp.Size)
	if was := r.lags.Swap(cp.Size < published); !was && cp.Size < published {
		n.config.Logger.Warn("an anchor lags: it was restored to an older state while the depository runs",
			"anchor", n.anchorName(i), "anchor_size", cp.Size, "sealed_size", published)
	}
	return nil
}

// lagging lists the anchors that were found behind what is published.
func (n *Notary) lagging() []int {
	var out []int
	for i := range n.registers {
		if n.registers[i].lags.Load() {
			out = append(out, i)
		}
	}
	return out
}

// readPublished returns the newest checkpoint that the ledger was given to publish; its
// size is 0 if there is none.
func (n *Notary) readPublished(ctx context.Context) (proofs.Checkpoint, error) {
	note, err := n.config.Ledger.Published(ctx)
	if errors.Is(err, ErrNotFound) {
		return proofs.Checkpoint{}, nil
	}
	if err != nil {
		return proofs.Checkpoint{}, fmt.Errorf("reading the published checkpoint: %w", err)
	}
	parsed, err := proofs.ParseNote(note)
	var cp proofs.Checkpoint
	if err == nil {
		cp, err = proofs.ParseCheckpoint(parsed.Text)
	}
	if err != nil {
		return cp, fmt.Errorf("%w: the published checkpoint: %w", ErrDamaged, err)
	}
	return cp, nil
}

// auditPublished holds the ledger against the newest checkpoint that left it: it is newer
// than every anchor if all of them were restored to an older state.
func (n *Notary) auditPublished(ctx context.Context, published proofs.Checkpoint, head Head) error {
	if published.Size == 0 {
		return nil
	}
	if published.Size > head.Size {
		return contradiction("the ledger has %d entries, but %d are sealed in its published checkpoint: the ledger was rolled back", head.Size, published.Size)
	}
	root, err := proofs.RootAt(published.Size, n.storedTiles(ctx))
	if err != nil {
		return fmt.Errorf("root at size %d: %w", published.Size, err)
	}
	if root != published.Root {
		return contradiction("the ledger's root at size %d is %s, in its published checkpoint (ledger size %d) it is %s: the ledger is another history",
			published.Size, root, head.Size, published.Root)
	}
	return nil
}
