package notary

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/muniment/muniment/proofs"
)

// The fact sheet says in the log who runs the depository, on which grounds a court may
// believe it, and with which program. It is public. The sheet in force at a checkpoint is
// the newest that it covers.

const (
	// factsLook is how often who seals compares the sheet in force with its own.
	factsLook = time.Minute
	// factsRest is how old the sheet in force must be before another takes its place:
	// replicas of two builds that seal in turns must not fill the log.
	factsRest = 10 * time.Minute
	// MaxFacts bounds the members of a sheet.
	MaxFacts = 40
)

// factsTerm finds the sheets among the depository's own entries.
func factsTerm(t termer) Term { return t.term("facts", "") }

// CheckFacts refuses members that do not belong into a fact sheet, or are of another type.
func CheckFacts(facts proofs.Record) error {
	if len(facts) > MaxFacts {
		return fmt.Errorf("a fact sheet has at most %d members", MaxFacts)
	}
	for _, m := range facts {
		t, known := proofs.NameType(m.Name)
		family, _, _ := strings.Cut(m.Name, ".")
		switch {
		case !known || family != "facts" && family != "build":
			return fmt.Errorf("%s is no member of a fact sheet", m.Name)
		case !t.Holds(m.Value):
			return fmt.Errorf("%s is not of type %s", m.Name, t)
		}
	}
	if len(facts) == 0 {
		return nil
	}
	_, err := proofs.NewRecord(facts...)
	return err
}

// sheets returns the index of every fact sheet below size, in their order.
func (n *Notary) sheets(ctx context.Context, size uint64) ([]Row, error) {
	tk, err := n.config.TenantKey(ID{})
	if err != nil {
		return nil, err
	}
	term := factsTerm(tk.termer())
	var all []Row
	for from := uint64(0); from < size; {
		rows, err := n.config.Ledger.Deposits(ctx, Query{Tenant: ID{}, Term: &term, From: from, Limit: ownRows})
		if err != nil {
			return nil, fmt.Errorf("reading the fact sheets: %w", err)
		}
		for _, row := range rows {
			if row.Index < size {
				all = append(all, row)
			}
		}
		if len(rows) < ownRows {
			break
		}
		from = rows[len(rows)-1].Index + 1
	}
	return all, nil
}

// Facts returns the receipt of the fact sheet that is in force under a checkpoint of that
// size; under the newest for 0. ErrNotFound: there is none.
func (n *Notary) Facts(ctx context.Context, size uint64) (proofs.Receipt, error) {
	v, err := n.current(ctx)
	if err != nil {
		return proofs.Receipt{}, err
	}
	if size == 0 || size > v.size {
		size = v.size
	}
	all, err := n.sheets(ctx, size)
	if err != nil {
		return proofs.Receipt{}, n.unavailable(err)
	}
	if len(all) == 0 {
		return proofs.Receipt{}, ErrNotFound
	}
	return n.PublicReceipt(ctx, all[len(all)-1].Index)
}

// runFacts states the facts wherever those in force are others.
func (n *Notary) runFacts() {
	defer n.workers.Done()
	for n.sleep(n.factsDue()) {
	}
}

// factsDue states the facts if this process seals, and returns when to look again.
func (n *Notary) factsDue() time.Duration {
	if !n.leading() {
		return time.Second // it may be this replica's turn soon
	}
	ctx, cancel := context.WithTimeout(n.run, callTimeout)
	defer cancel()
	if err := n.stateFacts(ctx); err != nil && n.run.Err() == nil {
		n.config.Logger.Warn("the fact sheet in force cannot be compared with this process's; trying again", "error", err)
	}
	return factsLook
}

// factsFirst bounds how long a start waits for its sheet to be in force.
const factsFirst = 2 * time.Second

// beginFacts has the sheet in force before the first deposit, if it can be soon.
func (n *Notary) beginFacts(ctx context.Context) {
	n.start(n.runFacts)
	ctx, cancel := context.WithTimeout(ctx, factsFirst)
	defer cancel()
	for ctx.Err() == nil {
		if all, err := n.sheets(ctx, n.view.Load().size); err == nil && len(all) > 0 {
			if o, err := n.unseal(all[len(all)-1]); err == nil && sameFacts(o.record, n.config.Facts) || !n.leading() {
				return
			}
		}
		n.pause(ctx)
	}
}

// stateFacts writes a fact sheet, unless the one in force says the same, or is so new that
// another replica may just have written it.
func (n *Notary) stateFacts(ctx context.Context) error {
	head, err := n.config.Ledger.Head(ctx)
	if err != nil {
		return err
	}
	all, err := n.sheets(ctx, head.Size)
	if err != nil {
		return err
	}
	if len(all) > 0 {
		o, err := n.unseal(all[len(all)-1])
		if err != nil {
			return err
		}
		if sameFacts(o.record, n.config.Facts) || n.clock.now().Sub(o.entry.Time) < factsRest {
			return nil
		}
	}
	return n.writeFacts(ctx, len(all))
}

// sameFacts reports whether a sheet as it stands in the log says what facts say.
func sameFacts(sheet, facts proofs.Record) bool {
	count := 0
	for _, m := range sheet {
		if m.Name == "id" || m.Name == "log.origin" {
			continue
		}
		count++
		if v, ok := facts.Get(m.Name); !ok || v.JSON() != m.Value.JSON() {
			return false
		}
	}
	return count == len(facts)
}

// writeFacts writes the sheet as number nth of the log's: of several that try, one does.
func (n *Notary) writeFacts(ctx context.Context, nth int) error {
	row, err := n.ownEntry(proofs.KindFacts, map[string]string{"log.origin": n.key.Name}, n.config.Facts...)
	if err != nil {
		return err
	}
	tk, err := n.config.TenantKey(ID{})
	if err != nil {
		return err
	}
	terms := tk.termer()
	row.terms = []Term{factsTerm(terms)}
	p := &pending{ctx: ctx, op: Operation{Key: terms.term(termKey, fmt.Sprintf("fact sheet %d", nth))}, rows: []*prepared{row}, entered: time.Now(), done: make(chan error, 1)}
	if err := n.enter(p); err != nil {
		return err
	}
	select {
	case err := <-p.done:
		return err
	case <-n.run.Done():
		return errors.Join(ErrUnavailable, ErrStopped)
	}
}
