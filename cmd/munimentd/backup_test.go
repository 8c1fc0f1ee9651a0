package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/storage"
	"github.com/muniment/muniment/storage/dir"
)

// run runs a command of munimentd, and returns its exit code and what it said.
func (d *laidOut) run(t testing.TB, args ...string) (int, string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "munimentd", args...)
	out, err := cmd.CombinedOutput()
	d.said.Write(out)
	if exit := new(exec.ExitError); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), string(out)
}

// backUp takes a backup, which must succeed.
func (d *laidOut) backUp(t testing.TB, target string, args ...string) string {
	t.Helper()
	code, out := d.run(t, append([]string{"backup", "--dir", d.Dir, "--to", target}, args...)...)
	if code != 0 || !strings.Contains(out, "BACKED UP: ") {
		t.Fatalf("backup: exit code %d: %s", code, out)
	}
	return out
}

// restore restores a backup beside the depository, with its keys.
func (d *laidOut) restore(t testing.TB, target, name string, args ...string) (*laidOut, int, string) {
	t.Helper()
	r := &laidOut{created: d.created, policy: d.policy, said: d.said}
	r.Dir = filepath.Join(filepath.Dir(d.Dir), name)
	if err := os.RemoveAll(r.Dir); err != nil {
		t.Fatal(err)
	}
	keys := []string{"--keys", filepath.Join(d.Dir, "keys")}
	code, out := d.run(t, append(append([]string{"restore", "--from", target, "--dir", r.Dir}, keys...), args...)...)
	return r, code, out
}

// restored demands that a backup is good.
func (d *laidOut) restored(t testing.TB, target string) *laidOut {
	t.Helper()
	r, code, out := d.restore(t, target, "restored", "--nothing-newer")
	if code != 0 || !strings.Contains(out, "RESTORED: ") {
		t.Fatalf("restore: exit code %d: %s", code, out)
	}
	return r
}

// nothingAt demands that a failed restore left nothing.
func nothingAt(t testing.TB, to string) {
	t.Helper()
	for _, path := range []string{to, to + ".restoring"} {
		if _, err := os.Lstat(path); !os.IsNotExist(err) {
			t.Errorf("a restore that failed left %s", path)
		}
	}
}

// TestBackupUnderLoad takes backups beside eight writers. Every receipt that was
// acknowledged before a backup began is good on what is restored from it, elsewhere,
// with its document; and what came later keeps it from going on unnoticed (I3).
func TestBackupUnderLoad(t *testing.T) {
	d := layout(t)
	p := d.serve(t)
	l := d.lend(t)
	l.now.Store(d.client(p))
	target := filepath.Join(t.TempDir(), "backups")
	for round := range rounds(3, 40) {
		for n := len(l.since(0)); len(l.since(0)) < n+100; {
			time.Sleep(10 * time.Millisecond)
		}
		before := l.since(0)
		d.backUp(t, target)
		r := d.restored(t, target)
		r.clean(t)
		q := r.serve(t)
		c := r.client(q)
		cp, entries := c.whole(t)
		if cp.Size < uint64(1+len(before)) {
			t.Errorf("round %d: %d receipts before the backup, and %d entries in it", round, len(before), cp.Size)
		}
		if err := l.checkAll(c, before, entries); err != nil {
			t.Errorf("round %d: %v", round, err)
		}
		if _, err := l.consistent(c, before); err != nil {
			t.Errorf("round %d: %v", round, err)
		}
		q.kill()
	}
	receipts, _ := l.account(t)
	p.stop(t)
	d.clean(t)

	// The log went on after the last backup.
	r, code, out := d.restore(t, target, "behind", "--newest", filepath.Join(d.Dir, "anchor", "anchor"))
	if code != exitFound || !strings.Contains(out, "BEHIND: ") {
		t.Errorf("an old backup beside the newest anchor: exit code %d: %s", code, out)
	}
	r.refusesToServe(t, uint64(1+receipts))
	t.Logf("%d receipts", receipts)
}

