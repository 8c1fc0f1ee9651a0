package notarytest

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/proofs"
)

// SecondTree is a notary.SecondTree in memory. Several notaries may share it.
type SecondTree struct {
	Faults *Faults

	mu     sync.Mutex
	leaves []proofs.Hash
	gone   bool         // there is no tree
	lie    *proofs.Hash // that Head and Extend tell in place of the root
	behind uint64       // entries it was given and has not integrated: it says that it has fewer
}

// NewSecondTree returns an empty tree.
func NewSecondTree() *SecondTree {
	return &SecondTree{Faults: &Faults{names: []string{"TreeHead", "Extend", "Leaves"}}}
}

// Snapshot returns a copy of the leaves: a backup.
func (s *SecondTree) Snapshot() []proofs.Hash {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.leaves)
}

// Restore puts a copy of leaves in their place.
func (s *SecondTree) Restore(leaves []proofs.Hash) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.leaves, s.gone, s.lie, s.behind = slices.Clone(leaves), false, nil, 0
}

// Drop takes the tree away.
func (s *SecondTree) Drop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.leaves, s.gone = nil, true
}

// Lie has the tree tell that root, whatever it holds, until Restore.
func (s *SecondTree) Lie(root proofs.Hash) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lie = &root
}

// Lag has the tree answer as if it had not integrated its last entries, that many.
func (s *SecondTree) Lag(entries uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.behind = entries
}

var errNoTree = fmt.Errorf("there is no tree of this log: %w", notary.ErrNotFound)

// tree is what it says that it holds. The mutex is held.
func (s *SecondTree) tree() notary.Tree {
	r := proofs.RangeOf(0, nil)
	for _, leaf := range s.leaves[:len(s.leaves)-int(s.behind)] {
		r.Append(leaf, nil)
	}
	t := notary.Tree{Size: r.Size(), Root: r.Root()}
	if s.lie != nil {
		t.Root = *s.lie
	}
	return t
}

// Head implements notary.SecondTree.
func (s *SecondTree) Head(ctx context.Context) (t notary.Tree, err error) {
	err = s.Faults.call(ctx, "TreeHead", func() error {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.gone {
			return errNoTree
		}
		t = s.tree()
		return nil
	})
	return t, err
}

// Extend implements notary.SecondTree.
func (s *SecondTree) Extend(ctx context.Context, from uint64, entries [][]byte) (t notary.Tree, err error) {
	err = s.Faults.call(ctx, "Extend", func() error {
		s.mu.Lock()
		defer s.mu.Unlock()
		switch {
		case s.gone:
			return errNoTree
		case len(entries) == 0 || len(entries) > notary.MaxExtension:
			return fmt.Errorf("1 to %d entries may be added, not %d", notary.MaxExtension, len(entries))
		case from > uint64(len(s.leaves)):
			return fmt.Errorf("it has %d entries, and was given those from %d on", len(s.leaves), from)
		}
		leaves := s.leaves
		for i, e := range entries {
			index, leaf := from+uint64(i), proofs.LeafHash(e)
			if index == uint64(len(leaves)) {
				leaves = append(leaves, leaf)
			} else if leaves[index] != leaf {
				return fmt.Errorf("%w: %d", notary.ErrDisagree, index)
			}
		}
		s.leaves = leaves
		t = s.tree()
		return nil
	})
	if err != nil {
		return notary.Tree{}, err
	}
	return t, nil
}

// Leaves implements notary.SecondTree.
func (s *SecondTree) Leaves(ctx context.Context, from, to uint64) (leaves []proofs.Hash, err error) {
	err = s.Faults.call(ctx, "Leaves", func() error {
		s.mu.Lock()
		defer s.mu.Unlock()
		switch {
		case s.gone:
			return errNoTree
		case from > to || to-from > notary.MaxExtension:
			return fmt.Errorf("leaves %d to %d are no range of at most %d", from, to, notary.MaxExtension)
		case to > uint64(len(s.leaves)):
			return fmt.Errorf("leaves %d to %d of %d: %w", from, to, len(s.leaves), notary.ErrNotFound)
		}
		leaves = slices.Clone(s.leaves[from:to])
		return nil
	})
	return leaves, err
}
