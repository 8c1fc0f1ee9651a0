package pebble

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sort"
	"time"

	engine "github.com/cockroachdb/pebble/v2"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/proofs"
)

// A view is what readers see: the store as of the last commit that was synced. The
// snapshot stays open until the last call that uses it has ended, so a page of
// results and its bounds are of one moment.
type view struct {
	snapshot *engine.Snapshot
	head     notary.Head
	uses     int // guarded by Ledger.mu; 1 for being the current one
}

// newView takes a snapshot. It must be called while nothing unsynced is in the store
// but a published note: under the lock of the head, or during Open.
func (l *Ledger) newView() (*view, error) {
	v := &view{snapshot: l.db.NewSnapshot(), uses: 1}
	head, err := l.head(v.snapshot)
	if err != nil {
		return nil, errors.Join(err, v.snapshot.Close())
	}
	v.head = head
	return v, nil
}

// retire makes next the current view and lets go of the one before.
func (l *Ledger) retire(next *view) {
	l.mu.Lock()
	old := l.view
	l.view = next
	if old != nil {
		if l.former == nil {
			l.former = map[*view]struct{}{}
		}
		l.former[old] = struct{}{} // until its last reader has ended
	}
	l.mu.Unlock()
	if old != nil {
		l.drop(old)
	}
}

func (l *Ledger) drop(v *view) {
	l.mu.Lock()
	v.uses--
	last := v.uses == 0
	l.mu.Unlock()
	if last {
		// Its only error is to have been closed before, which would be a panic.
		_ = v.snapshot.Close()
		l.mu.Lock()
		delete(l.former, v)
		l.mu.Unlock()
	}
}

