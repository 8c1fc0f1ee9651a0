package notary_test

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
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

// batchOf is a batch of n digests under a key. Where contracts are named, the lines
// are of one after the other.
func batchOf(t testing.TB, key string, n int, contracts ...string) notary.DigestBatch {
	b := notary.DigestBatch{Key: key}
	for i := range n {
		var more []string
		if len(contracts) > 0 {
			more = []string{"contract.number", contracts[i%len(contracts)]}
		}
		b.Lines = append(b.Lines, digestOnly(t, "", fmt.Sprint(key, " ", i), more...).Claims)
	}
	return b
}

// size is the number of committed entries.
func (d *depository) size() uint64 {
	d.t.Helper()
	head, err := d.ledger.Head(context.Background())
	if err != nil {
		d.t.Fatal(err)
	}
	return head.Size
}

// fsck fails the test where the log is not clean.
func (d *depository) fsck() {
	d.t.Helper()
	report, err := notary.Fsck(context.Background(), d.config(), nil)
	if err != nil || !report.Clean() {
		d.t.Errorf("fsck: %+v %v", report, err)
	}
}

// sameEntries compares two answers to one key: ids, indexes and entries. Checkpoints
// and paths may be newer.
func sameEntries(t testing.TB, a, b []proofs.Receipt) {
	t.Helper()
	if len(a) != len(b) {
		t.Fatalf("%d receipts and then %d", len(a), len(b))
	}
	for i := range a {
		if a[i].Index != b[i].Index || a[i].Entry != b[i].Entry || !reflect.DeepEqual(a[i].Disclosures, b[i].Disclosures) {
			t.Fatalf("line %d was entry %d, id %s, and is entry %d, id %s", i+1, a[i].Index, text(a[i], "id"), b[i].Index, text(b[i], "id"))
		}
	}
}

// TestBatch: each line has its receipt, in order, all under one checkpoint and by one
// commit; the same key brings the same again.
func TestBatch(t *testing.T) {
	for _, size := range []int{1, 2, 255, 256, 257, notary.MaxLines} {
		t.Run(strconv.Itoa(size), func(t *testing.T) {
			d := newDepository(t)
			n := d.opened()
			b := batchOf(t, "k", size)
			d.ledger.Faults.Reset()
			receipts, err := n.DepositBatch(t.Context(), d.principal(), b)
			if err != nil || len(receipts) != size {
				t.Fatalf("%d receipts, %v", len(receipts), err)
			}
			if c := d.ledger.Faults.Calls()["Commit"]; c != 1 {
				t.Errorf("%d commits", c)
			}
			ids := map[string]bool{}
			verifier := proofs.NewVerifier(d.policy)
			for i, r := range receipts {
				if e, err := verifier.Verify(r, nil); err != nil || e.Outcome() != proofs.Verified {
					t.Fatalf("line %d: %v %s", i+1, err, e.Reason)
				}
				want, _ := b.Lines[i].Get("content.sha256")
				digest, _ := want.Text()
				if r.Index != uint64(i)+1 || text(r, "content.sha256") != digest || string(r.Checkpoint) != string(receipts[0].Checkpoint) || ids[text(r, "id")] {
					t.Fatalf("line %d is entry %d of %s", i+1, r.Index, text(r, "content.sha256"))
				}
				if held, _ := r.Member("content.held"); held != proofs.Boolean(false) {
					t.Fatalf("line %d: content.held is %s", i+1, held.JSON())
				}
				ids[text(r, "id")] = true
			}
			again, err := n.DepositBatch(t.Context(), d.principal(), b)
			if err != nil {
				t.Fatal(err)
			}
			sameEntries(t, receipts, again)
			if d.size() != uint64(size)+1 {
				t.Errorf("%d entries for %d lines", d.size()-1, size)
			}
			one, err := notary.ParseID(text(receipts[size-1], "id"))
			if err != nil {
				t.Fatal(err)
			}
			alone, err := n.Receipt(t.Context(), d.principal(), one)
			if err != nil {
				t.Fatal(err)
			}
			sameEntries(t, receipts[size-1:], []proofs.Receipt{alone})
			d.check(receipts[0], receipts[size/2], receipts[size-1]) // each takes the whole log's hashing
			d.fsck()
		})
	}
}

