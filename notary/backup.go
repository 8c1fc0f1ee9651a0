package notary

import (
	"context"
	"errors"
	"fmt"

	"github.com/muniment/muniment/proofs"
)

// rowsAtOnce is as many as Ledger.Rows gives.
const rowsAtOnce = 1024

// HeldDocuments calls fn with the index and the blob's name of each document that the
// depository holds by a ledger, in ascending order of index. progress, unless nil, is
// called with entries done and in all. It stops at fn's first error and returns it.
//
// Only what a copy must bring along is looked at. Whether it is sound, Fsck says.
func HeldDocuments(ctx context.Context, l Ledger, tenantKey func(ID) (TenantKey, error), progress func(done, total uint64), fn func(index uint64, blob string) error) error {
	head, err := l.Head(ctx)
	if err != nil {
		return fmt.Errorf("reading the head: %w", err)
	}
	for from := uint64(0); from < head.Size; from += rowsAtOnce {
		rows, err := l.Rows(ctx, from, min(from+rowsAtOnce, head.Size))
		if err != nil {
			return fmt.Errorf("reading the rows from %d: %w", from, err)
		}
		for _, row := range rows {
			held, err := holdsDocument(row, tenantKey)
			if err != nil {
				return err
			}
			if held {
				if err := fn(row.Index, blobName(row.Tenant, row.ID)); err != nil {
					return err
				}
			}
			if progress != nil {
				progress(row.Index+1, head.Size)
			}
		}
	}
	return ctx.Err()
}

func holdsDocument(row Row, tenantKey func(ID) (TenantKey, error)) (bool, error) {
	if isLost(row) {
		return false, nil
	}
	tk, err := tenantKey(row.Tenant)
	if err != nil {
		return false, fmt.Errorf("key of tenant %s: %w", row.Tenant, err)
	}
	key, err := openSecrets(tk, row)
	if errors.Is(err, ErrErased) {
		return false, nil // and its document with it
	}
	if err != nil {
		return false, err
	}
	b, err := openBody(key.rowKeys(), row)
	if err != nil {
		return false, err
	}
	held, _ := b.record.Get("content.held")
	return held == proofs.Boolean(true), nil
}

// Continues reports by a nil error that a ledger holds the log whose state cp is, at
// that size or later. An error that says that it does not, names both.
func Continues(ctx context.Context, l Ledger, cp proofs.Checkpoint) error {
	head, err := l.Head(ctx)
	if err != nil {
		return fmt.Errorf("reading the head: %w", err)
	}
	if cp.Size > head.Size {
		return contradiction("the ledger has %d entries, not the %d of that checkpoint", head.Size, cp.Size)
	}
	root, err := proofs.RootAt(cp.Size, &storedTiles{ctx: ctx, ledger: l, read: map[tileID]*proofs.Tile{}})
	if err != nil {
		return fmt.Errorf("root at size %d: %w", cp.Size, err)
	}
	if root != cp.Root {
		return contradiction("the ledger's root at size %d is %s, the checkpoint's is %s: another history", cp.Size, root, cp.Root)
	}
	return nil
}
