package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/storage/dir"
)

// examine runs munimentd doctor --json and returns what it found.
func (d *laidOut) examine(t *testing.T, args ...string) (int, diagnosis) {
	t.Helper()
	code, out := d.run(t, append([]string{"doctor", "--json", "--dir", d.Dir}, args...)...)
	var found diagnosis
	if err := json.Unmarshal([]byte(out), &found); err != nil {
		t.Fatalf("doctor --json: exit code %d: %s", code, out)
	}
	return code, found
}

// has reports whether a check of that level says all of the words in what it found and
// how to mend it.
func (d *diagnosis) has(check string, l level, words ...string) bool {
	for _, f := range d.Findings {
		text, all := f.What+"\n"+f.Mend, f.Check == check && f.Level == l && (l == sound || l == unchecked || f.Mend != "")
		for _, w := range words {
			all = all && strings.Contains(text, w)
		}
		if all {
			return true
		}
	}
	return false
}

// TestDoctor injects one fault at a time into a depository, and demands that doctor
// names it, and how to mend it.
func TestDoctor(t *testing.T) {
	stopped, other := layout(t), layout(t)
	p := stopped.serve(t)
	c := stopped.client(p)
	answers := stopped.fill(t, c, 40)
	held := answers[12].ID
	anchor := func(d *laidOut) string { return filepath.Join(d.Dir, "anchor", "anchor") }
	early, err := os.ReadFile(anchor(stopped))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.digest("one more", "", "loan"); err != nil {
		t.Fatal(err)
	}
	p.stop(t)
	if code, found := stopped.examine(t); code != 0 || found.count(wrong)+found.count(unchecked) > 0 || !strings.HasPrefix(found.Verdict, "SOUND") {
		t.Fatalf("before any fault: exit code %d: %+v", code, found)
	}
	blob := func(d *laidOut) string {
		path, err := dir.NewReader(filepath.Join(d.Dir, "blobs")).Path(d.Tenant + "/" + held)
		if err != nil {
			t.Fatal(err)
		}
		return path
	}
	inLedger := func(d *laidOut, fault func(path string)) {
		tables, err := filepath.Glob(filepath.Join(d.Dir, "ledger", "*.sst"))
		if err != nil || len(tables) == 0 {
			t.Fatalf("no tables: %v", err)
		}
		for _, path := range tables {
			fault(path)
		}
	}
	zero := notary.ID{}
	for name, fault := range map[string]struct {
		inject func(d *laidOut)
		check  string
		words  []string
	}{
		"directory open to others": {func(d *laidOut) { chmod(t, d.Dir, 0o755) }, "directory", []string{"may be entered by others", "chmod 700 "}},
		"keys open to others":      {func(d *laidOut) { chmod(t, filepath.Join(d.Dir, "keys"), 0o750) }, "directory", []string{"chmod 700 ", "/keys"}},
		"no blobs":                 {func(d *laidOut) { remove(t, filepath.Join(d.Dir, "blobs")) }, "directory", []string{"/blobs: no such file", "munimentd restore --from"}},
		"log key readable":         {func(d *laidOut) { chmod(t, logKeyPath(d.Dir), 0o644) }, "log key", []string{"may be read by others", "chmod 600 "}},
		"log key gone":             {func(d *laidOut) { remove(t, logKeyPath(d.Dir)) }, "log key", []string{"no such file", "copy it back"}},
		"log key garbage":          {func(d *laidOut) { write(t, logKeyPath(d.Dir), "hunter2") }, "log key", []string{"is not a PKCS#8 key", "copy it back"}},
		"log key of another":       {func(d *laidOut) { copyOver(t, logKeyPath(other.Dir), logKeyPath(d.Dir)) }, "policy", []string{"is not that of", "own keys/log.pem"}},
		"policy gone":              {func(d *laidOut) { remove(t, filepath.Join(d.Dir, "policy")) }, "policy", []string{"holds no depository", "put this log's own policy back"}},
		"policy garbage":           {func(d *laidOut) { write(t, filepath.Join(d.Dir, "policy"), "log me\n") }, "policy", []string{"put this log's own policy back"}},
		"policy of another":        {func(d *laidOut) { copyOver(t, filepath.Join(other.Dir, "policy"), filepath.Join(d.Dir, "policy")) }, "policy", []string{"is not that of", "put this log's own policy back"}},
		"anchor gone":              {func(d *laidOut) { remove(t, anchor(d)) }, "anchor", []string{"no such file", "put this log's own anchor back", "--newest"}},
		"anchor torn":              {func(d *laidOut) { write(t, anchor(d), strings.Repeat("x", 8192)) }, "anchor", []string{"no slot is whole", "put this log's own anchor back"}},
		"anchor of another":        {func(d *laidOut) { copyOver(t, anchor(other), anchor(d)) }, "anchor", []string{"is of the log " + other.Origin, "put this log's own anchor back"}},
		"anchor rolled back":       {func(d *laidOut) { write(t, anchor(d), string(early)) }, "published", []string{"the anchor was rolled back", "newest anchor"}},
		"ledger rolled back":       {func(d *laidOut) { ahead(t, d) }, "contents", []string{"43 are sealed", "the ledger was rolled back", "munimentd restore --from TARGET"}},
		"document flipped":         {func(d *laidOut) { flipByte(t, blob(d), 100) }, "contents", []string{held, "cp TARGET/blobs/", blob(stopped)[len(stopped.Dir):]}},
		"document gone":            {func(d *laidOut) { remove(t, blob(d)) }, "contents", []string{held, "is missing", "cp TARGET/blobs/"}},
		"ledger flipped":           {func(d *laidOut) { inLedger(d, func(path string) { flipByte(t, path, 3000) }) }, "contents", []string{"munimentd restore --from TARGET", "/anchor/anchor"}},
		"ledger table gone":        {func(d *laidOut) { inLedger(d, func(path string) { remove(t, path) }) }, "contents", []string{"munimentd restore --from TARGET"}},
		"tenant key readable":      {func(d *laidOut) { chmod(t, tenantKeyPath(d.Dir, zero), 0o640) }, "tenants", []string{"may be read by others", "chmod 600 "}},
		"tenant key gone":          {func(d *laidOut) { remove(t, filepath.Join(d.Dir, "keys", "tenants", d.Tenant+".key")) }, "tenants", []string{stopped.Tenant + ".key", "copy it back"}},
		"tenant key of another": {func(d *laidOut) {
			copyOver(t, tenantKeyPath(d.Dir, zero), filepath.Join(d.Dir, "keys", "tenants", d.Tenant+".key"))
		}, "contents", []string{"does not open under the tenant's key", "put the tenant's own key file back"}},
		"tenant key garbage": {func(d *laidOut) { write(t, tenantKeyPath(d.Dir, zero), "hunter2") }, "tenants", []string{"not a muniment/tenant-key@v1 file", "copy it back"}},
	} {
		t.Run(name, func(t *testing.T) {
			d := stopped.copyOf(t, "faulty")
			chmod(t, d.Dir, 0o700)
			fault.inject(d)
			code, found := d.examine(t)
			if code != exitFound || !strings.HasPrefix(found.Verdict, "WRONG") {
				t.Errorf("exit code %d, verdict %q", code, found.Verdict)
			}
			if !found.has(fault.check, wrong, fault.words...) {
				t.Errorf("%s is not said of %s: %s", fault.words, fault.check, described(found))
			}
		})
	}
}

