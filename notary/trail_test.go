package notary_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/notary/notarytest"
	"github.com/muniment/muniment/proofs"
)

// did is an event of a tenant's, known by its request.
func did(tenant notary.ID, request string) notary.TrailEvent {
	return notary.TrailEvent{Tenant: tenant, Caller: "key:0123456789abcdef", Role: notary.Compliance, Action: notary.ActionDocument, Deposit: notary.ID{9}, Status: 200, Address: "192.0.2.7", Request: request}
}

// auditor reads a tenant's trail.
func auditor(tenant notary.ID) notary.Principal {
	return notary.Principal{Tenant: notary.Tenant{ID: tenant}, Role: notary.Compliance}
}

// requests are those of all events of a tenant, in their order.
func requests(t *testing.T, n *notary.Notary, tenant notary.ID) (all []string) {
	t.Helper()
	for at := (notary.TrailPlace{}); ; {
		events, next, err := n.TrailEvents(t.Context(), auditor(tenant), notary.TrailQuery{At: at, Limit: 100})
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range events {
			if e.Tenant != tenant {
				t.Errorf("an event of %v is shown to %v", e.Tenant, tenant)
			}
			all = append(all, e.Request)
		}
		if next == nil {
			return all
		}
		at = *next
	}
}

func verifyTrail(t *testing.T, d *depository, n *notary.Notary) *notary.TrailReport {
	t.Helper()
	var report *notary.TrailReport
	var err error
	if n != nil {
		report, err = n.VerifyTrail(t.Context())
	} else {
		report, err = notary.VerifyTrail(t.Context(), d.config())
	}
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// TestTrailDays: two replicas write over many midnights, and one hands over to another at
// each. Every event is there once, in the day of its time; each day is closed once, stands
// in the log once, and is what the log says.
func TestTrailDays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var skipped atomic.Int64 // the time between two midnights, in which nobody is there
		d := newDepositoryAt(t, func() time.Time { return time.Now().Add(time.Duration(skipped.Load())) })
		d.parallel = true
		open := func() *notary.Notary {
			c := d.config()
			c.Peers, c.AcceptClock = d.peers.Replica(), true
			n, err := notary.Open(t.Context(), c)
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
		var want []string
		for night := range 6 {
			now, _ := d.ledger.Now(t.Context())
			midnight := now.Truncate(24 * time.Hour).Add(24 * time.Hour)
			skipped.Add(int64(midnight.Sub(now) - 10*time.Second))
			want = append(want, overMidnight(t, uint64(night), open)...)
		}
		n := open()
		time.Sleep(trailSettles)
		checkTrailDays(t, d, n, want)
		closeNotary(t, n)
		d.check()
	})
}

// trailSettles is by when a day that has ended is in the log.
const trailSettles = 30 * time.Second

// overMidnight writes events from ten seconds before it until ten after, by three replicas,
// of which one comes a second before and one goes a second after. It returns the requests.
func overMidnight(t *testing.T, night uint64, open func() *notary.Notary) (want []string) {
	t.Helper()
	first, second := open(), open()
	var mu sync.Mutex
	var writers sync.WaitGroup
	write := func(n *notary.Notary, who uint64, until time.Time) {
		random := rand.New(rand.NewPCG(night, who))
		for i := 0; time.Now().Before(until); i++ {
			request := fmt.Sprintf("%d.%d.%d", night, who, i)
			if err := n.WriteDown(t.Context(), did(notary.ID{byte(1 + i%2)}, request), i%3 > 0); err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			want = append(want, request)
			mu.Unlock()
			time.Sleep(time.Duration(random.IntN(int(20 * time.Millisecond))))
		}
	}
	begun := time.Now()
	for who := range uint64(3) {
		writers.Go(func() { write(first, who, begun.Add(11*time.Second)) })
		writers.Go(func() { write(second, 10+who, begun.Add(20*time.Second)) })
	}
	time.Sleep(9 * time.Second)
	third := open()
	writers.Go(func() { write(third, 20, begun.Add(20*time.Second)) })
	time.Sleep(3 * time.Second)
	closeNotary(t, first)
	writers.Wait()
	time.Sleep(trailSettles)
	closeNotary(t, second)
	closeNotary(t, third)
	return want
}

