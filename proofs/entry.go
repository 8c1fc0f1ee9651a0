package proofs

import (
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
	timeFormat  = "2006-01-02T15:04:05.000Z"
)

// String returns the entry's four lines, the bytes that are hashed as a leaf.
func (e Entry) String() string {
	return entryHeader + "\n" + string(e.Kind) + "\ntime " + FormatTime(e.Time) + "\nrecord " + e.Record.String() + "\n"
}

// LeafHash returns the hash of the entry as a leaf.
func (e Entry) LeafHash() Hash { return LeafHash([]byte(e.String())) }

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
	return t.UTC().Format(timeFormat)
}

// ParseTime reads what FormatTime writes, and nothing else.
func ParseTime(s string) (time.Time, error) {
	t, err := time.Parse(timeFormat, s)
	if err != nil || FormatTime(t) != s {
		return time.Time{}, malformed("time is not YYYY-MM-DDThh:mm:ss.mmmZ")
	}
	return t, nil
}
