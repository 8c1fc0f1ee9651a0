package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/muniment/muniment/proofs"
)

const auditOrigin = "audit.test/prod/1"

var (
	auditKey   = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{3}, ed25519.SeedSize))
	witnessKey = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{4}, ed25519.SeedSize))
)

func auditVkey(t testing.TB, name string, kind byte, key ed25519.PrivateKey) proofs.VerifierKey {
	t.Helper()
	k, err := proofs.NewVerifierKey(name, kind, key.Public().(ed25519.PublicKey))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// A shownLog is a log as somebody shows it, who holds its key.
type shownLog struct {
	t testing.TB

	mu       sync.Mutex
	entries  []proofs.Entry
	raw      map[int]string // entries that are none
	size     int            // of the checkpoint
	key      ed25519.PrivateKey
	witness  time.Time // when the witness cosigned; zero: it did not
	alter    func(path string, data []byte) []byte
	absent   bool   // nothing is shown
	record   []byte // the public record of genesis
	requests int
}

// newShownLog has n entries, of which those from fork on are another history's.
func newShownLog(t testing.TB, n, fork int, last time.Time) *shownLog {
	l := &shownLog{t: t, key: auditKey, raw: map[int]string{}}
	return l.grow(n, fork, last)
}

func (l *shownLog) grow(n, fork int, last time.Time) *shownLog {
	for i := len(l.entries); i < n; i++ {
		e := proofs.Entry{Kind: proofs.KindDeposit, Time: last.UTC().Truncate(time.Millisecond), Record: proofs.Hash{byte(i), byte(i >> 8)}}
		if i == 0 {
			e.Kind = proofs.KindGenesis
		}
		if i >= fork {
			e.Record[31] = 1
		}
		l.entries = append(l.entries, e)
	}
	l.size = n
	return l
}

// become shows another history.
func (l *shownLog) become(o *shownLog) { l.entries, l.size = o.entries, o.size }

func (l *shownLog) text(i int) string {
	if s, ok := l.raw[i]; ok {
		return s
	}
	return l.entries[i].String()
}

// hashes are those of a level of the tree.
func (l *shownLog) hashes(level int) []proofs.Hash {
	var out []proofs.Hash
	r := proofs.Range{}
	for i := range l.size {
		r.Append(proofs.LeafHash([]byte(l.text(i))), func(height int, h proofs.Hash) {
			if height == level*proofs.TileHeight {
				out = append(out, h)
			}
		})
	}
	return out
}

func (l *shownLog) note() []byte {
	r := proofs.Range{}
	for i := range l.size {
		r.Append(proofs.LeafHash([]byte(l.text(i))), nil)
	}
	n := proofs.Note{Text: proofs.Checkpoint{Origin: auditOrigin, Size: uint64(l.size), Root: r.Root()}.String()}
	s, err := auditVkey(l.t, auditOrigin, proofs.TypeEd25519, l.key).Sign(n.Text, l.key)
	if err != nil {
		l.t.Fatal(err)
	}
	n.Signatures = append(n.Signatures, s)
	if !l.witness.IsZero() {
		s, err := auditVkey(l.t, "witness.test", proofs.TypeEd25519Cosigner, witnessKey).Cosign(n.Text, l.witness.Unix(), witnessKey)
		if err != nil {
			l.t.Fatal(err)
		}
		n.Signatures = append(n.Signatures, s)
	}
	return n.Marshal()
}

// ServeHTTP implements http.Handler, under any prefix.
func (l *shownLog) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.requests++
	path := strings.TrimPrefix(r.URL.Path, "/log/")
	var data []byte
	if !l.absent {
		data = l.piece(path)
	}
	if l.alter != nil && data != nil {
		data = l.alter(path, data)
	}
	if data == nil {
		http.NotFound(w, r)
		return
	}
	w.Write(data)
}

func (l *shownLog) piece(path string) []byte {
	if path == "checkpoint" {
		return l.note()
	}
	if path == "records/0" {
		return l.record
	}
	parts := strings.Split(path, "/") // tile LEVEL INDEX[.p WIDTH]: the logs here are small
	if len(parts) < 3 {
		return nil
	}
	index, _ := strconv.Atoi(strings.TrimSuffix(parts[2], ".p"))
	width := proofs.TileWidth
	if len(parts) == 4 {
		width, _ = strconv.Atoi(parts[3])
	}
	from, to := index*proofs.TileWidth, index*proofs.TileWidth+width
	if parts[1] == "entries" {
		if to > l.size {
			return nil
		}
		var out []byte
		for i := from; i < to; i++ {
			out = append(binary.BigEndian.AppendUint16(out, uint16(len(l.text(i)))), l.text(i)...)
		}
		return out
	}
	level, _ := strconv.Atoi(parts[1])
	hashes := l.hashes(level)
	if to > len(hashes) {
		return nil
	}
	return proofs.NewTile(hashes[from:to]).Marshal()
}

