package service

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/notary/certificate"
	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/proofs/bundle"
	"github.com/muniment/muniment/service/api"
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

// wanted is how the certificates of a bundle are to be; nil: it has none.
func (s *server) wanted(r *http.Request) (*certificate.Input, error) {
	var params api.GetCertificateParams
	given := r.URL.Query()
	for name, to := range map[string]**string{"lang": &params.Lang, "profile": &params.Profile} {
		if given.Has(name) {
			value := given.Get(name)
			*to = &value
		}
	}
	in, _, err := s.asked(params)
	if err != nil {
		return nil, err
	}
	none := given.Get("certificates") == "none"
	if given.Has("certificates") && !none {
		return nil, badSearch("certificates", "must be none, or left out")
	}
	if none {
		return nil, nil
	}
	return &in, nil
}

// getBundle implements GET /v1/cases/{contract}/bundle. Documents stream through; of the whole
// bundle only its list of contents, and one certificate, is held in memory.
func (s *server) getBundle(w http.ResponseWriter, r *http.Request) {
	contract, err := contractOf(r.URL, "/bundle")
	if err != nil {
		s.fail(w, r, err)
		return
	}
	want, err := s.wanted(r)
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
	if err := s.writeBundle(r.Context(), w, who, contract, state.Seq, want); err != nil {
		if of(r).status == 0 { // as where the first certificate cannot be signed
			h.Del("Content-Disposition")
			s.fail(w, r, err)
			return
		}
		p, _ := judge(err)
		s.note(r, p, err)
		panic(http.ErrAbortHandler) // a bundle that broke off must not look whole
	}
}

func (s *server) writeBundle(ctx context.Context, w http.ResponseWriter, who notary.Principal, contract string, count uint64, want *certificate.Input) error {
	out := bundle.NewWriter(w, bundle.Case{
		Contract: contract, Count: count, Policy: s.Policy, Earlier: s.Earlier, Roots: s.TimestampRoots, Page: verifypage.Bundle(), Certificates: want != nil,
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
			if err := s.bundleDeposit(ctx, out, who, f, want); err != nil && !errors.Is(err, notary.ErrErased) {
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
func (s *server) bundleDeposit(ctx context.Context, out *bundle.Writer, who notary.Principal, f notary.Found, want *certificate.Input) error {
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
	if want != nil {
		if d.Certificate, err = s.bundledCertificate(ctx, who, f.ID, receipt, *want); err != nil {
			return err
		}
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

// bundledCertificate makes a deposit's certificate of the very receipt that lies in the bundle.
func (s *server) bundledCertificate(ctx context.Context, who notary.Principal, id notary.ID, receipt proofs.Receipt, in certificate.Input) ([]byte, error) {
	standing, err := s.Notary.Notices(ctx, who, id)
	switch {
	case err != nil:
		return nil, err
	case standing.Erased != nil:
		return nil, notary.ErrErased
	}
	leave, err := s.printing.await(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	_, pdf, err := s.certify(ctx, who, receipt, standing, in)
	return pdf, err
}
