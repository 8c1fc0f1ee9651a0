package strangers

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"filippo.io/torchwood"
	"github.com/muniment/muniment/proofs"
	"github.com/transparency-dev/formats/log"
	"github.com/transparency-dev/formats/proof"
	tproof "github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// served is the depository itself, built from this tree and running.
type served struct {
	Vkey   string `json:"vkey"`
	APIKey string `json:"api_key"`
	Origin string `json:"origin"`
	url    string
	policy []byte // as /log/policy answers
	binary string
	dir    string
}

// serve builds munimentd, lays a depository out, and runs it until the test ends.
func serve(t *testing.T) *served {
	t.Helper()
	s := layOut(t)
	s.run(t)
	return s
}

// layOut builds munimentd and lays a depository out.
func layOut(t *testing.T) *served {
	t.Helper()
	dir := t.TempDir()
	binary := filepath.Join(dir, "munimentd")
	build := exec.Command("go", "build", "-o", binary, "github.com/muniment/muniment/cmd/munimentd")
	build.Dir = filepath.Join("..", "..") // its own module has its dependencies
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	out, err := exec.Command(binary, "init", "--json", "--dir", filepath.Join(dir, "depository")).Output()
	if err != nil {
		t.Fatal(err)
	}
	s := &served{binary: binary, dir: filepath.Join(dir, "depository")}
	if err := json.Unmarshal(out, s); err != nil {
		t.Fatal(err)
	}
	return s
}

// run serves until the test ends.
func (s *served) run(t *testing.T) {
	t.Helper()
	run := exec.Command(s.binary, "serve", "--dir", s.dir, "--listen", "127.0.0.1:0")
	var said bytes.Buffer
	run.Stderr = &said
	stdout, err := run.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := run.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		run.Process.Signal(syscall.SIGTERM)
		if err := run.Wait(); err != nil {
			t.Errorf("munimentd: %v", err)
		}
		if t.Failed() {
			t.Logf("munimentd said: %s", &said)
		}
	})
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`^serving \S+ on (http://\S+)\n$`).FindStringSubmatch(line)
	if m == nil {
		t.Fatalf("it says %q", line)
	}
	s.url = m[1]
	s.policy = s.get(t, "/log/policy")
}

func (s *served) get(t *testing.T, path string) []byte {
	t.Helper()
	resp, err := http.Get(s.url + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("GET %s: %s %v", path, resp.Status, err)
	}
	return data
}

// answered is a deposit as the API tells it.
type answered struct {
	Index   uint64 `json:"index"`
	Leaf    string `json:"leaf"`
	Receipt string `json:"receipt"`
}

// deposit sends one digest.
func (s *served) deposit(i int) (answered, error) {
	body := fmt.Sprintf(`{"record":{"content.sha256":"%064x","contract.number":"LC-%d","party.0.name":"张三"}}`, i+1, i%50)
	req, err := http.NewRequest(http.MethodPost, s.url+"/v1/deposits", strings.NewReader(body))
	if err != nil {
		return answered{}, err
	}
	req.Header.Set("Authorization", "Bearer "+s.APIKey)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Idempotency-Key", fmt.Sprint("served-", i))
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return answered{}, err
	}
	defer resp.Body.Close()
	var a answered
	if resp.StatusCode != http.StatusCreated {
		text, _ := io.ReadAll(resp.Body)
		return a, fmt.Errorf("%s: %s", resp.Status, text)
	}
	return a, json.NewDecoder(resp.Body).Decode(&a)
}

