package proofs

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"strings"
	"testing"
)

func TestNoteRoundTrip(t *testing.T) {
	l := newTestLog(testOrigin)
	data := l.note(1, "w1.example", "w2.example")
	n, err := ParseNote(data)
	if err != nil || !bytes.Equal(n.Marshal(), data) || len(n.Signatures) != 3 {
		t.Fatalf("%v, %d signatures", err, len(n.Signatures))
	}
	cp, err := ParseCheckpoint(n.Text)
	if err != nil || cp != l.checkpoint(1) || cp.String() != n.Text {
		t.Fatal(cp, err)
	}
}

// TestNoteOfTheSpecification is the example in C2SP signed-note.
func TestNoteOfTheSpecification(t *testing.T) {
	k, err := ParseVerifierKey("example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k")
	if err != nil {
		t.Fatal(err)
	}
	n, err := ParseNote([]byte("This is an example message.\n\n— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"))
	if err != nil || len(n.Signatures) != 1 || !k.signed(n.Signatures[0]) {
		t.Fatal(err, n)
	}
	if _, ok, known := k.verify(n.Text, n.Signatures[0].Bytes); !ok || !known {
		t.Error("the specification's signature does not verify")
	}
	if _, ok, _ := k.verify(n.Text+"x", n.Signatures[0].Bytes); ok {
		t.Error("it verifies over another text")
	}
}

func TestNoteTextEndsAtTheLastBlankLine(t *testing.T) {
	sig := sign("a", "a", "x\n\ny\n").String()
	n, err := ParseNote([]byte("x\n\ny\n\n" + sig))
	if err != nil || n.Text != "x\n\ny\n" {
		t.Errorf("%q, %v", n.Text, err)
	}
}

func TestMalformedNotes(t *testing.T) {
	sig := sign("log.example/prod/1", "log", "text\n").String()
	good := "text\n\n" + sig
	if _, err := ParseNote([]byte(good)); err != nil {
		t.Fatal(err)
	}
	many := "text\n\n"
	for i := range maxSignatures + 1 {
		many += Signature{Name: "k", KeyID: uint32(i), Bytes: []byte{1}}.String()
	}
	for what, s := range map[string]string{
		"empty":              "",
		"no signatures":      "text\n",
		"no signature lines": "text\n\n",
		"blank line at end":  good + "\n",
		"no final newline":   strings.TrimSuffix(good, "\n"),
		"text after":         good + "more\n",
		"hyphen":             strings.Replace(good, "—", "-", 1),
		"two spaces":         strings.Replace(good, "— ", "—  ", 1),
		"no space":           strings.Replace(good, "— ", "—", 1),
		"space at end":       strings.Replace(good, "=\n", "= \n", 1),
		"plus in the name":   strings.Replace(good, "prod", "pr+d", 1),
		"wide space":         strings.Replace(good, "prod", "pr\u3000d", 1),
		"carriage return":    strings.ReplaceAll(good, "\n", "\r\n"),
		"control character":  "te\x01xt\n\n" + sig,
		"tab":                "te\txt\n\n" + sig,
		"not UTF-8":          "te\xffxt\n\n" + sig,
		"signed twice":       good + sig,
		"same key, other signature": good + Signature{Name: "log.example/prod/1",
			KeyID: logKey("log.example/prod/1", "log").ID, Bytes: make([]byte, 64)}.String(),
		"no signature bytes": "text\n\n— a AAAAAA==\n",
		"65 signatures":      many,
		"too long":           strings.Repeat("x", maxNote) + good,
	} {
		if n, err := ParseNote([]byte(s)); !errors.Is(err, ErrMalformed) || n.Text != "" || n.Signatures != nil {
			t.Errorf("%s: %v, %v", what, n, err)
		}
	}
}

