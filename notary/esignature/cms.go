package esignature

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	_ "crypto/sha512" // SHA-384 and SHA-512
	"crypto/x509"
	"encoding/asn1"
	"slices"
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

// weak are digests that are not: MD5 and SHA-1.
var weak = map[string]bool{"1.2.840.113549.2.5": true, "1.3.14.3.2.26": true}

// signing are the algorithms that name their digest.
var signing = map[string]struct {
	key  string
	hash crypto.Hash
}{
	"1.2.840.113549.1.1.11": {oidRSA, crypto.SHA256},
	"1.2.840.113549.1.1.12": {oidRSA, crypto.SHA384},
	"1.2.840.113549.1.1.13": {oidRSA, crypto.SHA512},
	"1.2.840.10045.4.3.2":   {oidEC, crypto.SHA256},
	"1.2.840.10045.4.3.3":   {oidEC, crypto.SHA384},
	"1.2.840.10045.4.3.4":   {oidEC, crypto.SHA512},
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

// verify holds the signature over the digest of what is signed. digest is asked for the content's
// digest. It returns the signer's certificate, if that is there, whatever comes of the rest.
func (s *signedData) verify(digest func(crypto.Hash) []byte) (c *x509.Certificate, algorithm string, state State, reason Reason) {
	c = s.certificate()
	hash, ok := hashes[s.signer.digest]
	switch {
	case c == nil:
		return nil, "", NotUnderstood, ReasonCertificate
	case weak[s.signer.digest]:
		return c, "", NotUnderstood, ReasonWeak
	case !ok:
		return c, "", NotUnderstood, ReasonAlgorithm
	}
	family, ok := s.signer.family(hash)
	if !ok {
		return c, "", NotUnderstood, ReasonAlgorithm
	}
	algorithm = names[family] + " " + hash.String()
	sum := digest(hash)
	if s.signer.signed != nil {
		if !s.signer.attests(s.kind, sum) {
			return c, algorithm, Altered, ReasonDigest
		}
		if !s.signer.binds(c) {
			return c, algorithm, Altered, ReasonCertificate
		}
		h := hash.New()
		h.Write(s.signer.signed)
		sum = h.Sum(nil)
	}
	switch good, understood := check(c, family, hash, sum, s.signer); {
	case !understood:
		return c, algorithm, NotUnderstood, ReasonAlgorithm
	case tooShort(c):
		return c, algorithm, NotUnderstood, ReasonWeak
	case !good:
		return c, algorithm, Altered, ReasonSignature
	}
	return c, algorithm, Intact, ""
}

// names are what people call the algorithms.
var names = map[string]string{oidRSA: "RSA", oidPSS: "RSA-PSS", oidEC: "ECDSA", oidEd25519: "Ed25519"}

// family is the key's algorithm, where the signature's fits the digest.
func (s *signer) family(hash crypto.Hash) (string, bool) {
	if named, ok := signing[s.algorithm]; ok {
		return named.key, named.hash == hash
	}
	switch s.algorithm {
	case oidRSA, oidEC, oidEd25519:
		return s.algorithm, true
	case oidPSS:
		return oidPSS, pssHash(s.params, hash)
	}
	return "", false
}

// pssHash reports whether RSASSA-PSS-params (RFC 4055 §3.1) name this digest twice.
func pssHash(params cryptobyte.String, hash crypto.Hash) bool {
	var body, explicit, inner cryptobyte.String
	var has bool
	if !params.ReadASN1(&body, asn.SEQUENCE) || !body.ReadOptionalASN1(&explicit, &has, context(0)) || !has {
		return false
	}
	if oid, _, ok := readAlgorithm(&explicit); !ok || hashes[oid] != hash {
		return false
	}
	if !body.ReadOptionalASN1(&explicit, &has, context(1)) || !has {
		return false
	}
	oid, inner, ok := readAlgorithm(&explicit)
	if !ok || oid != oidMGF1 {
		return false
	}
	oid, _, ok = readAlgorithm(&inner)
	return ok && hashes[oid] == hash
}

// attests reports whether the signed attributes are about this content.
func (s *signer) attests(kind string, sum []byte) bool {
	var digest cryptobyte.String
	value := cryptobyte.String(s.attribute[oidMessageDigest])
	if !value.ReadASN1(&digest, asn.OCTET_STRING) || !bytes.Equal(digest, sum) {
		return false
	}
	var id asn1.ObjectIdentifier
	value = s.attribute[oidContentType]
	return value.ReadASN1ObjectIdentifier(&id) && id.String() == kind
}

// binds reports whether the certificate is the one that was signed along (RFC 5035), where one
// was: anyone can make another for the same key, with another name.
func (s *signer) binds(c *x509.Certificate) bool {
	for oid, v2 := range map[string]bool{oidSigningCert: false, oidSigningCertV2: true} {
		value, there := s.attribute[oid]
		if !there {
			continue
		}
		in := cryptobyte.String(value)
		var body, list, first, sum cryptobyte.String
		if !in.ReadASN1(&body, asn.SEQUENCE) || !body.ReadASN1(&list, asn.SEQUENCE) || !list.ReadASN1(&first, asn.SEQUENCE) {
			return false
		}
		hash := crypto.SHA256
		if v2 && first.PeekASN1Tag(asn.SEQUENCE) {
			name, _, ok := readAlgorithm(&first)
			if hash = hashes[name]; !ok || hash == 0 {
				return false
			}
		}
		if !first.ReadASN1(&sum, asn.OCTET_STRING) {
			return false
		}
		var want []byte
		if v2 {
			h := hash.New()
			h.Write(c.Raw)
			want = h.Sum(nil)
		} else {
			old := sha1.Sum(c.Raw)
			want = old[:]
		}
		if !bytes.Equal(sum, want) {
			return false
		}
	}
	return true
}

// check verifies a signature over a digest; Ed25519 signs the attributes themselves.
func check(c *x509.Certificate, family string, hash crypto.Hash, sum []byte, s signer) (good, understood bool) {
	switch key := c.PublicKey.(type) {
	case *rsa.PublicKey:
		switch family {
		case oidRSA:
			return rsa.VerifyPKCS1v15(key, hash, sum, s.signature) == nil, true
		case oidPSS:
			return rsa.VerifyPSS(key, hash, sum, s.signature, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthAuto}) == nil, true
		}
	case *ecdsa.PublicKey:
		if family == oidEC {
			return ecdsa.VerifyASN1(key, sum, s.signature), true
		}
	case ed25519.PublicKey:
		if family == oidEd25519 && s.signed != nil {
			return ed25519.Verify(key, s.signed, s.signature), true
		}
	}
	return false, false
}

func tooShort(c *x509.Certificate) bool {
	key, ok := c.PublicKey.(*rsa.PublicKey)
	return ok && key.N.BitLen() < minRSA
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

// certificateSum names a certificate.
func certificateSum(c *x509.Certificate) [sha256.Size]byte { return sha256.Sum256(c.Raw) }
