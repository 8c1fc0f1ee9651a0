package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/storage/storagetest/servers"
)

var runbookBlock = regexp.MustCompile("(?s)<!-- TestRunbooks/([a-z_]+) -->\n```sh\n(.*?)```\n")

// runbook returns the commands of one, but for the last, which serves.
func runbook(t *testing.T, name string) (commands, last string) {
	t.Helper()
	page, err := os.ReadFile("RUNBOOKS.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range runbookBlock.FindAllStringSubmatch(string(page), -1) {
		if m[1] == name {
			lines := strings.Split(strings.TrimSpace(m[2]), "\n")
			return strings.Join(lines[:len(lines)-1], "\n"), lines[len(lines)-1]
		}
	}
	t.Fatalf("RUNBOOKS.md has no block for %s", name)
	return "", ""
}

// rehearse runs a runbook in a shell, and then serves as its last line says.
func (d *laidOut) rehearse(t *testing.T, name string, env ...string) (said string, p *process) {
	t.Helper()
	commands, last := runbook(t, name)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-euxo", "pipefail", "-c", commands)
	cmd.Env = append(append(os.Environ(), "DIR="+d.Dir), env...)
	out, err := cmd.CombinedOutput()
	d.said.Write(out)
	if err != nil {
		t.Fatalf("%v:\n%s", err, out)
	}
	said = string(out)
	words := strings.Fields(strings.ReplaceAll(last, "'", ""))
	if len(words) < 4 || words[1] != "serve" {
		t.Fatalf("the runbook's last line does not serve: %s", last)
	}
	return said, d.serve(t, words[4:]...)
}

// TestRunbooks rehearses every runbook of RUNBOOKS.md, as it stands there, on real servers
// in which the disaster has happened.
func TestRunbooks(t *testing.T) {
	page, err := os.ReadFile("RUNBOOKS.md")
	if err != nil {
		t.Fatal(err)
	}
	books := map[string]func(*testing.T){
		"disk_lost": rehearseDiskLost, "database_lost": rehearseDatabaseLost, "bucket_lost": rehearseBucketLost,
		"old_backup": rehearseOldBackup, "moving_house": rehearseMovingHouse, "log_key_stolen": rehearseKeyStolen,
		"trillian_disagrees": rehearseTrillianDisagrees, "trillian_ahead": rehearseTrillianAhead, "trillian_lost": rehearseTrillianLost,
	}
	found := runbookBlock.FindAllStringSubmatch(string(page), -1)
	if len(found) != len(books) || strings.Count(string(page), "\n## ") != len(books) {
		t.Errorf("RUNBOOKS.md has %d blocks, %d are rehearsed", len(found), len(books))
	}
	for _, m := range found {
		if books[m[1]] == nil {
			t.Errorf("the runbook %s is not rehearsed", m[1])
			continue
		}
		t.Run(m[1], books[m[1]])
	}
}

