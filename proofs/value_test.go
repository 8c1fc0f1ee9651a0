package proofs

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestValuesAreBroughtIntoCanonicalForm(t *testing.T) {
	nested := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	for in, want := range map[string]string{
		`true`:              `true`,
		" \t\r\nfalse\n":    `false`,
		`0`:                 `0`,
		`-1`:                `-1`,
		`9007199254740991`:  `9007199254740991`,
		`-9007199254740991`: `-9007199254740991`,
		`""`:                `""`,
		`"\u0041\/\u00e9"`:  `"A/é"`,
		`"\"\\\b\f\n\r\t"`:  `"\"\\\b\f\n\r\t"`,
		`"\u0008\u000c\u000A\u000d\u0009\u0022\u005C"`: `"\b\f\n\r\t\"\\"`,
		`"\u0001\u000b\u001f\u007f"`:                   "\"\\u0001\\u000b\\u001f\x7f\"",
		`"\u20AC\u2028\u2029<>&"`:                      "\"€\u2028\u2029<>&\"",
		`"\ud83d\ude00\uD83D\uDE00😀"`:                  `"😀😀😀"`,
		`"\ud800\udc00\udbff\udffd"`:                   "\"\U00010000\U0010fffd\"",
		`"\ufeff\ufffd\ue000"`:                         "\"\ufeff\ufffd\ue000\"",
		`"é"`:                                          `"é"`, // composed and decomposed stay what they are
		`"e` + "\u0301" + `"`:                          "\"e\u0301\"",
		`[ ]`:                                          `[]`,
		`{ }`:                                          `{}`,
		`[1 , "a",[true ]]`:                            `[1,"a",[true]]`,
		`{"b":1, "a" : {"d":[],"c":0}}`:                `{"a":{"c":0,"d":[]},"b":1}`,
		`{"":0,"A":1,"a":2,"~":3," ":4}`:               `{"":0," ":4,"A":1,"a":2,"~":3}`,
		`{"\u0061":1}`:                                 `{"a":1}`,
		nested(8):                                      nested(8),
		strings.Repeat(`{"a":`, 8) + "1" + strings.Repeat("}", 8): strings.Repeat(`{"a":`, 8) + "1" + strings.Repeat("}", 8),
	} {
		v, err := ParseValue(in)
		if err != nil || v.JSON() != want {
			t.Errorf("%s becomes %s, %v; want %s", in, v.JSON(), err, want)
			continue
		}
		again, err := ParseValue(v.JSON())
		if err != nil || again != v {
			t.Errorf("%s is not its own canonical form", want)
		}
		if out, err := json.Marshal(v); err != nil || !json.Valid(out) {
			t.Errorf("%s: encoding/json makes %s, %v", in, out, err)
		}
	}
}

func TestMalformedValues(t *testing.T) {
	for _, in := range []string{
		``, ` `, `null`, `[null]`, `{"a":null}`, `[[[[{"a":[null]}]]]]`, `nul`, `tru`, `truefalse`, `True`, `NaN`, `Infinity`,
		`-0`, `00`, `01`, `-01`, `+1`, `1.0`, `1.5`, `0.1`, `1e3`, `1E3`, `1e-3`, `.5`, `5.`, `-`, `--1`, `1-`, `0x10`, `1_000`,
		`9007199254740992`, `-9007199254740992`, `9223372036854775808`, `99999999999999999999999`,
		`"`, `"a`, `"\"`, `"\x41"`, `"\u12"`, `"\u12`, `"\u00g0"`, `"\u+041"`, `"\u_041"`, `"\u 041"`, `"\`, `'a'`,
		"\"\n\"", "\"\t\"", "\"\x00\"", `"\u0000"`,
		`"\ud800"`, `"\udc00"`, `"\ud800\ud800"`, `"\ud800x"`, `"\ud800\n"`, `"\udc00\ud800"`, `"\ud800\u0041"`, `"\ud83d`,
		`"\ufffe"`, `"\uffff"`, "\"\ufffe\"", "\"\uffff\"", `"\ufdd0"`, `"\ufdef"`, "\"\U0001fffe\"", `"\udbff\udfff"`, `"\ud83f\udffe"`,
		"\"\xff\"", "\"\xc0\x80\"", "\"\xed\xa0\x80\"", "\"\xe4\xbd\"", "\"\xf4\x90\x80\x80\"", "\"\xf0\x82\x82\xac\"",
		`[`, `]`, `[1`, `[1,`, `[1,]`, `[,1]`, `[1 2]`, `[1,,2]`, `[1]]`, `[1}`,
		`{`, `}`, `{"a"}`, `{"a":}`, `{"a":1`, `{"a":1,}`, `{,}`, `{a:1}`, `{1:1}`, `{"a":1 "b":2}`, `{"a":1]`,
		`{"a":1,"a":1}`, `{"a":1,"b":2,"a":3}`, `{"a":1,"\u0061":1}`, `[{"x":{"y":1,"y":1}}]`,
		`{"é":1}`, `{"\u007f":1}`, `{"\n":1}`, `{"\u0000":1}`,
		`1 2`, `1,`, "1\x00", "\x001", "\ufeff1", `//`, `/**/1`, "1\v", "\u00a01",
		strings.Repeat("[", 9) + strings.Repeat("]", 9), strings.Repeat(`{"a":`, 9) + "1" + strings.Repeat("}", 9),
		strings.Repeat("[", MaxRecord), strings.Repeat("[{\"a\":", MaxRecord/6), `"` + strings.Repeat("x", MaxRecord) + `"`,
	} {
		if v, err := ParseValue(in); !errors.Is(err, ErrMalformed) || v != (Value{}) {
			t.Errorf("%.60q becomes %.60s, %v", in, v.JSON(), err)
		}
	}
}

