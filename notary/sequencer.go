package notary

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/muniment/muniment/proofs"
)

// prepared is a row all but placed: everything that can be hashed and sealed
// without knowing its place in the log.
type prepared struct {
	row         Row // without Index, Entry and place in the case
	kind        proofs.Kind
	discloser   proofs.Discloser    // none for the depository's own entries
	disclosures []proofs.Disclosure // complete once placed
	entry       proofs.Entry        // once placed
	contract    *Term               // nil without a contract number
	bytes       uint64              // of the document that is kept with it
	terms       []Term
}

// pending is one operation that waits for the sequencer.
type pending struct {
	ctx  context.Context
	op   Operation // First and Count are filled in by the sequencer
	rows []*prepared
	// turn, unless zero, is a second key that must be free: of all that want it one has it.
	turn Term
	// entered is when it joined the pool.
	entered time.Time
	// again: the key was found taken; op tells by which rows.
	again bool
	// beaten: the turn was found taken, and nothing was written.
	beaten bool
	// refused is why the operation is against the tenant's quota, and nothing was written.
	refused error
	// done receives exactly one value: nil when op is committed, durable.
	done chan error
}

// runSequencer commits what waits in the pool, batch by batch, until the pool is
// closed and empty.
func (n *Notary) runSequencer() {
	defer n.workers.Done()
	for {
		batch, open := n.gather()
		if len(batch) > 0 {
			n.sequence(batch)
		}
		if !open {
			close(n.drained)
			return
		}
	}
}

// patience is how long the sequencer lets a batch grow while the sealer has not
// begun with the one before. A batch that is committed earlier is not sealed earlier.
const patience = 20 * time.Millisecond

// gather waits for a first operation and takes all that come with it. It yields
// until nobody adds more, and until the sealer has begun with the batch before: a
// commit and a seal cost the same for one row as for hundreds.
func (n *Notary) gather() (batch []*pending, open bool) {
	late := time.NewTimer(patience)
	late.Stop()
	defer late.Stop()
	rows, idle := 0, 0
	for rows < maxBatch {
		var p *pending
		var more bool
		switch {
		case len(batch) == 0:
			select {
			case p, more = <-n.pool:
				late.Reset(patience)
			case <-n.run.Done():
				return nil, false
			}
		case idle < 3:
			select {
			case p, more = <-n.pool:
			default:
				idle++
				runtime.Gosched()
				continue
			}
		case n.sealerBehind():
			select {
			case p, more = <-n.pool:
			case <-n.taken:
				continue
			case <-late.C:
				return batch, true
			case <-n.run.Done():
				return batch, true
			}
		default:
			return batch, true
		}
		if !more {
			return batch, false
		}
		batch = append(batch, p)
		rows += len(p.rows)
		idle = 0
	}
	return batch, true
}

// sealerBehind reports whether what was committed last still waits for the sealer. Where
// another replica seals, all that is known is what it has published.
func (n *Notary) sealerBehind() bool {
	if n.leading() {
		return len(n.wake) > 0
	}
	return n.own.Load() > n.view.Load().size
}

// sequence commits one batch and answers each of its operations.
func (n *Notary) sequence(batch []*pending) {
	// Who has gone away by now has not been promised anything.
	batch = slices.DeleteFunc(batch, func(p *pending) bool {
		gone := p.ctx.Err() != nil
		if gone {
			p.done <- fmt.Errorf("%w: %w", ErrUnavailable, p.ctx.Err())
		}
		return gone
	})
	if len(batch) == 0 {
		return
	}
	for _, p := range batch {
		n.metrics.since(stagePool, p.entered)
	}
	err := n.commit(batch)
	n.ready.report(&n.ready.sequencer, err)
	for _, p := range batch {
		if err == nil {
			p.done <- p.refused
		} else {
			p.done <- err
		}
	}
}

