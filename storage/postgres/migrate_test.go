package postgres

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/storage/storagetest"
)

// TestBackAndForth: an upgrade and a downgrade, on a ledger that takes deposits meanwhile,
// cost nothing of it. What is not this program's version is refused with what to do.
func TestBackAndForth(t *testing.T) {
	p := newDatabase(t)
	l, log := openAs(t, p.AppURL()), storagetest.NewLog()
	c := Config{URL: p.URL()}
	grow := func() error {
		return log.Append(t.Context(), l, storagetest.Spec{Tenant: alice}, storagetest.Spec{Tenant: bob}, storagetest.Spec{Tenant: alice})
	}
	must(t, grow())
	stop := make(chan struct{})
	var lender sync.WaitGroup
	lender.Go(func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(5 * time.Millisecond):
				if err := grow(); err != nil {
					t.Errorf("a deposit meanwhile: %v", err)
					return
				}
			}
		}
	})
	for range 3 {
		for version := int64(schemaVersion) - 1; version >= oldestVersion; version-- {
			must(t, MigrateTo(t.Context(), c, version))
			if _, err := Open(t.Context(), Config{URL: p.AppURL()}); err == nil || !strings.Contains(err.Error(), "run munimentd migrate") {
				t.Errorf("version %d: %v", version, err)
			}
		}
		must(t, Migrate(t.Context(), c))
	}
	close(stop)
	lender.Wait()
	must(t, log.Check(t.Context(), l))
	must(t, log.Check(t.Context(), openAs(t, p.AppURL())))
	must(t, l.CreateWebhook(t.Context(), notary.Webhook{ID: notary.ID{1}, Tenant: alice, Sealed: []byte("x")}))
	for _, version := range []int64{oldestVersion - 1, schemaVersion + 1} {
		if err := MigrateTo(t.Context(), c, version); err == nil {
			t.Errorf("version %d is taken", version)
		}
	}
	run(t, p.URL(), "CREATE OR REPLACE FUNCTION ledger_version() RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT 99::bigint'")
	if _, err := Open(t.Context(), Config{URL: p.AppURL()}); err == nil || !strings.Contains(err.Error(), "newer than this program") {
		t.Errorf("a newer schema: %v", err)
	}
}

// TestPendingKeyHasEnded: to the program of the version before, a key that waits to be
// confirmed is one that has ended; and a downgrade leaves no key whose role it does not know.
func TestPendingKeyHasEnded(t *testing.T) {
	p := newDatabase(t)
	l, c := openAs(t, p.AppURL()), Config{URL: p.URL()}
	ends := time.Now().Add(time.Hour).UTC().Truncate(time.Microsecond)
	pending := notary.APIKey{Hash: [32]byte{1}, Tenant: alice, Role: notary.Compliance, AskedBy: "key:a", Expires: ends}
	for _, k := range []notary.APIKey{pending, {Hash: [32]byte{2}, Tenant: alice, Role: notary.Depositor}, {Hash: [32]byte{3}, Tenant: alice, Role: notary.Auditor, Supervises: []notary.ID{bob}}} {
		must(t, l.CreateAPIKey(t.Context(), k))
	}
	expires := func() (at time.Time) {
		must(t, l.work.QueryRow(t.Context(), "SELECT expires FROM api_keys WHERE hash = $1", pending.Hash[:]).Scan(&at))
		return at.UTC()
	}
	if got := expires(); !got.Before(time.Now()) {
		t.Errorf("before it is confirmed: %v", got)
	}
	must(t, l.ConfirmAPIKey(t.Context(), pending.Hash, "key:b", time.Now()))
	if got := expires(); !got.Equal(ends) {
		t.Errorf("once it is confirmed: %v, want %v", got, ends)
	}
	pending.Hash = [32]byte{4}
	must(t, l.CreateAPIKey(t.Context(), pending))
	must(t, MigrateTo(t.Context(), c, 9))
	must(t, Migrate(t.Context(), c))
	keys, err := openAs(t, p.AppURL()).APIKeys(t.Context())
	must(t, err)
	if len(keys) != 2 || keys[0].Hash != [32]byte{1} || keys[1].Hash != [32]byte{2} {
		t.Errorf("after a downgrade: %+v", keys)
	}
}
