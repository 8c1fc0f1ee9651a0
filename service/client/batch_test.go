package client

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/muniment/muniment/proofs"
)

// batchOf is a batch of n digests; every third is of one of two contracts.
func batchOf(n int) Batch {
	b := Batch{Key: "batch 1"}
	for i := range n {
		more := ""
		if i%3 > 0 {
			more = fmt.Sprintf(`,"contract.number":"借 %d"`, i%3)
		}
		b.Lines = append(b.Lines, members(fmt.Sprintf(`{"content.sha256":%q,"terms.amount":"%d"%s}`, digest(fmt.Sprint(i)), i, more)))
	}
	return b
}

func TestDepositBatch(t *testing.T) {
	for _, n := range []int{1, 2, 255, 256, 257, MaxLines} {
		l := newTestLog(t)
		c, waits := serve(t, l)
		for _, c.Verifier = range []*proofs.Verifier{verifier(), nil} {
			b := batchOf(n)
			receipts, err := c.DepositBatch(t.Context(), b)
			if err != nil || len(receipts) != n || len(*waits) > 0 {
				t.Fatalf("%d: %d receipts, %v", n, len(receipts), err)
			}
			for i, r := range receipts {
				if r.Index != uint64(i)+1 {
					t.Fatalf("line %d has index %d", i, r.Index)
				}
				// What was put together is a receipt for everyone.
				again, err := proofs.ParseReceipt(r.Marshal())
				if err != nil {
					t.Fatalf("line %d: %v", i, err)
				}
				e, err := verifier().Verify(again, nil)
				if v, _ := e.Record.Get("terms.amount"); err != nil || e.Outcome() != proofs.Verified || v.JSON() != fmt.Sprintf("%q", fmt.Sprint(i)) {
					t.Fatalf("line %d: %v %v %s", i, e.Outcome(), e.Reason, v.JSON())
				}
				if n > 1000 && i == 300 {
					break
				}
			}
		}
	}
}

func TestBatchesThatAreNone(t *testing.T) {
	c, _ := serve(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("sent") }))
	for what, lines := range map[string][]proofs.Record{
		"no line":        nil,
		"too many lines": slices.Repeat(batchOf(1).Lines, MaxLines+1),
		"an empty line":  {batchOf(1).Lines[0], nil},
		"no digest":      {batchOf(1).Lines[0], members(`{"contract.number":"1"}`)},
		"no hex":         {members(`{"content.sha256":"x"}`)},
		"twice a member": {append(batchOf(1).Lines[0], batchOf(1).Lines[0]...)},
	} {
		if _, err := c.DepositBatch(t.Context(), Batch{Lines: lines}); err == nil {
			t.Errorf("%s was taken", what)
		}
	}
}

// TestBatchRequest: what is sent is what openapi.yaml asks for.
func TestBatchRequest(t *testing.T) {
	var body []byte
	var head http.Header
	c, _ := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ = io.ReadAll(r.Body)
		head = r.Header
		w.WriteHeader(http.StatusForbidden)
	}))
	b := batchOf(3)
	b.Wait = 1500 * time.Millisecond
	if _, err := c.DepositBatch(t.Context(), b); err == nil {
		t.Error("no error")
	}
	lines := bytes.SplitAfter(body, []byte("\n"))
	if len(lines) != 4 || len(lines[3]) != 0 {
		t.Fatalf("%q", body)
	}
	for i, line := range lines[:3] {
		if want := `{"record":` + b.Lines[i].JSON() + "}\n"; string(line) != want {
			t.Errorf("%q instead of %q", line, want)
		}
	}
	sum := sha256.Sum256(body)
	for name, want := range map[string]string{
		"Content-Type": "application/x-ndjson", "Idempotency-Key": "batch 1", "Prefer": "wait=2",
		"Content-Digest": "sha-256=:" + base64.StdEncoding.EncodeToString(sum[:]) + ":",
	} {
		if got := head.Get(name); got != want {
			t.Errorf("%s: %q instead of %q", name, got, want)
		}
	}
}

// remake puts other disclosures into a line, with an entry that commits to them.
func remake(line *batchLine, disclosures []proofs.Disclosure) {
	e, err := proofs.ParseEntry(line.Entry)
	if err != nil {
		panic(err)
	}
	e.Record = proofs.Commitment(disclosures)
	line.Entry, line.Disclosures = e.String(), proofs.AppendDisclosures(nil, disclosures)
}

