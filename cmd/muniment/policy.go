package main

import (
	"io"

	"github.com/spf13/cobra"

	"github.com/muniment/muniment/proofs"
)

// maxPolicy is more than any policy has.
const maxPolicy = 1 << 20

func policyCommand(lang proofs.Language) *cobra.Command {
	n := connection{lang: lang}
	var asJSON bool
	c := &cobra.Command{
		Use:               "policy --server URL",
		Short:             sayPolicyShort.in(lang),
		Long:              sayPolicyLong.in(lang),
		Args:              nothing,
		ValidArgsFunction: noFiles,
		RunE: func(c *cobra.Command, _ []string) error {
			s := newScreen(c, lang, asJSON)
			server, err := n.client(c, s)
			if err != nil {
				return err
			}
			p, err := server.Policy(c.Context())
			if err != nil {
				return err
			}
			if asJSON {
				return s.object(struct {
					Policy      string `json:"policy"`
					Fingerprint string `json:"fingerprint"`
				}{p.String(), p.Fingerprint()})
			}
			if _, err := io.WriteString(c.OutOrStdout(), p.String()); err != nil {
				return err
			}
			s.note(sayFingerprint, p.Fingerprint())
			s.note(sayCompareFingerprint)
			return nil
		},
	}
	n.flags(c, false)
	c.Flags().BoolVar(&asJSON, "json", false, sayFlagJSON.in(lang))
	return c
}

func readPolicy(path string) (proofs.Policy, error) {
	if path == "" {
		return proofs.Policy{}, sayWhichPolicy.err()
	}
	data, err := readBounded(path, maxPolicy)
	if err != nil {
		return proofs.Policy{}, sayPolicyUnreadable.err(err)
	}
	p, err := proofs.ParsePolicy(data)
	if err != nil {
		return proofs.Policy{}, sayNoPolicy.err(path, err)
	}
	return p, nil
}
