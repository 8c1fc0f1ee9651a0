package pebble

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	engine "github.com/cockroachdb/pebble/v2"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/proofs"
)

const (
	dayKeySize     = 1 + 4
	trailKeySize   = dayKeySize + 8
	trailOfKeySize = 1 + 16 + 4 + 8
)

func dayKey(day notary.Day) []byte {
	return binary.BigEndian.AppendUint32([]byte{tableTrailDays}, uint32(day))
}

func trailKey(day notary.Day, number uint64) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint32([]byte{tableTrail}, uint32(day)), number)
}

func trailOfKey(tenant notary.ID, day notary.Day, number uint64) []byte {
	return append(idKey(nil, tableTrailOf, tenant), trailKey(day, number)[1:]...)
}

// WriteTrail implements notary.Trail. The lock of the head is the trail's too, since there
// is one view of what is durable.
func (l *Ledger) WriteTrail(ctx context.Context, build func(notary.TrailHead, time.Time) (*notary.TrailBatch, error)) error {
	if err := l.lock(ctx); err != nil {
		return err
	}
	defer l.unlock()
	head, err := l.trailHead(l.db)
	if err != nil {
		return err
	}
	b, err := build(head, l.now().UTC())
	if err != nil || b == nil {
		return err
	}
	if err := b.Continues(head); err != nil {
		return fmt.Errorf("batch refused: %w", err)
	}
	w := &writer{batch: l.db.NewBatch()}
	for i := range b.Pages {
		p := &b.Pages[i]
		w.key = trailKey(p.Day, p.Number)
		w.put(16+4+len(p.Text), func(dst []byte) []byte {
			return append(binary.BigEndian.AppendUint32(append(dst, p.Tenant[:]...), p.Events), p.Text...)
		})
		w.key = trailOfKey(p.Tenant, p.Day, p.Number)
		w.set(nil)
	}
	if c := b.Closed; c != nil {
		w.key = dayKey(c.Day)
		w.put(16+len(c.Root), func(dst []byte) []byte {
			return append(appendUint64(appendUint64(dst, c.Pages), c.Events), c.Root[:]...)
		})
	}
	w.key = keyTrail
	fields := appendTrailHead(nil, b.Head)
	w.put(len(fields), func(dst []byte) []byte { return append(dst, fields...) })
	if w.err != nil {
		return errors.Join(w.err, w.batch.Close())
	}
	if err := l.trailRoom(uint64(w.batch.Len())); err != nil {
		return errors.Join(err, w.batch.Close())
	}
	return l.commit(w.batch)
}

func appendTrailHead(dst []byte, h notary.TrailHead) []byte {
	dst = appendUint64(appendUint64(appendUint64(appendUint64(dst, uint64(h.Day)), h.Pages), h.Events), uint64(h.Time.UnixMilli()))
	for _, p := range h.Peaks {
		dst = append(dst, p[:]...)
	}
	return dst
}

// trailHead reads the head of the trail; none was written before the first page.
func (l *Ledger) trailHead(r engine.Reader) (h notary.TrailHead, err error) {
	fields, err := l.get(r, keyTrail)
	if errors.Is(err, notary.ErrNotFound) {
		return h, nil
	}
	if err != nil {
		return h, fmt.Errorf("head of the trail: %w", err)
	}
	d := decoder{rest: fields}
	h.Day, h.Pages, h.Events, h.Time = notary.Day(d.uint64()), d.uint64(), d.uint64(), time.UnixMilli(int64(d.uint64())).UTC()
	for len(d.rest) > 0 && !d.short {
		h.Peaks = append(h.Peaks, d.hash())
	}
	if err := d.finish(); err != nil || proofs.RangeOf(h.Pages, h.Peaks) == nil {
		return h, corrupt("head of the trail: %v", err)
	}
	return h, nil
}