func described(d diagnosis) string {
	var b strings.Builder
	for _, f := range d.Findings {
		fmt.Fprintf(&b, "\n%s %s: %s\n  mend: %s", signs[f.Level], f.Check, f.What, f.Mend)
	}
	return b.String()
}

func chmod(t *testing.T, path string, mode os.FileMode) {
	t.Helper()
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.RemoveAll(path); err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func copyOver(t *testing.T, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	write(t, to, string(data))
}

// flipByte changes one byte, or the middle one of a shorter file.
func flipByte(t *testing.T, path string, at int) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if at >= len(data) {
		at = len(data) / 2
	}
	data[at] ^= 1
	write(t, path, string(data))
}

// ahead sets the anchor to more entries than there are.
func ahead(t *testing.T, d *laidOut) {
	t.Helper()
	a, err := dir.OpenAnchor(filepath.Join(d.Dir, "anchor"))
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	body, err := a.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	next := strings.Replace(string(body), "\n42\n", "\n43\n", 1)
	if err := a.Advance(t.Context(), body, []byte(next)); err != nil || next == string(body) {
		t.Fatalf("%v: %q", err, body)
	}
}

// TestDoctorOnRunning asks a running depository, which goes on working, and one that
// does not answer; and asks by the way that clients take.
func TestDoctorOnRunning(t *testing.T) {
	d := layout(t)
	p := d.serve(t)
	c := d.client(p)
	answers := d.fill(t, c, 20)
	code, found := d.examine(t, "--server", p.url)
	if code != 0 || !found.Running || !found.has("process", sound, "is running") || !found.has("server", sound, "is ready") ||
		!found.has("contents", sound, "21 entries") || !found.has("published", sound, "21 entries") {
		t.Errorf("exit code %d: %s", code, described(found))
	}
	lost, err := dir.NewReader(filepath.Join(d.Dir, "blobs")).Path(d.Tenant + "/" + answers[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(lost, lost+".away"); err != nil {
		t.Fatal(err)
	}
	if code, found = d.examine(t); code != exitFound || !found.has("contents", wrong, answers[0].ID, "cp TARGET/blobs/") {
		t.Errorf("a lost document: exit code %d: %s", code, described(found))
	}
	if err := os.Rename(lost+".away", lost); err != nil {
		t.Fatal(err)
	}
	// Mended; but the process has seen the damage, if it has looked.
	if code, found = d.examine(t); found.has("contents", wrong) {
		t.Errorf("mended: exit code %d: %s", code, described(found))
	}

	sick := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusServiceUnavailable)
		fmt.Fprint(w, "not\x1b[31m ready")
	}))
	defer sick.Close()
	if code, found = d.examine(t, "--server", sick.URL); code != exitFound || !found.has("server", wrong, "503", "not [31m ready") {
		t.Errorf("a proxy that leads elsewhere: exit code %d: %s", code, described(found))
	}
	if code, found = d.examine(t, "--server", "http://127.0.0.1:1"); code != exitFound || !found.has("server", wrong, "connection refused") {
		t.Errorf("no server: exit code %d: %s", code, described(found))
	}

	syscall.Kill(p.pid, syscall.SIGSTOP)
	began := time.Now()
	code, found = d.examine(t)
	if code != exitFound || !found.has("process", wrong, "does not answer") || !found.has("contents", unchecked) {
		t.Errorf("a process that was stopped: exit code %d: %s", code, described(found))
	}
	if took := time.Since(began); took > 4*answerWithin {
		t.Errorf("a process that was stopped was waited for, %v", took)
	}
	syscall.Kill(p.pid, syscall.SIGCONT)
	p.stop(t)
	d.clean(t)
}

