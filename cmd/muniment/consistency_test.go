package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/service/client"
)

// leaves are a log of one tile, as a server shows it and as the tests know it.
type leaves []proofs.Hash

func (l leaves) ReadTile(_ int, _ uint64, width int) (*proofs.Tile, error) {
	return proofs.NewTile(l[:width]), nil
}

func (l leaves) head(t *testing.T, size int) head {
	t.Helper()
	root, err := proofs.RootAt(uint64(size), l)
	if err != nil {
		t.Fatal(err)
	}
	cp := proofs.Checkpoint{Origin: "cli.test/dev/1", Size: uint64(size), Root: root}
	return head{name: "x", note: []byte(cp.String() + root.String()), Checkpoint: cp}
}

// serve shows the log's one tile at any width.
func (l leaves) serve(t *testing.T) *client.Client {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		width := 0
		for n := range len(l) + 1 {
			if strings.HasSuffix(r.URL.Path, "/log/tile/0/000.p/"+string(rune('0'+n))) {
				width = n
			}
		}
		if width == 0 {
			http.NotFound(w, r)
			return
		}
		w.Write(proofs.NewTile(l[:width]).Marshal())
	}))
	t.Cleanup(server.Close)
	return &client.Client{Server: server.URL}
}

// TestCompareTellsForksFromFaults: what is called a fork follows from two signed roots
// alone. Tiles that lead nowhere are the server's fault, and accuse nobody.
func TestCompareTellsForksFromFaults(t *testing.T) {
	log := leaves{}
	for _, s := range "abcdefg" {
		log = append(log, proofs.LeafHash([]byte(string(s))))
	}
	other := append(leaves{proofs.LeafHash([]byte("z"))}, log[1:]...)
	for old := 1; old <= len(log); old++ {
		for size := old; size <= len(log); size++ {
			for _, c := range []struct {
				name   string
				before leaves
				shown  leaves
				want   string
			}{
				{"one log", log, log, "consistent"},
				{"two histories", other, log, "fork"},
				{"wrong tiles", log, other, ""},
				{"two histories, wrong tiles", other, other, ""},
			} {
				got, err := compare(c.shown.serve(t).Tiles(t.Context()), c.before.head(t, old), log.head(t, size))
				want := c.want
				if old == size { // the roots settle it, and no tile is read
					want = map[bool]string{true: "fork", false: "consistent"}[strings.HasPrefix(c.name, "two")]
				}
				if err == nil && got.Outcome != want || (err != nil) != (want == "") {
					t.Errorf("%s, %d to %d: %s, %v; want %q", c.name, old, size, got.Outcome, err, want)
				}
			}
		}
	}
}

// TestSucceeds: a receipt gives way to none that says less.
func TestSucceeds(t *testing.T) {
	old := receipt(t, 1)
	if size, err := succeeds(old, old); err != nil || size != 2 {
		t.Errorf("%d, %v", size, err)
	}
	with := func(cp proofs.Checkpoint) proofs.Receipt {
		r := old
		r.Checkpoint = []byte(cp.String() + "\n— " + cp.Origin + " " + "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=" + "\n")
		return r
	}
	cp, err := checkpointOf(old)
	if err != nil {
		t.Fatal(err)
	}
	larger, smaller, forked, elsewhere := cp, cp, cp, cp
	larger.Size, smaller.Size = 9, 1
	forked.Root[0] ^= 1
	elsewhere.Origin = "cli.test/dev/2"
	if size, err := succeeds(old, with(larger)); err != nil || size != 9 {
		t.Errorf("%d, %v", size, err)
	}
	moved := old
	moved.Index++
	for name, fresh := range map[string]proofs.Receipt{
		"a smaller log": with(smaller), "another root": with(forked), "another log": with(elsewhere),
		"another entry": receipt(t, 2), "another place": moved,
	} {
		if _, err := succeeds(old, fresh); err == nil || !refusedEvidence(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
