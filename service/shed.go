package service

import (
	"bytes"
	"net/http"
	"strconv"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/service/api"
)

// shed answers deposits of digests with busy while as many are under way as may be,
// before anything is done for them, in all or for their tenant. Past saturation
// most requests end here, and each costs those that were taken in some of their time.
// What comes with a document goes the long way, on which a refusal in the middle of
// an upload is heard.
func (s *server) shed(next http.Handler) http.Handler {
	var body bytes.Buffer
	encode(&body, api.Problem{
		Type: "/problems/" + busy.name, Title: busy.title, Status: busy.status, Retry: busy.retry, Detail: busyDetail,
	})
	refused := s.metrics.problems.WithLabelValues(busy.name)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		digest := r.Method == http.MethodPost && r.URL.Path == "/v1/deposits" && r.ContentLength >= 0 && r.ContentLength <= maxRecord
		if !digest || !s.Notary.Crowded() || !s.full(r) {
			next.ServeHTTP(w, r)
			return
		}
		refused.Inc()
		h := w.Header()
		h.Set("Content-Type", "application/problem+json")
		h.Set("Content-Length", strconv.Itoa(body.Len()))
		h.Set("Cache-Control", "no-store")
		h.Set("Retry-After", strconv.Itoa(busy.after))
		w.WriteHeader(busy.status)
		_, _ = w.Write(body.Bytes())
	})
}

// full reports whether no deposit of whoever asks can be taken now. Who has asked a moment ago
// is known without a look-up.
func (s *server) full(r *http.Request) bool {
	if s.Notary.Full(notary.ID{}) {
		return true
	}
	p, known := s.callers.Known(r)
	return known && s.Notary.Full(p.Tenant.ID)
}
