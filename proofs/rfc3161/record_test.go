package rfc3161

import (
	"bytes"
	"testing"
	"time"

	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/proofs/rfc3161/rfc3161test"
)

// renew adds a renewal by an authority, alone in its tree or the second of two leaves.
func renew(r proofs.EvidenceRecord, alone bool, by ...*rfc3161test.Authority) proofs.EvidenceRecord {
	n := proofs.Renewal{Size: 1, Root: r.Leaf()}
	if !alone {
		other := proofs.LeafHash([]byte("another record"))
		n = proofs.Renewal{Index: 1, Size: 2, Root: proofs.NodeHash(other, r.Leaf()), Path: []proofs.Hash{other}}
	}
	for _, a := range by {
		n.Tokens = append(n.Tokens, a.Token(rfc3161test.Statement{Message: proofs.RenewalMessage(n.Size, n.Root)}))
	}
	r.Renewals = append(append([]proofs.Renewal{}, r.Renewals...), n)
	return r
}

// TestEvidenceRecord: what keeps a record alive, and what breaks it.
func TestEvidenceRecord(t *testing.T) {
	receipt, policy := stampable(t)
	now := today
	tick := func() time.Time { return now }
	early, late, stranger := rfc3161test.New("Early", tick, 50*year, year), rfc3161test.New("Late", tick, 50*year, 3*year), rfc3161test.New("Stranger", tick, 50*year, 50*year)
	roots, err := ParseRoots(rfc3161test.RootsPEM(early, late))
	if err != nil {
		t.Fatal(err)
	}
	stamp := func(by ...*rfc3161test.Authority) proofs.EvidenceRecord {
		r := proofs.EvidenceRecord{Note: receipt.Checkpoint}
		for _, a := range by {
			r.Tokens = append(r.Tokens, a.Token(rfc3161test.Statement{Message: receipt.Checkpoint}))
			now = now.Add(time.Second)
		}
		return r
	}
	both, one, unknown := stamp(early, late), stamp(early), stamp(stranger)
	now = today.Add(year / 2)
	early.Renew(4 * year)
	inTime, strangers := renew(both, false, early), renew(both, true, stranger)
	single := renew(one, true, early)
	now = today.Add(2 * year) // the first token of early has ended, that of late has not
	halfway, tooLate := renew(both, true, early), renew(one, true, early)
	swapped := inTime
	swapped.Renewals = single.Renewals
	foreign := both
	foreign.Note = append(append([]byte{}, both.Note...), "— stranger.example AAAAAAAA\n"...)
	for what, c := range map[string]struct {
		record  proofs.EvidenceRecord
		at      time.Duration
		outcome proofs.Outcome
		reason  proofs.Reason
		first   int
	}{
		"fresh":                    {both, 0, proofs.Verified, "", 2},
		"one of two has ended":     {both, 2 * year, proofs.Verified, "", 1},
		"all have ended":           {both, 4 * year, proofs.Undecided, proofs.ReasonEvidenceLapsed, 0},
		"renewed in time":          {inTime, 4 * year, proofs.Verified, "", 2},
		"renewed while one lived":  {halfway, 4 * year, proofs.Verified, "", 1},
		"renewed too late":         {tooLate, 2*year + time.Hour, proofs.Undecided, proofs.ReasonEvidenceLapsed, 0},
		"the renewal has ended":    {inTime, 5 * year, proofs.Undecided, proofs.ReasonEvidenceLapsed, 0},
		"a stranger's":             {unknown, 0, proofs.Undecided, proofs.ReasonEvidenceAuthority, 0},
		"renewed by a stranger":    {strangers, year, proofs.Undecided, proofs.ReasonEvidenceAuthority, 0},
		"of another record":        {swapped, year, proofs.Refused, proofs.ReasonEvidenceRenewal, 0},
		"of another note":          {foreign, 0, proofs.Refused, proofs.ReasonEvidenceNote, 0},
		"without tokens":           {proofs.EvidenceRecord{Note: receipt.Checkpoint}, 0, proofs.Refused, proofs.ReasonEvidenceMalformed, 0},
		"tokens of something else": {proofs.EvidenceRecord{Note: receipt.Checkpoint, Tokens: inTime.Renewals[0].Tokens}, 0, proofs.Refused, proofs.ReasonTimestampImprint, 0},
	} {
		record := c.record
		if c.reason != proofs.ReasonEvidenceMalformed {
			data := record.Marshal()
			if record, err = proofs.ParseEvidenceRecord(data); err != nil || !bytes.Equal(record.Marshal(), data) {
				t.Fatalf("%s: %v", what, err)
			}
		}
		e, err := proofs.NewVerifier(policy, proofs.WithTimestamps(NewAuthorities(roots))).VerifyRecord(receipt, record, today.Add(c.at), nil)
		if err != nil || e.Outcome() != c.outcome || e.Reason != c.reason || len(e.Timestamps) != c.first || e.Until.IsZero() != (c.first == 0) {
			t.Errorf("%s: %v %s %q, %d first, until %v", what, err, e.Outcome(), e.Reason, len(e.Timestamps), e.Until)
		}
		// Without roots nothing is proved, whatever the record says.
		e, _ = proofs.NewVerifier(policy).VerifyRecord(receipt, record, today, nil)
		if e.Outcome() == proofs.Verified || e.Level == proofs.Stamped {
			t.Errorf("%s, without roots: %s, level %s", what, e.Outcome(), e.Level)
		}
	}
}

