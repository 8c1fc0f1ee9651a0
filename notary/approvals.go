package notary

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/muniment/muniment/proofs"
)

// Where approvers are named, what an operator did with their approval stands in the log, and
// who they are does too: so that nobody puts others in their place unseen.

const (
	actApproved  Act = "approved"  // an operation, by the note in its record
	actApprovers Act = "approvers" // who approves from now on
	// termApprovers finds the notices of that act.
	termApprovers = "approvers"
)

// ErrUsed: the approval stands in the log already.
var ErrUsed = errors.New("this approval was used before")

// NamedApprovers is a list of approvers as it stands in the log.
type NamedApprovers struct {
	Index uint64 // of the entry
	List  string // as proofs/approval writes it
	Note  string // by which those before approved of it; empty for the first
}

// Approvers returns every list of approvers in the log, in their order.
func Approvers(ctx context.Context, c Config) ([]NamedApprovers, error) {
	n, err := prepare(c)
	if err != nil {
		return nil, err
	}
	return n.Approvers(ctx)
}

// Approvers is the function Approvers on a running Notary.
func (n *Notary) Approvers(ctx context.Context) (all []NamedApprovers, err error) {
	tk, err := n.config.TenantKey(ID{})
	if err != nil {
		return nil, err
	}
	term := tk.termer().term(termApprovers, "")
	for from := uint64(0); ; {
		rows, err := n.config.Ledger.Deposits(ctx, Query{Term: &term, From: from, Limit: ownRows})
		if err != nil {
			return nil, fmt.Errorf("reading who approves: %w", err)
		}
		for _, row := range rows {
			o, err := n.unseal(row)
			if err != nil {
				return nil, err
			}
			all = append(all, NamedApprovers{row.Index, o.text("approval.list"), o.text("approval.note")})
			from = row.Index + 1
		}
		if len(rows) < ownRows {
			return all, nil
		}
	}
}

// NameApprovers writes a list of approvers into the log as its number nth, by a command that has
// opened no notary: committed on return, and sealed by who seals. Of several that try, one
// does, and the others are ErrUsed.
func NameApprovers(ctx context.Context, c Config, list, note string, nth int) error {
	n, err := prepareCommand(ctx, c)
	if err != nil {
		return err
	}
	defer n.halt()
	p, err := n.approvalEntry(ctx, map[string]string{"notice.act": string(actApprovers), "approval.list": list, "approval.note": note}, fmt.Sprintf("approvers %d", nth))
	if err != nil {
		return err
	}
	n.sequence([]*pending{p})
	return p.used(<-p.done)
}

// WriteApproval writes into the log what was approved, by a command that has opened no notary.
// A second time is ErrUsed.
func WriteApproval(ctx context.Context, c Config, note, nonce string) error {
	n, err := prepareCommand(ctx, c)
	if err != nil {
		return err
	}
	defer n.halt()
	p, err := n.approvedEntry(ctx, note, nonce)
	if err != nil {
		return err
	}
	n.sequence([]*pending{p})
	return p.used(<-p.done)
}

// WriteApproval is the function WriteApproval on a running Notary.
func (n *Notary) WriteApproval(ctx context.Context, note, nonce string) error {
	p, err := n.approvedEntry(ctx, note, nonce)
	if err == nil {
		err = n.enter(p)
	}
	if err != nil {
		return err
	}
	select {
	case err := <-p.done:
		return p.used(err)
	case <-n.run.Done():
		return errors.Join(ErrUnavailable, ErrStopped)
	}
}

// used is what a commit comes to of which one alone is meant.
func (p *pending) used(err error) error {
	if err == nil && p.again {
		return ErrUsed
	}
	return err
}

func (n *Notary) approvedEntry(ctx context.Context, note, nonce string) (*pending, error) {
	return n.approvalEntry(ctx, map[string]string{"notice.act": string(actApproved), "approval.note": note}, "approval "+nonce)
}

// approvalEntry prepares a notice of the depository's own under a key of its own.
func (n *Notary) approvalEntry(ctx context.Context, values map[string]string, key string) (*pending, error) {
	values["log.origin"] = n.key.Name
	if values["approval.note"] == "" {
		delete(values, "approval.note")
	}
	row, err := n.ownEntry(proofs.KindNotice, values)
	if err != nil {
		return nil, err
	}
	tk, err := n.config.TenantKey(ID{})
	if err != nil {
		return nil, err
	}
	terms := tk.termer()
	if values["approval.list"] != "" {
		row.terms = []Term{terms.term(termApprovers, "")} // as termer.terms makes it of the record
	}
	return &pending{ctx: ctx, op: Operation{Key: terms.term(termKey, key)}, rows: []*prepared{row}, entered: time.Now(), done: make(chan error, 1)}, nil
}

// prepareCommand readies a notary that commits and does nothing else, until it is halted.
func prepareCommand(ctx context.Context, c Config) (*Notary, error) {
	n, err := prepare(c)
	if err != nil {
		return nil, err
	}
	n.run, n.halt = context.WithCancel(ctx)
	if _, err := n.auditAnchors(ctx); err != nil {
		n.halt()
		return nil, err
	}
	now, err := c.Ledger.Now(ctx)
	if err != nil {
		n.halt()
		return nil, err
	}
	n.clock.start(now)
	return n, nil
}

// Contains refuses a state that is not one of this log's: of more entries than the ledger has,
// or of another root.
func Contains(ctx context.Context, c Config, size uint64, root proofs.Hash) error {
	n, err := prepare(c)
	if err != nil {
		return err
	}
	head, err := c.Ledger.Head(ctx)
	if err != nil {
		return err
	}
	if size > head.Size {
		return fmt.Errorf("the ledger has %d entries, not %d", head.Size, size)
	}
	if got, err := proofs.RootAt(size, n.storedTiles(ctx)); err != nil || got != root {
		return errors.Join(fmt.Errorf("the log had another root with %d entries", size), err)
	}
	return nil
}