// TestBatchRefused: what cannot be deposited whole is not deposited at all.
func TestBatchRefused(t *testing.T) {
	d := newDepository(t)
	n := d.opened()
	good := batchOf(t, "k", 3)
	with := func(change func(b *notary.DigestBatch)) notary.DigestBatch {
		b := batchOf(t, "k", 3)
		change(&b)
		return b
	}
	reader := notary.Principal{Tenant: d.tenant, Role: notary.Auditor}
	stranger := notary.Principal{Tenant: notary.Tenant{ID: notary.ID{9}}, Role: notary.Depositor}
	before := d.ledger.Snapshot()
	for what, c := range map[string]struct {
		who   notary.Principal
		batch notary.DigestBatch
		want  any
	}{
		"no line":         {d.principal(), with(func(b *notary.DigestBatch) { b.Lines = nil }), new(*notary.InvalidError)},
		"a line too many": {d.principal(), with(func(b *notary.DigestBatch) { b.Lines = slices.Repeat(b.Lines[:1], notary.MaxLines+1) }), new(*notary.InvalidError)},
		"no key":          {d.principal(), with(func(b *notary.DigestBatch) { b.Key = "" }), new(*notary.InvalidError)},
		"a key too long":  {d.principal(), with(func(b *notary.DigestBatch) { b.Key = strings.Repeat("k", 256) }), new(*notary.InvalidError)},
		"a reader":        {reader, good, notary.ErrForbidden},
		"a stranger":      {stranger, good, notary.ErrUnavailable},
		"an empty line":   {d.principal(), with(func(b *notary.DigestBatch) { b.Lines[1] = nil }), new(*notary.BatchError)},
	} {
		receipts, err := n.DepositBatch(t.Context(), c.who, c.batch)
		if want, ok := c.want.(error); receipts != nil || ok && !errors.Is(err, want) || !ok && !errors.As(err, c.want) {
			t.Errorf("%s: %v", what, err)
		}
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := n.DepositBatch(cancelled, d.principal(), good); err == nil {
		t.Error("a batch of one who has gone was taken")
	}
	if !reflect.DeepEqual(d.ledger.Snapshot(), before) {
		t.Error("a refused batch left something")
	}
}

// TestBadLinesAreNamed: every one of them, whenever it is found out, and nothing is
// kept.
func TestBadLinesAreNamed(t *testing.T) {
	d := newDepository(t)
	n := d.opened()
	b := batchOf(t, "k", 300)
	digest := "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
	var crowded []string
	for i := range 62 {
		crowded = append(crowded, fmt.Sprintf("label.l%d", i), "x")
	}
	b.Lines[0] = claims(t, "contract.number", "1")
	b.Lines[16] = claims(t, "content.sha256", digest, "contarct.number", "1")
	b.Lines[17] = claims(t, "content.sha256", digest, "terms.rate", strings.Repeat("x", proofs.MaxDisclosures))
	b.Lines[255] = claims(t, append(crowded, "content.sha256", digest)...)
	b.Lines[256] = claims(t, "content.sha256", digest, "case.seq", "1")
	b.Lines[299] = claims(t, "content.sha256", strings.ToUpper(digest))
	before := d.ledger.Snapshot()
	d.ledger.Faults.Reset()
	_, err := n.DepositBatch(t.Context(), d.principal(), b)
	var bad *notary.BatchError
	if !errors.As(err, &bad) {
		t.Fatal(err)
	}
	var got []string
	for _, l := range bad.Lines {
		got = append(got, fmt.Sprint(l.Line, " ", l.Member))
		if l.Reason == "" {
			t.Errorf("line %d: no reason", l.Line)
		}
	}
	want := []string{"1 content.sha256", "17 contarct.number", "18 ", "256 ", "257 case.seq", "300 content.sha256"}
	if !slices.Equal(got, want) {
		t.Errorf("named are %q", got)
	}
	if !strings.Contains(err.Error(), "6 lines") || !strings.Contains(err.Error(), "line 1:") {
		t.Error(err)
	}
	if calls := d.ledger.Faults.Calls(); calls["Append"] != 0 || calls["Commit"] != 0 || !reflect.DeepEqual(d.ledger.Snapshot(), before) {
		t.Errorf("something was kept: %v", calls)
	}
	// The key is free still.
	receipts, err := n.DepositBatch(t.Context(), d.principal(), batchOf(t, "k", 3))
	if err != nil {
		t.Fatal(err)
	}
	d.check(receipts...)
}

// TestBatchKeys: a key stands for these lines, in this order, and for nothing else.
func TestBatchKeys(t *testing.T) {
	d := newDepository(t)
	n := d.opened()
	b := batchOf(t, "k", 3)
	receipts, err := n.DepositBatch(t.Context(), d.principal(), b)
	if err != nil {
		t.Fatal(err)
	}
	single := notary.Deposit{Key: "single", Claims: b.Lines[0]}
	alone, err := n.Deposit(t.Context(), d.principal(), single)
	if err != nil {
		t.Fatal(err)
	}
	ofOne, err := n.DepositBatch(t.Context(), d.principal(), notary.DigestBatch{Key: "one", Lines: b.Lines[:1]})
	if err != nil {
		t.Fatal(err)
	}
	size := d.size()
	other := batchOf(t, "other", 1).Lines[0]
	for what, lines := range map[string][]proofs.Record{
		"another line":    {b.Lines[0], other, b.Lines[2]},
		"another claim":   {b.Lines[0], b.Lines[1], claims(t, "contract.number", "1", "content.sha256", text(receipts[2], "content.sha256"))},
		"the other order": {b.Lines[2], b.Lines[1], b.Lines[0]},
		"a line more":     append(slices.Clone(b.Lines), other),
		"a line twice":    append(slices.Clone(b.Lines), b.Lines[2]),
		"a line less":     b.Lines[:2],
		"the first alone": b.Lines[:1],
	} {
		if _, err := n.DepositBatch(t.Context(), d.principal(), notary.DigestBatch{Key: "k", Lines: lines}); !errors.Is(err, notary.ErrKeyReused) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for key, as := range map[string]func() error{
		"a single's, for a batch": func() error {
			_, err := n.DepositBatch(t.Context(), d.principal(), notary.DigestBatch{Key: "single", Lines: b.Lines[:1]})
			return err
		},
		"a batch's, for a single": func() error {
			_, err := n.Deposit(t.Context(), d.principal(), notary.Deposit{Key: "k", Claims: b.Lines[0]})
			return err
		},
		"a batch of one's, for a single": func() error {
			_, err := n.Deposit(t.Context(), d.principal(), notary.Deposit{Key: "one", Claims: b.Lines[0]})
			return err
		},
	} {
		if err := as(); !errors.Is(err, notary.ErrKeyReused) {
			t.Errorf("%s: %v", key, err)
		}
	}
	if d.size() != size {
		t.Errorf("%d entries more", d.size()-size)
	}
	theirs, err := n.DepositBatch(t.Context(), notary.Principal{Tenant: notary.Tenant{ID: notary.ID{2}, Name: "2"}, Role: notary.Depositor}, b)
	if err != nil || theirs[0].Index != size {
		t.Errorf("another tenant's same key: %v", err)
	}
	d.check(append(append(append(receipts, ofOne...), theirs...), alone)...)
	d.fsck()
}

// TestBatchRace: of equal calls one makes the entries and all have them, whether they
// meet in one commit or in two; of unequal ones under one key, one wins.
func TestBatchRace(t *testing.T) {
	for _, held := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			d := newDepository(t)
			n := d.open()
			defer closeNotary(t, n)
			release := make(chan struct{})
			if held { // they all wait for one and the same commit
				d.ledger.Faults.Reset()
				d.ledger.Faults.Set(notarytest.Fault{Call: "Append", Nth: 1, Do: func() { <-release }})
				go n.Deposit(t.Context(), d.principal(), digestOnly(t, "first", "x"))
				synctest.Wait()
			}
			var wg sync.WaitGroup
			var equal [8][]proofs.Receipt
			var won [8]string
			for i := range equal {
				wg.Go(func() {
					var err error
					if equal[i], err = n.DepositBatch(t.Context(), d.principal(), batchOf(t, "k", 300, "HT-1")); err != nil {
						t.Error(err)
					}
				})
				wg.Go(func() {
					b := batchOf(t, "x", 5, fmt.Sprint("HT-", i))
					_, err := n.DepositBatch(t.Context(), d.principal(), b)
					if err == nil {
						won[i] = "won"
					} else if !errors.Is(err, notary.ErrKeyReused) {
						t.Error(err)
					}
				})
			}
			if held {
				synctest.Wait()
			}
			close(release)
			wg.Wait()
			for _, receipts := range equal[1:] {
				sameEntries(t, equal[0], receipts)
			}
			if got := strings.Join(won[:], ""); got != "won" {
				t.Errorf("%q of eight under one key", won)
			}
			want := uint64(1 + 300 + 5)
			if held {
				want++
			}
			if d.size() != want {
				t.Errorf("%d entries, not %d", d.size(), want)
			}
			d.check(equal[0]...)
			d.fsck()
		})
	}
}

