package rfc3161

import (
	"crypto"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"time"

	"golang.org/x/crypto/cryptobyte"
	asn "golang.org/x/crypto/cryptobyte/asn1"
)

// MaxToken is the most bytes of a token that are read. With certificates up to the root a
// token has 2,000 to 8,000.
const MaxToken = 32 << 10

const (
	maxCertificates = 16
	maxAttributes   = 32
	maxSerial       = 21 // bytes: 160 bits and a sign
)

var (
	oidSignedData      = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2}
	oidTSTInfo         = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 1, 4}
	oidContentType     = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 3}
	oidMessageDigest   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 4}
	oidSigningCertV2   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 2, 47}
	oidSHA256          = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}
	oidSHA384          = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 2}
	oidSHA512          = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 3}
	oidExtKeyUsage     = asn1.ObjectIdentifier{2, 5, 29, 37}
	timeStampingAlone  = "\x30\x0a\x06\x08\x2b\x06\x01\x05\x05\x07\x03\x08" // SEQUENCE { id-kp-timeStamping }
	errMalformedToken  = errors.New("not a time-stamp token in DER")
	generalizedSeconds = "20060102150405"
)

// A token is a TimeStampToken taken apart; nothing of it has been checked.
type token struct {
	info         tstInfo
	content      []byte // the TSTInfo's DER
	certificates [][]byte
	signer       signerInfo
}

// tstInfo is RFC 3161 §2.4.2.
type tstInfo struct {
	policy   string
	hash     crypto.Hash // of the imprint; 0: not one of ours
	imprint  []byte
	serial   *big.Int
	time     time.Time
	accuracy time.Duration
	nonce    *big.Int // nil: none
	critical bool     // it has a critical extension, none of which is known here
}

// signerInfo is RFC 5652 §5.3.
type signerInfo struct {
	issuer, serial []byte // DER, or
	keyID          []byte
	digestID       asn1.ObjectIdentifier
	digest         crypto.Hash       // 0: not one of ours
	attributes     map[string][]byte // single values in DER, by OID
	signed         []byte            // the attributes' DER as it is signed
	algorithm      asn1.ObjectIdentifier
	signature      []byte
}

// hashes are the digests that are strong enough for evidence.
func hashOf(oid asn1.ObjectIdentifier) crypto.Hash {
	switch {
	case oid.Equal(oidSHA256):
		return crypto.SHA256
	case oid.Equal(oidSHA384):
		return crypto.SHA384
	case oid.Equal(oidSHA512):
		return crypto.SHA512
	}
	return 0
}

func malformed(what string) error { return fmt.Errorf("%w: %s", errMalformedToken, what) }

// parseToken reads a ContentInfo that holds the SignedData of a TSTInfo.
func parseToken(der []byte) (*token, error) {
	if len(der) > MaxToken {
		return nil, malformed("it is too long")
	}
	in := cryptobyte.String(der)
	var info, explicit, data cryptobyte.String
	var kind asn1.ObjectIdentifier
	if !in.ReadASN1(&info, asn.SEQUENCE) || !in.Empty() || !info.ReadASN1ObjectIdentifier(&kind) || !kind.Equal(oidSignedData) ||
		!info.ReadASN1(&explicit, context(0)) || !info.Empty() || !explicit.ReadASN1(&data, asn.SEQUENCE) || !explicit.Empty() {
		return nil, malformed("it is no CMS SignedData")
	}
	return parseSignedData(data)
}

func context(tag uint8) asn.Tag { return asn.Tag(tag).ContextSpecific().Constructed() }

func parseSignedData(data cryptobyte.String) (*token, error) {
	t := &token{}
	var version int
	var digests, encapsulated, explicit, content, signers cryptobyte.String
	var kind asn1.ObjectIdentifier
	if !data.ReadASN1Integer(&version) || version != 3 || !data.ReadASN1(&digests, asn.SET) {
		return nil, malformed("its version or digests")
	}
	var named []asn1.ObjectIdentifier
	for !digests.Empty() {
		oid, err := readAlgorithm(&digests)
		if err != nil {
			return nil, err
		}
		named = append(named, oid)
	}
	if !data.ReadASN1(&encapsulated, asn.SEQUENCE) || !encapsulated.ReadASN1ObjectIdentifier(&kind) || !kind.Equal(oidTSTInfo) ||
		!encapsulated.ReadASN1(&explicit, context(0)) || !encapsulated.Empty() ||
		!explicit.ReadASN1(&content, asn.OCTET_STRING) || !explicit.Empty() {
		return nil, malformed("its content is no TSTInfo")
	}
	t.content = content
	var certificates cryptobyte.String
	var has bool
	if !data.ReadOptionalASN1(&certificates, &has, context(0)) || !data.SkipOptionalASN1(context(1)) {
		return nil, malformed("its certificates or revocation lists")
	}
	for !certificates.Empty() {
		var c cryptobyte.String
		var tag asn.Tag
		if !certificates.ReadAnyASN1Element(&c, &tag) || len(t.certificates) == maxCertificates {
			return nil, malformed("its certificates")
		}
		if tag == asn.SEQUENCE { // the other kinds are of no use here
			t.certificates = append(t.certificates, c)
		}
	}
	var signer cryptobyte.String
	if !data.ReadASN1(&signers, asn.SET) || !data.Empty() || !signers.ReadASN1(&signer, asn.SEQUENCE) || !signers.Empty() {
		return nil, malformed("it has not exactly one signer")
	}
	var err error
	if t.signer, err = parseSigner(signer); err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(named, t.signer.digestID.Equal) {
		return nil, malformed("the signer's digest is not among its digests")
	}
	t.info, err = parseInfo(t.content)
	return t, err
}

