package pebble

import (
	"errors"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	engine "github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/storage/storagetest"
)

// whole returns a crashable file system with the history in tables of several levels
// and, unless its ledger was closed, in the log.
func (h history) whole(t *testing.T, closed bool) *vfs.MemFS {
	t.Helper()
	mem := vfs.NewCrashableMem()
	l := mustOpen(t, small(mem))
	for n := range h {
		if err := h.append(t.Context(), l, n); err != nil {
			t.Fatal(err)
		}
		switch n {
		case len(h) / 4:
			if err := l.db.Compact(t.Context(), []byte{0}, []byte{0xff}, false); err != nil {
				t.Fatal(err)
			}
		case len(h) / 2:
			if err := l.db.Flush(); err != nil {
				t.Fatal(err)
			}
		}
	}
	crashed := mem.CrashClone(vfs.CrashCloneCfg{})
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if closed {
		return mem
	}
	return crashed
}

// TestFlippedBits flips single bits of every file of a ledger. It then refuses to
// open, or names what it cannot read, or holds the truth. One thing more is possible
// after a crash, and no ledger can tell: that the last batches are gone as if they had
// never been written (the end of the log looks torn). That is an older, true state, and
// it is the anchor that refuses it. A ledger that was closed has nothing in the log.
func TestFlippedBits(t *testing.T) {
	h := newHistory(12, 2000) // Pebble searches a damaged block for the flipped bit, at length
	t.Run("closed", func(t *testing.T) { h.flip(t, h.whole(t, true), true) })
	t.Run("crashed", func(t *testing.T) { h.flip(t, h.whole(t, false), false) })
}

func (h history) flip(t *testing.T, mem *vfs.MemFS, closed bool) {
	names, err := mem.List(dir)
	if err != nil {
		t.Fatal(err)
	}
	flips := 24
	if testing.Short() || racing {
		flips = 6
	}
	random := rand.New(rand.NewPCG(3, 3))
	for _, name := range names {
		path := mem.PathJoin(dir, name)
		info, err := mem.Stat(path)
		if err != nil || info.Size() == 0 || info.IsDir() {
			continue
		}
		counts := make(map[string]int)
		for range flips {
			at, bit := random.Int64N(info.Size()), byte(1)<<random.IntN(8)
			if size := info.Size(); random.IntN(3) == 0 {
				at = size - 1 - random.Int64N(min(size, 256)) // footers and ends of logs
			}
			clone := mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: random})
			data, err := clone.UnsafeGetFileDataBuffer(path)
			if err != nil {
				t.Fatal(err)
			}
			data[at] ^= bit
			verdict := h.judge(t, clone)
			counts[verdict]++
			if verdict == "older" && (closed || !strings.HasSuffix(name, ".log")) {
				t.Error("batches are gone")
			}
			if t.Failed() {
				t.Fatalf("%s, byte %d of %d, bit %08b", path, at, info.Size(), bit)
			}
		}
		t.Logf("%s: %v", name, counts)
	}
}

// judge says what became of a ledger with a flipped bit.
func (h history) judge(t *testing.T, fs vfs.FS) string {
	config := small(fs)
	config.Fatal = func(error) {}
	l, err := Open(t.Context(), config)
	if err != nil {
		return "refused to open"
	}
	defer func() { _ = l.Close() }()
	head, err := l.Head(t.Context())
	if err != nil {
		return "refused to read"
	}
	n := h.after(head.Size)
	if n < 0 {
		t.Errorf("a head of %d never was", head.Size)
		return "lied"
	}
	err = h.at(n).Check(t.Context(), l)
	switch {
	case errors.Is(err, storagetest.ErrDiffers):
		t.Errorf("false data: %.300v", err)
		return "lied"
	case err != nil:
		return "refused to read"
	case n < len(h):
		return "older"
	default:
		return "true"
	}
}

// TestFlippedValues flips bits of stored values behind the back of Pebble's own
// checksums. Every value but a tile hash, which is checked by recomputing it, is
// refused; so is a value under a key that is not its own, and one that is missing.
func TestFlippedValues(t *testing.T) {
	h := newHistory(3, 2000)
	l := mustOpen(t, small(vfs.NewMem()))
	for n := range h {
		if err := h.append(t.Context(), l, n); err != nil {
			t.Fatal(err)
		}
	}
	random := rand.New(rand.NewPCG(4, 4))
	seen := make(map[byte]bool)
	for _, kv := range contents(t, l) {
		table := kv.key[0]
		if table == tableHashes || table == tableByTenant || table == tableByTerm || string(kv.key) == string(keySchema) {
			continue
		}
		seen[table] = true
		for i := range 5 {
			value := slices.Clone(kv.value)
			if i == 0 {
				value = append(value, 0) // trailing byte
			} else {
				value[random.IntN(len(value))] ^= 1 << random.IntN(8)
			}
			h.refuses(t, l, kv.key, value)
		}
		if t.Failed() {
			t.Fatalf("key %q", kv.key)
		}
		put(t, l, kv.key, kv.value)
	}
	for _, table := range []byte{tableMeta, tableEntries, tableRows, tableSecrets, tableIDs, tableOperations, tableCases} {
		if !seen[table] {
			t.Errorf("table %c was not tried", table)
		}
	}
	other, err := l.get(l.db, indexKey(nil, tableRows, 1))
	if err != nil {
		t.Fatal(err)
	}
	h.refuses(t, l, indexKey(nil, tableRows, 0), sealed(indexKey(nil, tableRows, 1), other))
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}

