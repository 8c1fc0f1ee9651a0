package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/muniment/muniment/notary"
)

// A running depository answers its operator through the unix socket DIR/control,
// which only the owner of DIR may open: another process cannot open the ledger
// beside it.

// answerWithin bounds the wait for the first word of a running depository.
const answerWithin = 5 * time.Second

// step is one line of the answer to POST /fsck: progress, and at last a report or
// an error.
type step struct {
	Done   uint64         `json:"done,omitempty"`
	Total  uint64         `json:"total,omitempty"`
	Report *notary.Report `json:"report,omitempty"`
	Error  string         `json:"error,omitempty"`
}

// socketPath names DIR/control through the directory's descriptor, since a socket's
// path may have 107 bytes only. The descriptor must stay open while it is used.
func socketPath(dir *os.File) string {
	return fmt.Sprintf("/proc/self/fd/%d/control", dir.Fd())
}

// listenControl opens the socket. The directory's lock is held, so a socket that is
// there was left by a process that is gone.
func listenControl(dir *os.File) (net.Listener, error) {
	path := filepath.Join(dir.Name(), "control")
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	l, err := net.Listen("unix", socketPath(dir))
	if err != nil {
		return nil, err
	}
	return l, os.Chmod(path, 0o600)
}

// serveControl answers until ctx ends.
func serveControl(ctx context.Context, l net.Listener, n *notary.Notary, logger *slog.Logger) {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /fsck", func(w http.ResponseWriter, r *http.Request) { streamFsck(w, r, n) })
	s := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	go func() {
		<-ctx.Done()
		s.Close()
	}()
	if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		logger.Error("control socket", "error", err)
	}
}

func streamFsck(w http.ResponseWriter, r *http.Request, n *notary.Notary) {
	last := time.Now()
	// An answer that cannot be written has nobody waiting for it.
	tell := func(s step) { _ = json.NewEncoder(w).Encode(s) }
	tell(step{}) // at once: the first document may take long
	_ = http.NewResponseController(w).Flush()
	report, err := n.Fsck(r.Context(), func(done, total uint64) {
		if time.Since(last) > 100*time.Millisecond {
			last = time.Now()
			tell(step{Done: done, Total: total})
			_ = http.NewResponseController(w).Flush()
		}
	})
	if err != nil {
		tell(step{Error: err.Error()})
		return
	}
	tell(step{Report: report})
}

// askFsck lets the running depository check itself.
func askFsck(ctx context.Context, dir string, progress func(done, total uint64)) (*notary.Report, error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	client := http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socketPath(d))
		},
		// A process that was stopped still has its socket.
		ResponseHeaderTimeout: answerWithin,
	}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://control/fsck", nil)
	if err != nil {
		return nil, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("%w, and it does not answer at %s", errTaken, filepath.Join(dir, "control"))
	}
	defer resp.Body.Close()
	for in := json.NewDecoder(resp.Body); ; {
		var s step
		switch err := in.Decode(&s); {
		case err != nil:
			return nil, fmt.Errorf("the depository stopped answering: %w", err)
		case s.Error != "":
			return nil, errors.New(s.Error)
		case s.Report != nil:
			return s.Report, nil
		}
		progress(s.Done, s.Total)
	}
}
