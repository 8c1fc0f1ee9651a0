package pebble

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/muniment/muniment/notary"
)

// TestSnapshot takes snapshots beside a writer. Each holds at least what was committed
// before it was asked for, whole, and reading it changes no byte of it.
func TestSnapshot(t *testing.T) {
	h := newHistory(60, bulky)
	root := t.TempDir()
	l := mustOpen(t, Config{Dir: filepath.Join(root, "ledger"), CacheBytes: 1 << 20})
	var committed atomic.Int64
	written := make(chan error, 1)
	go func() {
		for n := range h {
			if err := h.append(t.Context(), l, n); err != nil {
				written <- err
				return
			}
			committed.Store(int64(n + 1))
		}
		written <- nil
	}()
	for i := range 8 {
		dir := filepath.Join(root, fmt.Sprint("snapshot-", i))
		before := int(committed.Load())
		if err := l.Snapshot(t.Context(), dir); err != nil {
			t.Fatal(err)
		}
		h.holds(t, dir, before)
	}
	if err := <-written; err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(root, "snapshot-0")
	if err := l.Snapshot(t.Context(), dir); err == nil {
		t.Error("a snapshot was written over another")
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := l.Snapshot(t.Context(), filepath.Join(root, "late")); !errors.Is(err, errClosed) {
		t.Errorf("after Close: %v", err)
	}
}

// holds demands that dir is a ledger of at least that many batches of the history. It
// is opened for reading twice, once beside itself, and stays as it was.
func (h history) holds(t *testing.T, dir string, atLeast int) {
	t.Helper()
	before := bytesOf(t, dir)
	first, second := mustOpen(t, Config{Dir: dir, ReadOnly: true, CacheBytes: 1 << 20}), mustOpen(t, Config{Dir: dir + "/../" + filepath.Base(dir), ReadOnly: true, CacheBytes: 1 << 20})
	for _, l := range []*Ledger{first, second} {
		head, err := l.Head(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		n := h.after(head.Size)
		if n < atLeast {
			t.Fatalf("%d batches in a snapshot that was asked for after %d", n, atLeast)
		}
		if err := h.at(n).Check(t.Context(), l); err != nil {
			t.Error(err)
		}
		if err := l.CreateTenant(t.Context(), notary.Tenant{}); !errors.Is(err, notary.ErrNoRoom) {
			t.Errorf("a write to a ledger opened for reading: %v", err)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}
	if after := bytesOf(t, dir); before != after {
		t.Errorf("reading a snapshot changed it:\n%s\nnow:\n%s", before, after)
	}
}

// bytesOf names each file of a directory with its hash.
func bytesOf(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "%s %x\n", e.Name(), sha256.Sum256(data))
	}
	return b.String()
}

// TestSnapshotFails lets each write to the snapshot fail, one after another. The
// ledger goes on as if nothing had been asked of it, and nobody is told to die.
func TestSnapshotFails(t *testing.T) {
	h := newHistory(6, bulky)
	var done bool
	var failed int
	for nth := int64(1); !done; nth++ {
		mem := vfs.NewMem()
		var armed atomic.Bool
		var seen atomic.Int64
		fs := errorfs.Wrap(mem, injectAfter(&armed, syscall.ENOSPC, func(op errorfs.Op) bool {
			return isWrite(op) && strings.HasPrefix(op.Path, "aside") && seen.Add(1) == nth
		}))
		config := small(fs)
		config.Fatal = func(err error) { t.Errorf("write %d: fatal: %v", nth, err) }
		l := mustOpen(t, config)
		for n := range 4 {
			if err := h.append(t.Context(), l, n); err != nil {
				t.Fatal(err)
			}
		}
		armed.Store(true)
		err := l.Snapshot(t.Context(), "aside/snapshot")
		armed.Store(false)
		done = seen.Load() < nth
		switch {
		case done && err != nil:
			t.Fatalf("without a failing write: %v", err)
		case !done && err != nil:
			if !errors.Is(err, syscall.ENOSPC) {
				t.Fatalf("write %d: %v", nth, err)
			}
			failed++
		}
		if err := h.append(t.Context(), l, 4); err != nil {
			t.Fatalf("after a snapshot whose write %d failed: %v", nth, err)
		}
		if err := l.Snapshot(t.Context(), "again"); err != nil {
			t.Errorf("after a snapshot whose write %d failed: %v", nth, err)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		h.survives(t, mem, 5, 5)
	}
	if failed < 10 {
		t.Errorf("%d writes of a snapshot failed only: the faults do not reach it", failed)
	}
	t.Logf("%d failing writes", failed)
}

// TestSnapshotWithoutRoom: what the ledger itself will need is not spent on a copy.
func TestSnapshotWithoutRoom(t *testing.T) {
	mem := vfs.NewMem()
	mem.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: 100 << 30, TotalBytes: 400 << 30})
	l := mustOpen(t, small(mem))
	mem.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: 20<<30 + 1, TotalBytes: 400 << 30})
	if err := l.Snapshot(t.Context(), "snapshot"); !errors.Is(err, notary.ErrNoRoom) {
		t.Errorf("without room: %v", err)
	}
	if _, err := mem.Stat("snapshot"); err == nil {
		t.Error("something was written without room")
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}

// TestReadOnlyMakesNothing: what is not there is not made, and no lock is left.
func TestReadOnlyMakesNothing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "ledger")
	if l, err := Open(t.Context(), Config{Dir: dir, ReadOnly: true}); err == nil {
		t.Errorf("a ledger that is not there was opened: %v", l.Close())
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("it was made: %v", err)
	}
}
