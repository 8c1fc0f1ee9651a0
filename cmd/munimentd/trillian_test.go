package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/storage/postgres"
	"github.com/muniment/muniment/storage/storagetest/servers"
	"github.com/muniment/muniment/storage/trillian"
)

const embeddedTrillian = "trillian: {mode: embedded}\n"

// opinions is an outside recorder of a log and its second tree: whatever checkpoint it is
// shown, the second tree must have it by then.
type opinions struct {
	tree   notary.SecondTree
	stop   context.CancelFunc
	watch  sync.WaitGroup
	seen   int
	newest proofs.Checkpoint
	wrong  error
}

// record watches a log, at whichever client is in at, until account is called.
func (d *laidOut) record(t *testing.T, tree notary.SecondTree, at func() *client) *opinions {
	ctx, stop := context.WithCancel(t.Context())
	o := &opinions{tree: tree, stop: stop}
	o.watch.Go(func() {
		for ctx.Err() == nil {
			o.look(ctx, at())
		}
	})
	t.Cleanup(func() { stop(); o.watch.Wait() })
	return o
}

func (o *opinions) look(ctx context.Context, c *client) {
	time.Sleep(5 * time.Millisecond)
	if c == nil {
		return
	}
	cp, err := c.checkpoint()
	if err != nil || cp == o.newest {
		return
	}
	for ctx.Err() == nil && o.wrong == nil { // Trillian may be down by now; it must say so when it is back
		tree, err := o.tree.Head(ctx)
		if err != nil {
			time.Sleep(50 * time.Millisecond)
			continue
		}
		if tree.Size < cp.Size || tree.Size == cp.Size && tree.Root != cp.Root {
			o.wrong = fmt.Errorf("a checkpoint of %d entries with root %s was signed, and the second tree has %d with root %s", cp.Size, cp.Root, tree.Size, tree.Root)
		}
		o.seen, o.newest = o.seen+1, cp
		return
	}
}

// account ends the watching, demands that nothing was signed that the second tree did not
// have, and returns how many checkpoints were seen.
func (o *opinions) account(t *testing.T) int {
	t.Helper()
	o.stop()
	o.watch.Wait()
	if o.wrong != nil {
		t.Error(o.wrong)
	}
	if o.seen < 10 {
		t.Errorf("only %d checkpoints were seen", o.seen)
	}
	return o.seen
}

