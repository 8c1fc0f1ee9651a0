package main

import (
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/service/api"
	"github.com/muniment/muniment/service/client"
)

type keepingOptions struct {
	connection
	act                    client.Act // empty: nothing is noted, only looked at
	matter, reason, policy string
	receipt                string
	json                   bool
	query                  client.NoticeQuery
}

// keepingCommands are hold, release, erase and notices.
func keepingCommands(lang proofs.Language) []*cobra.Command {
	return []*cobra.Command{
		keepingCommand(lang, "hold ID", client.Hold, sayHoldShort, sayHoldLong),
		keepingCommand(lang, "release ID", client.Release, sayReleaseShort, sayReleaseLong),
		keepingCommand(lang, "erase ID", client.Erase, sayEraseShort, sayEraseLong),
		keepingCommand(lang, "notices [ID]", "", sayNoticesShort, sayNoticesLong),
	}
}

func keepingCommand(lang proofs.Language, use string, act client.Act, short, long phrase) *cobra.Command {
	o := keepingOptions{connection: connection{lang: lang}, act: act}
	c := &cobra.Command{
		Use:   use,
		Short: short.in(lang),
		Long:  long.in(lang),
		Args: func(_ *cobra.Command, args []string) error {
			switch {
			case len(args) > 1 || len(args) == 0 && act != "":
				return sayOneID.err()
			case len(args) == 1 && o.query != (client.NoticeQuery{}):
				return sayListFlags.err()
			}
			return nil
		},
		ValidArgsFunction: noFiles,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return o.list(c)
			}
			return o.run(c, args[0])
		},
	}
	o.flags(c, true)
	f := c.Flags()
	f.BoolVar(&o.json, "json", false, sayFlagJSON.in(lang))
	if act == "" {
		o.readFlags(c)
		f.StringVar(&o.query.Act, "act", "", sayFlagAct.in(lang))
		f.BoolVar(&o.query.Open, "open", false, sayFlagOpen.in(lang))
		f.BoolVar(&o.query.NewestFirst, "newest-first", false, sayFlagNewestFirst.in(lang))
		completes(c, "act", "hold", "release", "erasure-asked", "erasure")
		return c
	}
	f.StringVar(&o.matter, "matter", "", map[bool]phrase{false: sayFlagMatter, true: sayFlagOrder}[act == client.Erase].in(lang))
	f.StringVar(&o.reason, "reason", "", sayFlagReason.in(lang))
	f.StringVar(&o.policy, "policy", "", sayFlagReceiptPolicy.in(lang))
	f.StringVarP(&o.receipt, "output", "o", "", sayFlagNoticeOutput.in(lang))
	for _, name := range []string{"matter", "reason"} {
		completes(c, name)
	}
	return c
}

// printedNotice is what JSON says of a notice; its names are stable.
type printedNotice struct {
	Notice   api.Notice   `json:"notice"`
	Standing api.Standing `json:"standing"`
	Receipt  string       `json:"receipt,omitempty"` // path
	Remains  []string     `json:"remains,omitempty"`
}

func (o *keepingOptions) run(c *cobra.Command, id string) error {
	s := newScreen(c, o.lang, o.json)
	server, err := o.client(c, s)
	if err != nil {
		return err
	}
	if o.act == "" {
		standing, err := server.Standing(c.Context(), id)
		if err != nil {
			return err
		}
		return printStanding(s, standing)
	}
	switch {
	case o.reason == "":
		return sayNoReason.err()
	case o.matter == "" && o.act != client.Erase:
		return sayNoMatter.err()
	}
	if err := o.believe(c, server, o.policy, s); err != nil {
		return err
	}
	noted, err := server.Note(c.Context(), client.Notice{
		Deposit: id, Act: o.act, Matter: o.matter, Reason: o.reason,
	})
	if err != nil {
		return err
	}
	if o.receipt != "" {
		if err := os.WriteFile(o.receipt, noted.Receipt.Marshal(), 0o666); err != nil {
			return err
		}
	}
	if s.json {
		return s.object(printedNotice{noted.Notice, noted.Standing, o.receipt, noted.Remains})
	}
	if err := s.line(sayNoted, noted.Notice.Index, noted.Receipt.Entry.Kind, noted.Notice.Time); err != nil {
		return err
	}
	if noted.Notice.Act == "erasure-asked" {
		if err := s.prose(sayConfirm); err != nil {
			return err
		}
	}
	if noted.Notice.Act == string(client.Erase) {
		if err := s.prose(sayRemains); err != nil {
			return err
		}
	}
	return printStanding(s, noted.Standing)
}

// list prints the notices of all deposits.
func (o *keepingOptions) list(c *cobra.Command) error {
	s := newScreen(c, o.lang, o.json)
	server, err := o.client(c, s)
	if err != nil {
		return err
	}
	var rows [][]string
	for n, err := range server.Notices(c.Context(), o.query) {
		if err != nil {
			return err
		}
		if s.json {
			if err := s.object(n); err != nil {
				return err
			}
			continue
		}
		rows = append(rows, []string{
			plain(n.Time), wordOf(actWords, n.Act).in(s.lang), wordOf(noticeWords, n.State).in(s.lang), plain(n.Deposit), plain(n.Matter), plain(n.Reason), plain(n.By),
		})
		if len(rows) > maxListed {
			return sayTooManyListed.err(maxListed)
		}
	}
	switch {
	case s.json:
		return nil
	case len(rows) == 0:
		return s.line(sayNoNotices)
	}
	return s.rows([]phrase{sayHeadTime, sayHeadAct, sayHeadState, sayFactDeposit, sayHeadMatter, sayHeadReason, sayHeadBy}, rows)
}

func printStanding(s *screen, standing api.Standing) error {
	if s.json {
		return s.object(standing)
	}
	facts := []fact{
		{sayFactDeposit, standing.Deposit},
		{sayFactEntry, standing.Time},
		{sayFactState, wordOf(standingWords, standing.State).in(s.lang)},
	}
	if len(standing.Matters) > 0 {
		facts = append(facts, fact{sayFactMatters, plain(strings.Join(standing.Matters, ", "))})
	}
	if standing.Until != "" {
		facts = append(facts, fact{sayFactUntil, standing.Until})
	}
	if err := s.facts(facts); err != nil || len(standing.Notices) == 0 {
		return err
	}
	if err := s.text(""); err != nil {
		return err
	}
	var rows [][]string
	for _, n := range standing.Notices {
		rows = append(rows, []string{n.Time, wordOf(actWords, n.Act).in(s.lang), plain(n.Matter), plain(n.Reason), plain(n.By)})
	}
	return s.rows([]phrase{sayHeadTime, sayHeadAct, sayHeadMatter, sayHeadReason, sayHeadBy}, rows)
}

// wordOf is the word for a name, or the name itself where a newer server has others.
func wordOf(words map[string]phrase, name string) phrase {
	if p, ok := words[name]; ok {
		return p
	}
	return phrase{plain(name), plain(name)}
}
