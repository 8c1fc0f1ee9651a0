package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/muniment/muniment/notary/certificate"
	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/proofs/rfc3161/rfc3161test"
)

// timed is an authority that dates signatures.
type timed struct{ *rfc3161test.Authority }

// Timestamp implements certificate.Authority.
func (a timed) Timestamp(_ context.Context, message []byte) ([]byte, error) {
	return a.Token(rfc3161test.Statement{Message: message}), nil
}

// certificateOf is a signed and dated certificate of a deposit of the log, with the document in
// it unless that is nil.
func certificateOf(t *testing.T, l *log, index int, a *rfc3161test.Authority, document []byte) (number string, pdf []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	own := &x509.Certificate{SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: "Evidence Centre"}, NotBefore: began, NotAfter: began.AddDate(5, 0, 0)}
	der, err := x509.CreateCertificate(rand.Reader, own, own, key.Public(), key)
	must(t, err)
	own, err = x509.ParseCertificate(der)
	must(t, err)
	signer, err := certificate.NewSigner(key, []*x509.Certificate{own}, timed{a})
	must(t, err)
	in := certificate.Input{
		Issue: certificate.Issue{
			Template: certificate.Template, Language: certificate.English, Profile: certificate.Plain, Issued: began.Add(time.Minute),
			Standing: certificate.Standing{Deposit: "x", State: "kept"}, Signer: signer.Signed(),
		},
		Receipt: l.receipt(t, index).Marshal(), Policy: []byte(l.policy()), Roots: rfc3161test.RootsPEM(a), Document: document,
	}
	made, err := certificate.Make(in)
	must(t, err)
	pdf, err = signer.Sign(t.Context(), made, in.Issued)
	must(t, err)
	return made.Number, pdf
}

