package witness

import (
	"bytes"
	"crypto"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/muniment/muniment/proofs"
)

// TestDamagedState: no changed, cut or missing state file is believed, and none that is
// another witness's.
func TestDamagedState(t *testing.T) {
	a, b := newTestLog(t, "a.example/test/1", 10, 0, ""), newTestLog(t, "b.example/test/1", 10, 0, "")
	c := setup(t, false, a, b)
	s := open(t, c)
	cosigned(t, c, a.note(t, 5), ask(s, a.request(t, 0, 5)))
	cosigned(t, c, b.note(t, 7), ask(s, b.request(t, 0, 7)))
	must(t, s.Close())
	path := filepath.Join(c.Dir, stateFile)
	good, err := os.ReadFile(path)
	must(t, err)
	c.Metrics = nil
	refused := func(what string, data []byte) {
		t.Helper()
		must(t, os.WriteFile(path, data, 0o600))
		s, err := OpenServer(c)
		if err == nil {
			s.Close()
		}
		if !errors.Is(err, ErrState) {
			t.Fatalf("%s: %v", what, err)
		}
	}
	for i := range good {
		changed := bytes.Clone(good)
		changed[i] ^= 1 << (i % 8)
		refused(fmt.Sprint("a bit of byte ", i), changed)
		refused(fmt.Sprint("cut at byte ", i), good[:i])
	}
	refused("a byte more", append(bytes.Clone(good), '\n'))
	refused("empty", nil)
	refused("another witness's", s.state.encode("other.example/w"))
	must(t, os.Remove(path))
	if s, err := OpenServer(c); !errors.Is(err, os.ErrNotExist) {
		s.Close()
		t.Fatal("a witness without its state goes on")
	}
	must(t, os.WriteFile(path, good, 0o600))
	// What a crash left of a newer one.
	must(t, os.WriteFile(filepath.Join(c.Dir, newState), []byte("half"), 0o600))
	s = open(t, c)
	conflict(t, ask(s, a.request(t, 0, 6)), 5)
	conflict(t, ask(s, b.request(t, 0, 8)), 7)
}

// faulty fails one of the file system's calls, before it does its work or after.
type faulty struct {
	disk
	mu    sync.Mutex
	fails string // the call
	done  bool   // after the work
	calls []string
}

func (f *faulty) call(name string, work func() error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, name)
	if f.fails != name {
		return work()
	}
	if f.done {
		_ = work()
	}
	return errors.New("injected")
}

func (f *faulty) set(name string, done bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fails, f.done, f.calls = name, done, nil
}

func (f *faulty) write(path string, data []byte) error {
	return f.call("write", func() error { return f.disk.write(path, data) })
}

func (f *faulty) rename(from, to string) error {
	return f.call("rename", func() error { return f.disk.rename(from, to) })
}

func (f *faulty) syncDir(path string) error {
	return f.call("syncDir", func() error { return f.disk.syncDir(path) })
}

// TestFailingWrites: whichever call fails, and whether or not it did its work, nothing is
// cosigned. A write that failed before the rename is made up for by the next; after it,
// the witness stops, and a restart goes on from what is there.
func TestFailingWrites(t *testing.T) {
	l := newTestLog(t, "log.example/test/1", 10, 0, "")
	for _, fault := range []string{"write", "rename", "syncDir"} {
		for _, done := range []bool{false, true} {
			f := &faulty{}
			c := setup(t, true, l)
			c.system = f
			s := open(t, c)
			cosigned(t, c, l.note(t, 5), ask(s, l.request(t, 0, 5)))
			before := shown(t, s, l)
			f.set(fault, done)
			if w := ask(s, l.request(t, 5, 8)); w.Code != 503 || strings.Contains(w.Body.String(), "—") {
				t.Errorf("%s, %v: %d %s", fault, done, w.Code, w.Body)
			}
			if !bytes.Equal(shown(t, s, l), before) || get(s, "/healthz").Code != 503 {
				t.Errorf("%s, %v: what is not durable is shown, or nothing is said", fault, done)
			}
			f.set("", false)
			w := ask(s, l.request(t, 5, 9))
			if fault == "write" {
				cosigned(t, c, l.note(t, 9), w)
				if get(s, "/healthz").Code != 200 {
					t.Error("it does not recover")
				}
				continue
			}
			if w.Code != 503 {
				t.Errorf("%s, %v: it goes on: %d", fault, done, w.Code)
			}
			<-s.Failed()
			must(t, s.Close())
			s = open(t, c)
			size := 5
			if fault != "rename" || done {
				size = 8
			}
			conflict(t, ask(s, l.request(t, 0, 9)), size)
			cosigned(t, c, l.note(t, 9), ask(s, l.request(t, size, 9)))
		}
	}
}

