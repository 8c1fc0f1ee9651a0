package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// A bench is one run: a depository, the load on it, and what is found.
type bench struct {
	*depository
	drv     *driver
	auditor *auditor
	spool   *spool
	scratch string // directory on the disk that is compared
	report  *report
}

// newBench puts a bench before a depository. What it finds goes to r.
func newBench(d *depository, o loadOptions, scratch string, r *report) (*bench, error) {
	s, err := newSpool(o.Spool, o.SpoolMax)
	if err != nil {
		return nil, err
	}
	w := newWorkload(o, d.host, d.key)
	b := &bench{
		depository: d, spool: s, scratch: scratch,
		drv:     &driver{workload: w, spool: s},
		auditor: newAuditor(w, d.policy),
		report:  r,
	}
	b.drv.observe = func() sample { return sample{server: d.usage(), stores: d.stores.usage(), client: usageOfSelf()} }
	return b, nil
}

// drive runs a load, and then verifies every answer to it.
func (b *bench) drive(ctx context.Context, l load) (measured, error) {
	b.drv.addrs = b.addrs()
	m, err := b.drv.drive(ctx, l)
	if err == nil {
		err = b.audit(ctx)
	}
	return m, void(err)
}

// audit verifies every answer since the last audit.
func (b *bench) audit(ctx context.Context) error {
	err := b.auditor.audit(ctx, b.spool, b.addr)
	b.report.Audit = b.report.Audit.plus(b.auditor.found)
	b.auditor.found = audited{}
	return err
}

// void says which errors are the depository's: all but those of the bench's own.
func void(err error) error {
	if err == nil || errors.Is(err, errSpool) || errors.Is(err, context.Canceled) {
		return err
	}
	return fmt.Errorf("%w: %w", errVoid, err)
}

// row measures one load with all that belongs to it, and adds it to the report.
func (b *bench) row(ctx context.Context, name string, o loadOptions) (*row, error) {
	r := &row{Name: name, Mix: o.Mix}
	b.report.Rows = append(b.report.Rows, r)
	if o.Mix == verifyMix {
		return r, b.verifyRow(ctx, r, o)
	}
	return r, b.loadRow(ctx, r, o)
}

func (b *bench) loadRow(ctx context.Context, r *row, o loadOptions) error {
	m, err := parseMix(o.Mix)
	if err != nil {
		return err
	}
	if m[read] > 0 {
		if err := b.prepare(ctx, o.Known); err != nil {
			return err
		}
	}
	r.Clients, r.AskedRate, r.Warmup = o.Clients, o.Rate, o.Warmup.Seconds()
	before, err := b.baselines(ctx, m, o)
	if err != nil {
		return err
	}
	if r.LogBefore, err = b.size(); errors.Is(err, errSeal) {
		return void(err)
	} else if err != nil { // nobody is there: the figures are not void, there are none
		return err
	}
	if err := b.forgetPeaks(); err != nil {
		return err
	}
	got, err := b.drive(ctx, load{
		mix: m, clients: o.Clients, rate: o.Rate, warmup: o.Warmup, duration: o.Duration, count: o.Count, step: stepOf(o.Duration),
	})
	r.fill(got)
	if err != nil {
		return err
	}
	if r.LogAfter, err = b.size(); err != nil {
		return void(err)
	}
	after, err := b.baselines(ctx, m, o)
	if err != nil || before == nil {
		return err
	}
	r.compare(before.mean(*after))
	return nil
}

// stepOf divides a measured time into at most about a hundred intervals, of a second
// at least.
func stepOf(d time.Duration) time.Duration {
	return max(time.Second, (d / 100).Round(time.Second))
}

// baselines measures the machine's own rates, unless none are asked for.
func (b *bench) baselines(ctx context.Context, m mix, o loadOptions) (*baselines, error) {
	if o.Baseline == 0 {
		return nil, nil
	}
	got, err := measureBaselines(ctx, b.drv.workload, m, o.Clients, b.scratch, o.Baseline)
	return &got, err
}

// prepare deposits what is going to be read, unless enough is known already.
func (b *bench) prepare(ctx context.Context, known int64) error {
	missing := known - int64(len(b.drv.known))
	if missing <= 0 {
		return nil
	}
	_, err := b.drive(ctx, load{mix: mix{single: 1}, clients: 64, duration: time.Hour, count: missing, step: time.Hour, learn: true})
	return err
}

// size is the number of entries in the published log.
func (b *bench) size() (uint64, error) {
	log := newPublicLog(b.addr, b.policy)
	defer log.wire.close()
	cp, err := log.checkpoint()
	return cp.Size, err
}

// weigh measures what the server leaves on the disk when it is stopped, and what
// remains of it once it was started again and has come to rest. It is stopped then.
func (b *bench) weigh(ctx context.Context) (*disk, error) {
	entries, err := b.size()
	if err != nil {
		return nil, void(err)
	}
	d := &disk{Entries: entries}
	if err := b.stop(); err != nil {
		return nil, void(err)
	}
	if d.Stopped, err = diskUse(b.dir); err != nil {
		return nil, err
	}
	if err := b.start(ctx); err != nil {
		return nil, void(err)
	}
	b.rest(ctx)
	if err := b.stop(); err != nil {
		return nil, void(err)
	}
	d.Rest, err = diskUse(b.dir)
	d.PerEntry = float64(d.Rest) / float64(entries)
	return d, err
}

// rest waits until the server of our own has nothing more to do: less than a fiftieth
// of a core for a second. It waits for a minute at most.
func (b *bench) rest(ctx context.Context) {
	for range 60 {
		before := b.usage().cpu
		pause(ctx, time.Second, nil)
		if b.usage().cpu-before <= 2*tick || ctx.Err() != nil {
			return
		}
	}
}
