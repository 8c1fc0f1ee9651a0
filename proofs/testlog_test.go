package proofs

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"time"
)

// A testLog is a log whose every byte is determined by its origin and by what is
// appended: keys, seeds and times come from fixed text.
type testLog struct {
	origin  string
	keys    []string // names of the keys that sign its checkpoints: two in a rotation
	entries []testEntry
	levels  [][]Hash // levels[i] holds the hashes of tile level i
	growing Range
	tiles   map[[3]uint64]*Tile
}

type testEntry struct {
	entry       Entry
	disclosures []Disclosure
}

const testOrigin = "log.example/prod/1"

func newTestLog(origin string) *testLog {
	l := &testLog{origin: origin, keys: []string{"log"}}
	l.append(KindGenesis, member("log.origin", text(origin)))
	return l
}

// append adds an entry whose record holds the given members and returns its index.
func (l *testLog) append(kind Kind, members ...Member) uint64 {
	record, err := NewRecord(members...)
	if err != nil {
		panic(err)
	}
	index := uint64(len(l.entries))
	e := testEntry{disclosures: record.Disclose(testSeed(l.origin, index))}
	e.entry = Entry{
		Kind:   kind,
		Time:   time.Date(2026, 3, 1, 8, 0, int(index), 123e6, time.UTC),
		Record: Commitment(e.disclosures),
	}
	l.entries = append(l.entries, e)
	l.grow(e.entry.LeafHash())
	return index
}

func (l *testLog) grow(leaf Hash) {
	l.growing.Append(leaf, func(height int, h Hash) {
		if height%TileHeight != 0 {
			return
		}
		if level := height / TileHeight; level == len(l.levels) {
			l.levels = append(l.levels, nil)
		}
		l.levels[height/TileHeight] = append(l.levels[height/TileHeight], h)
	})
}

// deposit adds a small deposit about document.
func (l *testLog) deposit(document string, more ...Member) uint64 {
	return l.append(KindDeposit, append(more, member("content.sha256", text(digest(document))))...)
}

func (l *testLog) ReadTile(level int, index uint64, width int) (*Tile, error) {
	first := index * TileWidth
	if level >= len(l.levels) || first+uint64(width) > uint64(len(l.levels[level])) {
		return nil, fmt.Errorf("no tile %d of level %d that is %d wide", index, level, width)
	}
	key := [3]uint64{uint64(level), index, uint64(width)}
	if l.tiles[key] == nil {
		if l.tiles == nil {
			l.tiles = map[[3]uint64]*Tile{}
		}
		l.tiles[key] = NewTile(l.levels[level][first : first+uint64(width)])
	}
	return l.tiles[key], nil
}

func (l *testLog) checkpoint(size uint64) Checkpoint {
	root, err := RootAt(size, l)
	if err != nil {
		panic(err)
	}
	return Checkpoint{Origin: l.origin, Size: size, Root: root}
}

// note is the checkpoint of size, signed by the log's keys and by the witnesses.
func (l *testLog) note(size uint64, witnesses ...string) []byte {
	n := Note{Text: l.checkpoint(size).String()}
	for _, k := range l.keys {
		n.Signatures = append(n.Signatures, sign(l.origin, k, n.Text))
	}
	for i, w := range witnesses {
		n.Signatures = append(n.Signatures, cosign(w, w, n.Text, 1772352100+int64(i)))
	}
	return n.Marshal()
}

func (l *testLog) receipt(index, size uint64, witnesses ...string) Receipt {
	path, err := InclusionProof(index, size, l)
	if err != nil {
		panic(err)
	}
	e := l.entries[index]
	return Receipt{Entry: e.entry, Disclosures: e.disclosures, Index: index, Path: path, Checkpoint: l.note(size, witnesses...)}
}

// policy names the log's first key, then says what rules say.
func (l *testLog) policy(rules ...string) Policy {
	return mustPolicy("log " + logKey(l.origin, l.keys[0]).String() + "\n" + strings.Join(rules, "\n") + "\n")
}

