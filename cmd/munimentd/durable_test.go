package main

import (
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestBackupIsDurable: when backup or restore gives what it made its name, no crash can
// take away anything that the name stands for; and before it ends, the name.
func TestBackupIsDurable(t *testing.T) {
	d := layout(t)
	p := d.serve(t)
	d.fill(t, d.client(p), 30)
	p.stop(t)
	parent := t.TempDir()
	target, again := filepath.Join(parent, "backups"), filepath.Join(parent, "restored")

	trace := d.traced(t, "backup", "--dir", d.Dir, "--to", target)
	named := renaming(t, trace, target+"/backup.new")
	if n := durableFiles(t, trace[:named], target, func(string) bool { return true }); n < 8 {
		t.Errorf("%d files in the trace of a backup", n)
	}
	if !done(trace[:named], "syncfs", target) {
		t.Error("the target is not synced before its manifest")
	}
	if !done(trace[named:], "fsync", target) {
		t.Error("the manifest's name is not durable")
	}
	m, err := readManifest(target)
	if err != nil {
		t.Fatal(err)
	}
	copied := func(path string) bool { // and not made by the engine, whose own tests judge that
		rest, _ := strings.CutPrefix(path, again+".restoring/")
		return strings.HasPrefix(rest, "keys/") || slices.ContainsFunc(m.Files, func(f setFile) bool { return f.Path == rest })
	}
	trace = d.traced(t, "restore", "--from", target, "--dir", again, "--nothing-newer", "--keys", filepath.Join(d.Dir, "keys"))
	named = renaming(t, trace, again+".restoring")
	if n := durableFiles(t, trace[:named], again+".restoring", copied); n < 8 {
		t.Errorf("%d files in the trace of a restore", n)
	}
	for _, dir := range []string{"", "/ledger", "/anchor", "/keys", "/keys/tenants"} {
		if !done(trace[:named], "fsync", again+".restoring"+dir) {
			t.Errorf("restored%s is not durable before it has its name", dir)
		}
	}
	if !done(trace[named:], "fsync", parent) {
		t.Error("the name of what was restored is not durable")
	}
}

// traced runs a command of munimentd and returns its calls.
func (d *laidOut) traced(t *testing.T, args ...string) []call {
	t.Helper()
	file := filepath.Join(t.TempDir(), "trace")
	line := append(straceArgs(t, file, "-e", "trace=openat,fsync,syncfs,rename,renameat"), append([]string{"munimentd"}, args...)...)
	out, err := exec.Command(line[0], line[1:]...).CombinedOutput()
	d.said.Write(out)
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return calls(t, file)
}

// renaming finds the call by which something loses its provisional name.
func renaming(t *testing.T, trace []call, from string) int {
	t.Helper()
	i := slices.IndexFunc(trace, func(c call) bool {
		return strings.HasPrefix(c.name, "rename") && strings.Contains(c.text, `"`+from+`"`) && strings.HasSuffix(c.text, "= 0")
	})
	if i < 0 {
		t.Fatalf("%s is not renamed", from)
	}
	return i
}

// durableFiles demands that each file that was made anew under a directory was fsynced,
// and counts them.
func durableFiles(t *testing.T, trace []call, dir string, ours func(path string) bool) (files int) {
	t.Helper()
	for i, c := range trace {
		_, rest, _ := strings.Cut(c.text, `"`)
		path, _, _ := strings.Cut(rest, `"`)
		if c.name != "openat" || !strings.HasPrefix(path, dir+"/") || !strings.Contains(c.text, "O_CREAT") || strings.Contains(c.text, "= -1") {
			continue
		}
		if !ours(path) {
			continue
		}
		files++
		if !done(trace[i:], "fsync", path) {
			t.Errorf("%s was made and not fsynced", path)
		}
	}
	return files
}

// done reports whether a call on that path succeeded.
func done(trace []call, name, path string) bool {
	return slices.ContainsFunc(trace, func(c call) bool {
		return c.name == name && c.path == path && strings.HasSuffix(c.text, "= 0")
	})
}
