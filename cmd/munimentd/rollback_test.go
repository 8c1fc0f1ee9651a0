package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/storage/storagetest/servers"
)

// parts are what can be restored to an older state by itself.
var parts = []string{"ledger", "blobs", "anchor", "second"}

// museum keeps states of a depository that does not run.
type museum struct {
	*laidOut
	// keep puts all that there is aside under a name, and put brings one part back as it
	// was then.
	keep func(t *testing.T, name string)
	put  func(t *testing.T, part, name string)
}

// TestRestoredSubsets is I3 in full, on a directory with a second anchor elsewhere: each
// subset of {ledger, blobs, anchor, second anchor} is restored to an older state, and the
// start does what the table in DESIGN.md says.
func TestRestoredSubsets(t *testing.T) {
	root := t.TempDir()
	dir, second := filepath.Join(root, "depository"), filepath.Join(root, "second")
	settings := fmt.Sprintf("anchors: ['dir:%s', 'dir:%s']\ncanary: 0s\n", filepath.Join(dir, "anchor"), second)
	if err := errors.Join(os.Mkdir(dir, 0o700), os.WriteFile(filepath.Join(dir, configName), []byte(settings), 0o600)); err != nil {
		t.Fatal(err)
	}
	at := map[string]string{
		"ledger": filepath.Join(dir, "ledger"), "blobs": filepath.Join(dir, "blobs"), "anchor": filepath.Join(dir, "anchor"), "second": second,
	}
	m := museum{laidOut: layoutIn(t, dir)}
	m.keep = func(t *testing.T, name string) {
		for part, path := range at {
			copyTree(t, path, filepath.Join(root, name, part))
		}
	}
	m.put = func(t *testing.T, part, name string) { copyTree(t, filepath.Join(root, name, part), at[part]) }
	m.subsets(t)
}

// TestRestoredSubsetsOfServices is the same with the ledger in PostgreSQL, documents and
// first anchor in S3, and the second anchor in a database of its own.
func TestRestoredSubsetsOfServices(t *testing.T) {
	root := t.TempDir()
	p, err := servers.StartPostgres(filepath.Join(root, "postgres"), servers.PostgresOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	store := filepath.Join(root, "s3")
	if err := os.Mkdir(store, 0o700); err != nil {
		t.Fatal(err)
	}
	s, err := servers.StartS3(store)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Kill)
	if err := errors.Join(s.MakeBucket("documents", false), s.MakeBucket("anchor", false)); err != nil {
		t.Fatal(err)
	}
	sql := func(t *testing.T, statements ...string) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		c, err := pgx.Connect(ctx, strings.Replace(p.URL(), "/muniment?", "/postgres?", 1))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close(ctx)
		for _, s := range statements {
			if _, err := c.Exec(ctx, s); err != nil {
				t.Fatalf("%s: %v", s, err)
			}
		}
	}
	sql(t, "CREATE DATABASE anchors")
	dir := filepath.Join(root, "depository")
	settings := fmt.Sprintf(`
ledger: {engine: postgres, postgres: {url: %q}}
blobs: {engine: s3, s3: {endpoint: %q, bucket: documents, access-key: %q, secret-key: %q}}
anchors: [s3, postgres]
anchor: {s3: {bucket: anchor}, postgres: {url: %q, schema: registers}}
canary: 0s
`, p.URL(), s.Endpoint, s.AccessKey, s.SecretKey, strings.Replace(p.URL(), "/muniment?", "/anchors?", 1))
	if err := errors.Join(os.Mkdir(dir, 0o700), os.WriteFile(filepath.Join(dir, configName), []byte(settings), 0o600)); err != nil {
		t.Fatal(err)
	}
	bucket := map[string]string{"blobs": "documents", "anchor": "anchor"}
	database := map[string]string{"ledger": "muniment", "second": "anchors"}
	stopped := func(t *testing.T, f func()) {
		t.Helper()
		if err := s.Stop(); err != nil {
			t.Fatal(err)
		}
		f()
		if err := s.Start(); err != nil {
			t.Fatal(err)
		}
	}
	m := museum{laidOut: layoutIn(t, dir)}
	m.keep = func(t *testing.T, name string) {
		for _, d := range database {
			sql(t, "CREATE DATABASE "+d+"_"+strings.ToLower(name)+" TEMPLATE "+d)
		}
		stopped(t, func() {
			for part, b := range bucket {
				copyTree(t, filepath.Join(store, "data", b), filepath.Join(root, name, part))
			}
		})
	}
	m.put = func(t *testing.T, part, name string) {
		if d := database[part]; d != "" {
			sql(t, "DROP DATABASE "+d+" WITH (FORCE)", "CREATE DATABASE "+d+" TEMPLATE "+d+"_"+strings.ToLower(name))
			return
		}
		stopped(t, func() { copyTree(t, filepath.Join(root, name, part), filepath.Join(store, "data", bucket[part])) })
	}
	m.subsets(t)
}

