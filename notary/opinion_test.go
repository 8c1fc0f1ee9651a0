package notary_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/notary/notarytest"
	"github.com/muniment/muniment/proofs"
)

// opinionated is a depository with a second tree.
func opinionated(t testing.TB) *depository {
	d := newDepository(t)
	d.second = notarytest.NewSecondTree()
	return d
}

// grow deposits up to that many entries without the second tree.
func (d *depository) growAlone(size uint64) {
	d.t.Helper()
	second := d.second
	d.second = nil
	n := d.open()
	for at := uint64(1); at < size; {
		b := notary.DigestBatch{Key: fmt.Sprint("grow-", at)}
		for range min(size-at, 5000) {
			b.Lines = append(b.Lines, digestOnly(d.t, "", fmt.Sprint("grown-", at)).Claims)
			at++
		}
		if _, err := n.DepositBatch(context.Background(), d.principal(), b); err != nil {
			d.t.Fatal(err)
		}
	}
	closeNotary(d.t, n)
	d.second = second
}

func (d *depository) try(n *notary.Notary, key string, within time.Duration) (proofs.Receipt, error) {
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	return n.Deposit(ctx, d.principal(), digestOnly(d.t, key, key, "contract.number", "HT-"+key[:1]))
}

// crashed closes a notary that stopped itself.
func crashed(n *notary.Notary) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = n.Close(ctx)
}

// TestSecondOpinion: the tree is fed what is in the ledger, from whatever it has, and every
// checkpoint that leaves has its root (the recorder looks).
func TestSecondOpinion(t *testing.T) {
	for _, behind := range []uint64{0, 1, 255, 1024, 1025, 9000} {
		synctest.Test(t, func(t *testing.T) {
			d := opinionated(t)
			d.growAlone(behind + 1)
			n := d.open()
			receipts := []proofs.Receipt{d.must(n, "a"), d.must(n, "b")}
			closeNotary(t, n)
			if leaves := d.second.Snapshot(); uint64(len(leaves)) != behind+3 {
				t.Errorf("the second tree has %d of %d entries", len(leaves), behind+3)
			}
			d.check(receipts...)
			if died := d.deaths(); len(died) > 0 {
				t.Errorf("stopped: %v", died)
			}
		})
	}
}

// flippedReads is a ledger in which a bit flips on the way of some reads of entries: those
// of the audit, which never cross the edge of a tile, or those for the second tree, which do.
type flippedReads struct {
	notary.Ledger
	crossing atomic.Pointer[bool] // which of them; nil: none
}

func (f *flippedReads) Entries(ctx context.Context, from, to uint64) ([][]byte, error) {
	entries, err := f.Ledger.Entries(ctx, from, to)
	if which := f.crossing.Load(); err == nil && which != nil && (from/256 != (to-1)/256) == *which {
		flipBit(entries[len(entries)-1], 60)
	}
	return entries, err
}

// TestFlippedTail: a bit that flips in what is not sealed yet is caught before the next
// signature, by our own audit where the second tree does not see it, by the second tree
// where the audit does not, and wherever it is stored.
func TestFlippedTail(t *testing.T) {
	for _, c := range []struct {
		what  string
		reads *bool
		flip  func(s *notarytest.LedgerState)
		word  string
	}{
		{"seen by the audit alone", new(bool), nil, "do not hash to its stored leaf"},
		{"seen by the second tree alone", ptr(true), nil, "the second tree has root"},
		{"stored", nil, func(s *notarytest.LedgerState) { flipBit(s.Rows[252].Entry, 60) }, ""},
		{"stored, with its leaf hash", nil, func(s *notarytest.LedgerState) {
			flipBit(s.Rows[252].Entry, 60)
			s.Hashes[0][252] = proofs.LeafHash(s.Rows[252].Entry)
		}, ""},
	} {
		t.Run(c.what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := opinionated(t)
				d.growAlone(250)
				config := d.config()
				reads := &flippedReads{Ledger: config.Ledger}
				bad := &spoiler{Ledger: reads, fake: d.ledger}
				config.Ledger = bad
				n, err := notary.Open(t.Context(), config)
				if err != nil {
					t.Fatal(err)
				}
				sealed := string(d.anchor.Snapshot())
				bad.flip = c.flip
				reads.crossing.Store(c.reads)
				b := notary.DigestBatch{Key: "batch"}
				for i := range 10 { // 250 to 259: over the edge of a tile
					b.Lines = append(b.Lines, digestOnly(t, "", strconv.Itoa(i)).Claims)
				}
				if _, err := n.DepositBatch(t.Context(), d.principal(), b); err == nil {
					t.Error("receipts were given")
				}
				crashed(n)
				if died := d.deaths(); len(died) != 1 || !strings.Contains(died[0].Error(), c.word) {
					t.Errorf("deaths: %v", died)
				}
				if string(d.anchor.Snapshot()) != sealed || d.notes[260] != "" {
					t.Error("it was sealed")
				}
			})
		})
	}
}

