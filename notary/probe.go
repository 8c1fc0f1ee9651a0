package notary

import (
	"context"
	"fmt"
	"time"
)

// A store that breaks while nobody deposits is found by a probe: every probeEvery
// each store is asked for as little as shows that it works.
const (
	probeEvery   = time.Second
	probeTimeout = 2 * time.Second
)

// runProbe probes without end. It has a goroutine of its own, since a store that
// hangs may not heed its context; Status then finds the probe under way for too long.
func (n *Notary) runProbe() {
	defer n.workers.Done()
	for {
		t := time.NewTimer(probeEvery)
		select {
		case <-t.C:
		case <-n.run.Done():
			t.Stop()
			return
		}
		n.probe()
	}
}

func (n *Notary) probe() {
	ctx, cancel := context.WithTimeout(n.run, probeTimeout)
	defer cancel()
	defer n.ready.begin(&n.ready.probing)()
	err := n.probeStores(ctx)
	if n.run.Err() != nil {
		return // stopped meanwhile: that is no finding
	}
	switch before := n.ready.probe(err); {
	case before == nil && err != nil:
		n.config.Logger.Error("a store does not work", "error", err)
	case before != nil && err == nil:
		n.config.Logger.Info("all stores work again")
	}
}

// probeStores asks each store in turn; one that does not work is enough.
func (n *Notary) probeStores(ctx context.Context) error {
	asked := time.Now()
	now, err := n.config.Ledger.Now(ctx)
	if err == nil {
		n.metrics.departure.Set(n.clock.depart(now, asked).Seconds())
		_, err = n.config.Ledger.Head(ctx)
	}
	if err != nil {
		return n.unavailable(fmt.Errorf("probing the ledger: %w", err))
	}
	for i := range n.config.Anchors {
		if err := n.probeAnchor(ctx, i); err != nil {
			return n.unavailable(fmt.Errorf("probing %w", err))
		}
	}
	if n.config.Room() != nil {
		return nil // Status says so, and a full disk is not written to
	}
	if err := n.config.Blobs.Probe(ctx); err != nil {
		return n.unavailable(fmt.Errorf("probing the blobs: %w", err))
	}
	return nil
}
