package servicetest

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
)

func read(t *testing.T) *Contract {
	t.Helper()
	c, err := Read("../../openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

const (
	found   = `{"id":"x","index":1,"kind":"deposit","time":"2026-11-23T05:14:07.123Z","leaf":"x","record":{"a":"b"}}`
	problem = `{"type":"/problems/not-found","title":"t","status":404,"detail":"d","retry":false}`
	head    = `{"checkpoint":"x","count":1}` + "\n"
	line    = `{"id":"x","index":1,"entry":"e","path":[],"disclosures":[["s","n","v"]]}` + "\n"
)

// TestDrift: an answer that differs from what is promised is seen, in whatever it
// differs.
func TestDrift(t *testing.T) {
	c := read(t)
	for name, test := range map[string]struct {
		method, path string
		status       int
		kind, body   string
		header       string // "Name: value"
		right        bool
	}{
		"list":                {"GET", "/v1/deposits", 200, "application/json", `{"deposits":[` + found + `],"next":"5"}`, "", true},
		"list, parameters":    {"GET", "/v1/deposits?limit=5&sha256=" + strings.Repeat("0", 64), 200, "application/json; charset=utf-8", `{"deposits":[]}`, "", true},
		"a field too many":    {"GET", "/v1/deposits", 200, "application/json", `{"deposits":[],"total":0}`, "", false},
		"one within":          {"GET", "/v1/deposits", 200, "application/json", `{"deposits":[` + strings.Replace(found, `"id"`, `"ids":1,"id"`, 1) + `]}`, "", false},
		"a field too few":     {"GET", "/v1/deposits", 200, "application/json", `{}`, "", false},
		"null":                {"GET", "/v1/deposits", 200, "application/json", `{"deposits":null}`, "", false},
		"another type":        {"GET", "/v1/deposits", 200, "application/json", strings.Replace(`{"deposits":[`+found+`]}`, `"index":1`, `"index":"1"`, 1), "", false},
		"not in the list":     {"GET", "/v1/deposits", 200, "application/json", strings.Replace(`{"deposits":[`+found+`]}`, `"deposit"`, `"genesis"`, 2), "", false},
		"no JSON":             {"GET", "/v1/deposits", 200, "application/json", `{"deposits":[]`, "", false},
		"nothing":             {"GET", "/v1/deposits", 200, "application/json", ``, "", false},
		"another kind":        {"GET", "/v1/deposits", 200, "text/plain", `{"deposits":[]}`, "", false},
		"no kind":             {"GET", "/v1/deposits", 200, "", `{"deposits":[]}`, "", false},
		"another status":      {"GET", "/v1/deposits", 204, "", ``, "", false},
		"an unlisted status":  {"GET", "/v1/deposits", 409, "application/problem+json", problem, "", false},
		"a limit not refused": {"GET", "/v1/deposits?limit=5000", 200, "application/json", `{"deposits":[]}`, "", false},
		"a problem":           {"GET", "/v1/deposits/" + id, 404, "application/problem+json", problem, "", true},
		"a problem as JSON":   {"GET", "/v1/deposits/" + id, 404, "application/json", problem, "", false},
		"a problem's field":   {"GET", "/v1/deposits/" + id, 404, "application/problem+json", strings.Replace(problem, `"retry":false`, `"retry":"no"`, 1), "", false},
		"an id not refused":   {"GET", "/v1/deposits/x/receipt", 200, "text/plain", "receipt", "Content-Disposition: a", false},
		"a header":            {"GET", "/v1/deposits/" + id + "/receipt", 200, "text/plain", "receipt", "Content-Disposition: a", true},
		"a header too few":    {"GET", "/v1/deposits/" + id + "/receipt", 200, "text/plain", "receipt", "", false},
		"Retry-After":         {"GET", "/v1/deposits", 503, "application/problem+json", problem, "Retry-After: 5", true},
		"none":                {"GET", "/v1/deposits", 503, "application/problem+json", problem, "", false},
		"not a number":        {"GET", "/v1/deposits", 503, "application/problem+json", problem, "Retry-After: soon", false},
		"304":                 {"GET", "/log/tile/0/x001/002.p/7", 304, "", "", `ETag: "x"`, true},
		"304 without":         {"GET", "/log/tile/0/x001/002.p/7", 304, "", "", "", false},
		"304 with a body":     {"GET", "/log/tile/0/x001/002.p/7", 304, "", "x", `ETag: "x"`, false},
		"a tile":              {"GET", "/log/tile/entries/000", 200, "application/octet-stream", "\x00\xff", `ETag: "x"`, true},
		"a case":              {"GET", "/v1/cases/a%2Fb", 200, "application/json", `{"contract":"a/b","count":1,"leaf":"x","deposits":[]}`, "", true},
		"a case of none":      {"GET", "/v1/cases/a%2Fb", 200, "application/json", `{"contract":"a/b","count":0,"leaf":"x","deposits":[]}`, "", false},
		"HEAD":                {"HEAD", "/log/checkpoint", 200, "text/plain; charset=utf-8", "x", `ETag: "x"`, true},
		"HEAD without":        {"HEAD", "/log/checkpoint", 200, "text/plain; charset=utf-8", "x", "", false},
		"HEAD of a kind":      {"HEAD", "/log/checkpoint", 200, "application/json", "{}", `ETag: "x"`, false},
		"a batch":             {"POST", "/v1/deposits:batch", 201, ndjson, head + line, "", true},
		"a batch, minimal":    {"POST", "/v1/deposits:batch", 201, ndjson, head + `{"id":"x","index":1,"entry":"e","path":[]}` + "\n", "", true},
		"a batch without end": {"POST", "/v1/deposits:batch", 201, ndjson, head + strings.TrimSpace(line), "", false},
		"a batch's head":      {"POST", "/v1/deposits:batch", 201, ndjson, line + line, "", false},
		"a batch's line":      {"POST", "/v1/deposits:batch", 201, ndjson, head + line + strings.Replace(line, "path", "pathe", 1), "", false},
		"a batch of too few":  {"POST", "/v1/deposits:batch", 201, ndjson, head, "", false},
		"a batch as JSON":     {"POST", "/v1/deposits:batch", 201, "application/json", head + line, "", false},
		"elsewhere":           {"GET", "/elsewhere", 404, "application/problem+json", problem, "", true},
		"elsewhere, text":     {"GET", "/elsewhere", 404, "text/plain", "404", "", false},
		"elsewhere, there":    {"GET", "/elsewhere", 200, "text/plain", "hello", "", false},
		"another method":      {"PUT", "/v1/deposits", 405, "application/problem+json", problem, "", true},
		"a document":          {"GET", "/v1/deposits/" + id + "/document", 200, "application/json", "no JSON", documentHeader, true},
		"a document, in part": {"GET", "/v1/deposits/" + id + "/document", 206, "a/b", "no JSON", documentHeader, true},
	} {
		var seen error
		sent := test.body
		h := c.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			for _, line := range strings.Split(test.header, "\n") {
				if name, value, ok := strings.Cut(line, ": "); ok {
					w.Header().Set(name, value)
				}
			}
			w.Header()["Content-Type"] = nil
			if test.kind != "" {
				w.Header().Set("Content-Type", test.kind)
			}
			w.WriteHeader(test.status)
			for _, piece := range strings.SplitAfter(test.body, ",") {
				_, _ = io.WriteString(w, piece)
			}
		}), func(err error) { seen = err })
		r := httptest.NewRequest(test.method, test.path, nil)
		r.Header.Set("Idempotency-Key", "1")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if (seen == nil) != test.right {
			t.Errorf("%s: %v", name, seen)
		}
		if w.Code != test.status || w.Body.String() != sent {
			t.Errorf("%s arrives as %d %q", name, w.Code, w.Body)
		}
	}
}