// TestDoctorAsAnother: files of another user are named; and root does not open what is
// not its own, since the owner could not open afterwards what that leaves.
func TestDoctorAsAnother(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give files away")
	}
	d := layout(t)
	if err := os.Chown(filepath.Join(d.Dir, "keys", "tenants"), 12345, 12345); err != nil {
		t.Fatal(err)
	}
	if code, found := d.examine(t); code != exitFound || !found.has("directory", wrong, "belongs to user 12345", "chown -R 0 ") {
		t.Errorf("exit code %d: %s", code, described(found))
	}
	if err := os.Chown(d.Dir, 12345, 12345); err != nil {
		t.Fatal(err)
	}
	if code, out := d.run(t, "doctor", "--dir", d.Dir); code != exitFailure || !strings.Contains(out, "sudo -u '#12345' munimentd doctor --dir") {
		t.Errorf("exit code %d: %s", code, out)
	}
}

// TestDoctorSmallDisk: a disk that is nearly full, of a kind that forgets.
func TestDoctorSmallDisk(t *testing.T) {
	disk := mountSmall(t, 512<<20)
	if disk == nil {
		t.Skip("nothing may be mounted here")
	}
	d := layoutIn(t, filepath.Join(disk.dir, "depository"))
	if code, found := d.examine(t); code != 0 || !found.has("disk", doubtful, "in memory (tmpfs)", "move the depository") {
		t.Errorf("on a tmpfs: exit code %d: %s", code, described(found))
	}
	disk.leave(t, 40)
	if code, found := d.examine(t); code != exitFound || !found.has("disk", wrong, "deposits are refused", "make room") {
		t.Errorf("on a full disk: exit code %d: %s", code, described(found))
	}
	disk.clear(t)
}

