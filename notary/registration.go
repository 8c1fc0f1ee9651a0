package notary

import (
	"errors"
	"strings"
	"unicode"

	"github.com/muniment/muniment/proofs"
)

// maxTenantText bounds what stands of a tenant in each record, in bytes.
const maxTenantText = 1000

// Check refuses a tenant that should not stand in the records of decades, with an
// *InvalidError that names the field.
func (t Tenant) Check() error {
	if t.Name == "" {
		return invalid("name", "the tenant's legal name is required")
	}
	if (t.Verified == "") != (t.VerifiedBy == "") {
		return invalid("verified", "how its identity was established and by whom go together")
	}
	for name, s := range map[string]string{"name": t.Name, "registration": t.Registration, "verified": t.Verified, "verified_by": t.VerifiedBy} {
		if _, err := proofs.Text(s); err != nil || len(s) > maxTenantText || !plainLine(s) {
			return invalid(name, "it cannot stand in a record: it has control characters, blanks around it, or more than %d bytes", maxTenantText)
		}
	}
	if err := checkRegistration(t.Registration); err != nil {
		return invalid("registration", "%v", err)
	}
	return nil
}

// plainLine reports whether a text is one line of printable characters without blanks around it.
func plainLine(s string) bool {
	return s == strings.TrimSpace(s) && strings.IndexFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) < 0
}

// checkRegistration refuses a registered number that is a USCC (GB 32100-2015) or an LEI
// (ISO 17442) by its form and is mistyped. Numbers of other registers are taken as they are.
func checkRegistration(number string) error {
	switch {
	case len(number) == 18 && isUSCC(number) && !validUSCC(number):
		return errors.New("the registered number has the form of a USCC, and its check character is not right: it is mistyped")
	case len(number) == 20 && isLEI(number) && !validLEI(number):
		return errors.New("the registered number has the form of an LEI, and its check digits are not right: it is mistyped")
	}
	return nil
}

// usccCharacters are worth their place: no I, O, S, V, Z.
const usccCharacters = "0123456789ABCDEFGHJKLMNPQRTUWXY"

func isUSCC(s string) bool { return strings.Trim(s, usccCharacters) == "" }

// validUSCC checks the last character against the weighted sum of those before it.
func validUSCC(s string) bool {
	sum, weight := 0, 1
	for _, c := range s[:17] {
		sum += strings.IndexRune(usccCharacters, c) * weight
		weight = weight * 3 % 31
	}
	return strings.IndexByte(usccCharacters, s[17]) == (31-sum%31)%31
}

func isLEI(s string) bool {
	return strings.Trim(s, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") == "" && strings.Trim(s[18:], "0123456789") == ""
}

// validLEI checks that the number, letters as 10 to 35, leaves 1 modulo 97 (ISO 7064).
func validLEI(s string) bool {
	rest := 0
	for _, c := range s {
		if c >= 'A' {
			rest = (rest*100 + int(c-'A') + 10) % 97
		} else {
			rest = (rest*10 + int(c-'0')) % 97
		}
	}
	return rest == 1
}
