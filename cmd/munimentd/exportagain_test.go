package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/muniment/muniment/storage/pebble"
)

// as is the client with another caller's key.
func (c *client) as(key string) *client {
	d := *c.d
	d.APIKey = key
	return &client{&d, c.url, c.http}
}

// callerOf makes an API key and returns its text and its name in lists.
func (d *laidOut) callerOf(t *testing.T, role string) (key, caller string) {
	t.Helper()
	var made struct {
		APIKey string `json:"api_key"`
		ID     string `json:"id"`
	}
	if err := json.Unmarshal([]byte(d.mustTool(t, "api-key", "create", "--dir", d.Dir, "--tenant", d.Tenant, "--role", role, "--json")), &made); err != nil {
		t.Fatal(err)
	}
	return made.APIKey, made.ID
}

// erase has two callers erase a deposit.
func (c *client) erase(t *testing.T, id string, callers ...string) {
	t.Helper()
	for i, key := range callers {
		req, err := http.NewRequest(http.MethodPost, c.url+"/v1/deposits/"+id+"/erasure", strings.NewReader(`{"reason":"the borrower asked"}`))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Idempotency-Key", fmt.Sprint("erase ", id, i, time.Now().UnixNano()))
		if _, err := c.as(key).do(req); err != nil {
			t.Fatal(err)
		}
	}
}

// wrappedKeys reads what wraps the data keys of a stopped depository's rows.
func wrappedKeys(t *testing.T, dir string) (secrets [][]byte) {
	t.Helper()
	l, err := pebble.Open(t.Context(), pebble.Config{Dir: filepath.Join(dir, "ledger"), ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	head, err := l.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	rows, err := l.Rows(t.Context(), 0, head.Size)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		secrets = append(secrets, r.Secrets)
	}
	return secrets
}

// inArchive names the files of an archive that hold a text.
func inArchive(t *testing.T, archive string, text []byte) (names []string) {
	t.Helper()
	err := filepath.WalkDir(archive, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if bytes.Contains(data, text) || strings.Contains(path, string(text)) {
			names = append(names, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// TestExportForgets: a second export into the same archive takes out of it what was taken
// away since: erased deposits with key and document, revoked API keys, webhooks, key files,
// and keys of a generation that was replaced. None of it comes back with an import.
func TestExportForgets(t *testing.T) {
	d, receipts := filled(t)
	archive := filepath.Join(t.TempDir(), "archive")
	ann, _ := d.callerOf(t, "compliance")
	bob, _ := d.callerOf(t, "compliance")
	gone, caller := d.callerOf(t, "depositor")
	d.mustTool(t, "export", "--dir", d.Dir, "--to", archive, "--with-keys")
	before := wrappedKeys(t, d.Dir)

	p := d.serve(t)
	c := d.client(p)
	a, err := depositNumber(c, 3)
	if err != nil {
		t.Fatal(err)
	}
	c.erase(t, a.ID, ann, bob)
	d.mustTool(t, "api-key", "revoke", "--dir", d.Dir, caller)
	d.mustTool(t, "tenant-key", "rotate", "--dir", d.Dir, "--tenant", d.Tenant)
	until(t, time.Minute, "nothing stands under the old key", func() bool { return rotationIn(t, d.Dir, d.Tenant).Phase == "clean" })
	p.stop(t)
	index := a.Index
	hash := strings.TrimPrefix(caller, "key:")
	for what, text := range map[string][]byte{"the wrapped key": before[index][8:], "the document": []byte(a.ID), "the API key": []byte(hash), "the old generation": before[index+1][8:]} {
		if len(inArchive(t, archive, text)) == 0 {
			t.Fatalf("%s is not in the archive before: the test proves nothing", what)
		}
	}

	// Of an export that was killed in between.
	for _, name := range []string{archiveName, sumsName, noteName} {
		if err := os.WriteFile(filepath.Join(archive, name+halfWritten), []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	d.mustTool(t, "export", "--dir", d.Dir, "--to", archive)
	for what, text := range map[string][]byte{"the erased deposit's wrapped key": before[index][8:], "its document": []byte(a.ID), "the revoked API key": []byte(hash), "a key of the old generation": before[index+1][8:]} {
		if names := inArchive(t, archive, text); len(names) > 0 {
			t.Errorf("%s is still in the archive: %v", what, names)
		}
	}
	if _, err := os.Stat(filepath.Join(archive, "secrets")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the key files of the first export are still there: %v", err)
	}

	next := d.house(t, plainSettings)
	d.mustTool(t, "import", "--dir", next.Dir, "--from", archive, "--keys", filepath.Join(d.Dir, "keys"), "--nothing-newer")
	p = next.serve(t)
	c = next.client(p)
	if _, err := c.get("/v1/deposits/" + a.ID); statusOf(err) != http.StatusGone {
		t.Errorf("the erased deposit: %v", err)
	}
	if _, err := c.as(gone).get("/v1/deposits"); statusOf(err) != http.StatusUnauthorized {
		t.Errorf("the revoked key: %v", err)
	}
	for i := range receipts {
		if i == 3 {
			continue
		}
		if _, err := depositNumber(c, i); err != nil {
			t.Errorf("deposit %d again: %v", i, err)
		}
	}
	p.stop(t)
}
