package notary

import (
	"slices"
	"strings"

	"github.com/muniment/muniment/proofs"
)

// CheckClaims refuses members that the caller may not set, and values that are not
// of their member's type, with an InvalidError. original says whether the document
// itself comes along.
func CheckClaims(claims proofs.Record, original bool) error {
	for _, m := range claims {
		t, known := proofs.NameType(m.Name)
		switch {
		case !known:
			return invalid(m.Name, "no such member; the nearest is %q", nearest(m.Name))
		case !callerMaySet(m.Name):
			return invalid(m.Name, "only the depository sets this member")
		case !t.Holds(m.Value):
			return invalid(m.Name, "the value is not of type %s", t)
		}
	}
	if _, ok := claims.Get("content.sha256"); !ok && !original {
		return invalid("content.sha256", "required when the document itself is not sent")
	}
	if size, ok := claims.Get("content.size"); ok {
		if n, _ := size.Integer(); n < 0 {
			return invalid("content.size", "must not be negative")
		}
	}
	return checkSigner(claims)
}

// CheckDigest refuses, with an InvalidError, what a caller cannot deposit as a line
// of a batch: claims that CheckClaims refuses, or a record that would not fit.
func CheckDigest(who Principal, claims proofs.Record) error {
	if err := CheckClaims(claims, false); err != nil {
		return err
	}
	record, err := (&intake{tenant: who.Tenant, depositor: who.depositor(), claims: claims}).record(ID{}, false, false)
	if err != nil {
		return err
	}
	unsalted := make([]proofs.Disclosure, len(record)) // a salt's length is all that counts
	for i, m := range record {
		unsalted[i] = proofs.Disclosure{Name: m.Name, Value: m.Value}
	}
	return fits(unsalted)
}

// fits refuses a record that would not fit into a receipt.
func fits(disclosures []proofs.Disclosure) error {
	if size := proofs.DisclosuresSize(disclosures); size > proofs.MaxDisclosures-caseRoom {
		return invalid("", "the record takes %d bytes in a receipt; at most %d fit", size, proofs.MaxDisclosures-caseRoom)
	}
	return nil
}

func callerMaySet(name string) bool {
	switch name {
	case "provenance.system", "provenance.generated", "content.sha256", "content.sm3", "content.size", "content.type", "content.name",
		"depositor.key", "depositor.signature":
		return true
	}
	family, _, _ := strings.Cut(name, ".")
	return slices.Contains([]string{"contract", "party", "terms", "label"}, family)
}

// nearest returns the known member name with the fewest edits to name.
func nearest(name string) string {
	best, least := "", 1<<30
	names := proofs.Names()
	slices.Sort(names)
	for _, candidate := range names {
		if d := edits(name, candidate); d < least {
			best, least = candidate, d
		}
	}
	return best
}

// edits is the Levenshtein distance.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diagonal := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			diagonal, row[j] = row[j], min(diagonal+cost, row[j]+1, row[j-1]+1)
		}
	}
	return row[len(b)]
}
