package notary

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sort"
	"time"

	"github.com/muniment/muniment/proofs"
)

// Renewals. The stamps, in the order of their sizes, are looked after a thousand at a time: one
// token over a tree of their evidence records renews them all.

const (
	renewEvery = 24 * time.Hour
	renewRetry = time.Hour
	// renewAhead is how long before the first of the tokens ends a run of stamps is renewed.
	renewAhead = 90 * 24 * time.Hour
	stampRunOf = 1000
)

// stampRun is a run of stamps that can grow no more, and until when all of it holds.
type stampRun struct {
	last uint64
	ends time.Time
}

// renewDue looks after all stamps once a day.
func (n *Notary) renewDue(ctx context.Context) error {
	n.stamper.turn.Lock()
	defer n.stamper.turn.Unlock()
	now := n.clock.now()
	if now.Before(n.stamper.look) {
		return nil
	}
	n.stamper.look = now.Add(renewRetry) // a failure leaves months to mend it
	if err := n.renewStamps(ctx); err != nil {
		return err
	}
	n.stamper.look = now.Add(renewEvery)
	return nil
}

// RenewStamps looks after all stamps now: those whose time-stamps end soon are renewed.
func (n *Notary) RenewStamps(ctx context.Context) error {
	if n.config.Timestamps == nil {
		return errors.New("no time-stamp authorities are configured")
	}
	n.stamper.turn.Lock()
	defer n.stamper.turn.Unlock()
	return n.renewStamps(ctx)
}

// renewStamps renews every run of stamps that is due.
func (n *Notary) renewStamps(ctx context.Context) error {
	var from uint64
	for i := range n.stamper.whole {
		run := &n.stamper.whole[i]
		if n.due(run.ends) {
			again, err := n.renewRun(ctx, from)
			if err != nil {
				return err
			}
			run.ends = again.ends
		}
		from = run.last + 1
	}
	for {
		run, err := n.renewRun(ctx, from)
		if err != nil || run.last == 0 {
			return err
		}
		n.stamper.whole = append(n.stamper.whole, run)
		from = run.last + 1
	}
}

func (n *Notary) due(ends time.Time) bool { return ends.Sub(n.clock.now()) < renewAhead }

// renewRun renews the run of stamps that begins at size from, if it is due. It returns the
// run, or none if it still grows.
func (n *Notary) renewRun(ctx context.Context, from uint64) (stampRun, error) {
	stamps, err := n.config.Ledger.Stamps(ctx, from, stampRunOf)
	if err != nil {
		return stampRun{}, n.unavailable(err)
	}
	if len(stamps) == 0 {
		return stampRun{}, nil
	}
	records, ends, err := n.runRecords(ctx, stamps)
	if err != nil {
		return stampRun{}, err
	}
	if n.due(ends) {
		if ends, err = n.renew(ctx, stamps, records, ends); err != nil {
			return stampRun{}, err
		}
	}
	if len(stamps) < stampRunOf {
		return stampRun{}, nil
	}
	return stampRun{stamps[len(stamps)-1].Size, ends}, nil
}

// runRecords completes the evidence records of stamps. ends is when the first of those that
// hold does not any more; of the others nothing can be saved.
func (n *Notary) runRecords(ctx context.Context, stamps []Stamp) (records []proofs.EvidenceRecord, ends time.Time, err error) {
	now := n.clock.now()
	cache := map[uint64]*renewalData{}
	for _, s := range stamps {
		record, err := n.evidenceOf(ctx, s, cache)
		if err != nil {
			return nil, ends, err
		}
		records = append(records, record)
		until, outcome, _ := n.verifier.Record(record, now)
		if outcome == proofs.Verified && (ends.IsZero() || until.Before(ends)) {
			ends = until
		}
	}
	if ends.IsZero() { // none holds: a renewal would prove nothing
		ends = now.Add(10 * renewAhead)
	}
	return records, ends, nil
}

// renew dates the records of a run again, and returns until when they hold then.
func (n *Notary) renew(ctx context.Context, stamps []Stamp, records []proofs.EvidenceRecord, ends time.Time) (time.Time, error) {
	number, err := n.config.Ledger.Renewed(ctx)
	if err != nil {
		return ends, n.unavailable(err)
	}
	d := &renewalData{}
	for i, r := range records {
		d.sizes = append(d.sizes, stamps[i].Size)
		d.leaves = append(d.leaves, r.Leaf())
	}
	first, last := d.sizes[0], d.sizes[len(d.sizes)-1]
	tokens, newest, err := n.askAuthorities(ctx, proofs.RenewalMessage(uint64(len(d.leaves)), leavesRoot(d.leaves)), last)
	if err != nil {
		return ends, err
	}
	if !newest.NotAfter.After(ends) {
		return ends, fmt.Errorf("time-stamps end %s, and no authority's new ones end later: it must renew its certificate, or another authority is needed", proofs.FormatTime(ends))
	}
	d.tokens = tokens
	r := Renewal{Number: number + 1, First: first, Last: last, Data: d.marshal()}
	if err := n.config.Ledger.Renew(ctx, r); err != nil { // ErrExists too: another replica renews
		return ends, n.unavailable(err)
	}
	n.config.Logger.Info("time-stamps were renewed", "checkpoints", len(stamps), "until", newest.NotAfter)
	return newest.NotAfter, nil
}

