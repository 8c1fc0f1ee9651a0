package proofs

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"io"
	mathrand "math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// p256 is the P-256 key pair of a name in these tests. Its signatures are the same each time
// (RFC 6979), as the vectors need them.
type p256 struct{ *ecdsa.PrivateKey }

func (k p256) Sign(_ io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	return k.PrivateKey.Sign(nil, digest, opts)
}

func privateP256(name string) p256 {
	d := sha256.Sum256([]byte("test key " + name))
	k, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), d[:])
	if err != nil {
		panic(err)
	}
	return p256{k}
}

// signedLoan are the members of a deposit that its depositor signed: as the depository writes
// them down.
func signedLoan(signer crypto.Signer) Record {
	claims, err := NewRecord(
		member("content.sha256", text(digest("借款合同第 7 号"))),
		member("content.name", text("借款合同.pdf")),
		member("contract.number", text("2026-借-000007")),
		member("terms.amount", text("50000.00")),
		member("terms.schedule", must(ParseValue(`[{"due":"2026-04-01","sum":"1000.00"}]`))),
		member("label.branch", text("012")),
	)
	if err != nil {
		panic(err)
	}
	signed, err := SignDeposit(claims, signer)
	if err != nil {
		panic(err)
	}
	return recordOf(append(slices.Clone(signed),
		member("depositor.signed", DepositorSigned(signed)),
		member("depositor.key.registered", Boolean(true)),
		member("id", text("0195fe54-6c51-7a3e-8d8c-3f1f2a9b4c01")),
		member("content.held", Boolean(true)),
		member("content.size", integer(22)),
		member("case.seq", integer(1)),
		member("tenant.name", text("示例小额贷款有限公司")))...)
}

func recordOf(members ...Member) Record {
	r, err := NewRecord(members...)
	if err != nil {
		panic(err)
	}
	return r
}

func must(v Value, err error) Value {
	if err != nil {
		panic(err)
	}
	return v
}

// sealed is the receipt of a record in a log that fixes whatever it is given.
func sealed(record Record) (Receipt, Policy) {
	l := newTestLog(testOrigin)
	i := l.append(KindDeposit, record...)
	return l.receipt(i, i+1), l.policy("quorum none")
}

func with(r Record, name string, v Value) Record {
	return recordOf(append(without(r, name), Member{name, v})...)
}

func without(r Record, name string) Record {
	return slices.DeleteFunc(slices.Clone(r), func(m Member) bool { return m.Name == name })
}

var signers = map[string]crypto.Signer{"Ed25519": private("lender"), "ECDSA P-256": privateP256("lender")}

// TestDepositorSignature: a good signature is told with its key; hidden members leave it
// unchecked, and nothing else changes.
func TestDepositorSignature(t *testing.T) {
	for algorithm, signer := range signers {
		record := signedLoan(signer)
		r, policy := sealed(record)
		key, err := NewDepositorKey(signer.Public())
		if err != nil {
			t.Fatal(err)
		}
		e := verify(t, policy, r, "借款合同第 7 号")
		wantOutcome(t, e, Verified, "")
		want := []string{"content.name", "content.sha256", "contract.number", "depositor.key", "label.branch", "terms.amount", "terms.schedule"}
		if s := e.Depositor; s.Check != DepositorValid || s.Key != key.Fingerprint() || s.Algorithm != algorithm || !s.Registered || s.Demanded || !slices.Equal(s.Members, want) || len(s.Hidden) > 0 {
			t.Errorf("%s: %+v", algorithm, s)
		}
		if said := e.Explain(English); !strings.Contains(strings.Join(said.Proved, "\n"), key.Fingerprint()) || !strings.Contains(strings.Join(said.NotProved, "\n"), "Whose key") {
			t.Errorf("%+v", said)
		}
		for _, m := range record {
			hidden := r
			hidden.Disclosures = Hide(r.Disclosures, func(name string) bool { return name == m.Name })
			e := verify(t, policy, hidden)
			wantOutcome(t, e, Verified, "")
			// The size is the depository's, if that holds the document.
			covers := m.Name == "content.held" || slices.Contains(want, m.Name) || m.Name == "depositor.signature" || m.Name == "depositor.signed"
			switch s := e.Depositor; {
			case !covers && s.Check != DepositorValid, covers && (s.Check != DepositorUnchecked || !slices.Equal(s.Hidden, []string{m.Name})):
				t.Errorf("%s hidden: %+v", m.Name, s)
			case covers && !strings.Contains(strings.Join(e.Explain(Chinese).NotProved, ""), "未作检查"):
				t.Errorf("%s hidden, and not a word of it", m.Name)
			}
		}
	}
	r, policy := minimal()
	if s := verify(t, policy, r).Depositor; s.Check != DepositorUnsigned {
		t.Errorf("without a signature: %+v", s)
	}
}

