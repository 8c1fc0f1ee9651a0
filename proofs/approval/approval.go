// Package approval is what several people sign before an operator does something that cannot
// be undone: the text of a C2SP signed note that says what is to be done, to which log, at
// which state of it, once, and until when.
package approval

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/muniment/muniment/proofs"
)

const (
	header = "muniment/approval@v1"
	// MaxApprovers bounds the keys of a list.
	MaxApprovers = 32
	// MaxValid is the longest time from a request to its expiry.
	MaxValid = 7 * 24 * time.Hour

	maxParameters = 40
	maxValue      = 4096 // bytes
	maxFile       = 64 << 10
	nonceSize     = 16
)

var (
	// ErrMalformed: this is no request, or not as it would be written.
	ErrMalformed = errors.New("this is no request for an approval")
	// ErrQuorum: too few of the approvers have signed.
	ErrQuorum = errors.New("too few approvers have signed")
	// ErrExpired: the time of the request is over.
	ErrExpired = errors.New("the request has expired")
	// ErrOther: what was approved is something else.
	ErrOther = errors.New("something else was approved")
)

// Parameter is one thing that the operation is told.
type Parameter struct{ Name, Value string }

// Request is what is to be approved.
type Request struct {
	Operation  string // as in key-rotate-begin
	Origin     string // of the log
	Size       uint64 // of the log when it was asked for
	Root       proofs.Hash
	Parameters []Parameter // ascending by name
	Nonce      string      // 32 hex digits
	Expires    time.Time   // whole milliseconds
}

// New returns a request with a nonce of its own.
func New(operation, origin string, size uint64, root proofs.Hash, parameters map[string]string, expires time.Time) Request {
	r := Request{Operation: operation, Origin: origin, Size: size, Root: root, Expires: expires.UTC().Truncate(time.Millisecond)}
	for name, value := range parameters {
		r.Parameters = append(r.Parameters, Parameter{name, value})
	}
	slices.SortFunc(r.Parameters, func(a, b Parameter) int { return strings.Compare(a.Name, b.Name) })
	var nonce [nonceSize]byte
	rand.Read(nonce[:]) // never fails
	r.Nonce = hex.EncodeToString(nonce[:])
	return r
}

// Text is what is signed.
func (r Request) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\noperation %s\norigin %s\nsize %d\nroot %s\n", header, r.Operation, r.Origin, r.Size, r.Root)
	for _, p := range r.Parameters {
		fmt.Fprintf(&b, "parameter %s %s\n", p.Name, p.Value)
	}
	fmt.Fprintf(&b, "nonce %s\nexpires %s\n", r.Nonce, proofs.FormatTime(r.Expires))
	return b.String()
}

// Parse reads what Text writes, and nothing else.
func Parse(text string) (Request, error) {
	var r Request
	var seen []string
	body, ok := strings.CutPrefix(text, header+"\n")
	if !ok || len(text) > maxFile {
		return r, ErrMalformed
	}
	for line := range strings.Lines(body) {
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		var err error
		switch name {
		case "operation":
			r.Operation = value
		case "origin":
			r.Origin = value
		case "size":
			r.Size, err = strconv.ParseUint(value, 10, 63)
		case "root":
			r.Root, err = proofs.ParseHash(value)
		case "parameter":
			p := Parameter{}
			p.Name, p.Value, _ = strings.Cut(value, " ")
			if n := len(r.Parameters); n > 0 && r.Parameters[n-1].Name >= p.Name || n >= maxParameters || !word(p.Name) || !printable(p.Value) {
				return r, ErrMalformed
			}
			r.Parameters = append(r.Parameters, p)
		case "nonce":
			r.Nonce = value
		case "expires":
			r.Expires, err = proofs.ParseTime(value)
		default:
			return r, ErrMalformed
		}
		if err != nil || name != "parameter" && slices.Contains(seen, name) {
			return r, ErrMalformed
		}
		seen = append(seen, name)
	}
	nonce, err := hex.DecodeString(r.Nonce)
	if _, bad := proofs.ParseOrigin(r.Origin); err != nil || bad != nil || len(nonce) != nonceSize || !word(r.Operation) || r.Text() != text {
		return Request{}, ErrMalformed
	}
	return r, nil
}

// word reports whether s is 1 to 64 of a-z, 0-9, "-" and ".".
func word(s string) bool {
	return s != "" && len(s) <= 64 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-.") == ""
}

// printable reports whether a value is one line that cannot steer a terminal.
func printable(s string) bool {
	return s != "" && len(s) <= maxValue && strings.IndexFunc(s, func(c rune) bool { return !strconv.IsPrint(c) }) < 0
}

// Same reports whether what was approved is this operation on this log with these parameters.
func (r Request) Same(o Request) bool {
	return r.Operation == o.Operation && r.Origin == o.Origin && slices.Equal(r.Parameters, o.Parameters)
}

// Open reads a request, signed by some or by nobody yet.
func Open(data []byte) (Request, proofs.Note, error) {
	if len(data) > maxFile {
		return Request{}, proofs.Note{}, ErrMalformed
	}
	n, err := proofs.ParseNote(data)
	if err != nil {
		n = proofs.Note{Text: string(data)}
	}
	r, err := Parse(n.Text)
	return r, n, err
}

// Join puts the signatures of several copies of one request together, each once, in the
// order of names: the same people make the same bytes.
func Join(notes ...proofs.Note) (proofs.Note, error) {
	var out proofs.Note
	for i, n := range notes {
		if i > 0 && n.Text != out.Text {
			return out, fmt.Errorf("%w: the files are of two requests", ErrOther)
		}
		out.Text = n.Text
		for _, s := range n.Signatures {
			if !slices.ContainsFunc(out.Signatures, func(o proofs.Signature) bool { return o.String() == s.String() }) {
				out.Signatures = append(out.Signatures, s)
			}
		}
	}
	slices.SortFunc(out.Signatures, func(a, b proofs.Signature) int { return strings.Compare(a.String(), b.String()) })
	return out, nil
}

