package dir

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/storage/storagetest"
)

func TestBlobs(t *testing.T) {
	for name, sys := range map[string]system{"nameless": linux{}, "named": named{}} {
		t.Run(name, func(t *testing.T) {
			storagetest.Blobs(t, storagetest.BlobsHarness{
				New: func(t testing.TB) notary.Blobs { return open(t, t.TempDir(), sys) },
				Reopen: func(t testing.TB, b notary.Blobs) notary.Blobs {
					old := b.(*Blobs)
					old.Close()
					return open(t, old.root, sys)
				},
			})
		})
	}
}

// open opens a store that tests its own clean end: no temporary is left.
func open(t testing.TB, dir string, sys system) *Blobs {
	t.Helper()
	b, err := openBlobs(Config{Dir: dir, Fatal: func(err error) { t.Errorf("Fatal: %v", err) }}, sys)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		b.Close()
		if left := files(t, b.tmp); len(left) != 0 {
			t.Errorf("left behind: %v", left)
		}
	})
	return b
}

func files(t testing.TB, dir string) []string {
	t.Helper()
	var found []string
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			found = append(found, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

type dice struct{}

func (dice) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(rand.Uint32())
	}
	return len(p), nil
}

func newID(t testing.TB) string {
	t.Helper()
	id, err := notary.NewID(time.Now(), dice{})
	if err != nil {
		t.Fatal(err)
	}
	return id.String()
}

// put stores content under name and returns Put's error alone.
func put(b *Blobs, name, content string) error {
	n, err := b.Put(context.Background(), name, strings.NewReader(content))
	if err == nil && n != int64(len(content)) {
		err = fmt.Errorf("Put counted %d bytes of %d", n, len(content))
	}
	return err
}

// content returns what is under name, or "absent".
func content(t testing.TB, b *Blobs, name string) string {
	t.Helper()
	o, err := b.Open(t.Context(), name)
	if errors.Is(err, notary.ErrNotFound) {
		return "absent"
	}
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	p, err := io.ReadAll(io.NewSectionReader(o, 0, o.Size()))
	if err != nil {
		t.Fatal(err)
	}
	return string(p)
}

func TestBlobsOrderOfWrites(t *testing.T) {
	sys := &faulty{}
	b := open(t, t.TempDir(), sys)
	tenant := newID(t)
	id := newID(t)
	shard, path, _ := place(b.root, tenant+"/"+id)
	sys.reset(nil)
	if err := put(b, tenant+"/"+id, "first in its directory"); err != nil {
		t.Fatal(err)
	}
	var last int
	for _, call := range []string{"create " + b.tmp, "write " + b.tmp, "fsync " + b.tmp, "mkdir " + filepath.Dir(shard), "mkdir " + shard, "name " + path} {
		at := sys.position(call)
		if at < last {
			t.Fatalf("%q at %d, not after %d in %q", call, at, last, sys.calls)
		}
		last = at
	}
	for _, dir := range []string{b.root, filepath.Dir(shard), shard} {
		if at := sys.position("dirsync " + dir); at < last {
			t.Errorf("%s was not fsynced after the name was given: %q", dir, sys.calls)
		}
	}

	// The next in the same directory needs no more of its parents.
	sys.reset(nil)
	if err := put(b, tenant+"/"+id[:24]+newID(t)[24:], "second"); err != nil {
		t.Fatal(err)
	}
	if sys.counted("dirsync") != 1 || sys.counted("mkdir") != 0 || sys.counted("fsync") != 1 {
		t.Errorf("the second document of a directory cost %v", sys.count)
	}
	for _, f := range files(t, b.root) {
		if info, err := os.Stat(f); err != nil || info.Mode() != 0o600 {
			t.Errorf("%s: mode %v, %v", f, info.Mode(), err)
		}
	}
	if info, err := os.Stat(shard); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%s: mode %v, %v", shard, info.Mode(), err)
	}
}

