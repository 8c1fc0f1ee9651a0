package proofs

import (
	"bytes"
	"encoding/base64"
	"slices"
	"strconv"
	"strings"
)

// Bounds of a receipt.
const (
	// MaxReceipt is the most bytes ParseReceipt reads.
	MaxReceipt    = 384 << 10
	maxExtra      = 48000 // decoded; other implementations stop at lines of 64 KiB
	maxTimestamps = 4
)

const receiptHeader = "c2sp.org/tlog-proof@v1"

// A Receipt is everything about one deposit but its document: a C2SP tlog-proof
// whose extra data carries the entry and the disclosed record. Only Verifier.Verify
// says whether to believe it.
type Receipt struct {
	Entry       Entry
	Disclosures []Disclosure // ascending by name
	Timestamps  [][]byte     // RFC 3161 tokens in DER over Checkpoint
	Index       uint64
	Path        []Hash // from the leaf's sibling up
	Checkpoint  []byte // the signed note, verbatim
}

// Marshal returns the receipt's file, the bytes ParseReceipt reads.
func (r Receipt) Marshal() []byte {
	extra := r.extra()
	out := make([]byte, 0, 128+base64.StdEncoding.EncodedLen(len(extra))+45*len(r.Path)+len(r.Checkpoint))
	out = append(out, receiptHeader+"\nextra "...)
	out = base64.StdEncoding.AppendEncode(out, extra)
	out = append(out, "\nindex "...)
	out = strconv.AppendUint(out, r.Index, 10)
	out = append(out, '\n')
	for _, h := range r.Path {
		out = append(base64.StdEncoding.AppendEncode(out, h[:]), '\n')
	}
	out = append(out, '\n')
	return append(out, r.Checkpoint...)
}

// extra is the JCS of {"disclosures":[…],"entry":"…","timestamps":[…]}.
func (r Receipt) extra() []byte {
	room := 256 + disclosuresRoom(r.Disclosures)
	for _, t := range r.Timestamps {
		room += base64.StdEncoding.EncodedLen(len(t)) + 3
	}
	out := append(make([]byte, 0, room), `{"disclosures":`...)
	out = AppendDisclosures(out, r.Disclosures)
	out = append(out, `,"entry":`...)
	out = appendString(out, r.Entry.String())
	out = append(out, `,"timestamps":[`...)
	for i, t := range r.Timestamps {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, '"')
		out = base64.StdEncoding.AppendEncode(out, t)
		out = append(out, '"')
	}
	return append(out, `]}`...)
}

// AppendDisclosures appends the disclosures as a receipt's extra data has them: the
// JCS of an array.
func AppendDisclosures(out []byte, disclosures []Disclosure) []byte {
	out = append(out, '[')
	for i, d := range disclosures {
		if i > 0 {
			out = append(out, ',')
		}
		if !d.Hidden {
			out = appendMember(out, d.Salt, d.Name, d.Value)
			continue
		}
		out = append(appendString(append(out, '['), d.Name), ',')
		out = append(appendString(out, d.Hash.String()), ']')
	}
	return append(out, ']')
}

// DisclosuresSize returns the bytes that disclosures take in a receipt, to be
// held against MaxDisclosures.
func DisclosuresSize(disclosures []Disclosure) int {
	return len(AppendDisclosures(make([]byte, 0, disclosuresRoom(disclosures)), disclosures))
}

// disclosuresRoom is enough room for the disclosures, so that they are written
// without growing.
func disclosuresRoom(disclosures []Disclosure) int {
	room := 2
	for _, d := range disclosures {
		room += len(d.Name) + len(d.Value.json) + 64
	}
	return room
}

// ParseDisclosures reads the disclosures of one record, a JSON array in any spelling.
// It is for answers that carry them beside the entry: as part of a receipt,
// ParseReceipt reads them.
func ParseDisclosures(json string) ([]Disclosure, error) {
	if len(json) > MaxRecord {
		return nil, malformed("JSON is longer than %d bytes", MaxRecord)
	}
	p := parser{in: json}
	if err := p.expect('['); err != nil {
		return nil, err
	}
	disclosures, err := p.disclosures()
	if err != nil {
		return nil, err
	}
	if p.space(); p.pos != len(p.in) {
		return nil, malformed("more after the JSON array")
	}
	return disclosures, checkDisclosures(disclosures)
}

