package main

import (
	"bytes"
	"io"
	"strings"
	"testing"
)

// TestProgress: a bar on a terminal, and nothing at all on anything else.
func TestProgress(t *testing.T) {
	if p := newProgress(&bytes.Buffer{}, "x", 1<<40); p != nil {
		t.Error("a bar in a file")
	}
	var none *progress
	none.begin("hashing")
	none.clear()
	if r := io.Reader(&bytes.Buffer{}); none.reader(r) != r {
		t.Error("counted in vain")
	}
	var screen bytes.Buffer
	p := &progress{out: &screen, name: "a.pdf", total: 100}
	p.begin("sending")
	if _, err := io.Copy(io.Discard, p.reader(strings.NewReader(strings.Repeat("x", 50)))); err != nil {
		t.Fatal(err)
	}
	p.clear()
	want := eraseLine + "sending ████████████░░░░░░░░░░░░  50%  a.pdf" + eraseLine
	if screen.String() != want {
		t.Errorf("%q, want %q", screen.String(), want)
	}
}
