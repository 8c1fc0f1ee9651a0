package main

import (
	"errors"
	"fmt"
	"io"
	"path"
	"time"

	"github.com/muniment/muniment/notary/certificate"
	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/proofs/bundle"
)

// bundled is what became of a case bundle.
type bundled struct {
	Outcome     string                          `json:"outcome"`
	Words       map[proofs.Language]bundleWords `json:"words"`
	Fingerprint string                          `json:"fingerprint"`
	Own         bool                            `json:"own"`
	Unknown     bool                            `json:"unknown"` // undecided, among other things since the policy was found
	Contract    string                          `json:"contract"`
	Origin      string                          `json:"origin"`
	Count       uint64                          `json:"count"`
	Deposits    []deposited                     `json:"deposits"` // in order, and between them what is missing
}

// bundleWords are the words of one language.
type bundleWords struct {
	proofs.Explanation
	Findings []string `json:"findings"`
}

// deposited is one deposit of the case, or a run of numbers that are missing.
type deposited struct {
	Number  uint64   `json:"number"`
	Last    uint64   `json:"last,omitempty"` // of a run that is missing
	Name    string   `json:"name,omitempty"`
	Verdict *verdict `json:"verdict,omitempty"`
}

// bundle opens the bundle among the files; nil if there is none.
func (q *question) bundle() (*bundle.Bundle, error) {
	whole, err := q.only(kindBundle)
	if err != nil {
		return nil, err
	}
	var parts []bundle.File
	for _, f := range q.files {
		if f.Kind == kindPart {
			parts = append(parts, bundle.File{Name: f.Name, Size: f.Size, Open: func() (io.ReadCloser, error) {
				return io.NopCloser(io.NewSectionReader(f.bytes, 0, f.Size)), nil
			}})
		}
	}
	switch {
	case whole != nil:
		b, err := bundle.OpenZip(whole.bytes, whole.Size)
		if err != nil {
			return nil, faulty("fault-no-bundle", whole.Name)
		}
		return b, nil
	case len(parts) > 0:
		b, err := bundle.Open(parts)
		if err != nil {
			return nil, faulty("fault-no-bundle", path.Dir(parts[0].Name))
		}
		return b, nil
	}
	return nil, nil
}

// examineBundle judges a bundle. A fingerprint that the visitor knows may be of a policy of the
// site or in the bundle.
func (q *question) examineBundle(b *bundle.Bundle) (*bundled, error) {
	offered := q.Site.Policies
	for _, p := range b.Policies() {
		q.Site.Policies = append(q.Site.Policies, p.String())
	}
	policy, err := q.policy()
	if err != nil {
		return nil, err
	}
	own, err := q.roots()
	if err != nil {
		return nil, err
	}
	judge := bundle.Judge{Policy: policy, Now: time.UnixMilli(q.Now), Certificate: certificate.InBundle(authorities(own))}
	for _, text := range offered {
		p, err := proofs.ParsePolicy([]byte(text))
		if err != nil {
			return nil, faulty("fault-site")
		}
		judge.Found = append(judge.Found, p)
	}
	judge.Options = func(found []byte) ([]proofs.Option, bool) {
		roots := own
		if roots == nil {
			roots = found
		}
		return plugged(roots), len(roots) > 0
	}
	var before int64
	judge.Reading = func(_ string, r io.Reader) io.Reader {
		return &reading{Reader: r, progress: q.progress, done: &before}
	}
	report, err := b.Check(judge)
	if err != nil {
		return nil, errors.Join(faulty("fault-unreadable", "ZIP"), err)
	}
	return newBundled(report), nil
}

// reading tells how far the documents of a bundle have been read.
type reading struct {
	io.Reader
	progress func(done int64)
	done     *int64 // of all documents
}

// Read implements io.Reader.
func (r *reading) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	*r.done += int64(n)
	r.progress(*r.done)
	return n, err
}

func newBundled(r bundle.Report) *bundled {
	out := &bundled{
		Outcome: r.Outcome().String(), Words: map[proofs.Language]bundleWords{}, Fingerprint: r.Policy, Own: r.Own,
		Unknown:  r.Outcome() == proofs.Undecided && !r.Own,
		Contract: proofs.Plain(r.Contract), Origin: proofs.Plain(r.Origin), Count: r.Count,
		Deposits: []deposited{},
	}
	for _, lang := range []proofs.Language{proofs.Chinese, proofs.English} {
		w := bundleWords{Explanation: r.Explain(lang), Findings: []string{}}
		for _, f := range r.Findings {
			w.Findings = append(w.Findings, f.Say(lang))
		}
		out.Words[lang] = w
	}
	gaps := r.Missing
	for _, d := range r.Deposits {
		for len(gaps) > 0 && gaps[0][0] < d.Line.Number {
			out.Deposits = append(out.Deposits, deposited{Number: gaps[0][0], Last: gaps[0][1]})
			gaps = gaps[1:]
		}
		v := newVerdict(d.Receipt, d.Evidence)
		v.Own, v.Receipt, v.Document, v.Compared = r.Own, proofs.Plain(d.Line.Receipt), proofs.Plain(d.Line.Document), d.Line.Document != ""
		if p := d.Paper; p != nil {
			v.Certificate = &paper{Number: p.Number, Signer: proofs.Plain(p.Signer)}
		}
		name := proofs.Plain(d.Name())
		if name == "" {
			name = fmt.Sprintf("%04d", d.Line.Number)
		}
		out.Deposits = append(out.Deposits, deposited{Number: d.Line.Number, Name: name, Verdict: v})
	}
	for _, g := range gaps {
		out.Deposits = append(out.Deposits, deposited{Number: g[0], Last: g[1]})
	}
	return out
}
