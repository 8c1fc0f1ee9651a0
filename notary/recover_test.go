package notary_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
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

// lived makes a log with all kinds of deposits: documents, digests, cases, batches that
// reach over segments, retries. It returns the receipts by their keys.
func lived(t testing.TB, d *depository) map[string]proofs.Receipt {
	t.Helper()
	return livedFor(t, d, 300, 3, 5000)
}

// livedFor is lived with that many deposits at once, and batches of so many lines.
func livedFor(t testing.TB, d *depository, atOnce int, batches ...int) map[string]proofs.Receipt {
	t.Helper()
	n := d.open()
	receipts := map[string]proofs.Receipt{}
	var mu sync.Mutex
	deposit := func(key string) {
		r, err := n.Deposit(t.Context(), d.principal(), livedDeposit(t, key))
		if err != nil {
			t.Error(err)
		}
		mu.Lock()
		defer mu.Unlock()
		receipts[key] = r
	}
	for i := range 20 {
		deposit(strconv.Itoa(i))
	}
	var all sync.WaitGroup
	for i := range atOnce {
		all.Go(func() { deposit(strconv.Itoa(20 + i)) })
	}
	all.Wait()
	for _, lines := range batches {
		if _, err := n.DepositBatch(t.Context(), d.principal(), livedBatch(t, lines)); err != nil {
			t.Error(err)
		}
	}
	for i := range 10 {
		deposit(strconv.Itoa(20 + atOnce + i))
	}
	closeNotary(t, n)
	return receipts
}

func livedDeposit(t testing.TB, key string) notary.Deposit {
	i, _ := strconv.Atoi(key)
	contract := fmt.Sprint("HT-", i%7)
	if i%3 == 0 {
		return original(t, key, "document "+key, "contract.number", contract, "label.branch", "SZ")
	}
	return digestOnly(t, key, "document "+key, "contract.number", contract)
}

func livedBatch(t testing.TB, lines int) notary.DigestBatch {
	return batchOf(t, fmt.Sprint("batch-", lines), lines, "HT-1", "HT-2")
}

// recovery is what the depository's ledger is rebuilt from, into an empty one.
func (d *depository) recovery(into *notarytest.Ledger) notary.Recovery {
	c := d.config()
	c.Ledger = into
	return notary.Recovery{Config: c, Accounts: into}
}

func rebuild(t testing.TB, from notary.Recovery) *notary.Rebuild {
	t.Helper()
	r, err := notary.PlanRebuild(context.Background(), from)
	if err == nil {
		err = r.Run(context.Background())
	}
	if err != nil {
		t.Fatalf("rebuilding: %v", err)
	}
	return r
}

// same demands that two ledgers hold the same log, whatever batches made it.
func same(t testing.TB, got, want notarytest.LedgerState) {
	t.Helper()
	for _, part := range []struct {
		what string
		a, b any
	}{
		{"size and root", []any{got.Head.Size, got.Head.Root, got.Head.Time}, []any{want.Head.Size, want.Head.Root, want.Head.Time}},
		{"peaks", got.Peaks, want.Peaks}, {"hashes", got.Hashes, want.Hashes},
		{"operations", got.Operations, want.Operations}, {"cases", got.Cases, want.Cases},
		{"usages", got.Usages, want.Usages},
	} {
		if !reflect.DeepEqual(part.a, part.b) {
			t.Errorf("the rebuilt ledger has other %s", part.what)
		}
	}
	for i := range want.Rows {
		if !reflect.DeepEqual(got.Rows[i], want.Rows[i]) || !slices.Equal(got.Terms[i], want.Terms[i]) {
			t.Fatalf("row %d was rebuilt as %+v, and was %+v", i, got.Rows[i], want.Rows[i])
		}
	}
}

// upTo is the state of a ledger when it had that many entries, as of a backup.
func upTo(t testing.TB, d *depository, full notarytest.LedgerState, size uint64) notarytest.LedgerState {
	t.Helper()
	part := notarytest.NewLedger(nil)
	anchor := notarytest.NewAnchor(nil)
	root, err := proofs.RootAt(size, tileReader{d.ledger})
	if err != nil {
		t.Fatal(err)
	}
	anchor.Restore([]byte(proofs.Checkpoint{Origin: origin, Size: size, Root: root}.String()))
	from := d.recovery(part)
	from.Anchors = []notary.Anchor{anchor}
	rebuild(t, from)
	return part.Snapshot()
}

