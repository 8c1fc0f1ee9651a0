package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/service/auth"
)

// An issuerConfig is an OpenID Connect provider as the settings have it.
type issuerConfig struct {
	auth.Issuer
	tenant     string
	supervises []string
	CA         string // PEM file
}

// Bounds of what is asked of an issuer's tokens.
const (
	maxIssuers      = 100
	defaultTokenAge = time.Hour
)

// issuerSettings are what can be said of one issuer: settings within a setting.
func issuerSettings(i *issuerConfig) []setting {
	return []setting{
		{"audience", text(&i.Audience), "", ""},
		{"tenant", text(&i.tenant), "", ""},
		{"tenant-claim", text(&i.TenantClaim), "", ""},
		{"tenants", mapped(&i.Tenants, notary.ParseID, notary.ID.String), "{}", ""},
		{"role-claim", text(&i.RoleClaim), "", ""},
		{"roles", mapped(&i.Roles, parseRole, func(r notary.Role) string { return string(r) }), "{}", ""},
		{"supervises", list(&i.supervises), "", ""},
		{"max-age", interval(&i.MaxAge), defaultTokenAge.String(), ""},
		{"ca", text(&i.CA), "", ""},
		{"client-id", text(&i.ClientID), "", ""},
		{"client-secret", secret(&i.ClientSecret), "", ""},
		{"scopes", list(&i.Scopes), "", ""},
		{"name", text(&i.Name), "", ""},
	}
}

// supervised reads whom an auditor supervises: no other role has any, and it has one at least.
func supervised(role bool, texts []string) (ids []notary.ID, err error) {
	if role != (len(texts) > 0) || len(texts) > notary.MaxSupervised {
		return nil, fmt.Errorf("supervises names 1 to %d tenants where the role auditor is given, and nowhere else", notary.MaxSupervised)
	}
	for _, text := range texts {
		id, err := notary.ParseID(text)
		if err != nil {
			return nil, fmt.Errorf("supervises: %q is no tenant id", text)
		}
		ids = append(ids, id)
	}
	return ids, nil
}

// parseRole knows the roles that a caller can have.
func parseRole(s string) (notary.Role, error) {
	if r := notary.Role(s); slices.Contains(notary.Roles, r) {
		return r, nil
	}
	return "", fmt.Errorf("%q is none of the roles %v", s, notary.Roles)
}

// mapped is a map from texts to what they stand for.
func mapped[T any](p *map[string]T, parse func(string) (T, error), show func(T) string) value {
	return value{
		kind: "yaml", structured: true,
		set: func(text string) error {
			var words map[string]string
			if err := yaml.Unmarshal([]byte(text), &words); err != nil {
				return errors.New("is not a map of texts")
			}
			*p = map[string]T{}
			for name, word := range words {
				v, err := parse(word)
				if err != nil {
					return fmt.Errorf("of %q: %w", name, err)
				}
				(*p)[name] = v
			}
			return nil
		},
		get: func() any {
			words := map[string]string{}
			for name, v := range *p {
				words[name] = show(v)
			}
			return words
		},
	}
}

// issuers is a setting of issuers by their URL.
func issuers(p *map[string]issuerConfig) value {
	return value{
		kind: "yaml", structured: true,
		set:    func(text string) (err error) { *p, err = parseIssuers(text); return err },
		get:    func() any { return showIssuers(*p, false) },
		masked: func() any { return showIssuers(*p, true) },
	}
}

func showIssuers(all map[string]issuerConfig, masked bool) any {
	out := map[string]map[string]any{}
	for url, i := range all {
		fields := map[string]any{}
		for _, s := range issuerSettings(&i) {
			fields[s.name] = s.show(masked)
		}
		out[url] = fields
	}
	return out
}

