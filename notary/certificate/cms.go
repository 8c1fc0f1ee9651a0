package certificate

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"slices"

	"golang.org/x/crypto/cryptobyte"
	tags "golang.org/x/crypto/cryptobyte/asn1"
)

// The signature is a CMS SignedData (RFC 5652) as PAdES baseline has it (ETSI EN 319 142-1):
// detached, SHA-256, signed attributes content-type, message-digest and
// signing-certificate-v2 (RFC 5035), and, of level B-T, an RFC 3161 token over the signature's
// value as the one unsigned attribute. The time of signing stands in the PDF.

var (
	oidData        = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}
	oidSigned      = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2}
	oidType        = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 3}
	oidDigest      = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 4}
	oidSigningV2   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 2, 47}
	oidToken       = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 2, 14}
	oidSHA256      = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}
	oidRSASHA256   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 11}
	oidECDSA256    = asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 2}
	context0       = tags.Tag(0).ContextSpecific().Constructed()
	context1       = tags.Tag(1).ContextSpecific().Constructed()
	errNoSignature = errors.New("the signature is none that Muniment makes")
)

// attribute appends one attribute with one value.
func attribute(oid asn1.ObjectIdentifier, value func(*cryptobyte.Builder)) []byte {
	var b cryptobyte.Builder
	b.AddASN1(tags.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(oid)
		b.AddASN1(tags.SET, value)
	})
	return b.BytesOrPanic()
}

// signedAttributes is the SET of what is signed, without its tag: of a document of that
// SHA-256, by that certificate.
func signedAttributes(digest [sha256.Size]byte, certificate []byte) []byte {
	own := sha256.Sum256(certificate)
	all := [][]byte{
		attribute(oidType, func(b *cryptobyte.Builder) { b.AddASN1ObjectIdentifier(oidData) }),
		attribute(oidDigest, func(b *cryptobyte.Builder) { b.AddASN1OctetString(digest[:]) }),
		attribute(oidSigningV2, func(b *cryptobyte.Builder) {
			b.AddASN1(tags.SEQUENCE, func(b *cryptobyte.Builder) { // SigningCertificateV2
				b.AddASN1(tags.SEQUENCE, func(b *cryptobyte.Builder) { // certs
					b.AddASN1(tags.SEQUENCE, func(b *cryptobyte.Builder) { b.AddASN1OctetString(own[:]) })
				})
			})
		}),
	}
	slices.SortFunc(all, bytes.Compare) // DER orders a SET OF
	return slices.Concat(all...)
}

// asSet is what the signature is over.
func asSet(attributes []byte) []byte {
	var b cryptobyte.Builder
	b.AddASN1(tags.SET, func(b *cryptobyte.Builder) { b.AddBytes(attributes) })
	return b.BytesOrPanic()
}

func algorithm(b *cryptobyte.Builder, oid asn1.ObjectIdentifier, null bool) {
	b.AddASN1(tags.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(oid)
		if null {
			b.AddASN1NULL()
		}
	})
}

// message is the whole of a SignedData.
type message struct {
	chain     []*x509.Certificate // the signer's first
	digest    [sha256.Size]byte
	signature []byte
	token     []byte // nil: there is none
}

func (m message) marshal() []byte {
	signer := m.chain[0]
	_, rsaKey := signer.PublicKey.(*rsa.PublicKey)
	var b cryptobyte.Builder
	b.AddASN1(tags.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(oidSigned)
		b.AddASN1(context0, func(b *cryptobyte.Builder) {
			b.AddASN1(tags.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1Int64(1)
				b.AddASN1(tags.SET, func(b *cryptobyte.Builder) { algorithm(b, oidSHA256, false) })
				b.AddASN1(tags.SEQUENCE, func(b *cryptobyte.Builder) { b.AddASN1ObjectIdentifier(oidData) })
				b.AddASN1(context0, func(b *cryptobyte.Builder) {
					for _, c := range ordered(m.chain) {
						b.AddBytes(c)
					}
				})
				b.AddASN1(tags.SET, func(b *cryptobyte.Builder) {
					b.AddASN1(tags.SEQUENCE, func(b *cryptobyte.Builder) { m.signerInfo(b, signer, rsaKey) })
				})
			})
		})
	})
	return b.BytesOrPanic()
}

// ordered are the certificates as DER orders a SET OF.
func ordered(chain []*x509.Certificate) [][]byte {
	out := make([][]byte, len(chain))
	for i, c := range chain {
		out[i] = c.Raw
	}
	slices.SortFunc(out, bytes.Compare)
	return out
}