// embeddedTree opens the second tree of a depository beside it.
func (s shared) embeddedTree(t *testing.T, d *laidOut) *trillian.Log {
	t.Helper()
	log, err := trillian.OpenEmbedded(t.Context(), d.Origin, postgres.Config{URL: s.postgres.URL(), Schema: "muniment", Connections: 5, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { log.Close() })
	return log
}

// TestTrillianUnderKills: replicas with Trillian in their processes, and PostgreSQL beneath
// both trees, are killed at random under load. Agreement comes back by itself, nothing is
// signed without it, and every receipt verifies.
func TestTrillianUnderKills(t *testing.T) {
	t.Parallel()
	s := share(t)
	d := s.layout(t, s.postgres.URL(), s.s3.Endpoint, embeddedTrillian)
	f := d.fleet(t, 2)
	tree := s.embeddedTree(t, d)
	var turn atomic.Uint64
	o := d.record(t, tree, func() *client { return f.up[turn.Add(1)%2].Load() })
	l, w := f.lend(t), f.witness(t)
	l.now.Store(f.balanced())
	kills := rounds(2, 100)
	for kill := range kills {
		time.Sleep(time.Duration(500+rand.IntN(1500)) * time.Millisecond)
		f.alive(t, l)
		if kill%2 == 1 {
			if err := errors.Join(s.postgres.Stop("immediate"), s.postgres.Start()); err != nil {
				t.Fatal(err)
			}
			f.resumes(t, l)
			continue
		}
		victim := f.sealer(t)
		f.kill(victim)
		time.Sleep(time.Duration(rand.IntN(1500)) * time.Millisecond)
		f.start(t, victim)
	}
	f.resumes(t, l)
	receipts, _ := l.account(t)
	seen := w.account(t, l.journal, l.now.Load())
	opinions := o.account(t)
	for _, p := range f.processes {
		p.stop(t)
	}
	if code, out := d.run(t, "fsck", "--trillian", "--dir", d.Dir); code != 0 || !strings.Contains(out, "CLEAN") || !strings.Contains(out, "leaves compared") {
		t.Errorf("fsck --trillian: %d, %s", code, out)
	}
	t.Logf("%d kills, %d receipts, none lost; %d checkpoints seen, one log; Trillian had each of %d", kills, receipts, seen, opinions)
}

// TestTrillianOfASupervisor: the same with the stock log server and signer, over TLS, each
// killed at random.
func TestTrillianOfASupervisor(t *testing.T) {
	t.Parallel()
	s := share(t)
	theirs, err := servers.StartTrillian(filepath.Join(t.TempDir(), "trillian"), s.postgres)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(theirs.Close)
	d := s.layout(t, s.postgres.URL(), s.s3.Endpoint, fmt.Sprintf("trillian: {mode: remote, address: %q, ca: %q}\n", theirs.Address, theirs.CA))
	f := d.fleet(t, 2)
	tree, err := trillian.OpenRemote(d.Origin, trillian.RemoteConfig{Address: theirs.Address, CA: theirs.CA})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tree.Close() })
	var turn atomic.Uint64
	o := d.record(t, tree, func() *client { return f.up[turn.Add(1)%2].Load() })
	l, w := f.lend(t), f.witness(t)
	l.now.Store(f.balanced())
	kills := rounds(3, 150)
	for kill := range kills {
		time.Sleep(time.Duration(500+rand.IntN(1500)) * time.Millisecond)
		f.alive(t, l)
		switch kill % 3 {
		case 0:
			theirs.KillServer()
			time.Sleep(time.Duration(rand.IntN(3000)) * time.Millisecond)
			err = theirs.StartServer()
		case 1:
			theirs.KillSigner()
			time.Sleep(time.Duration(rand.IntN(3000)) * time.Millisecond)
			err = theirs.StartSigner()
		default:
			victim := f.sealer(t)
			f.kill(victim)
			f.start(t, victim)
		}
		if err != nil {
			t.Fatal(err)
		}
		f.resumes(t, l)
	}
	receipts, _ := l.account(t)
	seen := w.account(t, l.journal, l.now.Load())
	opinions := o.account(t)
	for _, p := range f.processes {
		p.stop(t)
	}
	if code, out := d.run(t, "fsck", "--trillian", "--dir", d.Dir); code != 0 || !strings.Contains(out, "leaves compared") {
		t.Errorf("fsck --trillian: %d, %s", code, out)
	}
	t.Logf("%d kills, %d receipts, none lost; %d checkpoints seen, one log; Trillian had each of %d", kills, receipts, seen, opinions)
}

// TestTrillianHeld: while Trillian's own tables are locked nothing is sealed, callers are
// told, and everything goes on by itself.
func TestTrillianHeld(t *testing.T) {
	t.Parallel()
	s := share(t)
	d := s.layout(t, s.postgres.URL(), s.s3.Endpoint, embeddedTrillian)
	f := d.fleet(t, 1)
	c := f.up[0].Load()
	j := f.keeping()
	deposit := func(key string) error {
		a := &acknowledged{key: key, contract: "LC-1", text: "a contract " + key}
		got, err := a.send(c)
		if err == nil {
			err = j.keep(a, got)
		}
		return err
	}
	if err := deposit("before"); err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.Connect(t.Context(), s.postgres.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	tx, err := conn.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), "LOCK TABLE muniment.treehead IN ACCESS EXCLUSIVE MODE"); err != nil {
		t.Fatal(err)
	}
	before, err := c.checkpoint()
	if err != nil {
		t.Fatal(err)
	}
	var held sync.WaitGroup
	held.Go(func() { _ = deposit("held") }) // it is committed, and waits
	until(t, 20*time.Second, "unready by name", func() bool {
		return slices.Contains(c.ready(t).Problems, "second-opinion")
	})
	if err := deposit("refused"); err == nil || !strings.Contains(err.Error(), "second-opinion") {
		t.Errorf("a deposit meanwhile: %v", err)
	}
	if now, err := c.checkpoint(); err != nil || now != before {
		t.Errorf("sealed while Trillian was held: %v after %v, %v", now, before, err)
	}
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	held.Wait()
	until(t, 30*time.Second, "ready again", func() bool { return c.ready(t).Status == "ready" })
	for _, key := range []string{"held", "refused", "after"} {
		if err := deposit(key); err != nil {
			t.Error(err)
		}
	}
	if got := c.metrics(t).value("muniment_trillian_agreement"); got != 1 {
		t.Errorf("agreement is %v", got)
	}
	f.stop(t)
}

