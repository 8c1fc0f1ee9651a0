package main

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"github.com/muniment/muniment/proofs"
)

// A report is evidence as verify shows it. As JSON its names are stable.
type report struct {
	Outcome  string               `json:"outcome"`
	Missing  string               `json:"missing,omitempty"` // receipt or document, in a folder
	Reason   proofs.Reason        `json:"reason,omitempty"`
	Document proofs.DocumentCheck `json:"document"`
	proofs.Explanation
	File           string                     `json:"file,omitempty"`
	Receipt        string                     `json:"receipt,omitempty"`
	DocumentSHA256 string                     `json:"document_sha256,omitempty"`
	DocumentSM3    string                     `json:"document_sm3,omitempty"`
	ReceiptSHA256  string                     `json:"receipt_sha256,omitempty"` // of the document the receipt is about
	Level          proofs.Level               `json:"level,omitempty"`
	Origin         string                     `json:"origin,omitempty"`
	Index          *uint64                    `json:"index,omitempty"`
	Time           string                     `json:"time,omitempty"`
	Size           uint64                     `json:"size,omitempty"`
	Root           string                     `json:"root,omitempty"`
	Leaf           string                     `json:"leaf,omitempty"`
	Policy         string                     `json:"policy"`
	Signatures     []proofs.SignatureCheck    `json:"signatures,omitempty"`
	Depositor      *proofs.DepositorSignature `json:"depositor,omitempty"` // of a deposit
	Quorum         *quorum                    `json:"quorum,omitempty"`    // where the policy demands one
	Timestamps     []proofs.Timestamp         `json:"timestamps,omitempty"`
	Untrusted      int                        `json:"untrusted,omitempty"` // time-stamps that were ignored
	Renewals       []proofs.Timestamp         `json:"renewals,omitempty"`
	Until          time.Time                  `json:"until,omitzero"` // of an evidence record
	Record         map[string]proofs.Value    `json:"record,omitempty"`
	Hidden         []string                   `json:"hidden,omitempty"`
	Error          string                     `json:"error,omitempty"`
	// Certificate is what the receipt was in, if it was in one.
	Certificate *paper `json:"certificate,omitempty"`

	evidence proofs.Evidence
	members  proofs.Record
}

// quorum is how the cosignatures stand to the policy's rule.
type quorum struct {
	Rule     string   `json:"rule"` // in words
	Cosigned []string `json:"cosigned"`
	Missing  []string `json:"missing"`
}

func newReport(e proofs.Evidence, file, receipt string, lang proofs.Language) report {
	r := report{
		Outcome: e.Outcome().String(), Reason: e.Reason, Document: e.Document, Explanation: e.Explain(lang),
		File: file, Receipt: receipt, DocumentSHA256: e.DocumentSHA256, DocumentSM3: e.DocumentSM3, Policy: e.Policy, evidence: e,
	}
	if rule := e.Quorum.Rule(lang); rule != "" {
		r.Quorum = &quorum{rule, append([]string{}, e.Quorum.Cosigned...), append([]string{}, e.Quorum.Missing...)}
	}
	if e.Level == "" { // nothing else was verified
		return r
	}
	r.ReceiptSHA256, r.Level, r.Origin = e.Digest(), e.Level, e.Origin
	r.Index, r.Time, r.Size = &e.Index, proofs.FormatTime(e.Entry.Time), e.Size
	r.Root, r.Leaf = e.Root.String(), e.Leaf.String()
	r.Signatures, r.members, r.Hidden = e.Signatures, e.Record, e.Hidden
	if e.Entry.Kind == proofs.KindDeposit {
		r.Depositor = &e.Depositor
	}
	r.Timestamps, r.Untrusted, r.Renewals, r.Until = e.Timestamps, e.Untrusted, e.Renewals, e.Until
	r.Record = map[string]proofs.Value{}
	for _, m := range e.Record {
		r.Record[m.Name] = m.Value
	}
	return r
}

// exit is the exit code of the verdict.
func (r report) exit() int {
	if r.Outcome == proofs.Refused.String() {
		return exitRefused
	}
	return exitOf(r.evidence.Outcome())
}

// lineWidth is where text is wrapped: comfortable to read, and fit for print.
const lineWidth = 80

// A fact is a line of a report.
type fact struct {
	name  phrase
	value string
}

func (r report) print(s *screen) error {
	var b bytes.Buffer
	for line := range strings.SplitSeq(r.Verdict, "\n") {
		for _, l := range wrap(plain(line), lineWidth) {
			fmt.Fprintln(&b, l)
		}
	}
	bullets(&b, headProved.in(s.lang), r.Proved)
	bullets(&b, headOpen.in(s.lang), r.NotProved)
	fmt.Fprintf(&b, "\n%s\n", headFacts.in(s.lang))
	table(&b, r.facts(s.lang))
	if len(r.members) > 0 {
		fmt.Fprintf(&b, "\n%s\n", headRecord.in(s.lang))
		var rows [][2]string
		for _, m := range r.members {
			text, ok := m.Value.Text()
			if !ok {
				text = m.Value.JSON()
			}
			rows = append(rows, [2]string{m.Name, text})
		}
		table(&b, rows)
	}
	return s.bytes(b.Bytes())
}

// facts are the paths and what the evidence holds.
func (r report) facts(lang proofs.Language) (rows [][2]string) {
	add := func(name phrase, value string) {
		if value != "" {
			rows = append(rows, [2]string{name.in(lang), value})
		}
	}
	add(headDocument, r.File)
	add(headReceipt, r.Receipt)
	if c := r.Certificate; c != nil {
		add(headCertificate, c.Number)
		add(headIssued, c.Issued.Format(time.RFC3339))
		if c.Signature != nil {
			add(headSignedBy, c.Signature.Subject)
		}
	}
	for _, f := range r.evidence.Facts(lang) {
		rows = append(rows, [2]string{f.Name, f.Value})
	}
	return rows
}

func inLanguage(facts []fact, lang proofs.Language) [][2]string {
	rows := make([][2]string, len(facts))
	for i, f := range facts {
		rows[i] = [2]string{f.name.in(lang), f.value}
	}
	return rows
}

// facts are results as names and values.
func (s *screen) facts(facts []fact) error {
	var b bytes.Buffer
	table(&b, inLanguage(facts, s.lang))
	return s.bytes(b.Bytes())
}

// bullets prints sentences, wrapped, under a heading; nothing if there are none.
func bullets(b *bytes.Buffer, heading string, sentences []string) {
	if len(sentences) == 0 {
		return
	}
	fmt.Fprintf(b, "\n%s\n", heading)
	for _, s := range sentences {
		for i, line := range wrap(plain(s), lineWidth-4) {
			mark := "    "
			if i == 0 {
				mark = "  • "
			}
			fmt.Fprintln(b, mark+line)
		}
	}
}

// table prints names and values in two columns. No value reaches the left one, where
// it could pass for a fact of its own.
func table(b *bytes.Buffer, rows [][2]string) {
	w := 0
	for _, row := range rows {
		w = max(w, displayWidth(row[0]))
	}
	w = min(w, 32)
	for _, row := range rows {
		name := row[0]
		for _, line := range wrap(plain(row[1]), max(30, lineWidth-w-4)) {
			fmt.Fprintln(b, strings.TrimRight("  "+pad(name, w)+"  "+line, " "))
			name = ""
		}
	}
}