func ptr[T any](v T) *T { return &v }

// TestSecondTreeDisagrees: whatever the second tree holds that the ledger does not, nothing
// is signed; it is found at the start, at a hand-over and while it runs, and named.
func TestSecondTreeDisagrees(t *testing.T) {
	other := proofs.Hash{1}
	for _, c := range []struct {
		what  string
		harm  func(s *notarytest.SecondTree)
		words []string
	}{
		{"lies", func(s *notarytest.SecondTree) { s.Lie(other) }, []string{other.String(), "301"}},
		{"has a flipped leaf", func(s *notarytest.SecondTree) {
			leaves := s.Snapshot()
			leaves[17][3] ^= 1
			s.Restore(leaves)
		}, []string{"301", "fsck --trillian"}},
		{"is ahead", func(s *notarytest.SecondTree) { s.Restore(append(s.Snapshot(), other)) }, []string{"302", "301", "rolled back"}},
	} {
		t.Run(c.what, func(t *testing.T) {
			t.Run("at the start", func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					d := opinionated(t)
					d.growAlone(301)
					closeNotary(t, d.open())
					sealed := string(d.anchor.Snapshot())
					c.harm(d.second)
					_, err := notary.Open(t.Context(), d.config())
					if err == nil {
						t.Fatal("it opened")
					}
					for _, w := range c.words {
						if !strings.Contains(err.Error(), w) {
							t.Errorf("%v, does not name %s", err, w)
						}
					}
					if string(d.anchor.Snapshot()) != sealed {
						t.Error("it was sealed")
					}
				})
			})
			t.Run("at a hand-over", func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					d := opinionated(t)
					d.growAlone(301)
					processes, all := d.replicas(2)
					processes[0].stop()
					c.harm(d.second)
					time.Sleep(3 * time.Second)
					if died := d.deaths(); len(died) != 1 {
						t.Errorf("deaths: %v", died)
					}
					processes[0].resume()
					crashed(all[0])
					crashed(all[1])
				})
			})
			t.Run("while it runs", func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					d := opinionated(t)
					d.growAlone(301)
					n := d.open()
					sealed := string(d.anchor.Snapshot())
					c.harm(d.second)
					if _, err := d.try(n, "a", 20*time.Second); err == nil {
						t.Error("a receipt was given")
					}
					crashed(n)
					if died := d.deaths(); len(died) != 1 {
						t.Errorf("deaths: %v", died)
					}
					if string(d.anchor.Snapshot()) != sealed {
						t.Error("it was sealed")
					}
				})
			})
		})
	}
}