// TestDoctorOnClocks holds clocks that a test cannot set against the newest entry.
func TestDoctorOnClocks(t *testing.T) {
	for _, c := range []struct {
		newest  time.Duration // from now
		running bool
		want    level
		says    string
	}{
		{-time.Minute, false, sound, "at or after the newest entry"},
		{time.Second, true, sound, "at or after the newest entry"},
		{3 * time.Second, true, wrong, "deposits are refused"},
		{10 * 365 * 24 * time.Hour, false, wrong, "behind the newest entry"},
		{-25 * time.Hour, false, doubtful, "--accept-clock"},
		{-25 * time.Hour, true, sound, "at or after the newest entry"},
	} {
		e := &examination{facts: facts{state: &state{Newest: time.Now().Add(c.newest)}}}
		e.Running = c.running
		e.clock()
		if !e.has("clock", c.want, c.says) {
			t.Errorf("newest entry at %v, running %v: %s", c.newest, c.running, described(e.diagnosis))
		}
	}
}

// TestLimits reads the kernel's table as it is, and what is not in it as unknown.
func TestLimits(t *testing.T) {
	table, err := os.ReadFile("/proc/self/limits")
	if err != nil {
		t.Fatal(err)
	}
	var own syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &own); err != nil {
		t.Fatal(err)
	}
	if n, ok := limit(string(table), "Max open files"); !ok || n != own.Cur {
		t.Errorf("open files: %d, %v; the kernel says %d", n, ok, own.Cur)
	}
	const made = "Max core file size        unlimited            unlimited            bytes\nMax open files            1024                 4096                 files\n"
	if n, ok := limit(made, "Max core file size"); !ok || n != 1<<64-1 {
		t.Errorf("core file size: %d, %v", n, ok)
	}
	if n, ok := limit(made, "Max open files"); !ok || n != 1024 {
		t.Errorf("open files: %d, %v", n, ok)
	}
	if n, ok := limit(made, "Max processes"); ok {
		t.Errorf("processes: %d", n)
	}
}

// TestDoctorOnLimits: a process with few files and core dumps is told of.
func TestDoctorOnLimits(t *testing.T) {
	d := layout(t)
	p := d.launch(t, []string{"prlimit", "--core=unlimited", "--nofile=1024:1024"})
	if !p.wait(30 * time.Second) {
		t.Fatalf("not serving: %s", p.out)
	}
	code, found := d.examine(t)
	if code != 0 || !found.has("limits", doubtful, "may open 1024 files only", "LimitNOFILE") || !found.has("limits", doubtful, "core dump", "LimitCORE=0") {
		t.Errorf("exit code %d: %s", code, described(found))
	}
	p.stop(t)
}
