// Package rfc3161test is a time-stamp authority for tests, with a clock of its own and
// certificates that end when the test wants. It signs whatever it is told to, right or wrong.
package rfc3161test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"io"
	"math/big"
	"net/http"
	"sync"
	"time"

	"golang.org/x/crypto/cryptobyte"
	asn "golang.org/x/crypto/cryptobyte/asn1"
)

// Policy is the OID of the rules that an Authority issues under.
const Policy = "1.3.6.1.4.1.99999.1"

// An Authority signs time-stamps.
type Authority struct {
	Name        string
	Root        *x509.Certificate
	Certificate *x509.Certificate // of the key that signs
	Key         crypto.Signer
	Now         func() time.Time

	rootKey crypto.Signer
	mu      sync.Mutex
	serial  int64
	asked   int
}

// New returns an authority under a root of its own. Both certificates are valid from
// an hour ago, by now, for that long.
func New(name string, now func() time.Time, root, signer time.Duration) *Authority {
	a := &Authority{Name: name, Now: now, rootKey: newKey()}
	from := now().Add(-time.Hour)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name + " root"},
		NotBefore: from, NotAfter: from.Add(root), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	a.Root = issue(template, template, a.rootKey.Public(), a.rootKey)
	a.Renew(signer)
	return a
}

// Renew gives the authority a new key and certificate, valid from an hour ago for that long.
func (a *Authority) Renew(d time.Duration) {
	b := a.As(Template(a.Name, a.Now().Add(-time.Hour), d))
	a.Key, a.Certificate = b.Key, b.Certificate
}

// As returns another authority under the same root, its certificate made after the template.
func (a *Authority) As(template *x509.Certificate) *Authority {
	b := &Authority{Name: a.Name, Root: a.Root, Now: a.Now, rootKey: a.rootKey, Key: newKey()}
	b.Certificate = issue(template, a.Root, b.Key.Public(), a.rootKey)
	return b
}

// Template is a sound certificate for time-stamps.
func Template(name string, from time.Time, d time.Duration) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(from.UnixNano()), Subject: pkix.Name{CommonName: name, Organization: []string{"Trusted Time Ltd"}},
		NotBefore: from, NotAfter: from.Add(d), KeyUsage: x509.KeyUsageDigitalSignature,
		ExtraExtensions: []pkix.Extension{Usage(true, TimeStamping)},
	}
}

// TimeStamping is id-kp-timeStamping.
var TimeStamping = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 8}

// Usage is an extended key usage.
func Usage(critical bool, usages ...asn1.ObjectIdentifier) pkix.Extension {
	value, err := asn1.Marshal(usages)
	must(err)
	return pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 37}, Critical: critical, Value: value}
}

func newKey() *ecdsa.PrivateKey {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	return k
}

func issue(template, parent *x509.Certificate, key crypto.PublicKey, by crypto.Signer) *x509.Certificate {
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key, by)
	must(err)
	c, err := x509.ParseCertificate(der)
	must(err)
	return c
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// RootsPEM is the file of roots that trusts the authorities.
func RootsPEM(authorities ...*Authority) []byte {
	var out []byte
	for _, a := range authorities {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.Root.Raw})...)
	}
	return out
}

// A Statement is what a token is made from. Its zero fields are made good.
type Statement struct {
	Hash     crypto.Hash // of the imprint; 0: SHA-256
	HashOID  asn1.ObjectIdentifier
	Imprint  []byte // nil: of Message
	Message  []byte
	Policy   asn1.ObjectIdentifier
	Time     time.Time     // zero: now
	Accuracy time.Duration // whole seconds
	Nonce    *big.Int

	Digest      asn1.ObjectIdentifier // of the signed attributes' digest; nil: SHA-256
	Unbound     bool                  // no ESSCertIDv2
	BoundTo     *x509.Certificate     // nil: the authority's
	Signers     int                   // 0: one
	Bare        bool                  // no certificate inside
	Certificate *x509.Certificate     // that is named and enclosed; nil: the authority's
	Content     []byte                // signed in the TSTInfo's place
	Critical    bool                  // with an extension that nobody knows
	More        []*x509.Certificate   // enclosed too
}

var sha256OID = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}

