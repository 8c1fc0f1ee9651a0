package s3

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/muniment/muniment/notary"
)

// A liar stands before the real server. What it does not lie about it passes on, and
// counts.
type liar struct {
	honest   *bucket // by which it stores what it was not asked to store
	lie      atomic.Pointer[lie]
	requests atomic.Int64
	proxy    *httputil.ReverseProxy
}

// lie answers the request itself, and reports whether it did.
type lie func(l *liar, w http.ResponseWriter, r *http.Request) bool

func newLiar(t testing.TB, at Bucket) (*liar, Bucket) {
	t.Helper()
	honest, err := connect(at, 0, 1)
	if err != nil {
		t.Fatal(err)
	}
	target, err := url.Parse(at.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	l := &liar{honest: honest, proxy: &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Host, r.Out.URL.Scheme, r.Out.Host = target.Host, target.Scheme, r.In.Host
		},
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) {},
	}}
	s := httptest.NewServer(l)
	t.Cleanup(s.Close)
	at.Endpoint = s.URL
	return l, at
}

func (l *liar) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	l.requests.Add(1)
	if tell := l.lie.Load(); tell == nil || !(*tell)(l, w, r) {
		l.proxy.ServeHTTP(w, r)
	}
}

// key of the object that a request is about.
func (l *liar) key(r *http.Request) string {
	return strings.TrimPrefix(strings.TrimPrefix(r.URL.Path, "/"+l.honest.name), "/")
}

// creates: the request puts an object, or its part, or makes one of its parts.
func creates(r *http.Request) bool {
	return r.Method == http.MethodPut && strings.Count(r.URL.Path, "/") > 1 && !r.URL.Query().Has("retention") && !r.URL.Query().Has("legal-hold")
}

func completes(r *http.Request) bool {
	return r.Method == http.MethodPost && r.URL.Query().Has("uploadId")
}

// reads: the request is for the bytes of an object.
func reads(r *http.Request) bool {
	return r.Method == http.MethodGet && r.URL.RawQuery == "" && strings.Count(r.URL.Path, "/") > 1
}

// storesNothing answers as if it had.
func storesNothing(_ *liar, w http.ResponseWriter, r *http.Request) bool {
	switch {
	case creates(r):
		io.Copy(io.Discard, r.Body)
		w.Header().Set("ETag", `"d41d8cd98f00b204e9800998ecf8427e"`)
	case completes(r):
		io.Copy(io.Discard, r.Body)
		io.WriteString(w, `<CompleteMultipartUploadResult><Bucket>b</Bucket><Key>k</Key><ETag>"1-1"</ETag></CompleteMultipartUploadResult>`)
	default:
		return false
	}
	return true
}

// unconditional stores what it is given, or less, whatever is there already.
func unconditional(keep func(body []byte) []byte) lie {
	return func(l *liar, w http.ResponseWriter, r *http.Request) bool {
		if !creates(r) || r.URL.RawQuery != "" {
			return false
		}
		body, _ := io.ReadAll(r.Body)
		body = keep(body)
		opts := minio.PutObjectOptions{UserMetadata: map[string]string{}}
		for name := range r.Header {
			if kept, ok := strings.CutPrefix(name, "X-Amz-Meta-"); ok {
				opts.UserMetadata[kept] = r.Header.Get(name)
			}
		}
		info, err := l.honest.core.Client.PutObject(r.Context(), l.honest.name, l.key(r), bytes.NewReader(body), int64(len(body)), opts)
		if err != nil {
			w.WriteHeader(http.StatusInternalServerError)
			return true
		}
		w.Header().Set("ETag", `"`+info.ETag+`"`)
		return true
	}
}

// overwritesMultipart completes an upload over an object that is there.
func overwritesMultipart(l *liar, w http.ResponseWriter, r *http.Request) bool {
	if !completes(r) {
		return false
	}
	ctx, id := r.Context(), r.URL.Query().Get("uploadId")
	listed, err := l.honest.core.ListObjectParts(ctx, l.honest.name, l.key(r), id, 0, 100)
	var parts []minio.CompletePart
	for _, p := range listed.ObjectParts {
		parts = append(parts, minio.CompletePart{PartNumber: p.PartNumber, ETag: p.ETag, ChecksumSHA256: p.ChecksumSHA256})
	}
	if err == nil {
		_, err = l.honest.core.CompleteMultipartUpload(ctx, l.honest.name, l.key(r), id, parts, minio.PutObjectOptions{})
	}
	if err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		return true
	}
	io.WriteString(w, `<CompleteMultipartUploadResult><Bucket>b</Bucket><Key>k</Key><ETag>"1-1"</ETag></CompleteMultipartUploadResult>`)
	return true
}