// chained checks the cases of receipts: numbers from 1, each pointing to the one
// before it by leaf hash.
func chained(t testing.TB, receipts []proofs.Receipt) {
	t.Helper()
	slices.SortFunc(receipts, func(a, b proofs.Receipt) int { return int(a.Index) - int(b.Index) })
	type place struct {
		seq  int64
		leaf string
	}
	cases := map[string]place{}
	for _, r := range receipts {
		contract := text(r, "contract.number")
		v, there := r.Member("case.seq")
		seq, _ := v.Integer()
		last := cases[contract]
		if contract == "" {
			if there || text(r, "case.prev") != "" {
				t.Errorf("entry %d is of no contract, and number %d of a case", r.Index, seq)
			}
			continue
		}
		if seq != last.seq+1 || text(r, "case.prev") != last.leaf {
			t.Errorf("entry %d is number %d of %s behind %q; the one before is number %d, %q", r.Index, seq, contract, text(r, "case.prev"), last.seq, last.leaf)
		}
		leaf := r.Entry.LeafHash()
		cases[contract] = place{seq, hex.EncodeToString(leaf[:])}
	}
}

// TestBatchCases: batches and singles share their cases.
func TestBatchCases(t *testing.T) {
	d := newDepository(t)
	n := d.opened()
	var all []proofs.Receipt
	deposit := func(key string, contracts ...string) {
		t.Helper()
		receipts, err := n.DepositBatch(t.Context(), d.principal(), batchOf(t, key, 7, contracts...))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, receipts...)
		r, err := n.Deposit(t.Context(), d.principal(), digestOnly(t, key+" single", key, "contract.number", "A"))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, r)
	}
	deposit("1", "A")
	deposit("2", "A", "B", "C")
	deposit("3")
	deposit("4", "C", "A")
	var mu sync.Mutex
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			receipts, err := n.DepositBatch(t.Context(), d.principal(), batchOf(t, fmt.Sprint("at once ", i), 100, "A", "B"))
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			all = append(all, receipts...)
		})
	}
	wg.Wait()
	chained(t, all)
	again, err := n.DepositBatch(t.Context(), d.principal(), batchOf(t, "2", 7, "A", "B", "C"))
	if err != nil {
		t.Fatal(err)
	}
	sameEntries(t, all[8:15], again)
	last := all[len(all)-1]
	c, err := n.Case(t.Context(), d.principal(), text(last, "contract.number"))
	if v, _ := last.Member("case.seq"); err != nil || v.JSON() != fmt.Sprint(c.Seq) || c.Leaf != last.Entry.LeafHash() {
		t.Errorf("the case is at %d, the last receipt at %s: %v", c.Seq, v.JSON(), err)
	}
	d.check(all...)
	d.fsck()
}

