package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unicode"

	"golang.org/x/sys/unix"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/storage/dir"
)

// facts are what earlier checks saw; nil and zero are what they could not see.
type facts struct {
	keys   []logKey // of the log
	policy *proofs.Policy
	anchor *proofs.Checkpoint
	state  *state
}

// fromBackup is the mend for what only a backup can bring back.
func (e *examination) fromBackup() string {
	if e.config.inDirectory("restore") != nil {
		return "bring it back from the own backups of what keeps it (munimentd config), never to a state older than the anchors hold"
	}
	stop := ""
	if e.Running {
		stop = "stop it, and "
	}
	return stop + fmt.Sprintf("munimentd restore --from TARGET --dir NEW --keys %s --newest %s, then serve NEW",
		filepath.Join(e.dir, "keys"), e.anchorPath())
}

func (e *examination) anchorPath() string {
	return dir.AnchorPath(filepath.Join(e.dir, "anchor"))
}

// directory checks whose the files are, and who else may open them.
func (e *examination) directory(info fs.FileInfo) {
	owner := info.Sys().(*syscall.Stat_t).Uid
	if info.Mode().Perm()&0o077 != 0 {
		e.add("directory", wrong, "chmod 700 "+e.dir, "%s may be entered by others, mode %o", e.dir, info.Mode().Perm())
	}
	keys := filepath.Join(e.dir, "keys")
	for _, path := range append(e.config.places(), keys, filepath.Join(keys, "tenants")) {
		sub, err := os.Stat(path)
		switch {
		case err != nil:
			e.add("directory", wrong, "put it back from a copy, or "+e.fromBackup(), "%v", err)
		case sub.Sys().(*syscall.Stat_t).Uid != owner:
			e.add("directory", wrong, fmt.Sprintf("chown -R %d %s", owner, e.dir), "%s belongs to user %d, %s to user %d",
				path, sub.Sys().(*syscall.Stat_t).Uid, e.dir, owner)
		case strings.HasPrefix(path, keys) && sub.Mode().Perm()&0o077 != 0:
			e.add("directory", wrong, "chmod 700 "+path, "%s may be entered by others, mode %o", path, sub.Mode().Perm())
		}
	}
	if len(e.Findings) == 0 {
		e.add("directory", sound, "", "%s, of user %d, closed to others", e.dir, owner)
	}
}

// keyFile checks who may read a key file, and reports whether it is there.
func (e *examination) keyFile(check, path string) bool {
	info, err := os.Stat(path)
	if err != nil {
		e.add(check, wrong, "copy it back from where the keys are kept apart; nothing else can replace it", "%v", err)
		return false
	}
	if info.Mode().Perm()&0o077 != 0 && !mounted(info) {
		e.add(check, wrong, fmt.Sprintf("chmod 600 %s, and judge whether someone has read it", path), "%s may be read by others, mode %o", path, info.Mode().Perm())
		return false
	}
	return true
}

func (e *examination) logKey() {
	for _, path := range []string{logKeyPath(e.dir), nextKeyPath(e.dir)} {
		_, err := os.Stat(path)
		if errors.Is(err, os.ErrNotExist) && (e.config.LogKey.elsewhere() || path == nextKeyPath(e.dir)) {
			continue
		}
		if !e.keyFile("log key", path) {
			return
		}
	}
	keys, err := e.config.logKeys()
	if err != nil {
		e.add("log key", wrong, "copy it back from where the keys are kept apart, or see that what keeps it works; nothing else can replace it", "%v", err)
		return
	}
	e.keys = keys
	var from []string
	for _, k := range keys {
		from = append(from, k.from)
	}
	e.add("log key", sound, "", "%s, readable by its owner alone", strings.Join(from, " and "))
	if len(keys) > 1 {
		e.add("log key", doubtful, "if no rotation is under way, munimentd key rotate finish or a look at what is left of it", "%d keys of the log are at hand", len(keys))
	}
}

// policyFile checks that the policy names the log's key.
func (e *examination) policyFile() {
	mend := "put this log's own policy back; who verifies receipts has it, and it is in each backup"
	policy, err := readPolicy(e.dir)
	if err != nil {
		e.add("policy", wrong, mend, "%v", err)
		return
	}
	key := policy.Logs[0]
	if e.keys == nil {
		e.add("policy", unchecked, "", "whether %s names the log's key", filepath.Join(e.dir, "policy"))
		return
	}
	if !slices.ContainsFunc(e.keys, func(k logKey) bool { return k.public() == key.Key }) {
		e.add("policy", wrong, mend+", or this log's own keys/log.pem if that is the foreign one", "the policy's log key %s is not that of %s", key, e.keys[0].from)
		return
	}
	e.policy = &policy
	e.add("policy", sound, "", "of %s, fingerprint %s", key.Name, policy.Fingerprint())
}