// TestSecondTreeDown: while the second tree fails, hangs, is gone or refuses the time,
// nothing is sealed and nothing is lost; callers are told within seconds, and everything
// goes on by itself.
func TestSecondTreeDown(t *testing.T) {
	fail := func(kind notarytest.Kind, err error) func(*depository) func() {
		return func(d *depository) func() {
			for _, call := range []string{"TreeHead", "Extend"} {
				d.second.Faults.Set(notarytest.Fault{Call: call, Kind: kind, Err: err})
			}
			return d.second.Faults.Reset
		}
	}
	for _, c := range []struct {
		what string
		harm func(d *depository) (mend func())
		want error
	}{
		{"fails", fail(notarytest.Fails, nil), notary.ErrOpinion},
		{"does it and fails", fail(notarytest.FailsYetPersisted, nil), notary.ErrOpinion},
		{"times out", fail(notarytest.TimesOut, nil), notary.ErrOpinion},
		{"refuses the time", fail(notarytest.Fails, notary.ErrTreeClock), notary.ErrTreeClock},
		{"is slow", func(d *depository) func() {
			d.second.Faults.Set(notarytest.Fault{Call: "Extend", Do: func() { time.Sleep(4 * time.Second) }})
			return d.second.Faults.Reset
		}, notary.ErrOpinion},
		{"does not integrate", func(d *depository) func() {
			d.second.Faults.Set(notarytest.Fault{Call: "Extend", Do: func() { d.second.Lag(2) }})
			return func() { d.second.Faults.Reset(); d.second.Lag(0) }
		}, notary.ErrOpinion},
		{"is gone", func(d *depository) func() {
			leaves := d.second.Snapshot()
			d.second.Drop()
			return func() { d.second.Restore(leaves) }
		}, notary.ErrOpinion},
		{"is rebuilt", func(d *depository) func() {
			d.second.Drop()
			return func() { d.second.Restore(nil) }
		}, notary.ErrOpinion},
	} {
		t.Run(c.what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := opinionated(t)
				n := d.open()
				first := d.must(n, "first")
				mend := c.harm(d)
				sealed := d.second.Snapshot()
				_, err := d.try(n, "a", 3*time.Second)
				var missing *notary.OpinionMissingError
				if !errors.As(err, &missing) {
					t.Errorf("the deposit under way: %v", err)
				}
				if _, err := d.try(n, "b", time.Second); !errors.Is(err, c.want) || !errors.Is(err, notary.ErrOpinion) {
					t.Errorf("the next one: %v", err)
				}
				if problems := n.Status(t.Context()).Problems; !slices.ContainsFunc(problems, func(err error) bool { return errors.Is(err, c.want) }) {
					t.Errorf("Status: %v", problems)
				}
				if note, err := n.Checkpoint(t.Context()); err != nil || !strings.Contains(string(note), "\n2\n") {
					t.Errorf("meanwhile the checkpoint is %q, %v (tree of %d)", note, err, len(sealed))
				}
				time.Sleep(30 * time.Second)
				if died := d.deaths(); len(died) > 0 {
					t.Fatalf("stopped: %v", died)
				}
				mend()
				begun := time.Now()
				for {
					if _, err = d.try(n, "a", time.Second); err == nil || time.Since(begun) > 30*time.Second {
						break
					}
					time.Sleep(100 * time.Millisecond)
				}
				if took := time.Since(begun); took > 12*time.Second { // a call under way ends after ten
					t.Errorf("it goes on after %v: %v", took, err)
				}
				a, b := d.must(n, "a"), d.must(n, "b")
				if a.Index != 2 || b.Index != 3 {
					t.Errorf("entries %d and %d", a.Index, b.Index)
				}
				if problems := n.Status(t.Context()).Problems; len(problems) > 0 {
					t.Errorf("afterwards: %v", problems)
				}
				closeNotary(t, n)
				d.check(first, a, b)
			})
		})
	}
}

