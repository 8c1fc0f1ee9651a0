package witness

import (
	"crypto/ed25519"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"filippo.io/mldsa"

	"github.com/muniment/muniment/proofs"
	pmldsa "github.com/muniment/muniment/proofs/mldsa"
)

// TestAddCheckpoint is the protocol as C2SP tlog-witness has it, answer by answer.
func TestAddCheckpoint(t *testing.T) {
	l := newTestLog(t, "log.example/test/1", 600, 0, "")
	fork := newTestLog(t, "log.example/test/1", 600, 300, "fork")
	other := newTestLog(t, "other.example/test/1", 10, 0, "")
	c := setup(t, true, l)
	s := open(t, c)
	refused := func(what, body string, status int) {
		t.Helper()
		if w := ask(s, body); w.Code != status {
			t.Errorf("%s: %d %q, want %d", what, w.Code, w.Body, status)
		}
	}
	conflict(t, ask(s, l.request(t, 7, 300)), 0) // never seen: from zero
	cosigned(t, c, l.note(t, 0), ask(s, l.request(t, 0, 0)))
	refused("a root of the empty tree that is none", head(0)+string(l.sign(t, proofs.Checkpoint{Origin: l.origin, Root: l.roots[1]}.String()).Marshal()), 422)
	refused("a proof from the empty tree", head(0, l.roots[1])+string(l.note(t, 300).Marshal()), 422)
	cosigned(t, c, l.note(t, 300), ask(s, l.request(t, 0, 300)))
	cosigned(t, c, l.note(t, 300), ask(s, l.request(t, 300, 300))) // again, at a later time
	conflict(t, ask(s, l.request(t, 0, 600)), 300)
	conflict(t, ask(s, l.request(t, 299, 600)), 300)
	conflict(t, ask(s, l.request(t, 200, 299)), 300) // nothing older
	refused("an older checkpoint", head(300)+string(l.note(t, 299).Marshal()), 400)
	refused("no proof", head(300)+string(l.note(t, 600).Marshal()), 422)
	refused("another proof", l.head(t, 299, 600)[8:]+string(l.note(t, 600).Marshal()), 400)
	refused("a proof from elsewhere", strings.Replace(l.head(t, 299, 600), "old 299", "old 300", 1)+string(l.note(t, 600).Marshal()), 422)
	refused("a proof between equals", head(300, l.roots[1])+string(l.note(t, 300).Marshal()), 422)
	refused("a root of the same size", head(300)+string(newTestLog(t, l.origin, 300, 0, "x").note(t, 300).Marshal()), 422)
	cosigned(t, c, l.note(t, 301), ask(s, l.request(t, 300, 301)))
	refused("a fork", strings.Replace(fork.head(t, 300, 600), "old 300", "old 301", 1)+string(fork.note(t, 600).Marshal()), 422)
	cosigned(t, c, l.note(t, 600), ask(s, l.request(t, 301, 600)))

	refused("an unknown log", other.request(t, 0, 10), 404)
	n := l.note(t, 600)
	refused("no signature of the log", head(600)+string(proofs.Note{Text: n.Text, Signatures: []proofs.Signature{{Name: "x", KeyID: 1, Bytes: []byte("x")}}}.Marshal()), 403)
	stranger := proofs.Signature{Name: l.origin, KeyID: l.key.ID + 1, Bytes: n.Signatures[0].Bytes}
	refused("the log's name, another key", head(600)+string(proofs.Note{Text: n.Text, Signatures: []proofs.Signature{stranger}}.Marshal()), 403)
	bad := proofs.Signature{Name: l.origin, KeyID: l.key.ID, Bytes: slices.Concat([]byte{n.Signatures[0].Bytes[0] ^ 1}, n.Signatures[0].Bytes[1:])}
	refused("a bad signature", head(600)+string(proofs.Note{Text: n.Text, Signatures: []proofs.Signature{bad}}.Marshal()), 403)
	cosigned(t, c, proofs.Note{Text: n.Text, Signatures: []proofs.Signature{stranger, n.Signatures[0]}},
		ask(s, head(600)+string(proofs.Note{Text: n.Text, Signatures: []proofs.Signature{stranger, n.Signatures[0]}}.Marshal())))
	good := string(n.Marshal())
	for what, body := range map[string]string{
		"nothing":              "",
		"no old line":          "\n" + good,
		"no empty line":        "old 600\n" + good[:strings.Index(good, "\n\n")],
		"two spaces":           "old  600\n\n" + good,
		"a plus":               "old +600\n\n" + good,
		"a zero before":        "old 0600\n\n" + good,
		"a negative size":      "old -1\n\n" + good,
		"2^63":                 "old 9223372036854775808\n\n" + good,
		"no size":              "old \n\n" + good,
		"carriage returns":     "old 600\r\n\r\n" + good,
		"a short hash":         "old 600\nAAAA\n\n" + good,
		"64 hashes":            head(600, make([]proofs.Hash, 64)...) + good,
		"no signatures":        "old 600\n\n" + n.Text,
		"no note":              "old 600\n\n",
		"two lines of note":    head(600) + string(l.sign(t, l.origin+"\n600\n").Marshal()),
		"a size with a zero":   head(600) + string(l.sign(t, strings.Replace(n.Text, "600", "0600", 1)).Marshal()),
		"a short root":         head(600) + string(l.sign(t, l.origin+"\n600\nAAAA\n").Marshal()),
		"an empty line inside": head(600) + string(l.sign(t, n.Text+"\nx\n").Marshal()),
		"an empty origin":      head(600) + string(l.sign(t, "\n600\n"+l.roots[600].String()+"\n").Marshal()),
	} {
		refused(what, body, 400)
	}
	refused("63 hashes", head(600, make([]proofs.Hash, 63)...)+good, 422)
	refused("a long body", head(600)+strings.Repeat("x", maxRequest), 413)
	conflict(t, ask(s, l.request(t, 0, 600)), 600)
	if w := get(s, "/add-checkpoint"); w.Code != http.StatusMethodNotAllowed {
		t.Error(w.Code)
	}
}

