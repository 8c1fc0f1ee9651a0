package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"
)

func policyCommand() *cobra.Command {
	var n connection
	c := &cobra.Command{
		Use:   "policy --server URL",
		Short: "Print the policy that a depository publishes",
		Long: `Print the policy that a depository publishes, byte for byte, and on standard error its
fingerprint. A policy taken from the server it is to judge proves nothing until its
fingerprint has been compared by another channel.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			server, err := n.client(c, c.ErrOrStderr())
			if err != nil {
				return err
			}
			p, err := server.Policy(c.Context())
			if err != nil {
				return err
			}
			if _, err := io.WriteString(c.OutOrStdout(), p.String()); err != nil {
				return err
			}
			_, err = fmt.Fprintf(c.ErrOrStderr(), `Fingerprint: %s
Compare it by another channel before you rely on it: the depository's printed terms,
its regulator, a letter, a telephone call.
`, p.Fingerprint())
			return err
		},
	}
	n.flags(c, false)
	return c
}
