package client

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/muniment/muniment/proofs"
)

// holder serves one document and its receipt.
type holder struct {
	t        *testing.T
	document []byte
	record   proofs.Record
	requests []string // of the document: their ranges
	serve    func(w http.ResponseWriter, r *http.Request)
}

func newHolder(t *testing.T, document []byte) *holder {
	h := &holder{t: t, document: document}
	h.record = members(fmt.Sprintf(`{"id":%q,"content.sha256":%q,"content.size":%d,"content.held":true}`, anID, digest(string(document)), len(document)))
	h.serve = h.honest
	return h
}

func (h *holder) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasSuffix(r.URL.Path, "/receipt") {
		w.Write(issue(h.record).Marshal())
		return
	}
	if r.URL.Path != "/v1/deposits/"+anID+"/document" || r.Header.Get("Accept-Encoding") != "identity" {
		h.t.Errorf("%s, %v", r.URL, r.Header)
	}
	h.requests = append(h.requests, r.Header.Get("Range"))
	h.serve(w, r)
}

// honest answers as the depository does, ranges and conditions included.
func (h *holder) honest(w http.ResponseWriter, r *http.Request) {
	sum := sha256.Sum256(h.document)
	w.Header().Set("ETag", `"`+digest(string(h.document))+`"`)
	w.Header().Set("Repr-Digest", "sha-256=:"+base64.StdEncoding.EncodeToString(sum[:])+":")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(h.document))
}

// breaking sends so many bytes of each answer, and ends the connection.
type breaking struct {
	http.ResponseWriter
	left int
}

func (b *breaking) Write(p []byte) (int, error) {
	n, err := b.ResponseWriter.Write(p[:min(len(p), b.left)])
	if b.left -= n; b.left == 0 {
		b.ResponseWriter.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
	return n, err
}

func TestDocument(t *testing.T) {
	for _, size := range []int{0, 1, 4, 1 << 20} {
		h := newHolder(t, bytes.Repeat([]byte{'x'}, size))
		c, waits := serve(t, h)
		var got bytes.Buffer
		r, err := c.Document(t.Context(), anID, &got)
		if err != nil || !bytes.Equal(got.Bytes(), h.document) || len(*waits) > 0 {
			t.Errorf("%d bytes of %d: %v", got.Len(), size, err)
		}
		if id, _ := textOf(r.Member, "id"); id != anID {
			t.Errorf("receipt of %q", id)
		}
	}
}

// TestDocumentGoesOn: where it is cut off, the rest is asked for, and nothing stands
// twice in what is written.
func TestDocumentGoesOn(t *testing.T) {
	document := []byte(strings.Repeat("借款合同", 50_000))
	h := newHolder(t, document)
	h.serve = func(w http.ResponseWriter, r *http.Request) { h.honest(&breaking{w, 200_001}, r) }
	c, _ := serve(t, h)
	var got bytes.Buffer
	if _, err := c.Document(t.Context(), anID, &got); err != nil || !bytes.Equal(got.Bytes(), document) {
		t.Errorf("%d bytes of %d: %v", got.Len(), len(document), err)
	}
	if len(h.requests) != 3 || h.requests[0] != "" || !strings.HasPrefix(h.requests[1], "bytes=") || h.requests[1] == h.requests[2] {
		t.Errorf("%q", h.requests)
	}
	h.serve = func(w http.ResponseWriter, r *http.Request) { h.honest(&breaking{w, 1}, r) }
	got.Reset()
	if _, err := c.Document(t.Context(), anID, &got); err == nil || got.Len() > maxAttempts {
		t.Errorf("%d bytes: %v", got.Len(), err)
	}
	// What is whole when the connection breaks is whole.
	h.serve = func(w http.ResponseWriter, r *http.Request) { h.honest(&breaking{w, len(document)}, r) }
	got.Reset()
	if _, err := c.Document(t.Context(), anID, &got); err != nil || got.Len() != len(document) {
		t.Errorf("%d bytes: %v", got.Len(), err)
	}
}

// TestOtherDocuments: no other bytes are called the document, whatever is said of them.
func TestOtherDocuments(t *testing.T) {
	document := strings.Repeat("loan", 100)
	send := func(status int, body string, head ...string) func(*holder, http.ResponseWriter, *http.Request) {
		return func(_ *holder, w http.ResponseWriter, _ *http.Request) {
			for i := 0; i < len(head); i += 2 {
				w.Header().Set(head[i], head[i+1])
			}
			w.WriteHeader(status)
			io.WriteString(w, body)
		}
	}
	again := func(first int, second func(*holder, http.ResponseWriter, *http.Request)) func(*holder, http.ResponseWriter, *http.Request) {
		return func(h *holder, w http.ResponseWriter, r *http.Request) {
			if len(h.requests) == 1 {
				h.honest(&breaking{w, first}, r)
			}
			second(h, w, r)
		}
	}
	sum := sha256.Sum256([]byte("other"))
	for what, answer := range map[string]func(*holder, http.ResponseWriter, *http.Request){
		"changed":           send(200, strings.Replace(document, "l", "L", 1)),
		"longer":            send(200, document+"x"),
		"without end":       func(_ *holder, w http.ResponseWriter, _ *http.Request) { endlessly(w) },
		"another ETag":      send(200, document, "ETag", `"`+digest("other")+`"`),
		"another digest":    send(200, document, "Repr-Digest", "sha-256=:"+base64.StdEncoding.EncodeToString(sum[:])+":"),
		"no digest":         send(200, document, "Repr-Digest", "sha-512=:AA==:, sha-256=:x:"),
		"packed":            send(200, "\x1f\x8b", "Content-Encoding", "gzip"),
		"a part":            send(206, document, "Content-Range", "bytes 0-399/400"),
		"a redirect":        send(302, "", "Location", "/elsewhere"),
		"nothing":           send(204, ""),
		"the whole again":   again(100, send(200, document)),
		"another part":      again(100, send(206, document[:300], "Content-Range", "bytes 0-299/400")),
		"a part too long":   again(100, send(206, document, "Content-Range", "bytes 100-399/400")),
		"a part, no range":  again(100, send(206, document[100:])),
		"a part of another": again(100, send(206, strings.Repeat("nalo", 75), "Content-Range", "bytes 100-399/400")),
		"it changed since":  again(100, send(412, "")),
	} {
		h := newHolder(t, []byte(document))
		h.serve = func(w http.ResponseWriter, r *http.Request) { answer(h, w, r) }
		c, _ := serve(t, h)
		var got bytes.Buffer
		if r, err := c.Document(t.Context(), anID, &got); err == nil || r.Checkpoint != nil {
			t.Errorf("%s: believed", what)
		}
		if got.Len() > len(document) {
			t.Errorf("%s: %d bytes", what, got.Len())
		}
		if n := len(h.requests); n > 2 && what != "nothing" && what != "packed" {
			t.Errorf("%s: %d attempts", what, n)
		}
	}
}

func endlessly(w http.ResponseWriter) {
	for {
		if _, err := w.Write(bytes.Repeat([]byte(" "), 1<<16)); err != nil {
			return
		}
	}
}

// TestDocumentOfAnotherReceipt: no byte is asked for before a receipt is believed.
func TestDocumentOfAnotherReceipt(t *testing.T) {
	for what, record := range map[string]proofs.Record{
		"another id": members(`{"id":"0195fe54-6c51-7a3e-8d8c-3f1f2a9b4c02","content.sha256":"` + digest("loan") + `","content.size":4}`),
		"no digest":  members(`{"id":"` + anID + `","content.size":4}`),
	} {
		h := newHolder(t, []byte("loan"))
		h.record = record
		c, _ := serve(t, h)
		if _, err := c.Document(t.Context(), anID, io.Discard); !errors.Is(err, ErrReceipt) || len(h.requests) > 0 {
			t.Errorf("%s: %v, %d requests", what, err, len(h.requests))
		}
	}
	h := newHolder(t, []byte("loan"))
	h.serve = func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(404)
		io.WriteString(w, `{"type":"/problems/not-held"}`)
	}
	h.record = members(`{"id":"` + anID + `","content.held":false,"content.sha256":"` + digest("loan") + `"}`)
	c, _ := serve(t, h)
	var p *Problem
	if _, err := c.Document(t.Context(), anID, io.Discard); !errors.As(err, &p) || p.Type != ProblemNotHeld {
		t.Errorf("%v", err)
	}
}

