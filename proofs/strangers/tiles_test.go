package strangers

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"filippo.io/torchwood"
	"github.com/muniment/muniment/proofs"
	"golang.org/x/mod/sumdb/tlog"
)

// TestTileClientReadsAnExportedLog: a client that is not ours reads entries, tiles and
// checkpoint from a directory and comes to the same root.
func TestTileClientReadsAnExportedLog(t *testing.T) {
	for _, n := range []int{1, 255, 256, 700} {
		d, dir := newDepository(t, n), t.TempDir()
		d.export(t, dir)
		p, err := torchwood.ParsePolicy([]byte("log " + vkey(t, origin, proofs.TypeEd25519, "log").String() + "\nquorum none\n"))
		if err != nil {
			t.Fatal(err)
		}
		c, tiles, client := reader(t, dir, p)
		read := 0
		for i, entry := range client.AllEntries(t.Context(), c.Tree, 0) {
			if string(entry) != d.entries[i].String() {
				t.Fatalf("entry %d of %d: %q", i, c.N, entry)
			}
			read++
		}
		if err := client.Err(); err != nil || read != n+1 {
			t.Fatalf("%d of %d entries: %v", read, n+1, err)
		}
		hashes := torchwood.TileHashReaderWithContext(t.Context(), c.Tree, tiles)
		if root, err := tlog.TreeHash(c.N, hashes); err != nil || root != c.Hash {
			t.Fatalf("root of %d: %v", c.N, err)
		}
		entry, path, err := client.Entry(t.Context(), c.Tree, 1)
		if err != nil || proofs.VerifyInclusion(ours(path), 1, uint64(c.N), proofs.LeafHash(entry), proofs.Hash(c.Hash)) != nil {
			t.Fatalf("their proof of entry 1 in %d: %v", c.N, err)
		}
	}
}

// TestTileClientRefusesASpoiledTile keeps the test above honest.
func TestTileClientRefusesASpoiledTile(t *testing.T) {
	d, dir := newDepository(t, 300), t.TempDir()
	d.export(t, dir)
	path := filepath.Join(dir, "tile/0/000")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	tile, err := proofs.ParseTile(data)
	if err != nil || !bytes.Equal(tile.Marshal(), data) {
		t.Fatal(err)
	}
	data[100] ^= 1
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	tiles, _ := torchwood.NewTileFS(os.DirFS(dir))
	client, _ := torchwood.NewClient(tiles)
	root, err := proofs.RootAt(d.size(), d)
	if err != nil {
		t.Fatal(err)
	}
	tree := tlog.Tree{N: int64(d.size()), Hash: tlog.Hash(root)}
	if _, _, err := client.Entry(t.Context(), tree, 1); err == nil {
		t.Error("a spoiled tile is taken")
	}
}

// reader is the checkpoint of the log in a directory, which satisfies the policy, and
// torchwood's readers of its tiles.
func reader(t *testing.T, dir string, p torchwood.Policy) (torchwood.Checkpoint, *torchwood.TileFS, *torchwood.Client) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, "checkpoint"))
	if err != nil {
		t.Fatal(err)
	}
	c, _, err := torchwood.VerifyCheckpoint(data, p)
	if err != nil {
		t.Fatal(err)
	}
	tiles, err := torchwood.NewTileFS(os.DirFS(dir))
	if err != nil {
		t.Fatal(err)
	}
	client, err := torchwood.NewClient(tiles)
	if err != nil {
		t.Fatal(err)
	}
	return c, tiles, client
}
