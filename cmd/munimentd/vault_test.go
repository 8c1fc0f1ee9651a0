package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/storage/storagetest/servers"
)

// TestTenantKeysInVault: a depository whose key files a Vault keeps shut. The files alone open
// nothing; deposits ask the Vault for nothing; rotation goes on; a Vault that is away for
// longer than keys are held stops deposits, and no longer than it is away.
func TestTenantKeysInVault(t *testing.T) {
	v, err := servers.StartVault("muniment")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(v.Kill)
	token, err := v.Token("muniment")
	if err != nil {
		t.Fatal(err)
	}
	server, err := url.Parse(v.URL)
	if err != nil {
		t.Fatal(err)
	}
	var asked atomic.Int64
	var away atomic.Bool
	proxy := httputil.NewSingleHostReverseProxy(server)
	counter := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1); away.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(counter.Close)

	d := layout(t)
	settings := fmt.Sprintf("kms: {engine: vault, hold: 20s, vault: {address: %q, key: muniment, token: %q}}\n", counter.URL, token)
	if err := os.WriteFile(filepath.Join(d.Dir, configName), []byte(settings), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := tenantKey(t, d.Dir, "wrap"); err != nil {
		t.Fatal(err)
	}
	shut := func() {
		t.Helper()
		files, err := filepath.Glob(filepath.Join(d.Dir, "keys", "tenants", "*.key"))
		if err != nil || len(files) != 3 {
			t.Fatal(files, err)
		}
		for _, path := range files {
			file, err := os.ReadFile(path)
			if err != nil || !notary.KeyIsWrapped(file) || !strings.Contains(string(file), "\nkey vault:v") {
				t.Errorf("%s is not shut: %q, %v", path, file, err)
			}
		}
	}
	shut()
	p := d.serve(t, "--canary", "0s")
	held := &evidence{map[string]answer{}, map[string][]byte{}}
	held.deposits(t, d.client(p), 4)
	before := asked.Load()
	held.deposits(t, d.client(p), 80)
	if n := asked.Load() - before; n > 6 {
		t.Errorf("80 deposits asked the Vault %d times", n)
	}
	if _, err := tenantKey(t, d.Dir, "rotate", "--tenant", d.Tenant, "--wait", "1m"); err != nil {
		t.Fatal(err)
	}
	if _, err := tenantKey(t, d.Dir, "retire", "--tenant", d.Tenant); err != nil {
		t.Fatal(err)
	}
	if err := v.Ask(http.MethodPost, "transit/keys/muniment/rotate", nil, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := tenantKey(t, d.Dir, "wrap"); err != nil {
		t.Fatal(err)
	}
	if err := v.Ask(http.MethodPost, "transit/keys/muniment/config", map[string]any{"min_decryption_version": 2}, nil); err != nil {
		t.Fatal(err)
	}
	shut()
	time.Sleep(2 * keyLookedAt)
	held.holds(t, d, d.client(p))

	away.Store(true)
	if _, err := d.client(p).digest("while it is away", "", "x"); err != nil {
		t.Errorf("with the key held: %v", err)
	}
	until(t, time.Minute, "deposits are refused", func() bool {
		_, err := d.client(p).digest(fmt.Sprint(time.Now()), "", "x")
		return err != nil && strings.Contains(err.Error(), "503")
	})
	away.Store(false)
	until(t, time.Minute, "deposits are taken again", func() bool {
		_, err := d.client(p).digest(fmt.Sprint(time.Now()), "", "x")
		return err == nil
	})
	held.holds(t, d, d.client(p))
	p.stop(t)
	d.clean(t)
	if strings.Contains(d.said.String(), token) {
		t.Error("the token was told")
	}
}
