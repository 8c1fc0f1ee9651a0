package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
)

// A step is what was measured at one size of the log.
type step struct {
	Size     uint64  `json:"log_size"`
	FillRate float64 `json:"fill_per_second"` // on the way there, its answers verified meanwhile
	Rate     float64 `json:"deposits_per_second"`
	P50      float64 `json:"p50_ms"`
	P99      float64 `json:"p99_ms"`
	CPU      float64 `json:"cpu_us_per_deposit"`
	Peak     int64   `json:"peak_memory_bytes"` // in the burst
	Start    float64 `json:"start_after_kill_seconds"`
	Disk     int64   `json:"disk_bytes"` // started again, and at rest
	PerEntry float64 `json:"disk_bytes_per_entry"`
}

type growthOptions struct {
	From, To    uint64
	Fill        string
	FillClients int
}

func growthCommand() *cobra.Command {
	var o loadOptions
	var l localOptions
	var g growthOptions
	c := &cobra.Command{
		Use:   "growth",
		Short: "Measure bursts of deposits, and the start after kill -9, as the log grows",
		Long: `Fill a depository of its own to --from entries, then to ten times as many, and so
on up to --to. At each size measure a burst of the load that the flags describe, kill
the server without a warning, and take the time until it answers again. Every answer,
also to what only fills the log, is verified.`,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := errors.Join(o.check(), g.check()); err != nil {
				return err
			}
			d, done, err := l.open(c.Context())
			if err != nil {
				return err
			}
			return errors.Join(grow(c.Context(), c.OutOrStdout(), d, o, g), done())
		},
	}
	o.flags(c)
	l.flags(c)
	c.Flags().Uint64Var(&g.From, "from", 10_000, "first size of the log")
	c.Flags().Uint64Var(&g.To, "to", 1_000_000, "last size of the log")
	c.Flags().StringVar(&g.Fill, "fill", "batch", "what fills the log between the steps: batch or single")
	c.Flags().IntVar(&g.FillClients, "fill-clients", 8, "connections that fill the log")
	return c
}

func (g growthOptions) check() error {
	switch {
	case g.From < 100 || g.To < g.From || g.To > 100_000_000:
		return errors.New("--from is at least 100, and --to between it and 100,000,000")
	case g.Fill != "batch" && g.Fill != "single":
		return fmt.Errorf("--fill %q is not batch or single", g.Fill)
	case g.FillClients < 1 || g.FillClients > 8192:
		return errors.New("--fill-clients is not 1 to 8,192")
	}
	return nil
}

// grow measures a depository at each of its sizes.
func grow(ctx context.Context, out io.Writer, d *depository, o loadOptions, g growthOptions) error {
	r := newReport(o.Seed, d.dir)
	b, err := newBench(d, o, d.dir, r)
	if err != nil {
		return err
	}
	defer b.spool.close()
	for size := g.From; size <= g.To && err == nil; size *= 10 {
		err = b.step(ctx, size, o, g)
	}
	return r.tell(out, o, err)
}

// step grows the log to a size and measures there.
func (b *bench) step(ctx context.Context, size uint64, o loadOptions, g growthOptions) error {
	s := step{}
	var err error
	if s.FillRate, err = b.fill(ctx, size, g); err != nil {
		return err
	}
	row, err := b.row(ctx, fmt.Sprintf("at %s", grouped(float64(size))), o)
	if err != nil {
		return err
	}
	row.summarise(&s)
	b.kill()
	if err := b.start(ctx); err != nil {
		return void(err)
	}
	s.Start = b.process.ready.Seconds()
	if err := b.audit(ctx); err != nil { // the log goes on from what it said before
		return void(err)
	}
	b.rest(ctx)
	if s.Disk, err = diskUse(b.dir); err != nil {
		return err
	}
	s.PerEntry = float64(s.Disk) / float64(row.LogAfter)
	b.report.Steps = append(b.report.Steps, s)
	return nil
}

// fillPiece bounds the answers that wait to be verified while the log is filled.
const fillPiece = 200_000

// fill grows the log to a size, piece by piece, and returns deposits a second without
// the time that verifying took.
func (b *bench) fill(ctx context.Context, size uint64, g growthOptions) (float64, error) {
	m := mix{single: 1}
	if g.Fill == "batch" {
		m = mix{batch: 1}
	}
	var deposits int64
	var spent time.Duration
	for {
		now, err := b.size()
		if err != nil {
			return 0, void(err)
		}
		if now >= size {
			break
		}
		got, err := b.drive(ctx, load{
			mix: m, clients: g.FillClients, duration: time.Hour, count: int64(min(size-now, fillPiece)), step: time.Hour,
		})
		if err != nil {
			return 0, err
		}
		deposits += got.total().deposits
		spent += got.elapsed
	}
	if spent == 0 {
		return 0, nil
	}
	return float64(deposits) / spent.Seconds(), nil
}

// summarise takes what a step tells from the row of its burst.
func (r *row) summarise(s *step) {
	s.Size = r.LogBefore
	for _, l := range r.Kinds {
		if l.Lines > s.Rate || s.Rate == 0 {
			s.P50, s.P99 = l.Latency.P50, l.Latency.P99
		}
		s.Rate += l.Lines
	}
	if r.Server != nil {
		s.CPU, s.Peak = r.Server.PerDeposit, r.Server.Peak
	}
}

func printGrowth(out io.Writer, steps []step) {
	t := tabwriter.NewWriter(out, 0, 8, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "log size\tdeposits/s\tof the first\tp50 ms\tp99 ms\tof the first\tµs CPU\tmemory at most\tstart after kill -9\tbytes an entry\tfilled at/s\t")
	for _, s := range steps {
		fmt.Fprintf(t, "%s\t%s\t%.2f\t%.2f\t%.2f\t%.2f\t%.1f\t%s\t%.2f s\t%s\t%s\t\n", grouped(float64(s.Size)), grouped(s.Rate), s.Rate/steps[0].Rate,
			s.P50, s.P99, s.P99/steps[0].P99, s.CPU, mib(s.Peak), s.Start, grouped(s.PerEntry), grouped(s.FillRate))
	}
	t.Flush()
	fmt.Fprintln(out)
}