// check finds what a Receipt built by hand could hold and a parsed one never does.
func (r Receipt) check() error {
	if err := checkDisclosures(r.Disclosures); err != nil {
		return err
	}
	// What is shown of the entry must be what is hashed: no fraction of a millisecond.
	if e, err := ParseEntry(r.Entry.String()); err != nil || !e.Time.Equal(r.Entry.Time) {
		return malformed("entry is not one that its four lines could say")
	}
	switch {
	case len(r.Path) > maxProof:
		return malformed("inclusion proof is longer than any tree is high")
	case len(r.Timestamps) > maxTimestamps:
		return malformed("receipt has more than %d time-stamps", maxTimestamps)
	}
	for i, t := range r.Timestamps {
		if len(t) == 0 || slices.ContainsFunc(r.Timestamps[:i], func(o []byte) bool { return bytes.Equal(o, t) }) {
			return malformed("a time-stamp is empty or stands twice")
		}
	}
	if len(r.extra()) > maxExtra {
		return malformed("receipt's extra data is too long")
	}
	return nil
}

func checkDisclosures(disclosures []Disclosure) error {
	if len(disclosures) == 0 || len(disclosures) > MaxMembers {
		return malformed("receipt discloses %d members, not 1 to %d", len(disclosures), MaxMembers)
	}
	for i, d := range disclosures {
		switch {
		case !ValidName(d.Name) || i > 0 && disclosures[i-1].Name >= d.Name:
			return malformed("receipt's members are not in ascending order of valid names")
		case !d.Hidden && (d.Value.json == "" || d.Hash != memberHash(d.Salt, d.Name, d.Value)):
			return malformed("hash of member %s is not the hash of its value", d.Name)
		case d.Hidden && (d.Value.json != "" || d.Salt != [SaltSize]byte{}):
			return malformed("hidden member %s shows its value", d.Name)
		}
	}
	if DisclosuresSize(disclosures) > MaxDisclosures {
		return malformed("the disclosures are longer than %d bytes", MaxDisclosures)
	}
	return nil
}

// ParseReceipt reads a receipt's file. It accepts only what Marshal would write:
// Marshal(ParseReceipt(x)) equals x.
func ParseReceipt(data []byte) (Receipt, error) {
	if len(data) > MaxReceipt {
		return Receipt{}, malformed("receipt is longer than %d bytes", MaxReceipt)
	}
	head, note, ok := strings.Cut(string(data), "\n\n")
	lines := strings.SplitN(head, "\n", 3+maxProof+1)
	if !ok || len(lines) < 3 || lines[0] != receiptHeader {
		return Receipt{}, malformed("file does not begin as a %s", receiptHeader)
	}
	r := Receipt{Checkpoint: []byte(note)}
	extra, ok := strings.CutPrefix(lines[1], "extra ")
	if !ok {
		return Receipt{}, malformed("receipt has no extra line")
	}
	if err := r.parseExtra(extra); err != nil {
		return Receipt{}, err
	}
	index, ok := strings.CutPrefix(lines[2], "index ")
	if !ok {
		return Receipt{}, malformed("receipt has no index line")
	}
	var err error
	if r.Index, err = parseUint(index); err != nil {
		return Receipt{}, err
	}
	if len(lines) > 3+maxProof {
		return Receipt{}, malformed("inclusion proof is longer than any tree is high")
	}
	for _, line := range lines[3:] {
		h, err := ParseHash(line)
		if err != nil {
			return Receipt{}, err
		}
		r.Path = append(r.Path, h)
	}
	if _, err := ParseNote(r.Checkpoint); err != nil {
		return Receipt{}, err
	}
	if err := r.check(); err != nil {
		return Receipt{}, err
	}
	if !bytes.Equal(r.Marshal(), data) {
		return Receipt{}, malformed("receipt is not in its canonical form")
	}
	return r, nil
}

