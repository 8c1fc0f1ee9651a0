package proofs

import "strconv"

// A DocumentSignature is what the depository states to have found of one electronic signature
// inside a PDF when it received it (SPEC.md §14). Texts are what the signer's certificate says.
type DocumentSignature struct {
	State  string `json:"state"` // intact, altered or not-understood
	Reason string `json:"reason,omitempty"`
	Kind   string `json:"kind,omitempty"`   // signature, or timestamp of the document
	Covers int64  `json:"covers,omitempty"` // bytes, from the first
	Whole  bool   `json:"whole,omitempty"`  // nothing was added afterwards

	Algorithm   string `json:"algorithm,omitempty"`
	Subject     string `json:"subject,omitempty"`
	Issuer      string `json:"issuer,omitempty"`
	Serial      string `json:"serial,omitempty"`
	Certificate string `json:"certificate,omitempty"` // hex SHA-256
	From        string `json:"from,omitempty"`
	Until       string `json:"until,omitempty"`
	Claimed     string `json:"claimed,omitempty"` // when the signer says it signed
	Stamp       string `json:"stamp,omitempty"`   // state of a time-stamp on the signature
	Stamped     string `json:"stamped,omitempty"`
	// Trusted: the depository found a chain to an authority that it was configured to believe;
	// nil: it did not judge.
	Trusted *bool `json:"trusted,omitempty"`
}

// DocumentSignatures returns what the depository states of electronic signatures inside the
// document, and whether the receipt shows such a statement at all. Keys that are not known here
// are passed over.
func (e Evidence) DocumentSignatures() (found []DocumentSignature, stated bool) {
	v, _ := e.Record.Get("content.signatures")
	p := parser{in: v.json}
	if !p.take('[') || p.list(func() error {
		fields, values, err := p.fields(1)
		if err != nil {
			return err
		}
		var s DocumentSignature
		for _, f := range fields {
			s.set(f.name, Value{string(values[f.start:f.end])})
		}
		found = append(found, s)
		return nil
	})() != nil {
		return nil, false
	}
	return found, true
}

func (s *DocumentSignature) set(name string, v Value) {
	texts := map[string]*string{
		"state": &s.State, "reason": &s.Reason, "kind": &s.Kind, "algorithm": &s.Algorithm, "subject": &s.Subject, "issuer": &s.Issuer,
		"serial": &s.Serial, "certificate": &s.Certificate, "from": &s.From, "until": &s.Until, "claimed": &s.Claimed, "stamp": &s.Stamp, "stamped": &s.Stamped,
	}
	if to, ok := texts[name]; ok {
		*to, _ = v.Text()
		return
	}
	switch b, ok := v.Boolean(); {
	case name == "covers":
		s.Covers, _ = v.Integer()
	case name == "whole":
		s.Whole = ok && b
	case name == "trusted" && ok:
		s.Trusted = &b
	}
}

// explainDocumentSignatures says what the depository states of signatures inside a PDF; of
// other documents, nothing.
func (e Evidence) explainDocumentSignatures(lang Language, proved, open func(phrase, ...any)) {
	if v, ok := e.Record.Get("content.signatures.unexamined"); ok {
		if why, _ := v.Text(); why != "" {
			open(sayUnexamined)
		}
		return
	}
	found, stated := e.DocumentSignatures()
	switch {
	case !stated:
		return
	case len(found) == 0:
		proved(sayNoneInside)
		return
	}
	count := map[string]int{}
	whole, judged := 0, true
	for _, s := range found {
		count[s.State]++
		if s.State == "intact" {
			judged = judged && s.Trusted != nil && *s.Trusted
			if s.Whole {
				whole++
			}
		}
	}
	say := func(p phrase, n int) string { return p.in(lang, strconv.Itoa(n)) }
	proved(sayInside, say(sayIntact, count["intact"])+comma(lang)+say(sayAltered, count["altered"])+comma(lang)+say(sayStrange, count["not-understood"]))
	if count["intact"] > 0 && whole == 0 {
		proved(sayAddedTo)
	}
	if !judged {
		open(sayUnjudged)
	}
}
