package notary_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/notary/notarytest"
	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/proofs/rfc3161"
	"github.com/muniment/muniment/proofs/rfc3161/rfc3161test"
)

const year = 365 * 24 * time.Hour

// asked is a time-stamp authority without a network.
type asked struct {
	*rfc3161test.Authority
	answer func(ctx context.Context, message []byte) ([]byte, error) // nil: a sound one
	calls  atomic.Int32
}

// Name implements notary.TimestampAuthority.
func (a *asked) Name() string { return a.Authority.Name }

// Timestamp implements notary.TimestampAuthority.
func (a *asked) Timestamp(ctx context.Context, message []byte) ([]byte, error) {
	a.calls.Add(1)
	if a.answer != nil {
		return a.answer(ctx, message)
	}
	return a.Token(rfc3161test.Statement{Message: message}), nil
}

func authority(name string, root, signer time.Duration) *asked {
	return &asked{Authority: rfc3161test.New(name, time.Now, root, signer)}
}

// dated lets the depository have its checkpoints dated by those authorities.
func (d *depository) dated(every time.Duration, authorities ...*asked) *rfc3161.Authorities {
	d.t.Helper()
	trusted := trust(d.t, authorities...)
	d.timestamps = &notary.Timestamps{Checker: trusted, Every: every}
	for _, a := range authorities {
		d.timestamps.Authorities = append(d.timestamps.Authorities, a)
	}
	return trusted
}

func trust(t testing.TB, authorities ...*asked) *rfc3161.Authorities {
	t.Helper()
	var file []byte
	for _, a := range authorities {
		file = append(file, rfc3161test.RootsPEM(a.Authority)...)
	}
	roots, err := rfc3161.ParseRoots(file)
	if err != nil {
		t.Fatal(err)
	}
	return rfc3161.NewAuthorities(roots)
}

// judge is what a holder of the receipt finds who trusts those authorities.
func (d *depository) judge(r proofs.Receipt, trusted *rfc3161.Authorities) proofs.Evidence {
	d.t.Helper()
	parsed, err := proofs.ParseReceipt(r.Marshal())
	if err != nil {
		d.t.Fatal(err)
	}
	e, err := proofs.NewVerifier(d.policy, proofs.WithTimestamps(trusted)).Verify(parsed, nil)
	if err != nil || e.Outcome() != proofs.Verified {
		d.t.Fatalf("the receipt of entry %d: %v %s %s", r.Index, err, e.Outcome(), e.Reason)
	}
	return e
}

func deposit(t testing.TB, d *depository, n *notary.Notary, key string) (proofs.Receipt, notary.ID) {
	t.Helper()
	r, err := n.Deposit(t.Context(), d.principal(), digestOnly(t, key, key))
	if err != nil {
		t.Fatal(err)
	}
	id, err := notary.ParseID(text(r, "id"))
	if err != nil {
		t.Fatal(err)
	}
	return r, id
}