// runBatches is the life of batches beside a single: at once, again, over a stop, and
// again.
func (s *scenario) runBatches() {
	n := s.start()
	batches := []notary.DigestBatch{batchOf(s.d.t, "a", 5, "HT-1"), batchOf(s.d.t, "b", 1, "HT-1"), batchOf(s.d.t, "c", 3)}
	var wg sync.WaitGroup
	for _, b := range batches {
		wg.Go(func() {
			s.persistBatch(n, b)
			s.persistBatch(n, b)
		})
	}
	wg.Go(func() {
		s.persist(n, "single", func() notary.Deposit { return digestOnly(s.d.t, "single", "x", "contract.number", "HT-1") })
	})
	wg.Wait()
	s.stop(n)
	n = s.start()
	s.persistBatch(n, batches[0])
	s.persistBatch(n, batchOf(s.d.t, "last", 2, "HT-1"))
	s.stop(n)
	var all []proofs.Receipt
	for _, r := range s.receipts {
		all = append(all, r)
	}
	chained(s.d.t, all)
}

// persistBatch deposits a batch until it has its receipts.
func (s *scenario) persistBatch(n *notary.Notary, b notary.DigestBatch) {
	s.insist(b.Key, func(ctx context.Context) error {
		receipts, err := n.DepositBatch(ctx, s.d.principal(), b)
		if err == nil && len(receipts) != len(b.Lines) {
			s.d.t.Errorf("%d receipts for %d lines", len(receipts), len(b.Lines))
		}
		for i, r := range receipts {
			if r.Index != receipts[0].Index+uint64(i) {
				s.d.t.Errorf("line %d is entry %d, line 1 is %d", i+1, r.Index, receipts[0].Index)
			}
			s.acknowledged(fmt.Sprint(b.Key, "/", i), r)
		}
		return err
	})
}

