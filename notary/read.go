package notary

import (
	"context"
	"crypto/hmac"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/minio/sio"

	"github.com/muniment/muniment/proofs"
)

// opened is a row with its private part in the clear.
type opened struct {
	row         Row
	entry       proofs.Entry
	key         dataKey
	seed        proofs.Seed
	body        body
	record      proofs.Record // complete, with the place in the case
	disclosures []proofs.Disclosure
}

// intended reports whether the row is the first of an operation of that content.
func (o *opened) intended(content [16]byte) bool {
	return o.body.intent != nil && hmac.Equal(content[:], o.body.intent.content[:])
}

// unseal opens a row and checks that it is what its entry commits to.
func (n *Notary) unseal(row Row) (*opened, error) {
	tk, err := n.config.TenantKey(row.Tenant)
	if err != nil {
		return nil, n.unavailable(err)
	}
	if isLost(row) {
		return nil, fmt.Errorf("entry %d: %w", row.Index, ErrLost)
	}
	o := &opened{row: row}
	if o.key, err = openSecrets(tk, row); err != nil {
		return nil, err
	}
	keys := o.key.rowKeys()
	o.seed = keys.seed
	if o.body, err = openBody(keys, row); err != nil {
		return nil, err
	}
	o.record = o.body.record
	if row.CaseSeq > 0 {
		if o.record, err = proofs.NewRecord(append(caseMembers(row), o.record...)...); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
		}
	}
	if o.entry, err = proofs.ParseEntry(string(row.Entry)); err != nil {
		return nil, fmt.Errorf("%w: entry %d: %w", ErrDamaged, row.Index, err)
	}
	o.disclosures = o.record.Disclose(o.seed)
	if proofs.Commitment(o.disclosures) != o.entry.Record {
		return nil, fmt.Errorf("%w: the record of entry %d is not the one its entry commits to", ErrDamaged, row.Index)
	}
	return o, nil
}

// prove builds the receipt of an entry under a published checkpoint and verifies it
// as a court would. A receipt that does not verify leaves nobody's hands.
func (n *Notary) prove(ctx context.Context, v *view, index uint64, entry proofs.Entry, disclosures []proofs.Disclosure) (proofs.Receipt, error) {
	path, err := proofs.InclusionProof(index, v.size, n.tiles.reader(ctx, v))
	if err != nil {
		return proofs.Receipt{}, n.unavailable(err)
	}
	r := proofs.Receipt{Entry: entry, Disclosures: disclosures, Index: index, Path: path, Checkpoint: v.note}
	verifier := n.verifier
	if !v.witnessed {
		verifier = n.logAlone
	}
	e, err := verifier.Verify(r, nil)
	if err != nil || e.Outcome() != proofs.Verified {
		n.tiles.drop()
		err := fmt.Errorf("%w: the receipt of entry %d does not verify: %s", ErrDamaged, index, e.Reason)
		n.ready.damaged(err)
		return proofs.Receipt{}, err
	}
	return r, nil
}

// find returns the deposit of that id, opened, if it is the principal's to read.
func (n *Notary) find(ctx context.Context, who Principal, id ID) (*opened, error) {
	tenant, err := who.reads()
	if err != nil {
		return nil, err
	}
	row, err := n.config.Ledger.Deposit(ctx, tenant, id)
	if errors.Is(err, ErrNotFound) {
		return nil, ErrNotFound
	}
	if err != nil {
		return nil, n.unavailable(err)
	}
	o, err := n.unseal(row)
	if errors.Is(err, ErrDamaged) {
		n.ready.damaged(err)
	}
	// Before a court is told so much as that it was erased.
	if shut := n.admits(ctx, who, row, o); shut != nil {
		return nil, shut
	}
	return o, err
}

// Receipt returns the best receipt of one of the principal's deposits: the one under the
// earliest checkpoint that covers it, was dated by an authority and holds under the policy,
// with the time-stamps. Before there is one it is that of NewestReceipt.
func (n *Notary) Receipt(ctx context.Context, who Principal, id ID) (proofs.Receipt, error) {
	return n.receipt(ctx, who, id, true, false)
}

// WitnessedReceipt is Receipt, but if there are no time-stamps it is under the newest
// checkpoint for which the quorum of the policy's witnesses stands.
func (n *Notary) WitnessedReceipt(ctx context.Context, who Principal, id ID) (proofs.Receipt, error) {
	if err := n.assured(true); err != nil {
		return proofs.Receipt{}, err
	}
	return n.receipt(ctx, who, id, true, true)
}

