package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"io/fs"
	"strings"

	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/service/client"
)

// auditedPapers is what became of the receipts. As JSON its names are stable.
type auditedPapers struct {
	Found int `json:"found"`
	Stand int `json:"stand"` // verified, and their entry is in the mirrored log where they say
}

// papers holds the receipts of a folder against the mirrored log.
func (a *auditor) papers(ctx context.Context, result *audited, mirrored head) {
	if a.receipts == "" {
		return
	}
	result.Receipts = &auditedPapers{}
	heads := map[[sha256.Size]byte]bool{} // whether the log goes on from the checkpoint
	w := walk{
		visit: func(f found) error {
			if f.trait == aReceipt || strings.HasSuffix(f.path, receiptSuffix) {
				result.Receipts.Found++
				if a.paper(ctx, result, mirrored, heads, f.path) {
					result.Receipts.Stand++
				}
			}
			return ctx.Err()
		},
		broken: func(path string, err error) { result.undecided(path, err) },
		skip:   func(fs.FileInfo) bool { return false },
		into:   true,
	}
	if err := w.all(ctx, []string{a.receipts}); err != nil && ctx.Err() == nil {
		result.undecided(a.receipts, err)
	}
	if result.Receipts.Found == 0 {
		result.undecided(a.receipts, sayNoReceipts.err())
	}
}

// paper reports whether a receipt verifies and stands in the mirrored log.
func (a *auditor) paper(ctx context.Context, found *audited, mirrored head, heads map[[sha256.Size]byte]bool, path string) bool {
	r, err := readReceipt(path)
	if err != nil {
		found.trouble(path, sayNoReceipt.refusal(err))
		return false
	}
	e, err := a.judged.Verify(r, nil)
	switch {
	case err != nil:
		found.undecided(path, err)
		return false
	case e.Outcome() == proofs.Refused:
		found.trouble(path, sayReceiptFails.refusal(e.Explain(a.lang).Verdict))
		return false
	case e.Outcome() != proofs.Verified:
		found.undecided(path, sayReceiptFails.err(e.Explain(a.lang).Verdict))
		return false
	case e.Size > mirrored.Size:
		found.undecided(path, sayMirrorShort.err(mirrored.Size, e.Size))
		return false
	}
	key := sha256.Sum256(r.Checkpoint)
	same, known := heads[key]
	if !known {
		h := head{path, r.Checkpoint, proofs.Checkpoint{Origin: e.Origin, Size: e.Size, Root: e.Root}}
		if same, err = a.hold(ctx, found, h, mirrored, nil); err != nil {
			found.trouble(path, err)
			return false
		}
		heads[key] = same
	}
	if !same {
		return false
	}
	entry, err := a.mirror.Entry(r.Index)
	if err != nil {
		found.trouble(path, err)
		return false
	}
	if entry != r.Entry.String() {
		to := r.Index + 1
		found.raise(alarm{Alarm: alarmMissing, At: path, From: &r.Index, To: &to}, sayReceiptElsewhere.with(path, r.Index))
		return false
	}
	return true
}

// records fetches the public records of the entries that have one, and keeps them. A
// mirror or web server that is no depository need not have them.
func (a *auditor) records(ctx context.Context, found *audited) {
	if a.log == nil {
		return
	}
	for _, index := range a.mirror.Public() {
		r, err := a.log.PublicRecord(ctx, index)
		var p *client.Problem
		switch {
		case errors.As(err, &p) && p.Status == 404:
			found.Absent++
			continue
		case err != nil:
			found.trouble(a.log.Log, err)
			return
		}
		entry, err := a.mirror.Entry(index)
		if err != nil {
			found.trouble(a.dir, err)
			return
		}
		e, err := a.judged.Verify(r, nil)
		if err != nil || e.Outcome() == proofs.Refused || entry != r.Entry.String() || len(e.Hidden) > 0 {
			to := index + 1
			found.raise(alarm{Alarm: alarmMissing, At: a.log.Log, From: &index, To: &to}, sayRecordWrong.with(a.log.Log, index))
			continue
		}
		if err := a.mirror.KeepRecord(index, r.Marshal()); err != nil {
			found.undecided(a.dir, err)
			return
		}
		found.Records++
	}
}
