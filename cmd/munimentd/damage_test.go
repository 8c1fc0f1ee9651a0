package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/muniment/muniment/proofs"
)

// export is all that a depository answers: path by path, what GET gave.
type export map[string][]byte

// exportPaths are the public log at a size and every deposit's entry, record and
// document. A receipt is the same bytes as long as no newer checkpoint is published.
func exportPaths(size uint64, answers []answer) []string {
	paths := []string{"/log/checkpoint", "/log/policy", "/log/records/0"}
	for level, n := 0, size; n > 0; level, n = level+1, n>>proofs.TileHeight {
		for first := uint64(0); first < n; first += proofs.TileWidth {
			width := int(min(proofs.TileWidth, n-first))
			paths = append(paths, tilePath(strconv.Itoa(level), first/proofs.TileWidth, width))
			if level == 0 {
				paths = append(paths, tilePath("entries", first/proofs.TileWidth, width))
			}
		}
	}
	for _, a := range answers {
		paths = append(paths, "/v1/deposits/"+a.ID)
		if strings.Contains(string(a.Record), `"content.held":true`) {
			paths = append(paths, "/v1/deposits/"+a.ID+"/document")
		}
	}
	return paths
}

// all reads every path; what was not answered with a success is its error.
func (c *client) all(paths []string) (export, map[string]error) {
	var mu sync.Mutex
	var workers sync.WaitGroup
	got, failed := export{}, map[string]error{}
	for part := range slices.Chunk(paths, len(paths)/4+1) {
		workers.Go(func() {
			for _, path := range part {
				data, err := c.get(path)
				mu.Lock()
				if err != nil {
					failed[path] = err
				} else {
					got[path] = data
				}
				mu.Unlock()
			}
		})
	}
	workers.Wait()
	return got, failed
}

