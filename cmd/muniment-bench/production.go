package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// productionOptions say how the log grows in a run of production.
type productionOptions struct {
	From, To uint64
	Trillian bool
}

func productionCommand() *cobra.Command {
	var o loadOptions
	var l localOptions
	var p productionOptions
	c := &cobra.Command{
		Use:   "production",
		Short: "Measure one and three replicas on PostgreSQL and S3 of their own",
		Long: `Start PostgreSQL, with fsync on, an S3 server and one replica; fill the log to --from
entries; measure digests by --clients, the same over three replicas, batches of --batch
by 8 clients, and documents by 64, beside what the bare servers do. With --to, fill the
log on and measure the digests once more. With --trillian, start it again at last with
Trillian in its process, whose tree lacks the whole log, measure how fast it catches up,
and then the digests once more. --mix belongs to the rows and is not looked at.`,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := errors.Join(o.check(), p.check()); err != nil {
				return err
			}
			d, done, err := l.openProduction(c.Context())
			if err != nil {
				return err
			}
			r := newReport(o.Seed, l.Dir)
			err = r.production(c.Context(), d, o, p)
			return errors.Join(r.tell(c.OutOrStdout(), o, err), done())
		},
	}
	o.flags(c)
	l.flags(c)
	c.Flags().Lookup("clients").DefValue, o.Clients = "256", 256
	c.Flags().Uint64Var(&p.From, "from", 10_000, "size of the log at which the rows begin")
	c.Flags().Uint64Var(&p.To, "to", 0, "size of the log at which the single digests are measured again; 0: they are not")
	c.Flags().BoolVar(&p.Trillian, "trillian", false, "measure Trillian embedded too: the second tree's catching up, and the single digests")
	return c
}

func (p productionOptions) check() error {
	if p.From < 100 || p.To != 0 && p.To <= p.From || p.To > 100_000_000 {
		return errors.New("--from is at least 100, and --to 0, or above it and at most 100,000,000")
	}
	return nil
}

// production measures the rows, and the bare servers before and after them.
func (r *report) production(ctx context.Context, d *depository, o loadOptions, p productionOptions) error {
	b, err := newBench(d, o, d.dir, r)
	if err != nil {
		return err
	}
	defer b.spool.close()
	r.Stores = &bare{PutSize: o.DocumentSize, Putters: 64}
	if err := r.Stores.measure(ctx, d.stores, o.Duration/4); err != nil {
		return err
	}
	if err := b.productionRows(ctx, o, p); err != nil {
		return err
	}
	after := *r.Stores
	if err := after.measure(ctx, d.stores, o.Duration/4); err != nil {
		return err
	}
	r.Stores.mean(after)
	r.Stores.compare(r.Rows)
	return nil
}

// productionRows measures the rows, in the order in which compare expects them.
func (b *bench) productionRows(ctx context.Context, o loadOptions, p productionOptions) error {
	fill := growthOptions{Fill: "batch", FillClients: 8}
	crowd := o.Clients
	at := func(size uint64, clients int, mix, name string) error {
		if _, err := b.fill(ctx, size, fill); err != nil {
			return err
		}
		o.Mix, o.Clients = mix, clients
		_, err := b.row(ctx, name, o)
		return err
	}
	if err := at(p.From, crowd, "single", "single"); err != nil {
		return err
	}
	for range 2 {
		if err := b.replicate(ctx); err != nil {
			return void(err)
		}
	}
	if err := at(p.From, crowd, "single", "three replicas"); err != nil {
		return err
	}
	b.alone()
	if err := at(p.From, 8, "batch", "batches"); err != nil {
		return err
	}
	if err := at(p.From, 64, "document", "documents"); err != nil {
		return err
	}
	last := b.report.Rows[0]
	if p.To > 0 {
		if err := at(p.To, crowd, "single", fmt.Sprintf("single at %s", grouped(float64(p.To)))); err != nil {
			return err
		}
		last = b.report.Rows[len(b.report.Rows)-1]
	}
	if !p.Trillian {
		return nil
	}
	o.Mix, o.Clients = "single", crowd
	return b.opinionRow(ctx, o, last)
}

// compare takes the ratios from the rows.
func (b *bare) compare(rows []*row) {
	rate := func(i int) float64 { return rows[i].Kinds[0].Lines }
	b.Single, b.Three = rate(0)/b.Unnest, rate(1)/rate(0)
	b.Batches, b.Documents = rate(2)/b.Unnest, rate(3)/b.Put
	if len(rows) > 4 && strings.HasPrefix(rows[4].Name, "single at ") {
		b.Grown = rate(4) / rate(0)
	}
}
