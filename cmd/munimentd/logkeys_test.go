package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/muniment/muniment/proofs"
)

const passphrase = "correct horse battery staple, four words"

// TestKeyFiles: keys are read encrypted and not, by us and by openssl; what is none, or is
// under another passphrase, is refused without a byte of it.
func TestKeyFiles(t *testing.T) {
	key, file, err := newLogKey([]byte(passphrase))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "log.pem")
	write(t, path, string(file))
	if keys, err := loadLogKey(path, []byte(passphrase)); err != nil || keys[0].public() != string(key.Public().(ed25519.PublicKey)) {
		t.Errorf("%v", err)
	}
	for what, pass := range map[string]string{"without": "", "another": "hunter2"} {
		if _, err := loadLogKey(path, []byte(pass)); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s passphrase: %v", what, err)
		}
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	plain := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	out, err := exec.Command("openssl", "pkey", "-in", path, "-passin", "pass:"+passphrase).Output()
	if err != nil || string(out) != plain {
		t.Errorf("openssl reads our encrypted key as %d bytes: %v", len(out), err)
	}
	for _, how := range [][]string{{"-v2", "aes-256-cbc"}, {"-v2", "aes-128-cbc", "-v2prf", "hmacWithSHA256"}, {"-scrypt"}} {
		cmd := exec.Command("openssl", append([]string{"pkcs8", "-topk8", "-passout", "pass:" + passphrase}, how...)...)
		cmd.Stdin = strings.NewReader(plain)
		theirs, err := cmd.Output()
		if err != nil {
			t.Fatalf("%v: %v%s", how, err, stderrOf(err))
		}
		keys, err := parseLogKeys(theirs, "theirs", []byte(passphrase))
		if err != nil || keys[0].public() != string(key.Public().(ed25519.PublicKey)) {
			t.Errorf("openssl's %v: %v", how, err)
		}
	}
	if keys, err := parseLogKeys([]byte(plain+string(file)), "both", []byte(passphrase)); err != nil || len(keys) != 2 {
		t.Errorf("two in one: %d, %v", len(keys), err)
	}
	for _, bad := range []string{"", "hunter2", plain + "hunter2", strings.Replace(plain, "PRIVATE", "PUBLIC", 2), plain[:60], "-----BEGIN PRIVATE KEY-----\naHVudGVyMg==\n-----END PRIVATE KEY-----\n"} {
		if _, err := parseLogKeys([]byte(bad), "bad", nil); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%.30q: %v", bad, err)
		}
	}
}

// TestMountedKeys: a file as Kubernetes mounts a secret is taken, and none that others than
// root and a group can read, or that anyone can write.
func TestMountedKeys(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can make files of root's and of another's")
	}
	path := filepath.Join(t.TempDir(), "key")
	write(t, path, "x")
	for mode, want := range map[os.FileMode]bool{0o600: true, 0o400: true, 0o440: true, 0o640: false, 0o444: false, 0o441: false, 0o460: false, 0o644: false, 0o404: false} {
		chmod(t, path, mode)
		if err := private(path); (err == nil) != want {
			t.Errorf("mode %o of root's: %v", mode, err)
		}
	}
	chmod(t, path, 0o440)
	if err := os.Chown(path, 12345, 0); err != nil {
		t.Fatal(err)
	}
	if private(path) == nil {
		t.Error("mode 440 of another than root: others than the owner may read it")
	}
}

// withEnv is a depository whose processes have these variables; nothing that is told may
// hold a secret of them.
func withEnv(t *testing.T, secrets map[string]string, env map[string]string) *laidOut {
	t.Helper()
	for _, all := range []map[string]string{secrets, env} {
		for name, text := range all {
			t.Setenv(name, text)
		}
	}
	dir := filepath.Join(t.TempDir(), "depository")
	out, err := exec.Command("munimentd", "init", "--dir", dir, "--json").CombinedOutput()
	if err != nil {
		t.Fatalf("init: %v: %s", err, out)
	}
	d := &laidOut{created: created{Dir: dir}, said: &transcript{}}
	if d.APIKey = strings.Split(strings.SplitN(string(out), `"api_key":"`, 2)[1], `"`)[0]; d.APIKey == "" {
		t.Fatalf("%s", out)
	}
	d.said.Write(bytes.ReplaceAll(out, []byte(d.APIKey), nil))
	file, err := os.ReadFile(filepath.Join(dir, "policy"))
	if err == nil {
		d.policy, err = proofs.ParsePolicy(file)
	}
	if err != nil {
		t.Fatal(err)
	}
	d.Origin = d.policy.Logs[0].Name
	t.Cleanup(func() {
		for name, text := range secrets {
			for _, word := range append(strings.Fields(text), text) {
				if len(word) >= 12 && strings.Contains(d.said.String(), word) && !strings.Contains(word, "-----") {
					t.Errorf("%s was told", name)
				}
			}
		}
	})
	return d
}

