package client

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/muniment/muniment/proofs"
)

func openMirror(t testing.TB, dir string) *Mirror {
	t.Helper()
	m, err := OpenMirror(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

// fillFrom fills a mirror up to the log's size.
func (l *testLog) fillFrom(ctx context.Context, c *Client, m *Mirror) error {
	cp := l.checkpoint(l.tree.Size())
	return m.Fill(ctx, signed(l.t, cp), cp, Filling{From: c, Parallel: 4})
}

// tree is every file of a mirror that others read, by path.
func filesOf(t testing.TB, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			if e != nil && e.Name() == mirrorFolder {
				return fs.SkipDir
			}
			return err
		}
		data, err := os.ReadFile(path)
		out[strings.TrimPrefix(path, dir)] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// mirrorSizes are around the edges of tiles of the first three levels.
var mirrorSizes = []uint64{1, 2, 255, 256, 257, 511, 512, 513, 700, 65535, 65536, 65537, 65536 + 700}

// TestMirror: a log that grows is mirrored at each size, and a web server that shows the
// folder shows the log: another mirror made of it is, file by file, the same.
func TestMirror(t *testing.T) {
	l := newTestLog(t)
	c, _ := serve(t, l)
	dir := t.TempDir()
	m := openMirror(t, dir)
	static := httptest.NewServer(http.StripPrefix("/some/log", http.FileServer(http.Dir(dir))))
	defer static.Close()
	stranger := &Client{Log: static.URL + "/some/log", Verifier: verifier()}
	for _, size := range mirrorSizes {
		l.grow(size)
		if err := l.fillFrom(t.Context(), c, m); err != nil {
			t.Fatalf("%d: %v", size, err)
		}
		if m.Size() != size || m.Have() != size-size%256 || len(m.Breaches()) > 0 || !m.Last().Equal(time.UnixMilli(1e12)) {
			t.Fatalf("%d: size %d, have %d, %v, %v", size, m.Size(), m.Have(), m.Breaches(), m.Last())
		}
		note, err := stranger.Checkpoint(t.Context())
		if err != nil || !bytes.Equal(note, m.Checkpoint()) {
			t.Fatalf("%d: %v", size, err)
		}
		for _, index := range []uint64{0, size / 2, size - 1} {
			if e, err := m.Entry(index); err != nil || e != l.entries[index] {
				t.Errorf("entry %d of %d: %v", index, size, err)
			}
		}
		if _, err := m.Entry(size); err == nil {
			t.Errorf("entry %d of %d", size, size)
		}
		fresh := filepath.Join(t.TempDir(), "fresh")
		again := openMirror(t, fresh)
		if err := l.fillFrom(t.Context(), stranger, again); err != nil {
			t.Fatalf("%d, of the mirror: %v", size, err)
		}
		here := filesOf(t, dir)
		for path, data := range filesOf(t, fresh) {
			if here[path] != data {
				t.Errorf("%d: %s is not the same", size, path)
			}
		}
	}
	for path := range filesOf(t, dir) {
		if base, _, partial := strings.Cut(path, ".p/"); partial {
			if _, err := os.Stat(filepath.Join(dir, base)); err == nil {
				t.Errorf("%s stays, and is full", path)
			}
		}
	}
	if _, err := OpenMirror(dir); !errors.Is(err, ErrMirrorInUse) {
		t.Errorf("opened twice: %v", err)
	}
}

// TestMirrorOfLiars: whatever a server does to a piece of the log, nothing of it is
// believed, the piece is named, and an honest server completes the mirror.
func TestMirrorOfLiars(t *testing.T) {
	const size = 65536 + 700
	l := newTestLog(t).grow(size)
	flip := func(at int) func([]byte) []byte {
		return func(b []byte) []byte { b[at] ^= 1; return b }
	}
	for what, c := range map[string]struct {
		at    string // the piece that is altered
		alter func([]byte) []byte
	}{
		"flipped entry":               {"tile/entries/007", flip(100)},
		"flipped entry at the edge":   {"tile/entries/258.p/188", flip(100)},
		"flipped tile of level 0":     {"tile/0/007", flip(0)},
		"flipped tile at the edge":    {"tile/0/258.p/188", flip(0)},
		"flipped tile of level 1":     {"tile/1/000", flip(8191)},
		"flipped edge of level 1":     {"tile/1/001.p/2", flip(0)},
		"flipped edge of level 2":     {"tile/2/000.p/1", flip(31)},
		"dropped entry":               {"tile/entries/100", func(b []byte) []byte { return b[2+binary.BigEndian.Uint16(b):] }},
		"swapped entries":             {"tile/entries/100", swapEntries},
		"swapped bundles":             {"tile/entries/100", func([]byte) []byte { return bundleOf(l, 101) }},
		"an entry more":               {"tile/entries/100", func(b []byte) []byte { return append(b, b[:2+binary.BigEndian.Uint16(b)]...) }},
		"truncated bundle":            {"tile/entries/100", func(b []byte) []byte { return b[:len(b)-1] }},
		"truncated tile":              {"tile/0/100", func(b []byte) []byte { return b[:len(b)-32] }},
		"half a hash":                 {"tile/0/100", func(b []byte) []byte { return b[:len(b)-16] }},
		"empty":                       {"tile/entries/100", func([]byte) []byte { return []byte{} }},
		"missing bundle":              {"tile/entries/100", func([]byte) []byte { return nil }},
		"missing tile":                {"tile/0/100", func([]byte) []byte { return nil }},
		"missing edge":                {"tile/0/258.p/188", func([]byte) []byte { return nil }},
		"endless bundle":              {"tile/entries/100", func(b []byte) []byte { return bytes.Repeat(b, 100) }},
		"endless tile":                {"tile/1/000", func(b []byte) []byte { return bytes.Repeat(b, 10_000) }},
		"another log's edge, in full": {"tile/0/258.p/188", func(b []byte) []byte { return make([]byte, len(b)) }},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { l.ServeHTTP(w, r) })
			liar := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if !strings.HasPrefix(r.URL.Path, "/log/"+c.at) {
					h.ServeHTTP(w, r)
					return
				}
				l.mu.Lock()
				data, ok := l.piece(strings.TrimPrefix(r.URL.Path, "/log/tile/"))
				l.mu.Unlock()
				if ok && r.URL.Path == "/log/"+c.at {
					data = c.alter(data)
				}
				if data == nil {
					http.NotFound(w, r)
					return
				}
				w.Write(data)
			})
			from, _ := serve(t, liar)
			dir := t.TempDir()
			m := openMirror(t, dir)
			cp := l.checkpointOf(size)
			err := m.Fill(t.Context(), signed(t, cp), cp, Filling{From: from, Parallel: 4})
			var p *PieceError
			if !errors.As(err, &p) {
				t.Fatalf("%v", err)
			}
			if p.Path != c.at && p.Path != "tile/" { // of the edge, only all of it can be told
				t.Errorf("%s is blamed", p.Path)
			}
			if m.Checkpoint() != nil || m.Size() != 0 {
				t.Error("it is believed")
			}
			honest, _ := serve(t, h)
			if err := m.Fill(t.Context(), signed(t, cp), cp, Filling{From: honest}); err != nil {
				t.Fatalf("and then: %v", err)
			}
			if e, err := m.Entry(25700); err != nil || e != l.entries[25700] {
				t.Errorf("%v", err)
			}
		})
	}
}

