package storagetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/muniment/muniment/notary"
)

// AnchorHarness is how the suite Anchor reaches the driver under test.
type AnchorHarness struct {
	// New creates a register that holds body and opens it. What it opens it
	// closes by t.Cleanup.
	New func(t testing.TB, body []byte) notary.Anchor
	// Reopen closes a as a crash would leave it and opens the same register
	// again. Nil for a register that ends with its process.
	Reopen func(t testing.TB, a notary.Anchor) notary.Anchor
	// Second opens the register of a once more beside it, as another process
	// would. Nil where a register has one owner at a time.
	Second func(t testing.TB, a notary.Anchor) notary.Anchor
	// Missing opens a register that nobody created. It may refuse at once; if it
	// does not, Load and Advance of what it returns must.
	Missing func(t testing.TB) (notary.Anchor, error)
}

// anchorMax is the longest checkpoint body that every driver must take. An
// origin has at most 128 bytes, so a body has about 200.
const anchorMax = 4_000

// Anchor runs every sentence of the contract of notary.Anchor against a driver.
func Anchor(t *testing.T, h AnchorHarness) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, AnchorHarness)
	}{
		{"LoadAndAdvance", anchorLoadAndAdvance},
		{"Conflict", anchorConflict},
		{"RacingAdvances", anchorRacingAdvances},
		{"RacingOwners", anchorRacingOwners},
		{"Reopen", anchorReopen},
		{"Sizes", anchorSizes},
		{"Aliasing", anchorAliasing},
		{"ContextFails", anchorContextFails},
		{"ReadersBesideWriter", anchorReadersBesideWriter},
		{"Missing", anchorMissing},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, h) })
	}
}

func anchorLoadAndAdvance(t *testing.T, h AnchorHarness) {
	a := h.New(t, anchorBody(0))
	anchorMustHold(t, a, anchorBody(0))
	for i := range 20 {
		anchorMustAdvance(t, a, anchorBody(i), anchorBody(i+1))
		anchorMustHold(t, a, anchorBody(i+1))
	}
	// The same body again is an advance like any other.
	anchorMustAdvance(t, a, anchorBody(20), anchorBody(20))
	anchorMustHold(t, a, anchorBody(20))
}

func anchorConflict(t *testing.T, h AnchorHarness) {
	body := anchorBody(7)
	a := h.New(t, anchorBody(6))
	anchorMustAdvance(t, a, anchorBody(6), body)
	flipped := bytes.Clone(body)
	flipped[len(flipped)-1] ^= 1
	for what, prev := range map[string][]byte{
		"the body before":     anchorBody(6),
		"the body to come":    anchorBody(8),
		"one bit other":       flipped,
		"one byte less":       body[:len(body)-1],
		"one byte more":       append(bytes.Clone(body), '\n'),
		"one zero byte more":  append(bytes.Clone(body), 0),
		"nothing":             {},
		"nil":                 nil,
		"longer than allowed": make([]byte, anchorMax+1),
	} {
		if err := a.Advance(t.Context(), prev, anchorBody(8)); !errors.Is(err, notary.ErrConflict) {
			t.Errorf("Advance from %s: %v, want ErrConflict", what, err)
		}
		anchorMustHold(t, a, body)
	}
	anchorMustAdvance(t, a, body, anchorBody(8))
}

func anchorRacingAdvances(t *testing.T, h AnchorHarness) {
	a := h.New(t, anchorBody(0))
	prev := anchorBody(0)
	for round := range 5 {
		prev = anchorRace(t, round, prev, a)
		anchorMustHold(t, a, prev)
	}
	if h.Reopen != nil {
		anchorMustHold(t, h.Reopen(t, a), prev)
	}
}

func anchorRacingOwners(t *testing.T, h AnchorHarness) {
	if h.Second == nil {
		t.Log("the register has one owner at a time")
		return
	}
	a := h.New(t, anchorBody(0))
	b := h.Second(t, a)
	prev := anchorBody(0)
	for round := range 5 {
		prev = anchorRace(t, round, prev, a, b)
		anchorMustHold(t, a, prev)
		anchorMustHold(t, b, prev)
	}
}

// anchorRace lets 64 callers advance from prev at once and returns what the one winner wrote.
func anchorRace(t *testing.T, round int, prev []byte, anchors ...notary.Anchor) []byte {
	t.Helper()
	const racers = 64
	errs := make([]error, racers)
	next := func(i int) []byte { return anchorBody(1000*(round+1) + i) }
	var wg sync.WaitGroup
	start := make(chan struct{})
	for i := range racers {
		wg.Go(func() {
			<-start
			errs[i] = anchors[i%len(anchors)].Advance(t.Context(), prev, next(i))
		})
	}
	close(start)
	wg.Wait()
	winner := -1
	for i, err := range errs {
		switch {
		case err == nil && winner >= 0:
			t.Fatalf("racers %d and %d both advanced: the log has forked", winner, i)
		case err == nil:
			winner = i
		case !errors.Is(err, notary.ErrConflict):
			t.Errorf("racer %d: %v, want ErrConflict", i, err)
		}
	}
	if winner < 0 {
		t.Fatal("nobody advanced")
	}
	return next(winner)
}

func anchorReopen(t *testing.T, h AnchorHarness) {
	if h.Reopen == nil {
		t.Log("the register ends with its process: nothing to open again")
		return
	}
	a := h.New(t, anchorBody(0))
	a = h.Reopen(t, a)
	anchorMustHold(t, a, anchorBody(0))
	for i := range 6 {
		for range i {
			// More or fewer advances between two openings: every slot of a register
			// that keeps several has its turn as the newest.
			body := anchorMustLoad(t, a)
			anchorMustAdvance(t, a, body, append(bytes.Clone(body), byte('a'+i)))
		}
		want := anchorMustLoad(t, a)
		a = h.Reopen(t, a)
		anchorMustHold(t, a, want)
	}
}

