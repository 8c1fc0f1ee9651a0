package service

import (
	"net/http"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/service/api"
)

// GetUsage implements GET /v1/usage.
func (s *server) GetUsage(w http.ResponseWriter, r *http.Request, params api.GetUsageParams) {
	month := s.Notary.ThisMonth()
	if params.Month != nil {
		var err error
		if month, err = notary.ParseMonth(*params.Month); err != nil {
			s.fail(w, r, &refusal{problem: invalidSearch, member: "month", detail: "month " + err.Error() + "."})
			return
		}
	}
	used, quota, err := s.Notary.Usage(r.Context(), of(r).principal, month)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	private(w, "application/json")
	encode(w, api.Usage{Month: month.String(), Deposits: used.Deposits, Bytes: used.Bytes, MostDeposits: quota.Deposits, MostBytes: quota.Bytes})
}