func disclosuresOf(line batchLine) []proofs.Disclosure {
	d, err := proofs.ParseDisclosures(string(line.Disclosures))
	if err != nil {
		panic(err)
	}
	return d
}

// alterations are what a server could do to an answer of six lines, made of entries
// that stand in no log.
var alterations = map[string]func(a *batchAnswer){
	"a line less":            func(a *batchAnswer) { a.lines = a.lines[:5] },
	"a line less, and said":  func(a *batchAnswer) { a.lines = a.lines[:5]; a.head.Count = 5 },
	"a line more":            func(a *batchAnswer) { a.lines = append(a.lines, a.lines[5]) },
	"a line more, and said":  func(a *batchAnswer) { a.lines = append(a.lines, a.lines[5]); a.head.Count = 7 },
	"no line":                func(a *batchAnswer) { a.lines = nil },
	"a line twice":           func(a *batchAnswer) { a.lines[3] = a.lines[0] },
	"two lines exchanged":    func(a *batchAnswer) { a.lines[0], a.lines[3] = a.lines[3], a.lines[0] },
	"the other order":        func(a *batchAnswer) { slices.Reverse(a.lines) },
	"count":                  func(a *batchAnswer) { a.head.Count = 7 },
	"count of none":          func(a *batchAnswer) { a.head.Count = 0 },
	"count below none":       func(a *batchAnswer) { a.head.Count = -6 },
	"no checkpoint":          func(a *batchAnswer) { a.head.Checkpoint = "" },
	"more":                   func(a *batchAnswer) { a.tail = "{}\n" },
	"a byte more":            func(a *batchAnswer) { a.tail = "\n" },
	"the id of another":      func(a *batchAnswer) { a.lines[2].ID = a.lines[1].ID },
	"no id":                  func(a *batchAnswer) { a.lines[2].ID = "" },
	"the index":              func(a *batchAnswer) { a.lines[2].Index++ },
	"all indexes":            func(a *batchAnswer) { each(a, func(l *batchLine) { l.Index++ }) },
	"no entry":               func(a *batchAnswer) { a.lines[2].Entry = "" },
	"the entry of another":   func(a *batchAnswer) { a.lines[2].Entry = a.lines[1].Entry },
	"the entry's time":       func(a *batchAnswer) { a.lines[2].Entry = strings.Replace(a.lines[2].Entry, "time 2", "time 3", 1) },
	"a notice":               func(a *batchAnswer) { a.lines[2].Entry = strings.Replace(a.lines[2].Entry, "deposit", "notice", 1) },
	"no path":                func(a *batchAnswer) { a.lines[2].Path = nil },
	"a hash less":            func(a *batchAnswer) { a.lines[2].Path = a.lines[2].Path[1:] },
	"a hash more":            func(a *batchAnswer) { a.lines[2].Path = append(a.lines[2].Path, a.lines[2].Path[0]) },
	"another hash":           func(a *batchAnswer) { a.lines[2].Path[1] = proofs.Hash{}.String() },
	"no hash":                func(a *batchAnswer) { a.lines[2].Path[1] = "x" },
	"a path without end":     func(a *batchAnswer) { a.lines[2].Path = slices.Repeat(a.lines[2].Path, 300) },
	"no disclosures":         func(a *batchAnswer) { a.lines[2].Disclosures = nil },
	"empty disclosures":      func(a *batchAnswer) { a.lines[2].Disclosures = []byte(`[]`) },
	"disclosures of another": func(a *batchAnswer) { a.lines[2].Disclosures = a.lines[1].Disclosures },
	"no JSON":                func(a *batchAnswer) { a.lines = a.lines[:5]; a.tail = "<html>\n" },
	"a blank line":           func(a *batchAnswer) { a.lines = a.lines[:5]; a.tail = "\n" },
	"the end not ended": func(a *batchAnswer) {
		a.tail = string(lineOf(a.lines[5]))
		a.lines = a.lines[:5]
		a.tail = a.tail[:len(a.tail)-1]
	},
	"a line too long": func(a *batchAnswer) { a.lines[2].ID += strings.Repeat("x", maxLine) },
	"a claim hidden": func(a *batchAnswer) {
		remake(&a.lines[2], proofs.Hide(disclosuresOf(a.lines[2]), func(n string) bool { return n == "terms.amount" }))
	},
	"another member hidden": func(a *batchAnswer) {
		remake(&a.lines[2], proofs.Hide(disclosuresOf(a.lines[2]), func(n string) bool { return n == "tenant.name" }))
	},
	"a member left out": func(a *batchAnswer) {
		a.lines[2].Disclosures = proofs.AppendDisclosures(nil, disclosuresOf(a.lines[2])[1:])
	},
	"a member changed": func(a *batchAnswer) {
		a.lines[2].Disclosures = bytes.Replace(a.lines[2].Disclosures, []byte("t>"), []byte("u>"), 1)
	},
}

