//go:build !unix

package witness

import (
	"errors"
	"os"
)

// ErrTaken: another process serves the same directory.
var ErrTaken = errors.New("another process serves this directory")

// lock refuses: a second process could not be kept away here, nor a rename made durable.
func lock(string) (*os.File, error) {
	return nil, errors.New("a witness runs on Linux, macOS or another Unix only")
}
