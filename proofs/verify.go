package proofs

import (
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"io"
	"slices"
	"sync"
	"time"
)

// An Outcome is what verification came to.
type Outcome int

// The zero Outcome is Undecided: nothing is verified by default.
const (
	Undecided Outcome = iota // the evidence neither holds nor is contradicted
	Verified                 // every check that the verifier's policy asks for holds
	Refused                  // something does not fit: the evidence must not be believed
)

func (o Outcome) String() string {
	return [...]string{"undecided", "verified", "refused"}[o]
}

// A Reason says why evidence is refused or undecided. Reasons are stable.
type Reason string

// The reasons, each with what was compared.
const (
	ReasonMalformed     Reason = "malformed"       // the receipt's bytes are not a receipt
	ReasonCommitment    Reason = "record-mismatch" // record and entry
	ReasonNote          Reason = "note-malformed"  // the checkpoint is no checkpoint of a Muniment log
	ReasonUnknownLog    Reason = "unknown-log"     // the checkpoint's origin and the policy's logs
	ReasonLogSignature  Reason = "log-signature"   // the log's signature and the checkpoint
	ReasonWitness       Reason = "witness-signature"
	ReasonQuorum        Reason = "quorum"       // the cosignatures and the policy's quorum
	ReasonAlgorithm     Reason = "algorithm"    // undecided: a signature in an algorithm not at hand
	ReasonInclusion     Reason = "inclusion"    // entry and root
	ReasonDocument      Reason = "document"     // document and content.sha256
	ReasonSM3           Reason = "document-sm3" // document and content.sm3, where content.sha256 fits
	ReasonNoDocument    Reason = "not-about-a-document"
	ReasonDigestHidden  Reason = "digest-hidden"  // undecided: the receipt does not show content.sha256
	ReasonPolicyFound   Reason = "policy-found"   // undecided: all holds, under a policy that came with the evidence
	ReasonGenesisPlaced Reason = "genesis-placed" // genesis stands at index 0 and nowhere else

	ReasonDepositorSignature Reason = "depositor-signature" // the depositor's own signature and the record
	ReasonDepositorKey       Reason = "depositor-key"       // the key that signed, and those that the verifier asks for
	ReasonDepositorUnchecked Reason = "depositor-unchecked" // undecided: one is asked for, and cannot be checked

	ReasonTimestampMalformed Reason = "timestamp-malformed" // bytes that are no time-stamp token
	ReasonTimestampImprint   Reason = "timestamp-imprint"   // what the token is over, and the checkpoint
	ReasonTimestampSignature Reason = "timestamp-signature" // a trusted authority's name, and the token
	ReasonTimestampOrder     Reason = "timestamp-order"     // tokens ascend by time, then by bytes
	ReasonTimestampTime      Reason = "timestamp-time"      // the token's time and the entry's

	ReasonEvidenceMalformed Reason = "evidence-malformed" // the evidence record's bytes are not one
	ReasonEvidenceNote      Reason = "evidence-note"      // the record's note and the receipt's checkpoint
	ReasonEvidenceRenewal   Reason = "evidence-renewal"   // what came before a renewal, and what it renews
	ReasonEvidenceAuthority Reason = "evidence-authority" // undecided: a link without a trusted authority
	ReasonEvidenceLapsed    Reason = "evidence-lapsed"    // undecided: a renewal came too late, or the last has ended
)

// A Level is how strongly the log's statement is supported.
type Level string

// Levels of a verified receipt.
const (
	Sealed    Level = "sealed"    // signed by the log
	Witnessed Level = "witnessed" // and by the quorum of the verifier's policy
	Stamped   Level = "stamped"   // and dated by an authority that the verifier trusts; Evidence.Witnessed tells of witnesses
)

// DocumentCheck is what became of the document.
type DocumentCheck string