// TestStartWithoutSecondTree: a start does not wait for it; what was published can be read.
func TestStartWithoutSecondTree(t *testing.T) {
	for _, kind := range []notarytest.Kind{notarytest.Fails, notarytest.TimesOut} {
		synctest.Test(t, func(t *testing.T) {
			d := opinionated(t)
			n := d.open()
			d.must(n, "a")
			closeNotary(t, n)
			for _, call := range []string{"TreeHead", "Extend"} {
				d.second.Faults.Set(notarytest.Fault{Call: call, Kind: kind})
			}
			begun := time.Now()
			n = d.open()
			if took := time.Since(begun); took > 5*time.Second {
				t.Errorf("the start took %v", took)
			}
			if note, err := n.Checkpoint(t.Context()); err != nil || !strings.Contains(string(note), "\n2\n") {
				t.Errorf("%q, %v", note, err)
			}
			if _, err := d.try(n, "b", time.Second); !errors.Is(err, notary.ErrOpinion) {
				t.Errorf("intake: %v", err)
			}
			d.second.Faults.Reset()
			time.Sleep(15 * time.Second)
			d.must(n, "b")
			closeNotary(t, n)
			d.check()
		})
	}
}

// TestSecondTreeCatchesUp: a tree that is far behind is fed for as long as it takes. The
// lease is kept, callers are told what is waited for, and it goes on by itself.
func TestSecondTreeCatchesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := opinionated(t)
		d.growAlone(60_000)
		var extended atomic.Uint64
		d.second.Faults.Set(notarytest.Fault{Call: "Extend", Do: func() { extended.Add(1); time.Sleep(time.Second) }})
		processes, all := d.replicas(2)
		time.Sleep(3 * time.Second)
		if !slices.ContainsFunc(all[0].Status(t.Context()).Problems, func(err error) bool { return errors.Is(err, notary.ErrTreeBehind) }) {
			t.Errorf("Status: %v", all[0].Status(t.Context()).Problems)
		}
		_, err := d.try(all[0], "a", time.Second)
		if !errors.Is(err, notary.ErrTreeBehind) || !strings.Contains(err.Error(), "of 60000 entries") {
			t.Errorf("intake while it catches up: %v", err)
		}
		begun := time.Now()
		for {
			if _, err = d.try(all[0], "a", time.Second); err == nil || time.Since(begun) > 5*time.Minute {
				break
			}
			time.Sleep(time.Second)
		}
		if err != nil {
			t.Fatal(err)
		}
		// Every batch once, and few twice: who feeds it did not change, and nothing was begun anew.
		if got := extended.Load(); got < 59 || got > 70 {
			t.Errorf("%d batches for 59", got)
		}
		d.second.Faults.Reset()
		processes[0].kill()
		d.must(all[1], "b")
		for _, n := range all {
			crashed(n)
		}
		if died := d.deaths(); len(died) > 0 {
			t.Errorf("stopped: %v", died)
		}
		d.check()
	})
}

// TestSecondTreeOfAQuietLog: a tree that lacks entries of a log that is published whole is fed
// though nobody deposits, also where the process knows what is published before it seals.
func TestSecondTreeOfAQuietLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := opinionated(t)
		d.growAlone(2000)
		// Who audits longer than it takes to hear what is published finds nothing to seal.
		d.second.Faults.Set(notarytest.Fault{Call: "TreeHead", Do: func() { time.Sleep(time.Second) }})
		_, all := d.replicas(1)
		time.Sleep(10 * time.Second)
		if got := len(d.second.Snapshot()); got != 2000 {
			t.Errorf("it has %d of 2000 entries", got)
		}
		for _, n := range all {
			crashed(n)
		}
		d.check()
	})
}

