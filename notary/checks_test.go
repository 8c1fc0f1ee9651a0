package notary_test

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/proofs"
)

// TestChecks: a deposit that breaks a rule of its tenant's leaves nothing behind and says
// which rule, alone or as a line of a batch; another tenant is not concerned.
func TestChecks(t *testing.T) {
	d := newDepository(t)
	c := d.config()
	c.Checks = map[notary.ID]notary.Checks{d.tenant.ID: {
		Require: []string{"provenance.system"}, Types: []string{"application/pdf", "text/plain"}, MaxSize: 20, Contract: regexp.MustCompile(`^HT-[0-9]+$`),
	}}
	n, err := notary.Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	good := []string{"provenance.system", "loans", "content.type", "text/plain; charset=utf-8", "contract.number", "HT-1"}
	without := func(name string) (out []string) {
		for i := 0; i < len(good); i += 2 {
			if good[i] != name {
				out = append(out, good[i], good[i+1])
			}
		}
		return out
	}
	size, blobs := d.ledger.Snapshot().Head.Size, len(d.blobs.Snapshot())
	for i, bad := range []struct {
		d    notary.Deposit
		code notary.CheckCode
	}{
		{original(t, "", "x", without("provenance.system")...), notary.CheckMember},
		{original(t, "", "x", without("content.type")...), notary.CheckType},
		{original(t, "", "x", append(without("content.type"), "content.type", "image/png")...), notary.CheckType},
		{original(t, "", strings.Repeat("x", 21), good...), notary.CheckSize},
		{original(t, "", strings.Repeat("x", 1<<20), good...), notary.CheckSize},
		{original(t, "", "x", append(without("contract.number"), "contract.number", "HT-1 ")...), notary.CheckContract},
		{digestOnly(t, "", "x", append(without("contract.number"), "contract.number", "XHT-1")...), notary.CheckContract},
	} {
		bad.d.Key = fmt.Sprint("bad", i)
		var refused *notary.CheckError
		if _, err := n.Deposit(t.Context(), d.principal(), bad.d); !errors.As(err, &refused) || refused.Code != bad.code {
			t.Errorf("%d: %v, want %s", i, err, bad.code)
		}
	}
	lines := []proofs.Record{digestOnly(t, "", "a", good...).Claims, digestOnly(t, "", "b", without("provenance.system")...).Claims, digestOnly(t, "", "c", without("content.type")...).Claims}
	var batch *notary.BatchError
	_, err = n.DepositBatch(t.Context(), d.principal(), notary.DigestBatch{Key: "batch", Lines: lines})
	if !errors.As(err, &batch) || len(batch.Lines) != 2 || batch.Lines[0].Line != 2 || batch.Lines[0].Code != notary.CheckMember || batch.Lines[1].Code != notary.CheckType {
		t.Errorf("batch: %v %+v", err, batch)
	}
	if got := d.ledger.Snapshot().Head.Size; got != size || len(d.blobs.Snapshot()) != blobs {
		t.Errorf("%d entries and %d documents were kept", got-size, len(d.blobs.Snapshot())-blobs)
	}
	for i, ok := range []notary.Deposit{original(t, "ok1", strings.Repeat("x", 20), good...), digestOnly(t, "ok2", "x", good...), original(t, "ok3", "x", without("contract.number")...)} {
		if _, err := n.Deposit(t.Context(), d.principal(), ok); err != nil {
			t.Errorf("%d: %v", i, err)
		}
	}
	other := notary.Principal{Tenant: notary.Tenant{ID: notary.ID{2}, Name: "Other"}, Role: notary.Depositor}
	if _, err := n.Deposit(t.Context(), other, digestOnly(t, "o", "x")); err != nil {
		t.Errorf("another tenant: %v", err)
	}
	closeNotary(t, n)

	for content, refused := range map[notary.Content]notary.CheckCode{notary.ContentOriginal: notary.CheckOriginal, notary.ContentDigest: notary.CheckKeep} {
		c.Checks = map[notary.ID]notary.Checks{d.tenant.ID: {Content: content}}
		if n, err = notary.Open(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		var e *notary.CheckError
		_, err1 := n.Deposit(context.Background(), d.principal(), original(t, "w1"+string(content), "x"))
		_, err2 := n.Deposit(context.Background(), d.principal(), digestOnly(t, "w2"+string(content), "x"))
		bad, ok := err2, err1
		if content == notary.ContentDigest {
			bad, ok = err1, err2
		}
		if ok != nil || !errors.As(bad, &e) || e.Code != refused {
			t.Errorf("%s alone: %v, %v", content, ok, bad)
		}
		closeNotary(t, n)
	}
	d.check()
}
