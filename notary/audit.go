package notary

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/muniment/muniment/proofs"
)

// contradictionError: two things that must agree do not. It is never retried.
type contradictionError struct{ what string }

func (e *contradictionError) Error() string { return e.what }

func contradiction(format string, args ...any) error {
	return &contradictionError{fmt.Sprintf(format, args...)}
}

// auditStart compares the ledger with every anchor before anything is accepted,
// and audits the right edge of the tree.
func (n *Notary) auditStart(ctx context.Context) (Head, error) {
	head, err := n.auditAnchors(ctx)
	if err != nil {
		return Head{}, err
	}
	now, err := n.config.Ledger.Now(ctx)
	if err != nil {
		return Head{}, fmt.Errorf("reading the clock: %w", err)
	}
	if gap := now.Sub(head.Time); gap > clockGap && !n.config.AcceptClock {
		return Head{}, fmt.Errorf("%w: it is %v past the newest entry of %s; if the clock is right, start with --accept-clock",
			ErrClock, gap.Round(1e9), proofs.FormatTime(head.Time))
	}
	n.clock.start(now)
	n.ready.commit(head.Size)
	return head, nil
}

// auditAnchors begins the sealer's state anew: what the anchors hold, each held against
// the ledger, whose right edge is audited.
func (n *Notary) auditAnchors(ctx context.Context) (Head, error) {
	n.sealer = sealer{doubt: make([][]byte, len(n.config.Anchors))}
	s := &n.sealer
	// In this order: another replica may publish and seal meanwhile, but never beyond what
	// is read afterwards.
	published, err := n.readPublished(ctx)
	if err != nil {
		return Head{}, err
	}
	for i, a := range n.config.Anchors {
		held, err := a.Load(ctx)
		if err != nil {
			return Head{}, n.anchorError(i, fmt.Errorf("reading it: %w", err))
		}
		s.anchored = append(s.anchored, held)
	}
	head, err := n.config.Ledger.Head(ctx)
	if err != nil {
		return Head{}, fmt.Errorf("reading the head: %w", err)
	}
	if head.Size == 0 {
		return Head{}, errors.New("the log has no genesis entry: it was never initialised")
	}
	for i := range s.anchored {
		if err := n.auditAnchor(ctx, i, head); err != nil {
			return Head{}, err
		}
	}
	if err := n.auditPublished(ctx, published, head); err != nil {
		return Head{}, err
	}
	n.reportLag(published.Size)
	if s.keys, err = n.keysAt(ctx, head.Size); err != nil {
		return Head{}, err
	}
	if err := n.auditTree(ctx, head); err != nil {
		return Head{}, err
	}
	return head, n.auditEdge(ctx, head)
}

// auditAnchor holds the ledger against what one anchor holds.
func (n *Notary) auditAnchor(ctx context.Context, i int, head Head) error {
	cp, err := proofs.ParseCheckpoint(string(n.sealer.anchored[i]))
	name := n.anchorName(i)
	switch {
	case err != nil:
		return contradiction("%s holds no checkpoint: %v", name, err)
	case cp.Origin != n.key.Name:
		return contradiction("%s is of the log %s, the policy of %s", name, cp.Origin, n.key.Name)
	case cp.Size > head.Size:
		return contradiction("the ledger has %d entries, but %d are sealed at %s: the ledger was rolled back; restore one with at least %d entries",
			head.Size, cp.Size, name, cp.Size)
	}
	n.registers[i].size.Store(cp.Size)
	root, err := proofs.RootAt(cp.Size, n.storedTiles(ctx))
	if err != nil {
		return fmt.Errorf("root at size %d: %w", cp.Size, err)
	}
	if root != cp.Root {
		return contradiction("the ledger's root at size %d is %s, sealed at %s (ledger size %d) is %s: the ledger is another history",
			cp.Size, root, name, head.Size, cp.Root)
	}
	if i == 0 || cp.Size > n.sealer.sealed.Size {
		n.sealer.sealed = cp
	}
	return nil
}

// auditEdge re-hashes what a crash or a flipped bit would hurt first: all that is
// not sealed yet, and the whole of the right-most tile.
func (n *Notary) auditEdge(ctx context.Context, head Head) error {
	from := min(n.sealer.sealed.Size, head.Size-1) / proofs.TileWidth * proofs.TileWidth
	root, err := proofs.RootAt(from, n.storedTiles(ctx))
	if err != nil {
		return fmt.Errorf("root at size %d: %w", from, err)
	}
	return n.auditGrowth(n.storedTiles(ctx),
		proofs.Checkpoint{Origin: n.key.Name, Size: from, Root: root},
		proofs.Checkpoint{Origin: n.key.Name, Size: head.Size, Root: head.Root})
}

