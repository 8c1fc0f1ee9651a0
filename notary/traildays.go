package notary

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/muniment/muniment/proofs"
)

const (
	// actTrail is what the notice says that commits to a day of the trail.
	actTrail Act = "trail"
	// trailLook is how often who seals looks whether a day has ended.
	trailLook = time.Minute
	// termTrail is the family of terms that find those notices: by the day, and all by none.
	termTrail = "trail"
	trailDays = 100 // that are read at a time
)

// runTrailDays closes each day of the trail once it has ended, and has the log commit to it.
func (n *Notary) runTrailDays() {
	defer n.workers.Done()
	from := Day(0) // all before are in the log
	for wait := time.Second; n.sleep(wait); wait = trailLook {
		if !n.leading() {
			from = 0
			continue
		}
		ctx, cancel := context.WithTimeout(n.run, time.Minute)
		err := n.closeTrailDays(ctx, &from)
		cancel()
		if err != nil && n.run.Err() == nil {
			n.config.Logger.Warn("a day of the trail is not in the log yet; trying again", "error", err)
		}
	}
}

// closeTrailDays closes the day that has ended, and writes an entry for each closed day from
// *from on that has none. Of several replicas that do, each day is closed once, under the
// trail's lock, and has one entry, by its operation's key.
func (n *Notary) closeTrailDays(ctx context.Context, from *Day) error {
	head, err := n.config.Trail.TrailHead(ctx)
	if err != nil {
		return err
	}
	if head.Pages > 0 && DayOf(n.clock.now()) > head.Day {
		if err := n.config.Trail.WriteTrail(ctx, n.pagesOf(nil)); err != nil {
			return err
		}
	}
	for {
		days, err := n.config.Trail.TrailDays(ctx, *from, trailDays)
		if err != nil || len(days) == 0 {
			return err
		}
		for _, d := range days {
			if err := n.commitTrailDay(ctx, d); err != nil {
				return fmt.Errorf("%s: %w", d.Day, err)
			}
			*from = d.Day + 1
		}
	}
}

