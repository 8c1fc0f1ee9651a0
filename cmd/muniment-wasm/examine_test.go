package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/proofs/rfc3161/rfc3161test"
	"github.com/muniment/muniment/proofs/sm"
)

const origin = "log.example/prod/1"

// log is a log of deposits about "document 0", "document 1" and so on.
type log struct {
	key     ed25519.PrivateKey
	vkey    proofs.VerifierKey
	entries []proofs.Entry
	shown   [][]proofs.Disclosure
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

var began = time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)

func newLog(t testing.TB, seed byte, size int) *log {
	t.Helper()
	l := &log{key: ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, 32))}
	var err error
	l.vkey, err = proofs.NewVerifierKey(origin, proofs.TypeEd25519, l.key.Public().(ed25519.PublicKey))
	must(t, err)
	for i := range size {
		kind, name, text := proofs.KindDeposit, "content.sha256", digest(fmt.Sprintf("document %d", i))
		if i == 0 {
			kind, name, text = proofs.KindGenesis, "log.origin", origin
		}
		value, err := proofs.Text(text)
		must(t, err)
		record, err := proofs.NewRecord(proofs.Member{Name: name, Value: value})
		must(t, err)
		shown := record.Disclose(proofs.Seed{byte(i), byte(i >> 8)})
		l.shown = append(l.shown, shown)
		l.entries = append(l.entries, proofs.Entry{Kind: kind, Time: began.Add(time.Duration(i) * time.Second), Record: proofs.Commitment(shown)})
	}
	return l
}

