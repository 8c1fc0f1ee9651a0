package witness

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/muniment/muniment/proofs"
)

// TestMain lets this binary be the witness that TestKilledWitness kills.
func TestMain(m *testing.M) {
	if dir := os.Getenv("MUNIMENT_TEST_WITNESS"); dir != "" {
		if err := serveForTest(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

func serveForTest(dir string) error {
	keys, err := LoadKeys(dir)
	if err != nil {
		return err
	}
	c := ServerConfig{Dir: dir, Keys: keys, Logger: slog.New(slog.DiscardHandler)}
	for _, vkey := range strings.Fields(os.Getenv("MUNIMENT_TEST_LOGS")) {
		k, err := proofs.ParseVerifierKey(vkey)
		if err != nil {
			return err
		}
		c.Logs = append(c.Logs, k)
	}
	s, err := OpenServer(c)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(l.Addr())
	return s.Serve(context.Background(), l, time.Second)
}

// started is a witness process, run by another command if one is given: how to end it,
// and where it listens.
func started(t *testing.T, c ServerConfig, by ...string) (end func(syscall.Signal), url string) {
	t.Helper()
	self, err := os.Executable()
	must(t, err)
	command := append(by, self)
	p := exec.Command(command[0], command[1:]...)
	p.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // both are ended
	var logs []string
	for _, k := range c.Logs {
		logs = append(logs, k.String())
	}
	p.Env = append(os.Environ(), "MUNIMENT_TEST_WITNESS="+c.Dir, "MUNIMENT_TEST_LOGS="+strings.Join(logs, " "))
	p.Stderr = os.Stderr
	out, err := p.StdoutPipe()
	must(t, err)
	must(t, p.Start())
	var once sync.Once
	end = func(s syscall.Signal) {
		once.Do(func() {
			syscall.Kill(-p.Process.Pid, s)
			p.Wait()
		})
	}
	t.Cleanup(func() { end(syscall.SIGKILL) })
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal("the witness does not start:", err)
	}
	return end, "http://" + strings.TrimSpace(line)
}

// A history is what an outsider recorded of one log: the roots that were cosigned.
type history struct {
	mu      sync.Mutex
	roots   map[uint64]proofs.Hash
	largest uint64
}

// TestKilledWitness: SIGKILL at random moments, while each log is asked for by an honest
// client and by one with a forked history. No two roots of a size, no size after a larger
// one was told, and never both sides of a fork.
func TestKilledWitness(t *testing.T) {
	rounds, forkAt, size := 12, 40, 4000
	if os.Getenv("MUNIMENT_TORTURE") != "" {
		rounds = 1000
	} else if testing.Short() {
		rounds = 3
	}
	var branches [][2]*testLog
	var logs []*testLog
	for i := range 4 {
		origin := fmt.Sprintf("log%d.example/test/1", i)
		pair := [2]*testLog{newTestLog(t, origin, size, size, ""), newTestLog(t, origin, size, forkAt, "fork")}
		branches, logs = append(branches, pair), append(logs, pair[0])
	}
	c := setup(t, true, logs...)
	histories := make([]history, len(branches))
	for i := range histories {
		histories[i].roots = map[uint64]proofs.Hash{}
	}
	var cosignatures atomic.Int64
	for range rounds {
		end, url := started(t, c)
		ctx, cancel := context.WithCancel(t.Context())
		var clients sync.WaitGroup
		for i := range branches {
			for _, l := range branches[i] {
				clients.Go(func() { cosignatures.Add(l.climb(ctx, t, c, url, &histories[i])) })
			}
		}
		time.Sleep(20*time.Millisecond + rand.N(180*time.Millisecond))
		end(syscall.SIGKILL)
		cancel()
		clients.Wait()
	}
	if cosignatures.Load() < int64(rounds) {
		t.Errorf("%d cosignatures only", cosignatures.Load())
	}
	for i := range histories {
		honest, forked := 0, 0
		for size, root := range histories[i].roots {
			if root != branches[i][0].roots[size] {
				forked++
			} else if size > uint64(forkAt) {
				honest++
			}
		}
		if honest > 0 && forked > 0 {
			t.Errorf("log %d: %d checkpoints of one history and %d of another were cosigned", i, honest, forked)
		}
	}
	t.Logf("%d kills, %d cosignatures", rounds, cosignatures.Load())
}

// climb asks for one larger checkpoint after another, until the witness is gone.
func (l *testLog) climb(ctx context.Context, t *testing.T, c ServerConfig, url string, h *history) (n int64) {
	h.mu.Lock()
	known := int(h.largest)
	h.mu.Unlock()
	old := known
	for ctx.Err() == nil {
		size := min(old+1+rand.IntN(3), len(l.roots)-1)
		req, err := http.NewRequestWithContext(ctx, "POST", url+"/add-checkpoint", strings.NewReader(l.request(t, old, size)))
		must(t, err)
		// What the witness may tell from now on is not less than this.
		h.mu.Lock()
		least := h.largest
		h.mu.Unlock()
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return n
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			return n
		}
		switch resp.StatusCode {
		case http.StatusOK:
			h.record(t, l.cosigned(t, c, size, body))
			old = size
			n++
		case http.StatusConflict:
			told, err := strconv.Atoi(strings.TrimSpace(string(body)))
			if err != nil || uint64(told) < least {
				t.Errorf("size %q is told after %d was cosigned", body, least)
				return n
			}
			old = told
		case http.StatusUnprocessableEntity:
			// The other history has won. Try from elsewhere, as a forger would.
			old = rand.IntN(old + 1)
			time.Sleep(time.Millisecond)
		default:
			t.Errorf("%d %s", resp.StatusCode, body)
			return n
		}
	}
	return n
}

// cosigned checks an answer's cosignatures, whole or cut off, on the log's checkpoint.
func (l *testLog) cosigned(t *testing.T, c ServerConfig, size int, body []byte) proofs.Checkpoint {
	all, err := proofs.ParseNote(append(l.note(t, size).Marshal(), body...))
	if err != nil {
		t.Errorf("%v", err)
		return proofs.Checkpoint{}
	}
	r := request{note: all, Checkpoint: l.checkpoint(size)}
	for _, k := range c.Keys {
		if _, _, valid := r.signedBy(k.VerifierKey); !valid {
			t.Error("a cosignature does not verify")
		}
	}
	return r.Checkpoint
}

func (h *history) record(t *testing.T, cp proofs.Checkpoint) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if root, ok := h.roots[cp.Size]; ok && root != cp.Root {
		t.Errorf("two roots of size %d are cosigned", cp.Size)
	}
	h.roots[cp.Size] = cp.Root
	h.largest = max(h.largest, cp.Size)
}
