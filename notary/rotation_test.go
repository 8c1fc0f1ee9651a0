package notary_test

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/proofs"
)

// logKey is one key of the log, with the policy that names it.
type logKey struct {
	signer ed25519.PrivateKey
	vkey   proofs.VerifierKey
	policy proofs.Policy
}

func newLogKey(t *testing.T, name string) logKey {
	t.Helper()
	seed := sha256.Sum256([]byte(name))
	k := logKey{signer: ed25519.NewKeyFromSeed(seed[:])}
	var err error
	if k.vkey, err = proofs.NewVerifierKey(origin, proofs.TypeEd25519, k.signer.Public().(ed25519.PublicKey)); err != nil {
		t.Fatal(err)
	}
	if k.policy, err = proofs.ParsePolicy([]byte("log " + k.vkey.String() + "\nquorum none\n")); err != nil {
		t.Fatal(err)
	}
	return k
}

// with is the configuration of a process under the policy of the first key, which has the
// others too.
func with(c notary.Config, policy logKey, others ...logKey) notary.Config {
	c.Policy, c.Signer, c.OtherSigners = policy.policy, policy.signer, nil
	for _, k := range others {
		c.OtherSigners = append(c.OtherSigners, crypto.Signer(k.signer))
	}
	return c
}

// accepted says under which policies a receipt verifies.
func accepted(t *testing.T, r proofs.Receipt, keys ...logKey) (names string) {
	t.Helper()
	for i, k := range keys {
		e, err := proofs.NewVerifier(k.policy).Verify(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		if e.Outcome() == proofs.Verified {
			names += fmt.Sprint(i)
		}
	}
	return names
}

// TestKeyRotation rotates the log's key under replicas that go on. Receipts from before
// verify under the old policy, those of the overlap under both, those after under the new.
func TestKeyRotation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDepository(t)
		old, next := newLogKey(t, "log key"), newLogKey(t, "log key 2")
		open := func(policy logKey, others ...logKey) *notary.Notary {
			t.Helper()
			n, err := notary.Open(context.Background(), with(d.process().config(), policy, others...))
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
		check := func(n *notary.Notary, key, want string) proofs.Receipt {
			t.Helper()
			r := d.must(n, key)
			if got := accepted(t, r, old, next); got != want {
				t.Errorf("%s: the receipt verifies under %q, not %q", key, got, want)
			}
			return r
		}
		a, b := open(old, next), open(old, next)
		first := check(a, "a", "0")
		var err error
		// Two operators at once: one entry.
		var group sync.WaitGroup
		begun := make([]notary.KeyChange, 2)
		for i := range begun {
			group.Go(func() {
				var err error
				if begun[i], err = notary.BeginRotation(t.Context(), with(d.config(), old, next), next.vkey, ""); err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
		if begun[0].Index != begun[1].Index || begun[0].Key != next.vkey || begun[0].Other != old.vkey {
			t.Errorf("begun: %+v", begun)
		}
		receipts := []proofs.Receipt{first, check(a, "b", "01"), check(b, "c", "01")}
		closeNotary(t, a)
		receipts = append(receipts, check(b, "d", "01")) // another sealer
		a = open(next, old)
		receipts = append(receipts, check(a, "e", "01"))
		closeNotary(t, b)
		b = open(next, old)
		if _, err = notary.FinishRotation(t.Context(), with(d.config(), next, old), ""); err != nil {
			t.Error(err)
		}
		done, err := notary.FinishRotation(t.Context(), with(d.config(), next, old), "") // again
		if err != nil || !done.Retired || done.Other != old.vkey {
			t.Errorf("%+v: %v", done, err)
		}
		check(a, "f", "1")
		check(b, "g", "1")
		closeNotary(t, a)
		closeNotary(t, b)
		n := open(next) // the old key is gone
		check(n, "h", "1")

		// What the log says of its keys is public, and fits together.
		for i, want := range map[uint64][3]string{begun[0].Index: {next.vkey.String(), old.vkey.String(), ""}, done.Index: {next.vkey.String(), "", old.vkey.String()}} {
			r, err := n.PublicReceipt(t.Context(), i)
			if err != nil {
				t.Fatal(err)
			}
			if got := [3]string{text(r, "log.key"), text(r, "log.key.previous"), text(r, "log.key.retired")}; got != want || r.Entry.Kind != proofs.KindKey {
				t.Errorf("entry %d says %q, not %q", i, got, want)
			}
		}
		if r, err := n.Receipt(t.Context(), d.principal(), mustID(t, first)); err != nil || accepted(t, r, old, next) != "1" || r.Entry != first.Entry {
			t.Errorf("a receipt of before, fetched anew: %v", err)
		}
		changes, err := notary.KeyChanges(t.Context(), with(d.config(), next))
		if err != nil || len(changes) != 2 {
			t.Errorf("%+v: %v", changes, err)
		}
		closeNotary(t, n)
		if died := d.deaths(); len(died) > 0 {
			t.Errorf("stopped: %v", died)
		}
		d.policy = old.policy
		d.check(receipts...)
		report, err := notary.Fsck(t.Context(), with(d.config(), next), nil)
		if err != nil || !report.Clean() {
			t.Errorf("fsck: %v, %+v", err, report)
		}
	})
}

func mustID(t *testing.T, r proofs.Receipt) notary.ID {
	t.Helper()
	id, err := notary.ParseID(text(r, "id"))
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// TestRotationWithoutKey: who has not the keys that the log asks for signs nothing,
// neither from the start nor when the rotation begins under it.
func TestRotationWithoutKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDepository(t)
		old, next, third := newLogKey(t, "log key"), newLogKey(t, "log key 2"), newLogKey(t, "log key 3")
		refused := func(c notary.Config, words ...string) {
			t.Helper()
			_, err := notary.Open(context.Background(), c)
			for _, w := range words {
				if err == nil || !strings.Contains(err.Error(), w) {
					t.Errorf("Open: %v, without %q", err, w)
				}
			}
		}
		misstep := func(_ notary.KeyChange, err error) {
			t.Helper()
			if !errors.Is(err, notary.ErrKeyStep) {
				t.Errorf("a step that is none: %v", err)
			}
		}
		ctx := t.Context()
		misstep(notary.BeginRotation(ctx, with(d.config(), old), next.vkey, ""))
		misstep(notary.BeginRotation(ctx, with(d.config(), old, next), old.vkey, ""))
		misstep(notary.FinishRotation(ctx, with(d.config(), old, next), ""))

		alone, err := notary.Open(context.Background(), with(d.process().config(), old))
		if err != nil {
			t.Fatal(err)
		}
		d.must(alone, "a")
		if _, err := notary.BeginRotation(ctx, with(d.config(), old, next), next.vkey, ""); err != nil {
			t.Fatal(err)
		}
		time.Sleep(3 * time.Second)
		if died := d.deaths(); len(died) > 1 || len(died) == 1 && !strings.Contains(died[0].Error(), "this process does not have that key") {
			t.Errorf("stopped: %v", died)
		}
		short, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		if _, err := alone.Deposit(short, d.principal(), digestOnly(t, "b", "b")); err == nil {
			t.Error("a receipt of the overlap with one signature")
		}
		_ = alone.Close(ctx)
		if died := d.deaths(); len(died) != 1 || !strings.Contains(died[0].Error(), "this process does not have that key") {
			t.Errorf("stopped: %v", died)
		}
		d.mu.Lock()
		for size, note := range d.notes {
			if size > 2 && strings.Count(note, "\n— ") != 2 {
				t.Errorf("in the overlap a checkpoint of %d was published with one signature", size)
			}
		}
		d.mu.Unlock()
		refused(with(d.config(), old), next.vkey.String(), "this process does not have that key")
		refused(with(d.config(), old, third), next.vkey.String())
		misstep(notary.BeginRotation(ctx, with(d.config(), old, next, third), third.vkey, ""))

		n, err := notary.Open(context.Background(), with(d.config(), next, old))
		if err != nil {
			t.Fatal(err)
		}
		d.must(n, "c")
		closeNotary(t, n)
		if _, err := notary.FinishRotation(ctx, with(d.config(), next, old), ""); err != nil {
			t.Fatal(err)
		}
		refused(with(d.config(), old, next), "names "+old.vkey.String()+", which was retired")
		misstep(notary.BeginRotation(ctx, with(d.config(), next, old, third), next.vkey, ""))
		if c, err := notary.BeginRotation(ctx, with(d.config(), next, third), third.vkey, ""); err != nil || c.Other != next.vkey {
			t.Errorf("a second rotation: %+v, %v", c, err)
		}
		if keys, err := notary.KeyChanges(ctx, with(d.config(), next, third)); err != nil || !slices.Equal(keys[len(keys)-1].Signing(), []proofs.VerifierKey{next.vkey, third.vkey}) {
			t.Errorf("%+v, %v", keys, err)
		}
	})
}