// refusesToServe demands that serve names both sizes, and signs nothing.
func (d *laidOut) refusesToServe(t *testing.T, sealed uint64) {
	t.Helper()
	p := d.launch(t, nil)
	if code := p.exit(t, 20*time.Second); code != exitFailure {
		t.Errorf("serve: exit code %d: %s", code, p.out)
	}
	m, err := sizesNamed(p.out.String())
	if err != nil || m[1] != sealed || m[0] >= sealed {
		t.Errorf("serve does not name both sizes, and %d as the sealed one: %s", sealed, p.out)
	}
}

func sizesNamed(said string) (sizes [2]uint64, err error) {
	at := strings.Index(said, "the ledger has ")
	if at < 0 {
		return sizes, errors.New("no sizes are named")
	}
	_, err = fmt.Sscanf(said[at:], "the ledger has %d entries, but %d are sealed", &sizes[0], &sizes[1])
	return sizes, err
}

// TestRestoreNeverForks: a backup that the log has outgrown is not restored unnoticed,
// whatever shows that it has: a receipt, a checkpoint, an anchor or its body (I3).
func TestRestoreNeverForks(t *testing.T) {
	d := layout(t)
	p := d.serve(t)
	c := d.client(p)
	old, err := c.deposit("old", nil, []byte("old contract"))
	if err != nil {
		t.Fatal(err)
	}
	target := filepath.Join(t.TempDir(), "backups")
	d.backUp(t, target)
	recent, err := c.deposit("new", nil, []byte("new contract"))
	if err != nil {
		t.Fatal(err)
	}
	note, err := c.get("/log/checkpoint")
	if err != nil {
		t.Fatal(err)
	}
	p.stop(t)

	files := t.TempDir()
	file := func(name string, data []byte) string {
		path := filepath.Join(files, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	body, _, _ := bytes.Cut(note, []byte("\n\n"))
	anchor := filepath.Join(d.Dir, "anchor", "anchor")
	receipt := file("new.tlog-proof", []byte(recent.Receipt))
	for what, args := range map[string][]string{
		"receipt":     {"--newest", receipt},
		"checkpoint":  {"--newest", file("checkpoint", note)},
		"anchor":      {"--newest", anchor},
		"its body":    {"--newest", file("body", append(body, '\n'))},
		"one of many": {"--newest", file("old.tlog-proof", []byte(old.Receipt)), "--newest", receipt},
	} {
		r, code, out := d.restore(t, target, "behind", args...)
		if code != exitFound || !strings.Contains(out, "BEHIND: the backup has 2 entries") || !strings.Contains(out, " shows 3.") {
			t.Errorf("%s: exit code %d: %s", what, code, out)
			continue
		}
		r.refusesToServe(t, 3)
	}

	// What shows nothing newer does not do, and without anything it does not begin.
	other := layout(t)
	forged := bytes.Replace(note, []byte("\n3\n"), []byte("\n4\n"), 1)
	for what, c := range map[string]struct {
		args []string
		says string
	}{
		"nothing":          {nil, "say either --newest FILE"},
		"both":             {[]string{"--nothing-newer", "--newest", receipt}, "say either --newest FILE"},
		"an unsigned note": {[]string{"--newest", file("forged", forged)}, "did not sign it"},
		"another log's":    {[]string{"--newest", filepath.Join(other.Dir, "anchor", "anchor")}, "it is of the log " + other.Origin},
		"no state at all":  {[]string{"--newest", filepath.Join(d.Dir, "policy")}, "it is no receipt, checkpoint or anchor"},
		"a missing file":   {[]string{"--newest", filepath.Join(files, "none")}, "no such file"},
		"an older state":   {[]string{"--newest", file("genesis", []byte(d.Origin+"\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n"))}, "no --newest is as new as the backup"},
		"another history":  {[]string{"--newest", file("fork", []byte(d.Origin+"\n2\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n"))}, "it has forked"},
		"an older history": {[]string{"--newest", receipt, "--newest", file("past", []byte(d.Origin+"\n1\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n"))}, "another history"},
	} {
		r, code, out := d.restore(t, target, "refused", c.args...)
		if code != exitFailure || !strings.Contains(out, c.says) {
			t.Errorf("%s: exit code %d: %s", what, code, out)
		}
		nothingAt(t, r.Dir)
	}

	// The receipt of the last entry that is in the backup shows that it is as new.
	if _, code, out := d.restore(t, target, "same", "--newest", file("same.tlog-proof", []byte(old.Receipt))); code != 0 {
		t.Errorf("with the newest receipt that the backup knows: exit code %d: %s", code, out)
	}
}

// TestFlippedBackup: one bit flipped, or the end cut off, anywhere in a backup: it is
// not restored, the file is named, and nothing is left.
func TestFlippedBackup(t *testing.T) {
	d := layout(t)
	p := d.serve(t)
	d.fill(t, d.client(p), 60)
	target := filepath.Join(t.TempDir(), "backups")
	d.backUp(t, target)
	p.stop(t)
	d.backUp(t, target) // of tables, where the one before was of the write-ahead log

	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	t.Logf("seed %d", seed)
	kinds := []string{".", "blobs", "backup", "."}
	for i := range rounds(24, 800) {
		kind := kinds[i%len(kinds)]
		path, where, mend := spoil(t, target, kind, random)
		r, code, out := d.restore(t, target, "refused", "--nothing-newer")
		named := strings.Contains(out, path) || strings.Contains(out, target+": there is no finished backup") && path == filepath.Join(target, manifestName)
		if code != exitFailure || !named {
			t.Errorf("seed %d, %s of %s: exit code %d: %s", seed, where, path, code, out)
		}
		nothingAt(t, r.Dir)
		mend()
	}
	d.restored(t, target).clean(t)

	// The next backup does not link to what has rotted here, and brings back a document
	// that was deleted because restore named it.
	m, err := readManifest(target)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range m.Files {
		if f.Size > 0 {
			flipByte(t, filepath.Join(target, m.Set, f.Path), 10)
		}
	}
	blobs, err := filepath.Glob(filepath.Join(target, "blobs", d.Tenant, "*", "*"))
	if err != nil || len(blobs) == 0 {
		t.Fatalf("no documents: %v", err)
	}
	remove(t, blobs[0])
	d.backUp(t, target)
	d.restored(t, target).clean(t)
}

// spoil flips a bit of a file, or cuts it short, or takes it away, and returns how to
// mend it.
func spoil(t *testing.T, dir, kind string, random *rand.Rand) (path, where string, mend func()) {
	t.Helper()
	var files []string
	err := filepath.WalkDir(filepath.Join(dir, kind), func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			files = append(files, path)
		}
		return err
	})
	if err != nil || len(files) == 0 {
		t.Fatalf("nothing to spoil: %v", err)
	}
	path = files[random.IntN(len(files))]
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	mend = func() {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	bad := bytes.Clone(data)
	switch way := random.IntN(4); {
	case len(bad) == 0 || way == 0:
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		return path, "loss", mend
	case way == 1:
		bad, where = bad[:random.IntN(len(bad))], "end"
	default:
		at, bit := random.IntN(len(bad)), random.IntN(8)
		bad[at] ^= 1 << bit
		where = fmt.Sprintf("bit %d.%d", at, bit)
	}
	if err := os.WriteFile(path, bad, 0o600); err != nil {
		t.Fatal(err)
	}
	return path, where, mend
}

// TestKilledBackup kills backups at random moments, of a running depository and of a
// stopped one. What the target holds is good after each, and the next one ends.
func TestKilledBackup(t *testing.T) {
	d := layout(t)
	p := d.serve(t)
	c := d.client(p)
	target := filepath.Join(t.TempDir(), "backups")
	d.fill(t, c, 40)
	d.backUp(t, target)
	whole := 0
	for i := range rounds(12, 300) {
		for n := range 5 {
			if _, err := c.deposit(fmt.Sprintf("kill-%d-%d", i, n), nil, bytes.Repeat([]byte{byte(i)}, 100_000)); err != nil {
				t.Fatal(err)
			}
		}
		before, err := readManifest(target)
		if err != nil {
			t.Fatal(err)
		}
		if i%3 == 2 {
			p.stop(t)
		}
		cmd := exec.Command("munimentd", "backup", "--dir", d.Dir, "--to", target)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(20+rand.IntN(100)) * time.Millisecond)
		cmd.Process.Kill()
		cmd.Wait()
		d.restored(t, target)
		after, err := readManifest(target)
		if err != nil || after.Size < before.Size {
			t.Fatalf("after a kill: %v, %v", after, err)
		}
		if after.Size > before.Size {
			whole++
		}
		if i%3 == 2 {
			p = d.serve(t)
			c = d.client(p)
		}
	}
	d.backUp(t, target)
	if n, err := filepath.Glob(filepath.Join(target, "set-*")); err != nil || len(n) != 1 {
		t.Errorf("%q are left of backups that died", n)
	}
	cp, err := c.checkpoint()
	if err != nil {
		t.Fatal(err)
	}
	if m, err := readManifest(target); err != nil || m.Size != cp.Size {
		t.Errorf("the last backup: %v, %v", m, err)
	}
	p.stop(t)
	if _, err := os.Stat(filepath.Join(d.Dir, "snapshot")); !os.IsNotExist(err) {
		t.Errorf("a snapshot is left: %v", err)
	}
	d.restored(t, target).clean(t)
	d.clean(t)
	t.Logf("%d of the killed backups had ended", whole)
}

