package notary_test

import (
	"bytes"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/notary/notarytest"
)

// guarded is a depository with a second anchor, and what it logs.
func guarded(t *testing.T) (d *depository, second *notarytest.Anchor, config func() notary.Config, said func() string) {
	d = newDepository(t)
	second = notarytest.NewAnchor(notary.Unsealed(origin))
	d.anchors = []notary.Anchor{d.anchor, second}
	var log lockedBuffer
	config = func() notary.Config {
		c := d.config()
		c.AnchorNames = []string{"dir:/first", "s3"}
		c.Logger = slog.New(slog.NewTextHandler(&log, nil))
		return c
	}
	return d, second, config, log.String
}

type lockedBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// TestSecondAnchorLags: anchors that were restored to an older state are reported, though
// all of them were, and advanced at the start; one that is put back under a running notary
// is reported, and the next seal ends the process.
func TestSecondAnchorLags(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, second, config, said := guarded(t)
		open := func() *notary.Notary {
			t.Helper()
			n, err := notary.Open(t.Context(), config())
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
		put := func(n *notary.Notary, key string) error {
			_, err := n.Deposit(t.Context(), d.principal(), digestOnly(t, key, "x"))
			return err
		}
		n := open()
		if err := put(n, "a"); err != nil {
			t.Fatal(err)
		}
		old := second.Snapshot()
		if err := put(n, "b"); err != nil {
			t.Fatal(err)
		}
		closeNotary(t, n)
		if strings.Contains(said(), "lags") {
			t.Errorf("an anchor lags that does not: %s", said())
		}
		newest := second.Snapshot()
		d.anchor.Restore(old)
		second.Restore(old)
		n = open()
		synctest.Wait()
		for _, name := range []string{"anchor 0 (dir:/first)", "anchor 1 (s3)"} {
			if !strings.Contains(said(), `an anchor lags: it is older than the log, and is advanced before the next seal" anchor="`+name+`" anchor_size=2 sealed_size=3`) {
				t.Errorf("%s is not reported: %s", name, said())
			}
		}
		if !bytes.Equal(d.anchor.Snapshot(), newest) || !bytes.Equal(second.Snapshot(), newest) {
			t.Error("they were not advanced")
		}
		if lags := n.Status(t.Context()).Lagging; len(lags) > 0 {
			t.Errorf("still lagging: %d", lags)
		}
		second.Restore(old)
		time.Sleep(3 * time.Second)
		if s := n.Status(t.Context()); !slices.Equal(s.Lagging, []int{1}) || len(s.Problems) > 0 {
			t.Errorf("after a restore under a running notary: %+v", s)
		}
		if err := put(n, "c"); err == nil {
			t.Error("a receipt left beside a foreign anchor")
		}
		_ = n.Close(t.Context())
		if died := d.deaths(); len(died) != 1 || !strings.Contains(died[0].Error(), "anchor 1 (s3): another process moved the anchor") {
			t.Errorf("stopped: %v", died)
		}
		n = open()
		if err := put(n, "c"); err != nil {
			t.Error(err)
		}
		closeNotary(t, n)
		d.check()
	})
}

// TestSecondAnchorHangs: while the second anchor fails or does not answer, nothing is
// published and Status names it; afterwards everything resumes by itself.
func TestSecondAnchorHangs(t *testing.T) {
	for _, kind := range notarytest.Kinds {
		synctest.Test(t, func(t *testing.T) {
			d, second, config, _ := guarded(t)
			n, err := notary.Open(t.Context(), config())
			if err != nil {
				t.Fatal(err)
			}
			second.Faults.Set(notarytest.Fault{Call: "Advance", Kind: kind}, notarytest.Fault{Call: "Load", Kind: kind})
			deposit := digestOnly(t, "a", "x")
			deposit.Until = time.Now().Add(4 * time.Second)
			_, err = n.Deposit(t.Context(), d.principal(), deposit)
			if delayed := new(notary.SealingDelayedError); !errors.As(err, &delayed) {
				t.Errorf("%v: %v", kind, err)
			}
			s := n.Status(t.Context())
			named := slices.ContainsFunc(s.Problems, func(err error) bool {
				a := new(notary.AnchorError)
				return errors.As(err, &a) && a.Anchor == 1 && strings.Contains(err.Error(), "anchor 1 (s3)")
			})
			if !named || s.Published != 1 {
				t.Errorf("%v: %+v", kind, s)
			}
			second.Faults.Reset()
			time.Sleep(12 * time.Second)
			if s := n.Status(t.Context()); len(s.Problems) > 0 || s.Published != 2 {
				t.Errorf("%v, afterwards: %+v", kind, s)
			}
			deposit.Until = time.Time{}
			if _, err = n.Deposit(t.Context(), d.principal(), deposit); err != nil {
				t.Errorf("%v: %v", kind, err)
			}
			closeNotary(t, n)
			if died := d.deaths(); len(died) > 0 {
				t.Errorf("%v: stopped: %v", kind, died)
			}
			d.check()
		})
	}
}
