// Package auth tells who is calling: by an API key, by a token of an OpenID Connect provider
// that the operator trusts, or by the client certificate of the connection. What it yields is
// a notary.Principal.
//
// An API key is 256 random bits. The depository keeps its SHA-256 alone, which is
// enough: what nobody can guess needs no slow hash, and a look-up by hash gives
// nothing away by its timing.
package auth

import (
	"context"
	"crypto/sha256"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/muniment/muniment/notary"
)

// ErrUnauthenticated is the answer to every request without a valid credential, whatever
// is wrong with it.
var ErrUnauthenticated = errors.New("no valid credential")

// Bounds of the cache: a key that is taken away works for no longer than cacheFor.
const (
	cacheFor = 5 * time.Second
	cacheMax = 1024
)

// Config is who is believed.
type Config struct {
	Accounts notary.Accounts      // tenants, and API keys
	Issuers  []Issuer             // of tokens
	Bearers  map[string]Certified // of client certificates, by name as of NamesOf
}

// An Authenticator knows callers by the one Authorization header of a request, and, where it
// has none, by the certificate of its connection. It is safe for concurrent use.
type Authenticator struct {
	accounts  notary.Accounts
	issuers   map[string]*issuer
	certified map[string]Certified

	mu    sync.Mutex
	known map[[32]byte]known // by SHA-256 of the credential
}

// known is a credential that was found good, and until when that is believed.
type known struct {
	principal notary.Principal
	until     time.Time
}

// New returns an authenticator.
func New(c Config) *Authenticator {
	a := &Authenticator{accounts: c.Accounts, issuers: map[string]*issuer{}, certified: c.Bearers, known: map[[32]byte]known{}}
	for _, i := range c.Issuers {
		a.issuers[i.URL] = newIssuer(i)
	}
	return a
}

// Authenticate returns the principal whose credential the request bears (RFC 6750 §2.1).
// Its errors are ErrUnauthenticated, and notary.ErrUnavailable when the accounts, or an
// issuer whose keys are not known yet, could not be asked.
func (a *Authenticator) Authenticate(r *http.Request) (notary.Principal, error) {
	c, ok := a.credential(r)
	if !ok {
		return notary.Principal{}, ErrUnauthenticated
	}
	if p, ok := a.recall(c.hash); ok {
		return p, nil
	}
	p, ends, err := c.judge(r.Context())
	if err != nil {
		return notary.Principal{}, err
	}
	a.remember(c.hash, p, ends)
	return p, nil
}

// Known returns the principal whose credential the request bears, if it was found good a
// moment ago.
func (a *Authenticator) Known(r *http.Request) (notary.Principal, bool) {
	c, ok := a.credential(r)
	if !ok {
		return notary.Principal{}, false
	}
	return a.recall(c.hash)
}

// A credential is what a request bears, and how it is judged.
type credential struct {
	hash  [32]byte
	judge func(ctx context.Context) (p notary.Principal, ends time.Time, err error)
}

// credential finds it. A header that is there decides, good or bad: who means to be someone
// is not taken for whoever holds the connection.
func (a *Authenticator) credential(r *http.Request) (credential, bool) {
	if len(r.Header.Values("Authorization")) == 0 {
		c := certificate(r)
		if c == nil {
			return credential{}, false
		}
		return credential{sha256.Sum256(c.Raw), func(ctx context.Context) (notary.Principal, time.Time, error) { return a.byCertificate(ctx, c) }}, true
	}
	text, ok := bearer(r.Header)
	by := a.byKey
	if !isKey(text) {
		by = a.byToken
	}
	return credential{sha256.Sum256([]byte(text)), func(ctx context.Context) (notary.Principal, time.Time, error) { return by(ctx, text) }}, ok
}

// bearer returns the credential of the one Authorization header, if it has the form of an
// API key or of a token.
func bearer(h http.Header) (string, bool) {
	values := h.Values("Authorization")
	if len(values) != 1 {
		return "", false
	}
	scheme, text, _ := strings.Cut(values[0], " ")
	return text, strings.EqualFold(scheme, "Bearer") && (isKey(text) || isToken(text))
}

func (a *Authenticator) recall(hash [32]byte) (notary.Principal, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	e, ok := a.known[hash]
	return e.principal, ok && time.Now().Before(e.until)
}

// remember keeps a credential that was found good. Others are looked up each time: there is
// no end of them.
func (a *Authenticator) remember(hash [32]byte, p notary.Principal, ends time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.known) >= cacheMax {
		clear(a.known)
	}
	until := time.Now().Add(cacheFor)
	if !ends.IsZero() && ends.Before(until) {
		until = ends
	}
	a.known[hash] = known{p, until}
}

// byToken has the issuer that a token names judge it, if it is one of ours.
func (a *Authenticator) byToken(ctx context.Context, text string) (notary.Principal, time.Time, error) {
	t, err := parseToken(text)
	if err != nil {
		return notary.Principal{}, time.Time{}, ErrUnauthenticated
	}
	i := a.issuers[t.claims.Issuer]
	if i == nil {
		return notary.Principal{}, time.Time{}, ErrUnauthenticated
	}
	return i.judge(ctx, a.accounts, t)
}
