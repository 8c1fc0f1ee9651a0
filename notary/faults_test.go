package notary_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/notary/notarytest"
	"github.com/muniment/muniment/proofs"
)

// hold stops each such call where it stands until release is closed.
func hold(call string, held, release chan struct{}) notarytest.Fault {
	return notarytest.Fault{Call: call, Nth: 0, Do: func() {
		select {
		case <-held:
		default:
			close(held)
		}
		<-release
	}}
}

// scenario is what the fault table breaks at every point: start, deposits that
// share batches and cases, a retry, reads, a stop, and a start again. It behaves as
// an honest client: it retries with the same key until it has a receipt.
type scenario struct {
	d     *depository
	batch int // deposits offered at once

	mu       sync.Mutex
	receipts map[string]proofs.Receipt // by key
}

func (s *scenario) run() {
	n := s.start()
	for round := range 2 {
		var wg sync.WaitGroup
		for i := range s.batch {
			wg.Go(func() {
				key := fmt.Sprintf("%d-%d", round, i)
				deposit := func() notary.Deposit {
					if i == 0 {
						return original(s.d.t, key, "document "+key, "contract.number", "HT-1")
					}
					return digestOnly(s.d.t, key, key, "contract.number", "HT-1")
				}
				s.persist(n, key, deposit)
				s.persist(n, key, deposit) // a retry of what was acknowledged
			})
		}
		wg.Wait()
	}
	s.stop(n)
	n = s.start()
	s.persist(n, "last", func() notary.Deposit { return original(s.d.t, "last", "last") })
	s.stop(n)
}

// start opens as an operator does: again, if storage failed.
func (s *scenario) start() *notary.Notary {
	for {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		n, err := notary.Open(ctx, s.d.config())
		cancel()
		if err == nil {
			return n
		}
		time.Sleep(time.Second)
	}
}

func (s *scenario) stop(n *notary.Notary) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	n.Close(ctx) // a stop that fails is a crash; the next start must cope
}

// persist deposits until it has a receipt, and checks that an acknowledged key
// never comes to stand for another entry.
func (s *scenario) persist(n *notary.Notary, key string, deposit func() notary.Deposit) {
	s.insist(key, func(ctx context.Context) error {
		r, err := n.Deposit(ctx, s.d.principal(), deposit())
		if err == nil {
			s.acknowledged(key, r)
		}
		return err
	})
}

// insist does it until it succeeds, as long as an honest client would.
func (s *scenario) insist(key string, do func(ctx context.Context) error) {
	for attempt := 0; ; attempt++ {
		ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
		err := do(ctx)
		cancel()
		if err == nil {
			return
		}
		retry := errors.Is(err, notary.ErrUnavailable) || errors.Is(err, notary.ErrBacklog) || errors.Is(err, notary.ErrOpinion) ||
			errors.As(err, new(*notary.SealingDelayedError)) || errors.As(err, new(*notary.OpinionMissingError))
		if !retry || attempt == 20 {
			s.d.t.Errorf("%s: attempt %d: %v", key, attempt, err)
			return
		}
		time.Sleep(time.Second)
	}
}

