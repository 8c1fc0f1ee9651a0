package notary

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sort"

	"github.com/muniment/muniment/proofs"
)

// way is the search for a way over segments and sources. A segment's name says at which
// state it begins, so that there is nothing to guess, but where rows were stored a second
// time and never sealed: then two segments begin at one state, and the one that leads on
// is tried first.
type way struct {
	*Rebuild
	names catalogue
	ahead readAhead
	at    *proofs.Range
	// forks are the choices that were made, to be made otherwise.
	forks []fork
	// dead is why the search came to an end where it got furthest.
	dead    error
	deadEnd uint64
}

// fork is a place where more than one segment begins, or one that nothing goes on from.
type fork struct {
	at    *proofs.Range
	parts int // of the way up to there
	rest  []option
}

// option is a segment that begins where the way has come to, and whether anything is known
// to go on from its end.
type option struct {
	SegmentName
	leads bool
}

// findWay proves a way from the ledger's edge to the sealed state.
func (r *Rebuild) findWay(ctx context.Context) error {
	w := &way{Rebuild: r, at: r.edge.Clone(), names: catalogue{from: r.from.Segments, origin: r.Origin}, ahead: readAhead{from: r.from.Segments}}
	defer w.ahead.drop()
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		r.from.Progress("entries proved", w.at.Size()-r.Had, r.Sealed.Size-r.Had)
		if w.at.Size() == r.Sealed.Size {
			r.account()
			return nil
		}
		options, err := w.options(ctx)
		if err != nil {
			return err
		}
		moved, err := w.take(ctx, options)
		if err == nil && !moved {
			moved, err = w.ask(ctx)
		}
		if err == nil && !moved {
			moved, err = w.back(ctx)
		}
		if err != nil {
			return err
		}
		if !moved {
			return fmt.Errorf("%w: %w", ErrUnreachable, w.dead)
		}
	}
}

// options are the segments that begin at the state that was reached, the best first. At
// the ledger's own edge one may have begun before it.
func (w *way) options(ctx context.Context) ([]option, error) {
	if w.from.Segments == nil {
		return nil, nil
	}
	all, err := w.names.beginning(ctx, w.at.Size())
	if err != nil {
		return nil, err
	}
	root := w.at.Root()
	all = slices.DeleteFunc(slices.Clone(all), func(n SegmentName) bool { return n.Begin != root || n.To <= n.From })
	if w.at.Size() == w.Had && w.Had > 0 {
		across, err := w.across(ctx)
		if err != nil {
			return nil, err
		}
		all = append(all, across...)
	}
	out := make([]option, len(all))
	for i, n := range all {
		out[i] = option{n, n.To >= w.Sealed.Size}
		if out[i].leads {
			continue
		}
		next, err := w.names.beginning(ctx, n.To)
		if err != nil {
			return nil, err
		}
		out[i].leads = slices.ContainsFunc(next, func(m SegmentName) bool { return m.Begin == n.End })
	}
	rank := func(o option) int {
		switch {
		case o.End == w.Sealed.Root:
			return 0
		case o.leads:
			return 1
		}
		return 2
	}
	slices.SortStableFunc(out, func(a, b option) int { return cmp.Or(cmp.Compare(rank(a), rank(b)), -cmp.Compare(a.To, b.To)) })
	return out, nil
}

