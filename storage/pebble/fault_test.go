package pebble

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/storage/storagetest"
)

const dir = "ledger"

// small is a ledger that is opened hundreds of times.
func small(fs vfs.FS) Config {
	return Config{Dir: dir, fs: fs, CacheBytes: 1 << 20}
}

// A history is a list of batches and the logs that they make.
type history []*notary.Batch

// bulky rows have memtables flushed on the way.
const bulky = 20_000

// newHistory makes n batches of a few rows with records of up to size bytes.
func newHistory(n, size int) history {
	log, random := storagetest.NewLog(), rand.New(rand.NewPCG(7, 7))
	contract := notary.Term{1}
	var h history
	for range n {
		specs := make([]storagetest.Spec, 1+random.IntN(4))
		for i := range specs {
			specs[i] = storagetest.Spec{Tenant: notary.ID{byte(i)}, Terms: []notary.Term{{2}, {byte(i)}}, Contract: &contract}
		}
		b := log.Batch(specs...)
		for i := range b.Rows {
			b.Rows[i].Body = make([]byte, random.IntN(size))
			for j := range b.Rows[i].Body {
				b.Rows[i].Body[j] = byte(random.Uint32())
			}
		}
		b.Operations = []notary.Operation{{Tenant: notary.ID{}, Key: notary.Term(b.Head.Batch[4:]), First: b.Rows[0].Index, Count: 1}}
		log.Took(b)
		h = append(h, b)
	}
	return h
}

// at returns the log after the first n batches.
func (h history) at(n int) *storagetest.Log {
	log := storagetest.NewLog()
	for _, b := range h[:n] {
		log.Took(b)
	}
	return log
}

// after returns the number of batches that make a log of that size, or -1.
func (h history) after(size uint64) int {
	for n := range len(h) + 1 {
		if h.at(n).Head.Size == size {
			return n
		}
	}
	return -1
}

func (h history) append(ctx context.Context, l *Ledger, n int) error {
	return l.Append(ctx, notary.Lookups{}, func(notary.State) (*notary.Batch, error) { return h[n], nil })
}

// survives opens what a crash left and fails unless it holds at least the first
// `acknowledged` batches and at most the first `attempted`, each of them whole.
func (h history) survives(t *testing.T, fs vfs.FS, acknowledged, attempted int) {
	t.Helper()
	l, err := Open(t.Context(), Config{Dir: dir, fs: fs, CacheBytes: 1 << 20, Fatal: func(err error) { t.Errorf("fatal: %v", err) }})
	if err != nil {
		t.Fatalf("after a crash with %d batches acknowledged: %v", acknowledged, err)
	}
	head, err := l.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	n := h.after(head.Size)
	if n < acknowledged || n > attempted {
		t.Fatalf("%d batches after a crash, %d acknowledged, %d attempted", n, acknowledged, attempted)
	}
	if err := h.at(n).Check(t.Context(), l); err != nil {
		t.Fatal(err)
	}
	if n < len(h) { // and it goes on from there
		if err := h.append(t.Context(), l, n); err != nil {
			t.Fatal(err)
		}
		if err := h.at(n+1).Check(t.Context(), l); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

func isWrite(op errorfs.Op) bool {
	return op.Kind.ReadOrWrite() == errorfs.OpIsWrite
}

func isSync(op errorfs.Op) bool {
	switch op.Kind {
	case errorfs.OpFileSync, errorfs.OpFileSyncData, errorfs.OpFileSyncTo:
		return true
	default:
		return false
	}
}

// injectAfter fails each write that fails(op) chooses, once armed.
func injectAfter(armed *atomic.Bool, err error, fails func(errorfs.Op) bool) errorfs.Injector {
	return errorfs.InjectorFunc(func(op errorfs.Op) error {
		if armed.Load() && fails(op) {
			return err
		}
		return nil
	})
}

// A fatal records what Config.Fatal is told.
type fatal struct {
	calls atomic.Int32
	told  chan error
}

func newFatal() *fatal { return &fatal{told: make(chan error, 1)} }

func (f *fatal) call(err error) {
	if f.calls.Add(1) == 1 {
		f.told <- err
	}
}

// wait returns what Fatal was told, within the second that is allowed.
func (f *fatal) wait(t *testing.T) error {
	t.Helper()
	select {
	case err := <-f.told:
		return err
	case <-time.After(time.Second):
		t.Fatal("Fatal was not called within a second")
		return nil
	}
}

// TestFailedSync: I7. The log's fsync fails once: Fatal within a second, no
// acknowledgement, and nothing is answered any more.
func TestFailedSync(t *testing.T) {
	for name, fails := range map[string]func(errorfs.Op) bool{
		"sync of the log":  func(op errorfs.Op) bool { return isSync(op) && strings.HasSuffix(op.Path, ".log") },
		"write to the log": func(op errorfs.Op) bool { return op.Kind == errorfs.OpFileWrite && strings.HasSuffix(op.Path, ".log") },
	} {
		for _, cause := range []error{syscall.EIO, syscall.ENOSPC} {
			t.Run(fmt.Sprint(name, "/", cause), func(t *testing.T) {
				h, mem, f := newHistory(5, bulky), vfs.NewCrashableMem(), newFatal()
				var armed atomic.Bool
				fs := errorfs.Wrap(mem, injectAfter(&armed, cause, fails))
				l := mustOpen(t, Config{Dir: dir, fs: fs, CacheBytes: 1 << 20, Fatal: f.call})
				for i := range 3 {
					if err := h.append(t.Context(), l, i); err != nil {
						t.Fatal(err)
					}
				}
				armed.Store(true)
				err := h.append(t.Context(), l, 3)
				if err == nil || errors.Is(err, notary.ErrNoRoom) || !errors.Is(err, cause) {
					t.Fatalf("append: %v", err)
				}
				if told := f.wait(t); !errors.Is(told, cause) {
					t.Errorf("Fatal was told %v", told)
				}
				armed.Store(false) // the disk is well again, and must not be believed
				refusesAll(t, l)
				if n := f.calls.Load(); n != 1 {
					t.Errorf("Fatal was called %d times", n)
				}
				for _, percent := range []int{0, 50, 100} {
					h.survives(t, mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: rand.New(rand.NewPCG(1, 1))}), 3, 4)
				}
			})
		}
	}
}

