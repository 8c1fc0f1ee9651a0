package service

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/muniment/muniment/notary"
)

// Limits is how many deposits each tenant may make, at this process alone. Each line of a
// batch is one.
type Limits struct {
	Rate    int               // a second, on the average; 0: as many as it likes
	Burst   int               // at once, after a rest; a batch of more is taken when all of it is free
	Tenants map[notary.ID]int // Rate of tenants that have another; 0: as many as they like
}

// How those are refused who go on asking: the first few in a second at once, the others after
// a pause, which is shorter than what they were told to wait. So a tenant that floods the
// depository takes little of it, whose time is the other tenants'.
const (
	promptRefusals = 20                     // a second, of each tenant
	refusalPause   = 500 * time.Millisecond // on the average; half as long to half as long again
	// maxPaused bounds how many refusals wait, of all tenants: each holds its connection.
	maxPaused = 2048
)

// limiter keeps count of each tenant. It is safe for concurrent use.
type limiter struct {
	limits Limits
	paused atomic.Int64

	mu sync.Mutex
	of map[notary.ID]*counted
}

// counted is a tenant's deposits, and its refusals that are answered at once.
type counted struct {
	*rate.Limiter
	refusals *rate.Limiter
}

func newLimiter(l Limits) *limiter { return &limiter{limits: l, of: map[notary.ID]*counted{}} }

// pause has a refusal of a tenant wait its time.
func (l *limiter) pause(ctx context.Context, tenant notary.ID) {
	if of := l.bucket(tenant); of == nil || of.refusals.Allow() {
		return
	}
	defer l.paused.Add(-1)
	if l.paused.Add(1) > maxPaused {
		return
	}
	wait := time.NewTimer(refusalPause/2 + rand.N(refusalPause)) // not all of them at one moment
	defer wait.Stop()
	select {
	case <-wait.C:
	case <-ctx.Done():
	}
}

// take counts deposits of a tenant, or refuses them as too many for now. Nothing is counted
// of what is refused.
func (l *limiter) take(tenant notary.ID, deposits int) error {
	of := l.bucket(tenant)
	if of == nil {
		return nil
	}
	now := time.Now()
	r := of.ReserveN(now, min(deposits, of.Burst()))
	wait := r.DelayFrom(now)
	if wait == 0 {
		return nil
	}
	r.CancelAt(now)
	return tooFast(of, wait)
}

// spent refuses one deposit of a tenant, if it would be refused now. It counts nothing.
func (l *limiter) spent(tenant notary.ID) *refusal {
	of := l.bucket(tenant)
	if of == nil {
		return nil
	}
	lacking := 1 - of.TokensAt(time.Now())
	if lacking <= 0 {
		return nil
	}
	return tooFast(of, time.Duration(lacking/float64(of.Limit())*float64(time.Second)))
}

// bucket is the count of a tenant; nil: it has no limit.
func (l *limiter) bucket(tenant notary.ID) *counted {
	most, other := l.limits.Tenants[tenant]
	if !other {
		most = l.limits.Rate
	}
	if most == 0 {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	of := l.of[tenant]
	if of == nil { // as many as there are tenants
		of = &counted{rate.NewLimiter(rate.Limit(most), max(l.limits.Burst, 1)), rate.NewLimiter(promptRefusals, promptRefusals)}
		l.of[tenant] = of
	}
	return of
}

func tooFast(of *counted, wait time.Duration) *refusal {
	return &refusal{
		problem: rateLimited, after: int(math.Ceil(wait.Seconds())),
		detail: fmt.Sprintf("Your tenant may make %.0f deposits a second here, and has. Nothing was kept.", float64(of.Limit())),
	}
}
