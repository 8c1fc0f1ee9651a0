package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestProduction: each row has its figure, beside what the bare servers do with fsync on;
// all is verified; no secret is told, and nothing left behind.
func TestProduction(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "out.json")
	out, err := exec.CommandContext(t.Context(), "muniment-bench", "production", "--from", "300", "--to", "1500", "--trillian",
		"--warmup", "100ms", "--duration", "500ms", "--baselines", "0", "--dir", dir, "--json", path).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var r report
	if err := json.Unmarshal(data, &r); err != nil {
		t.Fatal(err)
	}
	for i, name := range []string{"single", "three replicas", "batches", "documents", "single at 1,500", "Trillian embedded"} {
		if row := r.Rows[i]; row.Name != name || row.Kinds[0].Lines <= 0 || row.Server == nil || row.Stores == nil {
			t.Errorf("row %d is not %s with all its figures: %+v", i, name, *row)
		}
	}
	b := r.Stores
	for _, figure := range []float64{b.Unnest, b.Unnest4, b.Put, b.Single, b.Batches, b.Documents, b.Three, b.Grown} {
		if figure <= 0 {
			t.Errorf("a figure is missing: %+v", *b)
		}
	}
	if o := r.Opinion; o == nil || o.With <= 0 || o.Ratio <= 0 || o.P50With <= 0 || o.CatchUp <= 0 || o.CatchUpEntries < 1500 {
		t.Errorf("a figure of Trillian is missing: %+v", o)
	}
	if b.Settings["fsync"] != "on" || b.Settings["synchronous_commit"] != "on" {
		t.Errorf("the server may lose what it acknowledges: %v", b.Settings)
	}
	if r.Audit.Entries < 1500 || r.Void != "" {
		t.Errorf("%+v is not all there is to verify: %s", r.Audit, r.Void)
	}
	if all := string(data) + string(out); strings.Contains(all, "postgres://") || strings.Contains(all, "mnt_") {
		t.Errorf("a secret is told: %s", out)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "muniment-bench-*")); left != nil {
		t.Errorf("left behind: %v", left)
	}
}
