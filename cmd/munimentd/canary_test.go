package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/notary/notarytest"
	"github.com/muniment/muniment/service/auth"
)

// until waits for what must come to be, and fails when it does not.
func until(t testing.TB, limit time.Duration, what string, done func() bool) time.Duration {
	t.Helper()
	begun := time.Now()
	for !done() {
		if time.Since(begun) > limit {
			t.Fatalf("after %v: not yet %s", limit, what)
		}
		time.Sleep(50 * time.Millisecond)
	}
	return time.Since(begun)
}

// TestCanary: the depository deposits with itself, each time one entry; it sees that
// its receipts would not be believed, says so until they are again, and keeps its
// account over restarts.
func TestCanary(t *testing.T) {
	d := layout(t)
	p := d.serve(t, "--canary", "1s")
	c := d.client(p)
	until(t, 20*time.Second, "two self-deposits", func() bool { return c.metrics(t).value("muniment_canary_deposits_total", "success") >= 2 })
	m := c.metrics(t)
	if m.value("muniment_canary_up") != 1 || m.value("muniment_canary_last_success_timestamp_seconds") < float64(p.started.Unix()) || m.value("muniment_canary_deposits_total", "failure") != 0 {
		t.Errorf("%v", m)
	}
	for _, name := range []string{canaryKeyPath(d.Dir), tenantKeyPath(d.Dir, canaryTenant.ID)} {
		if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v", name, err)
		}
	}
	if list, err := c.get("/v1/deposits"); err != nil || strings.Contains(string(list), "canary") {
		t.Errorf("a tenant's list: %v %s", err, list)
	}

	// A policy by which the receipts do not verify is what a stranger would have if the
	// log signed with another key.
	mine := filepath.Join(d.Dir, "policy")
	good, err := os.ReadFile(mine)
	if err != nil {
		t.Fatal(err)
	}
	other, err := os.ReadFile(filepath.Join(layout(t).Dir, "policy"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(mine, other, 0o644); err != nil {
		t.Fatal(err)
	}
	unready := func() bool {
		_, err := c.get("/readyz")
		return err != nil && strings.Contains(err.Error(), `"canary"`)
	}
	until(t, 20*time.Second, "unready", unready)
	if m := c.metrics(t); m.value("muniment_canary_up") != 0 || m.value("muniment_canary_deposits_total", "failure") < 1 || m.value("muniment_ready") != 0 {
		t.Errorf("%v", m)
	}
	if !strings.Contains(p.out.String(), "the self-deposit failed") {
		t.Errorf("the log does not say so: %s", p.out)
	}
	if _, err := c.digest("mine", "", "loan"); err != nil { // others are served meanwhile
		t.Error(err)
	}
	failing, _ := c.whole(t)
	time.Sleep(3 * time.Second)
	if later, _ := c.whole(t); later.Size > failing.Size {
		t.Errorf("%d entries of attempts that are one deposit", later.Size-failing.Size)
	}
	if err := os.WriteFile(mine, good, 0o644); err != nil {
		t.Fatal(err)
	}
	until(t, 20*time.Second, "ready again", func() bool { return !unready() })

	p.stop(t)
	cpBefore := d.serve(t, "--canary", "0")
	before, _ := d.client(cpBefore).whole(t)
	time.Sleep(2 * time.Second)
	if after, _ := d.client(cpBefore).whole(t); after.Size != before.Size {
		t.Error("--canary 0 deposits")
	}
	cpBefore.stop(t)
	key, err := os.ReadFile(canaryKeyPath(d.Dir))
	if err != nil {
		t.Fatal(err)
	}
	p = d.serve(t, "--canary", "1s")
	c = d.client(p)
	until(t, 20*time.Second, "a self-deposit", func() bool { return c.metrics(t).value("muniment_canary_deposits_total", "success") >= 1 })
	if again, err := os.ReadFile(canaryKeyPath(d.Dir)); err != nil || string(again) != string(key) {
		t.Errorf("another API key after the restart: %v", err)
	}
	p.stop(t)
	d.clean(t)
	if strings.Contains(d.said.String(), strings.TrimSpace(string(key))) {
		t.Error("the canary's API key was told")
	}
}

// TestCanariesAtOnce: replicas on one directory that all find the canary's account missing
// make one, and each can read what is stored under its key.
func TestCanariesAtOnce(t *testing.T) {
	for range rounds(20, 500) {
		dir := t.TempDir()
		if err := os.MkdirAll(filepath.Join(dir, "keys", "tenants"), 0o700); err != nil {
			t.Fatal(err)
		}
		accounts := notarytest.NewLedger(nil)
		var all sync.WaitGroup
		var mu sync.Mutex
		keys := map[string]bool{}
		for range 8 {
			all.Go(func() {
				c := &canary{dir: dir, keys: plainTenantKeys(dir), accounts: accounts}
				key, err := c.account(t.Context())
				if err == nil {
					_, err = accounts.APIKey(t.Context(), auth.Hash(key))
				}
				var wraps notary.TenantKey
				if err == nil {
					wraps, err = plainTenantKeys(dir).get(canaryTenant.ID)
				}
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				keys[key+string(wraps.Marshal())] = true
			})
		}
		all.Wait()
		if len(keys) != 1 {
			t.Fatalf("%d accounts of one canary", len(keys))
		}
		if left, err := filepath.Glob(filepath.Join(dir, "keys", "*", ".new-*")); err != nil || len(left) > 0 {
			t.Errorf("%v %v", left, err)
		}
	}
}

// TestCanaryIsBounded: attempts on a server that takes every connection and says
// nothing end in time, and never run side by side.
func TestCanaryIsBounded(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "keys", "tenants"), 0o700); err != nil {
		t.Fatal(err)
	}
	policy, err := os.ReadFile(filepath.Join(layout(t).Dir, "policy"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "policy"), policy, 0o644); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	open := make(chan int, 100)
	go func() {
		for n := 0; ; {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			n++
			open <- n
			io.Copy(io.Discard, conn) // until the canary gives up
			conn.Close()
			n--
		}
	}()
	c := newCanary(plainTenantKeys(dir), l.Addr(), notarytest.NewLedger(nil), 50*time.Millisecond, prometheus.NewRegistry(), slog.New(slog.DiscardHandler))
	c.within = 200 * time.Millisecond
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { c.run(ctx); close(ended) }()
	for range 4 {
		select {
		case n := <-open:
			if n > 1 {
				t.Errorf("%d attempts at once", n)
			}
		case <-time.After(10 * time.Second):
			t.Fatal("an attempt does not end")
		}
	}
	if err := c.verdict(); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("verdict %v", err)
	}
	cancel()
	select {
	case <-ended:
	case <-time.After(5 * time.Second):
		t.Error("the canary does not stop")
	}
}

func TestReachable(t *testing.T) {
	for listen, want := range map[string]string{
		"0.0.0.0:80": "127.0.0.1:80", "[::]:80": "[::1]:80", "192.0.2.7:80": "192.0.2.7:80", "127.0.0.1:8080": "127.0.0.1:8080",
	} {
		addr, err := net.ResolveTCPAddr("tcp", listen)
		if err != nil {
			t.Fatal(err)
		}
		if got := reachable(addr); got != want {
			t.Errorf("%s is reached at %s, want %s", listen, got, want)
		}
	}
}
