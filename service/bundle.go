package service

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/proofs/bundle"
	"github.com/muniment/muniment/service/verifypage"
)

// underway is whose bundles are being made: one of each caller.
type underway struct {
	mu sync.Mutex
	of map[string]bool
}

// begin takes the caller's turn, or refuses.
func (u *underway) begin(caller string) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.of[caller] {
		return refuse(bundleUnderWay, "Another bundle of yours is being made. Ask again when it has come.")
	}
	u.of[caller] = true
	return nil
}

func (u *underway) end(caller string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.of, caller)
}

// getBundle implements GET /v1/cases/{contract}/bundle. Documents stream through; of the whole
// bundle only its list of contents is held in memory.
func (s *server) getBundle(w http.ResponseWriter, r *http.Request) {
	contract, err := contractOf(r.URL, "/bundle")
	if err != nil {
		s.fail(w, r, err)
		return
	}
	who := of(r).principal
	caller := who.Tenant.ID.String() + " " + who.Caller
	if err := s.bundles.begin(caller); err != nil {
		s.fail(w, r, err)
		return
	}
	defer s.bundles.end(caller)
	state, err := s.Notary.Case(r.Context(), who, contract)
	switch {
	case err == nil && state.Seq > bundle.MaxDeposits:
		err = refuse(caseTooLarge, fmt.Sprintf("The case has %d deposits; a bundle holds %d at most. Fetch receipts and documents one by one.", state.Seq, bundle.MaxDeposits))
	case err == nil:
		_, _, err = s.Notary.Search(r.Context(), who, notary.Search{Contract: contract, Limit: 1})
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	h := w.Header()
	h.Set("Content-Disposition", attachment(contract+".zip"))
	private(w, "application/zip")
	if r.Method == http.MethodHead {
		w.WriteHeader(http.StatusOK)
		return
	}
	if err := s.writeBundle(r.Context(), w, who, contract, state.Seq); err != nil {
		p, _ := judge(err)
		s.note(r, p, err)
		panic(http.ErrAbortHandler) // a bundle that broke off must not look whole
	}
}

func (s *server) writeBundle(ctx context.Context, w http.ResponseWriter, who notary.Principal, contract string, count uint64) error {
	out := bundle.NewWriter(w, bundle.Case{
		Contract: contract, Count: count, Policy: s.Policy, Earlier: s.Earlier, Roots: s.TimestampRoots, Page: verifypage.Bundle(),
	})
	search := notary.Search{Contract: contract, Limit: pageSize}
	for {
		found, next, err := s.Notary.Search(ctx, who, search)
		if err != nil {
			return err
		}
		for _, f := range found {
			if place(f) > count { // it came since
				return out.Close()
			}
			// What was erased meanwhile is a gap, as what was erased before.
			if err := s.bundleDeposit(ctx, out, who, f); err != nil && !errors.Is(err, notary.ErrErased) {
				return err
			}
		}
		if next == 0 {
			return out.Close()
		}
		search.From = next
	}
}

// bundleDeposit adds one deposit, with everything that there is of it.
func (s *server) bundleDeposit(ctx context.Context, out *bundle.Writer, who notary.Principal, f notary.Found) error {
	receipt, err := s.Notary.Receipt(ctx, who, f.ID)
	if err != nil {
		return err
	}
	d := bundle.Deposit{Number: place(f), Receipt: receipt}
	record, err := s.Notary.Evidence(ctx, who, f.ID)
	switch {
	case err == nil && string(record.Note) == string(receipt.Checkpoint): // not, if it was dated in between
		d.Record = &record
	case err != nil && !errors.Is(err, notary.ErrNotStamped):
		return err
	}
	document, err := s.Notary.Document(ctx, who, f.ID)
	switch {
	case err == nil:
		defer document.Close()
		d.Document = document
	case !errors.Is(err, notary.ErrNotHeld):
		return err
	}
	return out.Add(d)
}
