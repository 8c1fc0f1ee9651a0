package notary

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// KeptAccounts are Accounts of which a copy stands with the segments, so that whoever may
// call still may when the ledger was lost. Each method stands here by itself: one that
// changes an account must see to the copy as well.
type KeptAccounts struct {
	accounts Accounts
	copies   Segments
	origin   string
}

var _ Accounts = (*KeptAccounts)(nil)

// KeepAccounts returns accounts with their copies; without copies, accounts as they are.
func KeepAccounts(accounts Accounts, copies Segments, origin string) Accounts {
	if copies == nil {
		return accounts
	}
	return &KeptAccounts{accounts, copies, origin}
}

// CreateTenant implements Accounts. The copy comes first: a tenant that is only there does
// no harm.
func (k *KeptAccounts) CreateTenant(ctx context.Context, t Tenant) error {
	copied := keptTenantOf(t)
	if err := k.keep(ctx, copied.name(), copied); err != nil {
		return err
	}
	return k.accounts.CreateTenant(ctx, t)
}

// CreateAPIKey implements Accounts. Of a key that waits to be confirmed there is no copy: it
// is none yet.
func (k *KeptAccounts) CreateAPIKey(ctx context.Context, a APIKey) error {
	if !a.Pending() {
		copied := keptKeyOf(a)
		if err := k.keep(ctx, copied.name(), copied); err != nil {
			return err
		}
	}
	return k.accounts.CreateAPIKey(ctx, a)
}

// ConfirmAPIKey implements Accounts. The copy comes last: one that came first, of a key that
// is taken away at the same moment, would bring that back.
func (k *KeptAccounts) ConfirmAPIKey(ctx context.Context, hash [32]byte, by string, at time.Time) error {
	done := k.accounts.ConfirmAPIKey(ctx, hash, by, at)
	if done != nil && !errors.Is(done, ErrConflict) { // it may be confirmed without its copy
		return done
	}
	a, err := k.accounts.APIKey(ctx, hash)
	copied := keptKeyOf(APIKey{Hash: hash})
	if err == nil && !a.Pending() {
		copied = keptKeyOf(a)
		err = k.keep(ctx, copied.name(), copied)
	}
	if err == nil {
		_, err = k.accounts.APIKey(ctx, hash)
	}
	if errors.Is(err, ErrNotFound) { // taken away since
		err = k.copies.DropAccount(ctx, k.origin, copied.name())
	}
	return errors.Join(done, err)
}

// DeleteAPIKey implements Accounts. The copy goes first: a recovery must not bring a key back
// that was taken away.
func (k *KeptAccounts) DeleteAPIKey(ctx context.Context, hash [32]byte) error {
	if err := k.copies.DropAccount(ctx, k.origin, keptKeyOf(APIKey{Hash: hash}).name()); err != nil {
		return fmt.Errorf("dropping the copy of an account: %w", err)
	}
	return k.accounts.DeleteAPIKey(ctx, hash)
}

// Tenant implements Accounts.
func (k *KeptAccounts) Tenant(ctx context.Context, id ID) (Tenant, error) {
	return k.accounts.Tenant(ctx, id)
}

// Tenants implements Accounts.
func (k *KeptAccounts) Tenants(ctx context.Context) ([]Tenant, error) {
	return k.accounts.Tenants(ctx)
}

// APIKey implements Accounts.
func (k *KeptAccounts) APIKey(ctx context.Context, hash [32]byte) (APIKey, error) {
	return k.accounts.APIKey(ctx, hash)
}

// APIKeys implements Accounts.
func (k *KeptAccounts) APIKeys(ctx context.Context) ([]APIKey, error) { return k.accounts.APIKeys(ctx) }

// CopyAccounts brings a copy of every tenant and API key into copies, and takes away those
// of which there is no account any more.
func CopyAccounts(ctx context.Context, accounts Accounts, copies Segments, origin string) (tenants, keys int, err error) {
	k := &KeptAccounts{accounts, copies, origin}
	all, err := accounts.Tenants(ctx)
	for _, t := range all {
		if err == nil {
			copied := keptTenantOf(t)
			err = k.keep(ctx, copied.name(), copied)
		}
	}
	if err != nil {
		return 0, 0, err
	}
	hashes, err := accounts.APIKeys(ctx)
	for _, a := range hashes {
		if err == nil && !a.Pending() {
			copied := keptKeyOf(a)
			err = k.keep(ctx, copied.name(), copied)
			keys++
		}
	}
	if err == nil {
		err = k.dropOthers(ctx, all, hashes)
	}
	return len(all), keys, err
}

// dropOthers takes away the copies of accounts that are not among those.
func (k *KeptAccounts) dropOthers(ctx context.Context, tenants []Tenant, keys []APIKey) error {
	known := map[string]bool{}
	for _, t := range tenants {
		known[keptTenantOf(t).name()] = true
	}
	for _, a := range keys {
		known[keptKeyOf(a).name()] = true
	}
	var gone []string
	err := k.copies.KeptAccounts(ctx, k.origin, func(name string, _ []byte) error {
		if !known[name] {
			gone = append(gone, name)
		}
		return nil
	})
	for _, name := range gone {
		if err == nil {
			err = k.copies.DropAccount(ctx, k.origin, name)
		}
	}
	return err
}

