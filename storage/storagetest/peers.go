package storagetest

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/muniment/muniment/notary"
)

// PeersHarness is how the suite Peers reaches the driver under test.
type PeersHarness struct {
	// New returns the two of two replicas that share a ledger on which there is no lease.
	// What it opens it closes by t.Cleanup.
	New func(t testing.TB) (a, b notary.Peers)
}

// Bounds of the suite. A lease that must run out is short; one that must not is longer
// than any pause of a busy machine. What is announced is heard much sooner than peersWait.
const (
	peersShort = 300 * time.Millisecond
	peersLong  = time.Minute
	peersWait  = 10 * time.Second
)

// Peers runs every sentence of the contract of notary.Peers against a driver.
func Peers(t *testing.T, h PeersHarness) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, PeersHarness)
	}{
		{"Lead", peersLead},
		{"LeaseRunsOut", peersLeaseRunsOut},
		{"RacingLeaders", peersRacingLeaders},
		{"Resign", peersResign},
		{"Announce", peersAnnounce},
		{"AnnouncedBetween", peersAnnouncedBetween},
		{"ManyAnnounced", peersManyAnnounced},
		{"ListenEnds", peersListenEnds},
		{"ContextFails", peersContextFails},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, h) })
	}
}

var (
	peerA = notary.ID{15: 0xa}
	peerB = notary.ID{15: 0xb}
)

func peersLead(t *testing.T, h PeersHarness) {
	a, b := h.New(t)
	peersMustLead(t, a, peerA, peersLong, true)
	peersMustLead(t, b, peerB, peersShort, false)
	peersMustLead(t, a, peerA, peersLong, true)
	// The lease is the holder's, through whichever connection it asks; and who asked in
	// vain has not become it.
	peersMustLead(t, b, peerA, peersLong, true)
	peersMustLead(t, a, peerB, peersShort, false)
}

func peersLeaseRunsOut(t *testing.T, h PeersHarness) {
	a, b := h.New(t)
	began := time.Now()
	peersMustLead(t, a, peerA, 2*peersShort, true)
	time.Sleep(peersShort)
	renewed := time.Now()
	peersMustLead(t, a, peerA, 2*peersShort, true)
	peersUntilLead(t, b, peerB, peersLong)
	if held := time.Since(renewed); held < 2*peersShort {
		t.Errorf("a lease of %v was taken %v after it was extended, %v after it began", 2*peersShort, held, time.Since(began))
	}
	peersMustLead(t, a, peerA, peersLong, false)
	peersMustLead(t, b, peerB, peersShort, true) // to extend may be to shorten
	peersUntilLead(t, a, peerA, peersLong)
}

// peersUntilLead asks for the lease until it is given.
func peersUntilLead(t *testing.T, p notary.Peers, holder notary.ID, lease time.Duration) {
	t.Helper()
	for deadline := time.Now().Add(peersWait); ; time.Sleep(time.Millisecond) {
		leads, err := p.Lead(t.Context(), holder, lease)
		must(t, err)
		if leads {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("a lease does not run out")
		}
	}
}

func peersRacingLeaders(t *testing.T, h PeersHarness) {
	a, b := h.New(t)
	for range 10 {
		var wg sync.WaitGroup
		var leaders atomic.Int32
		for i := range 8 {
			holder, p := notary.ID{15: byte(i + 1)}, []notary.Peers{a, b}[i%2]
			wg.Go(func() {
				leads, err := p.Lead(t.Context(), holder, peersLong)
				if err != nil {
					t.Error(err)
				}
				if leads {
					leaders.Add(1)
				}
			})
		}
		wg.Wait()
		if n := leaders.Load(); n != 1 {
			t.Fatalf("%d of 8 replicas lead", n)
		}
		for i := range 8 {
			must(t, a.Resign(t.Context(), notary.ID{15: byte(i + 1)}))
		}
	}
}

func peersResign(t *testing.T, h PeersHarness) {
	a, b := h.New(t)
	must(t, a.Resign(t.Context(), peerA)) // of a lease that nobody has
	peersMustLead(t, a, peerA, peersLong, true)
	must(t, b.Resign(t.Context(), peerB))
	peersMustLead(t, b, peerB, peersLong, false)
	must(t, a.Resign(t.Context(), peerA))
	peersMustLead(t, b, peerB, peersLong, true)
	must(t, a.Resign(t.Context(), peerA))
	peersMustLead(t, a, peerA, peersLong, false)
}

func peersMustLead(t *testing.T, p notary.Peers, holder notary.ID, lease time.Duration, want bool) {
	t.Helper()
	if leads, err := p.Lead(t.Context(), holder, lease); err != nil || leads != want {
		t.Fatalf("lead is %v, %v, want %v", leads, err, want)
	}
}