func (s *scenario) acknowledged(key string, r proofs.Receipt) {
	if published := s.d.ledger.Snapshot().PublishedSize; published <= r.Index {
		s.d.t.Errorf("entry %d was answered while %d are published to the replicas", r.Index, published)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if old, ok := s.receipts[key]; ok && (old.Index != r.Index || old.Entry != r.Entry) {
		s.d.t.Errorf("key %s stands for entries %d and %d", key, old.Index, r.Index)
	}
	s.receipts[key] = r
}

// verdict checks the world after the faults are gone: each key has exactly one
// entry, no receipt is lost, the log is whole, and fsck agrees.
func (s *scenario) verdict(start uint64) {
	s.d.t.Helper()
	var all []proofs.Receipt
	for _, r := range s.receipts {
		all = append(all, r)
	}
	s.d.check(all...)
	head, err := s.d.ledger.Head(context.Background())
	if err != nil || head.Size != start+uint64(len(s.receipts)) {
		s.d.t.Errorf("%d entries for %d keys, %v", head.Size-start, len(s.receipts), err)
	}
	report, err := notary.Fsck(context.Background(), s.d.config(), nil)
	if err != nil || !report.Clean() {
		s.d.t.Errorf("fsck: %v %v", report, err)
	}
	if died := s.d.deaths(); len(died) > 0 {
		s.d.t.Errorf("the notary stopped itself: %v", died)
	}
}

// faultPoint is one call of one store.
type faultPoint struct {
	store string
	call  string
	nth   int
	kind  notarytest.Kind
}

func (d *depository) faults(store string) *notarytest.Faults {
	if store == "second" {
		return d.second.Faults
	}
	return map[string]*notarytest.Faults{"ledger": d.ledger.Faults, "blobs": d.blobs.Faults, "anchor": d.anchor.Faults, "segments": d.segments.Faults}[store]
}

// TestFaults is I6: every call that the scenario makes of a store fails once in each
// way, at log sizes around the edges of tiles, and nothing acknowledged is lost,
// doubled or changed.
func TestFaults(t *testing.T) {
	points := 0
	for _, start := range []uint64{1, 254, 255, 256, 257, 258, 511, 512, 513} {
		base := grown(t, start)
		for _, p := range countPoints(t, base, (*scenario).run) {
			points++
			name := fmt.Sprintf("%d/%s.%s/%d/%v", start, p.store, p.call, p.nth, p.kind)
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) { runPoint(t, base, start, p, (*scenario).run) })
			})
		}
	}
	t.Logf("%d points of failure", points)
}

// base is the state that a scenario starts from.
type base struct {
	ledger   notarytest.LedgerState
	anchor   []byte
	segments map[notary.SegmentName]notarytest.StoredSegment
	second   []proofs.Hash
}

