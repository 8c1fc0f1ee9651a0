package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// aFault is one system call on one kind of file that fails while the depository serves.
type aFault struct {
	name  string
	where string   // which kind of file: see paths
	trace string   // the calls counted
	what  string   // what becomes of the one that is due
	when  []string // which one, counted for each thread
	exits int      // -1: killed by the fault itself
}

// faults is I7 (an fsync that fails), I5 (a disk that is full in the middle of a
// commit) and a kill at the very point.
var faults = []aFault{
	{"fsync of the write-ahead log fails", "ledger", "fsync,fdatasync", "error=EIO", []string{"1", "2", "5"}, exitFatal},
	{"fsync of the anchor fails", "anchor", "fsync,fdatasync", "error=EIO", []string{"1", "2", "5"}, exitFatal},
	{"fsync of a document fails", "blobs", "fsync", "error=EIO", []string{"1", "2", "4"}, exitFatal},
	{"fsync of a document's directory fails", "blobs/tenant", "fsync", "error=EIO", []string{"1"}, exitFatal},
	{"no room in the write-ahead log", "ledger", "write,pwrite64,writev,pwritev", "error=ENOSPC", []string{"1", "2", "5"}, exitFatal},
	{"write to the write-ahead log fails", "ledger", "write,pwrite64,writev,pwritev", "error=EIO", []string{"1", "3"}, exitFatal},
	{"no room in the anchor", "anchor", "write,pwrite64", "error=ENOSPC", []string{"1", "2"}, exitFatal},
	{"killed at the write-ahead log's fsync", "ledger", "fsync,fdatasync", "signal=KILL", []string{"1", "3"}, -1},
	{"killed at the anchor's write", "anchor", "pwrite64", "signal=KILL", []string{"1", "2", "3", "4"}, -1},
	{"killed at the anchor's fsync", "anchor", "fdatasync", "signal=KILL", []string{"1", "2"}, -1},
	{"killed at a document's fsync", "blobs", "fsync", "signal=KILL", []string{"1", "3"}, -1},
	{"killed at a document's name", "blobs", "linkat", "signal=KILL", []string{"1", "3"}, -1},
}

