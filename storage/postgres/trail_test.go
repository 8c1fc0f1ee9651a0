package postgres

import (
	"strings"
	"testing"
	"time"

	"github.com/muniment/muniment/notary"
)

// TestTrailIsKept: what stands in the trail cannot be changed or taken away, by a replica's
// login not at all and by the owner of the schema not by mistake; and who reads for one
// tenant sees no page of another's.
func TestTrailIsKept(t *testing.T) {
	c := fresh(t)
	l := mustOpen(t, c)
	for _, tenant := range []notary.ID{alice, bob, alice} {
		must(t, notary.WriteTrailOnce(t.Context(), l, notary.TrailEvent{Tenant: tenant, Caller: "key:0123456789abcdef", Action: notary.ActionRead}))
	}
	conn := superuser(t, c)
	for tenant, want := range map[string]int{"": 0, alice.String(): 2, bob.String(): 1, notary.ID{1}.String(): 0} {
		if n := countAs(t, conn, tenant, "trail"); n != want {
			t.Errorf("tenant %q sees %d pages, want %d", tenant, n, want)
		}
	}
	for _, sql := range []string{"UPDATE trail SET text = 'x'", "UPDATE trail SET tenant = tenant", "DELETE FROM trail", "TRUNCATE trail", "UPDATE trail_days SET root = root", "DELETE FROM trail_days", "TRUNCATE trail_days"} {
		if tryAs(t, conn, roleAppend, sql) {
			t.Errorf("a replica may: %s", sql)
		}
		if _, err := conn.Exec(t.Context(), sql); err == nil || !strings.Contains(err.Error(), "the trail is never changed") {
			t.Errorf("the owner may: %s: %v", sql, err)
		}
	}
	pages, err := l.TrailPages(t.Context(), notary.TrailRange{Until: notary.DayOf(time.Now()) + 1, Limit: 10})
	if err != nil || len(pages) != 3 {
		t.Errorf("%d pages, %v", len(pages), err)
	}
}
