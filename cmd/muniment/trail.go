package main

import (
	"strconv"

	"github.com/spf13/cobra"

	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/service/client"
)

type trailOptions struct {
	connection
	query    client.TrailQuery
	from, to string
	json     bool
}

func trailCommand(lang proofs.Language) *cobra.Command {
	o := trailOptions{connection: connection{lang: lang}}
	c := &cobra.Command{
		Use:               "trail",
		Short:             sayTrailShort.in(lang),
		Long:              sayTrailLong.in(lang),
		Args:              nothing,
		ValidArgsFunction: noFiles,
		RunE:              func(c *cobra.Command, _ []string) error { return o.run(c) },
	}
	o.flags(c, true)
	f := c.Flags()
	f.StringVar(&o.query.Deposit, "deposit", "", sayFlagTrailDeposit.in(lang))
	f.StringVar(&o.query.Contract, "contract", "", sayFlagTrailContract.in(lang))
	f.StringVar(&o.query.Caller, "caller", "", sayFlagTrailCaller.in(lang))
	f.StringVar(&o.query.Action, "action", "", sayFlagTrailAction.in(lang))
	f.StringVar(&o.from, "from", "", sayFlagTrailFrom.in(lang))
	f.StringVar(&o.to, "to", "", sayFlagTrailTo.in(lang))
	f.BoolVar(&o.json, "json", false, sayFlagJSON.in(lang))
	for _, name := range []string{"deposit", "contract", "caller", "from", "to"} {
		completes(c, name)
	}
	completes(c, "action", trailActions...)
	return c
}

// trailActions are the sorts of events, as the API names them.
var trailActions = []string{"read", "receipt", "document", "search", "case", "hold", "release", "erasure", "grant", "grant-revoked", "webhook", "webhook-deleted", "trail", "key", "key-revoked", "tenant", "export"}

func (o *trailOptions) run(c *cobra.Command) error {
	s := newScreen(c, o.lang, o.json)
	var err error
	if o.query.From, err = moment(o.from); err != nil {
		return err
	}
	if o.query.To, err = moment(o.to); err != nil {
		return err
	}
	server, err := o.client(c, s)
	if err != nil {
		return err
	}
	var rows [][]string
	for e, err := range server.Trail(c.Context(), o.query) {
		if err != nil {
			return err
		}
		if s.json {
			if err := s.object(e); err != nil {
				return err
			}
			continue
		}
		object, status := e.Deposit, ""
		if object == "" {
			object = e.Case
		}
		if e.Status != 0 {
			status = strconv.Itoa(e.Status)
		}
		rows = append(rows, []string{plain(e.Time), plain(e.Action), status, plain(e.Caller), plain(e.Role), plain(object), plain(e.Address), plain(e.Request)})
		if len(rows) > maxListed {
			return sayTooManyListed.err(maxListed)
		}
	}
	switch {
	case s.json:
		return nil
	case len(rows) == 0:
		return s.line(sayNothingFound)
	}
	return s.rows([]phrase{headTime, headAction, headStatus, headCaller, headRole, headObject, headAddress, headRequest}, rows)
}
