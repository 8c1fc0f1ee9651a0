package notary

import "sync"

// maxRecent bounds the rows that are kept in memory for their segment: about 15 MB.
const maxRecent = 20_000

// recent are the rows that this process committed last, one behind the other, so that who
// seals them need not read them again to store them a second time. Whether they are what
// was committed, the root tells.
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
	if n := len(r.rows); n > 0 && r.rows[n-1].Index+1 != rows[0].Index {
		r.rows = nil
	}
	if len(r.rows)+len(rows) > maxRecent {
		r.rows = nil
	}
	r.rows = append(r.rows, rows...)
}

// take returns rows from at on, before to, and forgets those before at. None: they must be
// read.
func (r *recent) take(at, to uint64) []segmentRow {
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(r.rows) > 0 && r.rows[0].Index < at {
		r.rows = r.rows[1:]
	}
	if len(r.rows) == 0 || r.rows[0].Index != at {
		return nil
	}
	return r.rows[:min(to-at, uint64(len(r.rows)))]
}

// drop forgets all.
func (r *recent) drop() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rows = nil
}
