package service

import (
	"encoding/json"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/muniment/muniment/notary/notarytest"
)

var (
	discard = slog.New(slog.DiscardHandler)
	d0      = time.Date(2026, 11, 23, 5, 0, 0, 0, time.UTC)
)

func TestDocument(t *testing.T) {
	h := newHouse(t)
	record, err := json.Marshal(map[string]string{"content.name": "Vertrag \"№1\"/贷.pdf", "content.type": "application/pdf"})
	must(t, err)
	d, _ := h.postForm(t, form(recordPart(string(record)), documentPart("hello"))).deposit(t, h, 201)
	path := "/v1/deposits/" + d.Id + "/document"
	for name, test := range map[string]struct {
		method  string
		headers []string
		status  int
		body    string
	}{
		"whole":           {"GET", nil, 200, "hello"},
		"head":            {"HEAD", nil, 200, ""},
		"range":           {"GET", []string{"Range", "bytes=1-2"}, 206, "el"},
		"last":            {"GET", []string{"Range", "bytes=-1"}, 206, "o"},
		"if-range":        {"GET", []string{"Range", "bytes=1-2", "If-Range", `"x"`}, 200, "hello"},
		"if-range holds":  {"GET", []string{"Range", "bytes=1-2", "If-Range", `"` + helloSHA256 + `"`}, 206, "el"},
		"if-none-match":   {"GET", []string{"If-None-Match", `"` + helloSHA256 + `"`}, 304, ""},
		"if-match":        {"GET", []string{"If-Match", `"x"`}, 412, ""},
		"many ranges":     {"GET", []string{"Range", "bytes=0-4,0-4,0-4,0-4"}, 200, "hello"},
		"malformed range": {"GET", []string{"Range", "bytes=a"}, 416, ""},
		"beyond the end":  {"GET", []string{"Range", "bytes=5-"}, 416, ""},
	} {
		a := h.do(t, test.method, path, nil, test.headers...)
		if a.StatusCode != test.status {
			t.Errorf("%s: status %d, want %d", name, a.StatusCode, test.status)
			continue
		}
		if test.status == 416 {
			a.problem(t, rangeNotSatisfiable)
			if name == "beyond the end" && a.Header.Get("Content-Range") != "bytes */5" {
				t.Errorf("%s: Content-Range %q", name, a.Header.Get("Content-Range"))
			}
			continue
		}
		if string(a.body) != test.body {
			t.Errorf("%s: body %q", name, a.body)
		}
		if test.status == 412 {
			continue
		}
		if got := a.Header.Get("ETag"); got != `"`+helloSHA256+`"` {
			t.Errorf("%s: ETag %q", name, got)
		}
		if test.status == 304 {
			continue
		}
		for header, want := range map[string]string{
			"Content-Type": "application/pdf", "X-Content-Type-Options": "nosniff", "Content-Security-Policy": "default-src 'none'; sandbox",
			"Repr-Digest": "sha-256=:LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=:", "Cache-Control": "private, no-cache", "Accept-Ranges": "bytes",
			"Content-Disposition": `attachment; filename="Vertrag __1___.pdf"; filename*=UTF-8''Vertrag%20%22%E2%84%961%22_%E8%B4%B7.pdf`,
		} {
			if got := a.Header.Get(header); got != want {
				t.Errorf("%s: %s %q, want %q", name, header, got, want)
			}
		}
	}
}

// TestDocumentDamaged: a document that cannot be read whole is an error or a broken
// answer, never a shorter document.
func TestDocumentDamaged(t *testing.T) {
	h := newHouse(t)
	content := strings.Repeat("0123456789abcdef", 10<<10) // three packages of 64 KiB
	d, _ := h.postForm(t, form(recordPart("{}"), documentPart(content))).deposit(t, h, 201)
	path := "/v1/deposits/" + d.Id + "/document"
	flip := func(at int) {
		h.blobs.Corrupt(func(objects map[string]notarytest.Object) {
			for _, o := range objects {
				o.Content[at] ^= 1
			}
		})
	}
	flip(150 << 10)
	r, err := http.NewRequestWithContext(t.Context(), "GET", h.url+path, nil)
	must(t, err)
	r.Header.Set("Authorization", "Bearer "+h.depositor)
	resp, err := http.DefaultTransport.RoundTrip(r)
	must(t, err)
	data, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err == nil || len(data) >= len(content) || !strings.HasPrefix(content, string(data)) {
		t.Errorf("damage in the third package: %d bytes, %v", len(data), err)
	}
	flip(150 << 10)
	flip(100)
	a := h.do(t, "GET", path, nil)
	if a.StatusCode != 500 || a.Header.Get("ETag") != "" || a.Header.Get("Content-Disposition") != "" {
		t.Errorf("damage in the first package: %d %v", a.StatusCode, a.Header)
	}
	h.blobs.Restore(nil)
	h.do(t, "GET", path, nil).problem(t, damaged)
	if !strings.Contains(h.log.String(), "problem=damaged") {
		t.Errorf("log: %s", h.log)
	}
	ready := h.do(t, "GET", "/readyz", nil)
	if ready.StatusCode != 503 || !strings.Contains(string(ready.body), `"damaged"`) || strings.Contains(string(ready.body), d.Id) {
		t.Errorf("readyz: %s", ready.body)
	}
}

func TestHarmless(t *testing.T) {
	for claimed, want := range map[string]string{
		"application/pdf": "application/pdf", "Text/Plain; Charset=GBK": "text/plain; charset=GBK", "image/png": "image/png",
		"application/vnd.openxmlformats-officedocument.wordprocessingml.document": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",

		"": "application/octet-stream", "pdf": "application/octet-stream", "text/html": "application/octet-stream",
		"TEXT/HTML; charset=utf-8": "application/octet-stream", "application/xhtml+xml": "application/octet-stream",
		"image/svg+xml": "application/octet-stream", "text/javascript": "application/octet-stream", "application/ecmascript": "application/octet-stream",
		"text/xml": "application/octet-stream", "multipart/byteranges; boundary=x": "application/octet-stream", "a/b\r\nX: y": "application/octet-stream",
		"application/pdf; a=" + strings.Repeat("x", 300): "application/octet-stream",
	} {
		if got := harmless(claimed); got != want {
			t.Errorf("%q: %q, want %q", claimed, got, want)
		}
	}
}

func TestAttachment(t *testing.T) {
	for name, want := range map[string]string{
		"loan.pdf":          `attachment; filename="loan.pdf"`,
		"../../etc/passwd":  `attachment; filename=".._.._etc_passwd"`,
		`C:\a.pdf`:          `attachment; filename="C__a.pdf"`,
		"a\r\nX: y":         `attachment; filename="a__X_ y"`,
		"a\u202efdp.exe":    `attachment; filename="a_fdp.exe"`,
		"贷.pdf":             `attachment; filename="_.pdf"; filename*=UTF-8''%E8%B4%B7.pdf`,
		"100%.pdf":          `attachment; filename="100_.pdf"; filename*=UTF-8''100%25.pdf`,
		`"; filename="x.sh`: `attachment; filename="_; filename=_x.sh"; filename*=UTF-8''%22%3B%20filename%3D%22x.sh`,
	} {
		got := attachment(name)
		if got != want {
			t.Errorf("%q: %s, want %s", name, got, want)
		}
		if _, _, err := mime.ParseMediaType(got); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	if long := attachment(strings.Repeat("贷", 10000) + ".pdf"); len(long) > 2000 || !strings.HasSuffix(long, ".pdf") {
		t.Errorf("a long name makes a header of %d bytes", len(long))
	}
}
