// Package storagetest judges storage drivers: one suite for each interface that the
// notary asks for. A driver, and every fake that stands in for one, passes the
// whole suite.
package storagetest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/proofs"
)

// LedgerDriver is what a ledger driver implements.
type LedgerDriver interface {
	notary.Ledger
	notary.Accounts
	notary.Sessions
	notary.Webhooks
	notary.Keys
	notary.Trail
}

// Harness is one fresh, empty ledger. The opener closes it by t.Cleanup.
type Harness struct {
	Ledger LedgerDriver
	// Reopen closes the ledger and opens it again on the same storage.
	Reopen func() LedgerDriver
}

// Ledger tests every sentence of the contracts of notary.Ledger and
// notary.Accounts, notary.Webhooks, notary.Keys and notary.Trail. Beyond what they say it asks for this:
//
//   - A batch that does not continue the head is refused with an error, nothing of
//     it is written, and the ledger remains usable: a gap or an overlap in the row
//     indexes, a Head.Size other than the old size plus the number of rows, a wrong
//     count of hashes at any tile level, terms that are not parallel to the rows, an
//     id or an idempotency key that is taken, by an earlier row or within the batch.
//   - The build function may read from the ledger, and sees the state it was given.
//   - What is passed in and what is handed out is not shared with the ledger.
//   - A row whose tenant has no account is as good as any other.
func Ledger(t *testing.T, open func(t *testing.T) Harness) {
	for _, c := range []struct {
		name string
		test func(*testing.T, Harness)
	}{
		{"Empty", testEmpty},
		{"Clock", testClock},
		{"ReadBack", testReadBack},
		{"NothingShared", testNothingShared},
		{"BuildRefuses", testBuildRefuses},
		{"State", testState},
		{"BuildReads", testBuildReads},
		{"ConcurrentAppends", testConcurrentAppends},
		{"OneKeyManyCallers", testOneKeyManyCallers},
		{"Tenants", testTenantsApart},
		{"Queries", testQueries},
		{"Usages", testUsages},
		{"TileBoundaries", testTileBoundaries},
		{"Bounds", testBounds},
		{"Refusals", testRefusals},
		{"Committed", testCommitted},
		{"Publish", testPublish},
		{"Erase", testErase},
		{"Stamps", testStamps},
		{"Renewals", testRenewals},
		{"Cancelled", testCancelled},
		{"Readers", testReaders},
		{"Accounts", testAccounts},
		{"Sessions", testSessions},
		{"Webhooks", testWebhooks},
		{"Keys", testKeys},
		{"Trail", testTrail},
		{"Reopen", testReopen},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, open(t)) })
	}
}

// A Log builds batches that continue one another, and keeps what a ledger that took
// them must hold. It is not safe for concurrent use.
type Log struct {
	Head   notary.Head
	Rows   []notary.Row
	Terms  [][]notary.Term
	Hashes [8][]proofs.Hash // all hashes of each tile level

	Operations []notary.Operation
	Cases      map[caseKey]notary.Case

	peaks []proofs.Hash // roots of the perfect subtrees, largest first
	clock time.Time
	ids   uint64
}

type caseKey struct {
	tenant   notary.ID
	contract notary.Term
}

// NewLog returns the model of an empty ledger.
func NewLog() *Log {
	return &Log{
		Head:  notary.Head{Root: proofs.EmptyRoot},
		Cases: make(map[caseKey]notary.Case),
		clock: time.Date(2026, 11, 23, 4, 5, 6, 789e6, time.UTC),
	}
}

// ID returns a new UUIDv7.
func (l *Log) ID() notary.ID {
	l.ids++
	sum := sha256.Sum256(binary.BigEndian.AppendUint64(nil, l.ids))
	id, err := notary.NewID(l.clock, strings.NewReader(string(sum[:])))
	if err != nil {
		panic(err) // sum is longer than any id
	}
	return id
}

// A Spec describes one row to build: the rest is made up.
type Spec struct {
	Tenant   notary.ID
	Terms    []notary.Term
	Contract *notary.Term // the row is the next deposit of this case
}

// Batch returns the batch that adds the given rows, and changes nothing but the ids
// and the clock, which moves on by a millisecond.
func (l *Log) Batch(specs ...Spec) *notary.Batch {
	l.clock = l.clock.Add(time.Millisecond)
	b := &notary.Batch{Head: notary.Head{Time: l.clock, Batch: l.ID()}}
	moved := make(map[caseKey]notary.Case)
	leaves := make([]proofs.Hash, 0, len(specs))
	for i, spec := range specs {
		index := l.Head.Size + uint64(i)
		commitment := sha256.Sum256(fmt.Appendf(nil, "record %d", index))
		r := notary.Row{
			Index: index,
			Entry: fmt.Appendf(nil, "muniment/entry@v1\ndeposit\ntime %s\nrecord %s\n",
				l.clock.Format("2006-01-02T15:04:05.000Z"), proofs.Hash(commitment)),
			Tenant:  spec.Tenant,
			ID:      l.ID(),
			Body:    fmt.Appendf(nil, "sealed record %d \x00\xff", index),
			Secrets: fmt.Appendf(nil, "secrets %d", index),
		}
		leaf := proofs.LeafHash(r.Entry)
		if spec.Contract != nil {
			key := caseKey{spec.Tenant, *spec.Contract}
			c, ok := moved[key]
			if !ok {
				c = l.Cases[key]
			}
			r.CaseSeq, r.CasePrev = c.Seq+1, c.Leaf
			moved[key] = notary.Case{Tenant: spec.Tenant, Contract: *spec.Contract, Seq: r.CaseSeq, Leaf: leaf}
		}
		leaves = append(leaves, leaf)
		b.Rows = append(b.Rows, r)
		b.Terms = append(b.Terms, spec.Terms)
	}
	for _, c := range moved {
		b.Cases = append(b.Cases, c)
	}
	l.hash(b, leaves)
	return b
}

// hash fills in the size, the root, the peaks and the tile hashes.
func (l *Log) hash(b *notary.Batch, leaves []proofs.Hash) {
	b.Head.Size = l.Head.Size + uint64(len(leaves))
	b.Hashes = [][]proofs.Hash{leaves}
	for level := 1; b.Head.Size>>(8*level) > 0; level++ {
		below := slices.Concat(l.Hashes[level-1], b.Hashes[level-1])
		var next []proofs.Hash
		for i := l.Head.Size >> (8 * level); i < b.Head.Size>>(8*level); i++ {
			next = append(next, perfectRoot(below[i*256:(i+1)*256]))
		}
		b.Hashes = append(b.Hashes, next)
	}
	b.Peaks = push(slices.Clone(l.peaks), l.Head.Size, leaves)
	b.Head.Root = root(b.Peaks)
}

// Took records that a ledger has committed b.
func (l *Log) Took(b *notary.Batch) {
	l.peaks, l.Head = slices.Clone(b.Peaks), b.Head
	l.Rows = append(l.Rows, b.Rows...)
	l.Terms = append(l.Terms, b.Terms...)
	for level, hashes := range b.Hashes {
		l.Hashes[level] = append(l.Hashes[level], hashes...)
	}
	l.Operations = append(l.Operations, b.Operations...)
	for _, c := range b.Cases {
		l.Cases[caseKey{c.Tenant, c.Contract}] = c
	}
}

// push adds leaves to the compact range of a tree of that size (RFC 6962 §2.1).
func push(peaks []proofs.Hash, size uint64, leaves []proofs.Hash) []proofs.Hash {
	for _, h := range leaves {
		for n := size; n&1 == 1; n >>= 1 {
			h = proofs.NodeHash(peaks[len(peaks)-1], h)
			peaks = peaks[:len(peaks)-1]
		}
		peaks = append(peaks, h)
		size++
	}
	return peaks
}

func root(peaks []proofs.Hash) proofs.Hash {
	if len(peaks) == 0 {
		return proofs.EmptyRoot
	}
	h := peaks[len(peaks)-1]
	for i := len(peaks) - 2; i >= 0; i-- {
		h = proofs.NodeHash(peaks[i], h)
	}
	return h
}

