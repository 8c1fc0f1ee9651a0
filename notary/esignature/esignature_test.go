package esignature

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	mathrand "math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/muniment/muniment/notary/esignature/esignaturetest"
	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/proofs/rfc3161/rfc3161test"
)

const sample = "../../cmd/muniment/testdata/case/loan-agreement-en.pdf"

func one(t testing.TB, pdf []byte) Finding {
	t.Helper()
	found := Examine(pdf, nil)
	if len(found) != 1 {
		t.Fatalf("%d findings: %+v", len(found), found)
	}
	return found[0]
}

var rsa2048 = []string{"-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"}

// TestAlgorithms: what openssl signs in each way is intact, and altered once a byte is; what is
// weak or strange is said to be not understood, and never intact.
func TestAlgorithms(t *testing.T) {
	p256 := []string{"-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"}
	p384 := []string{"-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"}
	for _, c := range []struct {
		key       []string
		options   []string
		state     State
		reason    Reason
		algorithm string
	}{
		{rsa2048, nil, Intact, "", "RSA SHA-256"},
		{rsa2048, []string{"-md", "sha384"}, Intact, "", "RSA SHA-384"},
		{rsa2048, []string{"-md", "sha512", "-cades"}, Intact, "", "RSA SHA-512"},
		{rsa2048, []string{"-noattr"}, Intact, "", "RSA SHA-256"},
		{rsa2048, []string{"-keyid"}, Intact, "", "RSA SHA-256"},
		{rsa2048, []string{"-stream"}, NotUnderstood, ReasonForm, ""}, // with the content in it
		{rsa2048, []string{"-keyopt", "rsa_padding_mode:pss"}, Intact, "", "RSA-PSS SHA-256"},
		{p256, []string{"-cades"}, Intact, "", "ECDSA SHA-256"},
		{p384, []string{"-md", "sha384"}, Intact, "", "ECDSA SHA-384"},
		{p256, []string{"-noattr"}, Intact, "", "ECDSA SHA-256"},
		{rsa2048, []string{"-md", "sha1"}, NotUnderstood, ReasonWeak, ""},
		{rsa2048, []string{"-md", "sha3-256"}, NotUnderstood, ReasonAlgorithm, ""},
		{rsa2048, []string{"-nocerts"}, NotUnderstood, ReasonCertificate, ""},
		{[]string{"-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024"}, nil, NotUnderstood, ReasonWeak, "RSA SHA-256"},
		{rsa2048, []string{"-nodetach"}, NotUnderstood, ReasonForm, ""},
	} {
		s := esignaturetest.New(t, "/CN=张三/O=Test Bank", c.key...)
		pdf := esignaturetest.SignedBy(esignaturetest.Blank, func(covered []byte) []byte { return s.CMS(covered, c.options...) })
		f := one(t, pdf)
		if f.State != c.state || f.Reason != c.reason || f.Algorithm != c.algorithm || f.State == Intact != (f.Whole && f.State == Intact) {
			t.Errorf("%v: %+v", c.options, f)
		}
		if c.state != Intact {
			continue
		}
		if f.Kind != "signature" || f.Subject != "CN=张三,O=Test Bank" || f.Issuer != f.Subject || len(f.Certificate) != 64 || f.Serial == "" || f.From == "" || f.Until <= f.From || f.Stamp != "" || f.Trusted != nil {
			t.Errorf("%v: %+v", c.options, f)
		}
		if noattr := slices.Contains(c.options, "-noattr"); noattr != (f.Claimed == "2026-03-01T08:00:00Z") || f.Claimed == "" {
			t.Errorf("%v: claimed %s", c.options, f.Claimed)
		}
		flipped := bytes.Clone(pdf)
		flipped[10] ^= 1
		if f := one(t, flipped); f.State != Altered || f.Reason != ReasonDigest && f.Reason != ReasonSignature {
			t.Errorf("%v, altered: %+v", c.options, f)
		}
		// Of another file: everything is in order but the bytes.
		other := esignaturetest.SignedBy(esignaturetest.Blank, func([]byte) []byte { return s.CMS([]byte("other"), c.options...) })
		if f := one(t, other); f.State != Altered {
			t.Errorf("%v, of another file: %+v", c.options, f)
		}
	}
}

