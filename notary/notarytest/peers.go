package notarytest

import (
	"context"
	"sync"
	"time"

	"github.com/muniment/muniment/notary"
)

// Peers is what replicas in one process know of one another. Each replica has a Peers of
// its own, from Replica, so that one can be cut off from the others.
type Peers struct {
	Faults *Faults

	shared *lease
	heard  chan struct{} // of one place
	news   notary.News   // under shared.mu: what the token in heard is about
}

// lease is what all replicas share.
type lease struct {
	now func() time.Time

	mu     sync.Mutex
	holder notary.ID
	until  time.Time
	all    []*Peers
}

// NewPeers returns the Peers of a first replica, with that clock; nil is time.Now.
func NewPeers(now func() time.Time) *Peers {
	if now == nil {
		now = time.Now
	}
	return (&lease{now: now}).replica()
}

func (l *lease) replica() *Peers {
	p := &Peers{
		Faults: &Faults{names: []string{"Lead", "Resign", "Announce", "Listen"}},
		shared: l,
		heard:  make(chan struct{}, 1),
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, p)
	return p
}

// Replica returns the Peers of another replica.
func (p *Peers) Replica() *Peers { return p.shared.replica() }

// Lead implements notary.Peers.
func (p *Peers) Lead(ctx context.Context, holder notary.ID, term time.Duration) (leads bool, err error) {
	err = p.Faults.call(ctx, "Lead", func() error {
		l := p.shared
		l.mu.Lock()
		defer l.mu.Unlock()
		if now := l.now(); l.holder == holder || !now.Before(l.until) {
			l.holder, l.until, leads = holder, now.Add(term), true
		}
		return nil
	})
	return leads && err == nil, err
}

// Resign implements notary.Peers.
func (p *Peers) Resign(ctx context.Context, holder notary.ID) error {
	return p.Faults.call(ctx, "Resign", func() error {
		l := p.shared
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.holder == holder {
			l.holder, l.until = notary.ID{}, time.Time{}
		}
		return nil
	})
}

// Announce implements notary.Peers.
func (p *Peers) Announce(ctx context.Context, news notary.News) error {
	return p.Faults.call(ctx, "Announce", func() error {
		p.shared.mu.Lock()
		defer p.shared.mu.Unlock()
		for _, other := range p.shared.all {
			other.news |= news
			select {
			case other.heard <- struct{}{}:
			default: // it has not listened yet to the one before
			}
		}
		return nil
	})
}

// Listen implements notary.Peers.
func (p *Peers) Listen(ctx context.Context) (notary.News, error) {
	fault := p.Faults.next("Listen")
	if fault.Kind == None {
		select {
		case <-p.heard:
			p.shared.mu.Lock()
			defer p.shared.mu.Unlock()
			news := p.news
			p.news = 0
			return news, nil
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
	return 0, fault.answer(ctx)
}
