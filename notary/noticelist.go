package notary

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/muniment/muniment/proofs"
)

// NoticeState is what has become of what a notice began.
type NoticeState string

// The states. A hold is open until its matter is closed; an erasure that was asked for, until
// another caller confirms it, a hold refuses it, it is asked for anew, or AskedFor has passed.
const (
	NoticeOpen     NoticeState = "open"
	NoticeReleased NoticeState = "released"
	NoticeErased   NoticeState = "erased"
	NoticeRefused  NoticeState = "refused"
	NoticeReplaced NoticeState = "replaced"
	NoticeLapsed   NoticeState = "lapsed"
	NoticeDone     NoticeState = "done" // a release or an erasure: it began nothing
)

// KeepingActs are those that say what becomes of a deposit.
var KeepingActs = []Act{ActHold, ActRelease, ActAsk, ActErase}

// NoticeSearch selects a principal's notices of deposits.
type NoticeSearch struct {
	Act      Act    // one of KeepingActs; empty: any
	Open     bool   // those alone whose state is NoticeOpen
	Backward bool   // the newest first
	From     uint64 // the cursor, as in Search
	Limit    int    // 1 to MaxFound
}

// FoundNotice is one notice of a search.
type FoundNotice struct {
	Noted
	Deposit ID
	State   NoticeState
}

// termListed is the family of the terms by which a tenant's notices are listed: of an act, and
// of nothing.
const termListed = "notices"

// listed are the terms by which a notice of that act is listed; none, where it is of no deposit.
// Notices that were made before they were listed have none in the ledger.
func (t termer) listed(act string) []Term {
	if !slices.Contains(KeepingActs, Act(act)) {
		return nil
	}
	return []Term{t.term(termListed, ""), t.term(termListed, act)}
}

// SearchNotices returns the notices of the tenant that the principal reads that are published
// and match, in the order of the log or backward, and the cursor to go on from, 0 at the end.
// A page may have fewer than asked for, or none, and others follow. A court reads the notices
// of what was opened to it, by Notices, and no list.
func (n *Notary) SearchNotices(ctx context.Context, who Principal, s NoticeSearch) (found []FoundNotice, next uint64, err error) {
	tenant, err := who.reads()
	if err != nil {
		return nil, 0, err
	}
	switch {
	case who.Role == Court:
		return nil, 0, ErrForbidden
	case s.Limit < 1 || s.Limit > MaxFound:
		return nil, 0, invalid("limit", "must be 1 to %d", MaxFound)
	case s.Act != "" && !slices.Contains(KeepingActs, s.Act):
		return nil, 0, invalid("act", "must be one of %q", KeepingActs)
	}
	tk, err := n.config.TenantKey(tenant)
	if err != nil {
		return nil, 0, n.unavailable(err)
	}
	term := tk.termer().term(termListed, string(s.Act))
	q := Query{Tenant: tenant, Term: &term, Backward: s.Backward}
	q.at(s.From)
	chains := chains{n: n, key: tk, tenant: tenant, known: map[string][]Noted{}, now: n.clock.now()}
	for chains.looked < maxLooked {
		q.Limit = s.Limit - len(found)
		rows, v, err := n.publishedRows(ctx, &q)
		if err != nil {
			return nil, 0, err
		}
		for _, row := range rows {
			if row.Index >= v.size {
				return found, 0, nil
			}
			f, err := chains.find(ctx, row)
			if err != nil {
				return nil, 0, err
			}
			if q.after(row.Index); !s.Open || f.State == NoticeOpen {
				found = append(found, f)
			}
			if chains.looked >= maxLooked {
				return found, q.cursor(), nil
			}
		}
		if len(rows) < q.Limit {
			return found, 0, nil
		}
		if len(found) == s.Limit {
			break
		}
	}
	return found, q.cursor(), nil
}

// chains are the notices of each deposit that a search has come by.
type chains struct {
	n      *Notary
	key    TenantKey
	tenant ID
	known  map[string][]Noted // by the deposit's id; without the reasons
	looked int                // rows that were opened
	now    time.Time
}

// find opens a notice and says what has become of it.
func (c *chains) find(ctx context.Context, row Row) (FoundNotice, error) {
	o, err := c.n.unseal(row)
	if err != nil {
		return FoundNotice{}, err
	}
	c.looked++
	f := FoundNotice{Noted: o.noted()}
	of := o.text("notice.deposit")
	if f.Deposit, err = ParseID(of); err != nil || o.entry.Kind != proofs.KindNotice {
		return f, fmt.Errorf("%w: the notice of entry %d names no deposit", ErrDamaged, row.Index)
	}
	chain, known := c.known[of]
	if !known {
		if chain, err = c.read(ctx, of); err != nil {
			return f, err
		}
		c.known[of] = chain
	}
	f.State = stateOf(f.Noted, chain, c.now)
	return f, nil
}

func (c *chains) read(ctx context.Context, of string) (chain []Noted, err error) {
	term := c.key.termer().term(termNotice, of)
	rows, err := c.n.config.Ledger.Deposits(ctx, Query{Tenant: c.tenant, Term: &term, Limit: maxNotices})
	if err != nil {
		return nil, c.n.unavailable(err)
	}
	for _, row := range rows {
		o, err := c.n.unseal(row)
		if err != nil {
			return nil, err
		}
		noted := o.noted()
		noted.Reason = ""
		chain = append(chain, noted)
	}
	c.looked += len(rows)
	return chain, nil
}

// stateOf is what has become of a notice, by all notices of its deposit.
func stateOf(began Noted, chain []Noted, now time.Time) NoticeState {
	if began.Act != ActHold && began.Act != ActAsk {
		return NoticeDone
	}
	lapses := began.Time.Add(AskedFor)
	for _, later := range chain {
		switch {
		case later.Index <= began.Index:
		case began.Act == ActHold:
			if later.Act == ActRelease && later.Matter == began.Matter {
				return NoticeReleased
			}
		case later.Act == ActErase:
			return NoticeErased
		case !later.Time.Before(lapses):
			return NoticeLapsed
		case later.Act == ActHold:
			return NoticeRefused
		case later.Act == ActAsk:
			return NoticeReplaced
		}
	}
	if began.Act == ActAsk && !now.Before(lapses) {
		return NoticeLapsed
	}
	return NoticeOpen
}
