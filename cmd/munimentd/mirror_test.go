package main

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/muniment/muniment/notary"
)

// TestMirrors reads a mirror from a folder and from a server that fails now and then: full
// bundles, the partial one at the end, and nothing beyond it.
func TestMirrors(t *testing.T) {
	dir := t.TempDir()
	const size = 256 + 256 + 7
	for first := 0; first < size; first += 256 {
		var bundle []byte
		width := min(256, size-first)
		for i := range width {
			entry := fmt.Sprintf("entry %d", first+i)
			bundle = append(append(bundle, 0, byte(len(entry))), entry...)
		}
		path := filepath.Join(dir, filepath.FromSlash(bundlePath(uint64(first/256))))
		if width < 256 {
			path = filepath.Join(path+".p", fmt.Sprint(width))
		}
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, bundle, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	var asked atomic.Int64
	files := http.FileServer(http.Dir(dir))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1)%2 == 1 && r.URL.Path == "/log/tile/entries/001" {
			http.Error(w, "busy", http.StatusServiceUnavailable)
			return
		}
		http.StripPrefix("/log", files).ServeHTTP(w, r)
	}))
	defer server.Close()
	for _, at := range []string{dir, server.URL + "/log/"} {
		m, err := openMirror(at)
		if err != nil {
			t.Fatal(err)
		}
		for i := range uint64(size) {
			entry, err := m.Entry(t.Context(), i)
			if err != nil || string(entry) != fmt.Sprintf("entry %d", i) {
				t.Fatalf("%s: entry %d is %q, %v", at, i, entry, err)
			}
		}
		for _, beyond := range []uint64{size, 512 + 255, 1 << 20} {
			if _, err := m.Entry(t.Context(), beyond); !errors.Is(err, notary.ErrNotFound) {
				t.Errorf("%s: entry %d: %v", at, beyond, err)
			}
		}
	}
	if _, err := parseBundle([]byte{0, 9, 'x'}); err == nil {
		t.Error("a bundle that breaks off was read")
	}
}
