package proofs

import (
	"fmt"
	"math/bits"
)

const (
	// TileHeight is the number of tree levels in a tile (C2SP tlog-tiles).
	TileHeight = 8
	// TileWidth is the number of hashes in a full tile.
	TileWidth = 1 << TileHeight
)

// A Tile is a run of up to TileWidth consecutive hashes of one tile level, with
// the inner nodes over them worked out once, so that many proofs can share it.
// It is immutable.
type Tile struct {
	// nodes[h] holds the full subtrees of height h over the tile's hashes.
	nodes [TileHeight + 1][]Hash
}

// NewTile returns the tile over hashes, of which it keeps a copy.
func NewTile(hashes []Hash) *Tile {
	t := new(Tile)
	t.nodes[0] = append([]Hash(nil), hashes...)
	for h := 1; h <= TileHeight; h++ {
		below := t.nodes[h-1]
		row := make([]Hash, len(below)/2)
		for i := range row {
			row[i] = NodeHash(below[2*i], below[2*i+1])
		}
		t.nodes[h] = row
	}
	return t
}

// ParseTile reads what Marshal writes: 1 to TileWidth hashes, one after another.
func ParseTile(data []byte) (*Tile, error) {
	if len(data) == 0 || len(data) > TileWidth*HashSize || len(data)%HashSize != 0 {
		return nil, malformed("tile is not 1 to %d hashes of %d bytes", TileWidth, HashSize)
	}
	hashes := make([]Hash, len(data)/HashSize)
	for i := range hashes {
		hashes[i] = Hash(data[i*HashSize:])
	}
	return NewTile(hashes), nil
}

// Width returns the number of hashes in the tile.
func (t *Tile) Width() int { return len(t.nodes[0]) }

// Marshal returns the tile as tlog-tiles serves it: its hashes, one after another.
func (t *Tile) Marshal() []byte {
	out := make([]byte, 0, len(t.nodes[0])*HashSize)
	for _, h := range t.nodes[0] {
		out = append(out, h[:]...)
	}
	return out
}

// A TileReader gives the tiles of one log. Width is the number of hashes that the
// tile has in the tree in question; a reader may answer with a wider tile, since
// a tile only ever grows.
type TileReader interface {
	ReadTile(level int, index uint64, width int) (*Tile, error)
}

// tree reads nodes of the tree of one size through a TileReader.
type tree struct {
	size  uint64
	tiles TileReader
}

// node returns the root of the full subtree of the given height and index.
func (t tree) node(height int, index uint64) (Hash, error) {
	level, inner := height/TileHeight, height%TileHeight
	first := index << inner // among the hashes of the level
	tile := first / TileWidth
	width := min(t.size>>(level*TileHeight)-tile*TileWidth, TileWidth)
	r, err := t.tiles.ReadTile(level, tile, int(width))
	if err != nil {
		return Hash{}, err
	}
	if r == nil {
		return Hash{}, fmt.Errorf("tile %d of level %d is not there", tile, level)
	}
	row, i := r.nodes[inner], index&(TileWidth>>inner-1)
	if i >= uint64(len(row)) {
		return Hash{}, fmt.Errorf("tile %d of level %d is narrower than %d", tile, level, width)
	}
	return row[i], nil
}

// hash returns MTH(D[lo:hi]) of RFC 6962 §2.1, for a range that the tree's own
// division yields: lo is a multiple of the largest power of two in hi-lo.
func (t tree) hash(lo, hi uint64) (Hash, error) {
	n := hi - lo
	if n&(n-1) == 0 {
		height := bits.TrailingZeros64(n)
		return t.node(height, lo>>height)
	}
	k := split(n)
	left, err := t.hash(lo, lo+k)
	if err != nil {
		return Hash{}, err
	}
	right, err := t.hash(lo+k, hi)
	if err != nil {
		return Hash{}, err
	}
	return NodeHash(left, right), nil
}

// split returns the largest power of two below n (RFC 6962 §2.1), for n > 1.
func split(n uint64) uint64 {
	return 1 << (bits.Len64(n-1) - 1)
}

// path is PATH(index, D[lo:hi]) of RFC 6962 §2.1.1, appended to out.
func (t tree) path(out []Hash, index, lo, hi uint64) ([]Hash, error) {
	if hi-lo == 1 {
		return out, nil
	}
	mid := lo + split(hi-lo)
	near, far := [2]uint64{lo, mid}, [2]uint64{mid, hi}
	if index >= mid {
		near, far = far, near
	}
	out, err := t.path(out, index, near[0], near[1])
	if err != nil {
		return nil, err
	}
	h, err := t.hash(far[0], far[1])
	if err != nil {
		return nil, err
	}
	return append(out, h), nil
}

// subproof is SUBPROOF(oldSize, D[lo:hi], whole) of RFC 6962 §2.1.2, appended to
// out; oldSize counts from lo.
func (t tree) subproof(out []Hash, oldSize, lo, hi uint64, whole bool) ([]Hash, error) {
	if oldSize == hi-lo {
		if whole {
			return out, nil
		}
		h, err := t.hash(lo, hi)
		if err != nil {
			return nil, err
		}
		return append(out, h), nil
	}
	k := split(hi - lo)
	far := [2]uint64{lo + k, hi}
	var err error
	if oldSize <= k {
		out, err = t.subproof(out, oldSize, lo, lo+k, whole)
	} else {
		out, err = t.subproof(out, oldSize-k, lo+k, hi, false)
		far = [2]uint64{lo, lo + k}
	}
	if err != nil {
		return nil, err
	}
	h, err := t.hash(far[0], far[1])
	if err != nil {
		return nil, err
	}
	return append(out, h), nil
}

// InclusionProof returns the path of entry number index in the tree of the given size.
func InclusionProof(index, size uint64, tiles TileReader) ([]Hash, error) {
	if size > MaxSize || index >= size {
		return nil, fmt.Errorf("index %d is not in a tree of size %d", index, size)
	}
	return tree{size, tiles}.path(nil, index, 0, size)
}

// ConsistencyProof returns the proof that the tree of oldSize is a prefix of the
// tree of newSize; it is empty when oldSize is 0 or newSize.
func ConsistencyProof(oldSize, newSize uint64, tiles TileReader) ([]Hash, error) {
	if newSize > MaxSize || oldSize > newSize {
		return nil, fmt.Errorf("size %d does not come before size %d", oldSize, newSize)
	}
	if oldSize == 0 {
		return nil, nil
	}
	return tree{newSize, tiles}.subproof(nil, oldSize, 0, newSize, true)
}

// RootAt returns the root of the tree of the given size.
func RootAt(size uint64, tiles TileReader) (Hash, error) {
	switch {
	case size > MaxSize:
		return Hash{}, fmt.Errorf("size %d is larger than any tree", size)
	case size == 0:
		return EmptyRoot, nil
	}
	return tree{size, tiles}.hash(0, size)
}

// RangeAt returns the frontier of the tree of the given size.
func RangeAt(size uint64, tiles TileReader) (*Range, error) {
	if size > MaxSize {
		return nil, fmt.Errorf("size %d is larger than any tree", size)
	}
	r := &Range{size: size}
	for lo := uint64(0); lo < size; {
		height := bits.Len64(size-lo) - 1
		h, err := tree{size, tiles}.node(height, lo>>height)
		if err != nil {
			return nil, err
		}
		r.nodes = append(r.nodes, h)
		lo += 1 << height
	}
	return r, nil
}
