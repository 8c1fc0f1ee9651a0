package dir

import (
	"testing"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/storage/storagetest"
)

func TestSegments(t *testing.T) {
	storagetest.Segments(t, storagetest.SegmentsHarness{
		New: func(t testing.TB) notary.Segments {
			s, err := OpenSegments(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			return s
		},
		Reopen: func(t testing.TB, s notary.Segments) notary.Segments {
			again, err := OpenSegments(s.(*Segments).root)
			if err != nil {
				t.Fatal(err)
			}
			return again
		},
	})
}
