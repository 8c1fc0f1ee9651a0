package client

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/muniment/muniment/proofs"
)

func TestTilePath(t *testing.T) {
	for want, c := range map[string]struct {
		level string
		index uint64
		width int
	}{
		"/log/tile/0/000":                     {"0", 0, 256},
		"/log/tile/0/000.p/1":                 {"0", 0, 1},
		"/log/tile/1/999":                     {"1", 999, 256},
		"/log/tile/0/x001/000.p/255":          {"0", 1000, 255},
		"/log/tile/entries/x001/x234/067":     {"entries", 1234067, 256},
		"/log/tile/2/x001/x000/x000/000.p/17": {"2", 1e9, 17},
	} {
		if got := tilePath(c.level, c.index, c.width); got != want {
			t.Errorf("%s instead of %s", got, want)
		}
	}
}

// TestProofsFromTiles: every proof of small logs, and those around the edges of tiles,
// can be made of what is served, and holds.
func TestProofsFromTiles(t *testing.T) {
	sizes := []uint64{1, 2, 3, 7, 8, 255, 256, 257, 511, 512, 513, 600}
	l := newTestLog(t).grow(700)
	c, _ := serve(t, l)
	for _, size := range sizes {
		cp := l.checkpoint(size)
		for index := uint64(0); index < size; index += max(1, size/5) {
			e, err := c.Entry(t.Context(), index, size)
			if err != nil || e.String() != l.entries[index] {
				t.Fatalf("entry %d of %d: %v", index, size, err)
			}
			if err := c.Included(t.Context(), e.LeafHash(), index, cp); err != nil {
				t.Errorf("entry %d of %d: %v", index, size, err)
			}
			if err := c.Included(t.Context(), proofs.Hash{9}, index, cp); !errors.Is(err, ErrLog) {
				t.Errorf("another entry %d of %d: %v", index, size, err)
			}
		}
		for _, older := range append(sizes, 0) {
			if older > size {
				continue
			}
			before := l.checkpoint(older)
			if err := c.Consistent(t.Context(), before, cp); err != nil {
				t.Errorf("%d to %d: %v", older, size, err)
			}
			before.Root[31]++
			if err := c.Consistent(t.Context(), before, cp); !errors.Is(err, ErrLog) {
				t.Errorf("another %d to %d: %v", older, size, err)
			}
		}
	}
}

