package notary_test

import (
	"encoding/hex"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/proofs/sm"
)

func sm3Of(text string) string {
	h := sm.New()
	_, _ = io.WriteString(h, text)
	return hex.EncodeToString(h.Sum(nil))
}

// TestSM3: where it is asked for, the record of a document has its SM3, and it is found by
// it; a claim of another is refused, and nothing kept; a digest's is the depositor's word.
func TestSM3(t *testing.T) {
	d := newDepository(t)
	c := d.config()
	c.SM3 = true
	n, err := notary.Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	deposit := func(d2 notary.Deposit) proofs.Receipt {
		t.Helper()
		r, err := n.Deposit(t.Context(), d.principal(), d2)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	r := deposit(original(t, "1", "合同"))
	if text(r, "content.sm3") != sm3Of("合同") {
		t.Errorf("content.sm3 is %q", text(r, "content.sm3"))
	}
	e, err := proofs.NewVerifier(c.Policy, sm.Plugged()).Verify(r, strings.NewReader("合同"))
	if err != nil || e.Outcome() != proofs.Verified || e.DocumentSM3 != sm3Of("合同") {
		t.Errorf("%v, %v", e.Outcome(), err)
	}
	first := deposit(original(t, "2", "claimed", "content.sm3", sm3Of("claimed")))
	if again := deposit(original(t, "2", "claimed", "content.sm3", sm3Of("claimed"))); again.Index != first.Index {
		t.Error("its retry is another deposit")
	}
	blobs := len(d.blobs.Snapshot())
	if _, err := n.Deposit(t.Context(), d.principal(), original(t, "3", "another", "content.sm3", sm3Of("claimed"))); !errors.Is(err, notary.ErrDigest) {
		t.Errorf("a claim of another document's: %v", err)
	}
	if got := len(d.blobs.Snapshot()); got != blobs {
		t.Errorf("%d documents were left", got-blobs)
	}
	only := deposit(digestOnly(t, "4", "elsewhere", "content.sm3", sm3Of("claimed")))
	found, _, err := n.Search(t.Context(), d.principal(), notary.Search{SM3: sm3Of("claimed"), Limit: 9})
	if err != nil || len(found) != 2 || found[1].Index != only.Index {
		t.Errorf("found %+v, %v", found, err)
	}
	if _, _, err := n.Search(t.Context(), d.principal(), notary.Search{SM3: sm3Of("claimed"), SHA256: strings.Repeat("0", 64), Limit: 9}); err == nil {
		t.Error("two searches at once were made")
	}
	closeNotary(t, n)

	n = d.open()
	if r := deposit(original(t, "5", "without")); text(r, "content.sm3") != "" {
		t.Error("nobody asked for its SM3")
	}
	closeNotary(t, n)
	d.check(r, only)
}
