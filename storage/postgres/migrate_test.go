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
