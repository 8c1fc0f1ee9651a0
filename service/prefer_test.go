package service

import (
	"testing"
	"time"

	"github.com/muniment/muniment/notary/notarytest"
)

func TestPreferences(t *testing.T) {
	s := &server{Config: Config{Wait: 30 * time.Second}}
	for text, want := range map[string]struct {
		wait    time.Duration // -1: none
		minimal bool
	}{
		"":                                {-1, false},
		"wait=5":                          {5 * time.Second, false},
		"Wait = 5":                        {5 * time.Second, false},
		`wait="5"`:                        {5 * time.Second, false},
		"wait=0":                          {0, false},
		"wait=30":                         {30 * time.Second, false},
		"wait=31":                         {-1, false},
		"wait=-1":                         {-1, false},
		"wait":                            {-1, false},
		"wait=99999999999999999999":       {-1, false},
		"wait=1.5":                        {-1, false},
		"wait=5, wait=6":                  {5 * time.Second, false},
		"wait=x, wait=6":                  {-1, false},
		"return=minimal":                  {-1, true},
		"return=representation":           {-1, false},
		`foo="a, wait=7", return=minimal`: {-1, true},
		"respond-async, wait=7;x=y , return=minimal;z": {7 * time.Second, true},
	} {
		begun := time.Now()
		p := s.preferences(map[string][]string{"Prefer": {text}})
		got := time.Duration(-1)
		if !p.until.IsZero() {
			got = p.until.Sub(begun).Truncate(time.Second)
		}
		if got != want.wait || p.minimal != want.minimal {
			t.Errorf("%q: %v %v", text, got, p.minimal)
		}
	}
}

// TestWait: who does not wait for the seal is told of the deposit, and gets its
// receipt with the same key.
func TestWait(t *testing.T) {
	h := newHouse(t)
	seal := make(chan struct{})
	h.anchor.Faults.Set(notarytest.Fault{Call: "Advance", Do: func() { <-seal }})
	digest, batch, document := digestOnly(""), batchOf(3), form(recordPart("{}"), documentPart("hello"))
	key := func(k, wait string) []string { return []string{"Idempotency-Key", k, "Prefer", wait} }
	ids := map[string]string{}
	for _, wait := range []string{"wait=0", "wait=1"} {
		for name, a := range map[string]answer{
			"digest":   h.postJSON(t, digest, key("digest", wait)...),
			"batch":    h.postBatch(t, batch, key("batch", wait)...),
			"document": h.postForm(t, document, key("document", wait)...),
		} {
			p := a.problem(t, sealingDelayed)
			if !p.Committed || p.Id == "" || a.Header.Get("Preference-Applied") != wait || ids[name] != "" && ids[name] != p.Id {
				t.Errorf("%s, %s: %+v %v", name, wait, p, a.Header)
			}
			ids[name] = p.Id
		}
	}
	close(seal)
	a := h.postJSON(t, digest, key("digest", "wait=10")...)
	d, _ := a.deposit(t, h, 201)
	held, _ := h.postForm(t, document, key("document", "wait=10")...).deposit(t, h, 201)
	first, _ := h.postBatch(t, batch, key("batch", "wait=10")...).batch(t, h, 3)[0].Member("id")
	if d.Id != ids["digest"] || held.Id != ids["document"] || first.JSON() != `"`+ids["batch"]+`"` || a.Header.Get("Preference-Applied") != "wait=10" {
		t.Errorf("%s %s %s are not %v", d.Id, held.Id, first.JSON(), ids)
	}
	// Where nothing is kept, no preference was of any moment.
	if a := h.postJSON(t, "{}", "Prefer", "wait=1"); a.Header.Get("Preference-Applied") != "" {
		t.Errorf("%v", a.Header)
	}
	h.nothingKept(t, 6, 1)
}