// TestBlobsGroupCommit holds the disk back while many Puts arrive: they then
// share their directory's fsync.
func TestBlobsGroupCommit(t *testing.T) {
	const puts = 200
	sys := &faulty{}
	b := open(t, t.TempDir(), sys)
	tenant, id := newID(t), newID(t)
	if err := put(b, tenant+"/"+id, "makes the directory"); err != nil {
		t.Fatal(err)
	}
	held := make(chan struct{})
	var once sync.Once
	sys.reset(nil)
	slow := &held1{faulty: sys, first: func() { once.Do(func() { <-held }) }}
	b.sys = slow
	var wg sync.WaitGroup
	for i := range puts {
		wg.Go(func() {
			if err := put(b, fmt.Sprintf("%s/%s%012x", tenant, id[:24], i), "document"); err != nil {
				t.Error(err)
			}
		})
	}
	for { // until each document is durable, and waits for its name or for the disk
		b.mu.Lock()
		waiting := len(b.waiting)
		b.mu.Unlock()
		if waiting+sys.counted("name") == puts {
			break
		}
		time.Sleep(time.Millisecond)
	}
	close(held)
	wg.Wait()
	if n := sys.counted("dirsync"); n > 5 {
		t.Errorf("%d documents cost %d fsyncs of their directory", puts, n)
	}
	if n := sys.counted("fsync"); n != puts {
		t.Errorf("%d documents cost %d fsyncs of files", puts, n)
	}
}

// TestBlobsCancelledInTheQueue: a context that ends while the document waits for
// its name still counts.
func TestBlobsCancelledInTheQueue(t *testing.T) {
	b := open(t, t.TempDir(), linux{})
	held := make(chan struct{})
	entered := make(chan struct{})
	var once sync.Once
	b.sys = &held1{faulty: &faulty{}, first: func() { once.Do(func() { close(entered); <-held }) }}
	first := make(chan error)
	go func() { first <- put(b, newID(t)+"/"+newID(t), "first") }()
	<-entered
	ctx, cancel := context.WithCancel(t.Context())
	name, second := newID(t)+"/"+newID(t), make(chan error)
	go func() {
		_, err := b.Put(ctx, name, strings.NewReader("second"))
		second <- err
	}()
	for waiting := 0; waiting == 0; time.Sleep(time.Millisecond) {
		b.mu.Lock()
		waiting = len(b.waiting)
		b.mu.Unlock()
	}
	cancel()
	close(held)
	if err := <-first; err != nil {
		t.Error(err)
	}
	if err := <-second; !errors.Is(err, context.Canceled) || content(t, b, name) != "absent" {
		t.Errorf("Put cancelled in the queue: %v, and the object is %q", err, content(t, b, name))
	}
}

// TestBlobsDeleteIsDurable: also a Delete that finds nothing makes sure of it.
func TestBlobsDeleteIsDurable(t *testing.T) {
	sys, fatal := &faulty{}, new(atomic.Int32)
	b, err := openBlobs(Config{Dir: t.TempDir(), Fatal: func(error) { fatal.Add(1) }}, sys)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	name := newID(t) + "/" + newID(t)
	shard, path, _ := place(b.root, name)
	if err := put(b, name, "to be erased"); err != nil {
		t.Fatal(err)
	}
	for _, there := range []bool{true, false} {
		sys.reset(nil)
		if err := b.Delete(t.Context(), name); err != nil {
			t.Fatal(err)
		}
		removed, synced := sys.position("remove "+path), sys.position("dirsync "+shard)
		if removed < 0 || synced < removed {
			t.Errorf("Delete of an object that is there (%v): %q", there, sys.calls)
		}
	}
	sys.reset(func(op string, _ int) error {
		if op == "dirsync" {
			return unix.EIO
		}
		return nil
	})
	if err := b.Delete(t.Context(), name); !errors.Is(err, unix.EIO) || fatal.Load() != 1 {
		t.Errorf("Delete: %v, Fatal called %d times", err, fatal.Load())
	}
	blobsRefuseAll(t, b, name)
}

// held1 makes the first fsync of a directory wait.
type held1 struct {
	*faulty
	first func()
}

func (h *held1) openDir(path string) (file, error) {
	f, err := h.faulty.openDir(path)
	return &heldFile{f, h.first}, err
}

type heldFile struct {
	file
	first func()
}

func (f *heldFile) Sync() error {
	f.first()
	return f.file.Sync()
}

// TestBlobsEachCallFails makes every call that writes fail, one at a time, and
// holds Put and Delete to their contract, in this process and after a restart.
func TestBlobsEachCallFails(t *testing.T) {
	calls := map[string]int{"create": 1, "write": 3, "fsync": 1, "mkdir": 2, "opendir": 3, "name": 1, "dirsync": 3, "remove": 1}
	for op, times := range calls {
		for n := 1; n <= times; n++ {
			for _, errno := range []syscall.Errno{unix.EIO, unix.ENOSPC, unix.EDQUOT} {
				for _, named := range []bool{false, true} {
					t.Run(fmt.Sprintf("%s/%d/%v/named=%v", op, n, errno, named), func(t *testing.T) {
						blobsCallFails(t, &faulty{named: named}, op, n, errno)
					})
				}
			}
		}
	}
}

