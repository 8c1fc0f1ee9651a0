package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// TestInitsAtOnce: of many that lay out one directory at a time one succeeds, and
// what it said is true. A key that was told and then overwritten would be a log
// that nobody can sign any more.
func TestInitsAtOnce(t *testing.T) {
	for range rounds(12, 200) {
		dir := filepath.Join(t.TempDir(), "depository")
		var mu sync.Mutex
		var all sync.WaitGroup
		var told []created
		for range 6 {
			all.Go(func() {
				out, err := exec.Command("munimentd", "init", "--json", "--dir", dir).Output()
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					if said := stderrOf(err); !strings.Contains(said, "is not empty") && !strings.Contains(said, errTaken.Error()) {
						t.Errorf("refused without a reason%s", said)
					}
					return
				}
				var c created
				if err := json.Unmarshal(out, &c); err != nil {
					t.Error(err)
				}
				told = append(told, c)
			})
		}
		all.Wait()
		if len(told) != 1 {
			t.Fatalf("%d of 6 laid out the same directory", len(told))
		}
		policy, err := os.ReadFile(filepath.Join(dir, "policy"))
		if err != nil || !strings.Contains(string(policy), told[0].Vkey+"\n") {
			t.Fatalf("the key that was told is not the one that is kept: %v", err)
		}
		d := &laidOut{created: told[0], said: &transcript{}}
		d.clean(t)
		p := d.serve(t)
		if _, err := d.client(p).digest("first", "", "loan"); err != nil {
			t.Fatalf("the API key that was told: %v", err)
		}
		p.stop(t)
	}
}
