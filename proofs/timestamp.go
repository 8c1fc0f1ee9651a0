package proofs

import (
	"bytes"
	"slices"
	"time"
)

// A TimestampChecker checks RFC 3161 time-stamp tokens by the authorities that it knows.
// It is safe for concurrent use.
type TimestampChecker interface {
	// CheckTimestamp judges a token, in DER, over message.
	//
	// Verified: an authority that the checker trusts states that message existed at
	// Time; all of the Timestamp is its statement. Undecided: the token proves nothing, since
	// its authority is not known, was not entitled at that time, or used an algorithm that
	// is not at hand; of the Timestamp only Time may be used, to see the order of tokens.
	// Refused, with a reason: the bytes are no token, the token is over another message, or
	// it is in a trusted authority's name and does not hold.
	CheckTimestamp(token, message []byte) (Timestamp, Outcome, Reason)
}

// A Timestamp is what an authority states in a token: that the verbatim checkpoint existed
// at Time.
type Timestamp struct {
	Authority string        `json:"authority"` // its certificate's subject
	Root      string        `json:"root"`      // subject of the trusted certificate above it
	Serial    string        `json:"serial"`    // of the token, decimal
	Time      time.Time     `json:"time"`
	Accuracy  time.Duration `json:"accuracy,omitempty"` // how far off Time may be either way; 0: not stated
	Policy    string        `json:"policy"`             // OID of the rules that the authority issued it under
	// NotAfter is when the first certificate between authority and root ends. Beyond it
	// the token needs a renewal that was made before.
	NotAfter time.Time `json:"not_after"`
}

// TimestampTolerance is how far before the entry's time a time-stamp may be, beyond its own
// accuracy, before the two contradict each other: clocks that are set by hand differ by less.
const TimestampTolerance = time.Minute

// stamps judges tokens over a message that holds an entry of that time. Refusal is for what
// contradicts the message, the entry or a trusted authority; of the rest, what proves nothing
// is counted and ignored.
func (v *Verifier) stamps(tokens [][]byte, message []byte, entry time.Time) (proved []Timestamp, ignored int, reason Reason) {
	if v.timestamps == nil {
		return nil, len(tokens), ""
	}
	var last time.Time
	for i, token := range tokens {
		t, outcome, reason := v.timestamps.CheckTimestamp(token, message)
		switch {
		case outcome == Refused:
			return nil, 0, reason
		case i > 0 && (t.Time.Before(last) || t.Time.Equal(last) && bytes.Compare(tokens[i-1], token) > 0):
			return nil, 0, ReasonTimestampOrder
		case outcome == Verified && t.Time.Add(t.Accuracy).Before(entry.Add(-TimestampTolerance)):
			return nil, 0, ReasonTimestampTime
		case outcome == Verified:
			proved = append(proved, t)
		default:
			ignored++
		}
		last = t.Time
	}
	return proved, ignored, ""
}

// Stamp returns the receipt with those tokens that fit into it, in their order. tokens must
// be over its checkpoint and ascend by time, then by bytes; the newest are kept.
func (r Receipt) Stamp(tokens [][]byte) Receipt {
	r.Timestamps = slices.Clone(tokens[max(0, len(tokens)-maxTimestamps):])
	for len(r.Timestamps) > 0 && r.extraSize() > maxExtra {
		r.Timestamps = r.Timestamps[1:]
	}
	return r
}