// TestAlteredEvidenceRecords: any byte altered, dropped or doubled: never more, and never
// longer, than the record as it was.
func TestAlteredEvidenceRecords(t *testing.T) {
	receipt, policy := stampable(t)
	a := rfc3161test.New("Time Authority", clock, 50*year, 5*year)
	record := renew(proofs.EvidenceRecord{Note: receipt.Checkpoint, Tokens: [][]byte{a.Token(rfc3161test.Statement{Message: receipt.Checkpoint})}}, false, a)
	v := proofs.NewVerifier(policy, proofs.WithTimestamps(trust(a)))
	data := record.Marshal()
	if e, _ := v.VerifyRecord(receipt, record, today, nil); e.Outcome() != proofs.Verified {
		t.Fatal(e.Reason)
	}
	try := func(altered []byte) {
		r, err := proofs.ParseEvidenceRecord(altered)
		if err != nil {
			return
		}
		if e, _ := v.VerifyRecord(receipt, r, today, nil); e.Outcome() == proofs.Verified && !bytes.HasPrefix(data, altered) {
			t.Errorf("verified:\n%s", altered)
		}
	}
	for i := range data {
		for _, mask := range []byte{1, 2, 0x20} {
			altered := bytes.Clone(data)
			altered[i] ^= mask
			try(altered)
		}
		try(data[:i])
		try(append(bytes.Clone(data[:i]), data[i+1:]...))
		try(append(bytes.Clone(data[:i+1]), data[i:]...))
	}
}

// FuzzEvidenceRecord: parsing is canonical.
func FuzzEvidenceRecord(f *testing.F) {
	a := rfc3161test.New("Time Authority", clock, 50*year, 5*year)
	note := []byte("log.example/prod/1\n2\nTU4VM0q/jPcMmkB9IIA+vsvGafWdIApKJG0BGbGJjIw=\n\n— log.example/prod/1 /61Ix4Zih0W+\n")
	record := renew(proofs.EvidenceRecord{Note: note, Tokens: [][]byte{{1}, {2}}}, false, a)
	f.Add(record.Marshal())
	f.Add(renew(record, true, a, a).Marshal())
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := proofs.ParseEvidenceRecord(data)
		if err != nil {
			if len(r.Note)+len(r.Tokens)+len(r.Renewals) > 0 {
				t.Error("an error and a value")
			}
			return
		}
		if !bytes.Equal(r.Marshal(), data) {
			t.Error("read, but written otherwise")
		}
	})
}