// TestDocumentThatCannotBeWritten: a full disk is not the server's fault, and does not
// get better with another attempt.
func TestDocumentThatCannotBeWritten(t *testing.T) {
	h := newHolder(t, []byte("loan"))
	c, waits := serve(t, h)
	full := errors.New("no space left on device")
	if _, err := c.Document(t.Context(), anID, writerFunc(func([]byte) (int, error) { return 0, full })); !errors.Is(err, full) || len(*waits) > 0 {
		t.Errorf("%v after %d waits", err, len(*waits))
	}
	ctx, cancel := context.WithCancel(t.Context())
	h = newHolder(t, bytes.Repeat([]byte("x"), 1<<22))
	c, waits = serve(t, h)
	if _, err := c.Document(ctx, anID, writerFunc(func(p []byte) (int, error) { cancel(); return len(p), nil })); !errors.Is(err, context.Canceled) || len(*waits) > 0 {
		t.Errorf("%v after %d waits", err, len(*waits))
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// TestSlowDocument: a document may take longer than one patience, as long as it comes;
// a trickle is no progress.
func TestSlowDocument(t *testing.T) {
	document := bytes.Repeat([]byte("x"), 8*stride)
	h := newHolder(t, document)
	h.serve = func(w http.ResponseWriter, _ *http.Request) {
		for part := range slices.Chunk(document, stride) {
			w.Write(part)
			w.(http.Flusher).Flush()
			time.Sleep(100 * time.Millisecond)
		}
	}
	c, waits := serve(t, h)
	c.Patience = 400 * time.Millisecond
	var got bytes.Buffer
	if _, err := c.Document(t.Context(), anID, &got); err != nil || !bytes.Equal(got.Bytes(), document) || len(*waits) > 0 {
		t.Errorf("%d bytes, %d waits: %v", got.Len(), len(*waits), err)
	}
	h.serve = func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			w.Write([]byte("x"))
			w.(http.Flusher).Flush()
			time.Sleep(5 * time.Millisecond)
		}
	}
	c.Patience = 50 * time.Millisecond
	c.sleep = func(context.Context, time.Duration) error { return context.Canceled }
	if _, err := c.Document(t.Context(), anID, io.Discard); !errors.Is(err, errStalled) {
		t.Errorf("%v", err)
	}
}