func lineOf(l batchLine) []byte {
	var b bytes.Buffer
	json.NewEncoder(&b).Encode(l)
	return b.Bytes()
}

func each(a *batchAnswer, f func(*batchLine)) {
	for i := range a.lines {
		f(&a.lines[i])
	}
}

// TestAlteredBatches: no alteration of an answer is believed, with and without a
// policy, and what is wrong is not asked for again unless it was cut off.
func TestAlteredBatches(t *testing.T) {
	for what, alter := range alterations {
		l := newTestLog(t).grow(9)
		l.alter = alter
		c, _ := serve(t, l)
		for _, c.Verifier = range []*proofs.Verifier{nil, verifier()} {
			l.got = nil
			receipts, err := c.DepositBatch(t.Context(), batchOf(6))
			if !errors.Is(err, ErrReceipt) && !errors.Is(err, ErrAnswer) || receipts != nil {
				t.Errorf("%s: %v", what, err)
			}
			want := 1
			if errors.Is(err, errCut) {
				want = maxAttempts
			}
			if len(l.got) != want {
				t.Errorf("%s: %d attempts: %v", what, len(l.got), err)
			}
		}
	}
}

// TestBatchesOfOtherClaims: the log stands and its signature is good, but its records
// are not those that were sent, or not where a batch has them.
func TestBatchesOfOtherClaims(t *testing.T) {
	record := func(alter func(line int, r proofs.Record) proofs.Record) func(int, *lie) {
		return func(i int, l *lie) { l.record = alter(i, l.record) }
	}
	always := func(more string) func(int, *lie) {
		return record(func(_ int, r proofs.Record) proofs.Record { return with(r, more) })
	}
	never := func(name string) func(int, *lie) {
		return record(func(_ int, r proofs.Record) proofs.Record { return without(r, name) })
	}
	inCase := func(more string) func(int, *lie) {
		return record(func(i int, r proofs.Record) proofs.Record {
			if i < 4 {
				return r
			}
			return with(r, more)
		})
	}
	for what, c := range map[string]struct {
		lie  func(line int, l *lie)
		want string
	}{
		"digest":     {always(`{"content.sha256":"` + digest("other") + `"}`), "content.sha256"},
		"amount":     {always(`{"terms.amount":"9"}`), "terms.amount"},
		"a claim":    {always(`{"label.x":"x"}`), "label.x"},
		"held":       {always(`{"content.held":true}`), "whether the document was sent"},
		"id":         {always(`{"id":"` + anID + `"}`), "twice"},
		"no id":      {never("id"), "no id"},
		"seq of 0":   {always(`{"case.seq":0}`), "place"},
		"no seq":     {never("case.seq"), "place"},
		"no prev":    {never("case.prev"), "place"},
		"prev at 1":  {always(`{"case.prev":"` + digest("x") + `","case.seq":1}`), "place"},
		"seq":        {inCase(`{"case.seq":7}`), "number 7 of its case"},
		"prev":       {inCase(`{"case.prev":"` + digest("x") + `"}`), "number 2 of its case"},
		"seq again":  {inCase(`{"case.seq":1}`), "place"},
		"older":      {func(i int, l *lie) { l.at = -time.Duration(i) * time.Second }, "dated before"},
		"scattered":  {func(i int, l *lie) { l.behind = i == 3 }, "does not follow"},
		"other line": {record(func(i int, r proofs.Record) proofs.Record { return with(r, batchOf(6).Lines[(i+5)%6].JSON()) }), "content.sha256"},
	} {
		l := newTestLog(t)
		client, _ := serve(t, lying(l, c.lie))
		for _, client.Verifier = range []*proofs.Verifier{nil, verifier()} {
			if _, err := client.DepositBatch(t.Context(), batchOf(6)); !errors.Is(err, ErrReceipt) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: %v", what, err)
			}
		}
	}
}

