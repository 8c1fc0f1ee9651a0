package notary

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/muniment/muniment/proofs"
)

// maxKey bounds an idempotency key, in bytes.
const maxKey = 255

// Deposit is what a caller hands in.
type Deposit struct {
	// Key is the caller's idempotency key: 1 to 255 printable ASCII bytes. It stands
	// for this content for ever.
	Key string
	// Claims are the members the caller may set. content.sha256 and content.size
	// are checked when Document is there; content.sha256 is required when it is not.
	Claims proofs.Record
	// Document is the original, read once to its end; nil deposits the digest only.
	Document io.Reader
	// Until is how long to wait for the seal of what is committed; zero: as long as
	// the context allows.
	Until time.Time
	// Witnessed: wait for the quorum of the policy's witnesses too, where the depository
	// would answer without it.
	Witnessed bool
}

// Deposit fixes a document or digest in the log and returns its receipt, under a
// published checkpoint. What it returned is durable and verifies for ever.
//
// The same key with the same content returns the same entry, whatever happened to
// the first call; with other content it is ErrKeyReused. Every error but
// SealingDelayedError, QuorumMissingError, OpinionMissingError and ErrUnavailable means that nothing was kept.
func (n *Notary) Deposit(ctx context.Context, who Principal, d Deposit) (proofs.Receipt, error) {
	if err := n.assured(d.Witnessed); err != nil {
		return proofs.Receipt{}, err
	}
	// A document may take its time to come, and holds no place meanwhile.
	if d.Document == nil {
		if !n.begin(who.Tenant.ID) {
			return proofs.Receipt{}, ErrBusy
		}
		defer n.end(who.Tenant.ID)
	}
	in, err := n.admit(who, d)
	if err != nil {
		return proofs.Receipt{}, err
	}
	// The sequencer looks the key up again, so it need not be asked of the ledger here:
	// but a retry's document must not be stored anew, and a retry is answered though
	// nothing new may come in.
	if closed := n.open(); closed != nil || in.document != nil {
		op, err := n.config.Ledger.Operation(ctx, who.Tenant.ID, in.key)
		switch {
		case err == nil:
			return n.replay(ctx, who, d, in, op)
		case !errors.Is(err, ErrNotFound):
			return proofs.Receipt{}, n.unavailable(err)
		case closed != nil:
			return proofs.Receipt{}, closed
		}
	}
	if in.document != nil {
		if err := n.affordable(ctx, who.Tenant.ID); err != nil {
			return proofs.Receipt{}, err
		}
	}
	row, err := n.take(ctx, in)
	if errors.As(err, new(*InvalidError)) {
		// What is ours in a record may have grown since, and a retry is answered all the same.
		if op, unknown := n.config.Ledger.Operation(ctx, who.Tenant.ID, in.key); unknown == nil {
			if r, again := n.replay(ctx, who, d, in, op); !errors.Is(again, ErrKeyReused) {
				return r, again
			}
		}
	}
	if err != nil {
		return proofs.Receipt{}, err
	}
	if d.Document != nil {
		if !n.begin(who.Tenant.ID) {
			n.discard(row, in, nil)
			return proofs.Receipt{}, ErrBusy
		}
		defer n.end(who.Tenant.ID)
	}
	p, err := n.offer(ctx, Operation{Tenant: who.Tenant.ID, Key: in.key}, row)
	switch {
	case err != nil:
		n.discard(row, in, err)
		return proofs.Receipt{}, err
	case p.again: // two calls raced with one key, and the other won
		n.discard(row, in, nil)
		return n.replay(ctx, who, d, in, p.op)
	}
	n.metrics.accepted(in.document != nil)
	return n.answer(ctx, who, d, row.placed())
}

// begin takes one of the places for deposits under way, if there is one: past what the
// depository can do, who is told so at once costs the others least.
func (n *Notary) begin(tenant ID) bool { return n.underWay.take(tenant, 1) }

func (n *Notary) end(tenant ID) { n.underWay.give(tenant, 1) }

// Full reports whether as many deposits are under way as may be, or as one tenant may have:
// another one of the tenant's would be ErrBusy.
func (n *Notary) Full(tenant ID) bool { return n.underWay.full(tenant) }

// Crowded reports whether a tenant may be Full.
func (n *Notary) Crowded() bool { return n.underWay.used() >= n.underWay.share() }

// placed is an entry with its place in the log, and what its receipt says of it.
type placed struct {
	id          ID
	index       uint64
	entry       proofs.Entry
	disclosures []proofs.Disclosure
}

func (r *prepared) placed() placed {
	return placed{r.row.ID, r.row.Index, r.entry, r.disclosures}
}