// What became of the document.
const (
	DocumentUnchecked DocumentCheck = "unchecked" // none was given, or its digest is hidden
	DocumentMatches   DocumentCheck = "matches"
	DocumentDiffers   DocumentCheck = "differs"
)

// A SignatureCheck is one signature of the checkpoint by a key that the policy knows.
type SignatureCheck struct {
	Name string `json:"name"` // the key's name
	Role string `json:"role"` // log or witness
	Key  string `json:"key"`  // vkey
	// Witness is the name that the policy gives the witness; empty for a log.
	Witness string `json:"witness,omitempty"`
	// Time is when a witness says it cosigned; zero for a log.
	Time time.Time `json:"time,omitzero"`
}

// Evidence is what verification found. Only Verifier.Verify makes one with an
// outcome other than Undecided. The fields from Level on hold only what has been
// verified; they stay empty unless the receipt itself holds, with or without the
// document.
type Evidence struct {
	outcome   Outcome
	witnessed bool

	Reason         Reason        // empty when verified
	Document       DocumentCheck // the document against the record
	DocumentSHA256 string        // hex, of the document as read; empty without one
	DocumentSM3    string        // likewise; empty, too, unless it was held against content.sm3
	Quorum         QuorumCheck   // the cosignatures against the policy's rule

	Level       Level
	Origin      string
	Environment Environment
	Policy      string // fingerprint of the policy it was judged by
	Index       uint64
	Entry       Entry
	Leaf        Hash
	Size        uint64 // of the checkpoint
	Root        Hash
	Record      Record   // the disclosed members
	Hidden      []string // names of the others
	Signatures  []SignatureCheck
	Depositor   DepositorSignature // the depositor's own signature in the record
	Unknown     int                // signatures by keys the policy does not know: ignored
	// Timestamps are the statements of authorities that the verifier trusts. Untrusted is how
	// many tokens there are beside them, which were ignored: by other authorities, or not
	// checked at all.
	Timestamps []Timestamp
	Untrusted  int
	// Renewals are the statements of an evidence record that renew Timestamps, oldest first,
	// and Until is when the last of them ends; both are zero without a record that holds.
	Renewals []Timestamp
	Until    time.Time
}

// Outcome returns what verification came to.
func (e Evidence) Outcome() Outcome { return e.outcome }

// Witnessed reports whether the policy asks for witnesses, and those it asks for have signed:
// the Level does not tell where the receipt is stamped.
func (e Evidence) Witnessed() bool { return e.witnessed }

// Held reports whether the depository says it received the document itself, and
// whether the receipt shows that at all. What it did not receive, it knows by the
// digest alone.
func (e Evidence) Held() (held, shown bool) {
	v, _ := e.Record.Get("content.held")
	return v.Boolean()
}

// Digest returns the hex SHA-256 that the deposit is about, empty if the receipt
// hides it.
func (e Evidence) Digest() string {
	v, _ := e.Record.Get("content.sha256")
	s, _ := v.Text()
	return s
}

// DigestSM3 returns the hex SM3 that the deposit is about, empty if the receipt has or shows
// none.
func (e Evidence) DigestSM3() string {
	v, _ := e.Record.Get("content.sm3")
	s, _ := v.Text()
	return s
}

// maxRemembered bounds the notes a Verifier remembers.
const maxRemembered = 1024

// A Verifier judges receipts by one policy. It remembers the notes whose
// signatures it has checked, so that receipts under one checkpoint cost one
// verification of its signatures. It is safe for concurrent use.
type Verifier struct {
	policy      Policy
	fingerprint string
	found       bool             // the policy did not come from who relies on the evidence
	timestamps  TimestampChecker // nil: none is plugged in
	algorithms  algorithms
	sm3         func() hash.Hash // nil: none is plugged in
	depositors  []string         // fingerprints of the keys of which one must have signed; none: any, or nobody

	mu         sync.Mutex
	remembered map[[sha256.Size]byte]*checkedNote // by SHA-256 of the verbatim note
}

