package main

import (
	"fmt"
	"testing"

	"github.com/muniment/muniment/proofs"
)

// TestBreaches takes a whole chain, and breaks it in every way that receipts can show.
func TestBreaches(t *testing.T) {
	chain := func(seqs ...int64) []link {
		var out []link
		for _, n := range seqs {
			l := link{seq: n, index: uint64(10 + n), leaf: fmt.Sprint("leaf", n), prev: fmt.Sprint("leaf", n-1)}
			if n == 1 {
				l.prev = ""
			}
			out = append(out, l)
		}
		return out
	}
	change := func(links []link, i int, f func(*link)) []link {
		f(&links[i])
		return links
	}
	for _, c := range []struct {
		name  string
		links []link
		want  []remark
	}{
		{"none", nil, nil},
		{"whole", chain(1, 2, 3), nil},
		{"in any order, twice", chain(3, 1, 2, 3, 1), nil},
		{"one missing", chain(1, 3), []remark{sayNumberMissing.with(int64(2))}},
		{"the first missing", chain(2), []remark{sayNumberMissing.with(int64(1))}},
		{"several missing", chain(1, 5, 7), []remark{sayNumbersMissing.with(int64(2), int64(4)), sayNumberMissing.with(int64(6))}},
		{"another before", change(chain(1, 2, 3), 1, func(l *link) { l.leaf = "other" }), []remark{sayPrevOther.with(int64(3))}},
		{"a first that names one", change(chain(1), 0, func(l *link) { l.prev = "x" }), []remark{sayPrevOther.with(int64(1))}},
		{"one place given twice", append(chain(1, 2), link{seq: 2, index: 99, leaf: "z", prev: "leaf1"}), []remark{sayNumberTwice.with(int64(2), uint64(12), uint64(99))}},
		{"backwards in the log", change(chain(1, 2), 1, func(l *link) { l.index = 3 }), []remark{sayOutOfOrder.with(int64(2), int64(1))}},
		{"no number", change(chain(1), 0, func(l *link) { l.seq = 0 }), []remark{sayNoNumber.with(uint64(11))}},
	} {
		got := breaches(c.links)
		if len(got) != len(c.want) {
			t.Errorf("%s: %v", c.name, got)
			continue
		}
		for i := range got {
			if got[i].in(proofs.English) != c.want[i].in(proofs.English) {
				t.Errorf("%s: %s, want %s", c.name, got[i].in(proofs.English), c.want[i].in(proofs.English))
			}
		}
	}
}
