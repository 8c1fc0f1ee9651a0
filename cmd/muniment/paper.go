package main

import (
	"bytes"
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
		return report{}, unpaper(err)
	}
	r, err := v.aboutPaper(file, path, receipt, checked)
	if err != nil || r.evidence.Outcome() == proofs.Refused || r.evidence.Level == "" {
		return r, err
	}
	if err := checked.CheckFacts(v.verifier); err != nil {
		return r, unpaper(err)
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

// say adds what is known of the paper.
func (r *report) say(c *certificate.Checked, lang proofs.Language) {
	proved, open := c.Explain(lang, r.Policy)
	r.Proved, r.NotProved = append(slices.Clone(r.Proved), proved...), append(slices.Clone(r.NotProved), open...)
	r.Certificate = &paper{Number: c.Number, Issued: c.Issued, Policy: c.Evidence.Policy, Signature: c.Signature}
}

// unpaper says what is wrong with a certificate.
func unpaper(err error) error {
	en, refused := certificate.Say(err, proofs.English)
	zh, _ := certificate.Say(err, proofs.Chinese)
	if refused {
		return sayPaper.refusal(phrase{en, zh})
	}
	return sayPaper.err(phrase{en, zh})
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
		Explanation: proofs.Explanation{Verdict: certificate.Refusal(explain(err, lang), lang), Proved: []string{}, NotProved: []string{}},
	}
}

// lonePaper reports whether path is a certificate, and not a document with a receipt of its
// own beside it.
func lonePaper(path string) bool {
	_, err := os.Stat(path + receiptSuffix)
	return err != nil && isCertificate(path)
}
