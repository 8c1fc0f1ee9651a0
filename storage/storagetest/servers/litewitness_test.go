package servers_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"io"
	"net/http"
	"testing"

	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/storage/storagetest/servers"
)

// TestLitewitness: it cosigns a log's checkpoint, remembers it over a crash, and knows
// no other log until it is told.
func TestLitewitness(t *testing.T) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	log, err := proofs.NewVerifierKey("log.example/test/1", proofs.TypeEd25519, public)
	must(t, err)
	w, err := servers.StartLitewitness(t.TempDir(), "witness.example", log)
	must(t, err)
	t.Cleanup(w.Close)
	var tree proofs.Range
	tree.Append(proofs.LeafHash([]byte("entry")), func(int, proofs.Hash) {})
	text := proofs.Checkpoint{Origin: log.Name, Size: 1, Root: tree.Root()}.String()
	signature, err := log.Sign(text, private)
	must(t, err)
	signed := proofs.Note{Text: text, Signatures: []proofs.Signature{signature}}

	status, body := addCheckpoint(t, w, "old 0\n\n", signed)
	if status != http.StatusOK {
		t.Fatalf("%d %s", status, body)
	}
	signed, err = proofs.ParseNote(append(signed.Marshal(), body...))
	must(t, err)
	policy, err := proofs.ParsePolicy([]byte("log " + log.String() + "\nwitness W " + w.Key.String() + "\nquorum W\n"))
	must(t, err)
	if _, outcome, reason := proofs.NewVerifier(policy).Checkpoint(signed.Marshal()); outcome != proofs.Verified {
		t.Errorf("its cosignature is %s: %s", outcome, reason)
	}
	w.Kill()
	must(t, w.Start())
	if status, body := addCheckpoint(t, w, "old 0\n\n", signed); status != http.StatusConflict || string(body) != "1\n" {
		t.Errorf("after a crash: %d %s", status, body)
	}
	other, err := proofs.NewVerifierKey("other.example/test/1", proofs.TypeEd25519, public)
	must(t, err)
	text = proofs.Checkpoint{Origin: other.Name, Size: 1, Root: tree.Root()}.String()
	signature, err = other.Sign(text, private)
	must(t, err)
	signed = proofs.Note{Text: text, Signatures: []proofs.Signature{signature}}
	if status, _ := addCheckpoint(t, w, "old 0\n\n", signed); status != http.StatusNotFound {
		t.Errorf("an unknown log: %d", status)
	}
	must(t, w.AddLogs(other))
	if status, body := addCheckpoint(t, w, "old 0\n\n", signed); status != http.StatusOK {
		t.Errorf("a log added: %d %s", status, body)
	}
	must(t, w.Stop())
}

func addCheckpoint(t *testing.T, w *servers.Litewitness, head string, n proofs.Note) (int, []byte) {
	t.Helper()
	resp, err := http.Post(w.URL+"/add-checkpoint", "text/plain", bytes.NewReader(append([]byte(head), n.Marshal()...)))
	must(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	must(t, err)
	return resp.StatusCode, body
}
