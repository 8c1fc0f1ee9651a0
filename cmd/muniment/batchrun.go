package main

import (
	"context"
	"crypto"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/service/client"
)

// Bounds of one batch, as openapi.yaml has them. Each line has its envelope.
const (
	maxBatchLines = client.MaxLines
	maxBatchBytes = 32 << 20
	lineEnvelope  = len(`{"record":}`) + 1
	maxBatchLine  = 64 << 10
	signatureRoom = len(`"depositor.signature":"",`) + 96 // base64 of the longest ECDSA signature
)

// Files of the folder of receipts that are not receipts.
const (
	pendingFile = ".pending" // the batch that was sent and has not all its receipts yet
	againFile   = ".again"   // what makes the keys of a run with --again its own
	resultsFile = "results.csv"
)

// receiptWriters is how many receipts are made durable at once: a disk does many
// flushes in the time of one.
const receiptWriters = 16

// batch deposits the lines of a sheet, in batches of which all or none is deposited.
//
// What must not happen is that a line is deposited twice. A batch has one key, made of
// its lines; so it must be sent again just as it was, whatever has become of the CSV
// file meanwhile. Before it is sent, it is therefore written to .pending, durably, and
// that is only removed when all its receipts are. Whoever comes next begins there. A
// line whose receipt is in the folder is done.
type batch struct {
	server *client.Client
	sheet  *sheet
	screen *screen
	folder string
	signer crypto.Signer // nil: lines are not signed

	nonce    string
	progress *progress
	lines    map[string]int // index in sheet.lines by what a line says
	done     []*settled     // by line
}

func (b *batch) run(ctx context.Context, again bool) error {
	b.lines, b.done = map[string]int{}, make([]*settled, len(b.sheet.lines))
	for i, l := range b.sheet.lines {
		b.lines[l.stable.JSON()] = i
	}
	if err := b.begin(again); err != nil {
		return err
	}
	b.progress = newProgress(b.screen, sayLinesOf, len(b.sheet.lines), 0, int64(len(b.sheet.lines)))
	b.progress.advance(0)
	err := b.all(ctx)
	b.progress.end()
	// What is there is told, even where the rest failed.
	if told := b.tell(); err == nil {
		err = told
	}
	if err != nil && refusedDeposit(err) {
		b.screen.complain(b.sheet.path, err)
		return exitError(exitRefused)
	}
	return err
}

// all sends what has no receipt yet, a batch that was interrupted first of all.
func (b *batch) all(ctx context.Context) error {
	pending, err := b.readPending()
	if err != nil {
		return err
	}
	if pending != nil {
		b.screen.note(sayFinishing, len(pending.Lines))
		if err := b.send(ctx, *pending); err != nil {
			return err
		}
	}
	if err := b.scan(ctx); err != nil {
		return err
	}
	for _, next := range b.cut() {
		// Before they are written down: what is sent again is signed as it was.
		if next.Lines, err = b.signed(next.Lines); err != nil {
			return err
		}
		if err := b.writePending(next); err != nil {
			return err
		}
		if err := b.send(ctx, next); err != nil {
			return err
		}
	}
	return nil
}

// scan finds the lines whose receipts are in the folder.
func (b *batch) scan(ctx context.Context) error {
	entries, err := os.ReadDir(b.folder)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		id, ok := strings.CutSuffix(e.Name(), receiptSuffix)
		if !ok || !isID(id) {
			continue
		}
		path := filepath.Join(b.folder, e.Name())
		r, err := readReceipt(path)
		if err == nil {
			var evidence proofs.Evidence
			evidence, err = b.server.Verifier.Verify(r, nil)
			if err == nil && evidence.Outcome() != proofs.Verified {
				err = sayReceiptFails.err(lastLine(evidence.Explain(b.screen.lang).Verdict))
			}
		}
		if err != nil {
			return sayForeignReceipt.err(path, err)
		}
		b.settle(r, path, statusThere)
		b.progress.advance(1)
	}
	return nil
}

// lineOf finds the line that a receipt is of. What the program finds out about a
// document by itself is no part of what a line says.
func (b *batch) lineOf(r proofs.Receipt) (int, bool) {
	if held, _ := r.Member("content.held"); held != proofs.Boolean(false) {
		return 0, false
	}
	return b.lineSaying(r.Record())
}

