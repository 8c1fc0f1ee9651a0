package storagetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/proofs"
)

// SegmentsHarness is how the suite Segments reaches the driver under test.
type SegmentsHarness struct {
	// New returns a store without segments. What it opens it closes by t.Cleanup.
	New func(t testing.TB) notary.Segments
	// Reopen opens the same store again. Nil for a store that ends with its process.
	Reopen func(t testing.TB, s notary.Segments) notary.Segments
	// Versions returns every content of the keys of a segment that can still be read,
	// by any means, old ones too. Nil where no more than one can be.
	Versions func(t testing.TB, s notary.Segments, name notary.SegmentName) [][]byte
}

// Segments runs every sentence of the contract of notary.Segments against a driver.
func Segments(t *testing.T, h SegmentsHarness) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, SegmentsHarness)
	}{
		{"PutThenLoad", segmentsPutThenLoad},
		{"CreateOnly", segmentsCreateOnly},
		{"RacingPuts", segmentsRacingPuts},
		{"List", segmentsList},
		{"EditKeys", segmentsEditKeys},
		{"RacingEdits", segmentsRacingEdits},
		{"Accounts", segmentsAccounts},
		{"Freeze", segmentsFreeze},
		{"Cancelled", segmentsCancelled},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, h) })
	}
}

const segmentOrigin = "log.example/test/segments"

func segmentName(from, to uint64, mark byte) notary.SegmentName {
	return notary.SegmentName{Origin: segmentOrigin, From: from, To: to, Begin: proofs.Hash{byte(from)}, End: proofs.Hash{byte(to), mark}}
}

func (h SegmentsHarness) reopen(t *testing.T, s notary.Segments) notary.Segments {
	if h.Reopen == nil {
		return s
	}
	return h.Reopen(t, s)
}

func segmentsPutThenLoad(t *testing.T, h SegmentsHarness) {
	s := h.New(t)
	want := map[notary.SegmentName][2][]byte{}
	for i, size := range []int{1, 4096, 1 << 20, notary.MaxSegment} {
		name := segmentName(uint64(i), uint64(i)+1, 0)
		want[name] = [2][]byte{blobContent(size), []byte(fmt.Sprint("keys ", i))}
		must(t, s.Put(t.Context(), name, want[name][0], want[name][1]))
	}
	large := blobContent(notary.MaxSegment + 1)
	if err := s.Put(t.Context(), segmentName(9, 10, 0), large, nil); err == nil {
		t.Error("a segment that is too large was taken")
	}
	s = h.reopen(t, s)
	for name, content := range want {
		segmentMustHold(t, s, name, content[0], content[1])
	}
	for _, name := range []notary.SegmentName{segmentName(0, 2, 0), segmentName(0, 1, 1), {Origin: "log.example/test/other", From: 0, To: 1, End: proofs.Hash{1}}} {
		if _, _, err := s.Load(t.Context(), name); !errors.Is(err, notary.ErrNotFound) {
			t.Errorf("Load of a segment never put: %v, want ErrNotFound", err)
		}
	}
}

func segmentMustHold(t *testing.T, s notary.Segments, name notary.SegmentName, segment, keys []byte) {
	t.Helper()
	gotSegment, gotKeys, err := s.Load(t.Context(), name)
	if err != nil || !bytes.Equal(gotSegment, segment) || !bytes.Equal(gotKeys, keys) {
		t.Fatalf("Load: %d and %d bytes, %v; want %d and %d", len(gotSegment), len(gotKeys), err, len(segment), len(keys))
	}
}

func segmentsCreateOnly(t *testing.T, h SegmentsHarness) {
	s, name := h.New(t), segmentName(3, 7, 0)
	must(t, s.Put(t.Context(), name, []byte("rows"), []byte("keys")))
	must(t, s.Put(t.Context(), name, []byte("rows"), []byte("keys"))) // another sealer's
	// Keys that are there are not brought back by whoever has them still.
	must(t, s.EditKeys(t.Context(), name, func([]byte) ([]byte, error) { return []byte("fewer"), nil }))
	must(t, s.Put(t.Context(), name, []byte("rows"), []byte("keys")))
	segmentMustHold(t, s, name, []byte("rows"), []byte("fewer"))
	if err := s.Put(t.Context(), name, []byte("other rows"), []byte("keys")); !errors.Is(err, notary.ErrDamaged) {
		t.Errorf("Put of other bytes under a name that is taken: %v, want ErrDamaged", err)
	}
	segmentMustHold(t, s, name, []byte("rows"), []byte("fewer"))
}

