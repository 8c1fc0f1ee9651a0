package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
)

type overloadOptions struct {
	Connections int
	Times       float64
	Saturate    time.Duration
	Floor       float64
	Patience    time.Duration
}

// An overload is what became of a depository that was asked for more than it can do.
type overload struct {
	Saturation  float64   `json:"saturation_per_second"` // by --clients, in a closed loop
	Asked       float64   `json:"asked_per_second"`
	Sent        float64   `json:"sent_per_second"`
	Done        float64   `json:"done_per_second"`
	Tenths      []float64 `json:"done_per_second_in_tenths"` // of the time, one after another
	Refused     int64     `json:"told_to_come_back"`
	Good        latency   `json:"good_client_ms"` // who deposits ten times a second
	GoodRefused int64     `json:"good_client_told_to_come_back"`
	Afterwards  float64   `json:"afterwards_per_second"` // the same clients as for saturation
	Before      vitals    `json:"before"`                // at rest after saturation
	Peak        int64     `json:"peak_memory_bytes"`
	After       vitals    `json:"after"` // at rest
}

// vitals are what a process holds while nothing is asked of it.
type vitals struct {
	Goroutines int64 `json:"goroutines,omitempty"` // 0: the server does not tell
	Resident   int64 `json:"memory_bytes"`
}

func overloadCommand() *cobra.Command {
	var o loadOptions
	var l localOptions
	var v overloadOptions
	c := &cobra.Command{
		Use:   "overload",
		Short: "Ask a depository for twice what it can do, and see what it does",
		Long: `Find out what a depository of the bench's own can do with --clients, then ask it for
--times as much over --connections, for --duration. What is done must stay level, the
rest must be told to come back (503 with Retry-After), every 201 must be true, one good
client must be served in time, and afterwards nothing may be left behind: goroutines
(where /metrics tells them), memory, speed.

The bench shares the machine with the depository, and asking for more costs more. So
what is done under overload is a share of the saturation; --floor is the least.`,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := errors.Join(o.check(), v.check(o)); err != nil {
				return err
			}
			d, done, err := l.open(c.Context())
			if err != nil {
				return err
			}
			r := newReport(o.Seed, d.dir)
			return errors.Join(r.tell(c.OutOrStdout(), o, r.overloadRow(c.Context(), d, o, v)), done())
		},
	}
	o.flags(c)
	l.flags(c)
	f := c.Flags()
	f.Lookup("duration").DefValue, o.Duration = "2m0s", 2*time.Minute
	f.Lookup("clients").DefValue, o.Clients = "256", 256
	f.IntVar(&v.Connections, "connections", 10_000, "connections under overload (1 to 20,000)")
	f.Float64Var(&v.Times, "times", 2, "how many times the saturation is asked for (above 1, at most 100)")
	f.DurationVar(&v.Saturate, "saturate", 10*time.Second, "time in which the saturation is measured")
	f.Float64Var(&v.Floor, "floor", 0.6, "share of the saturation that must be done in each tenth of the time")
	f.DurationVar(&v.Patience, "good-within", time.Second, "what the good client's p99 must not exceed")
	return c
}

func (v overloadOptions) check(o loadOptions) error {
	m, err := parseMix(o.Mix)
	switch {
	case err != nil:
		return err
	case m[read] > 0 || o.Rate != 0 || o.Count != 0:
		return errors.New("overload is of deposits: --mix has no read, and --rate and --count are not set")
	case v.Connections < 1 || v.Connections > 20_000:
		return errors.New("--connections is not 1 to 20,000")
	case v.Times <= 1 || v.Times > 100:
		return errors.New("--times is not above 1 and at most 100")
	case v.Saturate <= 0 || v.Patience <= 0 || v.Floor < 0 || v.Floor > 1:
		return errors.New("--saturate and --good-within must be above 0, and --floor 0 to 1")
	}
	return nil
}

// errOverload is wrapped when a depository does not bear being asked for too much.
var errOverload = errors.New("it does not bear overload")

