package notary_test

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/proofs"
)

// called is a depositor of the fixture's tenant whom its credential calls by a name.
func (d *depository) called(name, caller string) notary.Principal {
	return notary.Principal{Tenant: d.tenant, Role: notary.Depositor, Name: name, Caller: caller}
}

// TestDepositorName: each record says who deposited it, by a name or by the caller's id, and
// nobody can say it otherwise; what it says finds the deposit, and is gone when that is erased.
func TestDepositorName(t *testing.T) {
	d := newDepository(t)
	n := d.open()
	defer func() { d.check(); d.fsck() }()
	defer closeNotary(t, n)
	deposit := func(who notary.Principal, deposit notary.Deposit) proofs.Receipt {
		t.Helper()
		r, err := n.Deposit(t.Context(), who, deposit)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	named, unnamed, plain := d.called("放款系统 3", "key:0123456789abcdef"), d.called("", "key:fedcba9876543210"), d.principal()
	made := deposit(named, original(t, "a", "contract", "contract.number", "HT-1"))
	for r, want := range map[*proofs.Receipt]string{
		new(made): "放款系统 3",
		new(deposit(unnamed, digestOnly(t, "b", "other"))): "key:fedcba9876543210",
		new(deposit(plain, digestOnly(t, "c", "third"))):   "",
	} {
		if got := text(*r, "depositor.name"); got != want {
			t.Errorf("depositor.name is %q, want %q", got, want)
		}
	}
	batch, err := n.DepositBatch(t.Context(), named, notary.DigestBatch{Key: "d", Lines: []proofs.Record{digestOnly(t, "", "x").Claims, digestOnly(t, "", "y").Claims}})
	if err != nil || len(batch) != 2 || text(batch[1], "depositor.name") != "放款系统 3" {
		t.Errorf("batch: %v", err)
	}
	find := func(s notary.Search) (ids []string) {
		t.Helper()
		s.Limit = 10
		found, _, err := n.Search(t.Context(), plain, s)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range found {
			ids = append(ids, f.ID.String())
		}
		return ids
	}
	want := []string{text(made, "id"), text(batch[0], "id"), text(batch[1], "id")}
	if got := find(notary.Search{Depositor: "放款系统 3"}); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("found %v, want %v", got, want)
	}
	if got := find(notary.Search{Depositor: "放款系统 3", Since: batch[0].Entry.Time.Add(1)}); len(got) > 2 {
		t.Errorf("found %v since then", got)
	}
	for _, other := range []string{"放款系统", "放款系统 3 ", "放款系统 30"} {
		if got := find(notary.Search{Depositor: other}); len(got) != 0 {
			t.Errorf("%q finds %v", other, got)
		}
	}
	var invalid *notary.InvalidError
	if _, _, err := n.Search(t.Context(), plain, notary.Search{Depositor: "a", Contract: "b", Limit: 1}); !errors.As(err, &invalid) {
		t.Errorf("two terms: %v", err)
	}
	if _, err := n.Deposit(t.Context(), named, digestOnly(t, "e", "z", "depositor.name", "another")); !errors.As(err, &invalid) || invalid.Member != "depositor.name" {
		t.Errorf("a caller that sets it: %v", err)
	}
	// With the erasure it is gone, and leads nowhere.
	for i, by := range []string{"ann", "bob"} {
		d.note(n, d.keeper(by), notary.Notice{Key: fmt.Sprint("erase-", i), Act: notary.ActErase, Deposit: idOf(t, made), Reason: "r"})
	}
	if got := find(notary.Search{Depositor: "放款系统 3"}); fmt.Sprint(got) != fmt.Sprint(want[1:]) {
		t.Errorf("found %v after the erasure, want %v", got, want[1:])
	}
}