func TestValuesFromGo(t *testing.T) {
	for _, s := range []string{"", "a", "借款", "\x01\x1f\x7f\"\\/", "😀", "\u202e\u200b"} {
		v, err := Text(s)
		if got, ok := v.Text(); err != nil || !ok || got != s {
			t.Errorf("%q: %q, %v, %v", s, got, ok, err)
		}
		if again, err := ParseValue(v.JSON()); err != nil || again != v {
			t.Errorf("%q: %v", s, err)
		}
		if _, ok := v.Integer(); ok {
			t.Errorf("%q is an integer", s)
		}
	}
	for _, s := range []string{"\x00", "a\x00b", "\xff", "\ufffe", "\ufdd5", "\U0010ffff", "\xed\xb0\x80"} {
		if v, err := Text(s); !errors.Is(err, ErrMalformed) || v != (Value{}) {
			t.Errorf("Text(%q): %v, %v", s, v, err)
		}
	}
	for _, n := range []int64{0, -1, maxInteger, -maxInteger} {
		v, err := Integer(n)
		if got, ok := v.Integer(); err != nil || !ok || got != n {
			t.Errorf("%d: %d, %v, %v", n, got, ok, err)
		}
	}
	for _, n := range []int64{maxInteger + 1, -maxInteger - 1, 1<<63 - 1, -1 << 63} {
		if v, err := Integer(n); !errors.Is(err, ErrMalformed) || v != (Value{}) {
			t.Errorf("Integer(%d): %v, %v", n, v, err)
		}
	}
	var none Value
	if _, err := none.MarshalJSON(); err == nil {
		t.Error("the zero Value is written")
	}
	_, isText := none.Text()
	_, isInteger := none.Integer()
	_, isBoolean := none.Boolean()
	if isText || isInteger || isBoolean || TypeAny.Holds(none) {
		t.Error("the zero Value is a value")
	}
	if v, _ := Text("5"); fmt.Sprint(v.Integer()) != "0 false" {
		t.Error(`"5" is an integer`)
	}
}

func TestNameTypes(t *testing.T) {
	for name, want := range map[string]Type{
		"content.sha256": TypeDigest, "contract.number": TypeText, "contract.clause": TypeAny, "terms.amount": TypeText, "terms.x.y": TypeAny,
		"label.x": TypeText, "party.0.name": TypeText, "party.12.id.number": TypeText, "party.0.address": TypeAny,
		"case.seq": TypeInteger, "content.held": TypeBoolean, "provenance.received": TypeTime, "id": TypeUUID,
	} {
		if got, known := NameType(name); !known || got != want {
			t.Errorf("%s is of type %q, %v", name, got, known)
		}
	}
	for _, name := range []string{"", "x", "contract", "contract.", "party", "party.", "party.0", "party.0.", "party.00.name", "party.-1.name", "party.x.name",
		"label.", "label.A", "content.other", "case.x", "provenance.x", "terms.é", "label." + strings.Repeat("x", 64)} {
		if got, known := NameType(name); known || got != "" {
			t.Errorf("%q is known, of type %q", name, got)
		}
	}
	for _, n := range Names() {
		if !ValidName(n) {
			t.Errorf("%q is no name", n)
		}
	}
}

func TestTypesHold(t *testing.T) {
	hex := strings.Repeat("0a", 32)
	for _, c := range []struct {
		t    Type
		json string
		want bool
	}{
		{TypeText, `""`, true}, {TypeText, `1`, false}, {TypeInteger, `1`, true}, {TypeInteger, `"1"`, false},
		{TypeBoolean, `false`, true}, {TypeBoolean, `"false"`, false}, {TypeBoolean, `0`, false},
		{TypeDigest, `"` + hex + `"`, true}, {TypeDigest, `"` + strings.ToUpper(hex) + `"`, false}, {TypeDigest, `"` + hex[1:] + `"`, false},
		{TypeDigest, `"` + hex[:31] + "x" + hex[32:] + `"`, false}, {TypeDigest, `1`, false},
		{TypeTime, `"2026-03-01T08:00:00.100Z"`, true}, {TypeTime, `"2026-03-01"`, false}, {TypeTime, `1`, false},
		{TypeUUID, `"0195fe54-6c51-7a3e-8d8c-3f1f2a9b4c01"`, true}, {TypeUUID, `"0195FE54-6c51-7a3e-8d8c-3f1f2a9b4c01"`, false},
		{TypeUUID, `"0195fe546c51-7a3e-8d8c-3f1f2a9b4c01-"`, false}, {TypeUUID, `""`, false},
		{TypeAny, `[1]`, true},
	} {
		v, err := ParseValue(c.json)
		if err != nil || c.t.Holds(v) != c.want {
			t.Errorf("%s holds %s: %v, %v", c.t, c.json, !c.want, err)
		}
	}
}
