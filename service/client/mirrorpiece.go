package client

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/muniment/muniment/proofs"
)

// maxBundled is the most bytes of an entry that a mirror takes: whatever a log signed is
// to be kept, and what is no entry of ours above all.
const maxBundled = 1 << 10

// fetchPiece returns a piece as the log serves it, cut to the width that was asked for.
func (c *Client) fetchPiece(ctx context.Context, p piece) ([]byte, error) {
	room := int64(proofs.HashSize)
	if p.level == entriesLevel {
		room = 2 + maxBundled
	}
	data, got, err := c.piece(ctx, p.name(), p.index, p.width, room)
	if err != nil {
		return nil, err
	}
	if full := (piece{p.level, p.index, got}); !full.whole(data) {
		return nil, fmt.Errorf("%w: it does not have %d items", ErrAnswer, got)
	}
	end, _ := p.end(data)
	return data[:end], nil
}

// whole reports whether data has the piece, and nothing behind it.
func (p piece) whole(data []byte) bool {
	end, ok := p.end(data)
	return ok && end == len(data)
}

// end is where the piece ends in data, which may go on: a tile only grows.
func (p piece) end(data []byte) (int, bool) {
	if p.level != entriesLevel {
		return p.width * proofs.HashSize, len(data)%proofs.HashSize == 0 && len(data) >= p.width*proofs.HashSize
	}
	end := 0
	for range p.width {
		if len(data)-end < 2 {
			return 0, false
		}
		if end += 2 + int(binary.BigEndian.Uint16(data[end:])); end > len(data) {
			return 0, false
		}
	}
	return end, true
}

// hashesOf reads a tile of whole hashes.
func hashesOf(data []byte) []proofs.Hash {
	out := make([]proofs.Hash, len(data)/proofs.HashSize)
	for i := range out {
		out[i] = proofs.Hash(data[i*proofs.HashSize:])
	}
	return out
}

func bytesOf(hashes []proofs.Hash) []byte {
	out := make([]byte, 0, len(hashes)*proofs.HashSize)
	for _, h := range hashes {
		out = append(out, h[:]...)
	}
	return out
}

// rootOf is the root over the hashes of a full tile.
func rootOf(hashes []proofs.Hash) proofs.Hash {
	row := append(make([]proofs.Hash, 0, proofs.TileWidth), hashes...)
	for len(row) > 1 {
		for i := range len(row) / 2 {
			row[i] = proofs.NodeHash(row[2*i], row[2*i+1])
		}
		row = row[:len(row)/2]
	}
	return row[0]
}

// checked is what the entries of a bundle say.
type checked struct {
	piece
	first, last time.Time // of the entries that are dated; zero: none is
	breaches    []Breach
	public      []uint64 // entries whose record is public
}

// checkBundle reads the entries of a bundle, and hashes them. What breaks the log's rules
// is noted, and hashed nevertheless: the root tells whether it stands in the log.
func checkBundle(p piece, data []byte) (checked, []proofs.Hash) {
	c := checked{piece: p}
	hashes := make([]proofs.Hash, 0, p.width)
	index := p.index * proofs.TileWidth
	for len(data) >= 2 {
		end := 2 + int(binary.BigEndian.Uint16(data))
		if end > len(data) {
			return c, nil
		}
		hashes = append(hashes, proofs.LeafHash(data[2:end]))
		c.entry(index, string(data[2:end]))
		data, index = data[end:], index+1
	}
	if len(data) > 0 {
		return c, nil
	}
	return c, hashes
}

func (c *checked) entry(index uint64, text string) {
	e, err := proofs.ParseEntry(text)
	if err != nil {
		c.breach(index, BreachMalformed)
		return
	}
	if (e.Kind == proofs.KindGenesis) != (index == 0) {
		c.breach(index, BreachGenesis)
	}
	if e.Time.Before(c.last) {
		c.breach(index, BreachTime)
	}
	if c.first.IsZero() {
		c.first = e.Time
	}
	c.last = e.Time
	if e.Kind.Public() {
		c.public = append(c.public, index)
	}
}

func (c *checked) breach(index uint64, rule BreachRule) {
	if len(c.breaches) < maxBreaches {
		c.breaches = append(c.breaches, Breach{index, rule})
	}
}
