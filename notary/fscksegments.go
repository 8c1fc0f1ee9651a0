package notary

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/muniment/muniment/proofs"
)

// segments compares the second copy of what is sealed with the ledger: every row that an
// anchor covers must be in a segment, as it is in the ledger, with its key or without.
func (c *checker) segments(ctx context.Context, anchors map[int]proofs.Checkpoint) {
	if c.n.config.Segments == nil {
		return
	}
	size := uint64(0)
	for _, cp := range anchors {
		size = max(size, min(cp.Size, c.head.Size))
	}
	err := c.n.eachGap(ctx, size, func(name SegmentName) error { return c.segment(ctx, name) }, func(from, to uint64) error {
		c.report.find("entries %d to %d are sealed and stand in no segment: munimentd serve stores them, once it seals", from, to-1)
		return nil
	})
	if err != nil && ctx.Err() == nil {
		c.report.find("listing segments: %v", err)
	}
}

// segment compares one. The error is that the check cannot go on.
func (c *checker) segment(ctx context.Context, name SegmentName) error {
	segment, keys, err := c.n.config.Segments.Load(ctx, name)
	if err == nil {
		var rows []segmentRow
		var secrets [][]byte
		if rows, err = decodeSegment(name, segment); err == nil {
			secrets, err = decodeKeys(name, keys)
		}
		if err == nil {
			c.report.Segments++
			return c.copies(ctx, name, rows, secrets)
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	c.report.find("the segment of entries %d to %d cannot be read: %v", name.From, name.To-1, err)
	return nil
}

// copies holds the rows of a segment against those of the ledger.
func (c *checker) copies(ctx context.Context, name SegmentName, rows []segmentRow, secrets [][]byte) error {
	for lo := name.From; lo < name.To; lo += 1024 {
		stored, err := c.n.config.Ledger.Rows(ctx, lo, min(lo+1024, name.To))
		if errors.Is(err, ErrDamaged) {
			return nil // which the look at the rows has told
		}
		if err != nil {
			return fmt.Errorf("rows from %d on: %w", lo, err)
		}
		for _, r := range stored {
			kept, secret := rows[r.Index-name.From], secrets[r.Index-name.From]
			switch {
			case isLost(r):
			case !sameSealed(r, kept.Row):
				c.report.find("entry %d in the segment of entries %d to %d is not that of the ledger", r.Index, name.From, name.To-1)
			case len(r.Secrets) == 0 && len(secret) > 0:
				c.report.find("entry %d was erased, and its wrapped key still stands beside the segment of entries %d to %d", r.Index, name.From, name.To-1)
			case !bytes.Equal(r.Secrets, secret):
				c.report.find("the wrapped key of entry %d beside the segment of entries %d to %d is not that of the ledger", r.Index, name.From, name.To-1)
			}
		}
	}
	return nil
}

// sameSealed compares two rows but for their secrets.
func sameSealed(a, b Row) bool {
	erased := len(a.Body) == 0 || len(b.Body) == 0 // in one place, and perhaps locked in the other
	return a.Index == b.Index && bytes.Equal(a.Entry, b.Entry) && a.Tenant == b.Tenant && a.ID == b.ID &&
		a.CaseSeq == b.CaseSeq && a.CasePrev == b.CasePrev && (erased || bytes.Equal(a.Body, b.Body))
}
