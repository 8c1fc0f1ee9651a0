package main

import (
	"context"
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"sync"

	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/service/client"
)

// upload deposits many documents, several at once. What is wrong with one does not
// keep the others back; what is wrong with the server does.
type upload struct {
	options  *depositOptions
	server   *client.Client
	said     []proofs.Member
	screen   *screen
	parallel int

	progress *progress
	others   namesakes
	mu       sync.Mutex
	result   tally
	unsaid   error // results that could not be printed
}

// tally is what became of all documents.
type tally struct {
	deposited, there int
	failures         []outcome
	stopped, untried int
	code             int
}

func (u *upload) run(ctx context.Context, g *gathered) error {
	var bytes int64
	for _, f := range g.files {
		bytes += f.size
	}
	u.progress = newProgress(u.screen, sayFilesOf, len(g.files), bytes, bytes*u.passes())
	for _, r := range g.broken {
		u.settle(r)
	}
	u.all(ctx, g.files)
	u.progress.end()
	if u.unsaid != nil {
		return u.unsaid
	}
	if many := len(g.files) + len(g.broken); many > 1 || u.result.code != 0 {
		u.result.print(u.screen, many)
	}
	if u.result.code != 0 {
		return exitError(u.result.code)
	}
	return nil
}

// passes is how often each document is read: to be hashed, and to be sent.
func (u *upload) passes() int64 {
	if u.options.digestOnly {
		return 1
	}
	return 2
}

// all hands the files to those who upload, until there are none or there is no hope.
// What is under way then comes to its own end.
func (u *upload) all(ctx context.Context, files []found) {
	hope, lose := context.WithCancel(ctx)
	defer lose()
	jobs := make(chan found)
	var workers sync.WaitGroup
	for range min(u.parallel, len(files)) {
		workers.Go(func() {
			for f := range jobs {
				if !u.settle(u.one(ctx, f)) {
					lose()
					return
				}
			}
		})
	}
	tried := 0
	for _, f := range files {
		if hope.Err() != nil {
			break
		}
		select {
		case <-hope.Done():
		case jobs <- f:
			tried++
		}
	}
	close(jobs)
	workers.Wait()
	if u.result.untried = len(files) - tried; u.result.untried > 0 {
		u.result.code = graver(u.result.code, exitFailure)
	}
}

// settle tells what became of a file and counts it, and reports whether it makes sense
// to go on.
func (u *upload) settle(r outcome) bool {
	err := r.print(u.screen)
	u.mu.Lock()
	defer u.mu.Unlock()
	if err != nil {
		u.unsaid = err
		return false
	}
	switch {
	case r.Status == statusStopped:
		u.result.stopped++
		u.result.code = graver(u.result.code, exitFailure)
	case r.Status == statusRefused:
		u.result.failures = append(u.result.failures, r)
		u.result.code = exitRefused
	case r.err != nil:
		u.result.failures = append(u.result.failures, r)
		u.result.code = graver(u.result.code, exitFailure)
	case r.Status == statusThere:
		u.result.there++
	default:
		u.result.deposited++
	}
	return r.err == nil || !hopeless(r.err)
}

// one deposits one document, unless its receipt is there.
func (u *upload) one(ctx context.Context, f found) outcome {
	t := u.progress.start(f.rel, f.size*u.passes())
	defer t.finish()
	r := outcome{File: f.path}
	if err := u.deposit(ctx, f, t, &r); err != nil {
		r.fail(err)
	}
	return r
}

func (u *upload) deposit(ctx context.Context, f found, t *task, r *outcome) error {
	doc, err := openDocument(ctx, f.path, t)
	if err != nil {
		return err
	}
	defer doc.Close()
	r.SHA256, r.Size = doc.digest, &doc.size
	stable, all, err := doc.claims(u.said)
	if err != nil {
		return err
	}
	path := receiptPath(f, u.options.out)
	request := doc.request(stable, all, u.options.digestOnly)
	request.Signer = u.options.signer
	if u.options.again {
		request.Key = rand.Text()
	} else if kept, receipt, ok := u.kept(path, stable); ok {
		r.Status, r.Receipt = statusThere, kept
		r.fill(receipt)
		return nil
	}
	receipt, err := u.server.Deposit(ctx, request)
	if err != nil {
		return err
	}
	r.fill(receipt)
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return err
	}
	if r.Receipt, err = keepReceipt(path, r.ID, receipt); err != nil {
		return err
	}
	r.Status = statusDeposited
	if r.Receipt != path {
		u.screen.note(u.misfit(path, doc.digest), path, r.Receipt)
	}
	return nil
}

// kept finds the receipt of this very deposit at path, or beside it under its id: it
// verifies, and says what would be said of the document now.
func (u *upload) kept(path string, stable proofs.Record) (string, proofs.Receipt, bool) {
	fits := func(p string) (proofs.Receipt, error, bool) {
		receipt, err := readReceipt(p)
		return receipt, err, err == nil && u.believed(receipt) && sameDeposit(receipt, stable, !u.options.digestOnly)
	}
	receipt, err, ok := fits(path)
	// Most files have no receipt yet, and then no namesakes of it either.
	if ok || errors.Is(err, os.ErrNotExist) {
		return path, receipt, ok
	}
	for _, p := range u.others.of(path) {
		if receipt, _, ok := fits(p); ok {
			return p, receipt, true
		}
	}
	return "", proofs.Receipt{}, false
}

func (u *upload) believed(r proofs.Receipt) bool {
	e, err := u.server.Verifier.Verify(r, nil)
	return err == nil && e.Outcome() == proofs.Verified && r.Entry.Kind == proofs.KindDeposit
}

// misfit says why the receipt at path is not this document's.
func (u *upload) misfit(path, digest string) phrase {
	there, err := readReceipt(path)
	if err != nil {
		return sayTakenByFile
	}
	v, _ := there.Member("content.sha256")
	if said, _ := v.Text(); said != digest {
		return sayTakenByOtherDocument
	}
	return sayTakenByOtherDeposit
}

// sameDeposit reports whether a receipt is of the deposit that these claims would
// make. Members that the program found out itself do not count.
func sameDeposit(r proofs.Receipt, stable proofs.Record, held bool) bool {
	if v, _ := r.Member("content.held"); v != proofs.Boolean(held) {
		return false
	}
	for _, d := range r.Disclosures {
		want, said := stable.Get(d.Name)
		switch found := d.Name == "content.size" || d.Name == "content.type"; {
		case said && (d.Hidden || d.Value != want):
			return false
		case !said && ours(d.Name) && !found:
			return false
		}
	}
	for _, m := range stable {
		if _, there := r.Member(m.Name); !there {
			return false
		}
	}
	return true
}

// maxNamed is how many failures are named on a screen.
const maxNamed = 100

// print is the summary of many documents.
func (t *tally) print(s *screen, many int) {
	if s.json {
		return
	}
	if len(t.failures) > 0 {
		for _, r := range t.failures[:min(len(t.failures), maxNamed)] {
			s.complain(r.File, r.err)
		}
		if more := len(t.failures) - maxNamed; more > 0 {
			s.note(sayMoreFailures, more)
		}
	}
	if many > 1 {
		s.note(saySummary, many, t.deposited, t.there, len(t.failures))
	}
	switch {
	case t.stopped > 0:
		s.note(sayStoppedMany, t.stopped+t.untried)
	case t.untried > 0:
		s.note(sayUntried, t.untried)
	}
}
