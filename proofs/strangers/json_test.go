package strangers

import (
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/gowebpki/jcs"
	"github.com/muniment/muniment/proofs"
)

// canonicalByJCS compares our canonical form with RFC 8785 as gowebpki has it.
func canonicalByJCS(t testing.TB, in string) {
	t.Helper()
	v, err := proofs.ParseValue(in)
	if err != nil {
		return // we refuse much that RFC 8785 allows
	}
	wrapped, err := jcs.Transform([]byte(`{"v":` + in + `}`))
	if err != nil {
		t.Fatalf("we make %s of %q, and jcs says %v", v.JSON(), in, err)
	}
	if theirs := strings.TrimSuffix(strings.TrimPrefix(string(wrapped), `{"v":`), `}`); theirs != v.JSON() {
		t.Fatalf("%q: ours %s, theirs %s", in, v.JSON(), theirs)
	}
	if !json.Valid([]byte(v.JSON())) {
		t.Fatalf("%q becomes %s, which is not JSON", in, v.JSON())
	}
}

// randomJSON is a value in a random spelling.
func randomJSON(r *rand.Rand, depth int) string {
	space := func() string { return []string{"", " ", "\n", "\t "}[r.IntN(4)] }
	kinds := 5
	if depth == 0 {
		kinds = 3
	}
	switch r.IntN(kinds) {
	case 0:
		return []string{"true", "false", "0", "-1", "9007199254740991", "-9007199254740991", "42"}[r.IntN(7)]
	case 1, 2:
		return randomString(r)
	case 3:
		var items []string
		for range r.IntN(4) {
			items = append(items, space()+randomJSON(r, depth-1)+space())
		}
		return "[" + strings.Join(items, ",") + "]"
	}
	names := []string{`"a"`, `"b"`, `"B"`, `"a.b"`, `"a_b"`, `"~"`, `""`, `"\u0061a"`, `"10"`, `"9"`}
	r.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	var items []string
	for _, n := range names[:r.IntN(5)] {
		items = append(items, space()+n+space()+":"+space()+randomJSON(r, depth-1))
	}
	return "{" + strings.Join(items, ",") + space() + "}"
}

func randomString(r *rand.Rand) string {
	parts := []string{"a", "/", `\/`, `\"`, `\\`, `\b\f\n\r\t`, `\u0001`, `\u001F`, "\x7f", `\u007f`, "é", `\u00E9`, "借款", "\u2028", `\u2029`,
		"<>&'", "😀", `\ud83d\ude00`, `\uD834\uDD1E`, "\ufeff", `\ufffd`, "\ue000", "e\u0301"}
	var b strings.Builder
	for range r.IntN(6) {
		b.WriteString(parts[r.IntN(len(parts))])
	}
	return `"` + b.String() + `"`
}

func TestCanonicalJSONIsRFC8785(t *testing.T) {
	runs := 50_000
	if torture {
		runs = 5_000_000
	}
	r := rand.New(rand.NewPCG(3, 4))
	for range runs {
		in := randomJSON(r, 4)
		if _, err := proofs.ParseValue(in); err != nil {
			t.Fatalf("%s: %v", in, err)
		}
		canonicalByJCS(t, in)
	}
}

func TestRecordsAreRFC8785(t *testing.T) {
	const in = "{ \"terms.note\":\"\\u501f\\/款\", \"a_b\":1,\"a.b\":[ ],\"label.x\":\"\\u001f\" }"
	record, err := proofs.ParseMembers(in)
	if err != nil {
		t.Fatal(err)
	}
	if theirs, err := jcs.Transform([]byte(in)); err != nil || string(theirs) != record.JSON() {
		t.Errorf("ours %s, theirs %s, %v", record.JSON(), theirs, err)
	}
}

func FuzzJSON(f *testing.F) {
	for _, s := range []string{`"\ud83d\ude00"`, `{"b":[1,{}],"a":-1}`, `9007199254740991`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) { canonicalByJCS(t, in) })
}
