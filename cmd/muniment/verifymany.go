package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/muniment/muniment/proofs"
)

// verification judges documents and receipts by one policy.
type verification struct {
	ctx      context.Context
	screen   *screen
	verifier *proofs.Verifier
	progress *progress
	task     *task // of the document being read

	documents []found
	receipts  map[string]bool // by path; true: it belongs to a document
	order     []string        // the paths of the receipts, as they were found
	lone      []report        // receipts that have no document beside them
	results   []result
}

// A result is a line of the table. Either there is a report, or what is missing, or
// neither could be read.
type result struct {
	report
	err error
}

// What is missing.
const (
	noReceipt  = "receipt"
	noDocument = "document"
)

// many verifies documents with the receipts beside them; what finds no partner beside
// it finds one by its digest, wherever it stands.
func (v *verification) many(paths []string) error {
	v.receipts = map[string]bool{}
	w := walk{
		visit:  v.take,
		broken: func(path string, err error) { v.tell(result{report: report{File: path}, err: err}) },
		skip:   func(fs.FileInfo) bool { return false },
		into:   true,
	}
	if err := w.all(v.ctx, paths); err != nil {
		return err
	}
	if len(v.documents)+len(v.order)+len(v.results) == 0 {
		return sayNothingThere.err()
	}
	var bytes int64
	for _, d := range v.documents {
		bytes += d.size
	}
	v.progress = newProgress(v.screen, sayFilesOf, len(v.documents), bytes, bytes)
	err := v.pair()
	v.progress.end()
	if err != nil {
		return err
	}
	return v.conclude()
}

func (v *verification) take(f found) error {
	switch {
	case f.trait == document && loneReceipt(f.path), f.trait == aReceipt:
		v.receipts[f.path] = false
		v.order = append(v.order, f.path)
	case f.trait == document:
		v.documents = append(v.documents, f)
	case f.trait == aLink:
		v.screen.note(leftOutOne[aLink], f.path)
	}
	return nil
}

// pair brings documents and receipts together, first by name and then by digest.
func (v *verification) pair() error {
	var without []found
	for _, d := range v.documents {
		beside := v.beside(d.path)
		if len(beside) == 0 {
			without = append(without, d)
			continue
		}
		if err := v.withReceipts(d, beside); err != nil {
			return err
		}
	}
	for _, path := range v.order {
		if v.receipts[path] {
			continue
		}
		r, err := v.one("", path)
		if err != nil {
			v.tell(result{report: report{Receipt: path}, err: err})
			continue
		}
		v.lone = append(v.lone, r)
	}
	for _, d := range without {
		if err := v.withoutReceipt(d); err != nil {
			return err
		}
	}
	for _, r := range v.lone {
		r.Missing = noDocument
		v.tell(result{report: r})
	}
	return nil
}

// beside are the receipts that bear the document's name.
func (v *verification) beside(path string) []string {
	var out []string
	for _, p := range append([]string{path + receiptSuffix}, namesakes(path+receiptSuffix)...) {
		if _, err := os.Lstat(p); err == nil {
			out = append(out, p)
			v.receipts[p] = true
		}
	}
	return out
}

// withReceipts checks a document against the receipts beside it. Where one of them
// proves it, those of other bytes are receipts of an earlier document, which is missing.
func (v *verification) withReceipts(d found, beside []string) error {
	t := v.progress.start(d.rel, d.size)
	defer t.finish()
	var good, bad []result
	for _, path := range beside {
		v.task = t
		r, err := v.one(d.path, path)
		switch {
		case stopped(err):
			return err
		case err != nil:
			bad = append(bad, result{report{File: d.path, Receipt: path}, err})
		case r.evidence.Outcome() == proofs.Verified:
			good = append(good, result{report: r})
		default:
			bad = append(bad, result{report: r})
		}
	}
	for _, r := range good {
		v.tell(r)
	}
	for _, r := range bad {
		if len(good) > 0 && r.err == nil && r.evidence.Document == proofs.DocumentDiffers {
			alone, err := v.one("", r.Receipt)
			if err != nil {
				return err
			}
			alone.Missing = noDocument
			r = result{report: alone}
		}
		v.tell(r)
	}
	return nil
}

