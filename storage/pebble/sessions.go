package pebble

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	engine "github.com/cockroachdb/pebble/v2"

	"github.com/muniment/muniment/notary"
)

// maxSwept bounds what one write of a sweep takes away.
const maxSwept = 1000

func appendSession(s *notary.Session) ([]byte, error) { return json.Marshal(s) }

func decodeSession(fields []byte) (s notary.Session, err error) {
	err = json.Unmarshal(fields, &s)
	return s, err
}

// BeginSession implements notary.Sessions.
func (l *Ledger) BeginSession(ctx context.Context, s notary.Session) error {
	fields, err := appendSession(&s)
	if err == nil {
		err = l.insert(ctx, value{hashKey32(tableSessions, s.Hash), fields})
	}
	if err != nil {
		return fmt.Errorf("begin session: %w", err)
	}
	return nil
}

// Session implements notary.Sessions.
func (l *Ledger) Session(ctx context.Context, hash [32]byte) (notary.Session, error) {
	v, err := l.begin(ctx)
	if err != nil {
		return notary.Session{}, err
	}
	defer l.end(v)
	return l.session(v.snapshot, hash)
}

func (l *Ledger) session(r engine.Reader, hash [32]byte) (notary.Session, error) {
	fields, err := l.get(r, hashKey32(tableSessions, hash))
	if err != nil {
		return notary.Session{}, fmt.Errorf("session: %w", err)
	}
	s, err := decodeSession(fields)
	if err != nil || s.Hash != hash {
		return notary.Session{}, corrupt("session: %v", err)
	}
	return s, nil
}

// SeeSession implements notary.Sessions.
func (l *Ledger) SeeSession(ctx context.Context, hash [32]byte, at time.Time) error {
	if err := l.lock(ctx); err != nil {
		return err
	}
	defer l.unlock()
	s, err := l.session(l.db, hash)
	if errors.Is(err, notary.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	s.Seen = at
	fields, err := appendSession(&s)
	if err != nil {
		return err
	}
	return l.writeAll([]value{{hashKey32(tableSessions, hash), fields}})
}

// EndSession implements notary.Sessions.
func (l *Ledger) EndSession(ctx context.Context, hash [32]byte) error {
	if err := l.lock(ctx); err != nil {
		return err
	}
	defer l.unlock()
	return l.remove(hashKey32(tableSessions, hash))
}

// SweepSessions implements notary.Sessions.
func (l *Ledger) SweepSessions(ctx context.Context, before time.Time) error {
	var ended [][]byte
	err := l.eachAccount(ctx, tableSessions, 1+32, func(_ engine.Reader, key, fields []byte) error {
		s, err := decodeSession(fields)
		if err == nil && s.Ends.Before(before) {
			ended = append(ended, hashKey32(tableSessions, [32]byte(key)))
		}
		return err
	})
	for len(ended) > 0 && err == nil {
		n := min(len(ended), maxSwept)
		if err = l.lock(ctx); err == nil {
			err = l.remove(ended[:n]...)
			l.unlock()
		}
		ended = ended[n:]
	}
	return err
}
