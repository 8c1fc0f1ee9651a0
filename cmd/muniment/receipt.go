package main

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/service/client"
)

type receiptOptions struct {
	connection
	policy, file, out string
	refresh, json     bool
	evidence          bool
	disclose, hide    string
	selection         proofs.Selection // of both
}

func receiptCommand(lang proofs.Language) *cobra.Command {
	o := receiptOptions{connection: connection{lang: lang}}
	c := &cobra.Command{
		Use:     "receipt ID…",
		Short:   sayReceiptShort.in(lang),
		Long:    sayReceiptLong.in(lang),
		Example: sayReceiptExample.in(lang),
		Args: func(_ *cobra.Command, args []string) error {
			switch {
			case len(args) == 0:
				return sayWhichID.err()
			case o.refresh && o.file+o.out != "":
				return sayRefreshInPlace.err()
			case o.evidence && (o.refresh || o.file == "-"):
				return sayEvidenceNoOutput.err()
			case o.file != "" && (len(args) > 1 || o.out != ""):
				return sayOneOutput.err()
			case o.disclose+o.hide != "" && (o.file == "" || o.refresh || o.evidence):
				return sayWhereDisclosed.err()
			}
			var err error
			o.selection, err = proofs.ParseSelection(o.disclose, o.hide)
			return err
		},
		RunE: o.run,
	}
	o.flags(c, true)
	o.readFlags(c)
	f := c.Flags()
	f.StringVarP(&o.file, "output", "o", "", sayFlagOutput.in(lang))
	f.StringVar(&o.out, "out", "", sayFlagReceiptOut.in(lang))
	f.BoolVar(&o.evidence, "evidence", false, sayFlagFetchEvidence.in(lang))
	f.BoolVar(&o.refresh, "refresh", false, sayFlagRefresh.in(lang))
	f.StringVar(&o.disclose, "disclose", "", sayFlagDisclose.in(lang))
	f.StringVar(&o.hide, "hide", "", sayFlagHide.in(lang))
	f.StringVar(&o.policy, "policy", "", sayFlagReceiptPolicy.in(lang))
	f.BoolVar(&o.json, "json", false, sayFlagJSON.in(lang))
	if err := c.MarkFlagDirname("out"); err != nil {
		panic(err)
	}
	return c
}

// fetched is a receipt that was fetched. As JSON its names are stable.
type fetched struct {
	Receipt string  `json:"receipt,omitempty"` // path
	Status  string  `json:"status"`            // fetched, refreshed, kept, refused or failed
	ID      string  `json:"id,omitempty"`
	Index   *uint64 `json:"index,omitempty"`
	Time    string  `json:"time,omitempty"`
	Leaf    string  `json:"leaf,omitempty"`
	Size    uint64  `json:"size,omitempty"` // of the checkpoint
	Was     uint64  `json:"was,omitempty"`  // size of the checkpoint before
	// Evidence is the path of the evidence record.
	Evidence string `json:"evidence,omitempty"`
	Error    string `json:"error,omitempty"`
}

// What became of a receipt.
const (
	statusFetched   = "fetched"
	statusRefreshed = "refreshed"
	statusKept      = "kept"
)

func (o *receiptOptions) run(c *cobra.Command, args []string) error {
	s := newScreen(c, o.lang, o.json)
	if !o.selection.All() && !isID(args[0]) {
		return o.selectFile(s, args[0])
	}
	server, err := o.client(c, s)
	if err != nil {
		return err
	}
	if o.out != "" {
		if err := os.MkdirAll(o.out, 0o777); err != nil {
			return err
		}
	}
	if err := o.believe(c, server, o.policy, s); err != nil {
		return err
	}
	code := 0
	for i, arg := range args {
		work := o.fetch
		if o.refresh {
			work = refresh
		}
		f, err := work(c.Context(), server, s, arg)
		if err != nil {
			code = o.fail(s, &f, arg, err, code)
		}
		if err := f.print(s); err != nil {
			return err
		}
		if left := len(args) - i - 1; err != nil && left > 0 && hopeless(err) {
			s.note(sayUntried, left)
			break
		}
	}
	if code != 0 {
		return exitError(code)
	}
	return nil
}

