package notary_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/notary/notarytest"
	"github.com/muniment/muniment/proofs"
)

// process is what a replica sees of the world: all that it does to it can be stopped, for
// a while as by SIGSTOP or for ever as by SIGKILL.
type process struct {
	recorder
	peers *notarytest.Peers

	mu      sync.Mutex
	running chan struct{} // closed while it runs
	killed  bool
}

var errKilled = errors.New("the process was killed")

func (d *depository) process() *process {
	d.parallel = true
	p := &process{recorder: recorder{d.ledger, d}, peers: d.peers.Replica(), running: make(chan struct{})}
	close(p.running)
	return p
}

// stop freezes the process, unless it is frozen.
func (p *process) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.running:
		p.running = make(chan struct{})
	default:
	}
}

// resume lets it go on, unless it does.
func (p *process) resume() {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.running:
	default:
		close(p.running)
	}
}

func (p *process) kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.killed = true
}

// act returns once the process may do something.
func (p *process) act() error {
	p.mu.Lock()
	running := p.running
	p.mu.Unlock()
	<-running
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.killed {
		return errKilled
	}
	return nil
}

func (p *process) Append(ctx context.Context, l notary.Lookups, build func(notary.State) (*notary.Batch, error)) error {
	if err := p.act(); err != nil {
		return err
	}
	return p.recorder.Append(ctx, l, build)
}

func (p *process) Publish(ctx context.Context, size uint64, note []byte) error {
	if err := p.act(); err != nil {
		return err
	}
	return p.recorder.Publish(ctx, size, note)
}

// processAnchor and processPeers are the process's way to the anchor and to the others.
type processAnchor struct {
	notary.Anchor
	p *process
}

func (a processAnchor) Advance(ctx context.Context, prev, next []byte) error {
	if err := a.p.act(); err != nil {
		return err
	}
	return a.Anchor.Advance(ctx, prev, next)
}

type processPeers struct {
	*notarytest.Peers
	p *process
}

func (a processPeers) Lead(ctx context.Context, holder notary.ID, lease time.Duration) (bool, error) {
	if err := a.p.act(); err != nil {
		return false, err
	}
	return a.Peers.Lead(ctx, holder, lease)
}

func (a processPeers) Resign(ctx context.Context, holder notary.ID) error {
	if err := a.p.act(); err != nil {
		return err
	}
	return a.Peers.Resign(ctx, holder)
}

func (a processPeers) Announce(ctx context.Context, news notary.News) error {
	if err := a.p.act(); err != nil {
		return err
	}
	return a.Peers.Announce(ctx, news)
}

// config is that of the replica in p.
func (p *process) config() notary.Config {
	c := p.d.config()
	c.Ledger = p
	c.Peers = processPeers{p.peers, p}
	c.Anchors = []notary.Anchor{processAnchor{p.d.anchor, p}}
	return c
}

func (p *process) open() *notary.Notary {
	p.d.t.Helper()
	n, err := notary.Open(context.Background(), p.config())
	if err != nil {
		p.d.t.Fatal(err)
	}
	return n
}

// replicas opens that many on one depository.
func (d *depository) replicas(count int) (processes []*process, notaries []*notary.Notary) {
	d.t.Helper()
	for range count {
		p := d.process()
		processes, notaries = append(processes, p), append(notaries, p.open())
	}
	return processes, notaries
}

func (d *depository) must(n *notary.Notary, key string) proofs.Receipt {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	r, err := n.Deposit(ctx, d.principal(), digestOnly(d.t, key, key, "contract.number", "HT-"+key[:1]))
	if err != nil {
		d.t.Fatalf("deposit %s: %v", key, err)
	}
	return r
}

