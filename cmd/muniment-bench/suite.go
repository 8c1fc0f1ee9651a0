package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
)

// suite is the standard programme: each row on a fresh depository.
var suite = []struct {
	name, mix string
	clients   int
	lines     int
}{
	{"single", "single", 256, 0},
	{"one-client", "single", 1, 0},
	{"batch-1000", "batch", 8, 1000},
	{"batch-10000", "batch", 2, 10_000},
	{"document", "document", 64, 0},
	{"read", "read", 64, 0},
	{"verify", verifyMix, 1, 0},
}

func suiteCommand() *cobra.Command {
	var o loadOptions
	var l localOptions
	var only []string
	c := &cobra.Command{
		Use:   "suite",
		Short: "Measure the standard rows, each on a fresh depository of its own",
		Long: `Measure digests by 256 clients and by one, batches of 1,000 and of 10,000, documents,
receipts read, and offline verification. --mix, --clients and --batch belong to the rows
and are not looked at.`,
		RunE: func(c *cobra.Command, _ []string) error {
			names := rowNames()
			for _, name := range only {
				if !slices.Contains(names, name) {
					return fmt.Errorf("--only %q: the rows are %s", name, strings.Join(names, ", "))
				}
			}
			if err := o.check(); err != nil {
				return err
			}
			r := newReport(o.Seed, l.Dir)
			return r.tell(c.OutOrStdout(), o, r.suite(c.Context(), o, l, only))
		},
	}
	o.flags(c)
	l.flags(c)
	c.Flags().StringSliceVar(&only, "only", nil, "measure only these rows, separated by commas: "+strings.Join(rowNames(), ", "))
	return c
}

func rowNames() []string {
	var names []string
	for _, s := range suite {
		names = append(names, s.name)
	}
	return names
}

// suite measures the rows one after another.
func (r *report) suite(ctx context.Context, o loadOptions, l localOptions, only []string) error {
	for _, s := range suite {
		if len(only) > 0 && !slices.Contains(only, s.name) {
			continue
		}
		o.Mix, o.Clients, o.Lines = s.mix, s.clients, max(1, s.lines)
		d, done, err := l.open(ctx)
		if err != nil {
			return err
		}
		if err := errors.Join(r.measure(ctx, s.name, d, o, d.dir), done()); err != nil {
			return err
		}
	}
	return nil
}

// printSummary tells several rows in a line each.
func printSummary(out io.Writer, rows []*row) {
	if len(rows) < 2 {
		return
	}
	t := tabwriter.NewWriter(out, 0, 8, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "row\tper second\tp50 ms\tp99 ms\tµs CPU\tmemory at most\tbytes an entry\tof the empty handler\tof two dependent flushes\t")
	for _, r := range rows {
		for _, o := range r.Offline {
			fmt.Fprintf(t, "%s, %d of the cores\t%s\t\t\t\t\t\t\t\t\n", r.Name, o.Cores, grouped(o.PerSecond))
		}
		for _, l := range r.Kinds {
			fmt.Fprintf(t, "%s\t%s\t%.2f\t%.2f\t", r.Name, grouped(l.Lines), l.Latency.P50, l.Latency.P99)
			if s := r.Server; s != nil && s.PerDeposit > 0 {
				fmt.Fprintf(t, "%.1f\t%s\t", s.PerDeposit, mib(s.Peak))
			} else if s != nil {
				fmt.Fprintf(t, "%.1f\t%s\t", s.PerRequest, mib(s.Peak))
			} else {
				fmt.Fprint(t, "\t\t")
			}
			if r.Disk != nil {
				fmt.Fprint(t, grouped(r.Disk.PerEntry))
			}
			fmt.Fprint(t, "\t")
			if r.Ratios != nil && l.Kind != batch.String() {
				fmt.Fprintf(t, "%.2f", r.Ratios.Handler)
			}
			fmt.Fprint(t, "\t")
			if r.Ratios != nil && r.Ratios.TwoFlushes > 0 {
				fmt.Fprintf(t, "%.2f, in place %.2f", r.Ratios.TwoFlushes, r.Ratios.TwoInPlace)
			}
			fmt.Fprintln(t, "\t")
		}
	}
	t.Flush()
	fmt.Fprintln(out)
}
