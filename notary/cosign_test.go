package notary_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/notary/notarytest"
	"github.com/muniment/muniment/proofs"
)

// witnessed runs a test of a depository with witnesses in simulated time.
func witnessed(t *testing.T, name string, count, quorum int, fn func(t *testing.T, d *depository)) {
	t.Run(name, func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			d := newDepository(t)
			d.witnessed(count, quorum)
			fn(t, d)
		})
	})
}

// mustDeposit deposits a digest and checks the receipt under the whole policy.
func mustDeposit(t *testing.T, d *depository, n *notary.Notary, key string) proofs.Receipt {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	r, err := n.Deposit(ctx, d.principal(), digestOnly(t, key, key))
	if err != nil {
		t.Fatalf("%s: %v", key, err)
	}
	if e := d.verify(r, key); e.Level != proofs.Witnessed {
		t.Fatalf("%s: level %s", key, e.Level)
	}
	return r
}

// TestTwoOfFiveWitnesses: of five witnesses two in whatever trouble cost nothing.
func TestTwoOfFiveWitnesses(t *testing.T) {
	for _, trouble := range append(notarytest.Troubles(), notarytest.Well) {
		witnessed(t, trouble.String(), 5, 3, func(t *testing.T, d *depository) {
			for i, w := range d.witnesses {
				w.Set(notarytest.Well, time.Duration(10+5*i)*time.Millisecond)
			}
			for _, w := range d.witnesses[:2] {
				w.Set(trouble, 5*time.Second) // those that are well are slow
			}
			n := d.open()
			var receipts []proofs.Receipt
			for i := range 20 {
				begun := time.Now()
				receipts = append(receipts, mustDeposit(t, d, n, fmt.Sprint("deposit-", i)))
				if took := time.Since(begun); took > 100*time.Millisecond {
					t.Errorf("deposit %d took %v", i, took)
				}
			}
			if s := n.Status(t.Context()); len(s.Problems) > 0 || s.Unwitnessed {
				t.Errorf("status: %+v", s)
			}
			if len(d.deaths()) > 0 {
				t.Errorf("it died: %v", d.deaths())
			}
			closeNotary(t, n)
			d.check(receipts...)
		})
	}
}