func (l *shownLog) set(change func(*shownLog)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change(l)
}

func (l *shownLog) url(t testing.TB) string {
	s := httptest.NewServer(l)
	t.Cleanup(s.Close)
	return s.URL + "/log"
}

// auditPolicy writes the policy, with the witness needed or not.
func auditPolicy(t testing.TB, witnessed bool) string {
	text := "log " + auditVkey(t, auditOrigin, proofs.TypeEd25519, auditKey).String() + "\n"
	quorum := "none"
	if witnessed {
		text += "witness w " + auditVkey(t, "witness.test", proofs.TypeEd25519Cosigner, witnessKey).String() + "\n"
		quorum = "w"
	}
	path := filepath.Join(t.TempDir(), "policy")
	if err := os.WriteFile(path, []byte(text+"quorum "+quorum+"\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

// command runs muniment within this process.
func command(ctx context.Context, args ...string) (code int, out string, err error) {
	root := rootCommand(proofs.English)
	var stdout bytes.Buffer
	root.SetArgs(args)
	root.SetOut(&stdout)
	root.SetErr(io.Discard)
	err = root.ExecuteContext(ctx)
	var exit exitError
	switch {
	case errors.As(err, &exit):
		return int(exit), stdout.String(), nil
	case err != nil:
		return exitFailure, stdout.String(), err
	}
	return 0, stdout.String(), nil
}

// auditOnce audits, and returns the exit code and what was found.
func auditOnce(t *testing.T, args ...string) (int, audited) {
	t.Helper()
	code, out, err := command(t.Context(), append([]string{"audit", "--json"}, args...)...)
	var found audited
	if err != nil || json.Unmarshal([]byte(out), &found) != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if len(found.Alarms) > 0 && found.Alarms[0].Says == "" {
		t.Errorf("nothing is said: %s", out)
	}
	return code, found
}

// TestAuditAlarms: what each thing a log can do comes to, after an audit of 600 entries
// that was sound.
func TestAuditAlarms(t *testing.T) {
	now := time.Now()
	flip := func(at string) func(string, []byte) []byte {
		return func(path string, data []byte) []byte {
			if path == at {
				data[len(data)-1] ^= 1
			}
			return data
		}
	}
	for what, c := range map[string]struct {
		change  func(*shownLog)
		more    []string
		outcome string
		code    int
		files   int // of proof
	}{
		"nothing new":    {func(*shownLog) {}, nil, "sound", 0, 0},
		"grown":          {func(l *shownLog) { l.grow(900, 900, now) }, nil, "sound", 0, 0},
		"forked":         {func(l *shownLog) { l.become(newShownLog(t, 600, 300, now)) }, nil, alarmFork, exitRefused, 2},
		"forked, grown":  {func(l *shownLog) { l.become(newShownLog(t, 900, 599, now)) }, nil, alarmFork, exitRefused, 3},
		"forked, behind": {func(l *shownLog) { l.become(newShownLog(t, 400, 0, now)) }, nil, alarmFork, exitRefused, 3},
		"behind":         {func(l *shownLog) { l.size = 500 }, nil, alarmUndecided, exitFailure, 0},
		"rolled back":    {func(l *shownLog) { l.size = 500 }, []string{"--lag", "0s"}, alarmRollback, exitRollback, 0},
		"flipped entry":  {func(l *shownLog) { l.grow(900, 900, now); l.alter = flip("tile/entries/002") }, nil, alarmMissing, exitMissing, 0},
		"flipped tile":   {func(l *shownLog) { l.grow(900, 900, now); l.alter = flip("tile/0/002") }, nil, alarmMissing, exitMissing, 0},
		"flipped edge":   {func(l *shownLog) { l.grow(900, 900, now); l.alter = flip("tile/1/000.p/3") }, nil, alarmMissing, exitMissing, 0},
		"missing tiles":  {func(l *shownLog) { l.grow(900, 900, now); l.alter = gone }, nil, alarmMissing, exitMissing, 0},
		"gone":           {func(l *shownLog) { l.absent = true }, nil, alarmUndecided, exitFailure, 0},
		"another key":    {func(l *shownLog) { l.key = witnessKey }, nil, alarmRefused, exitRefused, 0},
		"no checkpoint":  {func(l *shownLog) { l.alter = func(string, []byte) []byte { return []byte("<html>") } }, nil, alarmUndecided, exitFailure, 0},
		"endless":        {func(l *shownLog) { l.alter = func(_ string, b []byte) []byte { return bytes.Repeat(b, 1e5) } }, nil, alarmUndecided, exitFailure, 0},
		"no entry":       {func(l *shownLog) { l.grow(900, 900, now); l.raw[700] = "no entry" }, nil, alarmBreach, exitRefused, 0},
		"decreasing":     {func(l *shownLog) { l.grow(900, 900, now.Add(-time.Hour)) }, nil, alarmBreach, exitRefused, 0},
		"ahead of time":  {func(l *shownLog) { l.grow(900, 900, now.Add(time.Hour)) }, nil, alarmUndecided, exitFailure, 0},
		"stale":          {func(*shownLog) {}, []string{"--stale", "1ns"}, alarmStale, exitStale, 0},
		"not stale":      {func(*shownLog) {}, []string{"--stale", "1h"}, "sound", 0, 0},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			l := newShownLog(t, 600, 600, now)
			dir, textfile := t.TempDir(), filepath.Join(t.TempDir(), "muniment.prom")
			args := []string{"--log", l.url(t), "--policy", auditPolicy(t, false), "--dir", dir, "--textfile", textfile}
			if code, found := auditOnce(t, args...); code != 0 || found.Outcome != "sound" || found.Size != 600 || found.Fresh != 600 {
				t.Fatalf("exit %d, %+v", code, found)
			}
			l.set(c.change)
			for range 2 { // the second audit knows what the first has found
				code, found := auditOnce(t, append(args, c.more...)...)
				if code != c.code || found.Outcome != c.outcome {
					t.Errorf("exit %d, want %d: %+v", code, c.code, found)
				}
				if files, _ := filepath.Glob(filepath.Join(dir, "fork-*")); len(files) != c.files {
					t.Errorf("proof %q", files)
				}
			}
			prom := string(read(t, textfile))
			if c.code != 0 && !strings.Contains(prom, `muniment_audit_alarms{alarm="`+c.outcome+`"} 1`) {
				t.Errorf("%s", prom)
			}
		})
	}
}

// gone takes the pieces of the third bundle away.
func gone(path string, data []byte) []byte {
	if strings.HasSuffix(path, "/002") {
		return nil
	}
	return data
}

// TestAuditFromNothing: what the first audit of a log can already tell.
func TestAuditFromNothing(t *testing.T) {
	now := time.Now()
	l := newShownLog(t, 600, 600, now)
	witnessed := auditPolicy(t, true)
	args := []string{"--log", l.url(t), "--policy", witnessed, "--dir", t.TempDir()}
	if code, found := auditOnce(t, args...); code != exitRefused || found.Outcome != alarmRefused || found.Size != 0 {
		t.Errorf("without the quorum: exit %d, %+v", code, found)
	}
	for at, want := range map[time.Duration]string{0: "sound", time.Hour: alarmUndecided, -time.Hour: alarmUndecided} {
		l.set(func(l *shownLog) { l.witness = now.Add(at) })
		if code, found := auditOnce(t, args...); found.Outcome != want || found.Size != 600 || found.Cosigned == "" {
			t.Errorf("cosigned after %v: exit %d, %+v", at, code, found)
		}
	}
	// A fork is one whether witnesses signed it or not.
	other := newShownLog(t, 700, 600, now)
	forked := newShownLog(t, 700, 5, now)
	if code, found := auditOnce(t, "--log", other.url(t), "--policy", auditPolicy(t, false), "--dir", t.TempDir(), "--compare", forked.url(t)); code != exitRefused || found.Outcome != alarmFork {
		t.Errorf("exit %d, %+v", code, found)
	}
	l.set(func(l *shownLog) { l.entries, l.size, l.witness = forked.entries, 700, time.Time{} })
	if code, found := auditOnce(t, args...); code != exitRefused || found.Outcome != alarmFork {
		t.Errorf("exit %d, %+v", code, found)
	}
	if code, _, err := command(t.Context(), "audit", "--policy", witnessed, "--dir", t.TempDir(), "--lang", "zh"); code != exitFailure || err != nil {
		t.Errorf("an empty mirror: exit %d, %v", code, err)
	}
}

// TestAuditCompares: what others are shown, against what the log shows.
func TestAuditCompares(t *testing.T) {
	now := time.Now()
	log := newShownLog(t, 600, 600, now)
	noteOnly := func(l *shownLog) *shownLog {
		l.alter = func(path string, data []byte) []byte {
			if path != "checkpoint" {
				return nil
			}
			return data
		}
		return l
	}
	for what, c := range map[string]struct {
		other   *shownLog
		more    []string
		outcome string
		of      string
		code    int
	}{
		"a replica":               {newShownLog(t, 600, 600, now), nil, "sound", "consistent", 0},
		"a replica that lags":     {newShownLog(t, 300, 600, now), nil, "sound", "consistent", 0},
		"a split view":            {newShownLog(t, 600, 500, now), nil, alarmFork, "fork", exitRefused},
		"a split view, smaller":   {newShownLog(t, 555, 10, now), nil, alarmFork, "fork", exitRefused},
		"a split view, larger":    {newShownLog(t, 777, 599, now), nil, alarmFork, "fork", exitRefused},
		"a witness":               {noteOnly(newShownLog(t, 500, 600, now)), nil, "sound", "consistent", 0},
		"a witness, split view":   {noteOnly(newShownLog(t, 500, 400, now)), nil, alarmFork, "fork", exitRefused},
		"a witness that is ahead": {noteOnly(newShownLog(t, 700, 700, now)), nil, alarmUndecided, "ahead", exitFailure},
		"ahead for long":          {newShownLog(t, 700, 700, now), []string{"--lag", "0s"}, alarmRollback, "ahead", exitRollback},
		"nobody":                  {&shownLog{absent: true}, nil, alarmUndecided, "unread", exitFailure},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			args := []string{"--log", log.url(t), "--policy", auditPolicy(t, false), "--dir", dir, "--compare", c.other.url(t) + "/checkpoint"}
			for range 2 {
				code, found := auditOnce(t, append(args, c.more...)...)
				if code != c.code || found.Outcome != c.outcome || len(found.Compared) != 1 || found.Compared[0].Outcome != c.of {
					t.Errorf("exit %d, want %d: %+v", code, c.code, found)
				}
			}
			files, _ := filepath.Glob(filepath.Join(dir, "fork-*.checkpoint"))
			if c.outcome == alarmFork && len(files) != 2 || c.outcome != alarmFork && len(files) != 0 {
				t.Errorf("proof %q", files)
			}
		})
	}
}

