package pebble

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/muniment/muniment/notary"
)

// Erase implements notary.Ledger. What is destroyed is in no table and no write-ahead log
// on return but in files of tables that were replaced, until Pebble deletes them, within
// seconds.
//
// Commits wait meanwhile: for readers who came before, for a flush, and for the tables of that
// index to be written anew. It waits for a snapshot that is being made.
func (l *Ledger) Erase(ctx context.Context, e notary.Erasure) error {
	// Before the lock of the head: a snapshot may take a while, and commits go on beside it.
	l.snapshots.Lock()
	defer l.snapshots.Unlock()
	if err := l.lock(ctx); err != nil {
		return err
	}
	defer l.unlock()
	row, err := l.owned(ctx, e)
	if err != nil {
		return err
	}
	keys := [][]byte{indexKey(nil, tableSecrets, e.Index), indexKey(nil, tableRows, e.Index)}
	b := l.db.NewBatch()
	err = b.Delete(keys[0], nil)
	if len(row.Body) > 0 {
		row.Body = nil
		err = errors.Join(err, b.Set(keys[1], sealed(keys[1], appendRow(nil, &row)), nil))
	}
	for _, t := range e.Terms {
		keys = append(keys, termKey(nil, e.Tenant, t, e.Index))
		err = errors.Join(err, b.Delete(keys[len(keys)-1], nil))
	}
	if err != nil {
		return errors.Join(err, b.Close())
	}
	if err := l.commit(b); err != nil {
		return err
	}
	return l.guarded(func() error { return l.wipe(ctx, keys) })
}

// owned returns the row to be erased, if it is the tenant's.
func (l *Ledger) owned(ctx context.Context, e notary.Erasure) (notary.Row, error) {
	v, err := l.begin(ctx)
	if err != nil {
		return notary.Row{}, err
	}
	defer l.end(v)
	row, err := l.row(v, e.Index)
	if err == nil && row.Tenant != e.Tenant {
		err = fmt.Errorf("row %d: %w", e.Index, notary.ErrNotFound)
	}
	return row, err
}

// wipe has every table written anew that holds one of the keys, and overwrites the
// write-ahead logs that are kept only to be used again. It is called with the lock of the
// head and without a snapshot under way, which copies logs that a flush makes needless only
// for what comes after it; and no note is published meanwhile, so that Pebble begins no
// log, in the file of an old one, which is then overwritten.
func (l *Ledger) wipe(ctx context.Context, keys [][]byte) error {
	if err := l.outlast(ctx); err != nil {
		return fmt.Errorf("erasing: %w", err)
	}
	l.publishing.Lock()
	defer l.publishing.Unlock()
	if err := l.db.Flush(); err != nil {
		return fmt.Errorf("erasing: %w", damage(err))
	}
	slices.SortFunc(keys, bytes.Compare)
	for _, k := range keys {
		if err := l.db.Compact(ctx, k, append(bytes.Clone(k), 0), false); err != nil {
			return fmt.Errorf("erasing: %w", damage(err))
		}
	}
	if err := l.wipeLogs(); err != nil {
		return err
	}
	// The log that is written now may be in the file of an old one, and hold what that held
	// behind what was written since. The next is in a file that was overwritten.
	if err := l.db.Flush(); err != nil {
		return fmt.Errorf("erasing: %w", damage(err))
	}
	return l.wipeLogs()
}

// Scour implements notary.Keys. What Reseal and ResealWebhook replaced is then where what was
// erased is (Erase). Both tables are written anew beside commits, which wait only while the
// logs are overwritten.
func (l *Ledger) Scour(ctx context.Context) error {
	l.snapshots.Lock()
	defer l.snapshots.Unlock()
	if err := l.outlast(ctx); err != nil {
		return err
	}
	err := l.guarded(func() error {
		if err := l.db.Flush(); err != nil {
			return damage(err)
		}
		for _, table := range []byte{tableSecrets, tableWebhooks} {
			if err := l.db.Compact(ctx, []byte{table}, []byte{table + 1}, false); err != nil {
				return damage(err)
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("erasing what was replaced: %w", err)
	}
	if err := l.lock(ctx); err != nil {
		return err
	}
	defer l.unlock()
	return l.guarded(func() error { return l.wipe(ctx, nil) })
}

// wipeLogs overwrites every write-ahead log but the newest: after a flush no other is read
// again. Pebble takes zeros in a log that it uses again for its end.
func (l *Ledger) wipeLogs() error {
	names, err := l.fs.List(l.dir)
	if err != nil {
		return fmt.Errorf("erasing: %w", err)
	}
	logs := slices.DeleteFunc(names, func(name string) bool { return !strings.HasSuffix(name, ".log") })
	slices.Sort(logs) // numbers of six digits and more
	slices.SortStableFunc(logs, func(a, b string) int { return len(a) - len(b) })
	for _, name := range logs[:max(len(logs)-1, 0)] {
		if err := l.overwrite(filepath.Join(l.dir, name)); err != nil {
			return fmt.Errorf("erasing: %w", err)
		}
	}
	return nil
}

// overwrite puts zeros in the place of a file's bytes, durable on return. A file that
// Pebble has taken away meanwhile needs none.
func (l *Ledger) overwrite(path string) error {
	f, err := l.fs.OpenReadWrite(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		if _, gone := l.fs.Stat(path); gone != nil {
			return nil
		}
		return err
	}
	info, err := f.Stat()
	zeros := make([]byte, 1<<20)
	for at := int64(0); err == nil && at < info.Size(); at += int64(len(zeros)) {
		_, err = f.WriteAt(zeros[:min(int64(len(zeros)), info.Size()-at)], at)
	}
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}
