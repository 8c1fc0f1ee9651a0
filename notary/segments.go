package notary

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/muniment/muniment/proofs"
)

// Before an anchor moves, what the seal covers is stored a second time, away from the
// ledger, so that whatever an anchor names can be built again (recover.go).

// segment begins to store what is not sealed yet up to next, beside the audit, and returns
// a function that waits until it is durable. That must be called.
func (n *Notary) segment(ctx context.Context, next proofs.Checkpoint) (stored func() error) {
	sealed := n.sealer.sealed
	if n.config.Segments == nil || next.Size <= sealed.Size {
		return func() error { return nil }
	}
	done := make(chan error, 1)
	go func() {
		defer n.metrics.since(stageSegment, time.Now())
		done <- n.segmentGrowth(ctx, sealed, next)
	}()
	return func() error {
		if err := <-done; err != nil {
			return fmt.Errorf("storing entries %d to %d a second time: %w", sealed.Size, next.Size, err)
		}
		return nil
	}
}

// segmentGrowth stores the rows from one state of the log to the next.
func (n *Notary) segmentGrowth(ctx context.Context, from, next proofs.Checkpoint) error {
	edge := n.segmented
	if edge == nil || edge.Size() != from.Size || edge.Root() != from.Root {
		var err error
		if edge, err = proofs.RangeAt(from.Size, n.storedTiles(ctx)); err != nil {
			return err
		}
		if edge.Root() != from.Root {
			return contradiction("stored tiles give root %s at size %d, sealed is %s", edge.Root(), from.Size, from.Root)
		}
	}
	for {
		begin, before := edge, n.halfway
		if before != nil && before.from == from && before.edge.Size() < next.Size {
			begin = before.edge
		}
		end, remembered, err := n.putRange(ctx, begin, next.Size, func(e *proofs.Range) { n.halfway = &halfway{from, e} })
		if err != nil {
			return err
		}
		n.halfway = nil
		if end.Root() == next.Root {
			n.segmented = end
			return nil
		}
		// A database that lost what it had committed may have put other rows in its place.
		if n.recent.drop(); !remembered && begin == edge {
			return contradiction("the rows give root %s at size %d, the head says %s", end.Root(), next.Size, next.Root)
		}
	}
}

// halfway is how far the rows after a sealed state are stored, so that more of them than a
// slow store takes in one round need not be begun anew.
type halfway struct {
	from proofs.Checkpoint
	edge *proofs.Range
}

// putRange stores the rows from edge on up to a size, in as many segments as it takes,
// tells after each how far it has come, and returns the edge there, and whether any row was
// remembered and not read.
func (n *Notary) putRange(ctx context.Context, edge *proofs.Range, to uint64, came func(*proofs.Range)) (end *proofs.Range, remembered bool, err error) {
	edge = edge.Clone()
	part := part{begin: SegmentName{Origin: n.key.Name, From: edge.Size(), Begin: edge.Root()}}
	for at := edge.Size(); at < to; {
		rows, gap := n.recent.take(at, to)
		if remembered = remembered || rows != nil; rows == nil {
			if rows, err = n.readMarked(ctx, at, min(at+1024, gap)); err != nil {
				return nil, false, err
			}
		}
		for i := range rows {
			edge.Append(proofs.LeafHash(rows[i].Entry), nil)
			part.add(rows[i])
			if part.full() || edge.Size() == to {
				name := part.begin
				name.To, name.End = edge.Size(), edge.Root()
				segment, keys := encodeSegment(name, part.rows)
				if err := n.putSegment(ctx, name, part.rows, segment, keys); err != nil {
					return nil, false, err
				}
				part.begin.From, part.begin.Begin = name.To, name.End
				part.rows, part.bytes = part.rows[:0], 0
				came(edge.Clone())
			}
		}
		at += uint64(len(rows))
	}
	return edge, remembered, nil
}

