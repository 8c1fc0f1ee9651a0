package dir

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"golang.org/x/sys/unix"
)

// system is every call that writes to the file system. Tests count the calls
// and make each of them fail.
type system interface {
	create(dir string) (newFile, error) // on the file system of dir, without its name yet
	openDir(path string) (file, error)  // for Sync alone
	mkdir(path string) error            // a directory that is there is no error
	remove(path string) error
}

// file is an open file, or directory, that can be made durable.
type file interface {
	Sync() error
	Close() error
}

// newFile is a file that is written before it is given its name.
type newFile interface {
	file // Close without name leaves nothing behind
	Write(p []byte) (int, error)
	name(path string) error // create-only: unix.EEXIST if path is there
}

// linux makes files without a name (O_TMPFILE), which end with the process that
// has not named them, and which cost half of what a temporary file and its
// rename do: no directory but the last is written to. Where the file system
// cannot, it makes files as named does.
type linux struct{}

func (linux) create(dir string) (newFile, error) {
	if !procMounted() {
		return named{}.create(dir)
	}
	f, err := os.OpenFile(dir, os.O_WRONLY|unix.O_TMPFILE, 0o600)
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EISDIR) || errors.Is(err, unix.EINVAL) {
		return named{}.create(dir)
	}
	if err != nil {
		return nil, err
	}
	return &nameless{f}, nil
}

// procMounted reports whether a nameless file can be given its name: linkat
// reaches it by its descriptor, through /proc.
var procMounted = sync.OnceValue(func() bool {
	_, err := os.Stat("/proc/self/fd")
	return err == nil
})

type nameless struct{ *os.File }

func (f *nameless) name(path string) error {
	self := fmt.Sprintf("/proc/self/fd/%d", f.Fd())
	err := unix.Linkat(unix.AT_FDCWD, self, unix.AT_FDCWD, path, unix.AT_SYMLINK_FOLLOW)
	if err != nil {
		return &os.LinkError{Op: "link", Old: self, New: path, Err: err}
	}
	return nil
}

func (linux) openDir(path string) (file, error) {
	return os.OpenFile(path, os.O_RDONLY|unix.O_DIRECTORY, 0)
}

func (linux) mkdir(path string) error {
	if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	return nil
}

func (linux) remove(path string) error { return os.Remove(path) }

// named makes files under a temporary name, links them to their own, and unlinks
// the temporary one. Unlike a rename, a link never replaces what is there, on any
// file system. A crash leaves temporaries, some of them second links.
type named struct{ linux }

func (named) create(dir string) (newFile, error) {
	f, err := os.OpenFile(filepath.Join(dir, temporary+rand.Text()), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	return &temporaryFile{f}, nil
}

// temporary begins the names of files that are nothing yet.
const temporary = "new-"

type temporaryFile struct{ *os.File }

func (f *temporaryFile) name(path string) error { return os.Link(f.Name(), path) }

// Close unlinks the temporary name. If that fails the next start sweeps it.
func (f *temporaryFile) Close() error {
	return errors.Join(os.Remove(f.Name()), f.File.Close())
}
