package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/muniment/muniment/service/api"
)

// TestHonestDepository holds the figures of a real depository against its log.
func TestHonestDepository(t *testing.T) {
	d := running(t)
	b := benchOn(t, d, brief("single"))
	last := uint64(1) // genesis
	const whole = "batch, with disclosures"
	for _, mix := range []string{"single", "document", "batch", whole, "single=8,batch=1,document=2,read=4"} {
		o := brief(mix)
		if b.drv.whole = mix == whole; b.drv.whole {
			o.Mix = "batch"
		}
		r, err := b.row(t.Context(), "", o)
		if err != nil {
			t.Fatalf("%s: %v", mix, err)
		}
		var deposits int64
		for _, l := range r.Kinds {
			if l.Kind != "read" {
				deposits += l.Deposits
			}
			if l.Requests == 0 || l.Rate <= 0 || l.Latency.P50 <= 0 || l.Latency.P50 > l.Latency.P99 || l.Latency.P99 > l.Latency.Max {
				t.Errorf("%s: figures that cannot be: %+v", mix, l)
			}
		}
		grown := int64(r.LogAfter - r.LogBefore)
		if deposits == 0 || deposits > grown || grown > deposits*3/2 {
			t.Errorf("%s: %d deposits were measured, and the log grew from %d to %d", mix, deposits, r.LogBefore, r.LogAfter)
		}
		if r.Server == nil || r.Server.PerRequest <= 0 || r.Server.Peak < 10<<20 || r.Server.Cores > float64(b.report.Machine.Cores) {
			t.Errorf("%s: the server's cost: %+v", mix, r.Server)
		}
		last = r.LogAfter
	}
	// The sum of all audits: every entry but genesis was made here, and found again.
	if a := b.report.Audit; a.Entries != int64(last)-1 || a.Receipts == 0 || a.Lines == 0 || a.Receipts+a.Lines <= a.Entries || a.Checkpoints == 0 {
		t.Errorf("the log has %d entries, and was found to have %+v", last, a)
	}
	r, err := b.row(t.Context(), "", brief(verifyMix))
	if err != nil || len(r.Offline) == 0 || r.Offline[0].PerSecond < 500 {
		t.Errorf("offline: %v, %+v", err, r.Offline)
	}
	weight, err := b.weigh(t.Context())
	if err != nil || weight.Entries < last || weight.Rest <= 0 || weight.PerEntry < 100 {
		t.Errorf("disk: %v, %+v", err, weight)
	}
}

// liar is a proxy before an honest depository. It passes everything on but what lie
// alters; the lie is told from the tenth answer on.
type liar struct {
	*depository
	lie  func(l *liar, path string, body []byte) []byte
	mu   sync.Mutex
	told int
	kept []byte // an earlier answer
}

func (d *depository) behind(t *testing.T, lie func(l *liar, path string, body []byte) []byte) *depository {
	l := &liar{depository: d, lie: lie}
	target, err := url.Parse("http://" + d.addr)
	if err != nil {
		t.Fatal(err)
	}
	p := httputil.NewSingleHostReverseProxy(target)
	p.ModifyResponse = func(r *http.Response) error {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return err
		}
		l.mu.Lock()
		body = l.lie(l, r.Request.URL.Path, body)
		l.mu.Unlock()
		r.Body = io.NopCloser(bytes.NewReader(body))
		r.ContentLength = int64(len(body))
		r.Header.Set("Content-Length", strconv.Itoa(len(body)))
		r.TransferEncoding = nil
		return nil
	}
	s := httptest.NewServer(p)
	t.Cleanup(s.Close)
	return &depository{addr: s.Listener.Addr().String(), host: d.host, key: d.key, policy: d.policy}
}

// nth reports whether this is the n-th answer to such a request.
func (l *liar) nth(path, prefix string, n int) bool {
	if !strings.HasPrefix(path, prefix) {
		return false
	}
	l.told++
	return l.told == n
}

// retold is a deposit's answer with something in it changed.
func retold(body []byte, change func(*api.Deposit)) []byte {
	var d api.Deposit
	if json.Unmarshal(body, &d) != nil {
		return body
	}
	change(&d)
	out, _ := json.Marshal(d)
	return out
}

