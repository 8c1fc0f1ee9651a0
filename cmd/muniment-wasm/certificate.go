package main

import (
	"bytes"
	"io"
	"slices"

	"github.com/muniment/muniment/notary/certificate"
	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/proofs/rfc3161"
)

// A paper is what a certificate says of itself, which is, byte for byte, what its receipt gives.
// Nothing of it says whom to trust.
type paper struct {
	Number    string `json:"number"`
	Issued    string `json:"issued"`
	Signer    string `json:"signer,omitempty"` // empty: it bears no signature
	Issuer    string `json:"issuer,omitempty"` // of the signer's certificate
	Dated     string `json:"dated,omitempty"`  // when the signature existed, as the authority says
	Authority string `json:"authority,omitempty"`
	Embedded  bool   `json:"embedded"` // the document is in it
}

// examineCertificate judges a certificate as muniment verify does: that it is what its own
// receipt gives, and that this receipt satisfies the policy.
func (q *question) examineCertificate(f *file) (*verdict, error) {
	data, err := f.read(certificate.MaxFile)
	if err != nil {
		return nil, faulty("fault-unreadable", f.Name)
	}
	roots, err := q.roots()
	if err != nil {
		return nil, err
	}
	document, err := q.only(kindDocument)
	if err != nil {
		return nil, err
	}
	checked, err := certificate.Check(data, authorities(roots))
	if err != nil {
		return refusedPaper(f, err)
	}
	r, err := proofs.ParseReceipt(checked.Receipt)
	if err != nil {
		return refusedPaper(f, err)
	}
	judge, own, err := q.judge(r, checked)
	if err != nil {
		return nil, err
	}
	var in io.Reader
	name := ""
	switch {
	case document != nil:
		in, name = &streamed{file: *document, progress: q.progress}, document.Name
	case checked.Document != nil:
		in, name = bytes.NewReader(checked.Document), f.Name
	}
	record, err := q.record()
	if err != nil {
		return nil, err
	}
	e, err := q.evidence(judge, r, record, in)
	if err != nil {
		return nil, faulty("fault-unreadable", name)
	}
	if e.Outcome() != proofs.Refused {
		if err := checked.CheckFacts(judge); err != nil {
			return refusedPaper(f, err)
		}
	}
	v := newVerdict(r, e)
	v.Own, v.Receipt, v.Compared, v.Document = own, proofs.Plain(f.Name), in != nil, proofs.Plain(name)
	v.say(checked, e)
	return v, nil
}

// say adds what is known of the paper. By a policy that nobody chose it proves nothing.
func (v *verdict) say(c *certificate.Checked, e proofs.Evidence) {
	p := &paper{Number: c.Number, Issued: proofs.FormatTime(c.Issued), Embedded: c.Document != nil}
	if s := c.Signature; s != nil {
		p.Signer, p.Issuer, p.Authority = proofs.Plain(s.Subject), proofs.Plain(s.Issuer), proofs.Plain(s.Authority)
		if s.Authority != "" {
			p.Dated = proofs.FormatTime(s.Time)
		}
	}
	v.Certificate = p
	if e.Outcome() == proofs.Refused || e.Level == "" {
		return
	}
	for lang, w := range v.Words {
		proved, open := c.Explain(lang, e.Policy)
		if v.Own {
			w.Proved = append(slices.Clone(w.Proved), proved...)
		}
		w.NotProved = append(slices.Clone(w.NotProved), open...)
		v.Words[lang] = w
	}
}

// refusedPaper is the verdict on a certificate that Check or CheckFacts has not passed.
func refusedPaper(f *file, err error) (*verdict, error) {
	v := &verdict{Outcome: proofs.Refused.String(), Words: map[proofs.Language]words{}, Receipt: proofs.Plain(f.Name)}
	for _, lang := range []proofs.Language{proofs.Chinese, proofs.English} {
		says, refused := certificate.Say(err, lang)
		if !refused {
			return nil, faulty("fault-certificate-version", f.Name)
		}
		v.Words[lang] = words{
			Explanation: proofs.Explanation{Verdict: proofs.Plain(certificate.Refusal(says, lang)), Proved: []string{}, NotProved: []string{}},
			Facts:       []proofs.Fact{},
		}
	}
	return v, nil
}

// authorities are those of roots that were parsed before; nil without any.
func authorities(roots []byte) *rfc3161.Authorities {
	if certificates, err := rfc3161.ParseRoots(roots); err == nil {
		return rfc3161.NewAuthorities(certificates)
	}
	return nil
}