// TestRebuild: a ledger that is lost, or restored to any older state, is rebuilt to what
// it was, and goes on as the same log: every receipt, and every key.
func TestRebuild(t *testing.T) {
	d := newDepository(t)
	receipts := lived(t, d)
	want := d.ledger.Snapshot()
	for _, had := range []uint64{0, 1, 2, 255, 256, 257, want.Head.Size - 1, want.Head.Size} {
		t.Run(strconv.FormatUint(had, 10), func(t *testing.T) {
			into := notarytest.NewLedger(nil)
			if had > 0 {
				into.Restore(upTo(t, d, want, had))
			}
			before := d.anchor.Snapshot()
			r := rebuild(t, d.recovery(into))
			if !r.Clean() || r.Had != had || r.Sealed.Size != want.Head.Size {
				t.Errorf("from %d: %+v", had, r)
			}
			if string(d.anchor.Snapshot()) != string(before) {
				t.Error("an anchor was touched")
			}
			same(t, into.Snapshot(), want)
		})
	}
	into := notarytest.NewLedger(nil)
	r := rebuild(t, d.recovery(into))
	if len(r.Tenants) != 1 || r.Tenants[0].Name != d.tenant.Name || r.Tenants[0].Registration != d.tenant.Registration {
		t.Errorf("tenants made anew: %+v", r.Tenants)
	}
	d.ledger = into
	n := d.opened()
	for key, first := range receipts {
		again, err := n.Deposit(t.Context(), d.principal(), livedDeposit(t, key))
		if err != nil || again.Index != first.Index || again.Entry != first.Entry || text(again, "id") != text(first, "id") {
			t.Fatalf("the retry of %s after recovery: entry %d, %v; was %d", key, again.Index, err, first.Index)
		}
	}
	for _, lines := range []int{3, 5000} {
		if _, err := n.DepositBatch(t.Context(), d.principal(), livedBatch(t, lines)); err != nil {
			t.Errorf("the retry of a batch after recovery: %v", err)
		}
	}
	if head, err := into.Head(t.Context()); err != nil || head.Size != want.Head.Size {
		t.Errorf("retries made entries: %d, %v", head.Size, err)
	}
	report, err := notary.Fsck(t.Context(), d.config(), nil)
	if err != nil || !report.Clean() || report.Segments == 0 {
		t.Errorf("fsck: %+v, %v", report, err)
	}
	d.check(slices.Collect(maps.Values(receipts))...)
}

// TestRebuildErased: a ledger that is rebuilt brings nothing back that was erased: not the
// record, not the document, not what it is found by; its key still answers that it is gone,
// and notices go on.
func TestRebuildErased(t *testing.T) {
	d := newDepository(t)
	receipts := livedFor(t, d, 1)
	n := d.open()
	id, other := idOf(t, receipts["3"]), idOf(t, receipts["6"])
	for i, who := range []string{"ann", "bob"} {
		d.note(n, d.keeper(who), notary.Notice{Key: fmt.Sprint("erase", i), Act: notary.ActErase, Deposit: id})
	}
	d.note(n, d.keeper("ann"), notary.Notice{Key: "hold", Act: notary.ActHold, Deposit: other, Matter: "M"})
	closeNotary(t, n)
	into := notarytest.NewLedger(nil)
	if r := rebuild(t, d.recovery(into)); !r.Clean() {
		t.Errorf("%+v", r)
	}
	d.ledger = into
	n = d.open()
	if _, err := n.Receipt(t.Context(), d.principal(), id); !errors.Is(err, notary.ErrErased) {
		t.Errorf("the erased deposit: %v", err)
	}
	if _, err := n.Deposit(t.Context(), d.principal(), livedDeposit(t, "3")); !errors.Is(err, notary.ErrErased) {
		t.Errorf("its key: %v", err)
	}
	if s, err := n.Notices(t.Context(), d.principal(), id); err != nil || s.Erased == nil || len(s.Notices) != 2 {
		t.Errorf("its notices: %+v, %v", s, err)
	}
	if _, s := d.note(n, d.keeper("bob"), notary.Notice{Key: "release", Act: notary.ActRelease, Deposit: other, Matter: "M"}); len(s.Notices) != 2 || len(s.Matters) != 0 {
		t.Errorf("the other's: %+v", s)
	}
	closeNotary(t, n)
	d.fsck()
	d.check(slices.Collect(maps.Values(receipts))...)
}

