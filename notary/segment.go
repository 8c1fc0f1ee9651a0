package notary

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"regexp"
	"strconv"

	"github.com/muniment/muniment/proofs"
)

// A segment's bytes, and those of its keys:
//
//	segment   a header; the origin, From, To, Begin and End; each row: entry, tenant, id,
//	          place in the case, operation, sealed body; the SHA-256 of all that
//	keys      a header; From and To; each row's secrets; the SHA-256 of all that
//
// Numbers are uvarints, and what has no fixed length has its length before it. A row whose
// secrets are empty was erased.
const (
	segmentHeader = "muniment/segment@v1\n"
	keysHeader    = "muniment/segment-keys@v1\n"
)

const (
	// maxSegmentRows and maxSegmentBytes bound one segment; a larger range is stored in
	// several. A row is far smaller than the room between maxSegmentBytes and MaxSegment.
	maxSegmentRows  = 4096
	maxSegmentBytes = 4 << 20
)

// opMark says which operation a row belongs to.
type opMark byte

const (
	opGoesOn opMark = iota // that of the row before it
	opBegins               // a new one, whose key follows
	opNone                 // none, or not known any more
)

// segmentRow is a row as a segment has it.
type segmentRow struct {
	Row
	mark opMark
	key  Term // with opBegins
}

// encodeSegment returns the bytes of a segment and of its keys.
func encodeSegment(name SegmentName, rows []segmentRow) (segment, keys []byte) {
	s := append(make([]byte, 0, 512*(len(rows)+1)), segmentHeader...)
	s = appendCounted(s, []byte(name.Origin))
	s = binary.AppendUvarint(binary.AppendUvarint(s, name.From), name.To)
	s = append(append(s, name.Begin[:]...), name.End[:]...)
	k := append(make([]byte, 0, 64*(len(rows)+2)), keysHeader...)
	k = binary.AppendUvarint(binary.AppendUvarint(k, name.From), name.To)
	for i := range rows {
		r := &rows[i]
		s = appendCounted(s, r.Entry)
		s = append(append(s, r.Tenant[:]...), r.ID[:]...)
		s = binary.AppendUvarint(s, r.CaseSeq)
		s = append(s, r.CasePrev[:]...)
		s = append(s, byte(r.mark))
		s = append(s, r.key[:]...)
		s = appendCounted(s, r.Body)
		k = appendCounted(k, r.Secrets)
	}
	return summed(s), summed(k)
}

func appendCounted(out, b []byte) []byte {
	return append(binary.AppendUvarint(out, uint64(len(b))), b...)
}

func summed(b []byte) []byte {
	sum := sha256.Sum256(b)
	return append(b, sum[:]...)
}

// unsum takes the header and the sum off bytes, if they are whole.
func unsum(b []byte, header string) (*unpacker, bool) {
	if len(b) < len(header)+sha256.Size || !bytes.HasPrefix(b, []byte(header)) {
		return nil, false
	}
	text, sum := b[:len(b)-sha256.Size], b[len(b)-sha256.Size:]
	if got := sha256.Sum256(text); !bytes.Equal(got[:], sum) {
		return nil, false
	}
	return &unpacker{rest: text[len(header):]}, true
}

func (u *unpacker) number() uint64 {
	v, read := binary.Uvarint(u.rest)
	if read <= 0 {
		u.rest, u.short = nil, true
		return 0
	}
	u.rest = u.rest[read:]
	return v
}

func (u *unpacker) counted() []byte {
	n := u.number()
	if n > math.MaxInt32 {
		u.rest, u.short = nil, true
		return nil
	}
	return u.take(int(n))
}

// decodeSegment reads what encodeSegment wrote under that name, without the secrets.
func decodeSegment(name SegmentName, segment []byte) ([]segmentRow, error) {
	damaged := func(why string) ([]segmentRow, error) {
		return nil, fmt.Errorf("%w: segment %s: %s", ErrDamaged, name.span(), why)
	}
	u, whole := unsum(segment, segmentHeader)
	if !whole {
		return damaged("it does not agree with its own checksum")
	}
	origin, from, to := string(u.counted()), u.number(), u.number()
	var begin, end proofs.Hash
	copy(begin[:], u.take(len(begin)))
	copy(end[:], u.take(len(end)))
	if u.short || (SegmentName{origin, from, to, begin, end}) != name || to <= from || to-from > maxSegmentRows {
		return damaged("it is another than its name says")
	}
	rows := make([]segmentRow, to-from)
	for i := range rows {
		r := &rows[i]
		r.Index, r.Entry = from+uint64(i), u.counted()
		copy(r.Tenant[:], u.take(len(r.Tenant)))
		copy(r.ID[:], u.take(len(r.ID)))
		r.CaseSeq = u.number()
		copy(r.CasePrev[:], u.take(len(r.CasePrev)))
		r.mark = opMark(u.byte())
		copy(r.key[:], u.take(len(r.key)))
		r.Body = u.counted()
	}
	if u.short || len(u.rest) > 0 {
		return damaged("it does not have the rows that its name says")
	}
	return rows, nil
}

// decodeKeys returns the secrets of each row of a segment; an empty one was erased.
func decodeKeys(name SegmentName, keys []byte) ([][]byte, error) {
	u, whole := unsum(keys, keysHeader)
	if !whole || u.number() != name.From || u.number() != name.To || name.To-name.From > maxSegmentRows {
		return nil, fmt.Errorf("%w: the keys of segment %s", ErrDamaged, name.span())
	}
	secrets := make([][]byte, name.To-name.From)
	for i := range secrets {
		secrets[i] = u.counted()
	}
	if u.short || len(u.rest) > 0 {
		return nil, fmt.Errorf("%w: the keys of segment %s", ErrDamaged, name.span())
	}
	return secrets, nil
}

func encodeKeys(name SegmentName, secrets [][]byte) []byte {
	k := binary.AppendUvarint(binary.AppendUvarint([]byte(keysHeader), name.From), name.To)
	for _, s := range secrets {
		k = appendCounted(k, s)
	}
	return summed(k)
}

// String is what a segment is called in every store, without its origin: From and To in 16
// hexadecimal digits, so that names are in their order, and both roots in 64.
func (n SegmentName) String() string {
	return fmt.Sprintf("%016x-%016x-%x-%x", n.From, n.To, n.Begin[:], n.End[:])
}

var segmentName = regexp.MustCompile(`^([0-9a-f]{16})-([0-9a-f]{16})-([0-9a-f]{64})-([0-9a-f]{64})$`)

// ParseSegmentName reads what String writes, and nothing else.
func ParseSegmentName(origin, text string) (n SegmentName, ok bool) {
	m := segmentName.FindStringSubmatch(text)
	if m == nil {
		return n, false
	}
	n.Origin = origin
	n.From, _ = strconv.ParseUint(m[1], 16, 64)
	n.To, _ = strconv.ParseUint(m[2], 16, 64)
	_, _ = hex.Decode(n.Begin[:], []byte(m[3]))
	_, _ = hex.Decode(n.End[:], []byte(m[4]))
	return n, true
}

// span is the range of a segment as messages tell it.
func (n SegmentName) span() string { return fmt.Sprintf("%d to %d", n.From, n.To) }

// lostBody stands in the place of the sealed record where recovery found the entry alone.
var lostBody = []byte{0}

// isLost reports whether a row has nothing but its entry left.
func isLost(r Row) bool { return bytes.Equal(r.Body, lostBody) }
