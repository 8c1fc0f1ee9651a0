package certificate

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"encoding/json"
	"errors"
	"image"
	"image/color"
	"image/png"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/proofs/rfc3161"
	"github.com/muniment/muniment/proofs/rfc3161/rfc3161test"
)

const origin = "depository.example/prod/1"

var (
	languages = []Language{English, Chinese, Both}
	profiles  = []Profile{Plain, PRC, FRE}
)

func soon() time.Time { return begun.Add(time.Hour) }

// TestSameInputSameBytes: certificates are made of their input alone, and a change in any
// part of it changes number and bytes.
func TestSameInputSameBytes(t *testing.T) {
	h := newHouse(origin, "court.example/witness")
	a, client := authority(t, soon)
	h.stamps = a
	in := input(h, 40)
	key, certs := chain(t, false)
	signer := must(NewSigner(key, certs, client))
	in.Signer = signer.Signed()
	first := must(Make(in))
	before := bytes.Clone(first.PDF)
	must(signer.Sign(t.Context(), first, in.Issued))
	if bytes.Equal(before, first.PDF) {
		t.Fatal("a signature changes nothing")
	}
	second := must(Make(in))
	if second.Number != first.Number || !bytes.Equal(second.PDF, before) {
		t.Error("the same input, and other bytes")
	}
	seen := map[string]bool{first.Number: true}
	for what, change := range map[string]func(*Input){
		"time":      func(in *Input) { in.Issued = in.Issued.Add(time.Second) },
		"language":  func(in *Input) { in.Language = Chinese },
		"profile":   func(in *Input) { in.Profile = PRC },
		"url":       func(in *Input) { in.VerifyURL += "2" },
		"statement": func(in *Input) { in.Statement = "x" },
		"standing":  func(in *Input) { in.Standing.State = "held" },
		"signer":    func(in *Input) { in.Signer = nil },
		"facts":     func(in *Input) { in.Facts = nil },
		"document":  func(in *Input) { in.Document = []byte(contract) },
		"policy":    func(in *Input) { in.Policy = append([]byte("# another\n"), in.Policy...) },
		"logo":      func(in *Input) { in.Logo = logoPNG(4, 4) },
	} {
		other := in
		change(&other)
		made, err := Make(other)
		if err != nil {
			t.Errorf("%s: %v", what, err)
			continue
		}
		if seen[made.Number] || bytes.Equal(made.PDF, before) {
			t.Errorf("%s: another input, and the same number or bytes", what)
		}
		seen[made.Number] = true
	}
}

// TestTemplateIsPinned: what a template prints may never change, since a certificate is
// checked by printing it again. Who changes this must raise Template.
func TestTemplateIsPinned(t *testing.T) {
	if Template != 1 {
		t.Fatal("pin the new template here")
	}
	pinned := map[string]string{}
	data, err := os.ReadFile("testdata/pinned.json")
	if err == nil {
		err = json.Unmarshal(data, &pinned)
	}
	if err != nil {
		t.Error(err)
	}
	got := map[string]string{}
	for _, size := range []int{3, 20} {
		for _, lang := range languages {
			for _, profile := range profiles {
				h := newHouse(origin, "court.example/witness")
				in := input(h, size)
				in.Language, in.Profile, in.Statement = lang, profile, "We state it."
				in.Standing.State, in.Standing.Matters = "held", []string{"(2026)京01号"}
				in.Standing.Acts = []Act{{7, begun, "hold", "(2026)京01号"}}
				in.Logo = logoPNG(60, 20)
				got[string(lang)+" "+string(profile)+" "+number(size)] = digest(string(must(Make(in)).PDF))
			}
		}
	}
	for _, lang := range languages {
		in := erasure(newHouse(origin))
		in.Language = lang
		got[string(lang)+" erasure"] = digest(string(must(Make(in)).PDF))
	}
	for _, lang := range languages {
		h := newHouse(origin)
		in := input(h, 3)
		h.addRecord(proofs.KindDeposit, signedRecord())
		in.Receipt, in.Facts, in.Language = h.receipt(3), nil, lang
		got[string(lang)+" signed"] = digest(string(must(Make(in)).PDF))
	}
	for name, sum := range got {
		if pinned[name] != sum {
			t.Errorf("%s is printed otherwise than it was", name)
		}
	}
	if os.Getenv("PIN") != "" {
		out, _ := json.MarshalIndent(got, "", "  ")
		_ = os.MkdirAll("testdata", 0o755)
		_ = os.WriteFile("testdata/pinned.json", append(out, '\n'), 0o644)
	}
}

