package notary

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/muniment/muniment/proofs"
)

// rebuildBatch is how many rows one commit of a rebuild has, or a few more: an operation is
// never parted.
const rebuildBatch = 1024

// Run writes what PlanRebuild found. What it has committed when it is interrupted stays,
// and another plan goes on from there. On a nil return the ledger is what is sealed, and
// durable; no anchor was touched.
func (r *Rebuild) Run(ctx context.Context) error {
	release, err := Hold(ctx, r.from.Peers, r.n.config.Rand)
	if err != nil {
		return err
	}
	defer release()
	if err := r.write(ctx); err != nil {
		return err
	}
	for size, root := range r.must {
		if err := Continues(ctx, r.from.Ledger, proofs.Checkpoint{Origin: r.Origin, Size: size, Root: root}); err != nil {
			return err
		}
	}
	return nil
}

// write appends all parts of the way.
func (r *Rebuild) write(ctx context.Context) error {
	w := &rewriter{Rebuild: r, ahead: readAhead{from: r.from.Segments}, edge: r.edge.Clone(), known: map[ID]bool{}, newest: map[proofs.Hash]caseKey{}}
	defer w.ahead.drop()
	for i, p := range r.parts {
		var err error
		if p.name == (SegmentName{}) {
			err = w.entries(ctx, p)
		} else {
			err = w.segment(ctx, p, i)
		}
		if err != nil {
			return err
		}
	}
	return w.flush(ctx)
}

// holdWithin is how long another sealer's lease may take to run out.
const holdWithin = 5 * lease

