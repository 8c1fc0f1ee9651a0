package notary

import (
	"context"
	"errors"
	"time"

	"github.com/muniment/muniment/proofs"
)

// MaxFound bounds what one search returns.
const MaxFound = 1000

// Search selects a principal's deposits. At most one of Contract, SHA256, SM3, Depositor
// and Label may be set.
type Search struct {
	Contract  string    // contract number, byte for byte
	SHA256    string    // of the document, lower-case hex
	SM3       string    // likewise; of deposits whose record has it
	Depositor string    // depositor.name, byte for byte; of deposits whose record has it
	Label     string    // name of a label, without "label."
	Value     string    // of that label
	Since     time.Time // entry time at or after it; zero: no bound
	Until     time.Time // entry time before it; zero: no bound
	Due       time.Time // the term of retention ended before it; zero: no bound
	Backward  bool      // the newest first
	From      uint64    // the cursor: the first index that may be returned; Backward, the one that all are below
	Limit     int       // 1 to MaxFound
}

// Found is one deposit of a search.
type Found struct {
	ID     ID
	Index  uint64
	Entry  proofs.Entry
	Leaf   proofs.Hash
	Record proofs.Record
}

// Search returns the deposits of the tenant that the principal reads that are published and
// match, in the order of the log or backward, and the cursor to go on from, 0 at the end. A
// court must ask for a case, and one that is not open to it is one that has no deposits.
func (n *Notary) Search(ctx context.Context, who Principal, s Search) (found []Found, next uint64, err error) {
	tenant, err := who.reads()
	if err != nil {
		return nil, 0, err
	}
	if s.Limit < 1 || s.Limit > MaxFound {
		return nil, 0, invalid("limit", "must be 1 to %d", MaxFound)
	}
	if who.Role == Court {
		if s.Contract == "" {
			return nil, 0, ErrForbidden // it looks for nothing but what was opened to it
		}
		if err := n.admitsCase(ctx, who, tenant, s.Contract); errors.Is(err, ErrNotFound) {
			return nil, 0, nil
		} else if err != nil {
			return nil, 0, err
		}
	}
	q, err := n.query(tenant, s)
	if err != nil {
		return nil, 0, err
	}
	for looked := 0; looked < maxLooked; {
		q.Limit = s.Limit - len(found)
		rows, v, err := n.publishedRows(ctx, &q)
		if err != nil {
			return nil, 0, err
		}
		more, open, err := n.openFound(rows, v, s.Due)
		if err != nil {
			return nil, 0, err
		}
		found = append(found, more...)
		if !open || len(rows) < q.Limit {
			return found, 0, nil
		}
		q.after(rows[len(rows)-1].Index)
		if looked += len(rows); len(found) == s.Limit {
			break
		}
	}
	return found, q.cursor(), nil
}

// after has a query go on behind an index.
func (q *Query) after(index uint64) {
	if q.Backward {
		q.Below = index // never 0, which is the genesis and no tenant's
	} else {
		q.From = index + 1
	}
}

// at has a query begin where the one before came to.
func (q *Query) at(cursor uint64) {
	if q.Backward {
		q.Below = cursor
	} else {
		q.From = cursor
	}
}

func (q *Query) cursor() uint64 {
	if q.Backward {
		return q.Below
	}
	return q.From
}

// publishedRows returns the rows that a query selects, and what is published. Backward those
// that are not published yet are passed over; else they are the last.
func (n *Notary) publishedRows(ctx context.Context, q *Query) ([]Row, *view, error) {
	for {
		rows, err := n.config.Ledger.Deposits(ctx, *q)
		if err != nil {
			return nil, nil, n.unavailable(err)
		}
		if len(rows) == 0 {
			return nil, nil, nil
		}
		v, err := n.reaching(ctx, max(rows[0].Index, rows[len(rows)-1].Index)+1)
		if err != nil {
			return nil, nil, err
		}
		if v.size == 0 {
			return nil, v, nil
		}
		if !q.Backward || rows[0].Index < v.size {
			return rows, v, nil
		}
		q.Below = v.size // and it never shrinks
	}
}

// maxLooked bounds the rows that one search opens. Notices, and what was erased, are passed
// over, so a page may have fewer deposits than asked for, or none, and others follow.
const maxLooked = 4 * MaxFound

// openFound opens those of a tenant's rows that are deposits to be found. open is whether all
// of them are published, so that more may follow.
func (n *Notary) openFound(rows []Row, v *view, due time.Time) (found []Found, open bool, err error) {
	for _, row := range rows {
		if row.Index >= v.size {
			return found, false, nil
		}
		o, err := n.unseal(row)
		if errors.Is(err, ErrLost) || errors.Is(err, ErrErased) {
			continue
		}
		if err != nil {
			return nil, false, err
		}
		if o.entry.Kind != proofs.KindDeposit {
			continue
		}
		if until := n.keptUntil(o); !due.IsZero() && (until.IsZero() || !until.Before(due)) {
			continue
		}
		found = append(found, Found{row.ID, row.Index, o.entry, o.entry.LeafHash(), o.record})
	}
	return found, true, nil
}

// query puts a search into the ledger's words.
func (n *Notary) query(tenant ID, s Search) (Query, error) {
	q := Query{Tenant: tenant, Backward: s.Backward, Since: s.Since, Until: s.Until, Limit: s.Limit}
	q.at(s.From)
	tk, err := n.config.TenantKey(tenant)
	if err != nil {
		return q, n.unavailable(err)
	}
	for what, value := range map[string]string{termContract: s.Contract, termSHA256: s.SHA256, termSM3: s.SM3, termDepositor: s.Depositor, termLabel + s.Label: s.Value} {
		if value == "" {
			continue
		}
		if q.Term != nil {
			return q, invalid("", "search by contract, by sha256, by sm3, by depositor or by one label, not by several")
		}
		t := tk.termer().term(what, value)
		q.Term = &t
	}
	return q, nil
}

// Case returns the state of a case that is the principal's to read, once everything that
// it counts is published; ErrNotFound if there is no such case.
func (n *Notary) Case(ctx context.Context, who Principal, contract string) (Case, error) {
	tenant, err := who.reads()
	if err == nil {
		err = n.admitsCase(ctx, who, tenant, contract)
	}
	if err != nil {
		return Case{}, err
	}
	tk, err := n.config.TenantKey(tenant)
	if err != nil {
		return Case{}, n.unavailable(err)
	}
	c, err := n.config.Ledger.Case(ctx, tenant, tk.termer().term(termContract, contract))
	if errors.Is(err, ErrNotFound) {
		return Case{}, ErrNotFound
	}
	if err != nil {
		return Case{}, n.unavailable(err)
	}
	head, err := n.config.Ledger.Head(ctx)
	if err == nil {
		_, err = n.published(ctx, head.Size-1, false)
	}
	if err != nil && n.ready.quorumMissing() {
		return Case{}, ErrQuorum
	}
	if err != nil {
		return Case{}, n.unavailable(err)
	}
	return c, nil
}
