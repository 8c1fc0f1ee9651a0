package certificate

import (
	"crypto/sha256"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/muniment/muniment/proofs"
)

// The groups of what a certificate says, each from Evidence alone unless its words say
// otherwise.

// body lays the groups out in the order of the profile.
func (c *composer) body() {
	c.result()
	c.scope()
	switch c.in.Profile {
	case PRC:
		c.article(sayPRC16, sayPRC16Note)
		c.document()
		c.log()
		c.witnesses()
		c.stamps()
		c.article(sayPRC17, sayPRC17Note)
		c.platform()
		c.article(sayPRC18, sayPRC18Note)
		c.depositor()
		c.provenance()
		c.standing()
		c.article(sayPRC19, sayPRC19Note)
		c.how()
	default:
		c.document()
		c.depositor()
		c.provenance()
		c.log()
		c.witnesses()
		c.stamps()
		c.platform()
		c.standing()
		c.how()
	}
	c.others()
	c.statement()
	c.embedded()
	if c.in.Profile == FRE {
		c.certification()
	}
}

// about puts a phrase into a phrase.
func (p phrase) about(arg phrase) phrase {
	return phrase{phrase{en: p.en}.in(proofs.English, arg.en), phrase{zh: p.zh}.in(proofs.Chinese, arg.zh)}
}

// article is a heading of the profile PRC, above several groups.
func (c *composer) article(head, note phrase) {
	c.space(16 * pt)
	c.need(150 * pt)
	for i, text := range c.each(head) {
		st := style{15 * pt, 22 * pt, true, ink}
		if i > 0 {
			st = style{11 * pt, 16 * pt, false, grey}
		}
		c.flow(c.text(text, st, bodyWidth))
	}
	c.space(3 * pt)
	c.note(note)
}

// document is the document, or what an erasure is about.
func (c *composer) document() {
	e := c.proof.evidence
	if e.Entry.Kind != proofs.KindDeposit {
		c.notice()
		return
	}
	c.heading(sayObject)
	c.memberRow(sayName, "content.name")
	c.memberRow(sayType, "content.type")
	if v, ok := e.Record.Get("content.size"); ok {
		c.said["content.size"] = true
		if n, whole := v.Integer(); whole {
			c.row(saySize, sayBytes.with(number(n)))
		}
	}
	c.digestRow(same("SHA-256"), "content.sha256")
	c.digestRow(same("SM3"), "content.sm3")
	c.said["content.held"] = true
	switch held, shown := e.Held(); {
	case held:
		c.row(sayHeld, sayHeldYes)
	case shown:
		c.row(sayHeld, sayHeldNo)
	default:
		c.row(sayHeld, sayHeldHidden)
	}
	c.row(sayEmbedded, yesNo(c.in.Document != nil))
	c.memberRow(sayContract, "contract.number")
	c.memberRow(sayTitleOf, "contract.title")
	c.memberRow(sayVersion, "contract.version")
	c.memberRow(sayContractDay, "contract.date")
	if seq, ok := c.member("case.seq"); ok {
		c.row(sayCase, sayCaseNumber.with(seq))
	}
	c.digestRow(sayPrevious, "case.prev")
}

// notice is what a notice says.
func (c *composer) notice() {
	c.heading(sayErasedWhat)
	if act, ok := c.member("notice.act"); ok {
		p, known := sayActs[act]
		if !known {
			p = same(act)
		}
		c.row(sayErasedAct, p)
	}
	c.memberRow(sayErasedOf, "notice.deposit")
	c.memberRow(sayErasedIdx, "notice.index")
	c.digestRow(sayErasedLeaf, "notice.leaf")
	c.memberRow(sayOrder, "notice.matter")
	c.memberRow(sayReason, "notice.reason")
	c.memberRow(sayBy, "notice.by")
	if c.title() == sayTitleErasure {
		c.note(sayErasedNote)
	}
}

// digestRow is a row for a digest in the record, if the receipt shows it.
func (c *composer) digestRow(label phrase, name string) {
	if text, ok := c.member(name); ok {
		c.digest(label, text)
	}
}

