// Muniment is the depositor's and the court's side of the depository: it deposits
// documents, and verifies receipts without asking anyone.
//
//	muniment deposit FILE… --contract NUMBER    deposit documents, keep their receipts
//	muniment verify FILE --policy POLICY        check a document and its receipt, offline
//	muniment list --contract NUMBER             list a case
//	muniment policy --server URL                show the policy a depository publishes
package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/muniment/muniment/service/client"
)

// Exit codes. Scripts and courts' systems rely on them.
const (
	exitRefused = 1 // the evidence, or the deposit, was judged and refused
	exitFailure = 2 // it could not be judged: usage, I/O, network, server
)

func main() { os.Exit(run()) }

// run is main with an exit code, so that tests can be the binary.
func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	root := &cobra.Command{
		Use:               "muniment",
		Short:             "Deposit documents as evidence, and verify receipts offline",
		SilenceUsage:      true,
		SilenceErrors:     true,
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
		// Without a RunE, cobra would answer a misspelt command with its help and success.
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.AddCommand(depositCommand(), verifyCommand(), listCommand(), policyCommand(), versionCommand())
	err := root.ExecuteContext(ctx)
	var code exitError
	switch {
	case errors.As(err, &code):
		return int(code)
	case err != nil:
		fmt.Fprintln(os.Stderr, "muniment:", say(err))
		return exitFailure
	}
	return 0
}

// exitError ends the command with a code; what there is to say has been said.
type exitError int

func (e exitError) Error() string { return fmt.Sprintf("exit %d", int(e)) }

// say puts an error in one line that cannot steer a terminal, and adds what to do.
func say(err error) string {
	line := plain(err.Error())
	var p *client.Problem
	var unreached *url.Error
	switch {
	case errors.Is(err, context.Canceled):
		return "stopped; run the same command again to go on"
	case errors.Is(err, client.ErrServer):
		return line
	case errors.Is(err, client.ErrChanged):
		return "it changed while it was being deposited; nothing was kept. Run the command again when it is at rest."
	case errors.As(err, &unreached):
		return "the depository does not answer: " + plain(unreached.Err.Error())
	case errors.As(err, &p) && p.Named("unauthorized"):
		return line + ". Check --api-key or MUNIMENT_API_KEY."
	case errors.As(err, &p) && p.Named("idempotency-key-reused"):
		return line + ". This document was deposited before with other claims; --again deposits it anew."
	case errors.As(err, &p) && p.Retry():
		return line + ". Run the same command again later: nothing will be deposited twice."
	}
	return line
}