func TestVerifierKeys(t *testing.T) {
	const odd = "example.com/odd+00000001+/wEC" // type 0xff: any id goes
	for _, s := range []string{logKey(testOrigin, "log").String(), witnessKey("见证.example", "w").String(), odd} {
		k, err := ParseVerifierKey(s)
		if err != nil || k.String() != s {
			t.Errorf("%s: %v, %v", s, k, err)
		}
	}
	swapped := logKey("a.example", "log")
	good := swapped.String()
	swapped.Type = TypeEd25519Cosigner
	for what, s := range map[string]string{
		"empty":        "",
		"no key":       "a+00000000",
		"no name":      good[len("a.example"):],
		"another name": "b" + good[1:],
		"upper-case":   strings.ToUpper(good[:18]) + good[18:],
		"type swapped": swapped.String(),
		"short":        good[:len(good)-4],
		"newline":      good + "\n",
		"space":        "a b" + good[9:],
		"type alone":   "a+00000000+/w==",
		"ML-DSA key of 32 bytes": VerifierKey{"a.example", keyID("a.example", TypeMLDSA44Cosigner, strings.Repeat("x", 32)),
			TypeMLDSA44Cosigner, strings.Repeat("x", 32)}.String(),
	} {
		if k, err := ParseVerifierKey(s); !errors.Is(err, ErrMalformed) || k != (VerifierKey{}) {
			t.Errorf("%s: %v, %v", what, k, err)
		}
	}
	public := private("log").Public().(ed25519.PublicKey)
	for _, bad := range []struct {
		name    string
		keyType byte
		key     ed25519.PublicKey
	}{{"", 1, public}, {"a b", 1, public}, {"a+b", 1, public}, {"a", 1, public[:31]}, {"a", TypeMLDSA44Cosigner, public}, {"a", 2, public}} {
		if k, err := NewVerifierKey(bad.name, bad.keyType, bad.key); err == nil || k != (VerifierKey{}) {
			t.Errorf("a vkey of name %q, type %d and %d bytes", bad.name, bad.keyType, len(bad.key))
		}
	}
}

// TestSignatureDomains: neither role's signature can be passed off as the other's,
// even where one key holds both.
func TestSignatureDomains(t *testing.T) {
	const body = "log.example/prod/1\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n"
	log, witness := logKey("k", "k"), witnessKey("k", "k")
	asLog, asWitness := sign("k", "k", body), cosign("k", "k", body, 1772352100)
	if _, ok, _ := log.verify(body, asLog.Bytes); !ok {
		t.Error("the log's own signature does not verify")
	}
	if posix, ok, _ := witness.verify(body, asWitness.Bytes); !ok || posix != 1772352100 {
		t.Error("the cosignature does not verify")
	}
	if _, ok, _ := log.verify(body, asWitness.Bytes[8:]); ok {
		t.Error("a cosignature passes for the log's signature")
	}
	if _, ok, _ := witness.verify(body, append(make([]byte, 8), asLog.Bytes...)); ok {
		t.Error("a log's signature passes for a cosignature")
	}
	// The log's key over the cosigned message: that is a cosignature's message, and no checkpoint.
	if _, err := ParseCheckpoint(string(cosigned(body, 1))); err == nil {
		t.Error("what a witness signs parses as a checkpoint")
	}
	if asLog.KeyID == asWitness.KeyID {
		t.Error("one key has one id in both roles")
	}
}

func TestCosignatureTimes(t *testing.T) {
	k := witnessKey("w", "w")
	for _, posix := range []int64{0, 1, maxPOSIX} {
		s := cosign("w", "w", "x\n", posix)
		if got, ok, _ := k.verify("x\n", s.Bytes); !ok || got != posix {
			t.Errorf("time %d: %d, %v", posix, got, ok)
		}
		changed := bytes.Clone(s.Bytes)
		changed[7] ^= 1
		if _, ok, _ := k.verify("x\n", changed); ok {
			t.Errorf("time %d can be changed", posix)
		}
	}
	for _, posix := range []int64{-1, maxPOSIX + 1, 1<<63 - 1} {
		if _, err := k.Cosign("x\n", posix, private("w")); err == nil {
			t.Errorf("a cosignature at %d", posix)
		}
		// Rightly signed all the same: no date can be made of it.
		raw := ed25519.Sign(private("w"), cosigned("x\n", posix))
		stamp := make([]byte, 8)
		for i := range stamp {
			stamp[i] = byte(uint64(posix) >> (56 - 8*i))
		}
		if _, ok, _ := k.verify("x\n", append(stamp, raw...)); ok {
			t.Errorf("a cosignature at %d verifies", posix)
		}
	}
}