// erasure is a certificate's input, of a deposit that was erased.
func erasure(h *house) Input {
	in := input(h, 5)
	index := h.add(proofs.KindNotice, map[string]any{
		"id": "01a207e1-1ad7-7c9c-9a9e-b149fa06f929", "tenant.name": "示范银行股份有限公司", "notice.act": "erasure", "notice.deposit": in.Standing.Deposit, "notice.index": 2, "notice.leaf": digest("leaf"),
		"notice.matter": "(2026)京01号", "notice.reason": "保存期限届满", "notice.by": "key:0123456789abcdef", "notice.asked": "01a207e1-1ad7-7c9c-9a9e-b149fa06f928", "provenance.received": "2026-11-23T10:08:42.711Z",
	})
	in.Receipt, in.Facts = h.receipt(index), h.receipt(1)
	in.Standing.State, in.Standing.Acts = "erased", []Act{{4, begun, "erasure-asked", ""}, {5, begun, "erasure", ""}}
	return in
}

func logoPNG(w, h int) []byte {
	img := image.NewNRGBA(image.Rect(0, 0, w, h))
	for x := range w {
		for y := range h {
			img.Set(x, y, color.NRGBA{uint8(x * 3), 60, 120, uint8(255 - y)})
		}
	}
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		panic(err)
	}
	return b.Bytes()
}

