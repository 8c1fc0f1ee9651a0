package client

import (
	"fmt"
	"strings"

	"github.com/muniment/muniment/proofs"
)

// believe reads a receipt, holds it against itself and, where there is a verifier,
// against its policy.
func (c *Client) believe(data []byte) (proofs.Receipt, error) {
	r, err := proofs.ParseReceipt(data)
	if err != nil {
		return proofs.Receipt{}, fmt.Errorf("%w: %w", ErrReceipt, err)
	}
	if err := c.judge(r); err != nil {
		return proofs.Receipt{}, err
	}
	return r, nil
}

func (c *Client) judge(r proofs.Receipt) error {
	if c.Verifier == nil {
		return consistent(r)
	}
	e, err := c.Verifier.Verify(r, nil)
	if err != nil {
		return err
	}
	if e.Outcome() != proofs.Verified {
		return fmt.Errorf("%w: %s", ErrReceipt, e.Explain(proofs.English).Verdict)
	}
	return nil
}

// consistent checks what can be checked without knowing any key.
func consistent(r proofs.Receipt) error {
	if proofs.Commitment(r.Disclosures) != r.Entry.Record {
		return fmt.Errorf("%w: its record is not the one in its entry", ErrReceipt)
	}
	cp, err := readCheckpoint(r.Checkpoint)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrReceipt, err)
	}
	if err := proofs.VerifyInclusion(r.Path, r.Index, cp.Size, r.Entry.LeafHash(), cp.Root); err != nil {
		return fmt.Errorf("%w: its entry is not under its checkpoint: %w", ErrReceipt, err)
	}
	return nil
}

func readCheckpoint(data []byte) (proofs.Checkpoint, error) {
	note, err := proofs.ParseNote(data)
	if err != nil {
		return proofs.Checkpoint{}, err
	}
	return proofs.ParseCheckpoint(note.Text)
}

// about checks that a receipt is of what was sent: every claim as it was made, no
// claim that was not, nothing hidden, and the document held if and only if it was sent.
func about(r proofs.Receipt, claims proofs.Record, held bool) error {
	if r.Entry.Kind != proofs.KindDeposit {
		return fmt.Errorf("%w: its entry is of the kind %s, not a deposit", ErrReceipt, r.Entry.Kind)
	}
	if err := signedAs(r, claims); err != nil {
		return err
	}
	for _, m := range claims {
		if m.Name == "depositor.signature" {
			continue // of a retry the first one stands
		}
		if v, ok := r.Member(m.Name); !ok || v != m.Value {
			return fmt.Errorf("%w: it does not say the %s that was sent", ErrReceipt, m.Name)
		}
	}
	for _, d := range r.Disclosures {
		if d.Hidden {
			return fmt.Errorf("%w: it hides %s from its depositor", ErrReceipt, d.Name)
		}
		if _, made := claims.Get(d.Name); !made && claimed(d.Name) {
			return fmt.Errorf("%w: it says a %s that was not sent", ErrReceipt, d.Name)
		}
	}
	if v, _ := r.Member("content.held"); v != proofs.Boolean(held) {
		return fmt.Errorf("%w: it does not say rightly whether the document was sent", ErrReceipt)
	}
	if id, ok := r.Member("id"); !ok || !proofs.TypeUUID.Holds(id) {
		return fmt.Errorf("%w: it has no id", ErrReceipt)
	}
	return nil
}

// signedAs checks that a receipt has a good signature by the key of the claims, if they have one.
func signedAs(r proofs.Receipt, claims proofs.Record) error {
	s, sound := proofs.CheckDepositor(r.Disclosures)
	_, signed := claims.Get("depositor.signature")
	switch {
	case !sound, signed && s.Check != proofs.DepositorValid:
		return fmt.Errorf("%w: its depositor's signature does not hold", ErrReceipt)
	}
	return nil
}

// claimed reports whether a member is the depositor's alone to set. A server that
// added one would put words in its mouth.
func claimed(name string) bool {
	switch name {
	case "content.name", "content.type", "provenance.system", "provenance.generated", "depositor.key", "depositor.signature":
		return true
	}
	family, _, _ := strings.Cut(name, ".")
	return family == "contract" || family == "party" || family == "terms" || family == "label"
}