// TestDurableBeforeAnswer: the file, its name and the folder are synced in this order
// before a cosignature is on its way, and before a conflict tells of a size.
func TestDurableBeforeAnswer(t *testing.T) {
	l := newTestLog(t, "log.example/test/1", 10, 0, "")
	f := &faulty{}
	c := setup(t, false, l)
	c.system = f
	s := open(t, c)
	f.set("", false)
	cosigned(t, c, l.note(t, 5), ask(s, l.request(t, 0, 5)))
	if want := []string{"write", "rename", "syncDir"}; !slices.Equal(f.calls, want) {
		t.Errorf("calls before the answer: %v", f.calls)
	}
	// A conflict with a size that is not durable yet is not told: the same round.
	sub := func(old, size int) *submission {
		r, err := parseRequest([]byte(l.request(t, old, size)))
		must(t, err)
		return &submission{request: r, signatures: r.note.Signatures, answer: make(chan answer, 1)}
	}
	must(t, s.Close()) // so that round has no other caller
	f.set("write", false)
	batch := []*submission{sub(5, 8), sub(5, 9), sub(8, 10)}
	s.round(batch)
	for i, b := range batch {
		if a := <-b.answer; a.result != resultFailed || a.size != 0 || a.body != "" {
			t.Errorf("%d: %+v", i, a)
		}
	}
	f.set("", false)
	batch = []*submission{sub(5, 8), sub(5, 9), sub(8, 10)}
	s.round(batch)
	for i, want := range []answer{{result: resultCosigned}, {result: resultConflict, size: 8}, {result: resultCosigned}} {
		if a := <-batch[i].answer; a.result != want.result || a.size != want.size {
			t.Errorf("%d: %+v", i, a)
		}
	}
	if len(f.calls) != 3 {
		t.Errorf("one round, one write: %v", f.calls)
	}
	// A log that contradicts itself within a round is caught with proof too.
	fork := newTestLog(t, l.origin, 10, 3, "fork")
	other, err := parseRequest([]byte(fork.request(t, 10, 10)))
	must(t, err)
	batch = []*submission{sub(10, 10), {request: other, signatures: other.note.Signatures, answer: make(chan answer, 1)}}
	s.round(batch)
	if a, b := <-batch[0].answer, <-batch[1].answer; a.result != resultCosigned || b.result != resultProof {
		t.Errorf("%+v %+v", a, b)
	}
	kept, err := filepath.Glob(filepath.Join(c.Dir, "forks", "*", "10-*.checkpoint"))
	must(t, err)
	for _, path := range kept {
		data, err := os.ReadFile(path)
		must(t, err)
		if _, err := proofs.ParseNote(data); err != nil {
			t.Error(err)
		}
	}
	if len(kept) != 2 {
		t.Error(kept)
	}
}

// TestFailingSigner: a key that is out of reach for a while costs answers, and nothing is
// recorded meanwhile.
func TestFailingSigner(t *testing.T) {
	l := newTestLog(t, "log.example/test/1", 10, 0, "")
	c := setup(t, true, l)
	away := &awaySigner{Signer: c.Keys[1].Signer}
	c.Keys[1].Signer = away
	s := open(t, c)
	cosigned(t, c, l.note(t, 5), ask(s, l.request(t, 0, 5)))
	away.away.Store(true)
	if w := ask(s, l.request(t, 5, 8)); w.Code != 503 || strings.Contains(w.Body.String(), "—") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	away.away.Store(false)
	conflict(t, ask(s, l.request(t, 0, 8)), 5)
	cosigned(t, c, l.note(t, 9), ask(s, l.request(t, 5, 9)))
}

type awaySigner struct {
	crypto.Signer
	away atomic.Bool
}

func (a *awaySigner) Sign(r io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	if a.away.Load() {
		return nil, errors.New("injected")
	}
	return a.Signer.Sign(r, digest, opts)
}

// TestKeysAreGuarded: private keys are their owner's alone, belong to the vkeys, and a
// directory that holds anything is not laid out again.
func TestKeysAreGuarded(t *testing.T) {
	dir := t.TempDir()
	public, err := Init(dir, "witness.example", true)
	must(t, err)
	for _, name := range []string{"ed25519.pem", "mldsa44.pem", stateFile} {
		info, err := os.Stat(filepath.Join(dir, name))
		must(t, err)
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v", name, info.Mode())
		}
	}
	if _, err := Init(dir, "witness.example", true); !errors.Is(err, os.ErrExist) {
		t.Error(err)
	}
	keys, err := LoadKeys(dir)
	must(t, err)
	if len(keys) != 2 || keys[0].VerifierKey != public[0] || keys[1].VerifierKey != public[1] {
		t.Error(keys)
	}
	must(t, os.Chmod(filepath.Join(dir, "mldsa44.pem"), 0o640))
	if _, err := LoadKeys(dir); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Error(err)
	}
	must(t, os.Chmod(filepath.Join(dir, "mldsa44.pem"), 0o600))
	other := t.TempDir()
	_, err = Init(other, "witness.example", false)
	must(t, err)
	data, err := os.ReadFile(filepath.Join(other, "ed25519.pem"))
	must(t, err)
	must(t, os.WriteFile(filepath.Join(dir, "ed25519.pem"), data, 0o600))
	if _, err := LoadKeys(dir); err == nil || !strings.Contains(err.Error(), "is not the private key of") {
		t.Error(err)
	}
	for _, name := range []string{"", "a b", "a+b", strings.Repeat("x", 256)} {
		if _, err := Init(filepath.Join(t.TempDir(), "w"), name, false); err == nil {
			t.Errorf("the name %q", name)
		}
	}
}

// FuzzRequest: what is read is one spelling of one thing, whatever comes.
func FuzzRequest(f *testing.F) {
	l := newTestLog(f, "log.example/test/1", 300, 0, "")
	f.Add([]byte(l.request(f, 255, 300)))
	f.Add([]byte(l.request(f, 0, 1)))
	f.Fuzz(func(t *testing.T, body []byte) {
		r, err := parseRequest(body)
		if err != nil {
			return
		}
		again := head(int(r.old), r.proof...) + string(r.note.Marshal())
		if again != string(body) {
			t.Errorf("%q is read as %q", body, again)
		}
		if cp, err := proofs.ParseCheckpoint(r.note.Text); err == nil && cp != r.Checkpoint {
			t.Errorf("%v is read as %v", cp, r.Checkpoint)
		}
	})
}