// TestReplicas: each takes deposits, any answers for all, and the log is one.
func TestReplicas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDepository(t)
		_, all := d.replicas(3)
		var mu sync.Mutex
		var receipts []proofs.Receipt
		var wg sync.WaitGroup
		for i := range 60 {
			wg.Go(func() {
				n := all[i%3]
				r := d.must(n, fmt.Sprint(i%7, "-", i))
				mu.Lock()
				receipts = append(receipts, r)
				mu.Unlock()
				id, err := notary.ParseID(text(r, "id"))
				if err != nil {
					t.Error(err)
				}
				for _, other := range all {
					again, err := other.Receipt(context.Background(), d.principal(), id)
					if err != nil || again.Index != r.Index || again.Entry != r.Entry {
						t.Errorf("another replica answers entry %d with %v", r.Index, err)
					}
					found, _, err := other.Search(context.Background(), d.principal(), notary.Search{SHA256: text(r, "content.sha256"), Limit: 10})
					if err != nil || len(found) != 1 {
						t.Errorf("another replica finds %d deposits: %v", len(found), err)
					}
				}
				retry := d.must(all[(i+1)%3], fmt.Sprint(i%7, "-", i))
				if retry.Index != r.Index {
					t.Errorf("the retry at another replica made entry %d of %d", retry.Index, r.Index)
				}
			})
		}
		wg.Wait()
		for _, n := range all {
			closeNotary(t, n)
		}
		if died := d.deaths(); len(died) > 0 {
			t.Errorf("stopped: %v", died)
		}
		d.check(receipts...)
	})
}

// TestHandOver: the sealer is killed, again and again; within two seconds another seals.
func TestHandOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDepository(t)
		processes, all := d.replicas(2)
		var receipts []proofs.Receipt
		for round := range 20 {
			receipts = append(receipts, d.must(all[0], fmt.Sprint("a", round)), d.must(all[1], fmt.Sprint("b", round)))
			time.Sleep(time.Duration(round) * 97 * time.Millisecond)
			processes[0].kill()
			begun := time.Now()
			receipts = append(receipts, d.must(all[1], fmt.Sprint("c", round)))
			if took := time.Since(begun); took > 2*time.Second {
				t.Errorf("round %d: the next receipt took %v", round, took)
			}
			dead := all[0]
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			_ = dead.Close(ctx)
			cancel()
			p, n := d.replicas(1)
			processes[0], processes[1] = processes[1], p[0]
			all[0], all[1] = all[1], n[0]
		}
		for _, n := range all {
			closeNotary(t, n)
		}
		if died := d.deaths(); len(died) > 0 {
			t.Errorf("stopped: %v", died)
		}
		d.check(receipts...)
	})
}

func races() int {
	if os.Getenv("MUNIMENT_TORTURE") != "" {
		return 500
	}
	return 25
}

// TestStoppedSealer freezes a sealer at a moment that differs each time, for longer than
// two leases, while another takes over; and then lets it go on. It may stop itself, and
// never fork the log.
func TestStoppedSealer(t *testing.T) {
	stopped := 0
	for race := range races() {
		synctest.Test(t, func(t *testing.T) {
			d := newDepository(t)
			processes, all := d.replicas(2)
			// Where in its work the sealer is frozen: before, within or after an advance.
			d.anchor.Faults.Set(notarytest.Fault{Call: "Advance", Nth: race%4 + 2, Do: func() { processes[0].stop(); processes[0].act() }})
			var mu sync.Mutex
			var receipts []proofs.Receipt
			var wg sync.WaitGroup
			for i := range 8 {
				wg.Go(func() {
					for j := range 6 {
						ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
						r, err := all[i%2].Deposit(ctx, d.principal(), digestOnly(t, fmt.Sprint(i, j), "x", "contract.number", "HT-1"))
						cancel()
						if err == nil {
							mu.Lock()
							receipts = append(receipts, r)
							mu.Unlock()
						}
						time.Sleep(time.Duration(1+(race*7+i*3+j)%40) * time.Millisecond)
					}
				})
			}
			time.Sleep(time.Duration(3+race%50) * 60 * time.Millisecond)
			processes[0].stop()
			time.Sleep(2600 * time.Millisecond)
			processes[0].resume()
			wg.Wait()
			for _, n := range all {
				ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
				_ = n.Close(ctx)
				cancel()
			}
			for _, err := range d.deaths() {
				if !strings.Contains(err.Error(), "another process moved the anchor") {
					t.Errorf("stopped by %v", err)
				}
			}
			stopped += len(d.deaths())
			d.check(receipts...)
			if len(receipts) < 24 {
				t.Errorf("%d receipts from the replica that was left alone", len(receipts))
			}
		})
		if t.Failed() {
			t.Fatalf("race %d", race)
		}
	}
	if stopped == 0 {
		t.Error("no sealer was ever caught by the anchor: nothing was attacked")
	}
	t.Logf("the stale one was stopped by the anchor %d times", stopped)
}