func refusesAll(t *testing.T, l *Ledger) {
	t.Helper()
	ctx := t.Context()
	for name, call := range map[string]func() error{
		"Append": func() error {
			return l.Append(ctx, notary.Lookups{}, func(notary.State) (*notary.Batch, error) {
				t.Error("build was called")
				return nil, nil
			})
		},
		"Now":          func() error { _, err := l.Now(ctx); return err },
		"Committed":    func() error { _, err := l.Committed(ctx, notary.ID{1}); return err },
		"Head":         func() error { _, err := l.Head(ctx); return err },
		"Hashes":       func() error { _, err := l.Hashes(ctx, 0, 0, 1); return err },
		"Entries":      func() error { _, err := l.Entries(ctx, 0, 1); return err },
		"Row":          func() error { _, err := l.Row(ctx, 0); return err },
		"Deposit":      func() error { _, err := l.Deposit(ctx, notary.ID{}, notary.ID{}); return err },
		"Operation":    func() error { _, err := l.Operation(ctx, notary.ID{}, notary.Term{}); return err },
		"Case":         func() error { _, err := l.Case(ctx, notary.ID{}, notary.Term{}); return err },
		"Deposits":     func() error { _, err := l.Deposits(ctx, notary.Query{Limit: 1}); return err },
		"Publish":      func() error { return l.Publish(ctx, 1<<60, nil) },
		"Published":    func() error { _, err := l.Published(ctx); return err },
		"Stamp":        func() error { return l.Stamp(ctx, notary.Stamp{Size: 1}) },
		"Stamps":       func() error { _, err := l.Stamps(ctx, 0, 1); return err },
		"Renew":        func() error { return l.Renew(ctx, notary.Renewal{Number: 1}) },
		"Renewals":     func() error { _, err := l.Renewals(ctx, 1); return err },
		"Renewed":      func() error { _, err := l.Renewed(ctx); return err },
		"CreateTenant": func() error { return l.CreateTenant(ctx, notary.Tenant{}) },
		"Tenants":      func() error { _, err := l.Tenants(ctx); return err },
		"Close":        l.Close,
	} {
		if err := call(); err == nil || errors.Is(err, notary.ErrNotFound) || errors.Is(err, notary.ErrNoRoom) {
			t.Errorf("%s after a fatal error: %v", name, err)
		}
	}
}

