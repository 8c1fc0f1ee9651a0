package service

import (
	"bytes"
	"net/http"
	"strconv"
	"time"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/service/api"
)

// shed answers deposits of digests that will be refused before anything is done for them:
// with busy while as many are under way as may be, in all or for their tenant, and with
// rate-limited while their tenant has made as many as it may. Past saturation most requests
// end here, and each costs those that were taken in, other tenants' above all, some of their
// time. What comes with a document goes the long way, on which a refusal in the middle of an
// upload is heard.
func (s *server) shed(next http.Handler) http.Handler {
	crowded := &refusal{problem: busy, detail: busyDetail, after: busy.after}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		digest := r.Method == http.MethodPost && r.URL.Path == "/v1/deposits" && r.ContentLength >= 0 && r.ContentLength <= maxRecord
		if !digest {
			next.ServeHTTP(w, r)
			return
		}
		// Who has asked a moment ago is known without a look-up.
		p, known := s.callers.Known(r)
		refused := (*refusal)(nil)
		if known && p.Role.MayDeposit() {
			refused = s.limits.spent(p.Tenant.ID)
		}
		if refused != nil {
			s.limits.pause(r.Context(), p.Tenant.ID)
		}
		if refused == nil && s.Notary.Crowded() && (s.Notary.Full(notary.ID{}) || known && s.Notary.Full(p.Tenant.ID)) {
			refused = crowded
		}
		if refused == nil {
			next.ServeHTTP(w, r)
			return
		}
		s.hurry(w)
		s.turnAway(w, refused)
	})
}

// hurry bounds the time that a connection may take over a refusal: the server reads the body
// that nobody wanted before the next request, and what the last request left behind does not
// hold for this one.
func (s *server) hurry(w http.ResponseWriter) {
	conn, now := http.NewResponseController(w), time.Now()
	_ = conn.SetReadDeadline(now.Add(s.Stall)) // not every test writer can
	_ = conn.SetWriteDeadline(now.Add(s.Wait))
}

// turnAway answers with a refusal, and does nothing else.
func (s *server) turnAway(w http.ResponseWriter, e *refusal) {
	p := e.problem
	var body bytes.Buffer
	encode(&body, api.Problem{Type: "/problems/" + p.name, Title: p.title, Status: p.status, Retry: p.retry, Detail: e.detail})
	s.metrics.problems.WithLabelValues(p.name).Inc()
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	h.Set("Content-Length", strconv.Itoa(body.Len()))
	h.Set("Cache-Control", "no-store")
	h.Set("Retry-After", strconv.Itoa(e.after))
	w.WriteHeader(p.status)
	_, _ = w.Write(body.Bytes())
}
