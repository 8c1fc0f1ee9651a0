package main

import (
	"encoding/json"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/muniment/muniment/"

// deps lists what a package and its dependencies import, without the standard library.
func deps(t *testing.T, pkg string) []string {
	t.Helper()
	cmd := exec.Command("go", "list", "-deps", "-json=ImportPath,Standard", pkg)
	cmd.Dir = "../.."
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list %s: %v", pkg, err)
	}
	var list []string
	for in := json.NewDecoder(strings.NewReader(string(out))); in.More(); {
		var p struct {
			ImportPath string
			Standard   bool
		}
		if err := in.Decode(&p); err != nil {
			t.Fatal(err)
		}
		if !p.Standard {
			list = append(list, p.ImportPath)
		}
	}
	return list
}

// TestImportLaw keeps the rooms of the house apart.
func TestImportLaw(t *testing.T) {
	if got := deps(t, "./proofs"); !slices.Equal(got, []string{module + "proofs"}) {
		t.Errorf("the core of proofs imports more than the standard library: %q", got)
	}
	if got := deps(t, "./proofs/bundle"); !slices.Equal(got, []string{module + "proofs", module + "proofs/bundle"}) {
		t.Errorf("bundles import more than the standard library and the core: %q", got)
	}
	for _, law := range []struct {
		pkg, never, but string // but: names with spaces between
	}{
		{"./service", module + "storage", ""},
		{"./service/client", module + "notary", ""},
		{"./service/client", module + "service", module + "service/api"},
		{"./storage", module + "service", ""},
		{"./storage/pebble", module + "service", ""},
		{"./storage/dir", module + "service", ""},
		{"./storage/postgres", module + "service", ""},
		{"./storage/s3", module + "service", ""},
		{"./storage/trillian", module + "service", ""},
		{"./storage/vault", module + "service", ""},
		{"./notary", module + "storage", ""},
		{"./notary", module + "service", ""},
		{"./cmd/muniment", module + "storage", ""},
		{"./cmd/muniment", module + "notary", module + "notary/witness " + module + "notary/certificate"},
		{"./notary/certificate", module + "storage", ""},
		{"./notary/certificate", module + "service", ""},
		{"./notary/certificate", module + "notary", module + "notary/certificate"},
		{"./cmd/muniment-wasm", module + "storage", ""},
		{"./cmd/muniment-wasm", module + "notary", module + "notary/certificate"},
		{"./cmd/muniment-wasm", module + "service", ""},
		{"./cmd/muniment-bench", module + "storage", module + "storage/storagetest/servers"},
		{"./cmd/muniment-bench", module + "notary", ""},
		{"./cmd/muniment-bench", module + "service", module + "service/api"},
	} {
		for _, d := range deps(t, law.pkg) {
			self := module + strings.TrimPrefix(law.pkg, "./")
			inside := d == law.never || strings.HasPrefix(d, law.never+"/")
			if inside && d != self && !slices.Contains(strings.Fields(law.but), d) {
				t.Errorf("%s imports %s", law.pkg, d)
			}
		}
	}
}

// TestNotaryKnowsNoEdge: the product's own files import neither HTTP nor SQL, whatever
// its libraries bring along.
func TestNotaryKnowsNoEdge(t *testing.T) {
	cmd := exec.Command("go", "list", "-f", `{{join .Imports "\n"}}`, "./notary")
	cmd.Dir = "../.."
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	imports := strings.Fields(string(out))
	if !slices.Contains(imports, module+"proofs") {
		t.Fatalf("these are not the notary's imports: %q", imports)
	}
	for _, never := range []string{"net/http", "database/sql", "net"} {
		if slices.Contains(imports, never) {
			t.Errorf("notary imports %s", never)
		}
	}
}

// TestTopLevel keeps the top of the tree to what belongs there.
func TestTopLevel(t *testing.T) {
	allowed := strings.Fields(`cmd service notary storage proofs openapi.yaml helm go.mod go.sum Makefile
		README.md DESIGN.md CHANGELOG.md BENCHMARKS.md LICENSE Dockerfile
		.git .gitignore .gitattributes .ci .dockerignore .golangci.yml .redocly.yaml .spectral.yaml bin demo`)
	entries, err := os.ReadDir("../..")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !slices.Contains(allowed, e.Name()) {
			t.Errorf("%s stands at the top of the tree", e.Name())
		}
	}
	err = filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && slices.Contains([]string{"util", "utils", "common", "helpers", "manager"}, d.Name()) {
			t.Errorf("%s: a room without a purpose", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestPromisesAreAttacked checks that every test that DESIGN.md names, exists.
func TestPromisesAreAttacked(t *testing.T) {
	design, err := os.ReadFile("../../DESIGN.md")
	if err != nil {
		t.Fatal(err)
	}
	there := map[string]bool{}
	fn := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz|Benchmark)\w+)\(`)
	err = filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		data, err := os.ReadFile(path)
		for _, m := range fn.FindAllStringSubmatch(string(data), -1) {
			there[m[1]] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile(`\b(?:Test|Fuzz|Benchmark)[A-Z]\w+`).FindAllString(string(design), -1)
	if len(named) < 20 {
		t.Errorf("DESIGN.md names %d tests only", len(named))
	}
	for _, name := range named {
		if !there[name] {
			t.Errorf("DESIGN.md names %s, which is not there", name)
		}
	}
}
