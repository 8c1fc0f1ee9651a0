package service

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/muniment/muniment/notary"
)

// TestLimits: a tenant that makes more deposits than it may is told when to come back, by
// single deposits as by batches, and another tenant is not concerned; a retry with the same
// key is then the deposit that it was to be.
func TestLimits(t *testing.T) {
	free := notary.ID{9}
	h := newHouse(t, func(c *Config) { c.Limits = Limits{Rate: 2, Burst: 5, Tenants: map[notary.ID]int{free: 0}} })
	post := func(key string, headers ...string) answer {
		return h.postJSON(t, digestOnly(""), append([]string{"Idempotency-Key", key}, headers...)...)
	}
	var refused answer
	taken := 0
	for i := range 50 {
		if refused = post(fmt.Sprint("k", i)); refused.StatusCode != http.StatusCreated {
			break
		}
		taken++
	}
	refused.problem(t, rateLimited)
	if after := refused.Header.Get("Retry-After"); after != "1" || taken < 5 {
		t.Errorf("Retry-After %q after %d", after, taken)
	}
	// What is refused is not even read, nor logged: it must cost the others nothing.
	logged := strings.Count(h.log.String(), "\n")
	for range 20 {
		h.postJSON(t, `{"record`, "Idempotency-Key", "none").problem(t, rateLimited)
	}
	if more := strings.Count(h.log.String(), "\n") - logged; more > 0 {
		t.Errorf("%d lines in the log", more)
	}
	if a := h.do(t, "GET", "/metrics", nil); !strings.Contains(string(a.body), `muniment_http_problems_total{problem="rate-limited"} 2`) {
		t.Error("refusals are not counted")
	}
	post("of nobody", "Authorization", "Bearer mnt_"+strings.Repeat("A", 43)).problem(t, unauthorized)
	post("of another", "Authorization", "Bearer "+h.stranger).deposit(t, h, 201)
	size := h.ledger.Snapshot().Head.Size
	lines := strings.Repeat(`{"record":{"content.sha256":"`+helloSHA256+`"}}`+"\n", 4)
	h.postBatch(t, lines, "Idempotency-Key", "batch").problem(t, rateLimited)
	h.nothingKept(t, size, 0)
	must(t, h.ledger.CreateTenant(t.Context(), notary.Tenant{ID: free, Name: "Free Bank"}))
	without := h.key(t, free, notary.Depositor)
	for i := range 20 {
		post(fmt.Sprint("f", i), "Authorization", "Bearer "+without).deposit(t, h, 201)
	}
}

// TestRefusedBeforeTheBody: what is refused because of a limit is refused before its body is
// read: of a batch too. Its connection goes on to the next request, which is taken once there
// is room; and a caller that never sends the body holds its connection no longer than another.
func TestRefusedBeforeTheBody(t *testing.T) {
	h := newHouse(t, func(c *Config) {
		c.Limits = Limits{Rate: 1, Burst: 1}
		c.Stall = 200 * time.Millisecond
	})
	h.postJSON(t, digestOnly(""), "Idempotency-Key", "first").deposit(t, h, 201)
	h.postBatch(t, "this is no line\n").problem(t, rateLimited)
	h.postForm(t, "this is no form").problem(t, rateLimited)

	conn, err := net.Dial("tcp", strings.TrimPrefix(h.url, "http://"))
	must(t, err)
	defer conn.Close()
	must(t, conn.SetDeadline(time.Now().Add(5*time.Second)))
	in := bufio.NewReader(conn)
	ask := func(key, body string, announced int) int {
		t.Helper()
		_, err := fmt.Fprintf(conn, "POST /v1/deposits HTTP/1.1\r\nHost: depository\r\nAuthorization: Bearer %s\r\nIdempotency-Key: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
			h.depositor, key, announced, body)
		must(t, err)
		resp, err := http.ReadResponse(in, nil)
		must(t, err)
		defer resp.Body.Close()
		_, err = io.Copy(io.Discard, resp.Body)
		must(t, err)
		return resp.StatusCode
	}
	body := digestOnly("")
	refused := ask("again", body, len(body))
	for got := refused; got != http.StatusCreated; {
		time.Sleep(100 * time.Millisecond)
		got = ask("again", body, len(body))
	}
	if refused != http.StatusTooManyRequests {
		t.Errorf("status %d", refused)
	}
	begun := time.Now()
	if got := ask("never", "", 100); got != http.StatusTooManyRequests && got != http.StatusRequestTimeout {
		t.Errorf("status %d", got)
	}
	if _, err := in.ReadByte(); err != io.EOF && !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the connection after a body that never came: %v", err)
	}
	if took := time.Since(begun); took > 3*time.Second {
		t.Errorf("it was held for %v", took)
	}
}

// TestFloodIsPaced: who goes on asking while it is refused is answered later and later no more
// than a pause, others are answered as before, and no more wait than may.
func TestFloodIsPaced(t *testing.T) {
	h := newHouse(t, func(c *Config) { c.Limits = Limits{Rate: 1, Burst: 1} })
	h.do(t, "GET", "/v1/usage", nil)
	for h.postJSON(t, digestOnly("")).StatusCode == http.StatusCreated {
	}
	var prompt, paused int
	var longest time.Duration
	for begun := time.Now(); time.Since(begun) < time.Second/2; {
		asked := time.Now()
		if h.postJSON(t, digestOnly("")).StatusCode == http.StatusCreated {
			continue
		}
		took := time.Since(asked)
		if longest = max(longest, took); took < refusalPause/2 {
			prompt++
		} else {
			paused++
		}
	}
	if prompt < promptRefusals/2 || prompt > 2*promptRefusals || paused == 0 || longest > refusalPause+5*time.Second {
		t.Errorf("%d at once, %d after a pause, the longest %v", prompt, paused, longest)
	}
	asked := time.Now()
	h.postJSON(t, digestOnly(""), "Authorization", "Bearer "+h.stranger).deposit(t, h, 201)
	if took := time.Since(asked); took >= refusalPause/2 {
		t.Errorf("another tenant waits %v", took)
	}
	l := newLimiter(Limits{Rate: 1, Burst: 1})
	l.paused.Store(maxPaused)
	asked = time.Now()
	for range 3 * promptRefusals {
		l.pause(t.Context(), notary.ID{1})
	}
	if took := time.Since(asked); took >= refusalPause/2 || l.paused.Load() != maxPaused {
		t.Errorf("more wait than may: %v, %d", took, l.paused.Load())
	}
	l.paused.Store(0)
	ended, end := context.WithCancel(t.Context())
	end()
	asked = time.Now()
	for range 3 * promptRefusals {
		l.pause(ended, notary.ID{1})
	}
	if took := time.Since(asked); took >= refusalPause/2 {
		t.Errorf("who has left is waited for: %v", took)
	}
}
