package notary

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/muniment/muniment/proofs"
)

const (
	// MaxLines bounds one batch of deposits.
	MaxLines = 10_000
	// maxLines bounds the lines of all batches between intake and answer: each holds
	// about 5 KB of memory.
	maxLines = 4 * MaxLines
)

// DigestBatch is many digests that are deposited together: all of them, or none.
type DigestBatch struct {
	// Key is the caller's idempotency key, as in Deposit. It stands for all the lines,
	// in their order.
	Key string
	// Lines are the claims of each deposit, 1 to MaxLines; content.sha256 is required
	// in each.
	Lines []proofs.Record
	Until time.Time // as in Deposit
	// Witnessed: as in Deposit.
	Witnessed bool
}

// BadLine is what is wrong with one line of a batch.
type BadLine struct {
	Line   int // from 1
	Member string
	Reason string
	Code   CheckCode // of the tenant's own rules; empty: it cannot be deposited by anyone
}

// BatchError refuses a batch. Nothing was kept.
type BatchError struct{ Lines []BadLine }

func (e *BatchError) Error() string {
	return fmt.Sprintf("%d lines cannot be deposited; the first is line %d: %s", len(e.Lines), e.Lines[0].Line, e.Lines[0].Reason)
}

// add takes note of a line's error, and returns those that are not the line's fault.
func (e *BatchError) add(line int, err error) error {
	var wrong *InvalidError
	var against *CheckError
	switch {
	case errors.As(err, &against):
		e.Lines = append(e.Lines, BadLine{line, against.Member, against.Error(), against.Code})
	case errors.As(err, &wrong):
		e.Lines = append(e.Lines, BadLine{line, wrong.Member, wrong.Error(), ""})
	default:
		return err
	}
	return nil
}

// DepositBatch fixes digests in the log, one behind the other and in one commit, and
// returns their receipts in the same order, all under one published checkpoint.
// What it returned is durable and verifies for ever. Keys and errors are as with
// Deposit; a BatchError names every line that is at fault.
func (n *Notary) DepositBatch(ctx context.Context, who Principal, b DigestBatch) ([]proofs.Receipt, error) {
	if err := n.assured(b.Witnessed); err != nil {
		return nil, err
	}
	tk, err := n.admitBatch(who, b)
	if err != nil {
		return nil, err
	}
	if !n.lines.take(who.Tenant.ID, len(b.Lines)) {
		return nil, ErrBusy
	}
	defer n.lines.give(who.Tenant.ID, len(b.Lines))
	terms := tk.termer()
	want := Operation{Tenant: who.Tenant.ID, Key: terms.term(termKey, b.Key)}
	op, err := n.config.Ledger.Operation(ctx, want.Tenant, want.Key)
	switch {
	case err == nil:
		return n.replayBatch(ctx, b, op)
	case !errors.Is(err, ErrNotFound):
		return nil, n.unavailable(err)
	}
	if err := n.open(); err != nil {
		return nil, err
	}
	rows, err := n.takeBatch(ctx, who, tk, terms, want.Key, b)
	if err != nil {
		return nil, err
	}
	p, err := n.offer(ctx, want, rows...)
	if err != nil {
		return nil, err
	}
	if p.again { // two calls raced with one key, and the other won
		return n.replayBatch(ctx, b, p.op)
	}
	n.metrics.lines.Add(float64(len(rows)))
	done := make([]placed, len(rows))
	for i, r := range rows {
		done[i] = r.placed()
	}
	return n.proveBatch(ctx, b, done)
}

// admitBatch checks what can be checked of a batch without looking into its lines.
func (n *Notary) admitBatch(who Principal, b DigestBatch) (TenantKey, error) {
	if !who.Role.MayDeposit() {
		return TenantKey{}, ErrForbidden
	}
	if err := checkKey(b.Key); err != nil {
		return TenantKey{}, err
	}
	if len(b.Lines) < 1 || len(b.Lines) > MaxLines {
		return TenantKey{}, invalid("", "a batch has 1 to %d lines", MaxLines)
	}
	for _, claims := range b.Lines {
		if CheckClaims(claims, false) != nil {
			return TenantKey{}, BadBatch(who, b.Lines, nil)
		}
	}
	tk, err := n.config.TenantKey(who.Tenant.ID)
	if err != nil {
		return TenantKey{}, n.unavailable(err)
	}
	return tk, nil
}

