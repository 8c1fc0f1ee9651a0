package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/muniment/muniment/proofs"
)

// tenantKey runs munimentd tenant-key on a directory.
func tenantKey(t *testing.T, dir string, args ...string) (string, error) {
	t.Helper()
	out, err := exec.Command("munimentd", append([]string{"tenant-key", args[0], "--dir", dir}, args[1:]...)...).Output()
	if err != nil {
		return "", fmt.Errorf("%v: %w%s", args, err, stderrOf(err))
	}
	return string(out), nil
}

// rotationIn tells how far the rotation of a tenant's key has come.
func rotationIn(t *testing.T, dir, tenant string) keyProgress {
	t.Helper()
	out, err := tenantKey(t, dir, "status", "--json")
	var all []keyProgress
	if err == nil {
		err = json.Unmarshal([]byte(out), &all)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range all {
		if p.Tenant == tenant {
			return p
		}
	}
	t.Fatalf("status tells nothing of tenant %s: %s", tenant, out)
	return keyProgress{}
}

// evidence is what a depositor holds: by idempotency key the answer, and the document.
type evidence struct {
	answers   map[string]answer
	documents map[string][]byte
}

// deposits makes some more, every fourth with its document.
func (e *evidence) deposits(t *testing.T, c *client, n int) {
	t.Helper()
	for range n {
		i := len(e.answers)
		key := fmt.Sprint("key ", i)
		a, document, err := e.deposit(c, key, i)
		if err != nil {
			t.Fatal(err)
		}
		if e.answers[key] = a; document != nil {
			e.documents[key] = document
		}
	}
}

func (e *evidence) deposit(c *client, key string, i int) (answer, []byte, error) {
	if i%4 > 0 {
		a, err := c.digest(key, fmt.Sprint("HT-", i%7), key)
		return a, nil, err
	}
	document := bytes.Repeat([]byte(key), 1+i*50)
	a, err := c.deposit(key, map[string]any{"contract.number": fmt.Sprint("HT-", i%7)}, document)
	return a, document, err
}

// holds checks that every receipt, document and retry is what it was.
func (e *evidence) holds(t *testing.T, d *laidOut, c *client) {
	t.Helper()
	v := proofs.NewVerifier(d.policy)
	for i := range len(e.answers) {
		key := fmt.Sprint("key ", i)
		was := e.answers[key]
		again, _, err := e.deposit(c, key, i)
		if err != nil || again.ID != was.ID || again.Index != was.Index {
			t.Fatalf("a retry of %q: entry %d, %v; it was %d", key, again.Index, err, was.Index)
		}
		file, err := c.get("/v1/deposits/" + was.ID + "/receipt")
		if err != nil {
			t.Fatal(err)
		}
		content := []byte(key)
		if document, held := e.documents[key]; held {
			content = document
			got, err := c.get("/v1/deposits/" + was.ID + "/document")
			if err != nil || !bytes.Equal(got, document) {
				t.Fatalf("the document of %q: %d bytes, %v", key, len(got), err)
			}
		}
		if _, _, err := d.prove(v, string(file), bytes.NewReader(content)); err != nil {
			t.Fatalf("the receipt of %q: %v", key, err)
		}
	}
}

// TestTenantKeyRotationSurvivesKills: a running depository in a directory is killed again and
// again while its tenant's key is rotated. What was deposited opens, before and after the old
// key is retired, and nothing in the directory opens under the old key.
func TestTenantKeyRotationSurvivesKills(t *testing.T) {
	d := layout(t)
	path := filepath.Join(d.Dir, "keys", "tenants", d.Tenant+".key")
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	p := d.serve(t, "--canary", "0s")
	held := &evidence{map[string]answer{}, map[string][]byte{}}
	held.deposits(t, d.client(p), 60)
	if _, err := tenantKey(t, d.Dir, "retire", "--tenant", d.Tenant); err == nil {
		t.Error("the one generation that there is was retired")
	}
	if _, err := tenantKey(t, d.Dir, "rotate", "--tenant", d.Tenant); err != nil {
		t.Fatal(err)
	}
	for i := range rounds(4, 40) {
		time.Sleep(time.Duration(700+900*i%3000) * time.Millisecond)
		p.kill()
		if i == 1 { // a second wish while one is under way, by a stopped depository, makes none
			if _, err := tenantKey(t, d.Dir, "rotate", "--tenant", d.Tenant); err != nil {
				t.Fatal(err)
			}
			if got := rotationIn(t, d.Dir, d.Tenant); len(got.Generations) > 3 {
				t.Errorf("%d generations", len(got.Generations))
			}
		}
		p = d.serve(t, "--canary", "0s")
		held.deposits(t, d.client(p), 5)
	}
	until(t, time.Minute, "nothing stands under the old key", func() bool { return rotationIn(t, d.Dir, d.Tenant).Phase == "clean" })
	held.holds(t, d, d.client(p))
	if _, err := tenantKey(t, d.Dir, "retire", "--tenant", d.Tenant); err != nil {
		t.Fatal(err)
	}
	time.Sleep(2 * keyLookedAt)
	held.deposits(t, d.client(p), 3)
	held.holds(t, d, d.client(p))
	p.stop(t)
	d.clean(t)
	if got := rotationIn(t, d.Dir, d.Tenant); len(got.Generations) != 1 || got.Generations[0] < 2 {
		t.Errorf("after it was retired the file has generations %d", got.Generations)
	}
	p = d.serve(t, "--canary", "0s")
	held.holds(t, d, d.client(p))
	p.stop(t)

	// A thief of the directory who has the old key file.
	if err := os.WriteFile(path, before, 0o600); err != nil {
		t.Fatal(err)
	}
	code, said := d.fsck(t)
	if code == 0 || strings.Contains(said, "damaged") {
		t.Errorf("fsck with the old key file: exit %d: %s", code, said)
	}
	if out, err := exec.Command("munimentd", "doctor", "--dir", d.Dir).CombinedOutput(); err == nil || !strings.Contains(string(out), "of a tenant's key is in force or offered, and "+path+" has not got it") {
		t.Errorf("doctor with the old key file: %v: %s", err, out)
	}
	p = d.serve(t, "--canary", "0s")
	for key, a := range held.answers {
		if got, err := d.client(p).get("/v1/deposits/" + a.ID + "/receipt"); err == nil {
			t.Fatalf("the old key opens %q: %s", key, got)
		}
	}
	p.stop(t)
}

// TestTenantKeyRotationOfReplicas: two replicas, each with key files of its own. Nothing is
// sealed under the new key before both have it; whoever seals is killed; and the copies of
// the keys beside segments are rotated with the ledger's.
func TestTenantKeyRotationOfReplicas(t *testing.T) {
	s := share(t)
	d := s.layout(t, s.postgres.URL(), s.s3.Endpoint)
	other := *d
	other.Dir = filepath.Join(t.TempDir(), "replica")
	if out, err := exec.Command("cp", "-a", d.Dir, other.Dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	file := func(dir string) string { return filepath.Join(dir, "keys", "tenants", d.Tenant+".key") }
	first, second := d.serve(t), other.serve(t)
	held := &evidence{map[string]answer{}, map[string][]byte{}}
	held.deposits(t, d.client(first), 20)
	held.deposits(t, other.client(second), 20)
	if _, err := tenantKey(t, d.Dir, "rotate", "--tenant", d.Tenant); err != nil {
		t.Fatal(err)
	}
	time.Sleep(4 * time.Second)
	if got := rotationIn(t, d.Dir, d.Tenant); got.Phase != "offered" || got.Next != 2 {
		t.Fatalf("before both replicas have the key: %+v", got)
	}
	held.deposits(t, other.client(second), 5)
	next, err := os.ReadFile(file(d.Dir))
	if err == nil {
		err = replaceFile(file(other.Dir), next, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	until(t, time.Minute, "the new key is in force", func() bool { return rotationIn(t, other.Dir, d.Tenant).Generation == 2 })
	for i, p := range []*process{first, second} {
		p.kill()
		restarted := []*laidOut{d, &other}[i].serve(t)
		held.deposits(t, d.client(restarted), 5)
		if i == 0 {
			first = restarted
		} else {
			second = restarted
		}
	}
	until(t, 2*time.Minute, "nothing stands under the old key", func() bool { return rotationIn(t, d.Dir, d.Tenant).Phase == "clean" })
	for _, dir := range []string{d.Dir, other.Dir} {
		if _, err := tenantKey(t, dir, "retire", "--tenant", d.Tenant); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(2 * keyLookedAt)
	held.deposits(t, d.client(first), 3)
	held.holds(t, d, d.client(first))
	held.holds(t, d, other.client(second))
	d.clean(t)
	first.stop(t)
	second.stop(t)
	s.secretsBySecondGeneration(t, d)
}

// secretsBySecondGeneration looks into the database itself.
func (s shared) secretsBySecondGeneration(t *testing.T, d *laidOut) {
	t.Helper()
	out, err := exec.Command("psql", s.postgres.URL(), "-At", "-c",
		"SELECT substring(encode(secret, 'hex') for 10), count(*) FROM muniment.secrets WHERE tenant = '"+d.Tenant+"' GROUP BY 1").CombinedOutput()
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if err != nil || len(lines) != 1 || !strings.HasPrefix(lines[0], "0300000002|") {
		t.Errorf("wrapped keys begin with %q, %v", lines, err)
	}
}
