package pebble

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	engine "github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/proofs"
)

// lock takes the lock of the head. Whoever holds it sees in l.db only what is
// durable: the holder before it left after its commit was synced, or not at all.
func (l *Ledger) lock(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case l.writer <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	case <-l.closed:
		return l.failure()
	case <-l.broken:
		return l.failure()
	}
	err := l.failure()
	if err == nil && l.full {
		err = fmt.Errorf("%w: the ledger was opened on a full disk, for reading", notary.ErrNoRoom)
	}
	if err != nil {
		l.unlock()
	}
	return err
}

func (l *Ledger) unlock() { <-l.writer }

// Append implements notary.Ledger. The batch is one synchronous Pebble commit. No
// head is kept in memory between calls, so no error path can leave a wrong one.
//
// A batch that does not continue the head is refused, and nothing is written: an
// index out of order, a count of hashes that does not match the sizes, an entry
// time that goes back, an id or an idempotency key that is taken.
func (l *Ledger) Append(ctx context.Context, lookups notary.Lookups, build func(notary.State) (*notary.Batch, error)) error {
	if err := l.lock(ctx); err != nil {
		return err
	}
	defer l.unlock()
	head, err := l.head(l.db)
	if err != nil {
		return err
	}
	state, err := l.state(head, lookups)
	if err != nil {
		return err
	}
	batch, err := build(state)
	if err != nil || batch == nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := l.check(head, &state, batch); err != nil {
		return fmt.Errorf("batch refused: %w", err)
	}
	writes, err := l.encode(batch)
	if err != nil {
		return err
	}
	if err := l.room(uint64(writes.Len())); err != nil {
		return errors.Join(err, writes.Close())
	}
	return l.commit(writes)
}

// state looks up what a batch must know. An item may be asked for twice.
func (l *Ledger) state(head notary.Head, lookups notary.Lookups) (notary.State, error) {
	s := notary.State{
		Head:       head,
		Operations: make([]notary.Operation, len(lookups.Operations)),
		Cases:      make([]notary.Case, len(lookups.Cases)),
		Usages:     make([]notary.Usage, len(lookups.Usages)),
	}
	for i, o := range lookups.Operations {
		found, err := l.operation(l.db, o.Tenant, o.Key)
		if errors.Is(err, notary.ErrNotFound) {
			found = notary.Operation{Tenant: o.Tenant, Key: o.Key}
		} else if err != nil {
			return notary.State{}, err
		}
		s.Operations[i] = found
	}
	for i, c := range lookups.Cases {
		found, err := l.caseState(l.db, c.Tenant, c.Contract)
		if errors.Is(err, notary.ErrNotFound) {
			found = notary.Case{Tenant: c.Tenant, Contract: c.Contract}
		} else if err != nil {
			return notary.State{}, err
		}
		s.Cases[i] = found
	}
	for i, u := range lookups.Usages {
		found, err := l.usage(l.db, u.Tenant, u.Month)
		if err != nil {
			return notary.State{}, err
		}
		s.Usages[i] = found
	}
	s.Now = l.now().UTC() // last, since a large batch looks up for a while
	return s, nil
}

// check refuses a batch that does not continue what is stored.
func (l *Ledger) check(head notary.Head, state *notary.State, b *notary.Batch) error {
	if err := b.Continues(head); err != nil {
		return err
	}
	var key [idKeySize]byte
	for i := range b.Rows {
		taken, err := l.has(idKey(key[:0], tableIDs, b.Rows[i].ID))
		if err != nil {
			return err
		}
		if taken {
			return fmt.Errorf("row %d: id %v is taken", i, b.Rows[i].ID)
		}
	}
	return l.checkOperations(state, b)
}

func (l *Ledger) checkOperations(state *notary.State, b *notary.Batch) error {
	type pair struct {
		tenant notary.ID
		key    notary.Term
	}
	free := make(map[pair]bool, len(state.Operations)) // what state has already told
	for _, o := range state.Operations {
		free[pair{o.Tenant, o.Key}] = o.Count == 0
	}
	var key [pairKeySize]byte
	for i, o := range b.Operations {
		isFree, known := free[pair{o.Tenant, o.Key}]
		if !known {
			taken, err := l.has(pairKey(key[:0], tableOperations, o.Tenant, o.Key))
			if err != nil {
				return err
			}
			isFree = !taken
		}
		if !isFree {
			return fmt.Errorf("operation %d: the idempotency key is taken", i)
		}
	}
	return nil
}

func (l *Ledger) has(key []byte) (bool, error) {
	_, closer, err := l.db.Get(key)
	if errors.Is(err, engine.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, damage(err)
	}
	return true, closer.Close()
}

// A writer adds values to a Pebble batch, which keeps its own copy: one scratch
// buffer each for key and fields serves a whole batch. The first error sticks.
type writer struct {
	batch *engine.Batch
	key   []byte
	err   error
}

