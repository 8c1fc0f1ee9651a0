package auth

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"

	"github.com/muniment/muniment/notary"
)

// skew is how far the issuer's clock may be from ours.
const skew = time.Minute

// An Issuer is an OpenID Connect provider whose tokens are believed, for the tenants that it
// is given and no others.
type Issuer struct {
	URL      string // exactly as its tokens and its discovery name it
	Audience string // what its tokens for this depository name

	Tenant      notary.ID            // of all its tokens, unless TenantClaim is set
	TenantClaim string               // whose value says which of Tenants a token is of
	Tenants     map[string]notary.ID // by that value

	RoleClaim string                 // whose value, or values, say what its bearer may do
	Roles     map[string]notary.Role // by value; those that are not here say nothing
	// Supervises are the tenants that its auditors read.
	Supervises []notary.ID

	MaxAge time.Duration  // the longest that a token may still be valid
	Roots  *x509.CertPool // of the issuer's certificate; nil: the system's

	// ClientID is what the issuer knows the console by; empty: people do not sign in there.
	ClientID, ClientSecret string
	Scopes                 []string // asked for there beside openid and profile
	Name                   string   // what the sign-in calls it; empty: the host of URL
}

// CheckURL refuses what is no address of an issuer: https, or http on this machine alone.
func CheckURL(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return fmt.Errorf("%q is no URL of an issuer", text)
	}
	ip := net.ParseIP(u.Hostname())
	if u.Scheme != "https" && (u.Scheme != "http" || ip == nil || !ip.IsLoopback()) {
		return fmt.Errorf("%q is not https", text)
	}
	return nil
}

// issuer is one at work.
type issuer struct {
	Issuer
	keys     *keySet
	verifier *oidc.IDTokenVerifier // of what comes with requests
	people   *oidc.IDTokenVerifier // of what comes when somebody signs in
	found    discovery
}

func newIssuer(i Issuer) *issuer {
	transport := &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		TLSClientConfig:       &tls.Config{RootCAs: i.Roots, MinVersion: tls.VersionTLS12},
		ResponseHeaderTimeout: askTimeout, TLSHandshakeTimeout: askTimeout, IdleConnTimeout: time.Minute, MaxIdleConns: 2,
	}
	keys := &keySet{issuer: i.URL, client: &http.Client{
		Transport: bounded{transport}, Timeout: askTimeout,
		// Where it leads nobody has looked at: keys might come over a plain line.
		CheckRedirect: func(*http.Request, []*http.Request) error { return errors.New("the issuer sends elsewhere") },
	}}
	verifierOf := func(audience string) *oidc.IDTokenVerifier {
		return oidc.NewVerifier(i.URL, keys, &oidc.Config{
			ClientID: audience,
			// The algorithm is the key's: what the header says is held against it.
			SupportedSigningAlgs: []string{oidc.RS256, oidc.RS384, oidc.RS512, oidc.ES256, oidc.ES384, oidc.ES512, oidc.PS256, oidc.PS384, oidc.PS512, oidc.EdDSA},
			Now:                  func() time.Time { return time.Now().Add(-skew) },
		})
	}
	return &issuer{Issuer: i, keys: keys, verifier: verifierOf(i.Audience), people: verifierOf(i.ClientID)}
}

// Discover asks an issuer for its keys, and returns how many it has that are believed.
func Discover(ctx context.Context, i Issuer) (int, error) {
	keys, err := newIssuer(i).keys.fetch(ctx)
	return len(keys), err
}

// judge checks a token that came with a request and names this issuer, and says whose it is
// and when it ends.
func (i *issuer) judge(ctx context.Context, accounts notary.Accounts, t *token) (notary.Principal, time.Time, error) {
	p, ends, err := i.judgeBy(ctx, i.verifier, accounts, t)
	if err == nil && time.Until(ends) > i.MaxAge+2*skew {
		return notary.Principal{}, time.Time{}, ErrUnauthenticated
	}
	return p, ends, err
}

func (i *issuer) judgeBy(ctx context.Context, verifier *oidc.IDTokenVerifier, accounts notary.Accounts, t *token) (notary.Principal, time.Time, error) {
	// Asked for here first, since what verifies below does not tell why it did not.
	if _, err := i.keys.find(ctx, t.header.KeyID); errors.Is(err, notary.ErrUnavailable) {
		return notary.Principal{}, time.Time{}, err
	}
	verified, err := verifier.Verify(ctx, t.text)
	if err != nil {
		return notary.Principal{}, time.Time{}, ErrUnauthenticated
	}
	now, ends := time.Now(), verified.Expiry
	if verified.IssuedAt.After(now.Add(skew)) || early(t, now) {
		return notary.Principal{}, time.Time{}, ErrUnauthenticated
	}
	id, ok := i.tenantOf(t)
	role, may := i.roleOf(t)
	if !ok || !may {
		return notary.Principal{}, time.Time{}, ErrUnauthenticated
	}
	tenant, err := accounts.Tenant(ctx, id)
	if errors.Is(err, notary.ErrNotFound) {
		return notary.Principal{}, time.Time{}, ErrUnauthenticated
	}
	if err != nil {
		return notary.Principal{}, time.Time{}, fmt.Errorf("%w: looking up a token's tenant: %w", notary.ErrUnavailable, err)
	}
	who := sha256.Sum256([]byte(i.URL + "\n" + verified.Subject))
	p := notary.Principal{Tenant: tenant, Role: role, Caller: "oidc:" + hex.EncodeToString(who[:8]), Name: nameOf(t)}
	if role == notary.Auditor {
		p.Supervises = i.Supervises
	}
	return p, ends.Add(skew), nil
}

// early reports whether a token is not good yet.
func early(t *token, now time.Time) bool {
	if t.claims.NotBefore == nil {
		return false
	}
	from, err := t.claims.NotBefore.Int64()
	return err != nil || time.Unix(from, 0).After(now.Add(skew))
}

func (i *issuer) tenantOf(t *token) (notary.ID, bool) {
	if i.TenantClaim == "" {
		return i.Tenant, true
	}
	values := textsOf(t.all[i.TenantClaim])
	if len(values) != 1 {
		return notary.ID{}, false
	}
	id, ok := i.Tenants[values[0]]
	return id, ok
}

// roleOf is the one role that a token gives. One that gives several gives none: nobody can
// say as which of them its bearer is calling.
func (i *issuer) roleOf(t *token) (role notary.Role, ok bool) {
	for _, v := range textsOf(t.all[i.RoleClaim]) {
		r, known := i.Roles[v]
		if !known {
			continue
		}
		if ok && r != role {
			return "", false
		}
		role, ok = r, true
	}
	return role, ok
}

// nameOf is what a token calls its bearer (OpenID Connect Core 1.0 §5.1); empty: nothing that
// can stand in a record.
func nameOf(t *token) string {
	var names []string
	for _, claim := range []string{"name", "preferred_username"} {
		if said := textsOf(t.all[claim]); len(said) == 1 {
			names = append(names, said[0])
		}
	}
	return notary.CallerName(names...)
}

// textsOf reads a claim that is a string or a list of them.
func textsOf(claim json.RawMessage) []string {
	var one string
	if json.Unmarshal(claim, &one) == nil && len(claim) > 0 && claim[0] == '"' {
		return []string{one}
	}
	var all []string
	if json.Unmarshal(claim, &all) != nil {
		return nil
	}
	return all
}
