package s3

import (
	"bytes"
	"errors"
	"io"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/muniment/muniment/notary"
)

// TestConfig: what is wrong with a configuration is said, and never with its secret.
func TestConfig(t *testing.T) {
	at := newBucket(t, false)
	ruled := newBucket(t, true)
	rule(t, ruled)
	for what, c := range map[string]struct {
		change func(*Config)
		want   string
	}{
		"no endpoint":       {func(c *Config) { c.Endpoint = "" }, "must be a URL"},
		"no scheme":         {func(c *Config) { c.Endpoint = strings.TrimPrefix(c.Endpoint, "http://") }, "must be a URL"},
		"a path":            {func(c *Config) { c.Endpoint += "/bucket" }, "must be a URL"},
		"a password":        {func(c *Config) { c.Endpoint = "http://me:" + c.SecretKey + "@127.0.0.1" }, "must be a URL"},
		"a prefix of half":  {func(c *Config) { c.Prefix = "half" }, "must end in one slash"},
		"no bucket there":   {func(c *Config) { c.Bucket.Bucket = "nowhere" }, `no bucket "nowhere"`},
		"a bucket's name":   {func(c *Config) { c.Bucket.Bucket = "No Bucket" }, "open"},
		"no secret":         {func(c *Config) { c.SecretKey = "" }, "secret key"},
		"another secret":    {func(c *Config) { c.SecretKey = "not-" + c.SecretKey }, "refuses these credentials"},
		"another login":     {func(c *Config) { c.AccessKey = "nobody" }, "refuses these credentials"},
		"no Object Lock":    {func(c *Config) { c.Retention.Days = 1 }, "no Object Lock"},
		"no lock to hold":   {func(c *Config) { c.Retention.LegalHold = true }, "no Object Lock"},
		"a mode":            {func(c *Config) { c.Retention = Retention{Days: 1, Mode: "compliance"} }, "COMPLIANCE or GOVERNANCE"},
		"negative":          {func(c *Config) { c.Retention.Years = -1 }, "0 to 1,000 years"},
		"a default rule":    {func(c *Config) { c.Bucket = ruled }, "default retention"},
		"nobody listens":    {func(c *Config) { c.Endpoint = "http://127.0.0.1:1" }, "open"},
		"a tenant's bucket": {func(c *Config) { c.Tenants = map[notary.ID]Bucket{{1}: {Endpoint: "x"}} }, "tenant 01000000-0000-0000-0000-000000000000"},
	} {
		config := Config{Bucket: at, Timeout: 2 * time.Second}
		c.change(&config)
		b, err := OpenBlobs(t.Context(), config)
		if err == nil {
			b.Close()
		}
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), server.SecretKey) {
			t.Errorf("%s: %v, want %q and no secret", what, err, c.want)
		}
	}
	if _, err := OpenAnchor(t.Context(), at); err == nil || !strings.Contains(err.Error(), "no anchor") {
		t.Errorf("an anchor that nobody created: %v", err)
	}
	if err := CreateAnchor(t.Context(), at, []byte("one")); err != nil {
		t.Fatal(err)
	}
	if err := CreateAnchor(t.Context(), at, []byte("two")); !errors.Is(err, notary.ErrExists) {
		t.Errorf("an anchor created twice: %v, want ErrExists", err)
	}
}

