package service

import (
	"io"
	"sync"

	"github.com/muniment/muniment/notary"
)

// Bounds of the memory that callers' bodies take while they come in.
const (
	maxDecoding  = 128 << 20 // all batches together, decoded
	maxVerifying = 32 << 20  // all receipts and policies to be checked
)

// budget bounds what all requests of a kind hold in memory at once, in bytes. One tenant can
// take three quarters of it, so that one who sends slowly leaves others some.
type budget struct {
	most int64

	mu   sync.Mutex
	used int64
	by   map[notary.ID]int64 // only tenants that hold some
}

// share is one request's part of a budget.
type share struct {
	of     *budget
	tenant notary.ID // zero: of nobody, as of a request without an account
	n      int64
}

// take adds n bytes to the share, or refuses the request as one too many.
func (s *share) take(n int) error {
	b, more := s.of, int64(n)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.used+more > b.most || s.tenant != (notary.ID{}) && b.by[s.tenant]+more > b.most*3/4 {
		return refuse(busy, "Too much is being received at once. Nothing was kept; try again soon.")
	}
	if b.by == nil {
		b.by = map[notary.ID]int64{}
	}
	s.n += more
	b.used += more
	b.by[s.tenant] += more
	return nil
}

// release gives the share back. It must be called once.
func (s *share) release() {
	b := s.of
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used -= s.n
	if left := b.by[s.tenant] - s.n; left > 0 {
		b.by[s.tenant] = left
	} else {
		delete(b.by, s.tenant)
	}
}

// charged takes of the budget what it reads, twice: a buffer that grows holds both
// the old and the new.
type charged struct {
	io.Reader
	*share
}

func (c *charged) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	if busy := c.take(2 * n); busy != nil {
		return 0, busy
	}
	return n, err
}
