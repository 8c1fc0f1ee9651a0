package service

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/muniment/muniment/notary"
)

// minPace is the slowest a body may come, in bytes per second, on the whole.
const minPace = 16 << 10

// body is a request's body, bounded in size and in time. Its errors are refusals.
type body struct {
	x     *exchange
	ctx   context.Context
	from  io.Reader
	allow int64  // bytes that may still come
	what  string // says the bound, where it is passed
	stall time.Duration
	// digests are what the body was announced to be: its end is reported only if it
	// was.
	digests []contentDigest

	err   error // why it broke off, if it did
	read  int64
	spent time.Duration // in waiting for the caller, not for storage
}

// body opens the request's body for at most allow bytes of what. A body that says it
// is longer, is encoded, or of which nobody can tell what was announced, is refused
// unread.
func (s *server) body(r *http.Request, allow int64, what string) (*body, error) {
	if coding := r.Header.Get("Content-Encoding"); coding != "" && coding != "identity" {
		return nil, refuse(unsupportedMediaType, "A body with a Content-Encoding is not accepted; send it as it is.")
	}
	if r.ContentLength > allow {
		return nil, refuse(tooLarge, what)
	}
	digests, err := contentDigests(r.Header)
	if err != nil {
		return nil, err
	}
	b := &body{x: of(r), ctx: r.Context(), from: r.Body, allow: allow, what: what, stall: s.Stall, digests: digests}
	// A request that is over, or a server that stops, ends the wait for the caller.
	b.x.unwatch = context.AfterFunc(b.ctx, func() { _ = b.x.conn.SetReadDeadline(time.Unix(1, 0)) })
	return b, nil
}

// Read implements io.Reader.
func (b *body) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	begun := time.Now()
	patience := min(b.stall, b.stall+time.Duration(b.read/minPace)*time.Second-b.spent)
	_ = b.x.conn.SetReadDeadline(begun.Add(patience))
	if b.ctx.Err() != nil { // asked after the deadline is set: what ends the context sets it again
		b.err = b.fault(b.ctx.Err())
		return 0, b.err
	}
	if int64(len(p)) > b.allow+1 {
		p = p[:b.allow+1] // one more tells whether there is more
	}
	n, err := b.from.Read(p)
	b.spent += time.Since(begun)
	b.read += int64(n)
	b.x.read += int64(n)
	b.allow -= int64(n)
	b.came(p[:n])
	if n > 0 {
		b.x.moved()
	}
	switch {
	case b.allow < 0:
		b.err = refuse(tooLarge, b.what)
		return 0, b.err
	case err == io.EOF:
		// The server watches the connection from here on, and would take a deadline
		// that passes for a caller who left.
		b.x.unwatch()
		_ = b.x.conn.SetReadDeadline(time.Time{})
		if b.err = b.announced(); b.err == nil {
			return n, err
		}
	case err != nil:
		b.err = b.fault(err)
	}
	return n, b.err
}

// fault says why the body broke off.
func (b *body) fault(err error) error {
	switch cause := context.Cause(b.ctx); {
	case errors.Is(cause, notary.ErrStopped):
		return notary.ErrStopped
	case errors.Is(err, os.ErrDeadlineExceeded):
		return refuse(timeout, "The body came too slowly. Nothing was kept.")
	case errors.Is(cause, context.DeadlineExceeded): // not in a read, so in storage
		return fmt.Errorf("%w: %w", notary.ErrUnavailable, cause)
	}
	return errTruncated
}

var errTruncated = refuse(truncatedUpload, "The body ended before it was complete. Nothing was kept.")