// TestMonitors: what was cosigned is shown, signatures of strangers are not, and a log
// that is no longer cosigned for is not forgotten.
func TestMonitors(t *testing.T) {
	a, b := newTestLog(t, "a.example/test/1", 10, 0, ""), newTestLog(t, "b.example/test/1", 10, 0, "")
	c := setup(t, true, a, b)
	s := open(t, c)
	if shown(t, s, a) != nil {
		t.Error("a checkpoint before the first")
	}
	n := a.note(t, 5)
	n.Signatures = append(n.Signatures, proofs.Signature{Name: "x", KeyID: 1, Bytes: []byte("x")})
	w := ask(s, a.head(t, 0, 5)+string(n.Marshal()))
	want := cosigned(t, c, a.note(t, 5), w)
	if got := shown(t, s, a); string(got) != string(want.Marshal()) {
		t.Errorf("%s", got)
	}
	if shown(t, s, b) != nil || get(s, "/"+strings.ToUpper(hashOf(a.origin))+"/checkpoint").Code != 404 {
		t.Error("the checkpoint of another log")
	}
	must(t, s.Close())
	c.Logs = []proofs.VerifierKey{b.key}
	s = open(t, c)
	if got := shown(t, s, a); string(got) != string(want.Marshal()) {
		t.Errorf("after a restart: %s", got)
	}
	if w := ask(s, a.request(t, 5, 6)); w.Code != 404 {
		t.Error(w.Code)
	}
	cosigned(t, c, b.note(t, 3), ask(s, b.request(t, 0, 3)))
	must(t, s.Close())
	c.Logs = []proofs.VerifierKey{a.key}
	conflict(t, ask(open(t, c), a.request(t, 0, 10)), 5)
}