// putSegment stores a segment. One of its name that is there is as good if it has the same
// rows: which operations they belong to the sealer that stored it may have known better, or
// not at all, by the tenants' keys that it had.
func (n *Notary) putSegment(ctx context.Context, name SegmentName, rows []segmentRow, segment, keys []byte) error {
	err := n.config.Segments.Put(ctx, name, segment, keys)
	if !errors.Is(err, ErrDamaged) {
		return err
	}
	there, _, unread := n.config.Segments.Load(ctx, name)
	if unread != nil {
		return errors.Join(err, unread)
	}
	stored, bad := decodeSegment(name, there)
	if bad != nil {
		return errors.Join(err, bad)
	}
	for i := range rows {
		if !sameSealed(stored[i].Row, rows[i].Row) {
			return err
		}
	}
	return n.config.Segments.Put(ctx, name, there, keys) // the keys may be missing
}

// readMarked reads rows from where they are stored.
func (n *Notary) readMarked(ctx context.Context, from, to uint64) ([]segmentRow, error) {
	rows, err := n.config.Ledger.Rows(ctx, from, to)
	if err != nil {
		return nil, err
	}
	out := make([]segmentRow, len(rows))
	for i := range rows {
		out[i] = n.marked(rows[i])
	}
	return out, nil
}

// part is a segment that is being filled.
type part struct {
	begin SegmentName
	rows  []segmentRow
	bytes int
}

func (p *part) add(r segmentRow) {
	p.rows = append(p.rows, r)
	p.bytes += len(r.Entry) + len(r.Body) + len(r.Secrets) + 128
}

func (p *part) full() bool { return len(p.rows) == maxSegmentRows || p.bytes >= maxSegmentBytes }

// marked tells of a row which operation it belongs to. What the row itself does not tell
// any more is not told: its operation is then lost with the ledger.
func (n *Notary) marked(r Row) segmentRow {
	out := segmentRow{Row: r, mark: opNone}
	if r.Tenant == (ID{}) {
		return out
	}
	tk, err := n.config.TenantKey(r.Tenant)
	if err != nil {
		return out
	}
	return markOf(tk, r)
}

func markOf(tk TenantKey, r Row) segmentRow {
	out := segmentRow{Row: r, mark: opNone}
	key, err := openSecrets(tk, r)
	if err != nil {
		return out
	}
	in, err := openIntent(key.rowKeys(), r)
	switch {
	case err != nil:
	case in == nil:
		out.mark = opGoesOn
	default:
		out.mark, out.key = opBegins, in.key
	}
	return out
}

// sound reports whether a segment is of this log's history, which is known up to size.
func sound(tiles proofs.TileReader, name SegmentName, size uint64) (bool, error) {
	if name.From >= name.To || name.To > size {
		return false, nil
	}
	for _, state := range []struct {
		size uint64
		root proofs.Hash
	}{{name.To, name.End}, {name.From, name.Begin}} {
		root, err := proofs.RootAt(state.size, tiles)
		if err != nil || root != state.root {
			return false, err
		}
	}
	return true, nil
}

// passingTiles reads the tiles of a log of some size for who goes through it from its
// beginning: each as wide as it will be asked for, and of each level the last one is kept.
type passingTiles struct {
	ctx    context.Context
	ledger Ledger
	size   uint64
	last   map[int]cachedTile
}

// ReadTile implements proofs.TileReader.
func (p *passingTiles) ReadTile(level int, index uint64, width int) (*proofs.Tile, error) {
	id := tileID{level, index}
	if t, ok := p.last[level]; ok && t.id == id && t.tile.Width() >= width {
		return t.tile, nil
	}
	ctx, cancel := context.WithTimeout(p.ctx, callTimeout)
	defer cancel()
	from := index * proofs.TileWidth
	to := max(from+uint64(width), min(from+proofs.TileWidth, p.size>>(level*proofs.TileHeight)))
	hashes, err := p.ledger.Hashes(ctx, level, from, to)
	if err != nil {
		return nil, err
	}
	tile := proofs.NewTile(hashes)
	p.last[level] = cachedTile{id: id, tile: tile}
	return tile, nil
}

