package proofs

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
)

// The members that carry a depositor's own signature (SPEC.md §9). They stand in a record
// together or not at all.
const (
	nameSignature = "depositor.signature"
	nameKey       = "depositor.key"
	nameSigned    = "depositor.signed"
)

// ErrDepositorKey: a key that depositors cannot sign with.
var ErrDepositorKey = errors.New("a depositor signs with Ed25519 or with ECDSA on P-256, and says its key as base64 of the SubjectPublicKeyInfo")

// Each of the two algorithms has one SubjectPublicKeyInfo (RFC 8410, RFC 5480 with an
// uncompressed point): these bytes, and then the key.
const (
	spkiEd25519 = "\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00"
	spkiP256    = "\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00"
	pointP256   = 65
)

// A DepositorKey is the public half of the key that a depositor signs with: Ed25519, or ECDSA
// on P-256 with SHA-256, which hardware that banks have can do.
type DepositorKey struct {
	spki string // DER
	ed   ed25519.PublicKey
	ec   *ecdsa.PublicKey
}

// NewDepositorKey returns the key of a signer's Public.
func NewDepositorKey(key crypto.PublicKey) (DepositorKey, error) {
	switch k := key.(type) {
	case ed25519.PublicKey:
		if len(k) == ed25519.PublicKeySize {
			return DepositorKey{spki: spkiEd25519 + string(k), ed: k}, nil
		}
	case *ecdsa.PublicKey:
		if k.Curve == elliptic.P256() {
			point, err := k.Bytes()
			if err != nil {
				return DepositorKey{}, ErrDepositorKey
			}
			return DepositorKey{spki: spkiP256 + string(point), ec: k}, nil
		}
	}
	return DepositorKey{}, ErrDepositorKey
}

// ParseDepositorKey reads what String writes: base64 of the SubjectPublicKeyInfo in DER.
func ParseDepositorKey(s string) (DepositorKey, error) {
	der, err := decodeBase64(s)
	if err != nil {
		return DepositorKey{}, ErrDepositorKey
	}
	if key, ok := strings.CutPrefix(string(der), spkiEd25519); ok && len(key) == ed25519.PublicKeySize {
		return NewDepositorKey(ed25519.PublicKey(key))
	}
	if point, ok := strings.CutPrefix(string(der), spkiP256); ok && len(point) == pointP256 {
		if k, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), []byte(point)); err == nil {
			return NewDepositorKey(k)
		}
	}
	return DepositorKey{}, ErrDepositorKey
}

// String returns the key as depositor.key has it.
func (k DepositorKey) String() string { return base64.StdEncoding.EncodeToString([]byte(k.spki)) }

// Fingerprint is the hex SHA-256 of the SubjectPublicKeyInfo: by it people compare keys.
func (k DepositorKey) Fingerprint() string { return fingerprint([]byte(k.spki)) }

func fingerprint(spki []byte) string {
	sum := sha256.Sum256(spki)
	return hex.EncodeToString(sum[:])
}

// Algorithm names the key's algorithm as people know it.
func (k DepositorKey) Algorithm() string {
	if k.ec != nil {
		return "ECDSA P-256"
	}
	return "Ed25519"
}

// Verify reports whether signature, as depositor.signature has it, is the key's over members.
func (k DepositorKey) Verify(members Record, signature string) bool {
	bytes, err := decodeBase64(signature)
	if err != nil {
		return false
	}
	message := DepositorMessage(members)
	if k.ec != nil {
		sum := sha256.Sum256(message)
		return ecdsa.VerifyASN1(k.ec, sum[:], bytes)
	}
	return len(k.ed) == ed25519.PublicKeySize && ed25519.Verify(k.ed, message, bytes)
}

