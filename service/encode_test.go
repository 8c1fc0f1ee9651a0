package service

import (
	"encoding/json"
	"testing"

	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/service/api"
)

// TestDepositIsSpelledAsItsType holds the answer that is written by hand against the
// type that openapi.yaml made.
func TestDepositIsSpelledAsItsType(t *testing.T) {
	h := newHouse(t)
	for _, body := range []string{digestOnly(""), digestOnly(`,"contract.number":"\"借/\\ 1\u0001\u2028<&>","terms.x":[1,{"a":"é"}]`)} {
		a := h.postJSON(t, body)
		_, r := a.deposit(t, h, 201)
		var record proofs.Record
		for _, x := range r.Disclosures {
			record = append(record, proofs.Member{Name: x.Name, Value: x.Value})
		}
		id, _ := record.Get("id")
		text, _ := id.Text()
		want, err := json.Marshal(api.Deposit{
			Id: text, Index: r.Index, Kind: string(r.Entry.Kind), Time: proofs.FormatTime(r.Entry.Time),
			Leaf: r.Entry.LeafHash().String(), Record: []byte(record.JSON()), Receipt: string(r.Marshal()),
		})
		must(t, err)
		var got, wanted map[string]any
		must(t, json.Unmarshal(appendDeposit(nil, r), &got))
		must(t, json.Unmarshal(want, &wanted))
		if g, w := mustJSON(t, got), mustJSON(t, wanted); g != w {
			t.Errorf("%s\nnot\n%s", g, w)
		}
	}
}

func mustJSON(t *testing.T, v any) string {
	b, err := json.Marshal(v)
	must(t, err)
	return string(b)
}
