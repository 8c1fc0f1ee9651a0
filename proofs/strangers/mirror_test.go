package strangers

import (
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"filippo.io/torchwood"
	"github.com/muniment/muniment/proofs"
	"golang.org/x/mod/sumdb/tlog"
)

// TestTileClientReadsAMirror: what `muniment audit` leaves in a folder, a client that is
// not ours reads as the log it is: after the first audit, and when the log has grown.
func TestTileClientReadsAMirror(t *testing.T) {
	s := serve(t)
	dir := t.TempDir()
	binary, mirror, policy := filepath.Join(dir, "muniment"), filepath.Join(dir, "mirror"), filepath.Join(dir, "policy")
	build := exec.Command("go", "build", "-o", binary, "github.com/muniment/muniment/cmd/muniment")
	build.Dir = filepath.Join("..", "..") // its own module has its dependencies
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if err := os.WriteFile(policy, s.policy, 0o644); err != nil {
		t.Fatal(err)
	}
	leaves := map[int64]string{}
	for _, n := range []int{3, 255, 600} {
		var mu sync.Mutex
		var all sync.WaitGroup
		turn := make(chan struct{}, 32)
		for i := len(leaves); i < n; i++ {
			all.Go(func() {
				turn <- struct{}{}
				defer func() { <-turn }()
				a, err := s.deposit(i)
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				leaves[int64(a.Index)] = a.Leaf
			})
		}
		all.Wait()
		if out, err := exec.Command(binary, "audit", "--log", s.url+"/log", "--policy", policy, "--dir", mirror).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		p, err := torchwood.ParsePolicy(s.policy)
		if err != nil {
			t.Fatal(err)
		}
		c, tiles, client := reader(t, mirror, p)
		read := 0
		for i, entry := range client.AllEntries(t.Context(), c.Tree, 0) {
			if want, known := leaves[i]; known && proofs.LeafHash(entry).String() != want {
				t.Fatalf("entry %d of %d: %q", i, c.N, entry)
			}
			read++
		}
		if err := client.Err(); err != nil || int64(read) != c.N || read < n+1 {
			t.Fatalf("%d of %d entries: %v", read, c.N, err)
		}
		hashes := torchwood.TileHashReaderWithContext(t.Context(), c.Tree, tiles)
		if root, err := tlog.TreeHash(c.N, hashes); err != nil || root != c.Hash {
			t.Fatalf("root of %d: %v", c.N, err)
		}
	}
}
