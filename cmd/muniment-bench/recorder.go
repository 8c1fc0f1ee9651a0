package main

import (
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Latencies are kept from a microsecond to five minutes, to three digits.
const (
	shortest = 1
	longest  = 300_000_000
	digits   = 3
)

func newHistogram() *hdrhistogram.Histogram { return hdrhistogram.New(shortest, longest, digits) }

// A tally is what was measured of one kind.
type tally struct {
	requests int64
	deposits int64
	refused  int64 // answered 503 with Retry-After, where that is allowed
	latency  *hdrhistogram.Histogram
}

// An interval is one piece of the measured time.
type interval struct {
	deposits, requests int64
	latency            *hdrhistogram.Histogram
}

// A recorder gathers what the clients of one load measure. One lock serves all: a
// record under it costs a thousandth of the exchange that it records.
type recorder struct {
	step  time.Duration // length of an interval
	limit int64         // deposits and reads to measure; 0: no limit
	full  chan struct{} // closed at the limit
	some  chan struct{} // closed when there are enough requests for a figure

	mu        sync.Mutex
	on        bool
	began     time.Time
	tallies   [kinds]tally
	intervals []interval
	lines     int64 // deposits and reads measured
	requests  int64 // measured
	early     int64 // deposits before the measured time
}

const maxIntervals = 600

// fewest is how many requests make a figure. A load of long requests is measured for
// longer than it was asked to be, rather than not at all.
const fewest = 10

func newRecorder(step time.Duration, limit int64) *recorder {
	r := &recorder{step: step, limit: limit, full: make(chan struct{}), some: make(chan struct{})}
	for k := range r.tallies {
		r.tallies[k].latency = newHistogram()
	}
	return r
}

// begin opens the measured time.
func (r *recorder) begin() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.on, r.began = true, time.Now()
}

// end closes the measured time and returns its length.
func (r *recorder) end() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.on = false
	return time.Since(r.began)
}

// short reports whether more is to be measured than was in the time for it.
func (r *recorder) short() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.requests < fewest && (r.limit == 0 || r.lines < r.limit)
}

// record notes an answer that came now, to a request due at that time.
func (r *recorder) record(t task, due time.Time, refused bool) {
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.on {
		if t.kind != read && !refused && r.began.IsZero() {
			r.early += int64(t.lines)
		}
		return
	}
	k := &r.tallies[t.kind]
	if refused {
		k.refused++
		return
	}
	micros := min(max(now.Sub(due).Microseconds(), shortest), longest)
	k.requests++
	k.deposits += int64(t.lines)
	_ = k.latency.RecordValue(micros) // cannot fail within the bounds
	if r.lines += int64(t.lines); r.limit > 0 && r.lines >= r.limit && r.lines-int64(t.lines) < r.limit {
		close(r.full)
	}
	if r.requests++; r.requests == fewest {
		close(r.some)
	}
	at := int(now.Sub(r.began) / r.step)
	if at >= maxIntervals {
		return
	}
	for len(r.intervals) <= at {
		r.intervals = append(r.intervals, interval{latency: newHistogram()})
	}
	i := &r.intervals[at]
	i.requests++
	i.deposits += int64(t.lines)
	_ = i.latency.RecordValue(micros)
}
