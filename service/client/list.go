package client

import (
	"context"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/service/api"
)

const (
	pageSize = 100 // deposits asked for at a time
	maxPages = 100_000
)

// A Query says which deposits are wanted: all that match every field that is set. Of
// Contract, SHA256, SM3, Depositor and Label, one at most may be.
type Query struct {
	Contract string
	SHA256   string // hex
	SM3      string // hex
	// Depositor is who deposited: depositor.name, byte for byte.
	Depositor string
	// Label is a label's name without "label.", a colon, and its value: "branch:Shenzhen".
	Label        string
	Since, Until time.Time // Since is within, Until is not
	Due          time.Time // before which their terms of retention end
	NewestFirst  bool      // else in the order of the log
}

// Listed is a deposit as the server lists it. No receipt backs it: it is the
// server's word.
type Listed struct {
	ID     string
	Index  uint64
	Kind   proofs.Kind
	Time   time.Time
	Leaf   proofs.Hash
	Record proofs.Record
}

// Deposits lists the tenant's deposits page by page, in the order of the log or the newest
// first. It ends after the first error.
func (c *Client) Deposits(ctx context.Context, q Query) iter.Seq2[Listed, error] {
	return paged(func(cursor string) ([]api.FoundDeposit, string, error) {
		p, err := c.page(ctx, q, cursor)
		return p.Deposits, p.Next, err
	})
}

// paged goes from page to page. It ends after the first error.
func paged(page func(cursor string) (found []api.FoundDeposit, next string, err error)) iter.Seq2[Listed, error] {
	return func(yield func(Listed, error) bool) {
		cursor := ""
		for n := 0; ; n++ {
			found, next, err := page(cursor)
			// A list that does not move on would go round for ever.
			if err == nil && next != "" && (n == maxPages || next == cursor) {
				err = fmt.Errorf("%w: its list has no end", ErrAnswer)
			}
			if err != nil {
				yield(Listed{}, err)
				return
			}
			for _, d := range found {
				l, err := listed(d)
				if !yield(l, err) || err != nil {
					return
				}
			}
			if next == "" {
				return
			}
			cursor = next
		}
	}
}

// paging asks for a page.
func paging(cursor string) url.Values {
	v := url.Values{"limit": {strconv.Itoa(pageSize)}}
	if cursor != "" {
		v.Set("cursor", cursor)
	}
	return v
}

func (c *Client) page(ctx context.Context, q Query, cursor string) (api.DepositList, error) {
	v := paging(cursor)
	for name, value := range map[string]string{"contract": q.Contract, "sha256": q.SHA256, "sm3": q.SM3, "depositor": q.Depositor, "label": q.Label} {
		if value != "" {
			v.Set(name, value)
		}
	}
	for name, t := range map[string]time.Time{"since": q.Since, "until": q.Until, "due": q.Due} {
		if !t.IsZero() {
			v.Set(name, proofs.FormatTime(t))
		}
	}
	if q.NewestFirst {
		v.Set("order", "desc")
	}
	var p api.DepositList
	data, err := c.get(ctx, call{method: http.MethodGet, path: "/v1/deposits", query: v, want: http.StatusOK, limit: maxPage})
	if err != nil {
		return p, err
	}
	return p, decode(data, &p)
}

func listed(d api.FoundDeposit) (Listed, error) {
	l := Listed{ID: d.Id, Index: d.Index, Kind: proofs.Kind(d.Kind)}
	var err error
	if l.Time, err = proofs.ParseTime(d.Time); err != nil {
		return l, fmt.Errorf("%w: %w", ErrAnswer, err)
	}
	if l.Leaf, err = proofs.ParseHash(d.Leaf); err != nil {
		return l, fmt.Errorf("%w: %w", ErrAnswer, err)
	}
	if l.Record, err = proofs.ParseMembers(string(d.Record)); err != nil {
		return l, fmt.Errorf("%w: %w", ErrAnswer, err)
	}
	return l, nil
}
