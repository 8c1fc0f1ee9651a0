package witness

import (
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// TestOrderOfWrites is the order that TestDurableBeforeAnswer checks, in the system calls
// of a real process: nothing that tells a size leaves before file, name and folder are
// durable, in this order.
func TestOrderOfWrites(t *testing.T) {
	if _, err := exec.LookPath("strace"); err != nil {
		t.Fatal("strace is missing, and without it nothing is proved here: apt-get install strace")
	}
	l := newTestLog(t, "log.example/test/1", 40, 0, "")
	c := setup(t, true, l)
	trace := filepath.Join(t.TempDir(), "trace")
	end, url := started(t, c, "strace", "-f", "-q", "-y", "-s", "64", "-o", trace,
		"-e", "trace=fsync,fdatasync,rename,renameat,renameat2,write", "-e", "signal=none")
	for size := 1; size < 40; size++ {
		resp, err := http.Post(url+"/add-checkpoint", "", strings.NewReader(l.request(t, size-1, size)))
		must(t, err)
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("%d %s %v", resp.StatusCode, body, err)
		}
	}
	end(syscall.SIGTERM)
	data, err := os.ReadFile(trace)
	must(t, err)
	answers, done, under := 0, []string{}, map[string]string{}
	for line := range strings.Lines(string(data)) {
		pid, text, _ := strings.Cut(strings.TrimSpace(line), " ")
		text = strings.TrimSpace(text)
		if strings.HasPrefix(text, "write(") && strings.Contains(text, `"HTTP/1.1 200 OK`) {
			if want := []string{"write", "sync file", "rename", "sync folder"}; !slices.Equal(done, want) {
				t.Fatalf("answer %d leaves after %v", answers, done)
			}
			answers, done = answers+1, nil
			continue
		}
		if _, rest, ok := strings.Cut(text, " resumed>"); ok {
			text = under[pid] + rest
		} else if begun, ok := strings.CutSuffix(text, " <unfinished ...>"); ok {
			under[pid] = begun
			continue
		}
		if name := stateCall(text, c.Dir); name != "" {
			done = append(done, name)
		}
	}
	if answers != 39 {
		t.Errorf("%d answers in the trace", answers)
	}
}

var succeeded = regexp.MustCompile(`\)\s+= \d+$`)

// stateCall names a finished call about the state file.
func stateCall(text, dir string) string {
	next := filepath.Join(dir, newState)
	switch {
	case !succeeded.MatchString(text):
		return ""
	case strings.HasPrefix(text, "write(") && strings.Contains(text, "<"+next+">"):
		return "write"
	case strings.HasPrefix(text, "fsync(") && strings.Contains(text, "<"+next+">"):
		return "sync file"
	case strings.HasPrefix(text, "rename") && strings.Contains(text, `"`+next+`"`):
		return "rename"
	case strings.HasPrefix(text, "fsync(") && strings.Contains(text, "<"+dir+">"):
		return "sync folder"
	}
	return ""
}
