package timestamp

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/proofs/rfc3161"
)

// sigstoreVersion is the one that the Makefile builds.
const sigstoreVersion = "v2.1.2"

// TestSigstoreAuthority: sigstore's timestamp-server, a process of its own, is believed by
// us, and what it gave us by openssl.
func TestSigstoreAuthority(t *testing.T) {
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(cache, "muniment", "timestamp-server-"+sigstoreVersion)
	if _, err := os.Stat(binary); err != nil {
		t.Fatalf("%v; make deps builds it", err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	l.Close()
	c := exec.CommandContext(t.Context(), binary, "serve", "--host", "127.0.0.1", "--port", fmt.Sprint(port), "--timestamp-signer", "memory", "--disable-ntp-monitoring", "--include-chain-in-response")
	c.Dir = t.TempDir()
	c.Env = append(os.Environ(), "HOME="+c.Dir)
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Process.Kill(); _ = c.Wait() })
	url := fmt.Sprintf("http://127.0.0.1:%d/api/v1/timestamp", port)
	file := waitFor(t, url+"/certchain")
	all, err := rfc3161.ParseRoots(file)
	if err != nil {
		t.Fatal(err)
	}
	root := all[len(all)-1]
	trusted := rfc3161.NewAuthorities(all[len(all)-1:])
	token, err := at(t, url, trusted, "").Timestamp(t.Context(), note)
	if err != nil {
		t.Fatal(err)
	}
	stamp, outcome, _ := trusted.CheckTimestamp(token, note)
	if outcome != proofs.Verified || stamp.Policy != "1.3.6.1.4.1.57264.2" || stamp.NotAfter.After(root.NotAfter) || time.Since(stamp.Time).Abs() > time.Minute {
		t.Errorf("%v %+v", outcome, stamp)
	}
	if ok, said := opensslVerifies(t, token, note, file); !ok {
		t.Error(said)
	}
}

// waitFor gets a page from a server that is starting.
func waitFor(t *testing.T, url string) []byte {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		r, err := http.Get(url) //nolint:noctx // bounded by the deadline, on this machine
		if err != nil {
			continue
		}
		data, err := io.ReadAll(r.Body)
		r.Body.Close()
		if err == nil && r.StatusCode == http.StatusOK {
			return data
		}
	}
	t.Fatalf("%s does not answer", url)
	return nil
}