// TestRebuildInterrupted: whatever call fails, and however, a second run ends it.
func TestRebuildInterrupted(t *testing.T) {
	d := newDepository(t)
	livedFor(t, d, 20, 1100)
	want := d.ledger.Snapshot()
	trial := notarytest.NewLedger(nil)
	d.segments.Faults.Reset()
	rebuild(t, d.recovery(trial))
	calls := map[*notarytest.Faults]map[string]int{trial.Faults: trial.Faults.Calls(), d.segments.Faults: d.segments.Faults.Calls()}
	points := 0
	for faults, counts := range calls {
		for call, count := range counts {
			for nth := 1; nth <= min(count, 4); nth++ {
				for _, kind := range notarytest.Kinds {
					points++
					into := notarytest.NewLedger(nil)
					at := d.segments.Faults
					if faults == trial.Faults {
						at = into.Faults
					}
					d.segments.Faults.Reset()
					at.Set(notarytest.Fault{Call: call, Nth: nth, Kind: kind})
					ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
					if r, err := notary.PlanRebuild(ctx, d.recovery(into)); err == nil {
						_ = r.Run(ctx) // the next one settles it
					}
					cancel()
					into.Faults.Reset()
					d.segments.Faults.Reset()
					rebuild(t, d.recovery(into))
					same(t, into.Snapshot(), want)
				}
			}
		}
	}
	t.Logf("%d points of failure", points)
}

// watched is an anchor beside which someone stands who looks before each advance.
type watched struct {
	notary.Anchor
	before func(next []byte)
}

func (w watched) Advance(ctx context.Context, prev, next []byte) error {
	w.before(next)
	return w.Anchor.Advance(ctx, prev, next)
}

// TestSegmentsBeforeAnchor: at the moment when an anchor is about to move, what it will
// hold can be built from segments alone.
func TestSegmentsBeforeAnchor(t *testing.T) {
	d := newDepository(t)
	sizes := 0
	d.anchors = []notary.Anchor{watched{d.anchor, func(next []byte) {
		sizes++
		into := notarytest.NewLedger(nil)
		from := d.recovery(into)
		from.Anchors = []notary.Anchor{notarytest.NewAnchor(next)}
		r, err := notary.PlanRebuild(t.Context(), from)
		if err != nil || !r.Clean() {
			t.Errorf("before the anchor moves to %q: %v", next, err)
		}
	}}}
	lived(t, d)
	t.Logf("%d seals", sizes)
}

// TestNeverSealedSegments: rows that were stored a second time, never sealed, and then
// lost by the ledger, do not lead astray, whatever their number.
func TestNeverSealedSegments(t *testing.T) {
	for _, astray := range []int{1, 2, 5} {
		synctest.Test(t, func(t *testing.T) {
			d := newDepository(t)
			n := d.open()
			if _, err := n.Deposit(t.Context(), d.principal(), livedDeposit(t, "1")); err != nil {
				t.Fatal(err)
			}
			sealed := d.ledger.Snapshot()
			// The anchor does not answer, while deposits come: each round stores more.
			d.anchor.Faults.Set(notarytest.Fault{Call: "Advance", Kind: notarytest.Fails})
			for i := range astray {
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				if _, err := n.Deposit(ctx, d.principal(), livedDeposit(t, strconv.Itoa(10+i))); err == nil {
					t.Error("a receipt without an anchor")
				}
				cancel()
			}
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			n.Close(ctx)
			cancel()
			// A standby that had no more than what was sealed takes over.
			d.anchor.Faults.Reset()
			d.ledger.Restore(sealed)
			n = d.open()
			for i := range 3 {
				if _, err := n.Deposit(t.Context(), d.principal(), livedDeposit(t, strconv.Itoa(20+i))); err != nil {
					t.Fatal(err)
				}
			}
			closeNotary(t, n)
			into := notarytest.NewLedger(nil)
			if r := rebuild(t, d.recovery(into)); !r.Clean() {
				t.Errorf("%+v", r)
			}
			same(t, into.Snapshot(), d.ledger.Snapshot())
		})
	}
}

// entriesOf is a mirror of the public entries of a ledger.
type entriesOf struct {
	ledger notary.Ledger
	has    func(index uint64) bool
	spoilt bool
}

func (e entriesOf) String() string { return "a mirror" }

func (e entriesOf) Entry(ctx context.Context, index uint64) ([]byte, error) {
	if e.has != nil && !e.has(index) {
		return nil, notary.ErrNotFound
	}
	entries, err := e.ledger.Entries(ctx, index, index+1)
	if err != nil {
		return nil, err
	}
	if e.spoilt {
		entries[0][len(entries[0])-10] ^= 1
	}
	return entries[0], nil
}

