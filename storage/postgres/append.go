package postgres

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/proofs"
)

const (
	selectHead = "SELECT size, root, time, batch, peaks, clock_timestamp() FROM head"

	lookupOperations = `SELECT q.n, i.first, i.count
		FROM unnest($1::uuid[], $2::bytea[]) WITH ORDINALITY AS q (tenant, key, n)
		JOIN idempotency i ON i.tenant = q.tenant AND i.key = q.key`
	lookupCases = `SELECT q.n, c.seq, c.leaf
		FROM unnest($1::uuid[], $2::bytea[]) WITH ORDINALITY AS q (tenant, contract, n)
		JOIN cases c ON c.tenant = q.tenant AND c.contract = q.contract`
	lookupUsages = `SELECT q.n, u.deposits, u.bytes
		FROM unnest($1::uuid[], $2::int[]) WITH ORDINALITY AS q (tenant, month, n)
		JOIN usages u ON u.tenant = q.tenant AND u.month = q.month`
)

// Append implements notary.Ledger.
func (l *Ledger) Append(ctx context.Context, lookups notary.Lookups, build func(notary.State) (*notary.Batch, error)) error {
	conn, err := l.appends.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release() // which closes it, if a transaction is open or its state unknown
	state, err := lookUp(ctx, conn.Conn(), lookups)
	if err != nil {
		abandon(conn.Conn())
		return failed(err)
	}
	batch, err := build(state)
	if err == nil && batch != nil {
		if err = batch.Continues(state.Head); err != nil {
			err = fmt.Errorf("batch refused: %w", err)
		}
	}
	if err != nil || batch == nil {
		leave(ctx, conn.Conn())
		return err
	}
	if err := commit(ctx, conn.Conn(), state.Head.Size, batch); err != nil {
		abandon(conn.Conn())
		return failed(err)
	}
	raise(&l.durable, batch.Head.Size)
	if int64(batch.Head.Size) > l.extended.Load()-extendBefore {
		// The batch is committed, whatever becomes of the next partition; the append that
		// needs it tries again.
		if err := l.extend(ctx, batch.Head.Size); err != nil {
			l.logger.Warn("the next partition of deposits could not be made yet", "error", err)
		}
	}
	return nil
}

// extendBefore is how many indexes before the end of the last partition the next is made.
const extendBefore = 1_000_000

// extend makes sure that there is a partition for what is appended to a log of that size.
func (l *Ledger) extend(ctx context.Context, size uint64) error {
	var end int64
	if err := l.work.QueryRow(ctx, "SELECT extend_deposits($1)", int64(size)+2*extendBefore).Scan(&end); err != nil {
		return fmt.Errorf("making room for deposits: %w", failed(err))
	}
	l.extended.Store(end)
	return nil
}

// leave ends a transaction that wrote nothing, so that the lock is free at once.
func leave(ctx context.Context, conn *pgx.Conn) {
	if _, err := conn.Exec(ctx, "ROLLBACK"); err != nil {
		abandon(conn)
	}
}

// abandon closes a connection whose transaction must not go on. The server then ends it,
// one way or the other.
func abandon(conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = conn.Close(ctx) // it may be broken already
}

// lookUp takes the lock of the head and asks what the batch needs, in one round trip.
func lookUp(ctx context.Context, conn *pgx.Conn, lookups notary.Lookups) (notary.State, error) {
	s := notary.State{
		Operations: make([]notary.Operation, len(lookups.Operations)),
		Cases:      make([]notary.Case, len(lookups.Cases)),
		Usages:     make([]notary.Usage, len(lookups.Usages)),
	}
	var b pgx.Batch
	queueLock(&b)
	if len(lookups.Operations) > 0 {
		var tenants, keys column
		for i, o := range lookups.Operations {
			s.Operations[i] = notary.Operation{Tenant: o.Tenant, Key: o.Key}
			tenants, keys = append(tenants, o.Tenant[:]), append(keys, o.Key[:])
		}
		b.Queue(lookupOperations, tenants.uuids(), keys.bytes()).Query(func(rows pgx.Rows) error { return scanOperations(rows, s.Operations) })
	}
	if len(lookups.Cases) > 0 {
		order := make([]int, len(lookups.Cases))
		for i, c := range lookups.Cases {
			s.Cases[i] = notary.Case{Tenant: c.Tenant, Contract: c.Contract}
			order[i] = i
		}
		slices.SortFunc(order, func(x, y int) int { return bytes.Compare(s.Cases[x].Contract[:], s.Cases[y].Contract[:]) })
		tenants, contracts := make(column, len(order)), make(column, len(order))
		for n, i := range order {
			tenants[n], contracts[n] = s.Cases[i].Tenant[:], s.Cases[i].Contract[:]
		}
		b.Queue(lookupCases, tenants.uuids(), contracts.bytes()).Query(func(rows pgx.Rows) error { return scanCases(rows, s.Cases, order) })
	}
	if len(lookups.Usages) > 0 {
		var tenants column
		var months []int32
		for i, u := range lookups.Usages {
			s.Usages[i] = notary.Usage{Tenant: u.Tenant, Month: u.Month}
			tenants, months = append(tenants, u.Tenant[:]), append(months, int32(u.Month))
		}
		b.Queue(lookupUsages, tenants.uuids(), months).Query(func(rows pgx.Rows) error { return scanUsages(rows, s.Usages) })
	}
	// The clock is read last, since a large batch looks up for a while.
	b.Queue(selectHead).QueryRow(func(row pgx.Row) (err error) {
		s.Head, s.Peaks, err = readHeadAt(row, &s.Now)
		return err
	})
	return s, conn.SendBatch(ctx, &b).Close()
}