// refuses: with the value in place, whoever reads it gets an error that says damage.
func (h history) refuses(t *testing.T, l *Ledger, key, value []byte) {
	t.Helper()
	put(t, l, key, value)
	view, err := l.newView()
	if err == nil {
		l.retire(view)
		err = h.at(len(h)).Check(t.Context(), l)
	}
	if !errors.Is(err, notary.ErrDamaged) {
		t.Errorf("a damaged value is no error: %.300v", err)
	}
}

type pair struct{ key, value []byte }

func contents(t *testing.T, l *Ledger) (pairs []pair) {
	t.Helper()
	it, err := l.db.NewIter(nil)
	if err != nil {
		t.Fatal(err)
	}
	for ok := it.First(); ok; ok = it.Next() {
		pairs = append(pairs, pair{slices.Clone(it.Key()), slices.Clone(it.Value())})
	}
	if err := errors.Join(it.Error(), it.Close()); err != nil {
		t.Fatal(err)
	}
	return pairs
}

func put(t *testing.T, l *Ledger, key, value []byte) {
	t.Helper()
	if err := l.db.Set(key, value, engine.NoSync); err != nil {
		t.Fatal(err)
	}
}

// TestMissingRows deletes rows that the head promises: damage, and not ErrNotFound.
func TestMissingRows(t *testing.T) {
	h := newHistory(3, 2000)
	l := mustOpen(t, small(vfs.NewMem()))
	for n := range h {
		if err := h.append(t.Context(), l, n); err != nil {
			t.Fatal(err)
		}
	}
	for _, key := range [][]byte{
		keyHead, indexKey(nil, tableEntries, 2), indexKey(nil, tableRows, 2), hashKey(nil, 0, 2),
	} {
		value, closer, err := l.db.Get(key)
		if err != nil {
			t.Fatal(err)
		}
		value = slices.Clone(value)
		if err := errors.Join(closer.Close(), l.db.Delete(key, engine.NoSync)); err != nil {
			t.Fatal(err)
		}
		view, err := l.newView()
		if err == nil {
			l.retire(view)
			err = h.at(len(h)).Check(t.Context(), l)
		}
		if !errors.Is(err, notary.ErrDamaged) {
			t.Errorf("without %q: %v", key, err)
		}
		put(t, l, key, value)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}

// TestRefusedToOpen: a directory that is not this program's ledger.
func TestRefusedToOpen(t *testing.T) {
	for name, c := range map[string]struct {
		key, value []byte
		want       string
	}{
		"newer schema":      {keySchema, sealed(keySchema, []byte{7: schemaVersion + 1}), "newer than this program's"},
		"damaged schema":    {keySchema, []byte{1, 2, 3}, "damaged"},
		"no schema":         {keySchema, nil, "not a ledger"},
		"no head":           {keyHead, nil, "there is no head"},
		"damaged published": {keyPublished, sealed(keyPublished, []byte{1}), "damaged"},
	} {
		mem := vfs.NewMem()
		l := mustOpen(t, small(mem))
		put(t, l, c.key, c.value)
		if c.value == nil {
			if err := l.db.Delete(c.key, engine.NoSync); err != nil {
				t.Fatal(err)
			}
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		for range 2 { // and it does not stay locked
			_, err := Open(t.Context(), small(mem))
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), dir) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// TestSecondOpen: one directory has one ledger, by whatever name it is opened.
func TestSecondOpen(t *testing.T) {
	parent := t.TempDir()
	real, alias := filepath.Join(parent, "real"), filepath.Join(parent, "alias")
	symlink(t, real, alias)
	l := mustOpen(t, Config{Dir: real})
	for _, name := range []string{real, alias, filepath.Join(parent, "x", "..", "real")} {
		_, err := Open(t.Context(), Config{Dir: name})
		if err == nil || !strings.Contains(err.Error(), "in use") || !strings.Contains(err.Error(), name) {
			t.Errorf("second open as %s: %v", name, err)
		}
	}
	if out := openElsewhere(t, real); !strings.Contains(out, "in use") || !strings.Contains(out, real) {
		t.Errorf("second process: %s", out)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if out := openElsewhere(t, real); !strings.Contains(out, "opened") {
		t.Errorf("second process after close: %s", out)
	}
	l = mustOpen(t, Config{Dir: alias})
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); !errors.Is(err, errClosed) {
		t.Errorf("second close: %v", err)
	}
	refusesAll(t, l)
}
