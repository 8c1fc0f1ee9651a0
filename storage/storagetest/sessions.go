package storagetest

import (
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/muniment/muniment/notary"
)

// testSessions: a session reads back as it was begun, ends for every reader at once, and a
// sweep takes those that have ended and no others.
func testSessions(t *testing.T, h Harness) {
	ctx, l := t.Context(), h.Ledger
	at := time.Date(2026, 11, 24, 1, 2, 3, 456e6, time.UTC)
	session := func(n byte, ends time.Time) notary.Session {
		return notary.Session{Hash: [32]byte{n}, Tenant: alice, Role: notary.Compliance, Caller: "oidc:0123456789abcdef", Name: "沈 <b>\u202e", Begun: at, Seen: at, Ends: ends}
	}
	all := []notary.Session{session(1, at.Add(time.Hour)), session(2, at.Add(2*time.Hour)), session(3, at.Add(3*time.Hour))}
	all[1].Key, all[1].Name = [32]byte{9}, ""
	all[2].Role, all[2].Supervises, all[2].Tenant = notary.Auditor, []notary.ID{bob, alice}, notary.ID{}
	check := func(l LedgerDriver, want ...notary.Session) {
		t.Helper()
		for _, s := range want {
			got, err := l.Session(ctx, s.Hash)
			if err != nil || !reflect.DeepEqual(got, s) {
				t.Errorf("%+v, %v, want %+v", got, err, s)
			}
		}
	}
	gone := func(l LedgerDriver, hash [32]byte) {
		t.Helper()
		if _, err := l.Session(ctx, hash); !errors.Is(err, notary.ErrNotFound) {
			t.Errorf("a session that is not there: %v", err)
		}
	}
	gone(l, [32]byte{1})
	for _, s := range all {
		must(t, l.BeginSession(ctx, s))
	}
	check(l, all...)
	wantErr(t, "a second session of one token", l.BeginSession(ctx, session(1, at)), notary.ErrExists)
	check(l, all...)

	all[0].Seen = at.Add(time.Minute)
	must(t, l.SeeSession(ctx, all[0].Hash, all[0].Seen))
	must(t, l.SeeSession(ctx, [32]byte{99}, at)) // one that ended meanwhile is not begun again
	gone(l, [32]byte{99})
	l = h.Reopen()
	check(l, all...)

	must(t, l.SweepSessions(ctx, all[0].Ends)) // before, not at
	check(l, all...)
	must(t, l.SweepSessions(ctx, all[0].Ends.Add(time.Millisecond)))
	gone(l, all[0].Hash)
	check(l, all[1:]...)
	must(t, l.EndSession(ctx, all[1].Hash))
	must(t, l.EndSession(ctx, all[1].Hash)) // a missing one is no error
	gone(l, all[1].Hash)
	check(l, all[2])
	l = h.Reopen()
	gone(l, all[1].Hash)
	check(l, all[2])
}
