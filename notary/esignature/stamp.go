package esignature

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"slices"
	"time"

	"golang.org/x/crypto/cryptobyte"
	asn "golang.org/x/crypto/cryptobyte/asn1"
)

// stamp is what is needed of a TSTInfo (RFC 3161 §2.4.2).
type stamp struct {
	hash    crypto.Hash
	imprint []byte
	time    time.Time
}

func parseStamp(data []byte) (stamp, bool) {
	in := cryptobyte.String(data)
	var body, message, imprint cryptobyte.String
	var version int
	var policy asn1.ObjectIdentifier
	var s stamp
	if !in.ReadASN1(&body, asn.SEQUENCE) || !body.ReadASN1Integer(&version) || !body.ReadASN1ObjectIdentifier(&policy) ||
		!body.ReadASN1(&message, asn.SEQUENCE) {
		return s, false
	}
	oid, _, ok := readAlgorithm(&message)
	if !ok || !message.ReadASN1(&imprint, asn.OCTET_STRING) || !body.SkipASN1(asn.INTEGER) {
		return s, false
	}
	var at cryptobyte.String
	if !body.ReadASN1(&at, asn.GeneralizedTime) {
		return s, false
	}
	// Fractions of a second, which the library does not read, are cut off.
	text, _, _ := bytes.Cut(bytes.TrimSuffix(at, []byte("Z")), []byte("."))
	t, err := time.Parse("20060102150405", string(text))
	s.hash, s.imprint, s.time = hashes[oid], slices.Clone(imprint), t
	return s, err == nil
}

// stamped checks a time-stamp token over what covered gives the digest of.
func (s *signedData) stamped(covered func(crypto.Hash) []byte) (c *x509.Certificate, algorithm string, at time.Time, state State, reason Reason) {
	info, ok := parseStamp(s.content)
	switch {
	case !ok:
		return nil, "", at, NotUnderstood, ReasonForm
	case info.hash == 0:
		return nil, "", at, NotUnderstood, ReasonAlgorithm
	case string(info.imprint) != string(covered(info.hash)):
		return nil, "", at, Altered, ReasonDigest
	}
	c, algorithm, state, reason = s.verify(func(h crypto.Hash) []byte {
		sum := h.New()
		sum.Write(s.content)
		return sum.Sum(nil)
	})
	return c, algorithm, info.time, state, reason
}

// stamp looks at the time-stamp on a signature, an attribute beside it.
func (f *Finding) stamp(of signer) {
	token, there := of.unsigned[oidTimeStamp]
	if !there {
		return
	}
	f.Stamp = NotUnderstood
	s, ok := parseSigned(token)
	if !ok || s.kind != oidTSTInfo || s.content == nil {
		return
	}
	_, _, at, state, _ := s.stamped(func(h crypto.Hash) []byte {
		sum := h.New()
		sum.Write(of.signature)
		return sum.Sum(nil)
	})
	if f.Stamp = state; state == Intact {
		f.Stamped = when(at)
	}
}
