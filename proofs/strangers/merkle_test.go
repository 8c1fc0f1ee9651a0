package strangers

import (
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"

	"github.com/muniment/muniment/proofs"
	tproof "github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/tlog"
)

// torture asks for the exhaustive forms of the tests: minutes, not seconds.
var torture = os.Getenv("MUNIMENT_TORTURE") == "1"

// A grove is one tree grown twice: with our hashes and with x/mod's.
type grove struct {
	leaves []proofs.Hash
	levels [][]proofs.Hash
	stored []tlog.Hash
	tiles  map[[3]uint64]*proofs.Tile
}

func grow(t testing.TB, n int) *grove {
	t.Helper()
	g := &grove{tiles: map[[3]uint64]*proofs.Tile{}}
	var r proofs.Range
	for i := range n {
		data := []byte("leaf " + strconv.Itoa(i))
		leaf := proofs.LeafHash(data)
		if tlog.RecordHash(data) != tlog.Hash(leaf) || proofs.Hash(rfc6962.DefaultHasher.HashLeaf(data)) != leaf {
			t.Fatal("leaf hashes differ")
		}
		more, err := tlog.StoredHashesForRecordHash(int64(i), tlog.Hash(leaf), g)
		if err != nil {
			t.Fatal(err)
		}
		g.stored = append(g.stored, more...)
		g.leaves = append(g.leaves, leaf)
		r.Append(leaf, func(height int, h proofs.Hash) {
			if height%proofs.TileHeight != 0 {
				return
			}
			level := height / proofs.TileHeight
			if level == len(g.levels) {
				g.levels = append(g.levels, nil)
			}
			g.levels[level] = append(g.levels[level], h)
		})
	}
	return g
}

func (g *grove) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	var out []tlog.Hash
	for _, i := range indexes {
		out = append(out, g.stored[i])
	}
	return out, nil
}

func (g *grove) ReadTile(level int, index uint64, width int) (*proofs.Tile, error) {
	key := [3]uint64{uint64(level), index, uint64(width)}
	if g.tiles[key] == nil {
		first := index * proofs.TileWidth
		g.tiles[key] = proofs.NewTile(g.levels[level][first : first+uint64(width)])
	}
	return g.tiles[key], nil
}

func ours[H ~[32]byte](path []H) []proofs.Hash {
	out := make([]proofs.Hash, len(path))
	for i, h := range path {
		out[i] = proofs.Hash(h)
	}
	return out
}

func bytesOf(path []proofs.Hash) [][]byte {
	out := make([][]byte, len(path))
	for i := range path {
		out[i] = path[i][:]
	}
	return out
}

func xmod(path []proofs.Hash) []tlog.Hash {
	out := make([]tlog.Hash, len(path))
	for i, h := range path {
		out[i] = tlog.Hash(h)
	}
	return out
}

func TestProofsAreXModsProofs(t *testing.T) {
	const most = 520
	g := grow(t, most)
	for n := int64(1); n <= most; n++ {
		if !torture && n > 70 && n%37 != 0 && n != 256 && n != 257 && n != 512 {
			continue
		}
		root, err := proofs.RootAt(uint64(n), g)
		if err != nil {
			t.Fatal(err)
		}
		if theirs, err := tlog.TreeHash(n, g); err != nil || proofs.Hash(theirs) != root {
			t.Fatalf("root of %d: %v", n, err)
		}
		for i := int64(0); i < n; i++ {
			path, err := proofs.InclusionProof(uint64(i), uint64(n), g)
			if err != nil {
				t.Fatal(err)
			}
			if theirs, err := tlog.ProveRecord(n, i, g); err != nil || !slices.Equal(ours(theirs), path) {
				t.Fatalf("inclusion proof of %d in %d: %v", i, n, err)
			}
			consistency, err := proofs.ConsistencyProof(uint64(i+1), uint64(n), g)
			if err != nil {
				t.Fatal(err)
			}
			if theirs, err := tlog.ProveTree(n, i+1, g); err != nil || !slices.Equal(ours(theirs), consistency) {
				t.Fatalf("consistency proof of %d in %d: %v", i+1, n, err)
			}
		}
	}
}

