// Package witness is the server of C2SP tlog-witness that a court, a notary's office, a
// regulator or another bank runs.
//
// A witness says of a log: this is the newest state that I have seen, and it holds all
// that I have seen before. Server never says two things that contradict each other, not
// after a crash either.
package witness

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/proofs/mldsa"
)

// Bounds of what waits. A log waits for its answer before it asks again, so that more
// than a few checkpoints of one log are a fault of its own.
const (
	maxWaiting = 1024
	maxOfOne   = 8
	maxBatch   = 256
	maxKeys    = 16 // of one log
	maxForks   = 16 // contradicting checkpoints kept of one log
)

// ServerConfig is what a Server needs.
type ServerConfig struct {
	Dir  string               // that Init has laid out
	Keys []Key                // of LoadKeys
	Logs []proofs.VerifierKey // whose checkpoints are cosigned; several keys of one name are one log's

	Metrics *prometheus.Registry // nil: none are counted
	Logger  *slog.Logger         // nil: slog.Default
	Now     func() time.Time     // nil: time.Now

	system system // nil: disk
}

// A Server is a witness. It is safe for concurrent use.
type Server struct {
	config  ServerConfig
	name    string
	logs    map[string]*log
	folder  folder
	lock    *os.File
	metrics *serverMetrics

	queue   chan *submission
	stop    chan struct{} // closed: no more submissions are taken
	stopped chan struct{} // closed: the committer has ended
	once    sync.Once

	mu        sync.Mutex
	state     state // durable; replaced, never changed
	unwritten bool  // the last write failed
	failure   error
	failed    chan struct{} // closed with failure
}

// A log is one that is cosigned for.
type log struct {
	keys    []proofs.VerifierKey
	waiting atomic.Int32
}

// A submission is a request whose signatures hold, on its way through the committer.
type submission struct {
	*request
	signatures []proofs.Signature // of the log, verified
	ours       bool               // a cosignature of ours is on it, and verifies
	answer     chan answer        // buffered

	cosignatures string // signature lines, made by the committer
}

// An answer is what add-checkpoint says.
type answer struct {
	result string // for metrics
	size   uint64 // for a conflict
	body   string // for a success, the cosignatures
	err    error
}

// The results, and metric labels.
const (
	resultCosigned  = "cosigned"
	resultMalformed = "malformed"
	resultUnknown   = "unknown-log"
	resultSignature = "signature"
	resultConflict  = "conflict"
	resultProof     = "proof"
	resultBusy      = "busy"
	resultFailed    = "failed"
)

// Errors of a Server that has stopped itself.
var (
	// ErrRolledBack: a checkpoint bears a cosignature of ours that the state file does not
	// know. The file is an old copy, and what it lacks might be contradicted.
	ErrRolledBack = errors.New("the state file is older than what this witness has cosigned")
	// ErrStopped: Close was called.
	ErrStopped = errors.New("the witness is stopping")
)

// OpenServer locks the directory and reads the state. A state file that is missing or
// damaged is an error: a witness that has forgotten must never cosign again.
func OpenServer(c ServerConfig) (*Server, error) {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.system == nil {
		c.system = disk{}
	}
	var public []proofs.VerifierKey
	for _, k := range c.Keys {
		public = append(public, k.VerifierKey)
	}
	if err := checkKeys(public); err != nil {
		return nil, err
	}
	logs, err := byOrigin(c.Logs, public)
	if err != nil {
		return nil, err
	}
	s := &Server{
		config: c, name: public[0].Name, logs: logs, folder: folder{c.Dir, c.system},
		queue: make(chan *submission, maxWaiting), stop: make(chan struct{}),
		stopped: make(chan struct{}), failed: make(chan struct{}),
	}
	if s.lock, err = lock(c.Dir); err != nil {
		return nil, err
	}
	if s.state, err = s.folder.load(s.name); err != nil {
		return nil, errors.Join(err, s.lock.Close())
	}
	s.metrics = newServerMetrics(s)
	go s.commit()
	return s, nil
}

// byOrigin sorts keys by the logs they belong to, which are named by the keys' names.
func byOrigin(keys, ours []proofs.VerifierKey) (map[string]*log, error) {
	logs := map[string]*log{}
	for _, k := range keys {
		if k.Type != proofs.TypeEd25519 && k.Type != proofs.TypeMLDSA44Cosigner {
			return nil, fmt.Errorf("the key of %s is of type 0x%02x: a log's is Ed25519 (0x01) or ML-DSA-44 (0x06)", k.Name, k.Type)
		}
		if slices.ContainsFunc(ours, func(o proofs.VerifierKey) bool { return o.Key == k.Key || o.Name == k.Name }) {
			return nil, fmt.Errorf("%s is this witness itself: no witness vouches for its own log under one name or key", k.Name)
		}
		l := logs[k.Name]
		if l == nil {
			l = &log{}
			logs[k.Name] = l
		}
		switch same := slices.IndexFunc(l.keys, func(o proofs.VerifierKey) bool { return o.ID == k.ID }); {
		case same < 0 && len(l.keys) == maxKeys:
			return nil, fmt.Errorf("%s has more than %d keys", k.Name, maxKeys)
		case same < 0:
			l.keys = append(l.keys, k)
		case l.keys[same] != k: // no signature could tell them apart
			return nil, fmt.Errorf("two keys of %s have one id", k.Name)
		}
	}
	if len(logs) == 0 {
		return nil, errors.New("a witness needs at least one log to cosign for")
	}
	return logs, nil
}

