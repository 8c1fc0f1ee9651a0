package notarytest

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/muniment/muniment/notary"
)

// Trailed is what a Ledger keeps of the trail.
type Trailed struct {
	Head  notary.TrailHead
	Pages []notary.TrailPage // in their order
	Days  []notary.TrailDay  // ascending
}

func (t Trailed) clone() Trailed {
	c := Trailed{Head: t.Head, Pages: slices.Clone(t.Pages), Days: slices.Clone(t.Days)}
	c.Head.Peaks = slices.Clone(t.Head.Peaks)
	for i := range c.Pages {
		c.Pages[i].Text = bytes.Clone(c.Pages[i].Text)
	}
	return c
}

// WriteTrail implements notary.Trail.
func (l *Ledger) WriteTrail(ctx context.Context, build func(notary.TrailHead, time.Time) (*notary.TrailBatch, error)) error {
	return l.Faults.call(ctx, "WriteTrail", func() error {
		select {
		case l.trail <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		}
		defer func() { <-l.trail }()
		l.mu.Lock()
		head := Trailed{Head: l.state.Trail.Head}.clone().Head
		l.mu.Unlock()
		b, err := build(head, l.now().UTC())
		if err != nil || b == nil {
			return err
		}
		if err := b.Continues(head); err != nil {
			return fmt.Errorf("batch refused: %w", err)
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		add := Trailed{Head: b.Head, Pages: b.Pages}.clone()
		t := &l.state.Trail
		t.Head, t.Pages = add.Head, append(t.Pages, add.Pages...)
		t.Head.Time = t.Head.Time.UTC()
		if b.Closed != nil {
			t.Days = append(t.Days, *b.Closed)
		}
		return nil
	})
}

// TrailHead implements notary.Trail.
func (l *Ledger) TrailHead(ctx context.Context) (notary.TrailHead, error) {
	return read(ctx, l, "TrailHead", func(s *LedgerState) (notary.TrailHead, error) { return Trailed{Head: s.Trail.Head}.clone().Head, nil })
}

// TrailPages implements notary.Trail.
func (l *Ledger) TrailPages(ctx context.Context, r notary.TrailRange) ([]notary.TrailPage, error) {
	return read(ctx, l, "TrailPages", func(s *LedgerState) (pages []notary.TrailPage, err error) {
		if r.Limit < 1 || r.Limit > 1000 {
			return nil, fmt.Errorf("a limit of %d is not 1 to 1,000", r.Limit)
		}
		for _, p := range s.Trail.Pages {
			before := p.Day < r.Day || p.Day == r.Day && p.Number < r.Number
			if before || p.Day > r.Until || r.Tenant != nil && *r.Tenant != p.Tenant || len(pages) == r.Limit {
				continue
			}
			p.Text = bytes.Clone(p.Text)
			pages = append(pages, p)
		}
		return pages, nil
	})
}

// TrailDays implements notary.Trail.
func (l *Ledger) TrailDays(ctx context.Context, from notary.Day, limit int) ([]notary.TrailDay, error) {
	return read(ctx, l, "TrailDays", func(s *LedgerState) (days []notary.TrailDay, err error) {
		if limit < 1 || limit > 1000 {
			return nil, fmt.Errorf("a limit of %d is not 1 to 1,000", limit)
		}
		for _, d := range s.Trail.Days {
			if d.Day >= from && len(days) < limit {
				days = append(days, d)
			}
		}
		return days, nil
	})
}