// TestAuditComparesWitnesses: a witness is named by its address, and has the log under the
// hash of its origin, beside others.
func TestAuditComparesWitnesses(t *testing.T) {
	now := time.Now()
	path := fmt.Sprintf("/w/%x/checkpoint", sha256.Sum256([]byte(auditOrigin)))
	for fork, want := range map[int]string{600: "consistent", 7: "fork"} {
		seen := newShownLog(t, 555, fork, now)
		witness := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != path {
				http.NotFound(w, r)
				return
			}
			w.Write(seen.note())
		}))
		defer witness.Close()
		code, found := auditOnce(t, "--log", newShownLog(t, 600, 600, now).url(t), "--policy", auditPolicy(t, false), "--dir", t.TempDir(), "--compare", witness.URL+"/w/")
		if len(found.Compared) != 1 || found.Compared[0].Outcome != want || (code == 0) != (want == "consistent") {
			t.Errorf("exit %d, %+v", code, found)
		}
	}
}

// TestAuditWebhook: each alarm is told when it is raised and when it is cleared, tried
// again for a while, and never in words that the log chose.
func TestAuditWebhook(t *testing.T) {
	now := time.Now()
	l := newShownLog(t, 600, 600, now)
	var mu sync.Mutex
	var got []string
	failures := 2
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if failures--; failures >= 0 {
			http.Error(w, "later", http.StatusServiceUnavailable)
			return
		}
		data, err := io.ReadAll(r.Body)
		var body struct{ State, Alarm, Origin string }
		if err != nil || json.Unmarshal(data, &body) != nil || r.Header.Get("Content-Type") != "application/json" || body.Origin != auditOrigin || bytes.Contains(data, []byte("says")) {
			t.Errorf("%s", data)
		}
		got = append(got, body.State+" "+body.Alarm)
	}))
	defer hook.Close()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ended := make(chan int)
	go func() {
		code, out, err := command(ctx, "audit", "--log", l.url(t), "--policy", auditPolicy(t, false), "--dir", t.TempDir(),
			"--watch", "1s", "--lag", "0s", "--webhook", hook.URL)
		if err != nil {
			t.Errorf("%v: %s", err, out)
		}
		ended <- code
	}()
	reach := func(n int) {
		t.Helper()
		for range 1200 {
			mu.Lock()
			done := len(got) >= n
			mu.Unlock()
			if done {
				return
			}
			time.Sleep(50 * time.Millisecond)
		}
		t.Fatalf("%q", got)
	}
	seen := func() bool { l.mu.Lock(); defer l.mu.Unlock(); return l.requests > 8 }
	for !seen() {
		time.Sleep(10 * time.Millisecond)
	}
	l.set(func(l *shownLog) { l.size = 500 })
	reach(1)
	l.set(func(l *shownLog) { l.size = 600 })
	reach(2)
	l.set(func(l *shownLog) { l.entries = newShownLog(t, 600, 3, now).entries })
	reach(3)
	select {
	case code := <-ended:
		if code != exitRefused {
			t.Errorf("exit %d", code)
		}
	case <-time.After(time.Minute):
		t.Fatal("a fork does not end the watch")
	}
	if want := []string{"raised rollback", "cleared rollback", "raised fork"}; !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

