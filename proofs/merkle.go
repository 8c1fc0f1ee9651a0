package proofs

import (
	"fmt"
	"math"
	"math/bits"
)

// MaxSize is the largest tree size this package handles: other implementations
// hold sizes in signed 64-bit integers.
const MaxSize = math.MaxInt64

// maxProof is the longest inclusion or consistency proof of a tree of MaxSize.
const maxProof = 64

// VerifyInclusion checks that leaf is entry number index of the tree of the given
// size and root (RFC 9162 §2.1.3.2, which gives the algorithm for RFC 6962 proofs).
// A proof with a hash too many is as wrong as one with a hash too few.
func VerifyInclusion(path []Hash, index, size uint64, leaf, root Hash) error {
	if size > MaxSize || index >= size {
		return fmt.Errorf("index %d is not in a tree of size %d", index, size)
	}
	fn, sn, r := index, size-1, leaf
	for _, p := range path {
		if sn == 0 {
			return fmt.Errorf("inclusion proof of index %d in size %d has too many hashes", index, size)
		}
		if fn&1 == 1 || fn == sn {
			r = NodeHash(p, r)
			shift := bits.TrailingZeros64(fn)
			fn, sn = fn>>shift, sn>>shift
		} else {
			r = NodeHash(r, p)
		}
		fn, sn = fn>>1, sn>>1
	}
	if sn != 0 {
		return fmt.Errorf("inclusion proof of index %d in size %d has too few hashes", index, size)
	}
	if r != root {
		return fmt.Errorf("inclusion proof of index %d does not lead to the root of size %d", index, size)
	}
	return nil
}

// VerifyConsistency checks that the tree of oldSize and oldRoot is a prefix of the
// tree of newSize and newRoot (RFC 9162 §2.1.4.2). The proof is empty when the
// sizes are equal or oldSize is 0.
func VerifyConsistency(path []Hash, oldSize, newSize uint64, oldRoot, newRoot Hash) error {
	switch {
	case newSize > MaxSize || oldSize > newSize:
		return fmt.Errorf("size %d does not come before size %d", oldSize, newSize)
	case oldSize == 0 || oldSize == newSize:
		if len(path) != 0 {
			return fmt.Errorf("consistency proof from %d to %d has too many hashes", oldSize, newSize)
		}
		if oldSize == newSize && oldRoot != newRoot || oldSize == 0 && oldRoot != EmptyRoot {
			return fmt.Errorf("roots of size %d differ", oldSize)
		}
		return nil
	}
	// A power of two is a whole subtree of the newer tree: its root starts the walk
	// and is left out of the proof.
	if oldSize&(oldSize-1) == 0 {
		path = append([]Hash{oldRoot}, path...)
	}
	if len(path) == 0 {
		return fmt.Errorf("consistency proof from %d to %d has too few hashes", oldSize, newSize)
	}
	fn, sn := oldSize-1, newSize-1
	shift := bits.TrailingZeros64(^fn)
	fn, sn = fn>>shift, sn>>shift
	fr, sr := path[0], path[0]
	for _, c := range path[1:] {
		if sn == 0 {
			return fmt.Errorf("consistency proof from %d to %d has too many hashes", oldSize, newSize)
		}
		if fn&1 == 1 || fn == sn {
			fr, sr = NodeHash(c, fr), NodeHash(c, sr)
			for fn&1 == 0 && fn != 0 {
				fn, sn = fn>>1, sn>>1
			}
		} else {
			sr = NodeHash(sr, c)
		}
		fn, sn = fn>>1, sn>>1
	}
	if sn != 0 {
		return fmt.Errorf("consistency proof from %d to %d has too few hashes", oldSize, newSize)
	}
	if fr != oldRoot || sr != newRoot {
		return fmt.Errorf("size %d is not a prefix of size %d", oldSize, newSize)
	}
	return nil
}

// A Range is the frontier of a tree that grows by appending: the roots of its
// full subtrees, largest first. Its zero value is the empty tree.
type Range struct {
	size  uint64
	nodes []Hash
}

// RangeOf returns the frontier of a tree of that size from the roots of its full subtrees,
// largest first, or nil if a tree of that size has another number of them. That they
// are its own, their Root tells.
func RangeOf(size uint64, peaks []Hash) *Range {
	if size > MaxSize || bits.OnesCount64(size) != len(peaks) {
		return nil
	}
	return &Range{size: size, nodes: append([]Hash(nil), peaks...)}
}

// Peaks returns the roots of the full subtrees, largest first.
func (r *Range) Peaks() []Hash { return append([]Hash(nil), r.nodes...) }

// Size returns the number of leaves appended so far.
func (r *Range) Size() uint64 { return r.size }

// Append adds one leaf. It calls completed, unless that is nil, with the height
// and hash of every full subtree that the leaf completes, the leaf itself (height
// 0) first.
func (r *Range) Append(leaf Hash, completed func(height int, h Hash)) {
	h := leaf
	if completed != nil {
		completed(0, h)
	}
	for height := 1; r.size>>(height-1)&1 == 1; height++ {
		last := len(r.nodes) - 1
		h = NodeHash(r.nodes[last], h)
		r.nodes = r.nodes[:last]
		if completed != nil {
			completed(height, h)
		}
	}
	r.nodes = append(r.nodes, h)
	r.size++
}

// Root returns the root of the tree.
func (r *Range) Root() Hash {
	if r.size == 0 {
		return EmptyRoot
	}
	root := r.nodes[len(r.nodes)-1]
	for i := len(r.nodes) - 2; i >= 0; i-- {
		root = NodeHash(r.nodes[i], root)
	}
	return root
}

// Clone returns a Range that grows apart from r.
func (r *Range) Clone() *Range {
	return &Range{size: r.size, nodes: append([]Hash(nil), r.nodes...)}
}