// lineSaying finds the line that makes these claims, whatever else stands among them.
func (b *batch) lineSaying(claims proofs.Record) (int, bool) {
	claims = slices.DeleteFunc(slices.Clone(claims), func(m proofs.Member) bool { return !ours(m.Name) })
	for _, without := range [][]string{nil, {"content.size", "content.type"}, {"content.size"}, {"content.type"}} {
		said := slices.DeleteFunc(slices.Clone(claims), func(m proofs.Member) bool { return slices.Contains(without, m.Name) })
		if i, ok := b.lines[said.JSON()]; ok {
			return i, true
		}
	}
	return 0, false
}

// cut makes batches of the lines that have no receipt, in their order.
func (b *batch) cut() []client.Batch {
	var out []client.Batch
	var now client.Batch
	sum, bytes := sha256.New(), 0
	close := func() {
		if len(now.Lines) > 0 {
			now.Key = hex.EncodeToString(sum.Sum(nil))
			out = append(out, now)
		}
		now, bytes = client.Batch{}, 0
		sum.Reset()
		sum.Write([]byte("muniment/batch-key@v1\n" + b.nonce + "\n"))
	}
	close()
	for i, l := range b.sheet.lines {
		if b.done[i] != nil {
			continue
		}
		length := len(l.claims.JSON()) + lineEnvelope
		if b.signer != nil {
			length += signatureRoom
		}
		if len(now.Lines) == maxBatchLines || bytes+length > maxBatchBytes {
			close()
		}
		now.Lines = append(now.Lines, l.claims)
		bytes += length
		sum.Write([]byte(l.stable.JSON() + "\n"))
	}
	close()
	return out
}

// signed are lines with the depositor's signatures, where there is a key.
func (b *batch) signed(lines []proofs.Record) ([]proofs.Record, error) {
	if b.signer == nil {
		return lines, nil
	}
	out := make([]proofs.Record, len(lines))
	for i, claims := range lines {
		var err error
		if out[i], err = proofs.SignDeposit(claims, b.signer); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// send deposits a batch and keeps all its receipts, durably, before it is forgotten.
func (b *batch) send(ctx context.Context, next client.Batch) error {
	receipts, err := b.server.DepositBatch(ctx, next)
	if err != nil {
		if p, ok := problemOf(err); ok && p.Refused() {
			// All or none: it was none.
			b.name(p, next)
			return errors.Join(err, b.forget())
		}
		return err
	}
	if err := b.keep(ctx, receipts); err != nil {
		return err
	}
	return b.forget()
}

// name tells the lines that the depository refused.
func (b *batch) name(p *client.Problem, next client.Batch) {
	for _, bad := range p.Lines {
		if bad.Line < 1 || bad.Line > len(next.Lines) {
			continue
		}
		what := bad.Detail
		if bad.Member != "" {
			what = bad.Member + ": " + what
		}
		if i, ok := b.lineSaying(next.Lines[bad.Line-1]); ok {
			b.screen.complain(b.sheet.path, sayBatchLine.err(b.sheet.lines[i].number, what))
		}
	}
}

// keep writes the receipts of a batch.
func (b *batch) keep(ctx context.Context, receipts []proofs.Receipt) error {
	paths, errs := make([]string, len(receipts)), make([]error, len(receipts))
	var writers sync.WaitGroup
	for first := range receiptWriters {
		writers.Go(func() {
			for i := first; i < len(receipts) && ctx.Err() == nil; i += receiptWriters {
				id, _ := receipts[i].Member("id")
				name, _ := id.Text()
				paths[i] = filepath.Join(b.folder, name+receiptSuffix)
				errs[i] = b.keepOne(paths[i], receipts[i])
				b.progress.advance(1)
			}
		})
	}
	writers.Wait()
	if err := errors.Join(append(errs, ctx.Err())...); err != nil {
		return err
	}
	for i, r := range receipts {
		b.settle(r, paths[i], statusDeposited)
	}
	return syncDir(b.folder)
}

func (b *batch) keepOne(path string, r proofs.Receipt) error {
	kept, err := keepAt(path, r, put)
	if err == nil && !kept {
		return sayTaken.err(path)
	}
	return err
}
