package notary

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/muniment/muniment/proofs"
)

// Which keys sign the log is said in the log itself, so that every replica and every
// reader comes to the same answer: the key that genesis names, and from a key entry on
// those that it names. A first key entry begins a rotation, in which the old and the new
// key both sign each checkpoint; a second one ends it, and the new key is left.

// KeyChange is what a key entry says.
type KeyChange struct {
	Index uint64             // of the entry
	Time  time.Time          // of the entry
	Key   proofs.VerifierKey // signs every checkpoint beyond Index
	// Other is the key that was there before: it signs beside Key, or, once Retired, no
	// more.
	Other   proofs.VerifierKey
	Retired bool
	// Approval is the signed note by which it was approved; empty: there is none.
	Approval string
}

// Signing returns the keys that must sign a checkpoint that covers the entry.
func (c KeyChange) Signing() []proofs.VerifierKey {
	if c.Retired {
		return []proofs.VerifierKey{c.Key}
	}
	return []proofs.VerifierKey{c.Other, c.Key}
}

// KeyChanges returns what the key entries of the log say, in their order.
func KeyChanges(ctx context.Context, c Config) ([]KeyChange, error) {
	n, err := prepare(c)
	if err != nil {
		return nil, err
	}
	head, err := n.config.Ledger.Head(ctx)
	if err != nil {
		return nil, err
	}
	return n.keyChanges(ctx, head.Size)
}

// keyLine is how a key entry begins.
var keyLine = []byte("muniment/entry@v1\nkey\n")

// ownRows is how many rows are asked for at a time.
const ownRows = 100

// keyChanges reads the key entries below size.
func (n *Notary) keyChanges(ctx context.Context, size uint64) ([]KeyChange, error) {
	var out []KeyChange
	for from := uint64(0); from < size; {
		rows, err := n.config.Ledger.Deposits(ctx, Query{Tenant: ID{}, From: from, Limit: ownRows})
		if err != nil {
			return nil, fmt.Errorf("reading the key entries: %w", err)
		}
		for _, row := range rows {
			if row.Index >= size || !bytes.HasPrefix(row.Entry, keyLine) {
				continue
			}
			change, err := n.keyChange(row)
			if err != nil {
				return nil, err
			}
			out = append(out, change)
		}
		if len(rows) < ownRows {
			break
		}
		from = rows[len(rows)-1].Index + 1
	}
	return out, nil
}

// keyChange reads one key entry.
func (n *Notary) keyChange(row Row) (KeyChange, error) {
	o, err := n.unseal(row)
	if err != nil {
		return KeyChange{}, fmt.Errorf("the key entry %d: %w", row.Index, err)
	}
	key := func(name string) (k proofs.VerifierKey, there bool, err error) {
		v, there := o.record.Get(name)
		text, _ := v.Text()
		if there {
			k, err = proofs.ParseVerifierKey(text)
		}
		return k, there, err
	}
	c := KeyChange{Index: row.Index, Time: o.entry.Time, Approval: o.text("approval.note")}
	var before, retired proofs.VerifierKey
	var first, last bool
	var errs [3]error
	c.Key, _, errs[0] = key("log.key")
	before, first, errs[1] = key("log.key.previous")
	retired, last, errs[2] = key("log.key.retired")
	if err := errors.Join(errs[:]...); err != nil || first == last {
		return c, fmt.Errorf("%w: the key entry %d does not say which keys sign: %w", ErrDamaged, row.Index, err)
	}
	c.Other, c.Retired = before, last
	if last {
		c.Other = retired
	}
	return c, nil
}

// keysAt returns the keys that must sign a checkpoint of that size. This process must
// have them, and its policy name one of them: else what it signs would not be believed.
func (n *Notary) keysAt(ctx context.Context, size uint64) ([]proofs.VerifierKey, error) {
	changes, err := n.keyChanges(ctx, size)
	if err != nil {
		return nil, err
	}
	if len(changes) == 0 {
		return []proofs.VerifierKey{n.key}, nil
	}
	last := changes[len(changes)-1]
	keys := last.Signing()
	for _, k := range keys {
		if n.signer(k) == nil {
			return nil, contradiction("since entry %d the log is signed with %s, and this process does not have that key: put it where the others have it, as munimentd key rotate says", last.Index, k)
		}
	}
	if !slices.Contains(keys, n.key) {
		return nil, contradiction("since entry %d the log is signed with %s, and the policy of this process names %s, which was retired: munimentd key rotate finish puts the new policy in force", last.Index, last.Key, n.key)
	}
	return keys, nil
}

// signer returns what signs with a key, nil if this process does not have it.
func (n *Notary) signer(k proofs.VerifierKey) crypto.Signer {
	for _, s := range append([]crypto.Signer{n.config.Signer}, n.config.OtherSigners...) {
		if public, ok := s.Public().(ed25519.PublicKey); ok && string(public) == k.Key {
			return s
		}
	}
	return nil
}

// signAll signs a checkpoint with every key that must.
func (n *Notary) signAll(text string) ([]proofs.Signature, error) {
	var all []proofs.Signature
	for _, k := range n.sealer.keys {
		s, err := k.Sign(text, n.signer(k))
		if err != nil {
			return nil, fmt.Errorf("signing with %s: %w", k, err)
		}
		all = append(all, s)
	}
	return all, nil
}

// ErrKeyStep refuses a step of a rotation that does not follow from what the log says.
var ErrKeyStep = errors.New("this is not the next step of the rotation")

