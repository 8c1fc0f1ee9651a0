// Muniment is the depositor's and the court's side of the depository: it deposits
// documents, fetches receipts, and verifies them without asking anyone.
//
//	muniment deposit PATH… --contract NUMBER    deposit files and folders, keep their receipts
//	muniment batch FILE.csv                     deposit the digests that a CSV file lists
//	muniment receipt ID…                        fetch receipts, or refresh old ones
//	muniment certificate ID…                    fetch certificates, PDFs for people
//	muniment verify PATH… --policy POLICY       check documents and receipts, offline
//	muniment case list|gaps|export              is a case whole? all of it as one bundle
//	muniment case grant|grants|revoke           open cases to courts
//	muniment list                               search deposits
//	muniment trail                              who read, held or erased what
//	muniment log checkpoint|entry|consistency   look into the public log
//	muniment audit --log URL                    mirror a public log, check all of it, and watch it
//	muniment policy --server URL                show the policy a depository publishes
//	muniment key new|show                       the key that you sign deposits with
//	muniment approve FILE --key KEY             approve what an operator is about to do
//	muniment witness init|key|serve             cosign the logs of others
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/muniment/muniment/proofs"
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
	// What is under way is ended in good order; who interrupts twice does not wait.
	context.AfterFunc(ctx, stop)
	lang, err := language(askedLanguage(os.Args[1:]))
	if err == nil {
		err = rootCommand(lang).ExecuteContext(ctx)
	}
	var code exitError
	switch {
	case errors.As(err, &code):
		return int(code)
	case err != nil:
		fmt.Fprintln(os.Stderr, "muniment:", explain(err, lang))
		return exitFailure
	}
	return 0
}

func rootCommand(lang proofs.Language) *cobra.Command {
	root := &cobra.Command{
		Use:               "muniment",
		Short:             sayMunimentShort.in(lang),
		Long:              sayMunimentLong.in(lang),
		SilenceUsage:      true,
		SilenceErrors:     true,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
	}
	family(root)
	// Parsed by askedLanguage already; here so that it is known, and shown.
	root.PersistentFlags().String("lang", "", sayFlagLang.in(lang))
	completes(root, "lang", string(proofs.English), string(proofs.Chinese))
	speak(root, lang)
	root.AddCommand(
		depositCommand(lang), batchCommand(lang), receiptCommand(lang), certificateCommand(lang), verifyCommand(lang),
		caseCommand(lang), listCommand(lang), trailCommand(lang), logCommand(lang), auditCommand(lang), policyCommand(lang),
		keyCommand(lang), witnessCommand(lang), approveCommand(lang), completionCommand(lang), versionCommand(lang),
	)
	root.AddCommand(keepingCommands(lang)...)
	return root
}

// family makes c a command that does nothing by itself: it shows its help, and
// refuses a subcommand that it does not have.
func family(c *cobra.Command) {
	c.Args = func(c *cobra.Command, args []string) error {
		if len(args) > 0 {
			return sayNoCommand.err(strings.TrimPrefix(c.CommandPath()+" "+args[0], "muniment "))
		}
		return nil
	}
	c.RunE = func(c *cobra.Command, _ []string) error { return c.Help() }
}

// exitError ends the command with a code; what there is to say has been said.
type exitError int

func (e exitError) Error() string { return fmt.Sprintf("exit %d", int(e)) }

// nothing is the Args of a command that takes none.
func nothing(_ *cobra.Command, args []string) error {
	if len(args) > 0 {
		return saySuperfluous.err(args[0])
	}
	return nil
}
