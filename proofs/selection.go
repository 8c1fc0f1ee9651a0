package proofs

import (
	"errors"
	"fmt"
	"strings"
)

// ErrSelection: a selection names no member of the record, or is none.
var ErrSelection = errors.New("the selection does not fit the record")

// A Selection says which members of a record a receipt is to show. Each item is the name of
// a member, or a family of names: "party.*" stands for all that begin with "party.".
type Selection struct {
	Disclose []string // shown; empty: all are, but for those in Hide
	Hide     []string // hidden, though Disclose may name them
}

// ParseSelection reads two lists of items with commas between them.
func ParseSelection(disclose, hide string) (Selection, error) {
	var s Selection
	for _, list := range []struct {
		text string
		to   *[]string
	}{{disclose, &s.Disclose}, {hide, &s.Hide}} {
		if list.text == "" {
			continue
		}
		for item := range strings.SplitSeq(list.text, ",") {
			name, family := strings.CutSuffix(item, ".*")
			if !ValidName(name) || family && strings.HasSuffix(name, ".") {
				return Selection{}, fmt.Errorf("%w: %.80q is neither a member's name nor a family such as party.*", ErrSelection, item)
			}
			*list.to = append(*list.to, item)
		}
	}
	if len(s.Disclose)+len(s.Hide) > MaxMembers {
		return Selection{}, fmt.Errorf("%w: it has more than %d items", ErrSelection, MaxMembers)
	}
	return s, nil
}

// All reports whether the selection shows everything.
func (s Selection) All() bool { return len(s.Disclose)+len(s.Hide) == 0 }

// Of returns disclosures of which only the selected members are shown; those that were
// hidden stay so. An item that fits no member is an error, and so is one to be disclosed that
// is hidden already: whoever misspells a name must not show, or hide, something else.
func (s Selection) Of(disclosures []Disclosure) ([]Disclosure, error) {
	for _, item := range s.Disclose {
		if !fitting(item, disclosures, func(d Disclosure) bool { return !d.Hidden }) {
			return nil, fmt.Errorf("%w: it shows no member %s", ErrSelection, item)
		}
	}
	for _, item := range s.Hide {
		if !fitting(item, disclosures, func(Disclosure) bool { return true }) {
			return nil, fmt.Errorf("%w: there is no member %s", ErrSelection, item)
		}
	}
	return Hide(disclosures, func(name string) bool {
		return len(s.Disclose) > 0 && !selected(s.Disclose, name) || selected(s.Hide, name)
	}), nil
}

func fitting(item string, disclosures []Disclosure, also func(Disclosure) bool) bool {
	for _, d := range disclosures {
		if selects(item, d.Name) && also(d) {
			return true
		}
	}
	return false
}

// selected reports whether one of the items selects a name.
func selected(items []string, name string) bool {
	for _, item := range items {
		if selects(item, name) {
			return true
		}
	}
	return false
}

// selects reports whether an item stands for a name.
func selects(item, name string) bool {
	if family, ok := strings.CutSuffix(item, "*"); ok {
		return strings.HasPrefix(name, family)
	}
	return item == name
}
