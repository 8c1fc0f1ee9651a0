package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// failing answers the first n requests with fail, and passes the others on.
func failing(n int, d *depository, fail http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if int(d.attempts.Load()) >= n {
			d.ServeHTTP(w, r)
			return
		}
		d.attempts.Add(1)
		d.keys = append(d.keys, r.Header.Get("Idempotency-Key"))
		fail(w, r)
	})
}

// cut ends the connection without an answer.
func cut(w http.ResponseWriter, _ *http.Request) {
	conn, _, err := w.(http.Hijacker).Hijack()
	if err == nil {
		conn.Close()
	}
}

// TestRetriesUnderOneKey: whatever breaks, the deposit is sent whole again, with the
// key it had.
func TestRetriesUnderOneKey(t *testing.T) {
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) { http.Error(w, "<html>", code) }
	}
	for what, fail := range map[string]http.HandlerFunc{
		"502": status(502), "503": status(503), "504": status(504), "429": status(429),
		"cut":           cut,
		"cut after all": func(w http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body); cut(w, r) },
		"cut in the answer": func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			w.Header().Set("Content-Length", "1000")
			w.WriteHeader(201)
			io.WriteString(w, `{"receipt"`)
		},
		"truncated-upload": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(400)
			io.WriteString(w, `{"type":"/problems/truncated-upload","retry":true}`)
		},
	} {
		for _, key := range []string{"key 1", ""} {
			d := &depository{t: t}
			c, waits := serve(t, failing(3, d, fail))
			in := loan()
			in.Key = key
			in.Document, in.Size = opener(strings.Repeat("x", 1<<20)), 1<<20
			if _, err := c.Deposit(t.Context(), in); err != nil {
				t.Errorf("%s: %v", what, err)
				continue
			}
			if len(d.got) != 1<<20 || len(*waits) != 3 {
				t.Errorf("%s: %d bytes, %d waits", what, len(d.got), len(*waits))
			}
			if slices.Sort(d.keys); d.keys[0] == "" || d.keys[0] != d.keys[len(d.keys)-1] {
				t.Errorf("%s: keys %q", what, d.keys)
			}
		}
	}
}

func TestRetriesAreBounded(t *testing.T) {
	d := &depository{t: t}
	c, waits := serve(t, failing(1000, d, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) }))
	told := 0
	c.Retrying = func(error, time.Duration) { told++ }
	var p *Problem
	if _, err := c.Deposit(t.Context(), loan()); !errors.As(err, &p) || p.Status != 503 || !p.Retry() || p.Refused() {
		t.Errorf("%v", err)
	}
	if d.attempts.Load() != maxAttempts || told != maxAttempts-1 || len(*waits) != told {
		t.Errorf("%d attempts, told of %d, %d waits", d.attempts.Load(), told, len(*waits))
	}
	for i, w := range *waits {
		if full := firstWait << i; w < full/2 || w > full {
			t.Errorf("wait %d: %s", i, w)
		}
	}
}

func TestNothingListens(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	n := 0
	c := &Client{Server: "http://" + l.Addr().String(), sleep: func(context.Context, time.Duration) error { n++; return nil }}
	if _, err := c.Deposit(t.Context(), loan()); err == nil || n != maxAttempts-1 {
		t.Errorf("%v after %d waits", err, n)
	}
}

// TestRetryAfter: what the server asks for is waited, but not for ever.
func TestRetryAfter(t *testing.T) {
	for _, c := range []struct {
		header string
		want   time.Duration // least wait; 0: given up at once
	}{
		{"7", 7 * time.Second},
		{"0", time.Millisecond},
		{"-1", time.Millisecond},
		{"nonsense", time.Millisecond},
		{time.Now().Add(time.Minute).UTC().Format(http.TimeFormat), 58 * time.Second},
		{time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat), time.Millisecond},
		{"3600", 0},
		{"2147483647", 0},
		{"99999999999999999999", time.Millisecond},
	} {
		d := &depository{t: t}
		client, waits := serve(t, failing(1, d, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", c.header)
			w.WriteHeader(503)
		}))
		_, err := client.Deposit(t.Context(), loan())
		var p *Problem
		switch {
		case c.want == 0 && (!errors.As(err, &p) || p.RetryAfter < time.Hour || len(*waits) > 0):
			t.Errorf("%s: %v", c.header, err)
		case c.want > 0 && (err != nil || len(*waits) != 1 || (*waits)[0] < c.want || (*waits)[0] > c.want+3*time.Second):
			t.Errorf("%s: waits %v, %v", c.header, *waits, err)
		}
	}
}

func TestRefusalsAreNotRepeated(t *testing.T) {
	d := &depository{t: t}
	c, _ := serve(t, failing(1000, d, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/problem+json; charset=utf-8")
		w.WriteHeader(422)
		fmt.Fprint(w, `{"type":"/problems/invalid-record","title":"T","status":200,"detail":"D","retry":false,"member":"terms.x","id":"i","committed":true}`)
	}))
	var p *Problem
	if _, err := c.Deposit(t.Context(), loan()); !errors.As(err, &p) {
		t.Fatalf("%v", err)
	}
	want := Problem{Type: "/problems/invalid-record", Title: "T", Status: 422, Detail: "D", Member: "terms.x", ID: "i", Committed: true}
	if !reflect.DeepEqual(*p, want) || !p.Refused() || !p.Named("invalid-record") || p.Error() != "T: D (HTTP 422)" || d.attempts.Load() != 1 {
		t.Errorf("%+v", p)
	}
}

