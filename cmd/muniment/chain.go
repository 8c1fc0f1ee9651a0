package main

import (
	"cmp"
	"encoding/hex"
	"slices"

	"github.com/muniment/muniment/proofs"
)

// A link is a deposit as a place in its case.
type link struct {
	seq   int64
	index uint64
	leaf  string
	prev  string // what it says is the leaf before it
}

// linkOf reads a record's place in a case.
func linkOf(index uint64, leaf proofs.Hash, member func(string) (proofs.Value, bool)) link {
	seq, _ := member("case.seq")
	prev, _ := member("case.prev")
	l := link{index: index, leaf: hex.EncodeToString(leaf[:])}
	l.seq, _ = seq.Integer()
	l.prev, _ = prev.Text()
	return l
}

// breaches are the places where a case is not whole: numbers that are missing from 1
// to the last, and deposits that do not fit to each other. None: the chain is
// unbroken. What may follow after the last, nobody can see in it.
func breaches(links []link) []remark {
	links = slices.Clone(links)
	slices.SortFunc(links, func(a, b link) int { return cmp.Or(cmp.Compare(a.seq, b.seq), cmp.Compare(a.leaf, b.leaf)) })
	links = slices.Compact(links) // two receipts of one deposit
	var out []remark
	var before link // the zero link stands before the first
	for _, l := range links {
		switch {
		case l.seq < 1:
			out = append(out, sayNoNumber.with(l.index))
			continue
		case l.seq == before.seq:
			out = append(out, sayNumberTwice.with(l.seq, before.index, l.index))
		case l.seq == before.seq+2:
			out = append(out, sayNumberMissing.with(l.seq-1))
		case l.seq > before.seq+2:
			out = append(out, sayNumbersMissing.with(before.seq+1, l.seq-1))
		case l.prev != before.leaf:
			out = append(out, sayPrevOther.with(l.seq))
		}
		if l.seq > before.seq && l.seq > 1 && before.seq > 0 && l.index <= before.index {
			out = append(out, sayOutOfOrder.with(l.seq, before.seq))
		}
		before = l
	}
	return out
}
