package notary_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/notary/notarytest"
)

// breakage is one way in which what the notary depends on breaks.
type breakage struct {
	name string
	harm func(w *world)
	mend func(w *world) // nil: it never is
	// busy: a deposit is under way, without which nobody could know.
	busy bool
	want error // one of Status's problems
}

// world is a notary and what surrounds it.
type world struct {
	*depository
	n      *notary.Notary
	offset atomic.Int64 // of the clock
	full   atomic.Bool  // the disk
	hang   chan struct{}
}

func (w *world) fault(store, call string, kind notarytest.Kind) {
	w.faults(store).Set(notarytest.Fault{Call: call, Kind: kind})
}

// stuck makes a call hang that does not heed its context, as one on a dead disk.
func (w *world) stuck(store, call string) {
	hang := make(chan struct{})
	w.hang = hang
	w.faults(store).Set(notarytest.Fault{Call: call, Do: func() { <-hang }})
}

func (w *world) works() {
	for _, store := range []string{"ledger", "blobs", "anchor", "second"} {
		w.faults(store).Reset()
	}
	if w.hang != nil {
		close(w.hang)
		w.hang = nil
	}
}

// damage flips a bit of a deposit, and reads it.
func (w *world) damage() {
	r, err := w.n.Deposit(w.t.Context(), w.principal(), digestOnly(w.t, "damaged", "x"))
	if err != nil {
		w.t.Fatal(err)
	}
	w.ledger.Corrupt(func(s *notarytest.LedgerState) { s.Rows[r.Index].Body[20] ^= 1 })
	id, _ := notary.ParseID(text(r, "id"))
	if _, err := w.n.Receipt(w.t.Context(), w.principal(), id); !errors.Is(err, notary.ErrDamaged) {
		w.t.Errorf("Receipt of a damaged deposit: %v", err)
	}
}

func breakages() []breakage {
	var all []breakage
	for _, c := range []struct {
		store, call string
		busy        bool
	}{
		{"ledger", "Now", false}, {"ledger", "Head", false}, {"ledger", "Commit", true}, {"ledger", "Publish", true},
		{"blobs", "Probe", false}, {"anchor", "Load", false}, {"anchor", "Advance", true},
		{"second", "TreeHead", false}, {"second", "Extend", true},
	} {
		for _, kind := range []notarytest.Kind{notarytest.Fails, notarytest.TimesOut} {
			if c.busy && kind == notarytest.TimesOut && c.call != "Commit" {
				kind = notarytest.Cancelled
			}
			all = append(all, breakage{
				name: fmt.Sprintf("%s.%s %v", c.store, c.call, kind),
				harm: func(w *world) { w.fault(c.store, c.call, kind) }, mend: (*world).works, busy: c.busy,
			})
		}
		if c.call == "Now" {
			continue // Status asks it too, within the caller's patience
		}
		want := notary.ErrUnavailable
		if c.store == "second" {
			want = notary.ErrOpinion
		}
		all = append(all, breakage{
			name: fmt.Sprintf("%s.%s hangs", c.store, c.call),
			harm: func(w *world) { w.stuck(c.store, c.call) }, mend: (*world).works, busy: c.busy, want: want,
		})
	}
	return append(all,
		breakage{name: "clock an hour ahead", harm: func(w *world) { w.offset.Store(int64(time.Hour)) }, mend: func(w *world) { w.offset.Store(0) }, want: notary.ErrClock},
		breakage{name: "clock an hour behind", harm: func(w *world) { w.offset.Store(int64(-time.Hour)) }, mend: func(w *world) { w.offset.Store(0) }, want: notary.ErrClock},
		breakage{name: "disk at its watermark", harm: func(w *world) { w.full.Store(true) }, mend: func(w *world) { w.full.Store(false) }, want: notary.ErrNoRoom},
		breakage{name: "a flipped bit, found by a reader", harm: (*world).damage, want: notary.ErrDamaged},
	)
}

// TestReadinessTellsTheTruth is I26: each dependency breaks in each way, and Status
// says so in less than five seconds; it is mended, and Status says that too.
func TestReadinessTellsTheTruth(t *testing.T) {
	for _, b := range breakages() {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, b.run)
		})
	}
}

