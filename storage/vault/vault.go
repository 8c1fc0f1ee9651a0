// Package vault is the key management of HashiCorp Vault and of OpenBao: a key of their
// Transit engine, which never leaves the server, wraps the keys of tenants. It implements
// notary.KMS over HTTPS.
//
// The server's policy needs to allow no more than "update" on MOUNT/encrypt/KEY and
// MOUNT/decrypt/KEY. The key is of type aes256-gcm96, which binds what is wrapped to the
// tenant. After a rotation of that key in the server the older versions go on opening;
// munimentd tenant-key wrap brings every file under the newest.
package vault

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/muniment/muniment/notary"
)

// Config says which key of which server.
type Config struct {
	Address   string // URL of the server; without TLS on this machine alone
	Mount     string // of the Transit engine
	Key       string
	Namespace string // of Vault Enterprise and OpenBao; empty: none
	Token     string
	TokenFile string // holds the token, and is read for each call; else Token is used
	CA        string // PEM file of the roots that its certificate must lead to; empty: the machine's
}

const (
	// within bounds one call.
	within = 10 * time.Second
	// maxAnswer bounds an answer, in bytes.
	maxAnswer = 1 << 20
	maxPlain  = 4096
)

// Transit is one key of a Transit engine.
type Transit struct {
	config Config
	base   *url.URL
	client http.Client
}

var _ notary.KMS = (*Transit)(nil)

// New checks the configuration. Nothing is asked of the server yet.
func New(c Config) (*Transit, error) {
	base, err := url.Parse(c.Address)
	switch {
	case err != nil || base.Host == "" || base.RawQuery != "" || base.User != nil:
		return nil, errors.New("kms.vault.address is not the URL of a server")
	case base.Scheme != "https" && (base.Scheme != "http" || !local(base.Hostname())):
		return nil, errors.New("kms.vault.address must be https: keys go over this connection")
	case !name(c.Mount) || !name(c.Key) || strings.Contains(c.Key, "/"):
		return nil, errors.New("kms.vault.mount and kms.vault.key must name a Transit engine and a key of it")
	case c.Token == "" && c.TokenFile == "":
		return nil, errors.New("kms.vault.token-file or kms.vault.token is needed")
	}
	transport := &http.Transport{
		TLSClientConfig:     &tls.Config{MinVersion: tls.VersionTLS12},
		MaxIdleConnsPerHost: 2,
		IdleConnTimeout:     time.Minute,
	}
	if c.CA != "" {
		roots, err := os.ReadFile(c.CA)
		if err != nil {
			return nil, fmt.Errorf("kms.vault.ca: %w", err)
		}
		transport.TLSClientConfig.RootCAs = x509.NewCertPool()
		if !transport.TLSClientConfig.RootCAs.AppendCertsFromPEM(roots) {
			return nil, fmt.Errorf("kms.vault.ca: %s holds no certificate", c.CA)
		}
	}
	return &Transit{config: c, base: base, client: http.Client{
		Transport: transport, Timeout: within,
		// A redirect would take the token to whoever is named in it.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

func local(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// name reports whether text can stand in a path as it is.
func name(text string) bool {
	return text != "" && strings.Trim(text, "/") == text && !strings.Contains(text, "..") && url.PathEscape(strings.ReplaceAll(text, "/", "")) == strings.ReplaceAll(text, "/", "")
}

// KeyID implements notary.KMS.
func (t *Transit) KeyID() string { return "vault:" + t.config.Mount + "/" + t.config.Key }

type request struct {
	Plaintext      []byte `json:"plaintext,omitempty"`
	Ciphertext     string `json:"ciphertext,omitempty"`
	AssociatedData []byte `json:"associated_data"`
}

type answer struct {
	Data struct {
		Plaintext  []byte `json:"plaintext"`
		Ciphertext string `json:"ciphertext"`
	} `json:"data"`
}

// Wrap implements notary.KMS.
func (t *Transit) Wrap(ctx context.Context, plain, bound []byte) (string, error) {
	if len(plain) > maxPlain {
		return "", fmt.Errorf("%d bytes are too many to wrap", len(plain))
	}
	a, err := t.ask(ctx, "encrypt", request{Plaintext: plain, AssociatedData: bound})
	if err == nil && a.Data.Ciphertext == "" {
		err = fmt.Errorf("%s: an answer without what was asked for", t.KeyID())
	}
	return a.Data.Ciphertext, err
}

// Unwrap implements notary.KMS.
func (t *Transit) Unwrap(ctx context.Context, wrapped string, bound []byte) ([]byte, error) {
	a, err := t.ask(ctx, "decrypt", request{Ciphertext: wrapped, AssociatedData: bound})
	if err == nil && len(a.Data.Plaintext) == 0 {
		err = fmt.Errorf("%s: an answer without what was asked for", t.KeyID())
	}
	return a.Data.Plaintext, err
}

// ask sends one request. What the server says beside its status is not told: it may name
// what is none of a log's concern.
func (t *Transit) ask(ctx context.Context, what string, r request) (a answer, err error) {
	body, err := json.Marshal(r)
	if err != nil {
		return a, err
	}
	token, err := t.token()
	if err != nil {
		return a, err
	}
	to := t.base.JoinPath("v1", t.config.Mount, what, t.config.Key).String()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewReader(body))
	if err != nil {
		return a, err
	}
	req.Header.Set("X-Vault-Token", token)
	req.Header.Set("X-Vault-Request", "true")
	req.Header.Set("Content-Type", "application/json")
	if t.config.Namespace != "" {
		req.Header.Set("X-Vault-Namespace", t.config.Namespace)
	}
	resp, err := t.client.Do(req)
	if err != nil {
		return a, fmt.Errorf("%s: %w", t.KeyID(), err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	switch {
	case resp.StatusCode != http.StatusOK:
		return a, fmt.Errorf("%s: %s was answered %s%s", t.KeyID(), what, resp.Status, meaning(resp.StatusCode))
	case err != nil:
		return a, fmt.Errorf("%s: %w", t.KeyID(), err)
	}
	if json.Unmarshal(data, &a) != nil { // whose words may hold a piece of the key
		return a, fmt.Errorf("%s: %s was answered what is not JSON of it", t.KeyID(), what)
	}
	return a, nil
}

func meaning(status int) string {
	switch status {
	case http.StatusBadRequest:
		return ": it was not wrapped by this key for this tenant, or the key refuses that version"
	case http.StatusForbidden:
		return ": the token has ended, or its policy does not allow it"
	case http.StatusNotFound:
		return ": there is no such engine or key"
	case http.StatusServiceUnavailable:
		return ": the server is sealed, or in maintenance"
	}
	return ""
}

func (t *Transit) token() (string, error) {
	if t.config.TokenFile == "" {
		return t.config.Token, nil
	}
	data, err := os.ReadFile(t.config.TokenFile)
	if err != nil {
		return "", fmt.Errorf("kms.vault.token-file: %w", err)
	}
	return strings.TrimSpace(string(data)), nil
}
