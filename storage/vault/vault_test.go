package vault_test

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/muniment/muniment/storage/storagetest/servers"
	"github.com/muniment/muniment/storage/vault"
)

func start(t *testing.T) (*servers.Vault, vault.Config) {
	t.Helper()
	v, err := servers.StartVault("muniment")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(v.Kill)
	token, err := v.Token("muniment")
	if err != nil {
		t.Fatal(err)
	}
	return v, vault.Config{Address: v.URL, Mount: "transit", Key: "muniment", Token: token}
}

func open(t *testing.T, c vault.Config) *vault.Transit {
	t.Helper()
	k, err := vault.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// TestTransit: what was wrapped is unwrapped, for the same tenant alone, and after the key
// was rotated in the server; with a token that may do no more. No error tells a secret.
func TestTransit(t *testing.T) {
	v, c := start(t)
	k, ctx := open(t, c), t.Context()
	plain, bound := []byte("a tenant's key, sixty-four bytes of it, or a few more than those"), []byte("tenant a")
	wrapped, err := k.Wrap(ctx, plain, bound)
	if err != nil || !strings.HasPrefix(wrapped, "vault:v1:") {
		t.Fatalf("%q, %v", wrapped, err)
	}
	opens := func(wrapped string) {
		t.Helper()
		if got, err := k.Unwrap(ctx, wrapped, bound); err != nil || !bytes.Equal(got, plain) {
			t.Errorf("unwrapped: %q, %v", got, err)
		}
	}
	opens(wrapped)
	refused := func(what string, k *vault.Transit, wrapped string, bound []byte) {
		t.Helper()
		got, err := k.Unwrap(ctx, wrapped, bound)
		if err == nil || got != nil {
			t.Errorf("%s: %q", what, got)
			return
		}
		for _, secret := range []string{c.Token, string(plain), wrapped} {
			if strings.Contains(err.Error(), secret) {
				t.Errorf("%s: the error tells what it should not: %v", what, err)
			}
		}
	}
	refused("another tenant's", k, wrapped, []byte("tenant b"))
	refused("one character another", k, wrapped[:30]+string(wrapped[30]^1)+wrapped[31:], bound)
	stolen := c
	stolen.Token = "hvs.nobody"
	refused("a wrong token", open(t, stolen), wrapped, bound)
	elsewhere := c
	elsewhere.Key = "other"
	refused("another key", open(t, elsewhere), wrapped, bound)
	if _, err := k.Wrap(ctx, make([]byte, 4097), bound); err == nil {
		t.Error("a long text was wrapped")
	}

	must := func(path string, body map[string]any) {
		t.Helper()
		if err := v.Ask(http.MethodPost, path, body, nil); err != nil {
			t.Fatal(err)
		}
	}
	must("transit/keys/muniment/rotate", nil)
	opens(wrapped)
	again, err := k.Wrap(ctx, plain, bound)
	if err != nil || !strings.HasPrefix(again, "vault:v2:") {
		t.Fatalf("%q, %v", again, err)
	}
	must("transit/keys/muniment/config", map[string]any{"min_decryption_version": 2})
	refused("an older version that was closed", k, wrapped, bound)
	opens(again)

	file := filepath.Join(t.TempDir(), "token")
	byFile := c
	byFile.Token, byFile.TokenFile = "", file
	for _, token := range []string{"hvs.nobody", c.Token} { // an agent renews it
		if err := os.WriteFile(file, []byte(token+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := open(t, byFile).Unwrap(ctx, again, bound); (err == nil) != (token == c.Token) {
			t.Errorf("with the token in a file: %v", err)
		}
	}
	must("sys/seal", nil)
	refused("a sealed server", k, again, bound)
}

// TestLiars: what is no answer of a Transit engine is an error, and a redirect is not followed
// with the token.
func TestLiars(t *testing.T) {
	var asked []string
	thief := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { asked = append(asked, r.Header.Get("X-Vault-Token")) }))
	defer thief.Close()
	for name, answer := range map[string]http.HandlerFunc{
		"redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, thief.URL, http.StatusTemporaryRedirect)
		},
		"nothing":   func(w http.ResponseWriter, _ *http.Request) {},
		"not JSON":  func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) },
		"empty":     func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"data":{}}`)) },
		"no base64": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"data":{"plaintext":"*"}}`)) },
		"endless":   func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(bytes.Repeat([]byte(" "), 2<<20)) },
		"error":     func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) },
	} {
		liar := httptest.NewServer(answer)
		k := open(t, vault.Config{Address: liar.URL, Mount: "transit", Key: "k", Token: "hvs.secret"})
		if got, err := k.Unwrap(t.Context(), "vault:v1:x", nil); err == nil || strings.Contains(err.Error(), "hvs.secret") {
			t.Errorf("%s: %q, %v", name, got, err)
		}
		if got, err := k.Wrap(t.Context(), []byte("x"), nil); err == nil {
			t.Errorf("%s: %q", name, got)
		}
		liar.Close()
	}
	if len(asked) > 0 {
		t.Errorf("the token went on to another: %q", asked)
	}
	for _, c := range []vault.Config{
		{Address: "http://kms.example", Mount: "transit", Key: "k", Token: "t"},
		{Address: "https://u:p@kms.example", Mount: "transit", Key: "k", Token: "t"},
		{Address: "https://kms.example", Mount: "../sys", Key: "k", Token: "t"},
		{Address: "https://kms.example", Mount: "transit", Key: "a/b", Token: "t"},
		{Address: "https://kms.example", Mount: "transit", Key: "k"},
		{Address: "https://kms.example", Mount: "transit", Key: "k", Token: "t", CA: "/nowhere"},
	} {
		if _, err := vault.New(c); err == nil {
			t.Errorf("taken: %+v", c)
		}
	}
}