// TestAdvisoryOpinion: what the second tree says is an alarm and stops nothing.
func TestAdvisoryOpinion(t *testing.T) {
	for what, harm := range map[string]func(d *depository){
		"fails":    func(d *depository) { d.second.Faults.Set(notarytest.Fault{Call: "Extend", Kind: notarytest.Fails}) },
		"hangs":    func(d *depository) { d.second.Faults.Set(notarytest.Fault{Call: "Extend", Kind: notarytest.TimesOut}) },
		"lies":     func(d *depository) { d.second.Lie(proofs.Hash{1}) },
		"is ahead": func(d *depository) { d.second.Restore(append(d.second.Snapshot(), proofs.Hash{1}, proofs.Hash{2})) },
		"is gone":  func(d *depository) { d.second.Drop() },
	} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := opinionated(t)
				d.opinionAdvisory = true
				registry := prometheus.NewPedanticRegistry()
				d.registry = registry
				n := d.open()
				d.must(n, "a")
				time.Sleep(time.Second)
				got := measured(t, registry)
				if got["muniment_trillian_agreement"] != 1 || got["muniment_trillian_size_entries"] != 2 || got["muniment_trillian_agreed_timestamp_seconds"] == 0 {
					t.Errorf("metrics: %v", got)
				}
				leaves := d.second.Snapshot()
				harm(d)
				begun := time.Now()
				b := d.must(n, "b")
				if took := time.Since(begun); took > 100*time.Millisecond {
					t.Errorf("the receipt took %v", took)
				}
				time.Sleep(15 * time.Second)
				s := n.Status(t.Context())
				if len(s.Problems) > 0 || !errors.Is(s.Opinion, notary.ErrOpinion) {
					t.Errorf("Status: %+v", s)
				}
				if got := measured(t, registry)["muniment_trillian_agreement"]; got != 0 {
					t.Errorf("agreement is %v", got)
				}
				d.second.Faults.Reset()
				d.second.Restore(leaves)
				time.Sleep(15 * time.Second)
				if s := n.Status(t.Context()); s.Opinion != nil || len(d.second.Snapshot()) != 3 {
					t.Errorf("afterwards: %v, %d leaves", s.Opinion, len(d.second.Snapshot()))
				}
				closeNotary(t, n)
				if died := d.deaths(); len(died) > 0 {
					t.Errorf("stopped: %v", died)
				}
				d.check(b)
			})
		})
	}
}

// TestDeposedFeeder: a sealer that lost its lease while the second tree is being fed stops
// feeding it, and its successor goes on from what it holds.
func TestDeposedFeeder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := opinionated(t)
		d.growAlone(20_000)
		first, second := d.process(), d.process()
		feed := &feeder{SecondTree: d.second}
		c := first.config()
		c.SecondTree = feed
		d.second.Faults.Set(notarytest.Fault{Call: "Extend", Nth: 3, Do: func() { first.stop(); time.Sleep(5 * time.Second) }})
		a, err := notary.Open(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		b := second.open()
		time.Sleep(10 * time.Second)
		fed := feed.calls.Load()
		d.must(b, "b")
		if fed > 4 || feed.calls.Load() != fed {
			t.Errorf("the deposed sealer extended the tree %d times", feed.calls.Load())
		}
		first.resume()
		d.must(a, "a")
		closeNotary(t, a)
		closeNotary(t, b)
		d.check()
	})
}

// feeder counts what one process feeds.
type feeder struct {
	notary.SecondTree
	calls atomic.Uint64
}

func (f *feeder) Extend(ctx context.Context, from uint64, entries [][]byte) (notary.Tree, error) {
	f.calls.Add(1)
	return f.SecondTree.Extend(ctx, from, entries)
}

// TestGrowSecondTree: a tree is built beside a running one, and refused where the ledger is
// not what is sealed.
func TestGrowSecondTree(t *testing.T) {
	d := opinionated(t)
	d.growAlone(3000)
	n := d.opened()
	beside := notarytest.NewSecondTree()
	var last uint64
	got, err := n.GrowSecondTree(t.Context(), beside, func(done, total uint64) {
		if done < last || total != 3000 {
			t.Errorf("%d of %d after %d", done, total, last)
		}
		last = done
	})
	if err != nil || got.Size != 3000 || last != 3000 {
		t.Errorf("%v, %v, %d", got, err, last)
	}
	if !slices.Equal(beside.Snapshot(), d.second.Snapshot()) {
		t.Error("the trees differ")
	}
	d.ledger.Corrupt(func(s *notarytest.LedgerState) { flipBit(s.Rows[1500].Entry, 60) })
	if _, err := n.GrowSecondTree(t.Context(), notarytest.NewSecondTree(), nil); err == nil || !strings.Contains(err.Error(), "2048") {
		t.Errorf("with a flipped bit: %v", err)
	}
	d.ledger.Corrupt(func(s *notarytest.LedgerState) { s.Hashes[1][3] = proofs.Hash{} })
	if _, err := notary.GrowSecondTree(t.Context(), d.config(), notarytest.NewSecondTree(), nil); err == nil || !strings.Contains(err.Error(), "not what is sealed") {
		t.Errorf("with another root: %v", err)
	}
}

