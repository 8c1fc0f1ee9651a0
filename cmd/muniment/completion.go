package main

import (
	"github.com/spf13/cobra"

	"github.com/muniment/muniment/proofs"
)

func completionCommand(lang proofs.Language) *cobra.Command {
	shells := []string{"bash", "zsh", "fish"}
	return &cobra.Command{
		Use:       "completion bash|zsh|fish",
		Short:     sayCompletionShort.in(lang),
		Long:      sayCompletionLong.in(lang),
		ValidArgs: shells,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return sayWhichShell.err()
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			switch out := c.OutOrStdout(); args[0] {
			case "bash":
				return c.Root().GenBashCompletionV2(out, true)
			case "zsh":
				return c.Root().GenZshCompletion(out)
			case "fish":
				return c.Root().GenFishCompletion(out, true)
			}
			return sayWhichShell.err()
		},
	}
}

// completes tells shells what a flag's values are; nothing: it takes no file.
func completes(c *cobra.Command, flag string, values ...string) {
	// The one error is that there is no such flag, and then every use would show it.
	if err := c.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)); err != nil {
		panic(err)
	}
}

// noFiles completes no argument: the command takes none that are files.
func noFiles(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return nil, cobra.ShellCompDirectiveNoFileComp
}
