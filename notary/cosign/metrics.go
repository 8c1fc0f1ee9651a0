package cosign

import (
	"errors"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// clientMetrics is what a Client counts of each witness. The one label of a witness is
// its name in the policy.
type clientMetrics struct {
	c        *Client
	requests *prometheus.CounterVec
	took     *prometheus.HistogramVec
}

// The results of a request.
var clientResults = []string{"cosigned", "dissent", "refused", "invalid", "unreachable"}

func newClientMetrics(c *Client) *clientMetrics {
	m := &clientMetrics{
		c: c,
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "muniment_witness_asked_total",
			Help: "Requests to witnesses by how they ended: cosigned, dissent (it knows the log as another), refused, invalid (an answer or cosignature that is none), unreachable.",
		}, []string{"witness", "result"}),
		took: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "muniment_witness_answer_duration_seconds",
			Help:    "How long a witness took to cosign a checkpoint, or to fail to.",
			Buckets: []float64{.0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}, []string{"witness"}),
	}
	for _, p := range c.peers {
		for _, result := range clientResults {
			m.requests.WithLabelValues(p.label(), result)
		}
		m.took.WithLabelValues(p.label())
	}
	return m
}

// label is the witness's name as a label must be.
func (p *peer) label() string { return strings.ToValidUTF8(p.names[0], "?") }

// answered counts a request.
func (m *clientMetrics) answered(p *peer, err error, elapsed time.Duration) {
	result := "unreachable"
	dissent := new(dissentError)
	switch {
	case err == nil:
		result = "cosigned"
	case errors.As(err, &dissent):
		result = "dissent"
	case errors.Is(err, errRefused), errors.Is(err, errChanging):
		result = "refused"
	case errors.Is(err, errAnswer), errors.Is(err, errInvalid):
		result = "invalid"
	case errors.Is(err, errUnproved):
		return // our own failure
	}
	m.requests.WithLabelValues(p.label(), result).Inc()
	m.took.WithLabelValues(p.label()).Observe(elapsed.Seconds())
}

var (
	descCosigns  = prometheus.NewDesc("muniment_witness_cosigns", "1 while a witness cosigns within a second, 0 while it fails or is slow.", []string{"witness"}, nil)
	descDissents = prometheus.NewDesc("muniment_witness_dissents", "1 while a witness knows the log as another than this depository does, else 0.", []string{"witness"}, nil)
)

// Describe implements prometheus.Collector.
func (c *Client) Describe(out chan<- *prometheus.Desc) {
	c.metrics.requests.Describe(out)
	c.metrics.took.Describe(out)
	out <- descCosigns
	out <- descDissents
}

// Collect implements prometheus.Collector.
func (c *Client) Collect(out chan<- prometheus.Metric) {
	c.metrics.requests.Collect(out)
	c.metrics.took.Collect(out)
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range c.peers {
		up, dissents := 1.0, 0.0
		if p.failing {
			up = 0
		}
		if p.dissent != nil {
			dissents = 1
		}
		out <- prometheus.MustNewConstMetric(descCosigns, prometheus.GaugeValue, up, p.label())
		out <- prometheus.MustNewConstMetric(descDissents, prometheus.GaugeValue, dissents, p.label())
	}
}
