package main

import (
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/muniment/muniment/service/api"
)

// ready asks /readyz.
func (c *client) ready(t testing.TB) api.Health {
	t.Helper()
	resp, err := c.http.Get(c.url + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var h api.Health
	if err := json.NewDecoder(resp.Body).Decode(&h); err != nil {
		t.Fatal(err)
	}
	if (resp.StatusCode == http.StatusOK) != (h.Status == "ready") || (len(h.Problems) > 0) != (h.Status == "unready") {
		t.Errorf("%d %+v", resp.StatusCode, h)
	}
	return h
}

// TestReadiness is I26 on the real server: what it stands on is taken away, and /readyz
// says so in less than five seconds; it is put back, and the same process is ready.
func TestReadiness(t *testing.T) {
	d := layout(t)
	p := d.serve(t, "--canary", "0")
	c := d.client(p)
	a, err := c.deposit("first", nil, []byte("a contract"))
	if err != nil {
		t.Fatal(err)
	}
	h := c.ready(t)
	cp, _ := c.whole(t)
	if h.Origin != d.Origin || h.Version == "" || h.Committed != cp.Size || h.Published != cp.Size || h.CheckpointTime == "" {
		t.Errorf("/readyz says %+v", h)
	}
	blobs, anchor := filepath.Join(d.Dir, "blobs"), filepath.Join(d.Dir, "anchor", "anchor")
	rename := func(from, to string) func(*testing.T) {
		return func(t *testing.T) {
			if err := os.Rename(from, to); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, b := range []struct {
		name       string
		harm, mend func(*testing.T) // mend nil: the end of the test mends
		want       string
	}{
		{"blobs moved away", rename(blobs, blobs+".away"), rename(blobs+".away", blobs), "unavailable"},
		{"blobs' temporary directory removed", rename(filepath.Join(blobs, "tmp"), blobs+".tmp"), rename(blobs+".tmp", filepath.Join(blobs, "tmp")), "unavailable"},
		{"blobs read-only", readOnly(blobs), nil, "unavailable"},
		{"anchor moved away", rename(anchor, anchor+".away"), rename(anchor+".away", anchor), "anchor-0"},
		{"disk hangs", func(t *testing.T) { p.attach(t, "-e", "trace=fsync", "-e", "inject=fsync:delay_enter=8000000") }, nil, "unavailable"},
	} {
		t.Run(b.name, func(t *testing.T) {
			b.harm(t)
			took := until(t, 10*time.Second, "unready", func() bool { return c.ready(t).Status == "unready" })
			if h := c.ready(t); took >= 5*time.Second || !slices.Equal(h.Problems, []string{b.want}) {
				t.Errorf("after %v: %+v", took, h)
			}
			t.Logf("unready after %v", took)
			if b.mend != nil {
				b.mend(t)
			}
		})
		took := until(t, 20*time.Second, "ready again after "+b.name, func() bool { return c.ready(t).Status == "ready" })
		t.Logf("ready again after %v", took)
		if _, err := c.deposit(b.name, nil, []byte("a contract")); err != nil {
			t.Errorf("after %s: %v", b.name, err)
		}
	}
	d.damage(t, c, a)
	p.stop(t)
}

// readOnly makes a directory read-only for as long as the test runs: by a mount, or,
// where nothing may be mounted, by its mode, which root would not heed.
func readOnly(dir string) func(t *testing.T) {
	return func(t *testing.T) {
		err := syscall.Mount(dir, dir, "", syscall.MS_BIND, "")
		if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.EACCES) {
			modes := []string{dir, filepath.Join(dir, "tmp")}
			for _, path := range modes {
				err = errors.Join(err, os.Chmod(path, 0o500))
			}
			t.Cleanup(func() {
				for _, path := range modes {
					os.Chmod(path, 0o700)
				}
			})
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { syscall.Unmount(dir, syscall.MNT_DETACH) })
		if err := syscall.Mount("", dir, "", syscall.MS_REMOUNT|syscall.MS_BIND|syscall.MS_RDONLY, ""); err != nil {
			t.Fatal(err)
		}
	}
}

// damage rots a document, reads it, and demands that /readyz does not forget it.
func (d *laidOut) damage(t *testing.T, c *client, a answer) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(d.Dir, "blobs", d.Tenant, "*", a.ID))
	if err != nil || len(files) != 1 {
		t.Fatalf("%d files: %v", len(files), err)
	}
	if err := os.WriteFile(files[0], []byte("rot"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := c.get("/v1/deposits/" + a.ID + "/document"); err == nil {
		t.Error("a rotten document is served")
	}
	for range 3 {
		if h := c.ready(t); !slices.Equal(h.Problems, []string{"damaged"}) {
			t.Errorf("after damage: %+v", h)
		}
		time.Sleep(time.Second)
	}
	if m := c.metrics(t); m.value("muniment_damage_findings") != 1 || m.value("muniment_ready") != 0 {
		t.Errorf("%v damage, ready %v", m.value("muniment_damage_findings"), m.value("muniment_ready"))
	}
}
