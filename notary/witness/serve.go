package witness

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Bounds of a connection. A request is one round trip, and small.
const (
	readTimeout    = 10 * time.Second
	writeTimeout   = 20 * time.Second // from the end of the request's header; the commit is in it
	idleTimeout    = 2 * time.Minute
	maxHeaderBytes = 8 << 10
	maxConnections = 512
)

// Serve answers requests on l until ctx ends or the server stops itself, whose error it
// returns. Requests under way have grace to end. It closes l.
func (s *Server) Serve(ctx context.Context, l net.Listener, grace time.Duration) error {
	h := &http.Server{
		Handler:        s.Handler(),
		ReadTimeout:    readTimeout,
		WriteTimeout:   writeTimeout,
		IdleTimeout:    idleTimeout,
		MaxHeaderBytes: maxHeaderBytes,
		ErrorLog:       slog.NewLogLogger(s.config.Logger.Handler(), slog.LevelWarn),
	}
	ended := make(chan error, 1)
	go func() { ended <- h.Serve(&limited{l, make(chan struct{}, maxConnections)}) }()
	var err error
	select {
	case err := <-ended:
		return err
	case <-s.failed:
		err = s.Err()
	case <-ctx.Done():
	}
	last, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	if late := h.Shutdown(last); errors.Is(late, context.DeadlineExceeded) {
		return errors.Join(err, h.Close())
	} else if late != nil {
		return errors.Join(err, late)
	}
	return err
}

// limited accepts so many connections at a time; more wait in the system's queue.
type limited struct {
	net.Listener
	places chan struct{}
}

func (l *limited) Accept() (net.Conn, error) {
	l.places <- struct{}{}
	c, err := l.Listener.Accept()
	if err != nil {
		<-l.places
		return nil, err
	}
	return &placed{Conn: c, leave: func() { <-l.places }}, nil
}

// placed gives its place back once, however often it is closed.
type placed struct {
	net.Conn
	leave func()
	once  sync.Once
}

func (c *placed) Close() error {
	err := c.Conn.Close()
	c.once.Do(c.leave)
	return err
}

// Handler returns the HTTP interface: POST /add-checkpoint and GET /<hex SHA-256 of an
// origin>/checkpoint as C2SP tlog-witness has them, with one prefix for both, and GET
// /healthz and /metrics.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /add-checkpoint", s.addCheckpoint)
	mux.HandleFunc("GET /{log}/checkpoint", s.checkpoint)
	mux.HandleFunc("GET /healthz", s.health)
	if s.config.Metrics != nil {
		mux.Handle("GET /metrics", promhttp.HandlerFor(s.config.Metrics, promhttp.HandlerOpts{}))
	}
	return mux
}

// statuses are those of C2SP tlog-witness; 429 and 503 are HTTP's own for a later try.
var statuses = map[string]int{
	resultMalformed: http.StatusBadRequest,
	resultUnknown:   http.StatusNotFound,
	resultSignature: http.StatusForbidden,
	resultProof:     http.StatusUnprocessableEntity,
	resultBusy:      http.StatusServiceUnavailable,
	resultFailed:    http.StatusServiceUnavailable,
}

func (s *Server) addCheckpoint(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequest))
	if err != nil {
		s.metrics.requests.WithLabelValues(resultMalformed).Inc()
		status := http.StatusBadRequest
		if large := (*http.MaxBytesError)(nil); errors.As(err, &large) {
			status = http.StatusRequestEntityTooLarge
		}
		http.Error(w, fmt.Sprintf("the body cannot be read, or is longer than %d bytes", maxRequest), status)
		return
	}
	a := s.submit(body)
	s.metrics.requests.WithLabelValues(a.result).Inc()
	switch a.result {
	case resultCosigned:
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = io.WriteString(w, a.body) // who is gone asks again
	case resultConflict:
		w.Header().Set("Content-Type", "text/x.tlog.size")
		w.WriteHeader(http.StatusConflict)
		_, _ = fmt.Fprintf(w, "%d\n", a.size)
	default:
		if statuses[a.result] == http.StatusServiceUnavailable {
			w.Header().Set("Retry-After", "1")
		}
		http.Error(w, a.err.Error(), statuses[a.result])
	}
}

// checkpoint is for monitors. A log that is no longer cosigned for is still shown.
func (s *Server) checkpoint(w http.ResponseWriter, r *http.Request) {
	note, ok := s.byHash(r.PathValue("log"))
	if !ok {
		http.Error(w, "no checkpoint of such a log was cosigned here", http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-cache")
	_, _ = w.Write(note)
}

func (s *Server) byHash(hash string) ([]byte, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for origin, r := range s.state {
		if hashOf(origin) == hash {
			return r.note.Marshal(), true
		}
	}
	return nil, false
}

func (s *Server) health(w http.ResponseWriter, _ *http.Request) {
	if err := s.Err(); err != nil {
		http.Error(w, "cannot cosign; the log says why", http.StatusServiceUnavailable)
		return
	}
	_, _ = io.WriteString(w, "ok\n")
}
