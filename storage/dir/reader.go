package dir

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/muniment/muniment/notary"
)

// A Reader reads the objects of a Blobs without owning its directory: beside the
// process that does, or from a copy on a disk that is read-only. It makes and locks
// nothing.
type Reader struct{ root string }

// NewReader reads the objects under root.
func NewReader(root string) Reader { return Reader{root} }

// Open is that of notary.Blobs.
func (r Reader) Open(_ context.Context, name string) (notary.Blob, error) {
	_, path, err := place(r.root, name)
	if err != nil {
		return nil, err
	}
	return openObject(path)
}

// Path is the file that keeps the object of that name, for telling people where it is.
// A name that no object can have is notary.ErrNotFound.
func (r Reader) Path(name string) (string, error) {
	_, path, err := place(r.root, name)
	return path, err
}

// ReadAnchor returns the body that the anchor in the file holds, which may be in use,
// or a copy. Nothing is locked or written: while an Advance is under way it may be the
// body before or after.
func ReadAnchor(path string) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, fmt.Errorf("dir: open anchor: %w", err)
	}
	defer f.Close()
	a := &Anchor{path: path, file: f, disk: dataFile{f}}
	newest, _, err := a.read()
	if err != nil {
		return nil, err
	}
	return newest.body, nil
}

// AnchorPath is the file of the anchor in dir.
func AnchorPath(dir string) string { return filepath.Join(dir, anchorName) }

// openObject opens an object for reading.
func openObject(path string) (notary.Blob, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("dir: %w", notary.ErrNotFound)
	}
	if err != nil {
		return nil, failed(err)
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("not a regular file")
	}
	if err != nil {
		f.Close()
		return nil, failed(err)
	}
	return &object{f, info.Size()}, nil
}
