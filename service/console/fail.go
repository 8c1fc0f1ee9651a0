package console

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/service/api"
)

// A refusal is why a page could not do what it was asked to: a problem of the API, or one of
// the console's own, whose name begins with "console-".
type refusal struct {
	api.Problem
}

func (e *refusal) Error() string { return e.Type + ": " + e.Detail }

// name is the problem without its folder, by which words has its text.
func (e *refusal) name() string { return strings.TrimPrefix(e.Type, "/problems/") }

func own(name string, status int) *refusal {
	return &refusal{api.Problem{Type: "console-" + name, Status: status}}
}

// The console's own refusals.
var (
	errNoPage    = own("no-page", http.StatusNotFound)
	errForged    = own("forged", http.StatusForbidden)
	errForm      = own("form", http.StatusBadRequest)
	errSignedOut = own("signed-out", http.StatusUnauthorized)
	errSignIn    = own("sign-in", http.StatusUnauthorized)
	errNothing   = own("nothing-chosen", http.StatusBadRequest)
	errTooMany   = own("too-many", http.StatusBadRequest)
)

func unavailable(err error) error { return fmt.Errorf("%w: %w", notary.ErrUnavailable, err) }

// problemOf is what went wrong, as a problem.
func problemOf(err error) *refusal {
	if e := new(refusal); errors.As(err, &e) {
		return e
	}
	p := api.Problem{Type: "/problems/internal", Status: http.StatusInternalServerError}
	if errors.Is(err, notary.ErrUnavailable) || errors.Is(err, context.DeadlineExceeded) {
		p = api.Problem{Type: "/problems/unavailable", Status: http.StatusServiceUnavailable, Retry: true}
	}
	return &refusal{p}
}

// refused is the problem of an answer, or nil if it is none.
func refused(status int, body []byte) error {
	if status < 400 {
		return nil
	}
	e := &refusal{}
	if json.Unmarshal(body, &e.Problem) != nil || e.Status == 0 {
		return fmt.Errorf("the API answered %d", status)
	}
	return e
}

// failView is what went wrong, for people.
type failView struct {
	Title, Detail, Member string
	Retry                 bool
}

// explain puts a problem into the page's language. What a problem says in particular is in
// English alone, so that in Chinese its member has to do.
func (v *visit) explain(e *refusal) failView {
	name := e.name()
	s, ok := problems[name]
	if !ok {
		s = problems["internal"]
	}
	f := failView{Title: s.in(v.lang), Retry: e.Retry}
	if v.lang == "en" {
		f.Detail = e.Detail
	}
	if e.Member != "" {
		f.Member = speaker(v.lang).label(e.Member)
	}
	return f
}

// fail answers with what went wrong: a page, or JSON for a script that asks for it.
func (v *visit) fail(err error) {
	e := problemOf(err)
	if e.Status >= http.StatusInternalServerError && e.Type == "/problems/internal" {
		v.Logger.Error("a page of the console failed", "error", err)
	}
	if e.Status == http.StatusServiceUnavailable {
		v.w.Header().Set("Retry-After", "5")
	}
	explained := v.explain(e)
	if v.r.Header.Get("Accept") == "application/json" {
		v.w.Header().Set("Content-Type", "application/json")
		v.w.WriteHeader(e.Status)
		_ = json.NewEncoder(v.w).Encode(explained)
		return
	}
	if err := v.render(e.Status, "fail", explained); err != nil {
		v.Logger.Error("a page of the console failed", "error", err)
		http.Error(v.w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
	}
}