// across are the segments that begin before the ledger's edge, at a state of its own, and
// end behind it.
func (w *way) across(ctx context.Context) (all []SegmentName, err error) {
	err = w.from.Segments.List(ctx, w.Origin, w.Had-min(w.Had, maxSegmentRows-1), func(n SegmentName) error {
		if n.From >= w.Had {
			return errEnough
		}
		if n.To <= w.Had {
			return nil
		}
		root, err := proofs.RootAt(n.From, w.n.storedTiles(ctx))
		if err == nil && root == n.Begin {
			all = append(all, n)
		}
		return err
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	return all, err
}

// take goes along the first of the options that can be gone.
func (w *way) take(ctx context.Context, options []option) (moved bool, err error) {
	for i, o := range options {
		next, err := w.walk(ctx, o.SegmentName)
		if errors.Is(err, ErrDamaged) || errors.Is(err, ErrNotFound) {
			w.died(err)
			continue
		}
		if err != nil {
			return false, err
		}
		if rest := options[i+1:]; len(rest) > 0 || !o.leads {
			w.forks = append(w.forks, fork{w.at, len(w.parts), rest})
		}
		w.parts = append(w.parts, wayPart{name: o.SegmentName, from: w.at.Size(), to: next.Size()})
		w.at = next
		return true, nil
	}
	return false, nil
}

// walk goes along a segment to its end, or to the sealed state if that comes before.
func (w *way) walk(ctx context.Context, name SegmentName) (*proofs.Range, error) {
	got, err := w.ahead.load(ctx, name, w.names.after(name))
	if err != nil {
		return nil, err
	}
	rows, err := decodeSegment(name, got.segment)
	if err != nil {
		return nil, err
	}
	next := w.at.Clone()
	if name.From < w.at.Size() {
		if next, err = proofs.RangeAt(name.From, w.n.storedTiles(ctx)); err != nil {
			return nil, err
		}
	}
	for i := range rows {
		if next.Size() == w.Sealed.Size {
			return next, nil
		}
		if err := w.step(next, rows[i].Entry); err != nil {
			return nil, err
		}
	}
	if next.Root() != name.End {
		return nil, fmt.Errorf("%w: segment %s: its rows do not give the root in its name", ErrDamaged, name.span())
	}
	return next, nil
}

// step adds one entry, and demands that the states that must be passed are.
func (w *way) step(at *proofs.Range, entry []byte) error {
	if _, err := proofs.ParseEntry(string(entry)); err != nil {
		return fmt.Errorf("%w: entry %d: %w", ErrDamaged, at.Size(), err)
	}
	at.Append(proofs.LeafHash(entry), nil)
	if at.Size() == w.Had && at.Root() != w.edge.Root() {
		return fmt.Errorf("%w: the ledger's last entries are not those that were sealed", ErrDamaged)
	}
	if root, ok := w.must[at.Size()]; ok && root != at.Root() {
		return fmt.Errorf("%w: the entries up to %d give the root %s, sealed is %s", ErrDamaged, at.Size(), at.Root(), root)
	}
	return nil
}

// ask takes one entry from a source.
func (w *way) ask(ctx context.Context) (moved bool, err error) {
	index := w.at.Size()
	for i, s := range w.from.Sources {
		entry, err := s.Entry(ctx, index)
		if errors.Is(err, ErrNotFound) {
			continue
		}
		if err != nil {
			return false, fmt.Errorf("%s: %w", s, err)
		}
		next := w.at.Clone()
		if err := w.step(next, entry); err != nil {
			w.died(fmt.Errorf("%s: %w", s, err))
			continue
		}
		if last := len(w.parts) - 1; last >= 0 && w.parts[last].name == (SegmentName{}) && w.parts[last].source == i {
			w.parts[last].to++
		} else {
			w.parts = append(w.parts, wayPart{source: i, from: index, to: index + 1})
		}
		w.at = next
		return true, nil
	}
	w.died(fmt.Errorf("no segment goes on from entry %d, and no mirror or receipt that was named has it", index))
	return false, nil
}

// died keeps the reason of the end that was furthest.
func (w *way) died(why error) {
	if w.dead == nil || w.at.Size() > w.deadEnd {
		w.dead, w.deadEnd = why, w.at.Size()
	}
}

// back returns to the last choice that can be made otherwise.
func (w *way) back(ctx context.Context) (moved bool, err error) {
	for !moved && err == nil && len(w.forks) > 0 {
		last := len(w.forks) - 1
		f := w.forks[last]
		w.forks = w.forks[:last]
		w.at, w.parts = f.at, w.parts[:f.parts]
		if moved, err = w.take(ctx, f.rest); err == nil && !moved {
			moved, err = w.ask(ctx)
		}
	}
	return moved, err
}

// account tells what the way is made of.
func (r *Rebuild) account() {
	for _, p := range r.parts {
		if p.name != (SegmentName{}) {
			r.Segments++
			continue
		}
		r.Alone = append(r.Alone, LostRange{p.from, p.to, "the entry is from " + r.from.Sources[p.source].String()})
	}
}

// catalogue is the list of segments, read piece by piece.
type catalogue struct {
	from   Segments
	origin string

	page     []SegmentName
	low, end uint64 // the page has all names with low <= From < end
}

// pageNames is how many names a page has, or a few more.
const pageNames = 1000

// beginning returns the segments whose From is at.
func (c *catalogue) beginning(ctx context.Context, at uint64) ([]SegmentName, error) {
	if at < c.low || at >= c.end {
		if err := c.turn(ctx, at); err != nil {
			return nil, err
		}
	}
	i := sort.Search(len(c.page), func(i int) bool { return c.page[i].From >= at })
	j := i
	for j < len(c.page) && c.page[j].From == at {
		j++
	}
	return c.page[i:j], nil
}

func (c *catalogue) turn(ctx context.Context, at uint64) error {
	c.page, c.low, c.end = nil, at, math.MaxUint64
	err := c.from.List(ctx, c.origin, at, func(n SegmentName) error {
		if last := len(c.page) - 1; last >= pageNames && n.From != c.page[last].From {
			c.end = n.From
			return errEnough
		}
		c.page = append(c.page, n)
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		c.low, c.end = 0, 0
		return err
	}
	return nil
}

// after returns the names of the page that stand behind one.
func (c *catalogue) after(name SegmentName) []SegmentName {
	i := sort.Search(len(c.page), func(i int) bool { return c.page[i].From > name.From })
	return c.page[i:]
}

// readAhead loads segments before they are asked for.
type readAhead struct {
	from    Segments
	waiting map[SegmentName]chan loaded
}

type loaded struct {
	segment, keys []byte
	err           error
}

// aheadOf bounds how many are loaded at a time; each has at most 2 × MaxSegment bytes.
const aheadOf = 8

// load returns one, and begins to load those that are likely to be asked for next.
func (r *readAhead) load(ctx context.Context, name SegmentName, next []SegmentName) (loaded, error) {
	if r.waiting == nil {
		r.waiting = map[SegmentName]chan loaded{}
	}
	wanted := append([]SegmentName{name}, next[:min(len(next), aheadOf-1)]...)
	for n := range r.waiting {
		if !slices.Contains(wanted, n) {
			delete(r.waiting, n)
		}
	}
	for _, n := range wanted {
		if r.waiting[n] != nil {
			continue
		}
		c := make(chan loaded, 1)
		r.waiting[n] = c
		go func() {
			var l loaded
			l.segment, l.keys, l.err = r.from.Load(ctx, n)
			c <- l
		}()
	}
	select {
	case l := <-r.waiting[name]:
		delete(r.waiting, name)
		return l, l.err
	case <-ctx.Done():
		return loaded{}, ctx.Err()
	}
}

func (r *readAhead) drop() { r.waiting = nil }

// idOf is the id under which an entry stands whose own is not known: a UUIDv8 of its
// leaf hash.
func idOf(leaf proofs.Hash) ID {
	id := ID(bytes.Clone(leaf[:16]))
	id[6] = id[6]&0x0f | 0x80
	id[8] = id[8]&0x3f | 0x80
	return id
}
