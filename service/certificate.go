package service

import (
	"context"
	"errors"
	"io"
	"net/http"
	"runtime"
	"strconv"
	"time"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/notary/certificate"
	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/service/api"
)

// Certificates are what is said on them beside what the log proves.
type Certificates struct {
	Signer    *certificate.Signer // nil: they are not signed, and say so
	Language  certificate.Language
	VerifyURL string // of the public verify page; empty: there is none
	Roots     []byte // PEM of the authorities whose time-stamps receipts have; nil: none
	Tenants   map[notary.ID]CertificateTenant
}

// CertificateTenant is what a tenant has put on its certificates.
type CertificateTenant struct {
	Logo      []byte // a PNG that certificate.CheckLogo takes; nil: none
	Statement string
}

// printing bounds how many certificates are made at once, and how many wait for it: each
// takes a processor, and memory for its document.
type printing struct{ places, waiting chan struct{} }

// maxPrinting is how many wait for a place, for each place.
const maxPrinting = 32

func newPrinting() printing {
	n := runtime.GOMAXPROCS(0)
	return printing{make(chan struct{}, n), make(chan struct{}, n*(1+maxPrinting))}
}

// enter takes a place, which is given back by the function it returns.
func (p printing) enter(ctx context.Context) (func(), error) {
	select {
	case p.waiting <- struct{}{}:
	default:
		return nil, refuse(busy, "Too many certificates are being made.")
	}
	select {
	case p.places <- struct{}{}:
		return func() { <-p.places; <-p.waiting }, nil
	case <-ctx.Done():
		<-p.waiting
		return nil, context.Cause(ctx)
	}
}