// TestRebuildFromMirror: where segments are missing or damaged, the entries come from a
// mirror; they stand in the log again, alone, and are named.
func TestRebuildFromMirror(t *testing.T) {
	d := newDepository(t)
	receipts := livedFor(t, d, 300, 3)
	want, segments := d.ledger.Snapshot(), d.segments.Snapshot()
	names := slices.SortedFunc(maps.Keys(segments), func(a, b notary.SegmentName) int { return int(a.From) - int(b.From) })
	for what, spoil := range map[string]func(name notary.SegmentName, s *notarytest.StoredSegment){
		"missing": func(_ notary.SegmentName, s *notarytest.StoredSegment) { s.Segment = nil },
		"damaged": func(_ notary.SegmentName, s *notarytest.StoredSegment) { s.Segment[len(s.Segment)/2] ^= 1 },
		"cut off": func(_ notary.SegmentName, s *notarytest.StoredSegment) { s.Segment = s.Segment[:len(s.Segment)/2] },
	} {
		for _, gone := range [][]notary.SegmentName{names[3:4], names[3:6], names[:2], names[len(names)-1:], names} {
			t.Run(fmt.Sprintf("%s/%d-%d", what, gone[0].From, gone[len(gone)-1].To), func(t *testing.T) {
				d.segments.Restore(segments)
				d.segments.Corrupt(func(all map[notary.SegmentName]notarytest.StoredSegment) {
					for _, name := range gone {
						s := all[name]
						spoil(name, &s)
						all[name] = s
					}
				})
				into := notarytest.NewLedger(nil)
				if _, err := notary.PlanRebuild(t.Context(), d.recovery(into)); !errors.Is(err, notary.ErrUnreachable) {
					t.Fatalf("without a mirror: %v", err)
				}
				if head, _ := into.Head(t.Context()); head.Size != 0 {
					t.Fatal("something was written for a root that cannot be reached")
				}
				from := d.recovery(into)
				from.Sources = []notary.EntrySource{entriesOf{ledger: d.ledger, spoilt: true}, entriesOf{ledger: d.ledger, has: func(i uint64) bool { return i%2 == 0 }}, entriesOf{ledger: d.ledger}}
				if gone[0].From == 0 { // nothing tells the spoilt one apart before the end
					from.Sources = from.Sources[1:]
				}
				from.Sources = from.Sources[len(from.Sources)-2:]
				r := rebuild(t, from)
				alone := uint64(0)
				for _, l := range r.Alone {
					alone += l.To - l.From
				}
				if want := gone[len(gone)-1].To - gone[0].From; alone != want {
					t.Errorf("%d entries are named as alone, want %d", alone, want)
				}
				got := into.Snapshot()
				if got.Head.Root != want.Head.Root || got.Head.Size != want.Head.Size {
					t.Fatal("another root")
				}
				d.goesOn(t, into, gone, receipts)
			})
		}
	}
}

// goesOn opens a rebuilt ledger in which the rows of some segments are lost.
func (d *depository) goesOn(t *testing.T, into *notarytest.Ledger, gone []notary.SegmentName, receipts map[string]proofs.Receipt) {
	t.Helper()
	c := d.config()
	c.Ledger = into
	report, err := notary.Fsck(t.Context(), c, nil)
	if err != nil || report.Lost != gone[len(gone)-1].To-gone[0].From {
		t.Errorf("fsck: %+v, %v", report, err)
	}
	n, err := notary.Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	for _, first := range receipts {
		id, err := notary.ParseID(text(first, "id"))
		if err != nil {
			t.Fatal(err)
		}
		lost := first.Index >= gone[0].From && first.Index < gone[len(gone)-1].To
		again, err := n.Receipt(t.Context(), d.principal(), id)
		if lost != errors.Is(err, notary.ErrNotFound) || !lost && (err != nil || again.Index != first.Index) {
			t.Fatalf("entry %d, lost %t: %v", first.Index, lost, err)
		}
		if err := verifies(d.policy, first); err != nil {
			t.Fatal(err)
		}
		p, err := n.InclusionProof(t.Context(), first.Index, n.Status(t.Context()).Published)
		if err != nil || p.Leaf != first.Entry.LeafHash() {
			t.Fatalf("entry %d is not proved any more: %v", first.Index, err)
		}
	}
	if _, err := n.Deposit(t.Context(), d.principal(), digestOnly(t, "after "+t.Name(), "x")); err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := n.Close(ctx); err != nil {
		t.Error(err)
	}
	// What was sealed here is not of the log that the other trials rebuild.
	d.anchor.Restore([]byte(proofs.Checkpoint{Origin: origin, Size: d.ledger.Snapshot().Head.Size, Root: d.ledger.Snapshot().Head.Root}.String()))
	d.mu.Lock()
	d.notes = map[uint64]string{}
	d.mu.Unlock()
}

