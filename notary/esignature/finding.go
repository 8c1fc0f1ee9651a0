package esignature

import (
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"strings"
	"time"
	"unicode"
)

// A State says what became of one signature.
type State string

// The states.
const (
	Intact        State = "intact"         // the bytes it covers are those that were signed, by the key of its certificate
	Altered       State = "altered"        // they are not, or the signature is not by that key
	NotUnderstood State = "not-understood" // it could not be checked
)

// A Reason says why a signature is not intact. Reasons are stable.
type Reason string

// The reasons.
const (
	ReasonByteRange   Reason = "byte-range"  // what it covers is not stated, or leaves out more than the signature
	ReasonTruncated   Reason = "truncated"   // the file ends before what it covers does
	ReasonDigest      Reason = "digest"      // the covered bytes are others than those that were signed
	ReasonSignature   Reason = "signature"   // it is not by the certificate's key
	ReasonCertificate Reason = "certificate" // the signer's certificate is missing, or another than the one signed
	ReasonForm        Reason = "form"        // it is no CMS SignedData with one signer
	ReasonAlgorithm   Reason = "algorithm"   // not one of those known here
	ReasonWeak        Reason = "weak"        // SHA-1, MD5 or RSA below 2,048 bits: anyone could have altered it
	ReasonMore        Reason = "more"        // beyond MaxFindings, and not looked at
	ReasonFault       Reason = "fault"       // reading it went wrong
)

// The kinds.
const (
	KindSignature = "signature"
	KindTimestamp = "timestamp" // of the document
)

// A Finding is what was found of one signature. As JSON its names are stable; absent is what is
// not known. Texts are what certificates say, bounded, without control characters.
type Finding struct {
	State  State  `json:"state"`
	Reason Reason `json:"reason,omitempty"`
	Kind   string `json:"kind,omitempty"`
	// Covers is the length of the revision that was signed, in bytes; Whole: that is the file.
	Covers      int64  `json:"covers,omitempty"`
	Whole       bool   `json:"whole,omitempty"`
	Algorithm   string `json:"algorithm,omitempty"`
	Subject     string `json:"subject,omitempty"`
	Issuer      string `json:"issuer,omitempty"`
	Serial      string `json:"serial,omitempty"`      // hex
	Certificate string `json:"certificate,omitempty"` // hex SHA-256
	From        string `json:"from,omitempty"`        // validity of the certificate
	Until       string `json:"until,omitempty"`
	Claimed     string `json:"claimed,omitempty"` // when the signer says it signed
	Stamp       State  `json:"stamp,omitempty"`   // of a time-stamp on the signature, if there is one
	Stamped     string `json:"stamped,omitempty"` // the time in it
	// Trusted: the certificate has a chain to one of the roots that were given; nil: none were.
	Trusted *bool `json:"trusted,omitempty"`
}

// Roots are certificates of authorities that are believed, at a time.
type Roots struct {
	Pool *x509.CertPool
	At   time.Time
}

// Examine looks for the signatures in a PDF of at most MaxSize bytes and checks each. roots may be nil.
func Examine(data []byte, roots *Roots) []Finding {
	found, more := places(data)
	out := make([]Finding, 0, len(found)+1)
	for _, p := range found {
		out = append(out, examine(data, p, roots))
	}
	if more {
		out = append(out, Finding{State: NotUnderstood, Reason: ReasonMore})
	}
	return out
}

// examine checks one signature. Parsers of hostile bytes must not end the process: what they
// panic at is not understood.
func examine(data []byte, p place, roots *Roots) (f Finding) {
	defer func() {
		if recover() != nil {
			f = Finding{State: NotUnderstood, Reason: ReasonFault}
		}
	}()
	switch p.reason {
	case "":
	case ReasonTruncated:
		return Finding{State: Altered, Reason: p.reason, Covers: p.end}
	default:
		return Finding{State: NotUnderstood, Reason: p.reason}
	}
	f = Finding{State: NotUnderstood, Reason: ReasonForm, Covers: p.end, Whole: p.end == int64(len(data))}
	raw, zero := contents(data[p.gap:p.rest])
	cms, took, err := der(raw, 0)
	if err != nil || !zero || strings.Trim(string(raw[took:]), "\x00") != "" {
		return f
	}
	s, ok := parseSigned(cms)
	if !ok {
		return f
	}
	covered := func(h crypto.Hash) []byte {
		sum := h.New()
		sum.Write(data[:p.gap])
		sum.Write(data[p.rest:p.end])
		return sum.Sum(nil)
	}
	var c *x509.Certificate
	switch {
	case s.kind == oidData && s.content == nil:
		f.Kind = KindSignature
		c, f.Algorithm, f.State, f.Reason = s.verify(covered)
	case s.kind == oidTSTInfo && s.content != nil:
		f.Kind = KindTimestamp
		var at time.Time
		c, f.Algorithm, at, f.State, f.Reason = s.stamped(covered)
		f.Claimed = when(at)
	default:
		return f
	}
	f.describe(c)
	if f.Kind == KindSignature {
		f.Claimed = when(s.signer.signingTime())
		if f.Claimed == "" {
			f.Claimed = when(claimedTime(data, p))
		}
		f.stamp(s.signer)
	}
	if roots != nil && f.State == Intact {
		trusted := roots.lead(c, s.certificates)
		f.Trusted = &trusted
	}
	return f
}

func (f *Finding) describe(c *x509.Certificate) {
	if c == nil {
		return
	}
	sum := sha256.Sum256(c.Raw)
	f.Subject, f.Issuer = plain(c.Subject.String()), plain(c.Issuer.String())
	f.Serial, f.Certificate = bounded(c.SerialNumber.Text(16), maxSerial), hex.EncodeToString(sum[:])
	f.From, f.Until = when(c.NotBefore), when(c.NotAfter)
}

// lead reports whether a certificate has a chain to one of the roots. The time is the verifier's:
// the one that a signer claims proves nothing.
func (r *Roots) lead(c *x509.Certificate, others []*x509.Certificate) bool {
	between := x509.NewCertPool()
	for _, o := range others {
		between.AddCert(o)
	}
	_, err := c.Verify(x509.VerifyOptions{Roots: r.Pool, Intermediates: between, CurrentTime: r.At, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
	return err == nil
}

// Bounds of texts, in bytes.
const (
	maxText   = 160
	maxSerial = 42
)

// plain is what a certificate says, without anything that could steer a screen, and bounded.
func plain(s string) string {
	return bounded(strings.Map(func(r rune) rune {
		if r == unicode.ReplacementChar || !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, strings.ToValidUTF8(s, "?")), maxText)
}

func bounded(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}

// when is a time as records have it; empty for one that has no such form.
func when(t time.Time) string {
	if t.IsZero() || t.Year() < 1 || t.Year() > 9999 {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// JSON returns findings as a JSON array.
func JSON(findings []Finding) (string, error) {
	if len(findings) == 0 {
		return "[]", nil
	}
	data, err := json.Marshal(findings)
	return string(data), err
}
