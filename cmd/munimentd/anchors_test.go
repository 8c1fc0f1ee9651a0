package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/muniment/muniment/storage/storagetest/servers"
)

// guarded is a depository in a directory, with anchors that its settings name.
func guarded(t *testing.T, settings string) *laidOut {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "depository")
	settings = strings.ReplaceAll(settings, "DIR", dir) + "\ncanary: 0s\n"
	if err := errors.Join(os.Mkdir(dir, 0o700), os.WriteFile(filepath.Join(dir, configName), []byte(settings), 0o600)); err != nil {
		t.Fatal(err)
	}
	return layoutIn(t, dir)
}

// anchorSizes is what munimentd anchor list tells.
func (d *laidOut) anchorSizes(t *testing.T, args ...string) []uint64 {
	t.Helper()
	code, out := d.run(t, append([]string{"anchor", "list", "--json", "--dir", d.Dir}, args...)...)
	var l listed
	if err := json.Unmarshal([]byte(out), &l); err != nil || code != 0 {
		t.Fatalf("anchor list: exit code %d, %v: %s", code, err, out)
	}
	var sizes []uint64
	for _, a := range l.Anchors {
		sizes = append(sizes, a.Size)
	}
	return sizes
}

// TestRestoreBesideAnchors is I3 for a backup of a depository whose second anchor outlived
// it: restore looks at it whatever it is told, advances it and never sets it back.
func TestRestoreBesideAnchors(t *testing.T) {
	second := filepath.Join(t.TempDir(), "second")
	d := guarded(t, fmt.Sprintf("anchors: ['dir:DIR/anchor', 'dir:%s']", second))
	anchors := fmt.Sprintf("[dir:%s, dir:%s]", filepath.Join(d.Dir, "anchor"), second)
	p := d.serve(t)
	c := d.client(p)
	deposit := func(key string) {
		t.Helper()
		if _, err := c.deposit(key, nil, []byte(key)); err != nil {
			t.Fatal(err)
		}
	}
	deposit("old")
	target := filepath.Join(t.TempDir(), "backups")
	d.backUp(t, target) // of a running one
	deposit("new")
	p.stop(t)
	newest := filepath.Join(t.TempDir(), "newest")
	copyOver(t, filepath.Join(d.Dir, "anchor", "anchor"), newest)
	keys := filepath.Join(t.TempDir(), "keys")
	copyTree(t, filepath.Join(d.Dir, "keys"), keys)
	settings := filepath.Join(t.TempDir(), "settings.yaml")
	copyOver(t, filepath.Join(d.Dir, configName), settings)
	d.backUp(t, target+"-stopped")
	if err := os.RemoveAll(d.Dir); err != nil {
		t.Fatal(err)
	}
	restore := func(from string, args ...string) (int, string) {
		t.Helper()
		if err := os.RemoveAll(d.Dir); err != nil {
			t.Fatal(err)
		}
		code, out := d.run(t, append([]string{"restore", "--config", settings, "--from", from, "--dir", d.Dir, "--keys", keys}, args...)...)
		if code != exitFailure {
			copyOver(t, settings, filepath.Join(d.Dir, configName))
		}
		return code, out
	}

	// What the operator asserts is held against the anchor that outlived it.
	for what, args := range map[string][]string{"asserted": {"--nothing-newer"}, "the anchor by its name": {"--newest", "dir:" + second}} {
		code, out := restore(target, args...)
		if code != exitFound || !strings.Contains(out, "BEHIND: the backup has 2 entries, but anchor dir:"+second+" shows 3.") {
			t.Errorf("%s: exit code %d: %s", what, code, out)
			continue
		}
		if got := d.anchorSizes(t, "--anchors", anchors); !slices.Equal(got, []uint64{3, 3}) {
			t.Errorf("%s: the anchors hold %d", what, got)
		}
		d.refusesToServe(t, 3)
	}

	// An anchor that is missing is made, and one that was rolled back is advanced.
	for what, harm := range map[string]func(){
		"missing": func() { remove(t, filepath.Join(second, "anchor")) },
		"rolled back": func() {
			remove(t, filepath.Join(second, "anchor"))
			if code, out := d.run(t, "restore", "--config", settings, "--from", target, "--dir", d.Dir+"-other", "--keys", keys, "--nothing-newer",
				"--anchors", fmt.Sprintf("[dir:%s]", second)); code != 0 {
				t.Fatalf("exit code %d: %s", code, out)
			}
		},
	} {
		harm()
		if code, out := restore(target, "--newest", newest); code != exitFound || !strings.Contains(out, "BEHIND: ") {
			t.Errorf("%s: exit code %d: %s", what, code, out)
		}
		if got := d.anchorSizes(t); !slices.Equal(got, []uint64{3, 3}) {
			t.Errorf("%s: the anchors hold %d", what, got)
		}
		d.refusesToServe(t, 3)
	}

	// The newer backup is as new as the anchors: it goes on.
	code, out := restore(target+"-stopped", "--newest", "dir:"+second)
	if code != 0 || !strings.Contains(out, "RESTORED: ") {
		t.Fatalf("exit code %d: %s", code, out)
	}
	p = d.serve(t)
	c = d.client(p)
	deposit("newer")
	p.stop(t)
	d.clean(t)
	if got := d.anchorSizes(t); !slices.Equal(got, []uint64{4, 4}) {
		t.Errorf("the anchors hold %d", got)
	}

	// An anchor that cannot be read might know more; one of another log is not touched.
	write(t, filepath.Join(second, "anchor"), strings.Repeat("x", 8192))
	code, out = restore(target, "--newest", newest)
	if code != exitFailure || !strings.Contains(out, "how far the log had come is not known before it can be read") {
		t.Errorf("a broken anchor: exit code %d: %s", code, out)
	}
	nothingAt(t, d.Dir)
	other := layout(t)
	copyOver(t, filepath.Join(other.Dir, "anchor", "anchor"), filepath.Join(second, "anchor"))
	code, out = restore(target, "--newest", newest)
	if code != exitFailure || !strings.Contains(out, "it is of the log "+other.Origin) {
		t.Errorf("another log's anchor: exit code %d: %s", code, out)
	}
	nothingAt(t, d.Dir)
}

