package service

import (
	"context"
	"net/http"

	"github.com/go-chi/chi/v5"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/service/console"
)

// actingKey is where a request that the console makes carries whose it is.
type actingKey struct{}

// acting is as whom the console asks, in this process. No request from outside carries it.
func acting(r *http.Request) (notary.Principal, bool) {
	who, ok := r.Context().Value(actingKey{}).(notary.Principal)
	return who, ok
}

// consolePages are the pages for people who have signed in. They ask the API, as any other
// caller does.
func (s *server) consolePages(api http.Handler) http.Handler {
	return console.New(console.Config{
		API: func(w http.ResponseWriter, r *http.Request, who notary.Principal) {
			ctx := context.WithValue(r.Context(), actingKey{}, who)
			ctx = context.WithValue(ctx, chi.RouteCtxKey, (*chi.Context)(nil)) // it is routed anew
			api.ServeHTTP(w, r.WithContext(ctx))
		},
		Portrait: s.Notary.Portray,
		SizeAt:   s.Notary.SizeAt,
		Signatures: func(checkpoint []byte) []proofs.SignatureCheck {
			return s.found[0].Signatures(checkpoint)
		},
		Health:   func(ctx context.Context) ([]string, []string) { h := s.status(ctx); return h.Problems, h.Notes },
		Auth:     s.callers,
		Caller:   s.caller,
		Sessions: s.Sessions,
		URL:      s.ConsoleURL,
		Language: string(s.Certificates.Language),
		Policy:   s.Policy,
		Logger:   s.Logger,
	})
}
