package storagetest

import (
	"bytes"
	"context"
	"errors"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/proofs"
)

// trailWriter writes a trail at times of its own, and keeps what a ledger must hold.
type trailWriter struct {
	pages []notary.TrailPage
	days  []notary.TrailDay
}

// write adds one page of so many events.
func (w *trailWriter) write(ctx context.Context, l notary.Trail, tenant notary.ID, at time.Time, events int) error {
	return l.WriteTrail(ctx, func(h notary.TrailHead, _ time.Time) (*notary.TrailBatch, error) {
		b := trailBatch(h, tenant, at, events)
		w.pages = append(w.pages, b.Pages...)
		if b.Closed != nil {
			w.days = append(w.days, *b.Closed)
		}
		return b, nil
	})
}

// trailBatch continues a head by one page, or by the end of its day for no events.
func trailBatch(h notary.TrailHead, tenant notary.ID, at time.Time, events int) *notary.TrailBatch {
	b := &notary.TrailBatch{Head: h}
	if day := notary.DayOf(at); day != h.Day {
		if h.Pages > 0 {
			b.Closed = &notary.TrailDay{Day: h.Day, Pages: h.Pages, Events: h.Events, Root: proofs.RangeOf(h.Pages, h.Peaks).Root()}
		}
		b.Head = notary.TrailHead{Day: day}
	}
	b.Head.Time = at
	if events == 0 {
		return b
	}
	list := make([]notary.TrailEvent, events)
	for i := range list {
		list[i] = notary.TrailEvent{Caller: "key:0123456789abcdef", Role: notary.Compliance, Action: notary.ActionRead, Status: 200 + i, Address: "2001:db8::1", Request: "0011223344556677"}
	}
	text := notary.FormatTrailPage(tenant, at, list)
	b.Pages = []notary.TrailPage{{Day: b.Head.Day, Number: b.Head.Pages, Tenant: tenant, Events: uint32(events), Text: text}}
	edge := proofs.RangeOf(b.Head.Pages, b.Head.Peaks)
	edge.Append(proofs.LeafHash(text), nil)
	b.Head.Pages, b.Head.Events, b.Head.Peaks = b.Head.Pages+1, b.Head.Events+uint64(events), edge.Peaks()
	return b
}