// alters passes the request on and changes the answer.
func alters(which func(*http.Request) bool, alter func(http.Header, []byte) []byte) lie {
	return func(l *liar, w http.ResponseWriter, r *http.Request) bool {
		if !which(r) {
			return false
		}
		honest := httptest.NewRecorder()
		l.proxy.ServeHTTP(honest, r)
		body := alter(honest.Header(), honest.Body.Bytes())
		for name, values := range honest.Header() {
			w.Header()[name] = values
		}
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		w.WriteHeader(honest.Code)
		w.Write(body)
		return true
	}
}

var (
	wrongETag = alters(creates, func(h http.Header, body []byte) []byte {
		h.Set("ETag", `"00000000000000000000000000000000"`)
		return body
	})
	shortGet = alters(reads, func(_ http.Header, body []byte) []byte { return body[:len(body)/2] })
	otherGet = alters(reads, func(_ http.Header, body []byte) []byte { body[len(body)/2] ^= 1; return body })
	half     = func(body []byte) []byte { return body[:len(body)/2] }
	all      = func(body []byte) []byte { return body }
)

// TestLies: a Put under a server that lies says nil only if the document reads back, and
// leaves nothing of what it refused.
func TestLies(t *testing.T) {
	at := newBucket(t, false)
	l, through := newLiar(t, at)
	direct, b := open(t, Config{Bucket: at}), open(t, Config{Bucket: through})
	for what, c := range map[string]struct {
		lie  lie
		fine []int // sizes at which it does no harm
	}{
		"stores nothing":           {storesNothing, nil},
		"stores half":              {unconditional(half), []int{3 * partSize}},
		"gives half back":          {shortGet, nil},
		"gives other bytes back":   {otherGet, nil},
		"answers with wrong ETags": {wrongETag, []int{1000, 100_000}},
	} {
		t.Run(what, func(t *testing.T) {
			for _, size := range []int{1000, 100_000, 3 * partSize} {
				harmless := false
				for _, fine := range c.fine {
					harmless = harmless || size == fine
				}
				n, content := name(), random(size)
				l.lie.Store(&c.lie)
				_, err := b.Put(t.Context(), n, bytes.NewReader(content))
				l.lie.Store(nil)
				if (err == nil) != harmless {
					t.Errorf("Put of %d bytes: %v", size, err)
				}
				if err == nil {
					holds(t, direct, n, content)
				} else if o, err := direct.Open(t.Context(), n); !errors.Is(err, notary.ErrNotFound) {
					t.Errorf("after a Put of %d bytes that failed, Open = %v, %v", size, o, err)
				}
				if parts := unfinished(t, direct); parts != 0 {
					t.Errorf("after a Put of %d bytes, %d uploads are unfinished", size, parts)
				}
			}
		})
	}
}

func unfinished(t *testing.T, b *Blobs) (count int) {
	t.Helper()
	for u := range b.main.core.ListIncompleteUploads(t.Context(), b.main.name, "", true) {
		if u.Err != nil {
			t.Fatal(u.Err)
		}
		count++
	}
	return count
}

// TestLyingReads: a document that was put well is never given back short without an error.
func TestLyingReads(t *testing.T) {
	at := newBucket(t, false)
	l, through := newLiar(t, at)
	b := open(t, Config{Bucket: through})
	n, content := put(t, b, 300_000)
	l.lie.Store(&shortGet)
	if err := readWhole(t, b, n, content); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a short answer: %v, want io.ErrUnexpectedEOF", err)
	}
	l.lie.Store(nil)
	holds(t, b, n, content)
}