// DepositorMessage is what a depositor signs: the given members, which must be those of one
// record in order, without depositor.signature.
func DepositorMessage(members Record) []byte {
	out := append(make([]byte, 0, 1024), "muniment/depositor@v1\n["...)
	first := len(out)
	for _, m := range members {
		if m.Name == nameSignature {
			continue
		}
		if len(out) > first {
			out = append(out, ',')
		}
		out = append(appendString(append(out, '['), m.Name), ',')
		out = append(append(out, m.Value.json...), ']')
	}
	return append(out, ']')
}

// SignDeposit returns claims with depositor.key and depositor.signature, by a signer whose key
// is Ed25519 or ECDSA on P-256. The claims must be all that the deposit will state, and have
// content.sha256; what stands in them as key or signature is replaced.
func SignDeposit(claims Record, signer crypto.Signer) (Record, error) {
	key, err := NewDepositorKey(signer.Public())
	if err != nil {
		return nil, err
	}
	if v, _ := claims.Get("content.sha256"); !TypeDigest.Holds(v) {
		return nil, malformed("a deposit is signed with its content.sha256")
	}
	members := slices.DeleteFunc(slices.Clone(claims), func(m Member) bool { return m.Name == nameKey || m.Name == nameSignature })
	signed, err := NewRecord(append(members, Member{nameKey, Value{`"` + key.String() + `"`}})...)
	if err != nil {
		return nil, err
	}
	message, hash := DepositorMessage(signed), crypto.Hash(0)
	if key.ec != nil {
		sum := sha256.Sum256(message)
		message, hash = sum[:], crypto.SHA256
	}
	bytes, err := signer.Sign(rand.Reader, message, hash)
	if err != nil {
		return nil, err
	}
	signature := base64.StdEncoding.EncodeToString(bytes)
	if !key.Verify(signed, signature) {
		return nil, errors.New("the signer's signature is not of its own key")
	}
	return NewRecord(append(signed, Member{nameSignature, Value{`"` + signature + `"`}})...)
}

