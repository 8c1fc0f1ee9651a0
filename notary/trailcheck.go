package notary

import (
	"context"
	"errors"
	"fmt"

	"github.com/muniment/muniment/proofs"
)

// TrailReport is what VerifyTrail found.
type TrailReport struct {
	Days     uint64   `json:"days"`     // closed, and recomputed
	InLog    uint64   `json:"in_log"`   // of those, that an entry of the log commits to
	Pages    uint64   `json:"pages"`    // read and hashed, those of the day that is being written too
	Events   uint64   `json:"events"`   // in them
	Findings uint64   `json:"findings"` // what is wrong, all of it
	Named    []string `json:"named"`    // the first 1,000 of them, in words
}

// Clean reports whether nothing is wrong.
func (r *TrailReport) Clean() bool { return r.Findings == 0 }

func (r *TrailReport) find(format string, args ...any) {
	r.Findings++
	if len(r.Named) < maxFindings {
		r.Named = append(r.Named, fmt.Sprintf(format, args...))
	}
}

// VerifyTrail recomputes every day of the trail from its pages and compares it with what it
// was closed as, and with the entry of the log that commits to it. It changes nothing.
func VerifyTrail(ctx context.Context, c Config) (*TrailReport, error) {
	n, err := prepare(c)
	if err != nil {
		return nil, err
	}
	return n.VerifyTrail(ctx)
}

// VerifyTrail is the function VerifyTrail on a running Notary.
func (n *Notary) VerifyTrail(ctx context.Context) (*TrailReport, error) {
	report := &TrailReport{Named: []string{}}
	logged, err := n.trailInLog(ctx, report)
	if err != nil {
		return nil, err
	}
	// In this order, so that a day that ends meanwhile is no finding: the log, then how far
	// the trail has come, then what was closed.
	head, err := n.config.Trail.TrailHead(ctx)
	if err != nil {
		return nil, err
	}
	closed := map[Day]TrailDay{}
	for from := Day(0); ; {
		days, err := n.config.Trail.TrailDays(ctx, from, 1000)
		if err != nil {
			return nil, err
		}
		for _, d := range days {
			closed[d.Day], from = d, d.Day+1
		}
		if len(days) < 1000 {
			break
		}
	}
	written, err := n.recountTrail(ctx, report, func(p TrailPage) bool {
		if _, ok := closed[p.Day]; ok {
			return false
		}
		return p.Day > head.Day || p.Day == head.Day && p.Number >= head.Pages
	})
	if err != nil {
		return nil, err
	}
	report.compare(written, closed, logged, head)
	return report, nil
}

// trailInLog reads what the log says of each day.
func (n *Notary) trailInLog(ctx context.Context, report *TrailReport) (map[Day]TrailDay, error) {
	tk, err := n.config.TenantKey(ID{})
	if err != nil {
		return nil, err
	}
	term, days := tk.termer().term(termTrail, ""), map[Day]TrailDay{}
	for from := uint64(0); ; {
		rows, err := n.config.Ledger.Deposits(ctx, Query{Term: &term, From: from, Limit: ownRows})
		if err != nil {
			return nil, err
		}
		for _, row := range rows {
			from = row.Index + 1
			o, err := n.unseal(row)
			if err != nil {
				report.find("entry %d: %v", row.Index, err)
				continue
			}
			d, err := o.trailDay()
			if err != nil {
				report.find("%v", err)
				continue
			}
			if _, twice := days[d.Day]; twice {
				report.find("%s: a second entry commits to it, %d", d.Day, row.Index)
				continue
			}
			days[d.Day] = d
		}
		if len(rows) < ownRows {
			return days, nil
		}
	}
}

// recounting is a day as its pages give it.
type recounting struct {
	edge   *proofs.Range
	events uint64
	wrong  bool // and was named
}

