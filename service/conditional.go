package service

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"
)

const (
	plainText = "text/plain; charset=utf-8"
	// immutable is said of what can never be other bytes, fleeting of what may be
	// another with the next seal.
	immutable = "public, max-age=31536000, immutable"
	fleeting  = "public, max-age=1"
)

// public answers with a piece of the log, for everyone and every page; or, where the
// caller has these very bytes, with 304 (RFC 9110 §13).
func public(w http.ResponseWriter, r *http.Request, kind, caching string, body []byte) {
	h := w.Header()
	h.Set("Cache-Control", caching)
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Access-Control-Expose-Headers", "ETag")
	tag := entityTag(body)
	h.Set("ETag", tag)
	if holds(r.Header.Get("If-None-Match"), tag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Type", kind)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body)
}

// entityTag is a strong validator: half of the SHA-256 of the bytes.
func entityTag(body []byte) string {
	sum := sha256.Sum256(body)
	return `"` + base64.RawURLEncoding.EncodeToString(sum[:sha256.Size/2]) + `"`
}

// holds reports whether an If-None-Match names the tag, by the weak comparison that
// it asks for (RFC 9110 §13.1.2).
func holds(condition, tag string) bool {
	if condition == "*" {
		return true
	}
	for _, e := range elements(condition) {
		if strings.TrimPrefix(e, "W/") == tag {
			return true
		}
	}
	return false
}
