package proofs

import (
	"bytes"
	"errors"
	"testing"
)

func TestTileMarshalsItsHashes(t *testing.T) {
	_, leaves := numbered(TileWidth)
	for width := 1; width <= TileWidth; width++ {
		tile := NewTile(leaves[:width])
		data := tile.Marshal()
		again, err := ParseTile(data)
		if err != nil || again.Width() != width || !bytes.Equal(again.Marshal(), data) || len(data) != width*HashSize {
			t.Fatalf("width %d: %v", width, err)
		}
		if _, err := ParseTile(data[:len(data)-1]); !errors.Is(err, ErrMalformed) {
			t.Fatalf("width %d: a cut tile is read", width)
		}
	}
	for _, size := range []int{0, TileWidth*HashSize + HashSize} {
		if _, err := ParseTile(make([]byte, size)); !errors.Is(err, ErrMalformed) {
			t.Errorf("a tile of %d bytes is read", size)
		}
	}
}

func TestTileKeepsItsOwnHashes(t *testing.T) {
	_, leaves := numbered(4)
	tile := NewTile(leaves)
	want := tile.Marshal()
	leaves[0] = Hash{}
	if !bytes.Equal(tile.Marshal(), want) {
		t.Fatal("a tile changed with the slice it was made of")
	}
}

// A tile of a later size serves an earlier one: a tile only ever grows.
type widest struct{ *testLog }

func (w widest) ReadTile(level int, index uint64, width int) (*Tile, error) {
	all := w.levels[level][index*TileWidth:]
	return NewTile(all[:min(len(all), TileWidth)]), nil
}

func TestWiderTilesServeSmallerTrees(t *testing.T) {
	log, leaves := numbered(700)
	for _, n := range []uint64{1, 2, 255, 256, 257, 511, 512, 513, 699, 700} {
		root, err := RootAt(n, widest{log})
		if err != nil || root != rfcRoot(leaves[:n]) {
			t.Fatalf("size %d: %v", n, err)
		}
		for i := uint64(0); i < n; i += 13 {
			path, err := InclusionProof(i, n, widest{log})
			if err != nil || VerifyInclusion(path, i, n, leaves[i], root) != nil {
				t.Fatalf("index %d of %d: %v", i, n, err)
			}
		}
	}
}

// TestLevelTwoTiles crosses 2^16, where tiles of level 2 begin.
func TestLevelTwoTiles(t *testing.T) {
	const most = 1<<16 + 300
	log, leaves := numbered(most)
	for _, n := range []uint64{1<<16 - 1, 1 << 16, 1<<16 + 1, most} {
		root := log.checkpoint(n).Root
		if root != rfcRoot(leaves[:n]) {
			t.Fatalf("root of size %d", n)
		}
		for _, i := range []uint64{0, 255, 256, 1<<16 - 2, n - 1} {
			path, err := InclusionProof(i, n, log)
			if err != nil || VerifyInclusion(path, i, n, leaves[i], root) != nil {
				t.Fatalf("index %d of %d: %v", i, n, err)
			}
		}
		for _, m := range []uint64{1, 256, 300, 1<<16 - 1} {
			path, err := ConsistencyProof(m, n, log)
			if err != nil || VerifyConsistency(path, m, n, log.checkpoint(m).Root, root) != nil {
				t.Fatalf("%d to %d: %v", m, n, err)
			}
		}
	}
}

var errTile = errors.New("no tile")

// broken answers as a reader does that has lost its data.
type broken struct {
	tile *Tile
	err  error
}

func (b broken) ReadTile(int, uint64, int) (*Tile, error) { return b.tile, b.err }

// allTiles is a tree of any size whose hashes are all zero: it records what is asked.
type allTiles struct{ t *testing.T }

func (a allTiles) ReadTile(level int, index uint64, width int) (*Tile, error) {
	if level < 0 || level > 7 || width < 1 || width > TileWidth || index > MaxSize>>(8*level+8) {
		a.t.Fatalf("asked for tile %d of level %d, %d wide", index, level, width)
	}
	return NewTile(make([]Hash, width)), nil
}

func TestTilesOfCraftedSizes(t *testing.T) {
	sizes := []uint64{1, 255, 256, 257, 1<<32 - 1, 1 << 32, 1<<56 - 1, 1 << 56, 1<<62 + 12345, 1 << 62, MaxSize - 1, MaxSize}
	for _, n := range sizes {
		for _, i := range []uint64{0, n / 2, n / 3, n - 1} {
			if _, err := InclusionProof(i, n, allTiles{t}); err != nil {
				t.Errorf("InclusionProof(%d, %d): %v", i, n, err)
			}
			if _, err := ConsistencyProof(i, n, allTiles{t}); err != nil {
				t.Errorf("ConsistencyProof(%d, %d): %v", i, n, err)
			}
		}
		if _, err := RangeAt(n, allTiles{t}); err != nil {
			t.Errorf("RangeAt(%d): %v", n, err)
		}
		for name, reader := range map[string]broken{"error": {nil, errTile}, "nil": {}, "empty": {NewTile(nil), nil}} {
			if _, err := RootAt(n, reader); err == nil {
				t.Errorf("RootAt(%d) with %s: no error", n, name)
			}
			if _, err := RangeAt(n, reader); err == nil {
				t.Errorf("RangeAt(%d) with %s: no error", n, name)
			}
			if n == 1 {
				continue // the proofs of a tree of one leaf are empty
			}
			if p, err := InclusionProof(n/2, n, reader); err == nil || p != nil {
				t.Errorf("InclusionProof(%d) with %s: %d hashes, %v", n, name, len(p), err)
			}
			if p, err := ConsistencyProof(n/2, n, reader); err == nil || p != nil {
				t.Errorf("ConsistencyProof(%d) with %s: %d hashes, %v", n, name, len(p), err)
			}
		}
	}
	for _, n := range []uint64{MaxSize + 1, 1<<64 - 1} {
		if _, err := InclusionProof(0, n, allTiles{t}); err == nil {
			t.Errorf("an inclusion proof in %d leaves", n)
		}
		if _, err := ConsistencyProof(1, n, allTiles{t}); err == nil {
			t.Errorf("a consistency proof to %d leaves", n)
		}
		if _, err := RootAt(n, allTiles{t}); err == nil {
			t.Errorf("a root of %d leaves", n)
		}
		if _, err := RangeAt(n, allTiles{t}); err == nil {
			t.Errorf("a range of %d leaves", n)
		}
	}
	if _, err := InclusionProof(7, 7, allTiles{t}); err == nil {
		t.Error("a proof of an entry that is not there")
	}
	if _, err := ConsistencyProof(8, 7, allTiles{t}); err == nil {
		t.Error("a consistency proof backwards")
	}
}
