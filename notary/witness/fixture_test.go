package witness

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/muniment/muniment/proofs"
)

// A testLog is a log whose bytes are determined by its origin and its branch: branches
// are equal up to where they fork.
type testLog struct {
	origin string
	key    proofs.VerifierKey
	signer ed25519.PrivateKey
	levels [][]proofs.Hash // by tile level
	roots  []proofs.Hash   // by size
}

func newTestLog(t testing.TB, origin string, size, forkAt int, branch string) *testLog {
	t.Helper()
	seed := sha256.Sum256([]byte("log key of " + origin))
	l := &testLog{origin: origin, signer: ed25519.NewKeyFromSeed(seed[:]), roots: []proofs.Hash{proofs.EmptyRoot}}
	var err error
	l.key, err = proofs.NewVerifierKey(origin, proofs.TypeEd25519, l.signer.Public().(ed25519.PublicKey))
	must(t, err)
	var r proofs.Range
	for i := range size {
		entry := fmt.Sprint(origin, i)
		if i >= forkAt {
			entry += branch
		}
		r.Append(proofs.LeafHash([]byte(entry)), func(height int, h proofs.Hash) {
			level := height / proofs.TileHeight
			if height%proofs.TileHeight != 0 {
				return
			}
			if level == len(l.levels) {
				l.levels = append(l.levels, nil)
			}
			l.levels[level] = append(l.levels[level], h)
		})
		l.roots = append(l.roots, r.Root())
	}
	return l
}

func (l *testLog) ReadTile(level int, index uint64, width int) (*proofs.Tile, error) {
	first := index * proofs.TileWidth
	if level >= len(l.levels) || first+uint64(width) > uint64(len(l.levels[level])) {
		return nil, fmt.Errorf("no tile %d of level %d", index, level)
	}
	return proofs.NewTile(l.levels[level][first : first+uint64(width)]), nil
}

func (l *testLog) checkpoint(size int) proofs.Checkpoint {
	return proofs.Checkpoint{Origin: l.origin, Size: uint64(size), Root: l.roots[size]}
}

// note is the checkpoint of a size, signed by the log.
func (l *testLog) note(t testing.TB, size int) proofs.Note {
	return l.sign(t, l.checkpoint(size).String())
}

func (l *testLog) sign(t testing.TB, text string) proofs.Note {
	t.Helper()
	s, err := l.key.Sign(text, l.signer)
	must(t, err)
	return proofs.Note{Text: text, Signatures: []proofs.Signature{s}}
}

// request is the body that a faithful log sends.
func (l *testLog) request(t testing.TB, old, size int) string {
	t.Helper()
	return l.head(t, old, size) + string(l.note(t, size).Marshal())
}

func (l *testLog) head(t testing.TB, old, size int) string {
	t.Helper()
	var proof []proofs.Hash
	if old > 0 && old < size {
		var err error
		proof, err = proofs.ConsistencyProof(uint64(old), uint64(size), l)
		must(t, err)
	}
	return head(old, proof...)
}

func head(old int, proof ...proofs.Hash) string {
	s := fmt.Sprintf("old %d\n", old)
	for _, h := range proof {
		s += h.String() + "\n"
	}
	return s + "\n"
}

// setup is a new witness for the logs, with the keys that it has.
func setup(t testing.TB, withMLDSA bool, logs ...*testLog) ServerConfig {
	t.Helper()
	dir := t.TempDir()
	_, err := Init(dir, "witness.example/w", withMLDSA)
	must(t, err)
	keys, err := LoadKeys(dir)
	must(t, err)
	c := ServerConfig{Dir: dir, Keys: keys, Metrics: prometheus.NewRegistry(), Logger: slog.New(slog.DiscardHandler)}
	for _, l := range logs {
		c.Logs = append(c.Logs, l.key)
	}
	return c
}

func open(t testing.TB, c ServerConfig) *Server {
	t.Helper()
	if c.Metrics != nil {
		c.Metrics = prometheus.NewRegistry()
	}
	s, err := OpenServer(c)
	must(t, err)
	t.Cleanup(func() { s.Close() })
	return s
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// ask sends a body to add-checkpoint.
func ask(s *Server, body string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, httptest.NewRequest("POST", "/add-checkpoint", strings.NewReader(body)))
	return w
}

func get(s *Server, path string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, httptest.NewRequest("GET", path, nil))
	return w
}

// cosigned demands a success, and that each key's cosignature on the note verifies.
func cosigned(t testing.TB, c ServerConfig, n proofs.Note, w *httptest.ResponseRecorder) proofs.Note {
	t.Helper()
	if w.Code != http.StatusOK {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	all, err := proofs.ParseNote(append(n.Marshal(), w.Body.Bytes()...))
	must(t, err)
	if len(all.Signatures) != len(n.Signatures)+len(c.Keys) {
		t.Fatalf("%d signatures", len(all.Signatures))
	}
	cp, err := parseCheckpoint(all.Text)
	must(t, err)
	r := request{note: all, Checkpoint: cp}
	for _, k := range c.Keys {
		if _, _, valid := r.signedBy(k.VerifierKey); !valid {
			t.Fatalf("the cosignature of type %d does not verify", k.Type)
		}
	}
	return all
}

func conflict(t testing.TB, w *httptest.ResponseRecorder, size int) {
	t.Helper()
	if w.Code != http.StatusConflict || w.Body.String() != fmt.Sprintf("%d\n", size) || w.Header().Get("Content-Type") != "text/x.tlog.size" {
		t.Fatalf("want a conflict at %d: %d %v %q", size, w.Code, w.Header(), w.Body)
	}
}

func shown(t testing.TB, s *Server, l *testLog) []byte {
	t.Helper()
	w := get(s, "/"+hashOf(l.origin)+"/checkpoint")
	if w.Code != http.StatusOK {
		return nil
	}
	return bytes.Clone(w.Body.Bytes())
}