// TestStampedReceipts: a deposit's receipt comes to be the one under the earliest checkpoint
// that was dated, and stays that one.
func TestStampedReceipts(t *testing.T) {
	d := newDepository(t)
	a, b := authority("A", 20*year, 5*year), authority("B", 20*year, 5*year)
	trusted := d.dated(time.Hour, a, b)
	n := d.opened()
	first, one := deposit(t, d, n, "one")
	if len(first.Timestamps) != 0 {
		t.Error("the first answer has time-stamps")
	}
	_, two := deposit(t, d, n, "two")
	if r, err := n.Receipt(t.Context(), d.principal(), one); err != nil || len(r.Timestamps) != 0 {
		t.Error("time-stamps before any was asked for", err)
	}
	if _, err := n.Evidence(t.Context(), d.principal(), one); !errors.Is(err, notary.ErrNotStamped) {
		t.Error(err)
	}
	size, err := n.Stamp(t.Context())
	if err != nil || size != 3 {
		t.Fatal(size, err)
	}
	if size, err := n.Stamp(t.Context()); err != nil || size != 3 || a.calls.Load() != 1 {
		t.Errorf("stamped again: %d, %v, after %d calls", size, err, a.calls.Load())
	}
	before := map[notary.ID]proofs.Receipt{}
	for _, id := range []notary.ID{one, two} {
		r, err := n.Receipt(t.Context(), d.principal(), id)
		if err != nil {
			t.Fatal(err)
		}
		before[id] = r
		e := d.judge(r, trusted)
		if e.Level != proofs.Stamped || len(e.Timestamps) != 2 || e.Size != 3 || e.Untrusted != 0 {
			t.Errorf("level %s, %d time-stamps, size %d", e.Level, len(e.Timestamps), e.Size)
		}
		if e := d.judge(r, trust(t, authority("C", year, year))); e.Level != proofs.Sealed || e.Untrusted != 2 {
			t.Errorf("to who trusts neither: level %s", e.Level)
		}
	}
	_, three := deposit(t, d, n, "three")
	for id, old := range before {
		if r, err := n.Receipt(t.Context(), d.principal(), id); err != nil || !bytes.Equal(r.Marshal(), old.Marshal()) {
			t.Errorf("the stamped receipt changed: %v", err)
		}
		if r, err := n.NewestReceipt(t.Context(), d.principal(), id, false); err != nil || len(r.Timestamps) != 0 || d.judge(r, trusted).Size != 4 {
			t.Errorf("the newest receipt: %v", err)
		}
	}
	if r, err := n.Receipt(t.Context(), d.principal(), three); err != nil || len(r.Timestamps) != 0 {
		t.Error(err)
	}
	if size, err := n.Stamp(t.Context()); err != nil || size != 4 {
		t.Fatal(size, err)
	}
	r, err := n.Receipt(t.Context(), d.principal(), three)
	if err != nil || d.judge(r, trusted).Size != 4 {
		t.Error(err)
	}
	record, err := n.Evidence(t.Context(), d.principal(), three)
	if err != nil || !bytes.Equal(record.Note, r.Checkpoint) || len(record.Renewals) != 0 {
		t.Error(err)
	}
	other := notary.Principal{Tenant: notary.Tenant{ID: notary.ID{2}}, Role: notary.Depositor}
	if _, err := n.Evidence(t.Context(), other, three); !errors.Is(err, notary.ErrNotFound) {
		t.Errorf("another tenant's evidence: %v", err)
	}
	d.fsck()
	d.check(first, r, before[one])
}

// TestBadTimestamps: whatever authorities answer, nothing but what holds is kept, the good
// ones' answers are not lost, and no receipt waits.
func TestBadTimestamps(t *testing.T) {
	good, stranger := authority("good", 20*year, 5*year), authority("stranger", 20*year, 5*year)
	type answer = func(context.Context, []byte) ([]byte, error)
	for what, bad := range map[string]answer{
		"nothing":        func(context.Context, []byte) ([]byte, error) { return nil, errors.New("down") },
		"an empty token": func(context.Context, []byte) ([]byte, error) { return nil, nil },
		"no token":       func(context.Context, []byte) ([]byte, error) { return []byte{0x30, 0}, nil },
		"over something else": func(context.Context, []byte) ([]byte, error) {
			return good.Token(rfc3161test.Statement{Message: []byte("x")}), nil
		},
		"a stranger's": func(_ context.Context, m []byte) ([]byte, error) {
			return stranger.Token(rfc3161test.Statement{Message: m}), nil
		},
		"from a fast clock":     clockOff(good, time.Hour),
		"from a slow clock":     clockOff(good, -30*time.Minute),
		"nothing until the end": func(ctx context.Context, _ []byte) ([]byte, error) { <-ctx.Done(); return nil, ctx.Err() },
	} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newDepositoryAt(t, time.Now)
				bad := &asked{Authority: authority("bad", 20*year, 5*year).Authority, answer: bad}
				fine := authority("fine", 20*year, 5*year)
				d.dated(time.Hour, bad, fine)
				d.timestamps.Checker = trust(t, bad, fine, &asked{Authority: good.Authority})
				registry := prometheus.NewRegistry()
				d.registry = registry
				n := d.opened()
				deposit(t, d, n, "one")
				d.timestamps.Authorities = d.timestamps.Authorities[:1]
				stamped := make(chan error)
				go func() { _, err := n.Stamp(t.Context()); stamped <- err }()
				synctest.Wait()
				begun := time.Now()
				_, id := deposit(t, d, n, "two")
				if took := time.Since(begun); took > time.Second {
					t.Errorf("a deposit took %v beside an authority that does not answer", took)
				}
				if err := <-stamped; err == nil {
					t.Error("kept")
				}
				if s := d.ledger.Snapshot(); len(s.Stamps) != 0 {
					t.Error("something was kept")
				}
				if r, err := n.Receipt(t.Context(), d.principal(), id); err != nil || len(r.Timestamps) != 0 {
					t.Error(err)
				}
				d.timestamps.Authorities = []notary.TimestampAuthority{bad, fine}
				if _, err := n.Stamp(t.Context()); err != nil {
					t.Error(err)
				}
				r, err := n.Receipt(t.Context(), d.principal(), id)
				if err != nil || len(r.Timestamps) != 1 || d.judge(r, trust(t, fine)).Level != proofs.Stamped {
					t.Errorf("%v, %d time-stamps", err, len(r.Timestamps))
				}
				if got := failures(t, registry); got["bad"] != 2 || got["fine"] != 0 {
					t.Errorf("failures counted: %v", got)
				}
			})
		})
	}
}