// fill makes n deposits, many at a time, and returns the receipts.
func (s *served) fill(t *testing.T, n int) []answered {
	t.Helper()
	receipts := make([]answered, n)
	const callers = 16
	var all sync.WaitGroup
	for w := range callers {
		all.Go(func() {
			for i := w; i < n; i += callers {
				var err error
				if receipts[i], err = s.deposit(i); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	if t.Failed() {
		t.FailNow()
	}
	return receipts
}

// TestStrangersReadTheServedLog: a client that is not ours reads the whole log as
// munimentd serves it, and comes to the root that was signed.
func TestStrangersReadTheServedLog(t *testing.T) {
	s := serve(t)
	const n = 600 // two full tiles and a partial one
	receipts := s.fill(t, n)
	p, err := torchwood.ParsePolicy(s.policy)
	if err != nil {
		t.Fatal(err)
	}
	c, _, err := torchwood.VerifyCheckpoint(s.get(t, "/log/checkpoint"), p)
	if err != nil {
		t.Fatal(err)
	}
	if c.N != n+1 || c.Origin != s.Origin {
		t.Fatalf("the checkpoint is of %s and %d entries, want genesis and %d", c.Origin, c.N, n)
	}
	fetcher, err := torchwood.NewTileFetcher(s.url+"/log/", torchwood.WithHTTPClient(&http.Client{Timeout: 10 * time.Second, Transport: http.DefaultTransport}))
	if err != nil {
		t.Fatal(err)
	}
	client, err := torchwood.NewClient(fetcher)
	if err != nil {
		t.Fatal(err)
	}
	leaves := map[uint64]tlog.Hash{}
	for i, entry := range client.AllEntries(t.Context(), c.Tree, 0) {
		leaves[uint64(i)] = tlog.RecordHash(entry)
	}
	if err := client.Err(); err != nil || len(leaves) != n+1 {
		t.Fatalf("%d of %d entries: %v", len(leaves), n+1, err)
	}
	for _, r := range receipts {
		if got := leaves[r.Index].String(); got != r.Leaf {
			t.Errorf("entry %d has leaf %s, the depositor was told %s", r.Index, got, r.Leaf)
		}
	}
	s.rootByRecordHashes(t, c.Tree, leaves)
	hashes := torchwood.TileHashReaderWithContext(t.Context(), c.Tree, fetcher)
	if root, err := tlog.TreeHash(c.N, hashes); err != nil || root != c.Hash {
		t.Errorf("x/mod's root over the served tiles: %v, %v", root, err)
	}
	for _, i := range []int64{0, 1, 255, 256, 511, 512, n} {
		entry, path, err := client.Entry(t.Context(), c.Tree, i)
		if err != nil || proofs.VerifyInclusion(ours(path), uint64(i), uint64(c.N), proofs.LeafHash(entry), proofs.Hash(c.Hash)) != nil {
			t.Errorf("their proof of entry %d in %d: %v", i, c.N, err)
		}
	}
}

// rootByRecordHashes builds x/mod's tree from the entries alone, without our tiles.
func (s *served) rootByRecordHashes(t *testing.T, tree tlog.Tree, leaves map[uint64]tlog.Hash) {
	t.Helper()
	var stored []tlog.Hash
	reader := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		out := make([]tlog.Hash, len(indexes))
		for i, x := range indexes {
			out[i] = stored[x]
		}
		return out, nil
	})
	for i := range uint64(tree.N) {
		more, err := tlog.StoredHashesForRecordHash(int64(i), leaves[i], reader)
		if err != nil {
			t.Fatal(err)
		}
		stored = append(stored, more...)
	}
	if root, err := tlog.TreeHash(tree.N, reader); err != nil || root != tree.Hash {
		t.Errorf("x/mod's root over the served entries: %v, %v, signed is %v", root, err, tree.Hash)
	}
}

// TestStrangersAcceptServedReceipts: receipts as the API answers them, under the
// policy as it is served, and none of them with a bit changed.
func TestStrangersAcceptServedReceipts(t *testing.T) {
	s := serve(t)
	p, err := torchwood.ParsePolicy(s.policy)
	if err != nil {
		t.Fatal(err)
	}
	key, err := note.NewVerifier(s.Vkey)
	if err != nil {
		t.Fatal(err)
	}
	if want := "log " + s.Vkey + "\nquorum none\n"; string(s.policy) != want {
		t.Errorf("the served policy is %q, init told %q", s.policy, want)
	}
	for _, r := range s.fill(t, 300) {
		file := []byte(r.Receipt)
		leaf, err := tlog.ParseHash(r.Leaf)
		if err != nil {
			t.Fatal(err)
		}
		if err := torchwood.VerifyProof(p, leaf, file); err != nil {
			t.Fatalf("torchwood refuses entry %d: %v", r.Index, err)
		}
		if err := s.byFormats(key, leaf, file); err != nil {
			t.Fatalf("formats and merkle refuse entry %d: %v", r.Index, err)
		}
		// What they accept is bound to this leaf and these bytes.
		if other := (tlog.Hash{}); torchwood.VerifyProof(p, other, file) == nil || s.byFormats(key, other, file) == nil {
			t.Fatalf("entry %d is accepted for another leaf", r.Index)
		}
		spoiled := bytes.Clone(file)
		spoiled[len(spoiled)-20] ^= 1 // in the log's signature
		if torchwood.VerifyProof(p, leaf, spoiled) == nil || s.byFormats(key, leaf, spoiled) == nil {
			t.Fatalf("entry %d is accepted with a spoiled signature", r.Index)
		}
	}
}

func (s *served) byFormats(key note.Verifier, leaf tlog.Hash, file []byte) error {
	var p proof.TLogProof
	if err := p.Unmarshal(file); err != nil {
		return err
	}
	cp, _, _, err := log.ParseCheckpoint(p.Checkpoint, s.Origin, key)
	if err != nil {
		return err
	}
	path := make([][]byte, len(p.Hashes))
	for i := range p.Hashes {
		path[i] = p.Hashes[i][:]
	}
	return tproof.VerifyInclusion(rfc6962.DefaultHasher, p.Index, cp.Size, leaf[:], path, cp.Hash)
}
