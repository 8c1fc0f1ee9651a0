package notary

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/muniment/muniment/proofs"
)

// destroy destroys the private part of a deposit whose erasure is published: its key beside
// the segments, then its key, record and look-up terms in the ledger, then its document. A
// crash leaves it between two steps, and it is taken up again: by the same request, by the
// look at the newest entries when a notary opens, or by the scrubber.
//
// The ledger comes after the segments, since its key says that there is something left to
// do; and the segments once more, for one that was being stored meanwhile. A document of
// which nobody has the key is swept, if it cannot be deleted now.
func (n *Notary) destroy(ctx context.Context, row Row) error {
	erasure := Erasure{Tenant: row.Tenant, Index: row.Index}
	o, err := n.unseal(row)
	switch {
	case err == nil:
		tk, err := n.config.TenantKey(row.Tenant)
		if err != nil {
			return n.unavailable(err)
		}
		erasure.Terms, _ = tk.termer().terms(o.record)
	case !errors.Is(err, ErrErased):
		return err
	}
	for _, step := range []func() error{
		func() error { return n.eraseCopies(ctx, row.Index) },
		func() error { return n.config.Ledger.Erase(ctx, erasure) },
		func() error { return n.eraseCopies(ctx, row.Index) },
	} {
		if err := step(); err != nil {
			return n.unavailable(fmt.Errorf("erasing entry %d: %w", row.Index, err))
		}
	}
	n.remove(blobName(row.Tenant, row.ID))
	return nil
}

// eraseCopies destroys the key of a row beside every segment that has the row.
func (n *Notary) eraseCopies(ctx context.Context, index uint64) error {
	if n.config.Segments == nil {
		return nil
	}
	return ForgetKey(ctx, n.config.Segments, n.key.Name, index)
}

// leftOf returns the deposit that a notice says was erased, and whether that is still to be
// done.
func (n *Notary) leftOf(ctx context.Context, notice *opened) (row Row, left bool, err error) {
	if notice.entry.Kind != proofs.KindNotice || Act(notice.text("notice.act")) != ActErase {
		return row, false, nil
	}
	id, err := ParseID(notice.text("notice.deposit"))
	if err != nil {
		return row, false, fmt.Errorf("%w: the notice of entry %d names no deposit", ErrDamaged, notice.row.Index)
	}
	row, err = n.config.Ledger.Deposit(ctx, notice.row.Tenant, id)
	return row, err == nil && len(row.Secrets) > 0 && !isLost(row), err
}

// finishErasure carries out the erasure that a notice says, if that was not done. It reports
// whether there was something left.
func (n *Notary) finishErasure(ctx context.Context, notice *opened) (left bool, err error) {
	row, left, err := n.leftOf(ctx, notice)
	if err != nil || !left {
		return false, err
	}
	return true, n.destroy(ctx, row)
}

// keptUntil is until when a deposit is kept at least; zero: no term was set.
func (n *Notary) keptUntil(o *opened) time.Time {
	return n.config.Retention.End(o.record, o.entry.Time)
}
