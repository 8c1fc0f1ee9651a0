package notary

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/muniment/muniment/proofs"
)

// Month is a calendar month, UTC: 202611 is November 2026.
type Month int32

// MonthOf returns the month of a time.
func MonthOf(t time.Time) Month {
	t = t.UTC()
	return Month(t.Year()*100 + int(t.Month()))
}

// Begins returns the month's first moment.
func (m Month) Begins() time.Time {
	return time.Date(int(m)/100, time.Month(m%100), 1, 0, 0, 0, 0, time.UTC)
}

// Ends returns the first moment after the month.
func (m Month) Ends() time.Time { return m.Begins().AddDate(0, 1, 0) }

// String returns the form YYYY-MM.
func (m Month) String() string { return fmt.Sprintf("%04d-%02d", int(m)/100, int(m)%100) }

// ParseMonth reads what Month.String writes, of the years 2000 to 9999.
func ParseMonth(s string) (Month, error) {
	t, err := time.Parse("2006-01", s)
	if err != nil || t.Year() < 2000 || MonthOf(t).String() != s {
		return 0, errors.New("is not a month, as in 2026-11")
	}
	return MonthOf(t), nil
}

// Quota is what a tenant may deposit in a calendar month, UTC.
type Quota struct {
	Deposits uint64 // 0: as many as it likes
	Bytes    uint64 // of documents that are kept; 0: as many as it likes
}

// Quotas are the quota of each tenant, and of those that have another.
type Quotas struct {
	Quota
	Tenants map[ID]Quota
}

// Of returns the quota of a tenant.
func (q Quotas) Of(tenant ID) Quota {
	if own, ok := q.Tenants[tenant]; ok {
		return own
	}
	return q.Quota
}

// A QuotaError says that the tenant has used up what it may deposit in the month. Nothing was
// kept.
type QuotaError struct {
	Quota Quota
	Used  Usage
}

func (e *QuotaError) Error() string {
	return fmt.Sprintf("In %s your tenant has made %s, with documents of %s. What it asks for is beyond its quota, which begins anew with the month (UTC).",
		e.Used.Month, ofMost(e.Used.Deposits, e.Quota.Deposits, "deposits"), ofMost(e.Used.Bytes, e.Quota.Bytes, "bytes"))
}

func ofMost(used, most uint64, what string) string {
	if most == 0 {
		return fmt.Sprintf("%d %s", used, what)
	}
	return fmt.Sprintf("%d of %d %s", used, most, what)
}

// allows reports why more cannot be added to what was used; nil if it can.
func (q Quota) allows(used Usage, deposits, bytes uint64) error {
	if over(used.Deposits, deposits, q.Deposits) || over(used.Bytes, bytes, q.Bytes) {
		return &QuotaError{q, used}
	}
	return nil
}

// over reports whether more is too much, if anything more is asked for.
func over(used, more, most uint64) bool {
	return most > 0 && more > 0 && (used >= most || more > most-used)
}

// Usage returns what the caller's tenant deposited in a month, and its quota.
func (n *Notary) Usage(ctx context.Context, who Principal, month Month) (Usage, Quota, error) {
	if !who.Role.MayRead() {
		return Usage{}, Quota{}, ErrForbidden
	}
	u, err := n.config.Ledger.Usage(ctx, who.Tenant.ID, month)
	if err != nil {
		return Usage{}, Quota{}, n.unavailable(err)
	}
	return u, n.config.Quotas.Of(who.Tenant.ID), nil
}

// ThisMonth is the month of a deposit that is made now.
func (n *Notary) ThisMonth() Month { return MonthOf(n.clock.now()) }

// affordable refuses a document of a tenant that has no quota left, before it is stored.
// What holds is decided under the lock of the head.
func (n *Notary) affordable(ctx context.Context, tenant ID) error {
	quota := n.config.Quotas.Of(tenant)
	if quota == (Quota{}) {
		return nil
	}
	used, err := n.config.Ledger.Usage(ctx, tenant, n.ThisMonth())
	if err != nil {
		return n.unavailable(err)
	}
	return quota.allows(used, 1, 1)
}

// aroundMidnight is how far the ledger's clock may be from what we take it for.
const aroundMidnight = time.Minute

// usages names what must be known of a tenant's use: of this month, and about midnight
// before the first of a month of two.
func (n *Notary) usages(tenant ID) []Usage {
	now := n.clock.now()
	earlier, later := MonthOf(now.Add(-aroundMidnight)), MonthOf(now.Add(aroundMidnight))
	if earlier == later {
		return []Usage{{Tenant: tenant, Month: earlier}}
	}
	return []Usage{{Tenant: tenant, Month: earlier}, {Tenant: tenant, Month: later}}
}

// used counts what tenants deposit, by tenant and month.
type used map[usedKey]*Usage

type usedKey struct {
	tenant ID
	month  Month
}

func usedOf(found []Usage) used {
	m := used{}
	for _, u := range found {
		m[usedKey{u.Tenant, u.Month}] = &u
	}
	return m
}

// listed returns what the batch is to write of those that were looked up.
func (m used) listed(found []Usage) (out []Usage) {
	for _, before := range found {
		k := usedKey{before.Tenant, before.Month}
		if now := m[k]; now != nil && *now != before {
			out = append(out, *now)
			delete(m, k)
		}
	}
	return out
}

// keptBytes is the size of the document that an opened row came with; of one that cannot be
// opened it is not known, and counts nothing.
func keptBytes(o *opened) uint64 {
	if o == nil {
		return 0
	}
	if held, _ := o.record.Get("content.held"); held != proofs.Boolean(true) {
		return 0
	}
	v, _ := o.record.Get("content.size")
	size, _ := v.Integer()
	return uint64(size)
}

// deposited names the months of the rows' deposits, each of a tenant once.
func (w *rewriter) deposited() (list []Usage, err error) {
	named := map[usedKey]bool{}
	err = w.eachDeposit(func(k usedKey, _ uint64) {
		if !named[k] {
			named[k] = true
			list = append(list, Usage{Tenant: k.tenant, Month: k.month})
		}
	})
	return list, err
}

// counted is what tenants used once the rows are there.
func (w *rewriter) counted(before []Usage) ([]Usage, error) {
	m := usedOf(before)
	err := w.eachDeposit(func(k usedKey, bytes uint64) {
		m[k].Deposits, m[k].Bytes = m[k].Deposits+1, m[k].Bytes+bytes
	})
	return m.listed(before), err
}

// eachDeposit goes through the rows that a tenant deposited.
func (w *rewriter) eachDeposit(fn func(k usedKey, bytes uint64)) error {
	for i := range w.rows {
		if w.rows[i].Tenant == (ID{}) {
			continue
		}
		entry, err := proofs.ParseEntry(string(w.rows[i].Entry))
		if err != nil {
			return err
		}
		if entry.Kind == proofs.KindDeposit {
			fn(usedKey{w.rows[i].Tenant, MonthOf(entry.Time)}, w.bytes[i])
		}
	}
	return nil
}