// works demands that the depository serves, seals, restarts and fits, and that a look at
// everything tells nothing of its secrets.
func (d *laidOut) works(t *testing.T) {
	t.Helper()
	for i := range 2 {
		p := d.serve(t, "--canary", "0")
		c := d.client(p)
		got, err := c.deposit(fmt.Sprint("key", i), nil, []byte("a contract"))
		if err != nil {
			t.Fatal(err)
		}
		if _, e, err := d.prove(proofs.NewVerifier(d.policy), got.Receipt, nil); err != nil || e.Outcome() != proofs.Verified {
			t.Errorf("the receipt is %v: %v", e.Outcome(), err)
		}
		for _, args := range [][]string{{"config", "--dir", d.Dir}, {"doctor", "--dir", d.Dir}, {"anchor", "list", "--dir", d.Dir}} {
			if code, out := d.run(t, args...); code != 0 {
				t.Errorf("%s: exit code %d: %s", args[0], code, out)
			}
		}
		p.stop(t)
	}
	d.clean(t)
}

// TestEncryptedKey: the log's key is encrypted in its file, the passphrase comes from the
// environment or a file, and stands nowhere else.
func TestEncryptedKey(t *testing.T) {
	d := withEnv(t, map[string]string{"MUNIMENT_LOG_KEY_PASSPHRASE": passphrase}, nil)
	file, err := os.ReadFile(logKeyPath(d.Dir))
	if err != nil || !strings.HasPrefix(string(file), "-----BEGIN ENCRYPTED PRIVATE KEY-----\n") {
		t.Fatalf("the key is not encrypted: %v", err)
	}
	d.works(t)
	t.Setenv("MUNIMENT_LOG_KEY_PASSPHRASE", "")
	if code, out := d.run(t, "fsck", "--dir", d.Dir); code != exitFailure || !strings.Contains(out, "is encrypted: set log-key.passphrase-file") {
		t.Errorf("without it: exit code %d: %s", code, out)
	}
	t.Setenv("MUNIMENT_LOG_KEY_PASSPHRASE", "hunter2")
	if code, out := d.run(t, "fsck", "--dir", d.Dir); code != exitFailure || !strings.Contains(out, "cannot be decrypted with this passphrase") || strings.Contains(out, "hunter2") {
		t.Errorf("with another: exit code %d: %s", code, out)
	}
	t.Setenv("MUNIMENT_LOG_KEY_PASSPHRASE", "")
	word := filepath.Join(t.TempDir(), "passphrase")
	write(t, word, passphrase+"\n")
	t.Setenv("MUNIMENT_LOG_KEY_PASSPHRASE_FILE", word)
	d.works(t)
	chmod(t, word, 0o644)
	if code, out := d.run(t, "fsck", "--dir", d.Dir); code != exitFailure || !strings.Contains(out, "may be read by others") {
		t.Errorf("an open file: exit code %d: %s", code, out)
	}
	chmod(t, word, 0o600)
	// The next key is encrypted as well, and so is the whole rotation.
	d.rotate(t)
	if file, err = os.ReadFile(logKeyPath(d.Dir)); err != nil || !strings.HasPrefix(string(file), "-----BEGIN ENCRYPTED PRIVATE KEY-----\n") {
		t.Errorf("the new key is not encrypted: %v", err)
	}
	d.works(t)
}

