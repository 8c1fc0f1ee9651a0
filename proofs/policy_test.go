package proofs

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"
)

// mlKey is a well-formed ML-DSA-44 vkey; no algorithm for it is at hand.
func mlKey(name, seed string) VerifierKey {
	key := ""
	for len(key) < 1312 {
		sum := sha256.Sum256([]byte(fmt.Sprint(seed, len(key))))
		key += string(sum[:])
	}
	return VerifierKey{name, keyID(name, TypeMLDSA44Cosigner, key), TypeMLDSA44Cosigner, key}
}

// mlSignature is a line such as that key would sign; nobody here can check it.
func mlSignature(name, seed string) Signature {
	return Signature{Name: name, KeyID: mlKey(name, seed).ID, Bytes: make([]byte, 8+2420)}
}

func TestPolicyRoundTrip(t *testing.T) {
	text := "# whom we trust\n\n \t\nlog\t" + logKey(testOrigin, "log").String() + "  https://log.example/\n" +
		witnessLine("A", "w1.example") + " https://w1.example/\n" + witnessLine("B", "w2.example") + "\n" + witnessLine("见证", "w3.example") + "\n" +
		"  group AB 1 A B\n\t# two of the two\ngroup all-of-them all AB 见证\nquorum all-of-them\n"
	p := mustPolicy(text)
	sum := sha256.Sum256([]byte(text))
	if p.String() != text || p.Fingerprint() != hex.EncodeToString(sum[:]) || p.Quorum() != "all-of-them" || !p.Witnessed() ||
		len(p.Logs) != 1 || len(p.Witnesses) != 3 {
		t.Error(p)
	}
	if p := mustPolicy("log " + logKey(testOrigin, "log").String() + "\nquorum none\n"); p.Witnessed() || p.Quorum() != "none" {
		t.Error(p)
	}
}

func TestMalformedPolicies(t *testing.T) {
	log, a, b := "log "+logKey(testOrigin, "log").String()+"\n", witnessLine("A", "w1")+"\n", witnessLine("B", "w2")+"\n"
	long := strings.Repeat("A ", maxPolicyNames)
	many := log
	for i := range maxPolicyNames {
		many += witnessLine(fmt.Sprint("W", i), fmt.Sprint("w", i)) + "\n"
	}
	for what, text := range map[string]string{
		"empty":                          "",
		"no quorum":                      log,
		"two quorums":                    log + "quorum none\nquorum none\n",
		"no final newline":               log + "quorum none",
		"CRLF":                           strings.ReplaceAll(log+"quorum none\n", "\n", "\r\n"),
		"NUL":                            log + "\x00quorum none\n",
		"DEL":                            log + "# \x7f\nquorum none\n",
		"unknown word":                   log + "quorums none\n",
		"upper case":                     log + "QUORUM none\n",
		"log without key":                "log\nquorum none\n",
		"log with too much":              strings.TrimSuffix(log, "\n") + " url more\nquorum none\n",
		"witness without key":            log + "witness A\nquorum none\n",
		"bad vkey":                       "log x\nquorum none\n",
		"quorum of nothing":              log + "quorum\n",
		"quorum undefined":               log + "quorum A\n",
		"quorum before its line":         log + "quorum A\n" + a,
		"quorum of two":                  log + a + b + "quorum A B\n",
		"log twice":                      log + log + "quorum none\n",
		"witness named none":             log + witnessLine("none", "w1") + "\nquorum none\n",
		"group named none":               log + a + "group none any A\nquorum none\n",
		"name taken by a witness":        log + a + witnessLine("A", "w2") + "\nquorum A\n",
		"name taken by a group":          log + a + b + "group A any B\nquorum A\n",
		"group of none":                  log + "group G any none\nquorum G\n",
		"group of itself":                log + "group G any G\nquorum G\n",
		"group of undefined":             log + a + "group G any A B\nquorum G\n",
		"group without members":          log + a + "group G any\nquorum G\n",
		"member twice":                   log + a + "group G any A A\nquorum G\n",
		"member of two groups":           log + a + b + "group G any A\ngroup H any A B\nquorum H\n",
		"threshold 0":                    log + a + "group G 0 A\nquorum G\n",
		"threshold above n":              log + a + b + "group G 3 A B\nquorum G\n",
		"threshold -1":                   log + a + "group G -1 A\nquorum G\n",
		"threshold +1":                   log + a + "group G +1 A\nquorum G\n",
		"threshold 01":                   log + a + "group G 01 A\nquorum G\n",
		"threshold one":                  log + a + "group G one A\nquorum G\n",
		"threshold ALL":                  log + a + "group G ALL A\nquorum G\n",
		"huge threshold":                 log + a + "group G 99999999999999999999 A\nquorum G\n",
		"too long":                       log + "#" + strings.Repeat("x", maxPolicy) + "\nquorum none\n",
		"too many names":                 many + "quorum none\n",
		"a long group of one":            log + a + "group G any " + long + "\nquorum G\n",
		"log key offered as a witness":   log + "witness A " + logKey("w", "w").String() + "\nquorum A\n",
		"the log's own key as a witness": log + "witness A " + witnessKey(testOrigin, "log").String() + "\nquorum A\n",
		"witness, then log, of one key":  "witness A " + witnessKey(testOrigin, "log").String() + "\n" + log + "quorum A\n",
		"witness key offered as a log":   "log " + witnessKey("w", "w").String() + "\nquorum none\n",
		"one key under two names":        log + a + "witness B " + witnessKey("other", "w1").String() + "\ngroup G all A B\nquorum G\n",
		"one key twice":                  log + a + "witness B " + witnessKey("w1", "w1").String() + "\ngroup G any A B\nquorum G\n",
		"one log key, two origins":       log + "log " + logKey("other.example/prod/1", "log").String() + "\nquorum none\n",
		"two keys of a name, not joined": log + a + "witness B " + witnessKey("w1", "w2").String() + "\nquorum A\n",
		"two keys of a name, both count": log + a + "witness B " + witnessKey("w1", "w2").String() + "\ngroup G all A B\nquorum G\n",
		"two keys of a name, in two groups": log + a + "witness B " + witnessKey("w1", "w2").String() +
			"\ngroup G any A\ngroup H any B\ngroup I all G H\nquorum I\n",
		"two keys of a name, one outside": log + a + b + "witness C " + witnessKey("w1", "w3").String() + "\ngroup G any A B\nquorum G\n",
		"ML-DSA beside, not joined":       log + a + "witness M " + mlKey("w1", "m").String() + "\ngroup G all A M\nquorum G\n",
	} {
		p, err := ParsePolicy([]byte(text))
		if !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", what, err)
		}
		if p.String() != "" || p.Logs != nil || p.Witnesses != nil || p.quorum != "" || p.groups != nil {
			t.Errorf("%s: an error and a policy", what)
		}
	}
	most := strings.Join(strings.Split(many, "\n")[:maxPolicyNames], "\n") + "\n"
	if _, err := ParsePolicy([]byte(most + "quorum none\n")); err != nil {
		t.Errorf("%d names: %v", maxPolicyNames, err)
	}
}