// BeginRotation writes the key entry from which on the policy's log key and next both
// sign. Every process that may seal must have both keys before. Done already: nothing
// is written. It is committed on return, and sealed by who seals. approval is the note by
// which it was approved, and may be empty.
func BeginRotation(ctx context.Context, c Config, next proofs.VerifierKey, approval string) (KeyChange, error) {
	return changeKey(ctx, c, approval, func(n *Notary, last *KeyChange) (KeyChange, error) {
		want := KeyChange{Key: next, Other: n.key}
		switch {
		case next.Name != n.key.Name || next.Key == n.key.Key:
			return want, fmt.Errorf("%w: the new key must be another one of %s", ErrKeyStep, n.key.Name)
		case n.signer(next) == nil:
			return want, fmt.Errorf("%w: the new key %s is not at hand", ErrKeyStep, next)
		case last == nil, last.Retired && last.Key == n.key, last.same(want):
			return want, nil
		case last.Retired:
			return want, fmt.Errorf("%w: the log is signed with %s, not with the policy's %s", ErrKeyStep, last.Key, n.key)
		}
		return want, fmt.Errorf("%w: since entry %d a rotation to %s is under way", ErrKeyStep, last.Index, last.Key)
	})
}

// FinishRotation writes the key entry from which on the policy's log key alone signs. Done
// already: nothing is written. Every process that may seal must have the new policy in
// force before; one that has not ends itself.
func FinishRotation(ctx context.Context, c Config, approval string) (KeyChange, error) {
	return changeKey(ctx, c, approval, func(n *Notary, last *KeyChange) (KeyChange, error) {
		if last == nil || last.Key != n.key {
			return KeyChange{}, fmt.Errorf("%w: no rotation to the policy's key %s has begun", ErrKeyStep, n.key)
		}
		return KeyChange{Key: last.Key, Other: last.Other, Retired: true}, nil
	})
}

// same reports whether two changes say the same.
func (c *KeyChange) same(o KeyChange) bool {
	return c.Key == o.Key && c.Other == o.Other && c.Retired == o.Retired
}

// changeKey writes the key entry that next asks for, once.
func changeKey(ctx context.Context, c Config, approval string, next func(n *Notary, last *KeyChange) (KeyChange, error)) (KeyChange, error) {
	n, err := prepare(c)
	if err != nil {
		return KeyChange{}, err
	}
	n.run, n.halt = context.WithCancel(ctx)
	defer n.halt()
	head, err := n.auditAnchors(ctx)
	if err != nil {
		return KeyChange{}, err
	}
	before, err := n.keyChanges(ctx, head.Size)
	if err != nil {
		return KeyChange{}, err
	}
	var last *KeyChange
	if len(before) > 0 {
		last = &before[len(before)-1]
	}
	want, err := next(n, last)
	if err != nil {
		return KeyChange{}, err
	}
	if last != nil && last.same(want) {
		return *last, nil
	}
	want.Approval = approval
	now, err := n.config.Ledger.Now(ctx)
	if err != nil {
		return KeyChange{}, err
	}
	n.clock.start(now)
	return n.writeKeyChange(ctx, want, len(before))
}

// writeKeyChange commits a key entry as number nth of the log's. Of several processes that
// try, one does.
func (n *Notary) writeKeyChange(ctx context.Context, want KeyChange, nth int) (KeyChange, error) {
	members := map[string]string{"log.origin": n.key.Name, "log.key": want.Key.String()}
	if want.Retired {
		members["log.key.retired"] = want.Other.String()
	} else {
		members["log.key.previous"] = want.Other.String()
	}
	if want.Approval != "" {
		members["approval.note"] = want.Approval
	}
	row, err := n.ownEntry(proofs.KindKey, members)
	if err != nil {
		return KeyChange{}, err
	}
	tk, err := n.config.TenantKey(ID{})
	if err != nil {
		return KeyChange{}, err
	}
	key := tk.termer().term(termKey, fmt.Sprintf("key entry %d", nth))
	p := &pending{ctx: ctx, op: Operation{Key: key}, rows: []*prepared{row}, entered: time.Now(), done: make(chan error, 1)}
	n.sequence([]*pending{p})
	if err := <-p.done; err != nil {
		return KeyChange{}, fmt.Errorf("writing the key entry: %w", err)
	}
	changes, err := n.keyChanges(ctx, p.op.First+1)
	if err != nil {
		return KeyChange{}, err
	}
	last := changes[len(changes)-1]
	if !last.same(want) {
		return last, fmt.Errorf("%w: another process wrote another key entry, %d, at the same time", ErrKeyStep, last.Index)
	}
	return last, nil
}

// ownEntry prepares an entry of the depository's own, with a public record.
func (n *Notary) ownEntry(kind proofs.Kind, values map[string]string, members ...proofs.Member) (*prepared, error) {
	tk, err := n.config.TenantKey(ID{})
	if err != nil {
		return nil, err
	}
	id, err := NewID(n.clock.wall, n.config.Rand)
	if err != nil {
		return nil, err
	}
	r := &prepared{kind: kind, row: Row{ID: id}}
	var key dataKey
	if _, err := io.ReadFull(n.config.Rand, key[:]); err != nil {
		return nil, err
	}
	keys := key.rowKeys()
	values["id"] = id.String()
	for name, s := range values {
		v, err := proofs.Text(s)
		if err != nil {
			return nil, err
		}
		members = append(members, proofs.Member{Name: name, Value: v})
	}
	record, err := proofs.NewRecord(members...)
	if err != nil {
		return nil, err
	}
	r.disclosures = record.Disclose(keys.seed)
	r.row.Body = body{record: record}.seal(keys, ID{}, id)
	r.row.Secrets, err = sealSecrets(tk, ID{}, id, key, n.config.Rand)
	return r, err
}
