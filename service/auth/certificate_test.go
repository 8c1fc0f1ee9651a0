package auth

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"errors"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"testing"
	"time"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/notary/notarytest"
)

// A root signs certificates.
type root struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newRoot(t *testing.T) root {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "root"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	must(t, err)
	c, err = x509.ParseCertificate(der)
	must(t, err)
	return root{c, key}
}

func (r root) sign(t *testing.T, change func(c *x509.Certificate)) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	c := &x509.Certificate{SerialNumber: big.NewInt(2), NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	change(c)
	der, err := x509.CreateCertificate(rand.Reader, c, r.cert, key.Public(), r.key)
	must(t, err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// TestCertificates: who comes with a certificate is who its name says, and a certificate of
// another root, for another use, out of its time, of no or of two callers, is nobody; a header
// decides wherever there is one, and one that a proxy might set is not looked at.
func TestCertificates(t *testing.T) {
	ledger := notarytest.NewLedger(nil)
	for _, id := range []byte{1, 2} {
		must(t, ledger.CreateTenant(t.Context(), notary.Tenant{ID: notary.ID{id}}))
	}
	key, hash := NewKey()
	must(t, ledger.CreateAPIKey(t.Context(), notary.APIKey{Hash: hash, Tenant: notary.ID{2}, Role: notary.Compliance}))
	a := New(Config{Accounts: ledger, Bearers: map[string]Certified{
		"CN=loans": {Tenant: notary.ID{1}, Role: notary.Depositor}, "URI:spiffe://bank.example/loans": {Tenant: notary.ID{1}, Role: notary.Depositor},
		"DNS:legal.bank.example": {Tenant: notary.ID{1}, Role: notary.Compliance}, "DNS:other.example": {Tenant: notary.ID{2}, Role: notary.Depositor}, "CN=supervisor": {Tenant: notary.ID{1}, Role: notary.Auditor, Supervises: []notary.ID{{2}}}, "CN=gone": {Tenant: notary.ID{9}, Role: notary.Depositor},
	}})
	var got notary.Principal
	var failed error
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { got, failed = a.Authenticate(r) }))
	ours, theirs := newRoot(t), newRoot(t)
	server.TLS = &tls.Config{ClientAuth: tls.VerifyClientCertIfGiven, ClientCAs: x509.NewCertPool()}
	server.TLS.ClientCAs.AddCert(ours.cert)
	server.StartTLS()
	defer server.Close()
	ask := func(c *tls.Certificate, headers ...string) error {
		config := server.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
		if c != nil {
			config.Certificates = []tls.Certificate{*c}
		}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
		must(t, err)
		for i := 0; i < len(headers); i += 2 {
			req.Header.Set(headers[i], headers[i+1])
		}
		got, failed = notary.Principal{}, nil
		resp, err := (&http.Client{Transport: &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}}).Do(req)
		if err != nil {
			return err
		}
		return errors.Join(resp.Body.Close(), failed)
	}
	name := func(cn string) func(*x509.Certificate) {
		return func(c *x509.Certificate) { c.Subject.CommonName = cn }
	}
	uri := &url.URL{Scheme: "spiffe", Host: "bank.example", Path: "/loans"}
	loans := ours.sign(t, name("loans"))
	spki, err := x509.ParseCertificate(loans.Certificate[0])
	must(t, err)
	sum := sha256.Sum256(spki.RawSubjectPublicKeyInfo)
	if err := ask(&loans); err != nil || got.Tenant.ID != (notary.ID{1}) || got.Role != notary.Depositor || got.Caller != "mtls:"+hex.EncodeToString(sum[:8]) || got.Name != "CN=loans" {
		t.Errorf("%+v, %v", got, err)
	}
	supervisor := ours.sign(t, name("supervisor"))
	if err := ask(&supervisor); err != nil || got.Role != notary.Auditor || len(got.Supervises) != 1 || got.Supervises[0] != (notary.ID{2}) {
		t.Errorf("an auditor: %+v, %v", got, err)
	}
	legal := ours.sign(t, func(c *x509.Certificate) { c.DNSNames, c.Subject.CommonName = []string{"legal.bank.example"}, "loans" })
	if err := ask(&legal); err != nil || got.Role != notary.Compliance {
		t.Errorf("a name beside the common name: %+v, %v", got, err)
	}
	both := ours.sign(t, func(c *x509.Certificate) { c.URIs, c.DNSNames = []*url.URL{uri}, []string{"loans.bank.example"} })
	if err := ask(&both); err != nil || got.Role != notary.Depositor {
		t.Errorf("a second name that says nothing: %+v, %v", got, err)
	}
	for what, c := range map[string]tls.Certificate{
		"an unknown name":      ours.sign(t, name("stranger")),
		"a name in capitals":   ours.sign(t, name("Loans")),
		"no name":              ours.sign(t, func(*x509.Certificate) {}),
		"a common name beside": ours.sign(t, func(c *x509.Certificate) { c.Subject.CommonName, c.DNSNames = "loans", []string{"x.example"} }),
		"two callers":          ours.sign(t, func(c *x509.Certificate) { c.DNSNames = []string{"legal.bank.example", "other.example"} }),
		"a tenant that is not": ours.sign(t, name("gone")),
		"another root":         theirs.sign(t, name("loans")),
		"another use": ours.sign(t, func(c *x509.Certificate) {
			c.Subject.CommonName, c.ExtKeyUsage = "loans", []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
		}),
		"ended":     ours.sign(t, func(c *x509.Certificate) { c.Subject.CommonName, c.NotAfter = "loans", time.Now().Add(-time.Second) }),
		"not begun": ours.sign(t, func(c *x509.Certificate) { c.Subject.CommonName, c.NotBefore = "loans", time.Now().Add(time.Hour) }),
	} {
		if err := ask(&c); err == nil || !reflect.DeepEqual(got, notary.Principal{}) {
			t.Errorf("%s: %+v", what, got)
		}
	}
	if err := ask(nil); !errors.Is(err, ErrUnauthenticated) {
		t.Errorf("without a certificate: %v", err)
	}
	if err := ask(nil, "X-Client-Cert", "CN=loans", "X-Forwarded-Client-Cert", "Subject=\"CN=loans\"", "Ssl-Client-Verify", "SUCCESS"); !errors.Is(err, ErrUnauthenticated) {
		t.Errorf("by a header of a proxy: %v", err)
	}
	if err := ask(&loans, "Authorization", "Bearer "+key); err != nil || got.Tenant.ID != (notary.ID{2}) {
		t.Errorf("a key beside it: %+v, %v", got, err)
	}
	for _, bad := range []string{"Bearer mnt_wrong", "Basic x", ""} {
		if err := ask(&loans, "Authorization", bad); !errors.Is(err, ErrUnauthenticated) {
			t.Errorf("%q beside it: %v", bad, err)
		}
	}
	// A connection outlives its certificate.
	short := ours.sign(t, func(c *x509.Certificate) { c.Subject.CommonName, c.NotAfter = "loans", time.Now().Add(time.Hour) })
	leaf, err := x509.ParseCertificate(short.Certificate[0])
	must(t, err)
	leaf.NotAfter = time.Now().Add(-time.Second)
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.TLS = &tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{leaf}}}
	if _, err := a.Authenticate(r); !errors.Is(err, ErrUnauthenticated) {
		t.Errorf("after its end: %v", err)
	}
}
