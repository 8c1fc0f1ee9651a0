package timestamp

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/proofs/rfc3161"
	"github.com/muniment/muniment/proofs/rfc3161/rfc3161test"
)

// openssl runs the command in a directory.
func openssl(t *testing.T, dir string, args ...string) ([]byte, error) {
	t.Helper()
	c := exec.CommandContext(t.Context(), "openssl", args...)
	c.Dir = dir
	out, err := c.CombinedOutput()
	return out, err
}

func mustOpenssl(t *testing.T, dir string, args ...string) {
	t.Helper()
	if out, err := openssl(t, dir, args...); err != nil {
		t.Fatalf("openssl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

func write(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

const opensslConfig = `
[root]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
[signer]
keyUsage = critical, digitalSignature
extendedKeyUsage = critical, timeStamping
[tsa]
default_tsa = a
[a]
dir = .
serial = ./serial
crypto_device = builtin
signer_cert = ./signer.pem
certs = ./root.pem
signer_key = ./signer.key
signer_digest = %s
default_policy = 1.3.6.1.4.1.99999.1
other_policies = 1.3.6.1.4.1.99999.2
digests = sha256, sha384, sha512
accuracy = secs:1, millisecs:500, microsecs:100
ordering = yes
tsa_name = yes
ess_cert_id_chain = no
ess_cert_id_alg = sha256
`

// opensslAuthority is a time-stamp authority made of the command openssl alone, in a
// directory of its own with root.pem in it.
func opensslAuthority(t *testing.T, dir, digest string, key ...string) http.Handler {
	t.Helper()
	write(t, filepath.Join(dir, "tsa.conf"), fmt.Appendf(nil, opensslConfig, digest))
	write(t, filepath.Join(dir, "serial"), []byte("0A\n"))
	for _, name := range []string{"root", "signer"} {
		mustOpenssl(t, dir, append([]string{"genpkey", "-out", name + ".key"}, key...)...)
		mustOpenssl(t, dir, "req", "-new", "-key", name+".key", "-subj", "/O=OpenSSL Ltd/CN=OpenSSL "+name, "-out", name+".csr")
	}
	mustOpenssl(t, dir, "x509", "-req", "-in", "root.csr", "-signkey", "root.key", "-days", "3650", "-extfile", "tsa.conf", "-extensions", "root", "-out", "root.pem")
	mustOpenssl(t, dir, "x509", "-req", "-in", "signer.csr", "-CA", "root.pem", "-CAkey", "root.key", "-CAcreateserial", "-days", "365", "-extfile", "tsa.conf", "-extensions", "signer", "-out", "signer.pem")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		query, err := io.ReadAll(r.Body)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, "query"), query, 0o600)
		}
		if err == nil {
			var out []byte
			if out, err = openssl(t, dir, "ts", "-reply", "-config", "tsa.conf", "-queryfile", "query", "-out", "reply"); err != nil {
				t.Errorf("openssl ts -reply: %s", out)
			}
		}
		reply, err2 := os.ReadFile(filepath.Join(dir, "reply"))
		if err != nil || err2 != nil {
			http.Error(w, "failed", http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/timestamp-reply")
		_, _ = w.Write(reply)
	})
}

// opensslVerifies reports what openssl ts -verify says of a token over message.
func opensslVerifies(t *testing.T, token, message, roots []byte) (bool, string) {
	t.Helper()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "token"), token)
	write(t, filepath.Join(dir, "note"), message)
	write(t, filepath.Join(dir, "roots.pem"), roots)
	out, err := openssl(t, dir, "ts", "-verify", "-token_in", "-in", "token", "-data", "note", "-CAfile", "roots.pem")
	return err == nil && bytes.Contains(out, []byte("Verification: OK")), string(out)
}

// TestOpenSSLAuthorities: authorities that are openssl ts -reply, with keys of each kind,
// are believed by us, and what they gave us is believed by openssl ts -verify.
func TestOpenSSLAuthorities(t *testing.T) {
	for name, c := range map[string]struct {
		digest string
		key    []string
	}{
		"RSA":         {"sha256", []string{"-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"}},
		"RSA SHA-512": {"sha512", []string{"-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:3072"}},
		"P-256":       {"sha256", []string{"-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"}},
		"P-384":       {"sha384", []string{"-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			url := serve(t, opensslAuthority(t, dir, c.digest, c.key...))
			file, err := os.ReadFile(filepath.Join(dir, "root.pem"))
			if err != nil {
				t.Fatal(err)
			}
			roots, err := rfc3161.ParseRoots(file)
			if err != nil {
				t.Fatal(err)
			}
			trusted := rfc3161.NewAuthorities(roots)
			for _, policy := range []string{"", "1.3.6.1.4.1.99999.2"} {
				token, err := at(t, url, trusted, policy).Timestamp(t.Context(), note)
				if err != nil {
					t.Fatal(err)
				}
				stamp, outcome, _ := trusted.CheckTimestamp(token, note)
				if outcome != proofs.Verified || stamp.Authority != "OpenSSL signer (OpenSSL Ltd)" || stamp.Accuracy != 1500100*time.Microsecond || time.Since(stamp.Time).Abs() > time.Minute {
					t.Errorf("%v %+v", outcome, stamp)
				}
				if ok, said := opensslVerifies(t, token, note, file); !ok {
					t.Error(said)
				}
			}
			if _, err := at(t, url, trusted, "1.3.6.1.4.1.99999.3").Timestamp(t.Context(), note); err == nil {
				t.Error("a token under rules that the authority does not have")
			}
		})
	}
}

// TestOpenSSLAgrees: of tokens made by our own test authority, right and wrong, openssl
// believes none that we refuse, and all that we believe.
func TestOpenSSLAgrees(t *testing.T) {
	a := rfc3161test.New("Time Authority", time.Now, 10*year, 5*year)
	other := rfc3161test.New("Time Authority", time.Now, 10*year, 5*year)
	type s = rfc3161test.Statement
	for what, token := range map[string][]byte{
		"sound":                 a.Token(s{Message: note, Accuracy: time.Second}),
		"another note":          a.Token(s{Message: []byte("x")}),
		"another root":          other.Token(s{Message: note}),
		"another key":           other.Token(s{Message: note, Certificate: a.Certificate, BoundTo: a.Certificate}),
		"another content":       a.Token(s{Message: note, Content: []byte("x")}),
		"bound to another":      a.Token(s{Message: note, BoundTo: other.Certificate}),
		"not bound":             a.Token(s{Message: note, Unbound: true}),
		"two signers":           a.Token(s{Message: note, Signers: 2}),
		"without a certificate": a.Token(s{Message: note, Bare: true}),
	} {
		_, outcome, reason := trusted(t, a).CheckTimestamp(token, note)
		if ok, said := opensslVerifies(t, token, note, rfc3161test.RootsPEM(a)); ok != (outcome == proofs.Verified) || ok != (what == "sound") {
			t.Errorf("%s: we say %v %s, openssl %v:\n%s", what, outcome, reason, ok, said)
		}
	}
}
