package notary

import (
	"context"
	"fmt"

	"github.com/muniment/muniment/proofs"
)

// FsckTree holds every leaf and the root of the second tree against the entries as they are
// stored, and adds what does not fit to the report that Fsck began. It changes nothing and
// needs no running Notary. progress, unless nil, is called with leaves done and in all.
func FsckTree(ctx context.Context, c Config, r *Report, progress func(done, total uint64)) error {
	n, err := prepare(c)
	if err != nil {
		return err
	}
	return n.FsckTree(ctx, r, progress)
}

// FsckTree is the function FsckTree on a running Notary: it covers what the second tree held
// when it began.
func (n *Notary) FsckTree(ctx context.Context, r *Report, progress func(done, total uint64)) error {
	if progress == nil {
		progress = func(uint64, uint64) {}
	}
	tree, err := n.config.SecondTree.Head(ctx)
	if err != nil {
		r.find("the second tree cannot be read: %v", err)
		return ctx.Err()
	}
	head, err := n.config.Ledger.Head(ctx) // read after the tree, which is never fed beyond it
	if err != nil {
		return fmt.Errorf("reading the head: %w", err)
	}
	if tree.Size > head.Size {
		r.find("the second tree has %d entries, the ledger only %d: the ledger was rolled back", tree.Size, head.Size)
	}
	total := min(tree.Size, head.Size)
	leaves := proofs.RangeOf(0, nil)
	for lo := uint64(0); lo < total; lo += MaxExtension {
		if err := ctx.Err(); err != nil {
			return err
		}
		hi := min(lo+MaxExtension, total)
		n.fsckLeaves(ctx, r, leaves, lo, hi)
		progress(hi, total)
	}
	if root, err := proofs.RootAt(total, n.storedTiles(ctx)); err != nil {
		r.find("root at size %d: %v", total, err)
	} else if total == tree.Size && root != tree.Root {
		r.find("the second tree has root %s at size %d, the ledger's is %s", tree.Root, total, root)
	}
	if total == tree.Size && leaves.Size() == total && leaves.Root() != tree.Root {
		r.find("the second tree has root %s at size %d, its own leaves give %s", tree.Root, total, leaves.Root())
	}
	return ctx.Err()
}

// fsckLeaves compares the leaves from lo to hi with the entries, and appends them to those
// before while all could be read.
func (n *Notary) fsckLeaves(ctx context.Context, r *Report, before *proofs.Range, lo, hi uint64) {
	theirs, err := n.config.SecondTree.Leaves(ctx, lo, hi)
	if err == nil && uint64(len(theirs)) != hi-lo {
		err = fmt.Errorf("%w: there are %d of them", ErrDamaged, len(theirs))
	}
	if err != nil && hi-lo > 1 && ctx.Err() == nil { // name each that is at fault
		for i := lo; i < hi; i++ {
			n.fsckLeaves(ctx, r, before, i, i+1)
		}
		return
	}
	if err != nil {
		r.find("leaf %d of the second tree cannot be read: %v", lo, err)
		return
	}
	if before.Size() == lo {
		for _, leaf := range theirs {
			before.Append(leaf, nil)
		}
	}
	entries, err := n.config.Ledger.Entries(ctx, lo, hi)
	if err == nil && uint64(len(entries)) != hi-lo {
		err = fmt.Errorf("%w: there are %d of them", ErrDamaged, len(entries))
	}
	if err != nil {
		r.find("entries %d to %d cannot be read: %v", lo, hi, err)
		return
	}
	for i := range entries {
		r.Leaves++
		if ours := proofs.LeafHash(entries[i]); ours != theirs[i] {
			r.find("the second tree has leaf %s at index %d, entry %d as it is stored hashes to %s", theirs[i], lo+uint64(i), lo+uint64(i), ours)
		}
	}
}
