package postgres

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/proofs"
)

// WriteTrail implements notary.Trail, in two round trips: the lock, then pages, head and
// COMMIT.
func (l *Ledger) WriteTrail(ctx context.Context, build func(notary.TrailHead, time.Time) (*notary.TrailBatch, error)) error {
	conn, err := l.work.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release() // which closes it, if a transaction is open or its state unknown
	var head notary.TrailHead
	var now time.Time
	var lock pgx.Batch
	lock.Queue("BEGIN")
	lock.Queue("SELECT 1 FROM trail_head FOR UPDATE").Exec(func(tag pgconn.CommandTag) error {
		if tag.RowsAffected() != 1 {
			return corrupt("the trail has no head")
		}
		return nil
	})
	lock.Queue(selectTrailHead).QueryRow(func(row pgx.Row) (err error) {
		head, now, err = readTrailHead(row)
		return err
	})
	if err := conn.Conn().SendBatch(ctx, &lock).Close(); err != nil {
		abandon(conn.Conn())
		return failed(err)
	}
	b, err := build(head, now)
	if err == nil && b != nil {
		if err = b.Continues(head); err != nil {
			err = fmt.Errorf("batch refused: %w", err)
		}
	}
	if err != nil || b == nil {
		leave(ctx, conn.Conn())
		return err
	}
	if err := commitTrail(ctx, conn.Conn(), b); err != nil {
		abandon(conn.Conn())
		return failed(err)
	}
	return nil
}

func commitTrail(ctx context.Context, conn *pgx.Conn, batch *notary.TrailBatch) error {
	var b pgx.Batch
	if n := len(batch.Pages); n > 0 {
		days, numbers, events := make([]time.Time, n), make([]int64, n), make([]int32, n)
		tenants, texts := make(column, n), make(column, n)
		for i := range batch.Pages {
			p := &batch.Pages[i]
			days[i], numbers[i], events[i] = p.Day.Begin(), int64(p.Number), int32(p.Events)
			tenants[i], texts[i] = p.Tenant[:], p.Text
		}
		b.Queue("INSERT INTO trail (day, number, tenant, events, text) SELECT * FROM unnest($1::date[], $2::bigint[], $3::uuid[], $4::int[], $5::bytea[])",
			days, numbers, tenants.uuids(), events, texts.bytes())
	}
	if c := batch.Closed; c != nil {
		b.Queue("INSERT INTO trail_days (day, pages, events, root) VALUES ($1, $2, $3, $4)", c.Day.Begin(), int64(c.Pages), int64(c.Events), c.Root[:])
	}
	h := batch.Head
	queueExactly(&b, 1, "UPDATE trail_head SET day = $1, pages = $2, events = $3, peaks = $4, time = $5",
		h.Day.Begin(), int64(h.Pages), int64(h.Events), joined(h.Peaks), h.Time.UnixMilli())
	b.Queue("COMMIT").Exec(committed)
	delete(conn.PgConn().CustomData(), warned)
	if err := conn.SendBatch(ctx, &b).Close(); err != nil {
		return err
	}
	return withoutWarning(conn)
}

const selectTrailHead = "SELECT day, pages, events, peaks, time, clock_timestamp() FROM trail_head"

func readTrailHead(row pgx.Row) (h notary.TrailHead, now time.Time, err error) {
	var day time.Time
	var pages, events, at int64
	var peaks []byte
	if err := row.Scan(&day, &pages, &events, &peaks, &at, &now); err != nil {
		return h, now, err
	}
	h = notary.TrailHead{Day: notary.DayOf(day), Pages: uint64(pages), Events: uint64(events), Time: time.UnixMilli(at).UTC()}
	var whole bool
	if h.Peaks, whole = split(peaks); !whole || proofs.RangeOf(h.Pages, h.Peaks) == nil {
		return h, now, corrupt("the head of the trail")
	}
	return h, now.UTC(), nil
}

// TrailHead implements notary.Trail.
func (l *Ledger) TrailHead(ctx context.Context) (notary.TrailHead, error) {
	h, _, err := readTrailHead(l.work.QueryRow(ctx, selectTrailHead))
	return h, failed(err)
}

// TrailPages implements notary.Trail. Pages of one tenant are read by the role that sees no
// other's.
func (l *Ledger) TrailPages(ctx context.Context, r notary.TrailRange) (pages []notary.TrailPage, err error) {
	if r.Limit < 1 || r.Limit > 1000 {
		return nil, fmt.Errorf("a limit of %d is not 1 to 1,000", r.Limit)
	}
	const sql = "SELECT day, number, tenant, events, text FROM trail WHERE (day, number) >= ($1, $2) AND day <= $3"
	from, until, number := r.Day.Begin(), r.Until.Begin(), int64(min(r.Number, math.MaxInt64))
	scan := func(rows pgx.Rows) (err error) {
		pages, err = pgx.CollectRows(rows, scanTrailPage)
		return err
	}
	if r.Tenant != nil {
		err := l.asTenant(ctx, *r.Tenant, scan, sql+" AND tenant = $5 ORDER BY day, number LIMIT $4", from, number, until, r.Limit, uuid(*r.Tenant))
		return pages, err
	}
	rows, err := l.work.Query(ctx, sql+" ORDER BY day, number LIMIT $4", from, number, until, r.Limit)
	if err == nil {
		err = scan(rows)
	}
	return pages, failed(err)
}

func scanTrailPage(row pgx.CollectableRow) (p notary.TrailPage, err error) {
	var day time.Time
	var number int64
	var tenant pgtype.UUID
	var events int32
	err = row.Scan(&day, &number, &tenant, &events, &p.Text)
	p.Day, p.Number, p.Tenant, p.Events = notary.DayOf(day), uint64(number), tenant.Bytes, uint32(events)
	return p, err
}

// TrailDays implements notary.Trail.
func (l *Ledger) TrailDays(ctx context.Context, from notary.Day, limit int) ([]notary.TrailDay, error) {
	if limit < 1 || limit > 1000 {
		return nil, fmt.Errorf("a limit of %d is not 1 to 1,000", limit)
	}
	rows, err := l.work.Query(ctx, "SELECT day, pages, events, root FROM trail_days WHERE day >= $1 ORDER BY day LIMIT $2", from.Begin(), limit)
	if err != nil {
		return nil, failed(err)
	}
	days, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (d notary.TrailDay, err error) {
		var day time.Time
		var pages, events int64
		var root []byte
		if err := row.Scan(&day, &pages, &events, &root); err != nil {
			return d, err
		}
		d = notary.TrailDay{Day: notary.DayOf(day), Pages: uint64(pages), Events: uint64(events)}
		if len(root) != proofs.HashSize {
			return d, corrupt("the root of the trail of %s", d.Day)
		}
		d.Root = proofs.Hash(root)
		return d, nil
	})
	return days, failed(err)
}