// fail says why there is no receipt. One that must not be believed is refused; all
// else is a failure.
func (o *receiptOptions) fail(s *screen, f *fetched, arg string, err error, code int) int {
	f.Status = statusFailed
	if f.ID == "" && !o.refresh {
		f.ID = arg
	}
	if s.json {
		f.Error = explain(err, s.lang)
	} else {
		s.complain(arg, err)
	}
	if refusedEvidence(err) {
		f.Status = statusRefused
		return exitRefused
	}
	return graver(code, exitFailure)
}

// fetch gets the receipt of a deposit.
func (o *receiptOptions) fetch(ctx context.Context, server *client.Client, s *screen, id string) (fetched, error) {
	if !isID(id) {
		return fetched{}, sayNotID.err(id)
	}
	r, err := server.Receipt(ctx, id)
	if err != nil {
		return fetched{}, err
	}
	f, err := describe(r, statusFetched)
	if err != nil {
		return f, err
	}
	if r.Disclosures, err = o.selection.Of(r.Disclosures); err != nil {
		return f, err
	}
	switch {
	case o.file == "-":
		err = s.bytes(r.Marshal())
	case o.file != "":
		var kept bool
		if kept, err = keepAt(o.file, r, replace); err == nil && !kept {
			err = sayTaken.err(o.file)
		}
		f.Receipt = o.file
	default:
		f.Receipt, err = keepReceipt(filepath.Join(o.out, id+receiptSuffix), id, r)
	}
	if err == nil && o.evidence {
		f.Evidence, err = fetchEvidence(ctx, server, id, f.Receipt)
	}
	return f, err
}

// selectFile hides members of a receipt that is at hand. It needs no depository.
func (o *receiptOptions) selectFile(s *screen, path string) error {
	r, err := readReceipt(path)
	if err != nil {
		return err
	}
	if r.Disclosures, err = o.selection.Of(r.Disclosures); err != nil {
		return err
	}
	f, err := describe(r, statusFetched)
	if err != nil {
		return err
	}
	if o.file == "-" {
		return s.bytes(r.Marshal())
	}
	if err := replace(o.file, r.Marshal(), false); err != nil {
		return err
	}
	f.Receipt = o.file
	return f.print(s)
}

const evidenceSuffix = ".evidence"

// fetchEvidence writes the evidence record of a deposit beside its receipt.
func fetchEvidence(ctx context.Context, server *client.Client, id, receipt string) (string, error) {
	record, err := server.Evidence(ctx, id)
	if err != nil {
		return "", err
	}
	r, err := readReceipt(receipt)
	if err != nil {
		return "", err
	}
	if !bytes.Equal(r.Checkpoint, record.Note) {
		return "", sayNotTheSame.err()
	}
	path := strings.TrimSuffix(receipt, receiptSuffix) + evidenceSuffix
	data, err := readBounded(path, proofs.MaxEvidenceRecord)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	// A record only grows: what stands there must be its beginning.
	if err == nil && !bytes.HasPrefix(record.Marshal(), data) {
		return "", sayTaken.err(path)
	}
	return path, replace(path, record.Marshal(), err == nil)
}

// describe says what stands in a receipt.
func describe(r proofs.Receipt, status string) (fetched, error) {
	cp, err := checkpointOf(r)
	id, _ := r.Member("id")
	f := fetched{
		Status: status, Index: &r.Index, Time: proofs.FormatTime(r.Entry.Time),
		Leaf: r.Entry.LeafHash().String(), Size: cp.Size,
	}
	f.ID, _ = id.Text()
	return f, err
}