// anchorFile reads the anchor without taking it.
func (e *examination) anchorFile() {
	mend := "put this log's own anchor back, never an older one; if it is lost, " +
		fmt.Sprintf("munimentd restore --from TARGET --dir NEW --keys %s --newest FILE, with the newest receipt or checkpoint there is", filepath.Join(e.dir, "keys"))
	body, err := dir.ReadAnchor(e.anchorPath())
	if err != nil {
		e.add("anchor", wrong, mend, "%v", err)
		return
	}
	e.heldBy(e.anchorPath(), mend, body)
}

// process finds out who has the depository open. Its error is that looking further
// would do harm.
func (e *examination) process(ctx context.Context, info fs.FileInfo) error {
	if e.config.shared() {
		e.add("process", sound, "", "any number may serve: the directory holds keys and policy alone (--server asks one of them)")
		return nil
	}
	lock, err := take(e.dir)
	if err == nil {
		lock.Close()
		if owner := int(info.Sys().(*syscall.Stat_t).Uid); os.Geteuid() != owner {
			return fmt.Errorf("%s belongs to user %d, and opening it as another would leave files that the owner cannot open; run it as the owner: sudo -u '#%d' munimentd doctor --dir %s",
				e.dir, owner, owner, e.dir)
		}
		e.add("process", sound, "", "none has it open: it does not serve now")
		return nil
	}
	if !errors.Is(err, errTaken) {
		return err
	}
	e.Running = true
	s, err := askState(ctx, e.dir)
	if err != nil {
		e.add("process", wrong, "wait for any munimentd init, fsck, restore or doctor on it to end; else see whether munimentd serve is stopped or hangs (systemctl status munimentd), and restart it", "%v", err)
		return nil
	}
	e.state = &s
	for _, p := range s.Problems {
		e.add("process", wrong, "see the other lines, and the log of munimentd serve", "it is running, process %d, and not ready: %s", s.Pid, p)
	}
	if len(s.Problems) == 0 {
		e.add("process", sound, "", "it is running, process %d, and ready", s.Pid)
	}
	return nil
}

// contents re-hashes everything.
func (e *examination) contents(ctx context.Context) {
	if e.Running && e.state == nil || !e.Running && (e.keys == nil || e.policy == nil) {
		e.add("contents", unchecked, "", "ledger and documents, before the above is mended")
		return
	}
	report, err := e.fsck(ctx)
	if err != nil {
		e.add("contents", unchecked, "", "ledger and documents: %v", err)
		return
	}
	for i, what := range report.Named {
		if i == 20 {
			e.add("contents", wrong, "see munimentd fsck --dir "+e.dir, "and %d more", report.Findings-20)
			break
		}
		e.add("contents", wrong, e.mendOf(what, report.Blobs), "%s", what)
	}
	if report.Clean() {
		e.add("contents", sound, "", "%d entries and %d documents of %d bytes re-hashed", report.Entries, report.Documents, report.Bytes)
	}
	if report.Orphans > 0 {
		e.add("contents", doubtful, "nothing to do: serve sweeps each 24 hours after it was written", "%d documents that no entry refers to, of deposits that never came to be", report.Orphans)
	}
}

// fsck checks what is stored, and when nobody else has it open, looks at the rest of it.
func (e *examination) fsck(ctx context.Context) (*notary.Report, error) {
	progress := func(done, total uint64) { e.bar.show("entries", done, total) }
	if e.Running {
		return askFsck(ctx, e.dir, false, progress)
	}
	d, err := open(ctx, e.config, slog.New(slog.DiscardHandler), func(err error) {
		fmt.Fprintln(os.Stderr, "munimentd:", err)
		os.Exit(exitFatal)
	})
	if damaged := new(storeError); errors.As(err, &damaged) {
		return &notary.Report{Findings: 1, Named: []string{err.Error()}}, nil
	}
	if err != nil {
		return nil, err
	}
	if s, err := stateOf(ctx, d.store); err == nil { // else fsck says what is damaged
		e.state = &s
	}
	report, err := notary.Fsck(ctx, d.config, progress)
	return report, errors.Join(err, d.close())
}

