package certificate

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/proofs/rfc3161"
)

var (
	// ErrUnreadable: the file is not laid out as certificates are: it is cut off, damaged, or none.
	ErrUnreadable = errors.New("this cannot be read as a certificate of Muniment")
	// ErrTemplate: it is of a version of certificates that this program cannot print again.
	ErrTemplate = errors.New("this program does not know this version of certificates")
	// ErrSignature: the electronic signature does not hold.
	ErrSignature = errors.New("the certificate's electronic signature does not hold")
)

// A DifferenceError says where a certificate is not what its own receipt and inputs give.
type DifferenceError struct{ part part }

// Where names the part in words.
func (e *DifferenceError) Where(lang proofs.Language) string {
	if e.part.arg == nil {
		return e.part.name.in(lang)
	}
	return e.part.name.in(lang, e.part.arg)
}

func (e *DifferenceError) Error() string {
	return "the certificate was altered: " + e.Where(proofs.English) + " is not what the receipt in it gives"
}

// Signature is what is known of a certificate's electronic signature, which holds. Whether
// its certificate is to be trusted is not judged.
type Signature struct {
	Signed
	NotBefore time.Time `json:"not_before"`    // of its certificate
	NotAfter  time.Time `json:"not_after"`     // of its certificate
	Time      time.Time `json:"time,omitzero"` // of the time-stamp on it, by an authority that was brought
	Authority string    `json:"authority,omitempty"`

	value, token []byte
}

// Checked is a certificate that is, byte for byte, what its receipt and inputs give.
type Checked struct {
	Input
	Number    string
	Evidence  proofs.Evidence // under the policy that came with it
	Signature *Signature      // nil: it bears none
}

// Is reports whether a file says that it is a certificate of Muniment. A few bytes of that may
// have been altered, so that Check refuses it and nobody takes it for something else.
func Is(data []byte) bool {
	if len(data) < len(header) {
		return false
	}
	other := 0
	for i := range len(header) {
		if data[i] != header[i] {
			other++
		}
	}
	return other <= 3
}

// Check takes the files out of a certificate, prints it again from them, and compares every
// byte; of the signature's own bytes, that they are one over all others. What it returns is
// consistent in itself: under whose keys, a verifier with a policy of its own says of
// Input.Receipt. authorities are asked who dated the signature; nil: nobody is believed to have.
//
// All errors refuse the certificate but ErrTemplate, which decides nothing.
func Check(data []byte, authorities *rfc3161.Authorities) (*Checked, error) {
	in, err := extract(data)
	if err != nil {
		return nil, err
	}
	made, err := Make(in)
	wrong := new(inputError)
	switch {
	case errors.Is(err, ErrNotProved):
		return nil, err
	case errors.As(err, &wrong): // Make never wrote such a file
		return nil, embedded(wrong.file)
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrUnreadable, err)
	}
	if at := made.differs(data); at >= 0 {
		return nil, &DifferenceError{made.partAt(at)}
	}
	c := &Checked{Input: in, Number: made.Number, Evidence: made.proof.evidence}
	if made.signs {
		if c.Signature, err = made.signature(data, in, authorities); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// differs returns the first place where data is not what was made, the signature's value
// apart; -1: there is none.
func (c *Certificate) differs(data []byte) int {
	for i := range min(len(data), len(c.PDF)) {
		if value := c.signs && i > c.from && i < c.to-1; !value && data[i] != c.PDF[i] {
			return i
		}
	}
	if len(data) != len(c.PDF) {
		return min(len(data), len(c.PDF))
	}
	return -1
}

func (c *Certificate) partAt(at int) part {
	found := c.parts[0]
	for _, p := range c.parts {
		if p.from <= at {
			found = p
		}
	}
	return found
}

// signature checks the bytes of the signature.
func (c *Certificate) signature(data []byte, in Input, authorities *rfc3161.Authorities) (*Signature, error) {
	text := data[c.from+1 : c.to-1]
	if strings.Trim(string(text), "0123456789abcdef") != "" {
		return nil, fmt.Errorf("%w: it is not spelled in hexadecimal digits", ErrSignature)
	}
	raw := make([]byte, reserved)
	if _, err := hex.Decode(raw, text); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSignature, err)
	}
	der, ok := element(raw)
	if !ok || len(bytes.Trim(raw[len(der):], "\x00")) > 0 {
		return nil, fmt.Errorf("%w: %w", ErrSignature, errNoSignature)
	}
	m, err := parseMessage(der, c.digest(data))
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrSignature, err)
	case !m.holds():
		return nil, fmt.Errorf("%w: it is not over this file", ErrSignature)
	case *named(m) != *in.Signer:
		return nil, fmt.Errorf("%w: it is by another than the certificate names, or its time-stamp is not as it says", ErrSignature)
	}
	s := &Signature{Signed: *in.Signer, NotBefore: m.chain[0].NotBefore, NotAfter: m.chain[0].NotAfter, value: m.signature, token: m.token}
	if !s.Dated {
		return s, nil
	}
	return s, s.dated(in.Roots, authorities)
}

// named is the signer as the message gives it.
func named(m message) *Signed {
	by := signedBy(m.chain)
	by.Dated = m.token != nil
	return by
}

