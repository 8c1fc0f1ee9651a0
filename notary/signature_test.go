package notary_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"testing"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/proofs/sm"
)

func signingKeys(t testing.TB) map[string]crypto.Signer {
	t.Helper()
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]crypto.Signer{"Ed25519": ed, "ECDSA P-256": ec}
}

// signed adds a signature to a deposit; content.sha256 is among its claims then.
func signed(t testing.TB, d notary.Deposit, document string, signer crypto.Signer) notary.Deposit {
	t.Helper()
	sum := sha256.Sum256([]byte(document))
	v, err := proofs.Text(hex.EncodeToString(sum[:]))
	if err != nil {
		t.Fatal(err)
	}
	d.Claims = saying(t, d.Claims, "content.sha256", v)
	if d.Claims, err = proofs.SignDeposit(d.Claims, signer); err != nil {
		t.Fatal(err)
	}
	return d
}

func saying(t testing.TB, r proofs.Record, name string, v proofs.Value) proofs.Record {
	t.Helper()
	out, err := proofs.NewRecord(append(without(r, name), proofs.Member{Name: name, Value: v})...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func without(r proofs.Record, name string) (out proofs.Record) {
	for _, m := range r {
		if m.Name != name {
			out = append(out, m)
		}
	}
	return out
}

func reread(d notary.Deposit, document string) notary.Deposit {
	d.Document = bytes.NewReader([]byte(document))
	return d
}

// TestSignedDeposits: a signature stands in the record and holds, whichever way the deposit
// came; a retry that is signed anew is the same deposit.
func TestSignedDeposits(t *testing.T) {
	d := newDepository(t)
	n := d.open()
	var receipts []proofs.Receipt
	sm3 := sm.New()
	sm3.Write([]byte("loan"))
	for algorithm, signer := range signingKeys(t) {
		key, err := proofs.NewDepositorKey(signer.Public())
		if err != nil {
			t.Fatal(err)
		}
		valid := func(r proofs.Receipt, held bool) {
			t.Helper()
			e := d.verify(r, "loan")
			if s := e.Depositor; s.Check != proofs.DepositorValid || s.Key != key.Fingerprint() || s.Algorithm != algorithm || s.Registered {
				t.Errorf("%s: %+v", algorithm, s)
			}
			if was, _ := e.Held(); was != held {
				t.Errorf("held: %t", was)
			}
			receipts = append(receipts, r)
		}
		deposit := func(x notary.Deposit) proofs.Receipt {
			t.Helper()
			r, err := n.Deposit(t.Context(), d.principal(), x)
			if err != nil {
				t.Fatal(err)
			}
			return r
		}
		more := []string{"contract.number", "HT-1", "label.a", "借", "content.name", "x.pdf", "content.sm3", hex.EncodeToString(sm3.Sum(nil))}
		digest := signed(t, digestOnly(t, "digest "+algorithm, "loan", more...), "loan", signer)
		first := deposit(digest)
		valid(first, false)
		whole := signed(t, original(t, "whole "+algorithm, "loan", more...), "loan", signer)
		valid(deposit(whole), true)
		// The depository finds the digest itself; the depositor signed it none the less.
		unsaid := whole
		unsaid.Key += " unsaid"
		unsaid.Claims = without(unsaid.Claims, "content.sha256")
		valid(deposit(reread(unsaid, "loan")), true)

		for _, x := range []notary.Deposit{digest, reread(whole, "loan")} {
			again := signed(t, x, "loan", signer) // ECDSA: with other bytes
			r := deposit(again)
			valid(r, x.Document != nil)
			said, _ := x.Claims.Get("depositor.signature")
			if kept, _ := r.Member("depositor.signature"); kept != said {
				t.Errorf("%s: the retry's signature stands", algorithm)
			}
		}
		reused := func(what string, claims proofs.Record) {
			t.Helper()
			if _, err := n.Deposit(t.Context(), d.principal(), notary.Deposit{Key: digest.Key, Claims: claims}); !errors.Is(err, notary.ErrKeyReused) {
				t.Errorf("%s: %v", what, err)
			}
		}
		reused("without a signature", without(without(digest.Claims, "depositor.key"), "depositor.signature"))
		_, other, _ := ed25519.GenerateKey(rand.Reader)
		reused("signed by another", signed(t, digest, "loan", other).Claims)
		text, _ := proofs.Text("y.pdf")
		reused("of another name", signed(t, notary.Deposit{Claims: saying(t, digest.Claims, "content.name", text)}, "loan", signer).Claims)

		batch := notary.DigestBatch{Key: "batch " + algorithm}
		for i := range 3 {
			batch.Lines = append(batch.Lines, signed(t, digestOnly(t, "", "loan", "label.line", fmt.Sprint(i)), "loan", signer).Claims)
		}
		all, err := n.DepositBatch(t.Context(), d.principal(), batch)
		if err != nil {
			t.Fatal(err)
		}
		for i := range batch.Lines {
			batch.Lines[i] = signed(t, notary.Deposit{Claims: batch.Lines[i]}, "loan", signer).Claims
		}
		again, err := n.DepositBatch(t.Context(), d.principal(), batch)
		if err != nil {
			t.Fatal(err)
		}
		for i, r := range all {
			valid(r, false)
			valid(again[i], false)
			if r.Index != again[i].Index {
				t.Errorf("line %d was deposited twice", i)
			}
		}
	}
	closeNotary(t, n)
	d.check(receipts...)
}

// TestBadSignatures: nothing is kept of a deposit whose signature does not hold, or of whose
// signature half is missing, alone or as a line of a batch.
func TestBadSignatures(t *testing.T) {
	d := newDepository(t)
	n := d.open()
	size, blobs := d.ledger.Snapshot().Head.Size, len(d.blobs.Snapshot())
	text := func(s string) proofs.Value {
		v, err := proofs.Text(s)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	for algorithm, signer := range signingKeys(t) {
		good := signed(t, digestOnly(t, "", "loan", "label.a", "a", "content.name", "x.pdf"), "loan", signer).Claims
		_, other, _ := ed25519.GenerateKey(rand.Reader)
		thief, _ := proofs.NewDepositorKey(other.Public())
		for i, bad := range []struct {
			claims proofs.Record
			member string
		}{
			{saying(t, good, "label.a", text("b")), "depositor.signature"},
			{saying(t, good, "label.b", text("b")), "depositor.signature"},
			{without(good, "label.a"), "depositor.signature"},
			{saying(t, good, "depositor.signature", text("AAAA")), "depositor.signature"},
			{saying(t, good, "depositor.signature", text("no base64")), "depositor.signature"},
			{saying(t, good, "depositor.key", text(thief.String())), "depositor.signature"},
			{saying(t, good, "depositor.key", text("AAAA")), "depositor.key"},
			{without(good, "depositor.key"), "depositor.key"},
			{without(good, "depositor.signature"), "depositor.signature"},
			{saying(t, good, "depositor.signed", proofs.DepositorSigned(good)), "depositor.signed"},
			{saying(t, good, "depositor.key.registered", proofs.Boolean(true)), "depositor.key.registered"},
		} {
			for what, deposit := range map[string]func() error{
				"digest": func() error {
					_, err := n.Deposit(t.Context(), d.principal(), notary.Deposit{Key: "bad", Claims: bad.claims})
					return err
				},
				"document": func() error {
					_, err := n.Deposit(t.Context(), d.principal(), reread(notary.Deposit{Key: "bad", Claims: bad.claims}, "loan"))
					return err
				},
				"document without its digest": func() error {
					_, err := n.Deposit(t.Context(), d.principal(), reread(notary.Deposit{Key: "bad", Claims: without(bad.claims, "content.sha256")}, "loan"))
					return err
				},
			} {
				var invalid *notary.InvalidError
				if err := deposit(); !errors.As(err, &invalid) || invalid.Member != bad.member {
					t.Errorf("%s, %d, %s: %v, want one of %s", algorithm, i, what, err, bad.member)
				}
			}
			var batch *notary.BatchError
			_, err := n.DepositBatch(t.Context(), d.principal(), notary.DigestBatch{Key: "bad", Lines: []proofs.Record{good, bad.claims}})
			if !errors.As(err, &batch) || len(batch.Lines) != 1 || batch.Lines[0].Line != 2 || batch.Lines[0].Member != bad.member {
				t.Errorf("%s, %d, batch: %v", algorithm, i, err)
			}
		}
		// Signed is the document that was meant, and not the one that came.
		if _, err := n.Deposit(t.Context(), d.principal(), reread(notary.Deposit{Key: "bad", Claims: good}, "other")); !errors.Is(err, notary.ErrDigest) {
			t.Errorf("another document: %v", err)
		}
	}
	if got := d.ledger.Snapshot().Head.Size; got != size || len(d.blobs.Snapshot()) != blobs {
		t.Errorf("%d entries and %d documents were kept", got-size, len(d.blobs.Snapshot())-blobs)
	}
	closeNotary(t, n)
	d.check()
}

// TestRegisteredKeys: a tenant that registered its keys takes no signature by another, and its
// records say that the key was registered; it may also ask for a signature.
func TestRegisteredKeys(t *testing.T) {
	d := newDepository(t)
	c := d.config()
	keys := signingKeys(t)
	ours, err := proofs.NewDepositorKey(keys["Ed25519"].Public())
	if err != nil {
		t.Fatal(err)
	}
	rules := notary.Checks{SigningKeys: []string{ours.Fingerprint()}}
	c.Checks = map[notary.ID]notary.Checks{d.tenant.ID: rules}
	if err := rules.CheckNames(); err != nil {
		t.Fatal(err)
	}
	n, err := notary.Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	good := signed(t, digestOnly(t, "good", "loan"), "loan", keys["Ed25519"])
	r, err := n.Deposit(t.Context(), d.principal(), good)
	if err != nil {
		t.Fatal(err)
	}
	lines := []proofs.Record{signed(t, digestOnly(t, "", "loan", "label.a", "b"), "loan", keys["Ed25519"]).Claims}
	batch, err := n.DepositBatch(t.Context(), d.principal(), notary.DigestBatch{Key: "batch", Lines: lines})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range append(batch, r) {
		if s := d.verify(r, "loan").Depositor; s.Check != proofs.DepositorValid || !s.Registered {
			t.Errorf("%+v", s)
		}
	}
	var refused *notary.CheckError
	bad := signed(t, digestOnly(t, "bad", "loan"), "loan", keys["ECDSA P-256"])
	if _, err := n.Deposit(t.Context(), d.principal(), bad); !errors.As(err, &refused) || refused.Code != notary.CheckSigner {
		t.Errorf("another key: %v", err)
	}
	if _, err := n.Deposit(t.Context(), d.principal(), digestOnly(t, "unsigned", "loan")); err != nil {
		t.Errorf("without a signature: %v", err)
	}
	closeNotary(t, n)

	rules.Require = []string{"depositor.signature"}
	c.Checks = map[notary.ID]notary.Checks{d.tenant.ID: rules}
	if n, err = notary.Open(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if _, err := n.Deposit(t.Context(), d.principal(), digestOnly(t, "unsigned 2", "loan")); !errors.As(err, &refused) || refused.Code != notary.CheckMember {
		t.Errorf("without a signature that is required: %v", err)
	}
	closeNotary(t, n)
	d.check()
	for _, wrong := range []string{"", ours.String(), ours.Fingerprint()[:63] + "A"} {
		if (notary.Checks{SigningKeys: []string{wrong}}).CheckNames() == nil {
			t.Errorf("%q is a fingerprint", wrong)
		}
	}
}
