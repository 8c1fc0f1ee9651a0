package bundle

import (
	"archive/zip"
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unicode"

	"github.com/muniment/muniment/proofs"
)

func TestBundle(t *testing.T) {
	c := newCase(t, "HT-1", "first", "", "third")
	data := c.write(t, "HT-1")
	if !bytes.Equal(data, c.write(t, "HT-1")) {
		t.Error("the same case gives other bytes")
	}
	r := check(t, data, &c.policy)
	if r.Outcome() != proofs.Verified || len(r.Deposits) != 3 || r.Contract != "HT-1" || r.Origin != origin || !r.Own || r.Another {
		t.Fatalf("%+v", r)
	}
	for i, want := range []proofs.DocumentCheck{proofs.DocumentMatches, proofs.DocumentUnchecked, proofs.DocumentMatches} {
		if d := r.Deposits[i]; d.Evidence.Document != want || d.Line.Number != uint64(i+1) || d.Name() != "loan.pdf" {
			t.Errorf("%d: %+v", i, d.Line)
		}
	}
	found := check(t, data, nil)
	if x := found.Explain(proofs.English); found.Outcome() != proofs.Undecided || found.Own || found.Policy != c.policy.Fingerprint() ||
		len(x.Proved) > 0 || !strings.Contains(x.Verdict, found.Policy) {
		t.Errorf("a policy found in the bundle: %v %+v", found.Outcome(), x)
	}
	other := policyOf(t, ed25519.NewKeyFromSeed(bytes.Repeat([]byte{8}, 32)))
	if r := check(t, data, &other); r.Outcome() != proofs.Refused {
		t.Errorf("another's policy: %v", r.Outcome())
	}
	var names []string
	for _, f := range unpack(t, data) {
		names = append(names, f.name)
	}
	want := []string{
		"receipts/0001.tlog-proof", "documents/0001-loan.pdf", "receipts/0002.tlog-proof", "receipts/0003.tlog-proof", "documents/0003-loan.pdf",
		"policy", "README.txt", "verify.html", "manifest.json",
	}
	if !slices.Equal(names, want) {
		t.Errorf("files %q", names)
	}
	for _, not := range [][]byte{nil, []byte("x"), data[:len(data)-1], pack(t, nil), pack(t, []packed{{"a.txt", nil}})} {
		if _, err := checkAt(bytes.NewReader(not), int64(len(not)), nil); !errors.Is(err, ErrNot) {
			t.Errorf("%d bytes: %v", len(not), err)
		}
	}
}

// names is what a report finds, as difference and file.
func names(r Report) string {
	var out []string
	for _, f := range r.Findings {
		out = append(out, string(f.What)+" "+f.File)
	}
	return strings.Join(out, ", ")
}

// TestTamperedFiles: each file of a bundle altered, taken out or packed under another name is
// refused, and named; so is one that was added.
func TestTamperedFiles(t *testing.T) {
	c := newCase(t, "HT-1", "first", "second", "")
	for _, policy := range []*proofs.Policy{&c.policy, nil} {
		files := unpack(t, c.write(t, "HT-1"))
		for i, f := range files {
			for _, at := range []int{0, len(f.data) / 2, len(f.data) - 1} {
				changed := slices.Clone(files)
				changed[i].data = bytes.Clone(f.data)
				changed[i].data[at] ^= 1
				r := check(t, pack(t, changed), policy)
				if r.Outcome() != proofs.Refused || !strings.Contains(names(r), f.name) {
					t.Errorf("byte %d of %s altered: %v, %s", at, f.name, r.Outcome(), names(r))
				}
			}
			without := slices.Delete(slices.Clone(files), i, i+1)
			if f.name != ManifestName {
				if r := check(t, pack(t, without), policy); r.Outcome() != proofs.Refused || !strings.Contains(names(r), "file-missing "+f.name) {
					t.Errorf("%s taken out: %v, %s", f.name, r.Outcome(), names(r))
				}
				moved := slices.Clone(files)
				moved[i].name += "x"
				if r := check(t, pack(t, moved), policy); r.Outcome() != proofs.Refused || !strings.Contains(names(r), "file-stray "+f.name+"x") {
					t.Errorf("%s renamed: %v, %s", f.name, r.Outcome(), names(r))
				}
			}
			twice := append(slices.Clone(files), packed{strings.ToUpper(f.name), f.data})
			if r := check(t, pack(t, twice), policy); r.Outcome() != proofs.Refused {
				t.Errorf("%s twice: %v, %s", f.name, r.Outcome(), names(r))
			}
		}
		for _, evil := range []string{"documents/0009-x.pdf", "x", "../x", "/etc/x", "a/b/c", `..\x`, "C:x", "documents/../x", "documents//x", "a\u202eb", "nul\x00"} {
			r := check(t, pack(t, append(slices.Clone(files), packed{evil, []byte("x")})), policy)
			if r.Outcome() != proofs.Refused || len(r.Findings) != 1 || r.Findings[0].File != evil {
				t.Errorf("%q added: %v, %s", evil, r.Outcome(), names(r))
			}
		}
	}
}

