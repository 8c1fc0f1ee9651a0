package main

import (
	"strings"
	"time"

	"github.com/muniment/muniment/proofs"
)

// newVerdict puts evidence into what the page shows.
func newVerdict(r proofs.Receipt, e proofs.Evidence) *verdict {
	v := &verdict{
		Outcome: e.Outcome().String(), Reason: e.Reason, Fingerprint: e.Policy,
		Words: map[proofs.Language]words{proofs.Chinese: worded(e, proofs.Chinese), proofs.English: worded(e, proofs.English)},
	}
	switch {
	case e.Reason == proofs.ReasonSM3:
		v.Hash, v.Digests = "SM3", []string{e.DocumentSM3, e.DigestSM3()}
	case e.Document == proofs.DocumentDiffers:
		v.Hash, v.Digests = "SHA-256", []string{e.DocumentSHA256, e.Digest()}
	}
	if e.Level == "" {
		return v
	}
	v.Origin, v.Time = proofs.Plain(e.Origin), proofs.FormatTime(e.Entry.Time)
	v.Depositor, v.Contract = member(e.Record, "tenant.name"), member(e.Record, "contract.number")
	for _, m := range e.Record {
		v.Record = append(v.Record, proofs.Fact{Name: m.Name, Value: proofs.Plain(textOf(m.Value))})
	}
	for _, s := range e.Signatures {
		said := signer{Name: proofs.Plain(s.Name), Role: s.Role}
		if !s.Time.IsZero() {
			said.Time = s.Time.UTC().Format(time.RFC3339)
		}
		v.Signed = append(v.Signed, said)
	}
	for _, t := range e.Timestamps {
		v.Stamps = append(v.Stamps, signer{proofs.Plain(t.Authority), "authority", proofs.FormatTime(t.Time)})
	}
	v.Picture = draw(r, e)
	return v
}

// worded is evidence in words of one language.
func worded(e proofs.Evidence, lang proofs.Language) words {
	w := words{e.Explain(lang), e.Facts(lang)}
	lines := strings.Split(w.Verdict, "\n")
	for _, texts := range [][]string{lines, w.Proved, w.NotProved} {
		for i := range texts {
			texts[i] = proofs.Plain(texts[i])
		}
	}
	w.Verdict = strings.Join(lines, "\n")
	for i := range w.Facts {
		w.Facts[i].Value = proofs.Plain(w.Facts[i].Value)
	}
	return w
}

func member(r proofs.Record, name string) string {
	v, ok := r.Get(name)
	if !ok {
		return ""
	}
	return proofs.Plain(textOf(v))
}

// textOf is a value as people read it.
func textOf(v proofs.Value) string {
	if s, ok := v.Text(); ok {
		return s
	}
	return v.JSON()
}
