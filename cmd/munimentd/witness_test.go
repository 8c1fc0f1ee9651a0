package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/muniment/muniment/notary/witness"
	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/proofs/mldsa"
	"github.com/muniment/muniment/storage/storagetest/servers"
)

// ownWitness is our own witness server, on an address that it keeps.
type ownWitness struct {
	dir  string
	addr string
	keys []proofs.VerifierKey
	log  proofs.VerifierKey
	stop func()
}

func newOwnWitness(t *testing.T, name string, log proofs.VerifierKey) *ownWitness {
	t.Helper()
	w := &ownWitness{dir: filepath.Join(t.TempDir(), "witness"), log: log}
	var err error
	if w.addr, err = freeAddress(); err != nil {
		t.Fatal(err)
	}
	if w.keys, err = witness.Init(w.dir, name, true); err != nil {
		t.Fatal(err)
	}
	w.start(t)
	t.Cleanup(func() { w.stop() })
	return w
}

func (w *ownWitness) start(t *testing.T) {
	t.Helper()
	keys, err := witness.LoadKeys(w.dir)
	if err != nil {
		t.Fatal(err)
	}
	s, err := witness.OpenServer(witness.ServerConfig{Dir: w.dir, Keys: keys, Logs: []proofs.VerifierKey{w.log}, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", w.addr)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = s.Serve(ctx, l, 100*time.Millisecond)
	}()
	w.stop = func() {
		cancel()
		<-ended
		_ = s.Close()
		w.stop = func() {}
	}
}

// munimentd runs a command and returns its exit code and all it said.
func munimentd(t *testing.T, args ...string) (int, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "munimentd", args...)
	out, err := cmd.CombinedOutput()
	if exit := new(exec.ExitError); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), string(out)
}

// setPolicy puts a policy of the witnesses in force: the litewitness and both of ours,
// of which each has two keys that count once, and two of the three must cosign.
func (d *laidOut) setPolicy(t *testing.T, lite *servers.Litewitness, own ...*ownWitness) {
	t.Helper()
	text := "log " + d.policy.Logs[0].String() + "\nwitness lite " + lite.Key.String() + " " + lite.URL + "\n"
	members := " lite"
	for i, w := range own {
		for j, k := range w.keys {
			text += fmt.Sprintf("witness own-%d-%d %s http://%s/\n", i, j, k, w.addr)
		}
		text += fmt.Sprintf("group own-%d any own-%d-0 own-%d-1\n", i, i, i)
		members += fmt.Sprintf(" own-%d", i)
	}
	text += "group two-of-three 2" + members + "\nquorum two-of-three\n"
	file := filepath.Join(t.TempDir(), "policy")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, out := munimentd(t, "policy", "set", file, "--dir", d.Dir); code != 0 || strings.Contains(out, "would not cosign") {
		t.Fatalf("policy set: %d %s", code, out)
	}
	var err error
	if d.policy, err = proofs.ParsePolicy([]byte(text)); err != nil {
		t.Fatal(err)
	}
}

// witnessedBy checks a receipt under the policy with its witnesses.
func witnessedBy(t *testing.T, policy proofs.Policy, receipt string) proofs.Evidence {
	t.Helper()
	r, err := proofs.ParseReceipt([]byte(receipt))
	if err != nil {
		t.Fatal(err)
	}
	e, err := proofs.NewVerifier(policy, mldsa.Plugged()).Verify(r, nil)
	if err != nil || e.Outcome() != proofs.Verified || e.Level != proofs.Witnessed {
		t.Fatalf("%v: %s %s at level %s\n%s", err, e.Outcome(), e.Reason, e.Level, receipt)
	}
	return e
}