// resum gives the manifest the digests of the files as they are now: whoever alters a bundle
// can do that too.
func resum(t *testing.T, files []packed, change func(*Manifest)) []byte {
	t.Helper()
	files = slices.Clone(files)
	last := &files[len(files)-1]
	var m Manifest
	must(t, json.Unmarshal(last.data, &m))
	m.Files = map[string]Sum{}
	for _, f := range files[:len(files)-1] {
		h := sha256.Sum256(f.data)
		m.Files[f.name] = Sum{int64(len(f.data)), hex.EncodeToString(h[:])}
	}
	if change != nil {
		change(&m)
	}
	last.data = m.marshal()
	return pack(t, files)
}

// TestForgedManifest: a manifest that was made to fit what was altered does not make it good.
func TestForgedManifest(t *testing.T) {
	c := newCase(t, "HT-1", "first", "second", "third")
	files := unpack(t, c.write(t, "HT-1"))
	at := func(name string) int {
		return slices.IndexFunc(files, func(f packed) bool { return f.name == name })
	}
	with := func(name, content string) []packed {
		out := slices.Clone(files)
		out[at(name)].data = []byte(content)
		return out
	}
	without := func(names ...string) []packed {
		return slices.DeleteFunc(slices.Clone(files), func(f packed) bool { return slices.Contains(names, f.name) })
	}
	swapped := slices.Clone(files)
	i, j := at("documents/0001-loan.pdf"), at("documents/0002-loan.pdf")
	swapped[i].data, swapped[j].data = swapped[j].data, swapped[i].data
	receipts := slices.Clone(files)
	i, j = at("receipts/0001.tlog-proof"), at("receipts/0002.tlog-proof")
	receipts[i].data, receipts[j].data = receipts[j].data, receipts[i].data
	stranger := newCase(t, "HT-1", "first", "other", "third")
	for what, b := range map[string]struct {
		data    []byte
		outcome proofs.Outcome
		names   string
	}{
		"unchanged":         {resum(t, files, nil), proofs.Verified, ""},
		"document":          {resum(t, with("documents/0002-loan.pdf", "forged"), nil), proofs.Refused, "deposit-refused documents/0002-loan.pdf"},
		"documents swapped": {resum(t, swapped, nil), proofs.Refused, "deposit-refused documents/0001-loan.pdf"},
		"receipts swapped":  {resum(t, receipts, nil), proofs.Refused, "number-other receipts/0001.tlog-proof"},
		"no receipt":        {resum(t, with("receipts/0002.tlog-proof", ""), nil), proofs.Refused, "deposit-refused receipts/0002.tlog-proof"},
		"other chain":       {resum(t, with("receipts/0002.tlog-proof", string(stranger.receipt(t, 2).Marshal())), nil), proofs.Refused, "prev-other receipts/0003.tlog-proof"},
		"contract":          {resum(t, files, func(m *Manifest) { m.Contract = "HT-2" }), proofs.Refused, "contract-other receipts/0001.tlog-proof"},
		"origin":            {resum(t, files, func(m *Manifest) { m.Origin = "log.example/prod/2" }), proofs.Refused, "origin-other receipts/0001.tlog-proof"},
		"count":             {resum(t, files, func(m *Manifest) { m.Count = 4 }), proofs.Refused, "missing-manifested manifest.json"},
		"count and gap":     {resum(t, files, func(m *Manifest) { m.Count, m.Missing = 4, []Range{{4, 4}} }), proofs.Undecided, ""},
		"hidden gap": {resum(t, without("receipts/0002.tlog-proof", "documents/0002-loan.pdf"), func(m *Manifest) { m.Deposits = slices.Delete(m.Deposits, 1, 2) }),
			proofs.Refused, "missing-manifested manifest.json"},
		"gap": {resum(t, without("receipts/0002.tlog-proof", "documents/0002-loan.pdf"), func(m *Manifest) {
			m.Deposits, m.Missing = slices.Delete(m.Deposits, 1, 2), []Range{{2, 2}}
		}), proofs.Undecided, ""},
		"renumbered": {resum(t, without("receipts/0002.tlog-proof", "documents/0002-loan.pdf", "receipts/0003.tlog-proof", "documents/0003-loan.pdf"), func(m *Manifest) {
			m.Deposits, m.Count = m.Deposits[:1], 1
		}), proofs.Verified, ""}, // what followed the last, nobody can see
		"document left out": {resum(t, without("documents/0002-loan.pdf"), func(m *Manifest) { m.Deposits[1].Document = "" }), proofs.Refused, "document-missing manifest.json"},
		"document of another line": {resum(t, files, func(m *Manifest) {
			m.Deposits[0].Document, m.Deposits[1].Document = m.Deposits[1].Document, m.Deposits[0].Document
		}), proofs.Refused, "line-other manifest.json"},
		"document beside":   {resum(t, append([]packed{{"documents/0009-fake.pdf", []byte("fake")}}, files...), nil), proofs.Refused, "file-stray documents/0009-fake.pdf"},
		"policy beside":     {resum(t, append([]packed{{"policies/" + sum("x"), []byte("fake")}}, files...), nil), proofs.Refused, "file-stray policies/"},
		"something else":    {resum(t, append([]packed{{"later/0001.pdf", []byte("fake")}}, files...), nil), proofs.Verified, ""},
		"another policy":    {resum(t, with("policy", policyOf(t, ed25519.NewKeyFromSeed(make([]byte, 32))).String()), nil), proofs.Verified, ""},
		"unknown field":     {resum(t, files, func(m *Manifest) { m.Format = "muniment/bundle@v2" }), proofs.Refused, "manifest-malformed manifest.json"},
		"files elsewhere":   {resum(t, files, func(m *Manifest) { m.Files["../x"] = Sum{0, sum("")} }), proofs.Refused, "manifest-malformed manifest.json"},
		"number twice":      {resum(t, files, func(m *Manifest) { m.Deposits = append(m.Deposits, m.Deposits[2]) }), proofs.Refused, "manifest-malformed manifest.json"},
		"longer than it is": {resum(t, files, func(m *Manifest) { m.Files["documents/0001-loan.pdf"] = Sum{1, sum("first")} }), proofs.Refused, "file-damaged documents/0001-loan.pdf"},
	} {
		r := check(t, b.data, &c.policy)
		if r.Outcome() != b.outcome || !strings.Contains(names(r), b.names) || b.names == "" && len(r.Findings) > 0 {
			t.Errorf("%s: %v, %s", what, r.Outcome(), names(r))
		}
		switch x := r.Explain(proofs.English); {
		case what == "something else" && (len(r.Unchecked) != 1 || !strings.Contains(fmt.Sprint(x.NotProved), "later/0001.pdf")),
			what == "another policy" && !r.Another,
			what == "gap" && (!slices.Equal(r.Missing, []Range{{2, 2}}) || !strings.Contains(x.Verdict, "2")):
			t.Errorf("%s: %+v %+v", what, r, x)
		}
	}
}