// readAlgorithm reads an AlgorithmIdentifier. Parameters are of no meaning for any
// algorithm used here; those of others are not looked at.
func readAlgorithm(s *cryptobyte.String) (asn1.ObjectIdentifier, error) {
	var a, parameters cryptobyte.String
	var oid asn1.ObjectIdentifier
	var tag asn.Tag
	if !s.ReadASN1(&a, asn.SEQUENCE) || !a.ReadASN1ObjectIdentifier(&oid) ||
		!a.Empty() && !a.ReadAnyASN1Element(&parameters, &tag) || !a.Empty() {
		return nil, malformed("an algorithm")
	}
	return oid, nil
}

func parseSigner(s cryptobyte.String) (signerInfo, error) {
	var out signerInfo
	var version int
	if !s.ReadASN1Integer(&version) || version != 1 && version != 3 {
		return out, malformed("the signer's version")
	}
	if err := out.parseID(&s, version); err != nil {
		return out, err
	}
	var err error
	if out.digestID, err = readAlgorithm(&s); err != nil {
		return out, err
	}
	out.digest = hashOf(out.digestID)
	var attributes cryptobyte.String
	if !s.ReadASN1Element(&attributes, context(0)) {
		return out, malformed("the signer's attributes")
	}
	if out.attributes, err = parseAttributes(attributes); err != nil {
		return out, err
	}
	// RFC 5652 §5.4: signed as a SET, whatever tag they are sent with.
	out.signed = append([]byte{byte(asn.SET)}, attributes[1:]...)
	if out.algorithm, err = readAlgorithm(&s); err != nil {
		return out, err
	}
	var signature cryptobyte.String
	if !s.ReadASN1(&signature, asn.OCTET_STRING) || !s.SkipOptionalASN1(context(1)) || !s.Empty() {
		return out, malformed("the signature")
	}
	out.signature = signature
	return out, nil
}

// parseID reads who signed: issuer and serial number in version 1, a key's id in 3.
func (out *signerInfo) parseID(s *cryptobyte.String, version int) error {
	if version == 3 {
		var id cryptobyte.String
		if !s.ReadASN1(&id, asn.Tag(0).ContextSpecific()) {
			return malformed("the signer's key id")
		}
		out.keyID = id
		return nil
	}
	var sid, issuer, serial cryptobyte.String
	if !s.ReadASN1(&sid, asn.SEQUENCE) || !sid.ReadASN1Element(&issuer, asn.SEQUENCE) ||
		!sid.ReadASN1Element(&serial, asn.INTEGER) || !sid.Empty() {
		return malformed("the signer's issuer and serial number")
	}
	out.issuer, out.serial = issuer, serial
	return nil
}

// parseAttributes reads signed attributes: each once, each with one value.
func parseAttributes(element cryptobyte.String) (map[string][]byte, error) {
	var set cryptobyte.String
	if !element.ReadASN1(&set, context(0)) {
		return nil, malformed("the signer's attributes")
	}
	out := map[string][]byte{}
	for !set.Empty() {
		var attribute, values, value cryptobyte.String
		var oid asn1.ObjectIdentifier
		var tag asn.Tag
		if !set.ReadASN1(&attribute, asn.SEQUENCE) || !attribute.ReadASN1ObjectIdentifier(&oid) ||
			!attribute.ReadASN1(&values, asn.SET) || !attribute.Empty() ||
			!values.ReadAnyASN1Element(&value, &tag) || !values.Empty() || out[oid.String()] != nil || len(out) == maxAttributes {
			return nil, malformed("one of the signer's attributes")
		}
		out[oid.String()] = value
	}
	return out, nil
}

