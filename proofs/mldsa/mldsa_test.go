package mldsa

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"filippo.io/mldsa"

	"github.com/muniment/muniment/proofs"
)

const origin = "log.example/prod/1"

// posix is when the cosignatures of these tests were made.
const posix = 1772352100

// seeded is a key pair that goes by a name in these tests.
func seeded(t testing.TB, name string) (proofs.VerifierKey, *mldsa.PrivateKey) {
	t.Helper()
	seed := sha256.Sum256([]byte("test key " + name))
	private, err := mldsa.NewPrivateKey(mldsa.MLDSA44(), seed[:])
	must(t, err)
	k, err := proofs.NewVerifierKey(name, proofs.TypeMLDSA44Cosigner, private.PublicKey().Bytes())
	must(t, err)
	return k, private
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func classic(t testing.TB, name string, keyType byte) (proofs.VerifierKey, ed25519.PrivateKey) {
	t.Helper()
	seed := sha256.Sum256([]byte("test key " + name))
	private := ed25519.NewKeyFromSeed(seed[:])
	k, err := proofs.NewVerifierKey(name, keyType, private.Public().(ed25519.PublicKey))
	must(t, err)
	return k, private
}

func checkpoint(size uint64) proofs.Checkpoint {
	return proofs.Checkpoint{Origin: origin, Size: size, Root: proofs.LeafHash(binary.BigEndian.AppendUint64(nil, size))}
}

// fixed cosigns with the deterministic variant, so that vectors are the same each time.
func fixed(t testing.TB, k proofs.VerifierKey, private *mldsa.PrivateKey, cp proofs.Checkpoint, posix uint64) proofs.Signature {
	t.Helper()
	message, err := cosigned(k.Name, posix, cp)
	must(t, err)
	raw, err := private.SignDeterministic(message, nil)
	must(t, err)
	return proofs.Signature{Name: k.Name, KeyID: k.ID, Bytes: append(binary.BigEndian.AppendUint64(nil, posix), raw...)}
}

// TestSignedMessage is the structure of C2SP tlog-cosignature, byte for byte.
func TestSignedMessage(t *testing.T) {
	cp := checkpoint(0x0102030405060708)
	got, err := cosigned("w.example", 0x1112131415161718, cp)
	must(t, err)
	want, err := hex.DecodeString("737562747265652f76310a00" + // subtree/v1 LF NUL
		"09" + hex.EncodeToString([]byte("w.example")) + "1112131415161718" +
		"12" + hex.EncodeToString([]byte(origin)) +
		"0000000000000000" + "0102030405060708" + hex.EncodeToString(cp.Root[:]))
	must(t, err)
	if !bytes.Equal(got, want) {
		t.Errorf("%x", got)
	}
	for _, name := range []string{"", strings.Repeat("x", 256)} {
		if _, err := cosigned(name, 1, cp); err == nil {
			t.Errorf("a name of %d bytes", len(name))
		}
		if _, err := cosigned("w", 1, proofs.Checkpoint{Origin: name}); err == nil {
			t.Errorf("an origin of %d bytes", len(name))
		}
	}
	if _, err := cosigned(strings.Repeat("x", 255), 1, cp); err != nil {
		t.Error(err)
	}
}

// TestAlteredCosignatures: no bit of signature, key, name or checkpoint can be changed.
func TestAlteredCosignatures(t *testing.T) {
	k, private := seeded(t, "w.example")
	cp := checkpoint(7)
	s, err := Cosign(k, cp, posix, private)
	must(t, err)
	if at, ok := Verify(k, cp, s.Bytes); !ok || at != posix {
		t.Fatal("a good cosignature does not verify")
	}
	step := 61
	if os.Getenv("MUNIMENT_TORTURE") != "" {
		step = 1
	}
	for i := 0; i < len(s.Bytes)*8; i += step {
		changed := bytes.Clone(s.Bytes)
		changed[i/8] ^= 1 << (i % 8)
		if _, ok := Verify(k, cp, changed); ok {
			t.Fatalf("bit %d of the signature", i)
		}
	}
	for n := range len(s.Bytes) {
		if _, ok := Verify(k, cp, s.Bytes[:n]); ok {
			t.Fatalf("%d bytes", n)
		}
	}
	if _, ok := Verify(k, cp, append(bytes.Clone(s.Bytes), 0)); ok {
		t.Error("a byte more")
	}
	key := []byte(k.Key)
	for i := 0; i < len(key)*8; i += step {
		key[i/8] ^= 1 << (i % 8)
		if _, ok := Verify(proofs.VerifierKey{Name: k.Name, ID: k.ID, Type: k.Type, Key: string(key)}, cp, s.Bytes); ok {
			t.Fatalf("bit %d of the key", i)
		}
		key[i/8] ^= 1 << (i % 8)
	}
	other := k
	other.Name = "x.example"
	root := cp
	root.Root[31] ^= 1
	for what, c := range map[string]struct {
		k  proofs.VerifierKey
		cp proofs.Checkpoint
	}{
		"another name":   {other, cp},
		"another origin": {k, proofs.Checkpoint{Origin: origin + "1", Size: cp.Size, Root: cp.Root}},
		"another size":   {k, proofs.Checkpoint{Origin: origin, Size: 8, Root: cp.Root}},
		"another root":   {k, root},
		// Name and origin have their lengths before them: none runs into the other.
		"a byte moved":     {k, proofs.Checkpoint{Origin: origin[1:], Size: cp.Size, Root: cp.Root}},
		"no key":           {proofs.VerifierKey{Name: k.Name, Type: k.Type}, cp},
		"an Ed25519 key":   {proofs.VerifierKey{Name: k.Name, Type: proofs.TypeEd25519Cosigner, Key: k.Key}, cp},
		"a key of no type": {proofs.VerifierKey{Name: k.Name, Key: k.Key}, cp},
	} {
		if _, ok := Verify(c.k, c.cp, s.Bytes); ok {
			t.Error(what)
		}
	}
	for _, at := range []int64{0, -1} {
		if _, err := Cosign(k, cp, at, private); err == nil {
			t.Error("cosigned at", at)
		}
	}
	_, stranger := seeded(t, "x.example")
	if _, err := Cosign(k, cp, posix, stranger); err == nil {
		t.Error("another's signature is handed out")
	}
}

var update = flag.Bool("update", false, "write ../testdata/mldsa anew")

// A vector is a checkpoint's note for a verifier that has ML-DSA-44.
type vector struct {
	name, what string
	outcome    proofs.Outcome
	reason     proofs.Reason
	policy     string
	note       proofs.Note
}

func (v vector) file() []byte {
	head := fmt.Sprintf("expect: %s\n", v.outcome)
	if v.reason != "" {
		head += fmt.Sprintf("reason: %s\n", v.reason)
	}
	head += fmt.Sprintf("what: %s\npolicy: %s\n\n", v.what, base64.StdEncoding.EncodeToString([]byte(v.policy)))
	return append([]byte(head), v.note.Marshal()...)
}

func vectors(t testing.TB) []vector {
	cp := checkpoint(7)
	text := cp.String()
	logKey, logPrivate := classic(t, origin, proofs.TypeEd25519)
	log, err := logKey.Sign(text, logPrivate)
	must(t, err)
	e, ePrivate := classic(t, "w.example", proofs.TypeEd25519Cosigner)
	ed, err := e.Cosign(text, posix, ePrivate)
	must(t, err)
	m, mPrivate := seeded(t, "w.example")
	n, nPrivate := seeded(t, "n.example")
	ml := fixed(t, m, mPrivate, cp, posix)
	logs := "log " + logKey.String() + "\n"
	alone := logs + "witness M " + m.String() + "\nquorum M\n"
	either := logs + "witness E " + e.String() + "\nwitness M " + m.String() + "\ngroup W any E M\nquorum W\n"
	two := logs + "witness E " + e.String() + "\nwitness M " + m.String() + "\ngroup W any E M\nwitness N " + n.String() + "\ngroup Q 2 W N\nquorum Q\n"
	byML := func(k proofs.VerifierKey) string { return "log " + k.String() + "\nquorum none\n" }
	var out []vector
	add := func(name, what string, outcome proofs.Outcome, reason proofs.Reason, policy string, signatures ...proofs.Signature) {
		out = append(out, vector{name, what, outcome, reason, policy, proofs.Note{Text: text, Signatures: signatures}})
	}
	changed := func(s proofs.Signature, at int) proofs.Signature {
		s.Bytes = bytes.Clone(s.Bytes)
		s.Bytes[at] ^= 1
		return s
	}
	add("alone", "the quorum is an ML-DSA-44 key", proofs.Verified, "", alone, log, ml)
	add("either-ml-dsa", "a witness of two keys, cosigned by ML-DSA-44", proofs.Verified, "", either, log, ml)
	add("either-ed25519", "the same, by Ed25519", proofs.Verified, "", either, log, ed)
	add("either-both", "the same, by both", proofs.Verified, "", either, log, ed, ml)
	add("counts-once", "both keys of one witness where two witnesses are asked for", proofs.Refused, proofs.ReasonQuorum, two, log, ed, ml)
	add("two", "one key each of two witnesses", proofs.Verified, "", two, log, ml, fixed(t, n, nPrivate, cp, posix))
	add("missing", "the log alone", proofs.Refused, proofs.ReasonQuorum, alone, log)
	add("bad-signature", "one bit of the signature", proofs.Refused, proofs.ReasonWitness, alone, log, changed(ml, 1000))
	add("bad-time", "one bit of the time", proofs.Refused, proofs.ReasonWitness, alone, log, changed(ml, 7))
	add("bad-unneeded", "Ed25519 would be enough, but a known key's signature is bad", proofs.Refused, proofs.ReasonWitness, either, log, ed, changed(ml, 2427))
	add("no-time", "a good cosignature whose time is 0: it does not say that this was the newest state", proofs.Refused, proofs.ReasonWitness, alone, log, fixed(t, m, mPrivate, cp, 0))
	add("year-10000", "a good cosignature from after the year 9999", proofs.Refused, proofs.ReasonWitness, alone, log, fixed(t, m, mPrivate, cp, 253402300800))
	add("other-size", "a good cosignature on another size", proofs.Refused, proofs.ReasonWitness, alone, log, fixed(t, m, mPrivate, checkpoint(8), posix))
	other := fixed(t, n, nPrivate, cp, posix)
	other.Name, other.KeyID = m.Name, m.ID
	add("other-witness", "another witness's cosignature under this one's name and id", proofs.Refused, proofs.ReasonWitness, alone, log, other)
	asEd := proofs.Signature{Name: m.Name, KeyID: m.ID, Bytes: ed.Bytes}
	add("ed25519-bytes", "an Ed25519 cosignature under the ML-DSA-44 key's id", proofs.Refused, proofs.ReasonWitness, alone, log, asEd)
	own, ownPrivate := seeded(t, origin)
	add("log", "a log that signs by ML-DSA-44", proofs.Verified, "", byML(own), fixed(t, own, ownPrivate, cp, posix))
	add("log-without-time", "the same, without a time: a log need not state one", proofs.Verified, "", byML(own), fixed(t, own, ownPrivate, cp, 0))
	add("log-bad", "the same, one bit of the signature", proofs.Refused, proofs.ReasonLogSignature, byML(own), changed(fixed(t, own, ownPrivate, cp, posix), 99))
	return out
}

// TestVectors: ../testdata/mldsa holds what is made here, each comes to its verdict, and
// without the plug-in nothing is verified that needs it.
//
//	go test ./proofs/mldsa -run TestVectors -update
func TestVectors(t *testing.T) {
	const folder = "../testdata/mldsa"
	if *update {
		must(t, os.RemoveAll(folder))
		must(t, os.MkdirAll(folder, 0o755))
	}
	var names []string
	for _, v := range vectors(t) {
		path := filepath.Join(folder, v.name+".txt")
		names = append(names, path)
		if *update {
			must(t, os.WriteFile(path, v.file(), 0o644))
		}
		data, err := os.ReadFile(path)
		must(t, err)
		if !bytes.Equal(data, v.file()) {
			t.Errorf("%s is not what is made here", path)
		}
		policy, err := proofs.ParsePolicy([]byte(v.policy))
		must(t, err)
		note := v.note.Marshal()
		if _, outcome, reason := proofs.NewVerifier(policy, Plugged()).Checkpoint(note); outcome != v.outcome || reason != v.reason {
			t.Errorf("%s: %s %q, want %s %q", v.name, outcome, reason, v.outcome, v.reason)
		}
		// Ed25519 decides these by itself; of the others the answer is open at best.
		_, outcome, reason := proofs.NewVerifier(policy).Checkpoint(note)
		byEd25519 := slices.Contains([]string{"either-ed25519", "either-both", "bad-unneeded"}, v.name)
		if outcome == proofs.Verified != byEd25519 || outcome == proofs.Undecided && reason != proofs.ReasonAlgorithm {
			t.Errorf("%s, without the plug-in: %s %q", v.name, outcome, reason)
		}
	}
	there, err := filepath.Glob(filepath.Join(folder, "*"))
	must(t, err)
	slices.Sort(names)
	if !slices.Equal(there, names) {
		t.Errorf("%s holds %v", folder, there)
	}
}

// TestPluggedKeepsEd25519: a plug-in for a type that the core knows changes nothing.
func TestPluggedKeepsEd25519(t *testing.T) {
	text := checkpoint(7).String()
	k, private := classic(t, origin, proofs.TypeEd25519)
	s, err := k.Sign(text, private)
	must(t, err)
	s.Bytes[0] ^= 1
	policy, err := proofs.ParsePolicy([]byte("log " + k.String() + "\nquorum none\n"))
	must(t, err)
	yes := proofs.WithAlgorithm(proofs.Algorithm{Type: proofs.TypeEd25519, Verify: func(proofs.VerifierKey, string, []byte) (int64, bool) { return 1, true }})
	note := proofs.Note{Text: text, Signatures: []proofs.Signature{s}}.Marshal()
	if _, outcome, reason := proofs.NewVerifier(policy, yes).Checkpoint(note); outcome != proofs.Refused || reason != proofs.ReasonLogSignature {
		t.Errorf("%s %s", outcome, reason)
	}
}

func FuzzVerify(f *testing.F) {
	k, private := seeded(f, "w.example")
	s, err := Cosign(k, checkpoint(7), posix, private)
	must(f, err)
	f.Add(k.String(), checkpoint(7).String(), s.Bytes)
	f.Fuzz(func(t *testing.T, vkey, text string, signature []byte) {
		k, err := proofs.ParseVerifierKey(vkey)
		if err != nil {
			return
		}
		if at, ok := verifyText(k, text, signature); ok && at < 0 || !ok && at != 0 {
			t.Error(at, ok)
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	k, private := seeded(b, "w.example")
	cp := checkpoint(7)
	s, err := Cosign(k, cp, posix, private)
	must(b, err)
	for b.Loop() {
		if _, ok := Verify(k, cp, s.Bytes); !ok {
			b.Fatal()
		}
	}
}