// TrailHead implements notary.Trail.
func (l *Ledger) TrailHead(ctx context.Context) (notary.TrailHead, error) {
	v, err := l.begin(ctx)
	if err != nil {
		return notary.TrailHead{}, err
	}
	defer l.end(v)
	return l.trailHead(v.snapshot)
}

// TrailPages implements notary.Trail.
func (l *Ledger) TrailPages(ctx context.Context, r notary.TrailRange) (pages []notary.TrailPage, err error) {
	if r.Limit < 1 || r.Limit > 1000 {
		return nil, fmt.Errorf("a limit of %d is not 1 to 1,000", r.Limit)
	}
	v, err := l.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer l.end(v)
	bounds := &engine.IterOptions{LowerBound: trailKey(r.Day, r.Number), UpperBound: trailKey(r.Until+1, 0)}
	size := trailKeySize
	if r.Tenant != nil {
		bounds = &engine.IterOptions{LowerBound: trailOfKey(*r.Tenant, r.Day, r.Number), UpperBound: trailOfKey(*r.Tenant, r.Until+1, 0)}
		size = trailOfKeySize
	}
	it, err := v.snapshot.NewIterWithContext(ctx, bounds)
	if err != nil {
		return nil, damage(err)
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	for ok := it.First(); ok && len(pages) < r.Limit; ok = it.Next() {
		key := it.Key()
		if len(key) != size {
			return nil, corrupt("trail %x", key)
		}
		page, err := l.trailPage(v.snapshot, key[len(key)-trailKeySize+1:])
		if err != nil {
			return nil, err
		}
		pages = append(pages, page)
	}
	return pages, damage(it.Error())
}

// trailPage reads the page at a day and a number, as they stand in keys.
func (l *Ledger) trailPage(r engine.Reader, at []byte) (notary.TrailPage, error) {
	p := notary.TrailPage{Day: notary.Day(binary.BigEndian.Uint32(at)), Number: binary.BigEndian.Uint64(at[4:])}
	fields, err := l.get(r, append([]byte{tableTrail}, at...))
	if errors.Is(err, notary.ErrNotFound) {
		return p, corrupt("page %d of the trail of %s is missing", p.Number, p.Day)
	}
	if err != nil {
		return p, fmt.Errorf("page %d of the trail of %s: %w", p.Number, p.Day, err)
	}
	d := decoder{rest: fields}
	p.Tenant, p.Events, p.Text = d.id(), d.uint32(), d.rest
	if d.short {
		return p, corrupt("page %d of the trail of %s is too short", p.Number, p.Day)
	}
	return p, nil
}

// TrailDays implements notary.Trail.
func (l *Ledger) TrailDays(ctx context.Context, from notary.Day, limit int) (days []notary.TrailDay, err error) {
	if limit < 1 || limit > 1000 {
		return nil, fmt.Errorf("a limit of %d is not 1 to 1,000", limit)
	}
	v, err := l.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer l.end(v)
	it, err := v.snapshot.NewIterWithContext(ctx, &engine.IterOptions{LowerBound: dayKey(from), UpperBound: []byte{tableTrailDays + 1}})
	if err != nil {
		return nil, damage(err)
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	for ok := it.First(); ok && len(days) < limit; ok = it.Next() {
		value, err := it.ValueAndErr()
		if err != nil {
			return nil, damage(err)
		}
		fields, err := unseal(it.Key(), value)
		if err != nil || len(it.Key()) != dayKeySize {
			return nil, corrupt("day of the trail %x: %v", it.Key(), err)
		}
		d := decoder{rest: fields}
		day := notary.TrailDay{Day: notary.Day(binary.BigEndian.Uint32(it.Key()[1:])), Pages: d.uint64(), Events: d.uint64(), Root: d.hash()}
		if err := d.finish(); err != nil {
			return nil, corrupt("day of the trail %s: %v", day.Day, err)
		}
		days = append(days, day)
	}
	return days, damage(it.Error())
}
