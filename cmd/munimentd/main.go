// Munimentd is the depository: it takes deposits over HTTP, fixes each in a
// verifiable log, and answers with receipts.
//
//	munimentd init    --dir DIR               lay out a new depository
//	munimentd serve   --dir DIR               run it (an empty DIR is initialised first)
//	munimentd fsck    --dir DIR               re-hash everything that is stored
//	munimentd backup  --dir DIR --to TARGET   copy it, running or stopped
//	munimentd restore --from TARGET --dir DIR bring a backup back
//	munimentd recover --dir DIR               rebuild a ledger that was lost, or is behind
//	munimentd doctor  --dir DIR               say what is wrong and how to mend it
//	munimentd config  --dir DIR               show the settings in effect
//	munimentd migrate --dir DIR               bring the database's schema up to date
//	munimentd anchor  add|list --dir DIR      more registers of the newest sealed head
//	munimentd key     rotate --dir DIR        put another key in the place of the log's
//	munimentd tenant-key rotate --dir DIR     put another in the place of a tenant's
//	munimentd approvers set --dir DIR         name those who must approve of the next three
//	munimentd trail   verify --dir DIR        recompute who read what, and compare it with the log
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
	exitFound   = 1 // fsck found something wrong
	exitFailure = 2 // the command could not do its work
	exitFatal   = 3 // the depository stopped itself: a state that must not be signed
)

func main() { os.Exit(run()) }

// run is main with an exit code, so that tests can be the binary.
func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	root := &cobra.Command{
		Use:           "munimentd",
		Short:         "An electronic contract depository on a verifiable log",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.AddCommand(initCommand(), serveCommand(), fsckCommand(), backupCommand(), restoreCommand(), recoverCommand(), doctorCommand(), configCommand(), migrateCommand(), policyCommand(), timestampCommand(), anchorCommand(), keyCommand(), tenantCommand(), apiKeyCommand(), tenantKeyCommand(), exportCommand(), importCommand(), versionCommand(), trillianCommand(), trailCommand(), approversCommand())
	root.SetFlagErrorFunc(nearestFlag)
	err := root.ExecuteContext(ctx)
	var code exitError
	switch {
	case errors.As(err, &code):
		return int(code)
	case err != nil:
		fmt.Fprintln(os.Stderr, "munimentd:", err)
		return exitFailure
	}
	return 0
}

// exitError ends the command with a code; what there is to say has been said.
type exitError int

func (e exitError) Error() string { return fmt.Sprintf("exit %d", int(e)) }
