package auth

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/go-jose/go-jose/v4"
)

// A provider is an issuer whose every byte the test can choose, keys included.
type provider struct {
	*httptest.Server
	mu    sync.Mutex
	keys  []jose.JSONWebKey
	name  string // what discovery says; empty: its URL
	away  bool
	asked atomic.Int64 // for keys

	more  string       // more members of discovery
	token http.Handler // where codes are redeemed
}

func newProvider(t *testing.T) *provider {
	t.Helper()
	p := &provider{}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		defer p.mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		switch {
		case p.away:
			w.WriteHeader(http.StatusBadGateway)
		case r.URL.Path == "/.well-known/openid-configuration":
			name := p.name
			if name == "" {
				name = p.URL
			}
			fmt.Fprintf(w, `{"issuer":%q,"jwks_uri":%q,"authorization_endpoint":%q,"token_endpoint":%q%s}`, name, p.URL+"/keys", p.URL+"/authorize", p.URL+"/token", p.more)
		case r.URL.Path == "/keys":
			p.asked.Add(1)
			_ = json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: p.keys})
		case r.URL.Path == "/token" && p.token != nil:
			p.token.ServeHTTP(w, r)
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	t.Cleanup(p.Close)
	return p
}

func (p *provider) set(keys ...jose.JSONWebKey) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.keys = keys
}

func (p *provider) leave(away bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.away = away
}

// A pair is a key of the provider, private part and what it publishes.
type pair struct {
	private crypto.Signer
	public  jose.JSONWebKey
}

func rsaPair(t *testing.T, bits int, id, algorithm string) pair {
	t.Helper()
	k, err := rsa.GenerateKey(rand.Reader, bits)
	must(t, err)
	return pair{k, jose.JSONWebKey{Key: k.Public(), KeyID: id, Algorithm: algorithm, Use: "sig"}}
}

func ecPair(t *testing.T, id string) pair {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	return pair{k, jose.JSONWebKey{Key: k.Public(), KeyID: id, Use: "sig"}}
}

func edPair(t *testing.T, id string) pair {
	t.Helper()
	_, k, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	return pair{k, jose.JSONWebKey{Key: k.Public(), KeyID: id, Use: "sig"}}
}

func b64(data []byte) string { return base64.RawURLEncoding.EncodeToString(data) }

// sign signs header and claims, byte for byte as they are given, in an algorithm that need
// not be the one that the header names.
func (k pair) sign(t *testing.T, algorithm, header, claims string) string {
	t.Helper()
	text := b64([]byte(header)) + "." + b64([]byte(claims))
	sum := sha256.Sum256([]byte(text))
	var sig []byte
	var err error
	switch algorithm {
	case "RS256":
		sig, err = k.private.Sign(rand.Reader, sum[:], crypto.SHA256)
	case "PS256":
		sig, err = k.private.Sign(rand.Reader, sum[:], &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA256})
	case "ES256":
		r, s, bad := ecdsa.Sign(rand.Reader, k.private.(*ecdsa.PrivateKey), sum[:])
		sig, err = append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...), bad
	case "EdDSA":
		sig, err = k.private.Sign(rand.Reader, []byte(text), crypto.Hash(0))
	case "none":
		return text + "."
	default:
		t.Fatal(algorithm)
	}
	must(t, err)
	return text + "." + b64(sig)
}

// hmacOf signs with bytes as they stand, as HS256 does.
func hmacOf(secret []byte, header, claims string) string {
	text := b64([]byte(header)) + "." + b64([]byte(claims))
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(text))
	return text + "." + b64(mac.Sum(nil))
}
