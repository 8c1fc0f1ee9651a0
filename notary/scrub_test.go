package notary_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

// TestScrubOfGrowingLog: the scrubber takes up a pass where it left off, while the log
// grows in steps that are no whole tiles. It looks at each entry once, and what is sound
// it does not call damaged.
func TestScrubOfGrowingLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDepository(t)
		n := d.open()
		deposits := 0
		for _, grow := range []int{0, 1, 100, 155, 1, 254, 300, 700} {
			for range grow {
				deposits++
				if _, err := n.Deposit(t.Context(), d.principal(), digestOnly(t, fmt.Sprint(deposits), "loan", "contract.number", fmt.Sprint("LC-", deposits%3))); err != nil {
					t.Fatal(err)
				}
			}
			time.Sleep(30 * time.Second) // some thirty steps of the scrubber
			if s := n.Status(t.Context()); len(s.Problems) > 0 {
				t.Fatalf("after %d deposits: %v", deposits, s.Problems)
			}
		}
		closeNotary(t, n)
		d.check()
	})
}
