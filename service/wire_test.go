package service

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/muniment/muniment/notary/notarytest"
)

// wire is a bare connection, for callers that net/http's client is too polite for.
type wire struct {
	net.Conn
	t *testing.T
	r *bufio.Reader
}

func (h *house) dial(t *testing.T) *wire {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(h.url, "http://"))
	must(t, err)
	t.Cleanup(func() { c.Close() })
	must(t, c.SetDeadline(time.Now().Add(20*time.Second)))
	return &wire{c, t, bufio.NewReader(c)}
}

// head sends the head of a deposit with a body of that length, -1 for chunks.
func (w *wire) head(h *house, kind string, length int) {
	w.t.Helper()
	w.headTo("/v1/deposits", h, kind, length)
}

// headTo sends the head of a POST with a body of that length, -1 for chunks.
func (w *wire) headTo(path string, h *house, kind string, length int) {
	w.t.Helper()
	size := fmt.Sprintf("Content-Length: %d", length)
	if length < 0 {
		size = "Transfer-Encoding: chunked"
	}
	w.say(fmt.Sprintf("POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nIdempotency-Key: %s\r\nContent-Type: %s\r\n%s\r\n\r\n",
		path, h.depositor, rand.Text(), kind, size))
}

func (w *wire) say(s string) {
	w.t.Helper()
	_, err := io.WriteString(w, s)
	must(w.t, err)
}

func (w *wire) answer() answer {
	w.t.Helper()
	resp, err := http.ReadResponse(w.r, nil)
	must(w.t, err)
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	must(w.t, err)
	return answer{resp, data}
}

const multi = "multipart/form-data; boundary=" + boundary

// TestCutOff: an upload that breaks off, wherever it does, keeps nothing.
func TestCutOff(t *testing.T) {
	h := newHouse(t)
	whole := form(recordPart(`{"contract.number":"1"}`), documentPart(strings.Repeat("0123456789", 200)))
	sent := 0
	for at := 0; at < len(whole); at += 1 + len(whole)/97 {
		c := h.dial(t)
		c.head(h, multi, len(whole))
		c.say(whole[:at])
		// Only the sending half is closed, so that the answer can be seen.
		must(t, c.Conn.(*net.TCPConn).CloseWrite())
		c.answer().problem(t, truncatedUpload)
		sent++
	}
	for _, at := range []int{100, len(whole) / 2, len(whole) - 1} { // the same, in the middle of a chunk
		c := h.dial(t)
		c.head(h, multi, -1)
		c.say(fmt.Sprintf("%x\r\n%s", len(whole), whole[:at]))
		must(t, c.Conn.(*net.TCPConn).CloseWrite())
		c.answer().problem(t, truncatedUpload)
		sent++
	}
	c := h.dial(t) // and with a reset
	c.head(h, multi, len(whole))
	c.say(whole[:len(whole)/2])
	must(t, c.Conn.(*net.TCPConn).SetLinger(0))
	must(t, c.Close())
	sent++
	for strings.Count(h.log.String(), "msg=request") < sent {
		time.Sleep(time.Millisecond)
	}
	h.nothingKept(t, 1, 0)
	c = h.dial(t) // in small pieces, but whole
	c.head(h, multi, -1)
	for piece := range strings.SplitAfterSeq(whole, "0") {
		c.say(fmt.Sprintf("%x\r\n%s\r\n", len(piece), piece))
	}
	c.say("0\r\n\r\n")
	c.answer().deposit(t, h, 201)
}

