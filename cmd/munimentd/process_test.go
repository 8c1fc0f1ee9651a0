package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/muniment/muniment/proofs"
)

// laidOut is a depository's directory and what its init told, with all that its
// processes said since.
type laidOut struct {
	created
	policy proofs.Policy
	said   *transcript // also of its copies
	// rotates: checkpoints may have the signature of another key of the log, too.
	rotates bool
}

// layout makes a depository in a new directory. When the test ends, nothing that
// was said or stored may hold a secret of it.
func layout(t testing.TB, args ...string) *laidOut {
	t.Helper()
	return layoutIn(t, filepath.Join(t.TempDir(), "depository"), args...)
}

func layoutIn(t testing.TB, dir string, args ...string) *laidOut {
	t.Helper()
	out, err := exec.Command("munimentd", append([]string{"init", "--json", "--dir", dir}, args...)...).Output()
	if err != nil {
		t.Fatalf("init: %v%s", err, stderrOf(err))
	}
	d := &laidOut{said: &transcript{}}
	if err := json.Unmarshal(out, &d.created); err != nil {
		t.Fatalf("init --json says %q: %v", out, err)
	}
	file, err := os.ReadFile(filepath.Join(dir, "policy"))
	if err != nil {
		t.Fatal(err)
	}
	if d.policy, err = proofs.ParsePolicy(file); err != nil {
		t.Fatal(err)
	}
	secrets := secretsOf(t, d)
	t.Cleanup(func() { secrets.check(t, d) })
	return d
}

func stderrOf(err error) string {
	if exit := new(exec.ExitError); errors.As(err, &exit) {
		return ": " + string(exit.Stderr)
	}
	return ""
}

// transcript gathers what processes and servers say, up to a bound.
type transcript struct {
	mu   sync.Mutex
	text bytes.Buffer
}

const maxTranscript = 64 << 20

func (s *transcript) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.text.Len() < maxTranscript {
		s.text.Write(p)
	}
	return len(p), nil
}

func (s *transcript) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// process is one munimentd serve.
type process struct {
	pid     int // also the process group's
	url     string
	started time.Time
	ready   time.Duration // from start to the first answer
	out     *transcript   // of this process alone
	cmd     *exec.Cmd
	ended   chan struct{}
	clients []*client
}

var serving = regexp.MustCompile(`(?m)^serving \S+ on (http://\S+)$`)

// launch starts munimentd serve, under a tracer if one is given, and does not wait.
func (d *laidOut) launch(t testing.TB, tracer []string, args ...string) *process {
	t.Helper()
	line := append(append([]string{}, tracer...), append([]string{"munimentd", "serve", "--dir", d.Dir, "--listen", "127.0.0.1:0"}, args...)...)
	p := &process{started: time.Now(), out: &transcript{}, cmd: exec.Command(line[0], line[1:]...), ended: make(chan struct{})}
	both := io.MultiWriter(p.out, d.said)
	p.cmd.Stdout, p.cmd.Stderr = both, both
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL} // so that a tracer does not outlive it, nor the other way round
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p.pid = p.cmd.Process.Pid
	go func() {
		p.cmd.Wait()
		close(p.ended)
	}()
	t.Cleanup(func() { p.kill() })
	return p
}

// serve starts munimentd serve and waits until it answers.
func (d *laidOut) serve(t testing.TB, args ...string) *process {
	t.Helper()
	p := d.launch(t, nil, args...)
	if !p.wait(30 * time.Second) {
		t.Fatalf("not serving: %s", p.out)
	}
	return p
}

// wait waits until the process answers, and reports whether it did before it ended.
func (p *process) wait(limit time.Duration) bool {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	for {
		if m := serving.FindStringSubmatch(p.out.String()); m != nil {
			p.url = m[1]
			resp, err := http.Get(p.url + "/healthz")
			if err == nil {
				resp.Body.Close()
				p.ready = time.Since(p.started)
				return true
			}
		}
		select {
		case <-p.ended:
			return false
		case <-ctx.Done():
			return false
		case <-time.After(2 * time.Millisecond):
		}
	}
}

// kill ends the process without a warning, and any tracer with it.
func (p *process) kill() {
	select {
	case <-p.ended: // the number may be another's by now
	default:
		syscall.Kill(-p.pid, syscall.SIGKILL)
		<-p.ended
	}
}

// exit waits for the process's end and returns its code; -1 when it was killed.
func (p *process) exit(t testing.TB, limit time.Duration) int {
	t.Helper()
	select {
	case <-p.ended:
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(limit):
		t.Fatalf("still running after %v: %s", limit, p.out)
		return 0
	}
}

// stop ends the process as an operator does.
func (p *process) stop(t testing.TB) {
	t.Helper()
	// A connection that was opened and never used may be about to bring a request:
	// net/http gives it five seconds.
	for _, c := range p.clients {
		c.http.CloseIdleConnections()
	}
	syscall.Kill(p.pid, syscall.SIGTERM)
	if code := p.exit(t, 20*time.Second); code != 0 {
		t.Fatalf("exit code %d after SIGTERM: %s", code, p.out)
	}
}

// fsck runs munimentd fsck and returns its exit code and what it said.
func (d *laidOut) fsck(t testing.TB) (int, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "munimentd", "fsck", "--dir", d.Dir)
	out, err := cmd.CombinedOutput()
	d.said.Write(out)
	if exit := new(exec.ExitError); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), string(out)
}

// clean demands that fsck finds nothing wrong.
func (d *laidOut) clean(t testing.TB) {
	t.Helper()
	if code, out := d.fsck(t); code != 0 || !strings.Contains(out, "CLEAN") {
		t.Fatalf("fsck: exit code %d: %s", code, out)
	}
}

// copyOf copies the directory of a depository that does not run.
func (d *laidOut) copyOf(t testing.TB, name string) *laidOut {
	t.Helper()
	c := &laidOut{created: d.created, policy: d.policy, said: d.said}
	c.Dir = filepath.Join(filepath.Dir(d.Dir), name)
	if err := os.RemoveAll(c.Dir); err != nil {
		t.Fatal(err)
	}
	err := filepath.WalkDir(d.Dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		to := filepath.Join(c.Dir, strings.TrimPrefix(path, d.Dir))
		switch {
		case e.IsDir():
			return os.Mkdir(to, info.Mode().Perm())
		case !e.Type().IsRegular(): // the control socket of a killed process
			return nil
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(to, data, info.Mode().Perm())
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

var (
	errNotServed = errors.New("the connection broke before the answer")
	errBrokenOff = fmt.Errorf("%w had ended", errNotServed)
)

func describe(status int, body []byte) string {
	if len(body) > 400 {
		body = body[:400]
	}
	return fmt.Sprintf("%d %s", status, body)
}
