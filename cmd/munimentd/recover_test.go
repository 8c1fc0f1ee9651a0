package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestKilledRecover loses the database under load, and kills munimentd recover at random
// moments until it has come to its end: the log has the root that was sealed, every
// receipt that was issued is served again with its id and index, and every key replays.
func TestKilledRecover(t *testing.T) {
	s := share(t)
	f := s.layout(t, s.postgres.URL(), s.s3.Endpoint).fleet(t, 2)
	l := f.lend(t)
	l.now.Store(f.balanced())
	until(t, 60*time.Second, "under load", func() bool { return len(l.since(0)) > rounds(400, 10_000) })
	f.alive(t, l)
	l.enough()
	l.writes.Wait()
	lines, err := f.balanced().batch("the batch", 3000)
	if err != nil {
		t.Fatal(err)
	}
	for i := range f.processes {
		f.kill(i)
	}
	d := f.laidOut
	s.loseDatabase(t, d)
	if code, out := d.run(t, "migrate", "--dir", d.Dir); code != 0 {
		t.Fatal(out)
	}
	args := []string{"recover", "--dir", d.Dir, "--anchors", "[s3]"}
	kills := 0
	for range rounds(8, 100) {
		if d.killedWithin(t, time.Duration(rand.IntN(2000))*time.Millisecond, args...) {
			kills++
		}
	}
	if code, out := d.run(t, args...); code != 0 || !strings.Contains(out, "RECOVERED:") && !strings.Contains(out, "WHOLE:") {
		t.Fatalf("recover: exit code %d: %s", code, out)
	}
	code, out := d.run(t, append(args, "--new-api-keys", "--json")...)
	var told struct {
		Size, Had uint64
		APIKeys   []newKey `json:"api_keys"`
	}
	if err := json.Unmarshal([]byte(out), &told); err != nil || code != 0 || told.Had != told.Size || len(told.APIKeys) != 1 {
		t.Fatalf("recover --new-api-keys --json: exit code %d, %v: %s", code, err, out)
	}
	p := d.serve(t, "--anchors", "[s3]")
	c := d.client(p)
	_, entries := c.whole(t)
	all := l.since(0)
	if err := l.checkAll(c, all, entries); err != nil {
		t.Error(err)
	}
	if _, err := l.consistent(c, all); err != nil {
		t.Error(err)
	}
	d.APIKey = told.APIKeys[0].APIKey // a new one is as good
	if again, err := c.batch("the batch", 3000); err != nil || again != lines {
		t.Errorf("the retry of the batch: %v", err)
	}
	p.stop(t)
	if code, out := d.run(t, "fsck", "--dir", d.Dir, "--anchors", "[s3]"); code != 0 {
		t.Errorf("fsck: %s", out)
	}
	t.Logf("%d kills; %d receipts and a batch, none lost", kills, len(all))
}

// killedWithin runs a command and kills it after a while, and reports whether it ran still.
func (d *laidOut) killedWithin(t *testing.T, after time.Duration, args ...string) bool {
	t.Helper()
	cmd := exec.Command("munimentd", args...)
	cmd.Stdout, cmd.Stderr = d.said, d.said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	killer := time.AfterFunc(after, func() { _ = cmd.Process.Signal(syscall.SIGKILL) })
	defer killer.Stop()
	err := cmd.Wait()
	if exit := new(exec.ExitError); err != nil && (!errors.As(err, &exit) || exit.ExitCode() != -1) {
		t.Fatalf("recover: %v", err)
	}
	return err != nil
}

// batch deposits that many digests at once, and returns their ids and indexes.
func (c *client) batch(key string, lines int) (string, error) {
	var body strings.Builder
	for i := range lines {
		fmt.Fprintf(&body, "{\"record\":{\"content.sha256\":\"%064x\",\"contract.number\":\"LC-%d\"}}\n", i, i%11)
	}
	req, err := http.NewRequest(http.MethodPost, c.url+"/v1/deposits:batch", strings.NewReader(body.String()))
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", "application/x-ndjson")
	req.Header.Set("Idempotency-Key", key)
	req.Header.Set("Prefer", "return=minimal")
	data, err := c.do(req)
	if err != nil {
		return "", err
	}
	var out strings.Builder
	for i, line := range strings.Split(strings.TrimSpace(string(data)), "\n") {
		var a answer
		if err := json.Unmarshal([]byte(line), &a); err != nil {
			return "", err
		}
		if i > 0 {
			fmt.Fprintln(&out, a.ID, a.Index)
		}
	}
	if n := strings.Count(out.String(), "\n"); n != lines {
		return "", fmt.Errorf("%d of %d lines were answered", n, lines)
	}
	return out.String(), nil
}

