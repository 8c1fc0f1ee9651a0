package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/muniment/muniment/proofs"
)

// A backup is a directory:
//
//	backup            the manifest: what follows is a backup because this says so
//	set-<time>-…/     ledger/, anchor and policy, with keys/ if asked for
//	blobs/            the documents, shared by all backups that were ever taken here
//
// Each backup makes a new set, adds the documents that are missing, and replaces the
// manifest last. What is no set of the manifest's, and each document that its ledger
// does not know, is left over from a backup that did not end.
const (
	manifestName   = "backup"
	manifestFormat = "muniment/backup@v1"
	setPrefix      = "set-"
)

// maxManifest bounds what is read as one: some 200 bytes a file, of which a ledger of
// 10⁸ entries has about ten thousand.
const maxManifest = 64 << 20

type manifest struct {
	Format    string    `json:"format"`
	Origin    string    `json:"origin"`
	Size      uint64    `json:"size"`   // entries in the ledger
	Root      string    `json:"root"`   // over them
	Sealed    uint64    `json:"sealed"` // size that the anchor held before the ledger was copied
	Time      time.Time `json:"time"`
	Keys      bool      `json:"keys"` // the key files are among the files
	Documents tally     `json:"documents"`
	// Missing names the documents, <tenant>/<id>, that were lost before any backup.
	Missing []string  `json:"missing,omitempty"`
	Set     string    `json:"set"`
	Files   []setFile `json:"files"`
	Sum     string    `json:"sum"` // SHA-256 of this manifest without it
}

// tally counts files, and the bytes in them.
type tally struct {
	Count uint64 `json:"count"`
	Bytes uint64 `json:"bytes"`
}

func (t *tally) add(bytes int64) { t.Count, t.Bytes = t.Count+1, t.Bytes+uint64(bytes) }

// setFile is one file of a set; its path is relative and has slashes.
type setFile struct {
	Path   string `json:"path"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

// marshal returns the manifest's file.
func (m manifest) marshal() []byte {
	m.Sum = ""
	text, err := json.MarshalIndent(m, "", " ")
	if err != nil {
		panic(err) // nothing in it can fail
	}
	sum := sha256.Sum256(text)
	m.Sum = hex.EncodeToString(sum[:])
	text, _ = json.MarshalIndent(m, "", " ")
	return append(text, '\n')
}

// errNoBackup: a directory has no manifest, so it holds no backup.
var errNoBackup = errors.New("there is no finished backup in it")

// readManifest reads the manifest in a directory: exactly what marshal writes.
func readManifest(dir string) (*manifest, error) {
	path := filepath.Join(dir, manifestName)
	info, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w", dir, errNoBackup)
	}
	if err != nil {
		return nil, err
	}
	if info.Size() > maxManifest {
		return nil, fmt.Errorf("%s is no manifest of a backup: it has %d bytes", path, info.Size())
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var m manifest
	if err := json.Unmarshal(data, &m); err != nil || !bytes.Equal(data, m.marshal()) {
		return nil, fmt.Errorf("%s is damaged: it does not agree with its own checksum", path)
	}
	if err := m.check(); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return &m, nil
}

// check refuses what another program, or another version of this one, wrote.
func (m *manifest) check() error {
	if m.Format != manifestFormat {
		return fmt.Errorf("its format is %q; this program reads %s", m.Format, manifestFormat)
	}
	if _, err := proofs.ParseOrigin(m.Origin); err != nil {
		return err
	}
	if !strings.HasPrefix(m.Set, setPrefix) || strings.ContainsRune(m.Set, filepath.Separator) {
		return fmt.Errorf("%q is no name of a set", m.Set)
	}
	for _, f := range m.Files {
		if !filepath.IsLocal(filepath.FromSlash(f.Path)) {
			return fmt.Errorf("it names a file outside of its set: %q", f.Path)
		}
	}
	return nil
}
