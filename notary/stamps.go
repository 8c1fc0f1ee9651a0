package notary

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/muniment/muniment/proofs"
)

// Trusted time. Beside the sealer, on the replica that seals, published checkpoints are shown
// to time-stamp authorities on a schedule. What they sign is kept, and found again for every
// deposit that the checkpoint covers. Nothing here is in the way of a receipt.

// A TimestampAuthority dates messages (RFC 3161).
type TimestampAuthority interface {
	// Name is what the authority is called in logs and metrics; it comes from the
	// configuration.
	Name() string
	// Timestamp returns a token over message, in DER. It ends with ctx, and in bounded time.
	Timestamp(ctx context.Context, message []byte) ([]byte, error)
}

// Timestamps is how checkpoints are dated.
type Timestamps struct {
	// Authorities are all asked, 1 to 4 of them.
	Authorities []TimestampAuthority
	// Checker is what every token is held against before it is kept, and in every receipt.
	Checker proofs.TimestampChecker
	Every   time.Duration // 0: on demand alone
}

const (
	maxAuthorities = 4 // as many tokens as a receipt has room for
	// stampFirst is how long after its start a replica asks for the first time: one that
	// is started again and again must not trouble authorities.
	stampFirst = time.Minute
	stampRetry = 5 * time.Minute
	stampCall  = 30 * time.Second // all authorities are asked at once
	// maxStampRecord bounds what is kept of a stamp.
	maxStampRecord = 512 << 10
)

// ErrNotStamped: no checkpoint that covers the deposit has been dated yet.
var ErrNotStamped = errors.New("no time-stamp covers the deposit yet")

// stamper is the state of the one goroutine that asks authorities.
type stamper struct {
	turn sync.Mutex // held while authorities are asked: on schedule or on demand
	// usable is a size before which no stamp holds under the present policy and roots: they
	// were made under others. passed: the first that does is found.
	usable atomic.Uint64
	passed atomic.Bool
	fresh  atomic.Pointer[stamped]
	ends   atomic.Pointer[time.Time] // of the newest stamp's tokens
	whole  []stampRun                // under turn
	look   time.Time                 // under turn: when renewals are looked after next
}

// stamped is the newest stamp that this process made.
type stamped struct {
	size uint64
	at   time.Time // the newest of its tokens'
}

func (t *Timestamps) check() error {
	switch {
	case t == nil:
		return nil
	case len(t.Authorities) == 0 || len(t.Authorities) > maxAuthorities:
		return fmt.Errorf("there are %d time-stamp authorities, not 1 to %d", len(t.Authorities), maxAuthorities)
	case t.Checker == nil:
		return errors.New("there are time-stamp authorities, and nothing to check them by")
	}
	return nil
}

// options are what the log's own verifier needs beyond the policy.
func (t *Timestamps) options() []proofs.Option {
	if t == nil {
		return nil
	}
	return []proofs.Option{proofs.WithTimestamps(t.Checker)}
}

// runStamper dates the newest checkpoint on schedule, and looks after renewals.
func (n *Notary) runStamper() {
	defer n.workers.Done()
	every := n.config.Timestamps.Every
	for wait := min(stampFirst, every); n.sleep(wait); {
		wait = min(every, stampFirst)
		if !n.leading() {
			continue // it may be this replica's turn soon
		}
		_, err := n.Stamp(n.run)
		if err == nil {
			err = n.renewDue(n.run)
		}
		if wait = every; err != nil {
			wait = min(every, stampRetry)
			if n.run.Err() == nil {
				n.config.Logger.Warn("checkpoints are not dated; trying again", "error", err)
			}
		}
	}
}

// Stamp has the newest published checkpoint dated by every authority, unless it is, and
// keeps what they signed. It returns the size of that checkpoint. It is an error if none of
// the authorities signed; one that fails beside another that did is counted and logged.
func (n *Notary) Stamp(ctx context.Context) (size uint64, err error) {
	if n.config.Timestamps == nil {
		return 0, errors.New("no time-stamp authorities are configured")
	}
	n.stamper.turn.Lock()
	defer n.stamper.turn.Unlock()
	if _, err := n.current(ctx); err != nil {
		return 0, err
	}
	// Only what holds under the policy becomes a receipt.
	v := n.cosigned.Load()
	if v.size == 0 {
		return 0, errors.New("no checkpoint is published yet")
	}
	known, err := n.config.Ledger.Stamps(ctx, v.size, 1)
	if err != nil {
		return 0, n.unavailable(err)
	}
	if len(known) > 0 { // this checkpoint, or one after it by another replica
		return known[0].Size, nil
	}
	tokens, newest, err := n.askAuthorities(ctx, v.note, v.size)
	if err != nil {
		return 0, err
	}
	record := proofs.EvidenceRecord{Note: v.note, Tokens: tokens}.Marshal()
	if len(record) > maxStampRecord {
		return 0, fmt.Errorf("the checkpoint with its time-stamps has %d bytes, more than %d", len(record), maxStampRecord)
	}
	if err := n.config.Ledger.Stamp(ctx, Stamp{Size: v.size, Record: record}); err != nil && !errors.Is(err, ErrExists) {
		return 0, n.unavailable(err)
	}
	n.stamper.fresh.Store(&stamped{v.size, newest.Time})
	n.stamper.ends.Store(&newest.NotAfter)
	return v.size, nil
}