// grown makes a log of that size, dated where synctest's clock starts.
func grown(t *testing.T, size uint64) base {
	var b base
	synctest.Test(t, func(t *testing.T) {
		d := newDepository(t)
		d.second = notarytest.NewSecondTree()
		n := d.open()
		var wg sync.WaitGroup
		for i := range size - 1 {
			wg.Go(func() {
				if _, err := n.Deposit(t.Context(), d.principal(), digestOnly(t, "base-"+strconv.Itoa(int(i)), "x")); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		closeNotary(t, n)
		b = base{d.ledger.Snapshot(), d.anchor.Snapshot(), d.segments.Snapshot(), d.second.Snapshot()}
	})
	return b
}

func (b base) scenario(t *testing.T) *scenario {
	d := newDepository(t)
	d.ledger.Restore(b.ledger)
	d.anchor.Restore(b.anchor)
	d.segments.Restore(b.segments)
	d.second = notarytest.NewSecondTree()
	d.second.Restore(b.second)
	for _, store := range []string{"ledger", "blobs", "anchor", "segments", "second"} {
		d.faults(store).Reset()
	}
	return &scenario{d: d, batch: 3, receipts: map[string]proofs.Receipt{}}
}

// countPoints runs the scenario without faults and lists every call it makes. The
// number of a call varies a little with how goroutines interleave; a point that is
// not reached proves nothing and harms nothing.
func countPoints(t *testing.T, b base, run func(*scenario)) (points []faultPoint) {
	synctest.Test(t, func(t *testing.T) {
		s := b.scenario(t)
		run(s)
		for _, store := range []string{"ledger", "blobs", "anchor", "segments", "second"} {
			for call, count := range s.d.faults(store).Calls() {
				for nth := 1; nth <= min(count, 12); nth++ {
					for _, kind := range notarytest.Kinds {
						points = append(points, faultPoint{store, call, nth, kind})
					}
					if call == "Commit" {
						points = append(points, faultPoint{store, call, nth, notarytest.PersistsLater})
					}
				}
			}
		}
		s.verdict(b.ledger.Head.Size)
	})
	return points
}

func runPoint(t *testing.T, b base, start uint64, p faultPoint, run func(*scenario)) {
	s := b.scenario(t)
	s.d.faults(p.store).Set(notarytest.Fault{Call: p.call, Nth: p.nth, Kind: p.kind})
	run(s)
	s.verdict(start)
}

// TestFaultsInLargeBatches fails the writes of a round whose batch itself reaches over
// the edges of tiles: the first operation's commit is held until that many wait
// behind it.
func TestFaultsInLargeBatches(t *testing.T) {
	empty := grown(t, 1)
	for _, rows := range []int{1, 254, 255, 256, 257, 258, 511, 512, 513} {
		for _, p := range []faultPoint{{"ledger", "Commit", 2, notarytest.PersistsLater}, {"ledger", "Commit", 2, 0}, {"anchor", "Advance", 1, 0}, {"ledger", "Publish", 2, 0}} {
			kinds := notarytest.Kinds
			if p.kind != notarytest.None {
				kinds = []notarytest.Kind{p.kind}
			}
			for _, kind := range kinds {
				t.Run(fmt.Sprintf("%d/%s/%v", rows, p.call, kind), func(t *testing.T) {
					t.Parallel()
					synctest.Test(t, func(t *testing.T) {
						s := empty.scenario(t)
						s.d.faults(p.store).Set(notarytest.Fault{Call: p.call, Nth: p.nth, Kind: kind})
						s.runLarge(rows)
						if fired := s.d.faults(p.store).Fired(); fired != 1 || s.d.largest < rows {
							t.Errorf("%d faults fired, the largest batch had %d rows", fired, s.d.largest)
						}
						s.verdict(1)
					})
				})
			}
		}
	}
}

// runLarge deposits once, and then that many at once behind a commit that is held.
func (s *scenario) runLarge(rows int) {
	n := s.start()
	release := make(chan struct{})
	s.d.ledger.Faults.Set(notarytest.Fault{Call: "Append", Nth: 1, Do: func() { <-release }})
	var wg sync.WaitGroup
	deposit := func(key string) {
		wg.Go(func() {
			s.persist(n, key, func() notary.Deposit { return digestOnly(s.d.t, key, key, "contract.number", "HT-1") })
		})
	}
	deposit("first")
	synctest.Wait()
	for i := range rows {
		deposit(fmt.Sprint(i))
	}
	synctest.Wait()
	close(release)
	wg.Wait()
	s.stop(n)
}

// TestTwoNotaries is I2: two notaries on one ledger and one anchor both sequence and
// both try to seal. Checkpoints never contradict one another, nothing acknowledged
// is lost, and whoever finds the anchor moved by the other stops.
func TestTwoNotaries(t *testing.T) {
	stopped := 0
	for race := range 100 {
		d := newDepository(t)
		a, b := d.open(), d.open()
		var mu sync.Mutex
		var receipts []proofs.Receipt
		var wg sync.WaitGroup
		for i := range 16 {
			n := []*notary.Notary{a, b}[i%2]
			wg.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
				defer cancel()
				for j := range 3 {
					r, err := n.Deposit(ctx, d.principal(), digestOnly(t, fmt.Sprint(i, j), "x", "contract.number", "HT-1"))
					if err != nil {
						return // stopped: the other goes on
					}
					mu.Lock()
					receipts = append(receipts, r)
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		a.Close(ctx)
		b.Close(ctx)
		cancel()
		for _, err := range d.deaths() {
			if !strings.Contains(err.Error(), "another process moved the anchor") {
				t.Fatalf("race %d: stopped by %v", race, err)
			}
		}
		stopped += len(d.deaths())
		d.check(receipts...)
		if t.Failed() {
			t.FailNow()
		}
	}
	t.Logf("the stale one stopped in %d of 100 races", stopped)
}

// A sealer that is held between signing and moving the anchor, while another takes
// over, must not let its signature out.
func TestStaleSealer(t *testing.T) {
	d := newDepository(t)
	a := d.open()
	held, release := make(chan struct{}), make(chan struct{})
	d.anchor.Faults.Set(hold("Advance", held, release))
	answer := make(chan error, 1)
	go func() {
		_, err := a.Deposit(t.Context(), d.principal(), digestOnly(t, "a", "x"))
		answer <- err
	}()
	<-held
	d.anchor.Faults.Reset()
	b := d.open()
	r, err := b.Deposit(t.Context(), d.principal(), digestOnly(t, "b", "x"))
	if err != nil {
		t.Fatal(err)
	}
	close(release)
	if err := <-answer; err == nil {
		t.Error("the stale sealer answered with a receipt")
	}
	if died := d.deaths(); len(died) != 1 || !strings.Contains(died[0].Error(), "another process moved the anchor") {
		t.Errorf("the stale sealer did not stop: %v", died)
	}
	closeNotary(t, b)
	a.Close(t.Context())
	if note, ok := d.notes[2]; ok && !strings.Contains(note, "\n2\n") {
		t.Errorf("published %q", note)
	}
	d.check(r)
}

// TestRollback is I3 for ledger and anchor.
func TestRollback(t *testing.T) {
	d := newDepository(t)
	n := d.open()
	put := func(n *notary.Notary, from, to int) (out []proofs.Receipt) {
		for i := from; i < to; i++ {
			r, err := n.Deposit(t.Context(), d.principal(), digestOnly(t, strconv.Itoa(i), "x"))
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, r)
		}
		return out
	}
	receipts := put(n, 0, 300)
	closeNotary(t, n)
	oldLedger, oldAnchor := d.ledger.Snapshot(), d.anchor.Snapshot()
	n = d.open()
	receipts = append(receipts, put(n, 300, 600)...)
	closeNotary(t, n)
	newLedger, newAnchor := d.ledger.Snapshot(), d.anchor.Snapshot()

	t.Run("old ledger", func(t *testing.T) {
		d.ledger.Restore(oldLedger)
		_, err := notary.Open(t.Context(), d.config())
		if err == nil || !strings.Contains(err.Error(), "301") || !strings.Contains(err.Error(), "601") {
			t.Errorf("Open names not both sizes: %v", err)
		}
	})
	t.Run("old anchor", func(t *testing.T) {
		d.ledger.Restore(newLedger)
		d.anchor.Restore(oldAnchor)
		n := d.open()
		defer closeNotary(t, n)
		if string(d.anchor.Snapshot()) != string(newAnchor) {
			t.Error("an anchor older than the ledger was not advanced")
		}
		receipts = append(receipts, put(n, 600, 601)...)
	})
	d.check(receipts...)
	t.Run("lagging second anchor", func(t *testing.T) {
		second := notarytest.NewAnchor(oldAnchor)
		d.anchors = []notary.Anchor{second, d.anchor}
		defer func() { d.anchors = nil }()
		n := d.open()
		defer closeNotary(t, n)
		put(n, 601, 602)
		if string(second.Snapshot()) != string(d.anchor.Snapshot()) {
			t.Error("the anchors differ after a seal")
		}
	})
	t.Run("another history", func(t *testing.T) {
		other := newDepository(t)
		n := other.open()
		for i := range 700 {
			if _, err := n.Deposit(t.Context(), other.principal(), digestOnly(t, strconv.Itoa(i), "other")); err != nil {
				t.Fatal(err)
			}
		}
		closeNotary(t, n)
		other.anchor = d.anchor
		_, err := notary.Open(t.Context(), other.config())
		if err == nil || !strings.Contains(err.Error(), "another history") {
			t.Errorf("Open of another history: %v", err)
		}
	})
	t.Run("missing anchor", func(t *testing.T) {
		d.anchor.Restore(nil)
		if _, err := notary.Open(t.Context(), d.config()); err == nil {
			t.Error("Open made do without an anchor")
		}
	})
}

// TestClock is the heart of I14: a clock that jumps gives no time at all.
func TestClock(t *testing.T) {
	for _, jump := range []time.Duration{time.Hour, -time.Hour, 10 * 365 * 24 * time.Hour, -10 * 365 * 24 * time.Hour, 3 * time.Second, -3 * time.Second} {
		t.Run(jump.String(), func(t *testing.T) {
			var mu sync.Mutex
			var offset time.Duration
			d := newDepositoryAt(t, func() time.Time {
				mu.Lock()
				defer mu.Unlock()
				return time.Now().Add(offset)
			})
			shift := func(by time.Duration) { mu.Lock(); offset = by; mu.Unlock() }
			n := d.opened()
			first, err := n.Deposit(t.Context(), d.principal(), digestOnly(t, "before", "x"))
			if err != nil {
				t.Fatal(err)
			}
			shift(jump)
			if _, err := n.Deposit(t.Context(), d.principal(), digestOnly(t, "during", "x")); !errors.Is(err, notary.ErrClock) {
				t.Errorf("with the clock %v off: %v", jump, err)
			}
			if len(n.Status(t.Context()).Problems) == 0 {
				t.Error("Status sees no problem")
			}
			shift(0)
			after, err := n.Deposit(t.Context(), d.principal(), digestOnly(t, "during", "x"))
			if err != nil {
				t.Fatal(err)
			}
			if after.Entry.Time.Sub(first.Entry.Time) > time.Minute {
				t.Error("the log was poisoned by a time to come")
			}
			d.check(first, after)
		})
	}
}

// A clock that steps back a little, but not behind the newest entry, is not believed
// either: the entry would be dated before it was received.
func TestClockStepsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var offset time.Duration
		var mu sync.Mutex
		d := newDepositoryAt(t, func() time.Time { mu.Lock(); defer mu.Unlock(); return time.Now().Add(offset) })
		n := d.open()
		defer closeNotary(t, n)
		time.Sleep(time.Minute)
		mu.Lock()
		offset = -30 * time.Second
		mu.Unlock()
		if _, err := n.Deposit(t.Context(), d.principal(), digestOnly(t, "k", "x")); !errors.Is(err, notary.ErrClock) {
			t.Errorf("with the clock 30 s back: %v", err)
		}
	})
}

// slowLedger is long under way with every Append, before it reads its clock or after.
type slowLedger struct {
	notary.Ledger
	before, after time.Duration
	meanwhile     func()
}

func (s slowLedger) Append(ctx context.Context, l notary.Lookups, build func(notary.State) (*notary.Batch, error)) error {
	time.Sleep(s.before)
	return s.Ledger.Append(ctx, l, func(state notary.State) (*notary.Batch, error) {
		if s.meanwhile != nil {
			s.meanwhile()
			state.Now = state.Now.Add(time.Minute)
		}
		time.Sleep(s.after)
		return build(state)
	})
}

// A ledger that takes its time does not make its clock a wrong one; a clock that jumps
// meanwhile is one all the same.
func TestClockOfASlowLedger(t *testing.T) {
	for what, slow := range map[string]slowLedger{
		"before": {before: 5 * time.Second},
		"after":  {after: 5 * time.Second},
		"jumps":  {after: 5 * time.Second, meanwhile: func() {}},
	} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newDepository(t)
				c := d.config()
				slow.Ledger = c.Ledger
				c.Ledger = slow
				n, err := notary.Open(t.Context(), c)
				if err != nil {
					t.Fatal(err)
				}
				defer closeNotary(t, n)
				for i := range 3 {
					begun := time.Now()
					r, err := n.Deposit(t.Context(), d.principal(), digestOnly(t, strconv.Itoa(i), "x"))
					switch {
					case slow.meanwhile != nil:
						if !errors.Is(err, notary.ErrClock) {
							t.Errorf("with a clock that jumped: %v", err)
						}
					case err != nil:
						t.Error(err)
					case r.Entry.Time.Before(begun.Truncate(time.Millisecond)) || r.Entry.Time.After(time.Now()):
						t.Errorf("dated %v, deposited from %v to %v", r.Entry.Time, begun, time.Now())
					}
				}
			})
		})
	}
}