// Hold takes the sealer's lease, so that no replica that runs would seal meanwhile, and
// keeps it until release is called. It refuses while another holds it. Without peers it
// does nothing.
func Hold(ctx context.Context, peers Peers, random io.Reader) (release func(), err error) {
	if peers == nil {
		return func() {}, nil
	}
	var id ID
	if _, err := io.ReadFull(random, id[:]); err != nil {
		return nil, err
	}
	for begun := time.Now(); ; {
		leads, err := peers.Lead(ctx, id, lease)
		if err != nil {
			return nil, err
		}
		if leads {
			break
		}
		if time.Since(begun) > holdWithin {
			return nil, errors.New("another process seals this log: stop every munimentd serve on it, and begin again")
		}
		select {
		case <-time.After(retryPause):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	kept, stop := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for kept.Err() == nil {
			_, _ = peers.Lead(kept, id, lease) // politeness: the head's lock is what counts
			select {
			case <-kept.Done():
			case <-time.After(leaseAsk):
			}
		}
	}()
	return func() {
		stop()
		<-ended
		_ = peers.Resign(context.WithoutCancel(ctx), id) // it runs out by itself
	}, nil
}

// rewriter appends rows to the ledger as the sequencer once did.
type rewriter struct {
	*Rebuild
	ahead readAhead
	edge  *proofs.Range // of what is committed

	rows       []Row
	terms      [][]Term
	contracts  []*Term
	bytes      []uint64 // of the document of each row
	operations []Operation
	open       bool // the last of operations may go on

	known  map[ID]bool             // tenants that are there
	newest map[proofs.Hash]caseKey // which case a leaf is the newest of, of maxCases at most
}

// entries adds entries without anything else.
func (w *rewriter) entries(ctx context.Context, p wayPart) error {
	for i := p.from; i < p.to; i++ {
		entry, err := w.from.Sources[p.source].Entry(ctx, i)
		if err != nil {
			return fmt.Errorf("%s: entry %d: %w", w.from.Sources[p.source], i, err)
		}
		row := Row{Index: i, Entry: entry, ID: idOf(proofs.LeafHash(entry)), Body: lostBody}
		if err := w.add(ctx, segmentRow{Row: row, mark: opNone}, nil); err != nil {
			return err
		}
	}
	return nil
}

// segment adds the rows of a segment.
func (w *rewriter) segment(ctx context.Context, p wayPart, at int) error {
	var next []SegmentName
	for _, q := range w.parts[at+1 : min(at+aheadOf, len(w.parts))] {
		if q.name != (SegmentName{}) {
			next = append(next, q.name)
		}
	}
	got, err := w.ahead.load(ctx, p.name, next)
	if err != nil {
		return err
	}
	rows, err := decodeSegment(p.name, got.segment)
	if err != nil {
		return err
	}
	secrets, err := decodeKeys(p.name, got.keys)
	if err != nil {
		secrets = nil
	}
	for i := p.from; i < p.to; i++ {
		row := rows[i-p.name.From]
		if secrets == nil {
			w.Lost = addLost(w.Lost, i, "its wrapped key is missing")
			row.Body = lostBody
		} else {
			row.Secrets = secrets[i-p.name.From]
		}
		o, err := w.reopen(&row)
		if err != nil {
			return err
		}
		if err := w.add(ctx, row, o); err != nil {
			return err
		}
	}
	return nil
}

// reopen opens a row, if it can be, and learns its operation from it.
func (w *rewriter) reopen(row *segmentRow) (*opened, error) {
	if isLost(row.Row) {
		return nil, nil
	}
	if _, err := w.n.config.TenantKey(row.Tenant); err != nil {
		return nil, fmt.Errorf("the key of tenant %s, without which entry %d cannot be found again by its contract: %w; put its file back, and begin again", row.Tenant, row.Index, err)
	}
	o, err := w.n.unseal(row.Row)
	switch {
	case errors.Is(err, ErrErased):
		return nil, nil
	case errors.Is(err, ErrUnavailable): // nothing is said of the record: the key was not at hand
		return nil, fmt.Errorf("entry %d: %w; put its file back, and begin again", row.Index, err)
	case err != nil:
		w.Lost = addLost(w.Lost, row.Index, "its record does not open")
		return nil, nil
	}
	switch in := o.body.intent; {
	case row.Tenant == (ID{}):
	case in == nil:
		row.mark = opGoesOn
	default:
		row.mark, row.key = opBegins, in.key
	}
	return o, nil
}

// add takes one more row, and commits those before it if they are enough.
func (w *rewriter) add(ctx context.Context, row segmentRow, o *opened) error {
	goesOn := row.mark == opGoesOn && w.open && w.operations[len(w.operations)-1].Tenant == row.Tenant
	if len(w.rows) >= rebuildBatch && !goesOn {
		if err := w.flush(ctx); err != nil {
			return err
		}
	}
	switch {
	case goesOn:
		w.operations[len(w.operations)-1].Count++
	case row.mark == opBegins:
		w.operations = append(w.operations, Operation{Tenant: row.Tenant, Key: row.key, First: row.Index, Count: 1})
		w.open = true
	default:
		w.open = false
	}
	var terms []Term
	var contract *Term
	if o != nil {
		tk, err := w.n.config.TenantKey(row.Tenant)
		if err != nil {
			return err
		}
		switch {
		case row.Tenant != (ID{}):
			terms, contract = tk.termer().terms(o.record)
			err = w.enrol(ctx, o)
		case o.entry.Kind == proofs.KindFacts:
			terms = []Term{factsTerm(tk.termer())}
		case o.entry.Kind == proofs.KindNotice: // of a day of the trail, or of approvers
			terms, _ = tk.termer().terms(o.record)
		}
		if err != nil {
			return err
		}
	}
	w.rows, w.terms, w.contracts = append(w.rows, row.Row), append(w.terms, terms), append(w.contracts, contract)
	w.bytes = append(w.bytes, keptBytes(o))
	return nil
}

// enrol makes a tenant anew that the ledger does not know, from what its record says.
func (w *rewriter) enrol(ctx context.Context, o *opened) error {
	if w.known[o.row.Tenant] || w.from.Accounts == nil {
		return nil
	}
	text := func(name string) string {
		v, _ := o.record.Get(name)
		s, _ := v.Text()
		return s
	}
	t := Tenant{ID: o.row.Tenant, Name: text("tenant.name"), Registration: text("tenant.registration"), Verified: text("tenant.verified"), VerifiedBy: text("tenant.verified.by"), Created: o.entry.Time}
	err := w.from.Accounts.CreateTenant(ctx, t)
	if err != nil && !errors.Is(err, ErrExists) {
		return fmt.Errorf("making tenant %s anew: %w", t.ID, err)
	}
	if err == nil {
		w.Tenants = append(w.Tenants, t)
	}
	w.known[t.ID] = true
	return nil
}

// flush commits the rows that were added.
func (w *rewriter) flush(ctx context.Context) error {
	if len(w.rows) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	var look Lookups
	for i, c := range w.contracts {
		if c != nil {
			look.Cases = append(look.Cases, Case{Tenant: w.rows[i].Tenant, Contract: *c})
		}
	}
	var err error
	if look.Usages, err = w.deposited(); err != nil {
		return err
	}
	edge := w.edge.Clone()
	err = w.from.Ledger.Append(ctx, look, func(s State) (*Batch, error) {
		if s.Head.Size != w.edge.Size() || s.Head.Root != w.edge.Root() {
			return nil, errors.New("another process writes to the ledger: stop it, and begin again")
		}
		return w.batch(edge, s)
	})
	if err != nil {
		return fmt.Errorf("writing entries %d to %d: %w; begin again, and it goes on from what is there", w.edge.Size(), w.edge.Size()+uint64(len(w.rows)), err)
	}
	w.edge = edge
	w.rows, w.terms, w.contracts, w.bytes, w.operations, w.open = nil, nil, nil, nil, nil, false
	w.from.Progress("entries written", w.edge.Size()-w.Had, w.Sealed.Size-w.Had)
	return nil
}

// batch makes of the rows what the ledger takes, and moves the edge on.
func (w *rewriter) batch(edge *proofs.Range, before State) (*Batch, error) {
	id, err := NewID(time.Now(), w.n.config.Rand)
	if err != nil {
		return nil, err
	}
	out := &Batch{Rows: w.rows, Terms: w.terms, Operations: w.operations}
	cases := map[caseKey]*Case{}
	for _, c := range before.Cases {
		cases[caseKey{c.Tenant, c.Contract}] = &c
	}
	var moved []caseKey
	for i := range w.rows {
		row := &w.rows[i]
		leaf := proofs.LeafHash(row.Entry)
		edge.Append(leaf, func(height int, h proofs.Hash) {
			if level := height / proofs.TileHeight; height%proofs.TileHeight == 0 {
				for len(out.Hashes) <= level {
					out.Hashes = append(out.Hashes, nil)
				}
				out.Hashes[level] = append(out.Hashes[level], h)
			}
		})
		if row.CaseSeq == 0 {
			continue
		}
		key, known := w.newest[row.CasePrev] // of a row that is erased its case tells
		if w.contracts[i] != nil {
			key, known = caseKey{row.Tenant, *w.contracts[i]}, true
		}
		if !known {
			continue
		}
		c := cases[key]
		if c == nil {
			c = &Case{Tenant: key.tenant, Contract: key.contract}
			cases[key] = c
		}
		c.Seq, c.Leaf = row.CaseSeq, leaf
		moved = append(moved, key)
		w.remember(row.CasePrev, leaf, key)
	}
	for _, key := range moved {
		if c := cases[key]; c != nil {
			out.Cases = append(out.Cases, *c)
			delete(cases, key)
		}
	}
	last, err := proofs.ParseEntry(string(w.rows[len(w.rows)-1].Entry))
	if err != nil {
		return nil, err
	}
	out.Head = Head{Size: edge.Size(), Root: edge.Root(), Time: last.Time, Batch: id}
	out.Peaks = edge.Peaks()
	if out.Usages, err = w.counted(before.Usages); err != nil {
		return nil, err
	}
	return out, rehash(out)
}

// remember notes the newest leaf of a case.
func (w *rewriter) remember(before, leaf proofs.Hash, key caseKey) {
	delete(w.newest, before)
	for k := range w.newest {
		if len(w.newest) < maxCases {
			break
		}
		delete(w.newest, k)
	}
	w.newest[leaf] = key
}
