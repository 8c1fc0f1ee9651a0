package notarytest

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/muniment/muniment/proofs"
)

// A Trouble is what is wrong with a witness.
type Trouble int

// The troubles. Those from Forges on are lies.
const (
	Well        Trouble = iota
	Down                // no connection
	Hangs               // takes the request and never answers
	Errs                // answers 500
	Forges              // a cosignature by another key
	Backdates           // a cosignature of a year ago
	Babbles             // an answer that is none
	Denies              // 422: another history, with nothing to show for it
	ClaimsAhead         // 409: a larger size, with nothing to show for it
	troubles
)

// Troubles are all but Well.
func Troubles() (all []Trouble) {
	for t := Down; t < troubles; t++ {
		all = append(all, t)
	}
	return all
}

func (t Trouble) String() string {
	return [...]string{"Well", "Down", "Hangs", "Errs", "Forges", "Backdates", "Babbles", "Denies", "ClaimsAhead"}[t]
}

// A Witness is a tlog-witness of one log in memory, which checks every proof itself and
// can be in trouble. Transport is how it is reached.
type Witness struct {
	name string
	log  proofs.VerifierKey
	key  proofs.VerifierKey
	seed ed25519.PrivateKey
	now  func() time.Time

	mu      sync.Mutex
	trouble Trouble
	delay   time.Duration
	mute    bool // it shows no checkpoint
	asked   int
	state   WitnessState
}

// WitnessState is what a witness remembers of the log.
type WitnessState struct {
	Checkpoint proofs.Checkpoint
	Note       []byte // the log's signature on it, and the witness's own
}

// NewWitness returns a witness of that name, in the policy and of its key, for the log.
func NewWitness(name string, log proofs.VerifierKey, now func() time.Time) *Witness {
	seed := sha256.Sum256([]byte("witness " + name))
	w := &Witness{name: name, log: log, seed: ed25519.NewKeyFromSeed(seed[:]), now: now}
	var err error
	if w.key, err = proofs.NewVerifierKey(name, proofs.TypeEd25519Cosigner, w.seed.Public().(ed25519.PublicKey)); err != nil {
		panic(err)
	}
	return w
}

// Line is the witness's line in a policy.
func (w *Witness) Line() string {
	return "witness " + w.name + " " + w.key.String() + " http://" + w.name + ".test/prefix/\n"
}

// Set puts the witness into trouble, or makes it well, and slow by delay.
func (w *Witness) Set(t Trouble, delay time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.trouble, w.delay = t, delay
}

// Mute makes the witness show no checkpoint, as the protocol leaves it.
func (w *Witness) Mute() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.mute = true
}

// Asked returns how many requests came.
func (w *Witness) Asked() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.asked
}

// Snapshot returns what the witness remembers.
func (w *Witness) Snapshot() WitnessState {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.state
}

// Restore makes it remember s instead.
func (w *Witness) Restore(s WitnessState) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.state = s
}

// Transport reaches witnesses by their lines' URLs, without a network.
type Transport []*Witness

// RoundTrip implements http.RoundTripper.
func (t Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	for _, w := range t {
		if r.URL.Host == w.name+".test" {
			return w.roundTrip(r)
		}
	}
	return nil, errors.New("no such host")
}

func (w *Witness) roundTrip(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
		r.Body.Close()
	}
	w.mu.Lock()
	trouble, delay := w.trouble, w.delay
	w.asked++
	w.mu.Unlock()
	if trouble == Down {
		return nil, errors.New("connection refused")
	}
	if trouble == Hangs {
		delay = time.Hour
	}
	if err := linger(r.Context(), delay); err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	status, answer := w.answer(r, body, trouble)
	return &http.Response{
		StatusCode: status, Status: strconv.Itoa(status), ProtoMajor: 1, ProtoMinor: 1, Request: r,
		Header: http.Header{}, Body: io.NopCloser(strings.NewReader(answer)), ContentLength: int64(len(answer)),
	}, nil
}

func linger(ctx context.Context, d time.Duration) error {
	if d == 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (w *Witness) answer(r *http.Request, body []byte, trouble Trouble) (status int, answer string) {
	hash := sha256.Sum256([]byte(w.log.Name))
	switch {
	case r.Method == http.MethodGet && r.URL.Path == "/prefix/"+hex.EncodeToString(hash[:])+"/checkpoint":
		if w.mute || w.state.Note == nil || trouble == Denies || trouble == ClaimsAhead {
			return http.StatusNotFound, ""
		}
		return http.StatusOK, string(w.state.Note)
	case r.Method != http.MethodPost || r.URL.Path != "/prefix/add-checkpoint":
		return http.StatusNotFound, ""
	}
	switch trouble {
	case Errs:
		return http.StatusInternalServerError, "sorry\n"
	case Babbles:
		return http.StatusOK, strings.Repeat("— so to say\n", 50_000)
	case Denies:
		return http.StatusUnprocessableEntity, ""
	case ClaimsAhead:
		return http.StatusConflict, "4611686018427387904\n"
	}
	return w.addCheckpoint(body, trouble)
}

// addCheckpoint is the call of C2SP tlog-witness.
func (w *Witness) addCheckpoint(body []byte, trouble Trouble) (status int, answer string) {
	head, signed, ok := bytes.Cut(body, []byte("\n\n"))
	lines := strings.Split(string(head), "\n")
	digits, ok2 := strings.CutPrefix(lines[0], "old ")
	old, err := strconv.ParseUint(digits, 10, 63)
	note, err2 := proofs.ParseNote(signed)
	cp, err3 := proofs.ParseCheckpoint(note.Text)
	if !ok || !ok2 || err != nil || err2 != nil || err3 != nil || len(lines) > 64 || old > cp.Size {
		return http.StatusBadRequest, ""
	}
	var path []proofs.Hash
	for _, line := range lines[1:] {
		h, err := proofs.ParseHash(line)
		if err != nil {
			return http.StatusBadRequest, ""
		}
		path = append(path, h)
	}
	if !w.signedByLog(signed) {
		return http.StatusForbidden, ""
	}
	held := w.state.Checkpoint
	switch {
	case old != held.Size:
		return http.StatusConflict, fmt.Sprintf("%d\n", held.Size)
	case old == 0 && len(path) > 0,
		old == cp.Size && old > 0 && (held.Root != cp.Root || len(path) > 0),
		old > 0 && old < cp.Size && proofs.VerifyConsistency(path, old, cp.Size, held.Root, cp.Root) != nil:
		return http.StatusUnprocessableEntity, ""
	}
	key, seed, at := w.key, w.seed, w.now()
	switch trouble {
	case Forges:
		other := sha256.Sum256([]byte("forger"))
		seed = ed25519.NewKeyFromSeed(other[:])
		key, _ = proofs.NewVerifierKey(w.name, proofs.TypeEd25519Cosigner, seed.Public().(ed25519.PublicKey))
	case Backdates:
		at = at.AddDate(-1, 0, 0)
	}
	cosignature, err := key.Cosign(note.Text, at.Unix(), seed)
	if err != nil {
		return http.StatusInternalServerError, ""
	}
	w.state = WitnessState{cp, append(bytes.Clone(signed), cosignature.String()...)}
	return http.StatusOK, cosignature.String()
}

func (w *Witness) signedByLog(note []byte) bool {
	policy, err := proofs.ParsePolicy([]byte("log " + w.log.String() + "\nquorum none\n"))
	if err != nil {
		return false
	}
	_, outcome, _ := proofs.NewVerifier(policy).Checkpoint(note)
	return outcome == proofs.Verified
}
