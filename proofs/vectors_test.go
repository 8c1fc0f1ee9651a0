package proofs

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write testdata/vectors anew")

// A vector is one file of testdata/vectors: what an implementation must make of body.
type vector struct {
	kind   string // folder: which parser or check it is for
	name   string
	expect string // verified, refused, undecided or malformed
	reason Reason
	what   string
	fields [][2]string // further header lines
	body   string
}

func (v vector) file() []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "expect: %s\n", v.expect)
	if v.reason != "" {
		fmt.Fprintf(&b, "reason: %s\n", v.reason)
	}
	fmt.Fprintf(&b, "what: %s\n", v.what)
	for _, f := range v.fields {
		fmt.Fprintf(&b, "%s: %s\n", f[0], f[1])
	}
	return []byte(b.String() + "\n" + v.body)
}

func (v vector) field(name string) []string {
	var out []string
	for _, f := range v.fields {
		if f[0] == name {
			out = append(out, f[1])
		}
	}
	return out
}

// readVector is what a reader in another language does with a file.
func readVector(t *testing.T, kind, name string, data []byte) vector {
	t.Helper()
	head, body, ok := bytes.Cut(data, []byte("\n\n"))
	if !ok {
		t.Fatalf("%s/%s has no header", kind, name)
	}
	v := vector{kind: kind, name: name, body: string(body)}
	for line := range strings.SplitSeq(string(head), "\n") {
		key, value, ok := strings.Cut(line, ": ")
		switch {
		case !ok:
			t.Fatalf("%s/%s: header line %q", kind, name, line)
		case key == "expect":
			v.expect = value
		case key == "reason":
			v.reason = Reason(value)
		case key == "what":
			v.what = value
		default:
			v.fields = append(v.fields, [2]string{key, value})
		}
	}
	return v
}

