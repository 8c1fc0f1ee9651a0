package notary

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/muniment/muniment/proofs"
)

// body is what Row.Body seals: the record apart from its id and its place in the
// case, which the row has, and what is needed to recognise a retry.
type body struct {
	intent *intent // nil but in the first row of an operation
	record proofs.Record
}

// intent is what an operation was to do, in the first row that it made.
type intent struct {
	key     Term     // the operation's
	content [16]byte // contentMAC or batchMAC
}

const bodyVersion = 2

// seal encrypts the body for its row. A row is mostly its record, so the record is
// written short: see appendPacked.
func (b body) seal(key rowKeys, tenant, id ID) []byte {
	plain := make([]byte, 0, 512)
	if b.intent == nil {
		plain = append(plain, 0)
	} else {
		plain = append(append(append(plain, 1), b.intent.key[:]...), b.intent.content[:]...)
	}
	plain = appendPacked(plain, b.record)
	out := append(make([]byte, 0, 1+len(plain)+tagSize), bodyVersion)
	return gcm(key.body[:]).Seal(out, zeroNonce[:], plain, owner(tenant, id))
}

func openBody(key rowKeys, row Row) (body, error) {
	u, err := decryptBody(key, row)
	if err != nil {
		return body{}, err
	}
	b := body{intent: u.intent()}
	if b.record, err = u.record(row.ID); err != nil {
		return body{}, damagedRecord(row, err)
	}
	return b, nil
}

// openIntent reads of a body what its operation was to do; nil in all but the first row.
func openIntent(key rowKeys, row Row) (*intent, error) {
	u, err := decryptBody(key, row)
	if err != nil {
		return nil, err
	}
	in := u.intent()
	if u.short {
		return nil, damagedRecord(row, errPacked)
	}
	return in, nil
}

func decryptBody(key rowKeys, row Row) (*unpacker, error) {
	if len(row.Body) == 0 || row.Body[0] != bodyVersion {
		return nil, damagedRecord(row, errPacked)
	}
	plain, err := gcm(key.body[:]).Open(nil, zeroNonce[:], row.Body[1:], owner(row.Tenant, row.ID))
	if err != nil {
		return nil, damagedRecord(row, err)
	}
	return &unpacker{rest: plain}, nil
}

func damagedRecord(row Row, err error) error {
	return fmt.Errorf("%w: record of entry %d: %w", ErrDamaged, row.Index, err)
}

func (u *unpacker) intent() *intent {
	if u.byte() != 1 {
		return nil
	}
	in := &intent{}
	copy(in.key[:], u.take(len(in.key)))
	copy(in.content[:], u.take(len(in.content)))
	return in
}

// packedNames stand for the names that most records have, by their place here from
// 1 on. The list only ever grows, at its end: rows are kept for decades.
var packedNames = []string{
	"tenant.name", "tenant.registration", "depositor.name", "depositor.signature",
	"content.sha256", "content.sm3", "content.size", "content.type", "content.name", "content.held",
	"contract.number", "contract.title", "contract.date", "contract.version",
	"terms.amount", "terms.currency", "terms.rate", "terms.start", "terms.end",
	"provenance.system", "provenance.generated", "provenance.received",
	"log.origin", "log.key",
	"party.0.name", "party.0.role", "party.0.id.type", "party.0.id.number",
	"party.1.name", "party.1.role", "party.1.id.type", "party.1.id.number",
	"party.2.name", "party.2.role", "party.2.id.type", "party.2.id.number",
	"party.3.name", "party.3.role", "party.3.id.type", "party.3.id.number",
}

var packedCodes = func() map[string]byte {
	codes := map[string]byte{}
	for i, name := range packedNames {
		codes[name] = byte(i + 1)
	}
	return codes
}()

// How a packed value is to be read; the two low bits of the number before it, whose
// other bits are its length.
const (
	packedJSON   = iota // canonical JSON as it is
	packedText          // a string's bytes, where its JSON is those bytes in quotes
	packedDigest        // a string of lower-case hex, as the bytes it stands for
	packedTime          // a time as entries write it, as its milliseconds since 1970
)