// dated holds the time-stamp against the roots that came with it, under which it must hold,
// and against the authorities that were brought, who alone say when it was.
func (s *Signature) dated(roots []byte, authorities *rfc3161.Authorities) error {
	parsed, err := rfc3161.ParseRoots(roots)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrSignature, err)
	}
	if _, outcome, reason := rfc3161.NewAuthorities(parsed).CheckTimestamp(s.token, s.value); outcome != proofs.Verified {
		return fmt.Errorf("%w: its time-stamp does not hold under the roots in the file: %s", ErrSignature, reason)
	}
	if authorities == nil {
		return nil
	}
	t, outcome, reason := authorities.CheckTimestamp(s.token, s.value)
	switch outcome {
	case proofs.Refused:
		return fmt.Errorf("%w: its time-stamp: %s", ErrSignature, reason)
	case proofs.Verified:
		s.Time, s.Authority = t.Time, t.Authority
	}
	return nil
}

// element is the DER element that data begins with.
func element(data []byte) ([]byte, bool) {
	if len(data) < 4 || data[0] != 0x30 || data[1] != 0x82 { // of 256 to 65,535 bytes, as all signatures are
		return nil, false
	}
	n := 4 + int(be.Uint16(data[2:]))
	return data[:min(n, len(data))], n <= len(data)
}

var (
	trailerForm = regexp.MustCompile(`\nstartxref\n([0-9]{1,10})\n%%EOF\n$`)
	streamForm  = regexp.MustCompile(`^[0-9]{1,5} 0 obj\n<</Type/EmbeddedFile[^\n]{0,200}/Length ([0-9]{1,9})>>\nstream\n`)
	specForm    = regexp.MustCompile(`^[0-9]{1,5} 0 obj\n<</Type/Filespec/F\(([a-z0-9.-]{1,40})\)`)
)

// maxObjects is more than any certificate has.
const maxObjects = 5000

// extract finds the embedded files by the table of objects. It reads no more of PDF than
// what certificates are made of: what it finds is believed because all of it is made again.
func extract(data []byte) (in Input, err error) {
	if !Is(data) || len(data) > MaxFile {
		return in, ErrUnreadable
	}
	offsets, ok := objects(data)
	if !ok {
		return in, fmt.Errorf("%w: its end is missing or damaged", ErrUnreadable)
	}
	files := map[string][]byte{}
	for i, at := range offsets {
		head := streamForm.FindSubmatch(data[at:min(at+400, len(data))])
		if head == nil || i+1 >= len(offsets) {
			continue
		}
		length, _ := strconv.Atoi(string(head[1]))
		from := at + len(head[0])
		spec := specForm.FindSubmatch(data[offsets[i+1]:min(offsets[i+1]+400, len(data))])
		if spec == nil || length > len(data)-from {
			return in, fmt.Errorf("%w: a file in it is damaged", ErrUnreadable)
		}
		if _, twice := files[string(spec[1])]; twice {
			return in, fmt.Errorf("%w: a file stands twice in it", ErrUnreadable)
		}
		files[string(spec[1])] = data[from : from+length : from+length]
	}
	issue, there := files[issueName]
	if !there {
		return in, fmt.Errorf("%w: %s is not in it", ErrUnreadable, issueName)
	}
	if in.Issue, err = parseIssue(issue); err != nil {
		return in, ofTemplate(issue)
	}
	in.Receipt, in.Policy, in.Roots, in.Facts, in.Logo = files[receiptName], files[policyName], files[rootsName], files[factsName], files[logoName]
	for name, content := range files {
		if strings.HasPrefix(name, documentName) {
			in.Document = content
		}
	}
	if in.Template != Template {
		return in, ofTemplate(issue)
	}
	return in, nil
}

// embedded names a file as what was altered.
func embedded(name string) error { return &DifferenceError{part{name: sayPartEmbedded, arg: name}} }

// ofTemplate says why certificate.json is not one that this program writes: another version
// does, or it was altered.
func ofTemplate(issue []byte) error {
	var told struct {
		Template int `json:"template"`
	}
	switch err := json.Unmarshal(issue, &told); {
	case err != nil || told.Template <= 0:
		return fmt.Errorf("%w: %s is damaged", ErrUnreadable, issueName)
	case told.Template != Template:
		return fmt.Errorf("%w: template %d", ErrTemplate, told.Template)
	}
	return embedded(issueName)
}

// objects returns where each object begins.
func objects(data []byte) ([]int, bool) {
	end := trailerForm.FindSubmatch(data[max(0, len(data)-64):])
	if end == nil {
		return nil, false
	}
	at, err := strconv.Atoi(string(end[1]))
	if err != nil || at >= len(data) {
		return nil, false
	}
	lines := strings.SplitN(string(data[at:min(len(data), at+20*maxObjects)]), "\n", maxObjects)
	if len(lines) < 4 || lines[0] != "xref" {
		return nil, false
	}
	var out []int
	for _, line := range lines[3:] {
		if !strings.HasSuffix(line, " 00000 n ") {
			break
		}
		offset, err := strconv.Atoi(strings.TrimSuffix(line, " 00000 n "))
		if err != nil || offset < 0 || offset >= len(data) {
			return nil, false
		}
		out = append(out, offset)
	}
	return out, true
}
