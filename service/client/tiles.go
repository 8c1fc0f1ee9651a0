package client

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"sync"

	"github.com/muniment/muniment/proofs"
)

// keptTiles is how many full tiles a reader keeps, 16 KiB each in memory.
const keptTiles = 256

// Tiles returns a reader of the log's tiles, for proofs.InclusionProof,
// proofs.ConsistencyProof and proofs.RootAt. It keeps the full tiles that were used
// last, is safe for concurrent use, and ends with ctx. What it reads is the server's
// word until a proof made of it leads to the root of a checkpoint that is believed.
func (c *Client) Tiles(ctx context.Context) proofs.TileReader {
	return &tiles{ctx: ctx, client: c, kept: map[tileName]*list.Element{}}
}

type tileName struct {
	level int
	index uint64
}

type keptTile struct {
	name tileName
	tile *proofs.Tile
}

type tiles struct {
	ctx    context.Context
	client *Client

	mu   sync.Mutex
	kept map[tileName]*list.Element
	used list.List // of keptTile, the last used first
}

// ReadTile implements proofs.TileReader.
func (t *tiles) ReadTile(level int, index uint64, width int) (*proofs.Tile, error) {
	name := tileName{level, index}
	if tile := t.recall(name); tile != nil {
		return tile, nil
	}
	if level < 0 || level > 63/proofs.TileHeight || width < 1 || width > proofs.TileWidth {
		return nil, fmt.Errorf("there is no tile %d of level %d with %d hashes", index, level, width)
	}
	data, got, err := t.client.piece(t.ctx, strconv.Itoa(level), index, width, proofs.HashSize)
	if err != nil {
		return nil, err
	}
	if len(data) != got*proofs.HashSize {
		return nil, fmt.Errorf("%w: a tile of %d bytes, not of %d hashes", ErrAnswer, len(data), got)
	}
	tile, err := proofs.ParseTile(data)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrAnswer, err)
	}
	if got == proofs.TileWidth {
		t.keep(name, tile)
	}
	return tile, nil
}

func (t *tiles) recall(name tileName) *proofs.Tile {
	t.mu.Lock()
	defer t.mu.Unlock()
	e, ok := t.kept[name]
	if !ok {
		return nil
	}
	t.used.MoveToFront(e)
	return e.Value.(keptTile).tile
}

func (t *tiles) keep(name tileName, tile *proofs.Tile) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, ok := t.kept[name]; ok {
		return
	}
	t.kept[name] = t.used.PushFront(keptTile{name, tile})
	if t.used.Len() > keptTiles {
		delete(t.kept, t.used.Remove(t.used.Back()).(keptTile).name)
	}
}

// piece fetches a tile or a bundle of entries, of which each item takes at most room
// bytes, and says how many items it has. Who serves the log need not keep a partial
// one once the full one is there (C2SP tlog-tiles).
func (c *Client) piece(ctx context.Context, level string, index uint64, width int, room int64) (data []byte, got int, err error) {
	data, err = c.get(ctx, call{
		method: http.MethodGet, path: tilePath(level, index, width), want: http.StatusOK, limit: int64(width) * room,
	})
	var p *Problem
	if width < proofs.TileWidth && errors.As(err, &p) && p.Status == http.StatusNotFound {
		if full, n, err := c.piece(ctx, level, index, proofs.TileWidth, room); err == nil {
			return full, n, nil
		}
	}
	return data, width, err
}

// tilePath is the path of a tile under the log (C2SP tlog-tiles).
func tilePath(level string, index uint64, width int) string {
	path := fmt.Sprintf("%03d", index%1000)
	for n := index / 1000; n > 0; n /= 1000 {
		path = fmt.Sprintf("x%03d/%s", n%1000, path)
	}
	if width < proofs.TileWidth {
		path += ".p/" + strconv.Itoa(width)
	}
	return "/log/tile/" + level + "/" + path
}
