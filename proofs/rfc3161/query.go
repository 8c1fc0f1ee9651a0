package rfc3161

import (
	"crypto/sha256"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"strconv"
	"strings"

	"golang.org/x/crypto/cryptobyte"
	asn "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/muniment/muniment/proofs"
)

// MaxResponse is the most bytes of an authority's response that are read.
const MaxResponse = MaxToken + 4096

// A Query asks an authority for a token (RFC 3161 §2.4.1), its certificates included.
type Query struct {
	Message []byte   // what the token is to be over; the authority sees its SHA-256 alone
	Nonce   *big.Int // above zero, never used before: the answer must repeat it
	Policy  string   // OID of the rules to issue it under; empty: the authority's own
}

// Marshal returns the TimeStampReq in DER.
func (q Query) Marshal() ([]byte, error) {
	if q.Nonce == nil || q.Nonce.Sign() <= 0 {
		return nil, errors.New("a query needs a nonce above zero")
	}
	sum := sha256.Sum256(q.Message)
	b := cryptobyte.NewBuilder(nil)
	var policy asn1.ObjectIdentifier
	if q.Policy != "" {
		var err error
		if policy, err = ParseOID(q.Policy); err != nil {
			return nil, err
		}
	}
	b.AddASN1(asn.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(1)
		b.AddASN1(asn.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1(asn.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1ObjectIdentifier(oidSHA256)
				b.AddASN1NULL()
			})
			b.AddASN1OctetString(sum[:])
		})
		if policy != nil {
			b.AddASN1ObjectIdentifier(policy)
		}
		b.AddASN1BigInt(q.Nonce)
		b.AddASN1Boolean(true)
	})
	return b.Bytes()
}

// ParseOID reads an object identifier in dotted form.
func ParseOID(s string) (asn1.ObjectIdentifier, error) {
	var out asn1.ObjectIdentifier
	for part := range strings.SplitSeq(s, ".") {
		n, err := strconv.ParseUint(part, 10, 31)
		if err != nil || strconv.FormatUint(n, 10) != part || len(out) == 32 {
			return nil, fmt.Errorf("%q is no object identifier, as in 1.3.6.1.4.1.4146.2.3", s)
		}
		out = append(out, int(n))
	}
	if _, err := asn1.Marshal(out); err != nil {
		return nil, fmt.Errorf("%q is no object identifier, as in 1.3.6.1.4.1.4146.2.3", s)
	}
	return out, nil
}

// CheckResponse returns the token, in DER, of an authority's response in DER, if it
// answers the query and a verifier with these authorities would believe it.
func (a *Authorities) CheckResponse(q Query, response []byte) ([]byte, proofs.Timestamp, error) {
	der, err := parseResponse(response)
	if err != nil {
		return nil, proofs.Timestamp{}, err
	}
	t, err := parseToken(der)
	if err != nil {
		return nil, proofs.Timestamp{}, err
	}
	switch {
	case t.info.nonce == nil || t.info.nonce.Cmp(q.Nonce) != 0:
		return nil, proofs.Timestamp{}, errors.New("the token does not repeat the query's nonce: it answers another query")
	case q.Policy != "" && t.info.policy != q.Policy:
		return nil, proofs.Timestamp{}, errors.New("the token was issued under other rules than those asked for")
	}
	stamp, outcome, reason := a.CheckTimestamp(der, q.Message)
	switch outcome {
	case proofs.Verified:
		return der, stamp, nil
	case proofs.Refused:
		return nil, proofs.Timestamp{}, fmt.Errorf("the token does not hold: %s", reason)
	default:
		return nil, proofs.Timestamp{}, errors.New("the token's authority leads to none of the roots, was not entitled at its time, or signs in a way that is not accepted (ESSCertIDv2, SHA-256 or stronger, 2,048 bits)")
	}
}

// parseResponse reads a TimeStampResp (RFC 3161 §2.4.2) and returns its token.
func parseResponse(response []byte) ([]byte, error) {
	in := cryptobyte.String(response)
	var s, status, token cryptobyte.String
	var code int
	if len(response) > MaxResponse || !in.ReadASN1(&s, asn.SEQUENCE) || !in.Empty() ||
		!s.ReadASN1(&status, asn.SEQUENCE) || !status.ReadASN1Integer(&code) {
		return nil, errors.New("not a time-stamp response in DER")
	}
	if code != 0 && code != 1 { // granted, granted with modifications
		return nil, fmt.Errorf("the authority refused, with status %d", code)
	}
	if !s.ReadASN1Element(&token, asn.SEQUENCE) || !s.Empty() {
		return nil, errors.New("the time-stamp response has no token")
	}
	return token, nil
}