// TestStrangeLogs: extension lines are signed by Ed25519 alone; a log may sign by
// ML-DSA-44, and by two keys in a rotation.
func TestStrangeLogs(t *testing.T) {
	l := newTestLog(t, "log.example/strange", 10, 0, "")
	c := setup(t, true, l)
	private, err := mldsa.GenerateKey(mldsa.MLDSA44())
	must(t, err)
	second, err := proofs.NewVerifierKey(l.origin, proofs.TypeMLDSA44Cosigner, private.PublicKey().Bytes())
	must(t, err)
	c.Logs = append(c.Logs, second)
	s := open(t, c)
	extended := l.sign(t, l.checkpoint(4).String()+"extension 1\nextension 2\n")
	cosigned(t, c, extended, ask(s, head(0)+string(extended.Marshal())))
	cp := l.checkpoint(5)
	signature, err := pmldsa.Cosign(second, cp, 1, private)
	must(t, err)
	n := proofs.Note{Text: cp.String(), Signatures: []proofs.Signature{signature}}
	cosigned(t, c, n, ask(s, l.head(t, 4, 5)+string(n.Marshal())))
	n.Signatures = append(n.Signatures, l.note(t, 5).Signatures...)
	cosigned(t, c, n, ask(s, head(5)+string(n.Marshal())))
	n.Signatures[0].Bytes[100] ^= 1
	if w := ask(s, head(5)+string(n.Marshal())); w.Code != 403 {
		t.Error("one bad signature of two:", w.Code)
	}
}

// TestLogNamedTwice: a log that the configuration names twice is one log.
func TestLogNamedTwice(t *testing.T) {
	l := newTestLog(t, "log.example/test/1", 10, 0, "")
	c := setup(t, true, l, l)
	s := open(t, c)
	cosigned(t, c, l.note(t, 5), ask(s, l.request(t, 0, 5)))
	must(t, s.Close())
	s = open(t, c)
	cosigned(t, c, l.note(t, 6), ask(s, l.request(t, 5, 6)))
	must(t, s.Close())
	twin := l.key
	twin.Key = string(newTestLog(t, "other", 1, 0, "").signer.Public().(ed25519.PublicKey))
	c.Logs, c.Metrics = append(c.Logs, twin), nil
	if s, err := OpenServer(c); err == nil {
		s.Close()
		t.Error("two keys of one id")
	}
}

// TestForkIsKept: a log's two checkpoints of one size stay as proof, whatever old size
// it gave with the second.
func TestForkIsKept(t *testing.T) {
	l, fork := newTestLog(t, "log.example/test/1", 9, 0, ""), newTestLog(t, "log.example/test/1", 9, 3, "fork")
	c := setup(t, false, l)
	s := open(t, c)
	cosigned(t, c, l.note(t, 9), ask(s, l.request(t, 0, 9)))
	for range 2 {
		conflict(t, ask(s, fork.request(t, 3, 9)), 9)
		if w := ask(s, fork.request(t, 9, 9)); w.Code != 422 {
			t.Error(w.Code)
		}
	}
	files, err := filepath.Glob(filepath.Join(c.Dir, "forks", hashOf(l.origin), "9-*.checkpoint"))
	must(t, err)
	roots := map[proofs.Hash]bool{}
	for _, f := range files {
		data, err := os.ReadFile(f)
		must(t, err)
		n, err := proofs.ParseNote(data)
		must(t, err)
		cp, err := proofs.ParseCheckpoint(n.Text)
		must(t, err)
		if _, ok := l.key.Verify(n.Text, n.Signatures[0]); !ok {
			t.Error("not signed by the log")
		}
		roots[cp.Root] = true
	}
	if len(files) != 2 || !roots[l.roots[9]] || !roots[fork.roots[9]] {
		t.Errorf("%v", files)
	}
}

