package main

import (
	"context"
	"errors"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/service/client"
)

func caseCommand(lang proofs.Language) *cobra.Command {
	c := &cobra.Command{Use: "case", Short: sayCaseShort.in(lang), Long: sayCaseLong.in(lang)}
	family(c)
	c.AddCommand(caseListCommand(lang), gapsCommand(lang), exportCommand(lang), grantCommand(lang), grantsCommand(lang), revokeCommand(lang))
	return c
}

func caseListCommand(lang proofs.Language) *cobra.Command {
	n := connection{lang: lang}
	var asJSON bool
	c := &cobra.Command{
		Use:   "list [CONTRACT]",
		Short: sayCaseListShort.in(lang),
		Long:  sayCaseListLong.in(lang),
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 || len(args) == 1 && args[0] == "" {
				return sayOneContract.err()
			}
			return nil
		},
		ValidArgsFunction: noFiles,
		RunE: func(c *cobra.Command, args []string) error {
			s := newScreen(c, lang, asJSON)
			server, err := n.client(c, s)
			if err != nil {
				return err
			}
			contract, err := n.caseMeant(c.Context(), server, args)
			if err != nil {
				return err
			}
			found, broken, err := readCase(c.Context(), server, contract)
			if err != nil {
				return err
			}
			return printCase(s, found, broken)
		},
	}
	n.flags(c, true)
	n.readFlags(c)
	c.Flags().BoolVar(&asJSON, "json", false, sayFlagJSON.in(lang))
	return c
}

// caseMeant is the number of the case that is meant: what was said, or what the link opens.
func (n *connection) caseMeant(ctx context.Context, server *client.Client, args []string) (string, error) {
	if len(args) == 1 {
		return args[0], nil
	}
	if n.link == "" {
		return "", sayOneContract.err()
	}
	grants, err := server.Grants(ctx)
	if err != nil {
		return "", err
	}
	if len(grants) == 0 {
		return "", sayNoLink.err()
	}
	g := grants[0] // a link is of one
	if g.Contract == "" {
		return "", sayLinkOfDeposit.err(g.Deposit, g.Deposit)
	}
	return g.Contract, nil
}

// readCase fetches a case, and finds where its chain is broken.
func readCase(ctx context.Context, server *client.Client, contract string) ([]client.Listed, []remark, error) {
	of, err := server.Case(ctx, contract)
	if p, ok := problemOf(err); ok && p.Type == client.ProblemNotFound {
		return nil, nil, sayNoCase.err(contract)
	}
	if err != nil {
		return nil, nil, err
	}
	var found []client.Listed
	var broken []remark
	for l, err := range of.Deposits {
		var gap *client.GapError
		switch {
		case errors.As(err, &gap):
			broken = append(broken, breach(gap))
		case err != nil:
			return nil, nil, err
		}
		if l.ID != "" { // at the end there may be a gap, and no deposit
			found = append(found, l)
		}
		if len(found) > maxListed {
			return nil, nil, sayTooManyListed.err(maxListed)
		}
	}
	return found, broken, nil
}

// breach says where a case is broken.
func breach(gap *client.GapError) remark {
	switch {
	case gap.Found == gap.After+1:
		return sayPrevOther.with(gap.Found)
	case gap.Found == gap.After+2:
		return sayNumberMissing.with(gap.After + 1)
	case gap.Found > gap.After:
		return sayNumbersMissing.with(gap.After+1, gap.Found-1)
	case gap.Found > 0:
		return sayOutOfOrder.with(gap.After, gap.Found)
	case gap.After < gap.Count:
		return sayNumbersMissing.with(gap.After+1, gap.Count)
	}
	return sayEndOther.with(gap.Count)
}

// printCase prints a case and says whether it is whole. That is the depository's word,
// since no receipt is looked at.
func printCase(s *screen, found []client.Listed, broken []remark) error {
	var rows [][]string
	for _, l := range found {
		d := newListing(l)
		if s.json {
			if err := s.object(d); err != nil {
				return err
			}
			continue
		}
		rows = append(rows, []string{
			strconv.FormatInt(d.Number, 10), strconv.FormatUint(d.Index, 10), d.Time, plain(d.Name), short(d.SHA256), d.has(s.lang), d.ID,
		})
	}
	if !s.json {
		heads := []phrase{headNumber, headEntry, headTime, headName, headDigest, headHas, headID}
		if err := s.rows(heads, rows); err != nil {
			return err
		}
		if err := s.chain(broken, sayCaseWhole.with(len(found)), sayCaseBroken.with()); err != nil {
			return err
		}
	}
	if len(broken) > 0 {
		return exitError(exitRefused)
	}
	return nil
}

// chain says whether a case is whole, and where it is not.
func (s *screen) chain(broken []remark, whole, not remark) error {
	if len(broken) == 0 {
		return s.text(whole.in(s.lang))
	}
	if err := s.text(not.in(s.lang)); err != nil {
		return err
	}
	for _, b := range broken {
		if err := s.text("  • " + b.in(s.lang)); err != nil {
			return err
		}
	}
	return nil
}