// TestRecoverRefuses: words that do not fit are refused before anything is done.
func TestRecoverRefuses(t *testing.T) {
	d, other := layout(t), layout(t)
	newDir := d.Dir + "-new"
	for what, c := range map[string]struct {
		args []string
		says string
	}{
		"no mirror":         {[]string{"--mirror", other.Dir}, "there is no folder tile/entries in it"},
		"another's anchor":  {[]string{"--newest", other.Dir + "/anchor/anchor"}, "it is of the log " + other.Origin},
		"no confirmation":   {[]string{"--new-origin", "localhost/dev/next", "--new-dir", newDir, "--because", "key-stolen"}, "to confirm, say --freeze " + d.Origin},
		"another's name":    {[]string{"--new-origin", "localhost/dev/next", "--new-dir", newDir, "--because", "lost", "--freeze", other.Origin}, "to confirm, say --freeze " + d.Origin},
		"its own name":      {[]string{"--new-origin", d.Origin, "--new-dir", newDir, "--because", "key-stolen", "--freeze", d.Origin}, "two histories of one name are a fork"},
		"no reason":         {[]string{"--new-origin", "localhost/dev/next", "--new-dir", newDir, "--freeze", d.Origin}, "say --because"},
		"no place":          {[]string{"--new-origin", "localhost/dev/next", "--because", "lost", "--freeze", d.Origin}, "say --new-dir"},
		"a depository":      {[]string{"--new-origin", "localhost/dev/next", "--new-dir", other.Dir, "--because", "key-stolen", "--freeze", d.Origin}, "is not empty"},
		"a log that is not": {[]string{"--new-origin", "localhost/dev/next", "--new-dir", newDir, "--because", "lost", "--freeze", d.Origin}, "the log is not lost"},
	} {
		code, out := d.run(t, append([]string{"recover", "--dir", d.Dir}, c.args...)...)
		if code != exitFailure || !strings.Contains(out, c.says) {
			t.Errorf("%s: exit code %d: %s", what, code, out)
		}
		if _, err := os.Stat(newDir); err == nil {
			t.Fatalf("%s: a new depository was begun", what)
		}
	}
	p := d.serve(t) // nothing was frozen
	if code, out := d.run(t, "recover", "--dir", d.Dir); code != exitFailure || !strings.Contains(out, "another process has this depository open") {
		t.Errorf("beside serve: exit code %d: %s", code, out)
	}
	p.stop(t)
	if code, out := d.run(t, "recover", "--dir", d.Dir); code != 0 || !strings.Contains(out, "WHOLE: ") {
		t.Errorf("of a whole log: exit code %d: %s", code, out)
	}
}

// TestLostLog: a log of which too little is left is ended, and another names it.
func TestLostLog(t *testing.T) {
	d := layout(t)
	p := d.serve(t, "--canary", "0s")
	j := d.keeping()
	d.deposits(t, p, j, 1, 3)
	p.stop(t)
	old := d.copyOf(t, "old")
	p = d.serve(t, "--canary", "0s")
	d.deposits(t, p, j, 2, 3)
	p.stop(t)
	if err := errors.Join(os.RemoveAll(d.Dir+"/ledger"), os.Rename(old.Dir+"/ledger", d.Dir+"/ledger")); err != nil {
		t.Fatal(err)
	}
	if code, out := d.run(t, "recover", "--dir", d.Dir); code != exitFailure || !strings.Contains(out, "the sealed root cannot be reached") || !strings.Contains(out, "Nothing was written") {
		t.Fatalf("recover: exit code %d: %s", code, out)
	}
	d.refusesToServe(t, 7)
	words := []string{"recover", "--dir", d.Dir, "--new-origin", "localhost/dev/next", "--new-dir", d.Dir + "-new", "--freeze", d.Origin, "--because", "lost"}
	code, out := d.run(t, words...)
	if code != 0 || !strings.Contains(out, "FROZEN:") || !strings.Contains(out, "last sealed with 7 entries") {
		t.Fatalf("ending the log: exit code %d: %s", code, out)
	}
	for _, command := range []string{"serve", "recover"} {
		if code, out := d.run(t, command, "--dir", d.Dir); code != exitFailure || !strings.Contains(out, "this log is frozen") {
			t.Errorf("%s of a log that was ended: exit code %d: %s", command, code, out)
		}
	}
	if code, out := d.run(t, words...); code != exitFailure || !strings.Contains(out, "is not empty") {
		t.Errorf("ending it twice: exit code %d: %s", code, out)
	}
	for _, a := range j.since(0) {
		if _, _, err := d.prove(j.verifier, a.answer.Receipt, a.document()); err != nil {
			t.Error(err)
		}
	}
	if code, out := d.run(t, "fsck", "--dir", d.Dir+"-new"); code != 0 {
		t.Errorf("fsck of the new one: %s", out)
	}
}
