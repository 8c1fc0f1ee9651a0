package main

import (
	"bytes"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func specimen() manifest {
	return manifest{
		Format: manifestFormat, Origin: "localhost/dev/1", Size: 3, Root: "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=", Sealed: 2,
		Time: time.Date(2026, 11, 23, 8, 0, 0, 5e6, time.UTC), Documents: tally{2, 100}, Set: "set-20261123T080000Z-abcdef",
		Files: []setFile{{"anchor", 77, strings.Repeat("ab", 32)}, {"ledger/000001.sst", 5, strings.Repeat("cd", 32)}},
	}
}

// TestManifestIsExact: a manifest reads back as it was written, and with a bit of it
// changed, or anything added, it is none.
func TestManifestIsExact(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, manifestName)
	if _, err := readManifest(dir); !errors.Is(err, errNoBackup) {
		t.Errorf("without one: %v", err)
	}
	text := specimen().marshal()
	write(t, path, string(text))
	m, err := readManifest(dir)
	if err != nil || !bytes.Equal(m.marshal(), text) {
		t.Fatalf("%v, %v", m, err)
	}
	for i := range text {
		bad := bytes.Clone(text)
		bad[i] ^= 1 << (i % 8)
		write(t, path, string(bad))
		if _, err := readManifest(dir); err == nil || !strings.Contains(err.Error(), path) {
			t.Fatalf("bit %d.%d: %v", i, i%8, err)
		}
	}
	for _, bad := range []string{"", "{}", string(text) + "\n", " " + string(text), string(text[:len(text)-1])} {
		write(t, path, bad)
		if _, err := readManifest(dir); err == nil {
			t.Errorf("%q is read", bad)
		}
	}
}

// TestHostileManifest: one that was made by someone leads nowhere but into its set.
func TestHostileManifest(t *testing.T) {
	for what, spoil := range map[string]func(*manifest){
		"another format":    func(m *manifest) { m.Format = "muniment/backup@v2" },
		"no origin":         func(m *manifest) { m.Origin = "x" },
		"a set elsewhere":   func(m *manifest) { m.Set = "set-/../../etc" },
		"the target as set": func(m *manifest) { m.Set = ".." },
		"a file above":      func(m *manifest) { m.Files[0].Path = "../policy" },
		"a file at the top": func(m *manifest) { m.Files[0].Path = "/etc/passwd" },
		"a roundabout file": func(m *manifest) { m.Files[0].Path = "ledger/../../policy" },
	} {
		dir := t.TempDir()
		m := specimen()
		spoil(&m)
		write(t, filepath.Join(dir, manifestName), string(m.marshal()))
		if m, err := readManifest(dir); err == nil {
			t.Errorf("%s: %+v", what, m)
		}
	}
}
