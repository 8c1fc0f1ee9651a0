package notary

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// A rotation of a tenant's wrap key, once its new generation is offered:
//
//	in force     every process that runs has it: all that is new is sealed under it
//	first pass   every row's data key, in the order of the log; how far it has come is kept
//	settled      five seconds after, and once the lock of the head was taken: nothing is
//	             committed under another generation any more
//	full pass    rows, webhooks, keys beside segments, from the first to the last; one that
//	             finds nothing left has the store's files scoured, and makes the rotation clean
//
// Each step can be done again, by another process too, and none changes a document, a
// record, an entry or a seed: the data key stays what it was.

// resealChunk is how many rows are read, and sealed anew in one commit, at most: the lock of
// the head is held for as long as the disk takes for some 16 KiB.
const resealChunk = 256

// OfferKey offers the highest generation of a tenant's key file to all who run, unless it is
// offered or in force already. The process that seals puts it in force once everyone has it.
func OfferKey(ctx context.Context, k Keys, tenant ID, tk TenantKey) (Rotation, error) {
	all := tk.Generations()
	next := all[len(all)-1]
	r, err := RotationOf(ctx, k, tenant)
	if err != nil {
		return r, err
	}
	switch {
	case r.Generation == next.Generation && r.Check == next.check(), r.Next == next.Generation && r.NextCheck == next.check():
		return r, nil
	case r.UnderWay() && r.Next != next.Generation:
		return r, fmt.Errorf("%w: a rotation of this key to generation %d is under way", ErrKeyStep, max(r.Next, r.Generation))
	case len(all) == 1:
		return r, fmt.Errorf("%w: the key file has one generation alone", ErrKeyStep)
	}
	r.Next, r.NextCheck = next.Generation, next.check()
	return r, saveRotation(ctx, k, &r)
}

// RotationOf returns how far the rotation of one tenant's key has come.
func RotationOf(ctx context.Context, k Keys, tenant ID) (Rotation, error) {
	all, err := Rotations(ctx, k)
	if err != nil {
		return Rotation{}, err
	}
	for _, r := range all {
		if r.Tenant == tenant {
			return r, nil
		}
	}
	return Rotation{Tenant: tenant}, nil
}

// Retire returns the key without the generations that nothing stands under any more, if the
// ledger says so, and whether there were any.
func (k TenantKey) Retire(r Rotation) (TenantKey, bool, error) {
	if r.Generation == 0 || r.Next > 0 || !r.Clean {
		return k, false, fmt.Errorf("%w: something may still stand under an older generation", ErrKeyStep)
	}
	kept, err := inForce(k, r)
	if err != nil {
		return k, false, err
	}
	old := len(kept.Others) > 0
	kept.Others = nil
	return kept, old, nil
}

// Missing returns the generation that a rotation has put in force, or offers, and that the
// key has not got; 0: it has both. The error is that it has another key of that number.
func (k TenantKey) Missing(r Rotation) (generation uint32, err error) {
	for _, want := range []struct {
		generation uint32
		check      string
	}{{r.Generation, r.Check}, {r.Next, r.NextCheck}} {
		if want.generation == 0 || holds(k, want.generation, want.check) {
			continue
		}
		if _, err := k.wrapOf(want.generation); err != nil {
			return want.generation, nil
		}
		return 0, fmt.Errorf("%w: its generation %d is another key than the one in force", ErrGeneration, want.generation)
	}
	return 0, nil
}

// RotateNow carries the rotation of one tenant's key to its end, for who has the ledger
// alone and no notary open. told is called after each step.
func RotateNow(ctx context.Context, c Config, tenant ID, told func(Rotation)) error {
	n, err := prepare(c)
	if err != nil {
		return err
	}
	n.run, n.halt = context.WithCancel(ctx)
	defer n.halt()
	for {
		known, err := n.readRotations(ctx)
		if err != nil {
			return err
		}
		r := known.of[tenant]
		if told(r); !r.UnderWay() {
			return nil
		}
		if err := n.rotate(ctx, r, true); err != nil {
			return err
		}
		if !n.sleep(rotationsRead / 4) {
			return ctx.Err()
		}
	}
}