// await takes a place too, and waits for it however many wait: an answer that has begun cannot be
// told to come back.
func (p printing) await(ctx context.Context) (func(), error) {
	select {
	case p.places <- struct{}{}:
		return func() { <-p.places }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// GetCertificate implements GET /v1/deposits/{id}/certificate.
func (s *server) GetCertificate(w http.ResponseWriter, r *http.Request, id api.DepositID, params api.GetCertificateParams) {
	number, pdf, err := s.certificate(r, id, params)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	private(w, "application/pdf")
	w.Header().Set("Content-Disposition", "attachment; filename="+number+".pdf")
	w.Header().Set("Content-Length", strconv.Itoa(len(pdf)))
	_, _ = w.Write(pdf)
}

func (s *server) certificate(r *http.Request, id string, params api.GetCertificateParams) (number string, pdf []byte, err error) {
	parsed, err := notary.ParseID(id)
	if err != nil {
		return "", nil, err
	}
	in, embed, err := s.asked(params)
	if err != nil {
		return "", nil, err
	}
	ctx, who := r.Context(), of(r).principal
	standing, receipt, err := s.proved(ctx, who, parsed) // who may not read it waits for no place
	if err != nil {
		return "", nil, err
	}
	leave, err := s.printing.enter(ctx)
	if err != nil {
		return "", nil, err
	}
	defer leave()
	if embed {
		if in.Document, err = s.whole(ctx, who, parsed); err != nil {
			return "", nil, err
		}
	}
	return s.certify(ctx, who, receipt, standing, in)
}

// certify makes the certificate of a receipt. It takes a processor, so the caller has a place.
func (s *server) certify(ctx context.Context, who notary.Principal, receipt proofs.Receipt, standing notary.Standing, in certificate.Input) (number string, pdf []byte, err error) {
	in.Receipt, in.Standing = receipt.Marshal(), certifiedStanding(standing)
	if err := s.gather(ctx, who, receipt, &in); err != nil {
		return "", nil, err
	}
	made, err := certificate.Make(in)
	if unproved := new(certificate.NotProvedError); errors.As(err, &unproved) && unproved.Reason == proofs.ReasonQuorum {
		return "", nil, refuse(witnessQuorum, "The deposit's receipt is not witnessed as the policy asks, and a certificate says what the policy is satisfied with.")
	}
	if err != nil {
		return "", nil, err
	}
	if signer := s.Certificates.Signer; signer != nil {
		pdf, err = signer.Sign(ctx, made, in.Issued)
		return made.Number, pdf, err
	}
	return made.Number, made.PDF, nil
}

// asked is what the caller wants of the certificate.
func (s *server) asked(params api.GetCertificateParams) (in certificate.Input, embed bool, err error) {
	in.Template, in.Issued = certificate.Template, time.Now().UTC().Truncate(time.Second)
	in.Language, in.Profile = s.Certificates.Language, certificate.Plain
	if in.Language == "" {
		in.Language = certificate.English
	}
	if p := params.Lang; p != nil {
		switch in.Language = certificate.Language(*p); in.Language {
		case certificate.Chinese, certificate.English, certificate.Both:
		default:
			return in, false, badSearch("lang", "must be zh, en or both")
		}
	}
	if p := params.Profile; p != nil {
		switch in.Profile = certificate.Profile(*p); in.Profile {
		case certificate.Plain, certificate.PRC, certificate.FRE:
		default:
			return in, false, badSearch("profile", "must be plain, prc or fre")
		}
	}
	if p := params.Document; p != nil && *p != "embed" {
		return in, false, badSearch("document", "must be embed, or left out")
	}
	in.VerifyURL = s.Certificates.VerifyURL
	if s.Certificates.Signer != nil {
		in.Signer = s.Certificates.Signer.Signed()
	}
	return in, params.Document != nil, nil
}

// proved is how a deposit stands and the receipt of it, or of its erasure. One that is erased
// in between is looked at again.
func (s *server) proved(ctx context.Context, who notary.Principal, id notary.ID) (standing notary.Standing, receipt proofs.Receipt, err error) {
	for range 2 {
		if standing, err = s.Notary.Notices(ctx, who, id); err != nil {
			return standing, receipt, err
		}
		if standing.Erased != nil {
			receipt, err = s.Notary.Erasure(ctx, who, id)
			break
		}
		if receipt, err = s.Notary.Receipt(ctx, who, id); !errors.Is(err, notary.ErrErased) {
			break
		}
	}
	return standing, receipt, err
}

// gather puts together what else the certificate is made from.
func (s *server) gather(ctx context.Context, who notary.Principal, receipt proofs.Receipt, in *certificate.Input) error {
	in.Policy = []byte(s.Policy.String())
	if len(receipt.Timestamps) > 0 || in.Signer != nil && in.Signer.Dated {
		in.Roots = s.Certificates.Roots
	}
	own := s.Certificates.Tenants[who.LooksAt()]
	in.Logo, in.Statement = own.Logo, own.Statement
	note, err := proofs.ParseNote(receipt.Checkpoint)
	if err != nil {
		return err
	}
	checkpoint, err := proofs.ParseCheckpoint(note.Text)
	if err != nil {
		return err
	}
	switch facts, err := s.Notary.Facts(ctx, checkpoint.Size); {
	case err == nil:
		in.Facts = facts.Marshal()
	case !errors.Is(err, notary.ErrNotFound):
		return err
	}
	return nil
}

// whole reads a document to be embedded.
func (s *server) whole(ctx context.Context, who notary.Principal, id notary.ID) ([]byte, error) {
	d, err := s.Notary.Document(ctx, who, id)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	if d.Size() > certificate.MaxDocument {
		return nil, refuse(tooLarge, "The document has more than 16 MiB, and is not embedded. Ask for the certificate without it.")
	}
	data := make([]byte, d.Size())
	_, err = io.ReadFull(d, data)
	return data, err
}

// maxActs is how many notices a certificate lists; it says how many were before.
const maxActs = 20

// certifiedStanding is how a deposit stands, as certificates say it.
func certifiedStanding(s notary.Standing) certificate.Standing {
	told := standingOf(s)
	out := certificate.Standing{Deposit: told.Deposit, State: told.State, Until: s.Until, Matters: s.Matters}
	for _, n := range s.Notices {
		out.Acts = append(out.Acts, certificate.Act{Index: n.Index, Time: n.Time, Act: string(n.Act), Matter: n.Matter})
	}
	if more := len(out.Acts) - maxActs; more > 0 {
		out.Acts, out.Earlier = out.Acts[more:], more
	}
	return out
}