// Failed is closed when the server has stopped itself, since going on might have cosigned
// what contradicts itself; Err then says why.
func (s *Server) Failed() <-chan struct{} { return s.failed }

// Err is why the server cannot cosign at present, nil if it can.
func (s *Server) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failure == nil && s.unwritten {
		return errUnwritten
	}
	return s.failure
}

func (s *Server) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failure == nil {
		s.config.Logger.Error("the witness stops", "error", err)
		s.failure = err
		close(s.failed)
	}
}

// Close answers what is waiting, and gives the directory up.
func (s *Server) Close() error {
	s.once.Do(func() { close(s.stop) })
	<-s.stopped
	return s.lock.Close()
}

// size is that of the newest checkpoint of a log that was cosigned, durably; 0 if none was.
func (s *Server) size(origin string) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state[origin].Size
}

// submit judges the body of an add-checkpoint request. What it answers is durable.
func (s *Server) submit(body []byte) answer {
	r, err := parseRequest(body)
	if err != nil {
		return answer{result: resultMalformed, err: err}
	}
	l := s.logs[r.Origin]
	if l == nil {
		return answer{result: resultUnknown, err: errors.New("no log of this origin is cosigned for here")}
	}
	sub := &submission{request: r, answer: make(chan answer, 1)}
	for _, k := range l.keys {
		signature, present, valid := r.signedBy(k)
		if present && !valid {
			return answer{result: resultSignature, err: errors.New("a signature by a key of the log does not verify")}
		}
		if valid {
			sub.signatures = append(sub.signatures, signature)
		}
	}
	if len(sub.signatures) == 0 {
		return answer{result: resultSignature, err: errors.New("no key of the log that is known here has signed")}
	}
	if r.old > r.Size {
		return answer{result: resultMalformed, err: errors.New("the old size is larger than the checkpoint's")}
	}
	for _, k := range s.config.Keys {
		_, _, valid := r.signedBy(k.VerifierKey)
		sub.ours = sub.ours || valid
	}
	if l.waiting.Add(1) > maxOfOne {
		l.waiting.Add(-1)
		return answer{result: resultBusy, err: errors.New("too many checkpoints of this log are waiting already")}
	}
	defer l.waiting.Add(-1)
	select {
	case <-s.stop:
		return answer{result: resultBusy, err: ErrStopped}
	case s.queue <- sub:
	default:
		return answer{result: resultBusy, err: errors.New("too many checkpoints are waiting already")}
	}
	select {
	case a := <-sub.answer:
		return a
	case <-s.stopped:
	}
	select {
	case a := <-sub.answer: // given as the committer ended
		return a
	default:
		return answer{result: resultBusy, err: ErrStopped}
	}
}

// commit is the committer: what waits together is judged one by one, and made durable by
// one write.
func (s *Server) commit() {
	defer close(s.stopped)
	for {
		select {
		case first := <-s.queue:
			s.round(s.waiting(first))
		case <-s.stop:
			for {
				select {
				case first := <-s.queue:
					s.round(s.waiting(first))
				default:
					return
				}
			}
		}
	}
}

// waiting returns first and what else waits.
func (s *Server) waiting(first *submission) []*submission {
	batch := []*submission{first}
	for len(batch) < maxBatch {
		select {
		case sub := <-s.queue:
			batch = append(batch, sub)
		default:
			return batch
		}
	}
	return batch
}

// round judges a batch and answers it. No answer leaves before what it is based on is
// durable, refusals and sizes included.
func (s *Server) round(batch []*submission) {
	s.mu.Lock()
	next, err := maps.Clone(s.state), s.failure
	s.mu.Unlock()
	answers := make([]answer, len(batch))
	var accepted []*submission
	for i, sub := range batch {
		if err != nil {
			break
		}
		if answers[i], err = s.judge(next, sub); answers[i].result == resultCosigned {
			accepted = append(accepted, sub)
		}
	}
	if err != nil {
		s.fail(err)
	} else if len(accepted) > 0 {
		err = s.cosignAll(next, accepted)
	}
	for i, sub := range batch {
		if err != nil {
			answers[i] = answer{result: resultFailed, err: errors.New("the witness cannot cosign at present")}
		} else if answers[i].result == resultCosigned {
			answers[i].body = sub.cosignatures
		}
		sub.answer <- answers[i]
	}
}