// rotate rotates the log's key of a directory.
func (d *laidOut) rotate(t *testing.T) {
	t.Helper()
	for _, step := range []string{"prepare", "begin", "", "finish"} {
		if step == "" {
			p := d.serve(t, "--canary", "0")
			p.stop(t)
			continue
		}
		if code, out := d.run(t, "key", "rotate", step, "--dir", d.Dir); code != 0 {
			t.Fatalf("%s: exit code %d: %s", step, code, out)
		}
	}
	file, err := os.ReadFile(filepath.Join(d.Dir, "policy"))
	if err == nil {
		d.policy, err = proofs.ParsePolicy(file)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestKeyInEnvironment: the log's key is in the environment and nowhere in the directory.
func TestKeyInEnvironment(t *testing.T) {
	_, first, err := newLogKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	_, second, err := newLogKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	d := withEnv(t, map[string]string{"MUNIMENT_LOG_KEY_PEM": string(first)}, nil)
	if _, err := os.Stat(logKeyPath(d.Dir)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("there is a key file: %v", err)
	}
	d.works(t)
	if code, out := d.run(t, "key", "rotate", "prepare", "--dir", d.Dir); code != exitFailure || !strings.Contains(out, "make the new one where the old one is kept") {
		t.Errorf("exit code %d: %s", code, out)
	}
	t.Setenv("MUNIMENT_LOG_KEY_PEM", string(first)+string(second))
	d.rotate(t)
	t.Setenv("MUNIMENT_LOG_KEY_PEM", string(second))
	d.works(t)
	if seed, _ := pem.Decode(second); strings.Contains(d.said.String(), base64.StdEncoding.EncodeToString(seed.Bytes[16:])) {
		t.Error("the key was told")
	}
	t.Setenv("MUNIMENT_LOG_KEY_PEM", string(first))
	if code, out := d.run(t, "fsck", "--dir", d.Dir); code != exitFailure {
		t.Errorf("with the old key alone: exit code %d: %s", code, out)
	}
}

// softHSM makes a token with Ed25519 keys of those labels, and returns its settings.
func softHSM(t *testing.T, labels ...string) map[string]string {
	t.Helper()
	root := t.TempDir()
	write(t, filepath.Join(root, "conf"), "directories.tokendir = "+root+"/tokens\nlog.level = ERROR\n")
	if err := os.Mkdir(filepath.Join(root, "tokens"), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SOFTHSM2_CONF", filepath.Join(root, "conf"))
	util := func(args ...string) {
		t.Helper()
		if out, err := exec.Command("softhsm2-util", args...).CombinedOutput(); err != nil {
			t.Fatalf("softhsm2-util, which make deps installs: %v: %s", err, out)
		}
	}
	util("--init-token", "--free", "--label", "muniment", "--pin", tokenPIN, "--so-pin", "567890")
	for i, label := range labels {
		_, file, err := newLogKey(nil)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(root, label)
		write(t, path, string(file))
		util("--import", path, "--token", "muniment", "--label", label, "--id", fmt.Sprintf("%02x", i+1), "--pin", tokenPIN)
		remove(t, path)
	}
	module := ""
	for _, path := range []string{"/usr/lib/softhsm/libsofthsm2.so", "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so", "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so"} {
		if _, err := os.Stat(path); err == nil {
			module = path
		}
	}
	build := exec.Command("go", "build", "-trimpath", "-o", filepath.Join(root, "bin", tokenProgram), "../munimentd-pkcs11")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	t.Setenv("PATH", filepath.Join(root, "bin")+":"+os.Getenv("PATH"))
	return map[string]string{
		"MUNIMENT_LOG_KEY_PKCS11_MODULE": module, "MUNIMENT_LOG_KEY_PKCS11_TOKEN": "muniment",
		"MUNIMENT_LOG_KEY_PKCS11_KEYS": "[" + labels[0] + "]",
	}
}

const tokenPIN = "123456789012"

// TestKeyOnToken: the log's key is on a PKCS#11 token. The program that speaks with it is
// killed again and again, and no receipt is lost.
func TestKeyOnToken(t *testing.T) {
	env := softHSM(t, "first", "second")
	d := withEnv(t, map[string]string{"MUNIMENT_LOG_KEY_PKCS11_PIN": tokenPIN}, env)
	if _, err := os.Stat(logKeyPath(d.Dir)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("there is a key file: %v", err)
	}
	p := d.serve(t, "--canary", "0")
	t.Cleanup(func() {
		if t.Failed() {
			lines := strings.SplitAfter(p.out.String(), "\n")
			t.Logf("the last that it said:\n%s", strings.Join(lines[max(0, len(lines)-50):], ""))
		}
	})
	l := d.lend(t)
	l.now.Store(d.client(p))
	for n := range rounds(5, 100) {
		until(t, 20*time.Second, "receipts", func() bool { return len(l.since(0)) > 20*(n+1) })
		// Since the last was killed, another may not have begun yet.
		until(t, 20*time.Second, tokenProgram+" runs", func() (killed bool) {
			for _, pid := range childrenOf(t, p.pid) {
				killed = syscall.Kill(pid, syscall.SIGKILL) == nil || killed
			}
			return killed
		})
	}
	receipts, _ := l.account(t)
	p.stop(t)
	if left := childrenOf(t, p.pid); len(left) > 0 {
		t.Errorf("%d processes were left behind", len(left))
	}
	t.Logf("%d receipts, none lost", receipts)
	d.works(t)

	t.Setenv("MUNIMENT_LOG_KEY_PKCS11_KEYS", "[first, second]")
	d.rotate(t)
	t.Setenv("MUNIMENT_LOG_KEY_PKCS11_KEYS", "[second]")
	d.works(t)
	for what, c := range map[string]struct{ name, value, says string }{
		"another PIN":   {"MUNIMENT_LOG_KEY_PKCS11_PIN", "hunter2hunter2", "C_Login"},
		"another token": {"MUNIMENT_LOG_KEY_PKCS11_TOKEN", "other", `0 tokens have the label "other"`},
		"another key":   {"MUNIMENT_LOG_KEY_PKCS11_KEYS", "[third]", "there is no Ed25519 key of that label"},
		"no library":    {"MUNIMENT_LOG_KEY_PKCS11_MODULE", "/nowhere.so", "cannot be loaded"},
		"no program":    {"PATH", filepath.Dir(must1(exec.LookPath("munimentd"))), "needs the program munimentd-pkcs11"},
	} {
		t.Run(what, func(t *testing.T) {
			t.Setenv(c.name, c.value)
			if code, out := d.run(t, "fsck", "--dir", d.Dir); code != exitFailure || !strings.Contains(out, c.says) || strings.Contains(out, "hunter2") {
				t.Errorf("exit code %d: %s", code, out)
			}
		})
	}
}

func must1(path string, err error) string {
	if err != nil {
		panic(err)
	}
	return path
}

// childrenOf lists the processes that a process has started.
func childrenOf(t *testing.T, pid int) []int {
	t.Helper()
	var all []int
	entries, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		stat, err := os.ReadFile(filepath.Join("/proc", e.Name(), "stat"))
		if err != nil {
			continue
		}
		var parent, child int
		var state string
		_, rest, _ := strings.Cut(string(stat), ") ")
		if _, err := fmt.Sscan(rest, &state, &parent); err != nil || parent != pid || state == "Z" {
			continue
		}
		if _, err := fmt.Sscan(e.Name(), &child); err == nil {
			all = append(all, child)
		}
	}
	return all
}

// TestKilledRotation kills each step of a rotation at moments that differ, and runs it
// again: it comes to its end, and every receipt verifies under the policies that it should.
func TestKilledRotation(t *testing.T) {
	d := layout(t)
	policies := []proofs.Policy{d.policy}
	random := time.Duration(0)
	killed := 0
	for round := range rounds(3, 30) {
		for _, step := range []string{"prepare", "begin", "serve", "switch", "serve", "finish", "serve"} {
			if step == "serve" {
				p := d.serve(t, "--canary", "0")
				if _, err := (&acknowledged{key: fmt.Sprint(round, len(policies), time.Now()), contract: "LC-1", text: "x"}).send(d.client(p)); err != nil {
					t.Fatal(err)
				}
				p.stop(t)
				continue
			}
			for delay := random % (7 * time.Millisecond); ; delay += 9 * time.Millisecond {
				ctx, cancel := context.WithTimeout(t.Context(), delay)
				cmd := exec.CommandContext(ctx, "munimentd", "key", "rotate", step, "--dir", d.Dir)
				out, err := cmd.CombinedOutput()
				d.said.Write(out)
				late := ctx.Err() != nil
				cancel()
				if err == nil {
					break
				}
				if !late {
					t.Fatalf("round %d, %s: %v: %s", round, step, err, out)
				}
				killed++
			}
			random += 1300 * time.Microsecond
			if code, out := d.run(t, "key", "rotate", step, "--dir", d.Dir); code != 0 { // again, after its end
				t.Fatalf("round %d, %s again: exit code %d: %s", round, step, code, out)
			}
		}
		file, err := os.ReadFile(filepath.Join(d.Dir, "policy"))
		if err != nil {
			t.Fatal(err)
		}
		p, err := proofs.ParsePolicy(file)
		if err != nil || p.Logs[0] == policies[len(policies)-1].Logs[0] {
			t.Fatalf("after round %d the policy is %s: %v", round, file, err)
		}
		policies = append(policies, p)
	}
	d.policy = policies[len(policies)-1]
	d.clean(t)
	p := d.serve(t, "--canary", "0")
	c := d.client(p)
	for i := range policies[:len(policies)-1] { // one pair of entries a rotation, no more
		kinds := 0
		entries, err := c.entries(must2(c.checkpoint()).Size)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if strings.HasPrefix(e, "muniment/entry@v1\nkey\n") {
				kinds++
			}
		}
		if kinds != 2*(len(policies)-1) {
			t.Errorf("%d key entries after %d rotations", kinds, len(policies)-1)
		}
		if _, err := c.get("/log/policy/" + policies[i].Fingerprint()); err != nil {
			t.Errorf("policy %d is not served: %v", i, err)
		}
	}
	p.stop(t)
	t.Logf("%d kills in %d rotations", killed, len(policies)-1)
}

func must2(cp proofs.Checkpoint, err error) proofs.Checkpoint {
	if err != nil {
		panic(err)
	}
	return cp
}

// rotated ends the writing, and checks everything as account does, beside that many other
// entries.
func (l *lenders) rotated(t *testing.T, others uint64) int {
	t.Helper()
	l.enough()
	l.writes.Wait()
	c, all := l.now.Load(), l.since(0)
	cp, entries := c.whole(t)
	if cp.Size != others+uint64(len(all)) {
		t.Errorf("the log has %d entries, not %d and %d", cp.Size, others, len(all))
	}
	if err := l.checkAll(c, all, entries); err != nil {
		t.Error(err)
	}
	if _, err := l.consistent(c, all); err != nil {
		t.Error(err)
	}
	return len(all)
}

// TestRotationOfReplicas rotates the key of three replicas under writers and outsiders who
// keep every checkpoint: as the help says, one after the other, and no receipt is lost.
func TestRotationOfReplicas(t *testing.T) {
	s := share(t)
	d := s.layout(t, s.postgres.URL(), s.s3.Endpoint)
	old := d.policy
	d.rotates = true
	f := d.fleet(t, 3)
	l := f.lend(t)
	l.now.Store(f.balanced())
	restart := func() {
		t.Helper()
		for i, p := range f.processes {
			f.up[i].Store(nil)
			p.stop(t)
			f.start(t, i)
		}
	}
	step := func(name string) {
		t.Helper()
		if code, out := d.run(t, "key", "rotate", name, "--dir", d.Dir); code != 0 {
			t.Fatalf("%s: exit code %d: %s", name, code, out)
		}
	}
	more := func() {
		t.Helper()
		n := len(l.since(0))
		until(t, 30*time.Second, "receipts", func() bool { return len(l.since(0)) > n+20 })
		f.alive(t, l)
	}
	more()
	step("prepare")
	restart()
	more()
	step("begin")
	more()
	step("switch")
	restart()
	more()
	// Their holders judge by the old policy all the time, which the overlap is for.
	receipts := l.rotated(t, 2)
	step("finish")
	file, err := os.ReadFile(filepath.Join(d.Dir, "policy"))
	if err != nil {
		t.Fatal(err)
	}
	next, err := proofs.ParsePolicy(file)
	if err != nil {
		t.Fatal(err)
	}
	d.policy = next
	j := d.keeping()
	for i := range 30 {
		a := &acknowledged{key: fmt.Sprint("after-", i), contract: "LC-1", text: fmt.Sprint("contract ", i), original: i%2 == 0}
		got, err := a.send(f.balanced())
		if err == nil {
			err = j.keep(a, got)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	f.alive(t, l)
	newest, err := f.balanced().get("/log/checkpoint")
	if err != nil {
		t.Fatal(err)
	}
	for want, p := range map[proofs.Outcome]proofs.Policy{proofs.Verified: next, proofs.Refused: old} {
		if _, outcome, reason := proofs.NewVerifier(p).Checkpoint(newest); outcome != want {
			t.Errorf("after it the checkpoint is %v, not %v, for %s", outcome, want, reason)
		}
	}
	restart()
	f.stop(t)
	t.Logf("%d receipts up to its end, none lost", receipts)
}