// queueLock begins a transaction and takes the lock of the head. Without its row there is
// no lock, and nothing that follows can be trusted.
func queueLock(b *pgx.Batch) {
	b.Queue("BEGIN")
	b.Queue("SELECT 1 FROM head FOR UPDATE").Exec(func(tag pgconn.CommandTag) error {
		if tag.RowsAffected() != 1 {
			return corrupt("there is no head")
		}
		return nil
	})
}

func scanOperations(rows pgx.Rows, found []notary.Operation) error {
	var n, first int64
	var count int32
	_, err := pgx.ForEachRow(rows, []any{&n, &first, &count}, func() error {
		if n < 1 || int(n) > len(found) || first < 0 || count < 1 {
			return corrupt("operation of %d rows at %d", count, first)
		}
		found[n-1].First, found[n-1].Count = uint64(first), uint32(count)
		return nil
	})
	return err
}

// scanCases takes what was found of the cases, which were asked for in that order.
func scanCases(rows pgx.Rows, found []notary.Case, order []int) error {
	var n, seq int64
	var leaf []byte
	_, err := pgx.ForEachRow(rows, []any{&n, &seq, &leaf}, func() error {
		if n < 1 || int(n) > len(found) || seq < 1 || len(leaf) != proofs.HashSize {
			return corrupt("case at number %d", seq)
		}
		found[order[n-1]].Seq, found[order[n-1]].Leaf = uint64(seq), proofs.Hash(leaf)
		return nil
	})
	return err
}

func scanUsages(rows pgx.Rows, found []notary.Usage) error {
	var n, deposits, size int64
	_, err := pgx.ForEachRow(rows, []any{&n, &deposits, &size}, func() error {
		if n < 1 || int(n) > len(found) || deposits < 1 || size < 0 {
			return corrupt("usage of %d deposits", deposits)
		}
		found[n-1].Deposits, found[n-1].Bytes = uint64(deposits), uint64(size)
		return nil
	})
	return err
}

// commit writes the batch and commits it, in one round trip. A COMMIT that answers with
// anything but plain success is an error, and its outcome unknown.
func commit(ctx context.Context, conn *pgx.Conn, old uint64, batch *notary.Batch) error {
	var b pgx.Batch
	queueRows(&b, batch)
	queueTiles(&b, old, batch)
	h := batch.Head
	queueExactly(&b, 1, "UPDATE head SET size = $1, root = $2, time = $3, batch = $4, peaks = $5 WHERE size = $6",
		int64(h.Size), h.Root[:], h.Time.UnixMilli(), uuid(h.Batch), joined(batch.Peaks), int64(old))
	b.Queue("COMMIT").Exec(committed)
	delete(conn.PgConn().CustomData(), warned)
	if err := conn.SendBatch(ctx, &b).Close(); err != nil {
		return err
	}
	return withoutWarning(conn)
}

func committed(tag pgconn.CommandTag) error {
	if tag.String() != "COMMIT" {
		return fmt.Errorf("COMMIT was answered with %s", tag)
	}
	return nil
}

// queueExactly queues a statement that must change that many rows.
func queueExactly(b *pgx.Batch, rows int, sql string, args ...any) {
	b.Queue(sql, args...).Exec(func(tag pgconn.CommandTag) error {
		if tag.RowsAffected() != int64(rows) {
			return corrupt("%q changed %d rows, not %d", sql, tag.RowsAffected(), rows)
		}
		return nil
	})
}