// depositor is who deposited, and how that is known.
func (c *composer) depositor() {
	c.heading(sayDepositor)
	c.memberRow(sayTenant, "tenant.name")
	if text, ok := c.member("tenant.registration"); ok {
		c.row(sayRegistered, same(masked(text)))
	}
	if _, ok := c.proof.evidence.Record.Get("tenant.verified"); ok {
		c.memberRow(sayVerified, "tenant.verified")
		c.memberRow(sayVerifiedBy, "tenant.verified.by")
	} else {
		c.row(sayVerified, sayUnverified)
	}
	c.memberRow(sayAgent, "depositor.name")
	for _, n := range c.parties() {
		c.party(n)
	}
}

// parties are the numbers of the parties that the record names.
func (c *composer) parties() (out []string) {
	for _, m := range c.proof.evidence.Record {
		rest, ok := strings.CutPrefix(m.Name, "party.")
		if n, _, cut := strings.Cut(rest, "."); ok && cut && !slices.Contains(out, n) {
			out = append(out, n)
		}
	}
	return out
}

func (c *composer) party(n string) {
	prefix := "party." + n + "."
	var values []phrase
	if name, ok := c.member(prefix + "name"); ok {
		values = append(values, same(name))
	}
	if role, ok := c.member(prefix + "role"); ok {
		values = append(values, same(role))
	}
	if id, ok := c.member(prefix + "id.number"); ok {
		kind, _ := c.member(prefix + "id.type")
		values = append(values, sayIDNumber.with(kind, masked(id)))
	}
	if len(values) > 0 {
		if i, err := strconv.Atoi(n); err == nil { // people count from one
			n = strconv.Itoa(i + 1)
		}
		c.row(sayParty.with(n), values...)
	}
}

// provenance is where the document came from, as far as the record says.
func (c *composer) provenance() {
	c.heading(sayProvenance)
	if held, shown := c.proof.evidence.Held(); held {
		c.row(sayMethod, sayMethodHeld)
	} else if shown {
		c.row(sayMethod, sayMethodNot)
	}
	c.memberRow(saySystem, "provenance.system")
	c.memberRow(sayGenerated, "provenance.generated")
	if text, ok := c.member("provenance.received"); ok {
		if t, err := proofs.ParseTime(text); err == nil {
			c.row(sayReceived, moment(t))
		}
	}
	c.row(saySequenced, moment(c.proof.evidence.Entry.Time))
	c.depositorSignature()
	c.inside()
	c.note(sayClaimNote)
}

// depositorSignature is the depositor's own, as verification found it.
func (c *composer) depositorSignature() {
	for _, name := range []string{"depositor.signature", "depositor.key", "depositor.signed", "depositor.key.registered"} {
		c.said[name] = true
	}
	switch d := c.proof.evidence.Depositor; d.Check {
	case proofs.DepositorValid:
		values := []phrase{saySignValid.with(d.Algorithm, d.Key)}
		if d.Registered {
			values = append(values, saySignKnown)
		}
		c.row(saySignature, values...)
	case proofs.DepositorUnchecked:
		c.row(saySignature, saySignUnknown)
	default:
		c.row(saySignature, sayNoSignature)
	}
}

// inside are the findings on electronic signatures in a PDF (SPEC.md, §14). What is not in
// that form is left to the other members.
func (c *composer) inside() {
	v, ok := c.proof.evidence.Record.Get("content.signatures")
	var found []struct{ State, Subject, Claimed string }
	if !ok || json.Unmarshal([]byte(v.JSON()), &found) != nil {
		return
	}
	c.said["content.signatures"] = true
	if len(found) == 0 {
		c.row(sayInsideAll, sayInsideNone)
	}
	for i, f := range found {
		state, known := sayInsideStates[f.State]
		if !known {
			state = same(f.State)
		}
		values := []phrase{state}
		if f.Subject != "" {
			values = append(values, sayInsideBy.with(f.Subject))
		}
		if f.Claimed != "" {
			values = append(values, sayInsideAt.with(f.Claimed))
		}
		c.row(sayInside.with(i+1), values...)
	}
}