// Token signs a statement.
func (a *Authority) Token(s Statement) []byte {
	a.mu.Lock()
	a.serial++
	serial := a.serial
	a.mu.Unlock()
	a.complete(&s)
	info := tstInfo(s, serial)
	signed := s.Content
	if signed == nil {
		signed = info
	}
	return build(func(b *cryptobyte.Builder) {
		b.AddASN1(asn.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1ObjectIdentifier(asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2})
			b.AddASN1(tag(0), func(b *cryptobyte.Builder) {
				b.AddASN1(asn.SEQUENCE, func(b *cryptobyte.Builder) { a.signedData(b, s, info, signed) })
			})
		})
	})
}

func (a *Authority) complete(s *Statement) {
	if s.Hash == 0 {
		s.Hash = crypto.SHA256
	}
	if s.HashOID == nil {
		s.HashOID = map[crypto.Hash]asn1.ObjectIdentifier{
			crypto.SHA256: sha256OID, crypto.SHA384: {2, 16, 840, 1, 101, 3, 4, 2, 2}, crypto.SHA512: {2, 16, 840, 1, 101, 3, 4, 2, 3},
			crypto.SHA1: {1, 3, 14, 3, 2, 26},
		}[s.Hash]
	}
	if s.Imprint == nil {
		h := s.Hash.New()
		h.Write(s.Message)
		s.Imprint = h.Sum(nil)
	}
	if s.Policy == nil {
		s.Policy = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 99999, 1}
	}
	if s.Time.IsZero() {
		s.Time = a.Now()
	}
	if s.Certificate == nil {
		s.Certificate = a.Certificate
	}
	if s.BoundTo == nil {
		s.BoundTo = a.Certificate
	}
	if s.Digest == nil {
		s.Digest = sha256OID
	}
	if s.Signers == 0 {
		s.Signers = 1
	}
}

func tag(n uint8) asn.Tag { return asn.Tag(n).ContextSpecific().Constructed() }

func build(f func(*cryptobyte.Builder)) []byte {
	b := cryptobyte.NewBuilder(nil)
	f(b)
	out, err := b.Bytes()
	must(err)
	return out
}

func algorithm(b *cryptobyte.Builder, oid asn1.ObjectIdentifier) {
	b.AddASN1(asn.SEQUENCE, func(b *cryptobyte.Builder) { b.AddASN1ObjectIdentifier(oid) })
}

func tstInfo(s Statement, serial int64) []byte {
	return build(func(b *cryptobyte.Builder) {
		b.AddASN1(asn.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1Int64(1)
			b.AddASN1ObjectIdentifier(s.Policy)
			b.AddASN1(asn.SEQUENCE, func(b *cryptobyte.Builder) {
				algorithm(b, s.HashOID)
				b.AddASN1OctetString(s.Imprint)
			})
			b.AddASN1Int64(serial)
			b.AddASN1(asn.GeneralizedTime, func(b *cryptobyte.Builder) {
				b.AddBytes([]byte(s.Time.UTC().Format("20060102150405.999999999Z")))
			})
			if s.Accuracy > 0 {
				b.AddASN1(asn.SEQUENCE, func(b *cryptobyte.Builder) { b.AddASN1Int64(int64(s.Accuracy / time.Second)) })
			}
			if s.Nonce != nil {
				b.AddASN1BigInt(s.Nonce)
			}
			if s.Critical {
				b.AddASN1(tag(1), func(b *cryptobyte.Builder) {
					b.AddASN1(asn.SEQUENCE, func(b *cryptobyte.Builder) {
						b.AddASN1ObjectIdentifier(asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 99999, 9})
						b.AddASN1Boolean(true)
						b.AddASN1OctetString([]byte{5, 0})
					})
				})
			}
		})
	})
}

func (a *Authority) signedData(b *cryptobyte.Builder, s Statement, info, signed []byte) {
	b.AddASN1Int64(3)
	b.AddASN1(asn.SET, func(b *cryptobyte.Builder) { algorithm(b, s.Digest) })
	b.AddASN1(asn.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 1, 4})
		b.AddASN1(tag(0), func(b *cryptobyte.Builder) { b.AddASN1OctetString(info) })
	})
	if !s.Bare {
		b.AddASN1(tag(0), func(b *cryptobyte.Builder) {
			b.AddBytes(s.Certificate.Raw)
			for _, c := range s.More {
				b.AddBytes(c.Raw)
			}
		})
	}
	b.AddASN1(asn.SET, func(b *cryptobyte.Builder) {
		for range s.Signers {
			b.AddASN1(asn.SEQUENCE, func(b *cryptobyte.Builder) { a.signerInfo(b, s, signed) })
		}
	})
}

