package proofs

import (
	"bytes"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"io"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
)

func TestVerifyAgainstDocuments(t *testing.T) {
	l := newTestLog(testOrigin)
	i := loan(l)
	policy := l.policy(witnessLine("A", "w1.example"), "quorum A")
	shown := l.receipt(i, 2, "w1.example")
	hidden := shown
	hidden.Disclosures = Hide(shown.Disclosures, func(name string) bool { return name == "content.sha256" })

	none := verify(t, policy, shown)
	wantOutcome(t, none, Verified, "")
	if none.Document != DocumentUnchecked || none.DocumentSHA256 != "" || none.Level != Witnessed {
		t.Error(none)
	}
	matching := verify(t, policy, shown, "借款合同第 7 号")
	wantOutcome(t, matching, Verified, "")
	if matching.Document != DocumentMatches || matching.DocumentSHA256 != matching.Digest() {
		t.Error(matching)
	}
	differing := verify(t, policy, shown, "借款合同第 8 号")
	wantOutcome(t, differing, Refused, ReasonDocument)
	if differing.Document != DocumentDiffers || differing.DocumentSHA256 == differing.Digest() {
		t.Error(differing)
	}
	empty := verify(t, policy, shown, "")
	wantOutcome(t, empty, Refused, ReasonDocument)
	if empty.DocumentSHA256 != digest("") {
		t.Error(empty)
	}
	undecided := verify(t, policy, hidden, "借款合同第 7 号")
	wantOutcome(t, undecided, Undecided, ReasonDigestHidden)
	if undecided.Document != DocumentUnchecked || undecided.Digest() != "" || !slices.Equal(undecided.Hidden, []string{"content.sha256"}) {
		t.Error(undecided)
	}
	wantOutcome(t, verify(t, policy, hidden), Verified, "")
}

