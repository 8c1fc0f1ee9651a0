package main

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/proofs/approval"
)

// quorum makes approvers, and has enough of them sign what asks.
func quorum(t *testing.T, names ...string) (list approval.Approvers, sign func(text string) proofs.Note) {
	t.Helper()
	var signers []approval.Signer
	var keys []proofs.VerifierKey
	for _, name := range names {
		s, err := approval.NewSigner(name)
		if err != nil {
			t.Fatal(err)
		}
		signers, keys = append(signers, s), append(keys, s.VerifierKey)
	}
	list, err := approval.NewApprovers(len(names), keys...)
	if err != nil {
		t.Fatal(err)
	}
	return list, func(text string) proofs.Note {
		n := proofs.Note{Text: text}
		for _, s := range signers {
			if n, err = s.Sign(n); err != nil {
				t.Fatal(err)
			}
		}
		return n
	}
}

// TestApprovalIsUsedOnce: a note that was used is refused, whoever else has signed it since;
// one that is asked for at a state that is not the log's is too.
func TestApprovalIsUsedOnce(t *testing.T) {
	dir := t.TempDir()
	list, sign := quorum(t, "ann", "bob")
	s := named{list: list, any: true}
	parameters := map[string]string{"sealed.size": "9"}
	want := func(size uint64) approval.Request {
		return approval.New("recover", "localhost/test/a", size, proofs.EmptyRoot, parameters, time.Now().Add(time.Hour))
	}
	file := func(n proofs.Note) []string {
		path := filepath.Join(t.TempDir(), "note")
		if err := os.WriteFile(path, n.Marshal(), 0o600); err != nil {
			t.Fatal(err)
		}
		return []string{path}
	}
	files := file(sign(want(9).Text()))
	first, err := consent{"recover", parameters, files}.judge(dir, want(9), s)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(first.used(), first.used()); err != nil {
		t.Fatal(err)
	}
	if _, err := (consent{"recover", parameters, files}).judge(dir, want(10), s); !errors.Is(err, notary.ErrUsed) {
		t.Errorf("again: %v", err)
	}
	stranger, err := approval.NewSigner("eve")
	if err != nil {
		t.Fatal(err)
	}
	_, note, err := approval.Open([]byte(first.note))
	if err == nil {
		note, err = stranger.Sign(note)
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := (consent{"recover", parameters, file(note)}).judge(dir, want(9), s); !errors.Is(err, notary.ErrUsed) {
		t.Errorf("with one more signature: %v", err)
	}
	if _, err := (consent{"recover", parameters, file(sign(want(10).Text()))}).judge(dir, want(9), s); !errors.Is(err, approval.ErrOther) {
		t.Errorf("of a later state: %v", err)
	}
}

// TestUnapprovedRotationShows: who takes the file of approvers and the program of before, and
// rotates the key, is told on by the log.
func TestUnapprovedRotationShows(t *testing.T) {
	d := layout(t)
	list, _ := quorum(t, "ann", "bob")
	d.nameApprovers(t, list)
	d.mustTool(t, "key", "rotate", "prepare", "--dir", d.Dir)
	cfg := newConfig()
	cfg.Dir = d.Dir
	err := withDepository(t.Context(), cfg, func(open *depository) error {
		r, _, err := rotationOf(t.Context(), cfg, open)
		if err == nil {
			_, err = notary.BeginRotation(t.Context(), open.config, r.next.Logs[0], "")
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	out, err := d.tool("approvers", "verify", "--dir", d.Dir)
	if err == nil || !strings.Contains(out, "WRONG: entry 2, a change of the log's key, was not approved") {
		t.Errorf("%v: %s", err, out)
	}
}

// TestApprovalInTheLogIsUsedOnce: of two commands with one approval, on a ledger that knows of
// neither's files, one is done.
func TestApprovalInTheLogIsUsedOnce(t *testing.T) {
	d := layout(t)
	cfg := newConfig()
	cfg.Dir = d.Dir
	err := withDepository(t.Context(), cfg, func(open *depository) error {
		if err := notary.WriteApproval(t.Context(), open.config, "note", "00"); err != nil {
			return err
		}
		if err := notary.WriteApproval(t.Context(), open.config, "note", "00"); !errors.Is(err, notary.ErrUsed) {
			t.Errorf("again: %v", err)
		}
		return notary.WriteApproval(t.Context(), open.config, "note", "01")
	})
	if err != nil {
		t.Fatal(err)
	}
	d.serve(t, "--canary", "0s").stop(t)
	d.clean(t)
}

// nameApprovers has all of a list approve from now on.
func (d *laidOut) nameApprovers(t *testing.T, list approval.Approvers) {
	t.Helper()
	args := []string{"approvers", "set", "--dir", d.Dir, "--quorum", strconv.Itoa(list.Quorum)}
	for _, k := range list.Keys {
		args = append(args, "--key", k.String())
	}
	d.mustTool(t, args...)
}

// TestRecoverNeedsApproval: the log's word on who approves is lost with the database, and the
// file still asks for them; afterwards the log has the approval.
func TestRecoverNeedsApproval(t *testing.T) {
	s := share(t)
	d := s.layout(t, s.postgres.URL(), s.s3.Endpoint)
	list, sign := quorum(t, "ann", "bob")
	d.nameApprovers(t, list)
	p := d.serve(t)
	if _, err := d.client(p).digest("k", "HT-1", "text"); err != nil {
		t.Fatal(err)
	}
	p.stop(t)
	s.loseDatabase(t, d)
	d.mustTool(t, "migrate", "--dir", d.Dir)
	recoverIt := []string{"recover", "--dir", d.Dir, "--anchors", "[s3]"}
	code, out := d.run(t, recoverIt...)
	if code != 2 || !strings.Contains(out, "needs the approval of 2 of 2") {
		t.Fatalf("without: %d, %s", code, out)
	}
	path := filepath.Join(d.Dir, "approval-recover.request")
	text := readFile(t, path)
	note := sign(string(text))
	if err := os.WriteFile(path, proofs.Note{Text: note.Text, Signatures: note.Signatures[:1]}.Marshal(), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, out := d.run(t, append(recoverIt, "--approval", path)...); code != 2 || !strings.Contains(out, "1 of 2") {
		t.Fatalf("by one: %d, %s", code, out)
	}
	if err := os.WriteFile(path, note.Marshal(), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, out := d.run(t, append(recoverIt, "--approval", path)...); code != 0 {
		t.Fatalf("by both: %d, %s", code, out)
	}
	d.serve(t, "--anchors", "[s3]").stop(t)
	if code, out := d.run(t, "approvers", "show", "--dir", d.Dir, "--anchors", "[s3]"); code != 0 || out != list.String() {
		t.Errorf("the list afterwards: %d, %s", code, out)
	}
	if code, out := d.run(t, "fsck", "--dir", d.Dir, "--anchors", "[s3]"); code != 0 {
		t.Errorf("fsck: %s", out)
	}
}

// TestNewOriginNeedsApproval: nobody gets rid of the approvers by ending the log.
func TestNewOriginNeedsApproval(t *testing.T) {
	d := layout(t)
	list, sign := quorum(t, "ann", "bob")
	d.nameApprovers(t, list)
	p := d.serve(t)
	if _, err := d.client(p).digest("k", "HT-1", "text"); err != nil {
		t.Fatal(err)
	}
	p.stop(t)
	end := []string{"recover", "--dir", d.Dir, "--new-origin", "localhost/dev/next", "--new-dir", d.Dir + "-new", "--freeze", d.Origin, "--because", "key-stolen"}
	if code, out := d.run(t, end...); code != 2 || !strings.Contains(out, "needs the approval of 2 of 2") {
		t.Fatalf("without: %d, %s", code, out)
	}
	path := filepath.Join(d.Dir, "approval-new-origin.request")
	note := sign(string(readFile(t, path)))
	if err := os.WriteFile(path, note.Marshal(), 0o600); err != nil {
		t.Fatal(err)
	}
	other := append(slices.Clone(end), "--approval", path)
	other[4] = "localhost/dev/another"
	if code, out := d.run(t, other...); code != 2 {
		t.Fatalf("for another name: %d, %s", code, out)
	}
	if code, out := d.run(t, append(end, "--approval", path)...); code != 0 {
		t.Fatalf("by both: %d, %s", code, out)
	}
	if code, out := d.run(t, "serve", "--dir", d.Dir); code != 2 || !strings.Contains(out, "localhost/dev/next") {
		t.Errorf("the old log: %d, %s", code, out)
	}
}

// approvedBy names two approvers in a depository, and returns what signs a request in place.
func (d *laidOut) approvedBy(t *testing.T, names ...string) (list approval.Approvers, sign func(path string)) {
	t.Helper()
	list, note := quorum(t, names...)
	d.nameApprovers(t, list)
	d.serve(t, "--canary", "0s").stop(t)
	return list, func(path string) {
		t.Helper()
		if err := os.WriteFile(path, note(string(readFile(t, path))).Marshal(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// TestEndOfALogAsksTheLog: who takes the list of approvers away first, or says another reason,
// does not end a log alone; the approval by which it was ended is kept with the end.
func TestEndOfALogAsksTheLog(t *testing.T) {
	d := layout(t)
	list, sign := d.approvedBy(t, "ann", "bob")
	words := []string{"recover", "--dir", d.Dir, "--new-origin", "localhost/dev/next", "--new-dir", d.Dir + "-new", "--freeze", d.Origin, "--because", "key-stolen"}
	if err := os.Remove(approversPath(d.Dir)); err != nil {
		t.Fatal(err)
	}
	if code, out := d.run(t, words...); code != exitFailure || !strings.Contains(out, "is not the list that stands in the log") {
		t.Fatalf("without the list: exit code %d: %s", code, out)
	}
	if e, err := readFrozen(d.Dir); e != nil || err != nil {
		t.Fatalf("it is frozen: %v, %v", e, err)
	}
	if err := os.WriteFile(approversPath(d.Dir), []byte(list.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, out := d.run(t, words...); code != exitFailure {
		t.Fatalf("without an approval: exit code %d: %s", code, out)
	}
	path := filepath.Join(d.Dir, "approval-new-origin.request")
	sign(path)
	if code, out := d.run(t, append(words, "--approval", path)...); code != 0 {
		t.Fatalf("by both: exit code %d: %s", code, out)
	}
	if e, err := readFrozen(d.Dir); err != nil || e == nil || e.Approval != string(readFile(t, path)) {
		t.Errorf("the marker has not the approval: %+v, %v", e, err)
	}
}

// TestRestoreNeedsApproval: a backup of a log that names approvers is served only where they
// have said; what they said of one directory is nothing to another.
func TestRestoreNeedsApproval(t *testing.T) {
	d := layout(t)
	list, sign := d.approvedBy(t, "ann", "bob")
	target := filepath.Join(t.TempDir(), "backup")
	d.mustTool(t, "backup", "--dir", d.Dir, "--to", target, "--with-keys")
	there := t.TempDir()
	restore := func(to string, more ...string) (int, string) {
		return d.run(t, append([]string{"restore", "--from", target, "--dir", filepath.Join(there, to), "--nothing-newer"}, more...)...)
	}
	code, out := restore("one")
	if code != exitFailure || !strings.Contains(out, "needs the approval of 2 of 2") {
		t.Fatalf("without: exit code %d: %s", code, out)
	}
	if _, err := os.Stat(filepath.Join(there, "one")); err == nil {
		t.Fatal("it was restored without an approval")
	}
	path := filepath.Join(there, "approval-restore.request")
	sign(path)
	if code, out := restore("two", "--approval", path); code != exitFailure || !strings.Contains(out, "something else was approved") {
		t.Fatalf("into another directory: exit code %d: %s", code, out)
	}
	if code, out := restore("one", "--approval", path); code != 0 {
		t.Fatalf("with it: exit code %d: %s", code, out)
	}
	d.inherited(t, filepath.Join(there, "one"), list)
}

// TestImportNeedsApproval: so with an archive that is moved into another house.
func TestImportNeedsApproval(t *testing.T) {
	d := layout(t)
	list, sign := d.approvedBy(t, "ann", "bob")
	archive := filepath.Join(t.TempDir(), "archive")
	d.mustTool(t, "export", "--dir", d.Dir, "--to", archive, "--final", "--with-keys")
	house := filepath.Join(t.TempDir(), "house")
	words := []string{"import", "--dir", house, "--from", archive}
	code, out := d.run(t, words...)
	if code != exitFailure || !strings.Contains(out, "needs the approval of 2 of 2") {
		t.Fatalf("without: exit code %d: %s", code, out)
	}
	if code, out := d.run(t, "serve", "--dir", house); code != exitFailure || !strings.Contains(out, "has not come to its end") {
		t.Fatalf("serve of it: exit code %d: %s", code, out)
	}
	path := filepath.Join(house, "approval-import.request")
	sign(path)
	if code, out := d.run(t, append(words, "--approval", path)...); code != 0 {
		t.Fatalf("with it: exit code %d: %s", code, out)
	}
	d.inherited(t, house, list)
}

// inherited demands that a copy goes on, names the same approvers, and is whole.
func (d *laidOut) inherited(t *testing.T, dir string, list approval.Approvers) {
	t.Helper()
	copied := *d
	copied.Dir = dir
	copied.serve(t, "--canary", "0s").stop(t)
	if out := copied.mustTool(t, "approvers", "show", "--dir", dir); out != list.String() {
		t.Errorf("who approves there: %s", out)
	}
	copied.clean(t)
	cfg := newConfig()
	cfg.Dir = dir
	err := withDepository(t.Context(), cfg, func(open *depository) error {
		head, err := open.store.Ledger.Head(t.Context())
		if head.Size != 3 { // the log's beginning, its approvers, and the approval
			t.Errorf("the log there has %d entries", head.Size)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
