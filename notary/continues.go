package notary

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"github.com/muniment/muniment/proofs"
)

// Continues refuses a batch that does not continue a log with that head: an index out of
// order, a count of hashes that does not match the sizes, an entry time that goes back,
// an id or an idempotency key that the batch has twice. It guards against a mistake in
// this process that would otherwise stand in the log for ever, and is each driver's
// first question; whether an id or a key is taken, the driver alone knows.
func (b *Batch) Continues(head Head) error {
	if len(b.Rows) == 0 {
		return errors.New("it has no rows")
	}
	if len(b.Terms) != len(b.Rows) {
		return fmt.Errorf("terms for %d rows, rows %d", len(b.Terms), len(b.Rows))
	}
	if want := head.Size + uint64(len(b.Rows)); b.Head.Size != want {
		return fmt.Errorf("head size %d, want %d", b.Head.Size, want)
	}
	if b.Head.Batch == (ID{}) || b.Head.Batch == head.Batch {
		return errors.New("the batch id is not new")
	}
	for level := range max(8, len(b.Hashes)) {
		var got uint64
		if level < len(b.Hashes) {
			got = uint64(len(b.Hashes[level]))
		}
		if want := b.Head.Size>>(8*level) - head.Size>>(8*level); got != want {
			return fmt.Errorf("%d hashes of level %d, want %d", got, level, want)
		}
	}
	if err := b.timesContinue(head); err != nil {
		return err
	}
	if err := b.rowsContinue(head); err != nil {
		return err
	}
	return b.operationsWithin(head)
}

// timesContinue: a query by time is a search over the indexes, which holds only while
// times never decrease.
func (b *Batch) timesContinue(head Head) error {
	var line []byte
	at := head.Time
	for i := range b.Rows {
		next, ok := timeLine(b.Rows[i].Entry)
		if ok && line != nil && bytes.Equal(next, line) {
			continue // the common case: one time for the batch
		}
		t, err := EntryTime(b.Rows[i].Entry)
		if err != nil {
			return fmt.Errorf("row %d: %w", i, err)
		}
		if t.Before(at) {
			return fmt.Errorf("row %d: its time is before the one before it", i)
		}
		line, at = next, t
	}
	if !b.Head.Time.Equal(at) {
		return errors.New("the head's time is not the newest entry's")
	}
	return nil
}

func (b *Batch) rowsContinue(head Head) error {
	ids := make(map[ID]struct{}, len(b.Rows))
	for i := range b.Rows {
		r := &b.Rows[i]
		if r.Index != head.Size+uint64(i) {
			return fmt.Errorf("row %d has index %d, want %d", i, r.Index, head.Size+uint64(i))
		}
		if r.CaseSeq <= 1 && r.CasePrev != (proofs.Hash{}) {
			return fmt.Errorf("row %d has a leaf before it at place %d of its case", i, r.CaseSeq)
		}
		if _, twice := ids[r.ID]; twice {
			return fmt.Errorf("row %d: id %v is taken", i, r.ID)
		}
		ids[r.ID] = struct{}{}
	}
	return nil
}

func (b *Batch) operationsWithin(head Head) error {
	type pair struct {
		tenant ID
		key    Term
	}
	taken := make(map[pair]bool, len(b.Operations))
	for i, o := range b.Operations {
		p := pair{o.Tenant, o.Key}
		if taken[p] {
			return fmt.Errorf("operation %d: the idempotency key is taken", i)
		}
		taken[p] = true
		if o.Count == 0 || o.First < head.Size || o.First >= b.Head.Size || uint64(o.Count) > b.Head.Size-o.First {
			return fmt.Errorf("operation %d is not within the batch", i)
		}
	}
	return nil
}

// timeLine returns the value of an entry's third line, "time …".
func timeLine(entry []byte) ([]byte, bool) {
	for range 2 {
		i := bytes.IndexByte(entry, '\n')
		if i < 0 {
			return nil, false
		}
		entry = entry[i+1:]
	}
	line, _, ok := bytes.Cut(entry, []byte{'\n'})
	if !ok {
		return nil, false
	}
	return bytes.CutPrefix(line, []byte("time "))
}

const timeLayout = "2006-01-02T15:04:05.000Z"

// EntryTime reads the time in an entry's third line. It is all that a driver needs to
// know of an entry: the order by time lets a query by time do without an index on rows.
func EntryTime(entry []byte) (time.Time, error) {
	line, ok := timeLine(entry)
	if !ok {
		return time.Time{}, errors.New("the entry has no time in its third line")
	}
	t, err := time.Parse(timeLayout, string(line))
	if err != nil || t.Format(timeLayout) != string(line) {
		return time.Time{}, errors.New("the time in the entry's third line cannot be read")
	}
	return t, nil
}
