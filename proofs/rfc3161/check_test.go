package rfc3161

import (
	"bytes"
	"crypto"
	_ "crypto/sha1"
	"crypto/x509"
	"encoding/asn1"
	"math/big"
	"testing"
	"time"

	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/proofs/rfc3161/rfc3161test"
)

const year = 365 * 24 * time.Hour

var (
	message = []byte("log.example/prod/1\n2\nTU4VM0q/jPcMmkB9IIA+vsvGafWdIApKJG0BGbGJjIw=\n\n— log.example/prod/1 x\n")
	today   = time.Date(2026, 3, 1, 8, 0, 0, 123e6, time.UTC)
)

func clock() time.Time { return today }

func authority() *rfc3161test.Authority {
	return rfc3161test.New("Time Authority", clock, 20*year, 5*year)
}

func trust(a *rfc3161test.Authority, policies ...string) *Authorities {
	return NewAuthorities([]*x509.Certificate{a.Root}, policies...)
}

func TestSoundToken(t *testing.T) {
	a := authority()
	for _, h := range []crypto.Hash{crypto.SHA256, crypto.SHA384, crypto.SHA512} {
		token := a.Token(rfc3161test.Statement{Message: message, Hash: h, Accuracy: 2 * time.Second, Nonce: big.NewInt(7)})
		got, outcome, reason := trust(a, "1.2.3", rfc3161test.Policy).CheckTimestamp(token, message)
		want := proofs.Timestamp{
			Authority: "Time Authority (Trusted Time Ltd)", Root: "Time Authority root", Serial: got.Serial, Time: today,
			Accuracy: 2 * time.Second, Policy: rfc3161test.Policy, NotAfter: a.Certificate.NotAfter,
		}
		if outcome != proofs.Verified || reason != "" || got != want {
			t.Errorf("%v: %v %s %+v, not %+v", h, outcome, reason, got, want)
		}
	}
}

// TestWrongTokens: each of them is what an authority, or who has its certificate, could send.
func TestWrongTokens(t *testing.T) {
	a := authority()
	other := rfc3161test.New("Time Authority", clock, 20*year, 5*year)
	type s = rfc3161test.Statement
	certified := func(change func(*x509.Certificate)) *rfc3161test.Authority {
		template := rfc3161test.Template("Other usage", today.Add(-time.Hour), year)
		change(template)
		return a.As(template)
	}
	usage := func(critical bool, usages ...asn1.ObjectIdentifier) *rfc3161test.Authority {
		return certified(func(c *x509.Certificate) { c.ExtraExtensions[0] = rfc3161test.Usage(critical, usages...) })
	}
	codeSigning := asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 3}
	for what, c := range map[string]struct {
		by      *rfc3161test.Authority
		s       s
		outcome proofs.Outcome
		reason  proofs.Reason
	}{
		"another note":           {a, s{Message: append([]byte("x"), message...)}, proofs.Refused, proofs.ReasonTimestampImprint},
		"another content signed": {a, s{Message: message, Content: []byte("other")}, proofs.Refused, proofs.ReasonTimestampSignature},
		"bound to another":       {a, s{Message: message, BoundTo: other.Certificate}, proofs.Refused, proofs.ReasonTimestampSignature},
		"signed by another key":  {other, s{Message: message, Certificate: a.Certificate, BoundTo: a.Certificate}, proofs.Refused, proofs.ReasonTimestampSignature},
		"two signers":            {a, s{Message: message, Signers: 2}, proofs.Refused, proofs.ReasonTimestampMalformed},
		"imprint too short":      {a, s{Imprint: []byte{1, 2, 3}}, proofs.Refused, proofs.ReasonTimestampMalformed},
		"unknown root":           {other, s{Message: message}, proofs.Undecided, ""},
		"no certificate":         {a, s{Message: message, Bare: true}, proofs.Undecided, ""},
		"not bound":              {a, s{Message: message, Unbound: true}, proofs.Undecided, ""},
		"weak imprint":           {a, s{Message: message, Hash: crypto.SHA1}, proofs.Undecided, ""},
		"weak digest":            {a, s{Message: message, Digest: asn1.ObjectIdentifier{1, 3, 14, 3, 2, 26}}, proofs.Undecided, ""},
		"other rules":            {a, s{Message: message, Policy: asn1.ObjectIdentifier{1, 2, 3}}, proofs.Undecided, ""},
		"critical extension":     {a, s{Message: message, Critical: true}, proofs.Undecided, ""},
		"before its certificate": {a, s{Message: message, Time: today.Add(-2 * time.Hour)}, proofs.Undecided, ""},
		"after its certificate":  {a, s{Message: message, Time: today.Add(6 * year)}, proofs.Undecided, ""},
		"after its root":         {a, s{Message: message, Time: today.Add(21 * year)}, proofs.Undecided, ""},
		"usage not critical":     {usage(false, rfc3161test.TimeStamping), s{Message: message}, proofs.Undecided, ""},
		"usage not sole":         {usage(true, rfc3161test.TimeStamping, codeSigning), s{Message: message}, proofs.Undecided, ""},
		"usage another":          {usage(true, codeSigning), s{Message: message}, proofs.Undecided, ""},
		"no usage":               {certified(func(c *x509.Certificate) { c.ExtraExtensions = nil }), s{Message: message}, proofs.Undecided, ""},
		"for encryption too":     {certified(func(c *x509.Certificate) { c.KeyUsage |= x509.KeyUsageKeyEncipherment }), s{Message: message}, proofs.Undecided, ""},
		"an authority of certificates": {certified(func(c *x509.Certificate) { c.IsCA, c.BasicConstraintsValid = true, true }),
			s{Message: message}, proofs.Undecided, ""},
	} {
		got, outcome, reason := trust(a, rfc3161test.Policy).CheckTimestamp(c.by.Token(c.s), message)
		if outcome != c.outcome || reason != c.reason || got.Authority != "" {
			t.Errorf("%s: %v %q %+v, not %v %q", what, outcome, reason, got, c.outcome, c.reason)
		}
	}
}

