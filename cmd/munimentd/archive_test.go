package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/proofs"
)

const numbered = 30 // deposits of a filled depository

// depositNumber makes deposit i, the same each time.
func depositNumber(c *client, i int) (answer, error) {
	key, contract := fmt.Sprintf("key %d", i), fmt.Sprintf("HT-%d", i%4)
	if i%3 == 0 {
		return c.deposit(key, map[string]any{"contract.number": contract}, fmt.Appendf(nil, "document %d", i))
	}
	return c.digest(key, contract, fmt.Sprintf("digest %d", i))
}

// filled is a depository in a directory, stopped, with deposits of each sort and their
// receipts.
func filled(t *testing.T) (d *laidOut, receipts []string) {
	t.Helper()
	d = layout(t)
	p := d.serve(t, "--canary", "0s", "--facts-operator", "Evidence Centre")
	c := d.client(p)
	for i := range numbered {
		a, err := depositNumber(c, i)
		if err != nil {
			t.Fatal(err)
		}
		receipts = append(receipts, a.Receipt)
	}
	p.stop(t)
	return d, receipts
}

// sameHouse holds a depository that goes on with a log against what was deposited before.
func sameHouse(t *testing.T, d *laidOut, c *client, receipts []string) {
	t.Helper()
	v := proofs.NewVerifier(d.policy)
	for i, file := range receipts {
		before, err := proofs.ParseReceipt([]byte(file))
		if err != nil {
			t.Fatal(err)
		}
		a, err := depositNumber(c, i) // a retry
		if err != nil || a.Index != before.Index {
			t.Fatalf("deposit %d again: index %d, not %d: %v", i, a.Index, before.Index, err)
		}
		if e, err := v.Verify(before, nil); err != nil || e.Outcome() != proofs.Verified {
			t.Errorf("deposit %d: the receipt from before: %v %v", i, e.Reason, err)
		}
		if i%3 == 0 {
			if got, err := c.get("/v1/deposits/" + a.ID + "/document"); err != nil || string(got) != fmt.Sprintf("document %d", i) {
				t.Errorf("deposit %d: the document: %q, %v", i, got, err)
			}
		}
	}
	a, err := c.digest("after", "HT-1", "after")
	if err != nil {
		t.Fatal(err)
	}
	after, err := proofs.ParseReceipt([]byte(a.Receipt))
	if seq, _ := after.Member("case.seq"); err != nil || a.Index != numbered+2 || seq.JSON() != "9" { // genesis, the fact sheet
		t.Errorf("the next deposit: index %d, %v", a.Index, err)
	}
}

func (d *laidOut) tool(args ...string) (string, error) {
	out, err := exec.Command("munimentd", args...).CombinedOutput()
	d.said.Write(out)
	return string(out), err
}

