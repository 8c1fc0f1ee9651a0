package notary_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/notary/notarytest"
	"github.com/muniment/muniment/proofs"
)

// keeper is one of the tenant's compliance staff.
func (d *depository) keeper(name string) notary.Principal {
	return notary.Principal{Tenant: d.tenant, Role: notary.Compliance, Caller: "key:" + name}
}

func idOf(t testing.TB, r proofs.Receipt) notary.ID {
	t.Helper()
	id, err := notary.ParseID(text(r, "id"))
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// note adds a notice that must be taken.
func (d *depository) note(n *notary.Notary, who notary.Principal, want notary.Notice) (proofs.Receipt, notary.Standing) {
	d.t.Helper()
	if want.Reason == "" {
		want.Reason = "民事保全"
	}
	r, s, err := n.Note(context.Background(), who, want)
	if err != nil {
		d.t.Fatalf("%s of %s: %v", want.Act, want.Deposit, err)
	}
	return r, s
}

// TestHold: what is held under any matter is not erased, and holds are the tenant's
// compliance staff's alone.
func TestHold(t *testing.T) {
	d := newDepository(t)
	n := d.open()
	defer func() { d.check() }()
	defer closeNotary(t, n)
	made, err := n.Deposit(t.Context(), d.principal(), original(t, "a", "contract", "contract.number", "HT-1"))
	if err != nil {
		t.Fatal(err)
	}
	id, ann, bob := idOf(t, made), d.keeper("ann"), d.keeper("bob")
	hold := notary.Notice{Key: "hold-1", Act: notary.ActHold, Deposit: id, Matter: "(2026)京0105民初1号", Reason: "诉前保全"}
	receipt, s := d.note(n, ann, hold)
	if !slices.Equal(s.Matters, []string{hold.Matter}) || receipt.Entry.Kind != proofs.KindNotice || text(receipt, "notice.by") != "key:ann" {
		t.Errorf("%+v", s)
	}
	if e, err := proofs.NewVerifier(d.policy).Verify(receipt, nil); err != nil || e.Outcome() != proofs.Verified {
		t.Errorf("receipt of the hold: %v, %v", e.Reason, err)
	}
	if again, _ := d.note(n, ann, hold); again.Index != receipt.Index {
		t.Errorf("the retry is entry %d, not %d", again.Index, receipt.Index)
	}
	other := hold
	other.Reason = "another"
	if _, _, err := n.Note(t.Context(), ann, other); !errors.Is(err, notary.ErrKeyReused) {
		t.Errorf("other content: %v", err)
	}
	d.note(n, bob, notary.Notice{Key: "hold-2", Act: notary.ActHold, Deposit: id, Matter: "B"})
	if !d.blobs.Snapshot()[d.tenant.ID.String()+"/"+id.String()].Held {
		t.Error("the document is not held")
	}
	erase := notary.Notice{Key: "erase", Act: notary.ActErase, Deposit: id, Reason: "r"}
	for i, matter := range []string{hold.Matter, "B"} {
		var held *notary.HeldError
		if _, _, err := n.Note(t.Context(), ann, erase); !errors.As(err, &held) || !slices.Contains(held.Matters, matter) {
			t.Errorf("erasure while held: %v", err)
		}
		d.note(n, ann, notary.Notice{Key: fmt.Sprint("release-", i), Act: notary.ActRelease, Deposit: id, Matter: matter})
	}
	if d.blobs.Snapshot()[d.tenant.ID.String()+"/"+id.String()].Held {
		t.Error("the document is still held")
	}
	for what, c := range map[string]struct {
		who  notary.Principal
		do   notary.Notice
		want error
	}{
		"release of no hold": {ann, notary.Notice{Key: "x1", Act: notary.ActRelease, Deposit: id, Matter: "C", Reason: "r"}, notary.ErrNoHold},
		"a depositor":        {d.principal(), notary.Notice{Key: "x2", Act: notary.ActHold, Deposit: id, Matter: "C", Reason: "r"}, notary.ErrForbidden},
		"another tenant":     {notary.Principal{Tenant: notary.Tenant{ID: notary.ID{2}}, Role: notary.Compliance}, notary.Notice{Key: "x3", Act: notary.ActHold, Deposit: id, Matter: "C", Reason: "r"}, notary.ErrNotFound},
		"a notice":           {ann, notary.Notice{Key: "x4", Act: notary.ActHold, Deposit: idOf(t, receipt), Matter: "C", Reason: "r"}, notary.ErrNotFound},
	} {
		if _, _, err := n.Note(t.Context(), c.who, c.do); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for _, bad := range []notary.Notice{{Key: "y", Act: notary.ActHold, Deposit: id, Reason: "r"}, {Key: "y", Act: notary.ActHold, Deposit: id, Matter: "m"},
		{Key: "y", Act: notary.ActHold, Deposit: id, Matter: strings.Repeat("案", 201), Reason: "r"}, {Act: notary.ActHold, Deposit: id, Matter: "m", Reason: "r"}} {
		if _, _, err := n.Note(t.Context(), ann, bad); !errors.As(err, new(*notary.InvalidError)) {
			t.Errorf("%+v: %v", bad, err)
		}
	}
	s, err = n.Notices(t.Context(), d.principal(), id)
	if err != nil || len(s.Notices) != 4 || len(s.Matters) != 0 {
		t.Errorf("%+v, %v", s, err)
	}
	if found, _, err := n.Search(t.Context(), d.principal(), notary.Search{Limit: 10}); err != nil || len(found) != 1 {
		t.Errorf("%d found, %v: notices are no deposits", len(found), err)
	}
}

// TestHoldThatFailed: the store is away when a hold, and later its release, is carried out.
// Who asked is told, and the scrubber does it without being asked again.
func TestHoldThatFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDepository(t)
		n := d.open()
		made, err := n.Deposit(t.Context(), d.principal(), original(t, "a", "contract"))
		if err != nil {
			t.Fatal(err)
		}
		id := idOf(t, made)
		for i, act := range []notary.Act{notary.ActHold, notary.ActRelease} {
			d.blobs.Faults.Reset()
			d.blobs.Faults.Set(notarytest.Fault{Call: "Hold", Nth: 1, Kind: notarytest.Fails})
			_, _, err := n.Note(t.Context(), d.keeper("ann"), notary.Notice{Key: fmt.Sprint(i), Act: act, Deposit: id, Matter: "M", Reason: "r"})
			held := func() bool { return d.blobs.Snapshot()[d.tenant.ID.String()+"/"+id.String()].Held }
			if !errors.Is(err, notary.ErrUnavailable) || held() == (act == notary.ActHold) {
				t.Fatalf("%s: %v: the test proves nothing", act, err)
			}
			time.Sleep(26 * time.Hour)
			if held() != (act == notary.ActHold) {
				t.Errorf("%s was not carried out by the scrubber", act)
			}
		}
		closeNotary(t, n)
		d.check()
	})
}

