package witness

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// listening is a server on a port of its own; stop ends it and returns what Serve did.
func listening(t *testing.T, s *Server) (address string, stop func() error) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, l, 5*time.Second) }()
	return l.Addr().String(), sync.OnceValue(func() error { cancel(); return <-ended })
}

// TestServeStopsUnderLoad: an answer is whole or there is none, the stop is quick, and
// what was cosigned is there afterwards.
func TestServeStopsUnderLoad(t *testing.T) {
	var logs []*testLog
	for i := range 8 {
		logs = append(logs, newTestLog(t, fmt.Sprintf("log%d.example/test/1", i), 3000, 0, ""))
	}
	c := setup(t, true, logs...)
	for range 3 {
		s := open(t, c)
		address, stop := listening(t, s)
		var cosigned atomic.Int64
		var clients sync.WaitGroup
		largest := make([]atomic.Int64, len(logs))
		for i, l := range logs {
			clients.Go(func() {
				for old := int(s.size(l.origin)); old < 2999; old++ {
					resp, err := http.Post("http://"+address+"/add-checkpoint", "", strings.NewReader(l.request(t, old, old+1)))
					if err != nil {
						return // the connection was closed while nothing was under way
					}
					body, err := io.ReadAll(resp.Body)
					resp.Body.Close()
					if err != nil || resp.StatusCode != 200 || strings.Count(string(body), "\n") != 2 {
						t.Errorf("%d %q %v", resp.StatusCode, body, err)
						return
					}
					cosigned.Add(1)
					largest[i].Store(int64(old + 1))
				}
			})
		}
		time.Sleep(150 * time.Millisecond)
		begun := time.Now()
		must(t, stop())
		must(t, s.Close())
		if took := time.Since(begun); took > 5*time.Second {
			t.Errorf("a stop took %v", took)
		}
		clients.Wait()
		http.DefaultClient.CloseIdleConnections()
		if cosigned.Load() == 0 {
			t.Error("nothing was cosigned")
		}
		st, err := s.folder.load(s.name)
		must(t, err)
		for i, l := range logs {
			if uint64(largest[i].Load()) > st[l.origin].Size {
				t.Errorf("size %d was cosigned, %d is recorded", largest[i].Load(), st[l.origin].Size)
			}
		}
	}
}

// TestSlowAndEndless: who sends slowly, or without an end, is cut off, and costs the
// others nothing.
func TestSlowAndEndless(t *testing.T) {
	t.Parallel()
	l := newTestLog(t, "log.example/test/1", 200, 0, "")
	c := setup(t, false, l)
	s := open(t, c)
	address, stop := listening(t, s)
	var crowd sync.WaitGroup
	for i := range 100 {
		crowd.Go(func() {
			conn, err := net.Dial("tcp", address)
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			fmt.Fprintf(conn, "POST /add-checkpoint HTTP/1.1\r\nHost: w\r\n")
			switch i % 4 {
			case 1:
				fmt.Fprintf(conn, "Content-Length: 1000\r\n\r\nold")
			case 2:
				fmt.Fprintf(conn, "Transfer-Encoding: chunked\r\n\r\n")
				for range 1000 { // far more than a request may have
					if _, err := fmt.Fprintf(conn, "1000\r\n%s\r\n", strings.Repeat("x", 0x1000)); err != nil {
						break
					}
				}
			case 3:
				for range 100 {
					if _, err := fmt.Fprintf(conn, "X: %s\r\n", strings.Repeat("x", 1000)); err != nil {
						break
					}
				}
			}
			conn.SetReadDeadline(time.Now().Add(readTimeout + 10*time.Second))
			if _, err := io.Copy(io.Discard, bufio.NewReader(conn)); err != nil && errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("connection %d is not cut off", i)
			}
		})
	}
	slowest := time.Duration(0)
	for size := 1; size < 100; size++ {
		begun := time.Now()
		resp, err := http.Post("http://"+address+"/add-checkpoint", "", strings.NewReader(l.request(t, size-1, size)))
		must(t, err)
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if resp.StatusCode != 200 {
			t.Fatal(resp.StatusCode)
		}
		slowest = max(slowest, time.Since(begun))
	}
	if slowest > 2*time.Second {
		t.Errorf("a good log waited %v", slowest)
	}
	crowd.Wait()
	must(t, stop())
}

// TestWaitingIsBounded: one log cannot take the places of all.
func TestWaitingIsBounded(t *testing.T) {
	a, b := newTestLog(t, "a.example/test/1", 100, 0, ""), newTestLog(t, "b.example/test/1", 100, 0, "")
	f := &held{hold: make(chan struct{}), held: make(chan struct{}, 1)}
	c := setup(t, false, a, b)
	c.system = f
	s := open(t, c)
	var asked sync.WaitGroup
	var busy, conflicts atomic.Int64
	first := make(chan int)
	go func() { first <- ask(s, a.request(t, 0, 1)).Code }()
	<-f.held // the committer is in its write
	for range 3 * maxOfOne {
		asked.Go(func() {
			switch w := ask(s, a.request(t, 0, 2)); w.Code {
			case http.StatusServiceUnavailable:
				if w.Header().Get("Retry-After") == "" {
					t.Error("no Retry-After")
				}
				busy.Add(1)
			case http.StatusConflict:
				conflicts.Add(1)
			default:
				t.Error(w.Code)
			}
		})
	}
	for busy.Load() < 2*maxOfOne {
		time.Sleep(time.Millisecond)
	}
	other := make(chan int)
	go func() { other <- ask(s, b.request(t, 0, 1)).Code }()
	close(f.hold)
	asked.Wait()
	if one, two := <-first, <-other; one != 200 || two != 200 {
		t.Error(one, two)
	}
	if conflicts.Load() != maxOfOne-1 {
		t.Errorf("%d waited, %d were told to come back", conflicts.Load(), busy.Load())
	}
}

// held waits in its first write.
type held struct {
	disk
	hold, held chan struct{}
}

func (h *held) write(path string, data []byte) error {
	select {
	case h.held <- struct{}{}:
	default:
	}
	<-h.hold
	return h.disk.write(path, data)
}

// TestHostileRequestsMakeNoSeries: what callers choose stands in no metric.
func TestHostileRequestsMakeNoSeries(t *testing.T) {
	l := newTestLog(t, "log.example/test/1", 10, 0, "")
	s := open(t, setup(t, true, l))
	series := func() int {
		return strings.Count(get(s, "/metrics").Body.String(), "\n")
	}
	before := series()
	for i := range 2000 {
		other := strings.ReplaceAll(l.request(t, 0, i%10), l.origin, fmt.Sprintf("hostile%d.example", i))
		if w := ask(s, other); w.Code != 404 {
			t.Fatal(w.Code)
		}
		get(s, fmt.Sprintf("/hostile%d/checkpoint", i))
	}
	if after := series(); after != before || before < 20 {
		t.Errorf("%d lines of metrics, %d before", after, before)
	}
	ask(s, l.request(t, 0, 7))
	text := get(s, "/metrics").Body.String()
	for _, want := range []string{
		`muniment_witness_size_entries{log="log.example/test/1"} 7`, `muniment_witness_requests_total{result="cosigned"} 1`,
		`muniment_witness_requests_total{result="unknown-log"} 2000`, "muniment_witness_up 1",
	} {
		if !strings.Contains(text, want+"\n") {
			t.Errorf("no %s in\n%s", want, text)
		}
	}
}
