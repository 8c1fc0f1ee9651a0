package proofs

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"testing"
)

// TestSelection: what is selected is shown and nothing else, what is hidden stands in no
// spelling in the receipt's bytes, and the receipt proves as much of the rest.
func TestSelection(t *testing.T) {
	record := Record{}
	for _, pair := range [][2]string{{"contract.number", "HT-2026-000117"}, {"id", "01936f5e-4a00-7c3e-8d2a-5b6f7a8c9d0e"}, {"party.0.id.number", "110101199001011234"}, {"party.0.name", "张三丰"}, {"party.1.name", "Specimen Bank"}, {"terms.amount", "120000.00"}} {
		v, err := Text(pair[1])
		if err != nil {
			t.Fatal(err)
		}
		record = append(record, Member{pair[0], v})
	}
	all := record.Disclose(Seed{1})
	entry := Entry{Kind: KindDeposit, Record: Commitment(all)}
	for _, c := range []struct {
		disclose, hide string
		shown          string
	}{
		{"", "", "contract.number id party.0.id.number party.0.name party.1.name terms.amount"},
		{"terms.amount,contract.number", "", "contract.number terms.amount"},
		{"", "party.*", "contract.number id terms.amount"},
		{"party.*", "party.0.id.*", "party.0.name party.1.name"},
		{"party.0.*,terms.*", "party.0.name", "party.0.id.number terms.amount"},
		{"id", "id", ""},
	} {
		s, err := ParseSelection(c.disclose, c.hide)
		if err != nil {
			t.Errorf("%q %q: %v", c.disclose, c.hide, err)
			continue
		}
		some, err := s.Of(all)
		if err != nil || Commitment(some) != entry.Record {
			t.Errorf("%q %q: %v, another commitment", c.disclose, c.hide, err)
			continue
		}
		file := Receipt{Entry: entry, Disclosures: some}.Marshal()
		_, extra, _ := strings.Cut(string(file), "extra ")
		extra, _, _ = strings.Cut(extra, "\n")
		plain, err := base64.StdEncoding.DecodeString(extra)
		if err != nil {
			t.Fatal(err)
		}
		var shown []string
		for i, d := range some {
			if !d.Hidden {
				shown = append(shown, d.Name)
				continue
			}
			text, _ := record[i].Value.Text()
			for what, secret := range map[string][]byte{
				"value": []byte(text), "salt": all[i].Salt[:], "salt in base64": []byte(base64.StdEncoding.EncodeToString(all[i].Salt[:])),
				"value in hex": []byte(hex.EncodeToString([]byte(text))), "value in base64": []byte(strings.TrimRight(base64.StdEncoding.EncodeToString([]byte(text)), "=")),
			} {
				if bytes.Contains(plain, secret) || bytes.Contains(file, secret) {
					t.Errorf("%q %q: the %s of %s is in the receipt", c.disclose, c.hide, what, d.Name)
				}
			}
			// Of few possible values none can be told by its hash: the salt is not there.
			if memberHash([SaltSize]byte{}, d.Name, record[i].Value) == d.Hash {
				t.Errorf("%s can be guessed", d.Name)
			}
		}
		if strings.Join(shown, " ") != c.shown {
			t.Errorf("%q %q shows %q, want %q", c.disclose, c.hide, shown, c.shown)
		}
	}
	hidden, _ := Selection{Hide: []string{"id"}}.Of(all)
	for _, bad := range []struct {
		disclose, hide string
		of             []Disclosure
	}{
		{"partys.*", "", all}, {"", "partys.*", all}, {"terms.amount,terms.rate", "", all}, {"party", "", all}, {"", "party.", all}, {"id", "", hidden},
		{"*", "", all}, {"", ".*", all}, {"a,,b", "", all}, {"", "terms.amount,", all}, {"Terms.amount", "", all}, {"party..*", "", all}, {"party.*.name", "", all}, {" id", "", all},
		{strings.TrimSuffix(strings.Repeat("id,", 100), ","), "", all},
	} {
		s, err := ParseSelection(bad.disclose, bad.hide)
		if err == nil {
			_, err = s.Of(bad.of)
		}
		if !errors.Is(err, ErrSelection) {
			t.Errorf("%q %q is taken: %v", bad.disclose, bad.hide, err)
		}
	}
	again, err := Selection{Hide: []string{"id"}}.Of(hidden)
	if err != nil || !slices.Equal(again, hidden) {
		t.Errorf("what is hidden can be hidden again: %v", err)
	}
}
