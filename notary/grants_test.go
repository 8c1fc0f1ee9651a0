package notary_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/notary/notarytest"
	"github.com/muniment/muniment/proofs"
)

// courtroom is a depository with a case of two deposits, another case, and a deposit in none.
type courtroom struct {
	*depository
	n                          *notary.Notary
	first, second, other, solo notary.ID
	court, stranger            notary.Principal // two courts, looking at the tenant
}

func newCourtroom(t *testing.T, now func() time.Time) *courtroom {
	d := newDepositoryAt(t, now)
	c := &courtroom{depository: d, n: d.open()}
	made := func(key string, more ...string) notary.ID {
		r, err := c.n.Deposit(context.Background(), d.principal(), original(t, key, "text of "+key, more...))
		if err != nil {
			t.Fatal(err)
		}
		return idOf(t, r)
	}
	c.first, c.second = made("a", "contract.number", "HT-1"), made("b", "contract.number", "HT-1")
	c.other, c.solo = made("c", "contract.number", "HT-2"), made("d")
	c.court = notary.Principal{Tenant: notary.Tenant{ID: notary.ID{7}, Name: "人民法院"}, Role: notary.Court, Caller: "key:judge", At: d.tenant.ID}
	c.stranger = c.court
	c.stranger.Tenant.ID = notary.ID{8}
	return c
}

// readers are all the ways to read something of a deposit.
func readers(n *notary.Notary) map[string]func(context.Context, notary.Principal, notary.ID) error {
	return map[string]func(context.Context, notary.Principal, notary.ID) error{
		"receipt": func(ctx context.Context, who notary.Principal, id notary.ID) error {
			return errOf(n.Receipt(ctx, who, id))
		},
		"newest receipt": func(ctx context.Context, who notary.Principal, id notary.ID) error {
			return errOf(n.NewestReceipt(ctx, who, id, false))
		},
		"document": func(ctx context.Context, who notary.Principal, id notary.ID) error {
			d, err := n.Document(ctx, who, id)
			if err == nil {
				d.Close()
			}
			return err
		},
		"evidence": func(ctx context.Context, who notary.Principal, id notary.ID) error {
			err := errOf(n.Evidence(ctx, who, id))
			if errors.Is(err, notary.ErrNotStamped) {
				return nil
			}
			return err
		},
		"notices": func(ctx context.Context, who notary.Principal, id notary.ID) error {
			return errOf(n.Notices(ctx, who, id))
		},
	}
}

// reads demands that who can read a deposit in every way, or in none: as if it never was.
func (c *courtroom) reads(what string, who notary.Principal, id notary.ID, want error) {
	c.t.Helper()
	for way, read := range readers(c.n) {
		if err := read(context.Background(), who, id); !errors.Is(err, want) || (want == nil) != (err == nil) {
			c.t.Errorf("%s: %s: %v, want %v", what, way, err, want)
		}
	}
}

// readsCase is reads for a case, and the search for it.
func (c *courtroom) readsCase(what string, who notary.Principal, contract string, deposits int) {
	c.t.Helper()
	k, err := c.n.Case(context.Background(), who, contract)
	if deposits == 0 && !errors.Is(err, notary.ErrNotFound) || deposits > 0 && (err != nil || k.Seq != uint64(deposits)) {
		c.t.Errorf("%s: case %+v, %v", what, k, err)
	}
	found, next, err := c.n.Search(context.Background(), who, notary.Search{Contract: contract, Limit: 10})
	if err != nil || next != 0 || len(found) != deposits {
		c.t.Errorf("%s: search: %d, %d, %v", what, len(found), next, err)
	}
}

func (c *courtroom) grant(want notary.Opening) notary.Granted {
	c.t.Helper()
	if want.Reason == "" {
		want.Reason = "案件审理"
	}
	g, err := c.n.Grant(context.Background(), c.keeper("ann"), want)
	if err != nil {
		c.t.Fatal(err)
	}
	return g
}

