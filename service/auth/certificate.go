package auth

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"time"

	"github.com/muniment/muniment/notary"
)

// Certified is what who bears a client certificate may do, and for whom.
type Certified struct {
	Tenant     notary.ID
	Role       notary.Role
	Supervises []notary.ID // the tenants that an auditor reads
}

// NamesOf are the names that a certificate gives its bearer, in the form in which callers are
// told apart by them: URI:spiffe://bank.example/loans, DNS:loans.bank.example, and, where it
// has neither, CN=loans.
func NamesOf(c *x509.Certificate) (names []string) {
	for _, u := range c.URIs {
		names = append(names, "URI:"+u.String())
	}
	for _, d := range c.DNSNames {
		names = append(names, "DNS:"+d)
	}
	if len(names) == 0 && c.Subject.CommonName != "" {
		names = []string{"CN=" + c.Subject.CommonName}
	}
	return names
}

// certificate returns the client certificate of the connection, if it led to a root that the
// listener trusts. A connection may outlive its certificate.
func certificate(r *http.Request) *x509.Certificate {
	if r.TLS == nil || len(r.TLS.VerifiedChains) == 0 {
		return nil
	}
	c, now := r.TLS.VerifiedChains[0][0], time.Now()
	if now.Before(c.NotBefore) || !now.Before(c.NotAfter) {
		return nil
	}
	return c
}

// byCertificate finds whose certificate it is. One whose names are several callers' is nobody's.
func (a *Authenticator) byCertificate(ctx context.Context, c *x509.Certificate) (notary.Principal, time.Time, error) {
	var is Certified
	var called string
	found := 0
	for _, name := range NamesOf(c) {
		if known, ok := a.certified[name]; ok && (found == 0 || !reflect.DeepEqual(known, is)) {
			is, called, found = known, name, found+1
		}
	}
	if found != 1 {
		return notary.Principal{}, time.Time{}, ErrUnauthenticated
	}
	tenant, err := a.accounts.Tenant(ctx, is.Tenant)
	if errors.Is(err, notary.ErrNotFound) {
		return notary.Principal{}, time.Time{}, ErrUnauthenticated
	}
	if err != nil {
		return notary.Principal{}, time.Time{}, fmt.Errorf("%w: looking up a certificate's tenant: %w", notary.ErrUnavailable, err)
	}
	key := sha256.Sum256(c.RawSubjectPublicKeyInfo)
	return notary.Principal{Tenant: tenant, Role: is.Role, Caller: "mtls:" + hex.EncodeToString(key[:8]), Name: notary.CallerName(called), Supervises: is.Supervises}, c.NotAfter, nil
}