// TestAlteredTokens: every byte of a token, altered, makes it refused or ignored, or leaves
// it saying the very same.
func TestAlteredTokens(t *testing.T) {
	a := authority()
	token := a.Token(rfc3161test.Statement{Message: message, Accuracy: time.Second, Nonce: big.NewInt(1 << 40)})
	checker := trust(a)
	want, outcome, _ := checker.CheckTimestamp(token, message)
	if outcome != proofs.Verified {
		t.Fatal(outcome)
	}
	same := 0
	for i := range token {
		for _, flip := range []byte{1, 2, 4, 8, 16, 32, 64, 128, 255} {
			altered := bytes.Clone(token)
			altered[i] ^= flip
			switch got, outcome, _ := checker.CheckTimestamp(altered, message); {
			case outcome != proofs.Verified:
			case got != want:
				t.Errorf("byte %d ^ %d: proves %+v", i, flip, got)
			default:
				same++
			}
		}
		for _, cut := range [][]byte{token[:i], append(bytes.Clone(token[:i]), token[i+1:]...), append(bytes.Clone(token[:i+1]), token[i:]...)} {
			if got, outcome, _ := checker.CheckTimestamp(cut, message); outcome == proofs.Verified {
				t.Errorf("a byte at %d left out, doubled, or the rest cut off: proves %+v", i, got)
			}
		}
	}
	if same > 0 { // of a token as bare as this one, every byte counts
		t.Errorf("%d alterations of %d go unnoticed", same, len(token)*9)
	}
	t.Logf("%d of %d alterations change nothing that is proved", same, len(token)*9)
}

// TestExchangedCertificate: a second certificate for the same key and name cannot take the
// first one's place.
func TestExchangedCertificate(t *testing.T) {
	a := authority()
	template := rfc3161test.Template("Time Authority", today.Add(-time.Hour), 30*year)
	template.SerialNumber = a.Certificate.SerialNumber
	b := a.As(template)
	token := a.Token(rfc3161test.Statement{Message: message, Certificate: b.Certificate, BoundTo: a.Certificate})
	if _, outcome, _ := trust(a).CheckTimestamp(token, message); outcome == proofs.Verified {
		t.Error("the token is believed under a certificate that it does not name")
	}
	// Both enclosed: the one that is named is taken.
	token = a.Token(rfc3161test.Statement{Message: message, More: []*x509.Certificate{b.Certificate}})
	got, outcome, _ := trust(a).CheckTimestamp(token, message)
	if outcome != proofs.Verified || !got.NotAfter.Equal(a.Certificate.NotAfter) {
		t.Errorf("%v %+v", outcome, got)
	}
}