// TestAuditWatchStops: stopped, a watch says with its exit code how things stand.
func TestAuditWatchStops(t *testing.T) {
	for stale, want := range map[string]int{"1h": 0, "1ns": exitStale} {
		l := newShownLog(t, 3, 3, time.Now())
		ctx, stop := context.WithCancel(t.Context())
		go func() {
			for n := 0; n < 5; time.Sleep(10 * time.Millisecond) {
				l.mu.Lock()
				n = l.requests
				l.mu.Unlock()
			}
			time.Sleep(200 * time.Millisecond)
			stop()
		}()
		code, out, err := command(ctx, "audit", "--log", l.url(t), "--policy", auditPolicy(t, false), "--dir", t.TempDir(), "--watch", "1s", "--stale", stale)
		if code != want || err != nil {
			t.Errorf("--stale %s: exit %d, %v: %s", stale, code, err, out)
		}
	}
}

// provedLog is a log of 300 entries of which every record is known.
func provedLog(t *testing.T) (*shownLog, []proofs.Receipt) {
	now := time.Now().UTC().Truncate(time.Millisecond)
	l := &shownLog{t: t, key: auditKey, raw: map[int]string{}}
	var proved []proofs.Receipt
	for i := range 300 {
		record, err := proofs.ParseMembers(fmt.Sprintf(`{"content.sha256":"%064x"}`, i))
		if err != nil {
			t.Fatal(err)
		}
		d := record.Disclose(proofs.Seed{byte(i), byte(i >> 8)})
		e := proofs.Entry{Kind: proofs.KindDeposit, Time: now, Record: proofs.Commitment(d)}
		if i == 0 {
			e.Kind = proofs.KindGenesis
		}
		l.entries, l.size = append(l.entries, e), i+1
		proved = append(proved, proofs.Receipt{Entry: e, Disclosures: d, Index: uint64(i)})
	}
	return l, proved
}