// TestSegmentAfterKeys: rows are not stored before the keys without which nobody opens them.
func TestSegmentAfterKeys(t *testing.T) {
	l, through := newLiar(t, newBucket(t, false))
	s, err := OpenSegments(t.Context(), Config{Bucket: through})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	noKeys := lie(func(l *liar, w http.ResponseWriter, r *http.Request) bool {
		if !creates(r) || !strings.Contains(l.key(r), "keys/") {
			return false
		}
		time.Sleep(time.Second) // rows that did not wait would be there by then
		w.WriteHeader(http.StatusForbidden)
		return true
	})
	name := notary.SegmentName{Origin: "log.example/later", To: 3}
	l.lie.Store(&noKeys)
	if err := s.Put(t.Context(), name, []byte("rows"), []byte("secrets")); err == nil {
		t.Error("Put without keys = nil")
	}
	l.lie.Store(nil)
	if rows, _, err := s.Load(t.Context(), name); !errors.Is(err, notary.ErrNotFound) {
		t.Errorf("rows without keys: %q, %v", rows, err)
	}
	if err := s.Put(t.Context(), name, []byte("rows"), []byte("secrets")); err != nil {
		t.Error(err)
	}
}

// TestRefusedServers: a server that ignores conditions is not used at all.
func TestRefusedServers(t *testing.T) {
	overwrites := unconditional(all)
	for what, c := range map[string]struct {
		lie   lie
		blobs bool // or else the anchor
		want  string
	}{
		"overwrites":             {overwrites, true, "If-None-Match"},
		"overwrites, multipart":  {overwritesMultipart, true, "If-None-Match"},
		"overwrites an anchor":   {overwrites, false, "If-None-Match"},
		"replaces by wrong ETag": {ignoresIfMatch, false, "If-Match"},
		"stores nothing":         {storesNothing, true, "gives back another"},
		"wrong ETags":            {wrongETag, false, "HTTP 412"},
	} {
		t.Run(what, func(t *testing.T) {
			at := newBucket(t, false)
			if err := CreateAnchor(t.Context(), at, []byte("body")); err != nil {
				t.Fatal(err)
			}
			l, through := newLiar(t, at)
			l.lie.Store(&c.lie)
			var err error
			if c.blobs {
				_, err = OpenBlobs(t.Context(), Config{Bucket: through})
			} else {
				_, err = OpenAnchor(t.Context(), through)
			}
			if err == nil || !strings.Contains(err.Error(), c.want) || c.want != "gives back another" && !strings.Contains(err.Error(), through.Endpoint) {
				t.Errorf("opened: %v, want a refusal that names %s and the endpoint", err, c.want)
			}
			left := 0
			for range l.honest.core.ListObjectsIter(t.Context(), at.Bucket, minio.ListObjectsOptions{Recursive: true}) {
				left++
			}
			if left != 1 {
				t.Errorf("the check left %d objects beside the anchor", left-1)
			}
		})
	}
}

func ignoresIfMatch(l *liar, w http.ResponseWriter, r *http.Request) bool {
	return r.Header.Get("If-Match") != "" && unconditional(all)(l, w, r)
}

// TestLostAnswer: the answer to the request that created the object is lost, and the
// second attempt finds the name taken, by ourselves.
func TestLostAnswer(t *testing.T) {
	at := newBucket(t, false)
	l, through := newLiar(t, at)
	b := open(t, Config{Bucket: through})
	for _, size := range []int{0, 1000, 2*partSize + 1} {
		lost := 0
		var lose lie = func(l *liar, w http.ResponseWriter, r *http.Request) bool {
			if lost > 0 || !completes(r) && (!creates(r) || r.URL.RawQuery != "") {
				return false
			}
			lost++
			l.proxy.ServeHTTP(httptest.NewRecorder(), r)
			w.WriteHeader(http.StatusServiceUnavailable)
			return true
		}
		l.lie.Store(&lose)
		n, content := put(t, b, size)
		l.lie.Store(nil)
		if lost != 1 {
			t.Errorf("%d answers were lost", lost)
		}
		holds(t, b, n, content)
		if _, err := b.Put(t.Context(), n, bytes.NewReader(content)); !errors.Is(err, notary.ErrExists) {
			t.Errorf("Put of the same again: %v, want ErrExists", err)
		}
	}
}

