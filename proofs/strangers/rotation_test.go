package strangers

import (
	"testing"

	"filippo.io/torchwood"
	"github.com/muniment/muniment/proofs"
	"golang.org/x/mod/sumdb/note"
)

// TestOverlapUnderStrangers: a checkpoint that the old and the new key of the log have
// signed is accepted by torchwood and x/mod under a policy of either, as by us, and one of
// a single key under its own alone.
func TestOverlapUnderStrangers(t *testing.T) {
	d := newDepository(t, 5)
	first, err := proofs.ParseNote(d.note(t, 5))
	must(t, err)
	old := logVkey(t, "log")
	next := logVkey(t, "the log's next key")
	second, err := next.Sign(first.Text, private("the log's next key"))
	must(t, err)
	both := proofs.Note{Text: first.Text, Signatures: append(first.Signatures[:1:1], second)}.Marshal()
	alone := proofs.Note{Text: first.Text, Signatures: []proofs.Signature{second}}.Marshal()
	for _, c := range []struct {
		key  proofs.VerifierKey
		note []byte
		good bool
	}{{old, both, true}, {next, both, true}, {next, alone, true}, {old, alone, false}, {next, d.note(t, 5), false}} {
		text := []byte("log " + c.key.String() + "\nquorum none\n")
		p, err := torchwood.ParsePolicy(text)
		must(t, err)
		_, _, byTorchwood := torchwood.VerifyCheckpoint(c.note, p)
		v, err := note.NewVerifier(c.key.String())
		must(t, err)
		_, byXMod := note.Open(c.note, note.VerifierList(v))
		own, err := proofs.ParsePolicy(text)
		must(t, err)
		_, outcome, _ := proofs.NewVerifier(own).Checkpoint(c.note)
		if (byTorchwood == nil) != c.good || (byXMod == nil) != c.good || (outcome == proofs.Verified) != c.good {
			t.Errorf("under %s: torchwood %v, x/mod %v, ours %v\n%s", c.key, byTorchwood, byXMod, outcome, c.note)
		}
	}
}

func logVkey(t *testing.T, key string) proofs.VerifierKey {
	t.Helper()
	return vkey(t, origin, proofs.TypeEd25519, key)
}
