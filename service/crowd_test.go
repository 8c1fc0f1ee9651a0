package service

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestCrowd: slow callers at every door, who send a little and then drip, cost little
// memory, and a good client is served beside them.
func TestCrowd(t *testing.T) {
	callers, lasting := 600, 2*time.Second
	if os.Getenv("MUNIMENT_TORTURE") != "" {
		callers, lasting = 2000, 20*time.Second
	}
	h := newHouse(t)
	plain := httptest.NewServer(New(Config{Notary: h.notary, Accounts: h.ledger, Policy: h.policy, Logger: discard}))
	defer plain.Close()
	h.url = plain.URL
	deposit := func() { h.postJSON(t, digestOnly("")).deposit(t, h, 201) }
	deposit()
	before := memory()

	doors := []struct{ path, kind, start string }{
		{"/v1/deposits", multi, form(recordPart("{}"), documentPart(strings.Repeat("x", 5000)))[:4000]},
		{"/v1/deposits", "application/json", digestOnly("")[:40]},
		{"/v1/deposits:batch", ndjson, batchOf(30)[:2900]},
		{"/v1/deposits:batch", ndjson, `{"record":{` + strings.Repeat(" ", 9000)},
		{"/v1/verify", multi, form(textPart("receipt", strings.Repeat("x", 4000)))[:3000]},
		{"/v1/verify", "application/json", `{"receipt":"` + strings.Repeat("x", 4000)},
	}
	var crowd []net.Conn
	for i := range callers {
		c, err := net.Dial("tcp", strings.TrimPrefix(h.url, "http://"))
		must(t, err)
		defer c.Close()
		d := doors[i%len(doors)]
		_, err = fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nIdempotency-Key: k%d\r\nContent-Type: %s\r\nContent-Length: 1000000\r\n\r\n%s",
			d.path, h.depositor, i, d.kind, d.start)
		must(t, err)
		crowd = append(crowd, c)
	}
	var took []time.Duration
	most := memory()
	for begun, drip := time.Now(), 0; time.Since(begun) < lasting; drip++ {
		for _, c := range crowd[drip%len(crowd) : min(drip%len(crowd)+20, len(crowd))] {
			_, _ = io.WriteString(c, "x") // those who were too slow are gone
		}
		at := time.Now()
		deposit()
		h.postBatch(t, batchOf(10)).batch(t, h, 10)
		took = append(took, time.Since(at))
		if drip < 10 { // later, what was deposited counts too: it is kept in memory here
			most = max(most, memory())
		}
	}
	slices.Sort(took)
	p99 := took[len(took)*99/100]
	t.Logf("%d slow callers: %d KiB more in memory, %d rounds of a good client, p99 %v", callers, (most-before)>>10, len(took), p99)
	if most-before > 64<<20 {
		t.Errorf("%d MiB more in memory", (most-before)>>20)
	}
	if p99 > time.Second {
		t.Errorf("a good client waits %v", p99)
	}
}

// memory is what the process holds, once what is done with has been collected.
func memory() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse + m.StackInuse)
}

// TestSlowReader: who takes its answer too slowly on the whole is cut off, however
// soon each piece of it is taken, and what the answer held is let go.
func TestSlowReader(t *testing.T) {
	for name, test := range map[string]struct {
		piece int
		cut   bool
	}{"dripping": {1, true}, "at a pace": {4 << 10, false}} {
		w := &slowWriter{header: http.Header{}}
		x := &exchange{ResponseWriter: w, conn: http.NewResponseController(w), wait: 100 * time.Millisecond, patience: time.NewTimer(time.Hour)}
		for range 20 {
			_, _ = x.Write(make([]byte, test.piece))
			if !time.Now().Before(w.deadline) {
				break
			}
			time.Sleep(10 * time.Millisecond) // that storage takes is not the reader's fault
		}
		if cut := !time.Now().Before(w.deadline); cut != test.cut {
			t.Errorf("%s: cut off %v after %d bytes", name, cut, x.bytes)
		}
	}
}

// slowWriter is a connection that takes each piece in a while.
type slowWriter struct {
	header   http.Header
	deadline time.Time
}

func (w *slowWriter) Header() http.Header { return w.header }
func (w *slowWriter) WriteHeader(int)     {}
func (w *slowWriter) Write(p []byte) (int, error) {
	time.Sleep(10 * time.Millisecond)
	return len(p), nil
}

func (w *slowWriter) SetWriteDeadline(at time.Time) error {
	w.deadline = at
	return nil
}
