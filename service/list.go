package service

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/service/api"
)

// pageSize is how many deposits a list has where the caller does not say.
const pageSize = 100

// ListDeposits implements GET /v1/deposits.
func (s *server) ListDeposits(w http.ResponseWriter, r *http.Request, params api.ListDepositsParams) {
	search, err := search(params)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	found, next, err := s.Notary.Search(r.Context(), of(r).principal, search)
	if invalid := new(notary.InvalidError); errors.As(err, &invalid) {
		err = &refusal{problem: invalidSearch, detail: invalid.Error(), member: invalid.Member}
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	list := api.DepositList{Deposits: make([]api.FoundDeposit, len(found))}
	for i, f := range found {
		list.Deposits[i] = api.FoundDeposit{
			Id:     f.ID.String(),
			Index:  f.Index,
			Kind:   string(f.Entry.Kind),
			Time:   proofs.FormatTime(f.Entry.Time),
			Leaf:   f.Leaf.String(),
			Record: []byte(f.Record.JSON()),
		}
	}
	if next > 0 {
		list.Next = strconv.FormatUint(next, 10)
	}
	private(w, "application/json")
	encode(w, list)
}

// search reads the parameters of a list. A parameter that is there and empty is as
// wrong as any other that selects nothing by accident.
func search(params api.ListDepositsParams) (notary.Search, error) {
	out := notary.Search{Limit: pageSize}
	wrong := func(name, detail string) error {
		return &refusal{problem: invalidSearch, detail: name + ": " + detail, member: name}
	}
	if p := params.Contract; p != nil {
		if out.Contract = *p; out.Contract == "" {
			return out, wrong("contract", "must not be empty")
		}
	}
	if p := params.Sha256; p != nil {
		digest, err := proofs.Text(*p)
		if out.SHA256 = *p; err != nil || !proofs.TypeDigest.Holds(digest) {
			return out, wrong("sha256", "must be 64 lower-case hex digits")
		}
	}
	for name, bound := range map[string]struct {
		text *string
		to   *time.Time
	}{"since": {params.Since, &out.Since}, "until": {params.Until, &out.Until}} {
		if bound.text == nil {
			continue
		}
		at, err := proofs.ParseTime(*bound.text)
		if err != nil {
			return out, wrong(name, "must be a time in the form 2026-11-01T00:00:00.000Z")
		}
		*bound.to = at
	}
	if p := params.Cursor; p != nil {
		from, err := strconv.ParseUint(*p, 10, 63)
		if err != nil || strconv.FormatUint(from, 10) != *p {
			return out, wrong("cursor", "must be what an answer's next said")
		}
		out.From = from
	}
	if p := params.Limit; p != nil {
		if out.Limit = *p; out.Limit < 1 || out.Limit > notary.MaxFound {
			return out, wrong("limit", "must be 1 to "+strconv.Itoa(notary.MaxFound))
		}
	}
	return out, nil
}
