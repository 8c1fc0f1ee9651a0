package proofs

// An Option plugs into a Verifier what the standard library lacks. Without it, what it
// would check is not at hand, and the evidence says so.
type Option func(*Verifier)

// WithTimestamps lets a Verifier check time-stamp tokens by the authorities that who relies
// on the evidence trusts. Package proofs/rfc3161 has such a checker.
func WithTimestamps(t TimestampChecker) Option {
	return func(v *Verifier) { v.timestamps = t }
}
