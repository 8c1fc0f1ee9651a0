package service

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

// FuzzEnvelope: whatever passes has the one field once, nothing is made of the rest
// of the body, and the fast way finds what the slow one does.
func FuzzEnvelope(f *testing.F) {
	for _, s := range []string{
		`{"record":{}}`, `{"record":{"a":1},"record":{}}`, `{"record":1}x`, `{}`, `[`, "\xef\xbb\xbf{}", " { \"record\" :\t{ \"a\" : [ 1 ] } } \r\n",
		`{"record":{"a":1}}}`, `{"record":{"a":{}},"b":{"c":1}}`, `{"\u0072ecord":{"a":1}}`, `{"record":{"a":"\ud800"}}`, `{"record":{"a":null}}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		fast, err := parseDigest(data)
		fields, slow := envelope(data, "the form", "record")
		if err != nil {
			if refused := new(refusal); !errors.As(err, &refused) || refused.problem != malformedJSON && refused.problem != invalidRecord {
				t.Fatalf("%q: %v", data, err)
			}
			return
		}
		var all map[string]json.RawMessage
		if slow != nil || json.Unmarshal(data, &all) != nil || len(all) != 1 || string(all["record"]) != string(fields["record"]) {
			t.Fatalf("%q passes; %v", data, slow)
		}
		if record, err := parseRecord(fields["record"]); err != nil || record.JSON() != fast.JSON() {
			t.Fatalf("%q is %s and %s: %v", data, fast.JSON(), record.JSON(), err)
		}
	})
}

// loanLine is a line of a batch as a lender's system would send it.
const loanLine = `{"record":{"content.sha256":"` + helloSHA256 + `","content.name":"loan-2026-0117.pdf","contract.number":"LC-2026-0117",` +
	`"party.0.name":"示例银行股份有限公司","party.1.name":"张三","terms.amount":"120000.00","terms.currency":"CNY","provenance.system":"core"}}`

func BenchmarkParseDigest(b *testing.B) {
	line := []byte(loanLine)
	b.SetBytes(int64(len(line)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := parseDigest(line); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParseBadDigest(b *testing.B) {
	line := []byte(strings.Replace(loanLine, `"core"}}`, `"core"}},`, 1))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := parseDigest(line); err == nil {
			b.Fatal("passes")
		}
	}
}