func (d *laidOut) mustTool(t *testing.T, args ...string) string {
	t.Helper()
	out, err := d.tool(args...)
	if err != nil {
		t.Fatalf("munimentd %v: %v\n%s", args, err, out)
	}
	return out
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// house is a directory with settings and nothing else, for the depository to move into.
func (d *laidOut) house(t *testing.T, settings string) *laidOut {
	t.Helper()
	next := &laidOut{created: d.created, policy: d.policy, said: d.said}
	next.Dir = filepath.Join(t.TempDir(), "house")
	if err := errors.Join(os.Mkdir(next.Dir, 0o700), os.WriteFile(filepath.Join(next.Dir, configName), []byte(settings), 0o600)); err != nil {
		t.Fatal(err)
	}
	return next
}

const plainSettings = "canary: 0s\nfacts: {operator: Evidence Centre}\n"

// TestMovingHouse: a depository moves from a directory to PostgreSQL and S3, and back: the
// same log, the same receipts, and only one house in which it goes on.
func TestMovingHouse(t *testing.T) {
	d, receipts := filled(t)
	archive, keys := filepath.Join(t.TempDir(), "archive"), filepath.Join(d.Dir, "keys")
	if out := d.mustTool(t, "export", "--dir", d.Dir, "--to", archive, "--final"); !strings.Contains(out, "the log has ended here") {
		t.Errorf("export says %s", out)
	}
	if out, err := d.tool("serve", "--dir", d.Dir, "--listen", "127.0.0.1:0"); err == nil || !strings.Contains(out, "goes on where it was imported") {
		t.Errorf("the old house goes on: %v\n%s", err, out)
	}
	check := exec.Command("sha256sum", "-c", "--quiet", sumsName)
	check.Dir = archive
	if out, err := check.CombinedOutput(); err != nil {
		t.Errorf("sha256sum: %v\n%s", err, out)
	}

	s := share(t)
	next := d.house(t, plainSettings+fmt.Sprintf(`
ledger: {engine: postgres, postgres: {url: %q}}
blobs: {engine: s3, s3: {endpoint: %q, bucket: documents, access-key: %q, secret-key: %q, retention: 1d, retention-mode: GOVERNANCE}}
anchors: [s3, postgres]
anchor: {s3: {bucket: anchor}}
`, s.postgres.URL(), s.s3.Endpoint, s.s3.AccessKey, s.s3.SecretKey))
	d.mustTool(t, "import", "--dir", next.Dir, "--from", archive, "--keys", keys)
	if out, err := d.tool("import", "--dir", filepath.Join(t.TempDir(), "second"), "--from", archive, "--keys", keys); err == nil || !strings.Contains(out, "imported before") {
		t.Errorf("a second house: %v\n%s", err, out)
	}
	p := next.serve(t)
	sameHouse(t, next, next.client(p), receipts)
	p.stop(t)
	d.mustTool(t, "fsck", "--dir", next.Dir)

	// And back, with the keys in the archive.
	back, home := filepath.Join(t.TempDir(), "back"), d.house(t, plainSettings)
	d.mustTool(t, "export", "--dir", next.Dir, "--to", back, "--final", "--with-keys")
	d.mustTool(t, "import", "--dir", home.Dir, "--from", back)
	p = home.serve(t)
	c := home.client(p)
	for i := range numbered {
		if _, err := depositNumber(c, i); err != nil {
			t.Errorf("deposit %d again: %v", i, err)
		}
	}
	if a, err := c.digest("after", "HT-1", "after"); err != nil || a.Index != numbered+2 {
		t.Errorf("what was deposited in between: index %d, %v", a.Index, err)
	}
	p.stop(t)
	d.mustTool(t, "fsck", "--dir", home.Dir)
}

// TestKeysAreLinks: keys and policies as Kubernetes mounts them, as links, are exported like
// any others.
func TestKeysAreLinks(t *testing.T) {
	d, _ := filled(t)
	for _, folder := range []string{filepath.Join("keys", "tenants"), "policies"} {
		path := filepath.Join(d.Dir, folder)
		err := errors.Join(os.MkdirAll(path, 0o700), os.Rename(path, path+"-data"), os.Mkdir(path, 0o700))
		if folder == "policies" {
			err = errors.Join(err, os.WriteFile(filepath.Join(path+"-data", strings.Repeat("0", 64)), []byte(d.policy.String()), 0o600))
		}
		entries, err2 := os.ReadDir(path + "-data")
		for _, e := range entries {
			err = errors.Join(err, os.Symlink(filepath.Join(path+"-data", e.Name()), filepath.Join(path, e.Name())))
		}
		if err = errors.Join(err, err2); err != nil {
			t.Fatal(err)
		}
	}
	archive := filepath.Join(t.TempDir(), "archive")
	d.mustTool(t, "export", "--dir", d.Dir, "--to", archive, "--with-keys")
	for _, folder := range []string{filepath.Join("secrets", "tenants"), "policies"} {
		if entries, err := os.ReadDir(filepath.Join(archive, folder)); err != nil || len(entries) == 0 {
			t.Errorf("%s: %d files, %v", folder, len(entries), err)
		}
	}
}

// TestArchiveIsChecked: whatever is changed in an archive is named, and nothing is imported.
func TestArchiveIsChecked(t *testing.T) {
	d, _ := filled(t)
	archive := filepath.Join(t.TempDir(), "archive")
	d.mustTool(t, "export", "--dir", d.Dir, "--to", archive)
	d.mustTool(t, "import", "--dir", filepath.Join(t.TempDir(), "x"), "--from", archive, "--dry-run")
	names, err := archiveFiles(archive)
	if err != nil {
		t.Fatal(err)
	}
	tried := map[string]bool{}
	for _, name := range append(names, sumsName) {
		folder, _, _ := strings.Cut(name, "/")
		if tried[folder] {
			continue // one of each sort
		}
		tried[folder] = true
		path := filepath.Join(archive, name)
		good, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		flipped := bytes.Clone(good)
		flipped[len(good)/2] ^= 1
		for what, bad := range map[string][]byte{"flipped": flipped, "cut": good[:len(good)/3], "gone": nil} {
			if err = os.WriteFile(path, bad, 0o600); bad == nil {
				err = os.Remove(path)
			}
			if err != nil {
				t.Fatal(err)
			}
			to := filepath.Join(t.TempDir(), "x")
			out, err := d.tool("import", "--dir", to, "--from", archive, "--nothing-newer", "--keys", filepath.Join(d.Dir, "keys"))
			if err == nil || !strings.Contains(out, archive) {
				t.Errorf("%s %s: %v, %s", name, what, err, out)
			}
			if _, err := os.Stat(to); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("%s %s: something was written: %v", name, what, err)
			}
		}
		if err := os.WriteFile(path, good, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if len(tried) < 8 {
		t.Errorf("only %v were tried", tried)
	}
	if err := os.WriteFile(filepath.Join(archive, "blobs", "more"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := d.tool("import", "--dir", filepath.Join(t.TempDir(), "x"), "--from", archive, "--dry-run"); err == nil || !strings.Contains(out, "does not belong") {
		t.Errorf("one file more: %v\n%s", err, out)
	}
}

// TestCopyIsNoHouse: a log that went on where its copy was taken does not go on in the copy.
func TestCopyIsNoHouse(t *testing.T) {
	d, _ := filled(t)
	archive := filepath.Join(t.TempDir(), "archive")
	d.mustTool(t, "export", "--dir", d.Dir, "--to", archive, "--with-keys")
	p := d.serve(t, "--canary", "0s")
	a, err := d.client(p).digest("newer", "", "newer")
	if err != nil {
		t.Fatal(err)
	}
	newer := filepath.Join(t.TempDir(), "newer.tlog-proof")
	if err := os.WriteFile(newer, []byte(a.Receipt), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := d.tool("export", "--dir", d.Dir, "--to", archive, "--final"); err == nil {
		t.Errorf("exported for good while it is served: %s", out)
	}
	p.stop(t)
	d.mustTool(t, "export", "--dir", d.Dir, "--to", archive+"-old", "--with-keys")
	to := func() string { return filepath.Join(t.TempDir(), "x") }
	// The export that was refused says that its archive is not whole; an older one that is:
	old := filepath.Join(t.TempDir(), "old")
	if err := os.CopyFS(old, os.DirFS(archive+"-old")); err != nil {
		t.Fatal(err)
	}
	p = d.serve(t, "--canary", "0s")
	if a, err = d.client(p).digest("newest", "", "newest"); err != nil {
		t.Fatal(err)
	}
	p.stop(t)
	if err := os.WriteFile(newer, []byte(a.Receipt), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := d.tool("import", "--dir", to(), "--from", old); err == nil || !strings.Contains(out, "--final") {
		t.Errorf("a copy was imported: %v\n%s", err, out)
	}
	if out, err := d.tool("import", "--dir", to(), "--from", old, "--nothing-newer", "--newest", newer); err == nil || !strings.Contains(out, "export again") {
		t.Errorf("a copy that is behind was imported: %v\n%s", err, out)
	}
	// Into the same archive only what is new is written, and then it is the newest.
	d.mustTool(t, "export", "--dir", d.Dir, "--to", old, "--with-keys")
	d.mustTool(t, "import", "--dir", to(), "--from", old, "--newest", newer)
}

// growing is a ledger into which somebody commits once it was asked how large it is.
type growing struct {
	notary.Ledger
	asked uint64
}

func (g *growing) Head(ctx context.Context) (notary.Head, error) {
	head, err := g.Ledger.Head(ctx)
	head.Size += g.asked
	g.asked++
	return head, err
}

// TestCommittedDuringMove: an archive that lacks what was committed meanwhile is not whole.
func TestCommittedDuringMove(t *testing.T) {
	d, _ := filled(t)
	cfg, err := configIn(d.Dir)
	if err != nil {
		t.Fatal(err)
	}
	archive := filepath.Join(t.TempDir(), "archive")
	if err := os.Mkdir(archive, 0o700); err != nil {
		t.Fatal(err)
	}
	err = withDepository(t.Context(), cfg, func(d *depository) error {
		d.store.Ledger = &growing{Ledger: d.store.Ledger}
		_, err := d.export(t.Context(), cfg, exportOptions{To: archive, Final: true, WithKeys: true}, &bar{})
		return err
	})
	if err == nil || !strings.Contains(err.Error(), "find out what it committed") {
		t.Errorf("exported for good: %v", err)
	}
	if out, err := d.tool("import", "--dir", filepath.Join(t.TempDir(), "home"), "--from", archive); err == nil {
		t.Errorf("imported: %s", out)
	}
}

// TestInterruptedMove: export and import are killed at any moment, again and again, and come
// to the same end; half a house is never served.
func TestInterruptedMove(t *testing.T) {
	d, receipts := filled(t)
	archive, home := filepath.Join(t.TempDir(), "archive"), d.house(t, plainSettings)
	untilDone := func(args ...string) {
		t.Helper()
		for patience := 30 * time.Millisecond; ; patience += patience / 2 {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			out, err := exec.CommandContext(ctx, "munimentd", args...).CombinedOutput()
			killed := ctx.Err() != nil
			cancel()
			if err == nil {
				return
			}
			if !killed {
				t.Fatalf("munimentd %v: %v\n%s", args, err, out)
			}
			if _, err := os.Stat(filepath.Join(home.Dir, importingName)); err != nil {
				continue
			}
			if out, err := d.tool("serve", "--dir", home.Dir, "--listen", "127.0.0.1:0"); err == nil || !strings.Contains(out, "run munimentd import once more") {
				t.Fatalf("half a house is served: %v\n%s", err, out)
			}
		}
	}
	untilDone("export", "--dir", d.Dir, "--to", archive, "--final", "--with-keys")
	// Killed over its first mark, before there is any.
	left := filepath.Join(home.Dir, newFilePrefix+"12345")
	if err := os.WriteFile(left, []byte("half a mark"), 0o600); err != nil {
		t.Fatal(err)
	}
	untilDone("import", "--dir", home.Dir, "--from", archive)
	if _, err := os.Stat(left); err == nil {
		t.Error("half a mark was left")
	}
	// Killed between its last two marks: it is not served, and can come to its end; and whatever
	// half a mark is there goes, also beside a whole one.
	if err := os.WriteFile(left, []byte("half a mark"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(home.Dir, importingName), readFile(t, filepath.Join(archive, noteName)), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := d.tool("serve", "--dir", home.Dir, "--listen", "127.0.0.1:0"); err == nil || !strings.Contains(out, "run munimentd import once more") {
		t.Fatalf("half a house is served: %v\n%s", err, out)
	}
	d.mustTool(t, "import", "--dir", home.Dir, "--from", archive)
	if _, err := os.Stat(left); err == nil {
		t.Error("half a mark was left beside a whole one")
	}
	if out, err := d.tool("import", "--dir", filepath.Join(t.TempDir(), "second"), "--from", archive); err == nil || !strings.Contains(out, "imported before") {
		t.Errorf("a second house: %v\n%s", err, out)
	}
	sameHouse(t, home, home.client(home.serve(t)), receipts)
}