// NewestReceipt returns the receipt of one of the principal's deposits under the newest
// published checkpoint, or under the newest for which the witnesses' quorum stands.
func (n *Notary) NewestReceipt(ctx context.Context, who Principal, id ID, witnessed bool) (proofs.Receipt, error) {
	if err := n.assured(witnessed); err != nil {
		return proofs.Receipt{}, err
	}
	return n.receipt(ctx, who, id, false, witnessed)
}

func (n *Notary) receipt(ctx context.Context, who Principal, id ID, stamped, witnessed bool) (proofs.Receipt, error) {
	o, err := n.find(ctx, who, id)
	if err != nil {
		return proofs.Receipt{}, err
	}
	return n.receiptOf(ctx, o, stamped, witnessed)
}

func (n *Notary) receiptOf(ctx context.Context, o *opened, stamped, witnessed bool) (proofs.Receipt, error) {
	if stamped {
		// A stamp that is damaged is reported, and takes nobody's receipt.
		if r, err := n.stampedReceipt(ctx, o); !errors.Is(err, ErrNotStamped) && !errors.Is(err, ErrDamaged) {
			return r, err
		}
	}
	v, err := n.published(ctx, o.row.Index, witnessed)
	if err != nil {
		return proofs.Receipt{}, n.delayed(o.row.ID, o.row.Index, witnessed)
	}
	defer n.metrics.since(stageProve, time.Now())
	return n.prove(ctx, v, o.row.Index, o.entry, o.disclosures)
}

// Document is a held document, open for reading at any offset.
type Document struct {
	*io.SectionReader
	Name   string // content.name, as the depositor claimed; may be empty
	Type   string // content.type, likewise
	SHA256 string // hex

	blob Blob
}

// Close releases the document.
func (d *Document) Close() error { return d.blob.Close() }

// Document opens the document of one of the principal's deposits. What is read is
// authenticated piece by piece: a damaged blob fails, and never reads wrong.
func (n *Notary) Document(ctx context.Context, who Principal, id ID) (*Document, error) {
	o, err := n.find(ctx, who, id)
	if err != nil {
		return nil, err
	}
	if held, _ := o.record.Get("content.held"); held != proofs.Boolean(true) {
		return nil, ErrNotHeld
	}
	d, err := n.openDocument(ctx, o)
	if errors.Is(err, ErrDamaged) {
		n.ready.damaged(err)
	}
	return d, err
}

func (n *Notary) openDocument(ctx context.Context, o *opened) (*Document, error) {
	blob, err := n.config.Blobs.Open(ctx, blobName(o.row.Tenant, o.row.ID))
	if errors.Is(err, ErrNotFound) {
		return nil, fmt.Errorf("%w: the document of entry %d (deposit %s) is missing", ErrDamaged, o.row.Index, o.row.ID)
	}
	if err != nil {
		return nil, n.unavailable(err)
	}
	plain, size, err := o.key.openDocument(blob)
	if err != nil {
		blob.Close()
		return nil, err
	}
	text := func(name string) string {
		v, _ := o.record.Get(name)
		s, _ := v.Text()
		return s
	}
	return &Document{
		SectionReader: io.NewSectionReader(&watched{n, o.row.Index, plain}, 0, size),
		Name:          text("content.name"),
		Type:          text("content.type"),
		SHA256:        text("content.sha256"),
		blob:          blob,
	}, nil
}

// watched reads a document and says what a failure means. Since every piece is
// authenticated, one that does not open is damage, in the store or on the way.
type watched struct {
	n     *Notary
	index uint64
	io.ReaderAt
}

// ReadAt implements io.ReaderAt.
func (w *watched) ReadAt(p []byte, off int64) (int, error) {
	count, err := w.ReaderAt.ReadAt(p, off)
	var forged sio.Error
	switch {
	case err == nil || errors.Is(err, io.EOF):
		return count, err
	case errors.As(err, &forged), errors.Is(err, io.ErrUnexpectedEOF):
		err = fmt.Errorf("%w: the document of entry %d: %w", ErrDamaged, w.index, err)
		w.n.ready.damaged(err)
		return count, err
	}
	return count, fmt.Errorf("%w: the document of entry %d: %w", ErrUnavailable, w.index, err)
}