func TestEndless(t *testing.T) {
	h := newHouse(t)
	for name, test := range map[string]struct{ path, kind, start, more string }{
		"document":        {"/v1/deposits", multi, strings.Split(form(recordPart("{}"), documentPart("hello")), "hello")[0], strings.Repeat("x", 32<<10)},
		"record":          {"/v1/deposits", multi, strings.Split(form(recordPart("hello")), "hello")[0], strings.Repeat(" ", 32<<10)},
		"preamble":        {"/v1/deposits", multi, "", strings.Repeat("x\r\n", 10<<10)},
		"headers":         {"/v1/deposits", multi, "--" + boundary + "\r\n", strings.Repeat("A: b\r\n", 5<<10)},
		"epilogue":        {"/v1/deposits", multi, form(recordPart("{}"), documentPart("hello")), strings.Repeat("x", 32<<10)},
		"JSON":            {"/v1/deposits", "application/json", `{"record":{`, strings.Repeat(" ", 32<<10)},
		"many parts":      {"/v1/deposits", multi, "", form(part{name: "x"})[:100]},
		"one line":        {"/v1/deposits:batch", ndjson, "", strings.Repeat(" ", 32<<10)},
		"lines":           {"/v1/deposits:batch", ndjson, "", batchOf(500)},
		"empty lines":     {"/v1/deposits:batch", ndjson, "", strings.Repeat("\n", 32<<10)},
		"long lines":      {"/v1/deposits:batch", ndjson, "", strings.Repeat(" ", 60<<10) + "\n"},
		"receipt":         {"/v1/verify", multi, strings.Split(form(textPart("receipt", "hello")), "hello")[0], strings.Repeat("x", 32<<10)},
		"policy":          {"/v1/verify", multi, strings.Split(form(textPart("receipt", ""), textPart("policy", "hello")), "hello")[0], strings.Repeat("x", 32<<10)},
		"to hold against": {"/v1/verify", multi, strings.Split(form(textPart("receipt", ""), documentPart("hello")), "hello")[0], strings.Repeat("x", 32<<10)},
		"check in JSON":   {"/v1/verify", "application/json", `{"receipt":"`, strings.Repeat("x", 32<<10)},
	} {
		c := h.dial(t)
		c.headTo(test.path, h, test.kind, -1)
		stop := make(chan struct{})
		go func() {
			defer close(stop)
			s := test.start
			for range 1 << 20 {
				if s != "" {
					if _, err := fmt.Fprintf(c, "%x\r\n%s\r\n", len(s), s); err != nil {
						return
					}
				}
				s = test.more
			}
		}()
		a := c.answer()
		if a.StatusCode != 413 && a.StatusCode != 400 {
			t.Errorf("%s: %d %s", name, a.StatusCode, a.body)
		}
		c.Close()
		<-stop
	}
	h.nothingKept(t, 1, 0)
	// A length announced is refused before a byte of it comes.
	for _, to := range [][2]string{
		{"/v1/deposits", multi}, {"/v1/deposits", "application/json"}, {"/v1/deposits:batch", ndjson}, {"/v1/verify", multi}, {"/v1/verify", "application/json"},
	} {
		c := h.dial(t)
		c.headTo(to[0], h, to[1], 10<<30)
		c.answer().problem(t, tooLarge)
	}
}

