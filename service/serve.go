package service

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/muniment/muniment/notary"
)

const (
	readHeaderTimeout = 10 * time.Second
	idleTimeout       = 2 * time.Minute
	maxHeaderBytes    = 16 << 10
	// parting is the part of the grace that is left, when it ends, for answering the
	// requests that did not come to an end in it.
	parting = 4 // a quarter
)

// Serve answers requests on l until ctx ends, and then stops: no new connection is
// taken, requests under way have grace to end, uploads that do not are refused as
// stopping, and whoever is left is cut off. It closes l.
func Serve(ctx context.Context, l net.Listener, h http.Handler, grace time.Duration) error {
	base, cut := context.WithCancelCause(context.Background())
	defer cut(nil)
	s := &http.Server{
		Handler:           h,
		BaseContext:       func(net.Listener) context.Context { return base },
		ReadHeaderTimeout: readHeaderTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(slog.Default().Handler(), slog.LevelWarn),
	}
	// The rest of the timeouts depend on the request and are set by it.
	failed := make(chan error, 1)
	go func() { failed <- s.Serve(l) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	urge := time.AfterFunc(grace-grace/parting, func() { cut(notary.ErrStopped) })
	defer urge.Stop()
	last, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	if err := s.Shutdown(last); errors.Is(err, context.DeadlineExceeded) {
		return s.Close()
	} else if err != nil {
		return err
	}
	return nil
}