func blobsCallFails(t *testing.T, sys *faulty, op string, n int, errno syscall.Errno) {
	fatal := new(atomic.Int32)
	dir := t.TempDir()
	b, err := openBlobs(Config{Dir: dir, Fatal: func(error) { fatal.Add(1) }}, sys)
	if err != nil {
		t.Fatal(err)
	}
	before, during := newID(t)+"/"+newID(t), newID(t)+"/"+newID(t)
	if err := put(b, before, "before"); err != nil {
		t.Fatal(err)
	}
	sys.reset(func(o string, i int) error {
		if o == op && i == n {
			return errno
		}
		return nil
	})
	big := strings.Repeat("x", 150_000) // three writes
	putErr := put(b, during, big)
	if op == "remove" {
		// Put removes nothing when it succeeds; Delete does.
		if err := b.Delete(t.Context(), before); !errors.Is(err, errno) || content(t, b, before) != "before" {
			t.Errorf("Delete: %v", err)
		}
	} else if !errors.Is(putErr, errno) {
		t.Fatalf("Put: %v, want %v", putErr, errno)
	}
	if op == "fsync" || op == "dirsync" {
		blobsRefuseAll(t, b, before)
		if fatal.Load() != 1 {
			t.Errorf("Fatal was called %d times", fatal.Load())
		}
	} else {
		if full := errno != unix.EIO; putErr != nil && errors.Is(putErr, notary.ErrNoRoom) != full {
			t.Errorf("Put: %v; a full disk is ErrNoRoom and nothing else is", putErr)
		}
		if fatal.Load() != 0 {
			t.Error("Fatal was called")
		}
		if putErr != nil && content(t, b, during) != "absent" {
			t.Error("an object is there after its Put has failed")
		}
		if left := files(t, b.tmp); len(left) != 0 {
			t.Errorf("left behind: %v", left)
		}
		// Recovers without a restart.
		if err := put(b, newID(t)+"/"+newID(t), "after"); err != nil {
			t.Errorf("the next Put: %v", err)
		}
		if putErr != nil {
			if err := put(b, during, big); err != nil {
				t.Errorf("the same Put again: %v", err)
			}
			putErr = nil
		}
	}
	b.Close()
	b = open(t, dir, linux{})
	if content(t, b, before) != "before" {
		t.Error("an object stored before the fault is gone")
	}
	switch got := content(t, b, during); {
	case putErr == nil && got != big:
		t.Error("an object whose Put returned nil is gone")
	case got != big && got != "absent":
		t.Errorf("an object is there in part: %d bytes", len(got))
	case op == "fsync" && got != "absent":
		t.Error("a file that could not be fsynced was given its name")
	}
}

func blobsRefuseAll(t *testing.T, b *Blobs, name string) {
	t.Helper()
	if err := put(b, newID(t)+"/"+newID(t), "x"); err == nil {
		t.Error("Put after an fsync error succeeded")
	}
	if _, err := b.Open(t.Context(), name); err == nil {
		t.Error("Open after an fsync error succeeded")
	}
	if err := b.List(t.Context(), time.Now(), func(string) error { return nil }); err == nil {
		t.Error("List after an fsync error succeeded")
	}
	if err := b.Delete(t.Context(), name); err == nil {
		t.Error("Delete after an fsync error succeeded")
	}
}

// TestBlobsDistrustReachesTheGroup: one directory's fsync error leaves no Put of
// the group, in whatever directory, with a nil.
func TestBlobsDistrustReachesTheGroup(t *testing.T) {
	sys, fatal := &faulty{}, new(atomic.Int32)
	b, err := openBlobs(Config{Dir: t.TempDir(), Fatal: func(error) { fatal.Add(1) }}, sys)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	sys.reset(func(op string, _ int) error {
		if op == "dirsync" {
			return unix.EIO
		}
		return nil
	})
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if err := put(b, newID(t)+"/"+newID(t), "x"); !errors.Is(err, unix.EIO) {
				t.Errorf("Put: %v, want EIO", err)
			}
		})
	}
	wg.Wait()
	if fatal.Load() != 1 {
		t.Errorf("Fatal was called %d times", fatal.Load())
	}
}

func TestBlobsFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=8m"); err != nil {
		t.Logf("no tmpfs of our own (%v): the full disk is the injected one", err)
		blobsCallFails(t, &faulty{}, "write", 2, unix.ENOSPC)
		return
	}
	t.Cleanup(func() { unix.Unmount(dir, 0) })
	b := open(t, dir, linux{})
	document := strings.Repeat("m", 1<<20)
	var stored []string
	for {
		name := newID(t) + "/" + newID(t)
		err := put(b, name, document)
		if errors.Is(err, notary.ErrNoRoom) {
			if content(t, b, name) != "absent" {
				t.Error("an object is there after ErrNoRoom")
			}
			break
		}
		if err != nil || len(stored) > 8 {
			t.Fatalf("after %d MiB: %v", len(stored), err)
		}
		stored = append(stored, name)
	}
	if left := files(t, b.tmp); len(left) != 0 {
		t.Errorf("left behind on the full disk: %v", left)
	}
	for _, name := range stored {
		if content(t, b, name) != document {
			t.Error("an object stored before the disk was full reads back other")
		}
	}
	if err := b.Delete(t.Context(), stored[0]); err != nil {
		t.Fatalf("Delete on a full disk: %v", err)
	}
	if err := put(b, newID(t)+"/"+newID(t), document); err != nil {
		t.Errorf("Put once there is room again: %v", err)
	}
}