// DepositorSigned is the value of depositor.signed: the names of the members that a depositor
// signed, in order.
func DepositorSigned(members Record) Value {
	out := []byte{'['}
	for _, m := range members {
		if m.Name == nameSignature {
			continue
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = appendString(out, m.Name)
	}
	return Value{string(append(out, ']'))}
}

// DepositorCheck is what became of a depositor's own signature.
type DepositorCheck string

// What became of it. A signature that does not hold refuses the receipt.
const (
	DepositorUnsigned  DepositorCheck = "unsigned"  // there is none in the record
	DepositorValid     DepositorCheck = "valid"     // it holds over the members as the receipt shows them
	DepositorUnchecked DepositorCheck = "unchecked" // Hidden members are in the way; none: the algorithm is not at hand
)

// A DepositorSignature is what a receipt shows of its depositor's own signature.
type DepositorSignature struct {
	Check     DepositorCheck `json:"check"`
	Algorithm string         `json:"algorithm,omitempty"`
	// Key is the fingerprint of the key that the record names; empty if it is hidden. Whose
	// key it is, no receipt can prove.
	Key string `json:"key,omitempty"`
	// Registered: the depository states that the tenant had registered the key with it.
	Registered bool `json:"registered,omitempty"`
	// Demanded: who relies on the evidence has named the key.
	Demanded bool     `json:"demanded,omitempty"`
	Members  []string `json:"members,omitempty"` // names of the members that are signed
	Hidden   []string `json:"hidden,omitempty"`  // names of the members that are in the way
}

// CheckDepositor judges the depositor's own signature in disclosures that fit their entry. It
// answers false if the record contradicts itself: the signature does not hold, its parts are
// not all there, or it leaves a statement of the depositor's out.
func CheckDepositor(disclosures []Disclosure) (DepositorSignature, bool) {
	s := DepositorSignature{Check: DepositorUnsigned}
	if !slices.ContainsFunc(disclosures, func(d Disclosure) bool { return d.Name == nameKey || d.Name == nameSignature || d.Name == nameSigned }) {
		return s, true
	}
	members := map[string]Disclosure{}
	for _, d := range disclosures {
		members[d.Name] = d
	}
	found := 0
	for _, name := range []string{nameKey, nameSignature, nameSigned} {
		if d, ok := members[name]; ok {
			found++
			if d.Hidden {
				s.Hidden = append(s.Hidden, name)
			}
		}
	}
	if found < 3 {
		return s, false
	}
	s.Check = DepositorUnchecked
	s.Registered = members["depositor.key.registered"].Value == Boolean(true)
	var key DepositorKey
	known := false
	if d := members[nameKey]; !d.Hidden {
		text, _ := d.Value.Text()
		spki, err := decodeBase64(text)
		if err != nil {
			return s, false
		}
		s.Key = fingerprint(spki)
		if key, err = ParseDepositorKey(text); err == nil {
			known, s.Algorithm = true, key.Algorithm()
		}
	}
	if members[nameSigned].Hidden {
		return s, true
	}
	var whole bool
	if s.Members, whole = signedNames(members[nameSigned].Value, members); !whole {
		return s, false
	}
	for _, d := range disclosures {
		if slices.Contains(s.Members, d.Name) || !strings.HasPrefix(d.Name, "content.") || d.Name == "content.held" {
			continue
		}
		// Of a document that the depository has not got, everything is the depositor's claim.
		switch held := members["content.held"]; {
		case held.Hidden:
			s.Hidden = append(s.Hidden, "content.held")
		case held.Value != Boolean(true):
			return s, false
		}
	}
	var signed Record
	for _, name := range s.Members {
		d := members[name]
		if d.Hidden && name != nameKey {
			s.Hidden = append(s.Hidden, name)
		}
		signed = append(signed, Member{name, d.Value})
	}
	slices.Sort(s.Hidden)
	s.Hidden = slices.Compact(s.Hidden)
	if len(s.Hidden) > 0 || !known {
		return s, true
	}
	signature, _ := members[nameSignature].Value.Text()
	if !key.Verify(signed, signature) {
		return s, false
	}
	s.Check = DepositorValid
	return s, true
}

// signedNames reads depositor.signed, and reports whether it may stand among these members: it
// names some of them, in order, content.sha256 and the key with them, and every one that is
// the depositor's to state.
func signedNames(v Value, members map[string]Disclosure) ([]string, bool) {
	var names []string
	p := parser{in: v.json}
	if !p.take('[') || p.list(func() error {
		name, err := p.quoted()
		names = append(names, name)
		return err
	})() != nil || p.pos != len(p.in) {
		return nil, false
	}
	for i, name := range names {
		if _, there := members[name]; !there || i > 0 && names[i-1] >= name || name == nameSignature || name == nameSigned {
			return nil, false
		}
	}
	for name := range members {
		if (name == "content.sha256" || name == nameKey || stated(name)) && !slices.Contains(names, name) {
			return nil, false
		}
	}
	return names, slices.Contains(names, "content.sha256")
}

// stated reports whether a member is always the depositor's own statement. A depository that
// added one to a signed record would put words in the depositor's mouth.
func stated(name string) bool {
	switch name {
	case "content.name", "content.type", "provenance.system", "provenance.generated":
		return true
	}
	family, _, _ := strings.Cut(name, ".")
	return slices.Contains([]string{"contract", "party", "terms", "label"}, family)
}

// demanded judges a depositor's signature by the keys that who relies on the evidence asks for.
func (v *Verifier) demanded(s DepositorSignature) (Outcome, Reason) {
	switch {
	case len(v.depositors) == 0:
		return Verified, ""
	case s.Check == DepositorUnchecked && (s.Key == "" || slices.Contains(v.depositors, s.Key)):
		return Undecided, ReasonDepositorUnchecked
	case s.Check != DepositorValid || !slices.Contains(v.depositors, s.Key):
		return Refused, ReasonDepositorKey
	}
	return Verified, ""
}
