package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/service/client"
)

// Uploads at once, and what may be asked for. Files that a user names go up one after
// another, so that a case has their order.
const (
	manyParallel = 4
	maxParallel  = 64
)

type depositOptions struct {
	connection
	description
	policy, out string
	parallel    int
	digestOnly  bool
	again, json bool
}

func depositCommand(lang proofs.Language) *cobra.Command {
	o := depositOptions{connection: connection{lang: lang}}
	c := &cobra.Command{
		Use:     "deposit PATH… --contract NUMBER",
		Short:   sayDepositShort.in(lang),
		Long:    sayDepositLong.in(lang),
		Example: sayDepositExample.in(lang),
		Args: func(_ *cobra.Command, paths []string) error {
			if len(paths) == 0 {
				return sayWhichFiles.err()
			}
			return nil
		},
		RunE: o.run,
	}
	o.connection.flags(c, true)
	o.description.flags(c, lang)
	f := c.Flags()
	f.BoolVar(&o.digestOnly, "digest-only", false, sayFlagDigestOnly.in(lang))
	f.StringVar(&o.policy, "policy", "", sayFlagReceiptPolicy.in(lang))
	f.StringVar(&o.out, "out", "", sayFlagOut.in(lang))
	f.IntVar(&o.parallel, "parallel", 0, sayFlagParallel.in(lang, manyParallel))
	f.BoolVar(&o.again, "again", false, sayFlagAgain.in(lang))
	f.BoolVar(&o.json, "json", false, sayFlagJSON.in(lang))
	completes(c, "parallel")
	if err := c.MarkFlagDirname("out"); err != nil {
		panic(err)
	}
	return c
}

// run checks everything that can be checked here before anything is sent.
func (o *depositOptions) run(c *cobra.Command, paths []string) error {
	s := newScreen(c, o.lang, o.json)
	server, err := o.client(c, s)
	if err != nil {
		return err
	}
	if o.contract == "" {
		return sayWhichContract.err()
	}
	said, err := o.members()
	if err != nil {
		return err
	}
	if o.parallel < 0 || o.parallel > maxParallel {
		return sayParallelBounds.err(maxParallel)
	}
	if o.out != "" {
		if err := os.MkdirAll(o.out, 0o777); err != nil {
			return err
		}
	}
	g, err := o.gather(c.Context(), paths)
	if err != nil {
		return err
	}
	g.mention(s)
	if len(g.files)+len(g.broken) == 0 {
		return sayNothingThere.err()
	}
	if err := o.roomForReceipts(g.files); err != nil {
		return err
	}
	if err := o.believe(c, server, o.policy, s); err != nil {
		return err
	}
	u := upload{options: o, server: server, said: said, screen: s, parallel: o.parallel}
	if u.parallel == 0 {
		u.parallel = 1
		if g.folders {
			u.parallel = manyParallel
		}
	}
	return u.run(c.Context(), g)
}

// gathered are the documents at the paths that a user named.
type gathered struct {
	files   []found
	broken  []outcome // what cannot be read
	folders bool      // one of the paths is a folder

	left     map[trait]int
	firstOut map[trait]string
}

// gather finds the documents. A file that a user names is there and can be read, or
// nothing is sent at all; one in a folder fails for itself.
func (o *depositOptions) gather(ctx context.Context, paths []string) (*gathered, error) {
	g := &gathered{left: map[trait]int{}, firstOut: map[trait]string{}}
	var receipts fs.FileInfo
	if o.out != "" {
		var err error
		if receipts, err = os.Stat(o.out); err != nil {
			return nil, err
		}
	}
	w := walk{
		visit: g.take,
		broken: func(path string, err error) {
			g.broken = append(g.broken, failed(path, err))
		},
		skip: func(info fs.FileInfo) bool { return receipts != nil && os.SameFile(info, receipts) },
	}
	for _, path := range paths {
		if info, err := os.Stat(path); err == nil && info.IsDir() {
			g.folders = true
		} else if err := checkFile(path); err != nil {
			return nil, err
		}
	}
	return g, w.all(ctx, paths)
}

func (g *gathered) take(f found) error {
	if f.trait == document {
		g.files = append(g.files, f)
		return nil
	}
	if f.trait == aReceipt && !f.named {
		return nil // they are everywhere
	}
	if g.left[f.trait]++; g.left[f.trait] == 1 {
		g.firstOut[f.trait] = f.path
	}
	return nil
}

