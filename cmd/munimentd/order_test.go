package main

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestOrderOfWrites is I4 on the real system calls of single deposits: document
// durable, batch durable, anchor durable, and only then a signature, first to the
// ledger and then to the caller.
func TestOrderOfWrites(t *testing.T) {
	d := layout(t)
	p := d.serve(t)
	c := d.client(p)
	file := p.attach(t, "-e", "trace=write,writev,pwrite64,pwritev,sendto,sendmsg,fsync,fdatasync,sync_file_range,linkat,renameat,renameat2")
	const deposits = 6
	var signatures []string
	for i := range deposits {
		var document []byte
		record := map[string]any{"contract.number": "LC-1"}
		if i%2 == 0 {
			document = fmt.Appendf(nil, "contract %d", i)
		} else {
			record["content.sha256"] = strings.Repeat("ab", 32)
		}
		a, err := c.deposit(fmt.Sprint("order-", i), record, document)
		if err != nil {
			t.Fatal(err)
		}
		// The receipt's last line is the log's signature on a size of this deposit's own.
		fields := strings.Fields(a.Receipt)
		signatures = append(signatures, fields[len(fields)-1])
	}
	p.stop(t)
	// The tracer has written its last line when it says that the process ended.
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		trace := calls(t, file)
		if last := len(trace) - 1; last >= 0 && strings.Contains(trace[last].text, "exited with 0") {
			if n := d.ordered(t, trace, signatures); n != deposits {
				t.Errorf("%d answers of 201 in the trace, want %d", n, deposits)
			}
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("the trace does not end")
		}
	}
}

// ordered checks the calls of each deposit, from one answer of 201 to the next, and
// returns how many there were.
func (d *laidOut) ordered(t *testing.T, trace []call, signatures []string) (answers int) {
	t.Helper()
	after := -1
	for _, c := range trace {
		if strings.Contains(c.text, "HTTP/1.1 201") && answers < len(signatures) {
			var one []call // in the order in which they began
			for _, o := range trace {
				if o.from > after && o.from <= c.from {
					one = append(one, o)
				}
			}
			slices.SortFunc(one, func(a, b call) int { return a.from - b.from })
			if err := d.orderOf(one, answers%2 == 0, signatures[answers]); err != nil {
				t.Errorf("deposit %d: %v", answers, err)
			}
			answers, after = answers+1, c.from
		}
	}
	return answers
}

// orderOf finds the steps of one deposit in its calls: each begins after the one
// before has returned, and the signature is in none of them. The last call is the
// answer.
func (d *laidOut) orderOf(one []call, original bool, signature string) error {
	under := func(name string) string { return filepath.Join(d.Dir, name) + "/" }
	const writes, syncs = "write writev pwrite64 pwritev", "fsync fdatasync"
	steps := []struct {
		what  string
		names string
		in    string // stands in the call
		first bool   // no call like it may come earlier
	}{
		{"document written", writes, "<" + under("blobs") + "tmp/", true},
		{"document durable", syncs, "<" + under("blobs") + "tmp/", true},
		{"document named", "linkat", under("blobs"), true},
		{"name durable", syncs, "<" + under("blobs"), false},
		{"batch written", writes, "<" + under("ledger"), true},
		{"batch durable", syncs, "<" + under("ledger"), false},
		{"anchor written", writes, "<" + under("anchor"), true},
		{"anchor durable", syncs, "<" + under("anchor"), false},
	}
	if !original {
		steps = steps[4:]
	}
	over := -1
	for _, s := range steps {
		found := call{from: -1}
		for _, c := range one {
			if strings.Contains(" "+s.names+" ", " "+c.name+" ") && strings.Contains(c.text, s.in) && (s.first || c.from > over) {
				found = c
				break
			}
		}
		if found.from <= over {
			return fmt.Errorf("%s at line %d, and what must come before was over at line %d", s.what, found.from, over)
		}
		if strings.Contains(found.text, "= -1") {
			return fmt.Errorf("%s: failed: %s", s.what, found.text)
		}
		over = found.to
	}
	answer := one[len(one)-1]
	if answer.from <= over {
		return fmt.Errorf("answered at line %d, before line %d", answer.from, over)
	}
	for _, c := range one {
		if strings.Contains(c.text, signature) && c.from <= over {
			return fmt.Errorf("its signature was written to %s at line %d, before the anchor was durable at line %d", c.path, c.from, over)
		}
	}
	if !strings.Contains(answer.text, signature) {
		return fmt.Errorf("the trace does not show the signature in the answer")
	}
	return nil
}

// TestInitIsDurable: when init has told the API key, no crash may take away what the
// key is for. Every name that init makes is fsynced in the directory it stands in.
func TestInitIsDurable(t *testing.T) {
	parent := t.TempDir()
	dir := filepath.Join(parent, "srv", "muniment", "depository")
	file := filepath.Join(parent, "trace")
	line := straceArgs(t, file, "-e", "trace=mkdir,mkdirat,fsync,unlink,unlinkat", "munimentd", "init", "--dir", dir)
	if out, err := exec.Command(line[0], line[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	trace := calls(t, file)
	made := 0
	for _, c := range trace {
		if !strings.HasPrefix(c.name, "mkdir") || !strings.HasSuffix(c.text, "= 0") {
			continue
		}
		_, rest, _ := strings.Cut(c.text, `"`)
		path, _, _ := strings.Cut(rest, `"`)
		if path == filepath.Join(dir, "blobs", "tmp") { // made anew by each start
			continue
		}
		made++
		if !slices.ContainsFunc(trace, func(o call) bool {
			return o.name == "fsync" && o.path == filepath.Dir(path) && o.from > c.to && strings.HasSuffix(o.text, "= 0")
		}) {
			t.Errorf("%s was made, and %s not fsynced", path, filepath.Dir(path))
		}
	}
	if made < 8 {
		t.Errorf("%d directories in the trace", made)
	}
	// The last thing is that the mark of an unfinished init goes, durably.
	last := slices.IndexFunc(trace, func(c call) bool {
		return strings.HasPrefix(c.name, "unlink") && strings.Contains(c.text, unfinished) && strings.HasSuffix(c.text, "= 0")
	})
	if last < 0 {
		t.Fatal("the mark of an unfinished init is not taken away")
	}
	for _, c := range trace[:last] {
		if c.to > trace[last].from {
			t.Errorf("still under way when init called itself finished: %s", c.text)
		}
	}
	if !slices.ContainsFunc(trace[last:], func(c call) bool { return c.name == "fsync" && c.path == dir }) {
		t.Error("that init is finished is not durable")
	}
}
