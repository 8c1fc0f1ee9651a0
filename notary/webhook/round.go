package webhook

import (
	"context"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/muniment/muniment/notary"
)

// line is the calls of one case that are to be made now, in their order.
type line struct {
	name   string
	events []notary.Event
	held   bool // one that waits longer stands before what is still to come
}

// round makes the calls that are due, and looks at what is new.
func (w *worker) round(ctx context.Context) error {
	now := time.Now()
	lines, err := w.due(ctx, now)
	if err != nil {
		return err
	}
	more, err := w.fresh(ctx, lines)
	if err != nil {
		return err
	}
	troubled := w.call(ctx, lines)
	w.show()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if w.dirty && (troubled || now.Sub(w.saved) >= saving) {
		if err := w.save(ctx); err != nil {
			return err
		}
	}
	if !more {
		rest(ctx, pace)
	}
	return nil
}

// due collects what waits, by line. Of a line whose first is not due nothing is.
func (w *worker) due(ctx context.Context, now time.Time) (map[string]*line, error) {
	lines := map[string]*line{}
	for _, wait := range slices.Clone(w.state.Waiting) {
		l := at(lines, wait.Line)
		if l.held = l.held || wait.Due.After(now); l.held {
			continue
		}
		// What waits was subscribed to when it was met.
		events, _, err := w.d.Notary.Events(ctx, w.kept.Tenant, &notary.Subscription{}, wait.Index, 1)
		if err != nil {
			return nil, err
		}
		if len(events) == 0 || events[0].Index != wait.Index { // it is not there any more
			w.state.done(wait.Index)
			w.dirty = true
			continue
		}
		l.events = append(l.events, events[0])
	}
	return lines, nil
}

// at returns the line of that name, a new one if there is none.
func at(lines map[string]*line, name string) *line {
	if lines[name] == nil {
		lines[name] = &line{name: name}
	}
	return lines[name]
}

// fresh adds what is new, and reports whether there is more of it.
func (w *worker) fresh(ctx context.Context, lines map[string]*line) (more bool, err error) {
	limit := min(page, maxWaiting-len(w.state.Waiting))
	if limit <= 0 {
		return false, nil
	}
	events, next, err := w.d.Notary.Events(ctx, w.kept.Tenant, &w.subscription, w.state.Next, limit)
	if err != nil || next == w.state.Next {
		return false, err
	}
	w.state.Next, w.dirty = next, true
	for _, e := range events {
		l := at(lines, order(w.subscription.Secret, e))
		if l.held {
			w.state.behind(e.Index, l.name)
			continue
		}
		l.events = append(l.events, e)
	}
	return true, nil
}

// call makes the calls, of each case one after the other, and reports whether one failed.
func (w *worker) call(ctx context.Context, lines map[string]*line) (troubled bool) {
	var group errgroup.Group
	group.SetLimit(parallel)
	var mu sync.Mutex // over state and troubled
	for _, l := range lines {
		group.Go(func() error {
			for i, e := range l.events {
				at := time.Now()
				err := w.d.Caller.Call(ctx, w.kept, w.subscription, e, at)
				mu.Lock()
				w.dirty = true
				if err == nil {
					w.state.done(e.Index)
					mu.Unlock()
					w.d.measured.delivered(e, at)
					continue
				}
				troubled = true
				if ctx.Err() != nil { // nobody's failure: it is told after the next start
					for _, late := range l.events[i:] {
						w.state.behind(late.Index, l.name)
					}
					mu.Unlock()
					return nil
				}
				dead := w.state.failed(e.Index, l.name, time.Now(), err.Error())
				if !dead {
					for _, late := range l.events[i+1:] {
						w.state.behind(late.Index, l.name)
					}
				}
				mu.Unlock()
				w.d.measured.failed(dead)
				if !dead {
					return nil
				}
			}
			return nil
		})
	}
	_ = group.Wait()
	return troubled
}
