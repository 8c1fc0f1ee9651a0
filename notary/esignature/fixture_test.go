package esignature

import (
	"crypto"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/cryptobyte"
	asn "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/muniment/muniment/notary/esignature/esignaturetest"
)

// withStamp adds to a CMS signature a time-stamp on it, as an unsigned attribute.
func withStamp(t testing.TB, cms []byte, stamp func(signature []byte) []byte) []byte {
	t.Helper()
	in := cryptobyte.String(cms)
	var info, explicit, body, signers, one cryptobyte.String
	if !in.ReadASN1(&info, asn.SEQUENCE) || !info.SkipASN1(asn.OBJECT_IDENTIFIER) || !info.ReadASN1(&explicit, context(0)) || !explicit.ReadASN1(&body, asn.SEQUENCE) {
		t.Fatal("no SignedData")
	}
	head := body
	var skipped cryptobyte.String
	var has bool
	if !body.SkipASN1(asn.INTEGER) || !body.SkipASN1(asn.SET) || !body.SkipASN1(asn.SEQUENCE) || !body.ReadOptionalASN1(&skipped, &has, context(0)) || !body.SkipOptionalASN1(context(1)) {
		t.Fatal("no SignedData")
	}
	head = head[:len(head)-len(body)]
	s, ok := parseSigned(cms)
	if !ok || !body.ReadASN1(&signers, asn.SET) || !signers.ReadASN1(&one, asn.SEQUENCE) {
		t.Fatal("no signer")
	}
	b := cryptobyte.NewBuilder(nil)
	b.AddASN1(asn.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier([]int{1, 2, 840, 113549, 1, 7, 2})
		b.AddASN1(context(0), func(b *cryptobyte.Builder) {
			b.AddASN1(asn.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddBytes(head)
				b.AddASN1(asn.SET, func(b *cryptobyte.Builder) {
					b.AddASN1(asn.SEQUENCE, func(b *cryptobyte.Builder) {
						b.AddBytes(one)
						b.AddASN1(context(1), func(b *cryptobyte.Builder) {
							b.AddASN1(asn.SEQUENCE, func(b *cryptobyte.Builder) {
								b.AddASN1ObjectIdentifier([]int{1, 2, 840, 113549, 1, 9, 16, 2, 14})
								b.AddASN1(asn.SET, func(b *cryptobyte.Builder) { b.AddBytes(stamp(s.signer.signature)) })
							})
						})
					})
				})
			})
		})
	})
	out, err := b.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// poppler signs PDFs as people do, with a key in NSS's database.
type poppler struct {
	t   testing.TB
	dir string
}

func newPoppler(t testing.TB) poppler {
	t.Helper()
	key := esignaturetest.New(t, "/CN=张三/O=Test Bank")
	key.Run("pkcs12", "-export", "-inkey", "key.pem", "-in", "cert.pem", "-name", "signer", "-passout", "pass:", "-out", "key.p12")
	p := poppler{t, key.Dir}
	if err := os.Mkdir(filepath.Join(p.dir, "nss"), 0o700); err != nil {
		t.Fatal(err)
	}
	p.run("certutil", "-N", "-d", "sql:nss", "--empty-password")
	p.run("pk12util", "-i", "key.p12", "-d", "sql:nss", "-W", "")
	return p
}

func (p poppler) run(name string, args ...string) string {
	p.t.Helper()
	c := exec.Command(name, args...)
	c.Dir = p.dir
	out, err := c.CombinedOutput()
	if err != nil && (name != "pdfsig" || c.ProcessState.ExitCode() < 0) { // which exits 1 for a bad signature
		p.t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
	return string(out)
}

// sign adds a signature to a PDF.
func (p poppler) sign(pdf []byte, options ...string) []byte {
	p.t.Helper()
	in, out := filepath.Join(p.dir, "in.pdf"), filepath.Join(p.dir, "out.pdf")
	if err := os.WriteFile(in, pdf, 0o600); err != nil {
		p.t.Fatal(err)
	}
	_ = os.Remove(out)
	said := p.run("pdfsig", append(append([]string{"-nssdir", "sql:nss", "-nick", "signer", "-add-signature"}, options...), in, out)...)
	signed, err := os.ReadFile(out)
	if err != nil {
		p.t.Fatalf("%v\n%s", err, said)
	}
	return signed
}

// judge is what poppler says of each signature: valid, and covering the whole file.
func (p poppler) judge(pdf []byte) (valid, whole []bool) {
	p.t.Helper()
	in := filepath.Join(p.dir, "judged.pdf")
	if err := os.WriteFile(in, pdf, 0o600); err != nil {
		p.t.Fatal(err)
	}
	for i, part := range strings.Split(p.run("pdfsig", "-nocert", "-nssdir", "sql:nss", in), "\nSignature #") {
		if i > 0 {
			valid = append(valid, strings.Contains(part, "Signature is Valid."))
			whole = append(whole, strings.Contains(part, "Total document signed"))
		}
	}
	return valid, whole
}

func digestOf(h crypto.Hash, data []byte) []byte {
	sum := h.New()
	sum.Write(data)
	return sum.Sum(nil)
}