// TestBatchFaults is I6 for batches: every call of every store fails once in each way,
// at log sizes around the edge of a tile. All lines of a batch stand in the log, once,
// or none does.
func TestBatchFaults(t *testing.T) {
	points := 0
	for _, start := range []uint64{1, 250} {
		base := grown(t, start)
		for _, p := range countPoints(t, base, (*scenario).runBatches) {
			points++
			t.Run(fmt.Sprintf("%d/%s.%s/%d/%v", start, p.store, p.call, p.nth, p.kind), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) { runPoint(t, base, start, p, (*scenario).runBatches) })
			})
		}
	}
	t.Logf("%d points of failure", points)
}

// TestFaultsInOneLargeBatch fails the writes of a batch that fills tiles by itself.
func TestFaultsInOneLargeBatch(t *testing.T) {
	empty := grown(t, 1)
	for _, p := range []faultPoint{{"ledger", "Commit", 1, notarytest.PersistsLater}, {"ledger", "Commit", 1, 0}, {"ledger", "Committed", 1, 0}, {"anchor", "Advance", 1, 0}, {"ledger", "Publish", 2, 0}} {
		kinds := notarytest.Kinds
		if p.kind != notarytest.None {
			kinds = []notarytest.Kind{p.kind}
		}
		for _, kind := range kinds {
			t.Run(fmt.Sprintf("%s/%v", p.call, kind), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					s := empty.scenario(t)
					s.d.faults(p.store).Set(notarytest.Fault{Call: p.call, Nth: p.nth, Kind: kind})
					want := 1
					if p.call == "Committed" { // asked only where a commit's answer is unknown
						s.d.ledger.Faults.Set(notarytest.Fault{Call: "Commit", Nth: 1, Kind: notarytest.FailsYetPersisted})
						want = 2
					}
					n := s.start()
					s.persistBatch(n, batchOf(t, "k", 513, "HT-1", "HT-2"))
					s.stop(n)
					if fired := s.d.faults(p.store).Fired(); fired != want || s.d.largest < 513 {
						t.Errorf("%d faults fired, the largest batch had %d rows", fired, s.d.largest)
					}
					s.verdict(1)
				})
			})
		}
	}
}

