package rfc3161

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"slices"
	"time"

	"golang.org/x/crypto/cryptobyte"
	asn "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/muniment/muniment/proofs"
)

const (
	maxRoots   = 256
	minRSABits = 2048
)

// Authorities are the time-stamp authorities that a verifier trusts: those whose
// certificates lead to its roots. It implements proofs.TimestampChecker.
type Authorities struct {
	roots    *x509.CertPool
	policies []string
}

// NewAuthorities trusts the authorities under those certificates. If policies, OIDs in
// dotted form, are given, a token that was issued under any other proves nothing.
func NewAuthorities(roots []*x509.Certificate, policies ...string) *Authorities {
	a := &Authorities{roots: x509.NewCertPool(), policies: slices.Clone(policies)}
	for _, r := range roots {
		a.roots.AddCert(r)
	}
	return a
}

// ParseRoots reads certificates in PEM, 1 to 256 of them. What stands between them is
// skipped; a block of another kind is an error, since it was not meant to be trusted.
func ParseRoots(data []byte) ([]*x509.Certificate, error) {
	var out []*x509.Certificate
	for {
		var block *pem.Block
		if block, data = pem.Decode(data); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			return nil, errors.New("a block in the file of roots is not a certificate")
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	if len(out) == 0 || len(out) > maxRoots {
		return nil, errors.New("the file of roots has no certificate in PEM, or more than 256")
	}
	return out, nil
}

// CheckTimestamp implements proofs.TimestampChecker.
func (a *Authorities) CheckTimestamp(der, message []byte) (proofs.Timestamp, proofs.Outcome, proofs.Reason) {
	t, err := parseToken(der)
	if err != nil {
		return proofs.Timestamp{}, proofs.Refused, proofs.ReasonTimestampMalformed
	}
	stamp, outcome, reason := a.check(t, message)
	if outcome != proofs.Verified {
		stamp = proofs.Timestamp{}
	}
	stamp.Time = t.info.time
	return stamp, outcome, reason
}

func (a *Authorities) check(t *token, message []byte) (proofs.Timestamp, proofs.Outcome, proofs.Reason) {
	none := proofs.Timestamp{}
	info, signer := &t.info, &t.signer
	if info.hash != 0 && !bytes.Equal(info.imprint, digest(info.hash, message)) {
		return none, proofs.Refused, proofs.ReasonTimestampImprint
	}
	certificate, chain := a.signer(t)
	algorithm := signatureAlgorithm(certificate, signer)
	binding := signer.attributes[oidSigningCertV2.String()]
	switch {
	case certificate == nil, algorithm == x509.UnknownSignatureAlgorithm, binding == nil,
		info.hash == 0, info.critical, len(a.policies) > 0 && !slices.Contains(a.policies, info.policy):
		return none, proofs.Undecided, ""
	case !isType(signer.attributes[oidContentType.String()]),
		!isDigest(signer.attributes[oidMessageDigest.String()], digest(signer.digest, t.content)),
		!binds(binding, certificate),
		certificate.CheckSignature(algorithm, signer.signed, signer.signature) != nil:
		return none, proofs.Refused, proofs.ReasonTimestampSignature
	}
	return proofs.Timestamp{
		Authority: name(certificate),
		Root:      name(chain[len(chain)-1]),
		Serial:    info.serial.String(),
		Accuracy:  info.accuracy,
		Policy:    info.policy,
		NotAfter:  ends(chain),
	}, proofs.Verified, ""
}

func digest(h crypto.Hash, message []byte) []byte {
	d := h.New()
	d.Write(message)
	return d.Sum(nil)
}

// signer returns the certificate that the token names as its signer's, if it entitles to
// time-stamps at the token's time, and its chain to a root. Of several chains the one
// that lasts longest.
func (a *Authorities) signer(t *token) (*x509.Certificate, []*x509.Certificate) {
	intermediates := x509.NewCertPool()
	var candidates []*x509.Certificate
	for _, der := range t.certificates {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			continue
		}
		intermediates.AddCert(c)
		if t.signer.names(c) {
			candidates = append(candidates, c)
		}
	}
	for _, c := range candidates {
		if !entitled(c) || len(candidates) > 1 && !binds(t.signer.attributes[oidSigningCertV2.String()], c) {
			continue
		}
		chains, err := c.Verify(x509.VerifyOptions{
			Roots: a.roots, Intermediates: intermediates, CurrentTime: t.info.time,
			KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageTimeStamping},
		})
		if err != nil {
			continue
		}
		return c, slices.MaxFunc(chains, func(x, y []*x509.Certificate) int { return ends(x).Compare(ends(y)) })
	}
	return nil, nil
}