// BadBatch names every line that a caller cannot deposit, for whatever reason. failed
// holds those, by their place from 0, of which something is wrong already.
func BadBatch(who Principal, lines []proofs.Record, failed map[int]*InvalidError) error {
	var bad BatchError
	for i, claims := range lines {
		err := error(failed[i])
		if failed[i] == nil {
			err = CheckDigest(who, claims)
		}
		if err := bad.add(i+1, err); err != nil {
			return err
		}
	}
	return &bad
}

// takeBatch prepares every line. The first row alone remembers the batch's content.
func (n *Notary) takeBatch(ctx context.Context, who Principal, tk TenantKey, terms termer, key Term, b DigestBatch) ([]*prepared, error) {
	rows := make([]*prepared, len(b.Lines))
	received := n.clock.now()
	var bad BatchError
	for i, claims := range b.Lines {
		if i%256 == 0 && ctx.Err() != nil {
			return nil, ctx.Err() // nothing was kept
		}
		if err := n.config.Checks[who.Tenant.ID].claims(claims, false); err != nil {
			if err := bad.add(i+1, err); err != nil {
				return nil, err
			}
			continue
		}
		in, err := newIntake(who, tk, terms, key, claims, received)
		if err != nil {
			return nil, err
		}
		in.checks = n.config.Checks[who.Tenant.ID]
		if i == 0 {
			in.content = func(seed proofs.Seed) [16]byte { return batchMAC(seed, b.Lines) }
		}
		if rows[i], err = n.take(ctx, in); err != nil {
			if err := bad.add(i+1, err); err != nil {
				return nil, err
			}
		}
	}
	if len(bad.Lines) > 0 {
		return nil, &bad
	}
	return rows, nil
}

// batchMAC recognises the retry of a batch, as contentMAC does that of a deposit.
func batchMAC(seed proofs.Seed, lines []proofs.Record) [16]byte {
	mac := hmac.New(sha256.New, seed[:])
	io.WriteString(mac, "muniment/content@v1\nbatch "+strconv.Itoa(len(lines))+"\n")
	for _, claims := range lines {
		io.WriteString(mac, intended(claims).JSON()+"\n")
	}
	return [16]byte(mac.Sum(nil)[:16])
}

// replayBatch answers a key that already stands for something: with the receipts if
// it is the same batch.
func (n *Notary) replayBatch(ctx context.Context, b DigestBatch, op Operation) ([]proofs.Receipt, error) {
	out := make([]placed, 0, op.Count)
	for i := range uint64(op.Count) {
		row, err := n.config.Ledger.Row(ctx, op.First+i)
		if err != nil {
			return nil, n.unavailable(err)
		}
		o, err := n.unseal(row)
		if err != nil {
			return nil, err
		}
		if i == 0 {
			if !o.intended(batchMAC(o.seed, b.Lines)) {
				return nil, ErrKeyReused
			}
			n.metrics.replays.Inc()
		}
		out = append(out, placed{row.ID, row.Index, o.entry, o.disclosures})
	}
	return n.proveBatch(ctx, b, out)
}

// proveBatch waits for the seal of the last of the entries and proves all of them
// under that checkpoint.
func (n *Notary) proveBatch(ctx context.Context, b DigestBatch, rows []placed) ([]proofs.Receipt, error) {
	patient, cancel := until(ctx, b.Until)
	defer cancel()
	last := rows[len(rows)-1].index
	v, err := n.published(patient, last, b.Witnessed)
	if err != nil {
		return nil, n.delayed(rows[0].id, last, b.Witnessed)
	}
	defer n.metrics.since(stageProve, time.Now())
	out := make([]proofs.Receipt, len(rows))
	for i, r := range rows {
		if out[i], err = n.prove(ctx, v, r.index, r.entry, r.disclosures); err != nil {
			return nil, err
		}
	}
	return out, nil
}
