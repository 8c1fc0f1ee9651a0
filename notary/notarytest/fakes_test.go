package notarytest_test

import (
	"bytes"
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/notary/notarytest"
	"github.com/muniment/muniment/storage/storagetest"
)

func TestLedger(t *testing.T) {
	storagetest.Ledger(t, func(t *testing.T) storagetest.Harness {
		l := notarytest.NewLedger(nil)
		return storagetest.Harness{Ledger: l, Reopen: func() storagetest.LedgerDriver {
			again := notarytest.NewLedger(nil)
			again.Restore(l.Snapshot())
			l = again
			return l
		}}
	})
}

func TestBlobs(t *testing.T) {
	storagetest.Blobs(t, storagetest.BlobsHarness{
		New: func(testing.TB) notary.Blobs { return notarytest.NewBlobs(nil) },
		// Two Puts differ as far as the machine's clock tells them apart.
		Resolution: 5 * time.Millisecond,
	})
}

func TestSegments(t *testing.T) {
	storagetest.Segments(t, storagetest.SegmentsHarness{
		New: func(testing.TB) notary.Segments { return notarytest.NewSegments() },
	})
}

func TestAnchor(t *testing.T) {
	storagetest.Anchor(t, storagetest.AnchorHarness{
		New:     func(_ testing.TB, body []byte) notary.Anchor { return notarytest.NewAnchor(body) },
		Second:  func(_ testing.TB, a notary.Anchor) notary.Anchor { return a },
		Missing: func(testing.TB) (notary.Anchor, error) { return notarytest.NewAnchor(nil), nil },
	})
}

func TestSecondTree(t *testing.T) {
	storagetest.SecondTree(t, storagetest.SecondTreeHarness{
		New:    func(testing.TB) notary.SecondTree { return notarytest.NewSecondTree() },
		Reopen: func(_ testing.TB, s notary.SecondTree) notary.SecondTree { return s },
	})
}

func TestPeers(t *testing.T) {
	storagetest.Peers(t, storagetest.PeersHarness{New: func(testing.TB) (a, b notary.Peers) {
		p := notarytest.NewPeers(nil)
		return p, p.Replica()
	}})
}

// done says which kinds leave the call's effect behind.
var done = map[notarytest.Kind]bool{
	notarytest.FailsYetPersisted: true, notarytest.TimesOutYetPersisted: true, notarytest.CancelledYetPersisted: true,
}

// checkError: a kind's error, and that a call which times out waits for its context.
func checkError(t *testing.T, kind notarytest.Kind, err error, ctx context.Context) {
	t.Helper()
	want := map[notarytest.Kind]error{
		notarytest.Fails: notarytest.ErrInjected, notarytest.FailsYetPersisted: notarytest.ErrInjected,
		notarytest.TimesOut: context.DeadlineExceeded, notarytest.TimesOutYetPersisted: context.DeadlineExceeded,
		notarytest.Cancelled: context.Canceled, notarytest.CancelledYetPersisted: context.Canceled,
	}[kind]
	if !errors.Is(err, want) {
		t.Errorf("%v: %v, want %v", kind, err, want)
	}
	if waited := ctx.Err() != nil; waited != (want == context.DeadlineExceeded) {
		t.Errorf("%v: the context is done: %v", kind, waited)
	}
}

