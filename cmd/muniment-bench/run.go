package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
)

// loadOptions are the flags that say what to measure.
type loadOptions struct {
	Mix          string
	Clients      int
	Rate         float64
	Warmup       time.Duration
	Duration     time.Duration
	Count        int64
	Lines        int
	Whole        bool
	DocumentSize int
	Repeat       float64
	Known        int64
	Seed         uint64

	Spool    string
	SpoolMax int64
	Baseline time.Duration
	JSON     string
	Plot     string
}

func (o *loadOptions) flags(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&o.Mix, "mix", "single", "what is sent: single, batch, document or read, or several with weights (single=8,read=2); verify alone: receipts verified offline")
	f.IntVar(&o.Clients, "clients", 64, "connections, each with one request under way (1 to 8,192)")
	f.Float64Var(&o.Rate, "rate", 0, "requests a second at fixed times, whatever becomes of them; 0: each client sends when it has its answer")
	f.DurationVar(&o.Warmup, "warmup", 3*time.Second, "time before the measured time")
	f.DurationVar(&o.Duration, "duration", 20*time.Second, "measured time")
	f.Int64Var(&o.Count, "count", 0, "end after that many measured deposits and reads, if sooner; 0: no such end")
	f.IntVar(&o.Lines, "batch", 1000, "deposits in one batch (1 to 10,000)")
	f.BoolVar(&o.Whole, "batch-disclosures", false, "ask for the disclosures in a batch's answer, instead of Prefer: return=minimal")
	f.IntVar(&o.DocumentSize, "document-size", 100<<10, "bytes of a document (8 to 33,554,432)")
	f.Float64Var(&o.Repeat, "repeat", 0.1, "share of deposits that belong to the contract of an earlier one")
	f.Int64Var(&o.Known, "known", 10_000, "deposits made beforehand, to be read")
	f.Uint64Var(&o.Seed, "seed", 1, "of everything that is invented")
	f.StringVar(&o.Spool, "spool", os.TempDir(), "directory where answers are kept until they are verified; for runs of over half a minute one that is on no disk under measurement, such as /dev/shm")
	f.Int64Var(&o.SpoolMax, "spool-max", 16<<30, "most bytes kept there")
	f.DurationVar(&o.Baseline, "baselines", 2*time.Second, "time for each of the machine's own rates, before and after; 0: not measured")
	f.StringVar(&o.JSON, "json", "", "write all figures to this file")
	f.StringVar(&o.Plot, "plot", "", "draw rate and latency against log size into this file, as SVG")
	c.Args = cobra.NoArgs
}

func (o *loadOptions) check() error {
	switch {
	case o.Clients < 1 || o.Clients > 8192:
		return errors.New("--clients is not 1 to 8,192")
	case o.Rate < 0 || o.Rate > 1e6:
		return errors.New("--rate is not 0 to 1,000,000")
	case o.Lines < 1 || o.Lines > 10_000:
		return errors.New("--batch is not 1 to 10,000")
	case o.DocumentSize < 8 || o.DocumentSize > 32<<20:
		return errors.New("--document-size is not 8 to 33,554,432")
	case o.Repeat < 0 || o.Repeat > 1:
		return errors.New("--repeat is not 0 to 1")
	case o.Duration <= 0 || o.Warmup < 0 || o.Baseline < 0 || o.Count < 0:
		return errors.New("--duration must be above 0, and --warmup, --baselines and --count not below")
	case o.Mix != verifyMix && o.mixError() != nil:
		return o.mixError()
	case o.Known < 1 || o.Known > maxKnown:
		return fmt.Errorf("--known is not 1 to %d", maxKnown)
	}
	return nil
}

func (o *loadOptions) mixError() error {
	_, err := parseMix(o.Mix)
	return err
}

// verifyMix is the one that needs no server while it is measured.
const verifyMix = "verify"

func runCommand() *cobra.Command {
	var o loadOptions
	var server, key, policy, scratch string
	c := &cobra.Command{
		Use:   "run --server URL --api-key KEY --policy FILE",
		Short: "Measure a depository that runs elsewhere",
		RunE: func(c *cobra.Command, _ []string) error {
			if err := o.check(); err != nil {
				return err
			}
			d, err := elsewhere(server, key, policy)
			if err != nil {
				return err
			}
			return measure(c.Context(), c.OutOrStdout(), d, o, scratch)
		},
	}
	o.flags(c)
	c.Flags().StringVar(&server, "server", "", "address of the depository, http://HOST:PORT (required)")
	c.Flags().StringVar(&key, "api-key", os.Getenv("MUNIMENT_API_KEY"), "the tenant's API key (default: MUNIMENT_API_KEY)")
	c.Flags().StringVar(&policy, "policy", "", "the policy by which receipts are verified (required)")
	c.Flags().StringVar(&scratch, "scratch", os.TempDir(), "directory on the disk whose flushes are measured for comparison")
	c.Flags().Lookup("api-key").DefValue = ""
	c.MarkFlagRequired("server")
	c.MarkFlagRequired("policy")
	return c
}