// TestWitnesses: the real server with a stranger's witness, litewitness, and two of our
// own: two of the three are enough; with one there is a 503 that says so; it goes on by
// itself when they are back, and after a restart; earlier policies stay served; and a
// depository restored from an old copy is stopped by its witnesses.
func TestWitnesses(t *testing.T) {
	d := layout(t)
	p := d.serve(t)
	first, err := d.client(p).digest("first", "", "first")
	if err != nil {
		t.Fatal(err)
	}
	p.stop(t)
	before := d.policy
	lite, err := servers.StartLitewitness(t.TempDir(), "lite.example/w", d.policy.Logs[0])
	if err != nil {
		t.Fatal(err)
	}
	defer lite.Close()
	own := []*ownWitness{newOwnWitness(t, "own.example/0", d.policy.Logs[0]), newOwnWitness(t, "own.example/1", d.policy.Logs[0])}
	d.setPolicy(t, lite, own...)

	p = d.serve(t, "--canary", "0")
	c := d.client(p)
	for path, want := range map[string]string{
		"/log/policy": d.policy.String(), "/log/policy/" + d.policy.Fingerprint(): d.policy.String(), "/log/policy/" + before.Fingerprint(): before.String(),
	} {
		if got, err := c.get(path); err != nil || string(got) != want {
			t.Errorf("%s: %q %v", path, got, err)
		}
	}
	again, err := c.digest("first", "", "first")
	if err != nil || again.ID != first.ID {
		t.Fatal(again.ID, err)
	}
	witnessedBy(t, d.policy, again.Receipt)
	if code, out := munimentd(t, "doctor", "--dir", d.Dir); code != 0 || !strings.Contains(out, `✓ witnesses  the quorum "two-of-three" can stand: 3 of 3 that are asked cosign`) {
		t.Errorf("doctor: %d %s", code, out)
	}
	deposit := func(key string) error {
		t.Helper()
		a, err := c.digest(key, "", key)
		if err == nil {
			witnessedBy(t, d.policy, a.Receipt)
		}
		return err
	}
	eventually := func(key string, want func(error) bool) {
		t.Helper()
		for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(100 * time.Millisecond) {
			err := deposit(key)
			if want(err) {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s: %v\n%s", key, err, p.out)
			}
		}
	}
	well := func(err error) bool { return err == nil }
	missing := func(err error) bool {
		p := new(problem)
		return errors.As(err, &p) && p.Type == "/problems/witness-quorum"
	}
	if err := deposit("three"); err != nil {
		t.Fatal(err)
	}
	old := d.copyAside(t, p)

	c = d.client(p)
	own[0].stop()
	eventually("two", well)
	lite.Kill()
	c.http.Timeout = 5 * time.Second
	_ = deposit("one")
	eventually("none", missing)
	if _, out := munimentd(t, "doctor", "--dir", d.Dir); !strings.Contains(out, "✗ witnesses  the quorum \"two-of-three\" cannot stand now") {
		t.Errorf("doctor: %s", out)
	}
	own[0].start(t)
	c.http.Timeout = 30 * time.Second
	eventually("one", well)
	eventually("none", well)
	if err := lite.Start(); err != nil {
		t.Fatal(err)
	}
	p.stop(t)
	p = d.serve(t, "--canary", "0")
	c = d.client(p)
	eventually("after", well)
	p.stop(t)
	d.clean(t)

	// The old copy is whole, and the witnesses know better.
	p = old.launch(t, nil, "--canary", "0")
	if code := p.exit(t, 30*time.Second); code != exitFatal || !strings.Contains(p.out.String(), "the log was rolled back") {
		t.Errorf("exit code %d: %s", code, p.out)
	}
	if code, out := munimentd(t, "doctor", "--dir", old.Dir); code != 1 || !strings.Contains(out, "knows this log as another") {
		t.Errorf("doctor on the old copy: %d %s", code, out)
	}
}

// copyAside stops the process for a copy of its directory, and starts it again.
func (d *laidOut) copyAside(t *testing.T, p *process) *laidOut {
	t.Helper()
	p.stop(t)
	c := d.copyOf(t, "old")
	*p = *d.serve(t, "--canary", "0")
	return c
}
