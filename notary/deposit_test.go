package notary_test

import (
	"context"
	"encoding/hex"
	"errors"
	"io"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/proofs"
)

func TestDepositOriginal(t *testing.T) {
	d := newDepository(t)
	n := d.opened()
	for i, document := range []string{"a loan contract", "", strings.Repeat("合同", 1<<17)} {
		r, err := n.Deposit(t.Context(), d.principal(), original(t, strconv.Itoa(i), document, "content.name", "借款合同.pdf"))
		if err != nil {
			t.Fatal(err)
		}
		e := d.verify(r, document)
		if held, shown := e.Held(); !held || !shown || e.Index != uint64(i+1) || e.Environment != proofs.Test {
			t.Errorf("evidence %+v", e)
		}
		id, err := notary.ParseID(text(r, "id"))
		if err != nil {
			t.Fatal(err)
		}
		doc, err := n.Document(t.Context(), d.principal(), id)
		if err != nil {
			t.Fatal(err)
		}
		if doc.Name != "借款合同.pdf" || doc.Size() != int64(len(document)) || readAll(t, doc) != document {
			t.Error("the document does not read back")
		}
		for name, o := range d.blobs.Snapshot() {
			if document != "" && strings.Contains(string(o.Content), document[:min(len(document), 8)]) {
				t.Errorf("blob %s holds the document in the clear", name)
			}
		}
	}
	d.check()
}

func TestDepositDigestOnly(t *testing.T) {
	d := newDepository(t)
	n := d.opened()
	r, err := n.Deposit(t.Context(), d.principal(), digestOnly(t, "k", "contract"))
	if err != nil {
		t.Fatal(err)
	}
	e := d.verify(r, "contract")
	if held, shown := e.Held(); held || !shown {
		t.Error("a digest-only deposit says that the document was held")
	}
	if len(d.blobs.Snapshot()) != 0 {
		t.Error("a digest-only deposit left a blob")
	}
	id, _ := notary.ParseID(text(r, "id"))
	if _, err := n.Document(t.Context(), d.principal(), id); !errors.Is(err, notary.ErrNotHeld) {
		t.Errorf("Document: %v", err)
	}
	d.check(r)
}

func TestReplay(t *testing.T) {
	d := newDepository(t)
	n := d.opened()
	first, err := n.Deposit(t.Context(), d.principal(), original(t, "key", "contract", "contract.number", "HT-1"))
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		again, err := n.Deposit(t.Context(), d.principal(), original(t, "key", "contract", "contract.number", "HT-1"))
		if err != nil {
			t.Fatal(err)
		}
		if text(again, "id") != text(first, "id") || again.Index != first.Index || again.Entry != first.Entry {
			t.Error("a retry gave another deposit")
		}
	}
	for what, other := range map[string]notary.Deposit{
		"document": original(t, "key", "contract 2", "contract.number", "HT-1"),
		"claims":   original(t, "key", "contract", "contract.number", "HT-2"),
		"mode":     digestOnly(t, "key", "contract", "contract.number", "HT-1"),
	} {
		if _, err := n.Deposit(t.Context(), d.principal(), other); !errors.Is(err, notary.ErrKeyReused) {
			t.Errorf("other %s under one key: %v", what, err)
		}
	}
	// Another tenant's key of the same text is another key.
	other := notary.Principal{Tenant: notary.Tenant{ID: notary.ID{2}, Name: "Other"}, Role: notary.Depositor}
	r, err := n.Deposit(t.Context(), other, original(t, "key", "contract"))
	if err != nil || r.Index == first.Index {
		t.Errorf("another tenant's deposit: index %d, %v", r.Index, err)
	}
	if len(d.blobs.Snapshot()) != 2 {
		t.Errorf("%d blobs for two deposits", len(d.blobs.Snapshot()))
	}
	d.check(first, r)
}

// Many callers with one key at once: one entry, one blob, and the same receipt for all.
func TestReplayRace(t *testing.T) {
	d := newDepository(t)
	n := d.opened()
	var wg sync.WaitGroup
	receipts := make([]proofs.Receipt, 64)
	for i := range receipts {
		wg.Go(func() {
			r, err := n.Deposit(t.Context(), d.principal(), original(t, "key", "contract"))
			if err != nil {
				t.Error(err)
			}
			receipts[i] = r
		})
	}
	wg.Wait()
	for _, r := range receipts {
		if r.Index != 1 || r.Entry != receipts[0].Entry {
			t.Errorf("entry %d for one key", r.Index)
		}
	}
	if got := len(d.blobs.Snapshot()); got != 1 {
		t.Errorf("%d blobs for one deposit", got)
	}
	d.check(receipts...)
}

