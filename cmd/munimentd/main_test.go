package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/muniment/muniment/service"
	"github.com/muniment/muniment/service/servicetest"
)

// TestMain puts the command into PATH as munimentd, so that every test here drives
// a process of its own: what is killed, traced and restarted is the real thing. All
// that it adds is to end where an answer is not as openapi.yaml promises.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"munimentd": func() {
		newHandler = promised
		settle()
		main()
	}})
}

// settle gives each directory a schema and prefixes of its own where scripts run with
// PostgreSQL and S3: one script may lay out several depositories.
func settle() {
	at := slices.Index(os.Args, "--dir") + 1
	if os.Getenv("MUNIMENT_LEDGER_ENGINE") != "postgres" || os.Getenv("MUNIMENT_LEDGER_POSTGRES_SCHEMA") != "" || at == 0 || at == len(os.Args) {
		return
	}
	dir, err := filepath.Abs(os.Args[at])
	if err != nil {
		drift(err)
	}
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		dir = real
	}
	sum := sha256.Sum256([]byte(dir))
	name := "d" + hex.EncodeToString(sum[:10])
	os.Setenv("MUNIMENT_LEDGER_POSTGRES_SCHEMA", name)
	os.Setenv("MUNIMENT_BLOBS_S3_PREFIX", name+"/")
	os.Setenv("MUNIMENT_ANCHOR_S3_PREFIX", name+"/")
}

func promised(c service.Config) http.Handler {
	_, here, _, _ := runtime.Caller(0)
	contract, err := servicetest.Read(filepath.Join(filepath.Dir(here), "../../openapi.yaml"))
	if err != nil {
		drift(err)
	}
	return contract.Handler(service.New(c), drift)
}

func drift(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(70)
}

// torture reports whether the attacks run at the size that a release must pass.
func torture() bool { return os.Getenv("MUNIMENT_TORTURE") != "" }

// rounds is usual, or full under torture.
func rounds(usual, full int) int {
	if torture() {
		return full
	}
	return usual
}
