package main

import (
	"os"
	"runtime/debug"
)

// tuneMemory lets the heap grow beyond what is live before it is collected, while that is
// little: most of what a deposit allocates is dead when it is answered. Beside Pebble's
// caches, to two and a half times; a process that keeps nothing itself has room for more.
// Near memoryTarget the collector works as hard as it must. Who sets GOGC or
// GOMEMLIMIT knows better.
func tuneMemory(cfg *config) {
	if os.Getenv("GOGC") == "" {
		percent := 150
		if cfg.Ledger != "pebble" {
			percent = 400
		}
		debug.SetGCPercent(percent)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryTarget)
	}
}

// memoryTarget is what the process is to stay below, in bytes, under its usual load:
// the ledger's caches and memtables, and some 150 MiB for requests.
const memoryTarget = 560 << 20