// outlast waits until every reader has ended who sees the store as it was before the current
// view: what a compaction finds that one of them may still need, it keeps, and nothing says
// when the next one comes.
func (l *Ledger) outlast(ctx context.Context) error {
	l.mu.Lock()
	wanted := maps.Clone(l.former)
	l.mu.Unlock()
	for len(wanted) > 0 {
		l.mu.Lock()
		maps.DeleteFunc(wanted, func(v *view, _ struct{}) bool { _, reads := l.former[v]; return !reads })
		l.mu.Unlock()
		if len(wanted) == 0 {
			break
		}
		select {
		case <-time.After(time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// begin returns the current view, to be given back by end.
func (l *Ledger) begin(ctx context.Context) (*view, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failed != nil {
		return nil, l.failed
	}
	l.view.uses++
	l.readers.Add(1)
	return l.view, nil
}

func (l *Ledger) end(v *view) {
	l.drop(v)
	l.readers.Done()
}

// get returns a copy of the fields under key, or ErrNotFound.
func (l *Ledger) get(r engine.Reader, key []byte) ([]byte, error) {
	value, closer, err := r.Get(key)
	if errors.Is(err, engine.ErrNotFound) {
		return nil, notary.ErrNotFound
	}
	if err != nil {
		return nil, damage(err)
	}
	fields, err := unseal(key, value)
	if err != nil {
		err = corrupt("%v", err)
	}
	return bytes.Clone(fields), errors.Join(err, closer.Close())
}

// head reads the head. Open has written the first one: none is damage.
func (l *Ledger) head(r engine.Reader) (notary.Head, error) {
	fields, err := l.get(r, keyHead)
	if errors.Is(err, notary.ErrNotFound) {
		return notary.Head{}, corrupt("there is no head")
	}
	if err != nil {
		return notary.Head{}, fmt.Errorf("head: %w", err)
	}
	h, err := decodeHead(fields)
	if err != nil {
		return notary.Head{}, corrupt("head: %v", err)
	}
	return h, nil
}

// Head implements notary.Ledger.
func (l *Ledger) Head(ctx context.Context) (notary.Head, error) {
	v, err := l.begin(ctx)
	if err != nil {
		return notary.Head{}, err
	}
	defer l.end(v)
	return v.head, nil
}

// checkRange tells a range that may never be asked for from one beyond the end.
func checkRange(from, to, size, most uint64) error {
	if from > to || to-from > most {
		return fmt.Errorf("%d to %d is not a range of at most %d", from, to, most)
	}
	if to > size {
		return fmt.Errorf("%d of %d: %w", to, size, notary.ErrNotFound)
	}
	return nil
}

// scan calls fn with each value from key low up to high, which must be exactly those
// of the indexes from <= i < to: one that is missing is damage.
func scan(ctx context.Context, r engine.Reader, low, high []byte, from, to uint64, fn func(key, value []byte) error) (err error) {
	it, err := r.NewIterWithContext(ctx, &engine.IterOptions{LowerBound: low, UpperBound: high})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	next := from
	for ok := it.First(); ok; ok = it.Next() {
		if keyIndex(it.Key()) != next {
			break
		}
		value, err := it.ValueAndErr()
		if err != nil {
			return fmt.Errorf("index %d: %w", next, err)
		}
		if err := fn(it.Key(), value); err != nil {
			return fmt.Errorf("index %d: %w", next, err)
		}
		next++
	}
	if err := damage(it.Error()); err != nil {
		return fmt.Errorf("index %d: %w", next, err)
	}
	if next != to {
		return corrupt("index %d is missing", next)
	}
	return nil
}

// keyIndex is the index that ends a key.
func keyIndex(key []byte) uint64 {
	return binary.BigEndian.Uint64(key[len(key)-8:])
}

func appendUint64(dst []byte, n uint64) []byte {
	return binary.BigEndian.AppendUint64(dst, n)
}

// Hashes implements notary.Ledger.
func (l *Ledger) Hashes(ctx context.Context, level int, from, to uint64) ([]proofs.Hash, error) {
	v, err := l.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer l.end(v)
	if level < 0 || level > 63 {
		return nil, fmt.Errorf("there is no tile level %d", level)
	}
	if err := checkRange(from, to, v.head.Size>>(8*level), 256); err != nil {
		return nil, fmt.Errorf("hashes of level %d: %w", level, err)
	}
	hashes := make([]proofs.Hash, 0, to-from)
	low, high := hashKey(nil, level, from), hashKey(nil, level, to)
	err = scan(ctx, v.snapshot, low, high, from, to, func(_, value []byte) error {
		if len(value) != proofs.HashSize {
			return corrupt("hash of %d bytes", len(value))
		}
		hashes = append(hashes, proofs.Hash(value))
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("hashes of level %d: %w", level, err)
	}
	return hashes, nil
}

// Entries implements notary.Ledger.
func (l *Ledger) Entries(ctx context.Context, from, to uint64) ([][]byte, error) {
	v, err := l.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer l.end(v)
	if err := checkRange(from, to, v.head.Size, 1024); err != nil {
		return nil, fmt.Errorf("entries: %w", err)
	}
	entries := make([][]byte, 0, to-from)
	low, high := indexKey(nil, tableEntries, from), indexKey(nil, tableEntries, to)
	err = scan(ctx, v.snapshot, low, high, from, to, func(key, value []byte) error {
		entry, err := unseal(key, value)
		if err != nil {
			return corrupt("%v", err)
		}
		entries = append(entries, bytes.Clone(entry))
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("entries: %w", err)
	}
	return entries, nil
}

// Row implements notary.Ledger.
func (l *Ledger) Row(ctx context.Context, index uint64) (notary.Row, error) {
	v, err := l.begin(ctx)
	if err != nil {
		return notary.Row{}, err
	}
	defer l.end(v)
	return l.row(v, index)
}

// Rows implements notary.Ledger.
func (l *Ledger) Rows(ctx context.Context, from, to uint64) ([]notary.Row, error) {
	v, err := l.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer l.end(v)
	if err := checkRange(from, to, v.head.Size, 1024); err != nil {
		return nil, fmt.Errorf("rows: %w", err)
	}
	rows := make([]notary.Row, 0, to-from)
	for i := from; i < to; i++ {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		r, err := l.row(v, i)
		if err != nil {
			return nil, err
		}
		rows = append(rows, r)
	}
	return rows, nil
}

// row reads a row from its three tables. Only the secrets may be missing.
func (l *Ledger) row(v *view, index uint64) (notary.Row, error) {
	if index >= v.head.Size {
		return notary.Row{}, fmt.Errorf("row %d of %d: %w", index, v.head.Size, notary.ErrNotFound)
	}
	fields, err := l.part(v, tableRows, index)
	if err != nil {
		return notary.Row{}, err
	}
	r, err := decodeRow(fields)
	if err != nil {
		return notary.Row{}, corrupt("row %d: %v", index, err)
	}
	r.Index = index
	if r.Entry, err = l.part(v, tableEntries, index); err != nil {
		return notary.Row{}, err
	}
	r.Secrets, err = l.get(v.snapshot, indexKey(nil, tableSecrets, index))
	if err != nil && !errors.Is(err, notary.ErrNotFound) {
		return notary.Row{}, fmt.Errorf("secrets of row %d: %w", index, err)
	}
	return r, nil
}

// part reads what must be there, since the head says so.
func (l *Ledger) part(v *view, table byte, index uint64) ([]byte, error) {
	fields, err := l.get(v.snapshot, indexKey(nil, table, index))
	if errors.Is(err, notary.ErrNotFound) {
		return nil, corrupt("row %d is missing from table %c", index, table)
	}
	if err != nil {
		return nil, fmt.Errorf("row %d: %w", index, err)
	}
	return fields, nil
}

// Deposit implements notary.Ledger.
func (l *Ledger) Deposit(ctx context.Context, tenant, id notary.ID) (notary.Row, error) {
	v, err := l.begin(ctx)
	if err != nil {
		return notary.Row{}, err
	}
	defer l.end(v)
	fields, err := l.get(v.snapshot, idKey(nil, tableIDs, id))
	if err != nil {
		return notary.Row{}, fmt.Errorf("deposit: %w", err)
	}
	index, err := decodeUint64(fields)
	if err != nil || index >= v.head.Size {
		return notary.Row{}, corrupt("index of id %v cannot be right", id)
	}
	r, err := l.row(v, index)
	if err != nil {
		return notary.Row{}, err
	}
	if r.ID != id {
		return notary.Row{}, corrupt("row %d does not have the id that leads to it", index)
	}
	if r.Tenant != tenant {
		return notary.Row{}, fmt.Errorf("deposit: %w", notary.ErrNotFound)
	}
	return r, nil
}

// Operation implements notary.Ledger.
func (l *Ledger) Operation(ctx context.Context, tenant notary.ID, key notary.Term) (notary.Operation, error) {
	v, err := l.begin(ctx)
	if err != nil {
		return notary.Operation{}, err
	}
	defer l.end(v)
	return l.operation(v.snapshot, tenant, key)
}

func (l *Ledger) operation(r engine.Reader, tenant notary.ID, key notary.Term) (notary.Operation, error) {
	var buf [pairKeySize]byte
	fields, err := l.get(r, pairKey(buf[:0], tableOperations, tenant, key))
	if err != nil {
		return notary.Operation{}, fmt.Errorf("operation: %w", err)
	}
	o := notary.Operation{Tenant: tenant, Key: key}
	if o.First, o.Count, err = decodeOperation(fields); err != nil {
		return notary.Operation{}, corrupt("operation: %v", err)
	}
	return o, nil
}

// Case implements notary.Ledger.
func (l *Ledger) Case(ctx context.Context, tenant notary.ID, contract notary.Term) (notary.Case, error) {
	v, err := l.begin(ctx)
	if err != nil {
		return notary.Case{}, err
	}
	defer l.end(v)
	return l.caseState(v.snapshot, tenant, contract)
}

func (l *Ledger) caseState(r engine.Reader, tenant notary.ID, contract notary.Term) (notary.Case, error) {
	var buf [pairKeySize]byte
	fields, err := l.get(r, pairKey(buf[:0], tableCases, tenant, contract))
	if err != nil {
		return notary.Case{}, fmt.Errorf("case: %w", err)
	}
	c := notary.Case{Tenant: tenant, Contract: contract}
	if c.Seq, c.Leaf, err = decodeCase(fields); err != nil {
		return notary.Case{}, corrupt("case: %v", err)
	}
	return c, nil
}

// Usage implements notary.Ledger.
func (l *Ledger) Usage(ctx context.Context, tenant notary.ID, month notary.Month) (notary.Usage, error) {
	v, err := l.begin(ctx)
	if err != nil {
		return notary.Usage{}, err
	}
	defer l.end(v)
	return l.usage(v.snapshot, tenant, month)
}

func (l *Ledger) usage(r engine.Reader, tenant notary.ID, month notary.Month) (notary.Usage, error) {
	u := notary.Usage{Tenant: tenant, Month: month}
	var buf [monthKeySize]byte
	fields, err := l.get(r, monthKey(buf[:0], tenant, month))
	if errors.Is(err, notary.ErrNotFound) {
		return u, nil
	}
	if err != nil {
		return notary.Usage{}, fmt.Errorf("usage: %w", err)
	}
	if u.Deposits, u.Bytes, err = decodeUsage(fields); err != nil {
		return notary.Usage{}, corrupt("usage: %v", err)
	}
	return u, nil
}

// Deposits implements notary.Ledger.
func (l *Ledger) Deposits(ctx context.Context, q notary.Query) ([]notary.Row, error) {
	v, err := l.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer l.end(v)
	if q.Limit < 1 || q.Limit > 1000 {
		return nil, fmt.Errorf("deposits: limit %d is not within 1 to 1,000", q.Limit)
	}
	from, to, err := l.span(v, q)
	if err != nil {
		return nil, fmt.Errorf("deposits: %w", err)
	}
	if from >= to {
		return nil, nil
	}
	low, high := tenantKey(nil, q.Tenant, from), tenantKey(nil, q.Tenant, to)
	if q.Term != nil {
		low, high = termKey(nil, q.Tenant, *q.Term, from), termKey(nil, q.Tenant, *q.Term, to)
	}
	indexes, err := find(ctx, v.snapshot, low, high, q.Backward, q.Limit)
	if err != nil {
		return nil, fmt.Errorf("deposits: %w", err)
	}
	rows := make([]notary.Row, 0, len(indexes))
	for _, index := range indexes {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		r, err := l.row(v, index)
		if err != nil {
			return nil, fmt.Errorf("deposits: %w", err)
		}
		if r.Tenant != q.Tenant {
			return nil, corrupt("a look-up leads to row %d of another tenant", index)
		}
		rows = append(rows, r)
	}
	return rows, nil
}

// span turns the bounds of a query into from <= index < to.
func (l *Ledger) span(v *view, q notary.Query) (from, to uint64, err error) {
	from, to = q.From, v.head.Size
	if q.Below > 0 {
		to = min(to, q.Below)
	}
	if !q.Since.IsZero() {
		since, err := l.firstAt(v, q.Since)
		if err != nil {
			return 0, 0, err
		}
		from = max(from, since)
	}
	if !q.Until.IsZero() {
		until, err := l.firstAt(v, q.Until)
		if err != nil {
			return 0, 0, err
		}
		to = min(to, until)
	}
	return from, to, nil
}

// firstAt returns the index of the first entry whose time is not before t, by some
// thirty reads at a thousand million entries.
func (l *Ledger) firstAt(v *view, t time.Time) (uint64, error) {
	var failed error
	i := sort.Search(int(v.head.Size), func(i int) bool {
		if failed != nil {
			return true
		}
		entry, err := l.part(v, tableEntries, uint64(i))
		if err != nil {
			failed = err
			return true
		}
		at, err := notary.EntryTime(entry)
		if err != nil {
			failed = corrupt("row %d: %v", i, err)
			return true
		}
		return !at.Before(t)
	})
	return uint64(i), failed
}

// find returns the indexes that end the keys from low up to high, or the other way.
func find(ctx context.Context, r engine.Reader, low, high []byte, backward bool, limit int) (indexes []uint64, err error) {
	it, err := r.NewIterWithContext(ctx, &engine.IterOptions{LowerBound: low, UpperBound: high})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	first, next := it.First, it.Next
	if backward {
		first, next = it.Last, it.Prev
	}
	for ok := first(); ok && len(indexes) < limit; ok = next() {
		if len(it.Key()) != len(low) {
			return nil, corrupt("look-up key of %d bytes", len(it.Key()))
		}
		indexes = append(indexes, keyIndex(it.Key()))
	}
	return indexes, damage(it.Error())
}

// Published implements notary.Ledger.
func (l *Ledger) Published(ctx context.Context) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failed != nil {
		return nil, l.failed
	}
	if l.published.size == 0 {
		return nil, fmt.Errorf("published checkpoint: %w", notary.ErrNotFound)
	}
	return slices.Clone(l.published.note), nil
}