func anchorSizes(t *testing.T, h AnchorHarness) {
	every := make([]byte, 256)
	for i := range every {
		every[i] = byte(i)
	}
	prev := []byte("x")
	a := h.New(t, prev)
	for _, next := range [][]byte{
		{0}, every, make([]byte, 64), []byte("ends in zeros\n\x00\x00"), bytes.Repeat([]byte("b"), 511), bytes.Repeat([]byte("c"), 512),
		bytes.Repeat([]byte("d"), 3_999), bytes.Repeat([]byte("e"), anchorMax), []byte("short again"),
	} {
		anchorMustAdvance(t, a, prev, next)
		anchorMustHold(t, a, next)
		if h.Reopen != nil {
			a = h.Reopen(t, a)
			anchorMustHold(t, a, next)
		}
		prev = next
	}
	for what, next := range map[string][]byte{
		"over 4,000 bytes": make([]byte, anchorMax+1), "1 MiB": make([]byte, 1<<20), "empty": {}, "nil": nil,
	} {
		if err := a.Advance(t.Context(), prev, next); err == nil || errors.Is(err, notary.ErrConflict) {
			t.Errorf("Advance to a body %s: %v, want a refusal", what, err)
		}
		anchorMustHold(t, a, prev)
	}
	anchorMustAdvance(t, a, prev, []byte("and on"))
}

func anchorAliasing(t *testing.T, h AnchorHarness) {
	first := anchorBody(0)
	a := h.New(t, first)
	clear(first)
	anchorMustHold(t, a, anchorBody(0))
	prev, next := anchorBody(0), anchorBody(1)
	anchorMustAdvance(t, a, prev, next)
	clear(prev)
	clear(next)
	got := anchorMustLoad(t, a)
	clear(got)
	anchorMustHold(t, a, anchorBody(1))
}

func anchorContextFails(t *testing.T, h AnchorHarness) {
	a := h.New(t, anchorBody(0))
	done, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := a.Load(done); !errors.Is(err, context.Canceled) {
		t.Errorf("Load under a cancelled context: %v, want context.Canceled", err)
	}
	if err := a.Advance(done, anchorBody(0), anchorBody(1)); !errors.Is(err, context.Canceled) || errors.Is(err, notary.ErrConflict) {
		t.Errorf("Advance under a cancelled context: %v, want context.Canceled", err)
	}
	// prev or next, and Load tells which; from there the register goes on.
	body := anchorMustLoad(t, a)
	if !bytes.Equal(body, anchorBody(0)) && !bytes.Equal(body, anchorBody(1)) {
		t.Fatalf("the register holds %q", body)
	}
	anchorMustAdvance(t, a, body, anchorBody(2))
}

// anchorReadersBesideWriter: a reader beside a writer sees bodies whole and in order.
func anchorReadersBesideWriter(t *testing.T, h AnchorHarness) {
	a := h.New(t, anchorBody(0))
	const advances = 50
	var wg sync.WaitGroup
	var failed atomic.Bool
	for range 4 {
		wg.Go(func() {
			for seen := 0; seen < advances && !failed.Load(); {
				body, err := a.Load(t.Context())
				if err != nil {
					t.Errorf("Load beside Advance: %v", err)
					return
				}
				var n int
				if _, err := fmt.Sscanf(string(body), "example.org/log\n%d\n", &n); err != nil || !bytes.Equal(body, anchorBody(n)) || n < seen {
					t.Errorf("Load beside Advance gave %q after number %d", body, seen)
					return
				}
				seen = n
			}
		})
	}
	for i := range advances {
		if err := a.Advance(t.Context(), anchorBody(i), anchorBody(i+1)); err != nil {
			t.Errorf("Advance %d: %v", i, err)
			failed.Store(true)
			break
		}
	}
	wg.Wait()
}

func anchorMissing(t *testing.T, h AnchorHarness) {
	a, err := h.Missing(t)
	if err != nil {
		return
	}
	if body, err := a.Load(t.Context()); err == nil {
		t.Errorf("Load of a register that nobody created = %q", body)
	}
	for _, prev := range [][]byte{nil, {}, anchorBody(0)} {
		if err := a.Advance(t.Context(), prev, anchorBody(1)); err == nil {
			t.Errorf("Advance(%q) created a register", prev)
		}
	}
	if body, err := a.Load(t.Context()); err == nil {
		t.Errorf("after Advance, Load of a register that nobody created = %q", body)
	}
}

func anchorBody(n int) []byte {
	return fmt.Appendf(nil, "example.org/log\n%d\n%044d\n", n, n)
}

func anchorMustLoad(t testing.TB, a notary.Anchor) []byte {
	t.Helper()
	body, err := a.Load(t.Context())
	if err != nil {
		t.Fatalf("Load: %v", err)
	}
	return body
}

func anchorMustHold(t testing.TB, a notary.Anchor, want []byte) {
	t.Helper()
	if got := anchorMustLoad(t, a); !bytes.Equal(got, want) {
		t.Fatalf("the register holds %d bytes %.60q, want %d bytes %.60q", len(got), got, len(want), want)
	}
}

func anchorMustAdvance(t testing.TB, a notary.Anchor, prev, next []byte) {
	t.Helper()
	if err := a.Advance(t.Context(), prev, next); err != nil {
		t.Fatalf("Advance: %v", err)
	}
}
