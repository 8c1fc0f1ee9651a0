package postgres

import (
	"errors"
	"testing"
	"time"

	"github.com/muniment/muniment/notary"
)

// TestSessionsOfReplicas: who signs in at one replica is known to the others at once, and
// who signs out at one is signed out at all.
func TestSessionsOfReplicas(t *testing.T) {
	c := fresh(t)
	ctx, a, b := t.Context(), mustOpen(t, c), mustOpen(t, c)
	at := time.Now().UTC().Truncate(time.Millisecond)
	s := notary.Session{Hash: [32]byte{1}, Tenant: alice, Role: notary.Compliance, Caller: "oidc:0123456789abcdef", Begun: at, Seen: at, Ends: at.Add(time.Hour)}
	must(t, a.BeginSession(ctx, s))
	if err := b.BeginSession(ctx, s); !errors.Is(err, notary.ErrExists) {
		t.Errorf("one token twice: %v", err)
	}
	must(t, b.SeeSession(ctx, s.Hash, at.Add(time.Minute)))
	if got, err := a.Session(ctx, s.Hash); err != nil || !got.Seen.Equal(at.Add(time.Minute)) {
		t.Errorf("%+v, %v", got, err)
	}
	must(t, b.EndSession(ctx, s.Hash))
	must(t, a.SeeSession(ctx, s.Hash, at.Add(2*time.Minute)))
	for _, l := range []*Ledger{a, b} {
		if _, err := l.Session(ctx, s.Hash); !errors.Is(err, notary.ErrNotFound) {
			t.Errorf("a session that was ended: %v", err)
		}
	}
}

// TestSweepOfManySessions: a sweep goes on until none is left that has ended, however many
// one statement takes.
func TestSweepOfManySessions(t *testing.T) {
	c := fresh(t)
	l, conn := mustOpen(t, c), superuser(t, c)
	now := time.Now()
	_, err := conn.Exec(t.Context(), `INSERT INTO sessions SELECT sha256(n::text::bytea), NULL, $1, 'court', '', '{}', '', $2, $2, $2::timestamptz + (n % 2) * interval '2 hours'
		FROM generate_series(1, $3) n`, uuid(alice), now, 5*maxSwept)
	must(t, err)
	must(t, l.SweepSessions(t.Context(), now.Add(time.Hour)))
	var left, ended int
	must(t, conn.QueryRow(t.Context(), "SELECT count(*), count(*) FILTER (WHERE ends < $1) FROM sessions", now.Add(time.Hour)).Scan(&left, &ended))
	if left != 5*maxSwept/2 || ended != 0 {
		t.Errorf("%d are left, of which %d have ended", left, ended)
	}
}