func TestResponses(t *testing.T) {
	a := authority()
	q := Query{Message: message, Nonce: big.NewInt(4711), Policy: rfc3161test.Policy}
	request, err := q.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	token, stamp, err := trust(a).CheckResponse(q, a.Answer(request))
	if err != nil || stamp.Policy != rfc3161test.Policy {
		t.Fatal(err, stamp)
	}
	if _, outcome, _ := trust(a).CheckTimestamp(token, message); outcome != proofs.Verified {
		t.Error(outcome)
	}
	type s = rfc3161test.Statement
	for what, response := range map[string][]byte{
		"another nonce":       a.AnswerAs(request, s{Nonce: big.NewInt(4712)}),
		"another imprint":     a.AnswerAs(request, s{Imprint: make([]byte, 32)}),
		"not bound":           a.AnswerAs(request, s{Unbound: true}),
		"another authority":   authority().Answer(request),
		"a refusal":           rfc3161test.Refusal(),
		"nothing":             nil,
		"a web page":          []byte("<html>"),
		"bytes after it":      append(a.Answer(request), 0),
		"too long":            make([]byte, MaxResponse+1),
		"an older answer":     a.AnswerAs(request, s{Time: today.Add(-3 * time.Hour)}),
		"a token by itself":   token,
		"an answer cut short": a.Answer(request)[:200],
	} {
		if _, _, err := trust(a).CheckResponse(q, response); err == nil {
			t.Errorf("%s is believed", what)
		}
	}
	q.Policy = "1.2.3.4"
	if _, _, err := trust(a).CheckResponse(q, a.Answer(request)); err == nil {
		t.Error("a token under other rules is believed")
	}
	for _, bad := range []Query{{Message: message}, {Nonce: big.NewInt(0)}, {Nonce: big.NewInt(1), Policy: "x"}, {Nonce: big.NewInt(1), Policy: "1"}, {Nonce: big.NewInt(1), Policy: "1.2.-3"}} {
		if _, err := bad.Marshal(); err == nil {
			t.Errorf("%+v is asked", bad)
		}
	}
}

func TestTimes(t *testing.T) {
	for _, good := range []string{"20260301080000Z", "20260301080000.5Z", "20260301080000.123456789Z"} {
		if _, err := parseTime(good); err != nil {
			t.Error(good, err)
		}
	}
	for _, bad := range []string{"", "20260301080000", "20260301080000.Z", "20260301080000.50Z", "20260301080000,5Z", "20260301080000+0000", "2603010800Z",
		"20260230080000Z", "20260301080060Z", "20260301080000.1234567891Z", " 20260301080000Z"} {
		if _, err := parseTime(bad); err == nil {
			t.Errorf("%q is a time", bad)
		}
	}
}

func TestRootsFile(t *testing.T) {
	a, b := authority(), authority()
	file := append([]byte("Our authorities\n"), rfc3161test.RootsPEM(a, b)...)
	roots, err := ParseRoots(file)
	if err != nil || len(roots) != 2 {
		t.Fatal(err, len(roots))
	}
	for _, bad := range []string{"", "no roots", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"} {
		if _, err := ParseRoots([]byte(bad)); err == nil {
			t.Errorf("%q is a file of roots", bad)
		}
	}
}

// FuzzToken: no panic, and nothing believed that the authority has not signed.
func FuzzToken(f *testing.F) {
	a := authority()
	token := a.Token(rfc3161test.Statement{Message: message, Accuracy: time.Second, Nonce: big.NewInt(5)})
	f.Add(token)
	f.Add(a.Token(rfc3161test.Statement{Message: message, Bare: true, Critical: true}))
	f.Add(rfc3161test.Refusal())
	f.Add(a.Answer(token))
	checker := trust(a)
	want, _, _ := checker.CheckTimestamp(token, message)
	f.Fuzz(func(t *testing.T, der []byte) {
		if _, err := parseResponse(der); err == nil && len(der) > MaxResponse {
			t.Error("a response beyond the bound is read")
		}
		got, outcome, reason := checker.CheckTimestamp(der, message)
		if (outcome == proofs.Refused) != (reason != "") {
			t.Errorf("%v %q", outcome, reason)
		}
		if outcome == proofs.Verified && !got.Time.Equal(want.Time) {
			t.Errorf("believed: %+v", got)
		}
	})
}