func TestCase(t *testing.T) {
	d := newDepository(t)
	n := d.opened()
	var prev proofs.Hash
	for i := 1; i <= 3; i++ {
		r, err := n.Deposit(t.Context(), d.principal(), digestOnly(t, strconv.Itoa(i), strconv.Itoa(i), "contract.number", "HT/1"))
		if err != nil {
			t.Fatal(err)
		}
		seq, _ := r.Member("case.seq")
		if got, _ := seq.Integer(); got != int64(i) {
			t.Errorf("case.seq %d of deposit %d", got, i)
		}
		before, shown := r.Member("case.prev")
		if s, _ := before.Text(); shown != (i > 1) || shown && s != hex.EncodeToString(prev[:]) {
			t.Errorf("case.prev %q of deposit %d", s, i)
		}
		prev = r.Entry.LeafHash()
	}
	r, err := n.Deposit(t.Context(), d.principal(), digestOnly(t, "other", "x"))
	if _, ok := r.Member("case.seq"); err != nil || ok {
		t.Errorf("a deposit without a contract number has a place in a case (%v)", err)
	}
	found, next, err := n.Search(t.Context(), d.principal(), notary.Search{Contract: "HT/1", Limit: 2})
	if err != nil || len(found) != 2 || next != 3 {
		t.Fatalf("Search: %d found, next %d, %v", len(found), next, err)
	}
	found, next, err = n.Search(t.Context(), d.principal(), notary.Search{Contract: "HT/1", Limit: 2, From: next})
	if err != nil || len(found) != 1 || next != 0 || found[0].Index != 3 {
		t.Fatalf("Search: %d found, next %d, %v", len(found), next, err)
	}
	d.check()
}

func TestRefused(t *testing.T) {
	d := newDepository(t)
	n := d.opened()
	long := strings.Repeat("x", 16<<10)
	failing := notary.Deposit{Key: "k", Document: io.MultiReader(strings.NewReader("half"), failingReader{})}
	number, _ := proofs.Integer(1)
	wrongType := notary.Deposit{Key: "k", Claims: proofs.Record{{Name: "contract.number", Value: number}}, Document: strings.NewReader("")}
	var invalid *notary.InvalidError
	for what, c := range map[string]struct {
		deposit notary.Deposit
		want    any // an error, or a *notary.InvalidError's member
	}{
		"no key":             {original(t, "", "x"), ""},
		"long key":           {original(t, strings.Repeat("k", 256), "x"), ""},
		"key not ASCII":      {original(t, "合", "x"), ""},
		"no digest":          {notary.Deposit{Key: "k"}, "content.sha256"},
		"unknown member":     {original(t, "k", "x", "contrct.number", "1"), "contrct.number"},
		"our member":         {original(t, "k", "x", "case.seq", "1"), "case.seq"},
		"our id":             {original(t, "k", "x", "id", "1"), "id"},
		"wrong type":         {wrongType, "contract.number"},
		"digest not hex":     {notary.Deposit{Key: "k", Claims: claims(t, "content.sha256", strings.Repeat("Z", 64))}, "content.sha256"},
		"digest in capitals": {notary.Deposit{Key: "k", Claims: claims(t, "content.sha256", strings.Repeat("A", 64))}, "content.sha256"},
		"too long":           {original(t, "k", "x", "terms.text", long), ""},
		"other digest":       {original(t, "k", "x", "content.sha256", strings.Repeat("a", 64)), notary.ErrDigest},
		"document cut off":   {failing, errCut},
	} {
		_, err := n.Deposit(t.Context(), d.principal(), c.deposit)
		switch want := c.want.(type) {
		case error:
			if !errors.Is(err, want) {
				t.Errorf("%s: %v", what, err)
			}
		case string:
			if !errors.As(err, &invalid) || invalid.Member != want || invalid.Reason == "" {
				t.Errorf("%s: %v", what, err)
			}
		}
	}
	if _, err := n.Deposit(t.Context(), notary.Principal{Tenant: d.tenant, Role: notary.Auditor}, original(t, "k", "x")); !errors.Is(err, notary.ErrForbidden) {
		t.Errorf("deposit by a reader: %v", err)
	}
	if head, _ := d.ledger.Head(t.Context()); head.Size != 1 || len(d.blobs.Snapshot()) != 0 {
		t.Errorf("what was refused left %d entries and %d blobs", head.Size-1, len(d.blobs.Snapshot()))
	}
	// The key of a refused deposit is free.
	if _, err := n.Deposit(t.Context(), d.principal(), original(t, "k", "x")); err != nil {
		t.Error(err)
	}
}

var errCut = errors.New("the connection was cut")

type failingReader struct{}

func (failingReader) Read([]byte) (int, error) { return 0, errCut }

