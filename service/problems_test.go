package service

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/service/auth"
)

func logger(w io.Writer) *slog.Logger { return slog.New(slog.NewTextHandler(w, nil)) }

// routed puts a handler where chi would.
func routed(h http.Handler) http.Handler {
	r := chi.NewRouter()
	r.Handle("/*", h)
	return r
}

// TestJudge: every error that the notary names is a problem, however it is wrapped.
func TestJudge(t *testing.T) {
	id, _ := notary.ParseID("01936f5e-4a00-7c3e-8d2a-5b6f7a8c9d0e")
	for _, test := range []struct {
		err    error
		want   *problem
		logged bool
	}{
		{notary.ErrForbidden, forbidden, false},
		{notary.ErrKeyReused, idempotencyKeyReused, false},
		{notary.ErrErased, erased, false},
		{notary.ErrNotHeld, notHeld, false},
		{notary.ErrNotStamped, notStamped, false},
		{notary.ErrDigest, digestMismatch, false},
		{notary.ErrBusy, busy, false},
		{notary.ErrBacklog, backlog, false},
		{notary.ErrQuorum, witnessQuorum, false},
		{notary.ErrOpinion, secondOpinion, false},
		{notary.ErrTreeBehind, secondOpinion, false},
		{&notary.OpinionError{Why: "it is slow"}, secondOpinion, false},
		{&notary.OpinionMissingError{ID: id}, secondOpinion, false},
		{notary.ErrNoWitnesses, invalidAssurance, false},
		{&notary.QuorumMissingError{ID: id}, witnessQuorum, false},
		{notary.ErrClock, clock, true},
		{notary.ErrUnavailable, unavailable, true},
		{notary.ErrStopped, stopping, false},
		{notary.ErrDamaged, damaged, true},
		{notary.ErrNotFound, notFound, false},
		{notary.ErrNoRoom, insufficientStorage, false},
		{&notary.InvalidError{Member: "content.name", Reason: "is wrong"}, invalidRecord, false},
		{&notary.SealingDelayedError{ID: id}, sealingDelayed, false},
		{auth.ErrUnauthenticated, unauthorized, false},
		{fmt.Errorf("%w: %w", notary.ErrUnavailable, notary.ErrNotFound), unavailable, true},
		{fmt.Errorf("%w: %w", notary.ErrUnavailable, context.Canceled), unavailable, true},
		{context.DeadlineExceeded, unavailable, true},
		{io.ErrNoProgress, internal, true},
		{notary.ErrExists, internal, true},
		{notary.ErrConflict, internal, true},
	} {
		log := &record{}
		s := &server{Config: Config{Wait: time.Second, Stall: time.Second, Logger: logger(log)}, metrics: newMetrics(prometheus.NewRegistry())}
		w := httptest.NewRecorder()
		wrapped := test.err
		var invalid *notary.InvalidError
		if !errors.As(wrapped, &invalid) && test.want != digestMismatch {
			wrapped = fmt.Errorf("secret words: %w", test.err)
		}
		routed(s.exchange(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.fail(w, r, wrapped) }))).
			ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
		a := answer{w.Result(), w.Body.Bytes()}
		p := a.problem(t, test.want)
		if strings.Contains(w.Body.String(), "secret") {
			t.Errorf("%v: %s", test.err, w.Body)
		}
		if test.logged != bytes.Contains(log.b.Bytes(), []byte("level=ERROR")) || strings.Count(log.String(), "secret") > 1 {
			t.Errorf("%v: log %s", test.err, log)
		}
		if (test.want.after > 0) != (w.Header().Get("Retry-After") != "") || test.want.status == 503 && test.want.after == 0 {
			t.Errorf("%v: Retry-After %q", test.err, w.Header().Get("Retry-After"))
		}
		if test.want == sealingDelayed && (p.Id != id.String() || !p.Committed) || test.want == invalidRecord && p.Member != "content.name" {
			t.Errorf("%v: %+v", test.err, p)
		}
	}
}

// TestProblemsAreDocumented: openapi.yaml lists the problems that there are, with
// when they come and what to do.
func TestProblemsAreDocumented(t *testing.T) {
	spec, err := os.ReadFile("../openapi.yaml")
	must(t, err)
	source, err := os.ReadFile("problems.go")
	must(t, err)
	want := map[string]string{}
	for _, m := range regexp.MustCompile(`&problem\{name: "([a-z-]+)", status: (\d+), title: "[^"]+"(, retry: true)?`).FindAllStringSubmatch(string(source), -1) {
		retry := "no"
		if m[3] != "" {
			retry = "yes"
		}
		want[m[1]] = m[2] + " " + retry
	}
	if len(want) < 31 {
		t.Fatalf("found %d problems in problems.go", len(want))
	}
	for _, m := range regexp.MustCompile("\\| `/problems/([a-z-]+)` \\| (\\d+) \\| (yes|no) \\| [^|]{10,} \\| [^|]{7,} \\|\n").FindAllStringSubmatch(string(spec), -1) {
		if want[m[1]] != m[2]+" "+m[3] {
			t.Errorf("openapi.yaml has %s %s %s, problems.go %q", m[1], m[2], m[3], want[m[1]])
		}
		delete(want, m[1])
	}
	if len(want) > 0 {
		t.Errorf("openapi.yaml does not list %v", want)
	}
}