// everything is all that the fakes keep, as bytes.
func (d *depository) everything() []byte {
	d.t.Helper()
	ledger := d.ledger.Snapshot()
	all, err := json.Marshal([]any{ledger.Rows, ledger.Terms, d.blobs.Snapshot()})
	if err != nil {
		d.t.Fatal(err)
	}
	err = d.segments.ListKeys(d.t.Context(), origin, 0, func(name notary.SegmentName) error {
		_, keys, err := d.segments.Load(d.t.Context(), name)
		all = append(all, keys...)
		return err
	})
	if err != nil {
		d.t.Fatal(err)
	}
	return all
}

// TestErasure: two callers erase a deposit; what is left proves that it was there.
func TestErasure(t *testing.T) {
	d := newDepository(t)
	n := d.open()
	var receipts []proofs.Receipt
	deposit := func(key string) proofs.Receipt {
		r, err := n.Deposit(t.Context(), d.principal(), original(t, key, "contract "+key, "contract.number", "HT-1", "party.0.name", "张三", "label.desk", "7"))
		if err != nil {
			t.Fatal(err)
		}
		receipts = append(receipts, r)
		return r
	}
	deposit("a")
	gone := deposit("b")
	deposit("c")
	id, ann, bob := idOf(t, gone), d.keeper("ann"), d.keeper("bob")
	row := d.ledger.Snapshot().Rows[gone.Index]
	terms := d.ledger.Snapshot().Terms[gone.Index]

	erase := func(key, matter string) notary.Notice {
		return notary.Notice{Key: key, Act: notary.ActErase, Deposit: id, Matter: matter}
	}
	if _, s := d.note(n, ann, erase("e1", "")); s.Asked == nil || s.Erased != nil {
		t.Fatalf("asked: %+v", s)
	}
	if _, s := d.note(n, ann, erase("e2", "")); s.Asked == nil || s.Erased != nil {
		t.Fatalf("one caller alone has erased: %+v", s)
	}
	if _, s := d.note(n, bob, erase("e3", "an order")); s.Erased != nil {
		t.Fatalf("another order was confirmed: %+v", s)
	}
	d.note(n, bob, erase("e4", ""))
	receipt, s := d.note(n, ann, erase("e5", ""))
	if s.Erased == nil || text(receipt, "notice.act") != "erasure" {
		t.Fatalf("erased: %+v", s)
	}
	receipts = append(receipts, receipt)

	if left := d.ledger.Snapshot().Terms[gone.Index]; len(left) > 0 || len(terms) < 3 {
		t.Errorf("%d of %d terms still lead to it", len(left), len(terms))
	}
	for _, secret := range [][]byte{row.Secrets, row.Body} {
		encoded, _ := json.Marshal(secret)
		if all := d.everything(); bytes.Contains(all, secret) || bytes.Contains(all, encoded[1:len(encoded)-1]) {
			t.Errorf("%x is still there", secret[:min(len(secret), 12)])
		}
	}
	if _, there := d.blobs.Snapshot()[d.tenant.ID.String()+"/"+id.String()]; there {
		t.Error("the document is still there")
	}
	for what, err := range map[string]error{
		"receipt":  errOf(n.Receipt(t.Context(), d.principal(), id)),
		"document": errOf(n.Document(t.Context(), d.principal(), id)),
		"replay":   errOf(n.Deposit(t.Context(), d.principal(), original(t, "b", "contract b", "contract.number", "HT-1", "party.0.name", "张三", "label.desk", "7"))),
		"hold":     third(n.Note(t.Context(), ann, notary.Notice{Key: "h", Act: notary.ActHold, Deposit: id, Matter: "m", Reason: "r"})),
	} {
		if !errors.Is(err, notary.ErrErased) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if again, s := d.note(n, ann, erase("e5", "")); again.Index != receipt.Index || s.Erased == nil {
		t.Errorf("the retry is entry %d, %+v", again.Index, s)
	}
	for _, search := range []notary.Search{{Limit: 9}, {Contract: "HT-1", Limit: 9}, {Label: "desk", Value: "7", Limit: 9}} {
		if found, _, err := n.Search(t.Context(), d.principal(), search); err != nil || len(found) != 2 {
			t.Errorf("%+v: %d found, %v", search, len(found), err)
		}
	}
	if next := deposit("d"); text(next, "content.sha256") == "" || seq(t, next) != 4 {
		t.Errorf("the case goes on with number %d", seq(t, next))
	}
	if e := d.verify(gone, "contract b"); e.Outcome() != proofs.Verified {
		t.Errorf("the receipt from before: %v", e.Reason)
	}
	closeNotary(t, n)
	d.check(receipts...)
	d.fsck()
	n = d.open() // and the start finds no damage
	time.Sleep(50 * time.Millisecond)
	if s := n.Status(t.Context()); len(s.Problems) > 0 {
		t.Errorf("after a start: %v", s.Problems)
	}
	closeNotary(t, n)
}

func errOf[T any](_ T, err error) error         { return err }
func third[A, B any](_ A, _ B, err error) error { return err }
func seq(t testing.TB, r proofs.Receipt) (n int64) {
	v, _ := r.Member("case.seq")
	n, _ = v.Integer()
	return n
}

// TestErasureInterrupted: wherever an erasure is cut off, it comes to its end by itself, and
// nothing is called damaged meanwhile.
func TestErasureInterrupted(t *testing.T) {
	for _, cut := range []notarytest.Fault{
		{Call: "EditKeys", Kind: notarytest.Fails}, {Call: "EditKeys", Nth: 2, Kind: notarytest.Fails}, {Call: "EditKeys", Kind: notarytest.TimesOut},
		{Call: "Erase", Kind: notarytest.Fails}, {Call: "Erase", Kind: notarytest.FailsYetPersisted}, {Call: "Delete", Kind: notarytest.Fails},
	} {
		t.Run(fmt.Sprintf("%s %d %v", cut.Call, cut.Nth, cut.Kind), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newDepository(t)
				n := d.open()
				made, err := n.Deposit(t.Context(), d.principal(), original(t, "a", "contract", "contract.number", "HT-1"))
				if err != nil {
					t.Fatal(err)
				}
				id := idOf(t, made)
				secret := d.ledger.Snapshot().Rows[made.Index].Secrets
				d.note(n, d.keeper("ann"), notary.Notice{Key: "e1", Act: notary.ActErase, Deposit: id})
				faults := map[string]*notarytest.Faults{"EditKeys": d.segments.Faults, "Erase": d.ledger.Faults, "Delete": d.blobs.Faults}[cut.Call]
				faults.Reset() // and its counts
				faults.Set(cut)
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				_, _, err = n.Note(ctx, d.keeper("bob"), notary.Notice{Key: "e2", Act: notary.ActErase, Deposit: id, Reason: "r"})
				cancel()
				if cut.Call != "Delete" && !errors.Is(err, notary.ErrUnavailable) {
					t.Errorf("cut off: %v", err)
				}
				crashed(n)
				if faults.Fired() == 0 {
					t.Error("nothing failed")
				}
				faults.Reset()
				n = d.open()
				time.Sleep(26 * time.Hour) // what cannot be deleted at once is swept
				if s := n.Status(t.Context()); len(s.Problems) > 0 {
					t.Errorf("problems: %v", s.Problems)
				}
				if _, err := n.Receipt(t.Context(), d.principal(), id); !errors.Is(err, notary.ErrErased) {
					t.Errorf("afterwards: %v", err)
				}
				if encoded, _ := json.Marshal(secret); bytes.Contains(d.everything(), secret) || bytes.Contains(d.everything(), encoded) {
					t.Error("the key is still there")
				}
				if len(d.blobs.Snapshot()) > 0 {
					t.Error("the document is still there")
				}
				closeNotary(t, n)
				d.check(made)
				d.fsck()
			})
		})
	}
}

