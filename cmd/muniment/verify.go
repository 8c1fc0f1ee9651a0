package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/muniment/muniment/proofs"
)

// maxPolicy is more than any policy has.
const maxPolicy = 1 << 20

type verifyOptions struct {
	receipt, policy, lang string
	json                  bool
}

func verifyCommand() *cobra.Command {
	var o verifyOptions
	c := &cobra.Command{
		Use:   "verify FILE --policy POLICY",
		Short: "Check a document against its receipt, offline",
		Long: `Check that FILE is, bit for bit, the document that its receipt is about, and that the
receipt satisfies a policy. No network is used, and no one is asked.

The policy decides whose signatures count. Take it from whoever answers for the
depository, never from the party that offers the evidence.

Exit code 0: verified. 1: refused; do not rely on the evidence. 2: it could not be
decided, or the command could not do its work.`,
		Example: `  muniment verify contract.pdf --policy depository.policy
  muniment verify contract.pdf --receipt contract.pdf.tlog-proof --policy depository.policy --lang zh`,
		Args: func(_ *cobra.Command, files []string) error {
			if len(files) != 1 {
				return errors.New("which document? Name one FILE")
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error { return o.run(c, args[0]) },
	}
	f := c.Flags()
	f.StringVar(&o.receipt, "receipt", "", "the receipt (default FILE"+receiptSuffix+")")
	f.StringVar(&o.policy, "policy", "", "the policy to judge by (required)")
	f.StringVar(&o.lang, "lang", "", "en or zh (default as LC_ALL, LC_MESSAGES or LANG say)")
	f.BoolVar(&o.json, "json", false, "print one JSON object")
	c.MarkFlagRequired("policy")
	return c
}

func (o *verifyOptions) run(c *cobra.Command, file string) error {
	lang, err := language(o.lang)
	if err != nil {
		return err
	}
	if o.receipt == "" {
		o.receipt = receiptPath(file, "")
	}
	policy, err := readPolicy(o.policy)
	if err != nil {
		return err
	}
	data, err := readBounded(o.receipt, proofs.MaxReceipt)
	if err != nil {
		return fmt.Errorf("the receipt cannot be read: %w; name another with --receipt", err)
	}
	document, err := os.Open(file)
	if err != nil {
		return fmt.Errorf("the document cannot be read: %w", err)
	}
	defer document.Close()
	// What is no receipt at all parses to the zero Receipt, which Verify refuses as
	// malformed.
	receipt, _ := proofs.ParseReceipt(data)
	evidence, err := proofs.NewVerifier(policy).Verify(receipt, interruptible{c.Context(), document})
	if err != nil {
		return fmt.Errorf("the document cannot be read: %w", err)
	}
	r := newReport(evidence, file, o.receipt, lang)
	if o.json {
		err = printJSON(c.OutOrStdout(), r)
	} else {
		err = r.print(c.OutOrStdout(), lang)
	}
	if err != nil {
		return err
	}
	switch evidence.Outcome() {
	case proofs.Verified:
		return nil
	case proofs.Refused:
		return exitError(exitRefused)
	}
	return exitError(exitFailure)
}

func readPolicy(path string) (proofs.Policy, error) {
	data, err := readBounded(path, maxPolicy)
	if err != nil {
		return proofs.Policy{}, fmt.Errorf("the policy cannot be read: %w", err)
	}
	p, err := proofs.ParsePolicy(data)
	if err != nil {
		return proofs.Policy{}, fmt.Errorf("%s is not a policy: %w", path, err)
	}
	return p, nil
}

// language is the one asked for, or else the user's.
func language(asked string) (proofs.Language, error) {
	switch l := proofs.Language(asked); l {
	case proofs.English, proofs.Chinese:
		return l, nil
	case "":
	default:
		return "", errors.New("--lang is en or zh")
	}
	for _, name := range []string{"LC_ALL", "LC_MESSAGES", "LANG"} {
		if v := os.Getenv(name); v != "" {
			if strings.HasPrefix(strings.ToLower(v), "zh") {
				return proofs.Chinese, nil
			}
			break
		}
	}
	return proofs.English, nil
}
