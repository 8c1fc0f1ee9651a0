package notary

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/muniment/muniment/proofs"
)

// maxFindings bounds what a report names one by one.
const maxFindings = 1000

// maxCases bounds the cases whose last deposit a check remembers, at about 100 bytes
// each. Of a case that was forgotten, the next deposit is taken at its word: that its
// place is the one its entry commits to, has been checked.
const maxCases = 1 << 18

// Report is what Fsck found.
type Report struct {
	Entries   uint64   `json:"entries"`            // read and re-hashed
	Documents uint64   `json:"documents"`          // read, decrypted and re-hashed
	Bytes     uint64   `json:"bytes"`              // of those documents
	Segments  uint64   `json:"segments,omitempty"` // read and compared with the ledger
	Leaves    uint64   `json:"leaves,omitempty"`   // of the second tree, compared with the entries
	Events    uint64   `json:"events,omitempty"`   // of the trail, read and recomputed
	Lost      uint64   `json:"lost,omitempty"`     // entries whose private part a disaster took; munimentd recover named them
	Orphans   uint64   `json:"orphans"`            // blobs that no entry refers to; swept after 24 h
	Findings  uint64   `json:"findings"`           // what is wrong, all of it
	Named     []string `json:"named"`              // the first 1,000 of them, in words
	// Blobs names documents that are missing or do not read back, at most 1,000.
	Blobs []string `json:"blobs,omitempty"`
}

// Clean reports whether nothing is wrong.
func (r *Report) Clean() bool { return r.Findings == 0 }

func (r *Report) find(format string, args ...any) {
	r.Findings++
	if len(r.Named) < maxFindings {
		r.Named = append(r.Named, fmt.Sprintf(format, args...))
	}
}

func (r *Report) findBlob(row Row, format string, args ...any) {
	r.find(format, args...)
	if len(r.Blobs) < maxFindings {
		r.Blobs = append(r.Blobs, blobName(row.Tenant, row.ID))
	}
}

// checker is one run over everything stored.
type checker struct {
	n        *Notary
	report   *Report
	forgot   bool   // some cases
	due      uint64 // deposits whose term of retention has ended
	lost     bool   // a row was seen whose private part a disaster took
	retain   bool   // documents, should it have been put off when they were deposited
	progress func(done, total uint64)
	head     Head
	last     time.Time         // entry time of the row before
	paid     Operation         // that the row before belongs to; Count 0: not known
	cases    map[caseKey]*Case // the last of each case, of maxCases at most
	// erased is the place in its case of each entry that was erased, by leaf hash; maxCases at
	// most.
	erased map[proofs.Hash]uint64
	moved  map[caseKey]*Case // what cases held before, for who may go back; nil: nobody
}

// Fsck reads everything, re-hashes it, and reports what does not fit: anchors,
// entries, tiles, root, records, look-ups, cases and documents. It changes nothing
// and needs no running Notary. progress, unless nil, is called with entries done
// and in all. The error is that the check itself could not go on.
func Fsck(ctx context.Context, c Config, progress func(done, total uint64)) (*Report, error) {
	n, err := prepare(c)
	if err != nil {
		return nil, err
	}
	return n.Fsck(ctx, progress)
}

// Fsck is the function Fsck on a running Notary: it covers what was committed
// when it began.
func (n *Notary) Fsck(ctx context.Context, progress func(done, total uint64)) (*Report, error) {
	if progress == nil {
		progress = func(uint64, uint64) {}
	}
	c := &checker{n: n, report: &Report{Named: []string{}}, progress: progress, cases: map[caseKey]*Case{}, erased: map[proofs.Hash]uint64{}}
	var err error
	// The anchors first: they only move forward, and never beyond the head read after.
	anchors := c.loadAnchors(ctx)
	if c.head, err = n.config.Ledger.Head(ctx); err != nil {
		return nil, fmt.Errorf("reading the head: %w", err)
	}
	if c.head.Size == 0 {
		c.report.find("the log has no genesis entry")
		return c.report, nil
	}
	for i, cp := range anchors {
		c.anchor(ctx, i, cp)
	}
	for lo := uint64(0); lo < c.head.Size; lo += proofs.TileWidth {
		if err := c.tile(ctx, lo, min(lo+proofs.TileWidth, c.head.Size)); err != nil {
			return nil, err
		}
	}
	c.root(ctx)
	c.segments(ctx, anchors)
	c.stamps(ctx)
	c.trail(ctx)
	c.orphans(ctx)
	return c.report, ctx.Err()
}

