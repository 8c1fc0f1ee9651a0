package notary

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/muniment/muniment/proofs"
)

// CopyRows brings all that a ledger has below cp into c.Segments, which must be the log's
// state at that size. What is there already, from a copy that was interrupted or an earlier
// one, is checked and kept, but for its keys: they become those that the ledger has now, so
// that what was erased meanwhile, or stood under a key that was replaced, is in the copy no
// more. progress, unless nil, is called with entries done and in all. On a nil return
// PlanRebuild finds a way to cp by those segments alone.
func CopyRows(ctx context.Context, c Config, cp proofs.Checkpoint, progress func(done, total uint64)) error {
	n, err := prepare(c)
	if err != nil {
		return err
	}
	if err := Continues(ctx, c.Ledger, cp); err != nil {
		return err
	}
	var missing uint64
	err = n.eachGap(ctx, cp.Size, nil, func(from, to uint64) error { missing += to - from; return nil })
	if err != nil {
		return err
	}
	if err := n.keysOfNow(ctx); err != nil {
		return err
	}
	done := cp.Size - missing
	return n.eachGap(ctx, cp.Size, nil, func(from, to uint64) error {
		for lo := from; lo < to; lo += maxSegmentRows {
			hi := min(lo+maxSegmentRows, to)
			if err := n.catchUpRange(ctx, lo, hi); err != nil {
				return fmt.Errorf("entries %d to %d: %w", lo, hi, err)
			}
			if done += hi - lo; progress != nil {
				progress(done, cp.Size)
			}
		}
		return nil
	})
}

// keysOfNow replaces the keys beside every segment by those that the ledger has. Keys of
// which there is no segment yet are among them.
func (n *Notary) keysOfNow(ctx context.Context) error {
	return n.config.Segments.ListKeys(ctx, n.key.Name, 0, func(name SegmentName) error {
		if err := Continues(ctx, n.config.Ledger, proofs.Checkpoint{Origin: name.Origin, Size: name.To, Root: name.End}); err != nil {
			return fmt.Errorf("what is kept of entries %s: %w", name.span(), err)
		}
		now := make([][]byte, 0, name.To-name.From)
		for at := name.From; at < name.To; {
			rows, err := n.config.Ledger.Rows(ctx, at, min(at+1024, name.To))
			if err != nil {
				return err
			}
			for _, r := range rows {
				now = append(now, r.Secrets)
			}
			at += uint64(len(rows))
		}
		fresh := encodeKeys(name, now)
		if _, kept, err := n.config.Segments.Load(ctx, name); err == nil && bytes.Equal(kept, fresh) {
			return nil
		}
		return n.config.Segments.EditKeys(ctx, name, func([]byte) ([]byte, error) { return fresh, nil })
	})
}

// DropOrphans deletes every document in c.Blobs that no deposit of the ledger has any more.
// Nothing may be deposited there meanwhile.
func DropOrphans(ctx context.Context, c Config) error {
	n, err := prepare(c)
	if err != nil {
		return err
	}
	var orphans []string
	err = n.eachOrphan(ctx, time.Now().Add(time.Hour), func(name string) error {
		orphans = append(orphans, name)
		return nil
	})
	for _, name := range orphans {
		if err == nil {
			err = c.Blobs.Delete(ctx, name)
		}
	}
	return err
}

// CheckRows reads every segment of an origin that leads to cp, and recomputes cp's root from
// the entries in them. An error names what does not fit; nothing outside segments is asked.
func CheckRows(ctx context.Context, segments Segments, cp proofs.Checkpoint, progress func(done, total uint64)) error {
	edge := proofs.RangeOf(0, nil)
	err := segments.List(ctx, cp.Origin, 0, func(name SegmentName) error {
		if name.From != edge.Size() || name.Begin != edge.Root() || name.To > cp.Size {
			return nil // of a copy that was interrupted, or that goes further
		}
		segment, keys, err := segments.Load(ctx, name)
		if err != nil {
			return fmt.Errorf("entries %s: %w", name.span(), err)
		}
		rows, err := decodeSegment(name, segment)
		if err != nil {
			return fmt.Errorf("entries %s: %w", name.span(), err)
		}
		if _, err := decodeKeys(name, keys); err != nil {
			return fmt.Errorf("the keys of entries %s: %w", name.span(), err)
		}
		for _, r := range rows {
			edge.Append(proofs.LeafHash(r.Entry), nil)
		}
		if edge.Root() != name.End {
			return fmt.Errorf("%w: entries %s give another root than the name says", ErrDamaged, name.span())
		}
		if progress != nil {
			progress(edge.Size(), cp.Size)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if edge.Size() != cp.Size || edge.Root() != cp.Root {
		return fmt.Errorf("%w: the segments lead to %d entries with the root %s, and not to the %d with the root %s of the checkpoint",
			ErrDamaged, edge.Size(), edge.Root(), cp.Size, cp.Root)
	}
	return nil
}