// queueRows queues the entries, and what belongs to their tenants.
func queueRows(b *pgx.Batch, batch *notary.Batch) {
	entries := packEntries(batch.Rows)
	batches := make([]pgtype.UUID, len(entries.first))
	batches[0] = uuid(batch.Head.Batch)
	b.Queue("INSERT INTO entries (first, count, time, batch, data) SELECT * FROM unnest($1::bigint[], $2::int[], $3::bigint[], $4::uuid[], $5::bytea[])",
		entries.first, entries.count, entries.time, batches, entries.data)
	n := len(batch.Rows)
	tenants, ids, prevs, bodies, secrets := make(column, n), make(column, n), make(column, n), make(column, n), make(column, n)
	indexes, seqs := make([]int64, n), make([]int64, n)
	var terms termRows
	for i := range batch.Rows {
		r := &batch.Rows[i]
		tenants[i], ids[i], bodies[i], secrets[i] = r.Tenant[:], r.ID[:], notNull(r.Body), notNull(r.Secrets)
		indexes[i], seqs[i] = int64(r.Index), int64(r.CaseSeq)
		if r.CaseSeq > 1 {
			prevs[i] = r.CasePrev[:]
		}
		for j := range batch.Terms[i] {
			if slices.Contains(batch.Terms[i][:j], batch.Terms[i][j]) {
				continue // a row may have a term twice, and is found by it once
			}
			terms = append(terms, termRow{r.Tenant, batch.Terms[i][j], int64(r.Index)})
		}
	}
	b.Queue(`INSERT INTO deposits (index, tenant, id, case_seq, case_prev, body)
		SELECT * FROM unnest($1::bigint[], $2::uuid[], $3::uuid[], $4::bigint[], $5::bytea[], $6::bytea[])`,
		indexes, tenants.uuids(), ids.uuids(), seqs, prevs.bytes(), bodies.bytes())
	b.Queue("INSERT INTO secrets (index, tenant, secret) SELECT * FROM unnest($1::bigint[], $2::uuid[], $3::bytea[])",
		indexes, tenants.uuids(), secrets.bytes())
	b.Queue("INSERT INTO deposit_id (id, tenant, index) SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::bigint[])",
		ids.uuids(), tenants.uuids(), indexes)
	terms.queue(b)
	queueOperations(b, batch.Operations)
	queueCases(b, batch.Cases)
	queueUsages(b, batch.Usages)
}

// termRows are rows of the table terms.
type termRows []termRow

type termRow struct {
	tenant notary.ID
	term   notary.Term
	index  int64
}

// queue adds the rows in the order of their key, as all that is found by a digest: one
// that comes after its neighbour in the index finds the way there in the processor's cache.
func (r termRows) queue(b *pgx.Batch) {
	if len(r) == 0 {
		return
	}
	slices.SortFunc(r, func(x, y termRow) int { return bytes.Compare(x.term[:], y.term[:]) })
	tenants, terms, indexes := make(column, len(r)), make(column, len(r)), make([]int64, len(r))
	for i := range r {
		tenants[i], terms[i], indexes[i] = r[i].tenant[:], r[i].term[:], r[i].index
	}
	b.Queue("INSERT INTO terms (tenant, term, index) SELECT * FROM unnest($1::uuid[], $2::bytea[], $3::bigint[])",
		tenants.uuids(), terms.bytes(), indexes)
}

func queueOperations(b *pgx.Batch, operations []notary.Operation) {
	if len(operations) == 0 {
		return
	}
	operations = slices.Clone(operations)
	slices.SortFunc(operations, func(x, y notary.Operation) int { return bytes.Compare(x.Key[:], y.Key[:]) })
	n := len(operations)
	tenants, keys, firsts, counts := make(column, n), make(column, n), make([]int64, n), make([]int32, n)
	for i := range operations {
		o := &operations[i]
		tenants[i], keys[i], firsts[i], counts[i] = o.Tenant[:], o.Key[:], int64(o.First), int32(o.Count)
	}
	b.Queue("INSERT INTO idempotency (tenant, key, first, count) SELECT * FROM unnest($1::uuid[], $2::bytea[], $3::bigint[], $4::int[])",
		tenants.uuids(), keys.bytes(), firsts, counts)
}

// queueCases adds the cases that begin, and moves the others on. Most begin, and an insert
// that may not meet another row costs half of one that may.
func queueCases(b *pgx.Batch, cases []notary.Case) {
	begun, moved := caseRows{}, caseRows{}
	cases = slices.Clone(cases)
	slices.SortFunc(cases, func(x, y notary.Case) int { return bytes.Compare(x.Contract[:], y.Contract[:]) })
	for i := range cases {
		rows := &moved
		if cases[i].Seq == 1 {
			rows = &begun
		}
		rows.add(&cases[i])
	}
	if len(begun.seqs) > 0 {
		begun.queue(b, "")
	}
	if len(moved.seqs) > 0 { // some of them began in this batch
		moved.queue(b, " ON CONFLICT (tenant, contract) DO UPDATE SET seq = excluded.seq, leaf = excluded.leaf")
	}
}

