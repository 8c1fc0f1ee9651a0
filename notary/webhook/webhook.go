// Package webhook tells tenants' systems what was published, over HTTP: signed, at least
// once, and in the order of each case. It runs beside the notary on the replica that
// seals, and reads the log as it stands in the ledger: there is no queue that could lose
// something or grow.
//
// A call that fails is made again, later and later, for two days and a half, and what
// comes after it in the same case waits for it; other cases go on. Then it is dead: it is
// listed, later ones of its case go on, and it can be told anew.
package webhook

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/muniment/muniment/notary"
)

const (
	pace     = time.Second     // between two looks at the log, of each webhook
	survey   = 2 * time.Second // between two looks at which webhooks there are
	saving   = 5 * time.Second // between two notes of what was delivered
	page     = 100             // entries looked at together
	parallel = 8               // calls of one webhook at once
)

// Dispatcher makes the calls of all webhooks.
type Dispatcher struct {
	Notary *notary.Notary
	Store  notary.Webhooks
	Caller *Caller
	Logger *slog.Logger
	// Metrics is where Run registers what it measures.
	Metrics prometheus.Registerer

	measured *metrics
}

// Run works until ctx ends.
func (d *Dispatcher) Run(ctx context.Context) error {
	d.measured = newMetrics()
	if err := d.Metrics.Register(d.measured); err != nil {
		return err
	}
	defer d.Metrics.Unregister(d.measured)
	running := map[notary.ID]*worker{}
	var all sync.WaitGroup
	defer all.Wait()
	for {
		d.look(ctx, running, &all)
		select {
		case <-ctx.Done():
			for _, w := range running {
				w.stop()
			}
			return nil
		case <-time.After(survey):
		}
	}
}

// look starts who is new, and stops who is gone, or all when another replica seals.
func (d *Dispatcher) look(ctx context.Context, running map[notary.ID]*worker, all *sync.WaitGroup) {
	var webhooks []notary.Webhook
	if d.Notary.Leads() {
		var err error
		if webhooks, err = d.Store.Webhooks(ctx, notary.ID{}); err != nil {
			if ctx.Err() == nil {
				d.Logger.Warn("the webhooks cannot be read; trying again", "error", err)
			}
			return
		}
	}
	there := map[notary.ID]bool{}
	for _, w := range webhooks {
		there[w.ID] = true
		if running[w.ID] != nil {
			continue
		}
		own, stop := context.WithCancel(ctx)
		k := &worker{d: d, stop: stop, kept: w}
		running[w.ID] = k
		all.Go(func() { k.run(own) })
	}
	for id, w := range running {
		if !there[id] {
			w.stop()
			delete(running, id)
		}
	}
	d.measured.count(running)
}

// worker makes the calls of one webhook.
type worker struct {
	d    *Dispatcher
	stop context.CancelFunc
	kept notary.Webhook // as it is stored

	subscription notary.Subscription
	state        State
	dirty        bool // state is not the stored one
	saved        time.Time

	mu            sync.Mutex // over what metrics read
	waiting, dead int
}

func (w *worker) run(ctx context.Context) {
	defer w.stop()
	for ctx.Err() == nil {
		err := w.load(ctx)
		for err == nil && ctx.Err() == nil {
			err = w.round(ctx)
		}
		switch {
		case errors.Is(err, notary.ErrNotFound): // deleted
			return
		case errors.Is(err, notary.ErrConflict): // somebody replayed it, or another replica took over
			continue
		case err != nil && ctx.Err() == nil:
			w.d.Logger.Warn("a webhook rests", "webhook", w.kept.ID, "error", err)
			rest(ctx, survey)
		}
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), survey)
	defer cancel()
	_ = w.save(last) // what is not noted is told once more
}

// load reads the webhook anew.
func (w *worker) load(ctx context.Context) error {
	all, err := w.d.Store.Webhooks(ctx, w.kept.Tenant)
	if err != nil {
		return err
	}
	for _, k := range all {
		if k.ID != w.kept.ID {
			continue
		}
		w.kept = k
		if w.subscription, err = w.d.Notary.Subscription(k); err != nil {
			return err
		}
		w.dirty = false
		w.state, err = ParseState(k)
		w.show()
		return err
	}
	return notary.ErrNotFound
}

// save notes how far the webhook has come.
func (w *worker) save(ctx context.Context) error {
	if !w.dirty {
		return nil
	}
	next := w.kept
	next.State = w.state.Marshal()
	if err := w.d.Store.SaveWebhook(ctx, next); err != nil {
		return err
	}
	next.Version++
	w.kept, w.dirty, w.saved = next, false, time.Now()
	return nil
}

func (w *worker) show() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.waiting, w.dead = len(w.state.Waiting), len(w.state.Dead)
}

func rest(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
