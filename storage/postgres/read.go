package postgres

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/proofs"
)

// Now implements notary.Ledger: the database's clock.
func (l *Ledger) Now(ctx context.Context) (now time.Time, err error) {
	if err := l.work.QueryRow(ctx, "SELECT clock_timestamp()").Scan(&now); err != nil {
		return time.Time{}, failed(err)
	}
	return now.UTC(), nil
}

// Head implements notary.Ledger. What is sealed begins here, so that a head which another
// process committed is not handed out before the standby has it.
func (l *Ledger) Head(ctx context.Context) (notary.Head, error) {
	h, _, err := readHead(l.work.QueryRow(ctx, selectHead))
	if err != nil || h.Size <= l.durable.Load() {
		return h, err
	}
	err = durably(ctx, l.work, func(conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, "SELECT "+settled)
		return err
	})
	if err != nil {
		return notary.Head{}, fmt.Errorf("head at %d, not known to be on the standby: %w", h.Size, err)
	}
	raise(&l.durable, h.Size)
	return h, nil
}

// checkRange tells a range that may never be asked for from one beyond the end.
func checkRange(from, to, most uint64) error {
	if from > to || to-from > most {
		return fmt.Errorf("%d to %d is not a range of at most %d", from, to, most)
	}
	return nil
}

func beyond(to, size uint64) error {
	if to > size {
		return fmt.Errorf("%d of %d: %w", to, size, notary.ErrNotFound)
	}
	return nil
}

// Hashes implements notary.Ledger.
func (l *Ledger) Hashes(ctx context.Context, level int, from, to uint64) ([]proofs.Hash, error) {
	if level < 0 || level > 7 {
		return nil, fmt.Errorf("there is no level %d", level)
	}
	if err := checkRange(from, to, proofs.TileWidth); err != nil {
		return nil, err
	}
	if to > math.MaxInt64 {
		return nil, beyond(to, math.MaxInt64)
	}
	first := from / proofs.TileWidth
	last := max(to, 1) - 1
	rows, err := l.work.Query(ctx, `SELECT h.size, t.index, t.hashes FROM head h
		LEFT JOIN tiles t ON t.level = $1 AND t.index BETWEEN $2 AND $3 ORDER BY t.index`,
		int16(level), int64(first), int64(last/proofs.TileWidth))
	if err != nil {
		return nil, failed(err)
	}
	size := int64(-1)
	var index pgtype.Int8
	var tile []byte
	hashes := make([]proofs.Hash, 0, to-from)
	_, err = pgx.ForEachRow(rows, []any{&size, &index, &tile}, func() error {
		part, ok := split(tile)
		if !ok {
			return corrupt("tile %d of level %d has %d bytes", index.Int64, level, len(tile))
		}
		begin := uint64(index.Int64) * proofs.TileWidth
		for at := from + uint64(len(hashes)); index.Valid && at < to && at >= begin && at-begin < uint64(len(part)); at++ {
			hashes = append(hashes, part[at-begin])
		}
		return nil
	})
	if err != nil {
		return nil, failed(err)
	}
	if size < 0 {
		return nil, corrupt("there is no head")
	}
	if err := beyond(to, uint64(size)>>(8*level)); err != nil {
		return nil, err
	}
	if uint64(len(hashes)) != to-from {
		return nil, corrupt("hashes %d to %d of level %d are not all there", from, to, level)
	}
	return hashes, nil
}

// Entries implements notary.Ledger.
func (l *Ledger) Entries(ctx context.Context, from, to uint64) ([][]byte, error) {
	if err := checkRange(from, to, 1024); err != nil {
		return nil, err
	}
	if to > math.MaxInt64 {
		return nil, beyond(to, math.MaxInt64)
	}
	rows, err := l.work.Query(ctx, `SELECT h.size, e.first, e.count, e.data FROM head h
		LEFT JOIN entries e ON e.first > $1 AND e.first < $2 ORDER BY e.first`, int64(from)-maxRun, int64(to))
	if err != nil {
		return nil, failed(err)
	}
	size := int64(-1)
	var run runOfEntries
	entries := make([][]byte, 0, to-from)
	_, err = pgx.ForEachRow(rows, []any{&size, &run.first, &run.count, &run.data}, func() error {
		if !run.first.Valid {
			return nil
		}
		part, err := run.unpack()
		if err != nil {
			return err
		}
		begin := uint64(run.first.Int64)
		for at := from + uint64(len(entries)); at < to && at >= begin && at-begin < uint64(len(part)); at++ {
			entries = append(entries, part[at-begin])
		}
		return nil
	})
	if err != nil {
		return nil, failed(err)
	}
	if size < 0 {
		return nil, corrupt("there is no head")
	}
	if err := beyond(to, uint64(size)); err != nil {
		return nil, err
	}
	if uint64(len(entries)) != to-from {
		return nil, corrupt("entries %d to %d are not all there", from, to)
	}
	return entries, nil
}

