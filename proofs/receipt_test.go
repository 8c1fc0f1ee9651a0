package proofs

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

func mustParse(t testing.TB, data []byte) Receipt {
	t.Helper()
	r, err := ParseReceipt(data)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestReceiptRoundTrip(t *testing.T) {
	l := newTestLog(testOrigin)
	i := loan(l)
	l.deposit("other")
	full := l.receipt(i, 3, "w1.example", "w2.example")
	hidden := full
	hidden.Disclosures = Hide(full.Disclosures, func(name string) bool { return strings.HasPrefix(name, "party.") })
	stamped := hidden
	stamped.Timestamps = [][]byte{{0x30, 0x00}, {0x30, 0x01, 0x00}}
	genesis := l.receipt(0, 1)
	for _, r := range []Receipt{full, hidden, stamped, genesis} {
		data := r.Marshal()
		again := mustParse(t, data)
		if !bytes.Equal(again.Marshal(), data) || !reflect.DeepEqual(again, normal(r)) {
			t.Errorf("a receipt does not read itself:\n%s", data)
		}
	}
	if v, ok := mustParse(t, hidden.Marshal()).Member("party.0.name"); ok {
		t.Error("a hidden member shows", v)
	}
	if v, ok := hidden.Member("terms.amount"); !ok || v != text("50000.00") {
		t.Error("terms.amount is", v)
	}
	if n := len(hidden.Record()); n != len(full.Record())-2 {
		t.Errorf("%d members are shown", n)
	}
}

// normal is r with empty lists as a parser leaves them.
func normal(r Receipt) Receipt {
	if len(r.Path) == 0 {
		r.Path = nil
	}
	return r
}

// TestEveryChangeOfAMinimalReceiptIsRefused is I17: each byte replaced by every other,
// taken out, doubled, each byte put in at each place, neighbours swapped.
func TestEveryChangeOfAMinimalReceiptIsRefused(t *testing.T) {
	r, policy := minimal()
	data := r.Marshal()
	v := NewVerifier(policy)
	if e, _ := v.Verify(mustParse(t, data), strings.NewReader("loan 1")); e.Outcome() != Verified {
		t.Fatal("the receipt itself:", e.Reason)
	}
	attempts, parsed, accepted := 0, 0, 0
	try := func(what string, at int, changed []byte) {
		attempts++
		if bytes.Equal(changed, data) {
			return
		}
		r, err := ParseReceipt(changed)
		if err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Errorf("%s at %d: %v", what, at, err)
			}
			return
		}
		parsed++
		e, err := v.Verify(r, strings.NewReader("loan 1"))
		if err != nil || e.Outcome() != Refused || e.Level != "" {
			accepted++
			t.Errorf("%s at %d: %s, %v:\n%s", what, at, e.Outcome(), err, changed)
		}
	}
	for i := range data {
		for b := range 256 {
			changed := bytes.Clone(data)
			changed[i] = byte(b)
			try("replaced", i, changed)
			if torture || strings.IndexByte("\n\r\x00 =A09+/\"\\—", byte(b)) >= 0 {
				try("inserted", i, slices.Insert(bytes.Clone(data), i, byte(b)))
			}
		}
		try("deleted", i, slices.Delete(bytes.Clone(data), i, i+1))
		try("doubled", i, slices.Insert(bytes.Clone(data), i, data[i]))
		try("cut", i, bytes.Clone(data[:i]))
		if i > 0 {
			swapped := bytes.Clone(data)
			swapped[i], swapped[i-1] = data[i-1], data[i]
			try("swapped", i, swapped)
		}
	}
	for b := range 256 {
		try("appended", len(data), append(bytes.Clone(data), byte(b)))
	}
	try("doubled", 0, append(bytes.Clone(data), data...))
	t.Logf("%d attempts, %d of them read as receipts, %d accepted", attempts, parsed, accepted)
}