// TestSM3: a second digest that is shown must fit too, where its hash is at hand; by itself
// it proves nothing. SHA-512/256 stands for SM3, whose own vectors are those of proofs/sm.
func TestSM3(t *testing.T) {
	const document = "借款合同第 7 号"
	sum := sha512.Sum512_256([]byte(document))
	l := newTestLog(testOrigin)
	good := l.deposit(document, member("content.sm3", text(hex.EncodeToString(sum[:]))))
	bad := l.deposit(document, member("content.sm3", text(strings.Repeat("0", 64))))
	policy := l.policy("quorum none")
	with, without := NewVerifier(policy, WithSM3(sha512.New512_256)), NewVerifier(policy)
	judge := func(v *Verifier, index uint64, hide string, document string) Evidence {
		t.Helper()
		r := l.receipt(index, 3)
		r.Disclosures = Hide(r.Disclosures, func(name string) bool { return name == hide })
		e, err := v.Verify(r, strings.NewReader(document))
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	e := judge(with, good, "", document)
	wantOutcome(t, e, Verified, "")
	if e.DocumentSM3 != e.DigestSM3() || !strings.Contains(strings.Join(e.Explain(English).Proved, "\n"), e.DigestSM3()) {
		t.Error(e)
	}
	e = judge(with, bad, "", document)
	wantOutcome(t, e, Refused, ReasonSM3)
	if e.Document != DocumentDiffers {
		t.Error(e.Document)
	}
	wantOutcome(t, judge(with, good, "", document+" "), Refused, ReasonDocument)
	wantOutcome(t, judge(with, good, "content.sha256", document), Undecided, ReasonDigestHidden)
	for _, e := range []Evidence{judge(without, good, "", document), judge(without, bad, "", document), judge(with, bad, "content.sm3", document)} {
		wantOutcome(t, e, Verified, "")
		if e.DocumentSM3 != "" || strings.Contains(strings.Join(e.Explain(English).Proved, "\n"), "SM3") {
			t.Error("SM3 is said to be proved")
		}
	}
}

func TestEmptyDocumentCanBeDeposited(t *testing.T) {
	l := newTestLog(testOrigin)
	i := l.deposit("")
	e := verify(t, l.policy("quorum none"), l.receipt(i, 2), "")
	wantOutcome(t, e, Verified, "")
	if e.Document != DocumentMatches {
		t.Error(e.Document)
	}
}

// TestOnlyADepositIsAboutADocument: other kinds may show a digest, and it means nothing.
func TestOnlyADepositIsAboutADocument(t *testing.T) {
	l := newTestLog(testOrigin)
	for _, kind := range []Kind{KindNotice, KindKey, KindFacts} {
		i := l.append(kind, member("content.sha256", text(digest("x"))))
		e := verify(t, l.policy("quorum none"), l.receipt(i, i+1), "x")
		wantOutcome(t, e, Refused, ReasonNoDocument)
		if e.Document != DocumentUnchecked {
			t.Error(kind, e.Document)
		}
		wantOutcome(t, verify(t, l.policy("quorum none"), l.receipt(i, i+1)), Verified, "")
	}
	wantOutcome(t, verify(t, l.policy("quorum none"), l.receipt(0, 1), "x"), Refused, ReasonNoDocument)
	wantOutcome(t, verify(t, l.policy("quorum none"), l.receipt(0, 1)), Verified, "")
}

// TestDigestsOfAnotherForm: what is not the lower-case hex of the digest never matches.
func TestDigestsOfAnotherForm(t *testing.T) {
	l := newTestLog(testOrigin)
	for _, v := range []Value{text(strings.ToUpper(digest("x"))), text(""), integer(5), text(digest("x") + "\n"), Boolean(true)} {
		i := l.append(KindDeposit, member("content.sha256", v))
		if e := verify(t, l.policy("quorum none"), l.receipt(i, i+1), "x"); e.Outcome() == Verified || e.Document == DocumentMatches {
			t.Errorf("%s matches", v.JSON())
		}
	}
	i := l.append(KindDeposit, member("content.sha512", text(digest("x"))))
	wantOutcome(t, verify(t, l.policy("quorum none"), l.receipt(i, i+1), "x"), Undecided, ReasonDigestHidden)
}

type failing struct{ err error }

func (f failing) Read(p []byte) (int, error) { return copy(p, "loan 1"), f.err }

func TestReaderErrors(t *testing.T) {
	r, policy := minimal()
	broken := errors.New("disk on fire")
	e, err := NewVerifier(policy).Verify(r, failing{broken})
	if !errors.Is(err, broken) {
		t.Error(err)
	}
	wantOutcome(t, e, Undecided, "")
	if e.Document != DocumentUnchecked || e.DocumentSHA256 != "" {
		t.Error(e)
	}
	if x := e.Explain(English); strings.Contains(x.Verdict, "VERIFIED") || strings.Contains(x.Verdict, "%!") {
		t.Error(x.Verdict)
	}
	// An unsound receipt is refused before its document is read.
	r.Index = 0
	e, err = NewVerifier(policy).Verify(r, failing{broken})
	if err != nil {
		t.Error(err)
	}
	wantOutcome(t, e, Refused, ReasonGenesisPlaced)
}

// TestZeroEvidenceIsUndecided: only Verify makes anything else.
func TestZeroEvidenceIsUndecided(t *testing.T) {
	var e Evidence
	wantOutcome(t, e, Undecided, "")
	if held, shown := e.Held(); held || shown || e.Digest() != "" {
		t.Error("the zero Evidence holds something")
	}
	for _, o := range []Outcome{Undecided, Verified, Refused} {
		if o.String() == "" {
			t.Error("an outcome without a name")
		}
	}
}

func TestHeld(t *testing.T) {
	l := newTestLog(testOrigin)
	for _, held := range []bool{true, false} {
		i := l.deposit("x", member("content.held", Boolean(held)))
		if got, shown := verify(t, l.policy("quorum none"), l.receipt(i, i+1)).Held(); got != held || !shown {
			t.Error(held, got, shown)
		}
	}
}

// TestPartsAreBoundTogether takes parts of sound receipts and joins them anew.
func TestPartsAreBoundTogether(t *testing.T) {
	l, other := newTestLog(testOrigin), newTestLog("log.example/prod/2")
	for i := range 8 {
		l.deposit("ours " + string(rune('0'+i)))
		other.deposit("theirs " + string(rune('0'+i)))
	}
	policy := l.policy(witnessLine("A", "w1"), "quorum A")
	a, b, c := l.receipt(3, 8, "w1"), l.receipt(4, 8, "w1"), other.receipt(3, 8, "w1")
	join := func(change func(r *Receipt)) Receipt {
		r := a
		change(&r)
		return r
	}
	strip := func(note []byte, keep func(Signature) bool) []byte {
		n, _ := ParseNote(note)
		n.Signatures = slices.DeleteFunc(n.Signatures, func(s Signature) bool { return !keep(s) })
		return n.Marshal()
	}
	small := l.checkpoint(8).String()
	for what, c := range map[string]struct {
		r      Receipt
		reason Reason
	}{
		"record of another entry":       {join(func(r *Receipt) { r.Disclosures = b.Disclosures }), ReasonCommitment},
		"entry of another record":       {join(func(r *Receipt) { r.Entry = b.Entry }), ReasonCommitment},
		"entry and record of another":   {join(func(r *Receipt) { r.Entry, r.Disclosures = b.Entry, b.Disclosures }), ReasonInclusion},
		"index of another":              {join(func(r *Receipt) { r.Index = 4 }), ReasonInclusion},
		"index 0":                       {join(func(r *Receipt) { r.Index = 0 }), ReasonGenesisPlaced},
		"index of the size":             {join(func(r *Receipt) { r.Index = 8 }), ReasonInclusion},
		"path of another":               {join(func(r *Receipt) { r.Path = b.Path }), ReasonInclusion},
		"another kind":                  {join(func(r *Receipt) { r.Entry.Kind = KindFacts }), ReasonInclusion},
		"genesis elsewhere":             {join(func(r *Receipt) { r.Entry.Kind = KindGenesis }), ReasonGenesisPlaced},
		"another time":                  {join(func(r *Receipt) { r.Entry.Time = b.Entry.Time }), ReasonInclusion},
		"a checkpoint of another size":  {join(func(r *Receipt) { r.Checkpoint = l.note(9, "w1") }), ReasonInclusion},
		"a checkpoint before the entry": {join(func(r *Receipt) { r.Checkpoint = l.note(3, "w1") }), ReasonInclusion},
		"another log's checkpoint":      {join(func(r *Receipt) { r.Checkpoint = c.Checkpoint }), ReasonUnknownLog},
		"another log's receipt":         {c, ReasonUnknownLog},
		"no log signature":              {join(func(r *Receipt) { r.Checkpoint = strip(r.Checkpoint, func(s Signature) bool { return s.Name == "w1" }) }), ReasonLogSignature},
		"no cosignature":                {join(func(r *Receipt) { r.Checkpoint = strip(r.Checkpoint, func(s Signature) bool { return s.Name != "w1" }) }), ReasonQuorum},
		"the log by another key": {join(func(r *Receipt) {
			r.Checkpoint = Note{small, []Signature{sign(testOrigin, "evil", small), cosign("w1", "w1", small, 1)}}.Marshal()
		}), ReasonLogSignature},
		"the witness by another key": {join(func(r *Receipt) {
			r.Checkpoint = Note{small, []Signature{sign(testOrigin, "log", small), cosign("w1", "evil", small, 1)}}.Marshal()
		}), ReasonQuorum},
		"a signature of another note": {join(func(r *Receipt) {
			r.Checkpoint = Note{small, []Signature{sign(testOrigin, "log", l.checkpoint(7).String()), cosign("w1", "w1", small, 1)}}.Marshal()
		}), ReasonLogSignature},
		"a cosignature of another note": {join(func(r *Receipt) {
			r.Checkpoint = Note{small, []Signature{sign(testOrigin, "log", small), cosign("w1", "w1", l.checkpoint(7).String(), 1)}}.Marshal()
		}), ReasonWitness},
		"an extension line": {join(func(r *Receipt) {
			x := small + "more\n"
			r.Checkpoint = Note{x, []Signature{sign(testOrigin, "log", x), cosign("w1", "w1", x, 1)}}.Marshal()
		}), ReasonNote},
		"an origin that is none of ours": {join(func(r *Receipt) {
			x := "example.com/log\n8\n" + Hash{}.String() + "\n"
			r.Checkpoint = Note{x, []Signature{sign("example.com/log", "log", x)}}.Marshal()
		}), ReasonNote},
		"no note": {join(func(r *Receipt) { r.Checkpoint = []byte("x") }), ReasonNote},
	} {
		e := verify(t, policy, c.r)
		wantOutcome(t, e, Refused, c.reason)
		if e.Level != "" || e.Origin != "" || e.Record != nil || e.Signatures != nil || e.Size != 0 || e.Policy != policy.Fingerprint() {
			t.Errorf("%s: the evidence states what was not verified: %+v", what, e)
		}
		if t.Failed() {
			t.Fatal(what)
		}
	}
	wantOutcome(t, verify(t, policy, a), Verified, "")
}

// TestUnknownSignaturesAreIgnored: they prove nothing and harm nothing.
func TestUnknownSignaturesAreIgnored(t *testing.T) {
	r, policy := minimal()
	n, _ := ParseNote(r.Checkpoint)
	n.Signatures = append(n.Signatures, cosign("stranger", "stranger", n.Text, 1), Signature{"x", 7, []byte{1}})
	n.Signatures = slices.Insert(n.Signatures, 0, sign(testOrigin, "another key", n.Text))
	r.Checkpoint = n.Marshal()
	e := verify(t, policy, r)
	wantOutcome(t, e, Verified, "")
	if e.Unknown != 3 || len(e.Signatures) != 1 || e.Level != Sealed {
		t.Errorf("%+v", e)
	}
}

// TestKnownKeyBadSignature: one bad signature by a key of the policy condemns the note,
// needed or not.
func TestKnownKeyBadSignature(t *testing.T) {
	l := newTestLog(testOrigin)
	l.deposit("x")
	policy := l.policy(witnessLine("A", "w1"), witnessLine("B", "w2"), "group G any A B", "quorum G")
	for at := range 3 {
		r := l.receipt(1, 2, "w1", "w2")
		n, _ := ParseNote(r.Checkpoint)
		n.Signatures[at].Bytes[20] ^= 1
		r.Checkpoint = n.Marshal()
		e := verify(t, policy, r)
		wantOutcome(t, e, Refused, []Reason{ReasonLogSignature, ReasonWitness, ReasonWitness}[at])
	}
}

// TestRotation: in the overlap both keys sign, and a policy with either, or both, is met.
func TestRotation(t *testing.T) {
	l := newTestLog(testOrigin)
	l.deposit("x")
	l.keys = []string{"log", "log 2"}
	r := l.receipt(1, 2)
	old, new := "log "+logKey(testOrigin, "log").String()+"\n", "log "+logKey(testOrigin, "log 2").String()+"\n"
	for _, c := range []struct {
		policy      string
		signatures  int
		withoutEach bool // whether each single signature is enough
	}{{old, 1, false}, {new, 1, false}, {old + new, 2, true}} {
		policy := mustPolicy(c.policy + "quorum none\n")
		e := verify(t, policy, r)
		wantOutcome(t, e, Verified, "")
		if len(e.Signatures) != c.signatures {
			t.Error(e.Signatures)
		}
		n, _ := ParseNote(r.Checkpoint)
		for i := range n.Signatures {
			one := r
			one.Checkpoint = Note{n.Text, n.Signatures[i : i+1]}.Marshal()
			if e := verify(t, policy, one); c.withoutEach && e.Outcome() != Verified {
				t.Error("one of two keys is not enough:", e.Reason)
			}
		}
		n.Signatures[1].Bytes[0] ^= 1
		bad := r
		bad.Checkpoint = n.Marshal()
		if e := verify(t, policy, bad); (e.Outcome() == Refused) != (c.policy != old) {
			t.Error("the new key's bad signature:", e.Outcome())
		}
	}
}

func TestEnvironments(t *testing.T) {
	for origin, want := range map[string]Environment{"log.example/prod/1": Prod, "log.example/test/1": Test, "localhost/dev/00": Dev} {
		l := newTestLog(origin)
		l.deposit("x")
		e := verify(t, l.policy("quorum none"), l.receipt(1, 2), "x")
		wantOutcome(t, e, Verified, "")
		for _, lang := range []Language{English, Chinese} {
			verdict := e.Explain(lang).Verdict
			if marked := strings.HasPrefix(verdict, "TEST: no evidential value.") || strings.HasPrefix(verdict, "测试数据"); e.Environment != want || marked != (want != Prod) {
				t.Errorf("%s: %s, %q", origin, e.Environment, verdict)
			}
		}
	}
}

// TestQuorumNotAtHandIsCheckedFurther: a receipt whose quorum cannot be decided is
// still refused when its path is wrong.
func TestQuorumNotAtHandIsCheckedFurther(t *testing.T) {
	l := newTestLog(testOrigin)
	l.deposit("x")
	l.deposit("y")
	policy := l.policy("witness M "+mlKey("m", "m").String(), "quorum M")
	r := l.receipt(1, 3)
	n, _ := ParseNote(r.Checkpoint)
	n.Signatures = append(n.Signatures, mlSignature("m", "m"))
	r.Checkpoint = n.Marshal()
	e := verify(t, policy, r, "x")
	wantOutcome(t, e, Undecided, ReasonAlgorithm)
	if e.Level != "" || e.Record != nil {
		t.Errorf("%+v", e)
	}
	r.Index = 2
	wantOutcome(t, verify(t, policy, r, "x"), Refused, ReasonInclusion)
}

// TestMemoryIsOfWholeNotes: a note that differs from a remembered one in any byte is
// judged anew.
func TestMemoryIsOfWholeNotes(t *testing.T) {
	r, policy := minimal()
	v := NewVerifier(policy)
	for range 2 {
		if e, _ := v.Verify(r, nil); e.Outcome() != Verified || len(v.remembered) != 1 {
			t.Fatal(e.Reason, len(v.remembered))
		}
	}
	for i := range r.Checkpoint {
		changed := r
		changed.Checkpoint = bytes.Clone(r.Checkpoint)
		changed.Checkpoint[i] ^= 1
		if e, _ := v.Verify(changed, nil); e.Outcome() != Refused {
			t.Fatalf("byte %d of the note: %s", i, e.Outcome())
		}
	}
	longer := r
	longer.Checkpoint = append(bytes.Clone(r.Checkpoint), "x\n"...)
	if e, _ := v.Verify(longer, nil); e.Outcome() != Refused {
		t.Fatal("a longer note:", e.Outcome())
	}
	if len(v.remembered) != 1 {
		t.Errorf("%d notes are remembered: refused ones too", len(v.remembered))
	}
}

func TestMemoryIsBounded(t *testing.T) {
	r, policy := minimal()
	v := NewVerifier(policy)
	n, _ := ParseNote(r.Checkpoint)
	for i := range maxRemembered + 50 {
		again := r
		again.Checkpoint = Note{n.Text, append(slices.Clone(n.Signatures), Signature{"x", uint32(i), []byte{1}})}.Marshal()
		if e, _ := v.Verify(again, nil); e.Outcome() != Verified {
			t.Fatal(e.Reason)
		}
		if len(v.remembered) > maxRemembered {
			t.Fatalf("%d notes are remembered", len(v.remembered))
		}
	}
	if len(v.remembered) != maxRemembered {
		t.Errorf("%d notes are remembered", len(v.remembered))
	}
}

// TestEvidenceIsTheCallersOwn: what a caller does to it must not reach the memory.
func TestEvidenceIsTheCallersOwn(t *testing.T) {
	r, policy := minimal()
	v := NewVerifier(policy)
	first, _ := v.Verify(r, nil)
	want := slices.Clone(first.Signatures)
	first.Signatures[0].Name = "someone else"
	first.Record[0].Name = "x"
	second, _ := v.Verify(r, nil)
	if !reflect.DeepEqual(second.Signatures, want) || second.Record[0].Name != "content.sha256" {
		t.Errorf("%+v", second)
	}
}

func TestVerifierIsSafeForConcurrentUse(t *testing.T) {
	r, policy := minimal()
	v := NewVerifier(policy)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				if e, err := v.Verify(r, strings.NewReader("loan 1")); err != nil || e.Outcome() != Verified {
					t.Error(e.Reason, err)
				}
			}
		})
	}
	wg.Wait()
}

