package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"io/fs"
	"os"
	"slices"

	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/proofs/rfc3161"
)

// verification judges documents and receipts by one policy.
type verification struct {
	ctx         context.Context
	screen      *screen
	verifier    *proofs.Verifier
	record      *proofs.EvidenceRecord // of the one receipt; nil: none was given
	authorities *rfc3161.Authorities   // that date things; nil: none were named
	progress    *progress
	task        *task // of the document being read

	documents []found
	out       leftOut
	receipts  map[string]bool     // by path; true: it belongs to a document
	order     []string            // the paths of the receipts, as they were found
	named     map[string][]string // the same, by the document whose name they bear
	others    namesakes           // of documents that were named
	lone      []report            // receipts that have no document beside them
	results   []result
}

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
	v.out.mention(v.screen)
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
		v.out.add(f)
	}
	return nil
}

// pair brings documents and receipts together, first by name and then by digest.
func (v *verification) pair() error {
	v.named = map[string][]string{}
	for _, path := range v.order {
		v.named[documentOf(path)] = append(v.named[documentOf(path)], path)
	}
	var without []found
	for _, d := range v.documents {
		beside := v.beside(d)
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
func (v *verification) beside(d found) []string {
	out := v.named[d.path]
	if d.named { // what stands beside it was not walked through
		path := d.path + receiptSuffix
		out = v.others.of(path)
		if _, err := os.Lstat(path); err == nil {
			out = append([]string{path}, out...)
		}
	}
	for _, p := range out {
		v.receipts[p] = true
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
	if isCertificate(d.path) {
		r, err := v.paper("", d.path)
		if err != nil {
			r = report{Receipt: d.path}
		}
		v.tell(result{r, err})
		return nil
	}
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