// TestUnsyncedIsUnseen holds the log's fsync back: until it returns, no reader may
// see the batch, for a crash could still take it back.
func TestUnsyncedIsUnseen(t *testing.T) {
	h := newHistory(2, bulky)
	var armed atomic.Bool
	reached, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	fs := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
		if armed.Load() && isSync(op) && strings.HasSuffix(op.Path, ".log") {
			once.Do(func() { close(reached) })
			<-release
		}
		return nil
	}))
	l := mustOpen(t, small(fs))
	if err := h.append(t.Context(), l, 0); err != nil {
		t.Fatal(err)
	}
	armed.Store(true)
	appended := make(chan error)
	go func() { appended <- h.append(t.Context(), l, 1) }()
	<-reached
	time.Sleep(10 * time.Millisecond) // let the commit go on to wait for the sync
	if err := l.Publish(t.Context(), 1, []byte("one")); err != nil {
		t.Error(err)
	}
	if err := h.at(1).Check(t.Context(), l); err != nil {
		t.Error(err)
	}
	close(release)
	if err := <-appended; err != nil {
		t.Fatal(err)
	}
	if err := h.at(2).Check(t.Context(), l); err != nil {
		t.Error(err)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}

// TestCrashes takes what a crash could leave before random writes, fsyncs and
// renames, with any part of the unsynced bytes, in the foreground and the background.
func TestCrashes(t *testing.T) {
	type crash struct {
		fs           *vfs.MemFS
		acknowledged int
	}
	rounds := 6
	if testing.Short() || racing {
		rounds = 1
	}
	h := newHistory(40, bulky)
	points := 0
	for round := range rounds {
		random := rand.New(rand.NewPCG(uint64(round), 1))
		source := rand.New(rand.NewPCG(uint64(round), 2))
		mem := vfs.NewCrashableMem()
		var acknowledged atomic.Int64
		var mu sync.Mutex
		var crashes []crash
		fs := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
			mu.Lock()
			defer mu.Unlock()
			if isWrite(op) && random.IntN(8) == 0 {
				c := crash{acknowledged: int(acknowledged.Load())}
				c.fs = mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: random.IntN(5) * 25, RNG: source})
				crashes = append(crashes, c)
			}
			return nil
		}))
		l := mustOpen(t, small(fs))
		for n := range h {
			if err := h.append(t.Context(), l, n); err != nil {
				t.Fatal(err)
			}
			acknowledged.Add(1)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		for _, c := range crashes {
			h.survives(t, c.fs, c.acknowledged, c.acknowledged+1)
		}
		points += len(crashes)
	}
	t.Logf("%d crash points", points)
}

// TestEachWriteFailsOnce fails the first, the second, … write call of a whole life:
// create, append, publish, close, open, append.
func TestEachWriteFailsOnce(t *testing.T) {
	h := newHistory(14, bulky)
	for _, cause := range []error{syscall.EIO, syscall.ENOSPC} {
		t.Run(cause.Error(), func(t *testing.T) {
			step := int64(1)
			if testing.Short() || racing {
				step = 11
			}
			for n := int64(0); ; n += step {
				if reached := h.liveWithFault(t, n, cause); !reached || t.Failed() {
					t.Logf("%d write calls", n)
					return
				}
			}
		})
	}
}

// liveWithFault reports whether the life had as many as n write calls.
func (h history) liveWithFault(t *testing.T, n int64, cause error) bool {
	mem, f := vfs.NewCrashableMem(), newFatal()
	var calls atomic.Int64
	var hit atomic.Pointer[errorfs.Op]
	fs := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if isWrite(op) && calls.Add(1) == n+1 {
			hit.Store(&op)
			return cause
		}
		return nil
	}))
	acknowledged, attempted := 0, 0
	life := func(batches int) error {
		l, err := Open(t.Context(), Config{Dir: dir, fs: fs, CacheBytes: 1 << 20, Fatal: f.call})
		if err != nil {
			return err
		}
		for attempted < batches {
			attempted++
			if err := h.append(t.Context(), l, acknowledged); err != nil {
				if errors.Is(err, notary.ErrNoRoom) != l.full {
					t.Errorf("write %d: %v", n, err)
				}
				if !l.full {
					f.wait(t)
				}
				return errors.Join(err, l.Close())
			}
			acknowledged++
			if err := l.Publish(t.Context(), uint64(acknowledged), []byte("note")); err != nil {
				return err
			}
		}
		return l.Close()
	}
	err := life(len(h) / 2)
	if err == nil {
		err = life(len(h))
	}
	if err == nil && acknowledged != len(h) {
		t.Errorf("write %d: %d batches, and no error", n, acknowledged)
	}
	for _, percent := range []int{0, 100} {
		h.survives(t, mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: rand.New(rand.NewPCG(uint64(n), 3))}), acknowledged, attempted)
		if t.Failed() {
			t.Fatalf("write %d failed: %+v; error %v", n, hit.Load(), err)
		}
	}
	return hit.Load() != nil
}

