package service

import (
	"bytes"
	"net/http"
	"strconv"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/service/api"
)

// GetInclusionProof implements GET /log/inclusion/{size}/{index}.
func (s *server) GetInclusionProof(w http.ResponseWriter, r *http.Request, size api.Size, index string) {
	n, ok := canonical(size)
	i, ok2 := canonical(index)
	if !ok || !ok2 || r.URL.RawPath != "" {
		s.fail(w, r, notary.ErrNotFound)
		return
	}
	p, err := s.Notary.InclusionProof(r.Context(), i, n)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	lasting(w, r, api.InclusionProof{Index: i, Size: n, Leaf: p.Leaf.String(), Root: p.Root.String(), Path: path(p.Path)})
}

// GetConsistencyProof implements GET /log/consistency/{from}/{size}.
func (s *server) GetConsistencyProof(w http.ResponseWriter, r *http.Request, from string, size api.Size) {
	older, ok := canonical(from)
	newer, ok2 := canonical(size)
	if !ok || !ok2 || r.URL.RawPath != "" {
		s.fail(w, r, notary.ErrNotFound)
		return
	}
	p, err := s.Notary.ConsistencyProof(r.Context(), older, newer)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	lasting(w, r, api.ConsistencyProof{From: older, Size: newer, FromRoot: p.From.String(), Root: p.Root.String(), Path: path(p.Path)})
}

// lasting answers with what never changes.
func lasting(w http.ResponseWriter, r *http.Request, v any) {
	var b bytes.Buffer
	encode(&b, v)
	public(w, r, "application/json", immutable, b.Bytes())
}

// canonical reads a number in its one spelling.
func canonical(text string) (uint64, bool) {
	n, err := strconv.ParseUint(text, 10, 64)
	return n, err == nil && strconv.FormatUint(n, 10) == text
}

// path is a proof's hashes as JSON has them; the empty one is [].
func path(hashes []proofs.Hash) []string {
	out := make([]string, len(hashes))
	for i, h := range hashes {
		out[i] = h.String()
	}
	return out
}
