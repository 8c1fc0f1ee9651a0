package s3

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"

	"github.com/muniment/muniment/notary"
)

// patience is the Timeout of the tests of faults, far below the default.
const patience = time.Second

// bound is when a call to a server that fails must have ended: three times patience, and
// what a busy machine adds.
const bound = 3*patience + 3*time.Second

// wire is the way to the server, which a test can cut.
type wire struct{ *toxiproxy.Proxy }

func newWire(t *testing.T) *wire {
	t.Helper()
	w := &wire{toxiproxy.NewProxy(rig(), t.Name(), "127.0.0.1:0", strings.TrimPrefix(server.Endpoint, "http://"))}
	if err := w.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Stop() })
	return w
}

func rig() *toxiproxy.ApiServer {
	return toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
}

func (w *wire) through(at Bucket) Bucket {
	at.Endpoint = "http://" + w.Listen
	return at
}

// fault is what goes wrong, in toxiproxy's words. limit_data ends a connection after so
// many bytes; timeout 0 swallows everything and never answers.
type fault struct {
	name   string
	toxics []string
}

var faults = []fault{
	{"down", nil},
	{"resets", []string{`{"type": "reset_peer", "attributes": {"timeout": 0}}`}},
	{"request swallowed", []string{`{"type": "timeout", "stream": "upstream", "attributes": {"timeout": 0}}`}},
	{"answer swallowed", []string{`{"type": "timeout", "stream": "downstream", "attributes": {"timeout": 0}}`}},
	{"answer cut at once", []string{`{"type": "limit_data", "stream": "downstream", "attributes": {"bytes": 0}}`}},
	{"answer cut in its body", []string{`{"type": "limit_data", "stream": "downstream", "attributes": {"bytes": 1500}}`}},
	{"request cut in its body", []string{`{"type": "limit_data", "stream": "upstream", "attributes": {"bytes": 20000}}`}},
	{"slow", []string{`{"type": "bandwidth", "stream": "upstream", "attributes": {"rate": 1}}`, `{"type": "bandwidth", "stream": "downstream", "attributes": {"rate": 1}}`}},
	{"stalls in the request", []string{`{"type": "bandwidth", "stream": "upstream", "attributes": {"rate": 0}}`}},
	{"late", []string{`{"type": "latency", "attributes": {"latency": 2500}}`}},
}

// spoil lets the fault befall every connection; mend ends it, and those connections.
func (w *wire) spoil(t *testing.T, f fault) {
	t.Helper()
	if f.toxics == nil {
		w.Stop()
	}
	for _, toxic := range f.toxics {
		if _, err := w.Toxics.AddToxicJson(strings.NewReader(toxic)); err != nil {
			t.Fatal(err)
		}
	}
}

func (w *wire) mend(t *testing.T) {
	t.Helper()
	w.Stop()
	// Another proxy in its place: taking toxics from connections that are being closed can wait
	// for ever in toxiproxy.
	w.Proxy = toxiproxy.NewProxy(rig(), t.Name(), w.Listen, w.Upstream)
	if err := w.Start(); err != nil {
		t.Fatal(err)
	}
}

// TestFaults is I12: under each fault each call ends in time; a Put that says nil has put;
// one that fails, and could be undone, has not; and nothing is left running.
func TestFaults(t *testing.T) {
	for _, f := range faults {
		t.Run(f.name, func(t *testing.T) { underFault(t, f) })
	}
}

