package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/muniment/muniment/proofs"
)

const receiptSuffix = ".tlog-proof"

// receiptPath is where a file's receipt stands: beside it, or in dir.
func receiptPath(file, dir string) string {
	if dir != "" {
		file = filepath.Join(dir, filepath.Base(file))
	}
	return file + receiptSuffix
}

// temporary opens a new file beside path, with the permissions that any new file has
// here.
func temporary(path string) (*os.File, error) {
	name := filepath.Join(filepath.Dir(path), ".muniment-"+rand.Text())
	return os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
}

// writable finds out, by trying, whether a receipt could be written at path.
func writable(path string) error {
	f, err := temporary(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

// keepReceipt writes a receipt to path or, where that is taken by anything but a
// receipt of the same entry, to a path with the deposit's id in it. It returns which.
func keepReceipt(path, id string, r proofs.Receipt) (string, error) {
	for _, p := range []string{path, strings.TrimSuffix(path, receiptSuffix) + "." + id + receiptSuffix} {
		kept, err := keepAt(p, r)
		if kept || err != nil {
			return p, err
		}
	}
	return "", fmt.Errorf("%s and its neighbour with the id %s are taken by other files; the deposit stands, and the same command fetches its receipt again", path, id)
}

// keepAt reports whether path now holds a receipt of r's entry, durably.
func keepAt(path string, r proofs.Receipt) (bool, error) {
	there, err := readReceipt(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		err := replace(path, r.Marshal(), false)
		if errors.Is(err, os.ErrExist) { // made by someone else meanwhile
			return false, nil
		}
		return err == nil, err
	case err != nil: // a directory, a file that is closed to us, or no receipt
		return false, nil
	case there.Entry.LeafHash() != r.Entry.LeafHash() || there.Index != r.Index:
		return false, nil
	}
	// A stamped receipt says more than a fresh one.
	if len(there.Timestamps) > len(r.Timestamps) {
		return true, nil
	}
	return true, replace(path, r.Marshal(), true)
}

// replace writes a whole file or nothing, durable on return. Unless over, a file
// that stands at path stays, and the error is os.ErrExist.
func replace(path string, data []byte, over bool) error {
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
			return errors.Join(err, syncDir(filepath.Dir(path)))
		}
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
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
