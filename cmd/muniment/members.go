package main

import (
	"crypto"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/muniment/muniment/proofs"
)

// description is what flags say of every document of a run.
type description struct {
	contract     string
	labels, sets []string
	signKey      string
	signer       crypto.Signer // with the key in signKey; nil: nothing is signed
}

func (d *description) flags(c *cobra.Command, lang proofs.Language) {
	f := c.Flags()
	f.StringVar(&d.contract, "contract", "", sayFlagContract.in(lang))
	f.StringArrayVar(&d.labels, "label", nil, sayFlagLabel.in(lang))
	f.StringArrayVar(&d.sets, "set", nil, sayFlagSet.in(lang))
	f.StringVar(&d.signKey, "sign-key", "", sayFlagSignKey.in(lang))
	completes(c, "contract")
	completes(c, "label")
	completes(c, "set")
}

// members are what the flags say, checked as far as it can be without the depository.
func (d *description) members() ([]proofs.Member, error) {
	out := []proofs.Member{}
	add := func(name string, v proofs.Value, err error) error {
		if err != nil {
			return sayMemberWrong.err(name, err)
		}
		if err := checkMember(name, v); err != nil {
			return err
		}
		out = append(out, proofs.Member{Name: name, Value: v})
		return nil
	}
	if d.contract != "" {
		v, err := proofs.Text(d.contract)
		if err := add("contract.number", v, err); err != nil {
			return nil, err
		}
	}
	for _, s := range d.labels {
		key, text, ok := strings.Cut(s, "=")
		if !ok {
			return nil, sayLabelForm.err(s)
		}
		v, err := proofs.Text(text)
		if err := add("label."+key, v, err); err != nil {
			return nil, err
		}
	}
	for _, s := range d.sets {
		name, v, err := setting(s)
		if err != nil {
			return nil, err
		}
		if err := add(name, v, nil); err != nil {
			return nil, err
		}
	}
	if d.signKey != "" {
		signer, err := readSigner(d.signKey)
		if err != nil {
			return nil, err
		}
		key, err := proofs.NewDepositorKey(signer.Public())
		if err != nil {
			return nil, err
		}
		v, err := proofs.Text(key.String())
		if err != nil {
			return nil, err
		}
		d.signer = signer
		out = append(out, proofs.Member{Name: "depositor.key", Value: v})
	}
	if len(out) == 0 {
		return out, nil
	}
	_, err := proofs.NewRecord(out...)
	return out, err
}

// setting reads what --set says: NAME=TEXT or NAME:=JSON.
func setting(s string) (string, proofs.Value, error) {
	name, text, ok := strings.Cut(s, "=")
	if !ok {
		return "", proofs.Value{}, saySetForm.err(s)
	}
	parse := proofs.Text
	if name, ok = strings.CutSuffix(name, ":"); ok {
		parse = proofs.ParseValue
	}
	if name == "content.sha256" || name == "content.size" || name == "contract.number" {
		return "", proofs.Value{}, saySetTaken.err(name)
	}
	v, err := parse(text)
	if err != nil {
		return "", proofs.Value{}, sayMemberWrong.err(name, err)
	}
	return name, v, nil
}

// checkMember finds what the depository would refuse anyhow, before anything is sent.
func checkMember(name string, v proofs.Value) error {
	t, known := proofs.NameType(name)
	switch {
	case !known:
		return sayNoSuchMember.err(name)
	case !settable(name):
		return sayNotYours.err(name)
	case !t.Holds(v):
		return sayWrongType.err(name, typeNames[t])
	}
	return nil
}

// settable reports whether a depositor may state the member.
func settable(name string) bool {
	switch name {
	case "provenance.system", "provenance.generated", "content.sha256", "content.size", "content.type", "content.name":
		return true
	}
	family, _, _ := strings.Cut(name, ".")
	return slices.Contains([]string{"contract", "party", "terms", "label"}, family)
}

// ours reports whether a member tells one deposit of this program's from another: what the
// depositor states, and the key that it signs with. The signature itself may be another one
// each time.
func ours(name string) bool { return settable(name) || name == "depositor.key" }

// with adds a member, unless one of that name is there.
func with(members []proofs.Member, name string, v proofs.Value) []proofs.Member {
	if slices.ContainsFunc(members, func(m proofs.Member) bool { return m.Name == name }) {
		return members
	}
	return append(members[:len(members):len(members)], proofs.Member{Name: name, Value: v})
}
