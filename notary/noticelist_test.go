package notary_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/muniment/muniment/notary"
)

// noticesFound are the notices that a search comes to, page by page, as index and state.
func (d *depository) noticesFound(n *notary.Notary, s notary.NoticeSearch) (all []string) {
	d.t.Helper()
	for {
		page, next, err := n.SearchNotices(d.t.Context(), d.keeper("ann"), s)
		if err != nil {
			d.t.Fatal(err)
		}
		for _, f := range page {
			all = append(all, fmt.Sprint(f.Index, " ", f.State))
		}
		if s.From = next; next == 0 {
			return all
		}
	}
}

// TestNoticeList: a list tells of each notice what has become of it, forth and back, in pages
// of any size.
func TestNoticeList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDepository(t)
		n := d.open()
		var ids []notary.ID
		for i := range 3 {
			r, err := n.Deposit(t.Context(), d.principal(), original(t, fmt.Sprint(i), "contract"))
			if err != nil {
				t.Fatal(err)
			}
			ids = append(ids, idOf(t, r))
		}
		wait := func() { // while nothing runs: a month has many seconds
			closeNotary(t, n)
			time.Sleep(notary.AskedFor)
			config := d.config()
			config.AcceptClock = true
			var err error
			if n, err = notary.Open(t.Context(), config); err != nil {
				t.Fatal(err)
			}
		}
		count := 0
		note := func(by string, act notary.Act, of int, matter string) {
			t.Helper()
			count++
			d.note(n, d.keeper(by), notary.Notice{Key: fmt.Sprint("note-", count), Act: act, Deposit: ids[of], Matter: matter})
		}
		note("ann", notary.ActHold, 0, "A")    // 4, released by 8
		note("ann", notary.ActHold, 0, "B")    // 5, open
		note("ann", notary.ActErase, 1, "")    // 6, asked, refused by 7
		note("bob", notary.ActHold, 1, "A")    // 7, released by 9
		note("bob", notary.ActRelease, 0, "A") // 8
		note("bob", notary.ActRelease, 1, "A") // 9
		note("ann", notary.ActErase, 1, "")    // 10, asked, replaced by 11
		note("bob", notary.ActErase, 1, "X")   // 11, asked, lapses
		wait()
		note("ann", notary.ActErase, 2, "") // 12, asked, erased by 13
		note("bob", notary.ActErase, 2, "") // 13
		note("ann", notary.ActErase, 1, "") // 14, asked
		all := []string{"4 released", "5 open", "6 refused", "7 released", "8 done", "9 done", "10 replaced", "11 lapsed", "12 erased", "13 done", "14 open"}
		for _, c := range []struct {
			search notary.NoticeSearch
			want   []string
		}{
			{notary.NoticeSearch{}, all},
			{notary.NoticeSearch{Open: true}, []string{"5 open", "14 open"}},
			{notary.NoticeSearch{Act: notary.ActHold}, []string{"4 released", "5 open", "7 released"}},
			{notary.NoticeSearch{Act: notary.ActHold, Open: true}, []string{"5 open"}},
			{notary.NoticeSearch{Act: notary.ActRelease, Open: true}, nil},
			{notary.NoticeSearch{Act: notary.ActAsk}, []string{"6 refused", "10 replaced", "11 lapsed", "12 erased", "14 open"}},
			{notary.NoticeSearch{Act: notary.ActErase}, []string{"13 done"}},
		} {
			for _, limit := range []int{1, 2, 1000} {
				c.search.Limit, c.search.Backward = limit, false
				if got := d.noticesFound(n, c.search); !slices.Equal(got, c.want) {
					t.Errorf("%+v: %q, want %q", c.search, got, c.want)
				}
				c.search.Backward = true
				got := d.noticesFound(n, c.search)
				if slices.Reverse(got); !slices.Equal(got, c.want) {
					t.Errorf("%+v: %q, want %q", c.search, got, c.want)
				}
			}
		}
		wait()
		if got := d.noticesFound(n, notary.NoticeSearch{Open: true, Limit: 10}); !slices.Equal(got, []string{"5 open"}) {
			t.Errorf("30 days later: %q", got)
		}
		closeNotary(t, n)
		d.check()
		d.fsck()
	})
}

