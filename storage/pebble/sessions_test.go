package pebble

import (
	"encoding/binary"
	"errors"
	"testing"
	"time"

	"github.com/muniment/muniment/notary"
)

// TestSweepOfManySessions: a sweep goes on until none is left that has ended, however many
// one write takes.
func TestSweepOfManySessions(t *testing.T) {
	l := mustOpen(t, Config{Dir: t.TempDir()})
	defer l.Close()
	now := time.Now().UTC().Truncate(time.Millisecond)
	const n = 2*maxSwept + 1
	hash := func(i int) (h [32]byte) {
		binary.BigEndian.PutUint64(h[:], uint64(i))
		return h
	}
	var all []value
	for i := range 2 * n { // every other one goes on
		fields, err := appendSession(&notary.Session{Hash: hash(i), Begun: now, Seen: now, Ends: now.Add(time.Duration(i%2) * 2 * time.Hour)})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, value{hashKey32(tableSessions, hash(i)), fields})
	}
	if err := l.insert(t.Context(), all...); err != nil {
		t.Fatal(err)
	}
	if err := l.SweepSessions(t.Context(), now.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	for i := range 2 * n {
		_, err := l.Session(t.Context(), hash(i))
		if gone := errors.Is(err, notary.ErrNotFound); gone != (i%2 == 0) {
			t.Fatalf("session %d: %v", i, err)
		}
	}
}
