package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// A report is everything that a run found.
type report struct {
	Date     time.Time `json:"date"`
	Command  string    `json:"command"` // without any key
	Seed     uint64    `json:"seed"`
	Machine  machine   `json:"machine"`
	Server   string    `json:"server,omitempty"` // where it runs, when it is not the bench\'s own
	Rows     []*row    `json:"rows"`
	Audit    audited   `json:"verified"`
	When     string    `json:"verified_when"`
	Steps    []step    `json:"growth,omitempty"`
	Overload *overload `json:"overload,omitempty"`
	Fairness *fairness `json:"tenants,omitempty"`
	Stores   *bare     `json:"stores,omitempty"`
	Opinion  *opinion  `json:"second_opinion,omitempty"`
	Void     string    `json:"void,omitempty"`   // why no figure counts
	Failed   string    `json:"failed,omitempty"` // what the figures should not have been
}

// whenVerified says that no verification is in the figures.
const whenVerified = "every answer, after the measured time, from a spool"

// A row is the figures of one load.
type row struct {
	Name      string  `json:"name,omitempty"`
	Mix       string  `json:"mix"`
	Clients   int     `json:"clients,omitempty"`
	AskedRate float64 `json:"asked_rate,omitempty"` // requests a second; 0: closed loop
	Warmup    float64 `json:"warmup_seconds"`
	Measured  float64 `json:"measured_seconds"`
	LogBefore uint64  `json:"log_size_before"`
	LogAfter  uint64  `json:"log_size_after"`
	Kinds     []line  `json:"kinds,omitempty"`
	Unsent    int64   `json:"unsent,omitempty"` // due in an open loop, and without a free connection to the end
	Server    *cost   `json:"server,omitempty"` // of a depository of the bench's own
	Stores    *cost   `json:"stores,omitempty"` // of the servers that keep it
	BenchCPU  float64 `json:"bench_cpu_us_per_request"`

	Offline   []offline  `json:"offline,omitempty"`
	Baselines *baselines `json:"baselines,omitempty"` // mean of before and after
	Ratios    *ratios    `json:"ratios,omitempty"`
	Disk      *disk      `json:"disk,omitempty"`
	Points    []point    `json:"intervals,omitempty"`
}

// A line is the figures of one kind in a row. Latency is in milliseconds.
type line struct {
	Kind     string  `json:"kind"`
	Requests int64   `json:"requests"`
	Deposits int64   `json:"deposits"` // of reads: receipts
	Rate     float64 `json:"requests_per_second"`
	Lines    float64 `json:"deposits_per_second"`
	Refused  int64   `json:"refused,omitempty"`
	Latency  latency `json:"latency_ms"`
}

type latency struct {
	P50  float64 `json:"p50"`
	P90  float64 `json:"p90"`
	P99  float64 `json:"p99"`
	P999 float64 `json:"p99_9"`
	Max  float64 `json:"max"`
}

// cost is what the server spent in the measured time.
type cost struct {
	PerRequest float64 `json:"cpu_us_per_request"`
	PerDeposit float64 `json:"cpu_us_per_deposit,omitempty"`
	Cores      float64 `json:"cores"` // busy on average
	Peak       int64   `json:"peak_memory_bytes"`
	Resident   int64   `json:"memory_bytes"`
}

type offline struct {
	Cores     int     `json:"cores"`
	PerSecond float64 `json:"verified_per_second"`
}

// ratios hold the figures against the machine's own.
type ratios struct {
	Handler    float64 `json:"rate_to_empty_handler"`               // in requests
	TwoFlushes float64 `json:"rate_to_dependent_flushes,omitempty"` // of one client, as is the next
	TwoInPlace float64 `json:"rate_to_dependent_flushes_in_place,omitempty"`
}

// A point is one interval of a load.
type point struct {
	Size uint64  `json:"log_size"` // at its end
	Rate float64 `json:"per_second"`
	P50  float64 `json:"p50_ms"`
	P99  float64 `json:"p99_ms"`
}

// disk is what a depository takes, all included.
type disk struct {
	Entries  uint64  `json:"entries"`
	Stopped  int64   `json:"bytes_stopped"` // with the ledger's journals as they were
	Rest     int64   `json:"bytes_at_rest"` // started again, and its compactions done
	PerEntry float64 `json:"bytes_per_entry_at_rest"`
}

func newReport(seed uint64, dir string) *report {
	return &report{Date: time.Now().UTC().Truncate(time.Second), Command: commandLine(os.Args), Seed: seed, Machine: thisMachine(dir), When: whenVerified}
}

// commandLine is the command as it was given, but for its key.
func commandLine(args []string) string {
	out := []string{"muniment-bench"}
	for i := 1; i < len(args); i++ {
		switch {
		case args[i] == "--api-key":
			out, i = append(out, "--api-key …"), i+1
		case strings.HasPrefix(args[i], "--api-key="):
			out = append(out, "--api-key=…")
		default:
			out = append(out, args[i])
		}
	}
	return strings.Join(out, " ")
}