// TestRefusedInput: nothing is certified that does not verify, and no input that cannot be
// printed again.
func TestRefusedInput(t *testing.T) {
	h := newHouse(origin)
	good := input(h, 10)
	must(Make(good))
	odd := good
	odd.Statement = "\ufffd <&> \u2028 \\ufffd"
	must(Check(must(Make(odd)).PDF, nil))
	other := newHouse(origin)
	other.key = private("another log")
	for what, c := range map[string]struct {
		change func(*Input)
		want   error
	}{
		"another log's policy": {func(in *Input) { in.Policy = newHouse("other.example/prod/1").policy() }, ErrNotProved},
		"a quorum that is not": {func(in *Input) { in.Policy = newHousePolicy(h, "court.example/witness") }, ErrNotProved},
		"another document":     {func(in *Input) { in.Document = []byte("another") }, ErrNotProved},
		"a tampered receipt": {func(in *Input) {
			in.Receipt = bytes.Replace(in.Receipt, []byte("\nindex 2\n"), []byte("\nindex 3\n"), 1)
		}, ErrNotProved},
		"no receipt":             {func(in *Input) { in.Receipt = nil }, ErrInput},
		"no policy":              {func(in *Input) { in.Policy = []byte("x") }, ErrInput},
		"no roots":               {func(in *Input) { in.Roots = []byte("x") }, ErrInput},
		"a deposit for a sheet":  {func(in *Input) { in.Facts = in.Receipt }, ErrInput},
		"no sheet":               {func(in *Input) { in.Facts = []byte("x") }, ErrInput},
		"a language":             {func(in *Input) { in.Language = "fr" }, ErrInput},
		"a profile":              {func(in *Input) { in.Profile = "x" }, ErrInput},
		"a template":             {func(in *Input) { in.Template = 99 }, ErrInput},
		"a fraction of a second": {func(in *Input) { in.Issued = in.Issued.Add(1) }, ErrInput},
		"a zone":                 {func(in *Input) { in.Issued = in.Issued.In(beijing) }, ErrInput},
		"a state":                {func(in *Input) { in.Standing.State = "proved true" }, ErrInput},
		"a long statement":       {func(in *Input) { in.Statement = strings.Repeat("x", maxStatement+1) }, ErrInput},
		"what is no text":        {func(in *Input) { in.Statement = "a\xffb" }, ErrInput},
		"endless matters": {func(in *Input) {
			in.Standing.Matters = make([]string, 1)
			in.Standing.Matters[0] = strings.Repeat("x", maxTexts+1)
		}, ErrInput},
		"a long URL":      {func(in *Input) { in.VerifyURL = strings.Repeat("x", maxURL+1) }, ErrInput},
		"a logo":          {func(in *Input) { in.Logo = []byte("x") }, ErrInput},
		"a wide logo":     {func(in *Input) { in.Logo = logoPNG(maxLogoWidth+1, 1) }, ErrInput},
		"a long document": {func(in *Input) { in.Document = make([]byte, MaxDocument+1) }, ErrInput},
	} {
		in := good
		c.change(&in)
		if _, err := Make(in); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func newHousePolicy(h *house, witness string) []byte {
	with := *h
	with.witnesses = []string{witness}
	return with.policy()
}

// hostile is text that would turn, hide, overlay or break out of what stands beside it.
var hostile = map[string]string{
	"controls":      "a\x01b\tc\nd\re\x7ff",
	"right to left": "contract\u202Egpj.exe\u202C",
	"isolates":      "\u2066x\u2069\u200F\u200E\u061C",
	"Arabic":        "عقد القرض",
	"Hebrew":        "חוזה",
	"Thai":          "สัญญา",
	"emoji":         "🏦💰",
	"rare Han":      "\U0002A6D6\U00020BB7",
	"overlays":      "Z͑ͫ̓ͪ̂ͫ̽͏̴̙̤̞͉͚̯̞̠͍A",
	"zero width":    "a\u200bb\u200dc\ufeffd",
	"PDF":           "(x) Tj ET\\) >> endobj stream\nendstream [U+202E]",
	"private use":   "\ue000\uf8ff",
	"long":          strings.Repeat("很长的名称 long name ", 450),
	"long word":     strings.Repeat("W", 10<<10),
	"long turn":     strings.Repeat("\u202e", 3400),
	"long mixture":  strings.Repeat("\u202eA\u0301", 1600),
}

// TestHostileNames: whatever stands in a record is printed whole, in its place and in order,
// or as its code points, and the certificate verifies.
func TestHostileNames(t *testing.T) {
	for what, name := range hostile {
		t.Run(what, func(t *testing.T) {
			h := newHouse(origin)
			add := members
			members = with(map[string]any{"content.name": name})
			in := input(h, 20)
			members = add
			if len(name) < 200 {
				in.Statement = name
			}
			in.Language = Both
			c, err := Make(in)
			if err != nil {
				t.Fatal(err)
			}
			if len(c.PDF) > MaxFile {
				t.Errorf("it has %d bytes", len(c.PDF))
			}
			for _, r := range runs(t, c.PDF) {
				if strings.ContainsFunc(r.text, func(r rune) bool { return !drawn(r) }) {
					t.Errorf("%q is drawn", r.text)
				}
			}
			if _, err := Check(c.PDF, nil); err != nil {
				t.Error(err)
			}
			count := 0
			for _, cell := range cells(name) {
				if cell.escape == "" {
					if !drawn(cell.r) {
						t.Errorf("%q is drawn", cell.r)
					}
					count++
					continue
				}
				n := 1
				if m := regexp.MustCompile(`×(\d+)\]$`).FindStringSubmatch(cell.escape); m != nil {
					_ = json.Unmarshal([]byte(m[1]), &n)
				}
				count += n
			}
			if count != utf8.RuneCountInString(name) {
				t.Errorf("%d of %d characters are printed", count, utf8.RuneCountInString(name))
			}
			for _, width := range []int{valueWidth, labelWidth, 20 * pt} {
				printed := 0
				for _, line := range wrap(name, styleBody.size, width) {
					if w := widthOf(line, styleBody.size); w > width && len(line) > 1 {
						t.Errorf("a line of %d in a column of %d", w, width)
					}
					printed += len(line)
				}
				if spaces := strings.Count(name, " "); printed+spaces < len(cells(name)) {
					t.Errorf("%d of %d cells are printed", printed, len(cells(name)))
				}
			}
		})
	}
}

// TestLanguagesAreComplete: every phrase is in both languages, with the same verbs, and the
// font has every character of both.
func TestLanguagesAreComplete(t *testing.T) {
	source := regexp.MustCompile(`\{"((?:[^"\\]|\\.)+)", "((?:[^"\\]|\\.)+)"\}`)
	verb := regexp.MustCompile(`%(\[\d\])?[sd]`)
	found := 0
	for _, name := range []string{"words.go", "wordsprc.go", "issue.go"} {
		text := regexp.MustCompile(`\{\s+"`).ReplaceAllString(string(must(os.ReadFile(name))), `{"`)
		text = regexp.MustCompile(`",\s+("[^\n]*),\s+\}`).ReplaceAllString(text, `", $1}`)
		for _, m := range source.FindAllStringSubmatch(text, -1) {
			found++
			if len(verb.FindAllString(m[1], -1)) != len(verb.FindAllString(m[2], -1)) {
				t.Errorf("the verbs of %q and %q differ", m[1], m[2])
			}
			if m[1] == m[2] || !regexp.MustCompile(`\p{Han}`).MatchString(m[2]) || regexp.MustCompile(`\p{Han}`).MatchString(m[1]) {
				t.Errorf("%q and %q are not in both languages", m[1], m[2])
			}
			for _, r := range m[1] + m[2] {
				if !drawn(r) {
					t.Errorf("%q of our own words is not drawn", r)
				}
			}
		}
	}
	if found < 120 {
		t.Errorf("%d phrases were looked at", found)
	}
}

// TestLocalForms: times have a zone, and numbers and dates the form of the language.
func TestLocalForms(t *testing.T) {
	m := moment(time.Date(2026, 12, 31, 16, 5, 6, 7e6, time.UTC))
	if m.en != "31 December 2026, 16:05:06.007 UTC" || m.zh != "2027年1月1日 00:05:06.007（北京时间 UTC+08:00）" {
		t.Errorf("%q", m)
	}
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", 177324: "177,324", -1234567: "-1,234,567"} {
		if got := number(n); got != want {
			t.Errorf("%d is printed %s", n, got)
		}
	}
	for n, want := range map[string]string{"110101199003071234": "1101**********1234", "12345678": "12****78", "123": "***", "": "", "张三丰的身份证号码一二三四": "张三丰的*****一二三四"} {
		if got := masked(n); got != want {
			t.Errorf("%s is masked as %s", n, got)
		}
	}
}

// TestPath: the picture's nodes are those that verification comes to, for every entry of
// trees of every size.
func TestPath(t *testing.T) {
	h := newHouse(origin)
	h.fill(40)
	for size := 1; size <= len(h.entries); size++ {
		for index := range size {
			path, root := h.path(index, 0, size), h.root(0, size)
			steps := way(path, uint64(index), uint64(size), h.entries[index].LeafHash())
			last := h.entries[index].LeafHash()
			for _, s := range steps {
				if s.node != last {
					t.Fatalf("entry %d of %d: a node is not the one that the step below gives", index, size)
				}
				if last = proofs.NodeHash(s.node, s.sibling); s.left {
					last = proofs.NodeHash(s.sibling, s.node)
				}
			}
			if last != root {
				t.Fatalf("entry %d of %d: the path leads elsewhere", index, size)
			}
		}
	}
}

// signed is a signed certificate with all that one can hold, and the roots of its authority.
func signed(t testing.TB, rsaKey bool) (pdf []byte, in Input, roots *rfc3161.Authorities) {
	t.Helper()
	a, client := authority(t, soon)
	h := newHouse(origin, "court.example/witness")
	h.stamps = a
	in = input(h, 20)
	in.Document, in.Logo = []byte(contract), logoPNG(20, 10)
	key, certs := chain(t, rsaKey)
	signer := must(NewSigner(key, certs, client))
	in.Signer = signer.Signed()
	pdf = must(signer.Sign(t.Context(), must(Make(in)), in.Issued))
	return pdf, in, rfc3161.NewAuthorities(must(rfc3161.ParseRoots(rfc3161test.RootsPEM(a))))
}

// TestExtracted: what was put in comes out, byte for byte, and the receipt in the PDF verifies
// under the verifier's own policy.
func TestExtracted(t *testing.T) {
	pdf, in, roots := signed(t, true)
	c, err := Check(pdf, roots)
	if err != nil {
		t.Fatal(err)
	}
	for what, pair := range map[string][2][]byte{
		"receipt": {c.Receipt, in.Receipt}, "policy": {c.Policy, in.Policy}, "roots": {c.Roots, in.Roots},
		"facts": {c.Facts, in.Facts}, "document": {c.Document, in.Document}, "logo": {c.Logo, in.Logo},
	} {
		if !bytes.Equal(pair[0], pair[1]) {
			t.Errorf("%s comes out as another", what)
		}
	}
	e, err := proofs.NewVerifier(must(proofs.ParsePolicy(in.Policy))).Verify(must(proofs.ParseReceipt(c.Receipt)), bytes.NewReader(c.Document))
	if err != nil || e.Outcome() != proofs.Verified || e.Document != proofs.DocumentMatches {
		t.Errorf("%v %v", e.Outcome(), err)
	}
	if s := c.Signature; s == nil || s.Subject != "示范电子存证中心 (Example Evidence Centre)" || !s.Dated || s.Authority != "Trusted Time (Trusted Time Ltd)" || s.Time.IsZero() {
		t.Errorf("%+v", c.Signature)
	}
	if c, err := Check(pdf, nil); err != nil || !c.Signature.Time.IsZero() {
		t.Errorf("dated by the certificate's own word: %v", err)
	}
}

// TestAlteredCertificates: of a signed certificate no byte can be changed, left out or added
// unnoticed.
func TestAlteredCertificates(t *testing.T) {
	pdf, _, roots := signed(t, false)
	every := 499
	if os.Getenv("MUNIMENT_TORTURE") != "" {
		every = 1
	}
	at := bytes.LastIndex(pdf, []byte("/Contents<")) + len("/Contents<")
	places := map[int]bool{at - 1: true, at: true, at + 2*reserved - 1: true, at + 2*reserved: true, len(pdf) - 1: true, 0: true}
	for i := 0; i < len(pdf); i += every {
		places[i] = true
	}
	for i := range 400 { // the head of the signature, closely
		places[at+i*13] = true
	}
	for i := range places {
		other := bytes.Clone(pdf)
		other[i] ^= []byte{0x01, 0x20}[i/7%2]
		if c, err := Check(other, roots); err == nil {
			t.Fatalf("byte %d changed to %q, and %s holds", i, other[i-min(i, 5):i+1], c.Number)
		}
	}
	for what, other := range map[string][]byte{
		"cut": pdf[:len(pdf)-1], "longer": append(bytes.Clone(pdf), '\n'), "half": pdf[:len(pdf)/2], "empty": {},
		"another update": append(bytes.Clone(pdf), pdf[bytes.LastIndex(pdf, []byte("xref\n")):]...),
	} {
		if _, err := Check(other, roots); err == nil {
			t.Errorf("%s, and it holds", what)
		}
	}
}

// TestDifferencesAreNamed: who altered a certificate learns which part gave them away.
func TestDifferencesAreNamed(t *testing.T) {
	pdf, in, roots := signed(t, false)
	replace := func(old, with string) []byte {
		if !bytes.Contains(pdf, []byte(old)) || len(old) != len(with) {
			t.Fatalf("%q is not in it", old)
		}
		return bytes.Replace(pdf, []byte(old), []byte(with), 1)
	}
	for _, c := range []struct {
		what  string
		other []byte
		where string
	}{
		{"a printed line", replace("BT /F 25 Tf", "BT /F 24 Tf"), "what is printed on page 1"},
		{"metadata", replace("<xmp:CreatorTool>Muniment", "<xmp:CreatorTool>muniment"), "the metadata"},
		{"the outlines", replace("+WenQuanYiMicroHei/Flags 4", "+WenQuanYiMicroHei/Flags 5"), "the font"},
		{"the logo's file", replace("IEND\xaeB\x60\x82", "IEND\xaeB\x60\x83"), "the embedded file logo.png"},
		{"the statement of standing", replace(`"state": "kept"`, `"state": "held"`), "the embedded file certificate.json"},
		{"the policy's file", replace("quorum g\n", "quorum g\r"), "the embedded file policy"},
		{"the document's file", replace(contract, strings.ToUpper(contract[:len(contract)-1])+"\t"), ""},
	} {
		_, err := Check(c.other, roots)
		different := new(DifferenceError)
		switch {
		case err == nil:
			t.Errorf("%s: it holds", c.what)
		case errors.As(err, &different) && different.Where(proofs.English) != c.where:
			t.Errorf("%s: named as %q", c.what, different.Where(proofs.English))
		case c.where != "" && !errors.As(err, &different):
			t.Errorf("%s: %v", c.what, err)
		}
	}
	if _, err := Check(replaceWithin(pdf, in.Receipt, "\nindex 2\n", "\nindex 1\n"), roots); !errors.Is(err, ErrNotProved) {
		t.Errorf("a tampered receipt: %v", err)
	}
}

func replaceWithin(pdf, file []byte, old, with string) []byte {
	return bytes.Replace(pdf, file, bytes.Replace(file, []byte(old), []byte(with), 1), 1)
}

// TestForgedSignatures: a signature must be over this file, by the one it names, and bear the
// time-stamp that it promises.
func TestForgedSignatures(t *testing.T) {
	pdf, in, roots := signed(t, false)
	key, certs := chain(t, false)
	_, client := authority(t, soon)
	put := func(m message) []byte {
		made := must(Make(in))
		copy(made.PDF[made.from+1:], []byte(hexOf(m.marshal())))
		return made.PDF
	}
	made := must(Make(in))
	honest := must(parseMessage(must2(element(mustHex(pdf[made.from+1:made.to-1]))), made.digest(pdf)))
	stranger := honest
	stranger.chain = certs
	stranger.signature = must(key.Sign(rand.Reader, sum(asSet(signedAttributes(honest.digest, certs[0].Raw))), crypto.SHA256))
	bare := honest
	bare.token = nil
	restamped := honest
	restamped.token = must(client.Timestamp(t.Context(), []byte("something else")))
	swapped := honest
	swapped.signature = stranger.signature
	if _, err := Check(put(honest), roots); err != nil {
		t.Fatal(err)
	}
	for what, m := range map[string]message{"a namesake's": stranger, "without its time-stamp": bare, "with another time-stamp": restamped, "another's value": swapped} {
		if _, err := Check(put(m), roots); !errors.Is(err, ErrSignature) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for _, c := range []struct {
		what  string
		wrong func() (*Signer, error)
	}{
		{"no chain", func() (*Signer, error) { return NewSigner(key, nil) }},
		{"another's chain", func() (*Signer, error) { return NewSigner(private("x"), certs) }},
		{"a chain out of order", func() (*Signer, error) { return NewSigner(key, []*x509Certificate{certs[0], certs[2]}) }},
	} {
		if _, err := c.wrong(); !errors.Is(err, ErrSigner) {
			t.Errorf("%s: %v", c.what, err)
		}
	}
	late := must(NewSigner(key, certs))
	if _, err := late.Sign(t.Context(), must(Make(in)), begun.AddDate(6, 0, 0)); !errors.Is(err, ErrSigner) {
		t.Errorf("an ended certificate signs: %v", err)
	}
	away := must(NewSigner(key, certs, awayAuthority{}))
	if _, err := away.Sign(t.Context(), must(Make(in)), in.Issued); !errors.Is(err, ErrNotDated) {
		t.Errorf("no authority answers: %v", err)
	}
	second := must(NewSigner(key, certs, awayAuthority{}, client))
	if _, err := second.Sign(t.Context(), must(Make(in)), in.Issued); err != nil {
		t.Errorf("the second authority answers: %v", err)
	}
}
