package service

import (
	"bytes"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"
)

// metrics is what the edge counts. Every label is from a closed set: the patterns of
// the routes, the methods and classes below, the names of the problems. Nothing that a
// caller sent becomes one, and how many series there are has a bound.
type metrics struct {
	registry *prometheus.Registry

	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
	routes   map[string]*routeMetrics // read alone once serving
	inFlight prometheus.Gauge
	in, out  prometheus.Counter
	problems *prometheus.CounterVec

	text scrape
}

// routeMetrics are the series of one route, each looked up once.
type routeMetrics struct {
	name     string
	duration prometheus.Observer
	requests [5][6]atomic.Pointer[prometheus.Counter] // by method and class
}

// noRoute stands for every path that is none of ours.
const noRoute = "none"

// methods and classes are those that are told apart; the last method stands for the
// rest, and class none for an answer that never began.
var (
	methods = [5]string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodDelete, "other"}
	classes = [6]string{"none", "1xx", "2xx", "3xx", "4xx", "5xx"}
)

func newMetrics(r *prometheus.Registry) *metrics {
	m := &metrics{
		registry: r,
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "muniment_http_requests_total",
			Help: "Requests answered, by the pattern of their route, method and class of status.",
		}, []string{"route", "method", "code"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "muniment_http_request_duration_seconds",
			Help:    "Time from a request's header to the end of its answer, the upload included.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
		}, []string{"route"}),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "muniment_http_requests_in_flight",
			Help: "Requests being answered now.",
		}),
		in: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "muniment_http_request_body_bytes_total",
			Help: "Bytes read of the bodies of requests.",
		}),
		out: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "muniment_http_response_body_bytes_total",
			Help: "Bytes written of the bodies of answers.",
		}),
		problems: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "muniment_http_problems_total",
			Help: "Requests refused, by the name of the problem that they were answered with.",
		}, []string{"problem"}),
	}
	r.MustRegister(m.requests, m.duration, m.inFlight, m.in, m.out, m.problems)
	return m
}

// know prepares the series of every route of the API.
func (m *metrics) know(routes chi.Routes) {
	m.routes = map[string]*routeMetrics{noRoute: m.route(noRoute)}
	_ = chi.Walk(routes, func(_, route string, _ http.Handler, _ ...func(http.Handler) http.Handler) error {
		if m.routes[route] == nil {
			m.routes[route] = m.route(route)
		}
		return nil
	})
}

func (m *metrics) route(name string) *routeMetrics {
	return &routeMetrics{name: name, duration: m.duration.WithLabelValues(name)}
}

// answered counts a request that has been answered.
func (m *metrics) answered(r *http.Request, x *exchange, begun time.Time) {
	m.inFlight.Dec()
	m.in.Add(float64(x.read))
	m.out.Add(float64(x.bytes))
	route := m.routes[chi.RouteContext(r.Context()).RoutePattern()]
	if route == nil {
		route = m.routes[noRoute]
	}
	if route == nil {
		return // no API is served, so there is nothing to tell apart
	}
	route.duration.Observe(time.Since(begun).Seconds())
	method := 0
	for method < len(methods)-1 && methods[method] != r.Method {
		method++
	}
	class := x.status / 100
	if class >= len(classes) {
		class = 0
	}
	slot := &route.requests[method][class]
	counter := slot.Load()
	if counter == nil {
		c := m.requests.WithLabelValues(route.name, methods[method], classes[class])
		counter = &c
		slot.Store(counter)
	}
	(*counter).Inc()
}

// scrape is the text of /metrics, and is made anew once a second at most: it is open to
// all, and costs more than other answers do.
type scrape struct {
	mu   sync.Mutex
	text []byte
	made time.Time
}

const scrapeAge = time.Second

// render returns the newest page.
func (m *metrics) render() ([]byte, error) {
	p := &m.text
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.text != nil && time.Since(p.made) < scrapeAge {
		return p.text, nil
	}
	families, err := m.registry.Gather()
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	encoder := expfmt.NewEncoder(&b, exposition)
	for _, f := range families {
		if err := encoder.Encode(f); err != nil {
			return nil, err
		}
	}
	p.text, p.made = b.Bytes(), time.Now()
	return p.text, nil
}

// exposition is Prometheus' text format.
var exposition = expfmt.NewFormat(expfmt.TypeTextPlain)

// GetMetrics implements GET /metrics.
func (s *server) GetMetrics(w http.ResponseWriter, r *http.Request) {
	text, err := s.metrics.render()
	if err != nil {
		s.fail(w, r, err)
		return
	}
	h := w.Header()
	h.Set("Content-Type", string(exposition))
	h.Set("Cache-Control", "no-store")
	_, _ = w.Write(text)
}
