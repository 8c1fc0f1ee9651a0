package service

import (
	"crypto/sha256"
	"crypto/sha512"
	"testing"
)

func sha256Field(body string) string {
	sum := sha256.Sum256([]byte(body))
	return "sha-256=:" + base64Of(string(sum[:])) + ":"
}

func sha512Field(body string) string {
	sum := sha512.Sum512([]byte(body))
	return "sha-512=:" + base64Of(string(sum[:])) + ":"
}

func TestContentDigest(t *testing.T) {
	h := newHouse(t)
	d, _ := h.postJSON(t, digestOnly("")).deposit(t, h, 201)
	upload := form(recordPart("{}"), documentPart("hello"))
	size, blobs := uint64(2), 0
	for name, test := range map[string]struct {
		status int
		send   func(t *testing.T, digest string) answer
		body   string
	}{
		"JSON":  {201, func(t *testing.T, d string) answer { return h.postJSON(t, digestOnly(""), "Content-Digest", d) }, digestOnly("")},
		"form":  {201, func(t *testing.T, d string) answer { return h.postForm(t, upload, "Content-Digest", d) }, upload},
		"batch": {201, func(t *testing.T, d string) answer { return h.postBatch(t, batchOf(3), "Content-Digest", d) }, batchOf(3)},
		"verify": {200, func(t *testing.T, x string) answer {
			return h.postVerify(t, multi, form(textPart("receipt", d.Receipt), documentPart("hello")), "Content-Digest", x)
		}, form(textPart("receipt", d.Receipt), documentPart("hello"))},
	} {
		right, right512 := sha256Field(test.body), sha512Field(test.body)
		for _, digest := range []string{right, right512, right + ", " + right512, "crc32c=:AAAAAA==:, " + right, "unixsum=:AAA=:", right + ";a=1", sha256Field("x") + "," + right, ""} {
			if a := test.send(t, digest); a.StatusCode != test.status {
				t.Errorf("%s, %s: %d %s", name, digest, a.StatusCode, a.body)
			}
		}
		now := h.ledger.Snapshot().Head.Size
		kept := len(h.blobs.Snapshot())
		for _, digest := range []string{
			sha256Field(test.body + " "), right + ", " + sha512Field("x"), "sha-256=::", "sha-256=:AAAA:", "sha-256", "sha-256=?1", "sha-256=" + right[9:len(right)-1], "SHA-256" + right[7:],
			"sha-256=:" + right[9:len(right)-2] + ":", right + "x", right + ",x", "sha-512=" + right[8:], "=:AA==:", "é=:AA==:", "sha-256 =" + right[8:], right + " " + right,
		} {
			p := test.send(t, digest).problem(t, badDigest)
			if p.Detail == "" {
				t.Errorf("%s, %s: %+v", name, digest, p)
			}
		}
		h.nothingKept(t, now, kept)
		size, blobs = now, kept
	}
	h.nothingKept(t, size, blobs)
	// Several fields are one list.
	twice := h.postJSON(t, digestOnly(""), "Content-Digest", sha256Field("x"))
	twice.problem(t, badDigest)
}
