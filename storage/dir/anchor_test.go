package dir

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/storage/storagetest"
)

func TestAnchor(t *testing.T) {
	storagetest.Anchor(t, storagetest.AnchorHarness{
		New: func(t testing.TB, body []byte) notary.Anchor {
			dir := t.TempDir()
			if err := CreateAnchor(dir, body); err != nil {
				t.Fatal(err)
			}
			return openAnchor(t, dir)
		},
		Reopen: func(t testing.TB, a notary.Anchor) notary.Anchor {
			old := a.(*Anchor)
			old.Close()
			return openAnchor(t, filepath.Dir(old.path))
		},
		Missing: func(t testing.TB) (notary.Anchor, error) {
			a, err := OpenAnchor(t.TempDir())
			if err != nil {
				return nil, err
			}
			return a, nil
		},
	})
}

func openAnchor(t testing.TB, dir string) *Anchor {
	t.Helper()
	a, err := OpenAnchor(dir)
	if err != nil {
		t.Fatal(err)
	}
	a.Fatal = func(err error) { t.Errorf("Fatal: %v", err) }
	t.Cleanup(func() { a.Close() })
	return a
}

// image is an anchor file in memory: what is read is what was written, and what
// a crash leaves is kept apart.
type image struct {
	cache [2 * slotSize]byte
	disk  [2 * slotSize]byte // as of the last Sync
	// writes since the last Sync
	pending []pendingWrite
	// fail, if set, is the error of each write or sync to come; the step counts down to it.
	step int
	fail error
}

type pendingWrite struct {
	p   []byte
	off int64
}

func (m *image) next() error {
	m.step--
	if m.fail != nil && m.step < 0 {
		return m.fail
	}
	return nil
}

func (m *image) ReadAt(p []byte, off int64) (int, error) {
	n := copy(p, m.cache[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (m *image) WriteAt(p []byte, off int64) (int, error) {
	if err := m.next(); err != nil {
		return 0, err
	}
	m.pending = append(m.pending, pendingWrite{bytes.Clone(p), off})
	return copy(m.cache[off:], p), nil
}

func (m *image) Sync() error {
	if err := m.next(); err != nil {
		return err
	}
	m.disk, m.pending = m.cache, nil
	return nil
}

// reborn writes bytes as the anchor file of a new directory and opens it.
func reborn(t *testing.T, dir string, p []byte) ([]byte, error) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, anchorName), p, 0o600); err != nil {
		t.Fatal(err)
	}
	a, err := OpenAnchor(dir)
	if err != nil {
		return nil, err
	}
	defer a.Close()
	body, err := a.Load(t.Context())
	if err != nil {
		return nil, err
	}
	// Whatever was found, it stands in both slots now.
	if _, twice, err := a.read(); err != nil || !twice {
		t.Fatalf("after OpenAnchor the slots differ: %v", err)
	}
	return body, nil
}