// TestNoAlteredDepositVerifies: whatever a depository alters of what a depositor signed, and
// fixes in its log, is refused, whichever other members it hides meanwhile.
func TestNoAlteredDepositVerifies(t *testing.T) {
	for algorithm, signer := range signers {
		good := signedLoan(signer)
		refused := func(what string, record Record) {
			t.Helper()
			r, policy := sealed(record)
			e := verify(t, policy, r)
			if e.Outcome() != Refused || e.Reason != ReasonDepositorSignature || e.Depositor.Check != "" {
				t.Errorf("%s, %s: %s %q", algorithm, what, e.Outcome(), e.Reason)
			}
			for _, m := range record {
				hidden := r
				hidden.Disclosures = Hide(r.Disclosures, func(name string) bool { return name == m.Name })
				if e := verify(t, policy, hidden); e.Depositor.Check == DepositorValid {
					t.Errorf("%s, %s, %s hidden: valid", algorithm, what, m.Name)
				}
			}
		}
		v, _ := good.Get("depositor.signature")
		signature, _ := v.Text()
		raw, _ := decodeBase64(signature)
		for i := range raw {
			flipped := slices.Clone(raw)
			flipped[i] ^= 1
			refused("a bit of the signature", with(good, "depositor.signature", text(base64.StdEncoding.EncodeToString(flipped))))
		}
		refused("no base64", with(good, "depositor.signature", text("x"+signature)))
		refused("no signature", with(good, "depositor.signature", text("")))
		refused("no text", with(good, "depositor.signature", integer(1)))
		for _, name := range []string{"content.name", "content.sha256", "contract.number", "label.branch", "terms.amount", "terms.schedule"} {
			refused(name+" altered", with(good, name, text("other")))
			refused(name+" left out", without(good, name))
		}
		for _, name := range []string{"depositor.signature", "depositor.key", "depositor.signed"} {
			refused(name+" left out", without(good, name))
		}
		other, _ := NewDepositorKey(private("thief").Public())
		refused("another key", with(good, "depositor.key", text(other.String())))
		refused("no key", with(good, "depositor.key", text("no key")))
		for _, name := range []string{"label.more", "party.0.name", "terms.rate", "contract.title", "content.type", "provenance.system", "provenance.generated"} {
			refused("words put into the depositor's mouth", with(good, name, text("x")))
		}
		// The list itself.
		v, _ = good.Get("depositor.signed")
		names := strings.Split(strings.Trim(v.JSON(), "[]"), ",")
		list := func(names ...string) Record {
			return with(good, "depositor.signed", must(ParseValue("["+strings.Join(names, ",")+"]")))
		}
		for i := range names {
			refused("a name left out of the list", list(slices.Delete(slices.Clone(names), i, i+1)...))
			refused("a name twice in the list", list(slices.Insert(slices.Clone(names), i, names[i])...))
			refused("another name in the list", list(slices.Replace(slices.Clone(names), i, i+1, `"id"`)...))
		}
		reversed := slices.Clone(names)
		slices.Reverse(reversed)
		refused("the list backwards", list(reversed...))
		refused("an empty list", list())
		refused("a list within the list", list("["+strings.Join(names, ",")+"]"))
		refused("the depository's id in the list", list(append(slices.Clone(names[:4]), append([]string{`"id"`}, names[4:]...)...)...))
		refused("no list", with(good, "depositor.signed", text(names[0])))
		// Digest only: everything said of the content is the depositor's.
		refused("a size put into the depositor's mouth", with(good, "content.held", Boolean(false)))
	}
}