func (a *Authority) signerInfo(b *cryptobyte.Builder, s Statement, signed []byte) {
	b.AddASN1Int64(1)
	b.AddASN1(asn.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddBytes(s.Certificate.RawIssuer)
		b.AddASN1BigInt(s.Certificate.SerialNumber)
	})
	algorithm(b, s.Digest)
	attributes := attributes(s, signed)
	b.AddASN1(tag(0), func(b *cryptobyte.Builder) { b.AddBytes(attributes) })
	algorithm(b, asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 2})
	set := build(func(b *cryptobyte.Builder) {
		b.AddASN1(asn.SET, func(b *cryptobyte.Builder) { b.AddBytes(attributes) })
	})
	sum := sha256.Sum256(set)
	signature, err := a.Key.Sign(rand.Reader, sum[:], crypto.SHA256)
	must(err)
	b.AddASN1OctetString(signature)
}

// attributes are in the order of DER: by their bytes, so by their lengths first.
func attributes(s Statement, signed []byte) []byte {
	one := func(oid asn1.ObjectIdentifier, value func(*cryptobyte.Builder)) []byte {
		return build(func(b *cryptobyte.Builder) {
			b.AddASN1(asn.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1ObjectIdentifier(oid)
				b.AddASN1(asn.SET, value)
			})
		})
	}
	sum, bound := sha256.Sum256(signed), sha256.Sum256(s.BoundTo.Raw)
	out := one(asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 3}, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 1, 4})
	})
	out = append(out, one(asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 4}, func(b *cryptobyte.Builder) { b.AddASN1OctetString(sum[:]) })...)
	if s.Unbound {
		return out
	}
	return append(out, one(asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 2, 47}, func(b *cryptobyte.Builder) {
		b.AddASN1(asn.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1(asn.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1(asn.SEQUENCE, func(b *cryptobyte.Builder) { b.AddASN1OctetString(bound[:]) })
			})
		})
	})...)
}

// Answer answers a query with a sound token.
func (a *Authority) Answer(query []byte) []byte { return a.AnswerAs(query, Statement{}) }

// AnswerAs answers a query with a token made from what the query asks for, and from s.
func (a *Authority) AnswerAs(query []byte, s Statement) []byte {
	a.mu.Lock()
	a.asked++
	a.mu.Unlock()
	in := cryptobyte.String(query)
	var q, imprint, hash, digest cryptobyte.String
	var version int
	if !in.ReadASN1(&q, asn.SEQUENCE) || !q.ReadASN1Integer(&version) || !q.ReadASN1(&imprint, asn.SEQUENCE) ||
		!imprint.ReadASN1(&hash, asn.SEQUENCE) || !imprint.ReadASN1(&digest, asn.OCTET_STRING) {
		return Refusal()
	}
	if s.Imprint == nil {
		s.Imprint = digest
	}
	if q.PeekASN1Tag(asn.OBJECT_IDENTIFIER) && !q.ReadASN1ObjectIdentifier(&s.Policy) {
		return Refusal()
	}
	if q.PeekASN1Tag(asn.INTEGER) && s.Nonce == nil {
		if s.Nonce = new(big.Int); !q.ReadASN1Integer(s.Nonce) {
			return Refusal()
		}
	}
	token := a.Token(s)
	return build(func(b *cryptobyte.Builder) {
		b.AddASN1(asn.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1(asn.SEQUENCE, func(b *cryptobyte.Builder) { b.AddASN1Int64(0) })
			b.AddBytes(token)
		})
	})
}

// Refusal is a response without a token.
func Refusal() []byte {
	return build(func(b *cryptobyte.Builder) {
		b.AddASN1(asn.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1(asn.SEQUENCE, func(b *cryptobyte.Builder) { b.AddASN1Int64(2) })
		})
	})
}

// Asked is how many queries the authority has answered.
func (a *Authority) Asked() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.asked
}

// ServeHTTP answers queries over HTTP (RFC 3161 §3.4).
func (a *Authority) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	query, err := io.ReadAll(io.LimitReader(r.Body, 1<<16))
	if err != nil || r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/timestamp-query" {
		http.Error(w, "a time-stamp query is wanted", http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/timestamp-reply")
	_, _ = w.Write(a.Answer(query))
}
