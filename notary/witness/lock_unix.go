//go:build unix

package witness

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// ErrTaken: another process serves the same directory.
var ErrTaken = errors.New("another process serves this directory")

// lock keeps other processes from a directory until the file is closed, at the latest
// when this process ends.
func lock(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		if errors.Is(err, unix.EWOULDBLOCK) {
			err = fmt.Errorf("%s: %w", dir, ErrTaken)
		}
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}
