package notary_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
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

// TestSimulation is I9: clients, retries, restarts, replicas that are frozen, witnesses in
// all sorts of trouble, a second tree, and stores that fail at random, in simulated time, against a model that is a map. A seed that
// fails is run again with MUNIMENT_SEED=<seed>.
func TestSimulation(t *testing.T) {
	first, seeds := uint64(1), uint64(300)
	if os.Getenv("MUNIMENT_TORTURE") != "" {
		seeds = 100_000
	}
	if s := os.Getenv("MUNIMENT_SEED"); s != "" {
		seed, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		first, seeds = seed, 1
	}
	entries, faults := 0, 0
	for seed := first; seed < first+seeds; seed++ {
		synctest.Test(t, func(t *testing.T) {
			s := newSimulation(t, seed)
			s.run()
			e, f := s.verdict()
			entries, faults = entries+e, faults+f
		})
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
	t.Logf("%d seeds, %d entries, %d faults", seeds, entries, faults)
}

// simulation is one seed's world.
type simulation struct {
	d     *depository
	count int     // of replicas
	rate  float64 // of calls that fail
	fired int

	mu       sync.Mutex
	r        *rand.Rand
	receipts map[string][]proofs.Receipt // by key
	tried    map[string]bool             // keys that may have an entry
}

func newSimulation(t *testing.T, seed uint64) *simulation {
	s := &simulation{
		d:        newDepository(t),
		r:        rand.New(rand.NewPCG(seed, 9)),
		receipts: map[string][]proofs.Receipt{},
		tried:    map[string]bool{},
	}
	s.rate = []float64{0, 0.01, 0.05, 0.2}[s.r.IntN(4)]
	s.count = []int{1, 1, 2, 3}[s.r.IntN(4)]
	if s.r.IntN(3) == 0 {
		s.d.witnessed(3, 2)
	}
	if s.r.IntN(2) == 0 {
		s.d.second, s.d.opinionAdvisory = notarytest.NewSecondTree(), s.r.IntN(4) == 0
	}
	return s
}

func (s *simulation) intn(n int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.r.IntN(n)
}

// fault is asked at every call of a store.
func (s *simulation) fault(call string, _ int) notarytest.Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.r.Float64() >= s.rate {
		return notarytest.Fault{}
	}
	s.fired++
	kind := notarytest.Kinds[s.r.IntN(len(notarytest.Kinds))]
	if call == "Commit" && s.r.IntN(4) == 0 {
		kind = notarytest.PersistsLater
	}
	return notarytest.Fault{Kind: kind}
}

func (s *simulation) run() {
	for _, store := range s.stores() {
		s.d.faults(store).Choose(s.fault)
	}
	for range 1 + s.intn(3) { // lives of the process
		open, thaw := s.open()
		if len(open) == 0 {
			thaw()
			continue
		}
		var wg sync.WaitGroup
		for range 1 + s.intn(5) {
			wg.Go(func() { s.client(open) })
		}
		wg.Wait()
		thaw()
		for _, n := range open {
			// A stop that is not given the time to end well is a crash.
			ctx, cancel := context.WithTimeout(context.Background(), time.Duration(s.intn(20_000))*time.Millisecond)
			_ = n.Close(ctx)
			cancel()
		}
		s.d.dismiss()
	}
}

// stores are those that fail.
func (s *simulation) stores() []string {
	stores := []string{"ledger", "blobs", "anchor"}
	if s.d.second != nil {
		stores = append(stores, "second")
	}
	return stores
}