// checkpointOf is checkpoint for tests that run beside each other.
func (l *testLog) checkpointOf(size uint64) proofs.Checkpoint {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.checkpoint(size)
}

func bundleOf(l *testLog, index int) []byte {
	data, _ := l.piece("entries/" + strings.TrimPrefix(tilePath("entries", uint64(index), 256), "/log/tile/entries/"))
	return data
}

// swapEntries exchanges the first two entries of a bundle, which are of one length.
func swapEntries(b []byte) []byte {
	n := 2 + int(binary.BigEndian.Uint16(b))
	return append(append(bytes.Clone(b[n:2*n]), b[:n]...), b[2*n:]...)
}

// TestMirrorOfAnotherLog: a checkpoint that others' tiles do not lead to is not
// completed by them, not even where the mirror has most of them already.
func TestMirrorOfAnotherLog(t *testing.T) {
	l := newTestLog(t).grow(600)
	c, _ := serve(t, l)
	m := openMirror(t, t.TempDir())
	if err := l.fillFrom(t.Context(), c, m); err != nil {
		t.Fatal(err)
	}
	for _, change := range []func(*proofs.Checkpoint){
		func(cp *proofs.Checkpoint) { cp.Root[0]++ },
		func(cp *proofs.Checkpoint) { cp.Origin = "other.test/dev/1" },
		func(cp *proofs.Checkpoint) { cp.Size = 599 },
		func(cp *proofs.Checkpoint) { cp.Size = 1 << 63 },
	} {
		cp := l.checkpoint(600)
		change(&cp)
		if err := m.Fill(t.Context(), signed(t, l.checkpoint(600)), cp, Filling{From: c}); err == nil {
			t.Errorf("filled up to %+v", cp)
		}
	}
	if m.Size() != 600 {
		t.Errorf("%d", m.Size())
	}
}