// runOfEntries is a row of the table entries; first is NULL where there is none.
type runOfEntries struct {
	first pgtype.Int8
	count pgtype.Int4
	data  []byte
}

func (r *runOfEntries) unpack() ([][]byte, error) {
	entries, ok := unpackEntries(r.data, r.count.Int32)
	if !ok {
		return nil, corrupt("the row of entries from %d cannot be read", r.first.Int64)
	}
	return entries, nil
}

// entry returns the entry at index, which must be in the run.
func (r *runOfEntries) entry(index uint64) ([]byte, error) {
	entries, err := r.unpack()
	if err != nil {
		return nil, err
	}
	at := index - uint64(r.first.Int64)
	if !r.first.Valid || at >= uint64(len(entries)) {
		return nil, corrupt("entry %d is missing", index)
	}
	return entries[at], nil
}

// selectRow selects all of a row of deposits d; what it should stand beside is NULL where
// it is missing.
const selectRow = `SELECT d.index, d.tenant, d.id, d.case_seq, d.case_prev, d.body, s.secret, e.first, e.count, e.data`

const joinRow = ` LEFT JOIN secrets s ON s.index = d.index
	LEFT JOIN LATERAL (SELECT first, count, data FROM entries WHERE first <= d.index ORDER BY first DESC LIMIT 1) e ON true`

// scanRow reads what selectRow selects.
func scanRow(row pgx.Row) (notary.Row, error) {
	var index pgtype.Int8
	var tenant, id pgtype.UUID
	var seq pgtype.Int8
	var prev, secret []byte
	var body []byte
	var run runOfEntries
	if err := row.Scan(&index, &tenant, &id, &seq, &prev, &body, &secret, &run.first, &run.count, &run.data); err != nil {
		return notary.Row{}, err
	}
	if !index.Valid {
		return notary.Row{}, corrupt("an id leads to a deposit that is missing")
	}
	r, err := makeRow(index, tenant, id, seq, prev, body, secret)
	if err != nil {
		return notary.Row{}, err
	}
	r.Entry, err = run.entry(r.Index)
	return r, err
}

// makeRow is a row, but for its entry, from the columns of its tables.
func makeRow(index pgtype.Int8, tenant, id pgtype.UUID, seq pgtype.Int8, prev, body, secret []byte) (notary.Row, error) {
	r := notary.Row{Body: body}
	r.Index, r.Tenant, r.ID, r.CaseSeq = uint64(index.Int64), tenant.Bytes, id.Bytes, uint64(seq.Int64)
	if secret == nil {
		return notary.Row{}, corrupt("the secrets of row %d are missing", r.Index)
	}
	r.Secrets = secret
	switch {
	case seq.Int64 > 1 && len(prev) == proofs.HashSize:
		r.CasePrev = proofs.Hash(prev)
	case seq.Int64 < 0 || seq.Int64 > 1 || prev != nil:
		return notary.Row{}, corrupt("row %d has no sound place in its case", r.Index)
	}
	return r, nil
}

// Row implements notary.Ledger.
func (l *Ledger) Row(ctx context.Context, index uint64) (notary.Row, error) {
	if index > math.MaxInt64 {
		return notary.Row{}, beyond(index, math.MaxInt64)
	}
	r, err := l.row(ctx, index)
	if !errors.Is(err, pgx.ErrNoRows) {
		return r, failed(err)
	}
	head, err := l.Head(ctx)
	if err != nil {
		return notary.Row{}, err
	}
	if err := beyond(index+1, head.Size); err != nil {
		return notary.Row{}, err
	}
	// It may have been committed since. Below a head that was read before, it is there.
	if r, err = l.row(ctx, index); errors.Is(err, pgx.ErrNoRows) {
		err = corrupt("row %d is missing", index)
	}
	return r, failed(err)
}

func (l *Ledger) row(ctx context.Context, index uint64) (notary.Row, error) {
	return scanRow(l.work.QueryRow(ctx, selectRow+" FROM deposits d"+joinRow+" WHERE d.index = $1", int64(index)))
}

