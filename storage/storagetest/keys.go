package storagetest

import (
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/muniment/muniment/notary"
)

// testKeys: secrets are replaced by whoever knows them, in their own tenant's rows alone, and
// nothing else of a row is; a state is replaced by whoever knows the one before; those who
// run are known until their lease runs out.
func testKeys(t *testing.T, h Harness) {
	ctx, log := t.Context(), NewLog()
	must(t, log.Append(ctx, h.Ledger, Spec{Tenant: alice}, Spec{Tenant: alice}, Spec{Tenant: bob}, Spec{}))
	before, err := h.Ledger.Rows(ctx, 0, 4)
	must(t, err)
	reseal := func(tenant notary.ID, index uint64, old []byte, fresh string) (int, error) {
		return h.Ledger.Reseal(ctx, tenant, []notary.Resealed{{Index: index, Old: old, New: []byte(fresh)}})
	}
	_, err = reseal(bob, 0, before[0].Secrets, "stolen")
	wantErr(t, "sealing another's row anew", err, notary.ErrNotFound)
	_, err = reseal(alice, 9, []byte("x"), "y")
	wantErr(t, "beyond the head", err, notary.ErrNotFound)
	if n, err := reseal(alice, 0, []byte("not these"), "y"); err != nil || n != 0 {
		t.Errorf("secrets that were others: %d, %v", n, err)
	}
	if _, err := h.Ledger.Reseal(ctx, alice, nil); err == nil {
		t.Error("nothing to be sealed anew is no error")
	}
	n, err := h.Ledger.Reseal(ctx, alice, []notary.Resealed{
		{Index: 0, Old: before[0].Secrets, New: []byte("longer secrets than before, by some bytes")},
		{Index: 1, Old: []byte("meanwhile others"), New: []byte("y")},
	})
	if err != nil || n != 1 {
		t.Errorf("%d rows sealed anew, %v", n, err)
	}
	if n, err := reseal(notary.ID{}, 3, before[3].Secrets, "the depository's own"); err != nil || n != 1 {
		t.Errorf("the depository's own row: %d, %v", n, err)
	}
	before[0].Secrets, before[3].Secrets = []byte("longer secrets than before, by some bytes"), []byte("the depository's own")
	if own, err := h.Ledger.Deposits(ctx, notary.Query{Limit: 9}); err != nil || len(own) != 1 || own[0].Index != 3 {
		t.Errorf("the depository's own rows: %d, %v", len(own), err)
	}

	testKeyStates(t, h.Ledger)
	testAttendants(t, h.Ledger)
	hook := notary.Webhook{ID: notary.ID{15: 1}, Tenant: alice, Created: time.Unix(1, 0), Sealed: []byte("old"), State: []byte("state")}
	must(t, h.Ledger.CreateWebhook(ctx, hook))
	must(t, h.Ledger.ResealWebhook(ctx, bob, hook.ID, []byte("old"), []byte("stolen")))
	must(t, h.Ledger.ResealWebhook(ctx, alice, hook.ID, []byte("older"), []byte("late")))
	must(t, h.Ledger.ResealWebhook(ctx, alice, notary.ID{9}, []byte("old"), []byte("none")))
	checkWebhooks(t, h.Ledger, alice, hook)
	must(t, h.Ledger.ResealWebhook(ctx, alice, hook.ID, []byte("old"), []byte("new")))
	hook.Sealed = []byte("new")

	reopened := h.Reopen()
	checkWebhooks(t, reopened, alice, hook)
	rows, err := reopened.Rows(ctx, 0, 4)
	if err != nil || !sameRows(rows, before) {
		t.Errorf("the rows read as %+v, %v", rows, err)
	}
	states, err := reopened.KeyStates(ctx)
	if err != nil || len(states) != 2 || states[0].Tenant != (notary.ID{}) || states[1].Version != 2 || string(states[1].State) != "second" {
		t.Errorf("states after a reopening: %+v, %v", states, err)
	}
}

func testKeyStates(t *testing.T, l LedgerDriver) {
	ctx := t.Context()
	if all, err := l.KeyStates(ctx); err != nil || len(all) != 0 {
		t.Errorf("states of a fresh ledger: %v, %v", all, err)
	}
	var group sync.WaitGroup
	var saved atomic.Int32
	for range 10 {
		group.Go(func() {
			if l.SaveKeyState(ctx, notary.KeyState{Tenant: alice, State: []byte("first")}) == nil {
				saved.Add(1)
			}
		})
	}
	group.Wait()
	if saved.Load() != 1 {
		t.Errorf("%d began the same state", saved.Load())
	}
	must(t, l.SaveKeyState(ctx, notary.KeyState{Tenant: alice, State: []byte("second"), Version: 1}))
	wantErr(t, "an old version", l.SaveKeyState(ctx, notary.KeyState{Tenant: alice, Version: 1}), notary.ErrConflict)
	wantErr(t, "a version to come", l.SaveKeyState(ctx, notary.KeyState{Tenant: bob, Version: 1}), notary.ErrConflict)
	must(t, l.SaveKeyState(ctx, notary.KeyState{State: []byte("the depository's own")}))
}

func testAttendants(t *testing.T, l LedgerDriver) {
	ctx := t.Context()
	attending := func() (ids []notary.ID) {
		all, err := l.Attending(ctx)
		must(t, err)
		for _, a := range all {
			if string(a.Holds) != "holds" {
				t.Errorf("%v holds %q", a.ID, a.Holds)
			}
			ids = append(ids, a.ID)
		}
		return ids
	}
	if got := attending(); len(got) != 0 {
		t.Errorf("%v attend a fresh ledger", got)
	}
	must(t, l.Attend(ctx, notary.Attendant{ID: notary.ID{2}, Holds: []byte("before")}, time.Hour))
	for _, a := range []struct {
		id    notary.ID
		lease time.Duration
	}{{notary.ID{3}, time.Hour}, {notary.ID{1}, time.Millisecond}, {notary.ID{2}, time.Hour}} {
		must(t, l.Attend(ctx, notary.Attendant{ID: a.id, Holds: []byte("holds")}, a.lease))
	}
	time.Sleep(20 * time.Millisecond)
	if got := attending(); !slices.Equal(got, []notary.ID{{2}, {3}}) {
		t.Errorf("%v attend", got)
	}
	must(t, l.Leave(ctx, notary.ID{2}))
	must(t, l.Leave(ctx, notary.ID{2}))
	if got := attending(); !slices.Equal(got, []notary.ID{{3}}) {
		t.Errorf("%v attend", got)
	}
}
