package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/spf13/cobra"

	"github.com/muniment/muniment/notary/cosign"
	"github.com/muniment/muniment/proofs"
)

func policyCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "policy",
		Short: "Show the policy in force, or put another in force",
		Long: `The policy, DIR/policy, is a C2SP tlog-policy: the log's key, the witnesses with the
addresses at which they are asked, and how many of them must cosign:

  log VKEY
  witness NAME VKEY URL
  group NAME 2 NAME NAME NAME
  quorum NAME

Receipts are verified by it, so each change is published: every policy that was ever in
force stays in DIR/policies, and served at /log/policy/<fingerprint>.`,
	}
	c.AddCommand(policyShowCommand(), policySetCommand())
	return c
}

// shownPolicy is what policy show tells.
type shownPolicy struct {
	Policy      string   `json:"policy"`
	Fingerprint string   `json:"fingerprint"`
	Earlier     []string `json:"earlier"` // fingerprints, the last one first
}

func policyShowCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "show --dir DIR",
		Short: "Print the policy in force, and the fingerprints of earlier ones",
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := loadConfig(c)
			if err != nil {
				return err
			}
			return showPolicy(c.OutOrStdout(), cfg.Dir, asJSON)
		},
	}
	settingFlags(c, onlyDir)
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return c
}

func showPolicy(out io.Writer, dir string, asJSON bool) error {
	policy, err := readPolicy(dir)
	if err != nil {
		return err
	}
	earlier, err := earlierPolicies(dir)
	if err != nil {
		return err
	}
	s := shownPolicy{policy.String(), policy.Fingerprint(), []string{}}
	for _, p := range earlier {
		s.Earlier = append(s.Earlier, p.Fingerprint())
	}
	if asJSON {
		return json.NewEncoder(out).Encode(s)
	}
	fmt.Fprintf(out, "%s# fingerprint %s\n", s.Policy, s.Fingerprint)
	for _, f := range s.Earlier {
		fmt.Fprintf(out, "# earlier %s\n", f)
	}
	return nil
}

func policySetCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "set FILE --dir DIR",
		Short: "Put another policy in force, from the next start of serve on",
		Long: `Check the policy in FILE, keep the one in force under DIR/policies, and replace it. It
takes effect when serve is started again; of replicas each has a DIR of its own, so set
it on each, and then start them again one by one.

Refused: a policy of another log key, under which no receipt that was given could be
verified; one whose quorum its witnesses cannot make, because they have no URL. A witness
that cannot be reached, or that does not know this log yet, is named, and refuses nothing.

While serve has --witness required (the default), nothing is published without the new
quorum, not even what was published before: have the witnesses configured first.`,
		RunE: func(c *cobra.Command, args []string) error {
			cfg, err := loadConfig(c)
			if err != nil {
				return err
			}
			return setPolicy(c.Context(), c.OutOrStdout(), c.ErrOrStderr(), cfg, args[0])
		},
	}
	settingFlags(c, onlyDir)
	c.Args = cobra.ExactArgs(1)
	return c
}

func setPolicy(ctx context.Context, out, warn io.Writer, cfg *config, file string) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	next, err := proofs.ParsePolicy(data)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	now, err := readPolicy(cfg.Dir)
	if err != nil {
		return err
	}
	if err := fits(now, next); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	if next.Witnessed() {
		client, err := cosign.New(cosign.Config{Policy: next, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		defer client.Close()
		warnOfWitnesses(ctx, warn, cfg, client)
	}
	before, err := replacePolicy(cfg.Dir, next, next.Logs[0])
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, `before:  %s
policy:  %s
Start munimentd serve again for it to take effect, and publish the fingerprint.
`, before.Fingerprint(), next.Fingerprint())
	return err
}

// warnOfWitnesses names the witnesses that would not cosign now.
func warnOfWitnesses(ctx context.Context, warn io.Writer, cfg *config, client *cosign.Client) {
	note, err := publishedNote(ctx, cfg)
	if err != nil {
		fmt.Fprintf(warn, "munimentd: the witnesses were not asked: %v\n", err)
		return
	}
	standings, err := examine(ctx, client, note)
	if err != nil {
		fmt.Fprintf(warn, "munimentd: the witnesses were not asked: %v\n", err)
		return
	}
	for _, s := range standings {
		if s.Err != nil {
			fmt.Fprintf(warn, "munimentd: witness %q would not cosign now: %v\n", s.Witness, s.Err)
		}
	}
}
