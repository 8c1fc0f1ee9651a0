package notary_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/notary/cosign"
	"github.com/muniment/muniment/notary/notarytest"
	"github.com/muniment/muniment/proofs"
)

// depository is a log on fakes, and what an outside observer has seen of it.
type depository struct {
	t        testing.TB
	ledger   *notarytest.Ledger
	blobs    *notarytest.Blobs
	segments *notarytest.Segments // nil: none
	anchor   *notarytest.Anchor
	policy   proofs.Policy
	signer   ed25519.PrivateKey
	tenant   notary.Tenant
	keys     map[notary.ID]notary.TenantKey
	anchors  []notary.Anchor // nil: anchor alone
	peers    *notarytest.Peers
	// timestamps is how checkpoints are dated, from the next open on.
	timestamps *notary.Timestamps
	registry   prometheus.Registerer
	// witnesses make the policy's quorum, asked by clients of the real package.
	witnesses []*notarytest.Witness
	advisory  bool
	// second gives a second opinion; nil: nobody does.
	second          *notarytest.SecondTree
	retention       notary.Retention
	opinionAdvisory bool
	clients         []*cosign.Client // of the process that was opened last, or of each replica
	parallel        bool

	mu    sync.Mutex
	died  []error
	notes map[uint64]string // every checkpoint ever published, by size
	// largest is the most rows of a batch that was to be committed.
	largest int
}

const origin = "localhost/test/notary"

func newDepository(t testing.TB) *depository { return newDepositoryAt(t, time.Now) }

func newDepositoryAt(t testing.TB, now func() time.Time) *depository {
	t.Helper()
	seed := sha256.Sum256([]byte("log key"))
	signer := ed25519.NewKeyFromSeed(seed[:])
	vkey, err := proofs.NewVerifierKey(origin, proofs.TypeEd25519, signer.Public().(ed25519.PublicKey))
	if err != nil {
		t.Fatal(err)
	}
	policy, err := proofs.ParsePolicy([]byte("log " + vkey.String() + "\nquorum none\n"))
	if err != nil {
		t.Fatal(err)
	}
	d := &depository{
		t:        t,
		ledger:   notarytest.NewLedger(now),
		blobs:    notarytest.NewBlobs(now),
		segments: notarytest.NewSegments(),
		anchor:   notarytest.NewAnchor(notary.Unsealed(origin)),
		peers:    notarytest.NewPeers(now),
		policy:   policy,
		signer:   signer,
		tenant:   notary.Tenant{ID: notary.ID{1}, Name: "示范银行 Specimen Bank", Registration: "91440300TEST000017"},
		keys:     map[notary.ID]notary.TenantKey{{}: {Wrap: [32]byte{1}}, {1}: {Wrap: [32]byte{2}}, {2}: {Wrap: [32]byte{3}}},
		notes:    map[uint64]string{},
	}
	if err := notary.Init(t.Context(), d.config()); err != nil {
		t.Fatal(err)
	}
	return d
}

// recorder is the outside recorder of published notes: it keeps every one, and
// notices two checkpoints of one size, or a smaller one that does not fit a larger.
// Witnesses that are asked again cosign again.
type recorder struct {
	notary.Ledger
	d *depository
}

func (r recorder) Publish(ctx context.Context, size uint64, note []byte) error {
	r.d.mu.Lock()
	if old, ok := r.d.notes[size]; ok && sealedPart(old) != sealedPart(string(note)) {
		r.d.t.Errorf("two checkpoints of size %d:\n%s\n%s", size, old, note)
	}
	r.d.notes[size] = string(note)
	r.d.mu.Unlock()
	r.d.confirmed(size, note)
	return r.Ledger.Publish(ctx, size, note)
}

// confirmed notices a checkpoint that was signed though the second tree does not have it.
func (d *depository) confirmed(size uint64, note []byte) {
	if d.second == nil || d.opinionAdvisory {
		return
	}
	leaves, r := d.second.Snapshot(), proofs.RangeOf(0, nil)
	for _, leaf := range leaves[:min(size, uint64(len(leaves)))] {
		r.Append(leaf, nil)
	}
	if !strings.Contains(string(note), fmt.Sprintf("\n%d\n%s\n", size, r.Root())) {
		d.t.Errorf("a checkpoint of size %d was signed, and the second tree has %d entries with root %s:\n%s", size, len(leaves), r.Root(), note)
	}
}