// TestLostAdvance: the same of an anchor, whose answer is lost and whose request something
// on the way makes twice.
func TestLostAdvance(t *testing.T) {
	at := newBucket(t, false)
	if err := CreateAnchor(t.Context(), at, []byte("one")); err != nil {
		t.Fatal(err)
	}
	l, through := newLiar(t, at)
	a, err := OpenAnchor(t.Context(), through)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	var twice lie = func(l *liar, w http.ResponseWriter, r *http.Request) bool {
		if !creates(r) {
			return false
		}
		body, _ := io.ReadAll(r.Body)
		for _, to := range []http.ResponseWriter{httptest.NewRecorder(), w} {
			r.Body = io.NopCloser(bytes.NewReader(body))
			l.proxy.ServeHTTP(to, r)
		}
		return true
	}
	l.lie.Store(&twice)
	if err := a.Advance(t.Context(), []byte("one"), []byte("two")); err != nil {
		t.Errorf("an Advance made twice on its way: %v", err)
	}
	l.lie.Store(nil)
	before := l.requests.Load()
	if err := a.Advance(t.Context(), []byte("two"), []byte("three")); err != nil {
		t.Error(err)
	}
	if n := l.requests.Load() - before; n != 1 {
		t.Errorf("an Advance from what is known made %d requests", n)
	}
	// A damaged body is no body.
	l.lie.Store(&otherGet)
	if body, err := a.Load(t.Context()); !errors.Is(err, notary.ErrDamaged) {
		t.Errorf("Load of a body that was changed = %q, %v", body, err)
	}
	l.lie.Store(&shortGet)
	if body, err := a.Load(t.Context()); err == nil {
		t.Errorf("Load of half a body = %q", body)
	}
}

// TestNoRoom: a store that is full says so in its own way.
func TestNoRoom(t *testing.T) {
	at := newBucket(t, false)
	l, through := newLiar(t, at)
	b := open(t, Config{Bucket: through})
	for code, status := range map[string]int{"XMinioStorageFull": 507, "InsufficientStorage": 507, "XMinioAdminBucketQuotaExceeded": 400, "QuotaExceeded": 403} {
		var full lie = func(_ *liar, w http.ResponseWriter, r *http.Request) bool {
			if !creates(r) {
				return false
			}
			io.Copy(io.Discard, r.Body)
			w.WriteHeader(status)
			io.WriteString(w, "<Error><Code>"+code+"</Code></Error>")
			return true
		}
		l.lie.Store(&full)
		for _, size := range []int{1000, 2 * partSize} {
			if _, err := b.Put(t.Context(), name(), bytes.NewReader(random(size))); !errors.Is(err, notary.ErrNoRoom) {
				t.Errorf("Put of %d bytes under %s: %v, want ErrNoRoom", size, code, err)
			}
		}
		if err := b.Probe(t.Context()); !errors.Is(err, notary.ErrNoRoom) {
			t.Errorf("Probe under %s: %v, want ErrNoRoom", code, err)
		}
	}
}

// TestStalledReader: the body of a document on its way to a slow reader may rest as long
// as the reader does; a server that stalls while it is read is given up.
func TestStalledReader(t *testing.T) {
	at := newBucket(t, false)
	l, through := newLiar(t, at)
	b := open(t, Config{Bucket: through, Timeout: patience})
	n, content := put(t, b, 8<<20)
	o, err := b.Open(t.Context(), n)
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	for off := 0; off < len(content); off += 4 << 20 {
		got := make([]byte, 64<<10)
		if _, err := o.ReadAt(got, int64(off)); err != nil || !bytes.Equal(got, content[off:off+len(got)]) {
			t.Fatalf("after a rest of the reader: %v", err)
		}
		time.Sleep(2 * patience)
	}
	var stalls lie = func(l *liar, w http.ResponseWriter, r *http.Request) bool {
		if !reads(r) {
			return false
		}
		w.Header().Set("Content-Length", strconv.Itoa(len(content)))
		w.Write(content[:1<<20])
		w.(http.Flusher).Flush()
		select {
		case <-r.Context().Done():
		case <-time.After(10 * bound):
		}
		return true
	}
	l.lie.Store(&stalls)
	timed(t, map[string]func() error{"a read that stalls": func() error {
		if err := readWhole(t, b, n, content); err == nil {
			return errors.New("nil")
		}
		return nil
	}, "a put that stalls when read back": func() error {
		_, err := b.Put(context.Background(), name(), bytes.NewReader(content))
		return err
	}})
	l.lie.Store(nil)
	holds(t, b, n, content)
}
