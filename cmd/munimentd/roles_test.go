package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/muniment/muniment/proofs"
)

// caller is who has a key or a link, at some depository.
type caller struct {
	t      *testing.T
	client *client
	key    string
}

// ask sends a request and returns what was answered, if the status is that.
func (c caller) ask(status int, method, path string, body any) map[string]any {
	c.t.Helper()
	got, answer := c.try(method, path, body)
	if got != status {
		c.t.Fatalf("%s %s: %d %v, want %d", method, path, got, answer, status)
	}
	return answer
}

func (c caller) try(method, path string, body any) (int, map[string]any) {
	c.t.Helper()
	var sent []byte
	if body != nil {
		sent, _ = json.Marshal(body)
	}
	r, err := http.NewRequest(method, c.client.url+path, bytes.NewReader(sent))
	if err != nil {
		c.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+c.key)
	r.Header.Set("Content-Type", "application/json")
	sum := sha256.Sum256(append([]byte(path), sent...))
	r.Header.Set("Idempotency-Key", fmt.Sprintf("%x", sum))
	resp, err := c.client.http.Do(r)
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	answer := map[string]any{}
	if len(data) > 0 && json.Unmarshal(data, &answer) != nil {
		c.t.Fatalf("%s %s: %s", method, path, data)
	}
	return resp.StatusCode, answer
}

func (c caller) by(key any) caller { c.key = key.(string); return c }

// operators makes two, as an operator does on the machine.
func (d *laidOut) operators(t *testing.T, c *client) (ann, bob caller) {
	t.Helper()
	make := func() caller {
		var k struct {
			APIKey string `json:"api_key"`
		}
		if out := d.mustTool(t, "api-key", "create", "--dir", d.Dir, "--role", "operator", "--json"); json.Unmarshal([]byte(out), &k) != nil {
			t.Fatal(out)
		}
		return caller{t, c, k.APIKey}
	}
	return make(), make()
}

// inhabited takes on a lender and a court over HTTP, with a case that is open to the court and
// by a link.
type inhabited struct {
	lender, deposit, at           string
	depositor, compliance, court  string
	link, depositorKey, auditorID string
}

func inhabit(t *testing.T, ann, bob caller) (in inhabited) {
	t.Helper()
	in.lender = ann.ask(201, "POST", "/v1/tenants", map[string]any{"name": "示例银行", "registration": "91350100M000100Y43"})["id"].(string)
	court := ann.ask(201, "POST", "/v1/tenants", map[string]any{"name": "示例法院"})["id"].(string)
	k := ann.ask(201, "POST", "/v1/keys", map[string]any{"tenant": in.lender, "role": "depositor"})
	in.depositor, in.depositorKey = k["api_key"].(string), k["id"].(string)
	in.court = ann.ask(201, "POST", "/v1/keys", map[string]any{"tenant": court, "role": "court"})["api_key"].(string)
	asked := ann.ask(202, "POST", "/v1/keys", map[string]any{"tenant": in.lender, "role": "compliance"})
	in.compliance = asked["api_key"].(string)
	ann.by(in.compliance).ask(401, "GET", "/v1/deposits", nil)
	ann.ask(409, "POST", "/v1/keys/"+asked["id"].(string)+"/confirmation", nil)
	bob.ask(200, "POST", "/v1/keys/"+asked["id"].(string)+"/confirmation", nil)
	in.auditorID = ann.ask(202, "POST", "/v1/keys", map[string]any{"tenant": court, "role": "auditor", "supervises": []string{in.lender}})["id"].(string)

	made := ann.by(in.depositor).ask(201, "POST", "/v1/deposits", map[string]any{"record": map[string]any{"content.sha256": fmt.Sprintf("%064x", 7), "contract.number": "HT-1"}})
	in.deposit, in.at = made["id"].(string), "?tenant="+in.lender
	until := proofs.FormatTime(time.Now().Add(time.Hour))
	ann.by(in.compliance).ask(201, "POST", "/v1/cases/HT-1/grants", map[string]any{"to": court, "until": until, "reason": "审理"})
	in.link = ann.by(in.compliance).ask(201, "POST", "/v1/cases/HT-1/grants", map[string]any{"link": true, "until": until, "reason": "鉴定"})["link"].(string)
	return in
}

// stands demands that everyone reads what it may, and nothing else.
func (in inhabited) stands(c caller) {
	c.t.Helper()
	c.by(in.court).ask(200, "GET", "/v1/deposits/"+in.deposit+in.at, nil)
	c.by(in.link).ask(200, "GET", "/v1/cases/HT-1", nil)
	c.by(in.compliance).ask(200, "GET", "/v1/deposits/"+in.deposit, nil)
	c.by(in.court).ask(404, "GET", "/v1/cases/HT-2"+in.at, nil)
	c.ask(403, "GET", "/v1/deposits/"+in.deposit, nil) // an operator
}

// TestRolesMoveHouse: tenants and keys that were made over HTTP, grants and links, on a real
// server; they go where the depository goes, but for keys that nobody confirmed.
func TestRolesMoveHouse(t *testing.T) {
	d := layout(t)
	p := d.serve(t)
	ann, bob := d.operators(t, d.client(p))
	in := inhabit(t, ann, bob)
	in.stands(ann)
	p.stop(t)
	p = d.serve(t)
	ann.client = d.client(p)
	in.stands(ann)
	p.stop(t)
	d.clean(t)

	archive := filepath.Join(t.TempDir(), "archive")
	d.mustTool(t, "export", "--dir", d.Dir, "--to", archive, "--final", "--with-keys")
	next := d.house(t, plainSettings)
	d.mustTool(t, "import", "--dir", next.Dir, "--from", archive)
	p = next.serve(t)
	ann.client = next.client(p)
	in.stands(ann)
	ann.ask(404, "GET", "/v1/keys/"+in.auditorID, nil)
	p.stop(t)
}

// TestRolesOfReplicas: what one replica was told, every other knows at once; and a key that is
// taken away, and a link that is revoked, are none anywhere five seconds later.
func TestRolesOfReplicas(t *testing.T) {
	s := share(t)
	f := s.layout(t, s.postgres.URL(), s.s3.Endpoint).fleet(t, 2)
	ann, bob := f.operators(t, f.balanced())
	in := inhabit(t, ann, bob)
	for range 4 {
		in.stands(ann)
	}
	read := func(key string) int {
		status, _ := ann.by(key).try("GET", "/v1/deposits/"+in.deposit, nil)
		return status
	}
	for range 4 {
		if read(in.depositor) != 200 || read(in.link) != 200 {
			t.Fatal("not everyone reads what it may")
		}
	}
	list := ann.by(in.link).ask(200, "GET", "/v1/grants", nil)["grants"].([]any)
	ann.by(in.compliance).ask(200, "DELETE", "/v1/grants/"+list[0].(map[string]any)["id"].(string), nil)
	for range 4 {
		if status := read(in.link); status != 401 {
			t.Errorf("by a link that is revoked: %d", status)
		}
	}
	ann.ask(204, "DELETE", "/v1/keys/"+in.depositorKey, nil)
	time.Sleep(5 * time.Second)
	for range 4 {
		if status := read(in.depositor); status != 401 {
			t.Errorf("with a key that was taken away: %d", status)
		}
	}
	f.stop(t)
}
