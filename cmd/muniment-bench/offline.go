package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/proofs/mldsa"
)

// offlineReceipts are verified in turn, so that no processor cache holds them all.
const offlineReceipts = 1000

// verifyRow measures verification as a court does it, of full records under one
// checkpoint, first on one core and then on all.
func (b *bench) verifyRow(ctx context.Context, r *row, o loadOptions) error {
	if err := b.prepare(ctx, offlineReceipts); err != nil {
		return err
	}
	files, err := b.fetch(offlineReceipts)
	if err != nil {
		return void(err)
	}
	cores := runtime.GOMAXPROCS(0)
	for _, n := range slices.Compact([]int{1, cores}) {
		rate, err := verifyFor(b.policy, files, n, o.Duration/2)
		if err != nil {
			return void(err)
		}
		r.Offline = append(r.Offline, offline{Cores: n, PerSecond: rate})
	}
	return nil
}

// errGrows is wrapped when receipts are wanted under one checkpoint and the log grows.
var errGrows = errors.New("someone deposits meanwhile")

// fetch reads the receipts of the first n known deposits, under one checkpoint: while
// nobody deposits, each is under the newest. The depository itself deposits now and then.
func (b *bench) fetch(n int) (files [][]byte, err error) {
	for range 3 {
		if files, err = b.fetchOnce(n); !errors.Is(err, errGrows) {
			break
		}
	}
	return files, err
}

func (b *bench) fetchOnce(n int) ([][]byte, error) {
	w := newWire(b.addr, patience)
	defer w.close()
	ask := writer{workload: b.drv.workload}
	var files [][]byte
	notes := map[string]bool{}
	for i := range n {
		var a answer
		if err := w.exchange(ask.write(task{kind: read, first: uint64(i)}), &a); err != nil {
			return nil, err
		}
		if a.status != http.StatusOK {
			return nil, fmt.Errorf("%w: %d %.400s", errRefused, a.status, a.body)
		}
		r, err := proofs.ParseReceipt(a.body)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errLie, err)
		}
		notes[string(r.Checkpoint)] = true
		files = append(files, slices.Clone(a.body))
	}
	if len(notes) != 1 {
		return nil, fmt.Errorf("%w: the receipts are under %d checkpoints", errGrows, len(notes))
	}
	return files, nil
}

// verifyFor verifies files again and again for d on n cores, and returns how many a
// second.
func verifyFor(policy proofs.Policy, files [][]byte, n int, d time.Duration) (float64, error) {
	v := proofs.NewVerifier(policy, mldsa.Plugged())
	var done atomic.Int64
	var workers sync.WaitGroup
	errs := make(chan error, n)
	began := time.Now()
	for core := range n {
		workers.Go(func() {
			for i := core; time.Since(began) < d; i++ {
				r, err := proofs.ParseReceipt(files[i%len(files)])
				if err == nil {
					var e proofs.Evidence
					if e, err = v.Verify(r, nil); err == nil && e.Outcome() != proofs.Verified {
						err = fmt.Errorf("%w: a receipt is %s (%s)", errLie, e.Outcome(), e.Reason)
					}
				}
				if err != nil {
					errs <- err
					return
				}
				done.Add(1)
			}
		})
	}
	workers.Wait()
	close(errs)
	return float64(done.Load()) / time.Since(began).Seconds(), <-errs
}