func underFault(t *testing.T, f fault) {
	at, w := newBucket(t, true), newWire(t)
	direct := open(t, Config{Bucket: at})
	b := open(t, Config{Bucket: w.through(at), Timeout: patience, Retention: Retention{Days: 1, Mode: "GOVERNANCE"}})
	stored, content := put(t, direct, 300_000)
	reading, err := b.Open(t.Context(), stored)
	if err != nil {
		t.Fatal(err)
	}
	defer reading.Close()
	before, _ := running()
	w.spoil(t, f)
	calls := map[string]func() error{
		"probe":  func() error { return b.Probe(t.Context()) },
		"open":   func() error { return readWhole(t, b, stored, content) },
		"read":   func() error { return sameBytes(reading, content) },
		"list":   func() error { return b.List(t.Context(), time.Now(), func(string) error { return nil }) },
		"delete": func() error { return b.Delete(t.Context(), name()) },
		"retain": func() error { return b.Retain(t.Context(), stored, time.Now(), time.Time{}) },
	}
	puts := map[string][]byte{name(): random(10), name(): random(100_000), name(): random(partSize + 1), name(): random(2 * partSize)}
	for n, body := range puts {
		calls["put "+n] = func() error { _, err := b.Put(t.Context(), n, bytes.NewReader(body)); return err }
	}
	answers := timed(t, calls)
	w.mend(t)
	for n, body := range puts {
		if answers["put "+n] == nil {
			holds(t, direct, n, body)
		}
	}
	// The sweep of orphans takes what a lost answer has left.
	err = direct.List(t.Context(), time.Now().Add(time.Hour), func(n string) error {
		if _, ours := puts[n]; ours && answers["put "+n] != nil {
			t.Logf("left for the sweep: %d bytes, %v", len(puts[n]), answers["put "+n])
			return direct.Delete(t.Context(), n)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	// At leisure: how busy this machine is must not matter here.
	again := open(t, Config{Bucket: w.through(at)})
	for n, body := range puts {
		if _, err := again.Put(t.Context(), n, bytes.NewReader(body)); answers["put "+n] != nil && err != nil {
			t.Errorf("Put of %d bytes again, once the fault is over: %v", len(body), err)
		}
	}
	again.Close()
	w.mend(t) // ends what the proxy still runs
	settles(t, before)
}

// timed makes all calls at once and returns their answers.
func timed(t *testing.T, calls map[string]func() error) map[string]error {
	t.Helper()
	type answer struct {
		call string
		err  error
		took time.Duration
	}
	said := make(chan answer)
	for call, do := range calls {
		go func() {
			start := time.Now()
			err := do()
			said <- answer{call, err, time.Since(start)}
		}()
	}
	answers := map[string]error{}
	for range calls {
		a := <-said
		answers[a.call] = a.err
		if a.took > bound {
			t.Errorf("%s took %v: %v", a.call, a.took, a.err)
		}
		if a.err != nil && strings.Contains(a.err.Error(), server.SecretKey) {
			t.Errorf("%s shows the secret key: %v", a.call, a.err)
		}
		if errors.Is(a.err, notary.ErrExists) || errors.Is(a.err, notary.ErrNotFound) || errors.Is(a.err, errOther) {
			t.Errorf("%s: %v, of a server that did not answer", a.call, a.err)
		}
	}
	return answers
}

// settles waits until no more goroutines run than before.
func settles(t *testing.T, before int) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		now, stacks := running()
		if now <= before+4 { // two idle connections of the last calls
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines, %d before:\n%s", now, before, stacks)
		}
	}
}

// running counts goroutines, those of the proxy left out, which leaks its own.
func running() (count int, stacks string) {
	all := make([]byte, 4<<20)
	for stack := range strings.SplitSeq(string(all[:runtime.Stack(all, true)]), "\n\n") {
		if !strings.Contains(stack, "toxiproxy") {
			count++
			stacks += stack + "\n\n"
		}
	}
	return count, stacks
}

// TestAnchorFaults: whatever happens to an Advance, Load tells, the register holds the one
// or the other body, and goes on from there.
func TestAnchorFaults(t *testing.T) {
	at := newBucket(t, false)
	body := []byte("body 0")
	if err := CreateAnchor(t.Context(), at, body); err != nil {
		t.Fatal(err)
	}
	w := newWire(t)
	a, err := openRegister(t.Context(), w.through(at), patience)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	unknown := 0
	for i, f := range faults {
		if body, err = a.Load(t.Context()); err != nil {
			t.Fatal(err)
		}
		next := fmt.Appendf(nil, "body %d", i+1)
		w.spoil(t, f)
		answers := timed(t, map[string]func() error{
			f.name:               func() error { return a.Advance(t.Context(), body, next) },
			f.name + ": loading": func() error { _, err := a.Load(t.Context()); return err },
		})
		w.mend(t)
		found, err := a.Load(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		switch said := answers[f.name]; {
		case said == nil && !bytes.Equal(found, next):
			t.Errorf("%s: Advance said nil and the register holds %q", f.name, found)
		case said != nil && bytes.Equal(found, next):
			unknown++
		case said != nil && !bytes.Equal(found, body):
			t.Errorf("%s: the register holds %q", f.name, found)
		case errors.Is(said, notary.ErrConflict):
			t.Errorf("%s: a conflict that nobody made: %v", f.name, said)
		}
		if err := a.Advance(t.Context(), found, found); err != nil {
			t.Errorf("%s: Advance from what Load told: %v", f.name, err)
		}
	}
	if unknown == 0 {
		t.Error("no answer to an Advance that happened was lost: the test shows nothing")
	}
}

// TestServerDies: documents and anchor are there after the server was killed; meanwhile
// every call says that it failed.
func TestServerDies(t *testing.T) {
	at := newBucket(t, false)
	b := open(t, Config{Bucket: at, Timeout: patience})
	stored, content := put(t, b, 100_000)
	server.Kill()
	answers := timed(t, map[string]func() error{
		"put":   func() error { _, err := b.Put(t.Context(), name(), bytes.NewReader(content)); return err },
		"probe": func() error { return b.Probe(t.Context()) },
		"open":  func() error { return readWhole(t, b, stored, content) },
	})
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	for call, err := range answers {
		if err == nil {
			t.Errorf("%s of a server that is not there", call)
		}
	}
	holds(t, b, stored, content)
	put(t, b, 100_000)
}

func name() string { return notary.ID(random(16)).String() + "/" + notary.ID(random(16)).String() }

func random(size int) []byte {
	p := make([]byte, size)
	var seed [32]byte
	for i := range seed {
		seed[i] = byte(rand.Uint32())
	}
	_, _ = rand.NewChaCha8(seed).Read(p) // never fails
	return p
}

func put(t testing.TB, b *Blobs, size int) (string, []byte) {
	t.Helper()
	n, content := name(), random(size)
	if k, err := b.Put(t.Context(), n, bytes.NewReader(content)); err != nil || k != int64(size) {
		t.Fatalf("Put of %d bytes = %d, %v", size, k, err)
	}
	return n, content
}

func holds(t testing.TB, b *Blobs, name string, content []byte) {
	t.Helper()
	if err := readWhole(t, b, name, content); err != nil {
		t.Errorf("%s of %d bytes: %v", name, len(content), err)
	}
}

// readWhole fails the test if what it reads without an error is not content.
func readWhole(t testing.TB, b *Blobs, name string, content []byte) error {
	o, err := b.Open(t.Context(), name)
	if err != nil {
		return err
	}
	defer o.Close()
	if o.Size() != int64(len(content)) {
		return fmt.Errorf("%d bytes instead of %d", o.Size(), len(content))
	}
	return sameBytes(o, content)
}

func sameBytes(o notary.Blob, content []byte) error {
	got, err := io.ReadAll(io.NewSectionReader(o, 0, o.Size()))
	if err == nil && !bytes.Equal(got, content) {
		return errors.New("other bytes")
	}
	return err
}
