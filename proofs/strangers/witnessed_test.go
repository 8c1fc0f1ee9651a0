package strangers

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"filippo.io/torchwood"
	"github.com/muniment/muniment/notary/witness"
	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/storage/storagetest/servers"
	"github.com/transparency-dev/formats/log"
	fnote "github.com/transparency-dev/formats/note"
	"github.com/transparency-dev/formats/proof"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// ownWitness runs our own witness until the test ends, and returns its key and address.
func ownWitness(t *testing.T, name string, logKey proofs.VerifierKey) (proofs.VerifierKey, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "witness")
	public, err := witness.Init(dir, name, false)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := witness.LoadKeys(dir)
	if err != nil {
		t.Fatal(err)
	}
	s, err := witness.OpenServer(witness.ServerConfig{Dir: dir, Keys: keys, Logs: []proofs.VerifierKey{logKey}, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = s.Serve(ctx, l, 100*time.Millisecond)
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
		_ = s.Close()
	})
	return public[0], "http://" + l.Addr().String()
}

// TestStrangersAcceptWitnessedReceipts: a depository that two litewitnesses and a witness
// of our own cosign. torchwood accepts its receipts under the policy as it is served, and
// formats finds the cosignatures; with one cosignature too few both refuse.
func TestStrangersAcceptWitnessedReceipts(t *testing.T) {
	s := layOut(t)
	logKey, err := proofs.ParseVerifierKey(s.Vkey)
	if err != nil {
		t.Fatal(err)
	}
	text := "log " + s.Vkey + "\n"
	var keys []proofs.VerifierKey
	for _, name := range []string{"lite.example/1", "lite.example/2"} {
		w, err := servers.StartLitewitness(t.TempDir(), name, logKey)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(w.Close)
		text += "witness " + name + " " + w.Key.String() + " " + w.URL + "\n"
		keys = append(keys, w.Key)
	}
	key, url := ownWitness(t, "own.example/1", logKey)
	keys = append(keys, key)
	text += "witness own.example/1 " + key.String() + " " + url + "\ngroup two 2 lite.example/1 lite.example/2 own.example/1\nquorum two\n"
	file := filepath.Join(t.TempDir(), "policy")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(s.binary, "policy", "set", file, "--dir", s.dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	s.run(t)
	if string(s.policy) != text {
		t.Fatalf("the served policy is %s", s.policy)
	}
	p, err := torchwood.ParsePolicy(s.policy)
	if err != nil {
		t.Fatal(err)
	}
	var cosigners []note.Verifier
	for _, k := range keys {
		v, err := fnote.NewVerifierForCosignatureV1(k.String())
		if err != nil {
			t.Fatal(err)
		}
		cosigners = append(cosigners, v)
	}
	logVerifier, err := note.NewVerifier(s.Vkey)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range s.fill(t, 100) {
		data := []byte(r.Receipt)
		leaf, err := tlog.ParseHash(r.Leaf)
		if err != nil {
			t.Fatal(err)
		}
		if err := torchwood.VerifyProof(p, leaf, data); err != nil {
			t.Fatalf("torchwood refuses entry %d: %v\n%s", r.Index, err, data)
		}
		var theirs proof.TLogProof
		if err := theirs.Unmarshal(data); err != nil {
			t.Fatal(err)
		}
		_, _, n, err := log.ParseCheckpoint(theirs.Checkpoint, s.Origin, logVerifier, cosigners...)
		if err != nil || len(n.Sigs) < 3 {
			t.Fatalf("formats finds %d signatures: %v\n%s", len(n.Sigs), err, data)
		}
		if err := torchwood.VerifyProof(p, leaf, cosignedOnce(data)); err == nil {
			t.Fatalf("torchwood accepts entry %d with one cosignature:\n%s", r.Index, cosignedOnce(data))
		}
	}
}

// cosignedOnce is a receipt with the log's signature and the first cosignature alone.
func cosignedOnce(receipt []byte) []byte {
	var out bytes.Buffer
	signatures := 0
	for line := range strings.Lines(string(receipt)) {
		if strings.HasPrefix(line, "— ") {
			if signatures++; signatures > 2 {
				continue
			}
		}
		out.WriteString(line)
	}
	return out.Bytes()
}
