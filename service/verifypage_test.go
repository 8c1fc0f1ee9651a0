package service

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"regexp"
	"strings"
	"testing"

	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/service/verifypage"
)

// TestVerifyPageIsServed: without an account, in the language asked for or preferred, with
// the headers that keep it to itself; what it loads is compressed, never changes, and is not
// sent to who has it.
func TestVerifyPageIsServed(t *testing.T) {
	earlier := newHouse(t).policy
	h := newHouse(t, func(c *Config) { c.Earlier, c.TimestampRoots = []proofs.Policy{earlier}, []byte("-----BEGIN") })
	get := func(path string, headers ...string) answer {
		return h.do(t, "GET", path, nil, append([]string{"Authorization", ""}, headers...)...)
	}
	for path, c := range map[string][2]string{
		"/verify":           {"", "zh-CN"},
		"/verify?lang=en":   {"zh", "en"},
		"/verify?lang=zh":   {"en", "zh-CN"},
		"/verify?lang=fr":   {"en-US,en;q=0.9", "en"},
		"/verify?lang=":     {"fr, en;q=0.5, zh;q=0.8", "zh-CN"},
		"/verify?other=any": {"en;q=0.1", "en"},
	} {
		a := get(path, "Accept-Language", c[0], "Accept-Encoding", "identity")
		if a.StatusCode != 200 || !strings.Contains(string(a.body), `<html lang="`+c[1]+`">`) {
			t.Errorf("%s with %q: %d %.60s", path, c[0], a.StatusCode, a.body)
		}
		for name, want := range map[string]string{
			"Content-Type": "text/html; charset=utf-8", "Content-Security-Policy": verifypage.SitePolicy, "Referrer-Policy": "no-referrer",
			"X-Content-Type-Options": "nosniff", "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp",
			"Cross-Origin-Resource-Policy": "same-origin", "Cache-Control": "no-cache", "X-Frame-Options": "DENY", "Set-Cookie": "",
		} {
			if got := a.Header.Get(name); got != want {
				t.Errorf("%s: %s %q", path, name, got)
			}
		}
		if vary := strings.Join(a.Header.Values("Vary"), ","); !strings.Contains(vary, "Accept-Language") || !strings.Contains(vary, "Accept-Encoding") {
			t.Errorf("Vary %q", vary)
		}
	}
	page := get("/verify", "Accept-Encoding", "identity").body
	files := regexp.MustCompile(`"(/verify/[a-z]+\.[0-9a-f]{16}\.[a-z]+)"`).FindAllSubmatch(page, -1)
	if len(files) != 4 {
		t.Fatalf("the page loads %q", files)
	}
	for _, m := range append(files, [][]byte{nil, []byte("/verify/site.json")}, [][]byte{nil, []byte("/verify?lang=zh")}) {
		path := string(m[1])
		packed := get(path, "Accept-Encoding", "br, gzip")
		plain := get(path, "Accept-Encoding", "gzip;q=0, br")
		z, err := gzip.NewReader(bytes.NewReader(packed.body))
		must(t, err)
		inflated, err := io.ReadAll(z)
		must(t, err)
		if packed.Header.Get("Content-Encoding") != "gzip" || plain.Header.Get("Content-Encoding") != "" || !bytes.Equal(inflated, plain.body) || len(inflated) == 0 {
			t.Errorf("%s: %d bytes compressed, %d as they are", path, len(packed.body), len(plain.body))
		}
		tag := packed.Header.Get("ETag")
		if tag == "" || tag == plain.Header.Get("ETag") {
			t.Errorf("%s: ETag %q", path, tag)
		}
		if a := get(path, "Accept-Encoding", "gzip", "If-None-Match", tag); a.StatusCode != 304 || len(a.body) > 0 || a.Header.Get("ETag") != tag {
			t.Errorf("%s: %d to who has it", path, a.StatusCode)
		}
		head := h.do(t, "HEAD", path, nil, "Authorization", "", "Accept-Encoding", "gzip")
		if head.StatusCode != 200 || len(head.body) > 0 || head.ContentLength != int64(len(packed.body)) {
			t.Errorf("HEAD %s: %d, %d bytes", path, head.StatusCode, head.ContentLength)
		}
		if named := strings.Count(path, ".") == 2; named != (packed.Header.Get("Cache-Control") == immutable) {
			t.Errorf("%s: Cache-Control %q", path, packed.Header.Get("Cache-Control"))
		}
		h.do(t, "POST", path, nil, "Authorization", "").problem(t, methodNotAllowed)
	}
	for _, path := range []string{"/verify/", "/verify/x", "/verify/site%2Ejson", "/verify/a/b", "/verify/..", "/verify/%2e%2e/healthz"} {
		get(path).problem(t, notFound)
	}
	var site struct {
		Policies []string
		Roots    string
	}
	must(t, json.Unmarshal(get("/verify/site.json", "Accept-Encoding", "identity").body, &site))
	if len(site.Policies) != 2 || site.Policies[0] != h.policy.String() || site.Policies[1] != earlier.String() || site.Roots != "-----BEGIN" {
		t.Errorf("the site offers %+v", site)
	}
}