// answer sees to it that the document of a committed deposit is retained, waits for the
// seal, and proves the entry.
func (n *Notary) answer(ctx context.Context, who Principal, d Deposit, r placed) (proofs.Receipt, error) {
	patient, cancel := until(ctx, d.Until)
	defer cancel()
	if d.Document != nil {
		until := n.config.Retention.End(shown(r.disclosures), r.entry.Time)
		err := n.retain(patient, blobName(who.Tenant.ID, r.id), r.entry.Time, until)
		if errors.Is(err, ErrDamaged) {
			return proofs.Receipt{}, err
		}
		if err != nil {
			return proofs.Receipt{}, &SealingDelayedError{r.id}
		}
	}
	v, err := n.published(patient, r.index, d.Witnessed)
	if err != nil {
		return proofs.Receipt{}, n.delayed(r.id, r.index, d.Witnessed)
	}
	defer n.metrics.since(stageProve, time.Now())
	return n.prove(ctx, v, r.index, r.entry, r.disclosures)
}

// shown is the record that disclosures show.
func shown(disclosures []proofs.Disclosure) proofs.Record {
	record := make(proofs.Record, len(disclosures))
	for i, d := range disclosures {
		record[i] = proofs.Member{Name: d.Name, Value: d.Value}
	}
	return record
}

// retain protects the document of a committed deposit, counted from its entry's time, and
// until the end of its term at least. It
// tries until it is done or the caller waits no longer; the same key, or the scrubber,
// then tries again.
func (n *Notary) retain(ctx context.Context, name string, since, until time.Time) error {
	for {
		err := n.config.Blobs.Retain(ctx, name, since, until)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, ErrNotFound):
			return n.unavailable(fmt.Errorf("%w: the document %s was stored and is missing", ErrDamaged, name))
		case !n.pause(ctx) || n.run.Err() != nil:
			n.config.Logger.Warn("a document is not retained yet", "blob", name, "error", err)
			return err
		}
	}
}

// open reports whether a new deposit may come in now.
func (n *Notary) open() error {
	if n.run.Err() != nil {
		return ErrStopped
	}
	if n.opinionRequired() {
		if err := n.opinion.missing(); err != nil {
			return err
		}
	}
	if err := n.ready.accept(); err != nil {
		return err
	}
	return n.room()
}

// roomAge is for how long a disk that had room is taken to have it: asking costs a
// system call, and the ledger asks again before each commit.
const roomAge = 100 * time.Millisecond

func (n *Notary) room() error {
	if asked := n.roomAsked.Load(); asked != nil && time.Since(*asked) < roomAge {
		return nil
	}
	now := time.Now()
	if err := n.config.Room(); err != nil {
		return n.unavailable(err)
	}
	n.roomAsked.Store(&now)
	return nil
}

// offer puts rows into the pool and waits until they are committed.
func (n *Notary) offer(ctx context.Context, op Operation, rows ...*prepared) (*pending, error) {
	return n.offerTurn(ctx, op, Term{}, rows...)
}

// offerTurn is offer with a turn, which is taken together with the key.
func (n *Notary) offerTurn(ctx context.Context, op Operation, turn Term, rows ...*prepared) (*pending, error) {
	p := &pending{ctx: ctx, op: op, turn: turn, rows: rows, entered: time.Now(), done: make(chan error, 1)}
	if err := n.enter(p); err != nil {
		return nil, err
	}
	select {
	case err := <-p.done:
		return p, err
	case <-ctx.Done():
		// The sequencer may be committing it at this moment. The key tells later.
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, ctx.Err())
	case <-n.run.Done():
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, ErrStopped)
	}
}

func (n *Notary) enter(p *pending) error {
	n.intake.RLock()
	defer n.intake.RUnlock()
	if n.closing {
		return ErrStopped
	}
	select {
	case n.pool <- p:
		return nil
	default:
		return ErrBusy
	}
}

// discard removes the blob of a row that was certainly not committed. After an
// unknown outcome it stays, and the sweep decides.
func (n *Notary) discard(r *prepared, in *intake, err error) {
	if in.document != nil && !errors.Is(err, ErrUnavailable) {
		n.remove(blobName(r.row.Tenant, r.row.ID))
	}
}

// remove deletes a blob that nothing refers to. If that fails, the sweep does it.
func (n *Notary) remove(name string) {
	ctx, cancel := context.WithTimeout(context.Background(), maxAge)
	defer cancel()
	if err := n.config.Blobs.Delete(ctx, name); err != nil {
		n.config.Logger.Warn("an unused blob was left for the sweep", "blob", name, "error", err)
	}
}

// replay answers a key that already stands for a deposit: with its receipt if the
// content is the same.
func (n *Notary) replay(ctx context.Context, who Principal, d Deposit, in *intake, op Operation) (proofs.Receipt, error) {
	row, err := n.config.Ledger.Row(ctx, op.First)
	if err != nil {
		return proofs.Receipt{}, n.unavailable(err)
	}
	o, err := n.unseal(row)
	if err != nil {
		return proofs.Receipt{}, err
	}
	held := in.document != nil
	if held && !in.taken {
		h := in.hashing(false)
		size, err := io.Copy(h, in.document)
		if err != nil {
			return proofs.Receipt{}, err
		}
		if err := in.read(h, size); err != nil {
			return proofs.Receipt{}, err
		}
	}
	if !o.intended(in.content(o.seed)) {
		return proofs.Receipt{}, ErrKeyReused
	}
	n.metrics.replays.Inc()
	return n.answer(ctx, who, d, placed{row.ID, row.Index, o.entry, o.disclosures})
}