func segmentsRacingPuts(t *testing.T, h SegmentsHarness) {
	s, name := h.New(t), segmentName(0, 9, 0)
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			if err := s.Put(t.Context(), name, []byte("rows"), []byte("keys")); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	segmentMustHold(t, s, name, []byte("rows"), []byte("keys"))
}

func segmentsList(t *testing.T, h SegmentsHarness) {
	s := h.New(t)
	other := segmentName(1, 2, 0)
	other.Origin = segmentOrigin + "s" // begins with the same letters
	must(t, s.Put(t.Context(), other, []byte("rows"), []byte("keys")))
	all := []notary.SegmentName{
		segmentName(0, 1, 0), segmentName(1, 4, 0), segmentName(1, 5, 0), segmentName(1, 5, 1), segmentName(5, 4101, 0),
		segmentName(255, 256, 0), segmentName(256, 257, 0), segmentName(1<<40, 1<<40+1, 0),
	}
	for _, i := range []int{5, 0, 7, 3, 1, 6, 2, 4} {
		must(t, s.Put(t.Context(), all[i], []byte("rows"), []byte("keys")))
	}
	for what, list := range map[string]func(context.Context, string, uint64, func(notary.SegmentName) error) error{"List": s.List, "ListKeys": s.ListKeys} {
		for _, from := range []uint64{0, 1, 2, 5, 6, 256, 257, 1 << 41} {
			var got, want []notary.SegmentName
			must(t, list(t.Context(), segmentOrigin, from, func(n notary.SegmentName) error { got = append(got, n); return nil }))
			for _, n := range all {
				if n.From >= from {
					want = append(want, n)
				}
			}
			if !slices.IsSortedFunc(got, func(a, b notary.SegmentName) int { return int(int64(a.From) - int64(b.From)) }) {
				t.Errorf("%s from %d: not in order", what, from)
			}
			if len(got) != len(want) || slices.ContainsFunc(want, func(n notary.SegmentName) bool { return !slices.Contains(got, n) }) {
				t.Errorf("%s from %d: %d names, want %d", what, from, len(got), len(want))
			}
		}
		stop := errors.New("stop")
		calls := 0
		if err := list(t.Context(), segmentOrigin, 0, func(notary.SegmentName) error { calls++; return stop }); !errors.Is(err, stop) || calls != 1 {
			t.Errorf("%s with an fn that fails: %v after %d calls", what, err, calls)
		}
	}
}

func segmentsEditKeys(t *testing.T, h SegmentsHarness) {
	s, name := h.New(t), segmentName(0, 3, 0)
	called := false
	must(t, s.EditKeys(t.Context(), name, func([]byte) ([]byte, error) { called = true; return nil, nil }))
	if called {
		t.Error("edit was called for keys that are not there")
	}
	must(t, s.Put(t.Context(), name, []byte("rows"), []byte("key one, key two")))
	fault := errors.New("no")
	if err := s.EditKeys(t.Context(), name, func([]byte) ([]byte, error) { return nil, fault }); !errors.Is(err, fault) {
		t.Errorf("EditKeys with an edit that fails: %v", err)
	}
	segmentMustHold(t, s, name, []byte("rows"), []byte("key one, key two"))
	for _, next := range []string{"key two", "key two", "none"} { // the second is a retry that changes nothing
		must(t, s.EditKeys(t.Context(), name, func([]byte) ([]byte, error) { return []byte(next), nil }))
		segmentMustHold(t, s, name, []byte("rows"), []byte(next))
		if h.Versions == nil {
			continue
		}
		if left := h.Versions(t, s, name); len(left) != 1 || string(left[0]) != next {
			t.Errorf("what was destroyed can still be read: %q", left)
		}
	}
	segmentMustHold(t, h.reopen(t, s), name, []byte("rows"), []byte("none"))
}

