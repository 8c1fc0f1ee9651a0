package bundle

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/muniment/muniment/proofs"
)

// certificate judges the certificate of a deposit of which e is known. nil: there is none that
// holds, and what is wrong was told.
func (c *checking) certificate(l Line, e proofs.Evidence) (*Paper, error) {
	f, there := c.files[l.Certificate]
	if !there { // told already
		return nil, nil
	}
	if c.judge.Certificate == nil {
		c.report.Unchecked = append(c.report.Unchecked, l.Certificate)
		return nil, nil
	}
	data, err := c.whole(f)
	if err != nil {
		if !damaged(err) {
			return nil, fmt.Errorf("%s: %w", l.Certificate, err)
		}
		if errors.Is(err, errLonger) {
			c.find(FileDamaged, l.Certificate)
		}
		return nil, nil // else told already, with its digest
	}
	paper := c.judge.Certificate(data)
	switch {
	case paper.Unknown:
		c.report.Unchecked = append(c.report.Unchecked, l.Certificate)
	case paper.Refused != nil:
		c.report.Findings = append(c.report.Findings, Finding{What: CertificateRefused, File: l.Certificate, says: paper.Refused})
	case e.Level != "" && c.about(l, e, paper):
		return &paper, nil
	}
	return nil, nil
}

// about holds a certificate against the deposit that it should be of: the receipts in it are
// judged as the one beside it was, and both are of one entry.
func (c *checking) about(l Line, e proofs.Evidence, paper Paper) bool {
	v := c.verifier(paper.Receipt)
	refused := func(r proofs.Receipt) (proofs.Evidence, bool) {
		own, err := v.Verify(r, nil)
		if err == nil && own.Outcome() != proofs.Refused {
			return own, false
		}
		c.report.Findings = append(c.report.Findings, Finding{What: CertificateRefused, File: l.Certificate, says: verdictOf(own)})
		return own, true
	}
	own, wrong := refused(paper.Receipt)
	if !wrong && paper.Facts != nil {
		_, wrong = refused(*paper.Facts)
	}
	switch id := textOf(e.Record.Get, "id"); {
	case wrong:
	case own.Leaf != e.Leaf || own.Index != e.Index:
		c.find(CertificateOther, l.Certificate, fmt.Sprint(e.Index), fmt.Sprint(own.Index))
	case id != "" && paper.Deposit != id:
		c.find(CertificateOther, l.Certificate, id, paper.Deposit)
	default:
		return true
	}
	return false
}

// whole returns a certificate's file.
func (c *checking) whole(f File) ([]byte, error) {
	in, err := f.Open()
	if err != nil {
		return nil, err
	}
	defer in.Close()
	var r io.Reader = in
	if c.judge.Reading != nil {
		r = c.judge.Reading(f.Name, r)
	}
	var b bytes.Buffer
	n, err := io.Copy(&b, io.LimitReader(r, maxPaper+1))
	if err == nil && n > maxPaper {
		err = errLonger
	}
	return b.Bytes(), err
}