func peersAnnounce(t *testing.T, h PeersHarness) {
	a, b := h.New(t)
	for _, news := range []notary.News{notary.NewsCommitted, notary.NewsPublished, notary.NewsCommitted | notary.NewsPublished} {
		peersSilent(t, a)
		peersSilent(t, b)
		heardA, heardB := peersHear(t, a), peersHear(t, b)
		must(t, a.Announce(t.Context(), news))
		peersMustHear(t, "who announced", heardA, news)
		peersMustHear(t, "the other", heardB, news)
	}
}

// peersAnnouncedBetween: what was announced while nobody listened, after one had, is
// not missed.
func peersAnnouncedBetween(t *testing.T, h PeersHarness) {
	a, b := h.New(t)
	for range 5 {
		heard := peersHear(t, a)
		peersSettle(t, b, heard)
		must(t, b.Announce(t.Context(), notary.NewsCommitted))
		time.Sleep(10 * time.Millisecond)
		peersMustHear(t, "who listens again", peersHear(t, a), notary.NewsCommitted)
	}
}

// peersSettle announces until heard, as one whose Listen may not have begun.
func peersSettle(t *testing.T, p notary.Peers, heard <-chan heard) {
	t.Helper()
	for deadline := time.After(peersWait); ; {
		must(t, p.Announce(t.Context(), notary.NewsCommitted))
		select {
		case h := <-heard:
			must(t, h.err)
			return
		case <-deadline:
			t.Fatal("nothing is heard")
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// peersManyAnnounced: many may come together, but the last is not lost in those before.
func peersManyAnnounced(t *testing.T, h PeersHarness) {
	a, b := h.New(t)
	peersSettle(t, b, peersHear(t, a))
	var announced, seen atomic.Int64
	ctx, cancel := context.WithTimeout(t.Context(), peersWait)
	defer cancel()
	done := make(chan error, 1)
	go func() {
		for seen.Load() < 500 {
			if _, err := a.Listen(ctx); err != nil {
				done <- err
				return
			}
			seen.Store(announced.Load())
		}
		done <- nil
	}()
	for range 500 {
		announced.Add(1)
		must(t, b.Announce(t.Context(), notary.NewsCommitted))
	}
	if err := <-done; err != nil {
		t.Errorf("of 500, %d were heard: %v", seen.Load(), err)
	}
}

func peersListenEnds(t *testing.T, h PeersHarness) {
	a, b := h.New(t)
	peersSilent(t, a)
	ctx, cancel := context.WithCancel(t.Context())
	heard := make(chan error, 1)
	go func() { _, err := a.Listen(ctx); heard <- err }()
	time.Sleep(50 * time.Millisecond)
	cancel()
	select {
	case err := <-heard:
		wantErr(t, "listen", err, context.Canceled)
	case <-time.After(peersWait):
		t.Fatal("Listen outlives its context")
	}
	// It can be called again.
	peersSettle(t, b, peersHear(t, a))
}

func peersContextFails(t *testing.T, h PeersHarness) {
	a, b := h.New(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	leads, err := a.Lead(ctx, peerA, peersLong)
	wantErr(t, "lead", err, context.Canceled)
	if leads {
		t.Error("a call that failed leads")
	}
	peersMustLead(t, b, peerB, peersLong, true)
	wantErr(t, "resign", b.Resign(ctx, peerB), context.Canceled)
	wantErr(t, "announce", b.Announce(ctx, notary.NewsCommitted), context.Canceled)
	peersMustLead(t, a, peerA, peersLong, false)
}

// heard is what Listen returned.
type heard struct {
	news notary.News
	err  error
}

// peersHear begins to listen and returns what Listen will. A driver whose listener has
// to travel first gets a moment.
func peersHear(t *testing.T, p notary.Peers) <-chan heard {
	ctx, cancel := context.WithTimeout(t.Context(), peersWait)
	t.Cleanup(cancel)
	c := make(chan heard, 1)
	go func() { news, err := p.Listen(ctx); c <- heard{news, err} }()
	time.Sleep(10 * time.Millisecond)
	return c
}

func peersMustHear(t *testing.T, who string, c <-chan heard, news notary.News) {
	t.Helper()
	if h := <-c; h.err != nil || h.news != news {
		t.Fatalf("%s hears %b, %v, want %b", who, h.news, h.err, news)
	}
}

// peersSilent listens until nothing is left that was announced before. Its last Listen
// also stands for the first of a driver that is heard from then on.
func peersSilent(t *testing.T, p notary.Peers) {
	t.Helper()
	for {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		_, err := p.Listen(ctx)
		cancel()
		if errors.Is(err, context.DeadlineExceeded) {
			return
		}
		must(t, err)
	}
}
