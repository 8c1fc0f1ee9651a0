package notary

import "sync"

// maxRecent bounds the rows that are kept in memory for their segment: about 15 MB.
const maxRecent = 20_000

// recent are the rows that this process committed last, in their order, with gaps where
// another did, so that who seals them need not read them again to store them a second time.
// Whether they are what was committed, the root tells.
type recent struct {
	mu   sync.Mutex
	rows []segmentRow
}

// add takes the rows of a batch that was committed.
func (r *recent) add(b *Batch) {
	rows := make([]segmentRow, len(b.Rows))
	for i := range rows {
		rows[i] = segmentRow{Row: b.Rows[i], mark: opNone}
	}
	for _, o := range b.Operations {
		for i := range o.Count {
			rows[o.First-b.Rows[0].Index+uint64(i)].mark = opGoesOn
		}
		first := &rows[o.First-b.Rows[0].Index]
		first.mark, first.key = opBegins, o.Key
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := len(r.rows); n > 0 && r.rows[n-1].Index >= rows[0].Index {
		r.rows = nil // the log is not what it was
	}
	if len(r.rows)+len(rows) > maxRecent {
		r.rows = nil
	}
	r.rows = append(r.rows, rows...)
}

// take returns the rows from at on, before to, as far as there is no gap, and forgets those
// before at. None: those before end must be read.
func (r *recent) take(at, to uint64) (rows []segmentRow, end uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(r.rows) > 0 && r.rows[0].Index < at {
		r.rows = r.rows[1:]
	}
	n := 0
	for n < len(r.rows) && r.rows[n].Index == at+uint64(n) && at+uint64(n) < to {
		n++
	}
	if n > 0 {
		return r.rows[:n], at + uint64(n)
	}
	if len(r.rows) > 0 {
		to = min(to, r.rows[0].Index)
	}
	return nil, to
}

// drop forgets all.
func (r *recent) drop() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rows = nil
}