// TestExamineCertificate: a certificate is judged by whose policy it is, as a receipt is; the
// policy in it proves nothing about who signed; its signature and document are looked at.
func TestExamineCertificate(t *testing.T) {
	l, other := newLog(t, 1, 6), newLog(t, 2, 6)
	a := rfc3161test.New("Time Authority", func() time.Time { return began.Add(time.Minute) }, 20*365*24*time.Hour, 5*365*24*time.Hour)
	number, pdf := certificateOf(t, l, 3, a, nil)
	_, with := certificateOf(t, l, 3, a, []byte("document 3"))
	policy, err := proofs.ParsePolicy([]byte(l.policy()))
	must(t, err)
	own, strangers := fileOf("policy", []byte(l.policy())), fileOf("policy", []byte(other.policy()))
	roots := fileOf("roots.pem", rfc3161test.RootsPEM(a))
	offered, another := site{Policies: []string{l.policy()}}, site{Policies: []string{other.policy()}}
	document := fileOf("a.pdf", []byte("document 3"))
	for what, c := range map[string]struct {
		pdf      []byte
		q        question
		more     []file
		outcome  string
		own      bool
		document string // compared
	}{
		"its own policy alone":     {pdf, question{}, nil, "undecided", false, ""},
		"the site's":               {pdf, question{Site: offered}, nil, "undecided", false, ""},
		"another site's":           {pdf, question{Site: another}, nil, "refused", false, ""},
		"visitor's":                {pdf, question{Site: another}, []file{own}, "verified", true, ""},
		"visitor's, of another":    {pdf, question{Site: offered}, []file{strangers}, "refused", true, ""},
		"known by fingerprint":     {pdf, question{Fingerprint: policy.Fingerprint()}, nil, "verified", true, ""},
		"another fingerprint":      {pdf, question{Fingerprint: digest("x")}, nil, "fault-fingerprint-other", false, ""},
		"with roots":               {pdf, question{}, []file{own, roots}, "verified", true, ""},
		"document beside it":       {pdf, question{}, []file{own, document}, "verified", true, "a.pdf"},
		"another document":         {pdf, question{}, []file{own, fileOf("b.pdf", []byte("document 4"))}, "refused", true, "b.pdf"},
		"document in it":           {with, question{}, []file{own}, "verified", true, "c.pdf"},
		"another beside that":      {with, question{}, []file{own, fileOf("b.pdf", []byte("document 4"))}, "refused", true, "b.pdf"},
		"a receipt beside it":      {pdf, question{}, []file{own, fileOf("a.tlog-proof", l.receipt(t, 3).Marshal())}, "fault-certificate-and-receipt", false, ""},
		"two":                      {pdf, question{}, []file{own, fileOf("d.pdf", pdf)}, "fault-two-certificate", false, ""},
		"of another version":       {bytes.Replace(pdf, []byte(`"template": 1`), []byte(`"template": 2`), 1), question{}, []file{own}, "fault-certificate-version", false, ""},
		"cut short":                {pdf[:len(pdf)-1], question{}, []file{own}, "refused", false, ""},
		"its document was altered": {bytes.Replace(with, []byte("document 3"), []byte("document 4"), 1), question{}, []file{own}, "refused", false, ""},
	} {
		paper := fileOf("c.pdf", c.pdf)
		if paper.Kind != kindCertificate {
			t.Fatalf("%s: taken for a %s", what, paper.Kind)
		}
		got := ask(c.q, append([]file{paper}, c.more...)...)
		if got.verdict == nil {
			if got.Fault != c.outcome {
				t.Errorf("%s: %+v", what, got)
			}
			continue
		}
		if got.Outcome != c.outcome || got.Own != c.own || got.Document != c.document || got.Compared != (c.document != "") {
			t.Errorf("%s: %s, own %v, document %q: %s", what, got.Outcome, got.Own, got.Document, got.Words[proofs.English].Verdict)
		}
		for _, lang := range []proofs.Language{proofs.Chinese, proofs.English} {
			w := got.Words[lang]
			if w.Proved == nil || w.NotProved == nil || w.Facts == nil {
				t.Errorf("%s: the page gets null", what)
			}
			if told := strings.Contains(fmt.Sprint(w.Proved), number) || strings.Contains(fmt.Sprint(w.Proved), "Evidence Centre"); told != (c.outcome == "verified") && what != "document in it" {
				t.Errorf("%s: proved are %q", what, w.Proved)
			}
			if c.outcome == "undecided" && len(w.Proved) > 0 {
				t.Errorf("%s: a policy that nobody chose proves %q", what, w.Proved)
			}
		}
		if c.outcome == "verified" && (got.Certificate.Signer != "Evidence Centre" || (got.Certificate.Dated != "") != (what == "with roots")) {
			t.Errorf("%s: %+v", what, got.Certificate)
		}
	}
}

// TestAlteredCertificate: whichever byte of a certificate is changed, it never holds, and is
// refused unless it says that it is of another version.
func TestAlteredCertificate(t *testing.T) {
	l := newLog(t, 1, 6)
	a := rfc3161test.New("Time Authority", func() time.Time { return began.Add(time.Minute) }, 20*365*24*time.Hour, 5*365*24*time.Hour)
	_, pdf := certificateOf(t, l, 3, a, []byte("document 3"))
	places := map[int]bool{len(pdf) - 1: true, len(pdf) - 20: true}
	for i := range 60 { // the header
		places[i] = true
	}
	for i := 0; i < len(pdf); i += len(pdf) / 150 {
		places[i] = true
	}
	for i := range places {
		bad := bytes.Clone(pdf)
		bad[i] ^= 1
		paper := fileOf("c.pdf", bad)
		if got := ask(question{Policy: l.policy()}, paper); got.verdict == nil || got.Outcome != "refused" || len(got.Words[proofs.English].Proved) > 0 {
			t.Errorf("byte %d: %s %+v %+v", i, paper.Kind, got, got.verdict)
		}
	}
}