// TestHoldRacesErasure: whoever comes first, a deposit is never erased under a hold.
func TestHoldRacesErasure(t *testing.T) {
	d := newDepository(t)
	n := d.open()
	held, erased := 0, 0
	for i := range 60 {
		made := d.must(n, fmt.Sprint("d", i))
		id := idOf(t, made)
		d.note(n, d.keeper("ann"), notary.Notice{Key: fmt.Sprint("ask", i), Act: notary.ActErase, Deposit: id})
		var group sync.WaitGroup
		var errs [2]error
		wants := []notary.Notice{{Key: fmt.Sprint("hold", i), Act: notary.ActHold, Deposit: id, Matter: "m", Reason: "r"}, {Key: fmt.Sprint("erase", i), Act: notary.ActErase, Deposit: id, Reason: "r"}}
		for k := range wants {
			k := (k + i) % 2
			want := wants[k]
			group.Go(func() { errs[k] = third(n.Note(context.Background(), d.keeper("bob"), want)) })
		}
		group.Wait()
		s, err := n.Notices(t.Context(), d.principal(), id)
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case s.Erased != nil && len(s.Matters) == 0 && errors.Is(errs[0], notary.ErrErased) && errs[1] == nil:
			erased++
		case s.Erased == nil && len(s.Matters) == 1 && errs[0] == nil && errors.Is(errs[1], notary.ErrHeld):
			held++
		default:
			t.Errorf("race %d: %+v, %v", i, s, errs)
		}
	}
	t.Logf("held %d, erased %d", held, erased)
	closeNotary(t, n)
	d.check()
	d.fsck()
}

