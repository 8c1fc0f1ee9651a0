package service

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/service/api"
	"github.com/muniment/muniment/service/auth"
)

const (
	// maxKeys is how many keys one tenant may have, and how many operators there may be.
	maxKeys = 1000
	// maxKeyName bounds what a key is called, in characters.
	maxKeyName = 200
	// maxKeyLife is how far away a key's end may be.
	maxKeyLife = 36500 * 24 * time.Hour
)

// CreateKey implements POST /v1/keys.
func (s *server) CreateKey(w http.ResponseWriter, r *http.Request, params api.CreateKeyParams) {
	k, text, err := s.newKey(r, params.IdempotencyKey)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	told := keyOf(k)
	told.ApiKey = text
	w.Header().Set("Location", "/v1/keys/"+told.Id)
	private(w, "application/json")
	if k.Pending() {
		w.WriteHeader(http.StatusAccepted)
	} else {
		w.WriteHeader(http.StatusCreated)
	}
	encode(w, told)
}

// newKey makes a key, or finds the one that the same request made, which then has no text.
func (s *server) newKey(r *http.Request, key string) (k notary.APIKey, text string, err error) {
	if k, err = s.keyOrder(r, key); err != nil {
		return k, "", err
	}
	of(r).about = k.Tenant
	all, err := s.allKeys(r)
	if err != nil {
		return k, "", err
	}
	if was, err := keyAskedFor(all, k); !errors.Is(err, notary.ErrNotFound) {
		return was, "", err
	}
	now := time.Now().UTC().Truncate(time.Millisecond)
	if !k.Expires.IsZero() && (!k.Expires.After(now) || k.Expires.Sub(now) > maxKeyLife) {
		return k, "", badAccount("expires", "must be a time from now on, and at most 36,500 days away")
	}
	count := 0
	for _, other := range all {
		if other.Tenant == k.Tenant {
			count++
		}
	}
	if count >= maxKeys {
		return k, "", badAccount("tenant", fmt.Sprintf("it has %d keys, and may not have more: delete those that are not used", count))
	}
	text, k.Hash = auth.NewKey()
	k.Created, k.AskedBy = now, of(r).principal.Caller
	err = s.Accounts.CreateAPIKey(r.Context(), k)
	if errors.Is(err, notary.ErrExists) { // two raced with one key
		if all, err = s.allKeys(r); err == nil {
			k, err = keyAskedFor(all, k)
		}
		return k, "", err
	}
	return k, text, stored(err)
}

// keyOrder reads what key an operator wants.
func (s *server) keyOrder(r *http.Request, key string) (k notary.APIKey, err error) {
	var tenant, role, expires string
	var supervises []string
	err = s.order(r, key, `{"tenant": "…", "role": "…", "name": "…", "expires": "…", "supervises": […]}`, map[string]any{
		"tenant": &tenant, "role": &role, "name": &k.Name, "expires": &expires, "supervises": &supervises,
	})
	if err != nil {
		return k, err
	}
	k.Role, k.Request = notary.Role(role), requestDigest("key", key)
	if !slices.Contains(notary.Roles, k.Role) {
		return k, badAccount("role", fmt.Sprintf("must be one of %v", notary.Roles))
	}
	if _, err := proofs.Text(k.Name); err != nil || utf8.RuneCountInString(k.Name) > maxKeyName || strings.IndexFunc(k.Name, func(c rune) bool { return !unicode.IsPrint(c) }) >= 0 {
		return k, badAccount("name", fmt.Sprintf("must be at most %d printable characters", maxKeyName))
	}
	if (tenant == "") != (k.Role == notary.Operator) {
		return k, badAccount("tenant", "is required, and an operator has none")
	}
	if tenant != "" {
		if k.Tenant, err = s.named(r, "tenant", tenant); err != nil {
			return k, err
		}
	}
	if (len(supervises) > 0) != (k.Role == notary.Auditor) || len(supervises) > notary.MaxSupervised {
		return k, badAccount("supervises", fmt.Sprintf("names 1 to %d tenants of an auditor, and nobody else has it", notary.MaxSupervised))
	}
	for _, one := range supervises {
		id, err := s.named(r, "supervises", one)
		if err != nil {
			return k, err
		}
		k.Supervises = append(k.Supervises, id)
	}
	k.Supervises = sorted(k.Supervises, func(id notary.ID) []byte { return id[:] })
	if expires != "" {
		if k.Expires, err = proofs.ParseTime(expires); err != nil {
			return k, badAccount("expires", "must be a time in the form 2026-12-31T16:00:00.000Z")
		}
	}
	return k, nil
}

// named returns the id of a tenant that is there.
func (s *server) named(r *http.Request, field, text string) (notary.ID, error) {
	id, err := notary.ParseID(text)
	if err == nil {
		_, err = s.tenant(r, id)
	}
	if errors.Is(err, notary.ErrNotFound) && !errors.Is(err, notary.ErrUnavailable) {
		err = badAccount(field, "there is no such tenant")
	}
	return id, err
}

// keyAskedFor returns the key that the same request made, or notary.ErrNotFound.
func keyAskedFor(all []notary.APIKey, want notary.APIKey) (notary.APIKey, error) {
	for _, k := range all {
		if k.Request != want.Request {
			continue
		}
		if k.Tenant != want.Tenant || k.Role != want.Role || k.Name != want.Name || !k.Expires.Equal(want.Expires) || !slices.Equal(k.Supervises, want.Supervises) {
			return k, notary.ErrKeyReused
		}
		return k, nil
	}
	return want, notary.ErrNotFound
}

