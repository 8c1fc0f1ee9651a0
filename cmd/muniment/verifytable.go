package main

import (
	"cmp"
	"strconv"
	"strings"

	"github.com/muniment/muniment/proofs"
)

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

// word is what a result is called in the table.
func (r result) word() phrase {
	switch {
	case refusedEvidence(r.err):
		return wordRefused
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
	if refusedEvidence(r.err) || r.err == nil && r.evidence.Outcome() == proofs.Refused {
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
			if refusedEvidence(r.err) {
				r.Outcome = proofs.Refused.String()
			}
		}
		if err := v.screen.object(r.report); err != nil {
			return err
		}
	}
	return nil
}

// table is the results for people: a line each, what is wrong in words, one verdict.
func (v *verification) table(code int, counts map[phrase]int) error {
	if err := v.warn(); err != nil {
		return err
	}
	var rows [][]string
	for _, r := range v.results {
		rows = append(rows, r.row(v.screen.lang))
	}
	if err := v.screen.rows([]phrase{headResult, headEntry, headTime, headContract, headName}, rows); err != nil {
		return err
	}
	for _, r := range v.results {
		switch {
		case r.err != nil:
			v.screen.complain(cmp.Or(r.File, r.Receipt), r.err)
		case r.evidence.Outcome() != proofs.Verified && r.Missing != noReceipt:
			v.screen.complain(r.Receipt, sayReceiptFails.err(lastLine(r.Verdict)))
		}
	}
	if err := v.screen.text("\n" + v.sum(counts)); err != nil {
		return err
	}
	return v.screen.prose(map[int]phrase{0: sayAllVerified, exitRefused: saySomeRefused, exitFailure: sayNotAllVerified}[code])
}

// row is a result in the table.
func (r result) row(lang proofs.Language) []string {
	entry := ""
	if r.Index != nil {
		entry = strconv.FormatUint(*r.Index, 10)
	}
	contract, _ := r.members.Get("contract.number")
	text, _ := contract.Text()
	return []string{r.word().in(lang), entry, r.Time, plain(text), plain(cmp.Or(r.File, r.Receipt))}
}

// sum counts the results of each sort.
func (v *verification) sum(counts map[phrase]int) string {
	lang := v.screen.lang
	var parts []string
	for _, word := range []phrase{wordVerified, wordRefused, wordUndecided, wordNoReceipt, wordNoDocument, wordUnreadable} {
		if n := counts[word]; n > 0 {
			parts = append(parts, sayCount.in(lang, n, word))
		}
	}
	return strings.Join(parts, sayComma.in(lang))
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
