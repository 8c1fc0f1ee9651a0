package notary_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/notary/esignature"
	"github.com/muniment/muniment/notary/esignature/esignaturetest"
	"github.com/muniment/muniment/notary/notarytest"
	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/proofs/rfc3161/rfc3161test"
)

func findings(t testing.TB, r proofs.Receipt) []esignature.Finding {
	t.Helper()
	v, ok := r.Member("content.signatures")
	if !ok {
		return nil
	}
	out := []esignature.Finding{}
	if err := json.Unmarshal([]byte(v.JSON()), &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// TestSignaturesInDocuments: what is found of signatures inside a PDF stands in its record, with
// the deposit's retry too, and nothing of the kind stands in that of anything else.
func TestSignaturesInDocuments(t *testing.T) {
	d := newDepository(t)
	n := d.open()
	s := esignaturetest.New(t, "/CN=张三")
	signed := string(s.Sign(esignaturetest.Blank))
	var receipts []proofs.Receipt
	deposit := func(key, document string) proofs.Receipt {
		t.Helper()
		r, err := n.Deposit(t.Context(), d.principal(), original(t, key, document))
		if err != nil {
			t.Fatal(err)
		}
		d.verify(r, document)
		receipts = append(receipts, r)
		return r
	}
	for range 2 {
		if f := findings(t, deposit("signed", signed)); len(f) != 1 || f[0].State != esignature.Intact || !f[0].Whole || f[0].Subject != "CN=张三" || f[0].Trusted != nil {
			t.Errorf("signed: %+v", f)
		}
	}
	altered := strings.Replace(signed, "/Count 0", "/Count 1", 1)
	if f := findings(t, deposit("altered", altered)); len(f) != 1 || f[0].State != esignature.Altered {
		t.Errorf("altered: %+v", f)
	}
	if f := findings(t, deposit("updated", signed+"8 0 obj\n1\nendobj\n%%EOF\n")); len(f) != 1 || f[0].State != esignature.Intact || f[0].Whole || f[0].Covers != int64(len(signed)) {
		t.Errorf("updated: %+v", f)
	}
	if f := findings(t, deposit("unsigned", esignaturetest.Blank)); f == nil || len(f) > 0 {
		t.Errorf("unsigned: %+v", f)
	}
	for name, document := range map[string]string{"text": "loan", "empty": "", "late": strings.Repeat(" ", 1024) + signed} {
		r := deposit(name, document)
		if _, there := r.Member("content.signatures"); there {
			t.Errorf("%s has findings", name)
		}
	}
	r, err := n.Deposit(t.Context(), d.principal(), digestOnly(t, "digest", signed))
	if err != nil {
		t.Fatal(err)
	}
	if _, there := r.Member("content.signatures"); there {
		t.Error("a document that nobody saw has findings")
	}
	// A caller cannot say what was found.
	claim := original(t, "claim", signed)
	v, _ := proofs.ParseValue("[]")
	claim.Claims = proofs.Record{{Name: "content.signatures", Value: v}}
	var invalid *notary.InvalidError
	if _, err := n.Deposit(t.Context(), d.principal(), claim); !errors.As(err, &invalid) || invalid.Member != "content.signatures" {
		t.Errorf("claimed: %v", err)
	}
	closeNotary(t, n)
	d.check(receipts...)
}

// TestFindingsFit: a record without room for what certificates say has the short findings, and
// one without room for those is refused as any that is too long.
func TestFindingsFit(t *testing.T) {
	d := newDepository(t)
	n := d.open()
	s := esignaturetest.New(t, "/CN="+strings.Repeat("a", 60)+"/O="+strings.Repeat("b", 60))
	pdf := esignaturetest.Blank
	for range esignature.MaxFindings {
		pdf = string(s.Sign(pdf))
	}
	deposit := func(filler int) ([]esignature.Finding, proofs.Receipt, error) {
		r, err := n.Deposit(t.Context(), d.principal(), original(t, fmt.Sprint("k", filler), pdf, "label.filler", strings.Repeat("x", filler)))
		if err != nil {
			return nil, r, err
		}
		if size := proofs.DisclosuresSize(r.Disclosures); size > proofs.MaxDisclosures {
			t.Errorf("%d bytes of disclosures", size)
		}
		return findings(t, r), r, nil
	}
	full, r, err := deposit(10)
	if err != nil || len(full) != esignature.MaxFindings || full[0].Subject == "" {
		t.Fatalf("%+v, %v", full, err)
	}
	room := proofs.MaxDisclosures - 256 - proofs.DisclosuresSize(r.Disclosures)
	if exactly, _, err := deposit(10 + room); err != nil || exactly[0].Subject == "" {
		t.Errorf("exactly: %+v, %v", exactly, err)
	}
	brief, r, err := deposit(10 + room + 1)
	if err != nil || len(brief) != esignature.MaxFindings || brief[0].Subject != "" || brief[0].State != esignature.Intact || !brief[7].Whole || brief[0].Whole {
		t.Fatalf("brief: %+v, %v", brief, err)
	}
	room += 1 + proofs.MaxDisclosures - 256 - proofs.DisclosuresSize(r.Disclosures)
	if _, _, err := deposit(10 + room); err != nil {
		t.Errorf("exactly brief: %v", err)
	}
	var invalid *notary.InvalidError
	if _, _, err := deposit(10 + room + 1); !errors.As(err, &invalid) {
		t.Errorf("too long: %v", err)
	}
	closeNotary(t, n)
	d.check()
}

func digest(s string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(s))) }