func TestBlobsSweepsLeftovers(t *testing.T) {
	dir := t.TempDir()
	b := open(t, dir, linux{})
	name := newID(t) + "/" + newID(t)
	if err := put(b, name, "kept"); err != nil {
		t.Fatal(err)
	}
	_, path, _ := place(b.root, name)
	b.Close()
	// What a crash leaves: half a document, and a second link that was to go.
	if err := os.WriteFile(filepath.Join(dir, "tmp", "half"), []byte("ha"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Link(path, filepath.Join(dir, "tmp", "linked")); err != nil {
		t.Fatal(err)
	}
	b = open(t, dir, linux{})
	if left := files(t, b.tmp); len(left) != 0 {
		t.Errorf("not swept: %v", left)
	}
	if content(t, b, name) != "kept" {
		t.Error("the sweep took an object")
	}
}

// TestBlobsProbe: what a Put would meet, a probe meets, and it leaves nothing. What is
// put right again is found right again.
func TestBlobsProbe(t *testing.T) {
	for _, named := range []bool{false, true} {
		for op, fatal := range map[string]bool{"create": false, "write": false, "fsync": true} {
			sys, died := &faulty{named: named}, new(atomic.Int32)
			dir := t.TempDir()
			b, err := openBlobs(Config{Dir: dir, Fatal: func(error) { died.Add(1) }}, sys)
			if err != nil {
				t.Fatal(err)
			}
			before := files(t, dir)
			sys.reset(func(o string, n int) error {
				if o == op && n == 1 {
					return unix.EIO
				}
				return nil
			})
			if err := b.Probe(t.Context()); !errors.Is(err, unix.EIO) {
				t.Errorf("%s fails: %v", op, err)
			}
			if err := b.Probe(t.Context()); (err != nil) != fatal || (died.Load() == 1) != fatal {
				t.Errorf("%s failed once: %v, Fatal called %d times", op, err, died.Load())
			}
			if after := files(t, dir); !slices.Equal(after, before) {
				t.Errorf("probes left %v", after)
			}
			b.Close()
		}
	}
	dir := filepath.Join(t.TempDir(), "blobs")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	b := open(t, dir, linux{})
	name := newID(t) + "/" + newID(t)
	if err := put(b, name, "content"); err != nil {
		t.Fatal(err)
	}
	for what, change := range map[string]struct{ harm, mend func() error }{
		"moved away": {
			func() error { return os.Rename(dir, dir+".away") },
			func() error { return os.Rename(dir+".away", dir) },
		},
		"replaced": {
			func() error {
				return errors.Join(os.Rename(dir, dir+".away"), os.MkdirAll(filepath.Join(dir, "tmp"), 0o700))
			},
			func() error { return errors.Join(os.RemoveAll(dir), os.Rename(dir+".away", dir)) },
		},
		"without tmp": {
			func() error { return os.Remove(filepath.Join(dir, "tmp")) },
			func() error { return os.Mkdir(filepath.Join(dir, "tmp"), 0o700) },
		},
	} {
		if err := change.harm(); err != nil {
			t.Fatal(err)
		}
		if err := b.Probe(t.Context()); err == nil {
			t.Errorf("%s: Probe is content", what)
		}
		if _, err := b.Open(t.Context(), name); errors.Is(err, notary.ErrNotFound) {
			t.Errorf("%s: an object is said not to be there", what)
		}
		if err := change.mend(); err != nil {
			t.Fatal(err)
		}
		if err := b.Probe(t.Context()); err != nil {
			t.Errorf("%s, and back: %v", what, err)
		}
	}
}

func TestBlobsWithoutDirectory(t *testing.T) {
	if b, err := OpenBlobs(Config{Dir: filepath.Join(t.TempDir(), "not", "mounted")}); err == nil {
		b.Close()
		t.Error("OpenBlobs made a store where there was no directory")
	}
}

func TestBlobsClose(t *testing.T) {
	b := open(t, t.TempDir(), linux{})
	name := newID(t) + "/" + newID(t)
	if err := put(b, name, "x"); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 50 {
		name := newID(t) + "/" + newID(t)
		wg.Go(func() {
			if err := put(b, name, "x"); err != nil && !errors.Is(err, errClosed) {
				t.Errorf("Put beside Close: %v", err)
			}
		})
	}
	b.Close()
	wg.Wait()
	if _, err := b.Open(t.Context(), name); !errors.Is(err, errClosed) {
		t.Errorf("Open after Close: %v", err)
	}
}

// TestSecondOwner opens what is open already, here and in another process.
func TestSecondOwner(t *testing.T) {
	if dir := os.Getenv("MUNIMENT_TEST_SECOND_OWNER"); dir != "" {
		_, blobsErr := OpenBlobs(Config{Dir: dir})
		_, anchorErr := OpenAnchor(dir)
		fmt.Printf("blobs: %v\nanchor: %v\n", blobsErr, anchorErr)
		os.Exit(0)
	}
	dir := t.TempDir()
	if err := CreateAnchor(dir, []byte("body")); err != nil {
		t.Fatal(err)
	}
	b := open(t, dir, linux{})
	a, err := OpenAnchor(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	if _, err := OpenBlobs(Config{Dir: dir}); err == nil || !strings.Contains(err.Error(), dir) {
		t.Errorf("second OpenBlobs in this process: %v", err)
	}
	if _, err := OpenAnchor(dir); err == nil || !strings.Contains(err.Error(), a.path) {
		t.Errorf("second OpenAnchor in this process: %v", err)
	}
	other := func() string {
		cmd := exec.Command(os.Args[0], "-test.run=^TestSecondOwner$")
		cmd.Env = append(os.Environ(), "MUNIMENT_TEST_SECOND_OWNER="+dir)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return string(out)
	}
	want := fmt.Sprintf("blobs: dir: %s is in use by another process\nanchor: dir: %s is in use by another process\n", dir, a.path)
	if got := other(); got != want {
		t.Errorf("another process was told %q, want %q", got, want)
	}
	b.Close()
	a.Close()
	if got := other(); got != "blobs: <nil>\nanchor: <nil>\n" {
		t.Errorf("after Close another process was told %q", got)
	}
}

// TestFatalEndsTheProcess: the default Fatal cannot be recovered from.
func TestFatalEndsTheProcess(t *testing.T) {
	if dir := os.Getenv("MUNIMENT_TEST_FATAL"); dir != "" {
		defer func() { recover(); os.Exit(0) }()
		sys := &faulty{}
		b, err := openBlobs(Config{Dir: dir}, sys)
		if err != nil {
			panic(err)
		}
		sys.reset(func(op string, _ int) error {
			if op == "fsync" {
				return unix.EIO
			}
			return nil
		})
		fmt.Println("answered:", put(b, newID(t)+"/"+newID(t), "x"))
		return
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestFatalEndsTheProcess$")
	cmd.Env = append(os.Environ(), "MUNIMENT_TEST_FATAL="+t.TempDir())
	out, err := cmd.CombinedOutput()
	if err == nil || bytes.Contains(out, []byte("answered")) || !bytes.Contains(out, []byte("input/output error")) {
		t.Errorf("the process went on after an fsync error: %v\n%s", err, out)
	}
}

func BenchmarkPut4KiB(b *testing.B) {
	for _, writers := range []int{1, 16, 64} {
		b.Run(fmt.Sprint(writers), func(b *testing.B) {
			s, err := OpenBlobs(Config{Dir: b.TempDir()})
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			tenant, document := newID(b), strings.Repeat("d", 4096)
			names := make(chan string, b.N)
			for range b.N {
				names <- tenant + "/" + newID(b)
			}
			close(names)
			b.ResetTimer()
			var wg sync.WaitGroup
			for range writers {
				wg.Go(func() {
					for name := range names {
						if err := put(s, name, document); err != nil {
							b.Error(err)
						}
					}
				})
			}
			wg.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "puts/s")
		})
	}
}
