package service

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"strconv"
	"strings"

	"golang.org/x/text/language"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/service/verifypage"
)

// readers are the languages of the verify page, for matching.
var readers = language.NewMatcher([]language.Tag{language.Chinese, language.English})

// verifyPage serves /verify, in the language that ?lang= names or the browser prefers. The page
// is the same for everyone, takes nothing and keeps nothing.
func (s *server) verifyPage(w http.ResponseWriter, r *http.Request) {
	lang := r.URL.Query().Get("lang")
	site := verifypage.ForSite()
	page, ok := site.Pages[lang]
	if !ok {
		_, i := language.MatchStrings(readers, r.Header.Get("Accept-Language"))
		page = site.Pages[verifypage.Languages[i]]
	}
	w.Header().Add("Vary", "Accept-Language")
	s.pageFile(w, r, page, "no-cache")
}

// verifyFile serves what the page loads. Its names hold the digests of the files.
func (s *server) verifyFile(w http.ResponseWriter, r *http.Request) {
	name, _ := strings.CutPrefix(r.URL.Path, verifypage.Prefix)
	switch f, ok := verifypage.ForSite().Files[name]; {
	case r.URL.RawPath != "":
		s.fail(w, r, notary.ErrNotFound)
	case ok:
		s.pageFile(w, r, f, immutable)
	case name == "site.json":
		s.pageFile(w, r, s.offered, "no-cache")
	default:
		s.fail(w, r, notary.ErrNotFound)
	}
}

// offer is what the site offers of its own to verify by, which proves nothing about who
// signed: its policies, the one in force first, and the roots of its time-stamp authorities.
func offer(c Config) verifypage.File {
	var out struct {
		Policies []string `json:"policies"`
		Roots    string   `json:"roots"`
	}
	out.Policies, out.Roots = []string{c.Policy.String()}, string(c.TimestampRoots)
	for _, p := range c.Earlier {
		out.Policies = append(out.Policies, p.String())
	}
	var body bytes.Buffer
	encode(&body, out)
	return verifypage.Pack("application/json", body.Bytes())
}

// pageFile answers with a file of the page, compressed where the caller takes that.
func (s *server) pageFile(w http.ResponseWriter, r *http.Request, f verifypage.File, caching string) {
	h := w.Header()
	h.Set("Cache-Control", caching)
	h.Add("Vary", "Accept-Encoding")
	h.Set("Content-Security-Policy", verifypage.SitePolicy)
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Permissions-Policy", "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Embedder-Policy", "require-corp")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("X-Frame-Options", "DENY")
	packed := takesGzip(r.Header.Get("Accept-Encoding"))
	tag := entityTag(f.Gzip)
	if !packed {
		tag = strings.TrimSuffix(tag, `"`) + `-plain"`
	}
	h.Set("ETag", tag)
	if holds(r.Header.Get("If-None-Match"), tag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Type", f.Type)
	if packed {
		h.Set("Content-Encoding", "gzip")
		h.Set("Content-Length", strconv.Itoa(len(f.Gzip)))
		_, _ = w.Write(f.Gzip)
		return
	}
	z, err := gzip.NewReader(bytes.NewReader(f.Gzip))
	if err != nil {
		s.fail(w, r, err)
		return
	}
	_, _ = io.Copy(w, z) // of this program's own making
}

// takesGzip reports whether an Accept-Encoding allows gzip (RFC 9110 §12.5.3).
func takesGzip(accept string) bool {
	for _, e := range elements(strings.ToLower(accept)) {
		coding, weight, _ := strings.Cut(e, ";")
		if strings.TrimSpace(coding) != "gzip" {
			continue
		}
		_, q, _ := strings.Cut(weight, "q=")
		value, err := strconv.ParseFloat(strings.TrimSpace(q), 64)
		return err != nil || value > 0
	}
	return false
}
