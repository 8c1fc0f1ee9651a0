package service

import (
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/service/api"
)

// getCase implements GET /v1/cases/{contract}. It is routed by hand: a contract
// number may hold any character, percent-encoded, and is decoded once.
func (s *server) getCase(w http.ResponseWriter, r *http.Request) {
	contract, err := contractOf(r.URL, "")
	if err != nil {
		s.fail(w, r, err)
		return
	}
	search, err := page(r.URL.Query())
	if err != nil {
		s.fail(w, r, err)
		return
	}
	search.Contract = contract
	c, err := s.Notary.Case(r.Context(), of(r).principal, contract)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	found, next, err := s.Notary.Search(r.Context(), of(r).principal, search)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	// What came after the count is not yet part of this answer.
	for len(found) > 0 && place(found[len(found)-1]) > c.Seq {
		found, next = found[:len(found)-1], 0
	}
	private(w, "application/json")
	encode(w, api.Case{Contract: contract, Count: c.Seq, Leaf: c.Leaf.String(), Deposits: deposits(found), Next: cursor(next)})
}

// place is a deposit's case.seq.
func place(f notary.Found) uint64 {
	v, _ := f.Record.Get("case.seq")
	n, _ := v.Integer()
	return uint64(n)
}

// contractOf returns the contract number in a path, which is one segment, with what stands
// behind it.
func contractOf(u *url.URL, behind string) (string, error) {
	segment, _ := strings.CutPrefix(u.EscapedPath(), "/v1/cases/")
	segment, _ = strings.CutSuffix(segment, behind)
	contract, err := url.PathUnescape(segment)
	if err != nil || contract == "" || strings.Contains(segment, "/") || !utf8.ValidString(contract) {
		return "", notary.ErrNotFound
	}
	return contract, nil
}