// mention says what was left out, but for the receipts in folders.
func (g *gathered) mention(s *screen) {
	for _, t := range []trait{aReceipt, hidden, aLink, noFile, ownFiles} {
		switch g.left[t] {
		case 0:
		case 1:
			s.note(leftOutOne[t], g.firstOut[t])
		default:
			s.note(leftOutMany[t], g.left[t], g.firstOut[t])
		}
	}
}

// roomForReceipts finds out, by trying, whether receipts could be written.
func (o *depositOptions) roomForReceipts(files []found) error {
	tried := map[string]bool{}
	for _, f := range files {
		dir := cmp.Or(o.out, filepath.Dir(f.path))
		if tried[dir] {
			continue
		}
		tried[dir] = true
		if err := writable(dir); err != nil {
			return sayNoReceiptRoom.err(f.path, err)
		}
	}
	return nil
}

// key is the Idempotency-Key of a deposit: the same for the same document, name,
// case, claims and mode, whenever and wherever the command is run. What is found out
// about the file's type is no part of it, since that may become better one day. The
// record's canonical JSON makes it unambiguous.
func key(said proofs.Record, digestOnly bool) string {
	mode := "document"
	if digestOnly {
		mode = "digest"
	}
	sum := sha256.Sum256([]byte("muniment/deposit-key@v1\n" + mode + "\n" + said.JSON()))
	return hex.EncodeToString(sum[:])
}

// What became of a document.
const (
	statusDeposited = "deposited"
	statusThere     = "there"   // its receipt was there, and fits
	statusRefused   = "refused" // by the depository
	statusFailed    = "failed"
	statusStopped   = "stopped" // by the user
)

// outcome is what became of one file. As JSON its names are stable.
type outcome struct {
	File    string  `json:"file"`
	Status  string  `json:"status"`
	ID      string  `json:"id,omitempty"`
	Index   *uint64 `json:"index,omitempty"`
	Time    string  `json:"time,omitempty"`
	SHA256  string  `json:"sha256,omitempty"`
	Size    *int64  `json:"size,omitempty"`
	Held    *bool   `json:"held,omitempty"`
	Leaf    string  `json:"leaf,omitempty"`
	Receipt string  `json:"receipt,omitempty"` // path
	Problem string  `json:"problem,omitempty"` // type of the depository's refusal
	Error   string  `json:"error,omitempty"`
	err     error
}

func failed(path string, err error) outcome {
	r := outcome{File: path}
	r.fail(err)
	return r
}

// fail notes why there is no receipt.
func (r *outcome) fail(err error) {
	r.err, r.Status = err, statusFailed
	if refusedDeposit(err) {
		r.Status = statusRefused
	}
	if stopped(err) {
		r.Status = statusStopped
	}
	if p, ok := problemOf(err); ok {
		r.Problem = problemName(p)
	}
}

// fill says which deposit a receipt is of.
func (r *outcome) fill(receipt proofs.Receipt) {
	id, _ := receipt.Member("id")
	r.ID, _ = id.Text()
	held, _ := receipt.Member("content.held")
	was, _ := held.Boolean()
	index := receipt.Index
	r.Index, r.Held = &index, &was
	r.Time = proofs.FormatTime(receipt.Entry.Time)
	r.Leaf = receipt.Entry.LeafHash().String()
}

// print is one line for one file; failures are told at the end, together.
func (r *outcome) print(s *screen) error {
	switch {
	case s.json:
		if r.err != nil {
			r.Error = explain(r.err, s.lang)
		}
		return s.object(r)
	case r.err != nil:
		return nil
	}
	p := sayDeposited
	switch {
	case r.Status == statusThere:
		p = sayThere
	case !*r.Held:
		p = sayDepositedDigest
	}
	return s.line(p, r.File, *r.Index, r.Time, r.Receipt)
}

// hopeless reports whether the next file would fare no better.
func hopeless(err error) bool {
	var path *fs.PathError
	var link *os.LinkError
	var own *fault
	p, ok := problemOf(err)
	switch {
	case ok:
		return !p.Refused() || p.Status == 401 || p.Status == 403
	case errors.Is(err, client.ErrChanged), errors.Is(err, client.ErrReceipt), errors.Is(err, proofs.ErrMalformed):
		return false
	case errors.As(err, &path), errors.As(err, &link), errors.As(err, &own):
		return false
	}
	return true
}