// parseInfo reads a TSTInfo.
func parseInfo(der []byte) (tstInfo, error) {
	var t tstInfo
	in := cryptobyte.String(der)
	var s, imprint, digest, serial, when cryptobyte.String
	var version int
	var policy asn1.ObjectIdentifier
	if !in.ReadASN1(&s, asn.SEQUENCE) || !in.Empty() || !s.ReadASN1Integer(&version) || version != 1 ||
		!s.ReadASN1ObjectIdentifier(&policy) || !s.ReadASN1(&imprint, asn.SEQUENCE) {
		return t, malformed("the TSTInfo's beginning")
	}
	t.policy = policy.String()
	algorithm, err := readAlgorithm(&imprint)
	if err != nil {
		return t, err
	}
	t.hash = hashOf(algorithm)
	if !imprint.ReadASN1(&digest, asn.OCTET_STRING) || !imprint.Empty() || t.hash != 0 && len(digest) != t.hash.Size() {
		return t, malformed("the imprint")
	}
	t.imprint = digest
	t.serial = new(big.Int)
	if !s.PeekASN1Tag(asn.INTEGER) || !s.ReadASN1Element(&serial, asn.INTEGER) || len(serial) > maxSerial+2 ||
		!serial.ReadASN1Integer(t.serial) {
		return t, malformed("the serial number")
	}
	if !s.ReadASN1(&when, asn.GeneralizedTime) {
		return t, malformed("the time")
	}
	if t.time, err = parseTime(string(when)); err != nil {
		return t, err
	}
	return t, t.parseRest(s)
}

// parseRest reads what a TSTInfo may have after its time.
func (t *tstInfo) parseRest(s cryptobyte.String) error {
	var accuracy, tsa, extensions cryptobyte.String
	var has bool
	if !s.ReadOptionalASN1(&accuracy, &has, asn.SEQUENCE) {
		return malformed("the accuracy")
	}
	if has {
		if err := t.parseAccuracy(accuracy); err != nil {
			return err
		}
	}
	if s.PeekASN1Tag(asn.BOOLEAN) { // ordering: DEFAULT FALSE is not written in DER, but authorities do
		var ordering bool
		if !s.ReadASN1Boolean(&ordering) {
			return malformed("the ordering")
		}
	}
	if s.PeekASN1Tag(asn.INTEGER) {
		t.nonce = new(big.Int)
		if !s.ReadASN1Integer(t.nonce) {
			return malformed("the nonce")
		}
	}
	if !s.ReadOptionalASN1(&tsa, &has, context(0)) || !s.ReadOptionalASN1(&extensions, &has, context(1)) || !s.Empty() {
		return malformed("the TSTInfo's end")
	}
	for !extensions.Empty() {
		var e, value cryptobyte.String
		var oid asn1.ObjectIdentifier
		var critical bool
		if !extensions.ReadASN1(&e, asn.SEQUENCE) || !e.ReadASN1ObjectIdentifier(&oid) ||
			e.PeekASN1Tag(asn.BOOLEAN) && !e.ReadASN1Boolean(&critical) ||
			!e.ReadASN1(&value, asn.OCTET_STRING) || !e.Empty() {
			return malformed("an extension")
		}
		t.critical = t.critical || critical
	}
	return nil
}

// parseAccuracy reads seconds, milliseconds and microseconds, each there or not.
func (t *tstInfo) parseAccuracy(s cryptobyte.String) error {
	if s.PeekASN1Tag(asn.INTEGER) {
		var seconds int64
		if !s.ReadASN1Integer(&seconds) || seconds < 0 || seconds > 1<<31 {
			return malformed("the accuracy's seconds")
		}
		t.accuracy = time.Duration(seconds) * time.Second
	}
	for tag, unit := range []time.Duration{time.Millisecond, time.Microsecond} {
		field := asn.Tag(tag).ContextSpecific()
		if !s.PeekASN1Tag(field) {
			continue
		}
		var n int64
		if !s.ReadASN1Int64WithTag(&n, field) || n < 1 || n > 999 {
			return malformed("a fraction of the accuracy")
		}
		t.accuracy += time.Duration(n) * unit
	}
	if !s.Empty() {
		return malformed("the accuracy")
	}
	return nil
}

// parseTime reads a GeneralizedTime in UTC with a fraction of up to nine digits, written
// as DER demands: no zero at its end.
func parseTime(s string) (time.Time, error) {
	t, err := time.Parse(generalizedSeconds+".999999999Z", s)
	if err != nil {
		return time.Time{}, malformed("the time")
	}
	if want := t.Format(generalizedSeconds + ".999999999Z"); want != s {
		return time.Time{}, malformed("the time is not written in the one form of DER")
	}
	return t, nil
}
