// Package auth tells who is calling. It knows API keys; what it yields is a
// notary.Principal.
//
// A key is 256 random bits. The depository keeps its SHA-256 alone, which is
// enough: what nobody can guess needs no slow hash, and a look-up by hash gives
// nothing away by its timing.
package auth

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/muniment/muniment/notary"
)

const (
	keyPrefix = "mnt_"
	keyBytes  = 32
)

// keyText is base64url without padding and with zero trailing bits: one spelling a key.
var keyText = base64.RawURLEncoding.Strict()

// NewKey returns a new API key, to be shown once, and the hash to be kept of it.
func NewKey() (text string, hash [32]byte) {
	var b [keyBytes]byte
	rand.Read(b[:]) // never fails
	text = keyPrefix + keyText.EncodeToString(b[:])
	return text, Hash(text)
}

// Hash returns what the depository keeps of a key.
func Hash(text string) [32]byte { return sha256.Sum256([]byte(text)) }

// ErrUnauthenticated is the answer to every request without a valid key, whatever
// is wrong with it.
var ErrUnauthenticated = errors.New("no valid API key")

// Bounds of the cache: a key that is taken away works for no longer than cacheFor.
const (
	cacheFor = 5 * time.Second
	cacheMax = 1024
)

// Keys authenticates by API key. It is safe for concurrent use.
type Keys struct {
	accounts notary.Accounts

	mu    sync.Mutex
	known map[[32]byte]known
}

// known is a key that was found, and until when that is believed.
type known struct {
	principal notary.Principal
	until     time.Time
}

// NewKeys returns an authenticator over accounts.
func NewKeys(accounts notary.Accounts) *Keys {
	return &Keys{accounts: accounts, known: map[[32]byte]known{}}
}

// Authenticate returns the principal whose key the request bears (RFC 6750 §2.1).
// Its errors are ErrUnauthenticated, and notary.ErrUnavailable when the accounts
// could not be asked.
func (k *Keys) Authenticate(r *http.Request) (notary.Principal, error) {
	text, ok := bearer(r.Header)
	if !ok {
		return notary.Principal{}, ErrUnauthenticated
	}
	hash := Hash(text)
	if p, ok := k.recall(hash); ok {
		return p, nil
	}
	p, err := k.look(r.Context(), hash)
	if err != nil {
		return notary.Principal{}, err
	}
	return p, nil
}

// Known returns the principal whose key the request bears, if it was found a moment ago.
func (k *Keys) Known(r *http.Request) (notary.Principal, bool) {
	text, ok := bearer(r.Header)
	if !ok {
		return notary.Principal{}, false
	}
	return k.recall(Hash(text))
}

// bearer returns the key of the one Authorization header, if it has a key's form.
func bearer(h http.Header) (string, bool) {
	values := h.Values("Authorization")
	if len(values) != 1 {
		return "", false
	}
	scheme, text, _ := strings.Cut(values[0], " ")
	encoded, ok := strings.CutPrefix(text, keyPrefix)
	if !ok || !strings.EqualFold(scheme, "Bearer") || len(encoded) != keyText.EncodedLen(keyBytes) {
		return "", false
	}
	_, err := keyText.DecodeString(encoded)
	return text, err == nil
}

// look asks the accounts for a key and its tenant.
func (k *Keys) look(ctx context.Context, hash [32]byte) (notary.Principal, error) {
	key, err := k.accounts.APIKey(ctx, hash)
	if errors.Is(err, notary.ErrNotFound) {
		return notary.Principal{}, ErrUnauthenticated
	}
	if err != nil {
		return notary.Principal{}, fmt.Errorf("%w: looking up an API key: %w", notary.ErrUnavailable, err)
	}
	if key.Expired(time.Now()) {
		return notary.Principal{}, ErrUnauthenticated
	}
	tenant, err := k.accounts.Tenant(ctx, key.Tenant)
	if err != nil {
		// A key without its tenant is damage, not a stranger.
		return notary.Principal{}, fmt.Errorf("%w: looking up an API key's tenant: %w", notary.ErrUnavailable, err)
	}
	p := notary.Principal{Tenant: tenant, Role: key.Role, Caller: key.Caller()}
	k.remember(key, p)
	return p, nil
}

func (k *Keys) recall(hash [32]byte) (notary.Principal, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	e, ok := k.known[hash]
	return e.principal, ok && time.Now().Before(e.until)
}

// remember keeps a key that was found. Keys that were not are looked up each time:
// there is no end of them.
func (k *Keys) remember(key notary.APIKey, p notary.Principal) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.known) >= cacheMax {
		clear(k.known)
	}
	until := time.Now().Add(cacheFor)
	if !key.Expires.IsZero() && key.Expires.Before(until) {
		until = key.Expires
	}
	k.known[key.Hash] = known{p, until}
}
