package proofs

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Bounds of a policy. C2SP tlog-policy asks for at least 32 of each.
const (
	maxPolicy      = 256 << 10
	maxPolicyNames = 256
)

// A Policy says whose signatures make a checkpoint believable (C2SP tlog-policy):
// any one of its logs, and a quorum of its witnesses. The verifier brings it; one
// that comes with the evidence proves nothing about who signed.
type Policy struct {
	Logs      []VerifierKey
	Witnesses []Witness

	text   string
	groups map[string]group // of every name the quorum may refer to, witnesses too
	quorum string
}

// A Witness is a witness line of a policy: its name there, its key, and where it is asked.
type Witness struct {
	Name string
	Key  VerifierKey
	URL  string // as the line has it, meant to be a tlog-witness submission prefix; may be empty
}

// A group stands when at least threshold of its members do. A witness is a group
// without members.
type group struct {
	threshold int
	members   []string
}

const noQuorum = "none"

// ParsePolicy reads a policy file. Beyond the C2SP rules it refuses what would let
// one party count twice or in two roles: a key that stands under two names, a log
// key among the witnesses, and two keys of one witness that are not joined by a
// group of their own with threshold 1.
func ParsePolicy(data []byte) (Policy, error) {
	if len(data) > maxPolicy {
		return Policy{}, malformed("policy is longer than %d bytes", maxPolicy)
	}
	p := Policy{text: string(data), groups: map[string]group{}}
	for _, c := range data {
		if c < 0x20 && c != '\t' && c != '\n' || c == 0x7f {
			return Policy{}, malformed("policy holds a control character")
		}
	}
	if !strings.HasSuffix(p.text, "\n") {
		return Policy{}, malformed("policy does not end with a newline")
	}
	parents := map[string]string{}
	number := 0
	for line := range strings.Lines(p.text) {
		number++
		words := strings.FieldsFunc(line, func(r rune) bool { return r == ' ' || r == '\t' || r == '\n' })
		if len(words) == 0 || strings.HasPrefix(words[0], "#") {
			continue
		}
		if err := p.line(words, parents); err != nil {
			return Policy{}, fmt.Errorf("policy line %d: %w", number, err)
		}
	}
	if p.quorum == "" {
		return Policy{}, malformed("policy has no quorum line")
	}
	if err := p.countOnce(parents); err != nil {
		return Policy{}, err
	}
	return p, nil
}

func (p *Policy) line(words []string, parents map[string]string) error {
	args := words[1:]
	switch {
	case len(p.groups)+len(p.Logs) == maxPolicyNames && words[0] != "quorum":
		return malformed("more than %d logs, witnesses and groups", maxPolicyNames)
	case words[0] == "log" && (len(args) == 1 || len(args) == 2):
		return p.addLog(args[0])
	case words[0] == "witness" && (len(args) == 2 || len(args) == 3):
		return p.addWitness(args[0], args[1], strings.Join(args[2:], ""))
	case words[0] == "group" && len(args) >= 3:
		return p.addGroup(args[0], args[1], args[2:], parents)
	case words[0] == "quorum" && len(args) == 1:
		if _, ok := p.groups[args[0]]; !ok && args[0] != noQuorum {
			return malformed("quorum names no witness or group above it")
		}
		if p.quorum != "" {
			return malformed("a second quorum line")
		}
		p.quorum = args[0]
		return nil
	}
	return malformed("not a log, witness, group or quorum line")
}

func (p *Policy) addLog(vkey string) error {
	k, err := ParseVerifierKey(vkey)
	if err != nil {
		return err
	}
	if k.Type == TypeEd25519Cosigner {
		return malformed("a witness key offered as a log's")
	}
	if p.hasKey(k) {
		return malformed("a key that stands in the policy already")
	}
	p.Logs = append(p.Logs, k)
	return nil
}

