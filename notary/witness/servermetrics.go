package witness

import (
	"github.com/prometheus/client_golang/prometheus"
)

// serverMetrics is what a Server counts. No label holds anything that a caller chose:
// logs are those of the configuration.
type serverMetrics struct {
	requests     *prometheus.CounterVec
	forks        prometheus.Counter
	inconsistent prometheus.Counter
	write        prometheus.Histogram
	batch        prometheus.Histogram
	server       *Server // read by Collect
}

var (
	descCosigned = prometheus.NewDesc("muniment_witness_size_entries", "Size of the newest checkpoint that was cosigned, for each log that is cosigned for.", []string{"log"}, nil)
	descUp       = prometheus.NewDesc("muniment_witness_up", "1 when the witness can cosign.", nil, nil)
)

func newServerMetrics(s *Server) *serverMetrics {
	m := &serverMetrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "muniment_witness_requests_total",
			Help: "Checkpoints submitted, by what became of them.",
		}, []string{"result"}),
		forks: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "muniment_witness_forks_total",
			Help: "Checkpoints of the recorded size with another root, signed by their log: it forked.",
		}),
		inconsistent: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "muniment_witness_inconsistent_total",
			Help: "Checkpoints refused since the proof did not lead from the recorded root to theirs: a fault of the log, or a fork.",
		}),
		write: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "muniment_witness_write_duration_seconds",
			Help:    "Time to make the state durable.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5},
		}),
		batch: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "muniment_witness_write_checkpoints",
			Help:    "Checkpoints cosigned by one write of the state.",
			Buckets: []float64{1, 2, 4, 8, 16, 32, 64, 128, 256},
		}),
		server: s,
	}
	for _, r := range []string{resultCosigned, resultMalformed, resultUnknown, resultSignature, resultConflict, resultProof, resultBusy, resultFailed} {
		m.requests.WithLabelValues(r)
	}
	if s.config.Metrics != nil {
		s.config.Metrics.MustRegister(m.requests, m.forks, m.inconsistent, m.write, m.batch, m)
	}
	return m
}

// Describe implements prometheus.Collector.
func (m *serverMetrics) Describe(out chan<- *prometheus.Desc) {
	out <- descCosigned
	out <- descUp
}

// Collect implements prometheus.Collector.
func (m *serverMetrics) Collect(out chan<- prometheus.Metric) {
	for origin := range m.server.logs {
		out <- prometheus.MustNewConstMetric(descCosigned, prometheus.GaugeValue, float64(m.server.size(origin)), origin)
	}
	up := 1.0
	if m.server.Err() != nil {
		up = 0
	}
	out <- prometheus.MustNewConstMetric(descUp, prometheus.GaugeValue, up)
}
