// Muniment-bench measures a depository over HTTP, and believes nothing of what it
// answers: every receipt is verified, and figures of a depository that refused, lost
// or altered anything are void.
//
//	muniment-bench local                      measure a depository of its own
//	muniment-bench run --server URL …         measure one that runs elsewhere
//	muniment-bench suite                      measure the standard rows, one after another
//	muniment-bench growth --to 1000000        measure one as its log grows
//	muniment-bench overload                   ask one for twice what it can do
//	muniment-bench production                 measure replicas on PostgreSQL and S3
//	muniment-bench tenants                    measure many tenants, and a noisy one beside a quiet one
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

// Exit codes.
const (
	exitFound   = 1 // the depository refused, lost or altered something, or does not bear overload
	exitFailure = 2 // the bench could not do its work
)

func main() { os.Exit(run()) }

// run is main with an exit code, so that tests can be the binary.
func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	root := &cobra.Command{
		Use:               "muniment-bench",
		Short:             "Measure a depository, and verify every receipt that it gives",
		SilenceUsage:      true,
		SilenceErrors:     true,
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
		Args:              cobra.NoArgs,
		RunE:              func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.AddCommand(localCommand(), runCommand(), suiteCommand(), growthCommand(), overloadCommand(), productionCommand(), tenantsCommand(), emptyCommand())
	err := root.ExecuteContext(ctx)
	switch {
	case errors.Is(err, errVoid), errors.Is(err, errOverload):
		fmt.Fprintln(os.Stderr, "muniment-bench:", err)
		return exitFound
	case errors.Is(err, context.Canceled):
		fmt.Fprintln(os.Stderr, "muniment-bench: stopped before its end; there are no figures")
		return exitFailure
	case err != nil:
		fmt.Fprintln(os.Stderr, "muniment-bench:", err)
		return exitFailure
	}
	return 0
}

// errVoid is wrapped when what was measured must not be believed.
var errVoid = errors.New("no figure of this run counts")
