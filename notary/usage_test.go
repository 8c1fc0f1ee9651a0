package notary_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/proofs"
)

// TestQuota: a tenant deposits to the last of its quota and not one more, whoever races and
// in whatever form; a retry of what was kept is answered all the same; another tenant is not
// concerned, and the next month begins anew.
func TestQuota(t *testing.T) {
	var mu sync.Mutex
	shift := time.Duration(0)
	now := func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		return time.Now().Add(shift)
	}
	d := newDepositoryAt(t, now)
	c := d.config()
	c.Quotas = notary.Quotas{Tenants: map[notary.ID]notary.Quota{d.tenant.ID: {Deposits: 10, Bytes: 25}}}
	n, err := notary.Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	over := func(err error) bool { return errors.As(err, new(*notary.QuotaError)) }

	// Bytes: the third document of ten is over 25, and nothing of it stays.
	for i := range 2 {
		if _, err := n.Deposit(t.Context(), d.principal(), original(t, fmt.Sprint("b", i), "0123456789")); err != nil {
			t.Fatal(err)
		}
	}
	blobs := len(d.blobs.Snapshot())
	if _, err := n.Deposit(t.Context(), d.principal(), original(t, "b2", "0123456789")); !over(err) {
		t.Errorf("a document beyond the quota: %v", err)
	}
	if got := len(d.blobs.Snapshot()); got != blobs {
		t.Errorf("%d documents were left", got-blobs)
	}
	if _, err := n.Deposit(t.Context(), d.principal(), original(t, "b3", "01234")); err != nil {
		t.Errorf("the last five bytes: %v", err)
	}
	if _, err := n.Deposit(t.Context(), d.principal(), original(t, "b4", "0")); !over(err) {
		t.Errorf("one byte more: %v", err)
	}

	// Deposits: seven are left, and a batch of eight is refused whole.
	lines := make([]proofs.Record, 8)
	for i := range lines {
		lines[i] = digestOnly(t, "", fmt.Sprint("line", i)).Claims
	}
	size := d.ledger.Snapshot().Head.Size
	if _, err := n.DepositBatch(t.Context(), d.principal(), notary.DigestBatch{Key: "batch", Lines: lines}); !over(err) {
		t.Errorf("a batch beyond the quota: %v", err)
	}
	if got := d.ledger.Snapshot().Head.Size; got != size {
		t.Errorf("%d of its lines were kept", got-size)
	}
	var racing sync.WaitGroup
	results := make([]error, 40)
	for i := range results {
		racing.Go(func() {
			_, results[i] = n.Deposit(t.Context(), d.principal(), digestOnly(t, fmt.Sprint("r", i), fmt.Sprint(i)))
		})
	}
	racing.Wait()
	kept := ""
	taken := 0
	for i, err := range results {
		switch {
		case err == nil:
			taken++
			kept = fmt.Sprint(i)
		case !over(err):
			t.Errorf("racer %d: %v", i, err)
		}
	}
	if taken != 7 {
		t.Errorf("%d of 7 that were left were taken", taken)
	}
	if _, err := n.Deposit(t.Context(), d.principal(), digestOnly(t, "r"+kept, kept)); err != nil {
		t.Errorf("the retry of what was kept: %v", err)
	}
	if _, err := n.Deposit(t.Context(), d.principal(), original(t, "b0", "0123456789")); err != nil {
		t.Errorf("the retry of a document that was kept: %v", err)
	}
	other := notary.Principal{Tenant: notary.Tenant{ID: notary.ID{2}, Name: "Other"}, Role: notary.Depositor}
	if _, err := n.Deposit(t.Context(), other, digestOnly(t, "o", "x")); err != nil {
		t.Errorf("another tenant: %v", err)
	}
	month := n.ThisMonth()
	used, quota, err := n.Usage(t.Context(), d.principal(), month)
	if want := (notary.Usage{Tenant: d.tenant.ID, Month: month, Deposits: 10, Bytes: 25}); err != nil || used != want || quota.Deposits != 10 {
		t.Errorf("usage is %+v of %+v, %v", used, quota, err)
	}
	closeNotary(t, n)

	mu.Lock()
	shift = time.Until(month.Ends()) + time.Second
	mu.Unlock()
	c = d.config()
	c.AcceptClock = true
	c.Quotas = notary.Quotas{Quota: notary.Quota{Deposits: 1}}
	if n, err = notary.Open(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if n.ThisMonth() == month {
		t.Fatal("the month did not change")
	}
	if _, err := n.Deposit(t.Context(), d.principal(), digestOnly(t, "next", "x")); err != nil {
		t.Errorf("in the next month: %v", err)
	}
	if _, err := n.Deposit(t.Context(), d.principal(), digestOnly(t, "next2", "x")); !over(err) {
		t.Errorf("the second of one in the next month: %v", err)
	}
	closeNotary(t, n)
}

// TestMonth: a month is read as it is written, and nothing else is.
func TestMonth(t *testing.T) {
	m := notary.MonthOf(time.Date(2026, 12, 31, 23, 59, 59, 0, time.FixedZone("", -3600)))
	if m.String() != "2027-01" || m.Ends() != time.Date(2027, 2, 1, 0, 0, 0, 0, time.UTC) {
		t.Errorf("%s ends %s", m, m.Ends())
	}
	if back, err := notary.ParseMonth("2027-01"); err != nil || back != m {
		t.Errorf("%v, %v", back, err)
	}
	for _, bad := range []string{"", "2027-1", "2027-13", "2027-00", "1999-12", "02027-01", "2027-01 ", "２０２７-01"} {
		if m, err := notary.ParseMonth(bad); err == nil {
			t.Errorf("%q is %v", bad, m)
		}
	}
}
