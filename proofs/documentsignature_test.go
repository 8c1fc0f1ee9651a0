package proofs

import (
	"strings"
	"testing"
)

// TestDocumentSignatures: what a depository states of signatures inside a document is read and
// told as its statement, whatever it writes.
func TestDocumentSignatures(t *testing.T) {
	evidence := func(json string, more ...Member) Evidence {
		l := newTestLog(testOrigin)
		i := l.deposit("loan", append(more, member("content.held", Boolean(true)), member("content.signatures", must(ParseValue(json))))...)
		return verify(t, l.policy("quorum none"), l.receipt(i, i+1))
	}
	told := func(e Evidence, lang Language) string {
		x := e.Explain(lang)
		return strings.Join(x.Proved, "\n") + "\n--\n" + strings.Join(x.NotProved, "\n")
	}
	const intact = `{"state":"intact","kind":"signature","covers":812,"whole":true,"subject":"CN=张三","certificate":"ab","new-key":[1],"trusted":true}`
	e := evidence(`[` + intact + `,{"state":"altered","reason":"digest"},{"state":"not-understood","covers":"x","whole":1,"trusted":"y","subject":7}]`)
	found, stated := e.DocumentSignatures()
	if !stated || len(found) != 3 || found[0].Subject != "CN=张三" || found[0].Covers != 812 || !found[0].Whole || !*found[0].Trusted || found[1].Reason != "digest" || found[2].Whole || found[2].Trusted != nil {
		t.Errorf("%+v", found)
	}
	for _, c := range []struct {
		json string
		lang Language
		want []string
		not  string
	}{
		{`[` + intact + `,{"state":"altered"},{"state":"not-understood"}]`, English, []string{"1 intact, 1 altered, 1 not understood"}, "was added"},
		{`[` + intact + `]`, Chinese, []string{"1 个完好、0 个已被改动、0 个无法识别"}, "由何人作出"},
		{`[{"state":"intact","covers":5}]`, English, []string{"something was added to the PDF", "Who made the electronic signatures"}, "found no"},
		{`[]`, English, []string{"found no electronic signature"}, "Who made"},
		{`"text"`, English, nil, "lectronic"},
		{`[1]`, English, nil, "lectronic"},
		{`{}`, English, nil, "lectronic"},
	} {
		said := told(evidence(c.json), c.lang)
		for _, want := range c.want {
			if !strings.Contains(said, want) {
				t.Errorf("%s: %s", c.json, said)
			}
		}
		if strings.Contains(said, c.not) {
			t.Errorf("%s: says %s: %s", c.json, c.not, said)
		}
	}
	l := newTestLog(testOrigin)
	i := l.deposit("loan", member("content.signatures.unexamined", text("too-large")))
	if said := told(verify(t, l.policy("quorum none"), l.receipt(i, i+1)), English); !strings.Contains(said, "did not look into it") {
		t.Error(said)
	}
}
