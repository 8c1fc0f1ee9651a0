package main

import (
	"crypto/rand"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/muniment/muniment/proofs"
)

const receiptSuffix = ".tlog-proof"

// receiptPath is where a file's receipt stands: beside it, or in dir, in folders like
// those it was found in.
func receiptPath(f found, dir string) string {
	if dir != "" {
		return filepath.Join(dir, f.rel) + receiptSuffix
	}
	return f.path + receiptSuffix
}

// temporary opens a new file beside path, with the permissions that any new file has
// here.
func temporary(path string) (*os.File, error) {
	name := filepath.Join(filepath.Dir(path), temporaryPrefix+rand.Text())
	return os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
}

const (
	temporaryPrefix = ".muniment-"
	// staleAfter is far longer than a temporary lives.
	staleAfter = time.Minute
)

var temporaryName = regexp.MustCompile(`^\.muniment-[A-Z2-7]{26}$`)

// sweep removes the temporaries that runs which were killed left in a folder. What it
// cannot remove stays, and does no harm.
func sweep(dir string, now time.Time) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	for _, e := range entries {
		if !e.Type().IsRegular() || !temporaryName.MatchString(e.Name()) {
			continue
		}
		if info, err := e.Info(); err == nil && now.Sub(info.ModTime()) > staleAfter {
			_ = os.Remove(filepath.Join(dir, e.Name()))
		}
	}
}

// writable finds out, by trying, whether a receipt could be written in a folder, and
// clears it of what was never finished.
func writable(dir string) error {
	sweep(dir, time.Now())
	f, err := temporary(filepath.Join(dir, "receipt"))
	if err != nil {
		return err
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

// keepReceipt writes a receipt to path or, where that is taken by anything but a
// receipt of the same entry, to a path with the deposit's id in it. It returns which.
func keepReceipt(path, id string, r proofs.Receipt) (string, error) {
	for _, p := range []string{path, strings.TrimSuffix(path, receiptSuffix) + "." + id + receiptSuffix} {
		kept, err := keepAt(p, r, replace)
		if kept || err != nil {
			return p, err
		}
	}
	return "", sayReceiptsTaken.err(path, id)
}

// keepAt reports whether path now holds a receipt of r's entry. It is written by write,
// and as durable as that makes it.
func keepAt(path string, r proofs.Receipt, write writer) (bool, error) {
	there, err := readReceipt(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		err := write(path, r.Marshal(), false)
		if errors.Is(err, os.ErrExist) { // made by someone else meanwhile
			return false, nil
		}
		return err == nil, err
	case err != nil: // a directory, a file that is closed to us, or no receipt
		return false, nil
	case there.Entry.LeafHash() != r.Entry.LeafHash() || there.Index != r.Index:
		return false, nil
	}
	if keepsStamps(there, r) {
		return true, nil
	}
	return true, write(path, r.Marshal(), true)
}

// A writer writes a whole file or nothing. Unless over, a file that stands at path
// stays, and the error is os.ErrExist.
type writer func(path string, data []byte, over bool) error

// replace is the writer of files that are durable on return.
func replace(path string, data []byte, over bool) error {
	if err := put(path, data, over); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// put is the writer of files whose bytes are durable on return, and their names once
// their folder is synced.
func put(path string, data []byte, over bool) error {
	f, err := temporary(path)
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if !over {
		// A link never replaces. Where the file system has none, a rename must do.
		if err = os.Link(f.Name(), path); err == nil || errors.Is(err, os.ErrExist) {
			return err
		}
	}
	return os.Rename(f.Name(), path)
}

// syncDir makes a new name durable where directories can be synced at all.
func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return nil // a directory may be writable and not readable
	}
	_ = d.Sync() // not every system syncs directories
	return d.Close()
}

// isReceipt reports whether a file is a receipt by its name and by its bytes.
func isReceipt(path string) bool {
	if !strings.HasSuffix(path, receiptSuffix) {
		return false
	}
	_, err := readReceipt(path)
	return err == nil
}

// readReceipt reads a receipt that stands as a file among the documents. What is not
// one is never waited for, as a pipe would be.
func readReceipt(path string) (proofs.Receipt, error) {
	if err := checkFile(path); err != nil {
		return proofs.Receipt{}, err
	}
	data, err := readBounded(path, proofs.MaxReceipt)
	if err != nil {
		return proofs.Receipt{}, err
	}
	return proofs.ParseReceipt(data)
}

// readBounded reads a file of at most limit bytes, and one more of a longer one, so
// that a parser sees that it is too long.
func readBounded(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, limit+1))
}

// namesakes finds the receipts of other deposits of a file, FILE.<id>.tlog-proof. It
// reads each folder once.
type namesakes struct {
	mu      sync.Mutex
	folders map[string]map[string][]string // by folder, and by the name of the document
}

// of is the namesakes of the receipt at path.
func (n *namesakes) of(path string) []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	folder := filepath.Dir(path)
	names, read := n.folders[folder]
	if !read {
		names = map[string][]string{}
		entries, _ := os.ReadDir(folder) // what cannot be read holds none that could be
		for _, e := range entries {
			if document := documentOf(e.Name()); strings.HasSuffix(e.Name(), receiptSuffix) && document+receiptSuffix != e.Name() {
				names[document] = append(names[document], filepath.Join(folder, e.Name()))
			}
		}
		if n.folders == nil {
			n.folders = map[string]map[string][]string{}
		}
		n.folders[folder] = names
	}
	return names[strings.TrimSuffix(filepath.Base(path), receiptSuffix)]
}

// documentOf is the path of the document whose receipt is called so: FILE.tlog-proof or
// FILE.<id>.tlog-proof.
func documentOf(receipt string) string {
	path := strings.TrimSuffix(receipt, receiptSuffix)
	if dot := strings.LastIndexByte(path, '.'); dot >= 0 && isID(path[dot+1:]) {
		return path[:dot]
	}
	return path
}

// isID reports whether s is the id of a deposit.
func isID(s string) bool {
	v, err := proofs.Text(s)
	return err == nil && proofs.TypeUUID.Holds(v)
}
