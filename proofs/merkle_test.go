package proofs

import (
	"encoding/binary"
	"fmt"
	"os"
	"slices"
	"testing"
)

// torture says whether the exhaustive forms of the tests run: minutes, not seconds.
var torture = os.Getenv("MUNIMENT_TORTURE") == "1"

// sampleSizes are all tree sizes up to 256 under torture, and otherwise the ones
// around which proofs change shape.
func sampleSizes() []uint64 {
	var out []uint64
	for n := uint64(1); n <= 256; n++ {
		near := n&(n-1) == 0 || n&(n+1) == 0 || (n-1)&(n-2) == 0
		if torture || n <= 17 || near {
			out = append(out, n)
		}
	}
	return out
}

func numberedLeaf(n uint64) Hash {
	return LeafHash(binary.BigEndian.AppendUint64(nil, n))
}

// numbered is a log of n numbered leaves, with the plain hashes beside it.
func numbered(n uint64) (*testLog, []Hash) {
	l, leaves := &testLog{}, make([]Hash, n)
	for i := range leaves {
		leaves[i] = numberedLeaf(uint64(i))
		l.grow(leaves[i])
	}
	return l, leaves
}

// rfcRoot, rfcPath and rfcProof are RFC 6962 §2.1 word for word.
func rfcRoot(d []Hash) Hash {
	switch len(d) {
	case 0:
		return EmptyRoot
	case 1:
		return d[0]
	}
	k := rfcSplit(len(d))
	return NodeHash(rfcRoot(d[:k]), rfcRoot(d[k:]))
}

func rfcPath(m int, d []Hash) []Hash {
	if len(d) == 1 {
		return nil
	}
	k := rfcSplit(len(d))
	if m < k {
		return append(rfcPath(m, d[:k]), rfcRoot(d[k:]))
	}
	return append(rfcPath(m-k, d[k:]), rfcRoot(d[:k]))
}

func rfcProof(m int, d []Hash, b bool) []Hash {
	n := len(d)
	if m == n {
		if b {
			return nil
		}
		return []Hash{rfcRoot(d)}
	}
	k := rfcSplit(n)
	if m <= k {
		return append(rfcProof(m, d[:k], b), rfcRoot(d[k:]))
	}
	return append(rfcProof(m-k, d[k:], false), rfcRoot(d[:k]))
}

func rfcSplit(n int) int {
	k := 1
	for k*2 < n {
		k *= 2
	}
	return k
}

func TestProofsAreThoseOfRFC6962(t *testing.T) {
	const most = 300
	log, leaves := numbered(most)
	var grown Range
	for n := uint64(0); n <= most; n++ {
		want := rfcRoot(leaves[:n])
		at, err := RangeAt(n, log)
		if err != nil {
			t.Fatal(err)
		}
		root, err := RootAt(n, log)
		if err != nil || root != want || grown.Root() != want || at.Root() != want || at.Size() != n {
			t.Fatalf("size %d: RootAt %v (%v), Range %v, RangeAt %v, want %v", n, root, err, grown.Root(), at.Root(), want)
		}
		for i := uint64(0); i < n; i++ {
			path, err := InclusionProof(i, n, log)
			if err != nil || n < 80 && !slices.Equal(path, rfcPath(int(i), leaves[:n])) {
				t.Fatalf("inclusion proof of %d in %d differs from RFC 6962 (%v)", i, n, err)
			}
			if err := VerifyInclusion(path, i, n, leaves[i], want); err != nil {
				t.Fatal(err)
			}
		}
		if n < most {
			grown.Append(leaves[n], nil)
		}
	}
}

