package service

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/service/api"
)

// pageSize is how many deposits a list has where the caller does not say.
const pageSize = 100

// ListDeposits implements GET /v1/deposits.
func (s *server) ListDeposits(w http.ResponseWriter, r *http.Request, params api.ListDepositsParams) {
	search, err := search(params, r.URL.Query())
	if err != nil {
		s.fail(w, r, err)
		return
	}
	found, next, err := s.Notary.Search(r.Context(), of(r).principal, search)
	if err != nil {
		s.fail(w, r, searchFault(err))
		return
	}
	private(w, "application/json")
	encode(w, api.DepositList{Deposits: deposits(found), Next: cursor(next)})
}

// deposits are the finds of a search as the API tells them; none is [].
func deposits(found []notary.Found) []api.FoundDeposit {
	out := make([]api.FoundDeposit, len(found))
	for i, f := range found {
		out[i] = api.FoundDeposit{
			Id:     f.ID.String(),
			Index:  f.Index,
			Kind:   string(f.Entry.Kind),
			Time:   proofs.FormatTime(f.Entry.Time),
			Leaf:   f.Leaf.String(),
			Record: []byte(f.Record.JSON()),
		}
	}
	return out
}

// cursor is how an answer says where to go on; empty at the end.
func cursor(next uint64) string {
	if next == 0 {
		return ""
	}
	return strconv.FormatUint(next, 10)
}

// searchFault says what a search's own refusal is to the caller.
func searchFault(err error) error {
	if invalid := new(notary.InvalidError); errors.As(err, &invalid) {
		return &refusal{problem: invalidSearch, detail: invalid.Error(), member: invalid.Member}
	}
	return err
}

// badSearch refuses a parameter of a list.
func badSearch(name, detail string) error {
	return &refusal{problem: invalidSearch, detail: name + ": " + detail, member: name}
}

// search reads the parameters of a list. A parameter that is there and empty is as
// wrong as any other that selects nothing by accident.
func search(params api.ListDepositsParams, query url.Values) (notary.Search, error) {
	out, err := page(query)
	if err != nil {
		return out, err
	}
	if p := params.Contract; p != nil {
		if out.Contract = *p; out.Contract == "" {
			return out, badSearch("contract", "must not be empty")
		}
	}
	if p := params.Sha256; p != nil {
		digest, err := proofs.Text(*p)
		if out.SHA256 = *p; err != nil || !proofs.TypeDigest.Holds(digest) {
			return out, badSearch("sha256", "must be 64 lower-case hex digits")
		}
	}
	if p := params.Sm3; p != nil {
		digest, err := proofs.Text(*p)
		if out.SM3 = *p; err != nil || !proofs.TypeDigest.Holds(digest) {
			return out, badSearch("sm3", "must be 64 lower-case hex digits")
		}
	}
	if p := params.Depositor; p != nil {
		if out.Depositor = *p; out.Depositor != notary.CallerName(*p) || out.Depositor == "" || len(query["depositor"]) > 1 {
			return out, badSearch("depositor", "must be what depositor.name in a record can be, once")
		}
	}
	if p := params.Label; p != nil {
		name, value, _ := strings.Cut(*p, ":")
		if out.Label, out.Value = name, value; value == "" || name == "" || !proofs.ValidName("label."+name) {
			return out, badSearch("label", "must be a label's name without label., a colon and its value, as in branch:Shenzhen")
		}
	}
	if out.Backward, err = backward(params.Order, query); err != nil {
		return out, err
	}
	for name, bound := range map[string]struct {
		text *string
		to   *time.Time
	}{"since": {params.Since, &out.Since}, "until": {params.Until, &out.Until}, "due": {params.Due, &out.Due}} {
		if bound.text == nil {
			continue
		}
		at, err := proofs.ParseTime(*bound.text)
		if err != nil {
			return out, badSearch(name, "must be a time in the form 2026-11-01T00:00:00.000Z")
		}
		*bound.to = at
	}
	return out, nil
}

// backward reads in which order a list is wanted.
func backward(order *string, query url.Values) (bool, error) {
	switch {
	case order == nil:
		return false, nil
	case len(query["order"]) > 1 || *order != "asc" && *order != "desc":
		return false, badSearch("order", "must be asc or desc")
	}
	return *order == "desc", nil
}

// page reads cursor and limit, which every list has.
func page(query url.Values) (notary.Search, error) {
	out := notary.Search{Limit: pageSize}
	if cursor, there := query["cursor"]; there {
		from, ok := canonical(cursor[0])
		if !ok || len(cursor) > 1 || from > 1<<63-1 {
			return out, badSearch("cursor", "must be what an answer's next said")
		}
		out.From = from
	}
	if limit, there := query["limit"]; there {
		n, err := strconv.Atoi(limit[0])
		if out.Limit = n; err != nil || len(limit) > 1 || n < 1 || n > notary.MaxFound {
			return out, badSearch("limit", "must be 1 to "+strconv.Itoa(notary.MaxFound))
		}
	}
	return out, nil
}
