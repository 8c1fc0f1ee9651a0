package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// A load is one stretch of requests with one set of figures.
type load struct {
	mix      mix
	keys     []string      // of the tenants among which deposits are divided; none: the depository's first
	clients  int           // connections, each with one request under way
	rate     float64       // requests a second at fixed times; 0: each client sends when it has its answer
	warmup   time.Duration // not measured
	duration time.Duration // measured; up to ten times as long until there are requests enough
	count    int64         // deposits or reads after which it ends sooner; 0: none
	step     time.Duration // of the intervals
	learn    bool          // keep the ids of deposits for reading
	overload bool          // 503 and 429 with Retry-After are answers
}

// A measured is what a load came to.
type measured struct {
	elapsed   time.Duration
	tallies   [kinds]tally
	intervals []interval
	unsent    int64 // requests that were due and had no free connection before the end
	step      time.Duration
	early     int64 // deposits in the warm-up
	before    sample
	after     sample
}

// total is the tally of all kinds together.
func (m measured) total() tally {
	all := tally{latency: newHistogram()}
	for k, t := range m.tallies {
		all.requests += t.requests
		if kind(k) != read {
			all.deposits += t.deposits
		}
		all.refused += t.refused
		all.latency.Merge(t.latency)
	}
	return all
}

// perUnit is microseconds of CPU for one of n.
func perUnit(cpu time.Duration, n int64) float64 {
	if n == 0 {
		return 0
	}
	return float64(cpu.Microseconds()) / float64(n)
}

// A sample is what the machine's counters say at one moment.
type sample struct {
	server usage // of the depository's processes; zero when they are not ours
	stores usage // of the servers that keep what it holds; zero when there are none of ours
	client usage // of the bench itself
}

// driver runs loads against one depository.
type driver struct {
	*workload
	addrs   []string // of the replicas, among which the clients are divided
	spool   *spool
	observe func() sample
}

// errRefused is wrapped when an answer is not the success it should be.
var errRefused = errors.New("refused")

// drive runs a load to its end. Every request that was sent has its answer in the
// spool on return, or there is an error.
func (d *driver) drive(ctx context.Context, l load) (measured, error) {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	stop := make(chan struct{})
	rec := newRecorder(l.step, l.count)
	due := d.schedule(l, stop)
	var clients sync.WaitGroup
	for i := range l.clients {
		c := &client{driver: d, load: l, rec: rec, wire: newWire(d.addrs[i%len(d.addrs)], patience), writer: writer{workload: d.workload, keys: l.keys}, drawer: drawer{spool: d.spool, room: roomOf(l.clients)}}
		clients.Go(func() {
			if err := errors.Join(c.work(ctx, due, stop), c.flush()); err != nil {
				fail(err)
			}
			c.close()
		})
	}
	pause(ctx, l.warmup, nil)
	m := measured{before: d.observe()}
	rec.begin()
	pause(ctx, l.duration, rec.full)
	if !l.overload && rec.short() {
		pause(ctx, 9*l.duration, rec.some)
	}
	m.elapsed = rec.end()
	m.after = d.observe()
	close(stop)
	clients.Wait()
	m.unsent = int64(len(due))
	m.step = l.step
	m.tallies, m.intervals, m.early = rec.tallies, rec.intervals, rec.early
	return m, context.Cause(ctx)
}

// patience is how long one exchange may take. The depository answers within thirty
// seconds, if only to say that it cannot.
const patience = time.Minute

// pause waits, but not longer than ctx or until sooner is closed.
func pause(ctx context.Context, d time.Duration, sooner <-chan struct{}) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	case <-sooner:
	}
}

// maxDue bounds the requests that are due and wait for a connection. Beyond it the
// schedule goes on as it was, and they are handed out late.
const maxDue = 1 << 16

// schedule returns the times at which requests of an open loop are due, and nil for
// a closed one. It keeps to its times whatever becomes of the requests, so that one
// slow answer is felt by all that were due meanwhile.
func (d *driver) schedule(l load, stop <-chan struct{}) chan time.Time {
	if l.rate == 0 {
		return nil
	}
	due := make(chan time.Time, maxDue)
	go func() {
		start := time.Now()
		for n := 0; ; n++ {
			at := start.Add(time.Duration(float64(n) / l.rate * float64(time.Second)))
			sleepUntil(at, stop)
			select {
			case due <- at:
			case <-stop:
				return
			}
		}
	}()
	return due
}

// sleepUntil sleeps to the end by the system's own clock: the runtime's timers are
// late by up to a millisecond, which is longer than an answer takes.
func sleepUntil(at time.Time, stop <-chan struct{}) {
	const last = 2 * time.Millisecond
	if wait := time.Until(at) - last; wait > 0 {
		pause(context.Background(), wait, stop)
	}
	for wait := time.Until(at); wait > 0 && wait <= last; wait = time.Until(at) {
		ts := unix.NsecToTimespec(int64(wait))
		_ = unix.Nanosleep(&ts, nil) // interrupted: the loop sleeps for the rest
	}
}

// client is one connection of a load.
type client struct {
	*driver
	load
	rec *recorder
	*wire
	writer
	drawer
}

// work sends requests until stop. The one under way is always brought to its end.
func (c *client) work(ctx context.Context, due <-chan time.Time, stop <-chan struct{}) error {
	for {
		at := time.Time{}
		if due == nil {
			select {
			case <-stop:
				return nil
			case <-ctx.Done():
				return nil
			default:
			}
		} else {
			select {
			case <-stop:
				return nil
			case <-ctx.Done():
				return nil
			case at = <-due:
			}
		}
		if err := c.once(at); err != nil {
			return err
		}
	}
}

// once makes one request, which was due at that time; the zero time: now.
func (c *client) once(due time.Time) error {
	t := c.driver.task(c.mix)
	request := c.write(t)
	if due.IsZero() {
		due = time.Now()
	}
	var a answer
	if err := c.exchange(request, &a); err != nil {
		return fmt.Errorf("%s request %d: %w", t.kind, t.first, err)
	}
	want := http.StatusCreated
	if t.kind == read {
		want = http.StatusOK
	}
	if a.status != want {
		if c.overload && (a.status == http.StatusServiceUnavailable || a.status == http.StatusTooManyRequests) && len(a.retryAfter) > 0 {
			c.rec.record(t, due, true)
			return nil
		}
		return fmt.Errorf("%w: %s request %d: %d %.400s", errRefused, t.kind, t.first, a.status, a.body)
	}
	c.rec.record(t, due, false)
	if c.learn && (t.kind == single || t.kind == document) {
		if err := c.driver.learn(a.location); err != nil {
			return err
		}
	}
	return c.keep(t, a.body)
}
