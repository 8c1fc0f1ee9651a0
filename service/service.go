// Package service is the depository's HTTP edge: it authenticates, decodes, calls
// the notary and encodes. What it serves is said in openapi.yaml; what may go wrong
// stands in one table, in problems.go.
package service

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/notary/webhook"
	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/proofs/mldsa"
	"github.com/muniment/muniment/proofs/sm"
	"github.com/muniment/muniment/service/api"
	"github.com/muniment/muniment/service/auth"
	"github.com/muniment/muniment/service/console"
	"github.com/muniment/muniment/service/verifypage"
)

// Config is what the edge is made of. Notary, Accounts, Policy,
// Webhooks, Caller and NewTenantKey are required.
type Config struct {
	Notary   *notary.Notary
	Accounts notary.Accounts
	Policy   proofs.Policy // served at /log/policy
	// Earlier are the policies that were in force before, the last one first. They stay
	// served by their fingerprints.
	Earlier []proofs.Policy

	// Webhooks are whom tenants want to be told of what is published, Caller who will call
	// them.
	Webhooks notary.Webhooks
	// TimestampRoots are those of the depository's own time-stamp authorities, in PEM; nil:
	// it has none. The verify page offers them.
	TimestampRoots []byte
	// Limits bound what each tenant may deposit.
	Limits Limits
	// Issuers are OpenID Connect providers whose tokens are believed beside API keys.
	Issuers []auth.Issuer
	// Bearers are known by the client certificates of their connections, by name.
	Bearers map[string]auth.Certified
	Caller  *webhook.Caller

	// Sessions are the sign-ins at the console; nil: there is no console.
	Sessions notary.Sessions
	// ConsoleURL is the origin under which browsers reach the console; empty: people sign in
	// with API keys alone.
	ConsoleURL string

	// NewTenantKey makes the key of a tenant that is taken on, durable on return.
	NewTenantKey func(ctx context.Context, tenant notary.ID) error

	MaxDocument int64 // bytes; 0: 1 GiB
	// Wait is how long a request may take in which no byte moves, either way; 0: 30 s.
	Wait time.Duration
	// Stall is how long one read of a body may take, and how far a body may fall
	// behind minPace; 0: 10 s.
	Stall  time.Duration
	Logger *slog.Logger // nil: slog.Default

	// Certificates are what PDFs of deposits are made with.
	Certificates Certificates

	Build Build // of the program, as /healthz tells it
	// Metrics is what /metrics shows; New adds what the edge measures. nil: that alone.
	Metrics *prometheus.Registry
	// Canary, unless nil, is asked for the verdict of the last self-deposit.
	Canary func() error
	// SingleCopy, unless nil, tells whether what is acknowledged is on one machine only.
	SingleCopy func(ctx context.Context) (bool, error)
}