// TestRefusalBeforeTheDocument: a wrong key costs no upload.
func TestRefusalBeforeTheDocument(t *testing.T) {
	read := 0
	c, _ := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(401) }))
	in := loan()
	in.Claims = with(in.Claims, `{"content.sha256":"`+digest("x")+`"}`)
	in.Size = 1 << 40
	in.Document = func() (io.ReadCloser, error) {
		return io.NopCloser(readerFunc(func(p []byte) (int, error) { read += len(p); return len(p), nil })), nil
	}
	var p *Problem
	if _, err := c.Deposit(t.Context(), in); !errors.As(err, &p) || p.Status != 401 {
		t.Errorf("%v", err)
	}
	if read > 0 {
		t.Errorf("%d bytes read", read)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// TestRefusalAmidTheDocument: an answer that comes while the document is still on its
// way is heard, of a server that reads on for a moment behind it, as ours does.
func TestRefusalAmidTheDocument(t *testing.T) {
	c, waits := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn := http.NewResponseController(w)
		conn.EnableFullDuplex()
		io.ReadFull(r.Body, make([]byte, 1000))
		w.WriteHeader(413)
		conn.Flush()
		conn.SetReadDeadline(time.Now().Add(500 * time.Millisecond))
		io.Copy(io.Discard, r.Body)
	}))
	in := loan()
	in.Claims = with(in.Claims, `{"content.sha256":"`+digest("x")+`"}`)
	in.Size = 1 << 40
	in.Document = func() (io.ReadCloser, error) {
		return io.NopCloser(readerFunc(func(p []byte) (int, error) { return len(p), nil })), nil
	}
	var p *Problem
	if _, err := c.Deposit(t.Context(), in); !errors.As(err, &p) || p.Status != 413 || len(*waits) > 0 {
		t.Errorf("%v after %d waits", err, len(*waits))
	}
}

// TestPatience: a server that takes the request and says nothing, or one byte at a
// time, is left.
func TestPatience(t *testing.T) {
	for what, h := range map[string]http.HandlerFunc{
		"silent": func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"slow": func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				w.Write([]byte(" "))
				w.(http.Flusher).Flush()
				time.Sleep(10 * time.Millisecond)
			}
		},
	} {
		c, waits := serve(t, h)
		c.Patience = 50 * time.Millisecond
		if _, err := c.Policy(t.Context()); !errors.Is(err, errStalled) || len(*waits) != maxAttempts-1 {
			t.Errorf("%s: %v after %d waits", what, err, len(*waits))
		}
	}
}

// TestPatienceWithAnAnswerAmidTheDocument: a server that goes on taking the document
// gains no time for its answer.
func TestPatienceWithAnAnswerAmidTheDocument(t *testing.T) {
	c, _ := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		control := http.NewResponseController(w)
		if err := control.EnableFullDuplex(); err != nil {
			t.Error(err)
		}
		io.ReadFull(r.Body, make([]byte, 1)) // lets the document come
		w.WriteHeader(201)
		control.Flush()
		io.Copy(io.Discard, r.Body)
	}))
	c.Patience = 100 * time.Millisecond
	c.sleep = func(context.Context, time.Duration) error { return context.Canceled }
	in := loan()
	in.Claims = with(in.Claims, `{"content.sha256":"`+digest("x")+`"}`)
	in.Size = 1 << 40
	in.Document = func() (io.ReadCloser, error) {
		return io.NopCloser(readerFunc(func(p []byte) (int, error) { time.Sleep(time.Millisecond); return len(p), nil })), nil
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if _, err := c.Deposit(ctx, in); !errors.Is(err, errStalled) {
		t.Errorf("%v", err)
	}
}

func TestTheCallersEndIsNotRepeated(t *testing.T) {
	n := 0
	ctx, cancel := context.WithCancel(t.Context())
	c, waits := serve(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { n++; cancel(); time.Sleep(50 * time.Millisecond) }))
	if _, err := c.Policy(ctx); !errors.Is(err, context.Canceled) || n != 1 || len(*waits) != 0 {
		t.Errorf("%v, %d requests", err, n)
	}
}

// TestUnknownCertificateIsNotRepeated: it will not be known the next time.
func TestUnknownCertificateIsNotRepeated(t *testing.T) {
	s := httptest.NewUnstartedServer(http.NotFoundHandler())
	s.Config.ErrorLog = nil
	s.StartTLS()
	defer s.Close()
	c := &Client{Server: s.URL, sleep: func(context.Context, time.Duration) error { t.Error("repeated"); return nil }}
	if _, err := c.Policy(t.Context()); err == nil {
		t.Error("no error")
	}
}

// FuzzAnswer: no answer makes the client panic or believe.
func FuzzAnswer(f *testing.F) {
	f.Add([]byte(`{"receipt":"c2sp.org/tlog-proof@v1\nextra \nindex 1\n\nx"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		c := &Client{}
		if r, err := c.receiptOf(data); err == nil {
			if about(r, loan().Claims, true) == nil {
				t.Errorf("believed %q", data)
			}
		}
	})
}
