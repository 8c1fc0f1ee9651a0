package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// TestTenants: many tenants beside one, and a noisy one beside a quiet one: the noisy one is
// told to come back, all that was taken is verified, and no key is told.
func TestTenants(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "out.json")
	apart := runtime.NumCPU() > 1
	out, err := exec.CommandContext(t.Context(), "muniment-bench", "tenants", fmt.Sprintf("--apart=%t", apart), "--tenants", "5", "--limit", "20", "--times", "20", "--rounds", "1", "--clients", "8",
		"--warmup", "100ms", "--duration", "1s", "--baselines", "0", "--dir", dir, "--json", path).CombinedOutput()
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
	f := r.Fairness
	if f == nil || f.Ratio <= 0 || f.Many[0] <= 0 || f.Calm[0].P99 <= 0 || f.Noisy[0].P99 <= 0 || f.CostAtP99 <= 0 || f.Elsewhere[0].P99 <= 0 || f.OfItselfP99 <= 0 || f.Refused == 0 || f.Apart != apart {
		t.Errorf("a figure is missing: %+v", f)
	}
	if r.Audit.Receipts < 100 || r.Void != "" {
		t.Errorf("%+v is not all there is to verify: %s", r.Audit, r.Void)
	}
	if all := string(data) + string(out); strings.Contains(all, "mnt_") {
		t.Errorf("a key is told: %s", out)
	}
}

func TestMiddle(t *testing.T) {
	if middle([]float64{3, 1, 2}) != 2 || middle([]float64{4, 1, 3, 2}) != 2.5 {
		t.Error("the median is misread")
	}
}
