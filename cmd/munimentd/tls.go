package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/service/auth"
)

// tlsConfig says how serve speaks TLS itself, and who comes with which client certificate.
type tlsConfig struct {
	Certificate, Key, ClientCA string // PEM files
	Callers                    map[string]auth.Certified
}

func tlsSettings(t *tlsConfig) []setting {
	return []setting{
		{"tls.certificate", text(&t.Certificate), "", "PEM file of the certificate, and those between it and its root, by which serve speaks TLS itself; read again when it changes; empty: plain HTTP"},
		{"tls.key", text(&t.Key), "", "PEM file of that certificate's key"},
		{"tls.client-ca", text(&t.ClientCA), "", "PEM file of the roots that client certificates must lead to; empty: none are asked for"},
		{"tls.callers", bearers(&t.Callers), "", "who comes with which client certificate, by its name, URI:…, DNS:… or, where it has neither, CN=…: {\"CN=loans\": {tenant: ID, role: depositor}}"},
	}
}

func (t *tlsConfig) check() error {
	switch {
	case (t.Certificate == "") != (t.Key == ""):
		return errors.New("tls.certificate and tls.key go together")
	case t.ClientCA != "" && t.Certificate == "":
		return errors.New("tls.client-ca needs tls.certificate and tls.key: behind a proxy no client certificate arrives")
	case (t.ClientCA == "") != (len(t.Callers) == 0):
		return errors.New("tls.client-ca and tls.callers go together")
	}
	return nil
}

// bearers is a setting of callers by the names of their certificates.
func bearers(p *map[string]auth.Certified) value {
	return value{
		kind: "yaml", structured: true,
		set: func(text string) (err error) { *p, err = parseBearers(text); return err },
		get: func() any {
			out := map[string]map[string]any{}
			for name, c := range *p {
				fields := map[string]any{"tenant": c.Tenant.String(), "role": string(c.Role)}
				if len(c.Supervises) > 0 {
					ids := make([]string, len(c.Supervises))
					for i, id := range c.Supervises {
						ids[i] = id.String()
					}
					fields["supervises"] = ids
				}
				out[name] = fields
			}
			return out
		},
	}
}

func parseBearers(words string) (map[string]auth.Certified, error) {
	root, err := parseYAML([]byte(words))
	if err != nil || root == nil {
		return nil, err
	}
	if root.Kind != yaml.MappingNode {
		return nil, errors.New(`is not a map, as in {"CN=loans": {tenant: TENANT-ID, role: depositor}}`)
	}
	all := map[string]auth.Certified{}
	for i := 0; i+1 < len(root.Content); i += 2 {
		name := root.Content[i].Value
		if _, twice := all[name]; twice {
			return nil, fmt.Errorf("names %q twice", name)
		}
		kind, _, _ := strings.Cut(name, ":")
		if kind != "URI" && kind != "DNS" && !strings.HasPrefix(name, "CN=") {
			return nil, fmt.Errorf("names %q: a certificate's name begins with URI:, DNS: or CN=", name)
		}
		var tenant, role string
		var supervises []string
		settings := []setting{{"tenant", text(&tenant), "", ""}, {"role", text(&role), "", ""}, {"supervises", list(&supervises), "", ""}}
		told, err := flatten(root.Content[i+1], settings)
		if err != nil {
			return nil, fmt.Errorf("of %q: %w", name, err)
		}
		for _, s := range settings {
			if err := s.value.set(told[s.name]); err != nil {
				return nil, fmt.Errorf("of %q: %s %w", name, s.name, err)
			}
		}
		var c auth.Certified
		if c.Tenant, err = notary.ParseID(tenant); err != nil {
			return nil, fmt.Errorf("of %q: tenant %q is no tenant id", name, tenant)
		}
		if c.Role, err = parseRole(role); err != nil {
			return nil, fmt.Errorf("of %q: role: %w", name, err)
		}
		if c.Supervises, err = supervised(c.Role == notary.Auditor, supervises); err != nil {
			return nil, fmt.Errorf("of %q: %w", name, err)
		}
		all[name] = c
	}
	return all, nil
}

// tlsRead is how often the files are looked at for a change, while connections come.
const tlsRead = 10 * time.Second

// tlsFiles are the certificate and the roots as they are in their files now: a certificate
// that was renewed is used without a restart.
type tlsFiles struct {
	tlsConfig
	logger *slog.Logger

	mu     sync.Mutex
	looked time.Time
	read   [3][]byte // of the files
	config *tls.Config
}

