package notary

import (
	"context"
	"errors"
	"time"

	"github.com/muniment/muniment/proofs"
)

// MaxFound bounds what one search returns.
const MaxFound = 1000

// Search selects a principal's deposits. At most one of Contract, SHA256 and Label
// may be set.
type Search struct {
	Contract string    // contract number, byte for byte
	SHA256   string    // of the document, lower-case hex
	Label    string    // name of a label, without "label."
	Value    string    // of that label
	Since    time.Time // entry time at or after it; zero: no bound
	Until    time.Time // entry time before it; zero: no bound
	From     uint64    // the first index that may be returned: the cursor
	Limit    int       // 1 to MaxFound
}

// Found is one deposit of a search.
type Found struct {
	ID     ID
	Index  uint64
	Entry  proofs.Entry
	Leaf   proofs.Hash
	Record proofs.Record
}

// Search returns the principal's deposits that are published and match, in the
// order of the log, and the cursor to go on from, 0 at the end.
func (n *Notary) Search(ctx context.Context, who Principal, s Search) (found []Found, next uint64, err error) {
	if !who.Role.MayRead() {
		return nil, 0, ErrForbidden
	}
	if s.Limit < 1 || s.Limit > MaxFound {
		return nil, 0, invalid("limit", "must be 1 to %d", MaxFound)
	}
	q, err := n.query(who, s)
	if err != nil {
		return nil, 0, err
	}
	rows, err := n.config.Ledger.Deposits(ctx, q)
	if err != nil {
		return nil, 0, n.unavailable(err)
	}
	if len(rows) == 0 {
		return nil, 0, nil
	}
	v, err := n.reaching(ctx, rows[len(rows)-1].Index+1)
	if err != nil {
		return nil, 0, err
	}
	for _, row := range rows {
		if row.Index >= v.size {
			return found, 0, nil
		}
		o, err := n.unseal(row)
		if errors.Is(err, ErrLost) || errors.Is(err, ErrErased) {
			continue
		}
		if err != nil {
			return nil, 0, err
		}
		if o.entry.Kind != proofs.KindDeposit {
			continue
		}
		found = append(found, Found{row.ID, row.Index, o.entry, o.entry.LeafHash(), o.record})
	}
	if len(rows) == s.Limit {
		next = rows[len(rows)-1].Index + 1
	}
	return found, next, nil
}

// query puts a search into the ledger's words.
func (n *Notary) query(who Principal, s Search) (Query, error) {
	q := Query{Tenant: who.Tenant.ID, From: s.From, Since: s.Since, Until: s.Until, Limit: s.Limit}
	tk, err := n.config.TenantKey(who.Tenant.ID)
	if err != nil {
		return q, n.unavailable(err)
	}
	for what, value := range map[string]string{termContract: s.Contract, termSHA256: s.SHA256, termLabel + s.Label: s.Value} {
		if value == "" {
			continue
		}
		if q.Term != nil {
			return q, invalid("", "search by contract, by sha256 or by one label, not by several")
		}
		t := tk.termer().term(what, value)
		q.Term = &t
	}
	return q, nil
}

// Case returns the state of one of the principal's cases, once everything that it
// counts is published; ErrNotFound if there is no such case.
func (n *Notary) Case(ctx context.Context, who Principal, contract string) (Case, error) {
	if !who.Role.MayRead() {
		return Case{}, ErrForbidden
	}
	tk, err := n.config.TenantKey(who.Tenant.ID)
	if err != nil {
		return Case{}, n.unavailable(err)
	}
	c, err := n.config.Ledger.Case(ctx, who.Tenant.ID, tk.termer().term(termContract, contract))
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