// StampNow is Stamp and RenewStamps on a log that this process has not opened.
func StampNow(ctx context.Context, c Config) (size uint64, err error) {
	n, err := prepare(c)
	if err != nil {
		return 0, err
	}
	now, err := c.Ledger.Now(ctx)
	if err != nil {
		return 0, err
	}
	n.clock.start(now)
	if err := n.refresh(ctx); err != nil {
		return 0, err
	}
	if size, err = n.Stamp(ctx); err != nil {
		return 0, err
	}
	return size, n.RenewStamps(ctx)
}

// askAuthorities asks all of them at once to date a message about the log up to size, and
// returns the tokens that hold, in the order of receipts.
func (n *Notary) askAuthorities(ctx context.Context, message []byte, size uint64) ([][]byte, proofs.Timestamp, error) {
	entries, err := n.config.Ledger.Entries(ctx, size-1, size)
	if err != nil {
		return nil, proofs.Timestamp{}, n.unavailable(err)
	}
	newest, err := proofs.ParseEntry(string(entries[0]))
	if err != nil {
		return nil, proofs.Timestamp{}, fmt.Errorf("%w: entry %d: %w", ErrDamaged, size-1, err)
	}
	ctx, cancel := context.WithTimeout(ctx, stampCall)
	defer cancel()
	authorities := n.config.Timestamps.Authorities
	answers := make([]answer, len(authorities))
	var group sync.WaitGroup
	for i, a := range authorities {
		group.Go(func() { answers[i] = n.ask(ctx, a, message, newest.Time) })
	}
	group.Wait()
	return n.tallyAnswers(answers)
}

// answer is what came of asking one authority.
type answer struct {
	token []byte
	stamp proofs.Timestamp
	err   error
}

// ask asks one authority and believes nothing of what it says unseen.
func (n *Notary) ask(ctx context.Context, a TimestampAuthority, message []byte, newest time.Time) answer {
	token, err := a.Timestamp(ctx, message)
	if err != nil {
		return answer{err: err}
	}
	stamp, outcome, reason := n.config.Timestamps.Checker.CheckTimestamp(token, message)
	now := n.clock.now()
	switch {
	case outcome == proofs.Refused:
		return answer{err: fmt.Errorf("its token does not hold: %s", reason)}
	case outcome != proofs.Verified:
		return answer{err: errors.New("its token proves nothing under the configured roots")}
	case stamp.Time.Add(stamp.Accuracy).Before(newest.Add(-proofs.TimestampTolerance)), stamp.Time.After(now.Add(proofs.TimestampTolerance)):
		return answer{err: fmt.Errorf("its clock says %s, the log's %s: one of them is wrong", proofs.FormatTime(stamp.Time), proofs.FormatTime(now))}
	}
	return answer{token, stamp, nil}
}

// tallyAnswers counts what failed, and sorts what did not.
func (n *Notary) tallyAnswers(answers []answer) (tokens [][]byte, newest proofs.Timestamp, err error) {
	var failed []error
	for i, a := range answers {
		name := n.config.Timestamps.Authorities[i].Name()
		if a.err != nil {
			n.metrics.stampFailures[i].Inc()
			failed = append(failed, fmt.Errorf("time-stamp authority %s: %w", name, a.err))
		}
	}
	good := slices.DeleteFunc(answers, func(a answer) bool { return a.err != nil })
	if len(good) == 0 {
		return nil, newest, errors.Join(failed...)
	}
	for _, err := range failed {
		n.config.Logger.Warn("a time-stamp authority failed", "error", err)
	}
	slices.SortFunc(good, func(a, b answer) int {
		if c := a.stamp.Time.Compare(b.stamp.Time); c != 0 {
			return c
		}
		return bytes.Compare(a.token, b.token)
	})
	for _, a := range good {
		tokens = append(tokens, a.token)
		if a.stamp.NotAfter.After(newest.NotAfter) {
			newest.NotAfter = a.stamp.NotAfter
		}
		newest.Time = a.stamp.Time
	}
	return tokens, newest, nil
}

