package main

import (
	"path/filepath"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"golang.org/x/sys/unix"
)

// newRegistry returns a registry that measures the process and the disks under the
// depository, where it is on any. Notary, service and canary add what they measure.
func newRegistry(cfg *config, d *depository) *prometheus.Registry {
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name:        "muniment_build_info",
		Help:        "1; its labels say which program this is.",
		ConstLabels: prometheus.Labels{"version": d.build.Version, "revision": d.build.Revision, "goversion": d.build.Go},
	})
	build.Set(1)
	r := prometheus.NewRegistry()
	r.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		build,
	)
	gauges := &disks{ledger: d.store.Space}
	if cfg.Blobs == "dir" {
		gauges.blobs = filepath.Join(cfg.Dir, "blobs")
	}
	r.MustRegister(gauges)
	return r
}

// disks measures the room that is left, whenever somebody asks. A disk that cannot be
// measured has no series then.
type disks struct {
	ledger func() (free, keep uint64, err error) // nil: it is on none
	blobs  string                                // empty: they are on none
}

var (
	descFree    = prometheus.NewDesc("muniment_disk_free_bytes", "Bytes free on the disk under each store.", []string{"store"}, nil)
	descReserve = prometheus.NewDesc("muniment_disk_reserve_bytes", "Bytes that must stay free on the disk under the store; with fewer, deposits are refused.", []string{"store"}, nil)
)

// Describe implements prometheus.Collector.
func (d *disks) Describe(out chan<- *prometheus.Desc) {
	out <- descFree
	out <- descReserve
}

// Collect implements prometheus.Collector.
func (d *disks) Collect(out chan<- prometheus.Metric) {
	gauge := func(desc *prometheus.Desc, v uint64, store string) {
		out <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, float64(v), store)
	}
	if d.ledger != nil {
		if free, keep, err := d.ledger(); err == nil {
			gauge(descFree, free, "ledger")
			gauge(descReserve, keep, "ledger")
		}
	}
	if d.blobs == "" {
		return
	}
	var st unix.Statfs_t
	if err := unix.Statfs(d.blobs, &st); err == nil {
		gauge(descFree, st.Bavail*uint64(st.Bsize), "blobs")
	}
}