// receipt is r under the log's checkpoint of that size.
func (l *shownLog) receipt(size int, r proofs.Receipt) proofs.Receipt {
	l.t.Helper()
	was := l.size
	l.size = size
	defer func() { l.size = was }()
	path, err := proofs.InclusionProof(r.Index, uint64(size), tilesOf(func(level int, index uint64, width int) []proofs.Hash {
		return l.hashes(level)[index*proofs.TileWidth:][:width]
	}))
	if err != nil {
		l.t.Fatal(err)
	}
	r.Path, r.Checkpoint = path, l.note()
	return r
}

// TestAuditRecords: a public record is kept if it is its entry's, wholly disclosed; any
// other is an alarm, and none at all is said.
func TestAuditRecords(t *testing.T) {
	l, proved := provedLog(t)
	hidden := l.receipt(300, proved[0])
	hidden.Disclosures = []proofs.Disclosure{{Name: proved[0].Disclosures[0].Name, Hidden: true, Hash: proved[0].Disclosures[0].Hash}}
	altered := l.receipt(300, proved[0])
	altered.Path[0][0]++
	for what, c := range map[string]struct {
		record          []byte
		outcome         string
		records, absent int
	}{
		"none":          {nil, "sound", 0, 1},
		"its own":       {l.receipt(200, proved[0]).Marshal(), "sound", 1, 0},
		"hidden":        {hidden.Marshal(), alarmMissing, 0, 0},
		"altered":       {altered.Marshal(), alarmMissing, 0, 0},
		"of another":    {l.receipt(300, proved[1]).Marshal(), alarmMissing, 0, 0},
		"not a receipt": {[]byte("x"), alarmMissing, 0, 0},
	} {
		l.record = c.record
		dir := t.TempDir()
		_, found := auditOnce(t, "--log", l.url(t), "--policy", auditPolicy(t, false), "--dir", dir)
		if found.Outcome != c.outcome || found.Records != c.records || found.Absent != c.absent {
			t.Errorf("%s: %+v", what, found)
		}
		if kept, err := os.ReadFile(filepath.Join(dir, "records", "0")); (err == nil) != (c.records == 1) || err == nil && !bytes.Equal(kept, c.record) {
			t.Errorf("%s: kept %q, %v", what, kept, err)
		}
	}
}