// TestIndefiniteLengths: signers that stream write BER, whose lengths come at the end.
func TestIndefiniteLengths(t *testing.T) {
	s := esignaturetest.New(t, "/CN=A")
	pdf := esignaturetest.SignedBy(esignaturetest.Blank, func(covered []byte) []byte {
		cms := s.CMS(covered)
		var begins, ends []byte
		for range 3 { // ContentInfo, its content, SignedData
			_, head, _, err := berLength(cms)
			if err != nil {
				t.Fatal(err)
			}
			begins, ends = append(begins, cms[0], 0x80), append(ends, 0, 0)
			if cms = cms[head:]; len(begins) == 2 { // the object identifier stands before the content
				begins, cms = append(begins, cms[:11]...), cms[11:]
			}
		}
		return slices.Concat(begins, cms, ends)
	})
	if f := one(t, pdf); f.State != Intact {
		t.Errorf("%+v", f)
	}
	for in, want := range map[string]string{
		"0400": "0400", "30800000": "3000", "3080040101" + "0000": "3003040101", "2480040161040162" + "0000": "04026162", "24060401610401" + "62": "04026162", "3081020500": "30020500",
	} {
		raw, _ := hex.DecodeString(in)
		out, took, err := der(raw, 0)
		if err != nil || took != len(raw) || hex.EncodeToString(out) != want {
			t.Errorf("%s: %x, %d, %v", in, out, took, err)
		}
	}
	for _, bad := range []string{"", "30", "3080", "308000", "0480", "3001", "24800500" + "0000", "3f0100", "30850000000001"} {
		raw, _ := hex.DecodeString(bad)
		if out, _, err := der(raw, 0); err == nil {
			t.Errorf("%s is %x", bad, out)
		}
	}
}

