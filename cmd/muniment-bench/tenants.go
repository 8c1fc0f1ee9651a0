package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"sync"
	"time"

	"github.com/spf13/cobra"
)

// tenantsOptions say how many tenants there are, and how one of them is noisy.
type tenantsOptions struct {
	Tenants int
	Limit   int
	Times   float64
	Rounds  int
	Apart   bool
}

// A fairness is what many tenants cost beside one, and what a noisy one costs another.
type fairness struct {
	Tenants int       `json:"tenants"`
	One     []float64 `json:"one_tenant_per_second"` // of each round
	Many    []float64 `json:"all_tenants_per_second"`
	Ratio   float64   `json:"all_to_one"`

	Limit     int       `json:"limit_per_second"`
	Asked     float64   `json:"noisy_asks_per_second"`
	Refused   int64     `json:"noisy_told_to_come_back"`
	Calm      []latency `json:"quiet_ms_beside_one_within_its_limit"` // of each round
	Noisy     []latency `json:"quiet_ms_beside_one_beyond_it"`
	CostAtP99 float64   `json:"noisy_to_calm_p99"`
	// Elsewhere is the quiet tenant beside one within its limit, while what the noisy one asks
	// for beyond its own goes to a server that does nothing: what the requests alone cost on
	// this machine, whoever answers them.
	Elsewhere   []latency `json:"quiet_ms_beside_as_many_requests_elsewhere"`
	OfItselfP99 float64   `json:"noisy_to_elsewhere_p99"`
	QuietSecond int       `json:"quiet_per_second"`
	Apart       bool      `json:"apart"` // the servers had half of the processors, and the load the others
}

func tenantsCommand() *cobra.Command {
	var o loadOptions
	var l localOptions
	var v tenantsOptions
	c := &cobra.Command{
		Use:   "tenants",
		Short: "Measure many tenants beside one, and what a noisy tenant costs another",
		Long: `Make --tenants tenants, each with a key and a limit of its own, in a depository of the
bench's own. Measure the digests of --clients for one of them, and divided among all, in
turns, --rounds times. Then let a quiet tenant deposit fifty times a second while another
makes --limit deposits a second, which is its limit, and while it asks for --times as
many, in turns, and compare the quiet one's p99; and, as a control, while the requests
beyond its limit go to a server that does nothing, in a process of its own. With --apart
the load runs on other processors than the servers, as if it came from other machines.`,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := errors.Join(o.check(), v.check(o)); err != nil {
				return err
			}
			l.Serve = append(l.Serve, "--limits-deposits=1000000")
			if v.Apart {
				var err error
				if l.cores, err = apart(); err != nil {
					return err
				}
			}
			d, done, err := l.open(c.Context())
			if err != nil {
				return err
			}
			r := newReport(o.Seed, d.dir)
			return errors.Join(r.tell(c.OutOrStdout(), o, r.tenants(c.Context(), d, o, v)), done())
		},
	}
	o.flags(c)
	l.flags(c)
	f := c.Flags()
	f.Lookup("clients").DefValue, o.Clients = "256", 256
	f.Lookup("duration").DefValue, o.Duration = "5s", 5*time.Second
	f.Lookup("warmup").DefValue, o.Warmup = "1s", time.Second
	f.IntVar(&v.Tenants, "tenants", 303, "tenants (2 to 10,000)")
	f.IntVar(&v.Limit, "limit", 300, "deposits a second that the noisy tenant may make (1 to 100,000)")
	f.Float64Var(&v.Times, "times", 10, "how many times its limit it asks for (above 1, at most 1,000)")
	f.BoolVar(&v.Apart, "apart", false, "give the servers the first half of the processors, and the load the second")
	f.IntVar(&v.Rounds, "rounds", 5, "how often each is measured, in turns (1 to 100)")
	return c
}

