package console

import (
	"context"
	"sync"
	"time"
)

// days is how far back the picture of the log's growth goes.
const days = 30

// settledAfter is how long after a moment all that was made before it is published, or the
// depository takes nothing more.
const settledAfter = time.Minute

// growth remembers how many entries there were at the beginning of each day, which does not
// change once the day has begun.
type growth struct {
	mu    sync.Mutex
	known map[time.Time]uint64
}

func (g *growth) at(ctx context.Context, day time.Time, ask func(context.Context, time.Time) (uint64, error)) (uint64, error) {
	g.mu.Lock()
	n, ok := g.known[day]
	g.mu.Unlock()
	if ok {
		return n, nil
	}
	n, err := ask(ctx, day)
	if err != nil || time.Since(day) < settledAfter {
		return n, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.known == nil || len(g.known) > 4*days {
		g.known = map[time.Time]uint64{}
	}
	g.known[day] = n
	return n, nil
}

// A chart has a bar for each day.
type chart struct {
	Bars  []bar
	Top   uint64 // what the upper line stands for
	Total uint64 // of all days
	First time.Time
	Last  time.Time
}

type bar struct {
	X, Y, Height int
	Day          time.Time
	Entries      uint64
}

const (
	barStep   = 24
	barHeight = 160
)

// growing is the picture of how many entries came on each of the last days.
func (v *visit) growing(published uint64) (*chart, error) {
	zone := v.zone()
	y, m, d := v.now.In(zone).Date()
	today := time.Date(y, m, d, 0, 0, 0, 0, zone)
	c := &chart{First: today.AddDate(0, 0, 1-days), Last: today}
	before, err := v.growth.at(v.r.Context(), c.First.UTC(), v.SizeAt)
	if err != nil {
		return nil, err
	}
	for i := range days {
		day := c.First.AddDate(0, 0, i)
		after := published
		if i < days-1 {
			if after, err = v.growth.at(v.r.Context(), day.AddDate(0, 0, 1).UTC(), v.SizeAt); err != nil {
				return nil, err
			}
		}
		b := bar{X: i * barStep, Day: day}
		if after > before { // a day's count may be older than what is published
			b.Entries = after - before
		}
		before = after
		c.Total += b.Entries
		c.Top = max(c.Top, b.Entries)
		c.Bars = append(c.Bars, b)
	}
	c.Top = round(c.Top)
	for i := range c.Bars {
		b := &c.Bars[i]
		b.Height = int(b.Entries * barHeight / c.Top)
		if b.Height == 0 && b.Entries > 0 {
			b.Height = 1
		}
		b.Y = barHeight - b.Height
	}
	return c, nil
}

// round is the next number that people like to read on an axis.
func round(n uint64) uint64 {
	for unit := uint64(1); ; unit *= 10 {
		for _, nice := range []uint64{1, 2, 5} {
			if nice*unit >= n {
				return nice * unit
			}
		}
	}
}