// parseExtra reads the extra data loosely: that it is canonical is seen when the
// whole receipt is written again.
func (r *Receipt) parseExtra(encoded string) error {
	if len(encoded) > base64.StdEncoding.EncodedLen(maxExtra) {
		return malformed("receipt's extra data is too long")
	}
	data, err := decodeBase64(encoded)
	if err != nil {
		return err
	}
	p := parser{in: string(data)}
	return p.sequence(
		p.lit(`{"disclosures":[`), func() (err error) { r.Disclosures, err = p.disclosures(); return err },
		p.lit(`,"entry":`), func() (err error) {
			s, err := p.quoted()
			if err == nil {
				r.Entry, err = ParseEntry(s)
			}
			return err
		},
		p.lit(`,"timestamps":[`), p.list(func() error {
			s, err := p.quoted()
			if err != nil {
				return err
			}
			token, err := decodeBase64(s)
			r.Timestamps = append(r.Timestamps, token)
			return err
		}),
		p.lit(`}`), p.end,
	)
}

// disclosures reads disclosures up to the bracket that closes their list.
func (p *parser) disclosures() (out []Disclosure, err error) {
	err = p.list(func() error {
		d, err := p.disclosure()
		out = append(out, d)
		return err
	})()
	return out, err
}

// disclosure reads [salt, name, value] or [name, hash].
func (p *parser) disclosure() (d Disclosure, err error) {
	var first, second string
	err = p.sequence(func() error { return p.expect('[') },
		func() (err error) { first, err = p.quoted(); return err },
		func() error { return p.expect(',') },
		func() (err error) { second, err = p.quoted(); return err })
	if err != nil {
		return Disclosure{}, err
	}
	if p.take(']') {
		h, err := ParseHash(second)
		return Disclosure{Name: first, Hidden: true, Hash: h}, err
	}
	salt, err := decodeBase64(first)
	if err != nil || len(salt) != SaltSize {
		return Disclosure{}, malformed("salt is not %d bytes of base64", SaltSize)
	}
	var json []byte
	err = p.sequence(
		func() error { return p.expect(',') },
		func() (err error) { json, err = p.value(nil, 0); return err },
		func() error { return p.expect(']') },
	)
	if err != nil {
		return Disclosure{}, err
	}
	d = Disclosure{Name: second, Salt: [SaltSize]byte(salt), Value: Value{string(json)}}
	d.Hash = memberHash(d.Salt, d.Name, d.Value)
	return d, nil
}

// sequence runs steps until one fails.
func (p *parser) sequence(steps ...func() error) error {
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// lit is the step that consumes exactly s.
func (p *parser) lit(s string) func() error {
	return func() error {
		if !strings.HasPrefix(p.in[p.pos:], s) {
			return malformed("extra data: %s expected at byte %d", s, p.pos)
		}
		p.pos += len(s)
		return nil
	}
}

// list is the step that reads items up to the closing bracket.
func (p *parser) list(item func() error) func() error {
	return func() error {
		for n := 0; !p.take(']'); n++ {
			if n > 0 {
				if err := p.expect(','); err != nil {
					return err
				}
			}
			if n == MaxMembers {
				return malformed("extra data: a list of more than %d items", MaxMembers)
			}
			if err := item(); err != nil {
				return err
			}
		}
		return nil
	}
}

func (p *parser) quoted() (string, error) {
	if p.next() != '"' {
		return "", malformed("extra data: a string expected at byte %d", p.pos)
	}
	return p.str()
}

func (p *parser) end() error {
	if p.pos != len(p.in) {
		return malformed("extra data: more after its end")
	}
	return nil
}

// Member returns the disclosed value of that name.
func (r Receipt) Member(name string) (Value, bool) {
	for _, d := range r.Disclosures {
		if d.Name == name && !d.Hidden {
			return d.Value, true
		}
	}
	return Value{}, false
}

// Record returns the members that are disclosed.
func (r Receipt) Record() Record {
	var out Record
	for _, d := range r.Disclosures {
		if !d.Hidden {
			out = append(out, Member{d.Name, d.Value})
		}
	}
	return out
}