// TestDamagedZip: every byte of a small bundle changed is refused, is no bundle any more, or
// is a byte that says nothing, such as a date.
func TestDamagedZip(t *testing.T) {
	c := newCase(t, "HT-1", "first", "")
	data := c.write(t, "HT-1")
	want := check(t, data, &c.policy)
	refused := 0
	for i := range data {
		bad := bytes.Clone(data)
		bad[i] ^= 0x15
		r, err := checkAt(bytes.NewReader(bad), int64(len(bad)), &c.policy)
		switch {
		case err != nil && !errors.Is(err, ErrNot) && !errors.Is(err, zip.ErrFormat):
			t.Errorf("byte %d: %v", i, err)
		case err != nil || r.Outcome() == proofs.Refused:
			refused++
		case r.Outcome() != proofs.Verified || len(r.Deposits) != len(want.Deposits) || r.Deposits[0].Evidence.DocumentSHA256 != sum("first"):
			t.Errorf("byte %d: %v %+v", i, r.Outcome(), r)
		}
	}
	if refused < len(data)*3/4 {
		t.Errorf("%d of %d refused", refused, len(data))
	}
}

// TestHostileNames: whatever a depositor calls a document, the bundle's file stays in its
// folder, and is what every system takes as a name.
func TestHostileNames(t *testing.T) {
	c := newCase(t, "HT-1")
	hostile := []string{
		"../../etc/passwd", `..\..\windows\system32`, "/root/.ssh/id", "C:evil.exe", "con", "a\u202efdp.exe", "line\nbreak", "", ".", "..", " .hidden. ",
		strings.Repeat("长", 400) + ".pdf", "x." + strings.Repeat("y", 300), "<script>", "贷款合同（副本）.pdf", "a|b?c*d", "\u2028",
	}
	for _, name := range hostile {
		c.deposit(t, "HT-1", sum(name), name, true)
		c.contents = append(c.contents, name)
	}
	var b bytes.Buffer
	w := NewWriter(&b, Case{Contract: "HT-1", Count: uint64(len(hostile)), Policy: c.policy})
	for i, name := range hostile {
		must(t, w.Add(Deposit{Number: uint64(i + 1), Receipt: c.receipt(t, i+1), Document: strings.NewReader(name)}))
	}
	must(t, w.Close())
	seen := map[string]bool{}
	for _, f := range unpack(t, b.Bytes()) {
		folder, name, _ := strings.Cut(f.name, "/")
		if !safe(f.name) || len(f.name) > 255 || seen[strings.ToLower(f.name)] || strings.ContainsFunc(f.name, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("%q", f.name)
		}
		if folder == "documents" && filepath.Clean(filepath.Join("x", f.name)) != "x/documents/"+name {
			t.Errorf("%q leaves its folder", f.name)
		}
		seen[strings.ToLower(f.name)] = true
	}
	if r := check(t, b.Bytes(), &c.policy); r.Outcome() != proofs.Verified {
		t.Errorf("%v %s", r.Outcome(), names(r))
	}
	for _, bad := range []string{"../x", "/x", "x/", "a/b/c", `a\b`, "a:b", ".x", "x.", " x", "x ", "", "a//b", "documents/..", "\xff"} {
		if safe(bad) {
			t.Errorf("%q passes for safe", bad)
		}
	}
}

