package main

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/service"
)

// factsConfig is what the operator states of itself.
type factsConfig struct {
	Operator, Registration, Address, Contact string
	Qualifications                           []string
	Neutrality, Security                     string
	Standards                                []string
}

func factsSettings(f *factsConfig) []setting {
	return []setting{
		{"facts.operator", text(&f.Operator), "", "legal name of who runs the depository; with it, a public fact sheet is kept in the log"},
		{"facts.registration", text(&f.Registration), "", "the operator's registration number"},
		{"facts.address", text(&f.Address), "", "the operator's seat"},
		{"facts.contact", text(&f.Contact), "", "where a court reaches the operator"},
		{"facts.qualifications", list(&f.Qualifications), "", "licences, certifications and filings, as in [\"MLPS grade 3, no. 1234\"]"},
		{"facts.neutrality", text(&f.Neutrality), "", "how the operator is independent of who deposits"},
		{"facts.security", text(&f.Security), "", "how the systems are secured, and by whom that was examined"},
		{"facts.standards", list(&f.Standards), "", "the standards that are followed, as in [RFC 6962, RFC 3161]"},
	}
}

// sheet is the fact sheet, with the build that keeps it; nil if no operator is named.
func (f factsConfig) sheet(b service.Build) (proofs.Record, error) {
	if f.Operator == "" {
		if f.Registration+f.Address+f.Contact+f.Neutrality+f.Security != "" || len(f.Qualifications)+len(f.Standards) > 0 {
			return nil, errors.New("facts: facts.operator is missing: a fact sheet says whose it is")
		}
		return nil, nil
	}
	var sheet proofs.Record
	add := func(name string, v proofs.Value, err error) error {
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		sheet = append(sheet, proofs.Member{Name: name, Value: v})
		return nil
	}
	var errs []error
	for _, m := range []struct{ name, text string }{
		{"facts.operator", f.Operator}, {"facts.operator.registration", f.Registration}, {"facts.operator.address", f.Address},
		{"facts.operator.contact", f.Contact}, {"facts.neutrality", f.Neutrality}, {"facts.security", f.Security},
		{"build.version", b.Version}, {"build.revision", b.Revision}, {"build.sha256", b.SHA256},
	} {
		if m.text != "" {
			v, err := proofs.Text(m.text)
			errs = append(errs, add(m.name, v, err))
		}
	}
	for _, m := range []struct {
		name  string
		items []string
	}{{"facts.qualifications", f.Qualifications}, {"facts.standards", f.Standards}} {
		if len(m.items) == 0 {
			continue
		}
		data, err := json.Marshal(m.items)
		if err != nil {
			return nil, err
		}
		v, err := proofs.ParseValue(string(data))
		errs = append(errs, add(m.name, v, err))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	if err := notary.CheckFacts(sheet); err != nil {
		return nil, err
	}
	return proofs.NewRecord(sheet...)
}
