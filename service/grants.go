package service

import (
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/service/api"
	"github.com/muniment/muniment/service/auth"
)

// createCaseGrant implements POST /v1/cases/{contract}/grants, routed by hand like getCase.
func (s *server) createCaseGrant(w http.ResponseWriter, r *http.Request) {
	contract, err := contractOf(r.URL, "/grants")
	keys := r.Header.Values("Idempotency-Key")
	if err == nil && len(keys) != 1 {
		err = errIdempotencyKey
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.createGrant(w, r, notary.Opening{Key: keys[0], Contract: contract})
}

// CreateDepositGrant implements POST /v1/deposits/{id}/grants.
func (s *server) CreateDepositGrant(w http.ResponseWriter, r *http.Request, id api.DepositID, params api.CreateDepositGrantParams) {
	deposit, err := notary.ParseID(id)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.createGrant(w, r, notary.Opening{Key: params.IdempotencyKey, Deposit: deposit})
}

func (s *server) createGrant(w http.ResponseWriter, r *http.Request, want notary.Opening) {
	granted, err := s.opened(r, want)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	w.Header().Set("Location", "/v1/grants/"+granted.ID.String())
	answerGrant(w, http.StatusCreated, granted)
}

func (s *server) opened(r *http.Request, want notary.Opening) (notary.Granted, error) {
	if !of(r).principal.Role.MayKeep() { // before its body is read
		return notary.Granted{}, notary.ErrForbidden
	}
	if !validKey(want.Key) {
		return notary.Granted{}, errIdempotencyKey
	}
	fields, err := s.fields(r, `{"to": "…" or "link": true, "until": "…", "matter": "…", "reason": "…"}`, "to", "link", "until", "matter", "reason")
	if err != nil {
		return notary.Granted{}, err
	}
	var to, until string
	var link bool
	for name, into := range map[string]any{"to": &to, "link": &link, "until": &until, "matter": &want.Matter, "reason": &want.Reason} {
		if value := fields[name]; value != nil && json.Unmarshal(value, into) != nil {
			return notary.Granted{}, refuse(malformedJSON, "The field \""+name+"\" is not of the type asked for.")
		}
	}
	if (fields["to"] != nil) == link {
		return notary.Granted{}, badGrant("to", "name a court, or ask for a link, and not both")
	}
	if !link {
		if want.To, err = notary.ParseID(to); err != nil || want.To == (notary.ID{}) {
			return notary.Granted{}, badGrant("to", "must be the id of a court as a tenant")
		}
	}
	if want.Ends, err = proofs.ParseTime(until); err != nil {
		return notary.Granted{}, badGrant("until", "must be a time in the form 2026-12-31T16:00:00.000Z")
	}
	want.Until = s.preferences(r.Header).until
	granted, err := s.Notary.Grant(r.Context(), of(r).principal, want)
	if invalid := new(notary.InvalidError); errors.As(err, &invalid) {
		err = &refusal{problem: invalidGrant, detail: invalid.Error(), member: invalid.Member}
	}
	return granted, err
}

func badGrant(field, detail string) error {
	return &refusal{problem: invalidGrant, detail: field + ": " + detail, member: field}
}

// RevokeGrant implements DELETE /v1/grants/{id}.
func (s *server) RevokeGrant(w http.ResponseWriter, r *http.Request, id api.GrantID) {
	parsed, err := notary.ParseID(id)
	var revoked notary.Granted
	if !of(r).principal.Role.MayKeep() {
		err = notary.ErrForbidden
	}
	if err == nil {
		revoked, err = s.Notary.Revoke(r.Context(), of(r).principal, parsed, s.preferences(r.Header).until)
	}
	if invalid := new(notary.InvalidError); errors.As(err, &invalid) {
		err = &refusal{problem: invalidGrant, detail: invalid.Error()}
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	answerGrant(w, http.StatusOK, revoked)
}

func answerGrant(w http.ResponseWriter, status int, g notary.Granted) {
	out := api.GrantAnswer{Grant: grantOf(g.Grant), Receipt: string(g.Receipt.Marshal())}
	if g.Link != nil {
		out.Link = auth.LinkText(*g.Link)
	}
	private(w, "application/json")
	w.WriteHeader(status)
	encode(w, out)
}

// ListGrants implements GET /v1/grants.
func (s *server) ListGrants(w http.ResponseWriter, r *http.Request, _ api.ListGrantsParams) {
	search, err := page(r.URL.Query())
	limit := notary.MaxGrants
	if r.URL.Query().Has("limit") {
		limit = search.Limit
	}
	var grants []notary.Grant
	var next uint64
	if err == nil {
		grants, next, err = s.Notary.Grants(r.Context(), of(r).principal, search.From, limit)
	}
	if err != nil {
		s.fail(w, r, searchFault(err))
		return
	}
	answerGrants(w, grants, cursor(next))
}

// GetGrant implements GET /v1/grants/{id}.
func (s *server) GetGrant(w http.ResponseWriter, r *http.Request, id api.GrantID, _ api.GetGrantParams) {
	var grant notary.Grant
	parsed, err := notary.ParseID(id)
	if err == nil || !of(r).principal.Role.MayKeep() {
		grant, err = s.Notary.GrantByID(r.Context(), of(r).principal, parsed)
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	private(w, "application/json")
	encode(w, grantOf(grant))
}

// listCaseGrants implements GET /v1/cases/{contract}/grants.
func (s *server) listCaseGrants(w http.ResponseWriter, r *http.Request) {
	contract, err := contractOf(r.URL, "/grants")
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.listGrantsOf(w, r, contract, notary.ID{})
}

// ListDepositGrants implements GET /v1/deposits/{id}/grants.
func (s *server) ListDepositGrants(w http.ResponseWriter, r *http.Request, id api.DepositID) {
	deposit, err := notary.ParseID(id)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.listGrantsOf(w, r, "", deposit)
}

func (s *server) listGrantsOf(w http.ResponseWriter, r *http.Request, contract string, deposit notary.ID) {
	grants, err := s.Notary.GrantsOf(r.Context(), of(r).principal, contract, deposit)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	answerGrants(w, grants, "")
}

func answerGrants(w http.ResponseWriter, grants []notary.Grant, next string) {
	out := api.GrantList{Grants: make([]api.Grant, len(grants)), Next: next}
	for i, g := range grants {
		out.Grants[i] = grantOf(g)
	}
	private(w, "application/json")
	encode(w, out)
}

// grantOf is how the API tells a grant.
func grantOf(g notary.Grant) api.Grant {
	out := api.Grant{
		Id: g.ID.String(), Index: g.Index, Time: proofs.FormatTime(g.Time), Tenant: g.Tenant.String(), Scope: "deposit", Contract: g.Contract,
		Deposit: g.Deposit.String(), Until: proofs.FormatTime(g.Ends), Matter: g.Matter, Reason: g.Reason, By: g.By, State: "open",
	}
	if g.Case {
		out.Scope = "case"
	}
	if g.To != (notary.ID{}) {
		out.To = g.To.String()
	}
	switch {
	case g.Revoked != nil:
		out.State = "revoked"
		out.Revoked = &api.Revocation{Id: g.Revoked.ID.String(), Index: g.Revoked.Index, Time: proofs.FormatTime(g.Revoked.Time), By: g.Revoked.By}
	case !g.Open(time.Now()):
		out.State = "ended"
	}
	return out
}