// TestFsckOfSecondTree: every leaf that differs is named by its index, whichever of the two
// it was that changed.
func TestFsckOfSecondTree(t *testing.T) {
	d := opinionated(t)
	d.growAlone(2500)
	closeNotary(t, d.open())
	leaves, ledger := d.second.Snapshot(), d.ledger.Snapshot()
	fsck := func() *notary.Report {
		r := &notary.Report{}
		if err := notary.FsckTree(t.Context(), d.config(), r, nil); err != nil {
			t.Fatal(err)
		}
		return r
	}
	if r := fsck(); !r.Clean() || r.Leaves != 2500 {
		t.Errorf("%+v", r)
	}
	for _, i := range []int{0, 17, 1023, 1024, 2499} {
		flipped := slices.Clone(leaves)
		flipped[i][9] ^= 1
		d.second.Restore(flipped)
		if r := fsck(); r.Findings != 2 || !strings.Contains(r.Named[0], fmt.Sprintf("at index %d,", i)) {
			t.Errorf("leaf %d: %q", i, r.Named)
		}
		d.second.Restore(leaves)
		d.ledger.Corrupt(func(s *notarytest.LedgerState) { flipBit(s.Rows[i].Entry, 60) })
		if r := fsck(); r.Findings != 1 || !strings.Contains(r.Named[0], fmt.Sprintf("entry %d ", i)) {
			t.Errorf("entry %d: %q", i, r.Named)
		}
		d.ledger.Restore(ledger)
	}
	d.second.Lie(proofs.Hash{1})
	if r := fsck(); r.Findings != 2 {
		t.Errorf("with a false root: %q", r.Named)
	}
	d.second.Restore(append(slices.Clone(leaves), proofs.Hash{}))
	if r := fsck(); r.Findings != 1 || !strings.Contains(r.Named[0], "2501") {
		t.Errorf("ahead: %q", r.Named)
	}
	d.second.Drop()
	if r := fsck(); r.Findings != 1 {
		t.Errorf("gone: %q", r.Named)
	}
}

// TestFlippedOldRow: a byte that flips in a row that was sealed long ago is named by who
// reads it, by fsck, and by the second tree's fsck.
func TestFlippedOldRow(t *testing.T) {
	d := opinionated(t)
	n := d.opened()
	old := d.must(n, "old")
	for i := range 300 {
		d.must(n, fmt.Sprint("k", i))
	}
	d.ledger.Corrupt(func(s *notarytest.LedgerState) { flipBit(s.Rows[old.Index].Entry, 60) })
	id, err := notary.ParseID(text(old, "id"))
	if err != nil {
		t.Fatal(err)
	}
	named := fmt.Sprintf("entry %d", old.Index)
	if _, err := n.Receipt(t.Context(), d.principal(), id); !errors.Is(err, notary.ErrDamaged) || !strings.Contains(err.Error(), named) {
		t.Errorf("Receipt: %v", err)
	}
	if problems := n.Status(t.Context()).Problems; len(problems) != 1 || !strings.Contains(problems[0].Error(), named) {
		t.Errorf("Status: %v", problems)
	}
	report, err := n.Fsck(t.Context(), nil)
	if err != nil || report.Clean() || !strings.Contains(strings.Join(report.Named, "\n"), named) {
		t.Errorf("fsck: %v, %v", report, err)
	}
	report = &notary.Report{}
	if err := n.FsckTree(t.Context(), report, nil); err != nil || report.Findings != 1 || !strings.Contains(report.Named[0], named) {
		t.Errorf("fsck of the second tree: %v, %v", report, err)
	}
}
