package client

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestProblemsAreThoseOfTheSpecification: there is a constant for each row of the table
// in openapi.yaml, and none besides.
func TestProblemsAreThoseOfTheSpecification(t *testing.T) {
	spec, err := os.ReadFile("../../openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, row := range regexp.MustCompile("(?m)^ *\\| `(/problems/[a-z-]+)` \\| [0-9]{3} \\|").FindAllSubmatch(spec, -1) {
		want = append(want, string(row[1]))
	}
	file, err := parser.ParseFile(token.NewFileSet(), "problems.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	ast.Inspect(file, func(n ast.Node) bool {
		if v, ok := n.(*ast.ValueSpec); ok {
			s, err := strconv.Unquote(v.Values[0].(*ast.BasicLit).Value)
			words := strings.ReplaceAll(strings.TrimPrefix(s, "/problems/"), "-", "")
			if err != nil || !strings.EqualFold("Problem"+words, v.Names[0].Name) {
				t.Errorf("%s is %q", v.Names[0].Name, s)
			}
			got = append(got, s)
		}
		return true
	})
	slices.Sort(want)
	slices.Sort(got)
	if len(want) < 30 || !slices.Equal(got, want) {
		t.Errorf("constants %q\nopenapi.yaml %q", got, want)
	}
}