func perfectRoot(hashes []proofs.Hash) proofs.Hash {
	if len(hashes) == 1 {
		return hashes[0]
	}
	half := len(hashes) / 2
	return proofs.NodeHash(perfectRoot(hashes[:half]), perfectRoot(hashes[half:]))
}

// Append builds a batch of the given rows and appends it.
func (l *Log) Append(ctx context.Context, ledger notary.Ledger, specs ...Spec) error {
	b := l.Batch(specs...)
	err := ledger.Append(ctx, notary.Lookups{}, func(s notary.State) (*notary.Batch, error) { return b, l.checkPeaks(s) })
	if err == nil {
		l.Took(b)
	}
	return err
}

// ErrDiffers is wrapped by Check when the ledger answered, and answered wrongly.
var ErrDiffers = errors.New("the ledger differs from what was appended")

// differs wraps the ledger's own error, or ErrDiffers if it gave none.
func differs(err error, format string, args ...any) error {
	if err == nil {
		err = ErrDiffers
	}
	return fmt.Errorf("%s: %w", fmt.Sprintf(format, args...), err)
}

// Check compares all that the ledger answers with what the log must hold.
func (l *Log) Check(ctx context.Context, ledger notary.Ledger) error {
	head, err := ledger.Head(ctx)
	if err != nil {
		return err
	}
	if !sameHead(head, l.Head) {
		return differs(nil, "head is %+v, want %+v", head, l.Head)
	}
	if err := l.checkHashes(ctx, ledger, 0); err != nil {
		return err
	}
	for from := uint64(0); from < l.Head.Size; from += 1000 {
		to := min(from+1000, l.Head.Size)
		entries, err := ledger.Entries(ctx, from, to)
		if err != nil || len(entries) != int(to-from) {
			return differs(err, "entries %d to %d: got %d", from, to, len(entries))
		}
		for i, entry := range entries {
			if string(entry) != string(l.Rows[from+uint64(i)].Entry) {
				return differs(nil, "entry %d is %q", from+uint64(i), entry)
			}
		}
	}
	return l.checkRows(ctx, ledger)
}

// checkHashes compares the hashes of each level from index from on, and that there
// are no more.
func (l *Log) checkHashes(ctx context.Context, ledger notary.Ledger, from uint64) error {
	for level := range 8 {
		size := l.Head.Size >> (8 * level)
		for at := from >> (8 * level); at < size; at += 256 {
			to := min(at+256, size)
			hashes, err := ledger.Hashes(ctx, level, at, to)
			if err != nil {
				return fmt.Errorf("hashes of level %d, %d to %d: %w", level, at, to, err)
			}
			if !slices.Equal(hashes, l.Hashes[level][at:to]) {
				return differs(nil, "hashes of level %d, %d to %d", level, at, to)
			}
		}
		for _, from := range []uint64{size, size - min(size, 1)} {
			if _, err := ledger.Hashes(ctx, level, from, size+1); !errors.Is(err, notary.ErrNotFound) {
				return differs(err, "hashes of level %d, %d to %d beyond the head", level, from, size+1)
			}
		}
	}
	return nil
}

// checkPeaks: a ledger that keeps the peaks gives those of its head.
func (l *Log) checkPeaks(s notary.State) error {
	if s.Peaks != nil && !slices.Equal(s.Peaks, l.peaks) {
		return differs(nil, "peaks under the lock are %v, want %v", s.Peaks, l.peaks)
	}
	return nil
}

func (l *Log) checkRows(ctx context.Context, ledger notary.Ledger) error {
	for i := range l.Rows {
		want := &l.Rows[i]
		got, err := ledger.Row(ctx, want.Index)
		if err != nil || !sameRow(&got, want) {
			return differs(err, "row %d is %+v", want.Index, got)
		}
		got, err = ledger.Deposit(ctx, want.Tenant, want.ID)
		if err != nil || !sameRow(&got, want) {
			return differs(err, "deposit of row %d is %+v", want.Index, got)
		}
	}
	for from := 0; from < len(l.Rows); from += 1024 {
		want := l.Rows[from:min(from+1024, len(l.Rows))]
		got, err := ledger.Rows(ctx, uint64(from), uint64(from+len(want)))
		if err != nil || !slices.EqualFunc(got, want, func(a, b notary.Row) bool { return sameRow(&a, &b) }) {
			return differs(err, "rows %d to %d differ", from, from+len(want))
		}
	}
	if _, err := ledger.Row(ctx, l.Head.Size); !errors.Is(err, notary.ErrNotFound) {
		return differs(err, "row beyond the head")
	}
	return l.checkLookups(ctx, ledger)
}

func (l *Log) checkLookups(ctx context.Context, ledger notary.Ledger) error {
	tenants := make(map[notary.ID]bool)
	for i := range l.Rows {
		tenants[l.Rows[i].Tenant] = true
		for _, term := range l.Terms[i] {
			q := notary.Query{Tenant: l.Rows[i].Tenant, Term: &term, From: l.Rows[i].Index, Limit: 1}
			rows, err := ledger.Deposits(ctx, q)
			if err != nil || !sameRows(rows, l.Rows[i:i+1]) {
				return differs(err, "a term of row %d finds %d rows", i, len(rows))
			}
		}
	}
	for tenant := range tenants {
		q := notary.Query{Tenant: tenant, Limit: 1000}
		rows, err := ledger.Deposits(ctx, q)
		if err != nil || !sameRows(rows, l.Find(q)) {
			return differs(err, "tenant %v has %d rows", tenant, len(rows))
		}
	}
	for _, want := range l.Operations {
		got, err := ledger.Operation(ctx, want.Tenant, want.Key)
		if err != nil || got != want {
			return differs(err, "operation is %+v, want %+v", got, want)
		}
	}
	for _, want := range l.Cases {
		got, err := ledger.Case(ctx, want.Tenant, want.Contract)
		if err != nil || got != want {
			return differs(err, "case is %+v, want %+v", got, want)
		}
	}
	return nil
}

// Find answers a query from the log.
func (l *Log) Find(q notary.Query) []notary.Row {
	var rows []notary.Row
	for i := range l.Rows {
		if q.Backward {
			i = len(l.Rows) - 1 - i
		}
		r := l.Rows[i]
		at := rowTime(&r)
		if r.Tenant == q.Tenant && r.Index >= q.From && (q.Below == 0 || r.Index < q.Below) && len(rows) < q.Limit &&
			(q.Term == nil || slices.Contains(l.Terms[i], *q.Term)) &&
			(q.Since.IsZero() || !at.Before(q.Since)) && (q.Until.IsZero() || at.Before(q.Until)) {
			rows = append(rows, r)
		}
	}
	return rows
}

func rowTime(r *notary.Row) time.Time {
	line := strings.Split(string(r.Entry), "\n")[2]
	at, err := time.Parse("time 2006-01-02T15:04:05.000Z", line)
	if err != nil {
		panic(err) // this package wrote the entry
	}
	return at
}

func sameHead(a, b notary.Head) bool {
	return a.Size == b.Size && a.Root == b.Root && a.Batch == b.Batch && a.Time.Equal(b.Time) && a.Time.IsZero() == (a.Size == 0)
}

// sameRow holds nil and empty slices equal.
func sameRow(a, b *notary.Row) bool {
	return a.Index == b.Index && string(a.Entry) == string(b.Entry) && a.Tenant == b.Tenant && a.ID == b.ID &&
		string(a.Body) == string(b.Body) && string(a.Secrets) == string(b.Secrets) &&
		a.CaseSeq == b.CaseSeq && a.CasePrev == b.CasePrev
}

func sameRows(a, b []notary.Row) bool {
	return slices.EqualFunc(a, b, func(x, y notary.Row) bool { return sameRow(&x, &y) })
}

// many returns n rows of the tenant without terms.
func many(tenant notary.ID, n int) []Spec {
	specs := make([]Spec, n)
	for i := range specs {
		specs[i].Tenant = tenant
	}
	return specs
}

