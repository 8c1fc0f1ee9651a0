package notary

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/muniment/muniment/proofs"
)

// quorumPatience is for how long the witnesses' quorum may be missing before that is
// said to callers: a lost connection costs them a moment, and no refusal.
const quorumPatience = 2 * time.Second

// unwitnessedAgain is how soon witnesses are asked again for a checkpoint that was
// published without their quorum.
const unwitnessedAgain = time.Second

// errQuorum: the quorum does not stand, and nothing is published without it.
var errQuorum = errors.New("the witnesses' quorum is missing")

// required reports whether nothing is published without the witnesses' quorum.
func (n *Notary) required() bool { return n.config.Witnesses != nil && !n.config.Advisory }

// cosign asks the witnesses for their cosignatures on a checkpoint that every anchor
// holds, and returns what is to be published of it. Where the quorum is required and
// does not stand, that is errQuorum. A witness that proves another history ends the
// process.
func (n *Notary) cosign(ctx context.Context, head Head, next proofs.Checkpoint, note proofs.Note) (*view, error) {
	v := &view{size: next.Size, note: note.Marshal(), witnessed: true}
	if n.config.Witnesses == nil {
		return v, nil
	}
	if !n.sealing() {
		return nil, errDeposed
	}
	begun := time.Now()
	said := n.config.Witnesses.Cosign(ctx, Sealed{Checkpoint: next, Note: v.note, Time: head.Time, Prove: n.proveGrowth})
	n.metrics.since(stageCosign, begun)
	if err := n.weigh(ctx, next, said.Dissents); err != nil {
		return nil, err
	}
	note.Signatures = append(slices.Clip(note.Signatures), said.Cosignatures...)
	cosigned := note.Marshal()
	_, outcome, reason := n.verifier.Checkpoint(cosigned)
	if outcome == proofs.Verified || reason == proofs.ReasonQuorum {
		v.note = cosigned
	}
	v.witnessed = outcome == proofs.Verified
	n.quorum(v)
	if !v.witnessed && n.required() {
		return nil, errQuorum
	}
	return v, nil
}

// quorum notes whether the quorum stands, and says so when that changes.
func (n *Notary) quorum(v *view) {
	switch before := n.ready.witness(v.size, v.witnessed); {
	case before && !v.witnessed:
		n.config.Logger.Error("the witnesses' quorum is missing; asking them again")
	case !before && v.witnessed:
		n.config.Logger.Info("the witnesses' quorum stands again")
	}
}

// proveGrowth proves to a witness that the log only grew.
func (n *Notary) proveGrowth(ctx context.Context, from, to uint64) ([]proofs.Hash, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return proofs.ConsistencyProof(from, to, n.tiles.reader(ctx, &view{}))
}

// weigh judges what dissenting witnesses show. A checkpoint that this log has signed
// and that does not fit ends the process: the log was rolled back, or another signs in
// its name. A mere word of a witness ends it only where the quorum cannot stand
// without those who say the same: else one liar could stop the depository.
func (n *Notary) weigh(ctx context.Context, next proofs.Checkpoint, dissents []Dissent) error {
	if len(dissents) == 0 {
		return nil
	}
	able := map[string]bool{}
	for _, w := range n.config.Policy.Witnesses {
		able[w.Name] = true
	}
	var ahead []Dissent
	for _, d := range dissents {
		if d.Size > next.Size {
			ahead = append(ahead, d)
			able[d.Witness] = false
		}
		if cp, outcome, _ := n.logAlone.Checkpoint(d.Note); outcome == proofs.Verified {
			if err := n.holdAgainst(ctx, next, cp, d.Witness); err != nil {
				return err
			}
		}
	}
	if len(ahead) == 0 || n.config.Policy.Stands(able) {
		return nil
	}
	least := slices.MinFunc(ahead, func(a, b Dissent) int { return cmp.Compare(a.Size, b.Size) })
	return n.overtaken(ctx, least.Size, least.Witness, "says that it cosigned")
}

// holdAgainst holds a checkpoint that this log signed, and a witness shows, against the
// ledger and the anchors.
func (n *Notary) holdAgainst(ctx context.Context, next, shown proofs.Checkpoint, witness string) error {
	if shown.Size > next.Size {
		return n.overtaken(ctx, shown.Size, witness, "shows this log's signature on")
	}
	root, err := proofs.RootAt(shown.Size, n.storedTiles(ctx))
	if err != nil {
		return err
	}
	if root != shown.Root {
		return contradiction("witness %q shows this log's signature on root %s at size %d, where the ledger has %s: the log has two histories",
			witness, shown.Root, shown.Size, root)
	}
	return nil
}

// overtaken is what it means that a witness knows more entries than it was asked about:
// another replica has sealed them, as an anchor then tells, or all that is kept was
// rolled back.
func (n *Notary) overtaken(ctx context.Context, size uint64, witness, how string) error {
	var newest uint64
	for _, a := range n.config.Anchors {
		held, err := a.Load(ctx)
		if err != nil {
			return err
		}
		if cp, err := proofs.ParseCheckpoint(string(held)); err == nil {
			newest = max(newest, cp.Size)
		}
	}
	switch {
	case size > newest:
		return contradiction("witness %q %s %d entries, but no anchor holds more than %d: the log was rolled back; restore ledger and anchors with at least %d entries",
			witness, how, size, newest, size)
	case !n.sealing():
		return errDeposed
	}
	return errForeign
}

// unwitnessed fires when a published checkpoint without a quorum is due to be shown to
// the witnesses again.
func (n *Notary) unwitnessed() <-chan time.Time {
	if v := n.view.Load(); n.config.Witnesses == nil || v.size == 0 || v.witnessed {
		return nil
	}
	return time.After(unwitnessedAgain)
}

// patient fires when a missing quorum, or a missing second opinion, is not waited for any
// longer.
func (n *Notary) patient() <-chan time.Time {
	switch {
	case n.required():
		return time.After(quorumPatience)
	case n.opinionRequired():
		return time.After(opinionPatience)
	}
	return nil
}

// assured refuses to promise a quorum of nobody.
func (n *Notary) assured(witnessed bool) error {
	if witnessed && n.config.Witnesses == nil {
		return ErrNoWitnesses
	}
	return nil
}

// delayed is the error of who waited in vain for the publication of a committed deposit.
func (n *Notary) delayed(id ID, index uint64, witnessed bool) error {
	if n.opinionMissing() {
		return &OpinionMissingError{id}
	}
	if n.ready.quorumMissing() || witnessed && n.view.Load().size > index {
		return &QuorumMissingError{id}
	}
	return &SealingDelayedError{id}
}