// fill takes the figures over from what was measured.
func (r *row) fill(m measured) {
	r.Measured, r.Unsent = m.elapsed.Seconds(), m.unsent
	for k, t := range m.tallies {
		if t.requests+t.refused > 0 {
			r.Kinds = append(r.Kinds, newLine(kind(k), t, m.elapsed))
		}
	}
	all := m.total()
	r.BenchCPU = perUnit(m.after.client.cpu-m.before.client.cpu, all.requests+all.refused)
	r.Server = costOf(m.before.server, m.after.server, all, m.elapsed)
	r.Stores = costOf(m.before.stores, m.after.stores, all, m.elapsed)
	size := r.LogBefore + uint64(m.early)
	for i, in := range m.intervals {
		step := min(m.step, m.elapsed-time.Duration(i)*m.step)
		size += uint64(in.deposits)
		r.Points = append(r.Points, point{size, float64(in.deposits) / step.Seconds(), ms(in.latency.ValueAtQuantile(50)), ms(in.latency.ValueAtQuantile(99))})
	}
}

// costOf is nil for what is not there.
func costOf(before, after usage, all tally, elapsed time.Duration) *cost {
	cpu := after.cpu - before.cpu
	if before.cpu == 0 {
		return nil
	}
	return &cost{
		PerRequest: perUnit(cpu, all.requests+all.refused), PerDeposit: perUnit(cpu, all.deposits),
		Cores: cpu.Seconds() / elapsed.Seconds(),
		Peak:  after.peak, Resident: after.resident,
	}
}

func newLine(k kind, t tally, elapsed time.Duration) line {
	return line{
		Kind: k.String(), Requests: t.requests, Deposits: t.deposits, Refused: t.refused,
		Rate: float64(t.requests) / elapsed.Seconds(), Lines: float64(t.deposits) / elapsed.Seconds(),
		Latency: latencyOf(t.latency),
	}
}

func latencyOf(h *hdrhistogram.Histogram) latency {
	return latency{ms(h.ValueAtQuantile(50)), ms(h.ValueAtQuantile(90)), ms(h.ValueAtQuantile(99)), ms(h.ValueAtQuantile(99.9)), ms(h.Max())}
}

func ms(micros int64) float64 { return float64(micros) / 1000 }

// compare adds the machine's own rates.
func (r *row) compare(b baselines) {
	var rate float64
	for _, l := range r.Kinds {
		rate += l.Rate
	}
	r.Baselines = &b
	r.Ratios = &ratios{Handler: rate / b.Handler}
	if r.Clients == 1 { // those who wait for each other's flushes share them
		r.Ratios.TwoFlushes, r.Ratios.TwoInPlace = rate/b.TwoFlushes, rate/b.TwoInPlace
	}
}

// write writes the report as JSON.
func (r *report) write(path string) error {
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(data, '\n'), 0o644)
}

// print writes the report for people.
func (r *report) print(out io.Writer) {
	fmt.Fprintf(out, "%s  %s\n", r.Date.Format(time.DateTime+"Z"), r.Command)
	fmt.Fprintf(out, "%s, %d cores, %s, %s, %s, %s; %s; load average before: %.1f\n\n",
		r.Machine.CPU, r.Machine.Cores, mib(r.Machine.Memory), r.Machine.System, r.Machine.FileSystem, r.Machine.Go, r.where(), r.Machine.Busy)
	for _, row := range r.Rows {
		row.print(out)
	}
	if r.Fairness != nil {
		r.Fairness.print(out)
	}
	if r.Overload != nil {
		r.Overload.print(out)
	}
	if r.Stores != nil {
		r.Stores.print(out)
	}
	if r.Opinion != nil {
		r.Opinion.print(out)
	}
	if len(r.Steps) > 0 {
		printGrowth(out, r.Steps)
	} else {
		printSummary(out, r.Rows)
	}
	a := r.Audit
	fmt.Fprintf(out, "Verified, %s:\n  %s receipts and %s batch lines; %s entries stand in the public log, each once; %s checkpoints, each a prefix of the newest\n",
		r.When, grouped(float64(a.Receipts)), grouped(float64(a.Lines)), grouped(float64(a.Entries)), grouped(float64(a.Checkpoints)))
	if r.Void != "" {
		fmt.Fprintln(out, "VOID: no figure of this run counts.")
	}
}

// where says what shares the machine with the load.
func (r *report) where() string {
	if r.Server != "" {
		return "load alone, the server is " + r.Server
	}
	if r.Fairness != nil && r.Fairness.Apart {
		return "the servers on the first half of its cores, the load on the second"
	}
	return "load and server on it together"
}

