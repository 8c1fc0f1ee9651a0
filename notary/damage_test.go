package notary_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/notary/notarytest"
)

// damaged is a log of 300 entries, one in ten with its document, to flip bits in.
func damaged(t *testing.T) *depository {
	d := newDepository(t)
	n := d.open()
	for i := range 299 {
		deposit := digestOnly(t, strconv.Itoa(i), strconv.Itoa(i), "contract.number", strconv.Itoa(i%7))
		if i%10 == 0 {
			deposit = original(t, strconv.Itoa(i), "document "+strconv.Itoa(i))
		}
		if _, err := n.Deposit(t.Context(), d.principal(), deposit); err != nil {
			t.Fatal(err)
		}
	}
	closeNotary(t, n)
	return d
}

// TestFlippedBits is I8: a bit that flips in an entry, a hash, a record, a key, a
// look-up or a document is found by fsck, every one, and at the right edge by the
// start itself.
func TestFlippedBits(t *testing.T) {
	d := damaged(t)
	ledger, blobs := d.ledger.Snapshot(), d.blobs.Snapshot()
	found, missed := 0, 0
	try := func(what string, atEdge bool, flip func(s *notarytest.LedgerState, objects map[string]notarytest.Object)) {
		t.Helper()
		d.ledger.Restore(ledger)
		d.blobs.Restore(blobs)
		d.ledger.Corrupt(func(s *notarytest.LedgerState) { flip(s, map[string]notarytest.Object{}) })
		d.blobs.Corrupt(func(objects map[string]notarytest.Object) { flip(new(notarytest.LedgerState), objects) })
		report, err := notary.Fsck(t.Context(), d.config(), nil)
		if err == nil && report.Clean() {
			missed++
			t.Errorf("fsck did not find %s", what)
		} else {
			found++
		}
		if n, err := notary.Open(t.Context(), d.config()); err == nil {
			n.Close(t.Context())
			if atEdge {
				t.Errorf("the start did not find %s", what)
			}
		}
	}
	for _, i := range []int{0, 1, 11, 100, 255, 256, 299} {
		row := func(name string, atEdge bool, flip func(r *notary.Row)) {
			try(fmt.Sprintf("%s of row %d", name, i), atEdge, func(s *notarytest.LedgerState, _ map[string]notarytest.Object) {
				if len(s.Rows) > 0 {
					flip(&s.Rows[i])
				}
			})
		}
		edge := i >= 256 // the right-most tile
		for _, at := range []int{0, 20, 50, -1} {
			row(fmt.Sprintf("a bit at %d of the entry", at), edge, func(r *notary.Row) { flipBit(r.Entry, at) })
			row(fmt.Sprintf("a bit at %d of the record", at), false, func(r *notary.Row) { flipBit(r.Body, at) })
			row(fmt.Sprintf("a bit at %d of the secrets", at), false, func(r *notary.Row) { flipBit(r.Secrets, at) })
		}
		row("the tenant", false, func(r *notary.Row) { r.Tenant[3] ^= 1 })
		row("the place in the case", false, func(r *notary.Row) { r.CaseSeq++ })
		row("the case's previous leaf", false, func(r *notary.Row) { r.CasePrev[5] ^= 1 })
		try(fmt.Sprintf("leaf hash %d", i), edge, func(s *notarytest.LedgerState, _ map[string]notarytest.Object) {
			if len(s.Hashes) > 0 {
				s.Hashes[0][i][7] ^= 0x10
			}
		})
		try(fmt.Sprintf("the terms of row %d", i), false, func(s *notarytest.LedgerState, _ map[string]notarytest.Object) {
			if len(s.Terms) > 0 && i > 0 {
				s.Terms[i][0][2] ^= 1
			} else if len(s.Rows) > 0 {
				s.Rows[i].Entry[3] ^= 1 // genesis has no terms
			}
		})
	}
	try("the upper hash", true, func(s *notarytest.LedgerState, _ map[string]notarytest.Object) {
		if len(s.Hashes) > 0 {
			s.Hashes[1][0][0] ^= 1
		}
	})
	try("the head's root", true, func(s *notarytest.LedgerState, _ map[string]notarytest.Object) { s.Head.Root[0] ^= 1 })
	for name, o := range blobs {
		for _, at := range []int{0, 20, len(o.Content) / 2, -1} {
			try(fmt.Sprintf("a bit at %d of blob %s", at, name), false, func(_ *notarytest.LedgerState, objects map[string]notarytest.Object) {
				if len(objects) > 0 {
					flipBit(objects[name].Content, at)
				}
			})
		}
		try("the loss of blob "+name, false, func(_ *notarytest.LedgerState, objects map[string]notarytest.Object) { delete(objects, name) })
	}
	t.Logf("found %d of %d", found, found+missed)
}