func (c *checker) loadAnchors(ctx context.Context) map[int]proofs.Checkpoint {
	out := map[int]proofs.Checkpoint{}
	for i, a := range c.n.config.Anchors {
		held, err := a.Load(ctx)
		if err != nil {
			c.report.find("%s cannot be read: %v", c.n.anchorName(i), err)
			continue
		}
		cp, err := proofs.ParseCheckpoint(string(held))
		if err != nil || cp.Origin != c.n.key.Name {
			c.report.find("%s holds no checkpoint of %s", c.n.anchorName(i), c.n.key.Name)
			continue
		}
		out[i] = cp
	}
	return out
}

func (c *checker) anchor(ctx context.Context, i int, cp proofs.Checkpoint) {
	if cp.Size > c.head.Size {
		c.report.find("the ledger has %d entries, but %d are sealed at %s: the ledger was rolled back", c.head.Size, cp.Size, c.n.anchorName(i))
		return
	}
	root, err := proofs.RootAt(cp.Size, c.n.storedTiles(ctx))
	if err != nil {
		c.report.find("root at size %d of %s: %v", cp.Size, c.n.anchorName(i), err)
	} else if root != cp.Root {
		c.report.find("the ledger's root at size %d is %s, sealed at %s is %s", cp.Size, root, c.n.anchorName(i), cp.Root)
	}
}

// tile checks the entries from lo to hi, which share a tile, with all that hangs on
// them.
func (c *checker) tile(ctx context.Context, lo, hi uint64) error {
	if err := c.n.auditLeaves(ctx, lo, hi); err != nil {
		// Name each entry that is at fault.
		for i := lo; i < hi; i++ {
			if err := c.n.auditLeaves(ctx, i, i+1); err != nil {
				c.report.find("%v", err)
			}
		}
	}
	if hi%proofs.TileWidth == 0 {
		if err := auditParents(c.n.storedTiles(ctx), hi); err != nil {
			c.report.find("%v", err)
		}
	}
	for i := lo; i < hi; i++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		c.row(ctx, i)
		c.progress(i+1, c.head.Size)
	}
	return nil
}

func (c *checker) root(ctx context.Context) {
	root, err := proofs.RootAt(c.head.Size, c.n.storedTiles(ctx))
	if err != nil {
		c.report.find("root at size %d: %v", c.head.Size, err)
	} else if root != c.head.Root {
		c.report.find("stored tiles give root %s at size %d, the head says %s", root, c.head.Size, c.head.Root)
	}
}

// stamps checks every stamped checkpoint: its root, its time-stamps and their renewals.
func (c *checker) stamps(ctx context.Context) {
	for from := uint64(0); ctx.Err() == nil; {
		stamps, err := c.n.config.Ledger.Stamps(ctx, from, stampRunOf)
		if err != nil {
			c.report.find("stamps cannot be read: %v", err)
		}
		if len(stamps) == 0 {
			return
		}
		cache := map[uint64]*renewalData{}
		for _, s := range stamps {
			c.stamp(ctx, s, cache)
			from = s.Size + 1
		}
	}
}

func (c *checker) stamp(ctx context.Context, s Stamp, cache map[uint64]*renewalData) {
	record, err := c.n.evidenceOf(ctx, s, cache)
	if err != nil {
		c.report.find("%v", err)
		return
	}
	note, _ := proofs.ParseNote(record.Note)
	cp, err := proofs.ParseCheckpoint(note.Text)
	if err != nil || s.Size > c.head.Size {
		c.report.find("a checkpoint of %d entries was dated, the ledger has %d", s.Size, c.head.Size)
		return
	}
	if root, err := proofs.RootAt(s.Size, c.n.storedTiles(ctx)); err != nil || root != cp.Root {
		c.report.find("the dated checkpoint of size %d has another root than the ledger: %v", s.Size, err)
	}
	if _, outcome, reason := c.n.verifier.Record(record, time.Now()); outcome == proofs.Refused {
		c.report.find("the time-stamps of the checkpoint of size %d do not hold: %s", s.Size, reason)
	}
}

