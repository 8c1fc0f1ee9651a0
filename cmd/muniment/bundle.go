package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/muniment/muniment/notary/certificate"
	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/proofs/bundle"
	"github.com/muniment/muniment/proofs/rfc3161"
)

// bundleAt opens the case bundle at path, a ZIP or the folder it was unpacked into; nil where
// it is none, or a document with a receipt beside it. Close what is not nil.
func bundleAt(path string) (*bundle.Bundle, io.Closer) {
	if _, err := os.Lstat(path + receiptSuffix); err == nil {
		return nil, nil
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, nil
	}
	if info.IsDir() {
		return unpackedAt(path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, nil
	}
	if info.Mode().IsRegular() {
		if b, err := bundle.OpenZip(f, info.Size()); err == nil {
			return b, f
		}
	}
	f.Close()
	return nil, nil
}

// unpackedAt is bundleAt for a folder. Other folders have no list of contents at their top.
func unpackedAt(path string) (*bundle.Bundle, io.Closer) {
	root, err := os.OpenRoot(path) // links that lead out of it lead nowhere
	if err != nil {
		return nil, nil
	}
	if !bundle.IsManifest(root.Open) {
		root.Close()
		return nil, nil
	}
	var files []bundle.File
	err = fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if len(files) > bundle.MaxFiles {
			return fs.SkipAll // too many to be one
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		files = append(files, bundle.File{Name: name, Size: info.Size(), Open: func() (io.ReadCloser, error) { return root.Open(name) }})
		return nil
	})
	if err == nil {
		if b, err := bundle.Open(files); err == nil {
			return b, root
		}
	}
	root.Close()
	return nil, nil
}

// bundleJudge is who checks by that policy, nil for those found, with these options, among which
// are the authorities, unless they are nil.
func bundleJudge(ctx context.Context, policy *proofs.Policy, found []proofs.Policy, options []proofs.Option, authorities *rfc3161.Authorities) bundle.Judge {
	return bundle.Judge{
		Policy: policy, Found: found, Now: time.Now(),
		Options: func([]byte) ([]proofs.Option, bool) {
			return options, authorities != nil
		},
		Certificate: certificate.InBundle(authorities),
		Reading:     func(_ string, r io.Reader) io.Reader { return interruptible{ctx, r} },
	}
}

// A bundleReport is what became of a bundle. As JSON its names are stable.
type bundleReport struct {
	Bundle  string `json:"bundle"` // path
	Outcome string `json:"outcome"`
	proofs.Explanation
	Policy   string          `json:"policy,omitempty"`
	Origin   string          `json:"origin,omitempty"`
	Contract string          `json:"contract,omitempty"`
	Count    uint64          `json:"count"`
	Missing  []bundle.Range  `json:"missing"`
	Findings []bundleFinding `json:"findings"`
	Deposits []bundleDeposit `json:"deposits"`
}

type bundleFinding struct {
	What bundle.Difference `json:"what"`
	File string            `json:"file"`
	Says string            `json:"says"`
}

type bundleDeposit struct {
	Number uint64 `json:"number"`
	report
	// PDF is the file of its certificate, and Certificate what that holds.
	PDF         string       `json:"pdf,omitempty"`
	Certificate *bundlePaper `json:"certificate,omitempty"`
}

type bundlePaper struct {
	Number   string `json:"number"`
	SignedBy string `json:"signed_by,omitempty"`
	Policy   string `json:"policy"` // fingerprint of the one that it was made under
}

func newBundleReport(path string, r bundle.Report, lang proofs.Language) bundleReport {
	out := bundleReport{
		Bundle: path, Outcome: r.Outcome().String(), Explanation: r.Explain(lang), Policy: r.Policy, Origin: r.Origin, Contract: r.Contract,
		Count: r.Count, Missing: append([]bundle.Range{}, r.Missing...), Findings: []bundleFinding{}, Deposits: []bundleDeposit{},
	}
	for _, f := range r.Findings {
		out.Findings = append(out.Findings, bundleFinding{f.What, f.File, f.Say(lang)})
	}
	for _, d := range r.Deposits {
		one := newReport(d.Evidence, d.Line.Document, d.Line.Receipt, lang)
		if d.Line.Document == "" {
			one.Missing = noDocument
		}
		of := bundleDeposit{Number: d.Line.Number, report: one, PDF: d.Line.Certificate}
		if p := d.Paper; p != nil {
			of.Certificate = &bundlePaper{p.Number, p.Signer, p.Policy}
		}
		out.Deposits = append(out.Deposits, of)
	}
	return out
}

// print says what became of a bundle: the verdict, each deposit and each gap in its place, and
// what differs.
func (r bundleReport) print(s *screen) error {
	if s.json {
		return s.object(r)
	}
	var b bytes.Buffer
	for line := range strings.SplitSeq(r.Verdict, "\n") {
		for _, l := range wrap(plain(line), lineWidth) {
			fmt.Fprintln(&b, l)
		}
	}
	var says []string
	for _, f := range r.Findings {
		says = append(says, f.Says)
	}
	bullets(&b, headDiffers.in(s.lang), says)
	if len(r.Deposits) > 0 {
		fmt.Fprintln(&b)
	}
	if err := s.bytes(b.Bytes()); err != nil {
		return err
	}
	if rows := r.rows(s.lang); len(rows) > 0 {
		if err := s.rows([]phrase{headNumber, headResult, headEntry, headTime, headName}, rows); err != nil {
			return err
		}
	}
	b.Reset()
	bullets(&b, headProved.in(s.lang), r.Proved)
	bullets(&b, headOpen.in(s.lang), r.NotProved)
	return s.bytes(b.Bytes())
}

func (r bundleReport) rows(lang proofs.Language) (rows [][]string) {
	gaps := r.Missing
	gap := func(g bundle.Range) {
		text := strconv.FormatUint(g[0], 10)
		if g[1] > g[0] {
			text += "–" + strconv.FormatUint(g[1], 10)
		}
		rows = append(rows, []string{text, wordMissing.in(lang), "", "", ""})
	}
	for _, d := range r.Deposits {
		for len(gaps) > 0 && gaps[0][0] < d.Number {
			gap(gaps[0])
			gaps = gaps[1:]
		}
		row := result{report: d.report}.row(lang)
		name, _ := d.members.Get("content.name")
		text, _ := name.Text()
		rows = append(rows, []string{strconv.FormatUint(d.Number, 10), row[0], row[1], row[2], plain(text)})
	}
	for _, g := range gaps {
		gap(g)
	}
	return rows
}

// verifyBundle is verify for a bundle.
func (o *verifyOptions) verifyBundle(ctx context.Context, s *screen, path string, b *bundle.Bundle, policy proofs.Policy, options []proofs.Option, authorities *rfc3161.Authorities) error {
	r, err := b.Check(bundleJudge(ctx, &policy, nil, options, authorities))
	if err != nil {
		return sayBundleUnread.err(path, err)
	}
	if err := newBundleReport(path, r, s.lang).print(s); err != nil {
		return err
	}
	if code := exitOf(r.Outcome()); code != 0 {
		return exitError(code)
	}
	return nil
}

// notBundle says of a path that looks like a bundle and has no receipt that it is none.
func notBundle(path string) error {
	if !strings.HasSuffix(strings.ToLower(path), ".zip") {
		return nil
	}
	if _, err := os.Stat(path + receiptSuffix); !errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() {
		return nil
	}
	return sayNoBundle.err(path)
}
