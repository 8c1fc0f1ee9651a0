package cosign_test

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/notary/cosign"
	"github.com/muniment/muniment/notary/notarytest"
	"github.com/muniment/muniment/proofs"
)

// world is a log of many sizes, and witnesses of it.
type world struct {
	t         *testing.T
	key       proofs.VerifierKey
	signer    ed25519.PrivateKey
	leaves    []proofs.Hash
	witnesses []*notarytest.Witness
	client    *cosign.Client
}

// newWorld has witnesses of which that many make the quorum.
func newWorld(t *testing.T, witnesses, quorum int) *world {
	t.Helper()
	seed := sha256.Sum256([]byte("log"))
	w := &world{t: t, signer: ed25519.NewKeyFromSeed(seed[:])}
	var err error
	if w.key, err = proofs.NewVerifierKey("log.example/test/1", proofs.TypeEd25519, w.signer.Public().(ed25519.PublicKey)); err != nil {
		t.Fatal(err)
	}
	for i := range 600 {
		w.leaves = append(w.leaves, proofs.LeafHash(fmt.Append(nil, "leaf ", i)))
	}
	text, names := "log "+w.key.String()+"\n", ""
	for i := range witnesses {
		one := notarytest.NewWitness(fmt.Sprintf("w%d", i), w.key, time.Now)
		w.witnesses = append(w.witnesses, one)
		text, names = text+one.Line(), names+fmt.Sprintf(" w%d", i)
	}
	w.client = w.ask(fmt.Sprintf("%sgroup g %d%s\nquorum g\n", text, quorum, names), notarytest.Transport(w.witnesses))
	return w
}

func (w *world) ask(policy string, by http.RoundTripper) *cosign.Client {
	w.t.Helper()
	p, err := proofs.ParsePolicy([]byte(policy))
	if err != nil {
		w.t.Fatal(err)
	}
	c, err := cosign.New(cosign.Config{Policy: p, Transport: by, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(c.Close)
	return c
}

// tiles reads the tiles of the leaves.
type tiles struct{ leaves []proofs.Hash }

// mth is MTH of RFC 6962 §2.1 over as many leaves as a power of two.
func mth(leaves []proofs.Hash) proofs.Hash {
	if len(leaves) == 1 {
		return leaves[0]
	}
	return proofs.NodeHash(mth(leaves[:len(leaves)/2]), mth(leaves[len(leaves)/2:]))
}

func (r tiles) ReadTile(level int, index uint64, width int) (*proofs.Tile, error) {
	if level > 0 {
		var up []proofs.Hash
		for i := range len(r.leaves) / 256 {
			up = append(up, mth(r.leaves[i*256:(i+1)*256]))
		}
		return tiles{up}.ReadTile(level-1, index, width)
	}
	from := int(index) * 256
	return proofs.NewTile(r.leaves[from : from+width]), nil
}

// sealed is the log's signed checkpoint of a size.
func (w *world) sealed(size int) notary.Sealed {
	w.t.Helper()
	reader := tiles{w.leaves}
	root, err := proofs.RootAt(uint64(size), reader)
	if err != nil {
		w.t.Fatal(err)
	}
	s := notary.Sealed{
		Checkpoint: proofs.Checkpoint{Origin: w.key.Name, Size: uint64(size), Root: root}, Time: time.Now(),
		Prove: func(_ context.Context, from, to uint64) ([]proofs.Hash, error) {
			return proofs.ConsistencyProof(from, to, reader)
		},
	}
	signature, err := w.key.Sign(s.String(), w.signer)
	if err != nil {
		w.t.Fatal(err)
	}
	s.Note = proofs.Note{Text: s.String(), Signatures: []proofs.Signature{signature}}.Marshal()
	return s
}

func (w *world) cosign(c *cosign.Client, size int) notary.Cosigned {
	ctx, cancel := context.WithTimeout(w.t.Context(), 10*time.Second)
	defer cancel()
	return c.Cosign(ctx, w.sealed(size))
}

// TestGrowth: each witness is proved the growth from what it cosigned last; a client that
// knows nothing learns it, once, and then remembers.
func TestGrowth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 3, 3)
		for _, size := range []int{1, 2, 3, 255, 256, 257, 257, 300, 511, 512, 600} {
			if said := w.cosign(w.client, size); len(said.Cosignatures) != 3 || len(said.Dissents) != 0 {
				t.Fatalf("at size %d: %+v", size, said)
			}
		}
		if asked := w.witnesses[0].Asked(); asked != 10 { // one of the sizes was there already
			t.Errorf("asked %d times for ten sizes", asked)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1, 1)
		w.cosign(w.client, 100)
		before := w.witnesses[0].Asked()
		second := w.ask(policyOf(w), notarytest.Transport(w.witnesses))
		for _, size := range []int{100, 300, 300, 500} {
			if said := w.cosign(second, size); len(said.Cosignatures) != 1 {
				t.Fatalf("at size %d: %+v", size, said)
			}
		}
		if asked := w.witnesses[0].Asked() - before; asked != 4 {
			t.Errorf("asked %d times for three sizes and one conflict", asked)
		}
	})
}

