// Package notarytest holds in-memory storage for tests of the notary: a Ledger,
// Blobs and an Anchor that pass the suites of storage/storagetest, and that go
// wrong on command.
//
// Each fake has a script of Faults. Each can be copied with Snapshot and put back
// with Restore, like a backup, and laid open with Corrupt, to flip bits of what
// is stored. A crash of the process is played by dropping the notary and opening
// another on the same fakes. Nothing is shared with a caller: all that goes in
// and comes out is copied.
package notarytest

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/proofs"
)

// Ledger is a notary.Ledger and notary.Accounts in memory. Several notaries may
// share it, as processes share a database.
type Ledger struct {
	Faults *Faults

	now  func() time.Time
	head chan struct{} // the lock of the head: whoever has put a token in it
	// trail is the lock of the trail, likewise.
	trail chan struct{}
	late  *notary.Batch // under the head lock: a commit that is still on its way

	mu    sync.Mutex // never held while a caller's code runs
	state LedgerState
}

// LedgerState is all that a Ledger keeps.
type LedgerState struct {
	Head   notary.Head
	Peaks  []proofs.Hash
	Rows   []notary.Row
	Terms  [][]notary.Term // parallel to Rows
	Hashes [][]proofs.Hash // all hashes of each tile level
	// Batches are the ids of all that was committed, in order.
	Batches       []notary.ID
	Operations    map[Pair]notary.Operation
	Cases         map[Pair]notary.Case
	Usages        map[MonthOfTenant]notary.Usage
	PublishedSize uint64
	Published     []byte           // nil before the first
	Stamps        []notary.Stamp   // ascending by size
	Renewals      []notary.Renewal // ascending by number
	Tenants       map[notary.ID]notary.Tenant
	APIKeys       map[[32]byte]notary.APIKey
	Sessions      map[[32]byte]notary.Session
	Webhooks      map[notary.ID]notary.Webhook
	KeyStates     map[notary.ID]notary.KeyState
	Attendants    map[notary.ID]Attended
	Trail         Trailed

	ids map[notary.ID]int // where in Rows
}

// A Pair is what operations and cases are found by.
type Pair struct {
	Tenant notary.ID
	Term   notary.Term
}

// A MonthOfTenant is what usages are found by.
type MonthOfTenant struct {
	Tenant notary.ID
	Month  notary.Month
}

var ledgerCalls = []string{
	"Now", "Append", "Commit", "Committed", "Head", "Hashes", "Entries", "Row", "Rows", "Deposit", "Operation", "Case", "Usage", "Deposits",
	"Erase", "Publish", "Published", "Stamp", "Stamps", "Renew", "Renewals", "Renewed", "CreateTenant", "Tenant", "Tenants", "CreateAPIKey", "ConfirmAPIKey", "DeleteAPIKey", "APIKey", "APIKeys",
	"BeginSession", "Session", "SeeSession", "EndSession", "SweepSessions",
	"CreateWebhook", "Webhooks", "SaveWebhook", "DeleteWebhook",
	"KeyStates", "SaveKeyState", "Reseal", "ResealWebhook", "Scour", "Attend", "Attending", "Leave",
	"WriteTrail", "TrailHead", "TrailPages", "TrailDays",
}

// NewLedger returns an empty ledger with that clock; nil is time.Now.
func NewLedger(now func() time.Time) *Ledger {
	if now == nil {
		now = time.Now
	}
	return &Ledger{
		Faults: &Faults{names: ledgerCalls},
		now:    now,
		head:   make(chan struct{}, 1),
		trail:  make(chan struct{}, 1),
		state:  LedgerState{Head: notary.Head{Root: proofs.EmptyRoot}}.clone(),
	}
}

func (s LedgerState) clone() LedgerState {
	c := s
	c.Peaks = slices.Clone(s.Peaks)
	c.Rows = cloneRows(s.Rows)
	c.Terms = cloneEach(s.Terms)
	c.Hashes = cloneEach(s.Hashes)
	c.Batches = slices.Clone(s.Batches)
	c.Operations = cloneMap(s.Operations)
	c.Cases = cloneMap(s.Cases)
	c.Usages = cloneMap(s.Usages)
	c.Published = bytes.Clone(s.Published)
	c.Stamps, c.Renewals = cloneStamps(s.Stamps), cloneRenewals(s.Renewals)
	c.Tenants = cloneMap(s.Tenants)
	c.APIKeys = cloneMap(s.APIKeys)
	c.Sessions = cloneMap(s.Sessions)
	c.KeyStates, c.Attendants = cloneMap(s.KeyStates), cloneMap(s.Attendants)
	c.Trail = s.Trail.clone()
	c.Webhooks = cloneMap(s.Webhooks)
	for id, w := range c.Webhooks {
		c.Webhooks[id] = cloneWebhook(w)
	}
	c.index()
	return c
}