// TestEveryByteCovered: of a file that is signed whole, no other byte than those of the
// signature itself can change and leave it intact and whole.
func TestEveryByteCovered(t *testing.T) {
	s := esignaturetest.New(t, "/CN=A", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256")
	pdf := esignaturetest.SignedBy(esignaturetest.Blank, func(covered []byte) []byte { return s.CMS(covered, "-cades") })
	p, _ := places(pdf)
	if f := one(t, pdf); f.State != Intact || !f.Whole {
		t.Fatalf("%+v", f)
	}
	whole := func(pdf []byte) bool {
		return slices.ContainsFunc(Examine(pdf, nil), func(f Finding) bool { return f.State == Intact && f.Whole })
	}
	for i := range pdf {
		for _, with := range []byte{pdf[i] ^ 1, pdf[i] ^ 0x20, ' ', '0'} {
			if int64(i) > p[0].gap && int64(i) < p[0].rest-1 || with == pdf[i] {
				continue
			}
			altered := bytes.Clone(pdf)
			if altered[i] = with; whole(altered) {
				t.Errorf("byte %d as %q: intact and whole", i, with)
			}
		}
		if int64(i) <= p[0].gap || int64(i) >= p[0].rest {
			if whole(slices.Delete(bytes.Clone(pdf), i, i+1)) {
				t.Errorf("without byte %d: intact and whole", i)
			}
		}
		if i%97 == 0 && whole(slices.Insert(bytes.Clone(pdf), i, ' ')) {
			t.Errorf("a byte put in at %d: intact and whole", i)
		}
	}
	// The signature itself: no bit of what was signed with it, and none of the CMS's own.
	raw, _ := contents(pdf[p[0].gap:p[0].rest])
	_, took, err := der(raw, 0)
	if err != nil {
		t.Fatal(err)
	}
	certificate := one(t, pdf).Certificate
	for i := range took {
		altered := bytes.Clone(pdf)
		raw[i] ^= 1
		copy(altered[p[0].gap+1:], hex.EncodeToString(raw))
		raw[i] ^= 1
		if f := one(t, altered); f.State == Intact && f.Certificate != certificate {
			t.Errorf("byte %d of the signature: intact, by another certificate", i)
		}
	}
	if whole(append(bytes.Clone(pdf), '\n')) {
		t.Error("with a byte after its end: whole")
	}
}

// TestExchangedCertificate: another certificate of the same key, with the same issuer and number,
// is noticed where the signer signed which one it was.
func TestExchangedCertificate(t *testing.T) {
	s := esignaturetest.New(t, "/CN=A")
	certificate := func(days string) []byte {
		s.Run("req", "-x509", "-new", "-key", "key.pem", "-out", "cert.pem", "-set_serial", "77", "-days", days, "-subj", "/CN=A")
		data, err := os.ReadFile(filepath.Join(s.Dir, "cert.pem"))
		if err != nil {
			t.Fatal(err)
		}
		block, _ := pem.Decode(data)
		return block.Bytes
	}
	mine := certificate("30")
	for options, want := range map[string]State{"-cades": Altered, "-nosmimecap": Intact} {
		pdf := esignaturetest.SignedBy(esignaturetest.Blank, func(covered []byte) []byte {
			cms := s.CMS(covered, options)
			if !bytes.Contains(cms, mine) {
				t.Fatal("the certificate is not in it")
			}
			exchanged := bytes.Replace(cms, mine, certificate("40"), 1)
			if len(exchanged) != len(cms) {
				t.Fatal("of another length")
			}
			return exchanged
		})
		if f := one(t, pdf); f.State != want || want == Altered && f.Reason != ReasonCertificate {
			t.Errorf("%s: %+v", options, f)
		}
		mine = certificate("30")
	}
}

// TestGapHoldsNothingElse: what would be in the file and not be signed is never passed over.
func TestGapHoldsNothingElse(t *testing.T) {
	s := esignaturetest.New(t, "/CN=A")
	pdf := esignaturetest.SignedBy(esignaturetest.Blank, func(covered []byte) []byte { return s.CMS(covered) })
	p, _ := places(pdf)
	ranges := func(pdf []byte, gap, rest, length int64) []byte {
		return bytes.Replace(pdf, fmt.Appendf(nil, "[0 %-10d %-10d %-10d]", p[0].gap, p[0].rest, p[0].end-p[0].rest), fmt.Appendf(nil, "[0 %-10d %-10d %-10d]", gap, rest, length), 1)
	}
	for what, bad := range map[string][]byte{
		"an object within the gap": slices.Replace(bytes.Clone(pdf), int(p[0].rest)-40, int(p[0].rest)-1, []byte(">8 0 obj <</Evil true>> endobj /Contents<")...),
		"no string":                bytes.Replace(pdf, []byte("/Contents <"), []byte("/Contents ("), 1),
		"a gap that is too wide":   ranges(pdf, p[0].gap-10, p[0].rest, p[0].end-p[0].rest),
		"a gap that begins late":   ranges(pdf, p[0].gap+1, p[0].rest, p[0].end-p[0].rest),
		"a gap that ends late":     ranges(pdf, p[0].gap, p[0].rest+2, p[0].end-p[0].rest-2),
		"a beginning that is left": bytes.Replace(pdf, []byte("/ByteRange [0 "), []byte("/ByteRange [1 "), 1),
		"filled with other bytes":  bytes.Replace(pdf, []byte("00>>>"), []byte("01>>>"), 1),
		"an end without an end":    append(ranges(pdf, p[0].gap, p[0].rest, p[0].end-p[0].rest-7), " "...),
		"six numbers":              bytes.Replace(pdf, []byte("/ByteRange [0 "), []byte("/ByteRange [0 0 0 "), 1),
		"no numbers":               bytes.Replace(pdf, []byte("/ByteRange [0 "), []byte("/ByteRange  0 "), 1),
		"said outside of it":       append(bytes.Replace(pdf, []byte("/ByteRange"), []byte("/ByteStrange"), 1), fmt.Sprintf("/ByteRange[0 %d %d %d]%%%%EOF", p[0].gap, p[0].rest, p[0].end-p[0].rest)...),
	} {
		for _, f := range Examine(bad, nil) {
			if f.State == Intact {
				t.Errorf("%s: %+v", what, f)
			}
		}
	}
	// Rightly signed, but up to a place where no revision ends: what follows is not said to be
	// an addition to something whole.
	half := ranges(pdf, p[0].gap, p[0].rest, p[0].end-p[0].rest-7)
	copy(half[p[0].gap+1:], hex.EncodeToString(s.CMS(slices.Concat(half[:p[0].gap], half[p[0].rest:p[0].end-7]))))
	if f := one(t, half); f.State != NotUnderstood || f.Reason != ReasonByteRange {
		t.Errorf("up to the middle: %+v", f)
	}
	// Rightly signed, but what it covers is said where nothing is signed.
	outside := bytes.Replace(pdf, []byte("/ByteRange"), []byte("/ByteStran"), 1)
	copy(outside[p[0].gap+1:], hex.EncodeToString(s.CMS(slices.Concat(outside[:p[0].gap], outside[p[0].rest:]))))
	outside = fmt.Appendf(outside, "/ByteRange[0 %d %d %d]\n%%%%EOF\n", p[0].gap, p[0].rest, p[0].end-p[0].rest)
	if f := one(t, outside); f.State != NotUnderstood || f.Reason != ReasonByteRange {
		t.Errorf("said outside: %+v", f)
	}
	if f := one(t, pdf[:len(pdf)-1]); f.State != Altered || f.Reason != ReasonTruncated {
		t.Errorf("cut off: %+v", f)
	}
}

// TestRevisions: what was added after a signature is told; each of two signatures is judged by
// what it covers.
func TestRevisions(t *testing.T) {
	s, second := esignaturetest.New(t, "/CN=First"), esignaturetest.New(t, "/CN=Second")
	pdf := esignaturetest.SignedBy(esignaturetest.Blank, func(covered []byte) []byte { return s.CMS(covered) })
	updated := append(bytes.Clone(pdf), "8 0 obj\n<</Annot true>>\nendobj\ntrailer\n<<>>\nstartxref\n0\n%%EOF\n"...)
	if f := one(t, updated); f.State != Intact || f.Whole || f.Covers != int64(len(pdf)) {
		t.Errorf("updated: %+v", f)
	}
	both := esignaturetest.SignedBy(string(updated), func(covered []byte) []byte { return second.CMS(covered) })
	found := Examine(both, nil)
	if len(found) != 2 || found[0].Subject != "CN=First" || found[0].State != Intact || found[0].Whole || found[1].Subject != "CN=Second" || found[1].State != Intact || !found[1].Whole {
		t.Errorf("two: %+v", found)
	}
	both[len(pdf)+3] ^= 1 // between the two
	found = Examine(both, nil)
	if len(found) != 2 || found[0].State != Intact || found[1].State != Altered {
		t.Errorf("altered between: %+v", found)
	}
	many := pdf
	for range MaxFindings + 2 {
		many = esignaturetest.SignedBy(string(many), func(covered []byte) []byte { return s.CMS(covered) })
	}
	if found = Examine(many, nil); len(found) != MaxFindings+1 || found[MaxFindings].Reason != ReasonMore {
		t.Errorf("%d findings", len(found))
	}
}

// TestStamps: a time-stamp on a signature, and one on the whole document.
func TestStamps(t *testing.T) {
	at := time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)
	authority := rfc3161test.New("TSA", func() time.Time { return at }, 1000*time.Hour, 1000*time.Hour)
	s := esignaturetest.New(t, "/CN=A")
	stamped := func(message func(signature []byte) []byte) []byte {
		return esignaturetest.SignedBy(esignaturetest.Blank, func(covered []byte) []byte {
			return withStamp(t, s.CMS(covered), func(signature []byte) []byte {
				return authority.Token(rfc3161test.Statement{Message: message(signature)})
			})
		})
	}
	if f := one(t, stamped(func(signature []byte) []byte { return signature })); f.State != Intact || f.Stamp != Intact || f.Stamped != "2026-03-01T08:00:00Z" {
		t.Errorf("stamped: %+v", f)
	}
	if f := one(t, stamped(func([]byte) []byte { return []byte("other") })); f.State != Intact || f.Stamp != Altered || f.Stamped != "" {
		t.Errorf("stamped elsewhere: %+v", f)
	}
	document := esignaturetest.SignedBy(esignaturetest.Blank, func(covered []byte) []byte {
		return authority.Token(rfc3161test.Statement{Imprint: digestOf(crypto.SHA256, covered)})
	})
	if f := one(t, document); f.State != Intact || f.Kind != "timestamp" || f.Claimed != "2026-03-01T08:00:00Z" || !f.Whole || !strings.Contains(f.Subject, "TSA") {
		t.Errorf("document: %+v", f)
	}
	document[20] ^= 1
	if f := one(t, document); f.State != Altered || f.Reason != ReasonDigest {
		t.Errorf("altered document: %+v", f)
	}
}

