//go:build !unix

package main

import "os"

// isTerminal is never sure elsewhere, and a bar in a log file is worse than none.
func isTerminal(*os.File) bool { return false }
