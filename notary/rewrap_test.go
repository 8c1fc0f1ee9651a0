package notary_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/notary/notarytest"
	"github.com/muniment/muniment/proofs"
)

// keyset is the key files of one process.
type keyset struct {
	mu   sync.Mutex
	keys map[notary.ID]notary.TenantKey
}

func (k *keyset) get(id notary.ID) (notary.TenantKey, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	tk, ok := k.keys[id]
	if !ok {
		return tk, fmt.Errorf("no key for tenant %v", id)
	}
	return tk, nil
}

func (k *keyset) set(id notary.ID, tk notary.TenantKey) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.keys[id] = tk
}

func (d *depository) keyset() *keyset {
	k := &keyset{keys: map[notary.ID]notary.TenantKey{}}
	for id, tk := range d.keys {
		k.keys[id] = tk
	}
	return k
}

// rotating is the configuration of a process with those key files.
func (d *depository) rotating(c notary.Config, k *keyset) notary.Config {
	c.Keys, c.TenantKey = d.ledger, k.get
	return c
}

// generations counts the rows of a tenant by the generation that seals their data keys, in
// the ledger and beside segments.
func (d *depository) generations(tenant notary.ID) (rows map[uint32]int) {
	rows = map[uint32]int{}
	for _, r := range d.ledger.Snapshot().Rows {
		if r.Tenant != tenant {
			continue
		}
		switch {
		case len(r.Secrets) == 0:
			rows[0]++
		case r.Secrets[0] == 2:
			rows[1]++
		default:
			rows[binary.BigEndian.Uint32(r.Secrets[1:])]++
		}
	}
	return rows
}

// kept is what depositors hold of a depository before its key is rotated.
type kept struct {
	receipts  map[string]proofs.Receipt // by key
	documents map[string]string
	ids       map[string]notary.ID
	webhook   notary.Webhook
	secret    []byte
}

func (d *depository) fill(n *notary.Notary, count int) *kept {
	d.t.Helper()
	k := &kept{receipts: map[string]proofs.Receipt{}, documents: map[string]string{}, ids: map[string]notary.ID{}}
	d.more(n, k, 0, count)
	s := notary.Subscription{URL: "https://bank.example/hook"}
	var err error
	if k.webhook, _, err = n.NewWebhook(d.t.Context(), d.principal(), &s); err == nil {
		err = d.ledger.CreateWebhook(d.t.Context(), k.webhook)
	}
	if err != nil {
		d.t.Fatal(err)
	}
	k.secret = s.Secret
	return k
}

func (d *depository) more(n *notary.Notary, k *kept, from, to int) {
	d.t.Helper()
	for i := from; i < to; i++ {
		key := fmt.Sprintf("key-%d", i)
		deposit := d.deposit(key, i)
		r, err := n.Deposit(d.t.Context(), d.principal(), deposit)
		if err != nil {
			d.t.Fatal(err)
		}
		k.receipts[key] = r
		k.ids[key], _ = notary.ParseID(text(r, "id"))
		if i%3 == 0 {
			k.documents[key] = "contract " + key
		}
	}
}

func (d *depository) deposit(key string, i int) notary.Deposit {
	if i%3 == 0 {
		return original(d.t, key, "contract "+key, "contract.number", fmt.Sprint("HT-", i%5))
	}
	return digestOnly(d.t, key, key, "contract.number", fmt.Sprint("HT-", i%5))
}

// opens checks that everything still opens, and that retries get what they got.
func (d *depository) opens(n *notary.Notary, k *kept) {
	d.t.Helper()
	ctx, i := d.t.Context(), 0
	for key, r := range k.receipts {
		i++
		document, held := k.documents[key]
		if !held {
			document = key
		}
		d.verify(r, document)
		now, err := n.Receipt(ctx, d.principal(), k.ids[key])
		if err != nil || now.Entry != r.Entry || now.Index != r.Index || !sameMembers(now, r) {
			d.t.Fatalf("the receipt of %s is another: %v", key, err)
		}
		if held {
			doc, err := n.Document(ctx, d.principal(), k.ids[key])
			if err != nil {
				d.t.Fatal(err)
			}
			if got := readAll(d.t, doc); got != document {
				d.t.Fatalf("the document of %s reads %q", key, got)
			}
		}
		var at int
		fmt.Sscanf(key, "key-%d", &at)
		again, err := n.Deposit(ctx, d.principal(), d.deposit(key, at))
		if err != nil || again.Index != r.Index || again.Entry != r.Entry {
			d.t.Fatalf("a retry of %s: entry %d, %v; it was %d", key, again.Index, err, r.Index)
		}
	}
	hooks, err := d.ledger.Webhooks(ctx, d.tenant.ID)
	if err != nil || len(hooks) != 1 {
		d.t.Fatalf("%d webhooks, %v", len(hooks), err)
	}
	if s, err := n.Subscription(hooks[0]); err != nil || !bytes.Equal(s.Secret, k.secret) {
		d.t.Errorf("the webhook does not open: %v", err)
	}
}