func segmentsRacingEdits(t *testing.T, h SegmentsHarness) {
	s, name := h.New(t), segmentName(0, 8, 0)
	must(t, s.Put(t.Context(), name, []byte("rows"), []byte("abcdefgh")))
	var all sync.WaitGroup
	for _, c := range []byte("abcdefgh") {
		all.Go(func() {
			err := s.EditKeys(t.Context(), name, func(keys []byte) ([]byte, error) { return bytes.ReplaceAll(keys, []byte{c}, []byte{'-'}), nil })
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	segmentMustHold(t, s, name, []byte("rows"), []byte("--------"))
	if h.Versions != nil {
		if left := h.Versions(t, s, name); len(left) != 1 {
			t.Errorf("what was destroyed can still be read: %q", left)
		}
	}
}

func segmentsAccounts(t *testing.T, h SegmentsHarness) {
	s := h.New(t)
	tenant, key := "tenant-01a2070d-4e2f-7d00-87c7-be68003ebf3d", "key-"+strings.Repeat("0a", 32)
	must(t, s.KeepAccount(t.Context(), segmentOrigin, tenant, []byte("a tenant")))
	must(t, s.KeepAccount(t.Context(), segmentOrigin, key, []byte("a key")))
	must(t, s.KeepAccount(t.Context(), segmentOrigin, key, []byte("another")))
	must(t, s.KeepAccount(t.Context(), segmentOrigin+"s", tenant, []byte("another log's")))
	got := map[string]string{}
	must(t, h.reopen(t, s).KeptAccounts(t.Context(), segmentOrigin, func(name string, body []byte) error { got[name] = string(body); return nil }))
	if want := map[string]string{tenant: "a tenant", key: "a key"}; !maps.Equal(got, want) {
		t.Errorf("KeptAccounts: %q, want %q", got, want)
	}
	other := "key-" + strings.Repeat("0b", 32)
	must(t, s.KeepAccount(t.Context(), segmentOrigin, other, []byte("to be dropped")))
	for range 2 {
		must(t, s.DropAccount(t.Context(), segmentOrigin, other))
	}
	must(t, h.reopen(t, s).KeptAccounts(t.Context(), segmentOrigin, func(name string, _ []byte) error {
		if name == other {
			t.Error("what was dropped is still there")
		}
		return nil
	}))
	stop := errors.New("stop")
	if err := s.KeptAccounts(t.Context(), segmentOrigin, func(string, []byte) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("KeptAccounts with an fn that fails: %v", err)
	}
}

func segmentsFreeze(t *testing.T, h SegmentsHarness) {
	s := h.New(t)
	if _, err := s.Frozen(t.Context(), segmentOrigin); !errors.Is(err, notary.ErrNotFound) {
		t.Errorf("Frozen before Freeze: %v", err)
	}
	must(t, s.Freeze(t.Context(), segmentOrigin, []byte("the first reason")))
	must(t, s.Freeze(t.Context(), segmentOrigin, []byte("the second")))
	why, err := h.reopen(t, s).Frozen(t.Context(), segmentOrigin)
	if err != nil || string(why) != "the first reason" {
		t.Errorf("Frozen: %q, %v", why, err)
	}
	if _, err := s.Frozen(t.Context(), segmentOrigin+"s"); !errors.Is(err, notary.ErrNotFound) {
		t.Errorf("Frozen of another log: %v", err)
	}
	must(t, s.List(t.Context(), segmentOrigin, 0, func(n notary.SegmentName) error { t.Errorf("List names %v", n); return nil }))
}

func segmentsCancelled(t *testing.T, h SegmentsHarness) {
	s, name := h.New(t), segmentName(0, 1, 0)
	must(t, s.Put(t.Context(), name, []byte("rows"), []byte("keys")))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for what, call := range map[string]func() error{
		"Put":      func() error { return s.Put(ctx, segmentName(1, 2, 0), []byte("rows"), []byte("keys")) },
		"Load":     func() error { _, _, err := s.Load(ctx, name); return err },
		"List":     func() error { return s.List(ctx, segmentOrigin, 0, func(notary.SegmentName) error { return nil }) },
		"ListKeys": func() error { return s.ListKeys(ctx, segmentOrigin, 0, func(notary.SegmentName) error { return nil }) },
		"EditKeys": func() error { return s.EditKeys(ctx, name, func(k []byte) ([]byte, error) { return k, nil }) },
		"KeepAccount": func() error {
			return s.KeepAccount(ctx, segmentOrigin, "tenant-01a2070d-4e2f-7d00-87c7-be68003ebf3d", nil)
		},
		"DropAccount": func() error {
			return s.DropAccount(ctx, segmentOrigin, "tenant-01a2070d-4e2f-7d00-87c7-be68003ebf3d")
		},
		"KeptAccounts": func() error { return s.KeptAccounts(ctx, segmentOrigin, func(string, []byte) error { return nil }) },
		"Freeze":       func() error { return s.Freeze(ctx, segmentOrigin, []byte("why")) },
		"Frozen":       func() error { _, err := s.Frozen(ctx, segmentOrigin); return err },
	} {
		if err := call(); !errors.Is(err, context.Canceled) {
			t.Errorf("%s under a cancelled context: %v, want context.Canceled", what, err)
		}
	}
}
