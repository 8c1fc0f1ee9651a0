package notarytest

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/proofs/mldsa"
)

// CheckLog re-verifies a whole log from what the ledger holds, without a line of
// the code that wrote it: every entry, the hashes of every tile level and the root
// by the recursive definition of RFC 6962 §2.1, the order of times and cases, the
// body at the anchor, the published note, and each receipt, under its own
// checkpoint and under the head.
func CheckLog(ctx context.Context, l notary.Ledger, anchor []byte, policy proofs.Policy, receipts ...proofs.Receipt) error {
	head, err := l.Head(ctx)
	if err != nil {
		return err
	}
	leaves, err := checkRows(ctx, l, head)
	if err != nil {
		return err
	}
	if root := mth(leaves); root != head.Root {
		return fmt.Errorf("head of size %d has root %s, the entries give %s", head.Size, head.Root, root)
	}
	if err := checkLevels(ctx, l, leaves); err != nil {
		return err
	}
	if err := checkCovered(string(anchor), leaves); err != nil {
		return fmt.Errorf("anchor: %w", err)
	}
	note, err := l.Published(ctx)
	switch {
	case errors.Is(err, notary.ErrNotFound):
	case err != nil:
		return err
	default:
		if err := checkNote(note, leaves); err != nil {
			return fmt.Errorf("published note: %w", err)
		}
	}
	verifier := proofs.NewVerifier(policy, mldsa.Plugged())
	for _, r := range receipts {
		if err := checkReceipt(verifier, r, leaves); err != nil {
			return fmt.Errorf("receipt of entry %d: %w", r.Index, err)
		}
	}
	return nil
}

// checkRows reads every entry twice, alone and as a row, and returns the leaves.
func checkRows(ctx context.Context, l notary.Ledger, head notary.Head) ([]proofs.Hash, error) {
	leaves := make([]proofs.Hash, head.Size)
	var last time.Time
	type place struct {
		seq  uint64
		leaf proofs.Hash
	}
	newest := map[proofs.Hash]place{} // deposits of cases, by their leaf
	for i := range head.Size {
		entries, err := l.Entries(ctx, i, i+1)
		if err != nil {
			return nil, err
		}
		row, err := l.Row(ctx, i)
		if err != nil {
			return nil, err
		}
		if row.Index != i || string(row.Entry) != string(entries[0]) {
			return nil, fmt.Errorf("row %d is not its entry", i)
		}
		e, err := proofs.ParseEntry(string(entries[0]))
		if err != nil {
			return nil, fmt.Errorf("entry %d: %w", i, err)
		}
		if e.Time.Before(last) || (e.Kind == proofs.KindGenesis) != (i == 0) {
			return nil, fmt.Errorf("entry %d is a %s at %v after %v", i, e.Kind, e.Time, last)
		}
		last = e.Time
		leaves[i] = proofs.LeafHash(entries[0])
		if row.CaseSeq > 1 {
			before, ok := newest[row.CasePrev]
			if !ok || before.seq+1 != row.CaseSeq {
				return nil, fmt.Errorf("entry %d is number %d of a case whose number before is not there", i, row.CaseSeq)
			}
			delete(newest, row.CasePrev) // no case forks
		}
		if row.CaseSeq > 0 {
			newest[leaves[i]] = place{row.CaseSeq, leaves[i]}
		}
		found, err := l.Deposit(ctx, row.Tenant, row.ID)
		if err != nil {
			return nil, fmt.Errorf("entry %d by its id: %w", i, err)
		}
		if found.Index != i {
			return nil, fmt.Errorf("the id of entry %d leads to entry %d", i, found.Index)
		}
	}
	if head.Size > 0 && !head.Time.Equal(last) {
		return nil, fmt.Errorf("head is dated %v, its newest entry %v", head.Time, last)
	}
	return leaves, nil
}

// mth is MTH(D[n]) of RFC 6962 §2.1.
func mth(leaves []proofs.Hash) proofs.Hash {
	switch len(leaves) {
	case 0:
		return proofs.EmptyRoot
	case 1:
		return leaves[0]
	}
	k := 1
	for k*2 < len(leaves) {
		k *= 2
	}
	return proofs.NodeHash(mth(leaves[:k]), mth(leaves[k:]))
}

func checkLevels(ctx context.Context, l notary.Ledger, leaves []proofs.Hash) error {
	for level, width := 0, 1; len(leaves)/width > 0; level, width = level+1, width*proofs.TileWidth {
		for i := range len(leaves) / width {
			got, err := l.Hashes(ctx, level, uint64(i), uint64(i+1))
			if err != nil {
				return err
			}
			if got[0] != mth(leaves[i*width:(i+1)*width]) {
				return fmt.Errorf("hash %d of level %d is not that of its entries", i, level)
			}
		}
		if _, err := l.Hashes(ctx, level, uint64(len(leaves)/width), uint64(len(leaves)/width+1)); err == nil {
			return fmt.Errorf("level %d has hashes beyond the head", level)
		}
	}
	return nil
}

// checkCovered checks that a checkpoint's body states a prefix of the log.
func checkCovered(body string, leaves []proofs.Hash) error {
	cp, err := proofs.ParseCheckpoint(body)
	if err != nil {
		return err
	}
	if cp.Size > uint64(len(leaves)) {
		return fmt.Errorf("size %d is beyond the ledger's %d", cp.Size, len(leaves))
	}
	if root := mth(leaves[:cp.Size]); root != cp.Root {
		return fmt.Errorf("root of size %d is %s, the entries give %s", cp.Size, hex.EncodeToString(cp.Root[:]), hex.EncodeToString(root[:]))
	}
	return nil
}

func checkNote(note []byte, leaves []proofs.Hash) error {
	n, err := proofs.ParseNote(note)
	if err != nil {
		return err
	}
	return checkCovered(n.Text, leaves)
}

func checkReceipt(v *proofs.Verifier, r proofs.Receipt, leaves []proofs.Hash) error {
	parsed, err := proofs.ParseReceipt(r.Marshal())
	if err != nil {
		return err
	}
	e, err := v.Verify(parsed, nil)
	if err != nil {
		return err
	}
	if e.Outcome() != proofs.Verified {
		return fmt.Errorf("%v: %s", e.Outcome(), e.Reason)
	}
	if e.Index >= uint64(len(leaves)) || leaves[e.Index] != e.Leaf {
		return errors.New("the log holds another entry at its index")
	}
	return checkNote(r.Checkpoint, leaves)
}
