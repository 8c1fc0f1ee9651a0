package service

import (
	"context"
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/muniment/muniment/notary/notarytest"
	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/service/api"
)

func TestPublicLog(t *testing.T) {
	h := newHouse(t)
	d, _ := h.postJSON(t, digestOnly("")).deposit(t, h, 201)
	get := func(path string) answer { return h.do(t, "GET", path, nil, "Authorization", "") }

	a := get("/log/checkpoint")
	note, err := proofs.ParseNote(a.body)
	must(t, err)
	cp, err := proofs.ParseCheckpoint(note.Text)
	must(t, err)
	if cp.Size != 2 || a.Header.Get("Content-Type") != "text/plain; charset=utf-8" || a.Header.Get("Cache-Control") != "public, max-age=1" {
		t.Errorf("checkpoint %+v, %v", cp, a.Header)
	}
	a = get("/log/tile/0/000.p/2")
	tile, err := proofs.ParseTile(a.body)
	must(t, err)
	if tile.Width() != 2 {
		t.Errorf("tile of width %d", tile.Width())
	}
	entries := get("/log/tile/entries/000.p/2")
	rest := entries.body
	for i := range 2 {
		n := int(rest[0])<<8 | int(rest[1])
		leaf := proofs.LeafHash(rest[2 : 2+n])
		if string(a.body[32*i:32*i+32]) != string(leaf[:]) {
			t.Errorf("entry %d is not in the tile", i)
		}
		rest = rest[2+n:]
	}
	if len(rest) != 0 || leafOf(a.body, 1) != d.Leaf {
		t.Error("the bundle has more, or the deposit is not in the tile")
	}
	for _, x := range []answer{a, entries} {
		if x.Header.Get("Content-Type") != "application/octet-stream" || x.Header.Get("Cache-Control") != immutable || x.Header.Get("Access-Control-Allow-Origin") != "*" {
			t.Errorf("headers %v", x.Header)
		}
	}
	receipt, err := proofs.ParseReceipt(get("/log/records/0").body)
	must(t, err)
	if receipt.Entry.Kind != proofs.KindGenesis {
		t.Errorf("record 0 is of kind %s", receipt.Entry.Kind)
	}
	policy := get("/log/policy")
	if string(policy.body) != h.policy.String() || policy.Header.Get("Cache-Control") != fleeting {
		t.Errorf("policy %s %v", policy.body, policy.Header)
	}
	policy = get("/log/policy/" + h.policy.Fingerprint())
	if string(policy.body) != h.policy.String() || policy.Header.Get("Cache-Control") != immutable {
		t.Errorf("policy %s %v", policy.body, policy.Header)
	}
	for _, path := range []string{"/log/checkpoint", "/log/tile/0/000.p/2", "/log/records/0", "/log/policy", "/healthz", "/readyz"} {
		head, whole := h.do(t, "HEAD", path, nil, "Authorization", ""), get(path)
		if head.StatusCode != 200 || len(head.body) != 0 || head.Header.Get("Content-Type") != whole.Header.Get("Content-Type") {
			t.Errorf("HEAD %s: %d %v", path, head.StatusCode, head.Header)
		}
	}
}

func leafOf(tile []byte, i int) string { return proofs.Hash(tile[32*i : 32*i+32]).String() }

func TestPublicLogNotFound(t *testing.T) {
	h := newHouse(t)
	h.postJSON(t, digestOnly("")).deposit(t, h, 201)
	var first string
	for _, path := range []string{
		// Not there.
		"/log/tile/0/000", "/log/tile/0/000.p/3", "/log/tile/1/000.p/1", "/log/tile/0/001.p/1", "/log/tile/63/000", "/log/tile/entries/000",
		"/log/tile/0/x018/x446/x744/x073/x709/551.p/1", "/log/records/1", "/log/records/2", "/log/records/18446744073709551615",
		"/log/policy/" + strings.Repeat("0", 64),
		// There, but not spelled so.
		"/log/tile/0/000.p/02", "/log/tile/0/000.p/+2", "/log/tile/00/000.p/2", "/log/tile/+0/000.p/2", "/log/tile/0/00.p/2", "/log/tile/0/0000.p/2",
		"/log/tile/0/x000/000.p/2", "/log/tile/0/000.p/2/", "/log/tile//0/000.p/2", "/log/tile/0//000.p/2", "/log/tile/0/000.P/2", "/log/tile/0/000/p/2",
		"/log/tile/0/%300%30.p/2", "/log/tile/0/000%2ep/2", "/log/tile/0/000.p%2f2", "/log/./tile/0/000.p/2", "/log/x/../tile/0/000.p/2",
		"/log/tile/Entries/000.p/2", "/log/tile/entries/000.p/002", "/log/tile/-0/000.p/2", "/log/tile/0/000.p/256", "/log/tile/0/000.p/0",
		"/log/tile/64/000", "/log/tile/0", "/log/tile/", "/log/tile", "/log/tile/0/", "/log/tile/entries/",
		"/log/records/00", "/log/records/+0", "/log/records/%30", "/log/records/0/", "/log/records/-0", "/log/records/0x0",
		"/log/checkpoint/", "/log//checkpoint", "/log/Checkpoint", "/log/policy/", "/log/policy/" + strings.ToUpper(h.policy.Fingerprint()),
		"/log", "/log/", "/", "/problems/not-found", "/healthz/", "/metrics/",
	} {
		a := h.do(t, "GET", path, nil)
		t.Log(path)
		a.problem(t, notFound)
		if first == "" {
			first = string(a.body)
		}
		if string(a.body) != first {
			t.Errorf("%s: %s", path, a.body)
		}
	}
}

