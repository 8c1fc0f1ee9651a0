package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain lets testscript run this test binary as muniment.
func TestMain(m *testing.M) {
	testscript.Main(withDepository{m}, map[string]func(){"muniment": main})
}

// withDepository has munimentd, the depository that the scripts talk to, on the PATH
// of the tests: as its own tests run it, so that it ends where an answer is not as
// openapi.yaml promises.
type withDepository struct{ *testing.M }

func (m withDepository) Run() int {
	dir, err := os.MkdirTemp("", "munimentd")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	defer os.RemoveAll(dir)
	build := exec.Command("go", "test", "-c", "-o", filepath.Join(dir, "munimentd"), "../munimentd")
	build.Stdout, build.Stderr = os.Stderr, os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "building munimentd:", err)
		return 2
	}
	os.Setenv("PATH", dir+string(filepath.ListSeparator)+os.Getenv("PATH"))
	return m.M.Run()
}

func TestScripts(t *testing.T) {
	sample, err := filepath.Abs("testdata/case")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(env *testscript.Env) error {
			env.Setenv("CASE", sample)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"depository": depository,
			"halt":       halt,
			"exits":      exits,
			"flip":       flip,
			"sparse":     sparse,
			"frugal":     frugal,
			"field":      field,
		},
		Condition: func(name string) (bool, error) {
			if name == "long" {
				return !testing.Short(), nil
			}
			return false, fmt.Errorf("no condition %q", name)
		},
		RequireUniqueNames: true,
	})
}

// depository DIR [flags…] runs munimentd on DIR, and sets MUNIMENT_SERVER and, when
// DIR is new, MUNIMENT_API_KEY.
func depository(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: depository DIR [flags…]")
	}
	cmd := exec.Command("munimentd", append([]string{"serve", "--dir", ts.MkAbs(args[0]), "--listen", "127.0.0.1:0"}, args[1:]...)...)
	out, err := cmd.StdoutPipe()
	ts.Check(err)
	var log strings.Builder
	cmd.Stderr = &log
	ts.Check(cmd.Start())
	stop := func() {
		cmd.Process.Signal(syscall.SIGTERM)
		cmd.Wait()
		if cmd.ProcessState.ExitCode() == 70 { // it answered what openapi.yaml does not promise
			fmt.Fprintln(os.Stderr, log.String())
		}
	}
	ts.Defer(stop)
	ts.Setenv("DEPOSITORY_PID", fmt.Sprint(cmd.Process.Pid))
	late := time.AfterFunc(30*time.Second, func() { cmd.Process.Kill() })
	defer late.Stop()
	for in := bufio.NewScanner(out); in.Scan(); {
		if key, ok := strings.CutPrefix(in.Text(), "api-key: "); ok {
			ts.Setenv("MUNIMENT_API_KEY", key)
		}
		if _, address, ok := strings.Cut(in.Text(), " on http://"); ok {
			ts.Setenv("MUNIMENT_SERVER", "http://"+address)
			return
		}
	}
	stop()
	ts.Fatalf("munimentd did not start:\n%s", log.String())
}

// halt stops the depository that was started last, and waits until it is gone.
func halt(ts *testscript.TestScript, neg bool, args []string) {
	var pid int
	_, err := fmt.Sscan(ts.Getenv("DEPOSITORY_PID"), &pid)
	ts.Check(err)
	ts.Check(syscall.Kill(pid, syscall.SIGTERM))
	for range 100 {
		// A zombie still has its pid, but no address space.
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
		if err != nil || strings.HasPrefix(string(stat), "0 ") {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	ts.Fatalf("the depository does not stop")
}

// exits CODE command… runs a command that must end with that code.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE command…")
	}
	code := 0
	err := ts.Exec(args[1], args[2:]...)
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		code = exit.ExitCode()
	case err != nil:
		ts.Fatalf("%v", err)
	}
	if fmt.Sprint(code) != args[0] {
		ts.Fatalf("exit code %d, want %s\n%s%s", code, args[0], ts.ReadFile("stdout"), ts.ReadFile("stderr"))
	}
}

// flip FILE changes one byte in the middle of a file.
func flip(ts *testscript.TestScript, neg bool, args []string) {
	path := ts.MkAbs(args[0])
	data, err := os.ReadFile(path)
	ts.Check(err)
	data[len(data)/2] ^= 1
	ts.Check(os.WriteFile(path, data, 0o644))
}

// sparse FILE MEBIBYTES makes a file of zeros.
func sparse(ts *testscript.TestScript, neg bool, args []string) {
	var mebibytes int64
	_, err := fmt.Sscan(args[1], &mebibytes)
	ts.Check(err)
	f, err := os.Create(ts.MkAbs(args[0]))
	ts.Check(err)
	ts.Check(errors.Join(f.Truncate(mebibytes<<20), f.Close()))
}

// frugal MEBIBYTES command… runs a command that must succeed and never have more
// than that in memory.
func frugal(ts *testscript.TestScript, neg bool, args []string) {
	var mebibytes int64
	_, err := fmt.Sscan(args[0], &mebibytes)
	ts.Check(err)
	cmd := exec.Command(args[1], args[2:]...)
	cmd.Dir = ts.MkAbs(".")
	for _, name := range []string{"PATH", "MUNIMENT_SERVER", "MUNIMENT_API_KEY"} {
		cmd.Env = append(cmd.Env, name+"="+ts.Getenv(name))
	}
	out, err := cmd.CombinedOutput()
	ts.Logf("%s", out)
	ts.Check(err)
	// ru_maxrss is in KiB here.
	if used := cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss >> 10; used > mebibytes {
		ts.Fatalf("%d MiB in memory, want at most %d", used, mebibytes)
	} else {
		ts.Logf("%d MiB in memory", used)
	}
}

// field VARIABLE NAME FILE takes the string that stands behind "NAME": in JSON.
func field(ts *testscript.TestScript, neg bool, args []string) {
	_, rest, ok := strings.Cut(ts.ReadFile(args[2]), `"`+args[1]+`":"`)
	value, _, ok2 := strings.Cut(rest, `"`)
	if !ok || !ok2 {
		ts.Fatalf("no %s in %s", args[1], args[2])
	}
	ts.Setenv(args[0], value)
}
