package main

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	randv2 "math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
)

// A kind is one kind of request.
type kind byte

// The kinds, in the order in which they are reported.
const (
	single   kind = iota // a digest, JSON
	batch                // many digests, NDJSON
	document             // a document and its record, multipart
	read                 // the receipt of a deposit that is known
	kinds    = 4
)

func (k kind) String() string { return [...]string{"single", "batch", "document", "read"}[k] }

// A mix says how many parts of all requests are of each kind.
type mix [kinds]int

// parseMix reads a list such as single=8,read=2, or one kind alone.
func parseMix(s string) (mix, error) {
	var m mix
	for part := range strings.SplitSeq(s, ",") {
		name, weight, weighted := strings.Cut(part, "=")
		parts := 1
		if weighted {
			n, err := strconv.Atoi(weight)
			if err != nil || n < 1 || n > 1_000_000 {
				return m, fmt.Errorf("--mix %q: the weight of %s is not 1 to 1,000,000", s, name)
			}
			parts = n
		}
		k := slices.IndexFunc([]kind{single, batch, document, read}, func(k kind) bool { return k.String() == name })
		if k < 0 || m[k] > 0 {
			return m, fmt.Errorf("--mix %q: each part is single, batch, document or read, once, with =WEIGHT if there are several", s)
		}
		m[k] = parts
	}
	return m, nil
}

func (m mix) String() string {
	var parts []string
	for k, weight := range m {
		if weight > 0 {
			parts = append(parts, fmt.Sprintf("%s=%d", kind(k), weight))
		}
	}
	if len(parts) == 1 {
		parts[0], _, _ = strings.Cut(parts[0], "=")
	}
	return strings.Join(parts, ",")
}

// choose picks the kind of a request by a random number.
func (m mix) choose(random uint64) kind {
	total := 0
	for _, weight := range m {
		total += weight
	}
	at := int(random % uint64(total))
	for k, weight := range m {
		if at < weight {
			return kind(k)
		}
		at -= weight
	}
	panic("weights do not add up")
}

// A task is one request. Its loans are number first and those after it; of a read,
// first is the place of the id in the workload's list.
type task struct {
	kind  kind
	lines int // deposits in it
	first uint64
}

// maxKnown bounds the ids that are kept for reading: 16 MiB.
const maxKnown = 1 << 20

// A workload makes the requests of one program of the bench. Its numbers run on from
// one load to the next, so that nothing is deposited twice.
type workload struct {
	loans
	host, key string
	run       string // distinguishes the idempotency keys of two runs of one seed
	lines     int    // of a batch
	whole     bool   // batches answer with disclosures
	size      int    // of a document

	next  atomic.Uint64 // loan
	asked atomic.Uint64 // request

	mu    sync.RWMutex
	known [][16]byte // ids of deposits
}

func newWorkload(o loadOptions, host, key string) *workload {
	var nonce [6]byte
	rand.Read(nonce[:]) // never fails
	return &workload{
		loans: newLoans(o.Seed, o.Repeat), host: host, key: key, run: hex.EncodeToString(nonce[:]),
		lines: o.Lines, whole: o.Whole, size: o.DocumentSize,
	}
}

// task says what the next request is.
func (w *workload) task(m mix) task {
	rng := randv2.NewPCG(w.seed, ^w.asked.Add(1))
	t := task{kind: m.choose(rng.Uint64()), lines: 1}
	switch t.kind {
	case read:
		w.mu.RLock()
		t.first = rng.Uint64() % uint64(len(w.known))
		w.mu.RUnlock()
		return t
	case batch:
		t.lines = w.lines
	}
	t.first = w.next.Add(uint64(t.lines)) - uint64(t.lines)
	return t
}

// learn keeps the id of a deposit for reading. Location is that of the answer.
func (w *workload) learn(location []byte) error {
	id, ok := strings.CutPrefix(string(location), "/v1/deposits/")
	raw, err := hex.DecodeString(strings.ReplaceAll(id, "-", ""))
	if !ok || err != nil || len(raw) != 16 {
		return fmt.Errorf("%w: Location %.80q", errWire, location)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.known) < maxKnown {
		w.known = append(w.known, [16]byte(raw))
	}
	return nil
}

// id is the i-th known id.
func (w *workload) id(i uint64) string {
	w.mu.RLock()
	raw := w.known[i]
	w.mu.RUnlock()
	h := hex.EncodeToString(raw[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// A writer writes requests into memory of its own.
type writer struct {
	*workload
	keys          []string // as of the load
	body, request []byte
}

const boundary = "7MA4YWxkTrZu0gW2bEnCh"

// write returns the bytes of a request; they are valid until the next.
func (w *writer) write(t task) []byte {
	w.body = w.body[:0]
	key := w.key
	if len(w.keys) > 0 {
		key = w.keys[t.first%uint64(len(w.keys))]
	}
	switch t.kind {
	case read:
		w.head("GET", "/v1/deposits/"+w.id(t.first)+"/receipt", w.key)
		w.request = append(w.request, "\r\n"...)
		return w.request
	case single:
		w.body = append(w.body, `{"record":`...)
		w.body = append(w.appendRecord(w.body, t.first, true), '}')
		w.head("POST", "/v1/deposits", key)
		w.request = append(w.request, "Content-Type: application/json\r\n"...)
	case batch:
		for i := range t.lines {
			w.body = append(w.body, `{"record":`...)
			w.body = append(w.appendRecord(w.body, t.first+uint64(i), true), '}', '\n')
		}
		w.head("POST", "/v1/deposits:batch", key)
		w.request = append(w.request, "Content-Type: application/x-ndjson\r\n"...)
		if !w.whole {
			w.request = append(w.request, "Prefer: return=minimal\r\n"...)
		}
	case document:
		w.body = append(w.body, "--"+boundary+"\r\nContent-Disposition: form-data; name=\"record\"\r\nContent-Type: application/json\r\n\r\n"...)
		w.body = w.appendRecord(w.body, t.first, false)
		w.body = append(w.body, "\r\n--"+boundary+"\r\nContent-Disposition: form-data; name=\"document\"\r\nContent-Type: application/pdf\r\n\r\n"...)
		w.body = w.appendDocument(w.body, t.first, w.size)
		w.body = append(w.body, "\r\n--"+boundary+"--\r\n"...)
		w.head("POST", "/v1/deposits", key)
		w.request = append(w.request, "Content-Type: multipart/form-data; boundary="+boundary+"\r\n"...)
	}
	w.request = append(w.request, "Idempotency-Key: "...)
	w.request = append(append(w.request, w.run...), '-')
	w.request = strconv.AppendUint(w.request, t.first, 10)
	w.request = append(w.request, "\r\nContent-Length: "...)
	w.request = strconv.AppendInt(w.request, int64(len(w.body)), 10)
	w.request = append(w.request, "\r\n\r\n"...)
	w.request = append(w.request, w.body...)
	return w.request
}

func (w *writer) head(method, path, key string) {
	w.request = append(w.request[:0], method...)
	w.request = append(append(w.request, ' '), path...)
	w.request = append(append(w.request, " HTTP/1.1\r\nHost: "...), w.host...)
	w.request = append(append(w.request, "\r\nAuthorization: Bearer "...), key...)
	w.request = append(w.request, "\r\n"...)
}
