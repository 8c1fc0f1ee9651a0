package notary

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/muniment/muniment/proofs"
)

// The log as anyone may read it (C2SP tlog-tiles). Only what a published checkpoint
// covers is shown.

// Checkpoint returns the newest published checkpoint, a signed note.
func (n *Notary) Checkpoint(ctx context.Context) ([]byte, error) {
	v, err := n.current(ctx)
	if err != nil {
		return nil, err
	}
	if v.size == 0 { // all that was published waits for the quorum of a new policy
		return nil, ErrQuorum
	}
	return v.note, nil
}

// Tile returns the bytes of a tile with that many hashes, 1 to 256.
func (n *Notary) Tile(ctx context.Context, level int, index uint64, width int) ([]byte, error) {
	if err := n.shown(ctx, level, index, width); err != nil {
		return nil, err
	}
	from := index * proofs.TileWidth
	hashes, err := n.config.Ledger.Hashes(ctx, level, from, from+uint64(width))
	if err != nil {
		return nil, n.unavailable(err)
	}
	out := make([]byte, 0, len(hashes)*proofs.HashSize)
	for _, h := range hashes {
		out = append(out, h[:]...)
	}
	return out, nil
}

// Entries returns an entry bundle with that many entries, 1 to 256: each a
// big-endian 16-bit length and the entry's bytes.
func (n *Notary) Entries(ctx context.Context, index uint64, width int) ([]byte, error) {
	if err := n.shown(ctx, 0, index, width); err != nil {
		return nil, err
	}
	from := index * proofs.TileWidth
	entries, err := n.config.Ledger.Entries(ctx, from, from+uint64(width))
	if err != nil {
		return nil, n.unavailable(err)
	}
	var out []byte
	for _, e := range entries {
		out = binary.BigEndian.AppendUint16(out, uint16(len(e)))
		out = append(out, e...)
	}
	return out, nil
}

// Inclusion is an inclusion proof (RFC 6962 §2.1.1).
type Inclusion struct {
	Leaf, Root proofs.Hash
	Path       []proofs.Hash
}

// InclusionProof proves the entry at index in the tree of that size, which must be
// published; else ErrNotFound.
func (n *Notary) InclusionProof(ctx context.Context, index, size uint64) (Inclusion, error) {
	v, err := n.reaching(ctx, size)
	if err != nil {
		return Inclusion{}, err
	}
	if size > v.size || index >= size {
		return Inclusion{}, ErrNotFound
	}
	var p Inclusion
	tiles := n.tiles.reader(ctx, v)
	leaves, err := n.config.Ledger.Hashes(ctx, 0, index, index+1)
	if err == nil {
		p.Leaf = leaves[0]
		p.Path, err = proofs.InclusionProof(index, size, tiles)
	}
	if err == nil {
		p.Root, err = proofs.RootAt(size, tiles)
	}
	if err != nil {
		return Inclusion{}, n.unavailable(err)
	}
	if err := proofs.VerifyInclusion(p.Path, index, size, p.Leaf, p.Root); err != nil {
		return Inclusion{}, n.wrongTiles("the inclusion proof of entry %d at size %d does not verify", index, size)
	}
	return p, nil
}

// Consistency is a consistency proof (RFC 6962 §2.1.2).
type Consistency struct {
	From, Root proofs.Hash // the roots of the older and of the newer tree
	Path       []proofs.Hash
}

// ConsistencyProof proves that the tree of size from, 1 or more, is the beginning of
// the tree of that size, which must be published; else ErrNotFound.
func (n *Notary) ConsistencyProof(ctx context.Context, from, size uint64) (Consistency, error) {
	v, err := n.reaching(ctx, size)
	if err != nil {
		return Consistency{}, err
	}
	if size > v.size || from < 1 || from > size {
		return Consistency{}, ErrNotFound
	}
	var p Consistency
	tiles := n.tiles.reader(ctx, v)
	p.Path, err = proofs.ConsistencyProof(from, size, tiles)
	if err == nil {
		p.From, err = proofs.RootAt(from, tiles)
	}
	if err == nil {
		p.Root, err = proofs.RootAt(size, tiles)
	}
	if err != nil {
		return Consistency{}, n.unavailable(err)
	}
	if err := proofs.VerifyConsistency(p.Path, from, size, p.From, p.Root); err != nil {
		return Consistency{}, n.wrongTiles("the consistency proof from size %d to %d does not verify", from, size)
	}
	return p, nil
}

// wrongTiles reports a proof that does not verify, and forgets the tiles it is from.
func (n *Notary) wrongTiles(format string, args ...any) error {
	n.tiles.drop()
	err := fmt.Errorf("%w: "+format, append([]any{ErrDamaged}, args...)...)
	n.ready.damaged(err)
	return err
}

// shown reports whether the published tree has that many hashes in the tile.
func (n *Notary) shown(ctx context.Context, level int, index uint64, width int) error {
	if level < 0 || level > 7 || width < 1 || width > proofs.TileWidth || index > proofs.MaxSize>>8 {
		return ErrNotFound
	}
	end := index*proofs.TileWidth + uint64(width)
	if end > proofs.MaxSize>>(level*proofs.TileHeight) {
		return ErrNotFound
	}
	v, err := n.reaching(ctx, end<<(level*proofs.TileHeight))
	if err != nil {
		return err
	}
	if end > v.size>>(level*proofs.TileHeight) {
		return ErrNotFound
	}
	return nil
}

// PublicReceipt returns the receipt of an entry whose record is public: genesis, a
// key or a fact sheet. Any other is ErrNotFound.
func (n *Notary) PublicReceipt(ctx context.Context, index uint64) (proofs.Receipt, error) {
	v, err := n.reaching(ctx, index+1)
	if err != nil {
		return proofs.Receipt{}, err
	}
	if index >= v.size {
		return proofs.Receipt{}, ErrNotFound
	}
	row, err := n.config.Ledger.Row(ctx, index)
	if err != nil {
		if errors.Is(err, ErrNotFound) {
			return proofs.Receipt{}, ErrNotFound
		}
		return proofs.Receipt{}, n.unavailable(err)
	}
	entry, err := proofs.ParseEntry(string(row.Entry))
	if err != nil || !entry.Kind.Public() {
		return proofs.Receipt{}, ErrNotFound
	}
	o, err := n.unseal(row)
	if err != nil {
		return proofs.Receipt{}, err
	}
	return n.prove(ctx, v, index, o.entry, o.disclosures)
}