func term(s string) notary.Term {
	sum := sha256.Sum256([]byte(s))
	return notary.Term(sum[:len(notary.Term{})])
}

var (
	alice = notary.ID{15: 1}
	bob   = notary.ID{15: 2}
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantErr(t *testing.T, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: error is %v, want %v", what, err, want)
	}
}

func testEmpty(t *testing.T, h Harness) {
	ctx := t.Context()
	must(t, NewLog().Check(ctx, h.Ledger))
	_, err := h.Ledger.Published(ctx)
	wantErr(t, "published", err, notary.ErrNotFound)
	_, err = h.Ledger.Entries(ctx, 0, 1)
	wantErr(t, "entries", err, notary.ErrNotFound)
	_, err = h.Ledger.Deposit(ctx, alice, NewLog().ID())
	wantErr(t, "deposit", err, notary.ErrNotFound)
	_, err = h.Ledger.Operation(ctx, alice, term("key"))
	wantErr(t, "operation", err, notary.ErrNotFound)
	_, err = h.Ledger.Case(ctx, alice, term("contract"))
	wantErr(t, "case", err, notary.ErrNotFound)
	contract := term("contract")
	for _, q := range []notary.Query{
		{Tenant: alice, Limit: 1},
		{Tenant: alice, Term: &contract, From: 7, Limit: 1000},
		{Tenant: alice, Since: time.Unix(1, 0), Until: time.Unix(2, 0), Limit: 1},
	} {
		rows, err := h.Ledger.Deposits(ctx, q)
		if err != nil || len(rows) != 0 {
			t.Errorf("deposits: %v, %v", rows, err)
		}
	}
	for _, id := range []notary.ID{{}, NewLog().ID()} {
		if ok, err := h.Ledger.Committed(ctx, id); ok || err != nil {
			t.Errorf("committed %v: %v, %v", id, ok, err)
		}
	}
}

func testClock(t *testing.T, h Harness) {
	before, err := h.Ledger.Now(t.Context())
	must(t, err)
	var under time.Time
	must(t, h.Ledger.Append(t.Context(), notary.Lookups{}, func(s notary.State) (*notary.Batch, error) {
		under = s.Now
		return nil, nil
	}))
	after, err := h.Ledger.Now(t.Context())
	must(t, err)
	if before.IsZero() || under.Before(before) || after.Before(under) {
		t.Errorf("the clock says %v, then %v under the lock, then %v", before, under, after)
	}
}

func testReadBack(t *testing.T, h Harness) {
	ctx, log := t.Context(), NewLog()
	contract, other := term("contract 1"), term("contract 2")
	for i := range 4 {
		specs := append(many(alice, 3*i),
			Spec{Tenant: alice, Contract: &contract, Terms: []notary.Term{contract, term("sha256")}},
			Spec{Tenant: bob, Contract: &contract, Terms: []notary.Term{contract}},
			Spec{Tenant: alice, Contract: &contract, Terms: []notary.Term{contract}},
			Spec{Tenant: bob, Contract: &other},
			Spec{}) // the depository's own
		b := log.Batch(specs...)
		b.Rows[0].Secrets = nil
		b.Rows[1].Body = nil
		b.Operations = []notary.Operation{
			{Tenant: alice, Key: term(fmt.Sprint("key ", i)), First: b.Rows[0].Index, Count: 3},
			{Tenant: bob, Key: term(fmt.Sprint("key ", i)), First: b.Rows[3].Index, Count: 1},
		}
		must(t, h.Ledger.Append(ctx, notary.Lookups{}, func(notary.State) (*notary.Batch, error) { return b, nil }))
		log.Took(b)
		must(t, log.Check(ctx, h.Ledger))
	}
}

func testNothingShared(t *testing.T, h Harness) {
	ctx, log := t.Context(), NewLog()
	b := log.Batch(many(alice, 3)...)
	must(t, h.Ledger.Append(ctx, notary.Lookups{}, func(notary.State) (*notary.Batch, error) { return b, nil }))
	kept := log.Batch() // the same rows, for comparing
	kept.Rows = make([]notary.Row, len(b.Rows))
	for i, r := range b.Rows {
		r.Entry, r.Body, r.Secrets = slices.Clone(r.Entry), slices.Clone(r.Body), slices.Clone(r.Secrets)
		kept.Rows[i] = r
	}
	kept.Head, kept.Terms, kept.Hashes = b.Head, slices.Clone(b.Terms), [][]proofs.Hash{slices.Clone(b.Hashes[0])}
	kept.Peaks = slices.Clone(b.Peaks)
	log.Took(kept)
	spoil := func(rows ...notary.Row) {
		for _, r := range rows {
			clear(r.Entry)
			clear(r.Body)
			clear(r.Secrets)
		}
	}
	spoil(b.Rows...)
	clear(b.Hashes[0])
	clear(b.Peaks)
	clear(b.Rows)
	for range 2 {
		must(t, h.Ledger.Append(ctx, notary.Lookups{}, func(s notary.State) (*notary.Batch, error) {
			defer clear(s.Peaks)
			return nil, log.checkPeaks(s)
		}))
		must(t, log.Check(ctx, h.Ledger))
		row, err := h.Ledger.Row(ctx, 1)
		must(t, err)
		spoil(row)
		rows, err := h.Ledger.Deposits(ctx, notary.Query{Tenant: alice, Limit: 10})
		must(t, err)
		spoil(rows...)
		entries, err := h.Ledger.Entries(ctx, 0, 3)
		must(t, err)
		clear(entries[2])
		hashes, err := h.Ledger.Hashes(ctx, 0, 0, 3)
		must(t, err)
		clear(hashes)
	}
}

func testBuildRefuses(t *testing.T, h Harness) {
	ctx, log := t.Context(), NewLog()
	must(t, log.Append(ctx, h.Ledger, many(alice, 2)...))
	refusal := errors.New("refused")
	for _, c := range []struct {
		err   error
		batch *notary.Batch
	}{{refusal, nil}, {refusal, log.Batch(many(alice, 1)...)}, {nil, nil}} {
		calls := 0
		err := h.Ledger.Append(ctx, notary.Lookups{}, func(notary.State) (*notary.Batch, error) {
			calls++
			return c.batch, c.err
		})
		if err != c.err { //nolint:errorlint // "returned as it is" means the very value
			t.Errorf("append returned %v, want %v", err, c.err)
		}
		if calls != 1 {
			t.Errorf("build was called %d times", calls)
		}
		must(t, log.Check(ctx, h.Ledger))
		if c.batch != nil {
			checkAbsent(t, h.Ledger, c.batch)
		}
	}
	must(t, log.Append(ctx, h.Ledger, many(alice, 1)...))
	must(t, log.Check(ctx, h.Ledger))
}

// checkAbsent fails if anything of a batch that was not committed can be found.
func checkAbsent(t *testing.T, ledger notary.Ledger, b *notary.Batch) {
	t.Helper()
	ctx := t.Context()
	for i := range b.Rows {
		r := &b.Rows[i]
		got, err := ledger.Deposit(ctx, r.Tenant, r.ID)
		if err == nil && string(got.Body) != string(r.Body) {
			continue // the id was taken before
		}
		wantErr(t, "deposit of a batch that was not committed", err, notary.ErrNotFound)
		if i >= len(b.Terms) {
			continue
		}
		for _, term := range b.Terms[i] {
			rows, err := ledger.Deposits(ctx, notary.Query{Tenant: r.Tenant, Term: &term, Limit: 1000})
			must(t, err)
			for _, found := range rows {
				if string(found.Body) == string(r.Body) {
					t.Error("a term finds a row that was not committed")
				}
			}
		}
	}
	for _, o := range b.Operations {
		if got, err := ledger.Operation(ctx, o.Tenant, o.Key); err == nil && got == o {
			t.Error("an operation that was not committed is found")
		}
	}
	for _, c := range b.Cases {
		if got, err := ledger.Case(ctx, c.Tenant, c.Contract); err == nil && got.Leaf == c.Leaf {
			t.Error("a case that was not committed is found")
		}
	}
	if ok, err := ledger.Committed(ctx, b.Head.Batch); ok || err != nil {
		t.Errorf("committed: %v, %v", ok, err)
	}
}