func localCommand() *cobra.Command {
	var o loadOptions
	var l localOptions
	c := &cobra.Command{
		Use:   "local",
		Short: "Measure a depository of its own, on a fresh directory and a free port",
		RunE: func(c *cobra.Command, _ []string) error {
			if err := o.check(); err != nil {
				return err
			}
			d, done, err := l.open(c.Context())
			if err != nil {
				return err
			}
			return errors.Join(measure(c.Context(), c.OutOrStdout(), d, o, d.dir), done())
		},
	}
	o.flags(c)
	l.flags(c)
	return c
}

// localOptions say how a depository of the bench's own is made.
type localOptions struct {
	Binary string
	Dir    string
	Keep   bool
	Serve  []string
	cores  cores // on which it runs
}

func (l *localOptions) flags(c *cobra.Command) {
	c.Flags().StringVar(&l.Binary, "munimentd", "", "the server to measure (default: munimentd beside this command, or in PATH)")
	c.Flags().StringVar(&l.Dir, "dir", os.TempDir(), "directory under which the depository is made; its disk is the one that is measured")
	c.Flags().StringArrayVar(&l.Serve, "serve", nil, "one more flag for munimentd serve, such as --serve=--log-format=json; may be repeated")
	c.Flags().BoolVar(&l.Keep, "keep", false, "keep the depository's directory")
}

// open makes a depository and starts it. done ends it and takes it away.
func (l *localOptions) open(ctx context.Context) (d *depository, done func() error, err error) {
	home, clear, err := l.home()
	if err != nil {
		return nil, nil, err
	}
	if d, err = layOut(ctx, l.binary(), filepath.Join(home, "depository")); err == nil {
		d.flags, d.cores = l.Serve, l.cores
		err = d.start(ctx)
	}
	if err != nil {
		return nil, nil, errors.Join(err, clear())
	}
	return d, func() error {
		d.kill()
		return clear()
	}, nil
}

// home makes a directory for one run. clear takes it away.
func (l *localOptions) home() (home string, clear func() error, err error) {
	home, err = os.MkdirTemp(l.Dir, "muniment-bench-*")
	return home, func() error {
		if l.Keep {
			_, err := fmt.Fprintln(os.Stderr, "the depository is kept in", home)
			return err
		}
		return os.RemoveAll(home)
	}, err
}

func (l *localOptions) binary() string {
	if l.Binary != "" {
		return l.Binary
	}
	return beside("munimentd")
}

// beside finds a command beside this one, or else in PATH.
func beside(name string) string {
	if self, err := os.Executable(); err == nil {
		if path := filepath.Join(filepath.Dir(self), name); exec.Command(path).Err == nil {
			if info, err := os.Stat(path); err == nil && !info.IsDir() {
				return path
			}
		}
	}
	return name
}

// elsewhere is a depository that is not ours.
func elsewhere(server, key, policy string) (*depository, error) {
	u, err := url.Parse(server)
	if err != nil || u.Scheme != "http" || u.Host == "" || u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.User != nil {
		return nil, fmt.Errorf("--server %q is not of the form http://HOST:PORT; measure behind the proxy that ends TLS", server)
	}
	if key == "" {
		return nil, errors.New("an API key is required: --api-key or MUNIMENT_API_KEY")
	}
	d := &depository{addr: u.Host, host: u.Host, key: key}
	if u.Port() == "" {
		d.addr += ":80"
	}
	if d.policy, err = readPolicy(policy); err != nil {
		return nil, fmt.Errorf("--policy: %w", err)
	}
	return d, nil
}

// measure runs what the options ask for and reports it.
func measure(ctx context.Context, out io.Writer, d *depository, o loadOptions, scratch string) error {
	r := newReport(o.Seed, scratch)
	if d.process == nil {
		r.Server = d.addr
	}
	return r.tell(out, o, r.measure(ctx, "", d, o, scratch))
}

// measure measures one row on a depository, and stops it if it is the bench's own.
func (r *report) measure(ctx context.Context, name string, d *depository, o loadOptions, scratch string) error {
	b, err := newBench(d, o, scratch, r)
	if err != nil {
		return err
	}
	defer b.spool.close()
	row, err := b.row(ctx, name, o)
	if err == nil && d.process != nil {
		row.Disk, err = b.weigh(ctx)
	}
	return err
}

// tell writes the report, also of a run that is void.
func (r *report) tell(out io.Writer, o loadOptions, err error) error {
	switch {
	case errors.Is(err, errVoid):
		r.Void = err.Error()
	case errors.Is(err, errOverload):
		r.Failed = err.Error()
	case err != nil:
		return err
	}
	r.print(out)
	if o.JSON != "" {
		err = errors.Join(err, r.write(o.JSON))
	}
	if o.Plot != "" && r.Void == "" {
		err = errors.Join(err, r.plot(o.Plot))
	}
	return err
}
