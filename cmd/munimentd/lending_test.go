package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/muniment/muniment/proofs"
)

// TestLendingExample: the example for a lending system, run by Node.js against the real
// server, through something that refuses and breaks off its first requests: one deposit, told
// by a webhook, and a receipt that verifies.
func TestLendingExample(t *testing.T) {
	d := layout(t)
	p := d.serve(t, "--canary", "0s", "--webhooks-networks", "[127.0.0.0/8]")
	to, err := url.Parse(p.url)
	if err != nil {
		t.Fatal(err)
	}
	var posts atomic.Int64
	through := httputil.NewSingleHostReverseProxy(to)
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost && r.URL.Path == "/v1/deposits" {
			switch posts.Add(1) {
			case 1:
				http.Error(w, "bad gateway", http.StatusBadGateway)
				return
			case 2: // it is deposited, and the answer is lost
				through.ServeHTTP(httptest.NewRecorder(), r)
				panic(http.ErrAbortHandler)
			}
		}
		through.ServeHTTP(w, r)
	}))
	defer proxy.Close()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	l.Close()
	out, document := t.TempDir(), filepath.Join(t.TempDir(), "contract.pdf")
	if err := os.WriteFile(document, []byte("%PDF-1.7 signed"), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", "../../service/client/typescript/lending.mjs", "--contract", "LC-1", "--document", document,
		"--hook", fmt.Sprintf("http://127.0.0.1:%d/", port), "--listen", fmt.Sprint(port), "--out", out)
	cmd.Env = append(os.Environ(), "MUNIMENT_SERVER="+proxy.URL, "MUNIMENT_API_KEY="+d.APIKey)
	said, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	if posts.Load() != 3 || !strings.Contains(string(said), "published: ") {
		t.Errorf("%d posts; it says\n%s", posts.Load(), said)
	}
	file, err := os.Open(document)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	_, e, err := d.prove(proofs.NewVerifier(d.policy), string(readFile(t, filepath.Join(out, "LC-1.tlog-proof"))), file)
	if err != nil || e.Outcome() != proofs.Verified || e.Document != proofs.DocumentMatches {
		t.Errorf("the receipt: %v %v", e.Reason, err)
	}
	if c := readFile(t, filepath.Join(out, "LC-1.pdf")); !strings.HasPrefix(string(c), "%PDF-") {
		t.Errorf("no certificate: %.80q", c)
	}
	if cp, err := d.client(p).checkpoint(); err != nil || cp.Size != 2 { // genesis, and one deposit
		t.Errorf("the log has %d entries, %v", cp.Size, err)
	}
	p.stop(t)
}