// log is where the entry stands, and the picture of its path.
func (c *composer) log() {
	e := c.proof.evidence
	c.heading(sayLog)
	c.row(sayOrigin, same(e.Origin))
	c.row(sayIndex, same(number(e.Index)))
	c.row(sayEntryTime, moment(e.Entry.Time))
	c.digest(sayLeaf, e.Leaf.String())
	c.row(sayTreeSize, same(number(e.Size)))
	c.digest(sayRoot, e.Root.String())
	for _, s := range e.Signatures {
		if s.Role == "log" {
			c.row(sayKey, same(s.Name+" ["+keyID(s.Key)+"]"))
		}
	}
	c.digest(sayPolicy, e.Policy)
	c.picture()
}

// witnesses are who else has signed.
func (c *composer) witnesses() {
	e := c.proof.evidence
	c.heading(sayWitnesses)
	rule := phrase{e.Quorum.Rule(proofs.English), e.Quorum.Rule(proofs.Chinese)}
	if rule.en == "" {
		rule = sayNoRule
	}
	c.row(sayRule, rule)
	none := true
	for _, s := range e.Signatures {
		if s.Role != "witness" {
			continue
		}
		none = false
		name := s.Name
		if s.Witness != "" && s.Witness != s.Name {
			name += " (" + s.Witness + ")"
		}
		c.row(sayWitness, same(name+" ["+keyID(s.Key)+"]"), moment(s.Time))
	}
	if none {
		c.row(sayWitness, sayNoWitness)
	}
}

// stamps are who dated the checkpoint.
func (c *composer) stamps() {
	e := c.proof.evidence
	c.heading(sayStamps)
	if len(e.Timestamps) == 0 {
		c.note(sayNoStamp)
	}
	for _, t := range e.Timestamps {
		c.row(sayStamp, same(t.Authority))
		c.row(sayStampTime, moment(t.Time))
		accuracy := sayUnstated
		if t.Accuracy > 0 {
			accuracy = sayWithin.with(t.Accuracy)
		}
		c.row(sayAccuracy, accuracy)
		c.row(sayStampMore, same(t.Serial), same(t.Policy))
		c.row(sayStampRoot, same(t.Root))
		c.row(sayStampEnds, moment(t.NotAfter))
		c.space(3 * pt)
	}
}

// platform is the fact sheet in force.
func (c *composer) platform() {
	c.heading(sayPlatform)
	if c.in.Facts == nil {
		c.note(sayNoSheet)
		return
	}
	for _, m := range []struct {
		label phrase
		names []string
	}{
		{sayOperator, []string{"facts.operator"}}, {sayOperatorNo, []string{"facts.operator.registration"}},
		{sayAddress, []string{"facts.operator.address"}}, {sayContact, []string{"facts.operator.contact"}},
		{sayQualified, []string{"facts.qualifications"}}, {sayNeutral, []string{"facts.neutrality"}},
		{saySecurity, []string{"facts.security"}}, {sayStandards, []string{"facts.standards"}},
		{sayBuild, []string{"build.version", "build.revision", "build.sha256"}},
	} {
		var values []phrase
		for _, name := range m.names {
			if v, ok := c.proof.facts.Record.Get(name); ok {
				values = append(values, listed(v)...)
			}
		}
		if len(values) > 0 {
			c.row(m.label, values...)
		}
	}
	c.row(saySheet, saySheetWhere.with(number(c.proof.facts.Index)), moment(c.proof.facts.Entry.Time))
}

// listed are the texts of a list, or the one text that a value is.
func listed(v proofs.Value) []phrase {
	var texts []string
	if json.Unmarshal([]byte(v.JSON()), &texts) != nil {
		return []phrase{same(plainValue(v))}
	}
	out := make([]phrase, len(texts))
	for i, t := range texts {
		out[i] = same(t)
	}
	return out
}