func TestTilePath(t *testing.T) {
	for path, want := range map[string]tilePath{
		"0/000":                               {false, 0, 0, 256},
		"63/999":                              {false, 63, 999, 256},
		"7/x001/234.p/255":                    {false, 7, 1234, 255},
		"0/x001/x234/067.p/1":                 {false, 0, 1234067, 1},
		"entries/x001/000":                    {true, 0, 1000, 256},
		"0/x018/x446/x744/x073/x709/x551/615": {false, 0, 18446744073709551615, 256},
	} {
		got, ok := parseTilePath(path)
		if !ok || got != want || got.String() != path {
			t.Errorf("%s: %+v %v %s", path, got, ok, got)
		}
	}
	for _, path := range []string{"", "0", "/000", "0/x018/x446/x744/x073/x709/x551/616", "0/x999/x999/x999/x999/x999/x999/999", "0/1", "0/x01/234",
		"0/001/234", "0/x001/x234", "0/x000/001", "0/01x", "0/0_0", "0/ 00", "a/000", "entries/entries/000", "0/000.p/1.p/1", "0/000.p/", "0/.p/1"} {
		if got, ok := parseTilePath(path); ok {
			t.Errorf("%s: %+v", path, got)
		}
	}
}

// FuzzTilePath: one path, one spelling.
func FuzzTilePath(f *testing.F) {
	f.Add("0/x001/234.p/8")
	f.Add("entries/000")
	f.Fuzz(func(t *testing.T, path string) {
		if got, ok := parseTilePath(path); ok && got.String() != path {
			t.Errorf("%q is read as %s", path, got)
		}
	})
}

func TestMethods(t *testing.T) {
	h := newHouse(t)
	for path, allow := range map[string]string{
		"/v1/deposits": "GET, HEAD, POST", "/v1/deposits/x": "GET, HEAD", "/log/checkpoint": "GET, HEAD", "/log/tile/0/000": "GET, HEAD", "/healthz": "GET, HEAD",
	} {
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "FROB"} {
			if strings.Contains(allow, method) {
				continue
			}
			a := h.do(t, method, path, nil)
			if method == "HEAD" {
				if a.StatusCode != 405 {
					t.Errorf("HEAD %s: %d", path, a.StatusCode)
				}
			} else {
				a.problem(t, methodNotAllowed)
			}
			if got := a.Header.Get("Allow"); got != allow {
				t.Errorf("%s %s: Allow %q", method, path, got)
			}
		}
	}
	h.do(t, "FROB", "/nothing", nil).problem(t, notFound)
}

