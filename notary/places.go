package notary

import (
	"sync"
)

// places are what may be under way at once. One tenant can take three quarters of them, so
// that whatever it does, others find some.
type places struct {
	most int64

	mu    sync.Mutex
	taken int64
	of    map[ID]int64 // only tenants that have some
}

func newPlaces(most int) *places { return &places{most: int64(most), of: map[ID]int64{}} }

// take takes count places for a tenant, all or none.
func (p *places) take(tenant ID, count int) bool {
	n := int64(count)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.taken+n > p.most || p.of[tenant]+n > p.share() {
		return false
	}
	p.taken += n
	p.of[tenant] += n
	return true
}

// give gives them back.
func (p *places) give(tenant ID, count int) {
	n := int64(count)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.taken -= n
	if p.of[tenant] -= n; p.of[tenant] <= 0 {
		delete(p.of, tenant)
	}
}

// share is how many one tenant can take.
func (p *places) share() int64 { return max(p.most*3/4, 1) }

// full reports whether a tenant can take no more.
func (p *places) full(tenant ID) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.taken >= p.most || p.of[tenant] >= p.share()
}

// used is how many are taken.
func (p *places) used() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.taken
}