func TestSlow(t *testing.T) {
	h := newHouse(t, func(c *Config) { c.Stall = 200 * time.Millisecond })
	whole := form(recordPart("{}"), documentPart("hello"))
	t.Run("stalled", func(t *testing.T) {
		for _, at := range []int{0, 50, len(whole) - 10} {
			c := h.dial(t)
			c.head(h, multi, len(whole))
			c.say(whole[:at])
			c.answer().problem(t, timeout)
		}
		c := h.dial(t)
		c.head(h, "application/json", 100)
		c.answer().problem(t, timeout)
		for _, to := range [][3]string{
			{"/v1/deposits:batch", ndjson, ""}, {"/v1/deposits:batch", ndjson, batchOf(10)}, {"/v1/deposits:batch", ndjson, batchOf(100)[:9000]},
			{"/v1/verify", "application/json", `{"receipt":"`}, {"/v1/verify", multi, whole[:50]}, {"/v1/verify", multi, form(textPart("receipt", ""), documentPart("hello"))[:200]},
		} {
			c := h.dial(t)
			c.headTo(to[0], h, to[1], 10_000)
			c.say(to[2])
			c.answer().problem(t, timeout)
		}
	})
	t.Run("dripping", func(t *testing.T) { // each byte in time, and the whole far too late
		c := h.dial(t)
		c.head(h, multi, len(whole))
		begun := time.Now()
		go func() {
			for i := range whole {
				if _, err := io.WriteString(c.Conn, whole[i:i+1]); err != nil {
					return
				}
				time.Sleep(20 * time.Millisecond)
			}
		}()
		c.answer().problem(t, timeout)
		if d := time.Since(begun); d > 2*time.Second {
			t.Errorf("after %v", d)
		}
	})
	t.Run("a body that nobody reads", func(t *testing.T) {
		c := h.dial(t)
		c.say("POST /v1/deposits HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n")
		c.answer().problem(t, unauthorized)
		if _, err := c.r.ReadByte(); !errors.Is(err, io.EOF) {
			t.Errorf("the connection stays open: %v", err)
		}
	})
	t.Run("storage", func(t *testing.T) { // that is slower than Stall is not the caller's fault
		h.blobs.Faults.Set(notarytest.Fault{Call: "Put", Do: func() { time.Sleep(600 * time.Millisecond) }})
		h.postForm(t, whole).deposit(t, h, 201)
		h.ledger.Faults.Set(notarytest.Fault{Call: "Append", Do: func() { time.Sleep(600 * time.Millisecond) }})
		h.postForm(t, whole).deposit(t, h, 201)
		h.postJSON(t, digestOnly("")).deposit(t, h, 201)
	})
	h.nothingKept(t, 4, 2)
}

// TestKeepAlive: the deadlines of one request do not outlive it.
func TestKeepAlive(t *testing.T) {
	h := newHouse(t, func(c *Config) { c.Stall, c.Wait = 150*time.Millisecond, 300*time.Millisecond })
	c := h.dial(t)
	body := digestOnly("")
	for i := range 4 {
		c.head(h, "application/json", len(body))
		c.say(body)
		c.answer().deposit(t, h, 201)
		c.say("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
		if a := c.answer(); a.StatusCode != 200 {
			t.Fatal(a.Status)
		}
		c.say("POST /nothing HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello")
		c.answer().problem(t, notFound)
		c.say("POST /v1/deposits HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nAuthorization: Bearer " + h.depositor +
			"\r\nContent-Type: application/json\r\nIdempotency-Key: " + rand.Text() + "\r\nContent-Length: " + fmt.Sprint(len(body)) + "\r\n\r\n")
		if a := c.answer(); a.StatusCode != 100 {
			t.Fatal(a.Status)
		}
		c.say(body)
		c.answer().deposit(t, h, 201)
		if i%2 == 0 {
			time.Sleep(500 * time.Millisecond)
		}
	}
}

// TestStuckStorage: a request ends, whatever storage does.
func TestStuckStorage(t *testing.T) {
	h := newHouse(t, func(c *Config) { c.Wait = 200 * time.Millisecond })
	h.ledger.Faults.Set(notarytest.Fault{Call: "Append", Kind: notarytest.TimesOut})
	h.postJSON(t, digestOnly("")).problem(t, unavailable)
}

// serve runs Serve on the house's notary and returns its address, and what stops it.
func serve(t *testing.T, h *house, handler http.Handler, grace time.Duration) (stop func(), done chan error) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	done = make(chan error, 1)
	go func() { done <- Serve(ctx, l, handler, grace) }()
	h.url = "http://" + l.Addr().String()
	return cancel, done
}