// A start a day and more after the newest entry asks for a word from the operator.
func TestClockGap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDepository(t)
		time.Sleep(25 * time.Hour)
		c := d.config()
		if _, err := notary.Open(t.Context(), c); !errors.Is(err, notary.ErrClock) {
			t.Errorf("Open after 25 hours: %v", err)
		}
		c.AcceptClock = true
		n, err := notary.Open(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		closeNotary(t, n)
	})
}

// A storage that lies is found out before its lie is told on.
func TestLies(t *testing.T) {
	for _, p := range []struct{ store, call string }{{"ledger", "Commit"}, {"ledger", "Publish"}, {"blobs", "Put"}, {"segments", "Put"}, {"anchor", "Advance"}} {
		t.Run(p.store+"."+p.call, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newDepository(t)
				n := d.open()
				d.faults(p.store).Set(notarytest.Fault{Call: p.call, Nth: d.faults(p.store).Calls()[p.call] + 1, Kind: notarytest.Lies})
				var receipts []proofs.Receipt
				for i := range 4 {
					ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
					r, err := n.Deposit(ctx, d.principal(), original(t, strconv.Itoa(i), "x"))
					cancel()
					if err == nil {
						receipts = append(receipts, r)
					}
				}
				ctx, cancel := context.WithTimeout(context.Background(), time.Second)
				n.Close(ctx)
				cancel()
				if p.store == "blobs" || p.store == "segments" {
					report, err := notary.Fsck(context.Background(), d.config(), nil)
					if err != nil || report.Clean() {
						t.Errorf("fsck did not miss what was never stored: %v", err)
					}
				}
				d.check(receipts...)
			})
		})
	}
}
