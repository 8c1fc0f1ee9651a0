package auth

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"

	"github.com/muniment/muniment/notary"
)

// How the keys of an issuer are kept. One that it withdraws is believed for freshFor at
// most while the issuer answers, and for keptFor while it does not; however many tokens name
// keys that are not there, it is asked once in askPause.
const (
	freshFor   = 5 * time.Minute
	keptFor    = 24 * time.Hour
	askPause   = 10 * time.Second
	askTimeout = 5 * time.Second
	maxAnswer  = 1 << 20 // bytes
	maxKeys    = 100
	minRSA     = 2048 // bits
)

// keySet is the public keys of one issuer, found by discovery and fetched when needed.
type keySet struct {
	issuer string
	client *http.Client

	mu      sync.Mutex
	keys    []jose.JSONWebKey
	fetched time.Time // when keys were; zero: never
	asked   time.Time // when that was last begun
	asking  chan struct{}
}

// VerifySignature implements oidc.KeySet: the key is the issuer's of that id, and the
// algorithm is the key's.
func (s *keySet) VerifySignature(ctx context.Context, text string) ([]byte, error) {
	t, err := parseToken(text)
	if err != nil {
		return nil, err
	}
	key, err := s.find(ctx, t.header.KeyID)
	if err != nil {
		return nil, err
	}
	algorithm := algorithmOf(key)
	if algorithm == "" || string(algorithm) != t.header.Algorithm {
		return nil, errors.New("the algorithm is not the key's")
	}
	signed, err := jose.ParseSignedCompact(text, []jose.SignatureAlgorithm{algorithm})
	if err != nil {
		return nil, err
	}
	return signed.Verify(key.Key)
}

// algorithmOf is the one algorithm in which a key signs; empty: none that is believed.
func algorithmOf(k *jose.JSONWebKey) jose.SignatureAlgorithm {
	fits := []jose.SignatureAlgorithm{}
	switch key := k.Key.(type) {
	case *rsa.PublicKey:
		if key.N.BitLen() >= minRSA {
			fits = []jose.SignatureAlgorithm{jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512}
		}
	case *ecdsa.PublicKey:
		switch key.Curve {
		case elliptic.P256():
			fits = []jose.SignatureAlgorithm{jose.ES256}
		case elliptic.P384():
			fits = []jose.SignatureAlgorithm{jose.ES384}
		case elliptic.P521():
			fits = []jose.SignatureAlgorithm{jose.ES512}
		}
	case ed25519.PublicKey:
		fits = []jose.SignatureAlgorithm{jose.EdDSA}
	}
	switch {
	case len(fits) == 0 || k.Use != "" && k.Use != "sig":
		return ""
	case k.Algorithm == "":
		return fits[0]
	case slices.Contains(fits, jose.SignatureAlgorithm(k.Algorithm)):
		return jose.SignatureAlgorithm(k.Algorithm)
	}
	return ""
}

// find returns the key of that id; without an id, the only key there is.
func (s *keySet) find(ctx context.Context, id string) (*jose.JSONWebKey, error) {
	key, age := s.look(id)
	if key != nil && age < freshFor {
		return key, nil
	}
	if key != nil && age < keptFor {
		s.ask() // and goes on with what is known meanwhile
		return key, nil
	}
	if asked := s.ask(); asked != nil {
		select {
		case <-asked:
		case <-ctx.Done():
		}
	}
	switch key, age = s.look(id); {
	case key != nil && age < keptFor:
		return key, nil
	case age >= keptFor:
		return nil, fmt.Errorf("%w: the keys of the issuer %s are not at hand", notary.ErrUnavailable, s.issuer)
	}
	return nil, errors.New("the issuer has no key of that id")
}

// look finds a key among those at hand. age is that of all of them.
func (s *keySet) look(id string) (key *jose.JSONWebKey, age time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fetched.IsZero() {
		return nil, keptFor
	}
	age = time.Since(s.fetched)
	if id == "" && len(s.keys) == 1 {
		return &s.keys[0], age
	}
	for i := range s.keys {
		if id != "" && s.keys[i].KeyID == id {
			return &s.keys[i], age
		}
	}
	return nil, age
}

// ask begins to fetch the keys, unless that was done a moment ago, and returns what is closed
// when they are there or not to be had; nil: nobody is asking.
func (s *keySet) ask() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.asking != nil {
		return s.asking
	}
	if !s.asked.IsZero() && time.Since(s.asked) < askPause {
		return nil
	}
	s.asked, s.asking = time.Now(), make(chan struct{})
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), askTimeout)
		defer cancel()
		keys, err := s.fetch(ctx)
		s.mu.Lock()
		defer s.mu.Unlock()
		if err == nil {
			s.keys, s.fetched = keys, time.Now()
		}
		close(s.asking)
		s.asking = nil
	}()
	return s.asking
}

// fetch discovers where the keys are (OpenID Connect Discovery 1.0 §4), and reads them.
func (s *keySet) fetch(ctx context.Context) ([]jose.JSONWebKey, error) {
	provider, err := oidc.NewProvider(oidc.ClientContext(ctx, s.client), s.issuer)
	if err != nil {
		return nil, err
	}
	var found struct {
		Keys string `json:"jwks_uri"`
	}
	if err := provider.Claims(&found); err != nil {
		return nil, err
	}
	if err := CheckURL(found.Keys); err != nil {
		return nil, fmt.Errorf("jwks_uri %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, found.Keys, nil)
	if err != nil {
		return nil, err
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the keys of %s: %s", s.issuer, resp.Status)
	}
	var set jose.JSONWebKeySet
	if err := json.NewDecoder(resp.Body).Decode(&set); err != nil {
		return nil, err
	}
	if len(set.Keys) > maxKeys {
		return nil, fmt.Errorf("%s has more than %d keys", s.issuer, maxKeys)
	}
	return slices.DeleteFunc(set.Keys, func(k jose.JSONWebKey) bool { return algorithmOf(&k) == "" }), nil
}

// bounded is a transport whose answers end.
type bounded struct{ http.RoundTripper }

func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := b.RoundTripper.RoundTrip(r)
	if err == nil {
		resp.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(resp.Body, maxAnswer), resp.Body}
	}
	return resp, err
}
