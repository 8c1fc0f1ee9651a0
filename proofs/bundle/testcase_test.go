package bundle

import (
	"archive/zip"
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/muniment/muniment/proofs"
)

const origin = "log.example/prod/1"

// testCase is a log that holds one case and nothing else but genesis.
type testCase struct {
	key      ed25519.PrivateKey
	policy   proofs.Policy
	entries  []proofs.Entry
	shown    [][]proofs.Disclosure
	contents []string // of the documents, from the first deposit on; empty: digest only
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func text(s string) proofs.Value {
	v, err := proofs.Text(s)
	if err != nil {
		panic(err)
	}
	return v
}

func sum(s string) string {
	h := sha256.Sum256([]byte(s))
	return hex.EncodeToString(h[:])
}

func newCase(t testing.TB, contract string, contents ...string) *testCase {
	t.Helper()
	c := &testCase{key: ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, 32)), contents: contents}
	c.policy = policyOf(t, c.key)
	c.append(t, proofs.KindGenesis, proofs.Member{Name: "log.origin", Value: text(origin)})
	for _, content := range contents {
		c.deposit(t, contract, sum(content), "loan.pdf", content != "")
	}
	return c
}

func policyOf(t testing.TB, key ed25519.PrivateKey) proofs.Policy {
	t.Helper()
	vkey, err := proofs.NewVerifierKey(origin, proofs.TypeEd25519, key.Public().(ed25519.PublicKey))
	must(t, err)
	p, err := proofs.ParsePolicy([]byte("log " + vkey.String() + "\nquorum none\n"))
	must(t, err)
	return p
}

func (c *testCase) deposit(t testing.TB, contract, digest, name string, held bool) {
	t.Helper()
	n, err := proofs.Integer(int64(len(c.entries)))
	must(t, err)
	members := []proofs.Member{
		{Name: "content.sha256", Value: text(digest)}, {Name: "content.name", Value: text(name)}, {Name: "content.held", Value: proofs.Boolean(held)},
		{Name: "contract.number", Value: text(contract)}, {Name: "case.seq", Value: n}, {Name: "tenant.name", Value: text("First Bank")},
	}
	if len(c.entries) > 1 {
		leaf := c.entries[len(c.entries)-1].LeafHash()
		members = append(members, proofs.Member{Name: "case.prev", Value: text(hex.EncodeToString(leaf[:]))})
	}
	c.append(t, proofs.KindDeposit, members...)
}

func (c *testCase) append(t testing.TB, kind proofs.Kind, members ...proofs.Member) {
	t.Helper()
	record, err := proofs.NewRecord(members...)
	must(t, err)
	shown := record.Disclose(proofs.Seed{byte(len(c.entries))})
	c.shown = append(c.shown, shown)
	c.entries = append(c.entries, proofs.Entry{Kind: kind, Time: time.Date(2026, 3, 1, 8, 0, len(c.entries), 0, time.UTC), Record: proofs.Commitment(shown)})
}

func (c *testCase) root(first, end int) proofs.Hash {
	if end-first == 1 {
		return c.entries[first].LeafHash()
	}
	k := 1
	for k*2 < end-first {
		k *= 2
	}
	return proofs.NodeHash(c.root(first, first+k), c.root(first+k, end))
}

func (c *testCase) path(index, first, end int) []proofs.Hash {
	if end-first == 1 {
		return nil
	}
	k := 1
	for k*2 < end-first {
		k *= 2
	}
	if index < first+k {
		return append(c.path(index, first, first+k), c.root(first+k, end))
	}
	return append(c.path(index, first+k, end), c.root(first, first+k))
}

func (c *testCase) receipt(t testing.TB, index int) proofs.Receipt {
	t.Helper()
	cp := proofs.Checkpoint{Origin: origin, Size: uint64(len(c.entries)), Root: c.root(0, len(c.entries))}
	s, err := c.policy.Logs[0].Sign(cp.String(), c.key)
	must(t, err)
	return proofs.Receipt{
		Entry: c.entries[index], Disclosures: c.shown[index], Index: uint64(index), Path: c.path(index, 0, len(c.entries)),
		Checkpoint: proofs.Note{Text: cp.String(), Signatures: []proofs.Signature{s}}.Marshal(),
	}
}

// write writes the bundle of the case without the deposits of some numbers.
func (c *testCase) write(t testing.TB, contract string, without ...uint64) []byte {
	t.Helper()
	var b bytes.Buffer
	w := NewWriter(&b, Case{Contract: contract, Count: uint64(len(c.contents)), Policy: c.policy, Page: []byte("<!doctype html>")})
deposits:
	for i, content := range c.contents {
		for _, n := range without {
			if n == uint64(i+1) {
				continue deposits
			}
		}
		d := Deposit{Number: uint64(i + 1), Receipt: c.receipt(t, i+1)}
		if content != "" {
			d.Document = bytes.NewReader([]byte(content))
		}
		must(t, w.Add(d))
	}
	must(t, w.Close())
	return b.Bytes()
}

// packed is a file of a ZIP that was taken apart.
type packed struct {
	name string
	data []byte
}

func unpack(t testing.TB, data []byte) []packed {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	must(t, err)
	var out []packed
	for _, f := range z.File {
		r, err := f.Open()
		must(t, err)
		content, err := io.ReadAll(r)
		must(t, err)
		out = append(out, packed{f.Name, content})
	}
	return out
}

func pack(t testing.TB, files []packed) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, f := range files {
		w, err := z.Create(f.name)
		must(t, err)
		_, err = w.Write(f.data)
		must(t, err)
	}
	must(t, z.Close())
	return b.Bytes()
}

func check(t testing.TB, data []byte, policy *proofs.Policy) Report {
	t.Helper()
	r, err := checkAt(bytes.NewReader(data), int64(len(data)), policy)
	must(t, err)
	return r
}

func checkAt(in io.ReaderAt, size int64, policy *proofs.Policy) (Report, error) {
	b, err := OpenZip(in, size)
	if err != nil {
		return Report{}, err
	}
	return b.Check(Judge{Policy: policy, Options: func([]byte) ([]proofs.Option, bool) { return nil, false }, Now: time.Now()})
}

// sparse is a file into which zeros are not written.
type sparse struct {
	f interface {
		io.WriteSeeker
		Truncate(int64) error
	}
	size int64
}

var zeros = make([]byte, 1<<20)

// Write implements io.Writer.
func (s *sparse) Write(p []byte) (int, error) {
	var err error
	if len(p) >= 4096 && bytes.Equal(p, zeros[:len(p)]) {
		_, err = s.f.Seek(int64(len(p)), io.SeekCurrent)
	} else {
		_, err = s.f.Write(p)
	}
	s.size += int64(len(p))
	return len(p), errors.Join(err, s.f.Truncate(max(s.size, 0)))
}