// failures is what the metric counts of each authority.
func failures(t *testing.T, registry *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]float64{}
	for _, f := range families {
		if f.GetName() == "muniment_timestamp_failures_total" {
			for _, m := range f.GetMetric() {
				out[m.GetLabel()[0].GetValue()] = m.GetCounter().GetValue()
			}
		}
	}
	return out
}

func clockOff(a *asked, by time.Duration) func(context.Context, []byte) ([]byte, error) {
	return func(_ context.Context, m []byte) ([]byte, error) {
		return a.Token(rfc3161test.Statement{Message: m, Time: time.Now().Add(by)}), nil
	}
}

// TestStampSchedule: every authority is asked once an hour while the log moves, and none is
// while it rests; of replicas, the one that seals asks.
func TestStampSchedule(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDepositoryAt(t, time.Now)
		a, b := authority("A", 20*year, 5*year), authority("B", 20*year, 5*year)
		d.dated(time.Hour, a, b)
		_, notaries := d.replicas(3)
		for i := range 5 {
			deposit(t, d, notaries[i%3], fmt.Sprint("key ", i))
			time.Sleep(time.Hour)
		}
		moving := a.calls.Load()
		time.Sleep(12 * time.Hour)
		if resting := a.calls.Load() - moving; moving < 4 || moving > 7 || resting > 1 || a.calls.Load() != b.calls.Load() {
			t.Errorf("asked %d times in 5 hours, then %d times in 12 at rest; the other %d", moving, resting, b.calls.Load())
		}
		if s := d.ledger.Snapshot(); len(s.Stamps) != int(a.calls.Load()) {
			t.Errorf("%d stamps", len(s.Stamps))
		}
		for _, n := range notaries {
			closeNotary(t, n)
		}
	})
}

// TestStampFaults: each call for stamps fails in each way; what was handed out stays as
// good, and nothing is kept twice or wrongly.
func TestStampFaults(t *testing.T) {
	for _, call := range []string{"Stamp", "Stamps", "Renew", "Renewals", "Renewed"} {
		for _, kind := range append(slices.Clone(notarytest.Kinds), notarytest.Lies) {
			if kind == notarytest.Lies && call != "Stamp" && call != "Renew" {
				continue
			}
			synctest.Test(t, func(t *testing.T) {
				d := newDepositoryAt(t, time.Now)
				a := authority("A", 20*year, 30*24*time.Hour)
				trusted := d.dated(time.Hour, a)
				n := d.open()
				first, id := deposit(t, d, n, "one")
				d.ledger.Faults.Set(notarytest.Fault{Call: call, Nth: 1, Kind: kind})
				a.Renew(year)
				for range 3 {
					ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
					_, _ = n.Stamp(ctx)
					a.Renew(3 * year)
					_ = n.RenewStamps(ctx)
					cancel()
				}
				r, err := n.Receipt(t.Context(), d.principal(), id)
				if err != nil || d.judge(r, trusted).Level != proofs.Stamped {
					t.Errorf("%s %v: %v", call, kind, err)
				}
				record, err := n.Evidence(t.Context(), d.principal(), id)
				if err != nil {
					t.Errorf("%s %v: %v", call, kind, err)
				} else if e, err := proofs.NewVerifier(d.policy, proofs.WithTimestamps(trusted)).VerifyRecord(r, record, time.Now(), nil); err != nil || e.Outcome() != proofs.Verified {
					t.Errorf("%s %v: %v %s", call, kind, err, e.Reason)
				}
				d.fsck()
				d.check(first, r)
				closeNotary(t, n)
			})
		}
	}
}

