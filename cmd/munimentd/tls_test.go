package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// pki is a root and what it signs, made by openssl.
type pki struct {
	t   *testing.T
	dir string
}

func (k pki) path(name string) string { return filepath.Join(k.dir, name) }

func (k pki) openssl(args ...string) {
	k.t.Helper()
	cmd := exec.Command("openssl", args...)
	cmd.Dir = k.dir
	if out, err := cmd.CombinedOutput(); err != nil {
		k.t.Fatalf("openssl %v: %v\n%s", args, err, out)
	}
}

func newPKI(t *testing.T) pki {
	k := pki{t, t.TempDir()}
	k.openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "root.key", "-out", "root.pem", "-days", "2", "-subj", "/CN=root")
	return k
}

// sign makes NAME.pem and NAME.key.
func (k pki) sign(name, usage, alternative string) {
	k.t.Helper()
	extensions := "extendedKeyUsage=" + usage
	if alternative != "" {
		extensions += "\nsubjectAltName=" + alternative
	}
	if err := os.WriteFile(k.path("ext"), []byte(extensions), 0o600); err != nil {
		k.t.Fatal(err)
	}
	k.openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", name+".key", "-out", "csr", "-subj", "/CN="+name)
	k.openssl("x509", "-req", "-in", "csr", "-CA", "root.pem", "-CAkey", "root.key", "-CAcreateserial", "-days", "1", "-extfile", "ext", "-out", name+".pem")
}

// TestTLS: serve speaks TLS itself, its canary with it; callers come with certificates, with
// the tool as with Go; a renewed certificate is served without a restart; what belongs
// together is asked for together.
func TestTLS(t *testing.T) {
	k := newPKI(t)
	k.sign("server", "serverAuth", "IP:127.0.0.1")
	k.sign("loans", "clientAuth", "")
	k.sign("stranger", "clientAuth", "")
	d := layout(t)
	args := []string{"--canary", "1s", "--tls-certificate", k.path("server.pem"), "--tls-key", k.path("server.key"), "--tls-client-ca", k.path("root.pem"),
		"--tls-callers", fmt.Sprintf("{CN=loans: {tenant: %s, role: depositor}}", d.Tenant)}
	p := d.launch(t, nil, args...)
	url := ""
	until(t, 30*time.Second, "it does not serve", func() bool {
		if m := regexp.MustCompile(`on (https://\S+)`).FindStringSubmatch(p.out.String()); m != nil {
			url = m[1]
		}
		return url != ""
	})
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(readFile(t, k.path("root.pem")))
	as := func(name string) *client {
		config := &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
		if name != "" {
			pair, err := tls.LoadX509KeyPair(k.path(name+".pem"), k.path(name+".key"))
			if err != nil {
				t.Fatal(err)
			}
			config.Certificates = []tls.Certificate{pair}
		}
		return &client{d, url, &http.Client{Timeout: 30 * time.Second, Transport: withoutKey{&http.Transport{TLSClientConfig: config, DisableKeepAlives: true}}}}
	}
	a, err := as("loans").digest("1", "HT-1", "contract")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"stranger", ""} {
		if _, err := as(name).get("/v1/deposits/" + a.ID); statusOf(err) != http.StatusUnauthorized {
			t.Errorf("%q reads: %v", name, err)
		}
	}
	until(t, 30*time.Second, "the canary does not come in", func() bool {
		text, err := as("").get("/metrics")
		return err == nil && strings.Contains(string(text), `muniment_canary_deposits_total{result="success"} `) && !strings.Contains(string(text), `muniment_canary_deposits_total{result="success"} 0`)
	})
	if resp, err := http.Get("http" + strings.TrimPrefix(url, "https") + "/healthz"); err == nil {
		if resp.Body.Close(); resp.StatusCode == http.StatusOK {
			t.Error("it answers without TLS")
		}
	}

	tool := filepath.Join(t.TempDir(), "muniment")
	if out, err := exec.Command("go", "build", "-o", tool, "../muniment").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	list := exec.Command(tool, "list", "--server", url, "--ca", k.path("root.pem"), "--cert", k.path("loans.pem"), "--cert-key", k.path("loans.key"), "--json")
	list.Env = append(os.Environ(), "MUNIMENT_API_KEY=")
	if out, err := list.CombinedOutput(); err != nil || !strings.Contains(string(out), a.ID) {
		t.Errorf("the tool: %v\n%s", err, out)
	}

	serial := func() string {
		c, err := tls.Dial("tcp", strings.TrimPrefix(url, "https://"), &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12})
		if err != nil {
			return err.Error()
		}
		defer c.Close()
		return c.ConnectionState().PeerCertificates[0].SerialNumber.String()
	}
	before := serial()
	k.sign("server", "serverAuth", "IP:127.0.0.1")
	until(t, 2*tlsRead, "the renewed certificate is not served", func() bool { return serial() != before })
	if err := os.WriteFile(k.path("server.key"), []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	after := serial()
	until(t, 2*tlsRead, "it does not say that the files cannot be used", func() bool {
		if got := serial(); got != after {
			t.Fatalf("files that cannot be used: %s", got)
		}
		return strings.Contains(p.out.String(), "cannot be used")
	})
	p.stop(t)
	d.clean(t)

	for file, want := range map[string]string{"loans.key": "ends ", "stranger.key": "does not start with these"} {
		settings := fmt.Sprintf("tls: {certificate: %s, key: %s}\n", k.path("loans.pem"), k.path(file))
		if err := os.WriteFile(filepath.Join(d.Dir, configName), []byte(settings), 0o600); err != nil {
			t.Fatal(err)
		}
		if out, _ := d.tool("doctor", "--dir", d.Dir); !strings.Contains(out, want) {
			t.Errorf("doctor says %s", out)
		}
	}
	if err := os.Remove(filepath.Join(d.Dir, configName)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		want string
	}{
		{args[2:4], "tls.certificate and tls.key go together"},
		{append(append([]string{}, args[2:6]...), args[8:]...), "tls.client-ca and tls.callers go together"},
		{append([]string{}, args[2:8]...), "tls.client-ca and tls.callers go together"},
		{[]string{"--tls-client-ca", "x", "--tls-callers", args[9]}, "needs tls.certificate"},
		{[]string{"--tls-certificate", k.path("none"), "--tls-key", k.path("none")}, "no such file"},
		{[]string{"--tls-certificate", k.path("root.pem"), "--tls-key", k.path("loans.key")}, "does not match"},
		{[]string{"--tls-callers", "{loans: {tenant: x, role: depositor}}"}, "begins with URI:, DNS: or CN="},
		{[]string{"--tls-callers", "{CN=loans: {tenant: x, role: depositor}}"}, "no tenant id"},
		{[]string{"--tls-callers", "{CN=loans: {tenant: 01a2070d-4e2f-7d00-87c7-be68003ebf3d, role: auditor}}"}, "supervises names 1 to 100 tenants"},
	} {
		if out, err := d.tool(append([]string{"serve", "--dir", d.Dir, "--listen", "127.0.0.1:0"}, c.args...)...); err == nil || !strings.Contains(out, c.want) {
			t.Errorf("%v: %v\n%s", c.args, err, out)
		}
	}
}

// withoutKey takes the API key away that the test's client would send.
type withoutKey struct{ over *http.Transport }

func (w withoutKey) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Del("Authorization")
	resp, err := w.over.RoundTrip(r)
	if err != nil {
		return nil, errors.Join(errNotServed, err)
	}
	return resp, nil
}