func (r *report) overloadRow(ctx context.Context, d *depository, o loadOptions, v overloadOptions) error {
	b, err := newBench(d, o, d.dir, r)
	if err != nil {
		return err
	}
	defer b.spool.close()
	f := &overload{}
	if err := b.saturate(ctx, o, v, f); err != nil {
		return err
	}
	if err := b.overload(ctx, o, v, f); err != nil {
		return err
	}
	r.Overload = f
	return f.judge(v)
}

// saturate measures what the depository can do, and what it holds at rest after that.
func (b *bench) saturate(ctx context.Context, o loadOptions, v overloadOptions, f *overload) error {
	rate, err := b.can(ctx, o, v.Saturate)
	if err != nil {
		return err
	}
	f.Saturation = rate
	b.rest(ctx)
	f.Before = b.vitals()
	return forgetPeak(b.process.cmd.Process.Pid)
}

// can is how many deposits a second the clients bring about in a closed loop.
func (b *bench) can(ctx context.Context, o loadOptions, d time.Duration) (float64, error) {
	m, err := parseMix(o.Mix)
	if err != nil {
		return 0, err
	}
	got, err := b.drive(ctx, load{mix: m, clients: o.Clients, warmup: o.Warmup, duration: d, step: d})
	return float64(got.total().requests) / got.elapsed.Seconds(), err
}

// overload asks for too much, with one good client beside the many.
func (b *bench) overload(ctx context.Context, o loadOptions, v overloadOptions, f *overload) error {
	m, err := parseMix(o.Mix)
	if err != nil {
		return err
	}
	f.Asked = v.Times * f.Saturation
	crowd := load{
		mix: m, clients: v.Connections, rate: f.Asked, warmup: o.Warmup, duration: o.Duration, step: max(o.Duration/10, time.Millisecond), overload: true,
	}
	good := crowd
	good.clients, good.rate, good.mix = goodConnections, goodRate, mix{single: 1}
	var calm, many measured
	var calmErr, manyErr error
	var both sync.WaitGroup
	b.drv.addrs = b.addrs()
	ctx, fail := context.WithCancelCause(ctx) // what ends one, ends the other
	defer fail(nil)
	both.Go(func() {
		if calm, calmErr = b.drv.drive(ctx, good); calmErr != nil {
			fail(calmErr)
		}
	})
	both.Go(func() {
		if many, manyErr = b.drv.drive(ctx, crowd); manyErr != nil {
			fail(manyErr)
		}
	})
	both.Wait()
	if err := errors.Join(calmErr, manyErr); err != nil {
		return void(err)
	}
	f.fill(many, calm)
	if err := b.audit(ctx); err != nil {
		return void(err)
	}
	f.Afterwards, err = b.can(ctx, o, v.Saturate)
	if err != nil {
		return err
	}
	b.settle(ctx, f)
	return nil
}

// The good client deposits ten times a second, over connections enough that no
// deposit of its own waits for another.
const (
	goodRate        = 10
	goodConnections = 64
)

func (f *overload) fill(many, calm measured) {
	all, one := many.total(), calm.total()
	f.Sent = float64(all.requests+all.refused) / many.elapsed.Seconds()
	f.Done = float64(all.requests) / many.elapsed.Seconds()
	f.Refused, f.GoodRefused = all.refused, one.refused
	f.Good = latencyOf(one.latency)
	f.Peak = many.after.server.peak
	f.Tenths = make([]float64, 10) // one without an interval is one in which nothing was done
	for i := range min(len(many.intervals), 10) {
		f.Tenths[i] = float64(many.intervals[i].requests) / many.step.Seconds()
	}
}

// worst is what was done in the worst tenth of the time.
func (f *overload) worst() float64 { return slices.Min(f.Tenths) }

// settle waits until the server holds no more than before, for a minute at most.
func (b *bench) settle(ctx context.Context, f *overload) {
	b.rest(ctx)
	for range 60 {
		f.After = b.vitals()
		if f.leftBehind() == nil || ctx.Err() != nil {
			return
		}
		pause(ctx, time.Second, nil)
	}
}