// checkedNote is a note whose signatures satisfy the policy.
type checkedNote struct {
	checkpoint  Checkpoint
	environment Environment
	signatures  []SignatureCheck
	unknown     int
}

// NewVerifier returns a Verifier that judges by policy, with what the options plug in.
func NewVerifier(policy Policy, options ...Option) *Verifier {
	// Its own copy: what is judged must stay what the fingerprint names.
	policy.Logs, policy.Witnesses = slices.Clone(policy.Logs), slices.Clone(policy.Witnesses)
	v := &Verifier{
		policy:      policy,
		fingerprint: policy.Fingerprint(),
		remembered:  map[[sha256.Size]byte]*checkedNote{},
	}
	for _, o := range options {
		o(v)
	}
	return v
}

// NewFoundVerifier returns a Verifier for a policy that came with the evidence or
// from the depository itself. Such a policy shows whether the evidence is consistent,
// and nothing about who signed: what would be Verified is Undecided.
func NewFoundVerifier(policy Policy, options ...Option) *Verifier {
	v := NewVerifier(policy, options...)
	v.found = true
	return v
}

// Verify checks a receipt and, unless document is nil, that the receipt is about
// the document. It is the only door: every step binds to the one before it, and
// nothing it returns comes from anything it did not check.
//
// The error is that of reading the document and nothing else; the evidence is then
// Undecided. A nil document is not checked, and Evidence.Document says so.
func (v *Verifier) Verify(r Receipt, document io.Reader) (Evidence, error) {
	return v.verify(r, nil, time.Time{}, document)
}

// VerifyRecord is Verify with an evidence record beside the receipt, as it stands now. Where
// the record does not reach to now, the evidence is Undecided.
func (v *Verifier) VerifyRecord(r Receipt, record EvidenceRecord, now time.Time, document io.Reader) (Evidence, error) {
	return v.verify(r, &record, now, document)
}

func (v *Verifier) verify(r Receipt, record *EvidenceRecord, now time.Time, document io.Reader) (Evidence, error) {
	e := Evidence{Document: DocumentUnchecked, Policy: v.fingerprint}
	leaf := r.Entry.LeafHash()
	if r.check() != nil {
		return e.refuse(ReasonMalformed), nil
	}
	if Commitment(r.Disclosures) != r.Entry.Record {
		return e.refuse(ReasonCommitment), nil
	}
	if (r.Index == 0) != (r.Entry.Kind == KindGenesis) {
		return e.refuse(ReasonGenesisPlaced), nil
	}
	note, outcome, reason := v.note(r.Checkpoint)
	if outcome != Refused || reason == ReasonQuorum {
		e.Quorum = v.quorum(note)
	}
	if outcome == Refused {
		return e.refuse(reason), nil
	}
	cp := note.checkpoint
	if VerifyInclusion(r.Path, r.Index, cp.Size, leaf, cp.Root) != nil {
		return e.refuse(ReasonInclusion), nil
	}
	if outcome == Undecided {
		e.Reason = reason
		return e, nil
	}
	stamps, untrusted, reason := v.stamps(r.Timestamps, r.Checkpoint, r.Entry.Time)
	if reason != "" {
		return e.refuse(reason), nil
	}
	var kept chain
	held := Verified
	if record != nil {
		if kept, held, reason = v.follow(*record, r, now); held == Refused {
			return e.refuse(reason), nil
		}
	}
	depositor, sound := CheckDepositor(r.Disclosures)
	if !sound {
		return e.refuse(ReasonDepositorSignature), nil
	}
	signed, unsigned := v.demanded(depositor)
	if signed == Refused {
		return e.refuse(unsigned), nil
	}
	e.fill(r, leaf, note, v.policy.Witnessed())
	e.Depositor = depositor
	e.Depositor.Demanded = depositor.Check == DepositorValid && len(v.depositors) > 0
	e.date(stamps, untrusted, kept)
	e, err := e.compare(document, v.sm3)
	if held != Verified && e.outcome == Verified {
		e.outcome, e.Reason = held, reason
	}
	if signed != Verified && e.outcome == Verified {
		e.outcome, e.Reason = signed, unsigned
	}
	if v.found && e.outcome == Verified {
		e.outcome, e.Reason = Undecided, ReasonPolicyFound
	}
	return e, err
}