// The CVEs below, and those in merkle_test.go and policy_test.go, are one mistake:
// parts are checked, each for itself, and not bound together.

// TestCVE_2022_39199_StateOfAnotherLogIsNotTaken: immudb's client trusted the server's
// word on which database a state belonged to.
func TestCVE_2022_39199_StateOfAnotherLogIsNotTaken(t *testing.T) {
	ours, theirs := newTestLog(testOrigin), newTestLog("log.example/prod/2")
	theirs.keys = []string{"their log"}
	ours.deposit("x")
	theirs.deposit("x")
	both := mustPolicy("log " + logKey(ours.origin, "log").String() + "\nlog " + logKey(theirs.origin, "their log").String() + "\nquorum none\n")
	wantOutcome(t, verify(t, both, theirs.receipt(1, 2)), Verified, "")
	// Signed by a log of the policy, but in the name of another one.
	text := Checkpoint{Origin: ours.origin, Size: 2, Root: theirs.checkpoint(2).Root}.String()
	r := theirs.receipt(1, 2)
	r.Checkpoint = Note{text, []Signature{sign(theirs.origin, "their log", text)}}.Marshal()
	wantOutcome(t, verify(t, both, r), Refused, ReasonLogSignature)
}

// TestCVE_2022_23649_EntryIsBoundToTheArtifact: cosign took a log entry that was sound
// but about something else.
func TestCVE_2022_23649_EntryIsBoundToTheArtifact(t *testing.T) {
	l := newTestLog(testOrigin)
	l.deposit("x")
	l.deposit("y")
	r := l.receipt(1, 3)
	r.Disclosures = l.receipt(2, 3).Disclosures
	wantOutcome(t, verify(t, l.policy("quorum none"), r, "y"), Refused, ReasonCommitment)
	wantOutcome(t, verify(t, l.policy("quorum none"), l.receipt(1, 3), "y"), Refused, ReasonDocument)
}

