package strangers

import (
	"bytes"
	"strings"
	"testing"

	"filippo.io/torchwood"
	"github.com/muniment/muniment/proofs"
	"github.com/transparency-dev/formats/log"
	fnote "github.com/transparency-dev/formats/note"
	"github.com/transparency-dev/formats/proof"
	tproof "github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// theirs is what torchwood, and formats with merkle, come to on a receipt's file when
// they are given the entry's bytes and the policy file.
func theirs(t testing.TB, entry string, file []byte) (byTorchwood, byFormats error) {
	t.Helper()
	p, err := torchwood.ParsePolicy([]byte(policyText(t)))
	if err != nil {
		t.Fatal(err)
	}
	return torchwood.VerifyProof(p, tlog.RecordHash([]byte(entry)), file), byFormatsAndMerkle(t, entry, file)
}

func byFormatsAndMerkle(t testing.TB, entry string, file []byte) error {
	t.Helper()
	var p proof.TLogProof
	if err := p.Unmarshal(file); err != nil {
		return err
	}
	v, err := note.NewVerifier(vkey(t, origin, proofs.TypeEd25519, "log").String())
	if err != nil {
		t.Fatal(err)
	}
	w, err := fnote.NewVerifierForCosignatureV1(vkey(t, "w1.example", proofs.TypeEd25519Cosigner, "w1.example").String())
	if err != nil {
		t.Fatal(err)
	}
	cp, _, n, err := log.ParseCheckpoint(p.Checkpoint, origin, v, w)
	if err != nil {
		return err
	}
	if len(n.Sigs) != 2 {
		return &note.UnverifiedNoteError{Note: n}
	}
	hasher, path := rfc6962.DefaultHasher, make([][]byte, len(p.Hashes))
	for i := range p.Hashes {
		path[i] = p.Hashes[i][:]
	}
	return tproof.VerifyInclusion(hasher, p.Index, cp.Size, hasher.HashLeaf([]byte(entry)), path, cp.Hash)
}

func TestStrangersAcceptOurReceipts(t *testing.T) {
	d := newDepository(t, 300)
	for _, c := range [][2]uint64{{0, 1}, {1, 2}, {1, 300}, {255, 256}, {256, 257}, {299, 301}, {300, 301}} {
		r := d.receipt(t, c[0], c[1], "w1.example")
		r.Disclosures = proofs.Hide(r.Disclosures, func(name string) bool { return strings.HasPrefix(name, "party.") })
		file := r.Marshal()
		if got := outcome(t, file); got != proofs.Verified {
			t.Fatalf("entry %d of %d: %s", c[0], c[1], got)
		}
		a, b := theirs(t, r.Entry.String(), file)
		if a != nil || b != nil {
			t.Errorf("entry %d of %d: torchwood %v, formats %v", c[0], c[1], a, b)
		}
		extra, err := torchwood.ProofExtraData(file)
		if err != nil || !bytes.HasPrefix(extra, []byte(`{"disclosures":[[`)) {
			t.Errorf("torchwood reads the extra data %q, %v", extra, err)
		}
	}
}

// TestLargestReceiptIsReadByStrangers: their scanners stop at lines of 64 KiB.
func TestLargestReceiptIsReadByStrangers(t *testing.T) {
	d := newDepository(t, 3)
	r := d.receipt(t, 1, 3, "w1.example")
	for size := 33_000; ; size++ {
		longer := r
		longer.Timestamps = [][]byte{make([]byte, size)}
		if _, err := proofs.ParseReceipt(longer.Marshal()); err != nil {
			if size == 33_000 {
				t.Fatal("the first is too large already:", err)
			}
			break
		}
		if size%300 != 0 {
			continue
		}
		if a, b := theirs(t, r.Entry.String(), longer.Marshal()); a != nil || b != nil {
			t.Fatalf("a token of %d bytes: torchwood %v, formats %v", size, a, b)
		}
	}
}

// TestStrangersRefuseWhatWeRefuse changes each byte of index, path and checkpoint. We
// may be stricter than they are, never the other way round.
func TestStrangersRefuseWhatWeRefuse(t *testing.T) {
	d := newDepository(t, 6)
	r := d.receipt(t, 3, 6, "w1.example")
	file, entry := r.Marshal(), r.Entry.String()
	agree, stricter := 0, 0
	try := func(changed []byte) {
		ours := outcome(t, changed)
		a, b := theirs(t, entry, changed)
		switch {
		case ours == proofs.Verified && !bytes.Equal(changed, file):
			t.Fatalf("we accept\n%s", changed)
		case a == nil || b == nil:
			stricter++
		default:
			agree++
		}
	}
	for i := bytes.Index(file, []byte("\nindex")); i < len(file); i++ {
		for _, bit := range []byte{1, 2, 32} {
			changed := bytes.Clone(file)
			changed[i] ^= bit
			try(changed)
		}
		try(append(bytes.Clone(file[:i]), file[i+1:]...))
	}
	other := d.receipt(t, 2, 6, "w1.example")
	for _, change := range []func(*proofs.Receipt){
		func(r *proofs.Receipt) { r.Index = 2 },
		func(r *proofs.Receipt) { r.Path = other.Path },
		func(r *proofs.Receipt) { r.Path = r.Path[1:] },
		func(r *proofs.Receipt) { r.Path = append(r.Path, proofs.Hash{}) },
		func(r *proofs.Receipt) { r.Checkpoint = d.note(t, 5, "w1.example") },
		func(r *proofs.Receipt) { r.Checkpoint = d.note(t, 6) },
	} {
		changed := d.receipt(t, 3, 6, "w1.example")
		change(&changed)
		file := changed.Marshal()
		a, b := theirs(t, entry, file)
		if ours := outcome(t, file); ours != proofs.Refused || a == nil || b == nil {
			t.Errorf("we %s, torchwood %v, formats %v:\n%s", ours, a, b, file)
		}
	}
	t.Logf("all refuse %d changes; we alone refuse %d", agree, stricter)
}
