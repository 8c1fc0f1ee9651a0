package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A tracer is strace on a munimentd: it shows its system calls, and makes them fail.

// straceArgs are the arguments by which strace writes calls to file, each with thread,
// time and the paths of its descriptors.
func straceArgs(t testing.TB, file string, args ...string) []string {
	t.Helper()
	if _, err := exec.LookPath("strace"); err != nil {
		t.Fatal("strace is missing, and without it nothing is proved here: apt-get install strace")
	}
	return append([]string{"strace", "-f", "-q", "-y", "-ttt", "-s", "8192", "-o", file}, args...)
}

// attach puts a tracer on a running process. Calls are counted from then on.
func (p *process) attach(t testing.TB, args ...string) (file string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "trace")
	line := straceArgs(t, file, append(args, "-p", strconv.Itoa(p.pid))...)
	cmd := exec.Command(line[0], line[1:]...)
	cmd.Stdout, cmd.Stderr = p.out, p.out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		cmd.Wait()
		close(done)
	}()
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		<-done
	})
	for deadline := time.Now().Add(10 * time.Second); !p.traced(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("strace does not attach: %s", p.out)
		}
	}
	return file
}

// traced reports whether a tracer has every thread of the process.
func (p *process) traced() bool {
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", p.pid))
	if err != nil || len(tasks) == 0 {
		return false
	}
	for _, path := range tasks {
		status, err := os.ReadFile(path)
		if err == nil && strings.Contains(string(status), "\nTracerPid:\t0\n") {
			return false
		}
	}
	return true
}

// call is one system call of a trace. What began later did not begin earlier; what
// ended before another began was over by then.
type call struct {
	name     string
	text     string // arguments and result
	path     string // of the first descriptor
	from, to int    // lines on which it began and ended
	at       time.Time
}

var (
	traceLine = regexp.MustCompile(`^(\d+) +(\d+\.\d+) (.*)$`)
	traceCall = regexp.MustCompile(`^(\w+)\((?:\d+<([^>]*)>)?`)
	resumed   = regexp.MustCompile(`^<\.\.\. \w+ resumed>`)
)

// calls reads a trace, in the order in which the calls ended.
func calls(t testing.TB, file string) []call {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var all []call
	pending := map[string]call{} // by thread
	for n, line := range strings.Split(string(data), "\n") {
		m := traceLine.FindStringSubmatch(line)
		if m == nil || strings.HasPrefix(m[3], "--- ") { // a signal
			continue
		}
		c, text := call{from: n}, m[3]
		if r := resumed.FindString(text); r != "" {
			c, text = pending[m[1]], strings.TrimPrefix(text, r)
		}
		c.text += text
		seconds, err := strconv.ParseFloat(m[2], 64)
		if err != nil {
			t.Fatal(err)
		}
		c.at = time.UnixMicro(int64(seconds * 1e6))
		if rest, more := strings.CutSuffix(c.text, " <unfinished ...>"); more {
			c.text = rest
			pending[m[1]] = c
			continue
		}
		c.to = n
		if head := traceCall.FindStringSubmatch(c.text); head != nil {
			c.name, c.path = head[1], head[2]
		}
		all = append(all, c)
	}
	return all
}