func TestSignersAreChecked(t *testing.T) {
	if _, err := logKey("a", "a").Sign("x\n", private("b")); err == nil {
		t.Error("another key signed for the log")
	}
	if _, err := witnessKey("a", "a").Sign("x\n", private("a")); err == nil {
		t.Error("a witness key signed a note")
	}
	if _, err := logKey("a", "a").Cosign("x\n", 1, private("a")); err == nil {
		t.Error("a log key cosigned")
	}
}

// TestHandMadeKeysVerifyNothing: no parser made these, and crypto/ed25519 would panic.
func TestHandMadeKeysVerifyNothing(t *testing.T) {
	for _, keyType := range []byte{TypeEd25519, TypeEd25519Cosigner, TypeMLDSA44Cosigner, 0} {
		k := VerifierKey{Name: "a", Type: keyType, Key: "short"}
		if _, ok, _ := k.verify("x\n", make([]byte, 72)); ok {
			t.Errorf("type %d verifies", keyType)
		}
		if _, ok, _ := k.verify("x\n", make([]byte, 64)); ok {
			t.Errorf("type %d verifies", keyType)
		}
	}
}

func TestMalformedCheckpoints(t *testing.T) {
	good := newTestLog(testOrigin).checkpoint(1).String()
	root := strings.Split(good, "\n")[2]
	for what, s := range map[string]string{
		"empty":          "",
		"extension line": good + "more\n",
		"blank line":     good + "\n",
		"no root":        testOrigin + "\n1\n",
		"no newline":     strings.TrimSuffix(good, "\n"),
		"leading zero":   testOrigin + "\n01\n" + root + "\n",
		"sign":           testOrigin + "\n+1\n" + root + "\n",
		"minus zero":     testOrigin + "\n-0\n" + root + "\n",
		"no size":        testOrigin + "\n\n" + root + "\n",
		"2^63":           testOrigin + "\n9223372036854775808\n" + root + "\n",
		"2^64+1":         testOrigin + "\n18446744073709551617\n" + root + "\n",
		"root of size 0": testOrigin + "\n0\n" + root + "\n",
		"no origin":      "\n1\n" + root + "\n",
		"space":          "log example\n1\n" + root + "\n",
		"plus":           "log+example\n1\n" + root + "\n",
		"CRLF":           strings.ReplaceAll(good, "\n", "\r\n"),
		"many lines":     strings.Repeat("\n", 1<<20),
	} {
		if c, err := ParseCheckpoint(s); !errors.Is(err, ErrMalformed) || c != (Checkpoint{}) {
			t.Errorf("%s: %v, %v", what, c, err)
		}
	}
	largest := Checkpoint{Origin: "x", Size: MaxSize}
	if c, err := ParseCheckpoint(largest.String()); err != nil || c != largest {
		t.Error(c, err)
	}
}

func TestOrigins(t *testing.T) {
	for s, want := range map[string]Environment{
		"localhost/dev/0123456789abcdef":            Dev,
		"log.example/test/1":                        Test,
		"log.example/prod/a-b_c.d":                  Prod,
		"xn--fiq228c.example/prod/1":                Prod,
		strings.Repeat("a", 63) + ".example/prod/1": Prod,
	} {
		if env, err := ParseOrigin(s); err != nil || env != want {
			t.Errorf("%s: %s, %v", s, env, err)
		}
	}
	for _, s := range []string{"", "/", "//", "a/prod", "a/prod/", "/prod/1", "a/prod/1/2", "a/PROD/1", "a/production/1",
		"A/prod/1", "a/prod/L", "a b/prod/1", "a/prod/1\n", "-a/prod/1", "a-/prod/1", "a..b/prod/1", ".a/prod/1", "a./prod/1",
		"a_b/prod/1", "a/prod/-1", "a/prod/1-", "a/prod/é", "日志.example/prod/1", "a:80/prod/1", "https://a/prod/1",
		strings.Repeat("a", 64) + "/prod/1", "a/prod/" + strings.Repeat("1", 122), strings.Repeat("/", 1<<20)} {
		if env, err := ParseOrigin(s); !errors.Is(err, ErrMalformed) || env != "" {
			t.Errorf("%.80q is taken for an origin in %q", s, env)
		}
	}
	if _, err := ParseOrigin("a/prod/" + strings.Repeat("1", 121)); err != nil {
		t.Error("an origin of 128 bytes:", err)
	}
}