// TestSigstoreGHSA_9vcr_p3rj_q5q6_ThresholdCountsAuthorities: sigstore-go counted
// entries, so that one authority could meet a threshold of two by signing twice.
func TestSigstoreGHSA_9vcr_p3rj_q5q6_ThresholdCountsAuthorities(t *testing.T) {
	l := newTestLog(testOrigin)
	p := l.policy(witnessLine("A", "w1"), witnessLine("B", "w2"), "group G 2 A B", "quorum G")
	text := l.checkpoint(1).String()
	note := func(s ...Signature) []byte {
		return Note{Text: text, Signatures: append([]Signature{sign(testOrigin, "log", text)}, s...)}.Marshal()
	}
	for what, data := range map[string][]byte{
		"one witness":                    note(cosign("w1", "w1", text, 1)),
		"one key under a second name":    note(cosign("w1", "w1", text, 1), cosign("w2", "w1", text, 1)),
		"a second key under one name":    note(cosign("w1", "w1", text, 1), cosign("w1", "x", text, 1)),
		"strangers":                      note(cosign("x", "x", text, 1), cosign("y", "y", text, 1)),
		"the log as its own witness":     note(cosign("w1", "w1", text, 1), cosign(testOrigin, "log", text, 1)),
		"the log under a witness's name": note(cosign("w1", "w1", text, 1), cosign("w2", "log", text, 1)),
	} {
		if _, outcome, reason := p.judge(data, nil); outcome != Refused || reason != ReasonQuorum {
			t.Errorf("%s: %s, %s", what, outcome, reason)
		}
	}
	twice := note(cosign("w1", "w1", text, 1), cosign("w1", "w1", text, 2))
	if _, outcome, reason := p.judge(twice, nil); outcome != Refused || reason != ReasonNote {
		t.Errorf("the same key twice, at two times: %s, %s", outcome, reason)
	}
	if _, outcome, _ := p.judge(note(cosign("w1", "w1", text, 1), cosign("w2", "w2", text, 1)), nil); outcome != Verified {
		t.Error("both witnesses:", outcome)
	}
}

