package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/jackc/pgx/v5"
	"github.com/rs/zerolog"

	"github.com/muniment/muniment/service/api"
)

// TestPostgresStops is I10: PostgreSQL crashes, and its backends are killed, under load.
// No receipt is false, no key has two entries, and all replicas are ready within three
// seconds of its return.
func TestPostgresStops(t *testing.T) {
	s := share(t)
	f := s.layout(t, s.postgres.URL(), s.s3.Endpoint).fleet(t, 2)
	l, w := f.lend(t), f.witness(t)
	l.now.Store(f.balanced())
	var took []time.Duration
	outages := rounds(3, 100)
	for n := range outages {
		time.Sleep(time.Duration(rand.IntN(1000)) * time.Millisecond)
		f.killBackends(t, s)
		time.Sleep(time.Duration(500+rand.IntN(500)) * time.Millisecond)
		if err := s.postgres.Stop("immediate"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(n*1500) * time.Millisecond % (12 * time.Second))
		if err := s.postgres.Start(); err != nil {
			t.Fatal(err)
		}
		s.accepts(t)
		took = append(took, f.resumes(t, l))
	}
	slices.Sort(took)
	median, slowest := took[len(took)/2], took[len(took)-1]
	receipts, _ := l.account(t)
	seen := w.account(t, l.journal, l.now.Load())
	f.stop(t)
	t.Logf("%d outages, %d receipts, none lost; %d checkpoints seen, one log; ready again after %v (median), %v at most", outages, receipts, seen, median, slowest)
	// Whose disk is busy with other work recovers its database more slowly now and then.
	if median >= 3*time.Second || slowest >= 10*time.Second {
		t.Errorf("ready again only after %v (median), %v at most", median, slowest)
	}
}

// accepts waits until PostgreSQL takes connections again: how long it recovers is its own and
// its disk's affair.
func (s shared) accepts(t *testing.T) {
	t.Helper()
	until(t, time.Minute, "PostgreSQL does not come back", func() bool {
		c, err := pgx.Connect(t.Context(), s.postgres.URL())
		if err != nil {
			return false
		}
		return c.Close(t.Context()) == nil
	})
}

