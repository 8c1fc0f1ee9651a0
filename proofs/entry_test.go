package proofs

import (
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

const goodEntry = "muniment/entry@v1\ndeposit\ntime 2026-03-01T08:00:01.123Z\nrecord AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"

func TestEntryRoundTrip(t *testing.T) {
	for _, kind := range []Kind{KindGenesis, KindDeposit, KindNotice, KindKey, KindFacts} {
		s := strings.Replace(goodEntry, "deposit", string(kind), 1)
		e, err := ParseEntry(s)
		if public := kind != KindDeposit && kind != KindNotice; kind.Public() != public {
			t.Errorf("records of kind %s are public: %v", kind, kind.Public())
		}
		if err != nil || e.String() != s || e.Kind != kind || e.LeafHash() != LeafHash([]byte(s)) {
			t.Errorf("%s: %v, %q", kind, err, e)
		}
	}
}

func TestEntryIsCutToTheMillisecond(t *testing.T) {
	zone := time.FixedZone("", 8*3600)
	e := Entry{Kind: KindDeposit, Time: time.Date(2026, 3, 1, 16, 0, 1, 123_999_999, zone)}
	if e.String() != goodEntry {
		t.Errorf("entry is %q", e)
	}
}

func TestMalformedEntries(t *testing.T) {
	change := func(old, new string) string { return strings.Replace(goodEntry, old, new, 1) }
	for what, s := range map[string]string{
		"empty":             "",
		"cut":               strings.TrimSuffix(goodEntry, "\n"),
		"a line more":       goodEntry + "\n",
		"a fifth line":      goodEntry + "more\n",
		"many lines":        strings.Repeat("\n", 1<<20),
		"CRLF":              strings.ReplaceAll(goodEntry, "\n", "\r\n"),
		"version 2":         change("@v1", "@v2"),
		"unknown kind":      change("deposit", "erasure"),
		"upper case":        change("deposit", "Deposit"),
		"no kind":           change("deposit", ""),
		"comma":             change(".123Z", ",123Z"),
		"no fraction":       change(".123Z", "Z"),
		"microseconds":      change(".123Z", ".123456Z"),
		"offset":            change("Z\n", "+00:00\n"),
		"second 60":         change("08:00:01", "08:00:60"),
		"hour 24":           change("08:00:01", "24:00:01"),
		"30 February":       change("03-01", "02-30"),
		"one-digit hour":    change("08:00:01", "8:00:01"),
		"space before time": change("time ", "time  "),
		"time misspelled":   change("time ", "Time "),
		"no record":         change("record ", "recor "),
		"short hash":        change("AAAA", ""),
		"trailing bits":     change("A=", "B="),
		"no padding":        change("A=", "A"),
		"URL alphabet":      change("AAAA", "AA-_"),
		"space at the end":  change("=\n", "= \n"),
	} {
		if e, err := ParseEntry(s); !errors.Is(err, ErrMalformed) || e != (Entry{}) {
			t.Errorf("%s: %v, %v", what, e, err)
		}
	}
}

func TestParseHash(t *testing.T) {
	h := LeafHash([]byte("x"))
	if again, err := ParseHash(h.String()); err != nil || again != h {
		t.Error(again, err)
	}
	for _, s := range []string{"", h.String() + "\n", h.String()[:20] + "\n" + h.String()[20:], strings.TrimRight(h.String(), "="), "AAAA"} {
		if again, err := ParseHash(s); !errors.Is(err, ErrMalformed) || again != (Hash{}) {
			t.Errorf("%q is read", s)
		}
	}
}

// TestLeafIsNoNode: the domains of RFC 6962 keep an entry of 64 bytes from being
// taken for two nodes.
func TestLeafIsNoNode(t *testing.T) {
	a, b := numberedLeaf(1), numberedLeaf(2)
	if LeafHash(append(a[:], b[:]...)) == NodeHash(a, b) {
		t.Fatal("a leaf hashes as a node")
	}
	long := strings.Repeat("x", 1000)
	if LeafHash([]byte(long)) != LeafHash([]byte(strings.Clone(long))) {
		t.Fatal("a long entry has two hashes")
	}
}

// TestTimeIsSpelledAsTimeDoes holds our spelling against the standard library's.
func TestTimeIsSpelledAsTimeDoes(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 100_000 {
		at := time.UnixMilli(r.Int64N(400_000_000_000_000) - 80_000_000_000_000).Add(time.Duration(r.IntN(1e9)))
		if got, want := FormatTime(at), at.UTC().Format(timeFormat); got != want {
			t.Fatalf("%s, not %s", got, want)
		}
	}
}
