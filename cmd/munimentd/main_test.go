package main

import (
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain puts the command into PATH as munimentd, so that every test here drives
// a process of its own: what is killed, traced and restarted is the real thing.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"munimentd": main})
}

// torture reports whether the attacks run at the size that a release must pass.
func torture() bool { return os.Getenv("MUNIMENT_TORTURE") != "" }

// rounds is usual, or full under torture.
func rounds(usual, full int) int {
	if torture() {
		return full
	}
	return usual
}
