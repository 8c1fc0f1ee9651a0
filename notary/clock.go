package notary

import (
	"fmt"
	"sync/atomic"
	"time"
)

const (
	clockTolerance = 2 * time.Second
	clockGap       = 24 * time.Hour
)

// clock holds the ledger's clock against this process's monotonic one. A jump
// forward would poison the log for ever, since times never decrease; so a clock
// that departs from the steady count of seconds is not believed.
type clock struct {
	wall   time.Time // the ledger's clock at start
	steady time.Time // with the monotonic reading taken at the same moment
	// departure is by how much the ledger's clock, when last seen and believed, was
	// ahead of the steady count, in nanoseconds.
	departure atomic.Int64
}

func (c *clock) start(ledger time.Time) {
	c.wall, c.steady = ledger, time.Now()
}

// now is what the ledger's clock should read, without asking it: a deposit must not
// be received after the time of its entry.
func (c *clock) now() time.Time {
	at := c.wall.Add(time.Since(c.steady) + time.Duration(c.departure.Load()))
	return at.UTC().Truncate(time.Millisecond)
}

// depart returns by how much now, read from the ledger's clock after asked, is ahead of
// the steady count. When exactly it was read is not known: the answer may have been
// long under way, and that is no fault of the clock. So of all departures that fit,
// it is the one nearest to the last.
func (c *clock) depart(now, asked time.Time) time.Duration {
	ahead := now.Sub(c.wall)
	least, most := ahead-time.Since(c.steady), ahead-asked.Sub(c.steady)
	return min(max(time.Duration(c.departure.Load()), least), most)
}

// measure is depart that refuses a departure that no honest clock has.
func (c *clock) measure(now, asked time.Time) (time.Duration, error) {
	departure := c.depart(now, asked)
	if departure.Abs() > clockTolerance {
		return 0, fmt.Errorf("%w: it departs by %v from the steady count since start; set it right, or restart if it is", ErrClock, departure.Round(time.Millisecond))
	}
	return departure, nil
}

// check returns the time for a batch: now, cut to the millisecond, or the head's
// time if that is a little ahead.
func (c *clock) check(now, asked time.Time, head Head) (time.Time, error) {
	departure, err := c.measure(now, asked)
	if err != nil {
		return time.Time{}, err
	}
	if behind := head.Time.Sub(now); behind > clockTolerance {
		return time.Time{}, fmt.Errorf("%w: it is %v behind the newest entry", ErrClock, behind.Round(time.Millisecond))
	}
	c.departure.Store(int64(departure))
	now = now.UTC().Truncate(time.Millisecond)
	if now.Before(head.Time) {
		return head.Time, nil
	}
	return now, nil
}
