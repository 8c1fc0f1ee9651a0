package pebble

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	engine "github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/muniment/muniment/notary"
)

// Snapshot makes a ledger of its own in the directory dir, which must not exist: all
// that was committed when it began, and of what is committed meanwhile each batch
// whole or not at all. Tables are hard links, so dir belongs on the ledger's own file
// system; what is still in the write-ahead log, 32 MiB or a few times that, is copied.
// It is durable on return.
//
// Commits go on beside it. Without room for the copy it is notary.ErrNoRoom; that, like
// every other error, leaves the ledger as it was, and perhaps a part of dir. One
// snapshot is made at a time.
func (l *Ledger) Snapshot(ctx context.Context, dir string) error {
	// Before it reads: an erasure holds this, and waits for who reads.
	l.snapshots.Lock()
	defer l.snapshots.Unlock()
	v, err := l.begin(ctx)
	if err != nil {
		return err
	}
	defer l.end(v)
	if l.full {
		return fmt.Errorf("%w: the ledger was opened for reading", notary.ErrNoRoom)
	}
	if err := l.room(2 * memTableSize); err != nil {
		return err
	}
	dir = filepath.Clean(dir) // as Pebble will name it
	_ = l.setAside(dir)       // nothing has failed there yet
	err = l.guarded(func() error { return l.db.Checkpoint(dir, engine.WithFlushedWAL()) })
	if err = errors.Join(err, l.setAside("")); err != nil {
		return fmt.Errorf("snapshot of the ledger: %w", err)
	}
	return nil
}

// setAside makes dir, unless empty, the place where a failed write is only an error.
// It returns what the directories there failed with.
func (l *Ledger) setAside(dir string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	err := l.asideFailed
	l.aside, l.asideFailed = dir, nil
	return err
}

// isAside reports whether a file is part of the snapshot that is being made, or the
// directory that is to hold it: none of the ledger's, which a failed write there does
// not concern.
func (l *Ledger) isAside(name string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.aside != "" && (name == l.aside || name == filepath.Dir(l.aside) || strings.HasPrefix(name, l.aside+string(filepath.Separator)))
}

// An asideDir is a directory that is synced for a snapshot. Pebble panics when that
// fails, which is too much for what is not the ledger's: Snapshot returns the error.
type asideDir struct {
	vfs.File
	ledger *Ledger
}

func (d asideDir) Sync() error {
	if err := d.File.Sync(); err != nil {
		d.ledger.mu.Lock()
		defer d.ledger.mu.Unlock()
		d.ledger.asideFailed = errors.Join(d.ledger.asideFailed, err)
	}
	return nil
}