// rotate takes one rotation a step further. alone: no other process has the ledger open, so
// nothing of it is remembered anywhere.
func (n *Notary) rotate(ctx context.Context, r Rotation, alone bool) error {
	if r.Next > 0 {
		return n.enforce(ctx, r)
	}
	if err := n.resealFirst(ctx, &r); err != nil {
		return err
	}
	call, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	now, err := n.config.Ledger.Now(call)
	if err != nil || now.Sub(r.Begun) < rotationSettled {
		return err
	}
	size, err := n.barrier(call)
	if err != nil {
		return err
	}
	if n.config.Segments != nil && !alone && n.view.Load().size < size {
		return nil // what is not sealed yet may still go into a segment as it was
	}
	found, err := n.resealAll(ctx, r, size)
	if err != nil || found > 0 {
		return err
	}
	if err := n.config.Keys.Scour(ctx); err != nil {
		return err
	}
	r.Clean, r.Through, r.Size = true, size, size
	if err := saveRotation(ctx, n.config.Keys, &r); err != nil {
		return err
	}
	n.config.Logger.Info("nothing stands under the older generations of a tenant's key any more", "tenant", r.Tenant, "generation", r.Generation)
	return nil
}

// enforce puts the offered generation in force, if everyone who runs has it.
func (n *Notary) enforce(ctx context.Context, r Rotation) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	all, err := n.config.Keys.Attending(ctx)
	if err != nil || !everyoneHas(all, r.NextCheck) {
		return err
	}
	tk, err := n.fileKey(r.Tenant)
	if err != nil {
		return err
	}
	if !holds(tk, r.Next, r.NextCheck) {
		return fmt.Errorf("%w: generation %d, which is offered", ErrGeneration, r.Next)
	}
	now, err := n.config.Ledger.Now(ctx)
	if err != nil {
		return err
	}
	next := Rotation{Tenant: r.Tenant, Generation: r.Next, Check: r.NextCheck, Begun: now.UTC(), version: r.version}
	if err := saveRotation(ctx, n.config.Keys, &next); err != nil {
		return err
	}
	_, err = n.readRotations(ctx)
	return err
}

// barrier returns the size of the log once everything that was being committed when it was
// called is, or never will be.
func (n *Notary) barrier(ctx context.Context) (size uint64, err error) {
	err = n.config.Ledger.Append(ctx, Lookups{}, func(s State) (*Batch, error) {
		size = s.Head.Size
		return nil, nil
	})
	return size, err
}

// resealFirst is the first pass: it goes on where it was interrupted.
func (n *Notary) resealFirst(ctx context.Context, r *Rotation) error {
	head, err := n.config.Ledger.Head(ctx)
	if err != nil {
		return err
	}
	saved := time.Now()
	for r.Through < head.Size {
		next, _, err := n.resealFrom(ctx, *r, r.Through, head.Size)
		if err != nil {
			return err
		}
		r.Through, r.Size = next, head.Size
		if time.Since(saved) > rotationsRead || next == head.Size {
			if err := saveRotation(ctx, n.config.Keys, r); err != nil {
				return err
			}
			saved = time.Now()
		}
	}
	return nil
}

// resealFrom seals anew what the next rows of the tenant below size have under another
// generation, and returns from where to go on, and how many rows that were.
func (n *Notary) resealFrom(ctx context.Context, r Rotation, from, size uint64) (next uint64, found int, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	tk, err := n.config.TenantKey(r.Tenant)
	if err != nil {
		return from, 0, err
	}
	rows, err := n.config.Ledger.Deposits(ctx, Query{Tenant: r.Tenant, From: from, Limit: resealChunk})
	if err != nil {
		return from, 0, err
	}
	var changed []Resealed
	next = size
	if len(rows) == resealChunk {
		next = min(size, rows[len(rows)-1].Index+1)
	}
	for _, row := range rows {
		if row.Index >= size {
			break
		}
		sealed, err := resealSecrets(tk, row, n.config.Rand)
		if err != nil {
			return from, 0, err
		}
		if sealed != nil {
			changed = append(changed, Resealed{row.Index, row.Secrets, sealed})
		}
	}
	if len(changed) > 0 {
		done, err := n.config.Keys.Reseal(ctx, r.Tenant, changed)
		if err != nil {
			return from, 0, err
		}
		n.keyring.resealed.Add(uint64(done))
	}
	return next, len(changed), nil
}