// TestServeStops: what is under way is answered, what hangs is refused, and all
// within the grace.
func TestServeStops(t *testing.T) {
	h := newHouse(t)
	stop, done := serve(t, h, New(Config{Notary: h.notary, Accounts: h.ledger, Policy: h.policy, Logger: discard}), 2*time.Second)
	whole := form(recordPart("{}"), documentPart("hello"))
	hanging, quick := h.dial(t), h.dial(t)
	for _, c := range []*wire{hanging, quick} {
		c.head(h, multi, len(whole))
		c.say(whole[:len(whole)-20])
	}
	time.Sleep(100 * time.Millisecond)
	stop()
	begun := time.Now()
	time.Sleep(100 * time.Millisecond)
	if _, err := net.Dial("tcp", strings.TrimPrefix(h.url, "http://")); err == nil {
		t.Error("a new connection is taken")
	}
	quick.say(whole[len(whole)-20:])
	quick.answer().deposit(t, h, 201)
	hanging.answer().problem(t, stopping)
	must(t, <-done)
	if d := time.Since(begun); d > 2*time.Second {
		t.Errorf("stopped after %v", d)
	}
	h.nothingKept(t, 2, 1)
}

func TestServeCutsOff(t *testing.T) {
	h := newHouse(t)
	stuck := make(chan struct{})
	defer close(stuck)
	stop, done := serve(t, h, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-stuck }), 200*time.Millisecond)
	c := h.dial(t)
	c.say("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	time.Sleep(50 * time.Millisecond)
	stop()
	must(t, <-done)
	if _, err := c.r.ReadByte(); err == nil {
		t.Error("an answer")
	}
}

func TestServeListenerFails(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	must(t, l.Close())
	if err := Serve(t.Context(), l, http.NotFoundHandler(), time.Second); err == nil {
		t.Error("no error")
	}
}

// TestPanic: a bug is a problem for one caller, and a page for the operator.
func TestPanic(t *testing.T) {
	log := &record{}
	s := &server{Config: Config{Wait: time.Second, Stall: time.Second, Logger: logger(log)}, metrics: newMetrics(prometheus.NewRegistry())}
	var wrote atomic.Bool
	handler := s.exchange(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if wrote.Load() {
			_, _ = io.WriteString(w, "half of")
		}
		panic("the caller's words")
	}))
	server := httptest.NewServer(routed(handler))
	defer server.Close()
	h := &house{url: server.URL}
	h.do(t, "GET", "/", nil).problem(t, internal)
	if l := log.String(); strings.Contains(l, "words") || !strings.Contains(l, "stack=") || strings.Count(l, "level=ERROR") != 1 {
		t.Errorf("log: %s", l)
	}
	wrote.Store(true)
	if resp, err := http.Get(server.URL); err == nil {
		if _, err := io.ReadAll(resp.Body); err == nil {
			t.Error("half an answer looks whole")
		}
		resp.Body.Close()
	}
}

// TestRefusalIsHeard: a caller that waited for 100 Continue and then sends a large
// document hears, every time, that its record is refused in the middle of it.
func TestRefusalIsHeard(t *testing.T) {
	h := newHouse(t, func(c *Config) { c.MaxDocument = 1 << 40 })
	client := &http.Client{Transport: &http.Transport{ExpectContinueTimeout: 10 * time.Second, DisableKeepAlives: true}}
	head, _, _ := strings.Cut(form(recordPart(`{"contrakt.number":"1"}`), documentPart("hello")), "hello")
	for range 20 {
		body := io.MultiReader(strings.NewReader(head), endless{})
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, h.url+"/v1/deposits", body)
		must(t, err)
		r.ContentLength = 1 << 39
		r.Header.Set("Authorization", "Bearer "+h.depositor)
		r.Header.Set("Idempotency-Key", "1")
		r.Header.Set("Content-Type", multi)
		r.Header.Set("Expect", "100-continue")
		a, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		if a.StatusCode != 422 {
			t.Errorf("status %d", a.StatusCode)
		}
		must(t, a.Body.Close())
	}
	h.nothingKept(t, 1, 0)
}

// endless is a document without an end.
type endless struct{}

func (endless) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
