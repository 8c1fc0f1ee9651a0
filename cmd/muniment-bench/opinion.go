package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
)

// opinion is what Trillian in the process of the depository costs: the last row beside the
// same load before it, on the same log.
type opinion struct {
	Without    float64 `json:"single_without_per_second"`
	With       float64 `json:"single_with_per_second"`
	Ratio      float64 `json:"with_to_without"`
	P50Without float64 `json:"p50_without_ms"`
	P50With    float64 `json:"p50_with_ms"`
	// CatchUp is how fast a second tree that lacked the whole log was fed by munimentd serve.
	CatchUp        float64 `json:"catch_up_per_second"`
	CatchUpEntries uint64  `json:"catch_up_entries"`
	CatchUpSeconds float64 `json:"catch_up_seconds"`
}

// withoutTrillian is how the depository serves before.
const withoutTrillian = "--trillian-mode=off"

// opinionRow starts the server again with Trillian embedded, whose tree has nothing of the
// log but its genesis, waits until that has caught up, and measures the load of the row
// before it again.
func (b *bench) opinionRow(ctx context.Context, o loadOptions, before *row) error {
	if err := b.stop(); err != nil {
		return void(err)
	}
	b.flags = b.flags[:len(b.flags)-1] // withoutTrillian
	began := time.Now()
	if err := b.start(ctx); err != nil {
		return void(err)
	}
	entries, err := b.size()
	if err != nil {
		return void(err)
	}
	if err := b.caughtUp(ctx, entries); err != nil {
		return void(err)
	}
	spent := time.Since(began).Seconds()
	after, err := b.row(ctx, "Trillian embedded", o)
	if err != nil {
		return err
	}
	was, is := before.Kinds[0], after.Kinds[0]
	b.report.Opinion = &opinion{
		Without: was.Lines, With: is.Lines, Ratio: is.Lines / was.Lines, P50Without: was.Latency.P50, P50With: is.Latency.P50,
		CatchUp: float64(entries) / spent, CatchUpEntries: entries, CatchUpSeconds: spent,
	}
	return nil
}

// catchUpWithin bounds the wait for a second tree, at 1,000 entries a second.
func catchUpWithin(entries uint64) time.Duration {
	return time.Minute + time.Duration(entries)*time.Millisecond
}

// caughtUp waits until the second tree has that many entries, and agrees.
func (b *bench) caughtUp(ctx context.Context, entries uint64) error {
	ctx, cancel := context.WithTimeout(ctx, catchUpWithin(entries))
	defer cancel()
	for {
		has, err := gauge(ctx, b.addr, "muniment_trillian_size_entries")
		if err != nil {
			return err
		}
		agrees, err := gauge(ctx, b.addr, "muniment_trillian_agreement")
		if err != nil {
			return err
		}
		if uint64(has) >= entries && agrees == 1 {
			return nil
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("the second tree has %.0f of %d entries: %w", has, entries, ctx.Err())
		}
	}
}

// gauge reads one metric without labels.
func gauge(ctx context.Context, addr, name string) (float64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/metrics", nil)
	if err != nil {
		return 0, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	page, err := io.ReadAll(io.LimitReader(resp.Body, 8<<20))
	if err != nil {
		return 0, err
	}
	for line := range bytes.Lines(page) {
		if value, ok := bytes.CutPrefix(line, []byte(name+" ")); ok {
			return strconv.ParseFloat(string(bytes.TrimSpace(value)), 64)
		}
	}
	return 0, errors.New("the depository has no metric " + name)
}

func (o *opinion) print(out io.Writer) {
	fmt.Fprintf(out, "Trillian embedded: %s deposits/s beside %s without, %.2f of it; p50 %.2f ms beside %.2f; %s entries caught up in %.1f s, start and first agreement included, %s a second\n\n",
		grouped(o.With), grouped(o.Without), o.Ratio, o.P50With, o.P50Without, grouped(float64(o.CatchUpEntries)), o.CatchUpSeconds, grouped(o.CatchUp))
}
