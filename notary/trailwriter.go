package notary

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/muniment/muniment/proofs"
)

const (
	// trailLate is how much later than its answer an event that nobody waits for may be
	// durable: it is written with others within half of that, and a write may take the rest.
	trailLate = time.Second
	// trailQueue bounds the events that wait to be written.
	trailQueue = 2 * maxTrailBatch
	// trailPatience is how long an answer waits for its event.
	trailPatience = 5 * time.Second
	// trailLast is how long the last events may take when a notary is closed.
	trailLast = 3 * time.Second
)

// ErrTrail: what was asked for is not given, since who asked cannot be written down.
var ErrTrail = errors.New("the trail cannot be written")

// trailer is the state of the one goroutine that writes the trail.
type trailer struct {
	queue chan *noting
	// failing: the last write failed, and is being tried again.
	failing atomic.Bool
	written atomic.Uint64 // events
}

// noting is one event that waits.
type noting struct {
	event TrailEvent
	done  chan error // nil: nobody waits
}

// WriteDown puts an event into the trail. It is written with all that come at the same time.
// With durable, a nil return means that it is durable; without, that it will be within a
// second, unless the process is killed before. ErrTrail: it is not, and what it is about must
// not be given. Where no trail is configured nothing is done.
func (n *Notary) WriteDown(ctx context.Context, e TrailEvent, durable bool) error {
	if n.config.Trail == nil {
		return nil
	}
	if n.run.Err() != nil {
		return fmt.Errorf("%w: %w", ErrTrail, ErrStopped)
	}
	if n.trailer.failing.Load() { // what has failed is being tried again, and tells when it is over
		return ErrTrail
	}
	w := &noting{event: e}
	if durable {
		w.done = make(chan error, 1)
	}
	select {
	case n.trailer.queue <- w:
	default:
		return fmt.Errorf("%w: too many events wait", ErrTrail)
	}
	if !durable {
		return nil
	}
	late := time.NewTimer(trailPatience)
	defer late.Stop()
	select {
	case err := <-w.done:
		return err
	case <-late.C:
		return fmt.Errorf("%w: it takes longer than %v", ErrTrail, trailPatience)
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", ErrTrail, ctx.Err())
	}
}

// runTrail writes the events that wait, batch by batch, until the notary stops and none is
// left.
func (n *Notary) runTrail() {
	defer n.workers.Done()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	defer context.AfterFunc(n.run, func() { time.AfterFunc(trailLast, cancel) })()
	for n.run.Err() == nil || len(n.trailer.queue) > 0 && ctx.Err() == nil {
		n.writeEvents(ctx, n.gatherEvents(n.run.Done()))
	}
}

// gatherEvents waits for a first event and takes all that come with it. Once there is one
// whose answer waits, it yields until nobody adds more; else it lets them become many.
func (n *Notary) gatherEvents(stop <-chan struct{}) (batch []*noting) {
	late := time.NewTimer(trailLate / 2)
	late.Stop()
	defer late.Stop()
	urgent, idle := false, 0
	for len(batch) < maxTrailBatch {
		var w *noting
		switch {
		case len(batch) == 0:
			select {
			case w = <-n.trailer.queue:
				late.Reset(trailLate / 2)
			default:
				select {
				case w = <-n.trailer.queue:
					late.Reset(trailLate / 2)
				case <-stop:
					return nil
				}
			}
		case !urgent:
			select {
			case w = <-n.trailer.queue:
			case <-late.C:
				return batch
			case <-stop:
				urgent = true
				continue
			}
		default:
			select {
			case w = <-n.trailer.queue:
			default:
				if idle++; idle > 3 {
					return batch
				}
				runtime.Gosched()
				continue
			}
		}
		batch = append(batch, w)
		urgent, idle = urgent || w.done != nil, 0
	}
	return batch
}

// writeEvents writes a batch, and tries again until it is written or ctx ends: what nobody
// waits for was promised. An event whose write was done though its answer was lost stands
// twice, with one request id.
func (n *Notary) writeEvents(ctx context.Context, batch []*noting) {
	if len(batch) == 0 {
		return
	}
	for tries := 1; ; tries++ {
		err := n.writeTrail(ctx, batch)
		if err != nil && tries == 1 && ctx.Err() == nil {
			n.pause(ctx) // what fails once passes, as a rule
			continue
		}
		n.trailer.failing.Store(err != nil)
		if err == nil {
			n.trailer.written.Add(uint64(len(batch)))
			for _, w := range batch {
				w.answer(nil)
			}
			return
		}
		for _, w := range batch {
			w.answer(fmt.Errorf("%w: %w", ErrTrail, err))
			w.done = nil
		}
		if ctx.Err() != nil {
			n.config.Logger.Error("events of the trail are lost: the process stops, and the ledger does not take them", "events", len(batch), "error", err)
			return
		}
		if tries <= 2 {
			n.config.Logger.Error("the trail cannot be written; nothing private is given out until it can", "error", err)
		}
		n.pause(ctx)
	}
}

