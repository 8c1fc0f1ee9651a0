package notary

import (
	"errors"
	"fmt"
)

// What a caller may be told, beside the errors of ports.go. service maps each to
// one problem type.
var (
	// ErrForbidden: the principal's role does not allow it.
	ErrForbidden = errors.New("the role does not allow this")
	// ErrKeyReused: the idempotency key stands for other content.
	ErrKeyReused = errors.New("the idempotency key was used for other content")
	// ErrErased: the deposit was lawfully erased; its entry remains.
	ErrErased = errors.New("the deposit was erased")
	// ErrLost: the entry was recovered after a disaster, and its private part was not. It
	// says the same to every caller as if the deposit were not there.
	ErrLost = fmt.Errorf("%w: the private part of the entry was lost in a disaster", ErrNotFound)
	// ErrNotHeld: the deposit is digest-only, so there is no document to read.
	ErrNotHeld = errors.New("the depository never received the document")
	// ErrDigest: the document's SHA-256 or size is not the claimed one.
	ErrDigest = errors.New("the document is not the one that was announced")
	// ErrBusy: the pool of waiting deposits is full. Nothing was kept; retry later.
	ErrBusy = errors.New("too many deposits are waiting")
	// ErrBacklog: too much is committed and not yet published. Nothing was kept.
	ErrBacklog = errors.New("too many entries wait for their seal")
	// ErrQuorum: too few witnesses cosign, so that nothing can be published. Nothing was kept.
	ErrQuorum = errors.New("too few witnesses cosign the log")
	// ErrOpinion: the second tree has not confirmed the log, so that nothing can be sealed.
	// Nothing was kept. An OpinionError says what is wrong with it.
	ErrOpinion = errors.New("nothing is sealed without the second opinion")
	// ErrTreeBehind is the ErrOpinion of a second tree that catches up with the ledger.
	ErrTreeBehind = fmt.Errorf("%w, which catches up", ErrOpinion)
	// ErrNoWitnesses: a witnessed receipt was asked for, and the policy has no witnesses.
	ErrNoWitnesses = errors.New("the log has no witnesses")
	// ErrClock: the clock jumped, so no honest time can be given. Nothing was kept.
	ErrClock = errors.New("the clock is not to be trusted")
	// ErrUnavailable: storage did not answer in time or failed. Whether the deposit
	// was kept is unknown; the same key tells.
	ErrUnavailable = errors.New("storage did not answer")
	// ErrStopped: the notary is stopping, or has stopped itself.
	ErrStopped = errors.New("the depository is stopping")
)

// InvalidError refuses a deposit's description. Nothing was kept.
type InvalidError struct {
	Member string // the member at fault; empty when it is the whole
	Reason string // one clause that says what to do
}

func (e *InvalidError) Error() string {
	if e.Member == "" {
		return e.Reason
	}
	return e.Member + ": " + e.Reason
}

func invalid(member, format string, args ...any) error {
	return &InvalidError{Member: member, Reason: fmt.Sprintf(format, args...)}
}

// SealingDelayedError says that the deposit is committed, and that time ran
// out before its seal was published. The same key later returns the same id, index and entry.
type SealingDelayedError struct{ ID ID }

func (e *SealingDelayedError) Error() string {
	return "the deposit " + e.ID.String() + " is committed and waits for its seal"
}

// QuorumMissingError says that the deposit is committed, and that time ran out before
// the witnesses' quorum stood for it. The same key later returns the same id, index and
// entry.
type QuorumMissingError struct{ ID ID }

func (e *QuorumMissingError) Error() string {
	return "the deposit " + e.ID.String() + " is committed and waits for the witnesses' quorum"
}

// OpinionError is an ErrOpinion with what is wrong, in words that hold nothing of what the
// second tree itself said.
type OpinionError struct {
	Why  string
	kind error // ErrOpinion, or one that is
}

func (e *OpinionError) Error() string { return ErrOpinion.Error() + ": " + e.Why }
func (e *OpinionError) Unwrap() error { return e.kind }

// OpinionMissingError says that the deposit is committed, and that time ran out before the
// second tree confirmed the log with it. The same key later returns the same id, index and
// entry.
type OpinionMissingError struct{ ID ID }

func (e *OpinionMissingError) Error() string {
	return "the deposit " + e.ID.String() + " is committed and waits for the second opinion"
}
