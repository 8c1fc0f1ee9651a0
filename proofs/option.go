package proofs

import "hash"

// An Option plugs into a Verifier what the standard library lacks. Without it, what it
// would check is not at hand, and the evidence says so.
type Option func(*Verifier)

// WithTimestamps lets a Verifier check time-stamp tokens by the authorities that who relies
// on the evidence trusts. Package proofs/rfc3161 has such a checker.
func WithTimestamps(t TimestampChecker) Option {
	return func(v *Verifier) { v.timestamps = t }
}

// WithSM3 lets a Verifier hold a document against content.sm3 too, where the receipt shows
// it; proofs/sm has the hash. What ties a document to a receipt is content.sha256 all the same.
func WithSM3(sm3 func() hash.Hash) Option {
	return func(v *Verifier) { v.sm3 = sm3 }
}

// WithDepositorKeys demands that the depositor itself has signed what a receipt is about, with
// one of the keys of these fingerprints. What is not signed so is refused, and what cannot be
// checked is undecided.
func WithDepositorKeys(fingerprints ...string) Option {
	return func(v *Verifier) { v.depositors = append(v.depositors, fingerprints...) }
}

// An Algorithm checks the signatures of keys of one type that this package does not
// know; proofs/mldsa has one.
type Algorithm struct {
	Type byte // of the keys, as in VerifierKey.Type
	// Verify reports whether signature is k's on a note's text, and the POSIX time that
	// the signature states; 0 if it states none. It gets keys and bytes that nobody has
	// looked at, and must not panic. It is safe for concurrent use.
	Verify func(k VerifierKey, text string, signature []byte) (posix int64, ok bool)
}

// WithAlgorithm plugs in an algorithm. The types of this package, TypeEd25519 and
// TypeEd25519Cosigner, keep their own.
func WithAlgorithm(a Algorithm) Option {
	return func(v *Verifier) {
		if v.algorithms == nil {
			v.algorithms = algorithms{}
		}
		v.algorithms[a.Type] = a.Verify
	}
}

// algorithms are those that were plugged in, by type of key.
type algorithms map[byte]func(k VerifierKey, text string, signature []byte) (posix int64, ok bool)

// verifyLog is VerifierKey.verify with the algorithms at hand.
func (a algorithms) verifyLog(k VerifierKey, text string, signature []byte) (posix int64, ok, known bool) {
	posix, ok, known = k.verify(text, signature)
	plugged := a[k.Type]
	if known || plugged == nil {
		return posix, ok, known
	}
	posix, ok = plugged(k, text, signature)
	if posix < 0 || posix > maxPOSIX {
		return 0, false, true
	}
	return posix, ok, true
}

// verify is verifyLog for a witness's key. Without a time a cosignature of type 0x06 does
// not say that this was the newest state the witness knew, which is what a quorum is
// asked for: it is none.
func (a algorithms) verify(k VerifierKey, text string, signature []byte) (posix int64, ok, known bool) {
	posix, ok, known = a.verifyLog(k, text, signature)
	return posix, ok && (posix != 0 || k.Type != TypeMLDSA44Cosigner), known
}