func parseIssuers(text string) (map[string]issuerConfig, error) {
	root, err := parseYAML([]byte(text))
	if err != nil || root == nil {
		return nil, err
	}
	if root.Kind != yaml.MappingNode || len(root.Content) > 2*maxIssuers {
		return nil, errors.New("is not a map, as in {https://idp.example: {audience: muniment, tenant: TENANT-ID, role-claim: groups, roles: {lending: depositor}}}")
	}
	all := map[string]issuerConfig{}
	for n := 0; n+1 < len(root.Content); n += 2 {
		url := root.Content[n].Value
		if _, twice := all[url]; twice {
			return nil, fmt.Errorf("names %s twice", url)
		}
		if err := auth.CheckURL(url); err != nil {
			return nil, err
		}
		i, err := parseIssuer(root.Content[n+1])
		if err != nil {
			return nil, fmt.Errorf("of %s: %w", url, err)
		}
		i.URL = url
		all[url] = i
	}
	return all, nil
}

func parseIssuer(n *yaml.Node) (issuerConfig, error) {
	var i issuerConfig
	settings := issuerSettings(&i)
	told, err := flatten(n, settings)
	if err != nil {
		return i, err
	}
	for _, s := range settings {
		text, ok := told[s.name]
		if !ok {
			text = s.def
		}
		if err := s.value.set(text); err != nil {
			return i, fmt.Errorf("%s %w", s.name, err)
		}
	}
	switch {
	case i.Audience == "":
		return i, errors.New("audience is missing: who asks for a token for something else could come here with it")
	case i.RoleClaim == "" || len(i.Roles) == 0:
		return i, errors.New("role-claim and roles say what a token's bearer may do, and are missing")
	case (i.tenant == "") == (i.TenantClaim == ""):
		return i, errors.New("name one of tenant and tenant-claim")
	case (i.TenantClaim == "") != (len(i.Tenants) == 0):
		return i, errors.New("tenant-claim and tenants go together")
	case i.ClientSecret != "" && i.ClientID == "":
		return i, errors.New("client-secret is that of a client-id, which is missing")
	case i.MaxAge == 0:
		return i, errors.New("max-age is not 1s or more")
	}
	if i.Supervises, err = supervised(slices.Contains(slices.Collect(maps.Values(i.Roles)), notary.Auditor), i.supervises); err != nil {
		return i, err
	}
	if i.tenant != "" {
		i.Tenant, err = notary.ParseID(i.tenant)
	}
	if err != nil {
		return i, fmt.Errorf("tenant %q is no tenant id", i.tenant)
	}
	return i, nil
}

// issuers asks each issuer for its keys.
func (e *examination) issuers(ctx context.Context) {
	all, err := e.config.trusted()
	if err != nil {
		e.add("issuers", wrong, "mend oidc.issuers: nobody comes in with a token, and serve does not start", "%v", err)
		return
	}
	for _, i := range all {
		ctx, cancel := context.WithTimeout(ctx, examineWithin)
		keys, err := auth.Discover(ctx, i)
		cancel()
		switch {
		case err != nil:
			e.add("issuers", wrong, "see that the URL is the issuer's own name, byte for byte, and that this machine reaches it", "%s does not give its keys: %v", i.URL, err)
		case keys == 0:
			e.add("issuers", wrong, "have it sign with RSA of 2,048 bits or more, ECDSA or Ed25519", "%s has no key that is believed", i.URL)
		default:
			e.add("issuers", sound, "", "%s has %d keys", i.URL, keys)
		}
	}
}

// trusted returns the issuers with their roots read.
func (c *config) trusted() ([]auth.Issuer, error) {
	var all []auth.Issuer
	for _, url := range slices.Sorted(maps.Keys(c.Issuers)) {
		i := c.Issuers[url]
		if i.CA != "" {
			data, err := os.ReadFile(i.CA)
			if err != nil {
				return nil, fmt.Errorf("oidc.issuers: ca of %s: %w", url, err)
			}
			i.Roots = x509.NewCertPool()
			if !i.Roots.AppendCertsFromPEM(data) {
				return nil, fmt.Errorf("oidc.issuers: ca of %s: %s holds no certificate in PEM", url, i.CA)
			}
		}
		all = append(all, i.Issuer)
	}
	return all, nil
}
