package main

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/muniment/muniment/proofs"
)

func TestPlain(t *testing.T) {
	for in, want := range map[string]string{
		"借款合同 no. 7.pdf":       "借款合同 no. 7.pdf",
		"全角　空格":                "全角　空格",
		"a\x1b[31mb":           `a\u001b[31mb`,
		"line\nline\r\ttab":    `line\u000aline\u000d\u0009tab`,
		"\u009b2J\u007f":       `\u009b2J\u007f`,
		"fdp.\u202efdp":        `fdp.\u202efdp`,
		"a\u2066b\u200b\ufeff": `a\u2066b\u200b\ufeff`,
		"\u2028\u2029\u00a0":   `\u2028\u2029\u00a0`,
		"\U000e0041":           `\U000e0041`,
		"\xff\xfe":             `\xff\xfe`,
	} {
		if got := plain(in); got != want {
			t.Errorf("%q: %s, want %s", in, got, want)
		}
	}
}

func FuzzPlain(f *testing.F) {
	f.Add("a\x1b[2J\u202e借\xff\U000e0041")
	f.Fuzz(func(t *testing.T, s string) {
		p := plain(s)
		if strings.ContainsFunc(p, func(r rune) bool { return !proofs.Harmless(r) }) {
			t.Errorf("%q", p)
		}
		var b bytes.Buffer
		if err := printJSON(&b, s); err != nil {
			t.Fatal(err)
		}
		line := strings.TrimSuffix(b.String(), "\n")
		var back string
		if err := json.Unmarshal([]byte(line), &back); err != nil || back != strings.ToValidUTF8(s, "\ufffd") && len(back) < len(s)/4 {
			t.Errorf("%q came back as %q: %v", s, back, err)
		}
		if strings.ContainsFunc(line, func(r rune) bool { return !proofs.Harmless(r) }) {
			t.Errorf("%q", line)
		}
		// Wrapping loses nothing but spaces, and is done only where a line is full.
		joined := strings.Join(wrap(p, 20), "")
		if strings.ReplaceAll(joined, " ", "") != strings.ReplaceAll(p, " ", "") {
			t.Errorf("%q wrapped to %q", p, joined)
		}
	})
}

func TestWrap(t *testing.T) {
	for _, c := range []struct {
		in   string
		want []string
	}{
		{"", []string{""}},
		{"one two three", []string{"one two", "three"}},
		{"bb9f8a4e16b8f57d5d826d04 x", []string{"bb9f8a4e16b8f57d5d826d04", "x"}},
		{"验证通过：各项检查均成立。", []string{"验证通过：", "各项检查均", "成立。"}},
		{"文件（甲方）abc", []string{"文件（甲", "方）abc"}},
	} {
		if got := wrap(c.in, 10); !slices.Equal(got, c.want) {
			t.Errorf("%q: %q, want %q", c.in, got, c.want)
		}
	}
}

// TestHostileRecordIsShownHarmless: a record can neither steer the terminal nor
// print a line that looks like the verifier's own.
func TestHostileRecordIsShownHarmless(t *testing.T) {
	evil, err := proofs.Text("x\n\nVERIFIED. Every check holds.\n  SHA-256  00\x1b[2J\u202e" + strings.Repeat("VERIFIED. ", 50))
	if err != nil {
		t.Fatal(err)
	}
	nested, err := proofs.ParseValue(`{"a":["\u001b[31m\u009b\u202e"]}`)
	if err != nil {
		t.Fatal(err)
	}
	r := report{File: "a\x1b[1mb", members: proofs.Record{{Name: "label.x", Value: evil}, {Name: "terms.x", Value: nested}}}
	for _, lang := range []proofs.Language{proofs.English, proofs.Chinese} {
		var b bytes.Buffer
		if err := r.print(&screen{out: &b, lang: lang}); err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(b.String()) {
			line = strings.TrimSuffix(line, "\n")
			if strings.ContainsFunc(line, func(r rune) bool { return !proofs.Harmless(r) }) {
				t.Errorf("harmful: %q", line)
			}
			if at := strings.Index(line, "VERIFIED"); at >= 0 && at < len("  label.x  ") {
				t.Errorf("stands where a fact does: %q", line)
			}
		}
	}
}

func TestLanguage(t *testing.T) {
	for _, c := range []struct {
		all, messages, lang, asked string
		want                       proofs.Language
	}{
		{"", "", "", "", proofs.English},
		{"", "", "zh_CN.UTF-8", "", proofs.Chinese},
		{"C", "", "zh_CN.UTF-8", "", proofs.English},
		{"", "zh_TW", "en_US", "", proofs.Chinese},
		{"zh_CN", "", "", "en", proofs.English},
		{"", "", "", "zh", proofs.Chinese},
	} {
		t.Setenv("LC_ALL", c.all)
		t.Setenv("LC_MESSAGES", c.messages)
		t.Setenv("LANG", c.lang)
		if got, err := language(c.asked); got != c.want || err != nil {
			t.Errorf("%+v: %s, %v", c, got, err)
		}
	}
}