// TestCVE_2022_36056_BundleIsCheckedWhole: cosign verified a bundle whose parts were
// of different signatures.
func TestCVE_2022_36056_BundleIsCheckedWhole(t *testing.T) {
	l := newTestLog(testOrigin)
	l.deposit("x")
	l.deposit("x") // the same document, deposited again
	first, second := l.receipt(1, 3), l.receipt(2, 3)
	for _, change := range []func(*Receipt){
		func(r *Receipt) { r.Entry, r.Index = second.Entry, second.Index },
		func(r *Receipt) { r.Disclosures = second.Disclosures },
		func(r *Receipt) { r.Path, r.Index = second.Path, second.Index },
	} {
		r := first
		change(&r)
		if e := verify(t, l.policy("quorum none"), r, "x"); e.Outcome() != Refused {
			t.Error(e.Outcome())
		}
	}
}

// TestCVE_2026_22703_EntryIsNotTakenOnTheBundlesWord: cosign compared the artifact with
// what the bundle said the entry was, not with what the log holds.
func TestCVE_2026_22703_EntryIsNotTakenOnTheBundlesWord(t *testing.T) {
	l := newTestLog(testOrigin)
	l.deposit("x")
	r := l.receipt(1, 2)
	// The forger describes another document rightly, commitment and all.
	forged := newTestLog(testOrigin)
	forged.deposit("forged")
	r.Disclosures, r.Entry = forged.entries[1].disclosures, forged.entries[1].entry
	e := verify(t, l.policy("quorum none"), r, "forged")
	wantOutcome(t, e, Refused, ReasonInclusion)
	if e.Document == DocumentMatches {
		t.Error("the document matches what no log holds")
	}
}

