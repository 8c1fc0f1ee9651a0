package notary_test

import (
	"errors"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/notary/notarytest"
)

// measured is what a registry holds, by name and labels: name{label="value"}, and for
// a histogram its count.
func measured(t testing.TB, r *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]float64{}
	for _, f := range families {
		for _, m := range f.Metric {
			name := f.GetName()
			for _, l := range m.Label {
				name += "{" + l.GetName() + "=" + l.GetValue() + "}"
			}
			switch f.GetType() {
			case dto.MetricType_COUNTER:
				all[name] = m.Counter.GetValue()
			case dto.MetricType_GAUGE:
				all[name] = m.Gauge.GetValue()
			case dto.MetricType_HISTOGRAM:
				all[name] = float64(m.Histogram.GetSampleCount())
				all[name+" sum"] = m.Histogram.GetSampleSum()
			}
		}
	}
	return all
}

// TestMetrics does known work and demands to read of just that.
func TestMetrics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDepository(t)
		registry := prometheus.NewPedanticRegistry()
		c := d.config()
		c.Metrics, c.Pool = registry, 100
		n, err := notary.Open(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		started := float64(time.Now().UnixMilli()) / 1e3
		time.Sleep(2500 * time.Millisecond)
		var wg sync.WaitGroup
		for _, key := range []string{"a", "b", "c"} {
			wg.Go(func() {
				if _, err := n.Deposit(t.Context(), d.principal(), digestOnly(t, key, key)); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		for range 2 { // the second is a replay
			if _, err := n.Deposit(t.Context(), d.principal(), original(t, "d", "document")); err != nil {
				t.Error(err)
			}
		}
		if _, err := n.Deposit(t.Context(), d.principal(), original(t, "d", "other")); !errors.Is(err, notary.ErrKeyReused) {
			t.Error(err)
		}
		got := measured(t, registry)
		for name, want := range map[string]float64{
			"muniment_deposits_total{kind=document}":          1,
			"muniment_deposits_total{kind=digest}":            3,
			"muniment_replays_total":                          1,
			"muniment_tree_size_entries{state=committed}":     5,
			"muniment_tree_size_entries{state=published}":     5,
			"muniment_batch_rows sum":                         4,
			"muniment_batch_operations sum":                   4,
			"muniment_stage_duration_seconds{stage=store}":    1,
			"muniment_stage_duration_seconds{stage=pool}":     4,
			"muniment_stage_duration_seconds{stage=prove}":    5,
			"muniment_pool_operations":                        0,
			"muniment_pool_capacity_operations":               100,
			"muniment_unpublished_age_seconds":                0,
			"muniment_damage_findings":                        0,
			"muniment_clock_departure_seconds":                0,
			"muniment_checkpoint_published_timestamp_seconds": started + 2.5,
			"muniment_scrub_pass_started_timestamp_seconds":   started,
			"muniment_scrub_entries":                          1,
			"muniment_retention_due_deposits":                 0,
		} {
			if v, ok := got[name]; !ok || v != want {
				t.Errorf("%s is %v, want %v", name, v, want)
			}
		}
		commits := got["muniment_stage_duration_seconds{stage=commit}"]
		if commits != got["muniment_batch_rows"] || commits < 2 || commits > 4 {
			t.Errorf("%v commits timed, %v counted", commits, got["muniment_batch_rows"])
		}
		// Open sealed once, before there was anything to measure it by.
		for _, s := range []string{"seal", "anchor", "publish"} {
			if v := got["muniment_stage_duration_seconds{stage="+s+"}"]; v < 2 || v > 6 {
				t.Errorf("%s was timed %v times", s, v)
			}
		}
		closeNotary(t, n)
		if left := measured(t, registry); len(left) > 0 {
			t.Errorf("after Close there are still %v", left)
		}
	})
}

// TestMetricsOfBatches: each line counts as a deposit, and the batch as one operation,
// one replay and one proof.
func TestMetricsOfBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDepository(t)
		registry := prometheus.NewPedanticRegistry()
		c := d.config()
		c.Metrics = registry
		n, err := notary.Open(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		defer closeNotary(t, n)
		b := notary.DigestBatch{Key: "batch"}
		for i := range 300 {
			b.Lines = append(b.Lines, digestOnly(t, "", strconv.Itoa(i)).Claims)
		}
		for range 2 {
			if _, err := n.DepositBatch(t.Context(), d.principal(), b); err != nil {
				t.Fatal(err)
			}
		}
		got := measured(t, registry)
		for name, want := range map[string]float64{
			"muniment_deposits_total{kind=batch}":          300,
			"muniment_deposits_total{kind=digest}":         0,
			"muniment_replays_total":                       1,
			"muniment_batch_rows sum":                      300,
			"muniment_batch_operations sum":                1,
			"muniment_stage_duration_seconds{stage=prove}": 2,
		} {
			if v, ok := got[name]; !ok || v != want {
				t.Errorf("%s is %v, want %v", name, v, want)
			}
		}
	})
}