// TestChangedExtraDataIsRefused changes each byte of the decoded extra data, which
// the test above reaches only through base64.
func TestChangedExtraDataIsRefused(t *testing.T) {
	r, policy := minimal()
	v := NewVerifier(policy)
	extra, attempts := r.extra(), 0
	head, tail := []byte(receiptHeader+"\nextra "), r.Marshal()
	tail = tail[bytes.Index(tail, []byte("\nindex ")):]
	for i := range extra {
		for b := range 256 {
			if byte(b) == extra[i] {
				continue
			}
			for _, changed := range [][]byte{slices.Replace(bytes.Clone(extra), i, i+1, byte(b)), slices.Insert(bytes.Clone(extra), i, byte(b))} {
				attempts++
				file := append(base64.StdEncoding.AppendEncode(bytes.Clone(head), changed), tail...)
				r, err := ParseReceipt(file)
				if err != nil || bytes.Equal(changed, extra) {
					continue
				}
				if e, err := v.Verify(r, nil); err != nil || e.Outcome() != Refused {
					t.Errorf("byte %d: %s is %s, %v", i, changed, e.Outcome(), err)
				}
			}
		}
	}
	t.Logf("%d attempts", attempts)
}

// TestNoChangeProvesMore is I17 for a receipt with more in it than its policy needs: a
// change is refused, or the evidence says the same but for what is ignored anyway.
func TestNoChangeProvesMore(t *testing.T) {
	l := newTestLog(testOrigin)
	i := loan(l)
	l.deposit("other")
	policy := l.policy(witnessLine("A", "w1"), witnessLine("B", "w2"), "group G any A B", "quorum G")
	r := l.receipt(i, 3, "w1", "w2", "stranger")
	r.Disclosures = Hide(r.Disclosures, func(name string) bool { return strings.HasPrefix(name, "party.") })
	r.Timestamps = [][]byte{{0x30, 0x00}}
	data, v := r.Marshal(), NewVerifier(policy)
	want, _ := v.Verify(r, strings.NewReader("借款合同第 7 号"))
	wantOutcome(t, want, Verified, "")
	attempts, same := 0, 0
	try := func(changed []byte) {
		attempts++
		r, err := ParseReceipt(changed)
		if err != nil {
			return
		}
		e, _ := v.Verify(r, strings.NewReader("借款合同第 7 号"))
		if e.Outcome() == Refused && e.Level == "" {
			return
		}
		same++
		e.Unknown, e.Untrusted = want.Unknown, want.Untrusted
		// One of two witnesses is enough: a change may make a stranger of the other.
		if len(e.Signatures) == len(want.Signatures)-1 {
			e.Signatures, e.Quorum = want.Signatures, want.Quorum
		}
		if !reflect.DeepEqual(e, want) {
			t.Errorf("other evidence:\n%+v\nof\n%s", e, changed)
		}
	}
	masks := []byte{0x01, 0x20}
	if torture {
		masks = masks[:0]
		for m := 1; m < 256; m++ {
			masks = append(masks, byte(m))
		}
	}
	for at := range data {
		for _, mask := range masks {
			changed := bytes.Clone(data)
			changed[at] ^= mask
			try(changed)
		}
		try(slices.Delete(bytes.Clone(data), at, at+1))
	}
	t.Logf("%d attempts, %d of them with the same evidence", attempts, same)
}

// withExtra is the minimal receipt's file with other extra data.
func withExtra(extra string) []byte {
	r, _ := minimal()
	data := string(r.Marshal())
	from, to := strings.Index(data, "extra ")+len("extra "), strings.Index(data, "\nindex")
	return []byte(data[:from] + base64.StdEncoding.EncodeToString([]byte(extra)) + data[to:])
}

