package client

import (
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/muniment/muniment/service/api"
)

// A Problem is a server's refusal, in the terms of RFC 9457. Its text is the
// server's: escape it before it reaches a terminal.
type Problem struct {
	Type   string // one of the constants Problem…; empty when not a depository answered but a proxy
	Title  string
	Status int // of the answer, whatever its body says
	Detail string

	ID        string    // the deposit concerned, if one is named
	Committed bool      // that deposit stands in the log in spite of the problem
	Member    string    // the record's member at fault
	Lines     []BadLine // every line of a batch that is at fault, in order

	RetryAfter time.Duration // what the server asks to wait; 0: it does not say

	retry bool
}

// BadLine is what is wrong with one line of a batch.
type BadLine struct {
	Line   int // from 1
	Member string
	Detail string
}

// Error implements error.
func (p *Problem) Error() string {
	s := p.Title
	if p.Detail != "" {
		s += ": " + p.Detail
	}
	return s + " (HTTP " + strconv.Itoa(p.Status) + ")"
}

// Named reports whether p is of the type with that name, such as "digest-mismatch".
func (p *Problem) Named(name string) bool { return p.Type == "/problems/"+name }

// Retry reports whether the same request, with the same key, can succeed later.
func (p *Problem) Retry() bool {
	switch p.Status {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return p.retry
}

// Refused reports whether the server judged the request and said no to it: sent
// again unchanged, it would be refused again.
func (p *Problem) Refused() bool { return p.Status/100 == 4 && !p.Retry() }

// problemOf reads the answer to a request that did not succeed. Whatever comes, it
// is a Problem: proxies answer in HTML.
func problemOf(resp *http.Response) error {
	p := &Problem{Status: resp.StatusCode, RetryAfter: retryAfter(resp.Header.Get("Retry-After"), time.Now())}
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxProblem+1))
	var body api.Problem
	if err == nil && kind == "application/problem+json" && len(data) <= maxProblem && json.Unmarshal(data, &body) == nil {
		p.Type, p.Title, p.Detail, p.retry = body.Type, body.Title, body.Detail, body.Retry
		p.ID, p.Committed, p.Member = body.Id, body.Committed, body.Member
		for _, l := range body.Lines {
			p.Lines = append(p.Lines, BadLine{l.Line, l.Member, l.Detail})
		}
	}
	if p.Title == "" {
		p.Title = strings.TrimSpace("The server answered " + strconv.Itoa(p.Status) + " " + http.StatusText(p.Status))
	}
	if to := resp.Header.Get("Location"); p.Status/100 == 3 && p.Detail == "" {
		p.Detail = "it points to " + strconv.Quote(to) + "; redirects are not followed"
	}
	return p
}

// retryAfter reads the header (RFC 9110 §10.2.3): seconds or a date.
func retryAfter(s string, now time.Time) time.Duration {
	if n, err := strconv.ParseUint(s, 10, 31); err == nil {
		return time.Duration(n) * time.Second
	}
	if t, err := http.ParseTime(s); err == nil {
		return max(0, t.Sub(now))
	}
	return 0
}