func (s *server) allKeys(r *http.Request) ([]notary.APIKey, error) {
	all, err := s.Accounts.APIKeys(r.Context())
	if err != nil {
		err = fmt.Errorf("%w: listing API keys: %w", notary.ErrUnavailable, err)
	}
	return all, err
}

// ownKeys are the keys that the caller may know of and take away, in ascending order of hash.
func (s *server) ownKeys(r *http.Request) ([]notary.APIKey, error) {
	who := of(r).principal
	if who.Role != notary.Operator && who.Role != notary.Compliance {
		return nil, notary.ErrForbidden
	}
	all, err := s.allKeys(r)
	return slices.DeleteFunc(all, func(k notary.APIKey) bool { return who.Role == notary.Compliance && k.Tenant != who.Tenant.ID }), err
}

// ownKey returns one of them, or notary.ErrNotFound.
func (s *server) ownKey(r *http.Request, id string) (notary.APIKey, error) {
	all, err := s.ownKeys(r)
	for _, k := range all {
		if k.Caller() == id {
			return k, nil
		}
	}
	if err == nil {
		err = notary.ErrNotFound
	}
	return notary.APIKey{}, err
}

// ListKeys implements GET /v1/keys.
func (s *server) ListKeys(w http.ResponseWriter, r *http.Request, params api.ListKeysParams) {
	all, err := s.ownKeys(r)
	if err == nil && params.Tenant != nil {
		var tenant notary.ID
		if tenant, err = notary.ParseID(*params.Tenant); err == nil {
			_, err = s.tenant(r, tenant)
		}
		all = slices.DeleteFunc(all, func(k notary.APIKey) bool { return k.Tenant != tenant })
	}
	var next string
	if err == nil {
		all, next, err = pageOf(r.URL.Query(), all, notary.APIKey.Caller)
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	list := api.KeyList{Keys: make([]api.Key, len(all)), Next: next}
	for i, k := range all {
		list.Keys[i] = keyOf(k)
	}
	private(w, "application/json")
	encode(w, list)
}

// GetKey implements GET /v1/keys/{id}.
func (s *server) GetKey(w http.ResponseWriter, r *http.Request, id api.KeyID) {
	k, err := s.ownKey(r, id)
	s.tellKey(w, r, k, err)
}

func (s *server) tellKey(w http.ResponseWriter, r *http.Request, k notary.APIKey, err error) {
	if err != nil {
		s.fail(w, r, err)
		return
	}
	private(w, "application/json")
	encode(w, keyOf(k))
}

// DeleteKey implements DELETE /v1/keys/{id}.
func (s *server) DeleteKey(w http.ResponseWriter, r *http.Request, id api.KeyID) {
	k, err := s.ownKey(r, id)
	if err == nil {
		of(r).about = k.Tenant
		err = stored(s.Accounts.DeleteAPIKey(r.Context(), k.Hash))
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// ConfirmKey implements POST /v1/keys/{id}/confirmation.
func (s *server) ConfirmKey(w http.ResponseWriter, r *http.Request, id api.KeyID) {
	k, err := s.confirm(r, id)
	s.tellKey(w, r, k, err)
}

func (s *server) confirm(r *http.Request, id string) (notary.APIKey, error) {
	who := of(r).principal
	if !who.Role.MayOperate() {
		return notary.APIKey{}, notary.ErrForbidden
	}
	k, err := s.ownKey(r, id)
	of(r).about = k.Tenant
	now := time.Now().UTC().Truncate(time.Millisecond)
	switch {
	case err != nil:
		return k, err
	case k.AskedBy == who.Caller:
		return k, refuse(notConfirmable, "Another caller than the one that asked for the key must confirm it.")
	case k.Lapsed(time.Now()):
		return k, refuse(notConfirmable, "The key was asked for more than 30 days ago. Delete it, and ask for a new one.")
	}
	// Also of one that is confirmed already: what a crash left to be done is done now.
	err = s.Accounts.ConfirmAPIKey(r.Context(), k.Hash, who.Caller, now)
	switch {
	case errors.Is(err, notary.ErrConflict) && k.ConfirmedBy == who.Caller:
		return k, nil
	case errors.Is(err, notary.ErrConflict):
		return k, refuse(notConfirmable, "The key does not wait to be confirmed.")
	}
	k.ConfirmedBy, k.Confirmed = who.Caller, now
	return k, stored(err)
}

// keyOf is how the API tells a key.
func keyOf(k notary.APIKey) api.Key {
	out := api.Key{Id: k.Caller(), Role: string(k.Role), Name: k.Name, Created: k.Created, State: "valid", AskedBy: k.AskedBy, ConfirmedBy: k.ConfirmedBy}
	if k.Tenant != (notary.ID{}) {
		out.Tenant = k.Tenant.String()
	}
	if !k.Expires.IsZero() {
		out.Expires = &k.Expires
	}
	if !k.Confirmed.IsZero() {
		out.Confirmed = &k.Confirmed
	}
	for _, id := range k.Supervises {
		out.Supervises = append(out.Supervises, id.String())
	}
	now := time.Now()
	switch {
	case k.Expired(now) || k.Lapsed(now):
		out.State = "ended"
	case k.Pending():
		out.State = "asked"
	}
	return out
}