// Approvers are those who may approve, and how many of them must.
type Approvers struct {
	Quorum int
	Keys   []proofs.VerifierKey // Ed25519, each once, in the order of names
}

// NewApprovers checks a list: names and keys each stand once, and the quorum can be met.
func NewApprovers(quorum int, keys ...proofs.VerifierKey) (Approvers, error) {
	a := Approvers{quorum, slices.Clone(keys)}
	slices.SortFunc(a.Keys, func(a, b proofs.VerifierKey) int { return strings.Compare(a.Name, b.Name) })
	for i, k := range a.Keys {
		if k.Type != proofs.TypeEd25519 || !word(k.Name) {
			return a, fmt.Errorf("the approver %q: a key is an Ed25519 vkey, and its name 1 to 64 of a-z, 0-9, dot and hyphen", k.Name)
		}
		for _, o := range a.Keys[:i] {
			if o.Name == k.Name || o.Key == k.Key {
				return a, fmt.Errorf("the approvers %s and %s have one name or one key: each counts once", o.Name, k.Name)
			}
		}
	}
	if len(a.Keys) > MaxApprovers || quorum < 1 || quorum > len(a.Keys) {
		return a, fmt.Errorf("a quorum of %d of %d approvers: it is 1 to all of them, and they are %d at most", quorum, len(a.Keys), MaxApprovers)
	}
	return a, nil
}

// String is the file that ParseApprovers reads: a line of the quorum, and one of each vkey.
func (a Approvers) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "quorum %d\n", a.Quorum)
	for _, k := range a.Keys {
		fmt.Fprintln(&b, k)
	}
	return b.String()
}

// ParseApprovers reads what Approvers.String writes, and nothing else.
func ParseApprovers(text string) (Approvers, error) {
	first, rest, _ := strings.Cut(text, "\n")
	quorum, err := strconv.Atoi(strings.TrimPrefix(first, "quorum "))
	if err != nil {
		return Approvers{}, errors.New("a list of approvers begins with a line such as: quorum 2")
	}
	var keys []proofs.VerifierKey
	for line := range strings.Lines(rest) {
		k, err := proofs.ParseVerifierKey(strings.TrimSuffix(line, "\n"))
		if err != nil {
			return Approvers{}, err
		}
		keys = append(keys, k)
	}
	a, err := NewApprovers(quorum, keys...)
	if err == nil && a.String() != text {
		err = errors.New("the list of approvers is not as it would be written")
	}
	return a, err
}

// Check returns who of the approvers has signed a note, or ErrQuorum where those are too
// few. What others have signed is passed over; a signature that does not hold is an error.
func (a Approvers) Check(n proofs.Note) (names []string, err error) {
	for _, k := range a.Keys {
		for _, s := range n.Signatures {
			if s.Name != k.Name || s.KeyID != k.ID {
				continue
			}
			if _, ok := k.Verify(n.Text, s); !ok {
				return nil, fmt.Errorf("%w: the signature of %s is not on this text", ErrQuorum, k.Name)
			}
			names = append(names, k.Name)
			break
		}
	}
	if len(names) < a.Quorum {
		return names, fmt.Errorf("%w: %d of %d, and %d must", ErrQuorum, len(names), len(a.Keys), a.Quorum)
	}
	return names, nil
}

// Signer is an approver's own key.
type Signer struct {
	proofs.VerifierKey
	private ed25519.PrivateKey
}

const privatePrefix = "PRIVATE+KEY+"

// NewSigner makes a key under a name.
func NewSigner(name string) (Signer, error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return Signer{}, err
	}
	k, err := proofs.NewVerifierKey(name, proofs.TypeEd25519, public)
	if err == nil {
		_, err = NewApprovers(1, k)
	}
	return Signer{k, private}, err
}

// Private is the private key as signed-note tools write it:
// PRIVATE+KEY+name+id+base64(type, seed).
func (s Signer) Private() string {
	id := strings.Split(s.String(), "+")[1]
	return privatePrefix + s.Name + "+" + id + "+" + base64.StdEncoding.EncodeToString(append([]byte{proofs.TypeEd25519}, s.private.Seed()...))
}

// ParseSigner reads what Signer.Private writes.
func ParseSigner(text string) (Signer, error) {
	wrong := errors.New("this is no private key of an approver")
	rest, ok := strings.CutPrefix(strings.TrimSuffix(text, "\n"), privatePrefix)
	parts := strings.SplitN(rest, "+", 3)
	if !ok || len(parts) != 3 {
		return Signer{}, wrong
	}
	b, err := base64.StdEncoding.DecodeString(parts[2])
	if err != nil || len(b) != 1+ed25519.SeedSize || b[0] != proofs.TypeEd25519 {
		return Signer{}, wrong
	}
	private := ed25519.NewKeyFromSeed(b[1:])
	k, err := proofs.NewVerifierKey(parts[0], proofs.TypeEd25519, private.Public().(ed25519.PublicKey))
	s := Signer{k, private}
	if err != nil || s.Private() != strings.TrimSuffix(text, "\n") {
		return Signer{}, wrong
	}
	return s, nil
}

// Sign adds the approver's signature to a request.
func (s Signer) Sign(n proofs.Note) (proofs.Note, error) {
	signature, err := s.VerifierKey.Sign(n.Text, s.private)
	if err != nil {
		return n, err
	}
	return Join(n, proofs.Note{Text: n.Text, Signatures: []proofs.Signature{signature}})
}