// copyTree makes to what from is.
func copyTree(t *testing.T, from, to string) {
	t.Helper()
	if err := errors.Join(os.RemoveAll(to), os.MkdirAll(filepath.Dir(to), 0o755)); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("cp", "-a", from, to).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

// subsets restores each subset, and compares what happens with the table in DESIGN.md.
func (m museum) subsets(t *testing.T) {
	j := m.keeping()
	n := m.grow(t, j, "old", 5)
	m.keep(t, "N")
	all := m.grow(t, j, "new", 5)
	m.keep(t, "M")
	var rows []string
	for subset := range 1 << len(parts) {
		var row strings.Builder
		for i, part := range parts {
			state := "M"
			if subset>>(len(parts)-1-i)&1 == 1 {
				state = "N"
			}
			m.put(t, part, state)
			row.WriteString("| " + state + " ")
		}
		what, err := m.start(t, j, n, all)
		if err != nil {
			t.Errorf("%s: %v", row.String(), err)
		}
		rows = append(rows, row.String()+"| "+what+" |")
	}
	want, err := tableOf("../../DESIGN.md", "I3")
	if err != nil {
		t.Fatal(err)
	}
	if got := rows; !slices.Equal(got, want) {
		t.Errorf("DESIGN.md has the table\n%s\nwhat happens is\n%s", strings.Join(want, "\n"), strings.Join(got, "\n"))
	}
}

// tableOf returns the rows of the table that stands in a file between <!-- NAME --> and
// <!-- /NAME -->, without its head.
func tableOf(path, name string) ([]string, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	_, rest, ok := strings.Cut(string(data), "<!-- "+name+" -->\n")
	table, _, closed := strings.Cut(rest, "<!-- /"+name+" -->")
	lines := strings.Split(strings.TrimSpace(table), "\n")
	if !ok || !closed || len(lines) < 3 {
		return nil, fmt.Errorf("%s holds no table %s", path, name)
	}
	return lines[2:], nil
}

// grow makes deposits with documents, and returns how many entries there are.
func (m museum) grow(t *testing.T, j *journal, name string, count int) uint64 {
	t.Helper()
	p := m.serve(t)
	c := m.client(p)
	for i := range count {
		a := &acknowledged{key: fmt.Sprint(name, i), contract: "LC-1", text: fmt.Sprint(name, " contract ", i), original: true}
		got, err := a.send(c)
		if err == nil {
			err = j.keep(a, got)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	cp, err := c.checkpoint()
	if err != nil {
		t.Fatal(err)
	}
	p.stop(t)
	return cp.Size
}

var lagging = regexp.MustCompile(`an anchor lags: it is older than the log.*anchor="?anchor (\d+) .*anchor_size=(\d+) sealed_size=(\d+)`)

// start starts what was put there, and says what happens. The error is that it should
// never be.
func (m museum) start(t *testing.T, j *journal, n, all uint64) (string, error) {
	p := m.launch(t, nil)
	defer p.kill()
	if !p.wait(60 * time.Second) {
		return m.refusal(t, p, n, all)
	}
	var lags []string
	for _, found := range lagging.FindAllStringSubmatch(p.out.String(), -1) {
		if found[2] != fmt.Sprint(n) || found[3] != fmt.Sprint(all) {
			return "", fmt.Errorf("it says %q, of %d and %d", found[0], n, all)
		}
		lags = append(lags, found[1])
	}
	slices.Sort(lags)
	lags = slices.Compact(lags)
	c := m.client(p)
	cp, err := c.checkpoint()
	if err != nil {
		return "", err
	}
	what := "starts"
	switch {
	case cp.Size == all:
		if _, err := j.consistent(c, j.since(0)); err != nil {
			return "", err
		}
	case cp.Size == n && len(lags) == 0:
		what = "starts: nothing here knows of M, but every receipt beyond N does"
		if err := m.proved(t, c, j, n, all); err != nil {
			return "", err
		}
	default:
		return "", fmt.Errorf("it shows %d entries, of %d and %d", cp.Size, n, all)
	}
	switch {
	case len(lags) == 1:
		what += "; anchor " + lags[0] + " is reported and advanced"
	case len(lags) > 1:
		what += "; anchors " + strings.Join(lags, " and ") + " are reported and advanced"
	}
	lost, err := m.lost(t, p, c)
	if err == nil && lost {
		what += "; unready, and the lost documents are named"
	} else if err == nil {
		err = m.goesOn(t, c, j)
	}
	return what, err
}

// refusal judges an end at the start.
func (m museum) refusal(t *testing.T, p *process, n, all uint64) (string, error) {
	code := p.exit(t, 20*time.Second)
	sizes, err := sizesNamed(p.out.String())
	if err != nil || code != exitFailure || sizes != [2]uint64{n, all} {
		return "", fmt.Errorf("it ends with %d, of %d and %d, and says: %s", code, n, all, p.out)
	}
	return "refused: the ledger has N entries, but M are sealed", nil
}

// lost reports whether the depository is unready for its documents, each of which the log
// of the process names.
func (m museum) lost(t *testing.T, p *process, c *client) (bool, error) {
	unready, named := false, 0
	for range 15 {
		unready = unready || slices.Contains(c.ready(t).Problems, "damaged")
		if named = strings.Count(p.out.String(), "a document is lost"); unready && named == 5 {
			return true, nil
		}
		time.Sleep(100 * time.Millisecond)
	}
	if unready || named > 0 {
		return unready, fmt.Errorf("unready: %t, and %d documents are named of 5: %s", unready, named, p.out)
	}
	return false, nil
}

// goesOn demands a deposit, after which every anchor holds what is published.
func (m museum) goesOn(t *testing.T, c *client, j *journal) error {
	a := &acknowledged{key: fmt.Sprint("after", time.Now().UnixNano()), contract: "LC-2", text: "one more contract"}
	if _, err := a.send(c); err != nil {
		return err
	}
	cp, err := c.checkpoint()
	if err != nil {
		return err
	}
	code, out := m.run(t, "anchor", "list", "--dir", m.Dir)
	if want := fmt.Sprintf(": %d entries, lag 0, root %s", cp.Size, cp.Root); code != 0 || strings.Count(out, want) != 2 {
		return fmt.Errorf("anchor list: exit code %d, %s of %s", code, out, want)
	}
	return nil
}

// proved demands that whoever holds a receipt of what was rolled back can prove it.
func (m museum) proved(t *testing.T, c *client, j *journal, n, all uint64) error {
	for i := range all - n + 1 {
		a := &acknowledged{key: fmt.Sprint("other", i), contract: "LC-3", text: fmt.Sprint("another contract ", i)}
		if _, err := a.send(c); err != nil {
			return err
		}
	}
	newest := j.since(0)[len(j.since(0))-1]
	now, err := c.checkpoint()
	if err != nil || now.Size < newest.checkpoint.Size {
		return fmt.Errorf("%d entries: %w", now.Size, err)
	}
	path, err := proofs.ConsistencyProof(newest.checkpoint.Size, now.Size, c)
	if err != nil {
		return err
	}
	if proofs.VerifyConsistency(path, newest.checkpoint.Size, now.Size, newest.checkpoint.Root, now.Root) == nil {
		return errors.New("a log without what its receipt stands for is consistent with it")
	}
	return nil
}
