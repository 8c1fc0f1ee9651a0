package notary

import (
	"fmt"
	"mime"
	"regexp"
	"slices"
	"strings"

	"github.com/muniment/muniment/proofs"
)

// Checks are one tenant's own rules for what it deposits, judged before anything is kept.
type Checks struct {
	// Require are members that each deposit must have, such as provenance.system.
	Require []string
	// Types are the media types that content.type may be, without parameters; empty: any, or
	// none.
	Types []string
	// MaxSize bounds a document, in bytes, also one that stays with the depositor and says its
	// content.size; 0: no bound.
	MaxSize int64
	// Contract is what a contract.number must match as a whole; nil: anything.
	Contract *regexp.Regexp
	// SigningKeys are the fingerprints of the keys that the tenant signs deposits with; a
	// signature by another is refused, and records name these as registered. Empty: any key.
	SigningKeys []string
	// Signature is what is demanded of electronic signatures inside documents; empty: nothing.
	Signature SignatureRule
	// Content is whether the original must come, or must stay; empty: either.
	Content Content
}

// Content says what a tenant deposits.
type Content string

// The original must come, or its digest alone.
const (
	ContentOriginal Content = "original"
	ContentDigest   Content = "digest"
)

// CheckCode says which of a tenant's rules a deposit breaks. It never changes its meaning.
type CheckCode string

// The codes.
const (
	CheckMember   CheckCode = "member-required"
	CheckType     CheckCode = "type-not-allowed"
	CheckSize     CheckCode = "size-over-limit"
	CheckContract CheckCode = "contract-number-form"
	CheckOriginal CheckCode = "original-required"
	CheckKeep     CheckCode = "digest-only"
	CheckSigner   CheckCode = "signing-key-unknown"
	CheckUnsigned CheckCode = "signature-missing"
	CheckAltered  CheckCode = "signature-altered"
)

// CheckError refuses a deposit by a rule of its tenant's. Nothing was kept.
type CheckError struct {
	Code   CheckCode
	Member string // at fault; empty when it is the whole
	Reason string
}

func (e *CheckError) Error() string { return e.Reason }

// claims judges what a deposit says of itself; held is whether its document comes along.
func (c Checks) claims(claims proofs.Record, held bool) error {
	text := func(name string) string {
		v, _ := claims.Get(name)
		s, _ := v.Text()
		return s
	}
	switch {
	case c.Signature != "" && !held:
		return &CheckError{CheckUnsigned, "", "by your rules the document carries an electronic signature, so it is deposited itself, and not its digest alone"}
	case c.Content == ContentOriginal && !held:
		return &CheckError{CheckOriginal, "", "by your rules the document itself is deposited, and not its digest alone"}
	case c.Content == ContentDigest && held:
		return &CheckError{CheckKeep, "", "by your rules the document stays with you: deposit its digest alone"}
	}
	for _, name := range c.Require {
		if _, there := claims.Get(name); !there {
			return &CheckError{CheckMember, name, fmt.Sprintf("by your rules %s is required", name)}
		}
	}
	if _, signed := claims.Get("depositor.key"); signed && len(c.SigningKeys) > 0 && !c.registered(claims) {
		return &CheckError{CheckSigner, "depositor.key", "by your rules a deposit is signed with a key that you have registered"}
	}
	if len(c.Types) > 0 {
		kind, _, err := mime.ParseMediaType(text("content.type"))
		if err != nil || !slices.Contains(c.Types, kind) {
			return &CheckError{CheckType, "content.type", fmt.Sprintf("by your rules content.type is one of %q", c.Types)}
		}
	}
	if number := text("contract.number"); c.Contract != nil && number != "" && !c.Contract.MatchString(number) {
		return &CheckError{CheckContract, "contract.number", fmt.Sprintf("by your rules contract.number matches %s", c.Contract)}
	}
	if v, ok := claims.Get("content.size"); ok {
		if n, _ := v.Integer(); c.MaxSize > 0 && n > c.MaxSize {
			return c.tooLarge()
		}
	}
	return nil
}

func (c Checks) tooLarge() error {
	return &CheckError{CheckSize, "content.size", fmt.Sprintf("by your rules a document has at most %d bytes", c.MaxSize)}
}

// CheckNames refuses rules that no deposit could be judged by.
func (c Checks) CheckNames() error {
	for _, name := range c.Require {
		if _, known := proofs.NameType(name); !known || !callerMaySet(name) {
			return fmt.Errorf("%s is no member that a caller may set", name)
		}
	}
	for _, k := range c.SigningKeys {
		if len(k) != 64 || strings.Trim(k, "0123456789abcdef") != "" {
			return fmt.Errorf("%q is no fingerprint of a key: 64 lower-case hex digits", k)
		}
	}
	for _, t := range c.Types {
		if kind, rest, err := mime.ParseMediaType(t); err != nil || kind != t || len(rest) > 0 {
			return fmt.Errorf("%q is no media type such as application/pdf", t)
		}
	}
	return nil
}
