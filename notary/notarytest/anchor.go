package notarytest

import (
	"bytes"
	"context"
	"fmt"
	"sync"

	"github.com/muniment/muniment/notary"
)

// Anchor is a notary.Anchor in memory. Several notaries may share it.
type Anchor struct {
	Faults *Faults

	mu   sync.Mutex
	body []byte // nil: there is no register
}

// NewAnchor returns a register that holds body; with nil, one that nobody has
// created.
func NewAnchor(body []byte) *Anchor {
	return &Anchor{Faults: &Faults{names: []string{"Load", "Advance"}}, body: bytes.Clone(body)}
}

// Snapshot returns a copy of the body: a backup.
func (a *Anchor) Snapshot() []byte {
	a.mu.Lock()
	defer a.mu.Unlock()
	return bytes.Clone(a.body)
}

// Restore puts a copy of body in its place; nil takes the register away.
func (a *Anchor) Restore(body []byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.body = bytes.Clone(body)
}

// errNoRegister is the error of a register that nobody has created.
var errNoRegister = fmt.Errorf("there is no anchor: %w", notary.ErrNotFound)

// Load implements notary.Anchor.
func (a *Anchor) Load(ctx context.Context) (body []byte, err error) {
	err = a.Faults.call(ctx, "Load", func() error {
		body = a.Snapshot()
		if body == nil {
			return errNoRegister
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return body, nil
}

// Advance implements notary.Anchor.
func (a *Anchor) Advance(ctx context.Context, prev, next []byte) error {
	return a.Faults.call(ctx, "Advance", func() error {
		a.mu.Lock()
		defer a.mu.Unlock()
		switch {
		case a.body == nil:
			return errNoRegister
		case !bytes.Equal(a.body, prev):
			return notary.ErrConflict
		case len(next) == 0 || len(next) > 4000:
			return fmt.Errorf("an anchor holds 1 to 4,000 bytes, not %d", len(next))
		}
		a.body = bytes.Clone(next)
		return nil
	})
}
