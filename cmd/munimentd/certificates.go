package main

import (
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/notary/certificate"
	"github.com/muniment/muniment/service"
)

// certificateConfig is what the settings say of certificates, the PDFs for people.
type certificateConfig struct {
	Key, Chain string // files
	VerifyURL  string
	Tenants    map[notary.ID]certificateTenant
}

// certificateTenant is what a tenant has put on its own.
type certificateTenant struct {
	Logo      string // a file
	Statement string
}

func certificateSettings(c *certificateConfig) []setting {
	return []setting{
		{"certificate.key", text(&c.Key), "", "PEM file of the key that signs certificates (PKCS#8, RSA or ECDSA); empty: they are not signed, and say so"},
		{"certificate.chain", text(&c.Chain), "", "PEM file of the certificate of that key, and of those that issued it, one after another"},
		{"certificate.verify-url", pageURL(&c.VerifyURL), "", "URL of the public verify page, which the code on certificates opens; empty: they have none"},
		{"certificate.tenants", certificateTenants(&c.Tenants), "", "what tenants have put on their certificates, by tenant id: {ID: {logo: /etc/muniment/bank.png, statement: \"…\"}}; the logo is a PNG of at most 256 KiB and 800 by 300 pixels, the statement of at most 2,000 characters"},
	}
}

// pageURL is the address of a page.
func pageURL(p *string) value {
	v := text(p)
	v.set = func(text string) error {
		u, err := url.Parse(text)
		if text != "" && (err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || len(text) > 200) {
			return errors.New("is not a URL of the form https://HOST/PATH, of at most 200 bytes")
		}
		*p = text
		return nil
	}
	return v
}

// statement is text of several lines.
func statement(p *string) value {
	return value{
		kind: "string",
		set: func(text string) error {
			if len([]rune(text)) > 2000 {
				return errors.New("is longer than 2,000 characters")
			}
			*p = text
			return nil
		},
		get: func() any { return *p },
	}
}

func certificateTenantSettings(c *certificateTenant) []setting {
	return []setting{{"logo", text(&c.Logo), "", ""}, {"statement", statement(&c.Statement), "", ""}}
}

func certificateTenants(p *map[notary.ID]certificateTenant) value {
	return value{
		kind: "yaml", structured: true,
		set: func(text string) (err error) { *p, err = parseCertificateTenants(text); return err },
		get: func() any {
			out := map[string]map[string]any{}
			for id, c := range *p {
				out[id.String()] = map[string]any{"logo": c.Logo, "statement": c.Statement}
			}
			return out
		},
	}
}

func parseCertificateTenants(text string) (map[notary.ID]certificateTenant, error) {
	return parseByTenant(text, "{TENANT-ID: {logo: FILE, statement: TEXT}}", func(v *yaml.Node) (c certificateTenant, err error) {
		err = setFrom(v, certificateTenantSettings(&c))
		return c, err
	})
}

func (c certificateConfig) check() error {
	if (c.Key == "") != (c.Chain == "") {
		return errors.New("certificate.key and certificate.chain go together: one of them is not set")
	}
	return nil
}

// certificates is what the edge makes certificates with.
func (c *config) certificates(stamps *notary.Timestamps) (service.Certificates, error) {
	out := service.Certificates{
		Language: certificate.Language(c.Language), VerifyURL: c.Certificate.VerifyURL, Tenants: map[notary.ID]service.CertificateTenant{},
	}
	var authorities []certificate.Authority
	var err error
	if stamps != nil {
		for _, a := range stamps.Authorities {
			authorities = append(authorities, a)
		}
		if out.Roots, err = readFileOf("timestamp.roots", c.TimestampRoots, maxRootsFile); err != nil {
			return out, err
		}
	}
	for id, t := range c.Certificate.Tenants {
		own := service.CertificateTenant{Statement: t.Statement}
		if t.Logo != "" {
			if own.Logo, err = readFileOf("certificate.tenants", t.Logo, maxLogoFile); err == nil {
				err = certificate.CheckLogo(own.Logo)
			}
			if err != nil {
				return out, fmt.Errorf("certificate.tenants of %s: %w", id, err)
			}
		}
		out.Tenants[id] = own
	}
	if c.Certificate.Key != "" {
		out.Signer, err = c.Certificate.signer(authorities)
	}
	return out, err
}

const maxLogoFile = 1 << 20

// readFileOf reads a file that a setting names.
func readFileOf(setting, path string, most int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", setting, err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(data)) > most {
		err = fmt.Errorf("has more than %d bytes", most)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %s: %w", setting, path, err)
	}
	return data, nil
}

// signer reads the key and its chain. Its errors hold no byte of the key's file.
func (c certificateConfig) signer(authorities []certificate.Authority) (*certificate.Signer, error) {
	if err := private(c.Key); err != nil {
		return nil, fmt.Errorf("certificate.key: %w", err)
	}
	data, err := readFileOf("certificate.key", c.Key, maxRootsFile)
	if err != nil {
		return nil, err
	}
	block, rest := pem.Decode(data)
	if block == nil || block.Type != "PRIVATE KEY" || strings.TrimSpace(string(rest)) != "" {
		return nil, fmt.Errorf("certificate.key: %s is not one PKCS#8 key in PEM, unencrypted", c.Key)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	key, ok := parsed.(crypto.Signer)
	if err != nil || !ok {
		return nil, fmt.Errorf("certificate.key: %s cannot be read as PKCS#8", c.Key)
	}
	if data, err = readFileOf("certificate.chain", c.Chain, maxRootsFile); err != nil {
		return nil, err
	}
	var chain []*x509.Certificate
	for block, data = pem.Decode(data); block != nil; block, data = pem.Decode(data) {
		parsed, err := x509.ParseCertificate(block.Bytes)
		if block.Type != "CERTIFICATE" || err != nil {
			return nil, fmt.Errorf("certificate.chain: %s holds something that is no certificate", c.Chain)
		}
		chain = append(chain, parsed)
	}
	s, err := certificate.NewSigner(key, chain, authorities...)
	if err != nil {
		return nil, fmt.Errorf("certificate.key: %w", err)
	}
	return s, nil
}

// renewCertificate is how long before its end doctor asks for another.
const renewCertificate = 30 * 24 * time.Hour

// certificates sees that certificates could be made and signed.
func (e *examination) certificates() {
	const mend = "put the key and its valid certificate where certificate.key and certificate.chain say (munimentd config); munimentd serve reads them at its start"
	stamps, err := e.config.timestamps()
	if err != nil {
		e.add("certificates", wrong, "put the roots of the time-stamp authorities where timestamp.roots says", "%v", err)
		return
	}
	c, err := e.config.certificates(stamps)
	switch {
	case err != nil:
		e.add("certificates", wrong, mend, "%v", err)
	case c.Signer == nil:
	case time.Now().After(c.Signer.NotAfter()):
		e.add("certificates", wrong, mend, "the certificate of their signing key ended on %s: they are refused", c.Signer.NotAfter().UTC().Format(time.RFC3339))
	case time.Until(c.Signer.NotAfter()) < renewCertificate:
		e.add("certificates", doubtful, mend, "the certificate of their signing key ends on %s", c.Signer.NotAfter().UTC().Format(time.RFC3339))
	default:
		e.add("certificates", sound, "", "signed by %s, until %s", c.Signer.Signed().Subject, c.Signer.NotAfter().UTC().Format(time.RFC3339))
	}
}