// TestMirrorStopped: stopped after any number of answers, and with whatever a power
// failure leaves of files that were not durable yet, it goes on and comes to the same.
func TestMirrorStopped(t *testing.T) {
	const size = 65536 + 700
	l := newTestLog(t).grow(size)
	var left atomic.Int64
	var stop context.CancelFunc
	c, _ := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if left.Add(-1) == 0 {
			stop()
		}
		l.ServeHTTP(w, r)
	}))
	whole := t.TempDir()
	left.Store(1 << 40)
	if err := l.fillFrom(t.Context(), c, openMirror(t, whole)); err != nil {
		t.Fatal(err)
	}
	want := filesOf(t, whole)
	random := rand.New(rand.NewPCG(1, 2))
	for range 3 {
		dir := t.TempDir()
		for stops := 0; ; stops++ {
			m, err := OpenMirror(dir)
			if err != nil {
				t.Fatal(err)
			}
			var ctx context.Context
			ctx, stop = context.WithCancel(t.Context())
			left.Store(random.Int64N(400) + 1)
			err = l.fillFrom(ctx, c, m)
			stop()
			m.Close()
			if err == nil {
				break
			}
			if !errors.Is(err, context.Canceled) || stops > 100 {
				t.Fatalf("after %d stops: %v", stops, err)
			}
			tear(t, random, dir, m.Have())
		}
		got := filesOf(t, dir)
		if len(got) != len(want) {
			t.Errorf("%d files, want %d", len(got), len(want))
		}
		for path, data := range want {
			if got[path] != data {
				t.Errorf("%s is another", path)
			}
		}
	}
}

// tear does to some files that are not known to be durable what a power failure does.
func tear(t *testing.T, random *rand.Rand, dir string, durable uint64) {
	for path, data := range filesOf(t, dir) {
		path = filepath.Join(dir, path)
		bundle := uint64(0)
		for _, digits := range strings.Split(strings.TrimPrefix(filepath.ToSlash(path), dir), "/") {
			for _, d := range strings.TrimPrefix(digits, "x") {
				if d >= '0' && d <= '9' {
					bundle = bundle*10 + uint64(d-'0')
				}
			}
		}
		if !strings.Contains(path, "/tile/entries/") && !strings.Contains(path, "/tile/0/") || bundle*256 < durable || random.IntN(3) > 0 {
			continue
		}
		torn := map[int][]byte{0: {}, 1: []byte(data[:len(data)/2]), 2: make([]byte, len(data))}[random.IntN(3)]
		if err := os.WriteFile(path, torn, 0o666); err != nil {
			t.Fatal(err)
		}
	}
}

// TestMirrorDamaged: what rots on disk is found, named when nothing can be fetched, and
// mended when it can.
func TestMirrorDamaged(t *testing.T) {
	l := newTestLog(t).grow(65536 + 700)
	c, _ := serve(t, l)
	dir := t.TempDir()
	m := openMirror(t, dir)
	if err := l.fillFrom(t.Context(), c, m); err != nil {
		t.Fatal(err)
	}
	cp := l.checkpoint(l.tree.Size())
	for _, path := range []string{"tile/entries/003", "tile/0/003", "tile/1/000", "tile/entries/258.p/188", "tile/0/258.p/188", "tile/1/001.p/2", "tile/2/000.p/1"} {
		for _, damage := range []func(string) error{
			os.Remove,
			func(path string) error { return os.Truncate(path, 7) },
			func(path string) error {
				data, err := os.ReadFile(path)
				data[len(data)/2] ^= 1
				return errors.Join(err, os.WriteFile(path, data, 0o666))
			},
		} {
			if err := damage(filepath.Join(dir, path)); err != nil {
				t.Fatal(err)
			}
			var p *PieceError
			if err := m.Fill(t.Context(), m.Checkpoint(), cp, Filling{Again: true}); !errors.As(err, &p) || p.Path != path && p.Path != "tile/" {
				t.Errorf("%s: %v", path, err)
			}
			if err := m.Fill(t.Context(), m.Checkpoint(), cp, Filling{From: c, Again: true}); err != nil {
				t.Errorf("%s: %v", path, err)
			}
			if err := m.Fill(t.Context(), m.Checkpoint(), cp, Filling{Again: true}); err != nil {
				t.Errorf("%s, mended: %v", path, err)
			}
		}
	}
}

