package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain lets testscript run this test binary as muniment-bench.
func TestMain(m *testing.M) {
	testscript.Main(withDepository{m}, map[string]func(){"muniment-bench": main})
}

// withDepository has the real munimentd on the PATH of the tests.
type withDepository struct{ *testing.M }

func (m withDepository) Run() int {
	dir, err := os.MkdirTemp("", "munimentd")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	defer os.RemoveAll(dir)
	build := exec.Command("go", "build", "-o", dir, "../munimentd")
	build.Stdout, build.Stderr = os.Stderr, os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "building munimentd:", err)
		return 2
	}
	os.Setenv("PATH", dir+string(filepath.ListSeparator)+os.Getenv("PATH"))
	return m.M.Run()
}

// TestScripts is what a user sees.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
	})
}

// brief is a load of a second, without the machine's own rates.
func brief(mix string) loadOptions {
	return loadOptions{
		Mix: mix, Clients: 8, Warmup: 100 * time.Millisecond, Duration: time.Second, Lines: 100, DocumentSize: 3000,
		Repeat: 0.3, Known: 200, Seed: 1, Spool: os.TempDir(), SpoolMax: 1 << 30,
	}
}

// running is a depository that serves until the test ends.
func running(t *testing.T) *depository {
	t.Helper()
	d, err := layOut(t.Context(), "munimentd", filepath.Join(t.TempDir(), "depository"))
	if err != nil {
		t.Fatal(err)
	}
	if err := d.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.kill)
	return d
}

func benchOn(t *testing.T, d *depository, o loadOptions) *bench {
	t.Helper()
	b, err := newBench(d, o, t.TempDir(), newReport(o.Seed, t.TempDir()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.spool.close() })
	return b
}