// TestDepositorMessagesDiffer: two sets of members never have one message.
func TestDepositorMessagesDiffer(t *testing.T) {
	values := []string{`""`, `"a"`, `"]"`, `"],[\"b\",\"c\""`, `1`, `true`, `[]`, `{}`, `["a"]`}
	random := mathrand.New(mathrand.NewPCG(1, 2))
	draw := func() Record {
		var members []Member
		for _, name := range []string{"content.sha256", "label.a", "label.b", "terms.a"} {
			if random.IntN(3) > 0 {
				members = append(members, Member{name, must(ParseValue(values[random.IntN(len(values))]))})
			}
		}
		return members
	}
	seen := map[string]string{}
	for range 20_000 {
		r := draw()
		message := string(DepositorMessage(r))
		if was, ok := seen[message]; ok && was != r.JSON() {
			t.Fatalf("%s and %s", was, r.JSON())
		}
		seen[message] = r.JSON()
	}
	if len(seen) < 5_000 {
		t.Errorf("only %d", len(seen))
	}
}

// TestDepositorKeyDemanded: who asks for a key gets nothing verified that is not signed by it.
func TestDepositorKeyDemanded(t *testing.T) {
	signer := private("lender")
	key, _ := NewDepositorKey(signer.Public())
	other, _ := NewDepositorKey(privateP256("lender").Public())
	signed, policy := sealed(signedLoan(signer))
	hide := func(name string) Receipt {
		r := signed
		r.Disclosures = Hide(signed.Disclosures, func(n string) bool { return n == name })
		return r
	}
	unsigned, _ := minimal()
	genesis := newTestLog(testOrigin).receipt(0, 1)
	stranger, _ := sealed(strangeKey())
	for _, c := range []struct {
		what    string
		r       Receipt
		keys    []string
		outcome Outcome
		reason  Reason
	}{
		{"the key", signed, []string{key.Fingerprint()}, Verified, ""},
		{"one of two", signed, []string{other.Fingerprint(), key.Fingerprint()}, Verified, ""},
		{"another", signed, []string{other.Fingerprint()}, Refused, ReasonDepositorKey},
		{"no signature", unsigned, []string{key.Fingerprint()}, Refused, ReasonDepositorKey},
		{"no deposit", genesis, []string{key.Fingerprint()}, Refused, ReasonDepositorKey},
		{"a signed member hidden", hide("terms.amount"), []string{key.Fingerprint()}, Undecided, ReasonDepositorUnchecked},
		{"the key hidden", hide("depositor.key"), []string{key.Fingerprint()}, Undecided, ReasonDepositorUnchecked},
		{"a member hidden, another key", hide("terms.amount"), []string{other.Fingerprint()}, Refused, ReasonDepositorKey},
		{"an algorithm not at hand", stranger, []string{fingerprint([]byte("an SM2 key"))}, Undecided, ReasonDepositorUnchecked},
	} {
		e, err := NewVerifier(policy, WithDepositorKeys(c.keys...)).Verify(c.r, nil)
		if err != nil || e.Outcome() != c.outcome || e.Reason != c.reason {
			t.Errorf("%s: %s %q %v", c.what, e.Outcome(), e.Reason, err)
		}
		if e.Depositor.Demanded != (c.outcome == Verified) {
			t.Errorf("%s: %+v", c.what, e.Depositor)
		}
	}
	if e := verify(t, policy, stranger); e.Outcome() != Verified || e.Depositor.Check != DepositorUnchecked || len(e.Depositor.Hidden) > 0 || e.Depositor.Key != fingerprint([]byte("an SM2 key")) {
		t.Errorf("an algorithm not at hand: %s %+v", e.Outcome(), e.Depositor)
	}
}