func FuzzFileName(f *testing.F) {
	f.Add("../x")
	f.Fuzz(func(t *testing.T, s string) {
		if name := "0001-" + s; FileName(FileName(name)) != FileName(name) || !safe("documents/"+FileName(name)) {
			t.Errorf("%q becomes %q", name, FileName(name))
		}
	})
}

// TestWrongDocument: a document that is not its receipt's gets into no bundle.
func TestWrongDocument(t *testing.T) {
	c := newCase(t, "HT-1", "first")
	w := NewWriter(io.Discard, Case{Contract: "HT-1", Count: 1, Policy: c.policy})
	if err := w.Add(Deposit{Number: 1, Receipt: c.receipt(t, 1), Document: strings.NewReader("other")}); !errors.Is(err, ErrDocument) {
		t.Error(err)
	}
}

// heap runs work and returns the most that the heap had meanwhile, beyond what it had before.
func heap(work func()) int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	before := int64(m.HeapInuse)
	var most atomic.Int64
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			case <-time.After(20 * time.Millisecond):
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				most.Store(max(most.Load(), int64(m.HeapInuse)-before))
			}
		}
	}()
	work()
	close(stop)
	<-stopped
	return most.Load()
}

// nothing is a document of holes.
type nothing struct{}

// Read implements io.Reader.
func (nothing) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// TestLargeCase: a case of 5 GiB, with one document beyond 4 GiB, is written and checked in
// little memory.
func TestLargeCase(t *testing.T) {
	const large, small = 4<<30 + 1<<20, 512 << 20
	digest := func(n int64) string {
		h := sha256.New()
		_, err := io.Copy(h, io.LimitReader(nothing{}, n))
		must(t, err)
		return hex.EncodeToString(h.Sum(nil))
	}
	c := newCase(t, "HT-1")
	sizes := []int64{small, large, small}
	for _, n := range sizes {
		c.deposit(t, "HT-1", digest(n), "large.bin", true)
	}
	f, err := os.Create(filepath.Join(t.TempDir(), "bundle.zip"))
	must(t, err)
	defer f.Close()
	to := &sparse{f: f}
	begun := time.Now()
	used := heap(func() {
		w := NewWriter(to, Case{Contract: "HT-1", Count: 3, Policy: c.policy, Page: []byte("<!doctype html>")})
		for i, n := range sizes {
			must(t, w.Add(Deposit{Number: uint64(i + 1), Receipt: c.receipt(t, i+1), Document: io.LimitReader(nothing{}, n)}))
		}
		must(t, w.Close())
	})
	t.Logf("%d bytes written in %s with %d KiB of heap", to.size, time.Since(begun), used>>10)
	if used > 32<<20 || to.size < 5<<30 {
		t.Errorf("%d MiB of heap for %d bytes", used>>20, to.size)
	}
	begun = time.Now()
	used = heap(func() {
		r, err := checkAt(f, to.size, &c.policy)
		must(t, err)
		if r.Outcome() != proofs.Verified || len(r.Deposits) != 3 {
			t.Errorf("%v %s", r.Outcome(), names(r))
		}
	})
	t.Logf("checked in %s with %d KiB of heap", time.Since(begun), used>>10)
	if used > 32<<20 {
		t.Errorf("%d MiB of heap to check", used>>20)
	}
}

// TestEveryDifferenceHasWords: in both languages, with the same to fill in.
func TestEveryDifferenceHasWords(t *testing.T) {
	for what, p := range differences {
		f := Finding{What: what, File: "FILE", Args: []string{"ONE", "TWO"}}
		for _, lang := range []proofs.Language{proofs.English, proofs.Chinese} {
			if s := f.Say(lang); what != DepositRefused && strings.Contains(s, "%!(NOVERB") || strings.Contains(s, "MISSING") {
				t.Errorf("%s: %s", what, s)
			}
		}
		for _, verb := range []string{"%[1]s", "%[2]s", "%[3]s"} {
			if strings.Contains(p.en, verb) != strings.Contains(p.zh, verb) {
				t.Errorf("%s fills in other things", what)
			}
		}
	}
	source, err := os.ReadFile("words.go")
	must(t, err)
	if n := strings.Count(string(source), " Difference = \""); n != len(differences) {
		t.Errorf("%d differences, %d of them in words", n, len(differences))
	}
}
