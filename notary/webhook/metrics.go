package webhook

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/muniment/muniment/notary"
)

// metrics is what is measured of all webhooks together: tenants are named by none.
type metrics struct {
	calls *prometheus.CounterVec
	delay prometheus.Histogram
	about *prometheus.Desc

	mu      sync.Mutex
	workers []*worker
}

func newMetrics() *metrics {
	return &metrics{
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "muniment_webhook_calls_total",
			Help: "Calls to webhooks: delivered, failed (made again later), dead (given up).",
		}, []string{"result"}),
		delay: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "muniment_webhook_delay_seconds",
			Help:    "From an entry's time to the call that delivered it.",
			Buckets: []float64{0.25, 0.5, 1, 2, 5, 10, 60, 600, 3600, 86400},
		}),
		about: prometheus.NewDesc("muniment_webhook_events",
			"Events of all webhooks, on the replica that seals: waiting for another attempt, or dead.", []string{"state"}, nil),
	}
}

// Describe implements prometheus.Collector.
func (m *metrics) Describe(ch chan<- *prometheus.Desc) {
	m.calls.Describe(ch)
	m.delay.Describe(ch)
	ch <- m.about
}

// Collect implements prometheus.Collector.
func (m *metrics) Collect(ch chan<- prometheus.Metric) {
	m.calls.Collect(ch)
	m.delay.Collect(ch)
	m.mu.Lock()
	defer m.mu.Unlock()
	waiting, dead := 0, 0
	for _, w := range m.workers {
		w.mu.Lock()
		waiting, dead = waiting+w.waiting, dead+w.dead
		w.mu.Unlock()
	}
	ch <- prometheus.MustNewConstMetric(m.about, prometheus.GaugeValue, float64(waiting), "waiting")
	ch <- prometheus.MustNewConstMetric(m.about, prometheus.GaugeValue, float64(dead), "dead")
}

// count notes which webhooks are served.
func (m *metrics) count(running map[notary.ID]*worker) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.workers = m.workers[:0]
	for _, w := range running {
		m.workers = append(m.workers, w)
	}
}

func (m *metrics) delivered(e notary.Event, at time.Time) {
	m.calls.WithLabelValues("delivered").Inc()
	m.delay.Observe(at.Sub(e.Time).Seconds())
}

func (m *metrics) failed(dead bool) {
	if dead {
		m.calls.WithLabelValues("dead").Inc()
		return
	}
	m.calls.WithLabelValues("failed").Inc()
}