// TestNoRoom: short of the reserve, writes are refused while nothing is written;
// reads, replays and the barrier go on, and so do writes when there is room again.
func TestNoRoom(t *testing.T) {
	h, mem := newHistory(4, bulky), vfs.NewMem()
	roomy := vfs.DiskUsage{AvailBytes: 100 << 30, TotalBytes: 400 << 30}
	mem.TestingSetDiskUsage(roomy)
	l := mustOpen(t, small(mem))
	if err := h.append(t.Context(), l, 0); err != nil {
		t.Fatal(err)
	}
	for _, tight := range []vfs.DiskUsage{
		{AvailBytes: 19 << 30, TotalBytes: 400 << 30}, // less than 5%
		{AvailBytes: reserve, TotalBytes: 1 << 30},
	} {
		mem.TestingSetDiskUsage(tight)
		for range 2 {
			if err := h.append(t.Context(), l, 1); !errors.Is(err, notary.ErrNoRoom) {
				t.Fatalf("append: %v", err)
			}
		}
		if err := l.CreateTenant(t.Context(), notary.Tenant{}); !errors.Is(err, notary.ErrNoRoom) {
			t.Errorf("create tenant: %v", err)
		}
		if ok, err := l.Committed(t.Context(), h[1].Head.Batch); ok || err != nil {
			t.Errorf("committed: %v, %v", ok, err)
		}
		if ok, err := l.Committed(t.Context(), h[0].Head.Batch); !ok || err != nil {
			t.Errorf("committed: %v, %v", ok, err)
		}
		if err := l.Append(t.Context(), notary.Lookups{}, func(notary.State) (*notary.Batch, error) { return nil, nil }); err != nil {
			t.Errorf("replay: %v", err)
		}
		if err := h.at(1).Check(t.Context(), l); err != nil {
			t.Error(err)
		}
	}
	mem.TestingSetDiskUsage(roomy)
	if err := h.append(t.Context(), l, 1); err != nil {
		t.Fatal(err)
	}
	if err := h.at(2).Check(t.Context(), l); err != nil {
		t.Error(err)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}

// blind is a disk that does not tell how full it is.
type blind struct{ vfs.FS }

func (blind) GetDiskUsage(string) (vfs.DiskUsage, error) { return vfs.DiskUsage{}, syscall.EIO }

// TestRoomUnknown: a disk that does not tell how full it is refuses writes for now. It
// is not the end of the ledger, which Pebble would make of it on its own errands.
func TestRoomUnknown(t *testing.T) {
	h := newHistory(1, bulky)
	l := mustOpen(t, Config{Dir: dir, fs: blind{vfs.NewMem()}, CacheBytes: 1 << 20, Fatal: func(err error) { t.Errorf("fatal: %v", err) }})
	if err := l.Room(); !errors.Is(err, syscall.EIO) {
		t.Errorf("Room: %v", err)
	}
	if err := h.append(t.Context(), l, 0); !errors.Is(err, syscall.EIO) {
		t.Errorf("append: %v", err)
	}
	if err := l.db.Flush(); err != nil {
		t.Error(err)
	}
	if err := l.db.Compact(t.Context(), []byte{0}, []byte{255}, false); err != nil {
		t.Error(err)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}

// TestOpenOnFullDisk: reads are served, writes refused; with room it opens as ever.
func TestOpenOnFullDisk(t *testing.T) {
	h, mem := newHistory(8, bulky), vfs.NewMem()
	var armed atomic.Bool
	fs := errorfs.Wrap(mem, injectAfter(&armed, syscall.ENOSPC, func(op errorfs.Op) bool {
		switch op.Kind {
		case errorfs.OpCreate, errorfs.OpReuseForWrite, errorfs.OpFileWrite, errorfs.OpFilePreallocate:
			return true
		default:
			return false
		}
	}))
	l := mustOpen(t, small(fs))
	for n := range 6 {
		if err := h.append(t.Context(), l, n); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	armed.Store(true)
	l = mustOpen(t, Config{Dir: dir, fs: fs, CacheBytes: 1 << 20, Fatal: func(err error) { t.Errorf("fatal: %v", err) }})
	if err := h.at(6).Check(t.Context(), l); err != nil {
		t.Error(err)
	}
	if err := h.append(t.Context(), l, 6); !errors.Is(err, notary.ErrNoRoom) {
		t.Errorf("append: %v", err)
	}
	if err := l.Publish(t.Context(), 3, []byte("three")); err != nil {
		t.Error(err)
	}
	if note, err := l.Published(t.Context()); err != nil || string(note) != "three" {
		t.Errorf("published: %q, %v", note, err)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	armed.Store(false)
	h.survives(t, mem, 6, 6)
}
