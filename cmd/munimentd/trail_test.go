package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/muniment/muniment/service/api"
)

// complianceKey makes a key that may read the trail, of the one tenant.
func (d *laidOut) complianceKey(t *testing.T) string {
	t.Helper()
	var made struct {
		Key string `json:"api_key"`
	}
	out := d.mustTool(t, "api-key", "create", "--dir", d.Dir, "--tenant", d.Tenant, "--role", "compliance", "--json")
	if err := json.Unmarshal([]byte(out), &made); err != nil || made.Key == "" {
		t.Fatalf("%s: %v", out, err)
	}
	return made.Key
}

// trailOf reads the whole trail, and returns how often each request stands in it.
func trailOf(t *testing.T, c *client, key string) (requests map[string]int, events []api.TrailEvent) {
	t.Helper()
	requests = map[string]int{}
	for cursor := ""; ; {
		req, err := http.NewRequest(http.MethodGet, c.url+"/v1/trail?limit=1000"+cursor, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+key)
		resp, err := c.http.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		var list api.TrailList
		err = json.NewDecoder(resp.Body).Decode(&list)
		resp.Body.Close()
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("%s: %v", resp.Status, err)
		}
		for _, e := range list.Events {
			requests[e.Request]++
			events = append(events, e)
		}
		if list.Next == "" {
			return requests, events
		}
		cursor = "&cursor=" + list.Next
	}
}

// readers read documents of one deposit from a server until it is gone, and keep the ids of
// the requests of which a byte has come.
func readers(c *client, id string, many int) (got []string) {
	var mu sync.Mutex
	var group sync.WaitGroup
	for range many {
		group.Go(func() {
			for {
				req, err := http.NewRequest(http.MethodGet, c.url+"/v1/deposits/"+id+"/document", nil)
				if err != nil {
					return
				}
				req.Header.Set("Authorization", "Bearer "+c.d.APIKey)
				resp, err := c.http.Do(req)
				if err != nil {
					return
				}
				var first [1]byte
				n, _ := io.ReadFull(resp.Body, first[:])
				if n == 1 && resp.StatusCode == http.StatusOK {
					mu.Lock()
					got = append(got, resp.Header.Get("X-Request-Id"))
					mu.Unlock()
				}
				_, err = io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
				if err != nil {
					return
				}
			}
		})
	}
	group.Wait()
	return got
}

// TestTrailSurvivesKills: of whatever document a byte was received, the trail tells, though
// the process is killed at any moment.
func TestTrailSurvivesKills(t *testing.T) {
	d := layout(t)
	key := d.complianceKey(t)
	p := d.serve(t, "--canary", "0s")
	a, err := d.client(p).deposit("k", map[string]any{"contract.number": "HT-1"}, bytes.Repeat([]byte("contract"), 30_000))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	rounds := 5
	if torture() {
		rounds = 100
	}
	for range rounds {
		killed := p
		time.AfterFunc(time.Duration(50+rand.IntN(400))*time.Millisecond, killed.kill)
		got = append(got, readers(d.client(p), a.ID, 8)...)
		<-killed.ended
		p = d.serve(t, "--canary", "0s")
	}
	checkTrail(t, d, d.client(p), key, got)
	p.stop(t)
	d.clean(t)
}

// TestTrailOfReplicas: likewise of two replicas on PostgreSQL, either of which is killed.
func TestTrailOfReplicas(t *testing.T) {
	s := share(t)
	d := s.layout(t, s.postgres.URL(), s.s3.Endpoint)
	key := d.complianceKey(t)
	f := d.fleet(t, 2)
	a, err := f.up[0].Load().deposit("k", map[string]any{"contract.number": "HT-1"}, []byte("contract"))
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var got []string
	for round := range 3 {
		var group sync.WaitGroup
		stop := time.Now().Add(time.Duration(200+rand.IntN(400)) * time.Millisecond)
		for i := range f.up {
			c := f.up[i].Load()
			group.Go(func() {
				read := readers(c, a.ID, 4)
				mu.Lock()
				got = append(got, read...)
				mu.Unlock()
			})
		}
		time.Sleep(time.Until(stop))
		f.kill(round % 2)
		f.kill(1 - round%2)
		group.Wait()
		f.start(t, 0)
		f.start(t, 1)
	}
	checkTrail(t, d, f.up[1].Load(), key, got)
	for _, p := range f.processes {
		p.stop(t)
	}
	d.clean(t)
}

func checkTrail(t *testing.T, d *laidOut, c *client, key string, got []string) {
	t.Helper()
	requests, events := trailOf(t, c, key)
	for _, id := range got {
		if requests[id] == 0 {
			t.Errorf("a document left under request %s, and the trail does not tell", id)
		}
	}
	if len(got) < 20 {
		t.Errorf("only %d documents were read: this test proves little", len(got))
	}
	t.Logf("%d documents left, %d events", len(got), len(events))
	if out := d.mustTool(t, "trail", "verify", "--dir", d.Dir); !strings.Contains(out, "CLEAN") {
		t.Errorf("trail verify says %s", out)
	}
}

// TestTrailMoves: the trail goes with the house, and goes on; and with a backup.
func TestTrailMoves(t *testing.T) {
	d, _ := filled(t)
	key := d.complianceKey(t)
	p := d.serve(t)
	c := d.client(p)
	for i := range 20 {
		req, err := http.NewRequest(http.MethodGet, fmt.Sprintf("%s/v1/cases/none-%d", c.url, i), nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.do(req); err == nil {
			t.Fatal("there is such a case")
		}
	}
	_, before := trailOf(t, c, key)
	p.stop(t)
	backup, restored := filepath.Join(t.TempDir(), "backup"), filepath.Join(t.TempDir(), "restored")
	d.mustTool(t, "backup", "--dir", d.Dir, "--to", backup, "--with-keys")
	d.mustTool(t, "restore", "--dir", restored, "--from", backup, "--nothing-newer")
	if out := d.mustTool(t, "trail", "verify", "--dir", restored); !strings.Contains(out, fmt.Sprintf("events   %d in", len(before)+1)) { // and that it was read
		t.Errorf("restored: %s", out)
	}
	archive := filepath.Join(t.TempDir(), "archive")
	d.mustTool(t, "export", "--dir", d.Dir, "--to", archive, "--final", "--with-keys")
	home := d.house(t, plainSettings)
	d.mustTool(t, "import", "--dir", home.Dir, "--from", archive)
	p = home.serve(t)
	_, after := trailOf(t, home.client(p), key)
	p.stop(t)
	// What came since: the trail was read once, exported, and read again.
	if len(after) != len(before)+2 || fmt.Sprint(after[:len(before)]) != fmt.Sprint(before) || after[len(before)+1].Action != "export" {
		t.Errorf("%d events before, %d after: %v", len(before), len(after), after[max(0, len(before)-2):])
	}
	d.mustTool(t, "trail", "verify", "--dir", home.Dir)
	d.mustTool(t, "fsck", "--dir", home.Dir)
}
