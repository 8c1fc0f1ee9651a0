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

func newBench(d *depository, o loadOptions, scratch string) (*bench, error) {
	s, err := newSpool(o.Spool, o.SpoolMax)
	if err != nil {
		return nil, err
	}
	w := newWorkload(o, d.host, d.key)
	b := &bench{
		depository: d, spool: s, scratch: scratch,
		drv:     &driver{workload: w, spool: s},
		auditor: newAuditor(w, d.policy),
		report:  newReport(o.Seed, scratch),
	}
	b.drv.observe = func() sample { return sample{server: d.usage(), client: usageOfSelf()} }
	return b, nil
}

// drive runs a load, and then verifies every answer to it.
func (b *bench) drive(ctx context.Context, l load) (measured, error) {
	b.drv.addr = b.addr
	m, err := b.drv.drive(ctx, l)
	if err == nil {
		err = b.auditor.audit(ctx, b.spool, b.addr)
	}
	b.report.Audit = b.auditor.found
	return m, void(err)
}

// void says which errors are the depository's: all but those of the bench's own.
func void(err error) error {
	if err == nil || errors.Is(err, errSpool) || errors.Is(err, context.Canceled) {
		return err
	}
	return fmt.Errorf("%w: %w", errVoid, err)
}

// row measures one load with all that belongs to it, and adds it to the report.
func (b *bench) row(ctx context.Context, name string, o loadOptions) error {
	if o.Mix == verifyMix {
		return b.verifyRow(ctx, name, o)
	}
	m, err := parseMix(o.Mix)
	if err != nil {
		return err
	}
	if m[read] > 0 {
		if err := b.prepare(ctx, o.Known); err != nil {
			return err
		}
	}
	r := row{Name: name, Mix: m.String(), Clients: o.Clients, AskedRate: o.Rate, Warmup: o.Warmup.Seconds()}
	before, err := b.baselines(ctx, m, o)
	if err != nil {
		return err
	}
	if r.LogBefore, err = b.size(); err != nil {
		return void(err)
	}
	if b.process != nil {
		if err := forgetPeak(b.process.cmd.Process.Pid); err != nil {
			return err
		}
	}
	got, err := b.drive(ctx, load{
		mix: m, clients: o.Clients, rate: o.Rate, warmup: o.Warmup, duration: o.Duration, count: o.Count, step: stepOf(o.Duration),
	})
	r.fill(got)
	b.report.Rows = append(b.report.Rows, &r)
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
	mean := before.mean(*after)
	r.compare(mean)
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

// weigh stops the server and measures what it has left on the disk.
func (b *bench) weigh() error {
	entries, err := b.size()
	if err != nil {
		return void(err)
	}
	if err := b.stop(); err != nil {
		return void(err)
	}
	bytes, err := diskUse(b.dir)
	if err != nil {
		return err
	}
	b.report.Disk = &disk{Entries: entries, Bytes: bytes, PerEntry: float64(bytes) / float64(entries)}
	return nil
}
