package service

import (
	"crypto/rand"
	"net/http"
	"strings"
	"testing"
)

// FuzzLists: the lists in headers are taken apart without loss.
func FuzzLists(f *testing.F) {
	for _, s := range []string{`"a", W/"b,c"`, "wait=5, return=minimal", "sha-256=:AAAA:, x=:AA==:;a", `"\"`, ",,", `a,"`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, e := range elements(s) {
			if e == "" || !strings.Contains(s, e) || strings.Trim(e, " \t") != e {
				t.Errorf("%q has the element %q", s, e)
			}
		}
		if members, ok := byteSequences(s); ok && len(members) > strings.Count(s, ",")+1 {
			t.Errorf("%q has %d members", s, len(members))
		}
		if tag := `"` + s + `"`; !strings.ContainsAny(s, `"\`) && !holds(`"x", `+tag, tag) {
			t.Errorf("%s does not hold itself", tag)
		}
	})
}

// TestLists: a header that came in several fields is one, and one without content is
// none.
func TestLists(t *testing.T) {
	h := newHouse(t)
	tag := h.do(t, "GET", "/log/policy", nil).Header.Get("ETag")
	for name, test := range map[string]struct {
		values []string
		status int
	}{
		"one":           {[]string{`"x"`, tag}, 304},
		"none of them":  {[]string{`"x"`, `"y"`}, 200},
		"empty fields":  {[]string{"", " ", ","}, 200},
		"and something": {[]string{"", tag, ""}, 304},
	} {
		r, err := http.NewRequestWithContext(t.Context(), "GET", h.url+"/log/policy", nil)
		must(t, err)
		r.Header["If-None-Match"] = test.values
		if a := send(t, r); a.StatusCode != test.status {
			t.Errorf("%s: %s", name, a.Status)
		}
	}
	body := digestOnly("")
	for name, test := range map[string]struct {
		header string
		values []string
		status int
	}{
		"two digests":       {"Content-Digest", []string{sha256Field(body), sha512Field(body)}, 201},
		"one of them wrong": {"Content-Digest", []string{sha512Field("x"), sha256Field(body)}, 400},
		"no digest":         {"Content-Digest", []string{""}, 201},
		"two preferences":   {"Prefer", []string{"return=minimal", "wait=9"}, 201},
		"no preference":     {"Prefer", []string{"", ""}, 201},
		"two idempotencies": {"Idempotency-Key", []string{"a", "b"}, 400},
		"an empty one":      {"Idempotency-Key", []string{""}, 400},
	} {
		r, err := http.NewRequestWithContext(t.Context(), "POST", h.url+"/v1/deposits", strings.NewReader(body))
		must(t, err)
		r.Header.Set("Authorization", "Bearer "+h.depositor)
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Idempotency-Key", rand.Text())
		r.Header[test.header] = test.values
		a := send(t, r)
		if a.StatusCode != test.status {
			t.Errorf("%s: %d %s", name, a.StatusCode, a.body)
		}
		if name == "two preferences" && a.Header.Get("Preference-Applied") != "wait=9" {
			t.Errorf("%v", a.Header)
		}
	}
}