// eachGap calls fn with every range below size that no sound segment covers. fn's error
// ends it. each, unless nil, is called with every sound segment.
func (n *Notary) eachGap(ctx context.Context, size uint64, each func(SegmentName) error, fn func(from, to uint64) error) error {
	tiles := &passingTiles{ctx, n.config.Ledger, size, map[int]cachedTile{}}
	covered := uint64(0)
	err := n.config.Segments.List(ctx, n.key.Name, 0, func(name SegmentName) error {
		ok, err := sound(tiles, name, size)
		if err != nil || !ok {
			return err
		}
		if each != nil {
			if err := each(name); err != nil {
				return err
			}
		}
		if name.From > covered {
			if err := fn(covered, name.From); err != nil {
				return err
			}
		}
		covered = max(covered, name.To)
		return nil
	})
	if err == nil && covered < size {
		err = fn(covered, size)
	}
	return err
}

// catchUpPause is between two looks at whether this process is to catch up, and after one
// that failed.
const catchUpPause = 10 * time.Second

// runCatchUp stores, once in the life of a process that seals, what an older munimentd
// sealed without a segment.
func (n *Notary) runCatchUp() {
	defer n.workers.Done()
	for {
		if n.leading() && n.view.Load().size > 0 { // else witnesses are waited for
			err := n.catchUp(n.run)
			if err == nil {
				return
			}
			if n.run.Err() == nil {
				n.config.Logger.Warn("not all sealed entries are stored a second time yet; trying again", "error", err)
			}
		}
		if !n.sleep(catchUpPause) {
			return
		}
	}
}

func (n *Notary) catchUp(ctx context.Context) error {
	return n.eachGap(ctx, n.view.Load().size, nil, func(from, to uint64) error {
		n.config.Logger.Info("storing sealed entries a second time", "from", from, "to", to)
		for lo := from; lo < to; lo += maxSegmentRows {
			if err := n.catchUpRange(ctx, lo, min(lo+maxSegmentRows, to)); err != nil {
				return err
			}
		}
		return nil
	})
}

// catchUpRange stores sealed rows that fit into one segment, or little more.
func (n *Notary) catchUpRange(ctx context.Context, from, to uint64) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	edge, err := proofs.RangeAt(from, n.storedTiles(ctx))
	if err != nil {
		return err
	}
	if _, _, err := n.putRange(ctx, edge, to, func(*proofs.Range) {}); err != nil {
		return err
	}
	return n.forgetErased(ctx, from, to)
}

// forgetErased destroys the keys of rows that were erased while they were copied.
func (n *Notary) forgetErased(ctx context.Context, from, to uint64) error {
	for lo := from; lo < to; lo += 1024 {
		rows, err := n.config.Ledger.Rows(ctx, lo, min(lo+1024, to))
		if err != nil {
			return err
		}
		for _, r := range rows {
			if len(r.Secrets) > 0 {
				continue
			}
			if err := ForgetKey(ctx, n.config.Segments, n.key.Name, r.Index); err != nil {
				return err
			}
		}
	}
	return nil
}

// ForgetKey destroys every copy of the wrapped data key of the entry at index that stands
// beside segments. Erasure calls it once the ledger's own is destroyed; to call it again
// does no harm. On a nil return none can be read any more.
func ForgetKey(ctx context.Context, s Segments, origin string, index uint64) error {
	var covering []SegmentName
	first := index - min(index, maxSegmentRows-1)
	err := s.ListKeys(ctx, origin, first, func(name SegmentName) error {
		switch {
		case name.From > index:
			return errEnough
		case name.To > index:
			covering = append(covering, name)
		}
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return err
	}
	for _, name := range covering {
		err := s.EditKeys(ctx, name, func(keys []byte) ([]byte, error) {
			secrets, err := decodeKeys(name, keys)
			if err != nil {
				return nil, err
			}
			secrets[index-name.From] = nil
			return encodeKeys(name, secrets), nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// errEnough ends a listing.
var errEnough = errors.New("enough")