func policyOf(w *world) string {
	text := "log " + w.key.String() + "\n"
	names := ""
	for i, one := range w.witnesses {
		text, names = text+one.Line(), names+fmt.Sprintf(" w%d", i)
	}
	return text + "group g any" + names + "\nquorum g\n"
}

// TestLate: the quorum is not delayed by who is late, whose cosignature is there when the
// same checkpoint is handed in again; and a quorum that cannot stand is not waited for.
func TestLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 3, 2)
		w.witnesses[2].Set(notarytest.Well, 5*time.Second)
		begun := time.Now()
		if said := w.cosign(w.client, 10); len(said.Cosignatures) != 2 || time.Since(begun) > 0 {
			t.Errorf("%d cosignatures after %v", len(said.Cosignatures), time.Since(begun))
		}
		time.Sleep(6 * time.Second)
		if said := w.cosign(w.client, 10); len(said.Cosignatures) != 3 {
			t.Errorf("%d cosignatures later", len(said.Cosignatures))
		}
		w.witnesses[1].Set(notarytest.Hangs, 0)
		w.witnesses[2].Set(notarytest.Hangs, 0)
		for i, patience := range []time.Duration{time.Second, 0, 0} {
			begun := time.Now()
			if w.cosign(w.client, 11+i); time.Since(begun) != patience {
				t.Errorf("given up after %v, want it after %v", time.Since(begun), patience)
			}
		}
		w.witnesses[1].Set(notarytest.Well, 0)
		time.Sleep(16 * time.Second) // the request that hangs, and the pause after it
		if said := w.cosign(w.client, 13); len(said.Cosignatures) != 2 {
			t.Errorf("%d cosignatures when one is back", len(said.Cosignatures))
		}
	})
}

// TestTroubles: whatever is wrong with a witness, none of it counts, and it is asked ever
// less often until it is well.
func TestTroubles(t *testing.T) {
	for _, trouble := range notarytest.Troubles() {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, 1, 1)
			w.cosign(w.client, 10)
			w.witnesses[0].Set(trouble, 0)
			before := w.witnesses[0].Asked()
			said := w.cosign(w.client, 20)
			if len(said.Cosignatures) > 0 {
				t.Errorf("%v: cosigned", trouble)
			}
			time.Sleep(time.Minute)
			if asked := w.witnesses[0].Asked() - before; asked < 2 || asked > 50 {
				t.Errorf("%v: asked %d times in a minute", trouble, asked)
			}
			said = w.cosign(w.client, 20)
			dissents := trouble == notarytest.Denies || trouble == notarytest.ClaimsAhead
			if (len(said.Dissents) == 1) != dissents {
				t.Errorf("%v: %+v", trouble, said.Dissents)
			}
			w.witnesses[0].Set(notarytest.Well, 0)
			time.Sleep(20 * time.Second)
			if said := w.cosign(w.client, 20); len(said.Cosignatures) != 1 || len(said.Dissents) != 0 {
				t.Errorf("%v: %+v when it is well", trouble, said)
			}
		})
	}
}

// TestDissents: a witness that is ahead, or of another history, shows what the log signed.
func TestDissents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1, 1)
		w.cosign(w.client, 300)
		behind := w.ask(policyOf(w), notarytest.Transport(w.witnesses)) // of a depository that was rolled back
		said := w.cosign(behind, 200)
		if len(said.Dissents) != 1 || said.Dissents[0].Size != 300 || !strings.Contains(string(said.Dissents[0].Note), "\n300\n") {
			t.Fatalf("%+v", said)
		}
		for i := range w.leaves[250:] {
			w.leaves[250+i] = proofs.LeafHash([]byte("other"))
		}
		forked := w.ask(policyOf(w), notarytest.Transport(w.witnesses))
		for _, size := range []int{300, 400} {
			said := w.cosign(forked, size)
			if len(said.Dissents) != 1 || said.Dissents[0].Size != 300 || len(said.Dissents[0].Note) == 0 || len(said.Cosignatures) != 0 {
				t.Errorf("at size %d: %+v", size, said)
			}
		}
		w.witnesses[0].Mute()
		time.Sleep(10 * time.Second)
		if said := w.cosign(forked, 500); len(said.Dissents) != 1 || said.Dissents[0].Note != nil {
			t.Errorf("with nothing to show: %+v", said)
		}
	})
}