// stampOf returns the earliest stamped checkpoint that covers the entry at index and holds
// under the present policy and roots, with its evidence record; else ErrNotStamped.
func (n *Notary) stampOf(ctx context.Context, index uint64) (Stamp, proofs.EvidenceRecord, error) {
	if n.config.Timestamps == nil {
		return Stamp{}, proofs.EvidenceRecord{}, ErrNotStamped
	}
	if err := n.passUnusable(ctx); err != nil {
		return Stamp{}, proofs.EvidenceRecord{}, err
	}
	s, record, err := n.stampFrom(ctx, max(index+1, n.stamper.usable.Load()))
	if err != nil {
		return Stamp{}, proofs.EvidenceRecord{}, err
	}
	return s, record, nil
}

// passUnusable looks once at the stamps from the first on until one holds: policies and roots
// change forward in time, so that many old ones may not. Those among ones that hold are few.
func (n *Notary) passUnusable(ctx context.Context) error {
	t := &n.stamper
	if t.passed.Load() {
		return nil
	}
	s, _, err := n.stampFrom(ctx, max(1, t.usable.Load()))
	t.usable.Store(s.Size)
	if err != nil && !errors.Is(err, ErrDamaged) {
		return err
	}
	t.passed.Store(true)
	return nil
}

// stampFrom returns the first stamp of that size or more that holds. With an error it returns
// the size up to which none does.
func (n *Notary) stampFrom(ctx context.Context, from uint64) (Stamp, proofs.EvidenceRecord, error) {
	for {
		stamps, err := n.config.Ledger.Stamps(ctx, from, 100)
		if err != nil {
			return Stamp{Size: from}, proofs.EvidenceRecord{}, n.unavailable(err)
		}
		if len(stamps) == 0 {
			return Stamp{Size: from}, proofs.EvidenceRecord{}, ErrNotStamped
		}
		for _, s := range stamps {
			record, good, err := n.judgeStamp(s)
			if err != nil || good {
				return s, record, err
			}
			from = s.Size + 1
		}
	}
}

// judgeStamp reports whether a stamp holds under the present policy and roots. One that was
// made under others does not; one that is not what was kept is damage.
func (n *Notary) judgeStamp(s Stamp) (proofs.EvidenceRecord, bool, error) {
	record, err := n.readStamp(s)
	if err != nil {
		n.ready.damaged(err)
		return record, false, err
	}
	if _, outcome, _ := n.verifier.Checkpoint(record.Note); outcome != proofs.Verified {
		return record, false, nil
	}
	for _, token := range record.Tokens {
		if _, outcome, _ := n.config.Timestamps.Checker.CheckTimestamp(token, record.Note); outcome == proofs.Verified {
			return record, true, nil
		}
	}
	return record, false, nil
}

// readStamp takes a stamp apart, and checks that it is of the size it stands under.
func (n *Notary) readStamp(s Stamp) (proofs.EvidenceRecord, error) {
	wrong := func(err error) (proofs.EvidenceRecord, error) {
		return proofs.EvidenceRecord{}, fmt.Errorf("%w: the stamp of size %d: %w", ErrDamaged, s.Size, err)
	}
	record, err := proofs.ParseEvidenceRecord(s.Record)
	if err != nil {
		return wrong(err)
	}
	note, err := proofs.ParseNote(record.Note)
	if err != nil {
		return wrong(err)
	}
	cp, err := proofs.ParseCheckpoint(note.Text)
	if err != nil {
		return wrong(err)
	}
	if cp.Origin != n.key.Name || cp.Size != s.Size || len(record.Renewals) > 0 {
		return wrong(errors.New("it is of another checkpoint"))
	}
	return record, nil
}

// stampedReceipt is the receipt of an entry under the earliest stamped checkpoint that
// covers it, or ErrNotStamped.
func (n *Notary) stampedReceipt(ctx context.Context, o *opened) (proofs.Receipt, error) {
	s, record, err := n.stampOf(ctx, o.row.Index)
	if err != nil {
		return proofs.Receipt{}, err
	}
	r, err := n.prove(ctx, &view{size: s.Size, note: record.Note, witnessed: true}, o.row.Index, o.entry, o.disclosures)
	if err != nil {
		return proofs.Receipt{}, err
	}
	r = r.Stamp(record.Tokens)
	e, err := n.verifier.Verify(r, nil)
	if err != nil || e.Outcome() != proofs.Verified || e.Level != proofs.Stamped {
		err := fmt.Errorf("%w: the stamped receipt of entry %d does not verify: %s", ErrDamaged, o.row.Index, e.Reason)
		n.ready.damaged(err)
		return proofs.Receipt{}, err
	}
	return r, nil
}