func (v tenantsOptions) check(o loadOptions) error {
	switch {
	case o.Mix != single.String() || o.Rate != 0 || o.Count != 0:
		return errors.New("tenants deposit digests: --mix, --rate and --count are not set")
	case v.Tenants < 2 || v.Tenants > 10_000:
		return errors.New("--tenants is not 2 to 10,000")
	case v.Limit < 1 || v.Limit > 100_000 || v.Times <= 1 || v.Times > 1000:
		return errors.New("--limit is not 1 to 100,000, or --times not above 1 and at most 1,000")
	case v.Rounds < 1 || v.Rounds > 100:
		return errors.New("--rounds is not 1 to 100")
	}
	return nil
}

// tenants measures both.
func (r *report) tenants(ctx context.Context, d *depository, o loadOptions, v tenantsOptions) error {
	b, err := newBench(d, o, d.dir, r)
	if err != nil {
		return err
	}
	defer b.spool.close()
	ids, keys, err := d.enrol(ctx, v.Tenants)
	if err != nil {
		return err
	}
	f := &fairness{Tenants: v.Tenants, Limit: v.Limit, QuietSecond: quietRate, Apart: v.Apart}
	r.Fairness = f
	if err := b.crowd(ctx, o, v, keys, f); err != nil {
		return err
	}
	if err := b.stop(); err != nil {
		return void(err)
	}
	b.flags = append(b.flags, fmt.Sprintf("--limits-tenants={%s: %d}", ids[0], v.Limit), fmt.Sprintf("--limits-burst=%d", v.Limit))
	if err := b.start(ctx); err != nil {
		return void(err)
	}
	b.drv.host = b.host
	return b.noise(ctx, o, v, keys, f)
}

// enrol makes tenants with a key each, by the running depository's own commands.
func (d *depository) enrol(ctx context.Context, n int) (ids, keys []string, err error) {
	for i := range n {
		var tenant struct {
			ID string `json:"id"`
		}
		if err := d.command(ctx, &tenant, "tenant", "create", "--name", fmt.Sprintf("示范银行 %d", i+1)); err != nil {
			return nil, nil, err
		}
		var key struct {
			APIKey string `json:"api_key"`
		}
		if err := d.command(ctx, &key, "api-key", "create", "--tenant", tenant.ID, "--role", "depositor"); err != nil {
			return nil, nil, err
		}
		ids, keys = append(ids, tenant.ID), append(keys, key.APIKey)
	}
	return ids, keys, nil
}

// command runs one of munimentd's on the depository, and reads what it answers.
func (d *depository) command(ctx context.Context, into any, args ...string) error {
	out, err := exec.CommandContext(ctx, d.binary, append(args, "--dir", d.dir, "--json")...).Output()
	if err != nil {
		if exit := new(exec.ExitError); errors.As(err, &exit) {
			err = fmt.Errorf("%w: %s", err, exit.Stderr)
		}
		return fmt.Errorf("%s %s %s: %w", d.binary, args[0], args[1], err)
	}
	return json.Unmarshal(out, into)
}

// crowd measures one tenant and all of them, in turns.
func (b *bench) crowd(ctx context.Context, o loadOptions, v tenantsOptions, keys []string, f *fairness) error {
	rate := func(keys []string) (float64, error) {
		got, err := b.drive(ctx, load{mix: mix{single: 1}, keys: keys, clients: o.Clients, warmup: o.Warmup, duration: o.Duration, step: o.Duration})
		return float64(got.total().requests) / got.elapsed.Seconds(), err
	}
	for range v.Rounds {
		one, err := rate(keys[:1])
		if err != nil {
			return err
		}
		many, err := rate(keys)
		if err != nil {
			return err
		}
		f.One, f.Many = append(f.One, one), append(f.Many, many)
	}
	f.Ratio = middle(f.Many) / middle(f.One)
	return nil
}

// The quiet tenant deposits fifty times a second, over connections enough that no deposit of
// its own waits for another.
const (
	quietRate        = 50
	quietConnections = 64
	noisyConnections = 256
)