// TestMetricsOfTiles: a receipt from the depth of the log reads a tile that no round
// brings along; the next one finds it in memory.
func TestMetricsOfTiles(t *testing.T) {
	b := grown(t, 600)
	synctest.Test(t, func(t *testing.T) {
		d := b.scenario(t).d
		registry := prometheus.NewPedanticRegistry()
		c := d.config()
		c.Metrics = registry
		n, err := notary.Open(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		defer closeNotary(t, n)
		var missed, hit float64
		for i := range 3 {
			found, _, err := n.Search(t.Context(), d.principal(), notary.Search{Limit: 1})
			if err != nil || len(found) != 1 {
				t.Fatalf("%d found: %v", len(found), err)
			}
			if _, err := n.Receipt(t.Context(), d.principal(), found[0].ID); err != nil {
				t.Fatal(err)
			}
			got := measured(t, registry)
			hits, misses := got["muniment_tile_reads_total{result=hit}"], got["muniment_tile_reads_total{result=miss}"]
			if misses == 0 || i > 0 && (misses != missed || hits <= hit) {
				t.Errorf("receipt %d: %v hits and %v misses, after %v and %v", i, hits, misses, hit, missed)
			}
			missed, hit = misses, hits
		}
	})
}

// TestMetricsOfABacklog: what waits for its seal is seen to wait.
func TestMetricsOfABacklog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDepository(t)
		registry := prometheus.NewPedanticRegistry()
		c := d.config()
		c.Metrics = registry
		n, err := notary.Open(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		defer closeNotary(t, n)
		d.anchor.Faults.Set(notarytest.Fault{Call: "Advance", Kind: notarytest.Fails})
		done := make(chan error)
		go func() {
			_, err := n.Deposit(t.Context(), d.principal(), digestOnly(t, "a", "a"))
			done <- err
		}()
		time.Sleep(5 * time.Second)
		got := measured(t, registry)
		if got["muniment_tree_size_entries{state=committed}"] != 2 || got["muniment_tree_size_entries{state=published}"] != 1 || got["muniment_unpublished_age_seconds"] != 5 {
			t.Errorf("%v", got)
		}
		d.anchor.Faults.Reset()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if got := measured(t, registry); got["muniment_unpublished_age_seconds"] != 0 {
			t.Errorf("%v", got)
		}
	})
}

// TestMetricsAreWellNamed holds names and help texts against Prometheus' own rules.
func TestMetricsAreWellNamed(t *testing.T) {
	d := newDepository(t)
	registry := prometheus.NewPedanticRegistry()
	c := d.config()
	c.Metrics = registry
	n, err := notary.Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	defer closeNotary(t, n)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	problems, err := promlint.NewWithMetricFamilies(families).Lint()
	if err != nil || len(problems) > 0 {
		t.Errorf("%v, %v", problems, err)
	}
	series := 0
	for _, f := range families {
		if !strings.HasPrefix(f.GetName(), "muniment_") {
			t.Errorf("%s is not named for us", f.GetName())
		}
		series += len(f.Metric)
	}
	if series > 50 {
		t.Errorf("%d series, histograms counted once", series)
	}
}