func testState(t *testing.T, h Harness) {
	ctx, log := t.Context(), NewLog()
	contract := term("contract")
	b := log.Batch(append(many(alice, 4), Spec{Tenant: alice, Contract: &contract})...)
	paid := notary.Operation{Tenant: alice, Key: term("key"), First: 1, Count: 3}
	b.Operations = []notary.Operation{paid}
	must(t, h.Ledger.Append(ctx, notary.Lookups{}, func(s notary.State) (*notary.Batch, error) {
		if len(s.Operations) != 0 || len(s.Cases) != 0 || !sameHead(s.Head, log.Head) {
			t.Errorf("state of an empty ledger is %+v", s)
		}
		return b, nil
	}))
	log.Took(b)

	lookups := notary.Lookups{
		Operations: []notary.Operation{
			{Tenant: alice, Key: term("key")}, {Tenant: bob, Key: term("key")}, {Tenant: alice, Key: term("other")},
			{Tenant: alice, Key: term("key")}, {Tenant: bob, Key: term("key")},
		},
		Cases: []notary.Case{
			{Tenant: alice, Contract: term("other")}, {Tenant: alice, Contract: contract},
			{Tenant: bob, Contract: contract}, {Tenant: alice, Contract: contract},
		},
	}
	must(t, h.Ledger.Append(ctx, lookups, func(s notary.State) (*notary.Batch, error) {
		if !sameHead(s.Head, log.Head) {
			t.Errorf("head under the lock is %+v, want %+v", s.Head, log.Head)
		}
		if err := log.checkPeaks(s); err != nil {
			t.Error(err)
		}
		if len(s.Operations) != 5 || len(s.Cases) != 4 {
			t.Fatalf("state is not parallel to the lookups: %+v", s)
		}
		for i, o := range s.Operations {
			if found := i == 0 || i == 3; found && o != paid || !found && o.Count != 0 {
				t.Errorf("operation %d is %+v", i, o)
			}
		}
		for i, c := range s.Cases {
			if found := i == 1 || i == 3; found && c != b.Cases[0] || !found && c.Seq != 0 {
				t.Errorf("case %d is %+v", i, c)
			}
		}
		return nil, nil
	}))
}

func testBuildReads(t *testing.T, h Harness) {
	ctx, log := t.Context(), NewLog()
	for range 3 {
		must(t, h.Ledger.Append(ctx, notary.Lookups{}, func(notary.State) (*notary.Batch, error) {
			if err := log.Check(ctx, h.Ledger); err != nil {
				return nil, err
			}
			b := log.Batch(many(alice, 100)...)
			log.Took(b)
			return b, nil
		}))
	}
	must(t, log.Check(ctx, h.Ledger))
}

