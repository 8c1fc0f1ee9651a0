//go:build !unix

package main

import "os"

// terminalWidth is never sure elsewhere, and a bar in a log file is worse than none.
func terminalWidth(*os.File) int { return 0 }
