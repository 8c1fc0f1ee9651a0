// Package strangers holds other people's verifiers against our bytes, and ours against
// theirs. It is a module of its own, for tests alone, so that what it needs stays out
// of the product's dependencies.
package strangers

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"filippo.io/torchwood"
	"github.com/muniment/muniment/proofs"
	"golang.org/x/mod/sumdb/tlog"
)

const (
	origin   = "log.example/prod/1"
	document = "借款合同第 7 号"
)

// A depository is a log made with nothing but package proofs.
type depository struct {
	entries     []proofs.Entry
	disclosures [][]proofs.Disclosure
	levels      [][]proofs.Hash
	growing     proofs.Range
}

// newDepository holds genesis and n deposits, the first of them about document.
func newDepository(t testing.TB, n int) *depository {
	t.Helper()
	d := &depository{}
	d.add(t, proofs.KindGenesis, `{"log.origin":"`+origin+`"}`)
	for i := range n {
		about := document
		if i > 0 {
			about = fmt.Sprint("loan ", i)
		}
		d.add(t, proofs.KindDeposit, fmt.Sprintf(`{"content.sha256":"%x","party.0.name":"张三","terms.amount":"50000.00"}`, sha256.Sum256([]byte(about))))
	}
	return d
}

func (d *depository) add(t testing.TB, kind proofs.Kind, members string) {
	t.Helper()
	record, err := proofs.ParseMembers(members)
	if err != nil {
		t.Fatal(err)
	}
	index := len(d.entries)
	disclosures := record.Disclose(sha256.Sum256(binary.BigEndian.AppendUint64([]byte("seed"), uint64(index))))
	e := proofs.Entry{Kind: kind, Time: time.Date(2026, 3, 1, 8, 0, index, 0, time.UTC), Record: proofs.Commitment(disclosures)}
	d.entries, d.disclosures = append(d.entries, e), append(d.disclosures, disclosures)
	d.growing.Append(e.LeafHash(), func(height int, h proofs.Hash) {
		if height%proofs.TileHeight != 0 {
			return
		}
		level := height / proofs.TileHeight
		if level == len(d.levels) {
			d.levels = append(d.levels, nil)
		}
		d.levels[level] = append(d.levels[level], h)
	})
}

func (d *depository) size() uint64 { return d.growing.Size() }

func (d *depository) ReadTile(level int, index uint64, width int) (*proofs.Tile, error) {
	first := index * proofs.TileWidth
	return proofs.NewTile(d.levels[level][first : first+uint64(width)]), nil
}

// note is the checkpoint of size with the log's signature and those of witnesses.
func (d *depository) note(t testing.TB, size uint64, witnesses ...string) []byte {
	t.Helper()
	root, err := proofs.RootAt(size, d)
	if err != nil {
		t.Fatal(err)
	}
	n := proofs.Note{Text: proofs.Checkpoint{Origin: origin, Size: size, Root: root}.String()}
	s, err := vkey(t, origin, proofs.TypeEd25519, "log").Sign(n.Text, private("log"))
	if err != nil {
		t.Fatal(err)
	}
	n.Signatures = append(n.Signatures, s)
	for _, w := range witnesses {
		s, err := vkey(t, w, proofs.TypeEd25519Cosigner, w).Cosign(n.Text, 1772352100, private(w))
		if err != nil {
			t.Fatal(err)
		}
		n.Signatures = append(n.Signatures, s)
	}
	return n.Marshal()
}

func (d *depository) receipt(t testing.TB, index, size uint64, witnesses ...string) proofs.Receipt {
	t.Helper()
	path, err := proofs.InclusionProof(index, size, d)
	if err != nil {
		t.Fatal(err)
	}
	return proofs.Receipt{Entry: d.entries[index], Disclosures: d.disclosures[index], Index: index, Path: path, Checkpoint: d.note(t, size, witnesses...)}
}

// export writes the log as tlog-tiles lays it out, for a static web server.
func (d *depository) export(t testing.TB, dir string) {
	t.Helper()
	write := func(path string, data []byte) {
		path = filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("checkpoint", d.note(t, d.size()))
	for level, hashes := range d.levels {
		for first := 0; first < len(hashes); first += proofs.TileWidth {
			part := hashes[first:min(len(hashes), first+proofs.TileWidth)]
			write(torchwood.TilePath(tlog.Tile{H: proofs.TileHeight, L: level, N: int64(first / proofs.TileWidth), W: len(part)}), proofs.NewTile(part).Marshal())
		}
	}
	for first := 0; first < len(d.entries); first += proofs.TileWidth {
		part := d.entries[first:min(len(d.entries), first+proofs.TileWidth)]
		var bundle []byte
		for _, e := range part {
			var err error
			if bundle, err = torchwood.AppendTileEntry(bundle, []byte(e.String())); err != nil {
				t.Fatal(err)
			}
		}
		write(torchwood.TilePath(tlog.Tile{H: proofs.TileHeight, L: -1, N: int64(first / proofs.TileWidth), W: len(part)}), bundle)
	}
}

func private(name string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte("test key " + name))
	return ed25519.NewKeyFromSeed(seed[:])
}

func vkey(t testing.TB, name string, keyType byte, key string) proofs.VerifierKey {
	t.Helper()
	k, err := proofs.NewVerifierKey(name, keyType, private(key).Public().(ed25519.PublicKey))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// policyText trusts the log, and one of the witnesses w1 and w2.
func policyText(t testing.TB) string {
	t.Helper()
	return "# whom we trust\nlog " + vkey(t, origin, proofs.TypeEd25519, "log").String() + "\n" +
		"witness A " + vkey(t, "w1.example", proofs.TypeEd25519Cosigner, "w1.example").String() + "\n" +
		"witness B " + vkey(t, "w2.example", proofs.TypeEd25519Cosigner, "w2.example").String() + " https://w2.example/\n" +
		"group G any A B\nquorum G\n"
}

func policy(t testing.TB) proofs.Policy {
	t.Helper()
	p, err := proofs.ParsePolicy([]byte(policyText(t)))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// outcome is what our verifier comes to.
func outcome(t testing.TB, file []byte) proofs.Outcome {
	t.Helper()
	r, err := proofs.ParseReceipt(file)
	if err != nil {
		return proofs.Refused
	}
	e, err := proofs.NewVerifier(policy(t)).Verify(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	return e.Outcome()
}