// Checkpoint judges a checkpoint's note alone, as Verify judges the one in a receipt.
// The Checkpoint is there only where the outcome is Verified, or Undecided for
// ReasonPolicyFound; the Reason is empty only where it is Verified.
func (v *Verifier) Checkpoint(note []byte) (Checkpoint, Outcome, Reason) {
	n, outcome, reason := v.note(note)
	switch {
	case outcome != Verified:
		return Checkpoint{}, outcome, reason
	case v.found:
		return n.checkpoint, Undecided, ReasonPolicyFound
	}
	return n.checkpoint, Verified, ""
}

// Signatures returns the signatures on a checkpoint's note by keys that the policy
// knows, each checked; none where Checkpoint returns no checkpoint.
func (v *Verifier) Signatures(note []byte) []SignatureCheck {
	n, outcome, _ := v.note(note)
	if outcome != Verified {
		return nil
	}
	return slices.Clone(n.signatures)
}

func (e Evidence) refuse(reason Reason) Evidence {
	e.outcome, e.Reason = Refused, reason
	return e
}

// fill states what has been verified.
func (e *Evidence) fill(r Receipt, leaf Hash, note *checkedNote, witnessed bool) {
	e.Level = Sealed
	if e.witnessed = witnessed; witnessed {
		e.Level = Witnessed
	}
	e.Origin, e.Environment = note.checkpoint.Origin, note.environment
	e.Size, e.Root = note.checkpoint.Size, note.checkpoint.Root
	// A copy, since the note stays in memory for other receipts.
	e.Signatures, e.Unknown = slices.Clone(note.signatures), note.unknown
	e.Index, e.Entry, e.Leaf = r.Index, r.Entry, leaf
	e.Record = r.Record()
	for _, d := range r.Disclosures {
		if d.Hidden {
			e.Hidden = append(e.Hidden, d.Name)
		}
	}
}

// date states what time-stamps have proved.
func (e *Evidence) date(stamps []Timestamp, untrusted int, kept chain) {
	e.Timestamps, e.Untrusted = stamps, untrusted
	if !kept.until.IsZero() {
		e.Timestamps, e.Renewals, e.Until = kept.first, kept.renews, kept.until
	}
	if len(e.Timestamps) > 0 {
		e.Level = Stamped
	}
}

// compare holds the document against content.sha256, and against content.sm3 where that is
// shown and the hash at hand. Only a deposit is about a document.
func (e Evidence) compare(document io.Reader, sm3 func() hash.Hash) (Evidence, error) {
	if document == nil {
		e.outcome = Verified
		return e, nil
	}
	if e.Entry.Kind != KindDeposit {
		return e.refuse(ReasonNoDocument), nil
	}
	h := sha256.New()
	all, second, claimed := io.Writer(h), hash.Hash(nil), e.DigestSM3()
	if claimed != "" && sm3 != nil {
		second = sm3()
		all = io.MultiWriter(h, second)
	}
	if _, err := io.Copy(all, document); err != nil {
		return e, err
	}
	e.DocumentSHA256 = hex.EncodeToString(h.Sum(nil))
	if second != nil {
		e.DocumentSM3 = hex.EncodeToString(second.Sum(nil))
	}
	switch e.Digest() {
	case "":
		e.Reason = ReasonDigestHidden
	case e.DocumentSHA256:
		if second != nil && e.DocumentSM3 != claimed {
			e.Document = DocumentDiffers
			return e.refuse(ReasonSM3), nil
		}
		e.outcome, e.Document = Verified, DocumentMatches
	default:
		e.Document = DocumentDiffers
		return e.refuse(ReasonDocument), nil
	}
	return e, nil
}