// row checks one row: entry, record, look-ups, case, document.
func (c *checker) row(ctx context.Context, index uint64) {
	c.report.Entries++
	row, err := c.n.config.Ledger.Row(ctx, index)
	if err != nil {
		c.report.find("row %d cannot be read: %v", index, err)
		return
	}
	entry, err := proofs.ParseEntry(string(row.Entry))
	if err != nil {
		c.report.find("entry %d: %v", index, err)
		return
	}
	if entry.Time.Before(c.last) {
		c.report.find("entry %d is dated before the one before it", index)
	}
	c.last = entry.Time
	if row.CaseSeq <= 1 && row.CasePrev != (proofs.Hash{}) {
		c.report.find("entry %d follows another in a case without being a later number", index)
	}
	if (index == 0) != (entry.Kind == proofs.KindGenesis) {
		c.report.find("entry %d is of kind %s", index, entry.Kind)
	}
	o, err := c.n.unseal(row)
	if err != nil {
		c.paid.Count = 0
	}
	if errors.Is(err, ErrLost) {
		c.report.Lost++
		c.lost = true
		return
	}
	if errors.Is(err, ErrErased) {
		if row.CaseSeq > 0 && len(c.erased) < maxCases {
			c.erased[proofs.LeafHash(row.Entry)] = row.CaseSeq
		}
		return
	}
	if err != nil {
		c.report.find("row %d: %v", index, err)
		return
	}
	switch entry.Kind {
	case proofs.KindDeposit:
		if until := c.n.keptUntil(o); !until.IsZero() && until.Before(c.n.clock.now()) {
			c.due++
		}
		c.lookups(ctx, o)
		c.document(ctx, o)
	case proofs.KindNotice:
		if row.Tenant == (ID{}) {
			return // the depository's own: of a day of the trail, which is checked as a whole, or of approvers
		}
		c.lookups(ctx, o)
		c.notice(ctx, o)
	}
}

// notice checks that what a notice says was done; the scrubber sees to it.
func (c *checker) notice(ctx context.Context, o *opened) {
	if c.retain {
		if _, err := c.n.finishErasure(ctx, o); err != nil {
			c.n.config.Logger.Warn("an erasure is not carried out yet; the scrubber tries again", "notice", o.row.Index, "error", err)
		}
		if err := c.n.holdAgain(ctx, o); err != nil {
			c.n.config.Logger.Warn("a legal hold is not carried out yet; the scrubber tries again", "notice", o.row.Index, "error", err)
		}
		return
	}
	if row, left, err := c.n.leftOf(ctx, o); err != nil {
		c.report.find("the erasure that entry %d says cannot be checked: %v", o.row.Index, err)
	} else if left {
		c.report.find("entry %d says that entry %d was erased, and its key is still there: munimentd serve carries it out", o.row.Index, row.Index)
	}
}

// lookups checks that every way to find the row leads to it.
func (c *checker) lookups(ctx context.Context, o *opened) {
	row, l := o.row, c.n.config.Ledger
	if got, err := l.Deposit(ctx, row.Tenant, row.ID); err != nil || got.Index != row.Index {
		c.report.find("deposit %s of entry %d is not found by its id", row.ID, row.Index)
	}
	c.operation(ctx, o)
	tk, err := c.n.config.TenantKey(row.Tenant)
	if err != nil {
		c.report.find("key of tenant %s: %v", row.Tenant, err)
		return
	}
	terms, contract := tk.termer().terms(o.record)
	later := tk.termer().listed(o.text("notice.act")) // which notices of older programs have not got
	for _, t := range terms {
		if slices.Contains(later, t) {
			continue
		}
		rows, err := l.Deposits(ctx, Query{Tenant: row.Tenant, Term: &t, From: row.Index, Limit: 1})
		if err != nil || len(rows) == 0 || rows[0].Index != row.Index {
			c.report.find("deposit %s of entry %d is not found by a look-up term", row.ID, row.Index)
		}
	}
	if contract != nil {
		c.place(row, *contract)
	} else if row.CaseSeq != 0 {
		c.report.find("entry %d has a place in a case but no contract number", row.Index)
	}
}

