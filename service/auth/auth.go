// Package auth tells who is calling: by an API key, or by a token of an OpenID Connect
// provider that the operator trusts. What it yields is a notary.Principal.
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

// An Authenticator knows callers by the one Authorization header of a request. It is safe
// for concurrent use.
type Authenticator struct {
	accounts notary.Accounts
	issuers  map[string]*issuer

	mu    sync.Mutex
	known map[[32]byte]known // by SHA-256 of the credential
}

// known is a credential that was found good, and until when that is believed.
type known struct {
	principal notary.Principal
	until     time.Time
}

// New returns an authenticator over accounts that believes the issuers' tokens too.
func New(accounts notary.Accounts, issuers ...Issuer) *Authenticator {
	a := &Authenticator{accounts: accounts, issuers: map[string]*issuer{}, known: map[[32]byte]known{}}
	for _, i := range issuers {
		a.issuers[i.URL] = newIssuer(i)
	}
	return a
}

// Authenticate returns the principal whose credential the request bears (RFC 6750 §2.1).
// Its errors are ErrUnauthenticated, and notary.ErrUnavailable when the accounts, or an
// issuer whose keys are not known yet, could not be asked.
func (a *Authenticator) Authenticate(r *http.Request) (notary.Principal, error) {
	text, ok := bearer(r.Header)
	if !ok {
		return notary.Principal{}, ErrUnauthenticated
	}
	hash := sha256.Sum256([]byte(text))
	if p, ok := a.recall(hash); ok {
		return p, nil
	}
	by := a.byKey
	if !isKey(text) {
		by = a.byToken
	}
	p, ends, err := by(r.Context(), text)
	if err != nil {
		return notary.Principal{}, err
	}
	a.remember(hash, p, ends)
	return p, nil
}

// Known returns the principal whose credential the request bears, if it was found good a
// moment ago.
func (a *Authenticator) Known(r *http.Request) (notary.Principal, bool) {
	text, ok := bearer(r.Header)
	if !ok {
		return notary.Principal{}, false
	}
	return a.recall(sha256.Sum256([]byte(text)))
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