func (p *Policy) addWitness(name, vkey, url string) error {
	k, err := ParseVerifierKey(vkey)
	if err != nil {
		return err
	}
	if k.Type == TypeEd25519 {
		return malformed("a log key offered as a witness's")
	}
	if p.hasKey(k) {
		return malformed("a key that stands in the policy already")
	}
	if err := p.define(name, group{}); err != nil {
		return err
	}
	p.Witnesses = append(p.Witnesses, Witness{name, k, url})
	return nil
}

// hasKey compares public keys, whatever names and ids they go by. Two keys of one
// name and id are the same to it too: no signature could tell them apart.
func (p *Policy) hasKey(k VerifierKey) bool {
	same := func(o VerifierKey) bool { return o.Key == k.Key || o.Name == k.Name && o.ID == k.ID }
	return slices.ContainsFunc(p.Logs, same) ||
		slices.ContainsFunc(p.Witnesses, func(w Witness) bool { return same(w.Key) })
}

func (p *Policy) define(name string, g group) error {
	if _, taken := p.groups[name]; taken || name == noQuorum {
		return malformed("a name that is taken")
	}
	p.groups[name] = g
	return nil
}

func (p *Policy) addGroup(name, count string, members []string, parents map[string]string) error {
	g := group{members: members}
	switch count {
	case "all":
		g.threshold = len(members)
	case "any":
		g.threshold = 1
	default:
		k, err := strconv.Atoi(count)
		if err != nil || strconv.Itoa(k) != count || k < 1 || k > len(members) {
			return malformed("a group's threshold is not all, any or 1 to its number of members")
		}
		g.threshold = k
	}
	for _, m := range members {
		if _, ok := p.groups[m]; !ok {
			return malformed("a group member that no line above defines")
		}
		if _, taken := parents[m]; taken {
			return malformed("a member that a group holds already")
		}
		parents[m] = name
	}
	return p.define(name, g)
}

// countOnce refuses a policy in which two keys of one key name could count as two
// witnesses.
func (p *Policy) countOnce(parents map[string]string) error {
	for i, w := range p.Witnesses {
		for _, other := range p.Witnesses[:i] {
			parent := parents[w.Name]
			joined := parent != "" && parent == parents[other.Name] && p.groups[parent].threshold == 1
			if w.Key.Name == other.Key.Name && !joined {
				return malformed("two keys of witness %q are not joined by a group with any", w.Key.Name)
			}
		}
	}
	return nil
}

// stands reports whether the named witness or group is satisfied when the
// witnesses in signed are.
func (p *Policy) stands(name string, signed map[string]bool) bool {
	g := p.groups[name]
	if name == noQuorum || g.members == nil {
		return name == noQuorum || signed[name]
	}
	n := 0
	for _, m := range g.members {
		if p.stands(m, signed) {
			n++
		}
	}
	return n >= g.threshold
}

// Stands reports whether the quorum stands when the witnesses of these names, as the
// policy has them, have cosigned.
func (p Policy) Stands(cosigned map[string]bool) bool { return p.stands(p.quorum, cosigned) }

// LogAlone returns the policy of the same logs that asks for no witnesses.
func (p Policy) LogAlone() Policy {
	var text strings.Builder
	for _, k := range p.Logs {
		text.WriteString("log " + k.String() + "\n")
	}
	text.WriteString("quorum " + noQuorum + "\n")
	return Policy{Logs: slices.Clone(p.Logs), text: text.String(), quorum: noQuorum}
}

// Witnessed reports whether the policy demands cosignatures at all.
func (p Policy) Witnessed() bool { return p.quorum != noQuorum }

// Quorum returns the name on the policy's quorum line, "none" without witnesses.
func (p Policy) Quorum() string { return p.quorum }

// String returns the policy file, verbatim.
func (p Policy) String() string { return p.text }

// Fingerprint returns the hex SHA-256 of the policy file, by which people compare
// the policy they hold with the published one.
func (p Policy) Fingerprint() string {
	sum := sha256.Sum256([]byte(p.text))
	return hex.EncodeToString(sum[:])
}