func TestConsistencyProofsAreThoseOfRFC6962(t *testing.T) {
	log, leaves := numbered(300)
	roots := make([]Hash, len(leaves)+1)
	for n := range roots {
		roots[n] = rfcRoot(leaves[:n])
	}
	for n := range roots {
		for m := 0; m <= n; m++ {
			path, err := ConsistencyProof(uint64(m), uint64(n), log)
			if err != nil || m > 0 && n < 80 && !slices.Equal(path, rfcProof(m, leaves[:n], true)) {
				t.Fatalf("consistency proof %d to %d differs from RFC 6962 (%v)", m, n, err)
			}
			if err := VerifyConsistency(path, uint64(m), uint64(n), roots[m], roots[n]); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestRangeClone: a clone and its original grow apart, even where they share room.
func TestRangeClone(t *testing.T) {
	var r Range
	for i := uint64(0); i < 6; i++ {
		r.Append(numberedLeaf(i), nil)
	}
	before, c := r.Root(), r.Clone()
	c.Append(numberedLeaf(100), nil)
	c.Append(numberedLeaf(101), nil)
	if r.Root() != before || r.Size() != 6 || c.Size() != 8 {
		t.Fatal("appending to a clone changed the original")
	}
	r.Append(numberedLeaf(6), nil)
	if r.Root() == c.Root() {
		t.Fatal("two different trees have one root")
	}
}

func TestRangeTellsCompletedSubtrees(t *testing.T) {
	_, leaves := numbered(256)
	var r Range
	for i, leaf := range leaves {
		next := 0
		r.Append(leaf, func(height int, h Hash) {
			if height != next || h != rfcRoot(leaves[i+1-(1<<height):i+1]) {
				t.Fatalf("leaf %d completed height %d with another hash", i, height)
			}
			next++
		})
		if (i+1)%(1<<(next-1)) != 0 || (i+1)%(1<<next) == 0 {
			t.Fatalf("leaf %d completed %d subtrees", i, next)
		}
	}
}

// An attempt is a wrong claim about a tree, made from a right one.
type attempt struct {
	path       []Hash
	index      uint64
	size       uint64
	leaf, root Hash
}

// flipBits calls try with p, each of whose hashes has in turn one bit flipped.
func flipBits(p []Hash, try func([]Hash)) {
	bits := []int{0, 7, 128, 255}
	if torture {
		bits = bits[:0]
		for b := 0; b < 256; b += 17 {
			bits = append(bits, b)
		}
	}
	for i := range p {
		for _, b := range bits {
			changed := slices.Clone(p)
			changed[i][b/8] ^= 1 << (b % 8)
			try(changed)
		}
	}
}

// rearrange calls try with p shortened, lengthened and put in another order.
func rearrange(p []Hash, strangers []Hash, try func([]Hash)) {
	for i := range p {
		try(slices.Delete(slices.Clone(p), i, i+1))
		try(slices.Insert(slices.Clone(p), i, p[i]))
		for j := range i {
			swapped := slices.Clone(p)
			swapped[i], swapped[j] = p[j], p[i]
			try(swapped)
		}
	}
	for _, h := range strangers {
		for i := range len(p) + 1 {
			try(slices.Insert(slices.Clone(p), i, h))
		}
	}
	if len(p) > 0 {
		try(nil)
		try(append(slices.Clone(p), p...))
	}
}

// TestTamperedInclusionIsRefused is I17 over whole trees.
func TestTamperedInclusionIsRefused(t *testing.T) {
	log, leaves := numbered(257)
	attempts, accepted := 0, 0
	for _, n := range sampleSizes() {
		root := log.checkpoint(n).Root
		for i := uint64(0); i < n; i++ {
			path, _ := InclusionProof(i, n, log)
			try := func(a attempt) {
				attempts++
				if VerifyInclusion(a.path, a.index, a.size, a.leaf, a.root) == nil {
					accepted++
					t.Errorf("accepted: index %d of %d as index %d of %d with %d hashes", i, n, a.index, a.size, len(a.path))
				}
			}
			leaf := leaves[i]
			withPath := func(p []Hash) { try(attempt{p, i, n, leaf, root}) }
			flipBits(path, withPath)
			rearrange(path, []Hash{leaf, root, EmptyRoot, {}}, withPath)
			flipBits([]Hash{leaf, root}, func(h []Hash) { try(attempt{path, i, n, h[0], h[1]}) })
			if n > 1 {
				try(attempt{path, i, n, root, leaf})
			}
			// A node is no leaf: the path without its first hash, from the node above.
			if len(path) > 0 {
				above := NodeHash(leaf, path[0])
				if i&1 == 1 {
					above = NodeHash(path[0], leaf)
				}
				try(attempt{path[1:], i, n, above, root})
				try(attempt{path, i, n, path[0], root})
				swapped := slices.Clone(path)
				swapped[0] = leaf
				try(attempt{swapped, i, n, path[0], root})
			}
			for j := uint64(0); j < n; j++ {
				if j != i && (torture || j+2 > i && j < i+3 || j^i == 1) {
					try(attempt{path, j, n, leaf, root})
					try(attempt{path, i, n, leaves[j], root})
				}
			}
			for _, size := range []uint64{0, i, MaxSize + 1, 1<<64 - 1} {
				try(attempt{path, i, size, leaf, root})
			}
			try(attempt{path, i, n, leaf, EmptyRoot})
			try(attempt{path, i, n, leaf, log.checkpoint(n + 1).Root})
		}
	}
	t.Logf("%d attempts, %d accepted", attempts, accepted)
}

// TestSizeIsBoundToTheRoot: a path alone does not say how large its tree is, since
// one leaf's path can have the same shape in two sizes. But size and root are signed
// together, and no path fits two pairs of them.
func TestSizeIsBoundToTheRoot(t *testing.T) {
	log, leaves := numbered(64)
	for n := uint64(1); n <= 64; n++ {
		for i := uint64(0); i < n; i++ {
			path, _ := InclusionProof(i, n, log)
			for m := uint64(1); m <= 64; m++ {
				if m != n && VerifyInclusion(path, i, m, leaves[i], log.checkpoint(m).Root) == nil {
					t.Fatalf("the path of %d in %d is accepted in %d", i, n, m)
				}
			}
		}
	}
}

// TestTamperedConsistencyIsRefused is I17 for consistency proofs.
func TestTamperedConsistencyIsRefused(t *testing.T) {
	log, _ := numbered(258)
	roots := make([]Hash, 259)
	for n := range roots {
		roots[n] = log.checkpoint(uint64(n)).Root
	}
	attempts := 0
	sizes := sampleSizes()
	if !torture {
		sizes = slices.DeleteFunc(sizes, func(n uint64) bool { return n > 66 })
	}
	for _, n := range sizes {
		for m := uint64(1); m <= n; m++ {
			path, _ := ConsistencyProof(m, n, log)
			try := func(what string, p []Hash, m2, n2 uint64, old, new Hash) {
				attempts++
				if VerifyConsistency(p, m2, n2, old, new) == nil {
					t.Errorf("accepted: %s: %d to %d as %d to %d with %d hashes", what, m, n, m2, n2, len(p))
				}
			}
			withPath := func(p []Hash) { try("path", p, m, n, roots[m], roots[n]) }
			flipBits(path, withPath)
			rearrange(path, []Hash{roots[m], roots[n], EmptyRoot}, withPath)
			flipBits([]Hash{roots[m], roots[n]}, func(h []Hash) { try("roots", path, m, n, h[0], h[1]) })
			if m != n {
				try("roots swapped", path, m, n, roots[n], roots[m])
				try("sizes swapped", path, n, m, roots[n], roots[m])
			}
			try("old+1", path, m+1, n, roots[m], roots[n])
			try("new+1", path, m, n+1, roots[m], roots[n+1])
			try("old-1", path, m-1, n, roots[m], roots[n])
			try("empty old", path, 0, n, roots[m], roots[n])
			try("size past the maximum", path, m, MaxSize+1, roots[m], roots[n])
			try("size past the maximum", path, m, 1<<64-1, roots[m], roots[n])
		}
	}
	t.Logf("%d attempts", attempts)
}

// TestCVE_2026_56865_ProofWithUnnecessaryHashes: x/mod's sumdb accepted proofs with
// hashes that no step used.
func TestCVE_2026_56865_ProofWithUnnecessaryHashes(t *testing.T) {
	log, leaves := numbered(9)
	cp := log.checkpoint(9)
	for i := uint64(0); i < 9; i++ {
		path, _ := InclusionProof(i, 9, log)
		for extra := 1; extra < 70; extra++ {
			path = append(path, Hash{})
			if VerifyInclusion(path, i, 9, leaves[i], cp.Root) == nil {
				t.Fatalf("index %d: %d hashes too many are accepted", i, extra)
			}
		}
	}
	for m := uint64(0); m <= 9; m++ {
		path, _ := ConsistencyProof(m, 9, log)
		if VerifyConsistency(append(path, Hash{}), m, 9, log.checkpoint(m).Root, cp.Root) == nil {
			t.Fatalf("a hash too many is accepted from %d", m)
		}
	}
}

// TestCVE_2022_36111_ConsistencyIsCheckedAgainstBothRoots: immudb's client took a
// proof that led to one of the two states only.
func TestCVE_2022_36111_ConsistencyIsCheckedAgainstBothRoots(t *testing.T) {
	log, leaves := numbered(12)
	forked := &testLog{}
	for i, leaf := range leaves {
		if i == 3 {
			leaf = numberedLeaf(1000)
		}
		forked.grow(leaf)
	}
	for m := uint64(4); m < 12; m++ {
		ours, _ := ConsistencyProof(m, 12, log)
		theirs, _ := ConsistencyProof(m, 12, forked)
		for _, p := range [][]Hash{ours, theirs} {
			if VerifyConsistency(p, m, 12, log.checkpoint(m).Root, forked.checkpoint(12).Root) == nil ||
				VerifyConsistency(p, m, 12, forked.checkpoint(m).Root, log.checkpoint(12).Root) == nil {
				t.Fatalf("a fork at entry 3 is hidden by a proof from %d", m)
			}
		}
	}
}

func TestMerkleErrorsNameTheNumbers(t *testing.T) {
	for _, err := range []error{
		VerifyInclusion(nil, 5, 5, Hash{}, Hash{}),
		VerifyInclusion(nil, 1, 2, Hash{}, Hash{}),
		VerifyConsistency(nil, 3, 2, Hash{}, Hash{}),
		VerifyConsistency(nil, 1, 2, Hash{}, Hash{}),
	} {
		if err == nil || fmt.Sprint(err) == "" {
			t.Error("no error")
		}
	}
	if VerifyConsistency(nil, 0, 7, EmptyRoot, Hash{1}) != nil {
		t.Error("the empty tree is a prefix of every tree")
	}
	if VerifyConsistency(nil, 0, 7, Hash{1}, Hash{1}) == nil {
		t.Error("an empty tree has a root other than the empty one")
	}
}
