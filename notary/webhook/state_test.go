package webhook

import (
	"testing"
	"time"
)

// TestGivingUp: a call is dead after the last of its times, and those behind it go on.
func TestGivingUp(t *testing.T) {
	s := State{Next: 9}
	for i := 0; ; i++ {
		if dead := s.failed(3, "line", time.Now(), "why"); dead {
			if i < 5 {
				t.Errorf("given up after %d attempts", i+1)
			}
			break
		}
		if i > 50 {
			t.Fatal("never given up")
		}
	}
	if len(s.Waiting) != 0 || len(s.Dead) != 1 || s.Dead[0].Index != 3 || s.Dead[0].Line != "line" {
		t.Errorf("state: %+v", s)
	}
}
