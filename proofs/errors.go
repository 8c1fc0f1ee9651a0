package proofs

import (
	"encoding/base64"
	"errors"
	"fmt"
)

// ErrMalformed is wrapped by every error of a parser in this package: the bytes
// are not in the one canonical form that SPEC.md gives.
var ErrMalformed = errors.New("malformed")

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrMalformed, fmt.Sprintf(format, args...))
}

// base64Strict is RFC 4648 §4 with padding, and zero in the trailing bits.
var base64Strict = base64.StdEncoding.Strict()

// decodeBase64 accepts exactly what base64Strict encodes. The standard decoder
// skips line breaks, which would give one value many spellings.
func decodeBase64(s string) ([]byte, error) {
	for i := 0; i < len(s); i++ {
		if s[i] == '\n' || s[i] == '\r' {
			return nil, malformed("line break inside base64")
		}
	}
	b, err := base64Strict.DecodeString(s)
	if err != nil {
		return nil, malformed("not padded standard base64")
	}
	return b, nil
}