func TestQuorums(t *testing.T) {
	l := newTestLog(testOrigin)
	var names []string
	for i := range 6 {
		names = append(names, fmt.Sprint("w", i))
	}
	lines := func(rules ...string) Policy {
		var out []string
		for i, w := range names {
			out = append(out, witnessLine(fmt.Sprint("W", i), w))
		}
		return l.policy(append(out, rules...)...)
	}
	for _, c := range []struct {
		policy Policy
		holds  func(w [6]bool) bool
	}{
		{lines("quorum none"), func([6]bool) bool { return true }},
		{lines("quorum W3"), func(w [6]bool) bool { return w[3] }},
		{lines("group G all W0 W1", "quorum G"), func(w [6]bool) bool { return w[0] && w[1] }},
		{lines("group G any W0 W1", "quorum G"), func(w [6]bool) bool { return w[0] || w[1] }},
		{lines("group X 2 W0 W1 W2", "group Y any W3 W4", "group Z all X Y", "quorum Z"), func(w [6]bool) bool {
			n := 0
			for _, s := range w[:3] {
				if s {
					n++
				}
			}
			return n >= 2 && (w[3] || w[4])
		}},
		{lines("group X all W0 W1", "group Y 1 X W2", "group Z 2 Y W3 W4", "quorum Z"), func(w [6]bool) bool {
			n := 0
			for _, s := range []bool{w[0] && w[1] || w[2], w[3], w[4]} {
				if s {
					n++
				}
			}
			return n >= 2
		}},
	} {
		for set := range 1 << 6 {
			var signed [6]bool
			var witnesses []string
			for i := range signed {
				if signed[i] = set>>i&1 == 1; signed[i] {
					witnesses = append(witnesses, names[i])
				}
			}
			_, outcome, reason := c.policy.judge(l.note(1, witnesses...), nil)
			if want := c.holds(signed); want != (outcome == Verified) || !want && reason != ReasonQuorum {
				t.Fatalf("%s with %v: %s, %s", c.policy.Quorum(), witnesses, outcome, reason)
			}
		}
	}
}

// TestDeepPolicies: a chain as long as a policy may be is neither slow nor deep.
func TestDeepPolicies(t *testing.T) {
	l := newTestLog(testOrigin)
	rules := []string{witnessLine("G0", "w")}
	for i := 1; i < maxPolicyNames-1; i++ {
		rules = append(rules, fmt.Sprintf("group G%d all G%d", i, i-1))
	}
	p := l.policy(append(rules, fmt.Sprintf("quorum G%d", maxPolicyNames-2))...)
	if _, outcome, _ := p.judge(l.note(1), nil); outcome != Refused {
		t.Error("without the witness:", outcome)
	}
	if _, outcome, _ := p.judge(l.note(1, "w"), nil); outcome != Verified {
		t.Error("with the witness:", outcome)
	}
}

func TestAlgorithmsNotAtHand(t *testing.T) {
	l := newTestLog(testOrigin)
	text := l.checkpoint(1).String()
	note := func(s ...Signature) []byte {
		return Note{Text: text, Signatures: append([]Signature{sign(testOrigin, "log", text)}, s...)}.Marshal()
	}
	ml := "witness M " + mlKey("w1", "m").String()
	either := l.policy(witnessLine("E", "w1"), ml, "group W any E M", "quorum W")
	alone := l.policy("witness M "+mlKey("m", "m").String(), "quorum M")
	both := l.policy(witnessLine("E", "w1"), "witness M "+mlKey("m", "m").String(), "group W all E M", "quorum W")
	unasked := l.policy(ml, "quorum none")
	byML := mustPolicy("log " + mlKey(testOrigin, "m").String() + "\nquorum none\n")
	for i, c := range []struct {
		policy  Policy
		note    []byte
		outcome Outcome
		reason  Reason
	}{
		{either, note(cosign("w1", "w1", text, 1), mlSignature("w1", "m")), Verified, ""},
		{either, note(cosign("w1", "w1", text, 1)), Verified, ""},
		{either, note(mlSignature("w1", "m")), Undecided, ReasonAlgorithm},
		{either, note(), Refused, ReasonQuorum},
		{alone, note(mlSignature("m", "m")), Undecided, ReasonAlgorithm},
		{alone, note(mlSignature("m", "another")), Refused, ReasonQuorum},
		{both, note(mlSignature("m", "m")), Refused, ReasonQuorum},
		{both, note(cosign("w1", "w1", text, 1), mlSignature("m", "m")), Undecided, ReasonAlgorithm},
		{unasked, note(mlSignature("w1", "m")), Verified, ""},
		{byML, note(mlSignature(testOrigin, "m")), Undecided, ReasonAlgorithm},
		{byML, note(), Refused, ReasonLogSignature},
	} {
		if _, outcome, reason := c.policy.judge(c.note, nil); outcome != c.outcome || reason != c.reason {
			t.Errorf("case %d: %s, %q; want %s, %q", i, outcome, reason, c.outcome, c.reason)
		}
	}
}

func TestZeroPolicyBelievesNothing(t *testing.T) {
	l := newTestLog(testOrigin)
	for i, p := range []Policy{{}, {Logs: l.policy("quorum none").Logs}} {
		if _, outcome, _ := p.judge(l.note(1), nil); outcome == Verified {
			t.Error("policy", i, "that no parser made verifies")
		}
	}
}
