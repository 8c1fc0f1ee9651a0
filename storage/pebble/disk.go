package pebble

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"syscall"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// A disk is the file system as Pebble sees it: one on which no write ever fails. The
// first that does makes the ledger refuse everything and ends the process, and the
// call does not return: Pebble would retry, go on, panic, or unlock a mutex twice,
// each in some other place. No later write of that store reaches the directory, so
// what is there is what the failed write left, and the next Open reads it afresh.
//
// Three may fail harmlessly: deleting files that are done with, preallocation, and what
// Snapshot writes beside the ledger.
type disk struct {
	vfs.FS
	ledger *Ledger
}

// write does what changes the directory, and returns if it has been done.
func (d disk) write(what, name string, do func() error) {
	select {
	case <-d.ledger.broken:
		select {} // the process is about to end, or Open has returned
	default:
	}
	if err := do(); err != nil {
		d.ledger.fail(fmt.Errorf("%s %s: %w", what, name, err))
		select {}
	}
}

// Lock is called by Pebble once the directory is there. The lock belongs to the
// ledger, which gives it back when nothing can be written any more.
func (d disk) Lock(name string) (io.Closer, error) {
	d.ledger.mu.Lock()
	defer d.ledger.mu.Unlock()
	if d.ledger.lockFile != nil {
		return io.NopCloser(nil), nil // a second attempt of the same Open
	}
	lock, err := d.FS.Lock(name)
	var file *fs.PathError // the lock file could not be opened at all
	switch {
	case err == nil:
		d.ledger.lockFile = lock
		return io.NopCloser(nil), nil
	case errors.As(err, &file):
		return nil, err
	case errors.Is(err, syscall.EAGAIN), errors.Is(err, syscall.EACCES), err.Error() == "lock held by current process":
		return nil, fmt.Errorf("the directory is in use by another ledger: %w", err)
	default:
		return nil, err
	}
}

// GetDiskUsage is asked by Pebble to pace its deletions. It takes an error for one of
// its own work, which is the end of the ledger; so it hears that nothing is known.
func (d disk) GetDiskUsage(path string) (vfs.DiskUsage, error) {
	usage, err := d.FS.GetDiskUsage(path)
	if err != nil {
		err = vfs.ErrUnsupported
	}
	return usage, err
}

func (d disk) file(f vfs.File, name string) (vfs.File, error) {
	return diskFile{File: f, disk: d, name: name}, nil
}

func (d disk) Create(name string, category vfs.DiskWriteCategory) (f vfs.File, err error) {
	if d.ledger.isAside(name) {
		return d.FS.Create(name, category)
	}
	d.write("create", name, func() error { f, err = d.FS.Create(name, category); return err })
	return d.file(f, name)
}

func (d disk) ReuseForWrite(old, name string, category vfs.DiskWriteCategory) (f vfs.File, err error) {
	d.write("reuse", name, func() error { f, err = d.FS.ReuseForWrite(old, name, category); return err })
	return d.file(f, name)
}

func (d disk) OpenReadWrite(name string, category vfs.DiskWriteCategory, opts ...vfs.OpenOption) (f vfs.File, err error) {
	d.write("open", name, func() error { f, err = d.FS.OpenReadWrite(name, category, opts...); return err })
	return d.file(f, name)
}

// OpenDir opens a directory to sync it, which makes names in it durable.
func (d disk) OpenDir(name string) (vfs.File, error) {
	f, err := d.FS.OpenDir(name)
	if err != nil {
		return nil, err
	}
	if d.ledger.isAside(name) {
		return asideDir{f, d.ledger}, nil
	}
	return d.file(f, name)
}

func (d disk) Link(old, name string) error {
	if d.ledger.isAside(name) {
		return d.FS.Link(old, name)
	}
	d.write("link", name, func() error { return d.FS.Link(old, name) })
	return nil
}

func (d disk) Rename(old, name string) error {
	d.write("rename", name, func() error { return d.FS.Rename(old, name) })
	return nil
}

func (d disk) Remove(name string) (err error) {
	d.write("remove", name, func() error { err = d.FS.Remove(name); return nil })
	return err
}

func (d disk) RemoveAll(name string) (err error) {
	d.write("remove", name, func() error { err = d.FS.RemoveAll(name); return nil })
	return err
}

// A diskFile is a file that is written to, or a directory that is synced.
type diskFile struct {
	vfs.File
	disk disk
	name string
}

func (f diskFile) Write(p []byte) (n int, err error) {
	f.disk.write("write", f.name, func() error { n, err = f.File.Write(p); return err })
	return n, nil
}

func (f diskFile) WriteAt(p []byte, off int64) (n int, err error) {
	f.disk.write("write", f.name, func() error { n, err = f.File.WriteAt(p, off); return err })
	return n, nil
}

func (f diskFile) Sync() error {
	f.disk.write("sync", f.name, f.File.Sync)
	return nil
}

func (f diskFile) SyncData() error {
	f.disk.write("sync", f.name, f.File.SyncData)
	return nil
}

func (f diskFile) SyncTo(length int64) (full bool, err error) {
	f.disk.write("sync", f.name, func() error { full, err = f.File.SyncTo(length); return err })
	return full, nil
}

func (f diskFile) Close() error {
	f.disk.write("close", f.name, f.File.Close)
	return nil
}
