package main

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/service/client"
)

// maxListed bounds what a server can make a command remember.
const maxListed = 100_000

type listOptions struct {
	connection
	query        client.Query
	label        string
	since, until string
	due          string
	json         bool
}

func listCommand(lang proofs.Language) *cobra.Command {
	o := listOptions{connection: connection{lang: lang}}
	c := &cobra.Command{
		Use:               "list",
		Short:             sayListShort.in(lang),
		Long:              sayListLong.in(lang),
		Example:           sayListExample.in(lang),
		Args:              nothing,
		ValidArgsFunction: noFiles,
		RunE:              func(c *cobra.Command, _ []string) error { return o.run(c) },
	}
	o.flags(c, true)
	o.readFlags(c)
	f := c.Flags()
	f.StringVar(&o.query.Contract, "contract", "", sayFlagListContract.in(lang))
	f.StringVar(&o.query.SHA256, "sha256", "", sayFlagListDigest.in(lang))
	f.StringVar(&o.query.SM3, "sm3", "", sayFlagListSM3.in(lang))
	f.StringVar(&o.query.Depositor, "depositor", "", sayFlagListDepositor.in(lang))
	f.StringVar(&o.label, "label", "", sayFlagListLabel.in(lang))
	f.StringVar(&o.since, "since", "", sayFlagSince.in(lang))
	f.StringVar(&o.until, "until", "", sayFlagUntil.in(lang))
	f.StringVar(&o.due, "due", "", sayFlagDue.in(lang))
	f.BoolVar(&o.query.NewestFirst, "newest-first", false, sayFlagNewestFirst.in(lang))
	f.BoolVar(&o.json, "json", false, sayFlagJSON.in(lang))
	for _, name := range []string{"contract", "sha256", "sm3", "depositor", "label", "since", "until", "due"} {
		completes(c, name)
	}
	return c
}

func (o *listOptions) run(c *cobra.Command) error {
	s := newScreen(c, o.lang, o.json)
	if err := o.ask(c); err != nil {
		return err
	}
	server, err := o.client(c, s)
	if err != nil {
		return err
	}
	found, err := search(c.Context(), server, o.query)
	if err != nil {
		return err
	}
	return printListed(s, found)
}

// ask makes the query of what the flags say.
func (o *listOptions) ask(c *cobra.Command) error {
	asked := 0
	for _, name := range []string{"contract", "sha256", "sm3", "depositor", "label"} {
		if f := c.Flags().Lookup(name); f.Changed {
			asked++
			if f.Value.String() == "" {
				return sayEmptyFlag.err("--" + name)
			}
		}
	}
	if asked > 1 {
		return sayOneSearch.err()
	}
	for _, digest := range []*string{&o.query.SHA256, &o.query.SM3} {
		*digest = strings.ToLower(*digest)
		if v, err := proofs.Text(*digest); *digest != "" && (err != nil || !proofs.TypeDigest.Holds(v)) {
			return sayCellType.err(abbreviate(*digest), typeNames[proofs.TypeDigest])
		}
	}
	if o.label != "" {
		key, value, ok := strings.Cut(o.label, "=")
		if !ok || key == "" || value == "" {
			return sayLabelForm.err(o.label)
		}
		o.query.Label = key + ":" + value
	}
	var err error
	if o.query.Since, err = moment(o.since); err != nil {
		return err
	}
	if o.query.Until, err = moment(o.until); err != nil {
		return err
	}
	o.query.Due, err = moment(o.due)
	return err
}

// moment reads a time as people write it: a date, in the zone of this machine, or
// RFC 3339.
func moment(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if t, err := time.ParseInLocation(time.DateOnly, s, time.Local); err == nil {
		return t, nil
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return t, sayNoTime.err(s)
	}
	return t, nil
}

// search fetches all deposits that match, in the order of the log.
func search(ctx context.Context, server *client.Client, q client.Query) ([]client.Listed, error) {
	var found []client.Listed
	for l, err := range server.Deposits(ctx, q) {
		if err != nil {
			return nil, err
		}
		if found = append(found, l); len(found) > maxListed {
			return nil, sayTooManyListed.err(maxListed)
		}
	}
	return found, nil
}

// listing is a deposit as list and case print it. As JSON its names are stable.
type listing struct {
	Contract string `json:"contract"`
	Number   int64  `json:"number"` // in the case
	Index    uint64 `json:"index"`
	Time     string `json:"time"`
	ID       string `json:"id"`
	Name     string `json:"name"`
	SHA256   string `json:"sha256"`
	Held     bool   `json:"held"`
	Leaf     string `json:"leaf"`
	// Depositor is who deposited; empty where the record does not say.
	Depositor string `json:"depositor"`
}

func newListing(l client.Listed) listing {
	text := func(name string) string {
		v, _ := l.Record.Get(name)
		s, _ := v.Text()
		return s
	}
	seq, _ := l.Record.Get("case.seq")
	held, _ := l.Record.Get("content.held")
	out := listing{
		Index: l.Index, Time: proofs.FormatTime(l.Time), ID: l.ID, Contract: text("contract.number"),
		Name: text("content.name"), SHA256: text("content.sha256"), Leaf: l.Leaf.String(),
		Depositor: text("depositor.name"),
	}
	out.Number, _ = seq.Integer()
	out.Held, _ = held.Boolean()
	return out
}

// has says in a word whether the depository has the document.
func (l listing) has(lang proofs.Language) string {
	if l.Held {
		return sayDocument.in(lang)
	}
	return sayDigestOnly.in(lang)
}

func printListed(s *screen, found []client.Listed) error {
	var rows [][]string
	for _, l := range found {
		d := newListing(l)
		if s.json {
			if err := s.object(d); err != nil {
				return err
			}
			continue
		}
		number := ""
		if d.Number > 0 {
			number = strconv.FormatInt(d.Number, 10)
		}
		rows = append(rows, []string{
			strconv.FormatUint(d.Index, 10), d.Time, plain(d.Contract), number, plain(d.Name), short(d.SHA256), d.has(s.lang), d.ID,
		})
	}
	switch {
	case s.json:
		return nil
	case len(found) == 0:
		return s.line(sayNothingFound)
	}
	return s.rows([]phrase{headEntry, headTime, headContract, headNumber, headName, headDigest, headHas, headID}, rows)
}

// short is enough of a digest to know it again.
func short(digest string) string { return plain(digest[:min(16, len(digest))]) }