// commitTrailDay writes the entry that commits to a closed day, unless it is there.
func (n *Notary) commitTrailDay(ctx context.Context, d TrailDay) error {
	tk, err := n.config.TenantKey(ID{})
	if err != nil {
		return err
	}
	if _, err := n.trailNotice(ctx, d.Day); !errors.Is(err, ErrNotFound) {
		return err
	}
	members := []proofs.Member{}
	for name, count := range map[string]uint64{"trail.events": d.Events, "trail.pages": d.Pages} {
		v, err := proofs.Integer(int64(count))
		if err != nil {
			return err
		}
		members = append(members, proofs.Member{Name: name, Value: v})
	}
	row, err := n.ownEntry(proofs.KindNotice, map[string]string{
		"log.origin": n.key.Name, "notice.act": string(actTrail), "trail.date": d.Day.String(), "trail.root": hex.EncodeToString(d.Root[:]),
	}, members...)
	if err != nil {
		return err
	}
	terms := tk.termer()
	row.terms = trailTerms(terms, d.Day.String()) // as termer.terms makes them of the record
	p := &pending{ctx: ctx, op: Operation{Key: terms.term(termKey, "trail "+d.Day.String())}, rows: []*prepared{row}, entered: time.Now(), done: make(chan error, 1)}
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

// trailTerms find the notice of a day, and all such notices.
func trailTerms(t termer, day string) []Term {
	return []Term{t.term(termTrail, ""), t.term(termTrail, day)}
}

// trailNotice returns the entry that commits to a day, opened.
func (n *Notary) trailNotice(ctx context.Context, day Day) (*opened, error) {
	tk, err := n.config.TenantKey(ID{})
	if err != nil {
		return nil, err
	}
	term := tk.termer().term(termTrail, day.String())
	rows, err := n.config.Ledger.Deposits(ctx, Query{Term: &term, Limit: 1})
	if err != nil {
		return nil, err
	}
	if len(rows) == 0 {
		return nil, ErrNotFound
	}
	return n.unseal(rows[0])
}

// trailDay is what such a notice says of its day.
func (o *opened) trailDay() (TrailDay, error) {
	d := TrailDay{}
	var err error
	count := func(name string) uint64 {
		v, _ := o.record.Get(name)
		i, ok := v.Integer()
		if !ok || i < 0 {
			err = ErrDamaged
		}
		return uint64(i)
	}
	d.Events, d.Pages = count("trail.events"), count("trail.pages")
	day, wrongDay := ParseDay(o.text("trail.date"))
	root, wrongRoot := hex.DecodeString(o.text("trail.root"))
	if d.Day = day; len(root) == proofs.HashSize {
		d.Root = proofs.Hash(root)
	} else {
		err = ErrDamaged
	}
	if err != nil || wrongDay != nil || wrongRoot != nil || Act(o.text("notice.act")) != actTrail {
		return d, fmt.Errorf("%w: entry %d commits to no day of the trail", ErrDamaged, o.row.Index)
	}
	return d, nil
}

// TrailDigest returns a closed day of the trail, and the receipt of the entry that commits to
// it: ErrNotFound before there is one. The roles are those of TrailEvents.
func (n *Notary) TrailDigest(ctx context.Context, who Principal, day Day) (TrailDay, proofs.Receipt, error) {
	if !who.Role.MayAudit() {
		return TrailDay{}, proofs.Receipt{}, ErrForbidden
	}
	o, err := n.trailNotice(ctx, day)
	if errors.Is(err, ErrNotFound) {
		return TrailDay{}, proofs.Receipt{}, ErrNotFound
	}
	if err != nil {
		return TrailDay{}, proofs.Receipt{}, n.unavailable(err)
	}
	d, err := o.trailDay()
	if err != nil {
		return d, proofs.Receipt{}, err
	}
	v, err := n.published(ctx, o.row.Index, false)
	if err != nil {
		return d, proofs.Receipt{}, n.unavailable(err)
	}
	r, err := n.prove(ctx, v, o.row.Index, o.entry, o.disclosures)
	return d, r, err
}

// TrailPlace is where a reader of the trail goes on.
type TrailPlace struct {
	Day   Day
	Page  uint64
	Event int // in the page
}

// TrailQuery selects events of the principal's tenant, in their order.
type TrailQuery struct {
	Deposit  ID        // zero: of any
	Contract string    // contract number that was named; empty: any
	Caller   string    // empty: any
	Action   Action    // empty: any
	From, To time.Time // written at or after From and before To; zero: no bound
	At       TrailPlace
	Limit    int // 1 to MaxFound
}

// maxTrailPages is how many pages one question looks through.
const maxTrailPages = 2000

// TrailEvents returns events that the query selects, and where to go on, nil at the end. Of
// a question that selects few of many events it may return none and still go on.
func (n *Notary) TrailEvents(ctx context.Context, who Principal, q TrailQuery) (events []TrailEvent, next *TrailPlace, err error) {
	if !who.Role.MayAudit() {
		return nil, nil, ErrForbidden
	}
	if n.config.Trail == nil {
		return nil, nil, ErrNotFound
	}
	wants, err := n.trailFilter(who.Tenant.ID, q)
	if err != nil {
		return nil, nil, err
	}
	r := TrailRange{Tenant: &who.Tenant.ID, Day: q.At.Day, Number: q.At.Page, Until: DayOf(maxTime), Limit: 200}
	if begin := DayOf(q.From); !q.From.IsZero() && begin > r.Day {
		r.Day, r.Number, q.At = begin, 0, TrailPlace{Day: begin}
	}
	if !q.To.IsZero() {
		r.Until = DayOf(q.To)
	}
	for range maxTrailPages / r.Limit {
		pages, err := n.config.Trail.TrailPages(ctx, r)
		if err != nil {
			return nil, nil, n.unavailable(err)
		}
		for _, p := range pages {
			all, err := ParseTrailPage(p.Text)
			if err != nil {
				n.ready.damaged(err)
				return nil, nil, err
			}
			for i, e := range all {
				if p.Day == q.At.Day && p.Number == q.At.Page && i < q.At.Event || !wants(&e) {
					continue
				}
				if len(events) == q.Limit {
					return events, &TrailPlace{p.Day, p.Number, i}, nil
				}
				events = append(events, e)
			}
			r.Day, r.Number = p.Day, p.Number+1
		}
		if len(pages) < r.Limit {
			return events, nil, nil
		}
	}
	return events, &TrailPlace{Day: r.Day, Page: r.Number}, nil
}

// maxTime is later than all that is written.
var maxTime = time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)

func (n *Notary) trailFilter(tenant ID, q TrailQuery) (func(*TrailEvent) bool, error) {
	var contract Term
	if q.Contract != "" {
		tk, err := n.config.TenantKey(tenant)
		if err != nil {
			return nil, n.unavailable(err)
		}
		contract = tk.termer().term(termContract, q.Contract)
	}
	return func(e *TrailEvent) bool {
		return (q.Deposit == ID{} || e.Deposit == q.Deposit) && (q.Contract == "" || e.Case == contract) &&
			(q.Caller == "" || e.Caller == q.Caller) && (q.Action == "" || e.Action == q.Action) &&
			!e.Time.Before(q.From) && (q.To.IsZero() || e.Time.Before(q.To))
	}, nil
}

// CaseTerm is how the trail names a tenant's contract number.
func (n *Notary) CaseTerm(tenant ID, contract string) (Term, error) {
	tk, err := n.config.TenantKey(tenant)
	if err != nil {
		return Term{}, n.unavailable(err)
	}
	return tk.termer().term(termContract, contract), nil
}