// TestBatchesAreBounded: beyond 30,000 lines between intake and answer, callers are told
// to come back, and nothing is kept for them.
func TestBatchesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDepository(t)
		n := d.open()
		defer closeNotary(t, n)
		release := make(chan struct{})
		d.ledger.Faults.Reset()
		d.ledger.Faults.Set(notarytest.Fault{Call: "Append", Nth: 1, Do: func() { <-release }})
		line := batchOf(t, "", 1).Lines
		var wg sync.WaitGroup
		for i, size := range []int{notary.MaxLines, notary.MaxLines, notary.MaxLines - 1} {
			wg.Go(func() {
				receipts, err := n.DepositBatch(t.Context(), d.principal(), notary.DigestBatch{Key: fmt.Sprint(i), Lines: slices.Repeat(line, size)})
				if err != nil || len(receipts) != size {
					t.Errorf("%d receipts: %v", len(receipts), err)
				}
			})
		}
		synctest.Wait()
		if _, err := n.DepositBatch(t.Context(), d.principal(), batchOf(t, "late", 2)); !errors.Is(err, notary.ErrBusy) {
			t.Errorf("two lines more: %v", err)
		}
		wg.Go(func() {
			if _, err := n.DepositBatch(t.Context(), d.principal(), batchOf(t, "fits", 1)); err != nil {
				t.Errorf("one line more: %v", err)
			}
		})
		synctest.Wait()
		close(release)
		wg.Wait()
		if want := uint64(1 + 3*notary.MaxLines); d.size() != want {
			t.Errorf("%d entries, not %d", d.size(), want)
		}
		if _, err := n.DepositBatch(t.Context(), d.principal(), batchOf(t, "late", 2)); err != nil {
			t.Errorf("afterwards: %v", err)
		}
	})
}

// stuck makes the anchor stand still until the returned function is called.
func (d *depository) stuck() (release func()) {
	c := make(chan struct{})
	d.anchor.Faults.Set(notarytest.Fault{Call: "Advance", Nth: 0, Do: func() { <-c }})
	return func() { d.anchor.Faults.Reset(); close(c) }
}

// TestUntil: who gives an end to his waiting hears then that his deposit is committed,
// and under which id; the same key brings the rest.
func TestUntil(t *testing.T) {
	for _, lines := range []int{0, 1, 300} { // 0: a single deposit
		for wait, want := range map[time.Duration]time.Duration{5 * time.Second: 5 * time.Second, -time.Second: 0, 0: 8 * time.Second, time.Hour: 8 * time.Second} {
			synctest.Test(t, func(t *testing.T) {
				d := newDepository(t)
				n := d.open()
				defer closeNotary(t, n)
				release := d.stuck()
				deposit := func(ctx context.Context, until time.Time) ([]proofs.Receipt, error) {
					if lines == 0 {
						in := digestOnly(t, "k", "x")
						in.Until = until
						r, err := n.Deposit(ctx, d.principal(), in)
						return []proofs.Receipt{r}, err
					}
					b := batchOf(t, "k", lines)
					b.Until = until
					return n.DepositBatch(ctx, d.principal(), b)
				}
				ids := map[notary.ID]bool{}
				for range 2 { // a retry waits as the first call did
					var until time.Time
					if wait != 0 {
						until = time.Now().Add(wait)
					}
					start := time.Now()
					ctx, cancel := context.WithTimeout(t.Context(), 8*time.Second)
					_, err := deposit(ctx, until)
					cancel()
					var late *notary.SealingDelayedError
					if !errors.As(err, &late) || time.Since(start) != want {
						t.Fatalf("%d lines, waiting %v: %v after %v", lines, wait, err, time.Since(start))
					}
					ids[late.ID] = true
				}
				release()
				receipts, err := deposit(t.Context(), time.Now().Add(time.Minute))
				if err != nil {
					t.Fatal(err)
				}
				id, err := notary.ParseID(text(receipts[0], "id"))
				if err != nil || len(ids) != 1 || !ids[id] {
					t.Errorf("%v were told, it is %s: %v", ids, id, err)
				}
				if again, err := deposit(t.Context(), time.Now().Add(-time.Hour)); err != nil {
					t.Errorf("what is sealed needs no waiting: %v", err)
				} else {
					sameEntries(t, receipts, again)
				}
				d.check(receipts...)
			})
		}
	}
}
