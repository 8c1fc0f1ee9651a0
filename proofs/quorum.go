package proofs

import (
	"slices"
	"strings"
)

// A QuorumCheck is how the cosignatures of a checkpoint stand to the quorum of the policy.
// It is zero where the policy demands none, or the checkpoint was refused for what comes
// before.
type QuorumCheck struct {
	Cosigned []string // names in the policy of the witnesses whose cosignatures verify, in its order
	Missing  []string // of its other witnesses
	rule     phrase
}

// Rule returns the policy's rule in words; empty where it demands no cosignatures.
func (q QuorumCheck) Rule(lang Language) string {
	if lang == Chinese {
		return q.rule.zh
	}
	return q.rule.en
}

// quorum says who of the policy's witnesses has cosigned.
func (v *Verifier) quorum(n *checkedNote) QuorumCheck {
	if !v.policy.Witnessed() {
		return QuorumCheck{}
	}
	q := QuorumCheck{rule: phrase{v.policy.rule(v.policy.quorum, English), v.policy.rule(v.policy.quorum, Chinese)}}
	for _, w := range v.policy.Witnesses {
		if slices.ContainsFunc(n.signatures, func(s SignatureCheck) bool { return s.Witness == w.Name }) {
			q.Cosigned = append(q.Cosigned, w.Name)
		} else {
			q.Missing = append(q.Missing, w.Name)
		}
	}
	return q
}

// rule is a group, or a witness, in words.
func (p *Policy) rule(name string, lang Language) string {
	g := p.groups[name]
	if g.members == nil {
		return name
	}
	members := make([]string, len(g.members))
	for i, m := range g.members {
		members[i] = p.rule(m, lang)
	}
	list := strings.Join(members, comma(lang))
	switch g.threshold {
	case len(members):
		if len(members) == 1 {
			return list
		}
		return ruleAll.in(lang, list)
	case 1:
		return ruleAny.in(lang, list)
	}
	return ruleSome.in(lang, g.threshold, list)
}