func (b breakage) run(t *testing.T) {
	w := &world{}
	w.depository = newDepositoryAt(t, func() time.Time { return time.Now().Add(time.Duration(w.offset.Load())) })
	w.second = notarytest.NewSecondTree()
	c := w.config()
	c.Room = func() error {
		if w.full.Load() {
			return notary.ErrNoRoom
		}
		return nil
	}
	var err error
	if w.n, err = notary.Open(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	defer closeNotary(t, w.n)
	time.Sleep(10 * time.Second)
	if problems := w.problems(); len(problems) > 0 {
		t.Fatalf("before anything broke: %v", problems)
	}

	b.harm(w)
	var deposits sync.WaitGroup
	defer deposits.Wait()
	if b.busy {
		deposits.Go(func() { w.n.Deposit(t.Context(), w.principal(), digestOnly(t, "busy", "x")) })
	}
	took := w.until(func(problems []error) bool { return len(problems) > 0 })
	t.Logf("unready after %v: %v", took, w.problems())
	if took >= 5*time.Second {
		t.Errorf("unready after %v", took)
	}
	if problems := w.problems(); b.want != nil && !errors.Is(errors.Join(problems...), b.want) {
		t.Errorf("%v, want %v", problems, b.want)
	}
	if b.mend == nil {
		time.Sleep(time.Minute)
		if len(w.problems()) == 0 {
			t.Error("it is forgotten, and was never mended")
		}
		return
	}
	time.Sleep(time.Minute)
	if len(w.problems()) == 0 && !b.busy { // nobody deposits, so nobody can know more
		t.Error("it is forgotten while it lasts")
	}

	b.mend(w)
	// A fault of the sequencer is forgotten after ten seconds without another.
	if took := w.until(func(problems []error) bool { return len(problems) == 0 }); took > 11*time.Second {
		t.Errorf("ready again after %v: %v", took, w.problems())
	}
	if _, err := w.n.Deposit(t.Context(), w.principal(), digestOnly(t, "afterwards", "x")); err != nil {
		t.Error(err)
	}
}

// TestScrubberWaitsForAStore: a store that does not answer while the scrubber reads it
// is no damage, and leaves none behind.
func TestScrubberWaitsForAStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{depository: opinionated(t)}
		w.n = w.open()
		defer closeNotary(t, w.n)
		if _, err := w.n.Deposit(t.Context(), w.principal(), original(t, "k", "document")); err != nil {
			t.Fatal(err)
		}
		w.fault("blobs", "Open", notarytest.Fails)
		w.fault("blobs", "Probe", notarytest.Fails)
		time.Sleep(5 * time.Second)
		if w.blobs.Faults.Calls()["Open"] == 0 {
			t.Error("the scrubber did not come by")
		}
		w.works()
		time.Sleep(5 * time.Second)
		if problems := w.problems(); len(problems) > 0 {
			t.Errorf("afterwards: %v", problems)
		}
		if w.blobs.Faults.Calls()["Open"] == 0 {
			t.Error("the scrubber did not come back")
		}
		// Nor is one that fails in the middle and works again when it is asked about that.
		for _, f := range []struct{ store, call string }{{"blobs", "Open"}, {"ledger", "Row"}, {"ledger", "Hashes"}, {"ledger", "Operation"}} {
			if _, err := w.n.Deposit(t.Context(), w.principal(), original(t, f.call, "document")); err != nil {
				t.Fatal(err)
			}
			w.faults(f.store).Reset()
			w.faults(f.store).Set(notarytest.Fault{Call: f.call, Nth: 1, Kind: notarytest.Fails})
			time.Sleep(5 * time.Second)
			if problems := w.problems(); len(problems) > 0 || w.faults(f.store).Fired() == 0 {
				t.Errorf("after %s failed %d times: %v", f.call, w.faults(f.store).Fired(), problems)
			}
		}
		w.works()
		// What is missing while the store works is damage.
		w.blobs.Restore(nil)
		if _, err := w.n.Deposit(t.Context(), w.principal(), original(t, "l", "document")); err != nil {
			t.Fatal(err)
		}
		w.blobs.Restore(nil)
		time.Sleep(5 * time.Second)
		if problems := w.problems(); len(problems) != 1 || !errors.Is(problems[0], notary.ErrDamaged) {
			t.Errorf("with a document lost: %v", problems)
		}
	})
}

func (w *world) problems() []error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	return w.n.Status(ctx).Problems
}

// until returns how long it took until Status was as wanted, 30 s at most.
func (w *world) until(wanted func([]error) bool) time.Duration {
	begun := time.Now()
	for time.Since(begun) < 30*time.Second {
		if wanted(w.problems()) {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	return time.Since(begun)
}
