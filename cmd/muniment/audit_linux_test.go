package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestAuditIsDurable: when a checkpoint gets its name in the mirror, no crash can take
// away a piece or a folder that it stands for; nor is more said to be durable than is.
// The system calls of the program itself, traced.
func TestAuditIsDurable(t *testing.T) {
	if _, err := exec.LookPath("strace"); err != nil {
		t.Fatal("strace is missing, and without it nothing is proved here: apt-get install strace")
	}
	l := newShownLog(t, 700, 700, time.Now())
	url, policy, dir, file := l.url(t), auditPolicy(t, false), filepath.Join(t.TempDir(), "mirror"), filepath.Join(t.TempDir(), "trace")
	// The last run finds all on disk, left by a process of which nobody knows what it synced.
	for run, size := range []int{700, 1100, 1100} {
		dirty := map[string]bool{}
		if run == 2 {
			if err := os.Remove(filepath.Join(dir, ".mirror", "state.json")); err != nil {
				t.Fatal(err)
			}
			dirty = pieces(t, dir)
		}
		l.set(func(l *shownLog) { l.grow(size, size, time.Now()) })
		out, err := exec.Command("strace", "-f", "-q", "-y", "-s", "4096", "-o", file, "-e", "trace=openat,fsync,rename,renameat,renameat2",
			"muniment", "audit", "--log", url, "--policy", policy, "--dir", dir).CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		made, states := replay(t, string(read(t, file)), dir, dirty)
		if run < 2 && made < 7 || states < 2 {
			t.Errorf("%d: %d pieces made, %d states written: the trace shows too little", size, made, states)
		}
	}
}

// pieces are the files and folders of the newest checkpoint.
func pieces(t *testing.T, dir string) map[string]bool {
	out := map[string]bool{}
	for _, path := range []string{
		"tile/entries/000", "tile/entries/003", "tile/entries/004.p/76", "tile/0/000", "tile/0/003", "tile/0/004.p/76", "tile/1/000.p/4",
	} {
		path = filepath.Join(dir, path)
		if _, err := os.Stat(path); err != nil {
			t.Fatal(err)
		}
		out[path], out[filepath.Dir(path)] = true, true
	}
	return out
}

var (
	resumed  = regexp.MustCompile(`^(\d+) +<\.\.\. \w+ resumed>(.*)$`)
	creating = regexp.MustCompile(`openat\(.*"([^"]+)", [A-Z_|]*O_CREAT`)
	syncing  = regexp.MustCompile(`fsync\(\d+<([^>]+)>\) += 0`)
	renaming = regexp.MustCompile(`rename\w*\(.*"([^"]+)"(?:, \d+)?\) += 0`)
)

// replay goes through a trace, and demands at each rename of state and checkpoint that
// every piece made before is synced, and so is every folder that has one. Dirty is what was
// not synced when it began.
func replay(t *testing.T, trace, dir string, dirty map[string]bool) (made, states int) {
	open := map[string]string{} // calls that have begun, by thread
	for line := range strings.Lines(trace) {
		line = strings.TrimSuffix(line, "\n")
		thread, _, _ := strings.Cut(line, " ")
		if head, ok := strings.CutSuffix(line, " <unfinished ...>"); ok {
			open[thread] = head
			continue
		}
		if m := resumed.FindStringSubmatch(line); m != nil {
			line = open[thread] + m[2]
		}
		if m := creating.FindStringSubmatch(line); m != nil && strings.HasPrefix(m[1], dir+"/tile/") && !strings.Contains(line, "= -1") {
			made++
			dirty[m[1]], dirty[filepath.Dir(m[1])] = true, true
		}
		if m := syncing.FindStringSubmatch(line); m != nil {
			delete(dirty, m[1])
		}
		if m := renaming.FindStringSubmatch(line); m != nil {
			states++
			if name := filepath.Base(m[1]); name != "checkpoint" && name != "state.json" {
				continue
			}
			for path := range dirty {
				t.Errorf("%s says what %s does not hold yet", m[1], path)
			}
			if _, err := os.Stat(m[1]); err != nil {
				t.Error(err)
			}
		}
	}
	return made, states
}