// TestTrillianCommands: status, fsck and doctor tell of a second tree that is flipped, ahead
// and gone; serve refuses the first two; rebuild mends what may be mended.
func TestTrillianCommands(t *testing.T) {
	t.Parallel()
	s := share(t)
	d := s.layout(t, s.postgres.URL(), s.s3.Endpoint, embeddedTrillian)
	f := d.fleet(t, 1)
	j := f.keeping()
	d.deposits(t, f.processes[0], j, 0, 20)
	expect := func(code int, word string, args ...string) {
		t.Helper()
		if got, out := d.run(t, append(args, "--dir", d.Dir)...); got != code || !strings.Contains(out, word) {
			t.Errorf("%v ends with %d, not %d, and says no %q:\n%s", args, got, code, word, out)
		}
	}
	expect(0, "AGREES", "trillian", "status")
	expect(0, "21 leaves compared", "fsck", "--trillian")
	expect(0, "the second tree of 21 entries agrees", "doctor")
	expect(0, "a second tree of 21 entries", "trillian", "rebuild") // beside the running one
	d.deposits(t, f.processes[0], j, 1, 3)
	f.processes[0].stop(t)

	// A byte of a leaf that Trillian keeps is flipped: named, and no reason not to seal.
	s.sql(t, "UPDATE muniment.leafdata SET leafvalue = set_byte(leafvalue, 60, get_byte(leafvalue, 60) # 1) WHERE leafidentityhash = (SELECT leafidentityhash FROM muniment.sequencedleafdata WHERE sequencenumber = 17)")
	expect(exitFound, "17", "fsck", "--trillian")
	expect(0, "is in force", "trillian", "rebuild")
	expect(0, "24 leaves compared", "fsck", "--trillian")

	// A byte of an older row of the ledger is flipped: named by fsck, and by who reads it.
	const flipped = "UPDATE muniment.entries SET data = set_byte(data, 10, get_byte(data, 10) # 1) WHERE first = (SELECT max(first) FROM muniment.entries WHERE first <= 5)"
	s.sql(t, flipped)
	code, out := d.run(t, "fsck", "--trillian", "--dir", d.Dir)
	if code != exitFound || !strings.Contains(out, "the second tree has leaf") {
		t.Errorf("fsck after a flip in the ledger: %d, %s", code, out)
	}
	s.sql(t, flipped)
	expect(0, "CLEAN", "fsck", "--trillian")

	// Gone: nothing is sealed, and it is named; rebuild makes it anew under the running one.
	s.sql(t, "UPDATE muniment.trees SET description = 'another' WHERE description = $1", d.Origin)
	p := d.serve(t)
	c := d.client(p)
	until(t, 20*time.Second, "unready by name", func() bool { return slices.Contains(c.ready(t).Problems, "second-opinion") })
	expect(exitFound, "munimentd trillian rebuild", "doctor")
	expect(0, "a second tree of 24 entries", "trillian", "rebuild")
	until(t, 20*time.Second, "ready again", func() bool { return c.ready(t).Status == "ready" })
	d.deposits(t, p, j, 2, 3)
	d.holds(t, p, j)
	p.stop(t)

	var state treeState
	if _, out := d.run(t, "trillian", "status", "--json", "--dir", d.Dir); json.Unmarshal([]byte(out), &state) != nil || state.Entries != 27 || !state.Agrees || state.Mode != "embedded" {
		t.Errorf("status --json: %s", out)
	}
}

// sql changes rows behind everyone's back.
func (s shared) sql(t *testing.T, statement string, args ...any) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), s.postgres.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if tag, err := conn.Exec(t.Context(), statement, args...); err != nil || tag.RowsAffected() == 0 {
		t.Fatalf("%s: %d rows, %v", statement, tag.RowsAffected(), err)
	}
}

// stops demands that serve does not start, and says why.
func (d *laidOut) stops(t *testing.T, why ...string) {
	t.Helper()
	p := d.launch(t, nil)
	if code := p.exit(t, 20*time.Second); code != exitFailure {
		t.Errorf("serve: exit code %d: %s", code, p.out)
	}
	for _, w := range why {
		if !strings.Contains(p.out.String(), w) {
			t.Errorf("serve does not say %q: %s", w, p.out)
		}
	}
}

func rehearseTrillianDisagrees(t *testing.T) {
	s := share(t)
	d := s.layout(t, s.postgres.URL(), s.s3.Endpoint, embeddedTrillian)
	p := d.serve(t)
	j := d.keeping()
	d.deposits(t, p, j, 1, 20)
	p.stop(t)
	s.sql(t, "UPDATE muniment.treehead SET roothash = set_byte(roothash, 3, get_byte(roothash, 3) # 1)")
	d.stops(t, "the second tree has root", "at size 21", "fsck --trillian")
	said, p := d.rehearse(t, "trillian_disagrees")
	for _, says := range []string{"WRONG: the second tree has root", "DAMAGED", "a second tree of 21 entries", "21 leaves compared", "CLEAN"} {
		if !strings.Contains(said, says) {
			t.Errorf("it does not say %q:\n%s", says, said)
		}
	}
	d.holds(t, p, j)
	d.deposits(t, p, j, 2, 3)
	p.stop(t)
}

