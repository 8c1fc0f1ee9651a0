package main

import (
	"errors"
	"io/fs"
	"os"

	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/service/client"
)

// What became of a document.
const (
	statusDeposited = "deposited"
	statusThere     = "there"   // its receipt was there, and fits
	statusRefused   = "refused" // by the depository
	statusFailed    = "failed"
	statusStopped   = "stopped" // by the user
)

// outcome is what became of one file. As JSON its names are stable.
type outcome struct {
	File    string  `json:"file"`
	Status  string  `json:"status"`
	ID      string  `json:"id,omitempty"`
	Index   *uint64 `json:"index,omitempty"`
	Time    string  `json:"time,omitempty"`
	SHA256  string  `json:"sha256,omitempty"`
	Size    *int64  `json:"size,omitempty"`
	Held    *bool   `json:"held,omitempty"`
	Leaf    string  `json:"leaf,omitempty"`
	Receipt string  `json:"receipt,omitempty"` // path
	Problem string  `json:"problem,omitempty"` // type of the depository's refusal
	Error   string  `json:"error,omitempty"`
	err     error
}

func failed(path string, err error) outcome {
	r := outcome{File: path}
	r.fail(err)
	return r
}

// fail notes why there is no receipt.
func (r *outcome) fail(err error) {
	r.err, r.Status = err, statusFailed
	if refusedDeposit(err) {
		r.Status = statusRefused
	}
	if stopped(err) {
		r.Status = statusStopped
	}
	if p, ok := problemOf(err); ok {
		r.Problem = problemName(p)
	}
}

// fill says which deposit a receipt is of.
func (r *outcome) fill(receipt proofs.Receipt) {
	id, _ := receipt.Member("id")
	r.ID, _ = id.Text()
	held, _ := receipt.Member("content.held")
	was, _ := held.Boolean()
	index := receipt.Index
	r.Index, r.Held = &index, &was
	r.Time = proofs.FormatTime(receipt.Entry.Time)
	r.Leaf = receipt.Entry.LeafHash().String()
}

// print is one line for one file; failures are told at the end, together.
func (r *outcome) print(s *screen) error {
	switch {
	case s.json:
		if r.err != nil {
			r.Error = explain(r.err, s.lang)
		}
		return s.object(r)
	case r.err != nil:
		return nil
	}
	p := sayDeposited
	switch {
	case r.Status == statusThere:
		p = sayThere
	case !*r.Held:
		p = sayDepositedDigest
	}
	return s.line(p, r.File, *r.Index, r.Time, r.Receipt)
}

// hopeless reports whether the next file would fare no better.
func hopeless(err error) bool {
	var path *fs.PathError
	var link *os.LinkError
	var own *fault
	p, ok := problemOf(err)
	switch {
	case ok:
		return !p.Refused() || p.Status == 401 || p.Status == 403
	case errors.Is(err, client.ErrReceipt): // who gave one such gets no more documents
		return true
	case errors.Is(err, client.ErrChanged), errors.Is(err, proofs.ErrMalformed):
		return false
	case errors.As(err, &path), errors.As(err, &link), errors.As(err, &own):
		return false
	}
	return true
}