// TestRolledBackWitness: shown a cosignature of its own that its state does not know, a
// witness stops: what else it has forgotten, it might contradict.
func TestRolledBackWitness(t *testing.T) {
	l := newTestLog(t, "log.example/test/1", 10, 0, "")
	for what, change := range map[string]func(s *Server, c ServerConfig, old []byte) string{
		"a larger size": func(s *Server, c ServerConfig, old []byte) string {
			n := cosigned(t, c, l.note(t, 9), ask(s, l.request(t, 5, 9)))
			return l.head(t, 5, 9) + string(n.Marshal())
		},
		"of one key only": func(s *Server, c ServerConfig, old []byte) string {
			n := cosigned(t, c, l.note(t, 9), ask(s, l.request(t, 5, 9)))
			n.Signatures = slices.Delete(n.Signatures, 1, 2)
			return head(0) + string(n.Marshal())
		},
	} {
		c := setup(t, true, l)
		s := open(t, c)
		cosigned(t, c, l.note(t, 5), ask(s, l.request(t, 0, 5)))
		path := filepath.Join(c.Dir, stateFile)
		old, err := os.ReadFile(path)
		must(t, err)
		body := change(s, c, old)
		must(t, s.Close())
		must(t, os.WriteFile(path, old, 0o600))
		s = open(t, c)
		if w := ask(s, body); w.Code != 503 {
			t.Errorf("%s: %d %s", what, w.Code, w.Body)
		}
		select {
		case <-s.Failed():
		case <-time.After(time.Second):
			t.Errorf("%s: it goes on", what)
		}
		if w := ask(s, l.request(t, 5, 6)); w.Code != 503 || get(s, "/healthz").Code != 503 {
			t.Errorf("%s: it answers %d", what, w.Code)
		}
	}
}

// TestOwnCosignaturesAreNoAlarm: a log sends what it has, our cosignature of today too.
func TestOwnCosignaturesAreNoAlarm(t *testing.T) {
	l := newTestLog(t, "log.example/test/1", 10, 0, "")
	c := setup(t, true, l)
	s := open(t, c)
	five := cosigned(t, c, l.note(t, 5), ask(s, l.request(t, 0, 5)))
	if w := ask(s, head(5)+string(five.Marshal())); w.Code != 200 {
		t.Error(w.Code)
	}
	cosigned(t, c, l.note(t, 9), ask(s, l.request(t, 5, 9)))
	conflict(t, ask(s, head(5)+string(five.Marshal())), 9)
	// Someone else's signature in our name stops nobody.
	forged := l.note(t, 10)
	forged.Signatures = append(forged.Signatures, five.Signatures[1:]...)
	if w := ask(s, l.head(t, 9, 10)+string(forged.Marshal())); w.Code != 200 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// TestConfigurationsRefused: keys in the wrong role.
func TestConfigurationsRefused(t *testing.T) {
	l := newTestLog(t, "log.example/test/1", 1, 0, "")
	c := setup(t, true, l)
	for what, change := range map[string]func(*ServerConfig){
		"no logs":               func(c *ServerConfig) { c.Logs = nil },
		"a witness as log":      func(c *ServerConfig) { c.Logs = []proofs.VerifierKey{c.Keys[0].VerifierKey} },
		"its own key as log's":  func(c *ServerConfig) { c.Logs = []proofs.VerifierKey{c.Keys[1].VerifierKey} },
		"no keys":               func(c *ServerConfig) { c.Keys = nil },
		"ML-DSA-44 alone":       func(c *ServerConfig) { c.Keys = c.Keys[1:] },
		"the keys another way":  func(c *ServerConfig) { slices.Reverse(c.Keys) },
		"a directory of no one": func(c *ServerConfig) { c.Dir = t.TempDir() },
		"its own name, a log's key": func(c *ServerConfig) {
			k, err := proofs.NewVerifierKey(c.Keys[0].Name, proofs.TypeEd25519, l.signer.Public().(ed25519.PublicKey))
			must(t, err)
			c.Logs = []proofs.VerifierKey{k}
		},
	} {
		d := c
		d.Keys, d.Metrics = slices.Clone(c.Keys), nil
		change(&d)
		if s, err := OpenServer(d); err == nil {
			s.Close()
			t.Error(what)
		}
	}
	s := open(t, c)
	if _, err := OpenServer(c); err == nil {
		t.Error("two servers of one directory")
	}
	must(t, s.Close())
	open(t, c)
}