// killBackends ends every connection of the replicas, in whatever it is.
func (f *fleet) killBackends(t *testing.T, s shared) {
	t.Helper()
	c, err := pgx.Connect(t.Context(), s.postgres.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(t.Context())
	tag, err := c.Exec(t.Context(), "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'muniment' AND pid <> pg_backend_pid()")
	if err != nil || tag.RowsAffected() == 0 {
		t.Fatalf("%d backends killed: %v", tag.RowsAffected(), err)
	}
}

// resumes waits until all replicas are ready and every writer has a receipt more, and
// returns how long the first took.
func (f *fleet) resumes(t *testing.T, l *lenders) time.Duration {
	t.Helper()
	before := len(l.since(0))
	var last []api.Health
	defer func() {
		if t.Failed() {
			t.Logf("the last that /readyz said: %+v", last)
		}
	}()
	took := until(t, 30*time.Second, "ready again", func() bool {
		f.alive(t, l)
		last = last[:0]
		for i := range f.up {
			last = append(last, f.up[i].Load().ready(t))
		}
		return !slices.ContainsFunc(last, func(h api.Health) bool { return h.Status != "ready" })
	})
	until(t, 30*time.Second, "depositing again", func() bool {
		f.alive(t, l)
		return len(l.since(before)) > writers
	})
	return took
}

// TestPostgresFailsOver: the primary dies under load and its synchronous standby is
// promoted. What was acknowledged is there, on one log, and whether a second copy is
// kept stands in /readyz.
func TestPostgresFailsOver(t *testing.T) {
	s := share(t)
	standby, err := s.postgres.Standby(t.TempDir() + "/standby")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(standby.Close)
	both := strings.Replace(s.postgres.URL(), s.postgres.Addr(), s.postgres.Addr()+","+standby.Addr(), 1) + "&target_session_attrs=read-write"
	f := s.layout(t, both, s.s3.Endpoint).fleet(t, 2)
	if h := f.up[0].Load().ready(t); len(h.Notes) > 0 {
		t.Errorf("with a standby /readyz notes %q", h.Notes)
	}
	l, w := f.lend(t), f.witness(t)
	l.now.Store(f.balanced())
	until(t, 30*time.Second, "under load", func() bool { return len(l.since(0)) > 10*writers })
	if err := s.postgres.Stop("immediate"); err != nil {
		t.Fatal(err)
	}
	if err := standby.Promote(); err != nil {
		t.Fatal(err)
	}
	took := f.resumes(t, l)
	if h := f.up[0].Load().ready(t); !slices.Equal(h.Notes, []string{"single-copy"}) {
		t.Errorf("without a standby /readyz notes %q", h.Notes)
	}
	receipts, _ := l.account(t)
	seen := w.account(t, l.journal, l.now.Load())
	f.stop(t)
	t.Logf("%d receipts, none lost; %d checkpoints seen, one log; ready %v after the promotion", receipts, seen, took)
}

// outages are what befalls the way to S3, in toxiproxy's words.
var outages = []struct {
	name   string
	toxics []string
}{
	{"swallowed", []string{`{"type": "timeout", "stream": "downstream", "attributes": {"timeout": 0}}`}},
	{"cut in the request", []string{`{"type": "limit_data", "stream": "upstream", "attributes": {"bytes": 20000}}`}},
	{"down", nil},
	{"cut in the answer", []string{`{"type": "limit_data", "stream": "downstream", "attributes": {"bytes": 0}}`}},
	{"slow", []string{`{"type": "bandwidth", "stream": "upstream", "attributes": {"rate": 1}}`}},
	{"reset", []string{`{"type": "reset_peer", "attributes": {"timeout": 0}}`}},
}

// TestS3Down is I12 on the real server: while S3 fails, each deposit ends within 30
// seconds, refused or with a receipt that holds; afterwards the same process takes them
// by itself, once under each key, and nothing is left running.
func TestS3Down(t *testing.T) {
	s := share(t)
	way := s.way(t, "127.0.0.1:0")
	defer func() { way.Stop() }()
	d := s.layout(t, s.postgres.URL(), "http://"+way.Listen)
	f := d.fleet(t, 1)
	c, j := f.up[0].Load(), d.keeping()
	c.http.Timeout = 2 * answered // it is the server that must end it
	if _, err := j.depositAll(c, "before"); err != nil {
		t.Fatal(err)
	}
	c.http.CloseIdleConnections()
	baseline := c.metrics(t).value("go_goroutines")
	for _, o := range outages[:rounds(2, len(outages))] {
		t.Run(o.name, func(t *testing.T) {
			if o.toxics == nil {
				way.Stop()
			}
			for _, toxic := range o.toxics {
				if _, err := way.Toxics.AddToxicJson(strings.NewReader(toxic)); err != nil {
					t.Fatal(err)
				}
			}
			begun := time.Now()
			refused, err := j.depositAll(c, o.name)
			took := time.Since(begun)
			if err != nil || refused == 0 {
				t.Errorf("%d refused: %v", refused, err)
			}
			way.Stop()
			way = s.way(t, way.Listen)
			ready := until(t, 30*time.Second, "ready again", func() bool { return c.ready(t).Status == "ready" })
			if refused, err := j.depositAll(c, o.name); err != nil || refused > 0 {
				t.Errorf("afterwards %d are refused: %v", refused, err)
			}
			c.http.CloseIdleConnections()
			left := 0.0
			until(t, time.Minute, "rid of its goroutines", func() bool {
				left = c.metrics(t).value("go_goroutines")
				return left <= baseline+10
			})
			t.Logf("%d refused within %v; ready again after %v; %v goroutines, and %v before", refused, took, ready, left, baseline)
		})
	}
	all := j.since(0)
	cp, entries := c.whole(t)
	if cp.Size != uint64(1+len(all)) {
		t.Errorf("%d entries for %d keys", cp.Size-1, len(all))
	}
	if err := j.checkAll(c, all, entries); err != nil {
		t.Error(err)
	}
	f.stop(t)
}

// answered is how soon: the 30 seconds after which the server answers that it could not,
// and what a busy machine takes to say so.
const answered = 31 * time.Second

// way is a way to S3 from an address, in which nothing goes wrong yet.
func (s shared) way(t *testing.T, listen string) *toxiproxy.Proxy {
	t.Helper()
	rig := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	way := toxiproxy.NewProxy(rig, "s3", listen, strings.TrimPrefix(s.s3.Endpoint, "http://"))
	if err := way.Start(); err != nil {
		t.Fatal(err)
	}
	return way
}

// depositAll makes deposits of each kind side by side, verifies the receipts of those
// that were taken and not journaled yet, and returns how many were refused, as they may
// be. No answer, or a late one, is an error.
func (j *journal) depositAll(c *client, name string) (refused int, err error) {
	var mu sync.Mutex
	var all sync.WaitGroup
	for n := range 6 {
		all.Go(func() {
			a := &acknowledged{key: fmt.Sprintf("%s-%d", name, n), contract: "LC-1", original: n > 1, text: name + strings.Repeat(".", n*20_000)}
			begun := time.Now()
			got, e := a.send(c)
			if took := time.Since(begun); took > answered {
				e = fmt.Errorf("%s was answered after %v: %w", a.key, took, errors.Join(e, errNotServed))
			}
			if e == nil && !j.has(a.key) {
				e = j.keep(a, got)
			}
			mu.Lock()
			defer mu.Unlock()
			p := new(problem)
			if !errors.Is(e, errNotServed) && errors.As(e, &p) && p.Retry {
				refused++
				return
			}
			err = errors.Join(err, e)
		})
	}
	all.Wait()
	return refused, err
}

// has reports whether a receipt came for that key.
func (j *journal) has(key string) bool {
	return slices.ContainsFunc(j.since(0), func(a *acknowledged) bool { return a.key == key })
}
