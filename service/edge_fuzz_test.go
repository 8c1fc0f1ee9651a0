package service

import (
	"errors"
	"strings"
	"testing"

	"github.com/muniment/muniment/notary"
)

// FuzzBatch: what is taken for a batch is as many lines, and each is what it is by
// itself; what is not names the lines that are not.
func FuzzBatch(f *testing.F) {
	for _, s := range []string{batchOf(3), "\n", digestOnly(""), digestOnly("") + "\n\n", digestOnly("") + "\r\n{}", strings.Repeat(" ", 5000) + digestOnly("") + "\nx"} {
		f.Add(s)
	}
	all := budget{most: maxDecoding}
	f.Fuzz(func(t *testing.T, body string) {
		held := share{of: &all}
		defer held.release()
		records, err := decodeBatch(strings.NewReader(body), notary.Tenant{}, &held)
		lines := strings.Split(strings.TrimSuffix(body, "\n"), "\n")
		bad := new(notary.BatchError)
		if errors.As(err, &bad) {
			for _, l := range bad.Lines {
				if l.Line < 1 || l.Line > len(lines) || l.Reason == "" {
					t.Fatalf("%q: %+v", body, l)
				}
				if record, err := parseDigest([]byte(lines[l.Line-1])); err == nil && notary.CheckDigest(notary.Tenant{}, record) == nil {
					t.Fatalf("%q: line %d is right, %+v", body, l.Line, l)
				}
			}
			return
		}
		if err != nil {
			return
		}
		if len(records) != len(lines) {
			t.Fatalf("%q has %d lines, and not %d", body, len(lines), len(records))
		}
		for i, line := range lines {
			if record, err := parseDigest([]byte(line)); err != nil || record.JSON() != records[i].JSON() {
				t.Fatalf("%q: line %d is %s: %v", body, i+1, records[i].JSON(), err)
			}
		}
	})
}

// FuzzLists: the lists in headers are taken apart without loss.
func FuzzLists(f *testing.F) {
	for _, s := range []string{`"a", W/"b,c"`, "wait=5, return=minimal", "sha-256=:AAAA:, x=:AA==:;a", `"\"`, ",,", `a,"`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, e := range elements(s) {
			if e == "" || !strings.Contains(s, e) || strings.Trim(e, " \t") != e {
				t.Errorf("%q has the element %q", s, e)
			}
		}
		if members, ok := byteSequences(s); ok && len(members) > strings.Count(s, ",")+1 {
			t.Errorf("%q has %d members", s, len(members))
		}
		if tag := `"` + s + `"`; !strings.ContainsAny(s, `"\`) && !holds(`"x", `+tag, tag) {
			t.Errorf("%s does not hold itself", tag)
		}
	})
}
