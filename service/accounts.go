package service

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/service/api"
)

// requestDigest is what is kept of the Idempotency-Key of an order for an account.
func requestDigest(what, key string) [32]byte {
	return sha256.Sum256([]byte("muniment/request@v1\n" + what + "\n" + key))
}

// order reads what an operator orders, before which it is asked whether it is one.
func (s *server) order(r *http.Request, key, form string, into map[string]any) error {
	if !of(r).principal.Role.MayOperate() {
		return notary.ErrForbidden
	}
	if !validKey(key) {
		return errIdempotencyKey
	}
	names := make([]string, 0, len(into))
	for name := range into {
		names = append(names, name)
	}
	fields, err := s.fields(r, form, names...)
	if err != nil {
		return err
	}
	for name, to := range into {
		value := fields[name]
		if value == nil {
			continue
		}
		if json.Unmarshal(value, to) != nil || string(value) == "null" {
			return refuse(malformedJSON, fmt.Sprintf("The field %q is not of the type asked for.", name))
		}
		if text, is := to.(*string); is && *text == "" {
			return badAccount(name, "must not be empty")
		}
	}
	return nil
}

func badAccount(field, detail string) error {
	return &refusal{problem: invalidAccount, detail: field + ": " + detail, member: field}
}

// CreateTenant implements POST /v1/tenants.
func (s *server) CreateTenant(w http.ResponseWriter, r *http.Request, params api.CreateTenantParams) {
	made, err := s.newTenant(r, params.IdempotencyKey)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	of(r).about = made.ID
	w.Header().Set("Location", "/v1/tenants/"+made.ID.String())
	private(w, "application/json")
	w.WriteHeader(http.StatusCreated)
	encode(w, tenantOf(made))
}

func (s *server) newTenant(r *http.Request, key string) (t notary.Tenant, err error) {
	err = s.order(r, key, `{"name": "…", "registration": "…", "verified": "…", "verified_by": "…"}`, map[string]any{
		"name": &t.Name, "registration": &t.Registration, "verified": &t.Verified, "verified_by": &t.VerifiedBy,
	})
	if err != nil {
		return t, err
	}
	if invalid := new(notary.InvalidError); errors.As(t.Check(), &invalid) {
		return t, &refusal{problem: invalidAccount, detail: invalid.Error(), member: invalid.Member}
	}
	t.Request = requestDigest("tenant", key)
	if was, err := s.tenantAskedFor(r, t); !errors.Is(err, notary.ErrNotFound) {
		return was, err
	}
	t.Created = time.Now().UTC().Truncate(time.Millisecond)
	if t.ID, err = notary.NewID(t.Created, rand.Reader); err != nil {
		return t, err
	}
	if err := s.NewTenantKey(r.Context(), t.ID); err != nil { // first: a tenant without one could not be served
		return t, fmt.Errorf("%w: making a tenant's key: %w", notary.ErrUnavailable, err)
	}
	if err = s.Accounts.CreateTenant(r.Context(), t); errors.Is(err, notary.ErrExists) { // two raced with one key
		return s.tenantAskedFor(r, t)
	}
	return t, stored(err)
}

// tenantAskedFor returns the tenant that the same request made, or notary.ErrNotFound.
func (s *server) tenantAskedFor(r *http.Request, want notary.Tenant) (notary.Tenant, error) {
	all, err := s.tenants(r)
	for _, t := range all {
		if t.Request != want.Request {
			continue
		}
		want.ID, want.Created = t.ID, t.Created
		if t != want {
			return t, notary.ErrKeyReused
		}
		return t, nil
	}
	if err == nil {
		err = notary.ErrNotFound
	}
	return want, err
}

// tenants are those that the caller may know of, in ascending order of id: all, or those
// that it supervises.
func (s *server) tenants(r *http.Request) ([]notary.Tenant, error) {
	who := of(r).principal
	switch who.Role {
	case notary.Operator:
		all, err := s.Accounts.Tenants(r.Context())
		if err != nil {
			err = fmt.Errorf("%w: listing tenants: %w", notary.ErrUnavailable, err)
		}
		return all, err
	case notary.Auditor:
		var supervised []notary.Tenant
		for _, id := range who.Supervises {
			t, err := s.tenant(r, id)
			if errors.Is(err, notary.ErrUnavailable) {
				return nil, err
			}
			if err == nil {
				supervised = append(supervised, t)
			}
		}
		return sorted(supervised, func(t notary.Tenant) []byte { return t.ID[:] }), nil
	}
	return nil, notary.ErrForbidden
}

// ListTenants implements GET /v1/tenants.
func (s *server) ListTenants(w http.ResponseWriter, r *http.Request, _ api.ListTenantsParams) {
	all, err := s.tenants(r)
	var next string
	if err == nil {
		all, next, err = pageOf(r.URL.Query(), all, func(t notary.Tenant) string { return t.ID.String() })
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	list := api.TenantList{Tenants: make([]api.Tenant, len(all)), Next: next}
	for i, t := range all {
		list.Tenants[i] = tenantOf(t)
	}
	private(w, "application/json")
	encode(w, list)
}

// GetTenant implements GET /v1/tenants/{id}.
func (s *server) GetTenant(w http.ResponseWriter, r *http.Request, id api.TenantID) {
	all, err := s.tenants(r)
	for _, t := range all {
		if t.ID.String() == id {
			private(w, "application/json")
			encode(w, tenantOf(t))
			return
		}
	}
	if err == nil {
		err = notary.ErrNotFound
	}
	s.fail(w, r, err)
}

func tenantOf(t notary.Tenant) api.Tenant {
	return api.Tenant{Id: t.ID.String(), Name: t.Name, Registration: t.Registration, Verified: t.Verified, VerifiedBy: t.VerifiedBy, Created: t.Created}
}

// pageOf is the page of a list, in ascending order of what it is told apart by, that cursor
// and limit ask for, and where to go on.
func pageOf[T any](query url.Values, all []T, by func(T) string) (page []T, next string, err error) {
	limit := pageSize
	if asked, there := query["limit"]; there {
		limit, err = strconv.Atoi(asked[0])
		if err != nil || len(asked) > 1 || limit < 1 || limit > notary.MaxFound {
			return nil, "", badSearch("limit", "must be 1 to "+strconv.Itoa(notary.MaxFound))
		}
	}
	after := ""
	if asked, there := query["cursor"]; there {
		if after = asked[0]; len(asked) > 1 || after == "" || len(after) > 64 {
			return nil, "", badSearch("cursor", "must be what an answer's next said")
		}
	}
	for _, one := range all {
		if by(one) <= after {
			continue
		}
		if len(page) == limit {
			return page, by(page[limit-1]), nil
		}
		page = append(page, one)
	}
	return page, "", nil
}

// sorted is a list in ascending order, each once.
func sorted[T any](all []T, by func(T) []byte) []T {
	seen := map[string]bool{}
	all = slices.DeleteFunc(all, func(one T) bool {
		id := string(by(one))
		again := seen[id]
		seen[id] = true
		return again
	})
	slices.SortFunc(all, func(a, b T) int { return bytes.Compare(by(a), by(b)) })
	return all
}
