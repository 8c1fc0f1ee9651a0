package proofs

import "time"

// Cosignature finds the witness of the policy that made s on a checkpoint's text, and
// returns its name there and the time that it states. It is false for a signature that
// is nobody's in the policy, does not verify, or is in an algorithm not at hand.
func (v *Verifier) Cosignature(text string, s Signature) (witness string, at time.Time, ok bool) {
	for _, w := range v.policy.Witnesses {
		if !w.Key.signed(s) {
			continue
		}
		posix, valid, _ := v.algorithms.verify(w.Key, text, s.Bytes)
		return w.Name, time.Unix(posix, 0).UTC(), valid
	}
	return "", time.Time{}, false
}

// Witnessed reports whether the verifier's policy demands cosignatures.
func (v *Verifier) Witnessed() bool { return v.policy.Witnessed() }
