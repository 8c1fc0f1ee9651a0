package proofs

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"
)

// tokens is a TimestampChecker whose tokens are words: "trusted", "other" and a serial
// number, with their times; anything else is no token.
type tokens map[string]time.Time

// CheckTimestamp implements TimestampChecker.
func (c tokens) CheckTimestamp(token, message []byte) (Timestamp, Outcome, Reason) {
	name, note, _ := strings.Cut(string(token), " ")
	switch at, ok := c[name]; {
	case !ok:
		return Timestamp{}, Refused, ReasonTimestampMalformed
	case note != string(message[:8]):
		return Timestamp{}, Refused, ReasonTimestampImprint
	case strings.HasPrefix(name, "forged"):
		return Timestamp{Time: at}, Refused, ReasonTimestampSignature
	case strings.HasPrefix(name, "other"):
		return Timestamp{Time: at}, Undecided, ""
	default:
		return Timestamp{Authority: "Time & Co", Root: "Root", Serial: "17", Time: at, Accuracy: time.Second, Policy: "1.2.3",
			NotAfter: time.Date(2031, 1, 1, 0, 0, 0, 0, time.UTC)}, Verified, ""
	}
}

// TestTimestamps: what the tokens of a receipt come to, and what becomes of the receipt.
func TestTimestamps(t *testing.T) {
	r, policy := minimal()
	entry := r.Entry.Time
	checker := tokens{
		"trusted1": entry.Add(time.Minute), "trusted2": entry.Add(time.Minute), "trusted3": entry.Add(time.Hour),
		"other1": entry.Add(2 * time.Minute), "forged": entry.Add(time.Minute), "early": entry.Add(-time.Minute - time.Second),
		"tooearly": entry.Add(-time.Minute - time.Second - 1), "other-early": entry.Add(-time.Hour),
	}
	on := func(names ...string) [][]byte {
		var out [][]byte
		for _, n := range names {
			out = append(out, []byte(n+" "+string(r.Checkpoint[:8])))
		}
		return out
	}
	for what, c := range map[string]struct {
		tokens    [][]byte
		proved    int
		untrusted int
		reason    Reason
	}{
		"none":                     {nil, 0, 0, ""},
		"one":                      {on("trusted1"), 1, 0, ""},
		"two at one time":          {on("trusted1", "trusted2"), 2, 0, ""},
		"in another order":         {on("trusted2", "trusted1"), 0, 0, ReasonTimestampOrder},
		"a stranger's":             {on("other1"), 0, 1, ""},
		"a stranger's between":     {on("trusted1", "other1", "trusted3"), 2, 1, ""},
		"a stranger's out of turn": {on("other1", "trusted1"), 0, 0, ReasonTimestampOrder},
		"a forged one":             {on("trusted1", "forged"), 0, 0, ReasonTimestampSignature},
		"no token":                 {[][]byte{{0x30, 0x00}}, 0, 0, ReasonTimestampMalformed},
		"another note's":           {[][]byte{[]byte("trusted1 another!")}, 0, 0, ReasonTimestampImprint},
		"a stranger's, other note": {[][]byte{[]byte("other1 another!")}, 0, 0, ReasonTimestampImprint},
		"just not too early":       {on("early"), 1, 0, ""},
		"too early":                {on("tooearly"), 0, 0, ReasonTimestampTime},
		"a stranger's too early":   {on("other-early"), 0, 1, ""},
	} {
		r.Timestamps = c.tokens
		e, err := NewVerifier(policy, WithTimestamps(checker)).Verify(r, strings.NewReader("loan 1"))
		outcome, level := Verified, Sealed
		if c.reason != "" {
			outcome, level = Refused, ""
		} else if c.proved > 0 {
			level = Stamped
		}
		if err != nil || e.Outcome() != outcome || e.Reason != c.reason || e.Level != level || len(e.Timestamps) != c.proved || e.Untrusted != c.untrusted {
			t.Errorf("%s: %v %s %s, level %q, %d proved, %d untrusted", what, err, e.Outcome(), e.Reason, e.Level, len(e.Timestamps), e.Untrusted)
		}
		// Without the plug-in nothing is checked, and it is said.
		e, _ = NewVerifier(policy).Verify(r, nil)
		if e.Outcome() != Verified || e.Level != Sealed || e.Untrusted != len(c.tokens) || e.Timestamps != nil {
			t.Errorf("%s, unchecked: %s, level %s, %d untrusted", what, e.Outcome(), e.Level, e.Untrusted)
		}
	}
}