// standing is how the deposit stands by its notices.
func (c *composer) standing() {
	s := c.in.Standing
	c.heading(sayStanding)
	c.row(sayState, sayStates[s.State])
	for _, m := range s.Matters {
		c.row(sayMatter, same(m))
	}
	if !s.Until.IsZero() {
		c.row(sayKeptUntil, moment(s.Until))
	}
	for _, a := range s.Acts {
		label, known := sayActs[a.Act]
		if !known {
			label = same(a.Act)
		}
		when := moment(a.Time)
		values := []phrase{{sayActAt.in(proofs.English, number(a.Index), when.en), sayActAt.in(proofs.Chinese, number(a.Index), when.zh)}}
		if a.Matter != "" {
			values = append(values, same(a.Matter))
		}
		c.row(label, values...)
	}
	if s.Earlier > 0 {
		c.row(same(""), sayMoreActs.with(s.Earlier))
	}
	c.note(sayStandNote)
}

// others are the members of the record that stand nowhere else.
func (c *composer) others() {
	e := c.proof.evidence
	c.said["id"] = true
	first := true
	head := func() {
		if first {
			c.heading(sayOther)
			first = false
		}
	}
	for _, m := range e.Record {
		if c.said[m.Name] {
			continue
		}
		head()
		c.row(same(m.Name), same(plainValue(m.Value)))
	}
	if len(e.Hidden) > 0 {
		head()
		c.row(sayHidden, same(strings.Join(e.Hidden, ", ")))
	}
}

// statement is what the tenant has to say.
func (c *composer) statement() {
	if c.in.Statement == "" {
		return
	}
	name, _ := c.proof.evidence.Record.Get("tenant.name")
	who := plainValue(name)
	if len([]rune(who)) > 60 { // it stands whole above
		who = string([]rune(who)[:60]) + "…"
	}
	c.heading(sayStatement.with(who))
	for line := range strings.SplitSeq(c.in.Statement, "\n") {
		c.flow(c.text(line, styleBody, bodyWidth))
	}
	c.space(4 * pt)
	c.note(sayStatedNote)
}

// how tells a court how to check all of it.
func (c *composer) how() {
	if c.in.Profile != PRC {
		c.heading(sayHow)
	}
	steps := slices.Clone(sayHowSteps)
	if c.in.Document == nil && c.proof.evidence.Entry.Kind != proofs.KindDeposit {
		steps = slices.Delete(steps, 2, 3) // there is no document
	}
	if c.in.VerifyURL != "" {
		steps = append(steps, sayHowPage.with(c.in.VerifyURL))
	}
	c.steps(styleBody, steps)
}

// embedded lists the files with their digests.
func (c *composer) embedded() {
	c.heading(sayFiles)
	for _, f := range c.files {
		if f.name == issueName { // its digest would have to be in it
			c.row(same(f.name), f.about)
			continue
		}
		digest := sha256.Sum256(f.data)
		size := sayFileLine.with(number(len(f.data)))
		about := phrase{f.about.en + ", " + size.en, f.about.zh + "，" + size.zh}
		c.rowIn(styleDigest, same(f.name), about, same(hexOf(digest[:])))
	}
}

// certification is the draft that FRE 902(13) and (14) ask for.
func (c *composer) certification() {
	e := c.proof.evidence
	c.turn()
	c.heading(sayFREHead)
	c.banner(sayFREDraft, true)
	digest := phrase{e.Digest(), e.Digest()}
	if e.Digest() == "" {
		digest = sayFREHidden
	}
	when := moment(e.Entry.Time)
	index := strconv.FormatUint(e.Index, 10)
	items := slices.Clone(sayFREItems)
	items[1] = phrase{items[1].in(proofs.English, e.Origin, index, when.en), items[1].in(proofs.Chinese, e.Origin, index, when.zh)}
	items[2] = phrase{items[2].in(proofs.English, digest.en), items[2].in(proofs.Chinese, digest.zh)}
	items[3] = items[3].with(c.number, e.Policy)
	st := styleBody
	if c.in.Language == Both { // so that it stays on one page
		st = style{9 * pt, 12500, false, ink}
	}
	c.steps(st, items)
	c.space(14 * pt)
	c.sideBySide(style{9500, 16 * pt, false, ink}, sayFRESign)
}