func (k *KeptAccounts) keep(ctx context.Context, name string, account any) error {
	body, err := json.Marshal(account)
	if err == nil {
		err = k.copies.KeepAccount(ctx, k.origin, name, body)
	}
	if err != nil {
		return fmt.Errorf("keeping a copy of an account: %w", err)
	}
	return nil
}

// keptTenant and keptKey are what the copies hold, as JSON.
type keptTenant struct {
	ID           string    `json:"id"`
	Name         string    `json:"name"`
	Registration string    `json:"registration"`
	Created      time.Time `json:"created"`
	Verified     string    `json:"verified,omitempty"`
	VerifiedBy   string    `json:"verified_by,omitempty"`
	Request      string    `json:"request,omitempty"` // hex
}

func keptTenantOf(t Tenant) keptTenant {
	return keptTenant{t.ID.String(), t.Name, t.Registration, t.Created, t.Verified, t.VerifiedBy, keptRequest(t.Request)}
}

type keptKey struct {
	Hash    string    `json:"sha256"` // of the key's text, in hex
	Tenant  string    `json:"tenant"`
	Role    Role      `json:"role"`
	Created time.Time `json:"created"`
	Name    string    `json:"name,omitempty"`
	Expires time.Time `json:"expires,omitzero"`

	Supervises  []string  `json:"supervises,omitempty"`
	Request     string    `json:"request,omitempty"` // hex
	AskedBy     string    `json:"asked_by,omitempty"`
	ConfirmedBy string    `json:"confirmed_by,omitempty"`
	Confirmed   time.Time `json:"confirmed,omitzero"`
}

func keptKeyOf(a APIKey) keptKey {
	k := keptKey{
		Hash: hex.EncodeToString(a.Hash[:]), Tenant: a.Tenant.String(), Role: a.Role, Created: a.Created, Name: a.Name, Expires: a.Expires,
		Request: keptRequest(a.Request), AskedBy: a.AskedBy, ConfirmedBy: a.ConfirmedBy, Confirmed: a.Confirmed,
	}
	for _, id := range a.Supervises {
		k.Supervises = append(k.Supervises, id.String())
	}
	return k
}

func keptRequest(digest [32]byte) string {
	if digest == ([32]byte{}) {
		return ""
	}
	return hex.EncodeToString(digest[:])
}

func parseRequest(text string) (digest [32]byte, err error) {
	raw, err := hex.DecodeString(text)
	if err == nil && len(raw) != 0 && len(raw) != len(digest) {
		err = ErrDamaged
	}
	copy(digest[:], raw)
	return digest, err
}

func (t keptTenant) name() string { return "tenant-" + t.ID }
func (k keptKey) name() string    { return "key-" + k.Hash }

// RestoreAccounts makes the tenants and API keys anew of which there are copies, and
// returns how many of each there were not.
func RestoreAccounts(ctx context.Context, accounts Accounts, copies Segments, origin string) (tenants, keys int, err error) {
	var apiKeys []APIKey // which come after their tenants
	err = copies.KeptAccounts(ctx, origin, func(name string, body []byte) error {
		if strings.HasPrefix(name, "key-") {
			a, err := parseKey(name, body)
			apiKeys = append(apiKeys, a)
			return err
		}
		t, err := parseTenant(name, body)
		if err != nil {
			return err
		}
		made, err := unlessThere(accounts.CreateTenant(ctx, t))
		tenants += made
		return err
	})
	for _, a := range apiKeys {
		if err != nil {
			break
		}
		var made int
		made, err = unlessThere(accounts.CreateAPIKey(ctx, a))
		keys += made
	}
	return tenants, keys, err
}

func parseTenant(name string, body []byte) (Tenant, error) {
	var t keptTenant
	err := json.Unmarshal(body, &t)
	id, bad := ParseID(t.ID)
	request, wrong := parseRequest(t.Request)
	if err != nil || bad != nil || wrong != nil || name != t.name() {
		return Tenant{}, fmt.Errorf("%w: the copy of a tenant", ErrDamaged)
	}
	return Tenant{ID: id, Name: t.Name, Registration: t.Registration, Created: t.Created, Verified: t.Verified, VerifiedBy: t.VerifiedBy, Request: request}, nil
}

func parseKey(name string, body []byte) (APIKey, error) {
	var k keptKey
	err := json.Unmarshal(body, &k)
	tenant, bad := ParseID(k.Tenant)
	hash, wrong := hex.DecodeString(k.Hash)
	a := APIKey{
		Tenant: tenant, Role: k.Role, Created: k.Created, Name: k.Name, Expires: k.Expires,
		AskedBy: k.AskedBy, ConfirmedBy: k.ConfirmedBy, Confirmed: k.Confirmed,
	}
	for _, text := range k.Supervises {
		id, unreadable := ParseID(text)
		a.Supervises, bad = append(a.Supervises, id), errors.Join(bad, unreadable)
	}
	if request, unreadable := parseRequest(k.Request); unreadable == nil {
		a.Request = request
	} else {
		bad = unreadable
	}
	if err != nil || bad != nil || wrong != nil || len(hash) != len(a.Hash) || name != k.name() {
		return APIKey{}, fmt.Errorf("%w: the copy of an API key", ErrDamaged)
	}
	copy(a.Hash[:], hash)
	return a, nil
}

// unlessThere counts what was made.
func unlessThere(err error) (made int, _ error) {
	switch {
	case err == nil:
		return 1, nil
	case errors.Is(err, ErrExists):
		return 0, nil
	}
	return 0, err
}
