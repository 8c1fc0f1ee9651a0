package proofs

import (
	"encoding/base64"
	"encoding/hex"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

func spec(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile("SPEC.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// TestSpecListsEveryName: with the type that the code gives it, and no name besides.
func TestSpecListsEveryName(t *testing.T) {
	listed := map[string]Type{}
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z0-9_.]+)` \\| (\\w+) \\| .+ \\| .+ \\|$").FindAllStringSubmatch(spec(t), -1) {
		listed[row[1]] = Type(row[2])
	}
	for _, name := range Names() {
		if listed[name] != names[name] {
			t.Errorf("%s is of type %q in SPEC.md, and %q in names.go", name, listed[name], names[name])
		}
	}
	if len(listed) != len(names) {
		t.Errorf("SPEC.md lists %d names, names.go %d", len(listed), len(names))
	}
	for _, family := range []string{"contract.", "party.<n>.", "terms.", "label."} {
		if !strings.Contains(spec(t), "| `"+family+"` |") {
			t.Errorf("SPEC.md does not list the family %s", family)
		}
		if _, known := NameType(strings.Replace(family, "<n>", "0", 1) + "x"); !known {
			t.Errorf("family %s is not known", family)
		}
	}
}

func TestSpecNamesEveryReason(t *testing.T) {
	for _, r := range allReasons(t) {
		if !strings.Contains(spec(t), "`"+string(r)+"`") {
			t.Errorf("SPEC.md does not name reason %s", r)
		}
	}
}

// TestSpecsExampleIsReal: each value of the worked example is that of the vector.
func TestSpecsExampleIsReal(t *testing.T) {
	_, example, ok := strings.Cut(spec(t), "## 11. Worked example")
	if !ok {
		t.Fatal("no worked example")
	}
	r, policy := minimal()
	d, seed := r.Disclosures[0], testSeed(testOrigin, 1)
	cp := newTestLog(testOrigin)
	cp.deposit("loan 1")
	for what, want := range map[string]string{
		"seed":        hex.EncodeToString(seed[:]),
		"salt":        base64.StdEncoding.EncodeToString(d.Salt[:]) + "\n",
		"member":      string(appendMember(nil, d.Salt, d.Name, d.Value)) + "\n",
		"member hash": d.Hash.String() + "\n",
		"commitment":  "commitment   " + Commitment(r.Disclosures).String() + "\n",
		"entry":       "```\n" + r.Entry.String() + "```\n",
		"leaf":        "leaf         " + r.Entry.LeafHash().String() + "\n",
		"path":        "path         " + r.Path[0].String() + "\n",
		"root":        "root         " + cp.checkpoint(2).Root.String() + " ",
		"checkpoint":  "```\n" + string(r.Checkpoint) + "```\n",
		"policy":      "```\n" + policy.String() + "```\n",
	} {
		if !strings.Contains(example, want) {
			t.Errorf("the example's %s is not %q", what, want)
		}
	}
}

func TestSpecStatesTheBounds(t *testing.T) {
	plain := strings.ReplaceAll(spec(t), ",", "")
	for name, bound := range map[string]int{"MaxReceipt": MaxReceipt, "maxExtra": maxExtra, "MaxDisclosures": MaxDisclosures,
		"maxNote": maxNote, "maxPolicy": maxPolicy, "MaxRecord": MaxRecord, "maxPOSIX": maxPOSIX} {
		if !strings.Contains(plain, strconv.Itoa(bound)) {
			t.Errorf("SPEC.md does not state %s, %d", name, bound)
		}
	}
}
