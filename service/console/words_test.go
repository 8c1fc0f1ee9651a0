package console

import (
	"io/fs"
	"os"
	"regexp"
	"strings"
	"testing"
	"unicode"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/proofs"
)

// sources are the pages and the program's own files, as text.
func sources(t *testing.T, pattern string) string {
	t.Helper()
	var all strings.Builder
	names, err := fs.Glob(os.DirFS("."), pattern)
	if err != nil || len(names) == 0 {
		t.Fatal(pattern, err)
	}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(text)
	}
	return all.String()
}

func matches(text, pattern string) map[string]bool {
	out := map[string]bool{}
	for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(text, -1) {
		out[m[1]] = true
	}
	return out
}

// TestWords: what the pages say has words in both languages, and every word is said.
func TestWords(t *testing.T) {
	pages, script, program := sources(t, "page/*.html"), sources(t, "page/*.js"), sources(t, "*.go")
	want, refusals := matches(pages, `say "([a-z0-9-]+)"`), map[string]bool{}
	for name := range matches(program, `(?:words\[|[^a-zA-Z.]say\(|lang\.say\()"([a-z0-9-]*[a-z0-9])"`) {
		want[name] = true
	}
	for name := range matches(program, `own\("([a-z-]+)"`) {
		refusals["console-"+name] = true
	}
	for name := range matches(script, `say\("([a-z-]+)"`) {
		want["script."+name] = true
	}
	for _, unit := range []string{"seconds", "minutes", "hours", "days"} {
		want["ago-"+unit] = true
	}
	for _, role := range notary.Roles {
		want["role."+string(role)] = true
	}
	for _, action := range notary.Actions {
		want["action."+string(action)] = true
	}
	for _, kind := range []string{"contract", "sha256", "sm3", "depositor", "label"} {
		want["by."+kind] = true
	}
	for family, names := range map[string][]string{
		"state": {"kept", "held", "erasure-asked", "erased"}, "act": {"hold", "release", "erasure-asked", "erasure"}, "grant-state": {"open", "ended", "revoked"},
		"outcome": {proofs.Verified.String(), proofs.Refused.String(), proofs.Undecided.String()},
	} {
		for _, name := range names {
			want[family+"."+name] = true
		}
	}
	for _, g := range groups(nil) {
		want["group."+g.Name] = true
	}
	contract, err := os.ReadFile("../client/problems.go")
	if err != nil {
		t.Fatal(err)
	}
	for name := range matches(string(contract), `"/problems/([a-z-]+)"`) {
		refusals[name] = true
	}
	for name := range want {
		if _, ok := words[name]; !ok {
			t.Errorf("no words for %q", name)
		}
	}
	for name := range refusals {
		if s := problems[name]; s.zh == "" || s.en == "" {
			t.Errorf("no words for the problem %q", name)
		}
	}
	for name := range problems {
		if !refusals[name] {
			t.Errorf("nothing is refused with %q", name)
		}
	}
	verbs := regexp.MustCompile(`%[a-z]|\{[0-9]\}`)
	for name, s := range words {
		known := strings.HasPrefix(name, "trouble.") || strings.HasPrefix(name, "note.") // what readiness says
		if !want[name] && !known {
			t.Errorf("nothing says %q", name)
		}
		if s.zh == "" || s.en == "" || strings.ContainsFunc(s.en, func(c rune) bool { return unicode.Is(unicode.Han, c) }) && !strings.Contains(s.en, "Shenzhen") {
			t.Errorf("%q: %q, %q", name, s.zh, s.en)
		}
		if a, b := verbs.FindAllString(s.zh, -1), verbs.FindAllString(s.en, -1); strings.Join(a, "") != strings.Join(b, "") {
			t.Errorf("%q fills in %v and %v", name, a, b)
		}
	}
}

// TestMembers: each member that a depositor may set, and each of the depository's own in the
// record of a deposit, has a name that people use.
func TestMembers(t *testing.T) {
	spec, err := os.ReadFile("../../proofs/SPEC.md")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for name := range matches(string(spec), "(?m)^\\| `(id|(?:tenant|depositor|content|contract|case|terms|provenance)[a-z0-9_.]*[a-z0-9])` \\|") {
		n++
		for _, lang := range languages {
			if speaker(lang).label(name) == name && name != "id" {
				t.Errorf("%s has no name in %s", name, lang)
			}
		}
	}
	if n < 25 {
		t.Fatalf("%d members found in SPEC.md", n)
	}
}

// TestLocalForms: times have a zone, numbers groups, in the form of the language.
func TestLocalForms(t *testing.T) {
	for got, want := range map[string]string{
		speaker("zh").moment("2026-11-27T16:04:05.678Z"): "2026年11月28日 00:04:05（北京时间）",
		speaker("en").moment("2026-11-27T16:04:05.678Z"): "27 Nov 2026, 16:04:05 UTC",
		count(uint64(1234567)):                           "1,234,567",
		count(uint64(999)):                               "999",
		count(int64(-1000)):                              "-1,000",
		speaker("en").size("999"):                        "999 bytes",
		speaker("zh").size("12"):                         "12 字节",
		speaker("en").size("177324"):                     "177 KB",
		speaker("en").size("48808"):                      "48.8 KB",
		speaker("en").label("party.0.name"):              "Party 1: name",
		speaker("zh").label("label.branch"):              "标签 branch",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
