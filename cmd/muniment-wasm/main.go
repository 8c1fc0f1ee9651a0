//go:build !(js && wasm)

// Muniment-wasm is package proofs for the browser: what the public verify page and the page
// in a case bundle run in their worker. It is built for GOOS=js GOARCH=wasm by `make
// generate`, and lies compressed in service/verifypage.
//
// It asks nobody and keeps nothing: it is handed files and a language, and answers with what
// to show.
package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "muniment-wasm is for browsers: build it with GOOS=js GOARCH=wasm")
	os.Exit(2)
}
