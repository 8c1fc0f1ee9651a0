package client

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/muniment/muniment/proofs"
)

// testLog is a small depository: it takes batches of digests and serves its log, as
// the real one does.
type testLog struct {
	t testing.TB

	mu      sync.Mutex
	entries []string
	levels  [8][]proofs.Hash
	made    map[tileName]*proofs.Tile
	tree    proofs.Range
	cases   map[string]place
	keys    map[string][]proofs.Receipt // what each key stands for
	got     []*http.Request             // without their bodies
	alter   func(answer *batchAnswer)   // of batches
	paths   []string                    // of the pieces of the log that were asked for
	tile    func(path string, data []byte) []byte
}

// batchAnswer is the answer to a batch before it is written.
type batchAnswer struct {
	head  batchHead
	lines []batchLine
	tail  string
}

func newTestLog(t testing.TB) *testLog {
	l := &testLog{t: t, made: map[tileName]*proofs.Tile{}, cases: map[string]place{}, keys: map[string][]proofs.Receipt{}}
	l.append(proofs.Entry{Kind: proofs.KindGenesis, Time: time.UnixMilli(1e12)})
	return l
}

// grow appends deposits until the log has that size.
func (l *testLog) grow(size uint64) *testLog {
	for l.tree.Size() < size {
		l.append(proofs.Entry{Kind: proofs.KindDeposit, Time: time.UnixMilli(1e12), Record: proofs.Hash{byte(l.tree.Size()), byte(l.tree.Size() >> 8)}})
	}
	return l
}

func (l *testLog) append(e proofs.Entry) uint64 {
	l.entries = append(l.entries, e.String())
	l.tree.Append(e.LeafHash(), func(height int, h proofs.Hash) {
		if height%proofs.TileHeight == 0 {
			l.levels[height/proofs.TileHeight] = append(l.levels[height/proofs.TileHeight], h)
		}
	})
	return l.tree.Size() - 1
}

// ReadTile implements proofs.TileReader.
func (l *testLog) ReadTile(level int, index uint64, width int) (*proofs.Tile, error) {
	name := tileName{level, index}
	if t := l.made[name]; t == nil || t.Width() < width {
		l.made[name] = proofs.NewTile(l.levels[level][index*256 : min(index*256+256, uint64(len(l.levels[level])))])
	}
	return l.made[name], nil
}

func (l *testLog) checkpoint(size uint64) proofs.Checkpoint {
	root, err := proofs.RootAt(size, l)
	if err != nil {
		l.t.Fatal(err)
	}
	return proofs.Checkpoint{Origin: origin, Size: size, Root: root}
}

func signed(t testing.TB, cp proofs.Checkpoint) []byte {
	note := proofs.Note{Text: cp.String()}
	s, err := logKey().Sign(note.Text, private)
	if err != nil {
		t.Fatal(err)
	}
	note.Signatures = []proofs.Signature{s}
	return note.Marshal()
}

// ServeHTTP implements http.Handler.
func (l *testLog) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.got = append(l.got, r)
	if path, ok := strings.CutPrefix(r.URL.Path, "/log/"); ok {
		l.serveLog(w, path)
		return
	}
	if r.Method != http.MethodPost || r.URL.Path != "/v1/deposits:batch" || r.Header.Get("Content-Type") != "application/x-ndjson" {
		l.t.Errorf("%s %s of %s", r.Method, r.URL, r.Header.Get("Content-Type"))
	}
	a := l.deposit(r.Header.Get("Idempotency-Key"), r.Body)
	if l.alter != nil {
		l.alter(&a)
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	w.WriteHeader(http.StatusCreated)
	a.write(w)
}

func (a *batchAnswer) write(w io.Writer) {
	out := json.NewEncoder(w)
	out.Encode(a.head)
	for _, line := range a.lines {
		out.Encode(line)
	}
	io.WriteString(w, a.tail)
}

