package proofs

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"hash"
	"slices"
	"strings"
)

// Bounds of a record.
const (
	MaxMembers = 64
	// MaxRecord is the most bytes of JSON that ParseMembers and ParseValue read: room
	// for the longest record that a receipt can carry, however it is spelled.
	MaxRecord = 128 << 10
	// MaxDisclosures is the most bytes that the disclosures of a record may take in
	// a receipt; a record that could not fit is refused at intake.
	MaxDisclosures = 16384
	maxName        = 64
)

// SaltSize is the size of a member's salt in bytes.
const SaltSize = 16

// A Seed is the secret from which all salts of one record come. Who destroys it
// makes hidden values unguessable for ever.
type Seed [32]byte

// A Member is one named value of a record.
type Member struct {
	Name  string
	Value Value
}

// A Record is the full, private description of a deposit: 1 to MaxMembers members
// in ascending byte order of their names.
type Record []Member

// NewRecord returns the record of the given members, sorted.
func NewRecord(members ...Member) (Record, error) {
	r := slices.Clone(members)
	slices.SortFunc(r, func(a, b Member) int { return strings.Compare(a.Name, b.Name) })
	if len(r) == 0 || len(r) > MaxMembers {
		return nil, malformed("record has %d members, not 1 to %d", len(r), MaxMembers)
	}
	for i, m := range r {
		switch {
		case !ValidName(m.Name):
			return nil, malformed("member name %q is not [a-z][a-z0-9_.]{0,63}", m.Name)
		case i > 0 && r[i-1].Name == m.Name:
			return nil, malformed("member %s stands twice", m.Name)
		case m.Value.json == "":
			return nil, malformed("member %s has no value", m.Name)
		}
	}
	return r, nil
}

// ParseMembers reads a JSON object of names and values, in any spelling.
func ParseMembers(json string) (Record, error) {
	if len(json) > MaxRecord {
		return nil, malformed("JSON is longer than %d bytes", MaxRecord)
	}
	p := parser{in: json}
	fields, values, err := p.fields(0)
	if err != nil {
		return nil, err
	}
	if p.space(); p.pos != len(p.in) {
		return nil, malformed("more after the JSON object")
	}
	members := make([]Member, len(fields))
	for i, f := range fields {
		members[i] = Member{f.name, Value{string(values[f.start:f.end])}}
	}
	return NewRecord(members...)
}

// JSON returns the record as a canonical JSON object, which ParseMembers reads.
func (r Record) JSON() string {
	room := len(`{}`)
	for _, m := range r {
		room += len(m.Name) + len(m.Value.json) + len(`"":,`)
	}
	out := append(make([]byte, 0, room), '{')
	for i, m := range r {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(appendString(out, m.Name), ':')
		out = append(out, m.Value.json...)
	}
	return string(append(out, '}'))
}

// Get returns the value of the member of that name.
func (r Record) Get(name string) (Value, bool) {
	i, ok := slices.BinarySearchFunc(r, name, func(m Member, name string) int { return strings.Compare(m.Name, name) })
	if !ok {
		return Value{}, false
	}
	return r[i].Value, true
}

// ValidName reports whether s is a member's name: [a-z][a-z0-9_.]{0,63}.
func ValidName(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		letter := c >= 'a' && c <= 'z'
		if !letter && (i == 0 || (c < '0' || c > '9') && c != '_' && c != '.') {
			return false
		}
	}
	return s != "" && len(s) <= maxName
}

// A Disclosure is one member of a record as a receipt shows it: with its salt and
// value, or hidden behind its hash.
type Disclosure struct {
	Name   string
	Hidden bool
	Salt   [SaltSize]byte // zero when hidden
	Value  Value          // none when hidden
	Hash   Hash           // of the member; always there
}

// Disclose returns the disclosures of all members, none hidden, in order. It does
// the hashing of a deposit and may run before its place in the log is known.
func (r Record) Disclose(seed Seed) []Disclosure {
	return NewDiscloser(seed).Append(make([]Disclosure, 0, len(r)), r)
}

// A Discloser salts the members of one record that are not all known at once. It is
// not safe for concurrent use.
type Discloser struct{ mac hash.Hash }

// NewDiscloser returns the Discloser of the record with that seed.
func NewDiscloser(seed Seed) Discloser { return Discloser{hmac.New(sha256.New, seed[:])} }

// Append appends the disclosures of members, none hidden, in their order.
func (d Discloser) Append(out []Disclosure, members Record) []Disclosure {
	var sum [sha256.Size]byte
	var message [64 + maxName]byte
	for _, m := range members {
		d.mac.Reset()
		d.mac.Write(append(append(message[:0], "muniment/salt@v1\n"...), m.Name...))
		d.mac.Sum(sum[:0])
		shown := Disclosure{Name: m.Name, Salt: [SaltSize]byte(sum[:SaltSize]), Value: m.Value}
		shown.Hash = memberHash(shown.Salt, shown.Name, shown.Value)
		out = append(out, shown)
	}
	return out
}

// memberHash is SHA-256(0x00 ‖ JCS([base64(salt), name, value])).
func memberHash(salt [SaltSize]byte, name string, value Value) Hash {
	var buf [512]byte
	return sha256.Sum256(appendMember(append(buf[:0], 0x00), salt, name, value))
}

// appendMember appends JCS([base64(salt), name, value]).
func appendMember(out []byte, salt [SaltSize]byte, name string, value Value) []byte {
	out = append(out, `["`...)
	out = base64.StdEncoding.AppendEncode(out, salt[:])
	out = append(out, `",`...)
	out = append(appendString(out, name), ',')
	out = append(out, value.json...)
	return append(out, ']')
}

// Commitment folds the disclosures of one record, in order, into the hash that
// stands in its entry. Names are part of it, so no member can be taken out, put
// in, doubled or renamed, hidden or not.
func Commitment(disclosures []Disclosure) Hash {
	var buf [1024]byte
	b := append(buf[:0], "muniment/record@v1\n"...)
	for _, d := range disclosures {
		b = append(append(append(b, d.Name...), '\n'), d.Hash[:]...)
	}
	return sha256.Sum256(b)
}

// Hide returns disclosures with the members hidden for which hide answers true.
// The commitment stays what it was.
func Hide(disclosures []Disclosure, hide func(name string) bool) []Disclosure {
	out := slices.Clone(disclosures)
	for i, d := range out {
		if hide(d.Name) {
			out[i] = Disclosure{Name: d.Name, Hidden: true, Hash: d.Hash}
		}
	}
	return out
}
