package proofs

import (
	"strconv"
	"strings"
	"time"
)

// A Fact is a line of Evidence for the expert, who compares it with other sources.
type Fact struct {
	Name  string   `json:"name"`
	Value string   `json:"value"`
	Kind  FactKind `json:"kind,omitempty"`
}

// A FactKind says what a Fact's value is, for those who show it in a form of their own.
type FactKind string

// The kinds; the zero FactKind is text.
const (
	FactDigest FactKind = "digest" // hex
	FactNumber FactKind = "number" // decimal
	FactTime   FactKind = "time"   // RFC 3339, UTC
)

// Facts lists what was found, name by name. Like the fields of Evidence, it holds only what
// has been verified, but for the digest of the document that was read and the policy's
// fingerprint.
func (e Evidence) Facts(lang Language) []Fact {
	rows := []Fact{}
	add := func(name phrase, kind FactKind, value string) {
		if value != "" {
			rows = append(rows, Fact{name.in(lang), value, kind})
		}
	}
	add(headDocumentDigest, FactDigest, e.DocumentSHA256)
	add(headDocumentSM3, FactDigest, e.DocumentSM3)
	if e.Level != "" && e.Digest() != e.DocumentSHA256 {
		add(headDigestOfReceipt, FactDigest, e.Digest())
	}
	add(headLog, "", e.Origin)
	if e.Level != "" {
		add(headEntryNumber, FactNumber, strconv.FormatUint(e.Index, 10))
		add(headTime, FactTime, FormatTime(e.Entry.Time))
		add(headLogSize, FactNumber, strconv.FormatUint(e.Size, 10))
	}
	add(headPolicy, FactDigest, e.Policy)
	add(headRule, "", e.Quorum.Rule(lang))
	if e.Level == "" {
		return rows
	}
	for _, s := range e.Signatures {
		head := headByLog
		if s.Role == "witness" {
			head = headByWitness
		}
		add(head, "", s.String())
	}
	if e.Entry.Kind == KindDeposit {
		add(headDepositor, "", e.Depositor.fact(lang))
	}
	inside, _ := e.DocumentSignatures()
	for _, s := range inside {
		add(headInside, "", s.fact(lang))
	}
	dated := func(head phrase, t Timestamp) {
		add(head, "", sayStampFact.in(lang, FormatTime(t.Time), t.Authority, t.Policy, t.Serial, t.Root, t.NotAfter.UTC().Format(time.RFC3339)))
	}
	for _, t := range e.Timestamps {
		dated(headStamp, t)
	}
	for _, t := range e.Renewals {
		dated(headRenewal, t)
	}
	if !e.Until.IsZero() {
		add(headUntil, FactTime, e.Until.UTC().Format(time.RFC3339))
	}
	return rows
}

// String names the signature's key as people compare it, by name and id, and when a witness
// made it.
func (s SignatureCheck) String() string {
	out := s.Name
	if s.Witness != "" && s.Witness != s.Name {
		out += " (" + s.Witness + ")"
	}
	if parts := strings.SplitN(s.Key, "+", 3); len(parts) == 3 {
		out += " [" + parts[1] + "]"
	}
	if !s.Time.IsZero() {
		out += " " + s.Time.UTC().Format(time.RFC3339)
	}
	return out
}

// fact is what became of the depositor's own signature.
func (d DepositorSignature) fact(lang Language) string {
	switch {
	case d.Check == DepositorValid:
		return factSignedBy.in(lang, d.Algorithm, d.Key)
	case len(d.Hidden) > 0:
		return factSignedHidden.in(lang, strings.Join(d.Hidden, comma(lang)))
	case d.Check == DepositorUnchecked:
		return factSignedOther.in(lang, d.Key)
	}
	return factNotSigned.in(lang)
}

// fact is what the depository states of an electronic signature inside the document.
func (s DocumentSignature) fact(lang Language) string {
	state, ok := map[string]phrase{"intact": factIntact, "altered": factAltered}[s.State]
	if !ok {
		state = factStrange
	}
	said := []string{state.in(lang)}
	add := func(p phrase, value string) {
		if value != "" {
			said = append(said, p.in(lang, value))
		}
	}
	separator, reason := "; ", "("+s.Reason+")"
	if lang == Chinese {
		separator, reason = "；", "（"+s.Reason+"）"
	}
	if s.Reason != "" {
		said = append(said, reason)
	}
	switch {
	case s.Whole:
		said = append(said, factInsideWhole.in(lang))
	case s.State == "intact":
		said = append(said, factInsidePart.in(lang, s.Covers))
	}
	add(factInsideBy, s.Subject)
	add(factInsideIssuer, s.Issuer)
	add(factInsideClaimed, s.Claimed)
	add(factInsideStamped, s.Stamped)
	if s.Trusted != nil && *s.Trusted {
		said = append(said, factInsideTrusted.in(lang))
	}
	return strings.Join(said, separator)
}
