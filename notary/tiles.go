package notary

import (
	"container/list"
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/muniment/muniment/proofs"
)

// maxTiles bounds the tiles kept in memory; each takes 16 KiB.
const maxTiles = 2048

// tileCache reads tiles from the ledger and keeps the ones last used, with their
// inner nodes. A tile only ever grows, so a wider one serves for a narrower.
type tileCache struct {
	ledger Ledger

	mu    sync.Mutex
	used  *list.List // of *cachedTile, last used first
	tiles map[tileID]*list.Element

	hits, misses atomic.Uint64 // of readers
}

type tileID struct {
	level int
	index uint64
}

type cachedTile struct {
	id tileID
	// turn, of one place, is taken by who reads or loads the tile, so that the many
	// receipts of a round read its edge once. A channel, since who waits for a
	// ledger that hangs must be able to give up.
	turn chan struct{}
	tile *proofs.Tile
}

func newTileCache(l Ledger) *tileCache {
	return &tileCache{ledger: l, used: list.New(), tiles: map[tileID]*list.Element{}}
}

// reader returns the cache, behind the edge of a view, as a proofs.TileReader for one
// call.
func (c *tileCache) reader(ctx context.Context, v *view) proofs.TileReader {
	return tileReader{ctx, c, v.edge}
}

type tileReader struct {
	ctx   context.Context
	cache *tileCache
	edge  map[tileID]*proofs.Tile
}

// ReadTile implements proofs.TileReader.
func (r tileReader) ReadTile(level int, index uint64, width int) (*proofs.Tile, error) {
	if t := r.edge[tileID{level, index}]; t != nil && t.Width() >= width {
		r.cache.hits.Add(1)
		return t, nil
	}
	t := r.cache.slot(tileID{level, index})
	select {
	case t.turn <- struct{}{}:
		defer func() { <-t.turn }()
	case <-r.ctx.Done():
		return nil, r.ctx.Err()
	}
	if t.tile != nil && t.tile.Width() >= width {
		r.cache.hits.Add(1)
		return t.tile, nil
	}
	r.cache.misses.Add(1)
	from := index * proofs.TileWidth
	hashes, err := r.cache.ledger.Hashes(r.ctx, level, from, from+uint64(width))
	if err != nil {
		return nil, err
	}
	t.tile = proofs.NewTile(hashes)
	return t.tile, nil
}

// slot returns the place of a tile, new and empty if need be, and drops the one
// not used for longest.
func (c *tileCache) slot(id tileID) *cachedTile {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, ok := c.tiles[id]; ok {
		c.used.MoveToFront(e)
		return e.Value.(*cachedTile)
	}
	t := &cachedTile{id: id, turn: make(chan struct{}, 1)}
	c.tiles[id] = c.used.PushFront(t)
	if c.used.Len() > maxTiles {
		last := c.used.Back()
		delete(c.tiles, last.Value.(*cachedTile).id)
		c.used.Remove(last)
	}
	return t
}

// drop forgets every tile, after an error that leaves memory in doubt.
func (c *tileCache) drop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.used.Init()
	clear(c.tiles)
}

// keep takes over a tile that an audit has read, so that the receipts of the round
// need not read it again. It waits for no reader.
func (c *tileCache) keep(id tileID, tile *proofs.Tile) {
	t := c.slot(id)
	select {
	case t.turn <- struct{}{}:
		defer func() { <-t.turn }()
	default:
		return // someone reads it from the ledger, which may take its time
	}
	if t.tile == nil || t.tile.Width() < tile.Width() {
		t.tile = tile
	}
}

// storedTiles reads tiles from the ledger for one audit, each once: what an audit
// checks is what is stored, and not what another call was told before.
type storedTiles struct {
	ctx    context.Context
	ledger Ledger
	read   map[tileID]*proofs.Tile
	keys   bool // a key entry was met while entries were audited
}

func (n *Notary) storedTiles(ctx context.Context) *storedTiles {
	return &storedTiles{ctx: ctx, ledger: n.config.Ledger, read: map[tileID]*proofs.Tile{}}
}

// ReadTile implements proofs.TileReader.
func (r *storedTiles) ReadTile(level int, index uint64, width int) (*proofs.Tile, error) {
	id := tileID{level, index}
	if t := r.read[id]; t != nil && t.Width() >= width {
		return t, nil
	}
	from := index * proofs.TileWidth
	hashes, err := r.ledger.Hashes(r.ctx, level, from, from+uint64(width))
	if err != nil {
		return nil, err
	}
	t := proofs.NewTile(hashes)
	r.read[id] = t
	return t, nil
}

// hashes returns the hashes of a level from lo to hi, within one tile: the very bytes that
// the rest of the audit works with, read with it in one go.
func (r *storedTiles) hashes(level int, lo, hi uint64) ([]proofs.Hash, error) {
	first := lo / proofs.TileWidth * proofs.TileWidth
	tile, err := r.ReadTile(level, lo/proofs.TileWidth, int(hi-first))
	if err != nil {
		return nil, fmt.Errorf("hashes %d to %d of level %d: %w", lo, hi, level, err)
	}
	stored := tile.Marshal()
	if uint64(len(stored)) < (hi-first)*proofs.HashSize {
		return nil, contradiction("hashes %d to %d of level %d are not all there", lo, hi, level)
	}
	hashes := make([]proofs.Hash, hi-lo)
	for i := range hashes {
		hashes[i] = proofs.Hash(stored[(lo-first+uint64(i))*proofs.HashSize:])
	}
	return hashes, nil
}