func sameMembers(a, b proofs.Receipt) bool {
	if len(a.Disclosures) != len(b.Disclosures) {
		return false
	}
	for i := range a.Disclosures {
		if a.Disclosures[i] != b.Disclosures[i] {
			return false
		}
	}
	return true
}

func (d *depository) rotation(tenant notary.ID) notary.Rotation {
	d.t.Helper()
	r, err := notary.RotationOf(d.t.Context(), d.ledger, tenant)
	if err != nil {
		d.t.Fatal(err)
	}
	return r
}

// within waits until something is so.
func within(t *testing.T, what string, limit time.Duration, so func() bool) {
	t.Helper()
	for begun := time.Now(); !so(); time.Sleep(100 * time.Millisecond) {
		if time.Since(begun) > limit {
			t.Fatalf("after %v: %s", limit, what)
		}
	}
}

// retired opens the depository with the newest generation alone, and checks that nothing
// needs another and that the old key opens nothing.
func (d *depository) retired(before, after notary.TenantKey, k *kept, c notary.Config) {
	d.t.Helper()
	kept, old, err := after.Retire(d.rotation(d.tenant.ID))
	if err != nil || !old || len(kept.Others) > 0 {
		d.t.Fatalf("retiring: %v, %v", old, err)
	}
	only := d.keyset()
	only.set(d.tenant.ID, kept)
	c = d.rotating(c, only)
	n, err := notary.Open(d.t.Context(), c)
	if err != nil {
		d.t.Fatal(err)
	}
	d.opens(n, k)
	if report, err := n.Fsck(d.t.Context(), nil); err != nil || !report.Clean() {
		d.t.Errorf("fsck with the new key alone: %v, %+v", err, report)
	}
	closeNotary(d.t, n)
	if g := d.generations(d.tenant.ID); len(g) != 1 || g[kept.Generation] == 0 {
		d.t.Errorf("data keys by generation: %v", g)
	}
	past := d.keyset()
	past.set(d.tenant.ID, before)
	c.Keys, c.TenantKey = nil, past.get // as a thief of ledger and old key would
	rows := d.ledger.Snapshot().Rows
	err = notary.HeldDocuments(d.t.Context(), d.ledger, past.get, nil, func(uint64, string) error { return errors.New("opened") })
	if !errors.Is(err, notary.ErrGeneration) {
		d.t.Errorf("the old key on %d rows: %v", len(rows), err)
	}
	for name, s := range d.segments.Snapshot() {
		for _, r := range rows {
			if r.Tenant == d.tenant.ID && name.From <= r.Index && r.Index < name.To && !bytes.Contains(s.Keys, r.Secrets) {
				d.t.Errorf("the key of row %d beside segment %v is not that of the ledger", r.Index, name)
			}
		}
	}
}

// TestTenantKeyRotation: nothing is sealed under a new generation before every replica has
// it, everything new is at once when they have, and all that is older comes under it while
// deposits go on. Then the old key opens nothing, and no receipt, document or retry differs.
func TestTenantKeyRotation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDepository(t)
		here, there := d.keyset(), d.keyset()
		var open []*notary.Notary
		for _, k := range []*keyset{here, there} {
			n, err := notary.Open(t.Context(), d.rotating(d.process().config(), k))
			if err != nil {
				t.Fatal(err)
			}
			open = append(open, n)
		}
		held := d.fill(open[0], 700)
		before, _ := here.get(d.tenant.ID)
		after, g, err := before.With(rand.Reader)
		if err != nil || g != 2 {
			t.Fatal(g, err)
		}
		here.set(d.tenant.ID, after)
		if _, err := notary.OfferKey(t.Context(), d.ledger, d.tenant.ID, after); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute) // one of two has it
		d.more(open[0], held, 700, 710)
		if got := d.generations(d.tenant.ID); got[1] != 710 || len(got) != 1 {
			t.Fatalf("before every replica had the key, data keys were sealed by generation: %v", got)
		}
		there.set(d.tenant.ID, after)
		within(t, "the new key is not in force", 4*time.Second, func() bool { return d.rotation(d.tenant.ID).Generation == 2 })
		time.Sleep(2 * time.Second)
		d.more(open[1], held, 710, 720)
		rows := d.ledger.Snapshot().Rows
		for _, r := range rows[len(rows)-10:] {
			if r.Secrets[0] != 3 {
				t.Errorf("row %d was sealed under the old key after the new one was in force", r.Index)
			}
		}
		within(t, "something stands under the old key", time.Minute, func() bool { return d.rotation(d.tenant.ID).Clean })
		for _, n := range open {
			d.opens(n, held)
			closeNotary(t, n)
		}
		d.retired(before, after, held, d.config())
		d.check()
	})
}