func verifies(policy proofs.Policy, r proofs.Receipt) error {
	e, err := proofs.NewVerifier(policy).Verify(r, nil)
	if err == nil && e.Outcome() != proofs.Verified {
		err = errors.New(string(e.Reason))
	}
	return err
}

// TestRebuildWithoutGeneration: a key file that lacks the generation in force opens no
// record, and none is lost by that: the file is asked for, and with it everything comes back.
func TestRebuildWithoutGeneration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDepository(t)
		k := d.keyset()
		n, err := notary.Open(t.Context(), d.rotating(d.config(), k))
		if err != nil {
			t.Fatal(err)
		}
		d.fill(n, 5)
		before, _ := k.get(d.tenant.ID)
		after, _, err := before.With(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		k.set(d.tenant.ID, after)
		if _, err := notary.OfferKey(t.Context(), d.ledger, d.tenant.ID, after); err != nil {
			t.Fatal(err)
		}
		within(t, "not clean", time.Minute, func() bool { return d.rotation(d.tenant.ID).Clean })
		closeNotary(t, n)
		want := d.ledger.Snapshot()

		into := notarytest.NewLedger(nil)
		recovery := d.recovery(into)
		k.set(d.tenant.ID, before)
		recovery.TenantKey = k.get
		r, err := notary.PlanRebuild(t.Context(), recovery)
		if err == nil {
			err = r.Run(t.Context())
		}
		if !errors.Is(err, notary.ErrGeneration) || !strings.Contains(err.Error(), "put its file back") {
			t.Errorf("without the generation: %v", err)
		}
		k.set(d.tenant.ID, after)
		if r := rebuild(t, recovery); !r.Clean() {
			t.Errorf("with it: %+v", r)
		}
		same(t, into.Snapshot(), want)
	})
}

// TestRebuildWithoutKeys: segments whose keys are lost give the rows, named as lost, and
// keys of which some were destroyed give the rest.
func TestRebuildWithoutKeys(t *testing.T) {
	d := newDepository(t)
	receipts := lived(t, d)
	want := d.ledger.Snapshot()
	erased := receipts["3"].Index
	if err := notary.ForgetKey(t.Context(), d.segments, origin, erased); err != nil {
		t.Fatal(err)
	}
	lost := receipts["7"].Index
	d.segments.Corrupt(func(all map[notary.SegmentName]notarytest.StoredSegment) {
		for name, s := range all {
			if name.From <= lost && lost < name.To {
				all[name] = notarytest.StoredSegment{Segment: s.Segment}
			}
		}
	})
	into := notarytest.NewLedger(nil)
	r := rebuild(t, d.recovery(into))
	if len(r.Lost) != 1 || r.Lost[0].From != lost || r.Lost[0].To != lost+1 {
		t.Errorf("lost: %+v, want entry %d", r.Lost, lost)
	}
	got := into.Snapshot()
	if got.Head.Root != want.Head.Root || len(got.Rows[erased].Secrets) != 0 || got.Rows[lost].ID != want.Rows[lost].ID {
		t.Error("the rows are not as they should be")
	}
	if !reflect.DeepEqual(got.Cases, want.Cases) || !reflect.DeepEqual(got.Operations, want.Operations) {
		t.Error("cases and operations of rows that do not open are not known any more")
	}
	d.segments.Corrupt(func(all map[notary.SegmentName]notarytest.StoredSegment) {
		for _, s := range all {
			if slices.Contains([]bool{true}, containsBytes(s.Keys, want.Rows[erased].Secrets)) {
				t.Error("the key of an erased deposit is still there")
			}
		}
	})
}

func containsBytes(b, part []byte) bool {
	for i := 0; i+len(part) <= len(b); i++ {
		if string(b[i:i+len(part)]) == string(part) {
			return true
		}
	}
	return false
}