// TestPagesPastNotices: notices and erased deposits are passed over, and every page goes on
// from where the one before ended.
func TestPagesPastNotices(t *testing.T) {
	d := newDepository(t)
	n := d.open()
	defer closeNotary(t, n)
	var want []notary.ID
	for i := range 5 {
		id := idOf(t, d.must(n, fmt.Sprint("d", i)))
		for k := range 7 {
			d.note(n, d.keeper("ann"), notary.Notice{Key: fmt.Sprint("n", i, k), Act: notary.ActHold, Deposit: id, Matter: fmt.Sprint(k)})
		}
		if i != 2 {
			want = append(want, id)
			continue
		}
		for k := range 7 {
			d.note(n, d.keeper("ann"), notary.Notice{Key: fmt.Sprint("r", k), Act: notary.ActRelease, Deposit: id, Matter: fmt.Sprint(k)})
		}
		d.note(n, d.keeper("ann"), notary.Notice{Key: "e1", Act: notary.ActErase, Deposit: id})
		d.note(n, d.keeper("bob"), notary.Notice{Key: "e2", Act: notary.ActErase, Deposit: id})
	}
	for _, limit := range []int{1, 2, 3, 4, 5, 1000} {
		var got []notary.ID
		for from := uint64(0); ; {
			found, next, err := n.Search(t.Context(), d.principal(), notary.Search{From: from, Limit: limit})
			if err != nil || len(found) > limit {
				t.Fatalf("%d of %d found, %v", len(found), limit, err)
			}
			for _, f := range found {
				got = append(got, f.ID)
			}
			if next == 0 {
				break
			}
			from = next
		}
		if !slices.Equal(got, want) {
			t.Errorf("in pages of %d: %v, want %v", limit, got, want)
		}
	}
}

