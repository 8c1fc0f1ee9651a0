package main

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/muniment/muniment/proofs"
)

// A report is evidence as verify shows it. As JSON its names are stable.
type report struct {
	Outcome  string               `json:"outcome"`
	Reason   proofs.Reason        `json:"reason,omitempty"`
	Document proofs.DocumentCheck `json:"document"`
	proofs.Explanation
	File           string                  `json:"file"`
	Receipt        string                  `json:"receipt"`
	DocumentSHA256 string                  `json:"document_sha256,omitempty"`
	ReceiptSHA256  string                  `json:"receipt_sha256,omitempty"` // of the document the receipt is about
	Level          proofs.Level            `json:"level,omitempty"`
	Origin         string                  `json:"origin,omitempty"`
	Index          *uint64                 `json:"index,omitempty"`
	Time           string                  `json:"time,omitempty"`
	Size           uint64                  `json:"size,omitempty"`
	Root           string                  `json:"root,omitempty"`
	Leaf           string                  `json:"leaf,omitempty"`
	Policy         string                  `json:"policy"`
	Signatures     []proofs.SignatureCheck `json:"signatures,omitempty"`
	Record         map[string]proofs.Value `json:"record,omitempty"`
	Hidden         []string                `json:"hidden,omitempty"`

	members proofs.Record
}

func newReport(e proofs.Evidence, file, receipt string, lang proofs.Language) report {
	r := report{
		Outcome: e.Outcome().String(), Reason: e.Reason, Document: e.Document, Explanation: e.Explain(lang),
		File: file, Receipt: receipt, DocumentSHA256: e.DocumentSHA256, Policy: e.Policy,
	}
	if e.Level == "" { // nothing else was verified
		return r
	}
	r.ReceiptSHA256, r.Level, r.Origin = e.Digest(), e.Level, e.Origin
	r.Index, r.Time, r.Size = &e.Index, proofs.FormatTime(e.Entry.Time), e.Size
	r.Root, r.Leaf = e.Root.String(), e.Leaf.String()
	r.Signatures, r.members, r.Hidden = e.Signatures, e.Record, e.Hidden
	r.Record = map[string]proofs.Value{}
	for _, m := range e.Record {
		r.Record[m.Name] = m.Value
	}
	return r
}

// headings in both languages.
var headings = map[proofs.Language]map[string]string{
	proofs.English: {
		"proved": "Proved:", "open": "Not proved:", "facts": "Facts:", "record": "The description, as fixed in the log:",
		"file": "Document", "receipt": "Receipt", "sha256": "SHA-256", "of receipt": "SHA-256 in receipt",
		"origin": "Log", "entry": "Entry number", "time": "Time (UTC)", "size": "Log size", "policy": "Policy fingerprint",
		"log": "Signed by log", "witness": "Signed by witness",
	},
	proofs.Chinese: {
		"proved": "已证明：", "open": "未证明：", "facts": "基本事实：", "record": "日志所固定的描述：",
		"file": "文件", "receipt": "回执", "sha256": "SHA-256", "of receipt": "回执中的 SHA-256",
		"origin": "日志", "entry": "条目编号", "time": "时间（UTC）", "size": "日志条目总数", "policy": "信任策略指纹",
		"log": "日志签名", "witness": "见证方签名",
	},
}

// lineWidth is where text is wrapped: comfortable to read, and fit for print.
const lineWidth = 80

func (r report) print(out io.Writer, lang proofs.Language) error {
	h := headings[lang]
	var b bytes.Buffer
	for line := range strings.SplitSeq(r.Verdict, "\n") {
		for _, l := range wrap(plain(line), lineWidth) {
			fmt.Fprintln(&b, l)
		}
	}
	bullets(&b, h["proved"], r.Proved)
	bullets(&b, h["open"], r.NotProved)
	fmt.Fprintf(&b, "\n%s\n", h["facts"])
	table(&b, r.facts(h))
	if len(r.members) > 0 {
		fmt.Fprintf(&b, "\n%s\n", h["record"])
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
	_, err := b.WriteTo(out)
	return err
}

func (r report) facts(h map[string]string) [][2]string {
	rows := [][2]string{{h["file"], r.File}, {h["receipt"], r.Receipt}}
	add := func(name, value string) {
		if value != "" {
			rows = append(rows, [2]string{h[name], value})
		}
	}
	add("sha256", r.DocumentSHA256)
	if r.ReceiptSHA256 != r.DocumentSHA256 {
		add("of receipt", r.ReceiptSHA256)
	}
	add("origin", r.Origin)
	if r.Index != nil {
		add("entry", strconv.FormatUint(*r.Index, 10))
		add("time", r.Time)
		add("size", strconv.FormatUint(r.Size, 10))
	}
	add("policy", r.Policy)
	for _, s := range r.Signatures {
		add(s.Role, signature(s))
	}
	return rows
}

// signature names a signature's key as people compare it, and when a witness made it.
// The whole key is in the JSON, and under the policy's fingerprint.
func signature(s proofs.SignatureCheck) string {
	out := s.Name
	if parts := strings.SplitN(s.Key, "+", 3); len(parts) == 3 {
		out += ", key " + parts[1]
	}
	if !s.Time.IsZero() {
		out += ", " + s.Time.UTC().Format(time.RFC3339)
	}
	return out
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
