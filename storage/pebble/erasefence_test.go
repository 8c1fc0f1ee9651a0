package pebble

import (
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/storage/storagetest"
)

// TestErasureWaitsForSnapshot: an erasure that is asked for while a snapshot is being copied
// must not overwrite the write-ahead log that the snapshot still needs: what was committed
// before would silently be missing from a backup.
func TestErasureWaitsForSnapshot(t *testing.T) {
	mem := vfs.NewMem()
	var l *Ledger
	var once sync.Once
	var armed atomic.Bool
	tenant := notary.ID{1}
	erased := make(chan error, 1)
	fs := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if armed.Load() && strings.HasPrefix(op.Path, "aside") && isWrite(op) {
			once.Do(func() {
				go func() { erased <- l.Erase(t.Context(), notary.Erasure{Tenant: tenant, Index: 1}) }()
				select {
				case err := <-erased:
					erased <- err
				case <-time.After(500 * time.Millisecond): // it waits, as it should
				}
			})
		}
		return nil
	}))
	l = mustOpen(t, Config{Dir: "ledger", fs: fs})
	log := storagetest.NewLog()
	for range 20 {
		if err := log.Append(t.Context(), l, storagetest.Spec{Tenant: tenant}, storagetest.Spec{Tenant: tenant}); err != nil {
			t.Fatal(err)
		}
	}
	armed.Store(true)
	if err := l.Snapshot(t.Context(), "aside"); err != nil {
		t.Fatal(err)
	}
	if err := <-erased; err != nil {
		t.Fatal(err)
	}
	armed.Store(false)
	copied := mustOpen(t, Config{Dir: "aside", fs: fs, ReadOnly: true})
	if err := log.Check(t.Context(), copied); err != nil {
		t.Errorf("the snapshot: %v", err)
	}
	if err := copied.Close(); err != nil {
		t.Error(err)
	}
	if row, err := l.Row(t.Context(), 1); err != nil || len(row.Secrets) > 0 {
		t.Errorf("the erasure left %d bytes, %v", len(row.Secrets), err)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}

// TestErasuresBesideEverything: appends, publications, erasures and snapshots at once. Each
// snapshot has all that was committed before it was asked for.
func TestErasuresBesideEverything(t *testing.T) {
	root := t.TempDir()
	l := mustOpen(t, Config{Dir: filepath.Join(root, "ledger"), CacheBytes: 1 << 20})
	tenant := notary.ID{1}
	log := storagetest.NewLog()
	var committed atomic.Uint64
	ctx := t.Context()
	var working sync.WaitGroup
	var stop atomic.Bool
	working.Go(func() {
		for !stop.Load() {
			if err := log.Append(ctx, l, storagetest.Spec{Tenant: tenant}, storagetest.Spec{Tenant: tenant}, storagetest.Spec{Tenant: tenant}); err != nil {
				t.Error(err)
				return
			}
			committed.Store(log.Head.Size)
		}
	})
	working.Go(func() {
		for n := uint64(1); !stop.Load(); n++ {
			if err := l.Publish(ctx, n, make([]byte, 200_000)); err != nil {
				t.Error(err)
				return
			}
		}
	})
	working.Go(func() {
		for n := uint64(0); !stop.Load(); n++ {
			if size := committed.Load(); size <= n {
				n--
				time.Sleep(time.Millisecond)
				continue
			}
			if err := l.Erase(ctx, notary.Erasure{Tenant: tenant, Index: n}); err != nil {
				t.Error(err)
				return
			}
		}
	})
	for i := range 5 {
		time.Sleep(50 * time.Millisecond)
		dir, before := filepath.Join(root, string(rune('a'+i))), committed.Load()
		if err := l.Snapshot(ctx, dir); err != nil {
			t.Fatal(err)
		}
		s := mustOpen(t, Config{Dir: dir, ReadOnly: true, CacheBytes: 1 << 20})
		head, err := s.Head(ctx)
		if err != nil || head.Size < before {
			t.Errorf("snapshot %d has %d entries of %d, %v", i, head.Size, before, err)
		}
		for index := range head.Size {
			if _, err := s.Row(ctx, index); err != nil {
				t.Fatalf("snapshot %d: row %d: %v", i, index, err)
			}
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	stop.Store(true)
	working.Wait()
	if err := log.Append(ctx, l, storagetest.Spec{Tenant: tenant}); err != nil {
		t.Error(err)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}
