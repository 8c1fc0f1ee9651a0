package certificate

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"
)

const (
	// reserved is the room for a signature in a certificate, in bytes of DER.
	reserved = 24 << 10
	// maxChainSize leaves room in it for a token.
	maxChainSize = 10 << 10
	maxChain     = 5
	minRSA       = 2048
)

// Authority dates signatures (RFC 3161).
type Authority interface {
	// Timestamp returns a token over message that was checked, in DER.
	Timestamp(ctx context.Context, message []byte) ([]byte, error)
}

// ErrNotDated: no time-stamp authority answered, so there is no signature of the level that
// the certificate promises on its face.
var ErrNotDated = errors.New("no time-stamp authority has dated the signature")

// ErrSigner: the signing key or its certificate cannot sign.
var ErrSigner = errors.New("certificates cannot be signed")

// A Signer signs certificates (PAdES baseline B-B, or B-T with Authorities).
type Signer struct {
	key         crypto.Signer
	chain       []*x509.Certificate
	authorities []Authority // asked one after another until one answers
}

// NewSigner returns a signer by an RSA key of at least 2,048 bits, or an ECDSA key, with its
// certificate first in chain and each one's issuer after it.
func NewSigner(key crypto.Signer, chain []*x509.Certificate, authorities ...Authority) (*Signer, error) {
	if len(chain) == 0 || len(chain) > maxChain {
		return nil, fmt.Errorf("%w: a chain has 1 to %d certificates", ErrSigner, maxChain)
	}
	public, ok := key.Public().(interface{ Equal(crypto.PublicKey) bool })
	if !ok || !public.Equal(chain[0].PublicKey) {
		return nil, fmt.Errorf("%w: the first certificate of the chain is not the key's", ErrSigner)
	}
	switch k := key.Public().(type) {
	case *rsa.PublicKey:
		if k.N.BitLen() < minRSA {
			return nil, fmt.Errorf("%w: the RSA key has less than %d bits", ErrSigner, minRSA)
		}
	case *ecdsa.PublicKey:
	default:
		return nil, fmt.Errorf("%w: the key is neither RSA nor ECDSA, which PDF readers know", ErrSigner)
	}
	size := 0
	for i, c := range chain {
		size += len(c.Raw)
		if i > 0 && !issued(c, chain[i-1]) {
			return nil, fmt.Errorf("%w: certificate %d of the chain did not issue the one before it", ErrSigner, i+1)
		}
	}
	if size > maxChainSize {
		return nil, fmt.Errorf("%w: the chain has more than %d bytes", ErrSigner, maxChainSize)
	}
	if u := chain[0].KeyUsage; u != 0 && u&(x509.KeyUsageDigitalSignature|x509.KeyUsageContentCommitment) == 0 {
		return nil, fmt.Errorf("%w: the certificate's key is not for signatures", ErrSigner)
	}
	return &Signer{key, chain, authorities}, nil
}

// Signed is the signer as certificates name it.
func (s *Signer) Signed() *Signed {
	by := signedBy(s.chain)
	by.Dated = s.dates()
	return by
}

func (s *Signer) dates() bool { return len(s.authorities) > 0 }

// NotAfter is when the signer's certificate ends.
func (s *Signer) NotAfter() time.Time { return s.chain[0].NotAfter }

// signedBy names a signer by its chain.
func signedBy(chain []*x509.Certificate) *Signed {
	h := sha256.New()
	for _, c := range chain {
		h.Write(c.Raw)
	}
	own := chain[0]
	return &Signed{Subject: nameOf(own.Subject), Issuer: nameOf(own.Issuer), Serial: own.SerialNumber.String(), Chain: hex.EncodeToString(h.Sum(nil))}
}

// nameOf is a name as people say it.
func nameOf(n pkix.Name) string {
	switch org := strings.Join(n.Organization, ", "); {
	case n.CommonName == "" && org == "":
		return n.String()
	case n.CommonName == "" || org == "" || org == n.CommonName:
		return n.CommonName + strings.TrimPrefix(org, n.CommonName)
	default:
		return n.CommonName + " (" + org + ")"
	}
}

// Sign puts the signature into the certificate, in place, and returns its file. The
// certificate must have been made for this signer.
func (s *Signer) Sign(ctx context.Context, c *Certificate, issued time.Time) ([]byte, error) {
	if !c.signs {
		return nil, fmt.Errorf("%w: it was made without room for a signature", ErrSigner)
	}
	if issued.Before(s.chain[0].NotBefore) || issued.After(s.chain[0].NotAfter) {
		return nil, fmt.Errorf("%w: the certificate of the key is valid from %s to %s", ErrSigner, s.chain[0].NotBefore.Format(time.RFC3339), s.chain[0].NotAfter.Format(time.RFC3339))
	}
	m := message{chain: s.chain, digest: c.digest(c.PDF)}
	signed := sha256.Sum256(asSet(signedAttributes(m.digest, s.chain[0].Raw)))
	var err error
	if m.signature, err = s.key.Sign(rand.Reader, signed[:], crypto.SHA256); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSigner, err)
	}
	if s.dates() {
		if m.token, err = s.date(ctx, m.signature); err != nil {
			return nil, err
		}
	}
	der := m.marshal()
	if len(der) > reserved {
		return nil, fmt.Errorf("%w: chain and time-stamp have more than %d bytes", ErrSigner, reserved)
	}
	hex.Encode(c.PDF[c.from+1:], der)
	return c.PDF, nil
}

// date asks each authority in turn.
func (s *Signer) date(ctx context.Context, signature []byte) ([]byte, error) {
	failed := ErrNotDated
	for _, a := range s.authorities {
		token, err := a.Timestamp(ctx, signature)
		if err == nil {
			return token, nil
		}
		failed = fmt.Errorf("%w: %w", failed, err)
	}
	return nil, failed
}

// digest is that of the file without the signature's value.
func (c *Certificate) digest(pdf []byte) [sha256.Size]byte {
	h := sha256.New()
	h.Write(pdf[:c.from])
	h.Write(pdf[c.to:])
	return [sha256.Size]byte(h.Sum(nil))
}
