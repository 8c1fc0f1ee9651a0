package main

import (
	"encoding/json"
	"strings"

	"github.com/spf13/cobra"

	"github.com/muniment/muniment/proofs"
)

// printedFacts is a fact sheet as JSON shows it; its names are stable.
type printedFacts struct {
	Index  uint64          `json:"index"`
	Time   string          `json:"time"` // from which it is in force
	Record json.RawMessage `json:"record"`
	Origin string          `json:"origin"`
	Size   uint64          `json:"size"`
	Policy string          `json:"policy"` // fingerprint
}

func factsCommand(lang proofs.Language) *cobra.Command {
	o := logOptions{connection: connection{lang: lang}}
	var size uint64
	c := &cobra.Command{
		Use:               "facts",
		Short:             sayFactsShort.in(lang),
		Long:              sayFactsLong.in(lang),
		Args:              nothing,
		ValidArgsFunction: noFiles,
		RunE:              func(c *cobra.Command, _ []string) error { return o.facts(c, size) },
	}
	o.flags(c)
	c.Flags().Uint64Var(&size, "size", 0, sayFlagFactsSize.in(lang))
	return c
}

func (o *logOptions) facts(c *cobra.Command, size uint64) error {
	s, server, v, err := o.open(c)
	if err != nil {
		return err
	}
	r, err := server.Facts(c.Context(), size)
	if err != nil {
		return err
	}
	e, err := v.Verify(r, nil)
	if err != nil {
		return err
	}
	if e.Outcome() == proofs.Refused || e.Entry.Kind != proofs.KindFacts {
		return refusing(s, sayFactsUnproven.refusal(server.Server))
	}
	if s.json {
		return s.object(printedFacts{r.Index, proofs.FormatTime(e.Entry.Time), json.RawMessage(e.Record.JSON()), e.Origin, e.Size, v.Fingerprint})
	}
	h := head{server.Server, r.Checkpoint, proofs.Checkpoint{Origin: e.Origin, Size: e.Size, Root: e.Root}}
	if err := h.warn(s); err != nil {
		return err
	}
	var lines []string
	for _, m := range e.Record {
		text, ok := m.Value.Text()
		if !ok {
			text = m.Value.JSON()
		}
		lines = append(lines, m.Name+": "+plain(text))
	}
	if err := s.text(strings.Join(lines, "\n")); err != nil {
		return err
	}
	return s.prose(sayFactsProven, r.Index, e.Origin, proofs.FormatTime(e.Entry.Time))
}
