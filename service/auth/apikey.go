package auth

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
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

// isKey reports whether a text has a key's form.
func isKey(text string) bool {
	encoded, ok := strings.CutPrefix(text, keyPrefix)
	if !ok || len(encoded) != keyText.EncodedLen(keyBytes) {
		return false
	}
	_, err := keyText.DecodeString(encoded)
	return err == nil
}

// byKey asks the accounts for a key and its tenant, and returns until when it is good; zero:
// it does not end.
func (a *Authenticator) byKey(ctx context.Context, text string) (notary.Principal, time.Time, error) {
	return a.byHash(ctx, Hash(text))
}

func (a *Authenticator) byHash(ctx context.Context, hash [32]byte) (notary.Principal, time.Time, error) {
	key, err := a.accounts.APIKey(ctx, hash)
	if errors.Is(err, notary.ErrNotFound) {
		return notary.Principal{}, time.Time{}, ErrUnauthenticated
	}
	if err != nil {
		return notary.Principal{}, time.Time{}, fmt.Errorf("%w: looking up an API key: %w", notary.ErrUnavailable, err)
	}
	if key.Expired(time.Now()) || key.Pending() {
		return notary.Principal{}, time.Time{}, ErrUnauthenticated
	}
	p := notary.Principal{Role: key.Role, Caller: key.Caller(), Name: notary.CallerName(key.Name), Supervises: key.Supervises}
	if key.Role != notary.Operator || key.Tenant != (notary.ID{}) { // an operator is of no tenant
		p.Tenant, err = a.accounts.Tenant(ctx, key.Tenant)
	}
	if err != nil {
		// A key without its tenant is damage, not a stranger.
		return notary.Principal{}, time.Time{}, fmt.Errorf("%w: looking up an API key's tenant: %w", notary.ErrUnavailable, err)
	}
	return p, key.Expires, nil
}
