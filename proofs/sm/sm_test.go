package sm_test

import (
	"encoding/hex"
	"io"
	"strings"
	"testing"

	"github.com/muniment/muniment/proofs/sm"
)

// TestVectors: those of GB/T 32905-2016, annex A.
func TestVectors(t *testing.T) {
	for text, want := range map[string]string{
		"abc":                      "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0",
		strings.Repeat("abcd", 16): "debe9ff92275b8a138604889c18e5a4d6fdb70e5387e5765293dcba39c0c5732",
	} {
		h := sm.New()
		_, _ = io.WriteString(h, text)
		if got := hex.EncodeToString(h.Sum(nil)); got != want {
			t.Errorf("%q: %s", text, got)
		}
	}
}
