package proofs

import (
	"go/ast"
	goparser "go/parser"
	"go/token"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"
)

// allReasons are the Reason constants as the source declares them, so that a new one
// cannot be forgotten here.
func allReasons(t *testing.T) []Reason {
	t.Helper()
	file, err := goparser.ParseFile(token.NewFileSet(), "verify.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var out []Reason
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if ok && len(spec.Names) == 1 && strings.HasPrefix(spec.Names[0].Name, "Reason") {
			s, _ := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
			out = append(out, Reason(s))
		}
		return true
	})
	return out
}

func TestEveryReasonHasWords(t *testing.T) {
	all := allReasons(t)
	if len(all) != len(reasons) {
		t.Errorf("%d reasons, %d of them in words", len(all), len(reasons))
	}
	for _, r := range all {
		if p, ok := reasons[r]; !ok || p.en == "" || p.zh == "" {
			t.Errorf("reason %s has no words", r)
		}
	}
	for _, o := range []Outcome{Undecided, Verified, Refused} {
		if p := verdicts[o]; p.en == "" || p.zh == "" {
			t.Errorf("outcome %s has no words", o)
		}
	}
}

// allPhrases are the phrases in the source: two strings side by side.
func allPhrases(t *testing.T) []phrase {
	t.Helper()
	file, err := goparser.ParseFile(token.NewFileSet(), "words.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var out []phrase
	ast.Inspect(file, func(n ast.Node) bool {
		lit, ok := n.(*ast.CompositeLit)
		if !ok || len(lit.Elts) != 2 {
			return true
		}
		var s [2]string
		for i, e := range lit.Elts {
			b, ok := e.(*ast.BasicLit)
			if !ok {
				return true
			}
			s[i], _ = strconv.Unquote(b.Value)
		}
		out = append(out, phrase{s[0], s[1]})
		return true
	})
	return out
}

func TestPhrasesSayTheSameInBothLanguages(t *testing.T) {
	verbs := regexp.MustCompile(`%[a-z]`)
	all := allPhrases(t)
	if len(all) < len(reasons)+len(verdicts)+15 {
		t.Fatalf("only %d phrases found", len(all))
	}
	for _, p := range all {
		if !slices.Equal(verbs.FindAllString(p.en, -1), verbs.FindAllString(p.zh, -1)) {
			t.Errorf("other verbs:\n%s\n%s", p.en, p.zh)
		}
		if strings.ContainsFunc(p.en, func(r rune) bool { return unicode.Is(unicode.Han, r) }) ||
			!strings.ContainsFunc(p.zh, func(r rune) bool { return unicode.Is(unicode.Han, r) }) {
			t.Errorf("languages mixed up:\n%s\n%s", p.en, p.zh)
		}
		if strings.ContainsAny(p.zh, ",:;()?!") {
			t.Errorf("punctuation of the other script: %s", p.zh)
		}
	}
}

func TestExplanations(t *testing.T) {
	l := newTestLog(testOrigin)
	i := loan(l)
	policy := l.policy(witnessLine("A", "w1.example"), "quorum A")
	r := l.receipt(i, 2, "w1.example")
	hidden := r
	hidden.Disclosures = Hide(r.Disclosures, func(name string) bool { return strings.HasPrefix(name, "party.") || name == "content.held" })
	d := digest("借款合同第 7 号")
	for _, c := range []struct {
		what string
		e    Evidence
		lang Language
		want string
	}{
		{"matching", verify(t, policy, r, "借款合同第 7 号"), English, `
VERIFIED. Every check holds.
+ The document is, bit for bit, the one this receipt is about (SHA-256 ` + d + `).
+ This is entry number 1 of the log log.example/prod/1, which dated it 2026-03-01T08:00:01.123Z.
+ Entry and description are unchanged since the log signed its state of 2 entries.
+ The witness w1.example [A] saw this state of the log at 2026-03-01T08:01:40Z.
+ The witnesses that have signed are enough by your policy's rule: A.
+ The depository states that it received the document itself.
- That what the document says is true, or that any loan, debt or signature in it is valid.
- What happened to the document before it was deposited.
- The statements in the description that the depositor made: they are fixed as made, not examined.
- The time, by anyone but the depository: no time-stamp by an independent authority was checked.
`},
		{"no document, members hidden", verify(t, policy, hidden), English, `
VERIFIED. Every check holds.
+ This is entry number 1 of the log log.example/prod/1, which dated it 2026-03-01T08:00:01.123Z.
+ Entry and description are unchanged since the log signed its state of 2 entries.
+ The witness w1.example [A] saw this state of the log at 2026-03-01T08:01:40Z.
+ The witnesses that have signed are enough by your policy's rule: A.
- That the depository ever saw the document: the receipt does not show whether it did.
- That any document belongs to this receipt: none was compared.
- That what the document says is true, or that any loan, debt or signature in it is valid.
- What happened to the document before it was deposited.
- The statements in the description that the depositor made: they are fixed as made, not examined.
- The time, by anyone but the depository: no time-stamp by an independent authority was checked.
- The values of the members that this receipt hides: content.held, party.0.id.number, party.0.name.
`},
		{"differing", verify(t, policy, r, "另一份"), Chinese, `
验证不通过：请勿采信该证据。回执本身有效，但此文件并非当时存证的文件：SHA-256 不同。
`},
		{"refused", verify(t, l.policy(witnessLine("B", "w2"), "quorum B"), r), English, `
REFUSED. Do not rely on this evidence. Too few witnesses have signed for the rule of your policy. The rule is: B. Signed: nobody.
`},
		{"one of two", verify(t, l.policy(witnessLine("A", "w1.example"), witnessLine("B", "w2"), witnessLine("C", "w3"), "group G any B C", "group H all A G", "quorum H"), r), Chinese, `
验证不通过：请勿采信该证据。签名的见证方未达到您的信任策略所要求的数量。规则为：全部（A、任意一个（B、C））。已签名：A。
`},
		{"genesis, without witnesses", verify(t, l.policy("quorum none"), l.receipt(0, 2, "x")), English, `
VERIFIED. Every check holds.
+ This is entry number 0 of the log log.example/prod/1, which dated it 2026-03-01T08:00:00.123Z.
+ Entry and description are unchanged since the log signed its state of 2 entries.
- That others saw the same log: your policy asks for no witnesses.
- The time, by anyone but the depository: no time-stamp by an independent authority was checked.
- 1 signature(s) by keys your policy does not name, or in an algorithm this verifier does not have: they were ignored.
`},
	} {
		x := c.e.Explain(c.lang)
		got := "\n" + x.Verdict + "\n"
		for _, s := range x.Proved {
			got += "+ " + s + "\n"
		}
		for _, s := range x.NotProved {
			got += "- " + s + "\n"
		}
		if got != c.want {
			t.Errorf("%s: got%swant%s", c.what, got, c.want)
		}
	}
}

// TestNothingProvedOfARefusedReceipt: no sentence about what was not verified.
func TestNothingProvedOfARefusedReceipt(t *testing.T) {
	for reason := range reasons {
		for _, lang := range []Language{English, Chinese} {
			x := Evidence{}.refuse(reason).Explain(lang)
			if x.Proved == nil || x.NotProved == nil || len(x.Proved)+len(x.NotProved) != 0 || strings.Contains(x.Verdict, "%!") {
				t.Errorf("%s: %+v", reason, x)
			}
		}
	}
}
