package main

import (
	"bytes"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// metrics are those of one scrape, as Prometheus would read them.
type metrics map[string]*dto.MetricFamily

func (c *client) metrics(t testing.TB) metrics {
	t.Helper()
	time.Sleep(time.Second) // the page is that old at most
	page, err := c.get("/metrics")
	if err != nil {
		t.Fatal(err)
	}
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	return families
}

// value is that of the one series whose labels have these values, in the order of the
// labels' names, or -1.
func (m metrics) value(name string, labels ...string) float64 {
	for _, s := range m[name].GetMetric() {
		var got []string
		for _, l := range s.Label {
			got = append(got, l.GetValue())
		}
		if slices.Equal(got, labels) {
			return s.GetCounter().GetValue() + s.GetGauge().GetValue() + float64(s.GetHistogram().GetSampleCount())
		}
	}
	return -1
}

// TestMetrics: what is scraped off the real server is what was done, in names that
// Prometheus' own rules allow, and tells of no tenant.
func TestMetrics(t *testing.T) {
	d := layout(t, "--tenant-name", "Hush Hush Bank")
	p := d.serve(t, "--canary", "0")
	c := d.client(p)
	for _, key := range []string{"a", "b", "c", "a"} { // the last is a replay
		if _, err := c.digest(key, "LC-1", "loan "+key); err != nil {
			t.Fatal(err)
		}
	}
	document := bytes.Repeat([]byte("contract\n"), 1000)
	kept, err := c.deposit("d", nil, document)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.digest("a", "LC-1", "another loan"); err == nil {
		t.Fatal("a key was used twice")
	}
	if _, err := c.get("/v1/deposits/" + kept.ID + "/document"); err != nil {
		t.Fatal(err)
	}
	m := c.metrics(t)
	for _, want := range []struct {
		name   string
		labels []string
		value  float64
	}{
		{"muniment_deposits_total", []string{"digest"}, 3},
		{"muniment_deposits_total", []string{"document"}, 1},
		{"muniment_replays_total", nil, 1},
		{"muniment_tree_size_entries", []string{"committed"}, 5},
		{"muniment_tree_size_entries", []string{"published"}, 5},
		{"muniment_stage_duration_seconds", []string{"store"}, 1},
		{"muniment_stage_duration_seconds", []string{"prove"}, 5},
		{"muniment_batch_rows", nil, 4},
		{"muniment_http_requests_total", []string{"2xx", "POST", "/v1/deposits"}, 5},
		{"muniment_http_requests_total", []string{"4xx", "POST", "/v1/deposits"}, 1},
		{"muniment_http_requests_total", []string{"2xx", "GET", "/v1/deposits/{id}/document"}, 1},
		{"muniment_http_problems_total", []string{"idempotency-key-reused"}, 1},
		{"muniment_unpublished_age_seconds", nil, 0},
		{"muniment_damage_findings", nil, 0},
		{"muniment_ready", nil, 1},
	} {
		if v := m.value(want.name, want.labels...); v != want.value {
			t.Errorf("%s%v is %v, want %v", want.name, want.labels, v, want.value)
		}
	}
	// One for each commit, and for what the sequencer found to be no new deposit.
	if v := m.value("muniment_stage_duration_seconds", "commit"); v < 4 || v > 6 {
		t.Errorf("%v commits were timed", v)
	}
	for name, least := range map[string]float64{
		"muniment_http_request_body_bytes_total": float64(len(document)), "muniment_http_response_body_bytes_total": float64(len(document)),
		"muniment_checkpoint_published_timestamp_seconds": float64(p.started.Unix()),
		"process_open_fds": 1, "go_goroutines": 1, "process_start_time_seconds": float64(p.started.Unix() - 5),
	} {
		if v := m.value(name); v < least {
			t.Errorf("%s is %v", name, v)
		}
	}
	for _, store := range []string{"ledger", "blobs"} {
		if v := m.value("muniment_disk_free_bytes", store); v < 1<<20 {
			t.Errorf("%v bytes free under the %s", v, store)
		}
	}
	if v := m.value("muniment_disk_reserve_bytes", "ledger"); v < 128<<20 {
		t.Errorf("the reserve is %v bytes", v)
	}
	if len(m["muniment_build_info"].GetMetric()) != 1 {
		t.Error("which program is this?")
	}
	problems, err := promlint.NewWithMetricFamilies(slices.Collect(maps.Values(m))).Lint()
	if err != nil || len(problems) > 0 {
		t.Errorf("%v, %v", problems, err)
	}
	page, err := c.get("/metrics")
	if err != nil {
		t.Fatal(err)
	}
	for _, private := range []string{d.Tenant, "Hush", kept.ID, "LC-1", d.APIKey, d.Dir} {
		if strings.Contains(string(page), private) {
			t.Errorf("/metrics tells %q", private)
		}
	}
	p.stop(t)
}