// recountTrail reads every page but those that were written meanwhile.
func (n *Notary) recountTrail(ctx context.Context, report *TrailReport, beyond func(TrailPage) bool) (map[Day]*recounting, error) {
	days := map[Day]*recounting{}
	r := TrailRange{Until: DayOf(maxTime), Limit: 200}
	for {
		pages, err := n.config.Trail.TrailPages(ctx, r)
		if err != nil {
			return nil, err
		}
		for _, p := range pages {
			r.Day, r.Number = p.Day, p.Number+1
			if beyond(p) {
				continue
			}
			d := days[p.Day]
			if d == nil {
				d = &recounting{edge: proofs.RangeOf(0, nil)}
				days[p.Day] = d
			}
			d.take(report, p)
		}
		if len(pages) < r.Limit {
			return days, ctx.Err()
		}
	}
}

func (d *recounting) take(report *TrailReport, p TrailPage) {
	report.Pages++
	events, err := ParseTrailPage(p.Text)
	switch {
	case d.wrong:
	case p.Number != d.edge.Size():
		report.find("%s: page %d is missing", p.Day, d.edge.Size())
		d.wrong = true
	case err != nil:
		report.find("%s: page %d: %v", p.Day, p.Number, err)
		d.wrong = true
	case events[0].Tenant != p.Tenant || DayOf(events[0].Time) != p.Day || len(events) != int(p.Events):
		report.find("%s: page %d stands under another tenant, day or count than it says", p.Day, p.Number)
		d.wrong = true
	}
	d.edge.Append(proofs.LeafHash(p.Text), nil)
	d.events += uint64(len(events))
	report.Events += uint64(len(events))
}

// compare names each day that is not the same in its pages, in the ledger's own digest and in
// the log.
func (r *TrailReport) compare(written map[Day]*recounting, closed, logged map[Day]TrailDay, head TrailHead) {
	empty := &recounting{edge: proofs.RangeOf(0, nil)}
	for day, want := range logged {
		if _, ok := closed[day]; !ok {
			r.find("%s: the log commits to %d events, and the ledger knows no such day", day, want.Events)
		}
	}
	newest := Day(0)
	for day := range logged {
		newest = max(newest, day)
	}
	for day, c := range closed {
		r.Days++
		got := written[day]
		if got == nil {
			got = empty
		}
		is := TrailDay{day, got.edge.Size(), got.events, got.edge.Root()}
		want, inLog := logged[day]
		if inLog {
			r.InLog++
		}
		switch {
		case !inLog && day < newest:
			r.find("%s: it was closed, and the log commits to a later day and not to this one", day)
		case inLog && c != want:
			r.find("%s: it was closed with another digest than the log commits to", day)
		case is != c:
			r.find("%s: its %d pages with %d events give the root %s; it was closed with %d pages, %d events and the root %s", day, is.Pages, is.Events, is.Root, c.Pages, c.Events, c.Root)
		}
	}
	for day, got := range written {
		if _, ok := closed[day]; ok {
			continue
		}
		if day != head.Day {
			r.find("%s: it has %d pages, and was neither closed nor is it being written", day, got.edge.Size())
		}
	}
	open := written[head.Day]
	if open == nil {
		open = empty
	}
	if _, ok := closed[head.Day]; !ok && (open.edge.Size() != head.Pages || open.events != head.Events || open.edge.Root() != head.closed().Root) {
		r.find("%s: it is being written, and its pages are not those that the head of the trail counts", head.Day)
	}
}

// trail checks the trail, where one is kept.
func (c *checker) trail(ctx context.Context) {
	if c.n.config.Trail == nil {
		return
	}
	report, err := c.n.VerifyTrail(ctx)
	if err != nil && !errors.Is(err, context.Canceled) {
		c.report.find("the trail cannot be read: %v", err)
	}
	if report == nil {
		return
	}
	c.report.Events = report.Events
	for _, what := range report.Named {
		c.report.find("trail: %s", what)
	}
	c.report.Findings += report.Findings - uint64(len(report.Named))
}