func TestHealth(t *testing.T) {
	verdict := errors.New("no deposit since the flood")
	var canary atomic.Pointer[error]
	var single atomic.Bool
	h := newHouse(t, func(c *Config) {
		c.Build = Build{Version: "v1.2.3", Revision: "abc", SHA256: "0123"}
		c.Canary = func() error {
			if err := canary.Load(); err != nil {
				return *err
			}
			return nil
		}
		c.SingleCopy = func(context.Context) (bool, error) { return single.Load(), nil }
	})
	get := func(path string, code int) (body api.Health) {
		t.Helper()
		a := h.do(t, "GET", path, nil, "Authorization", "")
		must(t, json.Unmarshal(a.body, &body))
		if a.StatusCode != code {
			t.Errorf("%s: %d %s", path, a.StatusCode, a.body)
		}
		return body
	}
	if got := get("/healthz", 200); !reflect.DeepEqual(got, api.Health{Status: "alive", Version: "v1.2.3", Revision: "abc", Sha256: "0123"}) {
		t.Errorf("/healthz: %+v", got)
	}
	h.postJSON(t, digestOnly("")).deposit(t, h, 201)
	got := get("/readyz", 200)
	at, err := proofs.ParseTime(got.CheckpointTime)
	if err != nil || time.Since(at).Abs() > time.Minute {
		t.Errorf("the checkpoint's time is %q: %v", got.CheckpointTime, err)
	}
	got.CheckpointTime = ""
	if want := (api.Health{Status: "ready", Version: "v1.2.3", Origin: h.policy.Logs[0].Name, Committed: 2, Published: 2}); !reflect.DeepEqual(got, want) {
		t.Errorf("/readyz: %+v, want %+v", got, want)
	}
	canary.Store(&verdict)
	if got := get("/readyz", 503); got.Status != "unready" || !slices.Equal(got.Problems, []string{"canary"}) {
		t.Errorf("with a canary that fell: %+v", got)
	}
	canary.Store(nil)
	get("/readyz", 200)
	// A note is not a reason to be unready.
	single.Store(true)
	if got := get("/readyz", 200); got.Status != "ready" || !slices.Equal(got.Notes, []string{"single-copy"}) {
		t.Errorf("with one copy: %+v", got)
	}
	if a := h.do(t, "GET", "/metrics", nil, "Authorization", ""); !strings.Contains(string(a.body), "\nmuniment_single_copy 1\n") {
		t.Error("no metric says so")
	}
	h.ledger.Faults.Set(notarytest.Fault{Call: "Now", Kind: notarytest.Fails})
	if got := get("/readyz", 503); !slices.Equal(got.Problems, []string{"unavailable"}) {
		t.Errorf("without a ledger: %+v", got)
	}
}

// TestLog: nothing that a caller chose stands in the log.
func TestLog(t *testing.T) {
	h := newHouse(t)
	const evil = "evil"
	d, _ := h.postJSON(t, digestOnly(`,"label.evil":"evil"`), "Idempotency-Key", evil, "X-Request-Id", evil, "User-Agent", evil).deposit(t, h, 201)
	h.postJSON(t, digestOnly(`,"evil":1`)).problem(t, invalidRecord)
	h.post(t, evil, evil).problem(t, unsupportedMediaType)
	h.do(t, "EVIL", "/evil?evil", nil).problem(t, notFound)
	h.do(t, "EVIL", "/healthz", nil).problem(t, methodNotAllowed)
	h.do(t, "GET", "/v1/deposits/evil", nil, "Authorization", "Bearer evil").problem(t, unauthorized)
	h.do(t, "GET", "/log/tile/evil", nil).problem(t, notFound)
	h.do(t, "GET", "/v1/deposits/"+d.Id, nil).deposit(t, h, 200)
	h.do(t, "GET", "/v1/cases/evil%2Fevil?cursor=evil", nil).problem(t, invalidSearch)
	h.do(t, "GET", "/v1/deposits?label=evil:evil", nil)
	h.postBatch(t, "evil\n"+digestOnly(`,"evil":"evil"`), "Idempotency-Key", evil).problem(t, invalidBatch)
	h.postVerify(t, "application/json", `{"receipt":"evil","policy":"evil"}`, "Content-Digest", "evil").problem(t, badDigest)
	h.postVerify(t, "application/json", `{"receipt":"evil","policy":"evil"}`, "Prefer", "evil").problem(t, invalidVerification)
	log := h.log.String()
	if strings.Contains(strings.ToLower(log), evil) || strings.Contains(log, d.Id) || strings.Contains(log, h.depositor) {
		t.Errorf("the caller's words in the log:\n%s", log)
	}
	for _, want := range []string{
		`method=POST route=/v1/deposits status=201`, `method=POST route=/v1/deposits status=415`, `method=other route=none status=404`,
		`method=GET route=/v1/deposits/{id} status=200`, `route=/log/tile/* status=404`, `route=/v1/cases/* status=422`, `tenant=`, `request=`,
	} {
		if !strings.Contains(log, want) {
			t.Errorf("the log does not say %q:\n%s", want, log)
		}
	}
	if n := strings.Count(log, "\n"); n != 13 {
		t.Errorf("%d lines for 13 requests:\n%s", n, log)
	}
}
