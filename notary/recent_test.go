package notary

import (
	"fmt"
	"testing"
)

// TestRecentWithGaps: rows that were remembered are given back around those that another
// process committed between them, and nothing is once the log went back.
func TestRecentWithGaps(t *testing.T) {
	var r recent
	add := func(from, to uint64) {
		b := &Batch{}
		for i := from; i < to; i++ {
			b.Rows = append(b.Rows, Row{Index: i})
		}
		r.add(b)
	}
	take := func(at, to uint64) string {
		rows, end := r.take(at, to)
		for i := range rows {
			if rows[i].Index != at+uint64(i) {
				t.Errorf("row %d stands at %d", rows[i].Index, at+uint64(i))
			}
		}
		return fmt.Sprint(len(rows), " to ", end)
	}
	for _, c := range []struct {
		at, to uint64
		want   string
	}{
		{5, 30, "0 to 10"},   // another's come first
		{10, 30, "2 to 12"},  // ours
		{12, 30, "0 to 15"},  // another's
		{15, 17, "2 to 17"},  // no more than was asked for
		{17, 30, "1 to 18"},  // the rest
		{18, 30, "0 to 30"},  // another's, to the end
		{10, 12, "0 to 12"},  // forgotten
		{40, 50, "3 to 43"},  // what nobody asked for is passed over
		{100, 99, "0 to 99"}, // nothing
	} {
		if c.at == 5 {
			add(10, 12)
			add(15, 18)
		}
		if c.at == 40 {
			add(40, 43)
		}
		if got := take(c.at, c.to); got != c.want {
			t.Errorf("from %d to %d: %s, not %s", c.at, c.to, got, c.want)
		}
	}
	add(50, 60)
	add(55, 58)
	if got := take(50, 60); got != "0 to 55" {
		t.Errorf("a log that went back: %s", got)
	}
}
