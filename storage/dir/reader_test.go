package dir

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/muniment/muniment/notary"
)

// TestReader reads beside the owner of a store, and makes nothing where nothing is.
func TestReader(t *testing.T) {
	root := t.TempDir()
	b, err := OpenBlobs(Config{Dir: root})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	name := "01a2070d-4e2f-7d00-87c7-be68003ebf3d/01a2070d-4e2f-7d00-87c7-be68003ebf3e"
	content := bytes.Repeat([]byte("contract"), 10_000)
	if _, err := b.Put(t.Context(), name, bytes.NewReader(content)); err != nil {
		t.Fatal(err)
	}
	r := NewReader(root)
	o, err := r.Open(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	got, err := io.ReadAll(io.NewSectionReader(o, 0, o.Size()))
	if err != nil || !bytes.Equal(got, content) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	for _, name := range []string{"01a2070d-4e2f-7d00-87c7-be68003ebf3d/01a2070d-4e2f-7d00-87c7-be68003ebf3f", "../x", "tmp", ""} {
		if _, err := r.Open(t.Context(), name); !errors.Is(err, notary.ErrNotFound) {
			t.Errorf("%q: %v", name, err)
		}
	}
	if _, err := NewReader(filepath.Join(root, "none")).Open(t.Context(), name); !errors.Is(err, notary.ErrNotFound) {
		t.Errorf("in a directory that is not there: %v", err)
	}
}

// TestReadAnchor reads the newest body beside the owner, and of what remains of a file
// with a torn slot; a file that is no anchor is an error and never an empty body.
func TestReadAnchor(t *testing.T) {
	root := t.TempDir()
	if err := CreateAnchor(root, []byte("one")); err != nil {
		t.Fatal(err)
	}
	a, err := OpenAnchor(root)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	if err := a.Advance(t.Context(), []byte("one"), []byte("two")); err != nil {
		t.Fatal(err)
	}
	path := AnchorPath(root)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	reads := func(name string, data []byte, want string) {
		t.Helper()
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, data, 0o400); err != nil {
			t.Fatal(err)
		}
		got, err := ReadAnchor(path)
		if string(got) != want || (err != nil) != (want == "") {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	if got, err := ReadAnchor(path); err != nil || string(got) != "two" {
		t.Errorf("beside its owner: %q, %v", got, err)
	}
	reads("copy", data, "two")
	for _, at := range []int{100, slotSize + 100} {
		torn := bytes.Clone(data)
		torn[at] ^= 1
		reads("torn", torn, "two")
	}
	torn := bytes.Clone(data)
	torn[100], torn[slotSize+100] = 1, 1
	reads("rotten", torn, "")
	reads("short", data[:slotSize], "")
	reads("empty", nil, "")
	if _, err := ReadAnchor(filepath.Join(root, "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("none: %v", err)
	}
}
