package pebble

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	engine "github.com/cockroachdb/pebble/v2"

	"github.com/muniment/muniment/notary"
)

// Stamp implements notary.Ledger.
func (l *Ledger) Stamp(ctx context.Context, s notary.Stamp) error {
	if err := l.insert(ctx, value{indexKey(nil, tableStamps, s.Size), s.Record}); err != nil {
		return fmt.Errorf("stamp at size %d: %w", s.Size, err)
	}
	return nil
}

// Stamps implements notary.Ledger.
func (l *Ledger) Stamps(ctx context.Context, from uint64, limit int) (stamps []notary.Stamp, err error) {
	if limit < 1 || limit > 1000 {
		return nil, fmt.Errorf("a limit of %d is not 1 to 1,000", limit)
	}
	err = l.each(ctx, tableStamps, from, func(size uint64, fields []byte) (bool, error) {
		stamps = append(stamps, notary.Stamp{Size: size, Record: bytes.Clone(fields)})
		return len(stamps) < limit, nil
	})
	if err != nil {
		return nil, err
	}
	return stamps, nil
}

// Renew implements notary.Ledger.
func (l *Ledger) Renew(ctx context.Context, r notary.Renewal) error {
	fields := appendCounted(appendUint64(appendUint64(nil, r.First), r.Last), r.Data)
	if err := l.insert(ctx, value{indexKey(nil, tableRenewals, r.Number), fields}); err != nil {
		return fmt.Errorf("renewal %d: %w", r.Number, err)
	}
	return nil
}

// Renewals implements notary.Ledger. There are few: some for each thousand stamps.
func (l *Ledger) Renewals(ctx context.Context, size uint64) (renewals []notary.Renewal, err error) {
	err = l.each(ctx, tableRenewals, 0, func(number uint64, fields []byte) (bool, error) {
		d := decoder{rest: fields}
		r := notary.Renewal{Number: number, First: d.uint64(), Last: d.uint64()}
		if r.First <= size && size <= r.Last {
			r.Data = d.counted()
			renewals = append(renewals, r)
			return true, d.finish()
		}
		return true, nil
	})
	if err != nil {
		return nil, err
	}
	return renewals, nil
}

// Renewed implements notary.Ledger.
func (l *Ledger) Renewed(ctx context.Context) (number uint64, err error) {
	err = l.each(ctx, tableRenewals, 0, func(n uint64, _ []byte) (bool, error) {
		number = n
		return true, nil
	})
	return number, err
}

// each calls fn with every value of a table whose number is from or more, in ascending
// order, until fn is content.
func (l *Ledger) each(ctx context.Context, table byte, from uint64, fn func(number uint64, fields []byte) (more bool, err error)) (err error) {
	v, err := l.begin(ctx)
	if err != nil {
		return err
	}
	defer l.end(v)
	bounds := &engine.IterOptions{LowerBound: indexKey(nil, table, from), UpperBound: []byte{table + 1}}
	it, err := v.snapshot.NewIterWithContext(ctx, bounds)
	if err != nil {
		return damage(err)
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	for ok := it.First(); ok; ok = it.Next() {
		value, err := it.ValueAndErr()
		if err != nil {
			return damage(err)
		}
		fields, err := unseal(it.Key(), value)
		if err != nil || len(it.Key()) != indexKeySize {
			return corrupt("%x: %v", it.Key(), err)
		}
		more, err := fn(binary.BigEndian.Uint64(it.Key()[1:]), fields)
		if err != nil {
			return corrupt("%x: %v", it.Key(), err)
		}
		if !more {
			return nil
		}
	}
	return damage(it.Error())
}
