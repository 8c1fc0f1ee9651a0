package service

import (
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/notary/notarytest"
	"github.com/muniment/muniment/proofs"
)

// TestBatchCutOff: a batch that breaks off, at whatever byte, keeps nothing; one that
// has come whole is kept whole, whether or not its answer can be heard.
func TestBatchCutOff(t *testing.T) {
	h := newHouse(t)
	whole := batchOf(50)
	for range 40 {
		at := rand.IntN(len(whole))
		c := h.dial(t)
		c.headTo("/v1/deposits:batch", h, ndjson, len(whole))
		c.say(whole[:at])
		must(t, c.Conn.(*net.TCPConn).CloseWrite())
		c.answer().problem(t, truncatedUpload)
		c = h.dial(t) // at the end of a chunk, where a line may have ended too
		at = strings.LastIndexByte(whole[:at+1], '\n') + 1
		c.headTo("/v1/deposits:batch", h, ndjson, -1)
		if at > 0 {
			c.say(fmt.Sprintf("%x\r\n%s\r\n", at, whole[:at]))
		}
		must(t, c.Conn.(*net.TCPConn).CloseWrite())
		c.answer().problem(t, truncatedUpload)
	}
	h.nothingKept(t, 1, 0)
	for range 20 { // a reset, before or after the end
		at := rand.IntN(2 * len(whole))
		c := h.dial(t)
		c.headTo("/v1/deposits:batch", h, ndjson, len(whole))
		c.say(whole[:min(at, len(whole))])
		time.Sleep(time.Duration(rand.IntN(3)) * time.Millisecond)
		must(t, c.Conn.(*net.TCPConn).SetLinger(0))
		must(t, c.Close())
	}
	for strings.Count(h.log.String(), "msg=request") < 100 {
		time.Sleep(time.Millisecond)
	}
	if size := h.ledger.Snapshot().Head.Size; size%50 != 1 {
		t.Errorf("the log has %d entries: a part of a batch", size)
	}
}

// TestLargestBatch: as many lines as may be; and one bad line among them refuses all.
func TestLargestBatch(t *testing.T) {
	h := newHouse(t)
	lines := strings.SplitAfter(batchOf(notary.MaxLines), "\n")
	good := lines[7776]
	lines[7776] = strings.Replace(good, "label.line", "labal.line", 1)
	p := h.postBatch(t, strings.Join(lines, ""), "Idempotency-Key", "all").problem(t, invalidBatch)
	if len(p.Lines) != 1 || p.Lines[0].Line != 7777 || p.Lines[0].Member != "labal.line" {
		t.Errorf("%+v", p.Lines)
	}
	lines[7776] = good[:20] + "\n"
	h.postBatch(t, strings.Join(lines, ""), "Idempotency-Key", "all").problem(t, invalidBatch)
	p = h.postBatch(t, strings.Repeat("{}\n", notary.MaxLines)).problem(t, invalidBatch)
	if len(p.Lines) != notary.MaxLines {
		t.Errorf("%d lines are named", len(p.Lines))
	}
	h.nothingKept(t, 1, 0)
	lines[7776] = good
	receipts := h.postBatch(t, strings.Join(lines, ""), "Idempotency-Key", "all").batch(t, h, notary.MaxLines)
	for i, r := range receipts {
		if r.Index != uint64(i+1) {
			t.Fatalf("line %d is entry %d", i+1, r.Index)
		}
	}
	h.nothingKept(t, 1+notary.MaxLines, 0)
}

// TestBatchRace: callers with one key and the same lines are all answered with the
// same entries, and whoever has other lines or is another tenant with its own.
func TestBatchRace(t *testing.T) {
	h := newHouse(t)
	key := []string{"Idempotency-Key", "race"}
	var wg sync.WaitGroup
	var same [6]answer
	for i := range same {
		wg.Go(func() { same[i] = h.postBatch(t, batchOf(200), key...) })
	}
	wg.Go(func() {
		h.postBatch(t, batchOf(200), append(key, "Authorization", "Bearer "+h.stranger)...).batch(t, h, 200)
	})
	wg.Wait()
	first := same[0].batch(t, h, 200)
	for _, a := range same[1:] {
		for i, r := range a.batch(t, h, 200) {
			if r.Entry != first[i].Entry || r.Index != first[i].Index {
				t.Fatalf("line %d is entry %d and entry %d", i, first[i].Index, r.Index)
			}
		}
	}
	h.postBatch(t, batchOf(201), key...).problem(t, idempotencyKeyReused)
	h.nothingKept(t, 401, 0)
}

