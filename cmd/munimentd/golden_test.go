package main

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/muniment/muniment/proofs"
)

// golden is where depositories of every release are kept as they were: the directory that
// init and serve made, an archive of it, and the receipts that it gave. A folder that is
// there is never made anew.
//
//	GOLDEN=v0.2 go test ./cmd/munimentd -run TestGolden
//
// adds that of this program, once a release is made of it.
const golden = "testdata/golden"

// TestGolden: what an earlier release left is opened by this one, its receipts are good, its
// keys stand for what they stood for, and the log goes on; its archive moves into PostgreSQL.
func TestGolden(t *testing.T) {
	if name := os.Getenv("GOLDEN"); name != "" {
		makeGolden(t, filepath.Join(golden, name))
	}
	releases, err := filepath.Glob(filepath.Join(golden, "*"))
	if err != nil || len(releases) == 0 {
		t.Fatalf("no release is kept: %v", err)
	}
	for _, release := range releases {
		t.Run(filepath.Base(release), func(t *testing.T) {
			dir := t.TempDir()
			unpack(t, filepath.Join(release, "depository.tar.gz"), filepath.Join(dir, "depository"))
			unpack(t, filepath.Join(release, "archive.tar.gz"), filepath.Join(dir, "archive"))
			receipts := readGolden(t, release)
			policy, err := readPolicy(filepath.Join(dir, "depository"))
			if err != nil {
				t.Fatal(err)
			}
			key, err := os.ReadFile(filepath.Join(release, "api-key"))
			if err != nil {
				t.Fatal(err)
			}
			d := &laidOut{policy: policy, said: &transcript{}}
			d.Dir, d.APIKey = filepath.Join(dir, "depository"), strings.TrimSpace(string(key))
			d.mustTool(t, "fsck", "--dir", d.Dir)
			p := d.serve(t, "--accept-clock", "--canary", "0s", "--facts-operator", "Evidence Centre")
			goldenHouse(t, d, d.client(p), receipts)
			p.stop(t)
			d.mustTool(t, "fsck", "--dir", d.Dir)

			next := d.house(t, plainSettings+"accept-clock: true\n")
			d.mustTool(t, "import", "--dir", next.Dir, "--from", filepath.Join(dir, "archive"), "--nothing-newer")
			p = next.serve(t)
			goldenHouse(t, next, next.client(p), receipts)
			p.stop(t)
		})
	}
}

// goldenHouse is sameHouse for a log of which only what its receipts say is known.
func goldenHouse(t *testing.T, d *laidOut, c *client, receipts []string) {
	t.Helper()
	v := proofs.NewVerifier(d.policy)
	for i, file := range receipts {
		before, err := proofs.ParseReceipt([]byte(file))
		if err != nil {
			t.Fatal(err)
		}
		if e, err := v.Verify(before, nil); err != nil || e.Outcome() != proofs.Verified {
			t.Errorf("receipt %d: %v %v", i, e.Reason, err)
		}
		if string(before.Marshal()) != file {
			t.Errorf("receipt %d is not written as it was", i)
		}
		a, err := depositNumber(c, i)
		if err != nil || a.Index != before.Index {
			t.Errorf("deposit %d again: index %d, not %d: %v", i, a.Index, before.Index, err)
		}
	}
	if _, err := c.digest("after", "HT-1", "after"); err != nil {
		t.Errorf("the next deposit: %v", err)
	}
}

// makeGolden keeps what this program makes.
func makeGolden(t *testing.T, to string) {
	t.Helper()
	d, receipts := filled(t)
	archive := filepath.Join(t.TempDir(), "archive")
	d.mustTool(t, "export", "--dir", d.Dir, "--to", archive, "--with-keys")
	if err := os.MkdirAll(filepath.Join(to, "receipts"), 0o755); err != nil {
		t.Fatal(err)
	}
	pack(t, d.Dir, filepath.Join(to, "depository.tar.gz"))
	pack(t, archive, filepath.Join(to, "archive.tar.gz"))
	err := os.WriteFile(filepath.Join(to, "api-key"), []byte(d.APIKey+"\n"), 0o644)
	for i, r := range receipts {
		err = errors.Join(err, os.WriteFile(filepath.Join(to, "receipts", fmt.Sprintf("%02d.tlog-proof", i)), []byte(r), 0o644))
	}
	if err != nil {
		t.Fatal(err)
	}
}

func readGolden(t *testing.T, release string) (receipts []string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(release, "receipts", "*"))
	if err != nil || len(files) != numbered {
		t.Fatalf("%d receipts are kept: %v", len(files), err)
	}
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		receipts = append(receipts, string(data))
	}
	return receipts
}

func pack(t *testing.T, from, to string) {
	t.Helper()
	f, err := os.Create(to)
	if err != nil {
		t.Fatal(err)
	}
	z := gzip.NewWriter(f)
	w := tar.NewWriter(z)
	err = filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		rel, _ := filepath.Rel(from, path)
		data, err := os.ReadFile(path)
		if err == nil {
			err = w.WriteHeader(&tar.Header{Name: filepath.ToSlash(rel), Mode: 0o600, Size: int64(len(data))})
		}
		if err == nil {
			_, err = w.Write(data)
		}
		return err
	})
	if err := errors.Join(err, w.Close(), z.Close(), f.Close()); err != nil {
		t.Fatal(err)
	}
}

func unpack(t *testing.T, from, to string) {
	t.Helper()
	f, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if err == io.EOF {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(to, filepath.FromSlash(h.Name))
		data, err := io.ReadAll(r)
		if err == nil {
			err = os.MkdirAll(filepath.Dir(path), 0o700)
		}
		if err == nil {
			err = os.WriteFile(path, data, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}
