package esignature

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"time"

	"golang.org/x/crypto/cryptobyte"
	asn "golang.org/x/crypto/cryptobyte/asn1"
)

const (
	maxCertificates = 32
	maxAttributes   = 64
	minRSA          = 2048 // bits
)

// Object identifiers by their dotted form.
const (
	oidData          = "1.2.840.113549.1.7.1"
	oidSignedData    = "1.2.840.113549.1.7.2"
	oidTSTInfo       = "1.2.840.113549.1.9.16.1.4"
	oidContentType   = "1.2.840.113549.1.9.3"
	oidMessageDigest = "1.2.840.113549.1.9.4"
	oidSigningTime   = "1.2.840.113549.1.9.5"
	oidSigningCert   = "1.2.840.113549.1.9.16.2.12"
	oidSigningCertV2 = "1.2.840.113549.1.9.16.2.47"
	oidTimeStamp     = "1.2.840.113549.1.9.16.2.14"
	oidRSA           = "1.2.840.113549.1.1.1"
	oidPSS           = "1.2.840.113549.1.1.10"
	oidMGF1          = "1.2.840.113549.1.1.8"
	oidEC            = "1.2.840.10045.2.1"
	oidEd25519       = "1.3.101.112"
)

// hashes are the digests that are strong enough to say of anything that it is intact.
var hashes = map[string]crypto.Hash{
	"2.16.840.1.101.3.4.2.1": crypto.SHA256,
	"2.16.840.1.101.3.4.2.2": crypto.SHA384,
	"2.16.840.1.101.3.4.2.3": crypto.SHA512,
}

// signedData is a CMS SignedData (RFC 5652 §5) with one signer, taken apart.
type signedData struct {
	kind         string // of the content
	content      []byte // nil: it is elsewhere
	certificates []*x509.Certificate
	signer       signer
}

type signer struct {
	issuer    []byte // DER; with serial, or
	serial    []byte // the integer's bytes
	keyID     []byte
	digest    string // object identifier
	signed    []byte // the signed attributes' DER, as it is signed; nil: none
	attribute map[string][]byte
	unsigned  map[string][]byte
	algorithm string
	params    cryptobyte.String
	signature []byte
}

func context(tag uint8) asn.Tag { return asn.Tag(tag).ContextSpecific().Constructed() }

// parseSigned reads a ContentInfo in DER; false where it is none of a SignedData with one signer.
func parseSigned(data []byte) (*signedData, bool) {
	in := cryptobyte.String(data)
	var info, explicit, body, digests, encapsulated cryptobyte.String
	var kind asn1.ObjectIdentifier
	var version int
	if !in.ReadASN1(&info, asn.SEQUENCE) || !info.ReadASN1ObjectIdentifier(&kind) || kind.String() != oidSignedData ||
		!info.ReadASN1(&explicit, context(0)) || !explicit.ReadASN1(&body, asn.SEQUENCE) ||
		!body.ReadASN1Integer(&version) || !body.ReadASN1(&digests, asn.SET) ||
		!body.ReadASN1(&encapsulated, asn.SEQUENCE) || !encapsulated.ReadASN1ObjectIdentifier(&kind) {
		return nil, false
	}
	s := &signedData{kind: kind.String()}
	if !encapsulated.Empty() {
		var content cryptobyte.String
		if !encapsulated.ReadASN1(&explicit, context(0)) || !explicit.ReadASN1(&content, asn.OCTET_STRING) {
			return nil, false
		}
		s.content = append([]byte{}, content...)
	}
	var certificates, signers, one cryptobyte.String
	var has bool
	if !body.ReadOptionalASN1(&certificates, &has, context(0)) || !body.SkipOptionalASN1(context(1)) ||
		!body.ReadASN1(&signers, asn.SET) || !signers.ReadASN1(&one, asn.SEQUENCE) || !signers.Empty() || !body.Empty() {
		return nil, false
	}
	if !s.readCertificates(certificates) || !s.signer.read(one) {
		return nil, false
	}
	return s, true
}

func (s *signedData) readCertificates(in cryptobyte.String) bool {
	for n := 0; !in.Empty(); n++ {
		var c cryptobyte.String
		var tag asn.Tag
		if n == maxCertificates || !in.ReadAnyASN1Element(&c, &tag) {
			return false
		}
		// What the library cannot read is missed below, if it is the signer's.
		if parsed, err := x509.ParseCertificate(c); err == nil && tag == asn.SEQUENCE {
			s.certificates = append(s.certificates, parsed)
		}
	}
	return true
}

