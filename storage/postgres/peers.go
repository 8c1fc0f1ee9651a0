package postgres

import (
	"context"
	"strconv"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/muniment/muniment/notary"
)

// Lead implements notary.Peers. The lease is politeness, so its commit is not waited for:
// a crash may forget it, and another sealer then begins sooner.
func (l *Ledger) Lead(ctx context.Context, holder notary.ID, lease time.Duration) (bool, error) {
	var b pgx.Batch
	b.Queue(forgettable)
	var leads bool
	b.Queue(`UPDATE lease SET holder = $1, until = clock_timestamp() + $2::bigint * interval '1 microsecond'
		WHERE holder = $1 OR until <= clock_timestamp() RETURNING true`, uuid(holder), lease.Microseconds()).
		Query(func(rows pgx.Rows) error {
			_, err := pgx.ForEachRow(rows, []any{&leads}, func() error { return nil })
			return err
		})
	err := l.work.SendBatch(ctx, &b).Close()
	return leads && err == nil, failed(err)
}

// Resign implements notary.Peers.
func (l *Ledger) Resign(ctx context.Context, holder notary.ID) error {
	_, err := l.work.Exec(ctx, "UPDATE lease SET until = '-infinity', holder = '00000000-0000-0000-0000-000000000000' WHERE holder = $1", uuid(holder))
	return failed(err)
}

// Announce implements notary.Peers, by NOTIFY in a transaction of its own: within the one
// that commits, its lock would let no other commit at the same time. It is held for as
// long as the commit takes, so no flush is waited for; nothing is kept of it anyway.
func (l *Ledger) Announce(ctx context.Context, news notary.News) error {
	return l.lightly(ctx, "SELECT pg_notify($1, $2)", l.channel(), strconv.Itoa(int(news)))
}

func (l *Ledger) channel() string { return "muniment_" + l.schema }

// listener is the connection that hears announcements.
type listener struct {
	mu   sync.Mutex // held by who listens
	conn *pgx.Conn  // nil: not connected
}

func (p *listener) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.drop()
}

func (p *listener) drop() {
	if p.conn != nil {
		abandon(p.conn)
		p.conn = nil
	}
}

// Listen implements notary.Peers.
func (l *Ledger) Listen(ctx context.Context) (notary.News, error) {
	p := &l.peers
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.conn == nil {
		if err := l.listen(ctx); err != nil {
			return 0, err
		}
	}
	heard, err := p.conn.WaitForNotification(ctx)
	if err != nil && (ctx.Err() == nil || p.conn.IsClosed()) {
		p.drop()
	}
	switch {
	case err != nil && ctx.Err() != nil:
		return 0, ctx.Err()
	case err != nil:
		return 0, err
	}
	news, err := strconv.ParseUint(heard.Payload, 10, 8)
	if err != nil { // not from here: whatever it may be, who looks at everything misses nothing
		return notary.NewsCommitted | notary.NewsPublished, nil
	}
	return notary.News(news), nil
}

// listen connects. It does not take part in the pools, where a connection that says
// nothing for long would be in the way.
func (l *Ledger) listen(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	// Connecting may take longer than one Listen: it must not begin anew each time.
	connecting, cancel := context.WithTimeout(context.WithoutCancel(ctx), connectTimeout)
	defer cancel()
	config := l.work.Config()
	conn, err := pgx.ConnectConfig(connecting, config.ConnConfig)
	if err != nil {
		return err
	}
	err = config.AfterConnect(connecting, conn)
	if err == nil {
		_, err = conn.Exec(connecting, "LISTEN "+pgx.Identifier{l.channel()}.Sanitize())
	}
	if err != nil {
		abandon(conn)
		return err
	}
	l.peers.conn = conn
	return nil
}