// TestBatchesAmongDeposits: batches and single deposits that come at once keep their
// order, and each case its chain, as a stranger finds with the receipts alone.
func TestBatchesAmongDeposits(t *testing.T) {
	h := newHouse(t)
	var mu sync.Mutex
	byIndex := map[uint64]proofs.Receipt{}
	keep := func(rs ...proofs.Receipt) {
		mu.Lock()
		defer mu.Unlock()
		for i, r := range rs {
			if _, twice := byIndex[r.Index]; twice || r.Index != rs[0].Index+uint64(i) {
				t.Errorf("line %d is entry %d", i, r.Index)
			}
			byIndex[r.Index] = r
		}
	}
	var b strings.Builder
	for i := range 60 { // three cases take turns, and every fourth line has none
		if i%4 == 3 {
			fmt.Fprintf(&b, `{"record":{"content.sha256":"%064x"}}`+"\n", i)
			continue
		}
		fmt.Fprintf(&b, `{"record":{"content.sha256":"%064x","contract.number":"C-%d"}}`+"\n", i, i%4)
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 3 {
				keep(h.postBatch(t, b.String()).batch(t, h, 60)...)
			}
		})
		wg.Go(func() {
			for i := range 20 {
				_, r := h.postJSON(t, digestOnly(fmt.Sprintf(`,"contract.number":"C-%d"`, i%3))).deposit(t, h, 201)
				keep(r)
			}
		})
	}
	wg.Wait()
	const total = 4*3*60 + 4*20
	seq, prev := map[string]uint64{}, map[string]proofs.Hash{}
	for i := uint64(1); i <= total; i++ {
		r, ok := byIndex[i]
		if !ok {
			t.Fatalf("entry %d is nobody's", i)
		}
		number, ok := r.Member("contract.number")
		if !ok {
			continue
		}
		c := number.JSON()
		seq[c]++
		place, _ := r.Member("case.seq")
		before, _ := r.Member("case.prev")
		want := ""
		if seq[c] > 1 {
			leaf := prev[c]
			want = `"` + hex.EncodeToString(leaf[:]) + `"`
		}
		if n, _ := place.Integer(); uint64(n) != seq[c] || before.JSON() != want {
			t.Fatalf("entry %d is number %s of %s after %s, want %d after %s", i, place.JSON(), c, before.JSON(), seq[c], want)
		}
		prev[c] = r.Entry.LeafHash()
	}
	for c, n := range seq {
		if got := h.getCase(t, strings.Trim(c, `"`)+"?limit=1000"); got.Count != n || got.Leaf != prev[c].String() || uint64(len(got.Deposits)) != n {
			t.Errorf("case %s: %d, want %d", c, got.Count, n)
		}
	}
	h.nothingKept(t, total+1, 0)
}

// TestBatchOfUnknownOutcome: where the commit's answer was lost, the same key tells,
// and nothing stands twice or in part.
func TestBatchOfUnknownOutcome(t *testing.T) {
	kinds := []notarytest.Kind{notarytest.Fails, notarytest.FailsYetPersisted, notarytest.Cancelled, notarytest.CancelledYetPersisted, notarytest.PersistsLater}
	if os.Getenv("MUNIMENT_TORTURE") != "" {
		kinds = append(kinds, notarytest.TimesOut, notarytest.TimesOutYetPersisted) // ten seconds each
	}
	for _, kind := range kinds {
		h := newHouse(t, func(c *Config) { c.Wait = time.Second })
		h.ledger.Faults.Set(notarytest.Fault{Call: "Commit", Nth: h.ledger.Faults.Calls()["Commit"] + 1, Kind: kind})
		key := []string{"Idempotency-Key", "1"}
		first := h.postBatch(t, batchOf(30), key...)
		if size := h.ledger.Snapshot().Head.Size; size != 1 && size != 31 || first.StatusCode != 201 && first.StatusCode != 503 {
			t.Errorf("%v: %d, and %d entries: %s", kind, first.StatusCode, size, first.body)
		}
		again := h.postBatch(t, batchOf(30), key...)
		for begun := time.Now(); again.StatusCode == 503 && time.Since(begun) < 30*time.Second; again = h.postBatch(t, batchOf(30), key...) {
			time.Sleep(50 * time.Millisecond)
		}
		for i, r := range again.batch(t, h, 30) {
			if r.Index != uint64(i+1) {
				t.Errorf("%v: line %d is entry %d", kind, i, r.Index)
			}
		}
		h.nothingKept(t, 31, 0)
	}
}
