package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sync"
	"syscall"
	"time"

	"github.com/muniment/muniment/proofs"
)

// A depository is the one that is measured: a server of its own, or one that runs
// elsewhere.
type depository struct {
	addr   string // host:port
	host   string
	key    string
	policy proofs.Policy

	// Of a server of its own alone:
	binary, dir string
	flags       []string // of serve, beside those that say where
	process     *process
	replicas    []*depository // others that serve the same
	stores      *stores       // what they keep it in; nil: the directory
	cores       cores         // on which it runs
}

// addrs are those of all replicas.
func (d *depository) addrs() []string {
	addrs := []string{d.addr}
	for _, r := range d.replicas {
		addrs = append(addrs, r.addr)
	}
	return addrs
}

// replicate starts one more replica of a depository whose stores can be shared.
func (d *depository) replicate(ctx context.Context) error {
	r := &depository{binary: d.binary, dir: d.dir, key: d.key, policy: d.policy, flags: d.flags}
	d.replicas = append(d.replicas, r)
	return r.start(ctx)
}

// alone ends all replicas but the first, without a warning.
func (d *depository) alone() {
	for _, r := range d.replicas {
		r.kill()
	}
	d.replicas = nil
}

// process is one munimentd serve.
type process struct {
	cmd   *exec.Cmd
	ready time.Duration // from its start to the first answer
	said  *tail
	ended chan struct{}
}

var serving = regexp.MustCompile(`(?m)^serving \S+ on http://(\S+)$`)

// layOut makes a depository in a new directory.
func layOut(ctx context.Context, binary, dir string) (*depository, error) {
	out, err := exec.CommandContext(ctx, binary, "init", "--json", "--dir", dir, "--tenant-name", "示范银行").Output()
	if err != nil {
		if exit := new(exec.ExitError); errors.As(err, &exit) {
			err = fmt.Errorf("%w: %s", err, exit.Stderr)
		}
		return nil, fmt.Errorf("%s init: %w", binary, err)
	}
	var made struct {
		APIKey string `json:"api_key"`
	}
	if err := json.Unmarshal(out, &made); err != nil {
		return nil, fmt.Errorf("%s init --json: %w", binary, err)
	}
	d := &depository{binary: binary, dir: dir, key: made.APIKey}
	d.policy, err = readPolicy(filepath.Join(dir, "policy"))
	return d, err
}

func readPolicy(path string) (proofs.Policy, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return proofs.Policy{}, err
	}
	return proofs.ParsePolicy(data)
}

// start starts the server and waits until it answers.
func (d *depository) start(ctx context.Context) error {
	p := &process{said: &tail{}, ended: make(chan struct{})}
	p.cmd = exec.Command(d.binary, append([]string{"serve", "--dir", d.dir, "--listen", "127.0.0.1:0"}, d.flags...)...)
	p.cmd.Stdout, p.cmd.Stderr = p.said, p.said
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	began := time.Now()
	if err := startOn(p.cmd, d.cores); err != nil {
		return err
	}
	go func() {
		_ = p.cmd.Wait() // its state says how it ended
		close(p.ended)
	}()
	d.process = p
	ctx, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	for {
		if m := serving.FindStringSubmatch(p.said.String()); m != nil {
			d.addr, d.host = m[1], m[1]
			if alive(d.addr) {
				p.ready = time.Since(began)
				return nil
			}
		}
		select {
		case <-p.ended:
			return fmt.Errorf("the server ended by itself: %s", p.said)
		case <-ctx.Done():
			d.kill()
			return fmt.Errorf("the server does not serve: %s", p.said)
		case <-time.After(time.Millisecond):
		}
	}
}

// Bounds of a server's start and stop.
const (
	startWithin = 5 * time.Minute
	stopWithin  = 2 * time.Minute
)

func alive(addr string) bool {
	w := newWire(addr, 10*time.Second)
	defer w.close()
	var a answer
	err := w.exchange([]byte("GET /healthz HTTP/1.1\r\nHost: "+addr+"\r\n\r\n"), &a)
	return err == nil && a.status == 200
}

// kill ends the server, and its other replicas, without a warning.
func (d *depository) kill() {
	d.alone()
	if d.process == nil {
		return
	}
	_ = d.process.cmd.Process.Kill() // it may have ended already
	<-d.process.ended
	d.process = nil
}

// stop ends the server as an operator does.
func (d *depository) stop() error {
	p := d.process
	d.process = nil
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return fmt.Errorf("the server ended by itself: %s", p.said)
	}
	select {
	case <-p.ended:
	case <-time.After(stopWithin):
		_ = p.cmd.Process.Kill()
		<-p.ended
		return errors.New("the server did not stop within two minutes of SIGTERM")
	}
	if code := p.cmd.ProcessState.ExitCode(); code != 0 {
		return fmt.Errorf("the server stopped with exit code %d: %s", code, p.said)
	}
	return nil
}

// usage is what the server and its other replicas have used; zero when it is not ours to
// look at.
func (d *depository) usage() usage {
	if d.process == nil {
		return usage{}
	}
	u, err := usageOf(d.process.cmd.Process.Pid)
	if err != nil {
		return usage{} // it has ended, and the load says so
	}
	for _, r := range d.replicas {
		u = u.plus(r.usage())
	}
	return u
}

// forgetPeaks makes the peak of each replica begin anew.
func (d *depository) forgetPeaks() error {
	if d.process == nil {
		return nil
	}
	err := forgetPeak(d.process.cmd.Process.Pid)
	for _, r := range d.replicas {
		err = errors.Join(err, r.forgetPeaks())
	}
	return err
}

// tail keeps the beginning of what a process says, which has its address, and the
// end, which has its last words.
type tail struct {
	mu          sync.Mutex
	first, last []byte
}

const tailSize = 8 << 10 // of each

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	fits := min(len(p), tailSize-len(t.first))
	t.first = append(t.first, p[:fits]...)
	t.last = append(t.last, p[fits:]...)
	if over := len(t.last) - tailSize; over > 0 {
		t.last = append(t.last[:0], t.last[over:]...)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.first) + string(t.last)
}