func flipBit(b []byte, at int) {
	if at < 0 || at >= len(b) {
		at = len(b) - 1
	}
	b[at] ^= 0x04
}

// spoiler is a ledger in which a bit flips between the commit and the seal.
type spoiler struct {
	notary.Ledger
	fake *notarytest.Ledger
	flip func(s *notarytest.LedgerState)
}

func (s *spoiler) Append(ctx context.Context, l notary.Lookups, build func(notary.State) (*notary.Batch, error)) error {
	err := s.Ledger.Append(ctx, l, build)
	if err == nil && s.flip != nil {
		s.fake.Corrupt(s.flip)
	}
	return err
}

// A bit that flips between commit and seal stops the process before anything is
// signed: this is how logs have died.
func TestFlippedBeforeSeal(t *testing.T) {
	for what, flip := range map[string]func(s *notarytest.LedgerState){
		"entry":     func(s *notarytest.LedgerState) { s.Rows[len(s.Rows)-1].Entry[60] ^= 1 },
		"leaf hash": func(s *notarytest.LedgerState) { s.Hashes[0][len(s.Rows)-1][9] ^= 1 },
		"root":      func(s *notarytest.LedgerState) { s.Head.Root[0] ^= 1 },
		"old hash":  func(s *notarytest.LedgerState) { s.Hashes[0][1][9] ^= 1 },
		"parent": func(s *notarytest.LedgerState) {
			if len(s.Hashes) > 1 {
				s.Hashes[1][0][0] ^= 1
			}
		},
	} {
		t.Run(what, func(t *testing.T) {
			d := newDepository(t)
			n := d.open()
			for i := range 254 {
				if _, err := n.Deposit(t.Context(), d.principal(), digestOnly(t, strconv.Itoa(i), "x")); err != nil {
					t.Fatal(err)
				}
			}
			closeNotary(t, n)
			sealed := string(d.anchor.Snapshot())
			c := d.config()
			bad := &spoiler{Ledger: c.Ledger, fake: d.ledger}
			c.Ledger = bad
			n, err := notary.Open(t.Context(), c)
			if err != nil {
				t.Fatal(err)
			}
			bad.flip = flip // the next entry completes the first tile
			if _, err := n.Deposit(t.Context(), d.principal(), digestOnly(t, "last", "x")); err == nil {
				t.Error("a receipt was given")
			}
			_ = n.Close(t.Context()) // and so the sealer has said all it had to say
			if len(d.deaths()) != 1 {
				t.Errorf("deaths: %v", d.deaths())
			}
			if string(d.anchor.Snapshot()) != sealed || d.notes[256] != "" {
				t.Error("it was sealed")
			}
		})
	}
}

// A document that is gone makes the service unready and is named.
func TestLostBlob(t *testing.T) {
	d := newDepository(t)
	n := d.opened()
	r, err := n.Deposit(t.Context(), d.principal(), original(t, "k", "contract"))
	if err != nil {
		t.Fatal(err)
	}
	d.blobs.Restore(nil)
	id, _ := notary.ParseID(text(r, "id"))
	if _, err := n.Document(t.Context(), d.principal(), id); err == nil {
		t.Error("a lost document was read")
	}
	if s := n.Status(t.Context()); len(s.Problems) != 1 || !strings.Contains(s.Problems[0].Error(), id.String()) {
		t.Errorf("Status: %+v", s)
	}
	// The receipt needs no document.
	if _, err := n.Receipt(context.Background(), d.principal(), id); err != nil {
		t.Error(err)
	}
}

// A failure that is over does not keep the depository unready for ever: a load
// balancer would never send it the deposit that shows so.
func TestReadyAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDepository(t)
		n := d.open()
		defer closeNotary(t, n)
		d.ledger.Faults.Set(notarytest.Fault{Call: "Append", Kind: notarytest.Fails})
		if _, err := n.Deposit(t.Context(), d.principal(), digestOnly(t, "k", "x")); !errors.Is(err, notary.ErrUnavailable) {
			t.Errorf("Deposit: %v", err)
		}
		if s := n.Status(t.Context()); len(s.Problems) != 1 || !errors.Is(s.Problems[0], notary.ErrUnavailable) {
			t.Errorf("Status while the ledger fails: %v", s.Problems)
		}
		d.ledger.Faults.Reset()
		time.Sleep(11 * time.Second)
		if s := n.Status(t.Context()); len(s.Problems) != 0 {
			t.Errorf("Status afterwards: %v", s.Problems)
		}
	})
}