func checkTrailDays(t *testing.T, d *depository, n *notary.Notary, want []string) {
	t.Helper()
	got := append(requests(t, n, notary.ID{1}), requests(t, n, notary.ID{2})...)
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("%d events, %d were written", len(got), len(want))
	}
	days, err := d.ledger.TrailDays(t.Context(), 0, 1000)
	if err != nil || len(days) < 6 {
		t.Fatalf("%d days, %v", len(days), err)
	}
	if r := verifyTrail(t, d, n); !r.Clean() || r.InLog != uint64(len(days)) || r.Days != r.InLog || r.Events != uint64(len(want)) {
		t.Errorf("%+v", r)
	}
	notices := 0
	size := n.Status(t.Context()).Published
	for i := range size {
		row, err := d.ledger.Row(t.Context(), i)
		if err != nil {
			t.Fatal(err)
		}
		if e, _ := proofs.ParseEntry(string(row.Entry)); e.Kind == proofs.KindNotice {
			notices++
		}
	}
	if notices != len(days) {
		t.Errorf("%d entries for %d days", notices, len(days))
	}
	for _, want := range days {
		got, r, err := n.TrailDigest(t.Context(), auditor(notary.ID{1}), want.Day)
		if err != nil || got != want || text(r, "trail.date") != want.Day.String() || text(r, "notice.act") != "trail" {
			t.Errorf("%s: %+v, %v", want.Day, got, err)
		}
		d.verifyNotice(r)
	}
	if report, err := n.Fsck(t.Context(), nil); err != nil || !report.Clean() {
		t.Errorf("fsck: %+v, %v", report, err)
	}
}

// verifyNotice verifies a receipt that has no document.
func (d *depository) verifyNotice(r proofs.Receipt) {
	d.t.Helper()
	if e, err := proofs.NewVerifier(d.policy).Verify(r, nil); err != nil || e.Outcome() != proofs.Verified {
		d.t.Errorf("the receipt of a day: %v, %v", e.Outcome(), err)
	}
}

// TestAlteredTrail: whoever has the database, and recomputes what stands beside what is
// altered, is told on by the day's name.
func TestAlteredTrail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDepository(t)
		n := d.open()
		for i := range 3 * 24 * 4 {
			if err := n.WriteDown(t.Context(), did(notary.ID{byte(1 + i%2)}, fmt.Sprint(i)), true); err != nil {
				t.Fatal(err)
			}
			time.Sleep(15 * time.Minute)
		}
		if err := n.WriteDown(t.Context(), did(notary.ID{1}, "today"), true); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		closeNotary(t, n)
		if r := verifyTrail(t, d, nil); !r.Clean() || r.InLog != 3 {
			t.Fatalf("%+v", r)
		}
		whole := d.ledger.Snapshot()
		const middle = 24*4 + 10 // a page of the second day
		day := whole.Trail.Pages[middle].Day
		// recomputed closes the second day anew, as who altered a page of it would.
		recomputed := func(tr *notarytest.Trailed) {
			edge, sum := proofs.RangeOf(0, nil), notary.TrailDay{Day: day}
			for i := range tr.Pages {
				p := &tr.Pages[i]
				if p.Day == day {
					p.Number = sum.Pages
					edge.Append(proofs.LeafHash(p.Text), nil)
					sum.Pages, sum.Events = sum.Pages+1, sum.Events+uint64(p.Events)
				}
			}
			sum.Root, tr.Days[1] = edge.Root(), sum
		}
		forged := func(tr *notarytest.Trailed) notary.TrailPage {
			p := tr.Pages[middle]
			events, _ := notary.ParseTrailPage(p.Text)
			events[0].Caller = "key:ffffffffffffffff"
			p.Text = notary.FormatTrailPage(p.Tenant, events[0].Time, events)
			return p
		}
		for what, alter := range map[string]func(tr *notarytest.Trailed){
			"a byte":                      func(tr *notarytest.Trailed) { tr.Pages[middle].Text[len(tr.Pages[middle].Text)-2] ^= 1 },
			"another caller":              func(tr *notarytest.Trailed) { tr.Pages[middle] = forged(tr) },
			"another caller, recomputed":  func(tr *notarytest.Trailed) { tr.Pages[middle] = forged(tr); recomputed(tr) },
			"a page removed":              func(tr *notarytest.Trailed) { tr.Pages = slices.Delete(tr.Pages, middle, middle+1) },
			"a page removed, recomputed":  func(tr *notarytest.Trailed) { tr.Pages = slices.Delete(tr.Pages, middle, middle+1); recomputed(tr) },
			"a page inserted, recomputed": func(tr *notarytest.Trailed) { tr.Pages = slices.Insert(tr.Pages, middle, forged(tr)); recomputed(tr) },
			"a page added": func(tr *notarytest.Trailed) {
				p := forged(tr)
				p.Number = tr.Days[1].Pages
				tr.Pages = slices.Insert(tr.Pages, 2*24*4, p)
			},
			"two exchanged": func(tr *notarytest.Trailed) {
				a, b := &tr.Pages[middle], &tr.Pages[middle+2]
				a.Text, b.Text = b.Text, a.Text
			},
			"two exchanged, recomputed": func(tr *notarytest.Trailed) {
				tr.Pages[middle], tr.Pages[middle+2] = tr.Pages[middle+2], tr.Pages[middle]
				recomputed(tr)
			},
			"shown to another":   func(tr *notarytest.Trailed) { tr.Pages[middle].Tenant = notary.ID{1, 1} },
			"its digest":         func(tr *notarytest.Trailed) { tr.Days[1].Root[0] ^= 1 },
			"its digest removed": func(tr *notarytest.Trailed) { tr.Days = slices.Delete(tr.Days, 1, 2) },
			"its pages removed": func(tr *notarytest.Trailed) {
				tr.Pages = slices.DeleteFunc(tr.Pages, func(p notary.TrailPage) bool { return p.Day == day })
			},
			"pages and digest removed": func(tr *notarytest.Trailed) {
				tr.Days = slices.Delete(tr.Days, 1, 2)
				tr.Pages = slices.DeleteFunc(tr.Pages, func(p notary.TrailPage) bool { return p.Day == day })
			},
			"moved to the day that is open": func(tr *notarytest.Trailed) { tr.Pages[middle].Day, tr.Pages[middle].Number = tr.Head.Day, 0 },
		} {
			d.ledger.Restore(whole)
			d.ledger.Corrupt(func(s *notarytest.LedgerState) { alter(&s.Trail) })
			r := verifyTrail(t, d, nil)
			named := slices.ContainsFunc(r.Named, func(s string) bool { return strings.HasPrefix(s, day.String()) })
			if r.Clean() || !named {
				t.Errorf("%s: %v", what, r.Named)
			}
			if report, err := notary.Fsck(t.Context(), d.config(), nil); err != nil || report.Clean() {
				t.Errorf("%s: fsck finds nothing, %v", what, err)
			}
		}
		// The day that is being written is held against the head of the trail.
		d.ledger.Restore(whole)
		d.ledger.Corrupt(func(s *notarytest.LedgerState) { s.Trail.Pages = s.Trail.Pages[:len(s.Trail.Pages)-1] })
		if r := verifyTrail(t, d, nil); r.Clean() || !strings.HasPrefix(r.Named[0], whole.Trail.Head.Day.String()) {
			t.Errorf("today: %v", r.Named)
		}
		d.ledger.Restore(whole)
	})
}

