package proofs

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

func mustRecord(t *testing.T, json string) Record {
	t.Helper()
	r, err := ParseMembers(json)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestRecordRoundTrip(t *testing.T) {
	const canonical = `{"a":1,"b.c":"借款","b_1":[true,{"x":-1}]}`
	r := mustRecord(t, " {\"b_1\" : [ true, {\"x\":-1} ], \"b.c\":\"\\u501f款\",\n\"a\":1 }\n")
	if r.JSON() != canonical {
		t.Errorf("record is %s", r.JSON())
	}
	if again := mustRecord(t, r.JSON()); !slices.Equal(again, r) {
		t.Error("record does not read itself")
	}
	if v, ok := r.Get("b.c"); !ok || v != text("借款") {
		t.Error("b.c is", v)
	}
	if _, ok := r.Get("b"); ok {
		t.Error("b is there")
	}
}

func TestMalformedRecords(t *testing.T) {
	many := make([]string, MaxMembers+1)
	for i := range many {
		many[i] = fmt.Sprintf(`"m%d":1`, i)
	}
	for _, in := range []string{``, `{}`, `[]`, `[1]`, `1`, `"a"`, `null`, `{"a":null}`, `{"a":1}x`, `{"a":1}{"b":1}`,
		`{"A":1}`, `{"":1}`, `{"1":1}`, `{".a":1}`, `{"_a":1}`, `{"a-b":1}`, `{"a b":1}`, `{"é":1}`, `{"a\n":1}`,
		`{"a":1,"a":1}`, `{"a":1,"\u0061":2}`, `{"` + strings.Repeat("a", 65) + `":1}`,
		`{` + strings.Join(many, ",") + `}`, `{"a":"` + strings.Repeat("x", MaxRecord) + `"}`, strings.Repeat(" ", MaxRecord+1) + `{"a":1}`,
	} {
		if r, err := ParseMembers(in); !errors.Is(err, ErrMalformed) || r != nil {
			t.Errorf("%.60s: %v, %v", in, r, err)
		}
	}
	if _, err := ParseMembers(`{` + strings.Join(many[1:], ",") + `}`); err != nil {
		t.Errorf("%d members: %v", MaxMembers, err)
	}
	for what, m := range map[string][]Member{
		"none":     nil,
		"no value": {{Name: "a"}},
		"twice":    {member("a", integer(1)), member("b", integer(1)), member("a", integer(2))},
		"bad name": {member("A", integer(1))},
	} {
		if r, err := NewRecord(m...); !errors.Is(err, ErrMalformed) || r != nil {
			t.Errorf("%s: %v, %v", what, r, err)
		}
	}
}

func TestNewRecordKeepsTheCallersOrder(t *testing.T) {
	members := []Member{member("b", integer(1)), member("a", integer(2))}
	if _, err := NewRecord(members...); err != nil || members[0].Name != "b" {
		t.Error("the caller's slice was sorted")
	}
}

// TestHashesAreThoseOfTheDesign works the commitment out a second time, in the words
// of the specification.
func TestHashesAreThoseOfTheDesign(t *testing.T) {
	seed := testSeed("x", 1)
	r := mustRecord(t, `{"content.sha256":"`+digest("x")+`","party.0.name":"张\"三\"","terms.list":[1,{"a":true}]}`)
	h := sha256.New()
	h.Write([]byte("muniment/record@v1\n"))
	for i, d := range r.Disclose(seed) {
		mac := hmac.New(sha256.New, seed[:])
		fmt.Fprintf(mac, "muniment/salt@v1\n%s", d.Name)
		salt := mac.Sum(nil)[:16]
		leaf := sha256.Sum256([]byte("\x00[\"" + base64.StdEncoding.EncodeToString(salt) + "\",\"" + r[i].Name + "\"," + r[i].Value.JSON() + "]"))
		if !slices.Equal(d.Salt[:], salt) || d.Hash != leaf || d.Hidden {
			t.Errorf("member %s", d.Name)
		}
		fmt.Fprintf(h, "%s\n%s", d.Name, leaf[:])
	}
	if want := Hash(h.Sum(nil)); Commitment(r.Disclose(seed)) != want {
		t.Error("commitment differs")
	}
}

// TestNoTwoRecordsShareACommitment: members collapsed, doubled, reordered, renamed,
// left out, put in, or with text moved between salt, name and value.
func TestNoTwoRecordsShareACommitment(t *testing.T) {
	l := &testLog{}
	loan(l)
	d := l.entries[0].disclosures
	want := Commitment(d)
	attempts := 0
	try := func(what string, changed []Disclosure) {
		attempts++
		if Commitment(changed) == want {
			t.Errorf("%s: the same commitment", what)
		}
	}
	for i := range d {
		try("left out", slices.Delete(slices.Clone(d), i, i+1))
		try("doubled", slices.Insert(slices.Clone(d), i, d[i]))
		try("only", d[i:i+1])
		for j := range d {
			if i == j {
				continue
			}
			swapped := slices.Clone(d)
			swapped[i], swapped[j] = d[j], d[i]
			try("reordered", swapped)
			hashes := slices.Clone(d)
			hashes[i].Hash = d[j].Hash
			try("hash of another", hashes)
			names := slices.Clone(d)
			names[i].Name = d[j].Name
			try("name of another", names)
		}
		if i+1 < len(d) {
			// Two members as one: name ‖ hash ‖ name is no name, hash ‖ … no hash.
			collapsed := slices.Clone(d)
			collapsed[i].Name = d[i].Name + "\n" + string(d[i].Hash[:]) + d[i+1].Name
			collapsed[i].Hash = d[i+1].Hash
			collapsed = slices.Delete(collapsed, i+1, i+2)
			if Commitment(collapsed) != want {
				t.Error("the test's own collapse is wrong")
			}
			if ValidName(collapsed[i].Name) {
				t.Error("a collapsed name is valid")
			}
		}
		node := slices.Clone(d)
		node[i].Hash = NodeHash(d[i].Hash, d[i].Hash)
		try("a node for a member", node)
		value := slices.Clone(d)
		value[i].Value = text("other")
		value[i].Hash = memberHash(value[i].Salt, value[i].Name, value[i].Value)
		try("other value", value)
		salted := slices.Clone(d)
		salted[i].Salt[0] ^= 1
		salted[i].Hash = memberHash(salted[i].Salt, salted[i].Name, salted[i].Value)
		try("other salt", salted)
	}
	if Commitment(Hide(d, func(string) bool { return true })) != want {
		t.Error("hiding changes the commitment")
	}
	t.Logf("%d attempts", attempts)
}

func TestHideLeavesTheRestAlone(t *testing.T) {
	l := &testLog{}
	loan(l)
	d := l.entries[0].disclosures
	before := slices.Clone(d)
	hidden := Hide(d, func(name string) bool { return strings.HasPrefix(name, "party.") })
	if !slices.Equal(d, before) {
		t.Error("Hide changed what it was given")
	}
	for i, h := range hidden {
		if strings.HasPrefix(h.Name, "party.") != h.Hidden || h.Hash != d[i].Hash {
			t.Errorf("member %s", h.Name)
		}
		if h.Hidden && (h.Salt != [SaltSize]byte{} || h.Value != (Value{})) {
			t.Errorf("hidden member %s shows something", h.Name)
		}
	}
}

func TestValidNames(t *testing.T) {
	for s, want := range map[string]bool{"a": true, "a1_.": true, "a..b": true, strings.Repeat("a", 64): true,
		"": false, "1": false, ".a": false, "_a": false, "A": false, "aA": false, "a-": false, "a\n": false, "a\x00": false,
		strings.Repeat("a", 65): false} {
		if ValidName(s) != want {
			t.Errorf("ValidName(%.70q) is %v", s, !want)
		}
	}
}
