package main

import (
	"bytes"
	"encoding/json"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/proofs/bundle"
)

// bundleOf is a bundle of some deposits of the log, which are of no case.
func bundleOf(t *testing.T, l *log, numbers ...int) []byte {
	t.Helper()
	policy, err := proofs.ParsePolicy([]byte(l.policy()))
	must(t, err)
	var b bytes.Buffer
	w := bundle.NewWriter(&b, bundle.Case{Contract: "HT-1", Count: uint64(len(l.entries) - 1), Policy: policy})
	for _, n := range numbers {
		must(t, w.Add(bundle.Deposit{Number: uint64(n), Receipt: l.receipt(t, n), Document: strings.NewReader("document " + string(rune('0'+n)))}))
	}
	must(t, w.Close())
	return b.Bytes()
}

// TestExamineBundle: a bundle is judged by whose policy it is, whole or unpacked; what cannot
// be one is a fault in words; whatever it comes to, the page gets lists and never null.
func TestExamineBundle(t *testing.T) {
	l, other := newLog(t, 1, 5), newLog(t, 2, 5)
	data := bundleOf(t, l, 1, 3)
	whole := fileOf("case.zip", data)
	if whole.Kind != kindBundle {
		t.Fatal(whole.Kind)
	}
	policy, err := proofs.ParsePolicy([]byte(l.policy()))
	must(t, err)
	own := fileOf("policy", []byte(l.policy()))
	for what, c := range map[string]struct {
		q     question
		more  []file
		own   bool
		fault string
	}{
		"in the bundle":                   {question{}, nil, false, ""},
		"the site's":                      {question{Site: site{Policies: []string{l.policy()}}}, nil, false, ""},
		"another site's":                  {question{Site: site{Policies: []string{other.policy()}}}, nil, false, ""},
		"visitor's":                       {question{}, []file{own}, true, ""},
		"known by fingerprint":            {question{Fingerprint: policy.Fingerprint()}, nil, true, ""},
		"another fingerprint":             {question{Fingerprint: digest("x")}, nil, false, "fault-fingerprint-other"},
		"a site's policy that is damaged": {question{Site: site{Policies: []string{"x"}}}, nil, false, "fault-site"},
		"two bundles":                     {question{}, []file{whole}, false, "fault-two-bundle"},
	} {
		a := ask(c.q, append([]file{whole}, c.more...)...)
		if a.Fault != c.fault || (a.Bundle == nil) != (c.fault != "") {
			t.Errorf("%s: %+v", what, a)
			continue
		}
		// The deposits are of no case, so that the bundle is refused whoever judges.
		if b := a.Bundle; b != nil && (b.Own != c.own || b.Outcome != "refused" || b.Unknown || len(b.Deposits) != 4 || b.Deposits[1].Last != 2 || b.Deposits[3].Number != 4 ||
			len(b.Words[proofs.Chinese].Findings) == 0 || len(b.Words[proofs.English].Proved) > 0) {
			t.Errorf("%s: %+v", what, b)
		}
	}
	b, err := bundle.OpenZip(bytes.NewReader(data), int64(len(data)))
	must(t, err)
	var parts []file
	for f := range b.Files() {
		r, err := f.Open()
		must(t, err)
		content, err := io.ReadAll(r)
		must(t, err)
		parts = append(parts, file{Name: "case/" + f.Name, Size: f.Size, Kind: kindPart, bytes: bytes.NewReader(content)})
	}
	if a := ask(question{}, append(parts, own)...); a.Bundle == nil || !a.Bundle.Own || len(a.Bundle.Deposits) != 4 {
		t.Errorf("unpacked: %+v", a)
	}
	damaged := slices.Clone(parts)
	for i, p := range damaged {
		if p.Name == "case/manifest.json" {
			damaged[i].bytes = bytes.NewReader(make([]byte, p.Size))
		}
	}
	a := ask(question{}, damaged...)
	out, err := json.Marshal(a)
	must(t, err)
	if a.Bundle == nil || a.Bundle.Outcome != "refused" || strings.Contains(string(out), "null") {
		t.Errorf("a damaged manifest: %s", out)
	}
	cut := fileOf("case.zip", data[:len(data)-50])
	if a := ask(question{}, cut); cut.Kind != kindDocument || a.Fault != "fault-no-bundle" {
		t.Errorf("cut short: %s %+v", cut.Kind, a)
	}
}
