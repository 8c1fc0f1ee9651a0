package main

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// serveBytes answers each request on a connection with the bytes of the next answer,
// each of them in a segment of its own.
func serveBytes(t *testing.T, answers ...string) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for len(answers) > 0 {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			in := bufio.NewReader(conn)
			for len(answers) > 0 {
				if _, err := http.ReadRequest(in); err != nil {
					break
				}
				for _, b := range []byte(answers[0]) {
					conn.Write([]byte{b})
				}
				answers = answers[1:]
			}
			conn.Close()
		}
	}()
	return l.Addr().String()
}

var ask = []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n")

func TestWireReadsAnswers(t *testing.T) {
	long := strings.Repeat("0123456789", 5000)
	for name, c := range map[string]struct{ in, body string }{
		"length":     {"HTTP/1.1 201 Created\r\nLocation: /v1/deposits/1\r\nContent-Length: 5\r\n\r\nhello", "hello"},
		"empty":      {"HTTP/1.1 201 Created\r\nlocation:  /v1/deposits/1 \r\ncontent-length: 0\r\n\r\n", ""},
		"chunks":     {"HTTP/1.1 201 Created\r\nLocation: /v1/deposits/1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nA\r\n0123456789\r\n0\r\n\r\n", "hello0123456789"},
		"no chunks":  {"HTTP/1.1 201 Created\r\nLocation: /v1/deposits/1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", ""},
		"long":       {"HTTP/1.1 201 Created\r\nLocation: /v1/deposits/1\r\nContent-Length: 50000\r\n\r\n" + long, long},
		"long chunk": {"HTTP/1.1 201 Created\r\nLocation: /v1/deposits/1\r\nTransfer-Encoding: chunked\r\n\r\nc350\r\n" + long + "\r\n0\r\n\r\n", long},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWire(serveBytes(t, c.in, c.in), 5*time.Second)
			defer w.close()
			for range 2 { // on one connection
				var a answer
				if err := w.exchange(ask, &a); err != nil {
					t.Fatal(err)
				}
				if a.status != 201 || string(a.body) != c.body || string(a.location) != "/v1/deposits/1" {
					t.Errorf("%d %q %q", a.status, a.location, a.body)
				}
			}
			if w.dials != 1 {
				t.Errorf("%d connections for two requests", w.dials)
			}
		})
	}
}

func TestWireRefuses(t *testing.T) {
	for name, in := range map[string]string{
		"version":           "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
		"status":            "HTTP/1.1 2x0 OK\r\nContent-Length: 0\r\n\r\n",
		"interim":           "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
		"no length":         "HTTP/1.1 200 OK\r\n\r\n",
		"both lengths":      "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"two lengths":       "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx",
		"negative length":   "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
		"other coding":      "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
		"field":             "HTTP/1.1 200 OK\r\nnonsense\r\nContent-Length: 0\r\n\r\n",
		"endless header":    "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", maxHead+10) + "\r\nContent-Length: 0\r\n\r\n",
		"chunk size":        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
		"chunk extension":   "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;a=b\r\nx\r\n0\r\n\r\n",
		"chunk end":         "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nxy\r\n0\r\n\r\n",
		"trailer":           "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: y\r\n\r\n",
		"too long":          "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
		"cut off":           "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx",
		"cut off in chunks": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nx",
	} {
		t.Run(name, func(t *testing.T) {
			w := newWire(serveBytes(t, in), 5*time.Second)
			defer w.close()
			var a answer
			if err := w.exchange(ask, &a); err == nil {
				t.Errorf("taken for %d %q", a.status, a.body)
			} else if !errors.Is(err, errWire) && !errors.Is(err, io.EOF) {
				t.Error(err)
			}
			if w.conn != nil {
				t.Error("the connection is still open")
			}
		})
	}
}

// TestWireAgainstNetHTTP has the real server's framing, over several requests and a
// connection that it closes.
func TestWireAgainstNetHTTP(t *testing.T) {
	sizes := []int{0, 1, 2047, 2048, 2049, 4096, 70_000, 1 << 20}
	var n int
	s := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		if n%3 == 2 {
			rw.Header().Set("Connection", "close")
		}
		rw.WriteHeader(201)
		io.WriteString(rw, strings.Repeat("x", sizes[n]))
	}))
	defer s.Close()
	w := newWire(s.Listener.Addr().String(), 5*time.Second)
	defer w.close()
	for n = range sizes {
		var a answer
		if err := w.exchange([]byte("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi"), &a); err != nil {
			t.Fatal(err)
		}
		if a.status != 201 || len(a.body) != sizes[n] || a.closes != (n%3 == 2) {
			t.Errorf("%d bytes sent, %d read with status %d", sizes[n], len(a.body), a.status)
		}
	}
	if w.dials != 3 {
		t.Errorf("%d connections", w.dials)
	}
}