// TestRotationWithoutTheKey: a replica that comes without the key in force takes and reads
// nothing of that tenant, calls nothing damaged, and goes on by itself once it has it.
func TestRotationWithoutTheKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDepository(t)
		k := d.keyset()
		n, err := notary.Open(t.Context(), d.rotating(d.config(), k))
		if err != nil {
			t.Fatal(err)
		}
		held := d.fill(n, 5)
		before, _ := k.get(d.tenant.ID)
		after, _, err := before.With(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		k.set(d.tenant.ID, after)
		if _, err := notary.OfferKey(t.Context(), d.ledger, d.tenant.ID, after); err != nil {
			t.Fatal(err)
		}
		within(t, "not clean", time.Minute, func() bool { return d.rotation(d.tenant.ID).Clean })
		closeNotary(t, n)

		other, _, err := before.With(rand.Reader) // of the same number, and another key
		if err != nil {
			t.Fatal(err)
		}
		for _, wrong := range []notary.TenantKey{before, other} {
			k.set(d.tenant.ID, wrong)
			n, err = notary.Open(t.Context(), d.rotating(d.config(), k))
			if err != nil {
				t.Fatal(err)
			}
			for key, id := range held.ids {
				if _, err := n.Receipt(t.Context(), d.principal(), id); !errors.Is(err, notary.ErrUnavailable) || errors.Is(err, notary.ErrDamaged) {
					t.Errorf("the receipt of %s without the key: %v", key, err)
				}
			}
			if _, err := n.Deposit(t.Context(), d.principal(), digestOnly(t, "late", "late")); !errors.Is(err, notary.ErrUnavailable) {
				t.Errorf("a deposit without the key: %v", err)
			}
			if s := n.Status(t.Context()); len(s.Problems) > 0 {
				t.Errorf("a key that is missing here is called %v", s.Problems)
			}
			k.set(d.tenant.ID, after)
			d.opens(n, held)
			closeNotary(t, n)
		}
	})
}

// TestKilledTenantKeyRotation: whatever fails, and whenever the process ends, a rotation comes to its
// end, and nothing that was deposited before, or meanwhile, is lost.
func TestKilledTenantKeyRotation(t *testing.T) {
	for seed := range uint64(8) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { killedRotation(t, seed) })
		})
	}
}

func killedRotation(t *testing.T, seed uint64) {
	d, r := newDepository(t), mathrand.New(mathrand.NewPCG(seed, 7))
	k := d.keyset()
	c := d.rotating(d.config(), k)
	n, err := notary.Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	held := d.fill(n, 300+int(r.Uint64N(600)))
	before, _ := k.get(d.tenant.ID)
	after, _, err := before.With(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	k.set(d.tenant.ID, after)
	if _, err := notary.OfferKey(t.Context(), d.ledger, d.tenant.ID, after); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	fault := func(call string, _ int) notarytest.Fault {
		mu.Lock()
		defer mu.Unlock()
		if r.Float64() > 0.08 || call == "Committed" {
			return notarytest.Fault{}
		}
		return notarytest.Fault{Kind: notarytest.Kinds[r.IntN(len(notarytest.Kinds))]}
	}
	for range 4 {
		d.ledger.Faults.Choose(fault)
		d.segments.Faults.Choose(fault)
		mu.Lock()
		life := time.Duration(r.IntN(9_000)) * time.Millisecond
		mu.Unlock()
		time.Sleep(life)
		for i := range 3 { // its outcome may be unknown
			key := fmt.Sprintf("meanwhile-%d", i)
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			_, _ = n.Deposit(ctx, d.principal(), digestOnly(t, key, key))
			cancel()
		}
		kill, cancel := context.WithCancel(context.Background())
		cancel()
		_ = n.Close(kill)
		d.ledger.Faults.Reset()
		d.segments.Faults.Reset()
		if n, err = notary.Open(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	within(t, "the rotation does not come to its end", 2*time.Minute, func() bool { return d.rotation(d.tenant.ID).Clean })
	d.opens(n, held)
	closeNotary(t, n)
	d.retired(before, after, held, d.config())
	d.check()
}

// TestTenantKeyFiles: a key file is read as it was written, and nothing else is one.
func TestTenantKeyFiles(t *testing.T) {
	k, err := notary.NewTenantKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	files := [][]byte{k.Marshal()}
	for range 7 {
		if k, _, err = k.With(rand.Reader); err != nil {
			t.Fatal(err)
		}
		files = append(files, k.Marshal())
	}
	if _, _, err := k.With(rand.Reader); err == nil {
		t.Error("a ninth generation was taken")
	}
	last, err := k.Under(8)
	if err != nil {
		t.Fatal(err)
	}
	last.Others = nil
	files = append(files, last.Marshal())
	for _, file := range files {
		again, err := notary.ParseTenantKey(file)
		if err != nil || string(again.Marshal()) != string(file) {
			t.Errorf("%v: %q", err, file)
		}
	}
	whole := string(files[2])
	for i := range whole {
		for _, bad := range []string{whole[:i], whole[:i] + "!" + whole[i+1:], whole[:i] + "\n" + whole[i:]} {
			if _, err := notary.ParseTenantKey([]byte(bad)); err == nil {
				t.Fatalf("taken: %q", bad)
			}
		}
	}
	if _, err := k.Under(9); !errors.Is(err, notary.ErrGeneration) {
		t.Errorf("a generation that is not there: %v", err)
	}
}
