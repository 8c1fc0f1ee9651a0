package rfc3161

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/muniment/muniment/proofs"
)

// TestTokensOfBefore: tokens that others' authorities issued in 2026, over the note beside
// them, are believed for ever by who has their roots, and whatever the clock says.
func TestTokensOfBefore(t *testing.T) {
	read := func(names ...string) []byte {
		data, err := os.ReadFile(filepath.Join(append([]string{"testdata"}, names...)...))
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	note := read("note")
	for dir, want := range map[string]struct{ authority, policy string }{
		"openssl-rsa":  {"OpenSSL signer (OpenSSL Ltd)", "1.3.6.1.4.1.99999.1"},
		"openssl-p384": {"OpenSSL signer (OpenSSL Ltd)", "1.3.6.1.4.1.99999.1"},
		"sigstore":     {"Test TSA Timestamping (local)", "1.3.6.1.4.1.57264.2"},
	} {
		roots, err := ParseRoots(read(dir, "roots.pem"))
		if err != nil {
			t.Fatal(dir, err)
		}
		token := read(dir, "token.der")
		got, outcome, reason := NewAuthorities(roots).CheckTimestamp(token, note)
		if outcome != proofs.Verified || got.Authority != want.authority || got.Policy != want.policy || got.Time.Year() != 2026 {
			t.Errorf("%s: %v %s %+v", dir, outcome, reason, got)
		}
		if _, outcome, _ := NewAuthorities(roots).CheckTimestamp(token, append(note, '\n')); outcome != proofs.Refused {
			t.Errorf("%s: over another note it is %v", dir, outcome)
		}
		for i := 0; i < len(token); i += 5 {
			token[i] ^= 0x40
			if altered, outcome, _ := NewAuthorities(roots).CheckTimestamp(token, note); outcome == proofs.Verified && altered != got {
				t.Errorf("%s: byte %d altered, it says %+v", dir, i, altered)
			}
			token[i] ^= 0x40
		}
	}
}