// index finds the rows anew.
func (s *LedgerState) index() {
	s.ids = make(map[notary.ID]int, len(s.Rows))
	for i, r := range s.Rows {
		s.ids[r.ID] = i
	}
}

func cloneRow(r notary.Row) notary.Row {
	r.Entry, r.Body, r.Secrets = bytes.Clone(r.Entry), bytes.Clone(r.Body), bytes.Clone(r.Secrets)
	return r
}

func cloneRows(rows []notary.Row) []notary.Row {
	var c []notary.Row
	for _, r := range rows {
		c = append(c, cloneRow(r))
	}
	return c
}

func cloneEach[T any](lists [][]T) [][]T {
	c := make([][]T, len(lists))
	for i := range lists {
		c[i] = slices.Clone(lists[i])
	}
	return c
}

// cloneMap never returns nil, unlike maps.Clone.
func cloneMap[K comparable, V any](m map[K]V) map[K]V {
	c := make(map[K]V, len(m))
	for k, v := range m {
		c[k] = v
	}
	return c
}

func cloneBatch(b *notary.Batch) *notary.Batch {
	return &notary.Batch{
		Head: b.Head, Rows: cloneRows(b.Rows), Terms: cloneEach(b.Terms), Hashes: cloneEach(b.Hashes),
		Operations: slices.Clone(b.Operations), Cases: slices.Clone(b.Cases), Usages: slices.Clone(b.Usages), Peaks: slices.Clone(b.Peaks),
	}
}

// Snapshot returns a copy of all that is stored: a backup.
func (l *Ledger) Snapshot() LedgerState {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.state.clone()
}

// Restore puts a copy of s in the place of all that is stored. No Append may be
// under way; a commit still on its way is lost.
func (l *Ledger) Restore(s LedgerState) {
	l.head <- struct{}{}
	defer func() { <-l.head }()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.late, l.state = nil, s.clone()
}

// Corrupt lets f change what is stored, in place and without any check.
func (l *Ledger) Corrupt(f func(*LedgerState)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f(&l.state)
	l.state.index()
}

// call is the frame of the methods that need no lock of the head.
func (l *Ledger) call(ctx context.Context, name string, do func(s *LedgerState) error) error {
	return l.Faults.call(ctx, name, func() error {
		l.mu.Lock()
		defer l.mu.Unlock()
		return do(&l.state)
	})
}

// read is call for the methods that return something: nothing, beside an error.
func read[T any](ctx context.Context, l *Ledger, name string, do func(s *LedgerState) (T, error)) (T, error) {
	var got T
	err := l.call(ctx, name, func(s *LedgerState) (err error) {
		got, err = do(s)
		return err
	})
	if err != nil {
		return *new(T), err
	}
	return got, nil
}

// Now implements notary.Ledger.
func (l *Ledger) Now(ctx context.Context) (now time.Time, err error) {
	err = l.Faults.call(ctx, "Now", func() error {
		now = l.now().UTC()
		return nil
	})
	if err != nil {
		return time.Time{}, err
	}
	return now, nil
}