// TestInconsistentLogs: what must be called a log that is not to be believed.
func TestInconsistentLogs(t *testing.T) {
	l := newTestLog(t).grow(300)
	c, _ := serve(t, l)
	old, now := l.checkpoint(200), l.checkpoint(300)
	for what, pair := range map[string][2]proofs.Checkpoint{
		"shrank":  {now, old},
		"two":     {old, {Origin: "other.test/dev/1", Size: 300, Root: now.Root}},
		"forked":  {{Origin: origin, Size: 200, Root: now.Root}, now},
		"grown":   {old, {Origin: origin, Size: 300, Root: old.Root}},
		"changed": {now, {Origin: origin, Size: 300, Root: old.Root}},
	} {
		if err := c.Consistent(t.Context(), pair[0], pair[1]); !errors.Is(err, ErrLog) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for _, in := range []struct{ index, size uint64 }{{0, 0}, {5, 5}, {1 << 62, 1 << 62}, {0, 1 << 63}} {
		if _, err := c.Entry(t.Context(), in.index, in.size); err == nil {
			t.Errorf("entry %d of %d", in.index, in.size)
		}
		if err := c.Included(t.Context(), proofs.Hash{}, in.index, proofs.Checkpoint{Origin: origin, Size: in.size}); err == nil {
			t.Errorf("entry %d is in %d", in.index, in.size)
		}
	}
}

// TestAlteredTiles: no other bytes in a tile prove anything, and ones of another length
// are not even a tile.
func TestAlteredTiles(t *testing.T) {
	l := newTestLog(t).grow(300)
	c, _ := serve(t, l)
	leaf := proofs.LeafHash([]byte(l.entries[260]))
	cp := l.checkpoint(300)
	for what, alter := range map[string]func([]byte) []byte{
		"a bit":         func(b []byte) []byte { b[0] ^= 1; return b },
		"a byte less":   func(b []byte) []byte { return b[1:] },
		"a hash less":   func(b []byte) []byte { return b[32:] },
		"a hash more":   func(b []byte) []byte { return append(b, b[:32]...) },
		"nothing":       func([]byte) []byte { return []byte{} },
		"without end":   func([]byte) []byte { return make([]byte, 1<<20) },
		"another":       func([]byte) []byte { return proofs.NewTile(l.levels[0][256:300]).Marshal() },
		"hashes turned": func(b []byte) []byte { return append(b[32:], b[:32]...) },
	} {
		l.tile = func(path string, data []byte) []byte {
			if !strings.HasPrefix(path, "tile/1/") || data == nil {
				return data
			}
			return alter(data)
		}
		if err := c.Included(t.Context(), leaf, 260, cp); !errors.Is(err, ErrLog) && !errors.Is(err, ErrAnswer) {
			if what != "hashes turned" { // one hash, turned, is itself
				t.Errorf("%s in level 1: %v", what, err)
			}
		}
		l.tile = func(path string, data []byte) []byte {
			if !strings.HasPrefix(path, "tile/0/") || data == nil {
				return data
			}
			return alter(data)
		}
		if err := c.Consistent(t.Context(), l.checkpoint(200), cp); !errors.Is(err, ErrLog) && !errors.Is(err, ErrAnswer) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestAlteredEntries(t *testing.T) {
	l := newTestLog(t).grow(300)
	c, _ := serve(t, l)
	for what, alter := range map[string]func([]byte) []byte{
		"a byte less":        func(b []byte) []byte { return b[:len(b)-1] },
		"a byte more":        func(b []byte) []byte { return append(b, 0) },
		"an entry more":      func(b []byte) []byte { return append(b, b[:2+binary.BigEndian.Uint16(b)]...) },
		"an entry less":      func(b []byte) []byte { return b[2+binary.BigEndian.Uint16(b):] },
		"a length too great": func(b []byte) []byte { b[0] = 0xff; return b },
		"nothing":            func([]byte) []byte { return []byte{} },
		"no entry":           func(b []byte) []byte { return bytes.ReplaceAll(b, []byte("time"), []byte("emit")) },
		"without end":        func(b []byte) []byte { return bytes.Repeat(b, 100) },
	} {
		l.tile = func(_ string, data []byte) []byte { return alter(data) }
		if _, err := c.Entry(t.Context(), 299, 300); !errors.Is(err, ErrAnswer) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// TestFullTilesAreKept: they are fetched once, and the least used goes first. Partial
// ones are not kept: they grow.
func TestFullTilesAreKept(t *testing.T) {
	l := newTestLog(t).grow(600)
	c, _ := serve(t, l)
	r := c.Tiles(t.Context())
	read := func(index uint64, width int) {
		t.Helper()
		tile, err := r.ReadTile(0, index, width)
		if err != nil || tile.Width() < width {
			t.Fatalf("tile %d: %v", index, err)
		}
	}
	read(0, 256)
	read(0, 256)
	read(0, 17) // the full one has them
	read(2, 88)
	read(2, 80)
	if want := []string{"tile/0/000", "tile/0/002.p/88", "tile/0/002.p/80"}; !slices.Equal(l.paths, want) {
		t.Errorf("%q", l.paths)
	}
	k := r.(*tiles)
	for i := range uint64(keptTiles) {
		k.keep(tileName{1, i}, proofs.NewTile(nil))
		k.recall(tileName{0, 0})
	}
	if k.recall(tileName{0, 0}) == nil || k.recall(tileName{1, 0}) != nil || len(k.kept) != keptTiles || k.used.Len() != keptTiles {
		t.Errorf("%d tiles are kept", len(k.kept))
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() { read(1, 256) })
	}
	wg.Wait()
}

// TestPartialTilesThatAreGone: a mirror may keep full tiles alone.
func TestPartialTilesThatAreGone(t *testing.T) {
	l := newTestLog(t).grow(600)
	c, _ := serve(t, l)
	l.tile = func(path string, data []byte) []byte {
		if strings.Contains(path, ".p/") && !strings.Contains(path, "/002") && !strings.Contains(path, "/1/") {
			return nil
		}
		return data
	}
	if err := c.Consistent(t.Context(), l.checkpoint(100), l.checkpoint(300)); err != nil {
		t.Error(err)
	}
	if e, err := c.Entry(t.Context(), 299, 300); err != nil || e.String() != l.entries[299] {
		t.Error(err)
	}
	l.tile = func(string, []byte) []byte { return nil }
	var p *Problem
	if _, err := c.Tiles(t.Context()).ReadTile(0, 1, 3); !errors.As(err, &p) || p.Type != ProblemNotFound {
		t.Errorf("%v", err)
	}
	for _, bad := range []struct{ level, width int }{{-1, 1}, {8, 1}, {0, 0}, {0, 257}} {
		if _, err := c.Tiles(t.Context()).ReadTile(bad.level, 0, bad.width); err == nil {
			t.Errorf("%+v was read", bad)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Tiles(ctx).ReadTile(0, 0, 256); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

func TestCheckpoint(t *testing.T) {
	l := newTestLog(t).grow(5)
	good := signed(t, l.checkpoint(5))
	send := good
	c, _ := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/log/checkpoint" {
			t.Errorf("%s", r.URL)
		}
		w.Write(send)
	}))
	if note, err := c.Checkpoint(t.Context()); err != nil || !bytes.Equal(note, good) {
		t.Errorf("%v", err)
	}
	p, err := proofs.ParsePolicy([]byte("log " + logKey().String() + "\nquorum none\n"))
	if err != nil {
		t.Fatal(err)
	}
	strict := c.Verifier
	for what, in := range map[string]struct {
		send       []byte
		verifier   *proofs.Verifier
		want       error
		wantBlind  error
		describing string
	}{
		"another's":    {anothersNote(l), strict, ErrLog, nil, "log-signature"},
		"another root": {bytes.Replace(good, []byte("\n5\n"), []byte("\n6\n"), 1), strict, ErrLog, nil, "log-signature"},
		"found policy": {good, proofs.NewFoundVerifier(p), ErrLog, nil, "policy-found"},
		"no note":      {[]byte("<html>\n"), strict, ErrAnswer, ErrAnswer, ""},
		"nothing":      {nil, strict, ErrAnswer, ErrAnswer, ""},
		"without end":  {bytes.Repeat(good, 1000), strict, ErrAnswer, ErrAnswer, ""},
		"unsigned":     {[]byte(l.checkpoint(5).String()), strict, ErrAnswer, ErrAnswer, ""},
	} {
		send, c.Verifier = in.send, in.verifier
		if _, err := c.Checkpoint(t.Context()); !errors.Is(err, in.want) || !strings.Contains(fmt.Sprint(err), in.describing) {
			t.Errorf("%s: %v", what, err)
		}
		c.Verifier = nil
		if _, err := c.Checkpoint(t.Context()); !errors.Is(err, in.wantBlind) {
			t.Errorf("%s, without a policy: %v", what, err)
		}
	}
}