// sealedPart is a note without its cosignatures: checkpoint and the log's signature, which
// comes first.
func sealedPart(note string) string {
	text, signatures, _ := strings.Cut(note, "\n\n")
	first, _, _ := strings.Cut(signatures, "\n")
	return text + "\n\n" + first
}

// Append notes how many rows the largest batch had that was to be committed.
func (r recorder) Append(ctx context.Context, l notary.Lookups, build func(notary.State) (*notary.Batch, error)) error {
	return r.Ledger.Append(ctx, l, func(s notary.State) (*notary.Batch, error) {
		b, err := build(s)
		if b != nil {
			r.d.mu.Lock()
			r.d.largest = max(r.d.largest, len(b.Rows))
			r.d.mu.Unlock()
		}
		return b, err
	})
}

func (d *depository) config() notary.Config {
	anchors := d.anchors
	if anchors == nil {
		anchors = []notary.Anchor{d.anchor}
	}
	c := notary.Config{
		Policy:    d.policy,
		Signer:    d.signer,
		Retention: d.retention,
		Ledger:    recorder{d.ledger, d},
		Blobs:     d.blobs,
		Anchors:   anchors,
		TenantKey: func(id notary.ID) (notary.TenantKey, error) {
			k, ok := d.keys[id]
			if !ok {
				return k, fmt.Errorf("no key for tenant %s", id)
			}
			return k, nil
		},
		Trail:       d.ledger,
		Witnesses:   d.client(),
		Advisory:    d.advisory,
		Logger:      slog.New(slog.DiscardHandler),
		Timestamps:  d.timestamps,
		AcceptClock: d.timestamps != nil || d.retention != nil,
		Metrics:     d.registry,
		Fatal: func(err error) {
			d.mu.Lock()
			defer d.mu.Unlock()
			d.died = append(d.died, err)
		},
	}
	if d.segments != nil {
		c.Segments = d.segments
	}
	if d.second != nil {
		c.SecondTree, c.OpinionAdvisory = d.second, d.opinionAdvisory
	}
	return c
}

// witnessed gives the depository that many witnesses, and a quorum of them.
func (d *depository) witnessed(count, quorum int) {
	d.t.Helper()
	text, names := "log "+d.policy.Logs[0].String()+"\n", ""
	for i := range count {
		w := notarytest.NewWitness(fmt.Sprintf("w%d", i), d.policy.Logs[0], time.Now)
		d.witnesses = append(d.witnesses, w)
		text, names = text+w.Line(), names+fmt.Sprintf(" w%d", i)
	}
	var err error
	d.policy, err = proofs.ParsePolicy(fmt.Appendf(nil, "%sgroup all-of-them %d%s\nquorum all-of-them\n", text, quorum, names))
	if err != nil {
		d.t.Fatal(err)
	}
}

// client asks the witnesses, until the test ends.
func (d *depository) client() notary.Witnesses {
	if d.witnesses == nil {
		return nil
	}
	c, err := cosign.New(cosign.Config{
		Policy: d.policy, Transport: notarytest.Transport(d.witnesses), Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		d.t.Fatal(err)
	}
	if !d.parallel && len(d.clients) > 0 {
		d.clients[0].Close()
		d.clients = nil
	}
	d.clients = append(d.clients, c)
	d.t.Cleanup(c.Close)
	return c
}

// dismiss ends what clients there are, as the end of their processes would.
func (d *depository) dismiss() {
	for _, c := range d.clients {
		c.Close()
	}
	d.clients = nil
}

func (d *depository) open() *notary.Notary {
	d.t.Helper()
	n, err := notary.Open(d.t.Context(), d.config())
	if err != nil {
		d.t.Fatal(err)
	}
	return n
}

// opened opens, and closes when the test ends.
func (d *depository) opened() *notary.Notary {
	d.t.Helper()
	n := d.open()
	d.t.Cleanup(func() { closeNotary(d.t, n) })
	return n
}

func closeNotary(t testing.TB, n *notary.Notary) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := n.Close(ctx); err != nil {
		t.Errorf("Close: %v", err)
	}
}

