package service

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/service/auth"
)

// principal tells who calls, and which tenant's deposits the call is about.
func (s *server) principal(r *http.Request) (notary.Principal, error) {
	who, err := s.caller(r)
	if err != nil {
		return who, err
	}
	return s.looking(r, who)
}

func (s *server) caller(r *http.Request) (notary.Principal, error) {
	if who, ok := acting(r); ok {
		return who, nil
	}
	link, borne, err := auth.Link(r)
	if !borne {
		return s.callers.Authenticate(r)
	}
	if err == nil {
		_, err = s.tenant(r, link.Tenant)
	}
	var who notary.Principal
	if err == nil {
		who, err = s.Notary.Link(r.Context(), link)
	}
	if errors.Is(err, notary.ErrNotFound) && !errors.Is(err, notary.ErrUnavailable) {
		err = auth.ErrUnauthenticated // whatever is wrong with it
	}
	return who, err
}

// looking reads the parameter tenant. What it names is looked at only by who may, and to
// everyone else it is as if it never was.
func (s *server) looking(r *http.Request, who notary.Principal) (notary.Principal, error) {
	named, there := r.URL.Query()["tenant"]
	if who.Role == notary.Operator { // reads no deposit, of whomever; it may list one's keys
		return who, nil
	}
	if who.Grant == (notary.ID{}) && (who.Role == notary.Auditor || who.Role == notary.Court) {
		if (r.Method != http.MethodGet && r.Method != http.MethodHead) || !ofDeposits(r.URL.Path) {
			return who, nil // where it has nothing to do, whatever it names
		}
		if !there {
			return who, badSearch("tenant", "name the tenant whose deposits you look at")
		}
		return s.lookingAt(r, who, named)
	}
	own := who.Tenant.ID
	if who.Grant != (notary.ID{}) {
		own = who.At
	}
	if there && (len(named) > 1 || named[0] != own.String()) {
		return who, notary.ErrNotFound
	}
	return who, nil
}

// lookingAt has an auditor or a court look at a tenant. To an auditor one that it does not
// supervise is unknown. A court may name any: one that never was has opened nothing to it,
// just as its own tenant has not, so that it looks at that.
func (s *server) lookingAt(r *http.Request, who notary.Principal, named []string) (notary.Principal, error) {
	at, err := notary.ParseID(named[0])
	if err != nil || len(named) > 1 {
		return who, notary.ErrNotFound
	}
	if who.Role == notary.Auditor && !slices.Contains(who.Supervises, at) {
		return who, notary.ErrNotFound
	}
	_, err = s.tenant(r, at)
	switch {
	case err == nil:
		who.At = at
	case errors.Is(err, notary.ErrNotFound) && who.Role == notary.Court:
		who.At = notary.ID{}
	default:
		return who, err
	}
	return who, nil
}

// ofDeposits reports whether a path is of what some tenant deposited.
func ofDeposits(path string) bool {
	for _, prefix := range []string{"/v1/deposits", "/v1/cases/", "/v1/grants", "/v1/notices"} {
		if strings.HasPrefix(path, prefix) {
			return true
		}
	}
	return false
}

// tenant returns a tenant, or notary.ErrNotFound.
func (s *server) tenant(r *http.Request, id notary.ID) (notary.Tenant, error) {
	t, err := s.Accounts.Tenant(r.Context(), id)
	if err != nil && !errors.Is(err, notary.ErrNotFound) {
		err = fmt.Errorf("%w: looking up a tenant: %w", notary.ErrUnavailable, err)
	}
	return t, err
}