// roundTrip is a function as a transport.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestAnswers: no answer of whatever form is taken for a cosignature, or for more than it
// says; endless ones cost little.
func TestAnswers(t *testing.T) {
	for name, answer := range map[string]struct {
		status int
		body   io.Reader
	}{
		"empty":           {200, strings.NewReader("")},
		"html":            {200, strings.NewReader("<html>Welcome</html>\n")},
		"endless":         {200, endless{}},
		"endless no":      {500, endless{}},
		"the request":     {200, strings.NewReader("\n\n— log.example/test/1 AAAAAAAA\n")},
		"redirect":        {302, strings.NewReader("")},
		"no size":         {409, strings.NewReader("")},
		"a size without":  {409, strings.NewReader("7")},
		"a negative size": {409, strings.NewReader("-7\n")},
		"a long size":     {409, strings.NewReader("007\n")},
		"two sizes":       {409, strings.NewReader("7\n7\n")},
		"a huge size":     {409, strings.NewReader("18446744073709551615\n")},
		"changing sizes":  {409, strings.NewReader("7\n")},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, 1, 1)
			c := w.ask(policyOf(w), roundTrip(func(r *http.Request) (*http.Response, error) {
				return &http.Response{StatusCode: answer.status, Header: http.Header{"Location": {"http://other.test/"}}, Body: io.NopCloser(answer.body), Request: r}, nil
			}))
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			if said := c.Cosign(ctx, w.sealed(10)); len(said.Cosignatures)+len(said.Dissents) > 0 {
				t.Errorf("%s: %+v", name, said)
			}
		})
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return copy(p, strings.Repeat("x", len(p))), nil }

// TestPoliciesToAsk: what cannot be asked is refused at the start.
func TestPoliciesToAsk(t *testing.T) {
	w := newWorld(t, 2, 2)
	line := strings.TrimSuffix(w.witnesses[0].Line(), "http://w0.test/prefix/\n")
	for address, ok := range map[string]bool{
		"https://w.example": true, "http://127.0.0.1:8080/a/b/": true, "": false,
		"ftp://w.example": false, "w.example": false, "https://": false, "https://w.example/?a=b": false, "https://w.example/#a": false,
	} {
		p, err := proofs.ParsePolicy([]byte("log " + w.key.String() + "\n" + line + address + "\nquorum w0\n"))
		if err != nil {
			t.Fatal(err)
		}
		c, err := cosign.New(cosign.Config{Policy: p})
		if (err == nil) != ok {
			t.Errorf("%q: %v", address, err)
		}
		if err == nil {
			c.Close()
		}
	}
}

// TestSeries: a witness has its series from the start, under its name in the policy.
func TestSeries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 2, 1)
		r := prometheus.NewPedanticRegistry()
		r.MustRegister(w.client)
		count := func() (n int) {
			families, err := r.Gather()
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range families {
				if !strings.HasPrefix(f.GetName(), "muniment_witness_") {
					t.Errorf("%s", f.GetName())
				}
				n += len(f.GetMetric())
			}
			return n
		}
		before := count()
		w.witnesses[0].Set(notarytest.Babbles, 0)
		w.cosign(w.client, 10)
		time.Sleep(time.Second)
		if after := count(); after != before || before != 2*(5+3) {
			t.Errorf("%d series, then %d", before, after)
		}
	})
}

// TestExamine: how each witness stands to what is published.
func TestExamine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 4, 1)
		s := w.sealed(10)
		w.cosign(w.client, 5)
		time.Sleep(time.Second)
		w.witnesses[1].Set(notarytest.Down, 0)
		w.witnesses[2].Set(notarytest.ClaimsAhead, 0)
		w.witnesses[3].Restore(notarytest.WitnessState{})
		got := w.client.Examine(t.Context(), s.Checkpoint, s.Note)
		for i, want := range []struct {
			size          uint64
			well, dissent bool
		}{{5, true, false}, {0, false, false}, {1 << 62, false, true}, {10, true, false}} {
			if g := got[i]; g.Size != want.size || (g.Err == nil) != want.well || g.Dissent != want.dissent || g.Witness != fmt.Sprint("w", i) {
				t.Errorf("%d: %+v", i, g)
			}
		}
		if errors.Is(got[1].Err, context.Canceled) {
			t.Error(got[1].Err)
		}
	})
}