// testTrail: what is written is read in its order, by whose it is, and survives; nothing that
// does not continue it is taken, of many writers none is lost, and a day is closed once.
func testTrail(t *testing.T, h Harness) {
	ctx, noon := t.Context(), time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	if head, err := h.Ledger.TrailHead(ctx); err != nil || head.Pages != 0 || head.Day != 0 || len(head.Peaks) != 0 {
		t.Errorf("the head of a fresh trail: %+v, %v", head, err)
	}
	var w trailWriter
	for i := range 20 {
		must(t, w.write(ctx, h.Ledger, []notary.ID{alice, bob, {}}[i%3], noon.Add(time.Duration(i)*7*time.Hour), i+1))
	}
	if len(w.days) != 6 {
		t.Fatalf("%d days were closed", len(w.days))
	}
	checkTrail(t, h.Ledger, &w)
	refuseTrail(t, h.Ledger)
	checkTrail(t, h.Ledger, &w)

	// Nothing is shared, and build decides.
	unwritten := errors.New("not now")
	wantErr(t, "build's own error", h.Ledger.WriteTrail(ctx, func(notary.TrailHead, time.Time) (*notary.TrailBatch, error) { return nil, unwritten }), unwritten)
	must(t, h.Ledger.WriteTrail(ctx, func(notary.TrailHead, time.Time) (*notary.TrailBatch, error) { return nil, nil }))
	checkTrail(t, h.Ledger, &w)

	// Many at once; none is lost, and their numbers follow each other.
	var group sync.WaitGroup
	late := w.pages[len(w.pages)-1].Day.Begin().Add(30 * time.Hour)
	for range 4 {
		group.Go(func() {
			for range 10 {
				if err := w.write(ctx, h.Ledger, alice, late, 1); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	must(t, w.write(ctx, h.Ledger, alice, late.Add(24*time.Hour), 0))
	checkTrail(t, h.Ledger, &w)
	if last := w.days[len(w.days)-1]; last.Pages != 40 {
		t.Errorf("the last day was closed with %+v", last)
	}
	reopened := h.Reopen()
	checkTrail(t, reopened, &w)
	must(t, w.write(ctx, reopened, bob, late.Add(25*time.Hour), 3))
	checkTrail(t, reopened, &w)
	ended, cancel := context.WithCancel(ctx)
	cancel()
	if err := w.write(ended, reopened, bob, late.Add(25*time.Hour), 3); err == nil {
		t.Error("a write that was cancelled before it began was done")
	}
}

func checkTrail(t *testing.T, l notary.Trail, w *trailWriter) {
	t.Helper()
	ctx := t.Context()
	for _, tenant := range []*notary.ID{nil, {}, &alice, &bob, {1}} {
		for _, limit := range []int{3, 1000} {
			var want, got []notary.TrailPage
			for _, p := range w.pages {
				if tenant == nil || p.Tenant == *tenant {
					want = append(want, p)
				}
			}
			r := notary.TrailRange{Tenant: tenant, Until: 1 << 20, Limit: limit}
			for {
				pages, err := l.TrailPages(ctx, r)
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, pages...)
				if len(pages) < limit {
					break
				}
				r.Day, r.Number = got[len(got)-1].Day, got[len(got)-1].Number+1
			}
			if len(got) != len(want) || len(got) > 0 && !reflect.DeepEqual(got, want) {
				t.Errorf("tenant %v by %d: %d pages, want %d", tenant, limit, len(got), len(want))
			}
		}
	}
	if days, err := l.TrailDays(ctx, 0, 1000); err != nil || !reflect.DeepEqual(days, w.days) {
		t.Errorf("closed days: %+v, %v; want %+v", days, err, w.days)
	}
	if len(w.days) > 1 {
		if days, err := l.TrailDays(ctx, w.days[1].Day, 1); err != nil || len(days) != 1 || days[0] != w.days[1] {
			t.Errorf("one day: %+v, %v", days, err)
		}
		r := notary.TrailRange{Day: w.days[1].Day, Until: w.days[1].Day, Limit: 1000}
		pages, err := l.TrailPages(ctx, r)
		if err != nil || uint64(len(pages)) != w.days[1].Pages || len(pages) > 0 && pages[0].Day != w.days[1].Day {
			t.Errorf("the pages of one day: %d, %v", len(pages), err)
		}
	}
	for _, limit := range []int{0, 1001} {
		if _, err := l.TrailPages(ctx, notary.TrailRange{Limit: limit}); err == nil {
			t.Errorf("%d pages are given", limit)
		}
	}
}

// refuseTrail tries batches that do not continue the trail.
func refuseTrail(t *testing.T, l notary.Trail) {
	t.Helper()
	for what, spoil := range map[string]func(b *notary.TrailBatch, h notary.TrailHead){
		"a number twice":         func(b *notary.TrailBatch, _ notary.TrailHead) { b.Pages[0].Number-- },
		"a number left out":      func(b *notary.TrailBatch, _ notary.TrailHead) { b.Pages[0].Number++ },
		"a count that is not so": func(b *notary.TrailBatch, _ notary.TrailHead) { b.Pages[0].Events++ },
		"a sum that is not so":   func(b *notary.TrailBatch, _ notary.TrailHead) { b.Head.Events++ },
		"another tenant":         func(b *notary.TrailBatch, _ notary.TrailHead) { b.Pages[0].Tenant = bob },
		"other bytes":            func(b *notary.TrailBatch, _ notary.TrailHead) { b.Pages[0].Text = bytes.ToUpper(b.Pages[0].Text) },
		"other peaks":            func(b *notary.TrailBatch, _ notary.TrailHead) { b.Head.Peaks[0][0] ^= 1 },
		"no peaks":               func(b *notary.TrailBatch, _ notary.TrailHead) { b.Head.Peaks = nil },
		"a day that goes back": func(b *notary.TrailBatch, h notary.TrailHead) {
			*b = *trailBatch(notary.TrailHead{}, alice, h.Day.Begin().Add(-1), 1)
		},
		"a time that goes back": func(b *notary.TrailBatch, h notary.TrailHead) {
			*b = *trailBatch(h, alice, h.Time.Add(-time.Millisecond), 1)
		},
		"a day closed that goes on": func(b *notary.TrailBatch, h notary.TrailHead) {
			b.Closed = &notary.TrailDay{Day: h.Day, Pages: h.Pages, Events: h.Events}
		},
		"a day that is not closed": func(b *notary.TrailBatch, h notary.TrailHead) {
			*b = *trailBatch(h, alice, h.Time.Add(48*time.Hour), 1)
			b.Closed = nil
		},
		"a day closed as another": func(b *notary.TrailBatch, h notary.TrailHead) {
			*b = *trailBatch(h, alice, h.Time.Add(48*time.Hour), 1)
			b.Closed.Root[0] ^= 1
		},
		"a day closed with less in it": func(b *notary.TrailBatch, h notary.TrailHead) {
			*b = *trailBatch(h, alice, h.Time.Add(48*time.Hour), 1)
			b.Closed.Events--
		},
	} {
		err := l.WriteTrail(t.Context(), func(h notary.TrailHead, _ time.Time) (*notary.TrailBatch, error) {
			b := trailBatch(h, alice, h.Time, 2)
			spoil(b, h)
			return b, nil
		})
		if err == nil {
			t.Errorf("taken: %s", what)
		}
	}
}
