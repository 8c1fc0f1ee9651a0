package proofs

// An Option plugs into a Verifier what the standard library lacks. Without it, what it
// would check is not at hand, and the evidence says so.
type Option func(*Verifier)
