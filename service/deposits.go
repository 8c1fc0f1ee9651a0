package service

import (
	"net/http"
	"strconv"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/service/api"
)

// CreateDeposit implements POST /v1/deposits.
func (s *server) CreateDeposit(w http.ResponseWriter, r *http.Request, params api.CreateDepositParams) {
	prefer := s.preferences(r.Header)
	sure, err := witnessed(params.Assurance)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	if err := s.limits.take(of(r).principal.Tenant.ID, 1); err != nil {
		s.fail(w, r, err)
		return
	}
	d, err := s.decode(r, params.IdempotencyKey)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	d.Until, d.Witnessed = prefer.until, sure
	receipt, err := s.Notary.Deposit(r.Context(), of(r).principal, d)
	if u, ok := d.Document.(*upload); ok && err != nil {
		err = u.cause(err)
	}
	prefer.tell(w.Header(), err)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	id, _ := receipt.Member("id")
	text, _ := id.Text()
	w.Header().Set("Location", "/v1/deposits/"+text)
	tell(w, http.StatusCreated, receipt)
}

// GetDeposit implements GET /v1/deposits/{id}.
func (s *server) GetDeposit(w http.ResponseWriter, r *http.Request, id api.DepositID, params api.GetDepositParams) {
	none := withoutTimestamps
	receipt, err := receipt(s, r, id, params.Assurance, &none)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	tell(w, http.StatusOK, receipt)
}

// GetReceipt implements GET /v1/deposits/{id}/receipt.
func (s *server) GetReceipt(w http.ResponseWriter, r *http.Request, id api.DepositID, params api.GetReceiptParams) {
	receipt, err := selected(params, func() (proofs.Receipt, error) { return receipt(s, r, id, params.Assurance, params.Timestamps) })
	if err != nil {
		s.fail(w, r, err)
		return
	}
	w.Header().Set("Content-Disposition", "attachment; filename="+id+".tlog-proof") // the notary knew it, so it is a UUID
	private(w, plainText)
	_, _ = w.Write(receipt.Marshal())
}

// selected hides what a receipt is not to show.
func selected(params api.GetReceiptParams, receipt func() (proofs.Receipt, error)) (proofs.Receipt, error) {
	var lists [2]string
	for i, p := range []*string{params.Disclose, params.Hide} {
		if p == nil {
			continue
		}
		if lists[i] = *p; *p == "" {
			return proofs.Receipt{}, badSearch([]string{"disclose", "hide"}[i], "must not be empty")
		}
	}
	selection, err := proofs.ParseSelection(lists[0], lists[1])
	if err != nil {
		return proofs.Receipt{}, &refusal{problem: invalidSearch, detail: err.Error(), member: "disclose"}
	}
	r, err := receipt()
	if err != nil {
		return r, err
	}
	if r.Disclosures, err = selection.Of(r.Disclosures); err != nil {
		return proofs.Receipt{}, &refusal{problem: invalidSearch, detail: err.Error(), member: "disclose"}
	}
	return r, nil
}

// withoutTimestamps is the value of the parameter timestamps.
const withoutTimestamps = "none"

func receipt[T ~string](s *server, r *http.Request, id string, assurance *T, timestamps *string) (proofs.Receipt, error) {
	parsed, err := notary.ParseID(id)
	if err != nil {
		return proofs.Receipt{}, err
	}
	sure, err := witnessed(assurance)
	switch who := of(r).principal; {
	case err != nil:
		return proofs.Receipt{}, err
	case timestamps != nil && *timestamps != withoutTimestamps:
		return proofs.Receipt{}, &refusal{problem: invalidSearch, detail: "timestamps: ask for none, or leave it out for the best receipt", member: "timestamps"}
	case timestamps != nil:
		return s.Notary.NewestReceipt(r.Context(), who, parsed, sure)
	case sure:
		return s.Notary.WitnessedReceipt(r.Context(), who, parsed)
	default:
		return s.Notary.Receipt(r.Context(), who, parsed)
	}
}

// GetEvidence implements GET /v1/deposits/{id}/evidence.
func (s *server) GetEvidence(w http.ResponseWriter, r *http.Request, id api.DepositID, _ api.GetEvidenceParams) {
	parsed, err := notary.ParseID(id)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	record, err := s.Notary.Evidence(r.Context(), of(r).principal, parsed)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	w.Header().Set("Content-Disposition", "attachment; filename="+id+".evidence")
	private(w, plainText)
	_, _ = w.Write(record.Marshal())
}

// private says that the answer is one tenant's own.
func private(w http.ResponseWriter, kind string) {
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Cache-Control", "private, no-store")
}

// tell answers with a receipt as the API's Deposit.
func tell(w http.ResponseWriter, status int, r proofs.Receipt) {
	body := appendDeposit(make([]byte, 0, 4096), r)
	private(w, "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

// appendDeposit appends the JSON of api.Deposit, by hand, since every deposit is
// answered with it. A receipt's file is printable text and LF.
func appendDeposit(out []byte, r proofs.Receipt) []byte {
	id, _ := r.Member("id")
	out = append(append(out, `{"id":`...), id.JSON()...)
	out = strconv.AppendUint(append(out, `,"index":`...), r.Index, 10)
	out = append(append(out, `,"kind":"`...), r.Entry.Kind...)
	out = append(append(out, `","time":"`...), proofs.FormatTime(r.Entry.Time)...)
	out = append(append(out, `","leaf":"`...), r.Entry.LeafHash().String()...)
	out = append(out, `","record":{`...)
	for i, d := range r.Disclosures {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(append(append(out, '"'), d.Name...), `":`...)
		out = append(out, d.Value.JSON()...)
	}
	out = appendText(append(out, `},"receipt":`...), string(r.Marshal()))
	return append(out, "}\n"...)
}