func soon(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// TestLedgerFaults appends three batches, the second of which meets each fault at
// each of its two points.
func TestLedgerFaults(t *testing.T) { synctest.Test(t, ledgerFaults) }

func ledgerFaults(t *testing.T) {
	for _, call := range []string{"Append", "Commit"} {
		for _, kind := range notarytest.Kinds {
			l, log := notarytest.NewLedger(nil), storagetest.NewLog()
			must(t, log.Append(t.Context(), l, storagetest.Spec{}))
			l.Faults.Set(notarytest.Fault{Call: call, Nth: 2, Kind: kind})
			second, built := log.Batch(storagetest.Spec{}, storagetest.Spec{}), false
			ctx := soon(t)
			err := l.Append(ctx, notary.Lookups{}, func(notary.State) (*notary.Batch, error) {
				built = true
				return second, nil
			})
			checkError(t, kind, err, ctx)
			if want := call == "Commit" || done[kind]; built != want {
				t.Errorf("%s %v: build was called: %v", call, kind, built)
			}
			committed, err := l.Committed(t.Context(), second.Head.Batch)
			if err != nil || committed != done[kind] {
				t.Errorf("%s %v: Committed = %v, %v", call, kind, committed, err)
			}
			if committed {
				log.Took(second)
			}
			must(t, log.Check(t.Context(), l))
			must(t, log.Append(t.Context(), l, storagetest.Spec{}))
			must(t, log.Check(t.Context(), l))
			if l.Faults.Fired() != 1 || l.Faults.Calls()["Append"] != 3 {
				t.Errorf("%s %v: %d faults fired, calls %v", call, kind, l.Faults.Fired(), l.Faults.Calls())
			}
		}
	}
}

// TestLedgerPersistsLater: a commit on which the client hung up is not seen at the
// head, and comes about under the lock that Committed takes.
func TestLedgerPersistsLater(t *testing.T) {
	l, log := notarytest.NewLedger(nil), storagetest.NewLog()
	l.Faults.Set(notarytest.Fault{Call: "Commit", Nth: 1, Kind: notarytest.PersistsLater})
	b := log.Batch(storagetest.Spec{})
	build := func(notary.State) (*notary.Batch, error) { return b, nil }
	if err := l.Append(t.Context(), notary.Lookups{}, build); !errors.Is(err, notarytest.ErrInjected) {
		t.Fatalf("Append: %v", err)
	}
	if head, err := l.Head(t.Context()); err != nil || head.Size != 0 {
		t.Errorf("head %+v, %v: too early", head, err)
	}
	if committed, err := l.Committed(t.Context(), b.Head.Batch); err != nil || !committed {
		t.Errorf("Committed = %v, %v", committed, err)
	}
	log.Took(b)
	must(t, log.Check(t.Context(), l))
}

func TestLedgerLies(t *testing.T) {
	l, log := notarytest.NewLedger(nil), storagetest.NewLog()
	l.Faults.Set(notarytest.Fault{Call: "Commit", Kind: notarytest.Lies})
	must(t, log.Append(t.Context(), l, storagetest.Spec{}))
	if err := log.Check(t.Context(), l); !errors.Is(err, storagetest.ErrDiffers) {
		t.Errorf("Check of a ledger that lied: %v", err)
	}
}

// TestLedgerShared: who waits for the head is let go by its context, and comes
// next when the lock is free.
func TestLedgerShared(t *testing.T) { synctest.Test(t, ledgerShared) }

func ledgerShared(t *testing.T) {
	l, log := notarytest.NewLedger(nil), storagetest.NewLog()
	stopped, proceed := make(chan struct{}), make(chan struct{})
	l.Faults.Set(notarytest.Fault{Call: "Commit", Nth: 1, Do: func() { close(stopped); <-proceed }})
	first := make(chan error)
	go func() { first <- log.Append(t.Context(), l, storagetest.Spec{}) }()
	<-stopped
	nothing := func(notary.State) (*notary.Batch, error) { return nil, nil }
	if err := l.Append(soon(t), notary.Lookups{}, nothing); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Append beside one that stands still: %v", err)
	}
	if _, err := l.Committed(soon(t), notary.ID{1}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Committed beside an Append that stands still: %v", err)
	}
	if _, err := l.Head(t.Context()); err != nil {
		t.Errorf("Head beside an Append that stands still: %v", err)
	}
	close(proceed)
	must(t, <-first)
	must(t, l.Append(t.Context(), notary.Lookups{}, nothing))
	must(t, log.Check(t.Context(), l))
}

func TestLedgerBuildPanics(t *testing.T) { synctest.Test(t, ledgerBuildPanics) }