// TestDamagedStamps: a stamp or renewal that is not what was kept is found, and takes
// nobody's receipt.
func TestDamagedStamps(t *testing.T) {
	for what, damage := range map[string]func(s *notarytest.LedgerState){
		"a flipped bit in a record": func(s *notarytest.LedgerState) { s.Stamps[0].Record[len(s.Stamps[0].Record)-10] ^= 1 },
		"a stamp moved":             func(s *notarytest.LedgerState) { s.Stamps[0].Size++ },
		"a renewal cut short":       func(s *notarytest.LedgerState) { s.Renewals[0].Data = s.Renewals[0].Data[:20] },
		"a flipped bit in a leaf":   func(s *notarytest.LedgerState) { s.Renewals[0].Data[20] ^= 1 },
		"a flipped bit in a token":  func(s *notarytest.LedgerState) { s.Renewals[0].Data[len(s.Renewals[0].Data)-1] ^= 1 },
	} {
		synctest.Test(t, func(t *testing.T) {
			d := newDepositoryAt(t, time.Now)
			a := authority("A", 20*year, 30*24*time.Hour)
			trusted := d.dated(time.Hour, a)
			n := d.open()
			_, id := deposit(t, d, n, "one")
			if _, err := n.Stamp(t.Context()); err != nil {
				t.Fatal(err)
			}
			a.Renew(year)
			if err := n.RenewStamps(t.Context()); err != nil {
				t.Fatal(err)
			}
			if s := d.ledger.Snapshot(); len(s.Stamps) != 1 || len(s.Renewals) != 1 {
				t.Fatal(len(s.Stamps), len(s.Renewals))
			}
			deposit(t, d, n, "two")
			d.ledger.Corrupt(damage)
			r, err := n.Receipt(t.Context(), d.principal(), id)
			if err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			d.judge(r, trusted)
			report, err := n.Fsck(t.Context(), nil)
			if err != nil || report.Clean() {
				t.Errorf("%s: %v, and nothing found", what, err)
			}
			closeNotary(t, n)
		})
	}
}

// TestThirtyYears walks 30 years, a month at a time, with authorities whose certificates end
// one after another: every deposit of the first years stays provable to the last day, with
// the time of its first stamp.
func TestThirtyYears(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDepositoryAt(t, time.Now)
		const month = 30 * 24 * time.Hour
		life := func(i int) time.Duration { return time.Duration(2+i%4) * year }
		current, i := authority("Authority 0", 8*year, life(0)), 0
		all := []*asked{current}
		ends, began := time.Now().Add(life(0)), time.Now()
		var ids []notary.ID
		var stampedAt []time.Time
		for time.Since(began) < 30*year {
			d.dated(time.Hour, current)
			d.timestamps.Checker = trust(t, all...)
			n := d.open()
			if len(ids) < 12 {
				_, id := deposit(t, d, n, fmt.Sprint("key ", len(ids)))
				ids, stampedAt = append(ids, id), append(stampedAt, time.Now())
			}
			if _, err := n.Stamp(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := n.RenewStamps(t.Context()); err != nil {
				t.Fatal(err)
			}
			closeNotary(t, n)
			time.Sleep(month)
			if time.Until(ends) < 3*month { // another follows before it ends
				i++
				current = authority(fmt.Sprint("Authority ", i), 8*year, life(i))
				all, ends = append(all, current), time.Now().Add(life(i))
			}
		}
		if s := d.ledger.Snapshot(); len(s.Renewals) < i-1 || len(s.Renewals) > 3*i {
			t.Errorf("%d renewals with %d authorities", len(s.Renewals), i+1)
		}
		d.timestamps.Checker = trust(t, all...)
		n := d.open()
		v := proofs.NewVerifier(d.policy, proofs.WithTimestamps(trust(t, all...)))
		for at, id := range ids {
			r, err := n.Receipt(t.Context(), d.principal(), id)
			if err != nil {
				t.Fatal(err)
			}
			record, err := n.Evidence(t.Context(), d.principal(), id)
			if err != nil {
				t.Fatal(err)
			}
			if record, err = proofs.ParseEvidenceRecord(record.Marshal()); err != nil {
				t.Fatal(err)
			}
			e, err := v.VerifyRecord(r, record, time.Now(), nil)
			if err != nil || e.Outcome() != proofs.Verified || e.Level != proofs.Stamped || e.Timestamps[0].Time.Sub(stampedAt[at]).Abs() > time.Minute {
				t.Errorf("deposit %d: %v %s %q %+v", at, err, e.Outcome(), e.Reason, e.Timestamps)
			}
			without := record
			without.Renewals = record.Renewals[:len(record.Renewals)-1]
			if e, _ := v.VerifyRecord(r, without, time.Now(), nil); e.Outcome() == proofs.Verified && len(record.Renewals) > 1 && time.Until(e.Until) < 0 {
				t.Errorf("deposit %d holds without its last renewal", at)
			}
			for k := range len(record.Renewals) - 1 {
				gap := record
				gap.Renewals = append(slices.Clone(record.Renewals[:k]), record.Renewals[k+1:]...)
				if e, _ := v.VerifyRecord(r, gap, time.Now(), nil); e.Outcome() != proofs.Refused || e.Reason != proofs.ReasonEvidenceRenewal {
					t.Errorf("deposit %d without renewal %d: %s %s", at, k, e.Outcome(), e.Reason)
				}
			}
		}
		t.Logf("%d authorities, %d stamps, %d renewals", i+1, len(d.ledger.Snapshot().Stamps), len(d.ledger.Snapshot().Renewals))
		d.fsck()
		closeNotary(t, n)
	})
}