// TestBackupFailingCalls lets one system call of a backup fail, and another, and looks
// each time whether the target says the truth: a backup that ended with 0 is there, and
// after any other end the one before is good.
func TestBackupFailingCalls(t *testing.T) {
	d := layout(t)
	p := d.serve(t)
	c := d.client(p)
	target := filepath.Join(t.TempDir(), "backups")
	d.fill(t, c, 30)
	d.backUp(t, target)
	failed := map[string]int{}
	for _, call := range []string{"fsync", "syncfs", "renameat", "linkat", "mkdirat", "unlinkat"} {
		for when := range rounds(3, 40) {
			if _, err := c.deposit(fmt.Sprint(call, when), nil, []byte("contract")); err != nil {
				t.Fatal(err)
			}
			before, err := readManifest(target)
			if err != nil {
				t.Fatal(err)
			}
			out, err := exec.Command("strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace="+call,
				"-e", fmt.Sprintf("inject=%s:error=EIO:when=%d", call, when+1),
				"munimentd", "backup", "--dir", d.Dir, "--to", target).CombinedOutput()
			d.said.Write(out)
			after, readErr := readManifest(target)
			if readErr != nil {
				t.Fatalf("%s %d: %v: %s", call, when+1, readErr, out)
			}
			switch exit := new(exec.ExitError); {
			case err == nil && after.Size > before.Size:
			case errors.As(err, &exit) && exit.ExitCode() == exitFailure:
				failed[call]++
			default:
				t.Errorf("%s %d: %v, backup of %d entries after one of %d: %s", call, when+1, err, after.Size, before.Size, out)
			}
			d.restored(t, target)
		}
	}
	t.Logf("backups that failed, by call: %v", failed)
	if failed["fsync"] == 0 || failed["syncfs"] == 0 || failed["renameat"] == 0 {
		t.Error("the faults do not reach the backup")
	}
	d.backUp(t, target)
	d.restored(t, target).clean(t)
	p.stop(t)
}