// TestCVE_2026_56864_IndexIsBoundToTheTree: x/mod's sumdb could be shown a record at a
// place where it does not stand.
func TestCVE_2026_56864_IndexIsBoundToTheTree(t *testing.T) {
	l := newTestLog(testOrigin)
	for range 6 {
		l.deposit("x")
	}
	policy := l.policy("quorum none")
	for size := uint64(2); size <= 7; size++ {
		for index := uint64(1); index < size; index++ {
			for _, claimed := range []uint64{1, 2, 3, 4, 5, 6, 7, 8, index + 8, index | 1<<32, index | 1<<62, MaxSize, MaxSize + 1, 1<<64 - 1} {
				r := l.receipt(index, size)
				r.Index = claimed
				if e := verify(t, policy, r); (e.Outcome() == Verified) != (claimed == index) {
					t.Fatalf("entry %d of %d as %d: %s", index, size, claimed, e.Outcome())
				}
			}
		}
	}
}

// TestFoundPolicyProvesNothing: under a policy that came with the evidence nothing is
// ever verified, and what is refused stays refused.
func TestFoundPolicyProvesNothing(t *testing.T) {
	l := newTestLog(testOrigin)
	i := l.deposit("借款合同第 7 号")
	policy, receipt := l.policy("quorum none"), l.receipt(i, i+1)
	judge := func(r Receipt, document io.Reader) Evidence {
		t.Helper()
		e, err := NewFoundVerifier(policy).Verify(r, document)
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	for _, document := range []io.Reader{nil, strings.NewReader("借款合同第 7 号")} {
		e := judge(receipt, document)
		wantOutcome(t, e, Undecided, ReasonPolicyFound)
		for _, lang := range []Language{English, Chinese} {
			x := e.Explain(lang)
			if len(x.Proved) != 0 || !strings.Contains(x.Verdict, policy.Fingerprint()) {
				t.Errorf("%s: %+v", lang, x)
			}
		}
	}
	wantOutcome(t, judge(receipt, strings.NewReader("another")), Refused, ReasonDocument)
	receipt.Index++
	wantOutcome(t, judge(receipt, nil), Refused, ReasonInclusion)
}

// TestCheckpointAlone: a note by itself is judged as the one in a receipt is.
func TestCheckpointAlone(t *testing.T) {
	l := newTestLog(testOrigin)
	loan(l)
	policy := l.policy(witnessLine("A", "w1.example"), "quorum A")
	good := l.note(2, "w1.example")
	for what, c := range map[string]struct {
		verifier *Verifier
		note     []byte
		outcome  Outcome
		reason   Reason
	}{
		"good":         {NewVerifier(policy), good, Verified, ""},
		"found policy": {NewFoundVerifier(policy), good, Undecided, ReasonPolicyFound},
		"no quorum":    {NewVerifier(policy), l.note(2), Refused, ReasonQuorum},
		"other log":    {NewVerifier(newTestLog("other.example/test/1").policy("quorum none")), good, Refused, ReasonUnknownLog},
		"other size":   {NewVerifier(policy), bytes.Replace(good, []byte("\n2\n"), []byte("\n3\n"), 1), Refused, ReasonLogSignature},
		"no note":      {NewVerifier(policy), []byte("2"), Refused, ReasonNote},
	} {
		for range 2 { // from memory too
			cp, outcome, reason := c.verifier.Checkpoint(c.note)
			if outcome != c.outcome || reason != c.reason {
				t.Errorf("%s: %v %s", what, outcome, reason)
			}
			want := l.checkpoint(2)
			if outcome == Refused {
				want = Checkpoint{}
			}
			if cp != want {
				t.Errorf("%s: %+v", what, cp)
			}
		}
	}
}

// TestSignaturesOfACheckpoint: those that were checked, and none of a note that does not
// satisfy the policy, however many hold.
func TestSignaturesOfACheckpoint(t *testing.T) {
	l := newTestLog(testOrigin)
	loan(l)
	v := NewVerifier(l.policy(witnessLine("A", "w1.example"), "quorum A"))
	note := l.note(2, "w1.example", "w2.example")
	if got := v.Signatures(note); len(got) != 2 || got[0].Role != "log" || got[1].Name != "w1.example" || got[1].Time.IsZero() {
		t.Errorf("%+v", got)
	}
	v.Signatures(note)[0].Name = "changed"
	if got := v.Signatures(note); got[0].Name != testOrigin {
		t.Errorf("%+v", got)
	}
	for _, bad := range [][]byte{l.note(2), l.note(2, "w2.example"), note[1:], nil} {
		if got := v.Signatures(bad); got != nil {
			t.Errorf("%+v", got)
		}
	}
}