// Evidence returns the evidence record of one of the principal's deposits: it stands beside
// the deposit's stamped receipt. ErrNotStamped before there is one.
func (n *Notary) Evidence(ctx context.Context, who Principal, id ID) (proofs.EvidenceRecord, error) {
	o, err := n.find(ctx, who, id)
	if err != nil {
		return proofs.EvidenceRecord{}, err
	}
	s, _, err := n.stampOf(ctx, o.row.Index)
	if err != nil {
		return proofs.EvidenceRecord{}, err
	}
	return n.evidenceOf(ctx, s, map[uint64]*renewalData{})
}

// evidenceOf is a stamp with all its renewals. cache holds those taken apart before.
func (n *Notary) evidenceOf(ctx context.Context, s Stamp, cache map[uint64]*renewalData) (proofs.EvidenceRecord, error) {
	record, err := n.readStamp(s)
	if err != nil {
		n.ready.damaged(err)
		return record, err
	}
	renewals, err := n.config.Ledger.Renewals(ctx, s.Size)
	if err != nil {
		return record, n.unavailable(err)
	}
	for _, r := range renewals {
		d := cache[r.Number]
		if d == nil {
			if d, err = parseRenewal(r.Data); err != nil {
				err = fmt.Errorf("%w: renewal %d: %w", ErrDamaged, r.Number, err)
				n.ready.damaged(err)
				return record, err
			}
			cache[r.Number] = d
		}
		at, ok := slices.BinarySearch(d.sizes, s.Size)
		if !ok {
			continue // it was stamped later
		}
		path, err := proofs.InclusionProof(uint64(at), uint64(len(d.leaves)), d)
		if err != nil {
			return record, fmt.Errorf("%w: renewal %d: %w", ErrDamaged, r.Number, err)
		}
		record.Renewals = append(record.Renewals, proofs.Renewal{
			Index: uint64(at), Size: uint64(len(d.leaves)), Root: leavesRoot(d.leaves), Path: path, Tokens: d.tokens,
		})
	}
	return record, nil
}

// renewalData is what the ledger keeps of a renewal: the leaves of its tree, with the sizes
// of the stamps they belong to, and the tokens over its root.
type renewalData struct {
	sizes  []uint64
	leaves []proofs.Hash
	tokens [][]byte
	levels [][]proofs.Hash // of tiles, once they are asked for
}

func (d *renewalData) marshal() []byte {
	out := binary.BigEndian.AppendUint32(nil, uint32(len(d.leaves)))
	for i, h := range d.leaves {
		out = append(binary.BigEndian.AppendUint64(out, d.sizes[i]), h[:]...)
	}
	for _, t := range d.tokens {
		out = append(binary.BigEndian.AppendUint32(out, uint32(len(t))), t...)
	}
	return out
}

func parseRenewal(data []byte) (*renewalData, error) {
	short := errors.New("it is cut short")
	if len(data) < 4 {
		return nil, short
	}
	count := int(binary.BigEndian.Uint32(data))
	data = data[4:]
	const width = 8 + proofs.HashSize
	if count < 1 || count > stampRunOf || len(data) < count*width {
		return nil, short
	}
	d := &renewalData{}
	for range count {
		d.sizes = append(d.sizes, binary.BigEndian.Uint64(data))
		d.leaves = append(d.leaves, proofs.Hash(data[8:width]))
		data = data[width:]
	}
	for len(data) > 0 {
		if len(data) < 4 || uint64(binary.BigEndian.Uint32(data)) > uint64(len(data)-4) {
			return nil, short
		}
		end := 4 + int(binary.BigEndian.Uint32(data))
		d.tokens = append(d.tokens, data[4:end])
		data = data[end:]
	}
	if len(d.tokens) == 0 || !sort.SliceIsSorted(d.sizes, func(i, j int) bool { return d.sizes[i] < d.sizes[j] }) {
		return nil, errors.New("it has no tokens, or is out of order")
	}
	return d, nil
}

// ReadTile implements proofs.TileReader.
func (d *renewalData) ReadTile(level int, index uint64, width int) (*proofs.Tile, error) {
	if d.levels == nil {
		d.levels = make([][]proofs.Hash, 2)
		var growing proofs.Range
		for _, leaf := range d.leaves {
			growing.Append(leaf, func(height int, h proofs.Hash) {
				if height%proofs.TileHeight == 0 {
					d.levels[height/proofs.TileHeight] = append(d.levels[height/proofs.TileHeight], h)
				}
			})
		}
	}
	from := index * proofs.TileWidth
	if level >= len(d.levels) || from+uint64(width) > uint64(len(d.levels[level])) {
		return nil, fmt.Errorf("there is no tile %d of level %d", index, level)
	}
	return proofs.NewTile(d.levels[level][from : from+uint64(width)]), nil
}

func leavesRoot(leaves []proofs.Hash) proofs.Hash {
	var growing proofs.Range
	for _, leaf := range leaves {
		growing.Append(leaf, func(int, proofs.Hash) {})
	}
	return growing.Root()
}