// TestRebuildRefuses: what would fork, or go on from another history, is not begun.
func TestRebuildRefuses(t *testing.T) {
	d := newDepository(t)
	lived(t, d)
	other := newDepository(t)
	lived(t, other)
	size := d.ledger.Snapshot().Head.Size
	for what, change := range map[string]func(r *notary.Recovery, into *notarytest.Ledger){
		"another history": func(_ *notary.Recovery, into *notarytest.Ledger) {
			into.Restore(upTo(t, other, other.ledger.Snapshot(), 300))
		},
		"a known state that differs": func(r *notary.Recovery, _ *notarytest.Ledger) {
			r.Known = []proofs.Checkpoint{{Origin: origin, Size: size, Root: proofs.Hash{1}}}
		},
		"a known state that the segments do not pass": func(r *notary.Recovery, _ *notarytest.Ledger) {
			r.Known = []proofs.Checkpoint{{Origin: origin, Size: 5, Root: proofs.Hash{1}}}
		},
		"a known state beyond": func(r *notary.Recovery, _ *notarytest.Ledger) {
			r.Known = []proofs.Checkpoint{{Origin: origin, Size: size + 1, Root: proofs.Hash{1}}}
		},
		"a frozen log": func(r *notary.Recovery, _ *notarytest.Ledger) {
			frozen := notarytest.NewSegments()
			frozen.Restore(d.segments.Snapshot())
			if err := frozen.Freeze(t.Context(), origin, []byte("ended")); err != nil {
				t.Fatal(err)
			}
			r.Segments = frozen
		},
	} {
		into := notarytest.NewLedger(nil)
		from := d.recovery(into)
		change(&from, into)
		before := into.Snapshot()
		if _, err := notary.PlanRebuild(t.Context(), from); err == nil {
			t.Errorf("%s: no refusal", what)
		} else {
			t.Logf("%s: %v", what, err)
		}
		if into.Snapshot().Head != before.Head {
			t.Errorf("%s: something was written", what)
		}
	}
	// A running sealer is not written beside.
	peers := notarytest.NewPeers(nil)
	if ok, err := peers.Lead(t.Context(), notary.ID{9}, time.Hour); !ok || err != nil {
		t.Fatal(err)
	}
	into := notarytest.NewLedger(nil)
	from := d.recovery(into)
	from.Peers = peers
	r, err := notary.PlanRebuild(t.Context(), from)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Run(t.Context()); err == nil || into.Snapshot().Head.Size > 0 {
		t.Errorf("beside a sealer: %v", err)
	}
}

// TestCatchUp: a log that was sealed without segments gets them, and gaps are filled.
func TestCatchUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDepository(t)
		store := d.segments
		d.segments = nil
		lived(t, d)
		d.segments = store
		for range 2 {
			n := d.open()
			time.Sleep(time.Second)
			closeNotary(t, n)
			into := notarytest.NewLedger(nil)
			if r := rebuild(t, d.recovery(into)); !r.Clean() {
				t.Errorf("%+v", r)
			}
			same(t, into.Snapshot(), d.ledger.Snapshot())
			report, err := notary.Fsck(t.Context(), d.config(), nil)
			if err != nil || !report.Clean() {
				t.Errorf("fsck: %+v, %v", report, err)
			}
			// A gap in the middle.
			d.segments.Corrupt(func(all map[notary.SegmentName]notarytest.StoredSegment) {
				maps.DeleteFunc(all, func(name notary.SegmentName, _ notarytest.StoredSegment) bool {
					return name.From > 0 && name.To < d.ledger.Snapshot().Head.Size
				})
			})
		}
	})
}

// TestFsckOfSegments: what does not fit in the second copy is named.
func TestFsckOfSegments(t *testing.T) {
	d := newDepository(t)
	receipts := lived(t, d)
	segments := d.segments.Snapshot()
	of := func(index uint64) notary.SegmentName {
		for name := range segments {
			if name.From <= index && index < name.To {
				return name
			}
		}
		t.Fatal("no segment")
		return notary.SegmentName{}
	}
	name := of(receipts["5"].Index)
	for what, spoil := range map[string]func(all map[notary.SegmentName]notarytest.StoredSegment){
		"a flipped bit": func(all map[notary.SegmentName]notarytest.StoredSegment) { all[name].Segment[40] ^= 1 },
		"a flipped bit of keys": func(all map[notary.SegmentName]notarytest.StoredSegment) {
			all[name].Keys[len(all[name].Keys)-40] ^= 1
		},
		"a missing segment": func(all map[notary.SegmentName]notarytest.StoredSegment) { delete(all, name) },
		"missing keys": func(all map[notary.SegmentName]notarytest.StoredSegment) {
			all[name] = notarytest.StoredSegment{Segment: all[name].Segment}
		},
	} {
		d.segments.Restore(segments)
		d.segments.Corrupt(spoil)
		report, err := notary.Fsck(t.Context(), d.config(), nil)
		if err != nil || report.Findings == 0 {
			t.Errorf("%s: fsck found nothing, %v", what, err)
			continue
		}
		t.Logf("%s: %s", what, report.Named[0])
	}
	// A key that should have been destroyed.
	d.segments.Restore(segments)
	d.ledger.Corrupt(func(s *notarytest.LedgerState) { s.Rows[receipts["329"].Index].Secrets = nil })
	report, err := notary.Fsck(t.Context(), d.config(), nil)
	if err != nil || report.Findings != 1 {
		t.Errorf("a key that outlived its deposit: %+v, %v", report, err)
	}
	if err := notary.ForgetKey(t.Context(), d.segments, origin, receipts["329"].Index); err != nil {
		t.Fatal(err)
	}
	if report, err = notary.Fsck(t.Context(), d.config(), nil); err != nil || !report.Clean() {
		t.Errorf("after ForgetKey: %+v, %v", report, err)
	}
}

