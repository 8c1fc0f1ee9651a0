package service

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"hash"
	"net/http"
	"strings"
)

// contentDigest is what a body was announced to be (RFC 9530 §2), and what has come
// of it.
type contentDigest struct {
	hash.Hash
	want []byte
}

var errContentDigest = refuse(badDigest, "The Content-Digest is not of the form sha-256=:base64:, as RFC 9530 describes it.")

// contentDigests reads the Content-Digest of a request. Algorithms that are not
// known are passed over.
func contentDigests(h http.Header) ([]contentDigest, error) {
	members, ok := byteSequences(h.Get("Content-Digest"))
	if !ok {
		return nil, errContentDigest
	}
	var out []contentDigest
	for name, want := range members {
		var sum hash.Hash
		switch name {
		case "sha-256":
			sum = sha256.New()
		case "sha-512":
			sum = sha512.New()
		default:
			continue
		}
		if len(want) != sum.Size() {
			return nil, errContentDigest
		}
		out = append(out, contentDigest{sum, want})
	}
	return out, nil
}

// came takes note of a piece of the body.
func (b *body) came(p []byte) {
	for _, d := range b.digests {
		d.Write(p)
	}
}

// announced refuses a body, come to its end, that is not the one announced.
func (b *body) announced() error {
	for _, d := range b.digests {
		if !bytes.Equal(d.Sum(nil), d.want) {
			return refuse(badDigest, "The body is not the one whose Content-Digest was sent. Nothing was kept.")
		}
	}
	return nil
}

// byteSequences reads a dictionary of byte sequences (RFC 9651 §3.2 and §3.3.5). Of
// a name that stands twice the last counts. Parameters mean nothing here.
func byteSequences(text string) (map[string][]byte, bool) {
	out := map[string][]byte{}
	if text == "" {
		return out, true
	}
	for member := range strings.SplitSeq(text, ",") {
		name, rest, ok := strings.Cut(strings.Trim(member, " \t"), "=:")
		if !ok || !dictionaryKey(name) {
			return nil, false
		}
		encoded, parameters, ok := strings.Cut(rest, ":")
		if !ok || parameters != "" && parameters[0] != ';' {
			return nil, false
		}
		value, err := base64.StdEncoding.DecodeString(encoded)
		if err != nil {
			return nil, false
		}
		out[name] = value
	}
	return out, true
}

// dictionaryKey reports whether s is a key of a dictionary (RFC 9651 §3.1.2).
func dictionaryKey(s string) bool {
	for i, c := range []byte(s) {
		lead := c >= 'a' && c <= 'z' || c == '*'
		if !lead && (i == 0 || (c < '0' || c > '9') && strings.IndexByte("_-.", c) < 0) {
			return false
		}
	}
	return s != ""
}
