package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/storage/storagetest"
)

// TestDamage lets a superuser take away or change what the ledger has stored. What it then
// answers is the truth or ErrDamaged: never that something is not there, never another
// value. Bits flipped within an entry or a hash are the notary's to find.
func TestDamage(t *testing.T) {
	for _, d := range []struct {
		name, sql string
		damaged   []string // the calls that cannot but notice
		// unnoticed are those that would need the tenant's keys, the hashes or another
		// index to notice: the notary's part, and fsck's.
		unnoticed []string
	}{
		{"entries gone", "DELETE FROM entries WHERE first = 64", []string{"entries", "row", "deposit", "by term", "by tenant"}, nil},
		{"first entries gone", "DELETE FROM entries WHERE first < 128", []string{"entries", "row", "deposit", "by term", "by tenant"}, nil},
		{"entries cut", "UPDATE entries SET data = substr(data, 1, octet_length(data) - 1) WHERE first = 64", []string{"entries", "row", "deposit", "by term"}, nil},
		{"entries longer", `UPDATE entries SET data = data || '\x0000' WHERE first = 64`, []string{"entries", "row", "deposit", "by term"}, nil},
		{"entries empty", "UPDATE entries SET data = '' WHERE first = 64", []string{"entries", "row", "deposit", "by term"}, nil},
		{"entries fewer", "UPDATE entries SET count = count - 1 WHERE first = 64", []string{"entries", "row", "deposit", "by term"}, nil},
		{"entries moved", "UPDATE entries SET first = 65 WHERE first = 64", []string{"entries"}, []string{"row", "deposit", "by term", "by tenant"}},
		{"tile gone", "DELETE FROM tiles WHERE level = 0 AND index = 0", []string{"hashes"}, nil},
		{"tile short", "UPDATE tiles SET hashes = substr(hashes, 33) WHERE level = 0 AND index = 0", []string{"hashes"}, nil},
		{"last tile gone", "DELETE FROM tiles WHERE level = 0 AND index = 1", []string{"hashes", "append"}, nil},
		{"last tile short", "UPDATE tiles SET hashes = substr(hashes, 33) WHERE level = 0 AND index = 1", []string{"hashes", "append"}, nil},
		{"upper tile gone", "DELETE FROM tiles WHERE level = 1", []string{"upper hashes"}, nil},
		{"deposit gone", "DELETE FROM deposits WHERE index = 70", []string{"row", "deposit", "by term"}, []string{"by tenant"}},
		{"deposits gone", "TRUNCATE deposits", []string{"row", "deposit", "by term"}, []string{"by tenant"}},
		{"deposit another's", fmt.Sprintf("UPDATE deposits SET tenant = '%s' WHERE index = 70", bob), []string{"deposit", "by term"}, []string{"by tenant"}},
		{"deposit's id another", "UPDATE deposits SET id = gen_random_uuid() WHERE index = 70", []string{"deposit"}, []string{"row", "by term", "by tenant"}},
		{"deposit's place gone", "UPDATE deposits SET case_prev = NULL WHERE index = 70", []string{"row", "deposit", "by term"}, nil},
		{"deposit's place absurd", "UPDATE deposits SET case_seq = -1 WHERE index = 70", []string{"row", "deposit", "by term"}, nil},
		{"secrets gone", "DELETE FROM secrets WHERE index = 70", []string{"row", "deposit", "by term"}, nil},
		{"id elsewhere", "UPDATE deposit_id SET index = 71 WHERE index = 70", []string{"deposit"}, nil},
		{"id nowhere", "UPDATE deposit_id SET index = 1000000 WHERE index = 70", []string{"deposit"}, nil},
		{"operation absurd", "UPDATE idempotency SET first = -1", []string{"operation", "append"}, nil},
		{"head gone", "DELETE FROM head", []string{"head", "hashes", "entries", "append", "committed"}, nil},
		{"head cut", "UPDATE head SET peaks = substr(peaks, 2)", []string{"head", "append"}, nil},
		{"head too far", "UPDATE head SET size = size + 1", []string{"hashes at the end", "entries at the end", "row at the end"}, []string{"head", "append"}},
		{"note gone", "DELETE FROM published", []string{"published"}, nil},
	} {
		t.Run(d.name, func(t *testing.T) { damage(t, d.sql, d.damaged, d.unnoticed) })
	}
}

