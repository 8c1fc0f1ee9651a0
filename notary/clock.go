package notary

import (
	"fmt"
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
}

func startClock(ledger time.Time) clock {
	return clock{wall: ledger, steady: time.Now()}
}

// check returns the time for a batch: now, cut to the millisecond, or the head's
// time if that is a little ahead.
func (c clock) check(now time.Time, head Head) (time.Time, error) {
	departure := now.Sub(c.wall) - time.Since(c.steady)
	if departure.Abs() > clockTolerance {
		return time.Time{}, fmt.Errorf("%w: it departs by %v from the steady count since start; set it right and restart", ErrClock, departure.Round(time.Millisecond))
	}
	if behind := head.Time.Sub(now); behind > clockTolerance {
		return time.Time{}, fmt.Errorf("%w: it is %v behind the newest entry", ErrClock, behind.Round(time.Millisecond))
	}
	now = now.UTC().Truncate(time.Millisecond)
	if now.Before(head.Time) {
		return head.Time, nil
	}
	return now, nil
}
