package service

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/muniment/muniment/notary"
)

// exchange is one request and its answer, with their bounds in time. It is the
// ResponseWriter that handlers see.
//
// A large document may take long, a stalled one may not. So the context of a
// request ends when no byte of it has moved for Wait, and each read and write has
// a deadline of its own on the connection.
type exchange struct {
	http.ResponseWriter
	conn      *http.ResponseController
	id        string // the request's; ours, never the caller's
	principal notary.Principal
	outer     *exchange     // of the page for which this is asked; nil: nobody's
	about     notary.ID     // the tenant that an operator's request is about; zero: the one it looks at, or none
	status    int           // 0 until the answer has begun
	bytes     int64         // written of the answer's body
	read      int64         // of the request's
	spent     time.Duration // in writing the answer
	wait      time.Duration
	patience  *time.Timer // cancels the context
	unwatch   func() bool // ends the watch of a body over the context
	// note writes down that the answer begins with that status; nil: it has, or withheld it.
	note func(status int) error
	// refuse answers instead of the handler, with what kept its answer back.
	refuse   func(error)
	withheld error
}

type exchangeKey struct{}

// of returns the exchange of a request.
func of(r *http.Request) *exchange { return r.Context().Value(exchangeKey{}).(*exchange) }

// moved grants the request more time: a byte of it has moved.
func (x *exchange) moved() {
	x.patience.Reset(x.wait)
	if x.outer != nil {
		x.outer.moved()
	}
}

// WriteHeader begins the answer, once it is written down who is given it. If it cannot be,
// a problem takes its place.
func (x *exchange) WriteHeader(status int) {
	if note := x.note; note != nil {
		x.note = nil
		if err := note(status); err != nil {
			x.refuse(err)
			x.withheld = err
		}
	}
	if x.withheld != nil {
		return
	}
	if x.status == 0 {
		x.status = status
	}
	_ = x.conn.SetWriteDeadline(time.Now().Add(x.wait)) // not every test writer can
	x.ResponseWriter.WriteHeader(status)
}

// Write sends part of the answer, which the caller must take within wait, and on the
// whole no slower than at minPace: what it was given stays in memory until then.
func (x *exchange) Write(p []byte) (int, error) {
	if x.status == 0 {
		x.WriteHeader(http.StatusOK)
	}
	if x.withheld != nil {
		return 0, x.withheld
	}
	begun := time.Now()
	_ = x.conn.SetWriteDeadline(begun.Add(min(x.wait, x.wait+time.Duration(x.bytes/minPace)*time.Second-x.spent)))
	n, err := x.ResponseWriter.Write(p)
	x.spent += time.Since(begun)
	x.bytes += int64(n)
	if n > 0 {
		x.moved()
	}
	return n, err
}

// Unwrap is for http.ResponseController.
func (x *exchange) Unwrap() http.ResponseWriter { return x.ResponseWriter }

// exchange gives each request its exchange, logs it, and turns a panic into a
// problem.
func (s *server) exchange(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		begun := time.Now()
		ctx, cancel := context.WithCancelCause(r.Context())
		x := &exchange{ResponseWriter: w, conn: http.NewResponseController(w), id: newRequestID(), wait: s.Wait, unwatch: func() bool { return true }}
		x.outer, _ = r.Context().Value(exchangeKey{}).(*exchange)
		x.patience = time.AfterFunc(s.Wait, func() { cancel(context.DeadlineExceeded) })
		defer func() {
			x.patience.Stop()
			x.unwatch() // before cancel: the connection may go on to another request
			cancel(nil)
		}()
		// What the connection's last request left behind does not hold for this one.
		_ = x.conn.SetWriteDeadline(begun.Add(s.Wait))
		if r.Body != nil && r.Body != http.NoBody {
			// Also for a body that no handler reads: the server reads on, to keep the
			// connection, when the answer is written.
			_ = x.conn.SetReadDeadline(begun.Add(s.Stall))
		}
		h := w.Header()
		h.Set("X-Request-Id", x.id)
		h.Set("X-Content-Type-Options", "nosniff")
		r = r.WithContext(context.WithValue(ctx, exchangeKey{}, x))
		x.note = func(status int) error { return s.writeDown(r, x, status) }
		x.refuse = func(err error) {
			for name := range h {
				if name != "X-Request-Id" && name != "X-Content-Type-Options" {
					h.Del(name)
				}
			}
			s.fail(x, r, err)
		}
		defer s.log(r, x, begun)
		s.metrics.inFlight.Inc()
		defer s.metrics.answered(r, x, begun)
		linger := x.lingers(r)
		defer linger()
		defer s.recover(r, x)
		next.ServeHTTP(x, r)
	})
}

// farewell is how long a caller may take to hear that its upload is refused.
const farewell = 500 * time.Millisecond

// lingers prepares for a refusal in the middle of an upload, and returns what is to
// be done when the request has been answered: to read on for a moment. A connection
// that is closed while its peer still sends is reset, and the reset can overtake the
// answer (RFC 9112 §9.6). net/http takes care of that, except where the caller
// waited for 100 Continue, as callers with large documents do.
func (x *exchange) lingers(r *http.Request) func() {
	if r.Header.Get("Expect") == "" || x.conn.EnableFullDuplex() != nil {
		return func() {}
	}
	body := r.Body
	return func() {
		if x.status < 400 {
			return
		}
		_ = x.conn.Flush()
		if x.conn.SetReadDeadline(time.Now().Add(farewell)) == nil {
			_, _ = io.Copy(io.Discard, body)
		}
	}
}

func newRequestID() string {
	var b [8]byte
	rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// recover answers a request whose handler panicked. What was said to panic may be
// the caller's words, so it is logged only where the Go runtime said it.
func (s *server) recover(r *http.Request, x *exchange) {
	v := recover()
	if v == nil {
		return
	}
	if err, ok := v.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		panic(v)
	}
	what := fmt.Sprintf("%T", v)
	if e, ok := v.(runtime.Error); ok {
		what = e.Error()
	}
	s.Logger.LogAttrs(r.Context(), slog.LevelError, "a handler panicked",
		slog.String("request", x.id), slog.String("panic", what), slog.String("stack", string(debug.Stack())))
	if x.status != 0 {
		panic(http.ErrAbortHandler) // an answer that broke off must not look whole
	}
	s.fail(x, r, refuse(panicked, "The operator's log has more."))
}

// panicked is the internal problem, logged already.
var panicked = func() *problem { p := *internal; p.logged = false; return &p }()

// log writes the access log: nothing in it is the caller's text.
func (s *server) log(r *http.Request, x *exchange, begun time.Time) {
	level := slog.LevelInfo
	route := chi.RouteContext(r.Context()).RoutePattern()
	switch route {
	case "":
		route = "none"
	case "/healthz", "/readyz", "/metrics":
		level = slog.LevelDebug
	}
	if !s.Logger.Enabled(r.Context(), level) {
		return
	}
	attrs := []slog.Attr{
		slog.String("request", x.id),
		slog.String("method", knownMethod(r.Method)),
		slog.String("route", route),
		slog.Int("status", x.status),
		slog.Int64("bytes", x.bytes),
		slog.Duration("duration", time.Since(begun)),
	}
	if tenant := x.principal.Tenant.ID; tenant != (notary.ID{}) {
		attrs = append(attrs, slog.String("tenant", tenant.String()))
	}
	s.Logger.LogAttrs(r.Context(), level, "request", attrs...)
}

// knownMethod keeps invented methods out of the log.
func knownMethod(m string) string {
	switch m {
	case "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT":
		return m
	}
	return "other"
}