// names reports whether the signer's id is that of c.
func (s *signerInfo) names(c *x509.Certificate) bool {
	if s.keyID != nil {
		return bytes.Equal(s.keyID, c.SubjectKeyId)
	}
	serial, err := asn1.Marshal(c.SerialNumber)
	return err == nil && bytes.Equal(s.issuer, c.RawIssuer) && bytes.Equal(s.serial, serial)
}

// entitled reports whether a certificate is for time-stamps and for nothing else, with a
// key that is strong enough (RFC 3161 §2.3).
func entitled(c *x509.Certificate) bool {
	alone := false
	for _, e := range c.Extensions {
		if e.Id.Equal(oidExtKeyUsage) {
			alone = e.Critical && string(e.Value) == timeStampingAlone
		}
	}
	const signs = x509.KeyUsageDigitalSignature | x509.KeyUsageContentCommitment
	if !alone || c.IsCA || c.KeyUsage&^signs != 0 {
		return false
	}
	key, ok := c.PublicKey.(*rsa.PublicKey)
	return !ok || key.N.BitLen() >= minRSABits
}

// signatureAlgorithm is what the signer's key and digest make, and its algorithm says.
func signatureAlgorithm(c *x509.Certificate, s *signerInfo) x509.SignatureAlgorithm {
	if c == nil || s.digest == 0 {
		return x509.UnknownSignatureAlgorithm
	}
	at := map[crypto.Hash]int{crypto.SHA256: 0, crypto.SHA384: 1, crypto.SHA512: 2}[s.digest]
	algorithm := s.algorithm.String()
	switch c.PublicKey.(type) {
	case *rsa.PublicKey:
		own := [...]string{"1.2.840.113549.1.1.11", "1.2.840.113549.1.1.12", "1.2.840.113549.1.1.13"}[at]
		if algorithm == "1.2.840.113549.1.1.1" || algorithm == own {
			return [...]x509.SignatureAlgorithm{x509.SHA256WithRSA, x509.SHA384WithRSA, x509.SHA512WithRSA}[at]
		}
	case *ecdsa.PublicKey:
		own := [...]string{"1.2.840.10045.4.3.2", "1.2.840.10045.4.3.3", "1.2.840.10045.4.3.4"}[at]
		if algorithm == own {
			return [...]x509.SignatureAlgorithm{x509.ECDSAWithSHA256, x509.ECDSAWithSHA384, x509.ECDSAWithSHA512}[at]
		}
	case ed25519.PublicKey:
		if algorithm == "1.3.101.112" && s.digest == crypto.SHA512 { // RFC 8419 §3
			return x509.PureEd25519
		}
	}
	return x509.UnknownSignatureAlgorithm
}

func isType(value []byte) bool {
	in := cryptobyte.String(value)
	var oid asn1.ObjectIdentifier
	return in.ReadASN1ObjectIdentifier(&oid) && in.Empty() && oid.Equal(oidTSTInfo)
}

func isDigest(value, want []byte) bool {
	in := cryptobyte.String(value)
	var got cryptobyte.String
	return in.ReadASN1(&got, asn.OCTET_STRING) && in.Empty() && bytes.Equal(got, want)
}

// binds reports whether the first ESSCertIDv2 of a SigningCertificateV2 (RFC 5035 §3) is
// that of c.
func binds(value []byte, c *x509.Certificate) bool {
	in := cryptobyte.String(value)
	var signing, ids, id, hash cryptobyte.String
	if !in.ReadASN1(&signing, asn.SEQUENCE) || !in.Empty() || !signing.ReadASN1(&ids, asn.SEQUENCE) ||
		!ids.ReadASN1(&id, asn.SEQUENCE) {
		return false
	}
	h := crypto.SHA256 // the default
	if id.PeekASN1Tag(asn.SEQUENCE) {
		algorithm, err := readAlgorithm(&id)
		if err != nil {
			return false
		}
		if h = hashOf(algorithm); h == 0 {
			return false
		}
	}
	return id.ReadASN1(&hash, asn.OCTET_STRING) && bytes.Equal(hash, digest(h, c.Raw))
}

// ends is when the first certificate of a chain ends.
func ends(chain []*x509.Certificate) time.Time {
	return slices.MinFunc(chain, func(x, y *x509.Certificate) int { return x.NotAfter.Compare(y.NotAfter) }).NotAfter.UTC()
}

// name is a certificate's subject as people say it, or else in full.
func name(c *x509.Certificate) string {
	switch s := c.Subject; {
	case s.CommonName != "" && len(s.Organization) == 1 && s.Organization[0] != s.CommonName:
		return s.CommonName + " (" + s.Organization[0] + ")"
	case s.CommonName != "":
		return s.CommonName
	default:
		return s.String()
	}
}
