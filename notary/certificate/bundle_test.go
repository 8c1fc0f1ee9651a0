package certificate

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/proofs/bundle"
	"github.com/muniment/muniment/proofs/sm"
)

// packed is a file of a bundle.
type packed struct {
	name string
	data []byte
}

// caseOf is a house with a case of three digests, and its bundle, with a signed certificate of each
// deposit or without.
func caseOf(t *testing.T, origin string, certificates bool) (*house, []packed, [][]byte) {
	t.Helper()
	h := newHouse(origin)
	sheet, prev := h.add(proofs.KindFacts, facts), ""
	var indexes []int
	for n := 1; n <= 3; n++ {
		m := with(map[string]any{"id": fmt.Sprintf("01a207e1-1ad7-7c9c-9a9e-b149fa06f92%d", n), "case.seq": n, "content.held": false})
		if delete(m, "case.prev"); prev != "" {
			m["case.prev"] = prev
		}
		i := h.add(proofs.KindDeposit, m)
		leaf := h.entries[i].LeafHash()
		indexes, prev = append(indexes, i), hex.EncodeToString(leaf[:])
	}
	key, signers := chain(t, false)
	signer := must(NewSigner(key, signers))
	var b bytes.Buffer
	w := bundle.NewWriter(&b, bundle.Case{Contract: "HT-2026-000117", Count: 3, Policy: must(proofs.ParsePolicy(h.policy())), Page: []byte("<!doctype html>"), Certificates: certificates})
	var pdfs [][]byte
	for n, i := range indexes {
		in := Input{
			Issue: Issue{
				Template: Template, Language: English, Profile: Plain, Issued: begun.Add(time.Hour).Truncate(time.Second), Signer: signer.Signed(),
				Standing: Standing{Deposit: fmt.Sprintf("01a207e1-1ad7-7c9c-9a9e-b149fa06f92%d", n+1), State: "kept"},
			},
			Receipt: h.receipt(i), Policy: h.policy(), Facts: h.receipt(sheet),
		}
		made := must(Make(in))
		pdfs = append(pdfs, must(signer.Sign(context.Background(), made, in.Issued)))
		d := bundle.Deposit{Number: uint64(n + 1), Receipt: must(proofs.ParseReceipt(in.Receipt))}
		if certificates {
			d.Certificate = pdfs[n]
		}
		if err := w.Add(d); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	z := must(zip.NewReader(bytes.NewReader(b.Bytes()), int64(b.Len())))
	var files []packed
	for _, f := range z.File {
		files = append(files, packed{f.Name, must(io.ReadAll(must(f.Open())))})
	}
	return h, files, pdfs
}

// judged packs files anew, with a manifest that fits them if resum, and judges the bundle.
func judged(t *testing.T, files []packed, policy []byte, resum func(*bundle.Manifest)) bundle.Report {
	t.Helper()
	files = slices.Clone(files)
	if resum != nil {
		last := &files[len(files)-1]
		var m bundle.Manifest
		if err := json.Unmarshal(last.data, &m); err != nil {
			t.Fatal(err)
		}
		m.Files = map[string]bundle.Sum{}
		for _, f := range files[:len(files)-1] {
			sum := sha256.Sum256(f.data)
			m.Files[f.name] = bundle.Sum{Size: int64(len(f.data)), SHA256: hex.EncodeToString(sum[:])}
		}
		resum(&m)
		var b bytes.Buffer
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		e.SetIndent("", " ")
		if err := e.Encode(m); err != nil {
			t.Fatal(err)
		}
		last.data = b.Bytes()
	}
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, f := range files {
		if _, err := must(z.Create(f.name)).Write(f.data); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	opened := must(bundle.OpenZip(bytes.NewReader(b.Bytes()), int64(b.Len())))
	j := bundle.Judge{Certificate: InBundle(nil), Now: time.Now(), Options: func([]byte) ([]proofs.Option, bool) { return nil, false }}
	if policy != nil {
		own := must(proofs.ParsePolicy(policy))
		j.Policy = &own
	}
	return must(opened.Check(j))
}

// found is what a report finds, as difference and file, with what it says.
func found(r bundle.Report) string {
	var out []string
	for _, f := range r.Findings {
		out = append(out, string(f.What)+" "+f.File+" "+f.Say(proofs.English)+f.Say(proofs.Chinese))
	}
	return strings.Join(out, ", ")
}

// TestBundledCertificates: a certificate in a case bundle that was altered, swapped, left out,
// added or brought from elsewhere is refused and named, also where the manifest was made to fit.
func TestBundledCertificates(t *testing.T) {
	h, files, pdfs := caseOf(t, "log.example/prod/1", true)
	own := h.policy()
	keep := func(*bundle.Manifest) {}
	r := judged(t, files, own, nil)
	if r.Outcome() != proofs.Verified || len(r.Deposits) != 3 || r.Deposits[1].Paper == nil || r.Deposits[1].Paper.Signer == "" ||
		!strings.Contains(fmt.Sprint(r.Explain(proofs.English).Proved), "the receipts in them give") {
		t.Fatalf("%v %s %+v", r.Outcome(), found(r), r.Explain(proofs.English))
	}
	if r := judged(t, files, nil, nil); r.Outcome() != proofs.Undecided || len(r.Findings) > 0 || len(r.Explain(proofs.English).Proved) > 1 {
		t.Errorf("by the policy in it: %v %s %q", r.Outcome(), found(r), r.Explain(proofs.English).Proved)
	}
	at := func(list []packed, name string) int {
		return slices.IndexFunc(list, func(f packed) bool { return f.name == name })
	}
	const second = "certificates/0002.pdf"
	replaced := func(with []byte) []packed {
		out := slices.Clone(files)
		out[at(out, second)].data = with
		return out
	}
	without := slices.Delete(slices.Clone(files), at(files, second), at(files, second)+1)
	swapped := slices.Clone(files)
	i, j := at(swapped, "certificates/0001.pdf"), at(swapped, second)
	swapped[i].data, swapped[j].data = swapped[j].data, swapped[i].data
	_, _, strangers := caseOf(t, "log.example/prod/1", true)
	_, _, others := caseOf(t, "other.example/prod/1", true)
	printed := bytes.Replace(pdfs[1], []byte("BT /F 25 Tf"), []byte("BT /F 24 Tf"), 1)
	standing := func() []byte { // of the second deposit, but its standing is said to be of the third
		in := must(extract(pdfs[1]))
		in.Standing.Deposit, in.Signer = in.Standing.Deposit[:len(in.Standing.Deposit)-1]+"3", nil
		return must(Make(in)).PDF
	}()
	newer := bytes.Replace(pdfs[1], []byte(`"template": 1`), []byte(`"template": 2`), 1)
	_, bare, _ := caseOf(t, "log.example/prod/1", false)
	added := append([]packed{{second, pdfs[1]}}, bare...)
	for what, c := range map[string]struct {
		files   []packed
		resum   func(*bundle.Manifest)
		outcome proofs.Outcome
		says    string
	}{
		"unchanged":                  {files, keep, proofs.Verified, ""},
		"altered":                    {replaced(printed), nil, proofs.Refused, "file-differs " + second},
		"altered, manifest made fit": {replaced(printed), keep, proofs.Refused, "certificate-refused " + second + " " + second + ": The certificate was altered: what is printed on page 1"},
		"cut short":                  {replaced(pdfs[1][:len(pdfs[1])-1]), keep, proofs.Refused, "certificate-refused " + second},
		"no certificate":             {replaced([]byte("%PDF-1.7\n")), keep, proofs.Refused, "certificate-refused " + second},
		"swapped":                    {swapped, nil, proofs.Refused, "file-differs certificates/0001.pdf"},
		"swapped, manifest made fit": {swapped, keep, proofs.Refused, "certificate-other certificates/0001.pdf"},
		"missing":                    {without, nil, proofs.Refused, "file-missing " + second},
		"missing in list too":        {without, keep, proofs.Refused, "line-other manifest.json"},
		"missing everywhere": {without, func(m *bundle.Manifest) { m.Deposits[1].Certificate = "" }, proofs.Refused,
			"certificate-missing manifest.json There is no certificate of deposit 2"},
		"added":               {added, nil, proofs.Refused, "file-stray " + second},
		"added and listed":    {added, keep, proofs.Refused, "file-stray " + second},
		"added as its own":    {added, func(m *bundle.Manifest) { m.Deposits[1].Certificate = second }, proofs.Refused, "line-other manifest.json"},
		"added, said of each": {added, func(m *bundle.Manifest) { m.Certificates, m.Deposits[1].Certificate = "each", second }, proofs.Refused, "certificate-missing manifest.json"},
		"one of no deposit":   {append([]packed{{"certificates/0009.pdf", pdfs[1]}}, files...), keep, proofs.Refused, "file-stray certificates/0009.pdf"},
		"another line's": {files, func(m *bundle.Manifest) {
			m.Deposits[0].Certificate, m.Deposits[1].Certificate = m.Deposits[1].Certificate, m.Deposits[0].Certificate
		}, proofs.Refused, "line-other manifest.json"},
		"another log's":              {replaced(others[1]), keep, proofs.Refused, "certificate-refused " + second},
		"of the same, made again":    {replaced(strangers[1]), keep, proofs.Verified, ""},
		"standing of another":        {replaced(standing), keep, proofs.Refused, "certificate-other " + second},
		"a newer version":            {replaced(newer), keep, proofs.Verified, ""}, // nothing is known of it, and that is said
		"they say nothing about it":  {files, func(m *bundle.Manifest) { m.Certificates = "some" }, proofs.Refused, "manifest-malformed"},
		"none, as before there were": {bare, func(m *bundle.Manifest) { m.Certificates = "" }, proofs.Verified, ""},
		"none":                       {bare, nil, proofs.Verified, ""},
	} {
		for _, policy := range [][]byte{own, nil} {
			r := judged(t, c.files, policy, c.resum)
			want := c.outcome
			if policy == nil && want == proofs.Verified {
				want = proofs.Undecided
			}
			if r.Outcome() != want || !strings.Contains(found(r), c.says) || c.says == "" && len(r.Findings) > 0 {
				t.Errorf("%s: %v, %s", what, r.Outcome(), found(r))
			}
			if unknown := len(r.Unchecked) > 0; unknown != (what == "a newer version") {
				t.Errorf("%s: not checked: %q", what, r.Unchecked)
			}
		}
	}
}

func sm3Hex(s string) string {
	h := sm.New()
	h.Write([]byte(s))
	return hexOf(h.Sum(nil))
}

// TestSM3InCertificate: an embedded document is held against content.sm3 too.
func TestSM3InCertificate(t *testing.T) {
	for what, c := range map[string]struct {
		sm3   string
		holds bool
	}{"its own": {sm3Hex(contract), true}, "another's": {sm3Hex("x"), false}} {
		h := newHouse("log.example/prod/1")
		i := h.add(proofs.KindDeposit, with(map[string]any{"content.sm3": c.sm3}))
		in := Input{
			Issue:   Issue{Template: Template, Language: English, Profile: Plain, Issued: begun.Truncate(time.Second), Standing: Standing{Deposit: "x", State: "kept"}},
			Receipt: h.receipt(i), Policy: h.policy(), Document: []byte(contract),
		}
		_, err := Make(in)
		if (err == nil) != c.holds {
			t.Errorf("%s: %v", what, err)
		}
		if says, refused := Say(err, proofs.English); err != nil && (!refused || !strings.Contains(says, "The document embedded")) {
			t.Errorf("%s: %s", what, says)
		}
	}
}
