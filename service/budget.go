package service

import (
	"io"
	"sync/atomic"
)

// Bounds of the memory that callers' bodies take while they come in.
const (
	maxDecoding  = 128 << 20 // all batches together, decoded
	maxVerifying = 32 << 20  // all receipts and policies to be checked
)

// budget bounds what all requests of a kind hold in memory at once, in bytes.
type budget struct {
	most int64
	used atomic.Int64
}

// share is one request's part of a budget.
type share struct {
	of *budget
	n  int64
}

// take adds n bytes to the share, or refuses the request as one too many.
func (s *share) take(n int) error {
	if s.of.used.Add(int64(n)) > s.of.most {
		s.of.used.Add(int64(-n))
		return refuse(busy, "Too much is being received at once. Nothing was kept; try again soon.")
	}
	s.n += int64(n)
	return nil
}

// release gives the share back. It must be called once.
func (s *share) release() { s.of.used.Add(-s.n) }

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
