package notary

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/muniment/muniment/proofs"
)

// Unsealed returns the body that the anchors of a new log are created with: a tree
// without entries.
func Unsealed(origin string) []byte {
	return []byte(proofs.Checkpoint{Origin: origin, Size: 0, Root: proofs.EmptyRoot}.String())
}

// Init writes the genesis entry, which names the log and its key, as the first of
// an empty ledger. Where a genesis stands already, nothing is written.
func Init(ctx context.Context, c Config) error {
	n, err := prepare(c)
	if err != nil {
		return err
	}
	n.run, n.halt = context.WithCancel(ctx)
	defer n.halt()
	head, err := n.config.Ledger.Head(ctx)
	if err != nil {
		return err
	}
	if head.Size > 0 {
		return nil
	}
	now, err := n.config.Ledger.Now(ctx)
	if err != nil {
		return err
	}
	n.clock.start(now)
	row, err := n.genesis()
	if err != nil {
		return err
	}
	p := &pending{ctx: ctx, rows: []*prepared{row}, entered: time.Now(), done: make(chan error, 1)}
	n.sequence([]*pending{p})
	if err := <-p.done; err != nil {
		return fmt.Errorf("writing the genesis entry: %w", err)
	}
	if row.row.Index != 0 {
		return errors.New("another process initialised the log at the same time")
	}
	return nil
}

func (n *Notary) genesis() (*prepared, error) {
	previous, err := previousMembers(n.config.Previous)
	if err != nil {
		return nil, err
	}
	return n.ownEntry(proofs.KindGenesis, map[string]string{"log.origin": n.key.Name, "log.key": n.key.String()}, previous...)
}

// previousMembers name the last sealed state of the log that a new one follows.
func previousMembers(cp *proofs.Checkpoint) (proofs.Record, error) {
	if cp == nil {
		return nil, nil
	}
	origin, err1 := proofs.Text(cp.Origin)
	size, err2 := proofs.Integer(int64(cp.Size))
	root, err3 := proofs.Text(cp.Root.String())
	return proofs.Record{
		{Name: "log.previous.origin", Value: origin},
		{Name: "log.previous.size", Value: size},
		{Name: "log.previous.root", Value: root},
	}, errors.Join(err1, err2, err3)
}
