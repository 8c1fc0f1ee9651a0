//go:build race

package pebble

// racing: Pebble checks its own invariants in race builds, at tens of times the cost.
// The exhaustive tests then take samples.
const racing = true