// The ledger and its anchor, both in the directory, are rolled back; a supervisor's Trillian
// knows better.
func rehearseTrillianAhead(t *testing.T) {
	s := share(t)
	theirs, err := servers.StartTrillian(filepath.Join(t.TempDir(), "trillian"), s.postgres)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(theirs.Close)
	dir := filepath.Join(t.TempDir(), "depository")
	settings := fmt.Sprintf(`
blobs: {engine: s3, s3: {endpoint: %q, bucket: documents, access-key: %q, secret-key: %q}}
trillian: {mode: remote, address: %q, ca: %q}
canary: 0s
`, s.s3.Endpoint, s.s3.AccessKey, s.s3.SecretKey, theirs.Address, theirs.CA)
	if err := errors.Join(os.Mkdir(dir, 0o700), os.WriteFile(filepath.Join(dir, configName), []byte(settings), 0o600)); err != nil {
		t.Fatal(err)
	}
	d := layoutIn(t, dir)
	p := d.serve(t)
	j := d.keeping()
	d.deposits(t, p, j, 1, 10)
	p.stop(t)
	old := d.copyOf(t, "old")
	p = d.serve(t)
	d.deposits(t, p, j, 2, 25)
	// What a running depository with its lock on the directory answers through its socket.
	if code, out := d.run(t, "trillian", "status", "--dir", d.Dir); code != 0 || !strings.Contains(out, "36 entries") {
		t.Errorf("status of a running one: %d, %s", code, out)
	}
	if code, out := d.run(t, "trillian", "rebuild", "--dir", d.Dir); code != 0 || !strings.Contains(out, "a second tree of 36 entries") {
		t.Errorf("rebuild under a running one: %d, %s", code, out)
	}
	if code, out := d.run(t, "fsck", "--trillian", "--dir", d.Dir); code != 0 || !strings.Contains(out, "36 leaves compared") {
		t.Errorf("fsck of a running one: %d, %s", code, out)
	}
	p.kill()
	all := j.since(0)
	newest := filepath.Join(t.TempDir(), "newest.tlog-proof")
	if err := errors.Join(os.RemoveAll(d.Dir), os.Rename(old.Dir, d.Dir), os.WriteFile(newest, []byte(all[len(all)-1].answer.Receipt), 0o600)); err != nil {
		t.Fatal(err)
	}
	d.stops(t, "the second tree has 36 entries, the ledger only 11", "rolled back")
	said, p := d.rehearse(t, "trillian_ahead", "NEWEST="+newest)
	for _, says := range []string{"AHEAD", "RECOVERED:", "36 leaves compared", "CLEAN"} {
		if !strings.Contains(said, says) {
			t.Errorf("it does not say %q:\n%s", says, said)
		}
	}
	d.holds(t, p, j)
	d.deposits(t, p, j, 3, 3)
	p.stop(t)
}

func rehearseTrillianLost(t *testing.T) {
	s := share(t)
	d := s.layout(t, s.postgres.URL(), s.s3.Endpoint, embeddedTrillian)
	p := d.serve(t)
	j := d.keeping()
	d.deposits(t, p, j, 1, 20)
	p.stop(t)
	for _, table := range []string{"trees", "treehead", "subtree", "sequencedleafdata", "leafdata"} {
		s.sql(t, "DELETE FROM muniment."+table)
	}
	p = d.serve(t, "--trillian-rule", "advisory")
	d.deposits(t, p, j, 3, 1)
	until(t, 10*time.Second, "ready with a note", func() bool {
		h := d.client(p).ready(t)
		return h.Status == "ready" && slices.Contains(h.Notes, "second-opinion")
	})
	p.stop(t)
	said, p := d.rehearse(t, "trillian_lost")
	for _, says := range []string{"there is no second tree of this log", "munimentd trillian rebuild --dir", "a second tree of 22 entries", "AGREES"} {
		if !strings.Contains(said, says) {
			t.Errorf("it does not say %q:\n%s", says, said)
		}
	}
	d.holds(t, p, j)
	d.deposits(t, p, j, 2, 3)
	p.stop(t)
}
