package certificate

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/muniment/muniment/proofs"
)

// run is a piece of text as it is drawn: in which size, in which half of the page, and what
// it says.
type run struct {
	size  string
	right bool
	text  string
}

// runs reads a certificate's text as a PDF reader does, by the font's own map, in the order
// in which it is drawn.
func runs(t *testing.T, pdf []byte) (out []run) {
	t.Helper()
	chars := map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^<([0-9A-F]{4})> <([0-9A-F]+)>$`).FindAllSubmatch(pdf, -1) {
		var units []uint16
		for i := 0; i+4 <= len(m[2]); i += 4 {
			units = append(units, uint16(must(strconv.ParseUint(string(m[2][i:i+4]), 16, 16))))
		}
		chars[string(m[1])] = string(utf16.Decode(units))
	}
	for _, m := range regexp.MustCompile(`(?m)^BT /F (\S+) Tf .* (\S+) \S+ Td <([0-9A-F]*)> Tj`).FindAllSubmatch(pdf, -1) {
		var b strings.Builder
		for i := 0; i < len(m[3]); i += 4 {
			c, ok := chars[string(m[3][i:i+4])]
			if !ok {
				t.Fatalf("the font's map has no %s", m[3][i:i+4])
			}
			b.WriteString(c)
		}
		out = append(out, run{string(m[1]), must(strconv.ParseFloat(string(m[2]), 64)) > pageWidth/2000, b.String()})
	}
	return out
}

func flat(s string) string { return strings.Join(strings.Fields(s), "") }

// TestSaysWhatEvidenceSays: every sentence of what is proved and what is not stands on the
// paper, under headings of one size, in type of one size; and what the receipt does not show
// stands nowhere.
func TestSaysWhatEvidenceSays(t *testing.T) {
	for _, origin := range []string{origin, "localhost/dev/0123456789abcdef"} {
		for _, witnesses := range [][]string{nil, {"court.example/witness"}} {
			for _, hidden := range []bool{false, true} {
				for _, lang := range languages {
					for _, profile := range profiles {
						says(t, fmt.Sprint(origin, witnesses, hidden, lang, profile), newHouse(origin, witnesses...), hidden, lang, profile)
					}
				}
			}
		}
	}
}

func says(t *testing.T, what string, h *house, hidden bool, lang Language, profile Profile) {
	t.Helper()
	in := input(h, 12)
	in.Language, in.Profile = lang, profile
	if hidden {
		r := must(proofs.ParseReceipt(in.Receipt))
		r.Disclosures = proofs.Hide(r.Disclosures, func(name string) bool {
			return strings.HasPrefix(name, "party.") || strings.HasPrefix(name, "terms.") || name == "content.held"
		})
		in.Receipt = r.Marshal()
	}
	made := must(Make(in))
	all := runs(t, made.PDF)
	var text strings.Builder
	columns := map[bool]string{} // without headers and footers, so that they go on from page to page
	sizes := map[string][]string{}
	for _, r := range all {
		text.WriteString(flat(r.text))
		if r.size != "8" {
			columns[r.right] += flat(r.text)
		}
		sizes[flat(r.text)] = append(sizes[flat(r.text)], r.size)
	}
	e := made.proof.evidence
	for _, l := range []proofs.Language{proofs.English, proofs.Chinese} {
		if lang != Both && string(lang) != string(l) {
			continue
		}
		x := e.Explain(l)
		for _, s := range slices.Concat(x.Proved, x.NotProved) {
			if !strings.Contains(columns[false], flat(s)) && !strings.Contains(columns[true], flat(s)) {
				t.Errorf("%s: it does not say %q", what, s)
			}
		}
		proved, open := sizes[flat(sayProved.in(l))], sizes[flat(sayOpen.in(l))]
		if len(proved) != 1 || len(open) != 1 || proved[0] != open[0] {
			t.Errorf("%s: what is proved stands in %v points, what is not in %v", what, proved, open)
		}
		if test := strings.Contains(text.String(), flat(sayTestBanner.in(l, e.Origin))); test != (e.Environment != proofs.Prod) {
			t.Errorf("%s: it says that it is a test: %v", what, test)
		}
		if !strings.Contains(text.String(), flat(sayUnsigned.in(l))) {
			t.Errorf("%s: it does not say that it is not signed", what)
		}
	}
	for _, secret := range []string{"张三", "200000.00", "1101**********1234"} {
		if strings.Contains(text.String(), secret) == hidden {
			t.Errorf("%s: %s is printed: %v", what, secret, !hidden)
		}
	}
	if strings.Contains(text.String(), "110101199003071234") {
		t.Errorf("%s: a whole number of identity is printed", what)
	}
	if hidden != strings.Contains(text.String(), "party.0.id.number,party.0.id.type") {
		t.Errorf("%s: what is hidden is not named", what)
	}
}

// signedRecord is that of a PDF with two signatures in it, which its depositor signed itself.
func signedRecord() proofs.Record {
	text := func(s string) proofs.Value { return must(proofs.Text(s)) }
	claims := must(proofs.NewRecord(
		proofs.Member{Name: "content.sha256", Value: text(digest(contract))}, proofs.Member{Name: "content.name", Value: text("loan.pdf")}, proofs.Member{Name: "terms.amount", Value: text("200000.00")},
	))
	signed := must(proofs.SignDeposit(claims, private("lender")))
	return must(proofs.NewRecord(append(slices.Clone(signed),
		proofs.Member{Name: "depositor.signed", Value: proofs.DepositorSigned(signed)}, proofs.Member{Name: "depositor.key.registered", Value: proofs.Boolean(true)},
		proofs.Member{Name: "id", Value: text("01a207e1-1ad7-7c9c-9a9e-b149fa06f920")}, proofs.Member{Name: "content.held", Value: proofs.Boolean(true)},
		proofs.Member{Name: "content.signatures", Value: must(proofs.ParseValue(`[{"state":"intact","kind":"signature","subject":"CN=Zhang San"},{"state":"altered","reason":"digest"}]`))},
	)...))
}

// TestSignaturesOfOthers: the depositor's own signature is said to hold only where it does, and
// what the depository found inside a PDF is said as its finding.
func TestSignaturesOfOthers(t *testing.T) {
	record := signedRecord()
	key, _ := record.Get("depositor.key")
	for _, c := range []struct {
		hide         string
		says, silent []string
	}{
		{"", []string{"holds:Ed25519,keywiththefingerprint", "Thedepositorystatesthatthekeywasregisteredwithit.", "Signature1insidethePDFintact,", "certificateofCN=ZhangSan", "Signature2insidethePDFaltered,"}, []string{"itcouldnotbechecked"}},
		{"terms.amount", []string{"given;itcouldnotbechecked"}, []string{"holds:Ed25519"}},
		{"content.signatures", []string{"holds:Ed25519", "content.signatures"}, []string{"insidethePDFintact"}},
	} {
		h := newHouse(origin)
		in := input(h, 3)
		h.addRecord(proofs.KindDeposit, record)
		in.Receipt, in.Facts = h.receipt(3), nil
		r := must(proofs.ParseReceipt(in.Receipt))
		r.Disclosures = proofs.Hide(r.Disclosures, func(name string) bool { return name == c.hide })
		in.Receipt = r.Marshal()
		var all strings.Builder
		for _, r := range runs(t, must(Make(in)).PDF) {
			all.WriteString(flat(r.text))
		}
		for _, want := range c.says {
			if !strings.Contains(all.String(), want) {
				t.Errorf("with %q hidden it does not say %q", c.hide, want)
			}
		}
		for _, never := range c.silent {
			if strings.Contains(all.String(), never) {
				t.Errorf("with %q hidden it says %q", c.hide, never)
			}
		}
		if strings.Contains(all.String(), plainValue(key)) {
			t.Errorf("with %q hidden it prints the depositor's key itself", c.hide)
		}
	}
}