// TestStampedUnderAQuorum: what is dated is a checkpoint that the witnesses' quorum stands
// for, with their cosignatures; one that was published without is not.
func TestStampedUnderAQuorum(t *testing.T) {
	witnessed(t, "advisory", 3, 2, func(t *testing.T, d *depository) {
		d.advisory = true
		a := authority("A", 20*year, 5*year)
		trusted := d.dated(0, a)
		n := d.open()
		_, one := deposit(t, d, n, "one")
		if size, err := n.Stamp(t.Context()); err != nil || size != 2 {
			t.Fatal(size, err)
		}
		for _, w := range d.witnesses {
			w.Set(notarytest.Down, 0)
		}
		_, two := deposit(t, d, n, "two")
		if size, err := n.Stamp(t.Context()); err != nil || size != 2 || a.calls.Load() != 1 {
			t.Errorf("dated without a quorum: %d, %v, %d calls", size, err, a.calls.Load())
		}
		r, err := n.Receipt(t.Context(), d.principal(), one)
		if e := d.judge(r, trusted); err != nil || e.Level != proofs.Stamped || !e.Witnessed() || e.Size != 2 {
			t.Errorf("%v, level %s under %d", err, e.Level, e.Size)
		}
		if r, err := n.Receipt(t.Context(), d.principal(), two); err != nil || len(r.Timestamps) != 0 {
			t.Error(err)
		}
		for _, w := range d.witnesses {
			w.Set(notarytest.Well, 0)
		}
		time.Sleep(time.Minute)
		if size, err := n.Stamp(t.Context()); err != nil || size != 3 {
			t.Errorf("with a quorum again: %d, %v", size, err)
		}
		if r, err := n.Receipt(t.Context(), d.principal(), two); err != nil || d.judge(r, trusted).Level != proofs.Stamped {
			t.Error(err)
		}
		closeNotary(t, n)
	})
}

// TestStampsOfAnEarlierPolicy: notes that were dated before the policy asked for witnesses do
// not hold under it; the first that does is taken, and without one the newest receipt.
func TestStampsOfAnEarlierPolicy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDepository(t)
		a := authority("A", 20*year, 5*year)
		trusted := d.dated(0, a)
		n := d.open()
		_, id := deposit(t, d, n, "one")
		if _, err := n.Stamp(t.Context()); err != nil {
			t.Fatal(err)
		}
		closeNotary(t, n)
		d.witnessed(3, 2)
		n = d.open()
		deposit(t, d, n, "two")
		if r, err := n.Receipt(t.Context(), d.principal(), id); err != nil || len(r.Timestamps) != 0 || d.judge(r, trusted).Level != proofs.Witnessed {
			t.Error(err)
		}
		if size, err := n.Stamp(t.Context()); err != nil || size != 3 {
			t.Fatal(size, err)
		}
		for range 2 {
			r, err := n.Receipt(t.Context(), d.principal(), id)
			if e := d.judge(r, trusted); err != nil || e.Level != proofs.Stamped || e.Size != 3 {
				t.Errorf("%v, level %s under %d", err, e.Level, e.Size)
			}
		}
		closeNotary(t, n)
	})
}

// TestStampOfFormerAuthority: a stamp of an authority that is not trusted any more takes
// nobody's receipt whom an earlier one covers, whoever asked before.
func TestStampOfFormerAuthority(t *testing.T) {
	d := newDepository(t)
	a, b := authority("A", 20*year, 5*year), authority("B", 20*year, 5*year)
	var ids []notary.ID
	for i, by := range []*asked{a, b} {
		d.dated(time.Hour, by)
		n := d.open()
		_, id := deposit(t, d, n, fmt.Sprint(i))
		if size, err := n.Stamp(t.Context()); err != nil || size != uint64(2+i) {
			t.Fatal(size, err)
		}
		closeNotary(t, n)
		ids = append(ids, id)
	}
	trusted := d.dated(time.Hour, a)
	n := d.opened()
	for _, id := range []notary.ID{ids[0], ids[1], ids[0]} {
		r, err := n.Receipt(t.Context(), d.principal(), id)
		if err != nil {
			t.Fatal(err)
		}
		if e := d.judge(r, trusted); (e.Level == proofs.Stamped) != (id == ids[0]) {
			t.Errorf("entry %d: level %s", r.Index, e.Level)
		}
	}
}