// operation checks that the row's idempotency key leads to it. The first row of an
// operation knows the key, and the others follow it.
func (c *checker) operation(ctx context.Context, o *opened) {
	row := o.row
	if o.body.intent != nil {
		op, err := c.n.config.Ledger.Operation(ctx, row.Tenant, o.body.intent.key)
		if err != nil || op.First != row.Index {
			c.report.find("deposit %s of entry %d is not found by its idempotency key", row.ID, row.Index)
			op.Count = 0
		}
		c.paid = op
		return
	}
	if c.paid.Count > 0 && (row.Tenant != c.paid.Tenant || row.Index >= c.paid.First+uint64(c.paid.Count)) {
		c.report.find("deposit %s of entry %d belongs to no idempotency key", row.ID, row.Index)
	}
}

// place checks that the deposits of a case follow one another.
func (c *checker) place(row Row, contract Term) {
	k := caseKey{row.Tenant, contract}
	last := c.cases[k]
	if last == nil {
		last = &Case{}
		if c.forget() {
			last.Seq, last.Leaf = max(row.CaseSeq, 1)-1, row.CasePrev
		}
		c.cases[k] = last
	}
	if _, again := c.moved[k]; c.moved != nil && !again {
		was := *last
		c.moved[k] = &was
	}
	gap := c.lost && row.CaseSeq > last.Seq+1 // others of the case may be among what was lost
	if seq, erased := c.erased[row.CasePrev]; row.CaseSeq > 1 && erased && seq == row.CaseSeq-1 || len(c.erased) == maxCases {
		gap = true
	}
	if !gap && (row.CaseSeq != last.Seq+1 || row.CasePrev != last.Leaf) {
		c.report.find("entry %d says it is number %d of its case, after number %d", row.Index, row.CaseSeq, last.Seq)
	}
	last.Seq, last.Leaf = row.CaseSeq, proofs.LeafHash(row.Entry)
}

// forget makes room for a case, and reports whether any was ever forgotten.
func (c *checker) forget() bool {
	for k := range c.cases {
		if len(c.cases) < maxCases {
			break
		}
		delete(c.cases, k)
		c.forgot = true
	}
	return c.forgot
}

// document reads and re-hashes the held document.
func (c *checker) document(ctx context.Context, o *opened) {
	if held, _ := o.record.Get("content.held"); held != proofs.Boolean(true) {
		return
	}
	d, err := c.n.openDocument(ctx, o)
	if err != nil {
		c.report.findBlob(o.row, "%v", err)
		return
	}
	defer d.Close()
	h := sha256.New()
	size, err := io.Copy(h, d)
	if err != nil {
		c.report.findBlob(o.row, "document of entry %d (deposit %s) cannot be read whole: %v", o.row.Index, o.row.ID, err)
		return
	}
	if hex.EncodeToString(h.Sum(nil)) != d.SHA256 {
		c.report.findBlob(o.row, "document of entry %d (deposit %s) is not the one its record names", o.row.Index, o.row.ID)
	}
	c.report.Documents++
	c.report.Bytes += uint64(size)
	if c.retain {
		if err := c.n.config.Blobs.Retain(ctx, blobName(o.row.Tenant, o.row.ID), o.entry.Time, c.n.keptUntil(o)); err != nil {
			c.report.findBlob(o.row, "document of entry %d (deposit %s) cannot be retained: %v", o.row.Index, o.row.ID, err)
		}
	}
}

// orphans counts blobs that no entry refers to.
func (c *checker) orphans(ctx context.Context) {
	now, err := c.n.config.Ledger.Now(ctx)
	if err == nil {
		err = c.n.eachOrphan(ctx, now, func(string) error { c.report.Orphans++; return nil })
	}
	if err != nil {
		c.report.find("listing blobs: %v", err)
	}
}
