package proofs

import (
	"bytes"
	"encoding/base64"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Bounds of an evidence record: room for 30 years at ten renewals a year.
const (
	MaxEvidenceRecord = 4 << 20 // bytes that ParseEvidenceRecord reads
	maxRenewals       = 300
)

const (
	evidenceHeader = "muniment/evidence@v1"
	renewalHeader  = "muniment/renewal@v1"
)

// An EvidenceRecord keeps the time of a checkpoint provable for decades: the tokens over its
// verbatim note, and renewals of them, each made before what it rests on ended. It stands
// beside a receipt under that checkpoint. The idea is that of RFC 4998.
type EvidenceRecord struct {
	Note     []byte
	Tokens   [][]byte // RFC 3161 tokens in DER over Note, as in a receipt
	Renewals []Renewal
}

// A Renewal dates anew all that an evidence record held before it. One token serves many
// records: it is over the root of an RFC 6962 tree that has one leaf for each of them.
type Renewal struct {
	Index, Size uint64 // the record's leaf, and the leaves of the tree
	Root        Hash
	Path        []Hash
	Tokens      [][]byte // over RenewalMessage(Size, Root)
}

// RenewalMessage is what the tokens of a renewal are over.
func RenewalMessage(size uint64, root Hash) []byte {
	return []byte(renewalHeader + "\n" + strconv.FormatUint(size, 10) + "\n" + root.String() + "\n")
}

// Leaf is the record's leaf in the tree of its next renewal.
func (r EvidenceRecord) Leaf() Hash { return LeafHash(r.Marshal()) }

// Marshal returns the record's file, the bytes ParseEvidenceRecord reads. The file of a
// record with fewer renewals is its beginning.
func (r EvidenceRecord) Marshal() []byte {
	out := []byte(evidenceHeader + "\nnote " + base64.StdEncoding.EncodeToString(r.Note) + "\n")
	out = appendTokens(out, r.Tokens)
	for _, n := range r.Renewals {
		out = append(out, "renewal "+strconv.FormatUint(n.Index, 10)+" "+strconv.FormatUint(n.Size, 10)+" "+n.Root.String()+"\n"...)
		for _, h := range n.Path {
			out = append(out, "path "+h.String()+"\n"...)
		}
		out = appendTokens(out, n.Tokens)
	}
	return out
}

func appendTokens(out []byte, tokens [][]byte) []byte {
	for _, t := range tokens {
		out = append(out, "token "...)
		out = append(base64.StdEncoding.AppendEncode(out, t), '\n')
	}
	return out
}

// ParseEvidenceRecord reads an evidence record. It accepts only what Marshal would write.
func ParseEvidenceRecord(data []byte) (EvidenceRecord, error) {
	if len(data) > MaxEvidenceRecord {
		return EvidenceRecord{}, malformed("evidence record is longer than %d bytes", MaxEvidenceRecord)
	}
	var r EvidenceRecord
	lines := strings.Split(string(data), "\n")
	if len(lines) < 4 || lines[0] != evidenceHeader || lines[len(lines)-1] != "" {
		return EvidenceRecord{}, malformed("file does not begin as a %s", evidenceHeader)
	}
	note, ok := strings.CutPrefix(lines[1], "note ")
	if !ok {
		return EvidenceRecord{}, malformed("evidence record has no note")
	}
	var err error
	if r.Note, err = decodeBase64(note); err != nil {
		return EvidenceRecord{}, err
	}
	for _, line := range lines[2 : len(lines)-1] {
		if err := r.parseLine(line); err != nil {
			return EvidenceRecord{}, err
		}
	}
	if err := r.check(); err != nil {
		return EvidenceRecord{}, err
	}
	if !bytes.Equal(r.Marshal(), data) {
		return EvidenceRecord{}, malformed("evidence record is not in its canonical form")
	}
	return r, nil
}

func (r *EvidenceRecord) parseLine(line string) error {
	kind, rest, _ := strings.Cut(line, " ")
	if kind == "renewal" {
		n, err := parseRenewal(rest)
		r.Renewals = append(r.Renewals, n)
		return err
	}
	tokens := &r.Tokens
	var last *Renewal
	if len(r.Renewals) > 0 {
		last = &r.Renewals[len(r.Renewals)-1]
		tokens = &last.Tokens
	}
	switch {
	case kind == "token":
		token, err := decodeBase64(rest)
		*tokens = append(*tokens, token)
		return err
	case kind == "path" && last != nil:
		h, err := ParseHash(rest)
		last.Path = append(last.Path, h)
		return err
	}
	return malformed("evidence record has a line that is no token, renewal or path")
}

func parseRenewal(text string) (n Renewal, err error) {
	parts := strings.Split(text, " ")
	if len(parts) != 3 {
		return n, malformed("renewal is not index, size and root")
	}
	if n.Index, err = parseUint(parts[0]); err != nil {
		return n, err
	}
	if n.Size, err = parseUint(parts[1]); err != nil {
		return n, err
	}
	n.Root, err = ParseHash(parts[2])
	return n, err
}

// check finds what a record built by hand could hold and a parsed one never does.
func (r EvidenceRecord) check() error {
	if _, err := ParseNote(r.Note); err != nil {
		return err
	}
	if len(r.Renewals) > maxRenewals {
		return malformed("evidence record has more than %d renewals", maxRenewals)
	}
	links := [][][]byte{r.Tokens}
	for _, n := range r.Renewals {
		if len(n.Path) > maxProof {
			return malformed("renewal's path is longer than any tree is high")
		}
		links = append(links, n.Tokens)
	}
	for _, tokens := range links {
		if len(tokens) == 0 || len(tokens) > maxTimestamps {
			return malformed("evidence record has not 1 to %d tokens at a time", maxTimestamps)
		}
		for i, t := range tokens {
			if len(t) == 0 || slices.ContainsFunc(tokens[:i], func(o []byte) bool { return bytes.Equal(o, t) }) {
				return malformed("a time-stamp is empty or stands twice")
			}
		}
	}
	return nil
}

// A chain is what an evidence record comes to: statements that vouch for one another from
// the first on.
type chain struct {
	first  []Timestamp // over the note
	renews []Timestamp // of the renewals, in order
	until  time.Time   // when the last of them end
}

// link is a statement that holds, and which of the first ones it keeps alive: a bit for each.
type link struct {
	Timestamp
	keeps uint8
}

// follow judges an evidence record. A statement holds if it was made while one of the link
// before, which holds itself, had not ended; so must one of the last now.
func (v *Verifier) follow(record EvidenceRecord, r Receipt, now time.Time) (chain, Outcome, Reason) {
	switch {
	case record.check() != nil:
		return chain{}, Refused, ReasonEvidenceMalformed
	case !bytes.Equal(record.Note, r.Checkpoint):
		return chain{}, Refused, ReasonEvidenceNote
	}
	first, _, reason := v.stamps(record.Tokens, record.Note, r.Entry.Time)
	if reason != "" {
		return chain{}, Refused, reason
	}
	var live []link
	for i, t := range first {
		live = append(live, link{t, 1 << i})
	}
	unknown, lapsed := len(first) == 0, false
	var c chain
	part := EvidenceRecord{Note: record.Note, Tokens: record.Tokens}
	for _, n := range record.Renewals {
		if VerifyInclusion(n.Path, n.Index, n.Size, part.Leaf(), n.Root) != nil {
			return chain{}, Refused, ReasonEvidenceRenewal
		}
		made, _, reason := v.stamps(n.Tokens, RenewalMessage(n.Size, n.Root), r.Entry.Time)
		if reason != "" {
			return chain{}, Refused, reason
		}
		live = renewed(live, made)
		unknown, lapsed = unknown || len(made) == 0, lapsed || len(live) == 0
		for _, l := range live {
			c.renews = append(c.renews, l.Timestamp)
		}
		part.Renewals = append(part.Renewals, n)
	}
	switch kept := c.end(live, now); {
	case unknown:
		return chain{}, Undecided, ReasonEvidenceAuthority
	case lapsed || kept == 0:
		return chain{}, Undecided, ReasonEvidenceLapsed
	default:
		for i, t := range first {
			if kept&(1<<i) != 0 {
				c.first = append(c.first, t)
			}
		}
		return c, Verified, ""
	}
}

// renewed are the statements that were made while one before, that holds, had not ended.
func renewed(before []link, made []Timestamp) (out []link) {
	for _, t := range made {
		l := link{Timestamp: t}
		for _, b := range before {
			if !t.Time.Before(b.Time) && t.Time.Before(b.NotAfter) {
				l.keeps |= b.keeps
			}
		}
		if l.keeps != 0 {
			out = append(out, l)
		}
	}
	return out
}

// end notes until when the last statements hold, and returns which of the first they keep
// alive now.
func (c *chain) end(last []link, now time.Time) (keeps uint8) {
	for _, l := range last {
		if now.Before(l.NotAfter) {
			keeps |= l.keeps
			if l.NotAfter.After(c.until) {
				c.until = l.NotAfter
			}
		}
	}
	return keeps
}

// Record judges an evidence record by itself, whatever has signed its note, and returns
// until when it holds, beside the outcome Verified.
func (v *Verifier) Record(record EvidenceRecord, now time.Time) (until time.Time, outcome Outcome, reason Reason) {
	c, outcome, reason := v.follow(record, Receipt{Checkpoint: record.Note}, now)
	return c.until, outcome, reason
}