// What may be left: a few goroutines that come and go, and what the runtime keeps of
// memory that it has given back to itself.
const (
	spareGoroutines = 32
	spareMemory     = 64 << 20
)

func (f *overload) leftBehind() error {
	if f.After.Goroutines > f.Before.Goroutines+spareGoroutines {
		return fmt.Errorf("%w: %d goroutines before and %d after", errOverload, f.Before.Goroutines, f.After.Goroutines)
	}
	if f.After.Resident > f.Before.Resident+f.Before.Resident/4+spareMemory {
		return fmt.Errorf("%w: %s of memory before and %s after", errOverload, mib(f.Before.Resident), mib(f.After.Resident))
	}
	return nil
}

// judge holds what became of the depository against what must.
func (f *overload) judge(v overloadOptions) error {
	var wrong []error
	if f.worst() < v.Floor*f.Saturation {
		wrong = append(wrong, fmt.Errorf("%w: in the worst tenth %s a second were done, under %.2f of %s", errOverload, grouped(f.worst()), v.Floor, grouped(f.Saturation)))
	}
	if f.Afterwards < v.Floor*f.Saturation {
		wrong = append(wrong, fmt.Errorf("%w: afterwards %s a second are done, under %.2f of %s", errOverload, grouped(f.Afterwards), v.Floor, grouped(f.Saturation)))
	}
	if f.Good.P99 > ms(v.Patience.Microseconds()) {
		wrong = append(wrong, fmt.Errorf("%w: the good client's p99 was %.0f ms", errOverload, f.Good.P99))
	}
	return errors.Join(append(wrong, f.leftBehind())...)
}

// vitals asks the server, or the system where the server does not tell.
func (b *bench) vitals() vitals {
	v := vitals{Resident: b.usage().resident}
	w := newWire(b.addr, patience)
	defer w.close()
	var a answer
	if err := w.exchange([]byte("GET /metrics HTTP/1.1\r\nHost: "+b.addr+"\r\n\r\n"), &a); err != nil || a.status != http.StatusOK {
		return v
	}
	v.Goroutines = int64(metric(a.body, "go_goroutines"))
	if resident := int64(metric(a.body, "process_resident_memory_bytes")); resident > 0 {
		v.Resident = resident
	}
	return v
}

// metric is the value of a metric without labels in the Prometheus text format; 0 if
// it is not there.
func metric(text []byte, name string) float64 {
	for in := bufio.NewScanner(bytes.NewReader(text)); in.Scan(); {
		if value, ok := strings.CutPrefix(in.Text(), name+" "); ok {
			n, err := strconv.ParseFloat(value, 64)
			if err == nil {
				return n
			}
		}
	}
	return 0
}

func (f *overload) print(out io.Writer) {
	fmt.Fprintf(out, "Overload: saturation %s/s; asked for %s/s, sent %s/s\n", grouped(f.Saturation), grouped(f.Asked), grouped(f.Sent))
	fmt.Fprintf(out, "  done %s/s (%.2f of saturation); %s told to come back (503 with Retry-After)\n  done in each tenth of the time:",
		grouped(f.Done), f.Done/f.Saturation, grouped(float64(f.Refused)))
	for _, rate := range f.Tenths {
		fmt.Fprint(out, " ", grouped(math.Round(rate)))
	}
	fmt.Fprintln(out)
	fmt.Fprintf(out, "  a good client meanwhile: p50 %.1f ms, p99 %.1f ms, at most %.1f ms, %s times told to come back\n",
		f.Good.P50, f.Good.P99, f.Good.Max, grouped(float64(f.GoodRefused)))
	goroutines := "goroutines not told"
	if f.Before.Goroutines > 0 {
		goroutines = fmt.Sprintf("goroutines %d before, %d after", f.Before.Goroutines, f.After.Goroutines)
	}
	fmt.Fprintf(out, "  afterwards %s/s; %s; memory %s before, at most %s, %s after\n\n", grouped(f.Afterwards), goroutines,
		mib(f.Before.Resident), mib(f.Peak), mib(f.After.Resident))
}