func without(r proofs.Record, name string) proofs.Record {
	return slices.DeleteFunc(slices.Clone(r), func(m proofs.Member) bool { return m.Name == name })
}

// lie is a deposit as a lying log has it.
type lie struct {
	record proofs.Record
	at     time.Duration // is added to its time
	behind bool          // another entry stands between it and the one before
}

// lying answers a batch with lies, under a log of its own in which they stand. The cases
// go on from lie to lie.
func lying(l *testLog, alter func(line int, l *lie)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		*l = *newTestLog(l.t)
		a := l.deposit("", r.Body)
		lied := newTestLog(l.t)
		newest := map[string]proofs.Hash{}
		for i := range a.lines {
			line := lie{record: proofs.Receipt{Disclosures: disclosuresOf(a.lines[i])}.Record()}
			contract, _ := textOf(line.record.Get, "contract.number")
			if leaf, ok := newest[contract]; ok && contract != "" {
				line.record = with(line.record, `{"case.prev":"`+hex.EncodeToString(leaf[:])+`"}`)
			}
			alter(i, &line)
			remake(&a.lines[i], line.record.Disclose(proofs.Seed{byte(i)}))
			a.lines[i].ID, _ = textOf(line.record.Get, "id")
			e, _ := proofs.ParseEntry(a.lines[i].Entry)
			e.Time = e.Time.Add(line.at)
			if line.behind {
				lied.append(e)
			}
			a.lines[i].Entry, a.lines[i].Index = e.String(), lied.append(e)
			newest[contract] = e.LeafHash()
		}
		cp := lied.checkpoint(lied.tree.Size())
		a.head.Checkpoint = string(signed(l.t, cp))
		for i := range a.lines {
			path, _ := proofs.InclusionProof(a.lines[i].Index, cp.Size, lied)
			a.lines[i].Path = nil
			for _, h := range path {
				a.lines[i].Path = append(a.lines[i].Path, h.String())
			}
		}
		w.WriteHeader(http.StatusCreated)
		a.write(w)
	})
}

// TestTheLyingLogIsBelievedWithoutALie holds TestBatchesOfOtherClaims to account.
func TestTheLyingLogIsBelievedWithoutALie(t *testing.T) {
	c, _ := serve(t, lying(newTestLog(t), func(int, *lie) {}))
	if _, err := c.DepositBatch(t.Context(), batchOf(6)); err != nil {
		t.Error(err)
	}
}

// TestSwappedCheckpoints: another checkpoint than the one that the lines are under, be
// it as good in itself.
func TestSwappedCheckpoints(t *testing.T) {
	for what, c := range map[string]struct {
		note   func(*testLog) []byte
		keyish bool
	}{
		"an older one":  {func(l *testLog) []byte { return signed(l.t, l.checkpoint(8)) }, false},
		"another root":  {func(l *testLog) []byte { cp := l.checkpoint(l.tree.Size()); cp.Root[0]++; return signed(l.t, cp) }, false},
		"another size":  {func(l *testLog) []byte { cp := l.checkpoint(l.tree.Size()); cp.Size++; return signed(l.t, cp) }, false},
		"not a note":    {func(l *testLog) []byte { return []byte(l.checkpoint(9).String()) }, false},
		"another's key": {anothersNote, true},
		"changed, signed": {func(l *testLog) []byte {
			n := signed(l.t, l.checkpoint(l.tree.Size()))
			return append(n[:len(n)-3], "A=\n"...)
		}, true},
	} {
		l := newTestLog(t).grow(9)
		l.alter = func(a *batchAnswer) { a.head.Checkpoint = string(c.note(l)) }
		client, _ := serve(t, l)
		if _, err := client.DepositBatch(t.Context(), batchOf(6)); !errors.Is(err, ErrReceipt) {
			t.Errorf("%s: %v", what, err)
		}
		client.Verifier = nil
		if _, err := client.DepositBatch(t.Context(), batchOf(6)); errors.Is(err, ErrReceipt) == c.keyish {
			t.Errorf("%s, without a policy: %v", what, err)
		}
	}
}