// TestRolesReadNoMore: each role against each way to read, of its own tenant, of one that it
// supervises, of another's, and of the depository's own entries.
func TestRolesReadNoMore(t *testing.T) {
	c := newCourtroom(t, time.Now)
	defer closeNotary(t, c.n)
	elsewhere := notary.Principal{Tenant: notary.Tenant{ID: notary.ID{2}}, Role: notary.Depositor}
	made, err := c.n.Deposit(t.Context(), elsewhere, original(t, "a", "theirs", "contract.number", "HT-1"))
	if err != nil {
		t.Fatal(err)
	}
	theirs := idOf(t, made)
	genesis, err := c.ledger.Row(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	supervisor := notary.Tenant{ID: notary.ID{9}, Name: "Supervisor"}
	as := func(role notary.Role, tenant notary.Tenant, at notary.ID, supervises ...notary.ID) notary.Principal {
		return notary.Principal{Tenant: tenant, Role: role, Caller: "key:x", At: at, Supervises: supervises}
	}
	mine, never := c.tenant, notary.ID{0: 1, 15: 9}
	for what, e := range map[string]struct {
		who  notary.Principal
		want error
	}{
		"depositor":                           {as(notary.Depositor, mine, notary.ID{}), nil},
		"depositor, named":                    {as(notary.Depositor, mine, mine.ID), nil},
		"compliance":                          {as(notary.Compliance, mine, notary.ID{}), nil},
		"depositor of another":                {as(notary.Depositor, elsewhere.Tenant, notary.ID{}), notary.ErrNotFound},
		"depositor looking over":              {as(notary.Depositor, elsewhere.Tenant, mine.ID), notary.ErrNotFound},
		"compliance looking over":             {as(notary.Compliance, elsewhere.Tenant, mine.ID, mine.ID), notary.ErrNotFound},
		"auditor":                             {as(notary.Auditor, supervisor, mine.ID, notary.ID{5}, mine.ID), nil},
		"auditor of others":                   {as(notary.Auditor, supervisor, mine.ID, notary.ID{5}), notary.ErrNotFound},
		"auditor of none":                     {as(notary.Auditor, supervisor, mine.ID), notary.ErrNotFound},
		"auditor looking at nobody":           {as(notary.Auditor, supervisor, notary.ID{}, mine.ID), notary.ErrNotFound},
		"auditor looking at its other":        {as(notary.Auditor, supervisor, notary.ID{2}, mine.ID, notary.ID{2}), notary.ErrNotFound},
		"auditor of a tenant, of its own":     {as(notary.Auditor, mine, notary.ID{}), notary.ErrNotFound},
		"auditor of the depository's own":     {as(notary.Auditor, supervisor, notary.ID{}, notary.ID{}), notary.ErrNotFound},
		"court":                               {as(notary.Court, notary.Tenant{ID: notary.ID{7}}, mine.ID), notary.ErrNotFound},
		"court looking at nobody":             {as(notary.Court, notary.Tenant{ID: notary.ID{7}}, notary.ID{}), notary.ErrNotFound},
		"court within the tenant":             {as(notary.Court, mine, notary.ID{}, mine.ID), notary.ErrNotFound},
		"operator":                            {as(notary.Operator, notary.Tenant{}, notary.ID{}), notary.ErrForbidden},
		"operator with all that it could say": {as(notary.Operator, mine, mine.ID, mine.ID), notary.ErrForbidden},
		"a role that is none":                 {as("root", mine, mine.ID, mine.ID), notary.ErrForbidden},
		"no role":                             {as("", mine, mine.ID, mine.ID), notary.ErrForbidden},
	} {
		c.reads(what, e.who, c.first, e.want)
		c.reads(what+", what is not there", e.who, never, otherwise(e.want))
		switch _, _, err := c.n.Search(t.Context(), e.who, notary.Search{Limit: 10}); {
		case e.who.Role == notary.Court && !errors.Is(err, notary.ErrForbidden) && !errors.Is(err, notary.ErrNotFound),
			e.want == nil && err != nil, errors.Is(e.want, notary.ErrForbidden) && !errors.Is(err, notary.ErrForbidden):
			t.Errorf("%s: search: %v", what, err)
		}
		found, _, _ := c.n.Search(t.Context(), e.who, notary.Search{Contract: "HT-1", Limit: 10})
		for _, f := range found {
			looksThere := e.who.Tenant.ID == notary.ID{2} && e.who.At == notary.ID{} || e.who.At == notary.ID{2}
			if f.ID == theirs && !looksThere || f.ID != theirs && e.want != nil {
				t.Errorf("%s finds %v", what, f.ID)
			}
		}
		if e.want == nil {
			c.readsCase(what, e.who, "HT-1", 2)
			c.reads(what+", another's", e.who, theirs, notary.ErrNotFound)
		}
		c.reads(what+", the depository's own", e.who, genesis.ID, otherwise(e.want))
		// Nobody but a tenant's depositors and compliance staff writes, and the latter keeps.
		if err := errOf(c.n.Deposit(t.Context(), e.who, digestOnly(t, "x-"+what, what))); (err == nil) != (e.who.Role == notary.Depositor || e.who.Role == notary.Compliance) {
			t.Errorf("%s deposits: %v", what, err)
		}
		err := third(c.n.Note(t.Context(), e.who, notary.Notice{Key: "h-" + what, Act: notary.ActHold, Deposit: c.first, Matter: "m", Reason: "r"}))
		if (err == nil) != (e.who.Role == notary.Compliance && e.who.Tenant.ID == mine.ID) {
			t.Errorf("%s holds: %v", what, err)
		}
		if err := errOf(c.n.Grant(t.Context(), e.who, notary.Opening{Key: "g-" + what, Contract: "HT-2", Ends: time.Now().Add(time.Hour), Reason: "r"})); (err == nil) != (e.who.Role == notary.Compliance && e.who.Tenant.ID == mine.ID) {
			t.Errorf("%s grants: %v", what, err)
		}
		if _, _, err := c.n.NewWebhook(t.Context(), e.who, &notary.Subscription{URL: "https://x.example"}); (err == nil) != (e.who.Role == notary.Depositor) {
			t.Errorf("%s makes a webhook: %v", what, err)
		}
	}
}

// TestGrants: a court reads what was opened to it and nothing else, for as long as that
// lasts; and to every other court it is as if nothing was there.
func TestGrants(t *testing.T) {
	c := newCourtroom(t, time.Now)
	defer func() { c.check() }()
	defer closeNotary(t, c.n)
	c.reads("before", c.court, c.first, notary.ErrNotFound)
	c.readsCase("before", c.court, "HT-1", 0)
	want := notary.Opening{Key: "open", Contract: "HT-1", To: c.court.Tenant.ID, Ends: time.Now().Add(time.Hour), Matter: "(2026)京0105民初1号", Reason: "案件审理"}
	g := c.grant(want)
	if g.Link != nil || !g.Case || g.Contract != "HT-1" || g.Deposit != c.first || g.To != c.court.Tenant.ID || !g.Open(time.Now()) {
		t.Errorf("%+v", g)
	}
	if e, err := proofs.NewVerifier(c.policy).Verify(g.Receipt, nil); err != nil || e.Outcome() != proofs.Verified || text(g.Receipt, "notice.act") != "grant" || text(g.Receipt, "grant.to") != c.court.Tenant.ID.String() {
		t.Errorf("its receipt: %v, %v", e.Outcome(), err)
	}
	if said := fmt.Sprint(g.Receipt.Disclosures); strings.Contains(said, "HT-1") || !strings.Contains(said, "grant.case") {
		t.Errorf("the grant says the contract number: %s", said)
	}
	c.reads("opened", c.court, c.first, nil)
	c.reads("opened", c.court, c.second, nil)
	c.readsCase("opened", c.court, "HT-1", 2)
	for what, id := range map[string]notary.ID{"another case": c.other, "no case": c.solo, "the grant itself": g.ID} {
		c.reads(what, c.court, id, notary.ErrNotFound)
	}
	c.readsCase("another case", c.court, "HT-2", 0)
	c.reads("another court", c.stranger, c.first, notary.ErrNotFound)
	c.readsCase("another court", c.stranger, "HT-1", 0)
	elsewhere := c.court
	elsewhere.At = notary.ID{2}
	c.reads("at another tenant", elsewhere, c.first, notary.ErrNotFound)
	for _, forbidden := range []notary.Search{{Limit: 10}, {SHA256: strings.Repeat("0", 64), Limit: 10}, {Label: "x", Value: "y", Limit: 10}} {
		if _, _, err := c.n.Search(t.Context(), c.court, forbidden); !errors.Is(err, notary.ErrForbidden) {
			t.Errorf("a court looks around: %v", err)
		}
	}
	// One key, one grant; other content under it is refused.
	if again := c.grant(want); again.ID != g.ID {
		t.Error("a retry made another grant")
	}
	want.Reason = "other"
	if err := errOf(c.n.Grant(t.Context(), c.keeper("ann"), want)); !errors.Is(err, notary.ErrKeyReused) {
		t.Errorf("other content under the key: %v", err)
	}
	c.grant(notary.Opening{Key: "solo", Deposit: c.solo, To: c.court.Tenant.ID, Ends: time.Now().Add(time.Hour)})
	c.reads("one deposit", c.court, c.solo, nil)
	c.reads("one deposit, another court", c.stranger, c.solo, notary.ErrNotFound)

	// Who may know of grants.
	if list, _, err := c.n.Grants(t.Context(), c.court, 0, 10); err != nil || len(list) != 2 || list[0].ID != g.ID || list[0].Contract != "HT-1" {
		t.Errorf("the court's list: %+v, %v", list, err)
	}
	if list, _, err := c.n.Grants(t.Context(), c.stranger, 0, 10); err != nil || len(list) != 0 {
		t.Errorf("another court's list: %+v, %v", list, err)
	}
	if err := errOf(c.n.GrantByID(t.Context(), c.stranger, g.ID)); !errors.Is(err, notary.ErrNotFound) {
		t.Errorf("another court asks for the grant: %v", err)
	}
	for _, role := range []notary.Role{notary.Depositor, notary.Auditor, notary.Operator} {
		who := notary.Principal{Tenant: c.tenant, Role: role, Supervises: []notary.ID{c.tenant.ID}}
		if _, _, err := c.n.Grants(t.Context(), who, 0, 10); !errors.Is(err, notary.ErrForbidden) {
			t.Errorf("%s lists grants: %v", role, err)
		}
	}
	if err := errOf(c.n.Revoke(t.Context(), c.court, g.ID, time.Time{})); !errors.Is(err, notary.ErrForbidden) {
		t.Errorf("the court revokes: %v", err)
	}
	other := notary.Principal{Tenant: notary.Tenant{ID: notary.ID{2}}, Role: notary.Compliance, Caller: "key:o"}
	if err := errOf(c.n.Revoke(t.Context(), other, g.ID, time.Time{})); !errors.Is(err, notary.ErrNotFound) {
		t.Errorf("another tenant revokes: %v", err)
	}

	revoked, err := c.n.Revoke(t.Context(), c.keeper("bob"), g.ID, time.Time{})
	if err != nil || revoked.Revoked == nil || revoked.Revoked.By != "key:bob" || text(revoked.Receipt, "grant.revokes") != g.ID.String() {
		t.Fatalf("%+v, %v", revoked.Grant, err)
	}
	if again, err := c.n.Revoke(t.Context(), c.keeper("ann"), g.ID, time.Time{}); err != nil || again.Receipt.Index != revoked.Receipt.Index {
		t.Errorf("revoked again: %v", err)
	}
	c.reads("revoked", c.court, c.first, notary.ErrNotFound)
	c.readsCase("revoked", c.court, "HT-1", 0)
	c.reads("the other one goes on", c.court, c.solo, nil)
	if list, _, err := c.n.Grants(t.Context(), c.keeper("ann"), 0, 10); err != nil || len(list) != 2 || list[0].Revoked == nil || list[1].Revoked != nil {
		t.Errorf("the tenant's list: %+v, %v", list, err)
	}
}

// TestGrantsEnd: at the moment that it was given, and not later; and what cannot be opened is
// refused.
func TestGrantsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCourtroom(t, time.Now)
		defer closeNotary(t, c.n)
		c.grant(notary.Opening{Key: "court", Contract: "HT-1", To: c.court.Tenant.ID, Ends: time.Now().Add(time.Hour)})
		link := c.grant(notary.Opening{Key: "link", Deposit: c.solo, Ends: time.Now().Add(time.Hour)}).Link
		bearer, err := c.n.Link(t.Context(), *link)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour - time.Second)
		c.reads("a second before", c.court, c.first, nil)
		c.reads("a second before", bearer, c.solo, nil)
		time.Sleep(time.Second)
		c.reads("at its end", c.court, c.first, notary.ErrNotFound)
		c.reads("at its end", bearer, c.solo, notary.ErrNotFound)
		if err := errOf(c.n.Link(t.Context(), *link)); !errors.Is(err, notary.ErrNotFound) {
			t.Errorf("the link at its end: %v", err)
		}
		in := func(d time.Duration) time.Time { return time.Now().Add(d) }
		for what, bad := range map[string]notary.Opening{
			"in the past": {Contract: "HT-1", Ends: in(-time.Second)}, "now": {Contract: "HT-1", Ends: in(0)}, "without an end": {Contract: "HT-1"},
			"a link for too long":  {Contract: "HT-1", Ends: in(notary.MaxLink + time.Second)},
			"a grant for too long": {Contract: "HT-1", To: c.court.Tenant.ID, Ends: in(notary.MaxGrant + time.Second)},
			"of both":              {Contract: "HT-1", Deposit: c.first, Ends: in(time.Hour)}, "of nothing": {Ends: in(time.Hour)},
			"without a reason": {Contract: "HT-1", Ends: in(time.Hour), Reason: "\x00"}, "a long matter": {Contract: "HT-1", Ends: in(time.Hour), Matter: strings.Repeat("m", 201)},
		} {
			if bad.Key = what; bad.Reason == "" {
				bad.Reason = "r"
			}
			if err := errOf(c.n.Grant(t.Context(), c.keeper("ann"), bad)); !errors.As(err, new(*notary.InvalidError)) {
				t.Errorf("%s: %v", what, err)
			}
		}
		for what, missing := range map[string]notary.Opening{"a case": {Contract: "HT-9"}, "a deposit": {Deposit: notary.ID{5}}} {
			missing.Key, missing.Reason, missing.Ends = what, "r", in(time.Hour)
			if err := errOf(c.n.Grant(t.Context(), c.keeper("ann"), missing)); !errors.Is(err, notary.ErrNotFound) {
				t.Errorf("%s that is not there: %v", what, err)
			}
		}
	})
}

