package notary_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/notary/notarytest"
	"github.com/muniment/muniment/proofs"
)

func sheet(t *testing.T, operator, build string) proofs.Record {
	t.Helper()
	r, err := proofs.ParseMembers(`{"facts.operator":"` + operator + `","build.version":"` + build + `","facts.standards":["RFC 6962"]}`)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// stated returns the builds that the fact sheets of a log name, in their order.
func stated(t *testing.T, n *notary.Notary) (builds []string) {
	t.Helper()
	size := n.Status(t.Context()).Published
	for i := range size {
		r, err := n.PublicReceipt(t.Context(), i)
		if errors.Is(err, notary.ErrNotFound) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if r.Entry.Kind == proofs.KindFacts {
			builds = append(builds, text(r, "build.version"))
		}
	}
	return builds
}

// TestFacts: the sheet that is in force says what this process says, and stands in the log
// once, however often it starts; another takes its place.
func TestFacts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDepository(t)
		open := func(build string) *notary.Notary {
			c := d.config()
			c.Facts = sheet(t, "Evidence Centre", build)
			begun := time.Now()
			n, err := notary.Open(t.Context(), c)
			if err != nil {
				t.Fatal(err)
			}
			if r, err := n.Facts(t.Context(), 0); err != nil || text(r, "build.version") != build || time.Since(begun) > time.Second {
				t.Errorf("in force after %v: %v", time.Since(begun), err)
			}
			return n
		}
		for range 3 {
			n := open("v1")
			if got := strings.Join(stated(t, n), " "); got != "v1" {
				t.Errorf("stated: %s", got)
			}
			closeNotary(t, n)
			time.Sleep(time.Hour)
		}
		n := open("v2")
		if got := strings.Join(stated(t, n), " "); got != "v1 v2" {
			t.Errorf("stated: %s", got)
		}
		first, err := n.Facts(t.Context(), 2)
		if err != nil || text(first, "build.version") != "v1" || text(first, "log.origin") != origin {
			t.Errorf("in force at 2: %v, %v", first, err)
		}
		newest, err := n.Facts(t.Context(), 0)
		if err != nil || text(newest, "build.version") != "v2" {
			t.Errorf("in force: %v, %v", newest, err)
		}
		if _, err := n.Facts(t.Context(), 1); !errors.Is(err, notary.ErrNotFound) {
			t.Errorf("in force at genesis: %v", err)
		}
		// Nobody's deposit.
		if found, _, err := n.Search(t.Context(), d.principal(), notary.Search{Limit: 100}); err != nil || len(found) != 0 {
			t.Errorf("a tenant finds %d, %v", len(found), err)
		}
		closeNotary(t, n)
		d.check()
	})
}

// TestFactsOfTwoBuilds: replicas of two builds that seal in turns do not fill the log, and
// two that begin at once state their facts once.
func TestFactsOfTwoBuilds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDepository(t)
		turns := 40
		for i := range turns {
			c := d.config()
			c.Facts = sheet(t, "Evidence Centre", []string{"v1", "v2"}[i%2])
			n, err := notary.Open(t.Context(), c)
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(2 * time.Minute)
			if i == turns-1 {
				if got := stated(t, n); len(got) > turns*2/10+1 {
					t.Errorf("%d sheets in %d minutes", len(got), 2*turns)
				}
			}
			closeNotary(t, n)
		}
	})
}

// TestFactsAfterFailure: whatever fails, the sheet comes to stand in the log, once.
func TestFactsAfterFailure(t *testing.T) {
	for _, kind := range []notarytest.Kind{notarytest.Fails, notarytest.FailsYetPersisted, notarytest.TimesOut} {
		for _, call := range []string{"Append", "Commit", "Deposits", "Head"} {
			t.Run(call+" "+kind.String(), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					d := newDepository(t)
					c := d.config()
					c.Facts = sheet(t, "Evidence Centre", "v1")
					n, err := notary.Open(t.Context(), c)
					if err != nil {
						t.Fatal(err)
					}
					d.ledger.Faults.Set(notarytest.Fault{Call: call, Kind: kind})
					time.Sleep(5 * time.Minute)
					d.ledger.Faults.Reset()
					time.Sleep(5 * time.Minute)
					if got := strings.Join(stated(t, n), " "); got != "v1" {
						t.Errorf("stated: %s", got)
					}
					closeNotary(t, n)
				})
			})
		}
	}
}

func TestBadFacts(t *testing.T) {
	for _, bad := range []string{
		`{"tenant.name":"x"}`, `{"facts.operator":1}`, `{"facts.nonsense":"x"}`, `{"build.sha256":"x"}`, `{"label.x":"y"}`,
	} {
		r, err := proofs.ParseMembers(bad)
		if err != nil {
			t.Fatal(err)
		}
		d := newDepository(t)
		c := d.config()
		c.Facts = r
		if _, err := notary.Open(t.Context(), c); err == nil {
			t.Errorf("%s is taken", bad)
		}
	}
}
