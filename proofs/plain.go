package proofs

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Plain makes text harmless to a terminal and to the eye: control characters, line ends,
// invisible and bidirectional formatting characters and bytes that are not UTF-8 are spelled
// out. Records and file names are other people's text, and must not look like a verdict.
func Plain(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case Harmless(r):
			b.WriteRune(r)
		case r < 0x10000:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			fmt.Fprintf(&b, `\U%08x`, r)
		}
		i += n
	}
	return b.String()
}

// Harmless reports whether Plain leaves r as it is: letters, marks, digits, punctuation,
// symbols, the space and the ideographic space.
func Harmless(r rune) bool { return unicode.IsPrint(r) || r == '\u3000' }