func mustPolicy(text string) Policy {
	p, err := ParsePolicy([]byte(text))
	if err != nil {
		panic(err)
	}
	return p
}

func testSeed(origin string, index uint64) Seed {
	return sha256.Sum256(binary.BigEndian.AppendUint64([]byte("test seed "+origin), index))
}

// private is the key pair that goes by a name in these tests.
func private(name string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte("test key " + name))
	return ed25519.NewKeyFromSeed(seed[:])
}

func vkey(name string, keyType byte, key string) VerifierKey {
	k, err := NewVerifierKey(name, keyType, private(key).Public().(ed25519.PublicKey))
	if err != nil {
		panic(err)
	}
	return k
}

func logKey(origin, key string) VerifierKey { return vkey(origin, TypeEd25519, key) }

// witnessKey is the key of a witness whose key name is name.
func witnessKey(name, key string) VerifierKey { return vkey(name, TypeEd25519Cosigner, key) }

// witnessLine is the policy line of the witness that note and receipt call w.
func witnessLine(name, w string) string {
	return "witness " + name + " " + witnessKey(w, w).String()
}

func sign(origin, key, text string) Signature {
	s, err := logKey(origin, key).Sign(text, private(key))
	if err != nil {
		panic(err)
	}
	return s
}

func cosign(name, key, text string, posix int64) Signature {
	s, err := witnessKey(name, key).Cosign(text, posix, private(key))
	if err != nil {
		panic(err)
	}
	return s
}

func member(name string, v Value) Member { return Member{name, v} }

func text(s string) Value {
	v, err := Text(s)
	if err != nil {
		panic(err)
	}
	return v
}

func integer(n int64) Value {
	v, err := Integer(n)
	if err != nil {
		panic(err)
	}
	return v
}

func digest(document string) string {
	sum := sha256.Sum256([]byte(document))
	return hex.EncodeToString(sum[:])
}

// minimal is the smallest receipt there is of a deposit: one member, one hash in the
// path, one signature. Nothing in it can be spared.
func minimal() (Receipt, Policy) {
	l := newTestLog(testOrigin)
	l.deposit("loan 1")
	return l.receipt(1, 2), l.policy("quorum none")
}

// loan is a deposit as a lender would make it, and hides nothing.
func loan(l *testLog) uint64 {
	return l.deposit("借款合同第 7 号",
		member("id", text("0195fe54-6c51-7a3e-8d8c-3f1f2a9b4c01")),
		member("case.seq", integer(1)),
		member("content.held", Boolean(true)),
		member("content.name", text("借款合同.pdf")),
		member("content.size", integer(19)),
		member("content.type", text("application/pdf")),
		member("contract.number", text("2026-借-000007")),
		member("depositor.name", text("放款系统")),
		member("party.0.name", text("张三")),
		member("party.0.id.number", text("110101199003070000")),
		member("provenance.received", text("2026-03-01T08:00:00.100Z")),
		member("tenant.name", text("示例小额贷款有限公司")),
		member("terms.amount", text("50000.00")),
		member("terms.currency", text("CNY")),
	)
}

// verify judges receipt under policy; a reading error fails the test.
func verify(t testing.TB, policy Policy, r Receipt, document ...string) Evidence {
	t.Helper()
	v := NewVerifier(policy)
	if len(document) == 0 {
		e, err := v.Verify(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	e, err := v.Verify(r, strings.NewReader(document[0]))
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// wantOutcome fails the test unless e came to this.
func wantOutcome(t testing.TB, e Evidence, outcome Outcome, reason Reason) {
	t.Helper()
	if e.Outcome() != outcome || e.Reason != reason {
		t.Errorf("outcome %s, reason %q; want %s, %q", e.Outcome(), e.Reason, outcome, reason)
	}
}