// TestNoticeListIsTheirs: who may read a tenant's notices lists them, and nobody else.
func TestNoticeListIsTheirs(t *testing.T) {
	d := newDepository(t)
	n := d.opened()
	r, err := n.Deposit(t.Context(), d.principal(), original(t, "a", "contract"))
	if err != nil {
		t.Fatal(err)
	}
	d.note(n, d.keeper("ann"), notary.Notice{Key: "h", Act: notary.ActHold, Deposit: idOf(t, r), Matter: "A"})
	other := notary.Tenant{ID: notary.ID{2}, Name: "Other"}
	for what, c := range map[string]struct {
		who   notary.Principal
		found int
		want  error
	}{
		"depositor":        {d.principal(), 1, nil},
		"auditor":          {notary.Principal{Tenant: other, Role: notary.Auditor, Supervises: []notary.ID{d.tenant.ID}, At: d.tenant.ID}, 1, nil},
		"another auditor":  {notary.Principal{Tenant: other, Role: notary.Auditor, Supervises: []notary.ID{other.ID}, At: d.tenant.ID}, 0, notary.ErrNotFound},
		"another tenant":   {notary.Principal{Tenant: other, Role: notary.Compliance}, 0, nil},
		"court":            {notary.Principal{Tenant: other, Role: notary.Court, At: d.tenant.ID}, 0, notary.ErrForbidden},
		"bearer of a link": {notary.Principal{Role: notary.Court, At: d.tenant.ID, Grant: notary.ID{7}}, 0, notary.ErrForbidden},
		"operator":         {notary.Principal{Role: notary.Operator, At: d.tenant.ID}, 0, notary.ErrForbidden},
	} {
		found, _, err := n.SearchNotices(t.Context(), c.who, notary.NoticeSearch{Limit: 10})
		if len(found) != c.found || !errors.Is(err, c.want) {
			t.Errorf("%s: %d found, %v", what, len(found), err)
		}
	}
	for _, bad := range []notary.NoticeSearch{{}, {Limit: 1001}, {Limit: 1, Act: "grant"}} {
		if _, _, err := n.SearchNotices(t.Context(), d.keeper("ann"), bad); !errors.As(err, new(*notary.InvalidError)) {
			t.Errorf("%+v: %v", bad, err)
		}
	}
}

// TestNoticesFromBefore: a notice that an older program wrote is no damage, and is not listed.
func TestNoticesFromBefore(t *testing.T) {
	d := newDepository(t)
	n := d.open()
	r, err := n.Deposit(t.Context(), d.principal(), original(t, "a", "contract"))
	if err != nil {
		t.Fatal(err)
	}
	held, _ := d.note(n, d.keeper("ann"), notary.Notice{Key: "h", Act: notary.ActHold, Deposit: idOf(t, r), Matter: "A"})
	closeNotary(t, n)
	s := d.ledger.Snapshot()
	if len(s.Terms[held.Index]) != 3 {
		t.Fatalf("a notice has %d terms", len(s.Terms[held.Index]))
	}
	s.Terms[held.Index] = s.Terms[held.Index][2:] // that of its deposit stays
	d.ledger.Restore(s)
	d.fsck()
	n = d.open()
	defer closeNotary(t, n)
	if got := d.noticesFound(n, notary.NoticeSearch{Limit: 10}); len(got) != 0 {
		t.Errorf("listed: %q", got)
	}
	if standing, err := n.Notices(t.Context(), d.principal(), idOf(t, r)); err != nil || len(standing.Matters) != 1 {
		t.Errorf("%+v, %v", standing, err)
	}
}

// TestNoticeListReadsOnce: a search reads the notices of a deposit once, however many there are.
func TestNoticeListReadsOnce(t *testing.T) {
	d := newDepository(t)
	n := d.opened()
	for i := range 2 {
		r, err := n.Deposit(t.Context(), d.principal(), original(t, fmt.Sprint(i), "contract"))
		if err != nil {
			t.Fatal(err)
		}
		for j := range 20 {
			d.note(n, d.keeper("ann"), notary.Notice{Key: fmt.Sprint(i, "-", j), Act: notary.ActHold, Deposit: idOf(t, r), Matter: "A"})
		}
		d.note(n, d.keeper("ann"), notary.Notice{Key: fmt.Sprint(i, "-end"), Act: notary.ActRelease, Deposit: idOf(t, r), Matter: "A"})
	}
	before := d.ledger.Faults.Calls()["Deposits"]
	if got := d.noticesFound(n, notary.NoticeSearch{Act: notary.ActHold, Limit: 1000}); len(got) != 40 || got[39] != "43 released" {
		t.Errorf("%d found, the last is %s", len(got), got[len(got)-1])
	}
	if asked := d.ledger.Faults.Calls()["Deposits"] - before; asked > 3 {
		t.Errorf("%d queries for the notices of two deposits", asked)
	}
}