// mendOf says how to mend what fsck has found.
func (e *examination) mendOf(what string, blobs []string) string {
	for _, name := range blobs {
		if e.config.Blobs != "dir" {
			break
		}
		if _, id, _ := strings.Cut(name, "/"); strings.Contains(what, id) {
			here, there := dir.NewReader(filepath.Join(e.dir, "blobs")), dir.NewReader("TARGET/blobs")
			to, _ := here.Path(name)
			from, _ := there.Path(name)
			return fmt.Sprintf("put the document back from a backup: cp %s %s", from, to)
		}
	}
	switch {
	case strings.Contains(what, "was rolled back") && e.config.Blobs == "s3":
		return "munimentd recover --dir " + e.dir + " rebuilds it from the segments; see RUNBOOKS.md"
	case strings.Contains(what, "in no segment"):
		return "nothing to do: munimentd serve stores them a second time, once it seals"
	case strings.Contains(what, "erased, and its wrapped key"):
		return "ask for the erasure again: it destroys every copy of the key"
	case strings.Contains(what, "segment"):
		return "delete that object under segments/ in the bucket (a mark of deletion will do), and munimentd serve stores it anew from the ledger"
	case strings.HasPrefix(what, "anchor"):
		return "see anchor above"
	case strings.Contains(what, "tenant's key"), strings.HasPrefix(what, "key of tenant"), strings.Contains(what, filepath.Join("keys", "tenants")):
		return "put the tenant's own key file back into " + filepath.Join(e.dir, "keys", "tenants") + "; if it is the right one, " + e.fromBackup()
	}
	return e.fromBackup()
}

// tenantKeyFiles checks that each tenant has its key.
func (e *examination) tenantKeyFiles() {
	if e.state == nil {
		e.add("tenants", unchecked, "", "whether each tenant has its key file")
		return
	}
	files, err := e.config.tenantKeys()
	if err != nil {
		e.add("tenants", wrong, "mend kms in the settings (munimentd config)", "%v", err)
		return
	}
	good := 0
	for _, text := range e.state.Tenants {
		id, err := notary.ParseID(text)
		if err != nil || !e.keyFile("tenants", tenantKeyPath(e.dir, id)) {
			continue
		}
		key, err := files.read(id)
		if err != nil {
			e.add("tenants", wrong, "copy it back from where the keys are kept apart; nothing else can replace it. If a KMS keeps it shut, see that it answers and that the token is in force", "%v", err)
			continue
		}
		if e.rotationOf(id, key) {
			good++
		}
	}
	if good == len(e.state.Tenants) {
		kept := "readable by their owner alone"
		if files.kms != nil {
			kept += ", for " + files.kms.KeyID() + " to open"
		}
		e.add("tenants", sound, "", "%d key files, %s", good, kept)
	}
}

// published holds the newest published checkpoint against ledger and anchor.
func (e *examination) published(ctx context.Context) {
	if e.state == nil || e.policy == nil {
		e.add("published", unchecked, "", "the published checkpoint")
		return
	}
	if len(e.state.Published) == 0 {
		e.add("published", doubtful, "nothing to do: the first start of munimentd serve seals and publishes", "nothing is published yet")
		return
	}
	note, err := proofs.ParseNote(e.state.Published)
	if err == nil && !signedBy(e.policy.Logs[0], note) {
		err = errors.New("the log's key did not sign it")
	}
	var cp proofs.Checkpoint
	if err == nil {
		cp, err = proofs.ParseCheckpoint(note.Text)
	}
	switch {
	case err != nil:
		e.add("published", wrong, e.fromBackup(), "the published checkpoint: %v", err)
	case cp.Size > e.state.Size:
		e.add("published", wrong, e.fromBackup(), "%d entries are published, and the ledger has %d: it was rolled back", cp.Size, e.state.Size)
	case !e.Running && !e.config.shared() && e.anchor != nil && cp.Size > e.anchor.Size:
		e.add("published", wrong, "put this log's own, newest anchor back to "+e.anchorPath(), "%d entries are published, and %d sealed at the anchor: the anchor was rolled back", cp.Size, e.anchor.Size)
	case !e.Running && cp.Size < e.state.Size:
		e.add("published", doubtful, "start munimentd serve: it seals and publishes the rest first", "%d of %d entries are published", cp.Size, e.state.Size)
	case e.Running && cp.Size < e.state.Size && !e.catchesUp(ctx, e.state.Size):
		e.add("published", wrong, "see the log of munimentd serve for why sealing fails", "%d of %d entries are published, and it does not catch up", cp.Size, e.state.Size)
	default:
		e.add("published", sound, "", "%d entries", cp.Size)
	}
}