// spoil changes a claim at random; half of the time it leaves it as it is.
func spoil(r *rand.Rand, path []proofs.Hash, a, b *uint64, h1, h2 *proofs.Hash, g *grove) []proofs.Hash {
	path = slices.Clone(path)
	hash := func() proofs.Hash { return g.leaves[r.IntN(len(g.leaves))] }
	switch r.IntN(20) {
	case 0:
		*a += uint64(r.IntN(3)) - 1
	case 1:
		*b += uint64(r.IntN(3)) - 1
	case 2:
		*a = uint64(r.IntN(len(g.leaves)))
	case 3:
		h1[r.IntN(32)] ^= 1 << r.IntN(8)
	case 4:
		h2[r.IntN(32)] ^= 1 << r.IntN(8)
	case 5:
		*h1, *h2 = *h2, *h1
	case 6:
		path = append(path, hash())
	case 7:
		path = slices.Insert(path, r.IntN(len(path)+1), hash())
	case 8:
		path = append([]proofs.Hash{*h1}, path...)
	case 9, 10, 11, 12:
		if len(path) == 0 {
			break
		}
		i, j := r.IntN(len(path)), r.IntN(len(path))
		switch r.IntN(4) {
		case 0:
			path[i][r.IntN(32)] ^= 1 << r.IntN(8)
		case 1:
			path = slices.Delete(path, i, i+1)
		case 2:
			path[i], path[j] = path[j], path[i]
		case 3:
			path[i] = hash()
		}
	}
	return path
}

// TestVerifiersAgree gives random claims, right and wrong, to three verifiers. Under
// torture it runs for about half an hour: give it -timeout 2h.
func TestVerifiersAgree(t *testing.T) {
	runs := 300_000
	if torture {
		runs = 100_000_000
	}
	g := grow(t, 300)
	roots := make([]proofs.Hash, len(g.leaves)+1)
	for n := range roots {
		roots[n], _ = proofs.RootAt(uint64(n), g)
	}
	r := rand.New(rand.NewPCG(1, 2))
	accepted := [2]int{}
	for run := range runs {
		n := 1 + r.Uint64N(uint64(len(g.leaves)))
		a := r.Uint64N(n)
		if run%2 == 0 {
			path, _ := proofs.InclusionProof(a, n, g)
			leaf, root := g.leaves[a], roots[n]
			path = spoil(r, path, &a, &n, &leaf, &root, g)
			us := proofs.VerifyInclusion(path, a, n, leaf, root) == nil
			x := tlog.CheckRecord(xmod(path), int64(n), tlog.Hash(root), int64(a), tlog.Hash(leaf)) == nil
			m := tproof.VerifyInclusion(rfc6962.DefaultHasher, a, n, leaf[:], bytesOf(path), root[:]) == nil
			if us != x || us != m {
				t.Fatalf("run %d, inclusion of %d in %d: we %v, x/mod %v, merkle %v", run, a, n, us, x, m)
			}
			if us {
				accepted[0]++
			}
			continue
		}
		a++
		path, _ := proofs.ConsistencyProof(a, n, g)
		old, root := roots[a], roots[n]
		path = spoil(r, path, &a, &n, &old, &root, g)
		if a == 0 {
			continue // the empty tree is a prefix of any to us and to merkle, and an error to x/mod
		}
		us := proofs.VerifyConsistency(path, a, n, old, root) == nil
		x := tlog.CheckTree(xmod(path), int64(n), tlog.Hash(root), int64(a), tlog.Hash(old)) == nil
		m := tproof.VerifyConsistency(rfc6962.DefaultHasher, a, n, bytesOf(path), old[:], root[:]) == nil
		if us != x || us != m {
			t.Fatalf("run %d, consistency of %d and %d: we %v, x/mod %v, merkle %v", run, a, n, us, x, m)
		}
		if us {
			accepted[1]++
		}
	}
	t.Logf("%d claims; inclusion accepted %d times, consistency %d times", runs, accepted[0], accepted[1])
	if accepted[0] < runs/8 || accepted[1] < runs/8 {
		t.Error("too few of the claims were right")
	}
}