// onTmpfs returns a directory in memory if the machine has one: these tests open
// an anchor tens of thousands of times and prove nothing about the disk.
func onTmpfs(t *testing.T) string {
	dir, err := os.MkdirTemp("/dev/shm", "muniment")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// TestAnchorTornWrites cuts the power in each write of three Advances in a row,
// after each byte of it, from the front and from the back, and with the writes
// that had not been synced arriving or not.
func TestAnchorTornWrites(t *testing.T) {
	dir := onTmpfs(t)
	if err := CreateAnchor(dir, body(0)); err != nil {
		t.Fatal(err)
	}
	a := openAnchor(t, dir)
	m := &image{}
	raw, err := os.ReadFile(a.path)
	if err != nil {
		t.Fatal(err)
	}
	copy(m.cache[:], raw)
	m.disk = m.cache
	a.disk = m
	crashDir := onTmpfs(t)
	for round := range 3 {
		prev, next := body(round), body(round+1)
		was := m.disk
		if err := a.Advance(t.Context(), prev, next); err != nil {
			t.Fatal(err)
		}
		// Before the sync: the first write, torn over what the disk held, under the
		// copy of the round before arriving or not.
		first := pendingWrite{slot{uint64(round + 2), next}.marshal(), (1 - a.spare) * slotSize}
		copyOf := pendingWrite{first.p, a.spare * slotSize}
		for cut := 0; cut <= slotSize; cut++ {
			for _, back := range []bool{false, true} {
				tear(t, crashDir, was, first, cut, back, prev, next)
				tear(t, crashDir, m.disk, copyOf, cut, back, next, next)
			}
		}
		if len(m.pending) != 1 || m.pending[0].off != copyOf.off || !bytes.Equal(m.pending[0].p, copyOf.p) {
			t.Fatalf("after Advance %d writes wait for the disk, want the copy alone", len(m.pending))
		}
		if round == 1 {
			m.disk = m.cache // this time the copy arrives by itself
		}
	}
}

// tear writes the first, or the last, cut bytes of w over disk and opens that.
func tear(t *testing.T, dir string, disk [2 * slotSize]byte, w pendingWrite, cut int, back bool, prev, next []byte) {
	t.Helper()
	if back {
		copy(disk[w.off+int64(slotSize-cut):], w.p[slotSize-cut:])
	} else {
		copy(disk[w.off:], w.p[:cut])
	}
	got, err := reborn(t, dir, disk[:])
	if err != nil {
		t.Fatalf("torn after %d bytes: %v", cut, err)
	}
	if !bytes.Equal(got, prev) && !bytes.Equal(got, next) {
		t.Fatalf("torn after %d bytes: %q", cut, got)
	}
	if cut == slotSize && !bytes.Equal(got, next) {
		t.Fatalf("written whole, and read as %q", got)
	}
}

// TestAnchorBitFlips rots each byte of each slot of an anchor at rest. The other
// slot still tells the newest body; only with both rotten there is an error.
func TestAnchorBitFlips(t *testing.T) {
	dir := onTmpfs(t)
	if err := CreateAnchor(dir, body(0)); err != nil {
		t.Fatal(err)
	}
	a := openAnchor(t, dir)
	for i := range 5 {
		if err := a.Advance(t.Context(), body(i), body(i+1)); err != nil {
			t.Fatal(err)
		}
	}
	a.Close()
	rest, err := os.ReadFile(a.path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range rest {
		p := bytes.Clone(rest)
		p[i] ^= 1 << (i % 8)
		if got, err := reborn(t, dir, p); err != nil || !bytes.Equal(got, body(5)) {
			t.Fatalf("byte %d flipped: %q, %v", i, got, err)
		}
		p = bytes.Clone(rest)
		p[i] ^= 1 << (i % 8)
		p[(i+slotSize)%len(p)] ^= 1 << (i % 7)
		if got, err := reborn(t, dir, p); err == nil {
			t.Fatalf("byte %d of both slots flipped: %q", i%slotSize, got)
		}
	}
}

// TestAnchorRotWhileOpen flips bits under a running Anchor: no other body is
// returned, and Advance mends the slot before it puts the whole one at risk.
func TestAnchorRotWhileOpen(t *testing.T) {
	dir := onTmpfs(t)
	if err := CreateAnchor(dir, body(0)); err != nil {
		t.Fatal(err)
	}
	a := openAnchor(t, dir)
	for i := range 8 {
		off := int64(i%2)*slotSize + int64(i*500)
		if err := flip(a.file, off); err != nil {
			t.Fatal(err)
		}
		if got, err := a.Load(t.Context()); err != nil || !bytes.Equal(got, body(i)) {
			t.Fatalf("Load with one slot rotten: %q, %v", got, err)
		}
		if err := a.Advance(t.Context(), body(i), body(i+1)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(flip(a.file, 100), flip(a.file, slotSize+100)); err != nil {
		t.Fatal(err)
	}
	if got, err := a.Load(t.Context()); err == nil {
		t.Errorf("Load with both slots rotten: %q", got)
	}
	if err := a.Advance(t.Context(), body(8), body(9)); err == nil || errors.Is(err, notary.ErrConflict) {
		t.Errorf("Advance with both slots rotten: %v", err)
	}
}

func flip(f *os.File, off int64) error {
	var p [1]byte
	if _, err := f.ReadAt(p[:], off); err != nil {
		return err
	}
	p[0] ^= 0x10
	_, err := f.WriteAt(p[:], off)
	return err
}

func TestAnchorContradictions(t *testing.T) {
	dir := onTmpfs(t)
	two := func(a, b slot) []byte { return append(a.marshal(), b.marshal()...) }
	for what, p := range map[string][]byte{
		"numbers two apart":       two(slot{5, body(1)}, slot{7, body(2)}),
		"numbers far apart":       two(slot{900, body(1)}, slot{7, body(2)}),
		"one number, two bodies":  two(slot{5, body(1)}, slot{5, body(2)}),
		"empty":                   {},
		"zeros":                   make([]byte, 2*slotSize),
		"one slot short":          slot{5, body(1)}.marshal(),
		"one byte more":           append(two(slot{5, body(1)}, slot{5, body(1)}), 0),
		"a format not yet known":  bytes.ReplaceAll(two(slot{5, body(1)}, slot{5, body(1)}), []byte("@v1"), []byte("@v2")),
		"a slot of an empty body": two(slot{5, nil}, slot{5, nil}),
	} {
		if got, err := reborn(t, dir, p); err == nil {
			t.Errorf("%s: %q", what, got)
		} else if !strings.Contains(err.Error(), filepath.Join(dir, anchorName)) {
			t.Errorf("%s: the error does not name the file: %v", what, err)
		}
	}
	for what, c := range map[string]struct {
		p    []byte
		want []byte
	}{
		"first newer":  {two(slot{8, body(2)}, slot{7, body(1)}), body(2)},
		"second newer": {two(slot{7, body(1)}, slot{8, body(2)}), body(2)},
	} {
		if got, err := reborn(t, dir, c.p); err != nil || !bytes.Equal(got, c.want) {
			t.Errorf("%s: %q, %v", what, got, err)
		}
	}
}

// TestAnchorRemovedWhileOpen: a file that the next start would not find is no anchor.
func TestAnchorRemovedWhileOpen(t *testing.T) {
	for what, harm := range map[string]func(path string) error{
		"removed":   os.Remove,
		"truncated": func(path string) error { return os.Truncate(path, slotSize) },
		"replaced": func(path string) error {
			p, err := os.ReadFile(path)
			return errors.Join(err, os.Rename(path, path+".old"), os.WriteFile(path, p, 0o600))
		},
	} {
		dir := t.TempDir()
		if err := CreateAnchor(dir, body(0)); err != nil {
			t.Fatal(err)
		}
		a := openAnchor(t, dir)
		if err := harm(a.path); err != nil {
			t.Fatal(err)
		}
		if got, err := a.Load(t.Context()); err == nil {
			t.Errorf("%s: Load = %q", what, got)
		}
		if err := a.Advance(t.Context(), body(0), body(1)); err == nil || errors.Is(err, notary.ErrConflict) {
			t.Errorf("%s: Advance: %v", what, err)
		}
	}
}

// TestAnchorEachCallFails makes each write and sync of an Advance fail.
func TestAnchorEachCallFails(t *testing.T) {
	for step := range 3 {
		for _, errno := range []syscall.Errno{unix.EIO, unix.ENOSPC} {
			dir := onTmpfs(t)
			if err := CreateAnchor(dir, body(0)); err != nil {
				t.Fatal(err)
			}
			a := openAnchor(t, dir)
			fatal := 0
			a.Fatal = func(error) { fatal++ }
			m := &image{step: step, fail: errno}
			raw, err := os.ReadFile(a.path)
			if err != nil {
				t.Fatal(err)
			}
			copy(m.cache[:], raw)
			m.disk = m.cache
			a.disk = m
			if err := a.Advance(t.Context(), body(0), body(1)); !errors.Is(err, errno) || errors.Is(err, notary.ErrConflict) {
				t.Errorf("step %d: Advance: %v, want %v", step, err, errno)
			}
			if fatal != 1 {
				t.Errorf("step %d: Fatal was called %d times", step, fatal)
			}
			m.fail = nil // a second fsync would succeed, and mean nothing
			if got, err := a.Load(t.Context()); err == nil {
				t.Errorf("step %d: Load after the error = %q", step, got)
			}
			if err := a.Advance(t.Context(), body(0), body(1)); err == nil || errors.Is(err, notary.ErrConflict) {
				t.Errorf("step %d: Advance after the error: %v", step, err)
			}
			a.Close()
			for _, disk := range [][2 * slotSize]byte{m.disk, m.cache} {
				if got, err := reborn(t, dir, disk[:]); err != nil || !bytes.Equal(got, body(0)) && !bytes.Equal(got, body(1)) {
					t.Errorf("step %d: after a restart: %q, %v", step, got, err)
				}
			}
		}
	}
}

func TestCreateAnchor(t *testing.T) {
	dir := t.TempDir()
	for _, bad := range [][]byte{nil, {}, make([]byte, MaxBody+1)} {
		if err := CreateAnchor(dir, bad); err == nil {
			t.Errorf("CreateAnchor with %d bytes succeeded", len(bad))
		}
	}
	if err := CreateAnchor(filepath.Join(dir, "not", "there"), body(0)); err == nil {
		t.Error("CreateAnchor in a missing directory succeeded")
	}
	sys := &faulty{}
	if err := createAnchor(dir, body(0), sys); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, anchorName)
	last := -1
	for _, call := range []string{"write " + dir, "fsync " + dir, "name " + path, "dirsync " + dir} {
		if at := sys.position(call); at < last || at < 0 {
			t.Errorf("%q at %d, not after %d: %q", call, at, last, sys.calls)
		} else {
			last = at
		}
	}
	if err := CreateAnchor(dir, body(1)); !errors.Is(err, notary.ErrExists) {
		t.Errorf("CreateAnchor again: %v, want ErrExists", err)
	}
	if left := files(t, dir); len(left) != 1 {
		t.Errorf("left behind: %v", left)
	}
	a := openAnchor(t, dir)
	if got, err := a.Load(t.Context()); err != nil || !bytes.Equal(got, body(0)) {
		t.Errorf("Load = %q, %v", got, err)
	}
}

func TestCreateAnchorEachCallFails(t *testing.T) {
	for _, op := range []string{"create", "write", "fsync", "opendir", "name", "dirsync"} {
		for i, errno := range []syscall.Errno{unix.EIO, unix.ENOSPC, unix.EIO, unix.ENOSPC} {
			dir := t.TempDir()
			sys := &faulty{named: i > 1, fail: func(o string, n int) error {
				if o == op && n == 1 {
					return errno
				}
				return nil
			}}
			if err := createAnchor(dir, body(0), sys); !errors.Is(err, errno) {
				t.Errorf("%s: %v, want %v", op, err, errno)
			}
			left := files(t, dir)
			if op != "dirsync" && len(left) != 0 {
				t.Errorf("%s: left behind: %v", op, left)
			}
			if op == "dirsync" && len(left) != 1 {
				t.Errorf("%s: %v, want the anchor", op, left)
			}
		}
	}
}

func body(n int) []byte { return fmt.Appendf(nil, "example.org/log\n%d\n%044d\n", n, n) }

func BenchmarkAnchorAdvance(b *testing.B) {
	dir := b.TempDir()
	if err := CreateAnchor(dir, body(0)); err != nil {
		b.Fatal(err)
	}
	a := openAnchor(b, dir)
	prev := body(0)
	for i := 0; b.Loop(); i++ {
		next := body(i + 1)
		if err := a.Advance(b.Context(), prev, next); err != nil {
			b.Fatal(err)
		}
		prev = next
	}
}