func rule(t *testing.T, at Bucket) {
	t.Helper()
	b, err := connect(at, 0, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer b.close()
	mode, days, unit := minio.Governance, uint(1), minio.Days
	if err := b.core.SetBucketObjectLockConfig(t.Context(), at.Bucket, &mode, &days, &unit); err != nil {
		t.Fatal(err)
	}
}

// TestTenants: a tenant with a bucket of its own has its documents there and nowhere else.
func TestTenants(t *testing.T) {
	tenant := notary.ID(random(16))
	at, own := newBucket(t, true), newBucket(t, true)
	own.Prefix = "own/"
	c := Config{Bucket: at, Tenants: map[notary.ID]Bucket{tenant: own}, Retention: Retention{Days: 1}}
	b, main, there := open(t, c), open(t, Config{Bucket: at}), open(t, Config{Bucket: own})
	mine, content := tenant.String()+"/"+notary.ID(random(16)).String(), random(1000)
	if _, err := b.Put(t.Context(), mine, bytes.NewReader(content)); err != nil {
		t.Fatal(err)
	}
	other, _ := put(t, b, 1000)
	holds(t, b, mine, content)
	holds(t, there, mine, content)
	if _, err := main.Open(t.Context(), mine); !errors.Is(err, notary.ErrNotFound) {
		t.Errorf("Open in the others' bucket: %v", err)
	}
	// What lies in the wrong bucket is not this store's: it would be looked for elsewhere.
	if _, err := main.Put(t.Context(), mine, strings.NewReader("astray")); err != nil {
		t.Fatal(err)
	}
	if _, err := there.Put(t.Context(), name(), strings.NewReader("astray")); err != nil {
		t.Fatal(err)
	}
	listed := map[string]int{}
	if err := b.List(t.Context(), time.Now().Add(time.Hour), func(n string) error { listed[n]++; return nil }); err != nil {
		t.Fatal(err)
	}
	if len(listed) != 2 || listed[mine] != 1 || listed[other] != 1 {
		t.Errorf("List = %v", listed)
	}
	if err := b.Probe(t.Context()); err != nil {
		t.Error(err)
	}
	if err := b.Delete(t.Context(), mine); err != nil {
		t.Error(err)
	}
	if _, err := there.Open(t.Context(), mine); !errors.Is(err, notary.ErrNotFound) {
		t.Errorf("after Delete: %v", err)
	}
	if _, err := main.Open(t.Context(), mine); err != nil {
		t.Errorf("Delete reached into the others' bucket: %v", err)
	}
}

// TestSequentialRead: a document read from end to end in packages of 64 KiB, each asked
// for twice as who decrypts does, is one request, or two.
func TestSequentialRead(t *testing.T) {
	l, through := newLiar(t, newBucket(t, false))
	b := open(t, Config{Bucket: through})
	n, content := put(t, b, 64<<20)
	const pack = 64<<10 + 32
	for what, from := range map[string]int{"whole": 0, "from the middle": 512 * pack} {
		before := l.requests.Load()
		o, err := b.Open(t.Context(), n)
		if err != nil {
			t.Fatal(err)
		}
		got := make([]byte, pack)
		for off := from; off < len(content); off += pack {
			for _, at := range []int{max(from, off-pack), off} {
				k, err := o.ReadAt(got, int64(at))
				if err != nil && (err != io.EOF || at+k != len(content)) || !bytes.Equal(got[:k], content[at:at+k]) {
					t.Fatalf("%s: %d bytes at %d: %v", what, k, at, err)
				}
			}
		}
		o.Close()
		if made := l.requests.Load() - before; made > 4 {
			t.Errorf("%s: %d requests", what, made)
		}
	}
	// One put is one request, and one to read it back.
	before := l.requests.Load()
	put(t, b, 1<<20)
	if made := l.requests.Load() - before; made != 2 {
		t.Errorf("a Put of 1 MiB made %d requests, want 2", made)
	}
}

// TestPutMemory: a document of 256 MiB passes through a few megabytes.
func TestPutMemory(t *testing.T) {
	b := open(t, Config{Bucket: newBucket(t, false)})
	runtime.GC()
	var before, now runtime.MemStats
	runtime.ReadMemStats(&before)
	var most atomic.Uint64
	done, watched := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(watched)
		for {
			runtime.ReadMemStats(&now)
			most.Store(max(most.Load(), now.HeapInuse))
			select {
			case <-done:
				return
			case <-time.After(5 * time.Millisecond):
			}
		}
	}()
	const size = 256 << 20
	n, err := b.Put(t.Context(), name(), io.LimitReader(endless{}, size))
	close(done)
	<-watched
	if err != nil || n != size {
		t.Fatalf("Put = %d, %v", n, err)
	}
	if grown := int64(most.Load()) - int64(before.HeapInuse); grown > 32<<20 {
		t.Errorf("the heap grew by %d MiB", grown>>20)
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(i)
	}
	return len(p), nil
}