// TestFailingCalls: nothing is acknowledged that is not so, the process ends at once,
// and the next one finds everything that was.
func TestFailingCalls(t *testing.T) {
	for _, f := range faults {
		if torture() {
			f.when = []string{"1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "12", "15", "20"}
		}
		for _, when := range f.when {
			t.Run(f.name+" "+when, func(t *testing.T) { f.run(t, when) })
		}
	}
}

func (f aFault) run(t *testing.T, when string) {
	d := layout(t)
	p := d.serve(t)
	args := []string{"-e", "trace=linkat," + f.trace, "-e", "inject=" + f.trace + ":" + f.what + ":when=" + when}
	for _, path := range f.paths(t, d) {
		args = append(args, "-P", path)
	}
	file := p.attach(t, args...)
	l := d.lend(t)
	l.now.Store(d.client(p))
	code := p.exit(t, time.Duration(rounds(20, 120))*time.Second)
	l.now.Store(nil)
	if code != f.exits {
		t.Errorf("exit code %d, not %d: %s", code, f.exits, p.out)
	}
	if f.exits >= 0 {
		f.timely(t, d, wholeTrace(t, file))
		if !strings.Contains(p.out.String(), "the process ends now") {
			t.Errorf("no word of why it ended: %s", p.out)
		}
	}
	d.recovered(t, l)
}

// wholeTrace returns the calls of a trace, once the tracer has written the process's end: it
// may do so a moment after everyone else has heard of it.
func wholeTrace(t *testing.T, file string) (trace []call) {
	t.Helper()
	until(t, 10*time.Second, "the end of the trace", func() bool {
		data, err := os.ReadFile(file)
		return err == nil && strings.Contains(string(data), "+++ exited with") && strings.HasSuffix(string(data), "+++\n")
	})
	return calls(t, file)
}

// paths are the files whose calls count. Documents are written under no name, so
// there it is all files.
func (f aFault) paths(t *testing.T, d *laidOut) []string {
	switch f.where {
	case "anchor":
		return []string{filepath.Join(d.Dir, "anchor", "anchor")}
	case "blobs/tmp":
		return []string{filepath.Join(d.Dir, "blobs", "tmp")}
	case "blobs/tenant":
		return []string{filepath.Join(d.Dir, "blobs", d.Tenant)}
	case "ledger":
		logs, err := filepath.Glob(filepath.Join(d.Dir, "ledger", "*.log"))
		if err != nil || len(logs) == 0 {
			t.Fatalf("no write-ahead log: %v", err)
		}
		return logs
	}
	return nil
}

// timely demands that the fault was met where it was meant, that nothing was built
// on it, and that the process ended within a second of it.
func (f aFault) timely(t *testing.T, d *laidOut, trace []call) {
	t.Helper()
	first := slices.IndexFunc(trace, func(c call) bool { return strings.Contains(c.text, "(INJECTED)") })
	last := len(trace) - 1
	if first < 0 || !strings.HasPrefix(trace[last].text, "+++ exited with") {
		t.Fatalf("the fault was not met, or the trace does not end: %d calls", len(trace))
	}
	met := trace[first]
	kind, _, _ := strings.Cut(f.where, "/")
	if !strings.HasPrefix(met.path, filepath.Join(d.Dir, kind)) {
		t.Errorf("the fault was met nowhere near %s: %s", kind, met.text)
	}
	if took := trace[last].at.Sub(met.at); took > time.Second || took < 0 {
		t.Errorf("it ended %v after the fault", took)
	}
	// A document whose fsync failed must not be given its name.
	if fd := descriptor.FindStringSubmatch(met.text); strings.Contains(met.path, "/blobs/tmp/") && fd != nil {
		for _, c := range trace[first:] {
			if c.name == "linkat" && c.from > met.to && strings.Contains(c.text, `"/proc/self/fd/`+fd[1]+`"`) {
				t.Errorf("a document that is not durable was given its name: %s", c.text)
			}
		}
	}
}

var descriptor = regexp.MustCompile(`^\w+\((\d+)<`)

// recovered starts the depository again after its process died, and demands that
// everything acknowledged is there, once.
func (d *laidOut) recovered(t *testing.T, l *lenders) {
	t.Helper()
	before := len(l.since(0))
	p := d.serve(t)
	l.now.Store(d.client(p))
	receipts, _ := l.account(t)
	p.stop(t)
	d.clean(t)
	t.Logf("%d receipts before, %d in all", before, receipts)
}

// TestPassingFaults is I5 for calls after whose failure the disk is still what it was
// thought to be: the request is refused for now, and the same process goes on.
func TestPassingFaults(t *testing.T) {
	for _, f := range []aFault{
		{"a document finds no room", "blobs", "linkat", "error=ENOSPC", []string{"1", "3"}, 0},
		{"a document gets no name", "blobs", "linkat", "error=EIO", []string{"1"}, 0},
		{"no document can be begun", "blobs/tmp", "openat", "error=EMFILE", []string{"1", "2"}, 0},
		{"no directory can be made", "blobs", "mkdirat", "error=ENOSPC", []string{"1", "1..2"}, 0}, // once one is made, no thread asks again
		{"the anchor cannot be read", "anchor", "pread64", "error=EIO", []string{"1", "2", "3"}, 0},
		{"the anchor's file is not told of", "anchor", "fstat,newfstatat", "error=EIO", []string{"1", "2"}, 0},
		{"the disk's room is not told", "", "statfs,fstatfs", "error=EIO", []string{"1", "2"}, 0},
	} {
		for _, when := range f.when {
			t.Run(f.name+" "+when, func(t *testing.T) { f.pass(t, when) })
		}
	}
}

func (f aFault) pass(t *testing.T, when string) {
	d := layout(t)
	p := d.serve(t)
	args := []string{"-e", "trace=" + f.trace, "-e", "inject=" + f.trace + ":" + f.what + ":when=" + when}
	for _, path := range f.paths(t, d) {
		args = append(args, "-P", path)
	}
	file := p.attach(t, args...)
	l := d.lend(t)
	l.now.Store(d.client(p))
	met := func() bool {
		return slices.ContainsFunc(calls(t, file), func(c call) bool { return strings.Contains(c.text, "(INJECTED)") })
	}
	for deadline := time.Now().Add(20 * time.Second); !met(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the fault was not met")
		}
	}
	before := len(l.since(0))
	for deadline := time.Now().Add(20 * time.Second); len(l.since(0)) < before+2*writers; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("nothing is acknowledged any more: %s", p.out)
		}
	}
	receipts, _ := l.account(t)
	p.stop(t)
	d.clean(t)
	t.Logf("%d receipts before, %d in all", before, receipts)
}

// TestFailingFsyncAtStart lets each fsync of a start fail, after a kill that left work
// for it: it ends, and the next start finds everything.
func TestFailingFsyncAtStart(t *testing.T) {
	d := layout(t)
	p := d.serve(t)
	l := d.lend(t)
	l.now.Store(d.client(p))
	time.Sleep(300 * time.Millisecond)
	l.now.Store(nil)
	p.kill()
	reached := map[string]bool{}
	for _, when := range []string{"1", "2", "3", "4"} {
		file := filepath.Join(t.TempDir(), "trace")
		p := d.launch(t, straceArgs(t, file, "-e", "trace=fsync,fdatasync", "-e", "inject=fsync,fdatasync:error=EIO:when="+when))
		if p.wait(30 * time.Second) {
			// Not met in the start; then under the writers.
			l.now.Store(d.client(p))
		}
		code := p.exit(t, 30*time.Second)
		l.now.Store(nil)
		if code != exitFailure && code != exitFatal {
			t.Errorf("exit code %d at fsync %s: %s", code, when, p.out)
		}
		for _, c := range calls(t, file) {
			if strings.Contains(c.text, "(INJECTED)") {
				rest, _ := strings.CutPrefix(c.path, d.Dir+"/")
				reached[strings.SplitN(rest, "/", 2)[0]] = true
			}
		}
	}
	if len(reached) < 2 {
		t.Errorf("fsyncs failed in %v only", reached)
	}
	d.recovered(t, l)
}