const (
	id             = "01936f5e-4a00-7c3e-8d2a-5b6f7a8c9d0e"
	documentHeader = "ETag: x\nRepr-Digest: x\nContent-Disposition: attachment"
)

// TestDriftIsSeenInTime: a drift is told before the answer is whole, so that whoever
// asked never takes it for one.
func TestDriftIsSeenInTime(t *testing.T) {
	body := strings.Repeat("x", 100<<10)
	server := httptest.NewServer(read(t).Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", "102400")
		for range 10 {
			_, _ = io.WriteString(w, body[:10<<10])
		}
	}), func(error) { panic(http.ErrAbortHandler) }))
	defer server.Close()
	resp, err := http.Get(server.URL + "/log/checkpoint")
	if err != nil {
		return
	}
	defer resp.Body.Close()
	if data, err := io.ReadAll(resp.Body); err == nil {
		t.Errorf("%d bytes", len(data))
	}
}

// TestRequestDrift: a request in JSON that the specification forbids must not be
// answered as if it were right.
func TestRequestDrift(t *testing.T) {
	c := read(t)
	for body, right := range map[string]bool{`{"record":{"a":1}}`: true, `{"record":{}, "more":1}`: false, `{}`: false, `[]`: false} {
		var seen error
		h := c.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Location", "/v1/deposits/"+id)
			w.WriteHeader(201)
			_, _ = io.WriteString(w, strings.TrimSuffix(found, "}")+`,"receipt":"x"}`)
		}), func(err error) { seen = err })
		r := httptest.NewRequest("POST", "/v1/deposits", strings.NewReader(body))
		r.Header.Set("Idempotency-Key", "1")
		r.Header.Set("Content-Type", "application/json")
		h.ServeHTTP(httptest.NewRecorder(), r)
		if (seen == nil) != right {
			t.Errorf("%s: %v", body, seen)
		}
	}
}

func TestNoSpecification(t *testing.T) {
	for _, text := range []string{"openapi: 3.0.3\n", "hello", "openapi: 3.0.3\ninfo: {title: x, version: x}\npaths: {/x: {get: {}}}\n"} {
		file := t.TempDir() + "/x.yaml"
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Read(file); err == nil {
			t.Errorf("%q is taken for a specification", text)
		}
	}
}
