package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/service/client"
)

// TestPendingComesBackAsItWas: otherwise it would be sent under its key with other lines.
func TestPendingComesBackAsItWas(t *testing.T) {
	b := &batch{folder: t.TempDir()}
	if got, err := b.readPending(); got != nil || err != nil {
		t.Fatalf("%v, %v", got, err)
	}
	want := client.Batch{Key: "k", Lines: []proofs.Record{
		record(t, `{"content.sha256":"00","party.0.name":"张三\n李四","terms.n":3}`),
		record(t, `{"content.sha256":"01"}`),
	}}
	if err := b.writePending(want); err != nil {
		t.Fatal(err)
	}
	got, err := b.readPending()
	if err != nil || fmt.Sprint(*got) != fmt.Sprint(want) {
		t.Errorf("%v, %v", got, err)
	}
	if err := b.forget(); err != nil {
		t.Fatal(err)
	}
	if err := b.forget(); err != nil { // another run may have been faster
		t.Fatal(err)
	}
	for _, damaged := range []string{"", "k\n", "k\nnot JSON\n", "k\n{}\n", "k\n" + strings.Repeat("x", maxBatchLine+2)} {
		if err := os.WriteFile(filepath.Join(b.folder, pendingFile), []byte(damaged), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := b.readPending(); err == nil {
			t.Errorf("%.20q: %v", damaged, got)
		}
	}
}

// TestBatchesAreCutWithinBounds: in lines and in bytes, every line once and in order,
// and the same lines under the same key.
func TestBatchesAreCutWithinBounds(t *testing.T) {
	list := &sheet{}
	for i := range 2*maxBatchLines + 5 {
		r := record(t, fmt.Sprintf(`{"content.sha256":"%064d"}`, i))
		list.lines = append(list.lines, sheetLine{number: i + 2, stable: r, claims: r})
	}
	b := &batch{sheet: list, done: make([]*settled, len(list.lines))}
	cut := b.cut()
	if len(cut) != 3 || len(cut[0].Lines) != maxBatchLines || len(cut[2].Lines) != 5 {
		t.Fatalf("%d batches", len(cut))
	}
	n := 0
	for _, c := range cut {
		for _, l := range c.Lines {
			if l.JSON() != list.lines[n].claims.JSON() {
				t.Fatalf("line %d is not in its place", n)
			}
			n++
		}
	}
	if again := b.cut(); again[1].Key != cut[1].Key || cut[0].Key == cut[1].Key {
		t.Error("keys do not stand for lines")
	}
	b.nonce = "n"
	if other := b.cut(); other[0].Key == cut[0].Key {
		t.Error("deposited again under the key of before")
	}
	b.nonce, b.done[0] = "", &settled{}
	if other := b.cut(); other[0].Key == cut[0].Key || len(other[0].Lines) != maxBatchLines || other[2].Lines[3].JSON() != cut[2].Lines[4].JSON() {
		t.Error("a line that is done was cut in")
	}

	long := record(t, `{"label.x":"`+strings.Repeat("x", 15_000)+`","content.sha256":"00"}`)
	list.lines = nil
	for range 5000 {
		list.lines = append(list.lines, sheetLine{stable: long, claims: long})
	}
	b.done = make([]*settled, len(list.lines))
	for _, c := range b.cut() {
		bytes := 0
		for _, l := range c.Lines {
			bytes += len(`{"record":` + l.JSON() + "}\n")
		}
		if bytes > maxBatchBytes {
			t.Errorf("%d bytes", bytes)
		}
	}
}