// TestThreeOfFiveWitnesses: three in trouble stop receipts with an error of its own, and
// everything resumes by itself.
func TestThreeOfFiveWitnesses(t *testing.T) {
	for _, trouble := range []notarytest.Trouble{notarytest.Down, notarytest.Hangs, notarytest.Errs, notarytest.Forges, notarytest.Denies, notarytest.Babbles} {
		witnessed(t, trouble.String(), 5, 3, func(t *testing.T, d *depository) {
			n := d.open()
			first := mustDeposit(t, d, n, "first")
			for _, w := range d.witnesses[:3] {
				w.Set(trouble, 0)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			_, err := n.Deposit(ctx, d.principal(), digestOnly(t, "caught", "caught"))
			cancel()
			var missing *notary.QuorumMissingError
			if !errors.As(err, &missing) {
				t.Fatalf("a deposit without a quorum: %v", err)
			}
			if _, err := n.Deposit(t.Context(), d.principal(), digestOnly(t, "refused", "refused")); !errors.Is(err, notary.ErrQuorum) {
				t.Errorf("a deposit after that: %v", err)
			}
			if s := n.Status(t.Context()); len(s.Problems) != 1 || !errors.Is(s.Problems[0], notary.ErrQuorum) {
				t.Errorf("status: %+v", s)
			}
			if note, err := n.Checkpoint(t.Context()); err != nil || string(note) != string(first.Checkpoint) {
				t.Errorf("published without a quorum: %s %v", note, err)
			}
			time.Sleep(2 * time.Minute)
			for _, w := range d.witnesses[:3] {
				w.Set(notarytest.Well, 0)
			}
			time.Sleep(6 * time.Second)
			if s := n.Status(t.Context()); len(s.Problems) != 0 {
				t.Errorf("status when they are back: %v", s.Problems)
			}
			caught := mustDeposit(t, d, n, "caught")
			if id := text(caught, "id"); id != missing.ID.String() {
				t.Errorf("the same key has deposit %s, not %s", id, missing.ID)
			}
			refused := mustDeposit(t, d, n, "refused")
			closeNotary(t, n)
			d.check(first, caught, refused)
			if len(d.deaths()) > 0 {
				t.Errorf("it died: %v", d.deaths())
			}
		})
	}
}

// TestWitnessAhead: ledger and anchor restored to an older state are refused as soon as a
// witness shows a newer checkpoint, at the start and while running; mere words of fewer
// than the quorum needs stop nothing.
func TestWitnessAhead(t *testing.T) {
	for name, muted := range map[string]bool{"shown": false, "said": true} {
		witnessed(t, name, 3, 2, func(t *testing.T, d *depository) {
			n := d.open()
			mustDeposit(t, d, n, "first")
			closeNotary(t, n)
			ledger, anchor := d.ledger.Snapshot(), d.anchor.Snapshot()
			n = d.open()
			mustDeposit(t, d, n, "second")
			closeNotary(t, n)
			d.ledger.Restore(ledger)
			d.anchor.Restore(anchor)
			if muted {
				for _, w := range d.witnesses {
					w.Mute()
				}
			}
			if n, err := notary.Open(t.Context(), d.config()); err == nil {
				closeNotary(t, n)
				t.Fatal("a log that was rolled back was opened")
			}
			if died := d.deaths(); len(died) != 1 || !strings.Contains(died[0].Error(), "the log was rolled back") || !strings.Contains(died[0].Error(), "3 entries") {
				t.Errorf("died: %v", died)
			}
		})
	}
	witnessed(t, "one liar of three", 3, 2, func(t *testing.T, d *depository) {
		d.witnesses[0].Set(notarytest.ClaimsAhead, 0)
		n := d.opened()
		mustDeposit(t, d, n, "first")
		if len(d.deaths()) > 0 {
			t.Errorf("a word stopped it: %v", d.deaths())
		}
	})
	witnessed(t, "one witness of three shows it", 3, 1, func(t *testing.T, d *depository) {
		d.witnesses[1].Set(notarytest.Down, 0)
		d.witnesses[2].Set(notarytest.Down, 0)
		n := d.open()
		mustDeposit(t, d, n, "first")
		closeNotary(t, n)
		ledger, anchor := d.ledger.Snapshot(), d.anchor.Snapshot()
		n = d.open()
		mustDeposit(t, d, n, "second")
		closeNotary(t, n)
		d.ledger.Restore(ledger)
		d.anchor.Restore(anchor)
		d.witnesses[1].Set(notarytest.Well, 0) // it knows nothing, and is enough for a quorum
		d.witnesses[0].Set(notarytest.Well, 50*time.Millisecond)
		n, err := notary.Open(t.Context(), d.config())
		if err == nil {
			time.Sleep(time.Second)
			_, _ = n.Deposit(t.Context(), d.principal(), digestOnly(t, "third", "third"))
			_ = n.Close(t.Context())
		}
		died := d.deaths()
		if len(died) != 1 || !strings.Contains(died[0].Error(), "rolled back") && !strings.Contains(died[0].Error(), "two histories") {
			t.Errorf("died: %v", died)
		}
		if s, err := d.ledger.Published(t.Context()); err != nil || strings.Contains(string(s), "\n3\n") {
			t.Errorf("published: %s %v", s, err)
		}
	})
}

// TestWitnessOfAnotherHistory: a ledger and an anchor rewritten to the same size are found
// by any witness that shows what the log has signed.
func TestWitnessOfAnotherHistory(t *testing.T) {
	witnessed(t, "", 3, 1, func(t *testing.T, d *depository) {
		n := d.open()
		mustDeposit(t, d, n, "first")
		closeNotary(t, n)
		ledger, anchor := d.ledger.Snapshot(), d.anchor.Snapshot()
		n = d.open()
		mustDeposit(t, d, n, "second")
		time.Sleep(time.Second) // one witness is a quorum; the others come later
		closeNotary(t, n)
		d.ledger.Restore(ledger)
		d.anchor.Restore(anchor)
		d.mu.Lock()
		d.notes = map[uint64]string{} // the recorder would see it too
		d.mu.Unlock()
		for _, w := range d.witnesses {
			w.Set(notarytest.Down, 0)
		}
		d.advisory = true // so that it goes on alone
		n = d.open()
		if _, err := n.Deposit(t.Context(), d.principal(), digestOnly(t, "other", "other")); err != nil {
			t.Fatal(err)
		}
		d.witnesses[2].Set(notarytest.Well, 0)
		time.Sleep(15 * time.Second)
		if died := d.deaths(); len(died) != 1 || !strings.Contains(died[0].Error(), "two histories") {
			t.Errorf("died: %v", died)
		}
		_ = n.Close(t.Context())
	})
}

// TestStartWithoutWitnesses: what was published before can be read while the witnesses are
// away, and a missing quorum does not keep the process from stopping.
func TestStartWithoutWitnesses(t *testing.T) {
	witnessed(t, "", 3, 2, func(t *testing.T, d *depository) {
		n := d.open()
		first := mustDeposit(t, d, n, "first")
		for _, w := range d.witnesses {
			w.Set(notarytest.Down, 0)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		if _, err := n.Deposit(ctx, d.principal(), digestOnly(t, "second", "second")); err == nil {
			t.Fatal("published without witnesses")
		}
		cancel()
		time.Sleep(5 * time.Second)
		closeNotary(t, n)
		n = d.opened()
		if note, err := n.Checkpoint(t.Context()); err != nil || string(note) != string(first.Checkpoint) {
			t.Errorf("after a restart: %s %v", note, err)
		}
		id, err := notary.ParseID(text(first, "id"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := n.Receipt(t.Context(), d.principal(), id); err != nil {
			t.Error(err)
		}
		if _, err := n.Deposit(t.Context(), d.principal(), digestOnly(t, "third", "third")); !errors.Is(err, notary.ErrQuorum) {
			t.Errorf("a deposit: %v", err)
		}
		for _, w := range d.witnesses {
			w.Set(notarytest.Well, 0)
		}
		time.Sleep(6 * time.Second)
		second, third := mustDeposit(t, d, n, "second"), mustDeposit(t, d, n, "third")
		if second.Index != 2 || third.Index != 3 {
			t.Errorf("second is entry %d, third %d", second.Index, third.Index)
		}
	})
}

// TestAdvisoryWitnesses: nothing waits for the witnesses but who asks for it, and a quorum
// that comes late is added to the newest checkpoint without any new entry.
func TestAdvisoryWitnesses(t *testing.T) {
	witnessed(t, "", 3, 2, func(t *testing.T, d *depository) {
		d.advisory = true
		n := d.opened()
		mustDeposit(t, d, n, "first") // witnessed, since the quorum is there
		for _, w := range d.witnesses[1:] {
			w.Set(notarytest.Down, 0)
		}
		begun := time.Now()
		second, err := n.Deposit(t.Context(), d.principal(), digestOnly(t, "second", "second"))
		if err != nil || time.Since(begun) > 100*time.Millisecond {
			t.Fatalf("%v after %v", err, time.Since(begun))
		}
		e, err := proofs.NewVerifier(d.policy).Verify(second, nil)
		if err != nil || e.Reason != proofs.ReasonQuorum {
			t.Errorf("a sealed receipt under the whole policy: %v %s", e.Outcome(), e.Reason)
		}
		if e, _ := proofs.NewVerifier(d.policy.LogAlone()).Verify(second, nil); e.Outcome() != proofs.Verified || e.Level != proofs.Sealed {
			t.Errorf("under the log's part: %v %s %s", e.Outcome(), e.Reason, e.Level)
		}
		time.Sleep(3 * time.Second)
		if s := n.Status(t.Context()); len(s.Problems) > 0 || !s.Unwitnessed {
			t.Errorf("status: %+v", s)
		}
		want := digestOnly(t, "third", "third")
		want.Witnessed = true
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		_, err = n.Deposit(ctx, d.principal(), want)
		cancel()
		if missing := new(notary.QuorumMissingError); !errors.As(err, &missing) {
			t.Fatalf("a witnessed receipt without a quorum: %v", err)
		}
		var wg sync.WaitGroup
		wg.Go(func() { // without a new entry
			time.Sleep(10 * time.Second)
			for _, w := range d.witnesses {
				w.Set(notarytest.Well, 0)
			}
		})
		r, err := n.Deposit(t.Context(), d.principal(), want)
		if err != nil {
			t.Fatal(err)
		}
		wg.Wait()
		if e := d.verify(r, "third"); e.Level != proofs.Witnessed || e.Size != 4 {
			t.Errorf("late: %s at size %d", e.Level, e.Size)
		}
		note, err := d.ledger.Published(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, outcome, reason := proofs.NewVerifier(d.policy).Checkpoint(note); outcome != proofs.Verified {
			t.Errorf("the ledger's note: %s", reason)
		}
		if s := n.Status(t.Context()); s.Unwitnessed {
			t.Error("unwitnessed still")
		}
	})
}

// TestNoWitnessesNoPromise: without witnesses nobody is promised any.
func TestNoWitnessesNoPromise(t *testing.T) {
	d := newDepository(t)
	n := d.opened()
	want := digestOnly(t, "key", "key")
	want.Witnessed = true
	if _, err := n.Deposit(t.Context(), d.principal(), want); !errors.Is(err, notary.ErrNoWitnesses) {
		t.Error(err)
	}
}

// TestWitnessedReplicas: the sealer alone asks the witnesses; a follower answers with what
// it published, and takes over with witnesses that know more of the log than it asked for.
func TestWitnessedReplicas(t *testing.T) {
	witnessed(t, "", 3, 2, func(t *testing.T, d *depository) {
		var all []*notary.Notary
		for range 3 {
			n, err := notary.Open(t.Context(), d.process().config())
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, n)
		}
		var receipts []proofs.Receipt
		for round := range 3 {
			for i, n := range all[round:] {
				receipts = append(receipts, mustDeposit(t, d, n, fmt.Sprint("deposit-", round, i)))
			}
			closeNotary(t, all[round])
		}
		d.check(receipts...)
		if len(d.deaths()) > 0 {
			t.Errorf("died: %v", d.deaths())
		}
	})
}

// TestFormerSealerRests: who seals no more asks no witness any more, and tells nothing of
// them: that others know more of the log is no dissent.
func TestFormerSealerRests(t *testing.T) {
	witnessed(t, "", 3, 2, func(t *testing.T, d *depository) {
		processes, all := d.replicas(2)
		mustDeposit(t, d, all[0], "before")
		d.witnesses[2].Set(notarytest.Down, 0)
		mustDeposit(t, d, all[0], "by the first")
		processes[0].stop()
		time.Sleep(3 * time.Second)
		d.witnesses[2].Set(notarytest.Well, 0)
		mustDeposit(t, d, all[1], "by the second")
		processes[0].resume()
		time.Sleep(3 * time.Second)
		asked := d.witnesses[2].Asked()
		time.Sleep(time.Minute)
		if now := d.witnesses[2].Asked(); now != asked {
			t.Errorf("asked %d times while nothing was to be cosigned", now-asked)
		}
		registry := prometheus.NewRegistry()
		registry.MustRegister(d.clients[0])
		families, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			for _, m := range f.GetMetric() {
				if f.GetName() == "muniment_witness_dissents" && m.GetGauge().GetValue() != 0 {
					t.Errorf("a dissent of %v", m.GetLabel())
				}
			}
		}
		for _, n := range all {
			closeNotary(t, n)
		}
		if len(d.deaths()) > 0 {
			t.Errorf("died: %v", d.deaths())
		}
	})
}

// TestCatchUpAfterQuorum: a log that was sealed without segments, and whose witnesses are
// missing when it is opened, gets them when they are back.
func TestCatchUpAfterQuorum(t *testing.T) {
	witnessed(t, "", 1, 1, func(t *testing.T, d *depository) {
		store := d.segments
		d.segments = nil
		n := d.open()
		mustDeposit(t, d, n, "before")
		closeNotary(t, n)
		d.segments = store
		d.ledger.Corrupt(func(s *notarytest.LedgerState) { s.Published, s.PublishedSize = nil, 0 }) // a crash may
		d.witnesses[0].Set(notarytest.Down, 0)
		n = d.open()
		time.Sleep(time.Minute)
		d.witnesses[0].Set(notarytest.Well, 0)
		time.Sleep(time.Minute)
		report, err := n.Fsck(t.Context(), nil)
		if err != nil || !report.Clean() {
			t.Errorf("fsck: %+v, %v", report, err)
		}
		closeNotary(t, n)
	})
}