// TestRoots: a certificate is judged where roots are given, and not otherwise.
func TestRoots(t *testing.T) {
	s := esignaturetest.New(t, "/CN=A")
	pdf := esignaturetest.SignedBy(esignaturetest.Blank, func(covered []byte) []byte { return s.CMS(covered) })
	data, err := os.ReadFile(filepath.Join(s.Dir, "cert.pem"))
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(data)
	root, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	for _, c := range []struct {
		at   time.Time
		want bool
	}{{time.Now(), false}, {time.Now(), true}, {time.Now().AddDate(1, 0, 0), false}} {
		if f := Examine(pdf, &Roots{pool, c.at})[0]; f.State != Intact || f.Trusted == nil || *f.Trusted != c.want {
			t.Errorf("%+v, want %t", f, c.want)
		}
		pool.AddCert(root)
	}
	pdf[10] ^= 1
	if f := Examine(pdf, &Roots{pool, time.Now()})[0]; f.Trusted != nil {
		t.Errorf("trusted, and altered: %+v", f)
	}
}

// TestPopplerAgrees: PDFs that Poppler signed, once and twice, encrypted too, and what becomes
// of them when they are altered: where it finds a signature valid we find it intact, and the
// other way about.
func TestPopplerAgrees(t *testing.T) {
	p := newPoppler(t)
	pdf, err := os.ReadFile(sample)
	if err != nil {
		t.Fatal(err)
	}
	agree := func(what string, pdf []byte) []Finding {
		t.Helper()
		valid, whole := p.judge(pdf)
		found := Examine(pdf, nil)
		if len(found) != len(valid) {
			t.Errorf("%s: %d findings, Poppler has %d", what, len(found), len(valid))
			return nil
		}
		for i, f := range found {
			if (f.State == Intact) != valid[i] || f.State == Intact && f.Whole != whole[i] {
				t.Errorf("%s: %+v, Poppler says valid %t, whole %t", what, f, valid[i], whole[i])
			}
		}
		return found
	}
	once := p.sign(pdf)
	found := agree("once", once)
	if len(found) != 1 || found[0].State != Intact || !found[0].Whole || found[0].Subject != "CN=张三,O=Test Bank" || found[0].Claimed == "" {
		t.Fatalf("%+v", found)
	}
	plain, locked := filepath.Join(p.dir, "plain.pdf"), filepath.Join(p.dir, "locked.pdf")
	if err := os.WriteFile(plain, pdf, 0o600); err != nil {
		t.Fatal(err)
	}
	p.run("qpdf", "--encrypt", "", "owner", "256", "--", plain, locked)
	encrypted, err := os.ReadFile(locked)
	if err != nil {
		t.Fatal(err)
	}
	if found := agree("encrypted", p.sign(encrypted, "-opw", "owner")); len(found) != 1 || found[0].State != Intact || !found[0].Whole {
		t.Errorf("encrypted: %+v", found)
	}
	twice := p.sign(once)
	if found := agree("twice", twice); len(found) != 2 || found[0].State != Intact || found[0].Whole || !found[1].Whole {
		t.Errorf("twice: %+v", found)
	}
	random := mathrand.New(mathrand.NewPCG(1, 2))
	places, _ := places(once)
	for range 40 {
		altered := bytes.Clone(once)
		at := random.IntN(len(altered))
		if at > 40 && int64(at) < places[0].gap-200 { // where PDF's own structure stays readable to Poppler
			altered[at] ^= 1 << random.IntN(3)
			if found := Examine(altered, nil); len(found) != 1 || found[0].State != Altered {
				t.Errorf("byte %d: %+v", at, found)
			}
		}
	}
	// In the middle of the page's stream, which no reader needs to find the signature.
	stream := bytes.Index(once, []byte("stream")) + 40
	altered := bytes.Clone(once)
	altered[stream] ^= 1
	if found := agree("altered", altered); len(found) != 1 || found[0].State != Altered {
		t.Errorf("altered: %+v", found)
	}
}

