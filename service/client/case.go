package client

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"strconv"

	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/service/api"
)

// A Case is all deposits of one contract number, as the server lists them. No receipt
// backs it: that the chain is unbroken shows that nothing was left out of it by
// accident, and each deposit's receipt proves its own link.
type Case struct {
	Contract string
	Count    uint64      // how many deposits it had when it was read
	Leaf     proofs.Hash // leaf hash of the newest of those
	// Deposits are the case from its first deposit on, those of it that came since
	// too. A deposit that does not follow the one before it comes with a [*GapError],
	// and the list goes on behind it if the caller does; after any other error it ends.
	Deposits iter.Seq2[Listed, error]
}

// A GapError says where the chain of a case is broken. It wraps ErrLog.
type GapError struct {
	Contract string
	After    uint64 // the number of the last deposit before the gap; 0: it is at the beginning
	Found    uint64 // the number of the deposit behind it; 0: nothing more came
	Count    uint64 // how many there should be
}

// Error implements error.
func (e *GapError) Error() string {
	switch {
	case e.Found == e.After+1:
		return fmt.Sprintf("deposit %d of the case does not continue deposit %d: its case.prev is not the leaf hash of that", e.Found, e.After)
	case e.Found > e.After+1:
		return fmt.Sprintf("after deposit %d of the case comes deposit %d: %d to %d are missing", e.After, e.Found, e.After+1, e.Found-1)
	case e.Found > 0:
		return fmt.Sprintf("after deposit %d of the case comes deposit %d", e.After, e.Found)
	case e.After < e.Count:
		return fmt.Sprintf("the case ends with deposit %d of %d: %d to %d are missing", e.After, e.Count, e.After+1, e.Count)
	}
	return fmt.Sprintf("deposit %d of the case is not the one that the case is said to end with", e.Count)
}

// Unwrap returns ErrLog.
func (e *GapError) Unwrap() error { return ErrLog }

// Case reads the case of a contract number.
func (c *Client) Case(ctx context.Context, contract string) (Case, error) {
	first, err := c.casePage(ctx, contract, "")
	if err != nil {
		return Case{}, err
	}
	return Case{Contract: contract, Count: first.Count, Leaf: first.leaf, Deposits: c.theCase(ctx, contract, first)}, nil
}

// casePage is one page of a case, and the state of it that the page was read in.
type casePage struct {
	Contract string             `json:"contract"`
	Count    uint64             `json:"count"`
	Leaf     string             `json:"leaf"`
	Deposits []api.FoundDeposit `json:"deposits"`
	Next     string             `json:"next"`

	leaf proofs.Hash
}

func (c *Client) casePage(ctx context.Context, contract, cursor string) (casePage, error) {
	var p casePage
	data, err := c.get(ctx, call{
		method: http.MethodGet, path: "/v1/cases/" + segment(contract), query: paging(cursor), want: http.StatusOK, limit: maxPage,
	})
	if err != nil {
		return p, err
	}
	if err := decode(data, &p); err != nil {
		return p, err
	}
	if p.Contract != contract || p.Count == 0 {
		return p, fmt.Errorf("%w: it is of another case", ErrAnswer)
	}
	p.leaf, err = proofs.ParseHash(p.Leaf)
	if err != nil {
		return p, fmt.Errorf("%w: %w", ErrAnswer, err)
	}
	return p, nil
}

// theCase goes through the pages of a case, from the first.
func (c *Client) theCase(ctx context.Context, contract string, first casePage) iter.Seq2[Listed, error] {
	return func(yield func(Listed, error) bool) {
		ch := chain{contract: contract}
		p := first
		pages := func(cursor string) (found []api.FoundDeposit, next string, err error) {
			if cursor != "" {
				p, err = c.casePage(ctx, contract, cursor)
			}
			return p.Deposits, p.Next, err
		}
		for l, err := range paged(pages) {
			if err == nil {
				err = ch.next(l, p)
			}
			var gap *GapError
			if !yield(l, err) || err != nil && !errors.As(err, &gap) {
				return
			}
		}
		if err := ch.end(p); err != nil {
			yield(Listed{}, err)
		}
	}
}

// chain follows a case.
type chain struct {
	contract string
	last     place
}

func (c *chain) next(l Listed, of casePage) error {
	if number, _ := textOf(l.Record.Get, "contract.number"); number != c.contract {
		return fmt.Errorf("%w: deposit %s is of another case", ErrAnswer, strconv.Quote(l.ID))
	}
	p, err := placeOf(l.Record.Get, l.Leaf)
	if err != nil {
		return fmt.Errorf("%w: deposit %s: %w", ErrAnswer, strconv.Quote(l.ID), err)
	}
	last := c.last
	c.last = p
	if !p.follows(last) {
		return &GapError{c.contract, last.seq, p.seq, of.Count}
	}
	if p.seq == of.Count && p.leaf != of.leaf {
		return &GapError{Contract: c.contract, After: p.seq, Count: of.Count}
	}
	return nil
}

// end is asked after the last deposit of the last page.
func (c *chain) end(of casePage) error {
	if c.last.seq < of.Count {
		return &GapError{Contract: c.contract, After: c.last.seq, Count: of.Count}
	}
	return nil
}

// place is where a deposit stands in its case.
type place struct {
	seq  uint64
	prev string // hex; empty at 1
	leaf proofs.Hash
}

// placeOf reads case.seq and case.prev.
func placeOf(member func(string) (proofs.Value, bool), leaf proofs.Hash) (place, error) {
	v, _ := member("case.seq")
	seq, ok := v.Integer()
	prev, there := member("case.prev")
	if !ok || seq < 1 || there != (seq > 1) || there && !proofs.TypeDigest.Holds(prev) {
		return place{}, errors.New("it does not say its place in its case")
	}
	p := place{seq: uint64(seq), leaf: leaf}
	p.prev, _ = prev.Text()
	return p, nil
}

// follows reports whether p is right behind last; the zero place is before the first.
func (p place) follows(last place) bool {
	return p.seq == last.seq+1 && (p.seq == 1 || p.prev == hex.EncodeToString(last.leaf[:]))
}