func TestMalformedReceipts(t *testing.T) {
	r, _ := minimal()
	data, extra := string(r.Marshal()), string(r.extra())
	change := func(old, new string) string { return strings.Replace(data, old, new, 1) }
	other := func(old, new string) string {
		changed := strings.Replace(extra, old, new, 1)
		if changed == extra {
			t.Fatalf("nothing to change in %q", old)
		}
		return string(withExtra(changed))
	}
	if string(withExtra(extra)) != data {
		t.Fatal("withExtra")
	}
	path := r.Path[0].String() + "\n"
	salt := `"` + base64.StdEncoding.EncodeToString(r.Disclosures[0].Salt[:]) + `"`
	token := func(list string) string { return other(`"timestamps":[]`, `"timestamps":[`+list+`]`) }
	disclosures := func(list string) string {
		return string(withExtra(`{"disclosures":[` + list + extra[strings.Index(extra, `],"entry"`):]))
	}
	hash := `"` + Hash{}.String() + `"`
	tooMany := `["a",` + hash + `]`
	for i := range MaxMembers {
		tooMany += fmt.Sprintf(`,["b%02d",%s]`, i, hash)
	}
	for what, s := range map[string]string{
		"empty":                     "",
		"header alone":              receiptHeader + "\n",
		"header and index":          receiptHeader + "\nindex 0\n\n",
		"version 2":                 change("@v1", "@v2"),
		"no extra line":             change("extra ", "extr "),
		"empty extra":               receiptHeader + "\nextra \nindex 1\n\n" + string(r.Checkpoint),
		"two extra lines":           change("index", "extra AAAA\nindex"),
		"line break in extra":       data[:60] + "\n" + data[60:],
		"carriage return in extra":  data[:60] + "\r" + data[60:],
		"index 01":                  change("index 1", "index 01"),
		"index +1":                  change("index 1", "index +1"),
		"index -1":                  change("index 1", "index -1"),
		"no index":                  change("index 1", "index "),
		"index 2^63":                change("index 1", "index 9223372036854775808"),
		"index and space":           change("index 1", "index 1 "),
		"hash without padding":      change(path, path[:43]+"\n"),
		"hash with trailing bits":   change(path, path[:42]+string(path[42]+1)+"=\n"),
		"65 hashes":                 change(path, strings.Repeat(path, 65)),
		"8,000 hashes":              change(path, strings.Repeat(path, 8000)),
		"many lines":                change(path, strings.Repeat("\r\n", 150_000)),
		"no blank line":             change("\n\n", "\n"),
		"no note":                   data[:strings.Index(data, "\n\n")+2],
		"note without signature":    data[:strings.LastIndex(data, "\n\n")+1],
		"CRLF":                      strings.ReplaceAll(data, "\n", "\r\n"),
		"trailing newline":          data + "\n",
		"trailing byte":             data + "x",
		"leading space":             " " + data,
		"byte order mark":           "\ufeff" + data,
		"too long":                  data + strings.Repeat("x", MaxReceipt),
		"extra null":                string(withExtra("null")),
		"extra {}":                  string(withExtra("{}")),
		"extra with space":          other(`,"entry"`, `, "entry"`),
		"extra ends in space":       string(withExtra(extra + " ")),
		"extra begins with space":   string(withExtra(" " + extra)),
		"more after extra":          string(withExtra(extra + "{}")),
		"unknown key":               other(`,"timestamps"`, `,"more":1,"timestamps"`),
		"unknown key at the end":    other(`"timestamps":[]}`, `"timestamps":[],"zone":1}`),
		"doubled key":               other(`,"timestamps":[]`, `,"timestamps":[],"timestamps":[]`),
		"no timestamps":             other(`,"timestamps":[]`, ``),
		"timestamps null":           other(`"timestamps":[]`, `"timestamps":null`),
		"timestamps a string":       other(`"timestamps":[]`, `"timestamps":""`),
		"no disclosures":            other(`{"disclosures":`, `{"disclosure":`),
		"keys in another order":     string(withExtra(`{"timestamps":[],` + strings.TrimSuffix(extra[1:], `,"timestamps":[]}`) + `}`)),
		"key escaped":               other(`"entry"`, `"\u0065ntry"`),
		"entry escaped":             other(`muniment/`, `muniment\/`),
		"entry without its newline": other(`\n",`, `",`),
		"entry null":                string(withExtra(`{"disclosures":[["a",` + hash + `]],"entry":null,"timestamps":[]}`)),
		"name escaped":              other(`"content`, `"\u0063ontent`),
		"value escaped":             other(digest("loan 1")[:4], `\u003`+digest("loan 1")[:1]+digest("loan 1")[1:4]),
		"value null":                other(`"`+digest("loan 1")+`"`, `null`),
		"value with space":          other(`"`+digest("loan 1")+`"`, ` 1`),
		"value 1.0":                 other(`"`+digest("loan 1")+`"`, `1.0`),
		"object not sorted":         other(`"`+digest("loan 1")+`"`, `{"b":1,"a":1}`),
		"empty token":               token(`""`),
		"token of spaces":           token(`" "`),
		"token twice":               token(`"MAA=","MAA="`),
		"token with trailing bits":  token(`"MAB="`),
		"token with newline":        token(`"MA\nA="`),
		"five tokens":               token(`"MAA=","MAAA","MAAB","MAAC","MAAD"`),
		"65 tokens":                 token(`"MAA="` + strings.Repeat(`,"MAA="`, 64)),
		"token a number":            token(`1`),
		"comma first":               token(`,"MAA="`),
		"comma last":                token(`"MAA=",`),
		"no members":                disclosures(``),
		"65 members":                disclosures(tooMany),
		"member twice":              disclosures(`["a",` + hash + `],["a",` + hash + `]`),
		"members not sorted":        disclosures(`["b",` + hash + `],["a",` + hash + `]`),
		"member shown and hidden":   disclosures(`["a",` + hash + `],[` + salt + `,"a",1]`),
		"bad name":                  disclosures(`["A",` + hash + `]`),
		"bad name, shown":           disclosures(`[` + salt + `,"",1]`),
		"member of one":             disclosures(`["a"]`),
		"member of four":            disclosures(`[` + salt + `,"a",1,1]`),
		"member of none":            disclosures(`[]`),
		"member an object":          disclosures(`{}`),
		"hash too short":            disclosures(`["a","AAAA"]`),
		"hash a number":             disclosures(`["a",1]`),
		"salt too short":            disclosures(`["AAAA","a",1]`),
		"salt too long":             disclosures(`[` + hash + `,"a",1]`),
		"salt without padding":      disclosures(`[` + strings.ReplaceAll(salt, "=", "") + `,"a",1]`),
		"value too deep":            disclosures(`[` + salt + `,"a",` + strings.Repeat("[", 9) + strings.Repeat("]", 9) + `]`),
		"disclosures too long":      disclosures(`[` + salt + `,"a","` + strings.Repeat("x", MaxDisclosures) + `"]`),
		"extra too long":            token(`"` + strings.Repeat("MAAA", 12_000) + `"`),
	} {
		if r, err := ParseReceipt([]byte(s)); !errors.Is(err, ErrMalformed) || !reflect.DeepEqual(r, Receipt{}) {
			t.Errorf("%s: error %v, receipt %v", what, err, r)
		}
	}
	for what, s := range map[string]string{
		"one token":             token(`"MAA="`),
		"four tokens":           token(`"MAA=","MAAA","MAAB","MAAC"`),
		"a value nested 8 deep": disclosures(`[` + salt + `,"a",` + strings.Repeat("[", 8) + strings.Repeat("]", 8) + `]`),
		"64 hashes":             change(path, strings.Repeat(path, 64)),
	} {
		if r, err := ParseReceipt([]byte(s)); err != nil || string(r.Marshal()) != s {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// TestHandMadeReceipts: no parser makes these, but a caller can.
func TestHandMadeReceipts(t *testing.T) {
	good, policy := minimal()
	l := newTestLog(testOrigin)
	i := loan(l)
	for what, change := range map[string]func(r *Receipt){
		"zero":                       func(r *Receipt) { *r = Receipt{} },
		"no disclosures":             func(r *Receipt) { r.Disclosures = nil },
		"hash of another member":     func(r *Receipt) { r.Disclosures[0].Value = text(digest("loan 2")) },
		"hash and value of another":  func(r *Receipt) { r.Disclosures[0].Hash = Hash{} },
		"no value":                   func(r *Receipt) { r.Disclosures[0].Value = Value{} },
		"salt changed":               func(r *Receipt) { r.Disclosures[0].Salt[3] ^= 1 },
		"hidden with a value":        func(r *Receipt) { r.Disclosures[0].Hidden = true },
		"hidden with a salt":         func(r *Receipt) { r.Disclosures[0].Hidden, r.Disclosures[0].Value = true, Value{} },
		"not sorted":                 func(r *Receipt) { *r = l.receipt(i, 2); slices.Reverse(r.Disclosures) },
		"doubled":                    func(r *Receipt) { r.Disclosures = append(r.Disclosures, r.Disclosures[0]) },
		"name with a newline":        func(r *Receipt) { r.Disclosures[0].Name = "a\nb" },
		"unknown kind":               func(r *Receipt) { r.Entry.Kind = "loan" },
		"kind of two lines":          func(r *Receipt) { r.Entry.Kind = "deposit\ntime 2026-03-01T08:00:01.123Z" },
		"part of a millisecond":      func(r *Receipt) { r.Entry.Time = r.Entry.Time.Add(time.Microsecond) },
		"the year 10000":             func(r *Receipt) { r.Entry.Time = r.Entry.Time.AddDate(9000, 0, 0) },
		"a long path":                func(r *Receipt) { r.Path = make([]Hash, 65) },
		"five tokens":                func(r *Receipt) { r.Timestamps = [][]byte{{1}, {2}, {3}, {4}, {5}} },
		"an empty token":             func(r *Receipt) { r.Timestamps = [][]byte{{}} },
		"tokens past all bounds":     func(r *Receipt) { r.Timestamps = [][]byte{make([]byte, 60_000)} },
		"disclosures past the bound": func(r *Receipt) { r.Disclosures = longDisclosures() },
	} {
		r := good
		r.Disclosures, r.Path = slices.Clone(good.Disclosures), slices.Clone(good.Path)
		change(&r)
		e := verify(t, policy, r)
		wantOutcome(t, e, Refused, ReasonMalformed)
		if t.Failed() {
			t.Fatal(what)
		}
	}
	r := good
	r.Entry.Time = r.Entry.Time.In(time.FixedZone("", 8*3600))
	wantOutcome(t, verify(t, policy, r), Verified, "")
	r = good
	r.Checkpoint = nil
	wantOutcome(t, verify(t, policy, r), Refused, ReasonNote)
}

func longDisclosures() []Disclosure {
	record, err := NewRecord(member("a", text(strings.Repeat("x", MaxDisclosures))))
	if err != nil {
		panic(err)
	}
	return record.Disclose(Seed{})
}

// hostile are large receipts made to cost as much as they can.
func hostile() map[string][]byte {
	r, _ := minimal()
	salt := `["AAAAAAAAAAAAAAAAAAAAAA==","a",`
	pairs := ""
	for i := 0; len(pairs) < 16_000; i++ {
		pairs += fmt.Sprintf(`,"%x":{}`, i)
	}
	extra := string(r.extra())
	rest := extra[strings.Index(extra, `],"entry"`):]
	note := "x\n\n"
	for i := range maxSignatures {
		note += Signature{Name: "k", KeyID: uint32(i), Bytes: make([]byte, 2900)}.String()
	}
	lines := strings.Repeat("— \n", 50_000)
	long := string(withExtra(`{"disclosures":[` + salt + `{` + pairs[1:] + `}]` + rest))
	return map[string][]byte{
		"fields":       []byte(long),
		"nested lists": withExtra(`{"disclosures":[` + salt + strings.Repeat("[[[[[[[[", 5900)),
		"empty lists":  withExtra(`{"disclosures":[` + salt + `[` + strings.Repeat("[],", 15_000) + `1]]` + rest),
		"escapes":      withExtra(`{"disclosures":[` + salt + `"` + strings.Repeat(`\u0041`, 7000) + `"]` + rest),
		"tokens":       withExtra(strings.Replace(extra, `"timestamps":[]`, `"timestamps":["`+strings.Repeat("MAAA", 11_000)+`"]`, 1)),
		"path":         []byte(strings.Replace(long, "index 1\n", "index 1\n"+strings.Repeat(Hash{}.String()+"\n", 7_000), 1)),
		"lines":        []byte(strings.Replace(long, "index 1\n", "index 1\n"+strings.Repeat("x\n", 150_000), 1)),
		"header lines": []byte(strings.Repeat("x\n", MaxReceipt/2)),
		"signatures":   []byte(long[:strings.Index(long, "\n\n")+2] + note),
		"note lines":   []byte(long[:strings.Index(long, "\n\n")+2] + "x\n\n" + lines),
	}
}

// TestHostileReceiptsCostLittleMemory is I18's bound: eight times the input, beyond
// the room that a small input may take.
func TestHostileReceiptsCostLittleMemory(t *testing.T) {
	for what, data := range hostile() {
		var before, after runtime.MemStats
		const runs = 8
		runtime.ReadMemStats(&before)
		for range runs {
			_, _ = ParseReceipt(data)
		}
		runtime.ReadMemStats(&after)
		// All that was ever allocated, which is more than was held at once.
		allocated := (after.TotalAlloc - before.TotalAlloc) / runs
		t.Logf("%s: %d bytes, %.1f times as much allocated", what, len(data), float64(allocated)/float64(len(data)))
		if allocated > uint64(8*len(data)+512<<10) {
			t.Errorf("%s: reading %d bytes allocates %d", what, len(data), allocated)
		}
	}
}

// TestSizesAreWhatIsWritten: the bounds are held against numbers that nobody wrote out.
func TestSizesAreWhatIsWritten(t *testing.T) {
	for _, r := range []Receipt{
		{Entry: Entry{Kind: KindGenesis}},
		{Entry: Entry{Kind: KindDeposit, Time: time.UnixMilli(1)}, Timestamps: [][]byte{{1}}, Disclosures: []Disclosure{{Name: "a", Value: Value{"1"}}}},
		{Entry: Entry{Kind: KindFacts}, Timestamps: [][]byte{{1, 2}, {3, 4, 5, 6}}, Disclosures: []Disclosure{
			{Name: "a.b_1", Value: Value{`"é\n"`}}, {Name: "content.sha256", Hidden: true}, {Name: "z", Value: Value{`{}`}},
		}},
	} {
		if got, want := DisclosuresSize(r.Disclosures), len(AppendDisclosures(nil, r.Disclosures)); got != want {
			t.Errorf("%d bytes of disclosures, not %d", got, want)
		}
		if got, want := r.extraSize(), len(r.extra()); got != want {
			t.Errorf("%d bytes of extra data, not %d", got, want)
		}
		if got, want := r.Entry.size(), len(r.Entry.String()); got != want || want > maxEntry {
			t.Errorf("%d bytes of entry, not %d", got, want)
		}
	}
}

// TestParseDisclosures: any spelling of the array is read, and nothing that no receipt
// could hold.
func TestParseDisclosures(t *testing.T) {
	r, _ := minimal()
	want := Hide(r.Disclosures, func(name string) bool { return name == r.Disclosures[0].Name })
	canonical := string(AppendDisclosures(nil, want))
	loose := " " + strings.NewReplacer("[", " [ ", "]", " ] ", ",", " , ").Replace(canonical) + "\n"
	for _, json := range []string{canonical, loose, strings.Replace(canonical, "id", `\u0069d`, 1)} {
		got, err := ParseDisclosures(json)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v", json, err)
		}
	}
	twice := strings.TrimSuffix(canonical, "]") + "," + strings.TrimPrefix(canonical, "[")
	for what, json := range map[string]string{
		"nothing": "", "no array": "{}", "empty": "[]", "null": "null", "twice": twice, "cut": canonical[:len(canonical)-1], "more": canonical + "]",
		"a salt too short": `[["AAAA","id","x"]]`, "a hash too short": `[["id","AAAA"]]`, "no name": `[["","` + EmptyRoot.String() + `"]]`,
		"no item": "[[]]", "one string": `[["id"]]`, "four": `[["id","id","id","id"]]`, "long": "[" + strings.Repeat(" ", MaxRecord) + "]",
		"many":  "[" + strings.Repeat(`["id","`+EmptyRoot.String()+`"],`, MaxMembers) + `["id","` + EmptyRoot.String() + `"]]`,
		"large": `[["AAAAAAAAAAAAAAAAAAAAAA==","id","` + strings.Repeat("x", MaxDisclosures) + `"]]`,
	} {
		if _, err := ParseDisclosures(json); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s was read: %v", what, err)
		}
	}
}