// lockHead takes the lock of the head. A commit that was on its way held it until
// now, and has come to its end.
func (l *Ledger) lockHead(ctx context.Context) error {
	select {
	case l.head <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	if l.late != nil {
		l.mu.Lock()
		l.state.apply(l.late)
		l.mu.Unlock()
		l.late = nil
	}
	return nil
}

// Append implements notary.Ledger. A fault of Append that leaves nothing done
// comes before build is called; one of Commit, after build has returned.
func (l *Ledger) Append(ctx context.Context, lookups notary.Lookups, build func(notary.State) (*notary.Batch, error)) error {
	return l.Faults.call(ctx, "Append", func() error {
		if err := l.lockHead(ctx); err != nil {
			return err
		}
		defer func() { <-l.head }()
		state := l.lookUp(lookups)
		batch, err := build(state)
		if err != nil || batch == nil {
			return err
		}
		return l.commit(ctx, cloneBatch(batch))
	})
}

func (l *Ledger) lookUp(lookups notary.Lookups) notary.State {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := notary.State{Head: l.state.Head, Now: l.now().UTC(), Peaks: slices.Clone(l.state.Peaks)}
	for _, o := range lookups.Operations {
		found, ok := l.state.Operations[Pair{o.Tenant, o.Key}]
		if !ok {
			found = notary.Operation{Tenant: o.Tenant, Key: o.Key}
		}
		s.Operations = append(s.Operations, found)
	}
	for _, c := range lookups.Cases {
		found, ok := l.state.Cases[Pair{c.Tenant, c.Contract}]
		if !ok {
			found = notary.Case{Tenant: c.Tenant, Contract: c.Contract}
		}
		s.Cases = append(s.Cases, found)
	}
	for _, u := range lookups.Usages {
		s.Usages = append(s.Usages, l.state.usage(u.Tenant, u.Month))
	}
	return s
}

// commit writes b, under the lock of the head.
func (l *Ledger) commit(ctx context.Context, b *notary.Batch) error {
	fault := l.Faults.next("Commit")
	if err := ctx.Err(); err != nil {
		return err
	}
	l.mu.Lock()
	err := l.state.accepts(b)
	switch {
	case err != nil:
		err = fmt.Errorf("batch refused: %w", err)
	case fault.Kind == PersistsLater:
		l.late = b
	case fault.Kind.done():
		l.state.apply(b)
	}
	l.mu.Unlock()
	if err != nil {
		return err
	}
	return fault.answer(ctx)
}

// accepts reports why b does not continue the log.
func (s *LedgerState) accepts(b *notary.Batch) error {
	if err := b.Continues(s.Head); err != nil {
		return err
	}
	if slices.Contains(s.Batches, b.Head.Batch) {
		return errors.New("the batch's id is not new")
	}
	for i, r := range b.Rows {
		if _, taken := s.ids[r.ID]; taken {
			return fmt.Errorf("the id of row %d is taken", i)
		}
	}
	for i, o := range b.Operations {
		if _, taken := s.Operations[Pair{o.Tenant, o.Key}]; taken {
			return fmt.Errorf("the idempotency key of operation %d is taken", i)
		}
	}
	return nil
}

func (s *LedgerState) apply(b *notary.Batch) {
	s.Head, s.Peaks = b.Head, slices.Clone(b.Peaks)
	s.Head.Time = b.Head.Time.UTC()
	for _, r := range b.Rows {
		s.ids[r.ID] = len(s.Rows)
		s.Rows = append(s.Rows, cloneRow(r))
	}
	s.Terms = append(s.Terms, cloneEach(b.Terms)...)
	for level, hashes := range b.Hashes {
		if level == len(s.Hashes) {
			s.Hashes = append(s.Hashes, nil)
		}
		s.Hashes[level] = append(s.Hashes[level], hashes...)
	}
	s.Batches = append(s.Batches, b.Head.Batch)
	for _, o := range b.Operations {
		s.Operations[Pair{o.Tenant, o.Key}] = o
	}
	for _, c := range b.Cases {
		s.Cases[Pair{c.Tenant, c.Contract}] = c
	}
	for _, u := range b.Usages {
		s.Usages[MonthOfTenant{u.Tenant, u.Month}] = u
	}
}

func (s *LedgerState) usage(tenant notary.ID, month notary.Month) notary.Usage {
	u := s.Usages[MonthOfTenant{tenant, month}]
	u.Tenant, u.Month = tenant, month
	return u
}

// Committed implements notary.Ledger.
func (l *Ledger) Committed(ctx context.Context, batch notary.ID) (committed bool, err error) {
	err = l.Faults.call(ctx, "Committed", func() error {
		if err := l.lockHead(ctx); err != nil {
			return err
		}
		defer func() { <-l.head }()
		l.mu.Lock()
		defer l.mu.Unlock()
		committed = slices.Contains(l.state.Batches, batch)
		return nil
	})
	return committed && err == nil, err
}

// Head implements notary.Ledger.
func (l *Ledger) Head(ctx context.Context) (notary.Head, error) {
	return read(ctx, l, "Head", func(s *LedgerState) (notary.Head, error) { return s.Head, nil })
}

// inRange is how Hashes and Entries judge what they are asked for.
func inRange(from, to, size uint64, most uint64) error {
	if from > to || to-from > most {
		return fmt.Errorf("%d to %d is no range of at most %d", from, to, most)
	}
	if to > size {
		return fmt.Errorf("%d to %d of %d: %w", from, to, size, notary.ErrNotFound)
	}
	return nil
}

// Hashes implements notary.Ledger.
func (l *Ledger) Hashes(ctx context.Context, level int, from, to uint64) ([]proofs.Hash, error) {
	return read(ctx, l, "Hashes", func(s *LedgerState) ([]proofs.Hash, error) {
		if level < 0 || level > 7 {
			return nil, fmt.Errorf("tile level %d is not within 0 to 7", level)
		}
		var hashes []proofs.Hash
		if level < len(s.Hashes) {
			hashes = s.Hashes[level]
		}
		if err := inRange(from, to, uint64(len(hashes)), 256); err != nil {
			return nil, err
		}
		return slices.Clone(hashes[from:to]), nil
	})
}

// Entries implements notary.Ledger.
func (l *Ledger) Entries(ctx context.Context, from, to uint64) ([][]byte, error) {
	return read(ctx, l, "Entries", func(s *LedgerState) ([][]byte, error) {
		if err := inRange(from, to, uint64(len(s.Rows)), 1024); err != nil {
			return nil, err
		}
		entries := make([][]byte, 0, to-from)
		for _, r := range s.Rows[from:to] {
			entries = append(entries, bytes.Clone(r.Entry))
		}
		return entries, nil
	})
}

// Row implements notary.Ledger.
func (l *Ledger) Row(ctx context.Context, index uint64) (notary.Row, error) {
	return read(ctx, l, "Row", func(s *LedgerState) (notary.Row, error) {
		if index >= uint64(len(s.Rows)) {
			return notary.Row{}, notary.ErrNotFound
		}
		return cloneRow(s.Rows[index]), nil
	})
}

// Rows implements notary.Ledger.
func (l *Ledger) Rows(ctx context.Context, from, to uint64) ([]notary.Row, error) {
	return read(ctx, l, "Rows", func(s *LedgerState) ([]notary.Row, error) {
		if err := inRange(from, to, uint64(len(s.Rows)), 1024); err != nil {
			return nil, err
		}
		return cloneRows(s.Rows[from:to]), nil
	})
}

// Deposit implements notary.Ledger.
func (l *Ledger) Deposit(ctx context.Context, tenant, id notary.ID) (notary.Row, error) {
	return read(ctx, l, "Deposit", func(s *LedgerState) (notary.Row, error) {
		i, ok := s.ids[id]
		if !ok || s.Rows[i].Tenant != tenant {
			return notary.Row{}, notary.ErrNotFound
		}
		return cloneRow(s.Rows[i]), nil
	})
}

// Operation implements notary.Ledger.
func (l *Ledger) Operation(ctx context.Context, tenant notary.ID, key notary.Term) (notary.Operation, error) {
	return read(ctx, l, "Operation", func(s *LedgerState) (notary.Operation, error) {
		return found(s.Operations, Pair{tenant, key})
	})
}

// Case implements notary.Ledger.
func (l *Ledger) Case(ctx context.Context, tenant notary.ID, contract notary.Term) (notary.Case, error) {
	return read(ctx, l, "Case", func(s *LedgerState) (notary.Case, error) {
		return found(s.Cases, Pair{tenant, contract})
	})
}

// Usage implements notary.Ledger.
func (l *Ledger) Usage(ctx context.Context, tenant notary.ID, month notary.Month) (notary.Usage, error) {
	return read(ctx, l, "Usage", func(s *LedgerState) (notary.Usage, error) { return s.usage(tenant, month), nil })
}

func found[K comparable, V any](m map[K]V, key K) (V, error) {
	v, ok := m[key]
	if !ok {
		return v, notary.ErrNotFound
	}
	return v, nil
}

// Deposits implements notary.Ledger.
func (l *Ledger) Deposits(ctx context.Context, q notary.Query) ([]notary.Row, error) {
	return read(ctx, l, "Deposits", func(s *LedgerState) ([]notary.Row, error) {
		if q.Limit < 1 || q.Limit > 1000 {
			return nil, fmt.Errorf("limit %d is not within 1 to 1,000", q.Limit)
		}
		var rows []notary.Row
		for i := range s.Rows {
			if len(rows) == q.Limit {
				break
			}
			if q.Backward {
				i = len(s.Rows) - 1 - i
			}
			r := s.Rows[i]
			if r.Tenant != q.Tenant || r.Index < q.From || q.Below > 0 && r.Index >= q.Below || q.Term != nil && !slices.Contains(s.Terms[i], *q.Term) {
				continue
			}
			t, err := notary.EntryTime(r.Entry)
			if err != nil {
				return nil, err
			}
			if !q.Since.IsZero() && t.Before(q.Since) || !q.Until.IsZero() && !t.Before(q.Until) {
				continue
			}
			rows = append(rows, cloneRow(r))
		}
		return rows, nil
	})
}

// Publish implements notary.Ledger.
func (l *Ledger) Publish(ctx context.Context, size uint64, note []byte) error {
	return l.call(ctx, "Publish", func(s *LedgerState) error {
		if s.Published == nil || size >= s.PublishedSize {
			s.PublishedSize, s.Published = size, bytes.Clone(note)
		}
		return nil
	})
}

// Published implements notary.Ledger.
func (l *Ledger) Published(ctx context.Context) ([]byte, error) {
	return read(ctx, l, "Published", func(s *LedgerState) ([]byte, error) {
		if s.Published == nil {
			return nil, notary.ErrNotFound
		}
		return bytes.Clone(s.Published), nil
	})
}

func cloneStamps(stamps []notary.Stamp) []notary.Stamp {
	c := slices.Clone(stamps)
	for i := range c {
		c[i].Record = bytes.Clone(c[i].Record)
	}
	return c
}

func cloneRenewals(renewals []notary.Renewal) []notary.Renewal {
	c := slices.Clone(renewals)
	for i := range c {
		c[i].Data = bytes.Clone(c[i].Data)
	}
	return c
}

// Stamp implements notary.Ledger.
func (l *Ledger) Stamp(ctx context.Context, stamp notary.Stamp) error {
	return l.call(ctx, "Stamp", func(s *LedgerState) error {
		at, taken := slices.BinarySearchFunc(s.Stamps, stamp.Size, func(o notary.Stamp, size uint64) int { return cmp.Compare(o.Size, size) })
		if taken {
			return notary.ErrExists
		}
		s.Stamps = slices.Insert(s.Stamps, at, cloneStamps([]notary.Stamp{stamp})...)
		return nil
	})
}

// Stamps implements notary.Ledger.
func (l *Ledger) Stamps(ctx context.Context, from uint64, limit int) ([]notary.Stamp, error) {
	return read(ctx, l, "Stamps", func(s *LedgerState) ([]notary.Stamp, error) {
		if limit < 1 || limit > 1000 {
			return nil, fmt.Errorf("limit %d is not within 1 to 1,000", limit)
		}
		at := slices.IndexFunc(s.Stamps, func(o notary.Stamp) bool { return o.Size >= from })
		if at < 0 {
			return nil, nil
		}
		return cloneStamps(s.Stamps[at:min(at+limit, len(s.Stamps))]), nil
	})
}

// Renew implements notary.Ledger.
func (l *Ledger) Renew(ctx context.Context, r notary.Renewal) error {
	return l.call(ctx, "Renew", func(s *LedgerState) error {
		at, taken := slices.BinarySearchFunc(s.Renewals, r.Number, func(o notary.Renewal, n uint64) int { return cmp.Compare(o.Number, n) })
		if taken {
			return notary.ErrExists
		}
		s.Renewals = slices.Insert(s.Renewals, at, cloneRenewals([]notary.Renewal{r})...)
		return nil
	})
}

// Renewals implements notary.Ledger.
func (l *Ledger) Renewals(ctx context.Context, size uint64) ([]notary.Renewal, error) {
	return read(ctx, l, "Renewals", func(s *LedgerState) (out []notary.Renewal, _ error) {
		for _, r := range s.Renewals {
			if r.First <= size && size <= r.Last {
				out = append(out, r)
			}
		}
		return cloneRenewals(out), nil
	})
}

// Renewed implements notary.Ledger.
func (l *Ledger) Renewed(ctx context.Context) (uint64, error) {
	return read(ctx, l, "Renewed", func(s *LedgerState) (uint64, error) {
		if len(s.Renewals) == 0 {
			return 0, nil
		}
		return s.Renewals[len(s.Renewals)-1].Number, nil
	})
}