func queueUsages(b *pgx.Batch, usages []notary.Usage) {
	if len(usages) == 0 {
		return
	}
	var tenants column
	var months []int32
	var deposits, sizes []int64
	for _, u := range usages {
		tenants, months = append(tenants, u.Tenant[:]), append(months, int32(u.Month))
		deposits, sizes = append(deposits, int64(u.Deposits)), append(sizes, int64(u.Bytes))
	}
	b.Queue(`INSERT INTO usages (tenant, month, deposits, bytes) SELECT * FROM unnest($1::uuid[], $2::int[], $3::bigint[], $4::bigint[])
		ON CONFLICT (tenant, month) DO UPDATE SET deposits = excluded.deposits, bytes = excluded.bytes`,
		tenants.uuids(), months, deposits, sizes)
}

// caseRows are columns of the table cases.
type caseRows struct {
	tenants, contracts, leaves column
	seqs                       []int64
}

func (r *caseRows) add(c *notary.Case) {
	r.tenants, r.contracts = append(r.tenants, c.Tenant[:]), append(r.contracts, c.Contract[:])
	r.seqs, r.leaves = append(r.seqs, int64(c.Seq)), append(r.leaves, c.Leaf[:])
}

func (r *caseRows) queue(b *pgx.Batch, conflict string) {
	b.Queue("INSERT INTO cases (tenant, contract, seq, leaf) SELECT * FROM unnest($1::uuid[], $2::bytea[], $3::bigint[], $4::bytea[])"+conflict,
		r.tenants.uuids(), r.contracts.bytes(), r.seqs, r.leaves.bytes())
}

// queueTiles lets the last tile of each level grow, and adds those that begin.
func queueTiles(b *pgx.Batch, old uint64, batch *notary.Batch) {
	grown, added := tileRows{}, tileRows{}
	for level, hashes := range batch.Hashes {
		for at := old >> (8 * level); len(hashes) > 0; {
			width := at % proofs.TileWidth
			n := min(uint64(len(hashes)), proofs.TileWidth-width)
			rows := &added
			if width > 0 {
				rows = &grown
			}
			rows.add(level, at/proofs.TileWidth, width, joined(hashes[:n]))
			at, hashes = at+n, hashes[n:]
		}
	}
	if n := len(grown.level); n > 0 {
		queueExactly(b, n, `UPDATE tiles t SET hashes = t.hashes || u.more
			FROM unnest($1::smallint[], $2::bigint[], $3::int[], $4::bytea[]) AS u (level, index, width, more)
			WHERE t.level = u.level AND t.index = u.index AND octet_length(t.hashes) = 32 * u.width`,
			grown.level, grown.index, grown.width, grown.hashes)
	}
	if len(added.level) > 0 {
		b.Queue("INSERT INTO tiles (level, index, hashes) SELECT * FROM unnest($1::smallint[], $2::bigint[], $3::bytea[])",
			added.level, added.index, added.hashes)
	}
}

// tileRows are columns of the table tiles.
type tileRows struct {
	level  []int16
	index  []int64
	width  []int32 // before
	hashes [][]byte
}

func (t *tileRows) add(level int, index, width uint64, hashes []byte) {
	t.level, t.index = append(t.level, int16(level)), append(t.index, int64(index))
	t.width, t.hashes = append(t.width, int32(width)), append(t.hashes, hashes)
}

// Committed implements notary.Ledger. It asks on a connection of its own: the one that
// sent the COMMIT may still be under way.
func (l *Ledger) Committed(ctx context.Context, batch notary.ID) (bool, error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	config := l.appends.Config()
	conn, err := pgx.ConnectConfig(ctx, config.ConnConfig)
	if err != nil {
		return false, fmt.Errorf("PostgreSQL: %w", err)
	}
	defer abandon(conn)
	if err := config.AfterConnect(ctx, conn); err != nil {
		return false, err
	}
	// Whoever held the lock with that batch has come to its end once it is ours.
	var found bool
	var b pgx.Batch
	queueLock(&b)
	b.Queue("SELECT EXISTS (SELECT FROM entries WHERE batch = $1)", uuid(batch)).
		QueryRow(func(row pgx.Row) error { return row.Scan(&found) })
	if err := conn.SendBatch(ctx, &b).Close(); err != nil || !found {
		return false, failed(err)
	}
	// It is visible here, and perhaps not yet durable everywhere: a commit after it is
	// durable only when it is.
	var again pgx.Batch
	queueExactly(&again, 1, "UPDATE head SET size = size")
	again.Queue("COMMIT").Exec(committed)
	if err := conn.SendBatch(ctx, &again).Close(); err != nil {
		return false, failed(err)
	}
	return true, withoutWarning(conn)
}
