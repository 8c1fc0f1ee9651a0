package s3

import (
	"errors"
	"testing"
	"time"

	"github.com/muniment/muniment/notary"
)

// TestHeld: what is held cannot be deleted, whatever else retains it or does not, until the
// hold is lifted; where every document is held, none is lifted.
func TestHeld(t *testing.T) {
	b := open(t, Config{Bucket: newBucket(t, true)})
	kept, content := put(t, b, 1000)
	for range 2 {
		if err := b.Hold(t.Context(), kept, true); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Delete(t.Context(), kept); err == nil || errors.Is(err, notary.ErrNotFound) {
		t.Errorf("Delete of what is held: %v", err)
	}
	holds(t, b, kept, content)
	if err := b.Hold(t.Context(), kept, false); err != nil {
		t.Fatal(err)
	}
	if err := b.Delete(t.Context(), kept); err != nil {
		t.Errorf("Delete of what is held no more: %v", err)
	}
	if n := len(versions(t, b)); n != 0 {
		t.Errorf("%d versions are left", n)
	}
	if err := b.Hold(t.Context(), kept, true); !errors.Is(err, notary.ErrNotFound) {
		t.Errorf("Hold of what is gone: %v", err)
	}

	always := open(t, Config{Bucket: newBucket(t, true), Retention: Retention{LegalHold: true}})
	kept, _ = put(t, always, 10)
	if err := errors.Join(always.Retain(t.Context(), kept, time.Now(), time.Time{}), always.Hold(t.Context(), kept, false)); err != nil {
		t.Fatal(err)
	}
	if err := always.Delete(t.Context(), kept); err == nil {
		t.Error("a hold that the settings ask for was lifted")
	}
}
