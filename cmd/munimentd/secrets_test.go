package main

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/muniment/muniment/notary"
)

// spellings are the bytes by which a secret would be recognised wherever it turned up.
type spellings map[string][]byte // by what it is

// secretsOf reads the secrets of a depository: its key files and its API key.
func secretsOf(t testing.TB, d *laidOut) spellings {
	t.Helper()
	s := spellings{"the API key": []byte(d.APIKey)}
	key, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(d.APIKey, "mnt_"))
	if err != nil || len(key) != 32 {
		t.Fatalf("the API key is no key: %v", err)
	}
	s.spell("the API key's bytes", key)
	keys, err := loadLogKey(logKeyPath(d.Dir), nil)
	if err != nil {
		t.Fatal(err)
	}
	s.spell("the log key's seed", keys[0].signer.(ed25519.PrivateKey).Seed())
	files, err := filepath.Glob(filepath.Join(d.Dir, "keys", "tenants", "*.key"))
	if err != nil || len(files) != 3 {
		t.Fatalf("%d tenant key files: %v", len(files), err)
	}
	for _, path := range files {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		k, err := notary.ParseTenantKey(data)
		if err != nil {
			t.Fatal(err)
		}
		s.spell("a wrap key", k.Wrap[:])
		s.spell("an index key", k.Index[:])
	}
	return s
}

// spell adds a secret raw, in hex, and in base64 at each of the three places that it
// can have within a longer text; 24 bytes of each are enough to know it.
func (s spellings) spell(what string, secret []byte) {
	what += " " + hex.EncodeToString(secret[:2])
	s[what+" raw"] = secret[:24]
	s[what+" in hex"] = []byte(hex.EncodeToString(secret[:24]))
	s[what+" in upper-case hex"] = []byte(strings.ToUpper(hex.EncodeToString(secret[:24])))
	for shift := range 3 {
		text := base64.StdEncoding.EncodeToString(append(make([]byte, shift), secret...))
		from := (shift*8 + 5) / 6 // the first character of the secret's bits alone
		s[what+" in base64 at "+string(rune('0'+shift))] = []byte(text[from : from+32])
		s[what+" in base64url at "+string(rune('0'+shift))] = []byte(strings.NewReplacer("+", "-", "/", "_").Replace(text[from : from+32]))
	}
}

// found names a secret that stands in data, or nothing.
func (s spellings) found(data []byte) string {
	for what, b := range s {
		if bytes.Contains(data, b) {
			return what
		}
	}
	return ""
}

// check searches all that processes said, and all files of the depository but the
// key files themselves.
func (s spellings) check(t testing.TB, d *laidOut) {
	t.Helper()
	if what := s.found([]byte(d.said.String())); what != "" {
		t.Errorf("%s was told", what)
	}
	err := filepath.WalkDir(d.Dir, func(path string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case e.IsDir() && path == filepath.Join(d.Dir, "keys"):
			return fs.SkipDir
		case !e.Type().IsRegular():
			return nil
		}
		data, err := os.ReadFile(path)
		if what := s.found(data); what != "" {
			t.Errorf("%s stands in %s", what, path)
		}
		return err
	})
	if err != nil && !os.IsNotExist(err) {
		t.Error(err)
	}
}

// TestSecretsAreFound keeps the search honest.
func TestSecretsAreFound(t *testing.T) {
	d := layout(t)
	s := secretsOf(t, d)
	keys, err := loadLogKey(logKeyPath(d.Dir), nil)
	if err != nil {
		t.Fatal(err)
	}
	seed := keys[0].signer.(ed25519.PrivateKey).Seed()
	for _, leak := range []string{
		"Bearer " + d.APIKey,
		"key=" + hex.EncodeToString(seed),
		"x" + string(seed),
		base64.StdEncoding.EncodeToString(append([]byte("key "), seed...)),
		base64.StdEncoding.EncodeToString(append([]byte("keys "), seed...)),
		base64.RawURLEncoding.EncodeToString(append([]byte("a key "), seed...)),
	} {
		if s.found([]byte("time=now msg="+leak+"\n")) == "" {
			t.Errorf("a secret is not found in %q", leak)
		}
	}
}

// TestDumpHoldsNoSecret: what the runtime prints when it is made to die goes to the
// same log as everything else (I25).
func TestDumpHoldsNoSecret(t *testing.T) {
	d := layout(t)
	p := d.serve(t)
	c := d.client(p)
	if _, err := c.deposit("dump-1", map[string]any{"contract.number": "LC-1"}, []byte("a contract")); err != nil {
		t.Fatal(err)
	}
	syscall.Kill(p.pid, syscall.SIGQUIT)
	p.exit(t, 10*time.Second)
	if !strings.Contains(p.out.String(), "goroutine") {
		t.Errorf("no dump: %s", p.out)
	}
	d.clean(t)
}