// auditGrowth checks, from what is stored and by another way than the sequencer
// took, that the log grew from one checkpoint to the next: every new entry hashes
// to its stored leaf, every tile completed on the way hashes to its stored parent,
// the stored tiles give next's root by the definition of RFC 6962, and from is a
// prefix of next. Start-up, sealing and fsck are all this one function.
func (n *Notary) auditGrowth(stored *storedTiles, from, next proofs.Checkpoint) error {
	// First, so that the tiles of the right edge are read once, as wide as all need them.
	root, unread := proofs.RootAt(next.Size, stored)
	for lo := from.Size; lo < next.Size; {
		hi := min(next.Size, (lo/proofs.TileWidth+1)*proofs.TileWidth)
		leaves, err := stored.hashes(0, lo, hi)
		if err == nil {
			var keys bool
			keys, err = n.auditEntries(stored.ctx, lo, leaves)
			stored.keys = stored.keys || keys
		}
		if err != nil {
			return err
		}
		if hi%proofs.TileWidth == 0 {
			if err := auditParents(stored, hi); err != nil {
				return err
			}
		}
		lo = hi
	}
	if unread != nil {
		return unread
	}
	if root != next.Root {
		return contradiction("stored tiles give root %s at size %d, the head says %s", root, next.Size, next.Root)
	}
	path, err := proofs.ConsistencyProof(from.Size, next.Size, stored)
	if err != nil {
		return err
	}
	if err := proofs.VerifyConsistency(path, from.Size, next.Size, from.Root, next.Root); err != nil {
		return contradiction("%v", err)
	}
	return nil
}

// auditLeaves checks entries lo to hi, within one tile, against their leaf hashes.
func (n *Notary) auditLeaves(ctx context.Context, lo, hi uint64) error {
	leaves, err := n.config.Ledger.Hashes(ctx, 0, lo, hi)
	if err != nil {
		return fmt.Errorf("leaf hashes %d to %d: %w", lo, hi, err)
	}
	if uint64(len(leaves)) != hi-lo {
		return contradiction("leaf hashes %d to %d are not all there", lo, hi)
	}
	_, err = n.auditEntries(ctx, lo, leaves)
	return err
}

// auditEntries checks the entries from lo on against leaf hashes that are stored for them,
// and reports whether a key entry is among them.
func (n *Notary) auditEntries(ctx context.Context, lo uint64, leaves []proofs.Hash) (keys bool, err error) {
	hi := lo + uint64(len(leaves))
	entries, err := n.config.Ledger.Entries(ctx, lo, hi)
	if err != nil {
		return false, fmt.Errorf("entries %d to %d: %w", lo, hi, err)
	}
	if len(entries) != len(leaves) {
		return false, contradiction("entries %d to %d are not all there", lo, hi)
	}
	for i, e := range entries {
		if proofs.LeafHash(e) != leaves[i] {
			return false, contradiction("the bytes of entry %d do not hash to its stored leaf", lo+uint64(i))
		}
		keys = keys || bytes.HasPrefix(e, keyLine)
	}
	return keys, nil
}

// auditParents checks the tiles that end at size against the hashes stored for
// them one level up.
func auditParents(stored *storedTiles, size uint64) error {
	for level := 0; size%proofs.TileWidth == 0; level++ {
		size /= proofs.TileWidth // now: full tiles of this level, hashes of the next
		hashes, err := stored.hashes(level, (size-1)*proofs.TileWidth, size*proofs.TileWidth)
		if err != nil {
			return err
		}
		parent, err := stored.hashes(level+1, size-1, size)
		if err != nil {
			return err
		}
		if treeHash(hashes) != parent[0] {
			return contradiction("tile %d of level %d does not hash to its stored parent", size-1, level)
		}
	}
	return nil
}

// treeHash is MTH of RFC 6962 §2.1 over a full tile.
func treeHash(hashes []proofs.Hash) proofs.Hash {
	if len(hashes) == 1 {
		return hashes[0]
	}
	half := len(hashes) / 2
	return proofs.NodeHash(treeHash(hashes[:half]), treeHash(hashes[half:]))
}
