package main

import (
	"crypto/x509"
	"errors"
	"fmt"
	"regexp"

	"go.yaml.in/yaml/v3"

	"github.com/muniment/muniment/notary"
)

// maxPattern bounds a pattern, in bytes.
const maxPattern = 500

// checkSettings are what can be said of one tenant's own rules: settings within a setting.
func checkSettings(c *notary.Checks) []setting {
	return []setting{
		{"require", list(&c.Require), "[]", ""},
		{"types", list(&c.Types), "[]", ""},
		{"max-size", number(&c.MaxSize, 0, 1<<40), "0", ""},
		{"contract", pattern(&c.Contract), "", ""},
		{"signing-keys", list(&c.SigningKeys), "[]", ""},
		{"signature", choice((*string)(&c.Signature), "", string(notary.SignatureIntact), string(notary.SignatureTrusted)), "", ""},
		{"content", choice((*string)(&c.Content), "", string(notary.ContentOriginal), string(notary.ContentDigest)), "", ""},
	}
}

// pattern is an RE2 regular expression that the whole of a text must match.
func pattern(p **regexp.Regexp) value {
	return value{
		kind: "string",
		set: func(text string) error {
			if *p = nil; text == "" {
				return nil
			}
			if len(text) > maxPattern {
				return fmt.Errorf("is longer than %d bytes", maxPattern)
			}
			re, err := regexp.Compile(`^(?:` + text + `)$`)
			if err != nil {
				return errors.New("is no regular expression as RE2 has them")
			}
			*p = re
			return nil
		},
		get: func() any {
			if *p == nil {
				return ""
			}
			whole := (*p).String()
			return whole[len(`^(?:`) : len(whole)-len(`)$`)]
		},
	}
}

// tenantChecks are the rules of tenants that have some.
func tenantChecks(p *map[notary.ID]notary.Checks) value {
	return value{
		kind: "yaml", structured: true,
		set: func(text string) (err error) { *p, err = parseChecks(text); return err },
		get: func() any {
			out := map[string]map[string]any{}
			for id, c := range *p {
				fields := map[string]any{}
				for _, s := range checkSettings(&c) {
					fields[s.name] = s.value.get()
				}
				out[id.String()] = fields
			}
			return out
		},
	}
}

// signatureRoots are the authorities by whom certificates of electronic signatures are judged;
// nil: they are not.
func (c *config) signatureRoots() (*x509.CertPool, error) {
	if c.SignatureRoots == "" {
		return nil, nil
	}
	data, err := readRoots(c.SignatureRoots)
	if err != nil {
		return nil, fmt.Errorf("signatures.roots: %w", err)
	}
	roots, err := notary.ParseSignatureRoots(data)
	if err != nil {
		return nil, fmt.Errorf("signatures.roots: %s: %w", c.SignatureRoots, err)
	}
	return roots, nil
}

func parseChecks(text string) (map[notary.ID]notary.Checks, error) {
	return parseByTenant(text, "{TENANT-ID: {require: [provenance.system], max-size: 20971520}}", func(v *yaml.Node) (c notary.Checks, err error) {
		if err = setFrom(v, checkSettings(&c)); err == nil {
			err = c.CheckNames()
		}
		return c, err
	})
}
