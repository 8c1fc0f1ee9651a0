//go:build unix

package main

import (
	"os"

	"golang.org/x/sys/unix"
)

// terminalWidth asks for the window's size, which terminals alone have. 0: no
// terminal; one that does not know its size is taken for an ordinary one.
func terminalWidth(f *os.File) int {
	size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	switch {
	case err != nil:
		return 0
	case size.Col == 0:
		return lineWidth
	}
	return int(size.Col)
}
