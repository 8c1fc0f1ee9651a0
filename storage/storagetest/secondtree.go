package storagetest

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/proofs"
)

// SecondTreeHarness is how the suite SecondTree reaches the driver under test.
type SecondTreeHarness struct {
	// New returns an empty tree of a log of its own. What it opens it closes by t.Cleanup.
	New func(t testing.TB) notary.SecondTree
	// Reopen opens the same tree as another process would.
	Reopen func(t testing.TB, s notary.SecondTree) notary.SecondTree
}

// SecondTree runs every sentence of the contract of notary.SecondTree against a driver.
func SecondTree(t *testing.T, h SecondTreeHarness) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, SecondTreeHarness)
	}{
		{"Grows", secondTreeGrows},
		{"Repeats", secondTreeRepeats},
		{"Disagrees", secondTreeDisagrees},
		{"Bounds", secondTreeBounds},
		{"TwoFeeders", secondTreeTwoFeeders},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, h) })
	}
}

// leafEntries are entries of a log, from <= i < to.
func leafEntries(from, to uint64) [][]byte {
	var entries [][]byte
	for i := from; i < to; i++ {
		entries = append(entries, fmt.Appendf(nil, "muniment/entry@v1\ndeposit\nentry %d\n", i))
	}
	return entries
}

// treeOf is what a tree of those entries holds.
func treeOf(entries [][]byte) notary.Tree {
	r := proofs.RangeOf(0, nil)
	for _, e := range entries {
		r.Append(proofs.LeafHash(e), nil)
	}
	return notary.Tree{Size: r.Size(), Root: r.Root()}
}

// holds checks head and leaves.
func holds(t *testing.T, s notary.SecondTree, entries [][]byte) {
	t.Helper()
	if head, err := s.Head(t.Context()); err != nil || head != treeOf(entries) {
		t.Errorf("head: %+v, %v, want %+v", head, err, treeOf(entries))
	}
	for from := 0; from < len(entries); from += 500 {
		to := min(from+500, len(entries))
		leaves, err := s.Leaves(t.Context(), uint64(from), uint64(to))
		if err != nil || len(leaves) != to-from {
			t.Fatalf("leaves %d to %d: %d, %v", from, to, len(leaves), err)
		}
		for i, leaf := range leaves {
			if leaf != proofs.LeafHash(entries[from+i]) {
				t.Errorf("leaf %d is another", from+i)
			}
		}
	}
}

func secondTreeGrows(t *testing.T, h SecondTreeHarness) {
	s := h.New(t)
	holds(t, s, nil)
	var all [][]byte
	for _, n := range []uint64{1, 1, 2, 250, 3, notary.MaxExtension, 1, 517} {
		from := uint64(len(all))
		all = append(all, leafEntries(from, from+n)...)
		if tree, err := s.Extend(t.Context(), from, all[from:]); err != nil || tree != treeOf(all) {
			t.Fatalf("extended by %d from %d: %+v, %v, want %+v", n, from, tree, err, treeOf(all))
		}
	}
	holds(t, s, all)
	holds(t, h.Reopen(t, s), all)
}

// secondTreeRepeats: what is given once more changes nothing, in whole and in part.
func secondTreeRepeats(t *testing.T, h SecondTreeHarness) {
	s := h.New(t)
	all := leafEntries(0, 300)
	for _, r := range [][2]uint64{{0, 100}, {0, 100}, {50, 150}, {0, 1}, {149, 150}, {140, 300}, {0, 300}, {299, 300}} {
		tree, err := s.Extend(t.Context(), r[0], all[r[0]:r[1]])
		if err != nil || tree.Size < r[1] {
			t.Fatalf("extend %v: %+v, %v", r, tree, err)
		}
	}
	holds(t, s, all)
}

// secondTreeDisagrees: an entry that is another than what the tree holds is named, and
// changes nothing.
func secondTreeDisagrees(t *testing.T, h SecondTreeHarness) {
	s := h.New(t)
	all := leafEntries(0, 20)
	_, err := s.Extend(t.Context(), 0, all)
	must(t, err)
	for _, at := range []int{0, 7, 19} {
		other := slices.Clone(all)
		other[at] = []byte("another entry")
		_, err := s.Extend(t.Context(), 0, append(other, leafEntries(20, 25)...))
		if !errors.Is(err, notary.ErrDisagree) {
			t.Errorf("entry %d is another: %v", at, err)
		}
	}
	holds(t, s, all)
}

func secondTreeBounds(t *testing.T, h SecondTreeHarness) {
	s := h.New(t)
	all := leafEntries(0, 10)
	for name, extend := range map[string]func() error{
		"nothing":  func() error { _, err := s.Extend(t.Context(), 0, nil); return err },
		"too many": func() error { _, err := s.Extend(t.Context(), 0, leafEntries(0, notary.MaxExtension+1)); return err },
		"a gap":    func() error { _, err := s.Extend(t.Context(), 1, all[1:]); return err },
	} {
		if err := extend(); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
	_, err := s.Extend(t.Context(), 0, all)
	must(t, err)
	_, err = s.Leaves(t.Context(), 5, 11)
	wantErr(t, "leaves beyond", err, notary.ErrNotFound)
	for _, r := range [][2]uint64{{3, 2}, {0, notary.MaxExtension + 1}} {
		if _, err := s.Leaves(t.Context(), r[0], r[1]); err == nil {
			t.Errorf("leaves %v are given", r)
		}
	}
	if leaves, err := s.Leaves(t.Context(), 3, 3); err != nil || len(leaves) != 0 {
		t.Errorf("no leaves: %v, %v", leaves, err)
	}
	holds(t, s, all)
}

// secondTreeTwoFeeders: two processes that feed the same entries at the same time destroy
// nothing. That one of them fails meanwhile is no harm; it is asked again.
func secondTreeTwoFeeders(t *testing.T, h SecondTreeHarness) {
	s := h.New(t)
	all := leafEntries(0, 600)
	var group sync.WaitGroup
	for f, feeder := range []notary.SecondTree{s, h.Reopen(t, s)} {
		step := uint64(20 + 3*f)
		group.Go(func() {
			for from, failed := uint64(0), 0; from < uint64(len(all)); {
				to := min(from+step, uint64(len(all)))
				tree, err := feeder.Extend(t.Context(), from, all[from:to])
				switch {
				case err != nil && failed < 200:
					failed++
				case err != nil:
					t.Errorf("from %d: %v", from, err)
					return
				case tree.Size < to:
					t.Errorf("extended to %d: %+v", to, tree)
					return
				default:
					from = to
				}
			}
		})
	}
	group.Wait()
	holds(t, s, all)
}
