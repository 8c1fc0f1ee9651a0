package client

import (
	"context"
	"encoding/binary"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/muniment/muniment/proofs"
)

// maxEntry is the most bytes of one entry.
const maxEntry = 256

// Checkpoint returns the newest published checkpoint, a signed note, verbatim. With a
// verifier it satisfies that; without one it is a checkpoint, and nothing is known of
// who signed it. That an older one is a part of it, only Consistent tells.
func (c *Client) Checkpoint(ctx context.Context) ([]byte, error) {
	note, err := c.get(ctx, call{method: http.MethodGet, path: "/log/checkpoint", want: http.StatusOK, limit: maxCheckpoint})
	if err != nil {
		return nil, err
	}
	if _, err := readCheckpoint(note); err != nil {
		return nil, fmt.Errorf("%w: its checkpoint: %w", ErrAnswer, err)
	}
	if c.Verifier != nil {
		if _, outcome, reason := c.Verifier.Checkpoint(note); outcome != proofs.Verified {
			return nil, fmt.Errorf("%w: its checkpoint is %s: %s", ErrLog, outcome, reason)
		}
	}
	return note, nil
}

// Entry returns the entry at index of a log of that size. It is the server's word
// until Included has tied its leaf hash to a checkpoint.
func (c *Client) Entry(ctx context.Context, index, size uint64) (proofs.Entry, error) {
	if size > proofs.MaxSize || index >= size {
		return proofs.Entry{}, fmt.Errorf("index %d is not in a log of size %d", index, size)
	}
	bundle := index / proofs.TileWidth
	width := int(min(size-bundle*proofs.TileWidth, proofs.TileWidth))
	data, got, err := c.piece(ctx, "entries", bundle, width, 2+maxEntry)
	if err != nil {
		return proofs.Entry{}, err
	}
	entries, ok := unbundle(data)
	if !ok || len(entries) != got {
		return proofs.Entry{}, fmt.Errorf("%w: not a bundle of %d entries", ErrAnswer, got)
	}
	e, err := proofs.ParseEntry(entries[index%proofs.TileWidth])
	if err != nil {
		return proofs.Entry{}, fmt.Errorf("%w: entry %d: %w", ErrAnswer, index, err)
	}
	return e, nil
}

// unbundle takes a bundle apart: each entry has its length before it, in two bytes.
func unbundle(data []byte) (entries []string, ok bool) {
	for len(data) > 0 {
		if len(data) < 2 || len(data)-2 < int(binary.BigEndian.Uint16(data)) {
			return nil, false
		}
		end := 2 + int(binary.BigEndian.Uint16(data))
		entries = append(entries, string(data[2:end]))
		data = data[end:]
	}
	return entries, true
}

// Included checks that the leaf is the log's entry at index under a checkpoint that is
// believed. The proof is made of the server's tiles, and checked here; where it does not
// hold, the error wraps ErrLog.
func (c *Client) Included(ctx context.Context, leaf proofs.Hash, index uint64, in proofs.Checkpoint) error {
	path, err := proofs.InclusionProof(index, in.Size, c.Tiles(ctx))
	if err != nil {
		return err
	}
	if err := proofs.VerifyInclusion(path, index, in.Size, leaf, in.Root); err != nil {
		return fmt.Errorf("%w: %w", ErrLog, err)
	}
	return nil
}

// Consistent checks that the log of the newer checkpoint begins with that of the older
// one: since then, entries were appended and nothing else happened to it. Both must be
// believed already. The proof is made of the server's tiles, and checked here; where it
// does not hold, the error wraps ErrLog.
func (c *Client) Consistent(ctx context.Context, older, newer proofs.Checkpoint) error {
	switch {
	case older.Origin != newer.Origin:
		return fmt.Errorf("%w: the checkpoints are of two logs", ErrLog)
	case older.Size > newer.Size:
		return fmt.Errorf("%w: it shrank from %d entries to %d", ErrLog, older.Size, newer.Size)
	}
	path, err := proofs.ConsistencyProof(older.Size, newer.Size, c.Tiles(ctx))
	if err != nil {
		return err
	}
	if err := proofs.VerifyConsistency(path, older.Size, newer.Size, older.Root, newer.Root); err != nil {
		return fmt.Errorf("%w: %w", ErrLog, err)
	}
	return nil
}

// Facts returns the receipt of the fact sheet that is in force under the checkpoint of that
// size, under the newest for 0. It is the server's word until a verifier has judged it.
func (c *Client) Facts(ctx context.Context, size uint64) (proofs.Receipt, error) {
	query := url.Values{}
	if size > 0 {
		query.Set("size", strconv.FormatUint(size, 10))
	}
	data, err := c.get(ctx, call{method: http.MethodGet, path: "/log/facts", query: query, want: http.StatusOK, limit: proofs.MaxReceipt})
	if err != nil {
		return proofs.Receipt{}, err
	}
	r, err := proofs.ParseReceipt(data)
	if err != nil {
		return proofs.Receipt{}, fmt.Errorf("%w: %w", ErrAnswer, err)
	}
	if r.Entry.Kind != proofs.KindFacts || size > 0 && r.Index >= size {
		return proofs.Receipt{}, fmt.Errorf("%w: a receipt of another entry", ErrAnswer)
	}
	return r, nil
}

// PublicRecord returns the receipt of an entry whose record is public: genesis, a key or
// facts. It is the server's word until a verifier has judged it.
func (c *Client) PublicRecord(ctx context.Context, index uint64) (proofs.Receipt, error) {
	data, err := c.get(ctx, call{
		method: http.MethodGet, path: "/log/records/" + strconv.FormatUint(index, 10), want: http.StatusOK, limit: proofs.MaxReceipt,
	})
	if err != nil {
		return proofs.Receipt{}, err
	}
	r, err := proofs.ParseReceipt(data)
	if err != nil {
		return proofs.Receipt{}, fmt.Errorf("%w: %w", ErrAnswer, err)
	}
	if r.Index != index || !r.Entry.Kind.Public() {
		return proofs.Receipt{}, fmt.Errorf("%w: a receipt of another entry", ErrAnswer)
	}
	return r, nil
}
