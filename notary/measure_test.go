package notary

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// BenchmarkMeasure is what measuring adds to one digest deposit: what each counts and
// times of its own, with as many at once as there are processors. A deposit's share of
// what a batch and a round are measured by is less than a hundredth of it under load.
func BenchmarkMeasure(b *testing.B) {
	n := &Notary{tiles: newTileCache(nil)}
	n.metrics = newMetrics(n)
	prometheus.NewRegistry().MustRegister(n.metrics)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			entered := time.Now()
			n.metrics.since(stagePool, entered)
			n.metrics.accepted(false)
			proving := time.Now()
			n.tiles.hits.Add(1)
			n.tiles.hits.Add(1)
			n.metrics.since(stageProve, proving)
		}
	})
}