// TestLiarsAreFound: each of these depositories tells one thing that is not so, and no
// figure of it may count.
func TestLiarsAreFound(t *testing.T) {
	honest := running(t)
	flip := func(s string, at int) string {
		b := []byte(s)
		if b[at] ^= 1; b[at] == '\n' || b[at] == '\v' {
			b[at] ^= 3
		}
		return string(b)
	}
	for name, c := range map[string]struct {
		mix string
		lie func(l *liar, path string, body []byte) []byte
	}{
		"a receipt altered": {"single", func(l *liar, path string, body []byte) []byte {
			if !l.nth(path, "/v1/deposits", 50) {
				return body
			}
			return retold(body, func(d *api.Deposit) { d.Receipt = flip(d.Receipt, len(d.Receipt)/2) })
		}},
		"an index altered beside the receipt": {"single", func(l *liar, path string, body []byte) []byte {
			if !l.nth(path, "/v1/deposits", 50) {
				return body
			}
			return retold(body, func(d *api.Deposit) { d.Index++ })
		}},
		"another deposit's receipt": {"document", func(l *liar, path string, body []byte) []byte {
			if l.nth(path, "/v1/deposits", 20) {
				l.kept = body
			} else if l.told == 21 {
				return l.kept
			}
			return body
		}},
		"a batch with a line altered": {"batch", func(l *liar, path string, body []byte) []byte {
			if l.nth(path, "/v1/deposits:batch", 3) {
				body[len(body)/2] ^= 1
			}
			return body
		}},
		"a batch with its lines swapped": {"batch", func(l *liar, path string, body []byte) []byte {
			if !l.nth(path, "/v1/deposits:batch", 3) {
				return body
			}
			lines := bytes.SplitAfter(body, []byte("\n"))
			lines[5], lines[6] = lines[6], lines[5]
			return bytes.Join(lines, nil)
		}},
		"an answer that is empty": {"single", func(l *liar, path string, body []byte) []byte {
			if l.nth(path, "/v1/deposits", 50) {
				return nil
			}
			return body
		}},
		"a receipt read that is another's": {"read", func(l *liar, path string, body []byte) []byte {
			if strings.HasSuffix(path, "/receipt") {
				if l.kept == nil {
					l.kept = body
				}
				return l.kept
			}
			return body
		}},
		"a log that is shorter than was said": {"single", func(l *liar, path string, body []byte) []byte {
			if path == "/log/checkpoint" {
				if l.kept == nil {
					l.kept = body
				}
				return l.kept
			}
			return body
		}},
		"a log with another entry in the place": {"single", func(_ *liar, path string, body []byte) []byte {
			if strings.HasPrefix(path, "/log/tile/0/") && len(body) > 64 {
				body[len(body)-40] ^= 1
			}
			return body
		}},
		"a checkpoint that nobody signed": {"single", func(_ *liar, path string, body []byte) []byte {
			if path == "/log/checkpoint" {
				return bytes.Replace(body, []byte("\n"), []byte("\n1"), 1)
			}
			return body
		}},
	} {
		t.Run(name, func(t *testing.T) {
			o := brief(c.mix)
			_, err := benchOn(t, honest.behind(t, c.lie), o).row(t.Context(), "", o)
			if !errors.Is(err, errVoid) || !errors.Is(err, errLie) && !errors.Is(err, errSeal) {
				t.Errorf("the lie was not found: %v", err)
			}
		})
	}
	t.Run("none", func(t *testing.T) {
		o := brief("single")
		same := func(_ *liar, _ string, body []byte) []byte { return body }
		if _, err := benchOn(t, honest.behind(t, same), o).row(t.Context(), "", o); err != nil {
			t.Errorf("an honest depository behind a proxy: %v", err)
		}
	})
}

// TestExitCodes is what a script sees of a run against a server that is elsewhere.
func TestExitCodes(t *testing.T) {
	honest := running(t)
	lying := honest.behind(t, func(l *liar, path string, body []byte) []byte {
		if !l.nth(path, "/v1/deposits", 20) {
			return body
		}
		return retold(body, func(d *api.Deposit) { d.Index++ })
	})
	file := filepath.Join(t.TempDir(), "out.json")
	for _, c := range []struct {
		addr, key string
		code      int
		says      string
	}{
		{honest.addr, honest.key, 0, "Verified, every answer"},
		{lying.addr, honest.key, exitFound, "answer and receipt disagree"},
		{honest.addr, "mnt_wrong", exitFound, "/problems/unauthorized"},
		{"127.0.0.1:1", honest.key, exitFailure, "connection refused"},
		{honest.addr, "", exitFailure, "an API key is required"},
	} {
		cmd := exec.Command("muniment-bench", "run", "--server", "http://"+c.addr, "--policy", filepath.Join(honest.dir, "policy"),
			"--clients", "4", "--warmup", "100ms", "--duration", "500ms", "--baselines", "0", "--json", file)
		cmd.Env = append(os.Environ(), "MUNIMENT_API_KEY="+c.key)
		out, _ := cmd.CombinedOutput()
		if code := cmd.ProcessState.ExitCode(); code != c.code || !strings.Contains(string(out), c.says) {
			t.Errorf("exit code %d, not %d with %q: %s", code, c.code, c.says, out)
		}
		if strings.Contains(string(out), honest.key) {
			t.Errorf("the key is told: %s", out)
		}
	}
	var r report
	data, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(data, &r)
	}
	if err != nil || r.Void == "" || r.Server != honest.addr || len(r.Rows) != 1 {
		t.Errorf("the last report says nothing of what was wrong: %v, %s", err, data)
	}
}

// TestTwoDepositsOfOneIndex: what was answered to two deposits is one deposit lost. The
// second load sends what the first one sent, under the same keys.
func TestTwoDepositsOfOneIndex(t *testing.T) {
	o := brief("single")
	o.Count = 50
	b := benchOn(t, running(t), o)
	if _, err := b.row(t.Context(), "", o); err != nil {
		t.Fatal(err)
	}
	b.drv.next.Store(0)
	if _, err := b.row(t.Context(), "", o); !errors.Is(err, errLie) || !strings.Contains(err.Error(), "given to two deposits") {
		t.Errorf("an index that was given twice: %v", err)
	}
}

// TestForkIsFound: two roots of one size can both be signed.
func TestForkIsFound(t *testing.T) {
	d := running(t)
	o := brief("single")
	o.Count = 20
	b := benchOn(t, d, o)
	if _, err := b.row(t.Context(), "", o); err != nil {
		t.Fatal(err)
	}
	for size, root := range b.auditor.roots {
		root[3] ^= 1
		b.auditor.roots[size] = root
	}
	if _, err := b.row(t.Context(), "", o); !errors.Is(err, errLie) || !strings.Contains(err.Error(), "is not the beginning of the newest") {
		t.Errorf("a log that does not go on from what it said: %v", err)
	}
}