// TestOtherFiles: files without signatures, and files that are none at all.
func TestOtherFiles(t *testing.T) {
	for _, name := range []string{"loan-agreement-en.pdf", "loan-contract-zh.pdf", "disbursement-voucher-zh.pdf"} {
		pdf, err := os.ReadFile(filepath.Join(filepath.Dir(sample), name))
		if err != nil {
			t.Fatal(err)
		}
		if !IsPDF(pdf) || len(Examine(pdf, nil)) > 0 {
			t.Errorf("%s: %v", name, Examine(pdf, nil))
		}
	}
	for _, no := range []string{"", "%PD", strings.Repeat(" ", 1020) + "%PDF-", "PK\x03\x04"} {
		if IsPDF([]byte(no)) {
			t.Errorf("%.10q is a PDF", no)
		}
	}
	hostile := []string{
		"%PDF-/ByteRange", "%PDF-/ByteRange[", "%PDF-/ByteRange[0 1 2 3]", "%PDF-/ByteRange[0 5 5 0]", "%PDF-/ByteRange [0 999999999999 999999999999 999999999999]",
		"%PDF-/ByteRange[0 -1 2 3]", "%PDF-/ByteRange[0 99999999999999999999 1 1]", strings.Repeat("/ByteRange[0 1 2 3]", 100_000), strings.Repeat("/ByteRange", 100_000),
	}
	for _, cms := range [][]byte{bytes.Repeat([]byte{0x30, 0x80}, 6000), bytes.Repeat([]byte{0x30, 0x84, 0x7f, 0xff, 0xff, 0xff}, 1000), {0x30, 0x80}, {0x24, 0x80, 0x30, 0, 0, 0}, {0x1f}, {}} {
		hostile = append(hostile, string(esignaturetest.SignedBy(esignaturetest.Blank, func([]byte) []byte { return cms })))
	}
	for _, pdf := range hostile {
		begun := time.Now()
		for _, f := range Examine([]byte(pdf), nil) {
			if f.State == Intact || f.Reason == ReasonFault {
				t.Errorf("%.60q: %+v", pdf, f)
			}
		}
		if took := time.Since(begun); took > time.Second {
			t.Errorf("%.60q took %v", pdf, took)
		}
	}
}