// The log is built inside of build without any lock of its own: two calls at a time
// are a data race that the race detector sees.
func testConcurrentAppends(t *testing.T, h Harness) {
	ctx, log := t.Context(), NewLog()
	var group sync.WaitGroup
	for worker := range 8 {
		group.Go(func() {
			for i := range 20 {
				contract := term("contract")
				err := h.Ledger.Append(ctx, notary.Lookups{Cases: []notary.Case{{Tenant: alice, Contract: contract}}},
					func(s notary.State) (*notary.Batch, error) {
						if !sameHead(s.Head, log.Head) {
							return nil, fmt.Errorf("head under the lock is %+v, want %+v", s.Head, log.Head)
						}
						if want := log.Cases[caseKey{alice, contract}]; s.Cases[0].Seq != want.Seq || s.Cases[0].Leaf != want.Leaf {
							return nil, fmt.Errorf("case under the lock is %+v, want %+v", s.Cases[0], want)
						}
						b := log.Batch(append(many(bob, (worker+i)%5), Spec{Tenant: alice, Contract: &contract})...)
						log.Took(b)
						return b, nil
					})
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	group.Wait()
	must(t, log.Check(ctx, h.Ledger))
}

func testOneKeyManyCallers(t *testing.T, h Harness) {
	ctx, log := t.Context(), NewLog()
	key := notary.Operation{Tenant: alice, Key: term("key")}
	var paid, replayed atomic.Int32
	var group sync.WaitGroup
	for range 16 {
		group.Go(func() {
			err := h.Ledger.Append(ctx, notary.Lookups{Operations: []notary.Operation{key, key}}, func(s notary.State) (*notary.Batch, error) {
				if s.Operations[0] != s.Operations[1] {
					t.Errorf("one key gave %+v", s.Operations)
				}
				if s.Operations[0].Count > 0 {
					replayed.Add(1)
					return nil, nil
				}
				paid.Add(1)
				b := log.Batch(many(alice, 2)...)
				b.Operations = []notary.Operation{{Tenant: alice, Key: key.Key, First: b.Rows[0].Index, Count: 2}}
				log.Took(b)
				return b, nil
			})
			if err != nil {
				t.Error(err)
			}
			if o, err := h.Ledger.Operation(ctx, key.Tenant, key.Key); err != nil || o.Count != 2 {
				t.Errorf("operation after append: %+v, %v", o, err)
			}
		})
	}
	group.Wait()
	if paid.Load() != 1 || replayed.Load() != 15 {
		t.Errorf("%d paid, %d replayed", paid.Load(), replayed.Load())
	}
	must(t, log.Check(ctx, h.Ledger))
}

func testTenantsApart(t *testing.T, h Harness) {
	ctx, log := t.Context(), NewLog()
	shared := term("the same value under both")
	b := log.Batch(
		Spec{Tenant: alice, Contract: &shared, Terms: []notary.Term{shared}},
		Spec{Tenant: bob, Contract: &shared, Terms: []notary.Term{shared}},
		Spec{Tenant: alice, Contract: &shared, Terms: []notary.Term{shared, shared}})
	b.Operations = []notary.Operation{
		{Tenant: alice, Key: shared, First: 0, Count: 1},
		{Tenant: bob, Key: shared, First: 1, Count: 2},
	}
	must(t, h.Ledger.Append(ctx, notary.Lookups{}, func(notary.State) (*notary.Batch, error) { return b, nil }))
	log.Took(b)
	must(t, log.Check(ctx, h.Ledger))

	stranger := notary.ID{15: 9}
	for _, tenant := range []notary.ID{{}, alice, bob, stranger} {
		for i := range log.Rows {
			r := &log.Rows[i]
			got, err := h.Ledger.Deposit(ctx, tenant, r.ID)
			if tenant == r.Tenant {
				continue // Check has seen it
			}
			wantErr(t, "deposit of another tenant", err, notary.ErrNotFound)
			if !reflect.DeepEqual(got, notary.Row{}) {
				t.Errorf("an error came with the row %+v", got)
			}
		}
		for _, q := range []notary.Query{{Tenant: tenant, Limit: 9}, {Tenant: tenant, Term: &shared, Limit: 9}} {
			rows, err := h.Ledger.Deposits(ctx, q)
			if err != nil || !sameRows(rows, log.Find(q)) {
				t.Errorf("deposits of %v: %+v, %v", tenant, rows, err)
			}
		}
	}
	_, err := h.Ledger.Operation(ctx, stranger, shared)
	wantErr(t, "operation of another tenant", err, notary.ErrNotFound)
	_, err = h.Ledger.Case(ctx, stranger, shared)
	wantErr(t, "case of another tenant", err, notary.ErrNotFound)
}

// testQueries compares queries of every kind with a filter over the log. Some batches
// share their time with the one before, since times need not grow.
func testQueries(t *testing.T, h Harness) {
	ctx, log := t.Context(), NewLog()
	random := rand.New(rand.NewPCG(1, 2))
	terms := []notary.Term{term("a"), term("b"), term("c"), {}, {0: 0xff}}
	tenants := []notary.ID{{}, alice, bob}
	start := log.clock
	for i := range 40 {
		var specs []Spec
		for range 1 + random.IntN(8) {
			s := Spec{Tenant: tenants[random.IntN(len(tenants))]}
			for _, term := range terms {
				if random.IntN(3) == 0 {
					s.Terms = append(s.Terms, term)
				}
			}
			specs = append(specs, s)
		}
		if i%3 == 1 {
			log.clock = log.clock.Add(-time.Millisecond)
		}
		must(t, log.Append(ctx, h.Ledger, specs...))
	}
	span := int(log.clock.Sub(start)/time.Millisecond) + 3
	at := func() time.Time {
		if random.IntN(2) == 0 {
			return time.Time{}
		}
		half := time.Duration(random.IntN(2)) * 500 * time.Microsecond
		return start.Add(time.Duration(random.IntN(span)-1)*time.Millisecond + half)
	}
	for range 400 {
		q := notary.Query{Tenant: tenants[random.IntN(3)], Limit: 1 + random.IntN(20), Since: at(), Until: at()}
		if random.IntN(2) == 0 {
			q.Limit = 1000
		}
		if random.IntN(3) > 0 {
			q.Term = &terms[random.IntN(len(terms))]
		}
		if random.IntN(2) == 0 {
			q.From = uint64(random.IntN(len(log.Rows) + 2))
		}
		if random.IntN(2) == 0 {
			q.Below = uint64(random.IntN(len(log.Rows) + 2))
		}
		q.Backward = random.IntN(2) == 0
		rows, err := h.Ledger.Deposits(ctx, q)
		must(t, err)
		if want := log.Find(q); !sameRows(rows, want) {
			t.Fatalf("query %+v found %d rows, want %d", q, len(rows), len(want))
		}
	}
	must(t, checkPages(ctx, h.Ledger, log, notary.Query{Tenant: alice, Limit: 7}))
	must(t, checkPages(ctx, h.Ledger, log, notary.Query{Tenant: bob, Term: &terms[0], Limit: 1}))
	must(t, checkPages(ctx, h.Ledger, log, notary.Query{Tenant: alice, Backward: true, Limit: 7}))
	must(t, checkPages(ctx, h.Ledger, log, notary.Query{Tenant: bob, Term: &terms[0], Backward: true, From: 5, Limit: 2}))
}

// checkPages turns the pages of a query as a cursor does.
func checkPages(ctx context.Context, ledger notary.Ledger, log *Log, q notary.Query) error {
	all := q
	all.Limit = 1000
	var rows []notary.Row
	for {
		page, err := ledger.Deposits(ctx, q)
		if err != nil {
			return err
		}
		if len(page) > q.Limit {
			return fmt.Errorf("a page of %d rows, limit %d", len(page), q.Limit)
		}
		if len(page) == 0 {
			break
		}
		rows = append(rows, page...)
		last := page[len(page)-1].Index
		if q.Backward && last == q.From { // below 0 is no bound
			break
		}
		if q.From = last + 1; q.Backward {
			q.From, q.Below = all.From, last
		}
	}
	if !sameRows(rows, log.Find(all)) {
		return errors.New("the pages together differ from the whole")
	}
	return nil
}

func testTileBoundaries(t *testing.T, h Harness) {
	ctx, log := t.Context(), NewLog()
	sizes := []int{1, 2, 254, 255, 256, 257, 258, 511, 512, 513, 1024, 1279, 1281}
	if !testing.Short() {
		sizes = append(sizes, 65_279, 65_281, 65_535, 65_536, 65_537, 65_791, 65_792, 65_793)
	}
	for _, size := range sizes {
		from := log.Head.Size
		for int(log.Head.Size) < size {
			must(t, log.Append(ctx, h.Ledger, many(alice, min(4096, size-int(log.Head.Size)))...))
		}
		if err := log.checkHashes(ctx, h.Ledger, from-from%256); err != nil {
			t.Fatalf("at size %d: %v", size, err)
		}
	}
	must(t, log.checkHashes(ctx, h.Ledger, 0))
	// A range may lie across tiles.
	hashes, err := h.Ledger.Hashes(ctx, 0, 200, 456)
	if err != nil || !slices.Equal(hashes, log.Hashes[0][200:456]) {
		t.Errorf("hashes across a boundary: %v", err)
	}
	entries, err := h.Ledger.Entries(ctx, 250, 1274)
	if err != nil || len(entries) != 1024 {
		t.Errorf("1,024 entries: %d, %v", len(entries), err)
	}
	_, err = h.Ledger.Entries(ctx, log.Head.Size-1, log.Head.Size+1)
	wantErr(t, "entries across the head", err, notary.ErrNotFound)
}

func testBounds(t *testing.T, h Harness) {
	ctx, log := t.Context(), NewLog()
	must(t, log.Append(ctx, h.Ledger, many(alice, 1100)...))
	refused := func(what string, err error) {
		t.Helper()
		if err == nil || errors.Is(err, notary.ErrNotFound) {
			t.Errorf("%s: error is %v, want a refusal", what, err)
		}
	}
	_, err := h.Ledger.Hashes(ctx, 0, 0, 257)
	refused("257 hashes", err)
	_, err = h.Ledger.Hashes(ctx, 0, 2, 1)
	refused("hashes backwards", err)
	_, err = h.Ledger.Hashes(ctx, 0, 1, ^uint64(0))
	refused("all hashes", err)
	_, err = h.Ledger.Hashes(ctx, -1, 0, 1)
	refused("a negative level", err)
	_, err = h.Ledger.Entries(ctx, 0, 1025)
	refused("1,025 entries", err)
	_, err = h.Ledger.Entries(ctx, 2, 1)
	refused("entries backwards", err)
	_, err = h.Ledger.Rows(ctx, 0, 1025)
	refused("1,025 rows", err)
	_, err = h.Ledger.Rows(ctx, 2, 1)
	refused("rows backwards", err)
	_, err = h.Ledger.Rows(ctx, 1099, 1101)
	wantErr(t, "rows beyond the head", err, notary.ErrNotFound)
	for _, limit := range []int{-1, 0, 1001} {
		_, err = h.Ledger.Deposits(ctx, notary.Query{Tenant: alice, Limit: limit})
		refused(fmt.Sprint("limit ", limit), err)
	}
	rows, err := h.Ledger.Deposits(ctx, notary.Query{Tenant: alice, Limit: 1000})
	if err != nil || len(rows) != 1000 {
		t.Errorf("limit 1,000: %d rows, %v", len(rows), err)
	}
	for _, index := range []uint64{1100, 1 << 62, ^uint64(0)} {
		_, err = h.Ledger.Row(ctx, index)
		wantErr(t, fmt.Sprint("row ", index), err, notary.ErrNotFound)
		rows, err := h.Ledger.Deposits(ctx, notary.Query{Tenant: alice, From: index, Limit: 1})
		if err != nil || len(rows) != 0 {
			t.Errorf("deposits from %d: %d rows, %v", index, len(rows), err)
		}
		rows, err = h.Ledger.Deposits(ctx, notary.Query{Tenant: alice, Below: index, Backward: true, Limit: 1})
		if err != nil || len(rows) != 1 || rows[0].Index != 1099 {
			t.Errorf("deposits below %d: %d rows, %v", index, len(rows), err)
		}
	}
}

// testRefusals: each batch fails to continue the head in one way.
func testRefusals(t *testing.T, h Harness) {
	ctx, log := t.Context(), NewLog()
	contract := term("contract")
	first := log.Batch(append(many(alice, 255), Spec{Tenant: alice, Contract: &contract})...)
	first.Operations = []notary.Operation{{Tenant: alice, Key: term("taken"), First: 3, Count: 2}}
	must(t, h.Ledger.Append(ctx, notary.Lookups{}, func(notary.State) (*notary.Batch, error) { return first, nil }))
	log.Took(first)

	for name, spoil := range map[string]func(*notary.Batch){
		"gap after the head":    func(b *notary.Batch) { b.Rows[0].Index++; b.Rows[1].Index++ },
		"overlap with the head": func(b *notary.Batch) { b.Rows[0].Index--; b.Rows[1].Index-- },
		"gap within":            func(b *notary.Batch) { b.Rows[1].Index++ },
		"one index twice":       func(b *notary.Batch) { b.Rows[1].Index-- },
		"rows out of order":     func(b *notary.Batch) { b.Rows[0], b.Rows[1] = b.Rows[1], b.Rows[0] },
		"size too small":        func(b *notary.Batch) { b.Head.Size-- },
		"size too large":        func(b *notary.Batch) { b.Head.Size++ },
		"size back at zero":     func(b *notary.Batch) { b.Head.Size = 0 },
		"too few leaf hashes":   func(b *notary.Batch) { b.Hashes[0] = b.Hashes[0][1:] },
		"too many leaf hashes":  func(b *notary.Batch) { b.Hashes[0] = append(b.Hashes[0], proofs.Hash{1}) },
		"no hashes":             func(b *notary.Batch) { b.Hashes = nil },
		"too few of level 1":    func(b *notary.Batch) { b.Hashes = b.Hashes[:1] },
		"too many of level 1":   func(b *notary.Batch) { b.Hashes[1] = append(b.Hashes[1], proofs.Hash{1}) },
		"a hash of level 2":     func(b *notary.Batch) { b.Hashes = append(b.Hashes, []proofs.Hash{{1}}) },
		"a hash of level 9": func(b *notary.Batch) {
			b.Hashes = append(b.Hashes, nil, nil, nil, nil, nil, nil, nil, []proofs.Hash{{1}})
		},
		"id taken":               func(b *notary.Batch) { b.Rows[1].ID = first.Rows[7].ID },
		"id taken by a stranger": func(b *notary.Batch) { b.Rows[1].ID, b.Rows[1].Tenant = first.Rows[7].ID, bob },
		"id twice":               func(b *notary.Batch) { b.Rows[1].ID = b.Rows[0].ID },
		"key taken":              func(b *notary.Batch) { b.Operations[0].Key = term("taken") },
		"key twice":              func(b *notary.Batch) { b.Operations = append(b.Operations, b.Operations[0]) },
		"terms not parallel":     func(b *notary.Batch) { b.Terms = b.Terms[1:] },
	} {
		for _, asked := range []bool{false, true} {
			b := log.Batch(append(many(alice, 255), Spec{Tenant: alice, Contract: &contract, Terms: []notary.Term{term("never")}})...)
			b.Operations = []notary.Operation{{Tenant: alice, Key: term("new"), First: b.Rows[0].Index, Count: 1}}
			spoil(b)
			var lookups notary.Lookups
			if asked {
				lookups.Operations = b.Operations
			}
			err := h.Ledger.Append(ctx, lookups, func(notary.State) (*notary.Batch, error) { return b, nil })
			if err == nil {
				t.Fatalf("%s: accepted", name)
			}
			head, err := h.Ledger.Head(ctx)
			must(t, err)
			if !sameHead(head, log.Head) {
				t.Fatalf("%s: the head moved to %+v", name, head)
			}
			checkAbsent(t, h.Ledger, b)
			if t.Failed() {
				t.Fatalf("%s: something was written", name)
			}
		}
	}
	must(t, log.Check(ctx, h.Ledger))
	must(t, log.Append(ctx, h.Ledger, many(alice, 300)...))
	must(t, log.Check(ctx, h.Ledger))
}

func testCommitted(t *testing.T, h Harness) {
	ctx, log := t.Context(), NewLog()
	for range 3 {
		must(t, log.Append(ctx, h.Ledger, many(alice, 2)...))
		for range 2 {
			if ok, err := h.Ledger.Committed(ctx, log.Head.Batch); !ok || err != nil {
				t.Errorf("committed: %v, %v", ok, err)
			}
		}
		for _, id := range []notary.ID{{}, log.ID()} {
			if ok, err := h.Ledger.Committed(ctx, id); ok || err != nil {
				t.Errorf("committed %v: %v, %v", id, ok, err)
			}
		}
		must(t, log.Check(ctx, h.Ledger))
	}
}

func testPublish(t *testing.T, h Harness) {
	ctx := t.Context()
	for _, step := range []struct {
		size       uint64
		note, want string
	}{
		{5, "five", "five"}, {5, "five again", "five again"}, {4, "four", "five again"}, {0, "none", "five again"},
		{6, "six\n\x00\xff", "six\n\x00\xff"}, {1 << 40, "large", "large"}, {7, "seven", "large"},
	} {
		must(t, h.Ledger.Publish(ctx, step.size, []byte(step.note)))
		note, err := h.Ledger.Published(ctx)
		if err != nil || string(note) != step.want {
			t.Errorf("published after %d: %q, %v", step.size, note, err)
		}
		clear(note)
	}
	note := []byte("shared")
	must(t, h.Ledger.Publish(ctx, 1<<41, note))
	clear(note)
	if note, err := h.Ledger.Published(ctx); err != nil || string(note) != "shared" {
		t.Errorf("published: %q, %v", note, err)
	}
	var group sync.WaitGroup
	for i := range 50 {
		group.Go(func() {
			if err := h.Ledger.Publish(ctx, 1<<42+uint64(i), fmt.Appendf(nil, "%04d", i)); err != nil {
				t.Error(err)
			}
			if note, err := h.Ledger.Published(ctx); err != nil || string(note) < fmt.Sprintf("%04d", i) {
				t.Errorf("published after %d: %q, %v", i, note, err)
			}
		})
	}
	group.Wait()
	if head, err := h.Ledger.Head(ctx); err != nil || head.Size != 0 {
		t.Errorf("publishing moved the head: %+v, %v", head, err)
	}
}

func testCancelled(t *testing.T, h Harness) {
	log := NewLog()
	must(t, log.Append(t.Context(), h.Ledger, many(alice, 3)...))
	must(t, h.Ledger.Publish(t.Context(), 1, []byte("one")))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for name, call := range map[string]func() error{
		"Now":       func() error { _, err := h.Ledger.Now(ctx); return err },
		"Committed": func() error { _, err := h.Ledger.Committed(ctx, log.Head.Batch); return err },
		"Head":      func() error { _, err := h.Ledger.Head(ctx); return err },
		"Hashes":    func() error { _, err := h.Ledger.Hashes(ctx, 0, 0, 1); return err },
		"Entries":   func() error { _, err := h.Ledger.Entries(ctx, 0, 1); return err },
		"Row":       func() error { _, err := h.Ledger.Row(ctx, 0); return err },
		"Rows":      func() error { _, err := h.Ledger.Rows(ctx, 0, 1); return err },
		"Deposit":   func() error { _, err := h.Ledger.Deposit(ctx, alice, log.Rows[0].ID); return err },
		"Operation": func() error { _, err := h.Ledger.Operation(ctx, alice, term("key")); return err },
		"Case":      func() error { _, err := h.Ledger.Case(ctx, alice, term("contract")); return err },
		"Deposits":  func() error { _, err := h.Ledger.Deposits(ctx, notary.Query{Tenant: alice, Limit: 1}); return err },
		"Publish":   func() error { return h.Ledger.Publish(ctx, 2, []byte("two")) },
		"Published": func() error { _, err := h.Ledger.Published(ctx); return err },
		"Stamp":     func() error { return h.Ledger.Stamp(ctx, notary.Stamp{Size: 1, Record: []byte("one")}) },
		"Stamps":    func() error { _, err := h.Ledger.Stamps(ctx, 0, 1); return err },
		"Renew": func() error {
			return h.Ledger.Renew(ctx, notary.Renewal{Number: 1, First: 1, Last: 1, Data: []byte("one")})
		},
		"Renewals": func() error { _, err := h.Ledger.Renewals(ctx, 1); return err },
		"Renewed":  func() error { _, err := h.Ledger.Renewed(ctx); return err },
		"Append": func() error {
			return h.Ledger.Append(ctx, notary.Lookups{}, func(notary.State) (*notary.Batch, error) {
				t.Error("build was called")
				return nil, nil
			})
		},
		"CreateTenant": func() error { return h.Ledger.CreateTenant(ctx, notary.Tenant{ID: alice}) },
		"Tenant":       func() error { _, err := h.Ledger.Tenant(ctx, alice); return err },
		"Tenants":      func() error { _, err := h.Ledger.Tenants(ctx); return err },
		"CreateAPIKey": func() error { return h.Ledger.CreateAPIKey(ctx, notary.APIKey{}) },
		"APIKey":       func() error { _, err := h.Ledger.APIKey(ctx, [32]byte{}); return err },
	} {
		wantErr(t, name, call(), context.Canceled)
	}
	must(t, log.Check(t.Context(), h.Ledger))
	if note, err := h.Ledger.Published(t.Context()); err != nil || string(note) != "one" {
		t.Errorf("published: %q, %v", note, err)
	}
	if stamps, err := h.Ledger.Stamps(t.Context(), 0, 1); err != nil || len(stamps) != 0 {
		t.Errorf("stamps: %v, %v", stamps, err)
	}
	testCancelledInside(t, h, log)
}

// testCancelledInside ends the context during build: the batch is committed or it
// is not, and Committed tells which.
func testCancelledInside(t *testing.T, h Harness, log *Log) {
	ctx, cancel := context.WithCancel(t.Context())
	b := log.Batch(many(alice, 2)...)
	err := h.Ledger.Append(ctx, notary.Lookups{}, func(notary.State) (*notary.Batch, error) {
		cancel()
		return b, nil
	})
	done, committedErr := h.Ledger.Committed(t.Context(), b.Head.Batch)
	must(t, committedErr)
	if err == nil && !done {
		t.Error("append returned nil for a batch that is not committed")
	}
	if done {
		log.Took(b)
	}
	must(t, log.Check(t.Context(), h.Ledger))

	// One who waits for the lock gives up with its context.
	held, release := make(chan struct{}), make(chan struct{})
	var group sync.WaitGroup
	group.Go(func() {
		if err := h.Ledger.Append(t.Context(), notary.Lookups{}, func(notary.State) (*notary.Batch, error) {
			close(held)
			<-release
			return nil, nil
		}); err != nil {
			t.Error(err)
		}
	})
	<-held
	ctx, cancel = context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	time.AfterFunc(time.Second, func() { close(release) }) // not after: a driver that waits must fail, not hang
	err = h.Ledger.Append(ctx, notary.Lookups{}, func(notary.State) (*notary.Batch, error) {
		t.Error("build was called while another held the lock")
		return nil, nil
	})
	if err == nil {
		t.Error("append took a lock that was held")
	}
	group.Wait()
	must(t, log.Append(t.Context(), h.Ledger, many(alice, 1)...))
}

// testReaders reads while batches are appended. Whatever head a reader has seen,
// everything below it is there from then on, and of a batch all or nothing.
func testReaders(t *testing.T, h Harness) {
	ctx, log := t.Context(), NewLog()
	contract := term("contract")
	const width = 4 // rows of one batch, all in one case
	var done atomic.Bool
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			var last notary.Head
			for !done.Load() && !t.Failed() {
				head, err := h.Ledger.Head(ctx)
				if err == nil && head.Size < last.Size {
					err = fmt.Errorf("the head went from %d back to %d", last.Size, head.Size)
				}
				if err == nil {
					err = readBelow(ctx, h.Ledger, head, contract, width)
				}
				if err != nil {
					t.Error(err)
				}
				last = head
			}
		})
	}
	for i := range 60 {
		specs := make([]Spec, width)
		for j := range specs {
			specs[j] = Spec{Tenant: alice, Contract: &contract, Terms: []notary.Term{contract}}
		}
		if err := log.Append(ctx, h.Ledger, specs...); err != nil {
			t.Error(err)
			break
		}
		if err := h.Ledger.Publish(ctx, log.Head.Size, fmt.Appendf(nil, "note %d", i)); err != nil {
			t.Error(err)
		}
	}
	done.Store(true)
	group.Wait()
	must(t, log.Check(ctx, h.Ledger))
}

// readBelow checks what a reader finds after it has seen head.
func readBelow(ctx context.Context, ledger notary.Ledger, head notary.Head, contract notary.Term, width uint64) error {
	if head.Size%width != 0 {
		return fmt.Errorf("head at %d shows part of a batch", head.Size)
	}
	from := head.Size - min(head.Size, 256)
	hashes, err := ledger.Hashes(ctx, 0, from, head.Size)
	if err != nil {
		return err
	}
	entries, err := ledger.Entries(ctx, from, head.Size)
	if err != nil {
		return err
	}
	for i, entry := range entries {
		if proofs.LeafHash(entry) != hashes[i] {
			return fmt.Errorf("entry %d does not have its leaf hash", from+uint64(i))
		}
	}
	if err := readBeyond(ctx, ledger, head.Size); err != nil {
		return err
	}
	c, err := ledger.Case(ctx, alice, contract)
	if head.Size == 0 && errors.Is(err, notary.ErrNotFound) {
		return nil
	}
	if err != nil || c.Seq < head.Size || c.Seq%width != 0 {
		return fmt.Errorf("case at %d below a head of %d: %w", c.Seq, head.Size, err)
	}
	rows, err := ledger.Deposits(ctx, notary.Query{Tenant: alice, Term: &contract, From: from, Limit: 1000})
	if err != nil || uint64(len(rows)) < head.Size-from || uint64(len(rows))%width != 0 {
		return fmt.Errorf("%d rows from %d below a head of %d: %w", len(rows), from, head.Size, err)
	}
	return nil
}

// readBeyond asks for what was not there when the head was read. It may have come since,
// with the batch it belongs to, and then it is there.
func readBeyond(ctx context.Context, ledger notary.Ledger, size uint64) error {
	_, rowErr := ledger.Row(ctx, size)
	_, hashesErr := ledger.Hashes(ctx, 0, size, size+1)
	_, entriesErr := ledger.Entries(ctx, size, size+1)
	for _, err := range []error{rowErr, hashesErr, entriesErr} {
		if err != nil && !errors.Is(err, notary.ErrNotFound) {
			return fmt.Errorf("beyond a head of %d: %w", size, err)
		}
	}
	return nil
}

func testAccounts(t *testing.T, h Harness) {
	ctx, log := t.Context(), NewLog()
	created := time.Date(2026, 11, 23, 1, 2, 3, 456e6, time.UTC)
	if tenants, err := h.Ledger.Tenants(ctx); err != nil || len(tenants) != 0 {
		t.Errorf("tenants of a fresh ledger: %v, %v", tenants, err)
	}
	_, err := h.Ledger.Tenant(ctx, alice)
	wantErr(t, "tenant", err, notary.ErrNotFound)
	_, err = h.Ledger.APIKey(ctx, [32]byte{1})
	wantErr(t, "API key", err, notary.ErrNotFound)

	want := []notary.Tenant{
		{ID: alice, Name: "Élan 贷款 Ltd", Registration: "91310000MA1FL0000X", Created: created},
		{ID: bob, Name: "Court of Somewhere", Created: created.Add(time.Hour), Verified: "营业执照", VerifiedBy: "Notary Office"},
		{ID: notary.ID{0: 0xff}, Name: "last", Created: created, Request: [32]byte{9}},
	}
	for _, i := range []int{2, 0, 1} {
		must(t, h.Ledger.CreateTenant(ctx, want[i]))
	}
	wantErr(t, "second tenant of one id", h.Ledger.CreateTenant(ctx, notary.Tenant{ID: bob, Name: "other"}), notary.ErrExists)
	keys := []notary.APIKey{
		{Hash: [32]byte{1}, Tenant: alice, Role: notary.Depositor, Created: created},
		{Hash: [32]byte{31: 1}, Tenant: alice, Role: notary.Compliance, Created: created.Add(time.Second)},
		{Hash: [32]byte{2}, Tenant: bob, Role: notary.Compliance, Created: created, Name: "柜台 7"},
		{Hash: [32]byte{3}, Tenant: bob, Role: notary.Auditor, Created: created, Expires: created.Add(48 * time.Hour)},
		{Hash: [32]byte{4}, Role: notary.Operator, Created: created, Name: "both", Expires: created.Add(time.Hour)},
		{Hash: [32]byte{5}, Tenant: bob, Role: notary.Auditor, Created: created, Supervises: []notary.ID{alice, {0: 0xff}}},
		{Hash: [32]byte{6}, Tenant: alice, Role: notary.Depositor, Created: created, Request: [32]byte{1}, AskedBy: "key:a"},
		{Hash: [32]byte{7}, Tenant: alice, Role: notary.Auditor, Created: created, Supervises: []notary.ID{bob}, Request: [32]byte{2}, AskedBy: "key:a", ConfirmedBy: "key:b", Confirmed: created.Add(time.Minute), Expires: created.Add(time.Hour)},
		{Hash: [32]byte{8}, Tenant: alice, Role: notary.Compliance, Created: created, AskedBy: "key:a"},
		{Hash: [32]byte{9}, Tenant: alice, Role: notary.Compliance, Created: created, Request: [32]byte{3}, AskedBy: "key:a", Expires: created.Add(time.Hour)},
	}
	for _, k := range keys {
		must(t, h.Ledger.CreateAPIKey(ctx, k))
	}
	taken := keys[0]
	taken.Tenant = bob
	wantErr(t, "second key of one hash", h.Ledger.CreateAPIKey(ctx, taken), notary.ErrExists)
	taken = notary.APIKey{Hash: [32]byte{10}, Tenant: bob, Role: notary.Depositor, Request: [32]byte{1}}
	wantErr(t, "second key of one request", h.Ledger.CreateAPIKey(ctx, taken), notary.ErrExists)
	wantErr(t, "second tenant of one request", h.Ledger.CreateTenant(ctx, notary.Tenant{ID: notary.ID{9}, Request: want[2].Request}), notary.ErrExists)
	checkAccounts(t, h.Ledger, want, keys)
	testConfirm(t, h.Ledger, keys)
	checkAccounts(t, h.Ledger, want, keys)
	must(t, h.Ledger.DeleteAPIKey(ctx, keys[0].Hash))
	wantErr(t, "a key that was taken away", h.Ledger.DeleteAPIKey(ctx, keys[0].Hash), notary.ErrNotFound)
	if _, err := h.Ledger.APIKey(ctx, keys[0].Hash); !errors.Is(err, notary.ErrNotFound) {
		t.Errorf("a key that was taken away: %v", err)
	}
	keys = keys[1:]
	// A request stands for its key for as long as there is one.
	again := keys[5]
	if again.Request != [32]byte{1} {
		t.Fatal("another key was meant")
	}
	must(t, h.Ledger.DeleteAPIKey(ctx, again.Hash))
	must(t, h.Ledger.CreateAPIKey(ctx, again))
	must(t, log.Append(ctx, h.Ledger, many(alice, 3)...))
	must(t, log.Check(ctx, h.Ledger))
	checkAccounts(t, h.Reopen(), want, keys)
}

// testConfirm confirms the last of the keys, which waits for it, and brings keys to that.
func testConfirm(t *testing.T, l LedgerDriver, keys []notary.APIKey) {
	t.Helper()
	ctx, at := t.Context(), time.Date(2026, 11, 24, 1, 2, 3, 456e6, time.UTC)
	for _, k := range keys {
		if !k.Pending() {
			wantErr(t, "a key that does not wait", l.ConfirmAPIKey(ctx, k.Hash, "key:b", at), notary.ErrConflict)
		}
	}
	wantErr(t, "a key that is not there", l.ConfirmAPIKey(ctx, [32]byte{99}, "key:b", at), notary.ErrNotFound)
	for i := range keys {
		if !keys[i].Pending() {
			continue
		}
		var group sync.WaitGroup
		var confirmed atomic.Int32
		var by atomic.Pointer[string]
		for _, name := range []string{"key:b", "key:c", "key:d", "key:e"} {
			group.Go(func() {
				switch err := l.ConfirmAPIKey(ctx, keys[i].Hash, name, at); {
				case err == nil:
					confirmed.Add(1)
					by.Store(&name)
				case !errors.Is(err, notary.ErrConflict):
					t.Error(err)
				}
			})
		}
		group.Wait()
		if confirmed.Load() != 1 {
			t.Fatalf("%d confirmed one key", confirmed.Load())
		}
		keys[i].ConfirmedBy, keys[i].Confirmed = *by.Load(), at
	}
}

func checkAccounts(t *testing.T, accounts notary.Accounts, tenants []notary.Tenant, keys []notary.APIKey) {
	t.Helper()
	same := func(a, b notary.Tenant) bool {
		return a.ID == b.ID && a.Name == b.Name && a.Registration == b.Registration && a.Verified == b.Verified && a.VerifiedBy == b.VerifiedBy && a.Created.Equal(b.Created) && a.Request == b.Request
	}
	all, err := accounts.Tenants(t.Context())
	if err != nil || !slices.EqualFunc(all, tenants, same) {
		t.Errorf("tenants: %+v, %v", all, err)
	}
	for _, want := range tenants {
		got, err := accounts.Tenant(t.Context(), want.ID)
		if err != nil || !same(got, want) {
			t.Errorf("tenant: %+v, %v", got, err)
		}
	}
	listed, err := accounts.APIKeys(t.Context())
	sorted := slices.SortedFunc(slices.Values(keys), func(a, b notary.APIKey) int { return bytes.Compare(a.Hash[:], b.Hash[:]) })
	sameKey := func(a, b notary.APIKey) bool {
		return a.Hash == b.Hash && a.Tenant == b.Tenant && a.Role == b.Role && a.Created.Equal(b.Created) && a.Name == b.Name &&
			a.Expires.Equal(b.Expires) && a.Expires.IsZero() == b.Expires.IsZero() && slices.Equal(a.Supervises, b.Supervises) && a.Request == b.Request &&
			a.AskedBy == b.AskedBy && a.ConfirmedBy == b.ConfirmedBy && a.Confirmed.Equal(b.Confirmed) && a.Confirmed.IsZero() == b.Confirmed.IsZero()
	}
	if err != nil || !slices.EqualFunc(listed, sorted, sameKey) {
		t.Errorf("API keys: %+v, %v", listed, err)
	}
	for _, want := range keys {
		got, err := accounts.APIKey(t.Context(), want.Hash)
		if err != nil || !sameKey(got, want) {
			t.Errorf("API key: %+v, %v", got, err)
		}
	}
}

func testReopen(t *testing.T, h Harness) {
	ctx, log, ledger := t.Context(), NewLog(), h.Ledger
	contract := term("contract")
	for i := range 5 {
		b := log.Batch(append(many(bob, 100*i), Spec{Tenant: alice, Contract: &contract, Terms: []notary.Term{contract}})...)
		b.Operations = []notary.Operation{{Tenant: alice, Key: term(fmt.Sprint(i)), First: b.Rows[0].Index, Count: uint32(len(b.Rows))}}
		must(t, ledger.Append(ctx, notary.Lookups{}, func(notary.State) (*notary.Batch, error) { return b, nil }))
		log.Took(b)
		must(t, ledger.Publish(ctx, log.Head.Size, fmt.Appendf(nil, "note %d", i)))
		ledger = h.Reopen()
		must(t, log.Check(ctx, ledger))
		if ok, err := ledger.Committed(ctx, log.Head.Batch); !ok || err != nil {
			t.Errorf("committed: %v, %v", ok, err)
		}
		// A note may be lost in a crash, not in an orderly stop; and never replaced.
		if note, err := ledger.Published(ctx); err != nil || string(note) != fmt.Sprint("note ", i) {
			t.Errorf("published: %q, %v", note, err)
		}
	}
	q := notary.Query{Tenant: alice, Term: &contract, Limit: 10}
	if rows, err := ledger.Deposits(ctx, q); err != nil || !sameRows(rows, log.Find(q)) {
		t.Errorf("deposits: %d rows, %v", len(rows), err)
	}
}