func TestIsolation(t *testing.T) {
	d := newDepository(t)
	n := d.opened()
	r, err := n.Deposit(t.Context(), d.principal(), original(t, "k", "secret", "contract.number", "HT-1"))
	if err != nil {
		t.Fatal(err)
	}
	id, _ := notary.ParseID(text(r, "id"))
	other := notary.Principal{Tenant: notary.Tenant{ID: notary.ID{2}, Name: "Other"}, Role: notary.Depositor}
	_, foreign := n.Receipt(t.Context(), other, id)
	_, unknown := n.Receipt(t.Context(), other, notary.ID{9})
	if !errors.Is(foreign, notary.ErrNotFound) || foreign.Error() != unknown.Error() {
		t.Errorf("another tenant's receipt: %v; an unknown one: %v", foreign, unknown)
	}
	if _, err := n.Document(t.Context(), other, id); !errors.Is(err, notary.ErrNotFound) {
		t.Errorf("another tenant's document: %v", err)
	}
	for _, s := range []notary.Search{{Limit: 10}, {Contract: "HT-1", Limit: 10}, {SHA256: text(r, "content.sha256"), Limit: 10}} {
		if found, _, err := n.Search(t.Context(), other, s); err != nil || len(found) != 0 {
			t.Errorf("search %+v found %d of another tenant, %v", s, len(found), err)
		}
	}
}

// A receipt fetched later is under a later checkpoint and about the same entry.
func TestRefresh(t *testing.T) {
	d := newDepository(t)
	n := d.opened()
	first, err := n.Deposit(t.Context(), d.principal(), original(t, "k", "contract"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range 300 {
		if _, err := n.Deposit(t.Context(), d.principal(), digestOnly(t, strconv.Itoa(i), "x")); err != nil {
			t.Fatal(err)
		}
	}
	id, _ := notary.ParseID(text(first, "id"))
	fresh, err := n.Receipt(t.Context(), d.principal(), id)
	if err != nil {
		t.Fatal(err)
	}
	if e := d.verify(fresh, "contract"); e.Size != 302 || e.Entry != first.Entry {
		t.Errorf("refreshed receipt is under size %d", e.Size)
	}
	genesis, err := n.PublicReceipt(t.Context(), 0)
	if err != nil || text(genesis, "log.origin") != origin {
		t.Errorf("genesis: %v", err)
	}
	if _, err := n.PublicReceipt(t.Context(), first.Index); !errors.Is(err, notary.ErrNotFound) {
		t.Errorf("a deposit's record was shown to the public: %v", err)
	}
	d.check(first, fresh, genesis)
}

// Deposits under way are bounded, and what does not fit is told to come back.
func TestBusy(t *testing.T) {
	d := newDepository(t)
	c := d.config()
	c.Pool = 4 // of which one tenant has three
	n, err := notary.Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	defer closeNotary(t, n)
	release, held := make(chan struct{}), make(chan struct{})
	d.ledger.Faults.Set(hold("Append", held, release))
	results := make(chan error, 8)
	go func() {
		_, err := n.Deposit(t.Context(), d.principal(), digestOnly(t, "first", "x"))
		results <- err
	}()
	<-held
	for i := range 7 {
		go func() {
			_, err := n.Deposit(t.Context(), d.principal(), digestOnly(t, strconv.Itoa(i), "x"))
			results <- err
		}()
	}
	busy := 0
	for range 5 {
		if err := <-results; !errors.Is(err, notary.ErrBusy) {
			t.Errorf("beyond the pool: %v", err)
		}
		busy++
	}
	close(release)
	for range 3 {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
	d.check()
}

func TestCloseAnswersAll(t *testing.T) {
	d := newDepository(t)
	n := d.open()
	var wg sync.WaitGroup
	var mu sync.Mutex
	var receipts []proofs.Receipt
	for i := range 200 {
		wg.Go(func() {
			r, err := n.Deposit(t.Context(), d.principal(), digestOnly(t, strconv.Itoa(i), "x"))
			if err == nil {
				mu.Lock()
				receipts = append(receipts, r)
				mu.Unlock()
			} else if !errors.Is(err, notary.ErrStopped) {
				t.Error(err)
			}
		})
	}
	closeNotary(t, n)
	wg.Wait()
	if _, err := n.Deposit(context.Background(), d.principal(), digestOnly(t, "late", "x")); !errors.Is(err, notary.ErrStopped) {
		t.Errorf("after Close: %v", err)
	}
	head, _ := d.ledger.Head(t.Context())
	if head.Size != uint64(len(receipts)+1) {
		t.Errorf("%d receipts for %d entries", len(receipts), head.Size-1)
	}
	d.check(receipts...)
}