// checkpointOf reads the checkpoint of a receipt; who signed it is not looked at.
func checkpointOf(r proofs.Receipt) (proofs.Checkpoint, error) {
	note, err := proofs.ParseNote(r.Checkpoint)
	if err != nil {
		return proofs.Checkpoint{}, err
	}
	return proofs.ParseCheckpoint(note.Text)
}

func (f *fetched) print(s *screen) error {
	switch {
	case s.json:
		return s.object(f)
	case f.Status == statusFailed || f.Status == statusRefused || f.Receipt == "":
		return nil
	case f.Status == statusRefreshed:
		return s.line(sayRefreshed, f.Receipt, *f.Index, f.Was, f.Size)
	case f.Status == statusKept:
		return s.line(sayKept, f.Receipt, *f.Index)
	}
	if err := s.line(sayFetched, f.ID, *f.Index, f.Time, f.Receipt); err != nil || f.Evidence == "" {
		return err
	}
	return s.line(sayEvidenceIs, f.Evidence, *f.Index)
}

// refresh puts the newest receipt of the same deposit in the place of an older one. The
// older one goes only when the newer one is in every way as good.
func refresh(ctx context.Context, server *client.Client, _ *screen, path string) (fetched, error) {
	old, err := readReceipt(path)
	if err != nil {
		return fetched{Receipt: path}, err
	}
	f, err := describe(old, statusRefreshed)
	f.Receipt, f.Was = path, f.Size
	if err != nil {
		return f, err
	}
	if !isID(f.ID) {
		return f, sayIDHidden.err()
	}
	fresh, err := server.Receipt(ctx, f.ID)
	if err != nil {
		return f, err
	}
	if f.Size, err = succeeds(old, fresh); err != nil {
		return f, err
	}
	if keepsStamps(old, fresh) {
		f.Status, f.Size = statusKept, f.Was
		return f, nil
	}
	// What its holder hid stays hidden.
	fresh.Disclosures = proofs.Hide(fresh.Disclosures, func(name string) bool {
		return slices.ContainsFunc(old.Disclosures, func(d proofs.Disclosure) bool { return d.Hidden && d.Name == name })
	})
	if e, err := server.Verifier.Verify(fresh, nil); err != nil || e.Outcome() != proofs.Verified {
		return f, errors.Join(client.ErrReceipt, err)
	}
	return f, replace(path, fresh.Marshal(), true)
}

// keepsStamps reports whether old has time-stamps that fresh would lose: fresh has fewer, or
// they are under a later checkpoint, so that they prove a later time.
func keepsStamps(old, fresh proofs.Receipt) bool {
	before, err1 := checkpointOf(old)
	after, err2 := checkpointOf(fresh)
	return len(old.Timestamps) > 0 &&
		(len(old.Timestamps) > len(fresh.Timestamps) || err1 == nil && err2 == nil && before.Size < after.Size)
}

// succeeds checks that fresh is a receipt of the same entry under a checkpoint that is
// not older, and returns that one's size. A receipt comes to be the one under the earliest
// checkpoint with time-stamps, which may be older than the newest was before.
func succeeds(old, fresh proofs.Receipt) (uint64, error) {
	before, err := checkpointOf(old)
	if err != nil {
		return 0, err
	}
	after, err := checkpointOf(fresh)
	if err != nil {
		return 0, err
	}
	switch {
	case before.Origin != after.Origin:
		return 0, sayOtherLog.refusal(before.Origin, after.Origin)
	case old.Entry.LeafHash() != fresh.Entry.LeafHash() || old.Index != fresh.Index:
		return 0, sayOtherEntry.refusal(old.Index, fresh.Index)
	case after.Size < before.Size && len(fresh.Timestamps) <= len(old.Timestamps):
		return 0, sayLogShrank.refusal(before.Size, after.Size)
	case after.Size == before.Size && after.Root != before.Root:
		return 0, sayForked.refusal(after.Size)
	}
	return after.Size, nil
}