func (r *row) print(out io.Writer) {
	fmt.Fprintln(out, r.title())
	if len(r.Kinds)+len(r.Offline) == 0 {
		fmt.Fprintln(out, "  no figures")
		return
	}
	t := tabwriter.NewWriter(out, 0, 8, 2, ' ', tabwriter.AlignRight)
	if len(r.Kinds) > 0 {
		fmt.Fprintln(t, "\trequests/s\tdeposits/s\tp50 ms\tp90\tp99\tp99.9\tmax\t")
	}
	for _, l := range r.Kinds {
		deposits := grouped(l.Lines)
		if l.Kind == read.String() {
			deposits = "-"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%.2f\t%.2f\t%.2f\t%.2f\t%.2f\t\n", l.Kind, grouped(l.Rate), deposits,
			l.Latency.P50, l.Latency.P90, l.Latency.P99, l.Latency.P999, l.Latency.Max)
	}
	t.Flush()
	for _, o := range r.Offline {
		fmt.Fprintf(out, "  %s receipts verified a second on %d of the cores\n", grouped(o.PerSecond), o.Cores)
	}
	for _, l := range r.Kinds {
		if l.Refused > 0 {
			fmt.Fprintf(out, "  %s: %s requests told to come back (503 with Retry-After)\n", l.Kind, grouped(float64(l.Refused)))
		}
	}
	if r.Unsent > 0 {
		fmt.Fprintf(out, "  %s requests were due and found no free connection to the end: the depository does not keep up\n", grouped(float64(r.Unsent)))
	}
	if s := r.Server; s != nil {
		fmt.Fprintf(out, "  server: %s, %.2f cores busy; memory %s, at most %s\n", s.cpu(), s.Cores, mib(s.Resident), mib(s.Peak))
	}
	if s := r.Stores; s != nil {
		fmt.Fprintf(out, "  stores: %s, %.2f cores busy\n", s.cpu(), s.Cores)
	}
	if b := r.Baselines; b != nil {
		fmt.Fprintf(out, "  bench:  %.1f µs CPU a request\n", r.BenchCPU)
		fmt.Fprintf(out, "  beside: empty chi handler %s/s over %d connections (%.1f µs CPU, p99 %.2f ms); flushes %s/s, two dependent %s/s, in place %s/s;\n",
			grouped(b.Handler), b.Connections, b.HandlerCPU, b.HandlerP99, grouped(b.Flush), grouped(b.TwoFlushes), grouped(b.TwoInPlace))
		fmt.Fprintf(out, "          on a core SHA-256 of 100 KiB %s/s, Ed25519 sign %s/s, verify %s/s\n", grouped(b.Hash), grouped(b.Sign), grouped(b.Verify))
		fmt.Fprintf(out, "  ratios: %.2f of the empty handler", r.Ratios.Handler)
		if r.Ratios.TwoFlushes > 0 {
			fmt.Fprintf(out, ", %.2f of two dependent flushes, %.2f of two in place", r.Ratios.TwoFlushes, r.Ratios.TwoInPlace)
		}
		fmt.Fprintln(out)
	}
	if d := r.Disk; d != nil {
		fmt.Fprintf(out, "  disk:   %s for %s entries once stopped; started again and at rest %s, %s bytes an entry\n",
			mib(d.Stopped), grouped(float64(d.Entries)), mib(d.Rest), grouped(d.PerEntry))
	}
	fmt.Fprintln(out)
}

func (c *cost) cpu() string {
	s := fmt.Sprintf("%.1f µs CPU a request", c.PerRequest)
	if c.PerDeposit > 0 && c.PerDeposit != c.PerRequest {
		s += fmt.Sprintf(", %.2f a deposit", c.PerDeposit)
	}
	return s
}

// load says what the load was.
func (r *row) load() string {
	switch {
	case r.Mix == verifyMix:
		return "verify, offline, full records, one checkpoint"
	case r.AskedRate > 0:
		return fmt.Sprintf("%s, open loop at %s/s over %d connections", r.Mix, grouped(r.AskedRate), r.Clients)
	}
	return fmt.Sprintf("%s, closed loop, %d at a time", r.Mix, r.Clients)
}

func (r *row) title() string {
	s := r.load()
	if r.Name != "" {
		s = r.Name + ": " + s
	}
	if r.Mix == verifyMix || len(r.Kinds) == 0 {
		return s
	}
	return s + fmt.Sprintf(", %.1f s after %.1f s, log from %s to %s", r.Measured, r.Warmup, grouped(float64(r.LogBefore)), grouped(float64(r.LogAfter)))
}

// grouped writes a number with separators, to the unit or to three digits.
func grouped(n float64) string {
	if n < 100 && n != float64(int64(n)) {
		return fmt.Sprintf("%.1f", n)
	}
	s := fmt.Sprintf("%.0f", n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func mib(n int64) string { return fmt.Sprintf("%s MiB", grouped(float64(n>>20))) }
