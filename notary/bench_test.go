package notary_test

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/notary/notarytest"
	"github.com/muniment/muniment/storage"
)

// BenchmarkDeposit measures digest deposits from call to verified receipt on the
// embedded engines, fsync on, with that many submitters at once. It reports
// leaves/s committed and sealed, and rows per commit.
func BenchmarkDeposit(b *testing.B) {
	for _, submitters := range []int{1, 64, 1024} {
		b.Run(strconv.Itoa(submitters), func(b *testing.B) { benchmarkDeposit(b, newDepository(b), submitters) })
	}
}

// BenchmarkWitnessedDeposit is the same without witnesses and with five, each 20 ms away,
// of which three must cosign. A deposit takes longer by the witnesses' way; what counts
// is how many there are in a second when many come at once.
func BenchmarkWitnessedDeposit(b *testing.B) {
	for _, submitters := range []int{64, 1024, 2000} {
		for _, witnesses := range []int{0, 5} {
			b.Run(fmt.Sprintf("%d/witnesses=%d", submitters, witnesses), func(b *testing.B) {
				d := newDepository(b)
				if witnesses > 0 {
					d.witnessed(witnesses, 3)
				}
				for _, w := range d.witnesses {
					w.Set(notarytest.Well, 20*time.Millisecond)
				}
				benchmarkDeposit(b, d, submitters)
			})
		}
	}
}

func benchmarkDeposit(b *testing.B, d *depository, submitters int) {
	c := d.config()
	c.Fatal = func(err error) { panic(err) }
	dir := b.TempDir()
	if err := storage.Create(b.Context(), storage.Config{Dir: dir}, notary.Unsealed(origin)); err != nil {
		b.Fatal(err)
	}
	store, err := storage.Open(b.Context(), storage.Config{Dir: dir, Logger: slog.New(slog.DiscardHandler), Fatal: c.Fatal})
	if err != nil {
		b.Fatal(err)
	}
	defer store.Close()
	commits := &commitCounter{Ledger: store.Ledger}
	c.Ledger, c.Blobs, c.Anchors = commits, store.Blobs, store.Anchors
	if err := notary.Init(b.Context(), c); err != nil {
		b.Fatal(err)
	}
	n, err := notary.Open(b.Context(), c)
	if err != nil {
		b.Fatal(err)
	}
	defer closeNotary(b, n)
	var next atomic.Int64
	b.ResetTimer()
	before := commits.count.Load()
	var wg sync.WaitGroup
	for range submitters {
		wg.Go(func() {
			for {
				i := next.Add(1)
				if i > int64(b.N) {
					return
				}
				deposit := digestOnly(b, strconv.FormatInt(i, 10), filepath.Join("x", strconv.FormatInt(i, 10)), "contract.number", strconv.FormatInt(i%1000, 10))
				if _, err := n.Deposit(b.Context(), d.principal(), deposit); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "leaves/s")
	b.ReportMetric(float64(b.N)/float64(commits.count.Load()-before), "rows/commit")
}

// commitCounter counts the commits of a ledger.
type commitCounter struct {
	notary.Ledger
	count atomic.Int64
}

func (c *commitCounter) Append(ctx context.Context, l notary.Lookups, build func(notary.State) (*notary.Batch, error)) error {
	c.count.Add(1)
	return c.Ledger.Append(ctx, l, build)
}