// commit places the operations under the head lock and makes them durable. On any
// error the frontier in memory is dropped: the ledger alone knows where the log is.
func (n *Notary) commit(batch []*pending) error {
	defer n.ready.begin(&n.ready.committing)()
	defer n.metrics.since(stageCommit, time.Now())
	id, err := NewID(n.clock.now(), n.config.Rand)
	if err != nil {
		return n.unavailable(err)
	}
	ctx, cancel := context.WithTimeout(n.run, callTimeout)
	defer cancel()
	if err := n.knowRotations(ctx); err != nil {
		return n.unavailable(err)
	}
	b := builder{n: n, ctx: ctx, id: id, batch: batch, asked: time.Now()}
	err = n.config.Ledger.Append(ctx, b.lookups(), b.build)
	if err != nil && !b.built {
		n.frontier = nil
		return n.unavailable(err)
	}
	if err != nil {
		n.frontier = nil
		n.config.Logger.Warn("a commit's answer is unknown; asking the ledger", "error", err)
		if committed, err2 := n.committed(id); err2 != nil || !committed {
			return n.unavailable(errors.Join(err, err2))
		}
	}
	if b.out != nil {
		if err == nil {
			n.frontier = b.frontier
			if n.config.Segments != nil && n.leading() {
				n.recent.add(b.out)
			}
		}
		n.own.Store(b.out.Head.Size)
		n.ready.commit(b.out.Head.Size)
		n.metrics.batch(b.out, len(batch))
		signal(n.wake)
		if !n.leading() {
			n.announce(NewsCommitted)
		}
	}
	return nil
}

// committed asks until the ledger answers: a batch that may have been committed
// must neither be reported lost nor be appended again.
func (n *Notary) committed(batch ID) (bool, error) {
	for {
		ctx, cancel := context.WithTimeout(n.run, callTimeout)
		ok, err := n.config.Ledger.Committed(ctx, batch)
		cancel()
		if err == nil {
			return ok, nil
		}
		n.ready.report(&n.ready.sequencer, err)
		if !n.pause(n.run) {
			return false, err
		}
	}
}

// builder makes one batch out of operations, under the head lock.
type builder struct {
	n        *Notary
	ctx      context.Context
	id       ID
	batch    []*pending
	asked    time.Time // when the ledger was
	built    bool      // build ran to its end: the commit may have been tried
	out      *Batch
	frontier *proofs.Range
	cases    map[caseKey]*Case
	used     used
}

type caseKey struct {
	tenant   ID
	contract Term
}

func (b *builder) lookups() Lookups {
	var l Lookups
	tenants := map[ID]bool{}
	for _, p := range b.batch {
		if tenant := p.op.Tenant; tenant != (ID{}) && !tenants[tenant] {
			tenants[tenant] = true
			l.Usages = append(l.Usages, b.n.usages(tenant)...)
		}
		l.Operations = append(l.Operations, p.op)
		if p.turn != (Term{}) {
			l.Operations = append(l.Operations, Operation{Tenant: p.op.Tenant, Key: p.turn})
		}
		for _, r := range p.rows {
			if r.contract != nil {
				l.Cases = append(l.Cases, Case{Tenant: r.row.Tenant, Contract: *r.contract})
			}
		}
	}
	return l
}

func (b *builder) build(s State) (*Batch, error) {
	at, err := b.n.clock.check(s.Now, b.asked, s.Head)
	if err != nil {
		return nil, err
	}
	if err := b.n.resealRows(b.batch); err != nil {
		return nil, err
	}
	if err := b.position(s.Head, s.Peaks); err != nil {
		return nil, err
	}
	b.cases = map[caseKey]*Case{}
	for _, c := range s.Cases {
		b.cases[caseKey{c.Tenant, c.Contract}] = &c
	}
	b.used = usedOf(s.Usages)
	out := &Batch{}
	taken := map[Operation]*pending{} // by tenant and key: a retry may stand beside its original
	found := s.Operations
	next := func() (op Operation) {
		op, found = found[0], found[1:]
		return op
	}
	for _, p := range b.batch {
		key, turn := Operation{Tenant: p.op.Tenant, Key: p.op.Key}, Operation{Tenant: p.op.Tenant, Key: p.turn}
		was, has := next(), Operation{}
		if p.turn != (Term{}) {
			has = next()
		}
		switch first := taken[key]; {
		case was.Count > 0:
			p.op, p.again = was, true
		case first != nil:
			p.op, p.again = first.op, true
		case has.Count > 0, p.turn != (Term{}) && taken[turn] != nil:
			p.beaten = true
		default:
			if err := b.count(p, at); err != nil {
				if over := new(QuotaError); !errors.As(err, &over) {
					return nil, err
				}
				p.refused = err
				continue
			}
			taken[key] = p
			if p.turn != (Term{}) {
				taken[turn] = p
			}
			b.place(out, p, at)
		}
	}
	b.built = true
	if len(out.Rows) == 0 {
		return nil, nil
	}
	out.Head = Head{Size: b.frontier.Size(), Root: b.frontier.Root(), Time: at, Batch: b.id}
	out.Peaks = b.frontier.Peaks()
	b.moved(out, s.Cases)
	out.Usages = b.used.listed(s.Usages)
	if err := rehash(out); err != nil {
		b.n.die(err)
		return nil, err
	}
	b.out = out
	return out, nil
}