// TestAuditReceipts: receipts that stand, and those that do not, each for its own reason.
func TestAuditReceipts(t *testing.T) {
	dir, receipts := t.TempDir(), t.TempDir()
	l, proved := provedLog(t)
	keep := func(name string, r proofs.Receipt) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(receipts, name+receiptSuffix), r.Marshal(), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	under := func(l *shownLog, size int, r proofs.Receipt) proofs.Receipt { return l.receipt(size, r) }
	args := []string{"--log", l.url(t), "--policy", auditPolicy(t, false), "--dir", dir, "--receipts", receipts}
	if code, found := auditOnce(t, args...); code != exitFailure {
		t.Errorf("no receipts: exit %d, %+v", code, found)
	}
	keep("a", under(l, 10, proved[7]))
	keep("b", under(l, 300, proved[299]))
	keep("c", under(l, 300, proved[0]))
	if code, found := auditOnce(t, args...); code != 0 || *found.Receipts != (auditedPapers{3, 3}) {
		t.Errorf("exit %d, %+v", code, found)
	}
	if code, found := auditOnce(t, args[2:]...); code != 0 || *found.Receipts != (auditedPapers{3, 3}) {
		t.Errorf("offline: exit %d, %+v", code, found)
	}
	forked := &shownLog{t: t, key: auditKey, raw: map[int]string{}, entries: slices.Clone(l.entries)}
	forked.entries[5].Record[0]++
	for name, c := range map[string]struct {
		make func() proofs.Receipt
		code int
	}{
		"of a fork": {func() proofs.Receipt { return under(forked, 100, proved[50]) }, exitRefused},
		"altered":   {func() proofs.Receipt { r := under(l, 100, proved[50]); r.Index++; return r }, exitRefused},
		"newer": {func() proofs.Receipt {
			l.entries = append(l.entries, l.entries[299])
			defer func() { l.entries = l.entries[:300] }()
			return under(l, 301, proved[50])
		}, exitFailure},
	} {
		keep("d", c.make())
		if code, found := auditOnce(t, args...); code != c.code || *found.Receipts != (auditedPapers{4, 3}) {
			t.Errorf("%s: exit %d, %+v", name, code, found)
		}
	}
}

// tilesOf reads tiles.
type tilesOf func(level int, index uint64, width int) []proofs.Hash

func (f tilesOf) ReadTile(level int, index uint64, width int) (*proofs.Tile, error) {
	return proofs.NewTile(f(level, index, width)), nil
}

// TestAuditUsage: what makes no sense is refused before anything is done.
func TestAuditUsage(t *testing.T) {
	policy := auditPolicy(t, false)
	t.Chdir(t.TempDir())
	for _, args := range []string{
		"", "--dir m --log ftp://x", "--dir m --log http://x --watch 1ms", "--dir m --watch 1m", "--dir m --parallel 0",
		"--dir m --lag -1s", "--dir m --log http://x --compare x", "--dir m --log http://x --webhook x", "--dir m extra",
	} {
		code, out, err := command(t.Context(), append([]string{"audit", "--policy", policy}, strings.Fields(args)...)...)
		if code != exitFailure || err == nil || out != "" {
			t.Errorf("%s: exit %d, %v, %s", args, code, err, out)
		}
	}
	if entries, err := os.ReadDir("."); err != nil || len(entries) > 0 {
		t.Errorf("%v, %v", entries, err)
	}
}