// noise measures a quiet tenant beside another that keeps to its limit, and beside one that
// does not, in turns.
func (b *bench) noise(ctx context.Context, o loadOptions, v tenantsOptions, keys []string, f *fairness) error {
	f.Asked = v.Times * float64(v.Limit)
	drain, end, err := startHandler(b.drv.workload, b.cores)
	if err != nil {
		return err
	}
	defer end()
	beside := func(rate, elsewhere float64) (latency, int64, error) {
		quiet := load{mix: mix{single: 1}, keys: keys[1:2], clients: quietConnections, rate: quietRate, warmup: o.Warmup, duration: o.Duration, step: o.Duration}
		other := load{mix: mix{single: 1}, keys: keys[:1], clients: noisyConnections, rate: rate, warmup: o.Warmup, duration: o.Duration, step: o.Duration, overload: true}
		loads := []driven{{b.drv, quiet}, {b.drv, other}}
		if other.rate = elsewhere; elsewhere > 0 {
			loads = append(loads, driven{drain, other})
		}
		got, err := b.together(ctx, loads)
		return latencyOf(got[0].total().latency), got[1].total().refused, err
	}
	within := 0.9 * float64(v.Limit)
	for range v.Rounds {
		calm, _, err := beside(within, 0)
		if err != nil {
			return err
		}
		noisy, refused, err := beside(f.Asked, 0)
		if err != nil {
			return err
		}
		elsewhere, _, err := beside(within, f.Asked-within)
		if err != nil {
			return err
		}
		f.Calm, f.Noisy, f.Elsewhere, f.Refused = append(f.Calm, calm), append(f.Noisy, noisy), append(f.Elsewhere, elsewhere), f.Refused+refused
	}
	f.CostAtP99 = middle(p99s(f.Noisy)) / middle(p99s(f.Calm))
	f.OfItselfP99 = middle(p99s(f.Noisy)) / middle(p99s(f.Elsewhere))
	return nil
}

// driven is a load, and what drives it.
type driven struct {
	by   *driver
	load load
}

// together drives loads at once, and then verifies every answer.
func (b *bench) together(ctx context.Context, loads []driven) ([]measured, error) {
	b.drv.addrs = b.addrs()
	ctx, fail := context.WithCancelCause(ctx) // what ends one, ends the others
	defer fail(nil)
	got, errs := make([]measured, len(loads)), make([]error, len(loads))
	var all sync.WaitGroup
	for i, l := range loads {
		all.Go(func() {
			if got[i], errs[i] = l.by.drive(ctx, l.load); errs[i] != nil {
				fail(errs[i])
			}
		})
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		return got, void(err)
	}
	return got, void(b.audit(ctx))
}

func p99s(all []latency) (out []float64) {
	for _, l := range all {
		out = append(out, l.P99)
	}
	return out
}

func (f *fairness) print(out io.Writer) {
	fmt.Fprintf(out, "Tenants: %d at once %s/s, one %s/s (medians of %d rounds): %.2f\n",
		f.Tenants, grouped(middle(f.Many)), grouped(middle(f.One)), len(f.One), f.Ratio)
	if len(f.Noisy) > 0 {
		fmt.Fprintf(out, "A quiet tenant, %d deposits a second: p99 %.2f ms beside one that keeps to its limit of %d a second,\n  %.2f ms beside one that asks for %s and is told to come back %s times (medians of %d rounds): %.2f\n",
			f.QuietSecond, middle(p99s(f.Calm)), f.Limit, middle(p99s(f.Noisy)), grouped(f.Asked), grouped(float64(f.Refused)), len(f.Noisy), f.CostAtP99)
		fmt.Fprintf(out, "  %.2f ms beside as many requests to a server that does nothing: of the cost, %.2f is the depository's\n\n", middle(p99s(f.Elsewhere)), f.OfItselfP99)
	}
}

// middle is the median.
func middle(all []float64) float64 {
	sorted := slices.Sorted(slices.Values(all))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}
