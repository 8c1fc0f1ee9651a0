package esignature

import (
	"bytes"
	"regexp"
	"strconv"
	"time"
)

const (
	// MaxSize is the most bytes of a PDF that is looked into.
	MaxSize = 64 << 20
	// MaxFindings is the most signatures of one PDF that are looked into.
	MaxFindings = 8
	// maxPlaces is how many things that look like a signature are passed on the way to them.
	maxPlaces = 1024
	// headerRoom is where readers of PDF look for its header.
	headerRoom = 1024
	maxCMS     = 256 << 10
	// dictionaryRoom is how far around a signature its other entries are looked for.
	dictionaryRoom = 16 << 10
)

// IsPDF reports whether a document that begins so is a PDF: its header is among the first 1,024
// bytes, where readers look for it.
func IsPDF(start []byte) bool {
	return bytes.Contains(start[:min(len(start), headerRoom)], []byte("%PDF-"))
}

// place is what a /ByteRange says: the file up to gap, and from rest to end, is signed.
type place struct {
	at             int // of /ByteRange
	gap, rest, end int64
	reason         Reason // why it covers nothing that can be checked; empty: it does
}

// places finds each /ByteRange, in the order of the file and each once. more: there were others.
func places(data []byte) (found []place, more bool) {
	const name = "/ByteRange"
	seen := map[[3]int64]bool{}
	at := 0
	for range maxPlaces {
		next := bytes.Index(data[at:], []byte(name))
		if next < 0 {
			return found, false
		}
		at += next + len(name)
		if at < len(data) && !space(data[at]) && data[at] != '[' {
			continue // a longer name
		}
		p := readPlace(data, at)
		key := [3]int64{p.gap, p.rest, p.end}
		if seen[key] {
			continue
		}
		if seen[key] = true; len(found) == MaxFindings {
			return found, true
		}
		found = append(found, p)
	}
	return found, true
}

func readPlace(data []byte, at int) place {
	p := place{at: at, reason: ReasonByteRange}
	n, ok := fourNumbers(data[at:])
	if !ok {
		return p
	}
	size := int64(len(data))
	// Sums do not overflow: a number has at most 12 digits.
	p.gap, p.rest, p.end = n[1], n[2], n[2]+n[3]
	if n[0] != 0 || p.gap >= p.rest || p.rest > size || !hexString(data[p.gap:p.rest]) {
		return p
	}
	inside := int64(at) < p.gap || int64(at) > p.rest && int64(at) < p.end
	switch {
	case !inside: // what it says of itself nobody signed
	case p.end > size:
		p.reason = ReasonTruncated
	case p.end < size && !endsRevision(data[:p.end]):
	default:
		p.reason = ""
	}
	return p
}

// fourNumbers reads [a b c d].
func fourNumbers(data []byte) (n [4]int64, ok bool) {
	data = bytes.TrimLeft(data[:min(len(data), 256)], spaces)
	if len(data) == 0 || data[0] != '[' {
		return n, false
	}
	body, _, closed := bytes.Cut(data[1:], []byte{']'})
	fields := bytes.Fields(body)
	if !closed || len(fields) != len(n) {
		return n, false
	}
	for i, f := range fields {
		v, err := strconv.ParseUint(string(f), 10, 63)
		if err != nil || len(f) > 12 {
			return n, false
		}
		n[i] = int64(v)
	}
	return n, true
}

const spaces = "\x00\t\n\f\r "

func space(c byte) bool { return bytes.IndexByte([]byte(spaces), c) >= 0 }

// hexString reports whether the gap is one string in hex and nothing besides: whatever else
// stood in it would be in the file and not be signed.
func hexString(gap []byte) bool {
	if len(gap) < 4 || gap[0] != '<' || gap[len(gap)-1] != '>' {
		return false
	}
	for _, c := range gap[1 : len(gap)-1] {
		if nibble(c) < 0 && !space(c) {
			return false
		}
	}
	return true
}

func nibble(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// contents is what the gap's string holds, up to maxCMS bytes, and whether all after that is
// zero, as signers fill up what they have set aside.
func contents(gap []byte) (out []byte, rest bool) {
	rest = true
	high := -1
	for _, c := range gap[1 : len(gap)-1] {
		n := nibble(c)
		switch {
		case n < 0:
		case high < 0:
			high = n
		case len(out) == maxCMS:
			rest = rest && high == 0 && n == 0
			high = -1
		default:
			out = append(out, byte(high<<4|n))
			high = -1
		}
	}
	if high >= 0 { // a digit that is missing is 0
		out = append(out, byte(high<<4))
	}
	return out, rest
}

// endsRevision reports whether a PDF could end here.
func endsRevision(data []byte) bool {
	return bytes.HasSuffix(bytes.TrimRight(data[max(0, len(data)-64):], spaces), []byte("%%EOF"))
}

// claimed is /M, the time that is written beside a signature.
var claimed = regexp.MustCompile(`/M\s*\(D:([0-9]{14})(?:Z|([+-])([0-9]{2})'?([0-9]{2})'?)?`)

// claimedTime looks for /M in the object around a signature. Whoever signed wrote it; nothing
// proves it.
func claimedTime(data []byte, p place) time.Time {
	before := data[max(0, int64(p.at)-dictionaryRoom):min(int64(p.at), p.gap)]
	if int64(p.at) > p.gap {
		before = data[max(0, p.gap-dictionaryRoom):p.gap]
	}
	if i := bytes.LastIndex(before, []byte(" obj")); i >= 0 {
		before = before[i:]
	}
	between := data[min(int64(p.at), p.gap):p.gap]
	after := data[p.rest:min(p.end, p.rest+dictionaryRoom)]
	if i := bytes.Index(after, []byte("endobj")); i >= 0 {
		after = after[:i]
	}
	for _, part := range [][]byte{before, between[:min(len(between), dictionaryRoom)], after} {
		if m := claimed.FindSubmatch(part); m != nil {
			return pdfTime(m)
		}
	}
	return time.Time{}
}

func pdfTime(m [][]byte) time.Time {
	t, err := time.Parse("20060102150405", string(m[1]))
	if err != nil {
		return time.Time{}
	}
	if len(m[2]) > 0 {
		hours, _ := strconv.Atoi(string(m[3]))
		minutes, _ := strconv.Atoi(string(m[4]))
		offset := time.Duration(hours)*time.Hour + time.Duration(minutes)*time.Minute
		if m[2][0] == '+' {
			offset = -offset
		}
		t = t.Add(offset)
	}
	return t
}