// TestForgottenCommit: what a database forgot after the sealer committed it, and filled
// with another replica's rows, is not taken from the sealer's memory.
func TestForgottenCommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDepository(t)
		open := func() *notary.Notary {
			c := d.config()
			c.Peers = d.peers.Replica()
			n, err := notary.Open(t.Context(), c)
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
		sealer := open()
		other := open()
		if _, err := sealer.Deposit(t.Context(), d.principal(), livedDeposit(t, "1")); err != nil {
			t.Fatal(err)
		}
		before := d.ledger.Snapshot()
		d.segments.Faults.Set(notarytest.Fault{Call: "Put", Kind: notarytest.Fails})
		try := func(n *notary.Notary, key string) error {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			_, err := n.Deposit(ctx, d.principal(), livedDeposit(t, key))
			return err
		}
		if err := try(sealer, "2"); err == nil {
			t.Error("a receipt without a segment")
		}
		d.ledger.Restore(before)
		if err := try(other, "3"); err == nil {
			t.Error("a receipt without a segment")
		}
		d.segments.Faults.Reset()
		for _, key := range []string{"3", "2", "4"} {
			if err := try(other, key); err != nil {
				t.Error(err)
			}
		}
		closeNotary(t, other)
		closeNotary(t, sealer)
		if died := d.deaths(); len(died) > 0 {
			t.Error(died)
		}
		into := notarytest.NewLedger(nil)
		if r := rebuild(t, d.recovery(into)); !r.Clean() {
			t.Errorf("%+v", r)
		}
		same(t, into.Snapshot(), d.ledger.Snapshot())
	})
}

// TestKeptAccounts: who may call, still may after the ledger was lost.
func TestKeptAccounts(t *testing.T) {
	copies, before := notarytest.NewSegments(), notarytest.NewLedger(nil)
	kept := notary.KeepAccounts(before, copies, origin)
	tenants := []notary.Tenant{
		{ID: notary.ID{6: 0x70, 8: 0x80, 15: 1}, Name: "示范银行", Registration: "91440300TEST000017", Created: time.UnixMilli(1).UTC()},
		{ID: notary.ID{6: 0x70, 8: 0x80, 15: 2}, Name: "a court", Created: time.UnixMilli(2).UTC()},
	}
	keys := []notary.APIKey{
		{Hash: [32]byte{1}, Tenant: tenants[0].ID, Role: notary.Depositor, Created: time.UnixMilli(3).UTC()},
		{
			Hash: [32]byte{2}, Tenant: tenants[1].ID, Role: notary.Auditor, Created: time.UnixMilli(4).UTC(), Request: [32]byte{7},
			AskedBy: "key:a", Supervises: []notary.ID{tenants[0].ID},
		},
	}
	for i := range tenants {
		if err := errors.Join(kept.CreateTenant(t.Context(), tenants[i]), kept.CreateAPIKey(t.Context(), keys[i])); err != nil {
			t.Fatal(err)
		}
	}
	if made, madeKeys, err := notary.RestoreAccounts(t.Context(), notarytest.NewLedger(nil), copies, origin); made != 2 || madeKeys != 1 || err != nil {
		t.Errorf("while a key waits: %d tenants, %d keys, %v", made, madeKeys, err)
	}
	if err := kept.ConfirmAPIKey(t.Context(), keys[1].Hash, "key:b", time.UnixMilli(5).UTC()); err != nil {
		t.Fatal(err)
	}
	if err := kept.CreateTenant(t.Context(), tenants[0]); !errors.Is(err, notary.ErrExists) {
		t.Errorf("a tenant twice: %v", err)
	}
	after := notarytest.NewLedger(nil)
	for _, want := range []int{2, 0} {
		made, madeKeys, err := notary.RestoreAccounts(t.Context(), after, copies, origin)
		if err != nil || made != want || madeKeys != want {
			t.Errorf("RestoreAccounts: %d tenants, %d keys, %v; want %d of each", made, madeKeys, err, want)
		}
	}
	if !reflect.DeepEqual(after.Snapshot().Tenants, before.Snapshot().Tenants) || !reflect.DeepEqual(after.Snapshot().APIKeys, before.Snapshot().APIKeys) {
		t.Error("the accounts are not as they were")
	}
	if made, madeKeys, err := notary.RestoreAccounts(t.Context(), notarytest.NewLedger(nil), copies, origin+"s"); made+madeKeys != 0 || err != nil {
		t.Errorf("another log's accounts: %d, %d, %v", made, madeKeys, err)
	}
	// A copy that fails keeps the account from being made.
	copies.Faults.Set(notarytest.Fault{Call: "KeepAccount", Kind: notarytest.Fails})
	if err := kept.CreateAPIKey(t.Context(), notary.APIKey{Hash: [32]byte{3}, Tenant: tenants[0].ID}); err == nil {
		t.Error("an API key without its copy")
	}
}

