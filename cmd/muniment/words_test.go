package main

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"unicode"

	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/service/client"
)

// sources are the files of this program, without tests.
func sources(t *testing.T) map[string]*ast.File {
	t.Helper()
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]*ast.File{}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		if out[name], err = parser.ParseFile(token.NewFileSet(), name, nil, 0); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// literal is the text of a string literal, or of several that are joined.
func literal(e ast.Expr) (string, bool) {
	switch x := e.(type) {
	case *ast.BasicLit:
		s, err := strconv.Unquote(x.Value)
		return s, err == nil && x.Kind == token.STRING
	case *ast.BinaryExpr:
		a, ok := literal(x.X)
		b, ok2 := literal(x.Y)
		return a + b, ok && ok2
	}
	return "", false
}

// allPhrases are the pairs of strings in the files of messages.
func allPhrases(t *testing.T) []phrase {
	t.Helper()
	var out []phrase
	read := func(n ast.Node) bool {
		c, ok := n.(*ast.CompositeLit)
		if !ok || len(c.Elts) != 2 {
			return true
		}
		en, ok := literal(c.Elts[0])
		zh, ok2 := literal(c.Elts[1])
		if ok && ok2 {
			out = append(out, phrase{en, zh})
		}
		return true
	}
	ast.Inspect(sources(t)["messages.go"], read)
	ast.Inspect(sources(t)["messagesaudit.go"], read)
	ast.Inspect(sources(t)["messageskeeping.go"], read)
	ast.Inspect(sources(t)["messagesgrants.go"], read)
	ast.Inspect(sources(t)["messagescertificate.go"], read)
	if len(out) < 200 {
		t.Fatalf("found %d phrases only", len(out))
	}
	return out
}

// TestEveryMessageIsInBothLanguages: each in its own script, with the same verbs in the
// same order, and the same flags and field names in its help.
func TestEveryMessageIsInBothLanguages(t *testing.T) {
	han := func(s string) bool {
		return strings.ContainsFunc(s, func(r rune) bool { return unicode.Is(unicode.Han, r) })
	}
	verbs := regexp.MustCompile(`%[^%]`)
	literals := regexp.MustCompile("--[a-z-]+|\\$?[A-Z]+_[A-Z_]+|`[^`]+`|\\b(?:[a-z0-9]+_)+[a-z0-9]+\\b")
	for _, p := range allPhrases(t) {
		switch {
		case p.en == "" || p.zh == "":
			t.Errorf("missing: %+v", p)
		case han(p.en) || strings.ContainsAny(p.en, "，。：（）"):
			t.Errorf("Chinese in English: %q", p.en)
		case !slices.Equal(verbs.FindAllString(p.en, -1), verbs.FindAllString(p.zh, -1)):
			t.Errorf("other verbs: %q, %q", p.en, p.zh)
		}
		same := strings.NewReplacer("SHA-256", "", "HTTP", "", " of ", "") // in every language
		if strings.ContainsFunc(same.Replace(verbs.ReplaceAllString(p.en, "")), unicode.IsLetter) && !han(p.zh) {
			t.Errorf("not in Chinese: %q", p.zh)
		}
		if strings.HasPrefix(p.en, "  muniment") {
			continue // examples have names of their own
		}
		en, zh := literals.FindAllString(p.en, -1), literals.FindAllString(p.zh, -1)
		slices.Sort(en)
		slices.Sort(zh)
		if !slices.Equal(en, zh) {
			t.Errorf("other names: %q, %q in %.40q", en, zh, p.en)
		}
	}
}

// TestAllWordsAreInTheTable: nothing is said to people that is not in messages.go. What
// is allowed elsewhere is the same in every language.
func TestAllWordsAreInTheTable(t *testing.T) {
	speaking := regexp.MustCompile(`^(Fprint|Fprintf|Fprintln|Print|Printf|Println|WriteString|New|Errorf|note|line|text|aside|prose)$`)
	words := regexp.MustCompile(`[A-Za-z]{2,} [a-z]{2,}|[A-Z][a-z]+`)
	allowed := []string{
		"exit %d",                   // an exit code, never printed
		"muniment/batch-key@v1\n",   // bytes that are hashed
		"muniment/deposit-key@v1\n", // likewise
	}
	for name, file := range sources(t) {
		if strings.HasPrefix(name, "messages") {
			continue
		}
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			fun := ""
			switch f := call.Fun.(type) {
			case *ast.SelectorExpr:
				fun = f.Sel.Name
			case *ast.Ident:
				fun = f.Name
			}
			if !speaking.MatchString(fun) {
				return true
			}
			for _, arg := range call.Args {
				s, ok := literal(arg)
				if ok && words.MatchString(s) && !slices.Contains(allowed, s) {
					t.Errorf("%s: %s(%q)", name, fun, s)
				}
			}
			return true
		})
	}
}

// TestEveryProblemHasATitle: each type of problem that the depository has, as its own
// specification lists them.
func TestEveryProblemHasATitle(t *testing.T) {
	names := regexp.MustCompile("\\| `/problems/([a-z-]+)` \\|").FindAllStringSubmatch(string(read(t, "../../openapi.yaml")), -1)
	if len(names) < 20 {
		t.Fatalf("found %d problems only", len(names))
	}
	for _, name := range names {
		if _, ok := problemTitles[name[1]]; !ok {
			t.Errorf("%s has no title", name[1])
		}
	}
}

// TestErrorsAreInTheUsersLanguage: the usual ones have no English in their Chinese.
func TestErrorsAreInTheUsersLanguage(t *testing.T) {
	for _, err := range []error{
		&fs.PathError{Op: "open", Path: "合同", Err: syscall.ENOENT},
		&fs.PathError{Op: "open", Path: "合同", Err: syscall.EACCES},
		&fs.PathError{Op: "write", Path: "合同", Err: syscall.ENOSPC},
		sayNoReceiptRoom.err("合同", &fs.PathError{Op: "open", Path: "夹", Err: syscall.EROFS}),
		&client.Problem{Type: "/problems/busy", Title: "Too many deposits are waiting", Status: 503},
		client.ErrChanged,
	} {
		s := strings.ReplaceAll(explain(err, proofs.Chinese), "HTTP", "")
		if strings.ContainsFunc(s, func(r rune) bool { return r < 0x80 && unicode.IsLetter(r) }) {
			t.Errorf("%q", s)
		}
	}
}

func TestFaultsKeepTheirCause(t *testing.T) {
	err := sayPolicyUnreadable.err(&fs.PathError{Op: "open", Path: "p", Err: syscall.ENOENT})
	if !errors.Is(err, fs.ErrNotExist) || err.Error() != "the policy cannot be read: p: there is no such file or folder" {
		t.Errorf("%v", err)
	}
	if refusedEvidence(err) || !refusedEvidence(sayForked.refusal(1)) {
		t.Error("what is refused, and what has failed, is confused")
	}
}

func TestAskedLanguage(t *testing.T) {
	for _, c := range []struct {
		args string
		want string
	}{
		{"deposit a --lang zh", "zh"}, {"--lang=en verify", "en"}, {"verify -- --lang zh", ""}, {"verify --lang", ""}, {"", ""},
	} {
		if got := askedLanguage(strings.Fields(c.args)); got != c.want {
			t.Errorf("%s: %q", c.args, got)
		}
	}
}