func (d *depository) deaths() []error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.died
}

// check re-verifies the whole log and the given receipts, and that the published
// checkpoints are all of one history.
func (d *depository) check(receipts ...proofs.Receipt) {
	d.t.Helper()
	for _, f := range []*notarytest.Faults{d.ledger.Faults, d.blobs.Faults, d.anchor.Faults, d.segments.Faults} {
		f.Reset()
	}
	if d.second != nil {
		d.second.Faults.Reset()
	}
	if err := notarytest.CheckLog(context.Background(), d.ledger, d.anchor.Snapshot(), d.policy, receipts...); err != nil {
		d.t.Errorf("CheckLog: %v", err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	tiles := tileReader{d.ledger}
	for size, note := range d.notes {
		n, err := proofs.ParseNote([]byte(note))
		if err != nil {
			d.t.Fatal(err)
		}
		cp, err := proofs.ParseCheckpoint(n.Text)
		if err != nil || cp.Size != size {
			d.t.Fatalf("published %q as size %d: %v", n.Text, size, err)
		}
		root, err := proofs.RootAt(size, tiles)
		if err != nil || root != cp.Root {
			d.t.Errorf("published checkpoint of size %d is not of this history: %v", size, err)
		}
	}
}

type tileReader struct{ ledger notary.Ledger }

func (r tileReader) ReadTile(level int, index uint64, width int) (*proofs.Tile, error) {
	hashes, err := r.ledger.Hashes(context.Background(), level, index*256, index*256+uint64(width))
	if err != nil {
		return nil, err
	}
	return proofs.NewTile(hashes), nil
}

func (d *depository) principal() notary.Principal {
	return notary.Principal{Tenant: d.tenant, Role: notary.Depositor}
}

// digestOnly is a deposit of the digest of text, under a key.
func digestOnly(t testing.TB, key, text string, more ...string) notary.Deposit {
	sum := sha256.Sum256([]byte(text))
	return notary.Deposit{Key: key, Claims: claims(t, append(more, "content.sha256", hex.EncodeToString(sum[:]))...)}
}

// original is a deposit of text itself.
func original(t testing.TB, key, text string, more ...string) notary.Deposit {
	return notary.Deposit{Key: key, Claims: claims(t, more...), Document: bytes.NewReader([]byte(text))}
}

// claims makes a record of names and text values.
func claims(t testing.TB, pairs ...string) proofs.Record {
	t.Helper()
	if len(pairs) == 0 {
		return nil
	}
	var members []proofs.Member
	for i := 0; i < len(pairs); i += 2 {
		v, err := proofs.Text(pairs[i+1])
		if err != nil {
			t.Fatal(err)
		}
		members = append(members, proofs.Member{Name: pairs[i], Value: v})
	}
	r, err := proofs.NewRecord(members...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// verify checks a receipt as its holder would: from its bytes, against a document.
func (d *depository) verify(r proofs.Receipt, document string) proofs.Evidence {
	d.t.Helper()
	parsed, err := proofs.ParseReceipt(r.Marshal())
	if err != nil {
		d.t.Fatal(err)
	}
	e, err := proofs.NewVerifier(d.policy).Verify(parsed, bytes.NewReader([]byte(document)))
	if err != nil {
		d.t.Fatal(err)
	}
	if e.Outcome() != proofs.Verified {
		d.t.Fatalf("receipt of entry %d is %v: %s", r.Index, e.Outcome(), e.Reason)
	}
	return e
}

func text(r proofs.Receipt, name string) string {
	v, _ := r.Member(name)
	s, _ := v.Text()
	return s
}

func readAll(t testing.TB, d *notary.Document) string {
	t.Helper()
	defer d.Close()
	b, err := io.ReadAll(d)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