func ledgerBuildPanics(t *testing.T) {
	l := notarytest.NewLedger(nil)
	func() {
		defer func() { recover() }()
		l.Append(t.Context(), notary.Lookups{}, func(notary.State) (*notary.Batch, error) { panic("build") })
	}()
	if _, err := l.Committed(soon(t), notary.ID{1}); err != nil {
		t.Errorf("the lock of the head was left behind: %v", err)
	}
}

func TestLedgerSnapshot(t *testing.T) {
	l, log := notarytest.NewLedger(nil), storagetest.NewLog()
	must(t, log.Append(t.Context(), l, storagetest.Spec{}, storagetest.Spec{}))
	old := l.Snapshot()
	oldLog := *log
	must(t, log.Append(t.Context(), l, storagetest.Spec{}))
	newer := l.Snapshot()
	if reflect.DeepEqual(old, newer) {
		t.Fatal("a snapshot changed after it was taken")
	}
	l.Restore(old)
	must(t, oldLog.Check(t.Context(), l))
	l.Corrupt(func(s *notarytest.LedgerState) { s.Rows[1].Entry[0] ^= 1 })
	if err := oldLog.Check(t.Context(), l); !errors.Is(err, storagetest.ErrDiffers) {
		t.Errorf("Check of a corrupted ledger: %v", err)
	}
	l.Restore(old)
	must(t, oldLog.Check(t.Context(), l))
	old.Rows[0].Entry[0] ^= 1
	must(t, oldLog.Check(t.Context(), l))
	l.Restore(newer)
	must(t, log.Check(t.Context(), l))
}

func TestBlobsFaults(t *testing.T) { synctest.Test(t, blobsFaults) }

func blobsFaults(t *testing.T) {
	name := notary.ID{1}.String() + "/" + notary.ID{2}.String()
	for _, kind := range append(notarytest.Kinds, notarytest.Lies) {
		b := notarytest.NewBlobs(nil)
		b.Faults.Set(notarytest.Fault{Call: "Put", Nth: 1, Kind: kind}, notarytest.Fault{Call: "Delete", Nth: 1, Kind: kind})
		ctx := soon(t)
		n, err := b.Put(ctx, name, strings.NewReader("document"))
		if kind == notarytest.Lies {
			if n != 8 || err != nil {
				t.Errorf("a lying Put = %d, %v", n, err)
			}
		} else {
			checkError(t, kind, err, ctx)
		}
		if _, there := b.Snapshot()[name]; there != done[kind] {
			t.Errorf("Put %v: stored: %v", kind, there)
		}
		b.Restore(map[string]notarytest.Object{name: {Content: []byte("document")}})
		_ = b.Delete(soon(t), name)
		if _, there := b.Snapshot()[name]; there == done[kind] {
			t.Errorf("Delete %v: still stored: %v", kind, there)
		}
	}
	for _, kind := range notarytest.Kinds {
		b := notarytest.NewBlobs(nil)
		b.Restore(map[string]notarytest.Object{name: {Content: []byte("document")}})
		b.Faults.Set(notarytest.Fault{Call: "ReadAt", Nth: 2, Kind: kind})
		o, err := b.Open(t.Context(), name)
		must(t, err)
		b.Corrupt(func(objects map[string]notarytest.Object) { objects[name].Content[0] ^= 1 })
		p := make([]byte, 8)
		if _, err := o.ReadAt(p, 0); err != nil || string(p) != "document" {
			t.Errorf("ReadAt = %q, %v", p, err)
		}
		if n, err := o.ReadAt(p, 0); err == nil || n != 0 {
			t.Errorf("ReadAt %v = %d, %v", kind, n, err)
		}
		if o, err = b.Open(t.Context(), name); err != nil {
			t.Fatal(err)
		}
		if _, err := o.ReadAt(p, 0); err != nil || string(p) != "eocument" {
			t.Errorf("ReadAt of a corrupted object = %q, %v", p, err)
		}
	}
}

func TestAnchorFaults(t *testing.T) { synctest.Test(t, anchorFaults) }