// deposit takes a batch, or takes it again.
func (l *testLog) deposit(key string, body io.Reader) batchAnswer {
	receipts, again := l.keys[key]
	in := json.NewDecoder(body)
	for {
		var line struct{ Record json.RawMessage }
		if err := in.Decode(&line); err == io.EOF {
			break
		} else if err != nil {
			l.t.Error(err)
		}
		if !again {
			receipts = append(receipts, l.take(members(string(line.Record))))
		}
	}
	l.keys[key] = receipts
	cp := l.checkpoint(l.tree.Size())
	a := batchAnswer{head: batchHead{string(signed(l.t, cp)), len(receipts)}}
	for _, r := range receipts {
		path, err := proofs.InclusionProof(r.Index, cp.Size, l)
		if err != nil {
			l.t.Error(err)
		}
		id, _ := textOf(r.Member, "id")
		line := batchLine{ID: id, Index: r.Index, Entry: r.Entry.String(), Disclosures: proofs.AppendDisclosures(nil, r.Disclosures)}
		for _, h := range path {
			line.Path = append(line.Path, h.String())
		}
		a.lines = append(a.lines, line)
	}
	return a
}

func (l *testLog) take(claims proofs.Record) proofs.Receipt {
	n := l.tree.Size()
	more := fmt.Sprintf(`"id":"0195fe54-6c51-7a3e-8d8c-%012x","content.held":false,"tenant.name":"<t>"`, n)
	contract, cased := textOf(claims.Get, "contract.number")
	last := l.cases[contract]
	if cased {
		more += `,"case.seq":` + strconv.FormatUint(last.seq+1, 10)
		if last.seq > 0 {
			more += `,"case.prev":"` + hex.EncodeToString(last.leaf[:]) + `"`
		}
	}
	r := proofs.Receipt{Disclosures: with(claims, "{"+more+"}").Disclose(proofs.Seed{byte(n), byte(n >> 8)})}
	r.Entry = proofs.Entry{Kind: proofs.KindDeposit, Time: time.UnixMilli(1e12 + int64(n)), Record: proofs.Commitment(r.Disclosures)}
	r.Index = l.append(r.Entry)
	l.cases[contract] = place{seq: last.seq + 1, leaf: r.Entry.LeafHash()}
	return r
}

// serveLog serves checkpoint, tiles and entries up to the log's size.
func (l *testLog) serveLog(w http.ResponseWriter, path string) {
	l.paths = append(l.paths, path)
	if path == "checkpoint" {
		w.Write(signed(l.t, l.checkpoint(l.tree.Size())))
		return
	}
	data, ok := l.piece(strings.TrimPrefix(path, "tile/"))
	if l.tile != nil {
		data = l.tile(path, data)
		ok = data != nil
	}
	if !ok {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusNotFound)
		io.WriteString(w, `{"type":"/problems/not-found"}`)
		return
	}
	w.Write(data)
}

func (l *testLog) piece(path string) ([]byte, bool) {
	level, rest, _ := strings.Cut(path, "/")
	digits, partial, _ := strings.Cut(rest, ".p/")
	width := 256
	if partial != "" {
		width, _ = strconv.Atoi(partial)
	}
	index, err := strconv.Atoi(strings.NewReplacer("x", "", "/", "").Replace(digits))
	if err != nil || !slices.Contains([]string{"entries", "0", "1", "2", "3", "4", "5", "6", "7"}, level) {
		return nil, false
	}
	from, to := index*256, index*256+width
	if level == "entries" {
		if to > len(l.entries) {
			return nil, false
		}
		var out []byte
		for _, e := range l.entries[from:to] {
			out = append(binary.BigEndian.AppendUint16(out, uint16(len(e))), e...)
		}
		return out, true
	}
	n, _ := strconv.Atoi(level)
	if to > len(l.levels[n]) {
		return nil, false
	}
	return proofs.NewTile(l.levels[n][from:to]).Marshal(), true
}