// TestAnchorAdd makes anchors beside a depository under load, killed at any moment, and
// puts them into use: what is there is whole, of this log, and never ahead of it.
func TestAnchorAdd(t *testing.T) {
	second := filepath.Join(t.TempDir(), "second")
	d := guarded(t, "anchors: ['dir:DIR/anchor']")
	p := d.serve(t)
	l := d.lend(t)
	l.now.Store(d.client(p))
	made := 0
	for n := range rounds(20, 200) {
		target := fmt.Sprint(second, n)
		cmd := exec.Command("munimentd", "anchor", "add", "dir:"+target, "--dir", d.Dir)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(n) * 2 * time.Millisecond)
		_ = cmd.Process.Signal(syscall.SIGKILL)
		_ = cmd.Wait()
		if _, err := os.Stat(filepath.Join(target, "anchor")); err == nil {
			made++
		} else if code, out := d.run(t, "anchor", "add", "dir:"+target, "--dir", d.Dir); code != 0 {
			t.Fatalf("after a kill: exit code %d: %s", code, out)
		}
	}
	// Two at once: one of them makes it.
	var group sync.WaitGroup
	codes := make([]int, 4)
	for i := range codes {
		group.Go(func() { codes[i], _ = d.run(t, "anchor", "add", "dir:"+second, "--dir", d.Dir) })
	}
	group.Wait()
	slices.Sort(codes)
	if !slices.Equal(codes, []int{0, exitFailure, exitFailure, exitFailure}) {
		t.Errorf("four at once end with %d", codes)
	}
	for n := len(l.since(0)); len(l.since(0)) < n+50; {
		time.Sleep(10 * time.Millisecond)
	}
	receipts, _ := l.account(t)
	p.stop(t)

	all := []string{"dir:" + filepath.Join(d.Dir, "anchor"), "dir:" + second}
	for n := range rounds(20, 200) {
		all = append(all, fmt.Sprint("dir:", second, n))
	}
	list := "[" + strings.Join(all, ", ") + "]"
	p = d.serve(t, "--anchors", list)
	if said := p.out.String(); strings.Count(said, "an anchor lags") != len(all)-1 {
		t.Errorf("%d anchors lag: %s", len(all)-1, said)
	}
	p.stop(t)
	for i, size := range d.anchorSizes(t, "--anchors", list) {
		if size != uint64(receipts)+1 {
			t.Errorf("%s holds %d, of %d receipts and the genesis", all[i], size, receipts)
		}
	}
	t.Logf("%d of %d were made before they were killed", made, rounds(20, 200))
}

// TestSecondAnchorDown takes the second anchor, in S3, away from under writers: no receipt
// leaves meanwhile, /readyz names the anchor, and everything resumes by itself.
func TestSecondAnchorDown(t *testing.T) {
	s, err := servers.StartS3(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Kill)
	if err := s.MakeBucket("anchor", false); err != nil {
		t.Fatal(err)
	}
	d := guarded(t, fmt.Sprintf("anchors: ['dir:DIR/anchor', s3]\nanchor: {s3: {endpoint: %q, bucket: anchor, access-key: %q, secret-key: %q}}",
		s.Endpoint, s.AccessKey, s.SecretKey))
	p := d.serve(t)
	c := d.client(p)
	l := d.lend(t)
	l.now.Store(c)
	for round := range rounds(2, 20) {
		until(t, 20*time.Second, "receipts", func() bool { return len(l.since(0)) > 20*(round+1) })
		s.Kill()
		took := until(t, 10*time.Second, "unready", func() bool { return c.ready(t).Status == "unready" })
		if h := c.ready(t); took > 5*time.Second || !slices.Contains(h.Problems, "anchor-1") || slices.Contains(h.Problems, "anchor-0") {
			t.Errorf("after %v: %+v", took, h)
		}
		before, err := c.checkpoint()
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		if now, err := c.checkpoint(); err != nil || now.Size != before.Size {
			t.Errorf("%d entries were published, %d before (%v)", now.Size, before.Size, err)
		}
		if err := s.Start(); err != nil {
			t.Fatal(err)
		}
		took = until(t, 20*time.Second, "ready again", func() bool { return c.ready(t).Status == "ready" })
		t.Logf("ready again after %v", took)
	}
	l.account(t)
	p.stop(t)
	d.clean(t)
	if sizes := d.anchorSizes(t); sizes[0] != sizes[1] {
		t.Errorf("the anchors hold %d", sizes)
	}
}