// put reserves a value under w.key, lets fields append to it, and seals it.
func (w *writer) put(size int, fields func(dst []byte) []byte) {
	if w.err != nil {
		return
	}
	op := w.batch.SetDeferred(len(w.key), valueExtra+size)
	copy(op.Key, w.key)
	if got := len(fields(op.Value[1:1])); got != size {
		w.err = fmt.Errorf("value of %d bytes, reserved %d", got, size)
		return
	}
	seal(op.Key, op.Value)
	w.err = op.Finish()
}

// set stores a bare value under w.key.
func (w *writer) set(value []byte) {
	if w.err == nil {
		w.err = w.batch.Set(w.key, value, nil)
	}
}

// encode makes the one Pebble batch of b.
func (l *Ledger) encode(b *notary.Batch) (*engine.Batch, error) {
	w := &writer{batch: l.db.NewBatchWithSize(sizeOf(b)), key: make([]byte, 0, 64)}
	w.rows(b)
	for level, hashes := range b.Hashes {
		first := b.Head.Size>>(8*level) - uint64(len(hashes))
		for i := range hashes {
			w.key = hashKey(w.key[:0], level, first+uint64(i))
			w.set(hashes[i][:])
		}
	}
	for i := range b.Operations {
		o := &b.Operations[i]
		w.key = pairKey(w.key[:0], tableOperations, o.Tenant, o.Key)
		w.put(operationFields, func(dst []byte) []byte { return appendOperation(dst, o) })
	}
	for i := range b.Cases {
		c := &b.Cases[i]
		w.key = pairKey(w.key[:0], tableCases, c.Tenant, c.Contract)
		w.put(caseFields, func(dst []byte) []byte { return appendCase(dst, c) })
	}
	for i := range b.Usages {
		u := &b.Usages[i]
		w.key = monthKey(w.key[:0], u.Tenant, u.Month)
		w.put(usageFields, func(dst []byte) []byte { return appendUsage(dst, u) })
	}
	w.key = append(w.key[:0], keyHead...)
	w.put(headFields, func(dst []byte) []byte { return appendHead(dst, b.Head) })
	if w.err != nil {
		return nil, errors.Join(w.err, w.batch.Close())
	}
	return w.batch, nil
}

// rows writes table by table, not row by row: Pebble's memtable finds the place of a
// key at once where it follows the key before it.
func (w *writer) rows(b *notary.Batch) {
	each := func(write func(i int, r *notary.Row)) {
		for i := range b.Rows {
			write(i, &b.Rows[i])
		}
	}
	each(func(_ int, r *notary.Row) {
		w.key = indexKey(w.key[:0], tableEntries, r.Index)
		w.put(len(r.Entry), func(dst []byte) []byte { return append(dst, r.Entry...) })
	})
	each(func(_ int, r *notary.Row) {
		w.key = indexKey(w.key[:0], tableRows, r.Index)
		w.put(rowFields(r), func(dst []byte) []byte { return appendRow(dst, r) })
	})
	each(func(_ int, r *notary.Row) {
		if len(r.Secrets) > 0 {
			w.key = indexKey(w.key[:0], tableSecrets, r.Index)
			w.put(len(r.Secrets), func(dst []byte) []byte { return append(dst, r.Secrets...) })
		}
	})
	each(func(_ int, r *notary.Row) {
		w.key = idKey(w.key[:0], tableIDs, r.ID)
		w.put(8, func(dst []byte) []byte { return appendUint64(dst, r.Index) })
	})
	each(func(_ int, r *notary.Row) {
		w.key = tenantKey(w.key[:0], r.Tenant, r.Index)
		w.set(nil)
	})
	each(func(i int, r *notary.Row) {
		for _, term := range b.Terms[i] {
			w.key = termKey(w.key[:0], r.Tenant, term, r.Index)
			w.set(nil)
		}
	})
}

// sizeOf is what the Pebble batch of b will take, within a few bytes a key.
func sizeOf(b *notary.Batch) int {
	const perKey = 8 // kind and two lengths
	n := 64 + headFields
	for i := range b.Rows {
		r := &b.Rows[i]
		n += len(r.Entry) + rowFields(r) + len(r.Secrets) + 8 + 4*valueExtra
		n += 3*indexKeySize + idKeySize + tenantKeySize + 5*perKey + len(b.Terms[i])*(termKeySize+perKey)
	}
	for _, hashes := range b.Hashes {
		n += len(hashes) * (hashKeySize + proofs.HashSize + perKey)
	}
	n += len(b.Operations) * (pairKeySize + valueExtra + operationFields + perKey)
	n += len(b.Cases) * (pairKeySize + valueExtra + caseFields + perKey)
	return n + len(b.Usages)*(monthKeySize+valueExtra+usageFields+perKey)
}

