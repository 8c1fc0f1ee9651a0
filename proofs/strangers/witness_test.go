package strangers

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"filippo.io/torchwood"
	"github.com/muniment/muniment/notary/witness"
	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/proofs/mldsa"
	"github.com/transparency-dev/formats/log"
	fnote "github.com/transparency-dev/formats/note"
	"github.com/transparency-dev/tessera"
	"github.com/transparency-dev/tessera/storage/posix"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// startWitness is our witness, with both its keys, for the logs of those vkeys.
func startWitness(t *testing.T, vkeys ...string) (url string, keys []proofs.VerifierKey) {
	t.Helper()
	dir := t.TempDir()
	keys, err := witness.Init(dir, "court.example/witness", true)
	must(t, err)
	c := witness.ServerConfig{Dir: dir, Logger: slog.New(slog.DiscardHandler)}
	c.Keys, err = witness.LoadKeys(dir)
	must(t, err)
	for _, v := range vkeys {
		k, err := proofs.ParseVerifierKey(v)
		must(t, err)
		c.Logs = append(c.Logs, k)
	}
	s, err := witness.OpenServer(c)
	must(t, err)
	server := httptest.NewServer(s.Handler())
	t.Cleanup(func() { server.Close(); s.Close() })
	return server.URL, keys
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestTesseraIsCosigned: a log that is not ours, with a client of tlog-witness that is
// not ours, publishes nothing without our witness's cosignature, and grows under it.
func TestTesseraIsCosigned(t *testing.T) {
	const name = "tessera.example/test/1"
	secret, public, err := note.GenerateKey(rand.Reader, name)
	must(t, err)
	url, keys := startWitness(t, public)
	policyText := fmt.Sprintf("log %s\nwitness court %s %s\nquorum court\n", public, keys[0], url)
	signer, err := note.NewSigner(secret)
	must(t, err)
	witnesses, err := tessera.NewWitnessGroupFromPolicy([]byte(policyText))
	must(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	driver, err := posix.New(ctx, posix.Config{Path: t.TempDir()})
	must(t, err)
	appender, shutdown, reader, err := tessera.NewAppender(ctx, driver, tessera.NewAppendOptions().
		WithCheckpointSigner(signer).
		WithBatching(8, 10*time.Millisecond).
		WithCheckpointInterval(100*time.Millisecond).
		WithWitnesses(witnesses, &tessera.WitnessOptions{Timeout: 10 * time.Second}))
	must(t, err)
	await := tessera.NewPublicationAwaiter(ctx, reader.ReadCheckpoint, 20*time.Millisecond)
	theirs, err := torchwood.ParsePolicy([]byte(policyText))
	must(t, err)
	ours, err := proofs.ParsePolicy([]byte(policyText))
	must(t, err)
	sizes := map[uint64]bool{}
	for i := range 5 {
		var published []byte
		for j := range 60 {
			future := appender.Add(ctx, tessera.NewEntry(fmt.Appendf(nil, "entry %d of round %d", j, i)))
			if j == 59 {
				_, published, err = await.Await(ctx, future)
				must(t, err)
			}
		}
		cp, outcome, reason := proofs.NewVerifier(ours).Checkpoint(published)
		if outcome != proofs.Verified {
			t.Fatalf("%s %s\n%s", outcome, reason, published)
		}
		if c, _, err := torchwood.VerifyCheckpoint(published, theirs); err != nil || uint64(c.N) != cp.Size {
			t.Errorf("torchwood: %v", err)
		}
		sizes[cp.Size] = true
	}
	must(t, shutdown(ctx))
	if len(sizes) != 5 {
		t.Errorf("published sizes: %v", sizes)
	}
	// Monitors see the newest, with both cosignatures.
	resp, err := http.Get(fmt.Sprintf("%s/%x/checkpoint", url, sha256.Sum256([]byte(name))))
	must(t, err)
	defer resp.Body.Close()
	shown, err := io.ReadAll(resp.Body)
	must(t, err)
	logVerifier, err := note.NewVerifier(public)
	must(t, err)
	cp, _, n, err := log.ParseCheckpoint(shown, name, logVerifier, witnessVerifiers(t, keys)...)
	if err != nil || cp.Size != 300 || len(n.Sigs) != 3 {
		t.Errorf("formats on what monitors see: %v\n%s", err, shown)
	}
}

// witnessVerifiers are those of formats for a witness's keys.
func witnessVerifiers(t *testing.T, keys []proofs.VerifierKey) []note.Verifier {
	t.Helper()
	e, err := fnote.NewVerifierForCosignatureV1(keys[0].String())
	must(t, err)
	m, err := fnote.NewMLDSAVerifier(keys[1].String())
	must(t, err)
	return []note.Verifier{e, m}
}

// TestStrangersAcceptReceiptsOfOurWitness: a receipt cosigned by the witness is verified
// by torchwood under a policy, and its checkpoint by formats under both keys.
func TestStrangersAcceptReceiptsOfOurWitness(t *testing.T) {
	d := newDepository(t, 40)
	logKey := vkey(t, origin, proofs.TypeEd25519, "log").String()
	url, keys := startWitness(t, logKey)
	text := fmt.Sprintf("log %s\nwitness court %s\nquorum court\n", logKey, keys[0])
	theirs, err := torchwood.ParsePolicy([]byte(text))
	must(t, err)
	ours, err := proofs.ParsePolicy([]byte(text))
	must(t, err)
	both, err := proofs.ParsePolicy(fmt.Appendf(nil, "log %s\nwitness e %s\nwitness m %s\ngroup court any e m\nquorum court\n", logKey, keys[0], keys[1]))
	must(t, err)
	old := uint64(0)
	for _, size := range []uint64{1, 2, 17, 40} {
		r := d.receipt(t, size-1, size)
		r.Checkpoint = append(r.Checkpoint, cosignatures(t, d, url, old, size)...)
		for _, p := range []proofs.Policy{ours, both} {
			e, err := proofs.NewVerifier(p, mldsa.Plugged()).Verify(r, nil)
			if err != nil || e.Outcome() != proofs.Verified || e.Level != proofs.Witnessed {
				t.Errorf("%s %s %v", e.Outcome(), e.Reason, err)
			}
		}
		if err := torchwood.VerifyProof(theirs, tlog.RecordHash([]byte(r.Entry.String())), r.Marshal()); err != nil {
			t.Errorf("torchwood: %v", err)
		}
		_, _, n, err := log.ParseCheckpoint(r.Checkpoint, origin, logVerifier(t), witnessVerifiers(t, keys)...)
		if err != nil || len(n.Sigs) != 3 {
			t.Errorf("formats: %v", err)
		}
		old = size
	}
}

// cosignatures asks the witness as any log would.
func cosignatures(t *testing.T, d *depository, url string, old, size uint64) []byte {
	t.Helper()
	var body strings.Builder
	fmt.Fprintf(&body, "old %d\n", old)
	if old > 0 {
		path, err := proofs.ConsistencyProof(old, size, d)
		must(t, err)
		for _, h := range path {
			body.WriteString(h.String() + "\n")
		}
	}
	fmt.Fprintf(&body, "\n%s", d.note(t, size))
	resp, err := http.Post(url+"/add-checkpoint", "", strings.NewReader(body.String()))
	must(t, err)
	defer resp.Body.Close()
	said, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%d %s %v", resp.StatusCode, said, err)
	}
	return said
}

// TestMLDSACosignaturesInterchange: formats' verify in ours, and none that is altered;
// TestStrangersAcceptReceiptsOfOurWitness is the other way round.
func TestMLDSACosignaturesInterchange(t *testing.T) {
	d := newDepository(t, 5)
	secret, public, err := fnote.GenerateMLDSAKey("w.example")
	must(t, err)
	signer, err := fnote.NewMLDSASigner(secret)
	must(t, err)
	open, err := note.Open(d.note(t, 5), note.VerifierList(logVerifier(t)))
	must(t, err)
	signed, err := note.Sign(open, signer)
	must(t, err)
	p, err := proofs.ParsePolicy([]byte("log " + vkey(t, origin, proofs.TypeEd25519, "log").String() + "\nwitness w " + public + "\nquorum w\n"))
	must(t, err)
	v := proofs.NewVerifier(p, mldsa.Plugged())
	if _, outcome, reason := v.Checkpoint(signed); outcome != proofs.Verified {
		t.Fatalf("%s %s", outcome, reason)
	}
	n, err := proofs.ParseNote(signed)
	must(t, err)
	at := slices.IndexFunc(n.Signatures, func(s proofs.Signature) bool { return s.Name == "w.example" })
	good := bytes.Clone(n.Signatures[at].Bytes)
	for i := 0; i < len(good); i += 23 {
		n.Signatures[at].Bytes = bytes.Clone(good)
		n.Signatures[at].Bytes[i] ^= 4
		if _, outcome, _ := v.Checkpoint(n.Marshal()); outcome != proofs.Refused {
			t.Fatalf("byte %d: %s", i, outcome)
		}
	}
}
