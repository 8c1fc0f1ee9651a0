package main

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/muniment/muniment/proofs"
)

// speak gives a command, and those below it, their help in the user's language.
// Cobra's own is English.
func speak(root *cobra.Command, lang proofs.Language) {
	root.SetHelpFunc(func(c *cobra.Command, _ []string) { printHelp(c.OutOrStdout(), c, lang) })
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return err })
	root.SetHelpCommand(&cobra.Command{
		Use:   "help [COMMAND]",
		Short: sayHelpShort.in(lang),
		RunE: func(_ *cobra.Command, args []string) error {
			c, rest, err := root.Find(args)
			if err != nil || len(rest) > 0 {
				return sayNoCommand.err(strings.Join(args, " "))
			}
			printHelp(root.OutOrStdout(), c, lang)
			return nil
		},
	})
}

func printHelp(out io.Writer, c *cobra.Command, lang proofs.Language) {
	text := c.Long
	if text == "" {
		text = c.Short
	}
	fmt.Fprintf(out, "%s\n%s\n", fill(text), sayUsage.in(lang))
	if !c.HasAvailableSubCommands() {
		c.DisableFlagsInUseLine = true
		fmt.Fprintf(out, "  %s %s\n", c.UseLine(), sayFlagsMark.in(lang))
	} else {
		fmt.Fprintf(out, "  %s COMMAND\n\n%s\n", c.CommandPath(), sayCommands.in(lang))
		for _, sub := range c.Commands() {
			if sub.IsAvailableCommand() || sub.Name() == "help" {
				fmt.Fprintf(out, "  %s  %s\n", pad(sub.Name(), 11), sub.Short)
			}
		}
	}
	if c.Example != "" {
		fmt.Fprintf(out, "\n%s\n%s\n", sayExamples.in(lang), c.Example)
	}
	if c.HasAvailableLocalFlags() {
		fmt.Fprintf(out, "\n%s\n", sayFlags.in(lang))
		printFlags(out, c.LocalFlags(), lang)
	}
	if c.HasAvailableInheritedFlags() {
		fmt.Fprintf(out, "\n%s\n", sayGlobalFlags.in(lang))
		printFlags(out, c.InheritedFlags(), lang)
	}
	if c.HasAvailableSubCommands() {
		fmt.Fprintf(out, "\n%s\n", sayMoreHelp.in(lang, c.CommandPath()))
	}
}

// fill sets paragraphs anew, in lines of lineWidth. A paragraph that begins with a space
// stays as it is.
func fill(text string) string {
	var b strings.Builder
	for paragraph := range strings.SplitSeq(strings.TrimSpace(text), "\n\n") {
		lines := strings.Split(paragraph, "\n")
		if !strings.HasPrefix(paragraph, " ") {
			joined := lines[0]
			for _, line := range lines[1:] {
				// Chinese is written without spaces, and breaks after punctuation.
				if last, _ := utf8.DecodeLastRuneInString(joined); columns(last) < 2 {
					joined += " "
				}
				joined += line
			}
			lines = wrap(joined, lineWidth)
		}
		b.WriteString(strings.Join(lines, "\n") + "\n\n")
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// flagWidth is how far descriptions of flags stand to the right.
const flagWidth = 22

func printFlags(out io.Writer, flags *pflag.FlagSet, lang proofs.Language) {
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Hidden {
			return
		}
		value, text := pflag.UnquoteUsage(f)
		if f.Name == "help" {
			text = sayFlagHelp.in(lang)
		}
		name := "    --" + f.Name
		if f.Shorthand != "" {
			name = "-" + f.Shorthand + ", --" + f.Name
		}
		if value != "" {
			name += " " + strings.ToUpper(value)
			text = strings.Replace(text, value, strings.ToUpper(value), 1)
		}
		lines := wrap(text, lineWidth-flagWidth-4)
		if displayWidth(name) > flagWidth {
			fmt.Fprintf(out, "  %s\n", name)
			name = ""
		}
		for _, line := range lines {
			fmt.Fprintf(out, "  %s  %s\n", pad(name, flagWidth), line)
			name = ""
		}
	})
}
