package proofs

import (
	"encoding/base64"
	"strings"
	"time"
)

// Kind says what an entry is about.
type Kind string

// The kinds of entry. Genesis stands at index 0 and nowhere else.
const (
	KindGenesis Kind = "genesis"
	KindDeposit Kind = "deposit"
	KindNotice  Kind = "notice" // a hold, release or erasure; which, stands in its private record
	KindKey     Kind = "key"
	KindFacts   Kind = "facts"
)

// Public reports whether the records of this kind are disclosed to everyone.
func (k Kind) Public() bool {
	return k == KindGenesis || k == KindKey || k == KindFacts
}

func (k Kind) valid() bool {
	switch k {
	case KindGenesis, KindDeposit, KindNotice, KindKey, KindFacts:
		return true
	}
	return false
}

// An Entry is the public part of a deposit: one leaf of the log.
type Entry struct {
	Kind   Kind
	Time   time.Time // UTC, whole milliseconds; never decreases with the index
	Record Hash      // commitment to the record
}

const (
	entryHeader = "muniment/entry@v1"
	entryLines  = 4
	maxEntry    = 128 // bytes; the longest kind of entry has fewer
	timeFormat  = "2006-01-02T15:04:05.000Z"
)

// String returns the entry's four lines, the bytes that are hashed as a leaf.
func (e Entry) String() string {
	var buf [maxEntry]byte
	return string(e.Append(buf[:0]))
}

// Append appends the entry's four lines to out.
func (e Entry) Append(out []byte) []byte {
	out = append(append(out, entryHeader+"\n"...), e.Kind...)
	out = appendTime(append(out, "\ntime "...), e.Time)
	out = base64.StdEncoding.AppendEncode(append(out, "\nrecord "...), e.Record[:])
	return append(out, '\n')
}

// LeafHash returns the hash of the entry as a leaf.
func (e Entry) LeafHash() Hash {
	var buf [maxEntry]byte
	return LeafHash(e.Append(buf[:0]))
}

// size is the length of String.
func (e Entry) size() int {
	return len(entryHeader+"\n"+"\ntime "+timeFormat+"\nrecord "+"\n") + len(e.Kind) + hashText
}

// canonical reports whether the entry is what its four lines say, so that
// ParseEntry(e.String()) would return e.
func (e Entry) canonical() bool {
	t := e.Time.UTC()
	return e.Kind.valid() && t.Nanosecond()%1e6 == 0 && t.Year() >= 0 && t.Year() <= 9999
}

// ParseEntry reads what Entry.String writes, and nothing else.
func ParseEntry(s string) (Entry, error) {
	lines := strings.SplitN(s, "\n", 6)
	if len(lines) != 5 || lines[4] != "" || lines[0] != entryHeader {
		return Entry{}, malformed("entry is not the four lines of %s", entryHeader)
	}
	kind := Kind(lines[1])
	if !kind.valid() {
		return Entry{}, malformed("entry is of no known kind")
	}
	stamp, ok := strings.CutPrefix(lines[2], "time ")
	if !ok {
		return Entry{}, malformed("entry has no time")
	}
	at, err := ParseTime(stamp)
	if err != nil {
		return Entry{}, err
	}
	commitment, ok := strings.CutPrefix(lines[3], "record ")
	if !ok {
		return Entry{}, malformed("entry has no record")
	}
	h, err := ParseHash(commitment)
	if err != nil {
		return Entry{}, err
	}
	return Entry{Kind: kind, Time: at, Record: h}, nil
}

// FormatTime returns t in UTC, cut to the millisecond, as entries write it.
func FormatTime(t time.Time) string {
	var buf [len(timeFormat)]byte
	return string(appendTime(buf[:0], t))
}

// appendTime does what AppendFormat would, in a fraction of the time: every entry is
// spelled out several times on its way.
func appendTime(out []byte, t time.Time) []byte {
	t = t.UTC()
	year, month, day := t.Date()
	if year < 0 || year > 9999 {
		return t.AppendFormat(out, timeFormat)
	}
	hour, minute, second := t.Clock()
	out = append(appendDigits(out, year, 4), '-')
	out = append(appendDigits(out, int(month), 2), '-')
	out = append(appendDigits(out, day, 2), 'T')
	out = append(appendDigits(out, hour, 2), ':')
	out = append(appendDigits(out, minute, 2), ':')
	out = append(appendDigits(out, second, 2), '.')
	return append(appendDigits(out, t.Nanosecond()/1e6, 3), 'Z')
}

// appendDigits appends the last n decimal digits of v, with zeros before them.
func appendDigits(out []byte, v, n int) []byte {
	out = append(out, "0000"[:n]...)
	for i := len(out) - 1; n > 0; i, n, v = i-1, n-1, v/10 {
		out[i] = byte('0' + v%10)
	}
	return out
}

// ParseTime reads what FormatTime writes, and nothing else.
func ParseTime(s string) (time.Time, error) {
	if len(s) != len(timeFormat) {
		return time.Time{}, errTime
	}
	t, err := time.Parse(timeFormat, s)
	if err != nil || FormatTime(t) != s {
		return time.Time{}, errTime
	}
	return t, nil
}

var errTime = malformed("time is not YYYY-MM-DDThh:mm:ss.mmmZ")
