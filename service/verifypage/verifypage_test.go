package verifypage

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"html"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (f File) content(t *testing.T) []byte {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(f.Gzip))
	must(t, err)
	data, err := io.ReadAll(z)
	must(t, err)
	return data
}

// TestWasmIsReproducible: the verifier that browsers get is what the source here gives, byte
// for byte, and the script beside it is the toolchain's.
func TestWasmIsReproducible(t *testing.T) {
	out := filepath.Join(t.TempDir(), "muniment.wasm")
	cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o", out, "../../cmd/muniment-wasm")
	cmd.Env = append(os.Environ(), "GOOS=js", "GOARCH=wasm", "CGO_ENABLED=0", "GOWASM=", "GOFLAGS=")
	if said, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	built, err := os.ReadFile(out)
	must(t, err)
	if !bytes.Equal(built, File{Gzip: wasmGzip}.content(t)) {
		t.Error("muniment.wasm.gz is not what the source gives: `make generate` builds it")
	}
	root, err := exec.Command("go", "env", "GOROOT").Output()
	must(t, err)
	for ours, theirs := range map[string]string{"wasm_exec.js": "lib/wasm/wasm_exec.js", "wasm_exec.LICENSE": "LICENSE"} {
		want, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(root)), theirs))
		must(t, err)
		got, err := os.ReadFile(ours)
		must(t, err)
		if !bytes.Equal(got, want) {
			t.Errorf("%s is not the toolchain's: `make generate` copies it", ours)
		}
	}
}

// sources are the files in which the page's words are used.
func sources(t *testing.T) string {
	t.Helper()
	all := pageHTML + pageJS
	judging, err := filepath.Glob("../../cmd/muniment-wasm/*.go")
	must(t, err)
	for _, path := range judging {
		data, err := os.ReadFile(path)
		must(t, err)
		all += string(data)
	}
	return all
}

// TestWordsInBothLanguages: each text is there in Chinese and in English, with the same to
// fill in; each is used, and none is missing.
func TestWordsInBothLanguages(t *testing.T) {
	all := sources(t)
	filled := regexp.MustCompile(`\{\d\}`)
	// Keys that are put together where they are used.
	made := regexp.MustCompile(`^(kind|sum|pic|pic-unknown|fault-two|fault)-[a-z-]+$`)
	for key, w := range words {
		han := func(s string) bool {
			return strings.ContainsFunc(s, func(r rune) bool { return unicode.Is(unicode.Han, r) })
		}
		switch {
		case w.Zh == "" || w.En == "":
			t.Errorf("%s is not there in both languages", key)
		case han(w.En), strings.ContainsAny(w.En, "，。：（）、“”") && key != "bundle-tools":
			t.Errorf("%s: the English is Chinese: %s", key, w.En)
		case !han(w.Zh) && !slices.Contains([]string{"comma"}, key):
			t.Errorf("%s: the Chinese is not: %s", key, w.Zh)
		}
		zh, en := filled.FindAllString(w.Zh, -1), filled.FindAllString(w.En, -1)
		slices.Sort(zh)
		slices.Sort(en)
		if !slices.Equal(zh, en) {
			t.Errorf("%s fills in %q and %q", key, zh, en)
		}
		bare := strings.TrimSuffix(key, "-bundle")
		if !strings.Contains(all, `"`+key+`"`) && !strings.Contains(all, `"`+bare+`"`) && !strings.Contains(all, `"`+bare+`{{`) && !made.MatchString(key) {
			t.Errorf("%s is never said", key)
		}
	}
	used := regexp.MustCompile(`say\("([a-z0-9-]+)"|data-say(?:-label)?="([a-z0-9-]+)"|faulty\("([a-z0-9-]+)"[,)]|broken\("([a-z0-9-]+)"`)
	found := used.FindAllStringSubmatch(all, -1)
	if len(found) < 70 {
		t.Fatalf("%d uses of words found", len(found))
	}
	for _, m := range found {
		key := m[1] + m[2] + m[3] + m[4]
		if _, ok := words[key]; !ok && !strings.HasSuffix(key, "-") {
			t.Errorf("there are no words for %s", key)
		}
	}
}

// TestPageIsStrict: nothing in the page asks for what its policy forbids, and nothing in it
// comes from elsewhere.
func TestPageIsStrict(t *testing.T) {
	site := ForSite()
	for _, forbidden := range []string{"unsafe-inline", "'unsafe-eval'", "http:", "https:", "*"} {
		if strings.Contains(SitePolicy, forbidden) {
			t.Errorf("the policy has %s", forbidden)
		}
	}
	for _, lang := range Languages {
		page := string(site.Pages[lang].content(t))
		for _, inline := range []string{`<script>`, `<style`, `style="`, `onclick=`, `onload=`, `javascript:`} {
			if strings.Contains(page, inline) {
				t.Errorf("%s: the page has %s", lang, inline)
			}
		}
		for _, m := range regexp.MustCompile(`(?:src|href|data-wasm|data-worker)="([^"]*)"`).FindAllStringSubmatch(page, -1) {
			name, own := strings.CutPrefix(m[1], Prefix)
			_, there := site.Files[name]
			if !there && (own || !slices.Contains([]string{"#main", "?lang=zh", "?lang=en", "data:,"}, m[1])) {
				t.Errorf("%s: the page refers to %s", lang, m[1])
			}
		}
	}
	elsewhere := regexp.MustCompile(`(?i)(https?:)?//[a-z0-9-]+\.[a-z]|innerHTML|insertAdjacentHTML|document\.write|localStorage|sessionStorage|indexedDB|document\.cookie`)
	for name, source := range map[string]string{"verify.js": pageJS, "verify.css": pageCSS, "worker.js": workerJS} {
		for _, m := range elsewhere.FindAllString(source, -1) {
			if m != "http://www.w" { // the name of SVG
				t.Errorf("%s has %s", name, m)
			}
		}
	}
}

// TestBundlePageIsOne: the page in a bundle is one file that needs no other, and allows by
// digest the one script and the one style that it has.
func TestBundlePageIsOne(t *testing.T) {
	page := string(Bundle())
	if n := strings.Count(page, "<script"); n != 3 || strings.Count(page, "</script>") != n || strings.Count(page, "<style>") != 1 {
		t.Errorf("%d scripts", n)
	}
	for _, outside := range []string{`src="`, `href="/`, `href="http`, "connect-src", "'self'", "unsafe-inline"} {
		if strings.Contains(page, outside) {
			t.Errorf("the page has %s", outside)
		}
	}
	for _, source := range []string{script(), pageCSS} {
		sum := sha256.Sum256([]byte(source))
		digest := html.EscapeString("'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'")
		if !strings.Contains(page, strings.ReplaceAll(digest, "+", "&#43;")) || !strings.Contains(page, source) {
			t.Errorf("the policy does not allow what is there: %.40s", source)
		}
	}
}