func (w *noting) answer(err error) {
	if w.done != nil {
		w.done <- err
	}
}

// writeTrail writes a batch once.
func (n *Notary) writeTrail(ctx context.Context, batch []*noting) error {
	ctx, cancel := context.WithTimeout(ctx, trailPatience)
	defer cancel()
	events := make([]TrailEvent, len(batch))
	for i, w := range batch {
		events[i] = w.event
	}
	defer n.metrics.since(stageTrail, time.Now())
	return n.config.Trail.WriteTrail(ctx, n.pagesOf(events))
}

// pagesOf makes pages of events, under the lock of the trail.
func (n *Notary) pagesOf(events []TrailEvent) func(TrailHead, time.Time) (*TrailBatch, error) {
	asked := time.Now()
	return func(head TrailHead, now time.Time) (*TrailBatch, error) {
		at, err := n.clock.check(now, asked, Head{Time: head.Time})
		if err != nil {
			return nil, err
		}
		return head.add(at, events)
	}
}

// WriteTrailOnce puts events into the trail for a command of the operator's, which has opened
// no notary: durable on return.
func WriteTrailOnce(ctx context.Context, t Trail, events ...TrailEvent) error {
	return t.WriteTrail(ctx, func(head TrailHead, now time.Time) (*TrailBatch, error) {
		at := now.UTC().Truncate(time.Millisecond)
		if at.Before(head.Time) {
			at = head.Time
		}
		return head.add(at, events)
	})
}

// RestoreTrail writes pages of one day, from an archive, where they were: those that are there
// already are passed over.
func RestoreTrail(ctx context.Context, t Trail, pages []TrailPage) error {
	return t.WriteTrail(ctx, func(head TrailHead, _ time.Time) (*TrailBatch, error) {
		var b *TrailBatch
		for _, p := range pages {
			if p.Day < head.Day || p.Day == head.Day && p.Number < head.Pages {
				continue
			}
			events, err := ParseTrailPage(p.Text)
			if err != nil {
				return nil, err
			}
			if b == nil {
				if b, err = head.turn(events[0].Time); err != nil {
					return nil, err
				}
			}
			b.append(p, events[0].Time)
		}
		return b, nil
	})
}

// add makes the batch that writes events at that time, of each tenant as few pages as they
// take. With another day than the head's, that one is closed.
func (h TrailHead) add(at time.Time, events []TrailEvent) (*TrailBatch, error) {
	b, err := h.turn(at)
	if err != nil {
		return nil, err
	}
	page := func(tenant ID, events []TrailEvent) {
		b.append(TrailPage{Day: b.Head.Day, Number: b.Head.Pages, Tenant: tenant, Events: uint32(len(events)), Text: FormatTrailPage(tenant, at, events)}, at)
	}
	var order []ID
	of := map[ID][]TrailEvent{}
	for _, e := range events {
		if of[e.Tenant] == nil {
			order = append(order, e.Tenant)
		}
		of[e.Tenant] = append(of[e.Tenant], e)
		if len(of[e.Tenant]) == maxTrailEvents {
			page(e.Tenant, of[e.Tenant])
			of[e.Tenant] = of[e.Tenant][:0]
		}
	}
	for _, tenant := range order {
		if len(of[tenant]) > 0 {
			page(tenant, of[tenant])
		}
	}
	return b, nil
}

// turn begins a batch at that time, and closes the head's day if it is another.
func (h TrailHead) turn(at time.Time) (*TrailBatch, error) {
	if err := h.check(); err != nil {
		return nil, err
	}
	b := &TrailBatch{Head: h}
	if day := DayOf(at); day != h.Day {
		if h.Pages > 0 {
			closed := h.closed()
			b.Closed = &closed
		}
		b.Head = TrailHead{Day: day}
	}
	b.Head.Time = at
	return b, nil
}

// append adds a page to the batch.
func (b *TrailBatch) append(p TrailPage, at time.Time) {
	edge := proofs.RangeOf(b.Head.Pages, b.Head.Peaks)
	edge.Append(proofs.LeafHash(p.Text), nil)
	b.Pages = append(b.Pages, p)
	b.Head.Pages, b.Head.Events, b.Head.Peaks, b.Head.Time = b.Head.Pages+1, b.Head.Events+uint64(p.Events), edge.Peaks(), at
}