// TestMirrorBreaches: what a log signs against its own rules is told, once, whichever way
// the mirror came there.
func TestMirrorBreaches(t *testing.T) {
	raw := func(l *testLog, text string) {
		l.entries = append(l.entries, text)
		l.tree.Append(proofs.LeafHash([]byte(text)), func(height int, h proofs.Hash) {
			if height%proofs.TileHeight == 0 {
				l.levels[height/proofs.TileHeight] = append(l.levels[height/proofs.TileHeight], h)
			}
		})
	}
	early := proofs.Entry{Kind: proofs.KindDeposit, Time: time.UnixMilli(1e12 - 1)}
	l := newTestLog(t).grow(100)
	raw(l, "no entry")
	l.append(proofs.Entry{Kind: proofs.KindGenesis, Time: time.UnixMilli(1e12)})
	l.append(early)
	l.grow(256)
	l.append(early) // the first of its bundle
	c, _ := serve(t, l)
	want := []Breach{{100, BreachMalformed}, {101, BreachGenesis}, {102, BreachTime}, {256, BreachTime}}
	dir := t.TempDir()
	for range 3 {
		m, err := OpenMirror(dir)
		if err != nil {
			t.Fatal(err)
		}
		if err := l.fillFrom(t.Context(), c, m); err != nil {
			t.Fatal(err)
		}
		if got := m.Breaches(); !equalBreaches(got, want) {
			t.Errorf("%v", got)
		}
		l.grow(l.tree.Size() + 300)
		m.Close()
	}
	first := &testLog{t: t, made: map[tileName]*proofs.Tile{}}
	raw(first, early.String())
	c, _ = serve(t, first)
	m := openMirror(t, t.TempDir())
	if err := first.fillFrom(t.Context(), c, m); err != nil || !equalBreaches(m.Breaches(), []Breach{{0, BreachGenesis}}) {
		t.Errorf("%v, %v", err, m.Breaches())
	}
}

func equalBreaches(a, b []Breach) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// TestMirrorOfSlowLog: a server that gives a byte now and then is given up, and is no
// proof of anything.
func TestMirrorOfSlowLog(t *testing.T) {
	l := newTestLog(t).grow(600)
	c, _ := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.Contains(r.URL.Path, "entries") {
			l.ServeHTTP(w, r)
			return
		}
		for r.Context().Err() == nil {
			w.Write([]byte{0})
			w.(http.Flusher).Flush()
			time.Sleep(time.Millisecond)
		}
	}))
	c.Patience = 50 * time.Millisecond
	m := openMirror(t, t.TempDir())
	var p *PieceError
	if err := l.fillFrom(t.Context(), c, m); err == nil || errors.As(err, &p) || m.Size() != 0 {
		t.Errorf("%v", err)
	}
}

// TestMirrorRemembers: what was believed outlives the process, and a state that cannot be
// read is not taken for an empty one.
func TestMirrorRemembers(t *testing.T) {
	l := newTestLog(t).grow(10)
	dir := t.TempDir()
	m := openMirror(t, dir)
	if note, err := m.Newest(); note != nil || err != nil {
		t.Errorf("%q, %v", note, err)
	}
	note := signed(t, l.checkpoint(10))
	at := time.UnixMilli(1e12)
	since, err := m.Behind(true, at)
	if err := errors.Join(err, m.Remember(note)); err != nil || !since.Equal(at) {
		t.Fatal(err, since)
	}
	m.Close()
	m = openMirror(t, dir)
	if got, err := m.Newest(); err != nil || !bytes.Equal(got, note) {
		t.Errorf("%q, %v", got, err)
	}
	if since, err := m.Behind(true, at.Add(time.Hour)); err != nil || !since.Equal(at) {
		t.Errorf("%v, %v", since, err)
	}
	if since, err := m.Behind(false, at); err != nil || !since.IsZero() {
		t.Errorf("%v, %v", since, err)
	}
	m.Close()
	for _, file := range []string{".mirror/state.json", "checkpoint"} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte("{"), 0o666); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenMirror(dir); !errors.Is(err, ErrMirror) {
			t.Errorf("%s: %v", file, err)
		}
		os.Remove(filepath.Join(dir, file))
	}
}