// position brings the frontier to the head: from memory if it is there, else from what
// stands beside the head, else from the stored hashes.
func (b *builder) position(head Head, peaks []proofs.Hash) error {
	f := b.n.frontier
	fits := func() bool { return f != nil && f.Size() == head.Size && f.Root() == head.Root }
	if !fits() {
		f = proofs.RangeOf(head.Size, peaks)
	}
	if !fits() {
		var err error
		if f, err = proofs.RangeAt(head.Size, b.n.storedTiles(b.ctx)); err != nil {
			return err
		}
		if f.Root() != head.Root {
			err := fmt.Errorf("stored hashes give root %s at size %d, the head says %s", f.Root(), head.Size, head.Root)
			b.n.die(err)
			return err
		}
	}
	b.frontier = f.Clone()
	return nil
}

// count adds what an operation deposits to what its tenant used in the month, or refuses it.
func (b *builder) count(p *pending, at time.Time) error {
	var deposits, bytes uint64
	for _, r := range p.rows {
		if r.kind == proofs.KindDeposit {
			deposits, bytes = deposits+1, bytes+r.bytes
		}
	}
	if deposits == 0 || p.op.Tenant == (ID{}) {
		return nil
	}
	u := b.used[usedKey{p.op.Tenant, MonthOf(at)}]
	if u == nil {
		return fmt.Errorf("%w: it was in another month a moment ago", ErrClock)
	}
	if err := b.n.config.Quotas.Of(p.op.Tenant).allows(*u, deposits, bytes); err != nil {
		return err
	}
	u.Deposits, u.Bytes = u.Deposits+deposits, u.Bytes+bytes
	return nil
}

// place gives the rows of one operation their indexes and their places in cases.
func (b *builder) place(out *Batch, p *pending, at time.Time) {
	p.op.First, p.op.Count = b.frontier.Size(), uint32(len(p.rows))
	for _, r := range p.rows {
		r.row.Index = b.frontier.Size()
		var c *Case
		if r.contract != nil {
			c = b.cases[caseKey{r.row.Tenant, *r.contract}]
			r.join(*c)
		}
		r.entry = proofs.Entry{Kind: r.kind, Time: at, Record: proofs.Commitment(r.disclosures)}
		r.row.Entry = []byte(r.entry.String())
		leaf := proofs.LeafHash(r.row.Entry)
		if c != nil {
			c.Seq, c.Leaf = c.Seq+1, leaf
		}
		b.frontier.Append(leaf, func(height int, h proofs.Hash) {
			if level := height / proofs.TileHeight; height%proofs.TileHeight == 0 {
				for len(out.Hashes) <= level {
					out.Hashes = append(out.Hashes, nil)
				}
				out.Hashes[level] = append(out.Hashes[level], h)
			}
		})
		out.Rows = append(out.Rows, r.row)
		out.Terms = append(out.Terms, r.terms)
	}
	if p.op.Key != (Term{}) { // genesis has none
		out.Operations = append(out.Operations, p.op)
	}
	if p.turn != (Term{}) {
		turn := p.op
		turn.Key = p.turn
		out.Operations = append(out.Operations, turn)
	}
}

// join adds the place in the case to a prepared row.
func (r *prepared) join(c Case) {
	r.row.CaseSeq, r.row.CasePrev = c.Seq+1, c.Leaf
	all := make([]proofs.Disclosure, 0, len(r.disclosures)+2)
	r.disclosures = append(r.discloser.Append(all, caseMembers(r.row)), r.disclosures...)
	slices.SortFunc(r.disclosures, func(a, b proofs.Disclosure) int { return strings.Compare(a.Name, b.Name) })
}

// moved lists the cases that the batch moved on.
func (b *builder) moved(out *Batch, before []Case) {
	for _, c := range before {
		k := caseKey{c.Tenant, c.Contract}
		if now := b.cases[k]; now != nil && now.Seq > c.Seq {
			out.Cases = append(out.Cases, *now)
			delete(b.cases, k)
		}
	}
}

// rehash works out every leaf hash again from the bytes about to be stored. A
// flipped bit in memory must be found before the root is: logs have died of one.
func rehash(out *Batch) error {
	for i, r := range out.Rows {
		if proofs.LeafHash(r.Entry) != out.Hashes[0][i] {
			return fmt.Errorf("leaf hash of entry %d differs when computed again", r.Index)
		}
	}
	return nil
}
