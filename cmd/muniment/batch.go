package main

import (
	"cmp"
	"context"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"github.com/muniment/muniment/proofs"
)

// batchSuffix makes the name of the folder of a CSV file's receipts.
const batchSuffix = ".receipts"

type batchOptions struct {
	connection
	description
	policy, out  string
	check, again bool
	json         bool
}

func batchCommand(lang proofs.Language) *cobra.Command {
	o := batchOptions{connection: connection{lang: lang}}
	c := &cobra.Command{
		Use:     "batch FILE.csv",
		Short:   sayBatchShort.in(lang),
		Long:    sayBatchLong.in(lang),
		Example: sayBatchExample.in(lang),
		Args: func(_ *cobra.Command, files []string) error {
			if len(files) != 1 {
				return sayWhichSheet.err()
			}
			return nil
		},
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return []string{"csv"}, cobra.ShellCompDirectiveFilterFileExt
		},
		RunE: func(c *cobra.Command, args []string) error { return o.run(c, args[0]) },
	}
	o.connection.flags(c, true)
	o.description.flags(c, lang)
	f := c.Flags()
	f.StringVar(&o.policy, "policy", "", sayFlagReceiptPolicy.in(lang))
	f.StringVar(&o.out, "out", "", sayFlagBatchOut.in(lang))
	f.BoolVar(&o.check, "check", false, sayFlagCheck.in(lang))
	f.BoolVar(&o.again, "again", false, sayFlagBatchAgain.in(lang))
	f.BoolVar(&o.json, "json", false, sayFlagJSON.in(lang))
	if err := c.MarkFlagDirname("out"); err != nil {
		panic(err)
	}
	return c
}

// run checks every line before anything is sent.
func (o *batchOptions) run(c *cobra.Command, file string) error {
	s := newScreen(c, o.lang, o.json)
	list, err := o.open(c.Context(), s, file)
	switch {
	case err != nil:
		return err
	case len(list.flaws) > 0:
		return list.refuse(s)
	case o.check && s.json:
		return nil
	case o.check:
		return s.line(saySheetGood, file, len(list.lines))
	}
	server, err := o.client(c, s)
	if err != nil {
		return err
	}
	b := batch{server: server, sheet: list, screen: s, folder: o.out, signer: o.signer}
	if b.folder == "" {
		b.folder = file + batchSuffix
	}
	if err := os.MkdirAll(b.folder, 0o777); err != nil {
		return err
	}
	if err := writable(b.folder); err != nil {
		return sayNoReceiptRoom.err(file, err)
	}
	if err := o.believe(c, server, o.policy, s); err != nil {
		return err
	}
	return b.run(c.Context(), o.again)
}

// open reads the file, and all the documents that it names.
func (o *batchOptions) open(ctx context.Context, s *screen, file string) (*sheet, error) {
	said, err := o.members()
	if err != nil {
		return nil, err
	}
	list, err := openSheet(file, said)
	if err != nil {
		return nil, err
	}
	if list.read != nil {
		s.note(sayPlainly, *list.read)
	}
	p := newProgress(s, sayLinesOf, len(list.lines), 0, int64(len(list.lines)))
	defer p.end()
	return list, list.hash(ctx, p)
}

// flawed is a flaw as JSON shows it; its names are stable.
type flawed struct {
	Status string `json:"status"`
	Line   int    `json:"line"`
	Column int    `json:"column,omitempty"`
	Name   string `json:"name,omitempty"`
	Error  string `json:"error"`
}

// refuse names what is wrong with the lines.
func (list *sheet) refuse(s *screen) error {
	slices.SortStableFunc(list.flaws, func(a, b flaw) int { return cmp.Or(cmp.Compare(a.line, b.line), cmp.Compare(a.column, b.column)) })
	for i, f := range list.flaws {
		if s.json {
			if err := s.object(flawed{statusFailed, f.line, f.column, f.name, explain(f.err, s.lang)}); err != nil {
				return err
			}
			continue
		}
		if i == maxNamed {
			s.note(sayMoreFailures, len(list.flaws)-i)
			break
		}
		place := sayLine.with(f.line)
		switch {
		case f.column > 0 && f.name != "":
			place = sayLineColName.with(f.line, f.column, f.name)
		case f.column > 0:
			place = sayLineColumn.with(f.line, f.column)
		}
		s.complain(list.path, sayFlaw.err(place, f.err))
	}
	return sayNothingSent.err(len(list.flaws))
}