// TestTrailFaults: whatever becomes of a write, an event that was said to be durable is
// there, one that was promised comes, and at worst one stands twice.
func TestTrailFaults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDepository(t)
		n := d.open()
		random := rand.New(rand.NewPCG(1, 2))
		d.ledger.Faults.Choose(func(call string, _ int) notarytest.Fault {
			if call != "WriteTrail" || random.IntN(3) > 0 {
				return notarytest.Fault{}
			}
			return notarytest.Fault{Kind: notarytest.Kinds[random.IntN(len(notarytest.Kinds))]}
		})
		var told []string
		refused := 0
		for i := range 300 {
			request := fmt.Sprint(i)
			switch err := n.WriteDown(t.Context(), did(notary.ID{1}, request), i%2 == 0); {
			case err == nil:
				told = append(told, request)
			case errors.Is(err, notary.ErrTrail):
				refused++
			default:
				t.Error(err)
			}
			time.Sleep(time.Duration(i%5) * 100 * time.Millisecond)
		}
		if refused == 0 || len(told) < 50 {
			t.Errorf("%d told, %d refused", len(told), refused)
		}
		d.ledger.Faults.Reset()
		time.Sleep(10 * time.Second)
		got := requests(t, n, notary.ID{1})
		for _, request := range told {
			if !slices.Contains(got, request) {
				t.Errorf("event %s is lost", request)
			}
		}
		closeNotary(t, n)
	})
}