// strangeKey is a record signed in an algorithm of a later day.
func strangeKey() Record {
	record := with(signedLoan(private("lender")), "depositor.key", text(b64("an SM2 key")))
	return with(record, "depositor.signature", text(b64("a signature")))
}

func TestDepositorKeys(t *testing.T) {
	for algorithm, signer := range signers {
		k, err := NewDepositorKey(signer.Public())
		if err != nil {
			t.Fatal(err)
		}
		again, err := ParseDepositorKey(k.String())
		if err != nil || again.String() != k.String() || again.Algorithm() != algorithm {
			t.Errorf("%s: %v", k, err)
		}
		for _, bad := range []string{"", k.String()[:40], k.String() + "AAAA", "AAAA" + k.String(), strings.ToLower(k.String())} {
			if _, err := ParseDepositorKey(bad); err == nil {
				t.Errorf("%s is a key", bad)
			}
		}
	}
	p384, _ := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if _, err := NewDepositorKey(p384.Public()); err == nil {
		t.Error("P-384 is one")
	}
	offCurve := base64.StdEncoding.EncodeToString([]byte(spkiP256 + "\x04" + strings.Repeat("\x01", 64)))
	if _, err := ParseDepositorKey(offCurve); err == nil {
		t.Error("a point that is not on the curve is a key")
	}
	if (DepositorKey{}).Verify(nil, "") {
		t.Error("no key verifies")
	}
}

// TestOpenSSLSignsDeposits: what openssl signs we believe, and what we sign it believes.
func TestOpenSSLSignsDeposits(t *testing.T) {
	dir := t.TempDir()
	run := func(args ...string) []byte {
		t.Helper()
		c := exec.Command("openssl", args...)
		c.Dir = dir
		out, err := c.CombinedOutput()
		if err != nil {
			t.Fatalf("openssl %v: %v %s", args, err, out)
		}
		return out
	}
	write := func(name string, data []byte) {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	read := func(name string) []byte {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	for _, c := range []struct {
		signer       crypto.Signer
		sign, verify []string
	}{
		{signers["Ed25519"], []string{"pkeyutl", "-sign", "-inkey", "key", "-rawin", "-in", "m", "-out", "sig"}, []string{"pkeyutl", "-verify", "-pubin", "-inkey", "pub", "-rawin", "-in", "m", "-sigfile", "sig"}},
		{signers["ECDSA P-256"], []string{"dgst", "-sha256", "-sign", "key", "-out", "sig", "m"}, []string{"dgst", "-sha256", "-verify", "pub", "-signature", "sig", "m"}},
	} {
		if strings.HasPrefix(c.sign[0], "pkeyutl") {
			run("genpkey", "-algorithm", "ed25519", "-out", "key")
		} else {
			run("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", "key")
		}
		run("pkey", "-in", "key", "-pubout", "-outform", "DER", "-out", "der")
		key, err := ParseDepositorKey(base64.StdEncoding.EncodeToString(read("der")))
		if err != nil {
			t.Fatal(err)
		}
		members := recordOf(member("content.sha256", text(digest("loan"))), member("depositor.key", text(key.String())), member("label.a", text("借")))
		write("m", DepositorMessage(members))
		run(c.sign...)
		if !key.Verify(members, base64.StdEncoding.EncodeToString(read("sig"))) {
			t.Error("openssl's signature does not verify")
		}
		// And the other way about.
		ours, err := SignDeposit(without(members, "depositor.key"), c.signer)
		if err != nil {
			t.Fatal(err)
		}
		ourKey, _ := NewDepositorKey(c.signer.Public())
		v, _ := ours.Get("depositor.signature")
		signature, _ := v.Text()
		raw, _ := decodeBase64(signature)
		write("sig", raw)
		write("m", DepositorMessage(ours))
		write("der", []byte(ourKey.spki))
		run("pkey", "-pubin", "-inform", "DER", "-in", "der", "-out", "pub")
		run(c.verify...)
	}
}