// TestRetention: before its term ends a deposit is erased by an order alone.
func TestRetention(t *testing.T) {
	term := func(text string) notary.RetentionTerm {
		r, err := notary.ParseRetention(text)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	r := notary.Retention{"default": term("10 days"), "loan": term("terms.end + 5 years")}
	entered := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		claims []string
		want   time.Time
	}{
		{nil, entered.AddDate(0, 0, 10)},
		{[]string{"label.retention", "no such class"}, entered.AddDate(0, 0, 10)},
		{[]string{"label.retention", "loan"}, entered.AddDate(5, 0, 0)},
		{[]string{"label.retention", "loan", "terms.end", "2031-02-28"}, time.Date(2036, 2, 28, 0, 0, 0, 0, time.UTC)},
		{[]string{"label.retention", "loan", "terms.end", "1999-01-01"}, entered.AddDate(5, 0, 0)}, // no date in the past shortens it
		{[]string{"label.retention", "loan", "terms.end", "soon"}, entered.AddDate(5, 0, 0)},
	} {
		if got := r.End(claims(t, c.claims...), entered); !got.Equal(c.want) {
			t.Errorf("%q: %v, want %v", c.claims, got, c.want)
		}
	}
	if got := (notary.Retention)(nil).End(nil, entered); !got.IsZero() {
		t.Errorf("without classes: %v", got)
	}
	for _, bad := range []string{"", "years", "5 weeks", "nothing.such + 5 years", "-1 days", "2000 years", "terms.end - 5 years"} {
		if _, err := notary.ParseRetention(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		d := newDepository(t)
		d.retention = r
		n := d.open()
		long, err := n.Deposit(t.Context(), d.principal(), original(t, "long", "document", "label.retention", "loan", "terms.end", "2050-01-01"))
		if err != nil {
			t.Fatal(err)
		}
		if o := d.blobs.Snapshot()[d.tenant.ID.String()+"/"+idOf(t, long).String()]; !o.Until.Equal(time.Date(2055, 1, 1, 0, 0, 0, 0, time.UTC)) {
			t.Errorf("its document is retained until %v", o.Until)
		}
		id := idOf(t, d.must(n, "a"))
		erase := func(key, who, order string) (notary.Standing, error) {
			_, s, err := n.Note(t.Context(), d.keeper(who), notary.Notice{Key: key, Act: notary.ActErase, Deposit: id, Matter: order, Reason: "r"})
			return s, err
		}
		var held *notary.HeldError
		if _, err := erase("e1", "ann", ""); !errors.As(err, &held) || held.Until.IsZero() {
			t.Errorf("before the end: %v", err)
		}
		later := func(wait time.Duration) {
			closeNotary(t, n)
			time.Sleep(wait)
			n = d.open()
		}
		due := func(in time.Duration) int {
			found, _, err := n.Search(t.Context(), d.principal(), notary.Search{Due: time.Now().Add(in), Limit: 10})
			if err != nil {
				t.Fatal(err)
			}
			return len(found)
		}
		if now, then := due(0), due(11*24*time.Hour); now != 0 || then != 1 {
			t.Errorf("%d due now, %d in eleven days", now, then)
		}
		later(11 * 24 * time.Hour)
		if s, err := erase("e2", "ann", ""); err != nil || s.Asked == nil {
			t.Errorf("after it: %+v, %v", s, err)
		}
		later(notary.AskedFor)
		if s, err := n.Notices(t.Context(), d.keeper("ann"), id); err != nil || s.Asked != nil || len(s.Notices) != 1 {
			t.Errorf("a request that has lapsed still waits: %+v, %v", s, err)
		}
		if s, err := erase("e3", "bob", ""); err != nil || s.Erased != nil {
			t.Errorf("a request that has lapsed was confirmed: %+v, %v", s, err)
		}
		if s, err := erase("e4", "ann", ""); err != nil || s.Erased == nil {
			t.Errorf("confirmed: %+v, %v", s, err)
		}
		other := idOf(t, d.must(n, "b"))
		id = other
		if s, err := erase("f1", "ann", "法院裁定"); err != nil || s.Asked == nil {
			t.Errorf("by order: %+v, %v", s, err)
		}
		if s, err := erase("f2", "bob", "法院裁定"); err != nil || s.Erased == nil {
			t.Errorf("by order: %+v, %v", s, err)
		}
		closeNotary(t, n)
		d.check()
	})
}
