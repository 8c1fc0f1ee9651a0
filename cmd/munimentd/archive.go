package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/storage/dir"
)

// An archive is a whole depository in a directory, for any engine and for anyone who wants
// to check it without us:
//
//	archive.json   what it is; written last
//	SHA256SUMS     of every other file and of that, as sha256sum -c reads it
//	checkpoint     the published checkpoint, a C2SP signed note: the state that is in it
//	policy, policies/
//	segments/ keys/ accounts/   rows, their wrapped keys, tenants and API keys (storage/dir)
//	blobs/         documents, encrypted as they are kept
//	stamps/ renewals/ webhooks/   one file each
//	trail/         pages of the trail, up to 1,000 of a day in a file
//	secrets/       the key files, where they were asked for
const archiveFormat = "muniment/archive@v1"

// archived is what archive.json says.
type archived struct {
	Format    string    `json:"format"`
	Origin    string    `json:"origin"`
	Size      uint64    `json:"size"`
	Root      string    `json:"root"`
	Time      time.Time `json:"time"`
	Final     bool      `json:"final"` // the log was ended where this comes from
	Keys      bool      `json:"keys"`
	Tenants   int       `json:"tenants"`
	APIKeys   int       `json:"api_keys"`
	Documents tally     `json:"documents"`
	Stamps    int       `json:"stamps"`
	Renewals  int       `json:"renewals"`
	Webhooks  int       `json:"webhooks"`
	Trail     uint64    `json:"trail,omitempty"` // events
}

const (
	archiveName = "archive.json"
	sumsName    = "SHA256SUMS"
	noteName    = "checkpoint"
)

// archive is one on the disk, open.
type archive struct {
	path     string
	about    archived
	note     []byte
	sealed   proofs.Checkpoint
	segments *dir.Segments
}

// openArchive reads an archive that is whole.
func openArchive(path string) (*archive, error) {
	data, err := os.ReadFile(filepath.Join(path, archiveName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s holds no archive, or one whose export did not come to its end: run the export again", path)
	}
	if err != nil {
		return nil, err
	}
	a := &archive{path: path}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&a.about); err != nil || a.about.Format != archiveFormat {
		return nil, fmt.Errorf("%s is not of the format %s that this program reads: %w", filepath.Join(path, archiveName), archiveFormat, errors.Join(err))
	}
	if a.note, err = os.ReadFile(filepath.Join(path, noteName)); err != nil {
		return nil, err
	}
	policy, err := readPolicy(path)
	if err != nil {
		return nil, err
	}
	cp, outcome, reason := proofs.NewVerifier(policy.LogAlone()).Checkpoint(a.note)
	if outcome != proofs.Verified || cp.Origin != a.about.Origin || cp.Size != a.about.Size || cp.Root.String() != a.about.Root {
		return nil, fmt.Errorf("%s: its checkpoint is not what it says to hold, or not signed by the log of its policy (%s)", path, reason)
	}
	a.sealed = cp
	a.segments, err = dir.OpenSegments(path)
	return a, err
}

// archiveFiles lists every file of an archive that SHA256SUMS names, slash-separated.
func archiveFiles(root string) ([]string, error) {
	var names []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		switch {
		case err != nil:
			return err
		case d.IsDir() && rel == filepath.Join("blobs", "tmp"):
			return fs.SkipDir
		case d.IsDir() || rel == sumsName || rel == importedName:
			return nil
		case !d.Type().IsRegular():
			return fmt.Errorf("%s is no file", path)
		}
		names = append(names, filepath.ToSlash(rel))
		return nil
	})
	slices.Sort(names)
	return names, err
}

// sumAll writes SHA256SUMS over every file, and over the description that is still to come.
func sumAll(ctx context.Context, root string, about []byte, bar *bar) error {
	names, err := archiveFiles(root)
	if err != nil {
		return err
	}
	var out bytes.Buffer
	fmt.Fprintf(&out, "%x  %s\n", sha256.Sum256(about), archiveName)
	for i, name := range names {
		_, sum, err := hashFile(ctx, filepath.Join(root, filepath.FromSlash(name)))
		if err != nil {
			return err
		}
		fmt.Fprintf(&out, "%s  %s\n", sum, name)
		bar.show("files summed", uint64(i+1), uint64(len(names)))
	}
	return replaceFile(filepath.Join(root, sumsName), out.Bytes(), 0o600)
}

// check compares every file with SHA256SUMS, and recomputes the root from the entries: that
// nothing was changed on the way, and nothing is missing or too much.
func (a *archive) check(ctx context.Context, bar *bar) error {
	want := map[string]string{}
	f, err := os.Open(filepath.Join(a.path, sumsName))
	if err != nil {
		return err
	}
	defer f.Close()
	for in := bufio.NewScanner(f); in.Scan(); {
		sum, name, ok := strings.Cut(in.Text(), "  ")
		if !ok || len(sum) != 64 {
			return fmt.Errorf("%s is damaged", f.Name())
		}
		want[name] = sum
	}
	names, err := archiveFiles(a.path)
	if err != nil {
		return err
	}
	for i, name := range names {
		path := filepath.Join(a.path, filepath.FromSlash(name))
		sum, listed := want[name]
		if !listed {
			return fmt.Errorf("%s does not belong to the archive", path)
		}
		delete(want, name)
		_, got, err := hashFile(ctx, path)
		if err != nil {
			return err
		}
		if got != sum {
			return fmt.Errorf("%s is damaged: it is not what %s says", path, sumsName)
		}
		bar.show("files checked", uint64(i+1), uint64(len(names)))
	}
	for name := range want {
		return fmt.Errorf("%s is missing", filepath.Join(a.path, filepath.FromSlash(name)))
	}
	return notary.CheckRows(ctx, a.segments, a.sealed, func(done, total uint64) { bar.show("entries checked", done, total) })
}
