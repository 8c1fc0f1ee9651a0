//go:build !race

package pebble

const racing = false
