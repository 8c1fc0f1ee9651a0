package service

import (
	"net/http"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/service/api"
)

// CreateDeposit implements POST /v1/deposits.
func (s *server) CreateDeposit(w http.ResponseWriter, r *http.Request, params api.CreateDepositParams) {
	prefer := s.preferences(r.Header)
	d, err := s.decode(r, params.IdempotencyKey)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	d.Until = prefer.until
	receipt, err := s.Notary.Deposit(r.Context(), of(r).principal, d)
	if u, ok := d.Document.(*upload); ok && err != nil {
		err = u.cause(err)
	}
	prefer.tell(w.Header(), err)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	body := deposit(receipt)
	w.Header().Set("Location", "/v1/deposits/"+body.Id)
	private(w, "application/json")
	w.WriteHeader(http.StatusCreated)
	encode(w, body)
}

// GetDeposit implements GET /v1/deposits/{id}.
func (s *server) GetDeposit(w http.ResponseWriter, r *http.Request, id api.DepositID) {
	receipt, err := s.receipt(r, id)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	private(w, "application/json")
	encode(w, deposit(receipt))
}

// GetReceipt implements GET /v1/deposits/{id}/receipt.
func (s *server) GetReceipt(w http.ResponseWriter, r *http.Request, id api.DepositID) {
	receipt, err := s.receipt(r, id)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	w.Header().Set("Content-Disposition", "attachment; filename="+id+".tlog-proof") // the notary knew it, so it is a UUID
	private(w, plainText)
	_, _ = w.Write(receipt.Marshal())
}

func (s *server) receipt(r *http.Request, id string) (proofs.Receipt, error) {
	parsed, err := notary.ParseID(id)
	if err != nil {
		return proofs.Receipt{}, err
	}
	return s.Notary.Receipt(r.Context(), of(r).principal, parsed)
}

// private says that the answer is one tenant's own.
func private(w http.ResponseWriter, kind string) {
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Cache-Control", "private, no-store")
}

// deposit is a receipt as the API tells it.
func deposit(r proofs.Receipt) api.Deposit {
	record := make(proofs.Record, len(r.Disclosures))
	for i, d := range r.Disclosures {
		record[i] = proofs.Member{Name: d.Name, Value: d.Value}
	}
	id, _ := record.Get("id")
	text, _ := id.Text()
	return api.Deposit{
		Id:      text,
		Index:   r.Index,
		Kind:    string(r.Entry.Kind),
		Time:    proofs.FormatTime(r.Entry.Time),
		Leaf:    r.Entry.LeafHash().String(),
		Record:  []byte(record.JSON()),
		Receipt: string(r.Marshal()),
	}
}