// deposits makes some, and returns what lenders keep of them.
func (d *laidOut) deposits(t *testing.T, p *process, j *journal, round, count int) {
	t.Helper()
	c := d.client(p)
	for i := range count {
		a := &acknowledged{key: fmt.Sprintf("runbook-%d-%d", round, i), contract: fmt.Sprint("LC-", i%3), text: fmt.Sprint("contract ", round, " ", i), original: i%2 == 0}
		got, err := a.send(c)
		if err == nil {
			err = j.keep(a, got)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// holds demands that everything that was ever acknowledged holds, and is served.
func (d *laidOut) holds(t *testing.T, p *process, j *journal) {
	t.Helper()
	c := d.client(p)
	_, entries := c.whole(t)
	all := j.since(0)
	if err := j.check(c, all, entries); err != nil {
		t.Fatal(err)
	}
	if _, err := j.consistent(c, all); err != nil {
		t.Fatal(err)
	}
}

// export copies the entries of the public log to a folder, as a mirror does.
func (c *client) export(t *testing.T, to string) {
	t.Helper()
	cp, err := c.checkpoint()
	if err != nil {
		t.Fatal(err)
	}
	for index := uint64(0); index*proofs.TileWidth < cp.Size; index++ {
		path := tilePath("entries", index, int(min(proofs.TileWidth, cp.Size-index*proofs.TileWidth)))
		data, err := c.get(path)
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(to, strings.TrimPrefix(path, "/log/"))
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o700), os.WriteFile(file, data, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
}

func rehearseDiskLost(t *testing.T) {
	d := layout(t)
	p := d.serve(t, "--canary", "0s")
	j := d.keeping()
	d.deposits(t, p, j, 1, 20)
	out := t.TempDir()
	backup, mirror, receipts, kept := filepath.Join(out, "backup"), filepath.Join(out, "mirror"), filepath.Join(out, "receipts"), filepath.Join(out, "kept")
	d.backUp(t, backup)
	before := len(j.since(0))
	d.deposits(t, p, j, 2, 10)
	d.client(p).export(t, mirror)
	d.deposits(t, p, j, 3, 4) // after the mirror looked last: their receipts are all there is
	if err := errors.Join(os.Mkdir(receipts, 0o700), os.CopyFS(filepath.Join(kept, "keys"), os.DirFS(filepath.Join(d.Dir, "keys")))); err != nil {
		t.Fatal(err)
	}
	newest := ""
	for _, a := range j.since(before + 10) {
		newest = filepath.Join(receipts, a.key+".tlog-proof")
		if err := os.WriteFile(newest, []byte(a.answer.Receipt), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p.kill()
	if err := os.RemoveAll(d.Dir); err != nil {
		t.Fatal(err)
	}
	said, p := d.rehearse(t, "disk_lost", "BACKUP="+backup, "KEPT="+kept, "NEWEST="+newest, "MIRROR="+mirror, "RECEIPTS="+receipts)
	for _, says := range []string{"BEHIND: the backup has 21 entries", "REACHABLE:", "ALONE: entries 21 to 30: the entry is from the mirror", "ALONE: entries 31 to 34: the entry is from the receipts", "RECOVERED:", "CLEAN"} {
		if !strings.Contains(said, says) {
			t.Errorf("it does not say %q:\n%s", says, said)
		}
	}
	c := d.client(p)
	_, entries := c.whole(t)
	if err := j.check(c, j.since(0)[:before], entries); err != nil {
		t.Error(err)
	}
	if _, err := j.consistent(c, j.since(0)); err != nil {
		t.Error(err)
	}
	for _, a := range j.since(before) {
		if entries[a.answer.Index] != a.entry {
			t.Errorf("%s is not in the log any more", a.key)
		}
		if _, err := c.get("/v1/deposits/" + a.answer.ID + "/receipt"); err == nil {
			t.Errorf("%s is served without its record", a.key)
		}
	}
	d.deposits(t, p, j, 4, 3)
	p.stop(t)
	d.clean(t)
}

func rehearseDatabaseLost(t *testing.T) {
	s := share(t)
	d := s.layout(t, s.postgres.URL(), s.s3.Endpoint)
	p := d.serve(t)
	j := d.keeping()
	d.deposits(t, p, j, 1, 30)
	p.kill()
	s.loseDatabase(t, d)
	said, p := d.rehearse(t, "database_lost")
	for _, says := range []string{"REACHABLE:", "RECOVERED:", "restored   31 entries", "accounts   1 tenants and 1 API keys brought back", "CLEAN"} {
		if !strings.Contains(said, says) {
			t.Errorf("it does not say %q:\n%s", says, said)
		}
	}
	d.holds(t, p, j)
	d.deposits(t, p, j, 2, 3)
	p.stop(t)
	if code, out := d.run(t, "fsck", "--dir", d.Dir, "--anchors", "[s3]"); code != 0 {
		t.Errorf("fsck: %s", out)
	}
}

// loseDatabase takes the cluster away and puts an empty one in its place.
func (s shared) loseDatabase(t *testing.T, d *laidOut) *servers.Postgres {
	t.Helper()
	if err := s.postgres.Stop("immediate"); err != nil {
		t.Fatal(err)
	}
	fresh, err := servers.StartPostgres(filepath.Join(t.TempDir(), "fresh"), servers.PostgresOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(fresh.Close)
	d.resettle(t, s.postgres.URL(), fresh.URL())
	return fresh
}

// resettle edits the settings of a depository.
func (d *laidOut) resettle(t *testing.T, old, with string) {
	t.Helper()
	path := filepath.Join(d.Dir, configName)
	settings, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	edited := strings.ReplaceAll(string(settings), old, with)
	if edited == string(settings) {
		t.Fatalf("%q is not in the settings", old)
	}
	if err := os.WriteFile(path, []byte(edited), 0o600); err != nil {
		t.Fatal(err)
	}
}

// withoutDatabase lays out a depository whose ledger is in its directory, and the rest in
// S3.
func withoutDatabase(t *testing.T) (*servers.S3, *laidOut) {
	t.Helper()
	s, err := servers.StartS3(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Kill)
	if err := errors.Join(s.MakeBucket("documents", true), s.MakeBucket("documents-new", true), s.MakeBucket("anchor", false)); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "depository")
	if err := errors.Join(os.Mkdir(dir, 0o700), os.WriteFile(filepath.Join(dir, configName), []byte(settingsInS3(s, "")), 0o600)); err != nil {
		t.Fatal(err)
	}
	return s, layoutIn(t, dir)
}

func settingsInS3(s *servers.S3, prefix string) string {
	return fmt.Sprintf(`
blobs: {engine: s3, s3: {endpoint: %q, bucket: documents, prefix: %q, access-key: %q, secret-key: %q, retention: 1d, retention-mode: GOVERNANCE}}
anchors: [s3]
anchor: {s3: {bucket: anchor, prefix: %q}}
canary: 0s
`, s.Endpoint, prefix, s.AccessKey, s.SecretKey, prefix)
}

func rehearseOldBackup(t *testing.T) {
	_, d := withoutDatabase(t)
	p := d.serve(t)
	j := d.keeping()
	d.deposits(t, p, j, 1, 10)
	p.stop(t)
	old := d.copyOf(t, "old")
	p = d.serve(t)
	d.deposits(t, p, j, 2, 25)
	p.kill()
	if err := errors.Join(os.RemoveAll(d.Dir), os.Rename(old.Dir, d.Dir)); err != nil {
		t.Fatal(err)
	}
	d.refusesToServe(t, 36)
	said, p := d.rehearse(t, "old_backup")
	for _, says := range []string{"the ledger has 11 entries, but 36 are sealed", "had        11 entries", "restored   25 entries", "RECOVERED:", "CLEAN"} {
		if !strings.Contains(said, says) {
			t.Errorf("it does not say %q:\n%s", says, said)
		}
	}
	d.holds(t, p, j)
	d.deposits(t, p, j, 3, 3)
	p.stop(t)
	d.clean(t)
}

func rehearseMovingHouse(t *testing.T) {
	_, d := withoutDatabase(t)
	p := d.serve(t)
	j := d.keeping()
	d.deposits(t, p, j, 1, 12)
	p.stop(t)
	next := d.house(t, plainSettings)
	said, p := next.rehearse(t, "moving_house", "OLD="+d.Dir, "ARCHIVE="+filepath.Join(t.TempDir(), "archive"))
	for _, says := range []string{"the log goes on here", "the log has ended here", "IMPORTED:", "CLEAN"} {
		if !strings.Contains(said, says) {
			t.Errorf("it does not say %q:\n%s", says, said)
		}
	}
	next.holds(t, p, j)
	next.deposits(t, p, j, 2, 3)
	p.stop(t)
}

func rehearseBucketLost(t *testing.T) {
	s, d := withoutDatabase(t)
	p := d.serve(t)
	j := d.keeping()
	d.deposits(t, p, j, 1, 12)
	p.stop(t)
	d.resettle(t, "bucket: documents,", "bucket: documents-new,")
	said, p := d.rehearse(t, "bucket_lost")
	if n := strings.Count(said, "WRONG: stored data is damaged: the document of entry"); n != 6 {
		t.Errorf("fsck names %d documents that are missing, not 6:\n%s", n, said)
	}
	if !strings.Contains(said, "WRONG: entries 0 to 12 are sealed and stand in no segment") {
		t.Errorf("fsck does not say that there are no segments:\n%s", said)
	}
	c := d.client(p)
	for _, a := range j.since(0) { // receipts go on
		data, err := c.get("/v1/deposits/" + a.answer.ID + "/receipt")
		if err != nil {
			t.Fatal(err)
		}
		if err := j.same(a, answer{ID: a.answer.ID, Index: a.answer.Index, Leaf: a.answer.Leaf, Receipt: string(data)}); err != nil {
			t.Fatal(err)
		}
	}
	until(t, 30*time.Second, "stored a second time", func() bool {
		_, out := d.run(t, "fsck", "--dir", d.Dir)
		return !strings.Contains(out, "stand in no segment")
	})
	until(t, 60*time.Second, "unready, with the documents named", func() bool { return c.ready(t).Status != "ready" })
	p.stop(t)
	copyDocuments(t, s, "documents", "documents-new")
	d.clean(t)
	p = d.serve(t)
	d.holds(t, p, j)
	p.stop(t)
}

func rehearseKeyStolen(t *testing.T) {
	s, d := withoutDatabase(t)
	p := d.serve(t)
	j := d.keeping()
	d.deposits(t, p, j, 1, 5)
	p.stop(t)
	kept := t.TempDir()
	if err := os.WriteFile(filepath.Join(kept, "new.yaml"), []byte(settingsInS3(s, "second/")), 0o600); err != nil {
		t.Fatal(err)
	}
	next := &laidOut{said: d.said}
	next.Dir = filepath.Join(t.TempDir(), "new")
	next.Origin = "localhost/dev/" + randomLabel()
	copied := d.copyOf(t, "replica")
	commands, _ := runbook(t, "log_key_stolen")
	cmd := exec.CommandContext(t.Context(), "bash", "-euxo", "pipefail", "-c", commands)
	cmd.Env = append(os.Environ(), "DIR="+d.Dir, "KEPT="+kept, "NEW="+next.Dir, "NEW_ORIGIN="+next.Origin, "OLD_ORIGIN="+d.Origin)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v:\n%s", err, out)
	}
	if !strings.Contains(string(out), "this log is frozen for ever") {
		t.Errorf("serve does not say why it refuses:\n%s", out)
	}
	// A replica with a directory of its own learns it from the object store.
	q := copied.launch(t, nil)
	if code := q.exit(t, 20*time.Second); code != exitFailure || !strings.Contains(q.out.String(), "this log is frozen") {
		t.Errorf("a replica of the ended log: exit code %d: %s", code, q.out)
	}
	file, err := os.ReadFile(filepath.Join(next.Dir, "policy"))
	if err != nil {
		t.Fatal(err)
	}
	if next.policy, err = proofs.ParsePolicy(file); err != nil {
		t.Fatal(err)
	}
	p = next.serve(t)
	data, err := next.client(p).get("/log/records/0")
	if err != nil {
		t.Fatal(err)
	}
	r, e, err := next.prove(proofs.NewVerifier(next.policy), string(data), nil)
	if err != nil {
		t.Fatal(err)
	}
	text := func(name string) string {
		v, _ := r.Member(name)
		return v.JSON()
	}
	if e.Index != 0 || text("log.previous.origin") != `"`+d.Origin+`"` || text("log.previous.size") != "6" {
		t.Errorf("the genesis of the new log names %s at %s", text("log.previous.origin"), text("log.previous.size"))
	}
	p.stop(t)
	next.clean(t)
	for _, a := range j.since(0) { // the old receipts are good under the old policy
		if _, _, err := d.prove(j.verifier, a.answer.Receipt, a.document()); err != nil {
			t.Error(err)
		}
	}
}

func randomLabel() string {
	var b [8]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

// copyDocuments brings documents from one bucket to another, as a store's replica would.
func copyDocuments(t *testing.T, s *servers.S3, from, to string) {
	t.Helper()
	client, err := minio.New(strings.TrimPrefix(s.Endpoint, "http://"), &minio.Options{Creds: credentials.NewStaticV4(s.AccessKey, s.SecretKey, "")})
	if err != nil {
		t.Fatal(err)
	}
	for o := range client.ListObjectsIter(t.Context(), from, minio.ListObjectsOptions{Recursive: true}) {
		if o.Err != nil {
			t.Fatal(o.Err)
		}
		if o.Key > "g" {
			continue // segments, keys
		}
		body, err := client.GetObject(t.Context(), from, o.Key, minio.GetObjectOptions{})
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(body)
		if err == nil {
			_, err = client.PutObject(t.Context(), to, o.Key, strings.NewReader(string(data)), int64(len(data)), minio.PutObjectOptions{})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}
