package pebble

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/storage/storagetest"
)

// TestErasedBytes: after an erasure no file of the ledger holds a byte of the wrapped key or
// of the sealed record, whether they stood in the write-ahead log, in a table, or in a log
// that waits to be used again; and a crash at once changes nothing.
func TestErasedBytes(t *testing.T) {
	dir := t.TempDir()
	l, err := Open(t.Context(), Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	log := storagetest.NewLog()
	tenant := notary.ID{1}
	add := func(rows int) {
		t.Helper()
		var specs []storagetest.Spec
		for i := range rows {
			specs = append(specs, storagetest.Spec{Tenant: tenant, Terms: []notary.Term{{byte(i), byte(i >> 8)}}})
		}
		b := log.Batch(specs...)
		for i := range b.Rows { // bytes that no compression hides
			b.Rows[i].Body, b.Rows[i].Secrets = make([]byte, 64), make([]byte, 64)
			rand.Read(b.Rows[i].Body)
			rand.Read(b.Rows[i].Secrets)
		}
		if err := l.Append(t.Context(), notary.Lookups{}, func(notary.State) (*notary.Batch, error) { return b, nil }); err != nil {
			t.Fatal(err)
		}
		log.Took(b)
	}
	erase := func(index uint64) {
		t.Helper()
		row, err := l.Row(t.Context(), index)
		if err != nil {
			t.Fatal(err)
		}
		if holding(t, dir, row.Secrets[:16]) == "" || holding(t, dir, row.Body[:16]) == "" {
			t.Fatalf("entry %d cannot be seen in the files before: the test proves nothing", index)
		}
		if err := l.Erase(t.Context(), notary.Erasure{Tenant: tenant, Index: index, Terms: log.Terms[index]}); err != nil {
			t.Fatal(err)
		}
		var left string
		for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
			if left = holding(t, dir, row.Secrets[:16], row.Body[:16]); left == "" {
				return
			}
		}
		t.Errorf("entry %d: %s", index, left)
	}
	add(500)
	erase(250) // from the log that is being written
	add(500)
	if err := l.guarded(l.db.Flush); err != nil {
		t.Fatal(err)
	}
	add(500)
	erase(700) // from a table, and from a log that was written before
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if l, err = Open(t.Context(), Config{Dir: dir}); err != nil {
		t.Fatal(err)
	}
	erase(3)
	// From a log whose file is used again for the one that is written when it is erased.
	add(300)
	last := log.Head.Size - 1
	for range 2 {
		if err := l.guarded(l.db.Flush); err != nil {
			t.Fatal(err)
		}
	}
	erase(last)
	add(200) // into a log that may be one that was overwritten
	killed := t.TempDir()
	if err := os.CopyFS(filepath.Join(killed, "copy"), os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	again, err := Open(t.Context(), Config{Dir: filepath.Join(killed, "copy")})
	if err != nil {
		t.Fatal(err)
	}
	for _, index := range []uint64{3, 250, 700, last} {
		if row, err := again.Row(t.Context(), index); err != nil || len(row.Secrets)+len(row.Body) > 0 {
			t.Errorf("after a crash entry %d has %d and %d bytes, %v", index, len(row.Secrets), len(row.Body), err)
		}
	}
	if head, err := again.Head(t.Context()); err != nil || head != log.Head {
		t.Errorf("after a crash the head is %+v, want %+v, %v", head, log.Head, err)
	}
	for _, open := range []*Ledger{again, l} {
		if err := open.Close(); err != nil {
			t.Error(err)
		}
	}
}

// holding names a file below dir that holds one of the texts; empty: none does.
func holding(t *testing.T, dir string, texts ...[]byte) (left string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			if os.IsNotExist(err) {
				return nil
			}
			return err
		}
		data, err := os.ReadFile(path)
		if os.IsNotExist(err) {
			return nil
		}
		for _, text := range texts {
			if bytes.Contains(data, text) {
				left = fmt.Sprintf("%s holds %x", strings.TrimPrefix(path, dir), text)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return left
}
