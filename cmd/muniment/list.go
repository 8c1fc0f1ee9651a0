package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/service/client"
)

// maxListed bounds what a server can make list remember.
const maxListed = 100_000

func listCommand() *cobra.Command {
	var n connection
	var contract string
	var asJSON bool
	c := &cobra.Command{
		Use:   "list --contract NUMBER",
		Short: "List the deposits of a case, in order",
		Long: `List the deposits of one contract, the oldest first. The list is the depository's
word; what proves a deposit is its receipt.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if contract == "" {
				return fmt.Errorf("--contract must not be empty")
			}
			server, err := n.client(c, c.ErrOrStderr())
			if err != nil {
				return err
			}
			found, err := theCase(c, server, contract)
			if err != nil {
				return err
			}
			return printCase(c.OutOrStdout(), found, asJSON)
		},
	}
	n.flags(c, true)
	c.Flags().StringVar(&contract, "contract", "", "contract number (required)")
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object per deposit")
	c.MarkFlagRequired("contract")
	return c
}

// theCase fetches the deposits of a contract in the order of the log.
func theCase(c *cobra.Command, server *client.Client, contract string) ([]client.Listed, error) {
	var found []client.Listed
	for l, err := range server.Deposits(c.Context(), client.Query{Contract: contract}) {
		if err != nil {
			return nil, err
		}
		if found = append(found, l); len(found) > maxListed {
			return nil, fmt.Errorf("the case has more than %d deposits", maxListed)
		}
	}
	slices.SortStableFunc(found, func(a, b client.Listed) int { return cmp.Compare(a.Index, b.Index) })
	return found, nil
}

// listing is a deposit of a case as list prints it.
type listing struct {
	Number int64  `json:"number"` // in the case
	Index  uint64 `json:"index"`
	Time   string `json:"time"`
	ID     string `json:"id"`
	Name   string `json:"name"`
	SHA256 string `json:"sha256"`
	Held   bool   `json:"held"`
	Leaf   string `json:"leaf"`
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
		Index: l.Index, Time: proofs.FormatTime(l.Time), ID: l.ID,
		Name: text("content.name"), SHA256: text("content.sha256"), Leaf: l.Leaf.String(),
	}
	out.Number, _ = seq.Integer()
	out.Held, _ = held.Boolean()
	return out
}

func printCase(out io.Writer, found []client.Listed, asJSON bool) error {
	rows := [][]string{{"No.", "Entry", "Time (UTC)", "Name", "SHA-256", "Depository has"}}
	for _, l := range found {
		d := newListing(l)
		if asJSON {
			if err := printJSON(out, d); err != nil {
				return err
			}
			continue
		}
		has := "digest only"
		if d.Held {
			has = "document"
		}
		rows = append(rows, []string{
			strconv.FormatInt(d.Number, 10), strconv.FormatUint(d.Index, 10), d.Time,
			plain(d.Name), plain(d.SHA256[:min(16, len(d.SHA256))]), has,
		})
	}
	switch {
	case asJSON:
		return nil
	case len(found) == 0:
		_, err := fmt.Fprintln(out, "No deposits of this contract.")
		return err
	}
	return printRows(out, rows)
}

// printRows aligns columns, by the width that characters have on a terminal.
func printRows(out io.Writer, rows [][]string) error {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], displayWidth(cell))
		}
	}
	for _, row := range rows {
		cells := make([]string, len(row))
		for i, cell := range row {
			cells[i] = pad(cell, widths[i])
		}
		if _, err := fmt.Fprintln(out, strings.TrimRight(strings.Join(cells, "  "), " ")); err != nil {
			return err
		}
	}
	return nil
}