// reserve is the room that a commit must leave: the flush of the memtable and the
// compaction that follows need it, and a failed write of theirs ends the process.
const reserve = 4 * memTableSize

// Room reports whether the disk has room for another batch, else
// notary.ErrNoRoom: a twentieth of it, and no less than 128 MiB, must stay free.
func (l *Ledger) Room() error { return l.room(0) }

// room refuses a batch while nothing of it is written. It is the only source of
// ErrNoRoom: once Pebble has begun to write, a full disk is fatal.
func (l *Ledger) room(need uint64) error { return l.roomBut(need, 1) }

// trailRoom is room for the trail, which may take seven eighths of what is kept free: on a full
// disk reads go on, and each is written down.
func (l *Ledger) trailRoom(need uint64) error { return l.roomBut(need, 8) }

// roomBut refuses what would leave less than one such part of what must stay free.
func (l *Ledger) roomBut(need, part uint64) error {
	free, keep, err := l.Space()
	keep /= part
	if errors.Is(err, vfs.ErrUnsupported) {
		return nil
	}
	if err != nil {
		return err
	}
	if free < keep+need {
		return fmt.Errorf("%w: %d bytes free under the ledger, %d must stay free", notary.ErrNoRoom, free, keep)
	}
	return nil
}

// Space returns how many bytes are free on the disk under the ledger, and how many
// must stay so.
func (l *Ledger) Space() (free, keep uint64, err error) {
	usage, err := l.fs.GetDiskUsage(l.dir)
	return usage.AvailBytes, max(usage.TotalBytes/20, reserve), err
}

// commit writes b with one fsync and then shows it to readers. Pebble itself makes
// a batch visible before it is synced, and on a failed fsync leaves it so: a reader
// would see, and a sealer would sign, what a crash takes back. Readers therefore
// read from a snapshot that is taken here, after the sync.
//
// A crash before the sync loses the whole batch or keeps the whole batch, for
// Pebble's log replays records whole. An error here is always fatal.
func (l *Ledger) commit(b *engine.Batch) error {
	var next *view
	err := l.guarded(func() error {
		if err := b.Commit(engine.Sync); err != nil {
			l.fail(fmt.Errorf("commit: %w", err))
			return err
		}
		var err error
		if next, err = l.newView(); err != nil {
			l.fail(fmt.Errorf("read back the head: %w", err))
		}
		return err
	})
	if err != nil {
		return err
	}
	l.retire(next)
	return b.Close()
}

// Committed implements notary.Ledger. There is one writer, so the batch is the last
// one or it is none; the head is read from the store again. The second commit makes
// sure that what the first one wrote has reached the disk: a log record is never
// durable before the one in front of it.
func (l *Ledger) Committed(ctx context.Context, batch notary.ID) (bool, error) {
	if err := l.lock(ctx); err != nil {
		return false, err
	}
	defer l.unlock()
	head, err := l.head(l.db)
	if err != nil {
		return false, err
	}
	if head.Size == 0 || head.Batch != batch {
		return false, nil
	}
	if err := l.write(keyBarrier, batch[:]); err != nil {
		return false, err
	}
	return true, nil
}

// write stores one value, durable on return. The caller holds the lock of the head.
func (l *Ledger) write(key, fields []byte) error {
	b := l.db.NewBatch()
	if err := b.Set(key, sealed(key, fields), nil); err != nil {
		return err
	}
	return l.commit(b)
}

// remove deletes values at once, durable on return. The caller holds the lock of the head.
func (l *Ledger) remove(keys ...[]byte) error {
	b := l.db.NewBatch()
	for _, key := range keys {
		if err := b.Delete(key, nil); err != nil {
			return err
		}
	}
	return l.commit(b)
}

// Publish implements notary.Ledger. The note is visible at once and reaches the disk
// with the next commit or with Close; a crash before that loses it, and it is signed
// again from the anchor. With a full disk it is kept in memory alone.
func (l *Ledger) Publish(ctx context.Context, size uint64, note []byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	l.publishing.Lock()
	defer l.publishing.Unlock()
	l.mu.Lock()
	err, current := l.failed, l.published.size
	l.mu.Unlock()
	if err != nil || size < current {
		return err
	}
	if !l.full {
		err := l.guarded(func() error {
			value := sealed(keyPublished, appendCounted(appendUint64(nil, size), note))
			return l.db.Set(keyPublished, value, engine.NoSync)
		})
		if err != nil {
			l.fail(fmt.Errorf("publish: %w", err))
			return err
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.published = published{size: size, note: bytes.Clone(note)}
	return nil
}

// Now implements notary.Ledger: the clock of this process.
func (l *Ledger) Now(ctx context.Context) (time.Time, error) {
	if err := errors.Join(ctx.Err(), l.failure()); err != nil {
		return time.Time{}, err
	}
	return l.now().UTC(), nil
}