func digest(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

// root is that of entries from first to end, by the definition of RFC 6962 §2.1.
func (l *log) root(first, end int) proofs.Hash {
	if end-first == 1 {
		return l.entries[first].LeafHash()
	}
	k := 1
	for k*2 < end-first {
		k *= 2
	}
	return proofs.NodeHash(l.root(first, first+k), l.root(first+k, end))
}

func (l *log) path(index, first, end int) []proofs.Hash {
	if end-first == 1 {
		return nil
	}
	k := 1
	for k*2 < end-first {
		k *= 2
	}
	if index < first+k {
		return append(l.path(index, first, first+k), l.root(first+k, end))
	}
	return append(l.path(index, first+k, end), l.root(first, first+k))
}

func (l *log) receipt(t testing.TB, index int) proofs.Receipt {
	t.Helper()
	cp := proofs.Checkpoint{Origin: origin, Size: uint64(len(l.entries)), Root: l.root(0, len(l.entries))}
	s, err := l.vkey.Sign(cp.String(), l.key)
	must(t, err)
	return proofs.Receipt{
		Entry: l.entries[index], Disclosures: l.shown[index], Index: uint64(index), Path: l.path(index, 0, len(l.entries)),
		Checkpoint: proofs.Note{Text: cp.String(), Signatures: []proofs.Signature{s}}.Marshal(),
	}
}

func (l *log) policy() string { return "log " + l.vkey.String() + "\nquorum none\n" }

func fileOf(name string, data []byte) file {
	// Read as the browser's files are.
	f := file{Name: name, Size: int64(len(data)), bytes: &window{from: bytes.NewReader(data), size: int64(len(data))}}
	f.Kind = identify(f)
	return f
}

func ask(q question, files ...file) answer {
	q.files, q.progress, q.Now = files, func(int64) {}, began.Add(time.Hour).UnixMilli()
	return q.answer()
}

// TestPicture: for every entry of trees of many sizes, what is drawn leads from the leaf to
// the root, and each box covers the entries it says.
func TestPicture(t *testing.T) {
	for _, size := range []int{2, 3, 4, 5, 7, 8, 9, 64, 65, 100} {
		l := newLog(t, 1, size)
		policy, err := proofs.ParsePolicy([]byte(l.policy()))
		must(t, err)
		for i := range size {
			r := l.receipt(t, i)
			e, err := proofs.NewVerifier(policy).Verify(r, nil)
			must(t, err)
			if e.Outcome() != proofs.Verified {
				t.Fatal(e.Reason)
			}
			p := draw(r, e)
			if len(p.Steps) != len(r.Path) || p.Leaf.Hash != r.Entry.LeafHash().String() {
				t.Fatalf("%d of %d: %+v", i, size, p)
			}
			for _, s := range p.Steps {
				for _, box := range []span{s.Sibling, s.Node} {
					if want := l.root(int(box.First), int(box.Last)+1).String(); box.Hash != want {
						t.Fatalf("%d of %d: the box of %d to %d is not their hash", i, size, box.First, box.Last)
					}
				}
				if s.Left != (s.Sibling.Last < uint64(i)) {
					t.Fatalf("%d of %d: side of %+v", i, size, s)
				}
			}
			if last := p.Steps[len(p.Steps)-1].Node; last.Hash != p.Root || last.First != 0 || last.Last != uint64(size-1) {
				t.Fatalf("%d of %d ends at %+v", i, size, last)
			}
		}
	}
}

// TestPolicies: whose policy it is decides what can be proved, and one that the visitor names
// in any way and is not at hand is never replaced by another.
func TestPolicies(t *testing.T) {
	l, other := newLog(t, 1, 10), newLog(t, 2, 10)
	receipt, document := fileOf("a.tlog-proof", l.receipt(t, 3).Marshal()), fileOf("a.pdf", []byte("document 3"))
	policy, err := proofs.ParsePolicy([]byte(l.policy()))
	must(t, err)
	print := policy.Fingerprint()
	own, offered := fileOf("policy", []byte(l.policy())), site{Policies: []string{other.policy(), l.policy()}}
	for what, c := range map[string]struct {
		q       question
		more    []file
		outcome string // or the fault
		reason  proofs.Reason
		own     bool
	}{
		"site's":             {question{Site: offered}, nil, "undecided", proofs.ReasonPolicyFound, false},
		"site's, of another": {question{Site: site{Policies: []string{other.policy()}}}, nil, "refused", proofs.ReasonLogSignature, false},
		"none":               {question{}, nil, "fault-no-policy", "", false},
		"file":               {question{Site: offered}, []file{own}, "verified", "", true},
		"file of another":    {question{Site: offered}, []file{fileOf("policy", []byte(other.policy()))}, "refused", proofs.ReasonLogSignature, true},
		"pasted":             {question{Policy: strings.TrimSuffix(strings.ReplaceAll(l.policy(), "\n", "\r\n"), "\r\n")}, nil, "verified", "", true},
		"pasted and file":    {question{Policy: l.policy()}, []file{own}, "fault-two-policy", "", false},
		"fingerprint":        {question{Fingerprint: print, Site: offered}, nil, "verified", "", true},
		"fingerprint, spaced": {question{Fingerprint: " " + strings.ToUpper(print[:30]) + " \n" + print[30:] + "\u3000", Site: offered},
			nil, "verified", "", true},
		"another fingerprint":       {question{Fingerprint: digest("x"), Site: offered}, nil, "fault-fingerprint-other", "", false},
		"fingerprint, nothing here": {question{Fingerprint: print}, nil, "fault-fingerprint-other", "", false},
		"fingerprint of no form":    {question{Fingerprint: print[1:], Site: offered}, nil, "fault-fingerprint-form", "", false},
		"fingerprint and file":      {question{Fingerprint: print, Site: offered}, []file{own}, "verified", "", true},
		"fingerprint, other file":   {question{Fingerprint: print, Site: offered}, []file{fileOf("policy", []byte(other.policy()))}, "fault-fingerprint-of-policy", "", false},
		"damaged file":              {question{Site: offered}, []file{fileOf("policy", []byte(strings.Replace(l.policy(), "quorum", "quoru", 1)))}, "fault-policy-line", "", false},
		"empty file":                {question{Site: offered}, []file{fileOf("policy", nil)}, "fault-policy", "", false},
		"site's, damaged":           {question{Site: site{Policies: []string{"x"}}}, nil, "fault-site", "", false},
		"damaged roots":             {question{Site: offered}, []file{{Name: "r.pem", Kind: kindRoots, bytes: strings.NewReader("x"), Size: 1}}, "fault-roots", "", false},
		"two documents":             {question{Site: offered}, []file{fileOf("b.pdf", nil)}, "fault-two-document", "", false},
	} {
		a := ask(c.q, append([]file{receipt, document}, c.more...)...)
		switch {
		case a.verdict == nil && a.Fault != c.outcome, a.verdict != nil && (a.Outcome != c.outcome || a.Reason != c.reason || a.Own != c.own):
			t.Errorf("%s: %+v %+v", what, a, a.verdict)
		case a.verdict != nil && !a.Own && len(a.Words[proofs.English].Proved)+len(a.Words[proofs.Chinese].Proved) > 0:
			t.Errorf("%s: a policy that nobody chose proves %q", what, a.Words[proofs.English].Proved)
		}
	}
	if a := ask(question{Site: offered}, document); a.Fault != "fault-no-receipt" {
		t.Errorf("no receipt: %+v", a)
	}
}

// TestTampered: each byte of a receipt changed is refused, and so is every other document.
func TestTampered(t *testing.T) {
	l := newLog(t, 1, 6)
	data := l.receipt(t, 3).Marshal()
	own := fileOf("policy", []byte(l.policy()))
	for i := range data {
		bad := bytes.Clone(data)
		bad[i] ^= 1
		receipt := file{Name: "a.tlog-proof", Kind: kindReceipt, Size: int64(len(bad)), bytes: bytes.NewReader(bad)}
		if a := ask(question{}, receipt, own, fileOf("a", []byte("document 3"))); a.verdict == nil || a.Outcome != "refused" {
			t.Fatalf("byte %d: %+v", i, a)
		}
	}
	a := ask(question{}, fileOf("a.tlog-proof", data), own, fileOf("a", []byte("document 4")))
	if a.verdict == nil || a.Outcome != "refused" || !slices.Equal(a.Digests, []string{digest("document 4"), digest("document 3")}) {
		t.Errorf("another document: %+v", a.verdict)
	}
}

// TestSM3: a document is held against content.sm3 too, as muniment verify holds it.
func TestSM3(t *testing.T) {
	l := newLog(t, 1, 2)
	for what, c := range map[string]struct{ sm3, outcome string }{
		"the same": {hex.EncodeToString(sm3Of("document 2")), "verified"}, "another": {hex.EncodeToString(sm3Of("x")), "refused"},
	} {
		sha, err := proofs.Text(digest("document 2"))
		must(t, err)
		other, err := proofs.Text(c.sm3)
		must(t, err)
		record, err := proofs.NewRecord(proofs.Member{Name: "content.sha256", Value: sha}, proofs.Member{Name: "content.sm3", Value: other})
		must(t, err)
		shown := record.Disclose(proofs.Seed{9})
		with := *l
		with.shown = append(slices.Clone(l.shown), shown)
		with.entries = append(slices.Clone(l.entries), proofs.Entry{Kind: proofs.KindDeposit, Time: began.Add(time.Minute), Record: proofs.Commitment(shown)})
		a := ask(question{Policy: l.policy()}, fileOf("a.tlog-proof", with.receipt(t, 2).Marshal()), fileOf("a", []byte("document 2")))
		if a.verdict == nil || a.Outcome != c.outcome || c.outcome == "refused" && (a.Hash != "SM3" || a.Digests[1] != c.sm3) {
			t.Errorf("%s: %+v", what, a.verdict)
		}
	}
}

func sm3Of(s string) []byte {
	h := sm.New()
	h.Write([]byte(s))
	return h.Sum(nil)
}

// TestSiteRoots: the site's roots of time-stamp authorities go with the site's policy alone.
func TestSiteRoots(t *testing.T) {
	l := newLog(t, 1, 6)
	authority := rfc3161test.New("Time Authority", func() time.Time { return began.Add(time.Minute) }, 20*365*24*time.Hour, 5*365*24*time.Hour)
	r := l.receipt(t, 3)
	r = r.Stamp([][]byte{authority.Token(rfc3161test.Statement{Message: r.Checkpoint})})
	receipt, own := fileOf("a.tlog-proof", r.Marshal()), fileOf("policy", []byte(l.policy()))
	pem := rfc3161test.RootsPEM(authority)
	offered := site{[]string{l.policy()}, string(pem)}
	for what, c := range map[string]struct {
		more    []file
		outcome string
		stamps  int
	}{
		"all the site's":                {nil, "undecided", 1},
		"visitor's policy, site's root": {[]file{own}, "verified", 0},
		"visitor's both":                {[]file{own, fileOf("roots.pem", pem)}, "verified", 1},
		"site's policy, visitor's root": {[]file{fileOf("roots.pem", pem)}, "undecided", 1},
	} {
		a := ask(question{Site: offered}, append([]file{receipt}, c.more...)...)
		if a.verdict == nil || a.Outcome != c.outcome || len(a.Stamps) != c.stamps {
			t.Errorf("%s: %+v", what, a.verdict)
		}
	}
}

// TestIdentify: files are taken for what they are meant to be, also when damaged.
func TestIdentify(t *testing.T) {
	l := newLog(t, 1, 3)
	receipt := l.receipt(t, 1).Marshal()
	authority := rfc3161test.New("Time Authority", time.Now, time.Hour, time.Hour)
	for name, c := range map[string]struct {
		data []byte
		want kind
	}{
		"x.pdf.tlog-proof": {receipt, kindReceipt}, "download": {receipt, kindReceipt}, "X.TLOG-PROOF": {[]byte("damaged"), kindReceipt},
		"policy": {[]byte("damaged"), kindPolicy}, "p.txt": {[]byte(l.policy()), kindPolicy}, "roots.pem": {rfc3161test.RootsPEM(authority), kindRoots},
		"a.evidence": {nil, kindEvidence}, "b": {[]byte("muniment/evidence@v1\n"), kindEvidence}, "loan.pdf": {[]byte("%PDF-1.7"), kindDocument}, "empty": {nil, kindDocument},
	} {
		if got := fileOf(name, c.data).Kind; got != c.want {
			t.Errorf("%s is taken for a %s", name, got)
		}
	}
}

// TestWindow: what is read ahead is what is there, wherever it is asked for.
func TestWindow(t *testing.T) {
	data := make([]byte, 3*piece+5)
	for i := range data {
		data[i] = byte(i >> 3)
	}
	w := &window{from: bytes.NewReader(data), size: int64(len(data))}
	for _, at := range []int{0, 1, piece - 1, piece, 2*piece + 3, 7, len(data) - 1, len(data), len(data) + 1} {
		for _, n := range []int{1, 100, piece - 1, piece, 2 * piece} {
			got := make([]byte, n)
			read, err := w.ReadAt(got, int64(at))
			want := data[min(at, len(data)):min(at+n, len(data))]
			if !bytes.Equal(got[:read], want) || (err == nil) != (len(want) == n) {
				t.Fatalf("%d bytes at %d: %d, %v", n, at, read, err)
			}
		}
	}
}

// TestStreamed: a document is read in pieces, and tells how far it has come.
func TestStreamed(t *testing.T) {
	l := newLog(t, 1, 3)
	large := bytes.Repeat([]byte("x"), 5*piece+17)
	var told []int64
	q := question{Policy: l.policy(), files: []file{fileOf("a.tlog-proof", l.receipt(t, 1).Marshal()), fileOf("large", large)}}
	q.progress = func(done int64) { told = append(told, done) }
	if a := q.answer(); a.verdict == nil || a.Digests[0] != digest(string(large)) {
		t.Fatalf("%+v", a)
	}
	if len(told) != 6 || told[5] != int64(len(large)) || !slices.IsSorted(told) {
		t.Errorf("told %d", told)
	}
}
