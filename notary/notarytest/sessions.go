package notarytest

import (
	"context"
	"slices"
	"time"

	"github.com/muniment/muniment/notary"
)

// BeginSession implements notary.Sessions.
func (l *Ledger) BeginSession(ctx context.Context, s notary.Session) error {
	return l.call(ctx, "BeginSession", func(state *LedgerState) error {
		if _, taken := state.Sessions[s.Hash]; taken {
			return notary.ErrExists
		}
		state.Sessions[s.Hash] = cloneSession(s)
		return nil
	})
}

// Session implements notary.Sessions.
func (l *Ledger) Session(ctx context.Context, hash [32]byte) (notary.Session, error) {
	return read(ctx, l, "Session", func(state *LedgerState) (notary.Session, error) {
		s, err := found(state.Sessions, hash)
		return cloneSession(s), err
	})
}

// SeeSession implements notary.Sessions.
func (l *Ledger) SeeSession(ctx context.Context, hash [32]byte, at time.Time) error {
	return l.call(ctx, "SeeSession", func(state *LedgerState) error {
		if s, there := state.Sessions[hash]; there {
			s.Seen = at
			state.Sessions[hash] = s
		}
		return nil
	})
}

// EndSession implements notary.Sessions.
func (l *Ledger) EndSession(ctx context.Context, hash [32]byte) error {
	return l.call(ctx, "EndSession", func(state *LedgerState) error {
		delete(state.Sessions, hash)
		return nil
	})
}

// SweepSessions implements notary.Sessions.
func (l *Ledger) SweepSessions(ctx context.Context, before time.Time) error {
	return l.call(ctx, "SweepSessions", func(state *LedgerState) error {
		for hash, s := range state.Sessions {
			if s.Ends.Before(before) {
				delete(state.Sessions, hash)
			}
		}
		return nil
	})
}

func cloneSession(s notary.Session) notary.Session {
	s.Supervises = slices.Clone(s.Supervises)
	return s
}