// TestTrailIsBounded: while the trail hangs, what waits is bounded, all that is private is
// refused soon, deposits go on, and a stop ends in time.
func TestTrailIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDepository(t)
		n := d.open()
		d.ledger.Faults.Choose(func(call string, _ int) notarytest.Fault {
			if call == "WriteTrail" {
				return notarytest.Fault{Kind: notarytest.TimesOut}
			}
			return notarytest.Fault{}
		})
		begun, taken := time.Now(), 0
		for i := range 20000 {
			if err := n.WriteDown(t.Context(), did(notary.ID{1}, fmt.Sprint(i)), false); err == nil {
				taken++
			} else if !errors.Is(err, notary.ErrTrail) {
				t.Fatal(err)
			}
		}
		if taken > 13000 || time.Since(begun) > time.Second {
			t.Errorf("%d events wait, after %v", taken, time.Since(begun))
		}
		if err := n.WriteDown(t.Context(), did(notary.ID{1}, "x"), true); !errors.Is(err, notary.ErrTrail) || time.Since(begun) > 11*time.Second {
			t.Errorf("after %v: %v", time.Since(begun), err)
		}
		if _, err := n.Deposit(t.Context(), d.principal(), digestOnly(t, "k", "text")); err != nil {
			t.Errorf("a deposit meanwhile: %v", err)
		}
		begun = time.Now()
		closeNotary(t, n)
		if time.Since(begun) > 9*time.Second {
			t.Errorf("closed after %v", time.Since(begun))
		}
		if err := n.WriteDown(context.Background(), did(notary.ID{1}, "x"), true); !errors.Is(err, notary.ErrTrail) {
			t.Errorf("when closed: %v", err)
		}
	})
}

// TestTrailKeepsWhatWasPromised: events that nobody waited for are there after a stop in
// peace, and within a second anyway.
func TestTrailKeepsWhatWasPromised(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDepository(t)
		n := d.open()
		write := func(from int) {
			for i := range 1000 {
				if err := n.WriteDown(t.Context(), did(notary.ID{1}, fmt.Sprint(from+i)), false); err != nil {
					t.Fatal(err)
				}
			}
		}
		write(0)
		time.Sleep(time.Second)
		if got := len(requests(t, n, notary.ID{1})); got != 1000 {
			t.Errorf("%d events after a second", got)
		}
		write(1000)
		closeNotary(t, n)
		n = d.opened()
		if got := len(requests(t, n, notary.ID{1})); got != 2000 {
			t.Errorf("%d events after the stop", got)
		}
	})
}

// TestTrailRoles: who may not audit is refused, and a tenant sees nothing of another's.
func TestTrailRoles(t *testing.T) {
	d := newDepository(t)
	n := d.opened()
	for i := range byte(10) {
		if err := n.WriteDown(t.Context(), did(notary.ID{1 + i%2}, fmt.Sprint(i)), true); err != nil {
			t.Fatal(err)
		}
	}
	for _, role := range []notary.Role{notary.Depositor, notary.Court, notary.Operator, ""} {
		if _, _, err := n.TrailEvents(t.Context(), notary.Principal{Tenant: d.tenant, Role: role}, notary.TrailQuery{Limit: 1}); !errors.Is(err, notary.ErrForbidden) {
			t.Errorf("%q: %v", role, err)
		}
		if _, _, err := n.TrailDigest(t.Context(), notary.Principal{Tenant: d.tenant, Role: role}, 1); !errors.Is(err, notary.ErrForbidden) {
			t.Errorf("%q: %v", role, err)
		}
	}
	if a, b := len(requests(t, n, notary.ID{1})), len(requests(t, n, notary.ID{2})); a != 5 || b != 5 {
		t.Errorf("%d and %d events", a, b)
	}
}

// FuzzTrailPage: a page has one spelling, and whatever the words of an event, it is one line
// within bounds.
func FuzzTrailPage(f *testing.F) {
	f.Add([]byte("muniment/trail@v1\n00000000-0000-0000-0000-000000000000 2026-11-26T10:11:12.345Z\nkey:0 compliance read - 200 127.0.0.1 -\n"), "a b\n%", "\x00é")
	f.Add(notary.FormatTrailPage(notary.ID{1}, time.UnixMilli(1e12), []notary.TrailEvent{did(notary.ID{1}, "x"), {}}), strings.Repeat("%", 1000), "-")
	f.Fuzz(func(t *testing.T, page []byte, caller, word string) {
		if events, err := notary.ParseTrailPage(page); err == nil {
			if again := notary.FormatTrailPage(events[0].Tenant, events[0].Time, events); !bytes.Equal(again, page) {
				t.Errorf("%q is read, and written as %q", page, again)
			}
		}
		e := notary.TrailEvent{Tenant: notary.ID{1}, Caller: caller, Role: notary.Role(word), Action: notary.Action(word), Address: word, Request: word}
		out := notary.FormatTrailPage(notary.ID{1}, time.UnixMilli(1e12), []notary.TrailEvent{e})
		if events, err := notary.ParseTrailPage(out); err != nil || len(events) != 1 || len(out) > 500 || bytes.Count(out, []byte("\n")) != 3 {
			t.Errorf("%q: %v", out, err)
		}
	})
}
