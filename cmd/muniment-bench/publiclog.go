package main

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"sync"

	"github.com/muniment/muniment/proofs"
)

// publicLog reads a depository's log as any stranger may. It is safe for concurrent use.
type publicLog struct {
	addr   string
	policy proofs.Policy

	mu     sync.Mutex
	wire   *wire
	leaves map[uint64][]byte      // level 0, as served
	tiles  map[place]*proofs.Tile // parsed
}

type place struct {
	level int
	index uint64
	width int
}

// Bounds of what is remembered of a log: 32 MiB of leaves, 34 MiB of tiles.
const (
	maxLeafTiles = 4096
	maxTiles     = 2048
)

func newPublicLog(addr string, policy proofs.Policy) *publicLog {
	return &publicLog{addr: addr, policy: policy, wire: newWire(addr, patience), leaves: map[uint64][]byte{}, tiles: map[place]*proofs.Tile{}}
}

// get reads one file of the log. The lock is held.
func (l *publicLog) get(path string) ([]byte, error) {
	var a answer
	if err := l.wire.exchange([]byte("GET "+path+" HTTP/1.1\r\nHost: "+l.addr+"\r\n\r\n"), &a); err != nil {
		return nil, err
	}
	if a.status != http.StatusOK {
		return nil, fmt.Errorf("%s: %d %.200s", path, a.status, a.body)
	}
	return bytes.Clone(a.body), nil
}

// checkpoint reads the newest published checkpoint, and checks its signature.
func (l *publicLog) checkpoint() (proofs.Checkpoint, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	note, err := l.get("/log/checkpoint")
	if err != nil {
		return proofs.Checkpoint{}, err
	}
	return sealed(l.policy, note)
}

var errSeal = errors.New("a checkpoint that the policy's log has not signed")

// sealed is what a note says, if the policy's log signed it.
func sealed(policy proofs.Policy, file []byte) (proofs.Checkpoint, error) {
	note, err := proofs.ParseNote(file)
	if err != nil {
		return proofs.Checkpoint{}, err
	}
	cp, err := proofs.ParseCheckpoint(note.Text)
	if err != nil {
		return proofs.Checkpoint{}, err
	}
	for _, key := range policy.Logs {
		for _, s := range note.Signatures {
			if key.Type == proofs.TypeEd25519 && key.Name == cp.Origin && s.Name == key.Name && s.KeyID == key.ID &&
				ed25519.Verify(ed25519.PublicKey(key.Key), []byte(note.Text), s.Bytes) {
				return cp, nil
			}
		}
	}
	return proofs.Checkpoint{}, fmt.Errorf("%w: size %d of %s", errSeal, cp.Size, cp.Origin)
}

// tilePath is C2SP tlog-tiles' path of a tile.
func tilePath(p place) string {
	path := fmt.Sprintf("%03d", p.index%1000)
	for index := p.index / 1000; index > 0; index /= 1000 {
		path = fmt.Sprintf("x%03d/", index%1000) + path
	}
	if p.width < proofs.TileWidth {
		path += ".p/" + strconv.Itoa(p.width)
	}
	return "/log/tile/" + strconv.Itoa(p.level) + "/" + path
}

// ReadTile implements proofs.TileReader.
func (l *publicLog) ReadTile(level int, index uint64, width int) (*proofs.Tile, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	at := place{level, index, width}
	if t := l.tiles[at]; t != nil {
		return t, nil
	}
	data, err := l.get(tilePath(at))
	if err != nil {
		return nil, err
	}
	t, err := proofs.ParseTile(data)
	if err == nil {
		forget(l.tiles, maxTiles)
		l.tiles[at] = t
	}
	return t, err
}

// leaf reads the leaf hash at index of the tree of that size.
func (l *publicLog) leaf(index, size uint64) (proofs.Hash, error) {
	if index >= size {
		return proofs.Hash{}, fmt.Errorf("the log ends at %d", size)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	tile := index / proofs.TileWidth
	data := l.leaves[tile]
	if data == nil {
		var err error
		width := int(min(size-tile*proofs.TileWidth, proofs.TileWidth))
		if data, err = l.get(tilePath(place{0, tile, width})); err != nil {
			return proofs.Hash{}, err
		}
		if len(data) != width*proofs.HashSize {
			return proofs.Hash{}, fmt.Errorf("tile %d of the leaves has %d bytes, not %d hashes", tile, len(data), width)
		}
		forget(l.leaves, maxLeafTiles)
		l.leaves[tile] = data
	}
	at := index % proofs.TileWidth * proofs.HashSize
	if at >= uint64(len(data)) {
		return proofs.Hash{}, fmt.Errorf("tile %d of the leaves was narrower when it was read", tile)
	}
	return proofs.Hash(data[at:]), nil
}

// forget makes room in a memory of at most limit things.
func forget[K comparable, V any](memory map[K]V, limit int) {
	for k := range memory {
		if len(memory) < limit {
			return
		}
		delete(memory, k)
	}
}