func (s *signer) read(in cryptobyte.String) bool {
	var version int
	if !in.ReadASN1Integer(&version) || !s.readID(&in) {
		return false
	}
	var ok bool
	if s.digest, _, ok = readAlgorithm(&in); !ok {
		return false
	}
	var attributes cryptobyte.String
	var has bool
	if !in.ReadOptionalASN1(&attributes, &has, context(0)) {
		return false
	}
	if has {
		s.signed = element(0x31, attributes)
		if s.attribute, ok = readAttributes(attributes); !ok {
			return false
		}
	}
	var signature cryptobyte.String
	if s.algorithm, s.params, ok = readAlgorithm(&in); !ok || !in.ReadASN1(&signature, asn.OCTET_STRING) {
		return false
	}
	s.signature = signature
	if !in.ReadOptionalASN1(&attributes, &has, context(1)) || !in.Empty() {
		return false
	}
	if has {
		s.unsigned, ok = readAttributes(attributes)
	}
	return ok
}

func (s *signer) readID(in *cryptobyte.String) bool {
	var id cryptobyte.String
	if in.PeekASN1Tag(asn.SEQUENCE) {
		var issuer, serial cryptobyte.String
		if !in.ReadASN1(&id, asn.SEQUENCE) || !id.ReadASN1Element(&issuer, asn.SEQUENCE) || !id.ReadASN1(&serial, asn.INTEGER) {
			return false
		}
		s.issuer, s.serial = issuer, serial
		return true
	}
	if !in.ReadASN1(&id, asn.Tag(0).ContextSpecific()) {
		return false
	}
	s.keyID = id
	return true
}

func readAlgorithm(in *cryptobyte.String) (oid string, params cryptobyte.String, ok bool) {
	var body cryptobyte.String
	var id asn1.ObjectIdentifier
	if !in.ReadASN1(&body, asn.SEQUENCE) || !body.ReadASN1ObjectIdentifier(&id) {
		return "", nil, false
	}
	return id.String(), body, true
}

// readAttributes reads attributes, and of each that stands once and has one value, the value.
func readAttributes(in cryptobyte.String) (map[string][]byte, bool) {
	out := map[string][]byte{}
	seen := map[string]bool{}
	for n := 0; !in.Empty(); n++ {
		var body, values, value cryptobyte.String
		var id asn1.ObjectIdentifier
		var tag asn.Tag
		if n == maxAttributes || !in.ReadASN1(&body, asn.SEQUENCE) || !body.ReadASN1ObjectIdentifier(&id) || !body.ReadASN1(&values, asn.SET) {
			return nil, false
		}
		name := id.String()
		single := values.ReadAnyASN1Element(&value, &tag) && values.Empty()
		if seen[name] || !single {
			delete(out, name)
		} else {
			out[name] = value
		}
		seen[name] = true
	}
	return out, true
}

// certificate finds the signer's; nil: it is not there, or could not be read.
func (s *signedData) certificate() *x509.Certificate {
	for _, c := range s.certificates {
		var serial cryptobyte.String
		der := cryptobyte.String(element(0x02, s.signer.serial))
		switch {
		case s.signer.keyID != nil:
			if bytes.Equal(c.SubjectKeyId, s.signer.keyID) {
				return c
			}
		case bytes.Equal(c.RawIssuer, s.signer.issuer) && der.ReadASN1(&serial, asn.INTEGER) && serialIs(c, s.signer.serial):
			return c
		}
	}
	return nil
}

func serialIs(c *x509.Certificate, serial []byte) bool {
	b := cryptobyte.NewBuilder(nil)
	b.AddASN1BigInt(c.SerialNumber)
	want, err := b.Bytes()
	return err == nil && bytes.Equal(want, element(0x02, serial))
}

// signingTime is the time that the signer says it signed at.
func (s *signer) signingTime() time.Time {
	var t time.Time
	value := cryptobyte.String(s.attribute[oidSigningTime])
	switch {
	case value.PeekASN1Tag(asn.UTCTime) && value.ReadASN1UTCTime(&t):
	case value.PeekASN1Tag(asn.GeneralizedTime) && value.ReadASN1GeneralizedTime(&t):
	}
	return t.UTC()
}
