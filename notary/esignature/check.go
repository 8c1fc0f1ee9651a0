package esignature

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha1"
	_ "crypto/sha512" // SHA-384 and SHA-512
	"crypto/x509"
	"encoding/asn1"

	"golang.org/x/crypto/cryptobyte"
	asn "golang.org/x/crypto/cryptobyte/asn1"
)

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