// TestLinks: who has the link reads what it opens, and a link that differs in any bit is none.
func TestLinks(t *testing.T) {
	c := newCourtroom(t, time.Now)
	defer closeNotary(t, c.n)
	want := notary.Opening{Key: "link", Contract: "HT-1", Ends: time.Now().Add(time.Hour)}
	g := c.grant(want)
	if again := c.grant(want); g.Link == nil || *again.Link != *g.Link {
		t.Fatal("a retry gets another link")
	}
	stored := c.everything()
	if bytes.Contains(stored, g.Link.Secret[:]) || bytes.Contains(g.Receipt.Marshal(), g.Link.Secret[:]) {
		t.Error("the link's secret is kept")
	}
	who, err := c.n.Link(t.Context(), *g.Link)
	if err != nil {
		t.Fatal(err)
	}
	c.reads("by the link", who, c.second, nil)
	c.readsCase("by the link", who, "HT-1", 2)
	c.reads("by the link, another case", who, c.other, notary.ErrNotFound)
	c.readsCase("by the link, another case", who, "HT-2", 0)
	if list, next, err := c.n.Grants(t.Context(), who, 0, 10); err != nil || next != 0 || len(list) != 1 || list[0].ID != g.ID || list[0].Contract != "HT-1" {
		t.Errorf("what the link says of itself: %+v, %v", list, err)
	}
	// A court with a key of its own does not read by a link that it was not given.
	c.reads("a court without the link", c.court, c.first, notary.ErrNotFound)
	second := c.grant(notary.Opening{Key: "link 2", Contract: "HT-2", Ends: time.Now().Add(time.Hour)})
	to := c.grant(notary.Opening{Key: "court", Contract: "HT-1", To: c.court.Tenant.ID, Ends: time.Now().Add(time.Hour)})
	for what, wrong := range map[string]notary.Link{
		"another grant's secret": {Tenant: g.Link.Tenant, Grant: g.Link.Grant, Secret: second.Link.Secret},
		"another grant":          {Tenant: g.Link.Tenant, Grant: second.ID, Secret: g.Link.Secret},
		"another tenant":         {Tenant: notary.ID{2}, Grant: g.Link.Grant, Secret: g.Link.Secret},
		"a court's grant":        {Tenant: g.Link.Tenant, Grant: to.ID, Secret: g.Link.Secret},
		"a deposit":              {Tenant: g.Link.Tenant, Grant: c.first, Secret: g.Link.Secret},
		"no secret":              {Tenant: g.Link.Tenant, Grant: g.Link.Grant},
		"nothing":                {},
	} {
		if err := errOf(c.n.Link(t.Context(), wrong)); !errors.Is(err, notary.ErrNotFound) && what != "nothing" || err == nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	for bit := range 256 {
		wrong := *g.Link
		wrong.Secret[bit/8] ^= 1 << (bit % 8)
		if err := errOf(c.n.Link(t.Context(), wrong)); !errors.Is(err, notary.ErrNotFound) {
			t.Fatalf("bit %d changed: %v", bit, err)
		}
	}
	if _, err := c.n.Revoke(t.Context(), c.keeper("ann"), g.ID, time.Time{}); err != nil {
		t.Fatal(err)
	}
	c.reads("by a revoked link", who, c.first, notary.ErrNotFound)
	if err := errOf(c.n.Link(t.Context(), *g.Link)); !errors.Is(err, notary.ErrNotFound) {
		t.Errorf("a revoked link: %v", err)
	}
}

// TestGrantsAndErasure: what was erased is to a court as what never was, however it was
// opened; the rest of the case goes on; and nothing of the number is left with the last.
func TestGrantsAndErasure(t *testing.T) {
	c := newCourtroom(t, time.Now)
	defer closeNotary(t, c.n)
	g := c.grant(notary.Opening{Key: "open", Contract: "HT-1", To: c.court.Tenant.ID, Ends: time.Now().Add(time.Hour)})
	erase := func(id notary.ID) {
		for _, who := range []string{"ann", "bob"} {
			c.note(c.n, c.keeper(who), notary.Notice{Key: who + id.String(), Act: notary.ActErase, Deposit: id, Matter: "order"})
		}
	}
	erase(c.first)
	c.reads("erased", c.court, c.first, notary.ErrNotFound)
	c.reads("another court", c.stranger, c.first, notary.ErrNotFound)
	c.reads("what is left of the case", c.court, c.second, nil)
	if again, err := c.n.GrantByID(t.Context(), c.keeper("ann"), g.ID); err != nil || again.Contract != "HT-1" {
		t.Errorf("%+v, %v", again, err)
	}
	erase(c.second)
	if again, err := c.n.GrantByID(t.Context(), c.keeper("ann"), g.ID); err != nil || again.Contract != "" || !again.Case {
		t.Errorf("with all of it erased: %+v, %v", again, err)
	}
	if err := errOf(c.n.Grant(t.Context(), c.keeper("ann"), notary.Opening{Key: "late", Deposit: c.first, Ends: time.Now().Add(time.Hour), Reason: "r"})); !errors.Is(err, notary.ErrErased) {
		t.Errorf("what was erased is opened: %v", err)
	}
}

// TestGrantRaces: however many grant and revoke at once, each key stands for one notice, a
// revocation is made once, and no more are in force than may be.
func TestGrantRaces(t *testing.T) {
	c := newCourtroom(t, time.Now)
	defer closeNotary(t, c.n)
	ends := time.Now().Add(time.Hour)
	var group sync.WaitGroup
	var mu sync.Mutex
	ids := map[notary.ID]int{}
	full := 0
	for i := range notary.MaxGrants + 20 {
		for range 2 {
			group.Go(func() {
				g, err := c.n.Grant(t.Context(), c.keeper("ann"), notary.Opening{Key: fmt.Sprint(i), Contract: "HT-1", To: notary.ID{7}, Ends: ends, Reason: "r"})
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err == nil:
					ids[g.ID]++
				case errors.As(err, new(*notary.InvalidError)):
					full++
				case !errors.Is(err, notary.ErrBusy):
					t.Error(err)
				}
			})
		}
	}
	group.Wait()
	if len(ids) > notary.MaxGrants || len(ids) < notary.MaxGrants/2 {
		t.Errorf("%d grants in force, %d refused", len(ids), full)
	}
	before := c.ledger.Snapshot().Head.Size
	var one notary.ID
	for one = range ids {
		break
	}
	for range 20 {
		group.Go(func() {
			if _, err := c.n.Revoke(t.Context(), c.keeper("ann"), one, time.Time{}); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if after := c.ledger.Snapshot().Head.Size; after != before+1 {
		t.Errorf("%d revocations of one grant", after-before)
	}
}

// TestRebuildGrants: a rebuilt ledger knows who was let in, and who was not any more.
func TestRebuildGrants(t *testing.T) {
	c := newCourtroom(t, time.Now)
	open := notary.Opening{Key: "open", Contract: "HT-1", To: c.court.Tenant.ID, Ends: time.Now().Add(time.Hour), Reason: "r"}
	g := c.grant(open)
	link := c.grant(notary.Opening{Key: "link", Deposit: c.solo, Ends: time.Now().Add(time.Hour)})
	gone := c.grant(notary.Opening{Key: "gone", Contract: "HT-2", To: c.court.Tenant.ID, Ends: time.Now().Add(time.Hour)})
	if _, err := c.n.Revoke(t.Context(), c.keeper("ann"), gone.ID, time.Time{}); err != nil {
		t.Fatal(err)
	}
	closeNotary(t, c.n)
	into := notarytest.NewLedger(nil)
	if r := rebuild(t, c.recovery(into)); !r.Clean() {
		t.Errorf("%+v", r)
	}
	c.ledger = into
	c.n = c.open()
	defer closeNotary(t, c.n)
	c.reads("rebuilt", c.court, c.second, nil)
	c.reads("rebuilt, revoked", c.court, c.other, notary.ErrNotFound)
	who, err := c.n.Link(t.Context(), *link.Link)
	if err != nil {
		t.Fatal(err)
	}
	c.reads("rebuilt, by the link", who, c.solo, nil)
	if again := c.grant(open); again.ID != g.ID {
		t.Error("its key is not known any more")
	}
	if _, err := c.n.Revoke(t.Context(), c.keeper("ann"), g.ID, time.Time{}); err != nil {
		t.Error(err)
	}
	c.reads("rebuilt, then revoked", c.court, c.second, notary.ErrNotFound)
}

// otherwise is what someone is answered of what is not there.
func otherwise(want error) error {
	if want == nil {
		return notary.ErrNotFound
	}
	return want
}

// TestGrantsBesideNotices: a deposit that was held can be opened, and one that was opened can
// be held, in any order and as often as anyone likes.
func TestGrantsBesideNotices(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCourtroom(t, time.Now)
		defer closeNotary(t, c.n)
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		keeper := c.principal()
		keeper.Role = notary.Compliance
		note := func(act notary.Act, matter string) {
			t.Helper()
			_, _, err := c.n.Note(ctx, keeper, notary.Notice{Key: string(act) + matter, Act: act, Deposit: c.solo, Matter: matter, Reason: "r"})
			if err != nil {
				t.Fatalf("%s %s: %v", act, matter, err)
			}
		}
		grant := func(key string) notary.ID {
			t.Helper()
			g, err := c.n.Grant(ctx, keeper, notary.Opening{Key: key, Deposit: c.solo, Ends: time.Now().Add(time.Hour), Reason: "r"})
			if err != nil {
				t.Fatalf("grant %s: %v", key, err)
			}
			return g.ID
		}
		note(notary.ActHold, "1")
		first := grant("g1")
		note(notary.ActRelease, "1")
		grant("g2")
		note(notary.ActHold, "2")
		if _, err := c.n.Revoke(ctx, keeper, first, time.Time{}); err != nil {
			t.Fatal(err)
		}
		note(notary.ActRelease, "2")
		s, err := c.n.Notices(ctx, keeper, c.solo)
		if err != nil || len(s.Notices) != 4 {
			t.Fatalf("%+v, %v", s, err)
		}
		if grants, err := c.n.GrantsOf(ctx, keeper, "", c.solo); err != nil || len(grants) != 2 {
			t.Fatalf("%+v, %v", grants, err)
		}
	})
}