// open opens one process, or replicas that are frozen now and then until thaw is called.
func (s *simulation) open() (open []*notary.Notary, thaw func()) {
	var frozen sync.WaitGroup
	end, stop := context.WithCancel(context.Background())
	for i, w := range s.d.witnesses {
		frozen.Go(func() { s.afflict(end, w, i > 0) })
	}
	for range s.count {
		c := s.d.config()
		if s.count > 1 {
			p := s.d.process()
			p.peers.Faults.Choose(s.fault)
			c = p.config()
			frozen.Go(func() { s.freeze(end, p) })
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		n, err := notary.Open(ctx, c)
		cancel()
		if err == nil {
			open = append(open, n)
		}
	}
	return open, func() { stop(); frozen.Wait() }
}

// freeze stops and resumes a process until end.
func (s *simulation) freeze(end context.Context, p *process) {
	defer p.resume()
	for end.Err() == nil {
		for _, step := range []func(){p.stop, p.resume} {
			select {
			case <-time.After(time.Duration(s.intn(8_000)) * time.Millisecond):
				step()
			case <-end.Done():
				return
			}
		}
	}
}

// afflict puts a witness into one trouble after the other until end. Only one may claim
// without proof to be ahead: when those do without whom there is no quorum, it is believed.
func (s *simulation) afflict(end context.Context, w *notarytest.Witness, modest bool) {
	defer w.Set(notarytest.Well, 0)
	for end.Err() == nil {
		trouble := notarytest.Trouble(s.intn(int(notarytest.ClaimsAhead) + 1))
		if modest && trouble == notarytest.ClaimsAhead || s.intn(2) == 0 {
			trouble = notarytest.Well
		}
		w.Set(trouble, time.Duration(s.intn(300))*time.Millisecond)
		select {
		case <-time.After(time.Duration(s.intn(20_000)) * time.Millisecond):
		case <-end.Done():
		}
	}
}

// client deposits under few keys, so that retries, races and reuse all happen, each time
// at any of the replicas.
func (s *simulation) client(open []*notary.Notary) {
	for range 1 + s.intn(8) {
		n := open[s.intn(len(open))]
		key := fmt.Sprint("key-", s.intn(12))
		deposit := digestOnly(s.d.t, key, key, "contract.number", fmt.Sprint("HT-", key[len(key)-1:]))
		switch {
		case key == "key-3" || key == "key-7":
			deposit = original(s.d.t, key, "document of "+key)
		case s.intn(10) == 0:
			s.reuse(n, key)
			continue
		}
		s.mu.Lock()
		s.tried[key] = true
		s.mu.Unlock()
		ctx, cancel := context.WithTimeout(context.Background(), time.Duration(1+s.intn(20_000))*time.Millisecond)
		r, err := n.Deposit(ctx, s.d.principal(), deposit)
		cancel()
		if err == nil {
			s.mu.Lock()
			s.receipts[key] = append(s.receipts[key], r)
			s.mu.Unlock()
		}
		time.Sleep(time.Duration(s.intn(2000)) * time.Millisecond)
	}
}

// reuse offers other content under a key that has an entry: it must never get one.
func (s *simulation) reuse(n *notary.Notary, key string) {
	s.mu.Lock()
	taken := len(s.receipts[key]) > 0
	s.mu.Unlock()
	if !taken {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	_, err := n.Deposit(ctx, s.d.principal(), digestOnly(s.d.t, key, "other content"))
	if err == nil || !errors.Is(err, notary.ErrKeyReused) && s.rate == 0 && s.count == 1 {
		s.d.t.Errorf("other content under %s: %v", key, err)
	}
}

// verdict opens the store without faults and holds it against the model.
func (s *simulation) verdict() (entries, faults int) {
	t := s.d.t
	for _, store := range s.stores() {
		s.d.faults(store).Reset()
	}
	for _, err := range s.d.deaths() {
		// A sealer that was frozen for too long is stopped by the anchor, and nothing else.
		if s.count == 1 || !strings.Contains(err.Error(), "another process moved the anchor") {
			t.Errorf("the notary stopped itself: %v", err)
		}
	}
	n := s.d.open()
	closeNotary(t, n)
	var all []proofs.Receipt
	for key, receipts := range s.receipts {
		for _, r := range receipts {
			if r.Index != receipts[0].Index || r.Entry != receipts[0].Entry {
				t.Errorf("%s stands for entries %d and %d", key, receipts[0].Index, r.Index)
			}
		}
		all = append(all, receipts...)
	}
	s.d.check(all...)
	head, err := s.d.ledger.Head(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	entries = int(head.Size) - 1
	if entries < len(s.receipts) || entries > len(s.tried) {
		t.Errorf("%d entries for %d acknowledged and %d tried keys", entries, len(s.receipts), len(s.tried))
	}
	report, err := notary.Fsck(context.Background(), s.d.config(), nil)
	if err != nil || !report.Clean() {
		t.Errorf("fsck: %+v, %v", report, err)
	}
	return entries, s.fired
}