// Rows implements notary.Ledger. The entries come by themselves: they stand in runs, each
// of which would come with every one of its rows.
func (l *Ledger) Rows(ctx context.Context, from, to uint64) ([]notary.Row, error) {
	entries, err := l.Entries(ctx, from, to)
	if err != nil {
		return nil, err
	}
	found, err := l.work.Query(ctx, `SELECT d.index, d.tenant, d.id, d.case_seq, d.case_prev, d.body, s.secret
		FROM deposits d LEFT JOIN secrets s ON s.index = d.index WHERE d.index >= $1 AND d.index < $2 ORDER BY d.index`, int64(from), int64(to))
	if err != nil {
		return nil, failed(err)
	}
	rows := make([]notary.Row, 0, to-from)
	var index, seq pgtype.Int8
	var tenant, id pgtype.UUID
	var prev, body, secret []byte
	_, err = pgx.ForEachRow(found, []any{&index, &tenant, &id, &seq, &prev, &body, &secret}, func() error {
		r, err := makeRow(index, tenant, id, seq, bytes.Clone(prev), bytes.Clone(body), bytes.Clone(secret))
		if err != nil {
			return err
		}
		if at := uint64(len(rows)); at >= to-from || r.Index != from+at {
			return corrupt("row %d is missing", from+at)
		}
		r.Entry = entries[len(rows)]
		rows = append(rows, r)
		return nil
	})
	if err != nil {
		return nil, failed(err)
	}
	if uint64(len(rows)) != to-from {
		return nil, corrupt("rows %d to %d are not all there", from, to)
	}
	return rows, nil
}

// asTenant runs one query as the role that sees this tenant's rows alone, in one round
// trip.
func (l *Ledger) asTenant(ctx context.Context, tenant notary.ID, scan func(pgx.Rows) error, sql string, args ...any) error {
	var b pgx.Batch
	b.Queue("SELECT set_config('muniment.tenant', $1, true)", tenant.String()) // until this transaction ends
	b.Queue(sql, args...).Query(scan)
	return failed(l.reads.SendBatch(ctx, &b).Close())
}

// one is a scan that wants a row, or ErrNotFound.
func one(scan func(pgx.Row) error) func(pgx.Rows) error {
	return func(rows pgx.Rows) error {
		defer rows.Close()
		if !rows.Next() {
			if err := rows.Err(); err != nil {
				return err
			}
			return notary.ErrNotFound
		}
		return scan(rows)
	}
}

// Deposit implements notary.Ledger.
func (l *Ledger) Deposit(ctx context.Context, tenant, id notary.ID) (r notary.Row, err error) {
	err = l.asTenant(ctx, tenant, one(func(row pgx.Row) (err error) {
		if r, err = scanRow(row); err == nil && (r.ID != id || r.Tenant != tenant) {
			err = corrupt("the id %v leads to row %d of another", id, r.Index)
		}
		return err
	}), selectRow+" FROM deposit_id i LEFT JOIN deposits d ON d.index = i.index"+joinRow+" WHERE i.id = $1 AND i.tenant = $2", uuid(id), uuid(tenant))
	if err != nil {
		return notary.Row{}, err
	}
	return r, nil
}

// Operation implements notary.Ledger.
func (l *Ledger) Operation(ctx context.Context, tenant notary.ID, key notary.Term) (notary.Operation, error) {
	found := []notary.Operation{{Tenant: tenant, Key: key}}
	err := l.asTenant(ctx, tenant, func(rows pgx.Rows) error { return scanOperations(rows, found) },
		"SELECT 1::bigint, first, count FROM idempotency WHERE tenant = $1 AND key = $2", uuid(tenant), key[:])
	if err == nil && found[0].Count == 0 {
		err = notary.ErrNotFound
	}
	if err != nil {
		return notary.Operation{}, err
	}
	return found[0], nil
}

// Case implements notary.Ledger.
func (l *Ledger) Case(ctx context.Context, tenant notary.ID, contract notary.Term) (notary.Case, error) {
	found := []notary.Case{{Tenant: tenant, Contract: contract}}
	err := l.asTenant(ctx, tenant, func(rows pgx.Rows) error { return scanCases(rows, found, []int{0}) },
		"SELECT 1::bigint, seq, leaf FROM cases WHERE tenant = $1 AND contract = $2", uuid(tenant), contract[:])
	if err == nil && found[0].Seq == 0 {
		err = notary.ErrNotFound
	}
	if err != nil {
		return notary.Case{}, err
	}
	return found[0], nil
}

// Usage implements notary.Ledger.
func (l *Ledger) Usage(ctx context.Context, tenant notary.ID, month notary.Month) (notary.Usage, error) {
	found := []notary.Usage{{Tenant: tenant, Month: month}}
	err := l.asTenant(ctx, tenant, func(rows pgx.Rows) error { return scanUsages(rows, found) },
		"SELECT 1::bigint, deposits, bytes FROM usages WHERE tenant = $1 AND month = $2", uuid(tenant), int32(month))
	return found[0], err
}