// TestSignatureRules: a deposit that lacks the signature which its tenant demands leaves nothing
// behind.
func TestSignatureRules(t *testing.T) {
	d := newDepository(t)
	s, other := esignaturetest.New(t, "/CN=A"), esignaturetest.New(t, "/CN=B")
	signed := string(s.Sign(esignaturetest.Blank))
	data, err := os.ReadFile(filepath.Join(s.Dir, "cert.pem"))
	if err != nil {
		t.Fatal(err)
	}
	c := d.config()
	if c.SignatureRoots, err = notary.ParseSignatureRoots(data); err != nil {
		t.Fatal(err)
	}
	if _, err := notary.ParseSignatureRoots([]byte("no roots")); err == nil {
		t.Error("no roots are some")
	}
	twice := string(other.Sign(signed))
	authority := rfc3161test.New("TSA", time.Now, time.Hour, time.Hour)
	stamped := func(pdf string) string {
		return string(esignaturetest.SignedBy(pdf, func(covered []byte) []byte {
			sum := sha256.Sum256(covered)
			return authority.Token(rfc3161test.Statement{Imprint: sum[:]})
		}))
	}
	weak := string(s.Sign(esignaturetest.Blank, "-md", "sha1"))
	for rule, cases := range map[notary.SignatureRule]map[string]notary.CheckCode{
		notary.SignatureIntact: {
			signed: "", twice: "", string(other.Sign(esignaturetest.Blank)): "",
			"loan": notary.CheckUnsigned, esignaturetest.Blank: notary.CheckUnsigned,
			strings.Replace(signed, "/Count 0", "/Count 1", 1): notary.CheckAltered,
			signed + "8 0 obj\n1\nendobj\n%%EOF\n":             notary.CheckAltered,
			weak:                                               notary.CheckAltered,
			stamped(esignaturetest.Blank):                      notary.CheckUnsigned,
			stamped(signed):                                    notary.CheckAltered, // anyone could have added it
			string(s.Sign(stamped(signed))):                    "",
			signed[:len(signed)-3]:                             notary.CheckAltered,
		},
		notary.SignatureTrusted: {signed: "", twice: notary.CheckAltered, string(other.Sign(esignaturetest.Blank)): notary.CheckAltered},
	} {
		c.Checks = map[notary.ID]notary.Checks{d.tenant.ID: {Signature: rule}}
		n, err := notary.Open(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		for document, code := range cases {
			size, blobs := d.ledger.Snapshot().Head.Size, len(d.blobs.Snapshot())
			r, err := n.Deposit(t.Context(), d.principal(), original(t, digest(string(rule)+document), document))
			var refused *notary.CheckError
			switch {
			case code == "" && err != nil, code != "" && (!errors.As(err, &refused) || refused.Code != code):
				t.Errorf("%s, %.20q of %d bytes: %v, want %q", rule, document, len(document), err, code)
			case code == "" && findings(t, r)[0].Trusted == nil:
				t.Error("roots are configured, and nothing was judged by them")
			case code != "" && (d.ledger.Snapshot().Head.Size != size || len(d.blobs.Snapshot()) != blobs):
				t.Errorf("%s, %d bytes: refused, and kept", rule, len(document))
			}
		}
		var refused *notary.CheckError
		if _, err := n.Deposit(t.Context(), d.principal(), digestOnly(t, "digest"+string(rule), signed)); !errors.As(err, &refused) || refused.Code != notary.CheckUnsigned {
			t.Errorf("a digest alone: %v", err)
		}
		closeNotary(t, n)
	}
	d.check()
}

// zeros is a PDF of any length, and of one byte over and over.
type zeros struct{ left int64 }

func (z *zeros) Read(p []byte) (int, error) {
	if z.left == 0 {
		return 0, io.EOF
	}
	n := copy(p, bytes.Repeat([]byte{' '}, int(min(int64(len(p)), z.left, 64<<10))))
	z.left -= int64(n)
	return n, nil
}

// TestLargePDFs: one that is too large is not looked into, and its record says so.
func TestLargePDFs(t *testing.T) {
	d := newDepository(t)
	n := d.open()
	for size, unexamined := range map[int64]string{esignature.MaxSize: "", esignature.MaxSize + 1: "too-large"} {
		pdf := io.MultiReader(strings.NewReader("%PDF-1.7\n"), &zeros{size - 9})
		r, err := n.Deposit(t.Context(), d.principal(), notary.Deposit{Key: fmt.Sprint(size), Document: pdf})
		if err != nil {
			t.Fatal(err)
		}
		if why := text(r, "content.signatures.unexamined"); why != unexamined || (findings(t, r) == nil) != (why != "") {
			t.Errorf("%d bytes: %q, %+v", size, why, findings(t, r))
		}
	}
	closeNotary(t, n)
	d.check()
}

// crowded counts how many documents are open at once.
type crowded struct {
	notary.Blobs
	mu         *sync.Mutex
	open, most *int
}

func (c crowded) Open(ctx context.Context, name string) (notary.Blob, error) {
	b, err := c.Blobs.Open(ctx, name)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	*c.open++
	*c.most = max(*c.most, *c.open)
	c.mu.Unlock()
	time.Sleep(5 * time.Millisecond)
	return counted{b, c}, nil
}

type counted struct {
	notary.Blob
	in crowded
}

func (c counted) Close() error {
	c.in.mu.Lock()
	*c.in.open--
	c.in.mu.Unlock()
	return c.Blob.Close()
}

// TestFewPDFsAtOnce: however many PDFs come in, two are in memory; the others wait, and who
// waits no longer keeps nothing.
func TestFewPDFsAtOnce(t *testing.T) {
	d := newDepository(t)
	c := d.config()
	in := crowded{d.blobs, &sync.Mutex{}, new(int), new(int)}
	c.Blobs = in
	n, err := notary.Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	var many sync.WaitGroup
	for i := range 16 {
		many.Go(func() {
			r, err := n.Deposit(t.Context(), d.principal(), original(t, fmt.Sprint(i), esignaturetest.Blank))
			if err != nil || findings(t, r) == nil {
				t.Error(err)
			}
		})
	}
	many.Wait()
	if *in.most != 2 || *in.open != 0 {
		t.Errorf("%d at once, %d still open", *in.most, *in.open)
	}
	closeNotary(t, n)
	d.check()
}

// stuck is a store whose documents do not open before the test says so.
type stuck struct {
	notary.Blobs
	opens, release chan struct{}
}

func (s stuck) Open(ctx context.Context, name string) (notary.Blob, error) {
	s.opens <- struct{}{}
	<-s.release
	return s.Blobs.Open(ctx, name)
}

// TestPDFWaitsNoLonger: a deposit whose time runs out while others are looked into keeps
// nothing, and the others come to their end.
func TestPDFWaitsNoLonger(t *testing.T) {
	d := newDepository(t)
	c := d.config()
	blobs := stuck{d.blobs, make(chan struct{}, 8), make(chan struct{})}
	c.Blobs = blobs
	n, err := notary.Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	var others sync.WaitGroup
	for i := range 2 {
		others.Go(func() {
			if _, err := n.Deposit(t.Context(), d.principal(), original(t, fmt.Sprint(i), esignaturetest.Blank)); err != nil {
				t.Error(err)
			}
		})
		<-blobs.opens
	}
	size := d.ledger.Snapshot().Head.Size
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := n.Deposit(ctx, d.principal(), original(t, "third", esignaturetest.Blank)); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, notary.ErrUnavailable) {
		t.Errorf("waited too long: %v", err)
	}
	if got := d.ledger.Snapshot().Head.Size; got != size || len(d.blobs.Snapshot()) != 2 {
		t.Errorf("%d entries, %d documents", got-size, len(d.blobs.Snapshot()))
	}
	close(blobs.release)
	others.Wait()
	closeNotary(t, n)
	d.check()
}

// TestUnreadablePDF: a store that does not give back what it took is noticed before the deposit,
// and nothing is committed.
func TestUnreadablePDF(t *testing.T) {
	d := newDepository(t)
	n := d.open()
	size := d.ledger.Snapshot().Head.Size
	for i, fault := range []notarytest.Fault{{Call: "Open", Kind: notarytest.Fails}, {Call: "ReadAt", Kind: notarytest.Fails}, {Call: "Put", Kind: notarytest.Lies}} {
		d.blobs.Faults.Set(fault)
		if _, err := n.Deposit(t.Context(), d.principal(), original(t, fmt.Sprint(i), esignaturetest.Blank)); !errors.Is(err, notary.ErrUnavailable) {
			t.Errorf("%+v: %v", fault, err)
		}
		d.blobs.Faults.Reset()
	}
	if got := d.ledger.Snapshot().Head.Size; got != size {
		t.Errorf("%d entries were kept", got-size)
	}
	closeNotary(t, n)
}