// Build says which program this is. What is not known is empty.
type Build struct {
	Version  string `json:"version"`
	Revision string `json:"revision"` // of the source; with "+changes", it was changed
	SHA256   string `json:"sha256"`   // of the program's file, hex
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

type server struct {
	Config
	callers   *auth.Authenticator
	metrics   *metrics
	policies  map[string]proofs.Policy // by fingerprint
	found     []*proofs.Verifier       // of the site's own policies, the one in force first
	bundles   underway
	offered   verifypage.File // policies and roots, for the verify page
	limits    *limiter
	decoding  budget // of batches
	verifying budget // of receipts to check
	printing  printing
}

// New returns the handler of the whole API.
func New(c Config) http.Handler {
	if c.MaxDocument == 0 {
		c.MaxDocument = 1 << 30
	}
	if c.Wait == 0 {
		c.Wait = 30 * time.Second
	}
	if c.Stall == 0 {
		c.Stall = 10 * time.Second
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.Metrics == nil {
		c.Metrics = prometheus.NewRegistry()
	}
	s := &server{Config: c, callers: auth.New(auth.Config{Accounts: c.Accounts, Issuers: c.Issuers, Bearers: c.Bearers}), metrics: newMetrics(c.Metrics), policies: map[string]proofs.Policy{}, limits: newLimiter(c.Limits)}
	for _, p := range append([]proofs.Policy{c.Policy}, c.Earlier...) {
		s.policies[p.Fingerprint()] = p
		s.found = append(s.found, proofs.NewFoundVerifier(p, mldsa.Plugged(), sm.Plugged()))
	}
	s.printing = newPrinting()
	s.offered = offer(c)
	s.bundles.of = map[string]bool{}
	s.decoding.most, s.verifying.most = maxDecoding, maxVerifying
	c.Metrics.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "muniment_ready",
		Help: "1 while /readyz says ready, 0 while it does not.",
	}, s.readiness))
	if c.SingleCopy != nil {
		c.Metrics.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "muniment_single_copy",
			Help: "1 while what is acknowledged is on one machine only, 0 while a standby has it too; NaN while it cannot be asked.",
		}, s.singleCopy))
	}
	r := chi.NewRouter()
	r.Use(s.exchange, s.authenticate, combine, middleware.GetHead)
	r.NotFound(func(w http.ResponseWriter, r *http.Request) { s.fail(w, r, notary.ErrNotFound) })
	r.MethodNotAllowed(s.methodNotAllowed)
	r.Get("/log/tile/*", s.tile)
	r.Get("/v1/cases/*", s.getCase)
	r.Get("/v1/cases/{contract}/bundle", s.getBundle)
	r.Get("/v1/cases/{contract}/grants", s.listCaseGrants)
	r.Post("/v1/cases/{contract}/grants", s.createCaseGrant)
	r.Get("/verify", s.verifyPage)
	r.Get("/verify/{file}", s.verifyFile)
	if c.Sessions != nil {
		r.Mount(console.Prefix, s.consolePages(r))
	}
	api.HandlerWithOptions(s, api.ChiServerOptions{BaseRouter: r, ErrorHandlerFunc: s.badParameter})
	s.metrics.know(r)
	return s.shed(r)
}

var _ api.ServerInterface = (*server)(nil)

// authenticate asks for a credential before anything under /v1/ is so much as routed, but
// for the check of a receipt, which is open to all.
func (s *server) authenticate(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		open := r.URL.Path == "/v1/verify" && r.URL.RawPath == ""
		if strings.HasPrefix(r.URL.Path, "/v1/") && !open {
			p, err := s.principal(r)
			if err != nil {
				s.fail(w, r, err)
				return
			}
			of(r).principal = p
		}
		next.ServeHTTP(w, r)
	})
}

// methodNotAllowed answers 405 with the methods that there are (RFC 9110 §15.5.6).
func (s *server) methodNotAllowed(w http.ResponseWriter, r *http.Request) {
	routes := chi.RouteContext(r.Context()).Routes
	path := r.URL.Path
	if r.URL.RawPath != "" {
		path = r.URL.RawPath
	}
	var allow []string
	for _, m := range []string{http.MethodGet, http.MethodPost, http.MethodDelete} {
		if routes.Match(chi.NewRouteContext(), m, path) {
			allow = append(allow, m)
			if m == http.MethodGet {
				allow = append(allow, http.MethodHead)
			}
		}
	}
	if len(allow) == 0 { // a method that nobody knows, on a path that is not there
		s.fail(w, r, notary.ErrNotFound)
		return
	}
	w.Header().Set("Allow", strings.Join(allow, ", "))
	s.fail(w, r, refuse(methodNotAllowed, "The Allow header lists the methods of this path."))
}

// badParameter answers what the generated code could not bind: a header, or a
// parameter of a search.
func (s *server) badParameter(w http.ResponseWriter, r *http.Request, err error) {
	wrong := new(api.InvalidParamFormatError)
	switch named := errors.As(err, &wrong); {
	case named && wrong.ParamName == "assurance":
		err = errAssurance
	case named && r.Method != http.MethodPost:
		err = badSearch(wrong.ParamName, "not one value of the form asked for")
	default:
		err = errIdempotencyKey // the lists among the headers bind whatever they hold
	}
	s.fail(w, r, err)
}