const (
	// Times never decrease with the index, so a time is a place in the log: behind the last
	// run that is older. Were runs missing, it would be too early and not too late, so that
	// the rows they belong to are found and found damaged.
	fromTime  = "greatest($2, coalesce((SELECT first + count FROM entries WHERE time < $3 ORDER BY time DESC, first DESC LIMIT 1), 0))"
	untilTime = "coalesce((SELECT first FROM entries WHERE time >= $4 ORDER BY time, first LIMIT 1), 9223372036854775807)"

	queried = "index >= " + fromTime + " AND index < least($6, " + untilTime + ")"

	selectByTenant = selectRow + ` FROM (SELECT * FROM deposits WHERE tenant = $1 AND ` + queried + ` ORDER BY index LIMIT $5) d` + joinRow + " ORDER BY d.index"
	selectByTerm   = selectRow + ` FROM (SELECT index FROM terms WHERE tenant = $1 AND term = $7 AND ` + queried +
		` ORDER BY index LIMIT $5) t LEFT JOIN deposits d ON d.index = t.index` + joinRow + " ORDER BY t.index"

	selectByTenantBackward = selectRow + ` FROM (SELECT * FROM deposits WHERE tenant = $1 AND ` + queried + ` ORDER BY index DESC LIMIT $5) d` + joinRow + " ORDER BY d.index DESC"
	selectByTermBackward   = selectRow + ` FROM (SELECT index FROM terms WHERE tenant = $1 AND term = $7 AND ` + queried +
		` ORDER BY index DESC LIMIT $5) t LEFT JOIN deposits d ON d.index = t.index` + joinRow + " ORDER BY t.index DESC"
)

// Deposits implements notary.Ledger.
func (l *Ledger) Deposits(ctx context.Context, q notary.Query) (rows []notary.Row, err error) {
	if q.Limit < 1 || q.Limit > 1000 {
		return nil, fmt.Errorf("a limit of %d is not 1 to 1,000", q.Limit)
	}
	if q.From > math.MaxInt64 {
		return nil, ctx.Err()
	}
	since, until, below := int64(math.MinInt64), int64(math.MaxInt64), int64(math.MaxInt64)
	if 0 < q.Below && q.Below < math.MaxInt64 {
		below = int64(q.Below)
	}
	if !q.Since.IsZero() {
		since = ceilMilli(q.Since)
	}
	if !q.Until.IsZero() {
		until = ceilMilli(q.Until)
	}
	sql, args := selectByTenant, []any{uuid(q.Tenant), int64(q.From), since, until, q.Limit, below}
	if q.Backward {
		sql = selectByTenantBackward
	}
	if q.Term != nil {
		sql, args = selectByTerm, append(args, q.Term[:])
		if q.Backward {
			sql = selectByTermBackward
		}
	}
	err = l.asTenant(ctx, q.Tenant, func(found pgx.Rows) error {
		defer found.Close()
		for found.Next() {
			r, err := scanRow(found)
			if err != nil {
				return err
			}
			rows = append(rows, r)
		}
		return found.Err()
	}, sql, args...)
	if err != nil {
		return nil, err
	}
	return rows, nil
}

// ceilMilli is the first whole millisecond that is not before t.
func ceilMilli(t time.Time) int64 {
	ms := t.UnixMilli()
	if time.UnixMilli(ms).Before(t) {
		ms++
	}
	return ms
}

// Publish implements notary.Ledger. Its commit is seen by all at once, and its flush is
// not waited for: the contract lets a crash take the note, and no other waits so often.
func (l *Ledger) Publish(ctx context.Context, size uint64, note []byte) error {
	return l.lightly(ctx, "UPDATE published SET size = $1, note = $2 WHERE size <= $1", int64(size), note)
}

// lightly executes a statement whose commit a crash may forget.
func (l *Ledger) lightly(ctx context.Context, sql string, args ...any) error {
	var b pgx.Batch
	b.Queue(forgettable)
	b.Queue(sql, args...)
	return failed(l.work.SendBatch(ctx, &b).Close())
}

// forgettable begins a transaction whose flush is not waited for. SET LOCAL would do the
// same and have the server log a warning each time.
const forgettable = "SELECT set_config('synchronous_commit', 'off', true)"

// Published implements notary.Ledger.
func (l *Ledger) Published(ctx context.Context) ([]byte, error) {
	var size int64
	var note []byte
	err := l.work.QueryRow(ctx, "SELECT size, note FROM published").Scan(&size, &note)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, corrupt("there is no place for the published note")
	}
	if err != nil {
		return nil, failed(err)
	}
	if size < 0 {
		return nil, notary.ErrNotFound
	}
	return note, nil
}
