package trillian_test

import (
	"testing"

	"github.com/muniment/muniment/notary"
)

// BenchmarkCatchUp gives an embedded tree entries in full batches: what a tree that was
// left behind, or is rebuilt, takes up in a second. -benchtime 1000x is 1,024,000 entries.
func BenchmarkCatchUp(b *testing.B) {
	l := embedded(b, database(b), newOrigin())
	begin(b, l)
	size := 0
	for b.Loop() {
		if _, err := l.Extend(b.Context(), uint64(size), entries(size, size+notary.MaxExtension)); err != nil {
			b.Fatal(err)
		}
		size += notary.MaxExtension
	}
	b.ReportMetric(float64(size)/b.Elapsed().Seconds(), "entries/s")
}