// difference names a path that was answered, and with other bytes. An honest error
// is none: 5xx, or a connection that broke off.
func (e export) difference(got export, failed map[string]error) error {
	for path, data := range got {
		if !bytes.Equal(data, e[path]) {
			return fmt.Errorf("%s is served as %q, it was %q", path, clip(data), clip(e[path]))
		}
	}
	for path, err := range failed {
		if p := new(problem); errors.As(err, &p) && p.Status < 500 || !errors.As(err, &p) && !errors.Is(err, errNotServed) {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	return nil
}

func clip(data []byte) string {
	if len(data) > 300 {
		data = data[:300]
	}
	return string(data)
}

// damaged is what became of one flip.
type damaged struct{ found, unmade, refused, failing, harmless int }

// TestFlippedBits is I8 on the files of a depository at rest: one bit is flipped
// anywhere in ledger, documents or anchor. fsck finds it, or it changed nothing; and
// what is served is right, or an error.
func TestFlippedBits(t *testing.T) {
	stopped := layout(t)
	p := stopped.serve(t)
	c := stopped.client(p)
	answers := stopped.fill(t, c, 300)
	cp, err := c.checkpoint()
	if err != nil {
		t.Fatal(err)
	}
	paths := exportPaths(cp.Size, answers)
	before, failed := c.all(paths)
	if len(failed) > 0 || len(before) != len(paths) {
		t.Fatalf("before any damage: %v", failed)
	}
	// After a kill the newest entries stand in the write-ahead log alone, after a stop
	// in tables.
	p.kill()
	killed := stopped.copyOf(t, "killed")
	stopped.serve(t).stop(t)

	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	t.Logf("seed %d", seed)
	outcome := map[string]*damaged{}
	for i := range rounds(48, 1500) {
		from := stopped
		if i%8 > 4 || i%8 == 0 {
			from = killed
		}
		d := from.copyOf(t, "damaged")
		path, where := flip(t, d.Dir, random, []string{"ledger", "blobs", "anchor", "blobs"}[i%4])
		kind := strings.SplitN(path, "/", 2)[0]
		if outcome[kind] == nil {
			outcome[kind] = &damaged{}
		}
		o := outcome[kind]
		if err := d.judge(t, o, sampled(paths, random), before); err != nil {
			t.Errorf("seed %d, flip %d: bit %s of %s: %v", seed, i, where, path, err)
		}
	}
	for kind, o := range outcome {
		t.Logf("%s: found by fsck %d, not to be checked %d, harmless %d; serve refused to start %d, answered some with errors %d", kind, o.found, o.unmade, o.harmless, o.refused, o.failing)
		if kind == "anchor" && o.refused+o.failing+o.found > 0 {
			t.Error("the anchor stands twice in its file, and one flipped bit was too much for it")
		}
		if kind != "anchor" && o.found == 0 {
			t.Errorf("nothing was found in %s: the flips do not reach it", kind)
		}
	}
}

// fill deposits n digests and, among them, documents.
func (d *laidOut) fill(t *testing.T, c *client, n int) []answer {
	t.Helper()
	answers := make([]answer, n)
	errs := make(chan error, n)
	var workers sync.WaitGroup
	for w := range writers {
		workers.Go(func() {
			for i := w; i < n; i += writers {
				var err error
				if i%12 == 0 {
					answers[i], err = c.deposit(fmt.Sprint("fill-", i), map[string]any{"contract.number": fmt.Sprint("LC-", i%36)}, bytes.Repeat([]byte(fmt.Sprint("contract ", i, "\n")), 50*i))
				} else {
					answers[i], err = c.digest(fmt.Sprint("fill-", i), fmt.Sprint("LC-", i%36), fmt.Sprint("loan ", i))
				}
				if err != nil {
					errs <- err
				}
			}
		})
	}
	workers.Wait()
	select {
	case err := <-errs:
		t.Fatal(err)
	default:
	}
	return answers
}

// flip flips one bit in a file under dir/kind, each byte there as likely as any
// other, and returns which.
func flip(t *testing.T, dir string, random *rand.Rand, kind string) (path, where string) {
	t.Helper()
	var files []string
	var sizes []int64
	var total int64
	err := filepath.WalkDir(filepath.Join(dir, kind), func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		files, sizes, total = append(files, path), append(sizes, info.Size()), total+info.Size()
		return nil
	})
	if err != nil || total == 0 {
		t.Fatalf("nothing to damage in %s: %v", kind, err)
	}
	at := random.Int64N(total)
	if kind == "anchor" && random.IntN(4) > 0 {
		at = at&4096 | at%300 // most of its two slots is zeros; this is what they say
	}
	for i, path := range files {
		if at >= sizes[i] {
			at -= sizes[i]
			continue
		}
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		var b [1]byte
		if _, err := f.ReadAt(b[:], at); err != nil {
			t.Fatal(err)
		}
		bit := random.IntN(8)
		b[0] ^= 1 << bit
		if _, err := f.WriteAt(b[:], at); err != nil {
			t.Fatal(err)
		}
		rest, _ := filepath.Rel(dir, path)
		return rest, fmt.Sprintf("%d.%d", at, bit)
	}
	panic("unreachable")
}

// sampled is what one look at a damaged depository asks for: all of the log, and some
// of the deposits. The store takes a twentieth of a second over each damaged block,
// every time that it is read.
func sampled(paths []string, random *rand.Rand) []string {
	return slices.DeleteFunc(slices.Clone(paths), func(path string) bool {
		return strings.HasPrefix(path, "/v1/") && !strings.HasSuffix(path, "/document") && random.IntN(10) > 0
	})
}

// judge lets fsck look at the damaged copy, and then serves it. Neither may mend what
// the other should have seen, so each has a copy of its own.
func (d *laidOut) judge(t *testing.T, o *damaged, paths []string, before export) error {
	t.Helper()
	served := d.copyOf(t, "served")
	code, out := d.fsck(t)
	switch {
	case code == 0 && strings.Contains(out, "CLEAN"):
	case code == exitFound && strings.Contains(out, "DAMAGED"):
		o.found++
	case code == exitFailure && !strings.Contains(out, "CLEAN"): // the check could not be made, and it says so
		o.unmade++
	default:
		return fmt.Errorf("fsck: exit code %d: %s", code, out)
	}
	p := served.launch(t, nil)
	defer p.kill()
	if !p.wait(30 * time.Second) {
		if code := p.exit(t, time.Second); code != exitFailure && code != exitFatal {
			return fmt.Errorf("serve: exit code %d: %s", code, p.out)
		}
		o.refused++
		if strings.Contains(out, "CLEAN") {
			return fmt.Errorf("fsck says CLEAN, and serve will not start: %s", p.out)
		}
		return nil
	}
	got, failed := served.client(p).all(paths)
	if len(failed) > 0 {
		o.failing++
	}
	if err := before.difference(got, failed); err != nil {
		return err
	}
	if code == 0 {
		o.harmless++
		if len(failed) > 0 {
			return fmt.Errorf("fsck says CLEAN, and %d of %d are not served: %v", len(failed), len(paths), failed)
		}
	}
	return nil
}