// TestSegmentToldOtherwise: a segment that one sealer stored before it stopped is good for
// the next, though that one cannot tell to which operations the rows belong.
func TestSegmentToldOtherwise(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDepository(t)
		n := d.open()
		d.anchor.Faults.Set(notarytest.Fault{Call: "Advance", Kind: notarytest.Fails})
		within := func(wait time.Duration) context.Context {
			ctx, cancel := context.WithTimeout(t.Context(), wait)
			t.Cleanup(cancel)
			return ctx
		}
		if _, err := n.Deposit(within(time.Second), d.principal(), livedDeposit(t, "1")); err == nil {
			t.Error("a receipt without an anchor")
		}
		n.Close(within(time.Second))
		d.anchor.Faults.Reset()
		c := d.config()
		all := c.TenantKey
		c.TenantKey = func(id notary.ID) (notary.TenantKey, error) {
			if id != (notary.ID{}) {
				return notary.TenantKey{}, errors.New("this replica does not have the key yet")
			}
			return all(id)
		}
		n, err := notary.Open(within(30*time.Second), c)
		if err != nil {
			t.Fatal(err)
		}
		closeNotary(t, n)
		into := notarytest.NewLedger(nil)
		if r := rebuild(t, d.recovery(into)); !r.Clean() {
			t.Errorf("%+v", r)
		}
		same(t, into.Snapshot(), d.ledger.Snapshot())
	})
}

// TestForgetKeyWithoutSegment: of a segment that was stored in part, the key can be
// destroyed too.
func TestForgetKeyWithoutSegment(t *testing.T) {
	d := newDepository(t)
	receipts := livedFor(t, d, 1)
	erased := receipts["3"].Index
	secret := d.ledger.Snapshot().Rows[erased].Secrets
	d.segments.Corrupt(func(all map[notary.SegmentName]notarytest.StoredSegment) {
		for name, s := range all {
			if name.From <= erased && erased < name.To {
				all[name] = notarytest.StoredSegment{Keys: s.Keys}
			}
		}
	})
	if err := notary.ForgetKey(t.Context(), d.segments, origin, erased); err != nil {
		t.Fatal(err)
	}
	d.segments.Corrupt(func(all map[notary.SegmentName]notarytest.StoredSegment) {
		for name, s := range all {
			if containsBytes(s.Keys, secret) {
				t.Errorf("the key of an erased deposit still stands under %d to %d", name.From, name.To)
			}
		}
	})
}

// TestFrozenLogIsNotTakenOver: who becomes the sealer of a log that was ended, ends too.
func TestFrozenLogIsNotTakenOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDepository(t)
		processes, all := d.replicas(2)
		d.must(all[0], "1")
		if err := d.segments.Freeze(t.Context(), origin, []byte("its key was stolen")); err != nil {
			t.Fatal(err)
		}
		anchored := d.anchor.Snapshot()
		processes[0].kill()
		time.Sleep(5 * time.Second)
		if died := d.deaths(); len(died) != 1 || !errors.Is(died[0], notary.ErrFrozen) {
			t.Errorf("died: %v", died)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		if _, err := all[1].Deposit(ctx, d.principal(), livedDeposit(t, "2")); err == nil {
			t.Error("a receipt of a log that was ended")
		}
		if string(d.anchor.Snapshot()) != string(anchored) {
			t.Error("the anchor of a log that was ended moved")
		}
		for _, n := range all {
			n.Close(ctx)
		}
	})
}