// anothersNote is the log's checkpoint under its name and the key of another.
func anothersNote(l *testLog) []byte {
	other := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{8}, ed25519.SeedSize))
	k, err := proofs.NewVerifierKey(origin, proofs.TypeEd25519, other.Public().(ed25519.PublicKey))
	if err != nil {
		l.t.Fatal(err)
	}
	note := proofs.Note{Text: l.checkpoint(l.tree.Size()).String()}
	s, err := k.Sign(note.Text, other)
	if err != nil {
		l.t.Fatal(err)
	}
	note.Signatures = []proofs.Signature{s}
	return note.Marshal()
}

// TestEndlessBatchAnswers: whatever has no end is left, and nothing stays behind.
func TestEndlessBatchAnswers(t *testing.T) {
	before := runtime.NumGoroutine()
	for what, more := range map[string]func(line []byte) []byte{
		"spaces": func([]byte) []byte { return bytes.Repeat([]byte(" "), 1<<16) },
		"lines":  func(line []byte) []byte { return line },
		"nulls":  func([]byte) []byte { return bytes.Repeat([]byte("null\n"), 1000) },
	} {
		t.Run(what, func(t *testing.T) {
			l := newTestLog(t)
			var n atomic.Int32
			c, _ := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				n.Add(1)
				a := l.deposit("", r.Body)
				w.WriteHeader(http.StatusCreated)
				a.write(w)
				for part := more(lineOf(a.lines[0])); ; {
					if _, err := w.Write(part); err != nil {
						return
					}
				}
			}))
			c.HTTP = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
			if _, err := c.DepositBatch(t.Context(), batchOf(2)); !errors.Is(err, ErrAnswer) || n.Load() != 1 {
				t.Errorf("%v after %d attempts", err, n.Load())
			}
		})
	}
	// The servers are gone. What the client started ends by itself.
	for i := 0; runtime.NumGoroutine() > before; i++ {
		if i == 300 {
			t.Fatalf("%d goroutines, %d before", runtime.NumGoroutine(), before)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// TestBatchRetriesUnderOneKey: the answer breaks off at every line, within it and
// between two, and the same key brings all of it.
func TestBatchRetriesUnderOneKey(t *testing.T) {
	whole := func(l *testLog, key string, body io.Reader) []byte {
		var b bytes.Buffer
		a := l.deposit(key, body)
		a.write(&b)
		return b.Bytes()
	}
	for _, key := range []string{"key 1", ""} {
		for part := range 14 {
			l := newTestLog(t)
			var keys []string
			var sizes []int64
			c, waits := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				keys, sizes = append(keys, r.Header.Get("Idempotency-Key")), append(sizes, r.ContentLength)
				data := whole(l, r.Header.Get("Idempotency-Key"), r.Body)
				if len(keys) == 3 {
					w.WriteHeader(http.StatusCreated)
					w.Write(data)
					return
				}
				lines := bytes.SplitAfter(data, []byte("\n"))
				end := len(bytes.Join(lines[:part/2], nil)) + part%2*len(lines[part/2])/2
				if len(keys) == 2 { // an end that looks like one
					w.WriteHeader(http.StatusCreated)
					w.Write(data[:end])
					return
				}
				w.Header().Set("Content-Length", fmt.Sprint(len(data)))
				w.WriteHeader(http.StatusCreated)
				w.Write(data[:end])
				w.(http.Flusher).Flush()
				panic(http.ErrAbortHandler)
			}))
			b := batchOf(6)
			b.Key = key
			receipts, err := c.DepositBatch(t.Context(), b)
			if err != nil || len(receipts) != 6 || receipts[0].Index != 1 || len(*waits) != 2 {
				t.Errorf("part %d: %d receipts after %d waits, %v", part, len(receipts), len(*waits), err)
			}
			if len(slices.Compact(keys)) != 1 || len(slices.Compact(sizes)) != 1 || keys[0] == "" {
				t.Errorf("part %d: keys %q, sizes %d", part, keys, sizes)
			}
		}
	}
}