// TestRetryByAnother: a key stands for what was deposited, whoever asks again: also where a
// record that calls the caller by a longer name would not fit any more.
func TestRetryByAnother(t *testing.T) {
	d := newDepository(t)
	n := d.opened()
	before, after := d.called("", "key:0123456789abcdef"), d.called(strings.Repeat("字", 200), "key:fedcba9876543210")
	room := func(key string, size int) notary.Deposit {
		return digestOnly(t, key, "contract", "terms.text", strings.Repeat("x", size))
	}
	most := 16 << 10
	for ; ; most -= 8 {
		_, err := n.Deposit(t.Context(), before, room("full", most))
		if err == nil {
			break
		}
		if !errors.As(err, new(*notary.InvalidError)) || most < 15<<10 {
			t.Fatal(err)
		}
	}
	first, err := n.Deposit(t.Context(), before, room("full", most))
	if err != nil {
		t.Fatal(err)
	}
	again, err := n.Deposit(t.Context(), after, room("full", most))
	if err != nil || again.Index != first.Index || text(again, "depositor.name") != before.Caller {
		t.Errorf("a retry with another key: entry %d, %q, %v", again.Index, text(again, "depositor.name"), err)
	}
	if _, err := n.Deposit(t.Context(), after, room("new", most)); !errors.As(err, new(*notary.InvalidError)) || !strings.Contains(err.Error(), "bytes in a receipt") {
		t.Errorf("a record that does not fit: %v", err)
	}
	var bad *notary.BatchError
	lines := []proofs.Record{room("", most).Claims}
	if _, err := n.DepositBatch(t.Context(), after, notary.DigestBatch{Key: "batch", Lines: lines}); !errors.As(err, &bad) {
		t.Errorf("a line that does not fit: %v", err)
	}
	if _, err := n.DepositBatch(t.Context(), before, notary.DigestBatch{Key: "batch", Lines: lines}); err != nil {
		t.Error(err)
	}
	if _, err := n.DepositBatch(t.Context(), after, notary.DigestBatch{Key: "batch", Lines: lines}); err != nil {
		t.Errorf("a batch again with another key: %v", err)
	}
	held, err := n.Deposit(t.Context(), before, original(t, "document", "contract"))
	if err != nil {
		t.Fatal(err)
	}
	if again, err := n.Deposit(t.Context(), after, original(t, "document", "contract")); err != nil || again.Index != held.Index {
		t.Errorf("a document again with another key: %v", err)
	}
}

// TestMembersAreCounted: what the depository says of the depositor counts among the members.
func TestMembersAreCounted(t *testing.T) {
	d := newDepository(t)
	n := d.opened()
	with := func(count int) notary.Deposit {
		var pairs []string
		for i := range count {
			pairs = append(pairs, fmt.Sprintf("label.l%d", i), hex.EncodeToString([]byte{byte(i)}))
		}
		return digestOnly(t, fmt.Sprint("key-", count), "contract", pairs...)
	}
	// Of 62 six are the digest and what the depository says: id, name and registration of the
	// tenant, whether it has the document, when it came; and with a name seven.
	if _, err := n.Deposit(t.Context(), d.principal(), with(56)); err != nil {
		t.Error(err)
	}
	who := d.called("loans", "key:0123456789abcdef")
	if _, err := n.Deposit(t.Context(), who, with(57)); err == nil || !strings.Contains(err.Error(), "has 64 members with the depository's own; at most 62 fit") {
		t.Errorf("too many: %v", err)
	}
	if _, err := n.Deposit(t.Context(), who, with(55)); err != nil {
		t.Error(err)
	}
}

// TestCallerName: a record calls callers by what can be read, whole, or not at all.
func TestCallerName(t *testing.T) {
	for want, names := range map[string][]string{
		"张三":                     {"张三", "zhang"},
		"zhang":                  {"", "zhang"},
		"Anna\u3000Müller":       {"Anna\u3000Müller"},
		"b":                      {"a\nb", "b"},
		"c":                      {"a\u202eb", "a\x00b", "\xff", "a\ufffdb", "\ufdd0", "c"},
		strings.Repeat("字", 200): {strings.Repeat("字", 201), strings.Repeat("字", 200)},
		"":                       {"\t"},
	} {
		if got := notary.CallerName(names...); got != want {
			t.Errorf("%q are called %q, want %q", names, got, want)
		}
	}
}

// TestBackwardOfUnpublished: the newest first begins with what is published.
func TestBackwardOfUnpublished(t *testing.T) {
	d := newDepository(t)
	n := d.opened()
	for i := range 3 {
		if _, err := n.Deposit(t.Context(), d.principal(), digestOnly(t, fmt.Sprint(i), "x")); err != nil {
			t.Fatal(err)
		}
	}
	release := d.stuck()
	late := digestOnly(t, "late", "x")
	late.Until = time.Now().Add(50 * time.Millisecond)
	if _, err := n.Deposit(t.Context(), d.principal(), late); !errors.As(err, new(*notary.SealingDelayedError)) {
		t.Fatal(err)
	}
	for limit, want := range map[int]string{1: "[3]", 10: "[3 2 1]"} {
		found, _, err := n.Search(t.Context(), d.principal(), notary.Search{Backward: true, Limit: limit})
		var got []uint64
		for _, f := range found {
			got = append(got, f.Index)
		}
		if err != nil || fmt.Sprint(got) != want {
			t.Errorf("limit %d: %v, %v; want %s", limit, got, err, want)
		}
	}
	release()
}
