package strangers

import (
	"bytes"
	"crypto/rand"
	"testing"

	"filippo.io/torchwood"
	"github.com/muniment/muniment/proofs"
	fnote "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"
)

func TestCheckpointsUnderTorchwoodsPolicy(t *testing.T) {
	d := newDepository(t, 5)
	p, err := torchwood.ParsePolicy([]byte(policyText(t)))
	if err != nil {
		t.Fatal(err)
	}
	data := d.note(t, 5, "w1.example", "w2.example", "stranger.example")
	c, n, err := torchwood.VerifyCheckpoint(data, p)
	if err != nil || c.Origin != origin || c.N != 5 || len(n.Sigs) != 3 || len(n.UnverifiedSigs) != 1 {
		t.Fatal(c, err)
	}
	if _, _, err := torchwood.VerifyCheckpoint(d.note(t, 5), p); err == nil {
		t.Error("torchwood wants no witness")
	}
}

// TestCosignaturesInterchange: theirs verify in ours, and ours in theirs.
func TestCosignaturesInterchange(t *testing.T) {
	d := newDepository(t, 5)
	signer, err := torchwood.NewCosignatureSigner("w1.example", private("w1.example"))
	if err != nil {
		t.Fatal(err)
	}
	k := vkey(t, "w1.example", proofs.TypeEd25519Cosigner, "w1.example")
	if signer.Verifier().String() != k.String() || signer.KeyHash() != k.ID {
		t.Errorf("torchwood's vkey is %s, ours %s", signer.Verifier(), k)
	}
	open, err := note.Open(d.note(t, 5), note.VerifierList(logVerifier(t)))
	if err != nil {
		t.Fatal(err)
	}
	signed, err := note.Sign(open, signer)
	if err != nil {
		t.Fatal(err)
	}
	r := d.receipt(t, 3, 5)
	r.Checkpoint = signed
	if got := outcome(t, r.Marshal()); got != proofs.Verified {
		t.Errorf("a receipt cosigned by torchwood is %s:\n%s", got, signed)
	}
	ours := d.note(t, 5, "w1.example")
	for name, make := range map[string]func(string) (note.Verifier, error){
		"torchwood": func(s string) (note.Verifier, error) { return torchwood.NewCosignatureVerifier(s) },
		"formats":   func(s string) (note.Verifier, error) { return fnote.NewVerifierForCosignatureV1(s) },
	} {
		v, err := make(k.String())
		if err != nil {
			t.Fatal(name, err)
		}
		n, err := note.Open(ours, note.VerifierList(v))
		if err != nil || len(n.Sigs) != 1 {
			t.Fatal(name, err)
		}
		if stamp, err := torchwood.CosignatureTimestamp(n.Sigs[0]); err != nil || stamp != 1772352100 {
			t.Error(name, stamp, err)
		}
	}
}

func logVerifier(t testing.TB) note.Verifier {
	t.Helper()
	v, err := note.NewVerifier(vkey(t, origin, proofs.TypeEd25519, "log").String())
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// TestNotesSignedByXMod: a note that x/mod signs with a key it made is one of ours.
func TestNotesSignedByXMod(t *testing.T) {
	skey, theirKey, err := note.GenerateKey(rand.Reader, "log.example/prod/9")
	if err != nil {
		t.Fatal(err)
	}
	k, err := proofs.ParseVerifierKey(theirKey)
	if err != nil || k.String() != theirKey || k.Type != proofs.TypeEd25519 {
		t.Fatal(k, err)
	}
	signer, err := note.NewSigner(skey)
	if err != nil {
		t.Fatal(err)
	}
	d := newDepository(t, 2)
	body, _, _ := bytes.Cut(d.note(t, 3), []byte("\n\n"))
	text := "log.example/prod/9" + string(bytes.TrimPrefix(body, []byte(origin))) + "\n"
	data, err := note.Sign(&note.Note{Text: text}, signer)
	if err != nil {
		t.Fatal(err)
	}
	n, err := proofs.ParseNote(data)
	if err != nil || !bytes.Equal(n.Marshal(), data) {
		t.Fatal(err)
	}
	p, err := proofs.ParsePolicy([]byte("log " + theirKey + "\nquorum none\n"))
	if err != nil {
		t.Fatal(err)
	}
	r := d.receipt(t, 2, 3)
	r.Checkpoint = data
	if e, _ := proofs.NewVerifier(p).Verify(r, nil); e.Outcome() != proofs.Verified {
		t.Error(e.Reason)
	}
	for name, keyType := range map[string]byte{origin: proofs.TypeEd25519, "日志": proofs.TypeEd25519} {
		ours := vkey(t, name, keyType, "log")
		if v, err := note.NewVerifier(ours.String()); err != nil || v.Name() != name || v.KeyHash() != ours.ID {
			t.Errorf("x/mod does not read %s: %v", ours, err)
		}
	}
}

// FuzzNotes: what we read as a note x/mod reads as the same one.
func FuzzNotes(f *testing.F) {
	f.Add(newDepository(f, 1).note(f, 2, "w1.example"))
	v := logVerifier(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		ours, err := proofs.ParseNote(data)
		if err != nil {
			return
		}
		// Without a signature that verifies, x/mod still says what it read.
		theirs, err := note.Open(data, note.VerifierList(v))
		if unverified, ok := err.(*note.UnverifiedNoteError); ok {
			theirs, err = unverified.Note, nil
		}
		if err != nil {
			if _, ok := err.(*note.InvalidSignatureError); ok {
				return
			}
			t.Fatalf("we read %q, x/mod says %v", data, err)
		}
		if theirs.Text != ours.Text || len(theirs.Sigs)+len(theirs.UnverifiedSigs) != len(ours.Signatures) {
			t.Fatalf("%q is read in two ways", data)
		}
	})
}