// openTLS reads the files; nil if serve speaks plain HTTP.
func openTLS(t tlsConfig, logger *slog.Logger) (*tlsFiles, error) {
	if t.Certificate == "" {
		return nil, nil
	}
	f := &tlsFiles{tlsConfig: t, logger: logger}
	return f, f.load()
}

// load reads the files, if they have changed.
func (f *tlsFiles) load() error {
	var read [3][]byte
	for i, path := range []string{f.Certificate, f.Key, f.ClientCA} {
		if path == "" {
			continue
		}
		var err error
		if read[i], err = os.ReadFile(path); err != nil {
			return fmt.Errorf("tls: %w", err)
		}
	}
	f.looked = time.Now()
	if f.config != nil && bytes.Equal(read[0], f.read[0]) && bytes.Equal(read[1], f.read[1]) && bytes.Equal(read[2], f.read[2]) {
		return nil
	}
	pair, err := tls.X509KeyPair(read[0], read[1])
	if err != nil {
		return fmt.Errorf("tls.certificate %s and tls.key %s: %w", f.Certificate, f.Key, err)
	}
	c := &tls.Config{
		MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}, NextProtos: []string{"http/1.1"},
		// A session that is taken up again is one whose client certificate nobody looks at.
		SessionTicketsDisabled: true,
	}
	if f.ClientCA != "" {
		c.ClientAuth, c.ClientCAs = tls.VerifyClientCertIfGiven, x509.NewCertPool()
		if !c.ClientCAs.AppendCertsFromPEM(read[2]) {
			return fmt.Errorf("tls.client-ca: %s holds no certificate in PEM", f.ClientCA)
		}
	}
	f.read, f.config = read, c
	return nil
}

// now is the configuration by the files as they are. Files that cannot be read, as in the
// middle of a renewal, leave it as it was.
func (f *tlsFiles) now() *tls.Config {
	f.mu.Lock()
	defer f.mu.Unlock()
	if time.Since(f.looked) > tlsRead {
		if err := f.load(); err != nil {
			f.looked = time.Now()
			f.logger.Error("the TLS files were changed and cannot be used; those from before are", "error", err)
		}
	}
	return f.config
}

// tlsFiles looks whether serve could speak TLS with what is there.
func (e *examination) tlsFiles() {
	if e.config.TLS.Certificate == "" {
		return
	}
	f, err := openTLS(e.config.TLS, slog.New(slog.DiscardHandler))
	if err != nil {
		e.add("tls", wrong, "put the files right: serve does not start with these", "%v", err)
		return
	}
	leaf, err := x509.ParseCertificate(f.config.Certificates[0].Certificate[0])
	switch left := time.Until(leaf.NotAfter); {
	case err != nil:
		e.add("tls", wrong, "put another certificate in its place", "%s: %v", f.Certificate, err)
	case left <= 0:
		e.add("tls", wrong, "renew it; serve reads it again by itself", "the certificate in %s ended %s", f.Certificate, leaf.NotAfter.UTC().Format(time.DateOnly))
	case left < 14*24*time.Hour:
		e.add("tls", doubtful, "renew it; serve reads it again by itself", "the certificate in %s ends %s", f.Certificate, leaf.NotAfter.UTC().Format(time.DateOnly))
	default:
		e.add("tls", sound, "", "the certificate in %s is good until %s", f.Certificate, leaf.NotAfter.UTC().Format(time.DateOnly))
	}
}

// listen speaks TLS on a listener.
func (f *tlsFiles) listen(l net.Listener) net.Listener {
	return tls.NewListener(l, &tls.Config{MinVersion: tls.VersionTLS12, GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return f.now(), nil }})
}

// toSelf is how this process is sure to speak with itself: the certificate is its own, byte
// for byte, whatever name and root it has.
func (f *tlsFiles) toSelf() *tls.Config {
	return &tls.Config{
		MinVersion:         tls.VersionTLS12,
		InsecureSkipVerify: true, //nolint:gosec // VerifyConnection is stricter than what it takes the place of
		VerifyConnection: func(s tls.ConnectionState) error {
			if own := f.now().Certificates[0].Certificate[0]; len(s.PeerCertificates) == 0 || !bytes.Equal(s.PeerCertificates[0].Raw, own) {
				return errors.New("another certificate than our own answers")
			}
			return nil
		},
	}
}
