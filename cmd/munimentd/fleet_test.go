package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/storage/storagetest/servers"
)

// shared are the servers in which replicas keep a depository.
type shared struct {
	postgres *servers.Postgres
	s3       *servers.S3
}

func share(t *testing.T) shared {
	t.Helper()
	p, err := servers.StartPostgres(filepath.Join(t.TempDir(), "postgres"), servers.PostgresOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	s, err := servers.StartS3(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Kill)
	if err := errors.Join(s.MakeBucket("documents", true), s.MakeBucket("anchor", false)); err != nil {
		t.Fatal(err)
	}
	return shared{p, s}
}

// layout makes a depository in the servers, which it reaches at these addresses, with what
// more there is to say in its settings. No process may tell the secrets by which it does.
func (s shared) layout(t *testing.T, database, store string, more ...string) *laidOut {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "depository")
	settings := fmt.Sprintf(`
ledger: {engine: postgres, postgres: {url: %q}}
blobs: {engine: s3, s3: {endpoint: %q, bucket: documents, access-key: %q, secret-key: %q, retention: 1d, retention-mode: GOVERNANCE}}
anchors: [s3, postgres]
anchor: {s3: {bucket: anchor}}
canary: 0s
`, database, store, s.s3.AccessKey, s.s3.SecretKey) + strings.Join(more, "\n")
	if err := errors.Join(os.Mkdir(dir, 0o700), os.WriteFile(filepath.Join(dir, configName), []byte(settings), 0o600)); err != nil {
		t.Fatal(err)
	}
	d := layoutIn(t, dir)
	password := strings.Split(strings.TrimPrefix(s.postgres.URL(), "postgres://muniment:"), "@")[0]
	t.Cleanup(func() {
		if said := d.said.String(); strings.Contains(said, password) || strings.Contains(said, s.s3.SecretKey) {
			t.Error("a server's secret was told")
		}
	})
	return d
}

// fleet is the replicas of one depository. As a transport it is their load balancer, and
// not a clever one: each request goes to the next, whether that is up or not.
type fleet struct {
	*laidOut
	processes []*process
	up        []*atomic.Pointer[client] // nil: down
	turn      atomic.Uint64
}

func (d *laidOut) fleet(t *testing.T, replicas int) *fleet {
	t.Helper()
	f := &fleet{laidOut: d}
	t.Cleanup(func() {
		for i, p := range f.processes {
			if t.Failed() && p != nil {
				lines := slices.DeleteFunc(strings.SplitAfter(p.out.String(), "\n"), func(line string) bool {
					return strings.Contains(line, " msg=request ") || strings.Contains(line, "a request failed")
				})
				t.Logf("the last that replica %d said, requests left out:\n%s", i, strings.Join(lines[max(0, len(lines)-50):], ""))
			}
		}
	})
	for i := range replicas {
		f.processes, f.up = append(f.processes, nil), append(f.up, &atomic.Pointer[client]{})
		f.start(t, i)
	}
	return f
}

func (f *fleet) start(t *testing.T, i int) {
	t.Helper()
	f.processes[i] = f.serve(t)
	f.up[i].Store(f.client(f.processes[i]))
}

// kill ends a replica without a warning.
func (f *fleet) kill(i int) {
	f.up[i].Store(nil)
	f.processes[i].kill()
}

var errDown = errors.New("this replica is down")

// RoundTrip implements http.RoundTripper.
func (f *fleet) RoundTrip(r *http.Request) (*http.Response, error) {
	c := f.up[f.turn.Add(1)%uint64(len(f.up))].Load()
	if c == nil {
		return nil, errDown
	}
	r = r.Clone(r.Context())
	r.URL.Host = strings.TrimPrefix(c.url, "http://")
	return c.http.Transport.RoundTrip(r)
}

// balanced is a client before which the fleet is one server.
func (f *fleet) balanced() *client {
	return &client{f.laidOut, "http://replicas", &http.Client{Timeout: 30 * time.Second, Transport: f}}
}

// sealer waits until one replica seals, and returns which.
func (f *fleet) sealer(t *testing.T) int {
	t.Helper()
	for range 20 {
		var seal []int
		for i := range f.up {
			if c := f.up[i].Load(); c != nil && c.metrics(t).value("muniment_sealer") == 1 {
				seal = append(seal, i)
			}
		}
		if len(seal) == 1 { // a page is a second old: two may stand on it
			return seal[0]
		}
	}
	t.Fatal("no replica seals")
	return 0
}

// stop ends all as an operator does, and demands that everything fits.
func (f *fleet) stop(t *testing.T) {
	t.Helper()
	for _, p := range f.processes {
		p.stop(t)
	}
	f.clean(t)
}

// alive fails the test if a writer has failed, or a replica has ended that nobody killed.
func (f *fleet) alive(t *testing.T, l *lenders) {
	t.Helper()
	select {
	case err := <-l.failed:
		t.Fatal(err)
	default:
	}
	for i, p := range f.processes {
		select {
		case <-p.ended:
			t.Fatalf("replica %d ended by itself, with %d: %s", i, p.cmd.ProcessState.ExitCode(), p.out)
		default:
		}
	}
}

// witnesses are outsiders who keep every checkpoint: one at each replica, and one who
// asks them all in turn and must never be shown an older one after a newer.
type witnesses struct {
	all    []*recorder
	enough context.CancelFunc
	watch  sync.WaitGroup
}

func (f *fleet) witness(t *testing.T) *witnesses {
	ctx, enough := context.WithCancel(t.Context())
	w := &witnesses{enough: enough}
	round := &atomic.Pointer[client]{}
	round.Store(f.balanced())
	for _, at := range append(slices.Clone(f.up), round) {
		r := &recorder{d: f.laidOut, roots: map[uint64]proofs.Hash{}, patient: true}
		w.all = append(w.all, r)
		w.watch.Go(func() { r.watch(ctx, at) })
	}
	t.Cleanup(func() { enough(); w.watch.Wait() })
	return w
}

// account ends the watching, and demands that all that was seen, and every checkpoint
// under a receipt, is one log. It returns how many they were.
func (w *witnesses) account(t *testing.T, j *journal, c *client) int {
	t.Helper()
	w.enough()
	w.watch.Wait()
	one := &recorder{roots: map[uint64]proofs.Hash{}}
	for _, r := range w.all {
		if r.wrong != nil {
			t.Error(r.wrong)
		}
		for size, root := range r.roots {
			one.add(proofs.Checkpoint{Size: size, Root: root})
		}
	}
	for _, a := range j.since(0) {
		one.add(a.checkpoint)
	}
	if one.wrong != nil {
		t.Error(one.wrong)
	}
	newest, err := c.checkpoint()
	if err != nil {
		t.Fatal(err)
	}
	tiles := remembered{c, map[string]*proofs.Tile{}}
	for _, size := range slices.Sorted(maps.Keys(one.roots)) {
		path, err := proofs.ConsistencyProof(size, newest.Size, tiles)
		if err == nil {
			err = proofs.VerifyConsistency(path, size, newest.Size, one.roots[size], newest.Root)
		}
		if err != nil {
			t.Fatalf("the checkpoint of %d that was seen, and that of %d: %v", size, newest.Size, err)
		}
	}
	return len(one.roots)
}
