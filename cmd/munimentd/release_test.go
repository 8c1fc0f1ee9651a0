package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// flags are what every release is built with; the Makefile has them.
var flags = regexp.MustCompile(`(?m)^RELEASE_FLAGS := (.*)$`)

func releaseFlags(t *testing.T) []string {
	t.Helper()
	makefile, err := os.ReadFile("../../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	m := flags.FindSubmatch(makefile)
	if m == nil {
		t.Fatal("the Makefile has no RELEASE_FLAGS")
	}
	return strings.Fields(string(m[1]))
}

// copySource copies what programs are built from.
func copySource(t *testing.T, to string) {
	t.Helper()
	for _, name := range []string{"cmd", "notary", "proofs", "service", "storage"} {
		if err := os.CopyFS(filepath.Join(to, name), os.DirFS(filepath.Join("../..", name))); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"go.mod", "go.sum"} {
		if err := os.WriteFile(filepath.Join(to, name), readFile(t, filepath.Join("../..", name)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// TestBuildIsReproducible builds the court's tool twice, in two places, and at full size
// every program, each time from nothing, with the clock and the user's settings different.
func TestBuildIsReproducible(t *testing.T) {
	full := os.Getenv("MUNIMENT_TORTURE") != ""
	programs := []string{"muniment"}
	if full {
		programs = []string{"muniment", "munimentd", "munimentd-pkcs11", "muniment-bench"}
	}
	var first, second map[string]string
	for i, sums := range []*map[string]string{&first, &second} {
		dir := filepath.Join(t.TempDir(), strings.Repeat("deeper/", i), "tree")
		copySource(t, dir)
		*sums = buildAll(t, dir, programs, full, i)
	}
	for _, p := range programs {
		if first[p] == "" || first[p] != second[p] {
			t.Errorf("%s: %s and %s", p, first[p], second[p])
		}
	}
}

// buildAll builds programs from the tree in dir, and returns their SHA-256.
func buildAll(t *testing.T, dir string, programs []string, fromNothing bool, nth int) map[string]string {
	t.Helper()
	sums := map[string]string{}
	for _, p := range programs {
		out := filepath.Join(t.TempDir(), p)
		cmd := exec.Command("go", append(append([]string{"build"}, releaseFlags(t)...), "-o", out, "./cmd/"+p)...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "USER=builder"+strings.Repeat("x", nth), "TZ="+[]string{"UTC", "Asia/Shanghai"}[nth])
		if fromNothing {
			cmd.Env = append(cmd.Env, "GOCACHE="+t.TempDir())
		}
		if said, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("go build %s: %v\n%s", p, err, said)
		}
		data, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(data)
		sums[p] = hex.EncodeToString(sum[:])
	}
	return sums
}

// copyleft are licences whose code must not be linked into what a bank runs.
var copyleft = regexp.MustCompile(`GNU (AFFERO )?GENERAL PUBLIC LICENSE|Server Side Public License|Business Source License`)

// TestLicences reads the licence of every module that is linked into a program.
func TestLicences(t *testing.T) {
	cmd := exec.Command("go", "list", "-deps", "-json=Module", "./cmd/munimentd", "./cmd/munimentd-pkcs11", "./cmd/muniment", "./cmd/muniment-bench")
	cmd.Dir = "../.."
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for in := json.NewDecoder(strings.NewReader(string(out))); in.More(); {
		var p struct{ Module *struct{ Path, Dir string } }
		if err := in.Decode(&p); err != nil {
			t.Fatal(err)
		}
		if p.Module == nil || seen[p.Module.Path] {
			continue
		}
		seen[p.Module.Path] = true
		var text []byte
		for _, pattern := range []string{"LICEN[SC]E*", "COPYING*", "License*", "license*", "MIT-LICENSE*"} {
			files, _ := filepath.Glob(filepath.Join(p.Module.Dir, pattern))
			for _, f := range files {
				data, _ := os.ReadFile(f)
				text = append(text, data...)
			}
		}
		switch {
		case len(text) == 0:
			t.Errorf("%s has no licence that can be read", p.Module.Path)
		case copyleft.Match(text):
			t.Errorf("%s is under a licence that is not for a bank", p.Module.Path)
		}
	}
	// The font that is built in comes from no module.
	font := string(readFile(t, "../../notary/certificate/font/LICENSE"))
	if !strings.Contains(font, "Apache License") || copyleft.MatchString(font) {
		t.Error("the font of certificates is not under the Apache License")
	}
	if len(seen) < 30 {
		t.Errorf("only %d modules were looked at", len(seen))
	}
}
