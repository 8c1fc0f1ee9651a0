// Package console is where compliance staff work with a depository in a browser: they find
// deposits and cases, deposit, take receipts, certificates and bundles, hold, release and
// erase, and see how the log fares.
//
// It has no rights of its own. Each page asks the depository's API, in the same process, as
// whoever signed in, so that every right, bound and event of the trail is that of any other
// caller. What it adds is the sign-in, and pages: made on the server, in Chinese and English,
// with small scripts where a form alone would not do.
package console

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/service/auth"
)

// Prefix is where the console is served.
const Prefix = "/console"

// Config is what the console is made of. All but URL is required.
type Config struct {
	// API answers a request as it answers that principal's own.
	API func(w http.ResponseWriter, r *http.Request, who notary.Principal)
	// Portrait and SizeAt are the notary's, Signatures those of a checkpoint that hold under
	// the policy, Health the names of what is wrong, and of what is to be known.
	Portrait   func(context.Context) (notary.Portrait, error)
	SizeAt     func(ctx context.Context, at time.Time) (uint64, error)
	Signatures func(checkpoint []byte) []proofs.SignatureCheck
	Health     func(context.Context) (problems, notes []string)

	Auth *auth.Authenticator
	// Caller returns who makes a request by the credential that it bears, as with the API.
	Caller   func(*http.Request) (notary.Principal, error)
	Sessions notary.Sessions
	// URL is the origin under which browsers reach it, as in https://evidence.bank.example;
	// empty: nobody can sign in by an issuer.
	URL      string
	Language string // zh or en: of whom nothing else is known
	Policy   proofs.Policy
	Logger   *slog.Logger
}

// Origin is the log's name.
func (c Config) Origin() string { return c.Policy.Logs[0].Name }

type console struct {
	Config
	pages  map[string]pages // by language
	growth growth
}

// New returns the handler of everything under Prefix.
func New(c Config) http.Handler {
	s := &console{Config: c, pages: map[string]pages{}}
	for _, lang := range languages {
		s.pages[lang] = parse(lang)
	}
	// Nothing that changes anything is taken from another site's page: by the browser's own
	// word here, and by a token in each form below.
	guard := http.NewCrossOriginProtection()
	guard.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.open(w, r).fail(errForged)
	}))
	r := chi.NewRouter()
	r.Use(headers, guard.Handler)
	r.NotFound(s.anyone(func(v *visit) error { return errNoPage }))
	r.MethodNotAllowed(s.anyone(func(v *visit) error { return errNoPage }))
	r.Get("/file/{file}", s.file)
	r.Get("/sign-in", s.anyone((*visit).signInPage))
	r.Post("/sign-in", s.anyone((*visit).signIn))
	r.Get("/sign-in/begin", s.anyone((*visit).signInBegin))
	r.Get("/sign-in/callback", s.anyone((*visit).signInCallback))
	r.Post("/sign-out", s.member((*visit).signOut))
	r.Get("/", s.member((*visit).home))
	r.Get("/cases/{contract}", s.member((*visit).caseOf))
	r.Get("/cases/{contract}/bundle", s.member((*visit).bundle))
	r.Post("/cases/{contract}/grants", s.member((*visit).openCase))
	r.Get("/deposit", s.member((*visit).depositPage))
	r.Post("/deposit", s.member((*visit).deposit))
	r.Get("/deposits/{id}", s.member((*visit).depositOf))
	r.Get("/deposits/{id}/{part:receipt|certificate|evidence|document}", s.member((*visit).part))
	r.Post("/deposits/{id}/{act:hold|release|erasure}", s.member((*visit).act))
	r.Post("/deposits/{id}/grants", s.member((*visit).openDeposit))
	r.Post("/grants/{id}/revocation", s.member((*visit).revoke))
	r.Post("/certificates", s.member((*visit).certificates))
	r.Get("/keeping", s.member((*visit).keeping))
	r.Get("/trail", s.member((*visit).trail))
	r.Get("/log", s.member((*visit).log))
	return r
}

// headers say to the browser what the pages may do: nothing from elsewhere, no script or
// style but the console's own files, no frame around them, and nothing kept on disk.
func headers(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "+
			"form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'")
		h.Set("Cache-Control", "no-store")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Permissions-Policy", "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("X-Frame-Options", "DENY")
		next.ServeHTTP(w, r)
	})
}

// A visit is one request to a page, and its answer.
type visit struct {
	*console
	w       http.ResponseWriter
	r       *http.Request
	lang    string
	token   string // of the session; empty before the sign-in
	session notary.Session
	who     notary.Principal
	tenant  string // the one that an auditor or a court looks at, as the address names it
	now     time.Time
}

func (s *console) open(w http.ResponseWriter, r *http.Request) *visit {
	v := &visit{console: s, w: w, r: r, now: time.Now()}
	v.chooseLanguage()
	return v
}

// anyone serves a page for whoever comes.
func (s *console) anyone(f func(*visit) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		v := s.open(w, r)
		if err := f(v); err != nil {
			v.fail(err)
		}
	}
}

// member serves a page for who has signed in. A page that is only looked at leads others to
// the sign-in, and back from there.
func (s *console) member(f func(*visit) error) http.HandlerFunc {
	return s.anyone(func(v *visit) error {
		err := v.recognise()
		if errors.Is(err, auth.ErrUnauthenticated) {
			if v.r.Method == http.MethodGet || v.r.Method == http.MethodHead {
				return v.redirect(Prefix + "/sign-in?" + url.Values{"to": {v.r.URL.RequestURI()}}.Encode())
			}
			return errSignedOut
		}
		if err != nil {
			return err
		}
		v.tenant = v.r.URL.Query().Get("tenant")
		if v.r.Method != http.MethodGet && v.r.Method != http.MethodHead {
			if err := v.checkForm(); err != nil {
				return err
			}
		}
		return f(v)
	})
}

func (v *visit) redirect(to string) error {
	v.w.Header().Set("Location", to)
	v.w.WriteHeader(http.StatusSeeOther)
	return nil
}

// to is the address of a page of the console, about the tenant that is looked at. Pairs are
// parameters; an empty value leaves one out.
func (v *visit) to(path string, pairs ...string) string {
	q := url.Values{}
	if v.tenant != "" {
		q.Set("tenant", v.tenant)
	}
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			q.Set(pairs[i], pairs[i+1])
		}
	}
	if len(q) == 0 {
		return Prefix + path
	}
	return Prefix + path + "?" + q.Encode()
}
