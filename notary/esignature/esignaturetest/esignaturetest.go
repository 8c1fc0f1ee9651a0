// Package esignaturetest makes signed PDFs for tests, with openssl: what is signed, how and by
// whom the test says.
package esignaturetest

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A Signer is a key and certificate that openssl made, key.pem and cert.pem in Dir.
type Signer struct {
	Dir string
	t   testing.TB
}

// New makes a key, RSA of 2,048 bits unless genpkey says otherwise, and a certificate for it.
func New(t testing.TB, subject string, genpkey ...string) Signer {
	t.Helper()
	if len(genpkey) == 0 {
		genpkey = []string{"-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"}
	}
	s := Signer{t.TempDir(), t}
	s.Run(append([]string{"genpkey", "-out", "key.pem"}, genpkey...)...)
	s.Run("req", "-x509", "-new", "-key", "key.pem", "-out", "cert.pem", "-days", "30", "-utf8", "-subj", subject)
	return s
}

// Run runs openssl in Dir.
func (s Signer) Run(args ...string) {
	s.t.Helper()
	c := exec.Command("openssl", args...)
	c.Dir = s.Dir
	if out, err := c.CombinedOutput(); err != nil {
		s.t.Fatalf("openssl %v: %v\n%s", args, err, out)
	}
}

// CMS signs data, which is not in it unless the options of openssl cms say so.
func (s Signer) CMS(data []byte, options ...string) []byte {
	s.t.Helper()
	if err := os.WriteFile(filepath.Join(s.Dir, "data"), data, 0o600); err != nil {
		s.t.Fatal(err)
	}
	s.Run(append([]string{"cms", "-sign", "-binary", "-in", "data", "-signer", "cert.pem", "-inkey", "key.pem", "-outform", "DER", "-out", "sig"}, options...)...)
	out, err := os.ReadFile(filepath.Join(s.Dir, "sig"))
	if err != nil {
		s.t.Fatal(err)
	}
	return out
}

// Blank is a PDF without pages.
const Blank = "%PDF-1.7\n1 0 obj\n<</Type/Catalog/Pages 2 0 R>>\nendobj\n2 0 obj\n<</Type/Pages/Kids[]/Count 0>>\nendobj\n" +
	"trailer\n<</Root 1 0 R/Size 3>>\nstartxref\n0\n%%EOF\n"

// unsigned appends to a PDF a revision with a signature that is still empty, of that many bytes,
// and returns what it will cover.
func unsigned(pdf string, entries string, room int) (file []byte, gap, rest int) {
	const width = "          "
	head := pdf + "9 0 obj\n<</Type/Sig/Filter/Adobe.PPKLite/SubFilter/adbe.pkcs7.detached" + entries +
		"/ByteRange [0 " + width + " " + width + " " + width + "]/Contents "
	gap = len(head)
	rest = gap + 2 + 2*room
	tail := ">>\nendobj\ntrailer\n<</Root 1 0 R/Size 10/Prev 0>>\nstartxref\n0\n%%EOF\n"
	ranges := fmt.Sprintf("[0 %-10d %-10d %-10d]", gap, rest, len(tail))
	head = strings.Replace(head, "[0 "+width+" "+width+" "+width+"]", ranges, 1)
	return []byte(head + "<" + strings.Repeat("0", 2*room) + ">" + tail), gap, rest
}

// Sign appends a signature to a PDF.
func (s Signer) Sign(pdf string, options ...string) []byte {
	s.t.Helper()
	return SignedBy(pdf, func(covered []byte) []byte { return s.CMS(covered, options...) })
}

// SignedBy appends a signature that sign makes of what it covers.
func SignedBy(pdf string, sign func(covered []byte) []byte) []byte {
	file, gap, rest := unsigned(pdf, "/M(D:20260301160000+08'00')", 12000)
	cms := sign(append(bytes.Clone(file[:gap]), file[rest:]...))
	copy(file[gap+1:], hex.EncodeToString(cms))
	return file
}