func anchorFaults(t *testing.T) {
	for _, kind := range append(notarytest.Kinds, notarytest.Lies) {
		a := notarytest.NewAnchor([]byte("prev"))
		a.Faults.Set(notarytest.Fault{Call: "Advance", Nth: 1, Kind: kind})
		ctx := soon(t)
		err := a.Advance(ctx, []byte("prev"), []byte("next"))
		if kind == notarytest.Lies {
			must(t, err)
		} else {
			checkError(t, kind, err, ctx)
		}
		if advanced := bytes.Equal(a.Snapshot(), []byte("next")); advanced != done[kind] {
			t.Errorf("%v: advanced: %v", kind, advanced)
		}
		// A conflict is the truth, whatever else goes wrong.
		a.Faults.Set(notarytest.Fault{Call: "Advance", Nth: 2, Kind: notarytest.FailsYetPersisted})
		if err := a.Advance(t.Context(), []byte("other"), []byte("x")); !errors.Is(err, notary.ErrConflict) {
			t.Errorf("Advance from another body: %v", err)
		}
	}
}

func TestFaults(t *testing.T) {
	a := notarytest.NewAnchor([]byte("0"))
	load := func() error { _, err := a.Load(t.Context()); return err }
	own := errors.New("own")
	a.Faults.Set(
		notarytest.Fault{Call: "Load", Nth: 2, Kind: notarytest.Fails, Err: own},
		notarytest.Fault{Call: "Load", Nth: 2, Kind: notarytest.Cancelled}, // the first set wins
	)
	must(t, load())
	if err := load(); !errors.Is(err, own) {
		t.Errorf("call 2: %v", err)
	}
	must(t, load())
	a.Faults.Choose(func(call string, nth int) notarytest.Fault {
		if call == "Load" && nth == 5 {
			return notarytest.Fault{Kind: notarytest.Fails}
		}
		return notarytest.Fault{}
	})
	must(t, load())
	if err := load(); !errors.Is(err, notarytest.ErrInjected) {
		t.Errorf("the chosen fault: %v", err)
	}
	if got := a.Faults.Calls(); !reflect.DeepEqual(got, map[string]int{"Load": 5}) || a.Faults.Fired() != 2 {
		t.Errorf("calls %v, fired %d", got, a.Faults.Fired())
	}
	a.Faults.Reset()
	a.Faults.Set(notarytest.Fault{Call: "Load", Kind: notarytest.Fails})
	for range 3 {
		if err := load(); !errors.Is(err, notarytest.ErrInjected) {
			t.Errorf("a fault of every call: %v", err)
		}
	}
	for _, wrong := range []notarytest.Fault{
		{Call: "Laod", Kind: notarytest.Fails}, {Call: "Commit", Kind: notarytest.Fails}, {Call: "Load", Kind: notarytest.Lies},
		{Call: "Advance", Kind: notarytest.PersistsLater}, {Call: "Load", Kind: 99},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("Set accepted %+v", wrong)
				}
			}()
			a.Faults.Set(wrong)
		}()
	}
}

func TestCancelledBeforehand(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	l, a := notarytest.NewLedger(nil), notarytest.NewAnchor([]byte("0"))
	called := false
	err := l.Append(ctx, notary.Lookups{}, func(notary.State) (*notary.Batch, error) {
		called = true
		return nil, nil
	})
	if !errors.Is(err, context.Canceled) || called {
		t.Errorf("Append: %v, build called: %v", err, called)
	}
	if err := a.Advance(ctx, []byte("0"), []byte("1")); !errors.Is(err, context.Canceled) || string(a.Snapshot()) != "0" {
		t.Errorf("Advance: %v", err)
	}
}

func TestClock(t *testing.T) {
	at := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	clock := func() time.Time { return at }
	l, b := notarytest.NewLedger(clock), notarytest.NewBlobs(clock)
	if now, err := l.Now(t.Context()); err != nil || !now.Equal(at) {
		t.Errorf("Now = %v, %v", now, err)
	}
	name := notary.ID{1}.String() + "/" + notary.ID{2}.String()
	_, err := b.Put(t.Context(), name, strings.NewReader("x"))
	must(t, err)
	if got := b.Snapshot()[name].Stored; !got.Equal(at) {
		t.Errorf("stored at %v", got)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
