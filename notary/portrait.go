package notary

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/muniment/muniment/proofs"
)

// How the log fares, for people who look at it: what anyone could find out from what is
// published, put together.

// Portrait is the log at one moment.
type Portrait struct {
	Status
	Checkpoint []byte       // the newest published one; nil: there is none
	Dated      []DatedState // the newest states that were dated, the newest first
	Every      time.Duration
	Authority  []string // names of the time-stamp authorities; none: nothing is dated
	Tree       *TreeSeen
}

// DatedState is a state of the log that authorities have dated.
type DatedState struct {
	Size   uint64
	Stamps []proofs.Timestamp // those that hold under the configured roots
}

// TreeSeen is the second tree, as this process last saw it. A replica that does not seal does
// not look.
type TreeSeen struct {
	Size   uint64
	Agreed time.Time // when the roots were last equal; zero: not since this process began
	Fault  error
}

// maxDated is how many dated states a Portrait has.
const maxDated = 10

// Portray puts a Portrait together.
func (n *Notary) Portray(ctx context.Context) (Portrait, error) {
	p := Portrait{Status: n.Status(ctx)}
	v, err := n.current(ctx)
	if err != nil {
		return p, err
	}
	if v.size > 0 {
		p.Checkpoint = v.note
	}
	if t := n.config.Timestamps; t != nil {
		p.Every = t.Every
		for _, a := range t.Authorities {
			p.Authority = append(p.Authority, a.Name())
		}
		if p.Dated, err = n.newestDated(ctx, v.size); err != nil {
			return p, err
		}
	}
	if n.config.SecondTree != nil {
		held, agreed := n.opinion.look()
		p.Tree = &TreeSeen{held, agreed, n.opinion.fault()}
	}
	return p, nil
}

// newestDated looks for stamps further and further back, since the ledger lists them from the
// smallest on.
func (n *Notary) newestDated(ctx context.Context, size uint64) ([]DatedState, error) {
	const most = 1000
	var found []Stamp
	for back := uint64(1); ; back *= 4 {
		from := uint64(1)
		if back < size {
			from = size - back
		}
		stamps, err := n.config.Ledger.Stamps(ctx, from, most)
		if err != nil {
			return nil, n.unavailable(err)
		}
		if len(stamps) == most && len(found) > 0 {
			break // the newest of all are not among so many
		}
		if found = stamps; len(found) >= maxDated || from == 1 {
			break
		}
	}
	slices.Reverse(found)
	out := make([]DatedState, 0, maxDated)
	for _, s := range found[:min(len(found), maxDated)] {
		record, err := n.readStamp(s)
		if err != nil {
			return nil, err
		}
		dated := DatedState{Size: s.Size}
		for _, token := range record.Tokens {
			if stamp, outcome, _ := n.config.Timestamps.Checker.CheckTimestamp(token, record.Note); outcome == proofs.Verified {
				dated.Stamps = append(dated.Stamps, stamp)
			}
		}
		out = append(out, dated)
	}
	return out, nil
}

// SizeAt returns how many of the published entries were made before a time. It reads as many
// entries as their number has binary digits.
func (n *Notary) SizeAt(ctx context.Context, at time.Time) (uint64, error) {
	v, err := n.current(ctx)
	if err != nil {
		return 0, err
	}
	low, high := uint64(0), v.size // times never decrease with the index
	for low < high {
		middle := low + (high-low)/2
		entries, err := n.config.Ledger.Entries(ctx, middle, middle+1)
		if err != nil {
			return 0, n.unavailable(err)
		}
		if len(entries) != 1 {
			return 0, errors.Join(ErrDamaged, errors.New("an entry is missing"))
		}
		e, err := proofs.ParseEntry(string(entries[0]))
		if err != nil {
			return 0, fmt.Errorf("%w: entry %d: %w", ErrDamaged, middle, err)
		}
		if e.Time.Before(at) {
			low = middle + 1
		} else {
			high = middle
		}
	}
	return low, nil
}