// TestTextsAreHarmless: what a certificate says is bounded and steers nothing, and findings are
// values that a record may have.
func TestTextsAreHarmless(t *testing.T) {
	s := esignaturetest.New(t, "/CN="+strings.Repeat("a", 60)+"\u202e\x07/O="+strings.Repeat("张", 60)+"/OU="+strings.Repeat("b", 60))
	pdf := esignaturetest.SignedBy(esignaturetest.Blank, func(covered []byte) []byte { return s.CMS(covered) })
	f := one(t, pdf)
	if f.State != Intact || len(f.Subject) > maxText+3 || strings.ContainsAny(f.Subject, "\u202e\x07") || !strings.Contains(f.Subject, "张") {
		t.Errorf("%q", f.Subject)
	}
	json, err := JSON(slices.Repeat([]Finding{f}, MaxFindings+1))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := proofs.ParseValue(json); err != nil || len(json) > 9000 {
		t.Errorf("%d bytes: %v", len(json), err)
	}
	for _, c := range []struct{ in, want string }{{"a\x00b\ufffeé\xff", "a?b?é?"}, {strings.Repeat("é", 100), strings.Repeat("é", 80) + "…"}} {
		if got := plain(c.in); got != c.want {
			t.Errorf("%q", got)
		}
	}
}

// FuzzExamine: no bytes make it panic, or say anything that a record could not hold.
func FuzzExamine(f *testing.F) {
	s := esignaturetest.New(f, "/CN=A", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256")
	f.Add(esignaturetest.SignedBy(esignaturetest.Blank, func(covered []byte) []byte { return s.CMS(covered, "-cades") }))
	f.Add(esignaturetest.SignedBy(esignaturetest.Blank, func(covered []byte) []byte { return s.CMS(covered, "-stream") }))
	f.Add([]byte(esignaturetest.Blank))
	f.Fuzz(func(t *testing.T, pdf []byte) {
		found := Examine(pdf, nil)
		for _, f := range found {
			if f.Reason == ReasonFault {
				t.Errorf("%+v", f)
			}
		}
		json, err := JSON(found)
		if err == nil {
			_, err = proofs.ParseValue(json)
		}
		if err != nil || len(found) > MaxFindings+1 {
			t.Errorf("%d findings: %v", len(found), err)
		}
	})
}
