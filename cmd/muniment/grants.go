package main

import (
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/service/api"
	"github.com/muniment/muniment/service/client"
)

type grantOptions struct {
	connection
	opening        client.Opening
	anyone         bool
	days           int
	policy, output string
	json           bool
}

// maxGrantDays is for how long a court may be let in at a time, in days.
const maxGrantDays = 3660

func grantCommand(lang proofs.Language) *cobra.Command {
	o := grantOptions{connection: connection{lang: lang}}
	c := &cobra.Command{
		Use:               "grant CONTRACT|--deposit ID --to COURT|--anyone-with-link",
		Short:             sayGrantShort.in(lang),
		Long:              sayGrantLong.in(lang),
		Args:              func(_ *cobra.Command, args []string) error { return o.what(args) },
		ValidArgsFunction: noFiles,
		RunE:              func(c *cobra.Command, _ []string) error { return o.run(c) },
	}
	o.flags(c, true)
	f := c.Flags()
	f.StringVar(&o.opening.Deposit, "deposit", "", sayFlagGrantDeposit.in(lang))
	f.StringVar(&o.opening.To, "to", "", sayFlagTo.in(lang))
	f.BoolVar(&o.anyone, "anyone-with-link", false, sayFlagAnyone.in(lang))
	f.IntVar(&o.days, "days", 0, sayFlagDays.in(lang))
	f.StringVar(&o.opening.Matter, "matter", "", sayFlagMatter.in(lang))
	f.StringVar(&o.opening.Reason, "reason", "", sayFlagReason.in(lang))
	f.StringVar(&o.policy, "policy", "", sayFlagReceiptPolicy.in(lang))
	f.StringVarP(&o.output, "output", "o", "", sayFlagNoticeOutput.in(lang))
	f.BoolVar(&o.json, "json", false, sayFlagJSON.in(lang))
	for _, name := range []string{"deposit", "to", "days", "matter", "reason"} {
		completes(c, name)
	}
	return c
}

// what reads what is to be opened.
func (o *grantOptions) what(args []string) error {
	if len(args) > 1 || (len(args) == 1) == (o.opening.Deposit != "") || len(args) == 1 && args[0] == "" {
		return sayCaseOrDeposit.err()
	}
	if len(args) == 1 {
		o.opening.Contract = args[0]
	}
	return nil
}

func (o *grantOptions) run(c *cobra.Command) error {
	s := newScreen(c, o.lang, o.json)
	server, err := o.client(c, s)
	if err != nil {
		return err
	}
	switch {
	case (o.opening.To != "") == o.anyone:
		return sayToWhom.err()
	case o.days < 1 || o.days > maxGrantDays:
		return sayHowLong.err(maxGrantDays)
	case o.opening.Reason == "":
		return sayNoReason.err()
	}
	o.opening.Until = time.Now().AddDate(0, 0, o.days).UTC().Truncate(time.Millisecond)
	if err := o.believe(c, server, o.policy, s); err != nil {
		return err
	}
	granted, err := server.Grant(c.Context(), o.opening)
	if err != nil {
		return err
	}
	return printGranted(s, granted, o.output)
}

// printedGrant is what JSON says of a grant; its names are stable.
type printedGrant struct {
	Grant   api.Grant `json:"grant"`
	Link    string    `json:"link,omitempty"`
	Receipt string    `json:"receipt,omitempty"` // path
}

func printGranted(s *screen, g client.Granted, output string) error {
	if output != "" {
		if err := os.WriteFile(output, g.Receipt.Marshal(), 0o666); err != nil {
			return err
		}
	}
	if s.json {
		return s.object(printedGrant{g.Grant, g.Link, output})
	}
	if err := s.line(sayNoted, g.Receipt.Index, g.Receipt.Entry.Kind, proofs.FormatTime(g.Receipt.Entry.Time)); err != nil {
		return err
	}
	facts := []fact{
		{sayFactGrant, plain(g.Grant.Id)},
		{sayFactTenant, plain(g.Grant.Tenant)},
		{sayFactOpened, plain(whatOpened(g.Grant))},
		{sayFactState, wordOf(grantWords, g.Grant.State).in(s.lang)},
		{sayFactOpenUntil, plain(g.Grant.Until)},
	}
	if g.Link != "" {
		facts = append(facts, fact{sayFactLink, plain(g.Link)})
	}
	if err := s.facts(facts); err != nil || g.Link == "" {
		return err
	}
	return s.prose(sayGiveLink)
}

// whatOpened is what a grant opens.
func whatOpened(g api.Grant) string {
	if g.Contract != "" {
		return g.Contract
	}
	return g.Deposit
}

func grantsCommand(lang proofs.Language) *cobra.Command {
	n := connection{lang: lang}
	var deposit string
	var asJSON bool
	c := &cobra.Command{
		Use:   "grants [CONTRACT]",
		Short: sayGrantsShort.in(lang),
		Long:  sayGrantsLong.in(lang),
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 || len(args) == 1 && (args[0] == "" || deposit != "") {
				return sayCaseOrDeposit.err()
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
			var grants []api.Grant
			switch {
			case len(args) == 1:
				grants, err = server.GrantsOf(c.Context(), args[0], "")
			case deposit != "":
				grants, err = server.GrantsOf(c.Context(), "", deposit)
			default:
				grants, err = server.Grants(c.Context())
			}
			if err != nil {
				return err
			}
			return printGrants(s, grants)
		},
	}
	n.flags(c, true)
	n.readFlags(c)
	c.Flags().StringVar(&deposit, "deposit", "", sayFlagGrantDeposit.in(lang))
	completes(c, "deposit")
	c.Flags().BoolVar(&asJSON, "json", false, sayFlagJSON.in(lang))
	return c
}

func printGrants(s *screen, grants []api.Grant) error {
	var rows [][]string
	for _, g := range grants {
		if s.json {
			if err := s.object(g); err != nil {
				return err
			}
			continue
		}
		to := g.To
		if to == "" {
			to = sayByLink.in(s.lang)
		}
		rows = append(rows, []string{plain(g.Id), plain(whatOpened(g)), plain(to), wordOf(grantWords, g.State).in(s.lang), plain(g.Until), plain(g.Matter), plain(g.Reason), plain(g.By)})
	}
	if s.json {
		return nil
	}
	return s.rows([]phrase{sayFactGrant, sayFactOpened, sayHeadTo, sayFactState, sayFactOpenUntil, sayHeadMatter, sayHeadReason, sayHeadBy}, rows)
}

func revokeCommand(lang proofs.Language) *cobra.Command {
	n := connection{lang: lang}
	var policy, output string
	var asJSON bool
	c := &cobra.Command{
		Use:   "revoke GRANT",
		Short: sayRevokeShort.in(lang),
		Long:  sayRevokeLong.in(lang),
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return sayOneGrant.err()
			}
			return nil
		},
		ValidArgsFunction: noFiles,
		RunE: func(c *cobra.Command, args []string) error {
			s := newScreen(c, lang, asJSON)
			server, err := n.client(c, s)
			if err == nil {
				err = n.believe(c, server, policy, s)
			}
			if err != nil {
				return err
			}
			revoked, err := server.Revoke(c.Context(), args[0])
			if err != nil {
				return err
			}
			return printGranted(s, revoked, output)
		},
	}
	n.flags(c, true)
	c.Flags().StringVar(&policy, "policy", "", sayFlagReceiptPolicy.in(lang))
	c.Flags().StringVarP(&output, "output", "o", "", sayFlagNoticeOutput.in(lang))
	c.Flags().BoolVar(&asJSON, "json", false, sayFlagJSON.in(lang))
	return c
}
