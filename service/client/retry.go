package client

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"time"
)

// The bounds of trying again.
const (
	maxAttempts = 6
	firstWait   = 250 * time.Millisecond
	maxWait     = 8 * time.Second
	// maxWaiting is the most that is waited in all. Who asks for more is not waited
	// for: the caller gets the Problem, and RetryAfter in it.
	maxWaiting = 2 * time.Minute
)

// do sends a request until it succeeds or nothing can come of it any more.
func (c *Client) do(ctx context.Context, k *call) error {
	sleep := c.sleep
	if sleep == nil {
		sleep = pause
	}
	var waited time.Duration
	for attempt := 1; ; attempt++ {
		err := c.once(ctx, k)
		if err == nil || ctx.Err() != nil || attempt == maxAttempts || !retriable(err) {
			return err
		}
		wait := backoff(attempt)
		var p *Problem
		if errors.As(err, &p) {
			wait = max(wait, p.RetryAfter)
			if k.atOnce && (p.Type == ProblemSealingDelayed || (p.Type == ProblemWitnessQuorum || p.Type == ProblemSecondOpinion) && p.Committed) {
				return err
			}
		}
		if waited += wait; waited > maxWaiting {
			return err
		}
		if c.Retrying != nil {
			c.Retrying(err, wait)
		}
		// The error that counts is the server's, not that the waiting was cut short.
		if sleep(ctx, wait) != nil {
			return err
		}
	}
}

// get sends a request as do does, and returns the whole answer.
func (c *Client) get(ctx context.Context, k call) (data []byte, err error) {
	k.read = func(_ http.Header, body io.Reader) (err error) {
		data, err = io.ReadAll(body)
		return err
	}
	if err := c.do(ctx, &k); err != nil {
		return nil, err
	}
	return data, nil
}

// retriable: whatever broke on the way may hold next time, and of what the server
// says it says itself. What is wrong on this side stays wrong.
func retriable(err error) bool {
	var p *Problem
	if errors.As(err, &p) {
		return p.Retry()
	}
	var cert *tls.CertificateVerificationError
	switch {
	case errors.Is(err, errCut):
		return true
	case errors.Is(err, ErrServer), errors.Is(err, ErrAnswer), errors.Is(err, ErrReceipt), errors.Is(err, ErrLog),
		errors.Is(err, ErrChanged), errors.Is(err, errLocal), errors.Is(err, errPlace):
		return false
	case errors.As(err, &cert):
		return false
	}
	return true
}

// backoff doubles, and spreads callers that failed together.
func backoff(attempt int) time.Duration {
	d := min(firstWait<<(attempt-1), maxWait)
	return d/2 + rand.N(d/2)
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