// resealAll is a full pass. It returns how much it found under another generation, and has
// sealed all of that anew.
func (n *Notary) resealAll(ctx context.Context, r Rotation, size uint64) (found int, err error) {
	for at := uint64(0); at < size; {
		next, some, err := n.resealFrom(ctx, r, at, size)
		if err != nil {
			return found, err
		}
		at, found = next, found+some
	}
	hooks, err := n.resealWebhooks(ctx, r)
	if err != nil || n.config.Segments == nil {
		return found + hooks, err
	}
	err = n.config.Segments.ListKeys(ctx, n.key.Name, 0, func(name SegmentName) error {
		some, err := n.resealSegment(ctx, r, name)
		found += some
		return err
	})
	return found + hooks, err
}

func (n *Notary) resealWebhooks(ctx context.Context, r Rotation) (found int, err error) {
	store, ok := n.config.Keys.(Webhooks)
	if !ok {
		return 0, errors.New("who keeps rotations keeps no webhooks")
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	tk, err := n.config.TenantKey(r.Tenant)
	if err != nil {
		return 0, err
	}
	hooks, err := store.Webhooks(ctx, r.Tenant)
	if err != nil {
		return 0, err
	}
	for _, w := range hooks {
		if w.Tenant != r.Tenant {
			continue // the zero tenant asks for everyone's
		}
		plain, current, err := tk.openWebhook(w)
		if err != nil {
			return found, err
		}
		if current {
			continue
		}
		sealed, err := tk.sealWebhook(w, plain)
		if err == nil {
			err = n.config.Keys.ResealWebhook(ctx, w.Tenant, w.ID, w.Sealed, sealed)
		}
		if err != nil {
			return found, err
		}
		found++
	}
	return found, nil
}

// resealSegment sees to the keys beside one segment. They become those of the ledger where
// it has the same row, so that both stay alike; a row that was never sealed has none there.
func (n *Notary) resealSegment(ctx context.Context, r Rotation, name SegmentName) (found int, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	segment, keys, err := n.config.Segments.Load(ctx, name)
	if errors.Is(err, ErrNotFound) || err == nil && keys == nil {
		return 0, nil // keys without a segment open nothing
	}
	if err != nil {
		return 0, err
	}
	rows, err := decodeSegment(name, segment)
	if err != nil {
		return 0, err
	}
	secrets, err := decodeKeys(name, keys)
	if err != nil {
		return 0, err
	}
	fresh := map[int][]byte{}
	for i, row := range rows {
		if row.Tenant != r.Tenant || len(secrets[i]) == 0 {
			continue
		}
		if g, _, ok := splitSecrets(secrets[i]); ok && g == r.Generation {
			continue
		}
		row.Secrets = secrets[i]
		if fresh[i], err = n.freshSecrets(ctx, row.Row); err != nil {
			return 0, err
		}
	}
	if len(fresh) == 0 {
		return 0, nil
	}
	return len(fresh), n.config.Segments.EditKeys(ctx, name, func(keys []byte) ([]byte, error) {
		now, err := decodeKeys(name, keys)
		if err != nil {
			return nil, err
		}
		for i, s := range fresh {
			if len(now[i]) > 0 { // else it was erased meanwhile
				now[i] = s
			}
		}
		return encodeKeys(name, now), nil
	})
}

// freshSecrets are those that a row of a segment is to have under the generation in force.
func (n *Notary) freshSecrets(ctx context.Context, row Row) ([]byte, error) {
	stored, err := n.config.Ledger.Row(ctx, row.Index)
	if err == nil && stored.Tenant == row.Tenant && stored.ID == row.ID {
		return stored.Secrets, nil // empty: it was erased
	}
	if err != nil && !errors.Is(err, ErrNotFound) {
		return nil, err
	}
	tk, err := n.config.TenantKey(row.Tenant)
	if err != nil {
		return nil, err
	}
	return resealSecrets(tk, row, n.config.Rand)
}
