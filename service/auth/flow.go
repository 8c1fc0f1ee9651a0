package auth

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/muniment/muniment/notary"
)

// People sign in at an issuer by the authorization code flow of OpenID Connect Core 1.0 §3.1,
// with PKCE (RFC 7636) and, where the issuer has it, with its name in the answer (RFC 9207).

// maxCode bounds a code of an issuer's, in bytes.
const maxCode = 4096

// SignIn is an issuer at which people can sign in.
type SignIn struct {
	Issuer  string // its URL
	Display string // what people know it by
}

// SignIns are all of them, in the order of their URLs.
func (a *Authenticator) SignIns() (all []SignIn) {
	for _, i := range a.issuers {
		if i.ClientID == "" {
			continue
		}
		s := SignIn{i.URL, i.Name}
		if u, err := url.Parse(i.URL); err == nil && s.Display == "" {
			s.Display = u.Host
		}
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b SignIn) int { return strings.Compare(a.Issuer, b.Issuer) })
	return all
}

// Pending is a sign-in that has begun. The browser that it began in keeps it, and no other
// learns of it.
type Pending struct {
	Issuer, State, Nonce, Verifier string
}

// Begin begins a sign-in at an issuer, which sends people back to redirect, and returns where
// the browser goes. Its errors are those of Authenticate.
func (a *Authenticator) Begin(ctx context.Context, issuer, redirect string) (location string, p Pending, err error) {
	i := a.issuers[issuer]
	if i == nil || i.ClientID == "" {
		return "", p, ErrUnauthenticated
	}
	config, _, err := i.client(ctx, redirect)
	if err != nil {
		return "", p, err
	}
	p = Pending{issuer, secretText(), secretText(), oauth2.GenerateVerifier()}
	return config.AuthCodeURL(p.State, oidc.Nonce(p.Nonce), oauth2.S256ChallengeOption(p.Verifier)), p, nil
}

func secretText() string {
	var b [32]byte
	rand.Read(b[:]) // never fails
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// Redeem takes what an issuer sent back with a browser, and returns who signed in. Its errors
// are those of Authenticate: whatever is wrong with an answer, nobody signed in.
func (a *Authenticator) Redeem(ctx context.Context, redirect string, p Pending, query url.Values) (who notary.Principal, err error) {
	i := a.issuers[p.Issuer]
	if i == nil || i.ClientID == "" {
		return who, ErrUnauthenticated
	}
	config, named, err := i.client(ctx, redirect)
	if err != nil {
		return who, err
	}
	code, ok := answered(query, p, named)
	if !ok {
		return who, ErrUnauthenticated
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	tokens, err := config.Exchange(oidc.ClientContext(ctx, i.keys.client), code, oauth2.VerifierOption(p.Verifier))
	if told := new(oauth2.RetrieveError); errors.As(err, &told) && told.Response.StatusCode < http.StatusInternalServerError {
		return who, ErrUnauthenticated
	}
	if err != nil {
		return who, fmt.Errorf("%w: asking %s who signed in: %w", notary.ErrUnavailable, i.URL, err)
	}
	text, _ := tokens.Extra("id_token").(string)
	t, err := parseToken(text)
	if err != nil || p.Nonce == "" || !same(textOf(t, "nonce"), p.Nonce) || !madeFor(t, i.ClientID) {
		return who, ErrUnauthenticated
	}
	who, _, err = i.judgeBy(ctx, i.people, a.accounts, t)
	return who, err
}

// madeFor reports whether a token was made for that client (OpenID Connect Core 1.0,
// 3.1.3.7): one that another has for both of them signs nobody in here.
func madeFor(t *token, client string) bool {
	if _, told := t.all["azp"]; told {
		return textOf(t, "azp") == client
	}
	return len(textsOf(t.all["aud"])) == 1
}

// answered is the code in an answer that is to this sign-in, and of this issuer.
func answered(query url.Values, p Pending, named bool) (code string, ok bool) {
	for _, name := range []string{"state", "code", "iss"} {
		if len(query[name]) > 1 {
			return "", false
		}
	}
	code = query.Get("code")
	switch {
	case query.Has("error"), code == "", len(code) > maxCode, p.State == "" || !same(query.Get("state"), p.State):
		return "", false
	case named && !query.Has("iss"), query.Has("iss") && query.Get("iss") != p.Issuer:
		return "", false
	}
	return code, true
}

func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// textOf is a claim that is a text.
func textOf(t *token, claim string) (text string) {
	if json.Unmarshal(t.all[claim], &text) != nil {
		return ""
	}
	return text
}

// discovery is what an issuer says of itself, for a while: strangers begin sign-ins as often
// as they like.
type discovery struct {
	mu       sync.Mutex
	provider *oidc.Provider
	at       time.Time // when it was found
	asked    time.Time // when it was last asked
}

// client is the console as the issuer knows it. named: the issuer says in its answers who it
// is.
func (i *issuer) client(ctx context.Context, redirect string) (config *oauth2.Config, named bool, err error) {
	provider, err := i.provider(ctx)
	if err != nil {
		return nil, false, fmt.Errorf("%w: %w", notary.ErrUnavailable, err)
	}
	var said struct {
		Named   bool     `json:"authorization_response_iss_parameter_supported"`
		Methods []string `json:"token_endpoint_auth_methods_supported"`
	}
	if err := provider.Claims(&said); err != nil {
		return nil, false, fmt.Errorf("%w: %w", notary.ErrUnavailable, err)
	}
	endpoint := provider.Endpoint()
	// Said, so that nothing is tried with a code, which is good once. Basic is the default of
	// OpenID Connect Discovery 1.0 §3.
	if endpoint.AuthStyle = oauth2.AuthStyleInHeader; i.ClientSecret == "" || len(said.Methods) > 0 && !slices.Contains(said.Methods, "client_secret_basic") {
		endpoint.AuthStyle = oauth2.AuthStyleInParams
	}
	return &oauth2.Config{
		ClientID: i.ClientID, ClientSecret: i.ClientSecret, Endpoint: endpoint, RedirectURL: redirect, Scopes: append([]string{oidc.ScopeOpenID, "profile"}, i.Scopes...),
	}, said.Named, nil
}

func (i *issuer) provider(ctx context.Context) (*oidc.Provider, error) {
	d := &i.found
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.provider != nil && time.Since(d.at) < freshFor {
		return d.provider, nil
	}
	if !d.asked.IsZero() && time.Since(d.asked) < askPause {
		return nil, fmt.Errorf("%s did not say where people sign in", i.URL)
	}
	d.asked = time.Now()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), askTimeout)
	defer cancel()
	provider, err := oidc.NewProvider(oidc.ClientContext(ctx, i.keys.client), i.URL)
	if err != nil {
		return nil, err
	}
	for _, address := range []string{provider.Endpoint().AuthURL, provider.Endpoint().TokenURL} {
		if err := checkEndpoint(address); err != nil {
			return nil, err
		}
	}
	d.provider, d.at, d.asked = provider, time.Now(), time.Time{}
	return provider, nil
}

// checkEndpoint is CheckURL for an address that may have a query.
func checkEndpoint(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" {
		return fmt.Errorf("%q is no address of an issuer", text)
	}
	ip := net.ParseIP(u.Hostname())
	if u.Scheme != "https" && (u.Scheme != "http" || ip == nil || !ip.IsLoopback()) {
		return fmt.Errorf("%q is not https", text)
	}
	return nil
}
