// Package dir keeps documents and the anchor in a directory of a local Linux
// file system: the drivers of notary.Blobs and notary.Anchor for a depository
// without services beside it.
//
// # What is relied on
//
// fsync and fdatasync return nil only when the bytes are on stable storage; a
// rename within one file system is atomic; a directory's entries are durable
// once the directory has been fsynced. ext4, XFS and btrfs keep this on disks
// that do not lie about their caches. Network file systems often do not.
//
// # After an fsync error
//
// The kernel reports a failed write-back once and then marks the pages clean:
// a second fsync succeeds, and reads return from memory what is not on the disk.
// So the first error is the last thing that Blobs or Anchor does. It calls
// Fatal, whose default ends the process, and refuses every later call. What
// really is on the disk is read and checked at the next start.
package dir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/muniment/muniment/notary"
)

// errClosed is the refusal of every call after Close.
var errClosed = errors.New("dir: closed")

// die ends the process: a panic on a goroutine of its own is out of reach of
// every recover, net/http's included. It does not return.
func die(err error) {
	go panic(err)
	select {}
}

// failed marks an error of the file system, and a full one or a spent quota as
// notary.ErrNoRoom. It is for calls that left nothing behind.
func failed(err error) error {
	if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
		return fmt.Errorf("dir: %w: %w", notary.ErrNoRoom, err)
	}
	return fmt.Errorf("dir: %w", err)
}

// lock takes f for this process until f is closed. A second owner, in this
// process or another, is refused at once.
func lock(f *os.File) error {
	err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return fmt.Errorf("dir: %s is in use by another process", f.Name())
	}
	if err != nil {
		return fmt.Errorf("dir: lock %s: %w", f.Name(), err)
	}
	return nil
}

// syncParent makes the entry of dir itself durable, for a caller who has just
// made it. Not needed of a mount point; not possible in a parent that may not be
// opened, in which we cannot have made it.
func syncParent(sys system, dir string) error {
	var here, above unix.Stat_t
	if err := errors.Join(unix.Stat(dir, &here), unix.Stat(filepath.Dir(dir), &above)); err != nil {
		return failed(err)
	}
	if here.Dev != above.Dev {
		return nil
	}
	parent, err := sys.openDir(filepath.Dir(dir))
	if errors.Is(err, fs.ErrPermission) {
		return nil
	}
	if err != nil {
		return failed(err)
	}
	defer parent.Close()
	if err := parent.Sync(); err != nil {
		return fmt.Errorf("dir: fsync %s: %w", filepath.Dir(dir), err)
	}
	return nil
}