func damage(t *testing.T, sql string, damaged, unnoticed []string) {
	c := fresh(t)
	log, l := storagetest.NewLog(), mustOpen(t, c)
	contract := term("contract")
	for i := range 5 {
		specs := slices.Repeat([]storagetest.Spec{{Tenant: alice, Contract: &contract, Terms: []notary.Term{contract}}}, 64)
		b := log.Batch(specs...)
		b.Operations = []notary.Operation{{Tenant: alice, Key: term(fmt.Sprint(i)), First: b.Rows[0].Index, Count: 64}}
		must(t, l.Append(t.Context(), notary.Lookups{}, func(notary.State) (*notary.Batch, error) { return b, nil }))
		log.Took(b)
	}
	must(t, l.Publish(t.Context(), log.Head.Size, []byte("note")))
	_, err := superuser(t, c).Exec(t.Context(), sql)
	must(t, err)
	// The call that appends is the last: it may succeed.
	for _, call := range append(readCalls(t.Context(), l, log), appendCall(t.Context(), l, log)) {
		switch err := call.try(); {
		case slices.Contains(damaged, call.name):
			wantErr(t, call.name, err, notary.ErrDamaged)
		case errors.Is(err, errWrong) && slices.Contains(unnoticed, call.name):
		case err != nil && !errors.Is(err, notary.ErrDamaged):
			t.Errorf("%s: %v", call.name, err)
		}
	}
}

// A call compares what the ledger answers with what it should hold.
type call struct {
	name string
	try  func() error
}

var errWrong = errors.New("another answer than what was stored")

// same is nil for the right answer.
func same(err error, right bool) error {
	if err == nil && !right {
		return errWrong
	}
	return err
}

// absent is nil for the right answer about what was never stored.
func absent(err error) error {
	if errors.Is(err, notary.ErrNotFound) {
		return nil
	}
	return same(err, false)
}

const damagedRow = 70

func readCalls(ctx context.Context, l *Ledger, log *storagetest.Log) []call {
	want := log.Rows[damagedRow]
	right := func(r notary.Row) bool {
		return string(r.Entry) == string(want.Entry) && r.ID == want.ID && r.CaseSeq == want.CaseSeq
	}
	end := log.Head.Size
	query := func(term *notary.Term) func() error {
		return func() error {
			rows, err := l.Deposits(ctx, notary.Query{Tenant: alice, Term: term, From: damagedRow, Limit: 1})
			return same(err, len(rows) == 1 && right(rows[0]))
		}
	}
	contract := term("contract")
	return []call{
		{"head", func() error { h, err := l.Head(ctx); return same(err, h == log.Head) }},
		{"hashes", func() error { return hashesSame(ctx, l, log, 0) }},
		{"upper hashes", func() error { return hashesSame(ctx, l, log, 1) }},
		{"hashes at the end", func() error { _, err := l.Hashes(ctx, 0, end, end+1); return absent(err) }},
		{"entries", func() error {
			entries, err := l.Entries(ctx, 0, end)
			return same(err, len(entries) == int(end) && string(entries[damagedRow]) == string(want.Entry))
		}},
		{"entries at the end", func() error { _, err := l.Entries(ctx, end, end+1); return absent(err) }},
		{"row", func() error { r, err := l.Row(ctx, damagedRow); return same(err, right(r)) }},
		{"row at the end", func() error { _, err := l.Row(ctx, end); return absent(err) }},
		{"deposit", func() error { r, err := l.Deposit(ctx, alice, want.ID); return same(err, right(r)) }},
		{"by term", query(&contract)},
		{"by tenant", query(nil)},
		{"operation", func() error {
			o, err := l.Operation(ctx, alice, log.Operations[1].Key)
			return same(err, o == log.Operations[1])
		}},
		{"case", func() error {
			c, err := l.Case(ctx, alice, contract)
			return same(err, c.Seq == end)
		}},
		{"published", func() error { n, err := l.Published(ctx); return same(err, string(n) == "note") }},
		{"committed", func() error { ok, err := l.Committed(ctx, log.Head.Batch); return same(err, ok) }},
	}
}

func hashesSame(ctx context.Context, l *Ledger, log *storagetest.Log, level int) error {
	for at, size := uint64(0), log.Head.Size>>(8*level); at < size; at += 256 {
		to := min(at+256, size)
		hashes, err := l.Hashes(ctx, level, at, to)
		if err := same(err, slices.Equal(hashes, log.Hashes[level][at:to])); err != nil {
			return err
		}
	}
	return nil
}

func appendCall(ctx context.Context, l *Ledger, log *storagetest.Log) call {
	return call{"append", func() error {
		lookups := notary.Lookups{Operations: []notary.Operation{{Tenant: alice, Key: log.Operations[1].Key}}}
		b := log.Batch(storagetest.Spec{Tenant: alice})
		return l.Append(ctx, lookups, func(s notary.State) (*notary.Batch, error) {
			return b, same(nil, s.Operations[0] == log.Operations[1] && s.Head == log.Head)
		})
	}}
}