// TestNoOlderCheckpoint: who asks one replica after the other never sees a smaller
// checkpoint after a larger, nor misses what was shown to exist.
func TestNoOlderCheckpoint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDepository(t)
		_, all := d.replicas(3)
		size := func(n *notary.Notary) uint64 {
			note, err := n.Checkpoint(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			parsed, err := proofs.ParseNote(note)
			if err != nil {
				t.Fatal(err)
			}
			cp, err := proofs.ParseCheckpoint(parsed.Text)
			if err != nil {
				t.Fatal(err)
			}
			return cp.Size
		}
		for i := range 50 {
			d.must(all[i%3], fmt.Sprint("k", i))
			last := uint64(0)
			for j := range 3 {
				n := all[(i+j)%3]
				now := size(n)
				if now < last || now < uint64(i)+2 {
					t.Errorf("size %d after %d", now, last)
				}
				last = now
				if _, err := n.Tile(t.Context(), 0, 0, int(now)); err != nil {
					t.Errorf("tile of size %d: %v", now, err)
				}
				if _, err := n.InclusionProof(t.Context(), now-1, now); err != nil {
					t.Errorf("inclusion in size %d: %v", now, err)
				}
			}
		}
		for _, n := range all {
			closeNotary(t, n)
		}
	})
}

// TestLostPublication: a database that forgets the published note in a crash is given it
// back by whoever has it.
func TestLostPublication(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDepository(t)
		_, all := d.replicas(2)
		d.must(all[0], "a")
		old := d.ledger.Snapshot()
		d.must(all[1], "b")
		d.ledger.Corrupt(func(s *notarytest.LedgerState) { s.Published, s.PublishedSize = old.Published, old.PublishedSize })
		time.Sleep(time.Second)
		if s := d.ledger.Snapshot(); s.PublishedSize != 3 {
			t.Errorf("the ledger still holds the note of size %d", s.PublishedSize)
		}
		for _, n := range all {
			closeNotary(t, n)
		}
		d.check()
	})
}

// TestForeignCheckpoint: what is not signed by the log is shown to nobody, whoever put it
// into the ledger.
func TestForeignCheckpoint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDepository(t)
		_, all := d.replicas(2)
		d.must(all[0], "a")
		before, err := all[1].Checkpoint(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		forged := strings.Replace(string(before), "\n2\n", "\n9\n", 1)
		d.ledger.Corrupt(func(s *notarytest.LedgerState) { s.Published, s.PublishedSize = []byte(forged), 9 })
		if note, err := all[1].Checkpoint(t.Context()); !errors.Is(err, notary.ErrDamaged) {
			t.Errorf("shown: %q, %v", note, err)
		}
		if problems := all[1].Status(t.Context()).Problems; len(problems) == 0 {
			t.Error("ready with a forged checkpoint")
		}
		for _, n := range all {
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			_ = n.Close(ctx)
			cancel()
		}
	})
}

// TestRolledBackUnderReplicas: a database that lost entries ends every replica.
func TestRolledBackUnderReplicas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDepository(t)
		_, all := d.replicas(2)
		old := d.ledger.Snapshot()
		d.must(all[0], "a")
		d.must(all[1], "b")
		d.ledger.Restore(old)
		time.Sleep(time.Second)
		told := func(err error) bool { return strings.Contains(err.Error(), "rolled back") }
		if died := d.deaths(); len(died) != 2 || !slices.ContainsFunc(died, told) {
			t.Errorf("stopped: %v", died)
		}
		for _, n := range all {
			_ = n.Close(t.Context())
		}
	})
}

// TestLapsedLease: a replica whose lease ran out, because nobody could be asked for it,
// seals again when it has it again, whatever the moment.
func TestLapsedLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDepository(t)
		processes, all := d.replicas(1)
		for i := range 40 {
			processes[0].peers.Faults.Set(notarytest.Fault{Call: "Lead", Kind: notarytest.Fails})
			time.Sleep(time.Duration(1100+i*7) * time.Millisecond)
			processes[0].peers.Faults.Reset()
			begun := time.Now()
			d.must(all[0], fmt.Sprint("k", i))
			if took := time.Since(begun); took > time.Second {
				t.Errorf("after %d: the next receipt took %v", i, took)
			}
		}
		closeNotary(t, all[0])
		if died := d.deaths(); len(died) > 0 {
			t.Errorf("stopped: %v", died)
		}
		d.check()
	})
}
