package main

import (
	"math/bits"

	"github.com/muniment/muniment/proofs"
)

// A span is a subtree of the log: the entries below it, first and last, and its hash.
type span struct {
	First uint64 `json:"first"`
	Last  uint64 `json:"last"`
	Hash  string `json:"hash"`
}

// A step is one hash of a receipt's path, and what it makes with the one below.
type step struct {
	Sibling span `json:"sibling"`
	Left    bool `json:"left"` // the sibling stands to the left
	Node    span `json:"node"`
}

// A picture is the way from an entry to what was signed.
type picture struct {
	Leaf  span   `json:"leaf"`
	Steps []step `json:"steps"` // from the leaf up; the last makes the root
	Size  uint64 `json:"size"`
	Root  string `json:"root"`
}

// draw lays out the path of a receipt whose inclusion was verified.
func draw(r proofs.Receipt, e proofs.Evidence) *picture {
	p := &picture{Leaf: span{e.Index, e.Index, e.Leaf.String()}, Size: e.Size, Root: e.Root.String()}
	siblings := walk(e.Index, 0, e.Size)
	node := e.Leaf
	at := p.Leaf
	for i, s := range siblings {
		h := r.Path[i]
		left := s.First < at.First
		s.Hash = h.String()
		if left {
			node = proofs.NodeHash(h, node)
			at = span{s.First, at.Last, node.String()}
		} else {
			node = proofs.NodeHash(node, h)
			at = span{at.First, s.Last, node.String()}
		}
		p.Steps = append(p.Steps, step{s, left, at})
	}
	return p
}

// walk returns the subtrees beside the way to an entry, in the tree of size entries that
// begins with first, from the leaf up (RFC 6962 §2.1.1).
func walk(index, first, size uint64) []span {
	if size <= 1 {
		return nil
	}
	k := uint64(1) << (bits.Len64(size-1) - 1) // the largest power of two below size
	if index < k {
		return append(walk(index, first, k), span{First: first + k, Last: first + size - 1})
	}
	return append(walk(index-k, first+k, size-k), span{First: first, Last: first + k - 1})
}