// cosignAll makes the cosignatures, in memory, and then the state with them durable.
func (s *Server) cosignAll(next state, accepted []*submission) error {
	var signing errgroup.Group
	signing.SetLimit(runtime.GOMAXPROCS(0))
	made := make([][]proofs.Signature, len(accepted))
	for i, sub := range accepted {
		signing.Go(func() (err error) { made[i], err = s.cosign(sub); return err })
	}
	if err := signing.Wait(); err != nil {
		s.config.Logger.Error("cosigning failed", "error", err)
		return err
	}
	for i, sub := range accepted { // of a log's several the last one stands
		note := proofs.Note{Text: sub.note.Text, Signatures: slices.Concat(sub.signatures, made[i])}
		// What the next start could not read must not be written.
		if _, err := proofs.ParseNote(note.Marshal()); err != nil {
			s.fail(err)
			return err
		}
		next[sub.Origin] = record{sub.Checkpoint, note}
		for _, c := range made[i] {
			sub.cosignatures += c.String()
		}
	}
	s.metrics.batch.Observe(float64(len(accepted)))
	return s.write(next)
}

// write makes a state durable, and then the one that counts.
func (s *Server) write(next state) error {
	begun := time.Now()
	err := s.folder.store(next.encode(s.name))
	s.metrics.write.Observe(time.Since(begun).Seconds())
	switch {
	case errors.Is(err, errUnwritten):
		s.config.Logger.Error("nothing is cosigned", "error", err)
	case err != nil: // which of the two states a restart will find is not known
		s.fail(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unwritten = err != nil
	if err == nil {
		s.state = next
	}
	return err
}

// judge compares a submission with what is recorded, and if all holds records it in st,
// to be cosigned. The error stops the witness.
func (s *Server) judge(st state, sub *submission) (answer, error) {
	old, seen := st[sub.Origin]
	if !seen {
		old.Checkpoint = proofs.Checkpoint{Origin: sub.Origin, Root: proofs.EmptyRoot}
	}
	contradicts := sub.Size == old.Size && sub.Root != old.Root
	if sub.ours && (sub.Size > old.Size || contradicts) {
		return answer{}, fmt.Errorf("%w: it has size %d of a log, and size %d was cosigned", ErrRolledBack, old.Size, sub.Size)
	}
	if contradicts && seen {
		s.metrics.forks.Inc()
		s.keepFork(old, sub)
	}
	if sub.old != old.Size {
		return answer{result: resultConflict, size: old.Size}, nil
	}
	err := proofs.VerifyConsistency(sub.proof, old.Size, sub.Size, old.Root, sub.Root)
	if err == nil && sub.Size == 0 && sub.Root != proofs.EmptyRoot {
		err = errors.New("a tree of size 0 has another root")
	}
	if err != nil {
		if !contradicts {
			s.metrics.inconsistent.Inc()
		}
		return answer{result: resultProof, err: err}, nil
	}
	st[sub.Origin] = record{sub.Checkpoint, proofs.Note{Text: sub.note.Text, Signatures: sub.signatures}}
	return answer{result: resultCosigned}, nil
}

// cosign returns a cosignature by each key, in memory.
func (s *Server) cosign(sub *submission) ([]proofs.Signature, error) {
	posix := s.config.Now().Unix()
	var out []proofs.Signature
	for _, k := range s.config.Keys {
		var c proofs.Signature
		var err error
		if k.Type == proofs.TypeMLDSA44Cosigner {
			c, err = mldsa.Cosign(k.VerifierKey, sub.Checkpoint, posix, k.Signer)
		} else {
			c, err = k.Cosign(sub.note.Text, posix, k.Signer)
		}
		if err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	return out, nil
}

// keepFork keeps a log's two checkpoints of one size and two roots, both signed by it:
// proof, to anyone, that it forked.
func (s *Server) keepFork(old record, sub *submission) {
	dir := filepath.Join(s.config.Dir, "forks", hashOf(sub.Origin))
	path := func(c proofs.Checkpoint) string {
		return filepath.Join(dir, fmt.Sprintf("%d-%x.checkpoint", c.Size, c.Root[:8]))
	}
	if _, err := os.Stat(path(sub.Checkpoint)); err == nil {
		return
	}
	note := proofs.Note{Text: sub.note.Text, Signatures: sub.signatures}
	err := os.MkdirAll(dir, 0o700)
	kept, err2 := os.ReadDir(dir)
	if len(kept) >= maxForks {
		return
	}
	if err = errors.Join(err, err2); err == nil {
		err = errors.Join(s.folder.system.write(path(old.Checkpoint), old.note.Marshal()),
			s.folder.system.write(path(sub.Checkpoint), note.Marshal()))
	}
	s.config.Logger.Error("a log contradicts what it signed before: it forked; both checkpoints are kept", "folder", dir, "size", sub.Size, "error", err)
}

// hashOf is how C2SP tlog-witness names a log in a path.
func hashOf(origin string) string {
	sum := sha256.Sum256([]byte(origin))
	return hex.EncodeToString(sum[:])
}
