package service

import (
	"net/http"
	"strings"
	"testing"

	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/service/api"
)

// TestSelectedReceipts: a receipt shows what is asked for and hides the rest, and a name that
// the record does not have is refused.
func TestSelectedReceipts(t *testing.T) {
	h := newHouse(t)
	made := decoded[api.Deposit](t, h.postJSON(t, `{"record":{"content.sha256":"`+strings.Repeat("ab", 32)+`","party.0.name":"张三丰","terms.amount":"120000.00"}}`, "Idempotency-Key", "k"), 201)
	path := "/v1/deposits/" + made.Id + "/receipt"
	for query, hidden := range map[string]string{"?hide=party.*": "party.0.name", "?disclose=terms.amount,content.*": "party.0.name", "?disclose=terms.*&hide=terms.amount&timestamps=none": "terms.amount"} {
		a := h.do(t, "GET", path+query, nil)
		if a.StatusCode != http.StatusOK {
			t.Fatalf("%s: %d %s", query, a.StatusCode, a.body)
		}
		r, err := proofs.ParseReceipt(a.body)
		must(t, err)
		e, err := proofs.NewVerifier(h.policy).Verify(r, nil)
		must(t, err)
		if e.Outcome() != proofs.Verified || !strings.Contains(strings.Join(e.Hidden, " "), hidden) {
			t.Errorf("%s: %v, hidden %q", query, e.Reason, e.Hidden)
		}
	}
	for _, query := range []string{"?hide=partys.*", "?disclose=terms.rate", "?disclose=", "?hide=a,,b", "?hide=*", "?hide=Terms.amount"} {
		h.do(t, "GET", path+query, nil).problem(t, invalidSearch)
	}
}
