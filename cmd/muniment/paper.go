package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"slices"
	"time"

	"github.com/muniment/muniment/notary/certificate"
	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/proofs/rfc3161"
)

// A certificate is checked in two halves: that it is, byte for byte, what its own receipt
// gives, and that this receipt satisfies the verifier's policy.

// paper is what is said of a certificate beside its receipt. As JSON its names are stable.
type paper struct {
	Number    string                 `json:"number"`
	Issued    time.Time              `json:"issued"`
	Policy    string                 `json:"policy"` // fingerprint of the one that it was made under
	Signature *certificate.Signature `json:"signature,omitempty"`
}

// isCertificate reports whether a file says that it is a certificate.
func isCertificate(path string) bool {
	if checkFile(path) != nil {
		return false
	}
	head, err := readBounded(path, 100)
	return err == nil && certificate.Is(head)
}

// paper checks a certificate's file; file is a document beside it, or empty for the one that
// is embedded, if any.
func (v *verification) paper(file, path string) (report, error) {
	data, err := readBounded(path, certificate.MaxFile)
	if err != nil {
		return report{}, sayReceiptUnreadable.err(err)
	}
	checked, err := certificate.Check(data, v.authorities)
	if err != nil {
		return report{}, unpaper(err)
	}
	receipt, err := proofs.ParseReceipt(checked.Receipt)
	if err != nil {
		return report{}, sayPaperUnreadable.err()
	}
	r, err := v.aboutPaper(file, path, receipt, checked)
	if err != nil || r.evidence.Outcome() == proofs.Refused || r.evidence.Level == "" {
		return r, err
	}
	if err := v.sheet(checked); err != nil {
		return r, err
	}
	r.say(checked, v.screen.lang)
	return r, nil
}

// aboutPaper judges the receipt, with the document at hand or the one embedded.
func (v *verification) aboutPaper(file, path string, receipt proofs.Receipt, checked *certificate.Checked) (report, error) {
	if file != "" || checked.Document == nil {
		return v.check(file, path, receipt)
	}
	e, err := v.judge(receipt, bytes.NewReader(checked.Document))
	if err != nil {
		return report{}, err
	}
	return newReport(e, "", path, v.screen.lang), nil
}

// sheet judges the fact sheet that came along.
func (v *verification) sheet(checked *certificate.Checked) error {
	if checked.Facts == nil {
		return nil
	}
	r, err := proofs.ParseReceipt(checked.Facts)
	if err != nil {
		return sayPaperFacts.refusal()
	}
	if e, err := v.verifier.Verify(r, nil); err != nil || e.Outcome() == proofs.Refused {
		return errors.Join(sayPaperFacts.refusal(), err)
	}
	return nil
}

// say adds what is known of the paper.
func (r *report) say(c *certificate.Checked, lang proofs.Language) {
	r.Proved, r.NotProved = slices.Clone(r.Proved), slices.Clone(r.NotProved)
	proved := func(p phrase, args ...any) { r.Proved = append(r.Proved, p.in(lang, args...)) }
	open := func(p phrase, args ...any) { r.NotProved = append(r.NotProved, p.in(lang, args...)) }
	made := c.Evidence.Policy
	r.Certificate = &paper{Number: c.Number, Issued: c.Issued, Policy: made, Signature: c.Signature}
	proved(sayPaperSame, c.Number)
	if s := c.Signature; s == nil {
		open(sayPaperUnsigned)
	} else {
		proved(sayPaperWhole, s.Subject)
		if s.Authority != "" {
			proved(sayPaperDated, proofs.FormatTime(s.Time), s.Authority)
		} else {
			open(sayPaperUndated)
		}
		open(sayPaperSigner, s.Issuer)
	}
	open(sayPaperSays)
	if made != r.Policy {
		open(sayPaperPolicy, made)
	}
}

// unpaper says what is wrong with a certificate.
func unpaper(err error) error {
	different, unproved := new(certificate.DifferenceError), new(certificate.NotProvedError)
	switch {
	case errors.As(err, &different):
		return sayPaperAltered.refusal(phrase{different.Where(proofs.English), different.Where(proofs.Chinese)})
	case errors.As(err, &unproved) && unproved.Reason == proofs.ReasonDocument:
		return sayPaperDocument.refusal()
	case errors.As(err, &unproved):
		return sayPaperUnproved.refusal(string(unproved.Reason))
	case errors.Is(err, certificate.ErrSignature):
		return sayPaperSignature.refusal()
	case errors.Is(err, certificate.ErrTemplate):
		return sayPaperTemplate.err()
	}
	return sayPaperUnreadable.err()
}

// judge is what the verifier says, with the evidence record if there is one.
func (v *verification) judge(r proofs.Receipt, document io.Reader) (proofs.Evidence, error) {
	if v.record != nil {
		return v.verifier.VerifyRecord(r, *v.record, time.Now(), document)
	}
	return v.verifier.Verify(r, document)
}

// authorities are those of the file of roots; nil without one.
func authorities(path string) (*rfc3161.Authorities, error) {
	if path == "" {
		return nil, nil
	}
	data, err := readBounded(path, maxPolicy)
	if err != nil {
		return nil, sayRootsUnreadable.err(err)
	}
	roots, err := rfc3161.ParseRoots(data)
	if err != nil {
		return nil, sayNoRoots.err(path, err)
	}
	return rfc3161.NewAuthorities(roots), nil
}

// refusedPaper is the report of a certificate that must not be relied on.
func refusedPaper(path string, err error, policy string, lang proofs.Language) report {
	return report{
		Outcome: proofs.Refused.String(), Document: proofs.DocumentUnchecked, Receipt: path, Policy: policy,
		Explanation: proofs.Explanation{Verdict: sayRefusedPaper.in(lang, err), Proved: []string{}, NotProved: []string{}},
	}
}

// lonePaper reports whether path is a certificate, and not a document with a receipt of its
// own beside it.
func lonePaper(path string) bool {
	_, err := os.Stat(path + receiptSuffix)
	return err != nil && isCertificate(path)
}
