package proofs

import "strings"

// Type is what kind of value a member has.
type Type string

// The types. Date, Time, Digest and UUID are strings of one form each.
const (
	TypeText    Type = "text"
	TypeInteger Type = "integer"
	TypeBoolean Type = "boolean"
	TypeDigest  Type = "digest" // 64 lower-case hex digits
	TypeTime    Type = "time"   // YYYY-MM-DDThh:mm:ss.mmmZ
	TypeUUID    Type = "uuid"   // lower-case
	TypeAny     Type = "any"
)

// names are the members with a fixed meaning. A meaning never changes; names may
// be added. SPEC.md says what each means.
var names = map[string]Type{
	"id":                            TypeUUID,
	"tenant.name":                   TypeText,
	"tenant.registration":           TypeText,
	"tenant.verified":               TypeText,
	"tenant.verified.by":            TypeText,
	"depositor.name":                TypeText,
	"depositor.signature":           TypeText,
	"depositor.key":                 TypeText,
	"depositor.signed":              TypeAny,
	"depositor.key.registered":      TypeBoolean,
	"content.sha256":                TypeDigest,
	"content.sm3":                   TypeDigest,
	"content.size":                  TypeInteger,
	"content.type":                  TypeText,
	"content.name":                  TypeText,
	"content.held":                  TypeBoolean,
	"content.signatures":            TypeAny,
	"content.signatures.unexamined": TypeText,
	"contract.number":               TypeText,
	"contract.title":                TypeText,
	"contract.date":                 TypeText,
	"contract.version":              TypeText,
	"case.seq":                      TypeInteger,
	"case.prev":                     TypeDigest,
	"terms.amount":                  TypeText,
	"terms.currency":                TypeText,
	"terms.rate":                    TypeText,
	"terms.start":                   TypeText,
	"terms.end":                     TypeText,
	"provenance.system":             TypeText,
	"provenance.generated":          TypeText,
	"provenance.received":           TypeTime,
	"log.origin":                    TypeText,
	"log.key":                       TypeText,
	"log.key.previous":              TypeText,
	"log.key.retired":               TypeText,
	"log.previous.origin":           TypeText,
	"log.previous.size":             TypeInteger,
	"log.previous.root":             TypeDigest,

	"notice.act":     TypeText,
	"notice.deposit": TypeUUID,
	"notice.index":   TypeInteger,
	"notice.leaf":    TypeDigest,
	"notice.matter":  TypeText,
	"notice.reason":  TypeText,
	"notice.by":      TypeText,
	"notice.asked":   TypeUUID,

	"approval.note": TypeText,
	"approval.list": TypeText,

	"grant.case":    TypeText,
	"grant.deposit": TypeUUID,
	"grant.index":   TypeInteger,
	"grant.leaf":    TypeDigest,
	"grant.to":      TypeUUID,
	"grant.until":   TypeTime,
	"grant.revokes": TypeUUID,
	"trail.date":    TypeText,
	"trail.events":  TypeInteger,
	"trail.pages":   TypeInteger,
	"trail.root":    TypeDigest,

	"facts.operator":              TypeText,
	"facts.operator.registration": TypeText,
	"facts.operator.address":      TypeText,
	"facts.operator.contact":      TypeText,
	"facts.qualifications":        TypeAny,
	"facts.neutrality":            TypeText,
	"facts.security":              TypeText,
	"facts.standards":             TypeAny,
	"build.version":               TypeText,
	"build.revision":              TypeText,
	"build.sha256":                TypeDigest,
}

// NameType returns the type of a member's value. The families contract., party.<n>.,
// terms. and label. are open: a name in them that SPEC.md does not list is of
// TypeAny, in label. of TypeText. Other unlisted names are not known.
func NameType(name string) (t Type, known bool) {
	if t, ok := names[name]; ok {
		return t, true
	}
	family, rest, _ := strings.Cut(name, ".")
	if !ValidName(name) || rest == "" {
		return "", false
	}
	switch family {
	case "contract", "terms":
		return TypeAny, true
	case "label":
		return TypeText, true
	case "party":
		n, field, _ := strings.Cut(rest, ".")
		if _, err := parseUint(n); err == nil && field != "" {
			if field == "name" || field == "role" || field == "id.type" || field == "id.number" {
				return TypeText, true
			}
			return TypeAny, true
		}
	}
	return "", false
}

// Names returns the members with a fixed meaning, in no order.
func Names() []string {
	out := make([]string, 0, len(names))
	for n := range names {
		out = append(out, n)
	}
	return out
}

// Holds reports whether v is a value that a member of type t may have.
func (t Type) Holds(v Value) bool {
	text, isText := v.Text()
	switch t {
	case TypeText:
		return isText
	case TypeInteger:
		_, ok := v.Integer()
		return ok
	case TypeBoolean:
		_, ok := v.Boolean()
		return ok
	case TypeDigest:
		return isText && len(text) == 64 && strings.Trim(text, "0123456789abcdef") == ""
	case TypeTime:
		_, err := ParseTime(text)
		return isText && err == nil
	case TypeUUID:
		return isText && validUUID(text)
	}
	return v.JSON() != ""
}

func validUUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i := 0; i < len(s); i++ {
		dash := i == 8 || i == 13 || i == 18 || i == 23
		if dash != (s[i] == '-') || !dash && strings.IndexByte("0123456789abcdef", s[i]) < 0 {
			return false
		}
	}
	return true
}