// withoutReceipt looks for a receipt of the document's digest.
func (v *verification) withoutReceipt(d found) error {
	t := v.progress.start(d.rel, d.size)
	defer t.finish()
	v.task = t
	none := result{report: report{File: d.path, Missing: noReceipt}}
	if len(v.lone) == 0 {
		v.tell(none)
		return nil
	}
	digest, err := v.digest(d.path)
	switch {
	case stopped(err):
		return err
	case err != nil:
		none.err = err
		v.tell(none)
		return nil
	}
	at := slices.IndexFunc(v.lone, func(r report) bool { return r.ReceiptSHA256 == digest })
	if at < 0 {
		v.tell(none)
		return nil
	}
	r, err := v.one(d.path, v.lone[at].Receipt)
	if err != nil {
		return err
	}
	v.lone = slices.Delete(v.lone, at, at+1)
	v.tell(result{report: r})
	return nil
}

func (v *verification) digest(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	_, err = io.Copy(h, interruptible{v.ctx, v.task.reader(f)})
	return hex.EncodeToString(h.Sum(nil)), err
}

// tell takes a result in.
func (v *verification) tell(r result) { v.results = append(v.results, r) }

// word is what a result is called in the table.
func (r result) word() phrase {
	switch {
	case r.err != nil:
		return wordUnreadable
	case r.Missing == noReceipt:
		return wordNoReceipt
	case r.evidence.Outcome() == proofs.Refused:
		return wordRefused
	case r.evidence.Outcome() == proofs.Undecided:
		return wordUndecided
	case r.Missing == noDocument:
		return wordNoDocument
	}
	return wordVerified
}

// code is what a result means for all.
func (r result) code() int {
	if r.err == nil && r.evidence.Outcome() == proofs.Refused {
		return exitRefused
	}
	if r.err != nil || r.Missing != "" {
		return exitFailure
	}
	return exitOf(r.evidence.Outcome())
}

func (v *verification) conclude() error {
	code := 0
	counts := map[phrase]int{}
	for _, r := range v.results {
		code = graver(code, r.code())
		counts[r.word()]++
	}
	print := v.table
	if v.screen.json {
		print = v.objects
	}
	if err := print(code, counts); err != nil {
		return err
	}
	if code != 0 {
		return exitError(code)
	}
	return nil
}

// objects are the results as JSON.
func (v *verification) objects(int, map[phrase]int) error {
	for _, r := range v.results {
		if r.Outcome == "" {
			r.Outcome, r.Document = proofs.Undecided.String(), proofs.DocumentUnchecked
		}
		if r.err != nil {
			r.Error = explain(r.err, v.screen.lang)
		}
		if err := v.screen.object(r.report); err != nil {
			return err
		}
	}
	return nil
}

// table is the results for people: a line each, what is wrong in words, one verdict.
func (v *verification) table(code int, counts map[phrase]int) error {
	lang := v.screen.lang
	if err := v.warn(); err != nil {
		return err
	}
	var rows [][]string
	for _, r := range v.results {
		name, entry := r.File, ""
		if name == "" {
			name = r.Receipt
		}
		if r.Index != nil {
			entry = strconv.FormatUint(*r.Index, 10)
		}
		contract, _ := r.members.Get("contract.number")
		text, _ := contract.Text()
		rows = append(rows, []string{r.word().in(lang), entry, r.Time, plain(text), plain(name)})
	}
	if err := v.screen.rows([]phrase{headResult, headEntry, headTime, headContract, headName}, rows); err != nil {
		return err
	}
	for _, r := range v.results {
		switch {
		case r.err != nil:
			v.screen.complain(r.File+r.Receipt, r.err)
		case r.evidence.Outcome() != proofs.Verified && r.Missing != noReceipt:
			v.screen.complain(r.Receipt, sayReceiptFails.err(lastLine(r.Verdict)))
		}
	}
	var parts []string
	for _, word := range []phrase{wordVerified, wordRefused, wordUndecided, wordNoReceipt, wordNoDocument, wordUnreadable} {
		if n := counts[word]; n > 0 {
			parts = append(parts, sayCount.in(lang, n, word))
		}
	}
	verdict := map[int]phrase{0: sayAllVerified, exitRefused: saySomeRefused, exitFailure: sayNotAllVerified}[code]
	if err := v.screen.text("\n" + strings.Join(parts, sayComma.in(lang))); err != nil {
		return err
	}
	return v.screen.prose(verdict)
}

// lastLine is the verdict without what is said of test logs.
func lastLine(s string) string { return s[strings.LastIndexByte(s, '\n')+1:] }

// warn says once, before anything else, that a log has no evidential value.
func (v *verification) warn() error {
	seen := map[string]bool{}
	for _, r := range v.results {
		e := r.evidence
		if e.Level == "" || e.Environment == proofs.Prod || seen[e.Origin] {
			continue
		}
		seen[e.Origin] = true
		if err := v.screen.prose(sayTestLog, e.Origin); err != nil {
			return err
		}
	}
	return nil
}