// TestStampedIsNotWitnessed: a time-stamp is no word on who else saw the log, and the other way.
func TestStampedIsNotWitnessed(t *testing.T) {
	l := newTestLog(testOrigin)
	i := loan(l)
	r := l.receipt(i, 2, "w1.example")
	r.Timestamps = [][]byte{[]byte("trusted " + string(r.Checkpoint[:8])), []byte("other " + string(r.Checkpoint[:8]))}
	at := time.Date(2026, 3, 1, 9, 0, 0, 5e6, time.UTC)
	checker := WithTimestamps(tokens{"trusted": at, "other": at.Add(1)})
	for _, c := range []struct {
		policy Policy
		quorum bool
		want   []string
	}{
		{l.policy(witnessLine("A", "w1.example"), "quorum A"), true, []string{
			"+ The time-stamp authority Time & Co states that this state of the log, and with it this entry, existed at 2026-03-01T09:00:00.005Z (to within 1s). It issued the time-stamp under its rules 1.2.3, with serial number 17.",
			"- The time-stamp of Time & Co by itself, beyond 2031-01-01T00:00:00.000Z: a certificate that it rests on ends then. Ask the depository for the evidence record, which is renewed before.",
			"- 1 time-stamp(s) that no authority you named has made, or that could not be checked here: they were ignored.",
		}},
		{l.policy("quorum none"), false, []string{"- That others saw the same log: your policy asks for no witnesses."}},
	} {
		e, _ := NewVerifier(c.policy, checker).Verify(r, nil)
		if e.Level != Stamped || e.Witnessed() != c.quorum {
			t.Errorf("level %s, quorum %v", e.Level, e.Witnessed())
		}
		said := lines(e.Explain(English))
		for _, w := range c.want {
			if !slices.Contains(said, w) {
				t.Errorf("not said: %s\nbut\n%s", w, strings.Join(said, "\n"))
			}
		}
		if slices.Contains(said, "- "+sayTime.en) {
			t.Error("the time is proved, and said not to be")
		}
		found, _ := NewFoundVerifier(c.policy, checker).Verify(r, nil)
		if x := found.Explain(Chinese); found.Outcome() != Undecided || len(x.Proved) != 0 {
			t.Errorf("under a policy of unknown origin: %+v", x)
		}
	}
	zh := strings.Join(lines(mustVerify(NewVerifier(l.policy("quorum none"), checker), r).Explain(Chinese)), "\n")
	if !strings.Contains(zh, "+ 时间戳机构 Time & Co 声明：日志的这一状态，连同本条目，在 2026-03-01T09:00:00.005Z（误差不超过 1s）已经存在。该时间戳依其规则 1.2.3 签发，序列号为 17。") {
		t.Error(zh)
	}
}

func mustVerify(v *Verifier, r Receipt) Evidence {
	e, err := v.Verify(r, nil)
	if err != nil {
		panic(err)
	}
	return e
}

func lines(x Explanation) []string {
	out := []string{x.Verdict}
	for _, s := range x.Proved {
		out = append(out, "+ "+s)
	}
	for _, s := range x.NotProved {
		out = append(out, "- "+s)
	}
	return out
}

// TestStampKeepsTheNewestThatFit: a stamped receipt is always one that parses.
func TestStampKeepsTheNewestThatFit(t *testing.T) {
	r, _ := minimal()
	large := func(n int, b byte) []byte { return bytes.Repeat([]byte{b}, n) }
	for _, c := range []struct {
		tokens [][]byte
		kept   string
	}{
		{nil, ""},
		{[][]byte{{1}, {2}, {3}, {4}, {5}}, "\x02\x03\x04\x05"},
		{[][]byte{large(20000, 1), large(10000, 2), large(10000, 3)}, "\x02\x03"},
		{[][]byte{large(40000, 1)}, ""},
	} {
		got := r.Stamp(c.tokens)
		var kept []byte
		for _, token := range got.Timestamps {
			kept = append(kept, token[0])
		}
		if parsed, err := ParseReceipt(got.Marshal()); string(kept) != c.kept || err != nil || len(parsed.Timestamps) != len(kept) {
			t.Errorf("%x kept, not %x; %v", kept, c.kept, err)
		}
	}
}
