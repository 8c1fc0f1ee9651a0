package witness

import (
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
)

// BenchmarkAddCheckpoint is durable cosignatures, each by both keys: of one log, which
// waits for each, and of 64 logs at once.
func BenchmarkAddCheckpoint(b *testing.B) {
	for _, logs := range []int{1, 64} {
		for _, withMLDSA := range []bool{false, true} {
			b.Run(fmt.Sprintf("logs=%d/mldsa=%v", logs, withMLDSA), func(b *testing.B) {
				var all []*testLog
				for i := range logs {
					all = append(all, newTestLog(b, fmt.Sprintf("log%d.example/test/1", i), 1000, 0, ""))
				}
				c := setup(b, withMLDSA, all...)
				s := open(b, c)
				var next, each atomic.Int64
				climb := func(more func() bool) {
					l, old := all[int(next.Add(1)-1)%logs], 0
					for more() {
						size := old + 1
						if size == len(l.roots) {
							old, size = size-1, size-1
						}
						if w := ask(s, l.request(b, old, size)); w.Code == http.StatusOK {
							each.Add(1)
						} else if w.Code != http.StatusConflict {
							b.Errorf("%d %s", w.Code, w.Body)
						}
						old = size
					}
				}
				b.ResetTimer()
				if logs == 1 {
					climb(b.Loop)
				} else {
					b.SetParallelism(logs / 2) // × GOMAXPROCS
					b.RunParallel(func(pb *testing.PB) { climb(pb.Next) })
				}
				b.ReportMetric(float64(each.Load())/b.Elapsed().Seconds(), "cosigned/s")
			})
		}
	}
}
