package proofs

import (
	"crypto"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Bounds of a signed note. C2SP signed-note asks for at least 16 signatures.
const (
	maxNote       = 256 << 10
	maxSignatures = 64
)

// maxPOSIX is the last second of the year 9999: no witness signs later, and dates
// beyond it have no form in RFC 3339 or JSON.
const maxPOSIX = 253402300799

// Signature types of C2SP signed-note.
const (
	TypeEd25519          = 0x01 // a log's signature over the note's text
	TypeEd25519Cosigner  = 0x04 // a witness's cosignature/v1
	TypeMLDSA44Cosigner  = 0x06 // a cosignature with ML-DSA-44
	ed25519CosignatureV1 = 8 + ed25519.SignatureSize
)

// A Note is a C2SP signed note: a text and the signatures on it, none of them
// checked yet.
type Note struct {
	Text       string // with its final newline, without the blank line after it
	Signatures []Signature
}

// A Signature is one signature line of a note.
type Signature struct {
	Name  string
	KeyID uint32
	Bytes []byte // what follows the key id: the signature as its type defines it
}

const signaturePrefix = "— "

// ParseNote reads a signed note. Two signatures of one name and key id are refused.
func ParseNote(data []byte) (Note, error) {
	if len(data) > maxNote || !utf8.Valid(data) {
		return Note{}, malformed("note is too long or not UTF-8")
	}
	s := string(data)
	for i := 0; i < len(s); i++ {
		if s[i] < 0x20 && s[i] != '\n' {
			return Note{}, malformed("note holds a control character")
		}
	}
	cut := strings.LastIndex(s, "\n\n")
	if cut < 0 || !strings.HasSuffix(s, "\n") {
		return Note{}, malformed("note has no signatures")
	}
	n := Note{Text: s[:cut+1]}
	lines := strings.TrimSuffix(s[cut+2:], "\n")
	if strings.Count(lines, "\n") >= maxSignatures {
		return Note{}, malformed("note has more than %d signatures", maxSignatures)
	}
	for line := range strings.SplitSeq(lines, "\n") {
		sig, err := parseSignature(line)
		if err != nil {
			return Note{}, err
		}
		for _, other := range n.Signatures {
			if other.Name == sig.Name && other.KeyID == sig.KeyID {
				return Note{}, malformed("note is signed twice by one key")
			}
		}
		n.Signatures = append(n.Signatures, sig)
	}
	return n, nil
}

func parseSignature(line string) (Signature, error) {
	rest, ok := strings.CutPrefix(line, signaturePrefix)
	name, encoded, ok2 := strings.Cut(rest, " ")
	if !ok || !ok2 || !validKeyName(name) {
		return Signature{}, malformed("note has a line that is no signature")
	}
	b, err := decodeBase64(encoded)
	if err != nil || len(b) < 5 {
		return Signature{}, malformed("note has a signature that cannot be decoded")
	}
	return Signature{Name: name, KeyID: binary.BigEndian.Uint32(b), Bytes: b[4:]}, nil
}

func validKeyName(name string) bool {
	return name != "" && utf8.ValidString(name) && !strings.ContainsRune(name, '+') &&
		strings.IndexFunc(name, func(r rune) bool { return unicode.IsSpace(r) || r < 0x20 }) < 0
}

// String returns the signature's line, newline included.
func (s Signature) String() string {
	b := binary.BigEndian.AppendUint32(nil, s.KeyID)
	return signaturePrefix + s.Name + " " + base64.StdEncoding.EncodeToString(append(b, s.Bytes...)) + "\n"
}

// Marshal returns the note's bytes, the ones ParseNote reads.
func (n Note) Marshal() []byte {
	var b strings.Builder
	b.WriteString(n.Text)
	b.WriteByte('\n')
	for _, s := range n.Signatures {
		b.WriteString(s.String())
	}
	return []byte(b.String())
}

// A VerifierKey is a public key with the name it signs under: a C2SP vkey.
type VerifierKey struct {
	Name string
	ID   uint32
	Type byte
	Key  string // the public key's bytes
}

// keySizes are the bytes of a public key of each type whose key id is known.
var keySizes = map[byte]int{
	TypeEd25519: ed25519.PublicKeySize, TypeEd25519Cosigner: ed25519.PublicKeySize, TypeMLDSA44Cosigner: 1312,
}

// NewVerifierKey returns the vkey of a public key; keyType is TypeEd25519 for a log,
// and TypeEd25519Cosigner or TypeMLDSA44Cosigner for a witness.
func NewVerifierKey(name string, keyType byte, key []byte) (VerifierKey, error) {
	size, known := keySizes[keyType]
	if !known {
		return VerifierKey{}, malformed("key type is not one of Ed25519 or ML-DSA-44")
	}
	if !validKeyName(name) || len(key) != size {
		return VerifierKey{}, malformed("key name or key is not valid")
	}
	return VerifierKey{name, keyID(name, keyType, string(key)), keyType, string(key)}, nil
}

func keyID(name string, keyType byte, key string) uint32 {
	sum := sha256.Sum256([]byte(name + "\n" + string([]byte{keyType}) + key))
	return binary.BigEndian.Uint32(sum[:])
}

// ParseVerifierKey reads a vkey. Keys of a type this package does not know are
// read too, so that a policy may name them; they verify nothing.
func ParseVerifierKey(s string) (VerifierKey, error) {
	parts := strings.SplitN(s, "+", 3)
	if len(parts) != 3 || !validKeyName(parts[0]) {
		return VerifierKey{}, malformed("vkey is not name+id+key")
	}
	id, err := hex.DecodeString(parts[1])
	if err != nil || len(id) != 4 || hex.EncodeToString(id) != parts[1] {
		return VerifierKey{}, malformed("vkey id is not 8 lower-case hex digits")
	}
	b, err := decodeBase64(parts[2])
	if err != nil || len(b) < 2 {
		return VerifierKey{}, malformed("vkey's key cannot be decoded")
	}
	k := VerifierKey{Name: parts[0], ID: binary.BigEndian.Uint32(id), Type: b[0], Key: string(b[1:])}
	size, known := keySizes[k.Type]
	if known && (len(k.Key) != size || k.ID != keyID(k.Name, k.Type, k.Key)) {
		return VerifierKey{}, malformed("vkey's id is not the id of its name and key")
	}
	return k, nil
}

// String returns the vkey's text.
func (k VerifierKey) String() string {
	id := hex.EncodeToString(binary.BigEndian.AppendUint32(nil, k.ID))
	return k.Name + "+" + id + "+" + base64.StdEncoding.EncodeToString(append([]byte{k.Type}, k.Key...))
}

// signed reports whether s was made by k's name and id; whether it verifies is
// another matter.
func (k VerifierKey) signed(s Signature) bool {
	return s.Name == k.Name && s.KeyID == k.ID
}

// Verify reports whether s is k's signature on a note's text, and for a cosignature the
// POSIX time that it states. It knows the types of Ed25519; for others it is false.
func (k VerifierKey) Verify(text string, s Signature) (posix int64, ok bool) {
	if !k.signed(s) {
		return 0, false
	}
	posix, ok, _ = k.verify(text, s.Bytes)
	return posix, ok
}

// verify checks a signature that k made on a note's text. For a cosignature it
// returns the POSIX time the witness states. known is false when the key's
// algorithm is not one of this package's.
func (k VerifierKey) verify(text string, sig []byte) (posix int64, ok, known bool) {
	if k.Type != TypeEd25519 && k.Type != TypeEd25519Cosigner {
		return 0, false, false
	}
	// A key that no parser made may be of any length, and crypto/ed25519 panics.
	if len(k.Key) != ed25519.PublicKeySize {
		return 0, false, true
	}
	if k.Type == TypeEd25519 {
		return 0, len(sig) == ed25519.SignatureSize && ed25519.Verify([]byte(k.Key), []byte(text), sig), true
	}
	if len(sig) != ed25519CosignatureV1 || binary.BigEndian.Uint64(sig) > maxPOSIX {
		return 0, false, true
	}
	posix = int64(binary.BigEndian.Uint64(sig))
	return posix, ed25519.Verify([]byte(k.Key), cosigned(text, posix), sig[8:]), true
}

// cosigned is the message under a cosignature/v1 (C2SP tlog-cosignature).
func cosigned(text string, posix int64) []byte {
	return []byte("cosignature/v1\ntime " + strconv.FormatInt(posix, 10) + "\n" + text)
}

// Sign returns the log's Ed25519 signature on a note's text. The signature is
// checked under k before it is returned, so that a faulty signer is noticed here.
func (k VerifierKey) Sign(text string, signer crypto.Signer) (Signature, error) {
	if k.Type != TypeEd25519 {
		return Signature{}, errors.New("only an Ed25519 log key signs notes")
	}
	return k.sign(text, []byte(text), nil, signer)
}

// Cosign returns a witness's cosignature/v1 on a checkpoint's text, made at the
// given POSIX time, and checked like the one of Sign.
func (k VerifierKey) Cosign(text string, posix int64, signer crypto.Signer) (Signature, error) {
	if k.Type != TypeEd25519Cosigner || posix < 0 || posix > maxPOSIX {
		return Signature{}, errors.New("only an Ed25519 witness key cosigns, at a time from 1970 to 9999")
	}
	return k.sign(text, cosigned(text, posix), binary.BigEndian.AppendUint64(nil, uint64(posix)), signer)
}

func (k VerifierKey) sign(text string, message, prefix []byte, signer crypto.Signer) (Signature, error) {
	raw, err := signer.Sign(nil, message, crypto.Hash(0))
	if err != nil {
		return Signature{}, err
	}
	s := Signature{Name: k.Name, KeyID: k.ID, Bytes: append(prefix, raw...)}
	if _, ok, _ := k.verify(text, s.Bytes); !ok {
		return Signature{}, errors.New("the signer returned a signature that does not verify under " + k.Name)
	}
	return s, nil
}