func (m message) signerInfo(b *cryptobyte.Builder, signer *x509.Certificate, rsaKey bool) {
	b.AddASN1Int64(1)
	b.AddASN1(tags.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddBytes(signer.RawIssuer)
		b.AddASN1BigInt(signer.SerialNumber)
	})
	algorithm(b, oidSHA256, false)
	b.AddASN1(context0, func(b *cryptobyte.Builder) { b.AddBytes(signedAttributes(m.digest, signer.Raw)) })
	if rsaKey {
		algorithm(b, oidRSASHA256, true)
	} else {
		algorithm(b, oidECDSA256, false)
	}
	b.AddASN1OctetString(m.signature)
	if m.token != nil {
		b.AddASN1(context1, func(b *cryptobyte.Builder) {
			b.AddBytes(attribute(oidToken, func(b *cryptobyte.Builder) { b.AddBytes(m.token) }))
		})
	}
}

// parseMessage reads a SignedData over a document of that digest. It takes only what marshal
// would write, whatever stands in it.
func parseMessage(der []byte, digest [sha256.Size]byte) (message, error) {
	m := message{digest: digest}
	var content, explicit, signed, certificates, infos, info, id, skip, attributes, unsigned cryptobyte.String
	in := cryptobyte.String(der)
	ok := in.ReadASN1(&content, tags.SEQUENCE) && in.Empty() && content.SkipASN1(tags.OBJECT_IDENTIFIER) && content.ReadASN1(&explicit, context0) &&
		explicit.ReadASN1(&signed, tags.SEQUENCE) && signed.SkipASN1(tags.INTEGER) && signed.SkipASN1(tags.SET) && signed.SkipASN1(tags.SEQUENCE) &&
		signed.ReadASN1(&certificates, context0) && signed.ReadASN1(&infos, tags.SET) && infos.ReadASN1(&info, tags.SEQUENCE) &&
		info.SkipASN1(tags.INTEGER) && info.ReadASN1Element(&id, tags.SEQUENCE) && info.ReadASN1(&skip, tags.SEQUENCE) &&
		info.ReadASN1(&attributes, context0) && info.ReadASN1(&skip, tags.SEQUENCE) && info.ReadASN1Bytes(&m.signature, tags.OCTET_STRING)
	if !ok {
		return m, errNoSignature
	}
	if info.ReadASN1(&unsigned, context1) {
		var attr, set, token cryptobyte.String
		if !unsigned.ReadASN1(&attr, tags.SEQUENCE) || !attr.SkipASN1(tags.OBJECT_IDENTIFIER) || !attr.ReadASN1(&set, tags.SET) || !set.ReadASN1Element(&token, tags.SEQUENCE) {
			return m, errNoSignature
		}
		m.token = token
	}
	var err error
	if m.chain, err = chainOf(certificates, id); err != nil {
		return m, err
	}
	if !bytes.Equal(m.marshal(), der) {
		return m, errNoSignature
	}
	return m, nil
}

// chainOf brings certificates into the order of who signed whom, the one that id names first.
func chainOf(certificates []byte, id cryptobyte.String) ([]*x509.Certificate, error) {
	all, err := x509.ParseCertificates(certificates)
	if err != nil || len(all) == 0 || len(all) > maxChain {
		return nil, errNoSignature
	}
	at := slices.IndexFunc(all, func(c *x509.Certificate) bool {
		var b cryptobyte.Builder
		b.AddASN1(tags.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddBytes(c.RawIssuer)
			b.AddASN1BigInt(c.SerialNumber)
		})
		own, err := b.Bytes()
		return err == nil && bytes.Equal(own, id)
	})
	if at < 0 {
		return nil, errNoSignature
	}
	chain := []*x509.Certificate{all[at]}
	for rest := slices.Delete(all, at, at+1); len(rest) > 0; {
		last := chain[len(chain)-1]
		next := slices.IndexFunc(rest, func(c *x509.Certificate) bool { return issued(c, last) })
		if next < 0 {
			return nil, errNoSignature // one that leads nowhere could be anyone's
		}
		chain = append(chain, rest[next])
		rest = slices.Delete(rest, next, next+1)
	}
	return chain, nil
}

// issued reports whether parent's key signed c.
func issued(parent, c *x509.Certificate) bool {
	return bytes.Equal(parent.RawSubject, c.RawIssuer) && parent.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature) == nil
}

// holds reports whether the signature is the first certificate's over these attributes.
func (m message) holds() bool {
	signed := sha256.Sum256(asSet(signedAttributes(m.digest, m.chain[0].Raw)))
	switch key := m.chain[0].PublicKey.(type) {
	case *rsa.PublicKey:
		return key.N.BitLen() >= minRSA && rsa.VerifyPKCS1v15(key, crypto.SHA256, signed[:], m.signature) == nil
	case *ecdsa.PublicKey:
		return ecdsa.VerifyASN1(key, signed[:], m.signature)
	}
	return false
}