// catchUpWithin is how long a running depository may take to publish what is committed:
// longer, and it refuses deposits by itself.
const catchUpWithin = 10 * time.Second

// catchesUp waits for that size to be published.
func (e *examination) catchesUp(ctx context.Context, size uint64) bool {
	for deadline := time.Now().Add(catchUpWithin); time.Now().Before(deadline) && ctx.Err() == nil; time.Sleep(100 * time.Millisecond) {
		s, err := askState(ctx, e.dir)
		if err != nil {
			return false
		}
		if note, err := proofs.ParseNote(s.Published); err == nil {
			if cp, err := proofs.ParseCheckpoint(note.Text); err == nil && cp.Size >= size {
				return true
			}
		}
	}
	return false
}

// clock holds the clock against the newest entry.
func (e *examination) clock() {
	if e.state == nil {
		e.add("clock", unchecked, "", "against the newest entry")
		return
	}
	set := "set the clock right, and keep it so with chrony or systemd-timesyncd"
	ahead := time.Until(e.state.Newest).Round(time.Millisecond)
	switch {
	case ahead > 2*time.Second: // the notary's own tolerance
		e.add("clock", wrong, set, "the clock is %v behind the newest entry, of %s: deposits are refused", ahead, proofs.FormatTime(e.state.Newest))
	case !e.Running && -ahead > 24*time.Hour:
		e.add("clock", doubtful, "if the clock is right, start with munimentd serve --accept-clock, once", "the clock is %v past the newest entry: a start is refused", (-ahead).Round(time.Second))
	default:
		e.add("clock", sound, "", "at or after the newest entry, of %s", proofs.FormatTime(e.state.Newest))
	}
	var t unix.Timex
	if state, err := unix.Adjtimex(&t); err == nil && (state == unix.TIME_ERROR || t.Status&unix.STA_UNSYNC != 0) {
		e.add("clock", doubtful, set, "the kernel says that the clock is not synchronised with any other")
	}
}

// readiness asks as clients do.
func (e *examination) readiness(ctx context.Context, server string) {
	mend := "see that munimentd serve runs and that the proxy in front leads to it"
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimRight(server, "/")+"/readyz", nil)
	if err != nil {
		e.add("server", wrong, "say --server https://HOST", "%v", err)
		return
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		e.add("server", wrong, mend, "%v", err)
		return
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(resp.Body, 1000))
	if resp.StatusCode != http.StatusOK {
		e.add("server", wrong, mend+"; if it does, see the other lines", "%s/readyz answers %s: %s", server, resp.Status, printable(string(body)))
		return
	}
	e.add("server", sound, "", "%s is ready", server)
}

// printable is text from elsewhere on one line.
func printable(s string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, s))
}

// limits looks at what the running process may do, or else this one.
func (e *examination) limits() {
	pid, whose := os.Getpid(), "a process started like this one"
	if e.Running && e.state != nil {
		pid, whose = e.state.Pid, "munimentd serve"
	}
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", pid))
	if err != nil {
		e.add("limits", unchecked, "", "of process %d: %v", pid, err)
		return
	}
	const fewest = 4096 // a thousand for the ledger, one a connection
	if n, ok := limit(string(data), "Max open files"); ok && n < fewest {
		e.add("limits", doubtful, "LimitNOFILE=65536 in its unit, or ulimit -n 65536", "%s may open %d files only", whose, n)
	}
	if n, ok := limit(string(data), "Max core file size"); ok && n > 0 {
		e.add("limits", doubtful, "LimitCORE=0 in its unit, or ulimit -c 0", "%s may leave a core dump, with keys in it", whose)
	}
	if n := len(e.Findings); e.Findings[n-1].Check != "limits" {
		e.add("limits", sound, "", "enough open files, and no core dumps")
	}
}

// limit reads a soft limit out of /proc/PID/limits; unlimited is the largest number.
func limit(table, name string) (uint64, bool) {
	for line := range strings.Lines(table) {
		rest, ok := strings.CutPrefix(line, name)
		if !ok {
			continue
		}
		fields := strings.Fields(rest)
		if len(fields) == 0 {
			return 0, false
		}
		if fields[0] == "unlimited" {
			return 1<<64 - 1, true
		}
		n, err := strconv.ParseUint(fields[0], 10, 64)
		return n, err == nil
	}
	return 0, false
}
