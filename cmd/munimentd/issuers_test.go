package main

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/muniment/muniment/storage/storagetest/servers"
)

// TestIssuer: a real issuer's tokens deposit and read, as its people's roles say; its key is
// changed while the depository runs; withdrawn, ended and strangers' tokens are nobody; while
// it is away those who were known stay known.
func TestIssuer(t *testing.T) {
	v, err := servers.StartVault("unused")
	if err != nil {
		t.Fatal(err)
	}
	defer v.Kill()
	issuer, err := v.Issuer("muniment")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := v.Issuer("another"); err != nil {
		t.Fatal(err)
	}
	settings := fmt.Sprintf("oidc.issuers: {%s: {audience: muniment, tenant: 01a2070d-4e2f-7d00-87c7-be68003ebf3d, role-claim: role, roles: {lending: depositor}}}\n", issuer)
	for name, want := range map[string]string{"oidc": issuer + " has", "oidx": "does not give its keys"} {
		other := layout(t)
		file := filepath.Join(other.Dir, configName)
		if err := os.WriteFile(file, []byte(strings.Replace(settings, "/oidc:", "/"+name+":", 1)), 0o600); err != nil {
			t.Fatal(err)
		}
		if out, _ := other.tool("doctor", "--dir", other.Dir); !strings.Contains(out, want) {
			t.Errorf("doctor says %s", out)
		}
	}
	people := map[string]string{}
	for name, role := range map[string]string{"loans": "lending", "ann": "legal", "bob": "legal", "eve": "guests"} {
		if people[name], err = v.Person(name, role); err != nil {
			t.Fatal(err)
		}
	}
	token := func(name, audience string) string {
		t.Helper()
		text, err := v.IDToken(people[name], audience)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	d := layout(t)
	p := d.serve(t, "--canary", "0s", "--oidc-issuers", fmt.Sprintf("{%s: {audience: muniment, tenant: %s, role-claim: role, roles: {lending: depositor, legal: compliance}}}", issuer, d.Tenant))
	c := d.client(p)
	a, err := c.as(token("loans", "muniment")).digest("1", "HT-1", "contract")
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{"loans": true, "ann": true, "eve": false} {
		if _, err := c.as(token(name, "muniment")).get("/v1/deposits/" + a.ID); (err == nil) != want {
			t.Errorf("%s reads: %v", name, err)
		}
	}
	if _, err := c.as(token("ann", "muniment")).digest("2", "HT-1", "x"); err != nil {
		t.Errorf("compliance does not deposit: %v", err)
	}
	if _, err := c.as(token("loans", "another")).digest("3", "HT-1", "x"); statusOf(err) != http.StatusUnauthorized {
		t.Errorf("a token for something else: %v", err)
	}
	loans := token("loans", "muniment")
	tampered := loans[:len(loans)-8] + strings.Repeat("A", 8)
	if _, err := c.as(tampered).digest("4", "HT-1", "x"); statusOf(err) != http.StatusUnauthorized {
		t.Errorf("another signature: %v", err)
	}
	// Two people erase, and not one with two tokens.
	c.erase(t, a.ID, token("ann", "muniment"), token("ann", "muniment"))
	if _, err := c.get("/v1/deposits/" + a.ID); err != nil {
		t.Errorf("one person erased alone: %v", err)
	}
	c.erase(t, a.ID, token("bob", "muniment"))
	if _, err := c.get("/v1/deposits/" + a.ID); statusOf(err) != http.StatusGone {
		t.Errorf("two people did not: %v", err)
	}

	if err := v.Ask(http.MethodPost, "identity/oidc/key/muniment/rotate", map[string]any{"verification_ttl": "1h"}, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := c.as(token("loans", "muniment")).digest("5", "HT-2", "after"); err != nil {
		// It was asked for its keys a moment ago, and is not again at once.
		until(t, 2*askAgain, "the new key is not found", func() bool {
			_, err := c.as(token("loans", "muniment")).digest("5", "HT-2", "after")
			return err == nil
		})
	}
	known := token("loans", "muniment")
	v.Kill()
	if _, err := c.as(known).digest("6", "HT-2", "away"); err != nil {
		t.Errorf("with the issuer away: %v", err)
	}
	p.stop(t)
	d.clean(t)
}

// askAgain is how soon an issuer is asked for its keys again, at most.
const askAgain = 15 * time.Second

func statusOf(err error) int {
	if told := new(problem); errors.As(err, &told) {
		return told.Status
	}
	return 0
}

// TestWrongIssuers: what could be taken for another's token is no setting.
func TestWrongIssuers(t *testing.T) {
	const id = "01a2070d-4e2f-7d00-87c7-be68003ebf3d"
	good := "{https://idp.example: {audience: m, tenant: " + id + ", role-claim: r, roles: {a: depositor}}}"
	if _, err := parseIssuers(good); err != nil {
		t.Fatal(err)
	}
	for change, want := range map[[2]string]string{
		{"https://idp.example", "http://idp.example"}:                     "is not https",
		{"audience: m, ", ""}:                                             "audience is missing",
		{"tenant: " + id + ", ", ""}:                                      "name one of tenant and tenant-claim",
		{"tenant: ", "tenant-claim: org, tenant: "}:                       "name one of tenant and tenant-claim",
		{"tenant: " + id, "tenant-claim: org"}:                            "tenant-claim and tenants go together",
		{"tenant: " + id, "tenant: x"}:                                    "is no tenant id",
		{"role-claim: r, ", ""}:                                           "role-claim and roles",
		{"roles: {a: depositor}", "roles: {}"}:                            "role-claim and roles",
		{"a: depositor", "a: king"}:                                       "none of the roles",
		{"a: depositor", "a: auditor"}:                                    "supervises names 1 to 100 tenants",
		{"roles:", "supervises: [" + id + "], roles:"}:                    "supervises names 1 to 100 tenants",
		{"roles: {a: depositor}", "supervises: [x], roles: {a: auditor}"}: "is no tenant id",
		{"roles:", "max-age: 0s, roles:"}:                                 "max-age",
		{"audience:", "audence: x, audience:"}:                            `did you mean audience`,
		{"}}}", "}}, https://idp.example: {audience: second}}"}:           "https://idp.example",
	} {
		text := strings.Replace(good, change[0], change[1], 1)
		if _, err := parseIssuers(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}
