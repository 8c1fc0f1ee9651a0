package rfc3161

import (
	"crypto/ed25519"
	"strings"
	"testing"
	"time"

	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/proofs/rfc3161/rfc3161test"
)

// stampable is a receipt of a log of two entries, and the policy it holds under.
func stampable(t *testing.T) (proofs.Receipt, proofs.Policy) {
	t.Helper()
	const origin = "log.example/prod/1"
	key := ed25519.NewKeyFromSeed(make([]byte, 32))
	vkey, err := proofs.NewVerifierKey(origin, proofs.TypeEd25519, key.Public().(ed25519.PublicKey))
	if err != nil {
		t.Fatal(err)
	}
	policy, err := proofs.ParsePolicy([]byte("log " + vkey.String() + "\nquorum none\n"))
	if err != nil {
		t.Fatal(err)
	}
	digest, _ := proofs.Text("15c3fcdd5a5f074c4f104f80e448864bdc81b08e4742423f2cf377d94ef5fc56") // of "loan 1"
	record, err := proofs.NewRecord(proofs.Member{Name: "content.sha256", Value: digest})
	if err != nil {
		t.Fatal(err)
	}
	disclosures := record.Disclose(proofs.Seed{1})
	entry := proofs.Entry{Kind: proofs.KindDeposit, Time: today.Add(-time.Minute).Truncate(time.Millisecond), Record: proofs.Commitment(disclosures)}
	genesis := proofs.LeafHash([]byte("genesis"))
	cp := proofs.Checkpoint{Origin: origin, Size: 2, Root: proofs.NodeHash(genesis, entry.LeafHash())}
	signature, err := vkey.Sign(cp.String(), key)
	if err != nil {
		t.Fatal(err)
	}
	note := proofs.Note{Text: cp.String(), Signatures: []proofs.Signature{signature}}.Marshal()
	return proofs.Receipt{Entry: entry, Disclosures: disclosures, Index: 1, Path: []proofs.Hash{genesis}, Checkpoint: note}, policy
}

// TestStampedReceipt: tokens of two authorities in a receipt, to a verifier that trusts
// both, one, or none.
func TestStampedReceipt(t *testing.T) {
	r, policy := stampable(t)
	a, b := authority(), rfc3161test.New("Second Authority", func() time.Time { return today.Add(time.Second) }, 20*year, 3*year)
	r = r.Stamp([][]byte{a.Token(rfc3161test.Statement{Message: r.Checkpoint}), b.Token(rfc3161test.Statement{Message: r.Checkpoint})})
	r, err := proofs.ParseReceipt(r.Marshal())
	if err != nil {
		t.Fatal(err)
	}
	both, err := ParseRoots(rfc3161test.RootsPEM(a, b))
	if err != nil {
		t.Fatal(err)
	}
	for what, c := range map[string]struct {
		checker           *Authorities
		proved, untrusted int
		level             proofs.Level
	}{
		"both":    {NewAuthorities(both), 2, 0, proofs.Stamped},
		"the one": {NewAuthorities(both[1:]), 1, 1, proofs.Stamped},
		"none":    {trust(authority()), 0, 2, proofs.Sealed},
	} {
		e, err := proofs.NewVerifier(policy, proofs.WithTimestamps(c.checker)).Verify(r, strings.NewReader("loan 1"))
		if err != nil || e.Outcome() != proofs.Verified || e.Level != c.level || len(e.Timestamps) != c.proved || e.Untrusted != c.untrusted {
			t.Errorf("%s: %v %s %s %+v", what, err, e.Outcome(), e.Reason, e)
		}
	}
	// The same tokens under another note of the same log prove nothing: they contradict it.
	other := r
	other.Checkpoint = append(append([]byte{}, r.Checkpoint...), "— stranger.example AAAAAAAA\n"...)
	e, _ := proofs.NewVerifier(policy, proofs.WithTimestamps(NewAuthorities(both))).Verify(other, nil)
	if e.Outcome() != proofs.Refused || e.Reason != proofs.ReasonTimestampImprint {
		t.Errorf("%s %s", e.Outcome(), e.Reason)
	}
}
