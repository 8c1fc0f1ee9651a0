package main

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/muniment/muniment/notary"
)

// TestCertificateSettings: a key that cannot sign certificates, a logo that is none, and what
// does not fit together are refused at the start, by name, and no byte of a key is told.
func TestCertificateSettings(t *testing.T) {
	dir := t.TempDir()
	file := func(name string, mode os.FileMode, blocks ...*pem.Block) string {
		var data []byte
		for _, b := range blocks {
			data = append(data, pem.EncodeToMemory(b)...)
		}
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Example"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8 := func(key any) *pem.Block {
		data, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		return &pem.Block{Type: "PRIVATE KEY", Bytes: data}
	}
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	own := &pem.Block{Type: "CERTIFICATE", Bytes: der}
	good, chain := file("key.pem", 0o600, pkcs8(key)), file("chain.pem", 0o644, own)
	id, _ := notary.ParseID("01a2070d-4e2f-7d00-87c7-be68003ebf3d")
	for what, c := range map[string]struct {
		config certificateConfig
		says   string
	}{
		"sound":                 {certificateConfig{Key: good, Chain: chain}, ""},
		"nothing":               {certificateConfig{}, ""},
		"a key others can read": {certificateConfig{Key: file("open.pem", 0o644, pkcs8(key)), Chain: chain}, "may be read by others"},
		"no key":                {certificateConfig{Key: filepath.Join(dir, "none"), Chain: chain}, "certificate.key"},
		"another's chain":       {certificateConfig{Key: file("other.pem", 0o600, pkcs8(other)), Chain: chain}, "is not the key's"},
		"Ed25519":               {certificateConfig{Key: file("ed.pem", 0o600, pkcs8(ed)), Chain: chain}, "is not the key's"},
		"a certificate for key": {certificateConfig{Key: file("cert.pem", 0o600, own), Chain: chain}, "is not one PKCS#8 key"},
		"two keys":              {certificateConfig{Key: file("two.pem", 0o600, pkcs8(key), pkcs8(other)), Chain: chain}, "is not one PKCS#8 key"},
		"a key for chain":       {certificateConfig{Key: good, Chain: good}, "no certificate"},
		"an empty chain":        {certificateConfig{Key: good, Chain: file("empty.pem", 0o644)}, "1 to 5 certificates"},
		"a logo that is none":   {certificateConfig{Tenants: map[notary.ID]certificateTenant{id: {Logo: chain}}}, id.String()},
		"no logo there":         {certificateConfig{Tenants: map[notary.ID]certificateTenant{id: {Logo: "/none"}}}, id.String()},
	} {
		cfg := newConfig()
		cfg.Certificate = c.config
		made, err := cfg.certificates(nil)
		switch {
		case c.says == "" && err != nil, c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)):
			t.Errorf("%s: %v", what, err)
		case err == nil && (made.Signer == nil) != (c.config.Key == ""):
			t.Errorf("%s: signer %v", what, made.Signer)
		case err != nil && strings.Contains(err.Error(), "PRIVATE"):
			t.Errorf("%s: %v", what, err)
		}
	}
	for text, says := range map[string]string{
		"dir: /d\ncertificate: {key: /k}\n":                                                                            "go together",
		"dir: /d\ncertificate: {verify-url: 'ftp://x'}\n":                                                              "is not a URL",
		"dir: /d\ncertificate: {tenants: {x: {logo: /l}}}\n":                                                           "is no tenant id",
		"dir: /d\ncertificate: {tenants: {" + id.String() + ": {lgo: /l}}}\n":                                          "lgo",
		"dir: /d\ncertificate: {tenants: {" + id.String() + ": {statement: \"" + strings.Repeat("x", 2001) + "\"}}}\n": "longer than",
	} {
		if _, err := configOf(t, text, nil); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", text[:40], err)
		}
	}
	for valid, says := range map[time.Duration]level{-time.Minute: wrong, 24 * time.Hour: doubtful, 1000 * time.Hour: sound} {
		template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(valid)
		der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
		if err != nil {
			t.Fatal(err)
		}
		e := &examination{config: newConfig()}
		e.config.Certificate = certificateConfig{Key: good, Chain: file("own.pem", 0o644, &pem.Block{Type: "CERTIFICATE", Bytes: der})}
		if e.certificates(); !e.has("certificates", says) {
			t.Errorf("a certificate for %s: %s", valid, described(e.diagnosis))
		}
	}
}
