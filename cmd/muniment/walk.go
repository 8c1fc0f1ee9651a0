package main

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// maxFiles bounds what one run takes on.
const maxFiles = 1_000_000

// A trait is what a path turned out to be.
type trait int

const (
	document trait = iota
	aReceipt
	hidden
	aLink    // symbolic links in folders are not followed: they lead out of them
	noFile   // a device, a pipe
	ownFiles // a folder that batch made
)

// found is a file as a walk comes to it.
type found struct {
	path  string
	rel   string // below the folder that was named; the base name of a file that was named
	trait trait
	size  int64
	named bool // by the user, not found in a folder
}

// A walk goes through files and folders, the files of a folder in the order of their
// names.
type walk struct {
	visit  func(found) error
	broken func(path string, err error) // a file or folder that cannot be read
	skip   func(fs.FileInfo) bool       // a folder to leave out
	into   bool                         // go into folders that batch made too
	seen   map[string]bool              // files, so that none is visited twice
}

// all goes through paths as a user names them. A link that is named is followed.
func (w *walk) all(ctx context.Context, paths []string) error {
	for _, path := range paths {
		info, err := os.Stat(path)
		switch {
		case err != nil:
			w.broken(path, err)
			err = nil
		case info.IsDir():
			err = w.folder(ctx, path)
		case !info.Mode().IsRegular():
			w.broken(path, sayNoFile.err())
		default:
			err = w.file(found{path: path, rel: filepath.Base(path), size: info.Size(), named: true})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (w *walk) file(f found) error {
	if w.seen == nil {
		w.seen = map[string]bool{}
	}
	switch f.path = filepath.Clean(f.path); {
	case w.seen[f.path]:
		return nil
	case len(w.seen) == maxFiles:
		return sayTooManyFiles.err(maxFiles)
	}
	w.seen[f.path] = true
	// In a folder the name tells: a receipt that is damaged is no document either. What
	// a user names may be anything, whatever it is called.
	if strings.HasSuffix(f.path, receiptSuffix) && (!f.named || isReceipt(f.path)) {
		f.trait = aReceipt
	}
	if !f.named && filepath.Base(f.path) == resultsFile && isResults(f.path) {
		f.trait = ownFiles
	}
	return w.visit(f)
}

// isResults reports whether a file is the table that batch writes.
func isResults(path string) bool {
	start, err := readBounded(path, int64(len(resultsHead)-1))
	return err == nil && string(start) == resultsHead
}

func (w *walk) folder(ctx context.Context, root string) error {
	// The separator makes a link to a folder that folder.
	start := strings.TrimRight(root, string(filepath.Separator)) + string(filepath.Separator)
	return filepath.WalkDir(start, func(path string, d fs.DirEntry, err error) error {
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			w.broken(path, err)
			return nil
		case path == start:
			return nil
		}
		rel, err := filepath.Rel(start, path)
		if err != nil {
			return err
		}
		return w.entry(path, rel, d)
	})
}

// entry looks at what stands in a folder.
func (w *walk) entry(path, rel string, d fs.DirEntry) error {
	f := found{path: path, rel: rel}
	switch {
	case temporaryName.MatchString(d.Name()):
		return nil
	case strings.HasPrefix(d.Name(), "."):
		f.trait = hidden
	case d.Type()&fs.ModeSymlink != 0:
		f.trait = aLink
	case d.IsDir():
		info, err := d.Info()
		if err != nil {
			w.broken(path, err)
			return fs.SkipDir
		}
		if w.skip(info) {
			return fs.SkipDir
		}
		if w.into || !madeByBatch(path) {
			return nil
		}
		f.trait = ownFiles
	case !d.Type().IsRegular():
		f.trait = noFile
	default:
		info, err := d.Info()
		if err != nil {
			w.broken(path, err)
			return nil
		}
		f.size = info.Size()
		return w.file(f)
	}
	if err := w.visit(f); err != nil || !d.IsDir() {
		return err
	}
	return fs.SkipDir
}

// madeByBatch reports whether a folder is the one where batch keeps the receipts of
// the CSV file beside it.
func madeByBatch(folder string) bool {
	list, ours := strings.CutSuffix(folder, batchSuffix)
	if !ours {
		return false
	}
	info, err := os.Stat(list)
	return err == nil && info.Mode().IsRegular()
}