// TestBackupOfLostDocument: a document that the depository has lost is still in the
// backup if an earlier one has it, and can be put back as doctor says; if none has, the
// backup is taken only when told so, names it, and so does what is restored.
func TestBackupOfLostDocument(t *testing.T) {
	d := layout(t)
	p := d.serve(t)
	c := d.client(p)
	answers := d.fill(t, c, 20)
	target := filepath.Join(t.TempDir(), "backups")
	d.backUp(t, target)
	place := func(root, id string) string {
		path, err := dir.NewReader(filepath.Join(root, "blobs")).Path(d.Tenant + "/" + id)
		if err != nil {
			t.Fatal(err)
		}
		return path
	}
	once := answers[12].ID
	if err := os.Remove(place(d.Dir, once)); err != nil {
		t.Fatal(err)
	}
	code, out := d.run(t, "backup", "--dir", d.Dir, "--to", target)
	if code != exitFound || !strings.Contains(out, "WRONG: 1 documents are missing") || !strings.Contains(out, "BACKED UP: ") {
		t.Errorf("lost, and in an earlier backup: exit code %d: %s", code, out)
	}
	d.restored(t, target).clean(t)
	copyOver(t, place(target, once), place(d.Dir, once)) // doctor's mend
	d.clean(t)
	d.backUp(t, target)

	never, err := c.deposit("never", nil, []byte("never backed up"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(place(d.Dir, never.ID)); err != nil {
		t.Fatal(err)
	}
	code, out = d.run(t, "backup", "--dir", d.Dir, "--to", target)
	if code != exitFailure || !strings.Contains(out, place(d.Dir, never.ID)+" is missing") || !strings.Contains(out, "stands as it was, with 21 entries") {
		t.Errorf("lost, and in no backup: exit code %d: %s", code, out)
	}
	code, out = d.run(t, "backup", "--dir", d.Dir, "--to", target, "--without-missing")
	if code != exitFound || !strings.Contains(out, never.ID+" is missing") {
		t.Errorf("without it: exit code %d: %s", code, out)
	}
	r, code, out := d.restore(t, target, "restored", "--nothing-newer")
	if code != exitFound || !strings.Contains(out, never.ID+" was missing") || !strings.Contains(out, "RESTORED: ") {
		t.Errorf("restored without it: exit code %d: %s", code, out)
	}
	r.serve(t).stop(t)
	// That one is known to be lost is no licence for another to be.
	if err := os.Remove(place(target, once)); err != nil {
		t.Fatal(err)
	}
	if r, code, out = d.restore(t, target, "refused", "--nothing-newer"); code != exitFailure || !strings.Contains(out, place(target, once)+" is missing") {
		t.Errorf("another is missing in the backup: exit code %d: %s", code, out)
	}
	nothingAt(t, r.Dir)
}

// TestBackupsOneByOne: of two backups at a time one is refused, of one depository as
// into one target. A snapshot goes with whoever asked for it, and at the latest with
// the next start.
func TestBackupsOneByOne(t *testing.T) {
	d := layout(t)
	p := d.serve(t)
	target, other := filepath.Join(t.TempDir(), "backups"), filepath.Join(t.TempDir(), "others")
	d.backUp(t, target)
	snapshot := filepath.Join(d.Dir, "snapshot")
	anchor, release, err := askSnapshot(t.Context(), d.Dir)
	if err != nil || !strings.HasPrefix(string(anchor), d.Origin+"\n1\n") {
		t.Fatalf("%q, %v", anchor, err)
	}
	if _, err := os.Stat(snapshot); err != nil {
		t.Error(err)
	}
	if code, out := d.run(t, "backup", "--dir", d.Dir, "--to", other); code != exitFailure || !strings.Contains(out, "another backup of this depository is being taken") {
		t.Errorf("a second backup: exit code %d: %s", code, out)
	}
	release()
	gone := func() bool {
		_, err := os.Stat(snapshot)
		return os.IsNotExist(err)
	}
	for deadline := time.Now().Add(10 * time.Second); !gone(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the snapshot stays after its asker went away")
		}
	}
	d.backUp(t, other)

	lock, err := os.Open(target)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	if code, out := d.run(t, "backup", "--dir", d.Dir, "--to", target); code != exitFailure || !strings.Contains(out, "is in use by another backup or restore") {
		t.Errorf("into a target in use: exit code %d: %s", code, out)
	}
	if r, code, out := d.restore(t, target, "refused", "--nothing-newer"); code != exitFailure || !strings.Contains(out, "is being taken") {
		t.Errorf("from a target in use: exit code %d: %s", code, out)
	} else {
		nothingAt(t, r.Dir)
	}

	// Stopping does not wait for a backup.
	if _, release, err = askSnapshot(t.Context(), d.Dir); err != nil {
		t.Fatal(err)
	}
	p.stop(t)
	release()
	p = d.serve(t)
	if _, release, err = askSnapshot(t.Context(), d.Dir); err != nil {
		t.Fatal(err)
	}
	p.kill()
	release()
	if gone() {
		t.Error("the snapshot of a killed process is gone, and nothing can be shown")
	}
	p = d.serve(t)
	if !gone() {
		t.Error("a start leaves the snapshot of a process that was killed")
	}
	p.stop(t)
	d.clean(t)
}

// TestBackupHoldsNoKey: without --with-keys no byte of any key is in a backup (I25).
func TestBackupHoldsNoKey(t *testing.T) {
	d := layout(t)
	p := d.serve(t)
	d.fill(t, d.client(p), 30)
	secrets := secretsOf(t, d)
	closed, open := filepath.Join(t.TempDir(), "closed"), filepath.Join(t.TempDir(), "open")
	if out := d.backUp(t, closed); !strings.Contains(out, "NOT in this backup") {
		t.Errorf("nothing is said of keys: %s", out)
	}
	p.stop(t)
	d.backUp(t, closed)
	if found := secrets.within(t, closed); len(found) > 0 {
		t.Errorf("a backup without keys holds %q", found)
	}
	if out := d.backUp(t, open, "--with-keys"); !strings.Contains(out, "IN this backup") {
		t.Errorf("nothing is said of keys: %s", out)
	}
	if found := secrets.within(t, open); len(found) < 3 {
		t.Errorf("a backup with keys holds %q: the search does not find them", found)
	}
	err := filepath.WalkDir(open, func(path string, e fs.DirEntry, err error) error {
		if info, _ := e.Info(); err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s may be read by others", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}

	// With its keys a backup needs nothing else; without them it is of no use.
	to := filepath.Join(t.TempDir(), "alone")
	if code, out := d.run(t, "restore", "--from", open, "--dir", to, "--nothing-newer"); code != 0 {
		t.Errorf("with the keys in the backup: exit code %d: %s", code, out)
	}
	(&laidOut{created: created{Dir: to}, said: d.said}).clean(t)
	to = filepath.Join(t.TempDir(), "keyless")
	if code, out := d.run(t, "restore", "--from", closed, "--dir", to, "--nothing-newer"); code != exitFailure || !strings.Contains(out, "the backup holds no keys; say --keys") {
		t.Errorf("without keys: exit code %d: %s", code, out)
	}
	nothingAt(t, to)
	other := layout(t)
	if code, out := d.run(t, "restore", "--from", closed, "--dir", to, "--nothing-newer", "--keys", filepath.Join(other.Dir, "keys")); code != exitFailure {
		t.Errorf("with another depository's keys: exit code %d: %s", code, out)
	}
	nothingAt(t, to)
}

// within names the files under a directory that hold a secret.
func (s spellings) within(t *testing.T, dir string) (files []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		if s.found(data) != "" {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// TestBackupBesideDepository: a backup on the depository's own disk leaves the room that
// the ledger needs to go on.
func TestBackupBesideDepository(t *testing.T) {
	disk := mountSmall(t, 512<<20)
	if disk == nil {
		t.Skip("nothing may be mounted here")
	}
	d := layoutIn(t, filepath.Join(disk.dir, "depository"))
	p := d.serve(t)
	c := d.client(p)
	target := filepath.Join(disk.dir, "backups")
	if out := d.backUp(t, target); !strings.Contains(out, "is on the same file system as") {
		t.Errorf("nothing is said of the disk: %s", out)
	}
	if _, err := c.deposit("large", nil, make([]byte, 30<<20)); err != nil {
		t.Fatal(err)
	}
	disk.leave(t, 540) // 276 MiB, of which 256 must stay
	code, out := d.run(t, "backup", "--dir", d.Dir, "--to", target)
	if code != exitFailure || !strings.Contains(out, "no room left in storage") || !strings.Contains(out, "stands as it was, with 1 entries") {
		t.Errorf("exit code %d: %s", code, out)
	}
	if _, err := c.digest("after", "", "loan"); err != nil {
		t.Errorf("the depository, after a backup that found no room: %v", err)
	}
	disk.clear(t)
	d.backUp(t, target)
	p.stop(t)
	d.clean(t)
}

// TestBackupOnFullDisk: no room in the target is a clean error; what it held is good,
// and so is the depository.
func TestBackupOnFullDisk(t *testing.T) {
	disk := mountSmall(t, 16<<20)
	if disk == nil {
		t.Skip("nothing may be mounted here")
	}
	d := layout(t)
	p := d.serve(t)
	c := d.client(p)
	d.fill(t, c, 30)
	target := filepath.Join(disk.dir, "backups")
	d.backUp(t, target)
	large := bytes.Repeat([]byte("contract\n"), 1<<20)
	for i := range 3 {
		if _, err := c.deposit(fmt.Sprint("large-", i), nil, large); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		code, out := d.run(t, "backup", "--dir", d.Dir, "--to", target)
		if code != exitFailure || !strings.Contains(out, "no space left on device") || !strings.Contains(out, "stands as it was, with 31 entries") {
			t.Errorf("on a full target: exit code %d: %s", code, out)
		}
	}
	d.restored(t, target)
	disk.leave(t, 0) // not even for a set
	if code, out := d.run(t, "backup", "--dir", d.Dir, "--to", target); code != exitFailure || !strings.Contains(out, "no space left on device") {
		t.Errorf("on a full target: exit code %d: %s", code, out)
	}
	d.restored(t, target)
	if _, err := c.digest("after", "", "loan"); err != nil {
		t.Errorf("the depository, after a backup that found no room: %v", err)
	}
	p.stop(t)
	d.clean(t)
}

// TestRestoreEndsSessions: who signed out after a backup was taken is not signed in again by
// its restore, nor is anybody else; nor by a recovery over an older copy.
func TestRestoreEndsSessions(t *testing.T) {
	d := layout(t)
	now := time.Now().UTC().Truncate(time.Millisecond)
	s := notary.Session{Hash: [32]byte{1}, Role: notary.Operator, Caller: "oidc:0123456789abcdef", Begun: now, Seen: now, Ends: now.Add(8 * time.Hour)}
	sessions := func(dir string, do func(notary.Sessions) error) error {
		t.Helper()
		store, err := storage.Open(t.Context(), storage.Config{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		return errors.Join(do(store.Sessions), store.Close())
	}
	if err := sessions(d.Dir, func(all notary.Sessions) error { return all.BeginSession(t.Context(), s) }); err != nil {
		t.Fatal(err)
	}
	target := filepath.Join(t.TempDir(), "backups")
	d.backUp(t, target)
	look := func(all notary.Sessions) error { _, err := all.Session(t.Context(), s.Hash); return err }
	if err := sessions(d.Dir, look); err != nil {
		t.Errorf("the backup ended it where it was taken: %v", err)
	}
	if err := sessions(d.restored(t, target).Dir, look); !errors.Is(err, notary.ErrNotFound) {
		t.Errorf("after a restore: %v", err)
	}
	for _, tried := range []struct {
		args []string
		want error
	}{{[]string{"--dry-run"}, nil}, {nil, notary.ErrNotFound}} {
		if code, out := d.run(t, append([]string{"recover", "--dir", d.Dir}, tried.args...)...); code != 0 {
			t.Fatalf("recover: exit code %d: %s", code, out)
		}
		if err := sessions(d.Dir, look); !errors.Is(err, tried.want) {
			t.Errorf("after recover %v: %v", tried.args, err)
		}
	}
}