// note judges a checkpoint note by the policy, from memory if it can.
func (v *Verifier) note(data []byte) (*checkedNote, Outcome, Reason) {
	key := sha256.Sum256(data)
	v.mu.Lock()
	n, ok := v.remembered[key]
	v.mu.Unlock()
	if ok {
		return n, Verified, ""
	}
	n, outcome, reason := v.policy.judge(data, v.algorithms)
	if outcome == Verified {
		v.mu.Lock()
		defer v.mu.Unlock()
		for old := range v.remembered {
			if len(v.remembered) < maxRemembered {
				break
			}
			delete(v.remembered, old)
		}
		v.remembered[key] = n
	}
	return n, outcome, reason
}

// judge checks a checkpoint note's signatures. A signature by an unknown key proves
// nothing and harms nothing; one by a known key that does not verify condemns the
// note, and so does a quorum that is not met.
func (p Policy) judge(data []byte, plugged algorithms) (*checkedNote, Outcome, Reason) {
	note, err := ParseNote(data)
	if err != nil {
		return nil, Refused, ReasonNote
	}
	n := &checkedNote{}
	if n.checkpoint, err = ParseCheckpoint(note.Text); err != nil {
		return nil, Refused, ReasonNote
	}
	if n.environment, err = ParseOrigin(n.checkpoint.Origin); err != nil {
		return nil, Refused, ReasonNote
	}
	if !slices.ContainsFunc(p.Logs, func(k VerifierKey) bool { return k.Name == n.checkpoint.Origin }) {
		return nil, Refused, ReasonUnknownLog
	}
	outcome, reason := p.tally(note, n, plugged)
	return n, outcome, reason
}

// tally checks the note's signatures, notes in n the ones that verify, and counts.
func (p Policy) tally(note Note, n *checkedNote, plugged algorithms) (Outcome, Reason) {
	sealed := false
	// signed are the witnesses whose cosignatures verify; offered are those and the
	// ones whose algorithm is not at hand, the log as "".
	signed, offered := map[string]bool{}, map[string]bool{}
	for _, s := range note.Signatures {
		key, witness, ok := p.signer(s, n.checkpoint.Origin)
		if !ok {
			n.unknown++
			continue
		}
		verify := plugged.verify
		if witness == "" {
			verify = plugged.verifyLog
		}
		posix, valid, algorithm := verify(key, note.Text, s.Bytes)
		switch {
		case !algorithm:
			offered[witness] = true
			n.unknown++
			continue
		case !valid && witness == "":
			return Refused, ReasonLogSignature
		case !valid:
			return Refused, ReasonWitness
		}
		check := SignatureCheck{Name: key.Name, Role: "log", Key: key.String()}
		if witness == "" {
			sealed = true
		} else {
			check.Role, check.Witness, check.Time = "witness", witness, time.Unix(posix, 0).UTC()
			signed[witness], offered[witness] = true, true
		}
		n.signatures = append(n.signatures, check)
	}
	switch {
	case !sealed && !offered[""]:
		return Refused, ReasonLogSignature
	case !p.stands(p.quorum, offered):
		return Refused, ReasonQuorum
	case !sealed || !p.stands(p.quorum, signed):
		return Undecided, ReasonAlgorithm
	}
	return Verified, ""
}

// signer finds the policy's key that made s: a log's, if it is the log of that
// origin, with witness empty, or a witness's, with its name in the policy.
func (p Policy) signer(s Signature, origin string) (key VerifierKey, witness string, ok bool) {
	for _, k := range p.Logs {
		if k.signed(s) && k.Name == origin {
			return k, "", true
		}
	}
	for _, w := range p.Witnesses {
		if w.Key.signed(s) {
			return w.Key, w.Name, true
		}
	}
	return VerifierKey{}, "", false
}
