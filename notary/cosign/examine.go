package cosign

import (
	"context"
	"errors"
	"sync"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/proofs"
)

// A Standing is how a witness stands to a checkpoint that it was shown.
type Standing struct {
	Witness string // its name in the policy, the first if it has several
	Names   []string
	URL     string
	Size    uint64 // that it cosigned last, as it says; 0 if it says nothing
	Err     error  // nil: it cosigned the checkpoint, or is behind it
	Dissent bool   // Err is that it knows the log as another, or further on
}

// Examine shows a published checkpoint to each witness once, and returns how each stands
// to it, in the policy's order. Of a witness that is behind it is not known whether it
// would agree.
func (c *Client) Examine(ctx context.Context, checkpoint proofs.Checkpoint, note []byte) []Standing {
	out := make([]Standing, len(c.peers))
	var all sync.WaitGroup
	for i, p := range c.peers {
		all.Go(func() {
			asked := &peer{url: p.url, names: p.names, size: checkpoint.Size}
			_, err := c.ask(ctx, asked, notary.Sealed{Checkpoint: checkpoint, Note: note, Prove: unproved})
			s := Standing{Witness: p.names[0], Names: p.names, URL: p.url, Size: asked.size, Err: err}
			dissent := new(dissentError)
			switch {
			case errors.Is(err, errUnproved):
				s.Err = nil
			case errors.As(err, &dissent):
				s.Size, s.Dissent = dissent.Size, true
			case err != nil:
				s.Size = 0
			}
			out[i] = s
		})
	}
	all.Wait()
	return out
}

func unproved(context.Context, uint64, uint64) ([]proofs.Hash, error) {
	return nil, errors.New("no ledger is at hand")
}
