package service

import (
	"bytes"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/service/auth"
)

// TestUnauthorizedIsOneAnswer: whatever is wrong with a credential, the answer is the same
// to the byte, but for the id of the request (I23).
func TestUnauthorizedIsOneAnswer(t *testing.T) {
	h := newHouse(t, func(c *Config) {
		c.Issuers = []auth.Issuer{{URL: "https://127.0.0.1:1", Audience: "muniment", Tenant: notary.ID{1}, RoleClaim: "r", Roles: map[string]notary.Role{"a": notary.Depositor}, MaxAge: time.Hour}}
	})
	key, _ := auth.NewKey()
	var first []byte
	for what, header := range map[string]string{
		"nothing": "", "an unknown key": "Bearer " + key, "another scheme": "Basic " + h.depositor, "half a key": "Bearer " + h.depositor[:20],
		"alg none":          "Bearer eyJhbGciOiJub25lIn0.eyJpc3MiOiJodHRwczovLzEyNy4wLjAuMToxIn0.",
		"a stranger's":      "Bearer eyJhbGciOiJSUzI1NiIsImtpZCI6ImEifQ.eyJpc3MiOiJodHRwczovL3guZXhhbXBsZSIsInN1YiI6ImEiLCJleHAiOjk5OTk5OTk5OTl9.AA",
		"no end":            "Bearer eyJhbGciOiJSUzI1NiIsImtpZCI6ImEifQ.eyJpc3MiOiJodHRwczovLzEyNy4wLjAuMToxIiwic3ViIjoiYSJ9.AA",
		"too long":          "Bearer " + strings.Repeat("a", 9<<10) + ".b.c",
		"a key and a token": "Bearer " + h.depositor + ".b.c",
	} {
		a := h.do(t, "GET", "/v1/deposits", nil, "Authorization", header)
		if a.StatusCode != http.StatusUnauthorized || a.Header.Get("WWW-Authenticate") != "Bearer" {
			t.Errorf("%s: %d %q", what, a.StatusCode, a.Header.Get("WWW-Authenticate"))
		}
		if first == nil {
			first = a.body
		}
		if !bytes.Equal(first, a.body) {
			t.Errorf("%s: %s, and another was answered %s", what, a.body, first)
		}
	}
}
