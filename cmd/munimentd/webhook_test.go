package main

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/muniment/muniment/notary/webhook"
)

// hearer is a lending system that is called. It counts what was told it at least once.
type hearer struct {
	*httptest.Server
	mu     sync.Mutex
	secret []byte
	heard  map[string]uint64 // place in the case of each id
	order  []uint64          // places, in the order in which they were first told
	faults []string
}

func newHearer(t *testing.T) *hearer {
	h := &hearer{heard: map[string]uint64{}}
	h.Server = httptest.NewServer(h)
	t.Cleanup(h.Close)
	return h
}

func (h *hearer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	h.mu.Lock()
	defer h.mu.Unlock()
	seconds, _ := strconv.ParseInt(r.Header.Get("webhook-timestamp"), 10, 64)
	var m webhook.Message
	if err := json.Unmarshal(body, &m); err != nil ||
		r.Header.Get("webhook-signature") != webhook.Sign(h.secret, r.Header.Get("webhook-id"), time.Unix(seconds, 0), body) {
		h.faults = append(h.faults, string(body))
	}
	if _, again := h.heard[m.Data.ID]; !again {
		h.heard[m.Data.ID] = m.Data.Place
		h.order = append(h.order, m.Data.Place)
	}
}

// subscribe has the depository call the hearer.
func (h *hearer) subscribe(t *testing.T, c *client) {
	t.Helper()
	req, err := http.NewRequest(http.MethodPost, c.url+"/v1/webhooks", strings.NewReader(`{"url":"`+h.URL+`"}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	body, err := c.do(req)
	var made struct{ Secret string }
	if err == nil {
		err = json.Unmarshal(body, &made)
	}
	if err == nil {
		h.secret, err = base64.StdEncoding.DecodeString(strings.TrimPrefix(made.Secret, "whsec_"))
	}
	if err != nil || len(h.secret) != 32 {
		t.Fatalf("webhook: %s, %v", body, err)
	}
}

// told waits until n deposits of one case were told, in their order.
func (h *hearer) told(t *testing.T, n int) {
	t.Helper()
	until(t, time.Minute, strconv.Itoa(n)+" deposits are told", func() bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		return len(h.heard) >= n
	})
	h.mu.Lock()
	defer h.mu.Unlock()
	for i, place := range h.order {
		if place != uint64(i+1) {
			t.Errorf("told as number %d: place %d of the case", i+1, place)
			break
		}
	}
	if len(h.faults) > 0 || len(h.heard) != n {
		t.Errorf("%d told, not %d; faults: %v", len(h.heard), n, h.faults)
	}
}

// TestWebhookSurvivesKills: what is published is told, though the process is killed.
func TestWebhookSurvivesKills(t *testing.T) {
	d, h := layout(t), newHearer(t)
	const inside = "--webhooks-networks=[127.0.0.0/8]"
	p := d.serve(t, inside, "--canary", "0s")
	c := d.client(p)
	h.subscribe(t, c)
	n := 0
	for range 3 {
		for range 10 {
			n++
			if _, err := c.digest("key "+strconv.Itoa(n), "HT-1", strconv.Itoa(n)); err != nil {
				t.Fatal(err)
			}
		}
		p.kill()
		p = d.serve(t, inside, "--canary", "0s")
		c = d.client(p)
	}
	h.told(t, n)
}

// TestWebhookOfReplicas: the replica that seals makes the calls, and another when it dies.
func TestWebhookOfReplicas(t *testing.T) {
	s := share(t)
	d, h := s.layout(t, s.postgres.URL(), s.s3.Endpoint), newHearer(t)
	file, err := os.OpenFile(filepath.Join(d.Dir, configName), os.O_APPEND|os.O_WRONLY, 0)
	if err == nil {
		_, err = file.WriteString("webhooks: {networks: [127.0.0.0/8]}\n")
		file.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	f := d.fleet(t, 2)
	h.subscribe(t, f.up[0].Load())
	n := 0
	for range 2 {
		sealer := f.sealer(t)
		c := f.up[1-sealer].Load()
		for range 10 {
			n++
			if _, err := c.digest("key "+strconv.Itoa(n), "HT-1", strconv.Itoa(n)); err != nil {
				t.Fatal(err)
			}
		}
		f.kill(sealer)
		f.start(t, sealer)
	}
	h.told(t, n)
}