// TestBatchIsGivenUp: the caller's end, amid the answer, ends the call, once.
func TestBatchIsGivenUp(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var n atomic.Int32
	l := newTestLog(t)
	c, waits := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n.Add(1)
		a := l.deposit("", r.Body)
		a.lines = a.lines[:3]
		w.WriteHeader(http.StatusCreated)
		a.write(w)
		w.(http.Flusher).Flush()
		cancel()
		<-r.Context().Done()
	}))
	if _, err := c.DepositBatch(ctx, batchOf(6)); !errors.Is(err, context.Canceled) || n.Load() != 1 || len(*waits) > 0 {
		t.Errorf("%v after %d attempts", err, n.Load())
	}
}

// TestStalledBatchAnswer: an answer that stops moving is left.
func TestStalledBatchAnswer(t *testing.T) {
	l := newTestLog(t)
	c, waits := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a := l.deposit(r.Header.Get("Idempotency-Key"), r.Body)
		a.lines = a.lines[:3]
		w.WriteHeader(http.StatusCreated)
		a.write(w)
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}))
	c.Patience = 50 * time.Millisecond
	if _, err := c.DepositBatch(t.Context(), batchOf(6)); !errors.Is(err, errStalled) || len(*waits) != maxAttempts-1 {
		t.Errorf("%v after %d waits", err, len(*waits))
	}
}

func TestBadLinesAreNamed(t *testing.T) {
	long := strings.Repeat("x", 300)
	c, waits := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(422)
		io.WriteString(w, `{"type":"/problems/invalid-batch","title":"T","status":422,"detail":"D","retry":false,"lines":[`)
		for i := range MaxLines {
			if i > 0 {
				io.WriteString(w, ",")
			}
			fmt.Fprintf(w, `{"line":%d,"member":"terms.x","detail":%q}`, i+1, long)
		}
		io.WriteString(w, `]}`)
	}))
	var p *Problem
	if _, err := c.DepositBatch(t.Context(), batchOf(2)); !errors.As(err, &p) || p.Type != ProblemInvalidBatch || len(*waits) > 0 {
		t.Fatalf("%v", err)
	}
	if len(p.Lines) != MaxLines || p.Lines[16] != (BadLine{17, "terms.x", long}) {
		t.Errorf("%d lines", len(p.Lines))
	}
}

// TestSealingDelayed: with a Wait, the caller is told at once; without one, the same
// key is asked for the rest.
func TestSealingDelayed(t *testing.T) {
	for wait, attempts := range map[time.Duration]int{0: maxAttempts, time.Second: 1} {
		n := 0
		c, _ := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			n++
			if (r.Header.Get("Prefer") == "wait=1") != (wait > 0) {
				t.Errorf("Prefer: %q", r.Header.Get("Prefer"))
			}
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(503)
			io.WriteString(w, `{"type":"/problems/sealing-delayed","retry":true,"id":"`+anID+`","committed":true}`)
		}))
		b := batchOf(1)
		b.Wait = wait
		var p *Problem
		if _, err := c.DepositBatch(t.Context(), b); !errors.As(err, &p) || p.Type != ProblemSealingDelayed || !p.Committed || p.ID != anID || n != attempts {
			t.Errorf("%v after %d attempts", err, n)
		}
		n = 0
		d := Deposit{Claims: b.Lines[0], Wait: wait}
		if _, err := c.Deposit(t.Context(), d); !errors.As(err, &p) || n != attempts {
			t.Errorf("%v after %d attempts", err, n)
		}
	}
}

// FuzzBatchAnswer: no answer makes the client panic, or believe in six deposits.
func FuzzBatchAnswer(f *testing.F) {
	l := newTestLog(f)
	a := l.deposit("", bytes.NewReader(ndjson(batchOf(2).Lines)))
	var b bytes.Buffer
	a.write(&b)
	good := b.String()
	f.Add([]byte(good))
	f.Add([]byte(strings.Replace(good, "count", "Count", 1)))
	f.Fuzz(func(t *testing.T, data []byte) {
		c := &Client{Verifier: verifier()}
		receipts, err := c.receiptsOf(bytes.NewReader(data), batchOf(2).Lines)
		if err != nil {
			return
		}
		// Believed is what the log said, however it was spelled.
		for i, r := range receipts {
			if r.Entry.String() != a.lines[i].Entry || string(r.Checkpoint) != a.head.Checkpoint {
				t.Errorf("believed %q", data)
			}
		}
	})
}