// appendPacked appends the record without the member id, which must be the row's:
// for each member, in order, a code for its name, or 0, a length and the name, and
// then its value. Code 255 ends it.
func appendPacked(out []byte, r proofs.Record) []byte {
	for _, m := range r {
		if m.Name == "id" {
			continue
		}
		if code := packedCodes[m.Name]; code > 0 {
			out = append(out, code)
		} else {
			out = append(append(out, 0, byte(len(m.Name))), m.Name...)
		}
		out = appendPackedValue(out, m.Value.JSON())
	}
	return append(out, packedEnd)
}

const packedEnd = 255

func appendPackedValue(out []byte, json string) []byte {
	length := func(n, kind int) { out = binary.AppendUvarint(out, uint64(n)<<2|uint64(kind)) }
	text, ok := strings.CutPrefix(json, `"`)
	if !ok || strings.IndexByte(text, '\\') >= 0 {
		length(len(json), packedJSON)
		return append(out, json...)
	}
	text = text[:len(text)-1]
	if len(text) == 2*proofs.HashSize {
		var digest proofs.Hash
		if _, err := hex.Decode(digest[:], []byte(text)); err == nil && hex.EncodeToString(digest[:]) == text {
			length(len(digest), packedDigest)
			return append(out, digest[:]...)
		}
	}
	if at, err := proofs.ParseTime(text); err == nil && at.Year() >= 1970 {
		ms := binary.AppendUvarint(nil, uint64(at.UnixMilli()))
		length(len(ms), packedTime)
		return append(out, ms...)
	}
	length(len(text), packedText)
	return append(out, text...)
}

var errPacked = fmt.Errorf("it is not a packed record of version %d", bodyVersion)

// unpacker takes what appendPacked wrote off the front. After the first shortfall
// everything reads as empty, and record reports it.
type unpacker struct {
	rest  []byte
	short bool
}

func (u *unpacker) take(n int) []byte {
	if n > len(u.rest) {
		u.rest, u.short = nil, true
		return nil
	}
	b := u.rest[:n]
	u.rest = u.rest[n:]
	return b
}

func (u *unpacker) byte() byte {
	if b := u.take(1); b != nil {
		return b[0]
	}
	return packedEnd
}

func (u *unpacker) length() (n, kind int) {
	v, read := binary.Uvarint(u.rest)
	if read <= 0 || v>>2 > uint64(len(u.rest)) {
		u.rest, u.short = nil, true
		return 0, 0
	}
	u.rest = u.rest[read:]
	return int(v >> 2), int(v & 3)
}

// record reads a packed record to its end, and adds the id.
func (u *unpacker) record(id ID) (proofs.Record, error) {
	v, err := proofs.Text(id.String())
	if err != nil {
		return nil, err
	}
	members := append(make([]proofs.Member, 0, 16), proofs.Member{Name: "id", Value: v})
	for {
		code := u.byte()
		if code == packedEnd {
			break
		}
		var name string
		switch {
		case code == 0:
			name = string(u.take(int(u.byte())))
		case int(code) <= len(packedNames):
			name = packedNames[code-1]
		default:
			return nil, errPacked
		}
		value, err := u.value()
		if err != nil {
			return nil, err
		}
		members = append(members, proofs.Member{Name: name, Value: value})
	}
	if u.short || len(u.rest) > 0 {
		return nil, errPacked
	}
	return proofs.NewRecord(members...)
}

func (u *unpacker) value() (proofs.Value, error) {
	n, kind := u.length()
	data := u.take(n)
	switch kind {
	case packedJSON:
		return proofs.ParseValue(string(data))
	case packedText:
		return proofs.Text(string(data))
	case packedDigest:
		return proofs.Text(hex.EncodeToString(data))
	}
	ms, read := binary.Uvarint(data)
	if read != n || ms > math.MaxInt64 {
		return proofs.Value{}, errPacked
	}
	return proofs.Text(proofs.FormatTime(time.UnixMilli(int64(ms))))
}