// TestVectors checks that testdata/vectors holds exactly what the generator below
// makes, and that this package comes to what each vector expects.
//
//	go test ./proofs -run TestVectors -update
func TestVectors(t *testing.T) {
	const folder = "testdata/vectors"
	made := map[string]bool{}
	if *update {
		if err := os.RemoveAll(folder); err != nil {
			t.Fatal(err)
		}
	}
	for _, v := range allVectors() {
		path := filepath.Join(folder, v.kind, v.name+".txt")
		if made[path] {
			t.Fatalf("two vectors are called %s", path)
		}
		made[path] = true
		if *update {
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, v.file(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(data, v.file()) {
			t.Errorf("%s is not what the generator makes", path)
		}
		t.Run(v.kind+"/"+v.name, func(t *testing.T) { checkVector(t, readVector(t, v.kind, v.name, data)) })
	}
	files, _ := filepath.Glob(filepath.Join(folder, "*", "*"))
	for _, path := range files {
		if !made[path] {
			t.Errorf("%s is made by nothing", path)
		}
	}
	if len(made) < 60 {
		t.Errorf("only %d vectors", len(made))
	}
}

func checkVector(t *testing.T, v vector) {
	t.Helper()
	expect, reason := "verified", Reason("")
	note := func(err error) {
		if err != nil {
			expect = "malformed"
		}
	}
	same := func(name, got string) {
		if want := v.field(name); len(want) != 1 || want[0] != got {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
	switch v.kind {
	case "entry":
		e, err := ParseEntry(v.body)
		note(err)
		if err == nil {
			same("leaf", e.LeafHash().String())
		}
	case "record":
		r, err := ParseMembers(v.body)
		note(err)
		if err == nil {
			checkRecord(t, v, r)
		}
	case "note":
		_, err := ParseNote([]byte(v.body))
		note(err)
	case "origin":
		env, err := ParseOrigin(v.body)
		note(err)
		if err == nil {
			same("environment", string(env))
		}
	case "vkey":
		_, err := ParseVerifierKey(v.body)
		note(err)
	case "policy":
		p, err := ParsePolicy([]byte(v.body))
		note(err)
		if err == nil {
			same("fingerprint", p.Fingerprint())
		}
	case "checkpoint":
		var outcome Outcome
		_, outcome, reason = vectorPolicy(t, v).judge([]byte(v.body), nil)
		expect = outcome.String()
	case "inclusion", "consistency":
		if err := checkProofVector(t, v); err != nil {
			expect = "refused"
		}
	case "receipt":
		expect, reason = checkReceiptVector(t, v)
	default:
		t.Fatal("a vector of no known kind")
	}
	if expect != v.expect || reason != v.reason || v.what == "" {
		t.Errorf("%s %q, want %s %q: %s", expect, reason, v.expect, v.reason, v.what)
	}
}

func checkRecord(t *testing.T, v vector, r Record) {
	t.Helper()
	seed, _ := hex.DecodeString(v.field("seed")[0])
	d := r.Disclose(Seed(seed))
	var members []string
	for _, m := range d {
		members = append(members, memberLine(m))
	}
	if v.field("canonical")[0] != r.JSON() || !slices.Equal(v.field("member"), members) || v.field("commitment")[0] != Commitment(d).String() {
		t.Errorf("record %s, members %v, commitment %v", r.JSON(), members, Commitment(d))
	}
}

func memberLine(d Disclosure) string {
	return d.Name + " " + base64.StdEncoding.EncodeToString(d.Salt[:]) + " " + d.Hash.String()
}

func vectorPolicy(t *testing.T, v vector) Policy {
	t.Helper()
	data, err := decodeBase64(v.field("policy")[0])
	if err != nil {
		t.Fatal(err)
	}
	p, err := ParsePolicy(data)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// checkProofVector reads two numbers, two hashes and a path, one a line.
func checkProofVector(t *testing.T, v vector) error {
	t.Helper()
	lines := strings.Split(strings.TrimSuffix(v.body, "\n"), "\n")
	var hashes []Hash
	for _, line := range lines[2:] {
		h, err := ParseHash(line)
		if err != nil {
			t.Fatal(err)
		}
		hashes = append(hashes, h)
	}
	a, err := parseUint(lines[0])
	if err != nil {
		t.Fatal(err)
	}
	b, err := parseUint(lines[1])
	if err != nil {
		t.Fatal(err)
	}
	if v.kind == "inclusion" {
		return VerifyInclusion(hashes[2:], a, b, hashes[0], hashes[1])
	}
	return VerifyConsistency(hashes[2:], a, b, hashes[0], hashes[1])
}

func checkReceiptVector(t *testing.T, v vector) (string, Reason) {
	t.Helper()
	r, err := ParseReceipt([]byte(v.body))
	if err != nil {
		return "malformed", ""
	}
	var document []string
	for _, d := range v.field("document") {
		data, err := decodeBase64(d)
		if err != nil {
			t.Fatal(err)
		}
		document = append(document, string(data))
	}
	e := verify(t, vectorPolicy(t, v), r, document...)
	if want := v.field("depositor"); len(want) > 0 && string(e.Depositor.Check) != want[0] {
		t.Errorf("the depositor's signature is %s, want %s", e.Depositor.Check, want[0])
	}
	return e.Outcome().String(), e.Reason
}

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

func allVectors() []vector {
	return slices.Concat(entryVectors(), recordVectors(), noteVectors(), policyVectors(), checkpointVectors(), proofVectors(), receiptVectors(), depositorVectors())
}

func entryVectors() []vector {
	var out []vector
	for _, kind := range []Kind{KindGenesis, KindDeposit, KindNotice, KindKey, KindFacts} {
		s := strings.Replace(goodEntry, "deposit", string(kind), 1)
		out = append(out, vector{"entry", string(kind), "verified", "", "an entry of kind " + string(kind) + ", and its leaf hash",
			[][2]string{{"leaf", LeafHash([]byte(s)).String()}}, s})
	}
	bad := func(name, what, old, new string) {
		out = append(out, vector{"entry", name, "malformed", "", what, nil, strings.Replace(goodEntry, old, new, 1)})
	}
	bad("unknown-kind", "a kind that is not one of the five", "deposit", "loan")
	bad("crlf", "a line that ends in CR LF", "deposit\n", "deposit\r\n")
	bad("second-60", "a leap second", "08:00:01", "08:00:60")
	bad("microseconds", "six digits after the point", ".123Z", ".123000Z")
	bad("comma", "a comma before the milliseconds", ".123Z", ",123Z")
	bad("offset", "an offset for Z", "Z\n", "+00:00\n")
	bad("no-such-day", "30 February", "03-01", "02-30")
	bad("trailing-bits", "a commitment with a bit set after its last byte", "A=", "B=")
	bad("no-final-newline", "three and a half lines", "=\n", "=")
	bad("fifth-line", "a line too many", "=\n", "=\n\n")
	return out
}

func recordVectors() []vector {
	var out []vector
	good := func(name, what, json string) {
		r, err := ParseMembers(json)
		if err != nil {
			panic(name + ": " + err.Error())
		}
		seed := testSeed("vector "+name, 0)
		d := r.Disclose(seed)
		fields := [][2]string{{"seed", hex.EncodeToString(seed[:])}, {"canonical", r.JSON()}}
		for _, m := range d {
			fields = append(fields, [2]string{"member", memberLine(m)})
		}
		out = append(out, vector{"record", name, "verified", "", what, append(fields, [2]string{"commitment", Commitment(d).String()}), json})
	}
	bad := func(name, what, json string) {
		out = append(out, vector{"record", name, "malformed", "", what, nil, json})
	}
	l := &testLog{}
	loan(l)
	good("minimal", "one member", `{"content.sha256":"`+digest("loan 1")+`"}`)
	good("loan", "a loan contract with Chinese names", Receipt{Disclosures: l.entries[0].disclosures}.Record().JSON())
	good("spelling", "spaces, escapes and another order: brought into canonical form", "\n{ \"terms.note\" : \"\\u501f\\/\\u0041\\ud83d\\ude00\" ,\t\"case.seq\":7}\r\n")
	good("escapes", "characters that stay escaped, and those that do not", `{"label.a":"\"\\\b\f\n\r\t\u0001\u001f\u007f\u2028<>&"}`)
	good("unnormalised", "composed and decomposed: different strings, never normalised", "{\"label.a\":\"\u00e9\",\"label.b\":\"e\u0301\"}")
	good("integers", "the largest and smallest", `{"terms.a":9007199254740991,"terms.b":-9007199254740991,"terms.c":0}`)
	good("nested", "arrays and objects 8 deep, keys sorted", `{"terms.a":[[[[[[{"b":1,"B":[],"a":true}]]]]]]}`)
	good("name-order", "dot, digits, letters and underscore in byte order", `{"a_b":1,"a.b":2,"a1":3,"ab":4,"a":5}`)
	bad("empty", "no members", `{}`)
	bad("null", "null in an array", `{"terms.a":[null]}`)
	bad("fraction", "a fraction: amounts are strings", `{"terms.amount":50000.00}`)
	bad("exponent", "an exponent", `{"terms.a":1e3}`)
	bad("minus-zero", "minus zero", `{"terms.a":-0}`)
	bad("too-large", "2^53", `{"terms.a":9007199254740992}`)
	bad("duplicate", "a name twice, once escaped", `{"a":1,"\u0061":2}`)
	bad("duplicate-inside", "a key twice in a nested object", `{"a":{"b":1,"b":1}}`)
	bad("lone-surrogate", "half a surrogate pair", `{"a":"\ud800"}`)
	bad("noncharacter", "U+FFFF", `{"a":"\uffff"}`)
	bad("nul", "U+0000", `{"a":"\u0000"}`)
	bad("not-utf8", "an overlong encoding", "{\"a\":\"\xc0\x80\"}")
	bad("nine-deep", "an array 9 deep", `{"a":[[[[[[[[[]]]]]]]]]}`)
	bad("key-not-ascii", "a key that is not ASCII in a nested object", `{"a":{"é":1}}`)
	bad("bad-name", "an upper-case name", `{"Contract.number":"1"}`)
	bad("long-name", "a name of 65 characters", `{"`+strings.Repeat("a", 65)+`":1}`)
	return out
}

func noteVectors() []vector {
	data := string(newTestLog(testOrigin).note(1, "w1.example"))
	var out []vector
	add := func(kind, name, expect, what, body string, fields ...[2]string) {
		out = append(out, vector{kind, name, expect, "", what, fields, body})
	}
	add("note", "good", "verified", "a note with two signatures", data)
	add("note", "blank-line-in-text", "verified", "the text ends at the last blank line", "a\n\n"+data)
	add("note", "signed-twice", "malformed", "two signatures of one name and id", data+data[strings.Index(data, "— "):strings.LastIndex(data, "— ")])
	add("note", "no-signature", "malformed", "a text without signatures", data[:strings.Index(data, "\n\n")+2])
	add("note", "tab", "malformed", "a control character", strings.Replace(data, "1\n", "1\t\n", 1))
	add("note", "no-padding", "malformed", "base64 without padding", strings.Replace(data, "=\n— w1", "\n— w1", 1))
	add("note", "trailing-text", "malformed", "text after the signatures", data+"x\n")
	good := logKey(testOrigin, "log").String()
	add("vkey", "log", "verified", "an Ed25519 log key (type 0x01)", good)
	add("vkey", "witness", "verified", "an Ed25519 witness key (type 0x04)", witnessKey("见证.example", "w").String())
	add("vkey", "ml-dsa-44", "verified", "an ML-DSA-44 witness key (type 0x06)", mlKey("m.example", "m").String())
	add("vkey", "other-name", "malformed", "an id that is not that of the name", "x"+good)
	add("vkey", "upper-case-id", "malformed", "an id in upper case", strings.Replace(good, logID(good), strings.ToUpper(logID(good)), 1))
	add("origin", "prod", "verified", "a production log", testOrigin, [2]string{"environment", "prod"})
	add("origin", "dev", "verified", "what init makes", "localhost/dev/0123456789abcdef", [2]string{"environment", "dev"})
	add("origin", "no-environment", "malformed", "an origin of another kind of log", "log.example/1")
	add("origin", "upper-case", "malformed", "an upper-case letter", "log.example/prod/A")
	add("origin", "long", "malformed", "129 bytes", "a/prod/"+strings.Repeat("1", 122))
	return out
}

func logID(vkey string) string { return strings.Split(vkey, "+")[1] }

func policyVectors() []vector {
	var out []vector
	log := "log " + logKey(testOrigin, "log").String() + "\n"
	a, b := witnessLine("A", "w1.example")+"\n", witnessLine("B", "w2.example")+"\n"
	good := func(name, what, text string) {
		out = append(out, vector{"policy", name, "verified", "", what, [][2]string{{"fingerprint", mustPolicy(text).Fingerprint()}}, text})
	}
	bad := func(name, what, text string) {
		out = append(out, vector{"policy", name, "malformed", "", what, nil, text})
	}
	good("none", "what init writes", log+"quorum none\n")
	good("groups", "groups of groups, comments, tabs and URLs", "# ours\n"+log+"\t"+strings.TrimSuffix(a, "\n")+" https://w1.example/\n"+b+
		witnessLine("见证", "w3.example")+"\ngroup AB any A B\n \t\ngroup all-of-them all AB 见证\nquorum all-of-them\n")
	good("joined", "two keys of one witness, joined", log+a+"witness M "+mlKey("w1.example", "m").String()+"\ngroup W any A M\nquorum W\n")
	bad("not-joined", "two keys of one witness could count twice", log+a+"witness M "+mlKey("w1.example", "m").String()+"\ngroup W all A M\nquorum W\n")
	bad("log-as-witness", "the log's key offered as a witness's", log+"witness A "+witnessKey(testOrigin, "log").String()+"\nquorum A\n")
	bad("key-twice", "one key under two names", log+a+"witness B "+witnessKey("w2.example", "w1.example").String()+"\ngroup G 2 A B\nquorum G\n")
	bad("member-twice", "a witness in two groups", log+a+b+"group G any A\ngroup H any A B\nquorum H\n")
	bad("threshold-zero", "a group that needs nobody", log+a+"group G 0 A\nquorum G\n")
	bad("no-quorum", "no quorum line", log+a)
	bad("no-final-newline", "a last line without an end", log+"quorum none")
	return out
}

func checkpointVectors() []vector {
	l := newTestLog(testOrigin)
	l.deposit("x")
	policy := l.policy(witnessLine("A", "w1.example"), witnessLine("B", "w2.example"), "group G 1 A B", "quorum G")
	body := l.checkpoint(2).String()
	log, w1 := sign(testOrigin, "log", body), cosign("w1.example", "w1.example", body, 1772352100)
	var out []vector
	add := func(name, expect string, reason Reason, what string, policy Policy, text string, s ...Signature) {
		out = append(out, vector{"checkpoint", name, expect, reason, what, [][2]string{{"policy", b64(policy.String())}}, string(Note{text, s}.Marshal())})
	}
	add("witnessed", "verified", "", "the log and one of two witnesses", policy, body, log, w1)
	add("unknown-signature", "verified", "", "a signature by a stranger beside them", policy, body, cosign("x", "x", body, 1), log, w1)
	add("no-quorum", "refused", ReasonQuorum, "the log alone", policy, body, log)
	add("no-log", "refused", ReasonLogSignature, "a witness alone", policy, body, w1)
	add("other-log-key", "refused", ReasonLogSignature, "the log's name, another key", policy, body, sign(testOrigin, "evil", body), w1)
	flipped := Signature{log.Name, log.KeyID, bytes.Clone(log.Bytes)}
	flipped.Bytes[9] ^= 1
	add("bad-log-signature", "refused", ReasonLogSignature, "one bit of the log's signature", policy, body, flipped, w1)
	late := Signature{w1.Name, w1.KeyID, bytes.Clone(w1.Bytes)}
	late.Bytes[7] ^= 1
	add("bad-witness-time", "refused", ReasonWitness, "one bit of the witness's time", policy, body, log, late)
	add("unneeded-bad-witness", "refused", ReasonWitness, "the quorum is met, but a known key's signature is bad", policy, body, log, w1, Signature{"w2.example", witnessKey("w2.example", "w2.example").ID, w1.Bytes})
	add("unknown-log", "refused", ReasonUnknownLog, "a log that the policy does not name", newTestLog("log.example/prod/2").policy("quorum none"), body, log)
	more := body + "more\n"
	add("extension-line", "refused", ReasonNote, "an extension line, rightly signed", l.policy("quorum none"), more, sign(testOrigin, "log", more))
	ml := l.policy("witness M "+mlKey("m.example", "m").String(), "quorum M")
	add("algorithm", "undecided", ReasonAlgorithm, "the quorum needs ML-DSA-44 (for a verifier that has none; the signature is not valid)", ml, body, log, mlSignature("m.example", "m"))
	return out
}

func proofVectors() []vector {
	log, leaves := numbered(13)
	var out []vector
	add := func(kind, name, expect, what string, a, b uint64, h1, h2 Hash, path []Hash) {
		var body strings.Builder
		fmt.Fprintf(&body, "%d\n%d\n%s\n%s\n", a, b, h1, h2)
		for _, h := range path {
			fmt.Fprintf(&body, "%s\n", h)
		}
		out = append(out, vector{kind, name, expect, "", what, nil, body.String()})
	}
	for _, c := range [][2]uint64{{0, 1}, {0, 2}, {3, 7}, {6, 7}, {7, 8}, {12, 13}} {
		path, _ := InclusionProof(c[0], c[1], log)
		add("inclusion", fmt.Sprintf("%d-in-%d", c[0], c[1]), "verified", "a leaf of the tree whose leaf n is the 8-byte big-endian n",
			c[0], c[1], leaves[c[0]], log.checkpoint(c[1]).Root, path)
	}
	path, _ := InclusionProof(6, 7, log)
	root := log.checkpoint(7).Root
	add("inclusion", "index-off", "refused", "the path of the next leaf", 5, 7, leaves[6], root, path)
	add("inclusion", "size-off", "refused", "a size that asks for a longer path", 6, 8, leaves[6], root, path)
	add("inclusion", "hash-too-many", "refused", "a hash that no step uses", 6, 7, leaves[6], root, append(slices.Clone(path), Hash{}))
	add("inclusion", "hash-too-few", "refused", "a hash missing", 6, 7, leaves[6], root, path[:len(path)-1])
	add("inclusion", "index-is-size", "refused", "an index outside the tree", 7, 7, leaves[6], root, path)
	for _, c := range [][2]uint64{{0, 5}, {1, 8}, {4, 7}, {6, 7}, {7, 13}, {13, 13}} {
		path, _ := ConsistencyProof(c[0], c[1], log)
		add("consistency", fmt.Sprintf("%d-to-%d", c[0], c[1]), "verified", "two sizes of the tree whose leaf n is the 8-byte big-endian n",
			c[0], c[1], log.checkpoint(c[0]).Root, log.checkpoint(c[1]).Root, path)
	}
	path, _ = ConsistencyProof(7, 13, log)
	old, new := log.checkpoint(7).Root, log.checkpoint(13).Root
	add("consistency", "other-old-root", "refused", "an older root that is not this tree's", 7, 13, numberedLeaf(1), new, path)
	add("consistency", "other-new-root", "refused", "a newer root that is not this tree's", 7, 13, old, numberedLeaf(1), path)
	add("consistency", "hash-too-many", "refused", "a hash that no step uses", 7, 13, old, new, append(slices.Clone(path), Hash{}))
	add("consistency", "backwards", "refused", "the newer size first", 13, 7, new, old, path)
	return out
}

func receiptVectors() []vector {
	l := newTestLog(testOrigin)
	i := loan(l)
	l.deposit("other")
	key := l.append(KindKey, member("log.key", text(logKey(testOrigin, "log 2").String())))
	const document = "借款合同第 7 号"
	witnessed := l.policy(witnessLine("A", "w1.example"), witnessLine("B", "w2.example"), "group G 1 A B", "quorum G")
	sealed := l.policy("quorum none")
	full := l.receipt(i, 3, "w1.example")
	var out []vector
	add := func(name, expect string, reason Reason, what string, policy Policy, body []byte, document ...string) {
		fields := [][2]string{{"policy", b64(policy.String())}}
		for _, d := range document {
			fields = append(fields, [2]string{"document", b64(d)})
		}
		out = append(out, vector{"receipt", name, expect, reason, what, fields, string(body)})
	}
	smallest, _ := minimal()
	add("minimal", "verified", "", "one member, one hash, one signature, and the document", sealed, smallest.Marshal(), "loan 1")
	add("witnessed", "verified", "", "a loan contract with Chinese names, under one of two witnesses", witnessed, full.Marshal(), document)
	add("without-document", "verified", "", "the same; no document is compared", witnessed, full.Marshal())
	hide := func(names ...string) []byte {
		r := full
		r.Disclosures = Hide(full.Disclosures, func(n string) bool { return slices.Contains(names, n) })
		return r.Marshal()
	}
	add("hidden-members", "verified", "", "the borrower's name and number hidden", witnessed, hide("party.0.name", "party.0.id.number"), document)
	add("hidden-digest", "undecided", ReasonDigestHidden, "the digest hidden: nothing to compare the document with", witnessed, hide("content.sha256"), document)
	stamped := full
	stamped.Timestamps = [][]byte{{0x30, 0x00}}
	add("time-stamp", "verified", "", "a token present, which the core does not check", witnessed, stamped.Marshal(), document)
	add("genesis", "verified", "", "index 0", sealed, l.receipt(0, 1).Marshal())
	add("key", "verified", "", "a key entry", sealed, l.receipt(key, key+1).Marshal())
	rotating := newTestLog(testOrigin)
	rotating.deposit("loan 1")
	rotating.keys = []string{"log", "log 2"}
	both := mustPolicy("log " + logKey(testOrigin, "log").String() + "\nlog " + logKey(testOrigin, "log 2").String() + "\nquorum none\n")
	for name, p := range map[string]Policy{"old": sealed, "new": mustPolicy("log " + logKey(testOrigin, "log 2").String() + "\nquorum none\n"), "both": both} {
		add("rotation-"+name, "verified", "", "both log keys signed, the policy names "+name, p, rotating.receipt(1, 2).Marshal(), "loan 1")
	}
	for _, env := range []string{"test", "dev"} {
		t := newTestLog("log.example/" + env + "/1")
		t.deposit("loan 1")
		add("environment-"+env, "verified", "", "a log without evidential value: say so first", t.policy("quorum none"), t.receipt(1, 2).Marshal(), "loan 1")
	}
	add("other-document", "refused", ReasonDocument, "another document", witnessed, full.Marshal(), document+" ")
	add("empty-document", "refused", ReasonDocument, "an empty document", witnessed, full.Marshal(), "")
	add("not-a-deposit", "refused", ReasonNoDocument, "an entry that is about no document", sealed, l.receipt(key, key+1).Marshal(), document)
	add("no-quorum", "refused", ReasonQuorum, "the quorum is not met", witnessed, l.receipt(i, 3).Marshal(), document)
	add("unknown-log", "refused", ReasonUnknownLog, "a log that the policy does not name", newTestLog("log.example/prod/2").policy("quorum none"), full.Marshal(), document)
	change := func(f func(r *Receipt)) []byte {
		r := full
		r.Disclosures, r.Path = slices.Clone(full.Disclosures), slices.Clone(full.Path)
		f(&r)
		return r.Marshal()
	}
	add("value-changed", "refused", ReasonCommitment, "another amount", witnessed, change(func(r *Receipt) {
		d := &r.Disclosures[len(r.Disclosures)-2]
		d.Value = text("90000.00")
	}), document)
	add("member-left-out", "refused", ReasonCommitment, "a member missing", witnessed, change(func(r *Receipt) { r.Disclosures = r.Disclosures[1:] }), document)
	add("member-added", "refused", ReasonCommitment, "a member put in", witnessed, change(func(r *Receipt) {
		r.Disclosures = append(r.Disclosures, Disclosure{Name: "terms.x", Hidden: true})
	}), document)
	add("members-swapped", "malformed", "", "members not in ascending order", witnessed, change(func(r *Receipt) {
		r.Disclosures[0], r.Disclosures[1] = r.Disclosures[1], r.Disclosures[0]
	}), document)
	add("other-time", "refused", ReasonInclusion, "the entry's time changed", witnessed, change(func(r *Receipt) { r.Entry.Time = r.Entry.Time.AddDate(0, 0, 1) }), document)
	add("other-index", "refused", ReasonInclusion, "another index", witnessed, change(func(r *Receipt) { r.Index = 2 }), document)
	add("index-0", "refused", ReasonGenesisPlaced, "a deposit where genesis stands", witnessed, change(func(r *Receipt) { r.Index = 0 }), document)
	add("path-too-long", "refused", ReasonInclusion, "a hash too many", witnessed, change(func(r *Receipt) { r.Path = append(r.Path, Hash{}) }), document)
	add("later-checkpoint", "refused", ReasonInclusion, "a sound checkpoint, but the path is to another", witnessed, change(func(r *Receipt) { r.Checkpoint = l.note(4, "w1.example") }), document)
	data := string(smallest.Marshal())
	add("trailing-newline", "malformed", "", "a byte after the end", sealed, []byte(data+"\n"), "loan 1")
	add("crlf", "malformed", "", "lines that end in CR LF", sealed, []byte(strings.ReplaceAll(data, "\n", "\r\n")), "loan 1")
	extra := string(smallest.extra())
	add("unknown-key", "malformed", "", "a key in the extra data that is not one of the three", sealed, withExtra(strings.Replace(extra, `,"timestamps"`, `,"more":1,"timestamps"`, 1)), "loan 1")
	add("not-canonical", "malformed", "", "a space in the extra data", sealed, withExtra(strings.Replace(extra, `,"entry"`, `, "entry"`, 1)), "loan 1")
	add("no-timestamps", "malformed", "", "timestamps left out", sealed, withExtra(strings.Replace(extra, `,"timestamps":[]`, ``, 1)), "loan 1")
	add("index-leading-zero", "malformed", "", "index 01", sealed, []byte(strings.Replace(data, "index 1", "index 01", 1)), "loan 1")
	return out
}

// depositorVectors are receipts with a signature of the depositor's own. Where they are
// verified, they say what becomes of it.
func depositorVectors() []vector {
	var out []vector
	add := func(name, expect string, reason Reason, check DepositorCheck, what string, record Record, hide ...string) {
		r, policy := sealed(record)
		r.Disclosures = Hide(r.Disclosures, func(n string) bool { return slices.Contains(hide, n) })
		fields := [][2]string{{"policy", b64(policy.String())}}
		if check != "" {
			fields = append(fields, [2]string{"depositor", string(check)})
		}
		out = append(out, vector{"receipt", "depositor-" + name, expect, reason, what, fields, string(r.Marshal())})
	}
	good := signedLoan(private("lender"))
	refused := func(name, what string, record Record, hide ...string) {
		add(name, "refused", ReasonDepositorSignature, "", what, record, hide...)
	}
	add("ed25519", "verified", "", DepositorValid, "signed with Ed25519", good)
	add("p256", "verified", "", DepositorValid, "signed with ECDSA on P-256", signedLoan(privateP256("lender")))
	add("own-hidden", "verified", "", DepositorValid, "members hidden that are not signed", good, "tenant.name", "id", "case.seq")
	add("hidden", "verified", "", DepositorUnchecked, "a signed member hidden", good, "terms.amount")
	add("signature-hidden", "verified", "", DepositorUnchecked, "the signature hidden", good, "depositor.signature")
	add("list-hidden", "verified", "", DepositorUnchecked, "the list of what is signed hidden", good, "depositor.signed")
	add("unknown-algorithm", "verified", "", DepositorUnchecked, "a key of another algorithm", strangeKey())
	refused("altered", "another amount than the one signed, fixed so in the log", with(good, "terms.amount", text("90000.00")))
	refused("other-digest", "another document than the one signed, fixed so in the log", with(good, "content.sha256", text(digest("x"))))
	refused("added", "a statement that the depositor did not sign", with(good, "label.more", text("x")))
	refused("added-hidden", "such a statement, hidden together with a signed one", with(good, "label.more", text("x")), "label.more", "terms.amount")
	refused("left-out", "a signed member left out", without(good, "label.branch"))
	refused("no-key", "a signature without its key", without(good, "depositor.key"))
	refused("no-list", "a signature without the list of what is signed", without(good, "depositor.signed"))
	other, _ := NewDepositorKey(private("thief").Public())
	refused("other-key", "another key than the one that signed", with(good, "depositor.key", text(other.String())))
	return out
}
